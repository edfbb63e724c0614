//! `assess` takes open signals into account, for the present and for a time in the past.

use domain::barrier::Outcome;
use domain::signal::Signal;
use domain::time::HOUR_MS;
use engine::{Options, SignalLoop};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use testkit::{T0, object, quick_home, signal};

const SIGNALS: i64 = 80;

/// A signal with a near target and a far stop.
fn given(n: i64) -> Signal {
    let levels = json!({ "id": n.to_string(), "timestamp": T0 + n * HOUR_MS, "stopLoss": 96, "takeProfit": 101 });
    signal(levels)
}

fn is_long(n: i64) -> bool {
    n % 4 == 0
}

fn open(home: &Path) -> Arc<SignalLoop> {
    let core = SignalLoop::open(Options { home: Some(home.to_owned()), ..Options::default() }).unwrap();
    core.settings().configure(object(json!({ "durability": "os" }))).unwrap();
    Arc::new(core)
}

async fn close(core: &Arc<SignalLoop>, n: i64, outcome: Outcome, at_ms: i64) {
    assert!(core.store().open().unwrap().close_signal(&n.to_string(), outcome, None, None, at_ms).await.unwrap());
}

/// All signals except the long ones reach their target within twelve hours; long ones are recorded if `records_long`.
async fn live(core: &Arc<SignalLoop>, records_long: bool) {
    let signals = (0..SIGNALS).filter(|n| records_long || !is_long(*n));
    core.signals().record(signals.map(given).collect()).await.unwrap();
    for n in (0..SIGNALS).filter(|n| !is_long(*n)) {
        close(core, n, Outcome::TookProfit, T0 + (n + 1 + n % 12) * HOUR_MS).await;
    }
}

async fn base_rate(core: &Arc<SignalLoop>) -> f64 {
    core.outcomes().assess(given(SIGNALS + 12)).await.unwrap().base_rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_signals_count_and_their_ends_are_unknown_in_the_past() {
    let (home, alone) = (quick_home(), quick_home());
    let core = open(home.path());
    live(&core, true).await;
    let now = base_rate(&core).await;
    let without = {
        let core = open(alone.path());
        live(&core, false).await;
        let without = base_rate(&core).await;
        core.close().await;
        without
    };
    println!("{now:.3} told what is open, {without:.3} where nothing is");
    assert!(now + 0.002 < without, "{now:.3} and {without:.3}");
    // They fail in the end.
    for n in (0..SIGNALS).filter(|n| is_long(*n)) {
        close(&core, n, Outcome::StoppedOut, T0 + (200 + n) * HOUR_MS).await;
    }
    let later = core.outcomes().assess(given(500)).await.unwrap().base_rate;
    let then = base_rate(&core).await;
    println!("{later:.3} later, {then:.3} of then");
    assert!(later + 0.002 < now, "{later:.3} and {now:.3}");
    assert!((then - now).abs() < 0.001, "{then:.4} now, {now:.4} then");
    core.close().await;
}
