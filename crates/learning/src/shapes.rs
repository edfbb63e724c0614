//! Finds the shapes of recorded signals: the distance of the stop, the ratio of reward to risk, and the time until
//! expiry.
//!
//! A model predicts bets of one shape. Where a backend's signals have other shapes than the configured one, a model of
//! each frequent shape is trained as well.

use crate::management::{Kind, Management};
use domain::calendar::Calendar;
use domain::config::{Config, SignalShape};
use domain::features::ATR_PERCENT;
use domain::signal::Signal;
use std::collections::BTreeMap;

/// The largest number of shapes beside the configured one; each costs a training.
pub const MOST_SHAPES: usize = 3;
/// The number of signals that justifies a training for a shape.
pub const ENOUGH_SIGNALS: usize = 50;
/// How far from its centre a shape's signals lie, in logarithms: 28 % more, or 22 % less.
const REACH: f64 = 0.25;
/// The side of the grid cells in which signals are counted to find dense regions, in logarithms.
const CELL: f64 = 0.1;
/// The number of cells on either side that make up about [`REACH`].
const CELLS: i32 = 2;
/// Shapes that differ by less than this factor, in stop, ratio and expiry, are treated as one.
const ALIKE: f64 = 1.15;
/// Plausible ranges of stop in average true ranges, reward to risk, and bars. They match what the configuration allows,
/// except that signals may have targets nearer than their stops.
const SANE: [(f64, f64); 3] = [(0.1, 20.0), (0.1, 20.0), (1.0, 1000.0)];

/// A point in the space of shapes: the logarithms of stop in average true ranges, reward to risk, and bars until
/// expiry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place([f64; 3]);

impl Place {
    /// `None` where one of the values is not a positive number.
    pub fn of(stop_atr: f64, reward_risk: f64, expiry_bars: f64) -> Option<Self> {
        let values = [stop_atr, reward_risk, expiry_bars];
        values.iter().all(|value| value.is_finite() && *value > 0.0).then(|| Self(values.map(f64::ln)))
    }

    /// The point of a shape.
    pub fn of_shape(shape: &SignalShape) -> Option<Self> {
        Self::of(shape.stop_atr, shape.reward_risk, shape.expiry_bars as f64)
    }

    /// The squared distance of two points.
    pub fn distance(&self, other: &Self) -> f64 {
        self.0.iter().zip(other.0).map(|(a, b)| (a - b).powi(2)).sum()
    }

    fn within(&self, other: &Self, reach: f64) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| (a - b).abs() <= reach)
    }

    fn is_sane(&self) -> bool {
        self.0.iter().zip(SANE).all(|(at, (least, most))| (least.ln()..=most.ln()).contains(at))
    }

    fn cell(&self) -> [i32; 3] {
        self.0.map(|at| (at / CELL).round() as i32)
    }

    /// The shape at this point, in rounded numbers that people can read.
    fn shape(&self) -> SignalShape {
        let [stop, ratio, bars] = self.0.map(f64::exp);
        let hundredths = |value: f64| (100.0 * value).round() / 100.0;
        SignalShape {
            stop_atr: hundredths(stop),
            reward_risk: hundredths(ratio),
            expiry_bars: bars.round().max(1.0) as usize,
        }
    }
}

/// The levels of one signal, in its market's units.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalLevels {
    /// Distance of the stop from the entry, in average true ranges.
    pub stop_atr: f64,
    /// Distance of the target, as a multiple of the stop distance.
    pub reward_risk: f64,
    /// Candles until it expires; `None` where it never does.
    pub expiry_bars: Option<f64>,
    /// How it is managed; `None` for one target and a stop that stays.
    pub management: Option<Management>,
}

