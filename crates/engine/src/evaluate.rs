//! Whether the signals of a market have improved.

use super::PerformanceChecks;
use domain::cancel::Cancel;
use domain::error::Result;
use domain::symbol::Market;
use feedback::StatsFilter;
use learning::improvement::{Closed, Improvement, improvement};

impl PerformanceChecks {
    /// Compares the newer half of all closed signals of `market` with the older half.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] if the log cannot be read; [`domain::error::Error::Closed`];
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
            // Signals that were followed but not taken are not results of the backend.
            if record.signal.taken {
                closed.extend(Closed::of(&record, fee_bps));
            }
            cancel.check()
        })?;
        cancel.check()?;
        Ok(improvement(&closed, fee_bps))
    }
}
