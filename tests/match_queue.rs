//! The work queue of matching beside merges, decisions and those who look for duplicates at the same time.

use std::{sync::mpsc, time::Duration};

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_api::belonging::REGISTRY;
use kehu_customer::{
    CustomerId,
    matching::bank::{
        self,
        candidate::MatchCandidateId,
        decision::{self, MatchDecision, Merging},
    },
    merge::{self, MergeRequest},
};
use kehu_kernel::{Actor, AnyId, json::Json, schema::match_candidates};
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_match::li_na,
    support::{
        App, Client,
        customers::{branches, path},
    },
};

both_databases!(
    a_rejection_wins_over_an_open_twin,
    a_rejection_goes_along_and_stays,
    a_closed_pair_gives_way_to_an_open_one,
    pairs_have_new_versions_after_a_merge,
    a_decision_is_not_written_over,
    a_merge_leaves_no_pair_behind,
    a_revert_makes_room,
    a_run_closes_pairs_of_the_gone,
    a_decision_to_merge_takes_choices_and_versions,
    a_group_is_merged_at_once
);

/// Records of Li Na, one like the other, and all pairs of them in the queue.
async fn alike(client: &Client<'_>, count: usize) -> Vec<Value> {
    let mut made = Vec::new();
    for number in 0..count {
        let number = format!("li.na{number}@example.com");
        let mut body = li_na(json!({ "identities": [], "contact_points": [{ "kind": "phone", "value": "138 0013 8000" },
            { "kind": "email", "value": number }] }));
        body["allow_duplicate"] = json!({ "reason": "a test" });
        made.push(client.post("/v1/customers", body).await.expect(201));
    }
    made
}

fn id(record: &Value) -> CustomerId {
    record["id"].as_str().unwrap().parse().unwrap()
}

/// The pair of two customers, by their present ids, in whatever state.
async fn pair(client: &Client<'_>, one: &Value, other: &Value) -> Value {
    for state in ["open", "rejected", "merged", "closed"] {
        let list = format!("/v1/match-candidates?state={state}&customer_id={}", one["id"].as_str().unwrap());
        let found = client.get(&list).await.expect(200);
        let of = |pair: &&Value| pair["left"]["id"] == other["id"] || pair["right"]["id"] == other["id"];
        if let Some(pair) = found["items"].as_array().unwrap().iter().find(of) {
            return pair.clone();
        }
    }
    Value::Null
}

async fn state(client: &Client<'_>, one: &Value, other: &Value) -> String {
    pair(client, one, other).await["state"].as_str().unwrap_or("none").to_owned()
}

async fn decide(client: &Client<'_>, pair: &Value, decision: Value) -> Value {
    let decide = format!("/v1/match-candidates/{}/decide", pair["id"].as_str().unwrap());
    client.command(&decide, pair["version"].as_i64().unwrap(), decision).await.expect(200)
}

fn reject() -> Value {
    json!({ "decision": "reject", "reason": "mother and daughter" })
}

async fn version(client: &Client<'_>, record: &Value) -> i64 {
    client.get(&path(record, "")).await.expect(200)["version"].as_i64().unwrap()
}

async fn merge_of(client: &Client<'_>, survivor: &Value, absorbed: &Value) -> Value {
    let record = json!({ "customer_id": absorbed["id"], "version": version(client, absorbed).await });
    let body = json!({ "absorbed": [record], "reason": "the same person" });
    client.command(&path(survivor, "/merge"), version(client, survivor).await, body).await.expect(200)
}

async fn revert(client: &Client<'_>, merge: &Value) {
    let revert = format!("/v1/merges/{}/revert", merge["id"].as_str().unwrap());
    client.command(&revert, merge["version"].as_i64().unwrap(), json!({ "reason": "two people" })).await.expect(200);
}

async fn matched(client: &Client<'_>, record: &Value) {
    client.post(&path(record, "/match"), json!({})).await.expect(200);
}

