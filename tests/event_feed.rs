//! The change feed: one order, nothing missed, and nothing told to whoever may not see it.

use kehu_kernel::{Actor, AnyId, event, event::NewEvent};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        ledger::{self, bank, customer},
    },
};

both_databases!(
    the_feed_is_read_to_its_end_and_beyond,
    an_event_is_a_cloud_event,
    types_are_asked_for_by_pattern,
    questions_that_make_no_sense_are_refused,
    two_branches_are_told_different_things,
    what_is_hidden_is_passed_over_in_bounded_steps,
    merged_and_erased_customers_are_told_as_such,
    names_of_customers_out_of_sight_are_left_out,
    the_types_are_listed
);

/// Gives all that has happened its place in the feed, as the server does beside the requests.
pub(crate) fn sequence(app: &App) {
    while event::sequence(&app.store).unwrap() > 0 {}
}

/// A role that reads customers, accounts and events of its own branch.
pub(crate) async fn listener(admin: &Client<'_>) {
    let grant = |action: &str| json!({ "action": action, "depth": "unit" });
    let role = json!({ "code": "listener", "name": "Listener", "field_classes": ["public", "internal"],
        "grants": [grant("customer.read"), grant("account.read"), grant("event.read")] });
    admin.post("/v1/roles", role).await.expect(201);
}

/// All that a caller is told after a position.
async fn told(client: &Client<'_>, after: &str, rest: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), after.to_owned());
    loop {
        let page = client.get(&format!("/v1/events?after={after}&limit=7{rest}")).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        after = ledger::text(&page["next_cursor"]);
        if page["has_more"] == false {
            return all;
        }
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

async fn end(app: &App, client: &Client<'_>) -> String {
    sequence(app);
    ledger::text(&client.get("/v1/events?after=latest").await.expect(200)["next_cursor"])
}

async fn the_feed_is_read_to_its_end_and_beyond(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let nothing = admin.get("/v1/events").await.expect(200);
    assert_eq!((&nothing["items"], &nothing["next_cursor"], &nothing["has_more"]), (&json!([]), &json!("0"), &json!(false)));
    sequence(&app);
    let all = told(&admin, "0", "").await;
    let positions: Vec<usize> = all.iter().map(|event| event["sequence"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(positions, (1..=all.len()).collect::<Vec<_>>());
    assert!(types(&all).contains(&"branch.created") && types(&all).contains(&"product.created"), "{all:?}");
    // Whoever was away goes on where it was, and an empty answer says where.
    let last = all.len().to_string();
    let page = admin.get(&format!("/v1/events?after={last}")).await.expect(200);
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &json!(last)));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    sequence(&app);
    let new = told(&admin, &last, "").await;
    assert_eq!((types(&new), &new[0]["customerid"]), (vec!["customer.created"], &json!(anna)));
}

async fn an_event_is_a_cloud_event(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let point = json!({ "kind": "phone", "value": "13800138000" });
    let point = admin.post(&format!("/v1/customers/{anna}/contact-points"), point).await.expect(201);
    sequence(&app);
    let found = told(&admin, "0", "&type=contact_point.created").await;
    let event = &found[0];
    assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("urn:kehu")));
    assert_eq!((&event["type"], &event["datacontenttype"]), (&json!("contact_point.created"), &json!("application/json")));
    assert_eq!((&event["subject"], &event["partitionkey"]), (&point["id"], &json!(anna)));
    assert!(event["data"].is_object() && event["id"].as_str().unwrap().len() == 36, "{event}");
    assert!(event["time"].as_str().unwrap().ends_with('Z'));
    // Attributes of a CloudEvent have names of lower-case letters and digits.
    let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    assert!(event.as_object().unwrap().keys().all(plain));
    assert!(!event.to_string().contains("13800138000"));
}

async fn types_are_asked_for_by_pattern(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    sequence(&app);
    let some = told(&admin, "0", "&type=product.*").await;
    assert_eq!(types(&some), ["product.created"; 3]);
    let both = told(&admin, "0", "&type=product.created&type=branch.*").await;
    assert_eq!(both.len(), 6);
    assert_eq!(told(&admin, "0", "&type=customer.*").await.len(), 0);
}

async fn questions_that_make_no_sense_are_refused(app: App) {
    let admin = app.role("administrator");
    for wrong in
        ["after=", "after=-1", "after=x", "after=1234567890123456789", "limit=0", "limit=201", "type=x", "type=*", "cursor=1"]
    {
        admin.get(&format!("/v1/events?{wrong}")).await.problem(400);
    }
    assert_eq!(app.role("teller").get("/v1/events").await.problem(403), "forbidden");
}

