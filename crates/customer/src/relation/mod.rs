//! Relations between customers. Each is stored once, in its canonical direction; the inverse and the
//! symmetric reading are derived.

mod read;
mod write;

use std::collections::HashMap;

use diesel::{Insertable, Queryable, Selectable};
use kehu_kernel::{BasisPoints, Date, Id, Instant, Reference, patch, schema::relations, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

pub use read::{get, list};
pub(crate) use read::{held_by, holding_on, in_short, one_is_seen, other_is_seen, visible_names};
pub use write::{create, end, update};
pub(crate) use write::{record, row_of};

use crate::CustomerId;

/// Identifier of a relation.
pub type RelationId = Id<Relation>;

text_enum! {
    /// What the first customer is to the second.
    pub enum RelationType {
        /// Owns a share of it: an investment in its equity.
        Shareholder = "shareholder",
        /// Is owned by it in part; the inverse of `shareholder`.
        Holding = "holding",
        /// Sells to it.
        Supplier = "supplier",
        /// Buys from it; the inverse of `supplier`.
        Buyer = "buyer",
        /// Is the company directly above it: its affiliation.
        ParentCompany = "parent_company",
        /// Is a company directly below it; the inverse of `parent_company`.
        Subsidiary = "subsidiary",
        /// Answers for its debts.
        Guarantor = "guarantor",
        /// Has its debts answered for; the inverse of `guarantor`.
        Guaranteed = "guaranteed",
        /// Is married to the other.
        Spouse = "spouse",
        /// Is a parent of the other.
        Parent = "parent",
        /// Is a child of the other; the inverse of `parent`.
        Child = "child",
        /// Employs the other.
        Employer = "employer",
        /// Works for it; the inverse of `employer`.
        Employee = "employee",
        /// May act for the other.
        Attorney = "attorney",
        /// Is acted for; the inverse of `attorney`.
        Principal = "principal",
        /// Is above the other at work.
        Superior = "superior",
        /// Is below the other at work; the inverse of `superior`.
        Subordinate = "subordinate",
        /// Sways the other's decisions.
        KeyInfluencer = "key_influencer",
        /// Is swayed by the other; the inverse of `key_influencer`.
        Influenced = "influenced",
        /// Has to do with the other in another way: whatever a bank keeps beyond these types. `role` and
        /// `related_role` say what it is, in the bank's own words; symmetric.
        Other = "other",
    }
}

/// The canonical types with their inverses; a symmetric type is its own inverse.
const INVERSES: &[(RelationType, RelationType)] = &[
    (RelationType::Shareholder, RelationType::Holding),
    (RelationType::Supplier, RelationType::Buyer),
    (RelationType::ParentCompany, RelationType::Subsidiary),
    (RelationType::Guarantor, RelationType::Guaranteed),
    (RelationType::Spouse, RelationType::Spouse),
    (RelationType::Parent, RelationType::Child),
    (RelationType::Employer, RelationType::Employee),
    (RelationType::Attorney, RelationType::Principal),
    (RelationType::Superior, RelationType::Subordinate),
    (RelationType::KeyInfluencer, RelationType::Influenced),
    (RelationType::Other, RelationType::Other),
];

impl RelationType {
    /// How the other side reads the relation.
    #[must_use]
    pub fn inverse(self) -> Self {
        let pair = INVERSES.iter().find(|(one, other)| *one == self || *other == self);
        pair.map_or(self, |(one, other)| if *one == self { *other } else { *one })
    }

    /// The type under which the relation is stored.
    #[must_use]
    pub fn canonical(self) -> Self {
        if self.is_canonical() { self } else { self.inverse() }
    }

    /// Whether relations are stored with this type.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        INVERSES.iter().any(|(one, _)| *one == self)
    }
}

