//! Learning from candles and from outcomes: features, labels and sample weights; training with walk-forward
//! evaluation; the gate between a new model and service; the decision that probabilities lead to; what closed signals
//! teach (`outcomes`); and what live results say: poor performance, improvement, drift.
//!
//! Imports `domain` and `storage` only. It reads and writes model files and the ledger; it opens no connection, asks no
//! clock (times are parameters), and knows nothing of the feedback store: `engine` hands it closed signals.
//!
//! For each past candle: would a BUY (SELL) opened there have reached its target before its stop?
//!
//! ```
//! use domain::calendar::Calendar;
//! use domain::candle::Candle;
//! use domain::config::SignalShape;
//! use domain::time::HOUR_MS;
//!
//! let candle = |hour: i64, high: f64, low: f64, close: f64| {
//!     Candle { open_ms: hour * HOUR_MS, open: close, high, low, close, volume: 1.0 }
//! };
//! let candles = [candle(0, 100.0, 100.0, 100.0), candle(1, 101.0, 99.0, 101.0), candle(2, 104.5, 101.0, 104.0)];
//! // The stop is one average true range (2.0) away, the target two: a BUY at 100 has its target at 104.
//! let shape = SignalShape { stop_atr: 1.0, reward_risk: 2.0, expiry_bars: 3 };
//! let label = learning::label(&candles, 0, &Calendar::always(HOUR_MS), 2.0, &shape).unwrap();
//! assert!(label.buy.success && !label.sell.success);
//! assert_eq!(label.buy.profit_percent, 4.0);
//! ```

#[cfg(test)]
mod adjusted;
pub mod advice;
mod clusters;
mod dataset;
mod decide;
pub mod drift;
pub mod features;
mod feedback;
mod folds;
mod gate;
mod growing;
pub mod harm;
pub mod improvement;
mod incremental;
#[cfg(test)]
mod judgements;
mod labels;
#[cfg(test)]
mod leakage;
mod live;
mod management;
pub mod model;
mod odds;
pub mod outcomes;
mod own;
pub mod performance;
mod pool;
pub mod scorecard;
mod shapes;
mod shrinkage;
mod simultaneous;
mod train;
mod weights;

pub use clusters::{Weighed, Z_95, cluster_ms, interval};
pub use dataset::{Dataset, MIN_ROWS, candles_needed, rows_header};
pub use decide::{Abstention, Costs, choose};
pub use feedback::{Feedback, LiveRow};
pub use folds::{Fold, walk_forward};
pub use growing::GrowingDataset;
pub use incremental::{Continued, MIN_NEW_ROWS, cannot_continue, continue_pool};
pub use labels::{BetEntry, Ending, Label, label, levels_at, managed_label};
pub use live::{LEVEL, LiveOutcome, LiveRecord, MIN_CLOSED, Weigher, weigh};
pub use management::{Driftless, Kind, Management};
pub use own::{OwnBatch, OwnModel, ask, needed, speaks_of};
pub use shapes::{FoundShape, Place, SignalLevels, find_shapes};
pub use shrinkage::{believe, stack};
pub use train::{Candidate, PoolTraining, Step, train_market, train_pool, train_pool_with, train_shape};
pub use weights::{OLDEST_DECAY, average_uniqueness, time_decay};
