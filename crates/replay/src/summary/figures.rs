//! The figures of a set of signals.

use crate::rows::{End, Row};
use domain::time::{DAY_MS, Month};
use feedback::{Daily, RunningSum};
use learning::scorecard::{Clusters, Ends};
use serde::Serialize;
use std::collections::BTreeMap;

/// The figures of signals, as if each had been traded with the same stake. Profits are after costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// All of them: `closed + open + unknown + cancelled`.
    pub signals: u64,
    /// Closed as a success or as a failure. All figures below are of these.
    pub closed: u64,
    /// Open, or waiting for their entry, when the candles ended.
    pub open: u64,
    /// Ended where no prices are known.
    pub unknown: u64,
    /// Ended before they were entered.
    pub cancelled: u64,
    /// The share that succeeded, 0–1; `None` while nothing is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_share: Option<f64>,
    /// Those with a stop. Only they have a result in R: profit after costs in units of the risk at entry.
    pub with_stop: u64,
    /// Mean of the results in R; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_r: Option<f64>,
    /// Their sum.
    pub total_r: f64,
    /// The deepest fall of their running sum below its highest point so far (0 at the start), in order of closing, in R; not negative.
    pub max_drawdown_r: f64,
    /// Sum of the profits, each in percent of its entry price.
    pub total_net_profit_percent: f64,
    /// The deepest fall of the running sum of these profits, in percentage points; not negative.
    pub max_drawdown_percent: f64,
    /// Sharpe ratio of a year, of these profits by the calendar day (UTC) of closing. `None` below [`feedback::SHARPE_DAYS`] days from
    /// the first closing to the last and [`feedback::CLOSING_DAYS`] days with a closing; see [`Daily::sharpe`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharpe_ratio: Option<f64>,
    /// Its 95 % interval, if days do not depend on each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharpe_interval: Option<Ends>,
}

/// The figures of a set of signals, and of its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Set {
    /// Of the whole set.
    #[serde(flatten)]
    pub figures: Figures,
    /// The 95 % interval of the mean R, clustered by time; `None` below eight clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_r_interval: Option<Ends>,
    /// Number of time clusters of the signals with a result in R.
    pub clusters: usize,
    /// By the month (UTC) in which signals were given, oldest first.
    pub by_month: Vec<Part>,
    /// By strategy, in alphabetical order; signals without one are left out.
    pub by_strategy: Vec<Part>,
    /// By symbol, in alphabetical order.
    pub by_symbol: Vec<Part>,
}

/// A part of a set, and its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// A month such as `2026-03`, a strategy, or a symbol.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Adds up signals, in order of closing.
#[derive(Debug, Default)]
struct Tally {
    figures: Figures,
    successes: u64,
    r: RunningSum,
    net_percent: RunningSum,
    days: Daily,
    /// The day of the last closing, in days since the epoch, and its profit so far.
    today: Option<(i64, f64)>,
}

impl Tally {
    fn add(&mut self, row: &Row<'_>) {
        self.figures.signals += 1;
        match row.end {
            End::Open => self.figures.open += 1,
            End::Unknown => self.figures.unknown += 1,
            End::Cancelled => self.figures.cancelled += 1,
            End::Closed { at_ms, succeeded } => {
                self.figures.closed += 1;
                self.successes += u64::from(succeeded);
                if let Some(r) = row.r {
                    self.figures.with_stop += 1;
                    self.r.add(r);
                }
                if let Some(profit) = row.net_percent {
                    self.net_percent.add(profit);
                    self.earn(at_ms.div_euclid(DAY_MS), profit);
                }
            }
        }
    }

    fn earn(&mut self, day: i64, profit: f64) {
        match &mut self.today {
            Some((today, sum)) if *today == day => *sum += profit,
            today => {
                if let Some((day, sum)) = today.replace((day, profit)) {
                    self.days.then(&Daily::of(day, sum));
                }
            }
        }
    }

    fn figures(mut self) -> Figures {
        if let Some((day, sum)) = self.today {
            self.days.then(&Daily::of(day, sum));
        }
        let sharpe = self.days.sharpe();
        let of = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        Figures {
            success_share: of(self.successes as f64, self.figures.closed),
            mean_r: of(self.r.total, self.figures.with_stop),
            total_r: self.r.total,
            max_drawdown_r: self.r.drawdown,
            total_net_profit_percent: self.net_percent.total,
            max_drawdown_percent: self.net_percent.drawdown,
            sharpe_ratio: sharpe.map(|(ratio, _)| ratio),
            sharpe_interval: sharpe.map(|(_, (low, high))| Ends { low, high }),
            ..self.figures
        }
    }
}

/// Adds up a set of signals and its parts, in order of closing.
#[derive(Debug, Default)]
pub(super) struct Gathering<'a> {
    all: Tally,
    by_month: BTreeMap<Month, Tally>,
    by_strategy: BTreeMap<&'a str, Tally>,
    by_symbol: BTreeMap<&'a str, Tally>,
    /// The results in R, each with the time at which its signal was given.
    results: Vec<(i64, f64)>,
}

impl<'a> Gathering<'a> {
    pub fn add(&mut self, row: &Row<'a>) {
        let signal = &row.decision.record.signal;
        self.all.add(row);
        self.by_month.entry(row.month()).or_default().add(row);
        self.by_symbol.entry(signal.symbol.as_str()).or_default().add(row);
        if let Some(strategy) = &signal.strategy {
            self.by_strategy.entry(strategy).or_default().add(row);
        }
        self.results.extend(row.r.map(|r| (row.given_ms(), r)));
    }

    pub fn set(self, clusters: Clusters) -> Set {
        Set {
            figures: self.all.figures(),
            mean_r_interval: clusters.mean(self.results.iter().copied()).and_then(|mean| mean.interval),
            clusters: clusters.count(self.results.iter().map(|(given_ms, _)| *given_ms)),
            by_month: parts(self.by_month),
            by_strategy: parts(self.by_strategy),
            by_symbol: parts(self.by_symbol),
        }
    }
}

fn parts<K: ToString>(parts: BTreeMap<K, Tally>) -> Vec<Part> {
    parts.into_iter().map(|(name, tally)| Part { name: name.to_string(), figures: tally.figures() }).collect()
}
