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
    match serde_json::from_str(&text) {
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
    /// The keys, in snake_case, and their values.
    pub map: Map<String, Value>,
}

impl<'a> Raw<'a> {
    /// The object at `key`, if there is one; its own keys are told with `prefix`.
    pub fn nested(&mut self, key: &str, prefix: &'static str) -> Result<Option<Raw<'a>>> {
        match self.map.shift_remove(key) {
            None => Ok(None),
            Some(Value::Object(nested)) => Ok(Some(Raw { file: self.file, prefix, map: snake_keys(nested) })),
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
        if let Some(value) = self.map.shift_remove(key) {
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

    /// A warning for each key that nobody read.
    pub fn unknown(&self) -> Vec<String> {
        self.map.keys().map(|key| format!("{}: unknown key `{}{key}` is ignored", self.file, self.prefix)).collect()
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
pub fn snake_keys(map: Map<String, Value>) -> Map<String, Value> {
    let snake = |key: String| {
        key.chars().fold(String::new(), |mut name, c| {
            if c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
            name
        })
    };
    map.into_iter().map(|(key, value)| (snake(key), value)).collect()
}
