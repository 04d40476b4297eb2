//! What a running server needs of the published document, out of the document as it is checked in: to put that together anew
//! would cost each start time, and memory for as long as it runs.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};

/// The document as it is checked in; a test holds it against the code.
pub const TEXT: &str = include_str!("../../../../openapi/openapi.json");

/// Operations by their paths and methods.
pub(super) type Paths<T> = HashMap<String, HashMap<String, T>>;

/// What `T` names of each operation.
pub(super) fn operations<T: DeserializeOwned>() -> Paths<T> {
    #[derive(Deserialize)]
    #[serde(bound = "T: DeserializeOwned")]
    struct Document<T> {
        paths: Paths<T>,
    }
    // What cannot be read is not what the test has seen.
    serde_json::from_str::<Document<T>>(TEXT).map(|document| document.paths).unwrap_or_default()
}
