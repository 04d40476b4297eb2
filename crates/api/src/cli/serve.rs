//! `kehu serve`

use kehu_kernel::{Error, Result};

use super::DatabaseOptions;
use crate::{
    events::Sequencer,
    gate::Gate,
    hardening::{self, Installation},
    server::{self, State},
    settings::Settings,
    webhook::{Couriers, Outbound, Post},
    worker::{self, Workers},
};

pub(crate) fn run(database: &DatabaseOptions, settings: &Settings) -> Result<()> {
    let lanes = worker::lanes(settings);
    let store = database.open_for(u32::try_from(lanes.len()).map_err(Error::internal)?)?;
    if let Some(danger) = settings.danger(store.keys().is_development()) {
        return Err(Error::invalid("/listen", "development_secrets", danger));
    }
    let installation = Installation { development_keys: store.keys().is_development(), ..database.installation(settings) };
    let reached = !settings.listen.ip().is_loopback();
    for finding in hardening::findings(&installation).into_iter().filter(|_| reached) {
        log::warn!("unsafe for production: {}: {}", finding.code, finding.text);
    }
    let sequencer = Sequencer::start(store.clone()).map_err(Error::internal)?;
    let gate = Gate::new(store.clone(), settings.auth())?;
    let mut workers = Workers::start(&store.batch(), lanes, settings.data_dir.clone())?;
    let couriers = Couriers::start(Post::new(store.batch(), Outbound::new(settings)?))?;
    let state = State::new(store.clone(), gate, settings.clone())?;
    let gate = state.gate.clone();
    workers.add("kehu-rights", &store, move |_| Ok(gate.look()))?;
    let served = actix_web::rt::System::new().block_on(server::serve(state));
    couriers.stop();
    workers.stop();
    drop(sequencer);
    served
}
