//! `training_config.json`: one function turns raw JSON into a checked [`Config`].

pub mod raw;
pub mod span;

use crate::error::Result;
use crate::signal::Costs;
use crate::symbol::{Market, Symbol, Timeframe};
use crate::time::Tz;
use crate::venue::Venue;
use raw::{Raw, read_object, within};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use span::{HOUR, span};
use std::path::Path;
use std::time::Duration;

/// When a write to the feedback store counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives a power failure: the log was synced. The default.
    #[default]
    Fsync,
    /// It survives the end of the process, but not a power failure.
    Os,
}

/// How many models are trained at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParallelTraining {
    /// One for each training thread: `true`, the default.
    #[default]
    Threads,
    /// This many; `false` is 1.
    Number(usize),
}

impl ParallelTraining {
    const ALLOWED: &str = "must be true, false or a whole number of trainings at once, 1 to 64";

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(true) => Some(Self::Threads),
            Value::Bool(false) => Some(Self::Number(1)),
            number => number.as_u64().filter(|n| (1..=64).contains(n)).map(|n| Self::Number(n as usize)),
        }
    }
}

/// How the signal generator sets stop, target and expiry; the training labels use the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignalShape {
    /// Distance of the stop from the entry in average true ranges (14 bars). Default 1.5.
    pub stop_atr: f64,
    /// Distance of the target in multiples of the stop's distance, at least 1: with nearer targets, a BUY and a SELL of the same
    /// bar could both succeed. Default 2.
    pub reward_risk: f64,
    /// Bars until the signal expires. Default 24.
    pub expiry_bars: usize,
}

impl SignalShape {
    /// Distance of the stop in percent of the entry; `atr_ratio` is the average true range as a share of the price.
    pub fn stop_percent(&self, atr_ratio: f64) -> f64 {
        100.0 * self.stop_atr * atr_ratio
    }
}

/// How poor live results are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoorRule {
    /// The success rate lies below `success_threshold`. The default.
    #[default]
    Success,
    /// The mean profit after costs is below 0, beyond chance.
    Expectancy,
}

/// When live results count as poor, and how to respond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoorPerformance {
    /// Default: the success rate.
    pub rule: PoorRule,
    /// Least number of closed signals to judge. Default 10.
    pub min_signals: u64,
    /// Days of results to look at. Default 7.
    pub window_days: u32,
    /// Percent of successes below which results are poor. Default 40.
    pub success_threshold: f64,
    /// Percentage points above break-even that a signal needs in conservative mode. Default 5.
    pub conservative_margin: f64,
    /// Whether to retrain the models concerned. Default true.
    pub emergency_training: bool,
    /// Hours between two such trainings of a market. Default 24.
    pub cooldown_hours: f64,
}

impl Default for PoorPerformance {
    fn default() -> Self {
        Self {
            rule: PoorRule::default(),
            min_signals: 10,
            window_days: 7,
            success_threshold: 40.0,
            conservative_margin: 5.0,
            emergency_training: true,
            cooldown_hours: 24.0,
        }
    }
}

/// The checked configuration of a home.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Symbols to train and fetch. Default: ten USDT pairs.
    pub symbols: Vec<Symbol>,
    /// Timeframes of each symbol. Default `1h`, `4h`.
    pub timeframes: Vec<Timeframe>,
    /// How many models are trained at once. Default: as many as there are threads.
    pub parallel_training: ParallelTraining,
    /// Days of candles to keep; more for a timeframe that needs more for training. Default `None`: everything the exchange has,
    /// at most [`MOST_CANDLES`] per market.
    pub history_days: Option<u32>,
    /// Age at which retraining replaces a model. Default 24 h.
    pub retrain_interval: Duration,
    /// The exchange that candles and prices come from. Default Binance's spot market.
    pub exchange: Venue,
    /// Another host that serves the REST API of [`Self::exchange`]. Default: the exchange's own; `SIGNALLOOP_EXCHANGE_URL`
    /// overrides it.
    pub exchange_url: Option<String>,
    /// The timeframe of the candles that open signals are checked against. Default: `1m` from the exchange; from the user's own
    /// source the shortest timeframe of a symbol's signals.
    pub watch_timeframe: Option<Timeframe>,
    /// Time zone of times without one. Default UTC.
    pub timezone: Tz,
    /// Seed of everything random in training. Default 42.
    pub seed: u64,
    /// Trees per forest. Default 100.
    pub trees: usize,
    /// Costs of a round trip (entry and exit) in basis points of the price. Default 10.
    pub fee_bps: f64,
    /// What holding a position costs a day, in basis points of the entry price; negative where holding pays. Default 0.
    pub funding_bps_per_day: f64,
    /// The value of a position divided by its margin, for signals that state none. Default: none, so no profit on a margin is told.
    pub leverage: Option<f64>,
    /// How sure `assess` must be that a signal earns more than it costs before it says to take it. 0.5 asks for a positive mean,
    /// 0.9 for nine chances in ten. Default 0.5.
    pub take_confidence: f64,
    /// Fraction of the Kelly stake that `assess` suggests. Default 0.25.
    pub kelly_fraction: f64,
    /// When a write to the feedback store counts as done. Default `fsync`.
    pub durability: Durability,
    /// Stop, target and expiry. Defaults 1.5 ATR, 2:1, 24 bars.
    pub signal: SignalShape,
    /// When live results count as poor, and how to respond.
    pub poor_performance: PoorPerformance,
    /// The file of the user's own model, relative to the home, which the command line loads. Default: none.
    pub model: Option<String>,
}

