//! `/v1/teams`

use serde_json::json;

use crate::{
    both_databases,
    support::{
        App,
        bank::{at, branches, person},
    },
};

both_databases!(forms_changes_and_dissolves_teams, refuses_members_that_do_not_fit, a_branch_manager_forms_teams_below_only);

async fn forms_changes_and_dissolves_teams(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (a, b) = (person(&admin, "E1", &ids["SH"], &[]).await, person(&admin, "E2", &ids["BJ"], &[]).await);
    let members = json!([{ "staff_id": a["id"], "role": "member" }, { "staff_id": b["id"], "role": "lead" }]);
    let new = json!({ "code": "T1", "name": "Team", "branch_id": ids["SH"], "members": members });
    let made = admin.post("/v1/teams", new.clone()).await.expect(201);
    assert_eq!((&made["members"][0]["staff"]["id"], &made["members"][1]["staff"]["id"]), (&b["id"], &a["id"]));
    assert_eq!(made["branch"]["label"], "Branch SH");
    assert_eq!(admin.post("/v1/teams", new).await.problem(409), "team_code_taken");
    let only = json!({ "members": [{ "staff_id": a["id"], "role": "lead" }], "branch_id": null });
    let changed = admin.patch(&at("teams", &made), 1, only).await.expect(200);
    assert_eq!((changed["members"].as_array().unwrap().len(), &changed["branch"]), (1, &json!(null)));
    let of = |who: &serde_json::Value| format!("/v1/teams?staff_id={}&include_total=true", who["id"].as_str().unwrap());
    assert_eq!(admin.get(&of(&a)).await.expect(200)["total"], 1);
    assert_eq!(admin.get(&of(&b)).await.expect(200)["total"], 0);
    // Who left may come back on the same day.
    let both = json!({ "members": [{ "staff_id": a["id"], "role": "lead" }, { "staff_id": b["id"], "role": "member" }] });
    let back = admin.patch(&at("teams", &made), 2, both).await.expect(200);
    assert_eq!(back["members"].as_array().unwrap().len(), 2);
    let closed = admin.patch(&at("teams", &made), 3, json!({ "status": "closed", "name": "Old team" })).await.expect(200);
    assert_eq!((&closed["status"], &closed["name"]), (&json!("closed"), &json!("Old team")));
    assert_eq!(admin.patch(&at("teams", &made), 3, json!({ "members": [] })).await.problem(412), "precondition_failed");
}

async fn refuses_members_that_do_not_fit(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let gone = person(&admin, "E1", &ids["SH"], &[]).await;
    admin.command(&format!("{}/deactivate", at("staff", &gone)), 1, json!({ "reason": "left" })).await.expect(200);
    let here = person(&admin, "E2", &ids["SH"], &[]).await;
    let member = |id: &serde_json::Value| json!({ "staff_id": id, "role": "member" });
    let nobody = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    let members = json!([member(&here["id"]), member(&here["id"]), member(&gone["id"]), member(&nobody)]);
    let refused = admin.post("/v1/teams", json!({ "code": "T1", "name": "Team", "members": members })).await;
    assert_eq!(refused.pointers(422), ["/members/1/staff_id", "/members/2/staff_id", "/members/3/staff_id"]);
    assert_eq!(admin.get("/v1/teams?include_total=true").await.expect(200)["total"], 0);
}

async fn a_branch_manager_forms_teams_below_only(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let stranger = person(&admin, "E1", &ids["BJ"], &[]).await;
    let manager = app.role_at("branch_manager", "SH");
    let team = |branch: &serde_json::Value, members: serde_json::Value| json!({ "code": "T1", "name": "T", "branch_id": branch, "members": members });
    assert_eq!(manager.post("/v1/teams", team(&ids["BJ"], json!([]))).await.problem(403), "forbidden");
    assert_eq!(manager.post("/v1/teams", team(&json!(null), json!([]))).await.problem(403), "forbidden");
    // A colleague of another province in the team would open that province's customers.
    let pulled = json!([{ "staff_id": stranger["id"], "role": "member" }]);
    assert_eq!(manager.post("/v1/teams", team(&ids["SH"], pulled)).await.problem(403), "forbidden");
    manager.post("/v1/teams", team(&ids["SH-P"], json!([]))).await.expect(201);
}
