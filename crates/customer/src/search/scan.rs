//! Reads tokens in their order, within an actor's reach.

use std::collections::{HashMap, HashSet};

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, QueryDsl, QueryableByName,
    RunQueryDsl, sql_query,
    sql_types::{BigInt, Bool, Text},
};
use kehu_kernel::{
    AnyId, Conn, Result,
    access::Reach,
    schema::{assignments, branches, customer_tokens, customers},
    store::{MultiBackend, among, found_in, sql, up_to, within},
};

use super::{
    COUNTED,
    query::{NUMBER, Range},
};
use crate::{CustomerId, CustomerRow};

/// Up to how many branches are each asked apart; more are sieved out of all.
const FEW: usize = 16;
/// How many customers are asked at once.
const CHUNK: usize = 500;

/// A condition on customers.
pub(super) type Condition = Box<dyn BoxableExpression<customers::table, MultiBackend, SqlType = Bool>>;

/// A token of a customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) token: String,
    pub(super) id: CustomerId,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    token: String,
    #[diesel(sql_type = sql::Uuid)]
    customer_id: CustomerId,
}

/// Where candidates are looked for. It only spares work: whether they may be seen is asked of the customers.
#[derive(Debug)]
pub(super) enum Place {
    Everywhere,
    /// Each branch has its tokens in their order.
    Branches(Vec<AnyId>),
    /// Branches whose paths lie within both ranges.
    Paths([(String, String); 2]),
    Customers(Vec<CustomerId>),
}

impl Place {
    /// The place of a reach, narrowed to a subtree of branches if one is named.
    pub(super) fn of(conn: &mut Conn, reach: &Reach, subtree: Option<&str>) -> Result<Self> {
        let whole = || (String::new(), "\u{10ffff}".to_owned());
        let within = match reach {
            Reach::All if subtree.is_none() => return Ok(Self::Everywhere),
            Reach::All => whole(),
            Reach::Subtree(path) => Reach::path_range(path),
            // No path is continued by a character before the first digit.
            Reach::Branch(path) => (path.clone(), format!("{path}!")),
            Reach::Staff(staff) => {
                let assigned = assignments::table
                    .filter(assignments::staff_id.eq_any(staff.clone()))
                    .filter(assignments::valid_to.is_null())
                    .select(assignments::customer_id);
                return Ok(Self::Customers(assigned.load(&mut conn.db)?));
            }
            Reach::Customer(id) => return Ok(Self::Customers(vec![id.cast()])),
        };
        let ranges = [within, subtree.map_or_else(whole, Reach::path_range)];
        let [(from, to), (from_too, to_too)] = &ranges;
        let few = branches::table
            .filter(branches::path.ge(from).and(branches::path.lt(to)))
            .filter(branches::path.ge(from_too).and(branches::path.lt(to_too)))
            .limit(i64::try_from(FEW + 1).unwrap_or(i64::MAX))
            .select(branches::id);
        let few: Vec<AnyId> = few.load(&mut conn.db)?;
        Ok(if few.len() <= FEW { Self::Branches(few) } else { Self::Paths(ranges) })
    }

