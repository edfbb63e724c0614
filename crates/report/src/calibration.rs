//! Calibration: stated probabilities beside how often they came true.

use super::results::{Interval, rounded};
use domain::proportions::wilson;
use domain::signal::Ended;
use learning::model::HeldOut;
use serde::Serialize;

/// Predictions are counted in cells of one percent, so that any number of them fits into a hundred sums.
const CELLS: usize = 101;
/// Largest number of bins shown.
const MAX_BINS: f64 = 10.0;
/// Smallest effective number of predictions in a bin; fewer would mostly show chance.
const MIN_WORTH: f64 = 10.0;

/// Predictions of similar probability. In percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// The mean stated probability.
    pub promised: f64,
    /// How often it came true.
    pub happened: f64,
    /// The Wilson score interval of that, for the effective number of predictions.
    pub interval: Interval,
    /// Number of predictions.
    pub count: u64,
    /// The effective number of independent predictions.
    pub worth: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: u64,
    weight: f64,
    promised: f64,
    happened: f64,
}

impl Cell {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.weight += other.weight;
        self.promised += other.promised;
        self.happened += other.happened;
    }

    fn bin(self) -> Bin {
        let rate = self.happened / self.weight;
        let trials = self.weight.round().max(1.0);
        Bin {
            promised: rounded(100.0 * self.promised / self.weight),
            happened: rounded(100.0 * rate),
            interval: wilson((rate * trials).round() as u64, trials as u64).into(),
            count: self.count,
            worth: rounded(self.weight),
        }
    }
}

/// Predictions, counted by their stated probability.
#[derive(Debug, Clone)]
pub struct Calibration([Cell; CELLS]);

impl Default for Calibration {
    fn default() -> Self {
        Self([Cell::default(); CELLS])
    }
}

impl Calibration {
    /// From the confidence of closed signals, which is the probability that their backend, or their model, stated.
    pub fn of_signals(ended: &[Ended]) -> Self {
        let mut all = Self::default();
        let stated = ended.iter().filter_map(|one| Some((one.confidence?, one.succeeded)));
        stated.for_each(|(percent, succeeded)| all.add(percent / 100.0, succeeded, 1.0));
        all
    }

    /// Adds a model's held-out predictions, for both sides. Labels overlap, so each counts as only `worth` of an
    /// independent one.
    pub fn add_held_out<'a>(&mut self, rows: impl IntoIterator<Item = &'a HeldOut>, worth: f64) {
        for held in rows.into_iter().flat_map(|row| [row.buy, row.sell]) {
            self.add(held.probability, held.happened, worth);
        }
    }

    fn add(&mut self, probability: f64, happened: bool, weight: f64) {
        let cell = (100.0 * probability.clamp(0.0, 1.0)).round() as usize;
        let happened = if happened { weight } else { 0.0 };
        self.0[cell].add(Cell { count: 1, weight, promised: weight * probability, happened });
    }

    /// Merges neighbouring cells into bins of about equal effective size; empty where there are too few predictions in
    /// all.
    pub fn bins(&self) -> Vec<Bin> {
        let total: f64 = self.0.iter().map(|cell| cell.weight).sum();
        let enough = (total / MAX_BINS).max(MIN_WORTH) - 1e-9;
        let mut bins: Vec<Cell> = Vec::new();
        let mut open = Cell::default();
        for cell in self.0 {
            open.add(cell);
            if open.weight >= enough {
                bins.push(std::mem::take(&mut open));
            }
        }
        // The rest at the top is too small for a bin of its own.
        if let Some(last) = bins.last_mut() {
            last.add(open);
        }
        bins.into_iter().map(Cell::bin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use learning::model::Held;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        let mut all = Calibration::default();
        (0..20).for_each(|i| all.add(0.3, i % 4 == 0, 1.0));
        (0..20).for_each(|i| all.add(0.6, i % 2 == 0, 0.5));
        all.add(0.9, true, 1.0);
        let bins = all.bins();
        let shown: Vec<_> = bins.iter().map(|bin| (bin.count, bin.worth, bin.happened)).collect();
        assert_eq!(shown, [(20, 20.0, 25.0), (21, 11.0, 54.5455)]);
        assert_eq!((bins[0].promised, bins[1].promised), (30.0, 62.7273));
        assert_eq!(bins[0].interval, Interval::from(wilson(5, 20)));
        assert_eq!(bins[1].interval, Interval::from(wilson(6, 11)));
    }

    #[test]
    fn too_little_is_not_shown() {
        let mut all = Calibration::default();
        assert_eq!(all.bins(), []);
        (0..9).for_each(|_| all.add(0.5, true, 1.0));
        assert_eq!(all.bins(), []);
    }

    #[test]
    fn a_held_out_row_is_a_bet_on_each_side() {
        let held = |happened| Held { happened, probability: 0.4, constant: 0.3 };
        let rows = vec![HeldOut { time_ms: 0, buy: held(true), sell: held(false), profit: None }; 10];
        let mut all = Calibration::default();
        all.add_held_out(&rows, 0.5);
        let bins = all.bins();
        assert_eq!((bins.len(), bins[0].count, bins[0].worth, bins[0].happened), (1, 20, 10.0, 50.0));
    }

    proptest! {
        #[test]
        fn bins_are_few_in_order_and_hold_everything(
            rows in proptest::collection::vec((0.0f64..=1.0, any::<bool>(), 0.1f64..1.0), 0..500),
        ) {
            let mut all = Calibration::default();
            rows.iter().for_each(|(p, happened, weight)| all.add(*p, *happened, *weight));
            let bins = all.bins();
            prop_assert!(bins.len() <= 10);
            prop_assert!(bins.is_sorted_by(|a, b| a.promised < b.promised));
            let worth: f64 = rows.iter().map(|(_, _, weight)| weight).sum();
            let count: u64 = bins.iter().map(|bin| bin.count).sum();
            prop_assert_eq!(count, if worth < MIN_WORTH - 1e-9 { 0 } else { rows.len() as u64 });
            for bin in bins {
                prop_assert!(bin.interval.low <= bin.happened + 5.0 && bin.happened <= bin.interval.high + 5.0);
            }
        }
    }
}
