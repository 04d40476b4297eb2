//! Customers and branches for tests, made through the API.

use serde_json::{Value, json};

use super::Client;

/// A head office (HO) with two provinces (SH, BJ), one of them with an outlet (SH-1); their ids by code.
pub async fn branches(admin: &Client<'_>) -> Value {
    let mut ids = json!({});
    for (code, level, parent) in [
        ("HO", "head_office", None),
        ("SH", "province_branch", Some("HO")),
        ("BJ", "province_branch", Some("HO")),
        ("SH-1", "outlet", Some("SH")),
    ] {
        let parent_id = parent.map(|code| ids[code].clone());
        let body = json!({ "code": code, "name": format!("Branch {code}"), "level": level, "parent_id": parent_id });
        ids[code] = admin.post("/v1/branches", body).await.expect(201)["id"].clone();
    }
    ids
}

/// A personal customer with a name only, at a branch if one is given.
pub async fn person(client: &Client<'_>, name: &str, branch: Option<&Value>) -> Value {
    let body = json!({ "kind": "personal", "home_branch_id": branch, "personal": { "full_name": name } });
    client.post("/v1/customers", body).await.expect(201)
}

/// A corporate customer with a name only.
pub async fn company(client: &Client<'_>, name: &str) -> Value {
    let body = json!({ "kind": "corporate", "organisation": { "legal_name": name } });
    client.post("/v1/customers", body).await.expect(201)
}

/// The path of a customer, and what follows it.
pub fn path(customer: &Value, rest: &str) -> String {
    format!("/v1/customers/{}{rest}", customer["id"].as_str().unwrap())
}

/// A resident identity number with its check character.
pub fn resident_id(stem: &str) -> String {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = stem.chars().zip(weights).map(|(c, weight)| c.to_digit(10).unwrap() * weight).sum();
    format!("{stem}{}", "10X98765432".chars().nth((sum % 11) as usize).unwrap())
}
