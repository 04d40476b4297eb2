//! What is left of an erased customer outside its own records: kept answers, imports, events, records of others.

use kehu_account_link::feed::{AccountLinkRecord, apply_account_links};
use kehu_kernel::{
    Actor, AnyId,
    feed::{Outcome, Source},
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    import::{counts, errors, import, mapping, prepare, upload},
    support::{
        App,
        customers::{path, person, resident_id},
        filler, ledger,
    },
};

both_databases!(
    what_only_reads_is_not_kept,
    answers_from_before_an_erasure_are_not_given_again,
    imports_forget_an_erased_customer,
    samples_go_when_the_import_ends,
    why_a_duplicate_was_allowed_is_erased,
    others_do_not_name_an_erased_customer,
    owners_that_are_customers_are_there,
    an_account_link_of_an_erased_customer_is_refused
);

const NAME: &str = "Quixotina Vandermeulen";

async fn erase(app: &App, id: &Value) {
    let officer = app.role("privacy_officer");
    let customer = json!({ "id": id });
    let version = officer.get(&path(&customer, "")).await.expect(200)["version"].as_i64().unwrap();
    let reason = json!({ "reason": "request" });
    officer.command(&path(&customer, "/privacy/erasure"), version, reason).await.expect(200);
}

fn nowhere(app: &App, text: &str) {
    assert_eq!(filler::places_of(&app.store, text), Vec::<String>::new(), "{text}");
}

