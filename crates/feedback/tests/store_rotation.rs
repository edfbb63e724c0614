//! The log is truncated, moved or replaced by another program while it is in use, as by logrotate: every process
//! reports it, none continues with the rest, and the restored log is complete.

use domain::barrier::Outcome;
use domain::error::Error;
use feedback::{FeedbackStore, StoreOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::{T0, btc, buy, child_part, log, open, own};

/// What happens to the log.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// `copytruncate`.
    CopyTruncate,
    /// `copytruncate`, after which the previous system appends until the file is longer than before.
    AndAppended,
    /// It is moved away, and an empty one is created.
    Create,
    /// An older copy is restored.
    OldCopy,
}

const ALL: [How; 4] = [How::CopyTruncate, How::AndAppended, How::Create, How::OldCopy];

fn rotate(folder: &Path, how: How) {
    let (log, old) = (folder.join("signals.jsonl"), folder.join("signals.jsonl.1"));
    let whole = std::fs::read(&log).unwrap();
    match how {
        How::CopyTruncate | How::AndAppended => {
            std::fs::write(&old, &whole).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
            file.set_len(0).unwrap();
        }
        How::Create => {
            std::fs::rename(&log, &old).unwrap();
            std::fs::write(&log, b"").unwrap();
        }
        How::OldCopy => {
            std::fs::rename(&log, &old).unwrap();
            let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            std::fs::write(&log, &whole[..first]).unwrap();
        }
    }
    if how == How::AndAppended {
        let line = "{\"signal_id\":\"other\",\"symbol\":\"BTCUSDT\",\"signal_type\":\"BUY\",\"entry_price\":1,\"timestamp\":\"2025-09-13 12:00:00\"}\n";
        let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(line.as_bytes()).unwrap();
        let more = line
            .replace("other", "longer")
            .replace("\"entry_price\"", &format!("\"x\":\"{}\",\"entry_price\"", "x".repeat(5000)));
        file.write_all(more.as_bytes()).unwrap();
    }
}

/// As the message advises: the moved file, followed by the current one.
fn put_back(folder: &Path) {
    let (log, old) = (folder.join("signals.jsonl"), folder.join("signals.jsonl.1"));
    let whole = [std::fs::read(&old).unwrap(), std::fs::read(&log).unwrap()].concat();
    std::fs::write(folder.join("whole"), whole).unwrap();
    std::fs::rename(folder.join("whole"), log).unwrap();
    std::fs::remove_file(old).unwrap();
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, how: How) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE", "{how:?}: {error}");
    let says = error.to_string();
    for word in ["lacks", "signals.index", "signalloop import", "Put the whole log back"] {
        assert!(says.contains(word), "{how:?}: {says}");
    }
}

async fn every_call_is_refused(store: &FeedbackStore, how: How) {
    refused(store.record(buy("new")).await, how);
    refused(store.record(buy("a")).await, how);
    refused(store.close_signal("b", Outcome::Success, None, Some(1.0), T0 + 9).await, how);
    refused(store.on_price(&btc(), 94.0, T0 + 9).await, how);
    refused(store.on_prices_now(&[]).await, how);
    refused(store.get("a"), how);
    refused(store.stats(&Default::default()), how);
    refused(store.compact().await, how);
    assert!(!store.closes_nothing(&btc(), 100.0, T0 + 9), "{how:?}: not told in silence");
}

async fn filled(folder: &Path) -> FeedbackStore {
    let store = open(folder);
    store.record_all(["a", "b", "c"].map(buy).to_vec()).await.unwrap();
    assert!(store.close_signal("a", Outcome::Success, Some(104.0), None, T0 + 1).await.unwrap());
    store
}

fn all_is_there(store: &FeedbackStore, how: How) {
    for id in ["a", "b", "c"] {
        let record = store.get(id).unwrap().unwrap();
        assert_eq!((record.signal, record.closing.is_some()), (buy(id), id == "a"), "{how:?}");
    }
}

#[tokio::test]
async fn a_log_that_lost_what_was_in_it_is_refused_until_it_is_put_back() {
    for how in ALL {
        let home = tempfile::tempdir().unwrap();
        let store = filled(home.path()).await;
        // Another process, which has seen the same.
        let other = open(home.path());
        rotate(home.path(), how);
        let left = log(home.path());
        for _ in 0..2 {
            every_call_is_refused(&store, how).await;
            every_call_is_refused(&other, how).await;
        }
        assert_eq!(log(home.path()), left, "{how:?}: nothing is written to what is left");
        assert_eq!(store.recovery(), Default::default(), "{how:?}");

        put_back(home.path());
        assert!(store.record(buy("a")).await.unwrap(), "{how:?}: recorded once");
        assert!(store.record(buy("new")).await.unwrap());
        for store in [&store, &other, &open(home.path())] {
            all_is_there(store, how);
            assert!(store.get("new").unwrap().is_some(), "{how:?}");
        }
        assert_eq!(other.on_price(&btc(), 94.0, T0 + 9).await.unwrap().len(), 3, "{how:?}");
    }
}

