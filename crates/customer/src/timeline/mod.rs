//! All that happened to a customer, newest first, made of the events of its records and of its accounts.

pub mod catalogue;
mod names;

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Instant, Page, PageParams, Result,
    access::ActorKind,
    json::Json,
    page::COUNTED,
    schema::events,
    store::{MultiBackend, heads, listed, up_to},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{CustomerId, scope, view::Sections};
use catalogue::{TOLD, Telling, TimelineKind, telling};

/// How many owners of events one statement asks.
const ARMS: usize = 100;

/// Something that happened to a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineEntry {
    /// Identifier of the entry: that of its event.
    pub id: AnyId,
    /// What it has to do with.
    pub kind: TimelineKind,
    /// What happened: the type of the event in the change feed.
    #[schema(example = "contact_point.created", max_length = 64)]
    pub event: String,
    /// What happened, in words.
    #[schema(example = "Contact point recorded", max_length = 100)]
    pub title: String,
    /// When.
    pub occurred_at: Instant,
    /// Who did it; null for customers, unless they did it themselves.
    #[schema(example = "E1042", max_length = 128)]
    pub actor: Option<String>,
    /// The record that it happened to: this one, or one that was merged into it. Of account events, this one.
    pub customer_id: CustomerId,
    /// What it happened to.
    pub subject: TimelineSubject,
    /// Facts of the event.
    #[schema(max_items = 10)]
    pub details: Vec<TimelineFact>,
}

/// What something happened to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineSubject {
    /// Its kind of record.
    #[serde(rename = "type")]
    #[schema(example = "contact_point", max_length = 64)]
    pub record_type: String,
    /// Its id.
    pub id: AnyId,
}

/// One fact of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineFact {
    /// What it is.
    #[schema(example = "kind", max_length = 64)]
    pub name: String,
    /// The value as text; several are separated by commas.
    #[schema(example = "phone", max_length = 500)]
    pub value: String,
    /// Name of the record whose id the value is; null for other values, and for records out of the caller's sight.
    #[schema(max_length = 300)]
    pub label: Option<String>,
}

/// Filters of a timeline.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TimelineFilter {
    /// Only entries of this kind.
    #[param(inline, example = "contact_point")]
    pub kind: Option<TimelineKind>,
    /// Only what happened at this instant and later.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub from: Option<Instant>,
    /// Only what happened before this instant.
    #[param(example = "2026-02-01T00:00:00Z")]
    pub to: Option<Instant>,
}

/// An account of a customer, and when it was: its events of that time belong to the customer's timeline. The spans of one
/// account do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSpan {
    /// The account.
    pub account_id: AnyId,
    /// Since when.
    pub from: Instant,
    /// Until when; `None` while it is.
    pub to: Option<Instant>,
}

/// Whose events are read.
#[derive(Clone, Copy, Debug)]
enum Source {
    Customer(CustomerId),
    Account(AccountSpan),
}

/// A range of an index: the events of one owner, or those of one owner that are of one type.
type Arm = (Source, Option<&'static Telling>);

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
struct Happening {
    id: AnyId,
    kind: String,
    subject_id: AnyId,
    customer_id: Option<CustomerId>,
    actor: String,
    occurred_at: Instant,
    data: Json<Value>,
}

/// A page of the timeline of a customer and of all records that were merged into it; its total is told up to [`COUNTED`].
/// `accounts` reads which accounts were
/// the customer's, and is asked only if the actor reads accounts.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request or a reversed range.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    accounts: impl FnOnce(&mut Conn) -> Result<Vec<AccountSpan>>,
    filter: &TimelineFilter,
    params: &PageParams,
) -> Result<Page<TimelineEntry>> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<AnyId>(&conn.keys, &format!("customers/{customer}/timeline?{filter:?}"))?;
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
        return Err(Error::invalid("?to", "before_start", "A range cannot end before it begins."));
    }
    let itself = actor.kind == ActorKind::Customer;
    let told = told_to(itself, filter.kind, &mut |action| scope::may(conn, actor, action, customer))?;
    let mut sources: Vec<Source> = scope::lineage(conn, customer)?.into_iter().map(Source::Customer).collect();
    if told.iter().any(|telling| telling.of_account) {
        sources.extend(accounts(conn)?.into_iter().map(Source::Account));
    }
    let reading = Reading { sources, told, filter };
    let total = if window.include_total { reading.count(conn)? } else { None };
    let rows = reading.newest(conn, window.after, window.fetch())?;
    let page = window.page(&conn.keys, rows, total, |row: &Happening| row.id)?;
    let names = names::of(conn, actor, itself, &page.items)?;
    Ok(page.map(|row| row.told(actor, itself, customer, &names)))
}