async fn what_only_reads_is_not_kept(app: App) {
    let steward = app.role("data_steward").with("Idempotency-Key", "k-1").with("X-Purpose", "test");
    let number = resident_id("11010519850307002");
    let body = json!({ "kind": "personal", "personal": { "full_name": NAME, "birth_date": "1985-03-07" },
        "identities": [{ "type": "resident_id", "number": number }],
        "contact_points": [{ "kind": "phone", "value": "+8613912345678" }] });
    let one = steward.post("/v1/customers", body).await.expect(201);
    let identity = steward.get(&path(&one, "/identities")).await.expect(200)["items"][0]["id"].clone();
    let reveal = path(&one, &format!("/identities/{}/reveal", identity.as_str().unwrap()));
    let asked = [
        ("/v1/customers/lookup".to_owned(), json!({ "phone": "13912345678" })),
        ("/v1/customers/search".into(), json!({ "q": NAME })),
        ("/v1/customers/match".into(), json!({ "phones": ["13912345678"] })),
        (path(&one, "/match"), json!({})),
        (reveal.clone(), json!({ "purpose": "test" })),
    ];
    for (path, body) in &asked {
        for _ in 0..2 {
            let answer = steward.post(path, body.clone()).await;
            assert!(answer.header("idempotency-replayed").is_none(), "{path}");
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    // A number that was shown twice was shown twice.
    let log = app.role("auditor").get(&path(&one, "/access-log?action=customer.reveal")).await.expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 2, "{log}");
    // A key stays a key.
    let keys = steward.with("Idempotency-Key", "a b");
    assert_eq!(keys.post("/v1/customers/lookup", asked[0].1.clone()).await.problem(400), "invalid_idempotency_key");
    erase(&app, &one["id"]).await;
    assert_eq!(steward.post("/v1/customers/lookup", asked[0].1.clone()).await.expect(200)["items"], json!([]));
    assert_eq!(steward.post(&reveal, json!({ "purpose": "test" })).await.problem(404), "not_found");
}

async fn answers_from_before_an_erasure_are_not_given_again(app: App) {
    let steward = app.role("data_steward");
    let keyed = steward.with("Idempotency-Key", "k-1");
    let body = json!({ "kind": "personal", "personal": { "full_name": NAME } });
    let one = keyed.post("/v1/customers", body.clone()).await.expect(201);
    let again = keyed.post("/v1/customers", body.clone()).await;
    assert_eq!(again.header("idempotency-replayed").as_deref(), Some("true"));
    // A dry run forgets nothing.
    let officer = app.role("privacy_officer").with("Idempotency-Key", "e-1");
    let dry = json!({ "reason": "request", "dry_run": true });
    officer.command(&path(&one, "/privacy/erasure"), 1, dry).await.expect(200);
    let kept = || filler::count(&app.store, "idempotency_keys", "r.body_sealed IS NOT NULL AND r.row_id <> $1", AnyId::new());
    assert_eq!(kept(), 2);
    erase(&app, &one["id"]).await;
    assert_eq!(kept(), 0);
    assert_eq!(keyed.post("/v1/customers", body).await.problem(409), "idempotency_answer_lost");
    assert_eq!(steward.get("/v1/customers?include_total=true").await.expect(200)["total"], 0, "nothing was made again");
}

async fn imports_forget_an_erased_customer(app: App) {
    let admin = app.role("administrator");
    let mapping = prepare(&admin, mapping()).await;
    let head = "id,name,sex,born,branch,status";
    let first = format!("{head}\n1,{NAME},F,02.01.1970,,A\n");
    import(&app, &mapping, &[("clients.csv", &first)]).await;
    let id = admin.get("/v1/customers").await.expect(200)["items"][0]["id"].clone();
    // Of her: a value that is no sex, a branch that has not come, and two rows of which nobody knows whose they are.
    let rows = format!(
        "{head}\n1,Q. Vandermeulen,Z,02.01.1970,,A\n1,Quixotina V.,F,02.01.1970,B9,A\n1,{NAME}\n,{NAME},F,02.01.1970,,A\n\
         2,Somebody Else,Z,02.01.1970,,A\n3,Too Few\n4,Waits,F,02.01.1970,B9,A\n"
    );
    let told = import(&app, &mapping, &[("clients.csv", &rows)]).await;
    assert_eq!(counts(&told), [8, 0, 0, 1, 5, 2]);
    let preview: [(&str, &[u8]); 1] = [("clients.csv", first.as_bytes())];
    let preview = upload(&app, &mapping, &preview, &[("preview_only", "true")]).await;
    assert!(preview["preview"]["samples"].to_string().contains(NAME), "{preview}");
    erase(&app, &id).await;
    let after = admin.get(&crate::import::path(&told)).await.expect(200);
    assert_eq!(counts(&after), [8, 0, 0, 1, 6, 1]);
    let rows = errors(&app, &told).await;
    assert_eq!(rows.len(), 7);
    for row in &rows {
        let hers = row["row"].as_i64().unwrap() <= 4;
        assert_eq!(hers, row["errors"][0]["code"] == "erased", "{row}");
        assert_eq!(hers, row["record"] == json!({}), "{row}");
        assert_eq!(hers || row["row"] != 7, row["state"] == "rejected", "{row}");
    }
    let preview = admin.get(&crate::import::path(&preview)).await.expect(200);
    assert_eq!(preview["preview"]["samples"], Value::Null);
    // Tried again, they stay what they are.
    let version = after["version"].as_i64().unwrap();
    admin.command(&format!("{}/replay", crate::import::path(&told)), version, json!({})).await.expect(200);
    assert!(!json!(errors(&app, &told).await).to_string().contains("Vandermeulen"));
}

async fn samples_go_when_the_import_ends(app: App) {
    let admin = app.role("administrator");
    let mapping = prepare(&admin, mapping()).await;
    let rows = format!("id,name,sex,born,branch,status\n1,{NAME},F,02.01.1970,,A\n");
    let seen = upload(&app, &mapping, &[("clients.csv", rows.as_bytes())], &[("preview_only", "true")]).await;
    assert!(seen["preview"]["samples"].to_string().contains(NAME));
    let run = format!("{}/run", crate::import::path(&seen));
    admin.command(&run, seen["version"].as_i64().unwrap(), json!({})).await.expect(202);
    app.run_jobs();
    let done = admin.get(&crate::import::path(&seen)).await.expect(200);
    assert_eq!((&done["state"], &done["preview"]["samples"]), (&json!("done"), &Value::Null));
    assert_eq!(done["preview"]["files"], seen["preview"]["files"]);
}

async fn why_a_duplicate_was_allowed_is_erased(app: App) {
    let steward = app.role("data_steward");
    let twin = |reason: &str| {
        json!({ "kind": "personal", "personal": { "full_name": NAME, "birth_date": "1985-03-07" },
            "contact_points": [{ "kind": "phone", "value": "+8613912345678" }], "allow_duplicate": { "reason": reason } })
    };
    let one = steward.post("/v1/customers", twin("the only one")).await.expect(201);
    steward.post("/v1/customers", twin("twin of Xaverine")).await.expect(201);
    assert_eq!(filler::places_of(&app.store, "twin of Xaverine"), ["duplicate_allowances.reason"]);
    erase(&app, &one["id"]).await;
    nowhere(&app, "the only one");
    assert_eq!(filler::places_of(&app.store, "twin of Xaverine"), ["duplicate_allowances.reason"]);
}

async fn others_do_not_name_an_erased_customer(app: App) {
    let steward = app.role("data_steward");
    let one = person(&steward, NAME, None).await;
    let owners = json!([{ "name": "Q. Vandermeulen", "customer_id": one["id"], "share_bp": 4000 }, { "name": "Somebody Else" }]);
    let body = json!({ "kind": "corporate", "organisation": { "legal_name": "Acme", "main_shareholders": owners,
        "management": [{ "person": NAME, "position": "director" }, { "person": "Somebody Else", "position": "deputy" }] } });
    let acme = steward.post("/v1/customers", body).await.expect(201);
    // Values of before stand in the history.
    let change = json!({ "organisation": { "main_shareholders": [{ "name": NAME, "share_bp": 5000 }] } });
    steward.patch(&path(&acme, ""), 1, change).await.expect(200);
    // Where she works, and what is said of her there.
    let contact = |name: &str, more: Value| {
        let mut body = json!({ "name": name });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let employment = json!({ "customer_id": acme["id"], "position": "harpsichord tuner", "department": "Keyboards" });
    let her = contact("Q.", json!({ "person_customer_id": one["id"], "employment": employment }));
    let her = steward.post("/v1/contact-persons", her).await.expect(201);
    let employment = json!({ "customer_id": acme["id"], "position": "organ builder" });
    let other = steward.post("/v1/contact-persons", contact("Other", json!({ "employment": employment }))).await.expect(201);
    let at = format!("/v1/contact-persons/{}/relations", other["id"].as_str().unwrap());
    let relation = json!({ "related_contact_person_id": her["id"], "type": "relative", "note": "aunt of Quixotina" });
    steward.post(&at, relation).await.expect(201);
    // A namesake manages a company that has nothing to do with her.
    let far = json!({ "kind": "corporate", "organisation": { "legal_name": "Far",
        "management": [{ "person": "Wang Fang", "position": "director" }] } });
    steward.post("/v1/customers", far).await.expect(201);
    let before = steward.get(&path(&acme, "")).await.expect(200)["version"].as_i64().unwrap();
    erase(&app, &one["id"]).await;
    for text in ["Vandermeulen", "Quixotina", "harpsichord tuner", "Keyboards"] {
        nowhere(&app, text);
    }
    let acme = steward.get(&path(&acme, "")).await.expect(200);
    assert_eq!(acme["version"], before + 1);
    let profile = &acme["organisation"];
    assert_eq!(profile["main_shareholders"], json!([{ "name": "Erased person", "customer_id": null, "share_bp": 5000 }]));
    assert_eq!(profile["management"][0], json!({ "person": "Erased person", "position": "director" }));
    assert_eq!(profile["management"][1]["person"], "Somebody Else");
    assert!(!filler::places_of(&app.store, "organ builder").is_empty() && !filler::places_of(&app.store, "Wang Fang").is_empty());
}

async fn owners_that_are_customers_are_there(app: App) {
    let steward = app.role("data_steward");
    let (one, gone) = (person(&steward, "One", None).await, person(&steward, "Gone", None).await);
    erase(&app, &gone["id"]).await;
    let body = |id: &Value| {
        json!({ "kind": "corporate", "organisation": { "legal_name": "Acme",
            "main_shareholders": [{ "name": "Free" }, { "name": "Owner", "customer_id": id }] } })
    };
    let pointer = ["/organisation/main_shareholders/1/customer_id"];
    for id in [&gone["id"], &json!("01890a5d-ac96-774b-bcce-b302099a8057")] {
        assert_eq!(steward.post("/v1/customers", body(id)).await.pointers(422), pointer);
    }
    let acme = steward.post("/v1/customers", body(&one["id"])).await.expect(201);
    let change = |id: &Value| json!({ "organisation": { "main_shareholders": [{ "name": "Owner", "customer_id": id }] } });
    let pointer = ["/organisation/main_shareholders/0/customer_id"];
    assert_eq!(steward.patch(&path(&acme, ""), 1, change(&gone["id"])).await.pointers(422), pointer);
    steward.patch(&path(&acme, ""), 1, change(&one["id"])).await.expect(200);
}

async fn an_account_link_of_an_erased_customer_is_refused(app: App) {
    let admin = app.role("administrator");
    ledger::bank(&admin).await;
    let mapping = prepare(&admin, mapping()).await;
    let rows = format!("id,name,sex,born,branch,status\n7,{NAME},F,02.01.1970,A,A\n");
    import(&app, &mapping, &[("clients.csv", &rows)]).await;
    let customers = admin.get("/v1/customers").await.expect(200);
    ledger::account(&admin, "6222021234563456", "A", "1.00").await;
    erase(&app, &customers["items"][0]["id"]).await;
    let records = json!([
        { "source_id": "l1", "customer_source_id": "7", "account_number": "6222021234563456", "role": "owner" },
        { "source_id": "l2", "customer_source_id": "8", "account_number": "6222021234563456", "role": "owner" },
    ]);
    let records: Vec<AccountLinkRecord> = serde_json::from_value(records).unwrap();
    let told =
        app.store.write_blocking(move |tx| apply_account_links(tx, &Actor::system(), &Source::new("core"), &records)).unwrap();
    assert!(matches!(&told[0], Outcome::Rejected(faults) if faults[0].code == "erased"), "{told:?}");
    assert!(matches!(&told[1], Outcome::Parked { .. }), "{told:?}");
}
