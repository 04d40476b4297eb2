//! `/v1/assignments`

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        bank::{at, branches, customer, person},
    },
};

both_databases!(
    assigns_ends_and_keeps_the_owner_in_step,
    of_many_at_once_one_becomes_primary,
    assigns_in_bulk,
    nobody_gets_more_than_they_can_look_after,
    a_customer_out_of_reach_is_not_there,
    names_every_broken_field
);

async fn owner(app: &App, customer: &str) -> Option<String> {
    let id: kehu_customer::CustomerId = customer.parse().unwrap();
    let read = app
        .store
        .read(move |conn| kehu_customer::require(conn, &kehu_kernel::Actor::system(), kehu_kernel::Action::CustomerRead, id));
    read.await.unwrap().owner_id.map(|id| id.to_string())
}

fn new(customer: &str, staff: &Value, role: &str) -> Value {
    json!({ "customer_id": customer, "staff_id": staff["id"], "role": role })
}

async fn assigns_ends_and_keeps_the_owner_in_step(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (a, b) = (person(&admin, "E1", &ids["SH"], &[]).await, person(&admin, "E2", &ids["BJ"], &[]).await);
    let one = customer(&app, "李娜", &ids["SH"]);
    let first = admin.post("/v1/assignments", new(&one, &a, "primary")).await.expect(201);
    assert_eq!((&first["customer"]["label"], &first["staff"]["label"]), (&json!("李娜"), &json!("Name of E1")));
    assert_eq!(owner(&app, &one).await.as_deref(), a["id"].as_str());
    assert_eq!(admin.post("/v1/assignments", new(&one, &b, "primary")).await.problem(409), "primary_assigned");
    assert_eq!(admin.post("/v1/assignments", new(&one, &a, "primary")).await.problem(409), "already_assigned");
    admin.post("/v1/assignments", new(&one, &b, "deputy")).await.expect(201);
    assert_eq!(owner(&app, &one).await.as_deref(), a["id"].as_str());
    let path = format!("{}/end", at("assignments", &first));
    assert_eq!(admin.command(&path, 7, json!({ "reason": "moved" })).await.expect(412)["current_version"], 1);
    let early = json!({ "reason": "moved", "valid_to": "2001-01-01" });
    assert_eq!(admin.command(&path, 1, early).await.pointers(422), ["/valid_to"]);
    let ended = admin.command(&path, 1, json!({ "reason": "moved" })).await.expect(200);
    assert_eq!((&ended["end_reason"], &ended["version"]), (&json!("moved"), &json!(2)));
    assert_eq!(owner(&app, &one).await, None);
    assert_eq!(admin.command(&path, 2, json!({ "reason": "again" })).await.problem(409), "assignment_ended");
    admin.post("/v1/assignments", new(&one, &b, "primary")).await.expect(201);
    let held = admin.get(&format!("/v1/assignments?customer_id={one}&active=true&include_total=true")).await.expect(200);
    assert_eq!(held["total"], 2);
    let all = admin.get(&format!("/v1/assignments?customer_id={one}&include_total=true")).await.expect(200);
    assert_eq!(all["total"], 3);
}

async fn of_many_at_once_one_becomes_primary(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let mut people = Vec::new();
    for number in 0..64 {
        people.push(person(&admin, &format!("E{number}"), &ids["SH"], &[]).await);
    }
    let one = customer(&app, "王芳", &ids["SH"]);
    let tries = people.iter().map(|staff| admin.post("/v1/assignments", new(&one, staff, "primary")));
    let answers = join_all(tries).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 63);
    let winner: Value = serde_json::from_slice(&won[0].bytes).unwrap();
    assert_eq!(owner(&app, &one).await.as_deref(), winner["staff"]["id"].as_str());
    let held = admin.get(&format!("/v1/assignments?customer_id={one}&include_total=true")).await.expect(200);
    assert_eq!(held["total"], 1);
}

async fn assigns_in_bulk(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (a, b) = (person(&admin, "E1", &ids["SH"], &[]).await, person(&admin, "E2", &ids["SH"], &[]).await);
    let customers: Vec<String> = (0..5).map(|number| customer(&app, &format!("Customer {number}"), &ids["SH"])).collect();
    admin.post("/v1/assignments", new(&customers[0], &a, "primary")).await.expect(201);
    admin.post("/v1/assignments", new(&customers[1], &b, "primary")).await.expect(201);
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mut all: Vec<&str> = customers.iter().map(String::as_str).collect();
    all.push(nobody);
    let bulk = |replace: bool| json!({ "staff_id": b["id"], "role": "primary", "customer_ids": all, "replace": replace, "reason": "new portfolio" });
    let code = |report: &Value, customer: &str| {
        let results = report["results"].as_array().unwrap();
        results.iter().find(|result| result["customer_id"] == customer).unwrap()["code"].clone()
    };
    let report = admin.post("/v1/assignments/bulk", bulk(false)).await.expect(200);
    assert_eq!((&report["assigned"], &report["refused"]), (&json!(3), &json!(3)));
    assert_eq!(code(&report, &customers[0]), "primary_assigned");
    assert_eq!(code(&report, &customers[1]), "already_assigned");
    assert_eq!(code(&report, nobody), "not_found");
    assert_eq!(owner(&app, &customers[0]).await.as_deref(), a["id"].as_str());
    let report = admin.post("/v1/assignments/bulk", bulk(true)).await.expect(200);
    assert_eq!((&report["assigned"], code(&report, &customers[0])), (&json!(1), Value::Null));
    assert_eq!(owner(&app, &customers[0]).await.as_deref(), b["id"].as_str());
    let twice = json!({ "staff_id": b["id"], "role": "deputy", "customer_ids": [customers[0], customers[0]] });
    assert_eq!(admin.post("/v1/assignments/bulk", twice).await.pointers(422), ["/customer_ids"]);
}

