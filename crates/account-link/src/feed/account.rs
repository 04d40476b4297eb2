//! Accounts as sources deliver them. A batch may hold an account together with those that belong to it,
//! in any order.

use std::collections::{HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, AnyId, Currency, Id, Result, Tx, bulk_copy,
    crypto::BlindIndex,
    event::NewEvent,
    feed::{Outcome, Source},
    json::Json,
    schema::{accounts, products},
    store::distributed,
};
use serde_json::json;

use super::{
    check::Check,
    content_hash,
    facts::facts_of,
    record::AccountRecord,
    refer::{self, in_chunks},
};
use crate::{
    account::{AccountId, AccountRow, AccountStatus, facts, facts::FactRows},
    balance::{self, Snapshot},
    number,
    product::{ProductCategory, ProductId, ProductRow, ProductStatus},
    transaction,
};

/// Applies a batch of accounts. Transactions that were parked for a new account attach to it.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[AccountRecord]) -> Result<Vec<Outcome>> {
    hold_numbers(tx, &source.code, records.iter().map(|record| record.number.as_str()))?;
    let mut batch = Batch::load(tx, actor, source, records)?;
    let mut outcomes: Vec<Option<Outcome>> = vec![None; records.len()];
    // Each round applies what its predecessors made possible: parents first, then what belongs to them.
    loop {
        let settled = batch.round(tx, actor, records, &mut outcomes)?;
        if settled == 0 {
            break;
        }
    }
    // Of all accounts of the batch, not only the new ones: a transaction may have been parked in the very
    // moment in which its account came.
    transaction::attach(tx, actor, source, batch.accounts.keys().cloned())?;
    let parked = |record: &AccountRecord| Outcome::Parked { waiting_for: batch.waits_for(record) };
    Ok(outcomes.into_iter().zip(records).map(|(outcome, record)| outcome.unwrap_or_else(|| parked(record))).collect())
}

/// Nobody else makes an account of these numbers until the end of the transaction.
///
/// # Errors
/// The database's.
pub(crate) fn hold_numbers<'a>(tx: &mut Tx<'_>, source: &str, numbers: impl Iterator<Item = &'a str>) -> Result<()> {
    let keys = std::sync::Arc::clone(&tx.keys);
    let indexes: Vec<BlindIndex> = numbers.map(|number| number::index(&keys, number)).collect();
    distributed::hold_keys(tx, "account", source, indexes.iter().map(Vec::as_slice))
}

/// What a batch knows: the products, branches and accounts that its records speak of.
struct Batch<'a> {
    source: &'a Source,
    products: HashMap<String, (ProductId, ProductCategory, Currency)>,
    branches: HashMap<String, AnyId>,
    accounts: HashMap<BlindIndex, AccountRow>,
    links: HashMap<String, AccountId>,
}

/// What a record refers to.
struct Places {
    product: ProductId,
    category: ProductCategory,
    currency: Currency,
    branch: Option<AnyId>,
    parent: Option<AccountId>,
}

impl<'a> Batch<'a> {
    fn load(tx: &mut Tx<'_>, actor: &Actor, source: &'a Source, records: &[AccountRecord]) -> Result<Self> {
        let keys = std::sync::Arc::clone(&tx.keys);
        let numbers = records.iter().flat_map(|record| [Some(&record.number), record.parent_number.as_ref()]).flatten();
        let indexes = numbers.map(|number| number::index(&keys, number));
        let rows: Vec<AccountRow> = in_chunks(indexes, |chunk| {
            let query =
                accounts::table.filter(accounts::source_system.eq(&source.code)).filter(accounts::number_index.eq_any(chunk));
            Ok(query.select(AccountRow::as_select()).load(&mut tx.db)?)
        })?;
        let links = refer::links(tx, source, records.iter().filter_map(|record| record.parent_of_link.clone()))?;
        Ok(Self {
            source,
            products: products_of(tx, actor, records)?,
            branches: refer::branches(tx, records.iter().filter_map(|record| record.branch_code.clone()))?,
            accounts: rows.into_iter().map(|row| (row.number_index.clone(), row)).collect(),
            links: links.into_iter().map(|(source_id, (account, _))| (source_id, account)).collect(),
        })
    }

