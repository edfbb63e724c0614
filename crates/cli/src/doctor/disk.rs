//! Checks of the disk and of its times: is there room for what the home needs, and do its files agree with this machine's
//! clock?

use super::{Check, Finding};
use crate::words::{age, bytes, counted};
use domain::error::Error;
use domain::time::format_iso;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Without this much, a few records and a task's result find no room.
const LEAST_FREE: u64 = 4_000_000;
/// What a home needs beside its own files, until it has some.
const ROOM_FOR_A_BEGINNING: u64 = 100_000_000;
/// Differences of file times up to this are ignored: file systems round them, and machines of a network differ a little.
const TOLERANCE_MS: i64 = 60_000;

/// What the files of a home take, and when they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    bytes: u64,
    /// Files that were written later than now, and when the last of them was, UTC epoch ms.
    ahead: Option<(u64, i64)>,
}

impl Files {
    /// Of all files in `folder`. What disappears meanwhile is left out.
    pub(super) fn of(folder: &Path, now_ms: i64) -> Self {
        let mut files = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(found) if found.is_dir() => folders.push(entry.path()),
                    Ok(found) => files.add(&found, now_ms),
                    Err(_) => {}
                }
            }
        }
        files
    }

    fn add(&mut self, found: &Metadata, now_ms: i64) {
        self.bytes += found.len();
        let written_ms = written_ms(found).filter(|written_ms| *written_ms > now_ms + TOLERANCE_MS);
        if let Some(written_ms) = written_ms {
            let (count, latest_ms) = self.ahead.unwrap_or((0, written_ms));
            self.ahead = Some((count + 1, latest_ms.max(written_ms)));
        }
    }
}

fn written_ms(found: &Metadata) -> Option<i64> {
    let since = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Checks the free space of the disk that `home` is on.
pub(super) fn space(home: &Path, files: &Files) -> Finding {
    let there = home.ancestors().find(|folder| folder.exists()).unwrap_or(home);
    match fs4::available_space(there) {
        Ok(free) => room(home, files.bytes, free),
        Err(error) => {
            let what = format!("it is unknown how much room the disk has: {error}");
            let why = "nothing can be recorded on a full disk";
            Finding::warning(Check::Disk, what, why, "look whether the disk is full")
        }
    }
}

/// What `free` bytes are for a home of `used` bytes. Candles, models and the log are written anew beside the old files, which
/// are deleted then: at the most, everything is there twice.
fn room(home: &Path, used: u64, free: u64) -> Finding {
    const WHY: &str =
        "candles, models and the log are written anew beside the old files, which go only then: up to as much again";
    let needed = used.max(ROOM_FOR_A_BEGINNING);
    let advice = "make room on that disk, or move the home to a larger one (docs/operating.md)";
    if free < LEAST_FREE {
        let full = std::io::Error::new(ErrorKind::StorageFull, format!("only {} are free", bytes(free)));
        let why = "signals cannot be recorded or closed: recordSignal and updateOutcome fail";
        return Finding::fault(Check::Disk, &Error::io("write", home, full), why, advice);
    }
    let what = format!("{} are free; the home has {}", bytes(free), bytes(used));
    if free < needed {
        return Finding::warning(Check::Disk, format!("{what}, and needs {}", bytes(needed)), WHY, advice);
    }
    Finding::fine(Check::Disk, what)
}

/// Warns where the times of files disagree with this machine's clock.
pub(super) fn times(home: &Path, files: &Files, now_ms: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some((count, latest_ms)) = files.ahead {
        let what = format!(
            "{} of the home {} dated ahead of this machine's clock, by up to {}: the last at {}, and it shows {}",
            counted(count, "file", "files"),
            if count == 1 { "is" } else { "are" },
            age(latest_ms - now_ms),
            format_iso(latest_ms),
            format_iso(now_ms)
        );
        let why = "the clock was set back, or the files come from a machine with another time: due times and ages are wrong until it has caught up";
        found.push(Finding::warning(Check::Clock, what, why, "check the clock of this machine (timedatectl)"));
    }
    // The file system dates what is written: on a network disk, by the clock of another machine.
    let dated = tempfile::tempfile_in(home).and_then(|file| file.metadata());
    if let Some(ahead_ms) = dated.ok().as_ref().and_then(written_ms).map(|written_ms| written_ms - now_ms) {
        found.extend(of_disk(ahead_ms));
    }
    found
}

fn of_disk(ahead_ms: i64) -> Option<Finding> {
    let how = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let what = format!("the disk dates files {} {how} this machine's clock", age(ahead_ms.abs()));
    let why = "it is on another machine with another time; changed files may not be noticed";
    let advice = "synchronise both clocks, or keep the home on a local disk";
    (ahead_ms.abs() > TOLERANCE_MS).then(|| Finding::warning(Check::Clock, what, why, advice))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    #[test]
    fn free_space_is_judged_by_what_the_home_has() {
        const GB: u64 = 1_000_000_000;
        let cases = [
            (0, 99_000_000, Severity::Warning, "needs 100 MB"),
            (0, 100_000_000, Severity::Fine, "100 MB are free"),
            (3 * GB, 2 * GB, Severity::Warning, "2.0 GB are free; the home has 3.0 GB, and needs 3.0 GB"),
            (3 * GB, 3 * GB, Severity::Fine, "3.0 GB are free; the home has 3.0 GB"),
            (0, 3_999_999, Severity::Fault, "only 4.0 MB are free"),
        ];
        for (used, free, state, words) in cases {
            let found = room(Path::new("ml"), used, free);
            assert_eq!((found.state, found.check), (state, Check::Disk), "{found:?}");
            assert!(found.what.contains(words), "{found:?}");
        }
    }

    #[test]
    fn files_ahead_of_the_clock_are_told_and_all_sizes_count() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let now_ms = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        std::fs::create_dir(home.path().join("data")).unwrap();
        for (name, ahead_s) in [("data/a.csv", 0), ("data/b.csv", 30), ("c.json", 7200)] {
            std::fs::write(home.path().join(name), "12345").unwrap();
            let file = File::options().write(true).open(home.path().join(name)).unwrap();
            file.set_modified(now + Duration::from_secs(ahead_s)).unwrap();
        }
        let files = Files::of(home.path(), now_ms);
        assert_eq!((files.bytes, files.ahead), (15, Some((1, now_ms + 7_200_000))));
        let told = times(home.path(), &files, now_ms);
        assert_eq!(
            told.iter().map(|found| found.what.contains("1 file of the home is dated ahead")).collect::<Vec<_>>(),
            [true]
        );
        assert_eq!(times(home.path(), &Files::of(home.path(), now_ms + 7_200_000), now_ms), []);
    }

    #[test]
    fn a_disk_with_a_clock_of_its_own_is_told() {
        assert_eq!([0, 60_000, -60_000].map(of_disk), [None, None, None]);
        let told = [90_000, -7_200_000].map(|ahead_ms| of_disk(ahead_ms).unwrap().what);
        assert!(told[0].contains("1 minute ahead of") && told[1].contains("2 hours behind"), "{told:?}");
    }
}
