//! The models of a home: which there are, back to the one before, and whether live results bear them out.

use super::{Event, ModelChange, SignalLoop};
use crate::error::{Error, Result};
use crate::feedback::StatsFilter;
use crate::learning::{LiveOutcome, LiveRecord, weigh};
use crate::model::{Entry, Listed, Rollback, Trial};
use crate::signal::Record;
use crate::symbol::Market;
use serde_json::Value;

/// The models of one market.
#[derive(Debug, Clone)]
pub struct MarketModels {
    /// The one in service.
    pub champion: Listed,
    /// Every training there was, oldest first: promoted or refused, and why.
    pub trials: Vec<Trial>,
    /// Every rollback, oldest first.
    pub rollbacks: Vec<Rollback>,
}

/// All models of a home.
#[derive(Debug, Clone)]
pub struct Models {
    /// By market.
    pub markets: Vec<MarketModels>,
    /// Lines of the ledger that cannot be read: a crash tore them.
    pub damaged_lines: usize,
}

/// What the closed signals of the model in service say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveVerdict {
    /// The symbol and timeframe.
    pub market: Market,
    /// The version that was in service.
    pub version: u64,
    /// What its signals came to.
    pub record: LiveRecord,
    /// The rollback that followed. `None` when the promise is kept, and also when it is broken but there is no predecessor,
    /// or another model went into service meanwhile.
    pub rollback: Option<Rollback>,
}

impl SignalLoop {
    /// The models in service of this home, with their history; damaged files come as errors.
    pub fn models(&self) -> Result<Models> {
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
        Ok(Models { markets, damaged_lines: ledger.damaged })
    }

    /// Puts the model before the one in service back into service.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::NoPredecessor`]; [`Error::ModelFile`] when it cannot be told which is in service.
    pub fn rollback(&self, market: &Market, reason: Option<&str>) -> Result<Rollback> {
        loop {
            let from = self.registry().champion_version(market)?;
            let reason = reason.unwrap_or("asked for by hand");
            if let Some(rollback) = self.registry().rollback(market, from, reason, false, self.now_ms(), None)? {
                self.tell_of_rollback(&rollback);
                return Ok(rollback);
            }
        }
    }

    /// Weighs the closed signals of the model in service against the probabilities that it gave them, and rolls it back
    /// when its promise is broken ([`weigh`] says when that is). A signal counts for the version that its `mlPrediction`
    /// names, as those of `generateSignal` do.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::ModelFile`]; [`Error::Store`].
    pub fn check_live(&self, market: &Market) -> Result<LiveVerdict> {
        let model = self.registry().get(market)?;
        let filter = StatsFilter {
            symbol: Some(market.symbol.clone()),
            timeframe: Some(market.timeframe),
            // What was trained later gave none of those that closed before.
            since_ms: Some(model.record.trained_ms),
            until_ms: None,
        };
        let mut outcomes = Vec::new();
        self.store()?.closed_records(&filter, |record| {
            outcomes.extend(live_outcome(&record, model.version()));
            Ok(())
        })?;
        let mut verdict =
            LiveVerdict { market: market.clone(), version: model.version(), record: weigh(&outcomes), rollback: None };
        if verdict.record.is_broken {
            let LiveRecord { closed, succeeded, expected, against, .. } = verdict.record;
            let reason = format!(
                "of {closed} live signals {succeeded} succeeded where its probabilities promised {expected:.1}; that is \
                 {against:.0} times likelier if they promise too much"
            );
            verdict.rollback =
                match self.registry().rollback(market, model.version(), &reason, true, self.now_ms(), None) {
                    Err(Error::NoPredecessor { .. }) => None,
                    rollback => rollback?,
                };
            if let Some(rollback) = &verdict.rollback {
                self.tell_of_rollback(rollback);
            }
        }
        Ok(verdict)
    }

    fn tell_of_rollback(&self, rollback: &Rollback) {
        let Rollback { market, to, reason, .. } = rollback;
        self.emit(&Event::ModelRolledBack(ModelChange {
            market: market.clone(),
            version: *to,
            reason: reason.clone(),
        }));
    }
}

/// The outcome of a closed signal if it is one of this version's bets.
fn live_outcome(record: &Record, version: u64) -> Option<LiveOutcome> {
    let prediction = [PREDICTION_KEY, "ml_prediction"].iter().find_map(|key| record.signal.extra.get(*key))?;
    let of_version = prediction.get("modelVersion").and_then(Value::as_u64) == Some(version);
    let direction = serde_json::to_value(record.signal.direction?).ok()?;
    let promised = prediction.get("confidence").and_then(Value::as_f64).filter(|p| (0.0..=100.0).contains(p))? / 100.0;
    let succeeded = record.closing?.outcome.succeeded()?;
    (of_version && prediction.get("signal") == Some(&direction)).then_some(LiveOutcome { promised, succeeded })
}

/// Under which key a signal carries the prediction that it was made of.
pub(super) const PREDICTION_KEY: &str = "mlPrediction";
