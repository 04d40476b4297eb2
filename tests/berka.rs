//! A real bank, imported as `kehu import` does it, with its known answers. Needs the export of 1993–98 beside the
//! repository and is skipped without it.

use std::path::PathBuf;

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use kehu_intake::import;
use kehu_kernel::{Actor, Error, Store};
use serde_json::{Value, json};

use crate::{both_databases, support::App};

both_databases!(the_same_bank_again_changes_nothing_and_can_be_taken_back, a_killed_import_goes_on_where_it_stopped);

fn export() -> Option<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let beside = [root.join("../shared/data/berka"), root.join("../../shared/data/berka")];
    let found = beside.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        log::warn!("skipped: there is no ../shared/data/berka");
    }
    found
}

fn mapping() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/intake/mappings/berka.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The one number that a query gives.
fn number(store: &Store, sql: &str) -> i64 {
    store
        .read_blocking(|conn| Ok(sql_query(format!("SELECT CAST(({sql}) AS BIGINT) AS n")).get_result::<Number>(&mut conn.db)?.n))
        .unwrap()
}

fn known_answers(store: &Store) {
    let count = |from: &str| number(store, &format!("SELECT COUNT(*) FROM {from}"));
    assert_eq!(count("customers WHERE kind = 'personal'"), 5_369);
    assert_eq!(count("personal_profiles WHERE gender = 'female'"), 2_645);
    assert_eq!(count("personal_profiles WHERE gender = 'male'"), 2_724);
    let accounts =
        |category: &str| count(&format!("accounts a JOIN products p ON p.id = a.product_id WHERE p.category = '{category}'"));
    assert_eq!((accounts("deposit"), accounts("loan"), accounts("card")), (4_500, 682, 892));
    for (state, expected) in [("repaid", 203), ("defaulted", 31), ("performing", 403), ("overdue", 45)] {
        assert_eq!(count(&format!("loans WHERE repayment_state = '{state}'")), expected, "{state}");
    }
    for (kind, expected) in [("classic", 659), ("junior", 145), ("gold", 88)] {
        assert_eq!(count(&format!("cards WHERE kind = '{kind}'")), expected, "{kind}");
    }
    assert_eq!(count("accounts WHERE parent_account_id IS NOT NULL"), 682 + 892);
    for (role, expected) in [("owner", 4_500 + 892), ("authorised_signatory", 869), ("borrower", 682)] {
        assert_eq!(count(&format!("account_links WHERE role = '{role}'")), expected, "{role}");
    }
    assert_eq!(number(store, "SELECT SUM(amount_minor) FROM standing_orders"), 2_122_899_360);
    assert_eq!((count("standing_orders"), count("transactions")), (6_471, 49_102));
    let sum = |until: &str| {
        let months = format!("SELECT SUM(credit_minor) - SUM(debit_minor) FROM account_monthly_totals WHERE month <= '{until}'");
        let days = months.replace("monthly", "daily").replace("month <=", "day <=");
        let (months, days) = (number(store, &months), number(store, &days));
        assert_eq!(months, days, "{until}");
        days
    };
    assert_eq!((sum("1993-12-31"), sum("1994-02-28")), (3_657_594_610, 3_671_060_370));
}

async fn the_same_bank_again_changes_nothing_and_can_be_taken_back(app: App) {
    let Some(directory) = export() else { return };
    let first = run(&app.store, &directory, &mut |_| {}).unwrap();
    assert_eq!((first.counts.read, first.counts.created, first.counts.rejected, first.counts.parked), (72_468, 74_050, 0, 0));
    known_answers(&app.store);
    let second = run(&app.store, &directory, &mut |_| {}).unwrap();
    let changed = second.counts.created + second.counts.updated + second.counts.rejected + second.counts.parked;
    assert_eq!((changed, second.counts.unchanged), (0, first.counts.created + first.counts.unchanged));
    let admin = app.role("administrator");
    let at = format!("/v1/imports/{}", first.import_id);
    let version = admin.get(&at).await.expect(200)["version"].as_i64().unwrap();
    assert_eq!(admin.command(&format!("{at}/revert"), version, json!({})).await.expect(200)["state"], "reverted");
    for table in
        ["customers", "accounts", "account_links", "transactions", "account_daily_totals", "account_monthly_totals", "branches"]
    {
        assert_eq!(number(&app.store, &format!("SELECT COUNT(*) FROM {table}")), 0, "{table}");
    }
}

/// Stops again and again in the middle of a batch; the batch is lost with its checkpoint, the rest is not.
async fn a_killed_import_goes_on_where_it_stopped(app: App) {
    let Some(directory) = export() else { return };
    for stop_after in [1, 9, 20] {
        let mut batches = 0;
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&app.store, &directory, &mut |_| {
                batches += 1;
                assert!(batches <= stop_after, "killed");
            })
        }));
        assert!(killed.is_err());
    }
    let last = run(&app.store, &directory, &mut |_| {}).unwrap();
    assert!(last.resumed);
    assert_eq!((last.counts.read, last.counts.created, last.counts.rejected, last.counts.parked), (72_468, 74_050, 0, 0));
    assert_eq!(number(&app.store, "SELECT COUNT(*) FROM imports"), 1);
    known_answers(&app.store);
}

fn run(store: &Store, directory: &std::path::Path, show: &mut dyn FnMut(import::Progress)) -> Result<import::Summary, Error> {
    let directory = import::Directory { source: "berka".into(), mapping: mapping(), path: directory.to_owned() };
    import::run_directory(store, &Actor::system(), &directory, show)
}
