//! Pairs of names that may name one person or organisation, told apart by the names alone.

use std::io::Read;

use super::{Accuracy, Kind, Mapping, NamePairs, compare, record};

/// Names at least this alike are taken for one.
pub const NAME_THRESHOLD: f64 = 0.78;

/// A pair of names of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamePair {
    /// The one name.
    pub left: String,
    /// The other name.
    pub right: String,
    /// How alike they are, 0 to 1.
    pub likeness: f64,
    /// Whether they truly name one, if that is known.
    pub truth: Option<bool>,
}

/// How alike two names are by themselves, 0 to 1, in any script and spelling.
#[must_use]
pub fn name_likeness(left: &str, right: &str, person: bool) -> f64 {
    let kind = if person { Kind::FullName } else { Kind::CompanyName };
    let (Some(left), Some(right)) = (record::normalise(kind, left), record::normalise(kind, right)) else { return 0.0 };
    compare::name_likeness(record::value(&left), record::value(&right), person)
}

impl Mapping {
    /// The pairs of names of a file.
    ///
    /// # Errors
    /// A file that is no CSV, or a column that it does not have.
    pub fn name_pairs(&self, pairs: &NamePairs, file: impl Read) -> Result<Vec<NamePair>, String> {
        let mut reader = self.reader(file)?;
        let headers = reader.headers().map_err(|error| error.to_string())?.clone();
        let at = |name: &str| super::mapping::position(&headers, name);
        let (left, right, schema) = (at(&pairs.left)?, at(&pairs.right)?, at(&pairs.schema)?);
        let truth = pairs.truth.as_deref().map(at).transpose()?;
        let pair = |row: csv::StringRecord| {
            let text = |at: usize| row.get(at).unwrap_or_default();
            let person = pairs.persons.iter().any(|name| name == text(schema));
            NamePair {
                left: text(left).to_owned(),
                right: text(right).to_owned(),
                likeness: name_likeness(text(left), text(right), person),
                truth: truth.map(|at| text(at).eq_ignore_ascii_case("true") || text(at) == "1"),
            }
        };
        reader.records().map(|row| row.map(pair).map_err(|error| error.to_string())).collect()
    }
}

impl Accuracy {
    /// Of pairs of names.
    #[must_use]
    pub fn of_names(pairs: &[NamePair]) -> Self {
        let count = |is: &dyn Fn(&NamePair) -> bool| pairs.iter().filter(|pair| is(pair)).count();
        let found = |pair: &NamePair| pair.likeness >= NAME_THRESHOLD;
        let truly = |pair: &NamePair| pair.truth == Some(true);
        Self::of(count(&|pair| found(pair) && truly(pair)), count(&found), count(&truly))
    }
}
