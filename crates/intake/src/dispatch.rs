//! The one place that knows which crate owns which feed.

use kehu_account_link::feed as account_link;
use kehu_customer::feed::{self as customer, RecordMatch};
use kehu_kernel::{
    Actor, Conn, FieldError, Result, Tx,
    feed::{Outcome, Source},
    retraction::Retraction,
    text_enum,
};
use kehu_organization::feed as organization;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::mapping::check::parse;

text_enum! {
    /// What a mapping can feed.
    pub enum Feed {
        /// Branches of the bank.
        Branches = "branches",
        /// Staff of the bank.
        Staff = "staff",
        /// Customers, with profile, identities and contact points.
        Customers = "customers",
        /// Identity documents of customers that are known already.
        Identities = "identities",
        /// Phone numbers, addresses and so on of customers that are known already.
        ContactPoints = "contact_points",
        /// Relations between customers.
        Relations = "relations",
        /// Products of the bank.
        Products = "products",
        /// Accounts: deposits, loans, cards, holdings.
        Accounts = "accounts",
        /// Who is what to which account.
        AccountLinks = "account_links",
        /// Balances of accounts by day.
        Balances = "balances",
        /// Standing orders.
        StandingOrders = "standing_orders",
        /// Transactions.
        Transactions = "transactions",
    }
}

type Apply = fn(&mut Tx<'_>, &Actor, &Source, &[&Value]) -> Result<Vec<Outcome>>;

/// What the owner of a feed offers.
struct Owner {
    check: fn(&Value) -> Result<(), Vec<FieldError>>,
    apply: Apply,
    /// `None` where the records are parts of others and cannot be told apart again.
    retraction: Option<Retraction>,
}

const fn owner(feed: Feed) -> Owner {
    match feed {
        Feed::Branches => Owner {
            check: fits::<organization::BranchRecord>,
            apply: |tx, actor, source, values| taken(values, |records| organization::branch::apply(tx, actor, source, records)),
            retraction: Some(organization::retraction::BRANCHES),
        },
        Feed::Staff => Owner {
            check: fits::<organization::StaffRecord>,
            apply: |tx, actor, source, values| taken(values, |records| organization::staff::apply(tx, actor, source, records)),
            retraction: Some(organization::retraction::STAFF),
        },
        Feed::Customers => Owner {
            check: fits::<customer::CustomerRecord>,
            apply: |tx, actor, source, values| taken(values, |records| customer::customers::apply(tx, actor, source, records)),
            retraction: Some(customer::retraction::CUSTOMERS),
        },
        Feed::Identities => Owner {
            check: fits::<customer::IdentityRecord>,
            apply: |tx, actor, source, values| taken(values, |records| customer::identities::apply(tx, actor, source, records)),
            retraction: None,
        },
        Feed::ContactPoints => Owner {
            check: fits::<customer::ContactPointRecord>,
            apply: |tx, actor, source, values| {
                taken(values, |records| customer::contact_points::apply(tx, actor, source, records))
            },
            retraction: None,
        },
        Feed::Relations => Owner {
            check: fits::<customer::RelationRecord>,
            apply: |tx, actor, source, values| taken(values, |records| customer::relations::apply(tx, actor, source, records)),
            retraction: Some(customer::retraction::RELATIONS),
        },
        Feed::Products => Owner {
            check: fits::<account_link::ProductRecord>,
            apply: |tx, actor, source, values| taken(values, |records| account_link::apply_products(tx, actor, source, records)),
            retraction: Some(account_link::retraction::PRODUCTS),
        },
        Feed::Accounts => Owner {
            check: fits::<account_link::AccountRecord>,
            apply: |tx, actor, source, values| taken(values, |records| account_link::apply_accounts(tx, actor, source, records)),
            retraction: Some(account_link::retraction::ACCOUNTS),
        },
        Feed::AccountLinks => Owner {
            check: fits::<account_link::AccountLinkRecord>,
            apply: |tx, actor, source, values| {
                taken(values, |records| account_link::apply_account_links(tx, actor, source, records))
            },
            retraction: Some(account_link::retraction::ACCOUNT_LINKS),
        },
        Feed::Balances => Owner {
            check: fits::<account_link::BalanceRecord>,
            apply: |tx, actor, source, values| taken(values, |records| account_link::apply_balances(tx, actor, source, records)),
            retraction: None,
        },
        Feed::StandingOrders => Owner {
            check: fits::<account_link::StandingOrderRecord>,
            apply: |tx, actor, source, values| {
                taken(values, |records| account_link::apply_standing_orders(tx, actor, source, records))
            },
            retraction: Some(account_link::retraction::STANDING_ORDERS),
        },
        Feed::Transactions => Owner {
            check: fits::<account_link::TransactionRecord>,
            apply: |tx, actor, source, values| {
                taken(values, |records| account_link::apply_transactions(tx, actor, source, records))
            },
            retraction: Some(account_link::retraction::TRANSACTIONS),
        },
    }
}

/// How each record will find what it tells about, before anything is written; nothing for feeds that do not search.
///
/// # Errors
/// The database's.
pub fn foresee(feed: Feed, conn: &mut Conn, source: &Source, records: &[Value]) -> Result<Vec<Option<RecordMatch>>> {
    if feed != Feed::Customers {
        return Ok(Vec::new());
    }
    let records: Vec<_> = records.iter().filter_map(|record| typed(record).ok()).collect();
    customer::customers::foresee(conn, source, &records)
}

/// Whether a record has the shape of its feed.
///
/// # Errors
/// What does not fit.
pub fn check(feed: Feed, record: &Value) -> Result<(), Vec<FieldError>> {
    (owner(feed).check)(record)
}

/// Whether records of a feed have a field of this name.
#[must_use]
pub fn has_field(feed: Feed, name: &str) -> bool {
    let probe = Value::Object(Map::from_iter([(name.to_owned(), Value::Null)]));
    match check(feed, &probe) {
        Ok(()) => true,
        Err(errors) => !errors.iter().any(|error| error.message.starts_with("unknown field")),
    }
}

/// Hands records to the owner of their feed: one outcome for each, in order.
///
/// # Errors
/// The owner's.
pub fn apply(feed: Feed, tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[&Value]) -> Result<Vec<Outcome>> {
    (owner(feed).apply)(tx, actor, source, records)
}

/// The fields of a feed's records that name customers by their id in the source.
#[must_use]
pub const fn names_customers_by(feed: Feed) -> &'static [&'static str] {
    match feed {
        Feed::Customers => &["source_id"],
        Feed::Identities | Feed::ContactPoints | Feed::AccountLinks => &["customer_source_id"],
        Feed::Relations => &["customer_source_id", "related_customer_source_id"],
        Feed::Branches
        | Feed::Staff
        | Feed::Products
        | Feed::Accounts
        | Feed::Balances
        | Feed::StandingOrders
        | Feed::Transactions => &[],
    }
}

