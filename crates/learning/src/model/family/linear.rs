//! A linear model: ridge regression of the residual outcome on the ranks of the values and their squares.
//!
//! Ranks limit the influence of outliers; squares can express an effect at both ends of a feature. The normal equations
//! are summed by ndarray and solved by smartcore's Cholesky decomposition. A rank depends only on the bin of a value,
//! so a prediction is a sum of one number per feature, looked up by bin.

use super::{Family, Sample, fits, same_features};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use ndarray::{Array2, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use smartcore::linalg::traits::cholesky::CholeskyDecomposable;

/// The ridge penalty of a squared coefficient, per row of weight 1.
const PENALTY: f64 = 3e-3;

/// Predictions are clipped here: larger departures are implausible for a market.
const LIMIT: f64 = 0.25;

/// Rows whose columns are in memory at once, per thread.
const BLOCK: usize = 4096;

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredLinear")]
pub struct Linear {
    terms: Vec<FeatureTerm>,
}

/// The contribution of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FeatureTerm {
    /// Ascending: bin `b` holds the values above `cuts[b - 1]`, up to and including `cuts[b]`.
    cuts: Vec<f64>,
    /// The contribution of each bin.
    adds: Vec<f64>,
}

/// The serialised form of a linear model.
#[derive(Deserialize)]
struct StoredLinear {
    terms: Vec<FeatureTerm>,
}

impl TryFrom<StoredLinear> for Linear {
    type Error = &'static str;

    fn try_from(StoredLinear { terms }: StoredLinear) -> std::result::Result<Self, Self::Error> {
        let is_sound = |FeatureTerm { cuts, adds }: &FeatureTerm| {
            let is_finite = cuts.iter().chain(adds).all(|x| x.is_finite());
            is_finite && adds.len() == cuts.len() + 1 && cuts.is_sorted()
        };
        if terms.is_empty() || !terms.iter().all(is_sound) {
            return Err("its terms are not sound");
        }
        Ok(Self { terms })
    }
}

impl Linear {
    /// A model that always predicts 0.
    pub(super) fn silent(features: usize) -> std::result::Result<Self, &'static str> {
        StoredLinear { terms: vec![FeatureTerm { cuts: Vec::new(), adds: vec![0.0] }; features] }.try_into()
    }

    /// Number of features.
    pub(super) fn features(&self) -> usize {
        self.terms.len()
    }

    fn sum(&self, row: &[f64]) -> f64 {
        let add = |(x, term): (&f64, &FeatureTerm)| term.adds[term.cuts.partition_point(|cut| cut < x)];
        row.iter().zip(&self.terms).map(add).sum::<f64>().clamp(-LIMIT, LIMIT)
    }
}

impl Family for Linear {
    type Parameters = ();

    /// The fit is deterministic, so the seed is not used. There is no intercept: departures average 0.
    fn fit(sample: &Sample, _: (), _: u64, cancel: &Cancel) -> Result<Self> {
        let counting = sample.counting()?;
        let columns: Vec<Vec<[f64; 2]>> =
            weights_of_bins(sample, &counting).iter().map(|weights| columns(weights)).collect();
        let sums = normal_equations(sample, &counting, &columns, cancel)?;
        let coefficients = solve(sums, counting.iter().map(|&row| sample.weights[row as usize]).sum())?;
        let term = |(feature, columns): (usize, &Vec<[f64; 2]>)| {
            let [of_rank, of_square] = [coefficients[2 * feature], coefficients[2 * feature + 1]];
            let adds = columns.iter().map(|[rank, square]| of_rank * rank + of_square * square).collect();
            FeatureTerm { cuts: sample.bins.cuts(feature).to_vec(), adds }
        };
        let stored = StoredLinear { terms: columns.iter().enumerate().map(term).collect() };
        stored.try_into().map_err(|problem| Error::Internal(format!("a linear model was fitted, but {problem}")))
    }

    fn departure(&self, row: &[f64]) -> Option<f64> {
        fits(row, self.features()).then(|| self.sum(row))
    }

