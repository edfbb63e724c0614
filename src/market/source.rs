//! Where candles come from, and bringing a candle file up to date.

use super::csv::{candle_file, merge, read_csv, write_csv};
use super::{Candle, check_series};
use crate::error::{Error, Result};
use crate::symbol::Market;
use crate::time::{MAX_MILLIS, MIN_MILLIS, format_iso};
use std::path::Path;
use std::pin::Pin;

const DAY_MS: i64 = 86_400_000;

/// The candles that a [`CandleSource`] will have found.
pub type CandleFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<Candle>>> + Send + 'a>>;

/// Something that has candles: the exchange, or a callback of the user's.
pub trait CandleSource: Send + Sync {
    /// The candles of `market` whose open times lie in `[from_ms, until_ms)`, oldest first.
    /// [`update`] bears with a source that returns more than that, a candle still open included.
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a>;
}

/// What an [`update`] of one market came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The market.
    pub market: Market,
    /// Candles that were not in the file before.
    pub added: usize,
    /// Candles in the file now.
    pub total: usize,
    /// Open time of the first candle in the file.
    pub first_ms: i64,
    /// Open time of the last candle in the file.
    pub last_ms: i64,
}

/// Brings the candle file of `market` in `data_folder` up to `now_ms`: asks `source` for what came since the last stored
/// candle, the first time for `history_days` days, and replaces the file in one step. Closed candles only.
///
/// The last stored candle is asked for once more along with what is new. That costs no request, and heals a file whose
/// last candle was stored before it closed, which the old system did and a clock running fast still does. When nothing
/// can have come since, nothing is asked.
///
/// # Errors
/// The source's; [`Error::BadCandle`] when it returns a candle that cannot be true; [`Error::NoData`] when it has no candles
/// and none are stored; [`Error::Io`] and [`Error::BadCandle`] of the file. The file then stays as it was.
pub async fn update(
    source: &dyn CandleSource,
    data_folder: &Path,
    market: &Market,
    history_days: u32,
    now_ms: i64,
) -> Result<Fetched> {
    let path = candle_file(data_folder, market);
    let stored = off_runtime({
        let path = path.clone();
        move || read_if_present(&path)
    })
    .await?;
    let closed = |candle: &Candle| candle.open_ms + market.timeframe.millis() <= now_ms;
    let mut kept = stored.clone();
    if kept.last().is_some_and(|last| !closed(last)) {
        kept.pop();
    }
    let from = kept.last().map_or(now_ms - i64::from(history_days) * DAY_MS, |last| last.open_ms);
    // The first open time of a candle that has not closed yet.
    let until = now_ms - market.timeframe.millis() + 1;
    let next = kept.last().map_or(from, |last| last.open_ms + market.timeframe.millis());
    let mut fresh = Vec::new();
    if next < until {
        fresh = source.candles(market, from, until).await.map_err(|error| nothing_stored(error, &kept, &path))?;
        check(&fresh, market)?;
        fresh.retain(|candle| candle.open_ms >= from && closed(candle));
    }
    let merged = merge(&kept, &fresh);
    let (Some(first), Some(last)) = (merged.first(), merged.last()) else {
        return Err(Error::NoData(format!(
            "{market}: the source has no closed candles from {} to {}, and none are stored in {}",
            format_iso(from),
            format_iso(now_ms),
            path.display()
        )));
    };
    let fetched = Fetched {
        market: market.clone(),
        added: merged.len() - kept.len(),
        total: merged.len(),
        first_ms: first.open_ms,
        last_ms: last.open_ms,
    };
    if merged != stored {
        off_runtime(move || write_csv(&path, &merged)).await?;
    }
    Ok(fetched)
}

fn read_if_present(path: &Path) -> Result<Vec<Candle>> {
    if path.exists() { read_csv(path) } else { Ok(Vec::new()) }
}

/// Neither the exchange nor a file: one error says both, since either would help.
fn nothing_stored(error: Error, kept: &[Candle], path: &Path) -> Error {
    match error {
        Error::Exchange(said) if kept.is_empty() && !path.exists() => Error::Exchange(format!(
            "{said}; and {} does not exist, so there are no stored candles to work with",
            path.display()
        )),
        other => other,
    }
}

