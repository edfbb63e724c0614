//! Automatic compaction of a long log that is mostly history; no caller waits for it.

use domain::barrier::Outcome;
use domain::config::Durability;
use domain::signal::Signal;
use feedback::{FeedbackStore, StoreOptions};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{T0, child_part, lines_by_id, open, quick_home, signal};

const NOTE_BYTES: usize = 250_000;

fn long(id: &str) -> Signal {
    signal(json!({ "id": id, "note": "x".repeat(NOTE_BYTES) }))
}

fn quick(folder: &Path) -> FeedbackStore {
    FeedbackStore::open(folder, StoreOptions { durability: Durability::Os, ..StoreOptions::default() }).unwrap()
}

async fn fill(store: &FeedbackStore, name: usize, signals: usize) {
    for n in 0..signals {
        let id = format!("{name}-{n}");
        assert!(store.record(long(&id)).await.unwrap());
        assert!(store.close_signal(&id, Outcome::Success, None, Some(1.0), T0 + n as i64).await.unwrap());
    }
}

fn len(folder: &Path) -> usize {
    std::fs::metadata(folder.join("signals.jsonl")).unwrap().len() as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_of_closed_signals_is_compacted() {
    let home = quick_home();
    let (store, other) = (quick(home.path()), quick(home.path()));
    // Too short to be compacted.
    fill(&store, 0, 100).await;
    assert_eq!(lines_by_id(home.path())["0-0"], (1, 1));
    fill(&store, 1, 100).await;
    let begin = Instant::now();
    while len(home.path()) > 300 * NOTE_BYTES {
        assert!(begin.elapsed() < Duration::from_secs(60), "it is not compacted: {} bytes", len(home.path()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for store in [&store, &other, &quick(home.path())] {
        assert_eq!(store.stats(&Default::default()).unwrap().figures.closed, 200);
        assert_eq!(store.get("0-7").unwrap().unwrap().signal, long("0-7"));
        assert_eq!(store.recovery(), Default::default());
    }
    store.close().await;
    assert!(lines_by_id(home.path()).values().all(|(open, closed)| *open <= 1 && *closed == 1));
}

/// Run in a child process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filling_process() {
    let Some((number, home)) = child_part() else { return };
    let store = quick(&home);
    fill(&store, number, 80).await;
    store.close().await;
}

#[test]
fn several_processes_that_compact_by_themselves_lose_nothing() {
    if child_part().is_some() {
        return;
    }
    let home = quick_home();
    let children: Vec<_> =
        (0..4).map(|n| testkit::child!("filling_process", home.path(), n).spawn().unwrap()).collect();
    for process in children {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let store = open(home.path());
    assert_eq!(store.stats(&Default::default()).unwrap().figures.closed, 320);
    assert_eq!(store.recovery(), Default::default());
    let counts = lines_by_id(home.path());
    assert!(counts.len() == 320 && counts.values().all(|(open, closed)| *open <= 1 && *closed == 1));
    assert!(counts.values().any(|(open, _)| *open == 0), "it was compacted at least once");
}
