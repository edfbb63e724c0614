//! A live loop and a replay of the same hours decide the same, to the bit.

use super::market::{self, DAY, FROM, HOUR, Reversal, markets, simulator};
use candles::PastCandles;
use domain::error::Result;
use domain::symbol::Market;
use domain::time::Clock;
use engine::{Options as LoopOptions, SignalLoop};
use replay::{Bar, Options, Source, Strategy};
use scheduler::Task;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAYS: i64 = 4;

/// The log of a home by signal: everything that was stored of each.
fn log(home: &Path) -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(home.join("feedback").join("signals.jsonl")).unwrap();
    let mut log: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        log.entry(line["signal_id"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    log
}

/// What the ledger of models says, without how long it took.
fn trials(home: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(home.join("models").join("ledger.jsonl")).unwrap();
    let trial = |line: &str| {
        let mut trial = market::map(serde_json::from_str(line).unwrap());
        trial.shift_remove("duration_ms");
        trial
    };
    let mut trials: Vec<_> = text.lines().map(trial).collect();
    // Markets are trained side by side, so their order is that of the threads.
    trials.sort_by_key(|trial| Value::from(trial.clone()).to_string());
    trials
}

/// A backend with a live loop on the simulated exchange, hour by hour: it passes on candles, lets the scheduler's tasks run,
/// and asks before it records.
async fn live(home: &Path, from_ms: i64, until_ms: i64) -> Result<()> {
    let exchange = simulator(DAYS);
    let clock = Clock::standing(from_ms);
    let core = Arc::new(SignalLoop::open(LoopOptions {
        home: Some(home.to_owned()),
        store: Some("files".to_owned()),
        exchange_url: Some(exchange.url().to_owned()),
        clock: clock.clone(),
        ..LoopOptions::default()
    })?);
    core.settings().configure(market::quick())?;
    core.settings().configure(market::map(json!({
        "symbols": ["BTCUSDT", "ETHUSDT"], "timeframes": ["1h"], "durability": "os",
    })))?;
    let mut strategy = Reversal;
    for now_ms in (from_ms..=until_ms).step_by(HOUR as usize) {
        clock.set(now_ms);
        exchange.clock().set(now_ms);
        for market in markets() {
            let candles = exchange.candles(&market, now_ms - HOUR, now_ms)?;
            if now_ms > from_ms {
                core.signals().on_candle(market.symbol.clone(), candles[0], market.timeframe).await?;
            }
        }
        core.settle().await?;
        core.scheduler().run_once(Task::Fetch).await?;
        let hour = (now_ms - from_ms) / HOUR;
        if now_ms.rem_euclid(DAY) == 2 * HOUR {
            core.scheduler().run_once(Task::Retrain).await?;
        }
        if hour % 6 == 0 {
            core.scheduler().run_once(Task::Update).await?;
        }
        if hour % 12 == 0 {
            core.scheduler().run_once(Task::Evaluate).await?;
        }
        core.settle().await?;
        let closed: Vec<(Market, _)> = markets()
            .into_iter()
            .map(|market| {
                let candles = exchange.candles(&market, market::START, now_ms).unwrap();
                (market, candles)
            })
            .collect();
        let bars: Vec<Bar<'_>> = closed.iter().map(|(market, closed)| Bar { market, closed }).collect();
        for asked in strategy.signals(now_ms, &bars, Duration::MAX).await? {
            for mut signal in asked.signals.unwrap() {
                signal.taken = core.outcomes().assess(signal.clone()).await?.take;
                core.signals().record(vec![signal]).await?;
            }
        }
    }
    core.settle().await?;
    core.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_loop_and_a_replay_of_the_same_hours_decide_the_same() {
    let place = tempfile::tempdir().unwrap();
    let (lived, replayed, configured) =
        (place.path().join("live"), place.path().join("replayed"), place.path().join("home"));
    std::fs::create_dir(&configured).unwrap();
    let until_ms = FROM + DAYS * DAY;
    live(&lived, FROM, until_ms).await.unwrap();
    let mut candles = market::candles(DAYS);
    candles.retain(|market, _| market.timeframe == domain::symbol::Timeframe::H1);
    let candles = Arc::new(PastCandles::new(candles).unwrap());
    let options = Options { keep: Some(replayed.clone()), ..market::options(&configured) };
    let source = Source::Strategy(markets(), Box::new(Reversal));
    market::run(source, candles, options).await.unwrap();
    let (live, replay) = (log(&lived), log(&replayed));
    assert!(live.len() > 10, "{}", live.len());
    let said = live.values().filter(|lines| lines[0].get("said").is_some()).count();
    assert!(said > 5, "only {said} signals were assessed with something known");
    for (id, lines) in &live {
        assert_eq!(Some(lines), replay.get(id), "{id}");
    }
    assert_eq!(live.len(), replay.len());
    let (live, replay) = (trials(&lived), trials(&replayed));
    assert!(live.len() > 6, "{}", live.len());
    assert_eq!(live, replay);
}
