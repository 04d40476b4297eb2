//! Statements that are written as text and keep being prepared, which diesel's own never are.

use std::{borrow::Cow, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
};

use super::{Db, MultiBackend, listed::SHORT, sql};
use crate::AnyId;

/// See [`given`].
#[derive(Debug, Clone)]
pub struct Given<S> {
    text: Cow<'static, str>,
    ids: Vec<AnyId>,
    rows: PhantomData<S>,
}

/// A statement with ids in the places of `{}`, in their order; `S` are the types of the columns that it selects. It is prepared
/// once for each text as long as the ids are few.
#[must_use]
pub fn given<S>(text: impl Into<Cow<'static, str>>, ids: Vec<AnyId>) -> Given<S> {
    Given { text: text.into(), ids, rows: PhantomData }
}

impl<S> QueryFragment<MultiBackend> for Given<S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        if self.ids.len() > SHORT {
            out.unsafe_to_cache_prepared();
        }
        for (place, part) in self.text.split("{}").enumerate() {
            if let Some(id) = place.checked_sub(1).and_then(|before| self.ids.get(before)) {
                out.push_bind_param::<sql::Uuid, AnyId>(id)?;
            }
            out.push_sql(part);
        }
        Ok(())
    }
}

impl<S> Query for Given<S> {
    type SqlType = S;
}

/// The text tells them apart.
impl<S> QueryId for Given<S> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S> RunQueryDsl<Db> for Given<S> {}
