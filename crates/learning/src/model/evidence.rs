//! How well predicted departures matched the outcomes, kept as sums over stretches of time, so that later rows can be
//! added without storing earlier ones.
//!
//! Markets move together, and labels of neighbouring bars overlap. So the rows of one stretch of time form one cluster,
//! and only clusters are assumed to be independent.

use super::family::Families;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// With fewer clusters nothing is concluded: their variance would be unknown.
pub const MIN_CLUSTERS: usize = 8;

/// One number for each family of learners.
pub type PerFamily = [f64; Families::COUNT];

/// Sums over the rows of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ClusterSums {
    /// Σ departure²: how far the model departed from the constant prediction.
    pub spread: f64,
    /// Σ departure · surprise, where the surprise is what happened (0 or 1) minus the constant.
    pub agreement: f64,
}

/// The held-out departures of one direction and their outcomes, as sums.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HeldOutEvidence {
    /// Length of a cluster.
    pub cluster_ms: i64,
    /// The sums for the model, which is the mean of its families, by cluster number counted from the epoch.
    pub clusters: BTreeMap<i64, ClusterSums>,
    /// Σ departure of one family · departure of another.
    pub products: [PerFamily; Families::COUNT],
    /// Σ departure of a family · surprise.
    pub agreements: PerFamily,
    /// Number of rows.
    pub rows: u64,
}

/// One held-out row of one direction.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// Open time of the row's candle, UTC epoch ms.
    pub time_ms: i64,
    /// The departure that each family predicted.
    pub families: PerFamily,
    /// Their weighted mean, with the weights of that time.
    pub mean: f64,
    /// What happened (0 or 1) minus the constant.
    pub surprise: f64,
}

/// The calibration slope: how much the outcomes change with the departure; 1 where departures are right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The least-squares estimate through the origin.
    pub value: f64,
    /// Its standard error, clustered by time.
    pub error: f64,
    /// Number of clusters it is based on.
    pub clusters: usize,
}

impl HeldOutEvidence {
    /// No evidence yet.
    pub fn new(cluster_ms: i64) -> Self {
        Self { cluster_ms: cluster_ms.max(1), ..Self::default() }
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Departure) {
        let sums = self.clusters.entry(row.time_ms.div_euclid(self.cluster_ms.max(1))).or_default();
        sums.spread += row.mean * row.mean;
        sums.agreement += row.mean * row.surprise;
        for (a, products) in row.families.iter().zip(&mut self.products) {
            products.iter_mut().zip(row.families).for_each(|(product, b)| *product += a * b);
        }
        self.agreements.iter_mut().zip(row.families).for_each(|(sum, a)| *sum += a * row.surprise);
        self.rows += 1;
    }

    /// The slope of the outcomes on the departures, through the origin; `None` without departures, or with fewer than
    /// [`MIN_CLUSTERS`].
    ///
    /// Its standard error is √(G / (G − 1) · Σ (Σ departure · residual)²) / Σ departure², the inner sum over the rows
    /// of a cluster and the outer one over all G of them (Liang and Zeger, *Longitudinal data analysis using
    /// generalized linear models*, 1986; with Stata's correction for few clusters).
    pub fn slope(&self) -> Option<Slope> {
        let clusters = self.clusters.values().filter(|sums| sums.spread > 0.0).count();
        let spread: f64 = self.clusters.values().map(|sums| sums.spread).sum();
        let agreement: f64 = self.clusters.values().map(|sums| sums.agreement).sum();
        if clusters < MIN_CLUSTERS || spread <= 0.0 {
            return None;
        }
        let value = agreement / spread;
        let squares: f64 = self.clusters.values().map(|sums| (sums.agreement - value * sums.spread).powi(2)).sum();
        let few = clusters as f64 / (clusters as f64 - 1.0);
        Some(Slope { value, error: (few * squares).sqrt() / spread, clusters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(time_ms: i64, mean: f64, surprise: f64) -> Departure {
        Departure { time_ms, families: [mean; Families::COUNT], mean, surprise }
    }

    fn of(rows: &[(i64, f64, f64)], cluster_ms: i64) -> HeldOutEvidence {
        let mut evidence = HeldOutEvidence::new(cluster_ms);
        rows.iter().for_each(|&(time, mean, surprise)| evidence.add(&departure(time, mean, surprise)));
        evidence
    }

    #[test]
    fn worked_by_hand() {
        // Eight clusters of one row each, departure 0.1; six agree with 0.5, two disagree with −0.5.
        let rows: Vec<_> = (0..8).map(|i| (i * 10, 0.1, if i < 6 { 0.5 } else { -0.5 })).collect();
        let slope = of(&rows, 10).slope().unwrap();
        // Σ agreement = 0.05 · 4 = 0.2, Σ spread = 0.08.
        assert!((slope.value - 2.5).abs() < 1e-12 && slope.clusters == 8);
        // Scores: 0.05 − 2.5 · 0.01 = 0.025 six times, −0.075 twice; √(8/7 · 0.015) / 0.08.
        assert!((slope.error - (8.0 / 7.0 * 0.015_f64).sqrt() / 0.08).abs() < 1e-12);
        assert_eq!(of(&rows[..7], 10).slope(), None, "seven clusters are too few");
        assert_eq!(of(&rows, 20).slope(), None, "only four clusters");
    }

    #[test]
    fn rows_that_say_the_same_at_one_time_count_once() {
        let once: Vec<_> = (0..40).map(|i| (i * 10, 0.1, if i % 3 == 0 { 0.6 } else { -0.4 })).collect();
        let tenfold: Vec<_> = once.iter().flat_map(|row| [*row; 10]).collect();
        let (one, ten) = (of(&once, 10).slope().unwrap(), of(&tenfold, 10).slope().unwrap());
        assert!((one.value - ten.value).abs() < 1e-12 && (one.error - ten.error).abs() < 1e-12);
    }
}
