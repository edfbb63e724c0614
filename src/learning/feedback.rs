//! What live outcomes change in the training of a market: their own rows, and what each row from candles counts.

use crate::barrier::Direction;
use crate::features::{COUNT, FEATURES};

/// Patterns: zones of a feature that traders speak of, by their inner bounds. Each is judged for BUY and for SELL.
const ZONES: [(&str, &[f64]); 7] = [
    ("rsi_14", &[30.0, 70.0]),
    ("bollinger_percent_b_20", &[0.0, 1.0]),
    ("macd_histogram", &[0.0]),
    ("sma_distance_50", &[0.0]),
    ("adx_14", &[20.0, 40.0]),
    ("volume_ratio_20", &[0.8, 1.5]),
    ("atr_ratio", &[0.8, 1.2]),
];
/// Outcomes that the record of a pattern needs to count in full.
const FULL_RECORD: f64 = 10.0;
/// Standard errors from which a record begins to say something, and at which it says all it can.
const CLEAR: (f64, f64) = (1.0, 2.0);
/// What the chance that the levels imply is worth, in outcomes, as the rate to expect of a pattern.
const IMPLIED_WORTH: f64 = 20.0;

/// A closed signal of a market, as its training sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRow {
    /// Which way it bet.
    pub direction: Direction,
    /// The features stored at entry.
    pub features: [f64; COUNT],
    /// Whether it succeeded.
    pub success: bool,
    /// The chance that its levels give a price without drift, 0–1.
    pub implied: f64,
    /// When it was given, UTC epoch ms.
    pub given_ms: i64,
    /// When it closed, UTC epoch ms: nothing before may know of it.
    pub closed_ms: i64,
}

/// The closed signals of a market, in order of closing.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// The rows.
    pub rows: Vec<LiveRow>,
    /// How far the weight of a row from candles moves at most: 0.3 is from 0.7 to 1.3, conservative mode has 0.5.
    pub strength: f64,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { rows: Vec::new(), strength: 0.3 }
    }
}

impl Feedback {
    /// What was known at a time.
    pub(super) fn until(&self, time_ms: i64) -> &[LiveRow] {
        &self.rows[..self.rows.partition_point(|row| row.closed_ms <= time_ms)]
    }

    /// The adjustment that these outcomes, the first ones, lead to in a direction.
    pub(super) fn adjustment(&self, known: &[LiveRow], direction: Direction) -> Adjustment {
        let own: Vec<&LiveRow> = known.iter().filter(|row| row.direction == direction).collect();
        let zones = ZONES.iter().filter_map(|(name, bounds)| {
            let column = FEATURES.iter().position(|feature| feature.name == *name)?;
            let zone = |row: &[f64]| bounds.partition_point(|bound| *bound <= row[column]);
            let verdict = |number: usize| {
                let (inside, outside): (Vec<&LiveRow>, Vec<&LiveRow>) =
                    own.iter().partition(|row| zone(&row.features) == number);
                verdict(&inside, &outside)
            };
            Some(Zone { column, bounds, verdicts: (0..=bounds.len()).map(verdict).collect() })
        });
        Adjustment { zones: zones.collect(), strength: self.strength }
    }
}

/// What the patterns of a direction say, each from −1 (it fails there) to 1 (it succeeds there).
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
    /// What a row from candles counts, relative to a market without outcomes: `1 ± strength · |verdict|` by the clearest of
    /// the patterns it lies in. What speaks for an action that fails there goes down, what speaks against it goes up; and
    /// the reverse where the action succeeds.
    pub fn weight(&self, row: &[f64], happened: bool) -> f64 {
        let verdicts = self
            .zones
            .iter()
            .map(|zone| zone.verdicts[zone.bounds.partition_point(|bound| *bound <= row[zone.column])]);
        let clearest = verdicts.fold(0.0, |most: f64, verdict| if verdict.abs() > most.abs() { verdict } else { most });
        1.0 + self.strength * if happened { clearest } else { -clearest }
    }
}

