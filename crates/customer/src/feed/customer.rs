//! The feed of customers.

use std::collections::{HashMap, HashSet};

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Currency, Date, Error, FieldError, Instant, Money, Result, Tx, bulk_copy, check,
    feed::{Outcome, Source},
    json::Json,
    schema::{branches, customers, identities, source_records},
    store::distributed,
};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::known;
use crate::{
    CustomerId, CustomerKind, CustomerStatus, LifeCycleStage,
    contact_point::NewContactPoint,
    create::{self, Draft, NewCustomer},
    customer::{PreferredChannel, PreferredLanguage},
    identity::{IdentityType, NUMBER, NewIdentity, VerificationState},
    matching::bank::{Fresh, facts},
    profile::{
        Education, Gender, Manager, MaritalStatus, NewOrganisationProfile, NewPersonalProfile, RiskTolerance, Shareholder,
    },
    rules::identity_number,
    source_record::{MatchMethod, SourceRecord, SourceRecordId},
    update,
};

/// A customer as a source tells of it. Fields of the other kind's profile are refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomerRecord {
    /// The customer's id in the source; 1 to 128 characters.
    pub source_id: String,
    /// What kind of customer it is; personal unless given.
    pub kind: Option<CustomerKind>,
    /// Name under which it is shown; the full or legal name unless given.
    pub display_name: Option<String>,
    /// Where the relationship stands; active unless given. Only for new customers.
    pub status: Option<CustomerStatus>,
    /// How close it has come to the bank; customer unless given. Only for new customers.
    pub life_cycle_stage: Option<LifeCycleStage>,
    /// Service tier.
    pub tier: Option<String>,
    /// Code of the branch that keeps the customer.
    pub branch_code: Option<String>,
    /// Language in which it wants to be addressed.
    pub preferred_language: Option<PreferredLanguage>,
    /// Way on which it wants to be reached.
    pub preferred_channel: Option<PreferredChannel>,
    /// When the record is due to be checked.
    pub review_due_on: Option<Date>,
    /// When the source observed this; now unless given.
    pub observed_at: Option<Instant>,
    /// How sure the source is; the whole unless given.
    pub confidence_bp: Option<BasisPoints>,

    /// Name of a person. A source without names leaves it out; source and id stand in for it.
    pub full_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Nationality, ISO 3166-1 alpha-2.
    pub nationality: Option<String>,
    /// Marital status.
    pub marital_status: Option<MaritalStatus>,
    /// How many people depend on this one.
    pub dependants: Option<i32>,
    /// Highest education.
    pub education: Option<Education>,
    /// Occupation.
    pub occupation: Option<String>,
    /// Name of the employer.
    pub employer: Option<String>,
    /// Income band.
    pub income_band: Option<String>,
    /// Band of assets.
    pub assets_band: Option<String>,
    /// Region of residence.
    pub residence_region: Option<String>,
    /// Hobbies.
    pub hobbies: Option<String>,
    /// Habits.
    pub habits: Option<String>,
    /// What the person needs from a bank.
    pub financial_need: Option<String>,
    /// How the person likes to invest.
    pub investment_preference: Option<String>,
    /// How much risk the person bears.
    pub risk_tolerance: Option<RiskTolerance>,
    /// Financial situation.
    pub financial_situation: Option<String>,

    /// Name of an organisation in the register.
    pub legal_name: Option<String>,
    /// Short name.
    pub short_name: Option<String>,
    /// Nature of ownership.
    pub nature: Option<String>,
    /// Legal form.
    pub legal_form: Option<String>,
    /// Unified social credit code.
    pub unified_social_credit_code: Option<String>,
    /// Legal entity identifier.
    pub lei: Option<String>,
    /// Industry.
    pub industry: Option<String>,
    /// When it was founded.
    pub founded_on: Option<Date>,
    /// Registered capital, a decimal amount.
    pub registered_capital: Option<String>,
    /// Currency of the capital; CNY unless given.
    pub registered_capital_currency: Option<Currency>,
    /// How many people it employs.
    pub employees: Option<i32>,
    /// Band of revenue.
    pub revenue_band: Option<String>,
    /// Operating status as registered.
    pub operating_status: Option<String>,
    /// Main shareholders.
    pub main_shareholders: Option<Vec<Shareholder>>,
    /// Who manages it.
    pub management: Option<Vec<Manager>>,
    /// Code under which it is listed.
    pub listed_code: Option<String>,

    /// Identity documents; those not known yet are added.
    pub identities: Vec<NewIdentity>,
    /// Contact points; those not known yet are added.
    pub contact_points: Vec<NewContactPoint>,
}

