//! Detects changes of a home without reading its files: by their sizes and times, and for a database by what is already
//! known of it.

use engine::{Elsewhere, SignalLoop};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use storage::Stamp;

/// A part of a report, which is made from its own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The log of signals, and the state derived from live results.
    Signals,
    /// The models and their ledger.
    Models,
    /// The candles.
    Candles,
    /// The predictions of signals beside their outcomes.
    Scorecard,
    /// The signals replayed on the candles with other levels.
    Advice,
    /// The rules found in the outcomes.
    Learned,
    /// The ledger of replays.
    Replays,
    /// The scheduler's configuration and records.
    Scheduler,
}

/// One number for each part of a report, which differs whenever the state of its files does. 0 means that nothing was
/// read yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revision {
    /// The log of signals, and the state derived from live results.
    pub signals: u64,
    /// The models and their ledger.
    pub models: u64,
    /// The candles.
    pub candles: u64,
    /// The scheduler's configuration and records, except those of the watch, which change every few seconds.
    pub scheduler: u64,
    /// The ledger of replays.
    pub replays: u64,
}

impl Revision {
    /// The current revision of a loop. Files that cannot be read count as missing; reading the part reports the error.
    pub fn of(core: &SignalLoop) -> Self {
        Self::of_parts(core.settings().home(), core.models().registry().revision(), core.elsewhere())
    }

    fn of_parts(home: &Path, models: u64, elsewhere: Elsewhere) -> Self {
        let mut scheduler = entries(&home.join("scheduler"));
        scheduler.retain(|path| path.extension().is_some_and(|e| e == "json" || e == "jsonl"));
        scheduler.retain(|path| !path.ends_with("watch.json"));
        scheduler.push(home.join("scheduler_config.json"));
        Self {
            signals: stamp(vec![home.join("feedback/signals.jsonl"), home.join("performance.json")], elsewhere.signals),
            models: models.max(1),
            candles: stamp(entries(&home.join("data")), 0),
            scheduler: stamp(scheduler, elsewhere.scheduler),
            replays: stamp(vec![home.join(replay::ledger::FILE)], 0),
        }
    }

    /// Of the signals and the candles together.
    pub fn signals_and_candles(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.signals, self.candles).hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// The whole revision as text, for an `ETag`.
    pub fn tag(&self) -> String {
        let Self { signals, models, candles, scheduler, replays } = self;
        format!("{signals:x}-{models:x}-{candles:x}-{scheduler:x}-{replays:x}")
    }
}

fn stamp(mut files: Vec<PathBuf>, elsewhere: u64) -> u64 {
    files.sort();
    let mut hasher = DefaultHasher::new();
    elsewhere.hash(&mut hasher);
    for file in files {
        if let Ok(Some(stamp)) = Stamp::of(&file) {
            (file, stamp).hash(&mut hasher);
        }
    }
    hasher.finish().max(1)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry::Registry;

    #[test]
    fn each_part_follows_its_own_files() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let differs = |a: &Revision, b: &Revision| {
            [
                a.signals != b.signals,
                a.models != b.models,
                a.candles != b.candles,
                a.scheduler != b.scheduler,
                a.replays != b.replays,
            ]
        };
        let of_parts = |elsewhere| {
            Revision::of_parts(home.path(), Registry::new(home.path().join("models")).revision(), elsewhere)
        };
        let now = || of_parts(Elsewhere::default());
        let mut before = now();
        assert_eq!(now(), before, "nothing changed");
        let changes = [
            ("feedback/signals.jsonl", [true, false, false, false, false]),
            ("performance.json", [true, false, false, false, false]),
            ("models/btcusdt_1h/champion.json", [false, true, false, false, false]),
            ("models/ledger.jsonl", [false, true, false, false, false]),
            ("data/btcusdt_1h.csv", [false, false, true, false, false]),
            ("scheduler/fetch.json", [false, false, false, true, false]),
            ("scheduler/watch.json", [false, false, false, false, false]),
            ("scheduler/fetch.lock", [false, false, false, false, false]),
            ("scheduler_config.json", [false, false, false, true, false]),
            ("replays.jsonl", [false, false, false, false, true]),
        ];
        for (name, expected) in changes {
            write(name, "x");
            let after = now();
            assert_eq!(differs(&before, &after), expected, "{name}");
            assert_eq!(before.tag() == after.tag(), expected == [false; 5], "{name}");
            before = after;
        }
        let signals = of_parts(Elsewhere { signals: 1, scheduler: 0 });
        assert_eq!(differs(&before, &signals), [true, false, false, false, false]);
        let scheduler = of_parts(Elsewhere { signals: 0, scheduler: 1 });
        assert_eq!(differs(&before, &scheduler), [false, false, false, true, false]);
    }
}
