//! What a group that follows a rule asks of customers.

use kehu_customer::{
    CustomerId,
    rule::{Asked, Divisions},
};
use kehu_kernel::{
    Conn, Error, Result,
    access::Reach,
    rule::MovedBy,
    schema::{branches, customers},
};

use diesel::{QueryDsl, RunQueryDsl};

use super::cell;
use crate::{
    group::{GroupId, GroupRow},
    rule,
};

/// A rule and the dimensions of a group as they stand, ready to be asked.
pub(super) struct Standing {
    /// The group, and with it the number of its rule.
    pub group: GroupRow,
    rule: Option<Asked>,
    divisions: Option<Divisions>,
    /// The cells in their order; the group itself when it is not divided.
    pub cells: Vec<GroupId>,
    /// Cells that are no more.
    pub gone: Vec<GroupId>,
    scope: Reach,
    /// What else than writes of customers moves members.
    pub moved_by: MovedBy,
}

impl Standing {
    /// What a group asks; its row was read by this connection.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the fields that it names are no more.
    pub fn of(conn: &mut Conn, group: GroupRow) -> Result<Self> {
        let mut moved_by = MovedBy::default();
        let rule = match &group.rule {
            Some(rule) => {
                let (asked, by) = Asked::kept(conn, rule::customers(), &rule.0, "/rule")?;
                moved_by = by;
                Some(asked)
            }
            None => None,
        };
        let (mut cells, mut gone, mut divisions) = (vec![group.id], Vec::new(), None);
        if let Some(dimensions) = &group.dimensions {
            let kept = Divisions::kept(conn, rule::customers(), &dimensions.0, "/dimensions")?;
            for dimension in &kept.dimensions {
                moved_by.days |= dimension.moved_by.days;
                moved_by.events.extend(&dimension.moved_by.events);
            }
            let mut open = cell::open(conn, group.id)?;
            let keys = cell::keys(&kept.dimensions)?;
            cells = keys.iter().filter_map(|key| open.remove(key)).collect();
            if cells.len() < keys.len() {
                return Err(Error::Busy);
            }
            gone = open.into_values().collect();
            divisions = Some(kept);
        }
        let scope = match group.branch_id {
            Some(branch) => {
                moved_by.events.insert("branch.");
                Reach::Subtree(branches::table.find(branch).select(branches::path).first(&mut conn.db)?)
            }
            None => Reach::All,
        };
        Ok(Self { group, rule, divisions, cells, gone, scope, moved_by })
    }

    /// Who is to be in which group: of all customers, or of some.
    pub fn wanted(&self, conn: &mut Conn, some: Option<Vec<CustomerId>>) -> Result<Vec<(CustomerId, GroupId)>> {
        let Some(divisions) = &self.divisions else {
            let Some(rule) = &self.rule else { return Ok(Vec::new()) };
            let of = match some {
                Some(ids) => rule.some_customers(&self.scope, ids),
                None => rule.customers(&self.scope),
            };
            let found: Vec<CustomerId> = of.select(customers::id).load(&mut conn.db)?;
            return Ok(found.into_iter().map(|id| (id, self.group.id)).collect());
        };
        let found = divisions.cells(conn, self.rule.as_ref(), &self.scope, some)?;
        let cell = |number: i64| usize::try_from(number).ok().and_then(|number| self.cells.get(number)).copied();
        Ok(found.into_iter().filter_map(|(id, number)| Some((id, cell(number)?))).collect())
    }

    /// The groups whose members it decides about.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.cells.iter().chain(&self.gone).copied()
    }

    /// The keys of the cells, in their order.
    pub fn keys(&self) -> Result<Vec<String>> {
        self.divisions.as_ref().map_or_else(|| Ok(Vec::new()), |divisions| cell::keys(&divisions.dimensions))
    }

    /// The parts of each dimension.
    pub fn parts(&self) -> Vec<Vec<String>> {
        let dimensions = self.divisions.iter().flat_map(|divisions| &divisions.dimensions);
        dimensions.map(|dimension| dimension.parts.clone()).collect()
    }
}
