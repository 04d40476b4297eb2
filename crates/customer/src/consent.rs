//! What a customer has consented to: dated events that are only ever added, and the state that follows from them.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx, access::ActorKind, event::NewEvent, page::counted,
    schema::consents, store::MultiBackend, text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{CustomerId, scope};

/// How many consent events a customer has at most.
const MOST: i64 = 2_000;
/// How many there may be for the customer itself to add another one: the bank has room for its own.
const MOST_BY_ITSELF: i64 = 1_000;

/// Identifier of a consent event.
pub type ConsentId = Id<Consent>;

text_enum! {
    /// For what a customer's data is used.
    pub enum ConsentPurpose {
        /// Messages about the customer's own products and requests.
        Service = "service",
        /// Offers and campaigns.
        Marketing = "marketing",
        /// Conclusions about the customer's behaviour and interests.
        Profiling = "profiling",
        /// Decisions that a program takes without a person.
        AutomatedDecision = "automated_decision",
        /// Use of sensitive personal data.
        SensitiveData = "sensitive_data",
        /// Passing data on to others.
        DataSharing = "data_sharing",
        /// Inquiries at and reports to a credit bureau.
        CreditBureau = "credit_bureau",
        /// Transfer of data abroad.
        CrossBorderTransfer = "cross_border_transfer",
        /// Surveys and research.
        Research = "research",
    }
}

text_enum! {
    /// The way on which a customer is reached, or its data goes.
    pub enum ConsentChannel {
        /// All ways for which nothing else was said.
        Any = "any",
        /// By phone.
        Phone = "phone",
        /// By text message.
        Sms = "sms",
        /// By e-mail.
        Email = "email",
        /// By WeChat.
        Wechat = "wechat",
        /// By letter.
        Post = "post",
        /// In the bank's app.
        App = "app",
        /// At the branch.
        Branch = "branch",
    }
}

text_enum! {
    /// What a customer said.
    pub enum ConsentState {
        /// Consents.
        Granted = "granted",
        /// Was asked and does not consent.
        Refused = "refused",
        /// Takes back what was granted.
        Withdrawn = "withdrawn",
    }
}

text_enum! {
    /// On which way the bank learnt it.
    pub enum ConsentSource {
        /// The customer itself, in mobile or online banking.
        SelfService = "self_service",
        /// A person of the bank took it down.
        Staff = "staff",
        /// A signed form.
        PaperForm = "paper_form",
        /// A system of the bank handed it in.
        SourceSystem = "source_system",
    }
}

/// One thing that a customer said about the use of its data.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = consents)]
pub struct Consent {
    /// Identifier of the event.
    pub id: ConsentId,
    /// The customer.
    pub customer_id: CustomerId,
    /// For what the data is used.
    pub purpose: ConsentPurpose,
    /// On which way.
    pub channel: ConsentChannel,
    /// What the customer said.
    pub state: ConsentState,
    /// When the customer said so.
    #[diesel(column_name = given_at)]
    pub at: Instant,
    /// What proves it: a form's number, a recording.
    #[schema(example = "form 2026-0042", max_length = 500)]
    pub evidence: Option<String>,
    /// On which way the bank learnt it.
    pub source: ConsentSource,
    /// Who recorded it; null for customers unless they did themselves.
    #[schema(max_length = 128)]
    #[diesel(deserialize_as = String)]
    pub recorded_by: Option<String>,
    /// When it was recorded.
    pub created_at: Instant,
}

/// Something that a customer says about the use of its data.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// For what the data is used.
    pub purpose: ConsentPurpose,
    /// On which way; `any` unless given.
    pub channel: Option<ConsentChannel>,
    /// What the customer says.
    pub state: ConsentState,
    /// When the customer said so; now unless given, and not in the future.
    pub at: Option<Instant>,
    /// What proves it: a form's number, a recording.
    #[schema(example = "form 2026-0042", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub evidence: Option<String>,
    /// On which way the bank learnt it; `self_service` for customers, who can say nothing else, and `staff` for others unless
    /// given.
    pub source: Option<ConsentSource>,
}

/// Filters of the consent events of a customer.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsentFilter {
    /// Only this purpose.
    #[param(inline, example = "marketing")]
    pub purpose: Option<ConsentPurpose>,
    /// Only this channel.
    #[param(inline, example = "sms")]
    pub channel: Option<ConsentChannel>,
}

