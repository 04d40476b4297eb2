//! How long a request may take until its answer begins.

use std::time::Duration;

use actix_web::{
    HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header::CONTENT_LENGTH},
    middleware::Next,
    web::Data,
};

use crate::{problem::Problem, settings::Settings};

/// The limit of a request: files take longer to arrive than JSON.
pub(crate) fn of(request: &ServiceRequest, settings: &Settings) -> Duration {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let empty = length.unwrap_or(0_u64) == 0 && !request.headers().contains_key("transfer-encoding");
    let json = request.content_type().ends_with("json");
    if empty || json { settings.request_timeout } else { settings.upload_timeout }
}

/// Answers 503 when the work takes longer than the limit. A read ends with it: the request is dropped, and with it whoever
/// waits for the database ([`kehu_kernel::Store::read`]). A write that is under way may still be committed:
/// a request with an `Idempotency-Key` can be repeated and gets the answer of the first.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(settings) = request.app_data::<Data<Settings>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let limit = of(&request, &settings);
    match tokio::time::timeout(limit, next.call(request)).await {
        Ok(response) => Ok(response?.map_into_boxed_body()),
        // The request is lost with the work on it: `problem::finish` completes this.
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .code("timeout")
            .detail(format!("The request took longer than {} seconds.", limit.as_secs()))
            .retry_after(1)
            .into()),
    }
}
