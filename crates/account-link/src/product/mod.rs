//! Products of the bank, with rates that hold from a day on.

use diesel::{AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_customer::CustomerKind;
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Currency, Date, Error, FieldError, Id, Instant, Money, Result, Tx,
    error::taken,
    event::NewEvent,
    json::Json,
    patch,
    schema::{product_rates, products},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

mod kind;
mod list;
mod rate;

pub use kind::{ProductCategory, ProductStatus, RateKind};
pub use list::{ProductFilter, list};
pub use rate::{NewProductRate, set_rate};

/// Identifier of a product.
pub type ProductId = Id<Product>;

/// A product of the bank.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Product {
    /// Identifier of the product.
    pub id: ProductId,
    /// The bank's own code of the product; unique, and never changed.
    #[schema(example = "SAV-CNY", max_length = 64)]
    pub code: String,
    /// Name of the product.
    #[schema(example = "Savings account", max_length = 200)]
    pub name: String,
    /// What kind of product it is.
    pub category: ProductCategory,
    /// Which kinds of customers may have it; empty for all.
    #[schema(max_items = 3)]
    pub for_kinds: Vec<CustomerKind>,
    /// What it offers, in words.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 50)]
    pub features: Vec<String>,
    /// First day on which it is sold.
    pub launch_from: Option<Date>,
    /// Last day on which it is sold.
    pub launch_to: Option<Date>,
    /// Whether it is on offer.
    pub status: ProductStatus,
    /// Currency of its accounts unless they say otherwise.
    pub currency: Currency,
    /// What one account earns the bank in a year.
    pub unit_revenue: Option<Money>,
    /// What one account costs the bank in a year.
    pub unit_cost: Option<Money>,
    /// Rates, past, present and future, in the order of their kind and first day; the latest 200.
    #[schema(max_items = 200)]
    pub rates: Vec<ProductRate>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A rate of a product, for a stretch of days.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = product_rates)]
pub struct ProductRate {
    #[serde(skip)]
    id: Id<ProductRate>,
    #[serde(skip)]
    product_id: ProductId,
    /// What it is a rate of.
    pub kind: RateKind,
    /// The rate.
    pub value_bp: BasisPoints,
    /// For amounts of this currency.
    pub currency: Currency,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The day from which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
}

/// The row of a product.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = products)]
pub(crate) struct ProductRow {
    pub id: ProductId,
    pub code: String,
    pub name: String,
    pub category: ProductCategory,
    pub for_kinds: Json<Vec<CustomerKind>>,
    pub features: Json<Vec<String>>,
    pub launch_from: Option<Date>,
    pub launch_to: Option<Date>,
    pub status: ProductStatus,
    pub currency: Currency,
    pub unit_revenue_minor: Option<i64>,
    pub unit_cost_minor: Option<i64>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

/// A product to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// The bank's own code of the product: letters, digits, `-` and `_`; unique.
    #[schema(example = "SAV-CNY", min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 64), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the product.
    #[schema(example = "Savings account", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// What kind of product it is; never changed.
    pub category: ProductCategory,
    /// Which kinds of customers may have it; all unless given.
    #[schema(max_items = 3)]
    #[validate(length(max = 3))]
    #[serde(default)]
    pub for_kinds: Vec<CustomerKind>,
    /// What it offers, in words.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 50)]
    #[validate(length(max = 50), custom(function = "kehu_kernel::limits::lines"))]
    #[serde(default)]
    pub features: Vec<String>,
    /// First day on which it is sold.
    pub launch_from: Option<Date>,
    /// Last day on which it is sold; not before the first.
    pub launch_to: Option<Date>,
    /// Whether it is on offer; `active` unless given.
    pub status: Option<ProductStatus>,
    /// Currency of its accounts unless they say otherwise.
    pub currency: Currency,
    /// What one account earns the bank in a year; in the product's currency.
    pub unit_revenue: Option<Money>,
    /// What one account costs the bank in a year; in the product's currency.
    pub unit_cost: Option<Money>,
}

/// Changes to a product; what is absent stays.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ProductPatch {
    /// Name of the product.
    #[schema(nullable = false, value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Which kinds of customers may have it; empty for all.
    #[schema(nullable = false, value_type = Option<Vec<CustomerKind>>, max_items = 3)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 3))]
    pub for_kinds: Option<Vec<CustomerKind>>,
    /// What it offers, in words.
    #[schema(nullable = false, value_type = Option<Vec<kehu_kernel::limits::Line>>, max_items = 50)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 50), custom(function = "kehu_kernel::limits::lines"))]
    pub features: Option<Vec<String>>,
    /// First day on which it is sold.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub launch_from: Option<Option<Date>>,
    /// Last day on which it is sold; not before the first.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub launch_to: Option<Option<Date>>,
    /// Whether it is on offer.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub status: Option<ProductStatus>,
    /// What one account earns the bank in a year; in the product's currency.
    #[schema(value_type = Option<Money>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub unit_revenue: Option<Option<Money>>,
    /// What one account costs the bank in a year; in the product's currency.
    #[schema(value_type = Option<Money>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub unit_cost: Option<Option<Money>>,
}

