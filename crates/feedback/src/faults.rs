//! Failing disks: the N-th operation fails, for every N, each in several ways. Nothing panics, what was acknowledged is
//! there, what failed says so, and a disk that works again is enough to go on.

use super::line::tests::{T0, buy};
use super::{FeedbackStore, StatsFilter, StoreOptions};
use domain::barrier::Outcome;
use domain::config::Durability;
use domain::error::{Error, Result};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use storage::disk::{Disk, Lock, Stat, Storage, StoredFile};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// With this error, having done nothing.
    Error(i32),
    /// A write writes half of it, and the next one fails; anything else fails at once.
    Short,
    /// A sync or a rename does its work and then says that it failed.
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    /// The operation that fails, counted from 0.
    at: usize,
    /// How many from there on do.
    count: usize,
    how: How,
}

/// The real disk, with a plan of what fails.
struct Faulty {
    plan: Plan,
    done: Arc<AtomicUsize>,
}

struct FaultyFile {
    file: Arc<dyn StoredFile>,
    plan: Plan,
    done: Arc<AtomicUsize>,
}

impl Plan {
    fn strikes(&self, done: &AtomicUsize) -> bool {
        let n = done.fetch_add(1, Ordering::SeqCst);
        n >= self.at && n - self.at < self.count
    }

    fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(match self.how {
            How::Error(code) => code,
            How::Short => ENOSPC,
            How::Late => EIO,
        })
    }

    fn run<T>(&self, done: &AtomicUsize, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.strikes(done) {
            return work();
        }
        if self.how == How::Late {
            let _ = work();
        }
        Err(self.error())
    }
}

impl Storage for Faulty {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        let file = self.plan.run(&self.done, || Disk.open(path))?;
        Ok(Arc::new(FaultyFile { file, plan: self.plan, done: self.done.clone() }))
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Disk.stat(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.run(&self.done, || Disk.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.run(&self.done, || Disk.remove(path))
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.plan.run(&self.done, || Disk.sync_folder(folder))
    }
}

impl StoredFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.plan.run(&self.done, || self.file.read_at(buffer, offset))
    }
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        if !self.plan.strikes(&self.done) {
            return self.file.append(bytes);
        }
        let n = self.done.load(Ordering::SeqCst) - 1;
        match self.plan.how {
            How::Short if n == self.plan.at && bytes.len() > 1 => self.file.append(&bytes[..bytes.len() / 2]),
            _ => Err(self.plan.error()),
        }
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.run(&self.done, || self.file.set_len(len))
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.run(&self.done, || self.file.sync())
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn try_lock(&self, how: Lock) -> io::Result<bool> {
        // A lock that is taken but says that it was not would be held for ever; no system does that.
        if self.plan.strikes(&self.done) { Err(self.plan.error()) } else { self.file.try_lock(how) }
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// In memory where the system has that: the faults are the plan's, and hundreds of real syncs take their time.
fn home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// What was acknowledged.
#[derive(Default, Debug)]
struct Told {
    recorded: Vec<String>,
    closed: Vec<String>,
    errors: Vec<Error>,
}

impl Told {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }
}

async fn work(store: &FeedbackStore, told: &mut Told) {
    for id in ["a", "b", "c"] {
        if told.note(store.record(buy(id)).await).is_some() {
            told.recorded.push(id.to_owned());
        }
    }
    if told.note(store.close_signal("a", Outcome::Success, Some(104.0), None, T0 + 1).await) == Some(true) {
        told.closed.push("a".to_owned());
    }
    told.note(store.compact().await);
    let closed = told.note(store.on_price(&buy("b").symbol, 94.0, T0 + 2).await).unwrap_or_default();
    told.closed.extend(closed.into_iter().map(|signal| signal.id));
    told.note(store.stats(&StatsFilter::default()));
    told.note(store.get("c"));
    if told.note(store.record(buy("d")).await).is_some() {
        told.recorded.push("d".to_owned());
    }
}

/// Everything acknowledged is in the log, once, and the log is whole.
fn check(folder: &Path, told: &Told, plan: Plan) {
    let store = FeedbackStore::open(folder, StoreOptions::default()).unwrap();
    for id in &told.recorded {
        let record = store.get(id).unwrap();
        assert_eq!(record.as_ref().map(|r| &r.signal), Some(&buy(id)), "{plan:?}: recorded {id}");
    }
    for id in &told.closed {
        assert!(store.get(id).unwrap().is_some_and(|r| r.closing.is_some()), "{plan:?}: closed {id}");
        assert_eq!(told.closed.iter().filter(|other| *other == id).count(), 1, "{plan:?}: closed {id} once");
    }
    let recovery = store.recovery();
    assert_eq!((recovery.damaged, recovery.contradictions), (0, 0), "{plan:?}");
}

