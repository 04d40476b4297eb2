//! The list of customers.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Page, PageParams, Result,
    access::Reach,
    schema::{branches, customers, personal_profiles},
    text_enum,
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    Customer, CustomerId, CustomerKind, CustomerRow, CustomerStatus, LifeCycleStage, present, profile::Gender, scope, search,
};

text_enum! {
    /// Order of a list of customers.
    pub enum CustomerSort {
        /// The oldest record first.
        CreatedAt = "created_at",
        /// The newest record first.
        CreatedAtDescending = "-created_at",
    }
}

/// Filters of the list of customers. With `q`, the best fit comes first.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CustomerFilter {
    /// Only customers whose name or number fits: characters, the beginning of a word, pinyin (`zhangwei`), initials of
    /// pinyin (`zw`), with accents or without, or the beginning of the number. All words must fit. The best fit comes
    /// first, and `sort` may not be given. Numbers of persons (phones, documents, accounts) are for `lookup_customers`.
    #[param(min_length = 1, max_length = 200, example = "张伟")]
    pub q: Option<String>,
    /// Only this kind.
    #[param(inline, example = "personal")]
    pub kind: Option<CustomerKind>,
    /// Only this status.
    #[param(inline, example = "active")]
    pub status: Option<CustomerStatus>,
    /// Only this life-cycle stage.
    #[param(inline, example = "customer")]
    pub life_cycle_stage: Option<LifeCycleStage>,
    /// Only this service tier.
    #[param(max_length = 32, example = "gold")]
    pub tier: Option<String>,
    /// Only personal customers of this gender.
    #[param(inline, example = "female")]
    pub gender: Option<Gender>,
    /// Only the customer with this number.
    #[param(max_length = 32, example = "C36N4S-7F20H8-0QKXW3")]
    pub number: Option<String>,
    /// Only customers of this relationship manager.
    pub owner_id: Option<AnyId>,
    /// Only customers that the branch with this code, or one below it, keeps.
    #[param(max_length = 32, example = "SH")]
    pub branch: Option<String>,
    /// Order; the newest record first unless given.
    #[param(inline, example = "-created_at")]
    pub sort: Option<CustomerSort>,
}

/// Customers within reach, without their sensitive fields.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`; [`Error::Invalid`] for an unknown branch or a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &CustomerFilter, params: &PageParams) -> Result<Page<Customer>> {
    if let Some(q) = &filter.q {
        return search::find(conn, actor, q, filter, params);
    }
    let reach = actor.allow(Action::CustomerRead)?;
    let window = params.window::<CustomerId>(&conn.keys, &format!("customers?{filter:?}"))?;
    let subtree = match &filter.branch {
        Some(code) => Some(subtree(conn, code)?),
        None => None,
    };
    let total = if window.include_total {
        Some(matching(filter, &reach, subtree.as_deref()).count().get_result(&mut conn.db)?)
    } else {
        None
    };
    let mut query = matching(filter, &reach, subtree.as_deref()).limit(window.fetch()).select(CustomerRow::as_select());
    if filter.sort == Some(CustomerSort::CreatedAt) {
        query = query.order(customers::id);
        if let Some(after) = window.after {
            query = query.filter(customers::id.gt(after));
        }
    } else {
        query = query.order(customers::id.desc());
        if let Some(after) = window.after {
            query = query.filter(customers::id.lt(after));
        }
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &CustomerRow| row.id)?;
    let items = present::many(conn, actor, page.items, false)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// The customers within reach that pass the filters other than `q`.
pub(crate) fn matching<'a>(
    filter: &CustomerFilter,
    reach: &Reach,
    subtree: Option<&str>,
) -> customers::BoxedQuery<'a, kehu_kernel::store::MultiBackend> {
    let mut query = customers::table.filter(scope::visible_to(reach)).into_boxed();
    if let Some(kind) = filter.kind {
        query = query.filter(customers::kind.eq(kind));
    }
    if let Some(status) = filter.status {
        query = query.filter(customers::status.eq(status));
    }
    if let Some(stage) = filter.life_cycle_stage {
        query = query.filter(customers::life_cycle_stage.eq(stage));
    }
    if let Some(tier) = filter.tier.clone() {
        query = query.filter(customers::tier.eq(tier));
    }
    if let Some(number) = filter.number.clone() {
        query = query.filter(customers::number.eq(number));
    }
    if let Some(owner) = filter.owner_id {
        query = query.filter(customers::owner_id.eq(owner));
    }
    if let Some(gender) = filter.gender {
        let of_gender =
            personal_profiles::table.filter(personal_profiles::gender.eq(gender)).select(personal_profiles::customer_id);
        query = query.filter(customers::id.eq_any(of_gender));
    }
    if let Some(path) = subtree {
        let (from, to) = Reach::path_range(path);
        let below = branches::table.filter(branches::path.ge(from).and(branches::path.lt(to))).select(branches::id);
        query = query.filter(customers::home_branch_id.assume_not_null().eq_any(below));
    }
    query
}

/// The path of the branch with this code.
pub(crate) fn subtree(conn: &mut Conn, code: &str) -> Result<String> {
    let path: Option<String> =
        branches::table.filter(branches::code.eq(code)).select(branches::path).first(&mut conn.db).optional()?;
    path.ok_or_else(|| Error::invalid("?branch", "unknown_branch", "There is no branch with this code."))
}
