//! Rules of the bank that rows of imported files break, and what a preview foretells.

use serde_json::{Value, json};

use crate::{
    both_databases,
    import::{counts, errors, import, path, prepare, upload},
    support::{App, ledger},
};

both_databases!(
    an_account_does_not_close_before_it_opens,
    a_row_with_nul_is_refused_and_the_others_are_taken,
    shares_and_primary_owners_keep_their_bounds,
    a_customer_waits_for_its_branch,
    a_row_is_tried_again_only_when_something_may_free_it,
    the_same_id_twice_is_a_change,
    a_preview_tells_who_is_known
);

/// A mapping of customers with a document, accounts and links.
fn mapping(code: &str) -> Value {
    let identity = json!({ "object": { "type": { "constant": "passport" }, "number": "passport",
        "verification": { "constant": { "state": "verified", "method": "sight" } } } });
    let share = json!({ "column": "share", "transforms": ["integer"] });
    let primary = json!({ "column": "primary", "transforms": [{ "boolean": { "yes": ["y"], "no": ["n"] } }] });
    json!({
        "code": code, "name": "A bank with rules",
        "document": {
            "version": 1,
            "null_tokens": [""],
            "records": [{ "feed": "products", "record": { "code": "CUR", "name": "Current", "category": "deposit", "currency": "CNY" } }],
            "files": [
                { "pattern": "known*.csv", "feeds": [{ "feed": "customers", "fields": {
                    "source_id": "id", "full_name": "name", "identities": { "list": [identity] } } }] },
                { "pattern": "clients*.csv", "feeds": [{ "feed": "customers", "fields": {
                    "source_id": "id", "full_name": "name", "branch_code": "branch" } }] },
                { "pattern": "accounts*.csv", "feeds": [{ "feed": "accounts", "fields": {
                    "number": "number", "product_code": { "constant": "CUR" }, "opened_on": "opened", "closed_on": "closed",
                    "status": "status" } }] },
                { "pattern": "links*.csv", "feeds": [{ "feed": "account_links", "fields": {
                    "account_number": "account", "customer_source_id": "customer", "role": { "constant": "owner" },
                    "share_bp": share, "primary": primary } }] },
            ],
        },
    })
}

/// Row, field, column and code of each error, sorted.
async fn told(app: &App, done: &Value) -> Vec<(i64, String, String)> {
    let rows = errors(app, done).await;
    let mut told: Vec<_> = rows
        .iter()
        .flat_map(|row| row["errors"].as_array().unwrap().iter().map(|error| (row["row"].as_i64().unwrap(), error)))
        .map(|(row, error)| (row, ledger::text(&error["column"]), ledger::text(&error["code"])))
        .collect();
    told.sort();
    told
}

async fn an_account_does_not_close_before_it_opens(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let accounts =
        "number,opened,closed,status\n1,2020-01-01,2019-12-31,closed\n2,2020-01-01,2020-01-01,closed\n3,2020-02-30,,active\n";
    let done = import(&app, &id, &[("accounts.csv", accounts)]).await;
    assert_eq!(counts(&done), [4, 2, 0, 0, 2, 0]);
    let told = told(&app, &done).await;
    assert_eq!(told[0], (1, "closed".into(), "before_start".into()));
    assert_eq!((told[1].0, told[1].1.as_str(), told.len()), (3, "opened", 2));
    assert_eq!(admin.get("/v1/accounts?include_total=true").await.expect(200)["total"], 1);
}

async fn a_row_with_nul_is_refused_and_the_others_are_taken(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let done = import(&app, &id, &[("clients.csv", "id,name,branch\nA,Anna,\nB,Be\0rt,\nC\0,Carl,\nD,Dora,\n")]).await;
    assert_eq!(counts(&done), [5, 3, 0, 0, 2, 0]);
    let refused = |row, column: &str| (row, column.to_owned(), "control_character".to_owned());
    assert_eq!(told(&app, &done).await, [refused(2, "name"), refused(3, "id")]);
}

async fn shares_and_primary_owners_keep_their_bounds(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let files = [
        ("accounts.csv", "number,opened,closed,status\n1,2020-01-01,,active\n2,2020-01-01,,active\n"),
        ("clients.csv", "id,name,branch\nA,Anna,\nB,Bert,\nC,Carl,\n"),
        (
            "links.csv",
            "account,customer,share,primary\n1,A,6000,y\n1,B,5000,n\n1,C,4000,n\n2,A,,y\n2,B,,y\n2,C,10001,n\n2,C,,n\n",
        ),
    ];
    let done = import(&app, &id, &files).await;
    assert_eq!(counts(&done), [13, 10, 0, 0, 3, 0]);
    let expected = [
        (2, "share", "shares_exceeded"),
        (5, "primary", "primary_owner_exists"),
        (6, "share", "range"),
        (6, "share", "shares_exceeded"),
    ];
    assert_eq!(told(&app, &done).await, expected.map(|(row, column, code)| (row, column.to_owned(), code.to_owned())));
    assert_eq!(admin.get("/v1/account-links?include_total=true").await.expect(200)["total"], 4);
}

