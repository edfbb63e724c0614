//! Whether the signals of a market have improved.

use super::PerformanceChecks;
use domain::cancel::Cancel;
use domain::error::Result;
use domain::signal::Costs;
use domain::symbol::Market;
use feedback::ClosingCursor;
use learning::improvement::{Closed, Improvement, improvement};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The closed signals that were compared, by market. They are kept, so that the next comparison reads only what has closed since.
pub(super) type Evaluated = Mutex<HashMap<Market, ClosedSignals>>;

/// The closed signals of a market.
#[derive(Default)]
pub(super) struct ClosedSignals {
    cursor: ClosingCursor,
    /// The configured costs with which they were read.
    costs: Costs,
    closed: Vec<Closed>,
}

impl PerformanceChecks {
    /// Compares the newer half of all closed signals of `market` with the older half.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] if the log cannot be read; [`domain::error::Error::Closed`];
    /// [`domain::error::Error::Cancelled`].
    pub fn evaluate(&self, market: &Market, cancel: &Cancel) -> Result<Improvement> {
        let costs = self.settings.config().costs();
        let mut evaluated = self.state.evaluated.lock();
        let known = evaluated.entry(market.clone()).or_default();
        if known.costs != costs {
            *known = ClosedSignals { costs, ..ClosedSignals::default() };
        }
        let new = self.store.open()?.newly_closed(Some(market), &mut known.cursor, i64::MIN, |record| {
            cancel.check()?;
            // Signals that were followed but not taken are not results of the backend.
            Ok(Closed::of(&record, &costs).filter(|_| record.signal.taken))
        })?;
        new.add_to(&mut known.closed);
        cancel.check()?;
        Ok(improvement(&known.closed))
    }
}
