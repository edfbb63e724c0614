//! Means of many columns with intervals that hold for all of them at once.
//!
//! Someone who looks at thirty differences and reports the best one needs wider intervals than someone who looks at
//! one. These intervals are `mean ± c · standard error` with one `c` for all columns: the value that the largest |t| of
//! all columns exceeds in one of twenty resamples. Columns that nearly repeat each other, as neighbouring levels of a
//! signal do, count for less than as many independent ones, which a Bonferroni correction would not see.
//!
//! Source: Romano and Wolf, *Stepwise multiple testing as formalized data snooping*, Econometrica 73 (2005). The
//! resamples flip the signs of whole clusters of time (wild cluster bootstrap: Cameron, Gelbach and Miller,
//! *Bootstrap-based improvements for inference with clustered errors*, 2008).

use crate::model::{Interval, MIN_CLUSTERS};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// How many of them exceed the critical value.
const BEYOND: usize = RESAMPLES / 20;

/// Rows of several columns.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The time of each row, UTC epoch ms.
    pub times_ms: Vec<i64>,
    /// The values of each column, one per row.
    pub values: Vec<Vec<f64>>,
}

/// The means of all columns of all groups, with intervals that together contain all true means in 95 % of cases. Rows
/// of one stretch of `cluster_ms` are one cluster, over all groups. The same rows and seed give the same intervals.
/// `None` for a group of fewer than [`MIN_CLUSTERS`] clusters.
pub fn simultaneous(groups: &[Columns], cluster_ms: i64, seed: u64) -> Vec<Vec<Option<Interval>>> {
    let stretch = |time_ms: &i64| time_ms.div_euclid(cluster_ms.max(1));
    let mut numbers: BTreeMap<i64, usize> =
        groups.iter().flat_map(|group| group.times_ms.iter().map(stretch)).map(|at| (at, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(at, number)| *number = at);
    let of_row = |group: &Columns| group.times_ms.iter().map(|time_ms| numbers[&stretch(time_ms)]).collect::<Vec<_>>();
    let columns: Vec<Vec<Column>> = groups
        .iter()
        .map(|group| {
            let clusters = of_row(group);
            group.values.iter().map(|values| Column::of(values, &clusters, numbers.len())).collect()
        })
        .collect();
    let critical = critical(columns.iter().flatten(), numbers.len(), seed);
    columns.iter().map(|columns| columns.iter().map(|column| column.interval(critical)).collect()).collect()
}

/// A column by clusters.
struct Column {
    mean: f64,
    /// How far each cluster moves the mean, times the number of rows: the sum of its values minus the mean.
    moved: Vec<f64>,
    /// The rows of each cluster.
    sizes: Vec<f64>,
    rows: f64,
    /// How many clusters have rows.
    filled: f64,
}

impl Column {
    fn of(values: &[f64], clusters: &[usize], count: usize) -> Self {
        let rows = values.len() as f64;
        let mean = values.iter().sum::<f64>() / rows.max(1.0);
        let (mut moved, mut sizes) = (vec![0.0; count], vec![0.0; count]);
        for (value, &at) in values.iter().zip(clusters) {
            moved[at] += value - mean;
            sizes[at] += 1.0;
        }
        let filled = sizes.iter().filter(|size| **size > 0.0).count() as f64;
        Self { mean, moved, sizes, rows, filled }
    }

    fn has_interval(&self) -> bool {
        self.filled >= MIN_CLUSTERS as f64
    }

    /// The standard error for a sum of squares over clusters.
    fn error(&self, squares: f64) -> f64 {
        (self.filled / (self.filled - 1.0) * squares.max(0.0)).sqrt() / self.rows
    }

    fn squares(&self) -> f64 {
        self.moved.iter().map(|moved| moved * moved).sum()
    }

    /// |t| of each resample.
    fn resampled(&self, signs: &[Vec<f64>]) -> impl Iterator<Item = f64> {
        let squares = self.squares();
        let sizes: f64 = self.sizes.iter().map(|size| size * size).sum();
        signs.iter().map(move |signs| {
            let (mut sum, mut cross) = (0.0, 0.0);
            for ((moved, size), sign) in self.moved.iter().zip(&self.sizes).zip(signs) {
                sum += sign * moved;
                cross += sign * moved * size;
            }
            let mean = sum / self.rows;
            let error = self.error(squares - 2.0 * mean * cross + mean * mean * sizes);
            if error > 0.0 { mean.abs() / error } else { 0.0 }
        })
    }

    fn interval(&self, critical: f64) -> Option<Interval> {
        let half = critical * self.error(self.squares());
        let interval = Interval { low: self.mean - half, mean: self.mean, high: self.mean + half };
        self.has_interval().then_some(interval)
    }
}

/// The value that the largest |t| of all columns exceeds in one of twenty resamples.
fn critical<'a>(columns: impl Iterator<Item = &'a Column>, clusters: usize, seed: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sign = || if random.next_u32() & 1 == 0 { 1.0 } else { -1.0 };
    let signs: Vec<Vec<f64>> = (0..RESAMPLES).map(|_| (0..clusters).map(|_| sign()).collect()).collect();
    let mut largest = vec![0.0f64; RESAMPLES];
    for column in columns.filter(|column| column.has_interval()) {
        largest.iter_mut().zip(column.resampled(&signs)).for_each(|(largest, t)| *largest = largest.max(t));
    }
    largest.sort_unstable_by(f64::total_cmp);
    largest[RESAMPLES - 1 - BEYOND]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    const HOUR: i64 = 3_600_000;

    fn normal(random: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| random.random_range(-0.5..0.5)).sum()
    }

    /// Columns of independent values of variance 1, of which each is shared in part.
    fn drawn(seed: u64, rows: usize, columns: usize, shared: f64) -> Columns {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let common: Vec<f64> = (0..rows).map(|_| normal(&mut random)).collect();
        let mut column =
            || common.iter().map(|c| shared.sqrt() * c + (1.0 - shared).sqrt() * normal(&mut random)).collect();
        Columns {
            times_ms: (0..rows as i64).map(|i| i * HOUR).collect(),
            values: (0..columns).map(|_| column()).collect(),
        }
    }

    /// The critical value that the intervals were made with.
    fn used(columns: &Columns) -> f64 {
        let made = simultaneous(std::slice::from_ref(columns), HOUR, 1);
        let values = &columns.values[0];
        let (n, one) = (values.len() as f64, made[0][0].unwrap());
        let variance = values.iter().map(|value| (value - one.mean).powi(2)).sum::<f64>() / (n - 1.0);
        (one.high - one.mean) / (variance / n).sqrt()
    }

    #[test]
    fn one_column_has_the_usual_interval_and_many_have_wider_ones() {
        // Two-sided quantiles of the normal distribution at 5 %, and at 5 % of the largest of 30: 3.14.
        let [one, same, many] =
            [(1, 0.0), (30, 1.0), (30, 0.0)].map(|(count, shared)| used(&drawn(7, 400, count, shared)));
        assert!((one - 1.96).abs() < 0.12, "{one}");
        assert!((same - 1.96).abs() < 0.12, "columns that repeat each other count as one: {same}");
        assert!((many - 3.14).abs() < 0.15, "{many}");
    }

    #[test]
    fn together_they_hold_in_nineteen_of_twenty_cases() {
        let missed = |rows: usize, shared: f64| {
            let misses = |seed: &u64| {
                let made = simultaneous(&[drawn(*seed, rows, 10, shared)], HOUR, *seed);
                made[0].iter().flatten().any(|ends| ends.low > 0.0 || ends.high < 0.0)
            };
            (0..400).filter(misses).count() as f64 / 400.0
        };
        for (rows, shared) in [(12, 0.5), (60, 0.0), (60, 0.8)] {
            let share = missed(rows, shared);
            // 0.05 plus three standard errors.
            assert!(share <= 0.083, "{rows} clusters, {shared}: {share}");
            assert!(share >= 0.015, "far too wide: {rows} clusters, {shared}: {share}");
        }
    }

    #[test]
    fn clusters_are_shared_by_groups_and_few_have_no_interval() {
        let rows = |values: &[f64]| Columns {
            times_ms: (0..values.len() as i64).map(|i| i * HOUR).collect(),
            values: vec![values.to_vec()],
        };
        let made = simultaneous(&[rows(&[1.0; 7]), rows(&[2.0; 8]), rows(&[]), Columns::default()], HOUR, 1);
        assert_eq!(made[0], [None]);
        assert_eq!(made[1][0], Some(Interval { low: 2.0, mean: 2.0, high: 2.0 }));
        assert_eq!((&made[2], made[3].len()), (&vec![None], 0));
        // Ten equal neighbours are one value.
        let single = drawn(3, 40, 1, 0.0);
        let tenfold = Columns {
            times_ms: (0..400).map(|i| i * HOUR / 10).collect(),
            values: vec![single.values[0].iter().flat_map(|value| [*value; 10]).collect()],
        };
        let ends = |columns| simultaneous(&[columns], HOUR, 1)[0][0].unwrap();
        let (a, b) = (ends(single), ends(tenfold));
        assert!((a.low - b.low).abs() < 1e-9 && (a.high - b.high).abs() < 1e-9, "{a:?} {b:?}");
    }
}
