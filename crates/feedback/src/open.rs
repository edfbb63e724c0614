//! The open signals, by their slot.

use domain::barrier::{Direction, Levels};
use domain::signal::SignalKey;
use domain::symbol::Timeframe;

/// The number of an entry in the store's memory.
pub type Slot = u32;

/// An open signal as memory has it: all that a price needs to close it, and a key to find the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenSignal {
    /// For [`super::FeedbackStore::id_of`].
    pub key: SignalKey,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// What closes it.
    pub levels: Levels,
}

/// An open signal.
pub struct Open {
    pub slot: Slot,
    pub key: SignalKey,
    pub levels: Levels,
    /// Its number.
    pub symbol: usize,
    /// It was traded, not only followed.
    pub taken: bool,
    /// Is it in its symbol's book? Not before a price comes that might look for it, and not once one has hit it and its
    /// closing is on its way to the log.
    pub filed: bool,
}

/// The open signals by slot. Slots are given from 0 on, so that no hashing is needed: reading a log, most of the time goes
/// into finding things in memory.
#[derive(Default)]
pub struct OpenSignals {
    /// Where in `rooms` each slot's signal is; [`NOWHERE`] when it is not open.
    places: Vec<u32>,
    rooms: Vec<Option<Open>>,
    /// The rooms that are empty.
    vacant: Vec<u32>,
    /// How many BUYs, and how many SELLs, that were taken.
    counts: [usize; 2],
}

const NOWHERE: u32 = u32::MAX;

impl OpenSignals {
    pub fn insert(&mut self, open: Open) {
        let slot = open.slot as usize;
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NOWHERE);
        }
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.rooms.push(None);
            (self.rooms.len() - 1) as u32
        });
        self.places[slot] = place;
        self.counts[open.levels.direction as usize] += usize::from(open.taken);
        self.rooms[place as usize] = Some(open);
    }

    pub fn remove(&mut self, slot: Slot) -> Option<Open> {
        let place = std::mem::replace(self.places.get_mut(slot as usize)?, NOWHERE);
        let open = self.rooms.get_mut(place as usize)?.take();
        self.vacant.push(place);
        if let Some(open) = &open {
            self.counts[open.levels.direction as usize] -= usize::from(open.taken);
        }
        open
    }

    /// How many are open of a direction, of those that were taken.
    pub fn taken_of(&self, direction: Direction) -> usize {
        self.counts[direction as usize]
    }

    pub fn get(&self, slot: Slot) -> Option<&Open> {
        self.rooms.get(*self.places.get(slot as usize)? as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Open> {
        self.rooms.get_mut(*self.places.get(slot as usize)? as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Open> {
        self.rooms.iter().flatten()
    }

    /// Gives back the memory of empty rooms.
    pub fn trim(&mut self) {
        self.rooms.retain(Option::is_some);
        self.rooms.shrink_to_fit();
        self.vacant = Vec::new();
        for (place, open) in self.rooms.iter().flatten().enumerate() {
            self.places[open.slot as usize] = place as u32;
        }
        self.places.shrink_to_fit();
    }
}
