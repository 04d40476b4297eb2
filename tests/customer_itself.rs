//! What customers do in their own banking, and that it goes on after a merge.

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{path, person},
        sign,
    },
};

both_databases!(a_merged_customer_goes_on_with_its_token);

async fn merge(client: &Client<'_>, survivor: &Value, absorbed: &Value) -> Value {
    let version = client.get(&path(survivor, "")).await.expect(200)["version"].as_i64().unwrap();
    let record =
        json!({ "customer_id": absorbed["id"], "version": client.get(&path(absorbed, "")).await.expect(200)["version"] });
    let body = json!({ "absorbed": [record], "reason": "the same person" });
    client.command(&path(survivor, "/merge"), version, body).await.expect(200)
}

async fn a_merged_customer_goes_on_with_its_token(app: App) {
    let steward = app.role("data_steward");
    let mut people = Vec::new();
    for name in ["Anna", "Berta", "Clara", "Dora"] {
        people.push(person(&steward, name, None).await);
    }
    let [anna, berta, clara, dora] = &people[..] else { unreachable!() };
    let token = json!({ "sub": anna["id"], "roles": ["customer_self"], "customer_id": anna["id"] });
    let caller = app.token(sign(token));
    assert_eq!(caller.get(&path(anna, "")).await.expect(200)["id"], anna["id"]);
    assert_eq!(caller.get(&path(berta, "")).await.problem(404), "not_found");
    // Merged, and what it was merged into is merged again.
    let first = merge(&steward, berta, anna).await;
    let second = merge(&steward, clara, berta).await;
    for record in [anna, berta] {
        assert_eq!(caller.get(&path(record, "/view")).await.expect(308)["merged_into"], clara["id"]);
    }
    assert_eq!(caller.get(&path(clara, "")).await.expect(200)["id"], clara["id"]);
    assert_eq!(caller.get(&path(clara, "/view")).await.expect(200)["perspective"], "self");
    assert_eq!(caller.get("/v1/customers").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let refused = json!({ "purpose": "marketing", "state": "refused" });
    caller.post(&path(clara, "/consents"), refused.clone()).await.expect(201);
    assert_eq!(caller.post(&path(anna, "/consents"), refused).await.problem(409), "customer_merged");
    assert_eq!(caller.get(&path(dora, "")).await.problem(404), "not_found");
    // What is taken apart again, is two customers again.
    for merge in [second, first] {
        let revert = format!("/v1/merges/{}/revert", merge["id"].as_str().unwrap());
        steward.command(&revert, merge["version"].as_i64().unwrap(), json!({ "reason": "two people" })).await.expect(200);
    }
    assert_eq!(caller.get(&path(anna, "")).await.expect(200)["id"], anna["id"]);
    for record in [berta, clara] {
        assert_eq!(caller.get(&path(record, "")).await.problem(404), "not_found");
    }
}
