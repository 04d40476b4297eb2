//! What a group is to follow, held against the fields that there are and the rights of who says it.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_customer::rule::{Asked, Divisions};
use kehu_kernel::{
    Action, Actor, Error, FieldError, Result, Rule, Tx,
    access::Reach,
    json::Json,
    rule::Dimension,
    schema::{branches, groups},
};
use kehu_organization::branch::BranchId;

use super::{cell, depends, job};
use crate::{
    group::{GroupKind, GroupRow},
    rule,
};

/// What a group is to follow.
pub(crate) struct Wanted {
    pub rule: Option<Rule>,
    pub dimensions: Vec<Dimension>,
    pub branch_id: Option<BranchId>,
}

/// Lets a new group, which is written and locked, follow what is wanted. Its members come soon after.
///
/// # Errors
/// [`Error::Invalid`] for faults of rule and dimensions and for what does not fit the kind of the group; [`Error::Forbidden`] when
/// rights that the rule asks for do not reach all customers who are looked at; [`Error::Conflict`] `group_cycle`.
pub(crate) fn declare(tx: &mut Tx<'_>, actor: &Actor, row: &GroupRow, wanted: Wanted) -> Result<()> {
    refuse_unfit(row.kind, &wanted)?;
    if row.kind.by_rule() { follow(tx, actor, row, wanted) } else { Ok(()) }
}

/// Lets a group that is locked follow something else from now on; what is absent stays.
///
/// # Errors
/// As [`declare`]; [`Error::Conflict`] `group_by_rule` for a cell.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    actor: &Actor,
    row: &GroupRow,
    rule: Option<Option<Rule>>,
    dimensions: Option<Vec<Dimension>>,
    branch_id: Option<Option<BranchId>>,
) -> Result<()> {
    if rule.is_none() && dimensions.is_none() && branch_id.is_none() {
        return Ok(());
    }
    if row.matrix_id.is_some() {
        return Err(Error::conflict("group_by_rule", "The cell of a matrix follows the matrix: change that instead."));
    }
    let kept = || row.dimensions.clone().map(|dimensions| dimensions.0).unwrap_or_default();
    let wanted = Wanted {
        rule: rule.unwrap_or_else(|| row.rule.clone().map(|rule| rule.0)),
        dimensions: dimensions.unwrap_or_else(kept),
        branch_id: branch_id.unwrap_or(row.branch_id),
    };
    declare(tx, actor, row, wanted)
}

fn refuse_unfit(kind: GroupKind, wanted: &Wanted) -> Result<()> {
    let Wanted { rule, dimensions, branch_id } = wanted;
    let by_rule = kind.by_rule();
    let faults = [
        ("/rule", rule.is_some() && !by_rule, "not_allowed", "Only dynamic groups and matrices follow a rule."),
        ("/rule", rule.is_none() && kind == GroupKind::Dynamic, "required", "A dynamic group follows a rule."),
        ("/dimensions", !dimensions.is_empty() && kind != GroupKind::Matrix, "not_allowed", "Only matrices have dimensions."),
        ("/dimensions", dimensions.is_empty() && kind == GroupKind::Matrix, "required", "A matrix has at least one dimension."),
        ("/branch_id", branch_id.is_some() && !by_rule, "not_allowed", "Only groups that follow a rule are of a branch."),
    ];
    let broken: Vec<FieldError> = faults
        .into_iter()
        .filter(|(_, wrong, ..)| *wrong)
        .map(|(pointer, _, code, message)| FieldError::new(pointer, code, message))
        .collect();
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

fn follow(tx: &mut Tx<'_>, actor: &Actor, row: &GroupRow, wanted: Wanted) -> Result<()> {
    let mut reaches = vec![actor.allow(Action::CustomerRead)?, actor.allow(Action::GroupManage)?];
    if let Some(rule) = &wanted.rule {
        reaches.extend_from_slice(Asked::new(tx, actor, rule::customers(), rule, "/rule")?.reaches());
    }
    let divisions = Divisions::new(tx, actor, rule::customers(), &wanted.dimensions, "/dimensions")?;
    reaches.extend_from_slice(&divisions.reaches);
    within_reach(tx, &reaches, wanted.branch_id)?;
    let cells: usize = divisions.dimensions.iter().map(|dimension| dimension.parts.len()).product();
    if cells > cell::MOST {
        let message = format!("These dimensions meet in {cells} cells; a matrix has at most {}.", cell::MOST);
        return Err(Error::invalid("/dimensions", "too_many", message));
    }
    depends::check(tx, row.id, &wanted)?;
    let dimensions = (!wanted.dimensions.is_empty()).then_some(Json(wanted.dimensions));
    diesel::update(groups::table.find(row.id))
        .set((
            groups::rule.eq(wanted.rule.map(Json)),
            groups::dimensions.eq(dimensions),
            groups::branch_id.eq(wanted.branch_id),
            groups::refresh_number.eq(row.refresh_number + 1),
            groups::refreshed_to.eq(None::<i64>),
        ))
        .execute(&mut tx.db)?;
    if row.kind == GroupKind::Matrix {
        cell::make(tx, actor, row, &divisions.dimensions)?;
    }
    job::ask(tx, actor, row.id, true).map(drop)
}

/// Refuses a rule about customers whom rights that it asks for do not reach: its members would tell of them.
fn within_reach(tx: &mut Tx<'_>, reaches: &[Reach], branch: Option<BranchId>) -> Result<()> {
    let path: Option<String> = match branch {
        Some(id) => {
            let path = branches::table.find(id).select(branches::path).first(&mut tx.db).optional()?;
            let unknown = || Error::invalid("/branch_id", "unknown_branch", "There is no branch with this id.");
            Some(path.ok_or_else(unknown)?)
        }
        None => None,
    };
    let covers = |reach: &Reach| match (reach, &path) {
        (Reach::All, _) => true,
        (Reach::Subtree(top), Some(path)) => path.starts_with(top.as_str()),
        _ => false,
    };
    if reaches.iter().all(covers) {
        return Ok(());
    }
    let detail = "A group follows a rule about customers whom all rights that it asks for reach: name a branch that they reach \
                  with all below it.";
    Err(Error::Forbidden(detail.into()))
}
