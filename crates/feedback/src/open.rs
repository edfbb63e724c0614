//! The open signals by slot.

use domain::barrier::{Direction, Levels, Trade, Triggers};
use domain::signal::SignalKey;
use domain::symbol::Timeframe;

/// The number of a signal's entry in memory.
pub type Slot = u32;

/// What memory keeps of an open signal: what a price needs to close it, and a key to find the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSignal {
    /// The key for [`super::FeedbackStore::id_of`].
    pub key: SignalKey,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// The levels with which it was recorded.
    pub levels: Levels,
    /// Where it stands, if it is a managed signal.
    pub trade: Option<Box<Trade>>,
}

/// An open signal.
pub struct Open {
    pub slot: Slot,
    pub key: SignalKey,
    /// The levels with which it was recorded. They decide for a plain signal.
    pub levels: Levels,
    /// `None` for a plain signal.
    pub managed: Option<Box<Managed>>,
    /// The number of its symbol.
    pub symbol: usize,
    /// Whether it was traded, not only tracked.
    pub taken: bool,
    /// Whether it is in its symbol's book. It is not until a price of the symbol arrives, and not while a closing is on its way
    /// to the log.
    pub filed: bool,
}

impl Open {
    /// Where a book has it.
    pub fn filing(&self) -> Filing {
        match &self.managed {
            Some(managed) => managed.filing,
            None => Filing::of_levels(&self.levels),
        }
    }
}

/// An open signal that is entered later, has several targets or a stop that moves, or was changed.
pub struct Managed {
    /// Where it stands, with all events that prices have caused. They may still be on their way to the log.
    pub trade: Trade,
    /// Where it stands by the log.
    pub stored: Trade,
    /// How many prices did something to it that is on its way to the log.
    pub on_their_way: u32,
    /// Where its book has it.
    pub filing: Filing,
}

impl Managed {
    /// A signal as the log has it.
    pub fn new(trade: &Trade) -> Self {
        Self { filing: Filing::of_trade(trade), trade: trade.clone(), stored: trade.clone(), on_their_way: 0 }
    }
}

/// Where a book has an open signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filing {
    /// No earlier price concerns it, UTC epoch ms.
    pub since_ms: i64,
    /// What concerns it.
    pub triggers: Triggers,
}

impl Filing {
    /// Of a plain signal.
    pub fn of_levels(levels: &Levels) -> Self {
        let (fall, rise) = match levels.direction {
            Direction::Buy => (levels.stop_loss, levels.take_profit),
            Direction::Sell => (levels.take_profit, levels.stop_loss),
        };
        Self { since_ms: levels.since_ms, triggers: Triggers { fall, rise, due_ms: levels.expires_ms } }
    }

    /// Of a managed signal. A new best price concerns it while its stop trails.
    pub fn of_trade(trade: &Trade) -> Self {
        let mut triggers = trade.triggers();
        if let Some(trailing) = trade.trailing() {
            match trailing.direction {
                Direction::Buy => {
                    let next = trailing.best.next_up().max(trailing.from);
                    triggers.rise = Some(triggers.rise.map_or(next, |rise| rise.min(next)));
                }
                Direction::Sell => {
                    let next = trailing.best.next_down().min(trailing.from);
                    triggers.fall = Some(triggers.fall.map_or(next, |fall| fall.max(next)));
                }
            }
        }
        Self { since_ms: trade.levels().since_ms, triggers }
    }
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
