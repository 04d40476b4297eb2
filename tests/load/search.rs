//! Lookup, search and matching of one among many customers (goal S7): how long one answer takes, in process and over HTTP, for callers who
//! reach everything, one branch, or a province; beside it the least that SQL needs for such an answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_customer::{
    feed::{self, CustomerRecord},
    lookup,
    matching::{self, bank::MatchFacts},
    search::{self, CustomerSearch},
};
use kehu_kernel::{
    Action, Actor, AnyId, Store,
    access::{ActorKind, BranchPlace, Depth, Grants},
    crypto::Keyring,
    feed::Source,
    store::{StoreOptions, sql},
    time::Clock,
};
use serde_json::{Value, json};

use super::{caller, text};
use crate::support::process::{Caller, Server, free_address};

const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文";
const GIVEN: &str = "芳娜敏静丽艳娟霞秀玲桂兰红梅燕萍雪琳倩颖洁莉婷慧晶欣怡佳悦瑶诗涵梦璐蕾薇雅彤语嫣淑贞蓉菲莹伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙博文轩志远建国海峰晨昊然子睿哲泽林东亮";
const FIRM: &str = "华兴瑞丰泰安恒信达通远东宏盛嘉禾金源正和博雅天成鼎立";
const TRADES: [&str; 6] = ["贸易", "科技", "机械制造", "建筑工程", "物流", "食品"];
const LATIN: [[&str; 8]; 2] = [
    ["Anna", "Maria", "Jan", "José", "Lars", "Ivan", "Chloé", "Omar"],
    ["Novák", "Müller", "Smith", "García", "Ivanova", "Nguyen", "Dvořák", "Larsen"],
];
const PROVINCES: u64 = 6;
const OUTLETS: u64 = 50;
const BATCH: u64 = 1_000;
const ASKED: u64 = 300;

/// Even numbers by a counter, the same in every run.
fn chance(index: u64, salt: u64, below: usize) -> usize {
    let mut mixed = index.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt.wrapping_mul(0xD1B5_4A32_D192_ED03));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(below).unwrap()).unwrap()
}

fn letter(from: &str, place: usize) -> char {
    from.chars().nth(place).unwrap()
}

/// The product of two even chances favours the front of the list, as common surnames are.
fn person(index: u64) -> String {
    let count = SURNAMES.chars().count();
    let surname = letter(SURNAMES, chance(index, 1, count) * chance(index, 2, count) / count);
    let given = |salt| letter(GIVEN, chance(index, salt, GIVEN.chars().count()));
    if chance(index, 5, 100) < 82 { format!("{surname}{}{}", given(3), given(4)) } else { format!("{surname}{}", given(3)) }
}

fn latin(index: u64) -> String {
    format!("{} {}", LATIN[0][chance(index, 1, 8)], LATIN[1][chance(index, 2, 8)])
}

fn firm(index: u64) -> String {
    let word = |salt| letter(FIRM, chance(index, salt, FIRM.chars().count()));
    format!("上海{}{}{}有限公司", word(1), word(2), TRADES[chance(index, 3, 6)])
}

fn phone(index: u64) -> String {
    format!("138{index:08}")
}

fn record(index: u64) -> CustomerRecord {
    let branch = format!("P{}-{}", chance(index, 8, 6), chance(index, 9, 50));
    let mut record = json!({
        "source_id": index.to_string(), "branch_code": branch, "contact_points": [{ "kind": "phone", "value": phone(index) }]
    });
    let (field, name) = match index % 100 {
        0..10 => ("legal_name", firm(index)),
        10..13 => ("full_name", latin(index)),
        _ => ("full_name", person(index)),
    };
    record[field] = json!(name);
    record["kind"] = json!(if field == "legal_name" { "corporate" } else { "personal" });
    serde_json::from_value(record).unwrap()
}

