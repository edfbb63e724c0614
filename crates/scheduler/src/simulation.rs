//! Months of a scheduler by simulated clocks, with crashes, sleep, clocks that are set and drift, and changing leaders. Seeds
//! reproduce each run.

use super::{Clocks, LastRun, Outcome, Record, Schedule, SchedulerConfig, Task, Timer};
use chrono::{DateTime, NaiveDate};
use domain::time::Tz;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
const LONGEST_RUN: Duration = Duration::from_secs(1200);
/// 2026-02-01: two clock changes in half of the world's zones lie within the ten months that follow.
const START_MS: i64 = 1_769_904_000_000;

/// What processes share: the files of the home and the locks.
#[derive(Default)]
struct Home {
    records: HashMap<Task, Record>,
    /// The process that holds each task's lock.
    running: HashMap<Task, usize>,
    leader: Option<usize>,
}

struct Process {
    life: u64,
    timers: HashMap<Task, Timer>,
    /// For each running task: its end by the monotonic clock, when its attempt began, and its outcome.
    jobs: HashMap<Task, (Duration, i64, Outcome)>,
}

/// A run that began: its task, wall-clock time and monotonic time.
#[derive(Debug, PartialEq)]
struct Begun {
    task: Task,
    wall_ms: i64,
    elapsed: Duration,
    attempt: u32,
    /// The number of the process, counted over all that ever ran.
    life: u64,
}

struct World {
    dice: ChaCha8Rng,
    now: Clocks,
    home: Home,
    processes: Vec<Option<Process>>,
    begun: Vec<Begun>,
    config: SchedulerConfig,
    fails: bool,
}

