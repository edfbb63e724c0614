//! The models of a home: lists them, rolls them back, and compares their promises with live results.

use super::own::OwnAnswers;
use super::{CandleFetcher, Event, Events, Lifetime, LivePerformance, ModelChange, Settings, SignalStore};
use crate::store_location::StoreLocation;
use domain::error::{Error, Result};
use domain::signal::Record;
use domain::symbol::Market;
use feedback::{ClosingCursor, FeedbackStore};
use learning::model::{Entry, Rollback, Trial};
use learning::{LiveOutcome, LiveRecord, Weigher, weigh};
use parking_lot::Mutex;
use registry::{Listed, Registry};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The models of one market.
#[derive(Debug, Clone)]
pub struct MarketModels {
    /// The model in service.
    pub champion: Listed,
    /// All trainings, oldest first: whether the model was promoted or refused, and why.
    pub trials: Vec<Trial>,
    /// All rollbacks, oldest first.
    pub rollbacks: Vec<Rollback>,
}

/// All models of a home.
#[derive(Debug, Clone)]
pub struct ModelList {
    /// The models of each market.
    pub markets: Vec<MarketModels>,
    /// The number of ledger lines that cannot be read because a crash cut them short.
    pub damaged_lines: usize,
}

/// What closed signals say about the models of a market.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveVerdict {
    /// The symbol and timeframe.
    pub market: Market,
    /// The version that was in service.
    pub version: u64,
    /// The results of its signals, and of the signals of the versions before it.
    pub record: LiveRecord,
    /// The rollback that followed. `None` if the model's promises are kept. Also `None` if they are broken but there is
    /// no model to go back to, or another model went into service in the meantime.
    pub rollback: Option<Rollback>,
}

/// The outcomes of a market's bets that were given after a time. They are kept, so that a check reads only what has closed since
/// the last one.
#[derive(Default)]
pub(super) struct WeighedBets {
    since_ms: i64,
    cursor: ClosingCursor,
    weigher: Weigher,
}

impl WeighedBets {
    /// Takes in what has closed since the last call; everything again if that is not in order of closing, or if bets count from
    /// another time on.
    fn update(&mut self, store: &FeedbackStore, market: &Market, since_ms: i64) -> Result<()> {
        if self.since_ms != since_ms {
            *self = Self { since_ms, ..Self::default() };
        }
        // A signal given after that time also closed after it.
        let new = store.newly_closed(Some(market), &mut self.cursor, since_ms, |record| {
            Ok(live_outcome(&record).filter(|outcome| outcome.given_ms > since_ms))
        })?;
        if new.are_all {
            self.weigher = Weigher::default();
        }
        self.weigher.extend(&new.closings);
        Ok(())
    }
}

/// The models of a home, or of the database that stores its signals: which models serve, and what they predict.
pub struct Models {
    pub(super) settings: Arc<Settings>,
    pub(super) events: Arc<Events>,
    pub(super) lifetime: Arc<Lifetime>,
    pub(super) fetcher: Arc<CandleFetcher>,
    pub(super) store: Arc<SignalStore>,
    pub(super) performance: Arc<LivePerformance>,
    pub(super) registry: Registry,
    /// What was compared with the promises of the models, by market.
    pub(super) weighed: Mutex<HashMap<Market, WeighedBets>>,
    /// What the user's own model has answered.
    pub(super) own_answers: OwnAnswers,
    /// The markets for which the database is being asked in the background.
    pub(super) asking: Mutex<HashSet<Market>>,
    /// Why models in service cannot be used, as reported before.
    pub(super) unusable: Mutex<HashMap<Market, String>>,
}

