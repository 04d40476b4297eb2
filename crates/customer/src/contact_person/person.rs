//! The contact person: basics, personal parts and keys.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Date, Error, FieldError, Id, Instant, Result, Tx,
    access::{FieldClass, Reach},
    audit::{self, Access},
    event::NewEvent,
    schema::contact_persons,
    text_enum,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    employment,
    input::{ContactPersonPatch, NewContactPerson},
    sight,
};
use crate::{
    CustomerId, CustomerKind, create, present,
    rules::{self, phone},
    scope,
};

/// Identifier of a contact person.
pub type ContactPersonId = Id<ContactPerson>;

text_enum! {
    /// Level of a contact person at work.
    pub enum Seniority {
        /// Leads the organisation.
        Executive = "executive",
        /// Leads a part of it.
        SeniorManager = "senior_manager",
        /// Leads people.
        Manager = "manager",
        /// Knows a field.
        Specialist = "specialist",
        /// Does the daily work.
        Clerk = "clerk",
    }
}

text_enum! {
    /// How close a contact person is to the bank.
    pub enum Closeness {
        /// On the bank's side.
        Trusted = "trusted",
        /// Well known.
        Familiar = "familiar",
        /// Met now and then.
        Acquainted = "acquainted",
        /// Hardly known.
        Distant = "distant",
        /// Against the bank.
        Opposed = "opposed",
    }
}

text_enum! {
    /// How much a contact person sways decisions.
    pub enum Influence {
        /// Nothing goes without them.
        Decisive = "decisive",
        /// Is heard.
        High = "high",
        /// Is asked.
        Medium = "medium",
        /// Is told.
        Low = "low",
    }
}

/// Fields that only roles with sensitive fields are shown, for a purpose.
pub(crate) const SENSITIVE: &[&str] = &[
    "hobbies",
    "family",
    "personality",
    "taboos",
    "seniority",
    "closeness",
    "influence",
    "concerns",
    "need_detail",
    "coping_strategy",
    "competitor_relations",
];

/// A person whom the bank knows in companies. Personal parts and keys are null for callers who may not see sensitive fields,
/// media, background, experience, care plan and the reason of an end for those who may not see internal ones.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = contact_persons, treat_none_as_default_value = false)]
pub struct ContactPerson {
    /// Identifier of the contact person.
    pub id: ContactPersonId,
    /// The customer that is the same person, if the person is a customer.
    pub person_customer_id: Option<CustomerId>,
    /// The branch that keeps the record.
    pub home_branch_id: Option<AnyId>,
    /// Name of the person.
    #[schema(example = "王强", max_length = 200)]
    pub name: String,
    /// Phone number in E.164.
    #[schema(example = "+8613800138000", max_length = 32)]
    pub phone: Option<String>,
    /// E-mail address in lower case.
    #[schema(example = "wang.qiang@example.com", max_length = 254)]
    pub email: Option<String>,
    /// WeChat account.
    #[schema(max_length = 100)]
    pub wechat: Option<String>,
    /// Where they come from: education, home town.
    #[schema(max_length = 2000)]
    pub background: Option<String>,
    /// What they have done before.
    #[schema(max_length = 2000)]
    pub experience: Option<String>,
    /// What they like to do.
    #[schema(example = "golf, calligraphy", max_length = 2000)]
    pub hobbies: Option<String>,
    /// Their family.
    #[schema(max_length = 2000)]
    pub family: Option<String>,
    /// What they are like.
    #[schema(max_length = 2000)]
    pub personality: Option<String>,
    /// What to avoid.
    #[schema(example = "no alcohol", max_length = 2000)]
    pub taboos: Option<String>,
    /// Level at work.
    pub seniority: Option<Seniority>,
    /// How close they are to the bank.
    pub closeness: Option<Closeness>,
    /// How much they sway decisions.
    pub influence: Option<Influence>,
    /// What they care about.
    #[schema(max_length = 2000)]
    pub concerns: Option<String>,
    /// What they need, in detail.
    #[schema(max_length = 2000)]
    pub need_detail: Option<String>,
    /// How to deal with them.
    #[schema(max_length = 2000)]
    pub coping_strategy: Option<String>,
    /// How they stand with competitors.
    #[schema(max_length = 2000)]
    pub competitor_relations: Option<String>,
    /// How the bank looks after them: occasions, gifts, calls.
    #[schema(example = "birthday call; tea at New Year", max_length = 2000)]
    pub care_plan: Option<String>,
    /// The first day on which the bank deals with the person no more; null while it does.
    pub ended_on: Option<Date>,
    /// Why that is so.
    #[schema(example = "retired", max_length = 500)]
    pub end_reason: Option<String>,
    /// Who made the record.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

impl ContactPerson {
    /// As the actor is shown it.
    pub(super) fn shown_to(self, actor: &Actor, sensitive: bool) -> Self {
        let mut shown = if sensitive { self } else { self.masked() };
        if !actor.sees(FieldClass::Internal) {
            let media = [&mut shown.phone, &mut shown.email, &mut shown.wechat];
            media
                .into_iter()
                .chain([&mut shown.background, &mut shown.experience, &mut shown.care_plan, &mut shown.end_reason])
                .for_each(|field| *field = None);
        }
        shown
    }

