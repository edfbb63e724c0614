//! Replays a past signal on candles, with its own levels and with others.
//!
//! [`Levels::on_candle`] decides when each ends, as it does for live signals, missed candles and labels.

use domain::barrier::{Exit, Levels, Outcome};
use domain::calendar::Calendar;
use domain::candle::Candle;
use std::sync::Arc;

/// The candles of a symbol at one timeframe.
#[derive(Debug, Clone)]
pub struct Series {
    candles: Vec<Candle>,
    calendar: Arc<Calendar>,
    /// Indices of the candles that follow a gap.
    after_gaps: Vec<usize>,
}

impl Series {
    /// From checked candles, oldest first, of `step_ms` each.
    pub fn new(candles: Vec<Candle>, step_ms: i64) -> Self {
        let calendar = Arc::new(Calendar::learn(&candles, step_ms));
        let is_gap = |at: &usize| calendar.is_gap(candles[at - 1].open_ms, candles[*at].open_ms);
        let after_gaps = (1..candles.len()).filter(is_gap).collect();
        Self { candles, calendar, after_gaps }
    }

    /// All candles, oldest first.
    pub fn candles(&self) -> &[Candle] {
        &self.candles
    }

    /// When the market trades.
    pub fn calendar(&self) -> &Arc<Calendar> {
        &self.calendar
    }

    /// The candles from the one in which `from_ms` lies to the first that has closed by `until_ms`; `None` if they are
    /// not all there.
    pub fn covering(&self, from_ms: i64, until_ms: i64) -> Option<&[Candle]> {
        let step_ms = self.calendar.step_ms();
        let first = self.candles.partition_point(|candle| candle.open_ms + step_ms <= from_ms);
        let last = self.candles.partition_point(|candle| candle.open_ms + step_ms < until_ms);
        let covered = self.candles.get(first..=last)?;
        // The market was closed at that time if the first candle opens later; then it must follow without a gap.
        let opens_later = covered.first()?.open_ms > from_ms;
        if opens_later && first == 0 {
            return None;
        }
        let from = if opens_later { first } else { first + 1 };
        let gap = self.after_gaps.partition_point(|at| *at < from);
        self.after_gaps.get(gap).is_none_or(|at| *at > last).then_some(covered)
    }
}

/// How a signal ended with each set of levels; `E` is an end.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay<E = Exit> {
    /// Of each set of levels, in order. The first are the signal's own.
    pub exits: Vec<E>,
    /// The end with the own levels if candles that touched the own stop and the own target reached the target first. Which came first
    /// is not known; the rule says the stop.
    pub hopeful: Option<E>,
    /// The furthest price in favour of the signal while it was open with its own levels.
    pub best: f64,
    /// The furthest price against it.
    pub worst: f64,
}

/// What an end brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    /// Profit in percent of the entry, before costs.
    pub profit_percent: f64,
    /// The same after costs.
    pub net_percent: f64,
    /// Whether it counts as a success.
    pub succeeded: bool,
    /// When, UTC epoch ms.
    pub time_ms: i64,
}

impl<E> Replay<E> {
    /// The same with other ends; `None` if one of them has none.
    pub fn map<F>(self, of: impl Fn(&E) -> Option<F>) -> Option<Replay<F>> {
        let hopeful = match &self.hopeful {
            Some(end) => Some(of(end)?),
            None => None,
        };
        let exits = self.exits.iter().map(of).collect::<Option<_>>()?;
        Some(Replay { exits, hopeful, best: self.best, worst: self.worst })
    }
}

