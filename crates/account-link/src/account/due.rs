//! What falls due when: maturities, repayments and dividends of the accounts of a portfolio, for reminders.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Page, PageParams, Reference, Result,
    access::Reach,
    schema::{account_links, accounts, assignments},
    store::{MultiBackend, among, within},
    text_enum,
};
use kehu_organization::staff::StaffId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Account, AccountId, AccountRow, AccountStatus, present};
use crate::{
    link::{LinkRole, LinkRow, customer_names},
    own_links::of_the_living,
    scope,
};

/// How far ahead is looked unless a last day is given.
const AHEAD_DAYS: i64 = 30;
/// The most customers that are named of one account.
const NAMED: usize = 20;

text_enum! {
    /// What falls due.
    pub enum DueKind {
        /// The account matures.
        Maturity = "maturity",
        /// A repayment of the loan.
        Repayment = "repayment",
        /// A dividend, or other income, is paid out.
        Dividend = "dividend",
    }
}

/// Filters of the list of what falls due.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DueFilter {
    /// Only this kind.
    #[param(inline, example = "maturity")]
    pub kind: Option<DueKind>,
    /// The first day; today unless given.
    #[param(example = "2026-01-01")]
    pub from: Option<Date>,
    /// The last day; the thirtieth after the first unless given.
    #[param(example = "2026-01-31")]
    pub until: Option<Date>,
    /// Only accounts of customers whom this person looks after now, in any role.
    pub staff_id: Option<StaffId>,
    /// Only accounts to which this customer is linked today, in any role.
    pub customer_id: Option<CustomerId>,
}

/// A day on which something falls due on an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountDueDate {
    /// The day.
    pub due_on: Date,
    /// What falls due.
    pub kind: DueKind,
    /// The account.
    pub account: Account,
    /// Who owns it or owes it today; a name is hidden when the customer is out of the caller's sight.
    #[schema(max_items = 20)]
    pub customers: Vec<Reference>,
}

/// The place of an entry in the list: day, account, kind.
type Due = (Date, AccountId, DueKind);

/// Boxed selections of one column of ids.
type Ids<'a, T> = diesel::helper_types::IntoBoxed<'a, T, MultiBackend>;

/// What falls due on accounts within reach that are not closed, the earliest day first.
///
/// # Errors
/// [`Error::Forbidden`] without `account.read`; [`Error::Invalid`] for a bad page request or a last day before the first.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &DueFilter, params: &PageParams) -> Result<Page<AccountDueDate>> {
    let reach = actor.allow(Action::AccountRead)?;
    let window = params.window::<Due>(&conn.keys, &format!("account-due-dates?{filter:?}"))?;
    let from = filter.from.unwrap_or_else(|| conn.now.date());
    let until = filter.until.unwrap_or_else(|| from.plus_days(AHEAD_DAYS));
    if until < from {
        return Err(Error::invalid("?until", "before_start", "The last day cannot be before the first."));
    }
    let customers = filter.customer_id.map(|id| kehu_customer::scope::lineage(conn, id)).transpose()?;
    let search = Search { reach, from, until, staff: filter.staff_id, customers };
    let kinds = filter.kind.map_or_else(|| DueKind::ALL.to_vec(), |kind| vec![kind]);
    let (mut total, mut found) = (window.include_total.then_some(0), Vec::new());
    for kind in kinds {
        if let Some(total) = &mut total {
            *total += search.count(conn, kind)?;
        }
        found.extend(search.next(conn, kind, window.after, window.fetch())?);
    }
    // Each kind has its own index: the first of each, put together, hold the first of all.
    found.sort_unstable();
    found.truncate(usize::try_from(window.fetch()).map_err(Error::internal)?);
    let page = window.page(&conn.keys, found, total, |due| *due)?;
    complete(conn, actor, page)
}

struct Search {
    reach: Reach,
    from: Date,
    until: Date,
    staff: Option<StaffId>,
    customers: Option<Vec<CustomerId>>,
}

/// The accounts on which the day of one column lies in the time that is asked for.
macro_rules! due_by {
    ($search:expr, $conn:expr, $column:ident) => {
        $search
            .accounts($conn)
            .filter(accounts::$column.assume_not_null().ge($search.from))
            .filter(accounts::$column.assume_not_null().le($search.until))
    };
}

/// The next of them after the last one of the page before.
macro_rules! next_by {
    ($search:expr, $conn:expr, $column:ident, $kind:expr, $after:expr, $limit:expr) => {{
        let mut query = due_by!($search, $conn, $column);
        if let Some((day, id, kind)) = $after {
            let column = accounts::$column.assume_not_null();
            query = query.filter(column.ge(day));
            // Entries of one account and day stand in the order of their kinds.
            query = if $kind > kind {
                query.filter(column.gt(day).or(accounts::id.ge(id)))
            } else {
                query.filter(column.gt(day).or(accounts::id.gt(id)))
            };
        }
        query
            .order((accounts::$column, accounts::id))
            .limit($limit)
            .select((accounts::$column.assume_not_null(), accounts::id))
            .load::<(Date, AccountId)>(&mut $conn.db)?
    }};
}

