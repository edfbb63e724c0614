//! Gradient boosting of small trees on binned rows, starting from each row's offset.
//!
//! Sources: Friedman, *Greedy function approximation*, 2001, and *Stochastic gradient boosting*, 2002; second-order
//! steps and shrunken leaves, Chen and Guestrin, *XGBoost*, 2016; leaf-wise growth, histograms and their differences,
//! Ke et al., *LightGBM*, 2017; integer gradients, Shi et al., *Quantized Training of Gradient Boosting Decision
//! Trees*, 2022: their sums are exact in any order. A single step learns so little about a market that a few trees, on
//! different parts of the rows, can learn it in parallel, one thread each.

mod tree;

use super::{Family, Sample, fits, same_features};
use crate::model::forest::Node;
use crate::model::ranked::RankedForest;
use crate::odds::{self, logistic};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tree::{BoostedTree, LeafSets};

/// How to boost.
#[derive(Debug, Clone, Copy)]
pub struct BoostingParameters {
    /// Boosting steps, each of [`ABREAST`] trees.
    pub rounds: usize,
    /// Largest number of leaves per tree.
    pub max_leaves: usize,
    /// Fewest rows in a leaf, of those the tree is grown on.
    pub min_leaf: usize,
    /// Regularisation of the leaves: the number of rows without any departure that are added to each.
    pub shrinkage: f64,
    /// The learning rate.
    pub rate: f64,
    /// The share of the rows a tree is grown on.
    pub row_share: f64,
    /// The share of the features a tree is grown on.
    pub feature_share: f64,
}

/// Trees that are grown on the same gradients.
pub const ABREAST: usize = 4;

/// Offsets are clipped this far from 0 and 1, so that their log odds are finite.
const MARGIN: f64 = 1e-4;

/// Rows whose log odds a thread updates at a time: their bins stay in the cache for all trees of a step.
const CHUNK: usize = 512;

/// A fitted boosting model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "StoredBoosting", try_from = "StoredBoosting")]
pub struct Boosting {
    features: usize,
    /// The mean offset, which the trees' contributions are added to.
    offset: f64,
    /// The trees' contributions to the log odds.
    ranked: RankedForest,
}

/// The serialised form of a boosting model.
#[derive(Serialize, Deserialize)]
struct StoredBoosting {
    features: usize,
    offset: f64,
    trees: Vec<Vec<Node>>,
}

impl From<Boosting> for StoredBoosting {
    fn from(Boosting { features, offset, ranked }: Boosting) -> Self {
        Self { features, offset, trees: ranked.trees() }
    }
}

impl TryFrom<StoredBoosting> for Boosting {
    type Error = &'static str;

    fn try_from(StoredBoosting { features, offset, trees }: StoredBoosting) -> std::result::Result<Self, Self::Error> {
        if !(offset > 0.0 && offset < 1.0) {
            return Err("its offset is not a probability");
        }
        let ranked = RankedForest::of(&trees, features).filter(|ranked| ranked.count() > 0);
        Ok(Self { features, offset, ranked: ranked.ok_or("its trees are not sound")? })
    }
}

impl Boosting {
    /// A model that always predicts 0.
    pub(super) fn silent(features: usize) -> std::result::Result<Self, &'static str> {
        StoredBoosting { features, offset: 0.5, trees: vec![vec![Node::leaf(0.0)]] }.try_into()
    }

    fn departs_by(&self, log_odds: f64) -> f64 {
        logistic(odds::log_odds(self.offset) + log_odds) - self.offset
    }
}

impl Family for Boosting {
    type Parameters = BoostingParameters;

    fn fit(sample: &Sample, parameters: BoostingParameters, seed: u64, cancel: &Cancel) -> Result<Self> {
        let counting = sample.counting()?;
        let bins = sample.bins;
        let offsets: Vec<f64> = sample.offsets.iter().map(|offset| offset.clamp(MARGIN, 1.0 - MARGIN)).collect();
        let mut log_odds: Vec<f64> = offsets.iter().map(|&offset| odds::log_odds(offset)).collect();
        let units = Units::of(sample, counting.len());
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut trees = Vec::new();
        for round in 0..parameters.rounds as u64 {
            let gradients = units.gradients(sample, &log_odds);
            let grown: Vec<BoostedTree> = (0..ABREAST as u64)
                .into_par_iter()
                .map(|tree| {
                    cancel.check()?;
                    let seed = seed.wrapping_add(round * ABREAST as u64 + tree);
                    Ok(tree::grow(bins, &counting, &gradients, &parameters, seed))
                })
                .collect::<Result<_>>()?;
            let leaf_sets: Vec<LeafSets> = grown.iter().map(BoostedTree::leaf_sets).collect();
            log_odds.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, log_odds)| {
                leaf_sets.iter().for_each(|leaf_sets| leaf_sets.add_to(log_odds, bins, chunk * CHUNK));
            });
            trees.extend(grown.iter().map(|tree| tree.nodes(bins)));
        }
        let weighted = sample.weights.iter().zip(&offsets).map(|(weight, offset)| weight * offset).sum::<f64>();
        let offset = weighted / sample.weights.iter().sum::<f64>();
        let stored = StoredBoosting { features: bins.features(), offset, trees };
        stored.try_into().map_err(|problem| Error::Internal(format!("trees were boosted, but {problem}")))
    }

    fn departure(&self, row: &[f64]) -> Option<f64> {
        fits(row, self.features).then(|| self.departs_by(self.ranked.sum(row)))
    }

    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>> {
        if !rows.iter().all(|row| fits(row, self.features)) {
            return None;
        }
        Some(self.ranked.sums(rows).into_iter().map(|log_odds| self.departs_by(log_odds)).collect())
    }

    /// Returns the newer model: each tree corrects those before it, so none can be removed.
    fn renewed(&self, newer: &Self) -> Result<Self> {
        same_features(self.features, newer.features)?;
        Ok(newer.clone())
    }
}

