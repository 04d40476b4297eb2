//! What became of groups: kept with each step, and read back through as many as there were.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Actor, Conn, Date, Error, Instant, Reference, Result, Tx, bulk_insert,
    schema::{group_lineage_groups, group_lineages, groups, segmentation_evaluations},
    store::among,
};

use super::{GroupLineage, GroupLineageEntry, LineageGroup, LineageId, LineageOperation, LineageSide};
use crate::{
    access,
    evaluation::{EvaluationDecision, EvaluationId},
    group::{self, GroupId},
};

/// How many steps each direction shows.
const MOST: usize = 500;

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = group_lineages, treat_none_as_default_value = false)]
struct StepRow {
    id: LineageId,
    operation: LineageOperation,
    evaluation_id: EvaluationId,
    purpose: String,
    decided_by: String,
    happened_on: Date,
    created_at: Instant,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = group_lineage_groups, treat_none_as_default_value = false)]
struct PlaceRow {
    lineage_id: LineageId,
    group_id: GroupId,
    side: LineageSide,
    member_count: i64,
}

/// A step that is being taken.
pub(super) struct Step {
    /// Its identifier.
    pub id: LineageId,
    row: StepRow,
    decision: EvaluationDecision,
    places: Vec<PlaceRow>,
}

impl Step {
    pub fn new(
        tx: &Tx<'_>,
        actor: &Actor,
        operation: LineageOperation,
        evaluation_id: EvaluationId,
        decision: EvaluationDecision,
        purpose: &str,
    ) -> Self {
        let id = LineageId::new();
        let row = StepRow {
            id,
            operation,
            evaluation_id,
            purpose: purpose.to_owned(),
            decided_by: actor.subject.clone(),
            happened_on: tx.now.date(),
            created_at: tx.now,
        };
        Self { id, row, decision, places: Vec::new() }
    }

    /// Names a group of the step, and how many memberships of it ended or began.
    pub fn add(&mut self, group: GroupId, side: LineageSide, member_count: i64) {
        self.places.push(PlaceRow { lineage_id: self.id, group_id: group, side, member_count });
    }

    /// The groups on one side.
    pub fn groups(&self, side: LineageSide) -> Vec<GroupId> {
        self.places.iter().filter(|place| place.side == side).map(|place| place.group_id).collect()
    }
}

/// Writes a step down.
pub(super) fn record(tx: &mut Tx<'_>, step: Step) -> Result<GroupLineageEntry> {
    let Step { row, decision, places, .. } = step;
    diesel::insert_into(group_lineages::table).values(&row).execute(&mut tx.db)?;
    bulk_insert!(tx, group_lineage_groups::table, &places)?;
    let decisions = HashMap::from([(row.evaluation_id, decision)]);
    present(tx, vec![row], places, &decisions)?.pop().ok_or_else(|| Error::internal("a step is not shown"))
}

/// Where a group came from and what became of it.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`].
pub fn of(conn: &mut Conn, actor: &Actor, id: GroupId) -> Result<GroupLineage> {
    access::read(actor)?;
    groups::table.find(id).select(groups::id).first::<GroupId>(&mut conn.db)?;
    let (origin, cut) = walk(conn, id, LineageSide::Target, LineageSide::Source)?;
    let (outcome, cut_too) = walk(conn, id, LineageSide::Source, LineageSide::Target)?;
    Ok(GroupLineage { group_id: id, origin, outcome, truncated: cut || cut_too })
}

/// All steps on whose one side a group stands, on from each to the groups of the other side.
fn walk(conn: &mut Conn, id: GroupId, from: LineageSide, to: LineageSide) -> Result<(Vec<GroupLineageEntry>, bool)> {
    let mut seen = HashSet::from([id]);
    let mut level = vec![id];
    let mut steps: BTreeSet<LineageId> = BTreeSet::new();
    let mut truncated = false;
    while !level.is_empty() && !truncated {
        let found: Vec<LineageId> = group_lineage_groups::table
            .filter(among(group_lineage_groups::group_id, level))
            .filter(group_lineage_groups::side.eq(from))
            .select(group_lineage_groups::lineage_id)
            .load(&mut conn.db)?;
        let new: Vec<LineageId> = found.into_iter().filter(|step| steps.insert(*step)).collect();
        let beyond: Vec<GroupId> = group_lineage_groups::table
            .filter(among(group_lineage_groups::lineage_id, new))
            .filter(group_lineage_groups::side.eq(to))
            .select(group_lineage_groups::group_id)
            .load(&mut conn.db)?;
        level = beyond.into_iter().filter(|group| seen.insert(*group)).collect();
        truncated = steps.len() > MOST;
    }
    let steps: Vec<LineageId> = steps.into_iter().take(MOST).collect();
    Ok((entries(conn, steps)?, truncated))
}

fn entries(conn: &mut Conn, ids: Vec<LineageId>) -> Result<Vec<GroupLineageEntry>> {
    let steps: Vec<StepRow> = group_lineages::table
        .filter(among(group_lineages::id, ids.clone()))
        .order(group_lineages::id)
        .select(StepRow::as_select())
        .load(&mut conn.db)?;
    let places: Vec<PlaceRow> = group_lineage_groups::table
        .filter(among(group_lineage_groups::lineage_id, ids))
        .order(group_lineage_groups::group_id)
        .select(PlaceRow::as_select())
        .load(&mut conn.db)?;
    let decisions: HashMap<EvaluationId, EvaluationDecision> = segmentation_evaluations::table
        .filter(among(segmentation_evaluations::id, steps.iter().map(|step| step.evaluation_id).collect()))
        .select((segmentation_evaluations::id, segmentation_evaluations::decision))
        .load::<(EvaluationId, EvaluationDecision)>(&mut conn.db)?
        .into_iter()
        .collect();
    present(conn, steps, places, &decisions)
}

fn present(
    conn: &mut Conn,
    steps: Vec<StepRow>,
    places: Vec<PlaceRow>,
    decisions: &HashMap<EvaluationId, EvaluationDecision>,
) -> Result<Vec<GroupLineageEntry>> {
    let names = group::names(conn, places.iter().map(|place| place.group_id))?;
    let mut sides: BTreeMap<(LineageId, LineageSide), Vec<LineageGroup>> = BTreeMap::new();
    for place in places {
        let label = names.get(&place.group_id).cloned().unwrap_or_default();
        let group = LineageGroup { group: Reference::new(place.group_id, label), member_count: place.member_count };
        sides.entry((place.lineage_id, place.side)).or_default().push(group);
    }
    let mut entry = |step: StepRow| {
        let decision = decisions.get(&step.evaluation_id).copied().ok_or_else(|| Error::internal("a step without evaluation"))?;
        Ok(GroupLineageEntry {
            sources: sides.remove(&(step.id, LineageSide::Source)).unwrap_or_default(),
            targets: sides.remove(&(step.id, LineageSide::Target)).unwrap_or_default(),
            id: step.id,
            operation: step.operation,
            evaluation_id: step.evaluation_id,
            decision,
            purpose: step.purpose,
            decided_by: step.decided_by,
            happened_on: step.happened_on,
            created_at: step.created_at,
        })
    };
    steps.into_iter().map(&mut entry).collect()
}
