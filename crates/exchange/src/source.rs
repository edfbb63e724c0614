//! Sources of candles, and updating a candle file from one.

use super::walk::{Tell, Walk, unfinished};
use candles::csv::{candle_file, merge, write_csv};
use candles::findings::{Cause, Findings};
use candles::gaps::{Hole, KnownGaps, groups, holes};
use candles::growing::{Growing, forget, interrupted};
use candles::import::{Fetched, drop_open};
use candles::reader::{Reading, read_candles};
use candles::series::{RunEnds, check_steps, settle};
use domain::calendar::Calendar;
use domain::candle::{Candle, check_series};
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::threads;
use domain::time::{DAY_MS, MAX_MILLIS, MIN_MILLIS, format_iso};
use std::path::Path;
use std::pin::Pin;

/// After this long without a candle, the source is asked whether the market still trades.
const QUIET_MS: i64 = 2 * DAY_MS;
/// After this long without a candle, the market counts as delisted.
const GONE_MS: i64 = 30 * DAY_MS;

/// Candles from a [`CandleSource`], in any order, with the corrections that it made itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The candles.
    pub candles: Vec<Candle>,
    /// What was corrected.
    pub findings: Findings,
}

impl From<Vec<Candle>> for Found {
    fn from(candles: Vec<Candle>) -> Self {
        Self { candles, findings: Findings::default() }
    }
}

/// The result of [`CandleSource::candles`].
pub type CandleFuture<'a> = Pin<Box<dyn Future<Output = Result<Found>> + Send + 'a>>;

/// Whether a source still has new candles of a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// It is traded.
    Traded,
    /// It does not trade, with the reason.
    Not(String),
    /// The source does not know.
    Unknown,
}

/// The result of [`CandleSource::listing`].
pub type ListingFuture<'a> = Pin<Box<dyn Future<Output = Listing> + Send + 'a>>;

/// The result of [`CandleSource::first_ms`]; `None` if the source cannot tell.
pub type FirstFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<i64>>> + Send + 'a>>;

/// A source of candles: the exchange, or a user's callback.
pub trait CandleSource: Send + Sync {
    /// The candles of `market` whose open times lie in `[from_ms, until_ms)`. [`update`] tolerates a source that returns more,
    /// even a candle that is still open.
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a>;

    /// The open time of the first candle at or after `from_ms`, UTC epoch ms, if one request can tell it.
    fn first_ms<'a>(&'a self, _market: &'a Market, _from_ms: i64) -> FirstFuture<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether a market without recent candles will have more.
    fn listing<'a>(&'a self, _market: &'a Market) -> ListingFuture<'a> {
        Box::pin(std::future::ready(Listing::Unknown))
    }
}

/// How far back the candles of a market go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// This many days, plus everything stored before that. 0 fetches nothing older than what is stored.
    Days(u32),
    /// As far as the source has candles, at most this many before now; plus everything stored before that.
    Candles(u32),
    /// From this time, UTC epoch ms. Older stored candles are deleted for good.
    Since(i64),
}

/// Updates the candle file of `market` in `data_folder` up to `now_ms`. It corrects the file if possible, fetches from `source`
/// the candles after the last stored one and the older ones back to `begin`, and requests each hole in between once more. Candles
/// still missing then are remembered and not requested again. Only closed candles are stored; the file is replaced in one step.
///
/// The last stored candle is requested again together with new ones. That costs no extra request, and corrects a candle that was
/// stored before it closed, by the former system or by a clock that is fast. If no new candle can exist yet, nothing is
/// requested.
///
/// Each page is stored before the next one is requested. So an update that is interrupted or fails continues there the next time.
///
/// # Errors
/// Those of the source; [`Error::BadCandle`] for a candle that is invalid or does not fit the stored ones; [`Error::NoData`] if
/// the source has no candles and none are stored; [`Error::Io`] and [`Error::BadCandle`] for the file. The file then contains
/// what was fetched before. Older candles and holes that could not be fetched are findings, not errors.
pub async fn update(
    source: &dyn CandleSource,
    data_folder: &Path,
    market: &Market,
    begin: Begin,
    now_ms: i64,
) -> Result<Fetched> {
    update_telling(source, data_folder, market, begin, now_ms, &|_| {}).await
}

