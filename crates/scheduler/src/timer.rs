//! When a task is due, from its record and the two clocks. Pure: the caller reports when an attempt begins and ends, and stores
//! the record.

use super::{CatchUp, Clocks, LastRun, Outcome, Record, Schedule, TaskPlan};
use domain::symbol::Market;
use domain::time::believed;
use std::time::Duration;

/// For [`CatchUp::Skip`], a due time counts as missed if nobody checked it within this time. A busy machine is never that late. A
/// due time that was noticed, but had to wait for another task, is not missed.
const GRACE: Duration = Duration::from_secs(300);

/// The due times of one task.
#[derive(Debug, Clone)]
pub struct Timer {
    plan: TaskPlan,
    record: Record,
    next: Next,
    /// When a failed attempt is retried, by the clock that cannot be set. The next due time does not wait for the retry, and
    /// replaces it.
    retry: Option<Duration>,
    /// The last check whether it is due.
    looked: Option<Clocks>,
}

/// Why a task should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is due, for all markets.
    Run,
    /// A failed attempt is retried, for the remaining markets.
    Retry,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// By the clock that cannot be set: intervals.
    Elapsed(Duration),
    /// By the wall clock, after the record's `since_ms`.
    Wall,
}

impl Timer {
    /// Continues from a stored record. A task that has never run is due at once, unless it has a time of day.
    pub fn resume(plan: TaskPlan, record: Record, now: Clocks) -> Self {
        let mut timer = Self { plan, record, next: Next::Wall, retry: None, looked: None };
        timer.next = timer.regular(now);
        if timer.record.attempt > timer.plan.retry.attempts {
            // Each attempt ended with the death of its process.
            timer.give_up();
        }
        if timer.record.attempt > 0 {
            timer.retry = Some(now.elapsed + timer.plan.retry.backoff(timer.record.attempt, 0.5));
        }
        timer
    }

    /// The record to store.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How the task is run.
    pub fn plan(&self) -> &TaskPlan {
        &self.plan
    }

    /// The next due time by the schedule.
    fn regular(&mut self, now: Clocks) -> Next {
        match (&self.plan.schedule, self.record.since_ms) {
            (Schedule::Every(_), None) => Next::Elapsed(now.elapsed),
            (Schedule::Every(interval), Some(since_ms)) => {
                // If the clock was set back, this is negative; then the whole interval remains.
                let passed = Duration::from_millis(u64::try_from(now.wall_ms - since_ms).unwrap_or(0));
                match interval.checked_sub(passed) {
                    Some(rest) => Next::Elapsed(now.elapsed + rest),
                    None if self.plan.catch_up == CatchUp::Skip && passed > *interval + GRACE => {
                        Next::Elapsed(now.elapsed + *interval)
                    }
                    None => Next::Elapsed(now.elapsed),
                }
            }
            (_, since_ms) => {
                // Stored, so that a process that starts after a downtime counts from here too.
                self.record.since_ms = since_ms.or(Some(now.wall_ms));
                Next::Wall
            }
        }
    }

    /// Whether the task is due, and why. A due time that is skipped stays skipped.
    pub fn due(&mut self, now: Clocks) -> Option<Due> {
        let looked = self.looked.replace(now);
        if self.is_time(now, looked) {
            return Some(Due::Run);
        }
        self.retry.filter(|at| *at <= now.elapsed).map(|_| Due::Retry)
    }

    fn is_time(&mut self, now: Clocks, looked: Option<Clocks>) -> bool {
        let skip = self.plan.catch_up == CatchUp::Skip;
        let seen = |since: &dyn Fn(Clocks) -> bool| looked.is_some_and(since);
        match self.next {
            Next::Elapsed(at) if now.elapsed < at => false,
            Next::Elapsed(at) if skip && now.elapsed - at > GRACE && !seen(&|look| look.elapsed >= at) => {
                if let Schedule::Every(interval) = self.plan.schedule {
                    self.next = Next::Elapsed(now.elapsed + interval);
                }
                false
            }
            Next::Elapsed(_) => true,
            Next::Wall => {
                // Setting the clock back must not make due times occur again; after being set back by days, the old times were
                // wrong.
                self.record.since_ms = Some(self.record.since_ms.map_or(now.wall_ms, |at| believed(at, now.wall_ms)));
                let Some(due_ms) = self.regular_ms(now).filter(|due_ms| *due_ms <= now.wall_ms) else { return false };
                let late = now.wall_ms - due_ms > GRACE.as_millis() as i64;
                if skip && late && !seen(&|look| look.wall_ms >= due_ms) {
                    self.record.since_ms = Some(now.wall_ms);
                    return false;
                }
                true
            }
        }
    }

