//! Lists of products.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Page, PageParams, Result, schema::products};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Product, ProductCategory, ProductRow, ProductStatus, with_rates};

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

/// Products in the order of their codes.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `product.read`; [`kehu_kernel::Error::Invalid`] for a bad page request.
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
