//! The arguments of commands about candles.

use super::models::Markets;
use super::values::{origin, time, timeframe, zone};
use candles::{BadRows, Columns, DateOrder, Origin};
use clap::Subcommand;
use domain::symbol::{Symbol, Timeframe};
use domain::time::Tz;
use std::path::PathBuf;

/// What to fetch.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// Drop stored candles from before this time, for good, and fetch none [default: all there is, or history_days ago]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
}

/// Commands for candle files.
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Report what is wrong with candle files, and change nothing
    Check(DataCheck),
    /// Add the candles of files to those stored
    Import(DataImport),
    /// Write features and outcomes of the stored candles as CSV, to train a model elsewhere
    Features(DataFeatures),
}

/// Which rows to write, and where.
#[derive(Debug, clap::Args)]
pub struct DataFeatures {
    /// Which markets.
    #[command(flatten)]
    pub markets: Markets,
    /// The CSV file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The files to check.
#[derive(Debug, clap::Args)]
pub struct DataCheck {
    /// The files [default: all candle files of the home]
    #[arg(requires = "timeframe")]
    pub files: Vec<PathBuf>,
    /// The timeframe of the files given
    #[arg(long, value_parser = timeframe(), hide_possible_values = true, requires = "files")]
    pub timeframe: Option<Timeframe>,
    /// How to read them.
    #[command(flatten)]
    pub reading: DataReading,
}

/// The files to import.
#[derive(Debug, clap::Args)]
pub struct DataImport {
    /// The files, CSV or JSON
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The symbol of their candles, BTCUSDT or BTC/USDT
    #[arg(long, value_parser = Symbol::parse)]
    pub symbol: Symbol,
    /// The timeframe of their candles
    #[arg(long, value_parser = timeframe(), hide_possible_values = true)]
    pub timeframe: Timeframe,
    /// How to read them.
    #[command(flatten)]
    pub reading: DataReading,
}

/// How to read a candle file.
#[derive(Debug, clap::Args)]
pub struct DataReading {
    /// What the columns are, such as time,open,close,high,low,volume [default: what the header says, else Binance's order]
    #[arg(long, value_name = "NAMES")]
    pub columns: Option<Columns>,
    /// The exchange whose response or archive it is: binance, bybit, coinbase, kraken, kucoin or okx [default:
    /// detected]
    #[arg(long, value_name = "NAME", value_parser = origin(), hide_possible_values = true)]
    pub from: Option<Origin>,
    /// Ignore candles that open before this time, such as 2022-05-31T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// The time zone of times without an offset, such as Europe/Berlin [default: UTC, and reported]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub timezone: Option<Tz>,
    /// The order of day and month in dates such as 1/2/2024: dmy or mdy [default: detected]
    #[arg(long, value_name = "ORDER")]
    pub dates: Option<DateOrder>,
    /// What to do with impossible rows: refuse the file, skip them, or widen a high or low that lies within the body
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    pub bad_rows: BadRows,
}
