//! The events that can be sent, what is known of each, and how it is worded.

use serde_json::Value;

/// An event that can be sent.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// Its `type`, as `onEvent` has it.
    pub name: &'static str,
    /// Whether a destination without `events` gets it.
    pub by_default: bool,
    /// What templates may ask of it beside [`EVERY`], in groups that several kinds share. What an event lacks is an empty text.
    fields: &'static [&'static [&'static str]],
    /// Its template where none is given.
    pub template: &'static str,
}

/// What templates may ask of every event.
pub const EVERY: &[&str] = &["type", "at", "dropped"];
const SIGNAL: &[&str] = &["id", "symbol", "timeframe", "signalType", "strategy", "taken"];
const MODEL: &[&str] = &["symbol", "timeframe", "version", "reason"];
const RUN: &[&str] = &["task", "outcome", "message", "attempt", "done", "failed", "error", "startedAt", "endedAt"];

/// The events that can be sent. What is left out tells only that work goes on: `taskStarted`, `taskProgress`, `fetchProgress`.
pub const KINDS: [Kind; 12] = [
    Kind {
        name: "signalClosed",
        by_default: true,
        fields: &[
            SIGNAL,
            &[
                "outcome",
                "entryPrice",
                "exitPrice",
                "profitLossPercent",
                "fills",
                "netProfitPercent",
                "netMarginPercent",
            ],
            &["realizedR", "mfeR", "maeR", "holdingMs", "timestamp", "closedAt"],
        ],
        template: "{{symbol}} {{timeframe}} {{signalType}} closed as {{outcome}}: {{profitLossPercent}} %",
    },
    Kind {
        name: "signalChanged",
        by_default: false,
        fields: &[SIGNAL, &["status", "events"]],
        template: "{{symbol}} {{timeframe}} {{signalType}}: {{events}} ({{status}})",
    },
    Kind {
        name: "conservativeMode",
        by_default: true,
        fields: &[&["active", "scope", "cause", "reason", "closedSignals", "successRate", "expectancy"]],
        template: "Conservative mode {{cause}} ({{scope}}): {{reason}}",
    },
    Kind {
        name: "emergencyTraining",
        by_default: true,
        fields: &[&["phase", "markets", "trained"]],
        template: "Emergency training {{phase}}: {{markets}}",
    },
    Kind {
        name: "modelPromoted",
        by_default: true,
        fields: &[MODEL],
        template: "{{symbol}} {{timeframe}}: version {{version}} is in service: {{reason}}",
    },
    Kind {
        name: "modelRefused",
        by_default: false,
        fields: &[MODEL],
        template: "{{symbol}} {{timeframe}}: version {{version}} refused: {{reason}}",
    },
    Kind {
        name: "modelRolledBack",
        by_default: true,
        fields: &[MODEL],
        template: "{{symbol}} {{timeframe}}: back to version {{version}}: {{reason}}",
    },
    Kind {
        name: "drift",
        by_default: true,
        fields: &[&["scope", "symbol", "timeframe", "since", "successBefore", "successSince", "quantities"]],
        template: "{{symbol}} {{timeframe}}: drift of {{scope}} since {{since}} {{quantities}}",
    },
    Kind { name: "taskFinished", by_default: false, fields: &[RUN], template: "{{task}}: {{message}}" },
    Kind {
        name: "taskFailed",
        by_default: true,
        fields: &[RUN, &["retryAt"]],
        template: "{{task}} failed: {{message}} {{failed}}",
    },
    Kind {
        name: "pricesIgnored",
        by_default: false,
        fields: &[&["symbol", "count", "over", "time", "newest"]],
        template: "{{symbol}}: {{count}} prices were ignored, they are older than {{newest}}",
    },
    Kind { name: "warning", by_default: true, fields: &[&["message"]], template: "Warning: {{message}}" },
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

    /// What templates may ask of it: [`EVERY`], then its own.
    pub fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        EVERY.iter().chain(self.own()).copied()
    }

    fn own(&self) -> impl Iterator<Item = &'static &'static str> + use<> {
        self.fields.iter().copied().flatten()
    }

    /// Whether templates may ask it for this.
    pub fn has(&self, placeholder: &str) -> bool {
        self.placeholders().any(|name| name == placeholder)
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
        Value::Array(items) => items.iter().map(|item| shown("", item)).collect::<Vec<_>>().join(", "),
        Value::Object(_) => object(value),
        other => other.to_string(),
    }
}

/// A failed market with its cause, a failure, a quantity that drifted, an event of a signal, a fill.
fn object(value: &Value) -> String {
    let word = |name: &str| value[name].as_str();
    match (word("symbol"), word("timeframe"), word("message")) {
        (Some(symbol), Some(timeframe), Some(message)) => format!("{symbol} {timeframe}: {message}"),
        _ => {
            let named = ["message", "name", "type", "kind"].iter().find_map(|name| word(name));
            named.map_or_else(|| value.to_string(), str::to_owned)
        }
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
        assert_eq!(
            fact(&json!({ "run": { "error": { "code": "ERR_IO", "message": "no room" } } }), "error"),
            "no room"
        );
        let fills = json!({ "signal": { "fills": [{ "kind": "entry", "price": 1 }, { "kind": "stop", "price": 2 }] } });
        assert_eq!(fact(&fills, "fills"), "entry, stop");
    }

    /// The table of the document is what [`KINDS`] says.
    #[test]
    fn the_documented_table_is_this_one() {
        let document = include_str!("../../../docs/alerts.md");
        let (_, table) = document.split_once("| event | by default |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let documented: Vec<Vec<&str>> =
            rows.map(|row| row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
        let expected = KINDS.each_ref().map(|kind| {
            let own: Vec<String> = kind.own().map(|name| format!("`{name}`")).collect();
            let by_default = if kind.by_default { "yes" } else { "no" };
            vec![format!("`{}`", kind.name), by_default.to_owned(), format!("`{}`", kind.template), own.join(", ")]
        });
        assert_eq!(documented, expected);
        let every: Vec<String> = EVERY.iter().map(|name| format!("`{name}`")).collect();
        let heading = format!("placeholders beside {} and {} |", every[..2].join(", "), every[2]);
        assert!(table.lines().next().unwrap().ends_with(&heading), "{heading}");
    }
}