async fn a_customer_waits_for_its_branch(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let done = import(&app, &id, &[("clients.csv", "id,name,branch\nA,Anna,\nB,Bert,NOWHERE\n")]).await;
    assert_eq!(counts(&done), [3, 2, 0, 0, 0, 1]);
    let waiting = &errors(&app, &done).await[0];
    assert_eq!((&waiting["row"], &waiting["state"]), (&json!(2), &json!("parked")));
    assert!(waiting["errors"][0]["message"].as_str().unwrap().contains("branch"), "{waiting}");
    assert_eq!(admin.get("/v1/customers?include_total=true").await.expect(200)["total"], 1);
}

async fn a_row_is_tried_again_only_when_something_may_free_it(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let links = "account,customer,share,primary\n1,A,6000,y\n1,B,4000,n\n";
    let parked = import(&app, &id, &[("links.csv", links)]).await;
    assert_eq!(counts(&parked), [3, 1, 0, 0, 0, 2]);
    let tried = |rows: Vec<Value>| rows.iter().map(|row| ledger::text(&row["updated_at"])).collect::<Vec<_>>();
    let first = tried(errors(&app, &parked).await);
    // Customers free nobody who waits for an account; a sample of those who do is tried all the same.
    import(&app, &id, &[("clients.csv", "id,name,branch\nA,Anna,\n")]).await;
    let second = tried(errors(&app, &parked).await);
    assert!(second[0] > first[0] && second[1] == first[1], "{first:?} {second:?}");
    // The account frees the link of A; that of B now waits for a customer, whom no import of accounts brings.
    let accounts = "number,opened,closed,status\n1,2020-01-01,,active\n";
    import(&app, &id, &[("accounts.csv", accounts)]).await;
    let left = errors(&app, &parked).await;
    assert_eq!((left.len(), &left[0]["row"]), (1, &json!(2)));
    import(&app, &id, &[("accounts.csv", "number,opened,closed,status\n2,2020-01-01,,active\n")]).await;
    assert_eq!(tried(errors(&app, &parked).await), tried(left));
    import(&app, &id, &[("clients.csv", "id,name,branch\nB,Bert,\n")]).await;
    assert!(errors(&app, &parked).await.is_empty());
    let attached = admin.get(&path(&parked)).await.expect(200);
    assert_eq!(counts(&attached), [3, 3, 0, 0, 0, 0]);
}

async fn the_same_id_twice_is_a_change(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let done = import(&app, &id, &[("clients.csv", "id,name,branch\nA,Anna,\nA,Anna,\nA,Anne,\n")]).await;
    assert_eq!(counts(&done), [4, 2, 1, 1, 0, 0]);
    let found = admin.get("/v1/customers?include_total=true").await.expect(200);
    assert_eq!((&found["total"], &found["items"][0]["personal"]["full_name"]), (&json!(1), &json!("Anne")));
}

async fn a_preview_tells_who_is_known(app: App) {
    let admin = app.role("administrator");
    let id = prepare(&admin, mapping("rules")).await;
    let first = "id,name,passport\nA,Anna,E12345678\nB,Bert,E22345678\n";
    assert_eq!(counts(&import(&app, &id, &[("known.csv", first)]).await), [3, 3, 0, 0, 0, 0]);
    let more = "id,name,passport\nA,Anna,E12345678\nB2,Bert,E22345678\nC,Carl,E32345678\nB,Bert,E92345678\n";
    let seen = upload(&app, &id, &[("known.csv", more.as_bytes())], &[("preview_only", "true")]).await;
    let files = seen["preview"]["files"].as_array().unwrap();
    let known = files.iter().find(|file| file["name"] == "known.csv").unwrap();
    assert_eq!((&known["rows"], &known["feeds"][0]["records"]), (&json!(4), &json!(4)), "{known:#}");
    let mut matches = known["feeds"][0]["matches"].as_array().unwrap().clone();
    matches.sort_by_key(|found| found["method"].to_string());
    let expected = json!([{ "method": "source_id", "records": 2 }, { "method": "verified_identity", "records": 1 }]);
    assert_eq!(Value::Array(matches), expected);
    // What was foretold happens.
    let version = seen["version"].as_i64().unwrap();
    admin.command(&format!("{}/run", path(&seen)), version, json!({})).await.expect(202);
    app.run_jobs();
    let done = admin.get(&path(&seen)).await.expect(200);
    assert_eq!(counts(&done)[..2], [5, 1]);
    assert_eq!(admin.get("/v1/customers?include_total=true").await.expect(200)["total"], 3);
}
