//! Which groups the rule of a group looks at: none that looks at this one, through others neither.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Conn, Error, FieldError, Result, Rule, Tx,
    json::Json,
    rule::{Dimension, RuleOperator},
    schema::groups,
};

use super::declare::Wanted;
use crate::group::{GroupId, GroupKind, GroupStatus};

/// The collection of memberships, in rules.
const GROUPS: &str = "groups";
/// The number that those hold who let groups follow rules, one after the other: two who do so at once could close a circle.
const RULES: i64 = 7_310_926_584_410_377_261;

/// What a rule names of groups.
#[derive(Default)]
struct Names {
    ids: BTreeSet<String>,
    numbers: BTreeSet<String>,
    faults: Vec<FieldError>,
}

/// Refuses what would look at its own members, through other groups too. Every condition on memberships has to name the groups,
/// or kinds of groups that follow no rule: of anything else nobody could tell.
///
/// # Errors
/// [`Error::Invalid`] `unnamed_groups`; [`Error::Conflict`] `group_cycle`.
pub(super) fn check(tx: &mut Tx<'_>, id: GroupId, wanted: &Wanted) -> Result<()> {
    let mut names = Names::of(wanted.rule.as_ref(), &wanted.dimensions);
    if !names.faults.is_empty() {
        return Err(Error::Invalid(names.faults));
    }
    if names.ids.is_empty() && names.numbers.is_empty() {
        return Ok(());
    }
    tx.hold(&[RULES])?;
    let all = Graph::load(tx)?;
    let mut seen = HashSet::new();
    let mut level: Vec<GroupId> = all.named(&mut names);
    while let Some(next) = level.pop() {
        if next == id {
            let detail = "The rule looks at members of a group whose rule looks at members of this one.";
            return Err(Error::conflict("group_cycle", detail));
        }
        if seen.insert(next) {
            level.extend(all.below.get(&next).into_iter().flatten().copied());
        }
    }
    Ok(())
}

/// These groups, each after those at which its rule looks.
pub(super) fn ordered(conn: &mut Conn, ids: &[GroupId]) -> Result<Vec<GroupId>> {
    let all = Graph::load(conn)?;
    let mut done = Vec::with_capacity(ids.len());
    let mut seen = HashSet::new();
    // Depth first, each group once before and once after what it looks at.
    let mut open: Vec<(GroupId, bool)> = ids.iter().rev().map(|id| (*id, false)).collect();
    while let Some((id, looked)) = open.pop() {
        if looked {
            done.push(id);
        } else if seen.insert(id) {
            open.push((id, true));
            open.extend(all.below.get(&id).into_iter().flatten().map(|below| (*below, false)));
        }
    }
    let wanted: HashSet<GroupId> = ids.iter().copied().collect();
    done.retain(|id| wanted.contains(id));
    Ok(done)
}

/// The groups that follow rules, with those at which they look. A cell stands for its matrix.
struct Graph {
    below: BTreeMap<GroupId, Vec<GroupId>>,
    numbers: HashMap<String, GroupId>,
    matrices: HashMap<GroupId, GroupId>,
}

type Kept = (GroupId, String, Option<GroupId>, Option<Json<Rule>>, Option<Json<Vec<Dimension>>>);

impl Graph {
    fn load(conn: &mut Conn) -> Result<Self> {
        let rows: Vec<Kept> = groups::table
            .filter(groups::kind.eq_any([GroupKind::Dynamic, GroupKind::Matrix]))
            .filter(groups::status.eq(GroupStatus::Active))
            .select((groups::id, groups::number, groups::matrix_id, groups::rule, groups::dimensions))
            .load(&mut conn.db)?;
        let mut graph = Self {
            below: BTreeMap::new(),
            numbers: rows.iter().map(|(id, number, ..)| (number.clone(), *id)).collect(),
            matrices: rows.iter().filter_map(|(id, _, matrix, ..)| Some((*id, (*matrix)?))).collect(),
        };
        for (id, _, _, rule, dimensions) in &rows {
            let dimensions = dimensions.as_ref().map(|dimensions| dimensions.0.as_slice()).unwrap_or_default();
            let below = graph.named(&mut Names::of(rule.as_ref().map(|rule| &rule.0), dimensions));
            graph.below.insert(*id, below);
        }
        Ok(graph)
    }

    /// The groups that are named, cells as their matrices.
    fn named(&self, names: &mut Names) -> Vec<GroupId> {
        let by_number = names.numbers.iter().filter_map(|number| self.numbers.get(number)).copied();
        let ids = names.ids.iter().filter_map(|id| id.parse().ok()).chain(by_number);
        ids.map(|id| self.matrices.get(&id).copied().unwrap_or(id)).collect()
    }
}

impl Names {
    fn of(rule: Option<&Rule>, dimensions: &[Dimension]) -> Self {
        let mut names = Self::default();
        if let Some(rule) = rule {
            names.walk(rule, "/rule");
        }
        for (place, dimension) in dimensions.iter().enumerate() {
            let at = format!("/dimensions/{place}");
            if dimension.some.as_deref() == Some(GROUPS) {
                names.memberships(dimension.matching.as_deref(), &at);
            }
            for (part, of) in dimension.parts.iter().flatten().enumerate() {
                names.walk(&of.rule, &format!("{at}/parts/{part}/rule"));
            }
        }
        names
    }

    fn walk(&mut self, rule: &Rule, at: &str) {
        if rule.some.as_deref() == Some(GROUPS) {
            self.memberships(rule.matching.as_deref(), at);
        }
        for (name, rules) in [("all", &rule.all), ("any", &rule.any)] {
            for (place, rule) in rules.iter().flatten().enumerate() {
                self.walk(rule, &format!("{at}/{name}/{place}"));
            }
        }
        if let Some(rule) = &rule.not {
            self.walk(rule, &format!("{at}/not"));
        }
    }

    /// A condition on memberships.
    fn memberships(&mut self, matching: Option<&Rule>, at: &str) {
        if !matching.is_some_and(|matching| self.names(matching)) {
            let message = "Rules of groups name the groups at whose members they look, by group or group_number, or by kinds of \
                           groups that follow no rule.";
            self.faults.push(FieldError::new(at, "unnamed_groups", message));
        }
    }

    /// Whether a condition lets only groups through that it names, or that follow no rule.
    fn names(&mut self, rule: &Rule) -> bool {
        if let Some(rules) = &rule.all {
            // Each may name some; one is enough.
            return rules.iter().filter(|rule| self.names(rule)).count() > 0;
        }
        if !matches!(rule.operator, Some(RuleOperator::Equals | RuleOperator::OneOf)) {
            return false;
        }
        let values = rule.values.iter().flatten();
        match rule.field.as_deref() {
            Some("group") => self.ids.extend(values.cloned()),
            Some("group_number") => self.numbers.extend(values.cloned()),
            Some("group_kind") => return values.into_iter().all(|kind| !["dynamic", "matrix"].contains(&kind.as_str())),
            _ => return false,
        }
        true
    }
}
