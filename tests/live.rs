//! Protects the automatic way back: a model whose live signals break its promise is rolled back, one that keeps it is not.
#![allow(clippy::unwrap_used)]

mod common;

use common::signal;
use serde_json::{Value, json};
use signalloop::barrier::Outcome;
use signalloop::cancel::Cancel;
use signalloop::engine::{GeneratedSignal, Options, Risk, SignalLoop, TrainRequest};
use signalloop::market::{Candle, Reading, Simulator, SimulatorOptions, candle_file, read_candles, write_csv};
use signalloop::signal::Signal;
use signalloop::symbol::Market;
use signalloop::time::Clock;
use std::path::Path;
use std::sync::Arc;

const HOUR: i64 = 3_600_000;

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

fn opened(home: &Path, now_ms: i64) -> Options {
    Options { home: Some(home.to_owned()), clock: Clock::standing(now_ms), ..Options::default() }
}

fn stored(home: &Path) -> Vec<Candle> {
    read_candles(&candle_file(&home.join("data"), &market()), market().timeframe, &Reading::stored()).unwrap().0
}

/// A loop with a number of versions of one model.
async fn trained(home: &Path, times: usize) -> Arc<SignalLoop> {
    let options = SimulatorOptions::default();
    let (start, end) = (options.start_ms, options.start_ms + 500 * HOUR);
    let candles = Simulator::start(options).unwrap().candles(&market(), start, end).unwrap();
    write_csv(&candle_file(&home.join("data"), &market()), &candles).unwrap();
    let core = Arc::new(SignalLoop::open(opened(home, end)).unwrap());
    let Value::Object(small) = json!({ "trees": 10 }) else { panic!() };
    core.configure(small).unwrap();
    for _ in 0..times {
        let request = TrainRequest {
            symbols: Some(vec![market().symbol]),
            timeframes: Some(vec![market().timeframe]),
            skip_fetch: true,
            ..TrainRequest::default()
        };
        let results = core.train(request, Cancel::default(), |_| {}).await.unwrap();
        assert!(results.results[0].trained.as_ref().unwrap().promoted());
    }
    core
}

/// Records and closes signals of a version that promised a success of one half; every `nth` succeeds.
async fn live(core: &SignalLoop, version: u64, count: usize, nth: usize) {
    let store = core.store().unwrap();
    let now = core.now_ms();
    for n in 0..count {
        let id = format!("{version}-{n}");
        let promised = json!({ "signal": "BUY", "confidence": 50.0, "modelVersion": version });
        store.record(signal(json!({ "id": id, "timestamp": now, "mlPrediction": promised }))).await.unwrap();
        let outcome = if n % nth == 0 { Outcome::Success } else { Outcome::Failure };
        assert!(store.close_signal(&id, outcome, None, None, now + 1).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_promise_rolls_back_and_a_kept_one_does_not() {
    let home = tempfile::tempdir().unwrap();
    let core = trained(home.path(), 2).await;
    let verdict = core.check_live(&market()).unwrap();
    assert_eq!((verdict.version, verdict.record.closed, verdict.rollback), (2, 0, None));

    // Half of its signals succeed, as promised; those of the other version, and of none, are not its own.
    live(&core, 2, 60, 2).await;
    live(&core, 1, 10, 100).await;
    core.store().unwrap().record(signal(json!({ "id": "by hand", "timestamp": core.now_ms() }))).await.unwrap();
    let verdict = core.check_live(&market()).unwrap();
    assert_eq!((verdict.record.closed, verdict.record.succeeded, verdict.record.expected), (60, 30, 30.0));
    assert!(!verdict.record.is_broken && verdict.rollback.is_none());
    core.close().await;

    let home = tempfile::tempdir().unwrap();
    let core = trained(home.path(), 2).await;
    live(&core, 2, 29, 10).await;
    assert!(core.check_live(&market()).unwrap().rollback.is_none(), "29 are too few");
    let store = core.store().unwrap();
    let promised = json!({ "signal": "BUY", "confidence": 50.0, "modelVersion": 2 });
    store.record(signal(json!({ "id": "30", "timestamp": core.now_ms(), "ml_prediction": promised }))).await.unwrap();
    store.close_signal("30", Outcome::StoppedOut, None, None, core.now_ms() + 1).await.unwrap();
    let verdict = core.check_live(&market()).unwrap();
    assert_eq!((verdict.record.closed, verdict.record.succeeded, verdict.record.expected), (30, 3, 15.0));
    let rollback = verdict.rollback.unwrap();
    assert_eq!((rollback.from, rollback.to, rollback.automatic), (2, 1, true));
    assert!(rollback.reason.contains("of 30 live signals 3 succeeded"), "{}", rollback.reason);
    assert_eq!(core.registry().get(&market()).unwrap().version(), 1);
    // The version before has no signals of its own yet, and no predecessor should they turn out badly.
    assert_eq!(core.check_live(&market()).unwrap().record.closed, 0);
    live(&core, 1, 40, 100).await;
    let verdict = core.check_live(&market()).unwrap();
    assert!(verdict.record.is_broken && verdict.rollback.is_none());
    assert_eq!(core.registry().get(&market()).unwrap().version(), 1);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_signal_says_whose_it_is() {
    let home = tempfile::tempdir().unwrap();
    let core = trained(home.path(), 1).await;
    let generated = GeneratedSignal::new(core.predict(&market(), None).unwrap(), Risk::Medium, core.now_ms());
    let recorded: Signal = generated.to_signal();
    let promised = &recorded.extra["mlPrediction"];
    assert_eq!((&promised["modelVersion"], &promised["signal"]), (&json!(1), &json!("HOLD")));
    assert_eq!(promised["confidence"], json!(recorded.confidence.unwrap()));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_predicted_at_once_is_what_is_predicted_and_never_of_a_model_that_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let core = trained(home.path(), 2).await;
    let said = |core: &SignalLoop, candles| format!("{:?}", core.predict(&market(), candles).unwrap());
    let at_once =
        |core: &SignalLoop, candles| core.try_predict(&market(), candles).unwrap().map(|made| format!("{made:?}"));
    // One that has read nothing yet must read, whatever it is asked.
    let other = SignalLoop::open(opened(home.path(), core.now_ms())).unwrap();
    let candles = stored(home.path());
    let given = Some(&candles[300..]);
    assert_eq!((at_once(&other, None), at_once(&other, given)), (None, None));
    for candles in [None, given] {
        let expected = said(&other, candles);
        assert_eq!(at_once(&other, candles), Some(expected));
    }
    assert_eq!(at_once(&other, Some(&candles)), Some(said(&other, Some(&candles))));
    let long: Vec<_> = (0..600).map(|n| Candle { open_ms: n * HOUR, ..candles[n as usize % 500] }).collect();
    assert_eq!(at_once(&other, Some(&long)), None, "a long series is for another thread");
    // What cannot be predicted from is refused in the same words.
    for wrong in [&candles[..50], &[candles[1], candles[0]].repeat(60)[..]] {
        let refused = other.predict(&market(), Some(wrong)).unwrap_err().to_string();
        assert_eq!(other.try_predict(&market(), Some(wrong)).unwrap_err().to_string(), refused);
    }
    // Another process rolled back.
    core.rollback(&market(), None).unwrap();
    assert_eq!(at_once(&other, given), None);
    assert_eq!(other.predict(&market(), given).unwrap().model.version(), 1);
    assert_eq!(other.try_predict(&market(), given).unwrap().unwrap().model.version(), 1);
    core.close().await;
    other.close().await;
}
