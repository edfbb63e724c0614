//! The folder that a run writes into.

use candles::{PastCandles, candle_file, write_csv};
use domain::error::{Error, Result};
use std::path::{Path, PathBuf};
use storage::create_folder;
use tempfile::TempDir;

/// The files of a home that configure it.
const CONFIGURATION: [&str; 2] = ["training_config.json", "scheduler_config.json"];

/// A home for one run: temporary, or one that stays.
pub(crate) enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    /// A new home with the configuration files of `of`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the folder to keep is not empty; [`Error::Io`].
    pub fn new(of: &Path, keep: Option<&Path>) -> Result<Self> {
        let folder = match keep {
            None => {
                let temporary = tempfile::Builder::new().prefix("signalloop-replay-").tempdir();
                Self::Temporary(temporary.map_err(|error| Error::io("create", &std::env::temp_dir(), error))?)
            }
            Some(keep) => {
                if std::fs::read_dir(keep).is_ok_and(|mut entries| entries.next().is_some()) {
                    return Err(Error::argument("keep", "must be a new or an empty folder", keep.display()));
                }
                create_folder(keep)?;
                Self::Kept(keep.to_owned())
            }
        };
        for name in CONFIGURATION {
            let (from, to) = (of.join(name), folder.path().join(name));
            if from.is_file() {
                std::fs::copy(&from, &to).map_err(|error| Error::io("copy", &from, error))?;
            }
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }

    /// Whether it stays after the replay.
    pub fn stays(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// Writes the candles that had closed by `until_ms`, as a fetch would have stored them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_candles(&self, candles: &PastCandles, until_ms: i64) -> Result<()> {
        let data = self.path().join("data");
        create_folder(&data)?;
        for market in candles.markets() {
            write_csv(&candle_file(&data, market), candles.closed(market, until_ms))?;
        }
        Ok(())
    }
}
