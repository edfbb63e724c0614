//! Triple-barrier labels. For each past candle: would a BUY (SELL) opened there have reached its target before its
//! stop?

use crate::management::Management;
use domain::barrier::{Direction, Levels, Trade};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::config::SignalShape;

/// The two bets at one bar. Both can fail, but never both succeed: a move that lets one win makes the other lose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// How a BUY would have ended.
    pub buy: Ending,
    /// How a SELL would have ended.
    pub sell: Ending,
}

impl Label {
    /// How the bet in one direction ended.
    pub fn of(&self, direction: Direction) -> Ending {
        match direction {
            Direction::Buy => self.buy,
            Direction::Sell => self.sell,
        }
    }

    /// The first bar at which both bets are decided.
    pub fn last_bar(&self) -> usize {
        self.buy.bar.max(self.sell.bar)
    }
}

/// How one bet ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// Whether it succeeded, as defined by [`domain::barrier::Outcome::succeeded`].
    pub success: bool,
    /// Profit in percent of the entry, before costs.
    pub profit_percent: f64,
    /// Index of the candle that ended it.
    pub bar: usize,
}

/// The entry of a bet: the close of a candle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetEntry {
    /// The closing price.
    pub price: f64,
    /// When the candle closed, UTC epoch ms.
    pub time_ms: i64,
}

/// The levels of a bet, as the signal generator sets them. It expires at the close of the `expiry_bars`-th following
/// candle of the market; for a market that closes at night this is later than by the clock. A level at or below zero,
/// as a wide target of a SELL can be, is left out: no price reaches it.
pub fn levels_at(entry: BetEntry, calendar: &Calendar, atr: f64, direction: Direction, shape: &SignalShape) -> Levels {
    let stop = shape.stop_atr * atr;
    let level = |distance: f64| Some(entry.price + direction.sign() * distance).filter(|price| *price > 0.0);
    Levels {
        direction,
        entry: entry.price,
        stop_loss: level(-stop),
        take_profit: level(stop * shape.reward_risk),
        since_ms: entry.time_ms,
        expires_ms: Some(calendar.close_after(entry.time_ms, shape.expiry_bars)),
    }
}

/// The label of a signal given at the close of `candles[bar]`; `None` while the candles that decide it are missing,
/// either because they have not come yet or because they fell into a gap. A bet stays open over a night or a weekend,
/// and a level that the market opens beyond fills at the open.
pub fn label(candles: &[Candle], bar: usize, calendar: &Calendar, atr: f64, shape: &SignalShape) -> Option<Label> {
    managed_label(candles, bar, calendar, atr, shape, None)
}

/// [`label`] of a bet that is managed so, entered at the close of the candle.
pub fn managed_label(
    candles: &[Candle],
    bar: usize,
    calendar: &Calendar,
    atr: f64,
    shape: &SignalShape,
    management: Option<&Management>,
) -> Option<Label> {
    match decide(candles, bar, calendar, atr, shape, management) {
        Decision::Decided(label) => Some(label),
        Decision::Never | Decision::Open => None,
    }
}

/// What candles say of the label of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Decision {
    /// The label. Later candles do not change it.
    Decided(Label),
    /// There is none, whatever candles follow.
    Never,
    /// More candles will tell.
    Open,
}

/// How one bet ends, as far as candles say.
enum End {
    Ended(Ending),
    Unknown,
    Open,
}