async fn a_rejection_wins_over_an_open_twin(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [one, other, third] = &made[..] else { unreachable!() };
    for (survivor, absorbed) in [(one, other), (other, one)] {
        // The absorbed one and the third are two; whether the survivor is the third, nobody has said.
        decide(&steward, &pair(&steward, absorbed, third).await, reject()).await;
        let before = pair(&steward, survivor, third).await;
        assert_eq!(before["state"], "open");
        let made = merge_of(&steward, survivor, absorbed).await;
        let taken = pair(&steward, survivor, third).await;
        assert_eq!((&taken["state"], &taken["decision_reason"]), (&json!("rejected"), &reject()["reason"]));
        assert_eq!(taken["decided_by"], "test-data_steward");
        assert_eq!(state(&steward, absorbed, third).await, "closed");
        assert_eq!(state(&steward, survivor, absorbed).await, "merged");
        // The merge changes what is compared of the survivor; that is no reason to ask again.
        matched(&steward, survivor).await;
        matched(&steward, third).await;
        assert_eq!(state(&steward, survivor, third).await, "rejected");
        revert(&steward, &made).await;
        let open = pair(&steward, survivor, third).await;
        for field in ["id", "state", "decided_by", "decided_at", "decision_reason", "postponed_until"] {
            assert_eq!(open[field], before[field], "{field}");
        }
        matched(&steward, absorbed).await;
        assert_eq!(state(&steward, absorbed, third).await, "rejected");
        assert_eq!(state(&steward, survivor, absorbed).await, "open");
        // For the other way round: new facts open the pair again.
        let change = json!({ "personal": { "nationality": if survivor == one { "DE" } else { "FR" } } });
        steward.patch(&path(third, ""), version(&steward, third).await, change).await.expect(200);
        matched(&steward, third).await;
        assert_eq!(state(&steward, absorbed, third).await, "open");
    }
}

async fn a_rejection_goes_along_and_stays(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    // Nobody has compared the survivor and the third.
    let twin: MatchCandidateId = pair(&steward, survivor, third).await["id"].as_str().unwrap().parse().unwrap();
    app.store.write_blocking(move |tx| Ok(diesel::delete(match_candidates::table.find(twin)).execute(&mut tx.db)?)).unwrap();
    let rejected = decide(&steward, &pair(&steward, absorbed, third).await, reject()).await;
    let made = merge_of(&steward, survivor, absorbed).await;
    let moved = pair(&steward, survivor, third).await;
    assert_eq!((&moved["id"], &moved["state"]), (&rejected["id"], &json!("rejected")));
    matched(&steward, survivor).await;
    assert_eq!(state(&steward, survivor, third).await, "rejected");
    revert(&steward, &made).await;
    matched(&steward, absorbed).await;
    assert_eq!(state(&steward, absorbed, third).await, "rejected");
    assert_eq!(state(&steward, survivor, third).await, "none");
    matched(&steward, survivor).await;
    assert_eq!(state(&steward, survivor, third).await, "open");
}

async fn a_closed_pair_gives_way_to_an_open_one(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    let twin: MatchCandidateId = pair(&steward, survivor, third).await["id"].as_str().unwrap().parse().unwrap();
    app.store
        .write_blocking(move |tx| {
            Ok(diesel::update(match_candidates::table.find(twin))
                .set(match_candidates::state.eq("closed"))
                .execute(&mut tx.db)?)
        })
        .unwrap();
    let made = merge_of(&steward, survivor, absorbed).await;
    assert_eq!(
        (state(&steward, survivor, third).await, state(&steward, absorbed, third).await),
        ("open".into(), "closed".into())
    );
    revert(&steward, &made).await;
    assert_eq!(
        (state(&steward, survivor, third).await, state(&steward, absorbed, third).await),
        ("closed".into(), "open".into())
    );
}

/// A version that was read of one pair decides about no other.
async fn pairs_have_new_versions_after_a_merge(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    let twin: MatchCandidateId = pair(&steward, survivor, third).await["id"].as_str().unwrap().parse().unwrap();
    app.store.write_blocking(move |tx| Ok(diesel::delete(match_candidates::table.find(twin)).execute(&mut tx.db)?)).unwrap();
    let before = pair(&steward, absorbed, third).await;
    let decision = format!("/v1/match-candidates/{}/decide", before["id"].as_str().unwrap());
    let refused = async |version: &Value| {
        assert_eq!(steward.command(&decision, version.as_i64().unwrap(), reject()).await.problem(412), "precondition_failed");
    };
    let made = merge_of(&steward, survivor, absorbed).await;
    let moved = pair(&steward, survivor, third).await;
    assert_eq!(moved["id"], before["id"]);
    refused(&before["version"]).await;
    revert(&steward, &made).await;
    refused(&moved["version"]).await;
    assert_eq!(state(&steward, absorbed, third).await, "open");
}

