//! What a group by a rule would be, before there is one.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::count_star};
use kehu_customer::{CustomerId, rule::Asked};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Error, Explanation, Money, Reference, Result, Rule,
    access::{FieldClass, Reach},
    schema::{account_links, customers, group_members},
    store::within,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    access,
    evaluation::{by_product, held_links},
    group::{self, GroupId},
    member::active,
    rule,
};

/// How many groups an answer names.
const MOST: i64 = 20;

/// A group to be looked at before there is one.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupPreviewRequest {
    /// Who would be in it.
    pub rule: Rule,
    /// How many customers to show, 0 to 50; 10 unless given.
    #[schema(minimum = 0, maximum = 50, example = 10)]
    #[validate(range(min = 0, max = 50))]
    pub sample_size: Option<i64>,
    /// The currency in which to estimate what serving them costs; nothing is estimated unless given.
    pub currency: Option<Currency>,
}

/// What a group would be today, of the customers whom the caller sees.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupPreview {
    /// The day.
    pub as_of: Date,
    /// How many customers would be in it.
    #[schema(minimum = 0)]
    pub customer_count: i64,
    /// How many customers the caller sees in all.
    #[schema(minimum = 0)]
    pub all_customer_count: i64,
    /// Some who would be in it, the newest records first.
    #[schema(max_items = 50)]
    pub sample: Vec<Reference>,
    /// Groups of which some would be members, too: those with most first, at most 20.
    #[schema(max_items = 20)]
    pub overlaps: Vec<GroupPreviewOverlap>,
    /// What serving them costs; null unless a currency is given, and for callers who may not read accounts or see amounts.
    pub cost: Option<GroupPreviewCost>,
}

/// A group that shares customers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupPreviewOverlap {
    /// The group.
    pub group: Reference,
    /// How many of its members of today would be in both.
    #[schema(minimum = 1)]
    pub shared_count: i64,
}

/// What serving customers costs, estimated from the products of the accounts that they own or owe, each account once and without
/// closed ones.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupPreviewCost {
    /// What these accounts cost in a year.
    pub yearly: Money,
    /// How many accounts that is.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// How many accounts are not in it, because their product does not say in this currency what one of it costs.
    #[schema(minimum = 0)]
    pub unknown_account_count: i64,
    /// From which products it comes.
    pub explanation: Explanation,
}

/// What a group by a rule would be today.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`, `customer.read` or what the rule asks for; [`Error::Invalid`] for faults of the
/// rule.
pub fn preview(conn: &mut Conn, actor: &Actor, request: &GroupPreviewRequest) -> Result<GroupPreview> {
    access::read(actor)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let asked = Asked::new(conn, actor, rule::customers(), &request.rule, "/rule")?;
    let sample_size = request.sample_size.unwrap_or(10);
    let customer_count = asked.customers(&reach).count().get_result(&mut conn.db)?;
    let all = customers::table.filter(kehu_customer::visible_to(&reach));
    let all_customer_count = all.count().get_result(&mut conn.db)?;
    let named = asked.customers(&reach).order(customers::id.desc()).limit(sample_size);
    let named: Vec<(CustomerId, String)> = named.select((customers::id, customers::display_name)).load(&mut conn.db)?;
    Ok(GroupPreview {
        as_of: conn.now.date(),
        customer_count,
        all_customer_count,
        sample: named.into_iter().map(|(id, name)| Reference::new(id, name)).collect(),
        overlaps: overlaps(conn, &asked, &reach)?,
        cost: match request.currency {
            Some(currency) => cost(conn, actor, &asked, &reach, currency)?,
            None => None,
        },
    })
}

fn overlaps(conn: &mut Conn, asked: &Asked, reach: &Reach) -> Result<Vec<GroupPreviewOverlap>> {
    let members = asked.customers(reach).select(customers::id);
    let shared: Vec<(GroupId, i64)> = group_members::table
        .filter(active(conn.now.date()))
        .filter(within(group_members::customer_id, members))
        .group_by(group_members::group_id)
        .order((count_star().desc(), group_members::group_id))
        .limit(MOST)
        .select((group_members::group_id, count_star()))
        .load(&mut conn.db)?;
    let names = group::names(conn, shared.iter().map(|(id, _)| *id))?;
    let of = |(id, shared_count): (GroupId, i64)| GroupPreviewOverlap {
        group: Reference::new(id, names.get(&id).cloned().unwrap_or_default()),
        shared_count,
    };
    Ok(shared.into_iter().map(of).collect())
}

fn cost(conn: &mut Conn, actor: &Actor, asked: &Asked, reach: &Reach, currency: Currency) -> Result<Option<GroupPreviewCost>> {
    let Some(banking) = actor.reach(Action::AccountRead).filter(|_| actor.sees(FieldClass::Internal)) else {
        return Ok(None);
    };
    let both = asked.customers(reach).filter(kehu_customer::visible_to(&banking));
    let links = held_links(conn.now.date()).filter(within(account_links::customer_id, both.select(customers::id)));
    let held = by_product(conn, links, currency)?;
    let mut explanation = Explanation::new("group.preview_cost", 1).input("products", held.len());
    let (mut yearly, mut account_count, mut unknown_account_count) = (0_i64, 0, 0);
    for held in held {
        let Some(unit) = held.cost else {
            unknown_account_count += held.count;
            continue;
        };
        let cost = held.count.checked_mul(unit).and_then(|cost| yearly.checked_add(cost));
        yearly =
            cost.ok_or_else(|| Error::conflict("out_of_range", "The sums of these groups are too large to be evaluated."))?;
        account_count += held.count;
        let unit = Money::new(unit, currency);
        explanation.step(&format!("product {}", held.product), true, format!("{} accounts at {unit} a year", held.count));
    }
    Ok(Some(GroupPreviewCost { yearly: Money::new(yearly, currency), account_count, unknown_account_count, explanation }))
}
