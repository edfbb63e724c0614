//! What was said of signals against what came of them.

use super::SignalLoop;
use crate::error::Result;
use crate::feedback::StatsFilter;
use crate::learning::scorecard::{Foretold, Scorecard};
use crate::symbol::Symbol;

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
            && self.strategy.as_ref().is_none_or(|strategy| row.strategy.as_ref() == Some(strategy))
    }
}

impl SignalLoop {
    /// What was said of the closed signals, taken or only followed, against what came of them. Reads them from the store.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`] when it cannot be read, [`crate::error::Error::Closed`].
    pub fn scorecard(&self, filter: &ScorecardFilter) -> Result<Scorecard> {
        let config = self.config();
        let mut rows = Vec::new();
        if let Some(store) = self.existing_store()? {
            // What was given later closed later.
            let (symbol, since_ms) = (filter.symbol.clone(), filter.since_ms);
            let closed = StatsFilter { symbol, since_ms, ..StatsFilter::default() };
            store.closed_records(&closed, |record| {
                rows.extend(Foretold::of(&record, config.fee_bps).filter(|row| filter.asks_for(row)));
                self.closing.check()
            })?;
        }
        Ok(Scorecard::of(rows, config.seed))
    }
}
