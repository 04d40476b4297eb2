//! `/v1/customers/search` with a rule, and `/v1/rule-fields`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        ledger::{account, bank, owner, text},
        sign,
    },
};

both_databases!(
    finds_by_the_record_and_the_profile,
    finds_by_what_belongs_to_customers,
    a_sum_that_is_too_large_is_a_problem,
    goes_on_from_page_to_page,
    stays_within_the_rights_it_needs,
    faults_are_named_where_they_stand,
    tells_what_can_be_asked,
    a_group_is_previewed
);

const SEARCH: &str = "/v1/customers/search";

async fn names(client: &Client<'_>, rule: Value) -> Vec<String> {
    let found = client.post(SEARCH, json!({ "rule": rule })).await.expect(200);
    let mut names: Vec<String> = found["items"].as_array().unwrap().iter().map(|item| text(&item["display_name"])).collect();
    names.sort();
    names
}

fn is(field: &str, operator: &str, values: &[&str]) -> Value {
    let mut rule = json!({ "field": field, "operator": operator });
    if !values.is_empty() {
        rule["values"] = json!(values);
    }
    rule
}

async fn person(admin: &Client<'_>, name: &str, branch: &Value, profile: Value) -> String {
    let mut body = json!({ "kind": "personal", "home_branch_id": branch, "personal": { "full_name": name },
        "allow_duplicate": { "reason": "people of tests are much alike" } });
    body["personal"].as_object_mut().unwrap().extend(profile.as_object().unwrap().clone());
    text(&admin.post("/v1/customers", body).await.expect(201)["id"])
}

async fn finds_by_the_record_and_the_profile(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    person(&admin, "Ann", &ids["A"], json!({ "birth_date": "1950-03-01", "gender": "female", "occupation": "nurse" })).await;
    person(&admin, "Bob", &ids["B"], json!({ "birth_date": "2015-03-01", "gender": "male" })).await;
    person(&admin, "Cy", &ids["HO"], json!({ "occupation": "nursery teacher" })).await;
    let company = json!({ "kind": "corporate", "organisation": { "legal_name": "Dee Ltd", "employees": 12,
        "registered_capital": { "amount": "5000.00", "currency": "CNY" } } });
    admin.post("/v1/customers", company).await.expect(201);
    for (rule, wanted) in [
        (is("kind", "equals", &["personal"]), vec!["Ann", "Bob", "Cy"]),
        (is("birth_date", "at_most", &["today-18y"]), vec!["Ann"]),
        (is("birth_date", "more_than", &["today-18y"]), vec!["Bob"]),
        (is("birth_date", "absent", &[]), vec!["Cy", "Dee Ltd"]),
        // Who has no date of birth is not known to be old, so `not` finds them.
        (json!({ "not": is("birth_date", "at_most", &["today-18y"]) }), vec!["Bob", "Cy", "Dee Ltd"]),
        (is("occupation", "starts_with", &["nurse"]), vec!["Ann", "Cy"]),
        (is("occupation", "equals", &["nurse"]), vec!["Ann"]),
        (is("occupation", "starts_with", &["n%"]), vec![]),
        (is("branch", "equals", &["HO"]), vec!["Cy"]),
        (is("branch", "within", &["HO"]), vec!["Ann", "Bob", "Cy"]),
        (is("branch", "one_of", &["A", "B", "no such branch"]), vec!["Ann", "Bob"]),
        (is("employees", "between", &["10", "12"]), vec!["Dee Ltd"]),
        (is("registered_capital", "at_least", &["5000.00 CNY"]), vec!["Dee Ltd"]),
        (is("registered_capital", "at_least", &["1.00 USD"]), vec![]),
        (is("created_at", "at_least", &["today-1d"]), vec!["Ann", "Bob", "Cy", "Dee Ltd"]),
        (is("created_at", "less_than", &["2020-01-01T00:00:00Z"]), vec![]),
        (json!({ "any": [is("gender", "equals", &["male"]), is("employees", "present", &[])] }), vec!["Bob", "Dee Ltd"]),
        (json!({ "all": [is("gender", "one_of", &["male", "female"]), is("branch", "within", &["A"])] }), vec!["Ann"]),
        (is("employer", "equals", &["' OR 1=1 --"]), vec![]),
    ] {
        assert_eq!(names(&admin, rule.clone()).await, wanted, "{rule}");
    }
    // With `q`, the filters of the search and the rule all have to hold.
    let both = json!({ "q": "bob", "rule": is("kind", "equals", &["personal"]), "include_total": true });
    let found = admin.post(SEARCH, both).await.expect(200);
    assert_eq!((&found["total"], &found["items"][0]["display_name"]), (&json!(1), &json!("Bob")));
    let neither = json!({ "q": "bob", "rule": is("gender", "equals", &["female"]) });
    assert_eq!(admin.post(SEARCH, neither).await.expect(200)["items"], json!([]));
    let branch = json!({ "branch": "B", "rule": is("kind", "equals", &["personal"]) });
    assert_eq!(admin.post(SEARCH, branch).await.expect(200)["items"][0]["display_name"], "Bob");
}

