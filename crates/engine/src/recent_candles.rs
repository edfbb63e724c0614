//! The recent candles of each market: the last stored ones, cached in memory until their file changes, and those that
//! the backend has given since.

use super::fed_candles::FedCandles;
use super::replay;
use super::settings::Settings;
use candles::{Fetched, Findings, PastCandles, Reading, candle_file, read_candles};
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::signal::{EntryFeatures, Signal};
use domain::symbol::Market;
use domain::time::DAY_MS;
use learning::features::{self, Missing, Row};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::Stamp;

/// Candles kept in memory for each market: [`SETTLED`], and a hundred more for signals that are some candles old.
pub(super) const MAX_RECENT: usize = 400;

/// After this many candles, the longest moving average no longer depends on where it started.
pub(super) const SETTLED: usize = 300;

/// If a market had no stored candles, callers that must not wait check it again only after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The last [`MAX_RECENT`] candles of a market, in order.
#[derive(Debug)]
pub(super) struct RecentCandles {
    candles: Vec<Candle>,
    /// The trading hours, learned from all stored candles, just as a training learns them.
    calendar: Arc<Calendar>,
    /// Whether there are older candles than these.
    is_cut: bool,
    /// A cache of the features computed last, and the number of candles they were computed from. Most callers ask for
    /// the latest.
    latest: Mutex<Option<(usize, Latest)>>,
}

/// Features and the average true range, or why there are none.
pub(super) type Latest = std::result::Result<(Row, f64), Missing>;

/// Which candles of a market were seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Seen {
    /// Those of a file with this stamp.
    File(Stamp),
    /// The first of the candles of a replay, by their number.
    First(usize),
}

/// The stored candles of a home, with the newest candles of each market in memory. In a replay, those of the past that
/// have closed by the simulated time take the place of the files.
pub struct CandleStore {
    pub(super) settings: Arc<Settings>,
    past: Option<Arc<PastCandles>>,
    known: RwLock<HashMap<Market, (Seen, Arc<RecentCandles>)>>,
    /// Markets found to have no stored candles, and when that was.
    lacking: Mutex<HashMap<Market, Instant>>,
    /// The candles that the backend gave, by market.
    fed: Mutex<HashMap<Market, FedCandles>>,
}

impl Deref for RecentCandles {
    type Target = [Candle];

    fn deref(&self) -> &[Candle] {
        &self.candles
    }
}

impl RecentCandles {
    fn of(candles: &[Candle], candle_ms: i64) -> Self {
        Self::new(candles, Arc::new(Calendar::learn(candles, candle_ms)), false)
    }

    /// Keeps the last of these candles. `is_cut` says whether there are older ones besides.
    pub fn new(candles: &[Candle], calendar: Arc<Calendar>, is_cut: bool) -> Self {
        let cut = candles.len().saturating_sub(MAX_RECENT);
        Self { candles: candles[cut..].to_vec(), calendar, is_cut: is_cut || cut > 0, latest: Mutex::default() }
    }

    /// Whether there are older candles than these.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The trading hours of the market.
    pub fn calendar(&self) -> &Arc<Calendar> {
        &self.calendar
    }

    /// [`features::latest`] of the first `count` candles.
    pub fn latest(&self, count: usize) -> Latest {
        let mut known = self.latest.lock();
        match *known {
            Some((of, latest)) if of == count => latest,
            _ => known.insert((count, features::latest_within(&self.candles[..count], &self.calendar))).1,
        }
    }

    /// The features of the last candle closed before the signal; `None` if it is not among these candles, or has no
    /// features.
    pub fn entry_features(&self, signal: &Signal) -> Option<EntryFeatures> {
        let closed = closed_by(&self.candles, self.calendar.step_ms(), signal.timestamp_ms);
        if !follows(&self.candles[..closed], &self.calendar, signal.timestamp_ms) {
            return None;
        }
        self.latest(closed).ok().map(|(row, _)| entry(&row))
    }

    /// Whether the entry features of the signal need older candles than these.
    pub fn is_too_short_for(&self, signal: &Signal) -> bool {
        self.is_cut && closed_by(&self.candles, self.calendar.step_ms(), signal.timestamp_ms) < SETTLED
    }
}