/// The latest entries of the customer's timeline, for its view; the caller has checked the right to see the customer, and
/// gives no accounts that must not be seen.
///
/// # Errors
/// The database's.
pub fn latest(
    conn: &mut Conn,
    actor: &Actor,
    lineage: &[CustomerId],
    accounts: Vec<AccountSpan>,
    sections: &Sections,
    limit: i64,
) -> Result<Vec<TimelineEntry>> {
    let Some(customer) = lineage.first().copied() else { return Ok(Vec::new()) };
    let told = told_to(sections.for_customer(actor), None, &mut |action| Ok(sections.may(action)))?;
    let own = lineage.iter().copied().map(Source::Customer);
    let sources = own.chain(accounts.into_iter().map(Source::Account)).collect();
    let rows = Reading { sources, told, filter: &TimelineFilter::default() }.newest(conn, None, limit)?;
    let itself = sections.for_customer(actor);
    let names = names::of(conn, actor, itself, &rows)?;
    Ok(rows.into_iter().map(|row| row.told(actor, itself, customer, &names)).collect())
}

/// What this actor is told, by kind and rights.
fn told_to(
    itself: bool,
    kind: Option<TimelineKind>,
    may: &mut dyn FnMut(Action) -> Result<bool>,
) -> Result<Vec<&'static Telling>> {
    let shown = |telling: &&Telling| kind.is_none_or(|kind| telling.kind == kind) && (telling.for_customer || !itself);
    let mut told: Vec<&'static Telling> = TOLD.iter().filter(shown).collect();
    let needed: BTreeSet<Action> = told.iter().map(|telling| telling.needs).collect();
    for action in needed {
        if !may(action)? {
            told.retain(|telling| telling.needs != action);
        }
    }
    Ok(told)
}

struct Reading<'a> {
    sources: Vec<Source>,
    told: Vec<&'static Telling>,
    filter: &'a TimelineFilter,
}

