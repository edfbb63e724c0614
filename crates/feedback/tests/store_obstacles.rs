//! Homes that cannot be written to, and homes reached through symbolic links.
#![cfg(unix)]

use domain::barrier::Outcome;
use domain::error::Error;
use feedback::{FeedbackStore, StoreOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{T0, buy, log, open, own};

/// A file or folder that nobody can write to, not even root, until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    /// `None`, with a message, where the file system or the user's rights do not allow it.
    fn make(path: &Path) -> Option<Self> {
        let made = Command::new("chattr").arg("+i").arg(path).output().is_ok_and(|output| output.status.success());
        if !made {
            eprintln!("SKIPPED: `chattr +i` does not work here");
        }
        made.then(|| Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let undone = Command::new("chattr").arg("-i").arg(&self.0).status();
        assert!(undone.is_ok_and(|status| status.success()), "{} stays immutable", self.0.display());
    }
}

fn failure(folder: &Path) -> Error {
    FeedbackStore::open(folder, StoreOptions::default()).err().expect("opening must fail")
}

/// The names and contents of a folder's files, in order.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

/// Two records, one of them closed.
async fn fill(folder: &Path) -> FeedbackStore {
    let store = open(folder);
    store.record_all(vec![buy("a"), own("b")]).await.unwrap();
    assert!(store.close_signal("a", Outcome::Success, None, Some(1.0), T0 + 1).await.unwrap());
    store
}

fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).unwrap().is_symlink()
}

#[tokio::test]
async fn a_read_only_log_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path()).await.close().await;
    let before = content(home.path());
    let path = home.path().join("signals.jsonl");
    let Some(immutable) = Immutable::make(&path) else { return };
    let error = failure(home.path());
    assert_eq!(error.code(), "ERR_STORE");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("write there"), "{text}");
    assert_eq!(content(home.path()), before);
    drop(immutable);
    assert!(open(home.path()).get("a").unwrap().is_some());
}

#[test]
fn a_read_only_home_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let Some(_immutable) = Immutable::make(home.path()) else { return };
    let error = failure(&home.path().join("feedback"));
    assert_eq!(error.code(), "ERR_STORE");
    assert!(error.to_string().contains("choose another place"), "{error}");
    assert!(content(home.path()).is_empty());
}

/// Whatever is possible works; everything else fails with an error.
#[tokio::test]
async fn a_read_only_folder_around_a_writable_log() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path()).await.close().await;
    let Some(immutable) = Immutable::make(home.path()) else { return };
    let store = open(home.path());
    assert!(store.record(own("c")).await.unwrap());
    let before = log(home.path());
    let error = store.compact().await.unwrap_err();
    assert_eq!(error.code(), "ERR_STORE");
    assert!(error.to_string().contains("signals.compacting"), "{error}");
    assert_eq!(log(home.path()), before);
    drop(immutable);
    store.compact().await.unwrap();
    assert_eq!(log(home.path()).lines().count(), 3);
}

#[test]
fn a_file_where_the_folder_should_be_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("feedback");
    std::fs::write(&folder, "notes").unwrap();
    for folder in [folder.clone(), folder.join("deeper")] {
        let error = failure(&folder);
        assert_eq!(error.code(), "ERR_STORE");
        assert!(error.to_string().contains("move it away"), "{error}");
    }
    assert_eq!(content(home.path()), [(folder, b"notes".to_vec())]);
}

#[test]
fn a_folder_where_the_log_should_be_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("signals.jsonl");
    std::fs::create_dir(&path).unwrap();
    let error = failure(home.path());
    assert_eq!(error.code(), "ERR_STORE");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

#[tokio::test]
async fn a_link_to_the_folder_stays_one() {
    let home = tempfile::tempdir().unwrap();
    let (real, link) = (home.path().join("disk"), home.path().join("feedback"));
    std::fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let (by_link, by_name) = (fill(&link).await, open(&real));
    by_link.compact().await.unwrap();
    assert!(by_name.record(own("c")).await.unwrap());
    for store in [&by_link, &by_name] {
        assert_eq!(store.stats(&Default::default()).unwrap().figures.total, 3);
    }
    assert!(is_link(&link));
    assert_eq!(log(&real).lines().count(), 3);
}

#[tokio::test]
async fn a_link_to_the_log_stays_one_through_a_compaction() {
    let home = tempfile::tempdir().unwrap();
    let (one, two, disk) = (home.path().join("one"), home.path().join("two"), home.path().join("disk"));
    for folder in [&one, &two, &disk] {
        std::fs::create_dir(folder).unwrap();
    }
    let real = disk.join("trades.jsonl");
    // One link leads to it via the other, and its target does not exist at first.
    symlink("../disk/trades.jsonl", one.join("signals.jsonl")).unwrap();
    symlink("../one/signals.jsonl", two.join("signals.jsonl")).unwrap();
    let store = fill(&one).await;
    let other = open(&two);
    let tasks = (0..200).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move { store.record(own(&n.to_string())).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    let compaction = store.compact().await.unwrap();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert!(compaction.bytes_after > 0);
    assert!(is_link(&one.join("signals.jsonl")) && is_link(&two.join("signals.jsonl")));
    assert_eq!(std::fs::read_to_string(&real).unwrap().lines().count(), 202);
    for folder in [&one, &two] {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "the files of the log are next to the log");
        assert_eq!(open(folder).stats(&Default::default()).unwrap().figures.total, 202);
        assert_eq!(open(folder).recovery(), Default::default());
    }
    assert!(disk.join("trades.compacting.lock").exists());
}
