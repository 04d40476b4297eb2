//! `/v1/products`

use serde_json::json;

use crate::{both_databases, support::App};

both_databases!(rates_follow_each_other, refuses_what_contradicts_itself);

async fn rates_follow_each_other(app: App) {
    let admin = app.role("administrator");
    let new = json!({ "code": "SAV", "name": "Savings", "category": "deposit", "currency": "CNY", "for_kinds": ["personal"],
        "unit_revenue": { "amount": "12.50", "currency": "CNY" } });
    let made = admin.post("/v1/products", new.clone()).await.expect(201);
    assert_eq!((&made["unit_revenue"]["amount"], &made["rates"]), (&json!("12.50"), &json!([])));
    let path = format!("/v1/products/{}", made["id"].as_str().unwrap());
    let rate = |from: &str, bp: i32| json!({ "kind": "deposit", "value_bp": bp, "valid_from": from });
    admin.command(&format!("{path}/rates"), 1, rate("2024-01-01", 200)).await.expect(200);
    admin.command(&format!("{path}/rates"), 2, rate("2024-07-01", 150)).await.expect(200);
    admin.command(&format!("{path}/rates"), 3, rate("2024-03-01", 180)).await.expect(200);
    let product = admin.command(&format!("{path}/rates"), 4, rate("2024-03-01", 175)).await.expect(200);
    let rates: Vec<_> =
        product["rates"].as_array().unwrap().iter().map(|r| json!([r["value_bp"], r["valid_from"], r["valid_to"]])).collect();
    let expected =
        [json!([200, "2024-01-01", "2024-03-01"]), json!([175, "2024-03-01", "2024-07-01"]), json!([150, "2024-07-01", null])];
    assert_eq!(rates, expected);
    assert_eq!(admin.command(&format!("{path}/rates"), 4, rate("2025-01-01", 1)).await.expect(412)["current_version"], 5);
    let renamed = admin.patch(&path, 5, json!({ "name": "Current", "unit_revenue": null })).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["unit_revenue"], &renamed["version"]), (&json!("Current"), &json!(null), &json!(6)));
    assert_eq!(admin.post("/v1/products", new).await.problem(409), "product_code_taken");
    let listed = admin.get("/v1/products?category=deposit&include_total=true").await.expect(200);
    assert_eq!((&listed["total"], listed["items"][0]["rates"].as_array().unwrap().len()), (&json!(1), 3));
}

async fn refuses_what_contradicts_itself(app: App) {
    let admin = app.role("administrator");
    let new = json!({ "code": "X", "name": "X", "category": "fund", "currency": "CNY", "launch_from": "2024-02-01",
        "launch_to": "2024-01-01", "unit_cost": { "amount": "1.00", "currency": "USD" } });
    assert_eq!(admin.post("/v1/products", new).await.pointers(422), ["/launch_to", "/unit_cost"]);
    let wrong = json!({ "code": "X", "name": "X", "category": "shoes", "currency": "CNY" });
    assert_eq!(admin.post("/v1/products", wrong).await.pointers(422), ["/category"]);
    let wrong = json!({ "code": "X", "name": "X", "category": "fund", "currency": "XYZ" });
    assert_eq!(admin.post("/v1/products", wrong).await.pointers(422), ["/currency"]);
}
