//! How often these signals were looked at, how many trials there were, and what is left of a result after them.

use super::{Ledger, Look, Run};
use crate::overfitting::{DeflatedSharpe, Missing, Overfitting, deflated_sharpe, overfitting};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What the ledger says of a replay. Serialised in camelCase.
///
/// A **trial** is a run of a replay with settings of its own, of at least one of the same markets, over a period that overlaps. The very
/// same run of the same signals with the same settings is one trial, however often it is looked at, and so are runs that brought exactly
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looks {
    /// How many replays of the very same signals there were, this one included.
    pub looks: u64,
    /// How many trials there were, this replay's included.
    pub trials: u64,
    /// Lines of the ledger that cannot be read, so that looks may be missing.
    pub damaged: u64,
    /// The deflated Sharpe ratio of the first run of this replay, by all trials; else the reason why not.
    #[serde(serialize_with = "figure_or_reason")]
    pub deflated_sharpe: Result<DeflatedSharpe, Missing>,
    /// The probability of backtest overfitting, by the trials that cover all months of this replay; else the reason why not.
    #[serde(serialize_with = "figure_or_reason")]
    pub overfitting: Result<Overfitting, Missing>,
}

impl Looks {
    /// Of a replay, which may be in the ledger already.
    pub fn of(ledger: &Ledger, this: &Look) -> Self {
        let earlier = || ledger.looks.iter().rev().filter(|look| *look != this);
        let related = earlier().filter(|look| {
            look.from_ms <= this.until_ms && look.until_ms >= this.from_ms && !look.markets.is_disjoint(&this.markets)
        });
        let trials = distinct(std::iter::once(this).chain(related));
        let sharpes: Vec<f64> = trials.iter().map(|run| run.days.sharpe.unwrap_or(0.0)).collect();
        let whole = this.runs.first();
        let months: Vec<&String> = whole.iter().flat_map(|run| run.r_by_month.keys()).collect();
        let covering = |run: &&Run| months.iter().map(|month| run.r_by_month.get(*month).copied()).collect();
        let matrix: Vec<Vec<f64>> = trials.iter().filter_map(covering).collect();
        Self {
            looks: 1 + earlier().filter(|look| look.signals == this.signals).count() as u64,
            trials: trials.len() as u64,
            damaged: ledger.damaged,
            deflated_sharpe: deflated_sharpe(&whole.map(|run| run.days).unwrap_or_default(), &sharpes),
            overfitting: overfitting(&matrix),
        }
    }
}

/// The trials of looks, of which the first counts where several are the same.
fn distinct<'a>(looks: impl Iterator<Item = &'a Look>) -> Vec<&'a Run> {
    let mut settings: HashMap<(&str, &str), Vec<&Value>> = HashMap::new();
    let mut results = HashSet::new();
    let mut trials = Vec::new();
    for (look, run) in looks.flat_map(|look| look.runs.iter().map(move |run| (look, run))) {
        let tried = settings.entry((&look.signals, &run.name)).or_default();
        if tried.contains(&&look.settings) {
            continue;
        }
        tried.push(&look.settings);
        let by_month: Vec<(&str, u64)> =
            run.r_by_month.iter().map(|(month, r)| (month.as_str(), r.to_bits())).collect();
        if results.insert((run.taken, run.closed, by_month)) {
            trials.push(run);
        }
    }
    trials
}

fn figure_or_reason<T: Serialize, S: Serializer>(result: &Result<T, Missing>, to: S) -> Result<S::Ok, S::Error> {
    match result {
        Ok(figure) => figure.serialize(to),
        Err(missing) => missing.serialize(to),
    }
}
