//! What happened to the loop during a run: trainings, conservative mode, drift, warnings.

use domain::symbol::Market;
use domain::time::format_iso;
use engine::{Event, EventListener, ModelChange, Told};
use learning::performance::Turn;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// The number of notes that are kept.
const NOTES: usize = 1_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// When by the simulated clock, ISO 8601 in UTC.
    pub at: String,
    /// What: `conservativeMode`, `emergencyTraining`, `outcomeDrift`, `entryDrift`, `rollback`, `taskFailed` or `warning`.
    pub kind: &'static str,
    /// The market; `None` for the whole home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// In words.
    pub text: String,
}

/// What happened during a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// Models that went into service.
    pub promoted: u64,
    /// Models that the gate refused.
    pub refused: u64,
    /// The notes, oldest first, at most a thousand. The same warning is noted once.
    pub notes: Vec<Note>,
}

/// Listens to a loop.
#[derive(Debug, Default)]
pub(crate) struct Listener(Mutex<(Happened, HashSet<String>)>);

impl Listener {
    pub fn happened(&self) -> Happened {
        self.0.lock().0.clone()
    }
}

fn turn_in_words(turn: Turn) -> &'static str {
    match turn {
        Turn::Entered => "begins",
        Turn::Recovered => "ends, results have recovered",
        Turn::Lapsed => "ends, its reason is long ago",
    }
}

/// The listener, as the loop knows it.
pub(crate) struct Ear(pub Arc<Listener>);

impl EventListener for Ear {
    fn tell(&self, event: &Event, at_ms: i64, _dropped: u64) -> Told {
        let (happened, known) = &mut *self.0.0.lock();
        let note = match event {
            Event::ModelPromoted(_) => {
                happened.promoted += 1;
                return Told::Taken;
            }
            Event::ModelRefused(_) => {
                happened.refused += 1;
                return Told::Taken;
            }
            Event::ModelRolledBack(ModelChange { market, version, reason }) => {
                Some(("rollback", Some(market.clone()), format!("back to version {version}: {reason}")))
            }
            Event::ConservativeMode { scope, turn, reason, .. } => {
                Some(("conservativeMode", scope.clone(), format!("{}: {reason}", turn_in_words(*turn))))
            }
            Event::EmergencyTrainingStarted(markets) => {
                Some(("emergencyTraining", None, format!("{} markets are trained", markets.len())))
            }
            Event::OutcomeDrift(market, _) => {
                Some(("outcomeDrift", Some(market.clone()), "its signals succeed less often than before".to_owned()))
            }
            Event::EntryDrift { market, quantities, .. } => {
                let names: Vec<&str> = quantities.iter().map(|quantity| quantity.name.as_str()).collect();
                Some(("entryDrift", Some(market.clone()), format!("changed at entry: {}", names.join(", "))))
            }
            // A task that fails for the same reason again and again is noted once, such as a training before there are enough candles.
            Event::TaskFailed { task, run, .. } => {
                let reason = run.error.as_ref().or(run.failed.first().map(|one| &one.cause));
                let reason = reason.map_or(run.message.as_str(), |cause| cause.code.as_str());
                let is_new = known.insert(format!("{task} {reason}"));
                is_new.then(|| ("taskFailed", None, format!("{task}: {}", run.message)))
            }
            Event::Warning(text) => known.insert(text.clone()).then(|| ("warning", None, text.clone())),
            _ => None,
        };
        if let Some((kind, market, text)) = note.filter(|_| happened.notes.len() < NOTES) {
            happened.notes.push(Note { at: format_iso(at_ms), kind, market, text });
        }
        Told::Taken
    }
}
