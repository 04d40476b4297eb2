//! Runs of matching over the whole base, and the versions of parameters.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::{
    feed::{self, CustomerRecord},
    matching::bank::changes,
};
use kehu_kernel::{
    Actor, AnyId,
    feed::Source,
    job::JobState,
    schema::{customers, jobs, match_candidates, match_changes, match_keys},
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{App, Client, customers::resident_id},
};

both_databases!(
    a_run_and_single_matches_give_the_same,
    a_run_with_estimated_parameters_gives_the_same,
    a_second_run_changes_nothing,
    a_run_is_taken_over_and_cancelled,
    a_run_closes_what_is_no_longer_plausible,
    keys_can_be_written_anew,
    changes_are_matched_as_by_a_run,
    a_storm_of_writes_makes_one_job
);

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const FAMILY: &[&str] = &["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "马", "朱", "胡", "郭"];
const GIVEN: &[&str] = &[
    "伟", "芳", "秀英", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀兰", "霞", "平",
    "刚", "桂英",
];
const FIRST: &[&str] = &["Maria", "Jan", "Petra", "Tomas", "Eva", "Pavel", "Hana", "Karel", "Lucie", "Martin"];
const LAST: &[&str] = &["Novakova", "Svoboda", "Dvorak", "Cerny", "Prochazka", "Kucera", "Vesely", "Horak", "Nemec", "Marek"];
const STREETS: &[&str] = &["人民路", "中山路", "解放路", "建设路", "世纪大道"];

fn person(chance: &mut Chance, id: usize) -> Value {
    let born = format!("{}-{:02}-{:02}", 1950 + chance.below(50), 1 + chance.below(12), 1 + chance.below(28));
    let latin = chance.below(5) == 0;
    let name = if latin {
        format!("{} {}", chance.pick(FIRST), chance.pick(LAST))
    } else {
        format!("{}{}", chance.pick(FAMILY), chance.pick(GIVEN))
    };
    let number = resident_id(&format!("310101{}{:03}", born.replace('-', ""), chance.below(1000)));
    let verified = if chance.below(2) == 0 { "verified" } else { "unverified" };
    json!({
        "source_id": id.to_string(), "full_name": name, "birth_date": born, "gender": if chance.below(2) == 0 { "female" } else { "male" },
        "identities": [{ "type": "resident_id", "number": number, "verification": { "state": verified } }],
        "contact_points": [
            { "kind": "phone", "value": format!("138{:08}", chance.below(100_000_000)) },
            { "kind": "postal_address", "city": "上海市", "street": format!("{}{}号", chance.pick(STREETS), chance.below(200)) },
        ],
    })
}

/// The same person once more, with a mistake, mostly without the document.
fn twin(chance: &mut Chance, original: &Value, id: usize) -> Value {
    let mut twin = original.clone();
    twin["source_id"] = json!(id.to_string());
    if chance.below(4) > 0 {
        twin["identities"] = json!([]);
    }
    match chance.below(4) {
        0 => twin["full_name"] = json!(original["full_name"].as_str().unwrap().chars().rev().collect::<String>()),
        1 => twin["birth_date"] = json!(format!("{}15", &original["birth_date"].as_str().unwrap()[..8])),
        2 => twin["contact_points"] = json!([{ "kind": "phone", "value": format!("139{:08}", chance.below(100_000_000)) }]),
        _ => {}
    }
    twin
}

fn firm(chance: &mut Chance, id: usize) -> Value {
    let name = format!("上海{}{}贸易有限公司", chance.pick(GIVEN), chance.pick(GIVEN));
    json!({ "source_id": id.to_string(), "kind": "corporate", "legal_name": name, "founded_on": format!("20{:02}-05-0{}", chance.below(20), 1 + chance.below(9)),
        "contact_points": [{ "kind": "phone", "value": format!("021-6{:07}", chance.below(10_000_000)) }] })
}

/// A base of people and firms with corrupted duplicates, with an empty work queue.
fn base(app: &App, people: usize) {
    let mut chance = Chance(20_261_122);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for id in 0..people {
        let record = person(&mut chance, id);
        if id % 4 == 0 {
            second.push(twin(&mut chance, &record, id));
        }
        first.push(record);
    }
    for id in 0..people / 10 {
        let record = firm(&mut chance, people + id);
        if id % 4 == 0 {
            second.push(record.clone());
        }
        first.push(record);
    }
    for (source, records) in [("core", first), ("card", second)] {
        let records: Vec<CustomerRecord> = serde_json::from_value(json!(records)).unwrap();
        let source = Source::new(source);
        app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records)).unwrap();
    }
    empty_queue(app);
}