    fn departures(&self, rows: &[&[f64]]) -> Option<Vec<f64>> {
        rows.iter().map(|row| self.departure(row)).collect()
    }

    /// Returns the newer model: it is fitted on all rows, so nothing of the old one is kept.
    fn renewed(&self, newer: &Self) -> Result<Self> {
        same_features(self.features(), newer.features())?;
        Ok(newer.clone())
    }
}

/// For each feature, the total weight of the rows in each bin.
fn weights_of_bins(sample: &Sample, counting: &[u32]) -> Vec<Vec<f64>> {
    let bins = sample.bins;
    let none: Vec<Vec<f64>> = (0..bins.features()).map(|feature| vec![0.0; bins.cuts(feature).len() + 1]).collect();
    let of_block = |rows: &[u32]| {
        let mut weights = none.clone();
        for &row in rows {
            let codes = bins.row(row as usize).iter().zip(&mut weights);
            codes.for_each(|(code, of_feature)| of_feature[usize::from(*code)] += sample.weights[row as usize]);
        }
        weights
    };
    let blocks: Vec<Vec<Vec<f64>>> = counting.par_chunks(BLOCK).map(of_block).collect();
    let mut sums = none.clone();
    for block in &blocks {
        let pairs = sums.iter_mut().flatten().zip(block.iter().flatten());
        pairs.for_each(|(sum, weight)| *sum += weight);
    }
    sums
}

/// The two columns of a feature by bin: the mean rank of the bin's rows, from −1 to 1, and its square minus the mean
/// square, so that each column has mean 0.
fn columns(weights: &[f64]) -> Vec<[f64; 2]> {
    let total: f64 = weights.iter().sum();
    let mut below = 0.0;
    let ranks: Vec<f64> = weights
        .iter()
        .map(|weight| {
            let rank = (2.0 * below + weight) / total - 1.0;
            below += weight;
            rank
        })
        .collect();
    let mean_square = ranks.iter().zip(weights).map(|(rank, weight)| weight * rank * rank).sum::<f64>() / total;
    ranks.into_iter().map(|rank| [rank, rank * rank - mean_square]).collect()
}

/// The weighted products of all columns with each other and, last, with the target, summed over the rows.
fn normal_equations(
    sample: &Sample,
    counting: &[u32],
    columns: &[Vec<[f64; 2]>],
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let width = 2 * columns.len() + 1;
    // One small block per thread is processed at a time; the sums are added in a fixed order.
    let products = |rows: &[u32]| {
        cancel.check()?;
        let mut block = Array2::<f32>::zeros((rows.len(), width));
        for (&row, mut cells) in rows.iter().zip(block.rows_mut()) {
            let row = row as usize;
            let root = sample.weights[row].sqrt();
            for ((feature, columns), code) in columns.iter().enumerate().zip(sample.bins.row(row)) {
                let [rank, square] = columns[usize::from(*code)];
                cells[2 * feature] = (root * rank) as f32;
                cells[2 * feature + 1] = (root * square) as f32;
            }
            let beyond = f64::from(u8::from(sample.happened[row])) - sample.offsets[row];
            cells[width - 1] = (root * beyond) as f32;
        }
        Ok(block.t().dot(&block))
    };
    let blocks: Vec<Array2<f32>> = counting.par_chunks(BLOCK).map(products).collect::<Result<_>>()?;
    let mut sums = Array2::zeros((width, width));
    blocks.iter().for_each(|block| sums.zip_mut_with(block, |sum, product| *sum += f64::from(*product)));
    Ok(sums)
}

/// The coefficients of all columns but the last, which is the target.
fn solve(sums: Array2<f64>, weight: f64) -> Result<Vec<f64>> {
    let last = sums.nrows() - 1;
    let mut products = sums.slice(s![..last, ..last]).to_owned();
    products.diag_mut().iter_mut().for_each(|diagonal| *diagonal += PENALTY * weight);
    let targets = sums.slice(s![..last, last..]).to_owned();
    let solved = products
        .cholesky_solve_mut(targets)
        .map_err(|problem| Error::Internal(format!("the equations of a linear model: {problem}")))?;
    Ok(solved.into_iter().collect())
}
