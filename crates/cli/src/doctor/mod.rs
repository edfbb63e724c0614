//! The doctor: finds what is wrong with a home, its configuration and its exchange, and says why it matters and what to
//! do. It changes nothing, except that opening the store removes a torn last line, as it always does.

mod command;
mod disk;
mod home;
mod market;
mod results;

pub use command::{doctor, document};

use domain::error::Error;
use engine::home::expanded;
use engine::{Options, SignalLoop, default_home};
use scheduler::SchedulerConfig;
use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// It works, but something is missing, out of date or was damaged.
    Warning,
    /// Something cannot work until it is fixed.
    Fault,
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The folder that holds everything.
    Home,
    /// The free space of its disk.
    Disk,
    /// `training_config.json` and `scheduler_config.json`.
    Configuration,
    /// The log of signals.
    Signals,
    /// What live results have led to.
    Results,
    /// The stored candles.
    Candles,
    /// The model files and their ledger.
    Models,
    /// The scheduled tasks.
    Scheduler,
    /// Where alerts are sent.
    Alerts,
    /// The exchange that candles and prices come from.
    Exchange,
    /// This machine's clock compared with the exchange's, and with the times of files.
    Clock,
}

impl Check {
    /// Its name in output and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Disk => "disk",
            Self::Configuration => "configuration",
            Self::Signals => "signals",
            Self::Results => "results",
            Self::Candles => "candles",
            Self::Models => "models",
            Self::Scheduler => "scheduler",
            Self::Alerts => "alerts",
            Self::Exchange => "exchange",
            Self::Clock => "clock",
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// Its severity.
    pub state: Severity,
    /// What was found.
    pub what: String,
    /// Why it matters; missing when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// What to do; missing when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The code of the error that other commands would fail with, `ERR_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl Finding {
    fn fine(check: Check, what: impl Into<String>) -> Self {
        Self { check, state: Severity::Fine, what: what.into(), why: None, advice: None, code: None }
    }

    fn warning(check: Check, what: impl Into<String>, why: &'static str, advice: impl Into<String>) -> Self {
        let (why, advice) = (Some(why), Some(advice.into()));
        Self { check, state: Severity::Warning, what: what.into(), why, advice, code: None }
    }

    fn fault(check: Check, error: &Error, why: &'static str, advice: impl Into<String>) -> Self {
        let (why, advice) = (Some(why), Some(advice.into()));
        Self { check, state: Severity::Fault, what: error.to_string(), why, advice, code: Some(error.code()) }
    }
}

/// The number of open signals of each symbol.
type OpenSignals = std::collections::BTreeMap<domain::symbol::Symbol, usize>;

/// Runs all checks; the findings are in the order of [`Check`].
pub async fn examine(options: Options) -> Vec<Finding> {
    let home = expanded(&options.home.clone().unwrap_or_else(default_home));
    let mut found = home::folders(&home);
    // If the folder is missing or not writable, the other checks would fail for the same reason.
    if found.iter().any(|finding| finding.state == Severity::Fault) {
        return found;
    }
    let now_ms = domain::time::now_ms();
    let files = disk::Files::of(&home, now_ms);
    found.push(disk::space(&home, &files));
    let times = disk::times(&home, &files, now_ms);
    let opened = SignalLoop::open(options);
    let home = opened.as_ref().map_or(home, |core| core.settings().home().to_owned());
    let scheduler = SchedulerConfig::load(&home.join("scheduler_config.json"));
    found.extend(configuration(opened.as_ref(), &scheduler));
    // Without a valid configuration, the markets and the exchange are unknown.
    let Ok(core) = opened else {
        found.extend(times);
        return found;
    };
    let (of_signals, open) = home::signals(&core);
    found.extend(of_signals);
    found.push(results::results(&core));
    // Whether a symbol is delisted is known best by the exchange, so it is asked before candles are judged.
    let (of_exchange, traded) = market::exchange(&core, &open).await;
    found.extend(market::candles(&core, &traded));
    found.extend(home::models(&core));
    found.extend(home::scheduler(&core));
    // Other wrong values of that file were reported already.
    found.extend(scheduler.ok().and_then(|_| home::alerts(&core)));
    found.extend(of_exchange);
    found.extend(times);
    found
}

fn configuration(
    training: Result<&SignalLoop, &Error>,
    scheduler: &Result<(SchedulerConfig, Vec<String>), Error>,
) -> Vec<Finding> {
    const WHY: &str = "an invalid value is never replaced by a guess, so nothing runs until it is corrected";
    const ADVICE: &str = "correct the value, or remove the key to have its default; docs/configuration.md and docs/scheduler.md have all keys";
    let errors = training.err().into_iter().chain(scheduler.as_ref().err());
    let mut found: Vec<Finding> = errors.map(|e| Finding::fault(Check::Configuration, e, WHY, ADVICE)).collect();
    let mut warnings = training.map(|core| core.settings().warnings()).unwrap_or_default();
    // Problems of the schedules are reported only once.
    warnings.retain(|warning| !scheduler.as_ref().is_err_and(|error| warning.starts_with(&error.to_string())));
    let of_scheduler = scheduler.as_ref().map(|(_, warnings)| warnings.clone()).unwrap_or_default();
    found.extend(warnings.into_iter().chain(of_scheduler).map(|warning| {
        let why = "a misspelt key has no effect: the default is used instead";
        Finding::warning(Check::Configuration, warning, why, "correct or remove the key")
    }));
    if found.is_empty() {
        found.push(Finding::fine(Check::Configuration, "every key is known and every value is allowed"));
    }
    found
}