#[test]
fn any_operation_may_fail_without_loss() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut failed = 0;
    for how in [How::Error(EIO), How::Error(ENOSPC), How::Short, How::Late] {
        for count in [1, 2, usize::MAX] {
            for durability in [Durability::Fsync, Durability::Os] {
                for at in 0.. {
                    let plan = Plan { at, count, how };
                    let home = home();
                    let done = Arc::new(AtomicUsize::new(0));
                    let mut told = Told::default();
                    let options = StoreOptions { durability, ..StoreOptions::default() };
                    let disk = Arc::new(Faulty { plan, done: done.clone() });
                    runtime.block_on(async {
                        if let Some(store) = told.note(FeedbackStore::open_on(disk, home.path(), options)) {
                            work(&store, &mut told).await;
                            store.close().await;
                        }
                    });
                    let wrong = told.errors.iter().find(|e| !matches!(e, Error::Store(_)));
                    assert!(wrong.is_none(), "{plan:?}: {wrong:?}");
                    check(home.path(), &told, plan);
                    // The same again on a disk that works: all is there in the end.
                    let store = FeedbackStore::open(home.path(), options).unwrap();
                    let mut again = Told::default();
                    runtime.block_on(work(&store, &mut again));
                    assert!(again.errors.is_empty(), "{plan:?}: {:?}", again.errors);
                    for (id, closed) in [("a", true), ("b", true), ("c", true), ("d", false)] {
                        let record = store.get(id).unwrap();
                        assert!(record.is_some_and(|r| r.closing.is_some() || !closed), "{plan:?}: {id} at last");
                    }
                    if done.load(Ordering::SeqCst) <= at {
                        assert!(told.errors.is_empty(), "{plan:?}: {:?}", told.errors);
                        break;
                    }
                    failed += told.errors.len();
                }
            }
        }
    }
    assert!(failed > 500, "faults were met: {failed}");
}

#[test]
fn an_open_store_goes_on_after_one_failure() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for at in 8..40 {
        let plan = Plan { at, count: 1, how: How::Error(ENOSPC) };
        let home = home();
        let disk = Arc::new(Faulty { plan, done: Arc::default() });
        runtime.block_on(async {
            let store = FeedbackStore::open_on(disk, home.path(), StoreOptions::default()).unwrap();
            let mut failures = 0;
            for id in ["a", "b", "c", "d"] {
                while store.record(buy(id)).await.is_err() {
                    failures += 1;
                }
            }
            let mut closed = 0;
            while closed < 4 {
                // What could not be stored is still open, and the same price closes it now.
                match store.on_price(&buy("a").symbol, 94.0, T0 + 1).await {
                    Ok(signals) => closed += signals.len(),
                    Err(_) => failures += 1,
                }
            }
            assert!(failures <= 1, "{plan:?}: {failures} calls failed for one fault");
            assert!(store.open_signals(None).unwrap_or_default().is_empty());
        });
    }
}

/// Processes killed at the very moment when a compaction gives the copy the log's name.
#[cfg(unix)]
mod killed {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    const SIGNALS: usize = 20;

    /// The real disk, whose renames come to a halt: before they happen, or right after.
    struct Halting {
        after: bool,
    }

    impl Storage for Halting {
        fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
            Disk.open(path)
        }
        fn stat(&self, path: &Path) -> io::Result<Stat> {
            Disk.stat(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            if self.after {
                Disk.rename(from, to)?;
            }
            std::io::stdout().write_all(b"\nhalted\n")?;
            loop {
                std::thread::park();
            }
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            Disk.remove(path)
        }
        fn sync_folder(&self, folder: &Path) -> io::Result<()> {
            Disk.sync_folder(folder)
        }
    }

    /// The part of a child: compacts, and never comes to its end.
    #[test]
    fn halting_process() {
        let Some(home) = std::env::var_os("SIGNALLOOP_CHILD_HOME") else { return };
        let disk =
            Arc::new(Halting { after: std::env::var_os("SIGNALLOOP_CHILD").is_some_and(|when| when == "after") });
        let store = FeedbackStore::open_on(disk, Path::new(&home), StoreOptions::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        panic!("it was not killed: {:?}", runtime.block_on(store.compact()));
    }

    fn id(n: usize) -> String {
        n.to_string()
    }

    #[tokio::test]
    async fn a_compaction_killed_at_its_rename_leaves_the_old_log_or_the_new_one() {
        for when in ["before", "after"] {
            let home = tempfile::tempdir().unwrap();
            let options = StoreOptions { patience: Duration::from_millis(50), ..StoreOptions::default() };
            let store = FeedbackStore::open(home.path(), options).unwrap();
            store.record_all((0..SIGNALS).map(|n| buy(&id(n))).collect()).await.unwrap();
            for n in 0..SIGNALS / 2 {
                assert!(store.close_signal(&id(n), Outcome::Success, None, Some(1.0), T0 + 1).await.unwrap());
            }
            let lines = || std::fs::read_to_string(home.path().join("signals.jsonl")).unwrap().lines().count();
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["faults::killed::halting_process", "--exact", "--nocapture"])
                .env("SIGNALLOOP_CHILD", when)
                .env("SIGNALLOOP_CHILD_HOME", home.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
            assert!(output.any(|line| line.unwrap() == "halted"), "{when}");
            let renamed = when == "after";
            assert_eq!(lines(), if renamed { SIGNALS } else { SIGNALS * 3 / 2 }, "{when}");
            if !renamed {
                // It holds the lock of what is still the log.
                assert_eq!(store.record(buy("new")).await.unwrap_err().code(), "ERR_STORE_BUSY");
            }
            process.kill().unwrap();
            process.wait().unwrap();

            assert!(store.record(buy("new")).await.unwrap(), "{when}");
            for store in [store, FeedbackStore::open(home.path(), options).unwrap()] {
                for n in 0..SIGNALS {
                    let record = store.get(&id(n)).unwrap().unwrap();
                    assert_eq!((&record.signal, record.closing.is_some()), (&buy(&id(n)), n < SIGNALS / 2), "{when}");
                }
                assert!(store.get("new").unwrap().is_some(), "{when}");
                assert_eq!(store.recovery(), Default::default(), "{when}");
                store.compact().await.unwrap();
                assert_eq!(lines(), SIGNALS + 1, "{when}");
            }
            assert!(!home.path().join("signals.compacting").exists(), "{when}");
        }
    }
}
