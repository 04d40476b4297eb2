//! The list of customers.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Date, Error, Page, PageParams, Result,
    access::Reach,
    rule::Extent,
    schema::{branches, customer_tags, customers, personal_profiles},
    store::{MultiBackend, within},
    text_enum,
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    Customer, CustomerId, CustomerKind, CustomerRow, CustomerStatus, LifeCycleStage, present,
    profile::Gender,
    rule::Asked,
    scope, search,
    tag::{self, TagId},
    value::DataClass,
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
    /// pinyin (`zw`), with accents or without, or the beginning of the number. All words, at most 16, must fit. The
    /// best fit comes first, and `sort` may not be given; `total` is null when the words are too common to be counted. Numbers of persons (phones, documents, accounts) are for `lookup_customers`.
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
    /// Only customers that have the tag with this code today. Sensitive tags are no filter.
    #[param(max_length = 48, example = "coupon_use")]
    pub tag: Option<String>,
    /// Only customers that have the `tag` with this value.
    #[param(max_length = 200, example = "often")]
    pub tag_value: Option<String>,
    /// Order; the newest record first unless given.
    #[param(inline, example = "-created_at")]
    pub sort: Option<CustomerSort>,
    /// Only customers that meet this rule: for searches, which take it in their body.
    #[serde(skip)]
    #[param(ignore)]
    pub rule: Option<Asked>,
}

/// Customers within reach, without their sensitive fields.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`; [`Error::Invalid`] for an unknown branch or a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &CustomerFilter, params: &PageParams) -> Result<Page<Customer>> {
    if let Some(q) = &filter.q {
        return search::find(conn, actor, q, filter, params);
    }
    let chosen = Chosen::by(conn, actor, filter)?;
    let window = params.window::<CustomerId>(&conn.keys, &format!("customers?{filter:?}"))?;
    let total = if window.include_total { Some(chosen.all().count().get_result(&mut conn.db)?) } else { None };
    let mut query = chosen.query().limit(window.fetch()).select(CustomerRow::as_select());
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
#[derive(Debug)]
pub(crate) struct Chosen<'f> {
    filter: &'f CustomerFilter,
    pub(crate) reach: Reach,
    /// Path of the branch at or below which they are kept.
    pub(crate) subtree: Option<String>,
    tagged: Option<Tagged>,
}

impl<'f> Chosen<'f> {
    /// Looks up what the filters name.
    pub(crate) fn by(conn: &mut Conn, actor: &Actor, filter: &'f CustomerFilter) -> Result<Self> {
        let reach = actor.allow(Action::CustomerRead)?;
        let subtree = match &filter.branch {
            Some(code) => Some(subtree(conn, code)?),
            None => None,
        };
        let tagged = tagged(conn, actor, filter)?;
        Ok(Self { filter, reach, subtree, tagged })
    }

    /// The customers, for a query that looks at some of them until a page is full.
    pub(crate) fn query<'a>(&self) -> customers::BoxedQuery<'a, MultiBackend> {
        self.of(Extent::Some)
    }

    /// The customers, for a query that looks at all of them.
    fn all<'a>(&self) -> customers::BoxedQuery<'a, MultiBackend> {
        self.of(Extent::All)
    }

    fn of<'a>(&self, extent: Extent) -> customers::BoxedQuery<'a, MultiBackend> {
        let mut query = customers::table.filter(scope::visible_to(&self.reach)).into_boxed();
        if let Some(kind) = self.filter.kind {
            query = query.filter(customers::kind.eq(kind));
        }
        if let Some(status) = self.filter.status {
            query = query.filter(customers::status.eq(status));
        }
        if let Some(stage) = self.filter.life_cycle_stage {
            query = query.filter(customers::life_cycle_stage.eq(stage));
        }
        if let Some(tier) = self.filter.tier.clone() {
            query = query.filter(customers::tier.eq(tier));
        }
        if let Some(number) = self.filter.number.clone() {
            query = query.filter(customers::number.eq(number));
        }
        if let Some(owner) = self.filter.owner_id {
            query = query.filter(customers::owner_id.eq(owner));
        }
        if let Some(gender) = self.filter.gender {
            let of_gender =
                personal_profiles::table.filter(personal_profiles::gender.eq(gender)).select(personal_profiles::customer_id);
            query = query.filter(customers::id.eq_any(of_gender));
        }
        if let Some(path) = &self.subtree {
            let (from, to) = Reach::path_range(path);
            let below = branches::table.filter(branches::path.ge(from).and(branches::path.lt(to))).select(branches::id);
            query = query.filter(customers::home_branch_id.assume_not_null().eq_any(below));
        }
        if let Some(Tagged { tag, value, today }) = &self.tagged {
            let lasts = customer_tags::valid_to.is_null().or(customer_tags::valid_to.assume_not_null().gt(*today));
            let holding =
                customer_tags::table.filter(customer_tags::tag_id.eq(*tag)).filter(customer_tags::valid_from.le(*today));
            let mut holding = holding.filter(lasts).select(customer_tags::customer_id).into_boxed();
            if let Some(value) = value.clone() {
                holding = holding.filter(customer_tags::value.assume_not_null().eq(value));
            }
            query = query.filter(within(customers::id, holding));
        }
        if let Some(rule) = &self.filter.rule {
            query = rule.narrow(query, extent);
        }
        query
    }
}

/// A tag that customers are to have today.
#[derive(Debug)]
struct Tagged {
    tag: TagId,
    value: Option<String>,
    today: Date,
}

fn tagged(conn: &mut Conn, actor: &Actor, filter: &CustomerFilter) -> Result<Option<Tagged>> {
    let Some(code) = &filter.tag else {
        return match filter.tag_value {
            None => Ok(None),
            Some(_) => Err(Error::invalid("?tag_value", "required", "A value is that of a tag: give tag as well.")),
        };
    };
    let today = conn.now.date();
    scope::allow_inside(actor, Action::CustomerRead)?;
    let unknown = || Error::invalid("?tag", "unknown_tag", "There is no tag with this code.");
    let tag = tag::definition::by_code(conn, code)?.ok_or_else(unknown)?;
    // Such a list would show a sensitive fact of everybody on it, without a trace.
    if tag.field_class == DataClass::Sensitive || !actor.sees(tag.field_class.field_class()) {
        return Err(Error::invalid("?tag", "sensitive_tag", "Customers are not listed by a tag that may not be seen in lists."));
    }
    let value = filter.tag_value.as_deref().map(|value| tag.spell(Some(value), "?tag_value"));
    let value = value.transpose().map_err(|fault| Error::Invalid(vec![fault]))?.flatten();
    Ok(Some(Tagged { tag: tag.id, value, today }))
}

/// The path of the branch with this code.
pub(crate) fn subtree(conn: &mut Conn, code: &str) -> Result<String> {
    let path: Option<String> =
        branches::table.filter(branches::code.eq(code)).select(branches::path).first(&mut conn.db).optional()?;
    path.ok_or_else(|| Error::invalid("?branch", "unknown_branch", "There is no branch with this code."))
}
