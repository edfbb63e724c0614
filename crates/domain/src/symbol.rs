//! Names of markets: [`Symbol`] and [`Timeframe`], normalised when they are parsed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::{self, Write};

/// A trading pair in the exchange's spelling: `BTC/USDT`, `btc-usdt` and `BTCUSDT` are all `BTCUSDT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Box<str>);

impl Symbol {
    /// The longest symbol accepted, in characters without separators. A blockchain address has 42 to 66.
    pub const MAX_CHARS: usize = 128;
    /// The longest symbol accepted, in bytes of a file name ([`Market::file_stem`]). Prefix and ending must fit into the 255 of a
    /// file system.
    const MAX_FILE_BYTES: usize = 200;
    /// What a symbol may be, phrased for an error.
    pub const ALLOWED: &str = "must be a pair of letters and digits such as BTCUSDT or BTC/USDT, of at most 128 characters, fewer where they are not ASCII";

    /// Normalises `text`: removes the separators `/`, `-` and `_`, and makes letters upper case. A colon or a full stop between
    /// letters or digits stays (`BTC/USDT:USDT`, `BRK.B`). Anything else is rejected.
    pub fn parse(text: &str) -> Result<Self> {
        let name: String =
            text.trim().chars().filter(|c| !matches!(c, '/' | '-' | '_')).flat_map(char::to_uppercase).collect();
        let chars = name.chars().count();
        let parts_are_plain =
            name.split([':', '.']).all(|part| !part.is_empty() && part.chars().all(char::is_alphanumeric));
        let file_bytes = || name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum::<usize>();
        if chars > Self::MAX_CHARS || !parts_are_plain || text.contains("..") || file_bytes() > Self::MAX_FILE_BYTES {
            return Err(Error::argument("symbol", Self::ALLOWED, format!("{text:?}")));
        }
        Ok(Self(name.into()))
    }

