//! The feeds of customers, as intake uses them.

use std::collections::BTreeMap;

use diesel::{RunQueryDsl, sql_query};
use kehu_customer::feed::{self, ContactPointRecord, CustomerRecord, IdentityRecord, RelationRecord};
use kehu_kernel::{
    Actor,
    feed::{Outcome, Source},
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        customers::{branches, resident_id},
    },
};

both_databases!(
    the_same_batch_again_changes_nothing,
    one_bad_record_stops_no_other,
    finds_customers_by_verified_identity,
    better_sources_win,
    children_wait_for_their_customers,
    a_customer_gets_each_contact_point_once,
    a_thousand_at_once
);

fn customers(app: &App, source: &Source, records: Value) -> Vec<Outcome> {
    let records: Vec<CustomerRecord> = serde_json::from_value(records).unwrap();
    let source = source.clone();
    app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records)).unwrap()
}

fn id(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Created(id) | Outcome::Updated(id) | Outcome::Unchanged(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What became of a record, in a word, or what was wrong with it.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rejected(faults) => faults.iter().map(|fault| fault.pointer.clone()).collect::<Vec<_>>().join(" "),
        Outcome::Parked { waiting_for } => waiting_for.clone(),
        Outcome::Created(_) => "created".into(),
        Outcome::Updated(_) => "updated".into(),
        Outcome::Unchanged(_) => "unchanged".into(),
    }
}

async fn the_same_batch_again_changes_nothing(app: App) {
    let admin = app.role("administrator");
    branches(&admin).await;
    let source = Source::new("core");
    let batch = json!([
        { "source_id": "1", "gender": "female", "birth_date": "1970-12-13", "branch_code": "SH" },
        { "source_id": "2", "full_name": "王伟", "contact_points": [{ "kind": "phone", "value": "13800138000" }] },
        { "source_id": "3", "kind": "corporate", "legal_name": "Example Ltd", "registered_capital": "1000.50" }
    ]);
    let first = customers(&app, &source, batch.clone());
    assert!(first.iter().all(|outcome| matches!(outcome, Outcome::Created(_))), "{first:?}");
    let again = customers(&app, &source, batch);
    assert!(again.iter().all(|outcome| matches!(outcome, Outcome::Unchanged(_))), "{again:?}");
    assert_eq!(first.iter().map(id).collect::<Vec<_>>(), again.iter().map(id).collect::<Vec<_>>());
    let one = admin.get(&format!("/v1/customers/{}", id(&first[0]))).await.expect(200);
    assert_eq!(
        (&one["display_name"], &one["status"], &one["home_branch"]["label"]),
        (&json!("core 1"), &json!("active"), &json!("Branch SH"))
    );
    let firm = admin.get(&format!("/v1/customers/{}", id(&first[2]))).await.expect(200);
    assert_eq!(firm["organisation"]["registered_capital"], json!({ "amount": "1000.50", "currency": "CNY" }));
    let changed = customers(
        &app,
        &source,
        json!([{ "source_id": "1", "gender": "female", "birth_date": "1970-12-14", "employer": "Mill" }]),
    );
    assert!(matches!(changed[..], [Outcome::Updated(_)]), "{changed:?}");
    let history =
        admin.get(&format!("/v1/customers/{}/history?field=birth_date", id(&first[0]))).await.expect(200)["items"].clone();
    assert_eq!(
        (&history[0]["value"], &history[0]["source_system"], &history[1]["value"]),
        (&json!("1970-12-14"), &json!("core"), &json!("1970-12-13"))
    );
    let records = admin.get(&format!("/v1/customers/{}/source-records", id(&first[0]))).await.expect(200)["items"].clone();
    assert_eq!(
        (records.as_array().unwrap().len(), &records[0]["source_id"], &records[0]["match_method"]),
        (1, &json!("1"), &json!("created"))
    );
    // What the record says is sensitive: shown for a purpose, and that is recorded.
    assert_eq!(records[0]["payload"], Value::Null);
    let path = format!("/v1/customers/{}", id(&first[0]));
    let shown = app
        .role_at("branch_manager", "SH")
        .with("X-Purpose", "complaint")
        .get(&format!("{path}/source-records"))
        .await
        .expect(200)["items"][0]
        .clone();
    assert_eq!((&shown["payload"]["employer"], &shown["payload"]["source_id"]), (&json!("Mill"), &json!("1")));
    let log = admin.get(&format!("{path}/access-log")).await.expect(200)["items"].clone();
    let noted: Vec<_> = log.as_array().unwrap().iter().filter(|entry| entry["resource"] == "source_record").collect();
    assert_eq!((noted.len(), &noted[0]["resource_id"], &noted[0]["purpose"]), (1, &shown["id"], &json!("complaint")));
    let teller = app.role_at("teller", "SH").with("X-Purpose", "curiosity");
    assert_eq!(teller.get(&format!("{path}/source-records")).await.expect(200)["items"][0]["payload"], Value::Null);
}

