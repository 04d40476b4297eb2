//! Relations between customers. Each is stored once, in its canonical direction; the inverse and the
//! symmetric reading are derived.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Date, Error, FieldError, Id, Instant, Page, PageParams, Reference, Result, Tx,
    error::taken,
    event::NewEvent,
    page::counted,
    schema::{customers, relations},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{CustomerId, CustomerKind, ownership, scope};

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
    /// The other customer; its name is hidden when it is out of the caller's sight.
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
    #[validate(length(min = 1, max = 100))]
    pub role: Option<String>,
    /// The other's role in it, in words.
    #[schema(min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100))]
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
    #[validate(length(min = 1, max = 100))]
    pub source: Option<String>,
}

/// How a relation ends.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RelationEnd {
    /// The first day on which it no longer holds; today unless given, and after it began.
    pub valid_to: Option<Date>,
    /// Why; kept with the record.
    #[schema(example = "shares sold", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
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
    /// Whether it holds on a day.
    pub fn holds_on(&self, day: Date) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|to| day < to)
    }

    fn read_by(self, reader: CustomerId, names: &HashMap<CustomerId, String>) -> Relation {
        let forward = self.customer_id == reader;
        let other = if forward { self.related_customer_id } else { self.customer_id };
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

/// Relations of a customer, oldest record first, from both directions.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &RelationFilter,
    params: &PageParams,
) -> Result<Page<Relation>> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<RelationId>(&conn.keys, &format!("relations/{customer}?{filter:?}"))?;
    let matching = || {
        let either = relations::customer_id.eq(customer).or(relations::related_customer_id.eq(customer));
        let mut query = relations::table.filter(either).into_boxed();
        if let Some(kind) = filter.relation_type {
            let forward = relations::relation_type.eq(kind).and(relations::customer_id.eq(customer));
            let backward = relations::relation_type.eq(kind.inverse()).and(relations::related_customer_id.eq(customer));
            query = query.filter(forward.or(backward));
        }
        if let Some(day) = filter.as_of {
            let lasts = relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(day));
            query = query.filter(relations::valid_from.le(day).and(lasts));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(relations::id).limit(window.fetch()).select(RelationRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(relations::id.gt(after));
    }
    let rows: Vec<RelationRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &RelationRow| row.id)?;
    let others = page.items.iter().flat_map(|row| [row.customer_id, row.related_customer_id]).collect();
    let names = visible_names(conn, actor, others)?;
    Ok(page.map(|row| row.read_by(customer, &names)))
}

/// The relations of a customer that hold today, oldest record first, and how many there are; the caller has checked the right.
pub(crate) fn in_short(conn: &mut Conn, actor: &Actor, customer: CustomerId, shown: i64) -> Result<(Vec<Relation>, i64)> {
    let today = conn.now.date();
    let all = || {
        let either = relations::customer_id.eq(customer).or(relations::related_customer_id.eq(customer));
        let lasts = relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(today));
        relations::table.filter(either).filter(relations::valid_from.le(today)).filter(lasts)
    };
    let rows: Vec<RelationRow> =
        all().order(relations::id).limit(shown + 1).select(RelationRow::as_select()).load(&mut conn.db)?;
    let (rows, count) = counted(rows, shown, || Ok(all().count().get_result(&mut conn.db)?))?;
    let others: Vec<CustomerId> = rows.iter().flat_map(|row| [row.customer_id, row.related_customer_id]).collect();
    let names = if others.is_empty() { HashMap::new() } else { visible_names(conn, actor, others)? };
    Ok((rows.into_iter().map(|row| row.read_by(customer, &names)).collect(), count))
}

/// Records a relation.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `relation_exists`, `relation_cycle`,
/// `parent_company_taken` or `shares_exceeded`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewRelation) -> Result<Relation> {
    let reach = actor.allow(Action::CustomerWrite)?;
    // Both rows are locked in the order of their ids, so that two writers cannot wait for each other.
    let mut both = [customer, new.related_customer_id];
    both.sort_unstable();
    for id in both {
        scope::hold(tx, id)?;
    }
    let one = scope::within(tx, &reach, customer)?;
    let other = match scope::within(tx, &reach, new.related_customer_id) {
        Err(Error::NotFound) => return Err(scope::unknown(tx, actor, "/related_customer_id", new.related_customer_id)?),
        found => found?,
    };
    let row = row_of(customer, new, tx.now)?;
    record(tx, &row, (one.kind, other.kind))?;
    let data = json!({ "type": row.relation_type, "related_customer_id": row.related_customer_id });
    tx.emit(actor, NewEvent::new("relation.created", row.id, data).of_customer(row.customer_id));
    let names = HashMap::from([(one.id, one.display_name), (other.id, other.display_name)]);
    Ok(row.read_by(customer, &names))
}

