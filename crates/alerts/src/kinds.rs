//! The events that can be sent, what is known of each, and how it is worded.

use serde_json::Value;

/// An event that can be sent.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// Its `type`, as `onEvent` has it.
    pub name: &'static str,
    /// Whether a destination without `events` gets it.
    pub by_default: bool,
    /// What templates may ask of it. What an event lacks is an empty text.
    pub placeholders: &'static [&'static str],
    /// Its template where none is given.
    pub template: &'static str,
}

const MODEL: &[&str] = &["type", "at", "symbol", "timeframe", "version", "reason"];
const RUN: &[&str] =
    &["type", "at", "task", "outcome", "message", "attempt", "done", "failed", "startedAt", "endedAt", "retryAt"];

/// The events that can be sent. What is left out tells only that work goes on: `taskStarted`, `taskProgress`, `fetchProgress`.
pub const KINDS: [Kind; 12] = [
    Kind {
        name: "signalClosed",
        by_default: true,
        placeholders: &[
            "type",
            "at",
            "id",
            "symbol",
            "timeframe",
            "signalType",
            "strategy",
            "taken",
            "outcome",
            "entryPrice",
            "exitPrice",
            "profitLossPercent",
            "netProfitPercent",
            "netMarginPercent",
            "realizedR",
            "mfeR",
            "maeR",
            "holdingMs",
            "timestamp",
            "closedAt",
        ],
        template: "{{symbol}} {{timeframe}} {{signalType}} closed as {{outcome}}: {{profitLossPercent}} %",
    },
    Kind {
        name: "signalChanged",
        by_default: false,
        placeholders: &[
            "type",
            "at",
            "id",
            "symbol",
            "timeframe",
            "signalType",
            "strategy",
            "taken",
            "status",
            "events",
        ],
        template: "{{symbol}} {{timeframe}} {{signalType}}: {{events}} ({{status}})",
    },
    Kind {
        name: "conservativeMode",
        by_default: true,
        placeholders: &[
            "type",
            "at",
            "active",
            "scope",
            "cause",
            "reason",
            "closedSignals",
            "successRate",
            "expectancy",
        ],
        template: "Conservative mode {{cause}} ({{scope}}): {{reason}}",
    },
    Kind {
        name: "emergencyTraining",
        by_default: true,
        placeholders: &["type", "at", "phase", "markets", "trained"],
        template: "Emergency training {{phase}}: {{markets}}",
    },
    Kind {
        name: "modelPromoted",
        by_default: true,
        placeholders: MODEL,
        template: "{{symbol}} {{timeframe}}: version {{version}} is in service: {{reason}}",
    },
    Kind {
        name: "modelRefused",
        by_default: false,
        placeholders: MODEL,
        template: "{{symbol}} {{timeframe}}: version {{version}} refused: {{reason}}",
    },
    Kind {
        name: "modelRolledBack",
        by_default: true,
        placeholders: MODEL,
        template: "{{symbol}} {{timeframe}}: back to version {{version}}: {{reason}}",
    },
    Kind {
        name: "drift",
        by_default: true,
        placeholders: &[
            "type",
            "at",
            "scope",
            "symbol",
            "timeframe",
            "since",
            "successBefore",
            "successSince",
            "quantities",
        ],
        template: "{{symbol}} {{timeframe}}: drift of {{scope}} since {{since}} {{quantities}}",
    },
    Kind { name: "taskFinished", by_default: false, placeholders: RUN, template: "{{task}}: {{message}}" },
    Kind {
        name: "taskFailed",
        by_default: true,
        placeholders: RUN,
        template: "{{task}} failed: {{message}} {{failed}}",
    },
    Kind {
        name: "pricesIgnored",
        by_default: false,
        placeholders: &["type", "at", "symbol", "count", "over", "time", "newest"],
        template: "{{symbol}}: {{count}} prices were ignored, they are older than {{newest}}",
    },
    Kind {
        name: "warning",
        by_default: true,
        placeholders: &["type", "at", "message"],
        template: "Warning: {{message}}",
    },
];

impl Kind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind of an event; `None` for one that is never sent. A run that ended because the scheduler was stopped is no failure.
    pub fn of(event: &Value) -> Option<&'static Self> {
        if event["run"]["outcome"] == "cancelled" {
            return None;
        }
        Self::named(event["type"].as_str()?)
    }

    /// The names of all kinds.
    pub fn names() -> String {
        KINDS.map(|kind| kind.name).join(", ")
    }
}

/// What an event has under a placeholder's name, as text: at the top level, or in its `signal` or `run`. Percentages and figures
/// in R have two decimals.
pub fn fact(event: &Value, name: &str) -> String {
    let value = ["signal", "run"].iter().map(|inner| &event[*inner][name]).find(|value| !value.is_null());
    shown(name, value.unwrap_or(&event[name]))
}

fn shown(name: &str, value: &Value) -> String {
    let is_figure = ["Percent", "R"].iter().any(|end| name.ends_with(end))
        || ["successRate", "expectancy", "successBefore", "successSince"].contains(&name);
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if is_figure => format!("{:.2}", number.as_f64().unwrap_or_default()),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A member of a list: a failed market with its cause, a quantity that drifted, an event of a signal.
fn item(value: &Value) -> String {
    let word = |name: &str| value[name].as_str();
    match (word("symbol"), word("timeframe"), word("message")) {
        (Some(symbol), Some(timeframe), Some(message)) => format!("{symbol} {timeframe}: {message}"),
        _ => word("name").or_else(|| word("type")).map_or_else(|| shown("", value), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_are_found_at_every_level() {
        let closed = json!({ "type": "signalClosed", "at": "x", "signal": { "symbol": "BTCUSDT", "realizedR": -1.0 } });
        let of = |name| fact(&closed, name);
        assert_eq!(
            [of("type"), of("symbol"), of("realizedR"), of("strategy")],
            ["signalClosed", "BTCUSDT", "-1.00", ""]
        );
        let failed = json!({ "type": "taskFailed", "run": { "done": 3, "failed": [
            { "symbol": "A", "timeframe": "1h", "message": "gone" }, { "symbol": "B", "timeframe": "4h", "message": "late" },
        ] } });
        assert_eq!(fact(&failed, "failed"), "A 1h: gone, B 4h: late");
        assert_eq!(fact(&failed, "done"), "3");
        assert_eq!(Kind::of(&failed).unwrap().name, "taskFailed");
        assert_eq!(Kind::of(&json!({ "type": "taskFailed", "run": { "outcome": "cancelled" } })), None);
        assert_eq!(fact(&json!({ "markets": ["A 1h", "B 1h"] }), "markets"), "A 1h, B 1h");
    }
}
