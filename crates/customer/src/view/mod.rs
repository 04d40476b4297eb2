//! The customer's own part of the view that a screen shows: profile, masked identities, contact points,
//! relations in short, tags, consents, contact persons.

pub mod alert;
mod presence;
pub mod section;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper,
    dsl::{exists, min},
};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Instant, Result,
    access::{ActorKind, Reach},
    page::counted,
    schema::{attribute_history, contact_points, customers, identities, legal_holds, match_candidates},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Customer, CustomerId, CustomerRow,
    attribute::custom,
    consent::{self, CurrentConsent},
    contact_person::{self, CustomerContactPerson},
    contact_point::ContactPoint,
    identity::Identity,
    matching::bank::candidate::MatchState,
    present::{self, Found, Mask},
    relation::{self, Relation},
    scope,
    tag::{self, CustomerTag},
};
use alert::Circumstances;
pub use alert::CustomerAlert;
use presence::Presence;
pub use section::{Section, Sections};

/// How many items of each kind a view shows.
pub const SHOWN: i64 = 20;

text_enum! {
    /// For whom a view is made.
    pub enum Perspective {
        /// A teller at the counter.
        Teller = "teller",
        /// An agent in the call centre.
        Agent = "agent",
        /// A relationship manager.
        Rm = "rm",
        /// Marketing.
        Marketing = "marketing",
        /// Risk control.
        Risk = "risk",
        /// The customer itself.
        Itself = "self",
    }
}

/// For whom a view is made.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ViewQuery {
    /// For whom the view is made; `teller` unless given. Customers are shown `self`, and nothing else.
    #[param(inline, example = "teller")]
    pub perspective: Option<Perspective>,
}

impl ViewQuery {
    /// The perspective in which this actor is shown the view. Customers see themselves in no other than their own.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a customer who asks for the bank's perspective.
    pub fn perspective_for(self, actor: &Actor) -> Result<Perspective> {
        match (actor.kind, self.perspective) {
            (ActorKind::Customer, None | Some(Perspective::Itself)) => Ok(Perspective::Itself),
            (ActorKind::Customer, Some(_)) => Err(Error::Forbidden("Customers see themselves in the perspective self.".into())),
            (_, perspective) => Ok(perspective.unwrap_or(Perspective::Teller)),
        }
    }
}

/// What a view shows of the customer itself. Lists are bounded to 20 items; each comes with its count.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerProfileView {
    /// The customer with its profile, age, owner and branch.
    pub customer: Customer,
    /// Identity documents that count, numbers masked; null in the marketing perspective.
    #[schema(max_items = 20)]
    pub identities: Option<Vec<Identity>>,
    /// How many identity documents count; null in the marketing perspective.
    #[schema(minimum = 0)]
    pub identity_count: Option<i64>,
    /// Contact points that hold today.
    #[schema(max_items = 20)]
    pub contact_points: Vec<ContactPoint>,
    /// How many contact points hold today.
    #[schema(minimum = 0)]
    pub contact_point_count: i64,
    /// Relations that hold today; null in the customer's own perspective.
    #[schema(max_items = 20)]
    pub relations: Option<Vec<Relation>>,
    /// How many relations hold today; null in the customer's own perspective.
    #[schema(minimum = 0)]
    pub relation_count: Option<i64>,
    /// Tags that hold today, the newest first, without sensitive ones; null in the customer's own perspective.
    #[schema(max_items = 20)]
    pub tags: Option<Vec<CustomerTag>>,
    /// How many tags hold today, without sensitive ones; null in the customer's own perspective.
    #[schema(minimum = 0)]
    pub tag_count: Option<i64>,
    /// What the customer has consented to, as it holds now, in the order of purposes and channels.
    #[schema(max_items = 20)]
    pub consents: Option<Vec<CurrentConsent>>,
    /// About how many purposes and channels something was said.
    #[schema(minimum = 0)]
    pub consent_count: Option<i64>,
    /// Who works for the company today, the latest record first, without personal parts and keys; empty for people, null in
    /// the customer's own perspective.
    #[schema(max_items = 20)]
    pub contact_persons: Option<Vec<CustomerContactPerson>>,
    /// How many people work for the company today; null in the customer's own perspective.
    #[schema(minimum = 0)]
    pub contact_person_count: Option<i64>,
}

/// The customer's own part of a view.
#[derive(Clone, Debug)]
pub struct CustomerPart {
    /// Profile, identities, contact points, relations.
    pub profile: CustomerProfileView,
    /// What needs attention, of what this crate knows; to be put in order by [`alert::arranged`].
    pub alerts: Vec<CustomerAlert>,
    /// The customer and the records that were merged into it.
    pub lineage: Vec<CustomerId>,
    /// How many records may be the same customer.
    pub open_duplicate_count: Option<i64>,
}

