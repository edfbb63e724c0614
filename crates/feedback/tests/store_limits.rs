//! Limits of the format: the longest records, lines that ran together, and readers during a write.

use domain::barrier::Outcome;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::home::{Home, on_both};
use testkit::{T0, btc, buy, log, open, quarantine, quick_home, signal};

/// A BUY whose line in the log has this length, including its newline.
async fn as_long_as(id: &str, bytes: usize) -> domain::signal::Signal {
    let home = quick_home();
    let store = open(home.path());
    store.record(signal(json!({ "id": id, "note": "" }))).await.unwrap();
    let room = bytes - log(home.path()).len();
    signal(json!({ "id": id, "note": "x".repeat(room) }))
}

on_both!(the_longest_record_can_be_closed_and_read_back, figures_are_right_while_old_signals_are_closed_late);

async fn the_longest_record_can_be_closed_and_read_back(home: Home) {
    const LONGEST: usize = 1 << 20;
    let store = home.open();
    for id in ["hand", "price"] {
        assert!(store.record(as_long_as(id, LONGEST).await).await.unwrap());
    }
    let error = store.record(as_long_as("more", LONGEST + 1).await).await.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_SIGNAL");
    let profit = Some(-99.123_456_789_012_34);
    assert!(store.close_signal("hand", Outcome::StoppedOut, Some(5e-324), profit, T0 + 1).await.unwrap());
    assert_eq!(store.on_price(&btc(), 94.1, T0 + 2).await.unwrap().len(), 1);
    let reopened = home.open();
    assert_eq!(reopened.recovery(), Default::default());
    for store in [&store, &reopened] {
        assert!(["hand", "price"].iter().all(|id| store.get(id).unwrap().unwrap().closing.is_some()));
        assert!(store.open_signals(None).unwrap().is_empty());
    }
    reopened.compact().await.unwrap();
    assert_eq!(home.open().stats(&Default::default()).unwrap().figures.closed, 2);
}

#[tokio::test]
async fn a_log_that_lost_all_its_newlines_is_read_and_quickly() {
    let home = quick_home();
    let store = open(home.path());
    const SIGNALS: usize = 20_000;
    store.record_all((0..SIGNALS).map(|n| buy(&n.to_string())).collect()).await.unwrap();
    store.close().await;
    let whole = log(home.path());
    for between in ["", "\r", "??"] {
        let other = quick_home();
        std::fs::write(other.path().join("signals.jsonl"), whole.replace('\n', between)).unwrap();
        let started = Instant::now();
        let store = open(other.path());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?} with {between:?}", started.elapsed());
        assert_eq!(store.open_signals(None).unwrap().len(), SIGNALS, "{between:?}");
    }
}

#[tokio::test]
async fn a_sealed_line_that_ran_into_damage_is_read() {
    let home = quick_home();
    let store = open(home.path());
    store.record_all(vec![buy("a"), buy("b"), buy("c")]).await.unwrap();
    store.close().await;
    let whole = log(home.path());
    let lines: Vec<&str> = whole.lines().collect();
    let old = r#"{"signal_id":"o","symbol":"BTCUSDT","signal_type":"HOLD","timestamp":"2025-09-13T12:00:00"}"#;
    let damaged = format!("{}\n{old}*{}*{}\n{}{}\n", lines[0], lines[1], &lines[0][..50], &lines[1][..90], lines[2]);
    std::fs::write(home.path().join("signals.jsonl"), damaged).unwrap();
    let store = open(home.path());
    assert!(["a", "b", "c"].iter().all(|id| store.get(id).unwrap().is_some()));
    // The old line, the beginning of a checksummed one after it, and the line before the last.
    assert_eq!((store.recovery().damaged, quarantine(home.path()).len()), (3, 3));
    assert_eq!(open(home.path()).recovery().set_aside, 0);
    store.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 3);
}

/// A log line stored inside another record is part of that record.
#[tokio::test]
async fn a_record_inside_a_damaged_record_is_not_one_of_the_log() {
    let other = quick_home();
    let store = open(other.path());
    store.record(buy("inner")).await.unwrap();
    let inner: serde_json::Value = serde_json::from_str(&log(other.path())).unwrap();
    let home = quick_home();
    let store = open(home.path());
    store.record(signal(json!({ "id": "outer", "copy": inner }))).await.unwrap();
    store.close().await;
    let damaged = log(home.path()).replacen("BTCUSDT", "BTCUSDX", 1);
    std::fs::write(home.path().join("signals.jsonl"), damaged).unwrap();
    let store = open(home.path());
    assert_eq!((store.get("outer").unwrap(), store.get("inner").unwrap()), (None, None));
    assert_eq!(store.recovery().damaged, 1);
}

async fn figures_are_right_while_old_signals_are_closed_late(home: Home) {
    const SIGNALS: i64 = 400;
    let store = home.open();
    let ids = (0..SIGNALS).map(|n| n.to_string());
    store.record_all(ids.clone().map(|id| buy(&id)).collect()).await.unwrap();
    let closing = {
        let store = store.clone();
        tokio::spawn(async move {
            // Each closes before the previous one does.
            for (n, id) in (0..SIGNALS).zip(ids) {
                let at = T0 + (SIGNALS - n) * 1_000;
                assert!(store.close_signal(&id, Outcome::Success, None, Some(1.0), at).await.unwrap());
            }
        })
    };
    let readers = (0..3).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut most = 0;
            while most < SIGNALS as u64 {
                let figures = store.stats(&Default::default()).unwrap().figures;
                assert!(figures.closed >= most && figures.closed + figures.active == SIGNALS as u64);
                most = figures.closed;
                let mut times = Vec::new();
                let visit = |record: domain::signal::Record| {
                    times.push(record.closing.unwrap().closed_ms);
                    Ok(())
                };
                store.closed_records(&Default::default(), visit).unwrap();
                assert!(times.is_sorted() && times.len() as u64 >= most);
            }
        })
    });
    for task in readers.collect::<Vec<_>>().into_iter().chain([closing]) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn files_of_a_killed_compaction_do_no_harm() {
    let home = quick_home();
    let store = open(home.path());
    store.record_all(vec![buy("a"), buy("b")]).await.unwrap();
    store.close_signal("a", Outcome::Success, None, Some(1.0), T0 + 1).await.unwrap();
    let rubbish = [log(home.path()).as_bytes(), b"{\"signal_id\":\"to"].concat();
    std::fs::write(home.path().join("signals.compacting"), rubbish).unwrap();
    let other = open(home.path());
    assert_eq!(other.stats(&Default::default()).unwrap(), store.stats(&Default::default()).unwrap());
    other.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 2);
    assert!(!home.path().join("signals.compacting").exists());
    assert_eq!(store.stats(&Default::default()).unwrap(), open(home.path()).stats(&Default::default()).unwrap());
}
