//! Matching: who is meant, duplicates at creation, the work queue and its decisions. Runs are in `match_run.rs`.

use kehu_api::belonging::REGISTRY;
use kehu_customer::{
    create,
    feed::{self, CustomerRecord},
    matching::bank::{
        candidate::MatchCandidateId,
        decision::{self, MatchDecision, Merging},
    },
};
use kehu_kernel::{Actor, Error, feed::Source};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{branches, path, resident_id},
        sign,
    },
};

both_databases!(
    finds_who_is_meant,
    explains_with_masks,
    stops_duplicates_at_creation,
    keeps_hidden_duplicates_hidden,
    of_two_who_create_the_same_customer_one_is_stopped,
    a_rejected_pair_stays_so_until_facts_change,
    of_two_who_decide_one_does,
    a_pair_is_merged_and_comes_back_with_the_revert,
    later_hides_a_pair_until_its_day,
    shows_pairs_to_those_who_reach_both,
    a_feed_queues_what_looks_alike,
    keys_follow_every_change
);

/// Li Na with a document, a phone and a birth date; each part can be replaced.
pub fn li_na(changes: Value) -> Value {
    let mut body = json!({
        "kind": "personal",
        "personal": { "full_name": "李娜", "gender": "female", "birth_date": "1990-03-07", "nationality": "CN" },
        "identities": [{ "type": "resident_id", "number": resident_id("31010119900307123") }],
        "contact_points": [{ "kind": "phone", "value": "138 0013 8000" }, { "kind": "email", "value": "li.na@example.com" }],
    });
    for (field, value) in changes.as_object().unwrap() {
        match (&mut body[field], value) {
            (Value::Object(whole), Value::Object(part)) => whole.extend(part.clone()),
            (slot, value) => *slot = value.clone(),
        }
    }
    body
}

/// Li Na, and the same once more, with the pair of both.
async fn twice(client: &Client<'_>, changes: Value) -> (Value, Value, Value) {
    let one = client.post("/v1/customers", li_na(json!({}))).await.expect(201);
    let mut body = li_na(changes);
    body["allow_duplicate"] = json!({ "reason": "twins" });
    let other = client.post("/v1/customers", body).await.expect(201);
    let queue = client.get(&format!("/v1/match-candidates?customer_id={}", other["id"].as_str().unwrap())).await.expect(200);
    (one, other, queue["items"][0].clone())
}

fn pair_path(pair: &Value, rest: &str) -> String {
    format!("/v1/match-candidates/{}{rest}", pair["id"].as_str().unwrap())
}

fn ids(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["customer"]["id"].as_str().unwrap()).collect()
}