/// What the outcomes inside a pattern say of it, against the rate of those outside and what the levels imply.
///
/// The departure in standard errors, z = (k − n·q) / √(n·q·(1 − q)), counted from one to two, and as far as there are ten
/// outcomes.
fn verdict(inside: &[&LiveRow], outside: &[&LiveRow]) -> f64 {
    let successes = |rows: &[&LiveRow]| rows.iter().filter(|row| row.success).count() as f64;
    let n = inside.len() as f64;
    if n == 0.0 {
        return 0.0;
    }
    let implied = inside.iter().map(|row| row.implied).sum::<f64>() / n;
    let q = (successes(outside) + IMPLIED_WORTH * implied) / (outside.len() as f64 + IMPLIED_WORTH);
    let z = (successes(inside) - n * q) / (n * q * (1.0 - q)).sqrt();
    let clear = ((z.abs() - CLEAR.0) / (CLEAR.1 - CLEAR.0)).clamp(0.0, 1.0);
    z.signum() * clear * (n / FULL_RECORD).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(rsi: f64) -> [f64; COUNT] {
        let mut features = [0.5; COUNT];
        features[FEATURES.iter().position(|feature| feature.name == "rsi_14").unwrap()] = rsi;
        features
    }

    fn rows(direction: Direction, rsi: f64, successes: usize, count: usize) -> Vec<LiveRow> {
        let row = |i| LiveRow {
            direction,
            features: at(rsi),
            success: i < successes,
            implied: 1.0 / 3.0,
            given_ms: 0,
            closed_ms: 0,
        };
        (0..count).map(row).collect()
    }

    fn weights(rows: Vec<LiveRow>, strength: f64, rsi: f64) -> [f64; 2] {
        let feedback = Feedback { rows, strength };
        let adjustment = feedback.adjustment(feedback.until(0), Direction::Buy);
        [true, false].map(|happened| adjustment.weight(&at(rsi), happened))
    }

    /// The examples of `docs/learning.md`: BUYs at 2:1, whose levels imply one success in three.
    #[test]
    fn worked_by_hand() {
        let near = |got: [f64; 2], want: [f64; 2]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 5e-4), "{got:?} {want:?}");
        };
        // Ten losses of ten: z = (0 − 10/3) / √(10 · ⅓ · ⅔) = −2.236, beyond two: the whole range.
        near(weights(rows(Direction::Buy, 80.0, 0, 10), 0.3, 75.0), [0.7, 1.3]);
        near(weights(rows(Direction::Buy, 80.0, 0, 10), 0.5, 75.0), [0.5, 1.5]);
        // Eight wins of ten: z = 3.13.
        near(weights(rows(Direction::Buy, 80.0, 8, 10), 0.3, 75.0), [1.3, 0.7]);
        // Three losses of three: z = −1.2247, of which 0.2247 counts, for 3 of 10: 0.3 · 0.0674.
        near(weights(rows(Direction::Buy, 80.0, 0, 3), 0.3, 75.0), [1.0 - 0.0202, 1.0 + 0.0202]);
        // As expected, 3 of 9: nothing.
        near(weights(rows(Direction::Buy, 80.0, 3, 9), 0.3, 75.0), [1.0, 1.0]);
        // Losses of SELLs say nothing about BUYs.
        near(weights(rows(Direction::Sell, 80.0, 0, 10), 0.3, 75.0), [1.0, 1.0]);
    }

    #[test]
    fn another_zone_has_its_own_record() {
        let mut both = rows(Direction::Buy, 80.0, 0, 10);
        both.extend(rows(Direction::Buy, 50.0, 10, 20));
        let [up, down] = weights(both.clone(), 0.3, 75.0);
        assert!(up < 0.71 && down > 1.29, "{up} {down}");
        // Half of twenty succeeded elsewhere, which is more than a third; the losses of the first zone lower what to expect.
        let [up, down] = weights(both, 0.3, 50.0);
        assert!(up > 1.0 && down < 1.0, "{up} {down}");
    }

    proptest! {
        #[test]
        fn stays_in_range_and_mirrors(successes in 0usize..40, failures in 0usize..40, rsi in 0.0..100.0f64) {
            let rows = rows(Direction::Buy, 80.0, successes, successes + failures);
            let [happened, not] = weights(rows, 0.3, rsi);
            prop_assert!((0.7..=1.3).contains(&happened) && (0.7..=1.3).contains(&not));
            prop_assert!((happened + not - 2.0).abs() < 1e-12);
        }

        #[test]
        fn what_closed_later_is_not_known(closed in prop::collection::vec(0i64..100, 0..30), time in 0i64..100) {
            let mut all: Vec<LiveRow> = closed
                .iter()
                .flat_map(|&closed_ms| rows(Direction::Buy, 80.0, 0, 1).into_iter().map(move |row| LiveRow { closed_ms, ..row }))
                .collect();
            all.sort_by_key(|row| row.closed_ms);
            let feedback = Feedback { rows: all, strength: 0.3 };
            prop_assert_eq!(feedback.until(time).len(), closed.iter().filter(|at| **at <= time).count());
        }
    }
}
