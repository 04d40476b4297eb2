//! Links between customers and accounts as sources deliver them, under the invariants of ownership.

use std::collections::{HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, feed::refused_as_erased, scope};
use kehu_kernel::{
    Actor, BasisPoints, Date, Result, Tx, bulk_copy,
    crypto::BlindIndex,
    feed::{Outcome, Source},
    schema::account_links,
    store::distributed,
};

use super::{
    check::Check,
    content_hash,
    record::AccountLinkRecord,
    refer::{self, Known, in_chunks},
};
use crate::{
    account::AccountId,
    balance,
    interval::{Stake, clash},
    link::{AccountLinkId, LinkRow, SigningRule, announce},
    number,
    own_links::end,
};

/// Applies a batch of links.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[AccountLinkRecord]) -> Result<Vec<Outcome>> {
    let mut batch = Batch::load(tx, source, records)?;
    let mut outcomes: Vec<Option<Outcome>> = vec![None; records.len()];
    // A record may speak of the owner that a later record of the batch names: as many rounds as it takes.
    loop {
        let mut settled = false;
        for (record, outcome) in records.iter().zip(outcomes.iter_mut()).filter(|(_, outcome)| outcome.is_none()) {
            if let Ok((account, customer)) = batch.parties(tx, record) {
                *outcome = Some(batch.settle(tx, actor, record, &account, customer)?);
                settled = true;
            }
        }
        if !settled {
            break;
        }
    }
    bulk_copy!(tx, account_links::table, &batch.new)?;
    let waiting = |batch: &Batch<'_>, record: &AccountLinkRecord| {
        batch.parties(tx, record).err().unwrap_or_else(|| Outcome::rejected("/customer_source_id", "unresolved", "Nobody."))
    };
    Ok(outcomes.into_iter().zip(records).map(|(outcome, record)| outcome.unwrap_or_else(|| waiting(&batch, record))).collect())
}

struct Batch<'a> {
    source: &'a Source,
    accounts: HashMap<BlindIndex, Known>,
    customers: HashMap<String, CustomerId>,
    /// Those customers whom the records may mean and who were erased.
    erased: HashSet<CustomerId>,
    /// All links of the accounts of the batch, as they are now.
    links: HashMap<AccountId, Vec<LinkRow>>,
    /// Customers of links by their source id.
    by_source_id: HashMap<String, CustomerId>,
    /// What became of records that were absorbed by a merge. A link may have stayed with one; it is the survivor's.
    living: HashMap<CustomerId, CustomerId>,
    new: Vec<LinkRow>,
}

impl<'a> Batch<'a> {
    fn load(tx: &mut Tx<'_>, source: &'a Source, records: &[AccountLinkRecord]) -> Result<Self> {
        let numbers =
            records.iter().flat_map(|record| [Some(record.account_number.as_str()), record.owner_of_account.as_deref()]);
        let accounts = refer::accounts_by_number(tx, source, numbers.flatten())?;
        let own_ids = records.iter().filter_map(|record| record.source_id.as_ref());
        distributed::hold_keys(tx, "account_link", &source.code, own_ids.map(String::as_bytes))?;
        let customers = refer::customers(tx, source, records.iter().filter_map(|record| record.customer_source_id.clone()))?;
        let own_ids = records.iter().filter_map(|record| record.source_id.clone());
        let spoken_of = records.iter().filter_map(|record| record.customer_of_link.clone());
        let by_source_id = refer::links(tx, source, own_ids.chain(spoken_of))?;
        // What is checked about their links stays true until they are written.
        balance::hold(tx, accounts.values().map(|account| account.id))?;
        // A link may have been moved to an account that this batch does not name for it.
        let elsewhere = by_source_id.values().map(|(account, _)| *account);
        let rows: Vec<LinkRow> = in_chunks(accounts.values().map(|account| account.id).chain(elsewhere), |chunk| {
            let query = account_links::table.filter(account_links::account_id.eq_any(chunk));
            Ok(query.order(account_links::valid_from).select(LinkRow::as_select()).load(&mut tx.db)?)
        })?;
        let mut links: HashMap<AccountId, Vec<LinkRow>> = HashMap::new();
        for row in rows {
            links.entry(row.account_id).or_default().push(row);
        }
        let linked = links.values().flatten().map(|row| row.customer_id);
        let living = scope::living(tx, linked.chain(by_source_id.values().map(|(_, customer)| *customer)))?;
        let by_source_id: HashMap<String, CustomerId> =
            by_source_id.into_iter().map(|(source_id, (_, customer))| (source_id, end(&living, customer))).collect();
        let linked = links.values().flatten().map(|row| end(&living, row.customer_id));
        let named = customers.values().chain(by_source_id.values()).copied();
        // None of them becomes part of another customer before its links are written.
        scope::hold_all(tx, linked.chain(named))?;
        let meant = customers.values().copied().chain(by_source_id.values().copied());
        let erased = refer::erased(tx, meant.chain(links.values().flatten().map(|row| end(&living, row.customer_id))))?;
        Ok(Self { source, accounts, customers, erased, links, by_source_id, living, new: Vec::new() })
    }

