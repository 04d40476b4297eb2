//! `/v1/account-links`

use std::sync::{Arc, Barrier};

use kehu_account_link::link::{self, LinkRole, NewAccountLink};
use kehu_kernel::{Actor, Error};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, customer, owner, text},
    },
};

both_databases!(
    shares_never_pass_the_whole_on_any_day,
    links_begin_change_pass_over_and_end,
    refuses_broken_links,
    all_links_end_with_a_customer,
    one_of_many_primary_owners_wins,
    shares_hold_under_concurrent_writers
);

async fn shares_never_pass_the_whole_on_any_day(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "100", "A", "1.00").await;
    let people = [customer(&admin, "A", &ids["A"]).await, customer(&admin, "B", &ids["A"]).await];
    let link = |who: usize, share: i32, from: &str, to: Option<&str>| json!({ "account_id": id, "customer_id": people[who], "role": "joint_owner", "share_bp": share, "valid_from": from, "valid_to": to });
    admin.post("/v1/account-links", link(0, 6_000, "2024-03-01", None)).await.expect(201);
    admin.post("/v1/account-links", link(1, 5_000, "2024-01-01", Some("2024-03-01"))).await.expect(201);
    // Nobody is over the whole today, but it would be from March on.
    let over = admin.post("/v1/account-links", link(1, 5_000, "2024-02-01", None)).await;
    assert_eq!(over.problem(409), "shares_exceeded");
    let fits = admin.post("/v1/account-links", link(1, 4_000, "2024-03-01", None)).await.expect(201);
    let raised = admin.patch(&format!("/v1/account-links/{}", text(&fits["id"])), 1, json!({ "share_bp": 4_001 })).await;
    assert_eq!(raised.problem(409), "shares_exceeded");
    let listed = admin.get(&format!("/v1/account-links?account_id={id}&as_of=2024-02-15")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

async fn links_begin_change_pass_over_and_end(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "100", "A", "1.00").await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let made = admin.post("/v1/account-links", owner(&id, &anna, true, Some(10_000))).await.expect(201);
    let path = format!("/v1/account-links/{}", text(&made["id"]));
    assert_eq!((&made["customer"]["label"], &made["account"]["label"]), (&json!("Anna"), &json!("****0")));
    let second = admin.post("/v1/account-links", owner(&id, &ben, true, None)).await;
    assert_eq!(second.problem(409), "primary_owner_exists");
    let change = json!({ "signing_rule": "threshold", "signing_threshold": 2 });
    let changed = admin.patch(&path, 1, change).await.expect(200);
    assert_eq!(changed["signing_threshold"], 2);
    let to = json!({ "customer_id": ben, "on": "2024-05-01", "reason": "inheritance" });
    assert_eq!(admin.command(&format!("{path}/transfer"), 1, to.clone()).await.problem(412), "precondition_failed");
    let new = admin.command(&format!("{path}/transfer"), 2, to).await.expect(200);
    assert_eq!(
        (&new["customer"]["label"], &new["primary"], &new["share_bp"], &new["valid_from"], &new["valid_to"]),
        (&json!("Ben"), &json!(true), &json!(10_000), &json!("2024-05-01"), &Value::Null)
    );
    let old = admin.get(&path).await.expect(200);
    assert_eq!((&old["valid_to"], &old["closed_reason"]), (&json!("2024-05-01"), &json!("inheritance")));
    for (day, name) in [("2024-04-30", "Anna"), ("2024-05-01", "Ben")] {
        let page = admin.get(&format!("/v1/account-links?account_id={id}&as_of={day}")).await.expect(200);
        assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["customer"]["label"]), (1, &json!(name)));
    }
    let again = admin.command(&format!("{path}/end"), 3, json!({ "valid_to": "2024-06-01", "reason": "again" })).await;
    assert_eq!(again.problem(409), "account_link_ended");
}

