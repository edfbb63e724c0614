//! `scheduler_config.json`: parses raw JSON into a checked [`SchedulerConfig`].

use super::{Schedule, Task};
use chrono::NaiveTime;
use domain::config::PoorPerformance;
use domain::config::raw::{Raw, list_of, read_object};
use domain::config::span::{EXAMPLES, HOUR, MINUTE, SECOND, span};
use domain::error::Result;
use domain::symbol::Symbol;
use domain::time::Tz;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What to do about due times that passed while nothing ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// The task runs once. The default.
    #[default]
    Once,
    /// The task waits for its next due time.
    Skip,
}

/// Where the watch has current prices from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchPrices {
    /// The exchange tells each trade by WebSocket; while it does not, prices are requested. The default.
    #[default]
    Stream,
    /// They are requested whenever the watch runs.
    Poll,
}

/// How failed runs are retried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Most retries; then the task waits for its next due time. Default 3.
    pub attempts: u32,
    /// Backoff before the first retry; doubled for each further one. Default 60 s.
    pub base: Duration,
    /// The longest backoff. Default 1 h.
    pub longest: Duration,
}

impl Retry {
    /// The backoff after this many attempts: half of the doubled value, plus up to the other half by `jitter`, 0 to 1.
    pub fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.base.as_secs_f64() * f64::from(attempt.saturating_sub(1).min(30)).exp2();
        Duration::from_secs_f64(doubled.min(self.longest.as_secs_f64()) * (0.5 + 0.5 * jitter))
    }
}

/// How a task is run.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPlan {
    /// Whether it runs on schedule; if not, only on request.
    pub enabled: bool,
    /// When it is due.
    pub schedule: Schedule,
    /// The time zone in which days begin.
    pub zone: Tz,
    /// What to do about missed due times.
    pub catch_up: CatchUp,
    /// How failures are retried.
    pub retry: Retry,
    /// An attempt that takes longer is cancelled.
    pub deadline: Duration,
    /// The symbols that it works on; `None` for all configured ones.
    pub symbols: Option<Vec<Symbol>>,
}

/// The checked configuration of a home's scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Whether tasks run on schedule at all. Default true.
    pub enabled: bool,
    /// The time zone of times of day and cron patterns. Default UTC.
    pub timezone: Tz,
    /// What to do about missed due times. Default: run once.
    pub catch_up: CatchUp,
    /// How failures are retried.
    pub retry: Retry,
    /// Keys that replace those of `poor_performance` in the training configuration; checked.
    pub poor_performance: Map<String, Value>,
    /// The key `alerts`, as it was given; `alerts` checks it.
    pub alerts: AlertsGiven,
    /// Where the watch has current prices from. Default: by WebSocket.
    pub prices: WatchPrices,
    /// Where the exchange's WebSocket is; for KuCoin, its REST API. Default: the exchange's own.
    pub stream_url: Option<String>,
    tasks: BTreeMap<Task, TaskSettings>,
}

/// The value of the key `alerts`. It may hold secrets, so its `Debug` does not show it.
#[derive(Clone, PartialEq, Default)]
pub struct AlertsGiven {
    /// The value; null if there is none.
    pub value: Value,
    /// The file or other source that it comes from, for errors.
    pub file: String,
}

impl fmt::Debug for AlertsGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertsGiven({})", self.file)
    }
}

/// The settings of one task.
#[derive(Debug, Clone, PartialEq)]
struct TaskSettings {
    enabled: bool,
    schedule: Schedule,
    deadline: Duration,
    symbols: Option<Vec<Symbol>>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        let night = NaiveTime::from_hms_opt(2, 0, 0).unwrap_or_default();
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let tasks = [
            (Task::Watch, Schedule::Every(Duration::from_secs(10)), hours(1) / 6),
            (Task::Fetch, Schedule::Every(hours(1)), hours(1) / 2),
            (Task::Retrain, Schedule::Daily { at: night, days: 1 }, hours(6)),
            (Task::Update, Schedule::Every(hours(6)), hours(2)),
            (Task::Evaluate, Schedule::Every(hours(12)), hours(1) / 2),
        ];
        let own =
            |(task, schedule, deadline)| (task, TaskSettings { enabled: true, schedule, deadline, symbols: None });
        Self {
            enabled: true,
            timezone: Tz::UTC,
            catch_up: CatchUp::default(),
            retry: Retry { attempts: 3, base: Duration::from_secs(60), longest: hours(1) },
            poor_performance: Map::new(),
            alerts: AlertsGiven::default(),
            prices: WatchPrices::default(),
            stream_url: None,
            tasks: tasks.into_iter().map(own).collect(),
        }
    }
}

