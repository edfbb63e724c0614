//! Replays a signal that is managed: with several targets, or a stop that moves.
//!
//! [`Trade`] decides what happens, as it does for live signals. A replay begins at the signal's entry: whether it would have been entered
//! is not asked again.

use super::OWN;
use super::alternatives::Multiples;
use super::replay::{End, Path, Replay};
use domain::barrier::{
    Direction, Event, Exit, ExitCause, Levels, Outcome, StopRules, StopStep, Target, Terms, Trade, What,
};
use domain::candle::Candle;
use domain::signal::{Costs, Earned, Position, Record};

/// The levels and the terms of a managed signal from its entry on; `None` if it was changed or closed in parts by hand, if nobody knows
/// its entry, and if it was entered beyond its stop or a target, so that their distances mean nothing.
pub fn since_entry(record: &Record, trade: &Trade) -> Option<(Levels, Terms)> {
    let signal = &record.signal;
    let is_changed = |event: &Event| matches!(event.what, What::Amended { .. } | What::Reduced { .. });
    if record.history.iter().any(is_changed) {
        return None;
    }
    let (given, terms) = (signal.levels()?, signal.terms.as_deref().cloned().unwrap_or_default());
    let levels = Levels { entry: trade.levels().entry, since_ms: trade.entered_ms()?, ..given };
    let sign = levels.direction.sign();
    let mut targets = terms.targets.iter().map(|target| target.price).chain(levels.take_profit);
    let is_sound = levels.stop_loss.is_none_or(|stop| sign * (levels.entry - stop) > 0.0)
        && targets.all(|target| sign * (target - levels.entry) > 0.0);
    let managed = Terms { targets: terms.targets, rules: terms.rules, ..Terms::default() };
    is_sound.then_some((levels, managed))
}

/// The price that stands for all targets: their mean by share.
pub fn mean_target(levels: &Levels, terms: &Terms) -> Option<f64> {
    terms.mean_target().or(levels.take_profit)
}

impl Multiples {
    /// The terms of a signal at these multiples; `moved` are its levels there ([`Multiples::of`]).
    ///
    /// The distances of all targets are those of the target. A price to which the stop moves is scaled as what lies on its side of the
    /// entry, so that it stays between the stop and its target. The rest stays as it was given: the shares, the break-even (no further
    /// than its target), the distance of a trailing stop, and the price at which that begins.
    fn terms(&self, own: &Levels, moved: &Levels, terms: &Terms) -> Terms {
        if *self == OWN {
            return terms.clone();
        }
        let sign = own.direction.sign();
        let away = |price: f64, times: f64| if times == 1.0 { price } else { own.entry + times * (price - own.entry) };
        let target = |target: &Target| Target { price: away(target.price, self.target), ..*target };
        // A target of a SELL may lie below zero then: no price reaches it, nor the later ones.
        let targets: Vec<Target> = terms.targets.iter().map(target).take_while(|target| target.price > 0.0).collect();
        let step = |step: &StopStep| {
            let is_profit = sign * (step.price - own.entry) > 0.0;
            StopStep { price: away(step.price, if is_profit { self.target } else { self.stop }), ..*step }
        };
        let rules = &terms.rules;
        let break_even_target = rules.break_even_after_target.and_then(|number| {
            targets.get(number - 1).map(|target| target.price).or(moved.take_profit.filter(|_| number == 1))
        });
        let most_costs = break_even_target.map_or(f64::INFINITY, |target| own.profit_percent(target));
        let risk = |levels: &Levels| levels.stop_loss.map(|stop| (levels.entry - stop).abs());
        let same_price = risk(own).zip(risk(moved)).map_or(1.0, |(own, moved)| own / moved);
        Terms {
            targets,
            rules: StopRules {
                break_even_costs_percent: rules.break_even_costs_percent.min(most_costs),
                trail: rules.trail.map(|mut trail| {
                    trail.activate_at_r = trail.activate_at_r.map(|r| r * same_price);
                    trail
                }),
                move_to: rules.move_to.iter().map(step).collect(),
                ..rules.clone()
            },
            ..terms.clone()
        }
    }
}

