//! `kehu import` killed again and again, beside one that nobody disturbs.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    postgres,
    process::{Caller, Server, free_address, kehu, text},
};

const CUSTOMERS: usize = 4_000;
const ROWS: i64 = 4 * 4_000 + 4;

#[test]
fn sqlite() {
    let directory = tempfile::tempdir().unwrap();
    a_killed_import_ends_as_an_undisturbed_one(&format!("sqlite://{}/kehu.db", directory.path().display()));
}

#[test]
fn postgres() {
    a_killed_import_ends_as_an_undisturbed_one(&postgres::empty_database());
}

/// Customers, an account for each, its link and a transaction; and a mapping that takes them in this order.
fn export(directory: &Path) {
    let files = directory.join("files");
    fs::create_dir(&files).unwrap();
    let mut texts = [
        ("a-clients.csv", String::from("id,name,sex,born\n")),
        ("b-accounts.csv", String::from("number,opened\n")),
        ("c-links.csv", String::from("account,customer\n")),
        ("d-moves.csv", String::from("id,account,day,amount\n")),
    ];
    for n in 0..CUSTOMERS {
        let (sex, year, day) = (if n % 3 == 0 { "female" } else { "male" }, 1940 + n % 60, 1 + n % 28);
        let lines = [
            format!("{n},Person {n},{sex},{year}-03-{day:02}"),
            format!("{n:07},2020-01-{day:02}"),
            format!("{n:07},{n}"),
            format!("{n},{n:07},2024-02-{day:02},{}.{:02}", n % 977 + 1, n % 100),
        ];
        for ((_, text), line) in texts.iter_mut().zip(lines) {
            writeln!(text, "{line}").unwrap();
        }
    }
    for (name, text) in texts {
        fs::write(files.join(name), text).unwrap();
    }
    let constant = |value: &str| json!({ "constant": value });
    let file =
        |pattern: &str, feed: &str, fields: Value| json!({ "pattern": pattern, "feeds": [{ "feed": feed, "fields": fields }] });
    let mapping = json!({ "code": "many", "name": "Many rows", "document": {
        "version": 1,
        "records": [
            { "feed": "branches", "record": { "code": "HO", "name": "Head office", "level": "head_office" } },
            { "feed": "branches", "record": { "code": "N", "name": "North", "level": "outlet", "parent_code": "HO" } },
            { "feed": "branches", "record": { "code": "S", "name": "South", "level": "outlet", "parent_code": "HO" } },
            { "feed": "products", "record": { "code": "CUR", "name": "Current", "category": "deposit", "currency": "CNY" } },
        ],
        "files": [
            file("a-*.csv", "customers", json!({ "source_id": "id", "full_name": "name", "gender": "sex", "birth_date": "born",
                "branch_code": constant("N") })),
            file("b-*.csv", "accounts", json!({ "number": "number", "product_code": constant("CUR"), "opened_on": "opened",
                "branch_code": constant("S") })),
            file("c-*.csv", "account_links", json!({ "account_number": "account", "customer_source_id": "customer",
                "role": constant("owner"), "primary": { "constant": true } })),
            file("d-*.csv", "transactions", json!({ "source_id": "id", "account_number": "account", "booked_on": "day",
                "amount": "amount", "direction": constant("credit"), "transaction_type": constant("transfer") })),
        ],
    } });
    fs::write(directory.join("mapping.json"), mapping.to_string()).unwrap();
}

fn start(url: &str, directory: &Path) -> Child {
    let (mapping, files) = (directory.join("mapping.json"), directory.join("files"));
    let arguments = ["import", "--source", "many", "--mapping", mapping.to_str().unwrap(), files.to_str().unwrap()];
    kehu(url, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn get(caller: &Caller, path: &str) -> Value {
    let (status, body) = caller.get(path).unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// How many rows the import has read, as the server beside it sees them.
fn read(caller: &Caller) -> i64 {
    get(caller, "/v1/imports")["items"].as_array().unwrap().first().map_or(0, |import| import["counts"]["read"].as_i64().unwrap())
}

/// What a bank can tell of its data, without ids and moments.
fn state(caller: &Caller) -> Value {
    let mut customers = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = get(caller, &format!("/v1/customers?limit=200{cursor}"));
        for customer in page["items"].as_array().unwrap() {
            let person = &customer["personal"];
            let facts = [&person["full_name"], &person["gender"], &person["birth_date"], &customer["home_branch"]["label"]];
            assert!(customers.insert(json!([facts, customer["version"]]).to_string()), "twice: {customer}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let total = |list: &str| get(caller, &format!("/v1/{list}?limit=1&include_total=true"))["total"].clone();
    let imports = get(caller, "/v1/imports");
    let import = &imports["items"][0];
    let totals = ["branches", "products", "accounts", "account-links", "imports"].map(total);
    let sums = ["2024-02-10", "2024-02-29"].map(|day| get(caller, &format!("/v1/account-totals?as_of={day}"))["items"].clone());
    json!({ "customers": customers, "totals": totals, "sums": sums, "import": [&import["state"], &import["counts"]] })
}

fn a_killed_import_ends_as_an_undisturbed_one(url: &str) {
    let directory = tempfile::tempdir().unwrap();
    export(directory.path());
    text(url, &["migrate"]);
    let server = Server::start(url, free_address(), &[]);
    let caller = Caller::administrator(&format!("http://{}", server.address));
    for kill in 1..=4 {
        let goal = read(&caller) + 1_500;
        let mut import = start(url, directory.path());
        let deadline = Instant::now() + Duration::from_secs(60);
        while read(&caller) < goal {
            assert!(import.try_wait().unwrap().is_none(), "ended before it could be killed for the {kill}. time");
            assert!(Instant::now() < deadline, "the import does not come on");
            std::thread::sleep(Duration::from_millis(3));
        }
        import.kill().unwrap();
        import.wait().unwrap();
    }
    let before = read(&caller);
    assert!(before < ROWS, "{before} rows are all of them");
    assert!(start(url, directory.path()).wait().unwrap().success());
    assert_eq!(read(&caller), ROWS);

    let quiet = tempfile::tempdir().unwrap();
    let other = format!("sqlite://{}/kehu.db", quiet.path().display());
    text(&other, &["migrate"]);
    assert!(start(&other, directory.path()).wait().unwrap().success());
    let undisturbed = Server::start(&other, free_address(), &[]);
    let expected = state(&Caller::administrator(&format!("http://{}", undisturbed.address)));
    assert_eq!(expected["totals"], json!([3, 1, CUSTOMERS, CUSTOMERS, 1]));
    assert_eq!(expected["import"][1]["created"], 4 * CUSTOMERS + 4);
    assert!(state(&caller) == expected, "not the same state");
    // Not one event more or less, and none of them broken.
    assert_eq!(text(url, &["audit", "verify"]), text(&other, &["audit", "verify"]));
}
