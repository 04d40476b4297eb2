//! One page of finds.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper, sql_types::Bool,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Page, PageParams, Result,
    schema::{customer_tokens, customers},
    store::{MultiBackend, within},
};
use serde::{Deserialize, Serialize};

use super::{
    EXAMINED,
    query::{NUMBER, Query, Range, Stage},
    scan::{self, Candidate, Place},
};
use crate::{
    Customer, CustomerId, CustomerRow,
    list::{Chosen, CustomerFilter},
    present,
};

/// How many tokens are read at once at most.
const BATCH: usize = 1_000;

/// Where a find stands among all finds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Key {
    way: usize,
    token: String,
    id: CustomerId,
}

/// What one page works with.
struct Search<'a> {
    query: Query,
    chosen: Chosen<'a>,
    place: Place,
}

/// The customers within reach that fit what was typed and pass the filters, the best fit first.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`; [`Error::Invalid`] for an unknown branch, an order besides, or a bad page
/// request.
pub(crate) fn find(
    conn: &mut Conn,
    actor: &Actor,
    q: &str,
    filter: &CustomerFilter,
    params: &PageParams,
) -> Result<Page<Customer>> {
    actor.allow(Action::CustomerRead)?;
    if q.is_empty() {
        return Err(Error::invalid("?q", "length", "Type at least one character."));
    }
    if filter.sort.is_some() {
        return Err(Error::invalid("?sort", "not_with_q", "A search has its own order: the best fit first."));
    }
    let filter = &CustomerFilter { q: Some(q.to_owned()), ..filter.clone() };
    let window = params.window::<Key>(&conn.keys, &format!("customers?{filter:?}"))?;
    let chosen = Chosen::by(conn, actor, filter)?;
    let place = Place::of(conn, &chosen.reach, chosen.subtree.as_deref())?;
    let search = Search { query: Query::parse(q), chosen, place };
    let total = if window.include_total { Some(search.count(conn)?) } else { None };
    let wanted = usize::try_from(window.fetch() - 1).map_err(Error::internal)?;
    let (found, next) = search.page(conn, window.after.as_ref(), wanted)?;
    let items = present::many(conn, actor, found, false)?;
    window.cut(&conn.keys, items, total, next)
}

impl Search<'_> {
    /// So many finds after a key, and the key after which to go on.
    fn page(&self, conn: &mut Conn, after: Option<&Key>, wanted: usize) -> Result<(Vec<CustomerRow>, Option<Key>)> {
        let mut found: Vec<(Key, CustomerRow)> = Vec::new();
        let (mut examined, mut batch) = (0, wanted + 1);
        for (way, stage) in self.query.stages.iter().enumerate() {
            let mut last = match after {
                Some(key) if key.way > way => continue,
                Some(key) if key.way == way => Some(Candidate { token: key.token.clone(), id: key.id }),
                _ => None,
            };
            loop {
                let candidates = self.place.read(conn, &stage.range, last.as_ref(), batch)?;
                examined += candidates.len();
                let exhausted = candidates.len() < batch;
                last = candidates.last().cloned().or(last);
                found.extend(self.sieve(conn, way, candidates)?);
                if found.len() > wanted {
                    found.truncate(wanted);
                    let next = found.last().map(|(key, _)| key.clone());
                    return Ok((found.into_iter().map(|(_, row)| row).collect(), next));
                }
                if exhausted {
                    break;
                }
                if examined >= EXAMINED {
                    let next = last.map(|last| Key { way, token: last.token, id: last.id });
                    return Ok((found.into_iter().map(|(_, row)| row).collect(), next));
                }
                batch = (batch * 4).min(BATCH);
            }
        }
        Ok((found.into_iter().map(|(_, row)| row).collect(), None))
    }

    /// Those candidates that may be seen, pass the filters and have their place here.
    fn sieve(&self, conn: &mut Conn, way: usize, candidates: Vec<Candidate>) -> Result<Vec<(Key, CustomerRow)>> {
        let ids: Vec<CustomerId> = candidates.iter().map(|candidate| candidate.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<CustomerRow> =
            self.chosen.query().filter(customers::id.eq_any(ids)).select(CustomerRow::as_select()).load(&mut conn.db)?;
        let mut rows: HashMap<CustomerId, CustomerRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let tokens = scan::tokens_of(conn, &rows)?;
        let here = |candidate: &Candidate| {
            let tokens = tokens.get(&candidate.id)?;
            let (its_way, its_token) = self.query.place(tokens)?;
            (its_way == way && its_token == candidate.token).then_some(())
        };
        Ok(candidates
            .into_iter()
            .filter_map(|candidate| {
                here(&candidate)?;
                let row = rows.remove(&candidate.id)?;
                Some((Key { way, token: candidate.token, id: candidate.id }, row))
            })
            .collect())
    }

    /// How many customers there are to be found in all. Reads every token that fits, so it takes as long as there are.
    fn count(&self, conn: &mut Conn) -> Result<i64> {
        let Some(fits) = self.query.stages.iter().map(stage_fits).reduce(|one, other| Box::new(one.or(other))) else {
            return Ok(0);
        };
        let query = self.chosen.query().filter(fits);
        Ok(query.count().get_result(&mut conn.db)?)
    }
}

type Condition = Box<dyn BoxableExpression<customers::table, MultiBackend, SqlType = Bool>>;

/// A way to fit as a condition on customers.
fn stage_fits(stage: &Stage) -> Condition {
    stage.also.iter().fold(has_one_of(std::slice::from_ref(&stage.range)), |fits, ranges| Box::new(fits.and(has_one_of(ranges))))
}

fn has_one_of(ranges: &[Range]) -> Condition {
    let of_range = |range: &Range| -> Condition {
        if let Some((from, to)) = range.from.strip_prefix(NUMBER).zip(range.to.strip_prefix(NUMBER)) {
            return Box::new(customers::number.ge(from.to_owned()).and(customers::number.lt(to.to_owned())));
        }
        let holders = customer_tokens::table
            .filter(customer_tokens::token.ge(range.from.clone()).and(customer_tokens::token.lt(range.to.clone())))
            .select(customer_tokens::customer_id)
            .into_boxed();
        Box::new(within(customers::id, holders))
    };
    let nothing = || -> Condition { Box::new(customers::id.is_null()) };
    ranges.iter().map(of_range).reduce(|one, other| Box::new(one.or(other))).unwrap_or_else(nothing)
}
