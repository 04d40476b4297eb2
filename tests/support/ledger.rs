//! A small bank for tests of accounts: branches, products, customers, accounts.

use serde_json::{Value, json};

use super::Client;

/// A head office and two outlets, and one product of each of three categories.
pub async fn bank(admin: &Client<'_>) -> Value {
    let mut ids = json!({});
    for (code, level, parent) in [("HO", "head_office", None), ("A", "outlet", Some("HO")), ("B", "outlet", Some("HO"))] {
        let parent_id = parent.map(|code| ids[code].clone());
        let body = json!({ "code": code, "name": format!("Branch {code}"), "level": level, "parent_id": parent_id });
        ids[code] = admin.post("/v1/branches", body).await.expect(201)["id"].clone();
    }
    for (code, category) in [("SAV", "deposit"), ("LOAN", "loan"), ("CARD", "card")] {
        let body = json!({ "code": code, "name": format!("Product {code}"), "category": category, "currency": "CNY" });
        ids[code] = admin.post("/v1/products", body).await.expect(201)["id"].clone();
    }
    ids
}

/// A personal customer of a branch; its id.
pub async fn customer(admin: &Client<'_>, name: &str, branch: &Value) -> String {
    let body = json!({ "kind": "personal", "home_branch_id": branch,
        "personal": { "full_name": name, "birth_date": "1980-05-17" },
        "allow_duplicate": { "reason": "people of tests are much alike" } });
    text(&admin.post("/v1/customers", body).await.expect(201)["id"])
}

/// A deposit account with this number at a branch; its id.
pub async fn account(admin: &Client<'_>, number: &str, branch: &str, balance: &str) -> String {
    let body = json!({ "source_system": "core", "number": number, "product_code": "SAV", "branch_code": branch,
        "opened_on": "2020-01-01", "balance": { "amount": balance, "currency": "CNY" }, "balance_on": "2024-01-31",
        "deposit": { "statement_frequency": "monthly" } });
    text(&admin.post("/v1/accounts", body).await.expect(200)["id"])
}

/// A link of an owner, with a share if one is given.
pub fn owner(account: &str, customer: &str, primary: bool, share: Option<i32>) -> Value {
    json!({ "account_id": account, "customer_id": customer, "role": "owner", "primary": primary, "share_bp": share,
        "valid_from": "2020-01-01" })
}

/// A JSON string as text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
