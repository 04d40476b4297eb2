//! Exports of all that is held, erasures and legal holds.

use diesel::{RunQueryDsl, sql_query};
use kehu_api::belonging::REGISTRY;
use kehu_customer::{
    belonging::{OnErasure, OnExport},
    feed::{self, ContactPointRecord, CustomerRecord, RelationRecord},
    privacy,
};
use kehu_kernel::{
    Actor, AnyId, event,
    feed::{Outcome, Source},
    job::Runner,
    store::sql,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{path, person, resident_id},
        filler::{self, MARK},
        ledger, sign,
    },
};

both_databases!(
    an_export_holds_a_row_of_every_table,
    an_export_is_for_few_and_for_a_while,
    a_job_that_was_taken_over_makes_the_export_once,
    an_erasure_is_refused_with_all_that_stands_in_its_way,
    an_erasure_leaves_a_tombstone_and_the_audit,
    a_source_does_not_bring_an_erased_customer_back,
    an_import_keeps_nothing_of_an_erased_customer,
    legal_holds_are_placed_and_released
);

const NAME: &str = "Quixotina Vandermeulen";
const PHONE: &str = "+8613912345678";
const EMAIL: &str = "quixotina@example.com";

/// A customer with a little of everything that the API can make; itself, a relative, and an account that it has left.
async fn rich(app: &App) -> (Value, Value, Value) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let number = resident_id("11010519850307002");
    let body = json!({ "kind": "personal", "home_branch_id": ids["A"],
        "personal": { "full_name": NAME, "occupation": "harpsichord maker" },
        "identities": [{ "type": "resident_id", "number": number }],
        "contact_points": [{ "kind": "phone", "value": PHONE }, { "kind": "email", "value": EMAIL }] });
    let customer = admin.post("/v1/customers", body).await.expect(201);
    let change = json!({ "tier": "gold", "fraud_flag": true, "personal": { "occupation": "organ builder" } });
    admin.patch(&path(&customer, ""), 1, change).await.expect(200);
    let moved = json!({ "status": "active", "reason": "opened an account, says Vandermeulen" });
    admin.command(&path(&customer, "/transition"), 2, moved).await.expect(200);
    let relative = person(&admin, "Relative", Some(&ids["A"])).await;
    for (one, other) in [(&customer, &relative), (&relative, &customer)] {
        let body = json!({ "related_customer_id": other["id"], "type": "parent", "role": "Vandermeulen" });
        admin.post(&path(one, "/relations"), body).await.expect(201);
    }
    let account = ledger::account(&admin, "6222021234563456", "A", "12.34").await;
    let mut owner = ledger::owner(&account, customer["id"].as_str().unwrap(), true, None);
    owner["evidence"] = json!("signed by Vandermeulen");
    let link = admin.post("/v1/account-links", owner).await.expect(201);
    let staff = json!({ "employee_no": "E1", "name": "Manager", "branch_id": ids["A"], "roles": ["relationship_manager"] });
    let staff = admin.post("/v1/staff", staff).await.expect(201);
    let assigned =
        json!({ "customer_id": customer["id"], "staff_id": staff["id"], "role": "primary", "reason": "knows Vandermeulen" });
    admin.post("/v1/assignments", assigned).await.expect(201);
    // A read that is recorded.
    let officer = app.role("privacy_officer").with("X-Purpose", "test");
    let customer = officer.get(&path(&customer, "")).await.expect(200);
    (customer, relative, link)
}

/// A row of every registered table that has none of the customer yet.
fn fill_the_rest(app: &App, customer: &Value, relative: &Value, but: &[&str]) {
    let (id, other): (AnyId, AnyId) = (parse(customer), parse(relative));
    for belonging in REGISTRY.iter() {
        let condition = format!("r.{} = $1", belonging.column);
        let there = filler::count(&app.store, belonging.table, &condition, id) > 0;
        if there || belonging.table == "customers" || but.contains(&belonging.table) {
            continue;
        }
        let mut given = vec![(belonging.column, id)];
        let others = ["customer_id", "left_id", "right_id", "related_customer_id", "survivor_id"];
        given.extend(others.iter().filter(|column| **column != belonging.column).map(|column| (*column, other)));
        filler::fill(&app.store, belonging.table, &given);
    }
}

fn parse(record: &Value) -> AnyId {
    record["id"].as_str().unwrap().parse().unwrap()
}

