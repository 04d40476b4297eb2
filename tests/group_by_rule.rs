//! Groups whose members follow a rule: dynamic groups and matrices

use std::{collections::BTreeMap, time::Duration};

use kehu_customer::feed::{CustomerRecord, customers};
use kehu_group::by_rule;
use kehu_kernel::{Actor, Tx, feed::Source, job::Runner, time::Clock};
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_merge::{merge, revert, version},
    group::group,
    support::{
        App, Client,
        bank::at,
        ledger::{account, bank, customer, owner, text},
        sign,
    },
};

both_databases!(
    members_follow_the_rule,
    a_new_day_moves_members,
    who_came_and_left_stays_known,
    nobody_else_moves_members,
    rules_need_the_rights_that_they_ask_for,
    rules_never_look_at_themselves,
    faults_are_named_where_they_stand,
    a_matrix_divides_everybody,
    a_matrix_is_divided_anew,
    goes_with_merges_of_customers,
    an_interrupted_refresh_loses_and_doubles_nothing,
);

/// The same on a clock that stands still until it is moved.
async fn still(app: App) -> App {
    App::on(app.store.backend(), Clock::fixed(Clock::system().now()), App::settings()).await
}

/// An administrator for as long as the clock of a test may be moved.
fn administrator(app: &App) -> Client<'_> {
    let forever = app.store.now().plus(Duration::from_secs(30 * 86_400)).seconds();
    app.token(sign(json!({ "sub": "admin", "roles": ["administrator"], "exp": forever })))
}

fn is(field: &str, operator: &str, values: &[&str]) -> Value {
    json!({ "field": field, "operator": operator, "values": values })
}

fn rich() -> Value {
    json!({ "some": "accounts", "sum": "balance", "operator": "at_least", "values": ["1000.00 CNY"] })
}

/// Lets everything that is behind catch up, as a server does beside the requests.
fn sweep(app: &App) {
    app.run_jobs();
    app.store.clock().advance(Duration::from_secs(31));
    app.deliver();
    by_rule::wake(&app.store).unwrap();
    app.run_jobs();
    app.deliver();
}

async fn dynamic(admin: &Client<'_>, name: &str, rule: Value) -> Value {
    admin.post("/v1/groups", json!({ "name": name, "kind": "dynamic", "rule": rule })).await.expect(201)
}

async fn names(client: &Client<'_>, group: &Value, query: &str) -> Vec<String> {
    let page = client.get(&format!("{}/members?limit=200{query}", at("groups", group))).await.expect(200);
    let mut names: Vec<String> = page["items"].as_array().unwrap().iter().map(|item| text(&item["customer"]["label"])).collect();
    names.sort();
    names
}

async fn with_account(admin: &Client<'_>, ids: &Value, name: &str, balance: &str) -> String {
    let id = customer(admin, name, &ids["A"]).await;
    let account = account(admin, name, "A", balance).await;
    admin.post("/v1/account-links", owner(&account, &id, true, None)).await.expect(201);
    id
}

async fn members_follow_the_rule(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    with_account(&admin, &ids, "Ann", "1000.00").await;
    with_account(&admin, &ids, "Bob", "999.99").await;
    let made = dynamic(&admin, "Rich", rich()).await;
    assert_eq!((&made["rule"], &made["dimensions"], &made["branch"]), (&rich(), &json!([]), &Value::Null));
    assert_eq!(admin.get(&at("groups", &made)).await.expect(200), made);
    let fresh = format!("{}/freshness", at("groups", &made));
    assert_eq!(admin.get(&fresh).await.expect(200)["refreshed_at"], Value::Null);
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, ["Ann"]);
    assert!(admin.get(&fresh).await.expect(200)["refreshed_at"].is_string());
    // Another balance of Bob, and none of Ann any more.
    account(&admin, "Bob", "A", "1000.00").await;
    account(&admin, "Ann", "A", "0.00").await;
    assert!(admin.get(&fresh).await.expect(200)["events_since"].as_i64().unwrap() >= 0);
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, ["Bob"]);
    sweep(&app);
    assert_eq!(admin.get(&fresh).await.expect(200)["events_since"], 0);
    // Nothing is left to do, also when all are asked about.
    for full in [true, false] {
        let job = admin.post(&format!("{}/refresh", at("groups", &made)), json!({ "full": full })).await.expect(202);
        app.run_jobs();
        let job = admin.get(&format!("/v1/jobs/{}", text(&job["id"]))).await.expect(200);
        let result = json!({ "group_id": made["id"], "added": 0, "removed": 0, "full": full });
        assert_eq!((&job["state"], &job["result"]), (&json!("done"), &result));
    }
    for (kind, times) in [("added", 2), ("removed", 1)] {
        let told = admin.get(&format!("/v1/events?limit=200&type=group_member.{kind}")).await.expect(200);
        assert_eq!(told["items"].as_array().unwrap().len(), times, "{told}");
    }
    // Another rule, of one branch.
    let change = json!({ "rule": is("kind", "equals", &["personal"]), "branch_id": ids["B"] });
    let changed = admin.patch(&at("groups", &made), 1, change).await.expect(200);
    assert_eq!((&changed["branch"]["id"], &changed["version"]), (&ids["B"], &json!(2)));
    customer(&admin, "Cy", &ids["B"]).await;
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, ["Cy"]);
    let close = json!({ "reason": "over", "end_members": true });
    admin.command(&format!("{}/close", at("groups", &made)), 2, close).await.expect(200);
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, Vec::<String>::new());
    assert_eq!(admin.post(&format!("{}/refresh", at("groups", &made)), json!({})).await.problem(409), "group_closed");
}

