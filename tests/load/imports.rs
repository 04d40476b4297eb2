//! Imports beside the bare writing of the same rows: customers with all that makes a record of them (S5), and transactions with
//! what is summed of them (S6).

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Run,
    banks::{self, Bank},
    reads::mebibytes,
    report::{Row, Wanted},
    shadow::{Beside, Written},
    tools,
};
use crate::support::process::{kehu, text};

/// Of how many customers one is measured only once: it takes minutes.
const LARGE: u64 = 200_000;
/// Transactions for each account, of which every tenth customer has one.
const TRANSACTIONS: u64 = 100;
/// Characters of family and given names.
const FAMILY: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗";
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华文建国志海春梅";
/// What the number of a resident ends with (GB 11643).
const CHECK: &str = "10X98765432";

/// Customers with a name, a resident's number and a phone each.
pub fn customers(run: &mut Run, bank: &Bank) {
    let files = Files::new();
    files.write("customers.csv", "id,name,sex,born,number,phone", bank.customers, person);
    let person = json!({ "source_id": "id", "full_name": "name", "gender": "sex", "birth_date": "born",
        "branch_code": { "constant": "HO" } });
    let identity = json!({ "customer_source_id": "id", "number": "number", "type": { "constant": "resident_id" } });
    let phone = json!({ "customer_source_id": "id", "value": "phone", "kind": { "constant": "phone" } });
    let feeds = json!([
        { "feed": "customers", "fields": person }, { "feed": "identities", "fields": identity },
        { "feed": "contact_points", "fields": phone },
    ]);
    files.mapping(&json!([{ "pattern": "customers.csv", "feeds": feeds }]));
    let measured = measure(run, bank, bank.customers, |_| (), &files);
    report(run, bank, "S5", "import of customers", &measured, 0.35);
    let more = String::new();
    let pairs = measured.iter().map(|measured| (mebibytes(measured.memory), 512.0)).collect();
    let what = "memory of the import at most".to_owned();
    let (backend, customers) = (bank.backend, bank.customers);
    run.report.add(Row { goal: "S5", what, backend, customers, pairs, unit: "MiB", wanted: Wanted::AtMost(1.0), more });
}

/// Transactions of accounts that are there.
pub fn transactions(run: &mut Run, bank: &Bank) {
    let accounts = bank.customers / 10;
    let (before, files) = (Files::new(), Files::new());
    before.write("accounts.csv", "number,opened", accounts, |n| format!("{n:09},2020-01-02"));
    let account = json!({ "number": "number", "opened_on": "opened", "product_code": { "constant": "CUR" },
        "branch_code": { "constant": "HO" } });
    before.mapping(&json!([{ "pattern": "accounts.csv", "feeds": [{ "feed": "accounts", "fields": account }] }]));
    let line = |n: u64| {
        let (month, day) = (n / accounts % 12 + 1, n / accounts % 28 + 1);
        format!("{n},{:09},2024-{month:02}-{day:02},{}.{:02}", n % accounts, n % 977 + 1, n % 100)
    };
    files.write("transactions.csv", "id,account,day,amount", accounts * TRANSACTIONS, line);
    let transaction = json!({ "source_id": "id", "account_number": "account", "booked_on": "day", "amount": "amount",
        "direction": { "constant": "credit" }, "transaction_type": { "constant": "transfer" } });
    files.mapping(&json!([{ "pattern": "transactions.csv", "feeds": [{ "feed": "transactions", "fields": transaction }] }]));
    let prepared = |url: &str| {
        before.import(url);
    };
    let measured = measure(run, bank, accounts * TRANSACTIONS, prepared, &files);
    report(run, bank, "S6", "import of transactions", &measured, 0.6);
}

fn person(n: u64) -> String {
    let pick = |from: &str, n: u64| from.chars().nth(usize::try_from(n).unwrap() % from.chars().count()).unwrap();
    let name: String = [pick(FAMILY, n), pick(GIVEN, n / 20), pick(GIVEN, n / 600)].iter().collect();
    let (year, month, day) = (1940 + n % 65, n / 65 % 12 + 1, n / 780 % 28 + 1);
    let head = format!("310101{year}{month:02}{day:02}{:03}", n / 21_840 % 1_000);
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: usize = head.bytes().zip(weights).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    let sex = if (n / 21_840).is_multiple_of(2) { "female" } else { "male" };
    format!("{n},{name},{sex},{year}-{month:02}-{day:02},{head}{},138{n:08}", pick(CHECK, u64::try_from(sum).unwrap() % 11))
}

