//! Means over signals, with intervals that treat the signals of one stretch of time as one cluster.

use super::{Bin, Ends, Foretold, LogLoss, Mean, Part, RealisedR, Score};
use crate::clusters::{Weighed, cluster_ms_of, interval};
use crate::model::log_loss;
use domain::signal::Said;
use std::collections::BTreeMap;

/// Largest number of calibration bins.
const MAX_BINS: usize = 10;
/// Fewest signals in a bin, unless there are fewer in all.
const MIN_BIN: usize = 10;

fn success(row: &Foretold) -> f64 {
    f64::from(u8::from(row.succeeded))
}

fn loss(row: &Foretold, probability: f64) -> f64 {
    log_loss(row.succeeded, probability)
}

/// Means over signals: the length of a cluster of time, and the seed of the bootstrap.
#[derive(Debug, Clone, Copy)]
pub struct Clusters {
    length_ms: i64,
    seed: u64,
}

impl Clusters {
    /// For signals by the times, UTC epoch ms, at which they were given and closed.
    pub fn of(spans: impl Iterator<Item = (i64, i64)> + Clone, seed: u64) -> Self {
        Self { length_ms: cluster_ms_of(spans), seed }
    }

    /// The mean of these values, each with the time at which its signal was given; `None` without values.
    pub fn mean(self, values: impl Iterator<Item = (i64, f64)> + Clone) -> Option<Mean> {
        let signals = values.clone().count();
        if signals == 0 {
            return None;
        }
        let mean = values.clone().map(|(_, value)| value).sum::<f64>() / signals as f64;
        let rows = values.map(|(time_ms, value)| Weighed { time_ms, value, weight: 1.0 });
        let (found, _) = interval(rows, self.length_ms, self.seed);
        let interval = found.map(|ends| Ends { low: ends.low, high: ends.high });
        Some(Mean { signals: signals as u64, mean, interval })
    }

    /// The number of clusters of signals that were given at these times.
    pub fn count(self, given_ms: impl Iterator<Item = i64>) -> usize {
        let mut numbers: Vec<i64> = given_ms.map(|given_ms| given_ms.div_euclid(self.length_ms)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    }

    pub(super) fn score(self, rows: &[&Foretold]) -> Option<Score> {
        let share = |of: &dyn Fn(&Foretold) -> f64| rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64;
        let against = |other: fn(&Said) -> f64| {
            let difference = move |row: &Foretold| loss(row, row.said.probability) - loss(row, other(&row.said));
            self.mean(rows.iter().map(move |row| (row.given_ms, difference(row))))
        };
        Some(Score {
            signals: rows.len() as u64,
            followed: rows.iter().filter(|row| !row.taken).count() as u64,
            clusters: self.count(rows.iter().map(|row| row.given_ms)),
            success_share: share(&success),
            mean_probability: share(&|row| row.said.probability),
            log_loss: LogLoss {
                probability: share(&|row| loss(row, row.said.probability)),
                base_rate: share(&|row| loss(row, row.said.base_rate)),
                prior: share(&|row| loss(row, row.said.prior)),
                against_base_rate: against(|said| said.base_rate)?,
                against_prior: against(|said| said.prior)?,
            },
            realised_r: self.realised_r(rows),
        })
    }

    fn realised_r(self, rows: &[&Foretold]) -> Option<RealisedR> {
        let of = |said: Option<bool>| {
            let asked_for = move |row: &&&Foretold| said.is_none_or(|take| row.said.take == take);
            self.mean(rows.iter().filter(asked_for).filter_map(|row| Some((row.given_ms, row.realised_r?))))
        };
        let (all, take, left) = (of(None)?, of(Some(true)), of(Some(false)));
        let gain = take.zip(left).and_then(|(take, left)| self.gain(rows, &all, &take, &left));
        Some(RealisedR { all, take, left, gain })
    }

    /// The mean of the signals to take minus that of all. To first order, the difference varies as the sum of each
    /// signal's influence on it: with `n` signals, `m` of them to take, a signal of R `r` contributes `(n/m)·(r − mean
    /// of take)`, if it is to be taken, minus `r − mean of all`.
    fn gain(self, rows: &[&Foretold], all: &Mean, take: &Mean, left: &Mean) -> Option<Mean> {
        let (gain, weight) = (take.mean - all.mean, all.signals as f64 / take.signals as f64);
        let moved = |row: &&Foretold| {
            let r = row.realised_r?;
            let by_take = if row.said.take { weight * (r - take.mean) } else { 0.0 };
            Some((row.given_ms, gain + by_take - (r - all.mean)))
        };
        let found = self.mean(rows.iter().filter_map(moved))?;
        // With few signals to take, or few to leave, the variance is unknown.
        let known = take.interval.is_some() && left.interval.is_some();
        Some(Mean { mean: gain, interval: found.interval.filter(|_| known), ..found })
    }

    pub(super) fn parts<K: Ord + Into<String>>(
        self,
        rows: &[Foretold],
        of: impl Fn(&Foretold) -> Option<K>,
    ) -> Vec<Part> {
        let mut parts: BTreeMap<K, Vec<&Foretold>> = BTreeMap::new();
        for row in rows {
            if let Some(key) = of(row) {
                parts.entry(key).or_default().push(row);
            }
        }
        let part = |(key, rows): (K, Vec<&Foretold>)| Some(Part { name: key.into(), score: self.score(&rows)? });
        parts.into_iter().filter_map(part).collect()
    }

    /// Bins of about equal size; equal probabilities share a bin.
    pub(super) fn calibration(self, rows: &[Foretold]) -> Vec<Bin> {
        let mut sorted: Vec<&Foretold> = rows.iter().collect();
        sorted.sort_by(|a, b| a.said.probability.total_cmp(&b.said.probability));
        let least = sorted.len().div_ceil(MAX_BINS).max(MIN_BIN);
        let mut bins: Vec<Vec<&Foretold>> = Vec::new();
        for same in sorted.chunk_by(|a, b| a.said.probability == b.said.probability) {
            match bins.last_mut() {
                Some(open) if open.len() < least => open.extend(same),
                _ => bins.push(same.to_vec()),
            }
        }
        // The rest at the top is too small for a bin of its own.
        if let Some(last) = bins.pop_if(|last| last.len() < least)
            && let Some(before) = bins.last_mut()
        {
            before.extend(last);
        } else if bins.is_empty() {
            bins.extend((!sorted.is_empty()).then_some(sorted));
        }
        let bin = |rows: Vec<&Foretold>| {
            let said = rows.iter().map(|row| row.said.probability).sum::<f64>() / rows.len() as f64;
            Some(Bin { said, came: self.mean(rows.iter().map(|row| (row.given_ms, success(row))))? })
        };
        bins.into_iter().filter_map(bin).collect()
    }
}
