//! `/v1/me` and `/v1/access/explain`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        bank::{branches, customer, person},
        sign,
    },
};

both_databases!(
    shows_the_caller,
    a_scope_narrows_the_roles,
    a_customer_is_only_a_customer,
    explains_own_decisions,
    explains_decisions_of_others,
    a_team_opens_the_customers_of_its_members,
    a_tree_stays_whole_under_concurrent_moves
);

async fn shows_the_caller(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    person(&admin, "E1", &ids["SH-1"], &["teller"]).await;
    let me = app.token(sign(json!({ "sub": "E1" }))).get("/v1/me").await.expect(200);
    assert_eq!((&me["kind"], &me["roles"], &me["branch"]["label"]), (&json!("staff"), &json!(["teller"]), &json!("Branch SH-1")));
    assert_eq!((&me["staff"]["employee_no"], &me["field_classes"]), (&json!("E1"), &json!(["public", "internal"])));
    // The token's roles and branch stand above those of the record; codes without a role grant nothing.
    let sent = json!({ "sub": "E1", "roles": ["analyst", "no_such_role"], "branch": "BJ" });
    let me = app.token(sign(sent)).get("/v1/me").await.expect(200);
    assert_eq!((&me["roles"], &me["branch"]["id"]), (&json!(["analyst", "no_such_role"]), &ids["BJ"]));
    // A branch that is not there is no place.
    let lost = app.token(sign(json!({ "sub": "x", "roles": ["teller"], "branch": "NOWHERE" }))).get("/v1/me").await.expect(200);
    assert_eq!(lost["branch"], Value::Null);
}

async fn a_scope_narrows_the_roles(app: App) {
    let token = |scope: &str| sign(json!({ "sub": "x", "roles": ["auditor"], "scope": scope }));
    let narrow = app.token(token("role.read customer.write"));
    assert_eq!(narrow.get("/v1/me").await.expect(200)["grants"], json!([{ "action": "role.read", "depth": "all" }]));
    narrow.get("/v1/roles").await.expect(200);
    assert_eq!(narrow.get("/v1/staff").await.problem(403), "forbidden");
}

async fn a_customer_is_only_a_customer(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (own, other) = (customer(&app, "Own", &ids["SH"]), customer(&app, "Other", &ids["SH"]));
    let sent = json!({ "sub": "C1", "roles": ["customer_self", "administrator"], "customer_id": own });
    let caller = app.token(sign(sent));
    let me = caller.get("/v1/me").await.expect(200);
    assert_eq!((&me["kind"], &me["roles"], &me["customer_id"]), (&json!("customer"), &json!(["customer_self"]), &json!(own)));
    assert_eq!(caller.get("/v1/roles").await.problem(403), "forbidden");
    let explain = |id: &str| format!("/v1/access/explain?action=customer.read&customer_id={id}");
    assert_eq!(caller.get(&explain(&own)).await.expect(200)["allowed"], true);
    assert_eq!(caller.get(&explain(&other)).await.problem(404), "not_found");
    let nameless = app.token(sign(json!({ "sub": "C1", "roles": ["customer_self"] })));
    assert_eq!(nameless.get("/v1/me").await.problem(403), "forbidden");
}

