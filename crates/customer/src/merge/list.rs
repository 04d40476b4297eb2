//! The list of merges, by which one is found again.

use std::collections::BTreeMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, dsl::not};
use kehu_kernel::{
    Action, Actor, Conn, Instant, Page, PageParams, Reference, Result,
    access::Reach,
    schema::{customers, merge_members, merges},
    store::within,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::record::{MergeId, MergeState};
use crate::{CustomerId, scope};

/// Filters of the list of merges.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MergeFilter {
    /// Only merges in which this record took part, as the one that went on or as one that became part of it.
    pub customer_id: Option<CustomerId>,
    /// Only merges that stand (`executed`), or only those that were taken back (`reverted`). Trials are not kept.
    #[param(inline, example = "executed")]
    pub state: Option<MergeState>,
}

/// A merge in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MergeSummary {
    /// Identifier of the merge.
    pub id: MergeId,
    /// Where it stands.
    pub state: MergeState,
    /// The customer that goes on.
    pub survivor: Reference,
    /// The records that became part of it.
    #[schema(max_items = 10)]
    pub absorbed: Vec<Reference>,
    /// Why they are one.
    #[schema(max_length = 500)]
    pub reason: String,
    /// Who did it.
    #[schema(max_length = 128)]
    pub executed_by: String,
    /// When.
    pub executed_at: Instant,
    /// Until when it may be taken back.
    pub reversible_until: Instant,
    /// When it was taken back.
    pub reverted_at: Option<Instant>,
    /// Version of the merge.
    #[schema(minimum = 1)]
    pub version: i64,
}

type Row = (MergeId, CustomerId, String, String, Instant, Instant, Option<Instant>, i64);

/// Merges all of whose records are within reach, the newest first.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `customer.merge`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &MergeFilter, params: &PageParams) -> Result<Page<MergeSummary>> {
    let reach = scope::allow_inside(actor, Action::CustomerMerge)?;
    let window = params.window::<MergeId>(&conn.keys, &format!("merges?{filter:?}"))?;
    let members = || merge_members::table.select(merge_members::merge_id);
    let matching = |conn: &Conn| {
        let survivor = || {
            scope::of_kept_beyond(conn, merges::survivor_id, &reach, || {
                Box::new(customers::id.eq_any(merges::table.select(merges::survivor_id)))
            })
        };
        let member = || {
            scope::of_kept_beyond(conn, merge_members::customer_id, &reach, || {
                Box::new(customers::id.eq_any(merge_members::table.select(merge_members::customer_id)))
            })
        };
        let mut query = merges::table.into_boxed();
        if reach != Reach::All {
            let outside = members().filter(not(member())).into_boxed();
            let whole = survivor().and(not(within(merges::id, outside)));
            query = if let Reach::Staff(_) = reach {
                // Who reaches the survivor of one that stands by an assignment reaches what it absorbed.
                let some = members().filter(member()).into_boxed();
                let stands = merges::reverted_at.is_null();
                query.filter(whole.or(stands.and(survivor().or(within(merges::id, some)))))
            } else {
                query.filter(whole)
            };
        }
        if let Some(customer) = filter.customer_id {
            let of = members().filter(merge_members::customer_id.eq(customer)).into_boxed();
            query = query.filter(merges::survivor_id.eq(customer).or(within(merges::id, of)));
        }
        match filter.state {
            Some(MergeState::Executed) => query.filter(merges::reverted_at.is_null()),
            Some(MergeState::Reverted) => query.filter(merges::reverted_at.is_not_null()),
            Some(MergeState::Planned) => query.filter(merges::version.lt(0)),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching(conn).count().get_result(&mut conn.db)?) } else { None };
    let columns = (
        merges::id,
        merges::survivor_id,
        merges::reason,
        merges::executed_by,
        merges::executed_at,
        merges::reversible_until,
        merges::reverted_at,
        merges::version,
    );
    let mut query = matching(conn).order(merges::id.desc()).limit(window.fetch()).select(columns);
    if let Some(before) = window.after {
        query = query.filter(merges::id.lt(before));
    }
    let rows: Vec<Row> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Row| row.0)?;
    let absorbed: Vec<(MergeId, CustomerId)> = merge_members::table
        .filter(merge_members::merge_id.eq_any(page.items.iter().map(|row| row.0).collect::<Vec<_>>()))
        .order((merge_members::merge_id, merge_members::customer_id))
        .select((merge_members::merge_id, merge_members::customer_id))
        .load(&mut conn.db)?;
    let ids: Vec<CustomerId> = absorbed.iter().map(|(_, id)| *id).chain(page.items.iter().map(|row| row.1)).collect();
    let names: BTreeMap<CustomerId, String> = customers::table
        .filter(customers::id.eq_any(ids))
        .select((customers::id, customers::display_name))
        .load::<(CustomerId, String)>(&mut conn.db)?
        .into_iter()
        .collect();
    let named = |id: CustomerId| Reference::new(id, names.get(&id).cloned().unwrap_or_default());
    Ok(page.map(|(id, survivor, reason, executed_by, executed_at, reversible_until, reverted_at, version)| MergeSummary {
        id,
        state: if reverted_at.is_some() { MergeState::Reverted } else { MergeState::Executed },
        survivor: named(survivor),
        absorbed: absorbed.iter().filter(|(merge, _)| *merge == id).map(|(_, member)| named(*member)).collect(),
        reason,
        executed_by,
        executed_at,
        reversible_until,
        reverted_at,
        version,
    }))
}
