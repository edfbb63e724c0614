//! Failing disks: for every N, the N-th operation fails in several ways. Nothing panics, acknowledged writes are there, failed
//! calls report it, and the store works again as soon as the disk does.

use super::line::tests::{T0, buy};
use super::{FeedbackStore, StatsFilter, StoreOptions};
use domain::barrier::{Outcome, Target};
use domain::config::Durability;
use domain::error::{Error, Result};
use domain::signal::{Amendment, Change, Record, Targets};
use domain::time::Tz;
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
    /// With this error, without doing anything.
    Error(i32),
    /// A write writes half and the next one fails; other operations fail at once.
    Short,
    /// A sync or a rename succeeds, but reports an error.
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    /// The first operation to fail, counted from 0.
    at: usize,
    /// How many operations fail from there on.
    count: usize,
    how: How,
}

/// The real disk, with a plan of failures.
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
        // A lock that was taken but reports failure would be held for ever; no system does that.
        if self.plan.strikes(&self.done) { Err(self.plan.error()) } else { self.file.try_lock(how) }
    }
    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// In memory, where available: the plan provides the faults, and hundreds of real syncs would be slow.
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

/// All acknowledged records are in the log, once, and the log is undamaged.
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
                    let wrong = told.errors.iter().find(|e| !matches!(e, Error::Storage { .. }));
                    assert!(wrong.is_none(), "{plan:?}: {wrong:?}");
                    check(home.path(), &told, plan);
                    // Again on a working disk: in the end everything is stored.
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

/// A BUY with a limit entry at 95, two targets, and a stop that moves to the entry after the first.
fn managed() -> Record {
    let value = serde_json::json!({
        "id": "m", "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 95, "entryType": "limit",
        "stopLoss": 90, "takeProfits": [{ "price": 100 }, { "price": 105 }], "stopRules": { "breakEvenAfterTarget": 1 },
        "timestamp": T0,
    });
    Record::given(value, Tz::UTC).unwrap()
}

#[test]
fn the_life_of_a_managed_signal_goes_on_after_any_failure() {
    const WHOLE: [&str; 5] = [
        "entered at 95",
        "target 1 reached at 100, 50 % closed",
        "stop moved to 95",
        "amended",
        "target 2 reached at 104, 50 % closed",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for how in [How::Error(EIO), How::Short, How::Late] {
        for (at, count) in (6..60).flat_map(|at| [(at, 1), (at, 3)]) {
            let plan = Plan { at, count, how };
            let home = home();
            let disk = Arc::new(Faulty { plan, done: Arc::default() });
            runtime.block_on(async {
                let Ok(store) = FeedbackStore::open_on(disk, home.path(), StoreOptions::default()) else { return };
                let symbol = managed().signal.symbol;
                while store.record(managed()).await.is_err() {}
                // The same price again does what it could not do.
                for (number, price) in [96.0, 95.0, 97.0, 100.0].into_iter().enumerate() {
                    while store.on_price(&symbol, price, T0 + number as i64).await.is_err() {}
                }
                let target = Target { price: 104.0, share: 50.0 };
                let targets = Targets { targets: vec![target], are_shared: true };
                let amendment = Amendment { take_profits: Some(targets), ..Amendment::default() };
                loop {
                    let changed = store.change("m".to_owned(), Change::Amend(amendment.clone()), T0 + 9).await;
                    if changed.is_ok_and(|changed| changed) {
                        break;
                    }
                }
                let closed = loop {
                    if let Ok(closed) = store.on_price(&symbol, 104.0, T0 + 10).await {
                        break closed;
                    }
                };
                store.close().await;
                let words = |store: &FeedbackStore| {
                    let record = store.get("m").unwrap().unwrap();
                    assert!(record.closing.is_some(), "{plan:?}");
                    record.history.iter().map(|event| event.what.to_string()).collect::<Vec<_>>()
                };
                let again = FeedbackStore::open(home.path(), StoreOptions::default()).unwrap();
                // A sync that reports an error may have stored it all the same, and then it is not stored twice.
                let amendments = words(&again).iter().filter(|word| *word == "amended").count();
                assert_eq!(amendments, 1, "{plan:?}");
                assert_eq!(words(&again), WHOLE, "{plan:?}");
                assert!(closed.len() <= 1, "{plan:?}");
                let recovery = again.recovery();
                assert_eq!((recovery.damaged, recovery.contradictions), (0, 0), "{plan:?}");
            });
        }
    }
}

/// Processes killed at the moment when a compaction renames the copy over the log.
#[cfg(unix)]
mod killed {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    const SIGNALS: usize = 20;

    /// The real disk, on which renames stop forever: before they happen, or right after.
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

    /// Runs in a child process: compacts and never finishes.
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
                // The child holds the lock of the current log.
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
