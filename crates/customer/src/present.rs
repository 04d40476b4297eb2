//! Turns rows of customers into what an actor is shown: labels and profiles added, hidden fields taken out.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
    dsl::exists,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Date, Reference, Result, Tx,
    access::{ActorKind, FieldClass, Reach},
    audit::{self, Access},
    schema::{branches, custom_attributes, customers, organisation_profiles, personal_profiles, staff},
};

use crate::{
    Customer, CustomerId, CustomerKind, CustomerRow,
    attribute::custom,
    customer::{DataQuality, RiskRatings},
    profile::{OrganisationProfile, PersonalProfile, SENSITIVE},
    scope,
};

/// Whether this actor is shown sensitive fields: a role grants the class, and a purpose was given. Such
/// reads are recorded, so they are writes: see [`disclose`].
#[must_use]
pub fn shows_sensitive(actor: &Actor) -> bool {
    actor.sees(FieldClass::Sensitive) && actor.purpose.as_deref().is_some_and(|purpose| !purpose.trim().is_empty())
}

/// One customer, without its sensitive fields.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when it is absent or out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, id: CustomerId) -> Result<Customer> {
    let reach = actor.allow(Action::CustomerRead)?;
    one(conn, actor, &reach, id, false)
}

/// One customer, with its sensitive fields when the actor may see them; that is recorded.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when it is absent or out of sight.
pub fn disclose(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId) -> Result<Customer> {
    let row = scope::require(tx, actor, Action::CustomerRead, id)?;
    disclose_row(tx, actor, &row)
}

/// As [`disclose`], for a row that is at hand.
pub(crate) fn disclose_row(tx: &mut Tx<'_>, actor: &Actor, row: &CustomerRow) -> Result<Customer> {
    let sensitive = shows_sensitive(actor);
    if sensitive {
        record_disclosure(tx, actor, row.id)?;
    }
    one(tx, actor, &Reach::All, row.id, sensitive)
}

/// Records that an actor is shown the sensitive fields of a customer.
///
/// # Errors
/// The database's; then they must not be shown.
pub fn record_disclosure(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId) -> Result<()> {
    let attributes = custom::of(tx, actor, &[id], true)?.remove(&id).unwrap_or_default();
    let attributes = custom::sensitive_fields(&attributes);
    let fields: Vec<&str> = SENSITIVE.iter().copied().chain(attributes.iter().map(String::as_str)).collect();
    let access = Access {
        customer_id: Some(id.cast()),
        resource: "customer",
        resource_id: id.cast(),
        action: Action::CustomerRead.as_str(),
        fields: &fields,
    };
    audit::record(tx, actor, access)
}

fn one(conn: &mut Conn, actor: &Actor, reach: &Reach, id: CustomerId, sensitive: bool) -> Result<Customer> {
    let found = found(conn, reach, id)?;
    let attributes = if found.has_attributes { custom::of(conn, actor, &[id], sensitive)?.remove(&id) } else { None };
    let customer = found.shown(conn.now.date(), Mask { sensitive, itself: actor.kind == ActorKind::Customer });
    Ok(Customer { attributes: attributes.unwrap_or_default(), ..customer })
}

/// What a reader of customers is shown of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask {
    /// Sensitive fields, too.
    pub sensitive: bool,
    /// Only what customers are shown of themselves.
    pub itself: bool,
}

/// One customer with all that its row refers to.
#[derive(Clone, Debug)]
pub struct Found {
    pub(crate) row: CustomerRow,
    personal: Option<PersonalProfile>,
    organisation: Option<OrganisationProfile>,
    owner: Option<Reference>,
    home_branch: Option<Reference>,
    /// Whether it has values of custom attributes, which are read by themselves.
    pub(crate) has_attributes: bool,
}

impl Found {
    /// As it is shown, but for its custom attributes.
    pub(crate) fn shown(self, today: Date, mask: Mask) -> Customer {
        assemble(self.row, self.personal, self.organisation, self.owner, self.home_branch, today, mask)
    }
}

/// One customer within reach: by one statement, which for most callers is always the same.
pub(crate) fn found(conn: &mut Conn, reach: &Reach, id: CustomerId) -> Result<Found> {
    // The kind decides which profile a customer has, whatever else the tables hold.
    let person = customers::kind.eq(CustomerKind::Personal).and(personal_profiles::customer_id.eq(customers::id));
    let other = customers::kind.ne(CustomerKind::Personal).and(organisation_profiles::customer_id.eq(customers::id));
    let query = customers::table
        .left_join(personal_profiles::table.on(person))
        .left_join(organisation_profiles::table.on(other))
        .left_join(staff::table.on(customers::owner_id.eq(staff::id.nullable())))
        .left_join(branches::table.on(customers::home_branch_id.eq(branches::id.nullable())))
        .filter(customers::id.eq(id))
        .filter(scope::is_living())
        .select((
            CustomerRow::as_select(),
            Option::<PersonalProfile>::as_select(),
            Option::<OrganisationProfile>::as_select(),
            staff::name.nullable(),
            branches::name.nullable(),
            exists(custom_attributes::table.filter(custom_attributes::customer_id.eq(customers::id))),
        ));
    let (row, personal, organisation, owner, home, has_attributes): Parts = match reach {
        Reach::All => query.first(&mut conn.db)?,
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            let path = branches::path.nullable();
            query.filter(path.ge(from)).filter(path.lt(to)).first(&mut conn.db)?
        }
        Reach::Branch(path) => query.filter(branches::path.nullable().eq(path)).first(&mut conn.db)?,
        Reach::Staff(_) | Reach::Customer(_) => {
            scope::within(conn, reach, id)?;
            query.first(&mut conn.db)?
        }
    };
    let owner = row.owner_id.zip(owner).map(|(id, name)| Reference::new(id, name));
    let home_branch = row.home_branch_id.zip(home).map(|(id, name)| Reference::new(id, name));
    Ok(Found { row, personal, organisation, owner, home_branch, has_attributes })
}