impl Reading<'_> {
    /// Each arm is a range of an index of its own; the page is the head of them all.
    fn newest(&self, conn: &mut Conn, before: Option<AnyId>, limit: i64) -> Result<Vec<Happening>> {
        let mut rows: Vec<Happening> = Vec::new();
        // A kind of which the actor is told nothing has no arms, and nothing is asked.
        for chunk in self.arms().chunks(ARMS) {
            let select = |arm: &Arm| {
                let query = self.events_of(*arm).order(events::id.desc()).limit(limit).select(Happening::as_select());
                match before {
                    Some(before) => query.filter(events::id.lt(before)),
                    None => query,
                }
            };
            rows.extend(heads(chunk.iter().map(select).collect(), "1 DESC", limit).load::<Happening>(&mut conn.db)?);
        }
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        rows.truncate(usize::try_from(limit).map_err(Error::internal)?);
        Ok(rows)
    }

    /// How many entries there are; nothing when there are more than are counted.
    fn count(&self, conn: &mut Conn) -> Result<Option<i64>> {
        let mut total = 0;
        // One arm an owner: whatever is asked for, its events are read once.
        let arms: Vec<Arm> = self.sources.iter().map(|source| (*source, None)).collect();
        for chunk in arms.chunks(ARMS) {
            let counted = chunk.iter().map(|arm| self.events_of(*arm).select(events::id)).collect();
            total += up_to(counted, COUNTED + 1 - total).get_result::<i64>(&mut conn.db)?;
            if total > COUNTED {
                return Ok(None);
            }
        }
        Ok(Some(total))
    }

    /// One arm an owner; when only one kind is wanted, one for each of its types, so that an index can skip the rest.
    fn arms(&self) -> Vec<Arm> {
        let of = |source: &Source| -> Vec<Arm> {
            match self.filter.kind {
                None => vec![(*source, None)],
                Some(_) => self.told_of(*source).map(|telling| (*source, Some(telling))).collect(),
            }
        };
        self.sources.iter().flat_map(of).collect()
    }

    /// What names a customer, too, stands in that customer's own timeline: a link is its holder's affair.
    fn told_of(&self, source: Source) -> impl Iterator<Item = &'static Telling> {
        let by_account = matches!(source, Source::Account(_));
        self.told.iter().copied().filter(move |telling| telling.of_account || !by_account)
    }

    fn events_of<'a>(&self, (source, telling): Arm) -> events::BoxedQuery<'a, MultiBackend> {
        let (mut query, span_end) = match source {
            Source::Customer(id) => (events::table.filter(events::customer_id.eq(id)).into_boxed(), None),
            Source::Account(span) => {
                let of = events::table.filter(events::account_id.eq(span.account_id));
                (of.filter(events::occurred_at.ge(span.from)).into_boxed(), span.to)
            }
        };
        query = match telling {
            Some(telling) => query.filter(events::kind.eq(telling.event)),
            None => query.filter(listed(events::kind, self.told_of(source).map(|telling| telling.event).collect())),
        };
        if let Some(from) = self.filter.from {
            query = query.filter(events::occurred_at.ge(from));
        }
        if let Some(to) = [self.filter.to, span_end].into_iter().flatten().min() {
            query = query.filter(events::occurred_at.lt(to));
        }
        query
    }
}

impl Happening {
    /// The entry as this actor is shown it.
    fn told(self, actor: &Actor, itself: bool, customer: CustomerId, names: &names::Names) -> TimelineEntry {
        let telling = telling(&self.kind);
        let facts = telling.map_or(&[][..], |telling| telling.facts);
        let fact = |name: &&str| {
            let value = text(self.data.0.get(*name)?)?;
            let label = names.label(name, &value);
            Some(TimelineFact { name: (*name).to_owned(), value, label })
        };
        TimelineEntry {
            id: self.id,
            kind: telling.map_or(TimelineKind::Profile, |telling| telling.kind),
            title: telling.map_or("", |telling| telling.title).to_owned(),
            occurred_at: self.occurred_at,
            actor: Some(self.actor).filter(|who| !itself || *who == actor.subject),
            customer_id: self.customer_id.unwrap_or(customer),
            subject: TimelineSubject {
                record_type: self.kind.split('.').next().unwrap_or_default().to_owned(),
                id: self.subject_id,
            },
            details: facts.iter().filter_map(fact).collect(),
            event: self.kind,
        }
    }
}

/// A fact as text; nothing for what is absent or has parts of its own.
fn text(value: &Value) -> Option<String> {
    let whole = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().filter_map(text).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Object(_) => return None,
    };
    Some(whole.chars().take(500).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_are_short_texts() {
        assert_eq!(text(&json!("phone")).as_deref(), Some("phone"));
        assert_eq!(text(&json!(["a", "b", { "c": 1 }])).as_deref(), Some("a, b"));
        assert_eq!(text(&json!(true)).as_deref(), Some("true"));
        assert_eq!((text(&Value::Null), text(&json!({ "number": "3101" }))), (None, None));
        assert_eq!(text(&json!("x".repeat(900))).map(|text| text.len()), Some(500));
    }

    #[test]
    fn each_event_is_told_once_or_not_at_all() {
        let mut events: Vec<&str> = TOLD.iter().map(|telling| telling.event).chain(catalogue::UNTOLD.iter().copied()).collect();
        events.sort_unstable();
        let all = events.len();
        events.dedup();
        assert_eq!(events.len(), all);
        for telling in TOLD {
            assert!(telling.facts.len() <= 10 && telling.title.len() <= 100, "{}", telling.event);
        }
    }
}
