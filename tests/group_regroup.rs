//! Splitting and merging groups

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    both_databases,
    group::{group, join},
    segmentation::{merge_of, paying, saving, split_of},
    support::{
        App, Client,
        bank::{self, at},
        customers::{branches, person},
    },
};

both_databases!(
    a_split_that_is_merged_again_restores_membership,
    wants_an_evaluation_of_the_step_and_a_purpose,
    refuses_what_cannot_be_split,
    refuses_what_cannot_be_merged,
    keeps_who_is_in_both_once,
    keeps_roles_and_one_primary_member,
    splits_at_the_same_time_do_not_lose_anybody,
    is_done_by_those_who_reach_everybody,
    tells_where_groups_came_from
);

async fn evaluation(client: &Client<'_>, body: Value) -> Value {
    client.post("/v1/segmentation-evaluations", body).await.expect(201)["id"].clone()
}

async fn version(client: &Client<'_>, group: &Value) -> i64 {
    client.get(&at("groups", group)).await.expect(200)["version"].as_i64().unwrap()
}

/// Who is in a group on a day and as what, by name.
async fn members(client: &Client<'_>, group: &Value, query: &str) -> BTreeMap<String, (Value, Value)> {
    let page = client.get(&format!("{}/members?limit=200{query}", at("groups", group))).await.expect(200);
    let of =
        |item: &Value| (item["customer"]["label"].as_str().unwrap().to_owned(), (item["role"].clone(), item["primary"].clone()));
    page["items"].as_array().unwrap().iter().map(of).collect()
}

fn ids(customers: &[&Value]) -> Vec<Value> {
    customers.iter().map(|customer| customer["id"].clone()).collect()
}

fn new_group(name: &str, customers: &[&Value]) -> Value {
    json!({ "new_group": { "name": name, "kind": "static" }, "customer_ids": ids(customers) })
}

async fn people(client: &Client<'_>, count: usize) -> Vec<Value> {
    let mut people = Vec::new();
    for n in 0..count {
        people.push(person(client, &format!("P{n}"), None).await);
    }
    people
}

