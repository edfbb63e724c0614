//! What goes wrong with files and locks, told so that one knows what to do.

use domain::error::{Error, advice};
use std::fmt;
use std::io;
use std::path::Path;

/// What kept the store from doing something, in words. Cloned to every caller whose operation it ended.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A file operation failed.
    Failed(String),
    /// Someone else holds a lock.
    Busy(String),
}

impl Fault {
    /// What kept the file operation `action` from working, and what can be done about it.
    pub fn of(action: &str, path: &Path, cause: &io::Error) -> Self {
        Self::Failed(format!("cannot {action} {}: {cause}{}", path.display(), advice(cause)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Failed(what) | Self::Busy(what)) = self;
        f.write_str(what)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failed(what) => Self::Store(what),
            Fault::Busy(what) => Self::StoreBusy(what),
        }
    }
}
