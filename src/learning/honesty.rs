//! Protects the gate: no score knows its future, and a model that learned nonsense does not get past.

use super::dataset::Dataset;
use super::feedback::{Feedback, LiveRow};
use super::incremental::{Continued, extend};
use super::train::{Candidate, train};
use crate::barrier::Direction;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::market::Candle;
use crate::market::path::Path;
use crate::model::{Champion, ComparedOn, Decision, HeldOut, Model, Payoff};
use crate::symbol::Market;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const HOUR: i64 = 3_600_000;

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

fn candles(hours: i64, rule_strength: f64, seed: u64) -> Vec<Candle> {
    let (Market { symbol, timeframe }, start) = (market(), 1_735_689_600_000);
    let end = start + hours * HOUR;
    Path::new(seed, &symbol, start, rule_strength).candles(timeframe, start, end - HOUR + 1, end, usize::MAX)
}

fn config(trees: usize) -> Config {
    Config { trees, ..Config::default() }
}

fn data(candles: &[Candle]) -> Dataset {
    Dataset::new(&market(), candles, &Config::default()).unwrap()
}

fn full(data: Dataset, config: &Config) -> Candidate {
    train(data, &market(), config, 0, &Cancel::default(), &|_| {}).unwrap()
}

fn continued(champion: &Model, data: Dataset, config: &Config) -> Candidate {
    match extend(champion, data, &market(), config, 0, &Cancel::default(), &|_| {}).unwrap() {
        Continued::Trained(candidate) => *candidate,
        Continued::NothingNew(rows) => panic!("{rows} new rows"),
        Continued::Worse(reason) => panic!("{reason}"),
    }
}

/// The same rows with another future from `row` on: other features there, and the other label wherever it was decided there.
fn with_another_future(mut data: Dataset, row: usize) -> Dataset {
    let begins = data.bars[row];
    data.rows[row..].iter_mut().flatten().for_each(|value| *value = 0.3 - *value);
    for side in &mut data.sides {
        for (happened, _) in side.happened.iter_mut().zip(&data.ends).filter(|(_, end)| **end >= begins) {
            *happened = 1.0 - *happened;
        }
    }
    data
}

/// What was said, bit by bit, of the rows before `row`; and of those from it on.
fn said(scored: &[(usize, HeldOut)], row: usize) -> [Vec<[u64; 4]>; 2] {
    let bits = |held: &HeldOut| {
        [held.buy.probability, held.buy.constant, held.sell.probability, held.sell.constant].map(f64::to_bits)
    };
    let middle = scored.partition_point(|(at, _)| *at < row);
    [&scored[..middle], &scored[middle..]].map(|rows| rows.iter().map(|(_, held)| bits(held)).collect())
}

/// A candidate that learned from `learned`, scored on what really became of the rows.
fn rescored(mut candidate: Candidate, truth: Dataset) -> Candidate {
    let config = config(10);
    for (row, held) in &mut candidate.scored {
        let [buy, sell] = &truth.sides;
        let buy = buy.held(*row, held.buy.probability, held.buy.constant);
        let sell = sell.held(*row, held.sell.probability, held.sell.constant);
        *held = truth.held_out(*row, buy, sell, [Payoff::at_levels(config.signal.reward_risk); 2], &config);
    }
    candidate.data = truth;
    candidate
}

