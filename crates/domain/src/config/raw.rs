//! Reading raw configuration values key by key, each checked; keys that remain are unknown. JSON has no comments, so keys
//! that begin with `//` are notes: they are read by people only.

use crate::error::{Error, Result, shown};
use serde_json::{Map, Value};
use std::path::Path;

/// The JSON object in `file`; `None` when there is no such file.
pub fn read_object(file: &Path) -> Result<Option<Map<String, Value>>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", file, e)),
    };
    let name = file.display().to_string();
    // Windows editors write a byte order mark.
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(other) => Err(invalid(&name, "(whole file)", &other, "must be a JSON object")),
        Err(e) => Err(invalid(&name, "(whole file)", &e.to_string().into(), "must be valid JSON")),
    }
}

/// The keys of one level of one source that were not read yet.
///
/// A setting may have several spellings: snake_case and camelCase, a current and a former name, a current and a former place. If
/// it is given more than once, all values must agree.
pub struct Raw<'a> {
    /// The file or other source, for errors.
    file: &'a str,
    left: Vec<Given>,
}

/// A way to spell a setting: its names, what is allowed, how it is read.
pub type Way<'a, T> = (&'a [&'a str], &'a str, &'a dyn Fn(&Value) -> Option<T>);

/// A key of the source.
struct Given {
    /// In snake_case, without the path to it.
    name: String,
    /// As written, with the path to it.
    written: String,
    value: Value,
}

impl<'a> Raw<'a> {
    /// All keys of a source.
    pub fn new(file: &'a str, map: Map<String, Value>) -> Self {
        Self { file, left: given("", map).collect() }
    }

    fn take(&mut self, names: &[&str]) -> Vec<Given> {
        let (found, left) =
            std::mem::take(&mut self.left).into_iter().partition(|given| names.contains(&given.name.as_str()));
        self.left = left;
        found
    }

    /// The keys of all objects with one of these names, as one level; empty if there is no such object.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a value that is not an object.
    pub fn nested(&mut self, names: &[&str]) -> Result<Self> {
        let mut level = Raw { file: self.file, left: Vec::new() };
        for Given { written, value, .. } in self.take(names) {
            match value {
                Value::Object(map) => level.left.extend(given(&format!("{written}."), map)),
                other => return Err(invalid(self.file, &written, &other, "must be an object")),
            }
        }
        Ok(level)
    }

    /// Merges another level into this one.
    pub fn join(&mut self, other: Self) {
        self.left.extend(other.left);
    }

    /// Moves a key from another level to this one, under another name.
    pub fn adopt(&mut self, other: &mut Self, name: &str, as_name: &str) {
        let adopted = other.take(&[name]).into_iter().map(|given| Given { name: as_name.to_owned(), ..given });
        self.left.extend(adopted);
    }

    /// The remaining keys, in snake_case.
    pub fn to_map(&self) -> Map<String, Value> {
        self.left.iter().map(|given| (given.name.clone(), given.value.clone())).collect()
    }

    /// Replaces `target` if the setting was given under one of its `names`. `read` returns `None` for a value that is not
    /// allowed.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a value that is not allowed, and for two spellings with different values.
    pub fn set<T: PartialEq>(
        &mut self,
        names: &[&str],
        allowed: &str,
        read: impl Fn(&Value) -> Option<T>,
        target: &mut T,
    ) -> Result<()> {
        self.set_by(&[(names, allowed, &read)], target)
    }

    /// [`Self::set`] for a setting whose spellings are read in different ways.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_by<T: PartialEq>(&mut self, ways: &[Way<'_, T>], target: &mut T) -> Result<()> {
        let mut found: Vec<(Given, T)> = Vec::new();
        for (names, allowed, read) in ways {
            for given in self.take(names) {
                let value = read(&given.value);
                let value = value.ok_or_else(|| invalid(self.file, &given.written, &given.value, allowed))?;
                found.push((given, value));
            }
        }
        if let Some(other) = found.iter().position(|(_, value)| *value != found[0].1) {
            return Err(self.contradiction(&found[0].0, &found[other].0));
        }
        found.into_iter().take(1).for_each(|(_, value)| *target = value);
        Ok(())
    }

    fn contradiction(&self, one: &Given, other: &Given) -> Error {
        Error::InvalidConfig {
            file: self.file.to_owned(),
            key: one.written.clone(),
            value: format!("{} and {}", shown(&one.value), shown(&other.value)),
            allowed: format!("and `{}` are one setting and must have one value: remove one of them", other.written),
        }
    }

    /// Replaces a list; duplicates are dropped, an empty list is an error.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn list<T: PartialEq>(
        &mut self,
        names: &[&str],
        allowed: &str,
        parse: impl Fn(&str) -> Result<T>,
        target: &mut Vec<T>,
    ) -> Result<()> {
        self.set(names, allowed, list_of(parse), target)
    }

    /// The remaining keys with one of these names, as written, with the path to them.
    pub fn written(&self, names: &[&str]) -> Vec<String> {
        let given = self.left.iter().filter(|given| names.contains(&given.name.as_str()));
        given.map(|given| given.written.clone()).collect()
    }

    /// The error for a value of this source that is not allowed.
    pub fn invalid(&self, key: &str, value: &str, allowed: &str) -> Error {
        invalid(self.file, key, &value.into(), allowed)
    }

    /// One warning for each remaining key.
    pub fn warnings(self) -> impl Iterator<Item = String> {
        let Self { file, left } = self;
        left.into_iter().map(move |given| format!("{file}: unknown key `{}` is ignored", given.written))
    }
}

