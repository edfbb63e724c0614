//! What was said of signals against what came of them.

use super::OutcomeLearner;
use domain::error::Result;
use domain::symbol::Symbol;
use feedback::StatsFilter;
use learning::harm::Judge;
use learning::scorecard::{Foretold, Scorecard};

/// Which signals to judge by. Empty: all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScorecardFilter {
    /// Signals given at this time or later, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// Only this strategy.
    pub strategy: Option<String>,
    /// Only this pair.
    pub symbol: Option<Symbol>,
}

impl ScorecardFilter {
    fn asks_for(&self, row: &Foretold) -> bool {
        self.since_ms.is_none_or(|since| row.given_ms >= since)
            && self.symbol.as_ref().is_none_or(|symbol| *symbol == row.symbol)
            && self.strategy.as_ref().is_none_or(|strategy| row.strategy.as_ref() == Some(strategy))
    }
}

impl OutcomeLearner {
    /// What was said of the closed signals, taken or only followed, against what came of them. Reads them from the store.
    ///
    /// # Errors
    /// [`domain::error::Error::Store`] when it cannot be read, [`domain::error::Error::Closed`].
    pub fn scorecard(&self, filter: &ScorecardFilter) -> Result<Scorecard> {
        let config = self.settings.config();
        let (mut rows, mut judge) = (Vec::new(), Judge::default());
        if let Some(store) = self.store.existing()? {
            // All of them, in order of closing: whichever are asked for, what is served goes by the newest of all.
            store.closed_records(&StatsFilter::default(), |record| {
                judge.take(&record);
                rows.extend(Foretold::of(&record, config.fee_bps).filter(|row| filter.asks_for(row)));
                self.lifetime.closing().check()
            })?;
        }
        Ok(Scorecard::of(rows, judge.harm(), config.seed))
    }
}
