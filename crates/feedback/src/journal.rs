//! The seam between the store's rules and where it keeps what they decide: a log in a folder, or a table of a database.
//!
//! A journal is one ordered stream of changes that several processes share. All that is known of signals, the state, is
//! what that stream says; what is accepted is decided by [`super::writer`] alone, from the state as it is when the change
//! is appended.

use super::ahead::Ahead;
use super::compact::{Compaction, Copy};
use super::log::Recovery;
use super::state::{Place, State};
use super::writer::Staged;
use domain::error::Result;
use domain::signal::Record;
use domain::signal::SignalKey;
use parking_lot::{MappedRwLockReadGuard, MappedRwLockWriteGuard};

/// When a call was made: its patience counts from then, also while it waits behind others.
pub type Asked = std::time::Instant;
/// The state, for reading.
pub type StateRead<'a> = MappedRwLockReadGuard<'a, State>;
/// The state, for writing.
pub type StateWrite<'a> = MappedRwLockWriteGuard<'a, State>;

/// What readers ask of a journal.
pub trait Journal: Send + Sync {
    /// What the journal says, as far as it was read.
    fn state(&self) -> StateRead<'_>;

    /// The state, to be changed by what is no change of the journal: prices seen, closings under way, the order of reading.
    fn state_mut(&self) -> StateWrite<'_>;

    /// The state if it is known to cover what others wrote; `None` when telling would mean to wait for anyone.
    fn current_state(&self) -> Option<StateWrite<'_>>;

    /// The state together with what its places mean: those of another look may mean nothing there. What is read there is
    /// waited for by the patience of a call that was made at `asked`.
    fn look(&self, asked: Asked) -> (StateRead<'_>, Box<dyn Source + '_>);

    /// Brings the state up to date with all that was acknowledged before, by whomever.
    fn refresh(&self) -> Result<()>;

    /// Brings the state as far up to date as a price needs it: one that comes a moment before the signal it would hit is no
    /// loss.
    fn refresh_for_price(&self) -> Result<()>;

    /// What was found wrong with it.
    fn recovery(&self) -> Recovery;

    /// Leaves out what is not needed any more; `swap` has the writer put the copy in place. Takes long.
    fn compact(&self, swap: &dyn Fn(Copy) -> Result<Option<Compaction>>) -> Result<Compaction>;
}

/// Reads records where a state says they are.
pub trait Source {
    /// Visits the records at these places, one by one, in this order.
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

    /// One record's line, its newline not counted, as far as it can be read.
    fn line(&self, place: Place) -> Result<Vec<u8>>;

    /// Is every look there a journey, so that all that may be needed is better fetched at once?
    fn is_far(&self) -> bool {
        false
    }

    /// The lines of many signals at once; those that are missing are read by [`Self::line`].
    fn ahead(&self, wanted: Vec<(Place, SignalKey)>) -> Result<Ahead>;
}

/// What the writer asks of a journal: turns in which it decides by the state as it is, and appends.
pub trait Turns: Send {
    /// Begins a turn, for calls of which the first was made at `asked`.
    fn begin(&mut self, asked: Asked) -> Result<()>;

    /// Appends what was decided, durably, all of it or nothing, and takes it into the state. `false` when others appended
    /// first: the state says now what, and all has to be decided again.
    fn append(&mut self, staged: &Staged<'_>) -> Result<bool>;

    /// Whether what was decided is still so, where nothing is to be appended; `false` as for [`Self::append`]. If something
    /// old is `vouched` for, it must be as durable as what is appended.
    fn confirm(&mut self, vouched: bool) -> Result<bool>;

    /// Ends the turn, however it went.
    fn end(&mut self);

    /// Puts a compacted journal in the place of this one; `None` when it is no longer the one that was copied. A journal
    /// that is never copied has nothing to put.
    fn swap(&mut self, _copy: Copy) -> Result<Option<Compaction>> {
        Ok(None)
    }

    /// Whatever is to be looked after once the journal has grown. Never blocks.
    fn grown(&self) {}

    /// The writer ends.
    fn finish(self: Box<Self>) {}
}