    /// Applies every open record that can be applied now; how many records it settled.
    fn round(
        &mut self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        records: &[AccountRecord],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<usize> {
        let (mut rows, mut facts, mut snapshots) = (Vec::new(), FactRows::default(), Vec::new());
        let mut seen = HashSet::new();
        let mut settled = 0;
        for (record, outcome) in records.iter().zip(outcomes.iter_mut()).filter(|(_, outcome)| outcome.is_none()) {
            let index = number::index(&tx.keys, &record.number);
            // The same number twice: the second word comes in the next round, as a change.
            let Ok(places) = self.places(tx, record) else { continue };
            if !seen.insert(index.clone()) {
                continue;
            }
            settled += 1;
            let before = self.accounts.get(&index).cloned();
            *outcome = Some(match row_of(tx, self.source, record, index, &places, before.as_ref())? {
                Err(rejected) => rejected,
                Ok(None) => Outcome::Unchanged(before.map_or_else(AnyId::new, |row| row.id.cast())),
                Ok(Some((row, own, snapshot))) => {
                    snapshots.extend(snapshot);
                    let outcome = self.settle(tx, actor, &row, own, before.as_ref(), &mut facts)?;
                    if before.is_none() {
                        rows.push(row.clone());
                    }
                    self.accounts.insert(row.number_index.clone(), row);
                    outcome
                }
            });
        }
        bulk_copy!(tx, accounts::table, &rows)?;
        facts.insert(tx)?;
        balance::record(tx, &snapshots)?;
        Ok(settled)
    }

    fn settle(
        &self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        row: &AccountRow,
        own: FactRows,
        before: Option<&AccountRow>,
        facts: &mut FactRows,
    ) -> Result<Outcome> {
        let data = json!({ "product_id": row.product_id, "status": row.status, "source_system": row.source_system });
        let Some(before) = before else {
            facts.extend(own);
            tx.emit(actor, NewEvent::new("account.created", row.id, data).of_account(row.id));
            return Ok(Outcome::Created(row.id.cast()));
        };
        change(tx, row)?;
        facts::clear(tx, row.id)?;
        own.insert(tx)?;
        let kind = match (before.status, row.status) {
            (from, to) if from == to => "account.updated",
            (_, AccountStatus::Closed) => "account.closed",
            (_, AccountStatus::Dormant) => "account.dormant",
            (AccountStatus::Pending, AccountStatus::Active) => "account.opened",
            _ => "account.updated",
        };
        tx.emit(actor, NewEvent::new(kind, row.id, data).of_account(row.id));
        Ok(Outcome::Updated(row.id.cast()))
    }

    /// What the record refers to, or what it still waits for.
    fn places(&self, tx: &Tx<'_>, record: &AccountRecord) -> std::result::Result<Places, String> {
        let &(product, category, currency) =
            self.products.get(&record.product_code).ok_or_else(|| format!("product:{}", record.product_code))?;
        let branch = match &record.branch_code {
            Some(code) => Some(*self.branches.get(code).ok_or_else(|| format!("branch:{code}"))?),
            None => None,
        };
        let parent = match (&record.parent_number, &record.parent_of_link) {
            (Some(number), _) => {
                let row = self.accounts.get(&number::index(&tx.keys, number));
                Some(row.ok_or_else(|| format!("account:{}:{number}", self.source.code))?.id)
            }
            (None, Some(link)) => Some(*self.links.get(link).ok_or_else(|| format!("account_link:{}:{link}", self.source.code))?),
            (None, None) => None,
        };
        Ok(Places { product, category, currency: record.currency.unwrap_or(currency), branch, parent })
    }

    /// What an unsettled record waits for.
    fn waits_for(&self, record: &AccountRecord) -> String {
        let source = &self.source.code;
        let missing_branch = record.branch_code.as_ref().filter(|code| !self.branches.contains_key(*code));
        if !self.products.contains_key(&record.product_code) {
            return format!("product:{}", record.product_code);
        }
        match (missing_branch, &record.parent_number, &record.parent_of_link) {
            (Some(code), ..) => format!("branch:{code}"),
            (None, Some(number), _) => format!("account:{source}:{number}"),
            (None, None, Some(link)) => format!("account_link:{source}:{link}"),
            (None, None, None) => format!("account:{source}:{}", record.number),
        }
    }
}

/// Products that the batch names; one that is not known is made when a record tells its category.
fn products_of(
    tx: &mut Tx<'_>,
    actor: &Actor,
    records: &[AccountRecord],
) -> Result<HashMap<String, (ProductId, ProductCategory, Currency)>> {
    let rows: Vec<(String, ProductId, ProductCategory, Currency)> =
        in_chunks(records.iter().map(|record| record.product_code.clone()), |chunk| {
            let columns = (products::code, products::id, products::category, products::currency);
            Ok(products::table.filter(products::code.eq_any(chunk)).select(columns).load(&mut tx.db)?)
        })?;
    let mut known: HashMap<String, _> =
        rows.into_iter().map(|(code, id, category, currency)| (code, (id, category, currency))).collect();
    for record in records {
        let fits = kehu_kernel::check::code(&record.product_code).is_ok() && (1..=64).contains(&record.product_code.len());
        let (Some(category), Some(currency), true) = (record.product_category, record.currency, fits) else { continue };
        if !known.contains_key(&record.product_code) {
            let row = new_product(tx, record, category, currency);
            super::product::insert(tx, actor, &row)?;
            known.insert(row.code, (row.id, category, currency));
        }
    }
    Ok(known)
}

fn new_product(tx: &Tx<'_>, record: &AccountRecord, category: ProductCategory, currency: Currency) -> ProductRow {
    ProductRow {
        id: ProductId::new(),
        code: record.product_code.clone(),
        name: record.product_name.clone().unwrap_or_else(|| record.product_code.clone()).chars().take(200).collect(),
        category,
        for_kinds: Json::default(),
        features: Json::default(),
        launch_from: None,
        launch_to: None,
        status: ProductStatus::Active,
        currency,
        unit_revenue_minor: None,
        unit_cost_minor: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    }
}

type Written = (AccountRow, FactRows, Option<Snapshot>);

/// The row that a record makes: `Ok(None)` when nothing changes, `Err` when the record breaks rules.
fn row_of(
    tx: &Tx<'_>,
    source: &Source,
    record: &AccountRecord,
    index: BlindIndex,
    places: &Places,
    before: Option<&AccountRow>,
) -> Result<std::result::Result<Option<Written>, Outcome>> {
    // The references belong to the content: a branch code that means another branch now is a change.
    let hash = content_hash(&tx.keys, &(record, places.product, places.branch, places.parent))?;
    if before.is_some_and(|row| row.content_hash.as_ref() == Some(&hash)) {
        return Ok(Ok(None));
    }
    let id = before.map_or_else(AccountId::new, |row| row.id);
    let mut check = Check::default();
    let balance = check_record(&mut check, tx, record, places, before);
    let facts = facts_of(&mut check, tx, record, (places.category, places.currency), id)?;
    check.must(places.parent != Some(id), "/parent_number", "cycle", "An account cannot belong to itself.");
    let credit_limit_minor = check.optional_amount(record.credit_limit.as_ref(), places.currency, "/credit_limit");
    if let Some(rejected) = check.verdict() {
        return Ok(Err(rejected));
    }
    let day = record.balance_on.unwrap_or_else(|| tx.now.date());
    let newer = balance.filter(|_| before.and_then(|row| row.balance_as_of).is_none_or(|as_of| as_of <= balance::end_of(day)));
    let closed = if record.closed_on.is_some() { AccountStatus::Closed } else { AccountStatus::Active };
    let number = record.number.trim();
    let row = AccountRow {
        id,
        source_system: source.code.clone(),
        number_sealed: match before {
            Some(row) => row.number_sealed.clone(),
            None => tx.keys.seal(number::ACCOUNT, id, number)?,
        },
        number_index: index,
        number_masked: number::mask(&number::normalise(number)),
        product_id: places.product,
        branch_id: places.branch.map(Id::cast),
        parent_account_id: places.parent,
        currency: places.currency,
        status: record.status.unwrap_or(closed),
        opened_on: record.opened_on,
        closed_on: record.closed_on,
        matures_on: record.matures_on,
        next_repayment_on: record.next_repayment_on,
        next_dividend_on: record.next_dividend_on,
        credit_limit_minor,
        balance_minor: newer.or_else(|| before.and_then(|row| row.balance_minor)),
        balance_as_of: newer.map(|_| balance::end_of(day)).or_else(|| before.and_then(|row| row.balance_as_of)),
        attributes: Json(record.attributes.clone()),
        content_hash: Some(hash),
        created_at: before.map_or(tx.now, |row| row.created_at),
        updated_at: tx.now,
        version: before.map_or(1, |row| row.version + 1),
    };
    let snapshot = balance.map(|balance_minor| Snapshot { account_id: id, day, balance_minor, recorded_at: tx.now });
    Ok(Ok(Some((row, facts, snapshot))))
}

fn check_record(
    check: &mut Check,
    tx: &Tx<'_>,
    record: &AccountRecord,
    places: &Places,
    before: Option<&AccountRow>,
) -> Option<i64> {
    check.text(&number::normalise(&record.number), 64, "/number");
    check.must(record.number.chars().count() <= 64, "/number", "length", "The length must be 1 to 64.");
    check.not_before(record.closed_on, record.opened_on, "/closed_on", "An account cannot be closed before it was opened.");
    check.not_before(record.matures_on, record.opened_on, "/matures_on", "An account cannot mature before it was opened.");
    let status_fits = record.closed_on.is_none() || record.status.is_none_or(|status| status == AccountStatus::Closed);
    check.must(status_fits, "/status", "contradiction", "An account with a closing date is closed.");
    let future = record.closed_on.is_some_and(|day| day > tx.now.date());
    check.must(!future, "/closed_on", "in_future", "An account cannot have been closed in the future.");
    let same_currency = before.is_none_or(|row| row.currency == places.currency);
    check.must(same_currency, "/currency", "fixed", "An account keeps its currency.");
    let few = record.attributes.len() <= 50
        && record.attributes.iter().all(|(name, value)| (1..=64).contains(&name.chars().count()) && value.chars().count() <= 500);
    check.must(few, "/attributes", "length", "At most 50 attributes; names of 1 to 64 characters, values of at most 500.");
    check.optional_amount(record.balance.as_ref(), places.currency, "/balance")
}

fn change(tx: &mut Tx<'_>, row: &AccountRow) -> Result<()> {
    let references = (
        accounts::number_masked.eq(&row.number_masked),
        accounts::product_id.eq(row.product_id),
        accounts::branch_id.eq(row.branch_id),
        accounts::parent_account_id.eq(row.parent_account_id),
        accounts::status.eq(row.status),
        accounts::attributes.eq(&row.attributes),
        accounts::content_hash.eq(&row.content_hash),
    );
    let days = (
        accounts::opened_on.eq(row.opened_on),
        accounts::closed_on.eq(row.closed_on),
        accounts::matures_on.eq(row.matures_on),
        accounts::next_repayment_on.eq(row.next_repayment_on),
        accounts::next_dividend_on.eq(row.next_dividend_on),
    );
    let amounts = (
        accounts::credit_limit_minor.eq(row.credit_limit_minor),
        accounts::balance_minor.eq(row.balance_minor),
        accounts::balance_as_of.eq(row.balance_as_of),
    );
    let stamp = (accounts::updated_at.eq(row.updated_at), accounts::version.eq(accounts::version + 1));
    diesel::update(accounts::table.find(row.id)).set((references, days, amounts, stamp)).execute(&mut tx.db)?;
    Ok(())
}
