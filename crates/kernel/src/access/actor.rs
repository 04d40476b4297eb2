//! Who acts: a person, a machine, a customer or Kehu itself, with what their roles grant.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use super::{Action, Depth, FieldClass, Resource};
use crate::{AnyId, Error, Result};

crate::text_enum! {
    /// What kind of caller it is.
    pub enum ActorKind {
        /// A person who works for the bank.
        Staff = "staff",
        /// A program: a feed, an integration.
        Machine = "machine",
        /// A customer, through mobile or online banking.
        Customer = "customer",
        /// Kehu itself: jobs and the command line.
        System = "system",
    }
}

/// The branch at which an actor works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPlace {
    /// Its id.
    pub id: AnyId,
    /// Its path in the branch tree.
    pub path: String,
}

/// What a set of roles grants together: of two depths the wider one.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    depths: BTreeMap<Action, Depth>,
    classes: BTreeSet<FieldClass>,
}

impl Grants {
    /// Everything, everywhere; for Kehu itself.
    #[must_use]
    pub fn everything() -> Self {
        let depths = Action::ALL.iter().map(|action| (*action, Depth::All)).collect();
        Self { depths, classes: FieldClass::ALL.iter().copied().collect() }
    }

    /// Adds what a role grants.
    pub fn add(&mut self, action: Action, depth: Depth) {
        let entry = self.depths.entry(action).or_insert(depth);
        *entry = (*entry).max(depth);
    }

    /// Adds a class of fields that may be seen.
    pub fn add_class(&mut self, class: FieldClass) {
        self.classes.insert(class);
    }

    /// Keeps only what a token's scope names as well.
    pub fn restrict(&mut self, keep: impl Fn(Action) -> bool) {
        self.depths.retain(|action, _| keep(*action));
    }

    /// How far an action reaches; `None` when it is not granted.
    #[must_use]
    pub fn depth(&self, action: Action) -> Option<Depth> {
        self.depths.get(&action).copied()
    }

    /// Whether fields of this class may be seen.
    #[must_use]
    pub fn sees(&self, class: FieldClass) -> bool {
        self.classes.contains(&class)
    }

    /// All granted actions with their depths.
    pub fn actions(&self) -> impl Iterator<Item = (Action, Depth)> {
        self.depths.iter().map(|(action, depth)| (*action, *depth))
    }

    /// All classes of fields that may be seen.
    pub fn classes(&self) -> impl Iterator<Item = FieldClass> {
        self.classes.iter().copied()
    }
}

/// Who acts, and in which circumstances.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The token's subject: an employee number, a client id, a customer id, or `system`.
    pub subject: String,
    /// What kind of caller it is.
    pub kind: ActorKind,
    /// Codes of the caller's roles.
    pub roles: Vec<String>,
    /// What those roles grant.
    pub grants: Arc<Grants>,
    /// The staff record of a person.
    pub staff_id: Option<AnyId>,
    /// Staff of the same teams, the caller included.
    pub team_staff: Vec<AnyId>,
    /// The branch at which a person works.
    pub branch: Option<BranchPlace>,
    /// The customer of a `customer_self` token.
    pub customer_id: Option<AnyId>,
    /// Why sensitive data is read, as the caller says.
    pub purpose: Option<String>,
    /// The machine client that acts for the person, if one does.
    pub on_behalf_by: Option<String>,
    /// The request, for audit and logs.
    pub request_id: Option<String>,
}

impl Actor {
    /// Kehu itself, with every right: jobs and the command line.
    #[must_use]
    pub fn system() -> Self {
        Self {
            subject: "system".into(),
            kind: ActorKind::System,
            roles: Vec::new(),
            grants: Arc::new(Grants::everything()),
            staff_id: None,
            team_staff: Vec::new(),
            branch: None,
            customer_id: None,
            purpose: None,
            on_behalf_by: None,
            request_id: None,
        }
    }

    /// How far the actor may do this; `None` when not at all.
    #[must_use]
    pub fn reach(&self, action: Action) -> Option<Reach> {
        let depth = self.grants.depth(action)?;
        // A customer never reaches beyond itself, whatever a role says.
        if self.kind == ActorKind::Customer {
            return Some(Reach::Customer(self.customer_id?));
        }
        match (depth, &self.branch) {
            (Depth::All, _) => Some(Reach::All),
            (Depth::UnitAndBelow, Some(branch)) => Some(Reach::Subtree(branch.path.clone())),
            (Depth::Unit, Some(branch)) => Some(Reach::Branch(branch.path.clone())),
            (Depth::Team, _) if !self.team_staff.is_empty() => Some(Reach::Staff(self.team_staff.clone())),
            (Depth::Own | Depth::Team, _) => Some(Reach::Staff(self.staff_id.into_iter().collect())),
            // A role that reaches by branch, held by somebody without one, reaches nothing.
            (_, None) => Some(Reach::Staff(Vec::new())),
        }
    }

