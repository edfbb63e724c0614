//! What to expect of a signal before looking at its indicators: the chance its levels give a price without drift, moved by
//! how signals have fared here; a symbol's own record counts as far as it has one, else its timeframe's, else all.

use super::case::{Case, Lesson};
use crate::symbol::{Market, Timeframe};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How far success may differ from what the levels imply, in log odds (standard deviation): worth 16 signals of evidence.
const SPREAD_OF_ALL: f64 = 0.5;
/// How far a timeframe may differ from all, and a symbol from its timeframe: worth 64 signals.
const SPREAD_OF_GROUP: f64 = 0.25;
const STEPS: usize = 8;

/// Shifts in log odds, each shrunk towards the one above it.
///
/// The mode of a hierarchical logistic model with normal priors (Gelman and Hill, *Data Analysis Using Regression and
/// Multilevel/Hierarchical Models*, 2007, chapter 14), fitted from the top down.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BaseRate {
    all: f64,
    by_timeframe: HashMap<Timeframe, f64>,
    by_market: HashMap<Market, f64>,
}

impl BaseRate {
    /// Of these lessons and their weights.
    pub fn fit<'a>(lessons: impl Iterator<Item = (&'a Lesson, f64)>) -> Self {
        let mut rows: Vec<Row> = lessons.map(Row::of).collect();
        let mut base = Self { all: shift(&rows, SPREAD_OF_ALL), ..Self::default() };
        rows.iter_mut().for_each(|row| row.log_odds += base.all);
        base.by_timeframe = shifts(&mut rows, |market| market.timeframe);
        base.by_market = shifts(&mut rows, Market::clone);
        base
    }

    /// The probability that a signal like this succeeds, 0–1.
    pub fn of(&self, case: &Case) -> f64 {
        let timeframe = self.by_timeframe.get(&case.timeframe()).copied().unwrap_or_default();
        let market = self.by_market.get(&case.market).copied().unwrap_or_default();
        logistic(log_odds(case.implied) + self.all + timeframe + market)
    }
}

struct Row<'a> {
    market: &'a Market,
    success: f64,
    log_odds: f64,
    weight: f64,
}

impl<'a> Row<'a> {
    fn of((lesson, weight): (&'a Lesson, f64)) -> Self {
        let success = f64::from(u8::from(lesson.success));
        Self { market: &lesson.case.market, success, log_odds: log_odds(lesson.case.implied), weight }
    }
}

/// The shift of each group, which its rows then carry.
fn shifts<K: std::hash::Hash + Eq + Clone>(rows: &mut [Row<'_>], group: impl Fn(&Market) -> K) -> HashMap<K, f64> {
    let mut members: HashMap<K, Vec<usize>> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        members.entry(group(row.market)).or_default().push(i);
    }
    let fitted: HashMap<K, f64> = members
        .into_iter()
        .map(|(key, of_group)| (key, shift(of_group.iter().map(|&i| &rows[i]), SPREAD_OF_GROUP)))
        .collect();
    for row in rows {
        row.log_odds += fitted.get(&group(row.market)).copied().unwrap_or_default();
    }
    fitted
}

/// The most probable shift of these rows' log odds, by Newton's method from 0.
fn shift<'a, 'b: 'a>(rows: impl IntoIterator<Item = &'a Row<'b>> + Clone, spread: f64) -> f64 {
    let precision = 1.0 / (spread * spread);
    let mut shift = 0.0;
    for _ in 0..STEPS {
        let (mut gradient, mut curvature) = (-precision * shift, precision);
        for row in rows.clone() {
            let p = logistic(row.log_odds + shift);
            gradient += row.weight * (row.success - p);
            curvature += row.weight * p * (1.0 - p);
        }
        shift += gradient / curvature;
    }
    shift
}

/// ln(p / (1 − p)).
pub fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// The inverse of [`log_odds`].
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(symbol: &str, implied: f64, success: bool) -> Lesson {
        let case = Case { implied, ..Case::bare(symbol) };
        Lesson { case, success, given_ms: 0, closed_ms: 0 }
    }

    fn fit(lessons: &[Lesson]) -> BaseRate {
        BaseRate::fit(lessons.iter().map(|lesson| (lesson, 1.0)))
    }

    #[test]
    fn without_evidence_it_is_what_the_levels_imply() {
        for implied in [0.25, 0.5, 0.8] {
            assert!((fit(&[]).of(&lesson("BTCUSDT", implied, true).case) - implied).abs() < 1e-12);
        }
    }

    #[test]
    fn a_symbol_counts_as_far_as_its_own_record_goes() {
        let of = |symbol: &str, successes: usize, count: usize| {
            (0..count).map(|i| lesson(symbol, 0.5, i < successes)).collect::<Vec<_>>()
        };
        let mut lessons = of("BTCUSDT", 240, 400);
        lessons.extend(of("ETHUSDT", 120, 400));
        lessons.extend(of("XRPUSDT", 0, 3));
        let base = fit(&lessons);
        let rate = |symbol: &str| base.of(&lesson(symbol, 0.5, true).case);
        assert!((rate("BTCUSDT") - 0.6).abs() < 0.03, "{}", rate("BTCUSDT"));
        assert!((rate("ETHUSDT") - 0.3).abs() < 0.03, "{}", rate("ETHUSDT"));
        // Three losses move a symbol a little below what all have, 360 of 803; a new one has that.
        assert!((0.38..0.45).contains(&rate("XRPUSDT")), "{}", rate("XRPUSDT"));
        assert!((rate("NEWUSDT") - 360.0 / 803.0).abs() < 0.02, "{}", rate("NEWUSDT"));
    }

    #[test]
    fn signals_of_different_levels_share_what_they_know() {
        // Half as many log odds above a coin at 1:1 lift a 3:1 signal by the same shift.
        let lessons: Vec<Lesson> = (0..1000).map(|i| lesson("BTCUSDT", 0.5, i % 10 < 6)).collect();
        let base = fit(&lessons);
        let wide = base.of(&lesson("BTCUSDT", 0.25, true).case);
        assert!((log_odds(wide) - log_odds(0.25) - log_odds(0.6)).abs() < 0.03, "{wide}");
    }
}
