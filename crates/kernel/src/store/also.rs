//! Work that belongs to every write of one request: it is done in the same transaction, so that it holds
//! exactly when the write does.

use std::sync::Arc;

use super::Tx;
use crate::Result;

/// Work that joins a write. An error undoes the write.
pub type Also = Arc<dyn Fn(&mut Tx<'_>) -> Result<()> + Send + Sync>;

tokio::task_local! {
    static ALSO: Also;
}

/// Runs a future so that each [`super::Store::write`] that it awaits also does `work`.
pub async fn with_each_write<F: Future>(work: Also, future: F) -> F::Output {
    ALSO.scope(work, future).await
}

/// What writes of the present task do besides.
pub(super) fn current() -> Option<Also> {
    ALSO.try_with(Arc::clone).ok()
}