async fn nobody_gets_more_than_they_can_look_after(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (a, b) = (person(&admin, "E1", &ids["SH"], &[]).await, person(&admin, "E2", &ids["SH"], &[]).await);
    let path = at("staff", &a);
    let portfolio = async || admin.get(&format!("{path}/portfolio")).await.expect(200);
    let empty = portfolio().await;
    assert_eq!((&empty["capacity"], &empty["free"], &empty["load_bp"]), (&Value::Null, &Value::Null, &Value::Null));
    admin.patch(&path, 1, json!({ "capacity": 3 })).await.expect(200);
    let customers: Vec<String> = (0..8).map(|number| customer(&app, &format!("Customer {number}"), &ids["SH"])).collect();
    admin.post("/v1/assignments", new(&customers[7], &a, "deputy")).await.expect(201);
    admin.post("/v1/assignments", new(&customers[6], &b, "primary")).await.expect(201);
    // Six at once: three get through.
    let tries = customers[..6].iter().map(|one| admin.post("/v1/assignments", new(one, &a, "primary")));
    let answers = join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    let full = portfolio().await;
    let counts = ["primary_count", "deputy_count", "specialist_count", "capacity", "free", "load_bp"];
    assert_eq!(counts.map(|name| full[name].as_i64().unwrap()), [3, 1, 0, 3, 0, 10_000]);
    let refused = answers.into_iter().find(|answer| answer.status != 201).unwrap();
    assert_eq!(refused.problem(409), "portfolio_full");
    // Who is relieved of a customer that the other one cannot take keeps it.
    let bulk = json!({ "staff_id": a["id"], "role": "primary", "customer_ids": [customers[6]], "replace": true });
    let report = admin.post("/v1/assignments/bulk", bulk).await.expect(200);
    assert_eq!((&report["refused"], &report["results"][0]["code"]), (&json!(1), &json!("portfolio_full")));
    assert_eq!(owner(&app, &customers[6]).await.as_deref(), b["id"].as_str());
    // As a deputy there is room.
    admin.post("/v1/assignments", new(&customers[6], &a, "deputy")).await.expect(201);
    let nobody = "/v1/staff/01890a5d-ac96-774b-bcce-b302099a8057/portfolio";
    assert_eq!(admin.get(nobody).await.problem(404), "not_found");
    assert_eq!(app.stranger().get(&format!("{path}/portfolio")).await.status, 401);
}

async fn a_customer_out_of_reach_is_not_there(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let staff = person(&admin, "E1", &ids["SH"], &[]).await;
    let (near, far) = (customer(&app, "Near", &ids["SH-1"]), customer(&app, "Far", &ids["BJ"]));
    let manager = app.role_at("branch_manager", "SH");
    assert_eq!(manager.post("/v1/assignments", new(&far, &staff, "primary")).await.problem(404), "not_found");
    manager.post("/v1/assignments", new(&near, &staff, "primary")).await.expect(201);
    let made = admin.post("/v1/assignments", new(&far, &staff, "primary")).await.expect(201);
    let seen = manager.get("/v1/assignments?include_total=true").await.expect(200);
    assert_eq!((&seen["total"], &seen["items"][0]["customer"]["label"]), (&json!(1), &json!("Near")));
    let end = format!("{}/end", at("assignments", &made));
    assert_eq!(manager.command(&end, 1, json!({ "reason": "x" })).await.problem(404), "not_found");
    assert_eq!(app.role_at("teller", "SH").post("/v1/assignments", new(&near, &staff, "deputy")).await.problem(403), "forbidden");
}

async fn names_every_broken_field(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let gone = person(&admin, "E1", &ids["SH"], &[]).await;
    admin.command(&format!("{}/deactivate", at("staff", &gone)), 1, json!({ "reason": "left" })).await.expect(200);
    let here = person(&admin, "E2", &ids["SH"], &[]).await;
    let one = customer(&app, "One", &ids["SH"]);
    assert_eq!(admin.post("/v1/assignments", new(&one, &gone, "primary")).await.pointers(422), ["/staff_id"]);
    assert_eq!(admin.post("/v1/assignments", new(&one, &here, "king")).await.pointers(422), ["/role"]);
    let mut later = new(&one, &here, "primary");
    later["valid_from"] = json!("2999-01-01");
    assert_eq!(admin.post("/v1/assignments", later).await.pointers(422), ["/valid_from"]);
    assert_eq!(owner(&app, &one).await, None);
}
