//! Exports from this side: how each list is read, which columns it has, and whose rights count.

mod asker;
mod columns;
mod given;
mod lists;
pub mod range;

use kehu_intake::export::Source;

pub use asker::{Asker, actor};

/// What exports need of the API.
pub const SOURCE: Source = Source { open: lists::open, actor };
