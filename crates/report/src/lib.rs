//! The report: results of the signals, models and what they learned, and the stored candles, for people to look at.
//!
//! [`Gatherer`] collects plain data of the signals of a [`Filter`], [`render`] turns it into one HTML document, and [`Dashboard`] serves
//! the same page live. [`replay_page`] is the page of a replay.
//!
//! Reads a home through `engine`, and writes only the report file. It listens for connections; it opens none.
//!
//! The live view answers only under host names that cannot be abused for DNS rebinding:
//!
//! ```
//! use report::Hosts;
//!
//! let hosts = Hosts::new(vec!["ops.example.com".to_owned()]).unwrap();
//! assert!(hosts.permit("127.0.0.1:3000") && hosts.permit("ops.example.com"));
//! assert!(!hosts.permit("evil.example"));
//! ```

mod calibration;
mod coverage;
mod dashboard;
mod data;
mod filter;
mod gather;
mod hosts;
mod listed;
mod models;
mod page;
mod replay_page;
mod replays;
mod results;
mod revision;
mod server;
mod sums;
mod views;

pub use dashboard::{Answer, Dashboard, Request, failure};
pub use data::Report;
pub use filter::Filter;
pub use gather::{Gatherer, Stage};
pub use hosts::{Hosts, is_from_another_site};
pub use page::{Place, policy, render, to_json};
pub use replay_page::{replay_page, write_replay};
pub use revision::Revision;
pub use server::Server;

use domain::error::Result;
use engine::SignalLoop;
use engine::home;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::write_atomically;

/// A report that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its file, an absolute path.
    pub path: PathBuf,
    /// How long that is.
    pub bytes: usize,
    /// Closed signals in it.
    pub closed: u64,
    /// Open signals.
    pub open: u64,
    /// Models in service.
    pub models: usize,
    /// What could not be looked at, in words; the rest is in the report.
    pub problems: Vec<String>,
}

/// Writes the report of a loop as one HTML file, to `out` or else to `report.html` of its home.
///
/// # Errors
/// [`domain::error::Error::InvalidArgument`] where `out` leads to a file of signalloop's own, [`domain::error::Error::Io`] when it
/// cannot be written, [`domain::error::Error::Closed`]. What cannot be looked at is told in
/// the report.
pub async fn write(core: &Arc<SignalLoop>, out: Option<&Path>) -> Result<Written> {
    let path = out.map_or_else(|| core.settings().home().join("report.html"), Path::to_owned);
    let path = std::path::absolute(&path).unwrap_or(path);
    home::check_output(core.settings().home(), "out", &path)?;
    let revision = Revision::of(core);
    let report = Arc::new(Gatherer::default()).gather(core, &Filter::default(), &revision).await?;
    let page = render(&to_json(&report)?, Place::File);
    write_atomically(&path, page.as_bytes())?;
    let figures = report.signals.as_ref().map(|signals| signals.figures);
    Ok(Written {
        path,
        bytes: page.len(),
        closed: figures.map_or(0, |figures| figures.closed),
        open: figures.map_or(0, |figures| figures.active),
        models: report.models.markets.len(),
        problems: report
            .problems
            .into_iter()
            .map(|problem| format!("{} [{}]", problem.message, problem.code))
            .collect(),
    })
}
