//! The configuration of a loop, and how changed files take effect while it runs.
//!
//! The configuration is composed of layers, where later ones override earlier ones: the defaults,
//! `training_config.json`, the thresholds of poor performance in `scheduler_config.json`, the exchange of the
//! environment or the options, and the changes of [`Settings::configure`]. A file that has changed is read again. If
//! it cannot be used, the previous configuration stays in force.

use super::{EXCHANGE_VARIABLE, Event, Events, Options, Without};
use domain::config::raw::read_object;
use domain::config::{Config, setting_name};
use domain::error::{Error, Resource, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::{CLOCK_TOLERANCE_MS, Clock, format_iso};
use learning::OwnModel;
use parking_lot::RwLock;
use scheduler::{SchedulerConfig, Task};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::Stamp;

/// A file that is checked for changes.
pub(super) struct WatchedFile {
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl WatchedFile {
    /// Remembers the current version of the file, even if it is missing. Later changes are noticed.
    ///
    /// # Errors
    /// [`domain::error::Error::Io`] when it cannot be looked at.
    pub fn now(path: PathBuf) -> Result<Self> {
        let stamp = Stamp::of(&path)?;
        Ok(Self { path, stamp })
    }

    /// If the file has changed since the last call: the result of `read`, or a text that says why the file cannot be
    /// used. `None` if it has not changed.
    pub fn read_if_changed<T>(&mut self, read: impl FnOnce() -> Result<T>) -> Option<std::result::Result<T, String>> {
        // A file whose metadata cannot be read counts as unchanged.
        let stamp = Stamp::of(&self.path).ok().filter(|stamp| *stamp != self.stamp)?;
        self.stamp = stamp;
        let kept = "the values in force stay";
        if stamp.is_none() {
            return Some(Err(format!("{} was deleted: {kept}", self.path.display())));
        }
        Some(read().map_err(|error| format!("{} changed and cannot be used, {kept}: {error}", self.path.display())))
    }
}

/// The home folder, the clock and the configuration of a loop.
pub struct Settings {
    home: PathBuf,
    clock: Clock,
    layers: RwLock<Layers>,
    /// Whether the scheduler runs. If so, it reports problems of `scheduler_config.json` itself.
    scheduler_runs: AtomicBool,
    events: Arc<Events>,
    /// What a replay leaves out; `None` for a live loop.
    replay: Option<Without>,
    /// The user's own model.
    own: Option<Arc<dyn OwnModel>>,
}

/// The configuration in force, and the layers it is composed of.
struct Layers {
    file: WatchedFile,
    read: Map<String, Value>,
    scheduler: WatchedFile,
    /// The keys of `poor_performance` that `scheduler_config.json` overrides. They apply in every process of the home,
    /// because each process judges the signals that it closes.
    thresholds: Map<String, Value>,
    /// What the environment and the options say, each with its source.
    named: Vec<Named>,
    /// All changes given to [`Settings::configure`].
    changes: Map<String, Value>,
    config: Arc<Config>,
    warnings: Vec<String>,
}

impl Layers {
    /// Reads the configuration of a home.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidConfig`]; [`domain::error::Error::Storage`] where the home is a file;
    /// [`domain::error::Error::Io`].
    pub fn read(home: &Path, options: &Options) -> Result<Self> {
        if home.is_file() {
            return Err(Error::io("open", home, std::io::ErrorKind::NotADirectory.into()).of(Resource::FeedbackStore));
        }
        let from_environment = || std::env::var(EXCHANGE_VARIABLE).ok().filter(|url| !url.is_empty());
        let of_options = |key, value: &Option<String>| Some(("options", key, value.clone()?));
        let url = of_options("exchange_url", &options.exchange_url);
        let url = url.or_else(|| Some((EXCHANGE_VARIABLE, "exchange_url", from_environment()?)));
        let exchange = of_options("exchange", &options.exchange);
        let watch = of_options("watch_timeframe", &options.watch_timeframe);
        let named: Vec<Named> = [exchange, url, watch].into_iter().flatten().collect();
        let file = WatchedFile::now(home.join("training_config.json"))?;
        let read = read_object(&file.path)?.unwrap_or_default();
        let scheduler = WatchedFile::now(home.join("scheduler_config.json"))?;
        let (thresholds, problem) = match thresholds_in(&scheduler.path) {
            Ok(thresholds) => (thresholds, None),
            // Starting the scheduler fails with this error. Everything else works, only without the scheduler's
            // thresholds.
            Err(error) => (Map::new(), Some(format!("{error}; until then its thresholds are not in force"))),
        };
        let changes = Map::new();
        let (config, mut warnings) = compose(&file.path, &read, &thresholds, &named, &changes)?;
        warnings.extend(problem);
        Ok(Self { file, read, scheduler, thresholds, named, changes, config, warnings })
    }

    /// Reads the file again if it has changed. Returns why it cannot be used, if it cannot.
    fn reread(&mut self) -> Option<String> {
        let Self { file, thresholds, named, changes, .. } = self;
        let path = file.path.clone();
        let read = || {
            let read = read_object(&path)?.unwrap_or_default();
            let (config, warnings) = compose(&path, &read, thresholds, named, changes)?;
            Ok((read, config, warnings))
        };
        match file.read_if_changed(read)? {
            Ok(news) => {
                (self.read, self.config, self.warnings) = news;
                None
            }
            Err(problem) => {
                self.warnings.push(problem.clone());
                Some(problem)
            }
        }
    }

    /// Reads the thresholds of `scheduler_config.json` again if it has changed. Returns why it cannot be used, if it
    /// cannot.
    fn reread_thresholds(&mut self) -> Option<String> {
        let path = self.scheduler.path.clone();
        let Self { file, read, named, changes, .. } = self;
        let compose = || {
            let thresholds = thresholds_in(&path)?;
            let (config, warnings) = compose(&file.path, read, &thresholds, named, changes)?;
            Ok((thresholds, config, warnings))
        };
        match self.scheduler.read_if_changed(compose)? {
            Ok(news) => {
                (self.thresholds, self.config, self.warnings) = news;
                None
            }
            Err(problem) => Some(problem),
        }
    }

    fn change(&mut self, changes: Map<String, Value>, source: &str) -> Result<()> {
        // Checked on its own first, so that an error names its source.
        Config::clone(&self.config).merge(changes.clone(), source)?;
        let mut all = self.changes.clone();
        overlay(&mut all, changes);
        (self.config, self.warnings) = compose(&self.file.path, &self.read, &self.thresholds, &self.named, &all)?;
        self.changes = all;
        Ok(())
    }
}

/// A setting of the environment or the options: where it comes from, its key and its value.
type Named = (&'static str, &'static str, String);

fn thresholds_in(path: &Path) -> Result<Map<String, Value>> {
    Ok(SchedulerConfig::load(path)?.0.poor_performance)
}

/// Combines the layers.
fn compose(
    path: &Path,
    file: &Map<String, Value>,
    thresholds: &Map<String, Value>,
    named: &[Named],
    changes: &Map<String, Value>,
) -> Result<(Arc<Config>, Vec<String>)> {
    let (mut config, mut warnings) = Config::default().merge(file.clone(), &path.display().to_string())?;
    let thresholds = Map::from_iter([("poor_performance".to_owned(), Value::Object(thresholds.clone()))]);
    config = config.merge(thresholds, "scheduler_config.json")?.0;
    for (source, key, value) in named {
        let one = Map::from_iter([((*key).to_owned(), Value::String(value.clone()))]);
        config = config.merge(one, source)?.0;
    }
    let (config, more) = config.merge(changes.clone(), "configure()")?;
    warnings.extend(more);
    Ok((Arc::new(config), warnings))
}

impl Settings {
    /// Reads the configuration of a home.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]; [`Error::Storage`] where the home is a file; [`Error::Io`].
    pub(super) fn open(home: PathBuf, options: &Options, events: Arc<Events>) -> Result<Self> {
        let layers = RwLock::new(Layers::read(&home, options)?);
        let (clock, replay) = (options.clock.clone(), options.replay.as_ref().map(|replay| replay.without));
        let own = options.own.clone();
        Ok(Self { home, clock, layers, scheduler_runs: AtomicBool::new(false), events, replay, own })
    }

    /// The user's own model.
    pub fn own(&self) -> Option<&Arc<dyn OwnModel>> {
        self.own.as_ref()
    }

    /// Whether this loop runs in a replay.
    pub(super) fn is_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether outcomes are learned from; only a replay may leave that out.
    pub(super) fn learns_outcomes(&self) -> bool {
        self.replay.is_none_or(|without| !without.outcomes)
    }

    /// Whether new models are compared before they go into service; only a replay may leave that out.
    pub(super) fn has_gate(&self) -> bool {
        self.replay.is_none_or(|without| !without.gate)
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder of the candle files.
    pub(super) fn data_folder(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The loop's clock.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The current time by the loop's clock, UTC epoch ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The latest time that it may be now; see [`Clock::latest_ms`].
    pub(super) fn latest_ms(&self) -> i64 {
        self.clock.latest_ms()
    }

    /// Refuses a time in the future, such as the close of a candle that is still open. Real prices before that time
    /// would count as outdated, and the signals that they hit would not close.
    pub fn check_not_ahead(&self, argument: &'static str, time_ms: i64) -> Result<()> {
        if time_ms <= self.latest_ms() + CLOCK_TOLERANCE_MS {
            return Ok(());
        }
        Err(Error::argument(
            argument,
            format!(
                "must not end in the future: give prices as they come, candles once closed. This machine's clock shows {}",
                format_iso(self.now_ms())
            ),
            format_iso(time_ms),
        ))
    }

    /// All combinations of the symbols and timeframes without duplicates. Those not given are taken from the
    /// configuration. Reads changed files first.
    pub fn markets(&self, symbols: Option<Vec<Symbol>>, timeframes: Option<Vec<Timeframe>>) -> Vec<Market> {
        self.reread();
        let mut config = Config::clone(&self.config());
        config.symbols = symbols.unwrap_or(config.symbols);
        config.timeframes = timeframes.unwrap_or(config.timeframes);
        let (mut markets, mut known) = (config.markets(), HashSet::new());
        markets.retain(|market| known.insert(market.clone()));
        markets
    }

    /// Notes whether the scheduler runs. While it does, it reports problems of `scheduler_config.json` itself.
    pub(super) fn scheduler_runs(&self, runs: bool) {
        self.scheduler_runs.store(runs, Ordering::Relaxed);
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.layers.read().config.clone()
    }

    /// Warnings about the configuration: unknown keys, with their file and name, and changed files that cannot be used.
    pub fn warnings(&self) -> Vec<String> {
        self.layers.read().warnings.clone()
    }

    /// Sets the keys of `changes` in the configuration of this loop. They stay in memory and survive changes of the
    /// file. On an error nothing changes. The durability and time zone of an open store stay as they were.
    pub fn configure(&self, changes: Map<String, Value>) -> Result<()> {
        self.change(changes, "configure()")
    }

    /// [`Self::configure`]; `source` names where the changes come from.
    pub(super) fn change(&self, changes: Map<String, Value>, source: &str) -> Result<()> {
        self.layers.write().change(changes, source)
    }

    /// A sentence that says what to do about symbols that are no longer traded; `None` if there are none. `own` is the
    /// task that chooses these symbols itself: by its own `symbols` or, for the watch, by its open signals.
    pub fn advice_on_not_traded<'a>(
        &self,
        symbols: impl IntoIterator<Item = &'a Symbol>,
        own: Option<Task>,
    ) -> Option<String> {
        let symbols: BTreeSet<&str> = symbols.into_iter().map(Symbol::as_str).collect();
        let (is, them, their) = if symbols.len() == 1 { ("is", "it", "its") } else { ("are", "them", "their") };
        let settings = self.layers.read();
        let file = settings.file.path.display();
        let has = |map: &Map<String, Value>| map.keys().any(|key| setting_name(key) == "symbols");
        let remove = match own {
            Some(Task::Watch) => {
                format!("close {their} open signals with updateOutcome, since no price will close them")
            }
            Some(task) => format!("remove {them} from the `symbols` of `{task}` in scheduler_config.json"),
            None if has(&settings.changes) => format!("remove {them} from the `symbols` given to configure()"),
            None if has(&settings.read) => format!("remove {them} from `symbols` in {file}"),
            None => format!("write `symbols` without {them} into {file}"),
        };
        let names = symbols.iter().copied().collect::<Vec<_>>().join(", ");
        (!symbols.is_empty()).then(|| format!("{names} {is} not traded at the exchange: {remove}"))
    }

    /// Reads `training_config.json` and the thresholds of `scheduler_config.json` again if they have changed. A file
    /// that cannot be used is reported once, as an event and in [`Self::warnings`]. If the scheduler runs, it reports
    /// the second file itself.
    pub(super) fn reread(&self) {
        let problem = self.layers.write().reread();
        problem.into_iter().for_each(|problem| self.events.emit(&Event::Warning(problem)));
        let problem = self.layers.write().reread_thresholds();
        if !self.scheduler_runs.load(Ordering::Relaxed) {
            problem.into_iter().for_each(|problem| self.events.emit(&Event::Warning(problem)));
        }
    }
}

/// Merges `later` into `earlier`, and objects key by key. Each setting stays there once, even if it is spelled
/// differently.
fn overlay(earlier: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        let name = setting_name(&key);
        let place = earlier.iter_mut().find(|(known, _)| setting_name(known) == name);
        match (place.map(|(_, place)| place), value) {
            (Some(Value::Object(before)), Value::Object(nested)) => overlay(before, nested),
            (Some(place), value) => *place = value,
            (None, Value::Object(nested)) => {
                let mut level = Map::new();
                overlay(&mut level, nested);
                earlier.insert(key, level.into());
            }
            (None, value) => drop(earlier.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_home_that_is_a_file_says_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("ml");
        std::fs::write(&file, "").unwrap();
        for (home, code) in [(file.clone(), "ERR_STORE"), (file.join("ml"), "ERR_IO")] {
            let error = Layers::read(&home, &Options::default()).err().unwrap();
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains("a file is where a folder must be"), "{error}");
        }
    }

    #[test]
    fn what_is_said_later_goes_before_what_was_said_earlier_key_by_key() {
        let mut all = Map::new();
        for changes in [
            json!({ "trees": 10, "signal": { "stop_atr": 2, "stopAtr": 2 }, "history_days": 3, "historyDays": 3 }),
            json!({ "daysHistory": 5, "signal": { "rewardRisk": 3, "stopAtr": 1 }, "trees": 20 }),
        ] {
            overlay(&mut all, map(changes));
        }
        let expected = json!({ "trees": 20, "signal": { "stop_atr": 1, "rewardRisk": 3 }, "history_days": 5 });
        assert_eq!(Value::from(all), expected);
    }

    #[test]
    fn a_changed_file_comes_into_force_below_what_was_configured() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("training_config.json");
        std::fs::write(&path, r#"{ "symbols": ["BTCUSDT"], "trees": 50 }"#).unwrap();
        let options = Options { home: Some(home.path().to_owned()), ..Options::default() };
        let settings =
            Settings::open(home.path().to_owned(), &options, Arc::new(Events::new(options.clock.clone()))).unwrap();
        settings.configure(map(json!({ "trees": 30 }))).unwrap();
        std::fs::write(&path, r#"{ "symbols": ["BTCUSDT", "SOL/USDT"], "timeframes": ["15m"], "trees": 70 }"#).unwrap();
        settings.reread();
        let markets = || settings.config().markets().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            (markets(), settings.config().trees),
            (vec!["BTCUSDT 15m".to_owned(), "SOLUSDT 15m".to_owned()], 30)
        );
        assert_eq!(settings.warnings(), Vec::<String>::new());
        // The file is incomplete, has a wrong value, or is missing: each problem is reported once, and nothing changes.
        for (text, problem) in [
            (Some(r#"{ "symbols": ["ETHUSDT"#), "must be valid JSON"),
            (Some(r#"{ "symbols": ["ETHUSDT"], "trees": 1 }"#), "`trees` must be a whole number, 10 to 2000; got 1"),
            (None, "was deleted"),
        ] {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let before = settings.warnings().len();
            (0..3).for_each(|_| settings.reread());
            let warnings = settings.warnings();
            assert_eq!(warnings.len(), before + 1, "{warnings:?}");
            assert!(
                warnings[before].contains("training_config.json") && warnings[before].contains(problem),
                "{warnings:?}"
            );
            assert_eq!(markets().len(), 2);
        }
        std::fs::write(&path, r#"{ "symbols": ["ETHUSDT"], "timeframes": ["4h"] }"#).unwrap();
        settings.reread();
        assert_eq!((markets(), settings.warnings()), (vec!["ETHUSDT 4h".to_owned()], Vec::new()));
    }
}
