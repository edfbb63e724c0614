//! The barrier rule: whether a price or a candle closes a signal, with which outcome, and at which price.
//!
//! This is the only place that decides it. `shouldCloseSignal`, live prices, training labels and replay all call it.
//! Source: the triple-barrier method, López de Prado, *Advances in Financial Machine Learning*, 2018, chapter 3.

mod event;
mod terms;
mod trade;

pub use event::{CancelCause, Event, ExitCause, StopMove, What, ZoneEdge};
pub use terms::{EntryKind, MAX_TARGETS, StopRules, StopStep, Target, Terms, Trail, TrailBy, Zone};
pub use trade::{LEAST_TRAIL_R, Sight, Status, Trade, Trailing, Triggers};

use crate::calendar::Calendar;
use crate::calendar::MAX_GAP_BARS;
use crate::candle::Candle;
use crate::time::{DAY_MS, HOUR_MS};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which way a signal bets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// Profits when the price rises.
    Buy,
    /// Profits when the price falls.
    Sell,
}

impl Direction {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }

    /// Parses the name in JSON; `None` for HOLD and anything else.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Buy, Self::Sell].into_iter().find(|direction| direction.as_str() == text)
    }

    /// +1 for a BUY, −1 for a SELL.
    pub fn sign(self) -> f64 {
        match self {
            Self::Buy => 1.0,
            Self::Sell => -1.0,
        }
    }
}

/// The result of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// Not closed yet.
    Active,
    /// The take profit was touched.
    TookProfit,
    /// The stop loss was touched.
    StoppedOut,
    /// Expired, or closed on request, with a profit.
    Success,
    /// Expired, or closed on request, without a profit.
    Failure,
    /// It ended while no prices are known, so its result cannot be told. Neither a success nor a failure.
    Unknown,
    /// It ended before it was entered. Neither a success nor a failure.
    Cancelled,
}

impl Outcome {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::TookProfit => "TOOK_PROFIT",
            Self::StoppedOut => "STOPPED_OUT",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Unknown => "UNKNOWN",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Parses the name in JSON.
    pub fn named(text: &str) -> Option<Self> {
        use Outcome::{Active, Cancelled, Failure, StoppedOut, Success, TookProfit, Unknown};
        let all = [Active, TookProfit, StoppedOut, Success, Failure, Unknown, Cancelled];
        all.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// `Some(true)` for a success, `Some(false)` for a failure, `None` while active, if unknown or cancelled.
    pub fn succeeded(self) -> Option<bool> {
        match self {
            Self::Active | Self::Unknown | Self::Cancelled => None,
            Self::TookProfit | Self::Success => Some(true),
            Self::StoppedOut | Self::Failure => Some(false),
        }
    }

    /// The outcome of a signal that no barrier closed: [`Self::Success`] for a profit above zero, else [`Self::Failure`].
    pub fn by_profit(profit_percent: f64) -> Self {
        if profit_percent > 0.0 { Self::Success } else { Self::Failure }
    }
}

/// The whole candle of the entry counts if the signal was given in the first one of this many parts: the first five minutes of an
/// hour. On simulated prices (`barrier/entry.rs`) nearly all exits found this way lie after the entry.
const ENTRY_PART: i64 = 12;

/// The latest time of a signal for which high and low of a candle may count, UTC epoch ms; see [`Levels::on_candle`].
pub fn counts_whole_until(candle: &Candle, candle_ms: i64) -> i64 {
    candle.open_ms + candle_ms / ENTRY_PART
}

/// The largest profit or loss in percent. No real pair of prices reaches it, and sums of it stay finite.
pub const MOST_PERCENT: f64 = 1e100;

/// The longest night, from close to opening.
const NIGHT_MS: i64 = 18 * HOUR_MS;
/// The longest weekend, with holidays before or after it.
const WEEKEND_MS: i64 = 4 * DAY_MS;

/// When a market trades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trading {
    /// Around the clock: missing candles are unknown prices.
    Always,
    /// Possibly not at night and on weekends, as for stocks and currencies; opening hours are unknown.
    MayClose,
    /// In opening hours learned from its stored candles.
    Sessions(Arc<Calendar>),
}

impl Trading {
    /// Whether the price at `until_ms` is still the first that could be traded after `from_ms`. It is when the span is short
    /// (candles have `candle_ms` milliseconds), or when the market was closed.
    pub fn bridges(&self, from_ms: i64, until_ms: i64, candle_ms: i64) -> bool {
        let length = until_ms - from_ms;
        length <= MAX_GAP_BARS * candle_ms
            || match self {
                Self::Always => false,
                Self::MayClose => length <= NIGHT_MS || (length <= WEEKEND_MS && has_saturday(from_ms, until_ms)),
                Self::Sessions(calendar) => !calendar.is_gap(from_ms - calendar.step_ms(), until_ms),
            }
    }
}

