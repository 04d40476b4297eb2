//! Making customers: by a person through the API, or a thousand at once from a feed.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Date, Error, FieldError, Money, Result, Tx,
    access::Reach,
    bulk_copy, bulk_insert,
    event::NewEvent,
    schema::{branches, contact_points, customers, duplicate_allowances, identities, organisation_profiles, personal_profiles},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    Customer, CustomerKind, CustomerRow, CustomerStatus, LifeCycleStage,
    contact_point::{ContactPoint, NewContactPoint},
    customer::{PreferredChannel, PreferredLanguage},
    facts::Facts,
    identity::{Identity, NewIdentity},
    index, matching, present,
    profile::{NewOrganisationProfile, NewPersonalProfile, OrganisationProfile, PersonalProfile, Shareholder},
    quality,
    rules::{credit_code, credit_code::Verdict, lei},
    scope,
};

/// Identifier of a branch.
pub type BranchId = AnyId;

/// A customer to be created, with its profile and, if known, identities and contact points.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// What kind of customer it is; decides which profile is needed.
    pub kind: CustomerKind,
    /// Name under which it is shown; the profile's full or legal name unless given.
    #[schema(example = "李娜", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub display_name: Option<String>,
    /// Where the relationship stands; `potential` unless given.
    pub status: Option<CustomerStatus>,
    /// How close it has come to the bank; `prospect` unless given.
    pub life_cycle_stage: Option<LifeCycleStage>,
    /// Service tier, a code of the bank's.
    #[schema(example = "gold", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub tier: Option<String>,
    /// The branch that keeps the customer; the caller's own unless given.
    pub home_branch_id: Option<BranchId>,
    /// Language in which it wants to be addressed.
    pub preferred_language: Option<PreferredLanguage>,
    /// Way on which it wants to be reached.
    pub preferred_channel: Option<PreferredChannel>,
    /// When the record is due to be checked with the customer.
    pub review_due_on: Option<Date>,
    /// The profile of a personal customer.
    #[validate(nested)]
    pub personal: Option<NewPersonalProfile>,
    /// The profile of a corporate or government customer.
    #[validate(nested)]
    pub organisation: Option<NewOrganisationProfile>,
    /// Identity documents.
    #[serde(default)]
    #[schema(max_items = 20)]
    #[validate(length(max = 20), nested)]
    pub identities: Vec<NewIdentity>,
    /// Contact points.
    #[serde(default)]
    #[schema(max_items = 50)]
    #[validate(length(max = 50), nested)]
    pub contact_points: Vec<NewContactPoint>,
    /// Lets the customer be created although it looks like one that is there. The pair enters the work queue.
    #[validate(nested)]
    pub allow_duplicate: Option<AllowDuplicate>,
}

/// Why a customer is created although it looks like one that is there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AllowDuplicate {
    /// Why; kept with the customer until it is erased. The event of the creation tells only that there was a reason.
    #[schema(example = "twins, both were at the counter", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// A checked customer with all its parts, not yet written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub row: CustomerRow,
    pub personal: Option<PersonalProfile>,
    pub organisation: Option<OrganisationProfile>,
    pub identities: Vec<Identity>,
    pub contact_points: Vec<ContactPoint>,
    /// Whether the name only stands in for one that the source does not have.
    pub nameless: bool,
    /// Why it is made although it looks like a customer that is there.
    pub duplicate_allowed: Option<String>,
}

/// Creates a customer, unless it looks like one that is there and within the caller's sight.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.write`; [`Error::Invalid`] with every broken rule;
/// [`Error::DuplicateCustomer`] with those that it looks like.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, mut new: NewCustomer) -> Result<Customer> {
    let reach = actor.allow(Action::CustomerWrite)?;
    if let Reach::Customer(_) = reach {
        return Err(Error::Forbidden("A customer cannot create customers.".into()));
    }
    new.home_branch_id = new.home_branch_id.or(actor.branch.as_ref().map(|branch| branch.id));
    if let Some(branch) = new.home_branch_id {
        check_home(tx, &reach, branch)?;
    }
    let owners = new.organisation.iter().flat_map(|profile| &profile.main_shareholders);
    check_owners(tx, actor, owners, &[])?;
    let allowed = new.allow_duplicate.take().map(|allow| allow.reason);
    let mut draft = Draft::assemble(tx, new, &actor.subject)?;
    let guarded = matching::bank::guard(tx, actor, &draft, allowed.is_some())?;
    draft.duplicate_allowed = allowed;
    let row = draft.row.clone();
    save(tx, actor, vec![draft])?;
    guarded.queue(tx, actor, row.id)?;
    present::disclose_row(tx, actor, &row)
}

/// Refuses a branch that does not exist or lies outside the reach.
pub(crate) fn check_home(conn: &mut Conn, reach: &Reach, branch: BranchId) -> Result<()> {
    let path: Option<String> = branches::table.find(branch).select(branches::path).first(&mut conn.db).optional()?;
    let within = path.is_some_and(|path| match reach {
        Reach::Subtree(_) | Reach::Branch(_) => {
            reach.covers(&kehu_kernel::access::Resource { branch_path: Some(path), ..Default::default() }).0
        }
        _ => true,
    });
    if within {
        Ok(())
    } else {
        Err(Error::invalid("/home_branch_id", "unknown_branch", "There is no such branch within your reach."))
    }
}

