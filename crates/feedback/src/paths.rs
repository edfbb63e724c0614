//! Where the files of a store are.

use std::io;
use std::path::{Path, PathBuf};

/// The files of a store.
#[derive(Debug, Clone)]
pub struct Paths {
    pub log: PathBuf,
    /// What is locked: the log itself, so that there is no lock file that could be deleted at the wrong moment. Windows
    /// keeps everyone from even reading what is locked; there it is an empty file beside the log.
    pub lock: PathBuf,
    pub quarantine: PathBuf,
    pub snapshot: PathBuf,
    /// The new log while a compaction writes it, and what keeps two from doing so at once.
    pub compacting: PathBuf,
    pub compact_lock: PathBuf,
    pub folder: PathBuf,
}

/// Every file of the store in `folder`, also where links lead elsewhere.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(Paths { log, lock, quarantine, snapshot, compacting, compact_lock, folder: _ }) = Paths::of(folder) else {
        return Vec::new();
    };
    vec![log, lock, quarantine, snapshot, compacting, compact_lock]
}

impl Paths {
    /// The files of the store in `folder`. Where its log is a symbolic link, all of them lie beside the file that it leads
    /// to: a compaction then replaces that file and not the link, and two folders that link to one log share its lock.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let log = folder.join("signals.jsonl");
        let log = if log.is_symlink() { log.canonicalize()? } else { log };
        let folder = log.parent().unwrap_or(Path::new("")).to_owned();
        let stem = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let path = |end: &str| folder.join(format!("{stem}.{end}"));
        Ok(Self {
            lock: if cfg!(windows) { path("lock") } else { log.clone() },
            quarantine: path("quarantine.jsonl"),
            snapshot: path("index"),
            compacting: path("compacting"),
            compact_lock: path("compacting.lock"),
            log,
            folder,
        })
    }
}