    /// The next due time, UTC epoch ms, if clocks continue as they are.
    pub fn next_ms(&self, now: Clocks) -> Option<i64> {
        let retry_ms = self.retry.map(|at| wall_ms(at, now));
        self.regular_ms(now).into_iter().chain(retry_ms).min()
    }

    fn regular_ms(&self, now: Clocks) -> Option<i64> {
        match self.next {
            Next::Elapsed(at) => Some(wall_ms(at, now)),
            Next::Wall => self.plan.schedule.next_after(self.record.since_ms?, self.plan.zone),
        }
    }

    /// An attempt begins: the first of a run, which covers the due times up to now, or a retry.
    pub fn begin(&mut self, why: Due, now: Clocks) {
        self.retry = None;
        if why == Due::Run {
            self.give_up();
            // Never goes back, or earlier times would be due again.
            let since_ms = self.record.since_ms.map_or(now.wall_ms, |since_ms| believed(since_ms, now.wall_ms));
            self.record.since_ms = Some(since_ms.max(now.wall_ms));
            self.next = match self.plan.schedule {
                Schedule::Every(interval) => Next::Elapsed(now.elapsed + interval),
                _ => Next::Wall,
            };
        }
        self.record.attempt += 1;
    }

    /// An attempt ended. A failed one is retried after a backoff, as often as configured, for the `remaining` markets if there
    /// are any; `jitter`, 0 to 1, spreads the retries of many processes. A cancelled one is retried by the process that
    /// continues.
    pub fn end(&mut self, last: LastRun, remaining: Vec<Market>, now: Clocks, jitter: f64) {
        let outcome = last.outcome;
        self.record.last = Some(last);
        self.record.remaining = remaining;
        match outcome {
            Outcome::Finished => self.give_up(),
            Outcome::Failed if self.record.attempt > self.plan.retry.attempts => self.give_up(),
            Outcome::Failed | Outcome::Cancelled => {
                self.retry = Some(now.elapsed + self.plan.retry.backoff(self.record.attempt, jitter));
            }
        }
    }

    fn give_up(&mut self) {
        self.record.attempt = 0;
        self.record.remaining.clear();
    }
}