/// The customer of a view.
///
/// # Errors
/// [`Error::NotFound`] when it is out of sight; [`Error::Forbidden`].
pub fn subject(conn: &mut Conn, actor: &Actor, id: CustomerId) -> Result<Found> {
    let reach = actor.allow(Action::CustomerRead)?;
    present::found(conn, &reach, id)
}

/// The customer's part of a view. `found` is its [`subject`]; `sensitive` asks for sensitive fields, of which the caller takes
/// care that they are recorded.
///
/// # Errors
/// The database's.
pub fn of(conn: &mut Conn, actor: &Actor, found: Found, sections: &Sections, sensitive: bool) -> Result<CustomerPart> {
    let row = found.row.clone();
    let id = row.id;
    let itself = sections.for_customer(actor);
    let there = Presence::of(conn, id)?;
    let circumstances = circumstances(conn, actor, &row, sections, there)?;
    let lineage = if there.merged { scope::lineage(conn, id)? } else { vec![id] };
    let (identities, identity_count) = section(sections, Section::Identities, true, || documents(conn, id))?;
    let identities: Option<Vec<Identity>> =
        identities.map(|shown| if itself { shown.into_iter().map(Identity::for_customer).collect() } else { shown });
    let (shown, contact_point_count) = points(conn, id)?;
    let contact_points = shown.into_iter().map(|point| point.shown_to(actor)).collect();
    let (relations, relation_count) =
        section(sections, Section::Relations, there.relations, || relation::in_short(conn, actor, id, SHOWN))?;
    let (tags, tag_count) = section(sections, Section::Tags, there.tags, || tag::list::shown_in_view(conn, actor, id, SHOWN))?;
    let (consents, consent_count) =
        section(sections, Section::Consents, there.consents, || consent::shown_in_view(conn, id, SHOWN))?;
    let (contact_persons, contact_person_count) = section(sections, Section::ContactPersons, there.employments, || {
        contact_person::list::shown_in_view(conn, actor, &row, SHOWN)
    })?;
    let mask = Mask { sensitive, itself };
    let attributes = if found.has_attributes { custom::shown_in_view(conn, actor, id, mask)? } else { Vec::new() };
    let customer = Customer { attributes, ..found.shown(conn.now.date(), mask) };
    let alerts = alert::of(&customer, identities.as_deref(), &circumstances, conn.now.date());
    let profile = CustomerProfileView {
        customer,
        identities,
        identity_count,
        contact_points,
        contact_point_count,
        relations,
        relation_count,
        tags,
        tag_count,
        consents,
        consent_count,
        contact_persons,
        contact_person_count,
    };
    Ok(CustomerPart { profile, alerts, lineage, open_duplicate_count: circumstances.duplicates.map(|(count, _)| count) })
}

/// The items of a section with their count, if the view shows it; they are read if there are any.
fn section<T: Default>(
    sections: &Sections,
    section: Section,
    any: bool,
    read: impl FnOnce() -> Result<(T, i64)>,
) -> Result<(Option<T>, Option<i64>)> {
    if !sections.shows(section) {
        return Ok((None, None));
    }
    if !any {
        return Ok((Some(T::default()), Some(0)));
    }
    read().map(|(items, count)| (Some(items), Some(count)))
}

/// Identity documents that count, oldest record first, and how many there are.
fn documents(conn: &mut Conn, id: CustomerId) -> Result<(Vec<Identity>, i64)> {
    let all = || identities::table.filter(identities::customer_id.eq(id)).filter(identities::ended_at.is_null());
    let rows = all().order(identities::id).limit(SHOWN + 1).select(Identity::as_select()).load(&mut conn.db)?;
    counted(rows, SHOWN, || Ok(all().count().get_result(&mut conn.db)?))
}

/// Contact points that hold today, the preferred ones first, and how many there are.
fn points(conn: &mut Conn, id: CustomerId) -> Result<(Vec<ContactPoint>, i64)> {
    let today = conn.now.date();
    let all = || {
        let begun = contact_points::valid_from.is_null().or(contact_points::valid_from.assume_not_null().le(today));
        let lasts = contact_points::valid_to.is_null().or(contact_points::valid_to.assume_not_null().gt(today));
        contact_points::table.filter(contact_points::customer_id.eq(id)).filter(begun).filter(lasts)
    };
    let rows = all()
        .order((contact_points::preferred.desc(), contact_points::id))
        .limit(SHOWN + 1)
        .select(ContactPoint::as_select())
        .load(&mut conn.db)?;
    counted(rows, SHOWN, || Ok(all().count().get_result(&mut conn.db)?))
}

