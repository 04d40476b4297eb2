//! Reading the tags of a customer.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Date, Error, Page, PageParams, Result, Tx,
    audit::{self, Access},
    page::counted,
    schema::{customer_tags, tag_domains, tags},
    store::{MultiBackend, among, listed},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    customer_tag::{CustomerTag, CustomerTagId, Row},
    definition::{Tag, TagId},
};
use crate::{
    CustomerId, present, scope,
    value::{DataClass, shown_classes},
};

/// Filters of the tags of a customer.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CustomerTagFilter {
    /// Only the tag with this code.
    #[param(max_length = 48, example = "coupon_use")]
    pub tag: Option<String>,
    /// Only tags of the domain with this code.
    #[param(max_length = 48, example = "benefits")]
    pub domain: Option<String>,
    /// Only tags that hold on this day.
    pub as_of: Option<Date>,
}

/// Tags of a customer, ended ones included, oldest record first; without sensitive ones.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Forbidden`] for customers; [`Error::Invalid`] for a bad
/// page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerTagFilter,
    params: &PageParams,
) -> Result<Page<CustomerTag>> {
    read(conn, actor, customer, filter, params, false)
}

/// As [`list`], with sensitive tags when the actor may see them; that is recorded.
///
/// # Errors
/// As [`list`].
pub fn disclose(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerTagFilter,
    params: &PageParams,
) -> Result<Page<CustomerTag>> {
    let page = read(tx, actor, customer, filter, params, present::shows_sensitive(actor))?;
    let mut codes: Vec<&str> =
        page.items.iter().filter(|tag| tag.field_class == DataClass::Sensitive).map(|tag| tag.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    if !codes.is_empty() {
        note_shown(tx, actor, customer, customer.cast(), &codes)?;
    }
    Ok(page)
}

/// One tag of a customer; a sensitive one is not found.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] for customers.
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: CustomerTagId) -> Result<CustomerTag> {
    single(conn, actor, customer, id, false)
}

/// As [`get`], with sensitive tags when the actor may see them; that is recorded.
///
/// # Errors
/// As [`get`].
pub fn disclose_one(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, id: CustomerTagId) -> Result<CustomerTag> {
    let tag = single(tx, actor, customer, id, present::shows_sensitive(actor))?;
    if tag.field_class == DataClass::Sensitive {
        note_shown(tx, actor, customer, id.cast(), &[tag.code.as_str()])?;
    }
    Ok(tag)
}

fn single(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: CustomerTagId, sensitive: bool) -> Result<CustomerTag> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let of = matching(customer, &CustomerTagFilter::default(), &shown_classes(actor, sensitive));
    let row: Row = of.filter(customer_tags::id.eq(id)).select(Row::as_select()).first(&mut conn.db)?;
    named(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

/// What a view shows: tags that hold today, the newest first, without sensitive ones; and how many there are. The caller has
/// checked that the actor may read the customer, and sees what the bank keeps for itself.
pub(crate) fn shown_in_view(conn: &mut Conn, actor: &Actor, customer: CustomerId, limit: i64) -> Result<(Vec<CustomerTag>, i64)> {
    let filter = CustomerTagFilter { as_of: Some(conn.now.date()), ..CustomerTagFilter::default() };
    let classes = shown_classes(actor, false);
    let newest = matching(customer, &filter, &classes).order(customer_tags::id.desc()).limit(limit.saturating_add(1));
    let rows: Vec<Row> = newest.select(Row::as_select()).load(&mut conn.db)?;
    let (rows, count) = counted(rows, limit, || Ok(matching(customer, &filter, &classes).count().get_result(&mut conn.db)?))?;
    Ok((named(conn, rows)?, count))
}

/// What a privacy export hands out: every tag of these customers, sensitive ones included.
pub(crate) fn exported(conn: &mut Conn, customers: &[CustomerId]) -> Result<Vec<Value>> {
    let of = customer_tags::table.filter(customer_tags::customer_id.eq_any(customers)).order(customer_tags::id);
    let rows: Vec<Row> = of.select(Row::as_select()).load(&mut conn.db)?;
    let tags = named(conn, rows)?;
    tags.iter().map(|tag| serde_json::to_value(tag).map_err(Error::internal)).collect()
}

fn read(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerTagFilter,
    params: &PageParams,
    sensitive: bool,
) -> Result<Page<CustomerTag>> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<CustomerTagId>(&conn.keys, &format!("customer-tags/{customer}?{filter:?}"))?;
    let classes = shown_classes(actor, sensitive);
    let matching = || matching(customer, filter, &classes);
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(customer_tags::id).limit(window.fetch()).select(Row::as_select());
    if let Some(after) = window.after {
        query = query.filter(customer_tags::id.gt(after));
    }
    let rows: Vec<Row> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Row| row.id)?;
    Ok(Page { items: named(conn, page.items)?, next_cursor: page.next_cursor, total: page.total })
}

fn matching<'a>(
    customer: CustomerId,
    filter: &CustomerTagFilter,
    classes: &[DataClass],
) -> customer_tags::BoxedQuery<'a, MultiBackend> {
    let shown =
        tags::table.filter(listed(tags::field_class, classes.iter().map(|class| class.as_str()).collect())).select(tags::id);
    let of = customer_tags::table.filter(customer_tags::customer_id.eq(customer));
    let mut query = of.filter(customer_tags::tag_id.eq_any(shown)).into_boxed();
    if let Some(code) = filter.tag.clone() {
        query = query.filter(customer_tags::tag_id.eq_any(tags::table.filter(tags::code.eq(code)).select(tags::id)));
    }
    if let Some(code) = filter.domain.clone() {
        let domain = tag_domains::table.filter(tag_domains::code.eq(code)).select(tag_domains::id);
        let inside = tags::table.filter(tags::tag_domain_id.eq_any(domain)).select(tags::id);
        query = query.filter(customer_tags::tag_id.eq_any(inside));
    }
    if let Some(day) = filter.as_of {
        let lasts = customer_tags::valid_to.is_null().or(customer_tags::valid_to.assume_not_null().gt(day));
        query = query.filter(customer_tags::valid_from.le(day).and(lasts));
    }
    query
}

/// Rows with the names of their tags, in the same order.
fn named(conn: &mut Conn, rows: Vec<Row>) -> Result<Vec<CustomerTag>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids: Vec<TagId> = rows.iter().map(|row| row.tag_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let known: Vec<(Tag, String)> = tags::table
        .inner_join(tag_domains::table.on(tag_domains::id.eq(tags::tag_domain_id)))
        .filter(among(tags::id, ids))
        .select((Tag::as_select(), tag_domains::code))
        .load(&mut conn.db)?;
    let known: HashMap<TagId, (Tag, String)> = known.into_iter().map(|(tag, domain)| (tag.id, (tag, domain))).collect();
    let shown = |row: Row| known.get(&row.tag_id).cloned().map(|(tag, domain)| row.shown(&tag, &domain));
    Ok(rows.into_iter().filter_map(shown).collect())
}

/// Records that sensitive tags were shown.
pub(super) fn note_shown(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, resource_id: AnyId, codes: &[&str]) -> Result<()> {
    let access = Access {
        customer_id: Some(customer.cast()),
        resource: "customer_tag",
        resource_id,
        action: Action::CustomerRead.as_str(),
        fields: codes,
    };
    audit::record(tx, actor, access)
}
