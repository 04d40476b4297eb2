//! `kehu serve`

use std::net::SocketAddr;

use actix_web::{HttpServer, web::Data};
use kehu_kernel::{Error, Result};

use super::DatabaseOptions;
use crate::{
    events::Sequencer,
    gate::Gate,
    server::{self, State},
};

#[derive(clap::Args)]
pub(crate) struct ServeOptions {
    /// Where to listen.
    #[arg(long, env = "KEHU_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Shared secret of HS256 tokens.
    #[arg(long, env = "KEHU_JWT_SECRET", default_value = "development-secret-of-kehu-0123456789", hide_env_values = true)]
    jwt_secret: String,
}

pub(crate) fn run(database: &DatabaseOptions, options: &ServeOptions) -> Result<()> {
    let store = database.open()?;
    let sequencer = Sequencer::start(store.clone()).map_err(Error::internal)?;
    let gate = Data::new(Gate::new(store.clone(), options.jwt_secret.as_bytes()));
    let state = State { store, gate };
    let server = HttpServer::new(move || server::app(&state))
        .worker_max_blocking_threads(4)
        .bind(options.listen)
        .map_err(Error::internal)?;
    log::info!("listening on http://{}", options.listen);
    // On a stop signal the server answers what it has taken and takes nothing more.
    actix_web::rt::System::new().block_on(async { server.run().await }).map_err(Error::internal)?;
    drop(sequencer);
    Ok(())
}