/// What holds now for a purpose on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CurrentConsent {
    /// For what the data is used.
    pub purpose: ConsentPurpose,
    /// On which way.
    pub channel: ConsentChannel,
    /// What holds.
    pub state: ConsentState,
    /// Since when.
    pub since: Instant,
    /// The event that decides.
    pub consent_id: ConsentId,
    /// Whether what was said about any channel decides, not about this one.
    pub inherited: bool,
}

/// What a customer has consented to, as it holds now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CurrentConsents {
    /// The customer.
    pub customer_id: CustomerId,
    /// Every purpose and channel about which something was said, in the order of purposes and channels. What is not here
    /// was not consented to.
    #[schema(max_items = 72)]
    pub items: Vec<CurrentConsent>,
}

/// The consent events of a customer, in the order in which they were recorded.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &ConsentFilter,
    params: &PageParams,
) -> Result<Page<Consent>> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<ConsentId>(&conn.keys, &format!("consents/{customer}?{filter:?}"))?;
    let total = if window.include_total { Some(matching(customer, filter).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(customer, filter).order(consents::id).limit(window.fetch()).select(Consent::as_select());
    if let Some(after) = window.after {
        query = query.filter(consents::id.gt(after));
    }
    let rows: Vec<Consent> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Consent| row.id)?;
    Ok(page.map(|consent| consent.shown_to(actor)))
}

/// One consent event of a customer.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: ConsentId) -> Result<Consent> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let row = consents::table.filter(consents::customer_id.eq(customer)).filter(consents::id.eq(id));
    let row: Consent = row.select(Consent::as_select()).first(&mut conn.db)?;
    Ok(row.shown_to(actor))
}

fn matching<'a>(customer: CustomerId, filter: &ConsentFilter) -> consents::BoxedQuery<'a, MultiBackend> {
    let mut query = consents::table.filter(consents::customer_id.eq(customer)).into_boxed();
    if let Some(purpose) = filter.purpose {
        query = query.filter(consents::purpose.eq(purpose));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(consents::channel.eq(channel));
    }
    query
}

/// What holds now, by purpose and channel.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight.
pub fn current(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CurrentConsents> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let events = events(conn, customer)?;
    Ok(CurrentConsents { customer_id: customer, items: derived(&events) })
}

/// What a view shows: what holds now, with its count. The caller has checked that the actor may read the customer.
pub(crate) fn shown_in_view(conn: &mut Conn, customer: CustomerId, limit: i64) -> Result<(Vec<CurrentConsent>, i64)> {
    let items = derived(&events(conn, customer)?);
    let count = i64::try_from(items.len()).map_err(Error::internal)?;
    counted(items, limit, || Ok(count))
}

/// Whether a customer allows this use of its data on this channel now. Silence is no consent. For other crates, which have
/// checked their own rights.
///
/// # Errors
/// The database's.
pub fn allows(conn: &mut Conn, customer: CustomerId, purpose: ConsentPurpose, channel: ConsentChannel) -> Result<bool> {
    let events = events(conn, customer)?;
    Ok(decide(&events, purpose, channel).is_some_and(|consent| consent.state == ConsentState::Granted))
}

/// Records what a customer says. Customers say it of themselves.
///
/// # Errors
/// [`Error::Forbidden`] without `consent.write`; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `consents_full`
/// for more words than a customer is heard with.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewConsent) -> Result<Consent> {
    scope::lock(tx, actor, Action::ConsentWrite, customer)?;
    let itself = actor.kind == ActorKind::Customer;
    let source = new.source.unwrap_or(if itself { ConsentSource::SelfService } else { ConsentSource::Staff });
    if itself && source != ConsentSource::SelfService {
        return Err(Error::invalid("/source", "not_yours", "A customer speaks by self_service."));
    }
    if actor.kind == ActorKind::Staff && source == ConsentSource::SelfService {
        return Err(Error::invalid("/source", "not_yours", "Only customers, and programs that they use, speak by self_service."));
    }
    let channel = new.channel.unwrap_or(ConsentChannel::Any);
    check_room(tx, customer, itself, new.purpose, channel, new.state)?;
    let at = new.at.unwrap_or(tx.now);
    if at > tx.now {
        return Err(Error::invalid("/at", "in_future", "A consent is given before it is recorded."));
    }
    let consent = Consent {
        id: ConsentId::new(),
        customer_id: customer,
        purpose: new.purpose,
        channel,
        state: new.state,
        at,
        evidence: new.evidence,
        source,
        recorded_by: Some(actor.subject.clone()),
        created_at: tx.now,
    };
    let row = (
        consents::id.eq(consent.id),
        consents::customer_id.eq(customer),
        consents::purpose.eq(consent.purpose),
        consents::channel.eq(consent.channel),
        consents::state.eq(consent.state),
        consents::given_at.eq(consent.at),
        consents::evidence.eq(&consent.evidence),
        consents::source.eq(consent.source),
        consents::recorded_by.eq(&actor.subject),
        consents::created_at.eq(consent.created_at),
    );
    diesel::insert_into(consents::table).values(row).execute(&mut tx.db)?;
    let kind = match consent.state {
        ConsentState::Granted => "consent.granted",
        ConsentState::Refused => "consent.refused",
        ConsentState::Withdrawn => "consent.withdrawn",
    };
    let data = json!({ "purpose": consent.purpose, "channel": consent.channel, "at": at, "source": source });
    tx.emit(actor, NewEvent::new(kind, consent.id, data).of_customer(customer));
    Ok(consent)
}

