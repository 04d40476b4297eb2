//! New links and changes, under the invariants of ownership.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Date, Error, FieldError, Result, Tx,
    error::taken,
    event::NewEvent,
    patch,
    schema::{account_links, accounts},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{AccountLink, AccountLinkId, LinkRole, LinkRow, SigningRule, list};
use crate::{
    account::{self, AccountId, AccountRow},
    interval::{Stake, clash},
    product::refuse,
};

/// A link to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewAccountLink {
    /// The account.
    pub account_id: AccountId,
    /// The customer.
    pub customer_id: CustomerId,
    /// What the customer is to the account.
    pub role: LinkRole,
    /// Share in the account in basis points, 1 to 10000; the shares of its owners never pass 10000 together.
    #[schema(minimum = 1, maximum = 10_000, example = 5_000)]
    #[validate(range(min = 1, max = 10_000))]
    pub share_bp: Option<i32>,
    /// How many of those who may sign have to.
    pub signing_rule: Option<SigningRule>,
    /// How many have to sign; with the rule `threshold` and only there.
    #[schema(minimum = 1, maximum = 100, example = 2)]
    #[validate(range(min = 1, max = 100))]
    pub signing_threshold: Option<i32>,
    /// Whether this is the primary owner; only owners can be, and one at a time.
    #[serde(default)]
    pub primary: bool,
    /// The first day on which it holds; today unless given.
    pub valid_from: Option<Date>,
    /// The day from which it no longer holds; not before the first.
    pub valid_to: Option<Date>,
    /// The document that proves it.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub evidence: Option<String>,
}

/// Changes to a link; what is absent stays. Use `end_account_link` and `transfer_account_link` for its end.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LinkPatch {
    /// Share in the account in basis points, 1 to 10000.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 10_000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(range(min = 1, max = 10_000))]
    pub share_bp: Option<Option<i32>>,
    /// How many of those who may sign have to.
    #[schema(value_type = Option<SigningRule>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub signing_rule: Option<Option<SigningRule>>,
    /// How many have to sign; with the rule `threshold` and only there.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(range(min = 1, max = 100))]
    pub signing_threshold: Option<Option<i32>>,
    /// Whether this is the primary owner.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub primary: Option<bool>,
    /// The document that proves it.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 500))]
    pub evidence: Option<Option<String>>,
}

/// Links a customer to an account.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::NotFound`] when the account or the customer is out of sight; [`Error::Conflict`]
/// `primary_owner_exists`, `shares_exceeded` or `account_link_exists`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewAccountLink) -> Result<AccountLink> {
    let account = account::require(tx, actor, Action::AccountLinkWrite, new.account_id)?;
    // Accounts before customers, here as in transfers, so that nobody waits in a circle.
    hold_account(tx, new.account_id)?;
    see_customer(tx, actor, new.customer_id)?;
    let row = LinkRow {
        id: AccountLinkId::new(),
        account_id: new.account_id,
        customer_id: new.customer_id,
        role: new.role,
        share_bp: new.share_bp.map(BasisPoints),
        signing_rule: new.signing_rule,
        signing_threshold: new.signing_threshold,
        is_primary: new.primary,
        valid_from: new.valid_from.unwrap_or_else(|| tx.now.date()),
        valid_to: new.valid_to,
        evidence: new.evidence,
        closed_reason: None,
        source_system: None,
        source_id: None,
        content_hash: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    refuse(broken_rules(&row, &account))?;
    admit(tx, &row)?;
    insert(tx, actor, &row)?;
    list::find(tx, actor, row.id)
}

/// Changes a link that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] as for [`create`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: AccountLinkId, version: i64, change: &LinkPatch) -> Result<AccountLink> {
    let (account, before) = lock(tx, actor, id, version)?;
    let row = LinkRow {
        share_bp: change.share_bp.map_or(before.share_bp, |share| share.map(BasisPoints)),
        signing_rule: change.signing_rule.unwrap_or(before.signing_rule),
        signing_threshold: change.signing_threshold.unwrap_or(before.signing_threshold),
        is_primary: change.primary.unwrap_or(before.is_primary),
        evidence: change.evidence.clone().unwrap_or_else(|| before.evidence.clone()),
        ..before
    };
    refuse(broken_rules(&row, &account))?;
    admit(tx, &row)?;
    let set = (
        account_links::share_bp.eq(row.share_bp),
        account_links::signing_rule.eq(row.signing_rule),
        account_links::signing_threshold.eq(row.signing_threshold),
        account_links::is_primary.eq(row.is_primary),
        account_links::evidence.eq(&row.evidence),
    );
    let stamp = (account_links::updated_at.eq(tx.now), account_links::version.eq(version + 1));
    let of = account_links::table.find(id).filter(account_links::customer_id.eq(row.customer_id));
    diesel::update(of).set((set, stamp)).execute(&mut tx.db)?;
    announce(tx, actor, "account_link.updated", &row);
    list::find(tx, actor, id)
}