/// Whether a whole Saturday (UTC) lies in a span.
fn has_saturday(from_ms: i64, until_ms: i64) -> bool {
    // The epoch was a Thursday.
    let first_day = (from_ms + DAY_MS - 1).div_euclid(DAY_MS);
    let saturday = first_day + (2 - first_day).rem_euclid(7);
    (saturday + 1) * DAY_MS <= until_ms
}

/// The levels that close a signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Which way it bets.
    pub direction: Direction,
    /// Entry price.
    pub entry: f64,
    /// Closes the signal with a loss.
    pub stop_loss: Option<f64>,
    /// Closes the signal with a profit.
    pub take_profit: Option<f64>,
    /// When the signal was given, UTC epoch ms: no earlier price can close it.
    pub since_ms: i64,
    /// When it closes by itself, UTC epoch ms.
    pub expires_ms: Option<i64>,
}

/// How a signal closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exit {
    /// The outcome.
    pub outcome: Outcome,
    /// The exit price; for an unknown outcome, the first price known again.
    pub price: f64,
    /// UTC epoch ms. A touch inside a candle is dated to the candle's end, the first time at which it is certain.
    pub time_ms: i64,
}

impl Levels {
    /// Profit of leaving at `exit`, in percent of the entry price, before costs; at most [`MOST_PERCENT`].
    pub fn profit_percent(&self, exit: f64) -> f64 {
        (self.direction.sign() * (exit - self.entry) / self.entry * 100.0).clamp(-MOST_PERCENT, MOST_PERCENT)
    }

    /// The exit with this profit, in percent of the entry price.
    pub fn exit_of(&self, profit_percent: f64) -> f64 {
        self.entry * (1.0 + self.direction.sign() * profit_percent / 100.0)
    }

    /// The price level that an outcome stands for, if the signal has one.
    pub fn level_of(&self, outcome: Outcome) -> Option<f64> {
        match outcome {
            Outcome::TookProfit => self.take_profit,
            Outcome::StoppedOut => self.stop_loss,
            Outcome::Active | Outcome::Success | Outcome::Failure | Outcome::Unknown | Outcome::Cancelled => None,
        }
    }

    /// Whether a trade at `price` closes the signal. The exit is at that price, also when it jumped beyond the stop.
    pub fn on_tick(&self, price: f64, time_ms: i64) -> Option<Exit> {
        if time_ms < self.since_ms {
            return None;
        }
        let exit = |outcome| Exit { outcome, price, time_ms };
        if self.expires_ms.is_some_and(|at| at <= time_ms) {
            return Some(exit(Outcome::by_profit(self.profit_percent(price))));
        }
        if self.beyond_stop(price) {
            Some(exit(Outcome::StoppedOut))
        } else if self.beyond_target(price) {
            Some(exit(Outcome::TookProfit))
        } else {
            None
        }
    }

    /// [`Self::on_tick`] for the current price, where this machine's clock shows `now_ms`. If the clock was set back since the
    /// signal was given, the price still counts as later than the signal.
    pub fn on_tick_now(&self, price: f64, now_ms: i64) -> Option<Exit> {
        self.on_tick(price, now_ms.max(self.since_ms))
    }

    /// Whether a closed candle of `candle_ms` milliseconds closes the signal. Earlier candles were checked up to `known_ms`, UTC
    /// epoch ms.
    ///
    /// - A candle that opens beyond a barrier fills at its open.
    /// - If both barriers lie inside the candle, the stop is assumed to have come first.
    /// - An expiry within the candle closes at the candle's close, if no barrier was touched.
    /// - If the candle began before the signal, usually only its close counts, because only the close is known to be later. High
    ///   and low count too if the signal was given in the candle's first twelfth, the candle opened between the barriers, and no
    ///   finer candles were checked beyond the entry.
    pub fn on_candle(&self, known_ms: i64, candle: &Candle, candle_ms: i64) -> Option<Exit> {
        let end_ms = candle.open_ms + candle_ms;
        if end_ms <= self.since_ms {
            return None;
        }
        if candle.open_ms < self.since_ms {
            if !self.counts_whole(known_ms, candle, candle_ms) {
                return self.on_tick(candle.close, end_ms);
            }
        } else if let Some(exit) = self.on_tick(candle.open, candle.open_ms) {
            return Some(exit);
        }
        let (worst, best) = match self.direction {
            Direction::Buy => (candle.low, candle.high),
            Direction::Sell => (candle.high, candle.low),
        };
        if let Some(price) = self.stop_loss.filter(|_| self.beyond_stop(worst)) {
            return Some(Exit { outcome: Outcome::StoppedOut, price, time_ms: end_ms });
        }
        if let Some(price) = self.take_profit.filter(|_| self.beyond_target(best)) {
            return Some(Exit { outcome: Outcome::TookProfit, price, time_ms: end_ms });
        }
        self.on_tick(candle.close, end_ms)
    }

