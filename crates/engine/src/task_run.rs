//! One run of a task: take the task's lock, do the work within its deadline, save the result.

use super::tasks::{TaskResult, TaskRunner};
use super::{Call, Event};
use domain::cancel::Cancel;
use domain::error::{Error, Result, panicked};
use domain::symbol::{Market, Symbol};
use domain::threads;
use scheduler::coordination::{Claim, Coordination, Role};
use scheduler::{Cause, Clocks, Due, LastRun, Outcome, Ran, Record, Task, TaskPlan, Timer};
use std::sync::Arc;
use std::time::Duration;

/// How long cancelled work may take to end. After that nothing waits for it any more, but it keeps the task's lock
/// until it ends.
const GRACE: Duration = Duration::from_secs(30);
/// How often the watch's result is saved. The watch runs every few seconds; a changed outcome is saved at once.
const WATCH_WRITTEN_MS: i64 = 60_000;
/// How long to wait for another process that holds the lock only to test whether it is free.
const PROBE: Duration = Duration::from_millis(100);

/// The call and the lock that a run keeps until its work has ended.
type Held = Arc<(Call, Arc<dyn Claim>)>;

/// A task's timer, and its record as it was last saved.
pub(super) struct TaskState {
    pub timer: Timer,
    pub stored: Record,
}

/// What happened in a run.
pub(super) struct TaskRun {
    pub state: TaskState,
    /// The result. `None` if another process had already done the work, or if the start could not be saved.
    pub last: Option<LastRun>,
    /// Whether the result could be saved; `None` if there was nothing to save.
    pub written: Option<Result<()>>,
}

/// What a run needs to do its work.
pub(super) struct RunContext {
    pub task: Task,
    /// The markets that an earlier run of this attempt did not finish; if empty, all markets of `symbols`.
    pub scope: Vec<Market>,
    /// The symbols of the task; `None` means all that are configured.
    pub symbols: Option<Vec<Symbol>>,
    /// The number of the attempt, from 1. If it is higher, the earlier attempts failed.
    pub attempt: u32,
    /// How long it may take.
    pub time: Duration,
    /// The task's lock.
    pub claim: Arc<dyn Claim>,
}

/// A request to run a task.
pub(super) struct RunRequest {
    pub task: Task,
    pub plan: TaskPlan,
    /// The state whose timer said that the task is due; `None` for a manual run.
    pub due: Option<TaskState>,
    pub stop: Cancel,
}

impl TaskRunner {
    /// Runs a task once: takes its lock, does the work, saves the result. If the result cannot be saved, the timer
    /// advances anyway; otherwise the task would be due again at once, forever.
    ///
    /// # Errors
    /// Whatever prevents the run; for a manual run, also whatever prevents saving the result.
    pub(super) async fn run(self: &Arc<Self>, request: RunRequest) -> Result<TaskRun> {
        let RunRequest { task, plan, due, stop } = request;
        let call = self.lifetime.begin()?;
        let coordination = self.coordination.clone();
        let claim = threads::blocking(move || coordination.take(Role::Task(task), PROBE)).await?;
        let held = Arc::new((call, claim.clone()));
        let (record, now, by_hand) = (self.coordination.record(task)?, self.clocks(), due.is_none());
        let mut state = match due {
            Some(state) if state.stored == record => state,
            _ => TaskState { timer: Timer::resume(plan.clone(), record.clone(), now), stored: record },
        };
        let why = if by_hand { Some(Due::Run) } else { state.timer.due(now) };
        let Some(why) = why else { return Ok(TaskRun { state, last: None, written: None }) };
        let before = state.timer.record().last.clone();
        state.timer.begin(why, now);
        let scope = state.timer.record().remaining.clone();
        if task != Task::Watch
            && let Err(error) = state.save(&*self.coordination, &*claim, task, now)
        {
            let (attempt, now_ms) = (state.timer.record().attempt, now.wall_ms);
            let (failed, _) =
                summed_up(task, Err(kept_in_memory(error.clone(), by_hand)?), false, attempt, now_ms, now_ms);
            state.timer.end(failed, scope, now, dice(now));
            return Ok(TaskRun { state, last: None, written: Some(Err(error)) });
        }
        let attempt = state.timer.record().attempt;
        let active = Active::new(self, task);
        if task != Task::Watch {
            self.events.emit(&Event::TaskStarted { task, attempt });
        }
        let symbols = plan.symbols.clone();
        let context = RunContext { task, scope, symbols, attempt, time: plan.deadline, claim: claim.clone() };
        let (ended, stopped) = self.bounded(context, &stop, held.clone()).await;
        let ended = ended.map(|done| self.with_advice(done, task, &plan));
        let now_after = self.clocks();
        let (last, remaining) = summed_up(task, ended, stopped, attempt, now.wall_ms, now_after.wall_ms);
        state.timer.end(last.clone(), remaining, now_after, dice(now_after));
        let stored = state.stored.last.as_ref();
        let worth_it = task != Task::Watch || stored.is_none_or(|stored| is_worth_writing(stored, &last));
        let mut written = worth_it.then(|| state.save(&*self.coordination, &*claim, task, now_after));
        // For the watch, only a changed outcome is added to the history.
        let news = task != Task::Watch || before.map_or(Outcome::Finished, |before| before.outcome) != last.outcome;
        let ran = Ran { task, run: last.clone() };
        if news && written.as_ref().is_none_or(|written| written.is_ok()) {
            written = Some(self.coordination.append(&*claim, &ran));
        }
        // The result is saved, so other processes may run the task now.
        drop((active, held, claim));
        if let Some(Err(error)) = written {
            let refused = |error: &Error| {
                self.events.emit(&Event::Warning(format!("the result of {task} could not be stored: {error}")));
            };
            written = Some(Err(kept_in_memory(error, by_hand).inspect_err(refused)?));
        }
        if news {
            self.tell_end(task, &last, &state, now_after);
        }
        Ok(TaskRun { state, last: Some(last), written })
    }

