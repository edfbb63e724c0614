//! Guards the gate: no held-out score depends on the future, and a model that learned noise is refused.

use super::dataset::{Constants, Dataset};
use super::feedback::{Feedback, LiveRow};
use super::incremental::{Continued, continue_pool};
use super::shrinkage::is_better;
use super::train::{Candidate, Rule, train_pool_by};
use crate::model::{Champion, ComparedOn, Decision, Family, HeldOut, Interval, Model, Payoff};
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use simulator::price_walk::PriceWalk;

use domain::symbol::Market;
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
    PriceWalk::new(seed, &symbol, start, rule_strength).candles(timeframe, start, end - HOUR + 1, end, usize::MAX)
}

fn config(trees: usize) -> Config {
    Config { trees, ..Config::default() }
}

fn data(candles: &[Candle]) -> Dataset {
    taught(candles, &Feedback::default())
}

fn taught(candles: &[Candle], feedback: &Feedback) -> Dataset {
    Dataset::new(&market(), candles, feedback, &Config::default()).unwrap()
}

fn full(data: Dataset, config: &Config) -> Candidate {
    full_by(&is_better, data, config)
}

/// Uses the adjustment by live signals in every case.
const ALWAYS: &Rule = &|_, _| true;

fn full_by(rule: &Rule, data: Dataset, config: &Config) -> Candidate {
    let training = train_pool_by(rule, vec![Arc::new(data)], config, None, &Cancel::default(), &|_| {}).unwrap();
    training.candidate(&market(), config, 0).unwrap()
}

fn extended(champion: &Model, data: Dataset, config: &Config) -> Continued<Candidate> {
    match continue_pool(&champion.pool, vec![Arc::new(data)], config, None, &Cancel::default(), &|_| {}).unwrap() {
        Continued::Trained(training) => training.continued(&market(), champion, config, 0).unwrap().unwrap(),
        Continued::NothingNew(rows) => Continued::NothingNew(rows),
        Continued::Worse(reason) => Continued::Worse(reason),
    }
}

fn continued(champion: &Model, data: Dataset, config: &Config) -> Candidate {
    match extended(champion, data, config) {
        Continued::Trained(candidate) => candidate,
        Continued::NothingNew(rows) => panic!("{rows} new rows"),
        Continued::Worse(reason) => panic!("{reason}"),
    }
}

/// The same rows with a different future from `row` on: changed features there, and flipped labels wherever they were
/// decided there.
fn with_another_future(mut data: Dataset, row: usize) -> Dataset {
    let begins = data.times_ms[row];
    for at in row..data.len() {
        data.rows.row_mut(at).iter_mut().for_each(|value| *value = 0.3 - *value);
    }
    for side in &mut data.happened {
        for (happened, _) in side.iter_mut().zip(&data.decided_ms).filter(|(_, decided)| **decided > begins) {
            *happened = !*happened;
        }
    }
    data
}

/// The held-out predictions, as bits: of the rows before `row`, and of the rows from it on.
fn said(scored: &[(usize, HeldOut)], row: usize) -> [Vec<[u64; 4]>; 2] {
    let bits = |held: &HeldOut| {
        [held.buy.probability, held.buy.constant, held.sell.probability, held.sell.constant].map(f64::to_bits)
    };
    let middle = scored.partition_point(|(at, _)| *at < row);
    [&scored[..middle], &scored[middle..]].map(|rows| rows.iter().map(|(_, held)| bits(held)).collect())
}

/// A candidate trained on altered data, scored on the true outcomes.
fn rescored(mut candidate: Candidate, truth: Dataset) -> Candidate {
    let config = config(10);
    for (row, held) in &mut candidate.scored {
        let stated = [held.buy.probability, held.sell.probability];
        let base_rates = [held.buy.constant, held.sell.constant];
        let payoffs = [Payoff::at_levels(config.signal.reward_risk); 2];
        *held = truth.held_out(*row, stated, &Constants { base_rates, payoffs }, &config);
    }
    candidate.data = Arc::new(truth);
    candidate
}