    /// Without its sensitive fields.
    fn masked(self) -> Self {
        Self {
            hobbies: None,
            family: None,
            personality: None,
            taboos: None,
            seniority: None,
            closeness: None,
            influence: None,
            concerns: None,
            need_detail: None,
            coping_strategy: None,
            competitor_relations: None,
            ..self
        }
    }
}

/// One contact person, without sensitive fields.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`] when absent or out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, id: ContactPersonId) -> Result<ContactPerson> {
    Ok(sight::require(conn, actor, Action::CustomerRead, id)?.shown_to(actor, false))
}

/// As [`get`], with sensitive fields when the actor may see them; that is recorded.
///
/// # Errors
/// As [`get`].
pub fn disclose(tx: &mut Tx<'_>, actor: &Actor, id: ContactPersonId) -> Result<ContactPerson> {
    let row = sight::require(tx, actor, Action::CustomerRead, id)?;
    disclosed(tx, actor, row)
}

pub(super) fn disclosed(tx: &mut Tx<'_>, actor: &Actor, row: ContactPerson) -> Result<ContactPerson> {
    let sensitive = present::shows_sensitive(actor);
    if sensitive {
        let access = Access {
            customer_id: row.person_customer_id.map(Id::cast),
            resource: "contact_person",
            resource_id: row.id.cast(),
            action: Action::CustomerRead.as_str(),
            fields: SENSITIVE,
        };
        audit::record(tx, actor, access)?;
    }
    Ok(row.shown_to(actor, sensitive))
}

/// Records a contact person, and where the person works if that is given.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.write`, and for customers; [`Error::Invalid`];
/// [`Error::Conflict`] `contact_person_exists`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewContactPerson) -> Result<ContactPerson> {
    let reach = scope::allow_inside(actor, Action::CustomerWrite)?;
    let home_branch_id = new.home_branch_id.or(actor.branch.as_ref().map(|branch| branch.id));
    let id = ContactPersonId::new();
    check_ties(tx, &reach, id, home_branch_id, new.person_customer_id)?;
    let mut faults = Vec::new();
    let row = ContactPerson {
        id,
        person_customer_id: new.person_customer_id,
        home_branch_id,
        name: new.name,
        phone: phone_of(new.phone, &mut faults),
        email: email_of(new.email, &mut faults),
        wechat: new.wechat,
        background: new.background,
        experience: new.experience,
        hobbies: new.hobbies,
        family: new.family,
        personality: new.personality,
        taboos: new.taboos,
        seniority: new.seniority,
        closeness: new.closeness,
        influence: new.influence,
        concerns: new.concerns,
        need_detail: new.need_detail,
        coping_strategy: new.coping_strategy,
        competitor_relations: new.competitor_relations,
        care_plan: new.care_plan,
        ended_on: None,
        end_reason: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    diesel::insert_into(contact_persons::table).values(&row).execute(&mut tx.db)?;
    let event = NewEvent::new("contact_person.created", id, json!({ "home_branch_id": home_branch_id }));
    tx.emit(actor, of_person(event, &row));
    if let Some(new) = new.employment {
        employment::record(tx, actor, &row, new).map_err(|error| error.within("/employment"))?;
    }
    disclosed(tx, actor, row)
}

