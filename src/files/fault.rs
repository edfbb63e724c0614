//! What goes wrong with files and locks, told so that one knows what to do.

use crate::error::Error;
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
        let advice = match cause.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; let the user that runs this write there, or choose another home"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on that disk",
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "; a file is where a folder must be: move it away, or choose another home"
            }
            io::ErrorKind::IsADirectory => "; a folder is where a file must be: move it away",
            _ => "",
        };
        Self::Failed(format!("cannot {action} {}: {cause}{advice}", path.display()))
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