/// A signal with one set of levels.
struct Running {
    trade: Trade,
    events: Vec<Event>,
}

impl Running {
    fn on(&mut self, candle: &Candle, step_ms: i64, since_ms: i64) {
        self.trade.on_candle(since_ms, candle, step_ms, None, &mut self.events);
    }

    fn end(&self, position: &Position, costs: &Costs) -> Option<End> {
        let earned = Earned::of_trade(&self.trade, &self.events, position, costs)?;
        let (outcome, time_ms) = self.trade.ended()?;
        Some(End {
            profit_percent: self.trade.profit_percent(),
            net_percent: earned.net_profit_percent?,
            succeeded: outcome.succeeded()?,
            time_ms,
        })
    }
}

/// The prices between which nothing happens to any of these, and the first time at which something does.
struct Quiet {
    above: f64,
    below: f64,
    until_ms: i64,
}

impl Quiet {
    fn of<'a>(all: impl Iterator<Item = &'a Running>) -> Self {
        let mut quiet = Self { above: f64::NEG_INFINITY, below: f64::INFINITY, until_ms: i64::MAX };
        for trade in all.map(|running| &running.trade).filter(|trade| trade.ended().is_none()) {
            let triggers = trade.triggers();
            quiet.above = quiet.above.max(triggers.fall.unwrap_or(f64::NEG_INFINITY));
            quiet.below = quiet.below.min(triggers.rise.unwrap_or(f64::INFINITY));
            quiet.until_ms = quiet.until_ms.min(triggers.due_ms.unwrap_or(i64::MAX));
            // A better price moves a stop that trails.
            if let Some(trailing) = trade.trailing() {
                match trailing.direction {
                    Direction::Buy => quiet.below = quiet.below.min(trailing.best.max(trailing.from)),
                    Direction::Sell => quiet.above = quiet.above.max(trailing.best.min(trailing.from)),
                }
            }
        }
        quiet
    }

    fn holds(&self, candle: &Candle, step_ms: i64, since_ms: i64) -> bool {
        candle.open_ms >= since_ms
            && candle.low > self.above
            && candle.high < self.below
            && candle.open_ms + step_ms < self.until_ms
    }
}

/// Replays a managed signal at these multiples, the first of which are [`super::OWN`]; `None` if one of them is still open after the last
/// candle. Without an expiry it closes at `limit_ms`.
pub fn replay_managed(
    (own, terms): (&Levels, &Terms),
    multiples: &[Multiples],
    limit_ms: i64,
    (candles, step_ms): (&[Candle], i64),
    (position, costs): (&Position, &Costs),
) -> Option<Replay<End>> {
    let start = |multiples: &Multiples| {
        let moved = multiples.of(own, limit_ms);
        // No price reaches a stop below zero; but it still is what is risked.
        let stop_loss = moved.stop_loss.or(own.stop_loss.map(|_| f64::MIN_POSITIVE));
        let moved = Levels { stop_loss, ..moved };
        Running { trade: Trade::new(moved, &multiples.terms(own, &moved, terms)), events: Vec::new() }
    };
    let mut all: Vec<Running> = multiples.iter().map(start).collect();
    let mut path = Path::of(own);
    // The own management if prices came in a better order; `None` while there was only one.
    let mut hope: Option<Running> = None;
    let mut quiet = Quiet::of(all.iter());
    for candle in candles {
        if all.iter().chain(&hope).all(|running| running.trade.ended().is_some()) {
            break;
        }
        let is_open = all[0].trade.ended().is_none();
        if quiet.holds(candle, step_ms, own.since_ms) {
            if is_open {
                path.extend(candle);
            }
            continue;
        }
        if let Some(running) = &mut hope {
            *running = hopeful(running, candle, step_ms, own.since_ms)
                .unwrap_or_else(|| after(running, candle, step_ms, own.since_ms));
        } else if is_open {
            hope = hopeful(&all[0], candle, step_ms, own.since_ms);
        }
        for running in all.iter_mut().filter(|running| running.trade.ended().is_none()) {
            running.on(candle, step_ms, own.since_ms);
        }
        match all[0].trade.ended() {
            Some((outcome, time_ms)) if is_open => {
                let what = &all[0].events.last()?.what;
                // The last part, whatever the others were.
                let outcome = match what {
                    What::Target { .. } => Outcome::TookProfit,
                    What::Exit { cause: ExitCause::Stop, .. } => Outcome::StoppedOut,
                    _ => outcome,
                };
                path.end(candle, &Exit { outcome, price: what.price()?, time_ms });
                all[0].events.iter().filter_map(|event| event.what.price()).for_each(|price| path.see(price));
            }
            None => path.extend(candle),
            Some(_) => {}
        }
        quiet = Quiet::of(all.iter().chain(&hope));
    }
    let ends: Vec<End> = all.iter().map(|running| running.end(position, costs)).collect::<Option<_>>()?;
    let hopeful = match hope {
        None => None,
        // A better order may still have ended worse later.
        Some(running) => running.end(position, costs).filter(|end| end.net_percent > ends[0].net_percent),
    };
    Some(Replay { exits: ends, hopeful, best: path.best, worst: path.worst })
}