/// Somebody decides while somebody else looks for duplicates: the decision holds.
async fn a_decision_is_not_written_over(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 2).await;
    let [one, other] = &made[..] else { unreachable!() };
    let open = pair(&steward, one, other).await;
    // Something to renew.
    steward.patch(&path(one, ""), version(&steward, one).await, json!({ "personal": { "nationality": "DE" } })).await.expect(200);
    let (pair_id, customer): (MatchCandidateId, CustomerId) = (open["id"].as_str().unwrap().parse().unwrap(), id(other));
    let (store, (decided, wait)) = (&app.store, mpsc::channel::<()>());
    std::thread::scope(|scope| {
        let deciding = scope.spawn(move || {
            let merging = Merging { registry: REGISTRY, reversible_days: 90 };
            store.write_blocking(move |tx| {
                let reject: MatchDecision = serde_json::from_value(reject()).unwrap();
                decision::decide(tx, &Actor::system(), pair_id, 1, &reject, merging)?;
                decided.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(400));
                Ok(())
            })
        });
        wait.recv().unwrap();
        store.write_blocking(move |tx| bank::find_for(tx, &Actor::system(), customer)).unwrap();
        deciding.join().unwrap().unwrap();
    });
    let after = pair(&steward, one, other).await;
    assert_eq!((&after["state"], &after["version"]), (&json!("rejected"), &json!(2)));
}

/// Somebody merges while somebody else looks for duplicates: no pair is left behind, and the merge can be taken back.
async fn a_merge_leaves_no_pair_behind(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    let twin: MatchCandidateId = pair(&steward, survivor, third).await["id"].as_str().unwrap().parse().unwrap();
    app.store.write_blocking(move |tx| Ok(diesel::delete(match_candidates::table.find(twin)).execute(&mut tx.db)?)).unwrap();
    let (survivor_id, customer) = (id(survivor), id(third));
    let version_of = version(&steward, survivor).await;
    let record = json!({ "customer_id": absorbed["id"], "version": version(&steward, absorbed).await });
    let request = json!({ "absorbed": [record], "reason": "the same person" });
    let (store, (merged, wait)) = (&app.store, mpsc::channel::<()>());
    let merge = std::thread::scope(|scope| {
        let merging = scope.spawn(move || {
            store.write_blocking(move |tx| {
                let request: MergeRequest = serde_json::from_value(request.clone()).unwrap();
                let made = merge::merge(tx, &Actor::system(), REGISTRY, survivor_id, version_of, &request, 90)?;
                merged.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(400));
                Ok(serde_json::to_value(made).unwrap())
            })
        });
        wait.recv().unwrap();
        store.write_blocking(move |tx| bank::find_for(tx, &Actor::system(), customer)).unwrap();
        merging.join().unwrap().unwrap()
    });
    assert_eq!((state(&steward, absorbed, third).await, state(&steward, survivor, third).await), ("none".into(), "open".into()));
    revert(&steward, &merge).await;
    assert_eq!(state(&steward, absorbed, third).await, "open");
}

fn put(app: &App, one: CustomerId, other: CustomerId, state: &'static str) {
    let now = app.store.now();
    app.store
        .write_blocking(move |tx| {
            Ok(diesel::insert_into(match_candidates::table)
                .values((
                    match_candidates::id.eq(AnyId::new()),
                    match_candidates::left_id.eq(one.min(other)),
                    match_candidates::right_id.eq(one.max(other)),
                    match_candidates::score_bp.eq(8_000),
                    match_candidates::band.eq("likely"),
                    match_candidates::reasons.eq(Json(json!([]))),
                    match_candidates::facts_hash.eq(vec![1_u8]),
                    match_candidates::parameters_version.eq(1_i64),
                    match_candidates::source.eq("run"),
                    match_candidates::state.eq(state),
                    match_candidates::created_at.eq(now),
                    match_candidates::updated_at.eq(now),
                    match_candidates::version.eq(1_i64),
                ))
                .execute(&mut tx.db)?)
        })
        .unwrap();
}

/// A pair that a database of an older version holds where one comes back to: of the two, a decided one stays.
async fn a_revert_makes_room(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    for (there, left) in [("open", "open"), ("rejected", "rejected")] {
        let (one, other) = (id(survivor), id(third));
        app.store
            .write_blocking(move |tx| {
                let of = match_candidates::left_id.eq(one.min(other)).and(match_candidates::right_id.eq(one.max(other)));
                Ok(diesel::delete(match_candidates::table.filter(of)).execute(&mut tx.db)?)
            })
            .unwrap();
        let made = merge_of(&steward, survivor, absorbed).await;
        put(&app, id(absorbed), id(third), there);
        revert(&steward, &made).await;
        assert_eq!(state(&steward, absorbed, third).await, left);
        assert_eq!(state(&steward, survivor, third).await, "none");
    }
}

