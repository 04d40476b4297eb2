//! What a merge and its end leave behind: values and their sources, histories, events, and what others may see of it.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::feed::{self, CustomerRecord};
use kehu_kernel::{
    Actor, AnyId, Instant,
    feed::{Outcome, Source},
    json::Json,
    schema::*,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_merge::{assert_same, dump, id, merge, request, revert, version, write},
    support::{
        App, Client,
        client::sign,
        customers::{branches, path, person},
        ledger,
    },
};

both_databases!(
    a_source_tells_again_what_a_revert_took,
    the_first_source_is_the_customers_own,
    a_stand_in_for_a_name_wins_over_nothing,
    the_best_of_three_records_of_one_document_goes_on,
    the_past_outlives_a_revert,
    owner_status_and_versions_are_told,
    what_is_known_of_a_contact_point_is_kept,
    an_erasure_reaches_merges_that_were_taken_back,
    a_hold_placed_on_the_whole_holds_its_parts,
    merges_are_found_by_those_who_reach_them,
);

fn fed(app: &App, source: &'static str, rank: i32, record: Value) -> Outcome {
    let records: Vec<CustomerRecord> = serde_json::from_value(json!([record])).unwrap();
    let source = Source { precedence: BTreeMap::from([("profile".into(), rank)]), ..Source::new(source) };
    app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records)).unwrap().remove(0)
}

async fn sources(admin: &Client<'_>) {
    for (code, precedence) in [("core", 50), ("web", 10)] {
        let body = json!({ "code": code, "name": code, "precedence": { "profile": precedence } });
        admin.post("/v1/source-systems", body).await.expect(201);
    }
}

async fn made(app: &App, admin: &Client<'_>, record: Value) -> Value {
    let Outcome::Created(made) = fed(app, "core", 50, record) else { panic!("not made") };
    admin.get(&format!("/v1/customers/{made}")).await.expect(200)
}

async fn change(client: &Client<'_>, customer: &Value, change: Value) {
    client.patch(&path(customer, ""), version(client, customer).await, change).await.expect(200);
}

fn kept_fields(reverted: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> =
        reverted["kept_changes"].as_array().unwrap().iter().filter_map(|kept| kept["field"].as_str()).collect();
    fields.sort_unstable();
    fields
}

async fn a_source_tells_again_what_a_revert_took(app: App) {
    let admin = app.role("administrator");
    sources(&admin).await;
    let of = |id: &str, employer: &str, occupation: &str| json!({ "source_id": id, "full_name": format!("Li {id}"), "employer": employer, "occupation": occupation });
    let survivor = made(&app, &admin, of("1", "Survivor Ltd", "smith")).await;
    let absorbed = made(&app, &admin, of("2", "Absorbed Ltd", "smith")).await;
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    assert!(matches!(fed(&app, "core", 50, of("2", "New Ltd", "baker")), Outcome::Updated(_)));
    let shown = admin.get(&path(&survivor, "")).await.expect(200);
    assert_eq!((&shown["personal"]["employer"], &shown["personal"]["occupation"]), (&json!("New Ltd"), &json!("baker")));
    let reverted = revert(&admin, &merged).await;
    let kept = kept_fields(&reverted);
    assert!(kept.contains(&"employer") && kept.contains(&"occupation"), "{reverted}");
    let told = fed(&app, "core", 50, of("2", "New Ltd", "baker"));
    assert!(matches!(told, Outcome::Updated(_)), "{told:?}");
    let shown = admin.get(&path(&absorbed, "")).await.expect(200);
    assert_eq!((&shown["personal"]["employer"], &shown["personal"]["occupation"]), (&json!("New Ltd"), &json!("baker")));
    assert!(matches!(fed(&app, "core", 50, of("2", "New Ltd", "baker")), Outcome::Unchanged(_)));
}

