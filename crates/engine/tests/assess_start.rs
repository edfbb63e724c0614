//! The first `assess` after a start: what an earlier process has learned is not learned again, and the answer is
//! bit-identical.

use domain::barrier::Outcome;
use domain::signal::Signal;
use engine::{Assessment, Options, SignalLoop};
use learning::outcomes::Checkpoint;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{T0, object, quick_home, setting, signal};

const HOUR: i64 = 3_600_000;
const NAMES: [&str; 8] = ["rsi", "macd", "volumeRatio", "adx", "atr", "obv", "cci", "momentum"];

fn given(n: i64) -> Signal {
    let indicators: Vec<_> =
        (0..).zip(NAMES).map(|(at, name)| (name.to_owned(), json!(n * 7919 * (at + 3) % 101))).collect();
    let indicators: serde_json::Map<_, _> = indicators.into_iter().collect();
    let symbol = ["BTCUSDT", "ETHUSDT", "SOLUSDT"][n as usize % 3];
    signal(json!({ "id": n.to_string(), "symbol": symbol, "timestamp": T0 + n * HOUR, "indicators": indicators }))
}

fn open(home: &Path) -> Arc<SignalLoop> {
    let core = SignalLoop::open(Options { home: Some(home.to_owned()), ..Options::default() }).unwrap();
    core.settings().configure(object(json!({ "durability": "os" }))).unwrap();
    Arc::new(core)
}

/// Records and closes signals in order; the effect of RSI is reversed after signal `turn`.
async fn live(core: &Arc<SignalLoop>, from: i64, until: i64, turn: i64) {
    core.signals().record((from..until).map(given).collect()).await.unwrap();
    let store = core.store().open().unwrap();
    let mut closings = Vec::new();
    for n in from..until {
        let success = ((n * 7919 * 3 % 101) < 60) == (n < turn) || n % 7 == 0;
        let (outcome, profit) = if success { (Outcome::TookProfit, 10.0) } else { (Outcome::StoppedOut, -5.0) };
        closings.push(store.close_signal(&n.to_string(), outcome, None, Some(profit), T0 + (n + 1) * HOUR));
    }
    for closing in closings {
        assert!(closing.await.unwrap());
    }
}

/// A signal that comes after all that have closed.
fn asked() -> Signal {
    Signal { timestamp_ms: T0 + 10_000 * HOUR, ..given(7) }
}

/// The first answer of a process; prints how long it took.
async fn first(home: &Path, what: &str) -> Assessment {
    let core = open(home);
    core.store().open().unwrap();
    let begun = Instant::now();
    let said = core.outcomes().assess(asked()).await.unwrap();
    println!("the first assess {what}: {:.2?}", begun.elapsed());
    core.close().await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_saves_learning_and_changes_no_answer() {
    // The closings must lie before the assessed signal.
    let closed = setting("SIGNALLOOP_CLOSED", 2_600).min(9_970) as i64;
    let home = quick_home();
    let kept = home.path().join("cache/outcomes.learned");
    let core = open(home.path());
    live(&core, 0, closed, 1500).await;
    core.close().await;

    let afresh = first(home.path(), "of all").await;
    assert!(kept.exists(), "the checkpoint is stored");
    let written = std::fs::read(&kept).unwrap();
    assert_eq!(first(home.path(), "with what was kept").await, afresh);
    assert!(std::fs::read(&kept).unwrap() == written, "the checkpoint was used, so it was not written again");

    // More signals close; the answer must be the same with and without the checkpoint.
    let core = open(home.path());
    live(&core, closed, closed + 30, 1500).await;
    core.close().await;
    let with = first(home.path(), "with what was kept, of more").await;
    assert!(std::fs::read(&kept).unwrap() == written);
    assert_ne!(with, afresh);
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(first(home.path(), "of all and more").await, with);
    // A damaged checkpoint is discarded and written again.
    std::fs::write(&kept, &written[..written.len() / 2]).unwrap();
    assert_eq!(first(home.path(), "with what is damaged").await, with);
    assert!(std::fs::read(&kept).unwrap().len() > written.len() / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_has_learned_prepares_the_next_start() {
    let home = quick_home();
    let kept = home.path().join("cache/outcomes.learned");
    let core = open(home.path());
    // A process that was asked all along, and so never had a backlog.
    for n in 0..23 {
        // No change of the market: one would be followed up, and saved, at the next start.
        live(&core, n * 100, (n + 1) * 100, i64::MAX).await;
        core.outcomes().assess(asked()).await.unwrap();
    }
    // So much has been saved that the next start waits for no further model.
    let is_prepared = || {
        let known = std::fs::read(&kept).ok().and_then(|bytes| Checkpoint::decode(&bytes));
        known.is_some_and(|checkpoint| 2 * checkpoint.lessons() > 2_300)
    };
    testkit::within(Duration::from_secs(60), "the next start is prepared", is_prepared).await;
    core.close().await;
    let written = std::fs::read(&kept).unwrap();
    let with = first(home.path(), "prepared").await;
    assert!(std::fs::read(&kept).unwrap() == written, "the checkpoint was used");
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(first(home.path(), "not prepared").await, with);
}