/// The law: split, then merge what came of it, and everybody is where they were, today and on every day before.
async fn a_split_that_is_merged_again_restores_membership(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 6).await;
    let whole = group(&admin, "Whole", "static").await;
    let early = json!({ "members": ids(&[&all[0], &all[1]]).iter().map(|id| json!({ "customer_id": id })).collect::<Vec<_>>(),
        "valid_from": "2024-01-01" });
    admin.post(&format!("{}/members", at("groups", &whole)), early).await.expect(200);
    let late = json!({ "members": [{ "customer_id": all[5]["id"] }], "valid_from": "2999-01-01" });
    admin.post(&format!("{}/members", at("groups", &whole)), late).await.expect(200);
    let bounded = json!({ "members": [{ "customer_id": all[4]["id"] }], "valid_to": "2998-01-01" });
    admin.post(&format!("{}/members", at("groups", &whole)), bounded).await.expect(200);
    join(&admin, &whole, &[&all[2], &all[3]]).await;
    let days = ["", "&as_of=2024-01-01", "&as_of=2023-12-31", "&as_of=2997-12-31", "&as_of=2998-01-01", "&as_of=2999-06-01"];
    let mut before = Vec::new();
    for day in days {
        before.push(members(&admin, &whole, day).await);
    }
    let forecast = evaluation(&admin, split_of(&whole, paying())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "a plan for each",
        "targets": [new_group("One", &[&all[0], &all[2], &all[5]]), new_group("Two", &[&all[1], &all[4]])] });
    let done = admin.command(&format!("{}/split", at("groups", &whole)), 1, body).await.expect(200);
    assert_eq!(
        (&done["operation"], &done["decision"], &done["decided_by"]),
        (&json!("split"), &json!("split"), &json!("test-administrator"))
    );
    assert_eq!((&done["sources"][0]["member_count"], &done["purpose"]), (&json!(5), &json!("a plan for each")));
    let parts: Vec<Value> = done["targets"].as_array().unwrap().iter().map(|target| target["group"].clone()).collect();
    assert_eq!(members(&admin, &whole, "").await.into_keys().collect::<Vec<_>>(), ["P3"]);
    assert_eq!(members(&admin, &parts[0], "").await.into_keys().collect::<Vec<_>>(), ["P0", "P2"]);
    assert_eq!(members(&admin, &parts[0], "&as_of=2999-06-01").await.into_keys().collect::<Vec<_>>(), ["P0", "P2", "P5"]);
    assert_eq!(members(&admin, &parts[1], "&as_of=2998-01-01").await.into_keys().collect::<Vec<_>>(), ["P1"]);
    // The past stays where it was.
    assert_eq!(members(&admin, &whole, "&as_of=2024-01-01").await, before[1]);
    assert!(members(&admin, &parts[0], "&as_of=2024-01-01").await.is_empty());
    let mut forecast = merge_of(&whole, &parts[0], saving());
    forecast["source_groups"] = json!([whole["id"], parts[0]["id"], parts[1]["id"]]);
    let forecast = evaluation(&admin, forecast).await;
    let sources: Vec<Value> = parts.iter().map(|part| json!({ "group_id": part["id"], "version": 1 })).collect();
    let body = json!({ "evaluation_id": forecast, "purpose": "one plan again", "sources": sources });
    let path = format!("{}/merge", at("groups", &whole));
    let done = admin.command(&path, version(&admin, &whole).await, body).await.expect(200);
    assert_eq!((&done["operation"], &done["targets"][0]["member_count"]), (&json!("merge"), &json!(5)));
    for (day, before) in days.iter().zip(before) {
        assert_eq!(members(&admin, &whole, day).await, before, "{day}");
    }
    for part in &parts {
        let closed = admin.get(&at("groups", part)).await.expect(200);
        assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("one plan again")));
        assert!(members(&admin, part, "").await.is_empty());
    }
    let history = admin.get(&format!("{}/members?all=true&limit=200", at("groups", &whole))).await.expect(200);
    let of = |source: &str| history["items"].as_array().unwrap().iter().filter(|item| item["source"] == source).count();
    assert_eq!((of("manual"), of("merge")), (6, 5));
}

async fn wants_an_evaluation_of_the_step_and_a_purpose(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 2).await;
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    join(&admin, &one, &[&all[0], &all[1]]).await;
    let split = evaluation(&admin, split_of(&one, paying())).await;
    let foreign = evaluation(&admin, split_of(&other, paying())).await;
    let merge = evaluation(&admin, merge_of(&one, &other, saving())).await;
    let mut actual = split_of(&one, paying());
    (actual["phase"], actual["forecast_id"]) = (json!("actual"), split.clone());
    let actual = evaluation(&admin, actual).await;
    let path = format!("{}/split", at("groups", &one));
    let with = |evaluation: Value, purpose: Value| json!({ "evaluation_id": evaluation, "purpose": purpose, "targets": [new_group("New", &[&all[0]])] });
    for (evaluation, code) in [
        (json!("01890a5d-ac96-774b-bcce-b302099a8057"), "unknown_evaluation"),
        (foreign, "about_other_groups"),
        (merge.clone(), "another_kind"),
        (actual, "not_a_forecast"),
    ] {
        let refused = admin.command(&path, 1, with(evaluation, json!("x"))).await.problem_body(422);
        assert_eq!((&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]), (&json!("/evaluation_id"), &json!(code)));
    }
    let mut without = with(split.clone(), json!("x"));
    without.as_object_mut().unwrap().remove("evaluation_id");
    assert_eq!(admin.command(&path, 1, without).await.pointers(422), ["/evaluation_id"]);
    let mut without = with(split.clone(), json!("x"));
    without.as_object_mut().unwrap().remove("purpose");
    assert_eq!(admin.command(&path, 1, without).await.pointers(422), ["/purpose"]);
    assert_eq!(admin.command(&path, 1, with(split.clone(), json!(" "))).await.pointers(422), ["/purpose"]);
    assert_eq!(admin.post(&path, with(split.clone(), json!("x"))).await.problem(428), "precondition_required");
    assert_eq!(admin.command(&path, 7, with(split.clone(), json!("x"))).await.problem(412), "precondition_failed");
    let merge_path = format!("{}/merge", at("groups", &one));
    let sources = json!([{ "group_id": other["id"], "version": 1 }]);
    let body = json!({ "evaluation_id": split, "purpose": "x", "sources": sources });
    assert_eq!(admin.command(&merge_path, 1, body).await.pointers(422), ["/evaluation_id"]);
    let body = json!({ "evaluation_id": merge, "sources": sources });
    assert_eq!(admin.command(&merge_path, 1, body).await.pointers(422), ["/purpose"]);
    // Nothing of all this left a trace.
    assert_eq!(admin.get("/v1/groups?include_total=true").await.expect(200)["total"], 2);
    assert_eq!(members(&admin, &one, "").await.len(), 2);
    assert_eq!(admin.get(&format!("{}/lineage", at("groups", &one))).await.expect(200)["outcome"], json!([]));
}

