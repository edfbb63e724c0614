//! The rows of a market whose candles grow in number: features are computed and labels decided once.
//!
//! A label is decided as soon as the candles that decide it are there, and then stays. Bets expire, so only the labels of the last
//! rows are still open; they are decided anew each time.

use super::dataset::{Dataset, SIDES};
use super::feedback::Feedback;
use super::labels::{Decision, Label, decide};
use super::management::Management;
use super::shapes::MOST_SHAPES;
use super::weights::UniquenessSum;
use crate::features::{GrowingFeatures, Row, SharedRows};
use domain::candle::Candle;
use domain::config::SignalShape;
use domain::error::Result;
use domain::symbol::Market;

/// The rows of a market that grows. [`Self::dataset`] gives what [`Dataset::new`] gives for the same candles, to the bit, and costs
/// less if it knows most of them.
#[derive(Debug)]
pub struct GrowingDataset {
    market: Market,
    features: GrowingFeatures,
    /// The labels for each shape that was asked for, the last one last; not more than the configured one and [`MOST_SHAPES`].
    labelled: Vec<Labelled>,
}

impl GrowingDataset {
    /// A market without candles.
    pub fn new(market: &Market) -> Self {
        let features = GrowingFeatures::new(market.timeframe.millis());
        Self { market: market.clone(), features, labelled: Vec::new() }
    }

    /// Whether it has no candles.
    pub fn is_empty(&self) -> bool {
        self.features.candles().is_empty()
    }

    /// Takes in all candles of the market, checked and oldest first. Rows of candles that it knows are kept.
    pub fn grow(&mut self, candles: &[Candle]) {
        if !self.features.grow(candles) {
            self.labelled.clear();
        }
    }

    /// The rows of the candles it has, labelled for bets of a shape that are managed so, with the closed live signals of the market.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub fn dataset(
        &mut self,
        feedback: &Feedback,
        shape: &SignalShape,
        management: Option<&Management>,
    ) -> Result<Dataset> {
        let is_asked = |known: &Labelled| known.shape == *shape && known.management.as_ref() == management;
        let mut labelled = match self.labelled.iter().position(is_asked) {
            Some(at) => self.labelled.remove(at),
            None => Labelled::new(shape, management),
        };
        labelled.settle(&self.features);
        let dataset = Dataset::of(&self.market, &self.features, labelled.all(&self.features), feedback);
        self.labelled.push(labelled);
        let surplus = self.labelled.len().saturating_sub(1 + MOST_SHAPES);
        self.labelled.drain(..surplus);
        dataset
    }
}

/// Rows of a table, in any selection.
#[derive(Debug, Clone)]
pub(super) struct SelectedRows {
    rows: SharedRows,
    places: Vec<u32>,
}

impl SelectedRows {
    pub fn row(&self, at: usize) -> &Row {
        self.rows.row(self.places[at] as usize)
    }

    /// Keeps the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        self.places.truncate(len);
    }

    #[cfg(test)]
    pub fn row_mut(&mut self, at: usize) -> &mut Row {
        self.rows.row_mut(self.places[at] as usize)
    }
}

/// Labelled rows, in order of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// The positions of the rows in the table of features.
    pub places: Vec<u32>,
    pub labels: Vec<Label>,
    pub bars: Vec<usize>,
    pub times_ms: Vec<i64>,
    pub decided_ms: Vec<i64>,
    pub happened: [Vec<bool>; 2],
    pub atr: Vec<f64>,
    pub entries: Vec<f64>,
}

impl Columns {
    fn push(&mut self, features: &GrowingFeatures, place: usize, label: Label) {
        let (bar, candle_ms) = (features.bars()[place], features.calendar().step_ms());
        let candle = &features.candles()[bar];
        self.places.push(place as u32);
        self.labels.push(label);
        self.bars.push(bar);
        self.times_ms.push(candle.open_ms);
        self.decided_ms.push(features.candles()[label.last_bar()].open_ms + candle_ms);
        for (happened, side) in self.happened.iter_mut().zip(SIDES) {
            happened.push(label.of(side).success);
        }
        self.atr.push(features.atr()[place]);
        self.entries.push(candle.close);
    }

