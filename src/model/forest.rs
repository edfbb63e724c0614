//! A random forest: fitted by smartcore, served from a compact layout of our own.
//!
//! smartcore's regressor on 0/1 targets yields leaf means, which are probabilities; its weights act as the odds of a row
//! in the bootstrap. A fitted forest is laid out anew in depth-first order, 16 bytes a node: one row is predicted in
//! microseconds without building a matrix, and the file does not depend on smartcore's private fields.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Trees fitted in one piece: between pieces the work can be cancelled, and pieces run side by side.
/// Larger pieces save work: smartcore sorts every column once per piece.
const CHUNK: usize = 25;

/// How to grow a forest.
#[derive(Debug, Clone, Copy)]
pub struct ForestParameters {
    /// Number of trees.
    pub trees: usize,
    /// Levels of a tree at most.
    pub max_depth: u16,
    /// Rows in a leaf at least.
    pub min_leaf: usize,
    /// Seed of the bootstrap and of the features tried.
    pub seed: u64,
}

/// One node; of a leaf, `value` is the prediction, else the threshold: `x[feature] <= value` goes to the next node,
/// anything else to `right`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    value: f64,
    right: u32,
    feature: u16,
}

/// Marks a leaf.
const LEAF: u16 = u16::MAX;

/// A fitted forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    features: usize,
    trees: Vec<Vec<Node>>,
    importances: Vec<f64>,
}

impl Forest {
    /// Fits a forest to `targets` in 0..=1. Same input and seed, same forest, whatever the number of threads.
    ///
    /// `rows` is rows × features, `weights` one positive number per row. Fails when cancelled, or when smartcore refuses.
    pub fn fit(
        rows: ArrayView2<'_, f64>,
        targets: &[f64],
        weights: &[f64],
        parameters: ForestParameters,
        cancel: &Cancel,
    ) -> Result<Self> {
        let (count, features) = rows.dim();
        let columns: Vec<f64> = rows.t().iter().copied().collect();
        let matrix = DenseMatrix::new(count, features, columns, true).map_err(refused)?;
        let targets = targets.to_vec();
        let chunks: Vec<usize> = (0..parameters.trees.div_ceil(CHUNK)).collect();
        let fitted: Vec<Self> = chunks
            .into_par_iter()
            .map(|chunk| {
                cancel.check()?;
                let wanted = CHUNK.min(parameters.trees - chunk * CHUNK);
                // Seeds of a chunk's trees are consecutive, so chunks start far apart.
                let seed = parameters.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((chunk as u64) << 32);
                let settings = RandomForestRegressorParameters::default()
                    .with_n_trees(wanted)
                    .with_max_depth(parameters.max_depth)
                    .with_min_samples_leaf(parameters.min_leaf)
                    .with_min_samples_split(2 * parameters.min_leaf)
                    .with_seed(seed);
                let forest =
                    RandomForestRegressor::fit_with_weights(&matrix, &targets, weights, settings).map_err(refused)?;
                Self::from_smartcore(&forest, features)
            })
            .collect::<Result<_>>()?;
        Ok(Self::join(fitted, features))
    }

    /// This forest with its oldest trees replaced by those of `newer`. The importances are the mean by number of trees,
    /// those of this forest standing for the trees that stay.
    pub fn renewed(&self, newer: Self) -> Self {
        let leaving = newer.trees.len().min(self.trees.len());
        let kept = Self { trees: self.trees[leaving..].to_vec(), ..self.clone() };
        Self::join(vec![kept, newer], self.features)
    }

    /// One forest of the trees of several.
    fn join(parts: Vec<Self>, features: usize) -> Self {
        let total: usize = parts.iter().map(|part| part.trees.len()).sum();
        let mut joined = Self { features, trees: Vec::with_capacity(total), importances: vec![0.0; features] };
        for part in parts {
            let share = part.trees.len() as f64 / total as f64;
            joined.importances.iter_mut().zip(&part.importances).for_each(|(sum, x)| *sum += share * x);
            joined.trees.extend(part.trees);
        }
        joined
    }

