//! The shapes that JavaScript sees, converted from the core's with `From`. Types only, no rules.

mod feedback;
mod improvement;
mod learning;
mod models;
mod report;
mod stored;
mod trials;

pub use feedback::{
    CloseDecision, ClosedSignal, Compaction, ImportReport, Interval, PerformanceStats, PerformanceTotals, Recovery,
};
pub use improvement::Improvement;
pub use learning::{Assessment, Pattern};
pub use models::{
    ActionProbabilities, FetchResult, Prediction, Signal, TrainProgress, TrainingResults, action, percent,
};
pub use report::ReportResult;
pub use stored::stored_signal;
pub use trials::{ModelEntry, Rollback};

/// The word that a unit variant is spelt by.
pub fn word<T: serde::Serialize>(value: T) -> String {
    // Unit variants always serialise to a string.
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