/// Changes a contact person that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`];
/// [`Error::Conflict`] `already_ended` or `contact_person_exists`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: ContactPersonId,
    version: i64,
    mut patch: ContactPersonPatch,
) -> Result<ContactPerson> {
    let reach = scope::allow_inside(actor, Action::CustomerWrite)?;
    let before = sight::lock(tx, actor, Action::CustomerWrite, id)?;
    if before.version != version {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    check_ties(tx, &reach, id, patch.home_branch_id.flatten(), patch.person_customer_id.flatten())?;
    let mut faults = Vec::new();
    patch.phone = patch.phone.map(|phone| phone_of(phone, &mut faults));
    patch.email = patch.email.map(|email| email_of(email, &mut faults));
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    diesel::update(contact_persons::table.find(id))
        .set((patch, contact_persons::updated_at.eq(tx.now), contact_persons::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let row: ContactPerson = contact_persons::table.find(id).select(ContactPerson::as_select()).first(&mut tx.db)?;
    let event = NewEvent::new("contact_person.updated", id, json!({}));
    tx.emit(actor, of_person(event, &row));
    disclosed(tx, actor, row)
}

/// The event also belongs to the customer that is the same person.
pub(super) fn of_person(event: NewEvent, row: &ContactPerson) -> NewEvent {
    match row.person_customer_id {
        Some(customer) => event.of_customer(customer),
        None => event,
    }
}

/// Refuses a branch or a person out of reach, companies, and persons that have a record already.
fn check_ties(
    tx: &mut Tx<'_>,
    reach: &Reach,
    id: ContactPersonId,
    branch: Option<AnyId>,
    person: Option<CustomerId>,
) -> Result<()> {
    if let Some(branch) = branch {
        create::check_home(tx, reach, branch)?;
    }
    let Some(person) = person else { return Ok(()) };
    const POINTER: &str = "/person_customer_id";
    // The customer's lock keeps two writers from recording the same person twice.
    scope::hold(tx, person)?;
    let unknown = |_| Error::invalid(POINTER, "unknown_customer", "There is no such customer within your reach.");
    let customer = scope::within(tx, reach, person).map_err(unknown)?;
    if customer.kind != CustomerKind::Personal {
        return Err(Error::invalid(POINTER, "other_kind", "Only a personal customer is a person."));
    }
    let others = contact_persons::table.filter(contact_persons::person_customer_id.eq(person)).filter(contact_persons::id.ne(id));
    let others: i64 = others.filter(contact_persons::ended_on.is_null()).count().get_result(&mut tx.db)?;
    if others > 0 {
        return Err(Error::conflict("contact_person_exists", "This customer is another contact person already."));
    }
    Ok(())
}

fn phone_of(phone: Option<String>, faults: &mut Vec<FieldError>) -> Option<String> {
    comparable(phone, "phone", |phone| phone::e164(phone, None), faults)
}

fn email_of(email: Option<String>, faults: &mut Vec<FieldError>) -> Option<String> {
    comparable(email, "email", rules::email, faults)
}

/// The one spelling of a number or an address.
fn comparable(
    text: Option<String>,
    field: &str,
    spell: impl Fn(&str) -> Result<String, &'static str>,
    faults: &mut Vec<FieldError>,
) -> Option<String> {
    match spell(&text?) {
        Ok(spelled) => Some(spelled),
        Err(message) => {
            faults.push(FieldError::new(format!("/{field}"), field, message));
            None
        }
    }
}
