//! Paths of a store's files.

use std::io;
use std::path::{Path, PathBuf};

/// The files of a store.
#[derive(Debug, Clone)]
pub struct Paths {
    pub log: PathBuf,
    /// The file to lock: the log itself, so that no separate lock file can be deleted at the wrong moment. On Windows a locked
    /// file cannot be read by others, so there it is an empty file beside the log.
    pub lock: PathBuf,
    pub quarantine: PathBuf,
    pub snapshot: PathBuf,
    /// The new log while a compaction writes it; its lock prevents two compactions.
    pub compacting: PathBuf,
    pub compact_lock: PathBuf,
    pub folder: PathBuf,
}

/// Every file of the store in `folder`, with links resolved.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(Paths { log, lock, quarantine, snapshot, compacting, compact_lock, folder: _ }) = Paths::of(folder) else {
        return Vec::new();
    };
    vec![log, lock, quarantine, snapshot, compacting, compact_lock]
}

impl Paths {
    /// The files of the store in `folder`. If its log is a symbolic link, all files lie beside the link's target: a compaction
    /// then replaces the target and not the link, and two folders that link to one log share its lock.
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