async fn a_new_day_moves_members(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let today = app.store.now().date();
    let born = |days: i64| {
        let birthday = today.plus_days(days).to_string();
        let year: i32 = birthday[..4].parse().unwrap();
        format!("{}{}", year - 18, &birthday[4..])
    };
    for (name, days) in [("Grown", 0), ("Tomorrow", 1)] {
        let personal = json!({ "full_name": name, "birth_date": born(days) });
        admin.post("/v1/customers", json!({ "kind": "personal", "personal": personal })).await.expect(201);
    }
    let adults = dynamic(&admin, "Adults", is("birth_date", "at_most", &["today-18y"])).await;
    sweep(&app);
    assert_eq!(names(&admin, &adults, "").await, ["Grown"]);
    app.store.clock().advance(Duration::from_secs(86_400));
    sweep(&app);
    assert_eq!(names(&admin, &adults, "").await, ["Grown", "Tomorrow"]);
    assert_eq!(names(&admin, &adults, &format!("&as_of={today}")).await, ["Grown"]);
}

async fn who_came_and_left_stays_known(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    let people = ["Ann", "Bob", "Cy"];
    for name in people {
        with_account(&admin, &ids, name, "0.00").await;
    }
    let made = dynamic(&admin, "Rich", rich()).await;
    // What the members were on each day is what the rule said on that day.
    let mut days = BTreeMap::new();
    for rich in [&["Ann"][..], &["Ann", "Bob"], &[], &["Ann", "Bob", "Cy"], &["Cy"]] {
        for name in people {
            account(&admin, name, "A", if rich.contains(&name) { "5000.00" } else { "10.00" }).await;
        }
        sweep(&app);
        days.insert(app.store.now().date(), rich);
        app.store.clock().advance(Duration::from_secs(86_400));
    }
    for (day, rich) in days {
        assert_eq!(names(&admin, &made, &format!("&as_of={day}")).await, rich, "{day}");
    }
}

async fn nobody_else_moves_members(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    let ann = with_account(&admin, &ids, "Ann", "1000.00").await;
    let made = dynamic(&admin, "Rich", rich()).await;
    sweep(&app);
    let place = at("groups", &made);
    let join = json!({ "members": [{ "customer_id": ann }] });
    assert_eq!(admin.post(&format!("{place}/members"), join).await.problem(409), "group_by_rule");
    let leave = json!({ "customer_ids": [ann], "reason": "wants to" });
    assert_eq!(admin.post(&format!("{place}/end-members"), leave).await.problem(409), "group_by_rule");
    let plain = group(&admin, "Plain", "static").await;
    assert_eq!(admin.post(&format!("{}/refresh", at("groups", &plain)), json!({})).await.problem(409), "group_without_rule");
    assert_eq!(admin.get(&format!("{}/freshness", at("groups", &plain))).await.expect(200)["refreshed_at"], Value::Null);
    assert_eq!(admin.get(&format!("{place}/matrix")).await.expect(200)["cells"], json!([]));
    assert_eq!(names(&admin, &made, "").await, ["Ann"]);
}