    /// The mean of the trees' leaves for one row. A row of the wrong length or with a value that is not finite has no
    /// prediction.
    pub fn predict(&self, row: &[f64]) -> Option<f64> {
        if row.len() != self.features || row.iter().any(|x| !x.is_finite()) || self.trees.is_empty() {
            return None;
        }
        let sum: f64 = self.trees.iter().map(|tree| leaf_of(tree, row)).sum();
        Some(sum / self.trees.len() as f64)
    }

    /// How much each feature lessened the variance, adding up to 1 (all 0 when no tree could split).
    pub fn importances(&self) -> &[f64] {
        &self.importances
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Whether every reference inside is in range, so that no file can send [`Self::predict`] astray.
    pub fn is_sound(&self) -> bool {
        self.importances.len() == self.features
            && !self.trees.is_empty()
            && self.trees.iter().all(|tree| {
                !tree.is_empty()
                    && tree.iter().enumerate().all(|(at, node)| {
                        node.value.is_finite()
                            && (node.feature == LEAF
                                || (usize::from(node.feature) < self.features
                                    && at + 1 < tree.len()
                                    && (node.right as usize) < tree.len()
                                    && node.right as usize > at))
                    })
            })
    }

    fn from_smartcore(
        forest: &RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>,
        features: usize,
    ) -> Result<Self> {
        let importances = forest.compute_feature_importances().map_err(refused)?;
        // postcard writes fields in order and without names, so the mirror below reads what smartcore wrote, bit by bit.
        let mirror: mirror::Forest = postcard::to_stdvec(forest)
            .and_then(|bytes| postcard::from_bytes(&bytes))
            .map_err(|e| Error::Internal(format!("smartcore's forest has another shape than expected: {e}")))?;
        let trees = mirror.forest_regressor.and_then(|base| base.trees).unwrap_or_default();
        let trees = trees.iter().map(|tree| flatten(&tree.nodes)).collect::<Option<Vec<_>>>();
        let trees = trees.ok_or_else(|| Error::Internal("smartcore's forest has a dangling node".to_owned()))?;
        Ok(Self { features, trees, importances })
    }
}

fn refused(failure: smartcore::error::Failed) -> Error {
    Error::Internal(format!("smartcore: {failure}"))
}

fn leaf_of(tree: &[Node], row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        let node = &tree[at];
        if node.feature == LEAF {
            return node.value;
        }
        at = if row[usize::from(node.feature)] <= node.value { at + 1 } else { node.right as usize };
    }
}

/// Lays a tree out in depth-first order, the true branch right behind its parent.
fn flatten(nodes: &[mirror::Node]) -> Option<Vec<Node>> {
    let mut flat: Vec<Node> = Vec::with_capacity(nodes.len());
    // Which node to place, and whose right branch it is.
    let mut pending: Vec<(usize, Option<usize>)> = vec![(0, None)];
    while let Some((id, parent)) = pending.pop() {
        let at = flat.len();
        if let Some(parent) = parent {
            flat[parent].right = u32::try_from(at).ok()?;
        }
        let node = nodes.get(id)?;
        match (node.true_child, node.false_child, node.split_value) {
            (Some(yes), Some(no), Some(threshold)) => {
                flat.push(Node { value: threshold, right: 0, feature: u16::try_from(node.split_feature).ok()? });
                pending.push((no, Some(at)));
                pending.push((yes, None));
            }
            _ => flat.push(Node { value: node.output, right: 0, feature: LEAF }),
        }
    }
    Some(flat)
}

/// The shape of smartcore 0.7's forest as serde sees it; fields not needed are read past.
#[allow(dead_code)]
mod mirror {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct Forest {
        pub forest_regressor: Option<BaseForest>,
    }

    #[derive(Deserialize)]
    pub struct BaseForest {
        pub trees: Option<Vec<Tree>>,
        pub num_features: Option<usize>,
        pub samples: Option<Vec<Vec<bool>>>,
    }