impl CustomerRecord {
    fn kind(&self) -> CustomerKind {
        self.kind.unwrap_or(CustomerKind::Personal)
    }

    /// The record as what the API would take.
    fn to_new(&self, source: &Source, home_branch_id: Option<AnyId>) -> Result<NewCustomer, FieldError> {
        let personal = self.kind() == CustomerKind::Personal;
        let nameless = facts::stand_in(&source.code, &self.source_id);
        let stray = if personal { self.legal_name.is_some() } else { self.full_name.is_some() };
        if stray {
            let pointer = if personal { "/legal_name" } else { "/full_name" };
            return Err(FieldError::new(pointer, "other_kind", format!("A {} customer has no such name.", self.kind())));
        }
        Ok(NewCustomer {
            kind: self.kind(),
            display_name: self.display_name.clone(),
            status: self.status.or(Some(CustomerStatus::Active)),
            life_cycle_stage: self.life_cycle_stage.or(Some(LifeCycleStage::Customer)),
            tier: self.tier.clone(),
            home_branch_id,
            preferred_language: self.preferred_language,
            preferred_channel: self.preferred_channel,
            review_due_on: self.review_due_on,
            personal: if personal { Some(self.personal(&nameless)) } else { None },
            organisation: if personal { None } else { Some(self.organisation(nameless)?) },
            identities: self.identities.clone(),
            contact_points: self.contact_points.clone(),
            allow_duplicate: None,
        })
    }

    /// Whether the source has no name, so that its code and the record's id stand in.
    fn is_nameless(&self) -> bool {
        let personal = self.kind() == CustomerKind::Personal;
        let whole = if personal { &self.full_name } else { &self.legal_name };
        whole.is_none() && !(personal && self.family_name.is_some() && self.given_name.is_some())
    }

    fn personal(&self, nameless: &str) -> NewPersonalProfile {
        // Chinese names are one word; names of other scripts put the given name first.
        let parts = self.family_name.as_deref().zip(self.given_name.as_deref());
        let joined =
            parts.map(|(family, given)| if given.is_ascii() { format!("{given} {family}") } else { format!("{family}{given}") });
        NewPersonalProfile {
            full_name: self.full_name.clone().or(joined).unwrap_or_else(|| nameless.to_owned()),
            family_name: self.family_name.clone(),
            given_name: self.given_name.clone(),
            gender: self.gender,
            birth_date: self.birth_date,
            nationality: self.nationality.clone(),
            marital_status: self.marital_status,
            dependants: self.dependants,
            education: self.education,
            occupation: self.occupation.clone(),
            employer: self.employer.clone(),
            income_band: self.income_band.clone(),
            assets_band: self.assets_band.clone(),
            residence_region: self.residence_region.clone(),
            hobbies: self.hobbies.clone(),
            habits: self.habits.clone(),
            financial_need: self.financial_need.clone(),
            investment_preference: self.investment_preference.clone(),
            risk_tolerance: self.risk_tolerance,
            financial_situation: self.financial_situation.clone(),
        }
    }

    fn organisation(&self, nameless: String) -> Result<NewOrganisationProfile, FieldError> {
        let capital = match &self.registered_capital {
            None => None,
            Some(amount) => {
                let currency = self.registered_capital_currency.unwrap_or(Currency::CNY);
                let wrong = |message| FieldError::new("/registered_capital", "amount", message);
                Some(Money::parse(amount, currency).map_err(wrong)?)
            }
        };
        Ok(NewOrganisationProfile {
            legal_name: self.legal_name.clone().unwrap_or(nameless),
            short_name: self.short_name.clone(),
            nature: self.nature.clone(),
            legal_form: self.legal_form.clone(),
            unified_social_credit_code: self.unified_social_credit_code.clone(),
            lei: self.lei.clone(),
            industry: self.industry.clone(),
            founded_on: self.founded_on,
            registered_capital: capital,
            employees: self.employees,
            revenue_band: self.revenue_band.clone(),
            operating_status: self.operating_status.clone(),
            main_shareholders: self.main_shareholders.clone().unwrap_or_default(),
            management: self.management.clone().unwrap_or_default(),
            listed_code: self.listed_code.clone(),
        })
    }

