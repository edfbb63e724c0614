//! Gradient boosting of small trees on binned rows, from each row's offset on.
//!
//! Sources: Friedman, *Greedy function approximation*, 2001, and *Stochastic gradient boosting*, 2002; the second order and the
//! shrunken leaves, Chen and Guestrin, *XGBoost*, 2016; leaf-wise growth, histograms and their differences, Ke et al.,
//! *LightGBM*, 2017; gradients as whole numbers, Shi et al., *Quantized Training of Gradient Boosting Decision Trees*, 2022:
//! sums of them are exact in any order. What can be learned of a market in one step is so little that a few trees of different
//! parts of the rows may learn it side by side, on a thread each.

mod tree;

use super::{Family, Sample, fits, replaced};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::model::forest::Node;
use crate::model::walks::Walks;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tree::{Grown, Rows};

/// How to boost.
#[derive(Debug, Clone, Copy)]
pub struct BoostingParameters {
    /// Steps, of [`ABREAST`] trees each.
    pub rounds: usize,
    /// Leaves of a tree at most.
    pub max_leaves: usize,
    /// Rows in a leaf at least, of those that the tree is grown from.
    pub min_leaf: usize,
    /// Rows without any departure that are added to each leaf.
    pub shrinkage: f64,
    /// What part of what a leaf found is taken.
    pub rate: f64,
}

/// Trees that are grown of the same gradients.
pub const ABREAST: usize = 4;

/// Offsets are taken as no nearer to 0 and 1 than this: their log odds are finite.
const MARGIN: f64 = 1e-4;

/// Rows whose log odds a thread moves at a time.
const CHUNK: usize = 4096;

/// Fitted trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Boosting {
    features: usize,
    /// The mean offset, from which the trees depart.
    offset: f64,
    /// What the trees add to its log odds.
    walks: Walks,
}

/// Boosting as a file has it.
#[derive(Serialize, Deserialize)]
struct Stored {
    features: usize,
    offset: f64,
    trees: Vec<Vec<Node>>,
}

impl From<Boosting> for Stored {
    fn from(Boosting { features, offset, walks }: Boosting) -> Self {
        Self { features, offset, trees: walks.trees() }
    }
}

impl TryFrom<Stored> for Boosting {
    type Error = &'static str;

    fn try_from(Stored { features, offset, trees }: Stored) -> std::result::Result<Self, Self::Error> {
        if !(offset > 0.0 && offset < 1.0) {
            return Err("its offset is not a probability");
        }
        let walks = Walks::of(&trees, features).filter(|walks| walks.count() > 0);
        Ok(Self { features, offset, walks: walks.ok_or("its trees are not sound")? })
    }
}

impl Boosting {
    fn departs_by(&self, log_odds: f64) -> f64 {
        sigmoid(logit(self.offset) + log_odds) - self.offset
    }
}

impl Family for Boosting {
    type Parameters = BoostingParameters;

    fn fit(sample: &Sample, parameters: BoostingParameters, seed: u64, cancel: &Cancel) -> Result<Self> {
        let counting = sample.counting()?;
        let rows = Rows::new(sample.bins, &counting);
        let offsets: Vec<f64> =
            counting.iter().map(|&row| sample.offsets[row as usize].clamp(MARGIN, 1.0 - MARGIN)).collect();
        let targets = Targets::new(sample, &counting);
        let mut log_odds: Vec<f64> = offsets.iter().map(|&offset| logit(offset)).collect();
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut trees = Vec::new();
        for round in 0..parameters.rounds as u64 {
            let gradients = targets.gradients(&log_odds);
            let grown: Vec<Grown> = (0..ABREAST as u64)
                .into_par_iter()
                .map(|tree| {
                    cancel.check()?;
                    let seed = seed.wrapping_add(round * ABREAST as u64 + tree);
                    Ok(tree::grow(&rows, &gradients, &parameters, seed))
                })
                .collect::<Result<_>>()?;
            log_odds.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, log_odds)| {
                grown.iter().for_each(|tree| tree.add_to(log_odds, &rows, chunk * CHUNK));
            });
            trees.extend(grown.iter().map(|tree| tree.nodes(sample.bins)));
        }
        let offset = targets.weights.iter().zip(&offsets).map(|(weight, offset)| weight * offset).sum::<f64>()
            / targets.weights.iter().sum::<f64>();
        let stored = Stored { features: sample.bins.features(), offset, trees };
        stored.try_into().map_err(|problem| Error::Internal(format!("trees were boosted, but {problem}")))
    }

    fn departure(&self, row: &[f64]) -> Option<f64> {
        fits(row, self.features).then(|| self.departs_by(self.walks.sum(row)))
    }

    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>> {
        if !rows.iter().all(|row| fits(row, self.features)) {
            return None;
        }
        Some(self.walks.sums(rows).into_iter().map(|log_odds| self.departs_by(log_odds)).collect())
    }

    /// The newer one: each tree answers those before it, so none can be taken out.
    fn renewed(&self, newer: &Self) -> Result<Self> {
        replaced(newer, [self.features, newer.features])
    }
}

/// What is to be learned of the rows that count.
struct Targets {
    happened: Vec<bool>,
    /// The largest is 1.
    weights: Vec<f64>,
}

/// The slopes and curvatures of the rows' log losses at their log odds, each in whole numbers: see [`Sum`].
struct Gradients {
    sums: Vec<Sum>,
    /// One in the units of slopes and of curvatures.
    units: [f64; 2],
}

/// A sum of slopes, and in its lower bits of curvatures, which are never negative: both are added at once, and exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum(i64);

/// Bits of a curvature.
const LOWER: u32 = 28;

impl Sum {
    fn of(slope: i64, curvature: i64) -> Self {
        Self((slope << LOWER) + curvature)
    }

    fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn without(self, part: Self) -> Self {
        Self(self.0 - part.0)
    }

    /// The slope and the curvature.
    fn parts(self) -> [f64; 2] {
        [(self.0 >> LOWER) as f64, (self.0 & ((1 << LOWER) - 1)) as f64]
    }
}

impl Targets {
    fn new(sample: &Sample, counting: &[u32]) -> Self {
        let most = counting.iter().map(|&row| sample.weights[row as usize]).fold(0.0, f64::max);
        Self {
            happened: counting.iter().map(|&row| sample.happened[row as usize]).collect(),
            weights: counting.iter().map(|&row| sample.weights[row as usize] / most).collect(),
        }
    }

    fn gradients(&self, log_odds: &[f64]) -> Gradients {
        // As fine as sums over all rows allow: a slope is at most 1, a curvature at most 1/4.
        let rows = log_odds.len() as f64;
        let [slopes, curvatures] = [2f64.powi(34) / rows, 2f64.powi(LOWER as i32) / rows - 1.0].map(f64::floor);
        let sum = |((&log_odds, &happened), &weight): ((&f64, &bool), &f64)| {
            let probability = sigmoid(log_odds);
            let slope = weight * (probability - f64::from(u8::from(happened)));
            let curvature = weight * 4.0 * probability * (1.0 - probability);
            Sum::of((slope * slopes).round() as i64, (curvature * curvatures).round() as i64)
        };
        let sums = log_odds.par_iter().zip(&self.happened).zip(&self.weights).with_min_len(CHUNK).map(sum).collect();
        Gradients { sums, units: [slopes, 4.0 * curvatures] }
    }
}

fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
