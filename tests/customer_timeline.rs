//! `/v1/customers/{id}/timeline`, and what else is told of a customer's past: of the records merged into it, too

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::{
    CustomerId,
    timeline::catalogue::{TOLD, UNTOLD},
};
use kehu_kernel::{
    Action, AnyId, bulk_copy,
    event::Event,
    json::Json,
    schema::{customers, events},
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, customer, owner, text},
        sign,
    },
};

both_databases!(
    all_that_happened_is_told_newest_first,
    kinds_and_times_choose_and_pages_join,
    accounts_are_told_while_they_were_the_customers,
    rights_decide_what_is_told,
    a_customer_is_told_its_own_and_nothing_internal,
    merged_records_are_told_with_their_survivor,
    a_page_is_a_range_of_the_index,
);

fn events_of(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|entry| text(&entry["event"])).collect()
}

fn fact<'a>(entry: &'a Value, name: &str) -> &'a Value {
    let details = entry["details"].as_array().unwrap();
    details.iter().find(|fact| fact["name"] == name).unwrap_or_else(|| panic!("{name} in {entry}"))
}

/// The customer as its own caller.
fn itself(id: &str) -> String {
    sign(json!({ "sub": id, "roles": ["customer_self"], "customer_id": id }))
}

/// Makes one record a part of another, as a merge leaves it.
fn absorb(app: &App, absorbed: &str, survivor: &str) {
    let (absorbed, survivor): (CustomerId, CustomerId) = (absorbed.parse().unwrap(), survivor.parse().unwrap());
    let work = move |tx: &mut kehu_kernel::Tx<'_>| {
        diesel::update(customers::table.find(absorbed)).set(customers::merged_into.eq(survivor)).execute(&mut tx.db)?;
        Ok(())
    };
    app.store.write_blocking(work).unwrap();
}

async fn all_that_happened_is_told_newest_first(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let path = format!("/v1/customers/{anna}");
    admin.post(&format!("{path}/contact-points"), json!({ "kind": "email", "value": "a@example.com" })).await.expect(201);
    admin.patch(&path, 1, json!({ "tier": "gold", "personal": { "occupation": "cook" } })).await.expect(200);
    let relation = json!({ "type": "spouse", "related_customer_id": ben });
    admin.post(&format!("{path}/relations"), relation).await.expect(201);
    let deposit = account(&admin, "100", "A", "1.00").await;
    admin.post("/v1/account-links", owner(&deposit, &anna, true, None)).await.expect(201);
    let page = admin.get(&format!("{path}/timeline?include_total=true")).await.expect(200);
    let expected = [
        "account_link.created",
        "account.created",
        "relation.created",
        "customer.updated",
        "contact_point.created",
        "customer.created",
    ];
    assert_eq!((events_of(&page), &page["total"]), (expected.map(str::to_owned).to_vec(), &json!(6)));
    let entry = |place: usize| &page["items"][place];
    assert_eq!((&entry(4)["kind"], &entry(4)["title"]), (&json!("contact_point"), &json!("Contact point recorded")));
    assert_eq!(entry(4)["subject"]["type"], "contact_point");
    assert_eq!((&entry(4)["actor"], &entry(4)["customer_id"]), (&json!("test-administrator"), &json!(anna)));
    assert_eq!(fact(entry(3), "fields")["value"], "tier, occupation");
    // Ids bring their names along.
    assert_eq!(fact(entry(0), "account_id")["label"], "****0");
    assert_eq!(
        (&fact(entry(2), "type")["value"], &fact(entry(2), "related_customer_id")["label"]),
        (&json!("spouse"), &json!("Ben"))
    );
    assert_eq!(fact(entry(1), "product_id")["label"], "Product SAV");
    assert_eq!(fact(entry(5), "home_branch_id")["label"], "Branch A");
}

