//! Products, accounts, links and transactions.

pub mod account;
pub mod customer_account;
pub mod link;
pub mod product;
pub mod standing_order;
pub mod transaction;
