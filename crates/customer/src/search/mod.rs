//! Finding customers by their names and numbers, by a table of tokens of our own: the same results in the same
//! order on both databases.
//!
//! What is asked for becomes a few ranges of tokens ([`query`]), each a way to fit; the ways are ranked:
//! the number, a name from its beginning (a whole name comes first, because it is the least of its range), a name
//! from a later word or character on, the sound of a name from its beginning, then from a later syllable on, all
//! words in any order, initials. A customer is found once, in the best way and by the least token in which it
//! fits; within a way finds stand in the order of their tokens, byte by byte, then of their ids. That place
//! (way, token, id) is the key of the page, so pages neither overlap nor move when others are written.
//!
//! The work is bounded, however common a token is: a page reads tokens in their order from the place where the one
//! before it ended, until it is full. Callers who reach few branches or few customers read only those tokens. What
//! else narrows a search (other filters, a second word, a reach of many branches that keep few of the finds) sieves
//! the tokens that were read; after [`EXAMINED`] of them the page ends as it is, perhaps with fewer items than
//! were asked for, and its cursor goes on from there. Ranking is never cut: what a later page finds ranks behind. A total
//! is counted as long as at most [`COUNTED`] tokens fit, within the caller's few branches or customers if there are few.

mod find;
mod query;
mod scan;
mod token;

use kehu_kernel::{Action, Actor, Conn, Error, Page, PageParams, Result, Rule, patch, rule::Catalogue};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

pub(crate) use find::find;
pub(crate) use token::of as tokens;

use crate::{
    Customer, CustomerKind, CustomerStatus, LifeCycleStage,
    list::{self, CustomerFilter},
    rule::Asked,
};

/// How many tokens one page examines before it ends, full or not; a page that began just before examines the last
/// batch to its end.
const EXAMINED: usize = 2_000;
/// How many different words a search may have; each is asked for by itself.
const WORDS: usize = 16;
/// How many tokens may fit for the finds to be counted.
const COUNTED: i64 = 50_000;

/// What to search for.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerSearch {
    /// A name or number, or parts of it: characters, the beginning of a word, pinyin (`zhangwei`), initials of pinyin
    /// (`zw`), with accents or without, or the beginning of the number. All words, at most 16, must fit. Without a letter or
    /// digit nothing fits. `q`, `rule` or both are given.
    #[schema(nullable = false, value_type = String, example = "zhang wei", min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub q: Option<String>,
    /// Only customers that meet this rule. Without `q`, the newest record comes first.
    pub rule: Option<Rule>,
    /// Only this kind.
    pub kind: Option<CustomerKind>,
    /// Only this status.
    pub status: Option<CustomerStatus>,
    /// Only this life-cycle stage.
    pub life_cycle_stage: Option<LifeCycleStage>,
    /// Only this service tier.
    #[schema(example = "gold", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub tier: Option<String>,
    /// Only customers that the branch with this code, or one below it, keeps.
    #[schema(example = "SH", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub branch: Option<String>,
    /// How many items the page may have, 1 to 200; 50 unless given.
    #[schema(minimum = 1, maximum = 200, example = 50)]
    #[validate(range(min = 1, max = 200))]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before; only valid for the same search.
    #[schema(max_length = 1024)]
    #[validate(length(max = 1024))]
    pub cursor: Option<String>,
    /// Whether to count all customers that fit; `total` is null all the same when the words are so common that counting would take
    /// long.
    pub include_total: Option<bool>,
}

/// Customers within reach that fit, the best fit first, without their sensitive fields.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read` or what the rule asks for; [`Error::Invalid`] for an unknown branch, a cursor of
/// another search, faults of the rule, and without `q` and `rule`; [`Error::Conflict`] as of [`Asked::new`].
pub fn search(conn: &mut Conn, actor: &Actor, catalogue: &Catalogue, what: CustomerSearch) -> Result<Page<Customer>> {
    actor.allow(Action::CustomerRead)?;
    if what.q.is_none() && what.rule.is_none() {
        return Err(Error::invalid("/q", "required", "A search is by q, by rule or by both."));
    }
    let rule = what.rule.map(|rule| Asked::new(conn, actor, catalogue, &rule, "/rule")).transpose()?;
    let filter = CustomerFilter {
        kind: what.kind,
        status: what.status,
        life_cycle_stage: what.life_cycle_stage,
        tier: what.tier,
        branch: what.branch,
        rule,
        ..CustomerFilter::default()
    };
    let params = PageParams { limit: what.limit, cursor: what.cursor, include_total: what.include_total };
    match &what.q {
        Some(q) => find(conn, actor, q, &filter, &params),
        None => list::list(conn, actor, &filter, &params),
    }
    .map_err(in_body)
}

/// A fault of a query parameter is one of the body's field of that name here.
fn in_body(error: Error) -> Error {
    let Error::Invalid(mut faults) = error else { return error };
    for fault in &mut faults {
        if let Some(name) = fault.pointer.strip_prefix('?') {
            fault.pointer = format!("/{name}");
        }
    }
    Error::Invalid(faults)
}
