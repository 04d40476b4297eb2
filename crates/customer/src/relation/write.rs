//! Recording, changing and ending relations.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, FieldError, Instant, Result, Tx, error::taken, event::NewEvent, schema::relations,
};
use serde_json::json;

use super::{
    NewRelation, Relation, RelationEnd, RelationId, RelationPatch, RelationRow, RelationType,
    read::{seen_from, visible_names},
};
use crate::{CustomerId, CustomerKind, ownership, scope};

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
    let found = scope::within(tx, &reach, new.related_customer_id);
    let other = scope::named(tx, actor, "/related_customer_id", new.related_customer_id, found)?;
    let row = row_of(customer, new, tx.now)?;
    record(tx, &row, (one.kind, other.kind))?;
    let data = json!({ "type": row.relation_type, "related_customer_id": row.related_customer_id });
    tx.emit(actor, NewEvent::new("relation.created", row.id, data).of_customer(row.customer_id));
    let names = HashMap::from([(one.id, one.display_name), (other.id, other.display_name)]);
    Ok(row.read_by(customer, &names))
}

/// Changes a relation that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`], also when the other customer is out of sight; [`Error::Invalid`]; [`Error::PreconditionFailed`];
/// [`Error::Conflict`] `already_ended`, `relation_exists`, `relation_cycle`, `parent_company_taken` or `shares_exceeded`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: RelationId,
    version: i64,
    patch: RelationPatch,
) -> Result<Relation> {
    let mut row = find_open(tx, actor, customer, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let forward = row.customer_id == customer;
    let (from, to) = if forward { (patch.role, patch.related_role) } else { (patch.related_role, patch.role) };
    row.role_from = from.unwrap_or(row.role_from);
    row.role_to = to.unwrap_or(row.role_to);
    row.source = patch.source.unwrap_or(row.source);
    if patch.share_bp.is_some() && row.relation_type != RelationType::Shareholder {
        return Err(Error::invalid("/share_bp", "not_a_share", "Only shareholders have a share."));
    }
    row.share_bp = patch.share_bp.or(row.share_bp);
    row.valid_from = patch.valid_from.unwrap_or(row.valid_from);
    if row.valid_to.is_some_and(|to| to <= row.valid_from) {
        return Err(Error::invalid("/valid_from", "after_end", "A relation cannot begin after it ends."));
    }
    check_rules(tx, &row)?;
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(relations::table.find(id).filter(relations::customer_id.eq(row.customer_id)))
        .set((
            relations::role_from.eq(&row.role_from),
            relations::role_to.eq(&row.role_to),
            relations::share_bp.eq(row.share_bp),
            relations::valid_from.eq(row.valid_from),
            relations::source.eq(&row.source),
            relations::updated_at.eq(row.updated_at),
            relations::version.eq(row.version),
        ))
        .execute(&mut tx.db)
        .map_err(taken("relation_exists", "This relation is on record for that time already."))?;
    let data = json!({ "type": row.relation_type, "related_customer_id": row.related_customer_id });
    tx.emit(actor, NewEvent::new("relation.updated", id, data).of_customer(row.customer_id));
    let names = visible_names(tx, actor, vec![row.other_than(customer)])?;
    Ok(row.read_by(customer, &names))
}

/// Ends a relation: it stays on record.
///
/// # Errors
/// [`Error::NotFound`], also when the other customer is out of sight; [`Error::Invalid`]; [`Error::PreconditionFailed`];
/// [`Error::Conflict`] `already_ended`.
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: RelationId,
    version: i64,
    end: RelationEnd,
) -> Result<Relation> {
    let before = find_open(tx, actor, customer, id)?;
    let today = tx.now.date();
    let valid_to = end.valid_to.unwrap_or(today);
    if valid_to < before.valid_from || before.valid_to.is_some_and(|to| to < valid_to) {
        return Err(Error::invalid(
            "/valid_to",
            "out_of_range",
            "A relation ends after it began, and never later than it would.",
        ));
    }
    let of = relations::table.find(id).filter(relations::customer_id.eq(before.customer_id));
    let updated = diesel::update(of.filter(relations::version.eq(version)))
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
    let after: RelationRow = of.select(RelationRow::as_select()).first(&mut tx.db)?;
    let names = visible_names(tx, actor, vec![after.other_than(customer)])?;
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
    check_rules(tx, row)?;
    diesel::insert_into(relations::table)
        .values(row)
        .execute(&mut tx.db)
        .map_err(taken("relation_exists", "This relation is on record for that time already."))?;
    Ok(())
}

/// What must hold among this relation and all others.
fn check_rules(tx: &mut Tx<'_>, row: &RelationRow) -> Result<()> {
    ownership::check_overlap(tx, row)?;
    match row.relation_type {
        RelationType::ParentCompany => ownership::check_parent(tx, row),
        RelationType::Shareholder => ownership::check_shares(tx, row),
        _ => Ok(()),
    }
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

/// A relation that has not ended, with both customers' rows locked.
fn find_open(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, id: RelationId) -> Result<RelationRow> {
    let reach = actor.allow(Action::CustomerWrite)?;
    let seen = actor.allow(Action::CustomerRead)?;
    let find = |conn: &Conn| seen_from(conn, customer, &seen).filter(relations::id.eq(id)).select(RelationRow::as_select());
    let row: RelationRow = find(tx).first(&mut tx.db)?;
    let mut both = [row.customer_id, row.related_customer_id];
    both.sort_unstable();
    for id in both {
        scope::hold(tx, id)?;
    }
    scope::within(tx, &reach, customer)?;
    scope::refuse_customers(actor)?;
    let row: RelationRow = find(tx).first(&mut tx.db)?;
    if row.valid_to.is_some_and(|to| to <= tx.now.date()) {
        return Err(Error::conflict("already_ended", "This relation was ended; record another one."));
    }
    Ok(row)
}
