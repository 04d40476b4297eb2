//! What a customer is told of its accounts when everything that is held is handed out.

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Conn, Result,
    schema::{accounts, cards},
    store::document,
};
use serde_json::{Map, Value};

use crate::{
    account::AccountId,
    link::LinkRole,
    number::{ACCOUNT, CARD, normalise},
};

/// How many transactions, and how many balances, one export hands out in all, the newest of each account first.
const MOST: usize = 50_000;

/// What an account has besides: tables, and what their rows are ordered by.
const PARTS: &[(&str, &str)] =
    &[("deposits", "account_id"), ("loans", "account_id"), ("holdings", "account_id"), ("standing_orders", "id")];

/// Links of customers, each with its account: for owners with the number in full, what the account is (deposit, loan, card,
/// holding), its standing orders, and balances and transactions of the time of the link; for others with the masked number.
pub(crate) fn links(conn: &mut Conn, customers: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "account_links", "customer_id", "id", customers, &[])?;
    let ids: BTreeSet<AccountId> = rows.iter().filter_map(|row| id(row, "account_id")).collect();
    let owned: BTreeSet<AccountId> = rows.iter().filter(|row| owns(row)).filter_map(|row| id(row, "account_id")).collect();
    let accounts = accounts(conn, &ids.into_iter().collect::<Vec<_>>())?;
    let owned: Vec<AccountId> = owned.into_iter().collect();
    let parts = parts(conn, &owned)?;
    let most = MOST / owned.len().max(1);
    let transactions = booked(conn, "transactions", &["booked_at", "id"], &owned, most)?;
    let balances = booked(conn, "account_balances", &["day"], &owned, most)?;
    let shown = |mut row: Map<String, Value>| {
        let account = id(&row, "account_id");
        let known = account.and_then(|account| accounts.get(&account));
        if let Some(known) = known {
            let hidden = |name: &str| !owns(&row) && !["id", "number_masked", "currency", "status"].contains(&name);
            let told = known.iter().filter(|(name, _)| !hidden(name)).map(|(name, value)| (name.clone(), value.clone()));
            let told: Map<String, Value> = told.collect();
            row.insert("account".to_owned(), Value::Object(told));
        }
        let ours = account.filter(|_| owns(&row));
        if let Some(parts) = ours.and_then(|account| parts.get(&account)) {
            row.extend(parts.clone());
        }
        for (section, day, all) in [("transactions", "booked_on", &transactions), ("balances", "day", &balances)] {
            let all = ours.and_then(|account| all.get(&account)).map(Vec::as_slice).unwrap_or_default();
            let those: Vec<Value> =
                all.iter().filter(|booked| during(&row, text(booked, day))).cloned().map(Value::Object).collect();
            // Whoever holds a part only is told so, and from which day on it is whole.
            let from = all.last().filter(|_| all.len() >= most).and_then(|oldest| text(oldest, day)).map(str::to_owned);
            row.insert(section.to_owned(), Value::Array(those));
            row.insert(format!("{section}_only_from"), from.map_or(Value::Null, Value::String));
        }
        Value::Object(row)
    };
    Ok(rows.into_iter().map(shown).collect())
}

fn id(row: &Map<String, Value>, column: &str) -> Option<AccountId> {
    row.get(column)?.as_str()?.parse().ok()
}

fn text<'a>(row: &'a Map<String, Value>, column: &str) -> Option<&'a str> {
    row.get(column)?.as_str()
}

fn owns(link: &Map<String, Value>) -> bool {
    text(link, "role").and_then(|role| role.parse::<LinkRole>().ok()).is_some_and(LinkRole::owns)
}

/// Whether a day lies in the time of a link. Dates compare as their texts do.
fn during(link: &Map<String, Value>, day: Option<&str>) -> bool {
    let Some(day) = day else { return false };
    text(link, "valid_from").is_none_or(|from| from <= day) && text(link, "valid_to").is_none_or(|to| day < to)
}

fn accounts(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, Map<String, Value>>> {
    let mut numbers: HashMap<AccountId, String> = HashMap::new();
    for chunk in ids.chunks(5_000) {
        let sealed: Vec<(AccountId, Vec<u8>)> = accounts::table
            .filter(accounts::id.eq_any(chunk))
            .select((accounts::id, accounts::number_sealed))
            .load(&mut conn.db)?;
        for (id, sealed) in sealed {
            numbers.insert(id, normalise(&conn.keys.open(ACCOUNT, id, &sealed)?));
        }
    }
    let rows = document::rows(conn, "accounts", "id", "id", ids, &[])?;
    let numbered = |mut row: Map<String, Value>| {
        let id = id(&row, "id")?;
        row.insert("number".to_owned(), numbers.get(&id).cloned().map_or(Value::Null, Value::String));
        Some((id, row))
    };
    Ok(rows.into_iter().filter_map(numbered).collect())
}

/// By account and section, what it is and its standing orders.
fn parts(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, Map<String, Value>>> {
    let mut found: HashMap<AccountId, Map<String, Value>> = HashMap::new();
    let mut add = |section: &str, row: Map<String, Value>| {
        let Some(account) = id(&row, "account_id") else { return };
        let entry = found.entry(account).or_default().entry(section).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(rows) = entry {
            rows.push(Value::Object(row));
        }
    };
    for (table, key) in PARTS {
        for row in document::rows(conn, table, "account_id", key, ids, &[])? {
            add(table, row);
        }
    }
    let mut numbers: HashMap<AccountId, String> = HashMap::new();
    for chunk in ids.chunks(5_000) {
        let sealed: Vec<(AccountId, Option<Vec<u8>>)> = cards::table
            .filter(cards::account_id.eq_any(chunk))
            .select((cards::account_id, cards::pan_sealed))
            .load(&mut conn.db)?;
        for (account, sealed) in sealed {
            if let Some(sealed) = sealed {
                numbers.insert(account, conn.keys.open(CARD, account, &sealed)?);
            }
        }
    }
    for mut row in document::rows(conn, "cards", "account_id", "account_id", ids, &["pan_masked"])? {
        let number = id(&row, "account_id").and_then(|account| numbers.get(&account)).cloned();
        row.insert("pan".to_owned(), number.map_or(Value::Null, Value::String));
        add("cards", row);
    }
    Ok(found)
}

/// The last rows of each account, the newest first.
fn booked(
    conn: &mut Conn,
    table: &str,
    order: &[&str],
    ids: &[AccountId],
    most: usize,
) -> Result<HashMap<AccountId, Vec<Map<String, Value>>>> {
    let mut found = HashMap::new();
    for account in ids {
        found.insert(*account, document::last(conn, table, "account_id", order, *account, most)?);
    }
    Ok(found)
}