/// [`update`], reporting progress to `tell` after each page.
///
/// # Errors
/// As [`update`].
pub async fn update_telling(
    source: &dyn CandleSource,
    data_folder: &Path,
    market: &Market,
    begin: Begin,
    now_ms: i64,
    tell: Tell<'_>,
) -> Result<Fetched> {
    let path = candle_file(data_folder, market);
    let Stored { candles, mut known, findings } = threads::blocking({
        let (folder, market) = (data_folder.to_owned(), market.clone());
        move || read_stored(&folder, &market, begin, now_ms)
    })
    .await?;
    let (stored, stored_first, known_before) = (candles.len(), candles.first().copied(), known.clone());
    let step = market.timeframe.millis();
    let mut walk = Walk {
        asking: Asking { source, market, now_ms },
        series: Growing::stored(&path, candles),
        findings,
        begin_ms: begin.ms(&known, market, now_ms),
        // The first open time of a candle that has not closed yet.
        until_ms: now_ms - step + 1,
        is_sure: !matches!(begin, Begin::Candles(_)),
        fetched: 0,
        tell,
    };
    let begin_ms = walk.begin_ms;
    walk.skip(&known);
    let newer = walk.newer().await;
    let older = if newer.is_ok() { walk.older(&mut known).await } else { Ok(()) };
    let Walk { asking, mut series, mut findings, .. } = walk;
    let is_whole = older.is_ok();
    if let Err(error) = newer.and_then(|()| older.or_else(|error| unfinished(error, &series, &mut findings))) {
        let error = nothing_stored(error, series.first().is_none(), &path);
        // What was fetched before the error is kept.
        threads::blocking(move || series.finish()).await?;
        return Err(error);
    }
    let Some(last) = series.last().copied() else {
        return Err(Error::NoData(format!(
            "{market}: the source has no closed candles from {} to {}, and none are stored in {}",
            format_iso(begin_ms),
            format_iso(now_ms),
            path.display()
        )));
    };
    asking.look_for_the_end(last, &mut findings).await;
    if let Some(first) = stored_first {
        let older = series.all().partition_point(|candle| candle.open_ms < first.open_ms);
        findings.add(Cause::Backfilled, older, || format_iso(series.all()[0].open_ms));
    }
    if is_whole {
        asking.fill_series(&mut series, &mut known, &mut findings).await;
    }
    let candles = series.all();
    let fetched = Fetched {
        market: market.clone(),
        added: candles.len() - stored,
        total: candles.len(),
        first_ms: candles[0].open_ms,
        last_ms: candles[candles.len() - 1].open_ms,
        findings,
    };
    let (folder, market) = (data_folder.to_owned(), market.clone());
    threads::blocking(move || {
        series.finish()?;
        if known != known_before { known.save(&folder, &market) } else { Ok(()) }
    })
    .await?;
    Ok(fetched)
}

impl Begin {
    /// The time from which candles of `market` are wanted.
    fn ms(self, known: &KnownGaps, market: &Market, now_ms: i64) -> i64 {
        let ago = |ms: i64| known.begin_ms().max(now_ms - ms);
        match self {
            Self::Days(days) => ago(i64::from(days) * DAY_MS),
            // Must differ from the time that stands for `--since` in the known gaps.
            Self::Candles(count) => ago(i64::from(count) * market.timeframe.millis()).max(MIN_MILLIS + 1),
            Self::Since(since_ms) => since_ms,
        }
    }
}