async fn the_first_source_is_the_customers_own(app: App) {
    let admin = app.role("administrator");
    sources(&admin).await;
    let body = json!({ "kind": "personal", "personal": { "full_name": "Wang Wei", "employer": "First Ltd" } });
    let survivor = admin.post("/v1/customers", body).await.expect(201);
    let absorbed = made(&app, &admin, json!({ "source_id": "2", "full_name": "Zhang Wei" })).await;
    merge(&admin, &survivor, &[&absorbed]).await;
    change(&admin, &survivor, json!({ "personal": { "employer": "Second Ltd" } })).await;
    let history = admin.get(&path(&survivor, "/history?field=employer")).await.expect(200);
    let first = history["items"].as_array().unwrap().iter().find(|item| item["value"] == "First Ltd").unwrap();
    assert_eq!(first["source_system"], Value::Null, "{history}");
}

async fn a_stand_in_for_a_name_wins_over_nothing(app: App) {
    let admin = app.role("administrator");
    sources(&admin).await;
    let name = |shown: &Value| (shown["display_name"].clone(), shown["personal"]["full_name"].clone());
    let named = person(&admin, "Wang Wei", None).await;
    let nameless = made(&app, &admin, json!({ "source_id": "7" })).await;
    assert_eq!(nameless["display_name"], "core 7");
    let merged = merge(&admin, &named, &[&nameless]).await;
    let shown = admin.get(&path(&named, "")).await.expect(200);
    assert_eq!(name(&shown), (json!("Wang Wei"), json!("Wang Wei")));
    revert(&admin, &merged).await;
    let merged = merge(&admin, &nameless, &[&named]).await;
    let shown = admin.get(&path(&nameless, "")).await.expect(200);
    assert_eq!(name(&shown), (json!("Wang Wei"), json!("Wang Wei")));
    revert(&admin, &merged).await;
    let shown = admin.get(&path(&nameless, "")).await.expect(200);
    assert_eq!(name(&shown), (json!("core 7"), json!("core 7")));
}

async fn the_best_of_three_records_of_one_document_goes_on(app: App) {
    let admin = app.role("administrator");
    let mut people = Vec::new();
    for name in ["Survivor", "Unverified", "Verified"] {
        people.push(person(&admin, name, None).await);
    }
    let document = json!({ "type": "passport", "number": "E12345678" });
    let mut documents = Vec::new();
    for customer in &people[1..] {
        let made = admin.post(&path(customer, "/identities"), document.clone()).await.expect(201);
        documents.push(made["id"].as_str().unwrap().parse::<AnyId>().unwrap());
    }
    let best = documents[1];
    write(&app, move |tx| {
        diesel::update(identities::table.find(best)).set(identities::verification.eq("verified")).execute(&mut tx.db)
    });
    let all = [id(&people[0]), id(&people[1]), id(&people[2])];
    app.store.write_blocking(move |tx| kehu_customer::index::refresh(tx, &all)).unwrap();
    let before = dump(&app.store);
    let merged = merge(&admin, &people[0], &[&people[1], &people[2]]).await;
    let held: Vec<AnyId> = app
        .store
        .read_blocking(|conn| {
            let of = identities::table.filter(identities::customer_id.eq(all[0]));
            Ok(of.select(identities::id).load(&mut conn.db)?)
        })
        .unwrap();
    assert_eq!(held, [best]);
    let of = merged["moved"].as_array().unwrap().iter().find(|table| table["table"] == "identities").unwrap();
    assert_eq!((&of["moved"], &of["held_back"], &of["yielded"]), (&json!(1), &json!(1), &json!(0)));
    revert(&admin, &merged).await;
    assert_same(&before, &dump(&app.store));
}

