//! Keyed hashes under which customers meet: written with every change of a customer, probed by every match.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{
    ExpressionMethods, Insertable, QueryDsl, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Array, BigInt},
};
use kehu_kernel::{
    Conn, Kind, Result, Tx, bulk_copy, each,
    schema::match_keys,
    store::{among, given, places, sql},
};

use super::{
    engine,
    facts::{self, Facts},
};
use crate::{CustomerId, create::Draft, facts::Known};

/// Up to how many keys of a write are few: their statement is kept prepared.
const FEW: usize = 8;

/// One key of one customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Insertable)]
#[diesel(table_name = match_keys, treat_none_as_default_value = false)]
pub(crate) struct Key {
    pub key: i64,
    pub customer_id: CustomerId,
}

/// The keys of customers that are about to be written for the first time.
///
/// # Errors
/// [`kehu_kernel::Error::Internal`] when a number does not open.
pub(crate) fn of_drafts(conn: &Conn, drafts: &[Draft]) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    for draft in drafts {
        keys.extend(of(conn, draft.row.id, &Facts::of_draft(conn, draft)?));
    }
    Ok(keys)
}

fn of(conn: &Conn, customer_id: CustomerId, facts: &Facts) -> impl Iterator<Item = Key> + use<> {
    let keys = engine::keys(facts, &engine::prepare(facts), &engine::salt(&conn.keys));
    keys.into_iter().map(move |key| Key { key, customer_id })
}

/// Holds the keys of a customer that is about to be written: of two writers of the same customer, the second one
/// waits for the first and then sees its keys.
///
/// # Errors
/// The database's.
pub(crate) fn hold(tx: &mut Tx<'_>, facts: &Facts) -> Result<()> {
    let keys = engine::keys(facts, &engine::prepare(facts), &engine::salt(&tx.keys));
    tx.hold(&keys)
}

/// Writes the keys of customers that have none yet.
///
/// # Errors
/// The database's.
pub(crate) fn write(tx: &mut Tx<'_>, mut keys: Vec<Key>) -> Result<()> {
    // In the order of the index.
    keys.sort_unstable();
    if (1..=FEW).contains(&keys.len()) {
        let text = format!("INSERT INTO match_keys (key, customer_id) VALUES {}", places(keys.len(), 2));
        let values = keys.iter().flat_map(|key| [key.key.into(), key.customer_id.into()]).collect();
        given::<()>(text, values).execute(&mut tx.db)?;
        return Ok(());
    }
    bulk_copy!(tx, match_keys::table, keys)?;
    Ok(())
}

/// Brings the keys of customers in step with what is known of them now; absorbed ones lose theirs. Only what has
/// become different is written.
///
/// # Errors
/// The database's.
pub(crate) fn refresh(tx: &mut Tx<'_>, known: &Known, ids: &[CustomerId]) -> Result<()> {
    let wanted: BTreeSet<Key> = facts::of_known(tx, known)?.iter().flat_map(|(id, facts)| of(tx, *id, facts)).collect();
    let kept: Vec<(CustomerId, i64)> = match_keys::table
        .filter(among(match_keys::customer_id, ids.to_vec()))
        .select((match_keys::customer_id, match_keys::key))
        .load(&mut tx.db)?;
    let kept: BTreeSet<Key> = kept.into_iter().map(|(customer_id, key)| Key { key, customer_id }).collect();
    let mut stale: BTreeMap<CustomerId, Vec<i64>> = BTreeMap::new();
    for old in kept.difference(&wanted) {
        stale.entry(old.customer_id).or_default().push(old.key);
    }
    for (customer, keys) in stale {
        let old = match_keys::table.filter(match_keys::customer_id.eq(customer)).filter(match_keys::key.eq_any(keys));
        diesel::delete(old).execute(&mut tx.db)?;
    }
    write(tx, wanted.difference(&kept).cloned().collect())
}

#[derive(QueryableByName)]
struct Member {
    #[diesel(sql_type = BigInt)]
    key: i64,
    #[diesel(sql_type = sql::Uuid)]
    customer_id: CustomerId,
}

/// The customers under each of the keys, as far as they are not more than `cap`: what is common to more customers tells
/// nothing about any of them. Keys without such customers are left out.
///
/// # Errors
/// The database's.
pub(crate) fn members(conn: &mut Conn, keys: &[i64], cap: usize) -> Result<HashMap<i64, Vec<CustomerId>>> {
    // One more is read, to tell a full block from one that is too large.
    let limit = i64::try_from(cap).unwrap_or(i64::MAX).saturating_add(1);
    let mut members: HashMap<i64, Vec<CustomerId>> = HashMap::with_capacity(keys.len());
    let spread = conn.distributed;
    match &mut conn.db.kind {
        Kind::Postgres(conn) if !spread => {
            let probe = "SELECT k.key, m.customer_id FROM unnest($1) AS k(key) CROSS JOIN LATERAL \
                (SELECT customer_id FROM match_keys WHERE match_keys.key = k.key LIMIT $2) AS m";
            let rows = sql_query(probe).bind::<Array<BigInt>, _>(keys).bind::<BigInt, _>(limit).load::<Member>(conn)?;
            for row in rows {
                members.entry(row.key).or_default().push(row.customer_id);
            }
        }
        // Embedded, a prepared statement a key costs less than one statement for all; spread over machines, a key lies on one.
        _ => {
            for key in keys {
                let block = match_keys::table.filter(match_keys::key.eq(*key)).limit(limit).select(match_keys::customer_id);
                members.insert(*key, each!(conn.db, c => block.load(c))?);
            }
        }
    }
    members.retain(|_, block| !block.is_empty() && block.len() <= cap);
    Ok(members)
}