fn empty_queue(app: &App) {
    app.store.write_blocking(|tx| Ok(diesel::delete(match_candidates::table).execute(&mut tx.db)?)).unwrap();
}

async fn run(app: &App, client: &Client<'_>, body: Value) -> Value {
    let job = client.post("/v1/match-runs", body).await;
    let location = job.header("location").unwrap();
    job.expect(202);
    app.run_jobs();
    let job = client.get(&location).await.expect(200);
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["progress_done"], job["progress_total"]);
    job["result"].clone()
}

type Pairs = BTreeMap<(String, String), i64>;

/// Open pairs with their scores.
async fn queue(client: &Client<'_>) -> Pairs {
    let mut pairs = Pairs::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/match-candidates?limit=200{cursor}")).await.expect(200);
        for pair in page["items"].as_array().unwrap() {
            let id = |side: &str| pair[side]["id"].as_str().unwrap().to_owned();
            pairs.insert((id("left"), id("right")), pair["score_bp"].as_i64().unwrap());
        }
        let Some(next) = page["next_cursor"].as_str() else { return pairs };
        cursor = format!("&cursor={next}");
    }
}

/// What matching each customer by itself finds.
async fn one_by_one(app: &App, client: &Client<'_>) -> Pairs {
    let ids: Vec<AnyId> = app.store.read_blocking(|conn| Ok(customers::table.select(customers::id).load(&mut conn.db)?)).unwrap();
    let mut pairs = Pairs::new();
    for id in ids {
        let found = client.post(&format!("/v1/customers/{id}/match"), json!({})).await.expect(200);
        for hit in found["items"].as_array().unwrap() {
            let mut two = [id.to_string(), hit["customer"]["id"].as_str().unwrap().to_owned()];
            two.sort();
            let [left, right] = two;
            let score = hit["score_bp"].as_i64().unwrap();
            let before = pairs.insert((left, right), score);
            assert!(before.is_none_or(|before| before == score), "both sides give the same score");
        }
    }
    pairs
}

async fn a_run_and_single_matches_give_the_same(app: App) {
    base(&app, 240);
    let steward = app.role("data_steward");
    let before: Vec<(AnyId, i64)> = versions(&app);
    let result = run(&app, &steward, json!({})).await;
    let found = queue(&steward).await;
    // Some twins have joined their originals at once, by a verified document.
    assert!(found.len() >= 50, "{} pairs, {result}", found.len());
    let compared: i64 = ["person", "organisation"].iter().map(|subject| result[subject]["customers"].as_i64().unwrap()).sum();
    assert_eq!(compared, i64::try_from(before.len()).unwrap());
    let created: i64 = ["person", "organisation"].iter().map(|subject| result[subject]["created"].as_i64().unwrap()).sum();
    assert_eq!(created, i64::try_from(found.len()).unwrap());
    assert!(result["person"]["groups"].as_i64().unwrap() >= 50, "{result}");
    assert_eq!(versions(&app), before, "no customer was touched");
    empty_queue(&app);
    assert_eq!(one_by_one(&app, &steward).await, found);
    assert_eq!(queue(&steward).await, found);
}

fn versions(app: &App) -> Vec<(AnyId, i64)> {
    let all = |conn: &mut kehu_kernel::Conn| {
        Ok(customers::table.order(customers::id).select((customers::id, customers::version)).load(&mut conn.db)?)
    };
    app.store.read_blocking(all).unwrap()
}