    /// The begin and the end of a label of a direction, in bars.
    fn lifetime(&self, row: usize, side: usize) -> (i64, i64) {
        (self.bars[row] as i64 + 1, self.labels[row].of(SIDES[side]).bar as i64 + 1)
    }

    /// These rows of a table.
    pub fn selected(&mut self, rows: &SharedRows) -> SelectedRows {
        SelectedRows { rows: rows.clone(), places: std::mem::take(&mut self.places) }
    }
}

/// All labelled rows of a table.
pub(super) struct LabelledRows {
    pub columns: Columns,
    /// How many rows of the table have no label.
    pub unlabelled: usize,
    /// The effective number of independent labels: the sum of their average uniqueness, averaged over both directions.
    pub effective: f64,
}

/// The labels for a shape.
#[derive(Debug)]
struct Labelled {
    shape: SignalShape,
    management: Option<Management>,
    /// The first row of the table whose label may still change.
    open: usize,
    /// The labelled rows before it.
    columns: Columns,
    /// How many rows before it never get a label.
    unlabelled: usize,
    uniqueness: [UniquenessSum; 2],
}

impl Labelled {
    fn new(shape: &SignalShape, management: Option<&Management>) -> Self {
        Self {
            shape: *shape,
            management: management.cloned(),
            open: 0,
            columns: Columns::default(),
            unlabelled: 0,
            uniqueness: Default::default(),
        }
    }

    fn decision(&self, features: &GrowingFeatures, place: usize) -> Decision {
        let (bar, range) = (features.bars()[place], features.atr()[place]);
        decide(features.candles(), bar, features.calendar(), range, &self.shape, self.management.as_ref())
    }

    /// Takes in the rows up to the first one whose label is open.
    fn settle(&mut self, features: &GrowingFeatures) {
        while self.open < features.rows().len() {
            match self.decision(features, self.open) {
                Decision::Decided(label) => self.columns.push(features, self.open, label),
                Decision::Never => self.unlabelled += 1,
                Decision::Open => break,
            }
            self.open += 1;
        }
        // No label that follows begins earlier.
        let next = features.bars().get(self.open).map_or(features.candles().len(), |bar| *bar) as i64 + 1;
        for (side, uniqueness) in self.uniqueness.iter_mut().enumerate() {
            uniqueness.settle(self.columns.labels.len(), next, |row| self.columns.lifetime(row, side));
        }
    }

