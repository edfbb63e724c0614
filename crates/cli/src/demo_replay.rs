//! The replay at the end of the demonstration: a strategy that knows nothing, with and without learning.

use super::output::Output;
use super::replay::{sets, told_parts};
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::error::Result;
use domain::signal::{Signal, Source};
use domain::time::{HOUR_MS, Tz};
use engine::SignalLoop;
use replay::{Asked, Bar, Options, Part, Request, Strategy, StrategyFuture, Wanted, study};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Hours between two signals of a symbol.
const EVERY_HOURS: i64 = 3;
/// Stop and target are multiples of the mean range of this many candles.
const RANGE_CANDLES: usize = 24;

/// A BUY, then a SELL, and so on, every few hours: it knows nothing of the market.
struct TakesTurns;

impl Strategy for TakesTurns {
    fn signals<'a>(&'a mut self, now_ms: i64, bars: &'a [Bar<'a>], _: Duration) -> StrategyFuture<'a> {
        let turn = now_ms.div_euclid(HOUR_MS);
        let bars = bars.iter().enumerate().filter(|_| turn % EVERY_HOURS == 0);
        let asked = bars.map(|(place, bar)| {
            let direction = if (turn / EVERY_HOURS + place as i64) % 2 == 0 { Direction::Buy } else { Direction::Sell };
            let signal = signal(bar, direction, now_ms).map_err(|error| error.to_string());
            Asked { bar: place, signals: signal.map(|signal| signal.into_iter().collect()) }
        });
        Box::pin(std::future::ready(Ok(asked.collect())))
    }
}

/// A signal at the last close, with the stop one and a half mean ranges away and the target twice as far; `None` where there
/// are too few candles.
fn signal(bar: &Bar<'_>, direction: Direction, now_ms: i64) -> Result<Option<Signal>> {
    let Some(recent) = bar.closed.len().checked_sub(RANGE_CANDLES).map(|from| &bar.closed[from..]) else {
        return Ok(None);
    };
    let range = recent.iter().map(|candle: &Candle| candle.high - candle.low).sum::<f64>() / RANGE_CANDLES as f64;
    let entry = recent[RANGE_CANDLES - 1].close;
    let away = |ranges: f64| entry + direction.sign() * ranges * range;
    let given = json!({
        "id": format!("turns-{}-{now_ms}", bar.market.symbol),
        "symbol": bar.market.symbol,
        "timeframe": bar.market.timeframe,
        "signalType": direction,
        "confidence": 50,
        "entryPrice": entry,
        "stopLoss": away(-1.5),
        "takeProfit": away(3.0),
        "expiresAt": now_ms + 24 * HOUR_MS,
        "timestamp": now_ms,
        "strategy": "turns",
    });
    Signal::from_value(given, Source::Caller, Tz::UTC).map(Some)
}

/// Replays the weeks from `from_ms` on, and writes the page of the replay. Returns its result as JSON.
///
/// # Errors
/// As [`study`].
pub async fn replay(core: &Arc<SignalLoop>, from_ms: i64, page: &Path, output: &Output) -> Result<Value> {
    // The first update is due at once, and trains in full because there is no model yet.
    let weekly = json!({ "retrain": { "interval": "7d", "time": "02:00" }, "update": { "interval": "7d" } });
    let scheduler = weekly.as_object().cloned().unwrap_or_default();
    let options = Options {
        from_ms: Some(from_ms),
        scheduler,
        config: Map::new(),
        compare: vec![Part::Models, Part::Outcomes],
        threads: std::thread::available_parallelism().ok().map(usize::from),
        ..Options::default()
    };
    let wanted = Wanted::Strategy(Box::new(TakesTurns));
    let request = Request { wanted, symbols: None, timeframes: None, candles: None, fetch: true, csv: None, options };
    let studied = study(core, request, Cancel::default(), |_| {}).await?;
    report::write_replay(&studied, page)?;
    output.news(format!("   {}.", studied.verdict.advice.words));
    if !output.is_quiet() {
        output.table(&sets(&studied.summary));
        told_parts(&studied, output);
    }
    Ok(json!({ "verdict": studied.verdict, "parts": studied.parts.iter().map(|part| json!({
        "without": part.without, "verdict": part.verdict,
    })).collect::<Vec<_>>() }))
}
