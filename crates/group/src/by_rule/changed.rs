//! Which customers a group has to be asked about again: those of whom something was written since.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_account_link::account::AccountId;
use kehu_customer::CustomerId;
use kehu_kernel::{
    Conn, Result,
    rule::MovedBy,
    schema::{account_links, events},
    store::among,
};

use super::plan::CHUNK;

/// How many events are read at once.
const EVENTS: i64 = 10_000;
/// When more customers have changed, all are asked about: it takes less.
const MANY: usize = 20_000;

type Told = (String, Option<CustomerId>, Option<AccountId>);

/// The customers of whom events tell after one position up to another one. `None` when everybody has to be asked about: so many
/// are they, or what many customers share has changed.
pub(super) fn since(conn: &mut Conn, moved_by: &MovedBy, from: i64, to: i64) -> Result<Option<Vec<CustomerId>>> {
    let mut customers = BTreeSet::new();
    let mut accounts = BTreeSet::new();
    let mut position = from;
    while position < to {
        let until = to.min(position.saturating_add(EVENTS));
        let told: Vec<Told> = events::table
            .filter(events::position.assume_not_null().gt(position))
            .filter(events::position.assume_not_null().le(until))
            .select((events::kind, events::customer_id, events::account_id))
            .load(&mut conn.db)?;
        for (kind, customer, account) in told {
            if moved_by.events.iter().any(|begin| kind.starts_with(begin)) {
                return Ok(None);
            }
            customers.extend(customer);
            accounts.extend(account);
        }
        if customers.len() + accounts.len() > MANY {
            return Ok(None);
        }
        position = until;
    }
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    for some in accounts.chunks(CHUNK) {
        let of = account_links::table.filter(among(account_links::account_id, some.to_vec()));
        customers.extend(of.select(account_links::customer_id).load::<CustomerId>(&mut conn.db)?);
    }
    Ok(Some(customers.into_iter().collect()))
}