async fn exported(app: &App, customer: &Value) -> Value {
    let officer = app.role("privacy_officer").with("X-Purpose", "request of the customer");
    let asked = officer.post(&path(customer, "/privacy/export"), json!({})).await.expect(202);
    app.run_jobs();
    officer.get(&format!("/v1/privacy-exports/{}/content", asked["id"].as_str().unwrap())).await.expect(200)
}

async fn an_export_holds_a_row_of_every_table(app: App) {
    let (customer, relative, _) = rich(&app).await;
    fill_the_rest(&app, &customer, &relative, &[]);
    // A record that was absorbed is the customer, too.
    let absorbed = person(&app.role("administrator"), "Tina Vandermeulen", None).await;
    absorb(&app, &absorbed, &customer);
    let content = exported(&app, &customer).await;
    let text = content.to_string();
    let records = json!([customer["id"], absorbed["id"]]);
    assert_eq!(content["records"], records);
    let mut sections = 0;
    for belonging in REGISTRY.iter() {
        let held = filler::count(&app.store, belonging.table, &format!("r.{} = $1", belonging.column), parse(&customer));
        match belonging.export {
            OnExport::No(reason) => {
                let told = |entry: &&Value| entry["held_in"] == belonging.table && entry["reason"] == reason;
                assert!(content["left_out"].as_array().unwrap().iter().find(told).is_some(), "{}", belonging.table);
            }
            OnExport::Rows { section, .. } | OnExport::Read { section, .. } => {
                assert!(held > 0, "the test has no row in {}", belonging.table);
                let shown = content["sections"][section].as_array().unwrap_or_else(|| panic!("no section {section}"));
                let of = |row: &&Value| row.get(belonging.column).is_none_or(|id| *id == customer["id"]);
                assert!(!shown.iter().filter(of).collect::<Vec<_>>().is_empty(), "{section}.{}", belonging.column);
                sections += 1;
            }
        }
    }
    assert!(sections > 12, "{sections}");
    // Numbers in full, the absorbed name, what changed; but no suspicion, no assessment, nobody else's name.
    for there in
        [&resident_id("11010519850307002"), "6222021234563456", PHONE, EMAIL, "Tina Vandermeulen", "harpsichord maker", MARK]
    {
        assert!(text.contains(there), "{there}");
    }
    let sections = content["sections"].to_string();
    for hidden in ["fraud_flag", "credit_rating", "sealed", "number_index", "content_hash"] {
        assert!(!sections.contains(hidden), "{hidden}");
    }
    let point = &content["sections"]["contact_points"][0];
    assert!(point["preferred"].is_boolean() && point["id"].as_str().unwrap().len() == 36, "{point}");
    assert!(point["created_at"].as_str().unwrap().ends_with('Z'), "{point}");
    let audit = app.role("auditor").get(&path(&customer, "/access-log")).await.expect(200);
    assert!(audit["items"].as_array().unwrap().iter().any(|entry| entry["action"] == "privacy.export"), "{audit}");
}

/// As a merge leaves it.
fn absorb(app: &App, absorbed: &Value, survivor: &Value) {
    let (absorbed, survivor) = (parse(absorbed), parse(survivor));
    execute(app, "UPDATE customers SET merged_into = $1 WHERE id = $2", &[survivor, absorbed]);
}

fn execute(app: &App, statement: &str, ids: &[AnyId]) {
    let (statement, ids) = (statement.to_owned(), ids.to_vec());
    let changed = app.store.write_blocking(move |tx| {
        let mut query = sql_query(statement.clone()).into_boxed();
        for id in &ids {
            query = query.bind::<sql::Uuid, _>(*id);
        }
        Ok(query.execute(&mut tx.db)?)
    });
    assert_eq!(changed.unwrap(), 1);
}

fn itself<'a>(app: &'a App, customer: &Value) -> Client<'a> {
    app.token(sign(json!({ "sub": customer["id"], "roles": ["customer_self"], "customer_id": customer["id"] })))
}