/// Makes the customers and measures.
pub fn bench(name: &str, url: &str, customers: u64) {
    text(url, &["migrate"]);
    let server = Server::start(url, free_address(), &["--request-timeout", "30"]);
    branches(&server);
    let options = StoreOptions { readers: 2, ..StoreOptions::new(url) };
    let store = Store::open(&options, Keyring::development().unwrap(), Clock::system()).unwrap();
    let started = Instant::now();
    for start in (0..customers).step_by(usize::try_from(BATCH).unwrap()) {
        let records: Vec<CustomerRecord> = (start..(start + BATCH).min(customers)).map(record).collect();
        let apply =
            move |tx: &mut kehu_kernel::Tx<'_>| feed::customers::apply(tx, &Actor::system(), &Source::new("core"), &records);
        store.write_blocking(apply).unwrap();
        if (start / BATCH + 1).is_power_of_two() {
            settle(url, "ANALYZE");
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: feed of {customers} customers  {:.0} us each, {} tokens",
        seconds * 1e6 / precise(customers),
        tokens(&store)
    );
    settle(url, "VACUUM ANALYZE");
    questions(name, &store, &server, customers);
}

fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn branches(server: &Server) {
    let admin = Caller::administrator(&format!("http://{}", server.address));
    let make = |code: String, level: &str, parent: Value| -> Value {
        let body = json!({ "code": code, "name": code, "level": level, "parent_id": parent });
        let (status, made) = admin.post("/v1/branches", &code, &body).unwrap();
        assert_eq!(status, 201, "{made}");
        made["id"].clone()
    };
    let head = make("HO".into(), "head_office", Value::Null);
    for province in 0..PROVINCES {
        let parent = make(format!("P{province}"), "province_branch", head.clone());
        for outlet in 0..OUTLETS {
            make(format!("P{province}-{outlet}"), "outlet", parent.clone());
        }
    }
}

/// What PostgreSQL's autovacuum does in time, which the cluster of tests goes without: statistics, the map of what all may
/// see. SQLite needs neither.
fn settle(url: &str, how: &str) {
    use diesel::{Connection, connection::SimpleConnection};
    if !url.starts_with("sqlite") {
        diesel::PgConnection::establish(url).unwrap().batch_execute(how).unwrap();
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Label {
    #[diesel(sql_type = Text)]
    label: String,
}

fn tokens(store: &Store) -> i64 {
    let count = |conn: &mut kehu_kernel::Conn| {
        Ok(sql_query("SELECT count(*) AS number FROM customer_tokens").get_result::<Number>(&mut conn.db)?)
    };
    store.read_blocking(count).unwrap().number
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

fn questions(name: &str, store: &Store, server: &Server, customers: u64) {
    let some = |n: u64| n * (customers / ASKED).max(1) % customers;
    let people = || (0..ASKED).map(|n| person(some(n)));
    let syllables = |name: &str| kehu_customer::profile::pinyin_of(name).unwrap();
    let numbers: Vec<String> = store
        .read_blocking(|conn| {
            let query = sql_query("SELECT number AS label FROM customers ORDER BY id LIMIT 300");
            Ok(query.load::<Label>(&mut conn.db)?.into_iter().map(|row| row.label).collect())
        })
        .unwrap();
    let kinds: [(&str, Vec<String>); 9] = [
        ("two characters", people().map(|name| name.chars().take(2).collect()).collect()),
        ("one character", people().map(|name| name.chars().take(1).collect()).collect()),
        ("the most common character", vec!["王".to_owned(); 300]),
        ("whole pinyin", people().map(|name| syllables(&name).replace(' ', "")).collect()),
        ("pinyin of a surname", people().map(|name| syllables(&name).split(' ').next().unwrap().to_owned()).collect()),
        ("initials", people().map(|name| syllables(&name).split(' ').filter_map(|s| s.chars().next()).collect()).collect()),
        ("Latin prefix", (0..ASKED).map(|n| latin(some(n)).chars().take(4).collect()).collect()),
        ("two words", people().map(|name| name.chars().rev().take(2).map(String::from).collect::<Vec<_>>().join(" ")).collect()),
        ("number", numbers),
    ];
    let actors = [("all", Actor::system()), ("one branch of 300", at(store, "P3-7")), ("a province of 50", at(store, "P3"))];
    for (reach, actor) in &actors {
        for (kind, asked) in &kinds {
            let mut sizes = 0;
            let mut one = |q: &String| {
                let what: CustomerSearch = serde_json::from_value(json!({ "q": q })).unwrap();
                let started = Instant::now();
                let page = store.read_blocking(|conn| search::search(conn, actor, what.clone())).unwrap();
                sizes += page.items.len();
                started.elapsed()
            };
            let times = asked.iter().map(&mut one).collect();
            show(
                &format!("{name}: search, {kind}, reach {reach}, {:.1} finds a page", precise(sizes as u64) / precise(ASKED)),
                times,
            );
        }
        let look = |n: u64| {
            let what = serde_json::from_value(json!({ "phone": phone(some(n)) })).unwrap();
            let started = Instant::now();
            store.read_blocking(|conn| lookup::lookup(conn, actor, &what, |_, _, _| Ok(Vec::new()))).unwrap();
            started.elapsed()
        };
        show(&format!("{name}: lookup by phone, reach {reach}"), (0..ASKED).map(look).collect());
        let resemble = |n: u64| {
            let what = json!({ "kind": "personal", "name": person(some(n)), "phones": [phone(some(n))] });
            let what: MatchFacts = serde_json::from_value(what).unwrap();
            let started = Instant::now();
            store.read_blocking(|conn| matching::find(conn, actor, &what)).unwrap();
            started.elapsed()
        };
        show(&format!("{name}: match of one, by name and phone, reach {reach}"), (0..ASKED).map(resemble).collect());
    }
    least(name, store, &kinds[0].1);
    let over_http: Vec<Vec<u8>> = kinds[0].1.iter().map(|q| caller::post("/v1/customers/search", &json!({ "q": q }))).collect();
    show(&format!("{name}: search over HTTP, two characters, reach all"), caller::latencies(server.address, &over_http));
    let over_http: Vec<Vec<u8>> =
        (0..ASKED).map(|n| caller::post("/v1/customers/lookup", &json!({ "phone": phone(some(n)) }))).collect();
    show(&format!("{name}: lookup over HTTP, by phone, reach all"), caller::latencies(server.address, &over_http));
}

/// The same first page in plain SQL: a range of the index and the customers' names.
fn least(name: &str, store: &Store, asked: &[String]) {
    let one = |q: &String| {
        let (from, to) = (format!("1{q}"), format!("1{q}\u{10ffff}"));
        let started = Instant::now();
        store
            .read_blocking(|conn| {
                let query = sql_query(
                    "SELECT c.display_name AS label FROM customer_tokens t JOIN customers c ON c.id = t.customer_id
                      WHERE t.token >= $1 AND t.token < $2 ORDER BY t.token, t.customer_id LIMIT 51",
                );
                Ok(query.bind::<Text, _>(&from).bind::<Text, _>(&to).load::<Label>(&mut conn.db)?.len())
            })
            .unwrap();
        started.elapsed()
    };
    show(&format!("{name}: index probe in SQL, two characters"), asked.iter().map(one).collect());
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{what}  p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(50), at(99), at(100));
}
