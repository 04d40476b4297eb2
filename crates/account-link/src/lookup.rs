//! Who stands behind an account number.

use std::collections::HashSet;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, Conn, Result,
    schema::{account_links, accounts, cards, customers},
};

use crate::{number, own_links::end, scope};

/// The most customers that one number answers.
const MOST: usize = 50;

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
    let linked: Vec<CustomerId> = account_links::table
        .filter(account_links::account_id.eq_any(accounts))
        .filter(scope::active(conn.now.date()))
        .order((account_links::is_primary.desc(), account_links::id))
        .select(account_links::customer_id)
        .load(&mut conn.db)?;
    let living = kehu_customer::scope::living(conn, linked.iter().copied())?;
    let mut found: Vec<CustomerId> = linked.into_iter().map(|id| end(&living, id)).collect();
    let mut seen = HashSet::new();
    found.retain(|id| seen.insert(*id));
    let visible: HashSet<CustomerId> = customers::table
        .filter(customers::id.eq_any(found.clone()))
        .filter(kehu_customer::visible_to(&reach))
        .select(customers::id)
        .load::<CustomerId>(&mut conn.db)?
        .into_iter()
        .collect();
    found.retain(|id| visible.contains(id));
    found.truncate(MOST);
    Ok(found)
}
