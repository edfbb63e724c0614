//! A replay from the question to the verdict: finds signals and candles, runs the loop over them, sums up, and writes the
//! look into the ledger of the home.

use super::file::{Refused, signals_in};
use super::given::{Given, Source, Strategy, signals_of};
use super::ledger::{FILE, Ledger, Look, Looks, SourceKind};
use super::options::{Options, Part};
use super::past::candles_in;
use super::run::Progress;
use super::runs::{Replayed, RunResult, replay};
use super::verdict::{Told, Verdict};
use super::{Difference, Faults, Happened, Summary, csv};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::signal::Costs;
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::format_iso;
use engine::{Risk, SignalLoop, home};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::write_atomically;

/// Where the signals come from, as a user asks for it.
pub enum Wanted {
    /// The signals of the home.
    Home,
    /// The signals of a file; the format for what another tool has written.
    File(PathBuf, Option<(readers::Format, readers::Options)>),
    /// These signals.
    Given(Vec<Given>),
    /// A strategy of the user.
    Strategy(Box<dyn Strategy>),
    /// The loop's own signals.
    Own(Risk),
}

/// What a user asks for.
pub struct Request {
    /// Where the signals come from.
    pub wanted: Wanted,
    /// Only these symbols. Default: those of the signals; for a strategy and own signals, the configured ones.
    pub symbols: Option<Vec<Symbol>>,
    /// Only these timeframes. Default: as for `symbols`.
    pub timeframes: Option<Vec<Timeframe>>,
    /// The folder of the candle files. Default: `data` in the home.
    pub candles: Option<PathBuf>,
    /// Bring the candles of the home up to date first.
    pub fetch: bool,
    /// Where to write a CSV file of all signals, with what was said of each.
    pub csv: Option<PathBuf>,
    /// How to replay.
    pub options: Options,
}

/// A run without a part, compared with the first run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WithoutPart {
    /// The part that was left out.
    pub without: Part,
    /// What the part brought.
    pub verdict: Told,
    /// The first run minus this one.
    pub difference: Difference,
    /// The figures of this run.
    pub summary: Summary,
    /// What happened to the loop in this run.
    pub happened: Happened,
}

/// The result of a replay. Serialised in camelCase.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Study {
    /// Where the signals came from: `signals`, `strategy` or `own`.
    pub source: &'static str,
    /// When it begins, ISO 8601 in UTC.
    pub from: String,
    /// When it ends, ISO 8601 in UTC.
    pub until: String,
    /// The markets of the loop.
    pub markets: BTreeSet<Market>,
    /// The verdict in words.
    pub verdict: Verdict,
    /// The figures of the first run.
    pub summary: Summary,
    /// What each part brought that was left out in a further run.
    pub parts: Vec<WithoutPart>,
    /// What the ledger says of this look and those before it.
    pub looks: Looks,
    /// What happened to the loop in the first run.
    pub happened: Happened,
    /// What went wrong with signals.
    pub faults: Faults,
    /// Past signals from before `from`, which the loop knew but which are not counted.
    pub earlier: usize,
    /// Signals that were not replayed: later than `until`, or without candles from their time on.
    pub left_out: usize,
    /// What the file of signals has besides signals.
    pub refused: Vec<Refused>,
    /// Where the home of the first run stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
    /// Costs of a round trip in basis points, for signals that state none.
    pub fee_bps: f64,
    /// All costs of signals that state none. Not serialised.
    #[serde(skip)]
    pub costs: Costs,
    /// The decisions of the first run. Not serialised: `csv` writes them.
    #[serde(skip)]
    pub decisions: Vec<super::Decision>,
}

