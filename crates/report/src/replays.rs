//! The last replays of a home, from its ledger.

use super::results::rounded;
use domain::error::Result;
use domain::symbol::Market;
use engine::SignalLoop;
use replay::ledger::{FILE, Ledger, Look, Looks, Run, SourceKind};
use serde::Serialize;

/// Replays listed: the newest.
const MAX_REPLAYS: usize = 20;
/// Markets named of a replay.
const MAX_MARKETS: usize = 8;

/// The last replays.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Replays {
    /// Newest first.
    pub list: Vec<ReplayRow>,
    /// Number of earlier replays.
    pub more: usize,
    /// Lines of the ledger that cannot be read.
    pub damaged: u64,
    /// How often the signals of the newest one were looked at, and what is left of its result after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
}

/// One replay. Times are UTC epoch ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayRow {
    /// When it was made.
    pub at_ms: i64,
    /// Where its signals came from.
    pub source: SourceKind,
    /// Its first markets.
    pub markets: Vec<String>,
    /// Number of further markets.
    pub more_markets: usize,
    /// When the first signal was given.
    pub from_ms: i64,
    /// When the last one closed or was given.
    pub until_ms: i64,
    /// Its runs: the whole loop first, then each without a part.
    pub runs: Vec<RunRow>,
}

/// What a run took, and what that brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// Its name.
    pub name: String,
    /// Signals, without HOLDs.
    pub signals: u64,
    /// Signals that it would have taken.
    pub taken: u64,
    /// Those of them that closed with a result in R.
    pub closed: u64,
    /// Their mean R after costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_r: Option<f64>,
}

/// Reads the ledger of a home.
///
/// # Errors
/// [`domain::error::Error::Io`].
pub fn gather(core: &SignalLoop) -> Result<Replays> {
    Ok(of(&Ledger::read(&core.settings().home().join(FILE))?))
}

fn of(ledger: &Ledger) -> Replays {
    let newest = ledger.looks.iter().rev();
    Replays {
        list: newest.take(MAX_REPLAYS).map(ReplayRow::of).collect(),
        more: ledger.looks.len().saturating_sub(MAX_REPLAYS),
        damaged: ledger.damaged,
        looks: ledger.looks.last().map(|look| Looks::of(ledger, look)),
    }
}

impl ReplayRow {
    fn of(look: &Look) -> Self {
        let run = |run: &Run| RunRow {
            name: run.name.clone(),
            signals: run.signals,
            taken: run.taken,
            closed: run.closed,
            mean_r: run.mean_r.map(rounded),
        };
        Self {
            at_ms: look.at_ms,
            source: look.source,
            markets: look.markets.iter().take(MAX_MARKETS).map(Market::to_string).collect(),
            more_markets: look.markets.len().saturating_sub(MAX_MARKETS),
            from_ms: look.from_ms,
            until_ms: look.until_ms,
            runs: look.runs.iter().map(run).collect(),
        }
    }
}
