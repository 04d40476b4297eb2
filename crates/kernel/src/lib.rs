//! What every Kehu crate shares: ids, money, time, errors, pages, access, events, jobs and the database.
//!
//! Nothing in here knows HTTP, and nothing in here knows a domain entity.

pub mod access;
pub mod audit;
pub mod check;
pub mod crypto;
pub mod error;
pub mod event;
pub mod explain;
pub mod feed;
pub mod id;
pub mod job;
pub mod json;
pub mod limits;
pub mod money;
pub mod page;
pub mod patch;
pub mod reference;
pub mod retraction;
pub mod rotation;
pub mod rule;
pub mod schema;
pub mod store;
pub mod text;
pub mod time;

pub use access::{Action, Actor};
pub use error::{Error, FieldError, Result};
pub use explain::Explanation;
pub use id::{AnyId, Id};
pub use money::{BasisPoints, Currency, Money};
pub use page::{Page, PageParams};
pub use reference::Reference;
pub use rule::Rule;
pub use store::{Conn, Db, Kind, Store, Tx};
pub use time::{Date, Instant};