async fn rules_need_the_rights_that_they_ask_for(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    let of = |name: &str, actions: &[&str], depth: &str| {
        let grants: Vec<Value> = actions.iter().map(|action| json!({ "action": action, "depth": depth })).collect();
        json!({ "code": name, "name": name, "grants": grants, "field_classes": ["public", "internal"] })
    };
    admin.post("/v1/roles", of("below", &["group.manage", "customer.read", "account.read"], "unit_and_below")).await.expect(201);
    admin.post("/v1/roles", of("unit", &["group.manage", "customer.read", "account.read"], "unit")).await.expect(201);
    admin.post("/v1/roles", of("blind", &["group.manage", "customer.read"], "all")).await.expect(201);
    let body = |branch: &Value, rule: Value| json!({ "name": "x", "kind": "dynamic", "rule": rule, "branch_id": branch });
    let born = is("birth_date", "at_most", &["today-18y"]);
    let staff = crate::support::bank::person(&admin, "E1", &ids["A"], &["below", "unit"]).await;
    let signed = |role: &str| app.token(sign(json!({ "sub": "S", "roles": [role], "branch": "A", "staff_id": staff["id"] })));
    let owned = |branch: &Value, rule: Value| {
        let mut body = body(branch, rule);
        body["owner_id"] = staff["id"].clone();
        body
    };
    let below = signed("below");
    assert_eq!(below.post("/v1/groups", owned(&Value::Null, born.clone())).await.problem(403), "forbidden");
    assert_eq!(below.post("/v1/groups", owned(&ids["B"], born.clone())).await.problem(403), "forbidden");
    below.post("/v1/groups", owned(&ids["A"], rich())).await.expect(201);
    assert_eq!(signed("unit").post("/v1/groups", owned(&ids["A"], born.clone())).await.problem(403), "forbidden");
    let blind = app.role("blind");
    assert_eq!(blind.post("/v1/groups", body(&ids["A"], rich())).await.problem(403), "forbidden");
    let made = blind.post("/v1/groups", body(&ids["A"], born)).await.expect(201);
    assert_eq!(blind.patch(&at("groups", &made), 1, json!({ "rule": rich() })).await.problem(403), "forbidden");
    let sensitive = is("marital_status", "equals", &["married"]);
    assert_eq!(admin.post("/v1/groups", body(&ids["A"], sensitive)).await.pointers(422), ["/rule/field"]);
}

async fn rules_never_look_at_themselves(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    with_account(&admin, &ids, "Ann", "1000.00").await;
    let member =
        |field: &str, value: &Value| json!({ "some": "groups", "matching": is(field, "equals", &[value.as_str().unwrap()]) });
    let first = dynamic(&admin, "First", rich()).await;
    let second = dynamic(&admin, "Second", json!({ "not": member("group", &first["id"]) })).await;
    let third = dynamic(&admin, "Third", member("group_number", &second["number"])).await;
    let change = async |group: &Value, rule: Value| admin.patch(&at("groups", group), 1, json!({ "rule": rule })).await;
    for (group, rule) in [
        (&first, member("group", &first["id"])),
        (&first, member("group", &third["id"])),
        (&first, json!({ "any": [rich(), { "not": member("group_number", &second["number"]) }] })),
        (&second, member("group", &third["id"])),
    ] {
        assert_eq!(change(group, rule.clone()).await.problem(409), "group_cycle", "{rule}");
    }
    // What names no group could be any, this one too.
    for rule in [
        json!({ "some": "groups" }),
        json!({ "some": "groups", "matching": is("group_kind", "equals", &["dynamic"]) }),
        json!({ "some": "groups", "matching": { "any": [is("group", "equals", &[first["id"].as_str().unwrap()]),
            is("role", "equals", &["member"])] } }),
        json!({ "some": "groups", "matching": { "not": is("group", "equals", &[third["id"].as_str().unwrap()]) } }),
    ] {
        assert_eq!(change(&first, rule.clone()).await.pointers(422), ["/rule"], "{rule}");
    }
    customer(&admin, "Bob", &ids["A"]).await;
    change(
        &first,
        json!({ "all": [rich(), { "not": { "some": "groups", "matching": is("group_kind", "equals", &["household"]) } }] }),
    )
    .await
    .expect(200);
    // Each follows the ones at which it looks, in the end.
    for _ in 0..3 {
        sweep(&app);
    }
    assert_eq!(names(&admin, &first, "").await, ["Ann"]);
    assert_eq!(names(&admin, &second, "").await, ["Bob"]);
    assert_eq!(names(&admin, &third, "").await, ["Bob"]);
    with_account(&admin, &ids, "Cy", "9000.00").await;
    for _ in 0..3 {
        sweep(&app);
    }
    assert_eq!(names(&admin, &first, "").await, ["Ann", "Cy"]);
    assert_eq!(names(&admin, &third, "").await, ["Bob"]);
}