async fn finds_by_what_belongs_to_customers(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let mut customers = json!({});
    for (name, balances) in [("Ann", vec!["100.00", "900.00"]), ("Bob", vec!["1000.00"]), ("Cy", vec![])] {
        let id = person(&admin, name, &ids["A"], json!({})).await;
        for (number, balance) in balances.into_iter().enumerate() {
            let account = account(&admin, &format!("{name}-{number}"), "A", balance).await;
            admin.post("/v1/account-links", owner(&account, &id, true, None)).await.expect(201);
            // A second link to the same account is no second account.
            let signs = json!({ "account_id": account, "customer_id": id, "role": "authorised_signatory",
                "valid_from": "2020-01-01" });
            admin.post("/v1/account-links", signs).await.expect(201);
        }
        customers[name] = json!(id);
    }
    let group = admin.post("/v1/groups", json!({ "name": "Savers", "kind": "static" })).await.expect(201);
    let members = json!({ "members": [{ "customer_id": customers["Bob"] }], "valid_from": "2024-01-01" });
    admin.post(&format!("/v1/groups/{}/members", text(&group["id"])), members).await.expect(200);
    let phone = json!({ "kind": "phone", "value": "13912345670" });
    admin.post(&format!("/v1/customers/{}/contact-points", text(&customers["Cy"])), phone).await.expect(201);
    let accounts = |more: Value| {
        let mut rule = json!({ "some": "accounts" });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let sum = |operator: &str, value: &str| accounts(json!({ "sum": "balance", "operator": operator, "values": [value] }));
    for (rule, wanted) in [
        (accounts(json!({})), vec!["Ann", "Bob"]),
        (json!({ "not": accounts(json!({})) }), vec!["Cy"]),
        (accounts(json!({ "at_least": 2 })), vec!["Ann"]),
        (accounts(json!({ "at_least": 3 })), vec![]),
        (accounts(json!({ "matching": is("balance", "at_least", &["1000.00 CNY"]) })), vec!["Bob"]),
        (accounts(json!({ "matching": is("balance", "at_least", &["1.00 USD"]) })), vec![]),
        (accounts(json!({ "matching": is("branch", "within", &["HO"]) })), vec!["Ann", "Bob"]),
        (accounts(json!({ "matching": is("category", "equals", &["loan"]) })), vec![]),
        (sum("equals", "1000.00 CNY"), vec!["Ann", "Bob"]),
        (sum("more_than", "1000.00 CNY"), vec![]),
        (sum("equals", "0.00 CNY"), vec!["Cy"]),
        (sum("equals", "0.00 USD"), vec!["Ann", "Bob", "Cy"]),
        (
            accounts(json!({ "matching": is("balance", "less_than", &["500.00 CNY"]), "sum": "balance", "operator": "between",
                "values": ["50.00 CNY", "100.00 CNY"] })),
            vec!["Ann"],
        ),
        (
            json!({ "some": "account_links", "matching": is("role", "equals", &["authorised_signatory"]), "at_least": 2 }),
            vec!["Ann"],
        ),
        (
            json!({ "some": "groups", "matching": is("group_number", "equals", &[group["number"].as_str().unwrap()]) }),
            vec!["Bob"],
        ),
        (json!({ "some": "groups", "matching": is("group", "one_of", &[group["id"].as_str().unwrap()]) }), vec!["Bob"]),
        (json!({ "some": "contact_points", "matching": is("kind", "equals", &["phone"]) }), vec!["Cy"]),
        (json!({ "some": "assignments" }), vec![]),
        (json!({ "some": "tags" }), vec![]),
        (json!({ "some": "account_months" }), vec![]),
    ] {
        assert_eq!(names(&admin, rule.clone()).await, wanted, "{rule}");
    }
}

async fn a_sum_that_is_too_large_is_a_problem(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = person(&admin, "Rich", &ids["A"], json!({})).await;
    for number in ["1", "2"] {
        let account = account(&admin, number, "A", "92233720368547758.07").await;
        admin.post("/v1/account-links", owner(&account, &id, true, None)).await.expect(201);
    }
    let rule = json!({ "some": "accounts", "sum": "balance", "operator": "at_least", "values": ["1.00 CNY"] });
    // PostgreSQL can tell that it is larger, SQLite that it cannot tell.
    let answer = admin.post(SEARCH, json!({ "rule": rule })).await;
    match answer.status {
        200 => assert_eq!(answer.expect(200)["items"].as_array().unwrap().len(), 1),
        _ => assert_eq!(answer.problem(409), "out_of_range"),
    }
}

async fn goes_on_from_page_to_page(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    for number in 0..7 {
        person(&admin, &format!("P{number}"), &ids["A"], json!({ "gender": if number == 3 { "male" } else { "female" } })).await;
    }
    let mut seen = Vec::new();
    let mut body = json!({ "rule": is("gender", "equals", &["female"]), "limit": 2, "include_total": true });
    loop {
        let page = admin.post(SEARCH, body.clone()).await.expect(200);
        assert_eq!(page["total"], 6);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(&item["display_name"])));
        if page["next_cursor"].is_null() {
            break;
        }
        body["cursor"] = page["next_cursor"].clone();
    }
    assert_eq!(seen, ["P6", "P5", "P4", "P2", "P1", "P0"]);
    body["rule"]["values"] = json!(["male"]);
    assert_eq!(admin.post(SEARCH, body).await.pointers(422), ["/cursor"]);
}

