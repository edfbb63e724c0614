//! Reads the signals of a file, as `signalloop import` reads them.

use super::given::{Given, signals_of};
use domain::error::{Error, Result};
use engine::store_location::FILES;
use engine::{Options, SignalLoop};
use readers::{Format, Reading};
use serde::Serialize;
use std::path::Path;
use tempfile::TempDir;

/// Something in a file that is no signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// Where in the file.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// The signals of a file: a log of signals, or what another tool has written.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; otherwise as [`engine::Signals::import`].
pub async fn signals_in(
    file: &Path,
    foreign: Option<(Format, &readers::Options)>,
) -> Result<(Vec<Given>, Vec<Refused>)> {
    let folder = TempDir::new().map_err(|error| Error::io("create", &std::env::temp_dir(), error))?;
    let core = SignalLoop::open(Options {
        home: Some(folder.path().to_owned()),
        store: Some(FILES.to_owned()),
        ..Options::default()
    })?;
    let read = read(&core, folder.path(), file, foreign).await;
    core.close().await;
    read
}

async fn read(
    core: &SignalLoop,
    folder: &Path,
    file: &Path,
    foreign: Option<(Format, &readers::Options)>,
) -> Result<(Vec<Given>, Vec<Refused>)> {
    let mut refused = Vec::new();
    let report = match foreign {
        None => core.signals().import(file).await?,
        Some((format, options)) => {
            let content = std::fs::read(file).map_err(|error| Error::io("read", file, error))?;
            let Reading { signals, refused: unread } = format.read(&content, options);
            refused.extend(
                unread
                    .into_iter()
                    .map(|one| Refused { place: one.place, reason: format!("{}; got {}", one.problem, one.value) }),
            );
            let lines = folder.join("signals.jsonl");
            let written = std::fs::File::create(&lines)
                .and_then(|file| readers::write_lines(file, signals.iter().map(|found| &found.signal)));
            written.map_err(|error| Error::io("write", &lines, error))?;
            core.signals().import(&lines).await?
        }
    };
    refused.extend(
        report.refused.into_iter().map(|one| Refused { place: format!("line {}", one.line), reason: one.reason }),
    );
    Ok((signals_of(core)?, refused))
}
