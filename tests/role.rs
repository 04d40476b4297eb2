//! `/v1/roles`, and what the built-in roles grant.

use kehu_kernel::{Action, AnyId};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{App, bank::at, sign},
};

both_databases!(
    the_built_in_roles_grant_what_is_declared,
    a_bank_makes_roles_of_its_own,
    built_in_roles_keep_names_and_an_administrator,
    names_every_broken_field,
    seeding_again_changes_nothing
);

/// One letter an action, in the order of [`Action::ALL`]: own, team, unit, b for unit and below, all.
const DECLARED: &[(&str, &str)] = &[
    ("teller", "a.a...b..bbbb..b..a.b.b.a........."),
    ("call_agent", "a.a...a..a.....a..a.a...a........."),
    ("relationship_manager", "a.a...t..toot..o..a.t.o.a........."),
    ("marketer", "a.a...b..b........a.b...ab..o....."),
    ("branch_manager", "a.aba.bbbbbbbb.b..a.b.b.ab..o....b"),
    ("analyst", "a.a...a..a........a.a...a.a.o....."),
    ("data_steward", "a.a...a..aaaaaaaa.a.a...a.a.o....."),
    ("privacy_officer", "a.a...a..a.....a.aa.a...a...o....a"),
    ("knowledge_curator", "a.a...............a..............."),
    ("auditor", "a.a.a.a.aa........a.a...a.a.o..a.a"),
    ("administrator", "aaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaa"),
    ("integration", "a.a...a..aa.a..a..aaaaaaaaaao..ao."),
    ("customer_self", "a........o.....o..a.o............."),
];

async fn the_built_in_roles_grant_what_is_declared(app: App) {
    for (role, declared) in DECLARED {
        assert_eq!(declared.len(), Action::ALL.len(), "{role}");
        let claims = json!({ "sub": "somebody", "roles": [role], "customer_id": AnyId::new() });
        let caller = app.token(sign(claims));
        let me = caller.get("/v1/me").await.expect(200);
        let cell = |action: &Action| {
            let grant = me["grants"].as_array().unwrap().iter().find(|grant| grant["action"] == action.as_str());
            grant.map_or('.', |grant| match grant["depth"].as_str().unwrap() {
                "unit_and_below" => 'b',
                depth => depth.chars().next().unwrap(),
            })
        };
        assert_eq!(Action::ALL.iter().map(cell).collect::<String>(), **declared, "{role}");
        for (action, cell) in Action::ALL.iter().zip(declared.chars()) {
            let decision = caller.get(&format!("/v1/access/explain?action={action}")).await.expect(200);
            assert_eq!(decision["allowed"], cell != '.', "{role} {action}");
        }
    }
    let roles = app.role("auditor").get("/v1/roles?built_in=true&include_total=true").await.expect(200);
    assert_eq!(roles["total"], DECLARED.len());
}

async fn a_bank_makes_roles_of_its_own(app: App) {
    let admin = app.role("administrator");
    let grants = json!([{ "action": "customer.read", "depth": "unit" }]);
    let new = json!({ "code": "greeter", "name": "Greeter", "grants": grants, "field_classes": ["public"] });
    let made = admin.post("/v1/roles", new.clone()).await.expect(201);
    assert_eq!((&made["built_in"], &made["version"], &made["grants"]), (&json!(false), &json!(1), &grants));
    assert_eq!(admin.post("/v1/roles", new).await.problem(409), "role_code_taken");
    let greeter = app.role("greeter");
    assert_eq!(greeter.get("/v1/me").await.expect(200)["grants"], grants);
    assert_eq!(greeter.get("/v1/roles").await.problem(403), "forbidden");
    let wider = json!({ "name": "Host", "grants": [{ "action": "role.read", "depth": "all" }] });
    let changed = admin.patch(&at("roles", &made), 1, wider).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["field_classes"], &changed["version"]),
        (&json!("Host"), &json!(["public"]), &json!(2))
    );
    greeter.get("/v1/roles").await.expect(200);
    assert_eq!(admin.patch(&at("roles", &made), 1, json!({ "name": "Late" })).await.expect(412)["current_version"], 2);
    // To read roles is not to manage them, nor is to manage them within a branch.
    assert_eq!(app.role("auditor").patch(&at("roles", &made), 2, json!({ "name": "x" })).await.problem(403), "forbidden");
}

async fn built_in_roles_keep_names_and_an_administrator(app: App) {
    let admin = app.role("administrator");
    let roles = admin.get("/v1/roles").await.expect(200);
    let of = |code: &str| roles["items"].as_array().unwrap().iter().find(|role| role["code"] == code).unwrap().clone();
    let teller = of("teller");
    assert_eq!(admin.patch(&at("roles", &teller), 1, json!({ "name": "Clerk" })).await.pointers(422), ["/name"]);
    let lessened = json!({ "grants": [{ "action": "customer.read", "depth": "unit" }] });
    let changed = admin.patch(&at("roles", &teller), 1, lessened.clone()).await.expect(200);
    assert_eq!((&changed["version"], &changed["name"]), (&json!(2), &teller["name"]));
    assert_eq!(admin.patch(&at("roles", &of("administrator")), 1, lessened).await.pointers(422), ["/grants"]);
    // The refusal left everything as it was.
    assert_eq!(app.role("administrator").get("/v1/roles").await.status, 200);
    // A role that the bank has changed does not follow the program any more.
    assert_eq!(app.store.write_blocking(kehu_organization::role::seed).unwrap(), 0);
    let kept: Value = app.role("teller").get("/v1/me").await.expect(200);
    assert_eq!(kept["grants"].as_array().unwrap().len(), 1);
}

async fn names_every_broken_field(app: App) {
    let admin = app.role("administrator");
    let twice = json!([{ "action": "customer.read", "depth": "own" }, { "action": "customer.read", "depth": "all" }]);
    let body = json!({ "code": "a b", "name": "", "grants": twice, "field_classes": ["public", "public"] });
    assert_eq!(admin.post("/v1/roles", body).await.pointers(422), ["/code", "/field_classes", "/grants", "/name"]);
    let body = json!({ "code": "a", "name": "A", "grants": [{ "action": "moon.read", "depth": "all" }], "field_classes": [] });
    assert_eq!(admin.post("/v1/roles", body).await.pointers(422), ["/grants/0/action"]);
    let body =
        json!({ "code": "a", "name": "A", "grants": [{ "action": "role.read", "depth": "all", "why": 1 }], "field_classes": [] });
    assert_eq!(admin.post("/v1/roles", body).await.pointers(422), ["/grants/0/why"]);
}

async fn seeding_again_changes_nothing(app: App) {
    assert_eq!(app.store.write_blocking(kehu_organization::role::seed).unwrap(), 0);
    let seeds: Vec<_> = (0..4).map(|_| app.store.write(kehu_organization::role::seed)).collect();
    for written in futures_util::future::join_all(seeds).await {
        assert_eq!(written.unwrap(), 0);
    }
}
