//! Which records are one and the same customer.
//!
//! The engine is pure: it knows neither database nor API. A [`Model`] names the fields and their [`Kind`]s;
//! [`Record::prepare`] writes values alike and packs them; [`blocking::keys`] gives the keys by which candidates are
//! found, the same for a batch and for one new record; [`estimate`] learns [`Parameters`] without known answers;
//! [`score`] (or a [`Scorer`] for many pairs) says how probable it is that two records are one, and why;
//! [`batch`] does so for all pairs with a common key and [`components`] makes groups of the pairs.
//!
//! [`resolve`] does all of that for records of a file, which a [`Mapping`] reads.
//!
//! A score depends on the two records and the parameters alone, and candidates on the keys that at most
//! [`blocking::CAP`] records share. A batch and the match of a single record therefore agree.

pub mod bank;
mod batch;
pub mod blocking;
mod compare;
mod component;
mod estimate;
mod index;
mod kind;
#[cfg(test)]
mod laws;
mod legal_form;
mod mapping;
mod measure;
mod model;
mod name_pairs;
mod nickname;
mod normal;
mod parameters;
mod record;
mod resolve;
mod score;
mod term_counts;

pub use bank::{find, find_for};
pub use batch::{Batch, Pair, batch};
pub use blocking::Salt;
pub use component::{closure, components};
pub use estimate::estimate;
pub use index::Index;
pub use kind::{EXACT, Kind, Level, MISSING};
pub use mapping::{Columns, Loaded, MappedField, Mapping, NamePairs, Truth};
pub use measure::Accuracy;
pub use model::{Field, MAX_FIELDS, Model};
pub use name_pairs::{NAME_THRESHOLD, NamePair, name_likeness};
pub use parameters::{FieldParameters, Parameters, Terms, TrainedOn};
pub use record::Record;
pub use resolve::{Resolution, THRESHOLD, resolve};
pub use score::{Score, Scorer, Step, probability, score, weight_of};
