//! What does something to a signal: a price or a candle.

use super::extremes::{Extremes, Reach};
use domain::barrier::{Direction, Event, Exit, Levels, Trade, What, counts_whole_until};
use domain::candle::Candle;
use domain::signal::Excursion;

/// A price or a candle of a symbol. It can be asked again, of a signal that was changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cause {
    /// A trade.
    Price {
        /// Its price.
        price: f64,
        /// Its time, UTC epoch ms.
        time_ms: i64,
        /// Whether it is the current price, which is no earlier than any signal.
        is_now: bool,
    },
    /// A closed candle.
    Candle {
        /// The candle.
        candle: Candle,
        /// Its length in milliseconds.
        candle_ms: i64,
        /// Earlier candles were checked up to this time, UTC epoch ms.
        known_ms: i64,
    },
}

impl Cause {
    /// The lowest and the highest price.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Price { price, .. } => Reach::of(*price),
            Self::Candle { candle, .. } => Reach { low: candle.low, high: candle.high },
        }
    }

    /// Its time, that of a candle's end.
    pub fn time_ms(&self) -> i64 {
        match *self {
            Self::Price { time_ms, .. } => time_ms,
            Self::Candle { candle, candle_ms, .. } => candle.open_ms + candle_ms,
        }
    }

    /// For a signal to which something happened later than this, not all of it counts.
    pub fn begun_ms(&self) -> i64 {
        match *self {
            Self::Price { is_now: true, .. } => i64::MAX,
            Self::Price { time_ms, .. } => time_ms,
            Self::Candle { candle, .. } => candle.open_ms,
        }
    }

    /// What was seen later came after it, UTC epoch ms.
    fn until_ms(&self) -> i64 {
        match self {
            Self::Price { is_now: true, .. } => i64::MAX,
            _ => self.time_ms(),
        }
    }

    /// Whether it closes a plain signal.
    pub fn exit(&self, levels: &Levels) -> Option<Exit> {
        match *self {
            Self::Price { price, time_ms, is_now: true } => levels.on_tick_now(price, time_ms),
            Self::Price { price, time_ms, .. } => levels.on_tick(price, time_ms),
            Self::Candle { candle, candle_ms, known_ms } => levels.on_candle(known_ms, &candle, candle_ms),
        }
    }

    /// Appends what it makes of a managed signal.
    pub fn follow(&self, trade: &mut Trade, events: &mut Vec<Event>) {
        match *self {
            Self::Price { price, time_ms, is_now } => {
                let since_ms = if is_now { trade.levels().since_ms } else { time_ms };
                trade.on_tick(price, time_ms.max(since_ms), events);
            }
            Self::Candle { candle, candle_ms, known_ms } => trade.on_candle(known_ms, &candle, candle_ms, None, events),
        }
    }

    /// Takes in that it made these events of a managed signal; `before` were the levels before. An entry goes into `entry`: its time,
    /// UTC epoch ms, and how far the price went in it. If the signal was closed, returns how far the price went, if it was `seen`
    /// from the entry on.
    pub fn passed(
        &self,
        before: &Levels,
        trade: &Trade,
        events: &[Event],
        entry: &mut Option<(i64, Reach)>,
        seen: &Extremes,
    ) -> Option<Excursion> {
        let unreached = unreached(trade, events);
        *entry = self.entry_reach(before, events, unreached).or(*entry);
        trade.ended()?.0.succeeded()?;
        let (since_ms, reach) = entry.filter(|(at, _)| trade.entered_ms() == Some(*at))?;
        let last = events.last()?;
        let last = self.exit_reach(before, since_ms, (last.what.price()?, last.at), unreached);
        seen.excursion(trade.levels(), since_ms, self.until_ms(), reach.and(last))
    }

    /// How far the price certainly went in the life of a managed signal until these events: from the time of its entry to its
    /// entry's price, and into the candle of the entry. `before` were the levels before, `unreached` is a target beyond which the
    /// price did not go. `None` without an entry.
    ///
    /// The price came back to a limit entry, so what is better than the candle's close lies before it.
    fn entry_reach(&self, before: &Levels, events: &[Event], unreached: Option<f64>) -> Option<(i64, Reach)> {
        let fill = events.iter().find(|event| matches!(event.what, What::Filled { .. }))?;
        let (at, price) = (fill.at, fill.what.price()?);
        let fill = Reach::of(price);
        let Self::Candle { candle, .. } = *self else { return Some((at, fill)) };
        if !self.is_inside(before.since_ms, at) {
            return Some((at, fill));
        }
        let Reach { low, high } = self.reach();
        let is_back = before.direction.sign() * (candle.open - price) > 0.0;
        let (worst, best) = match before.direction {
            Direction::Buy => (low, high),
            Direction::Sell => (high, low),
        };
        let bound = Levels { take_profit: unreached, ..*before };
        let best = Reach::of(within(&bound, if is_back { candle.close } else { best }));
        Some((at, fill.and(best).and(Reach::of(within(&bound, worst)))))
    }

    /// The excursion of a plain signal that it closes by this exit, if the price was `seen` from the signal on.
    pub fn excursion(&self, levels: &Levels, exit: &Exit, seen: &Extremes) -> Option<Excursion> {
        exit.outcome.succeeded()?;
        let last = self.exit_reach(levels, levels.since_ms, (exit.price, exit.time_ms), levels.take_profit);
        seen.excursion(levels, levels.since_ms, self.until_ms(), last.and(Reach::of(levels.entry)))
    }

    /// How far the price went in a candle until this exit from a signal entered at `since_ms`, besides the exit's price. `before`
    /// are the levels before the candle, `unreached` is a target beyond which the price did not go.
    ///
    /// Nobody knows what came first, so all of the candle between stop and target counts.
    fn exit_reach(&self, before: &Levels, since_ms: i64, exit: (f64, i64), unreached: Option<f64>) -> Reach {
        let (price, at) = exit;
        if !self.is_inside(since_ms, at) {
            return Reach::of(price);
        }
        let Reach { low, high } = self.reach();
        let bound = Levels { take_profit: unreached, ..*before };
        Reach::of(price).and(Reach { low: within(&bound, low), high: within(&bound, high) })
    }

    /// Whether a price of this time lies inside a candle of which high and low count for a signal of `since_ms`.
    fn is_inside(&self, since_ms: i64, at: i64) -> bool {
        match *self {
            Self::Price { .. } => false,
            Self::Candle { candle, candle_ms, .. } => {
                at > candle.open_ms && since_ms <= counts_whole_until(&candle, candle_ms)
            }
        }
    }
}

/// A target beyond which the price did not go when these events happened.
fn unreached(trade: &Trade, events: &[Event]) -> Option<f64> {
    match events.last() {
        Some(Event { what: What::Target { price, .. }, .. }) if trade.ended().is_some() => Some(*price),
        _ => trade.levels().take_profit,
    }
}

/// A price, but not beyond stop or target.
fn within(levels: &Levels, price: f64) -> f64 {
    let sign = levels.direction.sign();
    let is_beyond = |level: &f64, side: f64| side * sign * (price - level) > 0.0;
    let stop = levels.stop_loss.filter(|stop| is_beyond(stop, -1.0));
    stop.or(levels.take_profit.filter(|target| is_beyond(target, 1.0))).unwrap_or(price)
}
