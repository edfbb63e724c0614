//! What a replay is asked for.

use domain::error::{Error, Result};
use learning::OwnModel;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A part of the loop that a run may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Models of candles: nothing is trained.
    Models,
    /// Learning from outcomes: `assess` knows no closed signal.
    Outcomes,
    /// The gate: each new model goes into service.
    Gate,
    /// Conservative mode, and emergency trainings.
    Conservative,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Models, Self::Outcomes, Self::Gate, Self::Conservative];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Outcomes => "outcomes",
            Self::Gate => "gate",
            Self::Conservative => "conservative",
        }
    }

    /// The part with this name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another text.
    pub fn named(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::argument("without", format!("must be one of {names}"), text)
        })
    }
}

/// What happens after a fault of the strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The replay ends with an error that names the candle. The default.
    #[default]
    Stop,
    /// The signals of that candle are left out, and the replay goes on.
    Continue,
}

/// What a replay is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Signals from this time on are replayed, UTC epoch ms. Earlier candles are known, and so are earlier past signals with what became of
    /// them by then. Default: the first signal; for a strategy and for own signals, the first candle.
    pub from_ms: Option<i64>,
    /// The replay ends here, UTC epoch ms. Default: the close of the last candle.
    pub until_ms: Option<i64>,
    /// Settings of `training_config.json` for this replay.
    pub config: Map<String, Value>,
    /// Settings of `scheduler_config.json` for this replay.
    pub scheduler: Map<String, Value>,
    /// Each of these is left out in one more run over the same signals.
    pub compare: Vec<Part>,
    /// These are left out in every run.
    pub without: Vec<Part>,
    /// What happens after a fault of the strategy.
    pub on_fault: OnFault,
    /// How long the strategy may take for one candle. Default: 10 seconds.
    pub time_limit: Option<Duration>,
    /// Threads that train. Default: as for a live loop.
    pub threads: Option<usize>,
    /// The user's own model. [`crate::study`] takes that of the home's loop.
    pub own: Option<Arc<dyn OwnModel>>,
    /// The home whose configuration files are used.
    pub home: PathBuf,
    /// Where the home of the first run stays; it must be missing or empty. Default: a temporary folder that is deleted.
    pub keep: Option<PathBuf>,
}

impl Options {
    /// The settings that tell two replays of the same signals apart, for the ledger.
    pub fn to_json(&self) -> Value {
        let names = |parts: &[Part]| parts.iter().map(|part| part.as_str()).collect::<Vec<_>>();
        let mut json = json!({
            "from": self.from_ms,
            "until": self.until_ms,
            "config": self.config,
            "scheduler": self.scheduler,
            "without": names(&self.without),
        });
        if let Some(own) = &self.own {
            json["model"] = json!(own.name());
        }
        json
    }
}