type Parts = (CustomerRow, Option<PersonalProfile>, Option<OrganisationProfile>, Option<String>, Option<String>, bool);

/// Customers as the actor is shown them, in the same order.
pub(crate) fn many(conn: &mut Conn, actor: &Actor, rows: Vec<CustomerRow>, sensitive: bool) -> Result<Vec<Customer>> {
    let ids = |kind: fn(CustomerKind) -> bool| rows.iter().filter(|row| kind(row.kind)).map(|row| row.id).collect::<Vec<_>>();
    let people = ids(|kind| kind == CustomerKind::Personal);
    let others = ids(|kind| kind != CustomerKind::Personal);
    let mut personal: HashMap<CustomerId, PersonalProfile> = HashMap::new();
    if !people.is_empty() {
        let found = personal_profiles::table.filter(personal_profiles::customer_id.eq_any(people));
        let found: Vec<PersonalProfile> = found.select(PersonalProfile::as_select()).load(&mut conn.db)?;
        personal = found.into_iter().map(|profile| (profile.customer_id, profile)).collect();
    }
    let mut organisations: HashMap<CustomerId, OrganisationProfile> = HashMap::new();
    if !others.is_empty() {
        let found = organisation_profiles::table.filter(organisation_profiles::customer_id.eq_any(others));
        let found: Vec<OrganisationProfile> = found.select(OrganisationProfile::as_select()).load(&mut conn.db)?;
        organisations = found.into_iter().map(|profile| (profile.customer_id, profile)).collect();
    }
    let ids: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
    let mut attributes = custom::of(conn, actor, &ids, sensitive)?;
    let owners = staff_names(conn, rows.iter().filter_map(|row| row.owner_id).collect())?;
    let homes = branch_names(conn, rows.iter().filter_map(|row| row.home_branch_id).collect())?;
    let today = conn.now.date();
    let mask = Mask { sensitive, itself: actor.kind == ActorKind::Customer };
    Ok(rows
        .into_iter()
        .map(|row| {
            let owner = row.owner_id.and_then(|id| owners.get(&id).cloned());
            let home = row.home_branch_id.and_then(|id| homes.get(&id).cloned());
            let (profile, organisation) = (personal.remove(&row.id), organisations.remove(&row.id));
            let id = row.id;
            let customer = assemble(row, profile, organisation, owner, home, today, mask);
            Customer { attributes: attributes.remove(&id).unwrap_or_default(), ..customer }
        })
        .collect())
}

/// The one place where fields are hidden.
fn assemble(
    row: CustomerRow,
    personal: Option<PersonalProfile>,
    organisation: Option<OrganisationProfile>,
    owner: Option<Reference>,
    home_branch: Option<Reference>,
    today: Date,
    mask: Mask,
) -> Customer {
    let Mask { sensitive, itself } = mask;
    let end = row.deceased_on.unwrap_or(today);
    Customer {
        id: row.id,
        number: row.number,
        kind: row.kind,
        display_name: row.display_name,
        status: row.status,
        status_reason: row.status_reason.filter(|_| !itself),
        status_derived: row.status_derived,
        life_cycle_stage: row.life_cycle_stage,
        tier: row.tier,
        owner,
        home_branch,
        preferred_language: row.preferred_language,
        preferred_channel: row.preferred_channel,
        risk: (sensitive && !itself).then_some(RiskRatings {
            credit_rating: row.credit_rating,
            market_rating: row.market_rating,
            operational_rating: row.operational_rating,
            rated_on: row.rated_on,
        }),
        fraud_flag: (!itself).then_some(row.fraud_flag),
        deceased_on: row.deceased_on,
        age: personal.as_ref().and_then(|profile| profile.birth_date).map(|born| born.years_until(end)),
        data_quality: (!itself).then_some(DataQuality {
            accuracy_bp: row.accuracy_bp,
            completeness_bp: row.completeness_bp,
            consistency_bp: row.consistency_bp,
            score_bp: row.quality_score_bp,
        }),
        review_due_on: row.review_due_on,
        personal: personal.map(|profile| if sensitive { profile } else { profile.masked() }),
        organisation,
        attributes: Vec::new(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    }
}

fn staff_names(conn: &mut Conn, ids: Vec<AnyId>) -> Result<HashMap<AnyId, Reference>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let named: Vec<(AnyId, String)> =
        staff::table.filter(staff::id.eq_any(ids)).select((staff::id, staff::name)).load(&mut conn.db)?;
    Ok(named.into_iter().map(|(id, name)| (id, Reference::new(id, name))).collect())
}

fn branch_names(conn: &mut Conn, ids: Vec<AnyId>) -> Result<HashMap<AnyId, Reference>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let named: Vec<(AnyId, String)> =
        branches::table.filter(branches::id.eq_any(ids)).select((branches::id, branches::name)).load(&mut conn.db)?;
    Ok(named.into_iter().map(|(id, name)| (id, Reference::new(id, name))).collect())
}