async fn a_run_with_estimated_parameters_gives_the_same(app: App) {
    base(&app, 240);
    let steward = app.role("data_steward");
    assert_eq!(steward.get("/v1/match-parameters").await.expect(200)["items"], json!([]));
    let result = run(&app, &steward, json!({ "estimate": true, "subject": "person" })).await;
    assert_eq!((&result["person"]["parameters_version"], &result["organisation"]), (&json!(1), &Value::Null));
    let found = queue(&steward).await;
    assert!(found.len() >= 45, "{} pairs, {result}", found.len());
    empty_queue(&app);
    let single = one_by_one(&app, &steward).await;
    let people = |pairs: Pairs| pairs.into_iter().filter(|(pair, _)| found.contains_key(pair)).collect::<Pairs>();
    assert_eq!(people(single), found);
    run(&app, &steward, json!({ "estimate": true, "subject": "person" })).await;
    let all = steward.get("/v1/match-parameters?subject=person").await.expect(200)["items"].clone();
    assert_eq!(
        (&all[0]["version"], &all[0]["in_use"], &all[0]["records"]),
        (&json!(2), &json!(true), &result["person"]["customers"])
    );
    assert_eq!((&all[1]["version"], &all[1]["in_use"], all.as_array().unwrap().len()), (&json!(1), &json!(false), 2));
    assert_eq!(steward.get("/v1/match-parameters?in_use=true").await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.role("teller").get("/v1/match-parameters").await.problem(403), "forbidden");
}

async fn a_second_run_changes_nothing(app: App) {
    base(&app, 120);
    let steward = app.role("data_steward");
    let first = run(&app, &steward, json!({})).await;
    let pairs = steward.get("/v1/match-candidates?limit=200").await.expect(200)["items"].clone();
    let second = run(&app, &steward, json!({})).await;
    assert_eq!((&second["person"]["created"], &second["person"]["updated"]), (&json!(0), &json!(0)));
    assert_eq!(second["person"]["unchanged"], first["person"]["created"]);
    assert_eq!(steward.get("/v1/match-candidates?limit=200").await.expect(200)["items"], pairs);
}

async fn a_run_is_taken_over_and_cancelled(app: App) {
    base(&app, 120);
    let steward = app.role("data_steward");
    run(&app, &steward, json!({})).await;
    let whole = queue(&steward).await;
    empty_queue(&app);
    // A server died after it had written a part: its lease has run out.
    let job = steward.post("/v1/match-runs", json!({})).await.expect(202);
    assert_eq!(steward.post("/v1/match-runs", json!({})).await.problem(409), "match_run_active");
    let id: AnyId = job["id"].as_str().unwrap().parse().unwrap();
    let first = whole.keys().next().unwrap().0.clone();
    steward.post(&format!("/v1/customers/{first}/match"), json!({})).await.expect(200);
    app.store
        .write_blocking(move |tx| {
            let dead = (jobs::state.eq(JobState::Running), jobs::lease_owner.eq(AnyId::new()), jobs::lease_until.eq(tx.now));
            Ok(diesel::update(jobs::table.find(id)).set((dead, jobs::attempts.eq(1))).execute(&mut tx.db)?)
        })
        .unwrap();
    app.run_jobs();
    let job = steward.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)), "{job}");
    assert!(job["result"]["person"]["unchanged"].as_i64().unwrap() >= 1, "{job}");
    assert_eq!(queue(&steward).await, whole);
    // One that somebody stops writes nothing more.
    empty_queue(&app);
    let job = steward.post("/v1/match-runs", json!({})).await.expect(202);
    let id: AnyId = job["id"].as_str().unwrap().parse().unwrap();
    app.store
        .write_blocking(move |tx| {
            Ok(diesel::update(jobs::table.find(id)).set(jobs::cancel_requested.eq(true)).execute(&mut tx.db)?)
        })
        .unwrap();
    app.run_jobs();
    assert_eq!(steward.get(&format!("/v1/jobs/{id}")).await.expect(200)["state"], "cancelled");
    assert!(queue(&steward).await.is_empty());
    assert_eq!(app.role("branch_manager").post("/v1/match-runs", json!({})).await.problem(403), "forbidden");
}