/// How records of a feed are taken back.
pub const fn retraction(feed: Feed) -> Option<Retraction> {
    owner(feed).retraction
}

fn fits<R: DeserializeOwned>(value: &Value) -> Result<(), Vec<FieldError>> {
    typed::<R>(value).map(drop)
}

fn typed<R: DeserializeOwned>(value: &Value) -> Result<R, Vec<FieldError>> {
    parse(value).map_err(|(pointer, message)| vec![FieldError::new(pointer, "invalid_value", message)])
}

/// Gives the records that have the right shape to their owner; the others are rejected.
fn taken<R: DeserializeOwned>(values: &[&Value], apply: impl FnOnce(&[R]) -> Result<Vec<Outcome>>) -> Result<Vec<Outcome>> {
    let mut records = Vec::with_capacity(values.len());
    let mut rejected = Vec::new();
    for (place, value) in values.iter().enumerate() {
        match typed(value) {
            Ok(record) => records.push(record),
            Err(errors) => rejected.push((place, Outcome::Rejected(errors))),
        }
    }
    let mut outcomes = if records.is_empty() { Vec::new() } else { apply(&records)? };
    for (place, outcome) in rejected {
        // Rejected ones come in their order, so every place before this one is filled already.
        outcomes.insert(place.min(outcomes.len()), outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_of_records_are_known() {
        assert!(has_field(Feed::Branches, "parent_code"));
        assert!(!has_field(Feed::Branches, "colour"));
        assert!(check(Feed::Branches, &json!({ "code": "A", "level": "village" })).is_err());
    }

    #[test]
    fn outcomes_stay_in_order_around_rejected_records() {
        let values = [json!(1), json!("x"), json!(2), json!("y"), json!(3)];
        let id = kehu_kernel::AnyId::new();
        let outcomes = taken::<i64>(&values.iter().collect::<Vec<_>>(), |records| {
            Ok(records.iter().map(|n| if *n == 2 { Outcome::Created(id) } else { Outcome::Unchanged(id) }).collect())
        })
        .unwrap();
        let kinds: Vec<&str> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Created(_) => "created",
                Outcome::Unchanged(_) => "unchanged",
                Outcome::Rejected(_) => "rejected",
                _ => "other",
            })
            .collect();
        assert_eq!(kinds, ["unchanged", "rejected", "created", "rejected", "unchanged"]);
    }
}