    /// Adds advice about symbols that are no longer traded to the result.
    fn with_advice(&self, mut done: TaskResult, task: Task, plan: &TaskPlan) -> TaskResult {
        let symbols = done.failed.iter().filter(|one| one.not_traded).map(|one| &one.market.symbol);
        let own = plan.symbols.as_ref().map(|_| task).or_else(|| Some(task).filter(|task| *task == Task::Watch));
        if let Some(advice) = self.settings.advice_on_not_traded(symbols, own) {
            done.message = format!("{}; {advice}", done.message);
        }
        done
    }

    /// Emits an event for the end of a run.
    fn tell_end(&self, task: Task, last: &LastRun, state: &TaskState, now: Clocks) {
        self.events.emit(&match last.outcome {
            Outcome::Finished => Event::TaskFinished { task, run: last.clone() },
            Outcome::Failed | Outcome::Cancelled => {
                let again = last.outcome == Outcome::Failed && state.timer.record().attempt > 0;
                Event::TaskFailed { task, run: last.clone(), retry_ms: state.timer.next_ms(now).filter(|_| again) }
            }
        });
    }

    /// Does the work until it is done, its deadline passes, its lock is lost, or it is stopped. The returned flag says
    /// whether it was stopped.
    async fn bounded(self: &Arc<Self>, context: RunContext, stop: &Cancel, held: Held) -> (Result<TaskResult>, bool) {
        let (cancel, deadline, claim) = (Cancel::default(), context.time, context.claim.clone());
        let mut work = tokio::spawn({
            let (this, cancel) = (self.clone(), cancel.clone());
            async move {
                let _until_it_ends = held;
                this.perform(context, cancel).await
            }
        });
        let asked = stop.unless(self.lifetime.closing().unless(std::future::pending::<Result<()>>()));
        let minutes = deadline.as_secs_f64() / 60.0;
        let (stopped, why) = tokio::select! {
            // Checked first, because work that ends because the loop is closing has not failed.
            biased;
            _ = asked => (true, "the scheduler was stopped".to_owned()),
            ended = &mut work => return (joined(ended), false),
            () = claim.lost() => (false, "its lease ended before it could be renewed".to_owned()),
            () = tokio::time::sleep(deadline) => (false, format!("it was cancelled at its deadline of {minutes} minutes")),
        };
        cancel.cancel();
        let ended = tokio::time::timeout(GRACE, &mut work).await;
        match ended.map(joined) {
            Ok(Ok(done)) => (Ok(done), false),
            _ => (Err(Error::Cancelled(why)), stopped),
        }
    }
}

impl TaskState {
    /// Saves the record. Only the holder of the task's lock may do so.
    pub fn save(&mut self, coordination: &dyn Coordination, claim: &dyn Claim, task: Task, now: Clocks) -> Result<()> {
        coordination.save(claim, task, self.timer.record(), self.timer.next_ms(now))?;
        self.stored = self.timer.record().clone();
        Ok(())
    }
}

/// Returns an error that only needs to be reported; fails with one that must end the run.
fn kept_in_memory(error: Error, by_hand: bool) -> Result<Error> {
    match error {
        Error::LeaseLost(_) | Error::TaskBusy(_) | Error::Closed => Err(error),
        _ if by_hand => Err(error),
        _ => Ok(error),
    }
}

/// Marks a task as running until dropped.
struct Active<'a>(&'a TaskRunner, Task);

impl<'a> Active<'a> {
    fn new(runner: &'a TaskRunner, task: Task) -> Self {
        runner.active.lock().insert(task);
        Self(runner, task)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.lock().remove(&self.1);
    }
}

/// A number from 0 to 1 that differs between processes: the clock's digits below a millisecond.
fn dice(now: Clocks) -> f64 {
    f64::from(now.elapsed.subsec_micros() % 1000) / 1000.0
}

/// Whether a result of the watch is worth saving. Most are the same as the one before.
fn is_worth_writing(before: &LastRun, last: &LastRun) -> bool {
    before.outcome != last.outcome || (last.ended_ms - before.ended_ms).abs() >= WATCH_WRITTEN_MS
}

fn joined(ended: std::result::Result<Result<TaskResult>, tokio::task::JoinError>) -> Result<TaskResult> {
    ended.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => Err(panicked(&*panic)),
        Err(_) => Err(Error::Internal("the work was dropped".to_owned())),
    })
}

/// The result to save, and the markets that the next attempt has to do.
fn summed_up(
    task: Task,
    ended: Result<TaskResult>,
    stopped: bool,
    attempt: u32,
    started_ms: i64,
    ended_ms: i64,
) -> (LastRun, Vec<Market>) {
    let empty = LastRun {
        started_ms,
        ended_ms,
        outcome: Outcome::Failed,
        attempt,
        done: 0,
        message: String::new(),
        failed: Vec::new(),
        error: None,
    };
    match ended {
        Ok(done) => {
            let outcome = if done.worked(task) { Outcome::Finished } else { Outcome::Failed };
            let remaining = done.remaining().map(|one| one.market.clone()).collect();
            let TaskResult { count, message, failed } = done;
            (LastRun { outcome, done: count, message, failed, ..empty }, remaining)
        }
        Err(error) => {
            let outcome = if stopped { Outcome::Cancelled } else { Outcome::Failed };
            (LastRun { outcome, message: error.to_string(), error: Some(Cause::from(&error)), ..empty }, Vec::new())
        }
    }
}
