//! A split or a merge rests on an evaluation of just that.

use std::collections::BTreeSet;

use kehu_kernel::{Conn, Error, Result};

use crate::{
    evaluation::{self, EvaluationDecision, EvaluationId, EvaluationKind, EvaluationPhase},
    group::GroupId,
};

/// What the forecast came to that is about this step: of its kind, of all groups that members leave and, where the target of a
/// merge was said, of that group. Whether the figures speak for the step is for people to weigh.
pub(super) fn justified(
    conn: &mut Conn,
    id: EvaluationId,
    kind: EvaluationKind,
    sources: &[GroupId],
    target: Option<GroupId>,
) -> Result<EvaluationDecision> {
    let fault = |code: &str, message: &str| Err(Error::invalid("/evaluation_id", code, message));
    let Some(found) = evaluation::stored(conn, id)? else {
        return fault("unknown_evaluation", "There is no evaluation with this id.");
    };
    if found.phase != EvaluationPhase::Forecast {
        return fault("not_a_forecast", "This evaluation looks back: a step rests on a forecast.");
    }
    if found.kind != kind {
        return fault("another_kind", "This evaluation is not of such a step.");
    }
    let evaluated: BTreeSet<GroupId> = found.source_groups.0.iter().filter_map(|group| group.group_id).collect();
    let planned = found.target_groups.0.iter().any(|group| group.group_id.is_none());
    let named: BTreeSet<GroupId> = found.target_groups.0.iter().filter_map(|group| group.group_id).collect();
    let fits = target.is_none_or(|target| planned || evaluated.contains(&target) || named.contains(&target));
    if !fits || !sources.iter().all(|source| evaluated.contains(source)) {
        return fault("about_other_groups", "This evaluation is about other groups.");
    }
    Ok(found.decision)
}
