//! What is derived from a customer's facts and kept beside them: the ratios of its quality, the tokens by which it is
//! found, and the keys by which it is compared.
//!
//! Every write of a customer ends here, in its own transaction: new customers by [`Derived`], which costs no
//! read, changed ones by [`refresh`], which reads the customers again and writes what has become different.
//! Customers that were absorbed by a merge, or erased, have no tokens and no keys. A database whose customers are
//! older than what is derived from them is brought up by [`reindex`].

use std::collections::{BTreeSet, HashMap};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper,
};
use kehu_kernel::{
    AnyId, Conn, Error, Result, Store, Tx, bulk_copy,
    schema::{customer_tokens, customers},
    store::among,
};

use crate::{
    CustomerId, CustomerRow,
    facts::{Facts, Known},
    matching, quality, search,
};

/// How many customers are read at once.
const CHUNK: usize = 500;
/// How many customers one transaction of a reindexing writes.
const BATCH: i64 = 250;

/// One token of one customer, with the branch that keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable, Insertable)]
#[diesel(table_name = customer_tokens, treat_none_as_default_value = false)]
struct CustomerToken {
    customer_id: CustomerId,
    token: String,
    home_branch_id: Option<AnyId>,
}

/// What is derived from the facts of new customers, before they are written.
#[derive(Debug)]
pub(crate) struct Derived {
    tokens: Vec<CustomerToken>,
}

impl Derived {
    /// Derives everything but the ratios of quality, which rows of new customers carry already.
    pub(crate) fn of<'a>(_conn: &Conn, facts: impl Iterator<Item = Facts<'a>>) -> Self {
        Self { tokens: facts.flat_map(|facts| tokens(&facts)).collect() }
    }

    /// Writes it, after the customers themselves.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn write(self, tx: &mut Tx<'_>) -> Result<()> {
        bulk_copy!(tx, customer_tokens::table, self.tokens)?;
        Ok(())
    }
}