/// The calendar of `before`, if it is still right for the candles that have closed since: it is learned again where a
/// market that closes has had its last candle of a day, or where candles are missing.
fn grown_calendar(before: &RecentCandles, seen: &[Candle], closed: &[Candle]) -> Option<Arc<Calendar>> {
    let calendar = before.calendar();
    let step_ms = calendar.step_ms();
    let from = seen.len().checked_sub(1)?;
    let follows = |pair: &[Candle]| pair[1].open_ms - pair[0].open_ms == step_ms;
    let is_same_day = |pair: &[Candle]| pair[0].open_ms.div_euclid(DAY_MS) == pair[1].open_ms.div_euclid(DAY_MS);
    let stays = |pair: &[Candle]| follows(pair) && (!calendar.closes() || is_same_day(pair));
    closed[from..].windows(2).all(stays).then(|| calendar.clone())
}

/// How many candles had closed by `time_ms`. A signal of that time may use only these.
fn closed_by(candles: &[Candle], candle_ms: i64, time_ms: i64) -> usize {
    candles.partition_point(|candle| candle.open_ms + candle_ms <= time_ms)
}

/// Whether the last of these candles is the newest that can have closed by `time_ms`. If newer ones are missing, these
/// candles say nothing about that time.
fn follows(closed: &[Candle], calendar: &Calendar, time_ms: i64) -> bool {
    closed.last().is_some_and(|last| !calendar.is_behind(last.open_ms, time_ms))
}

fn entry(row: &Row) -> EntryFeatures {
    EntryFeatures { version: features::VERSION, values: row.to_vec() }
}

/// All stored candles of the markets of one call, with each file read once. They are needed for signals older than
/// [`RecentCandles`].
#[derive(Debug, Default)]
pub struct HistoryCache(Mutex<HashMap<Market, Option<Arc<History>>>>);

/// All stored candles of a market, and its trading hours.
#[derive(Debug)]
struct History {
    candles: Vec<Candle>,
    calendar: Arc<Calendar>,
}

impl HistoryCache {
    /// The entry features of signals of `market` given at these times. Candles that cannot be read count as missing,
    /// because features are optional.
    pub(super) fn entry_features(
        &self,
        candles: &CandleStore,
        market: &Market,
        times_ms: &[i64],
    ) -> Vec<Option<EntryFeatures>> {
        let read = |market: &Market| {
            let candles = candles.all(market).ok().flatten()?;
            let calendar = Arc::new(Calendar::learn(&candles, market.timeframe.millis()));
            Some(Arc::new(History { candles, calendar }))
        };
        let history = self.0.lock().entry(market.clone()).or_insert_with_key(read).clone();
        history.map_or_else(|| vec![None; times_ms.len()], |history| entries(&history, times_ms))
    }
}

/// The features of the last candle closed by each of these times; `None` after a gap, or if that candle has no
/// features.
fn entries(History { candles, calendar }: &History, times_ms: &[i64]) -> Vec<Option<EntryFeatures>> {
    let candle_ms = calendar.step_ms();
    let closed: Vec<usize> = times_ms.iter().map(|&time_ms| closed_by(candles, candle_ms, time_ms)).collect();
    let first = closed.iter().min().map_or(0, |first| first.saturating_sub(MAX_RECENT));
    let last = closed.iter().max().map_or(0, |last| *last);
    let table = features::compute_within(&candles[first..last], calendar);
    let of = |(&closed, &time_ms): (&usize, &i64)| {
        if !follows(&candles[..closed], calendar, time_ms) {
            return None;
        }
        let at = table.bars.binary_search(&(closed - 1 - first)).ok()?;
        Some(entry(&table.rows[at]))
    };
    closed.iter().zip(times_ms).map(of).collect()
}

impl CandleStore {
    /// The candles of the home's files or, in a replay, those of `past`.
    pub(super) fn new(settings: Arc<Settings>, past: Option<Arc<PastCandles>>) -> Self {
        Self { settings, past, known: RwLock::default(), lacking: Mutex::default(), fed: Mutex::default() }
    }

    /// The candles of a replay that have closed, or `None` if the candles are in files.
    fn closed(&self, market: &Market) -> Option<&[Candle]> {
        self.past.as_ref().map(|past| past.closed(market, self.settings.now_ms()))
    }

