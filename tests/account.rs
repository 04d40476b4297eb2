//! `/v1/accounts`

use diesel::{QueryDsl, RunQueryDsl};
use kehu_kernel::schema::access_log;
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, customer, owner, text},
    },
};

both_databases!(
    mirrors_and_replaces_an_account,
    refuses_impossible_accounts,
    filters_by_what_accounts_are,
    shows_accounts_within_reach_only,
    reveals_a_number_to_few_and_records_it,
    finds_customers_by_account_number,
    groups_a_customers_accounts_with_exact_shares
);

async fn mirrors_and_replaces_an_account(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let body = json!({ "source_system": "core", "number": "6222 0212-3456", "product_code": "SAV", "branch_code": "A",
        "opened_on": "2020-01-01", "balance": { "amount": "10.00", "currency": "CNY" }, "balance_on": "2024-01-31",
        "attributes": { "colour": "red" }, "deposit": { "rate_bp": 175 } });
    let made = admin.post("/v1/accounts", body.clone()).await.expect(200);
    assert_eq!(
        (&made["number"], &made["branch"]["label"], &made["status"], &made["deposit"]["rate_bp"], &made["balance"]["amount"]),
        (&json!("****3456"), &json!("Branch A"), &json!("active"), &json!(175), &json!("10.00"))
    );
    let same = admin.post("/v1/accounts", body).await.expect(200);
    assert_eq!((&same["id"], &same["version"]), (&made["id"], &json!(1)));
    let closed = json!({ "source_system": "core", "number": "622202123456", "product_code": "SAV", "branch_code": "B",
        "opened_on": "2020-01-01", "closed_on": "2024-02-29" });
    let closed = admin.post("/v1/accounts", closed).await.expect(200);
    assert_eq!(
        (&closed["id"], &closed["status"], &closed["deposit"], &closed["balance"]["amount"], &closed["version"]),
        (&made["id"], &json!("closed"), &Value::Null, &json!("10.00"), &json!(2))
    );
    let balances = admin.get(&format!("/v1/accounts/{}/balances", text(&made["id"]))).await.expect(200);
    assert_eq!(balances["items"][0]["day"], "2024-01-31");
}

async fn refuses_impossible_accounts(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let with = |more: Value| {
        let mut body = json!({ "source_system": "core", "number": "1", "product_code": "SAV" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({ "opened_on": "2024-02-01", "closed_on": "2024-01-31" }), vec!["/closed_on"]),
        (
            json!({ "opened_on": "2024-02-01", "matures_on": "2024-01-31", "loan": { "principal": { "amount": "1.00", "currency": "CNY" } } }),
            vec!["/loan", "/matures_on"],
        ),
        (json!({ "product_code": "LOAN" }), vec!["/loan"]),
        (json!({ "product_code": "NONE" }), vec!["/product_code"]),
        (json!({ "branch_code": "NONE" }), vec!["/branch_code"]),
        (json!({ "parent_number": "NONE" }), vec!["/parent_number"]),
        (json!({ "status": "active", "closed_on": "2024-01-31" }), vec!["/status"]),
        (
            json!({ "balance": { "amount": "1.00", "currency": "CNY" }, "credit_limit": { "amount": "1.00", "currency": "USD" } }),
            vec!["/balance"],
        ),
        (json!({ "balance": { "amount": "1.005", "currency": "CNY" } }), vec!["/balance"]),
        (json!({ "opened_on": "2024-02-30" }), vec!["/opened_on"]),
        (json!({ "colour": "red" }), vec!["/colour"]),
    ];
    for (more, pointers) in cases {
        let body = with(more);
        if body["credit_limit"].is_object() {
            assert_eq!(admin.post("/v1/accounts", body).await.pointers(422).len(), 1);
            continue;
        }
        assert_eq!(admin.post("/v1/accounts", body.clone()).await.pointers(422), pointers, "{body}");
    }
    assert_eq!(admin.get("/v1/accounts?include_total=true").await.expect(200)["total"], 0);
}

async fn filters_by_what_accounts_are(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let parent = account(&admin, "100", "A", "1.00").await;
    let loan = json!({ "source_system": "core", "number": "L-1", "product_code": "LOAN", "branch_code": "A", "parent_number": "100",
        "loan": { "principal": { "amount": "5000.00", "currency": "CNY" }, "repayment_state": "overdue" } });
    admin.post("/v1/accounts", loan).await.expect(200);
    let card = json!({ "source_system": "core", "number": "C-1", "product_code": "CARD", "parent_number": "100",
        "card": { "kind": "gold", "number": "4000 1234 5678 9010" } });
    let card = admin.post("/v1/accounts", card).await.expect(200);
    assert_eq!((&card["card"]["number"], &card["parent"]["id"]), (&json!("****9010"), &json!(parent)));
    for (filter, total) in [
        ("category=deposit".to_owned(), 1),
        ("category=loan&repayment_state=overdue".to_owned(), 1),
        ("repayment_state=repaid".to_owned(), 0),
        ("card_kind=gold".to_owned(), 1),
        ("product_code=CARD".to_owned(), 1),
        (format!("parent_account_id={parent}"), 2),
        (format!("branch_id={}", text(&ids["A"])), 2),
        ("status=closed".to_owned(), 0),
        ("source_system=other".to_owned(), 0),
    ] {
        let page = admin.get(&format!("/v1/accounts?include_total=true&{filter}")).await.expect(200);
        assert_eq!((&page["total"], page["items"].as_array().unwrap().len()), (&json!(total), total), "{filter}");
    }
    assert_eq!(admin.get("/v1/accounts?category=shoes").await.pointers(400), ["?category"]);
}

async fn shows_accounts_within_reach_only(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (here, there) = (account(&admin, "100", "A", "1.00").await, account(&admin, "200", "B", "1.00").await);
    let teller = app.role_at("teller", "A");
    assert_eq!(teller.get(&format!("/v1/accounts/{here}")).await.status, 200);
    for path in ["", "/balances", "/transactions", "/statement", "/customers"] {
        assert_eq!(teller.get(&format!("/v1/accounts/{there}{path}")).await.problem(404), "not_found", "{path}");
    }
    assert_eq!(teller.get("/v1/accounts?include_total=true").await.expect(200)["total"], 1);
    // A customer of this branch signs for the account of the other one: now it is in sight.
    let signer = customer(&admin, "Li Na", &ids["A"]).await;
    let link = json!({ "account_id": there, "customer_id": signer, "role": "authorised_signatory", "valid_from": "2020-01-01" });
    let link = admin.post("/v1/account-links", link).await.expect(201);
    assert_eq!(teller.get(&format!("/v1/accounts/{there}")).await.status, 200);
    assert_eq!(teller.get("/v1/accounts?include_total=true").await.expect(200)["total"], 2);
    let end = json!({ "reason": "resigned" });
    admin.command(&format!("/v1/account-links/{}/end", text(&link["id"])), 1, end).await.expect(200);
    assert_eq!(teller.get(&format!("/v1/accounts/{there}")).await.status, 404);
}

async fn reveals_a_number_to_few_and_records_it(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let id = account(&admin, "6222 0212 3456", "A", "1.00").await;
    let path = format!("/v1/accounts/{id}/reveal");
    let teller = app.role_at("teller", "A").with("X-Purpose", "closing");
    assert_eq!(teller.post(&path, json!({})).await.expect(200)["number"], "6222 0212 3456");
    let log =
        app.store.read(|conn| Ok(access_log::table.select((access_log::action, access_log::purpose)).load(&mut conn.db)?));
    let log: Vec<(String, Option<String>)> = log.await.unwrap();
    assert_eq!(log, [("customer.reveal".to_owned(), Some("closing".to_owned()))]);
    assert_eq!(app.role_at("teller", "B").post(&path, json!({})).await.problem(404), "not_found");
    assert_eq!(admin.post(&path, json!({})).await.problem(403), "forbidden");
}

async fn finds_customers_by_account_number(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "6222 0212 3456", "A", "1.00").await;
    let (holder, elsewhere) = (customer(&admin, "Li Na", &ids["A"]).await, customer(&admin, "Wang Wei", &ids["B"]).await);
    admin.post("/v1/account-links", owner(&id, &holder, true, None)).await.expect(201);
    let second = json!({ "account_id": id, "customer_id": elsewhere, "role": "attorney" });
    admin.post("/v1/account-links", second).await.expect(201);
    let look = json!({ "account_number": "６２２２-0212 3456" });
    let found = admin.post("/v1/customers/lookup", look.clone()).await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    let teller = app.role_at("teller", "A");
    let found = teller.post("/v1/customers/lookup", look).await.expect(200);
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["customer"]["id"]), (1, &json!(holder)));
    let nobody = admin.post("/v1/customers/lookup", json!({ "account_number": "1" })).await.expect(200);
    assert_eq!(nobody["items"], json!([]));
}