/// The stored candles of a market.
struct Stored {
    candles: Vec<Candle>,
    known: KnownGaps,
    findings: Findings,
}

/// Reads what is stored. Corrections and deletions are written back at once, since they do not depend on the source's answer.
fn read_stored(data_folder: &Path, market: &Market, begin: Begin, now_ms: i64) -> Result<Stored> {
    let path = candle_file(data_folder, market);
    let mut known = KnownGaps::load(data_folder, market)?;
    let since_ms = match begin {
        Begin::Since(since_ms) => Some(since_ms),
        Begin::Days(_) | Begin::Candles(_) => None,
    };
    let (mut candles, mut findings) = match path.exists() {
        true => read_candles(&path, market.timeframe, &Reading { since_ms, ..Reading::stored() })?,
        false => Default::default(),
    };
    let pages = interrupted(&path, market.timeframe, &mut findings)?;
    let goes_on = !pages.is_empty();
    if goes_on {
        candles = merge(&candles, &pages);
        candles.retain(|candle| since_ms.is_none_or(|since_ms| candle.open_ms >= since_ms));
    }
    drop_open(&mut candles, market, now_ms, &mut findings);
    if let Some(since_ms) = since_ms {
        known.begin_at(since_ms);
        known.save(data_folder, market)?;
    }
    if goes_on || path.exists() && (findings.repaired() || since_ms.is_some()) {
        write_csv(&path, &candles)?;
    }
    forget(&path)?;
    Ok(Stored { candles, known, findings })
}

/// Checks a caller's candles like those of any source, and drops the last one if it is still open.
///
/// # Errors
/// [`Error::InvalidCandle`], [`Error::BadCandle`]: disorder, another timeframe, another asset, future times.
pub fn check_given<'a>(candles: &'a [Candle], market: &Market, now_ms: i64) -> Result<&'a [Candle]> {
    check_series(candles)?;
    let steps = check_steps(candles, market.timeframe);
    steps.map_err(|(index, problem)| {
        let place = format!("{market}, candle of {}", format_iso(candles[index].open_ms));
        Error::BadCandle { place, problem }
    })?;
    let closed = candles.partition_point(|candle| candle.open_ms + market.timeframe.millis() <= now_ms);
    match candles.len() - closed {
        0 | 1 => Ok(&candles[..closed]),
        _ => Err(Error::InvalidCandle {
            index: closed + 1,
            field: "time",
            problem: "must not lie in the future",
            value: format_iso(candles[closed + 1].open_ms),
        }),
    }
}

/// A source and the market to request from it.
pub(super) struct Asking<'a> {
    pub source: &'a dyn CandleSource,
    pub market: &'a Market,
    pub now_ms: i64,
}

