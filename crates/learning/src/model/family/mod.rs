//! The families of learners. Each predicts how far the probability of a row departs from the probability known without
//! features.
//!
//! All families see the same rows but make different errors, so their mean is better than any of them.
//! `docs/decisions.md` has the figures.

mod boosting;
mod capacity;
mod linear;

pub use boosting::{Boosting, BoostingParameters};
pub use linear::Linear;

use super::bins::Bins;
use super::forest::Forest;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The rows to fit; all lists have one element per row.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// The features.
    pub bins: &'a Bins,
    /// Whether the event of each row happened.
    pub happened: &'a [bool],
    /// Row weights: 0 or more, with a sum above 0. A row of weight 0 is ignored.
    pub weights: &'a [f64],
    /// The probability of each row that is known without features, 0–1; the learners only learn departures from it. If
    /// it is 0 everywhere, a forest's departures are the probabilities themselves.
    pub offsets: &'a [f64],
}

impl Sample<'_> {
    /// The rows with a weight above 0.
    ///
    /// # Errors
    /// [`Error::Internal`] for rows without features, lists of different lengths, weights or offsets out of range, or
    /// no row with weight.
    pub(super) fn counting(&self) -> Result<Vec<u32>> {
        let Self { bins, happened, weights, offsets } = self;
        let (rows, features) = (bins.rows(), bins.features());
        let refuse = |problem: &str| {
            let lengths = [happened.len(), weights.len(), offsets.len()];
            Err(Error::Internal(format!(
                "{problem}: {rows} rows, {features} features, and {lengths:?} events, weights and offsets"
            )))
        };
        if features == 0 || features >= usize::from(u16::MAX) || rows > MAX_ROWS {
            return refuse("no model fits a table of this size");
        }
        if [happened.len(), weights.len(), offsets.len()] != [rows; 3] {
            return refuse("the lengths of a sample differ");
        }
        if !weights.iter().all(|weight| (0.0..f64::INFINITY).contains(weight)) {
            return refuse("a weight is negative or not finite");
        }
        if !offsets.iter().all(|offset| (0.0..=1.0).contains(offset)) {
            return refuse("an offset is not a probability");
        }
        let counting: Vec<u32> = (0..rows as u32).filter(|&row| weights[row as usize] > 0.0).collect();
        if counting.is_empty() { refuse("no row counts") } else { Ok(counting) }
    }
}

/// The largest number of rows: sums over them are kept in few bits.
const MAX_ROWS: usize = 1 << 26;

/// A learner.
pub trait Family: Sized + Serialize + DeserializeOwned {
    /// How to fit it.
    type Parameters;

    /// Fits the learner. The same input and seed give the same result, whatever the number of threads; work on other
    /// threads ends soon after it was cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Internal`] for an invalid sample.
    fn fit(sample: &Sample, parameters: Self::Parameters, seed: u64, cancel: &Cancel) -> Result<Self>;

    /// How far the probability of a row departs from its offset, −1 to 1; `None` for a row of the wrong length or with
    /// a value that is not finite.
    fn departure(&self, row: &[f64]) -> Option<f64>;

    /// [`Self::departure`] for many rows: bit-identical, but faster; `None` when one of them has none.
    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>>;

    /// Continues this learner with `newer`, which was fitted on newer rows, and on older ones as far as they should
    /// still count.
    ///
    /// # Errors
    /// [`Error::Internal`] for models of different features.
    fn renewed(&self, newer: &Self) -> Result<Self>;
}

/// One learner of each family, fitted to the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Families {
    /// Many deep trees, each grown on a part of the rows; predicts their mean.
    pub forest: Forest,
    /// Small trees, each fitted to the residuals of those before it; predicts their sum.
    pub boosting: Boosting,
    /// A ridge regression on the ranks of the values and their squares.
    pub linear: Linear,
}

