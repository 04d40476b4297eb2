//! The accounts of one customer, for sub-selects of other statements, and links of records that are one.
//!
//! A merge leaves a link with the absorbed record where the survivor has its like. Such links are the survivor's own:
//! readers ask for the whole lineage, and show every link as that of the customer who lives.

use std::collections::HashMap;

use kehu_customer::CustomerId;
use kehu_kernel::{Conn, Result, schema::account_links};

use crate::link::LinkRow;

diesel::alias!(account_links as own_links: OwnLinks);

/// Turns links of absorbed records into those of the customers that they became part of.
///
/// # Errors
/// The database's.
pub(crate) fn of_the_living(conn: &mut Conn, rows: &mut [LinkRow]) -> Result<()> {
    let living = kehu_customer::scope::living(conn, rows.iter().map(|row| row.customer_id))?;
    for row in rows {
        row.customer_id = end(&living, row.customer_id);
    }
    Ok(())
}

/// The customer that a record is part of, itself if it was not absorbed.
pub(crate) fn end(living: &HashMap<CustomerId, CustomerId>, id: CustomerId) -> CustomerId {
    living.get(&id).copied().unwrap_or(id)
}

/// How many accounts a statement names. There is one for each number of them, so of more it asks for the links themselves.
pub(crate) const NAMED: usize = 16;

/// The accounts to which customers that are one are linked on a day, for `.eq_any(…)`: `held_by!(ids, day)`. One
/// statement for nearly all customers, where a list of accounts would be another one for each number of them.
macro_rules! held_by {
    ($customers:expr, $day:expr) => {{
        let links = $crate::own_links::own_links;
        let valid_to = links.field(kehu_kernel::schema::account_links::valid_to);
        links
            .filter(kehu_kernel::store::among(links.field(kehu_kernel::schema::account_links::customer_id), $customers.to_vec()))
            .filter(links.field(kehu_kernel::schema::account_links::valid_from).le($day))
            .filter(valid_to.is_null().or(valid_to.assume_not_null().gt($day)))
            .select(links.field(kehu_kernel::schema::account_links::account_id))
    }};
}
pub(crate) use held_by;

/// The rows of a table that belong to the accounts to which customers that are one are linked on a day, where those accounts
/// are at hand: `of_held!(table, ids, day, accounts, rows => …)`. Few are named, for which the database knows a better way.
macro_rules! of_held {
    ($table:ident, $customers:expr, $day:expr, $accounts:expr, $rows:ident => $done:expr) => {{
        let accounts: &[$crate::account::AccountId] = $accounts;
        if accounts.len() <= $crate::own_links::NAMED {
            let $rows = || $table::table.filter(kehu_kernel::store::among($table::account_id, accounts.to_vec()));
            $done
        } else {
            let $rows = || $table::table.filter($table::account_id.eq_any($crate::own_links::held_by!($customers, $day)));
            $done
        }
    }};
}
pub(crate) use of_held;