/// What a source hands over, and how it is to be read.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        fs::create_dir(files.folder()).unwrap();
        files
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("files")
    }

    fn write(&self, name: &str, head: &str, lines: u64, line: impl Fn(u64) -> String) {
        let mut text = format!("{head}\n");
        for n in 0..lines {
            writeln!(text, "{}", line(n)).unwrap();
        }
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn mapping(&self, files: &Value) {
        let records = json!([
            { "feed": "branches", "record": { "code": "HO", "name": "Head office", "level": "head_office" } },
            { "feed": "products", "record": { "code": "CUR", "name": "Current", "category": "deposit", "currency": "CNY" } },
        ]);
        let mapping =
            json!({ "code": "bench", "name": "Bench", "document": { "version": 1, "records": records, "files": files } });
        fs::write(self.0.path().join("mapping.json"), mapping.to_string()).unwrap();
    }

    /// Runs the program's own import; how long it took, and the kibibytes that it held at most.
    fn import(&self, url: &str) -> (Duration, u64) {
        let (mapping, folder) = (self.0.path().join("mapping.json"), self.folder());
        let arguments = ["import", "--source", "bench", "--mapping", mapping.to_str().unwrap(), folder.to_str().unwrap()];
        let (started, mut most) = (Instant::now(), 0);
        let mut child = kehu(url, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let status = loop {
            most = tools::most_memory(child.id()).unwrap_or(0).max(most);
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let taken = started.elapsed();
        let told = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
        assert!(status.success() && told.contains(" 0 rejected, 0 parked"), "{told}");
        (taken, most)
    }
}

/// One import and the bare writing of its rows.
struct Measured {
    rows: u64,
    ours: Duration,
    limit: Duration,
    memory: u64,
    tables: String,
}

fn measure(run: &Run, bank: &Bank, rows: u64, prepared: impl Fn(&str), files: &Files) -> Vec<Measured> {
    let repeat = if bank.customers > LARGE { 1 } else { run.repeat };
    let one = |_| {
        let empty = empty(bank);
        text(&empty.url, &["migrate"]);
        prepared(&empty.url);
        let mut beside = Beside::of(&empty);
        let before = beside.counts();
        let (ours, memory) = files.import(&empty.url);
        let written = beside.written_since(&before);
        let limit = match &mut beside {
            Beside::Sqlite(conn) => in_loops(conn, &written),
            Beside::Postgres(_) => by_copy(&empty.url, &written),
        };
        let tables: Vec<String> = written.iter().map(|written| format!("{} {}", written.rows, written.table)).collect();
        Measured { rows, ours, limit, memory, tables: tables.join(", ") }
    };
    (0..repeat).map(one).collect()
}

fn empty(bank: &Bank) -> Bank {
    let url = if bank.backend == "sqlite" {
        let path = banks::folder().join("import.db");
        for end in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{end}", path.display())));
        }
        format!("sqlite://{}", path.display())
    } else {
        banks::make_database("bank_import")
    };
    Bank { backend: bank.backend, customers: bank.customers, url }
}

fn report(run: &mut Run, bank: &Bank, goal: &'static str, name: &str, measured: &[Measured], least: f64) {
    let rate = |rows: u64, time: Duration| f64::from(u32::try_from(rows).unwrap()) / time.as_secs_f64();
    let pairs = measured.iter().map(|one| (rate(one.rows, one.ours), rate(one.rows, one.limit))).collect();
    let how = if bank.backend == "postgres" { "COPY" } else { "prepared loops" };
    let what = format!("{name}; {how} of the same rows ({})", measured[0].tables);
    let (backend, customers, more) = (bank.backend, bank.customers, String::new());
    run.report.add(Row { goal, what, backend, customers, pairs, unit: "/s", wanted: Wanted::AtLeast(least), more });
}

/// All rows in one transaction, a prepared statement for each table.
fn in_loops(conn: &rusqlite::Connection, written: &[Written]) -> Duration {
    let started = Instant::now();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    for Written { table, columns, .. } in written {
        let (names, places) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
        let mut made = conn.prepare(&format!("SELECT {names} FROM made_{table}")).unwrap();
        let mut insert = conn.prepare(&format!("INSERT INTO shadow_{table} ({names}) VALUES ({places})")).unwrap();
        let mut rows = made.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns.len()).map(|place| row.get_unwrap::<_, rusqlite::types::Value>(place));
            insert.execute(rusqlite::params_from_iter(values)).unwrap();
        }
    }
    conn.execute_batch("COMMIT").unwrap();
    started.elapsed()
}

/// All rows in one transaction, from files that psql reads.
fn by_copy(url: &str, written: &[Written]) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let psql = |way: &str, prefix: &str| {
        let (script, mut text) = (folder.path().join("script.sql"), String::new());
        for Written { table, columns, .. } in written {
            let file = folder.path().join(table);
            writeln!(text, "\\copy {prefix}_{table} ({}) {way} '{}' (FORMAT binary)", columns.join(", "), file.display())
                .unwrap();
        }
        fs::write(&script, text).unwrap();
        one_transaction(url, &script)
    };
    psql("TO", "made");
    psql("FROM", "shadow")
}

fn one_transaction(url: &str, script: &Path) -> Duration {
    let started = Instant::now();
    let output = Command::new("psql").args(["-q", "-1", "-v", "ON_ERROR_STOP=1", "-f"]).arg(script).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    started.elapsed()
}