async fn stays_within_the_rights_it_needs(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    for (name, branch) in [("Near", "A"), ("Far", "B")] {
        let id = person(&admin, name, &ids[branch], json!({ "gender": "female" })).await;
        let account = account(&admin, name, branch, "10.00").await;
        admin.post("/v1/account-links", owner(&account, &id, true, None)).await.expect(201);
    }
    let rich = json!({ "some": "accounts", "matching": is("balance", "present", &[]) });
    assert_eq!(names(&app.role_at("teller", "A"), rich.clone()).await, ["Near"]);
    assert_eq!(names(&app.role_at("teller", "A"), json!({ "not": rich })).await, [""; 0]);
    // A role that reads customers everywhere and accounts only at its branch: of the others nothing is told, not even that a
    // rule does not hold.
    let grants =
        |actions: Value| json!({ "code": "mixed", "name": "Mixed", "grants": actions, "field_classes": ["public", "internal"] });
    let mixed = json!([{ "action": "customer.read", "depth": "all" }, { "action": "account.read", "depth": "unit" }]);
    admin.post("/v1/roles", grants(mixed)).await.expect(201);
    let client = app.role_at("mixed", "A");
    let anybody = is("gender", "equals", &["female"]);
    assert_eq!(names(&client, anybody.clone()).await, ["Far", "Near"]);
    assert_eq!(names(&client, rich.clone()).await, ["Near"]);
    assert_eq!(names(&client, json!({ "not": rich })).await, [""; 0]);
    assert_eq!(names(&client, json!({ "any": [anybody, rich] })).await, ["Near"]);
    let problem = client.post(SEARCH, json!({ "rule": { "some": "groups" } })).await.problem(403);
    assert_eq!(problem, "forbidden");
    let names_only = json!({ "code": "names", "name": "Names", "grants": [{ "action": "customer.read", "depth": "all" }],
        "field_classes": ["public"] });
    admin.post("/v1/roles", names_only).await.expect(201);
    let tagged = json!({ "rule": { "some": "tags", "matching": is("code", "equals", &["x"]) } });
    assert_eq!(app.role_at("names", "A").post(SEARCH, tagged).await.pointers(422), ["/rule/some"]);
    let any = json!({ "rule": { "not": { "some": "contact_points" } } });
    assert_eq!(app.role_at("names", "A").post(SEARCH, any).await.pointers(422), ["/rule/not/some"]);
    let customer = person(&admin, "Self", &ids["A"], json!({})).await;
    let own = app.token(sign(json!({ "sub": "C", "roles": ["customer_self"], "customer_id": customer })));
    assert_eq!(own.post(SEARCH, json!({ "rule": is("gender", "present", &[]) })).await.problem(403), "forbidden");
    assert_eq!(own.get("/v1/rule-fields").await.expect(200)["fields"], json!([]));
}

