//! Which customers are meant? The one service that creation, feeds, callers and the work queue ask.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Error, Result, Tx, schema::customers};

use super::{
    band::MatchBand,
    candidate::{MatchSource, MatchedCustomer},
    facts::{self, Facts, MatchSubject},
    input::{CustomerMatch, CustomerMatches, MatchFacts},
    probe::{self, Found, Sought},
    queue,
};
use crate::{CustomerId, create::Draft, scope};

/// How many customers are shown at most.
const MOST: usize = 20;

/// The customers within the actor's reach to whom the facts may belong, best first. Writes nothing.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match` and `customer.read`; [`Error::Invalid`] for facts that cannot be read.
pub fn find(conn: &mut Conn, actor: &Actor, known: &MatchFacts) -> Result<CustomerMatches> {
    actor.allow(Action::CustomerMatch)?;
    actor.allow(Action::CustomerRead)?;
    let facts = known.read(conn)?;
    let mut answers = probe::candidates(conn, facts.subject, &[Sought { id: None, facts: &facts }])?;
    let found = answers.found.pop().unwrap_or_default();
    let items = shown(conn, actor, found)?;
    Ok(CustomerMatches { items, parameters_version: answers.parameters_version })
}

/// The other records within the actor's reach that may tell of a customer, best first. All plausible pairs, those
/// beyond the reach too, enter the work queue.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match` and `customer.read`; [`Error::NotFound`].
pub fn find_for(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId) -> Result<CustomerMatches> {
    scope::require_inside(tx, actor, Action::CustomerMatch, customer)?;
    scope::require_inside(tx, actor, Action::CustomerRead, customer)?;
    let mut known = facts::load(tx, &[customer])?;
    let facts = known.remove(&customer).ok_or(Error::NotFound)?;
    let mut answers = probe::candidates(tx, facts.subject, &[Sought { id: Some(customer), facts: &facts }])?;
    let found = answers.found.pop().unwrap_or_default();
    let proposals = probe::proposals(tx, customer, &facts, &found, answers.parameters_version)?;
    queue::propose(tx, actor, MatchSource::Request, proposals)?;
    let items = shown(tx, actor, found)?;
    Ok(CustomerMatches { items, parameters_version: answers.parameters_version })
}

/// Looks for the customer that a draft would double. Holds its keys until the end of the transaction, so that of two
/// who create the same customer at once the second one sees the first one's.
///
/// Whoever reaches a probable duplicate is stopped, unless `override_reason` says why it is none. One that lies beyond
/// the caller's reach stops nobody, for that would tell the caller of it; the pair enters the work queue instead,
/// where somebody decides who reaches both.
///
/// # Errors
/// [`Error::DuplicateCustomer`].
pub(crate) fn guard(tx: &mut Tx<'_>, actor: &Actor, draft: &Draft, overridden: bool) -> Result<Guarded> {
    let facts = Facts::of_draft(tx, draft)?;
    super::keys::hold(tx, &facts)?;
    let mut answers = probe::candidates(tx, facts.subject, &[Sought { id: None, facts: &facts }])?;
    let found = answers.found.pop().unwrap_or_default();
    let probable: Vec<Found> = found.iter().filter(|hit| MatchBand::of(hit.score).stops_creation()).cloned().collect();
    let seen = if overridden || probable.is_empty() { Vec::new() } else { shown(tx, actor, probable)? };
    if seen.is_empty() {
        return Ok(Guarded { facts, found, parameters_version: answers.parameters_version });
    }
    Err(Error::DuplicateCustomer {
        detail: "This looks like a customer that is there already. Use that one, or give allow_duplicate with a reason.".into(),
        candidates: serde_json::to_value(seen).map_err(Error::internal)?,
    })
}

/// What a draft looks like, to be put into the queue once it is written.
pub(crate) struct Guarded {
    facts: Facts,
    found: Vec<Found>,
    parameters_version: i64,
}

impl Guarded {
    /// Puts the plausible pairs into the queue; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn queue(self, tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId) -> Result<usize> {
        let proposals = probe::proposals(tx, customer, &self.facts, &self.found, self.parameters_version)?;
        let count = proposals.len();
        queue::propose(tx, actor, MatchSource::Create, proposals)?;
        Ok(count)
    }
}

/// Customers that a feed brings for the first time.
pub(crate) struct Fresh(Vec<(CustomerId, Facts)>);

impl Fresh {
    /// What is compared of them, while it is at hand.
    ///
    /// # Errors
    /// [`Error::Internal`] when a number does not open.
    pub fn of(conn: &Conn, drafts: &[Draft]) -> Result<Self> {
        drafts.iter().map(|draft| Ok((draft.row.id, Facts::of_draft(conn, draft)?))).collect::<Result<_>>().map(Self)
    }

    /// Puts those into the queue that look like customers that are there, or like one another, now that all are written.
    ///
    /// # Errors
    /// The database's.
    pub fn queue(self, tx: &mut Tx<'_>, actor: &Actor) -> Result<()> {
        for subject in MatchSubject::ALL {
            let of: Vec<&(CustomerId, Facts)> = self.0.iter().filter(|(_, facts)| facts.subject == *subject).collect();
            if of.is_empty() {
                continue;
            }
            let sought: Vec<Sought<'_>> = of.iter().map(|(id, facts)| Sought { id: Some(*id), facts }).collect();
            let answers = probe::candidates(tx, *subject, &sought)?;
            let mut proposals = Vec::new();
            for ((id, facts), found) in of.into_iter().zip(&answers.found) {
                proposals.extend(probe::proposals(tx, *id, facts, found, answers.parameters_version)?);
            }
            queue::propose(tx, actor, MatchSource::Import, proposals)?;
        }
        Ok(())
    }
}

/// Those that the actor may match and read, in the same order.
fn shown(conn: &mut Conn, actor: &Actor, found: Vec<Found>) -> Result<Vec<CustomerMatch>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let Some(reach) = actor.reach(Action::CustomerRead) else { return Ok(Vec::new()) };
    let ids: Vec<CustomerId> = found.iter().map(|hit| hit.customer).collect();
    let mut seen = customers::table.filter(customers::id.eq_any(ids)).filter(scope::visible_to(&reach)).into_boxed();
    if let Some(reach) = actor.reach(Action::CustomerMatch) {
        seen = seen.filter(scope::visible_to(&reach));
    }
    let rows: Vec<MatchedCustomer> = seen.select(MatchedCustomer::as_select()).load(&mut conn.db)?;
    let of = |hit: Found| {
        let customer = rows.iter().find(|row| row.id == hit.customer)?.clone();
        Some(CustomerMatch { customer, score_bp: hit.score, band: MatchBand::of(hit.score), reasons: hit.reasons })
    };
    Ok(found.into_iter().filter_map(of).take(MOST).collect())
}
