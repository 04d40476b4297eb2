//! To whom the routes are named: to a worker that serves them, or to the document that tells of them. A worker needs nothing of
//! what the document says, which would be tens of megabytes at each start.

use actix_web::{dev::HttpServiceFactory, web};
use utoipa::openapi::{
    RefOr,
    path::{Paths, PathsMap},
    schema::Schema,
};
use utoipa_actix_web::OpenApiFactory;

/// Where operations are added.
pub struct ServiceConfig<'a>(Listener<'a>);

enum Listener<'a> {
    Worker(&'a mut web::ServiceConfig),
    Document { prefix: String, told: &'a mut Told },
}

/// What the document is told of operations.
#[derive(Default)]
pub struct Told {
    /// The operations by their paths.
    pub paths: Paths,
    /// The schemas that they name.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl<'a> ServiceConfig<'a> {
    /// For a worker.
    pub const fn serving(worker: &'a mut web::ServiceConfig) -> Self {
        Self(Listener::Worker(worker))
    }

    /// For the document.
    pub const fn telling(told: &'a mut Told) -> Self {
        Self(Listener::Document { prefix: String::new(), told })
    }

    /// Adds an operation.
    pub fn service(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        match &mut self.0 {
            Listener::Worker(worker) => drop(worker.service(operation)),
            Listener::Document { prefix, told } => {
                let mut paths = operation.paths();
                paths.paths =
                    paths.paths.into_iter().map(|(path, item)| (format!("{prefix}{path}"), item)).collect::<PathsMap<_, _>>();
                told.paths.merge(paths);
                operation.schemas(&mut told.schemas);
            }
        }
        self
    }

    /// Adds what another function adds.
    pub fn configure(&mut self, add: impl FnOnce(&mut ServiceConfig<'_>)) -> &mut Self {
        add(self);
        self
    }

    /// Adds what a function adds, below a prefix. actix asks only the first scope whose prefix fits.
    pub fn scope(&mut self, below: &str, add: impl FnOnce(&mut ServiceConfig<'_>)) -> &mut Self {
        match &mut self.0 {
            Listener::Worker(worker) => {
                worker.service(web::scope(below).configure(|worker| add(&mut ServiceConfig::serving(worker))));
            }
            Listener::Document { prefix, told } => {
                let prefix = format!("{prefix}{below}");
                add(&mut ServiceConfig(Listener::Document { prefix, told }));
            }
        }
        self
    }
}
