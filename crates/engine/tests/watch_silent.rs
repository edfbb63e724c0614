//! Open signals of markets without prices: after a time without candles they close as unknown, and a frozen price
//! closes none.

use domain::barrier::Outcome;
use domain::candle::Candle;
use domain::error::Result;
use domain::symbol::{Market, Symbol};
use domain::time::{Clock, format_iso};
use engine::{Options, SignalLoop};
use exchange::{CandleFuture, CandleSource};
use feedback::StatsFilter;
use scheduler::{Outcome as Ended, Task};
use serde_json::json;
use simulator::{Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::Arc;
use testkit::{signal, warnings::Warnings};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn opened(home: &Path, options: Options) -> (Arc<SignalLoop>, Warnings) {
    let core = Arc::new(SignalLoop::open(Options { home: Some(home.to_owned()), ..options }).unwrap());
    let warnings = Warnings::default();
    core.events().subscribe(Box::new(warnings.clone()));
    (core, warnings)
}

fn on(exchange: &Simulator) -> Options {
    Options { exchange_url: Some(exchange.url().to_owned()), clock: exchange.clock().clone(), ..Options::default() }
}

/// A BUY at `entry`, its stop a tenth below and its target a tenth above.
fn buy(id: &str, symbol: &str, entry: f64, at_ms: i64, expires_ms: Option<i64>) -> domain::signal::Signal {
    signal(json!({
        "id": id, "symbol": symbol, "signalType": "BUY", "entryPrice": entry, "timestamp": at_ms,
        "stopLoss": entry * 0.9, "takeProfit": entry * 1.1, "expiresAt": expires_ms,
    }))
}

async fn watch(core: &Arc<SignalLoop>) -> scheduler::LastRun {
    core.scheduler().run_once(Task::Watch).await.unwrap()
}

/// The log is older than the candles: the first of them is far beyond the levels.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_from_before_the_first_candle_close_as_unknown() -> Result<()> {
    let home = tempfile::tempdir().unwrap();
    let exchange = Simulator::start(SimulatorOptions {
        clock: Clock::standing(SimulatorOptions::default().start_ms + 20 * DAY),
        ..SimulatorOptions::default()
    })?;
    let (core, warnings) = opened(home.path(), on(&exchange));
    let minutes = Market::parse("BTCUSDT", "1m")?;
    let start = SimulatorOptions::default().start_ms;
    let first = exchange.candles(&minutes, start, start + HOUR)?[0];
    let (store, long_ago) = (core.store().open()?, start - 60 * DAY);
    store
        .record_all(vec![
            buy("target", "BTCUSDT", first.open / 1.51, long_ago, None),
            buy("stop", "BTCUSDT", first.open * 1.51, long_ago, None),
            buy("expired", "BTCUSDT", first.open, long_ago, Some(long_ago + DAY)),
            // The first candle shows that it is still between its levels.
            buy("open", "BTCUSDT", first.open, long_ago, Some(start + 365 * DAY)),
            // The same levels, but given when there are candles: the next available price is beyond its stop.
            buy("fresh", "BTCUSDT", first.open * 1.51, start, None),
        ])
        .await?;
    let run = watch(&core).await;
    assert_eq!(run.outcome, Ended::Finished, "{run:?}");
    assert!(run.message.contains("3 closed as UNKNOWN"), "{}", run.message);
    for id in ["target", "stop", "expired"] {
        let closing = store.get(id)?.unwrap().closing.unwrap();
        assert_eq!(
            (closing.outcome, closing.exit_price, closing.profit_percent),
            (Outcome::Unknown, None, 0.0),
            "{id}"
        );
        assert_eq!(closing.closed_ms, first.open_ms, "{id}");
    }
    let open = store.get("open")?.unwrap().closing;
    assert!(
        open.is_none_or(|closing| closing.exit_price.is_some_and(|price| (price / first.open - 1.0).abs() < 0.101))
    );
    let fresh = store.get("fresh")?.unwrap().closing.unwrap();
    assert_eq!((fresh.outcome, fresh.exit_price), (Outcome::StoppedOut, Some(first.open)));

    let told: Vec<String> = warnings.0.lock().iter().filter(|text| text.contains("UNKNOWN")).cloned().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("BTCUSDT: 3 signals closed as UNKNOWN") && told[0].contains("Candles are missing"),
        "{told:?}"
    );

    // They are counted separately, and nothing is learned from them.
    let figures = store.stats(&StatsFilter::default())?.figures;
    assert_eq!((figures.unknown, figures.total), (3, 5));
    assert_eq!(figures.closed, figures.successes + figures.failures);
    assert_eq!(figures.closed + figures.active, 2);
    let mut seen = Vec::new();
    store.closed_records(&StatsFilter::default(), |record| {
        seen.push(record.signal.id);
        Ok(())
    })?;
    assert!(seen.contains(&"fresh".to_owned()) && !seen.contains(&"target".to_owned()), "{seen:?}");
    let assessed = core.outcomes().assess(buy("new", "BTCUSDT", first.open, exchange.now_ms(), None)).await?;
    assert_eq!(assessed.closed as u64, figures.closed);
    core.close().await;

    // They are read back, from the log alone too.
    for index in [true, false] {
        if !index {
            std::fs::remove_file(home.path().join("feedback/signals.index")).ok();
        }
        let (core, _) = opened(home.path(), on(&exchange));
        assert_eq!(core.store().open()?.stats(&StatsFilter::default())?.figures, figures, "index: {index}");
        core.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_price_of_a_delisted_symbol_closes_nothing() -> Result<()> {
    let home = tempfile::tempdir().unwrap();
    let now = SimulatorOptions::default().start_ms + 100 * DAY;
    let (matic, btc) = (Symbol::parse("MATICUSDT")?, Symbol::parse("BTCUSDT")?);
    let ended = now - 60 * DAY;
    let exchange = Simulator::start(SimulatorOptions {
        clock: Clock::standing(now + 20_000),
        delisted: vec![(matic.clone(), ended)],
        ..SimulatorOptions::default()
    })?;
    let (core, warnings) = opened(home.path(), on(&exchange));
    let store = core.store().open()?;
    let price = |symbol: &Symbol| exchange.price(symbol).unwrap();
    // The stops are above the price, so any price closes them.
    store.record(buy("frozen", "MATICUSDT", price(&matic) * 1.2, now, None)).await?;
    store.record(buy("live", "BTCUSDT", price(&btc) * 1.2, now, None)).await?;
    let run = watch(&core).await;
    assert_eq!((run.outcome, run.done), (Ended::Finished, 1), "{run:?}");
    assert!(run.message.contains("without current prices: MATICUSDT"), "{}", run.message);
    assert!(store.get("live")?.unwrap().closing.is_some());
    let asked = exchange.requests();
    let priced = asked.iter().filter(|request| request.contains("ticker/price"));
    assert!(
        !asked.is_empty() && priced.clone().count() > 0 && !priced.clone().any(|request| request.contains("MATIC"))
    );

    for minutes in 1..4 {
        exchange.clock().set(now + minutes * MINUTE + 20_000);
        assert_eq!(watch(&core).await.outcome, Ended::Finished);
    }
    assert_eq!(store.get("frozen")?.unwrap().closing, None);
    let told = warnings.0.lock().clone();
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert!(told[0].contains("MATICUSDT has had no candle") && told[0].contains("outcome: 'UNKNOWN'"), "{told:?}");

    // The warning's advice works.
    assert!(core.signals().close_signal("frozen", Outcome::Unknown, None, None).await?);
    assert_eq!(store.stats(&StatsFilter::default())?.figures.unknown, 1);
    core.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_that_stops_trading_stops_closing_and_begins_again_with_its_candles() -> Result<()> {
    let home = tempfile::tempdir().unwrap();
    let now = SimulatorOptions::default().start_ms + 20 * DAY;
    let exchange = Simulator::start(SimulatorOptions { clock: Clock::standing(now), ..SimulatorOptions::default() })?;
    let (core, warnings) = opened(home.path(), on(&exchange));
    let (store, btc) = (core.store().open()?, Symbol::parse("BTCUSDT")?);
    store.record(buy("wide", "BTCUSDT", exchange.price(&btc)?, now - HOUR, None)).await?;
    watch(&core).await;
    exchange.delist(&btc, now + MINUTE)?;
    exchange.clock().set(now + 30 * MINUTE);
    let price = exchange.price(&btc)?;
    store.record(buy("late", "BTCUSDT", price * 1.2, now + 30 * MINUTE, None)).await?;
    watch(&core).await;
    assert_eq!(store.get("late")?.unwrap().closing, None);
    let told = warnings.0.lock().clone();
    assert!(told.len() == 1 && told[0].contains(&format_iso(now + MINUTE)), "{told:?}");
    // Trading resumes: the next available price closes it.
    exchange.delist(&btc, i64::MAX)?;
    let run = watch(&core).await;
    assert!(!run.message.contains("without prices"), "{}", run.message);
    assert_eq!(store.get("late")?.unwrap().closing.unwrap().outcome, Outcome::StoppedOut);
    core.close().await;
    Ok(())
}

/// A custom candle source for weekdays only, from a Friday to the following Monday, or later.
struct Weekdays {
    monday_ms: i64,
}

/// Friday, 2025-09-12, 20:00 UTC: the last hour of the week.
const FRIDAY: i64 = 1_757_707_200_000;

impl CandleSource for Weekdays {
    fn candles<'a>(&'a self, _market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        let candle = |open_ms, price: f64| Candle {
            open_ms,
            open: price,
            high: price * 1.001,
            low: price * 0.999,
            close: price,
            volume: 5.0,
        };
        let week = (0..8).map(|hour| candle(FRIDAY - (7 - hour) * HOUR, 100.0));
        let next = (0..3).map(|hour| candle(self.monday_ms + hour * HOUR, 80.0));
        let found: Vec<Candle> = week.chain(next).filter(|one| (from_ms..until_ms).contains(&one.open_ms)).collect();
        Box::pin(async move { Ok(found.into()) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_over_a_weekend_is_a_loss_and_one_of_weeks_is_unknown() -> Result<()> {
    for (days, outcome) in [(2, Outcome::StoppedOut), (9, Outcome::Unknown)] {
        let home = tempfile::tempdir().unwrap();
        let monday_ms = FRIDAY + HOUR + days * DAY;
        let source: Arc<dyn CandleSource> = Arc::new(Weekdays { monday_ms });
        let clock = Clock::standing(monday_ms + 5 * HOUR);
        let (core, _) = opened(home.path(), Options { source: Some(source), clock, ..Options::default() });
        let store = core.store().open()?;
        store.record(buy("a", "EURUSD", 100.0, FRIDAY - 3 * HOUR, None)).await?;
        let run = watch(&core).await;
        assert_eq!((run.outcome, run.done), (Ended::Finished, 1), "{run:?}");
        let closing = store.get("a")?.unwrap().closing.unwrap();
        let price = (outcome == Outcome::StoppedOut).then_some(80.0);
        assert_eq!((closing.outcome, closing.exit_price), (outcome, price), "{days} days");
        core.close().await;
    }
    Ok(())
}