async fn faults_are_named_where_they_stand(app: App) {
    let admin = app.role("administrator");
    let deep = (0..8).fold(is("kind", "present", &[]), |rule, _| json!({ "not": rule }));
    let many = json!({ "any": vec![is("kind", "present", &[]); 64] });
    for (rule, pointers) in [
        (json!({}), vec!["/rule"]),
        (json!({ "all": [] }), vec!["/rule/all"]),
        (json!({ "all": [is("kind", "present", &[])], "any": [is("kind", "present", &[])] }), vec!["/rule"]),
        (is("no_such_field", "present", &[]), vec!["/rule/field"]),
        (is("kind", "at_most", &["personal"]), vec!["/rule/operator"]),
        (json!({ "field": "kind" }), vec!["/rule/operator"]),
        (json!({ "field": "kind", "operator": "like", "values": ["x"] }), vec!["/rule/operator"]),
        (is("kind", "equals", &["Personal"]), vec!["/rule/values/0"]),
        (is("kind", "equals", &[]), vec!["/rule/values"]),
        (is("kind", "equals", &["personal", "company"]), vec!["/rule/values"]),
        (is("kind", "present", &["personal"]), vec!["/rule/values"]),
        (is("birth_date", "between", &["2020-01-01", "2019-01-01"]), vec!["/rule/values"]),
        (is("birth_date", "at_least", &["yesterday"]), vec!["/rule/values/0"]),
        (is("birth_date", "at_least", &["today-9999y"]), vec!["/rule/values/0"]),
        (is("employees", "at_least", &["９"]), vec!["/rule/values/0"]),
        (is("employees", "at_least", &["9999999999999999999"]), vec!["/rule/values/0"]),
        (is("registered_capital", "between", &["1.00 CNY", "2.00 USD"]), vec!["/rule/values"]),
        (is("registered_capital", "at_least", &["1.00"]), vec!["/rule/values/0"]),
        (is("occupation", "equals", &["a\u{0}b"]), vec!["/rule/values/0"]),
        (is("credit_rating", "equals", &["AAA"]), vec!["/rule/field"]),
        (is("marital_status", "present", &[]), vec!["/rule/field"]),
        (json!({ "some": "no_such" }), vec!["/rule/some"]),
        (json!({ "some": "accounts", "at_least": 0 }), vec!["/rule/at_least"]),
        (json!({ "some": "accounts", "matching": { "some": "tags" } }), vec!["/rule/matching/some"]),
        (json!({ "some": "accounts", "matching": is("kind", "present", &[]) }), vec!["/rule/matching/field"]),
        (json!({ "some": "accounts", "sum": "currency", "operator": "equals", "values": ["CNY"] }), vec!["/rule/sum"]),
        (json!({ "some": "accounts", "sum": "balance", "operator": "present" }), vec!["/rule/operator"]),
        (
            json!({ "some": "accounts", "sum": "balance", "at_least": 2, "operator": "equals", "values": ["1.00 CNY"] }),
            vec!["/rule/at_least"],
        ),
        (json!({ "some": "accounts", "values": ["1"] }), vec!["/rule/values"]),
        (json!({ "not": is("kind", "present", &[]), "matching": is("kind", "present", &[]) }), vec!["/rule/matching"]),
        (
            json!({ "all": [is("kind", "present", &[]), is("x", "present", &[]), { "not": is("kind", "within", &["y"]) }] }),
            vec!["/rule/all/1/field", "/rule/all/2/not/operator"],
        ),
        (deep, vec!["/rule/not/not/not/not/not/not/not/not"]),
        (many, vec!["/rule/any/63"]),
    ] {
        assert_eq!(admin.post(SEARCH, json!({ "rule": rule })).await.pointers(422), pointers, "{rule}");
    }
    assert_eq!(admin.post(SEARCH, json!({})).await.pointers(422), ["/q"]);
    assert_eq!(admin.post(SEARCH, json!({ "rule": { "field": "kind", "operator": "present", "x": 1 } })).await.status, 422);
}