impl Search {
    fn accounts(&self, conn: &Conn) -> Ids<'static, accounts::table> {
        let open = accounts::status.ne(AccountStatus::Closed);
        let mut query = accounts::table.filter(scope::visible_to(conn, &self.reach)).filter(open).into_boxed();
        let today = conn.now.date();
        if let Some(staff) = self.staff {
            let assigned = assignments::table
                .filter(assignments::staff_id.eq(staff))
                .filter(assignments::valid_to.is_null())
                .select(assignments::customer_id)
                .into_boxed();
            let held = account_links::table
                .filter(scope::active(today))
                .filter(within(account_links::customer_id, assigned))
                .select(account_links::account_id)
                .into_boxed();
            query = query.filter(within(accounts::id, held));
        }
        if let Some(customers) = &self.customers {
            let held = account_links::table
                .filter(scope::active(today))
                .filter(account_links::customer_id.eq_any(customers.clone()))
                .select(account_links::account_id)
                .into_boxed();
            query = query.filter(within(accounts::id, held));
        }
        query
    }

    fn count(&self, conn: &mut Conn, kind: DueKind) -> Result<i64> {
        let count = match kind {
            DueKind::Maturity => due_by!(self, conn, matures_on).count().get_result(&mut conn.db),
            DueKind::Repayment => due_by!(self, conn, next_repayment_on).count().get_result(&mut conn.db),
            DueKind::Dividend => due_by!(self, conn, next_dividend_on).count().get_result(&mut conn.db),
        };
        Ok(count?)
    }

    fn next(&self, conn: &mut Conn, kind: DueKind, after: Option<Due>, limit: i64) -> Result<Vec<Due>> {
        let rows = match kind {
            DueKind::Maturity => next_by!(self, conn, matures_on, kind, after, limit),
            DueKind::Repayment => next_by!(self, conn, next_repayment_on, kind, after, limit),
            DueKind::Dividend => next_by!(self, conn, next_dividend_on, kind, after, limit),
        };
        Ok(rows.into_iter().map(|(day, id)| (day, id, kind)).collect())
    }
}

/// The entries of a page with their accounts and customers, in a fixed number of queries.
fn complete(conn: &mut Conn, actor: &Actor, page: Page<Due>) -> Result<Page<AccountDueDate>> {
    let ids: BTreeSet<AccountId> = page.items.iter().map(|(_, id, _)| *id).collect();
    let ids: Vec<AccountId> = ids.into_iter().collect();
    let rows: Vec<AccountRow> =
        accounts::table.filter(among(accounts::id, ids.clone())).select(AccountRow::as_select()).load(&mut conn.db)?;
    let shown: HashMap<AccountId, Account> =
        present(conn, actor, rows)?.into_iter().map(|account| (account.id, account)).collect();
    let parties = parties(conn, &ids)?;
    let names = customer_names(conn, actor, parties.values().flatten().copied())?;
    let reference = |id: &CustomerId| Reference::new(*id, names.get(id).cloned().unwrap_or_default());
    let entry = |(due_on, id, kind): Due| {
        let customers = parties.get(&id).into_iter().flatten().take(NAMED).map(reference).collect();
        let account = shown.get(&id).cloned().ok_or_else(|| Error::internal("a due date without its account"))?;
        Ok(AccountDueDate { due_on, kind, account, customers })
    };
    let items = page.items.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// Who owns these accounts, or owes them, today.
fn parties(conn: &mut Conn, ids: &[AccountId]) -> Result<BTreeMap<AccountId, BTreeSet<CustomerId>>> {
    const ROLES: [LinkRole; 4] = [LinkRole::Owner, LinkRole::JointOwner, LinkRole::Borrower, LinkRole::CoBorrower];
    let mut rows: Vec<LinkRow> = account_links::table
        .filter(among(account_links::account_id, ids.to_vec()))
        .filter(scope::active(conn.now.date()))
        .filter(account_links::role.eq_any(ROLES))
        .select(LinkRow::as_select())
        .load(&mut conn.db)?;
    of_the_living(conn, &mut rows)?;
    let mut parties: BTreeMap<AccountId, BTreeSet<CustomerId>> = BTreeMap::new();
    for row in rows {
        parties.entry(row.account_id).or_default().insert(row.customer_id);
    }
    Ok(parties)
}
