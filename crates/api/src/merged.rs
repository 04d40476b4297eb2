//! Records that were merged into another customer: reads of them lead there, writes are told where it is.
//!
//! One layer does it for every path below a customer, whichever crate owns it: use cases answer "not found"
//! for an absorbed record, as for everything out of sight, and only then is it asked whether a merge is why.

use std::str::FromStr;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, LOCATION},
    },
    middleware::Next,
    web::Data,
};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::Store;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{gate, problem::Problem};

/// Where the paths of customers begin.
const CUSTOMERS: &str = "/v1/customers/";

/// The answer to a read of a record that was merged into another customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MergedRecord {
    /// The record that was asked for.
    pub id: CustomerId,
    /// The customer of which it is part now.
    pub merged_into: CustomerId,
    /// The same path below that customer; also in the header `Location`.
    #[schema(max_length = 2000, example = "/v1/customers/01890a5d-ac96-774b-bcce-b302099a8057/identities")]
    pub location: String,
}

/// The layer.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    if response.status() != StatusCode::NOT_FOUND {
        return Ok(response);
    }
    let Some((id, rest)) = record_of(response.request()) else { return Ok(response) };
    let parts = (response.request().app_data::<Data<Store>>().cloned(), gate::admitted(response.request()));
    let (Some(store), Some(actor)) = parts else { return Ok(response) };
    let (request, found) = (response.request().clone(), store.read(move |conn| scope::merged_into(conn, &actor, id)).await);
    Ok(match found {
        Ok(Some(survivor)) if request.method().is_safe() => {
            let query = request.query_string();
            let query = if query.is_empty() { String::new() } else { format!("?{query}") };
            let location = format!("{CUSTOMERS}{survivor}{rest}{query}");
            let answer = HttpResponse::PermanentRedirect()
                // A merge may be taken back: nobody is to remember the way for ever.
                .insert_header((CACHE_CONTROL, "no-store"))
                .insert_header((LOCATION, location.as_str()))
                .json(MergedRecord { id, merged_into: survivor, location });
            response.into_response(answer)
        }
        Ok(Some(survivor)) => ServiceResponse::from_err(Problem::merged(id, survivor), request),
        Ok(None) => response,
        Err(error) => ServiceResponse::from_err(Problem::from(error), request),
    })
}

/// The customer that a path is about, and what follows it.
fn record_of(request: &HttpRequest) -> Option<(CustomerId, String)> {
    request.match_pattern().filter(|pattern| pattern.starts_with("/v1/customers/{"))?;
    let path = request.path().strip_prefix(CUSTOMERS)?;
    let end = path.find('/').unwrap_or(path.len());
    let (id, rest) = path.split_at_checked(end)?;
    Some((CustomerId::from_str(id).ok()?, rest.to_owned()))
}
