//! Which accounts and links an actor sees.

use diesel::{BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, QueryDsl, sql_types::Bool};
use kehu_kernel::{
    Conn, Date,
    access::Reach,
    schema::{account_links, accounts, branches},
    store::{MultiBackend, Within, found_in, sql, within},
};

/// A condition on the table of accounts, for `.filter(…)`.
pub type Visible = Box<dyn BoxableExpression<accounts::table, MultiBackend, SqlType = Bool>>;

/// A condition on the table of links, for `.filter(…)`.
pub type VisibleLink = Box<dyn BoxableExpression<account_links::table, MultiBackend, SqlType = Bool>>;

/// The accounts within reach: kept by a branch within reach, or held today, in any role, by a customer
/// within reach.
#[must_use]
pub fn visible_to(conn: &Conn, reach: &Reach) -> Visible {
    let today = conn.now.date();
    let held = account_links::table
        .filter(active(today))
        .filter(kehu_customer::of_visible(account_links::customer_id, reach))
        .select(account_links::account_id)
        .into_boxed();
    let held = belongs(conn, accounts::id, "account_id", reach, held);
    let home = accounts::branch_id.assume_not_null();
    match reach {
        Reach::All => Box::new(accounts::version.ge(0)),
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            let below = branches::table.filter(branches::path.ge(from)).filter(branches::path.lt(to)).select(branches::id);
            Box::new(accounts::branch_id.is_not_null().and(home.eq_any(below)).or(held))
        }
        Reach::Branch(path) => {
            let branch = branches::table.filter(branches::path.eq(path.clone())).select(branches::id);
            Box::new(accounts::branch_id.is_not_null().and(home.eq_any(branch)).or(held))
        }
        Reach::Staff(_) | Reach::Customer(_) => Box::new(held),
    }
}

/// The links within reach: those of customers and those of accounts within reach, past ones included.
#[must_use]
pub fn visible_links(conn: &Conn, reach: &Reach) -> VisibleLink {
    if *reach == Reach::All {
        return Box::new(account_links::version.ge(0));
    }
    let of_account = of_visible(conn, account_links::account_id, reach);
    Box::new(kehu_customer::of_visible(account_links::customer_id, reach).or(of_account))
}

/// Whether the account in a column can be seen: [`visible_to`] for the tables of what belongs to accounts.
#[must_use]
pub fn of_visible<C>(conn: &Conn, column: C, reach: &Reach) -> Within<C, accounts::BoxedQuery<'static, MultiBackend, sql::Uuid>> {
    let of = accounts::table.filter(visible_to(conn, reach)).select(accounts::id).into_boxed();
    belongs(conn, column, "id", reach, of)
}

/// Links and accounts lie on different machines if there are several: then nothing can be looked up row by row.
fn belongs<C, Q>(conn: &Conn, column: C, key: &'static str, reach: &Reach, of: Q) -> Within<C, Q> {
    if reach.is_wide() && !conn.distributed { found_in(column, key, of) } else { within(column, of) }
}

/// The links that hold on a day.
#[must_use]
pub fn active(on: Date) -> VisibleLink {
    let not_ended = account_links::valid_to.is_null().or(account_links::valid_to.assume_not_null().gt(on));
    Box::new(account_links::valid_from.le(on).and(not_ended))
}