#[tokio::test]
async fn a_restart_remembers_how_much_there_was() {
    for how in ALL {
        // Closed properly before; or used by a process that ends without closing, as by SIGKILL.
        for closed in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let store = filled(home.path()).await;
            if closed {
                store.close().await;
                rotate(home.path(), how);
            } else {
                rotate(home.path(), how);
                refused(store.get("a"), how);
                std::mem::forget(store);
            }
            refused(FeedbackStore::open(home.path(), StoreOptions::default()).map(drop), how);
            refused(FeedbackStore::open(home.path(), StoreOptions::default()).map(drop), how);
            if how == How::CopyTruncate {
                // Starts with an empty log, and imports the old signals.
                let old = home.path().join("signals.jsonl.1");
                std::fs::remove_file(home.path().join("signals.index")).unwrap();
                let store = open(home.path());
                assert_eq!(store.get("a").unwrap(), None);
                assert!(store.record(buy("new")).await.unwrap());
                store.import(&old, |_| {}).await.unwrap();
                all_is_there(&store, how);
                continue;
            }
            put_back(home.path());
            all_is_there(&open(home.path()), how);
        }
    }
}

#[tokio::test]
async fn compaction_and_damage_do_not_look_like_a_rotation() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let other = open(home.path());
    other.compact().await.unwrap();
    assert!(store.record(buy("new")).await.unwrap());
    all_is_there(&store, How::Create);
    store.close().await;
    other.close().await;
    // Several lines, with the newlines between them, are now zeros, as after a crash of the file system.
    let path = home.path().join("signals.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let lines: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    bytes[lines[0] + 20..lines[2] - 20].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let store = open(home.path());
    assert_eq!(store.recovery().damaged, 1);
    assert_eq!(["a", "b", "c", "new"].map(|id| store.get(id).unwrap().is_some()), [true, false, false, true]);
}

/// Run in a child process: records signals until one is refused, and prints the error.
#[tokio::test]
async fn writing_process() {
    let Some((number, home)) = child_part() else { return };
    let store = open(&home);
    let begun = Instant::now();
    for n in 0.. {
        assert!(begun.elapsed() < Duration::from_secs(60), "no signal was ever refused");
        let id = format!("{number}-{n}");
        match store.record(own(&id)).await {
            Ok(true) => println!("\nrecorded {id}"),
            other => {
                println!("\nended {}", other.unwrap_err().code());
                return;
            }
        }
    }
}

#[test]
fn after_a_rotation_four_processes_stop_and_nothing_is_lost() {
    for how in [How::Create, How::CopyTruncate] {
        let home = tempfile::tempdir().unwrap();
        let mut children: Vec<_> =
            (0..4).map(|n| testkit::child!("writing_process", home.path(), n).spawn().unwrap()).collect();
        let (told, telling) = std::sync::mpsc::channel();
        for child in &mut children {
            let (told, output) = (told.clone(), BufReader::new(child.stdout.take().unwrap()));
            std::thread::spawn(move || output.lines().for_each(|line| told.send(line.unwrap()).unwrap()));
        }
        drop(told);
        let mut recorded = Vec::new();
        let mut note = |line: &str| {
            let id = line.strip_prefix("recorded ").map(str::to_owned);
            recorded.extend(id);
        };
        telling.iter().filter(|line| line.starts_with("recorded")).take(200).for_each(|line| note(&line));
        if how == How::Create {
            rotate(home.path(), how);
        } else {
            // Between copying and truncating, logrotate itself may lose lines; not if the writers are locked out.
            let file = std::fs::File::open(home.path().join("signals.jsonl")).unwrap();
            file.lock().unwrap();
            rotate(home.path(), how);
        }
        let mut ends = Vec::new();
        for line in telling.iter() {
            note(&line);
            ends.extend(line.strip_prefix("ended ").map(str::to_owned));
        }
        children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
        assert_eq!(ends, ["ERR_STORE"; 4], "{how:?}");
        assert_eq!(log(home.path()), "", "{how:?}: nothing went into the new file");
        let left: Vec<PathBuf> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        put_back(home.path());
        let store = open(home.path());
        assert!(recorded.len() >= 200);
        for id in recorded {
            assert_eq!(store.get(&id).unwrap().map(|record| record.signal), Some(own(&id)), "{how:?} {left:?}");
        }
    }
}