/// The link with its account, both locked, if it still has the version the caller saw.
pub(super) fn lock(tx: &mut Tx<'_>, actor: &Actor, id: AccountLinkId, version: i64) -> Result<(AccountRow, LinkRow)> {
    let found = list::require(tx, actor, Action::AccountLinkWrite, id)?;
    hold_account(tx, found.account_id)?;
    // Read again: it may have changed while the account was held by somebody else.
    let row: LinkRow = account_links::table.find(id).select(LinkRow::as_select()).first(&mut tx.db)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let account = accounts::table.find(row.account_id).select(AccountRow::as_select()).first(&mut tx.db)?;
    Ok((account, row))
}

/// A customer that the actor may see, locked: it is not merged into another one before the link is written.
pub(super) fn see_customer(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId) -> Result<()> {
    let found = scope::lock(tx, actor, Action::CustomerRead, id);
    scope::named(tx, actor, "/customer_id", id, found).map(drop)
}

/// Locks the account until the end of the transaction, so that what is checked about its links stays true.
fn hold_account(tx: &mut Tx<'_>, id: AccountId) -> Result<()> {
    tx.hold_row("accounts", id)
}

/// Locks the account and refuses a link that would break an invariant of ownership.
pub(super) fn admit(tx: &mut Tx<'_>, row: &LinkRow) -> Result<()> {
    hold_account(tx, row.account_id)?;
    let Some(stake) = row.stake() else { return Ok(()) };
    match clash(&stakes_of(tx, row.account_id, row.id)?, &stake) {
        Some(clash) => Err(clash.into()),
        None => Ok(()),
    }
}

/// What the owners of an account hold, but for one link.
fn stakes_of(conn: &mut Conn, account: AccountId, except: AccountLinkId) -> Result<Vec<Stake>> {
    let owning = account_links::role.eq(LinkRole::Owner).or(account_links::role.eq(LinkRole::JointOwner));
    let rows: Vec<LinkRow> = account_links::table
        .filter(account_links::account_id.eq(account))
        .filter(account_links::id.ne(except))
        .filter(owning)
        .select(LinkRow::as_select())
        .load(&mut conn.db)?;
    Ok(rows.iter().filter_map(LinkRow::stake).collect())
}

/// Writes a new link with its event.
pub(super) fn insert(tx: &mut Tx<'_>, actor: &Actor, row: &LinkRow) -> Result<()> {
    diesel::insert_into(account_links::table).values(row).execute(&mut tx.db).map_err(taken(
        "account_link_exists",
        "This customer has a link of this role to this account from this day on already.",
    ))?;
    announce(tx, actor, "account_link.created", row);
    Ok(())
}

/// Tells what happened to a link.
pub(crate) fn announce(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, row: &LinkRow) {
    let data = json!({
        "account_id": row.account_id, "customer_id": row.customer_id, "role": row.role, "primary": row.is_primary,
        "valid_from": row.valid_from, "valid_to": row.valid_to,
    });
    tx.emit(actor, NewEvent::new(kind, row.id, data).of_customer(row.customer_id).of_account(row.account_id));
}

fn broken_rules(row: &LinkRow, account: &AccountRow) -> Vec<FieldError> {
    let before_opened = account.opened_on.is_some_and(|opened| row.valid_from < opened);
    let ends_early = row.valid_to.is_some_and(|to| to < row.valid_from);
    let rules = [
        (before_opened, "/valid_from", "before_opening", "A link cannot begin before the account was opened."),
        (ends_early, "/valid_to", "before_start", "A link cannot end before it begins."),
        (row.is_primary && !row.role.owns(), "/primary", "not_an_owner", "Only an owner can be the primary owner."),
        (
            (row.signing_rule == Some(SigningRule::Threshold)) != row.signing_threshold.is_some(),
            "/signing_threshold",
            "contradiction",
            "The threshold belongs to the rule threshold, and only there.",
        ),
    ];
    rules
        .into_iter()
        .filter(|(broken, ..)| *broken)
        .map(|(_, pointer, code, message)| FieldError::new(pointer, code, message))
        .collect()
}