    /// Whether high and low of a candle that began before the signal count, see [`Self::on_candle`].
    fn counts_whole(&self, known_ms: i64, candle: &Candle, candle_ms: i64) -> bool {
        let is_told = known_ms > self.since_ms;
        let is_early = self.since_ms <= counts_whole_until(candle, candle_ms);
        !is_told && is_early && !self.beyond_stop(candle.open) && !self.beyond_target(candle.open)
    }

    /// [`Self::on_candle`] for the first candle after `known_ms`, the time up to which prices are known.
    ///
    /// A candle that opens beyond a barrier, or after the expiry, fills at its open if that was the first price to trade at
    /// ([`Trading::bridges`]). After a longer hole nobody knows which barrier was touched first, when and at which price: the
    /// outcome is [`Outcome::Unknown`]. A candle that opens between the barriers counts as usual.
    pub fn on_candle_after(&self, known_ms: i64, candle: &Candle, candle_ms: i64, trading: &Trading) -> Option<Exit> {
        let exit = self.on_candle(known_ms, candle, candle_ms)?;
        let at_open = exit.time_ms == candle.open_ms;
        if at_open && !trading.bridges(known_ms.max(self.since_ms), candle.open_ms, candle_ms) {
            return Some(Exit { outcome: Outcome::Unknown, ..exit });
        }
        Some(exit)
    }

    fn beyond_stop(&self, price: f64) -> bool {
        self.stop_loss.is_some_and(|stop| self.direction.sign() * (price - stop) <= 0.0)
    }

    fn beyond_target(&self, price: f64) -> bool {
        self.take_profit.is_some_and(|target| self.direction.sign() * (price - target) >= 0.0)
    }
}

