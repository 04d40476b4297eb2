//! What Kehu holds itself of the lines of an evaluation, as they are now.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    AggregateExpressionMethods, BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl,
    dsl::{count, count_star},
};
use kehu_account_link::{account::AccountStatus, link::LinkRole, product::ProductId};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Error, Explanation, FieldError, Money, Result,
    access::FieldClass,
    schema::{account_links, accounts, group_members, products},
    store::{MultiBackend, among, sql, within},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    Decimal, EvaluatedGroup,
    line::{EvaluationCategory, EvaluationLine, EvaluationSide, Place, places},
};
use crate::{
    access,
    group::{self, GroupId},
    member::active,
};

/// What is filled in: what accounts bring and what they cost.
const INCOME: Place = (EvaluationSide::Benefit, EvaluationCategory::Sales, EvaluationLine::NetIncome);
const COST: Place = (EvaluationSide::Cost, EvaluationCategory::Sales, EvaluationLine::ProductService);

/// For which evaluation held facts are wanted.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PrefillRequest {
    /// The groups that are to be split or merged.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(length(min = 1, max = 50))]
    pub source_groups: Vec<GroupId>,
    /// The currency of the evaluation.
    pub currency: Currency,
    /// How many months the amounts are to span.
    #[schema(minimum = 1, maximum = 600, example = 12)]
    #[validate(range(min = 1, max = 600))]
    pub horizon_months: i32,
}

/// The lines of an evaluation as far as Kehu holds them today, of the customers and accounts that the caller may read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EvaluationPrefill {
    /// The groups that are to be split or merged.
    #[schema(max_items = 50)]
    pub source_groups: Vec<EvaluatedGroup>,
    /// The day of which the facts are.
    pub as_of: Date,
    /// The currency of all amounts.
    pub currency: Currency,
    /// How many months the amounts span.
    #[schema(minimum = 1, maximum = 600)]
    pub horizon_months: i32,
    /// How many customers the groups have together, each counted once.
    #[schema(minimum = 0)]
    pub customer_count: i64,
    /// How many accounts these customers own or owe, each counted once; closed ones left out.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// The lines that are held, for `items` of the evaluation; `after` is for whoever plans the step.
    #[schema(max_items = 100)]
    pub items: Vec<PrefilledItem>,
    /// The lines that are not held, and why.
    #[schema(max_items = 100)]
    pub left_out: Vec<UnknownItem>,
    /// From what the lines come.
    pub explanation: Explanation,
}

/// A line that is held.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct PrefilledItem {
    /// The side on which it stands.
    pub side: EvaluationSide,
    /// The category in which it stands.
    pub category: EvaluationCategory,
    /// The line.
    pub line: EvaluationLine,
    /// What it is over the whole horizon if nothing changes, in the major unit of the currency.
    pub before: Decimal,
    /// From how many accounts it comes.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// How many accounts are not in it, because their product does not say what one of it is worth in this currency.
    #[schema(minimum = 0)]
    pub unknown_account_count: i64,
}

/// A line that is not held.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnknownItem {
    /// The side on which it stands.
    pub side: EvaluationSide,
    /// The category in which it stands.
    pub category: EvaluationCategory,
    /// The line.
    pub line: EvaluationLine,
    /// Why it is left out.
    #[schema(max_length = 200)]
    pub reason: String,
}

/// Accounts of one product, and what one of them earns and costs in a year, in minor units of the currency that was asked for.
pub(crate) struct Held {
    pub product: String,
    pub count: i64,
    pub revenue: Option<i64>,
    pub cost: Option<i64>,
}

/// A product's code and currency, and what one account of it earns and costs.
type Worth = (String, Currency, Option<i64>, Option<i64>);

/// What is held of the lines of an evaluation.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`, `account.read` and the right to see amounts; [`Error::Invalid`] for groups that do
/// not exist.
pub fn prefill(conn: &mut Conn, actor: &Actor, request: &PrefillRequest) -> Result<EvaluationPrefill> {
    access::read(actor)?;
    actor.allow(Action::AccountRead)?;
    if !actor.sees(FieldClass::Internal) {
        return Err(Error::Forbidden("Amounts are shown to roles that see internal fields.".into()));
    }
    let source_groups = sources(conn, &request.source_groups)?;
    let as_of = conn.now.date();
    let (customer_count, held) = held(conn, actor, request, as_of)?;
    let mut explanation = Explanation::new("group.prefill", 1)
        .input("as_of", as_of.to_string())
        .input("horizon_months", request.horizon_months)
        .input("customers", customer_count)
        .input("products", held.len());
    let (mut items, mut left_out) = (Vec::new(), Vec::new());
    for place in places() {
        let worth = |held: &Held| match place {
            INCOME => held.revenue,
            COST => held.cost,
            _ => None,
        };
        match line(place, request, &held, worth, &mut explanation)? {
            Some(item) => items.push(item),
            None => {
                left_out.push(UnknownItem { side: place.0, category: place.1, line: place.2, reason: unknown(place).to_owned() })
            }
        }
    }
    let account_count = held.iter().map(|held| held.count).sum();
    let (currency, horizon_months) = (request.currency, request.horizon_months);
    Ok(EvaluationPrefill {
        source_groups,
        as_of,
        currency,
        horizon_months,
        customer_count,
        account_count,
        items,
        left_out,
        explanation,
    })
}