    /// The record as kept: identity numbers masked, what the source left out left out.
    fn payload(&self) -> Result<serde_json::Value> {
        let mut masked = self.clone();
        for identity in &mut masked.identities {
            identity.number = identity_number::mask(&identity.number);
        }
        let mut payload = serde_json::to_value(&masked).map_err(Error::internal)?;
        if let Some(fields) = payload.as_object_mut() {
            fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
        }
        Ok(payload)
    }
}

/// Takes a batch of customers. A record finds its customer by the id of the source, then by the same
/// verified identity number; otherwise it makes one. One that looks like a customer that is there enters the work
/// queue with it, for a feed has nobody to ask.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere; [`Error::Busy`] when another writer brought the same records.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[CustomerRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let mut outcomes: Vec<Option<Outcome>> = records.iter().map(|_| None).collect();
    let mut waiting: Vec<usize> = (0..records.len()).collect();
    // A record about the same customer as one before it in the batch comes in the next round.
    while !waiting.is_empty() {
        let round: Vec<(usize, &CustomerRecord)> =
            waiting.iter().filter_map(|place| Some((*place, records.get(*place)?))).collect();
        waiting = apply_round(tx, actor, source, &round, &mut outcomes)?;
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Outcome::rejected("", "lost", "Not looked at."))).collect())
}

/// What the database knows of the records of one round.
pub(super) struct Known {
    pub(super) by_source: HashMap<String, (SourceRecordId, CustomerId, Vec<u8>)>,
    pub(super) by_number: HashMap<(IdentityType, Vec<u8>), CustomerId>,
    branches: HashMap<String, AnyId>,
    /// Those of the customers that were erased.
    erased: HashSet<CustomerId>,
    /// Customers that records name as owners of organisations.
    owners: HashSet<CustomerId>,
}

