//! Makes the home that a replay has kept the beginning of a live home.

use domain::error::{Error, Result};
use engine::SignalLoop;
use engine::store_location::StoreLocation;
use serde::Serialize;
use std::path::{Path, PathBuf};
use storage::create_folder;

/// What a home learns from signals and candles, in the order in which it is moved: the signals last, because a home with
/// signals is in use.
const PARTS: [&str; 4] = ["models", "cache", "performance.json", "feedback"];
/// The folder of the candle files.
const CANDLES: &str = "data";

/// What was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// The files and folders of the home that are new.
    pub parts: Vec<&'static str>,
    /// Candle files that are new; those of the home stay as they are.
    pub candle_files: usize,
    /// Signals.
    pub signals: usize,
    /// Those of them that are closed.
    pub closed: usize,
}

/// Copies signals, models and what was learned from `kept` into the home of `core`, whose store must not have been opened.
/// Configuration and candles of the home stay; candle files that it lacks are copied.
///
/// # Errors
/// [`Error::InvalidArgument`] if `kept` is not the home of a replay, if the home has signals or models of its own, or if its
/// signals are in a database; [`Error::Io`]. After an error the home is as before, but for parts named in the error.
pub fn adopt(core: &SignalLoop, kept: &Path) -> Result<Adopted> {
    let home = core.settings().home();
    check(core, kept)?;
    create_folder(home)?;
    let staging = tempfile::Builder::new().prefix("adopt-").tempdir_in(home);
    let staging = staging.map_err(|error| Error::io("create a folder in", home, error))?;
    let parts: Vec<&str> = PARTS.into_iter().filter(|part| kept.join(part).exists()).collect();
    parts.iter().try_for_each(|part| copy(&kept.join(part), &staging.path().join(part)))?;
    let candle_files = copy_missing(&kept.join(CANDLES), &home.join(CANDLES))?;
    for part in &parts {
        let (from, to) = (staging.path().join(part), home.join(part));
        std::fs::rename(&from, &to).map_err(|error| Error::io("create", &to, error))?;
    }
    let (all, closed) = core.store().open()?.extent();
    Ok(Adopted { parts, candle_files, signals: all, closed })
}

/// Refuses what would mix with records of the home.
fn check(core: &SignalLoop, kept: &Path) -> Result<()> {
    let refused = |problem: String| Err(Error::argument("folder", problem, kept.display()));
    if !matches!(core.store().location(), StoreLocation::Folder(_)) {
        return refused(
            "cannot be adopted into a database: adopt it with `--store files`, then `signalloop store copy` copies all"
                .to_owned(),
        );
    }
    let kept = std::path::absolute(kept).unwrap_or_else(|_| kept.to_owned());
    if !kept.join("feedback").is_dir() {
        return refused("must be the folder that `signalloop replay --keep` has written".to_owned());
    }
    let home = core.settings().home();
    let in_the_way: Vec<PathBuf> =
        PARTS.iter().map(|part| home.join(part)).filter(|path| holds_something(path)).collect();
    if let Some(path) = in_the_way.first() {
        return refused(format!(
            "cannot be adopted: it would mix with {} of the home. Only a home without signals and models can adopt one",
            path.display()
        ));
    }
    Ok(())
}

/// Whether a file or folder holds anything.
fn holds_something(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.is_file(),
    }
}

/// Copies a file, or a folder with all its files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return std::fs::copy(from, to).map(drop).map_err(|error| Error::io("copy", from, error));
    }
    create_folder(to)?;
    for entry in std::fs::read_dir(from).map_err(|error| Error::io("read", from, error))? {
        let entry = entry.map_err(|error| Error::io("read", from, error))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies the files of a folder that another lacks. Returns how many.
fn copy_missing(from: &Path, to: &Path) -> Result<usize> {
    if !from.is_dir() {
        return Ok(0);
    }
    create_folder(to)?;
    let mut copied = 0;
    for entry in std::fs::read_dir(from).map_err(|error| Error::io("read", from, error))? {
        let entry = entry.map_err(|error| Error::io("read", from, error))?;
        let target = to.join(entry.file_name());
        if !target.exists() {
            copy(&entry.path(), &target)?;
            copied += 1;
        }
    }
    Ok(copied)
}
