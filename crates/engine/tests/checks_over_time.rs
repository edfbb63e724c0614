//! A loop that stays open keeps what its checks have seen. It must judge as one that has just been opened and reads everything: with
//! closings in order and out of order, and with restarts in between.

use domain::cancel::Cancel;
use domain::signal::Record;
use domain::symbol::Market;
use domain::time::{Clock, DAY_MS, HOUR_MS, Tz};
use engine::{Event, EventListener, Options, SignalLoop, Told};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex};
use testkit::{T0, object, pools, quick_home};

const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl EventListener for Heard {
    fn tell(&self, event: &Event, _at_ms: i64, _dropped: u64) -> Told {
        self.0.lock().unwrap().push(format!("{event:?}"));
        Told::Taken
    }
}

fn markets() -> [Market; 3] {
    SYMBOLS.map(|symbol| Market::parse(symbol, "1h").unwrap())
}

fn open(home: &Path, clock: &Clock) -> (Arc<SignalLoop>, Heard) {
    let options = Options { home: Some(home.to_owned()), clock: clock.clone(), ..Options::default() };
    let core = Arc::new(SignalLoop::open(options).unwrap());
    core.settings().configure(object(json!({ "poor_performance": { "emergency_training": false } }))).unwrap();
    let heard = Heard::default();
    core.events().subscribe(Box::new(heard.clone()));
    (core, heard)
}

/// Everything that the checks of a loop say at `now_ms`, and what they leave behind.
async fn judged(core: &Arc<SignalLoop>, heard: &Heard, home: &Path, now_ms: i64) -> Vec<String> {
    core.performance().check(now_ms).unwrap();
    let mut said: Vec<String> = Vec::new();
    for market in markets() {
        said.push(format!("{:?}", core.models().check_live(&market).unwrap()));
        said.push(format!("{:?}", core.performance().evaluate(&market, &Cancel::default()).unwrap()));
    }
    said.push(std::fs::read_to_string(home.join("performance.json")).unwrap());
    // Events are told in their order, by another thread.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    let events = std::mem::take(&mut *heard.0.lock().unwrap());
    // A training that drift causes fails at some time later, since there are no candles.
    said.extend(events.into_iter().filter(|event| !event.starts_with("Warning")));
    said
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Closed signals of a model that promised one success in two. They succeed with `rate`; some are older than those before.
fn closed(round: usize, count: usize, rate: f64, begin_ms: i64, random: &mut ChaCha8Rng) -> Vec<Record> {
    let is_late = random.random_bool(0.3);
    let one = |number: usize| {
        let earlier = if is_late && random.random_bool(0.2) { random.random_range(0..4) * DAY_MS } else { 0 };
        let closed_ms = begin_ms - earlier + random.random_range(0..12) * HOUR_MS;
        let outcome = if random.random_bool(rate) { "TOOK_PROFIT" } else { "STOPPED_OUT" };
        let record = json!({
            "id": format!("{round} {number}"), "symbol": SYMBOLS[random.random_range(0..3)], "signalType": "BUY",
            "confidence": 50, "entryPrice": 100, "stopLoss": 98, "takeProfit": 102,
            "timestamp": closed_ms - random.random_range(1..6) * HOUR_MS, "closedAt": closed_ms, "outcome": outcome,
            "indicators": { "rsi": random.random_range(20.0..60.0) + if rate < 0.4 { 30.0 } else { 0.0 } },
            "taken": random.random_bool(0.9),
            "mlPrediction": { "signal": "BUY", "confidence": 50.0, "modelVersion": 2 },
        });
        Record::given(record, Tz::UTC).unwrap()
    };
    (0..count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_checks_keep_changes_no_judgement() {
    let (mut drifts, mut rollbacks) = (0, 0);
    for seed in 0..4 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let home = quick_home();
        let clock = Clock::standing(T0);
        let (mut core, mut heard) = open(home.path(), &clock);
        for market in &markets() {
            pools::put(core.models().registry(), market, &pools::pool(1), 1).unwrap();
            pools::put(core.models().registry(), market, &pools::pool(1), 1).unwrap();
        }
        for round in 0..30 {
            let begin_ms = T0 + 12 * HOUR_MS * round as i64;
            clock.set(begin_ms + 12 * HOUR_MS);
            let rate = if round < 16 { 0.6 } else { 0.05 };
            let count = random.random_range(0..40);
            let records = closed(round, count, rate, begin_ms, &mut random);
            for recorded in core.store().open().unwrap().record_all(records).await.unwrap() {
                assert!(recorded.unwrap());
            }
            if random.random_bool(0.15) {
                core.close().await;
                (core, heard) = open(home.path(), &clock);
            }
            let copy = quick_home();
            copied(home.path(), copy.path());
            let (fresh, fresh_heard) = open(copy.path(), &clock);
            let expected = judged(&fresh, &fresh_heard, copy.path(), clock.now_ms()).await;
            fresh.close().await;
            let said = judged(&core, &heard, home.path(), clock.now_ms()).await;
            drifts += said.iter().filter(|said| said.contains("Drift")).count();
            rollbacks += said.iter().filter(|said| said.starts_with("ModelRolledBack")).count();
            for (said, expected) in said.iter().zip(&expected) {
                assert_eq!(said, expected, "seed {seed}, round {round}");
            }
            assert_eq!(said.len(), expected.len(), "seed {seed}, round {round}");
        }
        core.close().await;
    }
    assert!(drifts > 0 && rollbacks > 0, "{drifts} drifts, {rollbacks} rollbacks");
}