async fn an_export_is_for_few_and_for_a_while(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (person(&admin, "One", None).await, person(&admin, "Other", None).await);
    let export = path(&one, "/privacy/export");
    assert_eq!(app.role("privacy_officer").post(&export, json!({})).await.pointers(400), ["?X-Purpose"]);
    assert_eq!(app.role("data_steward").with("X-Purpose", "x").post(&export, json!({})).await.problem(403), "forbidden");
    let (me, stranger) = (itself(&app, &one), itself(&app, &other));
    assert_eq!(stranger.post(&export, json!({})).await.problem(404), "not_found");
    let answer = me.post(&export, json!({})).await;
    let location = answer.header("location").unwrap();
    let asked = answer.expect(202);
    assert_eq!((&asked["state"], &asked["customer_id"]), (&json!("preparing"), &one["id"]));
    assert_eq!(location, format!("/v1/privacy-exports/{}", asked["id"].as_str().unwrap()));
    let content = format!("{location}/content");
    assert_eq!(me.get(&content).await.problem(409), "export_not_ready");
    app.run_jobs();
    let done = me.get(&location).await.expect(200);
    assert_eq!((&done["state"], done["expires_at"].is_string()), (&json!("ready"), true));
    assert_eq!(
        me.get(&format!("/v1/jobs/{}", asked["job_id"].as_str().unwrap())).await.expect(200)["result"]["export_id"],
        asked["id"]
    );
    assert_eq!(me.get(&content).await.expect(200)["sections"]["customers"][0]["display_name"], "One");
    assert_eq!(stranger.get(&location).await.problem(404), "not_found");
    assert_eq!(stranger.get(&content).await.problem(404), "not_found");
    assert_eq!(app.role("teller").get(&content).await.problem(403), "forbidden");
    let list = app.role("privacy_officer").get(&path(&one, "/privacy-exports?include_total=true")).await.expect(200);
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &asked["id"]));
    assert_eq!(stranger.get(&path(&one, "/privacy-exports")).await.problem(404), "not_found");
    // It expires, and is swept out.
    assert_eq!(privacy::sweep(&app.store).unwrap(), 0);
    execute(&app, "UPDATE privacy_exports SET expires_at = requested_at WHERE id = $1", &[parse(&asked)]);
    assert_eq!(me.get(&content).await.problem(409), "export_expired");
    assert_eq!((privacy::sweep(&app.store).unwrap(), privacy::sweep(&app.store).unwrap()), (1, 0));
    assert_eq!(me.get(&location).await.expect(200)["state"], "expired");
    assert_eq!(filler::count(&app.store, "privacy_exports", "r.content_sealed IS NULL AND r.id = $1", parse(&asked)), 1);
}

async fn a_job_that_was_taken_over_makes_the_export_once(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    let officer = app.role("privacy_officer").with("X-Purpose", "request");
    let asked = officer.post(&path(&one, "/privacy/export"), json!({})).await.expect(202);
    let job: AnyId = asked["job_id"].as_str().unwrap().parse().unwrap();
    let abandon =
        "UPDATE jobs SET state = 'running', lease_owner = $1, lease_until = created_at, finished_at = NULL WHERE id = $1";
    // A worker took it and died before it wrote anything.
    execute(&app, abandon, &[job]);
    app.run_jobs();
    let export = format!("/v1/privacy-exports/{}", asked["id"].as_str().unwrap());
    let made = officer.get(&export).await.expect(200);
    assert_eq!((&made["state"], &made["version"]), (&json!("ready"), &json!(2)));
    // And one that died after it had written, before it could say so.
    execute(&app, abandon, &[job]);
    app.run_jobs();
    assert_eq!(officer.get(&export).await.expect(200), made);
    let finished = "r.kind = 'privacy_export.finished' AND r.subject_id = $1";
    assert_eq!(filler::count(&app.store, "events", finished, parse(&asked)), 1);
    // One that was taken for dead comes back late: its work is lost.
    let late = itself(&app, &one).post(&path(&one, "/privacy/export"), json!({})).await.expect(202);
    let job: AnyId = late["job_id"].as_str().unwrap().parse().unwrap();
    let real = privacy::handler(REGISTRY);
    let robbed = Box::new(move |store: &kehu_kernel::Store, lease: &kehu_kernel::job::Lease| {
        let other = AnyId::new();
        store.write_blocking(move |tx| {
            let rob = sql_query("UPDATE jobs SET lease_owner = $1 WHERE id = $2");
            Ok(rob.bind::<sql::Uuid, _>(other).bind::<sql::Uuid, _>(job).execute(&mut tx.db)?)
        })?;
        real(store, lease)
    });
    assert!(Runner::default().with(privacy::JOB_KIND, robbed).run_one(&app.store).unwrap());
    assert_eq!(filler::count(&app.store, "privacy_exports", "r.finished_at IS NULL AND r.id = $1", parse(&late)), 1);
}

