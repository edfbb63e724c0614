//! Compares our forest with smartcore's of the same size on the same rows: where little can be known, as on markets, it
//! must not predict worse; where much can, it must reach most of smartcore's gain.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::cancel::Cancel;
use learning::model::{Bins, Family, Forest, ForestParameters, Sample, log_loss};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

const FEATURES: usize = 12;
const ROWS: usize = 2_000;

/// Synthetic rows, outcomes, and weights. Three features matter, two of them only together.
fn planted(seed: u64, strength: f64) -> (Vec<Vec<f64>>, Vec<bool>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows: Vec<Vec<f64>> = (0..ROWS).map(|_| (0..FEATURES).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let happened = rows
        .iter()
        .map(|x| rng.random_bool(1.0 / (1.0 + (-strength * (1.5 * x[0] + 2.0 * x[1] * x[2])).exp())))
        .collect();
    let weights = (0..ROWS).map(|_| rng.random_range(0.8..1.3)).collect();
    (rows, happened, weights)
}

fn loss(predicted: &[f64], happened: &[bool]) -> f64 {
    let losses = predicted.iter().zip(happened).map(|(p, happened)| log_loss(*happened, *p));
    losses.sum::<f64>() / happened.len() as f64
}

/// Mean log losses on held-out rows: of our forest, of smartcore's and of the constant.
fn losses(strength: f64) -> [f64; 3] {
    let mut means = [0.0; 3];
    for seed in 0..3 {
        let (rows, happened, weights) = planted(2 * seed, strength);
        let (new_rows, new_happened, _) = planted(2 * seed + 1, strength);
        let parameters = ForestParameters { trees: 100, max_depth: 7, min_leaf: 25, tries: 3, share: 0.5 };

        let references: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let bins = Bins::new(&references);
        let offsets = vec![0.0; happened.len()];
        let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets };
        let forest = Forest::fit(&sample, parameters, seed, &Cancel::default()).unwrap();
        let new_references: Vec<&[f64]> = new_rows.iter().map(Vec::as_slice).collect();
        let own = forest.predict_all(&new_references).unwrap();

        let settings = RandomForestRegressorParameters::default()
            .with_n_trees(100)
            .with_max_depth(7)
            .with_min_samples_leaf(25)
            .with_min_samples_split(50)
            .with_seed(seed);
        let targets: Vec<f64> = happened.iter().map(|happened| f64::from(u8::from(*happened))).collect();
        let matrix = DenseMatrix::from_2d_vec(&rows).unwrap();
        let peer = RandomForestRegressor::fit_with_weights(&matrix, &targets, &weights, settings).unwrap();
        let other = peer.predict(&DenseMatrix::from_2d_vec(&new_rows).unwrap()).unwrap();

        let rate = new_happened.iter().filter(|happened| **happened).count() as f64 / ROWS as f64;
        for (mean, predicted) in means.iter_mut().zip([own, other, vec![rate; ROWS]]) {
            *mean += loss(&predicted, &new_happened) / 3.0;
        }
    }
    means
}

#[test]
fn the_forest_is_worth_as_much_as_smartcores() {
    // On markets, forests know less than with the weaker of these.
    for strength in [0.2, 0.3] {
        let [own, other, constant] = losses(strength);
        assert!(own < constant && own <= other, "{strength}: own {own}, smartcore {other}, constant {constant}");
    }
    let [own, other, constant] = losses(1.0);
    assert!(constant - own >= 0.75 * (constant - other), "own {own}, smartcore {other}, constant {constant}");
}
