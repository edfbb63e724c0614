//! Failures of many markets or files: what is the same for several of them is told once, with the names of all.

use super::output::Output;
use super::words::some;
use domain::symbol::Market;

/// Names to print of one failure; `--json` has all.
const MOST_NAMES: usize = 24;
/// Stands for the symbol where the failure of several symbols is told.
const SYMBOL: &str = "<symbol>";
const TIMEFRAME: &str = "<timeframe>";

/// What failed, in kinds.
#[derive(Default)]
pub struct Failures {
    kinds: Vec<Kind>,
}

/// One kind of failure, and where it happened.
struct Kind {
    /// The message without the names of its market or file.
    common: String,
    code: Option<&'static str>,
    /// Each name with its own message.
    of: Vec<(String, String)>,
    symbols: Vec<String>,
}

impl Failures {
    /// Adds the failure of a market.
    pub fn market(&mut self, market: &Market, message: &str, code: Option<&'static str>) {
        let (name, symbol, timeframe) = (market.to_string(), market.symbol.as_str(), market.timeframe.as_str());
        let own = message.strip_prefix(&format!("{name}: ")).unwrap_or(message);
        let common = own
            .replace(&format!(" --symbol {symbol} --timeframe {timeframe}"), "")
            .replace(&format!(" of {name}"), "")
            .replace(&market.file_stem(), &format!("{SYMBOL}_{TIMEFRAME}"))
            .replace(&name, &format!("{SYMBOL} {TIMEFRAME}"))
            .replace(symbol, SYMBOL);
        self.add(name, symbol.to_owned(), own.to_owned(), common, code);
    }

    /// Adds the failure of a file, or of something else with a name.
    pub fn named(&mut self, name: &str, message: &str, code: Option<&'static str>) {
        let own = message.strip_prefix(&format!("{name}: ")).unwrap_or(message);
        self.add(name.to_owned(), String::new(), own.to_owned(), own.replace(name, "<file>"), code);
    }

    fn add(&mut self, name: String, symbol: String, own: String, common: String, code: Option<&'static str>) {
        let known = self.kinds.iter_mut().find(|kind| kind.common == common && kind.code == code);
        match known {
            Some(kind) => {
                kind.of.push((name, own));
                if !kind.symbols.contains(&symbol) {
                    kind.symbols.push(symbol);
                }
            }
            None => self.kinds.push(Kind { common, code, of: vec![(name, own)], symbols: vec![symbol] }),
        }
    }

    /// One text for each kind: `BTCUSDT 1h: …`, or `8 markets: …; BTCUSDT 1h, …`. `many` is what they are, `markets`.
    pub fn texts(&self, many: &str) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.text(many)).collect()
    }

    /// Prints them.
    pub fn tell(&self, many: &str, output: &Output) {
        self.texts(many).iter().for_each(|text| output.hanging(2, text));
    }
}

impl Kind {
    fn text(&self, many: &str) -> String {
        let code = self.code.map_or_else(String::new, |code| format!(" [{code}]"));
        if let [(name, own)] = &self.of[..] {
            return format!("{name}: {own}{code}");
        }
        let common = match &self.symbols[..] {
            [only] => self.common.replace(SYMBOL, only),
            _ => self.common.clone(),
        };
        let names: Vec<String> = self.of.iter().map(|(name, _)| name.clone()).collect();
        format!("{} {many}: {common}{code}; {}", names.len(), some(&names, MOST_NAMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(markets: &[(&str, &str)], message: impl Fn(&str, &str) -> String) -> Vec<String> {
        let mut failures = Failures::default();
        for (symbol, timeframe) in markets {
            let market = Market::parse(symbol, timeframe).unwrap();
            failures.market(&market, &message(symbol, timeframe), Some("ERR_NO_DATA"));
        }
        failures.texts("markets")
    }

    #[test]
    fn the_same_failure_of_many_markets_is_told_once() {
        let missing = |symbol: &str, timeframe: &str| {
            let stem = format!("{}_{timeframe}", symbol.to_lowercase());
            format!(
                "no candles of {symbol} {timeframe}: ml/data/{stem}.csv does not exist; fetch them with `signalloop fetch --symbol \
                 {symbol} --timeframe {timeframe}`"
            )
        };
        let told = failures(&[("BTCUSDT", "4h"), ("ETHUSDT", "1h"), ("ETHUSDT", "4h")], missing);
        let expected = "3 markets: no candles: ml/data/<symbol>_<timeframe>.csv does not exist; fetch them with `signalloop fetch` \
                        [ERR_NO_DATA]; BTCUSDT 4h, ETHUSDT 1h, ETHUSDT 4h";
        assert_eq!(told, [expected]);
        let told = failures(&[("BTCUSDT", "4h")], missing);
        assert_eq!(told, [format!("BTCUSDT 4h: {} [ERR_NO_DATA]", missing("BTCUSDT", "4h"))]);
    }

    #[test]
    fn different_failures_stay_apart_and_one_symbol_keeps_its_name() {
        let wrong = |symbol: &str, timeframe: &str| match symbol {
            "MATICUSDT" => format!("{symbol} {timeframe}: Invalid symbol; {symbol} is misspelt"),
            _ => format!("{symbol} {timeframe}: connection refused"),
        };
        let told = failures(&[("MATICUSDT", "1h"), ("BTCUSDT", "1h"), ("MATICUSDT", "4h")], wrong);
        let expected = [
            "2 markets: Invalid symbol; MATICUSDT is misspelt [ERR_NO_DATA]; MATICUSDT 1h, MATICUSDT 4h",
            "BTCUSDT 1h: connection refused [ERR_NO_DATA]",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn files_are_told_alike() {
        let mut failures = Failures::default();
        for name in ["a.csv", "b.csv"] {
            failures.named(name, &format!("{name}: cannot read {name}: it is a folder"), None);
        }
        assert_eq!(failures.texts("files"), ["2 files: cannot read <file>: it is a folder; a.csv, b.csv"]);
    }
}
