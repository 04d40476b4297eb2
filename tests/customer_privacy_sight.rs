//! What exports, tags and logs must not lay open: masks, inquiries, and what the bank keeps for itself.

use diesel::{RunQueryDsl, sql_query};
use kehu_api::belonging::REGISTRY;
use kehu_customer::belonging::Holding;
use kehu_kernel::{AnyId, store::Backend};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client, bank,
        customers::{path, person, resident_id},
        filler, ledger, sign,
    },
};

both_databases!(
    an_export_is_no_way_past_a_mask,
    a_customer_is_not_told_who_looks_into_it,
    a_document_tells_nothing_of_the_banks_inside,
    who_asks_again_gets_the_export_that_is_there,
    an_export_holds_all_of_an_account,
    a_definition_is_not_lowered_by_who_does_not_see_it,
    the_access_log_outlives_the_customer,
    consents_have_a_measure
);

fn itself<'a>(app: &'a App, customer: &Value) -> Client<'a> {
    app.token(sign(json!({ "sub": customer["id"], "roles": ["customer_self"], "customer_id": customer["id"] })))
}

fn execute(app: &App, sqlite: &'static str, postgres: &'static str) -> usize {
    let statement = if app.store.backend() == Backend::Sqlite { sqlite } else { postgres };
    app.store.write_blocking(move |tx| Ok(sql_query(statement).execute(&mut tx.db)?)).unwrap()
}

async fn content(app: &App, client: &Client<'_>, customer: &Value) -> Value {
    let asked = client.post(&path(customer, "/privacy/export"), json!({})).await.expect(202);
    app.run_jobs();
    client.get(&format!("/v1/privacy-exports/{}/content", asked["id"].as_str().unwrap())).await.expect(200)
}

async fn an_export_is_no_way_past_a_mask(app: App) {
    let one = person(&app.role("data_steward"), "One", None).await;
    let export = path(&one, "/privacy/export");
    // The right to manage privacy is not the right to see everything.
    let admin = app.role("administrator").with("X-Purpose", "curiosity");
    assert_eq!(admin.post(&export, json!({})).await.problem(403), "forbidden");
    let officer = app.role("privacy_officer").with("X-Purpose", "request");
    let asked = officer.post(&export, json!({})).await.expect(202);
    app.run_jobs();
    let made = format!("/v1/privacy-exports/{}", asked["id"].as_str().unwrap());
    assert_eq!(admin.get(&made).await.expect(200)["state"], "ready");
    assert_eq!(admin.get(&format!("{made}/content")).await.problem(403), "forbidden");
    // Sensitive fields alone are not the numbers.
    let role = json!({ "code": "half", "name": "Half", "field_classes": ["public", "internal", "sensitive"],
        "grants": [{ "action": "privacy.manage", "depth": "all" }] });
    let system = app.token(sign(json!({ "sub": "root", "roles": ["administrator", "privacy_officer"] })));
    system.post("/v1/roles", role).await.expect(201);
    let half = app.role("half").with("X-Purpose", "curiosity");
    assert_eq!(half.post(&export, json!({})).await.problem(403), "forbidden");
    assert_eq!(half.get(&format!("{made}/content")).await.problem(403), "forbidden");
    officer.get(&format!("{made}/content")).await.expect(200);
}

async fn a_customer_is_not_told_who_looks_into_it(app: App) {
    let one = person(&app.role("data_steward"), "One", None).await;
    let inquiry = app.role("privacy_officer").with("X-Purpose", "AML inquiry");
    let secret = inquiry.post(&path(&one, "/privacy/export"), json!({})).await.expect(202);
    app.run_jobs();
    let made = format!("/v1/privacy-exports/{}", secret["id"].as_str().unwrap());
    inquiry.get(&format!("{made}/content")).await.expect(200);
    let me = itself(&app, &one);
    let list = path(&one, "/privacy-exports?include_total=true");
    assert_eq!(me.get(&list).await.expect(200)["total"], 0);
    assert_eq!(me.get(&made).await.problem(404), "not_found");
    assert_eq!(me.get(&format!("{made}/content")).await.problem(404), "not_found");
    // What it asks for itself it gets, and is told of.
    let text = content(&app, &me, &one).await.to_string();
    for hidden in ["AML inquiry", "test-privacy_officer", "privacy_export."] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    let own = me.get(&list).await.expect(200);
    assert_eq!((&own["total"], &own["items"][0]["requested_by"]), (&json!(1), &one["id"]));
    assert_eq!(inquiry.get(&list).await.expect(200)["total"], 2);
}

