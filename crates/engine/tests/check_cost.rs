//! What judging live results costs as the past grows. Start it with
//! `cargo test -p signalloop-engine --test tests check_cost -- --ignored --nocapture`.

use domain::cancel::Cancel;
use domain::signal::Record;
use domain::symbol::Market;
use domain::time::{Clock, HOUR_MS, Tz};
use engine::{Options, SignalLoop};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{T0, object, pools, quick_home};

const SYMBOLS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"];

/// A closed signal of a model that promised one success in two; about as many succeed. Each hour 1.6 signals of all markets close, in
/// order.
fn closed(number: i64, random: &mut ChaCha8Rng) -> Record {
    let symbol = SYMBOLS[number as usize % SYMBOLS.len()];
    let closed_ms = T0 + 36 * HOUR_MS + number * HOUR_MS * 10 / 16;
    let given_ms = closed_ms - random.random_range(1..36) * HOUR_MS;
    let outcome = if random.random_bool(0.5) { "TOOK_PROFIT" } else { "STOPPED_OUT" };
    let record = json!({
        "id": format!("s{number}"), "symbol": symbol, "signalType": "BUY", "confidence": 50, "entryPrice": 100,
        "stopLoss": 98, "takeProfit": 102, "timestamp": given_ms, "indicators": { "rsi": random.random_range(20.0..80.0) },
        "mlPrediction": { "signal": "BUY", "confidence": 50.0, "modelVersion": 1 },
        "outcome": outcome, "closedAt": closed_ms,
    });
    Record::given(record, Tz::UTC).unwrap()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; takes a minute"]
async fn a_check_costs_the_same_however_many_signals_closed_before() {
    for past in [1_000, 10_000, 50_000] {
        let home = quick_home();
        let clock = Clock::standing(T0);
        let options = Options { home: Some(home.path().to_owned()), clock: clock.clone(), ..Options::default() };
        let core = Arc::new(SignalLoop::open(options).unwrap());
        core.settings().configure(object(json!({ "poor_performance": { "emergency_training": false } }))).unwrap();
        let markets = SYMBOLS.map(|symbol| Market::parse(symbol, "1h").unwrap());
        for market in &markets {
            pools::put(core.models().registry(), market, &pools::pool(1), 0).unwrap();
        }
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let store = core.store().open().unwrap();
        let all = (0..past).map(|number| closed(number, &mut random)).collect();
        assert!(store.record_all(all).await.unwrap().into_iter().all(|recorded| recorded.unwrap()));
        let (mut checks, mut evaluations) = (Vec::new(), Vec::new());
        for round in 0..21 {
            let more = (0..6).map(|number| closed(past + 6 * round + number, &mut random)).collect();
            store.record_all(more).await.unwrap();
            clock.set(T0 + (past + 6 * round + 5) * HOUR_MS * 10 / 16 + 36 * HOUR_MS);
            let begun = Instant::now();
            core.performance().check(clock.now_ms()).unwrap();
            checks.push(begun.elapsed());
            let begun = Instant::now();
            for market in &markets {
                core.performance().evaluate(market, &Cancel::default()).unwrap();
            }
            evaluations.push(begun.elapsed());
        }
        let first = [checks.remove(0), evaluations.remove(0)].map(|time| time.as_secs_f64() * 1e3);
        let [check, evaluation] = [checks, evaluations].map(median);
        println!(
            "{past} closed: the first check {:.1} ms, each next {check:.2} ms; six evaluations {:.1} ms, then {evaluation:.2} ms",
            first[0], first[1]
        );
        core.close().await;
    }
}
