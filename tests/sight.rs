//! What stays out of sight, whichever way it is asked for.

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, customer, owner},
        sign,
    },
};

both_databases!(
    a_shared_account_names_only_customers_within_sight,
    a_customer_never_sees_what_the_bank_keeps_for_itself,
    accounts_are_shown_as_far_as_the_role_reads_accounts,
    a_revealed_account_number_stands_in_its_holders_log,
    nobody_gives_a_program_more_than_they_have
);

async fn a_shared_account_names_only_customers_within_sight(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "100", "A", "1.00").await;
    let (near, far) = (customer(&admin, "Near", &ids["A"]).await, customer(&admin, "Far", &ids["B"]).await);
    for person in [&near, &far] {
        admin.post("/v1/account-links", owner(&id, person, false, None)).await.expect(201);
    }
    let names = |items: &Value| -> Vec<String> {
        let name = |item: &Value| item["customer"]["label"].as_str().unwrap().to_owned();
        let mut names: Vec<String> = items["items"].as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    };
    let teller = app.role_at("teller", "A");
    for path in [format!("/v1/accounts/{id}/customers"), format!("/v1/account-links?account_id={id}")] {
        assert_eq!(names(&teller.get(&path).await.expect(200)), ["", "Near"], "{path}");
        assert_eq!(names(&admin.get(&path).await.expect(200)), ["Far", "Near"], "{path}");
    }
}

async fn a_customer_never_sees_what_the_bank_keeps_for_itself(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let me = customer(&admin, "Me", &ids["A"]).await;
    let token = sign(json!({ "sub": me, "roles": ["customer_self"], "customer_id": me }));
    let caller = app.token(token);
    for rest in ["relations", "history", "source-records", "corporate-tree", "view?perspective=teller"] {
        assert_eq!(caller.get(&format!("/v1/customers/{me}/{rest}")).await.problem(403), "forbidden", "{rest}");
    }
    let view = caller.get(&format!("/v1/customers/{me}/view")).await.expect(200);
    assert_eq!((&view["perspective"], &view["profile"]["relations"]), (&json!("self"), &Value::Null));
}

async fn accounts_are_shown_as_far_as_the_role_reads_accounts(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, id) = (customer(&admin, "Anna", &ids["B"]).await, account(&admin, "100", "B", "1.00").await);
    admin.post("/v1/account-links", owner(&id, &anna, true, None)).await.expect(201);
    let role = json!({ "code": "greeter", "name": "Greeter", "field_classes": ["public", "internal"], "grants": [
        { "action": "customer.read", "depth": "all" }, { "action": "account.read", "depth": "unit" }] });
    admin.post("/v1/roles", role).await.expect(201);
    let (away, here) = (app.role_at("greeter", "A"), app.role_at("greeter", "B"));
    assert_eq!(away.get(&format!("/v1/customers/{anna}/view")).await.expect(200)["accounts"], Value::Null);
    assert_eq!(away.get(&format!("/v1/customers/{anna}/accounts")).await.problem(404), "not_found");
    assert_eq!(here.get(&format!("/v1/customers/{anna}/accounts")).await.expect(200)["account_count"], 1);
}

async fn a_revealed_account_number_stands_in_its_holders_log(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, id) = (customer(&admin, "Anna", &ids["A"]).await, account(&admin, "100", "A", "1.00").await);
    admin.post("/v1/account-links", owner(&id, &anna, true, None)).await.expect(201);
    let teller = app.role_at("teller", "A").with("X-Purpose", "closing");
    teller.post(&format!("/v1/accounts/{id}/reveal"), json!({})).await.expect(200);
    let log = admin.get(&format!("/v1/customers/{anna}/access-log")).await.expect(200);
    assert_eq!((&log["items"][0]["resource_id"], &log["items"][0]["purpose"]), (&json!(id), &json!("closing")));
}

async fn nobody_gives_a_program_more_than_they_have(app: App) {
    let admin = app.role("administrator");
    let client = |role: &str| json!({ "name": "A program", "prefix": "p", "roles": [role], "scopes": ["customer.read"] });
    // The administrator sees no sensitive fields and so cannot make a program that does.
    assert_eq!(admin.post("/v1/clients", client("relationship_manager")).await.problem(403), "forbidden");
    let made = admin.post("/v1/clients", client("analyst")).await.expect(201)["client"].clone();
    // A new secret is as good as the client itself.
    let role = json!({ "code": "janitor", "name": "Janitor", "field_classes": ["public", "internal"],
        "grants": [{ "action": "client.manage", "depth": "all" }] });
    admin.post("/v1/roles", role).await.expect(201);
    let path = format!("/v1/clients/{}/rotate-secret", made["id"].as_str().unwrap());
    assert_eq!(app.role("janitor").command(&path, 1, json!({})).await.problem(403), "forbidden");
    admin.command(&path, 1, json!({})).await.expect(200);
}