    /// What a fetch finds in a replay; `None` if this is none.
    pub(super) fn fetched_of_replay(&self, market: &Market) -> Option<Result<Fetched>> {
        self.past.as_ref().map(|past| replay::fetched(past, market, self.settings.now_ms()))
    }

    /// Whether there are stored candles of a market.
    pub(super) fn has(&self, market: &Market) -> bool {
        match self.closed(market) {
            Some(closed) => !closed.is_empty(),
            None => candle_file(&self.settings.data_folder(), market).exists(),
        }
    }

    /// The stored candles of a market for a training, with what had to be corrected; `None` if there are none.
    ///
    /// # Errors
    /// As [`read_candles`].
    pub(super) fn for_training(&self, market: &Market) -> Result<Option<(Vec<Candle>, Findings)>> {
        if !self.has(market) {
            return Ok(None);
        }
        match self.closed(market) {
            Some(closed) => Ok(Some((closed.to_vec(), Findings::default()))),
            None => {
                let path = candle_file(&self.settings.data_folder(), market);
                read_candles(&path, market.timeframe, &Reading::stored()).map(Some)
            }
        }
    }

    /// [`Self::recent`] for a market that must have candles.
    ///
    /// # Errors
    /// [`Error::NoData`] if none are stored; otherwise as [`Self::recent`].
    pub(super) fn require(&self, market: &Market) -> Result<Arc<RecentCandles>> {
        self.recent(market)?.ok_or_else(|| self.none_stored(market))
    }

    /// The error for a market without stored candles, with advice on what to do.
    pub(super) fn none_stored(&self, market: &Market) -> Error {
        Error::NoData(format!(
            "no candles of {market}: {} does not exist; fetch them with `signalloop fetch --symbol {} --timeframe {}`",
            candle_file(&self.settings.data_folder(), market).display(),
            market.symbol,
            market.timeframe
        ))
    }

    /// The recent candles of a market: the last stored ones and those given since, without a gap. `None` if there are
    /// none. Reads the file of stored candles if it has changed.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadCandle`] if the file has to be repaired first.
    pub(super) fn recent(&self, market: &Market) -> Result<Option<Arc<RecentCandles>>> {
        Ok(self.grown(market, self.stored(market)?))
    }

    /// The last stored candles, and which these are; `None` if none are stored.
    ///
    /// # Errors
    /// As [`Self::recent`].
    pub(super) fn stored(&self, market: &Market) -> Result<Option<(Seen, Arc<RecentCandles>)>> {
        if let Some(closed) = self.closed(market) {
            return Ok(self.of_replay(market, closed));
        }
        let path = candle_file(&self.settings.data_folder(), market);
        let Some(seen) = Stamp::of(&path)?.map(Seen::File) else { return Ok(None) };
        if let Some(known) = self.known.read().get(market).filter(|(known, _)| *known == seen) {
            return Ok(Some(known.clone()));
        }
        let Some((stamp, candles)) = self.read_all(market)? else { return Ok(None) };
        let recent = Arc::new(RecentCandles::of(&candles, market.timeframe.millis()));
        self.known.write().insert(market.clone(), (Seen::File(stamp), recent.clone()));
        Ok(Some((Seen::File(stamp), recent)))
    }

    /// The last of the `closed` candles of a replay.
    fn of_replay(&self, market: &Market, closed: &[Candle]) -> Option<(Seen, Arc<RecentCandles>)> {
        if closed.is_empty() {
            return None;
        }
        let seen = Seen::First(closed.len());
        let known = self.known.read().get(market).cloned();
        let calendar = match known {
            Some((before, recent)) if before == seen => return Some((seen, recent)),
            Some((Seen::First(before), recent)) => grown_calendar(&recent, &closed[..before], closed),
            _ => None,
        };
        let calendar = calendar.unwrap_or_else(|| Arc::new(Calendar::learn(closed, market.timeframe.millis())));
        let recent = Arc::new(RecentCandles::new(closed, calendar, false));
        self.known.write().insert(market.clone(), (seen, recent.clone()));
        Some((seen, recent))
    }

    /// Keeps a closed candle that the backend gave. A replay has it already.
    pub(super) fn feed(&self, market: Market, candle: Candle) {
        if self.past.is_some() {
            return;
        }
        self.fed.lock().entry(market).or_default().give(candle);
    }

