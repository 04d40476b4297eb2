//! The customer's own part of the view that a screen shows: profile, masked identities, contact points,
//! relations in short.

pub mod alert;
pub mod section;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper, dsl::min,
};
use kehu_kernel::{
    Actor, Conn, Date, Error, Instant, Result,
    access::ActorKind,
    page::counted,
    schema::{attribute_history, contact_points, identities, legal_holds, match_candidates},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Customer, CustomerId, CustomerRow,
    contact_point::ContactPoint,
    identity::Identity,
    present::{self, Mask},
    relation::{self, Relation},
    scope,
};
use alert::Circumstances;
pub use alert::CustomerAlert;
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

/// The customer's part of a view. `row` is the customer, which the caller has found in sight; `sensitive` asks for sensitive
/// fields, of which the caller takes care that they are recorded.
///
/// # Errors
/// The database's.
pub fn of(conn: &mut Conn, actor: &Actor, row: CustomerRow, sections: &Sections, sensitive: bool) -> Result<CustomerPart> {
    let id = row.id;
    let circumstances = circumstances(conn, &row, sections)?;
    let lineage = scope::lineage(conn, id)?;
    let customer = present::whole(conn, row, Mask { sensitive, itself: sections.for_customer(actor) })?;
    let (mut identities, mut identity_count) = (None, None);
    if sections.shows(Section::Identities) {
        let (mut shown, count) = documents(conn, id)?;
        if sections.for_customer(actor) {
            shown = shown.into_iter().map(Identity::for_customer).collect();
        }
        (identities, identity_count) = (Some(shown), Some(count));
    }
    let (shown, contact_point_count) = points(conn, id)?;
    let contact_points = shown.into_iter().map(|point| point.shown_to(actor)).collect();
    let (mut relations, mut relation_count) = (None, None);
    if sections.shows(Section::Relations) {
        let (shown, count) = relation::in_short(conn, actor, id, SHOWN)?;
        (relations, relation_count) = (Some(shown), Some(count));
    }
    let alerts = alert::of(&customer, identities.as_deref(), &circumstances, conn.now.date());
    let profile = CustomerProfileView {
        customer,
        identities,
        identity_count,
        contact_points,
        contact_point_count,
        relations,
        relation_count,
    };
    Ok(CustomerPart { profile, alerts, lineage, open_duplicate_count: circumstances.duplicates.map(|(count, _)| count) })
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

/// Facts that alerts are derived from, by one statement; customers are told of none of them.
fn circumstances(conn: &mut Conn, row: &CustomerRow, sections: &Sections) -> Result<Circumstances> {
    if sections.perspective == Perspective::Itself {
        return Ok(Circumstances::default());
    }
    let held = legal_holds::table
        .filter(legal_holds::customer_id.eq(row.id))
        .filter(legal_holds::released_at.is_null())
        .select(min(legal_holds::placed_at));
    let open = || match_candidates::table.filter(match_candidates::state.eq("open"));
    let left = || open().filter(match_candidates::left_id.eq(row.id));
    let right = || open().filter(match_candidates::right_id.eq(row.id));
    let first = |one: Option<Instant>, other: Option<Instant>| one.into_iter().chain(other).min().map(Instant::date);
    let (held, left, right): (Option<Instant>, Tally, Tally) = diesel::select((
        held.single_value(),
        (left().count().single_value(), left().select(min(match_candidates::created_at)).single_value()),
        (right().count().single_value(), right().select(min(match_candidates::created_at)).single_value()),
    ))
    .get_result(&mut conn.db)?;
    let pairs = (left.0.unwrap_or(0) + right.0.unwrap_or(0), first(left.1, right.1));
    let fraud_since = if row.fraud_flag { fraud_since(conn, row)? } else { None };
    let duplicates = sections.shows(Section::Duplicates).then_some(pairs);
    Ok(Circumstances { fraud_since, held_since: held.map(Instant::date), duplicates })
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
