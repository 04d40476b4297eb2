//! Products of the bank, with rates that hold from a day on.

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_customer::CustomerKind;
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Currency, Date, Error, FieldError, Id, Instant, Money, Page, PageParams, Result, Tx,
    error::taken,
    event::NewEvent,
    json::Json,
    patch,
    schema::{product_rates, products},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

/// Identifier of a product.
pub type ProductId = Id<Product>;

text_enum! {
    /// What kind of product it is; decides which facts its accounts have.
    pub enum ProductCategory {
        /// Current and savings accounts, term deposits.
        Deposit = "deposit",
        /// Loans and mortgages.
        Loan = "loan",
        /// Debit and credit cards.
        Card = "card",
        /// Investment funds.
        Fund = "fund",
        /// Insurance policies.
        Insurance = "insurance",
        /// Wealth management products.
        Wealth = "wealth",
        /// Payment services.
        Payment = "payment",
        /// Trusts.
        Trust = "trust",
        /// Everything else.
        Other = "other",
    }
}

text_enum! {
    /// Whether a product is on offer.
    pub enum ProductStatus {
        /// Being prepared.
        Draft = "draft",
        /// On offer.
        Active = "active",
        /// No longer offered; its accounts go on.
        Retired = "retired",
    }
}

text_enum! {
    /// What a rate is a rate of.
    pub enum RateKind {
        /// Interest paid on deposits, a year.
        Deposit = "deposit",
        /// Interest charged on loans, a year.
        Lending = "lending",
        /// Interest charged on arrears, a year.
        Overdue = "overdue",
        /// Management or custody fee, a year.
        Fee = "fee",
        /// Commission on a sale.
        Commission = "commission",
        /// Expected return, a year.
        Return = "return",
    }
}

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
    #[schema(max_items = 50)]
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
    #[schema(max_items = 50)]
    #[validate(length(max = 50), custom(function = "check_features"))]
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
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Which kinds of customers may have it; empty for all.
    #[schema(value_type = Option<Vec<CustomerKind>>, max_items = 3)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 3))]
    pub for_kinds: Option<Vec<CustomerKind>>,
    /// What it offers, in words.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 50), custom(function = "check_features"))]
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

/// A rate to be set from a day on.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewProductRate {
    /// What it is a rate of.
    pub kind: RateKind,
    /// The rate in basis points, -10000 to 100000.
    #[schema(value_type = i32, example = 275, minimum = -10_000, maximum = 100_000)]
    #[validate(range(min = -10_000, max = 100_000))]
    pub value_bp: i32,
    /// For amounts of this currency; the product's unless given.
    pub currency: Option<Currency>,
    /// The first day on which it holds. The rate before it ends on that day.
    pub valid_from: Date,
}

/// Filters of the list of products.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ProductFilter {
    /// Only this category.
    #[param(inline, example = "deposit")]
    pub category: Option<ProductCategory>,
    /// Only this status.
    #[param(inline, example = "active")]
    pub status: Option<ProductStatus>,
    /// Only the product with this code.
    #[param(max_length = 64, example = "SAV-CNY")]
    pub code: Option<String>,
}

fn check_features(texts: &[String]) -> Result<(), validator::ValidationError> {
    let fits = texts.iter().all(|text| (1..=200).contains(&text.chars().count()));
    if fits {
        Ok(())
    } else {
        Err(validator::ValidationError::new("length").with_message("A feature has 1 to 200 characters.".into()))
    }
}

/// Products in the order of their codes.
///
/// # Errors
/// [`Error::Forbidden`] without `product.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &ProductFilter, params: &PageParams) -> Result<Page<Product>> {
    actor.allow(Action::ProductRead)?;
    let window = params.window::<String>(&conn.keys, &format!("products?{filter:?}"))?;
    let matching = || {
        let mut query = products::table.into_boxed();
        if let Some(category) = filter.category {
            query = query.filter(products::category.eq(category));
        }
        if let Some(status) = filter.status {
            query = query.filter(products::status.eq(status));
        }
        if let Some(code) = &filter.code {
            query = query.filter(products::code.eq(code.clone()));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(products::code).limit(window.fetch()).select(ProductRow::as_select());
    if let Some(after) = &window.after {
        query = query.filter(products::code.gt(after.clone()));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &ProductRow| row.code.clone())?;
    let items = with_rates(conn, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
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

/// Sets a rate from a day on: the one that held until then ends on that day, and one that was set for the
/// very same day is replaced. A rate set for later stays, and ends this one.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn set_rate(tx: &mut Tx<'_>, actor: &Actor, id: ProductId, version: i64, new: &NewProductRate) -> Result<Product> {
    actor.allow_everywhere(Action::ProductManage)?;
    let updated = diesel::update(products::table.find(id).filter(products::version.eq(version)))
        .set((products::updated_at.eq(tx.now), products::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let product = find(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: product.version });
    }
    let currency = new.currency.unwrap_or(product.currency);
    let same = || {
        product_rates::table
            .filter(product_rates::product_id.eq(id))
            .filter(product_rates::kind.eq(new.kind))
            .filter(product_rates::currency.eq(currency))
    };
    diesel::delete(same().filter(product_rates::valid_from.eq(new.valid_from))).execute(&mut tx.db)?;
    let next: Option<Date> = same()
        .filter(product_rates::valid_from.gt(new.valid_from))
        .order(product_rates::valid_from)
        .select(product_rates::valid_from)
        .first(&mut tx.db)
        .optional()?;
    let before: Option<Id<ProductRate>> = same()
        .filter(product_rates::valid_from.lt(new.valid_from))
        .order(product_rates::valid_from.desc())
        .select(product_rates::id)
        .first(&mut tx.db)
        .optional()?;
    if let Some(before) = before {
        diesel::update(product_rates::table.find(before)).set(product_rates::valid_to.eq(new.valid_from)).execute(&mut tx.db)?;
    }
    let rate = ProductRate {
        id: Id::new(),
        product_id: id,
        kind: new.kind,
        value_bp: BasisPoints(new.value_bp),
        currency,
        valid_from: new.valid_from,
        valid_to: next,
    };
    diesel::insert_into(product_rates::table).values(&rate).execute(&mut tx.db)?;
    let data = json!({ "code": product.code, "kind": new.kind, "value_bp": new.value_bp, "valid_from": new.valid_from });
    tx.emit(actor, NewEvent::new("product.rate_set", id, data));
    find(tx, id)
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
