//! The ways to the database. Callers who wait for an answer and work that takes long have connections of their own, so that a
//! report never holds up a teller; and each way is bounded: who comes when too many wait already is told so at once, instead of
//! waiting for an answer that would come too late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Error, Result};

/// Which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// For callers who wait for it.
    #[default]
    Prompt,
    /// For reports and background work.
    Batch,
}

/// So many at once, so many who wait, and not for ever.
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: usize,
    patience: Duration,
}

/// A place in a lane, given back when dropped.
pub(super) struct Turn {
    inside: Arc<AtomicUsize>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    pub(super) fn new(at_once: u32, waiting: u32, patience: Duration) -> Self {
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let at_once = number(at_once.max(1));
        Self { turns: Arc::new(Semaphore::new(at_once)), inside: Arc::default(), most: at_once + number(waiting), patience }
    }

    /// A place in the queue, without waiting for a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many are inside.
    pub(super) fn enter(&self) -> Result<Turn> {
        let turn = Turn { inside: Arc::clone(&self.inside), permit: None };
        if self.inside.fetch_add(1, Ordering::Relaxed) < self.most { Ok(turn) } else { Err(Error::Busy) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already, or when it takes too long.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let mut turn = self.enter()?;
        let permit = timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await.map_err(|_| Error::Busy)?;
        turn.permit = Some(permit.map_err(Error::internal)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The next one may go before this one is counted out: the bound is on who waits, not exact to one.
        drop(self.permit.take());
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_busy(result: &Result<Turn>) -> bool {
        matches!(result, Err(Error::Busy))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_takes_so_many_and_lets_so_many_wait() {
        let lane = Arc::new(Lane::new(1, 1, Duration::from_secs(5)));
        let first = lane.turn().await.unwrap();
        let second = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.turn().await }
        });
        tokio::task::yield_now().await;
        assert!(is_busy(&lane.turn().await), "one waits already");
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert!(is_busy(&lane.turn().await), "the one inside does not come out");
        drop(second);
        assert!(lane.turn().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_no_trace() {
        let lane = Lane::new(1, 1, Duration::from_secs(5));
        let first = lane.turn().await.unwrap();
        for _ in 0..10 {
            assert!(timeout(Duration::from_secs(1), lane.turn()).await.is_err());
        }
        drop(first);
        assert!(lane.turn().await.is_ok());
    }
}
