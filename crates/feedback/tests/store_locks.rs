//! Processes that hold the lock indefinitely, and files that are deleted while several processes write.
#![cfg(unix)]

use feedback::{FeedbackStore, StoreOptions};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use testkit::killed::{Killed, Promised, say};
use testkit::{btc, buy, child_part, lines_by_id, log, open, own, quarantine};

const PATIENCE: Duration = Duration::from_millis(400);

fn impatient(folder: &Path) -> domain::error::Result<FeedbackStore> {
    FeedbackStore::open(folder, StoreOptions { patience: PATIENCE, ..StoreOptions::default() })
}

fn send(signal: &str, process: &Killed) {
    let status = Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Run in a child process: records signals until it is killed, and reports each one once it is stored. Odd-numbered
/// children also compact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_process() {
    let Some((number, home)) = child_part() else { return };
    let store = open(&home);
    let tasks = (0..4).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("{number}-{task}-{n}");
                assert!(store.record(own(&id)).await.unwrap());
                say("recorded", &id);
                if number % 2 == 1 && task == 0 && n % 10 == 9 {
                    // Refused when this compaction's files were deleted and another compaction created new ones.
                    match store.compact().await {
                        Ok(_) => {}
                        Err(error) => assert!(error.code().starts_with("ERR_STORE"), "{error}"),
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn recorder(home: &Path, number: usize, told: &mpsc::Sender<String>) -> Killed {
    Killed::start(&mut testkit::child!("recording_process", home, number), told)
}

/// Kills the children, and checks that everything they reported is in the log, complete and once.
fn end_and_check(children: Vec<Killed>, said: &mpsc::Receiver<String>, home: &Path) -> usize {
    children.into_iter().for_each(Killed::kill);
    let promised = Promised::of(said.try_iter());
    promised.assert_kept(&open(home));
    assert!(lines_by_id(home).values().all(|(open, closed)| *open <= 1 && *closed <= 1));
    promised.recorded.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_that_holds_the_lock_is_named_and_loses_nothing() {
    if child_part().is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let store = impatient(home.path()).unwrap();
    store.record(buy("before")).await.unwrap();
    let (told, said) = mpsc::channel();
    let recorder = recorder(home.path(), 0, &told);
    let first = loop {
        let line = said.recv_timeout(Duration::from_secs(60)).unwrap();
        if let Some(id) = line.strip_prefix("recorded ") {
            break id.to_owned();
        }
    };
    // Stop it repeatedly, until it happens to be stopped while it holds the lock.
    let file = File::open(home.path().join("signals.jsonl")).unwrap();
    loop {
        send("-STOP", &recorder);
        std::thread::sleep(Duration::from_millis(5));
        if file.try_lock_shared().is_err() {
            break;
        }
        file.unlock().unwrap();
        send("-CONT", &recorder);
        std::thread::sleep(Duration::from_millis(3));
    }
    let begin = Instant::now();
    let error = store.record(buy("after")).await.unwrap_err();
    let waited = begin.elapsed();
    assert!(waited >= PATIENCE && waited < PATIENCE * 10, "{waited:?}");
    assert_eq!(error.code(), "ERR_STORE_BUSY");
    if cfg!(target_os = "linux") {
        let holder = format!("process {} (", recorder.id());
        let text = error.to_string();
        assert!(text.contains(&holder) && text.contains("stopped") && text.contains("kill -CONT"), "{text}");
    }
    // A price that would close a signal cannot close it now, but is not lost either.
    let closing = store.on_price(&btc(), 90.0, testkit::T0 + 1).await;
    assert_eq!(closing.unwrap_err().code(), "ERR_STORE_BUSY");
    assert_eq!(impatient(home.path()).err().map(|error| error.code()), Some("ERR_STORE_BUSY"));

    send("-CONT", &recorder);
    // On a busy machine, the resumed process may hold the lock for longer than this timeout.
    while let Err(error) = store.record(buy("after")).await {
        assert_eq!(error.code(), "ERR_STORE_BUSY", "{error}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{error}");
    }
    let closed = loop {
        match store.on_price(&btc(), 90.0, testkit::T0 + 1).await {
            Ok(closed) => break closed,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{error}"),
        }
    };
    assert!(closed.iter().any(|signal| signal.id == "before"), "the price that could not close it closes it now");
    let count = end_and_check(vec![recorder], &said, home.path());
    assert!(store.get("after").unwrap().is_some() && store.get(&first).unwrap().is_some());
    println!("{count} records of a process that was stopped");
}

#[test]
fn deleting_lock_files_under_several_writers_tears_and_loses_nothing() {
    if child_part().is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (told, said) = mpsc::channel();
    let recorders: Vec<_> = (0..4).map(|number| recorder(home.path(), number, &told)).collect();
    let end = Instant::now() + Duration::from_secs(testkit::setting("SIGNALLOOP_DELETING_SECONDS", 4) as u64);
    let mut deleted = 0;
    // Other tests run at the same time: on a busy machine the writers compact seldom, so it waits for them.
    let latest = end + Duration::from_secs(30);
    while Instant::now() < end || (deleted <= 10 && Instant::now() < latest) {
        // All files except the log. The first exists only on Windows, or in the home of an older version.
        for name in ["signals.lock", "signals.compacting.lock", "signals.compacting", "signals.index"] {
            deleted += usize::from(std::fs::remove_file(home.path().join(name)).is_ok());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let count = end_and_check(recorders, &said, home.path());
    assert!(deleted > 10 && count > 50, "{deleted} files deleted, {count} signals recorded");
    assert!(log(home.path()).ends_with('\n') && quarantine(home.path()).is_empty());
    println!("{deleted} files deleted under four writers, {count} signals recorded");
}
