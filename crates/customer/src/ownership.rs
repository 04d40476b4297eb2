//! What must hold among relations: one parent company at a time, no cycles, shares within the whole.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{BasisPoints, Date, Error, Result, Tx, schema::relations};

use crate::{
    CustomerId,
    relation::{RelationId, RelationRow, RelationType},
    scope,
};

/// A stretch of days, without its end; `None` is for ever.
pub(crate) type Span = (Date, Option<Date>);

/// The days that two stretches share.
pub(crate) fn shared(one: Span, other: Span) -> Option<Span> {
    let from = one.0.max(other.0);
    let to = match (one.1, other.1) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    to.is_none_or(|to| from < to).then_some((from, to))
}

/// The same two customers have a relation of one type once at a time.
pub(crate) fn check_overlap(tx: &mut Tx<'_>, row: &RelationRow) -> Result<()> {
    let forward = relations::customer_id.eq(row.customer_id).and(relations::related_customer_id.eq(row.related_customer_id));
    let backward = relations::customer_id.eq(row.related_customer_id).and(relations::related_customer_id.eq(row.customer_id));
    let of_type = relations::table.filter(relations::relation_type.eq(row.relation_type));
    let mut same = of_type.filter(relations::id.ne(row.id)).into_boxed();
    same =
        if row.relation_type.inverse() == row.relation_type { same.filter(forward.or(backward)) } else { same.filter(forward) };
    let same: Vec<RelationRow> = same.select(RelationRow::as_select()).load(&mut tx.db)?;
    if same.iter().any(|other| shared(span(row), span(other)).is_some()) {
        return Err(Error::conflict("relation_exists", "This relation is on record for that time already."));
    }
    Ok(())
}

/// A company has one parent at a time, and never hangs below itself. Every company on the way up is
/// locked, so crossing writers queue up behind each other instead of closing a circle.
pub(crate) fn check_parent(tx: &mut Tx<'_>, row: &RelationRow) -> Result<()> {
    let (parent, child) = (row.customer_id, row.related_customer_id);
    let others = above(tx, child, span(row))?.into_iter().filter(|(id, ..)| *id != row.id).count();
    if others == 0 {
        climb(tx, parent, child, span(row))
    } else {
        Err(Error::conflict("parent_company_taken", "The company has a parent at that time; end that relation first."))
    }
}

fn climb(tx: &mut Tx<'_>, parent: CustomerId, child: CustomerId, during: Span) -> Result<()> {
    let mut open = vec![(parent, during)];
    while let Some((company, during)) = open.pop() {
        scope::hold(tx, company)?;
        for (_, next, during) in above(tx, company, during)? {
            if next == child {
                return Err(Error::conflict("relation_cycle", "A company cannot hang below itself."));
            }
            open.push((next, during));
        }
    }
    Ok(())
}

/// The parents of a company within a stretch of time, each with its relation and its part of the time.
fn above(tx: &mut Tx<'_>, company: CustomerId, during: Span) -> Result<Vec<(RelationId, CustomerId, Span)>> {
    let parents: Vec<RelationRow> = relations::table
        .filter(relations::related_customer_id.eq(company))
        .filter(relations::relation_type.eq(RelationType::ParentCompany))
        .select(RelationRow::as_select())
        .load(&mut tx.db)?;
    Ok(parents.iter().filter_map(|row| Some((row.id, row.customer_id, shared(during, span(row))?))).collect())
}

/// At no moment do the shares of one company's owners pass the whole.
pub(crate) fn check_shares(tx: &mut Tx<'_>, row: &RelationRow) -> Result<()> {
    let lasts = relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(row.valid_from));
    let owners: Vec<RelationRow> = relations::table
        .filter(relations::related_customer_id.eq(row.related_customer_id))
        .filter(relations::relation_type.eq(RelationType::Shareholder))
        .filter(relations::id.ne(row.id))
        .filter(lasts)
        .select(RelationRow::as_select())
        .load(&mut tx.db)?;
    let stakes: Vec<(Span, i32)> = owners.iter().chain([row]).map(|owner| (span(owner), share(owner))).collect();
    let highest = highest(&stakes, span(row));
    if highest <= i64::from(BasisPoints::WHOLE.0) {
        return Ok(());
    }
    let detail = format!("The shares of its owners would reach {highest} basis points; at most 10000 are there.");
    Err(Error::conflict("shares_exceeded", detail))
}

/// The highest sum of stakes at any moment of a stretch. Sums only rise where a stake begins.
fn highest(stakes: &[(Span, i32)], during: Span) -> i64 {
    let within: Vec<(Span, i32)> = stakes.iter().filter_map(|(span, share)| Some((shared(*span, during)?, *share))).collect();
    let at = |day: Date| -> i64 {
        let holds = |span: &Span| span.0 <= day && span.1.is_none_or(|to| day < to);
        within.iter().filter(|(span, _)| holds(span)).map(|(_, share)| i64::from(*share)).sum()
    };
    within.iter().map(|(span, _)| at(span.0)).max().unwrap_or(0)
}

fn span(row: &RelationRow) -> Span {
    (row.valid_from, row.valid_to)
}

fn share(row: &RelationRow) -> i32 {
    row.share_bp.map_or(0, |share| share.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(n: u32) -> Date {
        Date::new(2026, 1, 1).unwrap().plus_days(i64::from(n))
    }

    proptest! {
        #[test]
        fn the_highest_sum_is_that_of_some_day(stakes in prop::collection::vec((0u32..30, 1u32..30, 0i32..6_000), 0..12)) {
            let stakes: Vec<(Span, i32)> =
                stakes.into_iter().map(|(from, length, share)| ((day(from), Some(day(from + length))), share)).collect();
            let by_day = (0..60).map(|n| {
                let held = |span: &Span| span.0 <= day(n) && span.1.is_none_or(|to| day(n) < to);
                stakes.iter().filter(|(span, _)| held(span)).map(|(_, share)| i64::from(*share)).sum::<i64>()
            });
            prop_assert_eq!(highest(&stakes, (day(0), None)), by_day.max().unwrap_or(0));
        }
    }
}