/// Replays as asked. The user's home stays as it is, but for its ledger of replays and the candles that are fetched.
///
/// # Errors
/// As [`replay`] and [`candles_in`]; those of a fetch; [`Error::InvalidArgument`] if an output would replace one of signalloop's own files.
pub async fn study(
    core: &SignalLoop,
    request: Request,
    cancel: Cancel,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Study> {
    let Request { wanted, symbols, timeframes, candles, fetch, csv, mut options } = request;
    let home = core.settings().home().to_owned();
    options.home.clone_from(&home);
    options.own = core.settings().own().cloned();
    csv.iter().try_for_each(|path| home::check_output(&home, "csv", path))?;
    let asked = Asked { symbols, timeframes };
    let (source, markets, refused) = found(core, wanted, &asked).await?;
    if fetch {
        fetch_all(core, &markets, &cancel).await?;
    }
    let folder = candles.unwrap_or_else(|| home.join("data"));
    let past = Arc::new(candles_in(&folder, &markets)?);
    let settings = options.to_json();
    let replayed = replay(source, past, options, cancel, progress).await?;
    // Signals that state no costs of their own cost what the home's configuration says.
    let config = core.settings().config();
    let costs = config.costs();
    let look = look(core, &replayed, settings, &costs)?;
    let path = home.join(FILE);
    let looks = Looks::of(&Ledger::read(&path)?, &look);
    Ledger::append(&path, &look)?;
    if let Some(path) = &csv {
        write_file(path, &replayed.runs[0], &costs)?;
    }
    Ok(summed_up(replayed, looks, refused, &costs, config.seed))
}

/// Brings the candles of the home up to date.
///
/// # Errors
/// The error of the first market that cannot be fetched; [`Error::Cancelled`].
async fn fetch_all(core: &SignalLoop, markets: &BTreeSet<Market>, cancel: &Cancel) -> Result<()> {
    let fetched = core.fetcher().fetch(markets.iter().cloned().collect(), None, |_| {});
    cancel.unless(fetched).await?.into_iter().try_for_each(|market| market.fetched.map(drop))
}

/// The symbols and timeframes that were asked for.
struct Asked {
    symbols: Option<Vec<Symbol>>,
    timeframes: Option<Vec<Timeframe>>,
}

impl Asked {
    fn includes(&self, market: &Market) -> bool {
        self.symbols.as_ref().is_none_or(|symbols| symbols.contains(&market.symbol))
            && self.timeframes.as_ref().is_none_or(|timeframes| timeframes.contains(&market.timeframe))
    }
}

/// The source of signals, the markets whose candles it needs, and what a file has besides signals.
async fn found(core: &SignalLoop, wanted: Wanted, asked: &Asked) -> Result<(Source, BTreeSet<Market>, Vec<Refused>)> {
    let configured = || -> Vec<Market> { core.settings().markets(asked.symbols.clone(), asked.timeframes.clone()) };
    let (mut given, refused) = match wanted {
        Wanted::Strategy(strategy) => {
            let markets = configured();
            return Ok((Source::Strategy(markets.clone(), strategy), markets.into_iter().collect(), Vec::new()));
        }
        Wanted::Own(risk) => {
            let markets = configured();
            return Ok((Source::Own(markets.clone(), risk), markets.into_iter().collect(), Vec::new()));
        }
        Wanted::Home => (signals_of(core)?, Vec::new()),
        Wanted::Given(given) => (given, Vec::new()),
        Wanted::File(path, foreign) => {
            let foreign = foreign.as_ref().map(|(format, options)| (*format, options));
            signals_in(&path, foreign).await?
        }
    };
    given.retain(|given| asked.includes(&given.signal.market()));
    if given.is_empty() {
        return Err(Error::NoData(
            "there are no signals to replay: record or import some, name a file of signals, or give a strategy"
                .to_owned(),
        ));
    }
    let markets = given.iter().map(|given| given.signal.market()).collect();
    Ok((Source::Signals(given), markets, refused))
}

fn look(core: &SignalLoop, replayed: &Replayed, settings: serde_json::Value, costs: &Costs) -> Result<Look> {
    let source = match replayed.source {
        "strategy" => SourceKind::Strategy,
        "own" => SourceKind::OwnSignals,
        _ => SourceKind::PastSignals,
    };
    let names: Vec<String> = replayed.runs.iter().map(|run| name(run.without)).collect();
    let runs: Vec<(&str, &[super::Decision])> =
        names.iter().map(String::as_str).zip(replayed.runs.iter().map(|run| &run.decisions[..])).collect();
    Look::of(core.settings().now_ms(), source, settings, &runs, costs)
        .ok_or_else(|| Error::NoData("no signal was given in the replay, so there is nothing to tell".to_owned()))
}

/// The name of a run in the ledger.
fn name(without: Option<Part>) -> String {
    without.map_or_else(|| "whole".to_owned(), |part| format!("without {}", part.as_str()))
}

fn write_file(path: &Path, run: &RunResult, costs: &Costs) -> Result<()> {
    let mut text = Vec::new();
    csv::write_csv(&mut text, &run.decisions, costs).map_err(|error| Error::io("write", path, error))?;
    write_atomically(path, &text)
}

fn summed_up(replayed: Replayed, looks: Looks, refused: Vec<Refused>, costs: &Costs, seed: u64) -> Study {
    let Replayed { source, markets, span_ms: (from_ms, until_ms), runs, faults, earlier, left_out, kept } = replayed;
    let mut runs = runs.into_iter();
    let (decisions, happened) = runs.next().map_or_else(Default::default, |run| (run.decisions, run.happened));
    let parts = runs.filter_map(|run| {
        let difference = Difference::of(&decisions, &run.decisions, costs, seed);
        Some(WithoutPart {
            without: run.without?,
            verdict: Verdict::of_part(&difference),
            difference,
            summary: Summary::of(&run.decisions, costs, seed),
            happened: run.happened,
        })
    });
    let (parts, summary) = (parts.collect(), Summary::of(&decisions, costs, seed));
    Study {
        source,
        from: format_iso(from_ms),
        until: format_iso(until_ms),
        markets,
        verdict: Verdict::of(&summary, Some(&looks)),
        summary,
        parts,
        looks,
        happened,
        faults,
        earlier,
        left_out,
        refused,
        kept,
        fee_bps: costs.fee_bps,
        costs: *costs,
        decisions,
    }
}