fn shuffled(mut data: Dataset, seed: u64) -> Dataset {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..data.len()).rev() {
        let other = random.random_range(0..=last);
        data.happened.iter_mut().for_each(|side| side.swap(last, other));
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn full_training_scores_do_not_depend_on_the_future(seed in 0u64..100, at in 0.55..0.98f64) {
        // The world has a rule, so that some blocks give the model weight: that weight is learned from labels too.
        let series = candles(1100, 1.5, seed);
        let before = data(&series);
        let row = (at * before.len() as f64) as usize;
        let changed = with_another_future(data(&series), row);
        let [a, b] = [before, changed].map(|data| said(&full(data, &config(10)).scored, row));
        prop_assert!(!a[0].is_empty() || at < 0.6);
        prop_assert_eq!(&a[0], &b[0]);
        // Where the model gets no weight, the constant is predicted whatever the features are.
        let unbelieved = a[1].iter().all(|[buy, buys, sell, sells]| buy == buys && sell == sells);
        prop_assert!(unbelieved || a[1] != b[1], "the change was real");
    }

    #[test]
    fn a_continued_model_is_scored_by_its_predecessor(seed in 0u64..100, at in 0.945..0.99f64) {
        let series = candles(2200, 1.0, seed);
        let champion = full(data(&series[..2000]), &config(12)).model;
        let before = data(&series);
        let row = (at * before.len() as f64) as usize;
        let time = before.times_ms[row];
        let changed = with_another_future(data(&series), row);
        let held = |data| {
            let model = continued(&champion, data, &config(12)).model;
            let (before, after) = model.lineage.held_out.iter().copied().partition::<Vec<HeldOut>, _>(|row| row.time_ms < time);
            assert!(after.len() > 10);
            let numbered: Vec<(usize, HeldOut)> = before.into_iter().enumerate().collect();
            said(&numbered, usize::MAX)[0].clone()
        };
        prop_assert_eq!(held(before), held(changed));
    }
}

#[test]
fn fresh_rows_come_after_everything_the_champion_knew() {
    let series = candles(3000, 0.6, 3);
    let config = config(10);
    let champion = full(data(&series[..1650]), &config).model;
    let candidate = full(data(&series), &config);
    let after = candidate.data.first_after(&champion);
    let opens = candidate.data.times_ms[after];
    let given = series[1640].open_ms..=series[1650].open_ms;
    assert!(given.contains(&champion.record.horizon_ms), "the horizon is the end of the given candles");
    assert!(opens >= champion.record.horizon_ms && candidate.data.times_ms[after - 1] < champion.record.horizon_ms);
    let verdict = candidate.judge(&Champion::Model(Arc::new(champion)), &config).unwrap();
    let comparison = verdict.comparison.unwrap();
    assert_eq!(comparison.compared_on, ComparedOn::Fresh);
    assert_eq!(comparison.rows, candidate.data.len() - after);
    // A champion trained on all of the data has no fresh rows; both are compared on the rows they held out.
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

        // A routine training has hardly any fresh rows; the rows that both held out are just as conclusive.
        let champion = Champion::Model(Arc::new(honest.model));
        let verdict = nonsense.judge(&champion, &config).unwrap();
        assert_eq!(verdict.decision, Decision::WorseLogLoss, "{}", verdict.reason);
        assert!(verdict.comparison.is_some_and(|c| c.compared_on == ComparedOn::HeldOut));
    }
}

#[test]
fn a_chain_of_short_updates_ends_where_it_was_worse_than_the_constant() {
    // Each update has too few rows for the gate.
    let (config, series) = (config(40), candles(5000, 1.0, 5));
    let champion = full(data(&series[..3000]), &config).model;
    assert!(champion.record.has_skill() && champion.lineage.full_ms.is_none());
    let full_ms = champion.record.horizon_ms;
    let ended = |turned: bool| {
        let mut champion = champion.clone();
        (3150..=5000).step_by(150).find_map(|hours| {
            let mut data = data(&series[..hours]);
            let first = data.times_ms.partition_point(|time| *time < full_ms);
            // The rule is reversed: what succeeded before fails now.
            for side in data.happened.iter_mut().filter(|_| turned) {
                let side = &mut side[first..];
                let rate = side.iter().filter(|happened| **happened).count() as f64 / side.len() as f64;
                let mut random = ChaCha8Rng::seed_from_u64(7);
                for happened in side {
                    let keeps = random.random_bool((rate / (1.0 - rate)).min(1.0));
                    *happened = !*happened && keeps;
                }
            }
            match extended(&champion, data, &config) {
                Continued::Trained(candidate) => champion = candidate.model,
                Continued::NothingNew(rows) => panic!("{rows} new rows"),
                Continued::Worse(reason) => return Some(reason),
            }
            assert_eq!(champion.lineage.full_ms, Some(full_ms));
            None
        })
    };
    let reason = ended(true).expect("the chain was not checked");
    assert!(reason.contains("worse than the constant"), "{reason}");
    assert_eq!(ended(false), None);
}

#[test]
fn a_model_worse_than_the_constant_does_not_replace_one_that_is_not() {
    let series = candles(1500, 0.0, 1);
    let config = config(10);
    let champion = full(data(&series), &config).model;
    let mut candidate = full(data(&series), &config);
    let record = &mut candidate.model.record;
    record.buy.log_loss = record.buy.constant_log_loss + 0.01;
    record.skill.excess = Some(Interval { low: -0.001, mean: 0.005, high: 0.011 });
    let verdict = candidate.judge(&Champion::Model(Arc::new(champion.clone())), &config).unwrap();
    assert_eq!(verdict.decision, Decision::NotWorse, "the difference may be chance");
    candidate.model.record.skill.excess = Some(Interval { low: 0.001, mean: 0.005, high: 0.009 });
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
            let champion = full(data(&series[..1700]), &config).model;
            let updated = continued(&champion, data(&series), &config).model;
            let verdict = full(data(&series), &config).judge(&Champion::Model(Arc::new(champion)), &config).unwrap();
            (updated, verdict)
        })
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
    assert!(one.1.comparison.unwrap().excess.is_some());
}

