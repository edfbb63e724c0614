//! A report that was written.

use napi_derive::napi;
use report::Written;

/// A report that was written.
#[napi(object)]
pub struct ReportResult {
    /// Its file, an absolute path.
    pub path: String,
    /// Its length in bytes.
    pub bytes: f64,
    /// Closed signals in the report.
    pub closed_signals: f64,
    /// Open signals.
    pub active_signals: f64,
    /// Models in service.
    pub models: f64,
    /// Parts that could not be read, in words; the rest is in the report.
    pub problems: Vec<String>,
}

impl From<Written> for ReportResult {
    fn from(written: Written) -> Self {
        Self {
            path: written.path.display().to_string(),
            bytes: written.bytes as f64,
            closed_signals: written.closed as f64,
            active_signals: written.open as f64,
            models: written.models as f64,
            problems: written.problems,
        }
    }
}
