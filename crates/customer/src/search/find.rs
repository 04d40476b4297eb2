//! One page of finds.

use std::collections::HashMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Error, Page, PageParams, Result, schema::customers};
use serde::{Deserialize, Serialize};

use super::{
    EXAMINED, WORDS,
    query::{NUMBER, Query, Range},
    scan::{self, Candidate, Condition, Place},
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
    let query = Query::parse(q);
    if query.words > WORDS {
        return Err(Error::invalid("?q", "too_many_words", format!("A search has at most {WORDS} words.")));
    }
    let filter = &CustomerFilter { q: Some(q.to_owned()), ..filter.clone() };
    let window = params.window::<Key>(&conn.keys, &format!("customers?{filter:?}"))?;
    let chosen = Chosen::by(conn, actor, filter)?;
    let place = Place::of(conn, &chosen.reach, chosen.subtree.as_deref())?;
    let search = Search { query, chosen, place };
    let total = if window.include_total { search.count(conn)? } else { None };
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
                let candidates = scan::with_all(conn, candidates, &stage.also)?;
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

    /// How many customers there are to be found in all; nothing when so many tokens fit that counting would take long.
    fn count(&self, conn: &mut Conn) -> Result<Option<i64>> {
        let ways = self.ways();
        let ranges: Vec<Range> =
            ways.iter().flat_map(|(ranges, also)| ranges.iter().chain(also.iter().flatten())).cloned().collect();
        if !self.place.has_few(conn, &ranges)? {
            return Ok(None);
        }
        let fits = |(ranges, also): &(Vec<Range>, &[Vec<Range>])| -> Condition {
            also.iter().fold(self.has_one_of(ranges), |fits, ranges| Box::new(fits.and(self.has_one_of(ranges))))
        };
        let Some(fits) = ways.iter().map(fits).reduce(|one, other| Box::new(one.or(other))) else { return Ok(Some(0)) };
        let count = self.chosen.query().filter(fits).count().get_result(&mut conn.db)?;
        Ok(Some(count))
    }

    /// The stages, those together that want the same of the other words: what is counted does not ask in which way.
    fn ways(&self) -> Vec<(Vec<Range>, &[Vec<Range>])> {
        let mut ways: Vec<(Vec<Range>, &[Vec<Range>])> = Vec::new();
        for stage in &self.query.stages {
            match ways.iter_mut().find(|(_, also)| *also == stage.also.as_slice()) {
                Some((ranges, _)) => ranges.push(stage.range.clone()),
                None => ways.push((vec![stage.range.clone()], &stage.also)),
            }
        }
        ways
    }

    /// Whether a customer has a token within one of these ranges: one sub-query for all of them.
    fn has_one_of(&self, ranges: &[Range]) -> Condition {
        let numbers = ranges.iter().filter_map(|range| range.from.strip_prefix(NUMBER).zip(range.to.strip_prefix(NUMBER)));
        let numbers = numbers.map(|(from, to)| -> Condition {
            Box::new(customers::number.ge(from.to_owned()).and(customers::number.lt(to.to_owned())))
        });
        let tokens: Vec<&Range> = ranges.iter().filter(|range| !range.from.starts_with(NUMBER)).collect();
        let tokens = (!tokens.is_empty()).then(|| -> Condition { self.place.holders(&tokens) });
        let nothing = || -> Condition { Box::new(customers::id.is_null()) };
        numbers.chain(tokens).reduce(|one, other| Box::new(one.or(other))).unwrap_or_else(nothing)
    }
}