async fn faults_are_named_where_they_stand(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    bank(&admin).await;
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    let kind = json!({ "name": "kind", "field": "kind" });
    let parts = |rule: Value| json!({ "name": "x", "parts": [{ "name": "a", "rule": rule }] });
    let limits = |limits: &[&str]| json!({ "name": "x", "field": "dependants_of", "limits": limits });
    let sums = |limits: &[&str]| json!({ "name": "x", "some": "accounts", "sum": "balance", "limits": limits });
    let many: Vec<Value> = (0..3)
        .map(|n| {
            let limits: Vec<String> = (1..=10).map(|limit| format!("{limit}")).collect();
            json!({ "name": format!("d{n}"), "field": "data_quality_bp", "limits": limits })
        })
        .collect();
    for (body, pointers) in [
        (json!({ "kind": "dynamic" }), vec!["/rule"]),
        (json!({ "kind": "static", "rule": rich() }), vec!["/rule"]),
        (json!({ "kind": "static", "dimensions": [kind], "branch_id": nobody }), vec!["/branch_id", "/dimensions"]),
        (json!({ "kind": "dynamic", "rule": is("nonsense", "equals", &["x"]) }), vec!["/rule/field"]),
        (json!({ "kind": "dynamic", "rule": rich(), "branch_id": nobody }), vec!["/branch_id"]),
        (json!({ "kind": "dynamic", "rule": rich(), "dimensions": [kind] }), vec!["/dimensions"]),
        (json!({ "kind": "matrix" }), vec!["/dimensions"]),
        (json!({ "kind": "matrix", "dimensions": [kind, kind] }), vec!["/dimensions/1/name"]),
        (json!({ "kind": "matrix", "dimensions": [{ "name": "x" }] }), vec!["/dimensions/0"]),
        (json!({ "kind": "matrix", "dimensions": [{ "name": " ", "field": "kind" }] }), vec!["/dimensions/0/name"]),
        (json!({ "kind": "matrix", "dimensions": [{ "name": "x", "field": "number" }] }), vec!["/dimensions/0/field"]),
        (
            json!({ "kind": "matrix", "dimensions": [{ "name": "x", "field": "kind", "limits": ["1"] }] }),
            vec!["/dimensions/0/limits"],
        ),
        (
            json!({ "kind": "matrix", "dimensions": [{ "name": "x", "field": "kind", "sum": "balance" }] }),
            vec!["/dimensions/0/sum"],
        ),
        (json!({ "kind": "matrix", "dimensions": [limits(&["1"])] }), vec!["/dimensions/0/field"]),
        (json!({ "kind": "matrix", "dimensions": [sums(&[])] }), vec!["/dimensions/0/limits"]),
        (json!({ "kind": "matrix", "dimensions": [sums(&["1.00 CNY", "x"])] }), vec!["/dimensions/0/limits/1"]),
        (json!({ "kind": "matrix", "dimensions": [sums(&["2.00 CNY", "1.00 CNY"])] }), vec!["/dimensions/0/limits/1"]),
        (json!({ "kind": "matrix", "dimensions": [sums(&["1.00 CNY", "2.00 USD"])] }), vec!["/dimensions/0/limits/1"]),
        (
            json!({ "kind": "matrix", "dimensions": [{ "name": "x", "some": "accounts", "limits": ["1"] }] }),
            vec!["/dimensions/0/sum"],
        ),
        (
            json!({ "kind": "matrix", "dimensions": [parts(is("nonsense", "equals", &["x"]))] }),
            vec!["/dimensions/0/parts/0/rule/field"],
        ),
        (json!({ "kind": "matrix", "dimensions": [parts(json!({ "some": "groups" }))] }), vec!["/dimensions/0/parts/0/rule"]),
        (json!({ "kind": "matrix", "dimensions": many }), vec!["/dimensions"]),
    ] {
        let mut wrong = body.clone();
        wrong["name"] = json!("x");
        assert_eq!(admin.post("/v1/groups", wrong).await.pointers(422), pointers, "{body}");
    }
    assert_eq!(admin.get("/v1/groups?include_total=true").await.expect(200)["total"], 0);
}

