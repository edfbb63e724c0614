//! `signalloop scheduler …`: run all tasks or one, show their status, or list due times.

use super::args::{Next, Scheduler};
use super::commands::exit_code;
use super::failures::Failures;
use super::output::Output;
use super::words::age;
use super::{Ending, FAILURE, PARTIAL, SUCCESS};
use chrono::{DateTime, SecondsFormat};
use domain::error::{Error, Result};
use domain::symbol::Symbol;
use domain::time::format_iso;
use engine::{
    AlertStatus, DestinationState, Event, EventListener, SchedulerStatus, SignalLoop, TaskStatus, Told, run_to_json,
};
use exchange::stream::StreamStatus;
use scheduler::coordination::Leader;
use scheduler::{LastRun, Outcome, Task};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Limit of listed due times; more suggest a mistake in the arguments.
const MOST_DUE_TIMES: usize = 100_000;

/// Runs one of the scheduler's commands.
pub async fn scheduler(core: &Arc<SignalLoop>, command: &Scheduler, output: &Output, ending: &Ending) -> Result<i32> {
    match command {
        Scheduler::Run => run(core, output, ending).await,
        Scheduler::Once(once) => {
            core.events().subscribe(Box::new(Lines { output: output.clone(), runs: false }));
            let run = core.scheduler().run_once(once.task).await?;
            output.line(format!("{} {}: {}", once.task, word(run.outcome), failures(&run)));
            output.document(&run_to_json(&run));
            Ok(match run.outcome {
                Outcome::Finished => SUCCESS,
                Outcome::Failed if run.done > 0 => PARTIAL,
                Outcome::Failed | Outcome::Cancelled => FAILURE,
            })
        }
        Scheduler::Status => {
            let status = core.scheduler().status()?;
            status.warnings.iter().for_each(|warning| output.warning(warning));
            show(&status, core.settings().now_ms(), output);
            output.document(&status.to_json());
            Ok(SUCCESS)
        }
        Scheduler::Next(asked) => next(core, asked, output),
    }
}

/// Sends test messages and prints what came of them.
pub async fn test_alerts(core: &Arc<SignalLoop>, to: Option<&str>, output: &Output) -> Result<i32> {
    let results = core.scheduler().test_alerts(to).await?;
    let arrived = results.iter().filter(|(_, result)| result.is_ok()).count();
    let mut document = Vec::new();
    for (name, result) in &results {
        let problem = result.as_ref().err().map(|failure| failure.message());
        output.line(format!("{name}: {}", problem.unwrap_or("it arrived")));
        document.push(match problem {
            None => json!({ "name": name, "arrived": true }),
            Some(problem) => json!({ "name": name, "arrived": false, "problem": problem }),
        });
    }
    output.document(&document.into());
    Ok(exit_code(arrived, results.len()))
}

/// Runs until the process is asked to stop.
async fn run(core: &Arc<SignalLoop>, output: &Output, ending: &Ending) -> Result<i32> {
    let (config, warnings) = core.scheduler().config(Map::new())?;
    warnings.iter().for_each(|warning| output.warning(warning));
    if !config.enabled {
        output.warning("`enabled` is false in scheduler_config.json: there is nothing to run");
        return Ok(FAILURE);
    }
    core.events().subscribe(Box::new(Lines { output: output.clone(), runs: true }));
    core.scheduler().start(Map::new())?;
    output.news(format!("The scheduler of {} runs; end it with Ctrl-C or SIGTERM", core.settings().home().display()));
    ending.asked().await;
    output.news("Stopping");
    core.scheduler().stop().await;
    Ok(SUCCESS)
}

/// Prints one line per event; with `--json` only the result.
struct Lines {
    output: Output,
    /// Whether to print the task runs themselves.
    runs: bool,
}

impl EventListener for Lines {
    fn tell(&self, event: &Event, at_ms: i64, _dropped: u64) -> Told {
        let of_a_run =
            matches!(event, Event::TaskStarted { .. } | Event::TaskFinished { .. } | Event::TaskFailed { .. });
        if let Some(text) = in_words(event).filter(|_| self.runs || !of_a_run) {
            self.output.news(format!("{} {text}", format_iso(at_ms)));
        }
        Told::Taken
    }
}

fn in_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::TaskStarted { task, attempt: 1 } => format!("{task} begins"),
        Event::TaskStarted { task, attempt } => format!("{task} begins, attempt {attempt}"),
        Event::TaskFinished { task, run } => format!("{task}: {}", run.message),
        Event::TaskFailed { task, run, retry_ms } => {
            let again = retry_ms.map_or_else(String::new, |at_ms| format!("; again at {}", format_iso(at_ms)));
            format!("{task} {}: {}{again}", word(run.outcome), failures(run))
        }
        Event::SignalChanged(changed) => {
            let what: Vec<String> = changed.events.iter().map(|event| event.what.to_string()).collect();
            format!("{} {}: {}", changed.symbol, changed.id, what.join(", "))
        }
        Event::SignalClosed(signal) => {
            format!(
                "{} {} closed as {} ({:+.2} %)",
                signal.symbol,
                signal.id,
                word(signal.outcome),
                signal.profit_percent
            )
        }
        Event::ModelPromoted(change) => {
            format!("{}: version {} is in service: {}", change.market, change.version, change.reason)
        }
        Event::ModelRefused(change) => {
            format!("{}: version {} refused: {}", change.market, change.version, change.reason)
        }
        Event::ModelRolledBack(change) => {
            format!("{}: back to version {}: {}", change.market, change.version, change.reason)
        }
        Event::Warning(message) => format!("warning: {message}"),
        _ => return None,
    })
}

