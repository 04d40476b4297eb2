//! The feeds of branches and staff.

use kehu_kernel::{
    Actor,
    feed::{Outcome, Source},
};
use kehu_organization::feed::{BranchRecord, StaffRecord, branch, staff};
use serde_json::{Value, json};

use crate::{both_databases, support::App};

both_databases!(branches_in_any_order_and_again, staff_changes_leaves_and_returns, bad_records_stay_alone);

fn feed_branches(app: &App, records: Value) -> Vec<Outcome> {
    let records: Vec<BranchRecord> = serde_json::from_value(records).unwrap();
    app.store.write_blocking(move |tx| branch::apply(tx, &Actor::system(), &Source::new("core"), &records)).unwrap()
}

fn feed_staff(app: &App, records: Value) -> Vec<Outcome> {
    let records: Vec<StaffRecord> = serde_json::from_value(records).unwrap();
    app.store.write_blocking(move |tx| staff::apply(tx, &Actor::system(), &Source::new("core"), &records)).unwrap()
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Created(_) => "created",
        Outcome::Updated(_) => "updated",
        Outcome::Unchanged(_) => "unchanged",
        Outcome::Rejected(_) => "rejected",
        Outcome::Parked { .. } => "parked",
    }
}

fn words(outcomes: &[Outcome]) -> Vec<&'static str> {
    outcomes.iter().map(word).collect()
}

fn bank() -> Value {
    json!([
        { "code": "O1", "name": "Outlet", "level": "outlet", "parent_code": "P1" },
        { "code": "P1", "name": "Province", "level": "province_branch", "parent_code": "HO" },
        { "code": "P2", "name": "Province", "level": "province_branch", "parent_code": "HO" },
        { "code": "HO", "name": "Bank", "level": "head_office" },
        { "code": "O2", "name": "Orphan", "level": "outlet", "parent_code": "P9" },
    ])
}

async fn branches_in_any_order_and_again(app: App) {
    let first = feed_branches(&app, bank());
    assert_eq!(words(&first), ["created", "created", "created", "created", "parked"]);
    assert_eq!(first[4], Outcome::Parked { waiting_for: "branch:core:P9".into() });
    assert_eq!(words(&feed_branches(&app, bank())), ["unchanged", "unchanged", "unchanged", "unchanged", "parked"]);
    let moved = json!([{ "code": "O1", "parent_code": "P2", "region": "East" }]);
    assert_eq!(words(&feed_branches(&app, moved.clone())), ["updated"]);
    assert_eq!(words(&feed_branches(&app, moved)), ["unchanged"]);
    let tree = app.role("administrator").get("/v1/branches?below=P2").await.expect(200);
    assert_eq!((&tree["items"][1]["path"], &tree["items"][1]["name"]), (&json!("HO.P2.O1."), &json!("Outlet")));
}

async fn staff_changes_leaves_and_returns(app: App) {
    feed_branches(&app, bank());
    let joins = json!([{ "employee_no": "E1", "name": "One", "branch_code": "P1", "roles": ["teller"] }]);
    assert_eq!(words(&feed_staff(&app, joins.clone())), ["created"]);
    assert_eq!(words(&feed_staff(&app, joins)), ["unchanged"]);
    let leaves = json!([{ "employee_no": "E1", "title": "Former teller", "status": "inactive" }]);
    assert_eq!(words(&feed_staff(&app, leaves)), ["updated"]);
    let admin = app.role("administrator");
    let found = admin.get("/v1/staff?employee_no=E1").await.expect(200);
    let one = &found["items"][0];
    assert_eq!(
        (&one["status"], &one["deactivation_reason"], &one["name"]),
        (&json!("inactive"), &json!("told by core"), &json!("One"))
    );
    assert_eq!(words(&feed_staff(&app, json!([{ "employee_no": "E1", "status": "active" }]))), ["updated"]);
    let back = admin.get("/v1/staff?employee_no=E1").await.expect(200);
    assert_eq!(back["items"][0]["deactivated_at"], Value::Null);
}

async fn bad_records_stay_alone(app: App) {
    let found = feed_branches(
        &app,
        json!([
            { "code": "HO", "name": "Bank", "level": "head_office" },
            { "code": "a b", "name": "Space", "level": "outlet", "parent_code": "HO" },
            { "code": "X", "parent_code": "HO" },
            { "code": "R", "name": "Rootless", "level": "outlet" },
            { "code": "P", "name": "Good", "level": "province_branch", "parent_code": "HO" },
        ]),
    );
    assert_eq!(words(&found), ["created", "rejected", "rejected", "rejected", "created"]);
    let pointers = |outcome: &Outcome| match outcome {
        Outcome::Rejected(broken) => broken.iter().map(|fault| fault.pointer.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pointers(&found[1]), ["/code"]);
    assert_eq!(pointers(&found[2]), ["/name", "/level"]);
    assert_eq!(pointers(&found[3]), ["/parent_code"]);
    let people = feed_staff(
        &app,
        json!([
            { "employee_no": "E1", "name": "One", "branch_code": "NOWHERE" },
            { "employee_no": "E2", "name": "Two", "branch_code": "HO", "roles": ["king"] },
            { "employee_no": "E3", "name": "Three", "branch_code": "HO" },
        ]),
    );
    assert_eq!(words(&people), ["parked", "rejected", "created"]);
    assert_eq!(pointers(&people[1]), ["/roles/0"]);
}