/// Most candles to fetch per market without `history_days`: 22 years of 1h, more than any coin has; 23 months of 5m.
pub const MOST_CANDLES: u32 = 200_000;

/// The defaults of the former system. A symbol that the exchange no longer trades is skipped.
const DEFAULT_SYMBOLS: [&str; 10] =
    ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "MATICUSDT", "DOTUSDT", "AVAXUSDT"];

impl Default for Config {
    fn default() -> Self {
        Self {
            symbols: DEFAULT_SYMBOLS.iter().filter_map(|name| Symbol::parse(name).ok()).collect(),
            timeframes: ["1h", "4h"].iter().filter_map(|name| Timeframe::parse(name).ok()).collect(),
            parallel_training: ParallelTraining::Threads,
            history_days: None,
            retrain_interval: Duration::from_secs(24 * 3600),
            exchange: Venue::default(),
            exchange_url: None,
            watch_timeframe: None,
            timezone: Tz::UTC,
            seed: 42,
            trees: 100,
            fee_bps: 10.0,
            funding_bps_per_day: 0.0,
            leverage: None,
            take_confidence: 0.5,
            kelly_fraction: 0.25,
            durability: Durability::default(),
            signal: SignalShape { stop_atr: 1.5, reward_risk: 2.0, expiry_bars: 24 },
            poor_performance: PoorPerformance::default(),
            model: None,
        }
    }
}

impl Config {
    /// Every symbol at every timeframe, symbols first.
    pub fn markets(&self) -> Vec<Market> {
        let of = |symbol: &Symbol| {
            let symbol = symbol.clone();
            self.timeframes.iter().map(move |&timeframe| Market { symbol: symbol.clone(), timeframe })
        };
        self.symbols.iter().flat_map(of).collect()
    }

    /// Reads `file` if it exists, else returns the defaults. Also returns warnings about unknown keys.
    pub fn load(file: &Path) -> Result<(Self, Vec<String>)> {
        match read_object(file)? {
            Some(map) => Self::default().merge(map, &file.display().to_string()),
            None => Ok((Self::default(), Vec::new())),
        }
    }

    /// The costs of signals that state none.
    pub fn costs(&self) -> Costs {
        let Self { fee_bps, funding_bps_per_day, leverage, .. } = *self;
        Costs { fee_bps, funding_bps_per_day, leverage }
    }

