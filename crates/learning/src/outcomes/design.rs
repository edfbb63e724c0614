//! The design effect: outcomes of one time depend on each other, because trades overlap and markets move together. It
//! is the number of outcomes that carry as much information as one independent outcome.

/// Prior: the correlation of two outcomes of one cluster, and how many clusters of data this assumption is worth.
const EXPECTED: (f64, f64) = (0.3, 4.0);
/// The length of a cluster in signal lifetimes; the shorter one is used where there would be fewer than [`WANTED`]
/// clusters.
const LIVES: (i64, i64) = (2, 8);
const WANTED: i64 = 40;

/// The length of a cluster for signals given over `span_ms`, most of which stay open no longer than `life_ms`: long
/// enough that most overlaps lie within one cluster.
pub fn cluster_ms(span_ms: i64, life_ms: i64) -> i64 {
    let life = life_ms.max(1);
    (span_ms / WANTED).clamp(LIVES.0 * life, LIVES.1 * life)
}

/// Compares the variance of a sum of scores with that under independence, using the sums of clusters.
///
/// Sources: Kish, *Survey Sampling*, 1965, chapter 8; Liang and Zeger, *Longitudinal data analysis using generalized
/// linear models*, 1986.
#[derive(Debug, Clone, Copy, Default)]
pub struct Design {
    cluster: i64,
    /// The sum of the current cluster.
    sum: f64,
    count: f64,
    /// The sum over finished clusters of their squared sums.
    squared_sums: f64,
    squares: f64,
    squared_sizes: f64,
    rows: f64,
    clusters: f64,
}

impl Design {
    /// Adds the score of a row. Rows of one cluster must be added consecutively.
    pub fn add(&mut self, cluster: i64, score: f64) {
        if cluster != self.cluster {
            self.close();
            self.cluster = cluster;
        }
        self.sum += score;
        self.count += 1.0;
        self.squares += score * score;
        self.rows += 1.0;
    }

    fn close(&mut self) {
        if self.count > 0.0 {
            self.squared_sums += self.sum * self.sum;
            self.squared_sizes += self.count * self.count;
            self.clusters += 1.0;
        }
        (self.sum, self.count) = (0.0, 0.0);
    }

    /// The design effect, at least 1. With few clusters, the prior correlation of rows of one cluster counts as well.
    pub fn effect(mut self) -> f64 {
        self.close();
        if self.squares == 0.0 {
            return 1.0;
        }
        let (correlation, known) = EXPECTED;
        let expected = 1.0 + correlation * (self.squared_sizes / self.rows - 1.0);
        let measured = self.squared_sums / self.squares;
        ((measured * self.clusters + known * expected) / (self.clusters + known)).max(1.0)
    }

    /// How far the sum of the scores lies from 0, in cluster-robust standard errors; 0 where there is nothing to
    /// measure.
    pub fn departure(mut self, total: f64) -> f64 {
        self.close();
        if self.squared_sums > 0.0 { total / self.squared_sums.sqrt() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn effect(clusters: i64, size: i64, correlated: bool) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut design = Design::default();
        for cluster in 0..clusters {
            let shared = random.random_range(-1.0..1.0);
            for _ in 0..size {
                let own = random.random_range(-1.0..1.0);
                design.add(cluster, if correlated { shared } else { own });
            }
        }
        design.effect()
    }

    #[test]
    fn rows_that_share_their_fate_count_once_and_others_each() {
        assert!((effect(200, 10, true) - 10.0).abs() < 1.0, "{}", effect(200, 10, true));
        assert!(effect(200, 10, false) < 1.3, "{}", effect(200, 10, false));
        assert_eq!(effect(0, 10, true), 1.0);
        // A single cluster measures nothing, so the prior counts.
        let few = effect(1, 11, false);
        assert!((2.0..5.0).contains(&few), "{few}");
    }

    #[test]
    fn a_cluster_is_longer_than_a_life() {
        assert_eq!(cluster_ms(1_000, 10), 25);
        assert_eq!(cluster_ms(100, 10), 20);
        assert_eq!(cluster_ms(100_000, 10), 80);
        assert_eq!(cluster_ms(0, 0), 2);
    }
}
