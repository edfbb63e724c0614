//! The history of task runs, for people to read: `scheduler/history.jsonl`, one JSON object per line.
//!
//! No decision depends on it; each task's state is in its record. It keeps the newest runs, and may be deleted.

use super::{LastRun, Task};
use domain::error::{Error, Resource, Result};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::disk::{Disk, Lock, Storage, append_all};
use storage::lock::FileLock;
use storage::write_atomically;

/// When it is larger than this, the older half is deleted; some weeks remain.
const MAX_BYTES: u64 = 256 << 10;
/// Time to wait for another process that appends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The task.
    pub task: Task,
    /// The result.
    #[serde(flatten)]
    pub run: LastRun,
}

/// Appends a run.
///
/// # Errors
/// [`Error::Io`]; [`Error::Busy`] if another process holds the lock for too long.
pub fn append(folder: &Path, ran: &Ran) -> Result<()> {
    let path = path(folder);
    let failed = |e: std::io::Error| Error::io("write", &path, e);
    let mut line = serde_json::to_vec(ran).map_err(|e| Error::Internal(format!("cannot encode a run: {e}")))?;
    line.push(b'\n');
    // A separate lock file, since the history is replaced when it grows too large.
    let lock = folder.join("history.lock");
    let _alone = FileLock::acquire(Resource::Scheduler, &lock, Lock::Exclusive, PATIENCE)?;
    let file = Disk.open(&path).map_err(failed)?;
    append_all(&*file, &line).map_err(failed)?;
    if file.stat().map_err(failed)?.len > MAX_BYTES {
        let text = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let half = text.len() / 2;
        let begin = text[half..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| half + at + 1);
        write_atomically(&path, &text[begin..])?;
    }
    Ok(())
}

/// The newest `most` runs, newest first. Unreadable lines, such as one cut short by a crash, are skipped.
///
/// # Errors
/// [`Error::Io`].
pub fn newest(folder: &Path, most: usize) -> Result<Vec<Ran>> {
    let path = path(folder);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(most).collect()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("history.jsonl")
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn ran(number: i64) -> Ran {
        let run = LastRun {
            started_ms: number,
            ended_ms: number + 1,
            outcome: Outcome::Finished,
            attempt: 1,
            done: 2,
            message: format!("run {number} {}", "x".repeat(1000)),
            failed: Vec::new(),
            error: None,
        };
        Ran { task: Task::Fetch, run }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(newest(home.path(), 5).unwrap(), []);
        for number in 0..400 {
            append(home.path(), &ran(number)).unwrap();
        }
        assert_eq!(newest(home.path(), 2).unwrap(), [ran(399), ran(398)]);
        let kept = newest(home.path(), 1000).unwrap();
        assert!((100..400).contains(&kept.len()), "{}", kept.len());
        assert!(
            kept.iter().rev().zip(400 - kept.len() as i64..).all(|(one, number)| *one == ran(number)),
            "whole lines"
        );
        assert!(std::fs::metadata(path(home.path())).unwrap().len() <= MAX_BYTES);
    }

    #[test]
    fn a_torn_line_hides_no_other() {
        let home = tempfile::tempdir().unwrap();
        append(home.path(), &ran(1)).unwrap();
        let mut text = std::fs::read(path(home.path())).unwrap();
        text.extend_from_slice(b"{\"task\":\"fe\n");
        std::fs::write(path(home.path()), text).unwrap();
        append(home.path(), &ran(2)).unwrap();
        assert_eq!(newest(home.path(), 9).unwrap(), [ran(2), ran(1)]);
    }
}
