//! `/v1/groups/{id}/members` and what groups share

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_merge::{merge, revert, version},
    group::{group, join},
    support::{
        App, Client,
        bank::{self, at},
        customers::{branches, company, path, person},
    },
};

both_databases!(
    joins_and_leaves,
    as_of_is_what_the_events_tell,
    never_overlaps,
    never_overlaps_for_crossing_writers,
    refuses_what_cannot_be,
    shows_whom_the_caller_sees,
    households_have_one_primary_member,
    goes_with_merges_of_customers,
    what_is_erased_leaves,
    tells_what_groups_share
);

fn members(group: &Value) -> String {
    format!("{}/members", at("groups", group))
}

fn leave(group: &Value) -> String {
    format!("{}/end-members", at("groups", group))
}

/// The names of the members of a group on a day.
async fn names(client: &Client<'_>, group: &Value, query: &str) -> Vec<String> {
    let page = client.get(&format!("{}?include_total=true{query}", members(group))).await.expect(200);
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["total"], items.len());
    let mut names: Vec<String> = items.iter().map(|item| item["customer"]["label"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn joins_and_leaves(app: App) {
    let admin = app.role("administrator");
    let (one, two) = (person(&admin, "One", None).await, person(&admin, "Two", None).await);
    let group = group(&admin, "Savers", "static").await;
    let body = json!({ "members": [{ "customer_id": one["id"] }, { "customer_id": two["id"] }], "valid_from": "2024-01-01",
        "reason": "asked for it", "source": "import" });
    let made = admin.post(&members(&group), body).await.expect(200);
    assert_eq!((&made["changed_count"], &made["group_id"]), (&json!(2), &group["id"]));
    let first = &made["members"][0];
    assert_eq!(
        (&first["customer"]["label"], &first["role"], &first["source"]),
        (&json!("One"), &json!("member"), &json!("import"))
    );
    assert_eq!((&first["reason"], &first["primary"], &first["valid_to"]), (&json!("asked for it"), &json!(false), &Value::Null));
    assert_eq!(names(&admin, &group, "").await, ["One", "Two"]);
    assert_eq!(names(&admin, &group, "&as_of=2023-12-31").await, Vec::<String>::new());
    let end = json!({ "customer_ids": [one["id"]], "valid_to": "2024-06-01", "reason": "moved away" });
    let ended = admin.post(&leave(&group), end.clone()).await.expect(200);
    assert_eq!((&ended["changed_count"], &ended["members"][0]["valid_to"]), (&json!(1), &json!("2024-06-01")));
    assert_eq!((&ended["members"][0]["end_reason"], &ended["members"][0]["version"]), (&json!("moved away"), &json!(2)));
    assert_eq!(names(&admin, &group, "").await, ["Two"]);
    assert_eq!(names(&admin, &group, "&as_of=2024-05-31").await, ["One", "Two"]);
    assert_eq!(names(&admin, &group, "&as_of=2024-06-01").await, ["Two"]);
    assert_eq!(names(&admin, &group, "&all=true").await, ["One", "Two"]);
    assert_eq!(admin.post(&leave(&group), end).await.pointers(422), ["/customer_ids/0"]);
    let of = format!("&all=true&customer_id={}", one["id"].as_str().unwrap());
    assert_eq!(names(&admin, &group, &of).await, ["One"]);
    assert_eq!(admin.get(&format!("{}?all=true&as_of=2024-01-01", members(&group))).await.problem(400), "malformed_request");
    // What would begin later never holds.
    let later = json!({ "members": [{ "customer_id": one["id"] }], "valid_from": "2999-01-01" });
    admin.post(&members(&group), later).await.expect(200);
    let never = json!({ "customer_ids": [one["id"]], "reason": "not after all" });
    assert_eq!(admin.post(&leave(&group), never).await.expect(200)["members"][0]["valid_to"], "2999-01-01");
    assert_eq!(names(&admin, &group, "&as_of=2999-06-01").await, ["Two"]);
    let told = admin.get(&path(&one, "/timeline?kind=group")).await.expect(200);
    let kinds: Vec<&Value> = told["items"].as_array().unwrap().iter().map(|item| &item["event"]).collect();
    assert_eq!(kinds.len(), 4, "{told}");
}

/// Who was in on a day is what the events up to then leave.
async fn as_of_is_what_the_events_tell(app: App) {
    let admin = app.role("administrator");
    let group = group(&admin, "Savers", "static").await;
    let mut people = Vec::new();
    for n in 0..4 {
        people.push(person(&admin, &format!("P{n}"), None).await);
    }
    // A walk through days, the same for both databases.
    let mut state = 7_u64;
    let mut inside: Vec<bool> = vec![false; people.len()];
    let mut history: Vec<(String, BTreeSet<String>)> = Vec::new();
    for n in 1..=28 {
        let day = format!("2024-02-{n:02}");
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let who = usize::try_from(state >> 33).unwrap() % people.len();
        let id = &people[who]["id"];
        if inside[who] {
            let body = json!({ "customer_ids": [id], "valid_to": day, "reason": "out" });
            admin.post(&leave(&group), body).await.expect(200);
        } else {
            let body = json!({ "members": [{ "customer_id": id }], "valid_from": day });
            admin.post(&members(&group), body).await.expect(200);
        }
        inside[who] = !inside[who];
        let present = inside.iter().zip(&people).filter(|(is, _)| **is);
        history.push((day, present.map(|(_, one)| one["display_name"].as_str().unwrap().to_owned()).collect()));
    }
    for (day, expected) in history {
        let found: BTreeSet<String> = names(&admin, &group, &format!("&as_of={day}")).await.into_iter().collect();
        assert_eq!(found, expected, "{day}");
    }
}

async fn never_overlaps(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    let group = group(&admin, "Savers", "static").await;
    let from =
        |from: &str, to: Option<&str>| json!({ "members": [{ "customer_id": one["id"] }], "valid_from": from, "valid_to": to });
    let made = admin.post(&members(&group), from("2024-03-01", Some("2024-06-01"))).await.expect(200);
    for (begin, end) in
        [("2024-01-01", None), ("2024-05-31", None), ("2024-03-01", Some("2024-03-02")), ("2024-01-01", Some("2024-03-02"))]
    {
        let refused = admin.post(&members(&group), from(begin, end)).await.problem_body(409);
        assert_eq!(
            (&refused["code"], &refused["obstacles"][0]["id"]),
            (&json!("membership_overlaps"), &made["members"][0]["id"])
        );
    }
    admin.post(&members(&group), from("2024-01-01", Some("2024-03-01"))).await.expect(200);
    admin.post(&members(&group), from("2024-06-01", None)).await.expect(200);
    assert_eq!(names(&admin, &group, "&all=true").await.len(), 3);
    for day in ["2024-02-29", "2024-03-01", "2024-05-31", "2024-06-01"] {
        assert_eq!(names(&admin, &group, &format!("&as_of={day}")).await, ["One"], "{day}");
    }
}

async fn never_overlaps_for_crossing_writers(app: App) {
    let admin = app.role("administrator");
    let group = group(&admin, "Savers", "static").await;
    for n in 0..5 {
        let one = person(&admin, &format!("P{n}"), None).await;
        let path = members(&group);
        let early = json!({ "members": [{ "customer_id": one["id"] }], "valid_from": "2024-01-01", "valid_to": "2024-07-01" });
        let late = json!({ "members": [{ "customer_id": one["id"] }], "valid_from": "2024-06-01", "valid_to": "2024-12-01" });
        let answers = join_all([admin.post(&path, early), admin.post(&path, late)]).await;
        let mut told: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        told.sort_unstable();
        assert_eq!(told, [200, 409]);
    }
}

async fn refuses_what_cannot_be(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "One", None).await;
    let group = group(&admin, "Savers", "static").await;
    let id = &one["id"];
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (wrong, pointer) in [
        (json!({ "members": [] }), "/members"),
        (json!({ "members": [{ "customer_id": nobody }] }), "/members/0/customer_id"),
        (json!({ "members": [{ "customer_id": id }, { "customer_id": id }] }), "/members/1/customer_id"),
        (json!({ "members": [{ "customer_id": id, "role": "head" }] }), "/members/0/role"),
        (json!({ "members": [{ "customer_id": id, "primary": true }] }), "/members/0/primary"),
        (json!({ "members": [{ "customer_id": id }], "valid_from": "2024-01-01", "valid_to": "2024-01-01" }), "/valid_to"),
        (json!({ "members": [{ "customer_id": id }], "source": "rule" }), "/source"),
    ] {
        assert_eq!(admin.post(&members(&group), wrong).await.pointers(422), [pointer]);
    }
    let end = json!({ "customer_ids": [id, id], "reason": "x" });
    assert_eq!(admin.post(&leave(&group), end).await.pointers(422), ["/customer_ids/1"]);
    assert_eq!(admin.post(&leave(&group), json!({ "customer_ids": [id] })).await.pointers(422), ["/reason"]);
    assert_eq!(names(&admin, &group, "&all=true").await, Vec::<String>::new());
}

async fn shows_whom_the_caller_sees(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let owner = bank::person(&admin, "E-1", &ids["SH"], &["marketer"]).await;
    let body = json!({ "name": "Savers", "kind": "static", "owner_id": owner["id"] });
    let group = admin.post("/v1/groups", body).await.expect(201);
    let (near, far) = (person(&admin, "Near", Some(&ids["SH-1"])).await, person(&admin, "Far", Some(&ids["BJ"])).await);
    join(&admin, &group, &[&near, &far]).await;
    assert_eq!(names(&admin, &group, "").await, ["Far", "Near"]);
    let marketer = app.role_at("marketer", "SH");
    assert_eq!(names(&marketer, &group, "").await, ["Near"]);
    let other = person(&admin, "Other", Some(&ids["BJ"])).await;
    let body = json!({ "members": [{ "customer_id": other["id"] }] });
    assert_eq!(marketer.post(&members(&group), body).await.pointers(422), ["/members/0/customer_id"]);
    let end = json!({ "customer_ids": [far["id"]], "reason": "x" });
    assert_eq!(marketer.post(&leave(&group), end).await.pointers(422), ["/customer_ids/0"]);
    let teller = app.role_at("teller", "SH");
    let body = json!({ "members": [{ "customer_id": near["id"] }] });
    assert_eq!(teller.post(&members(&group), body).await.problem(403), "forbidden");
    let shared = marketer.get(&format!("{}/overlap", at("groups", &group))).await.expect(200);
    assert_eq!(shared["member_count"], 1);
}

async fn households_have_one_primary_member(app: App) {
    let admin = app.role("administrator");
    let (wife, husband, firm) =
        (person(&admin, "Wife", None).await, person(&admin, "Husband", None).await, company(&admin, "Firm").await);
    let home = group(&admin, "Home", "household").await;
    let member = |customer: &Value, role: &str, from: &str, to: Option<&str>| json!({ "members": [{ "customer_id": customer["id"], "role": role, "primary": true }], "valid_from": from, "valid_to": to });
    admin.post(&members(&home), member(&wife, "head", "2024-01-01", Some("2024-06-01"))).await.expect(200);
    let early = member(&husband, "spouse", "2024-05-01", None);
    assert_eq!(admin.post(&members(&home), early).await.problem(409), "primary_member_exists");
    admin.post(&members(&home), member(&husband, "head", "2024-06-01", None)).await.expect(200);
    let two =
        json!({ "members": [{ "customer_id": wife["id"], "primary": true }, { "customer_id": firm["id"], "primary": true }] });
    assert_eq!(admin.post(&members(&home), two).await.pointers(422), ["/members/1/primary"]);
    let role = json!({ "members": [{ "customer_id": firm["id"], "role": "subsidiary" }] });
    assert_eq!(admin.post(&members(&home), role.clone()).await.pointers(422), ["/members/0/role"]);
    let group = group(&admin, "Firms", "corporate_group").await;
    admin.post(&members(&group), role).await.expect(200);
}

async fn goes_with_merges_of_customers(app: App) {
    let steward = app.role("data_steward");
    let admin = app.role("administrator");
    // The newer record is the one that gives the name.
    let (other, one) = (person(&admin, "Other", None).await, person(&admin, "One", None).await);
    let (both, only) = (group(&admin, "Both", "household").await, group(&admin, "Only", "static").await);
    join(&admin, &only, &[&other]).await;
    // The absorbed was in earlier, and is the primary member; the survivor has a membership in some of these days.
    let early = json!({ "members": [{ "customer_id": other["id"], "primary": true }], "valid_from": "2024-01-01" });
    admin.post(&members(&both), early).await.expect(200);
    let late = json!({ "members": [{ "customer_id": one["id"] }], "valid_from": "2024-06-01" });
    admin.post(&members(&both), late).await.expect(200);
    let merged = merge(&steward, &one, &[&other]).await;
    assert_eq!(names(&admin, &only, "").await, ["One"]);
    assert_eq!(names(&admin, &both, "").await, ["One"], "once, though two memberships hold");
    assert_eq!(names(&admin, &both, "&as_of=2024-03-01").await, ["One"], "what was held back is the survivor's");
    assert_eq!(names(&admin, &both, "&all=true").await, ["One", "One"]);
    let of = format!("&as_of=2024-03-01&customer_id={}", one["id"].as_str().unwrap());
    assert_eq!(names(&admin, &both, &of).await, ["One"]);
    let again = json!({ "members": [{ "customer_id": one["id"] }], "valid_from": "2024-02-01", "valid_to": "2024-03-01" });
    assert_eq!(admin.post(&members(&both), again).await.problem(409), "membership_overlaps");
    let absorbed = json!({ "members": [{ "customer_id": other["id"] }] });
    assert_eq!(admin.post(&members(&both), absorbed).await.pointers(422), ["/members/0/customer_id"]);
    revert(&steward, &merged).await;
    assert_eq!(names(&admin, &only, "").await, ["Other"]);
    assert_eq!(names(&admin, &both, "").await, ["One", "Other"]);
    // To end it ends what both records have.
    merge(&steward, &one, &[&other]).await;
    let end = json!({ "customer_ids": [one["id"]], "reason": "out" });
    assert_eq!(admin.post(&leave(&both), end).await.expect(200)["changed_count"], 2);
    assert_eq!(names(&admin, &both, "").await, Vec::<String>::new());
}

async fn what_is_erased_leaves(app: App) {
    let admin = app.role("administrator");
    let officer = app.role("privacy_officer").with("X-Purpose", "request of the customer");
    let (one, other) = (person(&admin, "One", None).await, person(&admin, "Other", None).await);
    let group = group(&admin, "Savers", "static").await;
    join(&admin, &group, &[&one, &other]).await;
    let erase = json!({ "reason": "request of the customer" });
    officer.command(&path(&one, "/privacy/erasure"), version(&admin, &one).await, erase).await.expect(200);
    assert_eq!(names(&admin, &group, "").await, ["Other"]);
    assert_eq!(names(&admin, &group, "&all=true").await, ["Other"]);
    assert_eq!(admin.get(&format!("{}/overlap", at("groups", &group))).await.expect(200)["member_count"], 1);
}

async fn tells_what_groups_share(app: App) {
    let admin = app.role("administrator");
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(person(&admin, &format!("P{n}"), None).await);
    }
    let of = |from: usize, to: usize| people[from..to].iter().collect::<Vec<_>>();
    let (a, b, c, d) = (
        group(&admin, "A", "static").await,
        group(&admin, "B", "static").await,
        group(&admin, "C", "static").await,
        group(&admin, "D", "static").await,
    );
    join(&admin, &a, &of(0, 4)).await;
    join(&admin, &b, &of(3, 5)).await;
    join(&admin, &c, &of(0, 3)).await;
    join(&admin, &d, &of(4, 5)).await;
    let overlap = format!("{}/overlap", at("groups", &a));
    let found = admin.get(&overlap).await.expect(200);
    let shape = |found: &Value| -> Vec<(String, i64, i64, i64, i64)> {
        let number = |group: &Value, name: &str| group[name].as_i64().unwrap();
        let of = |group: &Value| {
            let label = group["group"]["label"].as_str().unwrap().to_owned();
            let numbers = ["member_count", "shared_count", "share_bp", "other_share_bp"].map(|name| number(group, name));
            (label, numbers[0], numbers[1], numbers[2], numbers[3])
        };
        found["groups"].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!((&found["member_count"], &found["truncated"]), (&json!(4), &json!(false)));
    assert_eq!(shape(&found), [("C".into(), 3, 3, 7_500, 10_000), ("B".into(), 2, 1, 2_500, 5_000)]);
    let ids = |group: &Value| group["id"].as_str().unwrap().to_owned();
    let only = admin.get(&format!("{overlap}?other_id={}&other_id={}", ids(&b), ids(&d))).await.expect(200);
    assert_eq!(shape(&only), [("B".into(), 2, 1, 2_500, 5_000)]);
    assert_eq!(shape(&admin.get(&format!("{overlap}?as_of=2020-01-01")).await.expect(200)), []);
    let unknown = admin.get(&format!("{overlap}?other_id=01890a5d-ac96-774b-bcce-b302099a8057")).await;
    assert_eq!(unknown.problem(400), "malformed_request");
}