/// Why a line is not held.
fn unknown(place: Place) -> &'static str {
    match place {
        INCOME => "no product of these accounts says in this currency what an account earns",
        COST => "no product of these accounts says in this currency what an account costs",
        _ => "Kehu holds no facts of this line",
    }
}

fn sources(conn: &mut Conn, ids: &[GroupId]) -> Result<Vec<EvaluatedGroup>> {
    let names = group::names(conn, ids.iter().copied())?;
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    let mut found = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/source_groups/{index}");
        match names.get(id) {
            _ if !seen.insert(*id) => broken.push(FieldError::new(pointer, "duplicate", "This group stands here twice.")),
            None => broken.push(FieldError::new(pointer, "unknown_group", "There is no group with this id.")),
            Some(name) => found.push(EvaluatedGroup { group_id: Some(*id), name: name.clone() }),
        }
    }
    if broken.is_empty() { Ok(found) } else { Err(Error::Invalid(broken)) }
}

/// How many customers the groups have whose accounts the actor may read, and these accounts by their products.
fn held(conn: &mut Conn, actor: &Actor, request: &PrefillRequest, day: Date) -> Result<(i64, Vec<Held>)> {
    let (reading, banking) = (access::members_within(actor), actor.allow(Action::AccountRead)?);
    let members = || {
        group_members::table
            .filter(among(group_members::group_id, request.source_groups.clone()))
            .filter(active(day))
            .filter(kehu_customer::of_visible(group_members::customer_id, &reading))
            .filter(kehu_customer::of_visible(group_members::customer_id, &banking))
    };
    let customers: i64 = members().select(count(group_members::customer_id).aggregate_distinct()).first(&mut conn.db)?;
    let links = held_links(day);
    let members = members().select(group_members::customer_id).into_boxed::<MultiBackend>();
    Ok((customers, by_product(conn, links.filter(within(account_links::customer_id, members)), request.currency)?))
}

/// The accounts that customers own or owe on a day, for one more condition on `account_links::customer_id`.
pub(crate) fn held_links(day: Date) -> account_links::BoxedQuery<'static, MultiBackend, sql::Uuid> {
    let open = account_links::valid_to.is_null().or(account_links::valid_to.assume_not_null().gt(day));
    account_links::table
        .filter(account_links::role.eq_any([LinkRole::Owner, LinkRole::JointOwner, LinkRole::Borrower, LinkRole::CoBorrower]))
        .filter(account_links::valid_from.le(day))
        .filter(open)
        .select(account_links::account_id)
        .into_boxed()
}

/// The accounts of these links by their products, each once; closed ones left out.
pub(crate) fn by_product(
    conn: &mut Conn,
    links: account_links::BoxedQuery<'static, MultiBackend, sql::Uuid>,
    currency: Currency,
) -> Result<Vec<Held>> {
    let counts: Vec<(ProductId, i64)> = accounts::table
        .filter(accounts::status.ne(AccountStatus::Closed))
        .filter(within(accounts::id, links))
        .group_by(accounts::product_id)
        .order(accounts::product_id)
        .select((accounts::product_id, count_star()))
        .load(&mut conn.db)?;
    let worth = (products::code, products::currency, products::unit_revenue_minor, products::unit_cost_minor);
    let known: Vec<(ProductId, Worth)> = products::table
        .filter(among(products::id, counts.iter().map(|(id, _)| *id).collect()))
        .select((products::id, worth))
        .load(&mut conn.db)?;
    let known: HashMap<ProductId, Worth> = known.into_iter().collect();
    let of = |(id, count): (ProductId, i64)| {
        let (product, of, revenue, cost) = known.get(&id).cloned()?;
        let same = of == currency;
        Some(Held { product, count, revenue: revenue.filter(|_| same), cost: cost.filter(|_| same) })
    };
    Ok(counts.into_iter().filter_map(of).collect())
}

/// What one account is worth in a year, times the accounts, times the years: rounded once, half away from zero.
fn line(
    place: Place,
    request: &PrefillRequest,
    held: &[Held],
    worth: impl Fn(&Held) -> Option<i64>,
    explanation: &mut Explanation,
) -> Result<Option<PrefilledItem>> {
    let valued: Vec<(&Held, i64)> = held.iter().filter_map(|held| Some((held, worth(held)?))).collect();
    if valued.is_empty() {
        return Ok(None);
    }
    let all = |held: &mut dyn Iterator<Item = i64>| held.sum::<i64>();
    let account_count = all(&mut valued.iter().map(|(held, _)| held.count));
    let yearly: i128 = valued.iter().map(|(held, unit)| i128::from(held.count) * i128::from(*unit)).sum();
    let months = yearly * i128::from(request.horizon_months);
    let rounded = (months + months.signum() * 6) / 12;
    let minor = i64::try_from(rounded).map_err(Error::internal)?;
    let before = Decimal::from_minor(minor, request.currency.digits());
    let before =
        before.ok_or_else(|| Error::conflict("out_of_range", "The sums of these groups are too large to be evaluated."))?;
    for (held, unit) in valued {
        let unit = Money::new(unit, request.currency);
        let check = format!("{} {}: product {}", place.1, place.2, held.product);
        explanation.step(&check, true, format!("{} accounts at {unit} a year", held.count));
    }
    Ok(Some(PrefilledItem {
        side: place.0,
        category: place.1,
        line: place.2,
        before,
        account_count,
        unknown_account_count: all(&mut held.iter().map(|held| held.count)) - account_count,
    }))
}