async fn finds_who_is_meant(app: App) {
    let steward = app.role("data_steward");
    let li = steward.post("/v1/customers", li_na(json!({}))).await.expect(201);
    let wang = json!({ "kind": "personal", "personal": { "full_name": "王伟", "birth_date": "1985-11-02" },
        "contact_points": [{ "kind": "phone", "value": "139 0000 1111" }] });
    steward.post("/v1/customers", wang).await.expect(201);
    let firm = json!({ "kind": "corporate", "organisation": { "legal_name": "上海示例科技有限公司", "unified_social_credit_code": "91110000600037341L" } });
    let firm = steward.post("/v1/customers", firm).await.expect(201);
    // The name in pinyin, day and month exchanged, a slip in the number, the phone as people write it.
    let number = resident_id("31010119900307123").replacen("90", "91", 1);
    let facts = json!({ "name": "LI Na", "birth_date": "1990-07-03", "phones": ["0086-13800138000"],
        "identities": [{ "type": "resident_id", "number": number }] });
    let found = steward.post("/v1/customers/match", facts).await.expect(200);
    assert_eq!(ids(&found["items"]), [li["id"].as_str().unwrap()], "{found}");
    assert!(["same", "close"].contains(&found["items"][0]["band"].as_str().unwrap()), "{found}");
    let fields: Vec<&str> =
        found["items"][0]["reasons"].as_array().unwrap().iter().map(|reason| reason["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&"phone") && fields.contains(&"birth_date"), "{found}");
    assert_eq!(found["parameters_version"], 0);
    let nobody = json!({ "name": "张三", "birth_date": "1961-01-01" });
    assert_eq!(steward.post("/v1/customers/match", nobody).await.expect(200)["items"], json!([]));
    let code = json!({ "kind": "corporate", "name": "示例科技", "identities": [{ "type": "unified_social_credit_code", "number": "91110000600037341L" }] });
    assert_eq!(ids(&steward.post("/v1/customers/match", code).await.expect(200)["items"]), [firm["id"].as_str().unwrap()]);
    // The same verified document alone decides.
    let verified = json!([{ "type": "passport", "number": "E12345678", "verification": { "state": "verified" } }]);
    let holder = json!({ "kind": "personal", "personal": { "full_name": "Maria Sample" }, "identities": verified });
    let holder = steward.post("/v1/customers", holder).await.expect(201);
    let same =
        json!({ "name": "Somebody Else", "identities": [{ "type": "passport", "number": "e 1234 5678", "verified": true }] });
    let found = steward.post("/v1/customers/match", same).await.expect(200)["items"].clone();
    assert_eq!((ids(&found), &found[0]["score_bp"]), (vec![holder["id"].as_str().unwrap()], &json!(10_000)));
    // Nothing was written by asking.
    assert_eq!(steward.get("/v1/match-candidates").await.expect(200)["items"], json!([]));
    assert_eq!(steward.post("/v1/customers/match", json!({})).await.problem(422), "invalid_input");
    assert_eq!(steward.post("/v1/customers/match", json!({ "phones": ["1"] })).await.pointers(422), ["/phones/0"]);
    assert_eq!(app.role("call_agent").post("/v1/customers/match", json!({ "name": "李娜" })).await.problem(403), "forbidden");
    let own = li["id"].as_str().unwrap();
    let itself = app.token(sign(json!({ "sub": own, "roles": ["customer_self"], "customer_id": own })));
    assert_eq!(itself.post("/v1/customers/match", json!({ "name": "李娜" })).await.problem(403), "forbidden");
    assert_eq!(itself.post(&path(&li, "/match"), json!({})).await.problem(403), "forbidden");
}

async fn explains_with_masks(app: App) {
    let steward = app.role("data_steward");
    let (one, other, _) = twice(&steward, json!({ "personal": { "birth_date": "1990-07-03" } })).await;
    let ask = |customer: &Value| json!({ "customer_id": customer["id"] });
    let told = steward.post(&path(&one, "/explain-match"), ask(&other)).await.expect(200);
    let step = |told: &Value, field: &str| {
        told["steps"].as_array().unwrap().iter().find(|step| step["field"] == field).unwrap_or_else(|| panic!("{field}")).clone()
    };
    let number = step(&told, "identity_number");
    assert_eq!(number["left"], json!(["3101**********123".to_owned() + &resident_id("31010119900307123")[17..]]), "{number}");
    assert_eq!(step(&told, "phone")["left"], json!(["+8613800138000"]));
    assert!(step(&told, "phone")["weight"].as_f64().unwrap() > 5.0);
    let date = step(&told, "birth_date");
    assert_eq!((&date["left"], &date["right"]), (&json!(["1990-03-07"]), &json!(["1990-07-03"])));
    // The waterfall adds up to what decides.
    let sum: f64 = told["steps"].as_array().unwrap().iter().map(|step| step["weight"].as_f64().unwrap()).sum();
    let last = told["steps"].as_array().unwrap().last().unwrap()["total"].as_f64().unwrap();
    assert!((told["prior"].as_f64().unwrap() + sum - last).abs() < 0.2, "{told}");
    assert_eq!((&told["explanation"]["rule"], &told["parameters_version"]), (&json!("customer.match"), &json!(0)));
    let scored = steward.post(&path(&one, "/match"), json!({})).await.expect(200)["items"][0].clone();
    assert_eq!(told["score_bp"], scored["score_bp"]);
    // The other way round it is the same.
    let back = steward.post(&path(&other, "/explain-match"), ask(&one)).await.expect(200);
    assert_eq!((&back["score_bp"], &step(&back, "birth_date")["left"]), (&told["score_bp"], &json!(["1990-07-03"])));
    // Who sees public fields only, sees no contact data here either.
    let admin = app.role("administrator");
    let blind = json!({ "code": "blind", "name": "Blind", "grants": [
        { "action": "customer.match", "depth": "all" }, { "action": "customer.read", "depth": "all" } ], "field_classes": ["public"] });
    admin.post("/v1/roles", blind).await.expect(201);
    let masked = app.role("blind").post(&path(&one, "/explain-match"), ask(&other)).await.expect(200);
    assert_eq!(
        (&step(&masked, "phone")["left"], &step(&masked, "phone")["weight"]),
        (&Value::Null, &step(&told, "phone")["weight"])
    );
    assert_eq!(steward.post(&path(&one, "/explain-match"), ask(&one)).await.pointers(422), ["/customer_id"]);
    let firm = json!({ "kind": "corporate", "organisation": { "legal_name": "Example Ltd" } });
    let firm = steward.post("/v1/customers", firm).await.expect(201);
    assert_eq!(steward.post(&path(&one, "/explain-match"), ask(&firm)).await.problem(409), "other_kind");
    let stranger = json!({ "customer_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(steward.post(&path(&one, "/explain-match"), stranger).await.problem(404), "not_found");
}

async fn stops_duplicates_at_creation(app: App) {
    let steward = app.role("data_steward");
    let one = steward.post("/v1/customers", li_na(json!({}))).await.expect(201);
    let stopped = steward.post("/v1/customers", li_na(json!({ "personal": { "full_name": "李 娜" } }))).await;
    let problem = stopped.expect(409);
    assert_eq!((&problem["code"], &problem["candidates"][0]["customer"]["id"]), (&json!("duplicate_customer"), &one["id"]));
    let shown = &problem["candidates"][0];
    assert!(shown["customer"]["number"] == one["number"] && shown["reasons"].as_array().unwrap().len() > 2, "{problem}");
    assert_eq!(steward.get("/v1/customers?include_total=true").await.expect(200)["total"], 1, "nothing was written");
    assert_eq!(steward.get("/v1/match-candidates").await.expect(200)["items"], json!([]));
    // Other problems have no candidates.
    assert_eq!(steward.get("/v1/customers/01890a5d-ac96-774b-bcce-b302099a8057").await.expect(404)["candidates"], Value::Null);
    let mut allowed = li_na(json!({}));
    allowed["allow_duplicate"] = json!({ "reason": "" });
    assert_eq!(steward.post("/v1/customers", allowed.clone()).await.pointers(422), ["/allow_duplicate/reason"]);
    allowed["allow_duplicate"] = json!({ "reason": "twins" });
    let other = steward.post("/v1/customers", allowed).await.expect(201);
    let queue = steward.get("/v1/match-candidates?include_total=true").await.expect(200);
    let pair = &queue["items"][0];
    assert_eq!((&queue["total"], &pair["left"]["id"], &pair["right"]["id"]), (&json!(1), &one["id"], &other["id"]));
    assert_eq!((&pair["state"], &pair["source"], &pair["version"]), (&json!("open"), &json!("create"), &json!(1)));
    let told: Vec<String> = event_data(&app, "customer.created");
    assert!(told.iter().any(|data| data.contains("\"duplicate_allowed\":true")), "{told:?}");
    assert!(!told.iter().any(|data| data.contains("twins")), "events are for ever: {told:?}");
    // Somebody of the same name, born elsewhere and at another time, is no duplicate.
    let namesake = json!({ "kind": "personal", "personal": { "full_name": "李娜", "birth_date": "1962-12-24" } });
    steward.post("/v1/customers", namesake).await.expect(201);
}

/// The data of all events of a kind.
fn event_data(app: &App, kind: &'static str) -> Vec<String> {
    use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
    use kehu_kernel::{json::Json, schema::events};
    let rows: Vec<Json<Value>> = app
        .store
        .read_blocking(|conn| Ok(events::table.filter(events::kind.eq(kind)).select(events::data).load(&mut conn.db)?))
        .unwrap();
    rows.into_iter().map(|data| data.0.to_string()).collect()
}

async fn keeps_hidden_duplicates_hidden(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let hidden = admin.post("/v1/customers", li_na(json!({ "home_branch_id": ids["BJ"] }))).await.expect(201);
    let teller = app.role_at("teller", "SH");
    // A problem would tell the teller that Beijing has such a customer.
    let made = teller.post("/v1/customers", li_na(json!({ "home_branch_id": ids["SH"] }))).await.expect(201);
    assert_eq!(teller.post(&path(&made, "/match"), json!({})).await.expect(200)["items"], json!([]));
    assert_eq!(
        teller.post("/v1/customers/match", json!({ "phones": ["13800138000"] })).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(teller.get("/v1/match-candidates?include_total=true").await.expect(200)["total"], 0);
    let pair = app.role("data_steward").get("/v1/match-candidates").await.expect(200)["items"][0].clone();
    assert_eq!((&pair["left"]["id"], &pair["right"]["id"]), (&hidden["id"], &made["id"]));
    assert_eq!(teller.get(&pair_path(&pair, "")).await.problem(404), "not_found");
    let reject = json!({ "decision": "reject", "reason": "no" });
    assert_eq!(teller.command(&pair_path(&pair, "/decide"), 1, reject).await.problem(404), "not_found");
    let other = json!({ "customer_id": hidden["id"] });
    assert_eq!(teller.post(&path(&made, "/explain-match"), other).await.problem(404), "not_found");
    assert_eq!(teller.post(&path(&hidden, "/match"), json!({})).await.problem(404), "not_found");
    // A third one, at home with the second: the teller is shown the second and not the first.
    let problem = teller.post("/v1/customers", li_na(json!({ "home_branch_id": ids["SH"] }))).await.expect(409);
    assert_eq!(problem["candidates"].as_array().unwrap().len(), 1);
    assert_eq!(problem["candidates"][0]["customer"]["id"], made["id"]);
}

async fn of_two_who_create_the_same_customer_one_is_stopped(app: App) {
    let store = &app.store;
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(move || {
                    store.write_blocking(|tx| {
                        let new = serde_json::from_value(li_na(json!({}))).unwrap();
                        create::create(tx, &Actor::system(), new)
                    })
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let stopped = |outcome: &Result<_, Error>| matches!(outcome, Err(Error::DuplicateCustomer { .. }));
    assert_eq!(outcomes.iter().filter(|outcome| stopped(outcome)).count(), 5);
}

async fn a_rejected_pair_stays_so_until_facts_change(app: App) {
    let steward = app.role("data_steward");
    let (one, other, pair) = twice(&steward, json!({ "identities": [], "personal": { "birth_date": "1990-03-08" } })).await;
    let decide = pair_path(&pair, "/decide");
    let reject = json!({ "decision": "reject", "reason": "twins, both were at the counter" });
    assert_eq!(steward.post(&decide, reject.clone()).await.problem(428), "precondition_required");
    let decided = steward.command(&decide, 1, reject.clone()).await.expect(200);
    assert_eq!((&decided["state"], &decided["version"]), (&json!("rejected"), &json!(2)));
    assert_eq!((&decided["decided_by"], &decided["decision_reason"]), (&json!("test-data_steward"), &reject["reason"]));
    assert_eq!(steward.command(&decide, 2, reject.clone()).await.problem(409), "already_decided");
    for _ in 0..2 {
        let again = steward.post(&path(&other, "/match"), json!({})).await.expect(200);
        assert_eq!(ids(&again["items"]), [one["id"].as_str().unwrap()], "who asks is still told");
        assert_eq!(steward.get("/v1/match-candidates").await.expect(200)["items"], json!([]), "but nobody has to decide again");
    }
    // What is not compared changes nothing.
    let patched = steward.patch(&path(&one, ""), one["version"].as_i64().unwrap(), json!({ "tier": "gold" })).await.expect(200);
    steward.post(&path(&other, "/match"), json!({})).await.expect(200);
    assert_eq!(steward.get(&pair_path(&pair, "")).await.expect(200)["state"], "rejected");
    // The birth date was wrong after all.
    let right = json!({ "personal": { "birth_date": "1990-03-08" } });
    steward.patch(&path(&one, ""), patched["version"].as_i64().unwrap(), right).await.expect(200);
    steward.post(&path(&other, "/match"), json!({})).await.expect(200);
    let reopened = steward.get(&pair_path(&pair, "")).await.expect(200);
    assert_eq!((&reopened["state"], &reopened["version"]), (&json!("open"), &json!(3)));
    assert_ne!(reopened["reasons"], pair["reasons"]);
    assert_eq!(event_data(&app, "match_candidate.reopened").len(), 1);
}

async fn of_two_who_decide_one_does(app: App) {
    let steward = app.role("data_steward");
    let (_, _, pair) = twice(&steward, json!({})).await;
    let id: MatchCandidateId = pair["id"].as_str().unwrap().parse().unwrap();
    let store = &app.store;
    let merging = Merging { registry: REGISTRY, reversible_days: 90 };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(move || {
                    store.write_blocking(move |tx| {
                        let reject: MatchDecision =
                            serde_json::from_value(json!({ "decision": "reject", "reason": "two" })).unwrap();
                        decision::decide(tx, &Actor::system(), id, 1, &reject, merging)
                    })
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let stale = |outcome: &Result<_, Error>| matches!(outcome, Err(Error::PreconditionFailed { current: 2 }));
    assert_eq!(outcomes.iter().filter(|outcome| stale(outcome)).count(), 5);
    assert_eq!(event_data(&app, "match_candidate.decided").len(), 1);
}

async fn a_pair_is_merged_and_comes_back_with_the_revert(app: App) {
    let steward = app.role("data_steward");
    let (_, _, pair) = twice(&steward, json!({})).await;
    let (left, right) = (pair["left"]["id"].as_str().unwrap(), pair["right"]["id"].as_str().unwrap());
    let merge = json!({ "decision": "merge", "reason": "same passport", "survivor_id": right });
    let decide = pair_path(&pair, "/decide");
    let mut stranger = merge.clone();
    stranger["survivor_id"] = pair["id"].clone();
    assert_eq!(steward.command(&decide, 1, stranger).await.pointers(422), ["/survivor_id"]);
    // To decide is not to merge: that takes a right of its own.
    assert_eq!(app.role("relationship_manager").command(&decide, 1, merge.clone()).await.status, 404);
    assert_eq!(app.role("integration").command(&decide, 1, merge.clone()).await.problem(403), "forbidden");
    let merged = steward.command(&decide, 1, merge.clone()).await.expect(200);
    assert_eq!((&merged["state"], &merged["decided_by"]), (&json!("merged"), &json!("test-data_steward")));
    assert_eq!(steward.get(&format!("/v1/customers/{left}")).await.expect(308)["merged_into"], right);
    let path = format!("/v1/merges/{}", merged["merge_id"].as_str().unwrap());
    assert_eq!(steward.get(&path).await.expect(200)["survivor"]["id"], right);
    steward.command(&format!("{path}/revert"), 1, json!({ "reason": "twins" })).await.expect(200);
    assert_eq!(steward.get(&format!("/v1/customers/{left}")).await.expect(200)["id"], left);
    assert_eq!(steward.get(&pair_path(&pair, "")).await.expect(200)["state"], "open");
}

async fn later_hides_a_pair_until_its_day(app: App) {
    let steward = app.role("data_steward");
    let (_, _, pair) = twice(&steward, json!({})).await;
    let decide = pair_path(&pair, "/decide");
    let refused = |body: Value| {
        let (steward, decide) = (steward.clone(), decide.clone());
        async move { steward.command(&decide, 1, body).await.pointers(422) }
    };
    assert_eq!(refused(json!({ "decision": "later", "reason": "asked the branch" })).await, ["/until"]);
    assert_eq!(refused(json!({ "decision": "later", "reason": "x", "until": "2020-01-01" })).await, ["/until"]);
    assert_eq!(refused(json!({ "decision": "reject", "reason": "x", "until": "2999-01-01" })).await, ["/until"]);
    let later = json!({ "decision": "later", "reason": "asked the branch", "until": "2999-01-01" });
    let hidden = steward.command(&decide, 1, later).await.expect(200);
    assert_eq!((&hidden["state"], &hidden["postponed_until"]), (&json!("open"), &json!("2999-01-01")));
    assert_eq!(steward.get("/v1/match-candidates").await.expect(200)["items"], json!([]));
    let all = steward.get("/v1/match-candidates?include_postponed=true").await.expect(200);
    assert_eq!(all["items"][0]["id"], pair["id"]);
    // It may be decided before its day.
    steward.command(&decide, 2, json!({ "decision": "reject", "reason": "two" })).await.expect(200);
    assert_eq!(steward.get("/v1/match-candidates?state=rejected").await.expect(200)["items"][0]["id"], pair["id"]);
}

/// How many pairs the queue has under a filter.
async fn total(client: &Client<'_>, query: &str) -> i64 {
    let path = format!("/v1/match-candidates?include_total=true{query}");
    client.get(&path).await.expect(200)["total"].as_i64().unwrap()
}

async fn shows_pairs_to_those_who_reach_both(app: App) {
    let admin = app.role("administrator");
    let places = branches(&admin).await;
    let home = |branch: &str, phone: &str| {
        json!({ "home_branch_id": places[branch], "allow_duplicate": { "reason": "a test" }, "identities": [],
            "contact_points": [{ "kind": "phone", "value": phone }], "personal": { "birth_date": "1990-03-07" } })
    };
    // Two pairs: one within Shanghai, one between Shanghai and Beijing; other people by their phones and names.
    let mut made = Vec::new();
    for (branch, phone, name) in [
        ("SH", "13800138001", "李娜"),
        ("SH-1", "13800138001", "李娜"),
        ("SH", "13800138002", "王秀英"),
        ("BJ", "13800138002", "王秀英"),
    ] {
        let mut body = li_na(home(branch, phone));
        body["personal"]["full_name"] = json!(name);
        body["personal"]["birth_date"] = json!(if name == "李娜" { "1990-03-07" } else { "1971-08-15" });
        made.push(admin.post("/v1/customers", body).await.expect(201));
    }
    let steward = app.role("data_steward");
    assert_eq!(total(&steward, "").await, 2);
    assert_eq!(total(&steward, "&branch=BJ").await, 1);
    assert_eq!(total(&steward, "&branch=SH").await, 2);
    assert_eq!(total(&steward, "&branch=SH-1").await, 1);
    assert_eq!(total(&steward, &format!("&customer_id={}", made[3]["id"].as_str().unwrap())).await, 1);
    assert_eq!(total(&steward, "&min_score_bp=10000").await, 0);
    assert_eq!(total(&app.role_at("branch_manager", "SH"), "").await, 1);
    assert_eq!(total(&app.role_at("teller", "SH-1"), "").await, 0);
    assert_eq!(total(&app.role_at("branch_manager", "BJ"), "").await, 0);
    assert_eq!(steward.get("/v1/match-candidates?branch=nowhere").await.pointers(400), ["?branch"]);
    // Page by page, the best first.
    let first = steward.get("/v1/match-candidates?limit=1").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = steward.get(&format!("/v1/match-candidates?limit=1&cursor={cursor}")).await.expect(200);
    assert!(first["items"][0]["score_bp"].as_i64() >= second["items"][0]["score_bp"].as_i64());
    assert!(first["items"][0]["id"] != second["items"][0]["id"] && second["next_cursor"].is_null());
    assert_eq!(app.role("call_agent").get("/v1/match-candidates").await.problem(403), "forbidden");
}

async fn a_feed_queues_what_looks_alike(app: App) {
    let steward = app.role("data_steward");
    let feed = |source: &str, records: Value| {
        let records: Vec<CustomerRecord> = serde_json::from_value(records).unwrap();
        let source = Source::new(source);
        app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records)).unwrap()
    };
    let phone = json!([{ "kind": "phone", "value": "13800138000" }]);
    // Two of one batch, and one that is there; and people without names, who are nobody's duplicates.
    steward.post("/v1/customers", li_na(json!({}))).await.expect(201);
    feed(
        "core",
        json!([
            { "source_id": "1", "full_name": "李娜", "birth_date": "1990-03-07", "gender": "female", "contact_points": phone },
            { "source_id": "2", "full_name": "李娜", "birth_date": "1990-07-03", "gender": "female", "contact_points": phone },
            { "source_id": "3", "full_name": "王伟", "birth_date": "1990-03-07" },
            { "source_id": "4", "birth_date": "1970-12-13", "gender": "female" },
            { "source_id": "5", "birth_date": "1970-12-13", "gender": "female" }
        ]),
    );
    feed("card", json!([{ "source_id": "9", "birth_date": "1970-12-13", "gender": "female" }]));
    let queue = steward.get("/v1/match-candidates").await.expect(200)["items"].clone();
    let pairs = queue.as_array().unwrap();
    assert_eq!(pairs.len(), 3, "{queue}");
    assert!(pairs.iter().all(|pair| pair["source"] == "import" && pair["left"]["display_name"] == "李娜"), "{queue}");
    // The same file again proposes nothing anew.
    feed(
        "core",
        json!([{ "source_id": "1", "full_name": "李娜", "birth_date": "1990-03-07", "gender": "female", "contact_points": phone }]),
    );
    assert_eq!(steward.get("/v1/match-candidates?include_total=true").await.expect(200)["total"], 3);
}

async fn keys_follow_every_change(app: App) {
    let steward = app.role("data_steward");
    let li = steward.post("/v1/customers", li_na(json!({ "identities": [] }))).await.expect(201);
    let hits = |facts: Value| {
        let steward = steward.clone();
        async move { steward.post("/v1/customers/match", facts).await.expect(200)["items"].as_array().unwrap().len() }
    };
    let by_phone = |phone: &str| json!({ "name": "李娜", "birth_date": "1990-03-07", "phones": [phone] });
    let renamed = |phone: &str| json!({ "name": "Anna Lehmann", "birth_date": "1990-03-07", "phones": [phone] });
    assert_eq!((hits(by_phone("13800138000")).await, hits(renamed("13900139000")).await), (1, 0));
    let point = steward.post(&path(&li, "/contact-points"), json!({ "kind": "phone", "value": "13900139000" })).await.expect(201);
    let version = steward.get(&path(&li, "")).await.expect(200)["version"].as_i64().unwrap();
    steward.patch(&path(&li, ""), version, json!({ "personal": { "full_name": "Anna Lehmann" } })).await.expect(200);
    assert_eq!(hits(renamed("13900139000")).await, 1);
    let number = resident_id("31010119900307123");
    let document = json!({ "type": "resident_id", "number": number });
    assert_eq!(hits(json!({ "name": "L. Na", "identities": [document] })).await, 0);
    let document = steward.post(&path(&li, "/identities"), document).await.expect(201);
    let by_number = json!({ "name": "Anna Lehmann", "identities": [{ "type": "resident_id", "number": number }] });
    assert_eq!(hits(by_number.clone()).await, 1);
    let end = path(&li, &format!("/identities/{}/end", document["id"].as_str().unwrap()));
    steward.command(&end, 1, json!({ "reason": "lost" })).await.expect(200);
    let end = path(&li, &format!("/contact-points/{}/end", point["id"].as_str().unwrap()));
    steward.command(&end, 1, json!({})).await.expect(200);
    assert_eq!(hits(by_number).await, 0);
    let only_phone = json!({ "phones": ["13900139000"] });
    assert_eq!(hits(only_phone).await, 0);
}
