//! The one access decision: who may do what, how far, and why.

mod action;
mod actor;
mod version;

pub use action::{Action, Depth, FieldClass};
pub use actor::{Actor, ActorKind, BranchPlace, Grants, Reach};
pub use version::version;
pub(crate) use version::{decisive, raise};

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
    let mut decision = may(actor, action);
    if let Some(reach) = actor.reach(action) {
        let (within, detail) = reach.covers(resource);
        decision.allowed = decision.explanation.step("the resource lies within the depth", within, detail);
    }
    decision
}

/// Decides whether `actor` may do `action` at all, on whatever lies within reach.
#[must_use]
pub fn may(actor: &Actor, action: Action) -> Decision {
    let mut explanation = Explanation::new("access.can", 1)
        .input("subject", actor.subject.as_str())
        .input("roles", actor.roles.clone())
        .input("action", action.as_str());
    let detail = match (actor.grants.depth(action), actor.reach(action)) {
        (None, _) => format!("no role of the caller grants {action}"),
        (Some(_), None) => "a customer's token that names no customer".into(),
        (Some(depth), Some(_)) => format!("granted with depth {depth}"),
    };
    let allowed = explanation.step("a role grants the action", actor.reach(action).is_some(), detail);
    Decision { allowed, explanation }
}