fn after(running: &Running, candle: &Candle, step_ms: i64, since_ms: i64) -> Running {
    let mut next = Running { trade: running.trade.clone(), events: running.events.clone() };
    next.on(candle, step_ms, since_ms);
    next
}

/// The signal after a candle whose prices came in the best order, if another order stopped it: after the best price only the
/// close. `None` if the order does not matter.
fn hopeful(running: &Running, candle: &Candle, step_ms: i64, since_ms: i64) -> Option<Running> {
    let before = &running.trade;
    let Levels { direction, stop_loss, take_profit, .. } = *before.levels();
    let sign = direction.sign();
    let (worst, best) = match direction {
        Direction::Buy => (candle.low, candle.high),
        Direction::Sell => (candle.high, candle.low),
    };
    let is_target = take_profit.is_some_and(|target| sign * (best - target) >= 0.0);
    // A stop that moved within the candle closed it.
    let is_moved = stop_loss.is_none_or(|stop| sign * (worst - stop) > 0.0);
    let end_ms = candle.open_ms + step_ms;
    let stopped = after(running, candle, step_ms, since_ms)
        .events
        .last()
        .is_some_and(|event| event.at == end_ms && matches!(event.what, What::Exit { cause: ExitCause::Stop, .. }));
    if !stopped || !(is_target || is_moved) {
        return None;
    }
    let unharmed = match direction {
        Direction::Buy => Candle { low: candle.close, ..*candle },
        Direction::Sell => Candle { high: candle.close, ..*candle },
    };
    Some(after(running, &unharmed, step_ms, since_ms))
}

