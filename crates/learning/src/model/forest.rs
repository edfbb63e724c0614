//! A random forest: grown on binned rows, served from a [`RankedForest`].
//!
//! A tree regresses on 0 and 1; a leaf predicts how far the mean outcome of its rows departs from the mean of their
//! offsets.

use super::family::{Family, Sample, fits, same_features};
use super::grow::{ForestGrower, GrownTree};
use super::ranked::RankedForest;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How to grow a forest.
#[derive(Debug, Clone, Copy)]
pub struct ForestParameters {
    /// Number of trees.
    pub trees: usize,
    /// Largest depth of a tree.
    pub max_depth: u16,
    /// Fewest rows in a leaf.
    pub min_leaf: usize,
    /// Features tried at each split, at most all.
    pub tries: usize,
    /// How often a row of average weight is drawn for a tree, on average.
    pub share: f64,
}

/// One node of a tree, whose nodes are stored depth first. In a leaf, `value` is the prediction; in a split it is the
/// threshold: `x[feature] <= value` goes to the next node, anything else to `right`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub value: f64,
    pub right: u32,
    pub feature: u16,
}

impl Node {
    /// A leaf that predicts `value`.
    pub fn leaf(value: f64) -> Self {
        Self { value, right: 0, feature: LEAF }
    }

    /// A split whose right branch is filled in later.
    pub fn split(feature: usize, threshold: f64) -> Self {
        Self { value: threshold, right: 0, feature: feature as u16 }
    }

    /// Whether it is a leaf.
    pub fn is_leaf(&self) -> bool {
        self.feature == LEAF
    }
}

/// Marks a leaf.
const LEAF: u16 = u16::MAX;

/// A fitted forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "StoredForest", try_from = "StoredForest")]
pub struct Forest {
    features: usize,
    ranked: RankedForest,
    importances: Vec<f64>,
}

/// The serialised form of a forest.
#[derive(Serialize, Deserialize)]
struct StoredForest {
    features: usize,
    trees: Vec<Vec<Node>>,
    importances: Vec<f64>,
}

impl From<Forest> for StoredForest {
    fn from(forest: Forest) -> Self {
        Self { features: forest.features, trees: forest.ranked.trees(), importances: forest.importances }
    }
}

impl TryFrom<StoredForest> for Forest {
    type Error = &'static str;

    /// Refuses trees that would make [`Forest::predict`] fail.
    fn try_from(StoredForest { features, trees, importances }: StoredForest) -> std::result::Result<Self, Self::Error> {
        let ranked =
            RankedForest::of(&trees, features).filter(|ranked| ranked.count() > 0 && importances.len() == features);
        Ok(Self { features, ranked: ranked.ok_or("its trees are not sound")?, importances })
    }
}

impl Family for Forest {
    type Parameters = ForestParameters;

    /// Rows are drawn in proportion to their weights.
    fn fit(sample: &Sample, parameters: ForestParameters, seed: u64, cancel: &Cancel) -> Result<Self> {
        let nursery = ForestGrower::new(sample, &parameters)?;
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let grown: Vec<GrownTree> = (0..parameters.trees as u64)
            .into_par_iter()
            .map(|tree| {
                cancel.check()?;
                Ok(nursery.grow(seed.wrapping_add(tree)))
            })
            .collect::<Result<_>>()?;
        let features = sample.bins.features();
        let mut importances = vec![0.0; features];
        for tree in &grown {
            add_shares(&mut importances, &tree.gains);
        }
        let shares = importances;
        let mut importances = vec![0.0; features];
        add_shares(&mut importances, &shares);
        Self::of(grown.into_iter().map(|tree| tree.nodes).collect(), importances)
    }

    /// The mean of the trees' leaves.
    fn departure(&self, row: &[f64]) -> Option<f64> {
        fits(row, self.features).then(|| self.ranked.sum(row) / self.trees() as f64)
    }

    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>> {
        if !rows.iter().all(|row| fits(row, self.features)) {
            return None;
        }
        let mut means = self.ranked.sums(rows);
        means.iter_mut().for_each(|mean| *mean /= self.trees() as f64);
        Some(means)
    }