async fn refuses_what_cannot_be_split(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 3).await;
    let (one, home) = (group(&admin, "One", "static").await, group(&admin, "Home", "household").await);
    join(&admin, &one, &[&all[0], &all[1]]).await;
    let forecast = evaluation(&admin, split_of(&one, paying())).await;
    let path = format!("{}/split", at("groups", &one));
    let with = |targets: Value| json!({ "evaluation_id": forecast, "purpose": "x", "targets": targets });
    let to = |id: &Value, customer: &Value| json!([{ "group_id": id, "customer_ids": [customer["id"]] }]);
    let nobody = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    for (targets, pointer) in [
        (json!([]), "/targets"),
        (json!([new_group("New", &[&all[0]]), new_group("Newer", &[&all[0]])]), "/targets/1/customer_ids/0"),
        (json!([new_group("New", &[&all[2]])]), "/targets/0/customer_ids/0"),
        (json!([{ "new_group": { "name": "x", "kind": "static" }, "customer_ids": [nobody] }]), "/targets/0/customer_ids/0"),
        (
            json!([{ "new_group": { "name": "x", "kind": "household" }, "customer_ids": [all[0]["id"]] }]),
            "/targets/0/new_group/kind",
        ),
        (json!([{ "new_group": { "name": "", "kind": "static" }, "customer_ids": [all[0]["id"]] }]), "/targets/0/new_group/name"),
        (json!([{ "customer_ids": [all[0]["id"]] }]), "/targets/0"),
        (to(&one["id"], &all[0]), "/targets/0/group_id"),
        (to(&nobody, &all[0]), "/targets/0/group_id"),
        (to(&home["id"], &all[0]), "/targets/0/group_id"),
    ] {
        assert_eq!(admin.command(&path, 1, with(targets)).await.pointers(422), [pointer]);
    }
    let mut rest = with(json!([new_group("New", &[&all[0]])]));
    rest["close_source"] = json!(true);
    assert_eq!(admin.command(&path, 1, rest).await.problem(409), "group_has_members");
    let mut whole = with(json!([new_group("New", &[&all[0], &all[1]])]));
    whole["close_source"] = json!(true);
    admin.command(&path, 1, whole.clone()).await.expect(200);
    assert_eq!(admin.get(&at("groups", &one)).await.expect(200)["status"], "closed");
    assert_eq!(admin.command(&path, version(&admin, &one).await, whole).await.problem(409), "group_closed");
}

