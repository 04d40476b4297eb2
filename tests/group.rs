//! `/v1/groups`

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        bank::{self, at},
        client::sign,
        customers::{branches, person},
    },
};

both_databases!(
    is_made_changed_and_closed,
    refuses_what_cannot_be,
    never_stands_in_a_circle,
    circles_are_refused_to_crossing_writers,
    belongs_to_those_who_reach_its_owner,
    is_found_by_what_it_is
);

/// A group of a kind; what it is.
pub async fn group(client: &Client<'_>, name: &str, kind: &str) -> Value {
    client.post("/v1/groups", json!({ "name": name, "kind": kind })).await.expect(201)
}

/// Puts customers into a group.
pub async fn join(client: &Client<'_>, group: &Value, customers: &[&Value]) -> Value {
    let members: Vec<Value> = customers.iter().map(|customer| json!({ "customer_id": customer["id"] })).collect();
    client.post(&format!("{}/members", at("groups", group)), json!({ "members": members })).await.expect(200)
}

async fn is_made_changed_and_closed(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let (lead, clerk) =
        (bank::person(&admin, "E-1", &ids["SH"], &["teller"]).await, bank::person(&admin, "E-2", &ids["BJ"], &["teller"]).await);
    let above = group(&admin, "All savers", "static").await;
    let body = json!({ "name": "Savers with a mortgage", "kind": "static", "purpose": "cross-selling", "strategy": "visit",
        "service_level": "gold", "owner_id": lead["id"], "parent_ids": [above["id"]],
        "team": [{ "staff_id": clerk["id"], "role": "service" }, { "staff_id": lead["id"], "role": "lead" }] });
    let answer = admin.post("/v1/groups", body).await;
    let location = answer.header("location").unwrap();
    let made = answer.expect(201);
    assert_eq!(location, at("groups", &made));
    assert!(made["number"].as_str().unwrap().starts_with('G'), "{made}");
    assert_eq!(
        (&made["status"], &made["owner"]["label"], &made["version"]),
        (&json!("active"), &json!("Name of E-1"), &json!(1))
    );
    assert_eq!(made["parents"], json!([{ "id": above["id"], "label": "All savers" }]));
    let team: Vec<&Value> = made["team"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(team, ["lead", "service"]);
    assert_eq!(admin.get(&location).await.expect(200), made);
    let change =
        json!({ "strategy": null, "name": "Savers", "team": [{ "staff_id": clerk["id"], "role": "lead" }], "parent_ids": [] });
    let changed = admin.patch(&location, 1, change).await.expect(200);
    assert_eq!((&changed["strategy"], &changed["name"], &changed["version"]), (&Value::Null, &json!("Savers"), &json!(2)));
    assert_eq!((&changed["purpose"], &changed["parents"]), (&json!("cross-selling"), &json!([])));
    assert_eq!(changed["team"].as_array().unwrap().len(), 1);
    assert_eq!(admin.patch(&location, 1, json!({})).await.problem(412), "precondition_failed");
    let one = person(&admin, "One", None).await;
    join(&admin, &made, &[&one]).await;
    let close = format!("{location}/close");
    assert_eq!(admin.command(&close, 2, json!({ "reason": "over" })).await.problem(409), "group_has_members");
    assert_eq!(admin.post(&close, json!({ "reason": "over" })).await.problem(428), "precondition_required");
    let closed = admin.command(&close, 2, json!({ "reason": "over", "end_members": true })).await.expect(200);
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("over")));
    assert!(closed["closed_on"].is_string());
    let past = admin.get(&format!("{location}/members?all=true")).await.expect(200);
    assert_eq!((&past["items"][0]["end_reason"], past["items"].as_array().unwrap().len()), (&json!("over"), 1));
    assert_eq!(admin.command(&close, 3, json!({ "reason": "again" })).await.problem(409), "group_closed");
    assert_eq!(admin.patch(&location, 3, json!({ "name": "x" })).await.problem(409), "group_closed");
    let late = json!({ "members": [{ "customer_id": one["id"] }] });
    assert_eq!(admin.post(&format!("{location}/members"), late).await.problem(409), "group_closed");
}

