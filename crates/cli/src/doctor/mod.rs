//! What is wrong with a home, its configuration, its exchange: found without changing anything but what opening the store
//! always puts right (the end of a log that a crash tore), and told with why it matters and what to do.

mod command;
mod home;
mod market;

pub use command::doctor;

use domain::error::Error;
use engine::home::expanded;
use engine::{Options, SignalLoop, default_home};
use scheduler::SchedulerConfig;
use serde::Serialize;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is wrong.
    Fine,
    /// It works, but something is lacking, out of date or was damaged.
    Warning,
    /// Something cannot work until it is put right.
    Fault,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The folder that holds everything.
    Home,
    /// `training_config.json` and `scheduler_config.json`.
    Configuration,
    /// The log of signals.
    Signals,
    /// The stored candles.
    Candles,
    /// The model files and their ledger.
    Models,
    /// The tasks that run by themselves.
    Scheduler,
    /// The exchange that candles and prices come from.
    Exchange,
    /// This machine's clock beside the exchange's.
    Clock,
}

impl Check {
    /// Its name, as people and scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Configuration => "configuration",
            Self::Signals => "signals",
            Self::Candles => "candles",
            Self::Models => "models",
            Self::Scheduler => "scheduler",
            Self::Exchange => "exchange",
            Self::Clock => "clock",
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Where.
    pub check: Check,
    /// How grave it is.
    pub state: State,
    /// What was found.
    pub what: String,
    /// Why it matters; missing when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// What to do; missing when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The code of the error that others meet here, `ERR_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl Finding {
    fn fine(check: Check, what: impl Into<String>) -> Self {
        Self { check, state: State::Fine, what: what.into(), why: None, advice: None, code: None }
    }

    fn warning(check: Check, what: impl Into<String>, why: &'static str, advice: impl Into<String>) -> Self {
        let (why, advice) = (Some(why), Some(advice.into()));
        Self { check, state: State::Warning, what: what.into(), why, advice, code: None }
    }

    fn fault(check: Check, error: &Error, why: &'static str, advice: impl Into<String>) -> Self {
        let (why, advice) = (Some(why), Some(advice.into()));
        Self { check, state: State::Fault, what: error.to_string(), why, advice, code: Some(error.code()) }
    }
}

/// Looks at everything; the findings come in the order of [`Check`].
pub async fn examine(options: Options) -> Vec<Finding> {
    let home = expanded(&options.home.clone().unwrap_or_else(default_home));
    let mut found = home::folders(&home);
    // What lies in a folder that is none, or may not be written, fails for that reason.
    if found.iter().any(|finding| finding.state == State::Fault) {
        return found;
    }
    let opened = SignalLoop::open(options);
    let home = opened.as_ref().map_or(home, |core| core.settings().home().to_owned());
    found.extend(configuration(opened.as_ref(), &SchedulerConfig::load(&home.join("scheduler_config.json"))));
    // Without a configuration it is not known which markets, and which exchange, to look at.
    let Ok(core) = opened else { return found };
    found.extend(home::signals(&core));
    found.extend(market::candles(&core));
    found.extend(home::models(&core));
    found.extend(home::scheduler(&core));
    found.extend(market::exchange(&core).await);
    found
}

fn configuration(
    training: Result<&SignalLoop, &Error>,
    scheduler: &Result<(SchedulerConfig, Vec<String>), Error>,
) -> Vec<Finding> {
    const WHY: &str = "a wrong value is never guessed at, so nothing runs until it is right";
    const ADVICE: &str = "correct the value, or remove the key to have its default; docs/configuration.md and docs/scheduler.md have all keys";
    let errors = training.err().into_iter().chain(scheduler.as_ref().err());
    let mut found: Vec<Finding> = errors.map(|e| Finding::fault(Check::Configuration, e, WHY, ADVICE)).collect();
    let mut warnings = training.map(|core| core.settings().warnings()).unwrap_or_default();
    // What is wrong with the schedules is told once.
    warnings.retain(|warning| !scheduler.as_ref().is_err_and(|error| warning.starts_with(&error.to_string())));
    let of_scheduler = scheduler.as_ref().map(|(_, warnings)| warnings.clone()).unwrap_or_default();
    found.extend(warnings.into_iter().chain(of_scheduler).map(|warning| {
        let why = "a misspelt key has no effect: the default is in force instead";
        Finding::warning(Check::Configuration, warning, why, "correct or remove the key")
    }));
    if found.is_empty() {
        found.push(Finding::fine(Check::Configuration, "every key is known and every value is allowed"));
    }
    found
}