impl Consent {
    /// As the actor is shown it: customers are not told who in the bank recorded it.
    fn shown_to(mut self, actor: &Actor) -> Self {
        if actor.kind == ActorKind::Customer && self.recorded_by.as_deref() != Some(&actor.subject) {
            self.recorded_by = None;
        }
        self
    }
}

/// Refuses words beyond all measure, for each reading goes through all of them. What takes back a consent that holds is
/// always heard: there can be only as many of these as there are purposes and channels.
fn check_room(
    conn: &mut Conn,
    customer: CustomerId,
    itself: bool,
    purpose: ConsentPurpose,
    channel: ConsentChannel,
    state: ConsentState,
) -> Result<()> {
    let said: i64 = consents::table.filter(consents::customer_id.eq(customer)).count().get_result(&mut conn.db)?;
    if said < if itself { MOST_BY_ITSELF } else { MOST } {
        return Ok(());
    }
    let granted = |current: &CurrentConsent| {
        current.purpose == purpose
            && current.state == ConsentState::Granted
            && (channel == ConsentChannel::Any || current.channel == channel)
    };
    if state != ConsentState::Granted && derived(&events(conn, customer)?).iter().any(granted) {
        return Ok(());
    }
    Err(Error::conflict(
        "consents_full",
        "So many consents of the customer are on record that only what holds can be taken back.",
    ))
}

fn events(conn: &mut Conn, customer: CustomerId) -> Result<Vec<Consent>> {
    Ok(consents::table.filter(consents::customer_id.eq(customer)).select(Consent::as_select()).load(&mut conn.db)?)
}

/// What decides about a purpose on a channel. The latest word on the channel itself does; where there is none, the latest
/// on any channel. A refusal or withdrawal on any channel also ends what was granted on a single one before, but what is
/// granted on any channel never overrides what was refused on a single one. Of words of the same moment, the one that was
/// recorded last counts.
fn decide(events: &[Consent], purpose: ConsentPurpose, channel: ConsentChannel) -> Option<&Consent> {
    let latest = |channel: ConsentChannel| {
        let of = events.iter().filter(|event| event.purpose == purpose && event.channel == channel);
        of.max_by_key(|event| (event.at, event.id))
    };
    decisive(latest(channel), latest(ConsentChannel::Any))
}

/// Of the latest word on a channel itself and the latest on any channel, the one that decides.
fn decisive<'a>(own: Option<&'a Consent>, general: Option<&'a Consent>) -> Option<&'a Consent> {
    match (own, general) {
        (Some(own), Some(general)) => {
            let ended = general.state != ConsentState::Granted && (general.at, general.id) > (own.at, own.id);
            Some(if ended { general } else { own })
        }
        (own, general) => own.or(general),
    }
}