fn shuffled(mut data: Dataset, seed: u64) -> Dataset {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..data.len()).rev() {
        let other = random.random_range(0..=last);
        data.sides.iter_mut().for_each(|side| side.happened.swap(last, other));
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_score_of_a_full_training_knows_its_future(seed in 0u64..100, at in 0.55..0.98f64) {
        // A rule, so that some blocks are believed: how far is learned from labels too.
        let series = candles(1100, 1.5, seed);
        let before = data(&series);
        let row = (at * before.len() as f64) as usize;
        let changed = with_another_future(data(&series), row);
        let [a, b] = [before, changed].map(|data| said(&full(data, &config(10)).scored, row));
        prop_assert!(!a[0].is_empty() || at < 0.6);
        prop_assert_eq!(&a[0], &b[0]);
        // Where no model is believed, the constant is said whatever the features are.
        let unbelieved = a[1].iter().all(|[buy, buys, sell, sells]| buy == buys && sell == sells);
        prop_assert!(unbelieved || a[1] != b[1], "the change was real");
    }

    #[test]
    fn no_score_of_a_continued_model_knows_its_future(seed in 0u64..100, at in 0.75..0.98f64) {
        let series = candles(2200, 1.0, seed);
        let champion = full(data(&series[..1000]), &config(12)).model;
        let before = data(&series);
        let row = (at * before.len() as f64) as usize;
        let changed = with_another_future(data(&series), row);
        let [a, b] = [before, changed].map(|data| said(&continued(&champion, data, &config(12)).scored, row));
        prop_assert!(!a[1].is_empty());
        prop_assert_eq!(&a[0], &b[0]);
    }
}

#[test]
fn fresh_rows_come_after_everything_the_champion_knew() {
    let series = candles(2000, 0.6, 3);
    let config = config(10);
    let champion = full(data(&series[..1400]), &config).model;
    let candidate = full(data(&series), &config);
    let after = candidate.data.first_after(&champion);
    let opens = candidate.data.times_ms[after];
    let given = series[1390].open_ms..=series[1400].open_ms;
    assert!(given.contains(&champion.record.horizon_ms), "labels saw the end of what it was given, and no more");
    assert!(opens >= champion.record.horizon_ms && candidate.data.times_ms[after - 1] < champion.record.horizon_ms);
    let verdict = candidate.judge(&Champion::Model(Arc::new(champion)), &config).unwrap();
    let comparison = verdict.comparison.unwrap();
    assert_eq!(comparison.compared_on, ComparedOn::Fresh);
    assert_eq!(comparison.rows, candidate.data.len() - after);
    // A champion that knows all of it has no fresh rows, and is compared on what both held out.
    let same = full(data(&series), &config);
    let verdict = candidate.judge(&Champion::Model(Arc::new(same.model)), &config).unwrap();
    let comparison = verdict.comparison.unwrap();
    assert_eq!((verdict.decision, comparison.compared_on), (Decision::NotWorse, ComparedOn::HeldOut));
    assert_eq!(comparison.rows, candidate.scored.len());
    let excess = comparison.excess.unwrap();
    assert_eq!((excess.low, excess.high, comparison.log_loss.challenger), (0.0, 0.0, comparison.log_loss.champion));
}

#[test]
fn a_model_of_shuffled_labels_is_refused_against_an_honest_champion() {
    let config = config(100);
    for seed in [5, 6] {
        let series = candles(5200, 1.0, seed);
        let champion = full(data(&series[..3200]), &config).model;
        assert!(champion.record.has_skill());
        let judge =
            |candidate: &Candidate| candidate.judge(&Champion::Model(Arc::new(champion.clone())), &config).unwrap();
        let honest = full(data(&series), &config);
        let verdict = judge(&honest);
        assert!(verdict.decision.promotes(), "{}", verdict.reason);
        let nonsense = rescored(full(shuffled(data(&series), seed), &config), data(&series));
        let verdict = judge(&nonsense);
        assert_eq!(verdict.decision, Decision::WorseLogLoss, "{}", verdict.reason);
        assert!(verdict.comparison.is_some_and(|c| c.compared_on == ComparedOn::Fresh));

        // A routine training has no fresh rows to speak of; what both held out tells as much.
        let champion = Champion::Model(Arc::new(honest.model));
        let verdict = nonsense.judge(&champion, &config).unwrap();
        assert_eq!(verdict.decision, Decision::WorseLogLoss, "{}", verdict.reason);
        assert!(verdict.comparison.is_some_and(|c| c.compared_on == ComparedOn::HeldOut));

        // Nor does continuing on nonsense get past, though the champion's belief is kept.
        let Champion::Model(champion) = champion else { panic!() };
        let grown = candles(7600, 1.0, seed);
        let nonsense = shuffled(data(&grown), seed);
        let ended = extend(&champion, nonsense, &market(), &config, 0, &Cancel::default(), &|_| {}).unwrap();
        assert!(matches!(ended, Continued::Worse(_)));
        // And where it is not known since when it is continued, the gate is there.
        let mut champion = Model::clone(&champion);
        champion.lineage.continues = Some(1);
        let champion = Arc::new(champion);
        let nonsense = rescored(continued(&champion, shuffled(data(&grown), seed), &config), data(&grown));
        let verdict = nonsense.judge(&Champion::Model(champion.clone()), &config).unwrap();
        assert!(!verdict.decision.promotes(), "{}", verdict.reason);
        let comparison = verdict.comparison.unwrap();
        assert_eq!(comparison.compared_on, ComparedOn::Fresh);
        assert!(comparison.excess.is_some_and(|excess| excess.low > 0.0), "{comparison:?}");
        let sound = continued(&champion, data(&grown), &config);
        let verdict = sound.judge(&Champion::Model(champion), &config).unwrap();
        assert!(verdict.decision.promotes(), "{}", verdict.reason);
    }
}

