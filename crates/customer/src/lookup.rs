//! Who is this? Customers by a phone number, an e-mail address, or the number of a document, an account or a card.
//!
//! The best fit comes first: exact, then shared, then maybe; among equals the customer that was recorded first. At most
//! 20 customers are named, of at most 200 records that hold what is looked up, those that count before those that ended.
//!
//! A lookup shows no more of a customer than the list of customers does, and never the number that it went by. It is
//! therefore not recorded as a sensitive read; opening the customer with sensitive fields, or a number, is.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Result,
    access::Reach,
    schema::{contact_points, customers, identities, organisation_profiles},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    Customer, CustomerId, CustomerRow,
    contact_point::{ContactPoint, ContactPointKind, normalise},
    identity::{Identity, NUMBER, VerificationState},
    present,
    rules::{self, identity_number},
    scope,
};

/// How many answers a lookup gives at most.
const MOST: usize = 20;
/// How many records that hold what is looked up are read at most.
const READ: i64 = 200;

text_enum! {
    /// How well a customer fits what was looked up.
    pub enum LookupMatch {
        /// This customer and no other.
        Exact = "exact",
        /// Others fit as well, or the contact point is known to be shared.
        Shared = "shared",
        /// It was this customer's once, or nobody has verified it.
        Maybe = "maybe",
    }
}

/// What to look up: exactly one of the fields.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerLookup {
    /// A phone number, as people write it, with an extension or without. Nobody has a number of three to six digits.
    #[schema(example = "138 0013 8000", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub phone: Option<String>,
    /// Where a phone number without country code belongs, ISO 3166-1 alpha-2; CN unless given.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[validate(custom(function = "rules::country"))]
    pub country: Option<String>,
    /// An e-mail address.
    #[schema(example = "li.na@example.com", min_length = 1, max_length = 254)]
    #[validate(length(min = 1, max = 254))]
    pub email: Option<String>,
    /// The number of an identity document of any type, as people write it.
    #[schema(example = "11010519491231002X", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub identity_number: Option<String>,
    /// The number of an account or a card, as people write it.
    #[schema(example = "6222 0212 3456 3456", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub account_number: Option<String>,
}

/// A customer that fits, and how well.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LookupHit {
    /// The customer, without sensitive fields.
    pub customer: Customer,
    /// How well it fits.
    #[serde(rename = "match")]
    pub fit: LookupMatch,
    /// Why, in words.
    #[schema(example = "the phone number is this customer's alone", max_length = 200)]
    pub reason: String,
}

/// The customers that fit, best first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LookupResult {
    /// At most 20 customers.
    #[schema(max_items = 20)]
    pub items: Vec<LookupHit>,
}

/// One fact that led to a customer.
struct Trace {
    customer: CustomerId,
    fit: LookupMatch,
    reason: &'static str,
}

/// Looks customers up, within the actor's reach. `by_account` knows who stands behind an account number.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`; [`Error::Invalid`] unless exactly one thing is looked up.
pub fn lookup(
    conn: &mut Conn,
    actor: &Actor,
    what: &CustomerLookup,
    by_account: impl FnOnce(&mut Conn, &Actor, &str) -> Result<Vec<CustomerId>>,
) -> Result<LookupResult> {
    let reach = actor.allow(Action::CustomerRead)?;
    let traces = match (&what.phone, &what.email, &what.identity_number, &what.account_number) {
        (Some(phone), None, None, None) => {
            by_contact(conn, &reach, ContactPointKind::Phone, phone, what.country.as_deref(), "/phone")?
        }
        (None, Some(email), None, None) => by_contact(conn, &reach, ContactPointKind::Email, email, None, "/email")?,
        (None, None, Some(number), None) => by_identity(conn, &reach, number)?,
        (None, None, None, Some(number)) => {
            let trace = |customer| Trace { customer, fit: LookupMatch::Exact, reason: "is linked to the account today" };
            by_account(conn, actor, number)?.into_iter().map(trace).collect()
        }
        _ => {
            return Err(Error::invalid(
                "",
                "exactly_one",
                "Look up exactly one of phone, email, identity_number and account_number.",
            ));
        }
    };
    ranked(conn, actor, traces)
}

