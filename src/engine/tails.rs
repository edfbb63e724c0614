//! The newest stored candles of each market, kept in memory while their files stay the same.

use super::SignalLoop;
use crate::error::{Error, Result};
use crate::features::{self, Missing, Row};
use crate::files::Stamp;
use crate::market::{Candle, Reading, candle_file, read_candles};
use crate::signal::{EntryFeatures, Signal};
use crate::symbol::Market;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Candles kept in memory per market: enough that the longest smoothing has forgotten where it started.
const TAIL: usize = 400;

/// How long candles of a market that had none may go unnoticed by whoever cannot wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The last [`TAIL`] stored candles of a market, in order.
#[derive(Debug)]
pub(super) struct Tail {
    candles: Vec<Candle>,
    candle_ms: i64,
    /// The features asked for last, and after how many candles: most ask for those of now.
    latest: Mutex<Option<(usize, Latest)>>,
}

/// Features and the average true range, or why there are none.
pub(super) type Latest = std::result::Result<(Row, f64), Missing>;

/// The tails of a loop.
#[derive(Debug, Default)]
pub(super) struct Tails {
    known: RwLock<HashMap<Market, (Stamp, Arc<Tail>)>>,
    /// Markets without candles, and when that was found.
    lacking: Mutex<HashMap<Market, Instant>>,
}

impl Deref for Tail {
    type Target = [Candle];

    fn deref(&self) -> &[Candle] {
        &self.candles
    }
}

impl Tail {
    fn of(candles: &[Candle], candle_ms: i64) -> Self {
        let candles = candles[candles.len().saturating_sub(TAIL)..].to_vec();
        Self { candles, candle_ms, latest: Mutex::default() }
    }

    /// [`features::latest`] of the first `count` candles.
    pub fn latest(&self, count: usize) -> Latest {
        let mut known = self.latest.lock();
        match *known {
            Some((of, latest)) if of == count => latest,
            _ => known.insert((count, features::latest(&self.candles[..count], self.candle_ms))).1,
        }
    }

    /// The features of the last candle closed before the signal; `None` when it is not among these, or has none.
    pub fn entry_features(&self, signal: &Signal) -> Option<EntryFeatures> {
        let closed = self.candles.partition_point(|candle| candle.open_ms + self.candle_ms <= signal.timestamp_ms);
        let last = self.candles[..closed].last()?;
        if signal.timestamp_ms >= last.open_ms + 2 * self.candle_ms {
            return None;
        }
        let (row, _) = self.latest(closed).ok()?;
        Some(EntryFeatures { version: features::VERSION, values: row.to_vec() })
    }
}

impl SignalLoop {
    /// The last stored candles of `market`, from memory while the file stays the same.
    ///
    /// # Errors
    /// [`Error::NoData`] when none are stored; else as [`Self::stored_tail`].
    pub(super) fn tail(&self, market: &Market) -> Result<Arc<Tail>> {
        self.stored_tail(market)?.ok_or_else(|| self.no_candles(market))
    }

    /// That none are stored, and what to do.
    pub(super) fn no_candles(&self, market: &Market) -> Error {
        Error::NoData(format!(
            "no candles of {market}: {} does not exist; fetch them with `signalloop fetch --symbol {} --timeframe {}`",
            candle_file(&self.data_folder(), market).display(),
            market.symbol,
            market.timeframe
        ))
    }

    /// [`Self::tail`], or `None` when none are stored.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadCandle`] when the file must be put right first.
    pub(super) fn stored_tail(&self, market: &Market) -> Result<Option<Arc<Tail>>> {
        let path = candle_file(&self.data_folder(), market);
        let Some(stamp) = Stamp::of(&path)? else { return Ok(None) };
        if let Some((_, tail)) = self.tails.known.read().get(market).filter(|(known, _)| *known == stamp) {
            return Ok(Some(tail.clone()));
        }
        let (candles, findings) = read_candles(&path, market.timeframe, &Reading::stored())?;
        if findings.repaired() {
            // A prediction has no place to say so; a fetch does.
            let problem = format!("it must be put right first: {findings}. `signalloop fetch` does so");
            return Err(Error::BadCandle { place: path.display().to_string(), problem });
        }
        let tail = Arc::new(Tail::of(&candles, market.timeframe.millis()));
        self.tails.known.write().insert(market.clone(), (stamp, tail.clone()));
        Ok(Some(tail))
    }

    /// Has candles of a market that had none be looked for at once.
    pub(super) fn may_have_candles(&self, market: &Market) {
        self.tails.lacking.lock().remove(market);
    }

    /// [`Self::stored_tail`], where it is known without reading candles; the outer `None` where they must be read.
    pub(super) fn tail_in_memory(&self, market: &Market) -> Option<Option<Arc<Tail>>> {
        let mut lacking = self.tails.lacking.lock();
        if lacking.get(market).is_some_and(|since| since.elapsed() < LOOK_AGAIN) {
            return Some(None);
        }
        match Stamp::of(&candle_file(&self.data_folder(), market)).ok()? {
            None => {
                lacking.insert(market.clone(), Instant::now());
                Some(None)
            }
            Some(stamp) => {
                lacking.remove(market);
                let known = self.tails.known.try_read()?;
                known.get(market).filter(|(known, _)| *known == stamp).map(|(_, tail)| Some(tail.clone()))
            }
        }
    }
}