#[test]
fn a_chain_of_short_updates_ends_where_it_was_worse_than_the_constant() {
    // Each update is too short for the gate.
    let (config, series) = (config(40), candles(4400, 1.0, 5));
    let champion = full(data(&series[..3000]), &config).model;
    assert!(champion.record.has_skill() && champion.lineage.full_ms.is_none());
    let full_ms = champion.record.horizon_ms;
    let ended = |turned: bool| {
        let mut champion = champion.clone();
        (3150..=4400).step_by(150).find_map(|hours| {
            let mut data = data(&series[..hours]);
            let first = data.times_ms.partition_point(|time| *time < full_ms);
            // The rule is turned round: what succeeded fails.
            for side in data.sides.iter_mut().filter(|_| turned) {
                let rate = side.happened[first..].iter().sum::<f64>() / (side.happened.len() - first) as f64;
                let mut random = ChaCha8Rng::seed_from_u64(7);
                for happened in &mut side.happened[first..] {
                    let keeps = random.random_bool((rate / (1.0 - rate)).min(1.0));
                    *happened = if *happened > 0.5 || !keeps { 0.0 } else { 1.0 };
                }
            }
            match extend(&champion, data, &market(), &config, 0, &Cancel::default(), &|_| {}).unwrap() {
                Continued::Trained(candidate) => champion = candidate.model,
                Continued::NothingNew(rows) => panic!("{rows} new rows"),
                Continued::Worse(reason) => return Some(reason),
            }
            assert_eq!(champion.lineage.full_ms, Some(full_ms));
            None
        })
    };
    let reason = ended(true).expect("nobody looked at the chain");
    assert!(reason.contains("worse than the constant"), "{reason}");
    assert_eq!(ended(false), None);
}

#[test]
fn a_model_worse_than_the_constant_does_not_replace_one_that_is_not() {
    let series = candles(1500, 0.0, 1);
    let config = config(10);
    let champion = full(data(&series), &config).model;
    let mut candidate = full(data(&series), &config);
    candidate.model.record.beliefs = [0.5, 0.0];
    candidate.model.record.buy.log_loss = candidate.model.record.buy.constant_log_loss + 0.01;
    let verdict = candidate.judge(&Champion::Model(Arc::new(champion)), &config).unwrap();
    assert_eq!(verdict.decision, Decision::WorseThanConstant);
    assert!(!verdict.decision.promotes() && verdict.reason.contains("worse than the constant"), "{}", verdict.reason);
    let first = candidate.judge(&Champion::None, &config).unwrap();
    assert_eq!(first.decision, Decision::FirstModel);
}