async fn refuses_what_cannot_be_merged(app: App) {
    let admin = app.role("administrator");
    let (one, other, home) =
        (group(&admin, "One", "static").await, group(&admin, "Other", "static").await, group(&admin, "Home", "household").await);
    let mut forecast = merge_of(&one, &other, saving());
    forecast["source_groups"] = json!([one["id"], other["id"], home["id"]]);
    let forecast = evaluation(&admin, forecast).await;
    let path = format!("{}/merge", at("groups", &one));
    let with = |id: &Value, version: i64| json!({ "evaluation_id": forecast, "purpose": "x", "sources": [{ "group_id": id, "version": version }] });
    let nobody = json!("01890a5d-ac96-774b-bcce-b302099a8057");
    for id in [&one["id"], &home["id"], &nobody] {
        assert_eq!(admin.command(&path, 1, with(id, 1)).await.pointers(422), ["/sources/0/group_id"]);
    }
    assert_eq!(admin.command(&path, 1, with(&other["id"], 3)).await.problem(412), "precondition_failed");
    let mut below = json!({ "name": "Below", "kind": "static" });
    below["parent_ids"] = json!([other["id"]]);
    admin.post("/v1/groups", below).await.expect(201);
    assert_eq!(admin.command(&path, 1, with(&other["id"], 1)).await.problem(409), "group_has_children");
    let mut kept = with(&other["id"], 1);
    kept["keep_sources"] = json!(true);
    admin.command(&path, 1, kept).await.expect(200);
    assert_eq!(admin.get(&at("groups", &other)).await.expect(200)["status"], "active");
}

async fn keeps_who_is_in_both_once(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 3).await;
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    join(&admin, &one, &[&all[0], &all[1]]).await;
    join(&admin, &other, &[&all[1], &all[2]]).await;
    let forecast = evaluation(&admin, merge_of(&one, &other, saving())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "x", "sources": [{ "group_id": other["id"], "version": 1 }] });
    let done = admin.command(&format!("{}/merge", at("groups", &one)), 1, body).await.expect(200);
    assert_eq!((&done["sources"][0]["member_count"], &done["targets"][0]["member_count"]), (&json!(2), &json!(1)));
    let page = admin.get(&format!("{}/members?all=true", at("groups", &one))).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 3, "{page}");
}

async fn keeps_roles_and_one_primary_member(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 3).await;
    let (one, other) = (group(&admin, "One", "household").await, group(&admin, "Other", "household").await);
    for (home, customer, role, primary) in
        [(&one, &all[0], "head", true), (&other, &all[1], "head", true), (&other, &all[2], "child", false)]
    {
        let body = json!({ "members": [{ "customer_id": customer["id"], "role": role, "primary": primary }] });
        admin.post(&format!("{}/members", at("groups", home)), body).await.expect(200);
    }
    let forecast = evaluation(&admin, merge_of(&one, &other, saving())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "x", "sources": [{ "group_id": other["id"], "version": 1 }] });
    admin.command(&format!("{}/merge", at("groups", &one)), 1, body).await.expect(200);
    let found: Vec<(String, Value, Value)> =
        members(&admin, &one, "").await.into_iter().map(|(name, (role, primary))| (name, role, primary)).collect();
    assert_eq!(
        found,
        [
            ("P0".into(), json!("head"), json!(true)),
            ("P1".into(), json!("head"), json!(false)),
            ("P2".into(), json!("child"), json!(false)),
        ]
    );
}

