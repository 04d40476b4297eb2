//! Transactions on accounts: fed by the bank's systems, never changed, summed up by day and month.

mod book;
mod ingest;
mod list;
mod totals;

use diesel::{Insertable, Queryable, Selectable};
use kehu_kernel::{Currency, Date, Id, Instant, Money, schema::transactions, text_enum};
use serde::Serialize;
use utoipa::ToSchema;

use crate::account::AccountId;

pub(crate) use book::{Entry, book};
pub use ingest::{IngestError, IngestReport, TransactionBatch, ingest};
pub(crate) use ingest::{apply, attach};
pub use list::{TransactionFilter, list};
pub(crate) use list::{count_of_customer, latest};
pub(crate) use totals::{Sums, add};

/// Identifier of a transaction.
pub type TransactionId = Id<Transaction>;

text_enum! {
    /// Whether money came in or went out.
    pub enum Direction {
        /// Money came in.
        Credit = "credit",
        /// Money went out.
        Debit = "debit",
    }
}

text_enum! {
    /// Through which channel a transaction was made.
    pub enum Channel {
        /// At a counter.
        Counter = "counter",
        /// At a cash machine.
        Atm = "atm",
        /// At a shop's terminal.
        Pos = "pos",
        /// By phone.
        Phone = "phone",
        /// In the mobile application.
        Mobile = "mobile",
        /// In online banking.
        Online = "online",
        /// By the bank's own runs: interest, fees, standing orders.
        Batch = "batch",
        /// Otherwise, or not known.
        Other = "other",
    }
}

impl Direction {
    /// An amount with its sign: money that goes out counts negative.
    #[must_use]
    pub const fn signed(self, amount_minor: i64) -> i64 {
        match self {
            Self::Credit => amount_minor,
            Self::Debit => -amount_minor,
        }
    }
}

/// A transaction on an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Transaction {
    /// Identifier of the transaction.
    pub id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// Code of the system that delivered it.
    #[schema(example = "core", max_length = 32)]
    pub source_system: String,
    /// Its id in that system.
    #[schema(example = "695247", max_length = 128)]
    pub source_id: String,
    /// When it was booked.
    pub booked_at: Instant,
    /// The day on which it was booked.
    pub booked_on: Date,
    /// Whether money came in or went out.
    pub direction: Direction,
    /// Amount, never negative.
    pub amount: Money,
    /// What kind of transaction it is, in the source system's words.
    #[schema(example = "transfer", max_length = 64)]
    pub transaction_type: String,
    /// Through which channel it was made.
    pub channel: Channel,
    /// What for.
    #[schema(max_length = 200)]
    pub purpose: Option<String>,
    /// Balance after it, as the source tells.
    pub balance_after: Option<Money>,
}

/// The row of a transaction.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = transactions, treat_none_as_default_value = false)]
pub(crate) struct TransactionRow {
    pub id: TransactionId,
    pub account_id: AccountId,
    pub source_system: String,
    pub source_id: String,
    pub booked_at: Instant,
    pub booked_on: Date,
    pub direction: Direction,
    pub amount_minor: i64,
    pub currency: Currency,
    pub transaction_type: String,
    pub channel: Channel,
    pub purpose: Option<String>,
    pub counterparty_hash: Option<Vec<u8>>,
    pub balance_after_minor: Option<i64>,
    pub created_at: Instant,
}

impl From<TransactionRow> for Transaction {
    fn from(row: TransactionRow) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            source_system: row.source_system,
            source_id: row.source_id,
            booked_at: row.booked_at,
            booked_on: row.booked_on,
            direction: row.direction,
            amount: Money::new(row.amount_minor, row.currency),
            transaction_type: row.transaction_type,
            channel: row.channel,
            purpose: row.purpose,
            balance_after: row.balance_after_minor.map(|minor| Money::new(minor, row.currency)),
        }
    }
}
