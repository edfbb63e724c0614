//! The open signals by slot.

use super::index::{Cause, Extremes, Reach, Trailed};
use domain::barrier::{Direction, Event, LEAST_TRAIL_R, Levels, Trade, TrailBy, Triggers};
use domain::signal::{Excursion, SignalKey};
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
    /// Of a managed signal whose entry this process saw: when it was entered, UTC epoch ms, and how far the price went in it.
    pub entry: Option<(i64, Reach)>,
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
#[derive(Clone)]
pub struct Managed {
    /// Where it stands, with all events that prices have caused. They may still be on their way to the log.
    pub trade: Trade,
    /// Where it stands by the log.
    pub stored: Trade,
    /// How many prices did something to it that is on its way to the log.
    pub on_their_way: u32,
    /// Where its book has it. Its book knows a newer best price.
    pub filing: Filing,
    /// Where this process saw its entry: when, UTC epoch ms, and how far the price went in it.
    entry: Option<(i64, Reach)>,
}

impl Managed {
    /// A signal as the log has it.
    pub fn new(trade: &Trade) -> Self {
        let at_once = trade.entered_ms().filter(|_| trade.is_entered_at_once());
        let entry = at_once.map(|at| (at, Reach::of(trade.levels().entry)));
        let (stored, trade, filing) = (trade.clone(), trade.clone(), Filing::of_trade(trade));
        Self { trade, stored, on_their_way: 0, filing, entry }
    }

    /// Lets it stand as the log says. What was seen of prices stays.
    pub fn restate(&mut self, stored: &Trade) {
        let mut restated = Self { on_their_way: self.on_their_way, ..Self::new(stored) };
        restated.inherit(self);
        *self = restated;
    }

    /// Takes over what `other` has seen of prices.
    pub fn inherit(&mut self, other: &Self) {
        self.trade.inherit(other.trade.sight());
        self.filing = Filing::of_trade(&self.trade);
        self.entry = other.entry.or(self.entry);
    }

    /// Takes in how far the price went in the entry.
    pub fn enter(&mut self, entry: Option<(i64, Reach)>) {
        self.entry = entry.or(self.entry);
    }

    /// Takes in that a price or a candle made these events; `before` were the levels before. If they closed it, returns how far the
    /// price went, if it was `seen` from the entry on.
    pub fn passed(&mut self, before: &Levels, events: &[Event], cause: &Cause, seen: &Extremes) -> Option<Excursion> {
        cause.passed(before, &self.trade, events, &mut self.entry, seen)
    }

    /// When it was entered and how far the price went in its entry, if this process saw that.
    pub fn seen_entry(&self) -> Option<(i64, Reach)> {
        self.entry.filter(|(at, _)| self.trade.entered_ms() == Some(*at))
    }
}

/// Where a book has an open signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filing {
    pub direction: Direction,
    /// No earlier price concerns it, UTC epoch ms.
    pub since_ms: i64,
    /// What concerns it.
    pub triggers: Triggers,
    /// Its trailing stop, once it follows the best price.
    pub trail: Option<Trailed>,
}

impl Filing {
    /// Of a plain signal.
    pub fn of_levels(levels: &Levels) -> Self {
        let Levels { direction, stop_loss, take_profit, since_ms, expires_ms, .. } = *levels;
        let (fall, rise) = match direction {
            Direction::Buy => (stop_loss, take_profit),
            Direction::Sell => (take_profit, stop_loss),
        };
        Self { direction, since_ms, triggers: Triggers { fall, rise, due_ms: expires_ms }, trail: None }
    }

    /// Of a managed signal. One whose stop does not follow yet waits for the price at which it begins.
    pub fn of_trade(trade: &Trade) -> Self {
        let Levels { direction, since_ms, stop_loss, .. } = *trade.levels();
        let (mut triggers, mut trail) = (trade.triggers(), None);
        if let Some(trailing) = trade.trailing().filter(|trailing| !matches!(trailing.by, TrailBy::Atr(_))) {
            let is_beyond = |price: f64, other: f64| direction.sign() * (price - other) >= 0.0;
            let has_followed = trailing.stop().is_none_or(|to| stop_loss.is_some_and(|stop| is_beyond(stop, to)));
            if is_beyond(trailing.best, trailing.from) && has_followed {
                let tells_from = trade.tells_from(LEAST_TRAIL_R).unwrap_or(trailing.best);
                trail = Some(Trailed { by: trailing.by, best: trailing.best, since_ms, tells_from });
            } else if direction == Direction::Buy {
                let next = trailing.best.next_up().max(trailing.from);
                triggers.rise = Some(triggers.rise.map_or(next, |rise| rise.min(next)));
            } else {
                let next = trailing.best.next_down().min(trailing.from);
                triggers.fall = Some(triggers.fall.map_or(next, |fall| fall.max(next)));
            }
        }
        Self { direction, since_ms, triggers, trail }
    }

    /// Whether another place differs at most in the best price.
    pub fn has_levels_of(&self, other: &Self) -> bool {
        (self.since_ms, self.triggers) == (other.since_ms, other.triggers)
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

    /// No open signal has this slot or a later one.
    pub fn next_slot(&self) -> Slot {
        self.places.len() as Slot
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