fn erasure(dry_run: bool) -> Value {
    json!({ "reason": "request of the customer", "dry_run": dry_run })
}

async fn an_erasure_is_refused_with_all_that_stands_in_its_way(app: App) {
    let (customer, _, link) = rich(&app).await;
    let (erase, version) = (path(&customer, "/privacy/erasure"), customer["version"].as_i64().unwrap());
    let officer = app.role("privacy_officer").with("X-Purpose", "request");
    officer.post(&path(&customer, "/legal-holds"), json!({ "reason": "civil proceedings" })).await.expect(201);
    let export = officer.post(&path(&customer, "/privacy/export"), json!({})).await.expect(202);
    for (who, code) in [("teller", 403), ("data_steward", 403), ("auditor", 403)] {
        app.role(who).command(&erase, version, erasure(false)).await.problem(code);
    }
    assert_eq!(itself(&app, &customer).command(&erase, version, erasure(false)).await.problem(403), "forbidden");
    assert_eq!(officer.post(&erase, erasure(false)).await.problem(428), "precondition_required");
    assert_eq!(officer.command(&erase, version + 1, erasure(false)).await.problem(412), "precondition_failed");
    assert_eq!(officer.command(&erase, version, json!({ "reason": "" })).await.pointers(422), ["/reason"]);
    let refused = officer.command(&erase, version, erasure(false)).await.expect(409);
    assert_eq!(refused["code"], "erasure_refused");
    let mut named: Vec<(String, String)> = refused["obstacles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|obstacle| (obstacle["code"].as_str().unwrap().into(), obstacle["id"].as_str().unwrap().into()))
        .collect();
    named.sort();
    let codes: Vec<&str> = named.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["legal_hold", "open_account_link", "open_export"]);
    assert_eq!((&named[1].1, &named[2].1), (&link["id"].as_str().unwrap().into(), &export["id"].as_str().unwrap().into()));
    let dry = officer.command(&erase, version, erasure(true)).await.expect(200);
    assert_eq!((&dry["obstacles"], &dry["erased_at"]), (&refused["obstacles"], &Value::Null));
    let points = dry["tables"].as_array().unwrap().iter().find(|table| table["table"] == "contact_points").unwrap();
    assert_eq!((&points["treatment"], &points["row_count"]), (&json!("deleted"), &json!(2)));
    // Nothing has happened.
    assert_eq!(officer.get(&path(&customer, "")).await.expect(200)["display_name"], NAME);
    assert_eq!(officer.get(&erase).await.problem(404), "not_found");
}

