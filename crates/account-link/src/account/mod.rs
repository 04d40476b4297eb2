//! Accounts: mirrors of what the bank's systems keep. Kehu never owns the ledger.

pub mod due;
pub mod facts;
mod list;
mod present;
mod reveal;
mod upsert;

use std::collections::BTreeMap;

use diesel::{Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Id, Instant, Money, Reference, Result, json::Json, schema::accounts, text_enum,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    product::{ProductCategory, ProductId},
    scope,
};
use facts::{CardFacts, DepositFacts, HoldingFacts, LoanFacts};

pub use facts::RepaymentState;
pub use list::{AccountFilter, list};
pub(crate) use present::{labels, of_customer, present};
pub use reveal::{AccountNumber, reveal_number};
pub use upsert::{AccountUpsert, CardInput, DepositInput, HoldingInput, LoanInput, upsert};

/// Identifier of an account.
pub type AccountId = Id<Account>;

text_enum! {
    /// Where an account stands.
    pub enum AccountStatus {
        /// Applied for.
        Pending = "pending",
        /// In use.
        Active = "active",
        /// Not used for long.
        Dormant = "dormant",
        /// Blocked by the bank or an authority.
        Frozen = "frozen",
        /// Closed.
        Closed = "closed",
    }
}

/// An account as the bank's systems know it. Loans, cards and holdings are accounts of their own.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Account {
    /// Identifier of the account.
    pub id: AccountId,
    /// Code of the system that keeps it.
    #[schema(example = "core", max_length = 32)]
    pub source_system: String,
    /// Number of the account, masked; `reveal_account_number` shows it in full.
    #[schema(example = "****3456", max_length = 32)]
    pub number: String,
    /// The product.
    pub product: Reference,
    /// Code of the product.
    #[schema(example = "SAV-CNY", max_length = 64)]
    pub product_code: String,
    /// Category of the product.
    pub category: ProductCategory,
    /// The branch that keeps it.
    pub branch: Option<Reference>,
    /// The account that it belongs to: a loan's or a card's deposit account.
    pub parent: Option<Reference>,
    /// Its currency.
    pub currency: Currency,
    /// Where it stands.
    pub status: AccountStatus,
    /// When it was opened.
    pub opened_on: Option<Date>,
    /// When it was closed.
    pub closed_on: Option<Date>,
    /// When it matures.
    pub matures_on: Option<Date>,
    /// When the next repayment is due.
    pub next_repayment_on: Option<Date>,
    /// When the next dividend is due.
    pub next_dividend_on: Option<Date>,
    /// How far it may be overdrawn or drawn. Null to callers who may not see internal fields.
    pub credit_limit: Option<Money>,
    /// Balance; negative for debts. Null while unknown, and to callers who may not see internal fields.
    pub balance: Option<Money>,
    /// The moment of that balance.
    pub balance_as_of: Option<Instant>,
    /// Further facts of the source system.
    #[schema(value_type = BTreeMap<kehu_kernel::limits::Word, kehu_kernel::limits::Remark>)]
    pub attributes: BTreeMap<String, String>,
    /// Facts of a deposit; null for other accounts.
    pub deposit: Option<DepositFacts>,
    /// Facts of a loan; null for other accounts.
    pub loan: Option<LoanFacts>,
    /// Facts of a card; null for other accounts.
    pub card: Option<CardFacts>,
    /// Facts of a holding; null for other accounts.
    pub holding: Option<HoldingFacts>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// The row of an account.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts, treat_none_as_default_value = false)]
pub(crate) struct AccountRow {
    pub id: AccountId,
    pub source_system: String,
    pub number_sealed: Vec<u8>,
    pub number_index: Vec<u8>,
    pub number_masked: String,
    pub product_id: ProductId,
    pub branch_id: Option<Id<kehu_organization::branch::Branch>>,
    pub parent_account_id: Option<AccountId>,
    pub currency: Currency,
    pub status: AccountStatus,
    pub opened_on: Option<Date>,
    pub closed_on: Option<Date>,
    pub matures_on: Option<Date>,
    pub next_repayment_on: Option<Date>,
    pub next_dividend_on: Option<Date>,
    pub credit_limit_minor: Option<i64>,
    pub balance_minor: Option<i64>,
    pub balance_as_of: Option<Instant>,
    pub attributes: Json<BTreeMap<String, String>>,
    pub content_hash: Option<Vec<u8>>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

/// One account.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when absent or out of sight; [`kehu_kernel::Error::Forbidden`] without `account.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: AccountId) -> Result<Account> {
    let row = require(conn, actor, Action::AccountRead, id)?;
    present(conn, actor, vec![row])?.pop().ok_or(kehu_kernel::Error::NotFound)
}

/// The row of an account on which the actor may do this.
pub(crate) fn require(conn: &mut Conn, actor: &Actor, action: Action, id: AccountId) -> Result<AccountRow> {
    let reach = actor.allow(action)?;
    let row = accounts::table.find(id).filter(scope::visible_to(conn, &reach)).select(AccountRow::as_select());
    Ok(row.first(&mut conn.db)?)
}