/// The state of every purpose and channel about which something was said.
fn derived(events: &[Consent]) -> Vec<CurrentConsent> {
    let mut latest: BTreeMap<(ConsentPurpose, ConsentChannel), &Consent> = BTreeMap::new();
    for event in events {
        let known = latest.entry((event.purpose, event.channel)).or_insert(event);
        if (known.at, known.id) < (event.at, event.id) {
            *known = event;
        }
    }
    let mut found = BTreeMap::new();
    for purpose in ConsentPurpose::ALL {
        let general = latest.get(&(*purpose, ConsentChannel::Any)).copied();
        for channel in ConsentChannel::ALL {
            if let Some(decisive) = decisive(latest.get(&(*purpose, *channel)).copied(), general) {
                found.insert((*purpose, *channel), decisive);
            }
        }
    }
    let current = |((purpose, channel), decisive): ((ConsentPurpose, ConsentChannel), &Consent)| CurrentConsent {
        purpose,
        channel,
        state: decisive.state,
        since: decisive.at,
        consent_id: decisive.id,
        inherited: decisive.channel != channel,
    };
    found.into_iter().map(current).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentChannel::{Any, Email, Sms};
    use ConsentState::{Granted, Refused, Withdrawn};

    fn said(channel: ConsentChannel, state: ConsentState, at: i64) -> Consent {
        let at = Instant::from_seconds(at);
        Consent {
            id: ConsentId::new(),
            customer_id: CustomerId::new(),
            purpose: ConsentPurpose::Marketing,
            channel,
            state,
            at,
            evidence: None,
            source: ConsentSource::Staff,
            recorded_by: None,
            created_at: at,
        }
    }

    fn state(events: &[Consent], channel: ConsentChannel) -> Option<ConsentState> {
        decide(events, ConsentPurpose::Marketing, channel).map(|event| event.state)
    }

    #[test]
    fn the_latest_word_counts() {
        let events = [said(Any, Granted, 10), said(Sms, Refused, 20)];
        assert_eq!((state(&events, Email), state(&events, Sms)), (Some(Granted), Some(Refused)));
        let reversed = [said(Sms, Granted, 10), said(Any, Withdrawn, 20), said(Sms, Granted, 30)];
        assert_eq!(
            (state(&reversed[..2], Sms), state(&reversed, Sms), state(&reversed, Email)),
            (Some(Withdrawn), Some(Granted), Some(Withdrawn))
        );
        // Of the same moment, the one recorded last.
        assert_eq!(state(&[said(Sms, Granted, 5), said(Sms, Withdrawn, 5)], Sms), Some(Withdrawn));
        assert_eq!(decide(&events, ConsentPurpose::Profiling, Sms).map(|event| event.state), None);
        assert_eq!(derived(&events).len(), ConsentChannel::ALL.len());
        assert_eq!(derived(&[said(Sms, Granted, 1)]).len(), 1);
    }

    fn any_event() -> impl Strategy<Value = Consent> {
        let channel = prop::sample::select(ConsentChannel::ALL);
        let state = prop::sample::select(ConsentState::ALL);
        (channel, state, 0_i64..20).prop_map(|(channel, state, at)| said(channel, state, at))
    }

    proptest! {
        /// The order in which events are read does not matter.
        #[test]
        fn the_order_of_reading_does_not_matter(events in prop::collection::vec(any_event(), 0..12)) {
            let mut reversed = events.clone();
            reversed.reverse();
            prop_assert_eq!(derived(&events), derived(&reversed));
        }

        /// After "nothing, on no channel", nothing is allowed, whatever was said before.
        #[test]
        fn a_general_withdrawal_ends_everything(mut events in prop::collection::vec(any_event(), 0..12)) {
            events.push(said(Any, Withdrawn, 20));
            for channel in ConsentChannel::ALL {
                prop_assert_ne!(state(&events, *channel), Some(Granted));
            }
        }

        /// A general grant opens no channel that was closed by itself.
        #[test]
        fn a_general_grant_opens_no_closed_channel(events in prop::collection::vec(any_event(), 0..12)) {
            let mut after = events.clone();
            after.push(said(Any, Granted, 20));
            for channel in ConsentChannel::ALL.iter().filter(|channel| **channel != Any) {
                let own = events.iter().filter(|event| event.channel == *channel).max_by_key(|event| (event.at, event.id));
                let expected = own.map_or(Granted, |own| own.state);
                prop_assert_eq!(state(&after, *channel), Some(expected));
            }
        }

        /// What was said about one channel changes no other.
        #[test]
        fn channels_are_independent(events in prop::collection::vec(any_event(), 0..12), word in any_event()) {
            prop_assume!(word.channel != Any);
            let mut after = events.clone();
            let channel = word.channel;
            after.push(word);
            for other in ConsentChannel::ALL.iter().filter(|other| **other != channel) {
                prop_assert_eq!(state(&after, *other), state(&events, *other));
            }
        }
    }
}
