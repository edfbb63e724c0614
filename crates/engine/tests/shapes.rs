//! Models of the shapes of a backend's own signals: trained, stored, continued and deleted together with the main
//! model, and independent of the number of threads.

// A panic is how a test reports, in helpers too.

use candles::{candle_file, write_csv};
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::signal::Record;
use domain::symbol::Market;
use domain::time::{Clock, Tz};
use engine::{Options, Phase, SignalLoop, TrainMode, TrainProgress, TrainRequest};
use learning::features;
use learning::model::{Mode, Trial};
use serde_json::{Map, json};
use simulator::{Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::{Arc, Mutex};
use testkit::signal;

const HOUR: i64 = 3_600_000;
const HOURS: i64 = 2400;

fn markets() -> [Market; 2] {
    ["BTCUSDT", "ETHUSDT"].map(|symbol| Market::parse(symbol, "1h").unwrap())
}

fn candles(market: &Market, hours: i64) -> Vec<Candle> {
    let symbols = markets().map(|market| market.symbol).to_vec();
    let options = SimulatorOptions { seed: 7, rule_strength: 1.2, symbols, ..Default::default() };
    let start = options.start_ms;
    Simulator::start(options).unwrap().candles(market, start, start + hours * HOUR).unwrap()
}

fn store(home: &Path, hours: i64) {
    for market in markets() {
        write_csv(&candle_file(&home.join("data"), &market), &candles(&market, hours)).unwrap();
    }
}

/// A home with candles, whose clock is after the last of them.
fn open(home: &Path, threads: usize, hours: i64) -> Arc<SignalLoop> {
    let options = Options {
        home: Some(home.to_owned()),
        threads: Some(threads),
        clock: Clock::standing(SimulatorOptions::default().start_ms + hours * HOUR),
        exchange_url: Some("http://127.0.0.1:9".to_owned()),
        ..Options::default()
    };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    let symbols = json!(["BTCUSDT", "ETHUSDT"]);
    let config = [("trees", json!(10)), ("symbols", symbols), ("timeframes", json!(["1h"]))];
    core.settings().configure(Map::from_iter(config.map(|(key, value)| (key.to_owned(), value)))).unwrap();
    core
}

/// Records signals with these numbers and closes every other one: stop and target are three average true ranges away,
/// for 12 hours.
async fn record(core: &Arc<SignalLoop>, numbers: std::ops::Range<usize>) {
    let all = candles(&markets()[0], HOURS);
    let given = numbers.map(|number| {
        let bar = all.len() - 500 + number;
        let (_, range) = features::latest(&all[..=bar], HOUR).unwrap();
        let (entry, at) = (all[bar].close, all[bar].open_ms + HOUR + 1000);
        let mut signal = json!({
            "id": format!("s{number}"), "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": entry,
            "stopLoss": entry - 3.0 * range, "takeProfit": entry + 3.0 * range, "timestamp": at, "expiresAt": at + 12 * HOUR,
        });
        if number % 2 == 0 {
            signal["outcome"] = json!("TOOK_PROFIT");
            signal["closedAt"] = json!(at + 5 * HOUR);
        }
        Record::given(signal, Tz::UTC).unwrap()
    });
    core.signals().record(given.collect()).await.unwrap();
}

/// A home whose signals have another shape; the first of them are older than its candles.
async fn home(threads: usize) -> (tempfile::TempDir, Arc<SignalLoop>) {
    let home = tempfile::tempdir().unwrap();
    let core = open(home.path(), threads, HOURS);
    record(&core, 0..30).await;
    store(home.path(), HOURS);
    record(&core, 30..70).await;
    let features = |id: &str| core.store().open().unwrap().get(id).unwrap().unwrap().signal.features.is_some();
    assert!(!features("s29") && features("s30"));
    (home, core)
}

/// Trains without a fetch; returns the ledger entries and the reported progress.
async fn train(core: &Arc<SignalLoop>, mode: TrainMode) -> (Vec<Trial>, Vec<(usize, usize)>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let request = TrainRequest { mode, skip_fetch: true, ..TrainRequest::default() };
    let hear = told.clone();
    let hear = move |progress: TrainProgress| {
        if progress.phase == Phase::Train && progress.market == markets()[0] {
            hear.lock().unwrap().push((progress.step.done, progress.step.total));
        }
    };
    let results = core.trainer().train(request, Cancel::default(), hear).await.unwrap();
    let trial = |result: engine::TrainResult| result.trained.unwrap().trial().unwrap().clone();
    let trials: Vec<Trial> = results.results.into_iter().map(trial).collect();
    assert!(trials[0].promoted, "{trials:?}");
    let told = told.lock().unwrap().clone();
    (trials, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_of_signals_is_learned_beside_the_configured_one_and_kept() {
    let (folder, core) = home(2).await;
    let (_, told) = train(&core, TrainMode::All).await;
    // The configured shape and the other one share one progress count.
    let total = told[0].1;
    assert!(told.is_sorted() && told.iter().all(|step| step.1 == total), "{told:?}");
    assert_eq!(told.last(), Some(&(total, total)), "{told:?}");
    assert!(
        told.iter().any(|step| 2 * step.0 < total) && told.iter().any(|step| (total / 2 + 1..total).contains(&step.0))
    );

    let [btc, eth] = markets().map(|market| core.models().registry().get(&market).wait().unwrap());
    assert!(Arc::ptr_eq(&btc.pool, &eth.pool), "one for both");
    let [shaped] = &btc.pool.shapes[..] else { panic!("{} shapes", btc.pool.shapes.len()) };
    let record = &shaped.record;
    assert!((record.shape.stop_atr - 3.0).abs() < 0.05 && (record.shape.reward_risk - 1.0).abs() < 0.02, "{record:?}");
    assert_eq!((record.shape.expiry_bars, record.signals), (12, 70), "those without features of their own, too");
    let all = btc.pool.record.rows as f64;
    assert!((record.rows as f64 / all - 1.0).abs() < 0.01, "{} beside {all} rows of the configured shape", record.rows);
    // With stop and target at the same distance, both directions succeed equally often, and more often than with the
    // configured shape.
    let symbols: Vec<&str> = shaped.base_rates.iter().map(|(symbol, _)| symbol.as_str()).collect();
    assert_eq!(symbols, ["BTCUSDT", "ETHUSDT"]);
    let rates = shaped.base_rates(&markets()[1].symbol);
    assert!(rates.iter().all(|rate| (0.4..0.6).contains(rate)) && btc.buy.base_rate < 0.4, "{rates:?}");
    // Eight time clusters give a wide interval; the weights below show what is significant.
    assert!(
        record.skill.excess.is_some_and(|excess| excess.mean < -0.01),
        "the planted rule shows: {:?}",
        record.skill
    );
    assert!(record.beliefs.iter().any(|belief| *belief > 0.0));

    // It is listed, and another process reads the same.
    let models = core.models().list().unwrap().markets;
    assert!(models.len() == 2 && models.iter().all(|model| model.champion.shapes == [*record]));
    let other = open(folder.path(), 1, HOURS);
    assert_eq!(other.models().registry().get(&markets()[0]).wait().unwrap(), btc);
    other.close().await;
    core.close().await;

    // One thread or two, the pool is bit-identical.
    let (_folder, core) = home(1).await;
    train(&core, TrainMode::All).await;
    assert_eq!(core.models().registry().get(&markets()[0]).wait().unwrap().pool, btc.pool);
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_carries_shapes_along_and_a_training_in_full_renews_them() {
    let (folder, core) = home(2).await;
    train(&core, TrainMode::All).await;
    let before = core.models().registry().get(&markets()[0]).wait().unwrap();
    core.close().await;

    let later = HOURS + 100;
    store(folder.path(), later);
    let core = open(folder.path(), 2, later);
    // Many more signals, of another shape: an incremental training does not look for new shapes.
    let of_another = |number: usize| {
        signal(
            json!({ "id": format!("o{number}"), "timestamp": core.settings().now_ms() - 1000, "stopLoss": 99.5, "takeProfit": 100.1, "expiresAt": core.settings().now_ms() + 99 * HOUR }),
        )
    };
    core.signals().record((0..200).map(of_another).collect()).await.unwrap();
    let (trials, _) = train(&core, TrainMode::Incremental).await;
    assert!(trials.iter().all(|trial| trial.mode == Mode::Incremental), "{trials:?}");
    let continued = core.models().registry().get(&markets()[0]).wait().unwrap();
    assert_ne!(continued.pool.sides, before.pool.sides);
    assert_eq!(continued.pool.shapes, before.pool.shapes);

    train(&core, TrainMode::All).await;
    let renewed = core.models().registry().get(&markets()[0]).wait().unwrap();
    let shapes: Vec<(usize, usize)> =
        renewed.pool.shapes.iter().map(|shaped| (shaped.record.signals, shaped.record.shape.expiry_bars)).collect();
    assert_eq!(shapes, [(200, 99), (70, 12)]);
    assert!(renewed.pool.shapes[0].record.shape.reward_risk < 1.0, "targets may be nearer than stops");
    core.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_of_shapes_can_be_cancelled() {
    let (_folder, core) = home(2).await;
    let cancel = Cancel::default();
    let (signal, request) = (cancel.clone(), TrainRequest { skip_fetch: true, ..TrainRequest::default() });
    let halfway = move |progress: TrainProgress| {
        if progress.phase == Phase::Train && 2 * progress.step.done > progress.step.total {
            signal.cancel();
        }
    };
    assert_eq!(core.trainer().train(request, cancel, halfway).await.unwrap_err().code(), "ERR_CANCELLED");
    assert_eq!(core.models().registry().get(&markets()[0]).wait().unwrap_err().code(), "ERR_NO_MODEL");
    core.close().await;
}