    /// Replaces the settings that `raw` has, in snake_case or camelCase. `file` names the source in errors and warnings.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] with key, value and what is allowed; also if two spellings of one setting have
    /// different values.
    pub fn merge(mut self, raw: Map<String, Value>, file: &str) -> Result<(Self, Vec<String>)> {
        let mut raw = Raw::new(file, raw);
        raw.list(&["symbols"], "must be a list of pairs such as [\"BTCUSDT\"]", Symbol::parse, &mut self.symbols)?;
        raw.list(&["timeframes"], "must be a list such as [\"1h\", \"4h\"]", Timeframe::parse, &mut self.timeframes)?;
        let parallel = &mut self.parallel_training;
        raw.set(&["parallel_training"], ParallelTraining::ALLOWED, ParallelTraining::read, parallel)?;
        let days = |v: &Value| v.as_u64().filter(|d| (1..=3650).contains(d)).map(|d| Some(d as u32));
        raw.set(HISTORY_DAYS, "must be a whole number of days, 1 to 3650", days, &mut self.history_days)?;
        let allowed = "must be a number of hours, 0 to 8760, or text such as \"24h\"";
        raw.set(&["retrain_interval_hours"], allowed, span(HOUR, 0.0, 8760.0 * HOUR), &mut self.retrain_interval)?;
        let file = |value: &Value| match value {
            Value::Null => Some(None),
            other => other.as_str().filter(|text| !text.is_empty()).map(|text| Some(text.to_owned())),
        };
        raw.set(&["model"], "must be the file of your own model, such as \"model.mjs\"", file, &mut self.model)?;
        let venue = |v: &Value| v.as_str()?.parse().ok();
        raw.set(&["exchange"], Venue::ALLOWED, venue, &mut self.exchange)?;
        let url = |v: &Value| url(v).map(Some);
        raw.set(&["exchange_url"], "must be an http(s) URL", url, &mut self.exchange_url)?;
        let timeframe = |v: &Value| Timeframe::parse(v.as_str()?).ok().map(Some);
        let allowed = "must be a timeframe from \"1m\" to \"1w\"";
        raw.set(&["watch_timeframe"], allowed, timeframe, &mut self.watch_timeframe)?;
        let zone = |v: &Value| v.as_str()?.parse().ok();
        raw.set(&["timezone"], "must be an IANA time zone such as \"Europe/Berlin\"", zone, &mut self.timezone)?;
        raw.set(&["seed"], "must be a whole number, 0 or more", Value::as_u64, &mut self.seed)?;
        let trees = |v: &Value| v.as_u64().filter(|n| (10..=2000).contains(n)).map(|n| n as usize);
        raw.set(&["trees"], "must be a whole number, 10 to 2000", trees, &mut self.trees)?;
        raw.set(&["fee_bps"], "must be a number of basis points, 0 to 1000", within(0.0, 1000.0), &mut self.fee_bps)?;
        let funding = &mut self.funding_bps_per_day;
        let allowed = "must be a number of basis points, -10000 to 10000";
        raw.set(&["funding_bps_per_day"], allowed, within(-1e4, 1e4), funding)?;
        let leverage = |v: &Value| within(1.0, 1000.0)(v).map(Some);
        raw.set(&["leverage"], "must be a number, 1 to 1000", leverage, &mut self.leverage)?;
        let confidence = &mut self.take_confidence;
        raw.set(&["take_confidence"], "must be a number, 0.5 to 0.99", within(0.5, 0.99), confidence)?;
        raw.set(&["kelly_fraction"], "must be a number, 0 to 1", within(0.0, 1.0), &mut self.kelly_fraction)?;
        let durability = |v: &Value| match v.as_str()? {
            "fsync" => Some(Durability::Fsync),
            "os" => Some(Durability::Os),
            _ => None,
        };
        raw.set(&["durability"], "must be \"fsync\" or \"os\"", durability, &mut self.durability)?;
        let mut warnings = Vec::new();
        let mut nested = raw.nested(&["signal"])?;
        let shape = &mut self.signal;
        nested.set(&["stop_atr"], "must be a number, 0.1 to 20", within(0.1, 20.0), &mut shape.stop_atr)?;
        nested.set(&["reward_risk"], "must be a number, 1 to 20", within(1.0, 20.0), &mut shape.reward_risk)?;
        let bars = |v: &Value| v.as_u64().filter(|n| (1..=1000).contains(n)).map(|n| n as usize);
        nested.set(&["expiry_bars"], "must be a whole number of bars, 1 to 1000", bars, &mut shape.expiry_bars)?;
        warnings.extend(nested.warnings());
        let mut nested = raw.nested(&["poor_performance"])?;
        self.poor_performance.merge(&mut nested)?;
        warnings.extend(nested.warnings());
        warnings.extend(raw.warnings());
        Ok((self, warnings))
    }
}

/// Days of candles: the current name, then the former system's.
const HISTORY_DAYS: &[&str] = &["history_days", "days_history"];

/// The one name of a setting, for a key in any spelling.
pub fn setting_name(key: &str) -> String {
    let name = raw::snake(key);
    if HISTORY_DAYS.contains(&name.as_str()) { HISTORY_DAYS[0].to_owned() } else { name }
}