async fn groups_a_customers_accounts_with_exact_shares(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let cid = customer(&admin, "Cid", &ids["A"]).await;
    let (own, joint, other) = (
        account(&admin, "100", "A", "100.00").await,
        account(&admin, "200", "B", "0.05").await,
        account(&admin, "300", "B", "7.00").await,
    );
    admin.post("/v1/account-links", owner(&own, &anna, true, None)).await.expect(201);
    for (person, primary) in [(&anna, true), (&ben, false), (&cid, false)] {
        admin.post("/v1/account-links", owner(&joint, person, primary, None)).await.expect(201);
    }
    let signs = json!({ "account_id": other, "customer_id": anna, "role": "authorised_signatory" });
    admin.post("/v1/account-links", signs).await.expect(201);
    let mine = admin.get(&format!("/v1/customers/{anna}/accounts?group_by=branch")).await.expect(200);
    assert_eq!(mine["account_count"], 3);
    let total = &mine["totals"][0];
    let amounts: Vec<_> = ["balance", "own", "joint", "others"].iter().map(|name| total[name]["amount"].clone()).collect();
    assert_eq!(amounts, ["100.05", "100.00", "0.02", "0.03"]);
    let labels: Vec<_> = mine["groups"].as_array().unwrap().iter().map(|group| group["label"].clone()).collect();
    assert_eq!(labels, ["Branch A", "Branch B"]);
    let mut parts = 0;
    for person in [&anna, &ben, &cid] {
        let theirs = admin.get(&format!("/v1/customers/{person}/accounts?group_by=currency")).await.expect(200);
        let joint = theirs["totals"][0]["joint"]["amount"].as_str().unwrap().replace("0.0", "");
        parts += joint.parse::<i32>().unwrap();
    }
    assert_eq!(parts, 5, "the parts of all owners make the whole balance");
    let holders = admin.get(&format!("/v1/accounts/{joint}/customers?include_total=true&limit=2")).await.expect(200);
    assert_eq!((&holders["total"], holders["items"].as_array().unwrap().len()), (&json!(3), 2));
    let early = admin.get(&format!("/v1/accounts/{joint}/customers?as_of=2019-12-31")).await.expect(200);
    assert_eq!(early["items"], json!([]));
}