impl Asking<'_> {
    /// The closed candles of a span, each checked.
    pub async fn ask(&self, span: Hole, findings: &mut Findings) -> Result<Vec<Candle>> {
        let Found { mut candles, findings: found } =
            self.source.candles(self.market, span.from_ms, span.until_ms).await?;
        check_each(&candles, self.market)?;
        for candle in &candles {
            let open = candle.open_ms + self.market.timeframe.millis() > self.now_ms;
            findings.add(Cause::StillOpen, usize::from(open), || format_iso(candle.open_ms));
        }
        // The span ends before candles that are still open.
        candles.retain(|candle| span.holds(candle.open_ms));
        let (candles, settled) = settle(candles, RunEnds::Sure)
            .map_err(|problem| Error::BadCandle { place: format!("{}, from the source", self.market), problem })?;
        findings.merge(found);
        findings.merge(settled);
        Ok(candles)
    }

    /// Reports a market whose last candle is old although the source answers: it is delisted.
    async fn look_for_the_end(&self, last: Candle, findings: &mut Findings) {
        let step = self.market.timeframe.millis();
        let closed_ms = last.open_ms + step;
        let age_ms = self.now_ms - closed_ms;
        if age_ms < QUIET_MS.max(3 * step) {
            return;
        }
        let since = format!("no candle since {}", format_iso(closed_ms));
        let why = match self.source.listing(self.market).await {
            Listing::Not(why) => format!("{why}; {since}"),
            Listing::Traded | Listing::Unknown if age_ms >= GONE_MS.max(3 * step) => {
                format!("{since}, although the source answers")
            }
            Listing::Traded | Listing::Unknown => return,
        };
        findings.add(Cause::Delisted, 1, || format!("{why}; remove {} from `symbols`", self.market.symbol));
    }

    /// Appends `fresh` to `candles`, if they fit together.
    fn join(&self, candles: &[Candle], fresh: &[Candle]) -> Result<Vec<Candle>> {
        let joined = merge(candles, fresh);
        check_steps(&joined, self.market.timeframe)
            .map_err(|(index, problem)| bad(&joined[index], self.market, problem))?;
        Ok(joined)
    }

    /// [`Self::fill`] for a series; stores the result.
    async fn fill_series(&self, series: &mut Growing, known: &mut KnownGaps, findings: &mut Findings) {
        let mut candles = series.all().to_vec();
        let filled = self.fill(&mut candles, known, findings).await;
        if let Some(span) = filled.first() {
            findings.add(Cause::GapFilled, candles.len() - series.all().len(), || span.to_string());
            series.replace(candles);
        }
    }

    /// Requests once more each hole within trading hours that is not known to be the source's own. Remembers those that stay
    /// empty, and returns the spans in which candles were found.
    async fn fill(&self, candles: &mut Vec<Candle>, known: &mut KnownGaps, findings: &mut Findings) -> Vec<Hole> {
        let calendar = Calendar::learn(candles, self.market.timeframe.millis());
        let unknown = |candles: &[Candle], known: &KnownGaps| {
            let mut all = holes(candles, &calendar, None);
            all.retain(|hole| !known.covers(hole));
            all
        };
        let mut filled = Vec::new();
        let mut to_ask = groups(&unknown(candles, known), self.market.timeframe);
        while let Some(span) = to_ask.pop() {
            let answer = self.ask(span, findings).await.and_then(|fresh| self.join(candles, &fresh));
            let joined = match answer {
                Ok(joined) => joined,
                // The remaining requests would fail the same way.
                Err(error @ (Error::Exchange(_) | Error::Cancelled(_))) => {
                    findings.add(Cause::NotAsked, to_ask.len() + 1, || format!("{span}: {error}"));
                    break;
                }
                Err(error) => {
                    findings.add(Cause::NotAsked, 1, || format!("{span}: {error}"));
                    continue;
                }
            };
            let nothing_came = joined.len() == candles.len();
            *candles = joined;
            let left = unknown(candles, known).into_iter().filter(|hole| span.holds(hole.from_ms));
            if nothing_came {
                for hole in left.collect::<Vec<_>>() {
                    let is_told = !calendar.is_regular(hole.from_ms, hole.until_ms);
                    findings.add(Cause::Gap, usize::from(is_told), || hole.to_string());
                    known.add(hole);
                }
            } else {
                filled.push(span);
                // An answer may be incomplete: only an empty one proves that there are no candles.
                to_ask.extend(groups(&left.collect::<Vec<_>>(), self.market.timeframe));
            }
        }
        filled
    }
}

/// Reports the exchange's error together with the missing file, since fixing either would help.
fn nothing_stored(error: Error, is_empty: bool, path: &Path) -> Error {
    match error {
        Error::Exchange(said) if is_empty && !path.exists() => Error::Exchange(format!(
            "{said}; and {} does not exist, so there are no stored candles to work with",
            path.display()
        )),
        other => other,
    }
}

pub(super) fn bad(candle: &Candle, market: &Market, problem: String) -> Error {
    Error::BadCandle { place: format!("{market}, candle of {} from the source", format_iso(candle.open_ms)), problem }
}

