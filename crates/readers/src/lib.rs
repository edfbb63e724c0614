//! Reads signals from what other tools write: alerts of TradingView, messages of channels, exports of freqtrade, Jesse and
//! backtest-kit.
//!
//! It imports `domain` only. It reads no file and no clock: text goes in, signals come out as JSON objects under the names of the
//! public interface, each with its place in the text. What cannot be read with certainty is [`Refused`], with its place and value;
//! the rest is read.
//!
//! ```
//! use readers::{Format, Options};
//!
//! let alert = br#"{ "ticker": "BINANCE:BTCUSDT.P", "action": "buy", "price": "67250.5", "sl": "66000", "interval": "60" }"#;
//! let reading = Format::TradingView.read(alert, &Options::at(1_700_000_000_000));
//! assert_eq!(reading.signals[0].signal["symbol"], "BTCUSDT");
//! assert_eq!(reading.signals[0].signal["stopLoss"], 66000.0);
//! ```

mod backtest_kit;
mod draft;
mod format;
mod freqtrade;
mod jesse;
mod number;
mod pair;
mod row;
mod text;
mod timeframe;
mod tradingview;

pub use backtest_kit::from_backtest_kit;
pub use format::Format;
pub use freqtrade::{from_freqtrade, from_freqtrade_zip};
pub use jesse::from_jesse;
pub use pair::{Pair, pair};
pub use text::from_text;
pub use timeframe::timeframe;
pub use tradingview::from_tradingview;

use domain::error::{Error, Result};
use domain::symbol::Timeframe;
use domain::time::Tz;
use serde_json::{Map, Value};
use std::io::{self, Write};

/// A signal under the names of the public interface.
pub type Signal = Map<String, Value>;

/// What the caller knows of a text, for what the text does not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// When the text was sent, UTC epoch ms: the time of signals that say none. Without it they are refused.
    pub at_ms: Option<i64>,
    /// The zone of times without one. Default UTC.
    pub zone: Tz,
    /// The timeframe of signals that say none.
    pub timeframe: Option<Timeframe>,
    /// The confidence of signals that say none, in percent.
    pub confidence: Option<f64>,
    /// The strategy of signals that say none.
    pub strategy: Option<String>,
    /// The `source` of all signals, such as the name of a channel. Default: the name of the format.
    pub source: Option<String>,
    /// Begins each id that is made here. Default: none.
    pub id_prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_ms: None,
            zone: Tz::UTC,
            timeframe: None,
            confidence: None,
            strategy: None,
            source: None,
            id_prefix: String::new(),
        }
    }
}

impl Options {
    /// Options for a text that was sent at this time; all else as by default.
    pub fn at(at_ms: i64) -> Self {
        Self { at_ms: Some(at_ms), ..Self::default() }
    }

    /// The time of a signal that says this one.
    pub(crate) fn time(&self, said_ms: Option<i64>, place: &str) -> std::result::Result<i64, Refused> {
        let problem = "says no time: say when it was sent";
        said_ms.or(self.at_ms).ok_or_else(|| Refused::new(place, problem, "nothing"))
    }
}

/// What a text holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The signals, in the order of the text.
    pub signals: Vec<Found>,
    /// What was not read, in the order of the text.
    pub refused: Vec<Refused>,
}

/// A signal and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// A line, or a path such as `trades[3]`.
    pub place: String,
    /// The signal.
    pub signal: Signal,
}

/// Something that cannot be read with certainty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Line and column, or a path such as `trades[3].open_rate`.
    pub place: String,
    /// What is wrong, phrased to follow the place.
    pub problem: String,
    /// The text or value there.
    pub value: String,
}

impl Refused {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>, value: impl std::fmt::Display) -> Self {
        Self { place: place.into(), problem: problem.into(), value: domain::error::shown(value) }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; got {}", self.place, self.problem, self.value)
    }
}

impl From<Refused> for Error {
    fn from(Refused { place, problem, value }: Refused) -> Self {
        Self::argument("text", format!("at {place}: {problem}"), value)
    }
}

impl Reading {
    /// The signals, if all of the text was read.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what was refused first.
    pub fn all(self) -> Result<Vec<Signal>> {
        match self.refused.into_iter().next() {
            Some(refused) => Err(refused.into()),
            None => Ok(self.signals.into_iter().map(|found| found.signal).collect()),
        }
    }

    /// Nothing was read.
    pub(crate) fn nothing(refused: Refused) -> Self {
        Self { signals: Vec::new(), refused: vec![refused] }
    }

    pub(crate) fn note(&mut self, place: &str, read: std::result::Result<Signal, Refused>) {
        match read {
            Ok(signal) => self.signals.push(Found { place: place.to_owned(), signal }),
            Err(refused) => self.refused.push(refused),
        }
    }
}

/// Writes signals as a log that `signalloop import` reads: one JSON object per line.
///
/// # Errors
/// Those of writing.
pub fn write_lines<'a>(to: impl Write, signals: impl Iterator<Item = &'a Signal>) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    for signal in signals {
        serde_json::to_writer(&mut to, signal)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