    #[derive(Deserialize)]
    pub struct Tree {
        pub nodes: Vec<Node>,
        pub parameters: Option<Parameters>,
        pub depth: u16,
        pub root_mass: f64,
    }

    #[derive(Deserialize)]
    pub struct Node {
        pub output: f64,
        pub split_feature: usize,
        pub split_value: Option<f64>,
        pub split_score: Option<f64>,
        pub true_child: Option<usize>,
        pub false_child: Option<usize>,
    }

    #[derive(Deserialize)]
    pub struct Parameters {
        pub max_depth: Option<u16>,
        pub min_samples_leaf: usize,
        pub min_samples_split: usize,
        pub seed: Option<u64>,
        pub splitter: Splitter,
    }

    #[derive(Deserialize)]
    pub enum Splitter {
        Random,
        Best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const PARAMETERS: ForestParameters = ForestParameters { trees: 60, max_depth: 8, min_leaf: 5, seed: 7 };

    /// 400 rows of 5 features; the target leans on features 0 and 3.
    fn sample() -> (Array2<f64>, Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let rows = Array2::from_shape_fn((400, 5), |_| rng.random_range(-1.0..1.0));
        let targets = rows.rows().into_iter().map(|r| f64::from(u8::from(r[0] + 0.3 * r[3] > 0.1))).collect();
        let weights = (0..400).map(|_| rng.random_range(0.2..1.0)).collect();
        (rows, targets, weights)
    }

    #[test]
    fn serves_exactly_what_smartcore_fitted() {
        let (rows, targets, weights) = sample();
        let matrix = DenseMatrix::new(400, 5, rows.t().iter().copied().collect(), true).unwrap();
        let settings = RandomForestRegressorParameters::default().with_n_trees(10).with_max_depth(8).with_seed(3);
        let original = RandomForestRegressor::fit_with_weights(&matrix, &targets, &weights, settings).unwrap();
        let ours = Forest::from_smartcore(&original, 5).unwrap();
        assert!(ours.is_sound() && ours.trees() == 10);
        let expected: Vec<f64> = original.predict(&matrix).unwrap();
        for (row, expected) in rows.rows().into_iter().zip(expected) {
            assert_eq!(ours.predict(&row.to_vec()), Some(expected));
        }
    }

    #[test]
    fn the_same_forest_whatever_the_number_of_threads() {
        let (rows, targets, weights) = sample();
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Forest::fit(rows.view(), &targets, &weights, PARAMETERS, &Cancel::default()).unwrap())
        };
        let one = fit(1);
        assert_eq!(one.trees(), 60);
        assert_eq!(one, fit(2));
        assert_eq!(one, fit(4));
        let other_seed = ForestParameters { seed: 8, ..PARAMETERS };
        assert_ne!(one, Forest::fit(rows.view(), &targets, &weights, other_seed, &Cancel::default()).unwrap());
    }

    #[test]
    fn finds_the_features_that_matter_and_refuses_rows_it_cannot_read() {
        let (rows, targets, weights) = sample();
        let forest = Forest::fit(rows.view(), &targets, &weights, PARAMETERS, &Cancel::default()).unwrap();
        let best = (0..5).max_by(|&a, &b| forest.importances()[a].total_cmp(&forest.importances()[b]));
        assert_eq!(best, Some(0));
        assert!(forest.predict(&[0.9, 0.0, 0.0, 0.9, 0.0]).unwrap() > 0.8);
        assert!(forest.predict(&[-0.9, 0.0, 0.0, -0.9, 0.0]).unwrap() < 0.2);
        assert_eq!(forest.predict(&[0.9, 0.0, f64::NAN, 0.9, 0.0]), None);
        assert_eq!(forest.predict(&[0.9]), None);
    }

    #[test]
    fn stops_when_cancelled() {
        let (rows, targets, weights) = sample();
        let cancel = Cancel::default();
        cancel.cancel();
        let error = Forest::fit(rows.view(), &targets, &weights, PARAMETERS, &cancel).unwrap_err();
        assert_eq!(error.code(), "ERR_CANCELLED");
    }
}