#[test]
fn the_same_continued_model_and_the_same_verdict_with_1_2_and_4_threads() {
    let series = candles(2000, 0.6, 9);
    let config = config(60);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let champion = full(data(&series[..1000]), &config).model;
            let candidate = continued(&champion, data(&series), &config);
            let verdict = candidate.judge(&Champion::Model(Arc::new(champion)), &config).unwrap();
            (candidate.model, verdict)
        })
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
    assert_eq!(one.1.comparison.unwrap().compared_on, ComparedOn::Fresh);
}

/// Live BUYs in the middle of the series, each given at one of its bars and closed ten bars on, all of which ended this way.
fn live(data: &Dataset, bars: std::ops::Range<usize>, success: bool) -> Feedback {
    let row = |row: usize| LiveRow {
        direction: Direction::Buy,
        features: data.row(row).try_into().unwrap(),
        success,
        implied: 1.0 / 3.0,
        given_ms: data.times_ms[row] + HOUR,
        closed_ms: data.times_ms[row] + 11 * HOUR,
    };
    Feedback { rows: bars.step_by(10).map(row).collect(), ..Feedback::default() }
}

#[test]
fn what_live_signals_came_to_is_unknown_before_they_closed() {
    let (config, series) = (config(10), candles(3000, 1.0, 3));
    let rows = data(&series);
    let feedback = live(&rows, rows.len() * 4 / 5..rows.len() - 20, false);
    let closed = rows.times_ms.partition_point(|time| *time < feedback.rows[0].closed_ms);
    let without = said(&full(data(&series), &config).scored, closed);
    let with = said(&full(data(&series).with_feedback(&feedback), &config).scored, closed);
    assert!(!without[0].is_empty(), "nothing was scored before the first closing");
    assert!(without[0] == with[0], "a score knew its future");
    assert!(without[1] != with[1], "the outcomes taught nothing");
}

#[test]
fn no_model_knows_what_live_signals_came_to_after_the_horizon_of_its_candles() {
    let (config, series) = (config(12), candles(2200, 1.0, 3));
    let champion = full(data(&series[..1000]), &config).model;
    let horizon_ms = data(&series).horizon_ms;
    // The newest outcomes closed while no candles could be fetched any more; or at the last moment that there are candles of.
    let trained = |closed_ms: i64, success: bool| {
        let rows = data(&series);
        let mut feedback = live(&rows, 0..rows.len() - 400, true);
        let mut newest = live(&rows, rows.len() - 400..rows.len(), success).rows;
        newest.iter_mut().for_each(|row| row.closed_ms = closed_ms);
        feedback.rows.append(&mut newest);
        let continued = continued(&champion, data(&series).with_feedback(&feedback), &config).model;
        [full(rows.with_feedback(&feedback), &config).model, continued]
    };
    assert!(
        trained(horizon_ms + 1, false) == trained(horizon_ms + 1, true),
        "a model knew what came after its candles"
    );
    let (failed, succeeded) = (trained(horizon_ms, false), trained(horizon_ms, true));
    assert!(failed[0] != succeeded[0] && failed[1] != succeeded[1], "the outcomes taught nothing");
}

#[test]
fn live_outcomes_move_what_is_predicted_where_they_happened() {
    let (config, series) = (config(40), candles(1500, 0.0, 3));
    let rows = data(&series);
    let overbought: Vec<usize> = (0..rows.len()).filter(|&row| rows.row(row)[8] > 65.0).collect();
    let mean = |candidate: &Candidate, rows: &Dataset| {
        let raw = |&row: &usize| candidate.model.buy.forest.predict(rows.row(row)).unwrap();
        overbought.iter().map(raw).sum::<f64>() / overbought.len() as f64
    };
    let taught = |success: bool| {
        let mut feedback = live(&rows, 0..0, success);
        feedback.rows = overbought.iter().step_by(3).flat_map(|&row| live(&rows, row..row + 1, success).rows).collect();
        mean(&full(data(&series).with_feedback(&feedback), &config), &rows)
    };
    let (failed, untaught, succeeded) = (taught(false), mean(&full(data(&series), &config), &rows), taught(true));
    assert!(failed < untaught - 0.03 && succeeded > untaught + 0.03, "{failed} {untaught} {succeeded}");
}