#[cfg(test)]
mod tests {
    use super::super::alternatives::{Has, alternatives};
    use super::super::replay::replay;
    use super::*;
    use domain::barrier::{Trail, TrailBy};
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
            take_profit: None,
            since_ms: T0,
            expires_ms: Some(T0 + 4 * HOUR),
        }
    }

    fn halves(rules: StopRules) -> Terms {
        let target = |price| Target { price, share: 50.0 };
        Terms { targets: vec![target(102.0), target(104.0)], rules, ..Terms::default() }
    }

    fn break_even() -> StopRules {
        StopRules { break_even_after_target: Some(1), ..StopRules::default() }
    }

    fn played(terms: &Terms, multiples: &[Multiples], candles: &[Candle]) -> Replay<End> {
        let free = (&Position::default(), &Costs::default());
        replay_managed((&buy(), terms), multiples, T0 + 99 * HOUR, (candles, HOUR), free).unwrap()
    }

    fn profits(replay: &Replay<End>) -> Vec<(f64, i64)> {
        replay.exits.iter().map(|end| (end.profit_percent, (end.time_ms - T0) / HOUR)).collect()
    }

    #[test]
    fn worked_by_hand() {
        let candles = [
            candle(0, 100.0, 101.5, 99.5, 101.0),
            candle(1, 101.0, 102.5, 100.5, 102.0),
            candle(2, 102.0, 102.2, 99.9, 100.0),
            candle(3, 100.0, 105.0, 99.0, 104.5),
        ];
        let near = Multiples { target: 0.5, ..OWN };
        let close_stop = Multiples { stop: 0.25, ..OWN };
        let short = Multiples { expiry: 0.5, ..OWN };
        let got = played(&halves(break_even()), &[OWN, near, close_stop, short], &candles);
        // The first target, then back to the entry; 101, and perhaps back to the entry within the hour; stopped at 99.5 in the first
        // hour; the first target, and 102 at the end of the second hour.
        assert_eq!(profits(&got), [(1.0, 3), (0.5, 1), (-0.5, 1), (2.0, 2)]);
        assert_eq!((got.best, got.worst, got.hopeful), (102.5, 99.5, None));
        // Without the break-even the rest reaches the second target.
        let got = played(&halves(StopRules::default()), &[OWN], &candles);
        assert_eq!(profits(&got), [(3.0, 4)]);
    }

    #[test]
    fn costs_are_paid_for_as_long_as_each_part_is_held() {
        let candles = [candle(0, 100.0, 102.5, 99.5, 102.0), candle(1, 102.0, 104.5, 101.0, 104.0)];
        let position = Position { fee_bps: Some(10.0), funding_bps_per_day: Some(24.0), ..Position::default() };
        let of = (&position, &Costs::default());
        let got = replay_managed((&buy(), &halves(StopRules::default())), &[OWN], T0, (&candles, HOUR), of).unwrap();
        // An hour costs 0.01 %; half is held for one, half for two.
        assert!((got.exits[0].net_percent - (3.0 - 0.1 - 0.015)).abs() < 1e-12, "{:?}", got.exits);
    }

    #[test]
    fn a_candle_that_touches_stop_and_target_may_have_been_kind_to_the_own_management() {
        let candles = [candle(0, 100.0, 102.5, 97.5, 101.0), candle(1, 101.0, 104.0, 100.5, 103.0)];
        let got = played(&halves(break_even()), &[OWN, Multiples { stop: 2.0, ..OWN }], &candles);
        // With the stop at 96, the first target moves it to the entry, where the price may have come back to.
        assert_eq!(profits(&got), [(-2.0, 1), (1.0, 1)]);
        assert_eq!(got.hopeful.map(|end| (end.profit_percent, end.succeeded)), Some((3.0, true)));
    }

    #[test]
    fn what_lies_between_stop_and_target_stays_between_them() {
        let rules = StopRules {
            break_even_after_target: Some(1),
            break_even_costs_percent: 1.5,
            trail: Some(Trail { by: TrailBy::Distance(1.0), activate_at_r: Some(1.5) }),
            move_to: vec![StopStep { after_target: 1, price: 99.0 }, StopStep { after_target: 2, price: 101.0 }],
        };
        let (own, terms) = (buy(), halves(rules));
        let both = Multiples { stop: 2.0, target: 0.5, ..OWN };
        let got = both.terms(&own, &both.of(&own, 0), &terms);
        assert_eq!(got.targets.iter().map(|target| target.price).collect::<Vec<_>>(), [101.0, 102.0]);
        let moves: Vec<f64> = got.rules.move_to.iter().map(|step| step.price).collect();
        // Halfway to the stop, and a quarter of the way to the second target, as before. The break-even is no further than its target;
        // the trailing stop begins at 103, as before.
        assert_eq!((moves, got.rules.break_even_costs_percent), (vec![98.0, 100.5], 1.0));
        assert_eq!(got.rules.trail, Some(Trail { by: TrailBy::Distance(1.0), activate_at_r: Some(0.75) }));
        assert_eq!(OWN.terms(&own, &own, &terms), terms);
    }

    /// A path of hourly candles.
    fn path() -> impl Strategy<Value = Vec<Candle>> {
        prop::collection::vec((-2.0..2.0f64, 0.0..2.0f64, 0.0..2.0f64), 40..80).prop_map(|moves| {
            let mut close = 100.0;
            let candle = |(i, (step, up, down)): (usize, (f64, f64, f64))| {
                let open = close;
                close = f64::max(close + step, 50.0);
                candle(i as i64, open, f64::max(open, close) + up, f64::min(open, close) - down, close)
            };
            moves.into_iter().enumerate().map(candle).collect()
        })
    }

    fn mirrored(levels: Levels, sells: bool) -> Levels {
        let mirror = |price: Option<f64>| price.map(|price| 200.0 - price);
        if !sells {
            return levels;
        }
        Levels {
            direction: Direction::Sell,
            stop_loss: mirror(levels.stop_loss),
            take_profit: mirror(levels.take_profit),
            ..levels
        }
    }

    fn all() -> Vec<Multiples> {
        [OWN].into_iter().chain(alternatives(Has { target: true, expiry: true })).collect()
    }

    proptest! {
        /// A signal with one target, and a stop that stays, ends as a plain one.
        #[test]
        fn without_management_it_is_a_plain_signal(candles in path(), late in 0i64..HOUR, sells in any::<bool>()) {
            let own = Levels { since_ms: T0 + late, expires_ms: Some(T0 + late + 18 * HOUR), take_profit: Some(104.0), ..buy() };
            let own = mirrored(own, sells);
            let plain: Vec<Levels> = all().iter().map(|multiples| multiples.of(&own, 0)).collect();
            let free = (&Position::default(), &Costs::default());
            let managed = replay_managed((&own, &Terms::default()), &all(), 0, (&candles, HOUR), free);
            let plain = replay(&plain, &candles, HOUR).map(|plain| plain.map(|exit| Some((own.profit_percent(exit.price), exit.time_ms))).unwrap());
            let managed = managed.map(|managed| managed.map(|end| Some((end.profit_percent, end.time_ms))).unwrap());
            prop_assert_eq!(managed.as_ref().map(|replay| replay.exits.len()), plain.as_ref().map(|replay| replay.exits.len()));
            if let (Some(managed), Some(plain)) = (managed, plain) {
                let near = |a: &(f64, i64), b: &(f64, i64)| (a.0 - b.0).abs() < 1e-9 && a.1 == b.1;
                for (a, b) in managed.exits.iter().zip(&plain.exits) {
                    prop_assert!(near(a, b), "{a:?} and {b:?}");
                }
                prop_assert_eq!((managed.best, managed.worst), (plain.best, plain.worst));
                prop_assert_eq!(managed.hopeful.is_some(), plain.hopeful.is_some());
                prop_assert!(managed.hopeful.zip(plain.hopeful).is_none_or(|(a, b)| near(&a, &b)));
            }
        }

        /// What nothing happens in is passed over; the result is that of asking the state machine about every candle.
        #[test]
        fn passing_over_candles_changes_nothing(
            candles in path(),
            late in 0i64..HOUR,
            sells in any::<bool>(),
            percent in 0.5..4.0f64,
            activation in prop::option::of(0.0..2.0f64),
        ) {
            let own = mirrored(Levels { since_ms: T0 + late, expires_ms: Some(T0 + late + 18 * HOUR), ..buy() }, sells);
            let rules = StopRules {
                trail: Some(Trail { by: TrailBy::Percent(percent), activate_at_r: activation }),
                ..break_even()
            };
            let mut terms = halves(rules);
            if sells {
                terms.targets.iter_mut().for_each(|target| target.price = 200.0 - target.price);
            }
            let free = (&Position::default(), &Costs::default());
            let got = replay_managed((&own, &terms), &all(), 0, (&candles, HOUR), free);
            let ends = all().into_iter().map(|multiples| {
                let moved = multiples.of(&own, 0);
                let mut trade = Trade::new(moved, &multiples.terms(&own, &moved, &terms));
                candles.iter().for_each(|candle| trade.on_candle(own.since_ms, candle, HOUR, None, &mut Vec::new()));
                Some((trade.profit_percent(), trade.ended()?.1))
            });
            let expected: Option<Vec<(f64, i64)>> = ends.collect();
            let told = got.as_ref().map(|got| got.exits.iter().map(|end| (end.profit_percent, end.time_ms)).collect::<Vec<_>>());
            prop_assert_eq!(told, expected);
            if let Some(got) = got {
                prop_assert!(got.hopeful.is_none_or(|end| end.net_percent > got.exits[0].net_percent));
                let sign = own.direction.sign();
                prop_assert!(sign * (got.best - own.entry) >= 0.0 && sign * (got.worst - own.entry) <= 0.0);
            }
        }
    }
}