/// The first and second derivatives of the rows' log losses by their log odds, as integers: see [`GradientSum`].
struct Gradients {
    sums: Vec<GradientSum>,
    units: Units,
}

/// The integer scales of the derivatives.
#[derive(Clone, Copy)]
struct Units {
    /// The integer that stands for a slope of 1 at a row of the largest weight.
    slope: f64,
    /// The integer that stands for a curvature of 1 there.
    curvature: f64,
    largest_weight: f64,
}

/// A sum of slopes, with a sum of curvatures in its lower bits. Curvatures are never negative, so one exact addition
/// adds both.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct GradientSum(i64);

/// Bits of a curvature.
const LOWER: u32 = 28;

impl GradientSum {
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

impl Units {
    /// The finest scales for which sums over all rows fit: a slope is at most 1, a curvature at most 1/4.
    fn of(sample: &Sample, counting: usize) -> Self {
        let rows = counting as f64;
        Self {
            slope: (2f64.powi(62 - LOWER as i32) / rows).floor(),
            curvature: 4.0 * (2f64.powi(LOWER as i32) / rows - 1.0).floor(),
            largest_weight: sample.weights.iter().copied().fold(0.0, f64::max),
        }
    }

    fn gradients(self, sample: &Sample, log_odds: &[f64]) -> Gradients {
        let sum = |((&log_odds, &happened), &weight): ((&f64, &bool), &f64)| {
            let (probability, weight) = (logistic(log_odds), weight / self.largest_weight);
            let slope = weight * (probability - f64::from(u8::from(happened)));
            let curvature = weight * probability * (1.0 - probability);
            GradientSum::of(nearest(slope * self.slope), nearest(curvature * self.curvature))
        };
        let rows = log_odds.par_iter().zip(sample.happened).zip(sample.weights).with_min_len(CHUNK);
        Gradients { sums: rows.map(sum).collect(), units: self }
    }
}

/// Rounds to the nearest integer without a function call.
fn nearest(x: f64) -> i64 {
    (x + 0.5_f64.copysign(x)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bins::Bins;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_keep_slopes_and_curvatures_apart(
            parts in prop::collection::vec((-60_000i64..60_000, 0i64..500), 1..400), leaving in 0usize..400
        ) {
            let mut sum = GradientSum::default();
            parts.iter().for_each(|&(slope, curvature)| sum.add(GradientSum::of(slope, curvature)));
            let mut part = GradientSum::default();
            parts.iter().take(leaving).for_each(|&(slope, curvature)| part.add(GradientSum::of(slope, curvature)));
            let left = &parts[leaving.min(parts.len())..];
            let expected = [left.iter().map(|p| p.0).sum::<i64>() as f64, left.iter().map(|p| p.1).sum::<i64>() as f64];
            prop_assert_eq!(sum.without(part).parts(), expected);
        }

        /// The contributions added in training are those served; a leaf is a Newton step towards its rows.
        #[test]
        fn a_tree_predicts_what_it_added_in_training(
            rows in prop::collection::vec((prop::array::uniform3(-9i8..9), any::<bool>(), 1u8..4), 40..200), seed in 0u64..50
        ) {
            let values: Vec<[f64; 3]> = rows.iter().map(|(row, ..)| row.map(f64::from)).collect();
            let values: Vec<&[f64]> = values.iter().map(|row| &row[..]).collect();
            let bins = Bins::new(&values);
            let happened: Vec<bool> = rows.iter().map(|(_, happened, _)| *happened).collect();
            let weights: Vec<f64> = rows.iter().map(|(.., weight)| f64::from(*weight)).collect();
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &vec![0.3; rows.len()] };
            let counting = sample.counting().unwrap();
            let start = vec![odds::log_odds(0.3); rows.len()];
            let gradients = Units::of(&sample, rows.len()).gradients(&sample, &start);
            let parameters = BoostingParameters {
                rounds: 1, max_leaves: 6, min_leaf: 5, shrinkage: 0.0, rate: 1.0, row_share: 1.0, feature_share: 1.0,
            };
            let tree = tree::grow(&bins, &counting, &gradients, &parameters, seed);
            let mut taught = vec![0.0; rows.len()];
            tree.leaf_sets().add_to(&mut taught, &bins, 0);
            let ranked = RankedForest::of(&[tree.nodes(&bins)], 3).unwrap();
            prop_assert_eq!(&ranked.sums(&values), &taught);
            for leaf in &taught {
                let of_leaf = || (0..rows.len()).filter(|&row| taught[row] == *leaf);
                let weight: f64 = of_leaf().map(|row| weights[row]).sum();
                let slope: f64 = of_leaf().map(|row| weights[row] * (0.3 - f64::from(u8::from(happened[row])))).sum();
                prop_assert!((leaf + slope / (weight * 0.3 * 0.7)).abs() < 1e-4, "{}", leaf);
                prop_assert!(weight >= 5.0 * 0.99 * weights.iter().sum::<f64>() / rows.len() as f64, "{}", weight);
            }
        }
    }
}