async fn kinds_and_times_choose_and_pages_join(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    for number in 0..6 {
        let point = json!({ "kind": "email", "value": format!("a{number}@example.com") });
        admin.post(&format!("/v1/customers/{anna}/contact-points"), point).await.expect(201);
    }
    let path = format!("/v1/customers/{anna}/timeline");
    let whole = admin.get(&path).await.expect(200);
    let all: Vec<Value> = whole["items"].as_array().unwrap().clone();
    assert_eq!((all.len(), &whole["next_cursor"]), (7, &Value::Null));
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{path}?limit=2{cursor}")).await.expect(200);
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, all);
    let of = |rest: &str| format!("{path}?include_total=true&{rest}");
    let profile = admin.get(&of("kind=profile")).await.expect(200);
    assert_eq!((events_of(&profile), &profile["total"]), (vec!["customer.created".to_owned()], &json!(1)));
    let third = text(&all[2]["occurred_at"]);
    let (before, since) =
        (admin.get(&of(&format!("to={third}"))).await.expect(200), admin.get(&of(&format!("from={third}"))).await.expect(200));
    assert_eq!((before["items"].as_array().unwrap().as_slice(), &before["total"]), (&all[3..], &json!(4)));
    assert_eq!((since["items"].as_array().unwrap().as_slice(), &since["total"]), (&all[..3], &json!(3)));
    assert_eq!(admin.get(&format!("{path}?from={third}&to=2001-01-01T00:00:00Z")).await.pointers(400), ["?to"]);
    assert_eq!(admin.get(&format!("{path}?kind=gossip")).await.pointers(400), ["?kind"]);
}

async fn accounts_are_told_while_they_were_the_customers(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let deposit = account(&admin, "100", "A", "1.00").await;
    // Anna's until 2021; what happens to it now is Ben's affair.
    let mut once = owner(&deposit, &anna, true, None);
    once["valid_to"] = json!("2021-01-01");
    admin.post("/v1/account-links", once).await.expect(201);
    let mut now = owner(&deposit, &ben, true, None);
    now["valid_from"] = json!("2021-01-01");
    admin.post("/v1/account-links", now).await.expect(201);
    let told = async |id: &str| events_of(&admin.get(&format!("/v1/customers/{id}/timeline")).await.expect(200));
    assert_eq!(told(&anna).await, ["account_link.created", "customer.created"]);
    assert_eq!(told(&ben).await, ["account_link.created", "account.created", "customer.created"]);
    // Another role in the same account does not tell its events twice.
    let signatory = json!({ "account_id": deposit, "customer_id": ben, "role": "attorney", "valid_from": "2022-01-01" });
    admin.post("/v1/account-links", signatory).await.expect(201);
    assert_eq!(told(&ben).await.iter().filter(|event| *event == "account.created").count(), 1);
}

async fn rights_decide_what_is_told(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let deposit = account(&admin, "100", "A", "1.00").await;
    admin.post("/v1/account-links", owner(&deposit, &anna, true, None)).await.expect(201);
    let staff = json!({ "employee_no": "E1", "name": "Eve", "branch_id": ids["A"], "roles": ["teller"] });
    let eve = admin.post("/v1/staff", staff).await.expect(201)["id"].clone();
    let assignment = json!({ "customer_id": anna, "staff_id": eve, "role": "deputy" });
    admin.post("/v1/assignments", assignment).await.expect(201);
    for (code, granted, expected) in [
        ("greeter", vec![], vec!["customer.created"]),
        ("keeper", vec!["account.read"], vec!["account_link.created", "account.created", "customer.created"]),
        ("planner", vec!["assignment.read"], vec!["assignment.created", "customer.created"]),
    ] {
        let mut grants = vec![json!({ "action": "customer.read", "depth": "all" })];
        grants.extend(granted.iter().map(|action| json!({ "action": action, "depth": "all" })));
        let role = json!({ "code": code, "name": code, "field_classes": ["public", "internal"], "grants": grants });
        admin.post("/v1/roles", role).await.expect(201);
        let page = app.role(code).get(&format!("/v1/customers/{anna}/timeline?include_total=true")).await.expect(200);
        assert_eq!(
            (events_of(&page), &page["total"]),
            (expected.iter().map(|e| (*e).to_owned()).collect(), &json!(expected.len())),
            "{code}"
        );
        if code == "planner" {
            assert_eq!(fact(&page["items"][0], "staff_id")["label"], "Eve");
        }
    }
    // A right that reaches less far than reading the customer is asked of this customer.
    let role = json!({ "code": "narrow", "name": "narrow", "field_classes": ["public", "internal"], "grants": [
        { "action": "customer.read", "depth": "all" }, { "action": "account.read", "depth": "unit" }] });
    admin.post("/v1/roles", role).await.expect(201);
    let told = async |branch: &str| {
        let page = app.role_at("narrow", branch).get(&format!("/v1/customers/{anna}/timeline")).await.expect(200);
        events_of(&page).len()
    };
    assert_eq!((told("A").await, told("B").await), (3, 1));
    let nobodys = app.role_at("teller", "B").get(&format!("/v1/customers/{anna}/timeline")).await;
    assert_eq!(nobodys.problem(404), "not_found");
}

