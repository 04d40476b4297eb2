//! Products, accounts, links and transactions.

pub mod account;
pub mod customer_account;
pub mod due;
pub mod link;
pub mod product;
pub mod relink;
pub mod standing_order;
pub mod transaction;
