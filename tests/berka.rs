//! A real bank, imported as `kehu import` does it, with its known answers. Needs the export of 1993–98 beside the
//! repository and is skipped without it.

use std::{collections::BTreeMap, path::PathBuf};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use kehu_intake::import;
use kehu_kernel::{Actor, Date, Error, Store};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{App, Client, ledger::text},
};

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

/// The one number that a query gives: for what no list shows any more.
fn number(store: &Store, sql: &str) -> i64 {
    store
        .read_blocking(|conn| Ok(sql_query(format!("SELECT CAST(({sql}) AS BIGINT) AS n")).get_result::<Number>(&mut conn.db)?.n))
        .unwrap()
}

/// A whole list, page by page.
async fn all(admin: &Client<'_>, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/{list}&limit=200{cursor}")).await.expect(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

async fn known_answers(app: &App) {
    let admin = app.role("administrator");
    let total = async |list: &str| {
        let page = admin.get(&format!("/v1/{list}&limit=1&include_total=true")).await.expect(200);
        page["total"].as_i64().unwrap()
    };
    for (list, expected) in [
        ("customers?kind=personal", 5_369),
        ("customers?gender=female", 2_645),
        ("customers?gender=male", 2_724),
        ("accounts?category=deposit", 4_500),
        ("accounts?category=loan", 682),
        ("accounts?repayment_state=repaid", 203),
        ("accounts?repayment_state=defaulted", 31),
        ("accounts?repayment_state=performing", 403),
        ("accounts?repayment_state=overdue", 45),
        ("accounts?category=card", 892),
        ("accounts?card_kind=classic", 659),
        ("accounts?card_kind=junior", 145),
        ("accounts?card_kind=gold", 88),
        ("standing-orders?status=active", 6_471),
    ] {
        assert_eq!(total(list).await, expected, "{list}");
    }
    let orders = admin.get("/v1/standing-orders?limit=1&include_total=true").await.expect(200);
    assert_eq!(orders["sums"], json!([{ "amount": "21228993.60", "currency": "CZK" }]));
    let totals = async |day: &str| admin.get(&format!("/v1/account-totals?as_of={day}")).await.expect(200)["items"].clone();
    for (day, expected) in [("1993-12-31", "36575946.10"), ("1994-02-28", "36710603.70")] {
        assert_eq!(totals(day).await[0]["balance"], json!({ "amount": expected, "currency": "CZK" }), "{day}");
    }
    let last = &totals("1994-03-31").await[0];
    assert_eq!(last["credit_count"].as_i64().unwrap() + last["debit_count"].as_i64().unwrap(), 49_102);
    links_by_role(&admin).await;
    // What is kept by day and by month says the same.
    for day in ["1993-12-31", "1994-02-28"] {
        let months = format!("SELECT SUM(credit_minor) - SUM(debit_minor) FROM account_monthly_totals WHERE month <= '{day}'");
        let days = months.replace("monthly", "daily").replace("month <=", "day <=");
        assert_eq!(number(&app.store, &months), number(&app.store, &days), "{day}");
    }
}

/// Loans and cards are accounts of their own, which name the deposit that they belong to.
async fn links_by_role(admin: &Client<'_>) {
    let mut categories = BTreeMap::new();
    for account in all(admin, "accounts?source_system=berka").await {
        let category = text(&account["category"]);
        assert_eq!(account["parent"].is_null(), category == "deposit", "{account}");
        categories.insert(text(&account["id"]), category);
    }
    let mut found = BTreeMap::<(String, String), usize>::new();
    for role in ["owner", "authorised_signatory", "borrower"] {
        for link in all(admin, &format!("account-links?role={role}")).await {
            *found.entry((categories[&text(&link["account"]["id"])].clone(), role.to_owned())).or_default() += 1;
        }
    }
    let expected = [
        ("card", "owner", 892),
        ("deposit", "authorised_signatory", 869),
        ("deposit", "owner", 4_500),
        ("loan", "borrower", 682),
    ];
    assert_eq!(found, expected.map(|(category, role, count)| ((category.to_owned(), role.to_owned()), count)).into());
    let links = admin.get("/v1/account-links?limit=1&include_total=true").await.expect(200);
    assert_eq!(links["total"], 6_943);
}

/// Three people whom the export shows line by line: an owner with a loan, who else may sign, a holder of a card.
async fn known_people(app: &App) {
    let admin = app.role("administrator");
    let customers: BTreeMap<String, String> = all(&admin, "customers?kind=personal")
        .await
        .iter()
        .map(|customer| (text(&customer["display_name"]), text(&customer["id"])))
        .collect();
    assert_eq!(customers.len(), 5_369);
    let view = async |client: u32| {
        let id = &customers[&format!("berka {client}")];
        admin.get(&format!("/v1/customers/{id}/view")).await.expect(200)
    };
    let money = |amount: &str| json!({ "amount": amount, "currency": "CZK" });
    let age = |year, month, day| Date::new(year, month, day).unwrap().years_until(app.store.now().date());
    let facts = |view: &Value| {
        let customer = &view["profile"]["customer"];
        let account = &view["accounts"]["groups"][0]["accounts"][0];
        let counts = ["loan_count", "card_count", "standing_order_count", "transaction_count"].map(|name| view[name].clone());
        json!([
            customer["personal"]["gender"],
            customer["personal"]["birth_date"],
            customer["age"],
            view["accounts"]["account_count"],
            account["links"][0]["role"],
            account["account"]["balance"]["amount"],
            counts
        ])
    };
    let owner = view(2).await;
    assert_eq!(facts(&owner), json!(["male", "1945-02-04", age(1945, 2, 4), 1, "owner", "31056.10", [1, 0, 2, 76]]));
    assert_eq!(owner["profile"]["customer"]["home_branch"]["label"], "Hl.m. Praha");
    let loan = &owner["loans"][0];
    assert_eq!((&loan["account"]["loan"]["principal"], &loan["links"][0]["role"]), (&money("80952.00"), &json!("borrower")));
    assert_eq!(
        (&loan["account"]["loan"]["term_months"], &loan["account"]["loan"]["repayment_state"]),
        (&json!(24), &json!("repaid"))
    );
    let latest = &owner["transactions"][0];
    assert_eq!((&latest["booked_on"], &latest["balance_after"]), (&json!("1994-03-31"), &money("31056.10")));
    let signatory = facts(&view(3).await);
    let role = json!("authorised_signatory");
    assert_eq!(signatory, json!(["female", "1940-10-09", age(1940, 10, 9), 1, role, "31056.10", [0, 0, 2, 76]]));
    let holder = view(9593).await;
    let card = &holder["cards"][0];
    assert_eq!((&holder["card_count"], &card["account"]["card"]["kind"]), (&json!(1), &json!("classic")));
    assert_eq!((&card["account"]["opened_on"], &card["links"][0]["role"]), (&json!("1993-11-07"), &json!("owner")));
}

async fn the_same_bank_again_changes_nothing_and_can_be_taken_back(app: App) {
    let Some(directory) = export() else { return };
    let first = run(&app.store, &directory, &mut |_| {}).unwrap();
    assert_eq!((first.counts.read, first.counts.created, first.counts.rejected, first.counts.parked), (72_468, 74_050, 0, 0));
    known_answers(&app).await;
    known_people(&app).await;
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
    known_answers(&app).await;
}

fn run(store: &Store, directory: &std::path::Path, show: &mut dyn FnMut(import::Progress)) -> Result<import::Summary, Error> {
    let directory = import::Directory { source: "berka".into(), mapping: mapping(), path: directory.to_owned() };
    import::run_directory(store, &Actor::system(), &directory, show)
}
