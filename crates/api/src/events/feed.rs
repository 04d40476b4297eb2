//! The change feed: events after a position, as far as the reader may be told.

use kehu_customer::scope;
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Result,
    event::{self, Event},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{CloudEvent, sight};

/// How many events one query reads.
const BATCH: i64 = 500;
/// How many events one request looks at, told or not: what is hidden must not make a request long.
const LOOKED_AT: usize = 2_000;
const DEFAULT_LIMIT: i64 = 50;
/// The most types that one request names.
const TYPES: usize = 50;
/// The word for the end of the feed.
const LATEST: &str = "latest";

/// What is read of the feed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Only events after this one: `next_cursor` of the answer before, or a position. From the first event on unless given;
    /// `latest` for those alone that are still to come.
    #[param(min_length = 1, max_length = 18, pattern = "^([0-9]{1,18}|latest)$", example = "0")]
    pub after: Option<String>,
    /// How many events the answer may have, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, example = 50)]
    pub limit: Option<i64>,
    /// Only events of these types: a whole type (`customer.updated`) or all of one kind of record (`customer.*`). All unless given.
    #[serde(default, rename = "type")]
    #[param(inline, max_items = 50, example = json!(["customer.*"]))]
    pub types: Vec<EventTypePattern>,
}

/// A whole type of events (`customer.updated`), or all types of one kind of record (`customer.*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 3, max_length = 64, pattern = r"^[a-z_]+\.([a-z_]+|\*)$", example = "customer.*")]
pub struct EventTypePattern(String);

impl<'de> Deserialize<'de> for EventTypePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let sound = text.split_once('.').is_some_and(|(noun, verb)| word(noun) && (verb == "*" || word(verb)));
        if sound && text.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("expected a type of events such as customer.updated or customer.*"))
        }
    }
}

impl EventTypePattern {
    /// Whether a type is meant.
    #[must_use]
    pub fn fits(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(noun) => kind.starts_with(noun),
            None => kind == self.0,
        }
    }
}

/// A stretch of the change feed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventFeed {
    /// The events, in the order of the feed.
    #[schema(max_items = 200)]
    pub items: Vec<CloudEvent>,
    /// Give this as `after` to go on; always there, also when there is no event.
    #[schema(min_length = 1, max_length = 18, pattern = "^[0-9]{1,18}$", example = "42")]
    pub next_cursor: String,
    /// Whether it is worth to go on at once: there were more events, though perhaps none for this caller. Else wait a while.
    pub has_more: bool,
}

/// A question to the feed that was checked.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many events.
    pub limit: usize,
    types: Vec<EventTypePattern>,
}

impl EventQuery {
    /// Checks the question.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `?limit` or `?type`.
    pub fn wanted(&self) -> Result<Wanted> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=kehu_kernel::page::MAX_LIMIT).contains(&limit) {
            return Err(Error::invalid("?limit", "out_of_range", "An answer has 1 to 200 events."));
        }
        Wanted::new(usize::try_from(limit).map_err(Error::internal)?, &self.types)
    }
}

impl Wanted {
    /// So many events of these types.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `?type` for too many types.
    pub fn new(limit: usize, types: &[EventTypePattern]) -> Result<Self> {
        if types.len() > TYPES {
            return Err(Error::invalid("?type", "too_many", "At most 50 types can be asked for at once."));
        }
        Ok(Self { limit, types: types.to_vec() })
    }

    fn fits(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| pattern.fits(kind))
    }
}

/// A position as callers write it; the head of the feed for `latest`.
///
/// # Errors
/// [`Error::Invalid`] on `at` for what is no position.
pub fn position(conn: &mut Conn, at: &str, text: &str) -> Result<i64> {
    if text == LATEST {
        return event::head(conn);
    }
    let plain = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or_else(|| Error::invalid(at, "invalid_position", "Give next_cursor of an answer, or the position of an event."))
}

/// What was read of the feed, and where to go on.
#[derive(Debug)]
pub struct Stretch {
    /// The events that may be told.
    pub events: Vec<CloudEvent>,
    /// The position up to which all were looked at.
    pub next: i64,
    /// Whether there are events behind it.
    pub more: bool,
}

/// Answers a question to the feed.
///
/// # Errors
/// [`Error::Forbidden`] without `event.read`; [`Error::Invalid`] for a bad question.
pub fn list(conn: &mut Conn, actor: &Actor, query: &EventQuery) -> Result<EventFeed> {
    scope::allow_inside(actor, Action::EventRead)?;
    let wanted = query.wanted()?;
    let after = query.after.as_deref().map_or(Ok(0), |text| position(conn, "?after", text))?;
    let found = read(conn, actor, &wanted, after)?;
    Ok(EventFeed { items: found.events, next_cursor: found.next.to_string(), has_more: found.more })
}

/// Reads on after a position: bounded work, whatever is hidden.
///
/// # Errors
/// [`Error::Forbidden`] without `event.read`.
pub fn read(conn: &mut Conn, actor: &Actor, wanted: &Wanted, after: i64) -> Result<Stretch> {
    let reach = scope::allow_inside(actor, Action::EventRead)?;
    let mut found = Stretch { events: Vec::new(), next: after, more: true };
    let mut looked_at = 0;
    while looked_at < LOOKED_AT {
        let batch = event::after(conn, found.next, BATCH)?;
        let Some(last) = batch.last().and_then(|event| event.position) else {
            found.more = false;
            break;
        };
        let whole = i64::try_from(batch.len()).is_ok_and(|len| len == BATCH);
        looked_at += batch.len();
        let fitting: Vec<_> = batch.into_iter().filter(|event| wanted.fits(&event.kind)).collect();
        for (position, event) in sight::tell(conn, actor, &reach, fitting)? {
            if found.events.len() == wanted.limit {
                return Ok(found);
            }
            found.events.push(event);
            found.next = position;
        }
        found.next = last;
        if !whole {
            found.more = false;
            break;
        }
    }
    Ok(found)
}

/// These events, as far as they may be told at this moment; what happened to `own` itself is told in any case.
///
/// # Errors
/// [`Error::Forbidden`] without `event.read`.
pub fn tell(conn: &mut Conn, actor: &Actor, events: Vec<Event>, own: AnyId) -> Result<Vec<CloudEvent>> {
    let reach = scope::allow_inside(actor, Action::EventRead)?;
    let (own, others): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.subject_id == own);
    let told = sight::tell(conn, actor, &reach, others)?.into_iter().map(|(_, event)| event);
    Ok(own.into_iter().map(CloudEvent::whole).chain(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_a_type_or_a_kind_of_record() {
        let pattern = |text: &str| serde_json::from_value::<EventTypePattern>(text.into());
        assert!(
            pattern("customer.*").is_ok_and(|pattern| pattern.fits("customer.updated") && !pattern.fits("customer_tag.ended"))
        );
        assert!(
            pattern("customer.updated").is_ok_and(|pattern| pattern.fits("customer.updated") && !pattern.fits("customer.up"))
        );
        for wrong in ["", "*", "customer", "customer.", ".updated", "*.updated", "customer.u*", "Customer.updated", "a.b.c"] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }
}
