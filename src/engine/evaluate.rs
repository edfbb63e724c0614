//! Whether the signals of a market got better.

use super::SignalLoop;
use crate::error::Result;
use crate::feedback::StatsFilter;
use crate::learning::improvement::{Closed, Improvement, improvement};
use crate::symbol::Market;

impl SignalLoop {
    /// Compares the recent half of all closed signals of `market` with the early half.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`] when the log cannot be read, [`crate::error::Error::Closed`].
    pub fn evaluate(&self, market: &Market) -> Result<Improvement> {
        let fee_bps = self.config().fee_bps;
        let filter = StatsFilter {
            symbol: Some(market.symbol.clone()),
            timeframe: Some(market.timeframe),
            ..StatsFilter::default()
        };
        let mut closed = Vec::new();
        self.store()?.closed_records(&filter, |record| closed.extend(Closed::of(&record, fee_bps)))?;
        Ok(improvement(&closed, fee_bps))
    }
}