async fn refuses_broken_links(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "100", "A", "1.00").await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let with = |more: Value| {
        let mut body = json!({ "account_id": id, "customer_id": anna, "role": "attorney", "valid_from": "2024-01-01" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, pointers) in [
        (json!({ "primary": true }), vec!["/primary"]),
        (json!({ "valid_to": "2023-12-31" }), vec!["/valid_to"]),
        (json!({ "valid_from": "2019-12-31" }), vec!["/valid_from"]),
        (json!({ "signing_rule": "threshold" }), vec!["/signing_threshold"]),
        (json!({ "share_bp": 10_001 }), vec!["/share_bp"]),
        (json!({ "share_bp": 0 }), vec!["/share_bp"]),
        (json!({ "role": "friend" }), vec!["/role"]),
        (json!({ "customer_id": "01890a5d-ac96-774b-bcce-b302099a8057" }), vec!["/customer_id"]),
        (json!({ "primary": true, "valid_to": "2023-12-31" }), vec!["/primary", "/valid_to"]),
    ] {
        let body = with(more);
        assert_eq!(admin.post("/v1/account-links", body.clone()).await.pointers(422), pointers, "{body}");
    }
    admin.post("/v1/account-links", with(json!({}))).await.expect(201);
    assert_eq!(admin.post("/v1/account-links", with(json!({}))).await.problem(409), "account_link_exists");
    let elsewhere = app.role_at("branch_manager", "B").post("/v1/account-links", with(json!({ "role": "other" }))).await;
    assert!(matches!(elsewhere.status, 403 | 404), "{}", elsewhere.status);
}

async fn all_links_end_with_a_customer(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (one, other) = (account(&admin, "100", "A", "1.00").await, account(&admin, "200", "A", "1.00").await);
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let link = |account: &str, who: &str, role: &str, from: &str, to: Option<&str>| json!({ "account_id": account, "customer_id": who, "role": role, "share_bp": (role == "joint_owner").then_some(5_000), "valid_from": from, "valid_to": to });
    let made = [
        link(&one, &anna, "joint_owner", "2020-01-01", None),
        link(&other, &anna, "attorney", "2024-06-01", None),
        link(&other, &anna, "guarantor", "2020-01-01", Some("2030-01-01")),
        link(&other, &anna, "contact_person", "2020-01-01", Some("2021-01-01")),
        link(&one, &ben, "joint_owner", "2020-01-01", None),
        link(&other, &ben, "owner", "2020-01-01", None),
    ];
    for body in made {
        admin.post("/v1/account-links", body).await.expect(201);
    }
    let ends = async |who: &str| {
        let page = admin.get(&format!("/v1/account-links?customer_id={who}")).await.expect(200);
        let end = |link: &Value| (text(&link["role"]), link["valid_to"].clone(), link["closed_reason"].clone());
        page["items"].as_array().unwrap().iter().map(end).collect::<Vec<_>>()
    };
    let person = format!("/v1/customers/{anna}");
    let dead = admin.patch(&person, 1, json!({ "deceased_on": "2024-03-01" })).await.expect(200);
    let died = json!("The customer has died.");
    let expected = [
        ("joint_owner", "2024-03-01", died.clone()),
        // What began after the death ends before it has begun.
        ("attorney", "2024-06-01", died.clone()),
        ("guarantor", "2024-03-01", died),
        ("contact_person", "2021-01-01", Value::Null),
    ];
    assert_eq!(ends(&anna).await, expected.map(|(role, to, why)| (role.to_owned(), json!(to), why)));
    let others = ends(&ben).await;
    assert!(others.iter().all(|(_, to, _)| to.is_null()), "{others:?}");
    // Until that day all was as it was.
    let page = admin.get(&format!("/v1/account-links?account_id={one}&as_of=2024-02-29")).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    // A second word about the death changes no link.
    let version = dead["version"].as_i64().unwrap();
    admin.patch(&person, version, json!({ "deceased_on": "2024-02-01" })).await.expect(200);
    assert_eq!(ends(&anna).await[0].1, json!("2024-03-01"));
    // Who leaves the bank leaves its accounts; a refused move ends nothing.
    let path = format!("/v1/customers/{ben}/transition");
    let found = admin.get(&format!("/v1/customers/{ben}")).await.expect(200);
    let version = found["version"].as_i64().unwrap();
    let stale = admin.command(&path, version + 1, json!({ "status": "lost", "reason": "moved abroad" })).await;
    assert_eq!(stale.problem(412), "precondition_failed");
    assert!(ends(&ben).await[0].1.is_null());
    let left = admin.command(&path, version, json!({ "status": "lost", "reason": "moved abroad" })).await.expect(200);
    assert_eq!(left["status"], "lost");
    let today = text(&left["updated_at"])[..10].to_owned();
    assert!(ends(&ben).await.iter().all(|(_, to, why)| *to == json!(today) && *why == json!("moved abroad")));
    let told = admin.get(&format!("/v1/customers/{ben}/timeline?limit=200")).await.expect(200);
    let told = told["items"].as_array().unwrap().iter().filter(|entry| entry["event"] == "account_link.ended").count();
    assert_eq!(told, 2);
}

/// Sixty-four writers at once, each with a link of its own; how many got through, and what the others were told.
async fn race(app: &App, link_of: impl Fn(&str) -> NewAccountLink) -> (usize, Vec<&'static str>) {
    const WRITERS: usize = 64;
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let mut people = Vec::new();
    for n in 0..WRITERS {
        people.push(customer(&admin, &format!("Person {n}"), &ids["A"]).await);
    }
    let start = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = people
        .iter()
        .map(|person| {
            let (store, start, new) = (app.store.clone(), Arc::clone(&start), link_of(person));
            std::thread::spawn(move || {
                start.wait();
                store.write_blocking(move |tx| link::create(tx, &Actor::system(), new.clone()))
            })
        })
        .collect();
    let (mut won, mut lost) = (0, Vec::new());
    for writer in writers {
        match writer.join().unwrap() {
            Ok(_) => won += 1,
            Err(Error::Conflict { code, .. }) => lost.push(code),
            Err(other) => panic!("{other}"),
        }
    }
    (won, lost)
}

fn new_link(account: &str, customer: &str, primary: bool, share: Option<i32>) -> NewAccountLink {
    NewAccountLink {
        account_id: account.parse().unwrap(),
        customer_id: customer.parse().unwrap(),
        role: LinkRole::Owner,
        share_bp: share,
        signing_rule: None,
        signing_threshold: None,
        primary,
        valid_from: "2024-01-01".parse().ok(),
        valid_to: None,
        evidence: None,
    }
}

/// An account that needs no bank around it: made by a feed.
async fn bare_account(app: &App) -> String {
    use kehu_account_link::{feed, product::ProductCategory};
    let record = feed::AccountRecord {
        number: "9000".into(),
        product_code: "ANY".into(),
        product_category: Some(ProductCategory::Deposit),
        currency: "CNY".parse().ok(),
        ..feed::AccountRecord::default()
    };
    let source = kehu_kernel::feed::Source::new("core");
    let outcomes = app
        .store
        .write(move |tx| feed::apply_accounts(tx, &Actor::system(), &source, std::slice::from_ref(&record)))
        .await
        .unwrap();
    match outcomes.as_slice() {
        [kehu_kernel::feed::Outcome::Created(id)] => id.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn one_of_many_primary_owners_wins(app: App) {
    let id = bare_account(&app).await;
    let (won, lost) = race(&app, |person| new_link(&id, person, true, None)).await;
    assert_eq!((won, lost.len()), (1, 63));
    assert!(lost.iter().all(|code| *code == "primary_owner_exists"));
}

async fn shares_hold_under_concurrent_writers(app: App) {
    let id = bare_account(&app).await;
    let (won, lost) = race(&app, |person| new_link(&id, person, false, Some(3_000))).await;
    assert_eq!((won, lost.len()), (3, 61));
    assert!(lost.iter().all(|code| *code == "shares_exceeded"));
}
