//! Small models of a simulated market, and helpers to register them.

use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::symbol::Market;
use learning::model::{Decision, Entry, GateVerdict, Mode, Model, Trial};
use learning::{Feedback, train_market};
use registry::Registry;
use simulator::{Simulator, SimulatorOptions};

const HOUR: i64 = 3_600_000;

pub fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

pub fn candles(hours: i64) -> Vec<Candle> {
    let options = SimulatorOptions { seed: 3, rule_strength: 0.6, ..Default::default() };
    let start = options.start_ms;
    Simulator::start(options).unwrap().candles(&market(), start, start + hours * HOUR).unwrap()
}

pub fn model(seed: u64) -> Model {
    let config = Config { trees: 10, seed, ..Config::default() };
    train_market(
        &market(),
        &candles(400),
        &Feedback::default(),
        &config,
        1_750_000_000_000,
        &Cancel::default(),
        &|_| {},
    )
    .unwrap()
    .model
}

/// The ledger entry of a model with this decision.
pub fn trial(model: &Model, decision: Decision, at_ms: i64) -> Trial {
    let verdict =
        GateVerdict { decision, reason: "for the test".to_owned(), comparison: None, conceded: Default::default() };
    Trial::new(&model.record, Mode::Full, verdict, at_ms, 1)
}

/// Submits the model, again if another process submitted meanwhile; returns its version.
pub fn submit(registry: &Registry, model: &Model, decision: Decision) -> u64 {
    loop {
        let champion = registry.champion(&market()).unwrap();
        let trial = trial(model, decision, 1_750_000_000_000);
        if let Some((_, trial)) = registry.submit(model.clone(), trial, &champion, None).unwrap() {
            return trial.version;
        }
    }
}

pub fn promote(registry: &Registry, model: &Model) -> u64 {
    submit(registry, model, Decision::NotWorse)
}

/// The versions of the ledger's trainings, in order.
pub fn versions(registry: &Registry) -> Vec<u64> {
    let of = |entry: &Entry| match entry {
        Entry::Training(trial) => Some(trial.version),
        Entry::Rollback(_) => None,
    };
    registry.ledger().unwrap().entries.iter().filter_map(of).collect()
}