async fn a_customer_is_told_its_own_and_nothing_internal(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let path = format!("/v1/customers/{anna}");
    admin.post(&format!("{path}/contact-points"), json!({ "kind": "email", "value": "a@example.com" })).await.expect(201);
    admin.patch(&path, 1, json!({ "fraud_flag": true })).await.expect(200);
    let relation = json!({ "type": "spouse", "related_customer_id": ben });
    admin.post(&format!("{path}/relations"), relation).await.expect(201);
    let deposit = account(&admin, "100", "A", "1.00").await;
    admin.post("/v1/account-links", owner(&deposit, &anna, true, None)).await.expect(201);
    let caller = app.token(itself(&anna));
    let page = caller.get(&format!("{path}/timeline?include_total=true")).await.expect(200);
    let expected = ["account_link.created", "account.created", "contact_point.created", "customer.created"];
    assert_eq!((events_of(&page), &page["total"]), (expected.map(str::to_owned).to_vec(), &json!(4)));
    assert!(page["items"].as_array().unwrap().iter().all(|entry| entry["actor"].is_null()), "{page}");
    assert!(!page.to_string().contains("fraud"), "{page}");
    let view = caller.get(&format!("{path}/view")).await.expect(200);
    assert_eq!(view["timeline"], page["items"]);
    assert_eq!(caller.get(&format!("/v1/customers/{ben}/timeline")).await.problem(404), "not_found");
    // No kind leads to what is hidden.
    for kind in ["relation", "assignment"] {
        assert_eq!(caller.get(&format!("{path}/timeline?kind={kind}")).await.expect(200)["items"], json!([]), "{kind}");
    }
}

async fn merged_records_are_told_with_their_survivor(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let mut line = Vec::new();
    for number in 0..10 {
        line.push(customer(&admin, &format!("Anna {number}"), &ids["A"]).await);
    }
    admin.patch(&format!("/v1/customers/{}", line[3]), 1, json!({ "tier": "gold" })).await.expect(200);
    let manager = app.role_at("branch_manager", "A").with("X-Purpose", "review");
    manager.get(&format!("/v1/customers/{}", line[4])).await.expect(200);
    // A chain: each is merged into the one before it.
    for pair in line.windows(2).rev() {
        absorb(&app, &pair[1], &pair[0]);
    }
    let path = format!("/v1/customers/{}", line[0]);
    let page = admin.get(&format!("{path}/timeline?include_total=true&limit=4")).await.expect(200);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["total"]), (4, &json!(11)));
    assert_eq!((&page["items"][0]["event"], &page["items"][0]["customer_id"]), (&json!("customer.updated"), &json!(line[3])));
    assert_eq!(page["items"][1]["customer_id"], line[9]);
    let view = admin.get(&format!("{path}/view")).await.expect(200);
    assert_eq!(view["merged_record_count"], 9);
    assert_eq!(view["timeline"][0], page["items"][0]);
    let history = admin.get(&format!("{path}/history?field=tier&include_total=true")).await.expect(200);
    assert_eq!((&history["items"][0]["customer_id"], &history["items"][0]["value"]), (&json!(line[3]), &json!("gold")));
    assert_eq!(history["total"], 2);
    let log = manager.get(&format!("{path}/access-log?include_total=true&action=customer.read")).await.expect(200);
    assert_eq!((&log["items"][0]["customer_id"], &log["total"]), (&json!(line[4]), &json!(1)));
    assert_eq!(manager.get(&format!("{path}/access-log?actor=nobody")).await.expect(200)["items"], json!([]));
    let at = text(&log["items"][0]["at"]);
    assert_eq!(manager.get(&format!("{path}/access-log?to={at}")).await.expect(200)["items"], json!([]));
    assert_eq!(manager.get(&format!("{path}/access-log?from={at}")).await.expect(200)["items"].as_array().unwrap().len(), 1);
    let began = text(&history["items"][0]["valid_from"]);
    let since = admin.get(&format!("{path}/history?field=tier&from={began}")).await.expect(200);
    assert_eq!((since["items"].as_array().unwrap().len(), &since["items"][0]["value"]), (1, &json!("gold")));
}