    /// [`Self::parse`] for a caller's argument, which must not be a number (JavaScript's `NaN` arrives as that text). Logs may
    /// contain such symbols.
    pub fn given(text: &str) -> Result<Self> {
        let symbol = Self::parse(text)?;
        let is_number = matches!(symbol.as_str(), "NAN" | "INFINITY") || !text.contains(char::is_alphabetic);
        if is_number {
            return Err(Error::argument("symbol", "must be a pair such as BTCUSDT, not a number", format!("{text:?}")));
        }
        Ok(symbol)
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

/// The interval of a candle, `1m` to `1w`. (`1M` has no fixed length and is not supported.) Stored as an index into
/// [`TIMEFRAMES`] to save memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timeframe(u8);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 1970 began on a Thursday.
const FIRST_MONDAY: i64 = 4 * DAY;

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

    /// The spellings of all, ascending.
    pub const NAMES: [&'static str; TIMEFRAMES.len()] = {
        let mut names = [""; TIMEFRAMES.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = TIMEFRAMES[index].0;
            index += 1;
        }
        names
    };

    /// Parses the exchange's spelling; upper-case `H`, `D` and `W` are accepted.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let any_case = text.ends_with(['H', 'D', 'W']);
        TIMEFRAMES
            .iter()
            .position(|(name, _)| *name == text || (any_case && name.eq_ignore_ascii_case(text)))
            .map(|index| Self(index as u8))
            .ok_or_else(|| {
                let allowed = Self::NAMES.join(", ");
                Error::argument("timeframe", format!("must be one of {allowed}"), format!("{text:?}"))
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

    /// The open time of the candle that contains a time, both UTC epoch ms. Weeks begin on Monday.
    pub fn open_ms(self, ms: i64) -> i64 {
        let length = self.millis();
        let offset = if length == 7 * DAY { FIRST_MONDAY } else { 0 };
        (ms - offset).div_euclid(length) * length + offset
    }

    /// The open time of the last candle that has closed at a time, UTC epoch ms, where the market always trades.
    pub fn last_closed_before(self, time_ms: i64) -> i64 {
        self.open_ms(time_ms) - self.millis()
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

/// One symbol at one timeframe. Candle files and models are per market.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Market {
    /// The trading pair.
    pub symbol: Symbol,
    /// The candle interval.
    pub timeframe: Timeframe,
}

impl Market {
    /// Parses symbol and timeframe.
    pub fn parse(symbol: &str, timeframe: &str) -> Result<Self> {
        Ok(Self { symbol: Symbol::parse(symbol)?, timeframe: Timeframe::parse(timeframe)? })
    }

    /// The name of its files and folders: `btcusdt_1h`. ASCII letters become lower case. Other characters, such as the colon of
    /// `BTCUSDT:USDT`, become the hexadecimal of their bytes: `%3a`. So no two symbols share a name, even if the file system
    /// ignores case.
    pub fn file_stem(&self) -> String {
        let mut stem = String::new();
        for byte in self.symbol.as_str().bytes() {
            match byte {
                byte if byte.is_ascii_alphanumeric() => stem.push(char::from(byte.to_ascii_lowercase())),
                // Writing to a String cannot fail.
                byte => drop(write!(stem, "%{byte:02x}")),
            }
        }
        format!("{stem}_{}", self.timeframe)
    }

    /// The market with this [`Self::file_stem`]; `None` for any other name.
    pub fn from_file_stem(stem: &str) -> Option<Self> {
        let (name, timeframe) = stem.rsplit_once('_')?;
        let mut pieces = name.split('%');
        let mut bytes = pieces.next()?.as_bytes().to_vec();
        for piece in pieces {
            bytes.push(u8::from_str_radix(piece.get(..2)?, 16).ok()?);
            bytes.extend_from_slice(&piece.as_bytes()[2..]);
        }
        let market = Self::parse(&String::from_utf8(bytes).ok()?, timeframe).ok()?;
        (market.file_stem() == stem).then_some(market)
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.symbol, self.timeframe))
    }
}

/// Symbols by their spelling, so that each spelling is parsed only once.
#[derive(Debug, Default)]
pub struct Spellings {
    symbols: Vec<Symbol>,
    known: HashMap<String, usize>,
}

impl Spellings {
    /// The index of a spelling's symbol in [`Self::into_symbols`].
    ///
    /// # Errors
    /// As [`Symbol::given`].
    pub fn number(&mut self, spelling: String) -> Result<usize> {
        if let Some(&known) = self.known.get(&spelling) {
            return Ok(known);
        }
        let number = self.symbols.len();
        self.symbols.push(Symbol::given(&spelling)?);
        self.known.insert(spelling, number);
        Ok(number)
    }

    /// The symbols, one per spelling.
    pub fn into_symbols(self) -> Vec<Symbol> {
        self.symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_no_pair_that_a_caller_may_give() {
        for number in ["NaN", "Infinity", "-Infinity", "12345"] {
            assert!(Symbol::given(number).is_err(), "{number}");
            assert!(Symbol::parse(number).is_ok(), "a log may hold it");
        }
        assert_eq!(Symbol::given("1inch/usdt").unwrap().as_str(), "1INCHUSDT");
    }

    #[test]
    fn the_spellings_of_a_pair_are_one_symbol() {
        for text in ["BTC/USDT", "btc-usdt", "BTC_USDT", " btcusdt "] {
            assert_eq!(Symbol::parse(text).unwrap().as_str(), "BTCUSDT");
        }
    }

    #[test]
    fn a_symbol_can_never_leave_its_folder() {
        let bad = [
            "",
            "../x",
            "../../x",
            "a\\b",
            "C:",
            ":",
            "a::b",
            ".",
            "x.",
            ".x",
            "x\0",
            "/",
            "..",
            "<script>",
            &"A".repeat(129),
            &"a.b:".repeat(26),
            &"币".repeat(23),
        ];
        for text in bad {
            assert_eq!(Symbol::parse(text).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{text:?}");
        }
    }

    #[test]
    fn a_file_name_holds_any_symbol_and_no_two_share_one() {
        let names = [
            ("BTC/USDT", "btcusdt_1h"),
            ("BTC/USDT:USDT", "btcusdt%3ausdt_1h"),
            ("brk.b", "brk%2eb_1h"),
            ("BTCUSDTUSDT", "btcusdtusdt_1h"),
            ("币安", "%e5%b8%81%e5%ae%89_1h"),
            // The Kelvin sign, whose lower case is a k.
            ("\u{212a}", "%e2%84%aa_1h"),
            ("K", "k_1h"),
        ];
        for (symbol, stem) in names {
            let market = Market::parse(symbol, "1h").unwrap();
            assert_eq!(market.file_stem(), stem);
            assert_eq!(Market::from_file_stem(stem), Some(market));
        }
        for stem in [
            "btcusdt",
            "btcusdt_7h",
            "BTCUSDT_1h",
            "btc%_1h",
            "btc%zz_1h",
            "%41_1h",
            "%ff_1h",
            "_1h",
            "btc-usdt_1h",
            "a%é_1h",
        ] {
            assert_eq!(Market::from_file_stem(stem), None, "{stem}");
        }
    }

    #[test]
    fn the_longest_symbols_have_files() {
        let address = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
        let pair = format!("{address}/{address}");
        for text in ["A".repeat(128), "币".repeat(22), pair, format!("{}:USDT", "a.".repeat(40) + "b")] {
            let market = Market::parse(&text, "15m").unwrap();
            let stem = market.file_stem();
            assert!(stem.len() <= 204, "{stem}");
            assert_eq!(Market::from_file_stem(&stem), Some(market));
        }
        assert_eq!(Symbol::given(address).unwrap().as_str(), address.to_uppercase());
    }

    #[test]
    fn timeframes_tell_minutes_from_months() {
        assert_eq!(Timeframe::parse("4H").unwrap().millis(), 4 * HOUR);
        assert_eq!(Timeframe::parse("1m").unwrap().millis(), MINUTE);
        assert!(Timeframe::parse("1M").is_err());
        assert_eq!(Timeframe::H1.as_str(), "1h");
        // Wednesday, 2025-09-17 13:05 UTC.
        let opens = |name: &str| Timeframe::parse(name).unwrap().open_ms(1_758_114_300_000);
        assert_eq!([opens("4h"), opens("1d"), opens("1w")], [1_758_110_400_000, 1_758_067_200_000, 1_757_894_400_000]);
        assert_eq!(Timeframe::H1.last_closed_before(3 * HOUR), 2 * HOUR);
        assert_eq!(Timeframe::H1.last_closed_before(3 * HOUR - 1), HOUR);
        let monday = 4 * 24 * HOUR;
        assert_eq!(Timeframe::parse("1w").unwrap().last_closed_before(monday + 7 * 24 * HOUR), monday);
        assert_eq!(Market::parse("BTC/USDT", "1h").unwrap().file_stem(), "btcusdt_1h");
    }
}
