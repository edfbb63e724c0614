//! What someone would have taken who knew the true probabilities, as in a simulated market: no loop can be expected to do better.

use super::figures::{Gathering, Set};
use crate::rows::Row;
use domain::signal::{Costs, Signal};
use learning::scorecard::Clusters;
use serde::Serialize;

/// The member of a signal that states its true probability of success, 0–1.
pub const TRUE_PROBABILITY: &str = "trueProbability";

/// The signals that are worth taking by their true probabilities.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Oracle {
    /// The signals that it takes.
    #[serde(flatten)]
    pub set: Set,
    /// Signals with a true probability, a stop and a target: those that it judged.
    pub judged: u64,
    /// Signals whose `trueProbability` is not a number from 0 to 1, or that have no stop or no target. It does not take them.
    pub ignored: u64,
}

impl Oracle {
    /// From rows in order of closing; `None` where no signal has a [`TRUE_PROBABILITY`].
    pub(super) fn of(rows: &[Row<'_>], costs: &Costs, clusters: Clusters) -> Option<Self> {
        let (mut set, mut judged, mut ignored) = (Gathering::default(), 0, 0);
        for row in rows {
            let signal = &row.decision.record.signal;
            if !signal.extra.contains_key(TRUE_PROBABILITY) {
                continue;
            }
            match Self::takes(signal, costs) {
                Some(takes) => {
                    judged += 1;
                    if takes {
                        set.add(row);
                    }
                }
                None => ignored += 1,
            }
        }
        (judged + ignored > 0).then(|| Self { set: set.set(clusters), judged, ignored })
    }

    /// Whether it takes a signal: whether that is expected to earn more than it costs. `None` if it cannot judge it, for want of a
    /// [`TRUE_PROBABILITY`] from 0 to 1, a stop or a target. `costs` count for a signal that states none.
    pub fn takes(signal: &Signal, costs: &Costs) -> Option<bool> {
        let probability = signal.extra.get(TRUE_PROBABILITY)?.as_f64().filter(|stated| (0.0..=1.0).contains(stated))?;
        Some(expected_r(signal, probability, costs)? > 0.0)
    }
}

/// The expected profit in R of a signal that reaches its target with this probability and its stop otherwise:
/// `(p · target − (1 − p) · stop − fee) / stop`, with distances and fee in percent of the entry. Funding is left out: nobody knows in
/// advance how long it will be open. `None` without a stop or a target.
fn expected_r(signal: &Signal, probability: f64, costs: &Costs) -> Option<f64> {
    let levels = signal.levels()?;
    let stop = -levels.profit_percent(levels.stop_loss?);
    let target = levels.profit_percent(levels.take_profit?);
    let fee = costs.of(&signal.position).fee_bps / 100.0;
    (stop > 0.0).then(|| (probability * target - (1.0 - probability) * stop - fee) / stop)
}