async fn the_past_outlives_a_revert(app: App) {
    let admin = app.role("administrator");
    let survivor = person(&admin, "Survivor", None).await;
    let absorbed = person(&admin, "Absorbed", None).await;
    change(&admin, &absorbed, json!({ "tier": "gold", "personal": { "employer": "Absorbed Ltd" } })).await;
    let active = json!({ "status": "active", "reason": "account opened" });
    admin.command(&path(&absorbed, "/transition"), version(&admin, &absorbed).await, active).await.expect(200);
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    // Changed there and back by a person: it is the person's word now.
    for tier in ["iron", "gold"] {
        change(&admin, &survivor, json!({ "tier": tier })).await;
    }
    let reverted = revert(&admin, &merged).await;
    assert!(kept_fields(&reverted).contains(&"tier"), "{reverted}");
    let shown = admin.get(&path(&survivor, "")).await.expect(200);
    assert_eq!((&shown["tier"], &shown["personal"]["employer"]), (&json!("gold"), &Value::Null));
    assert_eq!(shown["status"], "potential");
    let of = id(&survivor);
    let beliefs = |field: &'static str| -> Vec<(Json<Value>, Option<Instant>)> {
        app.store
            .read_blocking(|conn| {
                let of = attribute_history::table.filter(attribute_history::customer_id.eq(of));
                let of =
                    of.filter(attribute_history::field.eq(field)).order((attribute_history::valid_from, attribute_history::id));
                Ok(of.select((attribute_history::value, attribute_history::valid_to)).load(&mut conn.db)?)
            })
            .unwrap()
    };
    for (field, last) in [("tier", json!("gold")), ("employer", Value::Null)] {
        let all = beliefs(field);
        let open: Vec<&Value> = all.iter().filter(|(_, to)| to.is_none()).map(|(value, _)| &value.0).collect();
        assert_eq!(open, [&last], "{field}");
    }
    // That it was believed is not forgotten.
    assert!(beliefs("employer").iter().any(|(value, to)| value.0 == "Absorbed Ltd" && to.is_some()));
    let moves: Vec<String> = app
        .store
        .read_blocking(|conn| {
            let of = customer_transitions::table.filter(customer_transitions::customer_id.eq(of)).order(customer_transitions::id);
            Ok(of.select(customer_transitions::to_value).load(&mut conn.db)?)
        })
        .unwrap();
    assert_eq!(moves, ["potential", "active", "potential"]);
}

async fn owner_status_and_versions_are_told(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let survivor = person(&admin, "Survivor", Some(&ids["A"])).await;
    let absorbed = person(&admin, "Absorbed", Some(&ids["A"])).await;
    let third = person(&admin, "Third", Some(&ids["A"])).await;
    let mut made = Vec::new();
    for (number, customer) in [("E-1", &absorbed), ("E-2", &third)] {
        let staff = json!({ "employee_no": number, "name": number, "branch_id": ids["A"], "roles": [] });
        let staff = admin.post("/v1/staff", staff).await.expect(201);
        let assignment = json!({ "customer_id": customer["id"], "staff_id": staff["id"], "role": "primary" });
        made.push(admin.post("/v1/assignments", assignment).await.expect(201));
    }
    let active = json!({ "status": "active", "reason": "account opened" });
    admin.command(&path(&absorbed, "/transition"), version(&admin, &absorbed).await, active).await.expect(200);
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    let told = |customer: &Value| -> Vec<(String, Json<Value>)> {
        let of = events::table.filter(events::customer_id.eq(id(customer).cast::<()>())).order(events::id);
        app.store.read_blocking(|conn| Ok(of.select((events::kind, events::data)).load(&mut conn.db)?)).unwrap()
    };
    let events = told(&survivor);
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(kinds.contains(&"customer.owner_changed") && kinds.contains(&"customer.transitioned"), "{kinds:?}");
    let (_, data) = events.iter().find(|(kind, _)| kind == "customer.merged").unwrap();
    for field in ["status", "owner_id"] {
        assert!(data.0["fields"].as_array().unwrap().contains(&json!(field)), "{data:?}");
    }
    let timeline = admin.get(&path(&survivor, "/timeline")).await.expect(200);
    let entry = timeline["items"].as_array().unwrap().iter().find(|entry| entry["event"] == "customer.merged").unwrap();
    assert!(entry["details"].as_array().unwrap().iter().any(|fact| fact["name"] == "merge_id" && fact["value"] == merged["id"]));
    // A second primary assignment becomes a deputy's, and that is another version of it.
    let merged = merge(&admin, &survivor, &[&third]).await;
    let version_of = |assignment: &Value| -> i64 {
        let id: AnyId = assignment["id"].as_str().unwrap().parse().unwrap();
        app.store.read_blocking(|conn| Ok(assignments::table.find(id).select(assignments::version).first(&mut conn.db)?)).unwrap()
    };
    assert_eq!(version_of(&made[1]), 2);
    let reverted = revert(&admin, &merged).await;
    assert_eq!((&reverted["kept_changes"], version_of(&made[1])), (&json!([]), 3));
    let before = told(&survivor).len();
    revert(&admin, &admin.get(&format!("/v1/merges/{}", entry_id(entry))).await.expect(200)).await;
    let since: Vec<String> = told(&survivor).split_off(before).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(since, ["customer.transitioned", "customer.owner_changed", "customer.merge_reverted"]);
}