fn word(value: impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

/// The result of a run, with its failures.
fn failures(run: &LastRun) -> String {
    // For symbols that are no longer traded, the message already says what to do.
    let mut kinds = Failures::default();
    for one in run.failed.iter().filter(|one| !one.not_traded) {
        kinds.market(&one.market, &one.cause.message, None);
    }
    std::iter::once(run.message.clone()).chain(kinds.texts("markets")).collect::<Vec<_>>().join("; ")
}

/// The stream of prices in words.
fn streamed(stream: &StreamStatus) -> String {
    let state = match stream.connected_since_ms {
        Some(since_ms) => format!("streamed since {}: {} symbols", format_iso(since_ms), stream.symbols),
        None => "requested, since they are not streamed now".to_owned(),
    };
    let missing = match stream.missing.len() {
        0 => String::new(),
        count => format!(", {count} more requested"),
    };
    let gap = stream.last_gap.as_ref().map_or_else(String::new, |gap| {
        let until = gap.until_ms.map_or_else(|| "now".to_owned(), format_iso);
        format!("; last gap {} to {until}: {}", format_iso(gap.from_ms), gap.reason)
    });
    format!("Prices are {state}{missing}; {} prices so far{gap}", stream.prices)
}

fn show(status: &SchedulerStatus, now_ms: i64, output: &Output) {
    output.line(match &status.led_by {
        Some(Leader { process, host, since }) => {
            let since = since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
            format!("Runs in process {process} on {host}{since}")
        }
        // For example when a database does not answer.
        None if status.tasks.iter().all(|task| task.problem.is_some()) => "It is unknown which process runs this.".to_owned(),
        None if !status.config.enabled => "Nothing runs automatically: `enabled` is false.".to_owned(),
        None => "No scheduler is running, so none of this runs automatically. Start one with `signalloop scheduler run`, or \
                 with `startScheduler()` in a backend."
            .to_owned(),
    });
    output.line(format!("Times of day in {}", status.config.timezone));
    status.stream.iter().for_each(|stream| output.line(streamed(stream)));
    for task in &status.tasks {
        let TaskStatus { task, plan, running, next_ms, record, problem } = task;
        let next = match next_ms {
            _ if *running => "running".to_owned(),
            None => "off".to_owned(),
            Some(next_ms) if status.led_by.is_some() => format!("due {}", format_iso(*next_ms)),
            Some(next_ms) if *next_ms <= now_ms => "as soon as a scheduler runs".to_owned(),
            Some(next_ms) => format!("at {}, if a scheduler runs then", format_iso(*next_ms)),
        };
        let own = plan.symbols.iter().map(|own| own.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", "));
        let own: String = own.map(|symbols| format!("  only {symbols}")).collect();
        output.line(format!("{task:<9} {:<22} {next}{own}", plan.schedule.to_string()));
        if let Some(run) = &record.last {
            let ago = age(now_ms - run.ended_ms);
            let ended = format!("{} ({ago} ago)", format_iso(run.ended_ms));
            output.hanging(10, format!("          {ended} {}: {}", word(run.outcome), failures(run)));
        }
        if let Some(problem) = problem {
            output.hanging(10, format!("          cannot be run: {problem}"));
        }
    }
    for AlertStatus { name, to, state } in &status.alerts {
        let DestinationState { sent, waiting, failed, .. } = state;
        output.line(format!("alerts to {name} ({to}): {sent} sent, {waiting} waiting, {failed} failed"));
        if let (Some(at), Some(failure)) = (&state.last_failure_at, &state.last_failure) {
            output.line(format!("          {at} failed: {failure}"));
        }
    }
}

/// Lists the due times within a period, as if each task had last run at its beginning.
fn next(core: &SignalLoop, asked: &Next, output: &Output) -> Result<i32> {
    let (config, warnings) = core.scheduler().config(Map::new())?;
    warnings.iter().for_each(|warning| output.warning(warning));
    // The watch is always due, so it is only listed on request.
    let tasks = asked.task.map_or_else(|| Task::ALL[1..].to_vec(), |task| vec![task]);
    let mut due = Vec::new();
    for task in tasks {
        let plan = config.plan(task);
        if !plan.enabled {
            continue;
        }
        let mut at_ms = asked.from;
        while let Some(next_ms) = plan.schedule.next_after(at_ms, plan.zone).filter(|at| *at < asked.until) {
            due.push((next_ms, task));
            if due.len() > MOST_DUE_TIMES {
                let problem = format!("must be earlier: there are more than {MOST_DUE_TIMES} due times before it");
                return Err(Error::argument("until", problem, format_iso(asked.until)));
            }
            at_ms = next_ms;
        }
    }
    due.sort();
    let local = |ms| {
        let time = DateTime::from_timestamp_millis(ms).map(|time| time.with_timezone(&config.timezone));
        time.map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Secs, false))
    };
    due.iter().for_each(|(at_ms, task)| output.line(format!("{}  {}  {task}", format_iso(*at_ms), local(*at_ms))));
    let one = |(at_ms, task): &(i64, Task)| json!({ "at": format_iso(*at_ms), "local": local(*at_ms), "task": task });
    output.document(&json!({
        "timezone": config.timezone.name(), "dueTimes": due.iter().map(one).collect::<Vec<Value>>(),
    }));
    Ok(SUCCESS)
}
