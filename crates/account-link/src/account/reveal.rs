//! The full number of an account: shown to few, and never unrecorded.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{Action, Actor, Id, Result, Tx, audit, schema::account_links};
use serde::Serialize;
use utoipa::ToSchema;

use super::AccountId;
use crate::{number, own_links::end, scope};

/// The number of an account in full.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountNumber {
    /// Identifier of the account.
    pub id: AccountId,
    /// The number, as the source system wrote it.
    #[schema(example = "6222021234563456", max_length = 64)]
    pub number: String,
}

/// Shows the number of an account and records who saw it, with each customer who has a link to it today.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `customer.reveal`; [`kehu_kernel::Error::NotFound`].
pub fn reveal_number(tx: &mut Tx<'_>, actor: &Actor, id: AccountId) -> Result<AccountNumber> {
    let row = super::require(tx, actor, Action::CustomerReveal, id)?;
    let number = tx.keys.open(number::ACCOUNT, id, &row.number_sealed)?;
    let linked: Vec<CustomerId> = account_links::table
        .filter(account_links::account_id.eq(id))
        .filter(scope::active(tx.now.date()))
        .select(account_links::customer_id)
        .distinct()
        .load(&mut tx.db)?;
    let living = kehu_customer::scope::living(tx, linked.iter().copied())?;
    let linked: BTreeSet<CustomerId> = linked.into_iter().map(|id| end(&living, id)).collect();
    let mut holders: Vec<Option<CustomerId>> = linked.into_iter().map(Some).collect();
    if holders.is_empty() {
        holders.push(None);
    }
    for holder in holders {
        let access = audit::Access {
            customer_id: holder.map(Id::cast),
            resource: "account",
            resource_id: id.cast(),
            action: Action::CustomerReveal.as_str(),
            fields: &["number"],
        };
        audit::record(tx, actor, access)?;
    }
    Ok(AccountNumber { id, number })
}
