//! Imports as background jobs.

use std::path::PathBuf;

use kehu_kernel::{Actor, Error, Result, Store, job::Handler, job::Lease};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ImportId, run::execute};

/// Kind of the jobs that work on imports.
pub const JOB_KIND: &str = "import";

#[derive(Deserialize)]
struct Payload {
    import_id: ImportId,
    preview_only: bool,
}

/// What runs jobs of [`JOB_KIND`]; uploaded files lie below `data_dir`.
#[must_use]
pub fn handler(data_dir: PathBuf) -> Handler {
    Box::new(move |store: &Store, lease: &Lease| -> Result<Value> {
        let payload: Payload = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        // The right was checked when the job was asked for; its deeds stay the asker's.
        let actor = Actor { subject: lease.job.created_by.clone(), ..Actor::system() };
        let counts = execute(store, &actor, payload.import_id, payload.preview_only, &data_dir, Some(lease), &mut |_| {})?;
        Ok(json!({ "import_id": payload.import_id, "counts": counts }))
    })
}
