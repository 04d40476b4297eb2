//! Lookup, search and matching of one among many customers (S7): how long one answer takes, in process and over HTTP, for
//! callers who reach everything, one branch, or a province; beside it the least that SQL needs for such an answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_customer::{
    CustomerId, contact_point, lookup,
    matching::{self, bank::MatchFacts},
    search::{self, CustomerSearch},
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, PageParams, Store,
    access::{ActorKind, BranchPlace, Depth, Grants},
    store::sql,
};
use serde_json::json;

use super::{
    Run,
    banks::Bank,
    caller,
    report::{Row, Wanted},
};
use crate::support::process::{Server, free_address};

/// How many questions of each kind.
const ASKED: usize = 300;
/// Milliseconds that 99 of 100 answers take at most.
const GOAL: f64 = 5.0;

#[derive(QueryableByName)]
struct Label {
    #[diesel(sql_type = Text)]
    label: String,
}

/// Somebody at a branch who reads what it and those below it keep.
fn at(store: &Store, code: &'static str) -> Actor {
    #[derive(QueryableByName)]
    struct Branch {
        #[diesel(sql_type = sql::Uuid)]
        id: AnyId,
        #[diesel(sql_type = Text)]
        path: String,
    }
    let branch = store
        .read_blocking(|conn| {
            let query = sql_query("SELECT id, path FROM branches WHERE code = $1").bind::<Text, _>(code);
            Ok(query.get_result::<Branch>(&mut conn.db)?)
        })
        .unwrap();
    let mut grants = Grants::default();
    grants.add(Action::CustomerRead, Depth::UnitAndBelow);
    grants.add(Action::CustomerMatch, Depth::UnitAndBelow);
    let place = BranchPlace { id: branch.id, path: branch.path };
    Actor { kind: ActorKind::Staff, grants: Arc::new(grants), branch: Some(place), ..Actor::system() }
}