/// The error for the first invalid candle.
fn check_each(candles: &[Candle], market: &Market) -> Result<()> {
    for (index, candle) in candles.iter().enumerate() {
        if !(MIN_MILLIS..=MAX_MILLIS).contains(&candle.open_ms) {
            let problem = format!("its open time must be in UTC epoch milliseconds; got {}", candle.open_ms);
            return Err(bad(candle, market, problem));
        }
        candle.check(index).map_err(|error| bad(candle, market, error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    const HOUR: i64 = 3_600_000;
    const NOON: i64 = 1_757_764_800_000;
    /// Nothing older than what is stored.
    const AS_STORED: Begin = Begin::Days(0);

    fn candle(open_ms: i64) -> Candle {
        Candle { open_ms, open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume: 5.0 }
    }

    fn hours(from: i64, count: i64) -> Vec<Candle> {
        (0..count).map(|i| candle(from + i * HOUR)).collect()
    }

    /// Returns the same for every request, as a careless callback might, and records the requests.
    struct Careless(Mutex<Vec<Result<Vec<Candle>>>>, Mutex<Vec<(i64, i64)>>);

    impl CandleSource for Careless {
        fn candles<'a>(&'a self, _market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
            self.1.lock().push((from_ms, until_ms));
            let answers = &mut *self.0.lock();
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            Box::pin(async move { answer.map(Into::into) })
        }
    }

    fn careless(candles: Vec<Candle>) -> Careless {
        answers(vec![Ok(candles)])
    }

    /// Returns one after the other, then the last one again and again.
    fn answers(answers: Vec<Result<Vec<Candle>>>) -> Careless {
        Careless(Mutex::new(answers), Mutex::default())
    }

    impl Careless {
        fn asked(&self) -> Vec<(i64, i64)> {
            std::mem::take(&mut self.1.lock())
        }
    }

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    struct Home(tempfile::TempDir);

    impl Home {
        fn with(candles: &[Candle]) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            write_csv(&home.path(), candles).unwrap();
            home
        }

        fn empty() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> std::path::PathBuf {
            candle_file(self.0.path(), &market())
        }

        fn stored(&self) -> Vec<Candle> {
            let (candles, findings) = read_candles(&self.path(), market().timeframe, &Reading::stored()).unwrap();
            assert!(!findings.repaired(), "{findings}");
            candles
        }

        async fn update(&self, source: &Careless, begin: Begin, now_ms: i64) -> Result<Fetched> {
            update(source, self.0.path(), &market(), begin, now_ms).await
        }
    }

    #[tokio::test]
    async fn asks_only_from_the_last_stored_candle_and_heals_it() {
        let half = Candle { close: 9.5, ..candle(NOON) };
        let home = Home::with(&[candle(NOON - HOUR), half]);
        let source = careless(hours(NOON - 5 * HOUR, 9));
        let fetched = home.update(&source, AS_STORED, NOON + 3 * HOUR + 5).await.unwrap();
        assert_eq!(source.asked(), [(NOON, NOON + 2 * HOUR + 6)]);
        assert_eq!((fetched.added, fetched.total, fetched.last_ms), (2, 4, NOON + 2 * HOUR));
        assert_eq!(fetched.findings.to_string(), "1 candles still open left out (2025-09-13T15:00:00.000Z)");
        assert_eq!(home.stored(), hours(NOON - HOUR, 4));

        home.update(&source, AS_STORED, NOON + 4 * HOUR - 1).await.unwrap();
        assert_eq!(source.asked(), [], "nothing can have come since");
    }

    #[tokio::test]
    async fn a_stored_candle_still_open_goes() {
        let home = Home::with(&hours(NOON, 3));
        let fetched = home.update(&careless(hours(NOON, 2)), AS_STORED, NOON + 3 * HOUR - 1).await.unwrap();
        assert_eq!((fetched.added, fetched.total, fetched.findings.count(Cause::StillOpen)), (0, 2, 1));
        assert_eq!(home.stored(), hours(NOON, 2));
    }

    #[tokio::test]
    async fn a_bad_candle_is_named_and_the_file_stays() {
        let home = Home::with(&hours(NOON, 2));
        let other = Candle { close: 10.5, ..candle(NOON) };
        let thousandfold = Candle { open: 1e4, high: 1e4, low: 1e4, close: 1e4, ..candle(NOON + 2 * HOUR) };
        let bad = [
            (vec![candle(NOON), Candle { low: f64::NAN, ..candle(NOON + HOUR) }], "13:00:00.000Z from the source"),
            (vec![candle(NOON + HOUR), Candle { open_ms: NOON + HOUR, ..other }], "two candles that disagree"),
            (vec![candle(NOON / 1000)], "milliseconds; got 1757764800"),
            (vec![candle(NOON + HOUR), thousandfold], "steps 909-fold, from 11 to 10000"),
            (vec![candle(NOON + HOUR), candle(NOON + HOUR + 60_000)], "no whole number of 1h"),
        ];
        for (candles, expected) in bad {
            let error = home.update(&careless(candles), AS_STORED, NOON + 9 * HOUR).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.code(), "ERR_INVALID_CANDLE");
        }
        assert_eq!(home.stored(), hours(NOON, 2));
    }

    #[tokio::test]
    async fn neither_network_nor_file() {
        let home = Home::empty();
        let source = answers(vec![Err(Error::Exchange("cannot reach it".into()))]);
        let error = home.update(&source, Begin::Days(90), NOON).await.unwrap_err().to_string();
        assert!(error.contains("cannot reach it; and ") && error.contains("btcusdt_1h.csv does not exist"), "{error}");
        assert_eq!(source.asked(), [(NOON - HOUR + 1 - 1000 * HOUR, NOON - HOUR + 1)], "the newest first");

        let error = home.update(&careless(Vec::new()), Begin::Days(90), NOON).await.unwrap_err();
        assert_eq!(error.code(), "ERR_NO_DATA");
    }

    #[tokio::test]
    async fn a_hole_is_asked_for_once_more_and_then_the_sources_own() {
        let holed = [hours(NOON, 10), hours(NOON + 12 * HOUR, 10), hours(NOON + 25 * HOUR, 5)].concat();
        let (home, source) = (Home::with(&holed[..1]), careless(holed.clone()));
        let fetched = home.update(&source, AS_STORED, NOON + 30 * HOUR).await.unwrap();
        assert_eq!(source.asked()[1..], [(NOON + 10 * HOUR, NOON + 25 * HOUR)], "both holes in one question");
        assert_eq!(fetched.findings.to_string(), "2 holes in time (2 h from 2025-09-13T22:00:00.000Z)");
        let again = home.update(&source, AS_STORED, NOON + 30 * HOUR).await.unwrap();
        assert_eq!((source.asked(), again.findings), (vec![], Findings::default()), "remembered");

        let home = Home::with(&holed[..1]);
        let source = answers(vec![Ok(holed.clone()), Ok(hours(NOON, 22)), Ok(holed.clone())]);
        let fetched = home.update(&source, AS_STORED, NOON + 30 * HOUR).await.unwrap();
        assert_eq!(source.asked()[2..], [(NOON + 22 * HOUR, NOON + 25 * HOUR)], "the rest, once more");
        let counts = [Cause::GapFilled, Cause::Gap].map(|cause| fetched.findings.count(cause));
        assert_eq!((counts, fetched.total), ([2, 1], 27));
    }

    #[tokio::test]
    async fn a_hole_that_cannot_be_asked_for_is_asked_for_next_time() {
        let holed = [hours(NOON, 10), hours(NOON + 12 * HOUR, 10)].concat();
        let home = Home::with(&holed);
        let source = answers(vec![Err(Error::Exchange("down".into())), Ok(hours(NOON, 22))]);
        let fetched = home.update(&source, AS_STORED, NOON + 22 * HOUR).await.unwrap();
        let said = fetched.findings.to_string();
        assert_eq!(said, "1 holes not asked for again (2 h from 2025-09-13T22:00:00.000Z: down)");
        let fetched = home.update(&source, AS_STORED, NOON + 22 * HOUR).await.unwrap();
        assert_eq!((fetched.added, home.stored()), (2, hours(NOON, 22)));
    }

    #[tokio::test]
    async fn more_days_than_stored_are_filled_up_as_far_as_there_are_any() {
        let home = Home::with(&hours(NOON, 10));
        let listed = NOON - 20 * HOUR;
        let source = careless(hours(listed, 30));
        let fetched = home.update(&source, Begin::Days(2), NOON + 10 * HOUR).await.unwrap();
        assert_eq!((fetched.added, fetched.first_ms), (20, listed));
        assert_eq!(fetched.findings.to_string(), "20 older candles added (2025-09-12T16:00:00.000Z)");
        assert_eq!(source.asked(), [(NOON - 38 * HOUR, NOON), (NOON - 38 * HOUR, listed)]);
        home.update(&source, Begin::Days(2), NOON + 10 * HOUR).await.unwrap();
        assert_eq!(source.asked(), [], "there was nothing before it was listed");
        home.update(&source, Begin::Days(3), NOON + 10 * HOUR).await.unwrap();
        assert_eq!(source.asked(), [(NOON - 62 * HOUR, listed)]);
    }

    #[tokio::test]
    async fn after_a_redenomination_candles_begin_anew_for_good() {
        let old = hours(NOON, 10);
        let new: Vec<Candle> = hours(NOON + 14 * HOUR, 10)
            .into_iter()
            .map(|c| Candle { open: 1e4, high: 2e4, low: 1e4, close: 1e4, ..c })
            .collect();
        let home = Home::with(&old);
        let source = careless([old.clone(), new.clone()].concat());
        let now = NOON + 24 * HOUR;
        let error = home.update(&source, Begin::Days(1), now).await.unwrap_err().to_string();
        assert!(error.contains("--since 2025-09-14T02:00:00.000Z"), "{error}");
        assert_eq!(home.stored(), old);
        home.update(&source, Begin::Since(NOON + 13 * HOUR), now).await.unwrap();
        assert_eq!(home.stored(), new);
        source.asked();
        let fetched = home.update(&source, Begin::Days(30), now).await.unwrap();
        assert_eq!((fetched.total, source.asked()), (10, vec![]), "the old coin does not come back");
    }

    #[tokio::test]
    async fn a_dirty_file_is_put_right_even_without_a_network() {
        let home = Home::with(&[hours(NOON + 2 * HOUR, 3), hours(NOON, 3)].concat());
        let source = answers(vec![Err(Error::Exchange("down".into()))]);
        let error = home.update(&source, AS_STORED, NOON + 9 * HOUR).await.unwrap_err();
        assert_eq!((error.code(), home.stored()), ("ERR_EXCHANGE", hours(NOON, 5)));
    }
    #[tokio::test]
    async fn a_long_history_is_fetched_newest_first_and_kept_page_by_page() {
        let home = Home::empty();
        let (listed, now) = (NOON - 2600 * HOUR, NOON);
        let down = || Err(Error::Exchange("down".into()));
        let of = |from: i64, until: i64| Ok(hours(NOON - from * HOUR, from - until));
        let source = answers(vec![of(1000, 0), of(2000, 1000), down()]);
        let fetched = home.update(&source, Begin::Candles(200_000), now).await.unwrap();
        let spans = |from: &[i64]| from.iter().map(|hours| NOON - hours * HOUR).collect::<Vec<_>>();
        let asked = source.asked();
        assert_eq!(asked.iter().map(|span| span.1).skip(1).collect::<Vec<_>>(), spans(&[1000, 2000]));
        assert_eq!((fetched.total, fetched.first_ms), (2000, NOON - 2000 * HOUR));
        let said = fetched.findings.to_string();
        assert!(said.contains("the next fetch goes on from there (before 2025-06-") && said.contains("down"), "{said}");
        assert_eq!(home.stored(), hours(NOON - 2000 * HOUR, 2000), "without a hole, and up to now");

        // Nothing is requested twice. After an empty answer twice as much is requested, back to the wanted time.
        let source = answers(vec![Ok(hours(listed, 600)), Ok(Vec::new())]);
        let fetched = home.update(&source, Begin::Candles(10_000), now).await.unwrap();
        let asked = source.asked();
        assert_eq!(asked.iter().map(|span| span.1).collect::<Vec<_>>(), spans(&[2000, 2600, 3600, 5600, 9600]));
        assert_eq!(asked[4].0, NOON - 10_000 * HOUR);
        assert_eq!((fetched.total, fetched.added, fetched.first_ms), (2600, 600, listed));
        home.update(&source, Begin::Candles(10_000), now).await.unwrap();
        assert_eq!(source.asked(), [], "there was nothing before it was listed");
        assert!(!home.path().with_extension("part").exists());
    }

    #[tokio::test]
    async fn pages_that_came_survive_a_fetch_that_never_ends() {
        let home = Home::with(&hours(NOON - 100 * HOUR, 100));
        let page = |from: i64| hours(NOON - from * HOUR, 1000);
        // Dropped during the third page, like a killed process: only what is on disk counts.
        let source = Hanging(answers(vec![Ok(page(1100)), Ok(page(2100))]), 2, AtomicBool::default());
        let (folder, market) = (home.0.path(), market());
        let fetch = update(&source, folder, &market, Begin::Candles(200_000), NOON);
        let hangs = async {
            while !source.2.load(Ordering::Relaxed) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = fetch => panic!("{ended:?}"),
            () = hangs => {}
        }
        let source = answers(vec![Ok(hours(NOON - 2200 * HOUR, 100)), Ok(Vec::new())]);
        let fetched = home.update(&source, Begin::Candles(2200), NOON).await.unwrap();
        assert_eq!(source.asked(), [(NOON - 2200 * HOUR, NOON - 2100 * HOUR)]);
        assert_eq!((fetched.total, home.stored()), (2200, hours(NOON - 2200 * HOUR, 2200)));
    }

    #[tokio::test]
    async fn the_history_ends_where_an_older_coin_had_the_ticker() {
        let other = |c: Candle| Candle { open: 1e4, high: 2e4, low: 1e4, close: 1e4, ..c };
        let old = hours(NOON - 2000 * HOUR, 400).into_iter().map(other);
        let older = old.chain(hours(NOON - 1600 * HOUR, 600)).collect();
        let home = Home::empty();
        let source = answers(vec![Ok(hours(NOON - 1000 * HOUR, 1000)), Ok(older)]);
        let fetched = home.update(&source, Begin::Candles(200_000), NOON).await.unwrap();
        assert_eq!((fetched.total, fetched.findings.count(Cause::OtherAsset)), (1600, 1));
        let said = fetched.findings.to_string();
        assert!(said.contains("steps 1000-fold, from 10000 to 10") && said.contains("--since 2025-07-0"), "{said}");
        assert_eq!(home.stored(), hours(NOON - 1600 * HOUR, 1600));
    }

    /// Answers a number of times, then never, and records that it was asked.
    struct Hanging(Careless, usize, AtomicBool);

    impl CandleSource for Hanging {
        fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
            if self.0.1.lock().len() < self.1 {
                return self.0.candles(market, from_ms, until_ms);
            }
            self.2.store(true, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }
}