    /// Replaces the oldest trees by those of `newer`. The importances are averaged by the number of trees, using this
    /// forest's importances for the trees that stay.
    fn renewed(&self, newer: &Self) -> Result<Self> {
        same_features(self.features, newer.features)?;
        let leaving = newer.trees().min(self.trees());
        let mut trees = self.ranked.trees().split_off(leaving);
        let share = trees.len() as f64 / (trees.len() + newer.trees()) as f64;
        trees.extend(newer.ranked.trees());
        let mean = |(old, new): (&f64, &f64)| share * old + (1.0 - share) * new;
        Self::of(trees, self.importances.iter().zip(&newer.importances).map(mean).collect())
    }
}

impl Forest {
    fn of(trees: Vec<Vec<Node>>, importances: Vec<f64>) -> Result<Self> {
        let stored = StoredForest { features: importances.len(), trees, importances };
        stored.try_into().map_err(|problem| Error::Internal(format!("a forest was grown, but {problem}")))
    }

    /// The same trees with `constant` subtracted from every leaf.
    pub(super) fn less(&self, constant: f64) -> std::result::Result<Self, &'static str> {
        let mut stored = StoredForest::from(self.clone());
        let leaves = stored.trees.iter_mut().flatten().filter(|node| node.is_leaf());
        leaves.for_each(|leaf| leaf.value -= constant);
        stored.try_into()
    }

    /// The [`Family::departure`] of a forest grown with offsets of 0: the probability itself.
    pub fn predict(&self, row: &[f64]) -> Option<f64> {
        self.departure(row)
    }

    /// [`Self::predict`] for many rows: bit-identical, but faster.
    pub fn predict_all(&self, rows: &[&[f64]]) -> Option<Vec<f64>> {
        self.departures(rows)
    }

    /// How much each feature reduced the variance, adding up to 1 (all 0 when no tree could split).
    pub fn importances(&self) -> &[f64] {
        &self.importances
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.ranked.count()
    }
}

/// Adds the share of each amount in their sum; nothing when all are 0.
fn add_shares(shares: &mut [f64], amounts: &[f64]) {
    let sum: f64 = amounts.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().zip(amounts).for_each(|(share, amount)| *share += amount / sum);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bins::Bins;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const PARAMETERS: ForestParameters =
        ForestParameters { trees: 60, max_depth: 8, min_leaf: 5, tries: 2, share: 0.5 };

    /// 400 rows of 5 features; the target depends on features 0 and 3.
    fn sample() -> (Bins, Vec<bool>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rows: Vec<[f64; 5]> = (0..400).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect();
        let happened = rows.iter().map(|r| r[0] + 0.3 * r[3] > 0.1).collect();
        let weights = (0..400).map(|_| rng.random_range(0.2..1.0)).collect();
        (Bins::new(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>()), happened, weights)
    }

    fn fit(seed: u64) -> Forest {
        let (bins, happened, weights) = sample();
        let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &[0.0; 400] };
        Forest::fit(&sample, PARAMETERS, seed, &Cancel::default()).unwrap()
    }

    #[test]
    fn another_seed_another_forest() {
        assert_eq!(fit(7).trees(), 60);
        assert_ne!(fit(7), fit(8));
    }

    #[test]
    fn finds_the_features_that_matter() {
        let forest = fit(7);
        let best = (0..5).max_by(|&a, &b| forest.importances()[a].total_cmp(&forest.importances()[b]));
        assert_eq!(best, Some(0));
        assert!(forest.predict(&[0.9, 0.0, 0.0, 0.9, 0.0]).unwrap() > 0.8);
        assert!(forest.predict(&[-0.9, 0.0, 0.0, -0.9, 0.0]).unwrap() < 0.2);
    }
}