/// Replays a signal with several sets of levels; the first are its own. `None` if one of them is still open after the
/// last candle.
pub fn replay(levels: &[Levels], candles: &[Candle], step_ms: i64) -> Option<Replay> {
    let own = levels.first()?;
    let mut exits: Vec<Option<Exit>> = vec![None; levels.len()];
    let mut path = Path::of(own);
    let mut hopeful = None;
    let mut open = Open::of(levels, &exits);
    for candle in candles {
        if open.left == 0 {
            break;
        }
        if open.cannot_end_in(candle, step_ms, own.since_ms) {
            if exits[0].is_none() {
                path.extend(candle);
            }
            continue;
        }
        for (at, (levels, exit)) in levels.iter().zip(&mut exits).enumerate().filter(|(_, (_, exit))| exit.is_none()) {
            *exit = levels.on_candle(levels.since_ms, candle, step_ms);
            match exit {
                Some(exit) if at == 0 => {
                    path.end(candle, exit);
                    hopeful = target_in_the_same(levels, exit, candle, step_ms);
                }
                None if at == 0 => path.extend(candle),
                _ => {}
            }
        }
        open = Open::of(levels, &exits);
    }
    let exits = exits.into_iter().collect::<Option<Vec<Exit>>>()?;
    Some(Replay { exits, hopeful, best: path.best, worst: path.worst })
}

/// The exit at the target, if the candle in which the stop closed the signal touched that too.
fn target_in_the_same(levels: &Levels, exit: &Exit, candle: &Candle, step_ms: i64) -> Option<Exit> {
    if exit.outcome != Outcome::StoppedOut || exit.time_ms == candle.open_ms {
        return None;
    }
    let without_stop = Levels { stop_loss: None, ..*levels };
    let other = without_stop.on_candle(levels.since_ms, candle, step_ms)?;
    (other.outcome == Outcome::TookProfit).then_some(other)
}

/// What can end a set of levels that is still open: most candles touch nothing, and are passed over at once.
struct Open {
    left: usize,
    /// The highest level below the price, and the lowest above it.
    below: f64,
    above: f64,
    /// The first expiry.
    expires_ms: i64,
}

impl Open {
    fn of(levels: &[Levels], exits: &[Option<Exit>]) -> Self {
        let mut open = Self { left: 0, below: f64::NEG_INFINITY, above: f64::INFINITY, expires_ms: i64::MAX };
        for (levels, _) in levels.iter().zip(exits).filter(|(_, exit)| exit.is_none()) {
            open.left += 1;
            for level in [levels.stop_loss, levels.take_profit].into_iter().flatten() {
                if level < levels.entry {
                    open.below = open.below.max(level);
                } else {
                    open.above = open.above.min(level);
                }
            }
            open.expires_ms = open.expires_ms.min(levels.expires_ms.unwrap_or(i64::MAX));
        }
        open
    }

    fn cannot_end_in(&self, candle: &Candle, step_ms: i64, since_ms: i64) -> bool {
        candle.open_ms >= since_ms
            && candle.low > self.below
            && candle.high < self.above
            && candle.open_ms + step_ms < self.expires_ms
    }
}

/// How far the price went for and against a signal. Where the order within a candle is not known, it is the one that
/// is worst for the signal.
pub(super) struct Path {
    own: Levels,
    pub best: f64,
    pub worst: f64,
}

impl Path {
    pub fn of(own: &Levels) -> Self {
        Self { own: *own, best: own.entry, worst: own.entry }
    }

    pub fn see(&mut self, price: f64) {
        let sign = self.own.direction.sign();
        if sign * (price - self.best) > 0.0 {
            self.best = price;
        }
        if sign * (price - self.worst) < 0.0 {
            self.worst = price;
        }
    }

    /// A candle in which the signal stayed open. Of one that began before the signal, only the close is known to be
    /// later.
    pub fn extend(&mut self, candle: &Candle) {
        if candle.open_ms >= self.own.since_ms {
            self.see(candle.high);
            self.see(candle.low);
        } else {
            self.see(candle.close);
        }
    }

