//! `scheduler_config.json`: raw JSON in, a checked [`SchedulerConfig`] out.

use super::{Schedule, Task};
use crate::config::raw::{Raw, invalid, read_object, within};
use crate::error::Result;
use crate::time::Tz;
use chrono::NaiveTime;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What is done about due times that passed while nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// The task runs once. The default.
    #[default]
    Once,
    /// It waits for its next due time.
    Skip,
}

/// How a failed run is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// How often; then it waits for its next due time. Default 3.
    pub attempts: u32,
    /// Before the first; doubled for each further one. Default 60 s.
    pub base: Duration,
    /// The longest. Default 1 h.
    pub longest: Duration,
}

impl Retry {
    /// The pause after so many attempts: between half and all of what doubling gives, by `dice`, 0 to 1.
    pub fn pause(&self, attempt: u32, dice: f64) -> Duration {
        let doubled = self.base.as_secs_f64() * f64::from(attempt.saturating_sub(1).min(30)).exp2();
        Duration::from_secs_f64(doubled.min(self.longest.as_secs_f64()) * (0.5 + 0.5 * dice))
    }
}

/// How one task is run.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPlan {
    /// By itself; if not, only when asked for.
    pub enabled: bool,
    /// When.
    pub schedule: Schedule,
    /// Where days begin.
    pub zone: Tz,
    /// What is done about due times missed.
    pub catch_up: CatchUp,
    /// What is done about failures.
    pub retry: Retry,
    /// After this long an attempt is cancelled.
    pub deadline: Duration,
}

/// The checked configuration of a home's scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Whether anything runs by itself. Default true.
    pub enabled: bool,
    /// The zone of times of day and patterns. Default UTC.
    pub timezone: Tz,
    /// Default once.
    pub catch_up: CatchUp,
    /// What is done about failures.
    pub retry: Retry,
    /// `poor_performance` of the training configuration, replaced while the scheduler runs.
    pub poor_performance: Option<Value>,
    tasks: BTreeMap<Task, (bool, Schedule, Duration)>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Default for SchedulerConfig {
    fn default() -> Self {
        let night = NaiveTime::from_hms_opt(2, 0, 0).unwrap_or_default();
        let tasks = [
            (Task::Watch, Schedule::Every(Duration::from_secs(10)), HOUR / 6),
            (Task::Fetch, Schedule::Every(HOUR), HOUR / 2),
            (Task::Retrain, Schedule::Daily { at: night, days: 1 }, HOUR * 6),
            (Task::Update, Schedule::Every(HOUR * 6), HOUR * 2),
            (Task::Evaluate, Schedule::Every(HOUR * 12), HOUR / 2),
        ];
        Self {
            enabled: true,
            timezone: Tz::UTC,
            catch_up: CatchUp::default(),
            retry: Retry { attempts: 3, base: Duration::from_secs(60), longest: HOUR },
            poor_performance: None,
            tasks: tasks.into_iter().map(|(task, schedule, deadline)| (task, (true, schedule, deadline))).collect(),
        }
    }
}

impl SchedulerConfig {
    /// Reads `file` if it exists, else takes the defaults. Also returns warnings about unknown keys.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] naming key, value and what is allowed.
    pub fn load(file: &Path) -> Result<(Self, Vec<String>)> {
        match read_object(file)? {
            Some(map) => Self::default().merge(map, &file.display().to_string()),
            None => Ok((Self::default(), Vec::new())),
        }
    }

    /// How `task` is run.
    pub fn plan(&self, task: Task) -> TaskPlan {
        // Every task has an entry from the defaults on.
        let (enabled, schedule, deadline) = self.tasks[&task].clone();
        let Self { timezone: zone, catch_up, retry, .. } = *self;
        TaskPlan { enabled, schedule, zone, catch_up, retry, deadline }
    }

