//! `/v1/attribute-definitions` and `/v1/customers/{id}/attributes`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client, bank,
        customers::{branches, company, path, person},
        sign,
    },
};

both_databases!(
    definitions_keep_their_rules,
    values_are_checked_and_kept_in_the_history,
    sensitive_values_need_right_and_purpose,
    guesses_leave_a_trace,
    customers_see_what_is_public
);

async fn define(client: &Client<'_>, code: &str, kind: &str, more: Value) -> Value {
    let mut body = json!({ "code": code, "name": code, "value_type": kind, "customer_kinds": ["personal"] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/attribute-definitions", body).await.expect(201)
}

/// The values of a list of attributes, by code.
fn values(found: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|item| (text(&item["code"]), text(&item["value"]))).collect()
}

async fn definitions_keep_their_rules(app: App) {
    let steward = app.role("data_steward");
    for (more, pointer) in [
        (json!({ "value_type": "choice" }), "/choices"),
        (json!({ "value_type": "text", "choices": ["a"] }), "/choices"),
        (json!({ "value_type": "date", "max_length": 5 }), "/max_length"),
        (json!({ "value_type": "text", "minimum": 5 }), "/minimum"),
        (json!({ "value_type": "integer", "minimum": 5, "maximum": 4 }), "/maximum"),
        (json!({ "value_type": "integer", "maximum": 9_007_199_254_740_992_i64 }), "/maximum"),
        (json!({ "value_type": "integer", "customer_kinds": [] }), "/customer_kinds"),
        (json!({ "value_type": "money" }), "/value_type"),
    ] {
        let mut body = json!({ "code": "a", "name": "A", "customer_kinds": ["personal"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(steward.post("/v1/attribute-definitions", body).await.pointers(422), [pointer], "{more}");
    }
    let made = define(&steward, "motto", "text", json!({})).await;
    assert_eq!((&made["max_length"], &made["field_class"], &made["active"]), (&json!(200), &json!("internal"), &json!(true)));
    let again = json!({ "code": "motto", "name": "A", "value_type": "date", "customer_kinds": ["personal"] });
    assert_eq!(steward.post("/v1/attribute-definitions", again.clone()).await.problem(409), "attribute_code_taken");
    let at = bank::at("attribute-definitions", &made);
    let changed = steward.patch(&at, 1, json!({ "max_length": 3, "description": "Words to live by" })).await.expect(200);
    assert_eq!((&changed["max_length"], &changed["version"]), (&json!(3), &json!(2)));
    assert_eq!(steward.patch(&at, 1, json!({ "active": false })).await.problem(412), "precondition_failed");
    assert_eq!(steward.patch(&at, 2, json!({ "maximum": 3 })).await.pointers(422), ["/maximum"]);
    assert_eq!(steward.patch(&at, 2, json!({ "code": "x" })).await.pointers(422), ["/code"]);
    assert_eq!(steward.get(&at).await.expect(200)["description"], "Words to live by");
    steward.patch(&at, 2, json!({ "active": false })).await.expect(200);
    assert_eq!(steward.get("/v1/attribute-definitions?active=true").await.expect(200)["items"], json!([]));
    assert_eq!(steward.get("/v1/attribute-definitions?include_total=true").await.expect(200)["total"], 1);
    let teller = app.role("teller");
    assert_eq!(teller.post("/v1/attribute-definitions", again).await.problem(403), "forbidden");
    assert_eq!(teller.get(&at).await.status, 200);
}

async fn values_are_checked_and_kept_in_the_history(app: App) {
    let steward = app.role("data_steward");
    let motto = define(&steward, "motto", "text", json!({ "max_length": 5 })).await;
    define(&steward, "shoes", "integer", json!({ "minimum": 20, "maximum": 50 })).await;
    define(&steward, "handicap", "decimal", json!({})).await;
    define(&steward, "pet", "boolean", json!({})).await;
    define(&steward, "since", "date", json!({})).await;
    let colour = define(&steward, "colour", "choice", json!({ "choices": ["red", "blue"] })).await;
    define(&steward, "fleet", "integer", json!({ "customer_kinds": ["corporate"] })).await;
    let li = person(&steward, "Li", None).await;
    let at = path(&li, "/attributes");
    assert_eq!(steward.get(&at).await.expect(200)["items"], json!([]));
    let wrong = json!({ "motto": "longer", "shoes": "19", "handicap": "many", "pet": "yes", "since": "2023-02-29", "colour": "green",
        "fleet": "3", "un/known": "x" });
    let all = ["/colour", "/fleet", "/handicap", "/motto", "/pet", "/shoes", "/since", "/un~1known"];
    assert_eq!(steward.patch(&at, 1, wrong).await.pointers(422), all);
    assert_eq!(steward.patch(&at, 1, json!({ "shoes": 42 })).await.pointers(422), ["/shoes"]);
    let right =
        json!({ "motto": "carpe", "shoes": "042", "handicap": "12.50", "pet": "true", "since": "2024-02-29", "colour": "red" });
    let made = steward.patch(&at, 1, right.clone()).await;
    assert_eq!(made.header("etag").unwrap(), "\"2\"");
    let shown = made.expect(200)["items"].clone();
    let pairs =
        [("colour", "red"), ("handicap", "12.5"), ("motto", "carpe"), ("pet", "true"), ("shoes", "42"), ("since", "2024-02-29")];
    assert_eq!(values(&shown), pairs.map(|(code, value)| (code.to_owned(), value.to_owned())));
    // The same again changes nothing.
    assert_eq!(steward.patch(&at, 2, right).await.expect(200)["version"], 2);
    assert_eq!(steward.patch(&at, 1, json!({ "pet": null })).await.problem(412), "precondition_failed");
    steward.patch(&at, 2, json!({ "pet": null, "shoes": "43" })).await.expect(200);
    let customer = steward.get(&path(&li, "")).await.expect(200);
    assert_eq!((&customer["version"], values(&customer["attributes"]).len()), (&json!(3), 5));
    let past = steward.get(&path(&li, "/history?field=custom.shoes")).await.expect(200);
    let told: Vec<&Value> = past["items"].as_array().unwrap().iter().map(|entry| &entry["value"]).collect();
    assert_eq!(told, [&json!("43"), &json!("42"), &Value::Null]);
    assert_eq!(past["items"][0]["recorded_by"], "test-data_steward");
    let gone = steward.get(&path(&li, "/history?field=custom.pet")).await.expect(200);
    assert_eq!((&gone["items"][0]["value"], &gone["items"][1]["value"]), (&Value::Null, &json!("true")));
    // What is no longer active can be read and cleared, not set.
    steward.patch(&bank::at("attribute-definitions", &motto), 1, json!({ "active": false })).await.expect(200);
    assert_eq!(steward.patch(&at, 3, json!({ "motto": "diem" })).await.pointers(422), ["/motto"]);
    assert!(values(&steward.get(&at).await.expect(200)["items"]).iter().any(|(code, _)| code == "motto"));
    steward.patch(&at, 3, json!({ "motto": null })).await.expect(200);
    let in_use = steward.patch(&bank::at("attribute-definitions", &colour), 1, json!({ "choices": ["blue"] })).await;
    assert_eq!(in_use.problem(409), "choice_in_use");
    let firm = company(&steward, "Firm").await;
    steward.patch(&path(&firm, "/attributes"), 1, json!({ "fleet": "3" })).await.expect(200);
    // Lists show them too.
    let listed = steward.get("/v1/customers?kind=corporate").await.expect(200);
    assert_eq!(values(&listed["items"][0]["attributes"]), [("fleet".to_owned(), "3".to_owned())]);
    assert_eq!(app.role("marketer").patch(&at, 4, json!({})).await.problem(403), "forbidden");
    assert_eq!(app.role_at("teller", "nowhere").get(&at).await.problem(404), "not_found");
}

async fn sensitive_values_need_right_and_purpose(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    define(&steward, "illness", "text", json!({ "field_class": "sensitive" })).await;
    let li = person(&steward, "Li", Some(&ids["SH"])).await;
    let at = path(&li, "/attributes");
    // Who may write may set it, without being shown it.
    assert_eq!(steward.patch(&at, 1, json!({ "illness": "gout" })).await.expect(200)["items"], json!([]));
    let manager = app.role_at("branch_manager", "SH");
    let field = "/history?field=custom.illness";
    for without in [&steward, &manager] {
        assert_eq!(without.get(&at).await.expect(200)["items"], json!([]));
        assert_eq!(without.get(&path(&li, "")).await.expect(200)["attributes"], json!([]));
        assert_eq!(without.get(&path(&li, field)).await.expect(200)["items"][0]["value"], Value::Null);
    }
    let log = path(&li, "/access-log");
    assert_eq!(manager.get(&log).await.expect(200)["items"], json!([]));
    let with_purpose = manager.with("X-Purpose", "care");
    assert_eq!(values(&with_purpose.get(&at).await.expect(200)["items"]), [("illness".to_owned(), "gout".to_owned())]);
    assert_eq!(manager.get(&log).await.expect(200)["items"][0]["fields"], json!(["custom.illness"]));
    assert_eq!(values(&with_purpose.get(&path(&li, "")).await.expect(200)["attributes"]).len(), 1);
    let fields = manager.get(&log).await.expect(200)["items"][0]["fields"].clone();
    assert!(fields.as_array().unwrap().contains(&json!("custom.illness")) && fields.as_array().unwrap().len() > 1, "{fields}");
    assert_eq!(with_purpose.get(&path(&li, field)).await.expect(200)["items"][0]["value"], "gout");
    let last = &manager.get(&log).await.expect(200)["items"][0];
    assert_eq!((&last["resource"], &last["fields"]), (&json!("customer_history"), &json!(["custom.illness"])));
    assert_eq!(manager.get(&log).await.expect(200)["items"].as_array().unwrap().len(), 3);
}

/// Whoever is not shown a value cannot find it out by setting it: every word about it makes a new version and an entry.
async fn guesses_leave_a_trace(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    define(&steward, "pep", "boolean", json!({ "field_class": "sensitive" })).await;
    define(&steward, "pet", "boolean", json!({})).await;
    let li = person(&steward, "Li", Some(&ids["SH"])).await;
    let (at, whole) = (path(&li, "/attributes"), path(&li, ""));
    let mut version = 1;
    for (value, entries) in
        [(json!(null), 2), (json!("true"), 3), (json!("true"), 4), (json!("false"), 5), (json!(null), 6), (json!(null), 7)]
    {
        let told = steward.patch(&at, version, json!({ "pep": value })).await.expect(200);
        version += 1;
        assert_eq!((&told["version"], &told["items"]), (&json!(version), &json!([])), "{value}");
        let past = steward.get(&path(&li, "/history?field=custom.pep")).await.expect(200);
        assert_eq!(past["items"].as_array().unwrap().len(), entries, "{value}");
        assert!(past["items"].as_array().unwrap().iter().all(|entry| entry["value"].is_null()));
    }
    // So it is with the sensitive fields of the profile and the ratings.
    for field in ["income_band", "income_band", "dependants", "dependants"] {
        let value = if field == "dependants" { json!(2) } else { json!("high") };
        let told = steward.patch(&whole, version, json!({ "personal": { field: value } })).await.expect(200);
        version += 1;
        assert_eq!(told["version"], version, "{field}");
    }
    for field in ["credit_rating", "credit_rating", "rated_on", "rated_on"] {
        let value = if field == "rated_on" { json!("2026-01-01") } else { json!("A") };
        let told = steward.patch(&whole, version, json!({ field: value })).await.expect(200);
        version += 1;
        assert_eq!(told["version"], version, "{field}");
    }
    let past = steward.get(&path(&li, "/history?field=income_band")).await.expect(200);
    assert_eq!(past["items"].as_array().unwrap().len(), 3);
    // Whoever sees a value is told that it stays; and what everybody sees stays without a trace.
    let purposeful = app.role_at("branch_manager", "SH").with("X-Purpose", "care");
    let shown =
        purposeful.patch(&whole, version, json!({ "personal": { "income_band": "high" }, "rated_on": "2026-01-01" })).await;
    assert_eq!(shown.expect(200)["version"], version);
    assert_eq!(steward.patch(&at, version, json!({ "pet": null })).await.expect(200)["version"], version);
}

async fn customers_see_what_is_public(app: App) {
    let steward = app.role("data_steward");
    define(&steward, "club", "text", json!({ "field_class": "public" })).await;
    define(&steward, "note", "text", json!({})).await;
    let li = person(&steward, "Li", None).await;
    let at = path(&li, "/attributes");
    steward.patch(&at, 1, json!({ "club": "gold", "note": "talks a lot" })).await.expect(200);
    let caller = app.token(sign(json!({ "sub": li["id"], "roles": ["customer_self"], "customer_id": li["id"] })));
    let club = [("club".to_owned(), "gold".to_owned())];
    assert_eq!(values(&caller.get(&at).await.expect(200)["items"]), club);
    assert_eq!(values(&caller.get(&path(&li, "")).await.expect(200)["attributes"]), club);
    assert_eq!(caller.get("/v1/attribute-definitions").await.problem(403), "forbidden");
    assert_eq!(caller.patch(&at, 2, json!({ "club": "platinum" })).await.problem(403), "forbidden");
}
