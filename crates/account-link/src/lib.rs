//! The bridge between customers and the accounts of the bank's systems: products, mirrored accounts, the
//! links between customers and accounts, transactions and what is summed up from them.

pub mod account;
pub mod balance;
mod belonging;
pub mod combined;
pub mod feed;
pub mod interval;
pub mod link;
pub mod lookup;
pub mod number;
mod own_links;
pub mod portfolio;
mod privacy;
pub mod product;
pub mod relink;
pub mod report;
pub mod rule;
pub mod scope;
pub mod standing_order;
pub mod statement;
pub mod timeline;
pub mod transaction;
pub mod view;

pub use account::{Account, AccountId};
pub use belonging::{BELONGINGS, BEYOND};
pub use link::{AccountLink, AccountLinkId};
pub use product::{Product, ProductId};
