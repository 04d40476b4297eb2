//! Who asked for what is done later, an export or a webhook, kept so that the rights are looked up anew at that moment.

use kehu_kernel::{Actor, Conn, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{auth::Claims, caller};

/// What a verified token said, and for whom its bearer acted. That the token ends does not matter here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asker {
    claims: Claims,
    machine: bool,
    person: Option<String>,
}

impl Asker {
    /// The bearer of these claims, who acts for that person.
    #[must_use]
    pub const fn new(claims: Claims, person: Option<String>) -> Self {
        Self { machine: claims.machine, claims, person }
    }

    /// As JSON, to be kept.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(Error::internal)
    }
}

/// The actor that this bearer is now; nobody when it may not come in any more.
///
/// # Errors
/// The database's.
pub fn actor(conn: &mut Conn, asker: &Value) -> Result<Option<Actor>> {
    let Asker { mut claims, machine, person } = Asker::deserialize(asker).map_err(Error::internal)?;
    claims.machine = machine;
    match caller::resolve(conn, &claims, person.as_deref()) {
        Ok(actor) => Ok(Some(actor)),
        Err(Error::NotFound | Error::Forbidden(_)) => Ok(None),
        Err(other) => Err(other),
    }
}