#[cfg(test)]
mod entry;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const T0: i64 = 1_700_000_000_000;

    fn buy() -> Levels {
        Levels {
            direction: Direction::Buy,
            entry: 100.0,
            stop_loss: Some(95.0),
            take_profit: Some(110.0),
            since_ms: T0,
            expires_ms: Some(T0 + 10 * HOUR),
        }
    }

    /// The same bet mirrored at the entry price.
    fn sell() -> Levels {
        Levels { direction: Direction::Sell, stop_loss: Some(105.0), take_profit: Some(90.0), ..buy() }
    }

    fn candle(open_ms: i64, open: f64, high: f64, low: f64, close: f64) -> Candle {
        Candle { open_ms, open, high, low, close, volume: 1.0 }
    }

    /// The exit by this hourly candle, with no earlier candles.
    fn on(levels: &Levels, candle: &Candle) -> Option<Exit> {
        levels.on_candle(i64::MIN, candle, HOUR)
    }

    #[test]
    fn ticks_fill_at_their_price() {
        let exit = buy().on_tick(94.0, T0 + 1).unwrap();
        assert_eq!(exit, Exit { outcome: Outcome::StoppedOut, price: 94.0, time_ms: T0 + 1 });
        assert_eq!(buy().on_tick(95.0, T0).unwrap().outcome, Outcome::StoppedOut);
        assert_eq!(buy().on_tick(110.0, T0).unwrap().outcome, Outcome::TookProfit);
        assert_eq!(buy().on_tick(100.0, T0), None);
        assert_eq!(sell().on_tick(105.0, T0).unwrap().outcome, Outcome::StoppedOut);
        assert_eq!(sell().on_tick(90.0, T0).unwrap().outcome, Outcome::TookProfit);
    }

    #[test]
    fn a_price_from_before_the_signal_never_closes_it() {
        assert_eq!(buy().on_tick(1.0, T0 - 1), None);
        let now = buy().on_tick_now(1.0, T0 - 300_000).unwrap();
        assert_eq!((now.outcome, now.time_ms), (Outcome::StoppedOut, T0), "a clock that was set back");
        assert_eq!(on(&buy(), &candle(T0 - HOUR, 100.0, 120.0, 1.0, 1.0)), None);
        // Half of this candle came before the signal, so its low does not count.
        assert_eq!(on(&buy(), &candle(T0 - HOUR / 2, 100.0, 100.0, 90.0, 99.0)), None);
        let exit = on(&buy(), &candle(T0 - HOUR / 2, 100.0, 100.0, 90.0, 94.0)).unwrap();
        assert_eq!((exit.outcome, exit.price), (Outcome::StoppedOut, 94.0));
    }

    #[test]
    fn the_candle_of_the_entry_counts_whole_where_the_entry_came_early() {
        let begun = |before_ms: i64, open: f64| candle(T0 - before_ms, open, open.max(101.0), 90.0, 99.0);
        let outcome = |before_ms, open| on(&buy(), &begun(before_ms, open)).map(|exit| (exit.outcome, exit.price));
        assert_eq!(outcome(1_000, 100.0), Some((Outcome::StoppedOut, 95.0)));
        assert_eq!(outcome(HOUR / 12, 100.0), Some((Outcome::StoppedOut, 95.0)));
        assert_eq!(outcome(HOUR / 12 + 1, 100.0), None, "later, the low may have come before it");
        // A price beyond a level before the entry proves nothing about later prices.
        assert_eq!((outcome(1_000, 94.0), outcome(1_000, 111.0)), (None, None));
        // Finer candles were checked up to some time after the entry.
        let told = |known_ms| buy().on_candle(known_ms, &begun(1_000, 100.0), HOUR);
        assert!(told(T0).is_some());
        assert_eq!(told(T0 + 60_000), None);
        let both = |known_ms| buy().on_candle_after(known_ms, &begun(1_000, 100.0), HOUR, &Trading::Always);
        assert_eq!((both(T0).is_some(), both(T0 + 60_000)), (true, None));
    }

    #[test]
    fn candles_worked_by_hand() {
        let t = T0 + HOUR;
        let cases = [
            (candle(t, 100.0, 106.0, 96.0, 101.0), None),
            (candle(t, 100.0, 111.0, 96.0, 101.0), Some((Outcome::TookProfit, 110.0, t + HOUR))),
            (candle(t, 100.0, 106.0, 94.0, 101.0), Some((Outcome::StoppedOut, 95.0, t + HOUR))),
            // Both inside one candle: the stop came first.
            (candle(t, 100.0, 111.0, 94.0, 101.0), Some((Outcome::StoppedOut, 95.0, t + HOUR))),
            // Opens beyond a barrier: fills at the open, better or worse.
            (candle(t, 92.0, 111.0, 91.0, 101.0), Some((Outcome::StoppedOut, 92.0, t))),
            (candle(t, 115.0, 116.0, 91.0, 101.0), Some((Outcome::TookProfit, 115.0, t))),
        ];
        for (candle, expected) in cases {
            let got = on(&buy(), &candle).map(|e| (e.outcome, e.price, e.time_ms));
            assert_eq!(got, expected, "{candle:?}");
        }
    }

    #[test]
    fn expiry_closes_by_the_sign_of_the_profit() {
        let last = T0 + 9 * HOUR;
        let exit = on(&buy(), &candle(last, 100.0, 102.0, 99.0, 101.0)).unwrap();
        assert_eq!((exit.outcome, exit.price, exit.time_ms), (Outcome::Success, 101.0, T0 + 10 * HOUR));
        assert_eq!(on(&buy(), &candle(last, 100.0, 102.0, 99.0, 100.0)).unwrap().outcome, Outcome::Failure);
        // The first candle after a missed expiry closes at its open, whatever came later in it.
        let exit = on(&buy(), &candle(T0 + 20 * HOUR, 101.0, 120.0, 50.0, 60.0)).unwrap();
        assert_eq!((exit.outcome, exit.price), (Outcome::Success, 101.0));
    }

    #[test]
    fn a_fill_beyond_a_level_is_at_the_next_price_that_was_to_be_had() {
        let long = Levels { expires_ms: Some(T0 + 200 * HOUR), ..buy() };
        let after = |hours: i64, open: f64, trading: &Trading| {
            let candle = candle(T0 + (10 + hours) * HOUR, open, open + 1.0, open - 1.0, open);
            long.on_candle_after(T0 + 10 * HOUR, &candle, HOUR, trading).map(|exit| exit.outcome)
        };
        let (stopped, target, unknown) = (Some(Outcome::StoppedOut), Some(Outcome::TookProfit), Some(Outcome::Unknown));
        for trading in [&Trading::Always, &Trading::MayClose] {
            assert_eq!((after(0, 90.0, trading), after(6, 90.0, trading)), (stopped, stopped));
            assert_eq!(after(6, 161.0, trading), target);
            assert_eq!((after(19, 90.0, trading), after(19, 161.0, trading)), (unknown, unknown));
            assert_eq!((after(19, 100.0, trading), after(180, 100.0, trading)), (None, None), "it is still open");
            assert_eq!(after(200, 100.0, trading), unknown, "it expired meanwhile, at a price that nobody knows");
        }
        assert_eq!((after(7, 90.0, &Trading::Always), after(7, 90.0, &Trading::MayClose)), (unknown, stopped));
        // Touched within the candle, at a price that was traded.
        let inside = candle(T0 + 60 * HOUR, 100.0, 101.0, 94.0, 100.0);
        let exit = long.on_candle_after(T0, &inside, HOUR, &Trading::Always).unwrap();
        assert_eq!((exit.outcome, exit.price), (Outcome::StoppedOut, 95.0));
        // The signal is younger than the last known price.
        let first = candle(T0, 90.0, 91.0, 89.0, 90.0);
        assert_eq!(buy().on_candle_after(0, &first, HOUR, &Trading::Always).unwrap().outcome, Outcome::StoppedOut);
    }

    #[test]
    fn markets_close_at_night_and_on_weekends() {
        // A Friday, 18:00 UTC.
        let friday = 1_757_700_000_000;
        assert_eq!(crate::time::format_iso(friday), "2025-09-12T18:00:00.000Z");
        let closed = |from_ms: i64, hours: i64| Trading::MayClose.bridges(from_ms, from_ms + hours * HOUR, HOUR);
        assert!(closed(friday, 64) && closed(friday, 96) && !closed(friday, 97));
        assert!(closed(friday, 30) && !closed(friday, 29), "until the end of Saturday");
        let sunday = friday + 30 * HOUR;
        assert!(closed(sunday, 18) && !closed(sunday, 19) && !closed(sunday, 96));
        assert!(!Trading::Always.bridges(friday, friday + 64 * HOUR, HOUR));
    }

    #[test]
    fn no_price_makes_a_profit_without_end() {
        let levels = Levels { entry: 1e-300, ..buy() };
        assert_eq!(levels.profit_percent(1e308), MOST_PERCENT);
        assert_eq!(Levels { direction: Direction::Sell, ..levels }.profit_percent(1e308), -MOST_PERCENT);
    }

    #[test]
    fn a_signal_without_levels_stays_open() {
        let levels = Levels { stop_loss: None, take_profit: None, expires_ms: None, ..buy() };
        assert_eq!(on(&levels, &candle(T0, 100.0, 1e9, 1e-9, 100.0)), None);
    }

    proptest! {
        /// A SELL is a BUY in the mirror: prices reflected at the entry give the same outcome and profit.
        #[test]
        fn sell_mirrors_buy(open in 91.0..109.0f64, up in 0.0..15.0f64, down in 0.0..15.0f64, at in 0.0..1.0f64, hours in 0i64..15) {
            let (high, low) = (open + up, open - down);
            let close = low + at * (high - low);
            let seen = candle(T0 + hours * HOUR, open, high, low, close);
            let mirror = |p: f64| 200.0 - p;
            let mirrored = candle(seen.open_ms, mirror(open), mirror(low), mirror(high), mirror(close));
            let (b, s) = (on(&buy(), &seen), on(&sell(), &mirrored));
            // Rounding may move a close that sits exactly on a level; such draws are vanishingly rare.
            prop_assert_eq!(b.map(|e| e.outcome), s.map(|e| e.outcome));
            if let (Some(b), Some(s)) = (b, s) {
                prop_assert!((buy().profit_percent(b.price) - sell().profit_percent(s.price)).abs() < 1e-9);
            }
        }

        /// An exit inside a candle never gives more than the stop's level, nor less than the target's.
        #[test]
        fn exits_are_never_flattering(open in 80.0..120.0f64, up in 0.0..15.0f64, down in 0.0..15.0f64, at in 0.0..1.0f64) {
            let (high, low) = (open + up, open - down);
            let seen = candle(T0, open, high, low, low + at * (high - low));
            match on(&buy(), &seen) {
                Some(exit) if exit.outcome == Outcome::StoppedOut => prop_assert!(exit.price <= 95.0 && exit.price >= low),
                Some(exit) if exit.outcome == Outcome::TookProfit => {
                    prop_assert!(exit.price >= 110.0 && exit.price <= high && open > 95.0);
                }
                Some(exit) => prop_assert!(false, "{:?}", exit),
                None => prop_assert!(low > 95.0 && high < 110.0),
            }
        }
    }
}