fn apply_round(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    round: &[(usize, &CustomerRecord)],
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<usize>> {
    distributed::hold_keys(tx, "customer", &source.code, round.iter().map(|(_, record)| record.source_id.as_bytes()))?;
    let known = Known::load(tx, source, round)?;
    let mut seen_ids = HashSet::new();
    let mut seen_numbers = HashSet::new();
    let mut later = Vec::new();
    let mut drafts = Vec::new();
    let mut notes = Vec::new();
    for (place, record) in round {
        let numbers = verified_numbers(tx, record);
        if !seen_ids.insert(record.source_id.as_str()) || numbers.iter().any(|number| seen_numbers.contains(number)) {
            later.push(*place);
            continue;
        }
        seen_numbers.extend(numbers.iter().cloned());
        let Some(slot) = outcomes.get_mut(*place) else { continue };
        let content = serde_json::to_string(record).map_err(Error::internal)?;
        let hash = tx.keys.blind_index("source_records.content", &content);
        let found = known.by_source.get(&record.source_id);
        if found.is_some_and(|(_, customer, _)| known.erased.contains(customer)) {
            *slot = Some(known::erased("/source_id"));
            continue;
        }
        if let Some((_, customer, _)) = found.filter(|(_, _, last)| *last == hash) {
            *slot = Some(Outcome::Unchanged(customer.cast()));
            continue;
        }
        let new = match checked(record, source, &known) {
            Ok(new) => new,
            Err(outcome) => {
                *slot = Some(outcome);
                continue;
            }
        };
        let matched = found.map(|(_, customer, _)| *customer);
        let by_number = numbers.iter().find_map(|number| known.by_number.get(number)).copied();
        let recorded = Said { source, record, hash };
        *slot = Some(match matched.or(by_number) {
            None => match Draft::assemble(tx, new, &source.code) {
                Ok(mut draft) => {
                    draft.nameless = record.is_nameless();
                    let id = draft.row.id;
                    notes.push(recorded.first(tx.now, id, MatchMethod::Created, actor)?);
                    drafts.push(draft);
                    Outcome::Created(id.cast())
                }
                Err(Error::Invalid(faults)) => Outcome::Rejected(flat(faults)),
                Err(other) => return Err(other),
            },
            Some(customer) => match tx.savepoint(|tx| update::merge_record(tx, actor, source, customer, record, new)) {
                Ok(()) => {
                    match found {
                        Some((id, ..)) => recorded.again(tx, *id)?,
                        None => notes.push(recorded.first(tx.now, customer, MatchMethod::VerifiedIdentity, actor)?),
                    }
                    Outcome::Updated(customer.cast())
                }
                Err(Error::Invalid(faults)) => Outcome::Rejected(flat(faults)),
                Err(other) => return Err(other),
            },
        });
    }
    let fresh = Fresh::of(tx, &drafts)?;
    create::save(tx, actor, drafts).map_err(contended)?;
    bulk_copy!(tx, source_records::table, notes).map_err(contended)?;
    fresh.queue(tx, actor).map_err(contended)?;
    Ok(later)
}

/// Two writers that bring the same new record: the later one tries again and finds it.
fn contended(error: Error) -> Error {
    match error {
        Error::Conflict { code: "duplicate", .. } => Error::Busy,
        other => other,
    }
}

/// Everything that can be said of a record before its customer is known.
fn checked(record: &CustomerRecord, source: &Source, known: &Known) -> Result<NewCustomer, Outcome> {
    if record.source_id.is_empty() || record.source_id.chars().count() > 128 {
        return Err(Outcome::rejected("/source_id", "length", "An id has 1 to 128 characters."));
    }
    let branch = match &record.branch_code {
        None => None,
        Some(code) => match known.branches.get(code) {
            Some(id) => Some(*id),
            None => return Err(Outcome::Parked { waiting_for: format!("branch:{}:{code}", source.code) }),
        },
    };
    for (place, owner) in record.main_shareholders.iter().flatten().enumerate() {
        if owner.customer_id.is_some_and(|id| !known.owners.contains(&id)) {
            let pointer = format!("/main_shareholders/{place}/customer_id");
            return Err(Outcome::rejected(&pointer, "unknown_customer", "There is no such customer."));
        }
    }
    let new = record.to_new(source, branch).map_err(|fault| Outcome::Rejected(vec![fault]))?;
    new.validate().map_err(|errors| Outcome::Rejected(flat(check::faults(&errors))))?;
    Ok(new)
}

/// Records are flat: their fields stand at the top, not within a profile.
fn flat(faults: Vec<FieldError>) -> Vec<FieldError> {
    let strip = |pointer: String| {
        let short = pointer.strip_prefix("/personal").or_else(|| pointer.strip_prefix("/organisation")).map(str::to_owned);
        short.filter(|short| !short.is_empty()).unwrap_or(pointer)
    };
    faults.into_iter().map(|fault| FieldError { pointer: strip(fault.pointer), ..fault }).collect()
}

/// Type and index of each identity that the source has verified.
pub(super) fn verified_numbers(conn: &Conn, record: &CustomerRecord) -> Vec<(IdentityType, Vec<u8>)> {
    let verified =
        |identity: &&NewIdentity| identity.verification.as_ref().is_some_and(|v| v.state == VerificationState::Verified);
    let checked = record.identities.iter().filter(verified).filter_map(|identity| {
        let checked = identity_number::check(identity.identity_type, &identity.number, conn.now.date()).ok()?;
        Some((identity.identity_type, conn.keys.blind_index(NUMBER, &checked.normalised)))
    });
    checked.collect()
}

impl Known {
    pub(super) fn load(conn: &mut Conn, source: &Source, round: &[(usize, &CustomerRecord)]) -> Result<Self> {
        let ids: Vec<&str> = round.iter().map(|(_, record)| record.source_id.as_str()).collect();
        let mut rows: Vec<(String, SourceRecordId, CustomerId, Vec<u8>)> = source_records::table
            .filter(source_records::source_system.eq(&source.code))
            .filter(source_records::source_id.eq_any(ids))
            .select((source_records::source_id, source_records::id, source_records::customer_id, source_records::content_hash))
            .load(&mut conn.db)?;
        let living = crate::scope::living(conn, rows.iter().map(|(_, _, customer, _)| *customer))?;
        for (_, _, customer, _) in &mut rows {
            *customer = living.get(customer).copied().unwrap_or(*customer);
        }
        let erased: Vec<CustomerId> = customers::table
            .filter(customers::id.eq_any(rows.iter().map(|(_, _, customer, _)| *customer)))
            .filter(customers::erased_at.is_not_null())
            .select(customers::id)
            .load(&mut conn.db)?;
        let named = round.iter().flat_map(|(_, record)| record.main_shareholders.iter().flatten());
        let named: Vec<CustomerId> = named.filter_map(|owner| owner.customer_id).collect();
        let owners: Vec<CustomerId> = if named.is_empty() {
            Vec::new()
        } else {
            let there = customers::table.filter(customers::id.eq_any(named)).filter(customers::erased_at.is_null());
            there.select(customers::id).load(&mut conn.db)?
        };
        let by_source = rows.into_iter().map(|(key, id, customer, hash)| (key, (id, customer, hash))).collect();
        let numbers: Vec<Vec<u8>> =
            round.iter().flat_map(|(_, record)| verified_numbers(conn, record)).map(|(_, index)| index).collect();
        let mut by_number = HashMap::new();
        if !numbers.is_empty() {
            let holders: Vec<(IdentityType, Vec<u8>, CustomerId)> = identities::table
                .inner_join(customers::table.on(customers::id.eq(identities::customer_id)))
                .filter(identities::number_index.eq_any(numbers))
                .filter(identities::verification.eq(VerificationState::Verified))
                .filter(identities::ended_at.is_null())
                .filter(customers::merged_into.is_null())
                .order(identities::id.desc())
                .select((identities::identity_type, identities::number_index, identities::customer_id))
                .load(&mut conn.db)?;
            // Newest first, so that the oldest holder stays.
            by_number = holders.into_iter().map(|(kind, index, customer)| ((kind, index), customer)).collect();
        }
        let codes: HashSet<&str> = round.iter().filter_map(|(_, record)| record.branch_code.as_deref()).collect();
        let mut homes = HashMap::new();
        if !codes.is_empty() {
            let codes: Vec<&str> = codes.into_iter().collect();
            let rows: Vec<(String, AnyId)> =
                branches::table.filter(branches::code.eq_any(codes)).select((branches::code, branches::id)).load(&mut conn.db)?;
            homes = rows.into_iter().collect();
        }
        Ok(Self {
            by_source,
            by_number,
            branches: homes,
            erased: erased.into_iter().collect(),
            owners: owners.into_iter().collect(),
        })
    }
}

/// What a source said, to be kept.
struct Said<'a> {
    source: &'a Source,
    record: &'a CustomerRecord,
    hash: Vec<u8>,
}

impl Said<'_> {
    fn first(self, now: Instant, customer_id: CustomerId, match_method: MatchMethod, actor: &Actor) -> Result<SourceRecord> {
        Ok(SourceRecord {
            id: SourceRecordId::new(),
            customer_id,
            source_system: self.source.code.clone(),
            source_id: self.record.source_id.clone(),
            payload: Json(self.record.payload()?),
            content_hash: self.hash,
            match_method,
            match_score_bp: BasisPoints::WHOLE,
            decided_by: actor.subject.clone(),
            received_at: now,
        })
    }

    fn again(self, tx: &mut Tx<'_>, id: SourceRecordId) -> Result<()> {
        diesel::update(source_records::table.find(id))
            .set((
                source_records::payload.eq(Json(self.record.payload()?)),
                source_records::content_hash.eq(self.hash),
                source_records::received_at.eq(tx.now),
            ))
            .execute(&mut tx.db)?;
        Ok(())
    }
}
