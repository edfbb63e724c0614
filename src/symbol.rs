//! Names of markets: [`Symbol`] and [`Timeframe`], normalised once, at the door.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A trading pair in the exchange's spelling: `BTC/USDT`, `btc-usdt` and `BTCUSDT` are all `BTCUSDT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Box<str>);

impl Symbol {
    /// The longest symbol accepted, in characters, separators not counted.
    pub const MAX_CHARS: usize = 32;

    /// Normalises `text`: the separators `/`, `-` and `_` go, letters become upper case.
    /// Anything but letters and digits is refused, so that a symbol can safely name a file.
    pub fn parse(text: &str) -> Result<Self> {
        let name: String =
            text.trim().chars().filter(|c| !matches!(c, '/' | '-' | '_')).flat_map(char::to_uppercase).collect();
        let chars = name.chars().count();
        if chars == 0 || chars > Self::MAX_CHARS || !name.chars().all(char::is_alphanumeric) || text.contains("..") {
            return Err(Error::argument(
                "symbol",
                "must be a pair of letters and digits such as BTCUSDT or BTC/USDT",
                format!("{text:?}"),
            ));
        }
        Ok(Self(name.into()))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Symbol {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0.into()
    }
}

/// The interval of a candle, of a fixed length: `1m` to `1w`. (`1M` has no fixed length and is not supported.)
/// A position in [`TIMEFRAMES`], so that the many that a store holds stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timeframe(u8);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// All timeframes, in the exchange's spelling, with their length in milliseconds, ascending.
const TIMEFRAMES: [(&str, i64); 14] = [
    ("1m", MINUTE),
    ("3m", 3 * MINUTE),
    ("5m", 5 * MINUTE),
    ("15m", 15 * MINUTE),
    ("30m", 30 * MINUTE),
    ("1h", HOUR),
    ("2h", 2 * HOUR),
    ("4h", 4 * HOUR),
    ("6h", 6 * HOUR),
    ("8h", 8 * HOUR),
    ("12h", 12 * HOUR),
    ("1d", DAY),
    ("3d", 3 * DAY),
    ("1w", 7 * DAY),
];

impl Timeframe {
    /// One hour, the default.
    pub const H1: Self = Self(5);

    /// Parses the exchange's spelling; upper-case `H`, `D` and `W` are accepted.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let any_case = text.ends_with(['H', 'D', 'W']);
        TIMEFRAMES
            .iter()
            .position(|(name, _)| *name == text || (any_case && name.eq_ignore_ascii_case(text)))
            .map(|index| Self(index as u8))
            .ok_or_else(|| {
                let allowed: Vec<_> = TIMEFRAMES.iter().map(|(name, _)| *name).collect();
                Error::argument("timeframe", format!("must be one of {}", allowed.join(", ")), format!("{text:?}"))
            })
    }

    /// The exchange's spelling.
    pub fn as_str(self) -> &'static str {
        TIMEFRAMES[usize::from(self.0)].0
    }

    /// The length of one candle in milliseconds.
    pub fn millis(self) -> i64 {
        TIMEFRAMES[usize::from(self.0)].1
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl TryFrom<String> for Timeframe {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Timeframe> for String {
    fn from(timeframe: Timeframe) -> Self {
        timeframe.as_str().to_owned()
    }
}

/// One symbol at one timeframe: what a candle file, a model and a line of `train` stand for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Market {
    /// The trading pair.
    pub symbol: Symbol,
    /// The candle interval.
    pub timeframe: Timeframe,
}

impl Market {
    /// Parses both parts.
    pub fn parse(symbol: &str, timeframe: &str) -> Result<Self> {
        Ok(Self { symbol: Symbol::parse(symbol)?, timeframe: Timeframe::parse(timeframe)? })
    }

    /// The name of its files and folders: `btcusdt_1h`.
    pub fn file_stem(&self) -> String {
        format!("{}_{}", self.symbol.as_str().to_lowercase(), self.timeframe)
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.symbol, self.timeframe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_a_pair_are_one_symbol() {
        for text in ["BTC/USDT", "btc-usdt", "BTC_USDT", " btcusdt "] {
            assert_eq!(Symbol::parse(text).unwrap().as_str(), "BTCUSDT");
        }
    }

    #[test]
    fn a_symbol_can_never_leave_its_folder() {
        for text in ["", "../x", "../../x", "a\\b", "a:b", "x\0", "/", "..", "<script>", &"A".repeat(33)] {
            assert_eq!(Symbol::parse(text).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{text:?}");
        }
    }

    #[test]
    fn timeframes_tell_minutes_from_months() {
        assert_eq!(Timeframe::parse("4H").unwrap().millis(), 4 * HOUR);
        assert_eq!(Timeframe::parse("1m").unwrap().millis(), MINUTE);
        assert!(Timeframe::parse("1M").is_err());
        assert_eq!(Timeframe::H1.as_str(), "1h");
        assert_eq!(Market::parse("BTC/USDT", "1h").unwrap().file_stem(), "btcusdt_1h");
    }
}