/// How many rows, and when the first of them came.
type Tally = (Option<i64>, Option<Instant>);

/// Facts that alerts are derived from, as far as the caller is told of them; customers are told of none.
fn circumstances(
    conn: &mut Conn,
    actor: &Actor,
    row: &CustomerRow,
    sections: &Sections,
    there: Presence,
) -> Result<Circumstances> {
    if sections.for_customer(actor) {
        return Ok(Circumstances::default());
    }
    let held_since = if there.holds && sections.may(Action::PrivacyManage) { held_since(conn, row.id)? } else { None };
    let duplicates = match actor.reach(Action::CustomerMatch) {
        Some(_) if sections.shows(Section::Duplicates) && !there.duplicates => Some((0, None)),
        Some(reach) if sections.shows(Section::Duplicates) => Some(duplicates(conn, &reach, row.id)?),
        _ => None,
    };
    let fraud_since = if row.fraud_flag { fraud_since(conn, row)? } else { None };
    Ok(Circumstances { fraud_since, held_since, duplicates })
}

/// Since when a legal hold stands.
fn held_since(conn: &mut Conn, id: CustomerId) -> Result<Option<Date>> {
    let since: Option<Instant> = legal_holds::table
        .filter(legal_holds::customer_id.eq(id))
        .filter(legal_holds::released_at.is_null())
        .select(min(legal_holds::placed_at))
        .first(&mut conn.db)?;
    Ok(since.map(Instant::date))
}

/// How many pairs of the customer wait for a decision now, and since when the first of them; as the work queue shows them:
/// without those whose other customer is out of reach, and those that were put off.
fn duplicates(conn: &mut Conn, reach: &Reach, id: CustomerId) -> Result<(i64, Option<Date>)> {
    let today = conn.now.date();
    let open = || {
        let due = match_candidates::postponed_until.is_null().or(match_candidates::postponed_until.assume_not_null().le(today));
        match_candidates::table.filter(match_candidates::state.eq(MatchState::Open)).filter(due)
    };
    macro_rules! tallied {
        ($left:expr, $right:expr) => {
            diesel::select((
                ($left.count().single_value(), $left.select(min(match_candidates::created_at)).single_value()),
                ($right.count().single_value(), $right.select(min(match_candidates::created_at)).single_value()),
            ))
            .get_result(&mut conn.db)?
        };
    }
    let (left, right): (Tally, Tally) = if *reach == Reach::All && !conn.distributed {
        // As below, as a statement that is always the same.
        let living = || customers::table.filter(scope::is_living());
        let left = || open().filter(match_candidates::left_id.eq(id));
        let right = || open().filter(match_candidates::right_id.eq(id));
        tallied!(
            left().filter(exists(living().filter(customers::id.eq(match_candidates::right_id)))),
            right().filter(exists(living().filter(customers::id.eq(match_candidates::left_id))))
        )
    } else {
        let left = || {
            let of = match_candidates::table.filter(match_candidates::left_id.eq(id)).select(match_candidates::right_id);
            let others = || -> scope::Visible { Box::new(customers::id.eq_any(of)) };
            let seen = scope::of_visible_beyond(conn, match_candidates::right_id, reach, others);
            open().filter(match_candidates::left_id.eq(id)).filter(seen)
        };
        let right = || {
            let of = match_candidates::table.filter(match_candidates::right_id.eq(id)).select(match_candidates::left_id);
            let others = || -> scope::Visible { Box::new(customers::id.eq_any(of)) };
            let seen = scope::of_visible_beyond(conn, match_candidates::left_id, reach, others);
            open().filter(match_candidates::right_id.eq(id)).filter(seen)
        };
        tallied!(left(), right())
    };
    let first = left.1.into_iter().chain(right.1).min().map(Instant::date);
    Ok((left.0.unwrap_or(0).saturating_add(right.0.unwrap_or(0)), first))
}

/// Since when fraud is suspected: since that is believed, or since the record was made.
fn fraud_since(conn: &mut Conn, row: &CustomerRow) -> Result<Option<Date>> {
    let since: Option<Instant> = attribute_history::table
        .filter(attribute_history::customer_id.eq(row.id))
        .filter(attribute_history::field.eq("fraud_flag"))
        .filter(attribute_history::valid_to.is_null())
        .select(attribute_history::valid_from)
        .first(&mut conn.db)
        .optional()?;
    Ok(Some(since.unwrap_or(row.created_at).date()))
}