/// An error that names the first candle that cannot be used.
fn check(fresh: &[Candle], market: &Market) -> Result<()> {
    let bad = |candle: &Candle, problem: String| Error::BadCandle {
        place: format!("{market}, candle of {} from the source", format_iso(candle.open_ms)),
        problem,
    };
    if let Some(candle) = fresh.iter().find(|candle| !(MIN_MILLIS..=MAX_MILLIS).contains(&candle.open_ms)) {
        return Err(bad(candle, format!("its open time must be in UTC epoch milliseconds; got {}", candle.open_ms)));
    }
    check_series(fresh).map_err(|error| match error {
        Error::InvalidCandle { index, .. } => bad(&fresh[index], error.to_string()),
        other => other,
    })
}

/// Runs file work on a thread of its own: reading and syncing must not hold up the runtime's other tasks.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Internal(e.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    const HOUR: i64 = 3_600_000;
    const NOON: i64 = 1_757_764_800_000;

    fn candle(open_ms: i64) -> Candle {
        Candle { open_ms, open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume: 5.0 }
    }

    fn hours(from: i64, count: i64) -> Vec<Candle> {
        (0..count).map(|i| candle(from + i * HOUR)).collect()
    }

    /// Returns the same whatever it is asked for, as a careless callback might, and writes down what it was asked.
    struct Careless(Result<Vec<Candle>>, Mutex<Vec<(i64, i64)>>);

    impl CandleSource for Careless {
        fn candles<'a>(&'a self, _market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
            self.1.lock().push((from_ms, until_ms));
            Box::pin(async { self.0.clone() })
        }
    }

    fn careless(candles: Vec<Candle>) -> Careless {
        Careless(Ok(candles), Mutex::default())
    }

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    #[tokio::test]
    async fn asks_only_from_the_last_stored_candle_and_heals_it() {
        let home = tempfile::tempdir().unwrap();
        let path = candle_file(home.path(), &market());
        let half = Candle { close: 9.5, ..candle(NOON) };
        write_csv(&path, &[candle(NOON - HOUR), half]).unwrap();
        let source = careless(hours(NOON - 5 * HOUR, 9));
        let fetched = update(&source, home.path(), &market(), 90, NOON + 3 * HOUR + 5).await.unwrap();
        assert_eq!(*source.1.lock(), [(NOON, NOON + 2 * HOUR + 6)]);
        assert_eq!((fetched.added, fetched.total, fetched.last_ms), (2, 4, NOON + 2 * HOUR));
        assert_eq!(read_csv(&path).unwrap(), hours(NOON - HOUR, 4));

        update(&source, home.path(), &market(), 90, NOON + 4 * HOUR - 1).await.unwrap();
        assert_eq!(source.1.lock().len(), 1, "nothing can have come since");
    }

    #[tokio::test]
    async fn a_stored_candle_still_open_goes() {
        let home = tempfile::tempdir().unwrap();
        let path = candle_file(home.path(), &market());
        write_csv(&path, &hours(NOON, 3)).unwrap();
        let source = careless(hours(NOON, 3));
        let fetched = update(&source, home.path(), &market(), 90, NOON + 3 * HOUR - 1).await.unwrap();
        assert_eq!((fetched.added, fetched.total), (0, 2));
        assert_eq!(read_csv(&path).unwrap(), hours(NOON, 2));
    }

    #[tokio::test]
    async fn a_bad_candle_is_named_and_the_file_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = candle_file(home.path(), &market());
        write_csv(&path, &hours(NOON, 2)).unwrap();
        let bad = [
            (vec![candle(NOON), Candle { low: f64::NAN, ..candle(NOON + HOUR) }], "13:00:00.000Z from the source"),
            (vec![candle(NOON), candle(NOON)], "later than"),
            (vec![candle(NOON / 1000)], "milliseconds; got 1757764800"),
        ];
        for (candles, expected) in bad {
            let error = update(&careless(candles), home.path(), &market(), 90, NOON + 9 * HOUR).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.code(), "ERR_INVALID_CANDLE");
        }
        assert_eq!(read_csv(&path).unwrap(), hours(NOON, 2));
    }

    #[tokio::test]
    async fn neither_network_nor_file() {
        let home = tempfile::tempdir().unwrap();
        let source = Careless(Err(Error::Exchange("cannot reach it".into())), Mutex::default());
        let error = update(&source, home.path(), &market(), 90, NOON).await.unwrap_err().to_string();
        assert!(error.contains("cannot reach it; and ") && error.contains("btcusdt_1h.csv does not exist"), "{error}");
        assert_eq!(*source.1.lock(), [(NOON - 90 * DAY_MS, NOON - HOUR + 1)]);

        let error = update(&careless(Vec::new()), home.path(), &market(), 90, NOON).await.unwrap_err();
        assert_eq!(error.code(), "ERR_NO_DATA");
    }
}
