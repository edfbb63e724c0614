//! `models/training_results.json`: the result of the last training of each market, for people and for scripts. The
//! models do not depend on it.

use super::{Event, Trainer};
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use domain::time::{format_iso, now_ms};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;
use storage::disk::Lock;
use storage::lock::FileLock;
use storage::{create_folder, write_atomically};

const NAME: &str = "training_results";
/// How long to wait for another process that is writing the file. Writing takes only a moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// The fields of an entry in `results` that its entry in `symbols` omits: the market's key, and long fields.
const ONLY_IN_RESULTS: [&str; 4] = ["symbol", "timeframe", "record", "trial"];

/// The content of the file for one training, with one entry for each market.
pub(super) fn to_json(entries: Vec<Value>, skipped: &[Market], started_ms: i64, duration_ms: u64) -> Value {
    let mut json = counted(entries);
    json["timestamp"] = json!(format_iso(started_ms));
    json["duration_seconds"] = json!(duration_ms as f64 / 1000.0);
    json["skipped"] = skipped.iter().map(Market::to_string).collect();
    json
}

fn counted(entries: Vec<Value>) -> Value {
    let successful = entries.iter().filter(|entry| entry["success"] == true).count();
    let skilled = entries.iter().filter(|entry| entry["has_skill"] == true).count();
    json!({
        "total_models": entries.len(),
        "successful": successful,
        "with_skill": skilled,
        "failed": entries.len() - successful,
        "success_rate": success_rate(successful, entries.len()),
        "results": entries,
    })
}

/// A sentence that says how many of the trained models have skill, because a successful training alone does not mean
/// that. `None` if no model was trained.
pub fn found_something(skilled: usize, trained: usize) -> Option<String> {
    match trained {
        0 => None,
        1 => Some(format!("{skilled} of 1 beats its base rate on rows it had not seen")),
        _ => Some(format!("{skilled} of {trained} beat their base rate on rows they had not seen")),
    }
}

/// The percentage of markets whose training succeeded; 100 if there were none to train.
pub(super) fn success_rate(successful: usize, of: usize) -> f64 {
    if of == 0 { 100.0 } else { 100.0 * successful as f64 / of as f64 }
}

impl Trainer {
    /// Saves the results of a training next to those of other markets. The models serve whether this works or not. If
    /// it fails, or if a damaged file was replaced, that is reported as an event and returned.
    pub(super) fn write_training_results(&self, training: Value) -> Option<String> {
        let warning = match update(&self.settings.home().join("models"), training) {
            Ok(None) => return None,
            Ok(Some(warning)) => warning,
            Err(error) => format!("the results of a training could not be stored: {error}"),
        };
        self.events.emit(&Event::Warning(warning.clone()));
        Some(warning)
    }
}

/// Replaces the entries of the trained markets. If the file cannot be used, it is moved aside, and the returned text
/// says so.
fn update(folder: &Path, training: Value) -> Result<Option<String>> {
    create_folder(folder)?;
    let lock = folder.join(format!("{NAME}.lock"));
    let _alone = FileLock::acquire(Resource::TrainingResults, &lock, Lock::Exclusive, PATIENCE)?;
    let path = folder.join(format!("{NAME}.json"));
    let (known, warning) = match known(&path)? {
        Ok(known) => (known, None),
        Err(problem) => (ResultsFile::default(), Some(set_aside(&path, &problem)?)),
    };
    let text = serde_json::to_vec_pretty(&known.with(training))
        .map_err(|e| Error::Internal(format!("cannot encode training results: {e}")))?;
    write_atomically(&path, &text)?;
    Ok(warning)
}

/// The entries of the file.
#[derive(Default)]
struct ResultsFile {
    results: Vec<Value>,
    symbols: Map<String, Value>,
}

/// The content of the file, or why it cannot be read. Files of the earlier system have only `symbols`.
fn known(path: &Path) -> Result<std::result::Result<ResultsFile, String>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ok(ResultsFile::default())),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    Ok(serde_json::from_slice(&text).map_err(|e| e.to_string()).and_then(ResultsFile::of))
}

impl ResultsFile {
    fn of(mut file: Value) -> std::result::Result<Self, String> {
        let symbols = match file.get_mut("symbols").map(Value::take) {
            None => Map::new(),
            Some(Value::Object(symbols)) if symbols.values().all(Value::is_object) => symbols,
            Some(_) => return Err("`symbols` is not an object of objects".to_owned()),
        };
        let results = match file.get_mut("results").map(Value::take) {
            Some(Value::Array(results)) if results.iter().all(|entry| market(entry).is_some()) => results,
            None if file.get("symbols").is_some() => Vec::new(),
            _ => return Err("`results` is not a list of results by symbol and timeframe".to_owned()),
        };
        Ok(Self { results, symbols })
    }

