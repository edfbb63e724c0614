//! Learners of one kind of answer: by how much the probability of a row departs from the one that is known without features.
//!
//! Each sees the same rows and errs in its own way, so that their mean knows more than any of them. Figures are in
//! `docs/decisions.md`.

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

/// Rows to fit; all lists are as long as there are rows.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// The features.
    pub bins: &'a Bins,
    /// Whether the event of each row happened.
    pub happened: &'a [bool],
    /// What each row counts: 0 or more, with a sum above 0. A row that counts 0 is as good as absent.
    pub weights: &'a [f64],
    /// The probability of each row that is known without its features, 0–1. Nothing is learned of it. Where it is 0
    /// everywhere, a forest's departures are the probabilities themselves.
    pub offsets: &'a [f64],
}

impl Sample<'_> {
    /// The rows that count.
    ///
    /// # Errors
    /// [`Error::Internal`] for rows without features, lengths that differ, weights or offsets out of range, or no row that
    /// counts.
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

/// Rows of a sample at most: sums over them are kept in few bits.
const MAX_ROWS: usize = 1 << 26;

/// A learner.
pub trait Family: Sized + Serialize + DeserializeOwned {
    /// How to fit it.
    type Parameters;

    /// Learns from rows. Same input and seed, same result, whatever the number of threads; work on other threads ends soon
    /// after it was cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Internal`] for a sample that contradicts itself.
    fn fit(sample: &Sample, parameters: Self::Parameters, seed: u64, cancel: &Cancel) -> Result<Self>;

    /// By how much the probability of a row departs from its offset, −1 to 1. A row of the wrong length or with a value that
    /// is not finite has none.
    fn departure(&self, row: &[f64]) -> Option<f64>;

    /// [`Self::departure`] of many rows, to the bit, in less time; `None` when one of them has none.
    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>>;

    /// This one continued with `newer`, which was fitted on newer rows, and on older ones as far as they are still to count.
    ///
    /// # Errors
    /// [`Error::Internal`] for models of different features.
    fn renewed(&self, newer: &Self) -> Result<Self>;
}

/// One model of each family, of the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Families {
    /// Many deep trees, each of a part of the rows; their mean.
    pub forest: Forest,
    /// Small trees that each learn what those before them left; their sum.
    pub boosting: Boosting,
    /// A ridge regression on the ranks of the values and their squares.
    pub linear: Linear,
}

impl Families {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// Their names, in the order of every list of theirs.
    pub const NAMES: [&str; Self::COUNT] = ["forest", "boosting", "linear"];
    /// Weights of a model that is a forest and nothing else.
    pub const FOREST_ALONE: [f64; Self::COUNT] = [1.0, 0.0, 0.0];

    /// A forest alone, whose leaves are probabilities: what they say less `base_rate`. The other families say nothing.
    pub(super) fn of_forest(forest: &Forest, base_rate: f64) -> std::result::Result<Self, &'static str> {
        let features = forest.importances().len();
        Ok(Self {
            forest: forest.less(base_rate)?,
            boosting: Boosting::silent(features)?,
            linear: Linear::silent(features)?,
        })
    }

    /// Fits all of them, each of a size that the number of rows can bear. `trees` are those of the forest.
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

    /// What each says of a row, see [`Family::departure`].
    pub fn departures_of(&self, row: &[f64]) -> Option<[f64; Self::COUNT]> {
        Some([self.forest.departure(row)?, self.boosting.departure(row)?, self.linear.departure(row)?])
    }

    /// [`Self::departures_of`] of many rows, to the bit, in less time; `None` when one of them has none.
    pub fn departures_of_all(&self, rows: &[&[f64]]) -> Option<Vec<[f64; Self::COUNT]>> {
        let forest = self.forest.departures(rows)?;
        let boosting = self.boosting.departures(rows)?;
        let linear = self.linear.departures(rows)?;
        let all = forest.into_iter().zip(boosting).zip(linear);
        Some(all.map(|((forest, boosting), linear)| [forest, boosting, linear]).collect())
    }

    /// The weighted sum of what they say; those of weight 0 are not asked.
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

    /// All of them continued, see [`Family::renewed`].
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

    /// How much each feature counts in the forest, adding up to 1 (all 0 when no tree could split).
    pub fn importances(&self) -> &[f64] {
        self.forest.importances()
    }
}

/// Whether a row can be read.
pub(super) fn fits(row: &[f64], features: usize) -> bool {
    row.len() == features && row.iter().all(|x| x.is_finite())
}

/// Refuses to continue a model of `features` by one of `newer`.
pub(super) fn same_features(features: usize, newer: usize) -> Result<()> {
    if features == newer {
        return Ok(());
    }
    Err(Error::Internal(format!("a model of {features} features cannot be continued by one of {newer}")))
}

#[cfg(test)]
mod tests;
