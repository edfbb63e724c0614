//! The port between the store's rules and where records are kept: a log in a folder, or a table in a database.
//!
//! A journal is one ordered stream of changes that several processes share. The state, all that is known of signals, follows from
//! that stream. Only [`super::writer`] decides what is accepted, by the state at the time when the change is appended.

use super::compact::{CompactedLog, Compaction};
use super::log::Recovery;
use super::prefetch::Prefetched;
use super::state::{Place, State};
use super::writer::WriteBatch;
use domain::error::Result;
use domain::signal::Record;
use domain::signal::SignalKey;
use parking_lot::{MappedRwLockReadGuard, MappedRwLockWriteGuard};

/// When a call was made. Its patience counts from then, including the time that it waits behind other calls.
pub type Asked = std::time::Instant;
/// The state, for reading.
pub type StateRead<'a> = MappedRwLockReadGuard<'a, State>;
/// The state, for writing.
pub type StateWrite<'a> = MappedRwLockWriteGuard<'a, State>;

/// Reading a journal.
pub trait Journal: Send + Sync {
    /// The state as far as the journal was read.
    fn state(&self) -> StateRead<'_>;

    /// The state, for changes that are not part of the journal: prices seen, closings under way, the order of reading.
    fn state_mut(&self) -> StateWrite<'_>;

    /// The state, if it is known to include what others wrote; `None` if finding out would block.
    fn current_state(&self) -> Option<StateWrite<'_>>;

    /// The state, and the source that its places refer to; places of another look may mean nothing there. Reading waits no longer
    /// than the patience of a call made at `asked`.
    fn look(&self, asked: Asked) -> (StateRead<'_>, Box<dyn Source + '_>);

    /// Updates the state with everything that any process acknowledged before.
    fn refresh(&self) -> Result<()>;

    /// Updates the state as far as a price needs it. It may miss a signal recorded a moment ago.
    fn refresh_for_price(&self) -> Result<()>;

    /// What was found damaged, and repaired.
    fn recovery(&self) -> Recovery;

    /// Removes what is no longer needed; `swap` has the writer put the copy in place. Takes long.
    fn compact(&self, swap: &dyn Fn(CompactedLog) -> Result<Option<Compaction>>) -> Result<Compaction>;
}

/// Reads records at places that a state refers to.
pub trait Source {
    /// Visits the records at these places, in this order.
    fn records(&self, places: &[Place], visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()>;

    /// The records at these places, in this order.
    fn all(&self, places: &[Place]) -> Result<Vec<Record>> {
        let mut records = Vec::with_capacity(places.len());
        self.records(places, &mut |record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// One record's line without its newline, as far as it can be read.
    fn line(&self, place: Place) -> Result<Vec<u8>>;

    /// Whether each read is slow, so that everything that may be needed is better fetched at once.
    fn is_far(&self) -> bool {
        false
    }

    /// Prefetches the lines of many signals. Those that are missing are read by [`Self::line`].
    fn prefetch(&self, wanted: Vec<(Place, SignalKey)>) -> Result<Prefetched>;
}

/// Writing a journal: in turns, each of which decides by the current state and appends.
pub trait Turns: Send {
    /// Begins a turn for calls of which the first was made at `asked`.
    fn begin(&mut self, asked: Asked) -> Result<()>;

    /// Appends a batch durably, all of it or nothing, and updates the state. `false` if others appended first: the state now
    /// includes that, and everything must be decided again.
    fn append(&mut self, batch: &WriteBatch<'_>) -> Result<bool>;

    /// Whether decisions are still valid when there is nothing to append; `false` as for [`Self::append`]. With `must_sync`, an
    /// older record was acknowledged, so it must be as durable as an appended one.
    fn confirm(&mut self, must_sync: bool) -> Result<bool>;

    /// Ends the turn, after success or failure.
    fn end(&mut self);

    /// Replaces the journal by its compacted copy; `None` if it is no longer the one that was copied. Journals that are never
    /// copied do nothing.
    fn swap(&mut self, _copy: CompactedLog) -> Result<Option<Compaction>> {
        Ok(None)
    }

    /// Called after the journal has grown. Never blocks.
    fn grown(&self) {}

    /// Called when the writer ends.
    fn finish(self: Box<Self>) {}
}