/// What the wall clock will show at a time of the other clock.
fn wall_ms(at: Duration, now: Clocks) -> i64 {
    now.wall_ms + at.saturating_sub(now.elapsed).as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SchedulerConfig, Task};
    use serde_json::json;

    const MINUTE: Duration = Duration::from_secs(60);

    fn plan(task: Task, config: serde_json::Value) -> TaskPlan {
        let serde_json::Value::Object(map) = config else { panic!("not an object") };
        SchedulerConfig::default().merge(map, "test").unwrap().0.plan(task)
    }

    fn at(minutes: u32) -> Clocks {
        Clocks { wall_ms: 1_770_000_000_000 + i64::from(minutes) * 60_000, elapsed: MINUTE * (100 + minutes) }
    }

    fn failed(timer: &mut Timer, now: Clocks, symbol: &str) {
        let attempt = timer.record().attempt;
        let (started_ms, ended_ms, outcome) = (now.wall_ms, now.wall_ms, Outcome::Failed);
        let (done, message, failed, error) = (0, String::new(), Vec::new(), None);
        let last = LastRun { started_ms, ended_ms, outcome, attempt, done, message, failed, error };
        timer.end(last, vec![Market::parse(symbol, "1h").unwrap()], now, 1.0);
    }

    #[test]
    fn one_market_that_fails_does_not_put_off_the_next_run_of_the_others() {
        // Backoffs of 40 minutes, then 80: the second is later than the next due time.
        let retry = json!({ "retry": { "base_seconds": 2400, "longest_seconds": 7200 } });
        let mut timer = Timer::resume(plan(Task::Fetch, retry), Record::default(), at(0));
        assert_eq!(timer.due(at(0)), Some(Due::Run));
        timer.begin(Due::Run, at(0));
        failed(&mut timer, at(0), "NOPEUSDT");
        assert_eq!((timer.due(at(39)), timer.due(at(40))), (None, Some(Due::Retry)));
        timer.begin(Due::Retry, at(40));
        assert_eq!((timer.record().attempt, timer.record().remaining.len()), (2, 1));
        failed(&mut timer, at(40), "NOPEUSDT");
        assert_eq!(timer.next_ms(at(40)), Some(at(60).wall_ms));
        assert_eq!((timer.due(at(59)), timer.due(at(60))), (None, Some(Due::Run)));
        timer.begin(Due::Run, at(60));
        assert_eq!((timer.record().attempt, timer.record().remaining.len()), (1, 0), "all markets, from the beginning");
        // The same in a process that takes over meanwhile.
        let mut other = Timer::resume(timer.plan.clone(), timer.record().clone(), at(70));
        assert_eq!(
            (other.due(at(99)), other.due(at(100)), other.due(at(120))),
            (None, Some(Due::Retry), Some(Due::Run))
        );
    }

    #[test]
    fn a_symbol_that_fails_for_ever_does_not_slow_the_watch_down() {
        let mut timer = Timer::resume(plan(Task::Watch, json!({})), Record::default(), at(0));
        let mut runs = 0;
        for second in 0..600 {
            let now = Clocks { elapsed: at(0).elapsed + Duration::from_secs(second), ..at(0) };
            if let Some(why) = timer.due(now) {
                assert_eq!(why, Due::Run);
                timer.begin(why, now);
                failed(&mut timer, now, "NOPEUSDT");
                runs += 1;
            }
        }
        assert_eq!(runs, 60, "every ten seconds");
    }

    #[test]
    fn with_skip_what_waits_for_another_task_is_not_missed_and_what_nobody_saw_is() {
        for (task, first) in [(Task::Update, Some(360)), (Task::Retrain, None)] {
            let config = json!({ "catch_up": "skip" });
            let begun = Record { since_ms: Some(at(0).wall_ms), ..Record::default() };
            let timer = Timer::resume(plan(task, config), begun, at(0));
            let due = first.unwrap_or_else(|| {
                let mut looking = timer.clone();
                (0..=24 * 60).find(|minute| looking.due(at(*minute)).is_some()).unwrap()
            });
            // Checked all along, but unable to run: still due 16 minutes later.
            let mut busy = timer.clone();
            let seen: Vec<_> = (due - 2..due + 16).map(|minute| busy.due(at(minute)).is_some()).collect();
            assert_eq!(seen, [[false; 2].as_slice(), &[true; 16]].concat(), "{task:?}");
            // Asleep at the due time.
            let mut asleep = timer;
            assert_eq!((asleep.due(at(due - 2)), asleep.due(at(due + 16))), (None, None), "{task:?}");
        }
    }

    #[test]
    fn a_daily_time_comes_also_while_an_attempt_of_yesterday_waits() {
        let config = json!({ "retry": { "attempts": 100, "base_seconds": 86400, "longest_seconds": 86400 } });
        let mut timer = Timer::resume(plan(Task::Retrain, config), Record::default(), at(0));
        let day = 24 * 60;
        let first = (0..=day).find(|minute| timer.due(at(*minute)).is_some()).unwrap();
        timer.begin(Due::Run, at(first));
        failed(&mut timer, at(first + 30), "NOPEUSDT");
        assert_eq!(timer.due(at(first + day - 1)), None);
        assert_eq!(timer.due(at(first + day)), Some(Due::Run));
    }
}