/// Deposits by kind, and whose name begins with a letter.
fn dimensions() -> Value {
    json!([
        { "name": "deposits", "some": "accounts", "sum": "balance", "limits": ["100.00 CNY", "1000.00 CNY"] },
        { "name": "kind", "field": "kind" },
        { "name": "number", "parts": [{ "name": "all", "rule": is("number", "starts_with", &["C"]) },
            { "name": "never", "rule": is("kind", "equals", &["personal"]) }] },
    ])
}

async fn cells(admin: &Client<'_>, matrix: &Value, query: &str) -> BTreeMap<String, i64> {
    let found = admin.get(&format!("{}/matrix{query}", at("groups", matrix))).await.expect(200);
    let cells = found["cells"].as_array().unwrap();
    let parts: usize = found["dimensions"].as_array().unwrap().iter().map(|of| of["parts"].as_array().unwrap().len()).product();
    assert_eq!(cells.len(), parts);
    let count = |cell: &Value| cell["member_count"].as_i64().unwrap();
    assert_eq!(cells.iter().map(count).sum::<i64>(), found["member_count"].as_i64().unwrap());
    let name = |cell: &Value| cell["parts"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("|");
    cells.iter().filter(|cell| count(cell) > 0).map(|cell| (name(cell), count(cell))).collect()
}

async fn a_matrix_divides_everybody(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    for (name, balance) in [("Ann", "99.99"), ("Bob", "100.00"), ("Cy", "999.99"), ("Dan", "1000.00"), ("Eve", "-5.00")] {
        with_account(&admin, &ids, name, balance).await;
    }
    customer(&admin, "Without", &ids["B"]).await;
    admin.post("/v1/customers", json!({ "kind": "corporate", "organisation": { "legal_name": "Ltd" } })).await.expect(201);
    let matrix = json!({ "name": "M", "kind": "matrix", "dimensions": dimensions() });
    let matrix = admin.post("/v1/groups", matrix).await.expect(201);
    sweep(&app);
    let wanted = [
        ("100.00 CNY to below 1000.00 CNY|personal|all", 2),
        ("below 100.00 CNY|corporate|all", 1),
        ("below 100.00 CNY|personal|all", 3),
        ("from 1000.00 CNY|personal|all", 1),
    ];
    let wanted: BTreeMap<String, i64> = wanted.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(cells(&admin, &matrix, "").await, wanted);
    // The cells are groups below the matrix; each customer is in one of them.
    let below = admin.get(&format!("/v1/groups?parent_id={}&limit=200", text(&matrix["id"]))).await.expect(200);
    let below = below["items"].as_array().unwrap();
    let rich = below.iter().find(|cell| cell["cell"]["parts"][0] == "from 1000.00 CNY" && cell["cell"]["parts"][1] == "personal");
    let rich = rich.unwrap();
    assert_eq!((&rich["kind"], &rich["cell"]["matrix"]["id"], &rich["rule"]), (&json!("dynamic"), &matrix["id"], &Value::Null));
    assert_eq!(names(&admin, rich, "").await, ["Dan"]);
    let totals = admin.get(&format!("{}/totals?below=true", at("groups", &matrix))).await.expect(200);
    assert_eq!((&totals["group_count"], &totals["totals"]["customer_count"]), (&json!(1 + below.len()), &json!(7)), "{totals}");
    // Those of whom something is written change their cells, the others stay.
    account(&admin, "Ann", "A", "5000.00").await;
    sweep(&app);
    assert_eq!(names(&admin, rich, "").await, ["Ann", "Dan"]);
    assert_eq!(admin.get(&format!("{}/matrix", at("groups", &matrix))).await.expect(200)["member_count"], 7);
    let version = rich["version"].as_i64().unwrap();
    for wrong in
        [json!({ "rule": is("kind", "equals", &["personal"]) }), json!({ "parent_ids": [] }), json!({ "branch_id": null })]
    {
        assert_eq!(admin.patch(&at("groups", rich), version, wrong).await.problem(409), "group_by_rule");
    }
    assert_eq!(admin.patch(&at("groups", rich), version, json!({ "name": "Gold" })).await.expect(200)["name"], "Gold");
    let close = json!({ "reason": "over", "end_members": true });
    let of_cell = format!("{}/close", at("groups", rich));
    assert_eq!(admin.command(&of_cell, version + 1, close.clone()).await.problem(409), "group_by_rule");
    let of_matrix = format!("{}/close", at("groups", &matrix));
    assert_eq!(admin.command(&of_matrix, 1, json!({ "reason": "over" })).await.problem(409), "group_has_members");
    admin.command(&of_matrix, 1, close).await.expect(200);
    let open = admin.get(&format!("/v1/groups?parent_id={}&status=active", text(&matrix["id"]))).await.expect(200);
    assert_eq!(open["items"], json!([]));
}

async fn a_matrix_is_divided_anew(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    for (name, balance) in [("Ann", "50.00"), ("Bob", "500.00"), ("Cy", "5000.00")] {
        with_account(&admin, &ids, name, balance).await;
    }
    let by = |limits: &[&str]| json!([{ "name": "d", "some": "accounts", "sum": "balance", "limits": limits }]);
    let rule = is("kind", "equals", &["personal"]);
    let matrix = json!({ "name": "M", "kind": "matrix", "rule": rule, "dimensions": by(&["100.00 CNY", "1000.00 CNY"]) });
    let matrix = admin.post("/v1/groups", matrix).await.expect(201);
    sweep(&app);
    let before = app.store.now().date();
    let first = admin.get(&format!("{}/matrix", at("groups", &matrix))).await.expect(200);
    app.store.clock().advance(Duration::from_secs(86_400));
    admin.patch(&at("groups", &matrix), 1, json!({ "dimensions": by(&["100.00 CNY"]), "rule": null })).await.expect(200);
    sweep(&app);
    let found = cells(&admin, &matrix, "").await;
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("below 100.00 CNY".to_owned(), 1), ("from 100.00 CNY".to_owned(), 2)]);
    // What stayed the same is the same group; what is no more is closed, and who was in it stays known.
    let second = admin.get(&format!("{}/matrix", at("groups", &matrix))).await.expect(200);
    assert_eq!(second["cells"][0]["group"]["id"], first["cells"][0]["group"]["id"]);
    let gone = admin.get(&format!("/v1/groups/{}", text(&first["cells"][2]["group"]["id"]))).await.expect(200);
    assert_eq!(gone["status"], "closed");
    assert_eq!(names(&admin, &gone, "").await, Vec::<String>::new());
    assert_eq!(names(&admin, &gone, &format!("&as_of={before}")).await, ["Cy"]);
}

