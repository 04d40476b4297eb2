//! `/v1/standing-orders`

use actix_web::{get, web::Data};
use kehu_account_link::standing_order::{self, StandingOrderFilter, StandingOrderPage};
use kehu_kernel::{PageParams, Store};

use crate::{
    extract::{Caller, ListQuery},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_standing_orders);
}

/// List standing orders
///
/// The standing orders of the accounts within the caller's reach. With `include_total=true` also how many there are and
/// what they pay together each time, one sum a currency.
#[utoipa::path(tag = "standing-orders", params(StandingOrderFilter, PageParams),
    responses((status = 200, description = "A page of standing orders", body = StandingOrderPage)),
    security(("bearer" = ["account.read"])))]
#[get("")]
async fn list_standing_orders(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<StandingOrderFilter>,
) -> Answer<StandingOrderPage> {
    let page = store.read(move |conn| standing_order::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}