impl World {
    fn new(seed: u64, zone: Tz, fails: bool) -> Self {
        let serde_json::Value::Object(map) = json!({ "timezone": zone.name() }) else { unreachable!() };
        Self {
            dice: ChaCha8Rng::seed_from_u64(seed),
            now: Clocks { wall_ms: START_MS, elapsed: Duration::from_secs(1000) },
            home: Home::default(),
            processes: vec![None, None, None],
            begun: Vec::new(),
            config: SchedulerConfig::default().merge(map, "test").unwrap().0,
            fails,
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        self.now.elapsed += Duration::from_millis(ms as u64);
    }

    fn kill(&mut self, number: usize) {
        self.processes[number] = None;
        // Locks end with their process.
        self.home.leader = self.home.leader.filter(|leader| *leader != number);
        self.home.running.retain(|_, process| *process != number);
    }

    /// What each process's runner does at every tick.
    fn tick(&mut self) {
        for number in 0..self.processes.len() {
            let Some(mut process) = self.processes[number].take() else { continue };
            if *self.home.leader.get_or_insert(number) == number {
                self.lead(number, &mut process);
            }
            self.processes[number] = Some(process);
        }
    }

    fn lead(&mut self, number: usize, process: &mut Process) {
        let now = self.now;
        for task in [Task::Fetch, Task::Retrain, Task::Update, Task::Evaluate] {
            let record = self.home.records.get(&task).cloned().unwrap_or_default();
            let plan = self.config.plan(task);
            let timer = process.timers.entry(task).or_insert_with(|| Timer::resume(plan, record, now));
            if let Some((until, started_ms, outcome)) = process.jobs.get(&task).copied() {
                if now.elapsed < until {
                    continue;
                }
                process.jobs.remove(&task);
                assert_eq!(self.home.running.remove(&task), Some(number), "{task} ran without its lock");
                let attempt = timer.record().attempt;
                let (done, message, failed, error) = (0, String::new(), Vec::new(), None);
                let last =
                    LastRun { started_ms, ended_ms: now.wall_ms, outcome, attempt, done, message, failed, error };
                timer.end(last, Vec::new(), now, self.dice.random());
                self.home.records.insert(task, timer.record().clone());
            }
            if let Some(why) = timer.due(now) {
                assert!(self.home.running.insert(task, number).is_none(), "two runs of {task} at once");
                timer.begin(why, now);
                self.home.records.insert(task, timer.record().clone());
                self.begun.push(Begun {
                    task,
                    wall_ms: now.wall_ms,
                    elapsed: now.elapsed,
                    attempt: timer.record().attempt,
                    life: process.life,
                });
                let length = Duration::from_secs(self.dice.random_range(1..LONGEST_RUN.as_secs()));
                let outcome =
                    if self.fails && self.dice.random_bool(0.2) { Outcome::Failed } else { Outcome::Finished };
                process.jobs.insert(task, (now.elapsed + length, now.wall_ms, outcome));
            } else {
                // What the first look stores outlives the process.
                self.home.records.insert(task, timer.record().clone());
            }
        }
    }

    fn begun(&self, task: Task) -> impl Iterator<Item = &Begun> {
        self.begun.iter().filter(move |begun| begun.task == task)
    }
}

fn local_day(ms: i64, zone: Tz) -> NaiveDate {
    DateTime::from_timestamp_millis(ms).unwrap().with_timezone(&zone).date_naive()
}

fn process(life: u64) -> Option<Process> {
    Some(Process { life, timers: HashMap::new(), jobs: HashMap::new() })
}

fn zone(dice: &mut impl Rng) -> Tz {
    let names = Tz::names();
    names[dice.random_range(0..names.len())].parse().unwrap()
}

/// Without faults: exactly one retraining per local day, and every interval is kept.
#[test]
fn ten_quiet_months_in_many_zones() {
    for seed in 0..40 {
        let zone = zone(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut world = World::new(seed, zone, false);
        world.processes[0] = process(0);
        for _ in 0..300 * 24 * 12 {
            world.tick();
            world.pass(5 * MINUTE_MS);
        }
        let mut day = local_day(START_MS, zone);
        let mut last = None;
        for run in world.begun(Task::Retrain) {
            let of = local_day(run.wall_ms, zone);
            assert!(
                last.is_none_or(|last: NaiveDate| last.succ_opt() == Some(of)),
                "seed {seed} {zone}: {last:?} {of}"
            );
            last = Some(of);
        }
        while day < local_day(world.now.wall_ms, zone) {
            day = day.succ_opt().unwrap();
        }
        assert!(last.unwrap().succ_opt().unwrap() >= day, "seed {seed}: {last:?} is long ago on {day}");
        for (task, hours) in [(Task::Fetch, 1), (Task::Update, 6), (Task::Evaluate, 12)] {
            let times: Vec<Duration> = world.begun(task).map(|begun| begun.elapsed).collect();
            assert_eq!(times.len(), 300 * 24 / hours, "seed {seed} {task}");
        }
    }
}

/// Failed attempts are retried, and never delay the next run of other markets.
#[test]
fn months_of_failures_hold_up_no_due_time() {
    for seed in 0..20 {
        let mut world = World::new(seed, Tz::UTC, true);
        world.processes[0] = process(0);
        for _ in 0..60 * 24 * 12 {
            world.tick();
            world.pass(5 * MINUTE_MS);
        }
        for (task, hours) in [(Task::Fetch, 1), (Task::Update, 6), (Task::Evaluate, 12), (Task::Retrain, 24)] {
            assert!(world.begun(task).any(|begun| begun.attempt > 1), "seed {seed}: nothing of {task} failed");
            let runs: Vec<Duration> = world.begun(task).filter(|run| run.attempt == 1).map(|run| run.elapsed).collect();
            // A running attempt is waited for, and due times are checked every five minutes.
            let longest = Duration::from_secs(hours * 3600 + 300) + LONGEST_RUN;
            assert!(runs.windows(2).all(|pair| pair[1] - pair[0] <= longest), "seed {seed}: {task} was put off");
        }
    }
}

#[test]
fn a_seed_replays_exactly() {
    assert_eq!(trouble(7).begun, trouble(7).begun);
    assert_ne!(trouble(7).begun, trouble(8).begun);
}

/// With crashes, sleep, clock changes and drift, failures, and changing leaders.
#[test]
fn months_full_of_trouble() {
    (0..60).for_each(|seed| drop(trouble(seed)));
}

/// Four months of faults; the invariants are checked at each step.
fn trouble(seed: u64) -> World {
    let mut dice = ChaCha8Rng::seed_from_u64(1000 + seed);
    let zone = zone(&mut dice);
    let mut world = World::new(seed, zone, true);
    let (mut checks, mut lives, mut steps_back) = (Checks::new(seed, zone), 0, 0);
    for _ in 0..120 * 24 * 6 {
        for number in 0..3 {
            if world.processes[number].is_none() && dice.random_bool(0.05) {
                lives += 1;
                world.processes[number] = process(lives);
            }
        }
        match dice.random_range(0..400) {
            0 | 1 => world.kill(dice.random_range(0..3)),
            2 => world.pass(dice.random_range(1..72) * 60 * MINUTE_MS), // sleep
            3 => {
                (0..3).for_each(|number| world.kill(number));
                world.pass(dice.random_range(1..72) * 60 * MINUTE_MS); // downtime
            }
            4 => world.now.wall_ms += dice.random_range(0..5 * 60) * MINUTE_MS,
            5 => {
                world.now.wall_ms -= dice.random_range(0..5 * 60) * MINUTE_MS;
                steps_back += 1;
            }
            _ => {}
        }
        let before = world.begun.len();
        world.tick();
        checks.step(&world.begun[before..]);
        world.pass(10 * MINUTE_MS);
        // Drift: half a second in ten minutes.
        world.now.wall_ms += dice.random_range(-500..=500);
    }
    assert!(checks.days > 20, "seed {seed}: only {} days with a retraining", checks.days);
    assert!(steps_back > 0 && lives > 3, "seed {seed}: too little trouble");
    world
}

/// Invariants that always hold.
struct Checks {
    seed: u64,
    zone: Tz,
    /// The 02:00 after the last retraining.
    next_night_ms: i64,
    /// Days with a retraining.
    days: usize,
    /// When each process last began a run of each task, by the monotonic clock.
    last: HashMap<(u64, Task), Duration>,
}

impl Checks {
    fn new(seed: u64, zone: Tz) -> Self {
        Self { seed, zone, next_night_ms: i64::MIN, days: 0, last: HashMap::new() }
    }

    fn step(&mut self, begun: &[Begun]) {
        let Self { seed, zone, .. } = *self;
        // One catch-up per task: however much was missed, a task begins at most once per check.
        for task in Task::ALL {
            let now = begun.iter().filter(|begun| begun.task == task).count();
            assert!(now <= 1, "seed {seed}: {now} runs of {task} at once");
        }
        for run in begun.iter().filter(|begun| begun.attempt == 1) {
            if run.task == Task::Retrain {
                // A catch-up of the previous day may run after midnight and before 02:00; it counts by its due time.
                let night = Schedule::Daily { at: chrono::NaiveTime::from_hms_opt(2, 0, 0).unwrap(), days: 1 };
                let next_ms = night.next_after(run.wall_ms, zone).unwrap();
                assert!(next_ms > self.next_night_ms, "seed {seed} {zone}: the same 02:00 twice");
                (self.next_night_ms, self.days) = (next_ms, self.days + 1);
                continue;
            }
            // No process begins an interval's run early, whatever the wall clock shows.
            let hours = match run.task {
                Task::Fetch => 1,
                Task::Update => 6,
                _ => 12,
            };
            if let Some(before) = self.last.insert((run.life, run.task), run.elapsed) {
                let apart = run.elapsed - before;
                assert!(apart >= Duration::from_secs(hours * 3600), "seed {seed}: {} after {apart:?}", run.task);
            }
        }
    }
}