fn entry_id(entry: &Value) -> &str {
    let facts = entry["details"].as_array().unwrap();
    facts.iter().find(|fact| fact["name"] == "merge_id").unwrap()["value"].as_str().unwrap()
}

async fn what_is_known_of_a_contact_point_is_kept(app: App) {
    let admin = app.role("administrator");
    let survivor = person(&admin, "Survivor", None).await;
    let absorbed = person(&admin, "Absorbed", None).await;
    let phone = |verified: bool, preferred: bool, shared: bool, quiet: bool| {
        json!({ "kind": "phone", "value": "+86 138 0013 8000", "verified": verified, "preferred": preferred, "shared": shared,
            "do_not_contact": quiet })
    };
    let mail = |verified: bool, shared: bool| json!({ "kind": "email", "value": "li@example.com", "verified": verified, "shared": shared });
    admin.post(&path(&survivor, "/contact-points"), phone(false, true, true, true)).await.expect(201);
    admin.post(&path(&absorbed, "/contact-points"), phone(true, false, false, false)).await.expect(201);
    let other = json!({ "kind": "phone", "value": "+86 138 0013 8001", "preferred": true });
    admin.post(&path(&absorbed, "/contact-points"), other).await.expect(201);
    admin.post(&path(&survivor, "/contact-points"), mail(true, false)).await.expect(201);
    admin.post(&path(&absorbed, "/contact-points"), mail(false, true)).await.expect(201);
    let before = dump(&app.store);
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    let page = admin.get(&path(&survivor, "/contact-points")).await.expect(200);
    let points = page["items"].as_array().unwrap();
    assert_eq!(points.len(), 3, "{page}");
    let point = |end: &str| points.iter().find(|point| point["value"].as_str().unwrap().replace(' ', "").ends_with(end)).unwrap();
    let phone = point("8000");
    assert!(phone["verified_at"].is_string(), "{page}");
    assert_eq!([&phone["preferred"], &phone["shared"], &phone["do_not_contact"]], [true, true, true], "{page}");
    assert_eq!(point("8001")["preferred"], false, "{page}");
    let mail = point("@example.com");
    assert!(mail["verified_at"].is_string() && mail["shared"] == true, "{page}");
    let reverted = revert(&admin, &merged).await;
    assert_eq!(reverted["kept_changes"], json!([]));
    assert_same(&before, &dump(&app.store));
}

fn erasure() -> Value {
    json!({ "reason": "the customer asked for it" })
}

async fn an_erasure_reaches_merges_that_were_taken_back(app: App) {
    let admin = app.role("administrator");
    let survivor = person(&admin, "Survivor", None).await;
    let absorbed = person(&admin, "Absorbed", None).await;
    change(&admin, &absorbed, json!({ "personal": { "employer": "Secretive Works" } })).await;
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    revert(&admin, &merged).await;
    let erase = path(&absorbed, "/privacy/erasure");
    let at = version(&admin, &absorbed).await;
    app.role("privacy_officer").command(&erase, at, erasure()).await.expect(200);
    let plan: String = app
        .store
        .read_blocking(|conn| {
            let plan: Json<Value> = merges::table.select(merges::plan).first(&mut conn.db)?;
            Ok(plan.0.to_string())
        })
        .unwrap();
    assert!(!plan.contains("Secretive"), "{plan}");
    let values: Vec<Json<Value>> = app
        .store
        .read_blocking(|conn| Ok(attribute_history::table.select(attribute_history::value).load(&mut conn.db)?))
        .unwrap();
    assert!(values.iter().all(|value| !value.0.to_string().contains("Secretive")), "{values:?}");
    admin.get(&path(&survivor, "/history")).await.expect(200);
}

