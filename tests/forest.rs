//! Protects the worth of the own forest: it must not predict worse than smartcore's of the same size on the same rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signalloop::cancel::Cancel;
use signalloop::model::{Bins, Forest, ForestParameters, log_loss};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

const FEATURES: usize = 12;
const ROWS: usize = 2_000;

/// Rows, what happened, and their weights. Three features count, two of them only together.
fn planted(seed: u64) -> (Vec<Vec<f64>>, Vec<bool>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows: Vec<Vec<f64>> = (0..ROWS).map(|_| (0..FEATURES).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let happened =
        rows.iter().map(|x| rng.random_bool(1.0 / (1.0 + (-1.5 * x[0] - 2.0 * x[1] * x[2]).exp()))).collect();
    let weights = (0..ROWS).map(|_| rng.random_range(0.8..1.3)).collect();
    (rows, happened, weights)
}

fn loss(predicted: &[f64], happened: &[bool]) -> f64 {
    let losses = predicted.iter().zip(happened).map(|(p, happened)| log_loss(*happened, *p));
    losses.sum::<f64>() / happened.len() as f64
}

#[test]
fn the_forest_is_worth_as_much_as_smartcores() {
    let (mut own_total, mut other_total) = (0.0, 0.0);
    for seed in 0..3 {
        let (rows, happened, weights) = planted(2 * seed);
        let (new_rows, new_happened, _) = planted(2 * seed + 1);
        let parameters = ForestParameters { trees: 100, max_depth: 7, min_leaf: 25, seed };

        let references: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let bins = Bins::new(&references);
        let forest = Forest::fit(&bins, &happened, &weights, parameters, &Cancel::default()).unwrap();
        let new_references: Vec<&[f64]> = new_rows.iter().map(Vec::as_slice).collect();
        let own = loss(&forest.predict_all(&new_references).unwrap(), &new_happened);

        let settings = RandomForestRegressorParameters::default()
            .with_n_trees(100)
            .with_max_depth(7)
            .with_min_samples_leaf(25)
            .with_min_samples_split(50)
            .with_seed(seed);
        let targets: Vec<f64> = happened.iter().map(|happened| f64::from(u8::from(*happened))).collect();
        let matrix = DenseMatrix::from_2d_vec(&rows).unwrap();
        let peer = RandomForestRegressor::fit_with_weights(&matrix, &targets, &weights, settings).unwrap();
        let other = loss(&peer.predict(&DenseMatrix::from_2d_vec(&new_rows).unwrap()).unwrap(), &new_happened);

        let rate = new_happened.iter().filter(|happened| **happened).count() as f64 / ROWS as f64;
        let constant = loss(&vec![rate; ROWS], &new_happened);
        assert!(own < constant - 0.02, "seed {seed}: {own} beside the constant's {constant}");
        own_total += own / 3.0;
        other_total += other / 3.0;
    }
    assert!(own_total <= other_total + 0.003, "own {own_total}, smartcore {other_total}");
}
