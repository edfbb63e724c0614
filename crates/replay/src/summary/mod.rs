//! The figures of a replay: of all its signals, of those that the loop would have taken, of those that it would have left, and of a
//! bound that nobody can pass, where it is known.

mod figures;
mod oracle;
#[cfg(test)]
mod tests;

pub use figures::{Figures, Part, Set};
pub use oracle::{Oracle, TRUE_PROBABILITY};

use super::Decision;
use super::rows::{End, Row};
use domain::signal::Costs;
use figures::Gathering;
use learning::scorecard::{Clusters, Foretold, Scorecard};
use serde::Serialize;

/// The figures of a replay. Serialised in camelCase; what cannot be told is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Signals without a direction; in no other figure.
    pub holds: u64,
    /// Signals that could not be assessed: they are in `all`, and neither in `taken` nor in `left`.
    pub unassessed: u64,
    /// All signals, as if each had been traded.
    pub all: Set,
    /// The signals that it advised to take.
    pub taken: Set,
    /// The signals that it advised to leave.
    pub left: Set,
    /// The signals that someone would have taken who knew the true probabilities; `None` where no signal states one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle: Option<Oracle>,
    /// What was said in advance, compared with the outcomes. Its `gain` is the mean R of the signals to take minus that of all.
    pub scorecard: Scorecard,
}

impl Summary {
    /// From the decisions of a run, in any order. `costs` count for signals that state none. The same decisions and seed give the same
    /// summary.
    pub fn of(decisions: &[Decision], costs: &Costs, seed: u64) -> Self {
        let rows = Row::all(decisions, costs);
        let (mut all, mut taken, mut left) = (Gathering::default(), Gathering::default(), Gathering::default());
        let mut unassessed = 0;
        for row in &rows {
            all.add(row);
            match row.take() {
                Some(true) => taken.add(row),
                Some(false) => left.add(row),
                None => unassessed += 1,
            }
        }
        let spans = rows.iter().filter_map(|row| Some((row.given_ms(), row.closed_ms()?)));
        let clusters = Clusters::of(spans, seed);
        Self {
            holds: (decisions.len() - rows.len()) as u64,
            unassessed,
            all: all.set(clusters),
            taken: taken.set(clusters),
            left: left.set(clusters),
            oracle: Oracle::of(&rows, costs, clusters),
            scorecard: Scorecard::of(rows.iter().filter_map(foretold).collect(), None, seed),
        }
    }
}

/// For the scorecard; `None` for a signal that was not closed or not assessed.
fn foretold(row: &Row<'_>) -> Option<Foretold> {
    let End::Closed { at_ms, succeeded } = row.end else { return None };
    let signal = &row.decision.record.signal;
    Some(Foretold {
        given_ms: row.given_ms(),
        closed_ms: at_ms,
        symbol: signal.symbol.clone(),
        strategy: signal.strategy.clone(),
        taken: signal.taken,
        succeeded,
        realised_r: row.r,
        said: row.decision.advice?.said,
    })
}
