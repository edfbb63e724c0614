//! Automatic rollback: models whose live signals break their promises are rolled back, and those that keep them are
//! not.

use candles::{Reading, candle_file, read_candles, write_csv};
use domain::barrier::{Direction, Outcome};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::signal::Signal;
use domain::symbol::Market;
use domain::time::Clock;
use engine::{GeneratedSignal, LiveVerdict, Options, Risk, SignalLoop, TrainRequest, Trained};
use learning::LiveRecord;
use learning::model::Decision;
use serde_json::json;
use simulator::{Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::signal;

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

/// A loop with several versions of one model, and its clock.
async fn trained(home: &Path, times: usize) -> (Arc<SignalLoop>, Clock) {
    let options = SimulatorOptions::default();
    let (start, end) = (options.start_ms, options.start_ms + 500 * HOUR);
    let candles = Simulator::start(options).unwrap().candles(&market(), start, end).unwrap();
    write_csv(&candle_file(&home.join("data"), &market()), &candles).unwrap();
    let clock = Clock::standing(end);
    let core = Arc::new(SignalLoop::open(Options { clock: clock.clone(), ..opened(home, end) }).unwrap());
    core.settings().configure(testkit::object(json!({ "trees": 10 }))).unwrap();
    for _ in 0..times {
        assert!(train(&core).await.promoted());
    }
    (core, clock)
}

/// A request for this market only, listed `times` times, on the stored candles.
fn of_market(times: usize) -> TrainRequest {
    TrainRequest {
        symbols: Some(vec![market().symbol; times]),
        timeframes: Some(vec![market().timeframe; times]),
        skip_fetch: true,
        ..TrainRequest::default()
    }
}

async fn train(core: &Arc<SignalLoop>) -> Trained {
    core.trainer().train(of_market(1), Cancel::default(), |_| {}).await.unwrap().results.remove(0).trained.unwrap()
}

/// Records and closes signals of a version that promised a success rate of one half; every `nth` succeeds.
async fn live(core: &SignalLoop, clock: &Clock, version: u64, count: usize, nth: usize) {
    let store = core.store().open().unwrap();
    for n in 0..count {
        let now = clock.now_ms() + 1000;
        clock.set(now);
        let id = format!("{version} {now}");
        // Either spelling is accepted.
        let key = if n % 2 == 0 { "mlPrediction" } else { "ml_prediction" };
        let promised = json!({ "signal": "BUY", "confidence": 50.0, "modelVersion": version });
        store.record(signal(json!({ "id": id, "timestamp": now, key: promised }))).await.unwrap();
        let (outcome, profit) = if n % nth == 0 { (Outcome::Success, 1.0) } else { (Outcome::Failure, -1.0) };
        assert!(store.close_signal(&id, outcome, None, Some(profit), now + 1).await.unwrap());
    }
}

/// The verdict on live signals, and the counts: closed, succeeded, expected.
fn weighed(core: &Arc<SignalLoop>) -> (LiveVerdict, (usize, usize, f64)) {
    let verdict = core.models().check_live(&market()).unwrap();
    let LiveRecord { closed, succeeded, expected, .. } = verdict.record;
    (verdict, (closed, succeeded, expected))
}

fn serves(core: &SignalLoop) -> u64 {
    core.models().registry().get(&market()).wait().unwrap().version()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_promise_rolls_back_and_a_kept_one_does_not() {
    let home = tempfile::tempdir().unwrap();
    let (core, clock) = trained(home.path(), 2).await;
    let (verdict, found) = weighed(&core);
    assert_eq!((verdict.version, found, verdict.rollback), (2, (0, 0, 0.0), None));

    // Half of its signals succeed, as promised; signals without a model do not count.
    live(&core, &clock, 2, 60, 2).await;
    let store = core.store().open().unwrap();
    store.record(signal(json!({ "id": "by hand", "timestamp": core.settings().now_ms() }))).await.unwrap();
    // Neither do signals with levels for which the model promised nothing.
    let near = json!({ "signal": "BUY", "confidence": 50.0, "modelVersion": 2, "levelsScale": 0.67 });
    store
        .record(signal(json!({ "id": "near", "timestamp": core.settings().now_ms(), "mlPrediction": near })))
        .await
        .unwrap();
    assert!(
        store.close_signal("near", Outcome::Failure, None, Some(-1.0), core.settings().now_ms() + 1).await.unwrap()
    );
    let (verdict, found) = weighed(&core);
    assert_eq!(found, (60, 30, 30.0));
    assert!(!verdict.record.is_broken && verdict.rollback.is_none());
    core.close().await;

    let home = tempfile::tempdir().unwrap();
    let (core, clock) = trained(home.path(), 2).await;
    live(&core, &clock, 2, 29, 10).await;
    assert!(weighed(&core).0.rollback.is_none(), "29 are too few");
    live(&core, &clock, 2, 1, 10).await;
    let (verdict, found) = weighed(&core);
    assert_eq!(found, (30, 4, 15.0));
    let rollback = verdict.rollback.unwrap();
    assert_eq!((rollback.from, rollback.to, rollback.automatic), (2, 1, true));
    // The first outcomes of the window include a success, which proves nothing.
    let expected = "of 29 live signals 3 succeeded where the probabilities of version 2 promised 14.5";
    assert!(rollback.reason.contains(expected), "{}", rollback.reason);
    assert_eq!(serves(&core), 1);
    // The previous version has no signals of its own yet, and no predecessor in case they turn out badly.
    assert_eq!(weighed(&core).1.0, 0);
    live(&core, &clock, 1, 40, 100).await;
    let verdict = weighed(&core).0;
    assert!(verdict.record.is_broken && verdict.rollback.is_none());
    assert_eq!((serves(&core), weighed(&core).1.0), (1, 0), "the rollback is reported once");
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_of_versions_that_change_every_day_are_weighed_together() {
    let home = tempfile::tempdir().unwrap();
    let (core, clock) = trained(home.path(), 1).await;
    for version in 1..=3 {
        live(&core, &clock, version, 24, 2).await;
        assert!(!weighed(&core).0.record.is_broken);
        assert!(train(&core).await.promoted());
    }
    assert_eq!(weighed(&core).1, (72, 36, 36.0));
    // From here on promises are broken. The version at which that becomes significant is not the first that broke them.
    live(&core, &clock, 4, 24, 10).await;
    assert!(!weighed(&core).0.record.is_broken, "24 do not prove it");
    assert!(train(&core).await.promoted());
    live(&core, &clock, 5, 24, 10).await;
    let rollback = weighed(&core).0.rollback.unwrap();
    assert_eq!((rollback.from, rollback.to), (5, 3), "{rollback:?}");
    assert!(rollback.reason.contains("the probabilities of versions 4 to 5 promised"), "{}", rollback.reason);
    assert_eq!(serves(&core), 3);
    // A version that the gate promotes from here on starts with a clean record; remaining signals of earlier versions
    // do not count.
    clock.set(clock.now_ms() + 1000);
    assert!(train(&core).await.promoted());
    assert_eq!(weighed(&core).1.0, 0);
    live(&core, &clock, 6, 24, 2).await;
    assert_eq!((weighed(&core).1.0, serves(&core)), (24, 6));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_does_not_pay_for_promises_that_no_way_back_leads_past() {
    let home = tempfile::tempdir().unwrap();
    let (core, clock) = trained(home.path(), 1).await;
    live(&core, &clock, 1, 25, 100).await;
    assert!(train(&core).await.promoted());
    live(&core, &clock, 2, 5, 100).await;
    let verdict = weighed(&core).0;
    assert!(verdict.record.is_broken && verdict.rollback.is_none(), "{verdict:?}");
    assert_eq!((serves(&core), weighed(&core).1.0), (2, 0));
    // Its own signals break its own promise.
    live(&core, &clock, 2, 40, 100).await;
    assert_eq!(weighed(&core).0.rollback.map(|rollback| rollback.to), Some(1));
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_beside_a_champion_that_cannot_be_read_ends_and_serving_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = trained(home.path(), 1).await;
    assert_eq!(core.models().predict(&market(), None).wait().unwrap().model.version(), 1);
    // A newer version of signalloop has trained.
    let other = Arc::new(SignalLoop::open(opened(home.path(), core.settings().now_ms())).unwrap());
    other.settings().configure(testkit::object(json!({ "trees": 10 }))).unwrap();
    assert_eq!(train(&other).await.model().version(), 2);
    std::fs::write(home.path().join("models/btcusdt_1h/v000002.model"), b"signalloop model 5\n").unwrap();
    assert_eq!(core.models().predict(&market(), None).wait().unwrap().model.version(), 1);
    let cancel = Cancel::default();
    let training = core.trainer().train(of_market(1), cancel.clone(), |_| {});
    let Ok(results) = tokio::time::timeout(Duration::from_secs(60), training).await else {
        cancel.cancel();
        panic!("the verdict is repeated endlessly");
    };
    let results = results.unwrap();
    let trained = results.results[0].trained.as_ref().unwrap();
    assert_eq!(trained.trial().unwrap().decision, Decision::ChampionUnusable);
    assert!(trained.promoted() && trained.reason().contains("another format version"), "{}", trained.reason());
    assert_eq!(core.models().predict(&market(), None).wait().unwrap().model.version(), 3);
    core.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_signal_names_its_model() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = trained(home.path(), 1).await;
    let generated =
        GeneratedSignal::new(core.models().predict(&market(), None).wait().unwrap(), core.settings().now_ms());
    let recorded: Signal = generated.to_signal();
    let promised = &recorded.extra["mlPrediction"];
    assert_eq!((&promised["modelVersion"], &promised["signal"]), (&json!(1), &json!("HOLD")));
    assert_eq!((&promised["confidence"], promised.get("levelsScale")), (&json!(recorded.confidence.unwrap()), None));
    core.close().await;
}

/// A model's probability is only valid for the levels it was trained on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_with_other_levels_says_so() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = trained(home.path(), 1).await;
    let own = core.models().predict(&market(), None).wait().unwrap();
    assert!(own.is_measured() && own.break_even().is_some());
    for (risk, scale, times) in [(Risk::Low, 2.0 / 3.0, "0.67"), (Risk::High, 4.0 / 3.0, "1.33")] {
        let mut other = own.clone().at(risk);
        assert_eq!((other.is_measured(), other.break_even()), (false, None));
        assert!(!other.rationale().contains("measured"), "a HOLD without skill names no probability");
        other.decision = Ok(Direction::Buy);
        let said = format!("(stop 1.5 ATR); for levels {times} times as far it was not measured");
        assert!(other.rationale().ends_with(&said), "{}", other.rationale());
        let [near, far] = [own.clone(), other].map(|mut prediction| {
            prediction.decision = Ok(Direction::Buy);
            GeneratedSignal::new(prediction, core.settings().now_ms())
        });
        let distance = |signal: &GeneratedSignal| signal.prediction.price - signal.stop_loss.unwrap();
        assert!((distance(&far) / distance(&near) - scale).abs() < 1e-3);
        assert_eq!(far.to_signal().extra["mlPrediction"]["levelsScale"], json!(scale));
    }
    core.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immediate_predictions_equal_others_and_never_use_an_old_model() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = trained(home.path(), 2).await;
    let said = |core: &SignalLoop, candles| format!("{:?}", core.models().predict(&market(), candles).wait().unwrap());
    let at_once = |core: &SignalLoop, candles| {
        core.models().predict(&market(), candles).ready().map(|made| format!("{:?}", made.unwrap()))
    };
    // An instance that has not read anything yet must read first.
    let other = SignalLoop::open(opened(home.path(), core.settings().now_ms())).unwrap();
    let candles = stored(home.path());
    let given = Some(&candles[300..]);
    assert_eq!((at_once(&other, None), at_once(&other, given)), (None, None));
    for candles in [None, given] {
        // The first answer is read, the second comes from memory.
        let fresh = SignalLoop::open(opened(home.path(), core.settings().now_ms())).unwrap();
        assert_eq!(at_once(&fresh, candles), None);
        let expected = said(&fresh, candles);
        assert_eq!(at_once(&fresh, candles), Some(expected.clone()));
        assert_eq!(said(&other, candles), expected);
        fresh.close().await;
    }
    assert_eq!(at_once(&other, Some(&candles)), Some(said(&other, Some(&candles))));
    let long: Vec<_> = (0..600).map(|n| Candle { open_ms: n * HOUR, ..candles[n as usize % 500] }).collect();
    assert_eq!(at_once(&other, Some(&long)), None, "a long series is for another thread");
    // Both ways refuse unusable candles with the same error.
    for wrong in [&candles[..50], &[candles[1], candles[0]].repeat(60)[..]] {
        let refused = other.models().predict(&market(), Some(wrong)).wait().unwrap_err().to_string();
        assert_eq!(other.models().predict(&market(), Some(wrong)).ready().unwrap().unwrap_err().to_string(), refused);
    }
    // Another process performed a rollback.
    core.models().rollback(&market(), None).unwrap();
    assert_eq!(at_once(&other, given), None);
    assert_eq!(other.models().predict(&market(), given).wait().unwrap().model.version(), 1);
    assert_eq!(other.models().predict(&market(), given).ready().unwrap().unwrap().model.version(), 1);
    core.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_named_twice_is_one_and_results_that_cannot_be_written_are_returned_with_a_warning() {
    let home = tempfile::tempdir().unwrap();
    let (core, _) = trained(home.path(), 1).await;
    let results = core.trainer().train(of_market(3), Cancel::default(), |_| {}).await.unwrap();
    assert_eq!((results.results.len(), results.warning), (1, None));
    assert_eq!(core.models().registry().ledger().unwrap().entries.len(), 2, "one trial more");

    let file = home.path().join("models/training_results.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let results = core.trainer().train(of_market(1), Cancel::default(), |_| {}).await.unwrap();
    assert!(results.results[0].trained.is_ok());
    let warning = results.warning.clone().unwrap();
    assert!(warning.contains("training_results.json"), "{warning}");
    assert_eq!(results.to_json()["warning"], json!(warning));
    core.close().await;
}
