//! Members who go from one group to another: what held ends, and goes on in the other group on the same day.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{Actor, Date, Result, Tx, schema::group_members};

use crate::{
    group::GroupId,
    interval::Span,
    member::{MemberRow, MembershipId, MembershipSource, active_from, close_rows, insert},
};

/// When customers are in a group.
type Spans = HashMap<CustomerId, Vec<Span>>;

/// Where members go and why.
pub(super) struct Journey<'a> {
    /// The group to which they go; locked.
    pub target: GroupId,
    /// What is written down as the source of their memberships.
    pub source: MembershipSource,
    /// Why.
    pub purpose: &'a str,
    /// The day on which they go over.
    pub day: Date,
}

/// Lets memberships go on in another group. Whoever is in that group on some of the days already stays as they are there. How many
/// memberships ended and how many began.
pub(super) fn relocate(tx: &mut Tx<'_>, actor: &Actor, rows: Vec<MemberRow>, to: &Journey<'_>) -> Result<(i64, i64)> {
    let living = scope::living(tx, rows.iter().map(|row| row.customer_id))?;
    let who = |row: &MemberRow| living.get(&row.customer_id).copied().unwrap_or(row.customer_id);
    let (mut present, mut primaries) = present(tx, to)?;
    let mut new = Vec::with_capacity(rows.len());
    for row in &rows {
        let customer = who(row);
        let spans = present.entry(customer).or_default();
        let span = Span { from: row.valid_from.max(to.day), to: row.valid_to };
        for left in span.without(spans) {
            // Of two primary members the one who was there first stays it.
            let is_primary = row.is_primary && !primaries.iter().any(|other| other.meets(&left));
            spans.push(left);
            primaries.extend(is_primary.then_some(left));
            new.push(MemberRow {
                id: MembershipId::new(),
                group_id: to.target,
                customer_id: customer,
                role: row.role,
                is_primary,
                valid_from: left.from,
                valid_to: left.to,
                source: to.source,
                reason: Some(to.purpose.to_owned()),
                end_reason: None,
                created_by: actor.subject.clone(),
                created_at: tx.now,
                updated_at: tx.now,
                version: 1,
            });
        }
    }
    let count = |number: usize| i64::try_from(number).map_err(kehu_kernel::Error::internal);
    let counts = (count(rows.len())?, count(new.len())?);
    close_rows(tx, actor, rows, to.day, to.purpose)?;
    insert(tx, actor, &new)?;
    Ok(counts)
}

/// Who is in the other group when from the day on, by customers who live, and the spans of its primary members.
fn present(tx: &mut Tx<'_>, to: &Journey<'_>) -> Result<(Spans, Vec<Span>)> {
    let of = group_members::table.filter(group_members::group_id.eq(to.target)).filter(active_from(to.day));
    let rows: Vec<MemberRow> = of.select(MemberRow::as_select()).load(&mut tx.db)?;
    let living = scope::living(tx, rows.iter().map(|row| row.customer_id))?;
    let mut spans = Spans::new();
    for row in &rows {
        let customer = living.get(&row.customer_id).copied().unwrap_or(row.customer_id);
        spans.entry(customer).or_default().push(row.span());
    }
    Ok((spans, rows.iter().filter(|row| row.is_primary).map(MemberRow::span).collect()))
}