impl SignalLevels {
    /// The levels of a signal whose entry had an average true range of `atr_percent` percent of the price; `None` where
    /// it lacks a stop or a target. Only candles during trading hours count, where `calendar` knows them.
    pub fn of(signal: &Signal, atr_percent: f64, calendar: Option<&Calendar>) -> Option<Self> {
        let levels = signal.levels()?;
        let (entry, management) = (levels.entry, Management::of(signal));
        let risk = (entry - levels.stop_loss?).abs();
        let reward = match (&management, levels.take_profit) {
            (_, Some(target)) => (target - entry).abs(),
            // Without a target, what it wins without drift.
            (Some(management), None) => risk * management.driftless().win,
            (None, None) => return None,
        };
        let bars = |expires_ms: i64| match calendar.filter(|calendar| calendar.closes()) {
            Some(calendar) => calendar.open_between(signal.timestamp_ms, expires_ms) as f64,
            None => (expires_ms - signal.timestamp_ms) as f64 / signal.timeframe.millis() as f64,
        };
        Some(Self {
            stop_atr: 100.0 * risk / entry / atr_percent,
            reward_risk: reward / risk,
            expiry_bars: signal.expires_ms.map(bars),
            management,
        })
    }

    fn place(&self, configured: &SignalShape) -> Option<Place> {
        let bars = self.expiry_bars.unwrap_or(configured.expiry_bars as f64);
        Place::of(self.stop_atr, self.reward_risk, bars).filter(Place::is_sane)
    }

    /// The average true range at a signal's entry in percent of the price, read from its features.
    pub fn atr_percent(signal: &Signal) -> Option<f64> {
        let features = signal.features.as_ref()?;
        let value = features.values.get(ATR_PERCENT).copied();
        value.filter(|_| features.version == domain::features::VERSION)
    }
}

/// A frequent shape of signals.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundShape {
    /// The median of these signals.
    pub shape: SignalShape,
    /// The median of how they are managed; `None` for one target and a stop that stays.
    pub management: Option<Management>,
    /// How many signals have this shape, or nearly.
    pub signals: usize,
}

impl FoundShape {
    /// The configuration with this shape instead of the configured one.
    pub fn config(&self, config: &Config) -> Config {
        Config { signal: self.shape, ..config.clone() }
    }
}

/// The most frequent shapes of signals beside the configured one, most frequent first. The result does not depend on
/// the order of the signals. A signal without an expiry counts with the configured one.
///
/// A shape is the median of the signals around the densest point, in logarithms. Those signals are then set aside, and
/// the search repeats. Signals of different kinds of management are searched apart.
pub fn find_shapes(signals: &[SignalLevels], configured: &SignalShape) -> Vec<FoundShape> {
    let mut kinds: BTreeMap<Option<Kind>, Vec<&SignalLevels>> = BTreeMap::new();
    for levels in signals {
        kinds.entry(levels.management.as_ref().map(Management::kind)).or_default().push(levels);
    }
    let mut found: Vec<FoundShape> =
        kinds.into_iter().flat_map(|(kind, levels)| shapes_of_kind(&levels, kind.is_none(), configured)).collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.signals));
    found.truncate(MOST_SHAPES);
    found
}

/// The shapes of signals that are managed alike.
fn shapes_of_kind(signals: &[&SignalLevels], is_plain: bool, configured: &SignalShape) -> Vec<FoundShape> {
    let mut left: Vec<Place> = signals.iter().filter_map(|levels| levels.place(configured)).collect();
    // The model of the configured shape serves plain signals.
    let mut known: Vec<Place> = Place::of_shape(configured).filter(|_| is_plain).into_iter().collect();
    let mut found = Vec::new();
    while found.len() < MOST_SHAPES {
        let Some(middle) = densest(&left) else { break };
        let (around, others): (Vec<Place>, Vec<Place>) = left.iter().partition(|place| place.within(&middle, REACH));
        if around.len() < ENOUGH_SIGNALS {
            break;
        }
        left = others;
        let shape = median(&around).shape();
        // After rounding, the shape may lie elsewhere.
        let Some(place) = Place::of_shape(&shape) else { continue };
        if known.iter().all(|known| !known.within(&place, ALIKE.ln())) {
            known.push(place);
            let near = signals
                .iter()
                .filter(|levels| levels.place(configured).is_some_and(|place| place.within(&middle, REACH)));
            let managed: Vec<&Management> = near.filter_map(|levels| levels.management.as_ref()).collect();
            found.push(FoundShape { shape, management: Management::median(&managed), signals: around.len() });
        }
    }
    found
}