    /// The content after a training: entries of the same markets are replaced, and the totals are counted again.
    fn with(mut self, mut training: Value) -> Value {
        let (entries, timestamp) = (training["results"].take(), training["timestamp"].clone());
        for mut entry in entries.as_array().cloned().unwrap_or_default() {
            entry["timestamp"] = timestamp.clone();
            match self.results.iter_mut().find(|known| market(known) == market(&entry)) {
                Some(known) => *known = entry,
                None => self.results.push(entry),
            }
        }
        for entry in &self.results {
            let Some((symbol, timeframe)) = market(entry) else { continue };
            let mut shorter = entry.clone();
            if let Value::Object(shorter) = &mut shorter {
                shorter.retain(|key, _| !ONLY_IN_RESULTS.contains(&key.as_str()));
            }
            self.symbols.entry(symbol).or_insert_with(|| json!({}))[timeframe] = shorter;
        }
        if let (Value::Object(training), Value::Object(all)) = (&mut training, counted(self.results)) {
            training.extend(all);
            training.insert("symbols".to_owned(), Value::Object(self.symbols));
        }
        training
    }
}

/// The market of an entry.
fn market(entry: &Value) -> Option<(&str, &str)> {
    Some((entry["symbol"].as_str()?, entry["timeframe"].as_str()?))
}

/// Moves a file that cannot be used aside, and returns a text that says so.
fn set_aside(path: &Path, problem: &str) -> Result<String> {
    let aside = path.with_file_name(format!("{NAME}.damaged-{}.json", now_ms()));
    std::fs::rename(path, &aside).map_err(|e| Error::io("move away", path, e))?;
    Ok(format!(
        "{} could not be read ({problem}): it is kept as {}, and a new one was begun",
        path.display(),
        aside.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training(at_ms: i64, entries: &[(&str, &str, bool)]) -> Value {
        let entry = |&(symbol, timeframe, success): &(&str, &str, bool)| json!({ "symbol": symbol, "timeframe": timeframe, "success": success, "rows": 5, "record": { "long": true } });
        to_json(entries.iter().map(entry).collect(), &[], at_ms, 1500)
    }

    fn read(folder: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("training_results.json")).unwrap()).unwrap()
    }

    #[test]
    fn a_training_updates_its_markets_and_leaves_the_others() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("models");
        let all = [("BTCUSDT", "1h", true), ("BTCUSDT", "4h", true), ("ETHUSDT", "1h", false)];
        assert_eq!(update(&folder, training(0, &all)).unwrap(), None);
        let file = read(&folder);
        assert_eq!(file["symbols"]["BTCUSDT"]["4h"], json!({ "success": true, "rows": 5, "timestamp": format_iso(0) }));
        assert_eq!((&file["total_models"], &file["successful"], &file["failed"]), (&json!(3), &json!(2), &json!(1)));

        assert_eq!(
            update(&folder, training(60_000, &[("ETHUSDT", "1h", true), ("SOLUSDT", "1h", true)])).unwrap(),
            None
        );
        let file = read(&folder);
        assert_eq!(
            (&file["total_models"], &file["successful"], &file["success_rate"]),
            (&json!(4), &json!(4), &json!(100.0))
        );
        assert_eq!((&file["timestamp"], &file["duration_seconds"]), (&json!(format_iso(60_000)), &json!(1.5)));
        let markets: Vec<_> = file["results"].as_array().unwrap().iter().map(|entry| market(entry).unwrap()).collect();
        assert_eq!(markets, [("BTCUSDT", "1h"), ("BTCUSDT", "4h"), ("ETHUSDT", "1h"), ("SOLUSDT", "1h")]);
        let at = |symbol: &str| &file["symbols"][symbol]["1h"]["timestamp"];
        assert_eq!((at("BTCUSDT"), at("ETHUSDT")), (&json!(format_iso(0)), &json!(format_iso(60_000))));
        assert_eq!(file["results"][0]["record"], json!({ "long": true }));
    }

    #[test]
    fn what_the_old_system_says_of_other_markets_stays() {
        let home = tempfile::tempdir().unwrap();
        let old = json!({ "timestamp": "2025-01-01T02:00:00", "symbols": { "ETHUSDT": { "1h": { "accuracy": 0.6 } }, "BTCUSDT": { "1h": {} } } });
        std::fs::write(home.path().join("training_results.json"), old.to_string()).unwrap();
        assert_eq!(update(home.path(), training(0, &[("BTCUSDT", "1h", true)])).unwrap(), None);
        let file = read(home.path());
        assert_eq!(file["symbols"]["ETHUSDT"]["1h"], json!({ "accuracy": 0.6 }));
        assert_eq!((&file["symbols"]["BTCUSDT"]["1h"]["success"], &file["total_models"]), (&json!(true), &json!(1)));
    }

    #[test]
    fn a_damaged_file_is_told_of_and_kept() {
        for damaged in [
            "",
            "{\"results\": [",
            "[]",
            "{}",
            "{\"results\": [{}]}",
            "{\"symbols\": {\"X\": 1}}",
            "{\"results\": [], \"symbols\": 1}",
        ] {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("training_results.json"), damaged).unwrap();
            let warning = update(home.path(), training(0, &[("BTCUSDT", "1h", true)])).unwrap().unwrap();
            assert_eq!(read(home.path())["total_models"], 1, "{damaged}");
            let kept = warning.split("kept as ").nth(1).unwrap().split(',').next().unwrap();
            assert_eq!(std::fs::read_to_string(kept).unwrap(), damaged, "{warning}");
        }
    }

    #[test]
    fn nothing_of_trainings_that_end_together_is_lost() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for at in 0..20 {
                let folder = home.path();
                scope.spawn(move || update(folder, training(at, &[(&format!("COIN{at}"), "1h", true)])).unwrap());
            }
        });
        assert_eq!(read(home.path())["total_models"], 20);
    }
}
