//! Which fields a record has.

use serde::{Deserialize, Serialize};

use super::Kind;

/// The most fields that a model may have.
pub const MAX_FIELDS: usize = 16;

/// A field of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name, for people.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// The fields of a kind of record, in order. Every field takes any number of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Field>", into = "Vec<Field>")]
pub struct Model {
    fields: Vec<Field>,
    /// Given and family name, which are compared across too.
    name_parts: Option<(usize, usize)>,
    /// In which order fields are compared: what is quickly compared and says much comes first.
    order: Vec<usize>,
}

impl Model {
    /// A model of these fields.
    ///
    /// # Errors
    /// None or more than [`MAX_FIELDS`] fields.
    pub fn new(fields: Vec<Field>) -> Result<Self, String> {
        if fields.is_empty() || fields.len() > MAX_FIELDS {
            return Err(format!("a model has 1 to {MAX_FIELDS} fields"));
        }
        Ok(Self::of(fields))
    }

    fn of(fields: Vec<Field>) -> Self {
        let position = |kind| fields.iter().position(|field| field.kind == kind);
        let name_parts = position(Kind::GivenName).zip(position(Kind::FamilyName));
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|index| fields.get(*index).map(|field| field.kind.effort()));
        Self { fields, name_parts, order }
    }

    /// The fields, in the order in which [`Record::prepare`](super::Record::prepare) takes values.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(super) const fn name_parts(&self) -> Option<(usize, usize)> {
        self.name_parts
    }

    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// The bank's persons: `name` (whole, former and other names, in any script), `birth_date`, `gender`,
    /// `identity_number` (all documents), `phone`, `email`, `city`, `street` (with number), `postcode`, `nationality`.
    #[must_use]
    pub fn bank_person() -> Self {
        Self::named(&[
            ("identity_number", Kind::IdentityNumber),
            ("name", Kind::FullName),
            ("birth_date", Kind::Date),
            ("phone", Kind::Phone),
            ("email", Kind::Email),
            ("street", Kind::Street),
            ("postcode", Kind::Postcode),
            ("city", Kind::Locality),
            ("gender", Kind::Category),
            ("nationality", Kind::Category),
        ])
    }

    /// The bank's companies and government bodies: `identity_number` (credit code, LEI, tax numbers), `name` (legal and
    /// short), `founded_on`, `phone`, `email`, `street`, `postcode`, `city`.
    #[must_use]
    pub fn bank_organisation() -> Self {
        Self::named(&[
            ("identity_number", Kind::IdentityNumber),
            ("name", Kind::CompanyName),
            ("founded_on", Kind::Date),
            ("phone", Kind::Phone),
            ("email", Kind::Email),
            ("street", Kind::Street),
            ("postcode", Kind::Postcode),
            ("city", Kind::Locality),
        ])
    }

    fn named(fields: &[(&str, Kind)]) -> Self {
        Self::of(fields.iter().map(|(name, kind)| Field { name: (*name).to_owned(), kind: *kind }).collect())
    }
}

impl TryFrom<Vec<Field>> for Model {
    type Error = String;

    fn try_from(fields: Vec<Field>) -> Result<Self, String> {
        Self::new(fields)
    }
}

impl From<Model> for Vec<Field> {
    fn from(model: Model) -> Self {
        model.fields
    }
}