async fn an_erasure_leaves_a_tombstone_and_the_audit(app: App) {
    let admin = app.role("administrator");
    let (customer, relative, link) = rich(&app).await;
    fill_the_rest(&app, &customer, &relative, &["legal_holds"]);
    let absorbed = person(&admin, "Tina Vandermeulen", None).await;
    absorb(&app, &absorbed, &customer);
    let end = format!("/v1/account-links/{}/end", link["id"].as_str().unwrap());
    admin.command(&end, 1, json!({ "valid_to": "2024-01-01", "reason": "Vandermeulen left" })).await.expect(200);
    // What was exported goes with it.
    exported(&app, &customer).await;
    let before = admin.get(&path(&customer, "")).await.expect(200);
    let officer = app.role("privacy_officer");
    let erase = path(&customer, "/privacy/erasure");
    let done = officer.command(&erase, before["version"].as_i64().unwrap(), erasure(false)).await.expect(200);
    assert!(done["erased_at"].is_string());
    assert_eq!((&done["number"], &done["records"]), (&before["number"], &json!([customer["id"], absorbed["id"]])));

    // Nobody finds it any more, by whatever way.
    for who in ["administrator", "privacy_officer", "auditor"] {
        for rest in
            ["", "/view", "/history", "/identities", "/contact-points", "/relations", "/corporate-tree", "/privacy-exports"]
        {
            let answer = app.role(who).get(&path(&customer, rest)).await;
            assert!(matches!(answer.status, 404 | 403), "{who} {rest}: {}", answer.status);
        }
    }
    assert_eq!(itself(&app, &customer).get(&path(&customer, "")).await.problem(404), "not_found");
    assert_eq!(officer.get(&path(&absorbed, "")).await.problem(404), "not_found");
    let lookup = |what: Value| admin.post("/v1/customers/lookup", what);
    for what in
        [json!({ "phone": PHONE }), json!({ "email": EMAIL }), json!({ "identity_number": resident_id("11010519850307002") })]
    {
        assert_eq!(lookup(what).await.expect(200)["items"], json!([]));
    }
    let list = admin.get("/v1/customers?include_total=true").await.expect(200);
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &relative["id"]));
    assert_eq!(admin.get(&path(&relative, "/relations")).await.expect(200)["items"], json!([]));
    assert_eq!(officer.command(&erase, 9, erasure(false)).await.problem(404), "not_found");

    // The tombstone, for those who manage privacy.
    let tombstone = officer.get(&erase).await.expect(200);
    assert_eq!((&tombstone["number"], &tombstone["erased_by"]), (&before["number"], &json!("test-privacy_officer")));
    assert_eq!((&tombstone["reason"], &tombstone["records"]), (&json!("request of the customer"), &done["records"]));
    assert_eq!(app.role("teller").get(&erase).await.problem(403), "forbidden");
    assert_eq!(itself(&app, &customer).get(&erase).await.problem(403), "forbidden");

    // No column of any table holds what named it.
    let stem = &resident_id("11010519850307002")[..17];
    for personal in ["Vandermeulen", "Quixotina", "quixotina", "13912345678", "harpsichord", stem] {
        assert_eq!(filler::places_of(&app.store, personal), Vec::<String>::new(), "{personal}");
    }
    let tables = filler::tables();
    for belonging in REGISTRY.iter().filter(|entry| !matches!(entry.erasure, OnErasure::Kept(_))) {
        for (column, kind, _) in &tables[belonging.table] {
            let marked = format!("r.{} = $1 AND CAST(r.{column} AS TEXT) LIKE '%{MARK}%'", belonging.column);
            if matches!(kind.as_str(), "Text" | "Json") {
                assert_eq!(
                    filler::count(&app.store, belonging.table, &marked, parse(&customer)),
                    0,
                    "{}.{column}",
                    belonging.table
                );
            }
        }
    }
    for belonging in REGISTRY.iter().filter(|entry| matches!(entry.erasure, OnErasure::Deleted)) {
        for record in [&customer, &absorbed] {
            let left = filler::count(&app.store, belonging.table, &format!("r.{} = $1", belonging.column), parse(record));
            assert_eq!(left, 0, "{}.{}", belonging.table, belonging.column);
        }
    }
    assert_eq!(
        filler::count(&app.store, "merges", "r.survivor_id = $1 AND r.reversible_until > r.executed_at", parse(&customer)),
        1
    );
    assert_eq!(filler::count(&app.store, "assignments", "r.customer_id = $1 AND r.valid_to IS NULL", parse(&customer)), 0);

    // The audit is whole, and tells of it.
    assert!(filler::count(&app.store, "events", "r.kind = 'customer.erased' AND r.customer_id = $1", parse(&absorbed)) == 1);
    while event::sequence(&app.store).unwrap() > 0 {}
    assert_eq!(event::verify(&app.store).unwrap().fault, None);
}

fn fed(app: &App, records: Value) -> Vec<Outcome> {
    let records: Vec<CustomerRecord> = serde_json::from_value(records).unwrap();
    app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &Source::new("core"), &records)).unwrap()
}

fn refused_as_erased(outcomes: &[Outcome]) -> bool {
    matches!(outcomes, [Outcome::Rejected(faults)] if faults.iter().any(|fault| fault.code == "erased"))
}