/// Refuses owners of an organisation that are said to be customers and are not, or not within the actor's sight; those that
/// were there before may stay.
pub(crate) fn check_owners<'a>(
    conn: &mut Conn,
    actor: &Actor,
    owners: impl IntoIterator<Item = &'a Shareholder>,
    before: &[Shareholder],
) -> Result<()> {
    let mut faults = Vec::new();
    for (place, owner) in owners.into_iter().enumerate() {
        let Some(id) = owner.customer_id.filter(|id| !before.iter().any(|known| known.customer_id == Some(*id))) else {
            continue;
        };
        let pointer = format!("/organisation/main_shareholders/{place}/customer_id");
        match scope::require(conn, actor, Action::CustomerRead, id) {
            Ok(_) => {}
            Err(Error::NotFound) => match scope::unknown(conn, actor, &pointer, id)? {
                Error::Invalid(broken) => faults.extend(broken),
                other => return Err(other),
            },
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

impl Draft {
    /// Checks everything that can be checked without the database and puts the parts together.
    pub fn assemble(conn: &Conn, new: NewCustomer, verified_by: &str) -> Result<Self> {
        let mut faults = Vec::new();
        check_profiles(&new, conn.now.date(), &mut faults);
        let name = new.display_name.clone().or_else(|| {
            let personal = new.personal.as_ref().map(|profile| profile.full_name.clone());
            personal.or_else(|| new.organisation.as_ref().map(|profile| profile.legal_name.clone()))
        });
        let mut row = CustomerRow::new(new.kind, name.unwrap_or_default(), conn.now);
        row.status = new.status.unwrap_or(row.status);
        row.life_cycle_stage = new.life_cycle_stage.unwrap_or(row.life_cycle_stage);
        row.tier = new.tier;
        row.home_branch_id = new.home_branch_id;
        row.preferred_language = new.preferred_language;
        row.preferred_channel = new.preferred_channel;
        row.review_due_on = new.review_due_on;
        let mut identities: Vec<Identity> = Vec::with_capacity(new.identities.len());
        for (place, identity) in new.identities.into_iter().enumerate() {
            let made = identity.into_row(conn, row.id, verified_by);
            if let Some(made) = keep(made, &format!("/identities/{place}"), &mut faults)? {
                let twice = identities
                    .iter()
                    .any(|known| known.number_index == made.number_index && known.identity_type == made.identity_type);
                if twice {
                    faults.push(FieldError::new(
                        format!("/identities/{place}/number"),
                        "twice",
                        "The same document stands here twice.",
                    ));
                }
                identities.push(made);
            }
        }
        let mut contact_points: Vec<ContactPoint> = Vec::with_capacity(new.contact_points.len());
        for (place, point) in new.contact_points.into_iter().enumerate() {
            let made = point.into_row(row.id, conn.now);
            if let Some(mut made) = keep(made, &format!("/contact_points/{place}"), &mut faults)? {
                // Of several preferred ones of a kind, the first stays so.
                made.preferred &= !contact_points.iter().any(|known| known.kind == made.kind && known.preferred);
                contact_points.push(made);
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let personal = new.personal.map(|profile| PersonalProfile::new(row.id, profile, conn.now));
        let organisation = new.organisation.map(|profile| OrganisationProfile::new(row.id, profile, conn.now));
        let mut draft =
            Self { row, personal, organisation, identities, contact_points, nameless: false, duplicate_allowed: None };
        let quality = quality::assess(conn, &draft.facts())?;
        draft.row.rate(quality);
        Ok(draft)
    }

    /// What is known of the customer.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            customer: &self.row,
            personal: self.personal.as_ref(),
            organisation: self.organisation.as_ref(),
            identities: &self.identities,
            contact_points: &self.contact_points,
        }
    }
}

/// Writes drafts, each with its event.
pub(crate) fn save(tx: &mut Tx<'_>, actor: &Actor, drafts: Vec<Draft>) -> Result<()> {
    let derived = index::Derived::of(tx, drafts.iter().map(Draft::facts));
    let keys = matching::bank::keys::of_drafts(tx, &drafts)?;
    let mut rows = Vec::with_capacity(drafts.len());
    let mut allowed = Vec::new();
    let (mut personal, mut organisations, mut documents, mut points) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for draft in drafts {
        let mut data = json!({ "number": draft.row.number, "kind": draft.row.kind, "home_branch_id": draft.row.home_branch_id });
        if let (Some(reason), Some(data)) = (&draft.duplicate_allowed, data.as_object_mut()) {
            // The reason may name people, and events are never scrubbed.
            data.insert("duplicate_allowed".into(), json!(true));
            allowed.push((draft.row.id, reason.clone()));
        }
        tx.emit(actor, NewEvent::new("customer.created", draft.row.id, data).of_customer(draft.row.id));
        rows.push(draft.row);
        personal.extend(draft.personal);
        organisations.extend(draft.organisation);
        documents.extend(draft.identities);
        points.extend(draft.contact_points);
    }
    bulk_copy!(tx, customers::table, rows)?;
    bulk_copy!(tx, personal_profiles::table, personal)?;
    bulk_insert!(tx, organisation_profiles::table, organisations)?;
    bulk_insert!(tx, identities::table, documents)?;
    bulk_copy!(tx, contact_points::table, points)?;
    for (customer, reason) in allowed {
        let row = (
            duplicate_allowances::customer_id.eq(customer),
            duplicate_allowances::reason.eq(reason),
            duplicate_allowances::allowed_by.eq(&actor.subject),
            duplicate_allowances::allowed_at.eq(tx.now),
        );
        diesel::insert_into(duplicate_allowances::table).values(row).execute(&mut tx.db)?;
    }
    matching::bank::keys::write(tx, keys)?;
    derived.write(tx)
}

fn check_profiles(new: &NewCustomer, today: Date, faults: &mut Vec<FieldError>) {
    let personal = new.kind == CustomerKind::Personal;
    let (needed, other) = if personal { ("/personal", "/organisation") } else { ("/organisation", "/personal") };
    let (has_needed, has_other) = if personal {
        (new.personal.is_some(), new.organisation.is_some())
    } else {
        (new.organisation.is_some(), new.personal.is_some())
    };
    if !has_needed {
        faults.push(FieldError::new(needed, "required", format!("A {} customer has this profile.", new.kind)));
    }
    if has_other {
        faults.push(FieldError::new(other, "other_kind", format!("A {} customer has no such profile.", new.kind)));
    }
    if let Some(profile) = &new.personal {
        check_birth_date(profile.birth_date, today, faults);
    }
    if let Some(profile) = &new.organisation {
        check_founding(profile.founded_on, today, faults);
        check_codes(profile.unified_social_credit_code.as_deref(), profile.lei.as_deref(), faults);
        check_capital(profile.registered_capital, faults);
    }
}

/// A birth date lies between 1850 and today.
pub(crate) fn check_birth_date(born: Option<Date>, today: Date, faults: &mut Vec<FieldError>) {
    let pointer = "/personal/birth_date";
    if born.is_some_and(|date| date > today) {
        faults.push(FieldError::new(pointer, "in_future", "A birth date cannot lie in the future."));
    }
    if born.is_some_and(|date| Date::new(1850, 1, 1).is_some_and(|oldest| date < oldest)) {
        faults.push(FieldError::new(pointer, "too_early", "Nobody alive was born before 1850."));
    }
}

pub(crate) fn check_founding(founded: Option<Date>, today: Date, faults: &mut Vec<FieldError>) {
    if founded.is_some_and(|date| date > today) {
        faults.push(FieldError::new("/organisation/founded_on", "in_future", "An organisation cannot be founded in the future."));
    }
}

pub(crate) fn check_capital(capital: Option<Money>, faults: &mut Vec<FieldError>) {
    if capital.is_some_and(|capital| capital.amount_minor < 0) {
        faults.push(FieldError::new("/organisation/registered_capital", "negative", "Capital is not negative."));
    }
}

/// Only people die, not in the future and not before their birth.
pub(crate) fn check_death(row: &CustomerRow, person: Option<&PersonalProfile>, today: Date, faults: &mut Vec<FieldError>) {
    let Some(died) = row.deceased_on else { return };
    let mut fault = |code: &str, message: &str| faults.push(FieldError::new("/deceased_on", code, message));
    match person {
        None => fault("other_kind", "Only people die."),
        Some(_) if died > today => fault("in_future", "A date of death cannot lie in the future."),
        Some(person) if person.birth_date.is_some_and(|born| born > died) => fault("before_birth", "Nobody dies before birth."),
        Some(_) => {}
    }
}

/// The shape of the codes of a profile. A broken checksum of a credit code is taken: pilot codes are real.
pub(crate) fn check_codes(credit_code: Option<&str>, lei_code: Option<&str>, faults: &mut Vec<FieldError>) {
    if credit_code.is_some_and(|code| credit_code::judge(code) == Verdict::ShapeBroken) {
        let pointer = "/organisation/unified_social_credit_code";
        faults.push(FieldError::new(pointer, "shape", "A unified social credit code has 18 characters."));
    }
    if lei_code.is_some_and(|code| !lei::holds(code)) {
        let message = "A legal entity identifier has 20 characters that end in their checksum.";
        faults.push(FieldError::new("/organisation/lei", "checksum", message));
    }
}

/// Collects the broken rules of a part under its pointer; any other error goes on.
fn keep<T>(made: Result<T>, pointer: &str, faults: &mut Vec<FieldError>) -> Result<Option<T>> {
    match made.map_err(|error| error.within(pointer)) {
        Ok(made) => Ok(Some(made)),
        Err(Error::Invalid(broken)) => {
            faults.extend(broken);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}
