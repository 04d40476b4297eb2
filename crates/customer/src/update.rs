//! Changing customers: by a person's merge patch, or by what a source says.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Date, Error, Result, Tx,
    event::NewEvent,
    feed::Source,
    patch,
    schema::{customers, organisation_profiles, personal_profiles},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    Customer, CustomerId, CustomerKind, CustomerRow, contact_point, create,
    create::{BranchId, NewCustomer},
    customer::{PreferredChannel, PreferredLanguage},
    feed::CustomerRecord,
    history::{self, Change, Testimony},
    identity, index, present,
    profile::{OrganisationProfile, OrganisationProfilePatch, PersonalProfile, PersonalProfilePatch, take_over},
    scope,
    transition::Farewell,
};

/// Changes to a customer; what is absent stays, null clears. Status and stage change by
/// `transition_customer`, the owner by assignments.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerPatch {
    /// Name under which it is shown.
    #[schema(nullable = false, value_type = String, required = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub display_name: Option<String>,
    /// Service tier, a code of the bank's.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub tier: Option<Option<String>>,
    /// The branch that keeps the customer.
    #[schema(value_type = Option<BranchId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub home_branch_id: Option<Option<BranchId>>,
    /// Language in which it wants to be addressed.
    #[schema(value_type = Option<PreferredLanguage>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub preferred_language: Option<Option<PreferredLanguage>>,
    /// Way on which it wants to be reached.
    #[schema(value_type = Option<PreferredChannel>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub preferred_channel: Option<Option<PreferredChannel>>,
    /// Credit risk, a grade of the bank's scale.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 32), custom(function = "crate::rules::text"))]
    pub credit_rating: Option<Option<String>>,
    /// Market risk, a grade of the bank's scale.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 32), custom(function = "crate::rules::text"))]
    pub market_rating: Option<Option<String>>,
    /// Operational risk, a grade of the bank's scale.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 32), custom(function = "crate::rules::text"))]
    pub operational_rating: Option<Option<String>>,
    /// The day as of which the ratings hold.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub rated_on: Option<Option<Date>>,
    /// Whether fraud is suspected.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub fraud_flag: Option<bool>,
    /// When a person died; not in the future.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub deceased_on: Option<Option<Date>>,
    /// When the record is due to be checked with the customer.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub review_due_on: Option<Option<Date>>,
    /// Changes to the profile of a personal customer.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(nested)]
    pub personal: Option<PersonalProfilePatch>,
    /// Changes to the profile of a corporate or government customer.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(nested)]
    pub organisation: Option<OrganisationProfilePatch>,
}

/// Names of those of these fields of a patch that it says something about.
macro_rules! said_of {
    ($patch:expr; $($field:ident),+ $(,)?) => {
        [$(($patch.$field.is_some(), stringify!($field))),+].into_iter().filter_map(|(said, field)| said.then_some(field))
    };
}

impl CustomerPatch {
    /// The fields of the class `sensitive` about which it says something.
    fn sensitive_fields(&self) -> Vec<&'static str> {
        let ratings = said_of!(self; credit_rating, market_rating, operational_rating, rated_on);
        let personal = self.personal.as_ref().map(|patch| {
            said_of!(patch; marital_status, dependants, income_band, assets_band, hobbies, habits, financial_need,
                investment_preference, risk_tolerance, financial_situation)
        });
        ratings.chain(personal.into_iter().flatten()).collect()
    }
}