    /// The reach of an action, or the refusal; the first line of every use case.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when no role of the actor grants the action.
    pub fn allow(&self, action: Action) -> Result<Reach> {
        self.reach(action).ok_or_else(|| Error::Forbidden(format!("This needs a role that grants {action}.")))
    }

    /// As [`Actor::allow`], for what belongs to the bank as a whole and can only be changed with depth `all`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the action is not granted, or not with that depth.
    pub fn allow_everywhere(&self, action: Action) -> Result<()> {
        match self.allow(action)? {
            Reach::All => Ok(()),
            _ => Err(Error::Forbidden(format!("This needs a role that grants {action} with depth all."))),
        }
    }

    /// Whether the actor may see fields of this class.
    #[must_use]
    pub fn sees(&self, class: FieldClass) -> bool {
        self.grants.sees(class)
    }
}

/// How far one action of one actor reaches; what list queries filter by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    All,
    /// What branches at or below this tree path keep.
    Subtree(String),
    /// What the branch of exactly this tree path keeps.
    Branch(String),
    /// What is assigned to these people.
    Staff(Vec<AnyId>),
    /// One customer and what belongs to it.
    Customer(AnyId),
}

impl Reach {
    /// Whether it may span much of the bank. What is within then is asked row by row, not listed.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        matches!(self, Self::All | Self::Subtree(_) | Self::Branch(_))
    }

    /// Whether a resource lies within, and why.
    #[must_use]
    pub fn covers(&self, resource: &Resource) -> (bool, String) {
        let place = resource.branch_path.as_deref();
        match self {
            Self::All => (true, "everything is within reach".into()),
            Self::Subtree(path) => {
                let within = place.is_some_and(|place| place.starts_with(path.as_str()));
                (within, format!("branch {} against subtree {path}", place.unwrap_or("none")))
            }
            Self::Branch(path) => {
                (place == Some(path.as_str()), format!("branch {} against branch {path}", place.unwrap_or("none")))
            }
            Self::Staff(staff) => {
                let assigned = resource.assigned_staff.iter().any(|id| staff.contains(id));
                (assigned, format!("assigned to {} of the {} people within reach", u8::from(assigned), staff.len()))
            }
            Self::Customer(id) => (resource.customer_id == Some(*id), "a customer reaches only itself".into()),
        }
    }

    /// The half-open range of tree paths that a subtree spans: `path ≤ p < end`.
    #[must_use]
    pub fn path_range(path: &str) -> (String, String) {
        // Paths are segments of ASCII that each end in '.', and '/' is the character after it.
        let end = path.strip_suffix('.').map_or_else(|| format!("{path}\u{10ffff}"), |stem| format!("{stem}/"));
        (path.to_owned(), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::can;

    fn teller(path: &str, depth: Depth) -> Actor {
        let mut grants = Grants::default();
        grants.add(Action::CustomerRead, depth);
        Actor {
            kind: ActorKind::Staff,
            grants: Arc::new(grants),
            branch: Some(BranchPlace { id: AnyId::new(), path: path.into() }),
            ..Actor::system()
        }
    }

    fn at(path: &str) -> Resource {
        Resource { branch_path: Some(path.into()), ..Resource::default() }
    }

    #[test]
    fn a_subtree_ends_where_its_sibling_begins() {
        let actor = teller("1.2.", Depth::UnitAndBelow);
        assert!(can(&actor, Action::CustomerRead, &at("1.2.7.")).allowed);
        assert!(!can(&actor, Action::CustomerRead, &at("1.20.")).allowed);
        assert!(!can(&actor, Action::CustomerWrite, &at("1.2.")).allowed);
        let (from, to) = Reach::path_range("1.2.");
        assert!(from.as_str() <= "1.2.7." && "1.2.7." < to.as_str() && "1.20." >= to.as_str());
    }

    #[test]
    fn a_customer_never_reaches_beyond_itself() {
        let own = AnyId::new();
        let actor = Actor { kind: ActorKind::Customer, customer_id: Some(own), branch: None, ..teller("1.", Depth::All) };
        assert!(can(&actor, Action::CustomerRead, &Resource { customer_id: Some(own), ..at("1.") }).allowed);
        assert!(!can(&actor, Action::CustomerRead, &Resource { customer_id: Some(AnyId::new()), ..at("1.") }).allowed);
    }
}