async fn explains_own_decisions(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (near, far) = (customer(&app, "Near", &ids["SH-1"]), customer(&app, "Far", &ids["BJ"]));
    let teller = app.role_at("teller", "SH");
    let explain = |action: &str, id: &str| format!("/v1/access/explain?action={action}&customer_id={id}");
    let yes = teller.get(&explain("customer.write", &near)).await.expect(200);
    assert_eq!((&yes["allowed"], yes["explanation"]["steps"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(yes["explanation"]["rule"], "access.can");
    let no = teller.get(&explain("assignment.manage", &near)).await.expect(200);
    assert_eq!((&no["allowed"], &no["explanation"]["steps"][0]["passed"]), (&json!(false), &json!(false)));
    assert_eq!(teller.get(&explain("customer.read", &far)).await.problem(404), "not_found");
    assert_eq!(teller.get("/v1/access/explain?action=moon.read").await.pointers(400), ["?action"]);
    let both = format!("{}&account_id={far}", explain("customer.read", &near));
    assert!(matches!(teller.get(&both).await.status, 400 | 422));
}

async fn explains_decisions_of_others(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    person(&admin, "E1", &ids["SH-1"], &["teller"]).await;
    let far = person(&admin, "E2", &ids["BJ"], &["teller"]).await;
    let one = customer(&app, "One", &ids["SH-P"]);
    let of = |subject: &str| format!("/v1/access/explain?action=customer.read&customer_id={one}&subject={subject}");
    let manager = app.role_at("branch_manager", "SH");
    // The outlet lies below the prefecture that keeps the customer, so its teller does not reach it.
    let decision = manager.get(&of("E1")).await.expect(200);
    assert_eq!((&decision["allowed"], &decision["explanation"]["inputs"]["subject"]), (&json!(false), &json!("E1")));
    assert_eq!(manager.get(&of("E2")).await.problem(404), "not_found");
    assert_eq!(manager.get(&of("nobody")).await.problem(404), "not_found");
    assert_eq!(app.role_at("teller", "SH").get(&of("E1")).await.problem(403), "forbidden");
    let path = format!("/v1/staff/{}/deactivate", far["id"].as_str().unwrap());
    admin.command(&path, 1, json!({ "reason": "left" })).await.expect(200);
    let gone = app.role("auditor").get(&of("E2")).await.expect(200);
    assert_eq!(
        (&gone["allowed"], &gone["explanation"]["steps"][0]["check"]),
        (&json!(false), &json!("the staff member is active"))
    );
}

async fn a_team_opens_the_customers_of_its_members(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let a = person(&admin, "E1", &ids["SH"], &["relationship_manager"]).await;
    let b = person(&admin, "E2", &ids["BJ"], &["relationship_manager"]).await;
    let one = customer(&app, "One", &ids["BJ"]);
    let assigned = json!({ "customer_id": one, "staff_id": b["id"], "role": "primary" });
    admin.post("/v1/assignments", assigned).await.expect(201);
    let (mine, others) = (app.token(sign(json!({ "sub": "E2" }))), app.token(sign(json!({ "sub": "E1" }))));
    let explain = |action: &str| format!("/v1/access/explain?action={action}&customer_id={one}");
    assert_eq!(mine.get(&explain("customer.write")).await.expect(200)["allowed"], true);
    assert_eq!(others.get(&explain("customer.read")).await.problem(404), "not_found");
    let members = json!([{ "staff_id": a["id"], "role": "lead" }, { "staff_id": b["id"], "role": "member" }]);
    let team = admin.post("/v1/teams", json!({ "code": "T1", "name": "Team", "members": members })).await.expect(201);
    assert_eq!(others.get(&explain("customer.read")).await.expect(200)["allowed"], true);
    assert_eq!(others.get(&explain("customer.write")).await.expect(200)["allowed"], false);
    let seen = others.get("/v1/assignments?include_total=true").await.expect(200);
    assert_eq!(seen["total"], 1);
    let path = format!("/v1/teams/{}", team["id"].as_str().unwrap());
    admin.patch(&path, 1, json!({ "status": "closed" })).await.expect(200);
    assert_eq!(others.get(&explain("customer.read")).await.problem(404), "not_found");
}

async fn a_tree_stays_whole_under_concurrent_moves(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    for round in 0..6 {
        // The prefecture goes to and fro between the provinces while the outlet leaves the county and comes back.
        let (province, home) = if round % 2 == 0 { ("BJ", "SH-P") } else { ("SH", "SH-C") };
        let version =
            admin.get(&format!("/v1/branches/{}", ids["SH-P"].as_str().unwrap())).await.expect(200)["version"].as_i64().unwrap();
        let outlet =
            admin.get(&format!("/v1/branches/{}", ids["SH-1"].as_str().unwrap())).await.expect(200)["version"].as_i64().unwrap();
        let body = |parent: &str| json!({ "parent_id": ids[parent], "reason": "reform" });
        let path = |code: &str| format!("/v1/branches/{}/move", ids[code].as_str().unwrap());
        let (whole, part, late) = (path("SH-P"), path("SH-1"), path("SH-P"));
        let moves = [
            admin.command(&whole, version, body(province)),
            admin.command(&part, outlet, body(home)),
            admin.command(&late, version, body(province)),
        ];
        let statuses: Vec<u16> = futures_util::future::join_all(moves).await.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 1, "{statuses:?}");
        let tree = admin.get("/v1/branches").await.expect(200);
        let all = tree["items"].as_array().unwrap();
        for branch in all {
            let above =
                all.iter().find(|other| other["id"] == branch["parent_id"]).map_or("", |other| other["path"].as_str().unwrap());
            let whole = format!("{above}{}.", branch["code"].as_str().unwrap());
            assert_eq!(branch["path"].as_str().unwrap(), whole);
        }
    }
}
