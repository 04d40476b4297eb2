//! The feed of relations between customers.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, BasisPoints, Date, Error, Result, Tx, check,
    event::NewEvent,
    feed::{Outcome, Source},
    schema::{customers, relations},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::known;
use crate::{
    CustomerId, CustomerKind,
    relation::{self, NewRelation, RelationId, RelationType},
    scope,
};

/// A relation as a source tells of it: the first customer is the `type` of the second.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationRecord {
    /// The first customer's id in the source.
    pub customer_source_id: String,
    /// The second customer's id in the source.
    pub related_customer_source_id: String,
    /// What the first is to the second.
    #[serde(rename = "type")]
    pub relation_type: RelationType,
    /// The first customer's role in it, in words.
    #[serde(default)]
    pub role: Option<String>,
    /// The second customer's role in it, in words.
    #[serde(default)]
    pub related_role: Option<String>,
    /// The share, of shareholders.
    #[serde(default)]
    pub share_bp: Option<BasisPoints>,
    /// The first day on which it holds; the day on which the customer's record was made unless given.
    #[serde(default)]
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    #[serde(default)]
    pub valid_to: Option<Date>,
}

/// Takes a batch of relations. One that is on record with the same customers, type and first day is
/// ended when the record says so, and otherwise left as it is.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[RelationRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let ids = records.iter().flat_map(|record| [&record.customer_source_id, &record.related_customer_source_id]);
    let known = known::customers(tx, source, ids.map(String::as_str))?;
    let mut outcomes = Vec::with_capacity(records.len());
    for record in records {
        let outcome = match ends(&known, source, record) {
            Err(outcome) => outcome,
            Ok(ends) => match tx.savepoint(|tx| one(tx, actor, source, ends, record)) {
                Err(Error::Invalid(faults)) => Outcome::Rejected(faults),
                Err(Error::Conflict { code, detail }) => Outcome::rejected("", code, detail),
                other => other?,
            },
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn ends(known: &known::Customers, source: &Source, record: &RelationRecord) -> Result<(CustomerId, CustomerId), Outcome> {
    let one = known.find(source, &record.customer_source_id, "/customer_source_id")?;
    let other = known.find(source, &record.related_customer_source_id, "/related_customer_source_id")?;
    Ok((one, other))
}

fn one(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    (customer, related): (CustomerId, CustomerId),
    record: &RelationRecord,
) -> Result<Outcome> {
    let mut both = [customer, related];
    both.sort_unstable();
    for id in both {
        if !scope::hold_living(tx, id)? {
            return Ok(known::erased(""));
        }
    }
    let new = NewRelation {
        related_customer_id: related,
        relation_type: record.relation_type,
        role: record.role.clone(),
        related_role: record.related_role.clone(),
        share_bp: record.share_bp,
        valid_from: record.valid_from,
        valid_to: record.valid_to,
        source: Some(source.code.clone()),
    };
    new.validate().map_err(|errors| Error::Invalid(check::faults(&errors)))?;
    let row = relation::row_of(customer, new, tx.now)?;
    let same: Vec<(RelationId, Date, Option<Date>)> = relations::table
        .filter(relations::customer_id.eq(row.customer_id))
        .filter(relations::related_customer_id.eq(row.related_customer_id))
        .filter(relations::relation_type.eq(row.relation_type))
        // Of two that began on the same day, the one that is running.
        .order((relations::valid_to.is_not_null(), relations::id))
        .select((relations::id, relations::valid_from, relations::valid_to))
        .load(&mut tx.db)?;
    // Without a first day, the relation that is running is meant.
    let running = |(_, from, to): &&(RelationId, Date, Option<Date>)| match record.valid_from {
        Some(day) => *from == day,
        None => to.is_none(),
    };
    match same.iter().find(running) {
        Some((id, _, to)) if record.valid_to.is_none() || *to == record.valid_to => Ok(Outcome::Unchanged(id.cast())),
        Some((id, ..)) => {
            diesel::update(relations::table.find(*id).filter(relations::customer_id.eq(row.customer_id)))
                .set((
                    relations::valid_to.eq(record.valid_to),
                    relations::end_reason.eq("ended in the source"),
                    relations::updated_at.eq(tx.now),
                    relations::version.eq(relations::version + 1),
                ))
                .execute(&mut tx.db)?;
            tx.emit(actor, NewEvent::new("relation.ended", *id, json!({ "source": source.code })).of_customer(row.customer_id));
            Ok(Outcome::Updated(id.cast()))
        }
        None => {
            let kinds: HashMap<CustomerId, CustomerKind> = customers::table
                .filter(customers::id.eq_any(both.to_vec()))
                .select((customers::id, customers::kind))
                .load::<(CustomerId, CustomerKind)>(&mut tx.db)?
                .into_iter()
                .collect();
            let kind = |id: CustomerId| kinds.get(&id).copied().ok_or(Error::NotFound);
            relation::record(tx, &row, (kind(row.customer_id)?, kind(row.related_customer_id)?))?;
            let data =
                json!({ "type": row.relation_type, "related_customer_id": row.related_customer_id, "source": source.code });
            tx.emit(actor, NewEvent::new("relation.created", row.id, data).of_customer(row.customer_id));
            Ok(Outcome::Created(row.id.cast()))
        }
    }
}