async fn refuses_what_cannot_be(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let gone = bank::person(&admin, "E-1", &ids["SH"], &["teller"]).await;
    admin.command(&format!("{}/deactivate", at("staff", &gone)), 1, json!({ "reason": "left" })).await.expect(200);
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (wrong, pointer) in [
        (json!({ "name": " ", "kind": "static" }), "/name"),
        (json!({ "name": "x", "kind": "club" }), "/kind"),
        (json!({ "name": "x", "kind": "static", "owner_id": gone["id"] }), "/owner_id"),
        (json!({ "name": "x", "kind": "static", "owner_id": nobody }), "/owner_id"),
        (json!({ "name": "x", "kind": "static", "team": [{ "staff_id": gone["id"], "role": "lead" }] }), "/team/0/staff_id"),
        (json!({ "name": "x", "kind": "static", "parent_ids": [nobody] }), "/parent_ids/0"),
        (json!({ "name": "x", "kind": "static", "service_level": "a b" }), "/service_level"),
        (json!({ "name": "x", "kind": "static", "colour": "red" }), "/colour"),
    ] {
        assert_eq!(admin.post("/v1/groups", wrong).await.pointers(422), [pointer]);
    }
    assert_eq!(admin.get("/v1/groups?include_total=true").await.expect(200)["total"], 0);
    assert_eq!(admin.get(&format!("/v1/groups/{nobody}")).await.problem(404), "not_found");
    assert_eq!(admin.get(&format!("/v1/groups/{nobody}/members")).await.problem(404), "not_found");
    assert_eq!(admin.get(&format!("/v1/groups/{nobody}/overlap")).await.problem(404), "not_found");
}