/// Derives everything anew for customers that exist; the caller holds their rows. For whatever has written
/// facts of customers: their names, branch, identities, contact points, or whether they were absorbed.
///
/// # Errors
/// The database's.
pub fn refresh(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<()> {
    derive(tx, ids)?;
    // They may be alike to others now, or to others no more.
    matching::bank::changes::mark(tx, ids)
}

/// As [`refresh`], for writes of a customer's identities and contact points; the caller has just read its row.
///
/// # Errors
/// The database's.
pub(crate) fn refresh_records(tx: &mut Tx<'_>, holder: CustomerRow) -> Result<()> {
    let known = Known::around(tx, vec![holder])?;
    refresh_known(tx, &known)
}

/// As [`refresh_records`], of many customers whose rows the caller holds.
///
/// # Errors
/// The database's.
pub(crate) fn refresh_records_of(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<()> {
    ids.chunks(CHUNK).try_for_each(|chunk| {
        let known = Known::load(tx, chunk)?;
        refresh_known(tx, &known)
    })
}

/// As [`refresh`], of customers as the caller knows them now, for writes that touch neither names nor branches nor whether a
/// customer lives: by what it is found stays.
///
/// # Errors
/// The database's.
pub(crate) fn refresh_known(tx: &mut Tx<'_>, known: &Known) -> Result<()> {
    let ids: Vec<CustomerId> = known.all().map(|facts| facts.customer.id).collect();
    derive_nameless(tx, known, &ids)?;
    matching::bank::changes::mark(tx, &ids)
}

fn derive(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<()> {
    for chunk in ids.chunks(CHUNK) {
        let known = Known::load(tx, chunk)?;
        refresh_tokens(tx, &known, chunk)?;
        derive_nameless(tx, &known, chunk)?;
    }
    Ok(())
}

fn derive_nameless(tx: &mut Tx<'_>, known: &Known, ids: &[CustomerId]) -> Result<()> {
    quality::keep(tx, known)?;
    matching::bank::keys::refresh(tx, known, ids)
}

/// Derives everything anew for all customers, from the newest down, a batch in a transaction; `show` hears how many were
/// looked at. Writes only what differs, so it may be stopped, repeated, and run while others write.
///
/// # Errors
/// The database's.
pub fn reindex(store: &Store, show: &mut dyn FnMut(u64)) -> Result<u64> {
    let (mut done, mut last) = (0, None);
    loop {
        let ids = store.read_blocking(|conn| newest(conn, last))?;
        let Some(id) = ids.last().copied() else { return Ok(done) };
        (done, last) = (done + u64::try_from(ids.len()).map_err(Error::internal)?, Some(id));
        store.write_blocking(move |tx| {
            let rows = customers::table.filter(customers::id.eq_any(ids.clone()));
            diesel::update(rows).set(customers::version.eq(customers::version)).execute(&mut tx.db)?;
            derive(tx, &ids)
        })?;
        show(done);
    }
}

fn newest(conn: &mut Conn, before: Option<CustomerId>) -> Result<Vec<CustomerId>> {
    let mut query = customers::table.order(customers::id.desc()).limit(BATCH).select(customers::id).into_boxed();
    if let Some(before) = before {
        query = query.filter(customers::id.lt(before));
    }
    Ok(query.load(&mut conn.db)?)
}

/// Whether customers are older than what is derived from them: [`reindex`] comes to the oldest one last.
///
/// # Errors
/// The database's.
pub fn is_stale(conn: &mut Conn) -> Result<bool> {
    let oldest: Option<CustomerId> = customers::table
        .filter(customers::merged_into.is_null().and(customers::erased_at.is_null()))
        .order(customers::id)
        .select(customers::id)
        .first(&mut conn.db)
        .optional()?;
    let Some(oldest) = oldest else { return Ok(false) };
    let tokens = customer_tokens::table.filter(customer_tokens::customer_id.eq(oldest)).limit(1);
    let any: Vec<String> = tokens.select(customer_tokens::token).load(&mut conn.db)?;
    Ok(any.is_empty())
}

fn refresh_tokens(tx: &mut Tx<'_>, known: &Known, ids: &[CustomerId]) -> Result<()> {
    let kept: Vec<CustomerToken> = customer_tokens::table
        .filter(among(customer_tokens::customer_id, ids.to_vec()))
        .select(CustomerToken::as_select())
        .load(&mut tx.db)?;
    let mut before: HashMap<CustomerId, BTreeSet<CustomerToken>> = HashMap::new();
    for token in kept {
        before.entry(token.customer_id).or_default().insert(token);
    }
    let mut wanted = Vec::new();
    for facts in known.all() {
        let after: BTreeSet<CustomerToken> = tokens(&facts).collect();
        let before = before.remove(&facts.customer.id).unwrap_or_default();
        // One more phone adds a few tokens to those of a name, which stay.
        let stale: Vec<&String> = before.difference(&after).map(|old| &old.token).collect();
        if !stale.is_empty() {
            let of = customer_tokens::table.filter(customer_tokens::customer_id.eq(facts.customer.id));
            diesel::delete(of.filter(customer_tokens::token.eq_any(stale))).execute(&mut tx.db)?;
        }
        wanted.extend(after.difference(&before).cloned());
    }
    bulk_copy!(tx, customer_tokens::table, wanted)?;
    Ok(())
}

fn tokens(facts: &Facts<'_>) -> impl Iterator<Item = CustomerToken> + use<> {
    let (customer_id, home_branch_id) = (facts.customer.id, facts.customer.home_branch_id);
    let living = facts.customer.merged_into.is_none() && facts.customer.erased_at.is_none();
    let tokens = if living { search::tokens(facts) } else { BTreeSet::new() };
    tokens.into_iter().map(move |token| CustomerToken { customer_id, token, home_branch_id })
}
