//! The arguments of what is for trying out: the demonstration, the simulator, completions.

use super::values::{days, venue};
use clap_complete::Shell;
use domain::symbol::Symbol;
use domain::venue::Venue;
use simulator::Fault;
use std::path::PathBuf;

/// How to demonstrate.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Seed of the market: another one gives another market
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Keep the files of the demonstration, in a folder that must not exist yet
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// How many weeks to simulate
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=52))]
    pub weeks: u32,
}

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Simulator {
    /// Seed of the market: another one gives another market
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// The port on this machine; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The traded symbols, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT", value_parser = Symbol::parse)]
    pub symbols: Vec<Symbol>,
    /// Symbols that have been delisted, and for how many days: MATICUSDT=60
    #[arg(long, value_name = "SYMBOL[=DAYS]", value_delimiter = ',', value_parser = delisted)]
    pub delisted: Vec<Delisted>,
    /// The exchange whose protocol is served, such as binance, bybit or okx
    #[arg(long, default_value_t = Venue::Binance, value_parser = venue(), hide_possible_values = true)]
    pub exchange: Venue,
    /// Days of history; the last candle is still open
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Strength of the hidden rule, 0 to 2; 0 is a market without one
    #[arg(long, default_value_t = 0.25)]
    pub rule: f64,
    /// Corrupt this share of the responses, as reset=0.05,http-503=0.1 or, for all kinds together, all=0.2
    #[arg(long, value_name = "NAME=RATE", value_delimiter = ',', value_parser = fault_rate)]
    pub faults: Vec<FaultRate>,
}

/// A delisted symbol, and for how many days it has not been traded.
pub type Delisted = (Symbol, f64);

/// The number of days for a delisted symbol without one.
const DELISTED_DAYS: f64 = 60.0;

fn delisted(text: &str) -> Result<Delisted, String> {
    let (symbol, ago) = text.split_once('=').map_or((text, Ok(DELISTED_DAYS)), |(symbol, ago)| (symbol, days(ago)));
    Ok((Symbol::parse(symbol).map_err(|error| error.to_string())?, ago?))
}

/// A kind of fault, or all kinds, and the share of responses it affects.
pub type FaultRate = (Option<Fault>, f64);

fn fault_rate(text: &str) -> Result<FaultRate, String> {
    let (name, rate) = text.split_once('=').ok_or("must be a name and a rate, such as reset=0.05")?;
    let rate = rate.parse().map_err(|_| format!("`{rate}` must be a number, 0 to 1"))?;
    Ok((if name == "all" { None } else { Some(name.parse()?) }, rate))
}
