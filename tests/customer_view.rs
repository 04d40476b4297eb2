//! `/v1/customers/{id}/view`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, customer, owner},
    },
};

both_databases!(one_call_shows_the_customer, perspective_and_rights_decide);

/// A customer with a deposit, a loan, a card and a movement; its id.
async fn person(app: &App) -> String {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let deposit = account(&admin, "100", "A", "100.00").await;
    admin.post("/v1/account-links", owner(&deposit, &anna, true, None)).await.expect(201);
    for (number, product, role, facts) in [
        ("L-1", "LOAN", "borrower", json!({ "loan": { "principal": { "amount": "5000.00", "currency": "CNY" } } })),
        ("C-1", "CARD", "owner", json!({ "card": { "kind": "gold" } })),
    ] {
        let mut body = json!({ "source_system": "core", "number": number, "product_code": product, "branch_code": "A", "parent_number": "100" });
        body.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
        let made = admin.post("/v1/accounts", body).await.expect(200);
        let link = json!({ "account_id": made["id"], "customer_id": anna, "role": role });
        admin.post("/v1/account-links", link).await.expect(201);
    }
    let movement = json!({ "source_system": "core", "items": [{ "source_id": "1", "account_number": "100", "booked_on": "2024-02-01",
        "direction": "debit", "amount": "1.00", "transaction_type": "cash" }] });
    admin.post("/v1/transactions", movement).await.expect(200);
    anna
}

async fn one_call_shows_the_customer(app: App) {
    let anna = person(&app).await;
    let view = app.role_at("teller", "A").get(&format!("/v1/customers/{anna}/view")).await.expect(200);
    assert_eq!(view["perspective"], "teller");
    assert_eq!(view["profile"]["customer"]["display_name"], "Anna");
    let group = &view["accounts"]["groups"][0];
    assert_eq!((&group["label"], &group["totals"][0]["own"]["amount"]), (&json!("Branch A"), &json!("99.00")));
    assert_eq!((&group["account_count"], &group["accounts"][0]["links"][0]["role"]), (&json!(1), &json!("owner")));
    assert_eq!(
        (&view["loan_count"], &view["loans"][0]["account"]["loan"]["principal"]["amount"]),
        (&json!(1), &json!("5000.00"))
    );
    assert_eq!((&view["card_count"], &view["cards"][0]["account"]["card"]["kind"]), (&json!(1), &json!("gold")));
    assert_eq!((&view["transaction_count"], &view["transactions"][0]["amount"]["amount"]), (&json!(1), &json!("1.00")));
    assert_eq!(view["standing_order_count"], 0);
}

async fn perspective_and_rights_decide(app: App) {
    let anna = person(&app).await;
    let teller = app.role_at("teller", "A");
    let view = teller.get(&format!("/v1/customers/{anna}/view?perspective=marketing")).await.expect(200);
    assert_eq!((&view["transactions"], &view["standing_orders"]), (&Value::Null, &Value::Null));
    assert_eq!(view["profile"]["identities"], Value::Null);
    assert_eq!(teller.get(&format!("/v1/customers/{anna}/view?perspective=boss")).await.pointers(400), ["?perspective"]);
    assert_eq!(app.role_at("teller", "B").get(&format!("/v1/customers/{anna}/view")).await.problem(404), "not_found");
}