async fn a_run_closes_what_is_no_longer_plausible(app: App) {
    base(&app, 40);
    let steward = app.role("data_steward");
    run(&app, &steward, json!({})).await;
    let people = "/v1/match-candidates?limit=200";
    let open = steward.get(people).await.expect(200)["items"].clone();
    let pair =
        open.as_array().unwrap().iter().find(|pair| pair["right"]["kind"] == "personal" && pair["score_bp"] != 10_000).unwrap();
    let right = format!("/v1/customers/{}", pair["right"]["id"].as_str().unwrap());
    let seen = steward.get(&right).await.expect(200);
    // It turns out that the newer record tells of somebody else.
    let other = json!({ "personal": { "full_name": "Zdenek Ptacek", "birth_date": "1931-05-05", "gender": "other" } });
    steward.patch(&right, seen["version"].as_i64().unwrap(), other).await.expect(200);
    for part in ["contact-points", "identities"] {
        let items = steward.get(&format!("{right}/{part}")).await.expect(200)["items"].clone();
        for item in items.as_array().unwrap() {
            let end = format!("{right}/{part}/{}/end", item["id"].as_str().unwrap());
            let body = if part == "identities" { json!({ "reason": "wrong" }) } else { json!({}) };
            steward.command(&end, item["version"].as_i64().unwrap(), body).await.expect(200);
        }
    }
    let result = run(&app, &steward, json!({})).await;
    assert_eq!(result["person"]["closed"], 1, "{result}");
    let closed = steward.get(&format!("/v1/match-candidates/{}", pair["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&closed["state"], &closed["decision_reason"]), (&json!("closed"), &json!("no longer plausible")));
}

async fn keys_can_be_written_anew(app: App) {
    base(&app, 40);
    let steward = app.role("data_steward");
    let keys = || -> Vec<(i64, AnyId)> {
        let all = match_keys::table
            .order((match_keys::key, match_keys::customer_id))
            .select((match_keys::key, match_keys::customer_id));
        app.store.read_blocking(move |conn| Ok(all.load(&mut conn.db)?)).unwrap()
    };
    let written = keys();
    assert!(written.len() > 200);
    app.store.write_blocking(|tx| Ok(diesel::delete(match_keys::table).execute(&mut tx.db)?)).unwrap();
    run(&app, &steward, json!({ "rebuild_keys": true })).await;
    assert_eq!(keys(), written, "keys of new customers and keys that are read back are the same");
}

/// How many jobs that match changes there are.
fn change_jobs(app: &App) -> i64 {
    let of = jobs::table.filter(jobs::kind.eq(changes::JOB_KIND));
    app.store.read_blocking(|conn| Ok(of.count().get_result(&mut conn.db)?)).unwrap()
}

fn marked(app: &App) -> i64 {
    let of = match_changes::table.filter(match_changes::changes.gt(match_changes::matched));
    app.store.read_blocking(|conn| Ok(of.count().get_result(&mut conn.db)?)).unwrap()
}

/// Names, birth dates, phones and documents change until people look like others, and others no more like anybody: the queue
/// is then as a run leaves it.
async fn changes_are_matched_as_by_a_run(app: App) {
    base(&app, 160);
    let steward = app.role("data_steward");
    run(&app, &steward, json!({})).await;
    let before = queue(&steward).await;
    // The run has just compared them all.
    app.store.write_blocking(|tx| Ok(diesel::delete(match_changes::table).execute(&mut tx.db)?)).unwrap();
    let people = steward.get("/v1/customers?kind=personal&limit=60").await.expect(200)["items"].clone();
    let people = people.as_array().unwrap();
    for (number, two) in people.chunks(2).enumerate() {
        let [model, other] = two else { continue };
        let at = |rest: &str| format!("/v1/customers/{}{rest}", other["id"].as_str().unwrap());
        let version = other["version"].as_i64().unwrap();
        let profile = match number % 3 {
            0 => json!({ "full_name": model["personal"]["full_name"], "birth_date": model["personal"]["birth_date"] }),
            1 => json!({ "full_name": format!("Nobody {number}"), "birth_date": "1901-01-01" }),
            _ => json!({ "birth_date": model["personal"]["birth_date"], "nationality": "DE" }),
        };
        steward.patch(&at(""), version, json!({ "personal": profile })).await.expect(200);
        let points = format!("/v1/customers/{}/contact-points", model["id"].as_str().unwrap());
        for point in steward.get(&points).await.expect(200)["items"].as_array().unwrap() {
            if point["kind"] == "phone" && number % 2 == 0 {
                let phone = json!({ "kind": "phone", "value": point["value"] });
                let made = steward.post(&at("/contact-points"), phone).await;
                assert!(matches!(made.status, 201 | 409), "{}", made.status);
            }
        }
    }
    assert_eq!(queue(&steward).await, before, "not in the request itself");
    assert_eq!(marked(&app), 30);
    changes::wake(&app.store).unwrap();
    assert_eq!(change_jobs(&app), 1);
    app.run_jobs();
    assert_eq!(marked(&app), 0);
    let found = queue(&steward).await;
    assert!(found.keys().any(|pair| !before.contains_key(pair)) && before.keys().any(|pair| !found.contains_key(pair)));
    let result = run(&app, &steward, json!({})).await;
    assert_eq!(queue(&steward).await, found);
    for count in ["created", "reopened", "updated", "closed"] {
        assert_eq!(result["person"][count], 0, "{count}: {result}");
    }
}

/// However often customers are written, one job is open at most, each is compared once, and a job that comes twice changes
/// nothing.
async fn a_storm_of_writes_makes_one_job(app: App) {
    let steward = app.role("data_steward");
    let new = |name: &str| json!({ "kind": "personal", "personal": { "full_name": name, "birth_date": "1990-03-07" } });
    let one = steward.post("/v1/customers", new("李娜")).await.expect(201);
    let other = steward.post("/v1/customers", new("欧阳修")).await.expect(201);
    let at = format!("/v1/customers/{}", other["id"].as_str().unwrap());
    for version in 1..=10 {
        let name = if version == 10 { "李娜".to_owned() } else { format!("欧阳修{version}") };
        steward.patch(&at, version, json!({ "personal": { "full_name": name } })).await.expect(200);
        changes::wake(&app.store).unwrap();
    }
    assert_eq!((marked(&app), change_jobs(&app)), (1, 1));
    app.run_jobs();
    let pairs = steward.get("/v1/match-candidates").await.expect(200)["items"].clone();
    let pair = format!("/v1/match-candidates/{}", pairs[0]["id"].as_str().unwrap());
    assert_eq!(
        (pairs.as_array().unwrap().len(), &pairs[0]["left"]["id"], &pairs[0]["source"]),
        (1, &one["id"], &json!("change"))
    );
    // Soon again is not at once.
    steward.patch(&at, 11, json!({ "tier": "gold" })).await.expect(200);
    changes::wake(&app.store).unwrap();
    app.run_jobs();
    assert_eq!((marked(&app), change_jobs(&app)), (1, 1));
    let again = |app: &App| {
        app.store
            .write_blocking(|tx| {
                let long_ago = tx.now.minus(std::time::Duration::from_secs(60));
                Ok(diesel::update(jobs::table).set(jobs::created_at.eq(long_ago)).execute(&mut tx.db)?)
            })
            .unwrap();
        changes::wake(&app.store).unwrap();
        app.run_jobs();
    };
    again(&app);
    assert_eq!((marked(&app), change_jobs(&app)), (0, 1), "the one before has given way");
    // A worker that died before it could say so.
    app.store
        .write_blocking(|tx| Ok(diesel::update(match_changes::table).set(match_changes::matched.eq(0)).execute(&mut tx.db)?))
        .unwrap();
    again(&app);
    assert_eq!(marked(&app), 0);
    let same = steward.get(&pair).await.expect(200);
    assert_eq!((&same["state"], &same["version"]), (&json!("open"), &json!(1)));
    // Another name again: the pair is no longer plausible.
    steward.patch(&at, 12, json!({ "personal": { "full_name": "欧阳修", "birth_date": "1950-11-30" } })).await.expect(200);
    again(&app);
    assert_eq!(steward.get("/v1/match-candidates").await.expect(200)["items"], json!([]));
}