/// Gives a customer many events, all of one kind.
fn busy(app: &App, id: &str, many: usize) {
    let id: AnyId = id.parse().unwrap();
    let mut left = many;
    while left > 0 {
        let batch = left.min(20_000);
        left -= batch;
        let work = move |tx: &mut kehu_kernel::Tx<'_>| {
            let event = || Event {
                id: AnyId::new(),
                position: None,
                kind: "contact_point.updated".to_owned(),
                subject_id: id,
                customer_id: Some(id),
                account_id: None,
                actor: "system".to_owned(),
                actor_kind: "system".to_owned(),
                on_behalf_by: None,
                request_id: None,
                occurred_at: tx.now,
                data: Json(json!({ "kind": "email" })),
                hash: None,
            };
            let rows: Vec<Event> = std::iter::repeat_with(event).take(batch).collect();
            bulk_copy!(tx, events::table, &rows)?;
            Ok(())
        };
        app.store.write_blocking(work).unwrap();
    }
}

/// `KEHU_EVENTS=1000000` makes it a measurement.
async fn a_page_is_a_range_of_the_index(app: App) {
    let many: usize = std::env::var("KEHU_EVENTS").ok().map_or(20_000, |many| many.parse().unwrap());
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, other) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Other", &ids["A"]).await);
    let idle = customer(&admin, "Idle", &ids["A"]).await;
    for id in [&anna, &other] {
        busy(&app, id, many);
    }
    absorb(&app, &other, &anna);
    let mut took = Vec::new();
    let filters = ["", "&kind=contact_point", "&kind=identity", "&to=2020-01-01T00:00:00Z"];
    for (id, rest) in std::iter::once((&idle, "")).chain(filters.map(|rest| (&anna, rest))) {
        let path = format!("/v1/customers/{id}/timeline?limit=50{rest}");
        let mut best = std::time::Duration::MAX;
        for _ in 0..5 {
            let started = std::time::Instant::now();
            admin.get(&path).await.expect(200);
            best = best.min(started.elapsed());
        }
        took.push((rest, best));
    }
    println!("{many} events of each of two records: {took:?}");
    // Times depend on what else the machine does; nothing that sorts or reads them all a few times over stays below this.
    assert!(took.iter().all(|(_, time)| time.as_micros() < 500_000 + (many as u128) / 2), "{took:?}");
}

/// Every event that the sources name is told in the timeline, or said to be none of a customer's.
#[test]
fn every_event_of_the_sources_is_told_or_said_to_be_untold() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let known: BTreeSet<&str> = TOLD.iter().map(|telling| telling.event).chain(UNTOLD.iter().copied()).collect();
    let actions: BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    let mut named = BTreeSet::new();
    for path in sources(&crates) {
        let source = std::fs::read_to_string(&path).unwrap();
        let emits = ["NewEvent", "announce(", "Retraction", "emit("].iter().any(|word| source.contains(word));
        if !emits || path.ends_with("timeline/catalogue.rs") || path.ends_with("timeline/mod.rs") {
            continue;
        }
        let shipped = source.split("#[cfg(test)]").next().unwrap();
        for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for literal in line.split('"').skip(1).step_by(2).filter(|literal| is_event(literal)) {
                if !actions.contains(literal) {
                    assert!(known.contains(literal), "{} emits {literal}, of which the timeline knows nothing", path.display());
                    named.insert(literal.to_owned());
                }
            }
        }
    }
    assert!(named.len() > 40, "{named:?}");
}

/// `noun.past_participle`; labels of sealed columns (`identities.number`) and explanations look alike but are none.
fn is_event(literal: &str) -> bool {
    let Some((noun, verb)) = literal.split_once('.') else { return false };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let past =
        verb.ends_with("ed") || verb == "done" || ["set", "rate_set", "withdrawn", "given", "taken", "begun"].contains(&verb);
    word(noun) && word(verb) && past
}

fn sources(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: std::path::PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}

/// Events of accounts name no customer; what names one is told to that customer alone.
#[test]
fn links_are_told_to_their_own_customer() {
    for telling in TOLD.iter().filter(|telling| telling.of_account) {
        assert!(!telling.event.starts_with("account_link."), "{}", telling.event);
        assert_eq!(telling.needs, Action::AccountRead, "{}", telling.event);
    }
}
