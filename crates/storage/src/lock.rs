//! The lock between processes. It belongs to an open file and dies with its process.

use super::fault::Fault;
use crate::disk::{Lock, Storage, StoredFile};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pauses between two attempts: a write to memory takes about the first, a write to a disk more than the last.
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// The lock, held until dropped.
pub struct Guard(Arc<dyn StoredFile>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the lock then goes with its handle.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of the file with this name, waiting up to `patience` for others. A file that was replaced meanwhile
/// locks nobody out: then the one that has its name now is opened.
///
/// # Errors
/// [`Fault::Busy`], naming the holder where the system tells, when the lock was not to be had in time.
pub fn acquire(
    storage: &dyn Storage,
    path: &Path,
    handle: &mut Arc<dyn StoredFile>,
    how: Lock,
    patience: Duration,
) -> Result<Guard, Fault> {
    acquire_since(Instant::now(), storage, path, handle, how, patience)
}

/// [`acquire`] for a caller whose patience counts from an earlier time.
///
/// # Errors
/// As [`acquire`].
pub fn acquire_since(
    begin: Instant,
    storage: &dyn Storage,
    path: &Path,
    handle: &mut Arc<dyn StoredFile>,
    how: Lock,
    patience: Duration,
) -> Result<Guard, Fault> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        match handle.try_lock(how) {
            Ok(true) => {
                let guard = Guard(handle.clone());
                let mine = handle.stat().map_err(|e| Fault::of("find", path, &e))?;
                let there = storage.stat(path).map_err(|e| Fault::of("find", path, &e))?;
                if there.identity == mine.identity {
                    return Ok(guard);
                }
                drop(guard);
                *handle = storage.open(path).map_err(|e| Fault::of("open", path, &e))?;
            }
            Ok(false) if begin.elapsed() >= patience => return Err(busy(path, &**handle, patience)),
            Ok(false) => {
                std::thread::sleep(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Fault::of("lock", path, &e)),
        }
    }
}

fn busy(path: &Path, handle: &dyn StoredFile, patience: Duration) -> Fault {
    let holder = handle.stat().ok().and_then(|stat| holder(stat.identity));
    let (holder, advice) = match holder {
        None => ("another process".to_owned(), "call again".to_owned()),
        Some(Holder { pid, name, stopped: false }) => (format!("process {pid} ({name})"), "call again".to_owned()),
        Some(Holder { pid, name, stopped: true }) => (
            format!("process {pid} ({name}), which is stopped"),
            format!("let it go on (kill -CONT {pid}) or end it, and call again"),
        ),
    };
    let waited = patience.as_secs_f64();
    Fault::Busy(format!("{} is held by {holder}, waited {waited} s; nothing was changed: {advice}", path.display()))
}

/// Who holds a lock.
struct Holder {
    pid: u32,
    name: String,
    /// By a signal: it will not go on by itself.
    stopped: bool,
}

/// Who holds the lock of the file with this inode number. Only Linux tells, and only of processes in the same container.
fn holder(inode: u64) -> Option<Holder> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`; those who wait have an arrow after the number.
    let pid: u32 = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        (file.rsplit(':').next()?.parse() == Ok(inode)).then(|| pid.parse().ok())?
    })?;
    // `1234 (name) S …`; the name may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    Some(Holder { pid, name, stopped: after.trim_start().starts_with(['T', 't']) })
}
