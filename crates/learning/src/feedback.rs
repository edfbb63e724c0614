//! How live signals adjust the weights of training rows.
//!
//! A model predicts bets of its own shape (stop, target, expiry). So a live signal is replaced by the bet of that shape
//! at the bar of its entry, whose end follows from the candles. How the signal did with its own levels is learned in
//! `outcomes`.

use super::dataset::Dataset;
use domain::barrier::Direction;
use domain::features::FEATURES;

/// Zones of well-known indicators, given by their inner bounds. Each zone is judged for BUY and for SELL.
const ZONES: [(&str, &[f64]); 7] = [
    ("rsi_14", &[30.0, 70.0]),
    ("bollinger_percent_b_20", &[0.0, 1.0]),
    ("macd_histogram", &[0.0]),
    ("sma_distance_50", &[0.0]),
    ("adx_14", &[20.0, 40.0]),
    ("volume_ratio_20", &[0.8, 1.5]),
    ("atr_ratio", &[0.8, 1.2]),
];
/// Outcomes a zone needs for its record to count in full.
const FULL_RECORD: f64 = 10.0;
/// Standard errors at which a zone's record begins to count, and at which it counts in full.
const CLEAR: (f64, f64) = (1.0, 2.0);
/// How many outcomes the base rate of all candles is worth, as a prior for the expected rate of a zone.
const BASE_WORTH: f64 = 20.0;

/// A closed signal of a market.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRow {
    /// Which way it bet.
    pub direction: Direction,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms. It must not influence anything before this time.
    pub closed_ms: i64,
    /// Its position among the candle rows; set by [`Feedback::relabelled`].
    pub(super) row: usize,
    /// Whether the bet of the model's shape at its bar succeeded.
    pub(super) success: bool,
}

impl LiveRow {
    /// A signal given and closed at these times.
    pub fn new(direction: Direction, given_ms: i64, closed_ms: i64) -> Self {
        Self { direction, given_ms, closed_ms, row: 0, success: false }
    }
}

/// The closed signals of a market, in order of closing.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// The rows.
    pub rows: Vec<LiveRow>,
    /// The largest change of a row's weight: 0.3 means weights from 0.7 to 1.3. Conservative mode uses 0.5.
    pub strength: f64,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { rows: Vec::new(), strength: 0.3 }
    }
}

impl Feedback {
    /// Replaces each signal by the bet of `data`'s shape at the last bar that had closed when it was given. Signals at
    /// bars without a row are dropped. The outcome becomes known when the signal has closed and the bet is decided.
    pub(super) fn relabelled(&self, data: &Dataset) -> Self {
        let bet = |live: &LiveRow| {
            let row = data.times_ms.partition_point(|time| time + data.candle_ms <= live.given_ms).checked_sub(1)?;
            // There is a gap between the row and the signal, so the signal's own bar has no row.
            (!data.calendar.is_gap(data.times_ms[row], live.given_ms)).then(|| LiveRow {
                row,
                success: data.labels[row].of(live.direction).success,
                closed_ms: live.closed_ms.max(data.decided_ms[row]),
                ..live.clone()
            })
        };
        let mut rows: Vec<LiveRow> = self.rows.iter().filter_map(bet).collect();
        rows.sort_by_key(|row| row.closed_ms);
        Self { rows, strength: self.strength }
    }

    /// The signals that had closed by `time_ms`.
    fn until(&self, time_ms: i64) -> &[LiveRow] {
        &self.rows[..self.rows.partition_point(|row| row.closed_ms <= time_ms)]
    }

    /// The median closing time of the signals that had closed by `time_ms`; `None` where there are none.
    pub(super) fn middle_ms(&self, time_ms: i64) -> Option<i64> {
        let known = self.until(time_ms);
        known.get(known.len() / 2).map(|row| row.closed_ms)
    }

    /// The adjustment for a direction whose bets succeed at `base_rate`, from the signals that had closed by
    /// `until_ms`.
    pub(super) fn adjustment(&self, data: &Dataset, until_ms: i64, direction: Direction, base_rate: f64) -> Adjustment {
        let own = self.until(until_ms).iter().filter(|row| row.direction == direction);
        let bets: Vec<ShapeBet<'_>> =
            own.map(|row| ShapeBet { features: data.row(row.row), success: row.success }).collect();
        Adjustment::of(&bets, base_rate, self.strength)
    }
}

/// A live signal as a bet of the model's shape.
#[derive(Clone, Copy)]
struct ShapeBet<'a> {
    features: &'a [f64],
    success: bool,
}

/// The verdicts of one direction's zones, each from −1 (bets fail there) to 1 (they succeed).
pub(super) struct Adjustment {
    zones: Vec<Zone>,
    strength: f64,
}

struct Zone {
    column: usize,
    bounds: &'static [f64],
    verdicts: Vec<f64>,
}