    /// This configuration with the keys of `raw` (snake_case or camelCase) replaced. `file` names their source.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn merge(mut self, raw: Map<String, Value>, file: &str) -> Result<(Self, Vec<String>)> {
        let mut raw = Raw::new(file, "", raw);
        raw.set("enabled", "must be true or false", Value::as_bool, &mut self.enabled)?;
        let zone = |v: &Value| v.as_str()?.parse().ok();
        raw.set("timezone", "must be an IANA time zone such as \"Europe/Berlin\"", zone, &mut self.timezone)?;
        let catch_up = |v: &Value| match v.as_str()? {
            "once" => Some(CatchUp::Once),
            "skip" => Some(CatchUp::Skip),
            _ => None,
        };
        raw.set("catch_up", "must be \"once\" or \"skip\"", catch_up, &mut self.catch_up)?;
        let object = |v: &Value| v.is_object().then(|| Some(v.clone()));
        raw.set("poor_performance", "must be an object", object, &mut self.poor_performance)?;
        let mut warnings = Vec::new();
        if let Some(mut nested) = raw.nested("retry", "retry.")? {
            let retry = &mut self.retry;
            let attempts = |v: &Value| v.as_u64().filter(|n| *n <= 100).map(|n| n as u32);
            nested.set("attempts", "must be a whole number, 0 to 100", attempts, &mut retry.attempts)?;
            let allowed = "must be a number of seconds, 0.01 to 86400";
            nested.set("base_seconds", allowed, seconds(0.01, 86_400.0), &mut retry.base)?;
            nested.set("longest_seconds", allowed, seconds(0.01, 86_400.0), &mut retry.longest)?;
            warnings.extend(nested.warnings());
        }
        for (task, (enabled, schedule, deadline)) in &mut self.tasks {
            let Some(mut nested) = raw.nested(task.as_str(), prefix(*task))? else { continue };
            nested.set("enabled", "must be true or false", Value::as_bool, enabled)?;
            let allowed = "must be a number of minutes, 0.01 to 10080";
            let minutes = |v: &Value| Some(seconds(0.01, 10_080.0)(v)? * 60);
            nested.set("deadline_minutes", allowed, minutes, deadline)?;
            if let Some(given) = read_schedule(&mut nested)? {
                *schedule = given;
            }
            warnings.extend(nested.warnings());
        }
        warnings.extend(raw.warnings());
        Ok((self, warnings))
    }
}

fn prefix(task: Task) -> &'static str {
    match task {
        Task::Watch => "watch.",
        Task::Fetch => "fetch.",
        Task::Retrain => "retrain.",
        Task::Update => "update.",
        Task::Evaluate => "evaluate.",
    }
}

fn seconds(low: f64, high: f64) -> impl Fn(&Value) -> Option<Duration> {
    move |value| within(low, high)(value).map(Duration::from_secs_f64)
}

