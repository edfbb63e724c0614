//! The arguments of commands about models: which markets, and how to train.

use super::values::{hours, timeframe};
use domain::symbol::{Symbol, Timeframe};

/// Which markets.
#[derive(Debug, clap::Args)]
pub struct Markets {
    /// A symbol, BTCUSDT or BTC/USDT; may be given several times [default: the configured ones]
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = Symbol::parse)]
    pub symbols: Vec<Symbol>,
    /// A timeframe, 1h; may be given several times [default: the configured ones]
    #[arg(long = "timeframe", value_name = "TIMEFRAME", value_parser = timeframe(), hide_possible_values = true)]
    pub timeframes: Vec<Timeframe>,
}

/// What to train.
#[derive(Debug, clap::Args)]
pub struct Train {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// Train on the candles already stored
    #[arg(long)]
    pub no_fetch: bool,
}

/// What to train, and how.
#[derive(Debug, clap::Args)]
pub struct TrainNow {
    /// Which markets, and whether to fetch.
    #[command(flatten)]
    pub train: Train,
    /// What to train, or how [default: full]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// With `--mode retrain`: skip models younger than this, in hours or as 24h [default: retrain_interval_hours, 24]
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub max_age: Option<f64>,
}

/// What to train, or how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Each model on all its rows, from scratch
    Full,
    /// Continue the models in service with new trees; train in full where that is not possible
    Incremental,
    /// All configured symbols, from scratch
    All,
    /// The models that are missing, damaged or older than `--max-age`, as `signalloop retrain`
    Retrain,
    /// The symbols of `--symbol`, from scratch
    Symbol,
}

impl TrainNow {
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let names_symbols = !self.train.markets.symbols.is_empty();
        match self.mode {
            Some(Mode::All) if names_symbols => {
                Some("--mode all trains every configured symbol: leave --symbol out, or use --mode symbol")
            }
            Some(Mode::Symbol) if !names_symbols => Some("--mode symbol needs --symbol: name the symbols to train"),
            Some(Mode::Retrain) => None,
            _ if self.max_age.is_some() => Some("--max-age is the age of a model to train again: add --mode retrain"),
            _ => None,
        }
    }
}

/// What to roll back.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The symbol, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe
    #[arg(long, value_parser = timeframe(), hide_possible_values = true, default_value = "1h")]
    pub timeframe: Timeframe,
    /// The reason, for the records
    #[arg(long)]
    pub reason: Option<String>,
}

/// What to train again.
#[derive(Debug, clap::Args)]
pub struct Retrain {
    /// What to train.
    #[command(flatten)]
    pub train: Train,
    /// Skip models younger than this, in hours or as 24h [default: retrain_interval_hours, 24]
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub max_age: Option<f64>,
}

/// One market.
#[derive(Debug, clap::Args)]
pub struct Predict {
    /// The symbol, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe
    #[arg(long, value_parser = timeframe(), hide_possible_values = true, default_value = "1h")]
    pub timeframe: Timeframe,
}

/// The market, and how to learn.
#[derive(Debug, clap::Args)]
pub struct Learn {
    /// The market.
    #[command(flatten)]
    pub market: Predict,
    /// How
    #[arg(long, value_enum)]
    pub mode: LearnMode,
}

/// How to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LearnMode {
    /// Train a new model from all candles
    Retrain,
    /// Continue the model with newer candles
    Incremental,
    /// Compare the recent half of the closed signals with the early half
    Evaluate,
}
