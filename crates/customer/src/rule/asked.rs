//! Customers chosen by a rule.

use std::{collections::BTreeSet, fmt};

use diesel::QueryDsl;
use kehu_kernel::{
    Action, Actor, Conn, Error, Result, Rule,
    access::{FieldClass, Reach},
    rule::{Catalogue, Checked, Condition, Extent, MovedBy},
    schema::customers,
    store::{MultiBackend, among},
};

use crate::{CustomerId, scope};

/// Whether an actor's rules may ask for fields of a class: what is shown in lists, where nothing sensitive is.
#[must_use]
pub fn shown(actor: &Actor, class: FieldClass) -> bool {
    class != FieldClass::Sensitive && actor.sees(class)
}

/// A rule that customers are to meet, as one caller may ask for it.
#[derive(Clone)]
pub struct Asked {
    rule: Rule,
    /// For queries that look at some customers, and for those that look at all.
    conditions: [Condition; 2],
    /// How far the rights reach that the rule asks for: whether it holds is told only of customers within all of them.
    reaches: Vec<Reach>,
}

/// As it was asked: days that are counted from today stay so, and pages of a list belong together over midnight.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }
}

impl Asked {
    /// Holds a rule against the fields that there are and those that the caller is shown in lists. `pointer` is its place in the
    /// body.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for customers, and without the rights that what it asks for needs; [`Error::Invalid`] with every
    /// fault of the rule; [`Error::Conflict`] (`database_distributed`) when it looks at accounts and these lie elsewhere.
    pub fn new(conn: &Conn, actor: &Actor, catalogue: &Catalogue, rule: &Rule, pointer: &str) -> Result<Self> {
        scope::refuse_customers(actor)?;
        let checked = catalogue.check(rule, pointer, conn.now, |class| shown(actor, class))?;
        let reaches = reaches(conn, actor, checked.beyond, &checked.actions)?;
        Ok(Self::of(conn, rule, &checked, reaches))
    }

    /// A rule that the bank keeps: it is asked for over all customers, whoever looks at what comes of it. It was allowed to those
    /// who wrote it.
    ///
    /// # Errors
    /// As [`Asked::new`], but for rights.
    pub fn kept(conn: &Conn, catalogue: &Catalogue, rule: &Rule, pointer: &str) -> Result<(Self, MovedBy)> {
        let checked = catalogue.check(rule, pointer, conn.now, |class| class != FieldClass::Sensitive)?;
        refuse_spread(conn, checked.beyond)?;
        Ok((Self::of(conn, rule, &checked, Vec::new()), checked.moved_by))
    }

    fn of(conn: &Conn, rule: &Rule, checked: &Checked, reaches: Vec<Reach>) -> Self {
        let conditions = [Extent::Some, Extent::All].map(|extent| checked.condition(conn, extent));
        Self { rule: rule.clone(), conditions, reaches }
    }

    /// How far the rights reach that it asks for.
    #[must_use]
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// All customers within reach who meet it.
    #[must_use]
    pub fn customers<'a>(&self, reach: &Reach) -> customers::BoxedQuery<'a, MultiBackend> {
        self.narrow(customers::table.filter(scope::visible_to(reach)).into_boxed(), Extent::All)
    }

    /// Those of some customers who are within reach and meet it.
    #[must_use]
    pub fn some_customers<'a>(&self, reach: &Reach, ids: Vec<CustomerId>) -> customers::BoxedQuery<'a, MultiBackend> {
        let of = customers::table.filter(among(customers::id, ids)).filter(scope::visible_to(reach));
        self.narrow(of.into_boxed(), Extent::Some)
    }

    /// Those customers who meet it.
    pub(crate) fn narrow<'a>(
        &self,
        query: customers::BoxedQuery<'a, MultiBackend>,
        extent: Extent,
    ) -> customers::BoxedQuery<'a, MultiBackend> {
        let within = self.reaches.iter().filter(|reach| **reach != Reach::All);
        let query = within.fold(query, |query, reach| query.filter(scope::visible_to(reach)));
        query.filter(self.condition(extent).clone())
    }

    pub(super) const fn condition(&self, extent: Extent) -> &Condition {
        let [some, all] = &self.conditions;
        match extent {
            Extent::All => all,
            Extent::Some => some,
        }
    }
}

/// How far an actor's rights reach that something asks for.
pub(super) fn reaches(conn: &Conn, actor: &Actor, beyond: bool, actions: &BTreeSet<Action>) -> Result<Vec<Reach>> {
    refuse_spread(conn, beyond)?;
    actions.iter().map(|action| actor.allow(*action)).collect()
}

pub(super) fn refuse_spread(conn: &Conn, beyond: bool) -> Result<()> {
    if beyond && conn.distributed {
        return Err(Error::conflict("database_distributed", "Accounts lie elsewhere than customers: no rule asks for both."));
    }
    Ok(())
}