/// Ends a relation: it stays on record.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended`.
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: RelationId,
    version: i64,
    end: RelationEnd,
) -> Result<Relation> {
    scope::lock(tx, actor, Action::CustomerWrite, customer)?;
    let before = find(tx, customer, id)?;
    let today = tx.now.date();
    if before.valid_to.is_some_and(|to| to <= today) {
        return Err(Error::conflict("already_ended", "This relation was ended; record another one."));
    }
    let valid_to = end.valid_to.unwrap_or(today);
    if valid_to < before.valid_from || before.valid_to.is_some_and(|to| to < valid_to) {
        return Err(Error::invalid(
            "/valid_to",
            "out_of_range",
            "A relation ends after it began, and never later than it would.",
        ));
    }
    let updated = diesel::update(relations::table.find(id).filter(relations::version.eq(version)))
        .set((
            relations::valid_to.eq(valid_to),
            relations::end_reason.eq(end.reason),
            relations::updated_at.eq(tx.now),
            relations::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    tx.emit(actor, NewEvent::new("relation.ended", id, json!({ "valid_to": valid_to })).of_customer(before.customer_id));
    let after = find(tx, customer, id)?;
    let names = visible_names(tx, actor, vec![after.customer_id, after.related_customer_id])?;
    Ok(after.read_by(customer, &names))
}

/// A relation in its canonical direction.
pub(crate) fn row_of(customer: CustomerId, new: NewRelation, now: Instant) -> Result<RelationRow> {
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, code: &str, message: &str| faults.push(FieldError::new(pointer, code, message));
    let valid_from = new.valid_from.unwrap_or_else(|| now.date());
    if customer == new.related_customer_id {
        fault("/related_customer_id", "itself", "A customer has no relation to itself.");
    }
    if new.valid_to.is_some_and(|to| to <= valid_from) {
        fault("/valid_to", "before_start", "A relation cannot end before it begins.");
    }
    let owning = matches!(new.relation_type, RelationType::Shareholder | RelationType::Holding);
    if owning && new.share_bp.is_none() {
        fault("/share_bp", "required", "A shareholder has a share.");
    }
    if !owning && new.share_bp.is_some() {
        fault("/share_bp", "not_a_share", "Only shareholders have a share.");
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let forward = new.relation_type.is_canonical();
    let (from, to) = if forward { (customer, new.related_customer_id) } else { (new.related_customer_id, customer) };
    let (role_from, role_to) = if forward { (new.role, new.related_role) } else { (new.related_role, new.role) };
    Ok(RelationRow {
        id: RelationId::new(),
        customer_id: from,
        related_customer_id: to,
        relation_type: if forward { new.relation_type } else { new.relation_type.inverse() },
        role_from,
        role_to,
        share_bp: new.share_bp,
        valid_from,
        valid_to: new.valid_to,
        source: new.source,
        end_reason: None,
        created_at: now,
        updated_at: now,
        version: 1,
    })
}

/// Checks a relation against the others and writes it. Both customers' rows are locked.
pub(crate) fn record(tx: &mut Tx<'_>, row: &RelationRow, kinds: (CustomerKind, CustomerKind)) -> Result<()> {
    check_kinds(row.relation_type, kinds)?;
    ownership::check_overlap(tx, row)?;
    match row.relation_type {
        RelationType::ParentCompany => ownership::check_parent(tx, row)?,
        RelationType::Shareholder => ownership::check_shares(tx, row)?,
        _ => {}
    }
    diesel::insert_into(relations::table)
        .values(row)
        .execute(&mut tx.db)
        .map_err(taken("relation_exists", "This relation is on record for that time already."))?;
    Ok(())
}

/// Families are of people, corporate trees of organisations.
fn check_kinds(kind: RelationType, (one, other): (CustomerKind, CustomerKind)) -> Result<()> {
    let person = |kind| kind == CustomerKind::Personal;
    let fits = match kind {
        RelationType::Spouse | RelationType::Parent => person(one) && person(other),
        RelationType::ParentCompany => !person(one) && !person(other),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(Error::invalid("/type", "kinds_mismatch", "Customers of these kinds cannot have this relation."))
    }
}

fn find(conn: &mut Conn, customer: CustomerId, id: RelationId) -> Result<RelationRow> {
    let either = relations::customer_id.eq(customer).or(relations::related_customer_id.eq(customer));
    Ok(relations::table.filter(relations::id.eq(id)).filter(either).select(RelationRow::as_select()).first(&mut conn.db)?)
}

/// Names of those customers that the actor sees.
pub(crate) fn visible_names(conn: &mut Conn, actor: &Actor, ids: Vec<CustomerId>) -> Result<HashMap<CustomerId, String>> {
    let reach = actor.allow(Action::CustomerRead)?;
    let named: Vec<(CustomerId, String)> = customers::table
        .filter(customers::id.eq_any(ids))
        .filter(scope::visible_to(&reach))
        .select((customers::id, customers::display_name))
        .load(&mut conn.db)?;
    Ok(named.into_iter().collect())
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