    /// Whether so few tokens are in these ranges that all of them may be read. Each customer has a few only.
    pub(super) fn has_few(&self, conn: &mut Conn, ranges: &[Range]) -> Result<bool> {
        if let Self::Customers(_) = self {
            return Ok(true);
        }
        let mut left = COUNTED + 1;
        for range in ranges.iter().filter(|range| !range.from.starts_with(NUMBER)) {
            let of_range = || tokens_in(&[range]).select(customer_tokens::customer_id);
            let arms = match self {
                Self::Branches(branches) => {
                    branches.iter().map(|branch| of_range().filter(customer_tokens::home_branch_id.eq(*branch))).collect()
                }
                _ => vec![of_range()],
            };
            if !arms.is_empty() {
                left -= up_to(arms, left).get_result::<i64>(&mut conn.db)?;
            }
            if left == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Customers that have a token in one of these ranges.
    pub(super) fn holders(&self, ranges: &[&Range]) -> Condition {
        let holders = tokens_in(ranges).select(customer_tokens::customer_id);
        match self {
            Self::Everywhere | Self::Paths(_) => Box::new(within(customers::id, holders)),
            Self::Branches(branches) => {
                let kept = among(customer_tokens::home_branch_id.assume_not_null(), branches.clone());
                Box::new(within(customers::id, holders.filter(kept)))
            }
            // Few are looked at one by one.
            Self::Customers(_) => Box::new(found_in(customers::id, "customer_id", holders)),
        }
    }

    /// The next tokens of a range, after the one that was read last; at most `count`.
    pub(super) fn read(&self, conn: &mut Conn, range: &Range, after: Option<&Candidate>, count: usize) -> Result<Vec<Candidate>> {
        if range.from.starts_with(NUMBER) {
            return numbers(conn, range, after, count);
        }
        let (from, last, id) = match after {
            Some(after) => (after.token.clone(), after.token.clone(), after.id),
            // Every token is greater than the empty one.
            None => (range.from.clone(), String::new(), CustomerId::default()),
        };
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let rows: Vec<(String, CustomerId)> = match self {
            Self::Everywhere => customer_tokens::table
                .filter(customer_tokens::token.ge(from).and(customer_tokens::token.lt(range.to.clone())))
                .filter(customer_tokens::token.gt(last).or(customer_tokens::customer_id.gt(id)))
                .order((customer_tokens::token, customer_tokens::customer_id))
                .limit(limit)
                .select((customer_tokens::token, customer_tokens::customer_id))
                .load(&mut conn.db)?,
            Self::Branches(branches) => {
                let mut rows: Vec<(String, CustomerId)> = Vec::new();
                for branch in branches {
                    let of_branch = customer_tokens::table
                        .filter(customer_tokens::home_branch_id.eq(*branch))
                        .filter(customer_tokens::token.ge(from.clone()).and(customer_tokens::token.lt(range.to.clone())))
                        .filter(customer_tokens::token.gt(last.clone()).or(customer_tokens::customer_id.gt(id)))
                        .order((customer_tokens::token, customer_tokens::customer_id))
                        .limit(limit)
                        .select((customer_tokens::token, customer_tokens::customer_id));
                    rows.extend::<Vec<(String, CustomerId)>>(of_branch.load(&mut conn.db)?);
                }
                rows
            }
            Self::Paths([(low, high), (low_too, high_too)]) => {
                // The CASE keeps both planners from beginning with the branches, which would read and sort every
                // token of the range.
                let rows: Vec<Row> = sql_query(
                    "SELECT token, customer_id FROM customer_tokens
                      WHERE token >= $1 AND token < $2 AND (token > $3 OR customer_id > $4)
                        AND CASE WHEN home_branch_id IN (SELECT id FROM branches WHERE path >= $5 AND path < $6
                            AND path >= $7 AND path < $8) THEN 1 ELSE 0 END = 1
                      ORDER BY token, customer_id LIMIT $9",
                )
                .bind::<Text, _>(from)
                .bind::<Text, _>(&range.to)
                .bind::<Text, _>(last)
                .bind::<sql::Uuid, _>(id)
                .bind::<Text, _>(low)
                .bind::<Text, _>(high)
                .bind::<Text, _>(low_too)
                .bind::<Text, _>(high_too)
                .bind::<BigInt, _>(limit)
                .load(&mut conn.db)?;
                rows.into_iter().map(|row| (row.token, row.customer_id)).collect()
            }
            Self::Customers(ids) => {
                let mut rows: Vec<(String, CustomerId)> = Vec::new();
                for chunk in ids.chunks(CHUNK) {
                    let of_customers = customer_tokens::table
                        .filter(customer_tokens::customer_id.eq_any(chunk))
                        .filter(customer_tokens::token.ge(from.clone()).and(customer_tokens::token.lt(range.to.clone())))
                        .filter(customer_tokens::token.gt(last.clone()).or(customer_tokens::customer_id.gt(id)))
                        .select((customer_tokens::token, customer_tokens::customer_id));
                    rows.extend::<Vec<(String, CustomerId)>>(of_customers.load(&mut conn.db)?);
                }
                rows
            }
        };
        let mut candidates: Vec<Candidate> = rows.into_iter().map(|(token, id)| Candidate { token, id }).collect();
        candidates.sort();
        candidates.truncate(count);
        Ok(candidates)
    }
}

/// The tokens in one of these ranges.
fn tokens_in<'a>(ranges: &[&Range]) -> customer_tokens::BoxedQuery<'a, MultiBackend> {
    let mut tokens = customer_tokens::table.into_boxed();
    for (place, range) in ranges.iter().enumerate() {
        let within = customer_tokens::token.ge(range.from.clone()).and(customer_tokens::token.lt(range.to.clone()));
        tokens = if place == 0 { tokens.filter(within) } else { tokens.or_filter(within) };
    }
    tokens
}

/// Those candidates that for each of the other words have a token within one of its ranges. What does not is dropped here,
/// before anything more is read of its customer.
pub(super) fn with_all(conn: &mut Conn, candidates: Vec<Candidate>, also: &[Vec<Range>]) -> Result<Vec<Candidate>> {
    let mut left = candidates;
    for ranges in also {
        let ids: Vec<CustomerId> = left.iter().map(|candidate| candidate.id).collect();
        let mut holders: HashSet<CustomerId> = HashSet::new();
        for chunk in ids.chunks(CHUNK) {
            let ranges: Vec<&Range> = ranges.iter().collect();
            let query = tokens_in(&ranges).filter(customer_tokens::customer_id.eq_any(chunk));
            holders.extend(query.select(customer_tokens::customer_id).load::<CustomerId>(&mut conn.db)?);
        }
        left.retain(|candidate| holders.contains(&candidate.id));
    }
    Ok(left)
}

/// Numbers are read off the customers.
fn numbers(conn: &mut Conn, range: &Range, after: Option<&Candidate>, count: usize) -> Result<Vec<Candidate>> {
    let bare = |token: &str| token.strip_prefix(NUMBER).unwrap_or(token).to_owned();
    let found: Vec<(String, CustomerId)> = customers::table
        .filter(customers::number.ge(bare(&range.from)).and(customers::number.lt(bare(&range.to))))
        .filter(customers::number.gt(after.map(|after| bare(&after.token)).unwrap_or_default()))
        .order(customers::number)
        .limit(i64::try_from(count).unwrap_or(i64::MAX))
        .select((customers::number, customers::id))
        .load(&mut conn.db)?;
    Ok(found.into_iter().map(|(number, id)| Candidate { token: format!("{NUMBER}{number}"), id }).collect())
}

/// All tokens of customers, their numbers among them.
pub(super) fn tokens_of(conn: &mut Conn, rows: &HashMap<CustomerId, CustomerRow>) -> Result<HashMap<CustomerId, Vec<String>>> {
    let ids: Vec<CustomerId> = rows.keys().copied().collect();
    let numbers = rows.values().map(|row| (row.id, vec![format!("{NUMBER}{}", row.number)]));
    let mut tokens: HashMap<CustomerId, Vec<String>> = numbers.collect();
    for chunk in ids.chunks(CHUNK) {
        let found: Vec<(CustomerId, String)> = customer_tokens::table
            .filter(customer_tokens::customer_id.eq_any(chunk))
            .select((customer_tokens::customer_id, customer_tokens::token))
            .load(&mut conn.db)?;
        for (id, token) in found {
            tokens.entry(id).or_default().push(token);
        }
    }
    Ok(tokens)
}