#[derive(AsChangeset)]
#[diesel(table_name = products)]
struct ProductChange {
    name: Option<String>,
    for_kinds: Option<Json<Vec<CustomerKind>>>,
    features: Option<Json<Vec<String>>>,
    launch_from: Option<Option<Date>>,
    launch_to: Option<Option<Date>>,
    status: Option<ProductStatus>,
    unit_revenue_minor: Option<Option<i64>>,
    unit_cost_minor: Option<Option<i64>>,
}

/// One product.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `product.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: ProductId) -> Result<Product> {
    actor.allow(Action::ProductRead)?;
    find(conn, id)
}

/// Creates a product.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] `product_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewProduct) -> Result<Product> {
    actor.allow_everywhere(Action::ProductManage)?;
    let mut broken = Vec::new();
    check_launch(new.launch_from, new.launch_to, &mut broken);
    let unit_revenue_minor = minor(new.unit_revenue, new.currency, "/unit_revenue", &mut broken);
    let unit_cost_minor = minor(new.unit_cost, new.currency, "/unit_cost", &mut broken);
    refuse(broken)?;
    let row = ProductRow {
        id: ProductId::new(),
        code: new.code,
        name: new.name,
        category: new.category,
        for_kinds: Json(new.for_kinds),
        features: Json(new.features),
        launch_from: new.launch_from,
        launch_to: new.launch_to,
        status: new.status.unwrap_or(ProductStatus::Active),
        currency: new.currency,
        unit_revenue_minor,
        unit_cost_minor,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(products::table)
        .values(&row)
        .execute(&mut tx.db)
        .map_err(taken("product_code_taken", "Another product has this code."))?;
    tx.emit(actor, NewEvent::new("product.created", row.id, json!({ "code": row.code, "category": row.category })));
    Ok(Product::new(row, Vec::new()))
}

/// Changes a product that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: ProductId, version: i64, change: ProductPatch) -> Result<Product> {
    actor.allow_everywhere(Action::ProductManage)?;
    let before = find(tx, id)?;
    let mut broken = Vec::new();
    let launch_from = change.launch_from.unwrap_or(before.launch_from);
    check_launch(launch_from, change.launch_to.unwrap_or(before.launch_to), &mut broken);
    let mut in_minor =
        |money: Option<Option<Money>>, pointer| money.map(|money| minor(money, before.currency, pointer, &mut broken));
    let unit_revenue_minor = in_minor(change.unit_revenue, "/unit_revenue");
    let unit_cost_minor = in_minor(change.unit_cost, "/unit_cost");
    refuse(broken)?;
    let change = ProductChange {
        name: change.name,
        for_kinds: change.for_kinds.map(Json),
        features: change.features.map(Json),
        launch_from: change.launch_from,
        launch_to: change.launch_to,
        status: change.status,
        unit_revenue_minor,
        unit_cost_minor,
    };
    let updated = diesel::update(products::table.find(id).filter(products::version.eq(version)))
        .set((change, products::updated_at.eq(tx.now), products::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let product = find(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: product.version });
    }
    tx.emit(actor, NewEvent::new("product.updated", id, json!({ "code": product.code, "status": product.status })));
    Ok(product)
}

impl Product {
    pub(crate) fn new(row: ProductRow, rates: Vec<ProductRate>) -> Self {
        let money = |minor: Option<i64>| minor.map(|minor| Money::new(minor, row.currency));
        Self {
            id: row.id,
            code: row.code,
            name: row.name,
            category: row.category,
            for_kinds: row.for_kinds.0,
            features: row.features.0,
            launch_from: row.launch_from,
            launch_to: row.launch_to,
            status: row.status,
            currency: row.currency,
            unit_revenue: money(row.unit_revenue_minor),
            unit_cost: money(row.unit_cost_minor),
            rates,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

fn find(conn: &mut Conn, id: ProductId) -> Result<Product> {
    let row = products::table.find(id).select(ProductRow::as_select()).first(&mut conn.db)?;
    with_rates(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

fn with_rates(conn: &mut Conn, rows: Vec<ProductRow>) -> Result<Vec<Product>> {
    let ids: Vec<ProductId> = rows.iter().map(|row| row.id).collect();
    let rates: Vec<ProductRate> = product_rates::table
        .filter(product_rates::product_id.eq_any(ids))
        .order((product_rates::kind, product_rates::currency, product_rates::valid_from))
        .select(ProductRate::as_select())
        .load(&mut conn.db)?;
    let of = |id: ProductId| {
        let mut own: Vec<ProductRate> = rates.iter().filter(|rate| rate.product_id == id).cloned().collect();
        own.split_off(own.len().saturating_sub(200))
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            let rates = of(row.id);
            Product::new(row, rates)
        })
        .collect())
}

fn check_launch(from: Option<Date>, to: Option<Date>, broken: &mut Vec<FieldError>) {
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        broken.push(FieldError::new("/launch_to", "before_start", "The last day cannot lie before the first."));
    }
}

fn minor(money: Option<Money>, currency: Currency, pointer: &str, broken: &mut Vec<FieldError>) -> Option<i64> {
    if money.is_some_and(|money| money.currency != currency) {
        broken.push(FieldError::new(pointer, "currency_mismatch", format!("The product's currency is {currency}.")));
    }
    money.map(|money| money.amount_minor)
}

/// Refuses an input with all its broken rules at once.
pub(crate) fn refuse(broken: Vec<FieldError>) -> Result<()> {
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}
