//! Which of a batch of events a reader is told, and how much of each.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_account_link::scope as account_scope;
use kehu_customer::{
    CustomerId,
    sight::{self, Sight},
};
use kehu_kernel::{Action, Actor, AnyId, Conn, Result, access::Reach, event::Event, schema::accounts};
use serde_json::{Map, Value};

use super::{
    CloudEvent,
    kinds::{Need, need},
};

/// The end of a record, told to whoever saw it before.
const ENDS: &[&str] = &["customer.merged", "customer.merge_reverted", "customer.erased"];

/// Facts that name other customers: told as far as those are seen.
const CUSTOMERS: &[&str] =
    &["related_customer_id", "customer_id", "survivor_id", "absorbed_ids", "erased_with", "left_id", "right_id"];

/// The events of this batch that the reader is told, each with its position. Of an event that may not be told, nothing.
pub(super) fn tell(conn: &mut Conn, actor: &Actor, feed: &Reach, batch: Vec<Event>) -> Result<Vec<(i64, CloudEvent)>> {
    let told = Told::look(conn, actor, feed, &batch)?;
    let tell = |event: Event| {
        let position = event.position?;
        Some((position, told.event(actor, event)?))
    };
    Ok(batch.into_iter().filter_map(tell).collect())
}

/// What the reader sees of all that a batch names.
struct Told {
    customers: HashMap<Action, Sight>,
    accounts: HashSet<AnyId>,
}

impl Told {
    fn look(conn: &mut Conn, actor: &Actor, feed: &Reach, batch: &[Event]) -> Result<Self> {
        let mut wanted: HashMap<Action, BTreeSet<CustomerId>> = HashMap::new();
        let mut accounts = BTreeSet::new();
        for event in batch {
            let action = need(&event.kind).action;
            match (event.customer_id, event.account_id) {
                (Some(customer), _) => drop(wanted.entry(action).or_default().insert(customer.cast())),
                (None, Some(account)) => drop(accounts.insert(account)),
                (None, None) => {}
            }
            let named = CUSTOMERS.iter().filter_map(|key| event.data.0.get(*key)).flat_map(ids);
            wanted.entry(Action::CustomerRead).or_default().extend(named);
        }
        let mut customers = HashMap::new();
        for (action, records) in wanted {
            // Whoever reads of a customer's affairs reads the customer.
            let reaches = [Some(feed.clone()), actor.reach(Action::CustomerRead), actor.reach(action)];
            if let Some(reaches) = distinct(reaches) {
                customers.insert(action, sight::of(conn, &reaches, &records)?);
            }
        }
        let accounts = match distinct([Some(feed.clone()), actor.reach(Action::AccountRead)]) {
            Some(reaches) => accounts_seen(conn, &reaches, &accounts)?,
            None => HashSet::new(),
        };
        Ok(Self { customers, accounts })
    }

    fn event(&self, actor: &Actor, event: Event) -> Option<CloudEvent> {
        let Need { action, everywhere } = need(&event.kind);
        match (event.customer_id, event.account_id) {
            (Some(record), _) => {
                let sight = self.customers.get(&action)?;
                if let Some(customer) = sight.of(record.cast()) {
                    let data = self.facts(&event.data.0);
                    return Some(CloudEvent::new(event, Some(customer), data));
                }
                let end = ENDS.contains(&event.kind.as_str()) && sight.once(record.cast());
                end.then(|| CloudEvent::new(event, Some(record.cast()), Map::new()))
            }
            (None, Some(account)) => {
                let data = self.accounts.contains(&account).then(|| self.facts(&event.data.0))?;
                Some(CloudEvent::new(event, None, data))
            }
            (None, None) => {
                let reach = actor.reach(action)?;
                let data = (!everywhere || reach == Reach::All).then(|| self.facts(&event.data.0))?;
                Some(CloudEvent::new(event, None, data))
            }
        }
    }

    /// The facts of an event without the customers that are out of sight.
    fn facts(&self, data: &Value) -> Map<String, Value> {
        let Value::Object(facts) = data else { return Map::new() };
        let seen = |id: &CustomerId| self.customers.get(&Action::CustomerRead).is_some_and(|sight| sight.of(*id).is_some());
        let shown = |(name, value): (&String, &Value)| {
            let value = match value {
                _ if !CUSTOMERS.contains(&name.as_str()) => value.clone(),
                Value::Array(items) => items.iter().filter(|item| ids(item).iter().all(seen)).cloned().collect(),
                one if ids(one).iter().all(seen) => one.clone(),
                _ => Value::Null,
            };
            (name.clone(), value)
        };
        facts.iter().map(shown).collect()
    }
}

/// The ids in a fact: one, or several.
fn ids(value: &Value) -> Vec<CustomerId> {
    match value {
        Value::String(text) => text.parse().into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(ids).collect(),
        _ => Vec::new(),
    }
}

/// All of these reaches, each once; nothing where one of the rights is missing.
fn distinct<const N: usize>(reaches: [Option<Reach>; N]) -> Option<Vec<Reach>> {
    let mut found: Vec<Reach> = Vec::new();
    for reach in reaches {
        let reach = reach?;
        if !found.contains(&reach) {
            found.push(reach);
        }
    }
    Some(found)
}

fn accounts_seen(conn: &mut Conn, reaches: &[Reach], ids: &BTreeSet<AnyId>) -> Result<HashSet<AnyId>> {
    let mut seen: HashSet<AnyId> = ids.iter().copied().collect();
    if ids.is_empty() {
        return Ok(seen);
    }
    for reach in reaches {
        let among = accounts::table.filter(accounts::id.eq_any(ids.iter().copied().collect::<Vec<_>>()));
        let visible = among.filter(account_scope::visible_to(conn, reach));
        let found: HashSet<AnyId> = visible.select(accounts::id).load(&mut conn.db)?.into_iter().collect();
        seen.retain(|id| found.contains(id));
    }
    Ok(seen)
}