    /// All rows that have a label now.
    fn all(&self, features: &GrowingFeatures) -> LabelledRows {
        let (mut columns, mut unlabelled) = (self.columns.clone(), self.unlabelled);
        for place in self.open..features.rows().len() {
            match self.decision(features, place) {
                Decision::Decided(label) => columns.push(features, place, label),
                Decision::Never | Decision::Open => unlabelled += 1,
            }
        }
        let of = |side: usize| self.uniqueness[side].total(columns.labels.len(), |row| columns.lifetime(row, side));
        let effective = [0, 1].map(of).iter().sum::<f64>() / 2.0;
        LabelledRows { columns, unlabelled, effective }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features;
    use crate::labels::managed_label;
    use crate::{LiveRow, average_uniqueness};
    use domain::barrier::Direction;
    use domain::config::Config;
    use domain::symbol::Timeframe;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use testkit::hours::{FOREX, HOUR, NEW_YORK};

    #[derive(Debug, Clone, Copy)]
    enum Hours {
        Always,
        /// Always, but some hours are missing.
        Gaps,
        NewYork,
        Forex,
    }

    #[derive(Debug, Clone, Copy)]
    enum Volume {
        Some,
        Constant,
        /// Constant up to the middle.
        Late,
    }

    fn series(hours: Hours, volume: Volume, seed: u64) -> Vec<Candle> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let times: Vec<i64> = match hours {
            Hours::NewYork => {
                NEW_YORK.candles("2024-01-01", "2024-06-01", HOUR).iter().map(|candle| candle.open_ms).collect()
            }
            Hours::Forex => {
                FOREX.candles("2024-01-01", "2024-02-20", HOUR).iter().map(|candle| candle.open_ms).collect()
            }
            Hours::Always | Hours::Gaps => {
                let mut at = 1_704_067_200_000;
                let mut next = || {
                    let missing = if matches!(hours, Hours::Gaps) && random.random_bool(0.01) {
                        random.random_range(0..15)
                    } else {
                        0
                    };
                    at += (1 + missing) * HOUR;
                    at
                };
                (0..700).map(|_| next()).collect()
            }
        };
        let middle = times.len() / 2;
        let (mut close, mut is_flat) = (100.0f64, false);
        times
            .into_iter()
            .enumerate()
            .map(|(bar, open_ms)| {
                if random.random_bool(0.01) {
                    is_flat = !is_flat;
                }
                let open = close;
                let [step, up, down] = [-0.02..0.02f64, 0.0..0.01, 0.0..0.01].map(|range| random.random_range(range));
                close *= if is_flat { 1.0 } else { step.exp() };
                let spread = if is_flat { 0.0 } else { 1.0 };
                let (high, low) = (open.max(close) * (1.0 + spread * up), open.min(close) * (1.0 - spread * down));
                let is_constant = match volume {
                    Volume::Some => false,
                    Volume::Constant => true,
                    Volume::Late => bar < middle,
                };
                let volume = if is_constant { 3.0 } else { random.random_range(1.0..100.0) };
                Candle { open_ms, open, high, low, close, volume }
            })
            .collect()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// The rows of all candles, computed at once, against those of a dataset.
    fn assert_is_at_once(
        data: &Result<Dataset>,
        candles: &[Candle],
        shape: &SignalShape,
        management: Option<&Management>,
        feedback: &Feedback,
    ) {
        let table = features::compute(candles, HOUR);
        let label = |(&bar, &atr): (&usize, &f64)| managed_label(candles, bar, &table.calendar, atr, shape, management);
        let labels: Vec<Option<Label>> = table.bars.iter().zip(&table.atr).map(label).collect();
        let kept: Vec<usize> = (0..labels.len()).filter(|&at| labels[at].is_some()).collect();
        let Ok(data) = data else {
            assert!(kept.is_empty(), "{} rows are missing", kept.len());
            return;
        };
        assert_eq!(data.len(), kept.len());
        let labels: Vec<Label> = labels.into_iter().flatten().collect();
        assert_eq!(data.labels, labels);
        for (row, &at) in kept.iter().enumerate() {
            assert_eq!(bits(data.row(row)), bits(&table.rows[at]), "row {row}");
            let profits = SIDES.map(|side| data.labels[row].of(side).profit_percent);
            assert_eq!(bits(&profits), bits(&SIDES.map(|side| labels[row].of(side).profit_percent)));
        }
        let bars: Vec<usize> = kept.iter().map(|&at| table.bars[at]).collect();
        let times: Vec<i64> = bars.iter().map(|&bar| candles[bar].open_ms).collect();
        assert_eq!(data.times_ms, times);
        let decided: Vec<i64> = labels.iter().map(|label| candles[label.last_bar()].open_ms + HOUR).collect();
        assert_eq!(data.decided_ms, decided);
        for side in SIDES {
            let happened: Vec<bool> = labels.iter().map(|label| label.of(side).success).collect();
            assert_eq!(data.happened[side as usize], happened);
        }
        let worth = SIDES.map(|side| {
            let life = |(&bar, label): (&usize, &Label)| (bar as i64 + 1, label.of(side).bar as i64 + 1);
            average_uniqueness(&bars.iter().zip(&labels).map(life).collect::<Vec<_>>()).iter().sum::<f64>()
        });
        let atr: Vec<f64> = kept.iter().map(|&at| table.atr[at]).collect();
        let entries: Vec<f64> = bars.iter().map(|&bar| candles[bar].close).collect();
        let figures = data.figures();
        assert_eq!(figures.effective.to_bits(), (worth.iter().sum::<f64>() / 2.0).to_bits());
        assert_eq!((bits(figures.atr), bits(figures.entries)), (bits(&atr), bits(&entries)));
        assert_eq!((figures.candles, figures.missing), (candles.len(), &table.missing));
        assert_eq!(figures.unlabelled, table.bars.len() - kept.len());
        assert_eq!(data.horizon_ms, decided.iter().copied().max().unwrap());
        assert_eq!((data.is_silent(), data.calendar()), (features::is_silent(candles), &*table.calendar));
        assert_eq!(data.feedback, feedback.relabelled(data));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn rows_that_grow_are_those_computed_at_once(
            hours in prop_oneof![Just(Hours::Always), Just(Hours::Gaps), Just(Hours::NewYork), Just(Hours::Forex)],
            volume in prop_oneof![4 => Just(Volume::Some), 1 => Just(Volume::Constant), 1 => Just(Volume::Late)],
            seed in any::<u64>(),
            expiry_bars in 1usize..40,
            is_managed in any::<bool>(),
            cuts in prop::collection::vec(0usize..700, 1..8),
            change in prop::option::of(0usize..600),
        ) {
            let mut candles = series(hours, volume, seed);
            let market = Market { timeframe: Timeframe::H1, ..Market::parse("BTCUSDT", "1h").unwrap() };
            let shape = SignalShape { expiry_bars, ..Config::default().signal };
            let other = SignalShape { expiry_bars: expiry_bars + 5, stop_atr: 0.7, ..shape };
            let management = is_managed.then(|| Management {
                targets: vec![(1.0, 50.0), (2.0, 50.0)], break_even_after: Some(1), trail: None, trail_from: 0.0, moves: Vec::new(),
            });
            let live = |at: usize| {
                let given_ms = candles[0].open_ms + at as i64 * 7 * HOUR;
                LiveRow::new(if at.is_multiple_of(3) { Direction::Buy } else { Direction::Sell }, given_ms, given_ms + 5 * HOUR)
            };
            let feedback = Feedback { rows: (0..100).map(live).collect(), strength: 0.3 };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(candles.len())).collect();
            cuts.sort_unstable();
            cuts.extend([cuts[cuts.len() - 1], candles.len()]);
            let mut growing = GrowingDataset::new(&market);
            for (number, &cut) in cuts.iter().enumerate() {
                // An earlier candle may be repaired in between.
                if let Some(at) = change.filter(|at| number == cuts.len() / 2 && *at < candles.len()) {
                    candles[at].close = (candles[at].high + candles[at].low) / 2.0;
                }
                growing.grow(&candles[..cut]);
                let data = growing.dataset(&feedback, &shape, management.as_ref());
                assert_is_at_once(&data, &candles[..cut], &shape, management.as_ref(), &feedback);
                if number % 2 == 0 {
                    let data = growing.dataset(&feedback, &other, None);
                    assert_is_at_once(&data, &candles[..cut], &other, None, &feedback);
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_kept() {
        for (hours, kept) in [(Hours::Always, true), (Hours::Gaps, true), (Hours::NewYork, true)] {
            let candles = series(hours, Volume::Some, 5);
            let mut features = GrowingFeatures::new(HOUR);
            let until = candles.len() - 5;
            assert!(!features.grow(&candles[..until]));
            for count in until..=candles.len() {
                assert_eq!(features.grow(&candles[..count]), kept, "{hours:?}");
            }
            assert!(!features.grow(&candles[..until]), "fewer candles begin anew");
            assert!(!features.grow(&candles[1..]), "so do others");
        }
    }
}
