//! The ledger of replays: every look at past signals, one JSON object per line, so that it can be told how many were taken.
//!
//! Lines are only ever appended. A line that a crash cut short stays where it is, and is skipped and counted.

mod look;
mod looks;
#[cfg(test)]
mod tests;

pub use look::{Look, Run, SourceKind, fingerprint};
pub use looks::Looks;

use domain::error::{Error, Resource, Result};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use storage::create_folder;
use storage::disk::Lock;
use storage::lines::append_line;
use storage::lock::FileLock;

/// The usual name of the file.
pub const FILE: &str = "replays.jsonl";
/// Time to wait for another process that appends.
const PATIENCE: Duration = Duration::from_secs(5);

/// The contents of a ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// In order of writing.
    pub looks: Vec<Look>,
    /// Lines that cannot be read.
    pub damaged: u64,
}

impl Ledger {
    /// Reads a ledger, which need not exist. A last line without its newline is still being written, or was cut short: it counts as
    /// damaged only once another line follows it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", path, e)),
        };
        let mut ledger = Self::default();
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(look) => ledger.looks.push(look),
                Err(_) => ledger.damaged += u64::from(line.ends_with(b"\n")),
            }
        }
        Ok(ledger)
    }

    /// Appends a look to the file at `path`, which is created with its folder if it is missing, and syncs it. A file beside it with the
    /// extension `lock` keeps other processes away meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Busy`] if another process holds the lock for too long.
    pub fn append(path: &Path, look: &Look) -> Result<()> {
        let line = serde_json::to_vec(look).map_err(|e| Error::Internal(format!("cannot encode a look: {e}")))?;
        create_folder(path.parent().unwrap_or(Path::new(".")))?;
        let lock = path.with_extension("lock");
        let _alone = FileLock::acquire(Resource::ReplayLedger, &lock, Lock::Exclusive, PATIENCE)?;
        append_line(path, line)
    }
}
