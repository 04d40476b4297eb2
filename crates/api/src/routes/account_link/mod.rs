//! Products, accounts, links and transactions.

pub mod account;
pub mod account_link;
pub mod customer_account;
pub mod product;
pub mod standing_order;
pub mod transaction;