/// [`managed_label`], and whether later candles can change it.
pub(super) fn decide(
    candles: &[Candle],
    bar: usize,
    calendar: &Calendar,
    atr: f64,
    shape: &SignalShape,
    management: Option<&Management>,
) -> Decision {
    let candle_ms = calendar.step_ms();
    let entry = BetEntry { price: candles[bar].close, time_ms: candles[bar].open_ms + candle_ms };
    let end = |direction| {
        let levels = levels_at(entry, calendar, atr, direction, shape);
        let terms = management.and_then(|management| management.terms(&levels));
        // A management without targets has no target at all.
        let levels = Levels { take_profit: levels.take_profit.filter(|_| management.is_none()), ..levels };
        let mut trade = terms.map(|terms| Trade::new(levels, &terms));
        let mut events = Vec::new();
        let mut before = candles[bar].open_ms;
        for (offset, candle) in candles[bar + 1..].iter().enumerate() {
            if calendar.is_gap(before, candle.open_ms) {
                return End::Unknown;
            }
            before = candle.open_ms;
            let ended = match &mut trade {
                None => levels
                    .on_candle(entry.time_ms, candle, candle_ms)
                    .map(|exit| (exit.outcome, levels.profit_percent(exit.price))),
                Some(trade) => {
                    trade.on_candle(entry.time_ms, candle, candle_ms, None, &mut events);
                    trade.ended().map(|(outcome, _)| (outcome, trade.profit_percent()))
                }
            };
            if let Some((outcome, profit_percent)) = ended {
                let Some(success) = outcome.succeeded() else { return End::Unknown };
                return End::Ended(Ending { success, profit_percent, bar: bar + 1 + offset });
            }
        }
        End::Open
    };
    match (end(Direction::Buy), end(Direction::Sell)) {
        (End::Ended(buy), End::Ended(sell)) => Decision::Decided(Label { buy, sell }),
        (End::Unknown, _) | (_, End::Unknown) => Decision::Never,
        (End::Open, _) | (_, End::Open) => Decision::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const SHAPE: SignalShape = SignalShape { stop_atr: 1.0, reward_risk: 2.0, expiry_bars: 3 };

    fn coin() -> Calendar {
        Calendar::always(HOUR)
    }

    fn candle(i: i64, high: f64, low: f64, close: f64) -> Candle {
        Candle { open_ms: 1_700_000_000_000 + i * HOUR, open: close, high, low, close, volume: 1.0 }
    }

    #[test]
    fn worked_by_hand() {
        // Entry 100, ATR 2: a BUY stops at 98 and takes profit at 104, a SELL stops at 102 and takes profit at 96.
        let rises = [candle(0, 100.0, 100.0, 100.0), candle(1, 101.0, 99.0, 101.0), candle(2, 104.5, 101.0, 104.0)];
        let got = label(&rises, 0, &coin(), 2.0, &SHAPE).unwrap();
        assert_eq!(got.buy, Ending { success: true, profit_percent: 4.0, bar: 2 });
        assert_eq!(got.sell, Ending { success: false, profit_percent: -4.0, bar: 2 });
        assert_eq!(label(&rises[..2], 0, &coin(), 2.0, &SHAPE), None, "not decided yet");
        let calm = [0, 1, 2, 3].map(|i| candle(i, 101.0, 99.5, if i == 0 { 100.0 } else { 100.5 }));
        let got = label(&calm, 0, &coin(), 2.0, &SHAPE).unwrap();
        assert_eq!(
            (got.buy.success, got.sell.success, got.buy.bar),
            (true, false, 3),
            "expiry, by the sign of the profit"
        );
        let halted = [calm[0], calm[1], candle(20, 105.0, 104.0, 105.0)];
        assert_eq!(label(&halted, 0, &coin(), 2.0, &SHAPE), None, "the outcome within the gap is unknown");
    }

    #[test]
    fn a_managed_bet_is_labelled_by_what_it_earns() {
        // Entry 100, a stop at 98; half at 102, then the stop moves to the entry.
        let management = Management {
            targets: vec![(1.0, 50.0), (2.0, 50.0)],
            break_even_after: Some(1),
            trail: None,
            trail_from: 0.0,
            moves: Vec::new(),
        };
        let candles = [candle(0, 100.0, 100.0, 100.0), candle(1, 102.5, 100.5, 101.0), candle(2, 101.0, 97.0, 100.5)];
        let got = managed_label(&candles, 0, &coin(), 2.0, &SHAPE, Some(&management)).unwrap();
        assert_eq!(got.buy, Ending { success: true, profit_percent: 1.0, bar: 2 });
        assert_eq!(got.sell, Ending { success: false, profit_percent: -2.0, bar: 1 });
        let plain = label(&candles, 0, &coin(), 2.0, &SHAPE).unwrap();
        assert_eq!((plain.buy.success, plain.buy.profit_percent), (false, -2.0));
    }

    proptest! {
        /// This is why the two probabilities and their remainder form a distribution over BUY, SELL and HOLD.
        #[test]
        fn both_bets_never_succeed(moves in prop::collection::vec((-3.0..3.0f64, 0.0..3.0f64, 0.0..3.0f64), 4..30)) {
            let mut close = 100.0;
            let mut candles = vec![candle(0, 100.0, 100.0, 100.0)];
            for (i, (step, up, down)) in moves.into_iter().enumerate() {
                let open = close;
                close += step;
                let next = candle(i as i64 + 1, open.max(close) + up, open.min(close) - down, close);
                candles.push(Candle { open, ..next });
            }
            if let Some(label) = label(&candles, 0, &coin(), 2.0, &SHAPE) {
                prop_assert!(!(label.buy.success && label.sell.success));
            }
        }
    }
}