/// Begins the names of keys that are notes for people.
pub const NOTE: &str = "//";

fn given(prefix: &str, map: Map<String, Value>) -> impl Iterator<Item = Given> {
    let settings = map.into_iter().filter(|(key, _)| !key.starts_with(NOTE));
    settings.map(move |(key, value)| Given { name: snake(&key), written: format!("{prefix}{key}"), value })
}

/// Reads a list of texts. Duplicates are dropped; an empty list is not allowed.
pub fn list_of<T: PartialEq>(parse: impl Fn(&str) -> Result<T>) -> impl Fn(&Value) -> Option<Vec<T>> {
    move |value| {
        let mut items = Vec::new();
        for item in value.as_array()? {
            let item = parse(item.as_str()?).ok()?;
            if !items.contains(&item) {
                items.push(item);
            }
        }
        (!items.is_empty()).then_some(items)
    }
}

/// The error for a value that is not allowed.
pub fn invalid(file: &str, key: &str, value: &Value, allowed: &str) -> Error {
    Error::InvalidConfig {
        file: file.to_owned(),
        key: key.to_owned(),
        value: shown(value),
        allowed: allowed.to_owned(),
    }
}

/// Reads a number from `low` to `high`, inclusive.
pub fn within(low: f64, high: f64) -> impl Fn(&Value) -> Option<f64> {
    move |value| value.as_f64().filter(|number| (low..=high).contains(number))
}

/// `historyDays` → `history_days`; snake_case stays as it is.
pub fn snake(key: &str) -> String {
    key.chars().fold(String::new(), |mut name, c| {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(value: Value) -> Raw<'static> {
        let Value::Object(map) = value else { panic!("not an object") };
        Raw::new("a.json", map)
    }

    #[test]
    fn odd_keys_are_named_as_they_are_written() {
        let mut raw = raw(json!({ "x": { "TIME_OUT": 1, "days": 2 }, "maxAge": 2 }));
        let mut level = raw.nested(&["x"]).unwrap();
        level.set(&["days"], "must be a number", Value::as_u64, &mut 0).unwrap();
        let warnings: Vec<String> = level.warnings().chain(raw.warnings()).collect();
        let expected = ["a.json: unknown key `x.TIME_OUT` is ignored", "a.json: unknown key `maxAge` is ignored"];
        assert_eq!(warnings, expected);
    }

    #[test]
    fn spellings_of_one_setting_agree_or_are_refused_by_both_names() {
        let read = |value: Value| {
            let (mut raw, mut days) = (raw(value), 0);
            let mut level = raw.nested(&["x", "former_x"])?;
            level.set(&["history_days", "days_history"], "must be a number", Value::as_u64, &mut days)?;
            assert_eq!(level.warnings().count(), 0);
            Ok::<u64, Error>(days)
        };
        assert_eq!(read(json!({ "x": { "history_days": 5, "historyDays": 5, "days_history": 5 } })).unwrap(), 5);
        assert_eq!(read(json!({ "x": { "historyDays": 5 }, "formerX": { "days_history": 5 } })).unwrap(), 5);
        for (value, expected) in [
            (
                json!({ "x": { "history_days": 5, "historyDays": 6 } }),
                "a.json: `x.history_days` and `x.historyDays` are one setting and must have one value: remove one of them; \
                 got 5 and 6",
            ),
            (json!({ "x": { "daysHistory": 5, "history_days": 6 } }), "`x.daysHistory` and `x.history_days` are one"),
            (
                json!({ "x": { "history_days": 5 }, "former_x": { "history_days": 6 } }),
                "and `former_x.history_days` are",
            ),
            (
                json!({ "x": { "history_days": 5, "daysHistory": "five" } }),
                "`x.daysHistory` must be a number; got \"five\"",
            ),
            (json!({ "x": { "history_days": 5 }, "former_x": 6 }), "`former_x` must be an object; got 6"),
        ] {
            let error = read(value).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn notes_are_no_settings_at_any_level() {
        let mut raw = raw(json!({ "//": "all of it", "// x": 1, "x": { "// days": [], "days": 2, "/ days": 3 } }));
        let (mut level, mut days) = (raw.nested(&["x"]).unwrap(), 0);
        level.set(&["days"], "must be a number", Value::as_u64, &mut days).unwrap();
        let warnings: Vec<String> = level.warnings().chain(raw.warnings()).collect();
        assert_eq!((days, warnings), (2, vec!["a.json: unknown key `x./ days` is ignored".to_owned()]));
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("training_config.json");
        std::fs::write(&file, "\u{feff}{ \"trees\": 20 }").unwrap();
        assert_eq!(read_object(&file).unwrap().unwrap()["trees"], 20);
    }
}
