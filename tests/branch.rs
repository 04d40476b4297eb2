//! `/v1/branches`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{App, Client},
};

both_databases!(
    opens_reads_and_lists_branches,
    changes_only_what_is_given,
    moves_a_subtree_and_refuses_cycles,
    names_every_broken_field,
    pages_fit_their_list
);

/// A head office with two provinces, one of them with an outlet.
async fn tree(admin: &Client<'_>) -> Value {
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

fn path(id: &Value) -> String {
    format!("/v1/branches/{}", id.as_str().unwrap())
}

async fn opens_reads_and_lists_branches(app: App) {
    let admin = app.role("administrator");
    let ids = tree(&admin).await;
    let outlet = admin.get(&path(&ids["SH-1"])).await;
    assert_eq!(outlet.header("etag").as_deref(), Some("\"1\""));
    assert_eq!(outlet.expect(200)["path"], "HO.SH.SH-1.");
    let below = admin.get("/v1/branches?below=SH&include_total=true").await.expect(200);
    assert_eq!((below["total"].clone(), below["items"].as_array().unwrap().len()), (json!(2), 2));
    let again = json!({ "code": "SH", "name": "x", "level": "outlet", "parent_id": ids["HO"] });
    assert_eq!(admin.post("/v1/branches", again).await.problem(409), "branch_code_taken");
    assert_eq!(admin.with("If-None-Match", "\"1\"").get(&path(&ids["SH-1"])).await.status, 304);
}

async fn changes_only_what_is_given(app: App) {
    let admin = app.role("administrator");
    let ids = tree(&admin).await;
    let changed = admin.patch(&path(&ids["SH"]), 1, json!({ "region": "East" })).await.expect(200);
    assert_eq!((&changed["region"], &changed["name"], &changed["version"]), (&json!("East"), &json!("Branch SH"), &json!(2)));
    let cleared = admin.patch(&path(&ids["SH"]), 2, json!({ "region": null })).await.expect(200);
    assert_eq!(cleared["region"], Value::Null);
    let stale = admin.patch(&path(&ids["SH"]), 1, json!({ "name": "late" })).await.expect(412);
    assert_eq!(stale["current_version"], 3);
    assert_eq!(admin.patch(&path(&ids["SH"]), 3, json!({ "name": null })).await.pointers(422), ["/name"]);
    let body = ("application/json", b"{}".to_vec());
    let unconditional = admin.send(actix_web::http::Method::PATCH, &path(&ids["SH"]), Some(body)).await;
    assert_eq!(unconditional.problem(428), "precondition_required");
}

async fn moves_a_subtree_and_refuses_cycles(app: App) {
    let admin = app.role("administrator");
    let ids = tree(&admin).await;
    let onto_itself = json!({ "parent_id": ids["SH-1"], "reason": "mistake" });
    let refused = admin.command(&format!("{}/move", path(&ids["SH"])), 1, onto_itself).await;
    assert_eq!(refused.pointers(422), ["/level"]);
    let merged = json!({ "parent_id": ids["BJ"], "reason": "merger of branches" });
    let moved = admin.command(&format!("{}/move", path(&ids["SH-1"])), 1, merged).await.expect(200);
    assert_eq!((&moved["path"], &moved["parent_id"]), (&json!("HO.BJ.SH-1."), &ids["BJ"]));
    assert_eq!(admin.get("/v1/branches?below=SH").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn names_every_broken_field(app: App) {
    let admin = app.role("administrator");
    let body = json!({ "code": "a b", "name": "", "level": "head_office", "time_zone": "Mars/Olympus" });
    assert_eq!(admin.post("/v1/branches", body).await.pointers(422), ["/code", "/name", "/time_zone"]);
    let unknown = json!({ "code": "A", "name": "A", "level": "head_office", "colour": "red" });
    assert_eq!(admin.post("/v1/branches", unknown).await.pointers(422), ["/colour"]);
    let wrong = json!({ "code": "A", "name": "A", "level": "village" });
    assert_eq!(admin.post("/v1/branches", wrong).await.pointers(422), ["/level"]);
    let orphan = json!({ "code": "A", "name": "A", "level": "outlet" });
    assert_eq!(admin.post("/v1/branches", orphan).await.pointers(422), ["/parent_id"]);
}

async fn pages_fit_their_list(app: App) {
    let admin = app.role("administrator");
    tree(&admin).await;
    let first = admin.get("/v1/branches?limit=3").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/v1/branches?limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    let elsewhere = admin.get(&format!("/v1/branches?level=outlet&cursor={cursor}")).await;
    assert_eq!(elsewhere.pointers(400), ["?cursor"]);
    assert_eq!(admin.get(&format!("/v1/branches?below={}", "x".repeat(33))).await.pointers(400), ["?below"]);
    assert_eq!(admin.get("/v1/branches?limit=201").await.pointers(400), ["?limit"]);
    assert_eq!(admin.get("/v1/branches?colour=red").await.pointers(400), ["?colour"]);
}