impl SchedulerConfig {
    /// Reads `file` if it exists, else returns the defaults. Also returns warnings about unknown keys.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidConfig`] with key, value and what is allowed.
    pub fn load(file: &Path) -> Result<(Self, Vec<String>)> {
        match read_object(file)? {
            Some(map) => Self::default().merge(map, &file.display().to_string()),
            None => Ok((Self::default(), Vec::new())),
        }
    }

    /// How `task` is run.
    pub fn plan(&self, task: Task) -> TaskPlan {
        // The defaults have an entry for every task.
        let TaskSettings { enabled, schedule, deadline, symbols } = self.tasks[&task].clone();
        let Self { timezone: zone, catch_up, retry, .. } = *self;
        TaskPlan { enabled, schedule, zone, catch_up, retry, deadline, symbols }
    }

    /// Replaces the settings that `raw` has, in snake_case or camelCase. `file` names the source in errors and warnings.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn merge(mut self, raw: Map<String, Value>, file: &str) -> Result<(Self, Vec<String>)> {
        let mut raw = Raw::new(file, raw);
        raw.set(&["enabled"], "must be true or false", Value::as_bool, &mut self.enabled)?;
        let zone = |v: &Value| v.as_str()?.parse().ok();
        raw.set(&["timezone"], "must be an IANA time zone such as \"Europe/Berlin\"", zone, &mut self.timezone)?;
        let catch_up = |v: &Value| match v.as_str()? {
            "once" => Some(CatchUp::Once),
            "skip" => Some(CatchUp::Skip),
            _ => None,
        };
        raw.set(&["catch_up"], "must be \"once\" or \"skip\"", catch_up, &mut self.catch_up)?;
        let alerts = |v: &Value| Some(AlertsGiven { value: v.clone(), file: file.to_owned() });
        raw.set(&["alerts"], "", alerts, &mut self.alerts)?;
        let mut warnings = self.merge_thresholds(&mut raw)?;
        let mut nested = raw.nested(&["retry"])?;
        self.retry.merge(&mut nested)?;
        warnings.extend(nested.warnings());
        // The former system nested its tasks one level deeper.
        let mut schedules = raw.nested(&["schedules"])?;
        for (task, own) in &mut self.tasks {
            let mut nested = raw.nested(task.names())?;
            nested.join(schedules.nested(task.names())?);
            if *task == Task::Watch {
                merge_prices(&mut nested, &mut self.prices, &mut self.stream_url)?;
            }
            own.merge(&mut nested)?;
            warnings.extend(nested.warnings());
        }
        warnings.extend(schedules.warnings());
        warnings.extend(raw.warnings());
        Ok((self, warnings))
    }

    /// Reads `poor_performance`, and the two of its keys that the former system had at the top level.
    fn merge_thresholds(&mut self, raw: &mut Raw<'_>) -> Result<Vec<String>> {
        let mut nested = raw.nested(&["poor_performance"])?;
        nested.adopt(raw, "poor_performance_threshold", "success_threshold");
        nested.adopt(raw, "auto_retrain_on_poor_performance", "emergency_training");
        let mut given = nested.to_map();
        PoorPerformance::default().merge(&mut nested)?;
        let unknown = nested.to_map();
        given.retain(|name, _| !unknown.contains_key(name));
        self.poor_performance.extend(given);
        Ok(nested.warnings().collect())
    }
}

