//! Checks of the home folder, and of the files that signalloop wrote there.

use super::{Check, Finding, OpenSignals};
use crate::words::{age, counted};
use domain::error::{Error, Resource, Result};
use domain::symbol::Market;
use domain::time::format_iso;
use engine::{MarketModels, SignalLoop};
use feedback::{Figures, StatsFilter, StoreOptions};
use scheduler::Outcome;
use std::path::Path;
use std::time::Duration;

/// Longer than any write takes, but short enough for a person to wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Differences between clocks up to this are ignored.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// Checks that every folder is writable.
pub(super) fn folders(home: &Path) -> Vec<Finding> {
    const WHY: &str = "signals, candles and models are stored there";
    let below = ["data", "feedback", "models", "models/pools", "scheduler"].map(|part| home.join(part));
    let there = std::iter::once(home).chain(below.iter().map(|part| part.as_path())).filter(|part| part.exists());
    let errors = there.filter_map(|part| writable(part).err());
    let mut found: Vec<Finding> = errors
        .map(|error| {
            let advice = "make it a folder that this user may write to, or name another home (--home, SIGNALLOOP_HOME)";
            Finding::fault(Check::Home, &error, WHY, advice)
        })
        .collect();
    if found.is_empty() {
        found.push(match home.exists() {
            true => Finding::fine(Check::Home, format!("{} can be written", home.display())),
            false => missing(home),
        });
    }
    found
}

/// A home that does not exist yet: fine for a first use, but possibly a misspelt name.
fn missing(home: &Path) -> Finding {
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    let parent = home.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let what = format!("{} does not exist", home.display());
    match writable(parent) {
        Ok(()) => {
            let why = "there is nothing in it yet, or the home is another folder: by default it is `ml` below where the process was started";
            Finding::warning(
                Check::Home,
                what,
                why,
                "name the right one (--home, SIGNALLOOP_HOME); otherwise the first use creates it",
            )
        }
        Err(error) => Finding::fault(Check::Home, &error, "the home cannot be created there", "name another home"),
    }
}

fn writable(folder: &Path) -> Result<()> {
    tempfile::tempfile_in(folder).map(drop).map_err(|e| Error::io("write", folder, e))
}

/// Checks the log of signals; and the open signals in it, if it can be read.
pub(super) fn signals(core: &SignalLoop) -> (Vec<Finding>, OpenSignals) {
    let folder = core.settings().home().join("feedback");
    let place = core.store().location();
    if !place.may_hold_signals() {
        return (vec![Finding::fine(Check::Signals, "none were recorded yet")], OpenSignals::new());
    }
    let options = StoreOptions { patience: PATIENCE, ..StoreOptions::from(&*core.settings().config()) };
    let store = place.open(options).and_then(|store| {
        let stats = store.stats(&StatsFilter::default())?;
        let open = store.open_by_symbol()?;
        Ok((store.recovery(), [stats.figures, stats.followed], open))
    });
    let (recovery, figures, open) = match store {
        Ok(store) => store,
        Err(error @ Error::Busy { .. }) => {
            let why = "recording and closing wait for the lock, and fail after 30 s";
            let advice = "stop the process that holds it, or wait for it to finish";
            return (vec![Finding::fault(Check::Signals, &error, why, advice)], OpenSignals::new());
        }
        Err(error) => {
            let why = "no signal can be recorded or closed";
            let advice = "fix what the message names; keep the log itself, which is only ever appended to";
            return (vec![Finding::fault(Check::Signals, &error, why, advice)], OpenSignals::new());
        }
    };
    let mut found = Vec::new();
    if recovery.cut_bytes > 0 {
        let what = format!("an unfinished last line of {} bytes was cut off just now", recovery.cut_bytes);
        let why = "a process ended while writing; everything it had confirmed is stored";
        found.push(Finding::warning(Check::Signals, what, why, format!("a copy is in {}", quarantine(&folder))));
    }
    if recovery.damaged > 0 {
        let what = format!("{} damaged lines in {place}", recovery.damaged);
        let why = "they are ignored; the disk, a copy or an editor changed them";
        let advice =
            format!("look at the copies in {}, then `signalloop compact` leaves them out", quarantine(&folder));
        found.push(Finding::warning(Check::Signals, what, why, advice));
    }
    if recovery.contradictions > 0 {
        let what = format!("{} lines contradict an earlier one of the same signal", recovery.contradictions);
        let why = "the first outcome counts; another program may be writing to the log";
        found.push(Finding::warning(Check::Signals, what, why, format!("look at {}", quarantine(&folder))));
    }
    let given: Vec<i64> = open.values().flatten().map(|signal| signal.levels.since_ms).collect();
    found.extend(ahead(&given, core.settings().now_ms()));
    let sum = |of: fn(&Figures) -> u64| figures.iter().map(of).sum::<u64>();
    let what =
        format!("{}, {} of them open, in {place}", counted(sum(|f| f.total), "signal", "signals"), sum(|f| f.active));
    found.push(Finding::fine(Check::Signals, what));
    (found, open.into_iter().map(|(symbol, signals)| (symbol, signals.len())).collect())
}

/// Warns of open signals dated in the future: the clock was set back, or their times are wrong.
fn ahead(given_ms: &[i64], now_ms: i64) -> Option<Finding> {
    let ahead = given_ms.iter().filter(|given_ms| **given_ms > now_ms + CLOCK_TOLERANCE_MS);
    let latest_ms = *ahead.clone().max()?;
    let what = format!(
        "{} open signals lie ahead of this machine's clock, the last at {}; it shows {}",
        ahead.count(),
        format_iso(latest_ms),
        format_iso(now_ms)
    );
    let why = "prices and candles with an earlier time do not close them; prices without a time do";
    let advice = "check the clock (it may have been set back), and the times the signals are given";
    Some(Finding::warning(Check::Signals, what, why, advice))
}

