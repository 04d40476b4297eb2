//! Customers of whom something has changed, to be compared again soon.
//!
//! Every write of a customer that is there already leaves a mark, in its own transaction; a job compares the marked ones,
//! some at a time. It does for each what asking for its matches does, and looks again at its open pairs; so the queue is
//! as a run over the whole base would leave it. However many writes there are, one job at most is open, and a customer
//! that was written ten times is compared once. A mark goes only if nothing was written since the customer was read, so a
//! job that was killed has lost nothing.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Conn, Error, Result, Store, Tx,
    job::{self, Handler, Lease},
    schema::{match_candidates, match_changes},
    store::given,
};
use serde_json::Value;

use super::{
    candidate::{MatchSource, MatchState},
    engine::Scale,
    facts::{self, MatchSubject},
    probe::{self, Sought},
    queue::{self, Proposal, Proposed},
    stale::{self, Open},
};
use crate::CustomerId;

/// Kind of the jobs that compare changed customers.
pub const JOB_KIND: &str = "match_changes";

/// How many customers are compared at once.
const PAGE: i64 = 100;
/// How many customers one statement marks.
const MARKED: usize = 500;
/// How long after a job was asked for the next one is.
const PAUSE: Duration = Duration::from_secs(10);

/// Marks customers that were written, in the transaction that writes them.
///
/// # Errors
/// The database's.
pub(crate) fn mark(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<()> {
    // In the order of their ids, so that nobody waits in a circle.
    let ids: Vec<CustomerId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    for some in ids.chunks(MARKED) {
        let text = format!(
            "INSERT INTO match_changes (customer_id, changes, matched) SELECT c.id, 1, 0 FROM customers c WHERE c.id IN ({})
             ORDER BY c.id ON CONFLICT (customer_id) DO UPDATE SET changes = match_changes.changes + 1",
            vec!["{}"; some.len()].join(", ")
        );
        given::<()>(text, some.iter().map(|id| (*id).into()).collect()).execute(&mut tx.db)?;
    }
    Ok(())
}

/// Asks for a job if customers are marked, unless one is open or was a moment ago; for whoever runs jobs, again and again.
///
/// # Errors
/// The database's.
pub fn wake(store: &Store) -> Result<()> {
    if store.read_blocking(|conn| Ok(!marked(conn)?.is_empty()))? {
        job::recur(store, JOB_KIND, PAUSE)?;
    }
    Ok(())
}

/// A mark: the customer, how often it was written, and the digest of what was compared last.
type Mark = (CustomerId, i64, Option<Vec<u8>>);

fn marked(conn: &mut Conn) -> Result<Vec<Mark>> {
    Ok(match_changes::table
        .filter(match_changes::changes.gt(match_changes::matched))
        .order(match_changes::customer_id)
        .limit(PAGE)
        .select((match_changes::customer_id, match_changes::changes, match_changes::digest))
        .load(&mut conn.db)?)
}

/// What runs jobs of [`JOB_KIND`].
#[must_use]
pub fn handler() -> Handler {
    Box::new(|store: &Store, lease: &Lease| -> Result<Value> {
        let mut done = lease.job.progress_done;
        let mut all = Proposed::default();
        loop {
            let marks = store.read_blocking(marked)?;
            if marks.is_empty() {
                return serde_json::to_value(all).map_err(Error::internal);
            }
            let look = store.read_blocking(|conn| Look::at(conn, &marks))?;
            done += i64::try_from(marks.len()).map_err(Error::internal)?;
            let lease = lease.clone();
            all += store.write_blocking(move |tx| {
                lease.progress(tx, done, None)?;
                look.write(tx)
            })?;
        }
    })
}

/// What was found about some marked customers.
#[derive(Clone)]
struct Look {
    proposals: Vec<Proposal>,
    /// Open pairs of them that were not found.
    doubtful: Vec<Open>,
    marks: Vec<Mark>,
}

impl Look {
    fn at(conn: &mut Conn, marks: &[Mark]) -> Result<Self> {
        let ids: Vec<CustomerId> = marks.iter().map(|(id, _, _)| *id).collect();
        let known = facts::load(conn, &ids)?;
        let digests: HashMap<CustomerId, Vec<u8>> =
            known.iter().map(|(id, facts)| Ok((*id, facts::digest(conn, facts)?))).collect::<Result<_>>()?;
        // Most writes change nothing that is compared.
        let same = |(id, _, before): &&Mark| before.is_some() && digests.get(id) == before.as_ref();
        let changed: HashSet<CustomerId> = marks.iter().filter(|mark| !same(mark)).map(|(id, _, _)| *id).collect();
        let mut proposals = Vec::new();
        for subject in MatchSubject::ALL {
            let of = known.iter().filter(|(id, facts)| facts.subject == *subject && changed.contains(*id));
            let sought: Vec<(CustomerId, Sought<'_>)> = of.map(|(id, facts)| (*id, Sought { id: Some(*id), facts })).collect();
            if sought.is_empty() {
                continue;
            }
            let (ids, sought): (Vec<CustomerId>, Vec<Sought<'_>>) = sought.into_iter().unzip();
            let answers = probe::candidates(conn, *subject, &sought)?;
            for ((id, one), found) in ids.into_iter().zip(&sought).zip(&answers.found) {
                proposals.extend(probe::proposals(conn, id, one.facts, found, answers.parameters_version)?);
            }
        }
        let found: HashSet<(CustomerId, CustomerId)> =
            proposals.iter().map(|pair| (pair.one.min(pair.other), pair.one.max(pair.other))).collect();
        let mut doubtful = open_pairs(conn, changed)?;
        doubtful.retain(|(_, left, right)| !found.contains(&(*left, *right)));
        let marks = marks.iter().map(|(id, changes, _)| (*id, *changes, digests.get(id).cloned())).collect();
        Ok(Self { proposals, doubtful, marks })
    }

    /// Writes it into the queue and takes the marks away, each unless its customer was written again.
    fn write(&self, tx: &mut Tx<'_>) -> Result<Proposed> {
        let actor = Actor::system();
        let proposed = queue::propose(tx, &actor, MatchSource::Change, self.proposals.clone())?;
        if !self.doubtful.is_empty() {
            for subject in MatchSubject::ALL {
                let scale = Scale::in_use(tx, *subject)?;
                stale::close(tx, &actor, &scale, &self.doubtful)?;
            }
        }
        for (id, changes, digest) in &self.marks {
            let mark = "WHERE customer_id = {} AND changes = {}";
            let (text, mut values) = match digest {
                Some(digest) => (
                    format!("UPDATE match_changes SET matched = {{}}, digest = {{}} {mark}"),
                    vec![(*changes).into(), digest.clone().into()],
                ),
                None => (format!("UPDATE match_changes SET matched = {{}}, digest = NULL {mark}"), vec![(*changes).into()]),
            };
            values.extend([(*id).into(), (*changes).into()]);
            given::<()>(text, values).execute(&mut tx.db)?;
        }
        Ok(proposed)
    }
}

/// The open pairs of customers.
fn open_pairs(conn: &mut Conn, of: HashSet<CustomerId>) -> Result<Vec<Open>> {
    let ids: Vec<CustomerId> = of.into_iter().collect();
    Ok(match_candidates::table
        .filter(match_candidates::state.eq(MatchState::Open))
        .filter(match_candidates::left_id.eq_any(&ids).or(match_candidates::right_id.eq_any(&ids)))
        .order(match_candidates::id)
        .select((match_candidates::id, match_candidates::left_id, match_candidates::right_id))
        .load(&mut conn.db)?)
}
