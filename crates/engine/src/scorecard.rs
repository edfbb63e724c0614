//! Compares forecasts with outcomes.

use super::OutcomeLearner;
use domain::barrier::Direction;
use domain::error::Result;
use domain::signal::Signal;
use domain::symbol::Symbol;
use feedback::StatsFilter;
use learning::harm::Judge;
use learning::scorecard::{Foretold, Scorecard};

/// Which signals to count. An empty filter counts all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScorecardFilter {
    /// Signals given at this time or later, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// Signals given before this time, UTC epoch ms.
    pub until_ms: Option<i64>,
    /// Only this strategy.
    pub strategy: Option<String>,
    /// Only this pair.
    pub symbol: Option<Symbol>,
    /// Only this direction.
    pub direction: Option<Direction>,
}

impl ScorecardFilter {
    fn asks_for(&self, signal: &Signal) -> bool {
        self.since_ms.is_none_or(|since| signal.timestamp_ms >= since)
            && self.until_ms.is_none_or(|until| signal.timestamp_ms < until)
            && self.symbol.as_ref().is_none_or(|symbol| *symbol == signal.symbol)
            && self.direction.is_none_or(|direction| signal.direction == Some(direction))
            && self.strategy.as_ref().is_none_or(|strategy| signal.strategy.as_ref() == Some(strategy))
    }
}

impl OutcomeLearner {
    /// Compares the forecasts of closed signals with their outcomes, including signals that were not taken. Reads the
    /// store.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] if the store cannot be read; [`domain::error::Error::Closed`].
    pub fn scorecard(&self, filter: &ScorecardFilter) -> Result<Scorecard> {
        let config = self.settings.config();
        let costs = config.costs();
        let (mut rows, mut judge) = (Vec::new(), Judge::default());
        if let Some(store) = self.store.existing()? {
            // Reads all signals in order of closing, because the choice of forecast depends on the newest of all.
            store.closed_records(&StatsFilter::default(), |record| {
                judge.take(&record);
                if filter.asks_for(&record.signal) {
                    rows.extend(Foretold::of(&record, &costs));
                }
                self.lifetime.closing().check()
            })?;
        }
        Ok(Scorecard::of(rows, judge.harm(), config.seed))
    }
}
