//! Whether the signals of a market got better.

use super::PerformanceChecks;
use domain::cancel::Cancel;
use domain::error::Result;
use domain::symbol::Market;
use feedback::StatsFilter;
use learning::improvement::{Closed, Improvement, improvement};

impl PerformanceChecks {
    /// Compares the recent half of all closed signals of `market` with the early half.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] when the log cannot be read, [`domain::error::Error::Closed`],
    /// [`domain::error::Error::Cancelled`].
    pub fn evaluate(&self, market: &Market, cancel: &Cancel) -> Result<Improvement> {
        let fee_bps = self.settings.config().fee_bps;
        let filter = StatsFilter {
            symbol: Some(market.symbol.clone()),
            timeframe: Some(market.timeframe),
            ..StatsFilter::default()
        };
        let mut closed = Vec::new();
        self.store.open()?.closed_records(&filter, |record| {
            // What was only followed is none of the backend's results.
            if record.signal.taken {
                closed.extend(Closed::of(&record, fee_bps));
            }
            cancel.check()
        })?;
        cancel.check()?;
        Ok(improvement(&closed, fee_bps))
    }
}
