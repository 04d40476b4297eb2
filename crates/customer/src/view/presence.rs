//! Which kinds of records there are of a customer at all, so that a view does not ask for each of those that it lacks.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, dsl::exists};
use kehu_kernel::{
    Conn, Result,
    schema::{consents, customer_tags, customers, employments, legal_holds, match_candidates, relations},
};

use crate::{CustomerId, matching::bank::candidate::MatchState};

/// Whether there are any, ended ones and those that nobody sees included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presence {
    /// Records that were merged into the customer.
    pub merged: bool,
    /// Relations, in either direction.
    pub relations: bool,
    /// Tags.
    pub tags: bool,
    /// Words of consent.
    pub consents: bool,
    /// People who work for it.
    pub employments: bool,
    /// Legal holds that stand.
    pub holds: bool,
    /// Open pairs with records that may be the same customer.
    pub duplicates: bool,
}

impl Presence {
    /// Looks, by one statement that is always the same.
    pub fn of(conn: &mut Conn, id: CustomerId) -> Result<Self> {
        if conn.distributed {
            // Not all of it lies with the customer.
            return Ok(Self::anything());
        }
        let open = || match_candidates::table.filter(match_candidates::state.eq(MatchState::Open));
        let pairs =
            exists(open().filter(match_candidates::left_id.eq(id))).or(exists(open().filter(match_candidates::right_id.eq(id))));
        let forward = exists(relations::table.filter(relations::customer_id.eq(id)));
        let backward = exists(relations::table.filter(relations::related_customer_id.eq(id)));
        let holds = legal_holds::table.filter(legal_holds::customer_id.eq(id)).filter(legal_holds::released_at.is_null());
        let (merged, relations, tags, consents, employments, holds, duplicates) = diesel::select((
            exists(customers::table.filter(customers::merged_into.eq(id))),
            forward.or(backward),
            exists(customer_tags::table.filter(customer_tags::customer_id.eq(id))),
            exists(consents::table.filter(consents::customer_id.eq(id))),
            exists(employments::table.filter(employments::customer_id.eq(id))),
            exists(holds),
            pairs,
        ))
        .get_result(&mut conn.db)?;
        Ok(Self { merged, relations, tags, consents, employments, holds, duplicates })
    }

    const fn anything() -> Self {
        Self { merged: true, relations: true, tags: true, consents: true, employments: true, holds: true, duplicates: true }
    }
}
