//! What happened, told to others: put in order by the sequencer, read as a feed or as a stream.

pub mod cloud_event;
pub mod feed;
pub mod kinds;
mod sequencer;
mod sight;
pub mod stream;

pub use cloud_event::CloudEvent;
pub use sequencer::Sequencer;