/// The centre of the densest region; `None` without signals. Of two equally dense regions, the one with the nearer
/// stop.
fn densest(places: &[Place]) -> Option<Place> {
    let mut cells: BTreeMap<[i32; 3], usize> = Default::default();
    places.iter().for_each(|place| *cells.entry(place.cell()).or_default() += 1);
    let mut best: Option<(usize, [i32; 3])> = None;
    for cell in cells.keys() {
        let near = |other: &[i32; 3]| cell.iter().zip(other).all(|(a, b)| (a - b).abs() <= CELLS);
        let from = [cell[0] - CELLS, i32::MIN, i32::MIN];
        let slab = cells.range(from..).take_while(|(other, _)| other[0] <= cell[0] + CELLS);
        let count = slab.filter(|(other, _)| near(other)).map(|(_, count)| count).sum();
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, *cell));
        }
    }
    let (_, cell) = best?;
    let middle = Place(cell.map(|at| f64::from(at) * CELL));
    let around: Vec<Place> = places.iter().filter(|place| place.within(&middle, REACH)).copied().collect();
    Some(median(&around))
}

/// The median of each coordinate, which outliers do not move.
fn median(places: &[Place]) -> Place {
    let of = |axis: usize| {
        let mut values: Vec<f64> = places.iter().map(|place| place.0[axis]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    Place([of(0), of(1), of(2)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::signal::{EntryFeatures, Source};
    use domain::time::Tz;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use serde_json::json;

    const CONFIGURED: SignalShape = SignalShape { stop_atr: 1.5, reward_risk: 2.0, expiry_bars: 24 };

    /// A number of signals around a shape, each a few percent off.
    fn around(shape: (f64, f64, f64), count: usize, random: &mut ChaCha8Rng) -> Vec<SignalLevels> {
        let near = |value: f64, random: &mut ChaCha8Rng| value * (random.random_range(-0.08..0.08f64)).exp();
        (0..count)
            .map(|_| SignalLevels {
                stop_atr: near(shape.0, random),
                reward_risk: near(shape.1, random),
                expiry_bars: Some(near(shape.2, random)),
                management: None,
            })
            .collect()
    }

    fn alike(shape: &SignalShape, (stop, ratio, bars): (f64, f64, f64)) -> bool {
        Place::of_shape(shape).unwrap().within(&Place::of(stop, ratio, bars).unwrap(), 0.06)
    }

    #[test]
    fn signals_that_are_managed_differently_are_different_bets() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let ladder = |targets: &[(f64, f64)], break_even_after| Management {
            targets: targets.to_vec(),
            break_even_after,
            trail: None,
            trail_from: 0.0,
            moves: Vec::new(),
        };
        let managed = |signals: Vec<SignalLevels>, management: &Management| -> Vec<SignalLevels> {
            let with = |levels| SignalLevels { management: Some(management.clone()), ..levels };
            signals.into_iter().map(with).collect()
        };
        let (two, three) =
            (ladder(&[(1.0, 50.0), (2.0, 50.0)], Some(1)), ladder(&[(1.0, 40.0), (1.5, 30.0), (2.0, 30.0)], None));
        let mut signals = managed(around((1.5, 1.5, 24.0), 120, &mut random), &two);
        signals.extend(managed(around((1.5, 1.5, 24.0), 80, &mut random), &three));
        signals.extend(around((1.5, 1.5, 24.0), 60, &mut random));
        signals.extend(managed(
            around((1.5, 1.5, 24.0), ENOUGH_SIGNALS - 1, &mut random),
            &ladder(&[(1.0, 60.0), (2.0, 40.0)], None),
        ));
        let found = find_shapes(&signals, &SignalShape { stop_atr: 9.0, ..CONFIGURED });
        let kinds: Vec<_> = found.iter().map(|found| (found.signals, found.management.clone())).collect();
        assert_eq!(kinds, [(120, Some(two)), (80, Some(three)), (60, None)]);
    }

    #[test]
    fn the_shapes_that_signals_have_are_found_most_frequent_first() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let shapes = [(3.0, 1.5, 48.0), (0.8, 3.0, 12.0), (1.0, 0.5, 96.0), (6.0, 1.0, 200.0)];
        let mut signals: Vec<SignalLevels> = shapes
            .iter()
            .zip([300, 200, 90, 60])
            .flat_map(|(shape, count)| around(*shape, count, &mut random))
            .collect();
        // The configured shape has a model anyway; rare, implausible and invalid values are not shapes.
        signals.extend(around((1.5, 2.0, 24.0), 1000, &mut random));
        signals.extend(around((2.0, 8.0, 5.0), ENOUGH_SIGNALS - 1, &mut random));
        signals.extend(around((300.0, 2.0, 24.0), 500, &mut random));
        let odd = |stop_atr, reward_risk, bars| SignalLevels {
            stop_atr,
            reward_risk,
            expiry_bars: Some(bars),
            management: None,
        };
        signals.extend([
            odd(f64::NAN, 2.0, 24.0),
            odd(2.0, f64::INFINITY, 24.0),
            odd(2.0, 2.0, -5.0),
            odd(0.0, 2.0, 9.0),
        ]);
        let found = find_shapes(&signals, &CONFIGURED);
        assert_eq!(found.len(), MOST_SHAPES, "{found:?}");
        for (found, (shape, count)) in found.iter().zip(shapes.into_iter().zip([300, 200, 90])) {
            assert!(alike(&found.shape, shape) && found.signals == count, "{found:?} for {shape:?}");
        }
        signals.shuffle(&mut random);
        assert_eq!(find_shapes(&signals, &CONFIGURED), found, "the order does not matter");
    }

    #[test]
    fn a_few_far_off_move_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let clean = around((3.0, 1.5, 48.0), 200, &mut random);
        let mut dirty = clean.clone();
        dirty.extend(around((19.0, 19.0, 900.0), 20, &mut random));
        dirty.extend(around((0.12, 0.12, 1.1), 20, &mut random));
        let [clean, dirty] = [clean, dirty].map(|signals| find_shapes(&signals, &CONFIGURED));
        assert_eq!(clean, dirty);
        assert_eq!(clean.len(), 1);
    }

    #[test]
    fn nothing_like_the_configured_one_and_no_two_alike() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let near = around((1.5 * 1.05, 2.0, 24.0), 500, &mut random);
        assert_eq!(find_shapes(&near, &CONFIGURED), []);
        // Stops given in percent of the price are spread widely in average true ranges.
        let wide: Vec<SignalLevels> = (0..3000)
            .map(|_| SignalLevels {
                stop_atr: random.random_range(0.5..6.0f64),
                reward_risk: 2.0,
                expiry_bars: None,
                management: None,
            })
            .collect();
        let found = find_shapes(&wide, &CONFIGURED);
        assert_eq!(found.len(), MOST_SHAPES);
        let mut places: Vec<Place> = found.iter().map(|found| Place::of_shape(&found.shape).unwrap()).collect();
        places.push(Place::of_shape(&CONFIGURED).unwrap());
        for (at, one) in places.iter().enumerate() {
            assert!(places[..at].iter().all(|other| !one.within(other, ALIKE.ln())), "{found:?}");
        }
        assert!(
            found.iter().all(|found| found.shape.expiry_bars == 24),
            "a signal without an expiry counts with the configured one"
        );
        assert_eq!(find_shapes(&[], &CONFIGURED), []);
    }

    #[test]
    fn the_levels_of_a_signal_are_measured_in_its_market() {
        let mut signal = Signal::from_value(
            json!({ "id": "a", "pair": "BTCUSDT", "signalType": "SELL", "confidence": 60, "entryPrice": 200, "stopLoss": 206,
                    "takeProfit": 191, "timestamp": 1_700_000_000_000i64, "expiresAt": 1_700_000_000_000i64 + 12 * 3_600_000 }),
            Source::Caller,
            Tz::UTC,
        )
        .unwrap();
        let levels = SignalLevels::of(&signal, 2.0, None).unwrap();
        assert_eq!((levels.stop_atr, levels.reward_risk, levels.expiry_bars), (1.5, 1.5, Some(12.0)));
        let mut values = vec![0.0; domain::features::COUNT];
        values[ATR_PERCENT] = 2.0;
        assert_eq!(SignalLevels::atr_percent(&signal), None);
        signal.features = Some(EntryFeatures { version: domain::features::VERSION, values });
        assert_eq!(SignalLevels::atr_percent(&signal), Some(2.0));
        signal.features.as_mut().unwrap().version += 1;
        assert_eq!(SignalLevels::atr_percent(&signal), None, "features of another version are ignored");
        signal.take_profit = None;
        assert_eq!(SignalLevels::of(&signal, 2.0, None), None);
    }
}