    /// The account and the customer of a record, or why they are not there.
    fn parties(&self, tx: &Tx<'_>, record: &AccountLinkRecord) -> std::result::Result<(Known, CustomerId), Outcome> {
        let source = &self.source.code;
        let parked = |waiting_for: String| Outcome::Parked { waiting_for };
        let account_of = |number: &str| {
            self.accounts.get(&number::index(&tx.keys, number)).ok_or_else(|| parked(format!("account:{source}:{number}")))
        };
        let account = account_of(&record.account_number)?;
        let customer = match (&record.customer_source_id, &record.owner_of_account, &record.customer_of_link) {
            (Some(id), None, None) => *self.customers.get(id).ok_or_else(|| parked(format!("customer:{source}:{id}")))?,
            (None, Some(number), None) => {
                let owner = self.owner(account_of(number)?.id);
                owner.ok_or_else(|| parked(format!("account_owner:{source}:{number}")))?
            }
            (None, None, Some(link)) => {
                *self.by_source_id.get(link).ok_or_else(|| parked(format!("account_link:{source}:{link}")))?
            }
            _ => {
                let message = "Name the customer by exactly one of customer_source_id, owner_of_account and customer_of_link.";
                return Err(Outcome::rejected("/customer_source_id", "exactly_one", message));
            }
        };
        if self.erased.contains(&customer) {
            let named = record.customer_source_id.as_ref().map(|_| "/customer_source_id");
            let named = named.or_else(|| record.owner_of_account.as_ref().map(|_| "/owner_of_account"));
            return Err(refused_as_erased(named.unwrap_or("/customer_of_link")));
        }
        Ok((account.clone(), customer))
    }

    /// The primary owner of an account, the latest where several followed each other.
    fn owner(&self, account: AccountId) -> Option<CustomerId> {
        let links = self.links.get(&account)?;
        links.iter().rfind(|row| row.is_primary && row.role.owns()).map(|row| end(&self.living, row.customer_id))
    }

    fn settle(
        &mut self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        record: &AccountLinkRecord,
        account: &Known,
        customer: CustomerId,
    ) -> Result<Outcome> {
        // Without the customer: a merge changes who it is, and what the source says is still the same.
        let hash = content_hash(&tx.keys, &(record, account.id))?;
        let before = self.find(record, account.id, customer);
        let kept = before.as_ref().map(|row| row.customer_id).filter(|id| end(&self.living, *id) == customer);
        if kept.is_some() && before.as_ref().is_some_and(|row| row.content_hash.as_ref() == Some(&hash)) {
            return Ok(
                before.map_or_else(|| Outcome::rejected("", "unknown", "Nothing."), |row| Outcome::Unchanged(row.id.cast()))
            );
        }
        // Without a day of its own, a link that is known keeps the day it has.
        let known_from = before.as_ref().map(|row| row.valid_from);
        let valid_from = record.valid_from.or(account.opened_on).or(known_from).unwrap_or_else(|| tx.now.date());
        let row = LinkRow {
            id: before.as_ref().map_or_else(AccountLinkId::new, |row| row.id),
            account_id: account.id,
            // What a merge held back stays where it is, so that a revert finds it.
            customer_id: kept.unwrap_or(customer),
            role: record.role,
            share_bp: record.share_bp.map(BasisPoints),
            signing_rule: record.signing_rule,
            signing_threshold: record.signing_threshold,
            is_primary: record.primary,
            valid_from,
            valid_to: record.valid_to,
            evidence: record.evidence.clone(),
            closed_reason: before.as_ref().and_then(|row| row.closed_reason.clone()),
            source_system: Some(self.source.code.clone()),
            source_id: record.source_id.clone().or_else(|| before.as_ref().and_then(|row| row.source_id.clone())),
            content_hash: Some(hash),
            created_at: before.as_ref().map_or(tx.now, |row| row.created_at),
            updated_at: tx.now,
            version: before.as_ref().map_or(1, |row| row.version + 1),
        };
        if let Some(rejected) = self.broken_rules(record, &row, account.opened_on) {
            return Ok(rejected);
        }
        self.keep(tx, actor, row, before)
    }

