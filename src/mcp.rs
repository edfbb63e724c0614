//! The answers of the server for agents, in the shapes of the JavaScript API.

use super::types::{Assessment, ModelEntry, Pattern, PerformanceStats, Prediction, stored_signal};
use ::mcp::Shapes;
use domain::signal::{Costs, Record};
use serde::Serialize;
use serde_json::{Value, json};

/// The shapes of `index.d.ts`.
pub struct ApiShapes;

impl Shapes for ApiShapes {
    fn statistics(&self, stats: feedback::Stats, mode: engine::ConservativeMode, now_ms: i64) -> Value {
        shaped(PerformanceStats::of(stats, mode, now_ms))
    }

    fn assessment(&self, assessment: engine::Assessment) -> Value {
        shaped(Assessment::from(assessment))
    }

    fn pattern(&self, pattern: learning::outcomes::Pattern) -> Value {
        shaped(Pattern::from(pattern))
    }

    fn prediction(&self, prediction: engine::Prediction) -> Value {
        shaped(Prediction::from(prediction))
    }

    fn models(&self, models: engine::ModelList, now_ms: i64) -> Value {
        shaped(ModelEntry::all(models, now_ms))
    }

    fn signal(&self, record: &Record, costs: &Costs) -> Value {
        as_javascript(stored_signal(record, costs))
    }
}

fn shaped(value: impl Serialize) -> Value {
    as_javascript(json!(value))
}

/// As JavaScript has it: without members that are missing, and whole numbers without a fraction.
fn as_javascript(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(present.map(|(name, value)| (name, as_javascript(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(as_javascript).collect()),
        Value::Number(number) => {
            let whole =
                |x: &f64| x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0 && (*x != 0.0 || x.is_sign_positive());
            let integer = number.as_f64().filter(|_| number.is_f64()).filter(whole);
            integer.map_or(Value::Number(number), |x| json!(x as i64))
        }
        other => other,
    }
}