async fn one_bad_record_stops_no_other(app: App) {
    let outcomes = customers(
        &app,
        &Source::new("core"),
        json!([
            { "source_id": "1", "full_name": "A", "birth_date": "2999-01-01", "nationality": "cn" },
            { "source_id": "2", "full_name": "B", "branch_code": "nowhere" },
            { "source_id": "", "full_name": "C" },
            { "source_id": "4", "full_name": "D", "legal_name": "D Ltd" },
            { "source_id": "5", "full_name": "E", "identities": [{ "type": "resident_id", "number": "110105194912310021" }] },
            { "source_id": "6", "full_name": "F" },
            { "source_id": "6", "full_name": "F2" }
        ]),
    );
    let told: Vec<String> = outcomes.iter().map(told).collect();
    assert_eq!(
        told,
        ["/nationality", "branch:core:nowhere", "/source_id", "/legal_name", "/identities/0/number", "created", "updated"]
    );
    let seen = app.role("administrator").get("/v1/customers").await.expect(200)["items"].clone();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["display_name"]), (1, &json!("F2")));
}

async fn finds_customers_by_verified_identity(app: App) {
    let number = resident_id("31010119900307002");
    let record = |id: &str, state: &str| json!({ "source_id": id, "full_name": "李娜", "identities": [{ "type": "resident_id", "number": number, "verification": { "state": state } }] });
    let core = customers(&app, &Source::new("core"), json!([record("1", "verified")]));
    let card = customers(
        &app,
        &Source::new("card"),
        json!([record("K1", "verified"), record("K2", "verified"), record("K3", "unverified")]),
    );
    assert_eq!((id(&card[0]), id(&card[1])), (id(&core[0]), id(&core[0])));
    assert_ne!(id(&card[2]), id(&core[0]));
    let admin = app.role("administrator");
    let records = admin.get(&format!("/v1/customers/{}/source-records", id(&core[0]))).await.expect(200)["items"].clone();
    let methods: Vec<&Value> = records.as_array().unwrap().iter().map(|record| &record["match_method"]).collect();
    assert_eq!(methods, [&json!("created"), &json!("verified_identity"), &json!("verified_identity")]);
    assert_eq!(
        admin.get(&format!("/v1/customers/{}/identities", id(&core[0]))).await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
}

async fn better_sources_win(app: App) {
    for (code, rank) in [("core", 10), ("web", 1)] {
        let precedence = json!({ "profile": rank });
        let id = kehu_kernel::AnyId::new().to_string().replace('-', "");
        let (id, now) = match app.store.backend() {
            kehu_kernel::store::Backend::Sqlite => (format!("x'{id}'"), "0"),
            kehu_kernel::store::Backend::Postgres => (format!("'{id}'"), "now()"),
        };
        let active = if now == "0" { "1" } else { "true" };
        let sql = format!(
            "INSERT INTO source_systems (id, code, name, precedence, active, created_at, updated_at, version)
            VALUES ({id}, '{code}', '{code}', '{precedence}', {active}, {now}, {now}, 1)"
        );
        app.store.write_blocking(move |tx| Ok(sql_query(&sql).execute(&mut tx.db)?)).unwrap();
    }
    let ranked =
        |code: &str, rank: i32| Source { precedence: BTreeMap::from([("profile".to_owned(), rank)]), ..Source::new(code) };
    let (core, web) = (ranked("core", 10), ranked("web", 1));
    let passport = json!([{ "type": "passport", "number": "E12345678", "verification": { "state": "verified" } }]);
    let made =
        customers(&app, &core, json!([{ "source_id": "1", "full_name": "Li Na", "employer": "Mill", "identities": passport }]));
    let said = json!([{ "source_id": "w", "full_name": "Lena", "employer": "Harbour", "occupation": "clerk", "identities": passport,
        "observed_at": "2026-01-02T03:04:05Z", "confidence_bp": 7000 }]);
    assert_eq!(id(&customers(&app, &web, said)[0]), id(&made[0]));
    let admin = app.role("administrator");
    let at = format!("/v1/customers/{}", id(&made[0]));
    let seen = admin.get(&at).await.expect(200);
    // What the better source did not say, the other may.
    assert_eq!((&seen["personal"]["employer"], &seen["personal"]["occupation"]), (&json!("Mill"), &json!("clerk")));
    assert_eq!(seen["display_name"], "Li Na");
    let noted = admin.get(&format!("{at}/history?field=employer")).await.expect(200)["items"][0].clone();
    assert_eq!(
        (&noted["value"], &noted["source_system"], &noted["confidence_bp"]),
        (&json!("Harbour"), &json!("web"), &json!(7000))
    );
    assert_eq!((&noted["observed_at"], &noted["duration_seconds"]), (&json!("2026-01-02T03:04:05Z"), &json!(0)));
    customers(&app, &core, json!([{ "source_id": "1", "full_name": "Li Na", "employer": "Mill", "occupation": "director" }]));
    assert_eq!(admin.get(&at).await.expect(200)["personal"]["occupation"], "director");
}

async fn a_customer_gets_each_contact_point_once(app: App) {
    let source = Source::new("core");
    let made =
        customers(&app, &source, json!([{ "source_id": "1", "full_name": "王伟" }, { "source_id": "2", "full_name": "李娜" }]));
    let admin = app.role("administrator");
    let points = |of: &Outcome| format!("/v1/customers/{}/contact-points", id(of));
    let ended = admin.post(&points(&made[0]), json!({ "kind": "phone", "value": "13800138009" })).await.expect(201);
    let end = format!("{}/{}/end", points(&made[0]), ended["id"].as_str().unwrap());
    admin.command(&end, 1, json!({})).await.expect(200);
    let said = json!([
        { "customer_source_id": "1", "kind": "phone", "value": "13800138000" },
        { "customer_source_id": "1", "kind": "phone", "value": "+86 138 0013 8000" },
        { "customer_source_id": "2", "kind": "phone", "value": "13800138000" },
        { "customer_source_id": "1", "kind": "phone", "value": "13800138009" },
        { "customer_source_id": "1", "kind": "phone", "value": "none" },
        { "customer_source_id": "3", "kind": "phone", "value": "13800138001" }
    ]);
    let records: Vec<ContactPointRecord> = serde_json::from_value(said).unwrap();
    let apply = || {
        let (source, records) = (source.clone(), records.clone());
        app.store.write_blocking(move |tx| feed::contact_points::apply(tx, &Actor::system(), &source, &records)).unwrap()
    };
    let words = |outcomes: &[Outcome]| outcomes.iter().map(told).collect::<Vec<_>>();
    // What ended is not brought back.
    assert_eq!(words(&apply()), ["created", "unchanged", "created", "unchanged", "/value", "customer:core:3"]);
    assert_eq!(words(&apply()), ["unchanged", "unchanged", "unchanged", "unchanged", "/value", "customer:core:3"]);
    for customer in &made {
        let held = admin.get(&points(customer)).await.expect(200)["items"].clone();
        let held: Vec<&Value> = held.as_array().unwrap().iter().filter(|point| point["valid_to"].is_null()).collect();
        assert_eq!(held.iter().map(|point| &point["normalised"]).collect::<Vec<_>>(), [&json!("+8613800138000")]);
        // Its ratios and what it is compared by came with it.
        let quality = admin.get(&format!("/v1/customers/{}", id(customer))).await.expect(200)["data_quality"].clone();
        assert_ne!(quality["accuracy_bp"], json!(0));
    }
}

async fn children_wait_for_their_customers(app: App) {
    let source = Source::new("core");
    let identity = json!([{ "customer_source_id": "1", "type": "passport", "number": "E12345678" }, { "customer_source_id": "1", "type": "lei", "number": "x" }]);
    let point = json!([{ "customer_source_id": "1", "kind": "email", "value": "a@b.cn" }]);
    let relation =
        json!([{ "customer_source_id": "1", "related_customer_source_id": "2", "type": "spouse", "valid_from": "2020-01-01" }]);
    let apply = || {
        let identities: Vec<IdentityRecord> = serde_json::from_value(identity.clone()).unwrap();
        let points: Vec<ContactPointRecord> = serde_json::from_value(point.clone()).unwrap();
        let relations: Vec<RelationRecord> = serde_json::from_value(relation.clone()).unwrap();
        let source = source.clone();
        app.store
            .write_blocking(move |tx| {
                let actor = Actor::system();
                let mut outcomes = feed::identities::apply(tx, &actor, &source, &identities)?;
                outcomes.extend(feed::contact_points::apply(tx, &actor, &source, &points)?);
                outcomes.extend(feed::relations::apply(tx, &actor, &source, &relations)?);
                Ok(outcomes)
            })
            .unwrap()
    };
    let parked = apply();
    assert!(parked.iter().all(|outcome| *outcome == Outcome::Parked { waiting_for: "customer:core:1".into() }), "{parked:?}");
    customers(&app, &source, json!([{ "source_id": "1", "full_name": "A" }, { "source_id": "2", "full_name": "B" }]));
    let taken = apply();
    use Outcome::{Created, Rejected, Unchanged};
    assert!(matches!(&taken[..], [Created(_), Rejected(_), Created(_), Created(_)]), "{taken:?}");
    let again = apply();
    assert!(matches!(&again[..], [Unchanged(_), Rejected(_), Unchanged(_), Unchanged(_)]), "{again:?}");
}

/// One batch of the usual size, to be sure that it fits into the statements' limits.
async fn a_thousand_at_once(app: App) {
    let batch: Vec<Value> = (0..1_000)
        .map(|n| {
            json!({ "source_id": n.to_string(), "full_name": format!("Person {n}"), "birth_date": "1980-01-01",
                "identities": [{ "type": "passport", "number": format!("E{n:08}"), "verification": { "state": "verified" } }],
                "contact_points": [{ "kind": "phone", "value": format!("138{n:08}") }, { "kind": "email", "value": format!("p{n}@example.com") }] })
        })
        .collect();
    let first = customers(&app, &Source::new("core"), json!(batch));
    assert!(first.iter().all(|outcome| matches!(outcome, Outcome::Created(_))));
    assert_eq!(app.role("administrator").get("/v1/customers?limit=1&include_total=true").await.expect(200)["total"], 1000);
}
