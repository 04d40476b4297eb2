//! A reference to another record that brings its name along, so that no client has to ask again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AnyId, Id};

/// Another record, with what a screen shows for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reference {
    /// Identifier of the other record.
    pub id: AnyId,
    /// Its name.
    #[schema(example = "Lujiazui Outlet", max_length = 300)]
    pub label: String,
}

impl Reference {
    /// A reference to a record of any kind.
    #[must_use]
    pub fn new<T>(id: Id<T>, label: impl Into<String>) -> Self {
        Self { id: id.cast(), label: label.into() }
    }
}