/// Reads the keys that only the watch has.
fn merge_prices(raw: &mut Raw<'_>, prices: &mut WatchPrices, stream_url: &mut Option<String>) -> Result<()> {
    let of_text = |v: &Value| match v.as_str()? {
        "stream" => Some(WatchPrices::Stream),
        "poll" => Some(WatchPrices::Poll),
        _ => None,
    };
    raw.set(&["prices"], "must be \"stream\" or \"poll\"", of_text, prices)?;
    let schemes = ["ws://", "wss://", "http://", "https://"];
    let url = |v: &Value| {
        let text = v.as_str()?.trim();
        let has_host = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        has_host.then(|| Some(text.to_owned()))
    };
    raw.set(&["stream_url"], "must be a ws(s) URL, or for KuCoin an http(s) URL", url, stream_url)
}

impl Retry {
    fn merge(&mut self, raw: &mut Raw<'_>) -> Result<()> {
        let attempts = |v: &Value| v.as_u64().filter(|n| *n <= 100).map(|n| n as u32);
        raw.set(&["attempts"], "must be a whole number, 0 to 100", attempts, &mut self.attempts)?;
        let allowed = "must be a number of seconds, 0.01 to 86400, or text such as \"90s\"";
        let seconds = || span(SECOND, 0.01, 86_400.0);
        raw.set(&["base_seconds"], allowed, seconds(), &mut self.base)?;
        raw.set(&["longest_seconds"], allowed, seconds(), &mut self.longest)
    }
}

impl TaskSettings {
    fn merge(&mut self, raw: &mut Raw<'_>) -> Result<()> {
        raw.set(&["enabled"], "must be true or false", Value::as_bool, &mut self.enabled)?;
        let allowed = "must be a number of minutes, 0.01 to 10080, or text such as \"30m\"";
        raw.set(&["deadline_minutes"], allowed, span(MINUTE, 0.01 * MINUTE, 10_080.0 * MINUTE), &mut self.deadline)?;
        let symbols = |v: &Value| list_of(Symbol::parse)(v).map(Some);
        raw.set(&["symbols"], "must be a list of pairs such as [\"BTCUSDT\"]", symbols, &mut self.symbols)?;
        if let Some(schedule) = read_schedule(raw)? {
            self.schedule = schedule;
        }
        Ok(())
    }
}

