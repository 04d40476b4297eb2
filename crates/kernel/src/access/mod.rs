//! The one access decision: who may do what, how far, and why.

mod action;
mod actor;

pub use action::{Action, Depth, FieldClass};
pub use actor::{Actor, ActorKind, BranchPlace, Grants, Reach};

use crate::{AnyId, Explanation};

/// What a decision looks at in the thing that is to be read or changed.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// The customer that it is or belongs to.
    pub customer_id: Option<AnyId>,
    /// Tree path of the branch that keeps it.
    pub branch_path: Option<String>,
    /// Staff that are assigned to it now.
    pub assigned_staff: Vec<AnyId>,
}

/// A decision with its reasons.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the actor may.
    pub allowed: bool,
    /// Which checks led there.
    pub explanation: Explanation,
}

/// Decides whether `actor` may do `action` on `resource`. Lists ask the same question as a filter, by
/// [`Actor::reach`]; both rest on the same grants.
#[must_use]
pub fn can(actor: &Actor, action: Action, resource: &Resource) -> Decision {
    let mut explanation = Explanation::new("access.can", 1)
        .input("subject", actor.subject.as_str())
        .input("roles", actor.roles.clone())
        .input("action", action.as_str());
    let Some(reach) = actor.reach(action) else {
        explanation.step("a role grants the action", false, format!("no role of the caller grants {action}"));
        return Decision { allowed: false, explanation };
    };
    let depth = actor.grants.depth(action).map_or("none", Depth::as_str);
    explanation.step("a role grants the action", true, format!("granted with depth {depth}"));
    let (within, detail) = reach.covers(resource);
    let allowed = explanation.step("the resource lies within the depth", within, detail);
    Decision { allowed, explanation }
}