/// Makes hits of traces, best first. Several customers that fit exactly share what was looked up.
fn ranked(conn: &mut Conn, actor: &Actor, traces: Vec<Trace>) -> Result<LookupResult> {
    let mut best: HashMap<CustomerId, Trace> = HashMap::new();
    for trace in traces {
        let known = best.get(&trace.customer).is_some_and(|known| known.fit <= trace.fit);
        if !known {
            best.insert(trace.customer, trace);
        }
    }
    let mut traces: Vec<Trace> = best.into_values().collect();
    let several = traces.iter().filter(|trace| trace.fit != LookupMatch::Maybe).count() > 1;
    for trace in traces.iter_mut().filter(|trace| several && trace.fit == LookupMatch::Exact) {
        trace.fit = LookupMatch::Shared;
        trace.reason = "several customers have it";
    }
    traces.sort_by_key(|trace| (trace.fit, trace.customer));
    traces.truncate(MOST);
    let ids: Vec<CustomerId> = traces.iter().map(|trace| trace.customer).collect();
    let rows: Vec<CustomerRow> =
        customers::table.filter(customers::id.eq_any(ids)).select(CustomerRow::as_select()).load(&mut conn.db)?;
    let mut shown: HashMap<CustomerId, Customer> =
        present::many(conn, actor, rows, false)?.into_iter().map(|customer| (customer.id, customer)).collect();
    let hit = |trace: Trace| {
        Some(LookupHit { customer: shown.remove(&trace.customer)?, fit: trace.fit, reason: trace.reason.to_owned() })
    };
    Ok(LookupResult { items: traces.into_iter().filter_map(hit).collect() })
}

fn by_contact(
    conn: &mut Conn,
    reach: &Reach,
    kind: ContactPointKind,
    value: &str,
    country: Option<&str>,
    pointer: &str,
) -> Result<Vec<Trace>> {
    let normalised = match normalise(kind, value, country) {
        Ok(normalised) => normalised,
        // A caller id of three to six digits is a service's or an extension's, and nobody's own number.
        Err(_) if kind == ContactPointKind::Phone && is_short_number(value) => return Ok(Vec::new()),
        Err(message) => return Err(Error::invalid(pointer, kind.as_str(), message)),
    };
    let points: Vec<ContactPoint> = contact_points::table
        .filter(contact_points::kind.eq(kind))
        .filter(contact_points::normalised.eq(normalised))
        .filter(scope::of_visible(contact_points::customer_id, reach))
        .order((contact_points::valid_to.is_null().desc(), contact_points::id))
        .limit(READ)
        .select(ContactPoint::as_select())
        .load(&mut conn.db)?;
    let today = conn.now.date();
    Ok(points
        .into_iter()
        .map(|point| {
            let (fit, reason) = if point.valid_to.is_some_and(|to| to <= today) {
                (LookupMatch::Maybe, "it was this customer's once")
            } else if point.shared {
                (LookupMatch::Shared, "it is known to be shared")
            } else {
                (LookupMatch::Exact, "it is this customer's alone")
            };
            Trace { customer: point.customer_id, fit, reason }
        })
        .collect())
}

fn is_short_number(text: &str) -> bool {
    let digits: String = rules::folded(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    (3..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Documents with this number, and organisations that state it as their credit code.
fn by_identity(conn: &mut Conn, reach: &Reach, number: &str) -> Result<Vec<Trace>> {
    let spellings = identity_number::candidates(number);
    let indexes: Vec<Vec<u8>> = spellings.iter().map(|number| conn.keys.blind_index(NUMBER, number)).collect();
    let found: Vec<Identity> = identities::table
        .filter(identities::number_index.eq_any(indexes))
        .filter(scope::of_visible(identities::customer_id, reach))
        .order((identities::ended_at.is_null().desc(), identities::id))
        .limit(READ)
        .select(Identity::as_select())
        .load(&mut conn.db)?;
    let stated: Vec<CustomerId> = organisation_profiles::table
        .filter(organisation_profiles::unified_social_credit_code.eq_any(spellings))
        .filter(scope::of_visible(organisation_profiles::customer_id, reach))
        .order(organisation_profiles::customer_id)
        .limit(READ)
        .select(organisation_profiles::customer_id)
        .load(&mut conn.db)?;
    let stated = stated.into_iter().map(|customer| Trace {
        customer,
        fit: LookupMatch::Maybe,
        reason: "the organisation states the code; no document shows it",
    });
    let found = found.into_iter().map(|identity| {
        let (fit, reason) = match (identity.ended_at, identity.verification.state) {
            (Some(_), _) => (LookupMatch::Maybe, "the document was ended"),
            (None, VerificationState::Verified) => (LookupMatch::Exact, "the document is verified"),
            (None, VerificationState::Unverified) => (LookupMatch::Maybe, "nobody has verified the document"),
            (None, VerificationState::Failed) => (LookupMatch::Maybe, "the document failed its check"),
        };
        Trace { customer: identity.customer_id, fit, reason }
    });
    Ok(found.chain(stated).collect())
}
