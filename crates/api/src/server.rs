//! The application: routes and what wraps them.

use actix_web::{
    App, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::from_fn,
    web::{self, Data},
};
use kehu_kernel::Store;
use utoipa_actix_web::AppExt;

use crate::{gate::Gate, openapi, problem, problem::Problem, routes};

/// What all requests share.
#[derive(Clone)]
pub struct State {
    /// The database.
    pub store: Store,
    /// Who may come in.
    pub gate: Data<Gate>,
}

/// Builds the application; the server calls this once a worker, tests once a test.
pub fn app(
    state: &State,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .into_utoipa_app()
        .app_data(Data::new(state.store.clone()))
        .app_data(state.gate.clone())
        .configure(routes::configure)
        .into_app()
        .default_service(web::to(unknown_path))
        .wrap(from_fn(problem::finish))
}

/// actix knows no path for this method; the document tells whether it has others (405) or none (404).
async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let methods = openapi::methods_of(request.path());
    if methods.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND));
    }
    Err(Problem { allow: Some(methods.join(", ")), ..Problem::new(StatusCode::METHOD_NOT_ALLOWED) })
}
