//! A small bank: branches, people and customers that several tests start from.

use kehu_kernel::Actor;
use serde_json::{Value, json};

use super::{App, Client};

/// A head office with two provinces, and a chain of a prefecture, a county and an outlet below the first. Ids by code.
pub async fn branches(admin: &Client<'_>) -> Value {
    let mut ids = json!({});
    for (code, level, parent) in [
        ("HO", "head_office", None),
        ("SH", "province_branch", Some("HO")),
        ("BJ", "province_branch", Some("HO")),
        ("SH-P", "prefecture_branch", Some("SH")),
        ("SH-C", "county_branch", Some("SH-P")),
        ("SH-1", "outlet", Some("SH-C")),
    ] {
        let parent_id = parent.map(|code| ids[code].clone());
        let body = json!({ "code": code, "name": format!("Branch {code}"), "level": level, "parent_id": parent_id });
        ids[code] = admin.post("/v1/branches", body).await.expect(201)["id"].clone();
    }
    ids
}

/// A new staff member at a branch.
pub async fn person(admin: &Client<'_>, number: &str, branch: &Value, roles: &[&str]) -> Value {
    let body = json!({ "employee_no": number, "name": format!("Name of {number}"), "branch_id": branch, "roles": roles });
    admin.post("/v1/staff", body).await.expect(201)
}

/// A new personal customer at a branch; its id.
pub fn customer(app: &App, name: &str, branch: &Value) -> String {
    let new = json!({ "kind": "personal", "home_branch_id": branch, "personal": { "full_name": name } });
    let made = app.store.write_blocking(move |tx| {
        let new = serde_json::from_value(new.clone()).unwrap();
        kehu_customer::create::create(tx, &Actor::system(), new)
    });
    made.unwrap().id.to_string()
}

/// The path of one record.
pub fn at(list: &str, record: &Value) -> String {
    format!("/v1/{list}/{}", record["id"].as_str().unwrap())
}