/// Live BUYs, each given at the close of one of these rows and closed ten bars later.
fn live(data: &Dataset, rows: impl Iterator<Item = usize>) -> Feedback {
    let signal = |row: usize| {
        let given_ms = data.times_ms[row] + HOUR;
        LiveRow::new(Direction::Buy, given_ms, given_ms + 10 * HOUR)
    };
    Feedback { rows: rows.map(signal).collect(), ..Feedback::default() }
}

/// Every tenth of the rows whose bet succeeded, or failed.
fn ended(data: &Dataset, rows: std::ops::Range<usize>, success: bool) -> Feedback {
    live(data, rows.filter(|&row| data.happened[0][row] == success).step_by(10))
}

#[test]
fn live_outcomes_are_unknown_before_closing() {
    let (config, series) = (config(10), candles(3000, 1.0, 3));
    let rows = data(&series);
    let feedback = ended(&rows, rows.len() * 4 / 5..rows.len() - 30, false);
    let closed = rows.times_ms.partition_point(|time| *time < feedback.rows[0].closed_ms);
    let without = said(&full_by(ALWAYS, data(&series), &config).scored, closed);
    let with = said(&full_by(ALWAYS, taught(&series, &feedback), &config).scored, closed);
    assert!(!without[0].is_empty(), "no row was scored before the first closing");
    assert!(without[0] == with[0], "a score depends on the future");
    assert!(without[1] != with[1], "the outcomes had no effect");
}

#[test]
fn live_outcomes_after_the_horizon_are_unknown() {
    let (config, series) = (config(12), candles(2200, 1.0, 3));
    let champion = full_by(ALWAYS, data(&series[..2000]), &config).model;
    let rows = data(&series);
    let of = |closed_ms: Option<i64>| {
        let mut feedback = ended(&rows, 0..rows.len() - 400, true);
        let mut newest = ended(&rows, rows.len() - 400..rows.len(), false).rows;
        // The closing becomes known only later, when no candles could be fetched any more; or in the last moment that
        // candles cover.
        newest.iter_mut().for_each(|row| row.closed_ms = closed_ms.unwrap_or(row.closed_ms));
        feedback.rows.append(&mut newest);
        let data = || taught(&series, &feedback);
        [full_by(ALWAYS, data(), &config).model, continued(&champion, data(), &config).model]
    };
    let none = {
        let feedback = ended(&rows, 0..rows.len() - 400, true);
        let data = || taught(&series, &feedback);
        [full_by(ALWAYS, data(), &config).model, continued(&champion, data(), &config).model]
    };
    assert!(of(Some(rows.horizon_ms + 1)) == none, "a model depends on outcomes after its candles");
    let known = of(Some(rows.horizon_ms));
    assert!(known[0] != none[0] && known[1] != none[1], "the outcomes had no effect");
}

#[test]
fn a_signal_is_relabelled_with_the_models_shape() {
    let rows = data(&candles(1500, 0.0, 3));
    let given = Feedback {
        rows: [-HOUR, 0, HOUR, 90 * 60_000]
            .map(|after| LiveRow::new(Direction::Sell, rows.times_ms[700] + after, rows.times_ms[700] + 2 * HOUR))
            .into(),
        ..Feedback::default()
    };
    let read = given.relabelled(&rows);
    // The last bar that had closed when the signal was given.
    let mut places: Vec<usize> = read.rows.iter().map(|row| row.row).collect();
    places.sort_unstable();
    assert_eq!(places, [698, 699, 700, 700]);
    for row in &read.rows {
        assert_eq!(row.success, rows.happened[1][row.row]);
        assert!(row.closed_ms >= rows.decided_ms[row.row], "the outcome was known before it was decided");
    }
}

#[test]
fn live_outcomes_change_predictions_in_their_zone() {
    let (config, series) = (config(40), candles(1500, 0.0, 3));
    let rows = data(&series);
    let overbought: Vec<usize> = (0..rows.len()).filter(|&row| rows.row(row)[8] > 65.0).collect();
    let mean = |candidate: &Candidate| {
        let raw = |&row: &usize| candidate.model.pool.sides[0].families.forest.departure(rows.row(row)).unwrap();
        overbought.iter().map(raw).sum::<f64>() / overbought.len() as f64
    };
    let with = |success: bool| {
        let chosen = overbought.iter().copied().filter(|&row| rows.happened[0][row] == success).step_by(2);
        mean(&full_by(ALWAYS, taught(&series, &live(&rows, chosen)), &config))
    };
    let (failed, untaught, succeeded) = (with(false), mean(&full(data(&series), &config)), with(true));
    assert!(failed < untaught - 0.03 && succeeded > untaught + 0.03, "{failed} {untaught} {succeeded}");
}
