//! The open signals by slot.

use domain::barrier::{Direction, Levels};
use domain::signal::SignalKey;
use domain::symbol::Timeframe;

/// The number of a signal's entry in memory.
pub type Slot = u32;

/// What memory keeps of an open signal: what a price needs to close it, and a key to find the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenSignal {
    /// The key for [`super::FeedbackStore::id_of`].
    pub key: SignalKey,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// The levels that close it.
    pub levels: Levels,
}

/// An open signal.
pub struct Open {
    pub slot: Slot,
    pub key: SignalKey,
    pub levels: Levels,
    /// The number of its symbol.
    pub symbol: usize,
    /// Whether it was traded, not only tracked.
    pub taken: bool,
    /// Whether it is in its symbol's book. It is not until a price of the symbol arrives, and not while a closing is on its way
    /// to the log.
    pub filed: bool,
}

/// The open signals by slot. Slots count from 0, so no hashing is needed; reading a log spends most of its time on lookups in
/// memory.
#[derive(Default)]
pub struct OpenSignals {
    /// Index into `rooms` of each slot's signal; [`NOWHERE`] if it is not open.
    places: Vec<u32>,
    rooms: Vec<Option<Open>>,
    /// Indexes of empty rooms.
    vacant: Vec<u32>,
    /// The number of taken BUYs and SELLs.
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

    /// The number of open signals of a direction that were taken.
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

    /// Frees the memory of empty rooms.
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