async fn a_source_does_not_bring_an_erased_customer_back(app: App) {
    let record = json!([{ "source_id": "7", "full_name": NAME, "contact_points": [{ "kind": "phone", "value": PHONE }] }]);
    let [Outcome::Created(id)] = fed(&app, record.clone())[..] else { panic!() };
    let Outcome::Created(other) = fed(&app, json!([{ "source_id": "8", "full_name": "Other" }]))[0] else { panic!() };
    let officer = app.role("privacy_officer");
    let erase = format!("/v1/customers/{id}/privacy/erasure");
    officer.command(&erase, 1, erasure(false)).await.expect(200);
    // The same record, a changed one, and what else the source tells of the customer.
    assert!(refused_as_erased(&fed(&app, record)));
    assert!(refused_as_erased(&fed(&app, json!([{ "source_id": "7", "full_name": "Another name" }]))));
    let point: Vec<ContactPointRecord> =
        serde_json::from_value(json!([{ "customer_source_id": "7", "kind": "phone", "value": PHONE }])).unwrap();
    let relation: Vec<RelationRecord> =
        serde_json::from_value(json!([{ "customer_source_id": "8", "related_customer_source_id": "7", "type": "spouse" }]))
            .unwrap();
    let told = app.store.write_blocking(move |tx| {
        let (actor, source) = (Actor::system(), Source::new("core"));
        Ok((feed::contact_points::apply(tx, &actor, &source, &point)?, feed::relations::apply(tx, &actor, &source, &relation)?))
    });
    let (points, relations) = told.unwrap();
    assert!(refused_as_erased(&points) && refused_as_erased(&relations), "{points:?} {relations:?}");
    assert_eq!(filler::count(&app.store, "contact_points", "r.customer_id = $1", id), 0);
    for personal in ["Vandermeulen", "Another name", "13912345678"] {
        assert_eq!(filler::places_of(&app.store, personal), Vec::<String>::new());
    }
    // Others are not touched, and who comes back under a new id is a new customer.
    assert!(
        matches!(fed(&app, json!([{ "source_id": "8", "full_name": "Other" }]))[..], [Outcome::Unchanged(same)] if same == other)
    );
    assert!(matches!(fed(&app, json!([{ "source_id": "9", "full_name": NAME }]))[..], [Outcome::Created(new)] if new != id));
}

async fn an_import_keeps_nothing_of_an_erased_customer(app: App) {
    let admin = app.role("administrator");
    let mapping = crate::import::prepare(&admin, crate::import::mapping()).await;
    let file = |name: &str| format!("id,name,sex,born,branch,status\n1,{name},F,02.01.1970,,A\n");
    crate::import::import(&app, &mapping, &[("clients.csv", &file(NAME))]).await;
    let id = admin.get("/v1/customers").await.expect(200)["items"][0]["id"].clone();
    let erase = format!("/v1/customers/{}/privacy/erasure", id.as_str().unwrap());
    app.role("privacy_officer").command(&erase, 1, erasure(false)).await.expect(200);
    let again = crate::import::import(&app, &mapping, &[("clients.csv", &file("Quixotina V."))]).await;
    let rejected = crate::import::errors(&app, &again).await;
    assert_eq!((&rejected[0]["errors"][0]["code"], &rejected[0]["record"]), (&json!("erased"), &json!({})), "{rejected:?}");
    assert_eq!(admin.get("/v1/customers").await.expect(200)["items"], json!([]));
}

async fn legal_holds_are_placed_and_released(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    let holds = path(&one, "/legal-holds");
    assert_eq!(app.role("teller").post(&holds, json!({ "reason": "x" })).await.problem(403), "forbidden");
    assert_eq!(itself(&app, &one).get(&holds).await.problem(403), "forbidden");
    assert_eq!(admin.post(&holds, json!({ "reason": "" })).await.pointers(422), ["/reason"]);
    let placed = admin.post(&holds, json!({ "reason": "civil proceedings", "reference": "01-1234" })).await.expect(201);
    assert_eq!((&placed["placed_by"], &placed["released_at"]), (&json!("test-administrator"), &Value::Null));
    let release = format!("{holds}/{}/release", placed["id"].as_str().unwrap());
    assert_eq!(admin.command(&release, 7, json!({ "reason": "over" })).await.problem(412), "precondition_failed");
    let released = admin.command(&release, 1, json!({ "reason": "over" })).await.expect(200);
    assert_eq!((&released["release_reason"], &released["version"]), (&json!("over"), &json!(2)));
    assert_eq!(admin.command(&release, 2, json!({ "reason": "again" })).await.problem(409), "already_released");
    admin.post(&holds, json!({ "reason": "another" })).await.expect(201);
    let standing = admin.get(&format!("{holds}?standing=true&include_total=true")).await.expect(200);
    assert_eq!((&standing["total"], &standing["items"][0]["reason"]), (&json!(1), &json!("another")));
    assert!(admin.get(&format!("{holds}?limit=1")).await.expect(200)["next_cursor"].is_string());
    let other = person(&admin, "Other", None).await;
    let astray = format!("{}/{}/release", path(&other, "/legal-holds"), placed["id"].as_str().unwrap());
    assert_eq!(admin.command(&astray, 2, json!({ "reason": "x" })).await.problem(404), "not_found");
}
