//! Where a loop stores its signals: in its home, or in a database that it shares with loops on other machines.

use domain::error::Result;
use feedback::{FeedbackStore, StoreOptions};
#[cfg(feature = "postgres")]
use postgres::StoreUrl;
use scheduler::coordination::{Coordination, FolderCoordination};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The value that selects the home's own files, even if the environment variable names a database.
pub const FILES: &str = "files";

/// Where the signals are stored. Its text form never contains a password.
#[derive(Debug, Clone)]
pub enum StoreLocation {
    /// In a folder.
    Folder(PathBuf),
    /// In a database.
    #[cfg(feature = "postgres")]
    Database(StoreUrl),
}

impl StoreLocation {
    /// Parses a location: [`FILES`] or no text means this folder; anything else is the URL of a database.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`], which never contains the password of a URL;
    /// [`domain::error::Error::Io`] if a file that the URL names cannot be read.
    pub fn of(text: Option<&str>, folder: PathBuf) -> Result<Self> {
        match text {
            None | Some(FILES) => Ok(Self::Folder(folder)),
            Some(url) => Self::database(url),
        }
    }

    #[cfg(feature = "postgres")]
    fn database(url: &str) -> Result<Self> {
        StoreUrl::parse(url).map(Self::Database)
    }

    #[cfg(not(feature = "postgres"))]
    fn database(_url: &str) -> Result<Self> {
        let problem = "must be `files`: this signalloop was built without the feature `postgres`";
        Err(domain::error::Error::argument(
            "store",
            problem,
            "something else, which is not repeated: it may hold a password",
        ))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`] if it cannot be read, written or reached; [`domain::error::Error::Busy`] if
    /// another process holds its lock.
    pub fn open(&self, options: StoreOptions) -> Result<FeedbackStore> {
        match self {
            Self::Folder(folder) => FeedbackStore::open(folder, options),
            #[cfg(feature = "postgres")]
            Self::Database(url) => postgres::feedback::open_database(url.clone(), options),
        }
    }

    /// How the processes that share these signals claim roles and jobs: in the same database, or else in `folder`. A
    /// lease in a database lasts for `lease`.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    pub fn coordination(&self, folder: PathBuf, lease: Duration) -> Arc<dyn Coordination> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Database(url) => Arc::new(postgres::coordination::PostgresCoordination::new(url.clone(), lease)),
            Self::Folder(_) => Arc::new(FolderCoordination::new(folder)),
        }
    }

    /// Whether anything may ever have been stored there, as far as this is known without opening it.
    pub fn may_hold_signals(&self) -> bool {
        match self {
            Self::Folder(folder) => log(folder).exists(),
            #[cfg(feature = "postgres")]
            Self::Database(_) => true,
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => log(folder).display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Database(url) => url.fmt(f),
        }
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("signals.jsonl")
}