    /// The stored candles, extended by those given since.
    fn grown(&self, market: &Market, stored: Option<(Seen, Arc<RecentCandles>)>) -> Option<Arc<RecentCandles>> {
        match self.fed.lock().get_mut(market) {
            Some(fed) => fed.grown(stored, market.timeframe.millis()),
            None => stored.map(|(_, recent)| recent),
        }
    }

    /// All stored candles of `market`; `None` if there are none.
    ///
    /// # Errors
    /// As [`Self::recent`].
    pub(super) fn all(&self, market: &Market) -> Result<Option<Vec<Candle>>> {
        match self.closed(market) {
            Some(closed) => Ok(Some(closed.to_vec()).filter(|closed| !closed.is_empty())),
            None => Ok(self.read_all(market)?.map(|(_, candles)| candles)),
        }
    }

    /// All stored candles of `market`, read from their file, and the stamp of the file.
    ///
    /// # Errors
    /// As [`Self::recent`].
    fn read_all(&self, market: &Market) -> Result<Option<(Stamp, Vec<Candle>)>> {
        let path = candle_file(&self.settings.data_folder(), market);
        let Some(stamp) = Stamp::of(&path)? else { return Ok(None) };
        let (candles, findings) = read_candles(&path, market.timeframe, &Reading::stored())?;
        if findings.repaired() {
            // A prediction cannot report what was repaired; a fetch can.
            let problem = format!("it must be repaired first: {findings}. `signalloop fetch` does that");
            return Err(Error::BadCandle { place: path.display().to_string(), problem });
        }
        Ok(Some((stamp, candles)))
    }

    /// Checks the file of a market again at the next call, because it may have candles now.
    pub(super) fn look_again(&self, market: &Market) {
        self.lacking.lock().remove(market);
    }