    /// The candle that ended it.
    pub fn end(&mut self, candle: &Candle, exit: &Exit) {
        let whole = candle.open_ms >= self.own.since_ms && exit.time_ms > candle.open_ms;
        match exit.outcome {
            _ if !whole => {}
            // The worst price came first.
            Outcome::TookProfit => self.see(if self.own.direction.sign() > 0.0 { candle.low } else { candle.high }),
            Outcome::StoppedOut => {}
            // It ended at the close.
            _ => self.extend(candle),
        }
        self.see(exit.price);
    }
}

#[cfg(test)]
mod tests {
    use super::super::alternatives::{Has, OWN, alternatives};
    use super::*;
    use domain::barrier::Direction;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const T0: i64 = 1_700_000_000_000 / HOUR * HOUR;

    fn candle(i: i64, open: f64, high: f64, low: f64, close: f64) -> Candle {
        Candle { open_ms: T0 + i * HOUR, open, high, low, close, volume: 1.0 }
    }

    fn buy() -> Levels {
        Levels {
            direction: Direction::Buy,
            entry: 100.0,
            stop_loss: Some(98.0),
            take_profit: Some(104.0),
            since_ms: T0,
            expires_ms: Some(T0 + 4 * HOUR),
        }
    }

    fn exit(outcome: Outcome, price: f64, hours: i64) -> Exit {
        Exit { outcome, price, time_ms: T0 + hours * HOUR }
    }

    #[test]
    fn worked_by_hand() {
        let candles = [
            candle(0, 100.0, 101.0, 98.5, 100.5),
            candle(1, 100.5, 102.5, 97.0, 101.0),
            candle(2, 101.0, 105.0, 100.0, 104.5),
            candle(3, 104.5, 106.0, 104.0, 105.5),
        ];
        let wide = Levels { stop_loss: Some(96.0), ..buy() };
        let near = Levels { take_profit: Some(102.0), ..buy() };
        let far = Levels { stop_loss: Some(96.0), take_profit: Some(108.0), ..buy() };
        let got = replay(&[buy(), wide, near, far], &candles, HOUR).unwrap();
        let ends = [
            exit(Outcome::StoppedOut, 98.0, 2),
            exit(Outcome::TookProfit, 104.0, 3),
            // Both in one candle: the stop.
            exit(Outcome::StoppedOut, 98.0, 2),
            exit(Outcome::Success, 105.5, 4),
        ];
        assert_eq!(got.exits, ends);
        // The 102.5 of the candle that stopped it may have come later.
        assert_eq!((got.best, got.worst, got.hopeful), (101.0, 98.0, None));
        let got = replay(&[near], &candles, HOUR).unwrap();
        assert_eq!(got.hopeful, Some(exit(Outcome::TookProfit, 102.0, 2)));
        let got = replay(&[wide], &candles, HOUR).unwrap();
        assert_eq!((got.best, got.worst), (104.0, 97.0));
        let got = replay(&[far], &candles, HOUR).unwrap();
        assert_eq!((got.best, got.worst), (106.0, 97.0));
        assert_eq!(replay(&[buy(), far], &candles[..3], HOUR), None, "not over yet");
        // Opens beyond the stop: nothing else of that candle counts.
        let gapped = [candle(0, 100.0, 101.0, 99.0, 100.0), candle(1, 97.0, 105.0, 96.0, 104.0)];
        let got = replay(&[buy()], &gapped, HOUR).unwrap();
        assert_eq!((got.exits[0], got.best, got.worst), (exit(Outcome::StoppedOut, 97.0, 1), 101.0, 97.0));
        assert_eq!(got.hopeful, None);
    }

    #[test]
    fn of_the_candle_in_which_the_signal_came_only_the_close_is_a_later_price() {
        let levels = Levels { since_ms: T0 + HOUR / 2, ..buy() };
        let candles = [candle(0, 100.0, 103.9, 98.1, 100.5), candle(1, 100.5, 104.0, 100.0, 103.0)];
        let got = replay(&[levels], &candles, HOUR).unwrap();
        assert_eq!((got.exits[0].outcome, got.best, got.worst), (Outcome::TookProfit, 104.0, 100.0));
        let sell = Levels { direction: Direction::Sell, stop_loss: Some(103.0), take_profit: Some(99.0), ..levels };
        let falls = [candles[0], candle(1, 100.5, 102.0, 98.0, 98.5)];
        let got = replay(&[sell], &falls, HOUR).unwrap();
        assert_eq!((got.exits[0].outcome, got.best, got.worst), (Outcome::TookProfit, 99.0, 102.0));
    }

