//! What `signalloop init` writes: the chosen settings, and a note for each key.

use super::keys::{Key, SCHEDULER, TRAINING, keys, tasks};
use domain::config::raw::NOTE;
use domain::error::{Error, Result};
use scheduler::{Schedule, SchedulerConfig, Task};
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// `training_config.json` with these settings; every other key has a note, and its default.
pub fn training(chosen: &Map<String, Value>) -> Map<String, Value> {
    let mut file = Map::new();
    let about = "The settings of signalloop in this home. Keys that begin with // are notes, and are ignored. A key without a value \
                 here has its default: to set it, add a line such as \"trees\": 200. docs/configuration.md says more.";
    file.insert(NOTE.to_owned(), json!(about));
    for key in keys(TRAINING) {
        match key.name.split_once('.') {
            Some((object, name)) => note_in(&mut file, object, name, &key),
            None => {
                note(&mut file, &key.name, &key);
                if let Some(value) = chosen.get(&key.name) {
                    file.insert(key.name.clone(), value.clone());
                }
            }
        }
    }
    // A setting that the table lacks is set all the same.
    for (name, value) in chosen {
        file.entry(name.clone()).or_insert_with(|| value.clone());
    }
    file
}

/// `scheduler_config.json` with the schedules that hold by default.
pub fn scheduler() -> Map<String, Value> {
    let mut file = Map::new();
    let about = "When signalloop works by itself, with `signalloop scheduler run` or startScheduler(). Keys that begin with // are \
                 notes, and are ignored. docs/scheduler.md says more.";
    file.insert(NOTE.to_owned(), json!(about));
    let (config, tasks) = (SchedulerConfig::default(), tasks(SCHEDULER));
    let keys = keys(SCHEDULER);
    let (of_tasks, of_all): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(|key| key.name.starts_with("<task>."));
    for key in of_all.iter().filter(|key| !key.name.contains('.')) {
        note(&mut file, &key.name, key);
        if key.name == "enabled" {
            file.insert(key.name.clone(), json!(config.enabled));
        }
    }
    for key in of_tasks {
        note(&mut file, &key.name, key);
    }
    for task in Task::ALL {
        let mut own = Map::new();
        let what = tasks.iter().find(|(name, _)| name == task.as_str()).map(|(_, what)| what);
        own.extend(what.map(|what| (NOTE.to_owned(), json!(what))));
        own.extend(schedule(&config.plan(task).schedule));
        file.insert(task.as_str().to_owned(), Value::Object(own));
    }
    for (key, object, name) in of_all.iter().filter_map(|key| key.name.split_once('.').map(|(a, b)| (key, a, b))) {
        note_in(&mut file, object, name, key);
    }
    file
}

/// The keys that set a schedule.
fn schedule(schedule: &Schedule) -> Map<String, Value> {
    let text = |seconds: u64| match seconds {
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    };
    let keys = match schedule {
        Schedule::Every(interval) => vec![("interval", text(interval.as_secs()))],
        Schedule::Daily { at, days } => {
            vec![("interval", text(u64::from(*days) * 24 * 3600)), ("time", at.format("%H:%M").to_string())]
        }
        Schedule::Cron(cron) => vec![("cron", cron.as_str().to_owned())],
    };
    keys.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// A note in an object of the file; none beside a setting that is no object.
fn note_in(file: &mut Map<String, Value>, object: &str, name: &str, key: &Key) {
    if let Value::Object(map) = file.entry(object.to_owned()).or_insert_with(|| json!({})) {
        note(map, name, key);
    }
}

fn note(to: &mut Map<String, Value>, name: &str, key: &Key) {
    let default = if key.default.is_empty() { String::new() } else { format!(". Default: {}", key.default) };
    let text = format!("{}. Allowed: {}{default}", key.meaning, key.allowed);
    to.insert(format!("{NOTE} {name}"), json!(text));
}

/// Writes a file. Without `replace`, an existing one stays as it is and is an error, also if it has come just now.
pub fn write(path: &Path, content: &Map<String, Value>, replace: bool) -> Result<()> {
    let text = format!("{:#}\n", Value::Object(content.clone()));
    if replace {
        return storage::write_atomically(path, text.as_bytes());
    }
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => exists(&[path]),
        _ => Error::io("write", path, cause),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// The error for files that exist already.
pub fn exists(paths: &[&Path]) -> Error {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let problem = "would replace what is there; edit the files, or add `--force` to begin anew";
    Error::argument("init", problem, names.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::config::Config;

    #[test]
    fn what_is_written_is_read_without_a_warning_and_means_the_defaults() {
        let chosen = Map::from_iter([("symbols".to_owned(), json!(["BTCUSDT"])), ("fee_bps".to_owned(), json!(7.5))]);
        let (config, warnings) = Config::default().merge(training(&chosen), "training_config.json").unwrap();
        let symbols = vec![domain::symbol::Symbol::parse("BTCUSDT").unwrap()];
        assert_eq!((config, warnings), (Config { symbols, fee_bps: 7.5, ..Config::default() }, vec![]));
        let (config, warnings) = SchedulerConfig::default().merge(scheduler(), "scheduler_config.json").unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        for task in Task::ALL {
            let (plan, default) = (config.plan(task), SchedulerConfig::default().plan(task));
            assert_eq!(plan.schedule.to_string(), default.schedule.to_string());
            assert!(!schedule(&plan.schedule).is_empty());
        }
    }

    #[test]
    fn every_key_of_the_tables_has_a_note() {
        let (training, scheduler) = (training(&Map::new()), scheduler());
        for (file, document) in [(&training, TRAINING), (&scheduler, SCHEDULER)] {
            for Key { name, meaning, .. } in keys(document) {
                let text = match name.split_once('.').filter(|(object, _)| *object != "<task>") {
                    Some((object, name)) => &file[object][format!("// {name}")],
                    None => &file[&format!("// {name}")],
                };
                assert!(text.as_str().is_some_and(|text| text.starts_with(&meaning)), "{name}: {text}");
            }
        }
    }

    #[test]
    fn an_existing_file_stays_unless_it_is_to_be_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("training_config.json");
        std::fs::write(&path, "mine").unwrap();
        let error = write(&path, &Map::new(), false).unwrap_err();
        assert!(error.to_string().contains("--force") && error.to_string().contains("training_config.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        write(&path, &Map::new(), true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
    }
}
