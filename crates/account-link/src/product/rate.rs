//! Rates of products: set from a day on.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, BasisPoints, Currency, Date, Error, Id, Result, Tx,
    event::NewEvent,
    schema::{product_rates, products},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{Product, ProductId, ProductRate, RateKind, find};

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