async fn tells_what_can_be_asked(app: App) {
    let told = app.role("administrator").get("/v1/rule-fields").await.expect(200);
    let named = |list: &Value, name: &str| list.as_array().unwrap().iter().find(|item| item["name"] == name).cloned();
    let kind = named(&told["fields"], "kind").unwrap();
    assert_eq!((&kind["type"], &kind["operators"][0]), (&json!("word"), &json!("equals")));
    assert!(kind["words"].as_array().unwrap().contains(&json!("personal")));
    assert!(named(&told["fields"], "credit_rating").is_none());
    let accounts = named(&told["collections"], "accounts").unwrap();
    assert_eq!(named(&accounts["fields"], "balance").unwrap()["sums"], true);
    // Everything that is told can be asked, in every way that is told, and the database understands it.
    let admin = app.role("administrator");
    for (some, fields) in told["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|collection| (Some(collection["name"].clone()), &collection["fields"]))
        .chain([(None, &told["fields"])])
    {
        for field in fields.as_array().unwrap() {
            for operator in field["operators"].as_array().unwrap() {
                let rule = asked(field, operator);
                let rule = match &some {
                    Some(name) => json!({ "some": name, "matching": rule }),
                    None => rule,
                };
                admin.post(SEARCH, json!({ "rule": rule })).await.expect(200);
            }
            if let (Some(name), true) = (&some, field["sums"] == true) {
                let rule = json!({ "some": name, "sum": field["name"], "operator": "at_least", "values": [value(field)] });
                admin.post(SEARCH, json!({ "rule": rule })).await.expect(200);
            }
        }
    }
    let agent = json!({ "code": "names", "name": "Names", "grants": [{ "action": "customer.read", "depth": "all" }],
        "field_classes": ["public"] });
    admin.post("/v1/roles", agent).await.expect(201);
    let told = app.role("names").get("/v1/rule-fields").await.expect(200);
    assert_eq!((told["collections"].as_array().unwrap().len(), named(&told["fields"], "kind").is_some()), (0, true));
}

fn asked(field: &Value, operator: &Value) -> Value {
    let number = match operator.as_str().unwrap() {
        "present" | "absent" => 0,
        "between" => 2,
        _ => 1,
    };
    json!({ "field": field["name"], "operator": operator, "values": vec![value(field); number] })
}

fn value(field: &Value) -> String {
    match field["type"].as_str().unwrap() {
        "word" => text(&field["words"][0]),
        "number" => "5".into(),
        "money" => "5.00 CNY".into(),
        "date" | "instant" => "today-1m".into(),
        "flag" => "true".into(),
        "id" => "00000000-0000-7000-8000-000000000001".into(),
        _ => "x".into(),
    }
}

async fn a_group_is_previewed(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let priced = json!({ "code": "PAY", "name": "Payments", "category": "deposit", "currency": "CNY",
        "unit_cost": { "amount": "12.50", "currency": "CNY" } });
    admin.post("/v1/products", priced).await.expect(201);
    let mut customers = Vec::new();
    for (name, branch) in [("P0", "A"), ("P1", "A"), ("P2", "A"), ("P3", "B")] {
        let id = person(&admin, name, &ids[branch], json!({ "gender": "female" })).await;
        let plain = account(&admin, name, branch, "10.00").await;
        admin.post("/v1/account-links", owner(&plain, &id, true, None)).await.expect(201);
        customers.push(id);
    }
    let paid = json!({ "source_system": "core", "number": "PAY-1", "product_code": "PAY", "branch_code": "A",
        "opened_on": "2020-01-01", "deposit": { "statement_frequency": "monthly" } });
    let paid = text(&admin.post("/v1/accounts", paid).await.expect(200)["id"]);
    // Two own it; it is one account all the same.
    admin.post("/v1/account-links", owner(&paid, &customers[0], true, None)).await.expect(201);
    let joint = json!({ "account_id": paid, "customer_id": customers[1], "role": "joint_owner", "valid_from": "2020-01-01" });
    admin.post("/v1/account-links", joint).await.expect(201);
    let group = admin.post("/v1/groups", json!({ "name": "Savers", "kind": "static" })).await.expect(201);
    let members =
        json!({ "members": [{ "customer_id": customers[0] }, { "customer_id": customers[3] }], "valid_from": "2024-01-01" });
    admin.post(&format!("/v1/groups/{}/members", text(&group["id"])), members).await.expect(200);

    let asked = json!({ "rule": is("branch", "within", &["A"]), "sample_size": 2, "currency": "CNY" });
    let seen = admin.post("/v1/groups/preview", asked.clone()).await.expect(200);
    assert_eq!((&seen["customer_count"], &seen["all_customer_count"]), (&json!(3), &json!(4)));
    let labels: Vec<&str> = seen["sample"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["P2", "P1"]);
    assert_eq!(seen["overlaps"], json!([{ "group": { "id": group["id"], "label": "Savers" }, "shared_count": 1 }]));
    let cost = &seen["cost"];
    assert_eq!(cost["yearly"], json!({ "amount": "12.50", "currency": "CNY" }));
    assert_eq!((&cost["account_count"], &cost["unknown_account_count"]), (&json!(1), &json!(3)));
    // Of another branch nothing is seen, and without a currency nothing is estimated.
    let everybody = json!({ "rule": is("gender", "present", &[]), "sample_size": 0 });
    let seen = app.role_at("teller", "B").post("/v1/groups/preview", everybody.clone()).await.expect(200);
    assert_eq!((&seen["customer_count"], &seen["all_customer_count"]), (&json!(1), &json!(1)));
    assert_eq!((&seen["sample"], &seen["cost"], &seen["overlaps"][0]["shared_count"]), (&json!([]), &Value::Null, &json!(1)));
    // Nothing was kept.
    assert_eq!(admin.get("/v1/groups?include_total=true").await.expect(200)["total"], 1);
    assert_eq!(admin.post("/v1/groups/preview", json!({ "rule": {} })).await.pointers(422), ["/rule"]);
    let many = json!({ "rule": is("gender", "present", &[]), "sample_size": 51 });
    assert_eq!(admin.post("/v1/groups/preview", many).await.pointers(422), ["/sample_size"]);
}