    #[test]
    fn a_path_is_covered_from_the_entry_to_the_end() {
        let hours = |list: &[i64]| list.iter().map(|&i| candle(i, 1.0, 1.0, 1.0, 1.0)).collect::<Vec<_>>();
        let series = Series::new(hours(&[0, 1, 2, 3, 4, 5, 20, 21, 22]), HOUR);
        let opens = |from: i64, until: i64| {
            let covered = series.covering(T0 + from, T0 + until)?;
            Some((covered.first()?.open_ms - T0, covered.last()?.open_ms - T0))
        };
        assert_eq!(opens(0, 3 * HOUR), Some((0, 2 * HOUR)));
        assert_eq!(opens(HOUR - 1, 3 * HOUR + 1), Some((0, 3 * HOUR)));
        assert_eq!(opens(5 * HOUR, 6 * HOUR), Some((5 * HOUR, 5 * HOUR)));
        assert_eq!(
            (opens(-1, 3 * HOUR), opens(5 * HOUR, 6 * HOUR + 1), opens(21 * HOUR, 23 * HOUR + 1)),
            (None, None, None)
        );
        assert_eq!(opens(20 * HOUR, 23 * HOUR), Some((20 * HOUR, 22 * HOUR)));
        assert_eq!(opens(10 * HOUR, 22 * HOUR), None, "given in a gap");
        // Some missing candles are no gap.
        let holes = Series::new(hours(&[0, 1, 5, 6]), HOUR);
        assert_eq!(holes.covering(T0 + 2 * HOUR, T0 + 7 * HOUR).map(<[Candle]>::len), Some(2));
    }

    proptest! {
        /// What cannot end a signal is passed over; the result is that of asking the rule about every candle.
        #[test]
        fn passing_over_candles_changes_nothing(
            moves in prop::collection::vec((-2.0..2.0f64, 0.0..2.0f64, 0.0..2.0f64), 40..80),
            late in 0i64..HOUR,
            sells in any::<bool>(),
        ) {
            let mut close = 100.0;
            let candles: Vec<Candle> = moves.into_iter().enumerate().map(|(i, (step, up, down))| {
                let open = close;
                close = f64::max(close + step, 50.0);
                candle(i as i64, open, f64::max(open, close) + up, f64::min(open, close) - down, close)
            }).collect();
            let own = Levels { since_ms: T0 + late, expires_ms: Some(T0 + late + 18 * HOUR), ..buy() };
            let own = if sells {
                Levels { direction: Direction::Sell, stop_loss: Some(102.0), take_profit: Some(96.0), ..own }
            } else {
                own
            };
            let has = Has { target: true, expiry: true };
            let all: Vec<Levels> =
                [OWN].into_iter().chain(alternatives(has)).map(|multiples| multiples.of(&own, 0)).collect();
            let plain = |levels: &Levels| candles.iter().find_map(|candle| levels.on_candle(levels.since_ms, candle, HOUR));
            let expected: Option<Vec<Exit>> = all.iter().map(plain).collect();
            let got = replay(&all, &candles, HOUR);
            prop_assert_eq!(got.as_ref().map(|got| &got.exits), expected.as_ref());
            if let Some(got) = got {
                let sign = own.direction.sign();
                prop_assert!(sign * (got.best - own.entry) >= 0.0 && sign * (got.worst - own.entry) <= 0.0);
                let end = got.exits[0].price;
                prop_assert!(sign * (got.best - end) >= 0.0 && sign * (got.worst - end) <= 0.0);
            }
        }
    }
}