/// The keys that set an interval.
const INTERVALS: &[&str] = &["interval", "interval_hours", "interval_seconds"];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The schedule that a task's keys set, which replaces the former one.
fn read_schedule(raw: &mut Raw<'_>) -> Result<Option<Schedule>> {
    let (as_interval, given) = (raw.written(INTERVALS), raw.written(&[INTERVALS, &["time", "cron"]].concat()));
    let (mut interval, mut time, mut cron) = (None, None, None);
    let text = |v: &Value| v.as_str().and_then(|_| span(SECOND, 1.0, 8760.0 * HOUR)(v)).map(Some);
    let hours = |v: &Value| span(HOUR, 0.001 * HOUR, 8760.0 * HOUR)(v).map(Some);
    let seconds = |v: &Value| span(SECOND, 1.0, 86_400.0)(v).map(Some);
    let of_text = format!("must be text with a unit such as {EXAMPLES}, 1 s to 365 days");
    raw.set_by(
        &[
            (&["interval"], &of_text, &text),
            (&["interval_hours"], "must be a number of hours, above 0 (0.001) to 8760, or text such as \"1h\"", &hours),
            (&["interval_seconds"], "must be a number of seconds, 1 to 86400, or text such as \"90s\"", &seconds),
        ],
        &mut interval,
    )?;
    let at = |v: &Value| NaiveTime::parse_from_str(v.as_str()?, "%H:%M").ok().map(Some);
    raw.set(&["time"], "must be a time of day such as \"02:00\"", at, &mut time)?;
    let pattern = |v: &Value| Schedule::cron(v.as_str()?).map(Some);
    let allowed = "must be a cron pattern of five fields that some day matches, such as \"0 2 * * *\"";
    raw.set(&["cron"], allowed, pattern, &mut cron)?;
    let whole_days = |interval: Duration| {
        let days = interval.as_millis() / DAY.as_millis();
        (days > 0 && interval.as_millis().is_multiple_of(DAY.as_millis())).then_some(days as u32)
    };
    Ok(match (interval, time, cron) {
        (None, None, None) => None,
        (Some(interval), None, None) => Some(Schedule::Every(interval)),
        (None, Some(at), None) => Some(Schedule::Daily { at, days: 1 }),
        (Some(interval), Some(at), None) => match whole_days(interval) {
            Some(days) => Some(Schedule::Daily { at, days }),
            None => {
                let hours = interval.as_secs_f64() / HOUR;
                let allowed = "must be 24 hours or a multiple of them beside `time`";
                return Err(raw.invalid(&as_interval[0], &format!("{hours} h"), allowed));
            }
        },
        (None, None, Some(cron)) => Some(cron),
        _ => {
            let task = given[0].rsplit_once('.').map_or("", |(task, _)| task);
            let allowed =
                "must say when in one way: `interval`, `time`, `interval` of whole days with `time`, or `cron`";
            return Err(raw.invalid(task, &given.join(", "), allowed));
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
    fn the_watch_says_where_prices_come_from() {
        let (config, _) = merge(json!({})).unwrap();
        assert_eq!((config.prices, config.stream_url), (WatchPrices::Stream, None));
        let watch = json!({ "prices": "poll", "streamUrl": "ws://127.0.0.1:9/ws" });
        let (config, warnings) = merge(json!({ "watch": watch })).unwrap();
        let url = Some("ws://127.0.0.1:9/ws".to_owned());
        assert_eq!((config.prices, config.stream_url, warnings), (WatchPrices::Poll, url, vec![]));
        let (_, warnings) = merge(json!({ "fetch": { "prices": "poll" } })).unwrap();
        assert_eq!(warnings, ["scheduler_config.json: unknown key `fetch.prices` is ignored"]);
    }

    /// The schedule keys of the former system.
    #[test]
    fn the_words_of_the_system_before() {
        let (config, warnings) = merge(json!({
            "enabled": true,
            "schedules": {
                "fetch_data": { "interval": "1h", "symbols": ["BTCUSDT", "ETHUSDT"] },
                "retrain_full": { "interval": "24h", "time": "02:00" },
                "incremental_update": { "interval": "6h" },
                "evaluate_performance": { "interval": "12h" },
            },
            "auto_retrain_on_poor_performance": true,
            "poor_performance_threshold": 40,
        }))
        .unwrap();
        assert_eq!((shown(&config), warnings), (shown(&SchedulerConfig::default()), vec![]));
        let symbols = |task| config.plan(task).symbols.map(|symbols| symbols.iter().map(Symbol::to_string).collect());
        assert_eq!(symbols(Task::Fetch), Some(vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()]));
        assert_eq!(symbols(Task::Retrain), None);
        let thresholds = json!({ "success_threshold": 40, "emergency_training": true });
        assert_eq!(Value::from(config.poor_performance), thresholds);
    }

    #[test]
    fn intervals_are_text_with_a_unit_everywhere() {
        let (config, warnings) = merge(json!({
            "watch": { "interval": "90s" }, "fetch": { "interval_seconds": "30m" }, "retrain": { "interval": "7d", "time": "03:00" },
            "update": { "interval_hours": "6h", "interval": "360m", "deadline_minutes": "2h" },
            "retry": { "base_seconds": "2m" },
        }))
        .unwrap();
        let expected = [
            "watch every 90 s",
            "fetch every 1800 s",
            "retrain every 7 days at 03:00",
            "update every 6 h",
            "evaluate every 12 h",
        ];
        assert_eq!((shown(&config), warnings), (expected.map(str::to_owned).to_vec(), vec![]));
        assert_eq!(config.plan(Task::Update).deadline, Duration::from_secs(7200));
        assert_eq!(config.retry.base, Duration::from_secs(120));
    }

    #[test]
    fn spellings_of_one_setting_agree_or_are_refused_by_both_names() {
        let same = json!({ "fetch": { "interval_hours": 1 }, "schedules": { "fetchData": { "interval": "1h" } } });
        assert_eq!(merge(same).unwrap().1, Vec::<String>::new());
        let cases = [
            (
                json!({ "fetch": { "interval_hours": 2 }, "schedules": { "fetch_data": { "interval": "1h" } } }),
                "`schedules.fetch_data.interval` and `fetch.interval_hours` are one setting and must have one value: remove \
                 one of them; got \"1h\" and 2",
            ),
            (
                json!({ "fetch": { "symbols": ["BTCUSDT"] }, "schedules": { "fetch": { "symbols": ["ETHUSDT"] } } }),
                "`fetch.symbols` and `schedules.fetch.symbols` are one setting",
            ),
            (
                json!({ "poor_performance": { "success_threshold": 50 }, "poor_performance_threshold": 40 }),
                "`poor_performance.success_threshold` and `poor_performance_threshold` are one setting",
            ),
            (json!({ "catch_up": "once", "catchUp": "skip" }), "`catch_up` and `catchUp` are one setting"),
            (
                json!({ "fetch": { "interval_hours": 2 }, "schedules": { "fetch_data": { "cron": "0 * * * *" } } }),
                "must say when in one way",
            ),
        ];
        for (raw, expected) in cases {
            let error = merge(raw).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            assert!(error.to_string().contains(expected), "{error}");
        }
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
                "`retrain.interval_hours` must be 24 hours or a multiple of them beside `time`; got \"36 h\"",
            ),
            (json!({ "retrain": { "cron": "0 2 * * *", "time": "02:00" } }), "`retrain` must say when in one way"),
            (json!({ "update": { "cron": "0 2 30 2 *" } }), "`update.cron` must be a cron pattern of five fields"),
            (json!({ "retry": { "attempts": -1 } }), "`retry.attempts` must be a whole number, 0 to 100; got -1"),
            (
                json!({ "evaluate": { "deadline_minutes": 0 } }),
                "`evaluate.deadline_minutes` must be a number of minutes",
            ),
            (json!({ "watch": { "prices": "ticker" } }), "`watch.prices` must be \"stream\" or \"poll\"; got"),
            (json!({ "watch": { "stream_url": "wss://" } }), "`watch.stream_url` must be a ws(s) URL"),
            (json!({ "poor_performance": 40 }), "`poor_performance` must be an object"),
            (json!({ "poor_performance_threshold": 400 }), "`poor_performance_threshold` must be a number of percent"),
            (
                json!({ "auto_retrain_on_poor_performance": 1 }),
                "`auto_retrain_on_poor_performance` must be true or false",
            ),
            (
                json!({ "schedules": { "fetch_data": { "interval": 1 } } }),
                "`schedules.fetch_data.interval` must be text with a unit",
            ),
            (
                json!({ "schedules": { "fetch_data": { "interval": "1w" } } }),
                "such as \"90s\", \"30m\", \"1h\" or \"7d\"",
            ),
            (
                json!({ "schedules": { "fetch_data": { "symbols": [] } } }),
                "`schedules.fetch_data.symbols` must be a list of pairs",
            ),
            (json!({ "schedules": [] }), "`schedules` must be an object"),
        ];
        for (raw, expected) in cases {
            let error = merge(raw).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let unknown = json!({
            "fech": {}, "fetch": { "every": 1 }, "poor_performance": { "treshold": 1 }, "schedules": { "fetchData": { "evry": 1 }, "x": {} },
        });
        let (config, warnings) = merge(unknown).unwrap();
        let names = ["poor_performance.treshold", "fetch.every", "schedules.fetchData.evry", "schedules.x", "fech"];
        let expected = names.map(|name| format!("scheduler_config.json: unknown key `{name}` is ignored"));
        assert_eq!((warnings, config.poor_performance.len()), (expected.to_vec(), 0));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let retry = SchedulerConfig::default().retry;
        let backoffs: Vec<u64> = (1..=8).map(|attempt| retry.backoff(attempt, 1.0).as_secs()).collect();
        assert_eq!(backoffs, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(retry.backoff(2, 0.0).as_secs(), 60);
    }
}
