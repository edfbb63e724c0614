//! Writing records as JSON.

use super::{Excursion, Record};
use crate::barrier::Outcome;
use crate::time;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

impl Record {
    /// The record as a JSON object, equal to its serialised form.
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

/// Keys in the order of a log line; the outcome comes last, where it is easy to find.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let signal = &self.signal;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("signal_id", &signal.id)?;
        map.serialize_entry("symbol", signal.symbol.as_str())?;
        map.serialize_entry("timeframe", signal.timeframe.as_str())?;
        match signal.direction {
            Some(direction) => map.serialize_entry("signal_type", &direction)?,
            None => map.serialize_entry("signal_type", "HOLD")?,
        }
        let optional = [
            ("confidence", signal.confidence),
            ("entry_price", signal.entry_price),
            ("stop_loss", signal.stop_loss),
            ("take_profit", signal.take_profit),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(key, &value)?;
            }
        }
        map.serialize_entry("timestamp", &time::format_iso(signal.timestamp_ms))?;
        if let Some(at) = signal.expires_ms {
            map.serialize_entry("expires_at", &time::format_iso(at))?;
        }
        if let Some(strategy) = &signal.strategy {
            map.serialize_entry("strategy", strategy)?;
        }
        if !signal.taken {
            map.serialize_entry("taken", &false)?;
        }
        if !signal.indicators.is_empty() {
            map.serialize_entry("indicators", &signal.indicators)?;
        }
        if let Some(features) = &signal.features {
            map.serialize_entry("features", features)?;
        }
        if let Some(said) = &self.said {
            map.serialize_entry("said", said)?;
        }
        if let Some(source) = &signal.source {
            map.serialize_entry("source", source)?;
        }
        if !signal.tags.is_empty() {
            map.serialize_entry("tags", &signal.tags)?;
        }
        for (key, value) in signal.position.members() {
            map.serialize_entry(key, &value)?;
        }
        if let Some(terms) = &signal.terms {
            map.serialize_entry("managed_terms", terms)?;
        }
        if !self.history.is_empty() {
            map.serialize_entry("managed_history", &self.history)?;
        }
        for (key, value) in &signal.extra {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("outcome", &self.closing.map_or(Outcome::Active, |closing| closing.outcome))?;
        if let Some(closing) = &self.closing {
            if let Some(price) = closing.exit_price {
                map.serialize_entry("exit_price", &price)?;
            }
            map.serialize_entry("profit_loss_percent", &closing.profit_percent)?;
            map.serialize_entry("closed_at", &time::format_iso(closing.closed_ms))?;
            if let Some(Excursion { best_percent, worst_percent }) = &closing.excursion {
                map.serialize_entry("mfe_percent", best_percent)?;
                map.serialize_entry("mae_percent", worst_percent)?;
            }
        }
        map.end()
    }
}
