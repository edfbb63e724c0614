//! Imports candle files, and checks the stored ones.

use super::recent_candles::CandleStore;
use candles::{Checked, Fetched, Reading, candle_file, check_file, import, stored_markets};
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use std::path::{Path, PathBuf};

/// The result of checking one candle file.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// The file.
    pub path: PathBuf,
    /// The result of the check, or why the file cannot be used.
    pub checked: Result<Checked>,
}

impl CandleStore {
    /// Adds the candles of a file to those stored for `market`.
    ///
    /// # Errors
    /// As [`import`]. After an error, nothing was changed.
    pub fn import(&self, market: &Market, file: &Path, reading: &Reading) -> Result<Fetched> {
        import(&self.settings.data_folder(), market, file, reading, self.settings.now_ms())
    }

    /// Checks a candle file. Changes nothing.
    pub fn check_file(&self, path: &Path, timeframe: Timeframe, reading: &Reading) -> CheckedFile {
        CheckedFile { path: path.to_owned(), checked: check_file(path, timeframe, reading) }
    }

    /// Checks all candle files of the home. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read. The failure of a single file is in its result.
    pub fn check_stored(&self) -> Result<Vec<CheckedFile>> {
        let (markets, others) = stored_markets(&self.settings.data_folder())?;
        let known = markets.iter().map(|market| {
            let path = candle_file(&self.settings.data_folder(), market);
            self.check_file(&path, market.timeframe, &Reading::stored())
        });
        let unknown = others.into_iter().map(|path| {
            let problem = "its name is not that of a market, such as btcusdt_1h.csv; it is never read".to_owned();
            let place = path.display().to_string();
            CheckedFile { path, checked: Err(Error::BadCandle { place, problem }) }
        });
        Ok(known.chain(unknown).collect())
    }
}
