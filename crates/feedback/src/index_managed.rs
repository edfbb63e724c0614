//! The price index against a plain scan, for managed signals: what happens to each is the same as if every price asked every signal.

use super::index::{Cause, Effect, PriceIndex, When};
use super::open::Slot;
use domain::barrier::{Direction, EntryKind, Levels, StopRules, StopStep, Target, Terms, Trade, Trail, TrailBy, Zone};
use domain::candle::Candle;
use domain::signal::SignalKey;
use proptest::prelude::*;

const T0: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone)]
enum Step {
    Add(Box<(Levels, Terms)>),
    /// After some milliseconds, a price with its time.
    At(i64, f64),
    /// A current price.
    Now(i64, f64),
    /// The next hour: open, high, low, close.
    Hour([f64; 4]),
    /// The writer answers: what is on its way is stored, or else lost.
    Answer(bool),
}

fn signal() -> impl Strategy<Value = (Levels, Terms)> {
    let kind = prop_oneof![Just(EntryKind::Market), Just(EntryKind::Limit), Just(EntryKind::Stop)];
    let zone = proptest::option::weighted(0.3, 1u32..4);
    let targets = proptest::collection::vec(1u32..4, 0..4);
    let trail = proptest::option::of((1u32..4, proptest::option::of(0u32..3)));
    let stop = proptest::option::of(5u32..9);
    let times = (0i64..3, proptest::option::of(1i64..20));
    (any::<bool>(), kind, zone, targets, trail, (stop, times), any::<bool>()).prop_map(
        |(is_buy, kind, zone, targets, trail, (stop, (since, life)), moves)| {
            let direction = if is_buy { Direction::Buy } else { Direction::Sell };
            let sign = direction.sign();
            let mut price = 100.0 + sign * 3.0;
            let share = 100.0 / targets.len().max(1) as f64;
            let targets: Vec<Target> = targets
                .iter()
                .map(|step| {
                    price += sign * f64::from(*step);
                    Target { price, share }
                })
                .collect();
            let stop_loss = stop.map(|distance| 100.0 - sign * f64::from(distance));
            let rules = StopRules {
                break_even_after_target: (moves && !targets.is_empty()).then_some(1),
                move_to: targets
                    .get(1)
                    .map(|target| StopStep { after_target: 2, price: target.price - sign })
                    .into_iter()
                    .collect(),
                trail: trail.map(|(distance, at)| Trail {
                    by: TrailBy::Distance(f64::from(distance)),
                    activate_at_r: at.filter(|_| stop_loss.is_some()).map(f64::from),
                }),
                ..StopRules::default()
            };
            let zone = zone.map(|half| Zone { low: 100.0 - f64::from(half), high: 100.0 + f64::from(half) });
            let entry = if zone.is_some() { EntryKind::Limit } else { kind };
            let since_ms = T0 + since * HOUR_MS;
            let expires_ms = life.map(|hours| since_ms + hours * HOUR_MS);
            let levels = Levels { direction, entry: 100.0, stop_loss, take_profit: None, since_ms, expires_ms };
            (levels, Terms { entry, zone, entry_expires_at: None, targets, rules })
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let price = || (88u32..113).prop_map(f64::from);
    let step = prop_oneof![
        3 => signal().prop_map(|signal| Step::Add(Box::new(signal))),
        5 => (0..HOUR_MS, price()).prop_map(|(after, price)| Step::At(after, price)),
        2 => (0..HOUR_MS, price()).prop_map(|(after, price)| Step::Now(after, price)),
        2 => (price(), price(), price(), price()).prop_map(|(a, b, c, d)| {
            Step::Hour([a, a.max(b).max(c).max(d), a.min(b).min(c).min(d), b])
        }),
        3 => proptest::bool::weighted(0.8).prop_map(Step::Answer),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A signal as the scan has it.
struct Scanned {
    slot: Slot,
    /// By the log.
    stored: Trade,
    /// With what is on its way there.
    trade: Trade,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_happens_to_managed_signals_is_what_a_plain_scan_finds(steps in steps()) {
        let (mut index, mut scan) = (PriceIndex::default(), Vec::<Scanned>::new());
        let (mut clock_ms, mut candle_ms, mut added) = (T0, i64::MIN, 0);
        for step in steps {
            let mut hits = Vec::new();
            let cause = match step {
                Step::Add(signal) => {
                    let (levels, terms) = *signal;
                    let trade = Trade::new(levels, &terms);
                    index.add(added, SignalKey(0, added.into()), 0, levels, true, Some(Box::new(trade.clone())));
                    scan.push(Scanned { slot: added, stored: trade.clone(), trade });
                    added += 1;
                    continue;
                }
                Step::Answer(is_stored) => {
                    for Scanned { slot, stored, trade } in &mut scan {
                        let was_on_its_way = !trade.stands_as(stored);
                        if is_stored {
                            stored.clone_from(trade);
                        } else {
                            let sight = trade.sight();
                            trade.clone_from(stored);
                            trade.inherit(sight);
                        }
                        if was_on_its_way {
                            if stored.ended().is_some() {
                                index.remove(*slot);
                            } else {
                                index.advance(*slot, stored);
                                // One answer for each price that did something.
                                while index.is_on_its_way(*slot) {
                                    index.put_back(*slot);
                                }
                            }
                        }
                    }
                    scan.retain(|one| one.stored.ended().is_none());
                    continue;
                }
                Step::At(after, price) | Step::Now(after, price) => {
                    clock_ms += after;
                    let is_now = matches!(step, Step::Now(..));
                    let when = if is_now { When::Now(clock_ms) } else { When::At(clock_ms) };
                    if !index.misses(0, price, when) {
                        index.on_tick(0, price, when, &mut hits);
                    }
                    Cause::Price { price, time_ms: clock_ms, is_now }
                }
                Step::Hour([open, high, low, close]) => {
                    let candle = Candle { open_ms: clock_ms, open, high, low, close, volume: 1.0 };
                    index.on_candle(0, &candle, HOUR_MS, &mut hits);
                    clock_ms += HOUR_MS;
                    Cause::Candle { known_ms: std::mem::replace(&mut candle_ms, clock_ms), candle, candle_ms: HOUR_MS }
                }
            };
            let mut expected = Vec::new();
            for Scanned { slot, trade, .. } in &mut scan {
                let mut events = Vec::new();
                cause.follow(trade, &mut events);
                if !events.is_empty() {
                    expected.push(*slot);
                }
            }
            let found: Vec<Slot> = hits.iter().map(|hit| hit.key.1 as Slot).collect();
            prop_assert_eq!(&found, &expected, "{:?}", cause);
            let is_of_cause = |hit: &super::index::Hit| matches!(&hit.effect, Effect::Touches { cause: of, .. } if *of == cause);
            prop_assert!(hits.iter().all(is_of_cause));
            for Scanned { slot, trade, .. } in &scan {
                let known = index.open().find(|open| open.slot == *slot).and_then(|open| open.managed.as_ref());
                prop_assert!(known.is_some_and(|known| known.trade.stands_as(trade)), "{:?} is {:?}", cause, trade);
            }
        }
    }
}