/// What is asked for, from the bank itself.
struct Questions {
    names: Vec<String>,
    phones: Vec<String>,
    searches: Vec<(&'static str, Vec<String>)>,
}

fn questions(store: &Store, ids: &[String]) -> Questions {
    let names: Vec<String> = store.read_blocking(|conn| ids.iter().map(|id| label(conn, NAME, id)).collect()).unwrap();
    let numbers: Vec<String> = store.read_blocking(|conn| ids.iter().map(|id| label(conn, NUMBER, id)).collect()).unwrap();
    let phones: Vec<String> =
        store.read_blocking(|conn| ids.iter().map(|id| phone(conn, id.parse().unwrap())).collect()).unwrap();
    let of = |what: &dyn Fn(&str) -> String| names.iter().map(|name| what(name)).collect::<Vec<_>>();
    let syllables = |name: &str| kehu_customer::profile::pinyin_of(name).unwrap_or_else(|| name.to_lowercase());
    let initials = |name: &str| -> String { syllables(name).split(' ').filter_map(|syllable| syllable.chars().next()).collect() };
    let searches = vec![
        ("two characters", of(&|name| name.chars().take(2).collect())),
        ("one character", of(&|name| name.chars().take(1).collect())),
        ("the most common character", vec!["王".to_owned(); ASKED]),
        ("whole pinyin", of(&|name| syllables(name).replace(' ', ""))),
        ("pinyin of a surname", of(&|name| syllables(name).split(' ').next().unwrap().to_owned())),
        ("initials", of(&initials)),
        ("Latin prefix", LATIN.iter().map(|&prefix| prefix.to_owned()).cycle().take(ASKED).collect()),
        ("two words", of(&|name| name.chars().rev().take(2).map(String::from).collect::<Vec<_>>().join(" "))),
        ("number", numbers),
    ];
    Questions { names, phones, searches }
}

const LATIN: [&str; 6] = ["smit", "nov", "mül", "gar", "joh", "ali"];
const NAME: &str = "SELECT display_name AS label FROM customers WHERE id = $1";
const NUMBER: &str = "SELECT number AS label FROM customers WHERE id = $1";

fn label(conn: &mut Conn, query: &str, id: &str) -> kehu_kernel::Result<String> {
    let id: AnyId = id.parse().unwrap();
    Ok(sql_query(query).bind::<sql::Uuid, _>(id).get_result::<Label>(&mut conn.db)?.label)
}

fn phone(conn: &mut Conn, id: CustomerId) -> kehu_kernel::Result<String> {
    let points = contact_point::list(conn, &Actor::system(), id, &PageParams::default())?;
    Ok(points.items.iter().find_map(|point| serde_json::to_value(point).unwrap()["value"].as_str().map(str::to_owned)).unwrap())
}

/// Searches, lookups and matches, in process and over HTTP.
pub fn bench(run: &mut Run, bank: &Bank) {
    let store = bank.store();
    let asked = questions(&store, &bank.some_customers(ASKED));
    let actors = [("all", Actor::system()), ("an outlet", at(&store, "SH-PD-01")), ("a province", at(&store, "SH"))];
    for (reach, actor) in &actors {
        for (kind, texts) in &asked.searches {
            let times = texts.iter().map(|q| searched(&store, actor, q)).collect();
            show(run, bank, &format!("search, {kind}, reach {reach}"), times);
        }
        let look = |phone: &String| {
            let what = serde_json::from_value(json!({ "phone": phone })).unwrap();
            timed(|| drop(store.read_blocking(|conn| lookup::lookup(conn, actor, &what, |_, _, _| Ok(Vec::new()))).unwrap()))
        };
        let times = asked.phones.iter().map(look).collect();
        show(run, bank, &format!("lookup by phone, reach {reach}"), times);
        let resemble = |(name, phone): (&String, &String)| {
            let what = json!({ "kind": "personal", "name": name, "phones": [phone] });
            let what: MatchFacts = serde_json::from_value(what).unwrap();
            timed(|| drop(store.read_blocking(|conn| matching::find(conn, actor, &what)).unwrap()))
        };
        let times = asked.names.iter().zip(&asked.phones).map(resemble).collect();
        show(run, bank, &format!("match of one by name and phone, reach {reach}"), times);
    }
    show(run, bank, "index probe in SQL, two characters", least(&store, &asked.searches[0].1));
    over_http(run, bank, &asked);
}

fn over_http(run: &mut Run, bank: &Bank, asked: &Questions) {
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let search = |q: &String| caller::post("/v1/customers/search", &json!({ "q": q }));
    let look = |phone: &String| caller::post("/v1/customers/lookup", &json!({ "phone": phone }));
    let calls: Vec<Vec<u8>> = asked.searches[0].1.iter().map(search).collect();
    let times = caller::latencies(server.address, &calls);
    show(run, bank, "search over HTTP, two characters, reach all", times);
    let calls: Vec<Vec<u8>> = asked.phones.iter().map(look).collect();
    let times = caller::latencies(server.address, &calls);
    show(run, bank, "lookup over HTTP, by phone, reach all", times);
}

fn searched(store: &Store, actor: &Actor, q: &str) -> Duration {
    let what: CustomerSearch = serde_json::from_value(json!({ "q": q })).unwrap();
    timed(|| drop(store.read_blocking(|conn| search::search(conn, actor, kehu_group::rule::customers(), what.clone())).unwrap()))
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The same first page in plain SQL: a range of the index and the customers' names.
fn least(store: &Store, asked: &[String]) -> Vec<Duration> {
    const PROBE: &str = "SELECT c.display_name AS label FROM customer_tokens t JOIN customers c ON c.id = t.customer_id
                          WHERE t.token >= $1 AND t.token < $2 ORDER BY t.token, t.customer_id LIMIT 51";
    let one = |q: &String| {
        let (from, to) = (format!("1{q}"), format!("1{q}\u{10ffff}"));
        let probe = |conn: &mut Conn| {
            let query = sql_query(PROBE).bind::<Text, _>(&from).bind::<Text, _>(&to);
            Ok(query.load::<Label>(&mut conn.db)?)
        };
        timed(|| drop(store.read_blocking(probe).unwrap()))
    };
    asked.iter().map(one).collect()
}

fn show(run: &mut Run, bank: &Bank, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    if what == "search, two characters, reach all" {
        run.note_median("S7", bank, at(50));
    }
    run.report.add(Row {
        goal: "S7",
        what: format!("p99 of {what}"),
        backend: bank.backend,
        customers: bank.customers,
        pairs: vec![(at(99), GOAL)],
        unit: "ms",
        wanted: Wanted::AtMost(1.0),
        more: format!("p50 {:.2} ms, most {:.2} ms", at(50), at(100)),
    });
}
