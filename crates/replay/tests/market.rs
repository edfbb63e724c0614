//! A simulated market with two symbols, a strategy for it, and quick settings.

use candles::PastCandles;
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::signal::{Signal, Source as From};
use domain::symbol::Market;
use domain::time::{Clock, Tz};
use replay::{Asked, Bar, Given, Options, Replayed, Source, Strategy, StrategyFuture, replay};
use serde_json::{Map, Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// The first candle, 2025-01-01.
pub const START: i64 = 1_735_689_600_000;
/// Candles before the replay begins.
pub const BEFORE_DAYS: i64 = 40;
/// When the replays begin.
pub const FROM: i64 = START + BEFORE_DAYS * DAY;

pub fn markets() -> Vec<Market> {
    ["BTCUSDT", "ETHUSDT"].map(|symbol| Market::parse(symbol, "1h").unwrap()).into()
}

/// A simulated exchange whose clock stands `days` after the begin of the replays.
pub fn simulator(days: i64) -> Simulator {
    let symbols = markets().into_iter().map(|market| market.symbol).collect();
    let clock = Clock::standing(FROM + days * DAY);
    let options = SimulatorOptions { symbols, start_ms: START, clock, rule_strength: 1.0, ..Default::default() };
    Simulator::start(options).unwrap()
}

/// The candles of both markets, and those of a quarter of an hour of one symbol.
pub fn candles(days: i64) -> BTreeMap<Market, Vec<Candle>> {
    let (simulator, until_ms) = (simulator(days), FROM + days * DAY);
    let finer = Market::parse("BTCUSDT", "15m").unwrap();
    let all = markets().into_iter().chain([finer]);
    all.map(|market| {
        let candles = simulator.candles(&market, START, until_ms).unwrap();
        (market, candles)
    })
    .collect()
}

pub fn past(days: i64) -> Arc<PastCandles> {
    Arc::new(PastCandles::new(candles(days)).unwrap())
}

pub fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Settings with which a training takes a fraction of a second.
pub fn quick() -> Map<String, Value> {
    map(json!({ "trees": 10, "history_days": 60 }))
}

pub fn options(home: &std::path::Path) -> Options {
    Options { home: home.to_owned(), from_ms: Some(FROM), config: quick(), ..Options::default() }
}

pub async fn run(source: Source, candles: Arc<PastCandles>, options: Options) -> domain::error::Result<Replayed> {
    replay(source, candles, options, Cancel::default(), |_| {}).await
}

/// The signal of a bar: with the last move after a fall or rise of the last three candles, with a stop of 1 %.
pub fn signal(bar: &Bar<'_>, now_ms: i64) -> Option<Signal> {
    let [.., first, _, last] = bar.closed else { return None };
    let moved = last.close / first.open - 1.0;
    if moved.abs() < 0.004 {
        return None;
    }
    let direction = if moved > 0.0 { Direction::Sell } else { Direction::Buy };
    let at = |percent: f64| last.close * (1.0 + direction.sign() * percent / 100.0);
    let given = json!({
        "id": format!("{}-{now_ms}", bar.market.file_stem()),
        "symbol": bar.market.symbol,
        "timeframe": bar.market.timeframe,
        "signalType": direction.as_str(),
        "confidence": 60,
        "entryPrice": last.close,
        "stopLoss": at(-1.0),
        "takeProfit": at(1.5),
        "expiresAt": now_ms + DAY,
        "timestamp": now_ms,
        "strategy": if direction == Direction::Buy { "dip" } else { "peak" },
        "indicators": { "moved": 100.0 * moved },
    });
    Some(Signal::from_value(given, From::Caller, Tz::UTC).unwrap())
}

/// Asks [`signal`] at each bar.
pub struct Reversal;

impl Strategy for Reversal {
    fn signals<'a>(&'a mut self, now_ms: i64, bars: &'a [Bar<'a>], _: Duration) -> StrategyFuture<'a> {
        let asked = bars.iter().enumerate().filter_map(|(place, bar)| {
            signal(bar, now_ms).map(|signal| Asked { bar: place, signals: Ok(vec![signal]) })
        });
        Box::pin(std::future::ready(Ok(asked.collect())))
    }
}

pub fn reversal() -> Source {
    Source::Strategy(markets(), Box::new(Reversal))
}

/// The signals of [`Reversal`] as past signals, each given a quarter of an hour after its candle.
pub fn past_signals(candles: &PastCandles, until_ms: i64) -> Vec<Given> {
    let mut given = Vec::new();
    for market in markets() {
        let all = candles.closed(&market, until_ms);
        for count in 3..=all.len() {
            let closed = &all[..count];
            let now_ms = closed[count - 1].open_ms + HOUR;
            let found = if now_ms < FROM { None } else { signal(&Bar { market: &market, closed }, now_ms) };
            given.extend(
                found.map(|signal| Given { signal: Signal { timestamp_ms: now_ms + HOUR / 4, ..signal }, end: None }),
            );
        }
    }
    given
}
