//! `/v1/staff`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        bank::{at, branches, person},
        sign,
    },
};

both_databases!(
    hires_changes_and_lists,
    whoever_is_deactivated_stays_out,
    a_branch_manager_manages_below_only,
    nobody_gives_more_than_they_have,
    names_every_broken_field
);

async fn hires_changes_and_lists(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let made = person(&admin, "E1", &ids["SH-1"], &["teller"]).await;
    assert_eq!(
        (&made["branch"]["label"], &made["status"], &made["languages"]),
        (&json!("Branch SH-1"), &json!("active"), &json!([]))
    );
    person(&admin, "E2", &ids["BJ"], &[]).await;
    let again = json!({ "employee_no": "E1", "name": "x", "branch_id": ids["BJ"] });
    assert_eq!(admin.post("/v1/staff", again).await.problem(409), "employee_no_taken");
    let below = admin.get("/v1/staff?below=SH&include_total=true").await.expect(200);
    assert_eq!((&below["total"], &below["items"][0]["employee_no"]), (&json!(1), &json!("E1")));
    let first = admin.get("/v1/staff?limit=1").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/v1/staff?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&second["items"][0]["employee_no"], &second["next_cursor"]), (&json!("E2"), &Value::Null));
    let patch = json!({ "title": "Senior teller", "languages": ["zh-CN", "en"], "capacity": 20, "branch_id": ids["BJ"] });
    let changed = admin.patch(&at("staff", &made), 1, patch).await.expect(200);
    assert_eq!((&changed["branch"]["id"], &changed["capacity"], &changed["name"]), (&ids["BJ"], &json!(20), &made["name"]));
    let cleared = admin.patch(&at("staff", &made), 2, json!({ "title": null })).await.expect(200);
    assert_eq!((&cleared["title"], &cleared["languages"]), (&Value::Null, &json!(["zh-CN", "en"])));
    assert_eq!(admin.patch(&at("staff", &made), 1, json!({ "name": "late" })).await.expect(412)["current_version"], 3);
    assert_eq!(app.role("customer_self").get(&at("staff", &made)).await.problem(403), "forbidden");
}

async fn whoever_is_deactivated_stays_out(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let made = person(&admin, "E1", &ids["SH"], &["branch_manager"]).await;
    let token = app.token(sign(json!({ "sub": "E1" })));
    let me = token.get("/v1/me").await.expect(200);
    assert_eq!((&me["roles"], &me["branch"]["id"], &me["staff"]["id"]), (&json!(["branch_manager"]), &ids["SH"], &made["id"]));
    let path = format!("{}/deactivate", at("staff", &made));
    let left = admin.command(&path, 1, json!({ "reason": "left the bank" })).await.expect(200);
    assert_eq!((&left["status"], &left["deactivation_reason"]), (&json!("inactive"), &json!("left the bank")));
    assert!(left["deactivated_at"].is_string());
    assert_eq!(token.get("/v1/me").await.problem(403), "forbidden");
    assert_eq!(admin.command(&path, 2, json!({ "reason": "again" })).await.problem(409), "staff_inactive");
    assert_eq!(admin.command(&path, 1, json!({ "reason": "again" })).await.problem(412), "precondition_failed");
    assert_eq!(admin.command(&path, 2, json!({})).await.pointers(422).len(), 1);
}

async fn a_branch_manager_manages_below_only(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let manager = app.role_at("branch_manager", "SH");
    let inside = person(&manager, "E1", &ids["SH-1"], &["teller"]).await;
    let outside = person(&admin, "E2", &ids["BJ"], &["teller"]).await;
    let there = json!({ "employee_no": "E3", "name": "x", "branch_id": ids["BJ"] });
    assert_eq!(manager.post("/v1/staff", there).await.problem(403), "forbidden");
    assert_eq!(manager.patch(&at("staff", &outside), 1, json!({ "title": "x" })).await.problem(403), "forbidden");
    assert_eq!(manager.patch(&at("staff", &inside), 1, json!({ "branch_id": ids["BJ"] })).await.problem(403), "forbidden");
    let away = format!("{}/deactivate", at("staff", &outside));
    assert_eq!(manager.command(&away, 1, json!({ "reason": "x" })).await.problem(403), "forbidden");
    // Whom a manager may not change, a manager may still look up.
    assert_eq!(manager.get(&at("staff", &outside)).await.expect(200)["version"], 1);
}

async fn nobody_gives_more_than_they_have(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let manager = app.role_at("branch_manager", "SH");
    let greedy = json!({ "employee_no": "E1", "name": "x", "branch_id": ids["SH"], "roles": ["teller", "administrator"] });
    assert_eq!(manager.post("/v1/staff", greedy.clone()).await.pointers(422), ["/roles/1"]);
    let mine = person(&manager, "E2", &ids["SH"], &["teller"]).await;
    assert_eq!(manager.patch(&at("staff", &mine), 1, json!({ "roles": ["call_agent"] })).await.pointers(422), ["/roles/0"]);
    let unknown = json!({ "roles": ["king"] });
    assert_eq!(admin.patch(&at("staff", &mine), 1, unknown).await.pointers(422), ["/roles/0"]);
    admin.post("/v1/staff", greedy).await.expect(201);
}

async fn names_every_broken_field(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let body = json!({
        "employee_no": "E 1", "name": "", "branch_id": ids["SH"], "capacity": -1, "languages": ["en", "en"],
        "phone_extension": "12345678901234567",
    });
    let broken = ["/capacity", "/employee_no", "/languages", "/name", "/phone_extension"];
    assert_eq!(admin.post("/v1/staff", body).await.pointers(422), broken);
    let nowhere = json!({ "employee_no": "E1", "name": "x", "branch_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(admin.post("/v1/staff", nowhere).await.pointers(422), ["/branch_id"]);
    let wrong = json!({ "employee_no": "E1", "name": "x", "branch_id": "SH" });
    assert_eq!(admin.post("/v1/staff", wrong).await.pointers(422), ["/branch_id"]);
    assert_eq!(admin.get("/v1/staff?status=asleep").await.pointers(400), ["?status"]);
    assert_eq!(admin.get("/v1/staff/nobody").await.problem(404), "not_found");
}
