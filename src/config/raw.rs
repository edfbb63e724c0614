//! Raw values of a configuration: read key by key, each checked, what is left over is unknown.

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
    // Windows' editors write a byte order mark.
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(other) => Err(invalid(&name, "(whole file)", &other, "must be a JSON object")),
        Err(e) => Err(invalid(&name, "(whole file)", &e.to_string().into(), "must be valid JSON")),
    }
}

/// The keys not read yet, of one level of one source.
pub struct Raw<'a> {
    /// The file, or what else they are of, for errors.
    pub file: &'a str,
    /// What leads to this level, for errors.
    pub prefix: &'static str,
    /// Each with its key as it is written.
    left: Vec<(String, Value)>,
    /// Keys that were written in both spellings.
    twice: Vec<String>,
}

impl<'a> Raw<'a> {
    /// All keys of a level, each of them snake_case or camelCase; in errors they follow `prefix`.
    pub fn new(file: &'a str, prefix: &'static str, map: Map<String, Value>) -> Self {
        Self { file, prefix, left: map.into_iter().collect(), twice: Vec::new() }
    }

    /// Whether a key, by its name in snake_case, is there and not read yet.
    pub fn has(&self, key: &str) -> bool {
        self.left.iter().any(|(written, _)| snake(written) == key)
    }

    /// The value of a key, by its name in snake_case; of two spellings the last.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        let (mut found, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.left).into_iter().partition(|(written, _)| snake(written) == key);
        self.left = left;
        let (last, value) = found.pop()?;
        if let Some((other, _)) = found.first() {
            let (file, prefix) = (self.file, self.prefix);
            self.twice.push(format!("{file}: `{prefix}{other}` is ignored, `{prefix}{last}` says the same"));
        }
        Some(value)
    }

    /// The object at `key`, if there is one; its own keys are told with `prefix`.
    pub fn nested(&mut self, key: &str, prefix: &'static str) -> Result<Option<Raw<'a>>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(nested)) => Ok(Some(Raw::new(self.file, prefix, nested))),
            Some(other) => Err(invalid(self.file, key, &other, "must be an object")),
        }
    }

    /// Replaces `target` if `key` is there and `read` finds a right value in it.
    pub fn set<T>(
        &mut self,
        key: &str,
        allowed: &str,
        read: impl Fn(&Value) -> Option<T>,
        target: &mut T,
    ) -> Result<()> {
        if let Some(value) = self.take(key) {
            let full = format!("{}{key}", self.prefix);
            *target = read(&value).ok_or_else(|| invalid(self.file, &full, &value, allowed))?;
        }
        Ok(())
    }

    /// Replaces a list; duplicates are dropped, an empty list is an error.
    pub fn list<T: PartialEq>(
        &mut self,
        key: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Result<T>,
        target: &mut Vec<T>,
    ) -> Result<()> {
        let read = |value: &Value| {
            let mut items = Vec::new();
            for item in value.as_array()? {
                let item = parse(item.as_str()?).ok()?;
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            (!items.is_empty()).then_some(items)
        };
        self.set(key, allowed, read, target)
    }

    /// What is odd about this level once all that is known has been read.
    pub fn warnings(self) -> impl Iterator<Item = String> {
        let Self { file, prefix, left, twice } = self;
        let unknown = move |(key, _): (String, Value)| format!("{file}: unknown key `{prefix}{key}` is ignored");
        twice.into_iter().chain(left.into_iter().map(unknown))
    }
}

/// The error of a value that is not allowed.
pub fn invalid(file: &str, key: &str, value: &Value, allowed: &str) -> Error {
    Error::InvalidConfig {
        file: file.to_owned(),
        key: key.to_owned(),
        value: shown(value),
        allowed: allowed.to_owned(),
    }
}

/// Reads a number of a range, its ends included.
pub fn within(low: f64, high: f64) -> impl Fn(&Value) -> Option<f64> {
    move |value| value.as_f64().filter(|number| (low..=high).contains(number))
}

/// `historyDays` → `history_days`; what is snake_case already stays.
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

    #[test]
    fn odd_keys_are_named_as_they_are_written() {
        let Value::Object(map) = json!({ "history_days": 5, "historyDays": 6, "TIME_OUT": 1, "maxAge": 2 }) else {
            panic!("not an object")
        };
        let mut raw = Raw::new("a.json", "x.", map);
        let mut days = 0;
        raw.set("history_days", "must be a number", Value::as_u64, &mut days).unwrap();
        assert_eq!(days, 6);
        let expected = [
            "a.json: `x.history_days` is ignored, `x.historyDays` says the same",
            "a.json: unknown key `x.TIME_OUT` is ignored",
            "a.json: unknown key `x.maxAge` is ignored",
        ];
        assert_eq!(raw.warnings().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("training_config.json");
        std::fs::write(&file, "\u{feff}{ \"trees\": 20 }").unwrap();
        assert_eq!(read_object(&file).unwrap().unwrap()["trees"], 20);
    }
}
