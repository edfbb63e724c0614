//! Candles in JSON: an array of arrays or objects, possibly inside an exchange's answer.

use super::columns::Columns;
use super::findings::{Cause, Findings};
use super::kline::epoch_ms;
use super::origin::BINANCE;
use super::reader::Reading;
use serde_json::Value;

/// The rows of a JSON file and their columns.
pub struct Document {
    rows: Vec<Value>,
    /// For arrays by position, for objects by the member names of the first one.
    pub columns: Columns,
    /// Whether the columns were given, or come from member names. Only then are unused ones reported.
    pub is_named: bool,
    /// The member names of an object.
    members: Option<Vec<String>>,
}

impl Document {
    /// Parses the text as `reading` says.
    ///
    /// # Errors
    /// A description: the text has another form, or its columns are ambiguous.
    pub fn read(text: &str, reading: &Reading, findings: &mut Findings) -> Result<Self, String> {
        const SHAPE: &str = "it must be a JSON array of [open time, open, high, low, close, volume] or of objects";
        let document: Value = serde_json::from_str(text).map_err(|e| format!("{SHAPE}: {e}"))?;
        let rows = match (reading.from, document) {
            (Some(origin), document) => origin.rows(document, findings)?,
            (None, Value::Array(rows)) => rows,
            (None, _) => {
                return Err(format!("{SHAPE}; for an exchange's answer, name the exchange, such as `--from okx`"));
            }
        };
        let named = reading.columns.clone();
        let (columns, members) = match rows.first() {
            None => (BINANCE.parse()?, None),
            Some(Value::Array(first)) => {
                let known = reading.from.map(|origin| origin.columns().parse()).transpose()?;
                (named.or(known).map_or_else(|| unnamed(first, findings), Ok)?, None)
            }
            Some(Value::Object(first)) => {
                let members: Vec<String> = first.keys().cloned().collect();
                let columns = match named {
                    Some(named) if named.count() != members.len() => {
                        return Err(format!(
                            "`--columns` names {} members, and the first object has {}: {}",
                            named.count(),
                            members.len(),
                            members.join(", ")
                        ));
                    }
                    Some(named) => named,
                    None => Columns::named(members.iter().map(String::as_str)).map_err(|problem| {
                        format!("{problem}; name the members in their order with `--columns`, {}", members.join(","))
                    })?,
                };
                (columns, Some(members))
            }
            Some(other) => return Err(format!("{SHAPE}; its first item is {other}")),
        };
        Ok(Self { rows, columns, is_named: members.is_some() || reading.columns.is_some(), members })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A row's fields as text; empty if the row has another type than the first.
    pub fn fields(&self, at: usize) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        match (&self.rows[at], &self.members) {
            (Value::Array(fields), None) => fields.iter().map(text).collect(),
            (Value::Object(fields), Some(members)) => {
                members.iter().map(|name| fields.get(name).map_or_else(String::new, text)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The columns of rows without names, by their number and by Binance's close time.
fn unnamed(first: &[Value], findings: &mut Findings) -> Result<Columns, String> {
    let names: Vec<&str> = BINANCE.split(',').collect();
    let time = |at: usize| first.get(at).and_then(Value::as_i64).and_then(epoch_ms).map(|(ms, _)| ms);
    let has_close_time = time(0).zip(time(6)).is_some_and(|(open_ms, close_ms)| close_ms > open_ms);
    let count = first.len();
    let taken = match count {
        5 | 6 | 12 => names[..count].join(","),
        7..=11 if has_close_time => names[..count].join(","),
        ..5 => {
            return Err(format!(
                "candle 0: a row has 6 columns, open time, open, high, low, close, volume; got {first:?}"
            ));
        }
        _ => {
            return Err(format!(
                "a row has {count} columns: which of them is the volume? Say what they are, such as \
                 `--columns time,open,high,low,close,vwap,volume,count`, or whose they are, such as `--from kraken`"
            ));
        }
    };
    if count != 6 && !has_close_time {
        findings.add(Cause::NoHeader, 1, || taken.clone());
    }
    taken.parse()
}