impl Models {
    /// Opens the registry that belongs to a store of signals: in the home, or in the same database.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    pub(super) fn registry_at(place: &StoreLocation, settings: &Settings, events: &Arc<Events>) -> Registry {
        let home = settings.home();
        match place {
            StoreLocation::Folder(_) => Registry::new(home.join("models")),
            #[cfg(feature = "postgres")]
            StoreLocation::Database(url) => {
                let events = events.clone();
                let warn = move |text| events.emit(&Event::Warning(text));
                postgres::registry::open(url.clone(), home.join("cache").join(url.short_name()), warn)
            }
        }
    }

    /// The registry, which knows which version of each market serves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The registry that belongs to another store of signals.
    pub fn registry_in(&self, place: &StoreLocation) -> Registry {
        Self::registry_at(place, &self.settings, &self.events)
    }

    /// The models in service in this home, with their history. Damaged files are returned as errors.
    pub fn list(&self) -> Result<ModelList> {
        let ledger = self.registry().ledger()?;
        let history = |champion: Listed| {
            let (mut trials, mut rollbacks) = (Vec::new(), Vec::new());
            for entry in ledger.entries.iter().filter(|entry| entry.market().file_stem() == champion.stem) {
                match entry {
                    Entry::Training(trial) => trials.push(Trial::clone(trial)),
                    Entry::Rollback(rollback) => rollbacks.push(rollback.clone()),
                }
            }
            MarketModels { champion, trials, rollbacks }
        };
        let markets = self.registry().list()?.into_iter().map(history).collect();
        Ok(ModelList { markets, damaged_lines: ledger.damaged })
    }

    /// Puts the previous model back into service.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::NoPredecessor`]; [`Error::ModelFile`] if it is unknown which model is in service.
    pub fn rollback(&self, market: &Market, reason: Option<&str>) -> Result<Rollback> {
        loop {
            let from = self.registry().champion_version(market)?;
            let reason = reason.unwrap_or("asked for by hand");
            if let Some(rollback) =
                self.registry().rollback(market, from, reason, false, self.settings.now_ms(), None)?
            {
                self.tell_of_rollback(&rollback);
                return Ok(rollback);
            }
        }
    }

    /// Compares the results of closed signals with the probabilities that the models promised, and rolls back if the
    /// promises are broken ([`weigh`] defines when). It counts the signals of all versions since the last rollback, or
    /// since a model went into service without being compared with its predecessor. One version alone has too few
    /// signals if it is retrained every night. A signal counts for the version named in its `mlPrediction`, which
    /// `generateSignal` fills in.
    ///
    /// The newest version from before the run of broken promises goes back into service. If no such version can be
    /// read, the newest readable version does, but only if the signals of the model in service alone prove its promise
    /// broken. In every case, counting starts again from here.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::ModelFile`]; [`Error::Storage`].
    pub fn check_live(&self, market: &Market) -> Result<LiveVerdict> {
        let (version, since_ms) = self.registry().weighed_since(market)?;
        let (record, outcomes) = {
            let mut weighed = self.weighed.lock();
            let bets = weighed.entry(market.clone()).or_default();
            bets.update(&self.store.open()?, market, since_ms)?;
            let record = bets.weigher.record();
            (record, record.is_broken.then(|| bets.weigher.outcomes().to_vec()))
        };
        let rollback = match outcomes {
            Some(outcomes) => self.go_back(market, version, &outcomes, &record)?,
            None => None,
        };
        Ok(LiveVerdict { market: market.clone(), version, record, rollback })
    }

    /// Rolls back after broken promises, if there is a model to go back to.
    fn go_back(
        &self,
        market: &Market,
        version: u64,
        outcomes: &[LiveOutcome],
        record: &LiveRecord,
    ) -> Result<Option<Rollback>> {
        let (registry, now_ms) = (self.registry(), self.settings.now_ms());
        let run = &outcomes[record.kept..];
        let first = run.iter().map(|outcome| outcome.version).min().unwrap_or(version);
        let mut rollback = registry.rollback_before(market, version, first, &broken(run, record), now_ms);
        if let Err(Error::NoPredecessor { .. }) = rollback {
            let own: Vec<LiveOutcome> = outcomes.iter().filter(|outcome| outcome.version == version).copied().collect();
            let record = weigh(&own);
            if record.is_broken {
                rollback = registry.rollback(market, version, &broken(&own, &record), true, now_ms, None);
            }
        }
        match rollback {
            Err(Error::NoPredecessor { .. }) => {
                registry.weigh_anew(market, version, now_ms)?;
                let found = broken(run, record);
                self.events
                    .emit(&Event::Warning(format!("{market}: {found}; there is no model from before to go back to")));
                Ok(None)
            }
            rollback => {
                let rollback = rollback?;
                rollback.iter().for_each(|rollback| self.tell_of_rollback(rollback));
                Ok(rollback)
            }
        }
    }

    /// Emits that a trained model went into service or was refused.
    pub(super) fn tell_of(&self, trial: &Trial) {
        let change = ModelChange { market: trial.market.clone(), version: trial.version, reason: trial.reason.clone() };
        self.events.emit(&if trial.promoted { Event::ModelPromoted(change) } else { Event::ModelRefused(change) });
    }

    fn tell_of_rollback(&self, rollback: &Rollback) {
        let Rollback { market, to, reason, .. } = rollback;
        self.events.emit(&Event::ModelRolledBack(ModelChange {
            market: market.clone(),
            version: *to,
            reason: reason.clone(),
        }));
    }
}

/// Describes broken promises in words.
fn broken(run: &[LiveOutcome], record: &LiveRecord) -> String {
    let versions = || run.iter().map(|outcome| outcome.version);
    let whose = match (versions().min(), versions().max()) {
        (Some(first), Some(last)) if first < last => format!("versions {first} to {last}"),
        (first, _) => format!("version {}", first.unwrap_or_default()),
    };
    let succeeded = run.iter().filter(|outcome| outcome.succeeded).count();
    let expected: f64 = run.iter().map(|outcome| outcome.promised).sum();
    format!(
        "of {} live signals {succeeded} succeeded where the probabilities of {whose} promised {expected:.1}; that is {:.0} \
         times likelier if they promise too much",
        run.len(),
        record.against
    )
}

/// The outcome of a closed signal; `None` if the signal is not a model's bet.
fn live_outcome(record: &Record) -> Option<LiveOutcome> {
    let prediction = [PREDICTION_KEY, "ml_prediction"].iter().find_map(|key| record.signal.extra.get(*key))?;
    if prediction.get(LEVELS_KEY).and_then(Value::as_f64).is_some_and(|scale| scale != 1.0) {
        // The model promised nothing about other levels.
        return None;
    }
    let version = prediction.get("modelVersion").and_then(Value::as_u64)?;
    let direction = serde_json::to_value(record.signal.direction?).ok()?;
    let promised = prediction.get("confidence").and_then(Value::as_f64).filter(|p| (0.0..=100.0).contains(p))? / 100.0;
    let closing = record.closing.as_ref()?;
    let (succeeded, given_ms, closed_ms) =
        (closing.outcome.succeeded()?, record.signal.timestamp_ms, closing.closed_ms);
    let outcome = LiveOutcome { version, promised, succeeded, given_ms, closed_ms };
    (prediction.get("signal") == Some(&direction)).then_some(outcome)
}

/// The key under which a signal carries its prediction.
pub(super) const PREDICTION_KEY: &str = "mlPrediction";

/// The key in a prediction for the distance of the signal's levels, relative to those that the model was trained on.
pub(super) const LEVELS_KEY: &str = "levelsScale";