async fn a_document_tells_nothing_of_the_banks_inside(app: App) {
    let steward = app.role("data_steward");
    let body = json!({ "kind": "personal", "personal": { "full_name": "One" },
        "identities": [{ "type": "resident_id", "number": resident_id("11010519850307002") }] });
    let one = steward.post("/v1/customers", body).await.expect(201);
    let moved = json!({ "status": "active", "reason": "suspicion was cleared" });
    let moved = steward.command(&path(&one, "/transition"), 1, moved).await.expect(200);
    steward.patch(&path(&one, ""), moved["version"].as_i64().unwrap(), json!({ "fraud_flag": true })).await.expect(200);
    let acme = json!({ "kind": "corporate", "organisation": { "legal_name": "Acme" } });
    let acme = steward.post("/v1/customers", acme).await.expect(201);
    let contact = json!({ "name": "One", "person_customer_id": one["id"], "background": "Fudan",
        "employment": { "customer_id": acme["id"], "position": "harpsichord tuner" } });
    let contact = steward.post("/v1/contact-persons", contact).await.expect(201);
    for column in ["coping_strategy", "care_plan"] {
        let statement = format!("UPDATE contact_persons SET {column} = 'keep at a distance'");
        app.store.write_blocking(move |tx| Ok(sql_query(&statement).execute(&mut tx.db)?)).unwrap();
    }
    let document = content(&app, &itself(&app, &one), &one).await;
    let sections = document["sections"].to_string();
    assert!(!sections.contains("suspicion was cleared") && !sections.contains("test-data_steward"), "{sections}");
    for hidden in ["status_reason", "verified_by", "changed_by", "coping_strategy", "keep at a distance", "fraud_flag"] {
        assert!(!sections.contains(hidden), "{hidden}");
    }
    assert_eq!(document["sections"]["access_log"], Value::Null);
    // It is told what is not there, and the rest is.
    let left_out: Vec<(&str, &str)> = document["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["held_in"].as_str().unwrap(), entry["field"].as_str().unwrap_or_default()))
        .collect();
    for told in [("customers", "status_reason"), ("access_log", ""), ("events", "actor"), ("contact_persons", "coping_strategy")]
    {
        assert!(left_out.contains(&told), "{told:?}: {left_out:?}");
    }
    let person = &document["sections"]["contact_persons"][0];
    assert_eq!((&person["id"], &person["background"]), (&contact["id"], &json!("Fudan")));
    assert_eq!(person["employments"][0]["position"], "harpsichord tuner");
    let kinds: Vec<&Value> = document["sections"]["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert!(kinds.contains(&&json!("customer.created")) && !kinds.contains(&&json!("customer.updated")), "{kinds:?}");
}

async fn who_asks_again_gets_the_export_that_is_there(app: App) {
    let one = person(&app.role("data_steward"), "One", None).await;
    let me = itself(&app, &one);
    let export = path(&one, "/privacy/export");
    let first = me.post(&export, json!({})).await.expect(202);
    assert_eq!(me.post(&export, json!({})).await.expect(202)["id"], first["id"]);
    // Somebody else's is another one.
    let officer = app.role("privacy_officer").with("X-Purpose", "request");
    let other = officer.post(&export, json!({})).await.expect(202);
    assert_ne!(other["id"], first["id"]);
    app.run_jobs();
    let again = me.post(&export, json!({})).await.expect(202);
    assert_eq!((&again["id"], &again["state"]), (&first["id"], &json!("ready")));
    assert_eq!(filler::count(&app.store, "jobs", "r.kind = 'privacy_export' AND r.id <> $1", AnyId::new()), 2);
    // A day later there is something new to tell.
    execute(
        &app,
        "UPDATE privacy_exports SET requested_at = requested_at - 86400000000",
        "UPDATE privacy_exports SET requested_at = requested_at - interval '1 day'",
    );
    let later = me.post(&export, json!({})).await.expect(202);
    assert_eq!((later["id"] == first["id"], &later["state"]), (false, &json!("preparing")));
}

async fn an_export_holds_all_of_an_account(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let one = person(&admin, "One", Some(&ids["A"])).await;
    let account = ledger::account(&admin, "6222021234563456", "A", "12.34").await;
    admin.post("/v1/account-links", ledger::owner(&account, one["id"].as_str().unwrap(), true, None)).await.expect(201);
    let account: AnyId = account.parse().unwrap();
    let parts: Vec<&str> = REGISTRY
        .beyond()
        .filter(|beyond| beyond.holding == Holding::Within("account_links") && beyond.table != "accounts")
        .map(|beyond| beyond.table)
        .collect();
    assert_eq!(parts.len(), 7, "{parts:?}");
    for table in &parts {
        if filler::count(&app.store, table, "r.account_id = $1", account) == 0 {
            filler::fill(&app.store, table, &[("account_id", account)]);
        }
    }
    execute(&app, "UPDATE cards SET pan_sealed = NULL, pan_index = NULL", "UPDATE cards SET pan_sealed = NULL, pan_index = NULL");
    let link = content(&app, &itself(&app, &one), &one).await["sections"]["account_links"][0].clone();
    assert_eq!(link["account"]["number"], "6222021234563456");
    for table in &parts {
        let section = if *table == "account_balances" { "balances" } else { table };
        let entries = link[section].as_array().unwrap_or_else(|| panic!("no {section} in {link}"));
        assert!(!entries.is_empty() && entries[0]["account_id"] == json!(account), "{section}: {link}");
    }
    assert_eq!((&link["transactions_only_from"], &link["balances_only_from"]), (&Value::Null, &Value::Null));
}

async fn a_definition_is_not_lowered_by_who_does_not_see_it(app: App) {
    let steward = app.role("data_steward");
    let seer = app.token(sign(json!({ "sub": "seer", "roles": ["data_steward", "privacy_officer"] })));
    let domains = steward.get("/v1/tag-domains").await.expect(200);
    let tag = json!({ "tag_domain_id": domains["items"][0]["id"], "code": "ill", "name": "Ill", "value_type": "flag",
        "field_class": "sensitive" });
    let attribute = json!({ "code": "ill", "name": "Ill", "value_type": "text", "customer_kinds": ["personal"],
        "field_class": "sensitive" });
    for (kind, body) in [("tags", tag), ("attribute-definitions", attribute)] {
        let made = steward.post(&format!("/v1/{kind}"), body).await.expect(201);
        let at = bank::at(kind, &made);
        for class in ["public", "internal"] {
            assert_eq!(steward.patch(&at, 1, json!({ "field_class": class })).await.problem(403), "forbidden", "{kind} {class}");
        }
        let same = steward.patch(&at, 1, json!({ "field_class": "sensitive", "name": "Unwell" })).await.expect(200);
        assert_eq!((&same["name"], &same["version"]), (&json!("Unwell"), &json!(2)));
        assert_eq!(seer.patch(&at, 2, json!({ "field_class": "internal" })).await.expect(200)["field_class"], "internal");
        assert_eq!(steward.patch(&at, 3, json!({ "field_class": "sensitive" })).await.expect(200)["field_class"], "sensitive");
    }
}

async fn the_access_log_outlives_the_customer(app: App) {
    let one = person(&app.role("data_steward"), "One", None).await;
    let officer = app.role("privacy_officer");
    officer.with("X-Purpose", "evidence").get(&path(&one, "")).await.expect(200);
    let log = path(&one, "/access-log");
    let before = app.role("auditor").get(&log).await.expect(200);
    assert_eq!(before["items"][0]["purpose"], "evidence");
    let erase = json!({ "reason": "request" });
    officer.command(&path(&one, "/privacy/erasure"), 1, erase).await.expect(200);
    assert_eq!(officer.get(&log).await.expect(200), before);
    assert_eq!(app.role("auditor").get(&log).await.problem(404), "not_found");
    assert_eq!(itself(&app, &one).get(&log).await.problem(403), "forbidden");
    let nobody = json!({ "id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(officer.get(&path(&nobody, "/access-log")).await.problem(404), "not_found");
}

async fn consents_have_a_measure(app: App) {
    let steward = app.role("data_steward");
    let one = person(&steward, "One", None).await;
    let (me, consents) = (itself(&app, &one), path(&one, "/consents"));
    let say = |state: &str| json!({ "purpose": "marketing", "channel": "sms", "state": state });
    let wrote = execute(
        &app,
        "INSERT INTO consents SELECT randomblob(16), c.id, 'research', 'any', 'granted', 0, NULL, 'staff', 'x', 0
         FROM customers c, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT i FROM n)",
        "INSERT INTO consents SELECT gen_random_uuid(), c.id, 'research', 'any', 'granted', 'epoch', NULL, 'staff', 'x', 'epoch'
         FROM customers c, generate_series(1, 999)",
    );
    assert_eq!(wrote, 999);
    me.post(&consents, say("granted")).await.expect(201);
    assert_eq!(me.post(&consents, say("granted")).await.problem(409), "consents_full");
    // What was granted is taken back nevertheless, once; the bank has room still.
    me.post(&consents, say("withdrawn")).await.expect(201);
    assert_eq!(me.post(&consents, say("withdrawn")).await.problem(409), "consents_full");
    steward.post(&consents, say("granted")).await.expect(201);
    me.post(&consents, json!({ "purpose": "marketing", "state": "refused" })).await.expect(201);
    let current = me.get(&path(&one, "/consents/current")).await.expect(200);
    let items = current["items"].as_array().unwrap();
    let sms = items.iter().find(|item| item["purpose"] == "marketing" && item["channel"] == "sms").unwrap();
    assert_eq!((&sms["state"], &sms["inherited"]), (&json!("refused"), &json!(true)));
}