    /// The link that a record speaks of: by its id in the source, else by account, customer, role and day.
    fn find(&self, record: &AccountLinkRecord, account: AccountId, customer: CustomerId) -> Option<LinkRow> {
        let by_id = record.source_id.as_ref().and_then(|id| {
            let same =
                |row: &&LinkRow| row.source_id.as_ref() == Some(id) && row.source_system.as_ref() == Some(&self.source.code);
            self.links.values().flatten().find(same)
        });
        let by_key = || {
            let same = |row: &&LinkRow| {
                end(&self.living, row.customer_id) == customer
                    && row.role == record.role
                    && record.valid_from.is_none_or(|from| from == row.valid_from)
                    && (row.source_id.is_none() || record.source_id.is_none())
            };
            // Of several, the customer's own before what a merge held back, and one that has not ended.
            self.links.get(&account)?.iter().filter(same).min_by_key(|row| (row.customer_id != customer, row.valid_to.is_some()))
        };
        by_id.or_else(by_key).cloned()
    }

    fn broken_rules(&self, record: &AccountLinkRecord, row: &LinkRow, opened_on: Option<Date>) -> Option<Outcome> {
        let mut check = Check::default();
        check.optional(record.source_id.as_ref(), 128, "/source_id");
        check.optional(record.evidence.as_ref(), 500, "/evidence");
        let share_fits = record.share_bp.is_none_or(|share| (1..=10_000).contains(&share));
        check.must(share_fits, "/share_bp", "range", "The value must be 1 to 10000.");
        check.must(row.role.owns() || !row.is_primary, "/primary", "not_an_owner", "Only an owner can be the primary owner.");
        let threshold = (row.signing_rule == Some(SigningRule::Threshold)) == row.signing_threshold.is_some();
        check.must(
            threshold,
            "/signing_threshold",
            "contradiction",
            "The threshold belongs to the rule threshold, and only there.",
        );
        check.not_before(row.valid_to, Some(row.valid_from), "/valid_to", "A link cannot end before it begins.");
        check.not_before(Some(row.valid_from), opened_on, "/valid_from", "A link cannot begin before the account was opened.");
        let others = || self.links.get(&row.account_id).into_iter().flatten().filter(|other| other.id != row.id);
        let open = |link: &LinkRow| link.valid_to.is_none().then_some((link.customer_id, link.role, link.valid_from));
        let taken = open(row).is_some() && others().any(|other| open(other) == open(row));
        check.must(!taken, "/valid_from", "account_link_exists", "The customer has such a link from this day on already.");
        let stakes: Vec<Stake> = others().filter_map(LinkRow::stake).collect();
        if let Some(clash) = row.stake().and_then(|stake| clash(&stakes, &stake)) {
            check.broken(clash.pointer(), clash.code(), clash.message());
        }
        check.verdict()
    }

    fn keep(&mut self, tx: &mut Tx<'_>, actor: &Actor, row: LinkRow, before: Option<LinkRow>) -> Result<Outcome> {
        let outcome = if let Some(before) = before {
            // A row of this very batch must exist before it can be changed.
            bulk_copy!(tx, account_links::table, &self.new)?;
            self.new.clear();
            change(tx, &row, before.customer_id)?;
            announce(tx, actor, "account_link.updated", &row);
            if let Some(links) = self.links.get_mut(&before.account_id) {
                links.retain(|other| other.id != row.id);
            }
            Outcome::Updated(row.id.cast())
        } else {
            announce(tx, actor, "account_link.created", &row);
            self.new.push(row.clone());
            Outcome::Created(row.id.cast())
        };
        if let Some(id) = &row.source_id {
            self.by_source_id.insert(id.clone(), end(&self.living, row.customer_id));
        }
        let links = self.links.entry(row.account_id).or_default();
        links.push(row);
        links.sort_by_key(|row| row.valid_from);
        Ok(outcome)
    }
}

fn change(tx: &mut Tx<'_>, row: &LinkRow, customer: CustomerId) -> Result<()> {
    let of = account_links::table.find(row.id).filter(account_links::customer_id.eq(customer));
    if customer != row.customer_id {
        // It lies beside its customer, who may be on another machine.
        diesel::delete(of).execute(&mut tx.db)?;
        diesel::insert_into(account_links::table).values(row).execute(&mut tx.db)?;
        return Ok(());
    }
    let parties = (
        account_links::account_id.eq(row.account_id),
        account_links::role.eq(row.role),
        account_links::is_primary.eq(row.is_primary),
    );
    let terms = (
        account_links::share_bp.eq(row.share_bp),
        account_links::signing_rule.eq(row.signing_rule),
        account_links::signing_threshold.eq(row.signing_threshold),
        account_links::valid_from.eq(row.valid_from),
        account_links::valid_to.eq(row.valid_to),
        account_links::evidence.eq(&row.evidence),
    );
    let origin = (
        account_links::source_system.eq(&row.source_system),
        account_links::source_id.eq(&row.source_id),
        account_links::content_hash.eq(&row.content_hash),
    );
    let stamp = (account_links::updated_at.eq(row.updated_at), account_links::version.eq(account_links::version + 1));
    diesel::update(of).set((parties, terms, origin, stamp)).execute(&mut tx.db)?;
    Ok(())
}