/// A relation, as one of its customers reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Relation {
    /// Identifier of the relation; the same on both sides.
    pub id: RelationId,
    /// The customer that reads it.
    pub customer_id: CustomerId,
    /// The other customer.
    pub related: Reference,
    /// What this customer is to the other.
    #[serde(rename = "type")]
    pub relation_type: RelationType,
    /// This customer's role in it, in words.
    #[schema(example = "managing shareholder", max_length = 100)]
    pub role: Option<String>,
    /// The other's role in it, in words.
    #[schema(max_length = 100)]
    pub related_role: Option<String>,
    /// The share, of `shareholder` and `holding`.
    pub share_bp: Option<BasisPoints>,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The first day on which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// Where it is known from.
    #[schema(example = "company register", max_length = 100)]
    pub source: Option<String>,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A relation to be recorded: this customer is the `type` of the other.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewRelation {
    /// The other customer.
    pub related_customer_id: CustomerId,
    /// What this customer is to the other.
    #[serde(rename = "type")]
    pub relation_type: RelationType,
    /// This customer's role in it, in words.
    #[schema(min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub role: Option<String>,
    /// The other's role in it, in words.
    #[schema(min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub related_role: Option<String>,
    /// The share; needed for `shareholder` and `holding`, refused for others. The shares of one
    /// customer's owners never pass 10,000 basis points at any moment.
    #[schema(minimum = 0, maximum = 10000)]
    #[validate(custom(function = "crate::rules::share"))]
    pub share_bp: Option<BasisPoints>,
    /// The first day on which it holds; today unless given.
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    pub valid_to: Option<Date>,
    /// Where it is known from.
    #[schema(min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub source: Option<String>,
}

/// Changes to a relation, told from this customer's side; what is absent stays, null clears. Another type or another customer
/// is another relation, and its end a command of its own.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RelationPatch {
    /// This customer's role in it, in words.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub role: Option<Option<String>>,
    /// The other's role in it, in words.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub related_role: Option<Option<String>>,
    /// The share, of `shareholder` and `holding`; refused for others. What was held before is not kept: a share that changes on
    /// a day is the end of one relation and the beginning of another.
    #[schema(minimum = 0, maximum = 10000, nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "crate::rules::share"))]
    pub share_bp: Option<BasisPoints>,
    /// The first day on which it holds.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub valid_from: Option<Date>,
    /// Where it is known from.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub source: Option<Option<String>>,
}

/// How a relation ends.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RelationEnd {
    /// The first day on which it no longer holds; today unless given, and after it began.
    pub valid_to: Option<Date>,
    /// Why; kept with the record.
    #[schema(example = "shares sold", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// Filters of the relations of a customer.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RelationFilter {
    /// Only those in which this customer is this to the other.
    #[serde(rename = "type")]
    #[param(inline, example = "parent_company")]
    pub relation_type: Option<RelationType>,
    /// Only those that hold on this day.
    pub as_of: Option<Date>,
}

/// A relation as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = relations, treat_none_as_default_value = false)]
pub(crate) struct RelationRow {
    pub id: RelationId,
    pub customer_id: CustomerId,
    pub related_customer_id: CustomerId,
    pub relation_type: RelationType,
    pub role_from: Option<String>,
    pub role_to: Option<String>,
    pub share_bp: Option<BasisPoints>,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub source: Option<String>,
    pub end_reason: Option<String>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

impl RelationRow {
    fn other_than(&self, reader: CustomerId) -> CustomerId {
        if self.customer_id == reader { self.related_customer_id } else { self.customer_id }
    }

    fn read_by(self, reader: CustomerId, names: &HashMap<CustomerId, String>) -> Relation {
        let forward = self.customer_id == reader;
        let other = self.other_than(reader);
        Relation {
            id: self.id,
            customer_id: reader,
            related: Reference::new(other, names.get(&other).cloned().unwrap_or_default()),
            relation_type: if forward { self.relation_type } else { self.relation_type.inverse() },
            role: if forward { self.role_from.clone() } else { self.role_to.clone() },
            related_role: if forward { self.role_to } else { self.role_from },
            share_bp: self.share_bp,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            source: self.source,
            end_reason: self.end_reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type is stored in one direction only, and reading it twice from the other side gives it back.
    #[test]
    fn every_type_has_one_canonical_direction() {
        for kind in RelationType::ALL {
            assert_eq!(kind.inverse().inverse(), *kind, "{kind}");
            assert!(kind.canonical().is_canonical() && [*kind, kind.inverse()].contains(&kind.canonical()), "{kind}");
            assert_eq!(kind.is_canonical() && kind.inverse().is_canonical(), *kind == kind.inverse(), "{kind}");
        }
        let symmetric: Vec<_> = RelationType::ALL.iter().filter(|kind| **kind == kind.inverse()).collect();
        assert_eq!(symmetric, [&RelationType::Spouse, &RelationType::Other]);
    }
}