async fn a_hold_placed_on_the_whole_holds_its_parts(app: App) {
    let admin = app.role("administrator");
    let officer = app.role("privacy_officer");
    let survivor = person(&admin, "Survivor", None).await;
    let absorbed = person(&admin, "Absorbed", None).await;
    let merged = merge(&admin, &survivor, &[&absorbed]).await;
    officer.post(&path(&survivor, "/legal-holds"), json!({ "reason": "civil proceedings" })).await.expect(201);
    revert(&admin, &merged).await;
    for customer in [&survivor, &absorbed] {
        let at = version(&admin, customer).await;
        let refused = officer.command(&path(customer, "/privacy/erasure"), at, erasure()).await.expect(409);
        assert_eq!(refused["code"], "erasure_refused", "{refused}");
    }
}

/// The merges that a caller finds.
async fn found(client: &Client<'_>, query: &str) -> Vec<Value> {
    let page = client.get(&format!("/v1/merges?include_total=true{query}")).await.expect(200);
    let found: Vec<Value> = page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(page["total"], json!(found.len()));
    found
}

async fn merges_are_found_by_those_who_reach_them(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let mut people = Vec::new();
    for (name, branch) in [("One", "SH-1"), ("Two", "SH-1"), ("Far", "BJ"), ("Four", "SH-1")] {
        people.push(person(&admin, name, Some(&ids[branch])).await);
    }
    let grants =
        |depth: &str| json!([{ "action": "customer.merge", "depth": depth }, { "action": "customer.read", "depth": depth }]);
    for (code, depth) in [("local_steward", "unit_and_below"), ("own_steward", "own")] {
        let role = json!({ "code": code, "name": code, "field_classes": ["public"], "grants": grants(depth) });
        admin.post("/v1/roles", role).await.expect(201);
    }
    let near = merge(&admin, &people[0], &[&people[1]]).await;
    let far = merge(&admin, &people[2], &[&people[3]]).await;
    let (near, far) = (&near["id"], &far["id"]);
    assert_eq!(found(&admin, "").await, [far.clone(), near.clone()]);
    assert_eq!(found(&app.role_at("local_steward", "SH"), "").await, vec![near.clone()]);
    assert_eq!(found(&app.role_at("local_steward", "BJ"), "").await, [] as [Value; 0]);
    for place in [0, 1] {
        assert_eq!(found(&admin, &format!("&customer_id={}", people[place]["id"].as_str().unwrap())).await, vec![near.clone()]);
    }
    app.role("teller").get("/v1/merges").await.expect(403);
    let own = sign(json!({ "sub": people[0]["id"], "roles": ["customer_self"], "customer_id": people[0]["id"] }));
    app.token(own).get("/v1/merges").await.expect(403);
    // Whoever looks after one of two who live apart again does not read of the other.
    let staff = json!({ "employee_no": "E-1", "name": "Officer", "branch_id": ids["SH"], "roles": ["own_steward"] });
    let staff = admin.post("/v1/staff", staff).await.expect(201);
    let assignment = json!({ "customer_id": people[0]["id"], "staff_id": staff["id"], "role": "primary" });
    admin.post("/v1/assignments", assignment).await.expect(201);
    let officer = app.token(sign(json!({ "sub": "E-1" })));
    let at = format!("/v1/merges/{}", near.as_str().unwrap());
    let shown = officer.get(&at).await.expect(200);
    assert_eq!(found(&officer, "").await, vec![near.clone()]);
    revert(&admin, &shown).await;
    officer.get(&at).await.expect(404);
    assert_eq!(found(&officer, "").await, [] as [Value; 0]);
    assert_eq!(found(&admin, "&state=reverted").await, vec![near.clone()]);
    assert_eq!(found(&admin, "&state=executed").await, vec![far.clone()]);
    assert_eq!(request(&admin, &[&people[0]]).await["absorbed"][0]["customer_id"], people[0]["id"]);
}