async fn never_stands_in_a_circle(app: App) {
    let admin = app.role("administrator");
    let (a, b, c) = (group(&admin, "A", "static").await, group(&admin, "B", "static").await, group(&admin, "C", "static").await);
    let above = async |one: &Value, version: i64, parents: Value| {
        admin.patch(&at("groups", one), version, json!({ "parent_ids": parents })).await
    };
    above(&b, 1, json!([a["id"]])).await.expect(200);
    above(&c, 1, json!([b["id"], a["id"]])).await.expect(200);
    assert_eq!(above(&a, 1, json!([a["id"]])).await.pointers(422), ["/parent_ids/0"]);
    assert_eq!(above(&a, 1, json!([b["id"], b["id"]])).await.pointers(422), ["/parent_ids/1"]);
    assert_eq!(above(&a, 1, json!([c["id"]])).await.problem(409), "group_cycle");
    assert_eq!(above(&b, 2, json!([c["id"]])).await.problem(409), "group_cycle");
    let below = admin.get(&format!("/v1/groups?parent_id={}", a["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(below["items"].as_array().unwrap().len(), 2);
    let close = format!("{}/close", at("groups", &b));
    assert_eq!(admin.command(&close, 2, json!({ "reason": "x" })).await.problem(409), "group_has_children");
    above(&c, 2, json!([])).await.expect(200);
    above(&a, 1, json!([c["id"]])).await.expect(200);
    admin.command(&close, 2, json!({ "reason": "x" })).await.expect(200);
    assert_eq!(above(&c, 3, json!([b["id"]])).await.pointers(422), ["/parent_ids/0"]);
}

/// Two who each put the other's group above at the same time: one of them is refused.
async fn circles_are_refused_to_crossing_writers(app: App) {
    let admin = app.role("administrator");
    for n in 0..5 {
        let (a, b) = (group(&admin, &format!("A{n}"), "static").await, group(&admin, &format!("B{n}"), "static").await);
        let (to_a, to_b) = (json!({ "parent_ids": [b["id"]] }), json!({ "parent_ids": [a["id"]] }));
        let (path_a, path_b) = (at("groups", &a), at("groups", &b));
        let answers = join_all([admin.patch(&path_a, 1, to_a), admin.patch(&path_b, 1, to_b)]).await;
        let mut told: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        told.sort_unstable();
        assert_eq!(told, [200, 409]);
    }
}

async fn belongs_to_those_who_reach_its_owner(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let near = bank::person(&admin, "E-near", &ids["SH-1"], &["marketer"]).await;
    let far = bank::person(&admin, "E-far", &ids["BJ"], &["marketer"]).await;
    let of = |owner: &Value| json!({ "name": "x", "kind": "static", "owner_id": owner["id"] });
    let (ours, theirs) =
        (admin.post("/v1/groups", of(&near)).await.expect(201), admin.post("/v1/groups", of(&far)).await.expect(201));
    let bank_wide = group(&admin, "Everybody", "static").await;
    assert_eq!(bank_wide["owner"], Value::Null);
    let marketer = app.role_at("marketer", "SH");
    // Everybody with the right reads every group.
    assert_eq!(marketer.get("/v1/groups?include_total=true").await.expect(200)["total"], 3);
    assert_eq!(app.role_at("teller", "SH").get(&at("groups", &theirs)).await.expect(200)["id"], theirs["id"]);
    marketer.patch(&at("groups", &ours), 1, json!({ "name": "y" })).await.expect(200);
    for other in [&theirs, &bank_wide] {
        assert_eq!(marketer.patch(&at("groups", other), 1, json!({ "name": "y" })).await.problem(403), "forbidden");
        let close = format!("{}/close", at("groups", other));
        assert_eq!(marketer.command(&close, 1, json!({ "reason": "y" })).await.problem(403), "forbidden");
    }
    assert_eq!(marketer.post("/v1/groups", of(&far)).await.problem(403), "forbidden");
    assert_eq!(marketer.post("/v1/groups", json!({ "name": "x", "kind": "static" })).await.problem(403), "forbidden");
    assert_eq!(marketer.patch(&at("groups", &ours), 2, json!({ "owner_id": far["id"] })).await.problem(403), "forbidden");
    assert_eq!(marketer.patch(&at("groups", &ours), 2, json!({ "owner_id": null })).await.problem(403), "forbidden");
    // Whoever has a record of their own answers for what they make.
    let me = app.token(sign(json!({ "sub": "E-near", "roles": ["marketer"], "branch": "SH-1" })));
    let made = me.post("/v1/groups", json!({ "name": "Mine", "kind": "household" })).await.expect(201);
    assert_eq!(made["owner"]["label"], "Name of E-near");
    assert_eq!(app.role_at("teller", "SH").post("/v1/groups", of(&near)).await.problem(403), "forbidden");
    let customer = person(&admin, "Itself", None).await;
    let itself = sign(json!({ "sub": customer["id"], "roles": ["customer_self"], "customer_id": customer["id"] }));
    assert_eq!(app.token(itself).get("/v1/groups").await.problem(403), "forbidden");
}

async fn is_found_by_what_it_is(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let clerk = bank::person(&admin, "E-1", &ids["SH"], &["teller"]).await;
    let home = group(&admin, "Home", "household").await;
    let body = json!({ "name": "x", "kind": "static", "team": [{ "staff_id": clerk["id"], "role": "risk" }] });
    let staffed = admin.post("/v1/groups", body).await.expect(201);
    let (one, hidden) = (person(&admin, "One", Some(&ids["SH"])).await, person(&admin, "Hidden", Some(&ids["BJ"])).await);
    join(&admin, &home, &[&one, &hidden]).await;
    let found = async |client: &Client<'_>, filter: &str| -> Vec<Value> {
        let page = client.get(&format!("/v1/groups?{filter}&include_total=true")).await.expect(200);
        let items: Vec<Value> = page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(page["total"], items.len());
        items
    };
    assert_eq!(found(&admin, "kind=household").await, [home["id"].clone()]);
    assert_eq!(found(&admin, &format!("staff_id={}", clerk["id"].as_str().unwrap())).await, [staffed["id"].clone()]);
    assert_eq!(found(&admin, &format!("number={}", home["number"].as_str().unwrap())).await, [home["id"].clone()]);
    assert_eq!(found(&admin, "status=closed").await, Vec::<Value>::new());
    let of = |customer: &Value| format!("customer_id={}", customer["id"].as_str().unwrap());
    assert_eq!(found(&admin, &of(&hidden)).await, [home["id"].clone()]);
    let teller = app.role_at("teller", "SH");
    assert_eq!(found(&teller, &of(&one)).await, [home["id"].clone()]);
    assert_eq!(found(&teller, &of(&hidden)).await, Vec::<Value>::new());
}