/// The schedule that a task's keys give; those of one way to say it replace the others.
fn read_schedule(raw: &mut Raw<'_>) -> Result<Option<Schedule>> {
    let given: Vec<&str> =
        ["interval_seconds", "interval_hours", "time", "cron"].into_iter().filter(|key| raw.has(key)).collect();
    let (mut short, mut hours, mut time, mut cron) = (None, None, None, None);
    let allowed = "must be a number of seconds, 1 to 86400";
    raw.set("interval_seconds", allowed, |v| seconds(1.0, 86_400.0)(v).map(Some), &mut short)?;
    let allowed = "must be a number of hours, above 0 (0.001) to 8760";
    raw.set("interval_hours", allowed, |v| within(0.001, 8760.0)(v).map(Some), &mut hours)?;
    let at = |v: &Value| NaiveTime::parse_from_str(v.as_str()?, "%H:%M").ok().map(Some);
    raw.set("time", "must be a time of day such as \"02:00\"", at, &mut time)?;
    let pattern = |v: &Value| Schedule::cron(v.as_str()?).map(Some);
    let allowed = "must be a cron pattern of five fields that some day matches, such as \"0 2 * * *\"";
    raw.set("cron", allowed, pattern, &mut cron)?;
    let whole_days = hours.filter(|hours| *hours >= 24.0 && hours % 24.0 == 0.0);
    Ok(match (short, hours, time, cron) {
        (None, None, None, None) => None,
        (Some(interval), None, None, None) => Some(Schedule::Every(interval)),
        (None, Some(hours), None, None) => Some(Schedule::Every(Duration::from_secs_f64(hours * 3600.0))),
        (None, None, Some(at), None) => Some(Schedule::Daily { at, days: 1 }),
        (None, Some(_), Some(at), None) if whole_days.is_some() => {
            Some(Schedule::Daily { at, days: (whole_days.unwrap_or(24.0) / 24.0) as u32 })
        }
        (None, None, None, Some(cron)) => Some(cron),
        (None, Some(hours), Some(_), None) => {
            let key = format!("{}interval_hours", raw.prefix);
            return Err(invalid(raw.file, &key, &hours.into(), "must be 24 or a multiple of it beside `time`"));
        }
        _ => {
            let allowed = "must say when in one way: `interval_hours`, `interval_seconds`, `time`, `interval_hours` with \
                           `time`, or `cron`";
            return Err(invalid(raw.file, raw.prefix.trim_end_matches('.'), &given.join(", ").into(), allowed));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merge(value: Value) -> Result<(SchedulerConfig, Vec<String>)> {
        let Value::Object(map) = value else { panic!("not an object") };
        SchedulerConfig::default().merge(map, "scheduler_config.json")
    }

    fn shown(config: &SchedulerConfig) -> Vec<String> {
        Task::ALL.map(|task| format!("{task} {}", config.plan(task).schedule)).to_vec()
    }

    #[test]
    fn defaults_and_the_ways_to_say_when() {
        let defaults = [
            "watch every 10 s",
            "fetch every 1 h",
            "retrain daily at 02:00",
            "update every 6 h",
            "evaluate every 12 h",
        ];
        assert_eq!(shown(&SchedulerConfig::default()), defaults);
        let (config, warnings) = merge(json!({
            "timezone": "Europe/Berlin", "catchUp": "skip",
            "watch": { "intervalSeconds": 30 }, "fetch": { "interval_hours": 0.5 }, "retrain": { "interval_hours": 48, "time": "03:30" },
            "update": { "cron": "0 */4 * * *", "enabled": false }, "evaluate": { "time": "12:00", "deadline_minutes": 5 },
        }))
        .unwrap();
        let expected = [
            "watch every 30 s",
            "fetch every 1800 s",
            "retrain every 2 days at 03:30",
            "update cron 0 */4 * * *",
            "evaluate daily at 12:00",
        ];
        assert_eq!((shown(&config), warnings), (expected.map(str::to_owned).to_vec(), vec![]));
        let update = config.plan(Task::Update);
        assert_eq!(
            (update.enabled, update.catch_up, update.zone),
            (false, CatchUp::Skip, "Europe/Berlin".parse().unwrap())
        );
        assert_eq!(config.plan(Task::Evaluate).deadline, Duration::from_secs(300));
    }

    #[test]
    fn a_wrong_value_names_key_value_and_what_is_allowed() {
        let cases = [
            (json!({ "enabled": "yes" }), "`enabled` must be true or false; got \"yes\""),
            (json!({ "timezone": "Mars/Base" }), "`timezone` must be an IANA time zone"),
            (json!({ "catch_up": "twice" }), "`catch_up` must be \"once\" or \"skip\""),
            (json!({ "fetch": 5 }), "`fetch` must be an object; got 5"),
            (json!({ "fetch": { "interval_hours": 0 } }), "`fetch.interval_hours` must be a number of hours"),
            (json!({ "watch": { "interval_seconds": "10" } }), "`watch.interval_seconds` must be a number of seconds"),
            (
                json!({ "retrain": { "time": "25:00" } }),
                "`retrain.time` must be a time of day such as \"02:00\"; got \"25:00\"",
            ),
            (
                json!({ "retrain": { "interval_hours": 36, "time": "02:00" } }),
                "`retrain.interval_hours` must be 24 or a multiple",
            ),
            (json!({ "retrain": { "cron": "0 2 * * *", "time": "02:00" } }), "`retrain` must say when in one way"),
            (json!({ "update": { "cron": "0 2 30 2 *" } }), "`update.cron` must be a cron pattern of five fields"),
            (json!({ "retry": { "attempts": -1 } }), "`retry.attempts` must be a whole number, 0 to 100; got -1"),
            (
                json!({ "evaluate": { "deadline_minutes": 0 } }),
                "`evaluate.deadline_minutes` must be a number of minutes",
            ),
            (json!({ "poor_performance": 40 }), "`poor_performance` must be an object"),
        ];
        for (raw, expected) in cases {
            let error = merge(raw).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let (_, warnings) = merge(json!({ "fech": {}, "fetch": { "every": 1 } })).unwrap();
        assert!(warnings[0].contains("`fetch.every`") && warnings[1].contains("`fech`"), "{warnings:?}");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let retry = SchedulerConfig::default().retry;
        let pauses: Vec<u64> = (1..=8).map(|attempt| retry.pause(attempt, 1.0).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(retry.pause(2, 0.0).as_secs(), 60);
    }
}
