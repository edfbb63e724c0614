//! A market with trading hours, from the first fetch to the closing of a signal.

use candles::{Cause, candle_file};
use domain::barrier::{Direction, Outcome};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::symbol::Market;
use domain::time::{Clock, format_iso};
use engine::{GeneratedSignal, Options, SignalLoop, TrainRequest};
use exchange::{CandleFuture, CandleSource};
use learning::Abstention;
use parking_lot::Mutex;
use scheduler::Task;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use testkit::hours::{DAY, FOREX, HOUR, MINUTE, NEW_YORK, time};
use testkit::{object, signal};

/// A custom candle source, and how often it was asked.
struct CustomSource {
    candles: Vec<Candle>,
    asked: Mutex<usize>,
}

impl CandleSource for CustomSource {
    fn candles<'a>(&'a self, _market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        *self.asked.lock() += 1;
        let all = self.candles.iter().filter(|candle| (from_ms..until_ms).contains(&candle.open_ms));
        let found: Vec<Candle> = all.copied().collect();
        Box::pin(async move { Ok(found.into()) })
    }
}

/// A loop with one market and these candles, at a given time.
fn opened(
    home: &Path,
    market: &Market,
    candles: Vec<Candle>,
    now: &str,
) -> (Arc<SignalLoop>, Arc<CustomSource>, Clock) {
    let (own, clock) = (Arc::new(CustomSource { candles, asked: Mutex::default() }), Clock::standing(time(now)));
    let source: Arc<dyn CandleSource> = own.clone();
    let options =
        Options { home: Some(home.to_owned()), source: Some(source), clock: clock.clone(), ..Options::default() };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    let config =
        json!({ "symbols": [market.symbol], "timeframes": [market.timeframe], "trees": 10, "history_days": 500 });
    core.settings().configure(object(config)).unwrap();
    (core, own, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_is_trained_on_nearly_every_bar_and_served_while_the_market_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let market = Market::parse("SPY", "1h").unwrap();
    let candles = NEW_YORK.candles("2023-01-01", "2024-12-31", HOUR);
    // It is Saturday; the Wednesday before was a holiday.
    let (core, own, clock) = opened(home.path(), &market, candles, "2024-06-22T12:00:00Z");
    let fetched = core.fetcher().fetch(vec![market.clone()], None, |_| {}).await.unwrap().remove(0).fetched.unwrap();
    assert_eq!(fetched.findings.count(Cause::Gap), 0, "{}", fetched.findings);
    assert!(*own.asked.lock() < 40, "{} questions: no night is asked for", own.asked.lock());
    let trained = core
        .trainer()
        .train(TrainRequest::default(), Cancel::default(), |_| {})
        .await
        .unwrap()
        .results
        .remove(0)
        .trained
        .unwrap();
    assert!(trained.promoted());
    let mut prediction = core.models().predict(&market, None).wait().unwrap();
    let record = &prediction.model.record;
    // The first 96 are warm-up, and at most the last 24 have no outcome yet.
    assert!(record.rows + 96 + 24 >= fetched.total && fetched.total > 2300, "{} of {}", record.rows, fetched.total);
    assert!(!prediction.stale && prediction.atr.is_some(), "the newest candle is that of Friday evening");

    // From Friday 20:30 on, 24 candles: Monday to Wednesday have 21.
    prediction.decision = Ok(Direction::Buy);
    let generated = GeneratedSignal::new(prediction, core.settings().now_ms());
    assert_eq!(generated.expires_ms.map(format_iso).as_deref(), Some("2024-06-27T16:30:00.000Z"));

    let sunday = json!({ "id": "sunday", "symbol": "SPY", "timestamp": core.settings().now_ms() });
    core.signals().record(vec![signal(sunday)]).await.unwrap();
    let kept = core.store().open().unwrap().get("sunday").unwrap().unwrap();
    assert!(kept.signal.features.is_some(), "the features at entry are those of Friday evening");
    for (now, stale) in [("2024-06-24T14:29:00Z", false), ("2024-06-24T14:30:00Z", true)] {
        clock.set(time(now));
        assert_eq!(core.models().predict(&market, None).wait().unwrap().stale, stale, "{now}");
    }
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_candles_are_read_by_the_hours_of_the_stored_ones() {
    let home = tempfile::tempdir().unwrap();
    let market = Market::parse("EURUSD", "15m").unwrap();
    let candles = FOREX.candles("2024-01-01", "2024-03-08", 15 * MINUTE);
    let (core, ..) = opened(home.path(), &market, candles.clone(), "2024-03-08T00:00:00Z");
    core.trainer().train(TrainRequest::default(), Cancel::default(), |_| {}).await.unwrap();
    // These contain a weekend.
    let end = candles.partition_point(|candle| candle.open_ms < time("2024-02-26T04:00:00Z"));
    let given = Some(&candles[end - 150..end]);
    let with = core.models().predict(&market, given).wait().unwrap();
    assert!(with.atr.is_some());
    let at_once = core.models().predict(&market, given).ready().unwrap().unwrap();
    assert_eq!(format!("{at_once:?}"), format!("{with:?}"));
    // Without them, a single weekend is not enough to learn the calendar.
    std::fs::remove_file(candle_file(&home.path().join("data"), &market)).unwrap();
    assert_eq!(core.models().predict(&market, given).wait().unwrap().decision, Err(Abstention::NoFeatures));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_lives_over_a_holiday_closes_at_the_open() {
    let home = tempfile::tempdir().unwrap();
    let market = Market::parse("SPY", "1h").unwrap();
    let mut candles = NEW_YORK.candles("2024-01-01", "2024-06-29", HOUR);
    let (tuesday, thursday) = (time("2024-06-18T19:00:00Z"), time("2024-06-20T00:00:00Z"));
    for candle in candles.iter_mut().filter(|candle| candle.open_ms > tuesday - DAY) {
        let price = if candle.open_ms < thursday { 100.0 } else { 80.0 };
        (candle.open, candle.high, candle.low, candle.close) = (price, price + 0.1, price - 0.1, price);
    }
    let (core, _, clock) = opened(home.path(), &market, candles, "2024-06-18T20:40:00Z");
    core.fetcher().fetch(vec![market.clone()], None, |_| {}).await.unwrap();
    core.signals()
        .record(vec![signal(
            json!({ "id": "a", "symbol": "SPY", "timestamp": tuesday, "expiresAt": tuesday + 9 * DAY }),
        )])
        .await
        .unwrap();
    clock.set(thursday + 18 * HOUR);
    core.scheduler().run_once(Task::Watch).await.unwrap();
    let closing = core.store().open().unwrap().get("a").unwrap().unwrap().closing.unwrap();
    assert_eq!((closing.outcome, closing.exit_price), (Outcome::StoppedOut, Some(80.0)));
    core.close().await;
}
