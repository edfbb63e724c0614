//! The names of markets, as exchanges, charts and bots write them.

use domain::error::{Error, Result};
use domain::symbol::Symbol;

/// A market, and what its spelling said besides the pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The pair, without what is below. A multiplier such as the one of `1000PEPEUSDT` belongs to the pair: its prices are others.
    pub symbol: Symbol,
    /// The exchange before a colon, in upper case: `BINANCE:BTCUSDT`.
    pub exchange: Option<String>,
    /// Whether it said that the market is a perpetual future: `BTCUSDT.P`, `BTC-USDT-SWAP`, `BTC/USDT:USDT`.
    pub perpetual: bool,
    /// The currency that it is settled in: `BTC/USDT:USDT`.
    pub settled_in: Option<String>,
}

/// Currencies that prices are in. Longer ones come before their endings.
pub(crate) const QUOTES: [&str; 22] = [
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDE", "USDP", "USD", "DAI", "BTC", "ETH", "BNB", "EUR", "GBP", "JPY",
    "TRY", "BRL", "AUD", "CAD", "CHF", "NZD", "KRW",
];

/// Endings that say that a market is a perpetual future.
const PERPETUAL: [&str; 8] = [".P", ".PERP", "-PERPETUAL", "-PERP", "_PERP", "-SWAP", "_SWAP", "PERP"];

/// The base and the quote currency of a name in upper case without separators, where the quote is a known one.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let quote = QUOTES.iter().find(|quote| name.len() > quote.len() && name.ends_with(**quote))?;
    Some(name.split_at(name.len() - quote.len()))
}

/// Reads the name of a market: `BINANCE:BTCUSDT.P`, `BTC/USDT:USDT`, `1000PEPEUSDT`, `BTC-PERP`, `NASDAQ:AAPL`.
///
/// An ending for perpetual futures is removed where a quote currency comes before it; `BTC-PERP` names none and stays `BTCPERP`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a name that [`Symbol::given`] refuses, a future with a date or an option: its price is not the pair's.
pub fn pair(text: &str) -> Result<Pair> {
    let name = text.trim().trim_start_matches(['#', '$']).to_uppercase();
    let (mut exchange, mut settled_in, mut perpetual) = (None, None, false);
    let mut rest = name.as_str();
    if let Some((before, after)) = name.split_once(':') {
        if before.contains('/') {
            // As ccxt and freqtrade have it.
            (rest, perpetual) = (before, true);
            if after.contains(['-', '_']) {
                return Err(dated(text));
            }
            settled_in = Some(after.to_owned());
        } else {
            (exchange, rest) = (Some(before.to_owned()), after);
        }
    }
    if rest.contains(':') || exchange.as_deref().is_some_and(|exchange| !is_name(exchange)) {
        return Err(Error::argument("symbol", Symbol::ALLOWED, format!("{text:?}")));
    }
    if rest.split(['-', '_']).skip(1).any(is_date) {
        return Err(dated(text));
    }
    if let Some(ending) = PERPETUAL.iter().find(|ending| rest.len() > ending.len() && rest.ends_with(**ending)) {
        let before = &rest[..rest.len() - ending.len()];
        if split(&before.replace(['/', '-', '_'], "")).is_some() {
            (rest, perpetual) = (before, true);
        } else {
            // A full stop before a P may also name a class of shares.
            perpetual |= *ending != ".P";
        }
    }
    Ok(Pair { symbol: Symbol::given(rest)?, exchange, perpetual, settled_in })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `240628`, `27JUN25`.
fn is_date(part: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let bytes = part.len();
    let letters = part.is_ascii() && bytes >= 6 && {
        let (day, year) = (&part[..bytes - 5], &part[bytes - 2..]);
        (1..=2).contains(&day.len())
            && digits(day)
            && digits(year)
            && part[bytes - 5..bytes - 2].bytes().all(|b| b.is_ascii_uppercase())
    };
    (bytes == 6 && digits(part)) || letters
}

fn dated(text: &str) -> Error {
    Error::argument(
        "symbol",
        "must be a pair or a perpetual future: a future with a date or an option has another price",
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_say_the_pair_and_what_was_dropped() {
        let cases = [
            ("BTCUSDT", "BTCUSDT", None, false, None),
            ("BINANCE:BTCUSDT.P", "BTCUSDT", Some("BINANCE"), true, None),
            ("bybit:btcusdt.p", "BTCUSDT", Some("BYBIT"), true, None),
            ("BTC/USDT:USDT", "BTCUSDT", None, true, Some("USDT")),
            ("BTC/USD:BTC", "BTCUSD", None, true, Some("BTC")),
            ("#BTC/USDT", "BTCUSDT", None, false, None),
            ("$DOGE/USDT", "DOGEUSDT", None, false, None),
            ("1000PEPEUSDT", "1000PEPEUSDT", None, false, None),
            ("1000PEPE/USDT:USDT", "1000PEPEUSDT", None, true, Some("USDT")),
            ("BTC-USDT-SWAP", "BTCUSDT", None, true, None),
            ("BTCUSD_PERP", "BTCUSD", None, true, None),
            ("BINANCE:BTCUSDTPERP", "BTCUSDT", Some("BINANCE"), true, None),
            ("BTC-PERP", "BTCPERP", None, true, None),
            ("BTCPERP", "BTCPERP", None, true, None),
            ("NASDAQ:AAPL", "AAPL", Some("NASDAQ"), false, None),
            ("NYSE:BRK.B", "BRK.B", Some("NYSE"), false, None),
            ("XYZ.P", "XYZ.P", None, false, None),
            ("OANDA:EURUSD", "EURUSD", Some("OANDA"), false, None),
        ];
        for (text, symbol, exchange, perpetual, settled_in) in cases {
            let expected = Pair {
                symbol: Symbol::parse(symbol).unwrap(),
                exchange: exchange.map(str::to_owned),
                perpetual,
                settled_in: settled_in.map(str::to_owned),
            };
            assert_eq!(pair(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in [
            "",
            "#",
            "12345",
            "BTC/USDT:USDT-240628",
            "BTCUSDT_240628",
            "BTCUSDT-27JUN25",
            "BTC-27JUN25-60000-C",
            "CME:BTC1!",
            "BINANCE:BTCUSDT/BINANCE:ETHUSDT",
            "{{ticker}}",
            ":BTCUSDT",
            "A B:BTCUSDT",
            "BINANCE:",
            "../x",
        ] {
            assert_eq!(pair(text).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{text}");
        }
    }
}
