//! What a customer is told of its accounts when everything that is held is handed out.

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{Conn, Result, schema::accounts, store::document};
use serde_json::{Map, Value};

use crate::{
    account::AccountId,
    link::LinkRole,
    number::{ACCOUNT, normalise},
};

/// Links of customers, each with its account: for owners with the number in full, the balance and the transactions of
/// the time of the link, for others with the masked number.
pub(crate) fn links(conn: &mut Conn, customers: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "account_links", "customer_id", "id", customers, &[])?;
    let ids: BTreeSet<AccountId> = rows.iter().filter_map(|row| id(row, "account_id")).collect();
    let owned: BTreeSet<AccountId> = rows.iter().filter(|row| owns(row)).filter_map(|row| id(row, "account_id")).collect();
    let accounts = accounts(conn, &ids.into_iter().collect::<Vec<_>>())?;
    let transactions = transactions(conn, &owned.into_iter().collect::<Vec<_>>())?;
    let shown = |mut row: Map<String, Value>| {
        let account = id(&row, "account_id");
        let known = account.and_then(|account| accounts.get(&account));
        if let Some(known) = known {
            let hidden = |name: &str| !owns(&row) && !["id", "number_masked", "currency", "status"].contains(&name);
            let told = known.iter().filter(|(name, _)| !hidden(name)).map(|(name, value)| (name.clone(), value.clone()));
            let told: Map<String, Value> = told.collect();
            row.insert("account".to_owned(), Value::Object(told));
        }
        let moves = account.filter(|_| owns(&row)).and_then(|account| transactions.get(&account));
        let during: Vec<Value> =
            moves.into_iter().flatten().filter(|booked| during(&row, booked)).cloned().map(Value::Object).collect();
        row.insert("transactions".to_owned(), Value::Array(during));
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

/// Whether a transaction was booked while the link held. Dates compare as their texts do.
fn during(link: &Map<String, Value>, booked: &Map<String, Value>) -> bool {
    let Some(day) = text(booked, "booked_on") else { return false };
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

fn transactions(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, Vec<Map<String, Value>>>> {
    let mut found: HashMap<AccountId, Vec<Map<String, Value>>> = HashMap::new();
    for row in document::rows(conn, "transactions", "account_id", "id", ids, &[])? {
        if let Some(account) = id(&row, "account_id") {
            found.entry(account).or_default().push(row);
        }
    }
    Ok(found)
}