async fn two_branches_are_told_different_things(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    listener(&admin).await;
    let start = end(&app, &admin).await;
    let (anna, bert) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Bert", &ids["B"]).await);
    let account = ledger::account(&admin, "100", "A", "1.00").await;
    sequence(&app);
    let (in_a, in_b) = (app.role_at("listener", "A"), app.role_at("listener", "B"));
    let (seen_a, seen_b) = (told(&in_a, &start, "").await, told(&in_b, &start, "").await);
    let customers =
        |events: &[Value]| events.iter().filter_map(|event| event["customerid"].as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!((customers(&seen_a), customers(&seen_b)), (anna, bert));
    let accounts = |events: &[Value]| events.iter().filter(|event| event["accountid"] == json!(account)).count();
    assert_eq!((accounts(&seen_a), accounts(&seen_b)), (1, 0));
    // What belongs to the bank is told by the right to read it.
    assert!(!types(&told(&in_a, "0", "").await).contains(&"role.created"));
    assert!(types(&told(&admin, "0", "").await).contains(&"role.created"));
    // Both go on from the same place: what is hidden is passed over, not waited for.
    let last = end(&app, &in_a).await;
    assert_eq!(in_b.get(&format!("/v1/events?after={start}&limit=200")).await.expect(200)["next_cursor"], json!(last));
}

async fn what_is_hidden_is_passed_over_in_bounded_steps(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    listener(&admin).await;
    let start: i64 = end(&app, &admin).await.parse().unwrap();
    app.store
        .write_blocking(|tx| {
            for number in 0..2_300 {
                tx.emit(&Actor::system(), NewEvent::new("client.created", AnyId::new(), json!({ "number": number })));
            }
            Ok(())
        })
        .unwrap();
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    sequence(&app);
    let listener = app.role_at("listener", "A");
    let first = listener.get(&format!("/v1/events?after={start}")).await.expect(200);
    assert_eq!((&first["items"], &first["has_more"]), (&json!([]), &json!(true)));
    assert_eq!(first["next_cursor"], json!((start + 2_000).to_string()));
    let second = listener.get(&format!("/v1/events?after={}", start + 2_000)).await.expect(200);
    assert_eq!((&second["items"][0]["customerid"], &second["has_more"]), (&json!(anna), &json!(false)));
    // A full page ends behind its last event, and the next one begins there.
    let page = admin.get(&format!("/v1/events?after={start}&limit=10")).await.expect(200);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (10, &json!((start + 10).to_string())));
}

async fn merged_and_erased_customers_are_told_as_such(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    listener(&admin).await;
    let (anna, anne) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Anne", &ids["B"]).await);
    let start = end(&app, &admin).await;
    let absorbed = json!([{ "customer_id": anne, "version": 1 }]);
    let body = json!({ "absorbed": absorbed, "reason": "the same person" });
    admin.command(&format!("/v1/customers/{anna}/merge"), 1, body).await.expect(200);
    sequence(&app);
    let (in_a, in_b) = (app.role_at("listener", "A"), app.role_at("listener", "B"));
    // What happened to the absorbed record before is the survivor's now.
    let before = told(&in_a, "0", "&type=customer.created").await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|event| event["customerid"] == json!(anna)), "{before:?}");
    let merged = told(&in_a, &start, "&type=customer.merged").await;
    assert_eq!(merged.len(), 2);
    assert_eq!((&merged[0]["data"]["survivor_id"], &merged[0]["data"]["absorbed_ids"]), (&json!(anna), &json!([anne])));
    // Who saw only the absorbed one is told that it is gone, and no more.
    let gone = told(&in_b, "0", "&type=customer.*").await;
    assert_eq!((types(&gone), &gone[0]["subject"], &gone[0]["data"]), (vec!["customer.merged"], &json!(anne), &json!({})));

    let start = end(&app, &admin).await;
    let version = admin.get(&format!("/v1/customers/{anna}")).await.expect(200)["version"].as_i64().unwrap();
    let body = json!({ "reason": "asked for by the customer", "dry_run": false });
    admin.command(&format!("/v1/customers/{anna}/privacy/erasure"), version, body).await.expect(200);
    sequence(&app);
    for (listener, subject) in [(&in_a, &anna), (&in_b, &anne)] {
        let erased = told(listener, &start, "").await;
        assert_eq!((types(&erased), &erased[0]["subject"]), (vec!["customer.erased"], &json!(subject)));
        assert_eq!(erased[0]["data"], json!({}));
        assert_eq!(told(listener, "0", "&type=customer.created").await.len(), 0);
    }
}

async fn names_of_customers_out_of_sight_are_left_out(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    listener(&admin).await;
    let (anna, bert) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Bert", &ids["B"]).await);
    let data = json!({ "type": "spouse", "related_customer_id": bert });
    let (of, data): (AnyId, _) = (anna.parse().unwrap(), data);
    app.store
        .write_blocking(move |tx| {
            tx.emit(&Actor::system(), NewEvent::new("relation.created", AnyId::new(), data.clone()).of_customer(of));
            Ok(())
        })
        .unwrap();
    sequence(&app);
    let seen = |events: Vec<Value>| events[0]["data"].clone();
    let near = told(&app.role_at("listener", "A"), "0", "&type=relation.created").await;
    assert_eq!(seen(near), json!({ "type": "spouse", "related_customer_id": null }));
    assert_eq!(seen(told(&admin, "0", "&type=relation.created").await)["related_customer_id"], json!(bert));
    assert!(told(&app.role_at("listener", "B"), "0", "&type=relation.created").await.is_empty());
}

async fn the_types_are_listed(app: App) {
    let auditor = app.role("auditor");
    let (mut names, mut cursor): (Vec<String>, String) = (Vec::new(), String::new());
    loop {
        let page = auditor.get(&format!("/v1/event-types?limit=40&include_total=true{cursor}")).await.expect(200);
        names.extend(page["items"].as_array().unwrap().iter().map(|item| ledger::text(&item["type"])));
        let Some(next) = page["next_cursor"].as_str() else {
            assert_eq!(page["total"], names.len());
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert!(names.is_sorted() && names.len() > 80);
    for known in ["customer.created", "customer.merged", "client.revoked"] {
        assert!(names.iter().any(|name| name == known), "{known}");
    }
}