fn quarantine(folder: &Path) -> String {
    folder.join("signals.quarantine.jsonl").display().to_string()
}

/// Checks the models of the configured markets, and finds unusable files.
pub(super) fn models(core: &SignalLoop) -> Vec<Finding> {
    let models = match core.models().list() {
        Ok(models) => models,
        Err(error) => {
            let (why, advice) = match error {
                Error::Storage { .. } => {
                    ("models cannot be trained; those in memory stay in service", "make the database answer")
                }
                _ => ("nothing can be predicted", "make the folder readable"),
            };
            return vec![Finding::fault(Check::Models, &error, why, advice)];
        }
    };
    let mut found = Vec::new();
    for MarketModels { champion, .. } in &models.markets {
        if let Err(error) = &champion.record {
            let advice = match champion.predecessors.last() {
                Some(version) => format!("`signalloop rollback` puts version {version} back; or train it anew"),
                None => "train it anew with `signalloop train`".to_owned(),
            };
            found.push(Finding::fault(Check::Models, error, "this market gets no predictions", advice));
        }
    }
    if models.damaged_lines > 0 {
        let what = format!("{} lines of the ledger of models cannot be read", models.damaged_lines);
        let why = "a crash tore them; their trainings are missing from `signalloop models`";
        found.push(Finding::warning(Check::Models, what, why, "nothing: the models in service are not affected"));
    }
    let stems: Vec<&str> = models.markets.iter().map(|market| market.champion.stem.as_str()).collect();
    let lacking = |market: &Market| !stems.contains(&market.file_stem().as_str());
    let markets = core.settings().markets(None, None);
    let without: Vec<String> = markets.iter().filter(|market| lacking(market)).map(ToString::to_string).collect();
    if !without.is_empty() {
        let what =
            format!("{} of {} configured markets have no model: {}", without.len(), markets.len(), some(&without));
        found.push(Finding::warning(Check::Models, what, "they get no predictions", "`signalloop train`"));
    } else if found.is_empty() {
        found.push(Finding::fine(
            Check::Models,
            format!("all {} configured markets have a usable model", markets.len()),
        ));
    }
    found
}

/// Checks the destinations of alerts and their secrets, and sends nothing.
pub(super) fn alerts(core: &SignalLoop) -> Option<Finding> {
    match core.scheduler().check_alerts() {
        Ok(names) if names.is_empty() => None,
        Ok(names) => {
            let what = format!("{} can be sent to; `signalloop alerts test` tries it out", names.join(", "));
            Some(Finding::fine(Check::Alerts, what))
        }
        Err(error) => {
            let advice = "correct the value, or set what it names, in the environment of the scheduler too";
            Some(Finding::fault(Check::Alerts, &error, "the scheduler does not start without it", advice))
        }
    }
}

/// The first few names of a long list.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    crate::words::some(names, SHOWN)
}

/// Finds tasks whose last run failed, or that cannot be run.
pub(super) fn scheduler(core: &SignalLoop) -> Vec<Finding> {
    // A wrong configuration has already been reported.
    let Ok(status) = core.scheduler().status() else { return Vec::new() };
    let mut found = Vec::new();
    for task in &status.tasks {
        if let Some(problem) = &task.problem {
            let error = Error::storage(Resource::Scheduler, format!("{}: {problem}", task.task));
            found.push(Finding::fault(
                Check::Scheduler,
                &error,
                "the task is not run",
                "put right what the message names",
            ));
        }
        if let Some(run) = task.record.last.as_ref().filter(|run| run.outcome == Outcome::Failed) {
            let cause = run.error.as_ref().or_else(|| run.failed.first().map(|one| &one.cause));
            let cause = cause.map_or_else(String::new, |cause| format!(": {} [{}]", cause.message, cause.code));
            let ago = age(core.settings().now_ms() - run.ended_ms);
            let what = format!("{} failed at {}, {ago} ago{cause}", task.task, format_iso(run.ended_ms));
            let advice = match task.next_ms {
                Some(next_ms) if status.led_by.is_some() => {
                    format!("fix the cause; it is tried again at {}", format_iso(next_ms))
                }
                _ => format!("fix the cause; then `signalloop scheduler once --task {}`", task.task),
            };
            found.push(Finding::warning(Check::Scheduler, what, "its results are out of date", advice));
        }
    }
    let last = status.tasks.iter().filter_map(|task| task.record.last.as_ref()).map(|run| run.ended_ms).max();
    if found.is_empty() {
        let runs = match (&status.led_by, last) {
            (Some(leader), _) => format!("; process {} on {} runs it", leader.process, leader.host),
            (None, Some(_)) => "; none is running now".to_owned(),
            (None, None) => String::new(),
        };
        let last = match last {
            Some(ended_ms) => {
                let ago = age(core.settings().now_ms() - ended_ms);
                format!("the last run ended at {}, {ago} ago", format_iso(ended_ms))
            }
            None => "it has not run in this home".to_owned(),
        };
        found.push(Finding::fine(Check::Scheduler, format!("{last}{runs}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn the_pools_folder_is_checked_too() {
        let home = tempfile::tempdir().unwrap();
        let pools = home.path().join("models/pools");
        std::fs::create_dir_all(&pools).unwrap();
        assert_eq!(folders(home.path())[0].state, Severity::Fine);
        std::fs::remove_dir(&pools).unwrap();
        std::fs::write(&pools, "").unwrap();
        let found = folders(home.path());
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.state, finding.code), (Severity::Fault, Some("ERR_IO")));
        assert!(finding.what.contains(&pools.display().to_string()), "{}", finding.what);
    }
}
