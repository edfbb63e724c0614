//! When a task is due, from what is remembered of it and the two clocks. Pure: whoever runs the task tells it of each begin
//! and end, and writes its record down.

use super::{CatchUp, LastRun, Moment, Outcome, Record, Schedule, TaskPlan};
use crate::symbol::Market;
use std::time::Duration;

/// A due time later than this was missed, for [`CatchUp::Skip`]; a machine that is merely busy is never so late.
const GRACE: Duration = Duration::from_secs(300);
/// A clock set back by less than this does not bring due times again; one set back further had been wrong.
const SET_BACK_MS: i64 = 24 * 3_600_000;

/// The due times of one task.
#[derive(Debug, Clone)]
pub struct Timer {
    plan: TaskPlan,
    record: Record,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// By the clock that nobody sets: intervals, retries.
    Elapsed(Duration),
    /// By the time of day, after `since_ms` of the record.
    Wall,
}

impl Timer {
    /// Goes on from what is remembered. A task that has never run is due at once, unless it has a time of day.
    pub fn resume(plan: TaskPlan, record: Record, now: Moment) -> Self {
        let mut timer = Self { plan, record, next: Next::Wall };
        timer.next = timer.after(now);
        timer
    }

    /// What is to be remembered.
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn after(&mut self, now: Moment) -> Next {
        if self.record.attempt > self.plan.retry.attempts {
            // A run that took its process with it each time.
            self.give_up();
        }
        if self.record.attempt > 0 {
            return Next::Elapsed(now.elapsed + self.plan.retry.pause(self.record.attempt, 0.5));
        }
        match (&self.plan.schedule, self.record.since_ms) {
            (Schedule::Every(_), None) => Next::Elapsed(now.elapsed),
            (Schedule::Every(interval), Some(since_ms)) => {
                // Less than nothing when the clock was set back: then the whole interval.
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
                // Counted from here, also by a process that comes after a downtime.
                self.record.since_ms = since_ms.or(Some(now.wall_ms));
                Next::Wall
            }
        }
    }

    /// Whether it is due. What is skipped, is so from then on.
    pub fn is_due(&mut self, now: Moment) -> bool {
        let skip = self.plan.catch_up == CatchUp::Skip && self.record.attempt == 0;
        match self.next {
            Next::Elapsed(at) if now.elapsed < at => false,
            Next::Elapsed(at) if skip && now.elapsed - at > GRACE => {
                if let Schedule::Every(interval) = self.plan.schedule {
                    self.next = Next::Elapsed(now.elapsed + interval);
                }
                false
            }
            Next::Elapsed(_) => true,
            Next::Wall => {
                if self.record.since_ms.is_none_or(|since_ms| since_ms > now.wall_ms + SET_BACK_MS) {
                    self.record.since_ms = Some(now.wall_ms);
                }
                let Some(due_ms) = self.next_ms(now).filter(|due_ms| *due_ms <= now.wall_ms) else { return false };
                if skip && now.wall_ms - due_ms > GRACE.as_millis() as i64 {
                    self.record.since_ms = Some(now.wall_ms);
                    return false;
                }
                true
            }
        }
    }

    /// When it is due next, UTC epoch ms, as far as the clocks go on as they are.
    pub fn next_ms(&self, now: Moment) -> Option<i64> {
        match self.next {
            Next::Elapsed(at) => Some(now.wall_ms + at.saturating_sub(now.elapsed).as_millis() as i64),
            Next::Wall => self.plan.schedule.next_after(self.record.since_ms?, self.plan.zone),
        }
    }

    /// An attempt begins.
    pub fn begin(&mut self, now: Moment) {
        self.record.attempt += 1;
        // Never back: the times since would be due again.
        let since_ms = self.record.since_ms.filter(|since_ms| *since_ms <= now.wall_ms + SET_BACK_MS);
        self.record.since_ms = Some(since_ms.map_or(now.wall_ms, |since_ms| since_ms.max(now.wall_ms)));
        self.next = match self.plan.schedule {
            Schedule::Every(interval) => Next::Elapsed(now.elapsed + interval),
            _ => Next::Wall,
        };
    }

    /// The attempt ended. A failed one is tried again after a pause, so often as is configured, `remaining` only if there are
    /// some; `dice`, 0 to 1, spreads the pauses of many processes. A cancelled one is tried again by whoever goes on.
    pub fn end(&mut self, last: LastRun, remaining: Vec<Market>, now: Moment, dice: f64) {
        let outcome = last.outcome;
        self.record.last = Some(last);
        self.record.remaining = remaining;
        match outcome {
            Outcome::Finished => self.give_up(),
            Outcome::Failed if self.record.attempt > self.plan.retry.attempts => self.give_up(),
            Outcome::Failed | Outcome::Cancelled => {
                self.next = Next::Elapsed(now.elapsed + self.plan.retry.pause(self.record.attempt, dice));
            }
        }
    }

    fn give_up(&mut self) {
        self.record.attempt = 0;
        self.record.remaining.clear();
    }
}
