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
