//! Lists of accounts.

use diesel::{ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Id, Page, PageParams, Result,
    schema::{accounts, cards, loans, products},
};
use kehu_organization::branch::{Branch, BranchId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Account, AccountId, AccountRow, AccountStatus, facts::RepaymentState, present};
use crate::{product::ProductCategory, scope};

/// Filters of the list of accounts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccountFilter {
    /// Only accounts of products of this category.
    #[param(inline, example = "loan")]
    pub category: Option<ProductCategory>,
    /// Only accounts of the product with this code.
    #[param(max_length = 64, example = "SAV-CNY")]
    pub product_code: Option<String>,
    /// Only this status.
    #[param(inline, example = "active")]
    pub status: Option<AccountStatus>,
    /// Only accounts that this branch itself keeps.
    pub branch_id: Option<BranchId>,
    /// Only loans in this state.
    #[param(inline, example = "overdue")]
    pub repayment_state: Option<RepaymentState>,
    /// Only cards of this kind.
    #[param(max_length = 32, example = "gold")]
    pub card_kind: Option<String>,
    /// Only accounts that belong to this one: its loans and cards.
    pub parent_account_id: Option<AccountId>,
    /// Only accounts of this source system.
    #[param(max_length = 32, example = "core")]
    pub source_system: Option<String>,
}

type Boxed<'a> = accounts::BoxedQuery<'a, kehu_kernel::store::MultiBackend>;

/// Accounts within reach, oldest record first.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `account.read`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &AccountFilter, params: &PageParams) -> Result<Page<Account>> {
    let reach = actor.allow(Action::AccountRead)?;
    let window = params.window::<AccountId>(&conn.keys, &format!("accounts?{filter:?}"))?;
    let matching = |conn: &Conn| filter.apply(accounts::table.filter(scope::visible_to(conn, &reach)).into_boxed());
    let total = if window.include_total { Some(matching(conn).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(conn).order(accounts::id).limit(window.fetch()).select(AccountRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(accounts::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &AccountRow| row.id)?;
    let items = present(conn, actor, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

impl AccountFilter {
    fn apply<'a>(&self, mut query: Boxed<'a>) -> Boxed<'a> {
        if let Some(category) = self.category {
            let of = products::table.filter(products::category.eq(category)).select(products::id);
            query = query.filter(accounts::product_id.eq_any(of));
        }
        if let Some(code) = &self.product_code {
            let of = products::table.filter(products::code.eq(code.clone())).select(products::id);
            query = query.filter(accounts::product_id.eq_any(of));
        }
        if let Some(status) = self.status {
            query = query.filter(accounts::status.eq(status));
        }
        if let Some(branch) = self.branch_id {
            query = query.filter(accounts::branch_id.eq(Id::<Branch>::cast::<()>(branch)));
        }
        if let Some(state) = self.repayment_state {
            let of = loans::table.filter(loans::repayment_state.eq(state)).select(loans::account_id);
            query = query.filter(accounts::id.eq_any(of));
        }
        if let Some(kind) = &self.card_kind {
            let of = cards::table.filter(cards::kind.eq(kind.clone())).select(cards::account_id);
            query = query.filter(accounts::id.eq_any(of));
        }
        if let Some(parent) = self.parent_account_id {
            query = query.filter(accounts::parent_account_id.assume_not_null().eq(parent));
        }
        if let Some(system) = &self.source_system {
            query = query.filter(accounts::source_system.eq(system.clone()));
        }
        query
    }
}
