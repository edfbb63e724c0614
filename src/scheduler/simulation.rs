//! Months of a scheduler's life by simulated clocks, with processes that crash, machines that sleep, clocks that are set and
//! drift, and leaders that change. The seeds replay exactly.

use super::{LastRun, Moment, Outcome, Record, Schedule, SchedulerConfig, Task, Timer};
use crate::time::Tz;
use chrono::{DateTime, NaiveDate};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;
/// 2026-02-01: two clock changes in half of the world's zones lie within the ten months that follow.
const START_MS: i64 = 1_769_904_000_000;

/// What all processes share: the files of the home, and the locks.
#[derive(Default)]
struct Home {
    records: HashMap<Task, Record>,
    /// The process that runs a task, by the task's lock.
    running: HashMap<Task, usize>,
    leader: Option<usize>,
}

struct Process {
    life: u64,
    timers: HashMap<Task, Timer>,
    /// Until when each task that it runs goes on, by the monotonic clock, when its attempt began, and how it will end.
    jobs: HashMap<Task, (Duration, i64, Outcome)>,
}

/// A run that began: of which task, at which time of day and monotonic time.
struct Begun {
    task: Task,
    wall_ms: i64,
    elapsed: Duration,
    attempt: u32,
    /// Which process it was, of all that ever lived.
    life: u64,
}

struct World {
    dice: ChaCha8Rng,
    now: Moment,
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
            now: Moment { wall_ms: START_MS, elapsed: Duration::from_secs(1000) },
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
        // The locks die with their process.
        self.home.leader = self.home.leader.filter(|leader| *leader != number);
        self.home.running.retain(|_, process| *process != number);
    }

    /// What the runner of each process does at every tick.
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
            if timer.is_due(now) {
                assert!(self.home.running.insert(task, number).is_none(), "two runs of {task} at once");
                timer.begin(now);
                self.home.records.insert(task, timer.record().clone());
                self.begun.push(Begun {
                    task,
                    wall_ms: now.wall_ms,
                    elapsed: now.elapsed,
                    attempt: timer.record().attempt,
                    life: process.life,
                });
                let length = Duration::from_secs(self.dice.random_range(1..1200));
                let outcome =
                    if self.fails && self.dice.random_bool(0.2) { Outcome::Failed } else { Outcome::Finished };
                process.jobs.insert(task, (now.elapsed + length, now.wall_ms, outcome));
            } else {
                // What a first look remembers outlives the process.
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

/// Without trouble: exactly one retraining a local day, and every interval kept.
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

/// With crashes, sleep, steps and drift of the clock, failures, and leaders that change.
#[test]
fn months_full_of_trouble() {
    for seed in 0..60 {
        let mut dice = ChaCha8Rng::seed_from_u64(1000 + seed);
        let zone = zone(&mut dice);
        let mut world = World::new(seed, zone, true);
        // The highest time of day that the clock has shown: days beyond it have not been yet.
        let mut highest_ms = START_MS;
        let (mut steps_back_ms, mut lives) = (0, 0);
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
                    let back = dice.random_range(0..5 * 60) * MINUTE_MS;
                    world.now.wall_ms -= back;
                    steps_back_ms += back;
                }
                _ => {}
            }
            let before = world.begun.len();
            world.tick();
            // One catch-up per task: whatever was missed, nothing begins twice in one look.
            for task in Task::ALL {
                let now = world.begun[before..].iter().filter(|begun| begun.task == task).count();
                assert!(now <= 1, "seed {seed}: {now} runs of {task} at once");
            }
            highest_ms = highest_ms.max(world.now.wall_ms);
            world.pass(10 * MINUTE_MS);
            // Drift: half a second in ten minutes.
            world.now.wall_ms += dice.random_range(-500..=500);
        }
        let mut runs = HashMap::<NaiveDate, u32>::new();
        let first_attempts = world.begun(Task::Retrain).filter(|begun| begun.attempt == 1);
        let mut latest_ms = i64::MIN;
        for run in first_attempts {
            // A catch-up of the day before may come after midnight and before 02:00; counted by its due time.
            let due = Schedule::Daily { at: chrono::NaiveTime::from_hms_opt(2, 0, 0).unwrap(), days: 1 };
            let next_ms = due.next_after(run.wall_ms, zone).unwrap();
            assert!(next_ms > latest_ms, "seed {seed} {zone}: the same 02:00 twice");
            latest_ms = next_ms;
            *runs.entry(local_day(next_ms, zone)).or_default() += 1;
        }
        assert!(runs.values().all(|count| *count == 1), "seed {seed} {zone}");
        assert!(runs.len() > 20, "seed {seed}: only {} days with a retraining", runs.len());
        assert!(steps_back_ms > 0 && highest_ms > START_MS + 120 * 86_400_000);
        // No process begins an interval's run early, whatever the clocks on the wall show.
        for (task, hours) in [(Task::Fetch, 1), (Task::Update, 6), (Task::Evaluate, 12)] {
            let times: Vec<&Begun> = world.begun(task).collect();
            for pair in times.windows(2).filter(|pair| pair[0].life == pair[1].life && pair[1].attempt == 1) {
                let apart = pair[1].elapsed - pair[0].elapsed;
                assert!(apart >= Duration::from_secs(hours * 3600), "seed {seed}: {task} after {apart:?}");
            }
        }
    }
}
