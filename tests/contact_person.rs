//! `/v1/contact-persons` and `/v1/customers/{id}/contact-persons`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client, bank,
        customers::{branches, path, person},
        sign,
    },
};

both_databases!(
    records_a_person_with_the_employment,
    who_moves_keeps_the_history,
    is_seen_through_customers,
    keys_need_right_and_purpose,
    relations_are_read_from_both_sides,
    who_is_gone_is_changed_no_more,
    is_the_banks_own_record
);

/// A company at a branch.
async fn firm(client: &Client<'_>, name: &str, branch: Option<&Value>) -> Value {
    let body = json!({ "kind": "corporate", "home_branch_id": branch, "organisation": { "legal_name": name } });
    client.post("/v1/customers", body).await.expect(201)
}

async fn contact(client: &Client<'_>, name: &str, more: Value) -> Value {
    let mut body = json!({ "name": name });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/contact-persons", body).await.expect(201)
}

fn names(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

async fn records_a_person_with_the_employment(app: App) {
    let steward = app.role("data_steward");
    let acme = firm(&steward, "Acme", None).await;
    let job =
        json!({ "customer_id": acme["id"], "position": "CFO", "decision_role": "decision_maker", "valid_from": "2025-01-01" });
    let facts = json!({ "phone": "138 0013 8000", "email": "Wang@Example.com", "background": "Fudan", "employment": job });
    let wang = contact(&steward, "Wang", facts).await;
    assert_eq!((&wang["phone"], &wang["email"]), (&json!("+8613800138000"), &json!("wang@example.com")));
    let seen = steward.get(&path(&acme, "/contact-persons?include_total=true")).await.expect(200);
    assert_eq!((&seen["total"], &seen["items"][0]["contact_person"]["name"]), (&json!(1), &json!("Wang")));
    let employment = &seen["items"][0]["employment"];
    assert_eq!((&employment["position"], &employment["customer"]["label"]), (&json!("CFO"), &json!("Acme")));
    for (query, count) in
        [("as_of=2024-12-31", 0), ("as_of=2025-01-01", 1), ("decision_role=buyer", 0), ("decision_role=decision_maker", 1)]
    {
        let found = steward.get(&path(&acme, &format!("/contact-persons?{query}"))).await.expect(200);
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
    let human = person(&steward, "Human", None).await;
    for (more, pointer) in [
        (json!({ "phone": "12" }), "/phone"),
        (json!({ "email": "nobody" }), "/email"),
        (json!({ "person_customer_id": acme["id"] }), "/person_customer_id"),
        (json!({ "person_customer_id": "01890a5d-ac96-774b-bcce-b302099a8057" }), "/person_customer_id"),
        (json!({ "home_branch_id": "01890a5d-ac96-774b-bcce-b302099a8057" }), "/home_branch_id"),
        (json!({ "employment": { "customer_id": human["id"] } }), "/employment/customer_id"),
        (json!({ "seniority": "god" }), "/seniority"),
        (json!({ "name": " " }), "/name"),
    ] {
        let mut body = json!({ "name": "Broken" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(steward.post("/v1/contact-persons", body).await.pointers(422), [pointer], "{more}");
    }
    assert_eq!(steward.get("/v1/contact-persons?name=Broken").await.expect(200)["items"], json!([]));
    let twin = contact(&steward, "Human", json!({ "person_customer_id": human["id"] })).await;
    let again = json!({ "name": "Human", "person_customer_id": human["id"] });
    assert_eq!(steward.post("/v1/contact-persons", again).await.problem(409), "contact_person_exists");
    let by_customer = format!("/v1/contact-persons?person_customer_id={}", human["id"].as_str().unwrap());
    assert_eq!(steward.get(&by_customer).await.expect(200)["items"][0]["id"], twin["id"]);
    let at = bank::at("contact-persons", &wang);
    let changed = steward.patch(&at, 1, json!({ "phone": null, "email": "W@example.com", "care_plan": "tea" })).await.expect(200);
    assert_eq!((&changed["phone"], &changed["email"], &changed["version"]), (&Value::Null, &json!("w@example.com"), &json!(2)));
    assert_eq!(steward.patch(&at, 1, json!({ "name": "X" })).await.problem(412), "precondition_failed");
    assert_eq!(steward.patch(&at, 2, json!({ "phone": "12" })).await.pointers(422), ["/phone"]);
    assert_eq!(steward.get(&at).await.header("etag").unwrap(), "\"2\"");
    assert_eq!(app.role("marketer").post("/v1/contact-persons", json!({ "name": "X" })).await.problem(403), "forbidden");
}

async fn who_moves_keeps_the_history(app: App) {
    let steward = app.role("data_steward");
    let (old, new) = (firm(&steward, "Old", None).await, firm(&steward, "New", None).await);
    let wang = contact(&steward, "Wang", json!({})).await;
    let jobs = bank::at("contact-persons", &wang) + "/employments";
    let first = json!({ "customer_id": old["id"], "position": "Buyer", "valid_from": "2020-01-01" });
    let made = steward.post(&jobs, first.clone()).await.expect(201);
    assert_eq!(steward.post(&jobs, first).await.problem(409), "employment_exists");
    let wrong = json!({ "customer_id": new["id"], "valid_from": "2021-01-01", "valid_to": "2021-01-01" });
    assert_eq!(steward.post(&jobs, wrong).await.pointers(422), ["/valid_to"]);
    let at = format!("{jobs}/{}", made["id"].as_str().unwrap());
    let changed =
        steward.patch(&at, 1, json!({ "position": "Head of purchasing", "decision_role": "approver" })).await.expect(200);
    assert_eq!((&changed["decision_role"], &changed["version"]), (&json!("approver"), &json!(2)));
    assert_eq!(steward.patch(&at, 1, json!({ "position": null })).await.problem(412), "precondition_failed");
    let end = format!("{at}/end");
    assert_eq!(steward.command(&end, 2, json!({ "valid_to": "2019-12-31" })).await.pointers(422), ["/valid_to"]);
    let ended = steward.command(&end, 2, json!({ "valid_to": "2024-01-01", "reason": "moved" })).await.expect(200);
    assert_eq!((&ended["valid_to"], &ended["end_reason"]), (&json!("2024-01-01"), &json!("moved")));
    assert_eq!(steward.command(&end, 3, json!({})).await.problem(409), "already_ended");
    assert_eq!(steward.patch(&at, 3, json!({ "position": "X" })).await.problem(409), "already_ended");
    steward.post(&jobs, json!({ "customer_id": new["id"], "valid_from": "2024-01-01" })).await.expect(201);
    // Back again, later: another employment at the same place.
    steward.post(&jobs, json!({ "customer_id": old["id"], "valid_from": "2025-01-01" })).await.expect(201);
    let all = steward.get(&format!("{jobs}?include_total=true")).await.expect(200);
    let at_firms: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|job| &job["customer"]["label"]).collect();
    assert_eq!((&all["total"], at_firms), (&json!(3), vec![&json!("Old"), &json!("New"), &json!("Old")]));
    let today = steward.get(&path(&old, "/contact-persons?as_of=2024-06-01")).await.expect(200);
    assert_eq!(today["items"], json!([]));
    let then = steward.get(&path(&old, "/contact-persons")).await.expect(200);
    assert_eq!(then["items"].as_array().unwrap().len(), 2);
}

async fn is_seen_through_customers(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    let (near, far) = (firm(&steward, "Near", Some(&ids["SH"])).await, firm(&steward, "Far", Some(&ids["BJ"])).await);
    let past = json!({ "customer_id": near["id"], "valid_from": "2020-01-01", "valid_to": "2021-01-01" });
    let moved = contact(&steward, "Moved", json!({ "employment": past })).await;
    let jobs = bank::at("contact-persons", &moved) + "/employments";
    let there = steward.post(&jobs, json!({ "customer_id": far["id"] })).await.expect(201);
    contact(&steward, "Elsewhere", json!({ "employment": { "customer_id": far["id"] } })).await;
    let client = person(&steward, "Client", Some(&ids["SH"])).await;
    contact(&steward, "Client", json!({ "person_customer_id": client["id"] })).await;
    contact(&steward, "Loose", json!({ "home_branch_id": ids["SH-1"] })).await;
    contact(&steward, "Lost", json!({})).await;
    let teller = app.role_at("teller", "SH");
    let here = contact(&teller, "Here", json!({})).await;
    assert_eq!(here["home_branch_id"], ids["SH"]);
    let seen = teller.get("/v1/contact-persons?include_total=true").await.expect(200);
    assert_eq!((&seen["total"], names(&seen)), (&json!(4), ["Moved", "Client", "Loose", "Here"].map(str::to_owned).to_vec()));
    assert_eq!(names(&app.role_at("branch_manager", "BJ").get("/v1/contact-persons").await.expect(200)), ["Moved", "Elsewhere"]);
    assert_eq!(steward.get("/v1/contact-persons?include_total=true").await.expect(200)["total"], 6);
    // The new employer is out of sight of the old one's branch: no job there is told of, none changed, none made.
    let shown = teller.get(&format!("{jobs}?include_total=true")).await.expect(200);
    assert_eq!((&shown["items"][0]["customer"]["label"], &shown["total"]), (&json!("Near"), &json!(1)));
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
    let job = |job: &Value| format!("{jobs}/{}", job["id"].as_str().unwrap());
    assert_eq!(teller.get(&job(&there)).await.problem(404), "not_found");
    let alone = teller.get(&job(&shown["items"][0])).await;
    assert_eq!(alone.header("etag").as_deref(), Some("\"1\""));
    assert_eq!(alone.expect(200), shown["items"][0]);
    assert_eq!(steward.get(&job(&there)).await.expect(200), there);
    let end = format!("{jobs}/{}/end", there["id"].as_str().unwrap());
    assert_eq!(teller.command(&end, 1, json!({})).await.problem(404), "not_found");
    assert_eq!(teller.post(&jobs, json!({ "customer_id": far["id"] })).await.pointers(422), ["/customer_id"]);
    assert_eq!(teller.get(&path(&far, "/contact-persons")).await.problem(404), "not_found");
    // Nor is a relation to somebody out of sight.
    let elsewhere = steward.get("/v1/contact-persons?name=Elsewhere").await.expect(200)["items"][0].clone();
    let relations = bank::at("contact-persons", &moved) + "/relations";
    let body = json!({ "type": "superior", "related_contact_person_id": elsewhere["id"] });
    let made = steward.post(&relations, body).await.expect(201);
    let at = format!("{relations}/{}", made["id"].as_str().unwrap());
    assert_eq!(steward.get(&at).await.expect(200)["related"]["label"], "Elsewhere");
    let shown = teller.get(&format!("{relations}?include_total=true")).await.expect(200);
    assert_eq!((&shown["items"], &shown["total"]), (&json!([]), &json!(0)));
    assert_eq!(teller.get(&at).await.problem(404), "not_found");
    assert_eq!(teller.command(&format!("{at}/end"), 1, json!({ "reason": "x" })).await.problem(404), "not_found");
    let away = app.role_at("branch_manager", "BJ");
    for operation in [bank::at("contact-persons", &here), bank::at("contact-persons", &here) + "/employments"] {
        assert_eq!(away.get(&operation).await.problem(404), "not_found");
    }
    assert_eq!(away.patch(&bank::at("contact-persons", &here), 1, json!({ "name": "X" })).await.problem(404), "not_found");
    // Who records somebody without any tie finds them again, even if the role reaches assigned customers only.
    let manager = app.role_at("relationship_manager", "BJ");
    contact(&manager, "Mine", json!({})).await;
    assert_eq!(names(&manager.get("/v1/contact-persons").await.expect(200)), ["Mine"]);
}

async fn keys_need_right_and_purpose(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    let client = person(&steward, "Wang", Some(&ids["SH"])).await;
    let keys = json!({ "person_customer_id": client["id"], "hobbies": "golf", "taboos": "politics", "seniority": "executive",
        "closeness": "trusted", "influence": "decisive", "concerns": "price", "competitor_relations": "lunch on Fridays", "care_plan": "tea" });
    let made = contact(&steward, "Wang", keys).await;
    let at = bank::at("contact-persons", &made);
    let hidden = [
        "hobbies",
        "family",
        "personality",
        "taboos",
        "seniority",
        "closeness",
        "influence",
        "concerns",
        "need_detail",
        "coping_strategy",
        "competitor_relations",
    ];
    let manager = app.role_at("branch_manager", "SH");
    let listed = manager.with("X-Purpose", "visit").get("/v1/contact-persons").await.expect(200)["items"][0].clone();
    for shown in [made, steward.get(&at).await.expect(200), manager.get(&at).await.expect(200), listed] {
        assert!(hidden.iter().all(|field| shown[field] == Value::Null), "{shown}");
        assert_eq!(shown["care_plan"], "tea");
    }
    let log = path(&client, "/access-log");
    assert_eq!(manager.get(&log).await.expect(200)["items"], json!([]));
    let shown = manager.with("X-Purpose", "visit").get(&at).await.expect(200);
    assert_eq!(
        (&shown["taboos"], &shown["closeness"], &shown["competitor_relations"]),
        (&json!("politics"), &json!("trusted"), &json!("lunch on Fridays"))
    );
    let last = &manager.get(&log).await.expect(200)["items"][0];
    assert_eq!((&last["resource"], &last["purpose"]), (&json!("contact_person"), &json!("visit")));
    assert_eq!(last["fields"].as_array().unwrap().len(), hidden.len());
    // Roles that see public fields only.
    let role = json!({ "code": "greeter", "name": "Greeter", "field_classes": ["public"], "grants": [{ "action": "customer.read", "depth": "all" }] });
    app.role("administrator").post("/v1/roles", role).await.expect(201);
    let shown = app.role("greeter").get(&at).await.expect(200);
    assert_eq!((&shown["name"], &shown["care_plan"]), (&json!("Wang"), &Value::Null));
}

async fn relations_are_read_from_both_sides(app: App) {
    let steward = app.role("data_steward");
    let (chief, clerk) = (contact(&steward, "Chief", json!({})).await, contact(&steward, "Clerk", json!({})).await);
    let of = |one: &Value| bank::at("contact-persons", one) + "/relations";
    let body =
        |kind: &str, other: &Value| json!({ "type": kind, "related_contact_person_id": other["id"], "note": "since 2020" });
    // Told from the clerk's side, kept as the chief's.
    let made = steward.post(&of(&clerk), body("subordinate", &chief)).await.expect(201);
    assert_eq!((&made["type"], &made["related"]["label"]), (&json!("subordinate"), &json!("Chief")));
    let seen = steward.get(&format!("{}?include_total=true", of(&chief))).await.expect(200);
    assert_eq!(
        (&seen["total"], &seen["items"][0]["type"], &seen["items"][0]["id"]),
        (&json!(1), &json!("superior"), &made["id"])
    );
    for (one, kind, other) in [(&chief, "superior", &clerk), (&clerk, "superior", &chief)] {
        assert_eq!(steward.post(&of(one), body(kind, other)).await.problem(409), "relation_exists");
    }
    steward.post(&of(&chief), body("relative", &clerk)).await.expect(201);
    assert_eq!(steward.post(&of(&clerk), body("relative", &chief)).await.problem(409), "relation_exists");
    steward.post(&of(&clerk), body("key_influencer", &chief)).await.expect(201);
    assert_eq!(steward.get(&of(&chief)).await.expect(200)["items"][2]["type"], "influenced");
    assert_eq!(steward.post(&of(&chief), body("relative", &chief)).await.pointers(422), ["/related_contact_person_id"]);
    let nobody = json!({ "type": "relative", "related_contact_person_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(steward.post(&of(&chief), nobody).await.pointers(422), ["/related_contact_person_id"]);
    let at = |one: &Value| format!("{}/{}", of(one), made["id"].as_str().unwrap());
    assert_eq!(steward.get(&at(&clerk)).await.expect(200), made);
    let changed = steward.patch(&at(&chief), 1, json!({ "note": "since 2019" })).await.expect(200);
    assert_eq!((&changed["note"], &changed["type"], &changed["version"]), (&json!("since 2019"), &json!("superior"), &json!(2)));
    assert_eq!(steward.patch(&at(&chief), 1, json!({})).await.problem(412), "precondition_failed");
    assert_eq!(steward.patch(&at(&chief), 2, json!({ "note": null })).await.expect(200)["note"], Value::Null);
    let end = format!("{}/{}/end", of(&chief), made["id"].as_str().unwrap());
    assert_eq!(steward.command(&end, 2, json!({ "reason": "retired" })).await.problem(412), "precondition_failed");
    let ended = steward.command(&end, 3, json!({ "reason": "retired" })).await.expect(200);
    assert_eq!((&ended["type"], &ended["end_reason"], &ended["version"]), (&json!("superior"), &json!("retired"), &json!(4)));
    assert_eq!(steward.patch(&at(&clerk), 4, json!({ "note": "x" })).await.problem(409), "already_ended");
    assert_eq!(steward.command(&end, 4, json!({ "reason": "again" })).await.problem(409), "already_ended");
    steward.post(&of(&clerk), body("superior", &chief)).await.expect(201);
}

async fn who_is_gone_is_changed_no_more(app: App) {
    let steward = app.role("data_steward");
    let (acme, zenith) = (firm(&steward, "Acme", None).await, firm(&steward, "Zenith", None).await);
    let past = json!({ "customer_id": zenith["id"], "valid_from": "2018-01-01", "valid_to": "2019-01-01" });
    let human = person(&steward, "Wang", None).await;
    let wang = contact(&steward, "Wang", json!({ "employment": past, "person_customer_id": human["id"] })).await;
    let at = bank::at("contact-persons", &wang);
    let job = json!({ "customer_id": acme["id"], "valid_from": "2020-01-01" });
    let job = steward.post(&format!("{at}/employments"), job).await.expect(201);
    let clerk = contact(&steward, "Clerk", json!({})).await;
    let tie = json!({ "type": "superior", "related_contact_person_id": clerk["id"] });
    steward.post(&format!("{at}/relations"), tie.clone()).await.expect(201);
    let end = format!("{at}/end");
    assert_eq!(steward.command(&end, 1, json!({})).await.pointers(422), ["/reason"]);
    assert_eq!(steward.command(&end, 1, json!({ "reason": "x", "ended_on": "2999-01-01" })).await.pointers(422), ["/ended_on"]);
    assert_eq!(steward.command(&end, 2, json!({ "reason": "x" })).await.problem(412), "precondition_failed");
    assert_eq!(steward.get(&at).await.expect(200)["ended_on"], Value::Null);
    let ended = steward.command(&end, 1, json!({ "reason": "retired", "ended_on": "2024-05-01" })).await.expect(200);
    let facts = (&ended["ended_on"], &ended["end_reason"], &ended["version"]);
    assert_eq!(facts, (&json!("2024-05-01"), &json!("retired"), &json!(2)));
    let jobs = steward.get(&format!("{at}/employments")).await.expect(200);
    let ends: Vec<_> = jobs["items"].as_array().unwrap().iter().map(|job| (&job["valid_to"], &job["end_reason"])).collect();
    // What had ended before keeps its own end.
    assert_eq!(ends, [(&json!("2019-01-01"), &Value::Null), (&json!("2024-05-01"), &json!("retired"))]);
    let ties = steward.get(&(bank::at("contact-persons", &clerk) + "/relations")).await.expect(200);
    assert_eq!((&ties["items"][0]["end_reason"], ties["items"][0]["ended_at"].is_string()), (&json!("retired"), true));
    assert_eq!(steward.command(&end, 2, json!({ "reason": "again" })).await.problem(409), "already_ended");
    assert_eq!(steward.patch(&at, 2, json!({ "name": "X" })).await.problem(409), "already_ended");
    let anew = json!({ "customer_id": acme["id"], "valid_from": "2025-01-01" });
    assert_eq!(steward.post(&format!("{at}/employments"), anew).await.problem(409), "already_ended");
    let job = format!("{at}/employments/{}", job["id"].as_str().unwrap());
    assert_eq!(steward.patch(&job, 2, json!({ "position": "X" })).await.problem(409), "already_ended");
    assert_eq!(steward.post(&format!("{at}/relations"), tie).await.problem(409), "already_ended");
    let back = json!({ "type": "relative", "related_contact_person_id": wang["id"] });
    let back = steward.post(&(bank::at("contact-persons", &clerk) + "/relations"), back).await;
    assert_eq!(back.problem(409), "already_ended");
    for (active, found) in [("true", "Clerk"), ("false", "Wang")] {
        assert_eq!(names(&steward.get(&format!("/v1/contact-persons?active={active}")).await.expect(200)), [found]);
    }
    // A record that ended by mistake is made anew.
    contact(&steward, "Wang", json!({ "person_customer_id": human["id"] })).await;
}

async fn is_the_banks_own_record(app: App) {
    let steward = app.role("data_steward");
    let wang = person(&steward, "Wang", None).await;
    let made = contact(&steward, "Wang", json!({ "person_customer_id": wang["id"] })).await;
    let caller = app.token(sign(json!({ "sub": wang["id"], "roles": ["customer_self"], "customer_id": wang["id"] })));
    for at in ["/v1/contact-persons".to_owned(), bank::at("contact-persons", &made), path(&wang, "/contact-persons")] {
        assert_eq!(caller.get(&at).await.problem(403), "forbidden", "{at}");
    }
}