/// Changes a customer that still has the version the caller saw. Every changed value is kept in the history. One whose
/// death is recorded bids farewell from that day on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`].
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: CustomerId,
    version: i64,
    patch: CustomerPatch,
    farewell: Farewell,
) -> Result<Customer> {
    let row = scope::lock(tx, actor, Action::CustomerWrite, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    if let Some(Some(branch)) = patch.home_branch_id {
        create::check_home(tx, &actor.allow(Action::CustomerWrite)?, branch)?;
    }
    let testimony = Testimony { source: None, observed_at: tx.now, confidence: BasisPoints::WHOLE, recorded_by: &actor.subject };
    let unseen = if present::shows_sensitive(actor) { Vec::new() } else { patch.sensitive_fields() };
    let lived = row.deceased_on.is_none();
    let whole = Whole::load(tx, row)?;
    if let (Some(owners), Some(before)) =
        (patch.organisation.as_ref().and_then(|profile| profile.main_shareholders.as_ref()), &whole.organisation)
    {
        create::check_owners(tx, actor, owners, &before.main_shareholders.0)?;
    }
    let row = whole.change(tx, actor, patch, &testimony, &unseen)?;
    if let Some(day) = row.deceased_on.filter(|_| lived) {
        farewell(tx, actor, id, day, "The customer has died.")?;
    }
    present::disclose_row(tx, actor, &row)
}

/// Moves customers from one home branch to another, at most so many, in the order of their ids; how many it moved.
/// The caller has checked the right.
///
/// # Errors
/// [`Error::Busy`] when one of them is being merged; the database's.
pub fn rehome(tx: &mut Tx<'_>, actor: &Actor, from: AnyId, to: AnyId, limit: i64) -> Result<i64> {
    let ids: Vec<CustomerId> = at_home(from).order(customers::id).limit(limit).select(customers::id).load(&mut tx.db)?;
    let testimony = Testimony { source: None, observed_at: tx.now, confidence: BasisPoints::WHOLE, recorded_by: &actor.subject };
    for id in &ids {
        if !scope::hold_living(tx, *id)? {
            continue;
        }
        let row: CustomerRow = customers::table.find(id).select(CustomerRow::as_select()).first(&mut tx.db)?;
        let patch = CustomerPatch { home_branch_id: Some(Some(to.cast())), ..CustomerPatch::default() };
        Whole::load(tx, row)?.change(tx, actor, patch, &testimony, &[])?;
    }
    i64::try_from(ids.len()).map_err(Error::internal)
}

/// How many customers a branch is home to, those that were erased or merged into others left out.
///
/// # Errors
/// The database's.
pub fn count_at_home(conn: &mut Conn, branch: AnyId) -> Result<i64> {
    Ok(at_home(branch).count().get_result(&mut conn.db)?)
}

#[diesel::dsl::auto_type]
fn at_home(branch: AnyId) -> _ {
    let living = customers::merged_into.is_null().and(customers::erased_at.is_null());
    customers::table.filter(customers::home_branch_id.eq(branch)).filter(living)
}

/// Takes over what a source says of a customer that is known, as far as its word counts.
///
/// # Errors
/// [`Error::Invalid`] when the record is of another kind, or breaks a rule together with what is known.
pub(crate) fn merge_record(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    id: CustomerId,
    record: &CustomerRecord,
    new: NewCustomer,
) -> Result<()> {
    if !scope::hold_living(tx, id)? {
        return Err(Error::invalid("/source_id", crate::feed::ERASED, "The customer was erased meanwhile."));
    }
    let row: CustomerRow = customers::table.find(id).select(CustomerRow::as_select()).first(&mut tx.db)?;
    if new.kind != row.kind {
        return Err(Error::invalid("/kind", "other_kind", format!("This customer is {}.", row.kind)));
    }
    let whole = Whole::load(tx, row)?;
    let said = said(record, &new)?;
    let changes: Vec<Change> = history::changes(&whole.values()?, &said);
    let (taken, yielded) = history::weigh(tx, id, changes, source.precedence(crate::feed::PROFILE))?;
    let testimony = Testimony {
        source: Some(&source.code),
        observed_at: record.observed_at.unwrap_or(tx.now),
        confidence: record.confidence_bp.unwrap_or(BasisPoints::WHOLE),
        recorded_by: &actor.subject,
    };
    history::note(tx, id, &yielded, &testimony)?;
    identity::add_unknown(tx, id, new.identities, &source.code)?;
    contact_point::add_unknown(tx, id, new.contact_points)?;
    let patch = patch_of(whole.row.kind, taken)?;
    whole.change(tx, actor, patch, &testimony, &[])?;
    Ok(())
}

/// What a record says, by the names of the history; what it leaves out is left out.
fn said(record: &CustomerRecord, new: &NewCustomer) -> Result<Map<String, Value>> {
    let mut said = Map::new();
    let profile = match (&new.personal, &new.organisation) {
        (Some(personal), _) => serde_json::to_value(personal),
        (_, Some(organisation)) => serde_json::to_value(organisation),
        _ => Ok(Value::Null),
    };
    if let Value::Object(fields) = profile.map_err(Error::internal)? {
        said.extend(fields);
    }
    // Names that stand in for missing ones say nothing.
    if record.full_name.is_none() && (record.family_name.is_none() || record.given_name.is_none()) {
        said.shift_remove("full_name");
    }
    if record.legal_name.is_none() {
        said.shift_remove("legal_name");
    }
    let own = json!({
        "display_name": new.display_name, "tier": new.tier, "home_branch_id": new.home_branch_id,
        "preferred_language": new.preferred_language, "preferred_channel": new.preferred_channel,
    });
    if let Value::Object(fields) = own {
        said.extend(fields);
    }
    said.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
    Ok(said)
}

/// The changes as the patch that makes them.
pub(crate) fn patch_of(kind: CustomerKind, changes: Vec<Change>) -> Result<CustomerPatch> {
    const OWN: [&str; 12] = [
        "display_name",
        "tier",
        "home_branch_id",
        "preferred_language",
        "preferred_channel",
        "credit_rating",
        "market_rating",
        "operational_rating",
        "rated_on",
        "fraud_flag",
        "deceased_on",
        "review_due_on",
    ];
    let (own, profile): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(|change| OWN.contains(&change.field.as_str()));
    let fields = |changes: Vec<Change>| changes.into_iter().map(|change| (change.field, change.after)).collect::<Map<_, _>>();
    let mut patch = fields(own);
    if !profile.is_empty() {
        let name = if kind == CustomerKind::Personal { "personal" } else { "organisation" };
        patch.insert(name.to_owned(), Value::Object(fields(profile)));
    }
    serde_json::from_value(Value::Object(patch)).map_err(Error::internal)
}

/// A customer with its profile.
pub(crate) struct Whole {
    row: CustomerRow,
    personal: Option<PersonalProfile>,
    organisation: Option<OrganisationProfile>,
}

impl Whole {
    pub(crate) fn load(conn: &mut Conn, row: CustomerRow) -> Result<Self> {
        let personal = personal_profiles::table.find(row.id).select(PersonalProfile::as_select());
        let organisation = organisation_profiles::table.find(row.id).select(OrganisationProfile::as_select());
        Ok(Self {
            personal: personal.first(&mut conn.db).optional()?,
            organisation: organisation.first(&mut conn.db).optional()?,
            row,
        })
    }

    pub(crate) fn values(&self) -> Result<Map<String, Value>> {
        history::values(&self.row, self.personal.as_ref(), self.organisation.as_ref())
    }

    /// Applies a patch, checks the whole, writes it and keeps the changes. Nothing changed, nothing written; but fields that
    /// the actor does not see count as changed by every word about them: a version that stays would tell that a value was
    /// guessed.
    fn change(
        mut self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        patch: CustomerPatch,
        testimony: &Testimony<'_>,
        unseen: &[&str],
    ) -> Result<CustomerRow> {
        let before = self.values()?;
        let days = (self.row.review_due_on, self.row.rated_on);
        self.apply(patch, tx)?;
        let after = self.values()?;
        let mut changes = history::changes(&before, &after);
        if changes.is_empty() && unseen.is_empty() && days == (self.row.review_due_on, self.row.rated_on) {
            return Ok(self.row);
        }
        changes.extend(history::confirmed(&before, &after, unseen));
        self.row.version += 1;
        self.row.updated_at = tx.now;
        self.write(tx)?;
        history::keep(tx, &self.row, &changes, testimony)?;
        index::refresh(tx, &[self.row.id])?;
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        let event = NewEvent::new("customer.updated", self.row.id, json!({ "fields": fields, "source": testimony.source }));
        tx.emit(actor, event.of_customer(self.row.id));
        Ok(customers::table.find(self.row.id).select(CustomerRow::as_select()).first(&mut tx.db)?)
    }

    /// Applies a patch, checks the whole and writes it. The caller keeps the history, counts the version,
    /// refreshes what is derived and tells what happened.
    pub(crate) fn rewrite(mut self, tx: &mut Tx<'_>, patch: CustomerPatch) -> Result<()> {
        self.apply(patch, tx)?;
        self.write(tx)
    }

    fn write(&self, tx: &mut Tx<'_>) -> Result<()> {
        diesel::update(customers::table.find(self.row.id)).set(&self.row).execute(&mut tx.db)?;
        if let Some(profile) = &self.personal {
            diesel::update(personal_profiles::table.find(self.row.id)).set(profile).execute(&mut tx.db)?;
        }
        if let Some(profile) = &self.organisation {
            diesel::update(organisation_profiles::table.find(self.row.id)).set(profile).execute(&mut tx.db)?;
        }
        Ok(())
    }

    fn apply(&mut self, patch: CustomerPatch, tx: &Tx<'_>) -> Result<()> {
        let mut faults = Vec::new();
        let today = tx.now.date();
        let old_name = self.name().map(str::to_owned);
        let row = &mut self.row;
        take_over!(row, patch; tier, home_branch_id, preferred_language, preferred_channel, credit_rating, market_rating,
            operational_rating, rated_on, fraud_flag, deceased_on, review_due_on);
        match (patch.personal, &mut self.personal) {
            (Some(change), Some(profile)) => profile.apply(change, tx.now),
            (Some(_), None) => return Err(Error::invalid("/personal", "other_kind", "This customer has no such profile.")),
            _ => {}
        }
        match (patch.organisation, &mut self.organisation) {
            (Some(change), Some(profile)) => profile.apply(change, tx.now),
            (Some(_), None) => return Err(Error::invalid("/organisation", "other_kind", "This customer has no such profile.")),
            _ => {}
        }
        // A display name that was the profile's follows it.
        let follows = old_name.as_deref() == Some(self.row.display_name.as_str());
        let followed = self.name().filter(|_| follows).map(str::to_owned);
        if let Some(name) = patch.display_name.or(followed) {
            self.row.display_name = name;
        }
        if let Some(profile) = &self.personal {
            create::check_birth_date(profile.birth_date, today, &mut faults);
        }
        if let Some(profile) = &self.organisation {
            create::check_founding(profile.founded_on, today, &mut faults);
            create::check_codes(profile.unified_social_credit_code.as_deref(), profile.lei.as_deref(), &mut faults);
            create::check_capital(profile.registered_capital.into(), &mut faults);
        }
        create::check_death(&self.row, self.personal.as_ref(), today, &mut faults);
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }

    fn name(&self) -> Option<&str> {
        let personal = self.personal.as_ref().map(|profile| profile.full_name.as_str());
        personal.or_else(|| self.organisation.as_ref().map(|profile| profile.legal_name.as_str()))
    }
}
