//! The arguments of commands about signals, and about where they are kept.

use super::values::{days, format, percent, strategy, time, timeframe};
use clap::Subcommand;
use domain::symbol::{Symbol, Timeframe};
use readers::Format;
use std::path::PathBuf;

/// Which signals to search.
#[derive(Debug, clap::Args)]
pub struct Patterns {
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = timeframe(), hide_possible_values = true)]
    pub timeframe: Option<Timeframe>,
}

/// Which signals to count.
#[derive(Debug, clap::Args)]
pub struct Stats {
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = timeframe(), hide_possible_values = true)]
    pub timeframe: Option<Timeframe>,
    /// How many days back [default: 30; without it, the seven snake_case figures of `--json` cover all signals]
    #[arg(long, value_parser = days)]
    pub days: Option<f64>,
    /// All signals, however old
    #[arg(long, conflicts_with = "days")]
    pub all: bool,
}

/// Which signals to score.
#[derive(Debug, clap::Args)]
pub struct Scorecard {
    /// Only signals given at this time or later, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Only this strategy
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    pub strategy: Option<String>,
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
}

/// Which signals to replay.
#[derive(Debug, clap::Args)]
pub struct Advise {
    /// Only signals given at this time or later, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Only this strategy; with fewer strategies the intervals are narrower
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    pub strategy: Option<String>,
    /// Only this symbol
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Option<Symbol>,
    /// Only this timeframe
    #[arg(long, value_parser = timeframe(), hide_possible_values = true)]
    pub timeframe: Option<Timeframe>,
}

/// Commands for the place where the signals are kept.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Create the tables of a database, or update them; loops do so themselves, if they are allowed to
    Migrate,
    /// Copy all signals and models from one place to another: from the home's files into a database, or back. Started
    /// again after an interruption, it continues
    Copy(CopySignals),
}

/// Source and destination.
#[derive(Debug, clap::Args)]
pub struct CopySignals {
    /// postgres://…, or `files` for the home
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// postgres://…, or `files` for the home
    #[arg(long, value_name = "URL")]
    pub to: String,
}

/// The signals to import.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The file
    pub file: PathBuf,
    /// What wrote it: freqtrade, jesse, backtest-kit, tradingview or text [default: this system or the previous one]
    #[arg(long, value_name = "NAME", value_parser = format(), hide_possible_values = true)]
    pub from: Option<Format>,
    /// What the file does not say.
    #[command(flatten)]
    pub said: Said,
}

/// What a file of another tool does not say of its signals.
#[derive(Debug, clap::Args)]
pub struct Said {
    /// The time of signals that say none, such as 2026-03-28T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, requires = "from")]
    pub at: Option<i64>,
    /// The timeframe of signals that say none [default: 1h]
    #[arg(long, value_parser = timeframe(), hide_possible_values = true, requires = "from")]
    pub timeframe: Option<Timeframe>,
    /// The confidence of signals that say none, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "from")]
    pub confidence: Option<f64>,
    /// The strategy of signals that say none
    #[arg(long, value_name = "NAME", value_parser = strategy, requires = "from")]
    pub strategy: Option<String>,
    /// The source of the signals, such as the name of a channel [default: the name after --from]
    #[arg(long, value_name = "NAME", value_parser = strategy, requires = "from")]
    pub source: Option<String>,
    /// Begins the ids of signals that have none, to tell two bots or channels apart
    #[arg(long, value_name = "TEXT", requires = "from")]
    pub id_prefix: Option<String>,
}

/// A file to read or to write.
#[derive(Debug, clap::Args)]
pub struct File {
    /// The file
    pub file: PathBuf,
}
