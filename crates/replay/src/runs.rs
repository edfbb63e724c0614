//! A whole replay: the first run, and one more for each part that is left out.

use super::decision::Decision;
use super::faults::Faults;
use super::folder::Folder;
use super::given::{Given, Source};
use super::happened::Happened;
use super::options::{Options, Part};
use super::run::{Progress, Run, Setting};
use candles::PastCandles;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::symbol::Market;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What one run found.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// What it left out; `None` for the first run.
    pub without: Option<Part>,
    /// Its signals, in the order in which they were given.
    pub decisions: Vec<Decision>,
    /// What happened to the loop.
    pub happened: Happened,
}

/// What a replay found.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Where the signals came from: `signals`, `strategy` or `own`.
    pub source: &'static str,
    /// The markets of the loop.
    pub markets: BTreeSet<Market>,
    /// From when to when, UTC epoch ms.
    pub span_ms: (i64, i64),
    /// The first run, then those without a part.
    pub runs: Vec<RunResult>,
    /// What went wrong with signals, in the first run.
    pub faults: Faults,
    /// Past signals from before the replay: recorded and ended, so that the loop knows them, but not counted.
    pub earlier: usize,
    /// Signals that were not replayed, because they are younger than the replay, or there are no candles from their time on.
    pub left_out: usize,
    /// The home of the first run, if it was to stay.
    pub kept: Option<PathBuf>,
}

/// Runs the loop over the past. `candles` are those of all markets, also from before the replay begins.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::NoData`] without candles or signals; a fault of the strategy, if the replay is to stop
/// at it; [`Error::InvalidConfig`], [`Error::InvalidArgument`], [`Error::Io`].
pub async fn replay(
    mut source: Source,
    candles: Arc<PastCandles>,
    options: Options,
    cancel: Cancel,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Replayed> {
    let (markets, name) = (markets_of(&source, &candles), source.as_str());
    let span_ms = span(&source, &candles, &options)?;
    let left_out = leave_out(&mut source, &candles, span_ms.1);
    let (mut earlier, mut first_ms) = (0, span_ms.0);
    if let Source::Signals(given) = &source {
        earlier = given.partition_point(|given| given.signal.timestamp_ms < span_ms.0);
        first_ms = given.first().map_or(first_ms, |given| given.signal.timestamp_ms.min(first_ms));
        if given.len() == earlier {
            return Err(Error::NoData(format!(
                "there is no signal to replay: {} lie outside the replay, or their market has no candles",
                left_out + earlier
            )));
        }
    }
    let setting =
        Setting { options: &options, candles, markets, first_ms, span_ms, cancel: &cancel, progress: &progress };
    let folder = Folder::new(&options.home, options.keep.as_deref())?;
    let found = Run::open(&setting, 0, None, &folder)?.run(&mut source).await?;
    if folder.stays() {
        folder.write_candles(&setting.candles, span_ms.1)?;
    }
    let mut runs = vec![RunResult { without: None, decisions: found.decisions, happened: found.happened }];
    for (number, part) in options.compare.iter().copied().enumerate() {
        let folder = Folder::new(&options.home, None)?;
        let mut again = Source::Signals(found.given.clone());
        let found = Run::open(&setting, number + 1, Some(part), &folder)?.run(&mut again).await?;
        runs.push(RunResult { without: Some(part), decisions: found.decisions, happened: found.happened });
    }
    Ok(Replayed {
        source: name,
        markets: setting.markets,
        span_ms,
        runs,
        faults: found.faults,
        earlier,
        left_out,
        kept: options.keep.clone().filter(|_| folder.stays()),
    })
}

/// The markets of the loop: those of the signals that have candles, or those that the source names.
fn markets_of(source: &Source, candles: &PastCandles) -> BTreeSet<Market> {
    match source {
        Source::Signals(given) => {
            let with_candles: BTreeSet<&Market> = candles.markets().collect();
            let markets: BTreeSet<Market> = given.iter().map(|given| given.signal.market()).collect();
            markets.into_iter().filter(|market| with_candles.contains(market)).collect()
        }
        Source::Strategy(markets, _) | Source::Own(markets, _) => markets.iter().cloned().collect(),
    }
}

/// From when to when.
fn span(source: &Source, candles: &PastCandles, options: &Options) -> Result<(i64, i64)> {
    let ends = candles.markets().filter_map(|market| {
        let all = candles.all(market);
        Some((all.first()?.open_ms, all.last()?.open_ms + market.timeframe.millis()))
    });
    let Some((first_ms, last_ms)) = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))) else {
        return Err(Error::NoData("there are no candles to replay".to_owned()));
    };
    let first_signal = match source {
        Source::Signals(given) => given.iter().map(|given| given.signal.timestamp_ms).min(),
        Source::Strategy(..) | Source::Own(..) => None,
    };
    let from_ms = options.from_ms.or(first_signal).unwrap_or(first_ms).max(first_ms);
    let until_ms = options.until_ms.unwrap_or(last_ms).min(last_ms);
    if from_ms >= until_ms {
        let ends = [from_ms, until_ms].map(domain::time::format_iso);
        let problem = format!("must lie before the end of the replay, {}", ends[1]);
        return Err(Error::argument("from", problem, &ends[0]));
    }
    Ok((from_ms, until_ms))
}

/// Leaves out past signals that cannot be replayed, and sorts the others by time. Returns how many were left out.
fn leave_out(source: &mut Source, candles: &PastCandles, until_ms: i64) -> usize {
    let Source::Signals(given) = source else { return 0 };
    let before = given.len();
    let is_replayed = |given: &Given| {
        let first = candles.all(&given.signal.market()).first();
        first.is_some_and(|first| (first.open_ms..=until_ms).contains(&given.signal.timestamp_ms))
    };
    given.retain(is_replayed);
    given.sort_by(|one, other| one.key().cmp(&other.key()));
    before - given.len()
}
