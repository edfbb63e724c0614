//! Where a loop keeps its signals: in its home, or in a database that it shares with loops of other machines.

use domain::error::Result;
use feedback::{FeedbackStore, StoreOptions};
#[cfg(feature = "postgres")]
use postgres::StoreUrl;
use scheduler::coordination::{Coordination, FolderCoordination};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The word that means the home's own files, where the environment says otherwise.
pub const FILES: &str = "files";

/// Where the signals are. Shows itself without any password.
#[derive(Debug, Clone)]
pub enum StoreLocation {
    /// In a folder.
    Folder(PathBuf),
    /// In a database.
    #[cfg(feature = "postgres")]
    Database(StoreUrl),
}

impl StoreLocation {
    /// What a text means: [`FILES`], or no text, this folder; anything else the URL of a database.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`], never with the password of a URL; [`domain::error::Error::Io`] when a file that it names cannot be read.
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
    /// [`domain::error::Error::Storage`] when it cannot be read, written or reached; [`domain::error::Error::Busy`] when someone holds its lock.
    pub fn open(&self, options: StoreOptions) -> Result<FeedbackStore> {
        match self {
            Self::Folder(folder) => FeedbackStore::open(folder, options),
            #[cfg(feature = "postgres")]
            Self::Database(url) => postgres::feedback::open_database(url.clone(), options),
        }
    }

    /// Where the processes that share these signals claim roles and jobs: in the same database, else in `folder`. A lease of a
    /// database lasts for `lease`.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    pub fn coordination(&self, folder: PathBuf, lease: Duration) -> Arc<dyn Coordination> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Database(url) => Arc::new(postgres::coordination::PostgresCoordination::new(url.clone(), lease)),
            Self::Folder(_) => Arc::new(FolderCoordination::new(folder)),
        }
    }

    /// Was anything ever kept there, as far as can be told without opening it?
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