async fn goes_with_merges_of_customers(app: App) {
    let app = still(app).await;
    let admin = administrator(&app);
    let ids = bank(&admin).await;
    let (ann, other) = (with_account(&admin, &ids, "Ann", "600.00").await, with_account(&admin, &ids, "Anna", "600.00").await);
    let made = dynamic(&admin, "Rich", rich()).await;
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, Vec::<String>::new());
    let (ann, other) = (json!({ "id": ann }), json!({ "id": other }));
    let merged = merge(&admin, &ann, &[&other]).await;
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, ["Ann"]);
    revert(&admin, &merged).await;
    sweep(&app);
    assert_eq!(names(&admin, &made, "").await, Vec::<String>::new());
    assert!(version(&admin, &ann).await > 1);
}

async fn an_interrupted_refresh_loses_and_doubles_nothing(app: App) {
    const PEOPLE: usize = 5_000;
    let admin = administrator(&app);
    bank(&admin).await;
    let made = dynamic(&admin, "Everybody", is("kind", "equals", &["personal"])).await;
    app.run_jobs();
    let person = |n: usize| json!({ "source_id": n.to_string(), "full_name": format!("Person {n}"), "branch_code": "A" });
    let records: Vec<CustomerRecord> = (0..PEOPLE).map(|n| serde_json::from_value(person(n)).unwrap()).collect();
    let write = move |tx: &mut Tx<'_>| customers::apply(tx, &Actor::system(), &Source::new("core"), &records);
    assert_eq!(app.store.write_blocking(write).unwrap().len(), PEOPLE);
    let job = admin.post(&format!("{}/refresh", at("groups", &made)), json!({ "full": true })).await.expect(202);
    let store = app.store.clone();
    let worker = std::thread::spawn(move || Runner::default().with(by_rule::JOB_KIND, by_rule::handler()).run_one(&store));
    app.interrupt_job();
    worker.join().unwrap().unwrap();
    app.run_jobs();
    let job = admin.get(&format!("/v1/jobs/{}", text(&job["id"]))).await.expect(200);
    assert_eq!(job["state"], "done");
    let members = admin.get(&format!("{}/members?include_total=true&limit=1", at("groups", &made))).await.expect(200);
    assert_eq!(members["total"], PEOPLE);
    let all = admin.get(&format!("{}/members?include_total=true&limit=1&all=true", at("groups", &made))).await.expect(200);
    assert_eq!(all["total"], PEOPLE);
}
