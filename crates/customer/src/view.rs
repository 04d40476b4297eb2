//! The customer's own part of the view that a screen shows: profile, masked identities, contact points,
//! relations in short.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, PageParams, Result, Tx,
    access::ActorKind,
    schema::{contact_points, identities},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Customer, CustomerId,
    contact_point::ContactPoint,
    identity::Identity,
    present,
    relation::{self, Relation, RelationFilter},
    scope,
};

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
    /// Contact points that count.
    #[schema(max_items = 20)]
    pub contact_points: Vec<ContactPoint>,
    /// How many contact points count.
    #[schema(minimum = 0)]
    pub contact_point_count: i64,
    /// Relations that hold today; null in the customer's own perspective.
    #[schema(max_items = 20)]
    pub relations: Option<Vec<Relation>>,
    /// How many relations hold today; null in the customer's own perspective.
    #[schema(minimum = 0)]
    pub relation_count: Option<i64>,
}

/// The customer's part of a view, without sensitive fields.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when the customer is out of sight.
pub fn profile(conn: &mut Conn, actor: &Actor, id: CustomerId, perspective: Perspective) -> Result<CustomerProfileView> {
    let customer = present::get(conn, actor, id)?;
    around(conn, actor, customer, perspective)
}

/// As [`profile`], with sensitive fields when the actor may see them; that is recorded.
///
/// # Errors
/// As [`profile`].
pub fn disclose_profile(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId, perspective: Perspective) -> Result<CustomerProfileView> {
    let customer = present::disclose(tx, actor, id)?;
    around(tx, actor, customer, perspective)
}

fn around(conn: &mut Conn, actor: &Actor, customer: Customer, perspective: Perspective) -> Result<CustomerProfileView> {
    scope::require(conn, actor, Action::CustomerRead, customer.id)?;
    let today = conn.now.date();
    let documents = || {
        let of = identities::table.filter(identities::customer_id.eq(customer.id));
        of.filter(identities::ended_at.is_null())
    };
    let points = || {
        let lasts = contact_points::valid_to.is_null().or(contact_points::valid_to.assume_not_null().gt(today));
        contact_points::table.filter(contact_points::customer_id.eq(customer.id)).filter(lasts)
    };
    let mut identities = None;
    let mut identity_count = None;
    if perspective != Perspective::Marketing {
        let shown = documents().order(identities::id).limit(SHOWN).select(Identity::as_select()).load(&mut conn.db)?;
        identities = Some(shown);
        identity_count = Some(documents().count().get_result(&mut conn.db)?);
    }
    let shown: Vec<ContactPoint> = points()
        .order((contact_points::preferred.desc(), contact_points::id))
        .limit(SHOWN)
        .select(ContactPoint::as_select())
        .load(&mut conn.db)?;
    let contact_points = shown.into_iter().map(|point| point.shown_to(actor)).collect();
    let contact_point_count = points().count().get_result(&mut conn.db)?;
    let mut relations = None;
    let mut relation_count = None;
    if perspective != Perspective::Itself {
        let filter = RelationFilter { as_of: Some(today), ..RelationFilter::default() };
        let params = PageParams { limit: Some(SHOWN), cursor: None, include_total: Some(true) };
        let page = relation::list(conn, actor, customer.id, &filter, &params)?;
        relations = Some(page.items);
        relation_count = page.total;
    }
    Ok(CustomerProfileView {
        customer,
        identities,
        identity_count,
        contact_points,
        contact_point_count,
        relations,
        relation_count,
    })
}