impl Families {
    /// Number of families.
    pub const COUNT: usize = 3;
    /// Their names, in the order used by every [`super::PerFamily`].
    pub const NAMES: [&str; Self::COUNT] = ["forest", "boosting", "linear"];
    /// The weights of a model that is a forest only.
    pub const FOREST_ALONE: [f64; Self::COUNT] = [1.0, 0.0, 0.0];

    /// A forest alone, whose leaves are probabilities: predicts the forest minus `base_rate`. The other families
    /// predict 0.
    pub(super) fn of_forest(forest: &Forest, base_rate: f64) -> std::result::Result<Self, &'static str> {
        let features = forest.importances().len();
        Ok(Self {
            forest: forest.less(base_rate)?,
            boosting: Boosting::silent(features)?,
            linear: Linear::silent(features)?,
        })
    }

    /// Fits all families, each of a size that fits the number of rows. `trees` is the number of trees of the forest.
    ///
    /// # Errors
    /// See [`Family::fit`].
    pub fn fit(sample: &Sample, trees: usize, seed: u64, cancel: &Cancel) -> Result<Self> {
        let rows = sample.counting()?.len();
        Ok(Self {
            linear: Linear::fit(sample, (), seed, cancel)?,
            boosting: Boosting::fit(sample, capacity::of_boosting(rows), seed, cancel)?,
            forest: Forest::fit(sample, capacity::of_forest(rows, trees), seed, cancel)?,
        })
    }

    /// Each family's departure for a row, see [`Family::departure`].
    pub fn departures_of(&self, row: &[f64]) -> Option<[f64; Self::COUNT]> {
        Some([self.forest.departure(row)?, self.boosting.departure(row)?, self.linear.departure(row)?])
    }

    /// [`Self::departures_of`] for many rows: bit-identical, but faster; `None` when one of them has none.
    pub fn departures_of_all(&self, rows: &[&[f64]]) -> Option<Vec<[f64; Self::COUNT]>> {
        let forest = self.forest.departures(rows)?;
        let boosting = self.boosting.departures(rows)?;
        let linear = self.linear.departures(rows)?;
        let all = forest.into_iter().zip(boosting).zip(linear);
        Some(all.map(|((forest, boosting), linear)| [forest, boosting, linear]).collect())
    }

    /// The weighted sum of the departures; families of weight 0 are not evaluated.
    pub fn departure(&self, row: &[f64], weights: &[f64; Self::COUNT]) -> Option<f64> {
        if !fits(row, self.linear.features()) {
            return None;
        }
        let asked = |weight: f64, departure: &dyn Fn() -> Option<f64>| {
            if weight == 0.0 { Some(0.0) } else { departure().map(|departure| weight * departure) }
        };
        let [forest, boosting, linear] = *weights;
        Some(
            asked(forest, &|| self.forest.departure(row))?
                + asked(boosting, &|| self.boosting.departure(row))?
                + asked(linear, &|| self.linear.departure(row))?,
        )
    }

    /// Continues all families, see [`Family::renewed`].
    ///
    /// # Errors
    /// [`Error::Internal`] for models of different features.
    pub fn renewed(&self, newer: &Self) -> Result<Self> {
        Ok(Self {
            forest: self.forest.renewed(&newer.forest)?,
            boosting: self.boosting.renewed(&newer.boosting)?,
            linear: self.linear.renewed(&newer.linear)?,
        })
    }

    /// The importance of each feature in the forest, adding up to 1 (all 0 when no tree could split).
    pub fn importances(&self) -> &[f64] {
        self.forest.importances()
    }
}

/// Whether a row has the right length and only finite values.
pub(super) fn fits(row: &[f64], features: usize) -> bool {
    row.len() == features && row.iter().all(|x| x.is_finite())
}

/// Refuses to continue a model of `features` features with one of `newer`.
pub(super) fn same_features(features: usize, newer: usize) -> Result<()> {
    if features == newer {
        return Ok(());
    }
    Err(Error::Internal(format!("a model of {features} features cannot be continued by one of {newer}")))
}

#[cfg(test)]
mod tests;