async fn a_run_closes_pairs_of_the_gone(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 3).await;
    let [survivor, absorbed, third] = &made[..] else { unreachable!() };
    merge_of(&steward, survivor, absorbed).await;
    app.store
        .write_blocking(|tx| {
            let closed = match_candidates::table.filter(match_candidates::state.eq("closed"));
            Ok(diesel::update(closed).set(match_candidates::state.eq("open")).execute(&mut tx.db)?)
        })
        .unwrap();
    assert_eq!(state(&steward, absorbed, third).await, "open");
    steward.post("/v1/match-runs", json!({})).await.expect(202);
    app.run_jobs();
    let closed = pair(&steward, absorbed, third).await;
    assert_eq!((&closed["state"], &closed["version"]), (&json!("closed"), &json!(3)), "{closed}");
    assert_eq!(state(&steward, survivor, third).await, "open");
}

async fn a_decision_to_merge_takes_choices_and_versions(app: App) {
    let steward = app.role("data_steward");
    let made = alike(&steward, 2).await;
    let [one, other] = &made[..] else { unreachable!() };
    for (record, tier) in [(one, "gold"), (other, "silver")] {
        steward.patch(&path(record, ""), version(&steward, record).await, json!({ "tier": tier })).await.expect(200);
    }
    let pair = pair(&steward, one, other).await;
    assert_eq!(pair["left"]["version"], version(&steward, one).await);
    let decision = format!("/v1/match-candidates/{}/decide", pair["id"].as_str().unwrap());
    let of_merge = |more: Value| {
        let mut body = json!({ "decision": "merge", "reason": "same passport", "survivor_id": other["id"],
            "left_version": pair["left"]["version"], "right_version": pair["right"]["version"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (field, value) in [("choices", json!({ "tier": one["id"] })), ("left_version", json!(1)), ("right_version", json!(1))] {
        let mut body = reject();
        body[field] = value;
        assert_eq!(steward.command(&decision, 1, body).await.pointers(422), [format!("/{field}")]);
    }
    for side in ["left_version", "right_version"] {
        let stale = of_merge(json!({ side: 1 }));
        assert_eq!(steward.command(&decision, 1, stale).await.problem(409), "customer_changed", "{side}");
    }
    let unknown = of_merge(json!({ "choices": { "shoes": one["id"] } }));
    assert_eq!(steward.command(&decision, 1, unknown).await.pointers(422), ["/choices/shoes"]);
    // The survivor is silver; somebody knows better.
    let merged = steward.command(&decision, 1, of_merge(json!({ "choices": { "tier": one["id"] } }))).await.expect(200);
    assert_eq!(merged["state"], "merged");
    assert_eq!(steward.get(&path(other, "")).await.expect(200)["tier"], "gold");
}

async fn a_group_is_merged_at_once(app: App) {
    let steward = app.role("data_steward");
    let places = branches(&app.role("administrator")).await;
    let mut made = alike(&steward, 4).await;
    for (record, branch) in made.iter_mut().zip(["SH", "SH-1", "SH", "BJ"]) {
        *record = steward.patch(&path(record, ""), 1, json!({ "home_branch_id": places[branch] })).await.expect(200);
    }
    let [first, second, third, fourth] = &made[..] else { unreachable!() };
    let asked = pair(&steward, first, second).await;
    let group = format!("/v1/match-candidates/{}/group", asked["id"].as_str().unwrap());
    let ids =
        |group: &Value| -> Vec<Value> { group["customers"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect() };
    let whole = steward.get(&group).await.expect(200);
    assert_eq!((ids(&whole).len(), whole["pairs"].as_array().unwrap().len(), &whole["complete"]), (4, 6, &json!(true)));
    let manager = app.role_at("branch_manager", "SH");
    let seen = manager.get(&group).await.expect(200);
    assert_eq!(ids(&seen), [first["id"].clone(), second["id"].clone(), third["id"].clone()]);
    assert_eq!(seen["pairs"].as_array().unwrap().len(), 3);
    assert_eq!(app.role_at("branch_manager", "BJ").get(&group).await.problem(404), "not_found");
    // One that was put off connects nobody.
    let later = json!({ "decision": "later", "reason": "asked the branch", "until": "2999-01-01" });
    for other in [first, second, third] {
        decide(&steward, &pair(&steward, fourth, other).await, later.clone()).await;
    }
    let rest = steward.get(&group).await.expect(200);
    assert_eq!(ids(&rest).len(), 3);
    let absorbed: Vec<Value> = rest["customers"].as_array().unwrap()[1..]
        .iter()
        .map(|one| json!({ "customer_id": one["id"], "version": one["version"] }))
        .collect();
    let body = json!({ "absorbed": absorbed, "reason": "the same person" });
    let version = rest["customers"][0]["version"].as_i64().unwrap();
    steward.command(&path(first, "/merge"), version, body).await.expect(200);
    for (one, other) in [(first, second), (first, third)] {
        assert_eq!(state(&steward, one, other).await, "merged");
    }
    assert_eq!(steward.get(&group).await.problem(409), "already_decided");
}
