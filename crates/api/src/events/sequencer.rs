//! The sequencer: gives every committed event its place in the feed, a moment after its commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use kehu_kernel::{Store, event};

const IDLE: Duration = Duration::from_millis(200);

/// The running sequencer of this process. Any number of processes may have one; the database lets one
/// work at a time.
pub struct Sequencer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sequencer {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("kehu-sequencer".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                match event::sequence(&store) {
                    Ok(0) => std::thread::sleep(IDLE),
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!("the sequencer waits: {error}");
                        std::thread::sleep(Duration::from_secs(2));
                    }
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Sequencer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