impl Adjustment {
    fn of(bets: &[ShapeBet<'_>], base_rate: f64, strength: f64) -> Self {
        if bets.is_empty() {
            return Self { zones: Vec::new(), strength };
        }
        let zones = ZONES.iter().filter_map(|(name, bounds)| {
            let column = FEATURES.iter().position(|feature| feature.name == *name)?;
            let zone = |bet: &ShapeBet<'_>| bounds.partition_point(|bound| *bound <= bet.features[column]);
            let verdict = |number: usize| {
                let (inside, outside): (Vec<ShapeBet<'_>>, Vec<ShapeBet<'_>>) =
                    bets.iter().partition(|bet| zone(bet) == number);
                verdict(&inside, &outside, base_rate)
            };
            Some(Zone { column, bounds, verdicts: (0..=bounds.len()).map(verdict).collect() })
        });
        Self { zones: zones.collect(), strength }
    }

    /// The weight factor of a candle row: `1 ± strength · |verdict|`, by the strongest verdict among the zones it lies
    /// in. In a zone where bets fail, successful rows lose weight and failed rows gain weight; where bets succeed, it
    /// is the other way round.
    pub fn weight(&self, row: &[f64], happened: bool) -> f64 {
        let verdicts = self
            .zones
            .iter()
            .map(|zone| zone.verdicts[zone.bounds.partition_point(|bound| *bound <= row[zone.column])]);
        let clearest = verdicts.fold(0.0, |most: f64, verdict| if verdict.abs() > most.abs() { verdict } else { most });
        1.0 + self.strength * if happened { clearest } else { -clearest }
    }
}

/// The verdict on a zone: the outcomes inside it compared with the rate outside it and the base rate.
///
/// The departure in standard errors is z = (k − n·q) / √(n·q·(1 − q)). It counts in proportion from one to two standard
/// errors, and in full only from ten outcomes on.
fn verdict(inside: &[ShapeBet<'_>], outside: &[ShapeBet<'_>], base_rate: f64) -> f64 {
    let successes = |rows: &[ShapeBet<'_>]| rows.iter().filter(|row| row.success).count() as f64;
    let n = inside.len() as f64;
    if n == 0.0 {
        return 0.0;
    }
    let q = (successes(outside) + BASE_WORTH * base_rate) / (outside.len() as f64 + BASE_WORTH);
    if q <= 0.0 || q >= 1.0 {
        return 0.0;
    }
    let z = (successes(inside) - n * q) / (n * q * (1.0 - q)).sqrt();
    let clear = ((z.abs() - CLEAR.0) / (CLEAR.1 - CLEAR.0)).clamp(0.0, 1.0);
    z.signum() * clear * (n / FULL_RECORD).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::features::COUNT;
    use proptest::prelude::*;

    fn at(rsi: f64) -> [f64; COUNT] {
        let mut features = [0.5; COUNT];
        features[FEATURES.iter().position(|feature| feature.name == "rsi_14").unwrap()] = rsi;
        features
    }

    /// RSI, number of successes, and number of bets.
    type Bets = (f64, usize, usize);

    fn weights(bets: &[Bets], strength: f64, rsi: f64) -> [f64; 2] {
        let rows: Vec<([f64; COUNT], bool)> = bets
            .iter()
            .flat_map(|&(rsi, successes, count)| (0..count).map(move |i| (at(rsi), i < successes)))
            .collect();
        let bets: Vec<ShapeBet<'_>> =
            rows.iter().map(|(features, success)| ShapeBet { features, success: *success }).collect();
        let adjustment = Adjustment::of(&bets, 1.0 / 3.0, strength);
        [true, false].map(|happened| adjustment.weight(&at(rsi), happened))
    }

    /// The examples of `docs/learning.md`: bets that succeed one time in three.
    #[test]
    fn worked_by_hand() {
        let near = |got: [f64; 2], want: [f64; 2]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 5e-4), "{got:?} {want:?}");
        };
        // Ten losses in ten: z = (0 − 10/3) / √(10 · ⅓ · ⅔) = −2.236, beyond two, so the whole range.
        near(weights(&[(80.0, 0, 10)], 0.3, 75.0), [0.7, 1.3]);
        near(weights(&[(80.0, 0, 10)], 0.5, 75.0), [0.5, 1.5]);
        // Eight wins in ten: z = 3.13.
        near(weights(&[(80.0, 8, 10)], 0.3, 75.0), [1.3, 0.7]);
        // Three losses in three: z = −1.2247, of which 0.2247 counts, for 3 of 10: 0.3 · 0.0674.
        near(weights(&[(80.0, 0, 3)], 0.3, 75.0), [1.0 - 0.0202, 1.0 + 0.0202]);
        // Three wins in nine are what was expected: no adjustment.
        near(weights(&[(80.0, 3, 9)], 0.3, 75.0), [1.0, 1.0]);
        near(weights(&[], 0.3, 75.0), [1.0, 1.0]);
    }

    #[test]
    fn another_zone_has_its_own_record() {
        let both = [(80.0, 0, 10), (50.0, 10, 20)];
        let [up, down] = weights(&both, 0.3, 75.0);
        assert!(up < 0.71 && down > 1.29, "{up} {down}");
        // Half of the twenty bets elsewhere succeeded, more than a third; the losses in the first zone lower the
        // expected rate.
        let [up, down] = weights(&both, 0.3, 50.0);
        assert!(up > 1.0 && down < 1.0, "{up} {down}");
    }

    proptest! {
        #[test]
        fn stays_in_range_and_mirrors(successes in 0usize..40, failures in 0usize..40, rsi in 0.0..100.0f64) {
            let [happened, not] = weights(&[(80.0, successes, successes + failures)], 0.3, rsi);
            prop_assert!((0.7..=1.3).contains(&happened) && (0.7..=1.3).contains(&not));
            prop_assert!((happened + not - 2.0).abs() < 1e-12);
        }

        #[test]
        fn later_closings_are_unknown(closed in prop::collection::vec(0i64..100, 0..30), time in 0i64..100) {
            let mut rows: Vec<LiveRow> = closed.iter().map(|&closed| LiveRow::new(Direction::Buy, 0, closed)).collect();
            rows.sort_by_key(|row| row.closed_ms);
            let feedback = Feedback { rows, strength: 0.3 };
            prop_assert_eq!(feedback.until(time).len(), closed.iter().filter(|at| **at <= time).count());
        }
    }
}
