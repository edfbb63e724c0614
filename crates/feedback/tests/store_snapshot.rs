//! The snapshot beside the log: it saves reading time, but the log always has priority.

use domain::barrier::Outcome;
use domain::config::Durability;
use domain::time::Tz;
use feedback::{FeedbackStore, Stats, StoreOptions};
use serde_json::json;
use std::path::Path;
use testkit::{T0, btc, open, own, quick_home, signal};

/// Enough signals for a snapshot to be written.
const SIGNALS: usize = 45_000;

/// A log long enough for a snapshot: of every three signals, one is closed manually, and one is a HOLD.
async fn fill(folder: &Path) -> Stats {
    let options = StoreOptions { durability: Durability::Os, ..StoreOptions::default() };
    let store = FeedbackStore::open(folder, options).unwrap();
    let signals = (0..SIGNALS).map(|n| match n % 3 {
        0 => signal(json!({ "id": n.to_string(), "signalType": "HOLD", "symbol": "ETHUSDT", "timeframe": "4h" })),
        _ if n % 7 == 5 => {
            let strategy = format!("s{}", n % 5);
            signal(json!({ "id": n.to_string(), "strategy": strategy, "taken": n % 2 == 0 }))
        }
        _ => own(&n.to_string()),
    });
    store.record_all(signals.collect()).await.unwrap();
    for n in (1..3000).step_by(3) {
        let outcome = Outcome::by_profit(1.0);
        store.close_signal(&n.to_string(), outcome, None, Some(1.0), T0 + n).await.unwrap();
    }
    let stats = store.stats(&Default::default()).unwrap();
    assert!(stats.by_strategy.len() == 5 && stats.followed.closed > 0 && stats.followed.active > 0);
    store.close().await;
    assert!(folder.join("signals.index").exists());
    stats
}

async fn same(folder: &Path, stats: &Stats) {
    let store = open(folder);
    assert_eq!(&store.stats(&Default::default()).unwrap(), stats);
    assert_eq!(store.get("44999").unwrap().unwrap().signal, own("44999"));
    assert!(store.get("1").unwrap().unwrap().closing.is_some() && store.get("2").unwrap().unwrap().closing.is_none());
    assert_eq!(store.recovery(), Default::default());
    // Closing waits for a snapshot in progress.
    store.close().await;
}

#[tokio::test]
async fn a_store_opened_by_its_snapshot_is_the_same() {
    let home = quick_home();
    let stats = fill(home.path()).await;
    let index = home.path().join("signals.index");
    let written = std::fs::metadata(&index).unwrap().modified().unwrap();
    same(home.path(), &stats).await;
    assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), written, "the snapshot was used unchanged");
    // The price index is restored too, and lines after the snapshot are read.
    let store = open(home.path());
    store.record(own("new")).await.unwrap();
    assert!(open(home.path()).get("new").unwrap().is_some());
    let hits = store.on_price(&btc(), 1e9, T0 + 1).await.unwrap();
    assert_eq!(hits.len() as u64, stats.figures.active + stats.followed.active + 1);
}

#[tokio::test]
async fn a_snapshot_that_does_not_match_is_passed_over_and_rebuilt() {
    let home = quick_home();
    let stats = fill(home.path()).await;
    let (index, log) = (home.path().join("signals.index"), home.path().join("signals.jsonl"));
    let good = std::fs::read(&index).unwrap();
    for at in (0..good.len()).step_by(good.len() / 5) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&index, &bad).unwrap();
        same(home.path(), &stats).await;
        assert!(std::fs::read(&index).unwrap() == good, "written anew");
    }
    std::fs::write(&index, &good[..good.len() / 2]).unwrap();
    same(home.path(), &stats).await;
    assert!(std::fs::read(&index).unwrap() == good, "written anew");

    // The file left by a process that ended while writing a snapshot.
    let aside = home.path().join("signals.index.writing");
    std::fs::write(&aside, [&good[..], b"and more"].concat()).unwrap();
    std::fs::remove_file(&index).unwrap();
    same(home.path(), &stats).await;
    assert!(std::fs::read(&index).unwrap() == good && !aside.exists());

    // A flipped bit in the part of the log that the snapshot covers is detected all the same.
    let whole = std::fs::read(&log).unwrap();
    let mut bad = whole.clone();
    bad[whole.len() / 2] ^= 1;
    std::fs::write(&log, &bad).unwrap();
    let store = open(home.path());
    assert_eq!((store.recovery().damaged, store.recovery().set_aside), (1, 1));
    store.close().await;
    // It is reported again at the next opening, which reads the new snapshot.
    assert_eq!((open(home.path()).recovery().damaged, open(home.path()).recovery().set_aside), (1, 0));

    // A shorter or different log has lost signals: what is left is used once the snapshot is deleted.
    let cut = whole[..whole.len() / 2].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for left in [&whole[..cut], b""] {
        std::fs::write(&log, left).unwrap();
        std::fs::write(&index, &good).unwrap();
        let error = FeedbackStore::open(home.path(), StoreOptions::default()).map(drop).unwrap_err();
        assert_eq!(error.code(), "ERR_STORE", "{error}");
        std::fs::remove_file(&index).unwrap();
        let lines = left.iter().filter(|byte| **byte == b'\n').count() as u64;
        let stats = open(home.path()).stats(&Default::default()).unwrap();
        assert_eq!(stats.figures.total + stats.figures.hold + stats.followed.total, lines);
    }
}

#[tokio::test]
async fn a_snapshot_of_another_zone_is_passed_over() {
    let home = quick_home();
    let old = |n: usize| {
        format!(
            "{{\"signal_id\":\"{n}\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"entry_price\":1,\"timestamp\":\"2025-09-13 12:00:00\",\"note\":\"{}\"}}\n",
            "x".repeat(400)
        )
    };
    std::fs::write(home.path().join("signals.jsonl"), (0..SIGNALS).map(old).collect::<String>()).unwrap();
    let given = |timezone| {
        let store = FeedbackStore::open(home.path(), StoreOptions { timezone, ..StoreOptions::default() }).unwrap();
        let before = 1_757_764_800_000 - 1; // 12:00 UTC that day
        let filter = feedback::StatsFilter { until_ms: Some(before), ..Default::default() };
        store.stats(&filter).unwrap().figures.active
    };
    assert_eq!((given(Tz::UTC), given("Europe/Berlin".parse().unwrap()), given(Tz::UTC)), (0, SIGNALS as u64, 0));
}

#[tokio::test]
async fn a_compaction_leaves_a_snapshot_of_the_new_log() {
    let home = quick_home();
    let stats = fill(home.path()).await;
    let store = open(home.path());
    store.compact().await.unwrap();
    store.record(own("new")).await.unwrap();
    drop(store);
    let written = std::fs::metadata(home.path().join("signals.index")).unwrap().modified().unwrap();
    let store = open(home.path());
    assert_eq!(store.stats(&Default::default()).unwrap().figures.total, stats.figures.total + 1);
    assert_eq!(store.get("1").unwrap().unwrap().signal, own("1"));
    assert_eq!(std::fs::metadata(home.path().join("signals.index")).unwrap().modified().unwrap(), written);
}
