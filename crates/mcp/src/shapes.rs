//! The shapes of answers.

use domain::signal::{Costs, Record};
use engine::{Assessment, ConservativeMode, ModelList, Prediction};
use feedback::Stats;
use learning::outcomes::Pattern;
use serde_json::Value;

/// What the values of the engine look like as JSON. The addon implements it with the types of its JavaScript API, so that an agent and a
/// backend read the same numbers under the same names.
pub trait Shapes: Send + Sync {
    /// As `getStats()` resolves.
    fn statistics(&self, stats: Stats, mode: ConservativeMode, now_ms: i64) -> Value;
    /// As `assess()` resolves.
    fn assessment(&self, assessment: Assessment) -> Value;
    /// As a member of what `patterns()` resolves with.
    fn pattern(&self, pattern: Pattern) -> Value;
    /// As `predict()` resolves.
    fn prediction(&self, prediction: Prediction) -> Value;
    /// As `models()` resolves: an array.
    fn models(&self, models: ModelList, now_ms: i64) -> Value;
    /// As `getSignal()` resolves. `costs` count where the signal states none.
    fn signal(&self, record: &Record, costs: &Costs) -> Value;
}