    /// [`Self::recent`] for callers that must not wait; the outer `None` means that a file has to be read. A market
    /// that had no stored candles a moment ago is assumed to still have none.
    pub(super) fn recent_in_memory(&self, market: &Market) -> Option<Option<Arc<RecentCandles>>> {
        if let Some(closed) = self.closed(market) {
            return Some(self.of_replay(market, closed).map(|(_, recent)| recent));
        }
        let mut lacking = self.lacking.lock();
        if lacking.get(market).is_some_and(|since| since.elapsed() < LOOK_AGAIN) {
            return Some(self.grown(market, None));
        }
        match Stamp::of(&candle_file(&self.settings.data_folder(), market)).ok()? {
            None => {
                lacking.insert(market.clone(), Instant::now());
                Some(self.grown(market, None))
            }
            Some(stamp) => {
                lacking.remove(market);
                let seen = Seen::File(stamp);
                let known = self.known.try_read()?.get(market).filter(|(known, _)| *known == seen)?.clone();
                Some(self.grown(market, Some(known)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, SignalLoop};
    use candles::write_csv;
    use domain::answer::Answer;
    use domain::signal::{Record, Source};
    use domain::time::Tz;
    use serde_json::{Value, json};

    const HOUR: i64 = 3_600_000;
    const FIRST: i64 = 1_700_002_800_000;
    const STORED: usize = 1000;

    fn candles() -> Vec<Candle> {
        let candle = |i: usize| {
            let (x, open_ms) = (i as f64, FIRST + i as i64 * HOUR + if i >= 600 { 50 * HOUR } else { 0 });
            let (open, close) = (100.0 + (x / 7.0).sin(), 100.0 + ((x + 1.0) / 7.0).sin());
            let (high, low) = (open.max(close) + 0.3, open.min(close) - 0.2);
            Candle { open_ms, open, high, low, close, volume: 50.0 + 20.0 * (x / 5.0).sin() }
        };
        (0..STORED).map(candle).collect()
    }

    fn loop_with_candles(home: &std::path::Path) -> SignalLoop {
        let core = SignalLoop::open(Options { home: Some(home.to_owned()), ..Options::default() }).unwrap();
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        write_csv(&candle_file(&core.settings().data_folder(), &market), &candles()).unwrap();
        core
    }

    fn signal(id: &str, timestamp_ms: i64) -> Value {
        json!({ "id": id, "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "timestamp": timestamp_ms })
    }

    /// Times of a signal, each with a name, and the features expected at that time.
    fn expected() -> Vec<(String, i64, Option<Vec<f64>>)> {
        let all = candles();
        let row = |closed: usize| {
            let from = closed.saturating_sub(MAX_RECENT);
            features::latest(&all[from..closed], HOUR).ok().map(|(row, _)| row.to_vec())
        };
        let mut times: Vec<_> = [50usize, 97, 300, 599, 650, 700, 980, 1000]
            .map(|closed| (format!("c{closed}"), all[closed - 1].open_ms + HOUR + 1, row(closed)))
            .into();
        assert!(times.iter().filter(|(.., row)| row.is_some()).count() == 6);
        // In the gap, and in the last millisecond before a candle closes.
        times.push(("hole".to_owned(), all[599].open_ms + 5 * HOUR, None));
        times.push(("before".to_owned(), all[400].open_ms + HOUR - 1, row(400)));
        times
    }

    fn check(record: &Record, expected: Option<&Vec<f64>>) {
        let id = &record.signal.id;
        match (record.signal.features.as_ref(), expected) {
            (None, None) => {}
            (Some(found), Some(expected)) => {
                assert_eq!(found.version, features::VERSION);
                for (a, b) in found.values.iter().zip(expected) {
                    assert!((a - b).abs() <= 1e-3 * b.abs().max(1.0), "{id}: {a} instead of {b}");
                }
            }
            (found, _) => panic!("{id}: features {}", found.is_some()),
        }
    }

    #[tokio::test]
    async fn signals_of_any_age_get_the_features_of_their_entry() {
        let home = tempfile::tempdir().unwrap();
        let core = Arc::new(loop_with_candles(home.path()));
        let given =
            |(id, at, _): &(String, i64, _)| Signal::from_value(signal(id, *at), Source::Caller, Tz::UTC).unwrap();
        core.signals().record(expected().iter().map(given).collect()).await.unwrap();
        for (id, _, row) in expected() {
            check(&core.store().open().unwrap().get(&id).unwrap().unwrap(), row.as_ref());
        }
        // A signal that needs older candles must not be recorded on the event loop.
        let old = Signal::from_value(signal("old", FIRST + 300 * HOUR), Source::Caller, Tz::UTC).unwrap();
        let new = Signal::from_value(signal("new", FIRST + 1049 * HOUR), Source::Caller, Tz::UTC).unwrap();
        let at_once = |signal: Signal| matches!(core.signals().encoded(vec![signal.into()]), Ok(Answer::Ready(_)));
        assert!(!at_once(old) && at_once(new));
        core.close().await;
    }

    #[tokio::test]
    async fn imported_signals_do_too_unless_they_bring_their_own() {
        let home = tempfile::tempdir().unwrap();
        let core = Arc::new(loop_with_candles(home.path()));
        let mut own = signal("own", FIRST + 300 * HOUR);
        own["features"] = json!({ "version": 1, "values": [7.0] });
        let lines: Vec<String> = expected().iter().map(|(id, at, _)| signal(id, *at).to_string()).collect();
        let file = home.path().join("other.jsonl");
        std::fs::write(&file, format!("{}\n{own}\n", lines.join("\n"))).unwrap();
        assert_eq!(core.signals().import(&file).await.unwrap().imported, lines.len() as u64 + 1);
        for (id, _, row) in expected() {
            check(&core.store().open().unwrap().get(&id).unwrap().unwrap(), row.as_ref());
        }
        let kept = core.store().open().unwrap().get("own").unwrap().unwrap().signal.features.unwrap();
        assert_eq!(kept.values, [7.0]);
        core.close().await;
    }

    #[tokio::test]
    async fn a_signal_of_the_future_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let core =
            Arc::new(SignalLoop::open(Options { home: Some(home.path().to_owned()), ..Options::default() }).unwrap());
        let at = |hours: i64| {
            Signal::from_value(signal("a", core.settings().now_ms() + hours * HOUR), Source::Caller, Tz::UTC).unwrap()
        };
        assert_eq!(core.signals().record(vec![at(25)]).await.unwrap_err().code(), "ERR_INVALID_SIGNAL");
        core.signals().record(vec![at(23)]).await.unwrap();
        core.close().await;
    }
}
