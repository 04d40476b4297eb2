//! A matrix with the numbers of the members of its cells.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::count_star};
use kehu_kernel::{
    Actor, Conn, Date, Reference, Result,
    rule::Dimension,
    schema::{group_members, groups},
    store::{MultiBackend, within},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{cell, standing::Standing};
use crate::{
    access,
    group::{self, GroupId, GroupRow},
    member::active,
};

/// Which day of a matrix is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupMatrixQuery {
    /// The day for which members are counted; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// A matrix with the numbers of those members of its cells whom the caller sees.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupMatrix {
    /// The matrix.
    pub group_id: GroupId,
    /// The day for which members were counted.
    pub as_of: Date,
    /// The dimensions with their parts; none of a group that is no matrix.
    #[schema(max_items = 5)]
    pub dimensions: Vec<GroupMatrixDimension>,
    /// The cells, in the order of the parts of their dimensions: the last dimension changes fastest.
    #[schema(max_items = 1000)]
    pub cells: Vec<GroupMatrixCell>,
    /// How many members all cells have together; each customer is in one.
    #[schema(minimum = 0)]
    pub member_count: i64,
}

/// A dimension with its parts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupMatrixDimension {
    /// What it is called.
    #[schema(max_length = 40)]
    pub name: String,
    /// Its parts in their order.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 101)]
    pub parts: Vec<String>,
}

/// A cell of a matrix.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupMatrixCell {
    /// The dynamic group of those who belong into it.
    pub group: Reference,
    /// The parts of the dimensions that meet in it, in the order of the dimensions.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 5)]
    pub parts: Vec<String>,
    /// How many members it has.
    #[schema(minimum = 0)]
    pub member_count: i64,
}

/// The cells of a matrix as they are divided now, with the members of a day; none of another kind of group.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `group.read`; [`kehu_kernel::Error::NotFound`]; [`kehu_kernel::Error::Invalid`] when the
/// dimensions name fields that are no more.
pub fn of(conn: &mut Conn, actor: &Actor, id: GroupId, query: GroupMatrixQuery) -> Result<GroupMatrix> {
    access::read(actor)?;
    let row: GroupRow = group::row(conn, id)?;
    let as_of = query.as_of.unwrap_or_else(|| conn.now.date());
    let dimensions: Vec<Dimension> = row.dimensions.clone().map(|dimensions| dimensions.0).unwrap_or_default();
    if dimensions.is_empty() {
        return Ok(GroupMatrix { group_id: id, as_of, dimensions: Vec::new(), cells: Vec::new(), member_count: 0 });
    }
    let standing = Standing::of(conn, row)?;
    let counts = counts(conn, actor, id, as_of)?;
    let names = group::names(conn, standing.cells.iter().copied())?;
    let keys = standing.keys()?;
    let shown = |(id, key): (&GroupId, &String)| GroupMatrixCell {
        group: Reference::new(*id, names.get(id).cloned().unwrap_or_default()),
        parts: cell::parts(Some(key)),
        member_count: counts.get(id).copied().unwrap_or_default(),
    };
    let cells: Vec<GroupMatrixCell> = standing.cells.iter().zip(&keys).map(shown).collect();
    let parts = standing.parts();
    Ok(GroupMatrix {
        group_id: id,
        as_of,
        dimensions: dimensions.into_iter().zip(parts).map(|(of, parts)| GroupMatrixDimension { name: of.name, parts }).collect(),
        member_count: cells.iter().map(|cell| cell.member_count).sum(),
        cells,
    })
}

/// How many members each cell has whom the actor sees.
fn counts(conn: &mut Conn, actor: &Actor, matrix: GroupId, day: Date) -> Result<HashMap<GroupId, i64>> {
    let reach = access::members_within(actor);
    let cells = groups::table.filter(groups::matrix_id.eq(matrix)).select(groups::id).into_boxed::<MultiBackend>();
    let rows: Vec<(GroupId, i64)> = group_members::table
        .filter(within(group_members::group_id, cells))
        .filter(active(day))
        .filter(kehu_customer::of_visible(group_members::customer_id, &reach))
        .group_by(group_members::group_id)
        .select((group_members::group_id, count_star()))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().collect())
}
