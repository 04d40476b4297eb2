//! What sources deliver about products, accounts, links, balances, standing orders and transactions.
//!
//! Every `apply` takes a batch, answers one outcome a record in their order, never fails for one bad
//! record, and changes nothing when a record comes again unchanged. The caller has checked the right to
//! import. Amounts are decimal texts in the account's currency unless a currency stands beside them.

mod account;
mod balance;
mod check;
mod facts;
mod link;
mod product;
mod record;
mod refer;
pub mod retraction;
mod standing_order;
mod transaction;

pub use account::apply as apply_accounts;
pub use balance::apply as apply_balances;
pub use link::apply as apply_account_links;
pub use product::apply as apply_products;
pub use record::{
    AccountLinkRecord, AccountRecord, BalanceRecord, CardRecord, DepositRecord, HoldingRecord, LoanRecord, ProductRecord,
    StandingOrderRecord, TransactionRecord,
};
pub use standing_order::apply as apply_standing_orders;
pub use transaction::apply as apply_transactions;

pub(crate) use account::hold_numbers;
pub(crate) use check::Check;
pub(crate) use refer::{Known, accounts_by_index, in_chunks};

use kehu_kernel::{Error, Result, crypto::Keyring};
use serde::Serialize;

/// A keyed hash of a record's content: the same record again changes nothing.
pub(crate) fn content_hash<T: Serialize>(keys: &Keyring, record: &T) -> Result<Vec<u8>> {
    let content = serde_json::to_string(record).map_err(Error::internal)?;
    Ok(keys.blind_index("feed.content", &content))
}