/// Two splits that send the same member to different groups: one is refused, and the member is in one group.
async fn splits_at_the_same_time_do_not_lose_anybody(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 2).await;
    let whole = group(&admin, "Whole", "static").await;
    join(&admin, &whole, &[&all[0], &all[1]]).await;
    let forecast = evaluation(&admin, split_of(&whole, paying())).await;
    let path = format!("{}/split", at("groups", &whole));
    let body = |name: &str| json!({ "evaluation_id": forecast, "purpose": "x", "targets": [new_group(name, &[&all[0]])] });
    let answers = join_all([admin.command(&path, 1, body("One")), admin.command(&path, 1, body("Other"))]).await;
    let mut told: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    told.sort_unstable();
    assert!(told == [200, 412] || told == [200, 422], "{told:?}");
    assert_eq!(members(&admin, &whole, "").await.into_keys().collect::<Vec<_>>(), ["P1"]);
    let of = format!("/v1/groups?customer_id={}", all[0]["id"].as_str().unwrap());
    assert_eq!(admin.get(&of).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn is_done_by_those_who_reach_everybody(app: App) {
    let admin = app.role("administrator");
    let branches = branches(&admin).await;
    let owner = bank::person(&admin, "E-1", &branches["SH"], &["marketer"]).await;
    let of = |name: &str| json!({ "name": name, "kind": "static", "owner_id": owner["id"] });
    let (one, other) =
        (admin.post("/v1/groups", of("One")).await.expect(201), admin.post("/v1/groups", of("Other")).await.expect(201));
    let (near, far) = (person(&admin, "Near", Some(&branches["SH"])).await, person(&admin, "Far", Some(&branches["BJ"])).await);
    join(&admin, &other, &[&near, &far]).await;
    let forecast = evaluation(&admin, merge_of(&one, &other, saving())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "x", "sources": [{ "group_id": other["id"], "version": 1 }] });
    let path = format!("{}/merge", at("groups", &one));
    let marketer = app.role_at("marketer", "SH");
    assert_eq!(marketer.command(&path, 1, body.clone()).await.problem(403), "forbidden");
    let split = evaluation(&admin, split_of(&other, paying())).await;
    let away = json!({ "evaluation_id": split, "purpose": "x", "targets": [new_group("New", &[&far])] });
    let refused = marketer.command(&format!("{}/split", at("groups", &other)), 1, away).await;
    assert_eq!(refused.pointers(422), ["/targets/0/customer_ids/0"]);
    admin.command(&path, 1, body).await.expect(200);
    assert_eq!(members(&marketer, &one, "").await.into_keys().collect::<Vec<_>>(), ["Near"]);
}

async fn tells_where_groups_came_from(app: App) {
    let admin = app.role("administrator");
    let all = people(&admin, 3).await;
    let whole = group(&admin, "Whole", "static").await;
    join(&admin, &whole, &[&all[0], &all[1], &all[2]]).await;
    let forecast = evaluation(&admin, split_of(&whole, paying())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "first", "targets": [new_group("Part", &[&all[0], &all[1]])] });
    let part =
        admin.command(&format!("{}/split", at("groups", &whole)), 1, body).await.expect(200)["targets"][0]["group"].clone();
    let forecast = evaluation(&admin, split_of(&part, paying())).await;
    let body = json!({ "evaluation_id": forecast, "purpose": "second", "targets": [new_group("Leaf", &[&all[0]])] });
    let leaf = admin.command(&format!("{}/split", at("groups", &part)), 1, body).await.expect(200)["targets"][0]["group"].clone();
    let purposes = async |group: &Value, side: &str| -> Vec<Value> {
        let lineage = admin.get(&format!("{}/lineage", at("groups", group))).await.expect(200);
        assert_eq!((&lineage["group_id"], &lineage["truncated"]), (&group["id"], &json!(false)));
        lineage[side].as_array().unwrap().iter().map(|entry| entry["purpose"].clone()).collect()
    };
    assert_eq!(purposes(&leaf, "origin").await, ["first", "second"]);
    assert_eq!(purposes(&leaf, "outcome").await, Vec::<Value>::new());
    assert_eq!(purposes(&whole, "outcome").await, ["first", "second"]);
    assert_eq!(purposes(&part, "origin").await, ["first"]);
    assert_eq!(purposes(&part, "outcome").await, ["second"]);
    let entry = admin.get(&format!("{}/lineage", at("groups", &part))).await.expect(200)["origin"][0].clone();
    assert_eq!(entry["sources"], json!([{ "group": { "id": whole["id"], "label": "Whole" }, "member_count": 2 }]));
    assert_eq!((&entry["evaluation_id"].is_string(), &entry["decision"]), (&true, &json!("split")));
    let nobody = "/v1/groups/01890a5d-ac96-774b-bcce-b302099a8057/lineage";
    assert_eq!(admin.get(nobody).await.problem(404), "not_found");
}
