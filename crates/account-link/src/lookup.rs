//! Who stands behind an account number.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, Conn, Result,
    schema::{account_links, accounts, cards, customers},
    store::within,
};

use crate::{number, scope};

/// The most customers that one number answers.
const MOST: i64 = 50;

/// The customers who are linked today to the account or card with this number, however it is written,
/// as far as the actor may see them.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `customer.read`.
pub fn by_number(conn: &mut Conn, actor: &Actor, text: &str) -> Result<Vec<CustomerId>> {
    let reach = actor.allow(Action::CustomerRead)?;
    let plain = number::normalise(text);
    let card = cards::table
        .filter(cards::pan_index.eq(conn.keys.blind_index(number::CARD, &plain)))
        .select(cards::account_id)
        .load(&mut conn.db)?;
    let mut accounts: Vec<crate::AccountId> = accounts::table
        .filter(accounts::number_index.eq(conn.keys.blind_index(number::ACCOUNT, &plain)))
        .select(accounts::id)
        .load(&mut conn.db)?;
    accounts.extend::<Vec<crate::AccountId>>(card);
    let visible = customers::table.filter(kehu_customer::visible_to(&reach)).select(customers::id).into_boxed();
    let mut found: Vec<CustomerId> = account_links::table
        .filter(account_links::account_id.eq_any(accounts))
        .filter(scope::active(conn.now.date()))
        .filter(within(account_links::customer_id, visible))
        .order((account_links::is_primary.desc(), account_links::id))
        .select(account_links::customer_id)
        .limit(MOST)
        .load(&mut conn.db)?;
    let mut seen = std::collections::HashSet::new();
    found.retain(|id| seen.insert(*id));
    Ok(found)
}