impl PoorPerformance {
    /// Replaces the thresholds that `raw` has.
    ///
    /// # Errors
    /// As [`Config::merge`].
    pub fn merge(&mut self, raw: &mut Raw<'_>) -> Result<()> {
        let rule = |v: &Value| match v.as_str()? {
            "success" => Some(PoorRule::Success),
            "expectancy" => Some(PoorRule::Expectancy),
            _ => None,
        };
        raw.set(&["rule"], "must be \"success\" or \"expectancy\"", rule, &mut self.rule)?;
        let signals = |v: &Value| v.as_u64().filter(|n| (2..=10_000).contains(n));
        raw.set(&["min_signals"], "must be a whole number of signals, 2 to 10000", signals, &mut self.min_signals)?;
        let days = |v: &Value| v.as_u64().filter(|d| (1..=365).contains(d)).map(|d| d as u32);
        raw.set(&["window_days"], "must be a whole number of days, 1 to 365", days, &mut self.window_days)?;
        let percent = within(0.0, 100.0);
        raw.set(&["success_threshold"], "must be a number of percent, 0 to 100", percent, &mut self.success_threshold)?;
        let points = "must be a number of percentage points, 0 to 50";
        raw.set(&["conservative_margin"], points, within(0.0, 50.0), &mut self.conservative_margin)?;
        raw.set(&["emergency_training"], "must be true or false", Value::as_bool, &mut self.emergency_training)?;
        let hours = |v: &Value| Some(span(HOUR, 0.0, 8760.0 * HOUR)(v)?.as_secs_f64() / HOUR);
        let allowed = "must be a number of hours, 0 to 8760, or text such as \"24h\"";
        raw.set(&["cooldown_hours"], allowed, hours, &mut self.cooldown_hours)
    }
}

fn url(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    (!host.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merge(value: Value) -> Result<(Config, Vec<String>)> {
        let Value::Object(map) = value else { panic!("not an object") };
        Config::default().merge(map, "training_config.json")
    }

    #[test]
    fn keys_in_both_spellings_and_defaults_for_the_rest() {
        let raw =
            json!({ "symbols": ["BTC/USDT", "BTCUSDT", "ETHUSDT"], "historyDays": 30, "signal": { "stop_atr": 2 } });
        let (config, warnings) = merge(raw).unwrap();
        assert_eq!(config.symbols.len(), 2);
        assert_eq!((config.history_days, config.trees, config.signal.stop_atr), (Some(30), 100, 2.0));
        assert_eq!(Config::default().history_days, None, "all there is");
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn the_words_of_the_system_before() {
        let (config, warnings) =
            merge(json!({ "days_history": 30, "retrain_interval_hours": "12h", "parallel_training": 3 })).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!((config.history_days, config.retrain_interval.as_secs()), (Some(30), 12 * 3600));
        let parallel = |value| merge(json!({ "parallel_training": value })).unwrap().0.parallel_training;
        assert_eq!(config.parallel_training, ParallelTraining::Number(3));
        assert_eq!(
            (parallel(json!(false)), parallel(json!(true))),
            (ParallelTraining::Number(1), ParallelTraining::Threads)
        );
        let symbols = Config::default().symbols;
        let names: Vec<&str> = symbols.iter().map(|symbol| &symbol.as_str()[..3]).collect();
        assert_eq!(names, ["BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOG", "MAT", "DOT", "AVA"]);
        let error = merge(json!({ "days_history": 30, "historyDays": 60 })).unwrap_err().to_string();
        assert!(error.contains("`days_history` and `historyDays` are one setting"), "{error}");
    }

    #[test]
    fn an_unknown_key_warns_by_its_full_name() {
        let (_, warnings) = merge(json!({ "modle": 1, "signal": { "stp": 1 } })).unwrap();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("`signal.stp`") && warnings[1].contains("`modle`"), "{warnings:?}");
    }

    #[test]
    fn a_wrong_value_names_key_value_and_what_is_allowed() {
        let cases = [
            json!({ "symbols": [] }),
            json!({ "symbols": ["../x"] }),
            json!({ "timeframes": ["7h"] }),
            json!({ "history_days": 0 }),
            json!({ "exchange": "bitfinex" }),
            json!({ "exchange": "Binance" }),
            json!({ "exchange_url": "ftp://x" }),
            json!({ "watch_timeframe": "7m" }),
            json!({ "timezone": "Mars/Base" }),
            json!({ "trees": 3.5 }),
            json!({ "fee_bps": -1 }),
            json!({ "durability": "maybe" }),
            json!({ "signal": { "expiry_bars": 0 } }),
            json!({ "signal": 5 }),
            json!({ "poor_performance": { "rule": "luck" } }),
            json!({ "poor_performance": { "min_signals": 1 } }),
            json!({ "poor_performance": { "success_threshold": 101 } }),
            json!({ "poor_performance": { "cooldown_hours": -1 } }),
            json!({ "poor_performance": "off" }),
            json!({ "parallel_training": "yes" }),
            json!({ "parallel_training": 0 }),
            json!({ "parallel_training": 2.5 }),
            json!({ "days_history": "90" }),
            json!({ "retrain_interval_hours": "24" }),
            json!({ "seed": -1 }),
        ];
        for raw in cases {
            let error = merge(raw.clone()).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            let key = raw.as_object().and_then(|map| map.keys().next()).unwrap();
            assert!(error.to_string().contains(key.as_str()) && error.to_string().contains("must be"), "{error}");
        }
    }
}
