//! The condition that a row belongs to a customer within reach, for any table that names customers.
//!
//! A fragment of its own, because what diesel boxes for two databases cannot stand in a sub-select.

use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    backend::Backend,
    expression::{ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{Bool, HasSqlType, Text},
};
use kehu_kernel::{AnyId, access::Reach, store::sql};

/// `.filter(of_visible(account_links::customer_id, &reach))`: rows of customers within reach.
#[must_use]
pub fn of_visible<C>(column: C, reach: &Reach) -> OfVisible<C> {
    let within = match reach {
        Reach::All => Within::All,
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            Within::Subtree(from, to)
        }
        Reach::Branch(path) => Within::Branch(path.clone()),
        Reach::Staff(staff) => Within::Staff(staff.clone()),
        Reach::Customer(id) => Within::Customer(*id),
    };
    OfVisible { column, within }
}

/// See [`of_visible`].
#[derive(Clone, Debug)]
pub struct OfVisible<C> {
    column: C,
    within: Within,
}

#[derive(Clone, Debug)]
enum Within {
    All,
    Subtree(String, String),
    Branch(String),
    Staff(Vec<AnyId>),
    Customer(AnyId),
}

impl<C: Expression> Expression for OfVisible<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<QS>, QS> AppearsOnTable<QS> for OfVisible<C> {}

impl<C: SelectableExpression<QS>, QS> SelectableExpression<QS> for OfVisible<C> {}

impl<C, GB> ValidGrouping<GB> for OfVisible<C> {
    type IsAggregate = is_aggregate::No;
}

impl<C> QueryId for OfVisible<C> {
    type QueryId = ();
    // The text depends on how far the actor reaches.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for OfVisible<C>
where
    C: QueryFragment<DB>,
    DB: Backend + HasSqlType<Text> + HasSqlType<sql::Uuid>,
    String: ToSql<Text, DB>,
    AnyId: ToSql<sql::Uuid, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        match &self.within {
            // What belongs to an absorbed customer was moved to the survivor, so nothing is to be left out.
            Within::All => out.push_sql("1 = 1"),
            Within::Customer(id) => {
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" = ");
                out.push_bind_param::<sql::Uuid, _>(id)?;
            }
            Within::Subtree(from, to) => {
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" IN (SELECT c.id FROM customers c JOIN branches b ON b.id = c.home_branch_id WHERE b.path >= ");
                out.push_bind_param::<Text, _>(from)?;
                out.push_sql(" AND b.path < ");
                out.push_bind_param::<Text, _>(to)?;
                out.push_sql(")");
            }
            Within::Branch(path) => {
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" IN (SELECT c.id FROM customers c JOIN branches b ON b.id = c.home_branch_id WHERE b.path = ");
                out.push_bind_param::<Text, _>(path)?;
                out.push_sql(")");
            }
            Within::Staff(staff) if staff.is_empty() => out.push_sql("1 = 0"),
            Within::Staff(staff) => {
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" IN (SELECT a.customer_id FROM assignments a WHERE a.valid_to IS NULL AND a.staff_id IN (");
                for (place, id) in staff.iter().enumerate() {
                    if place > 0 {
                        out.push_sql(", ");
                    }
                    out.push_bind_param::<sql::Uuid, _>(id)?;
                }
                out.push_sql("))");
            }
        }
        Ok(())
    }
}
