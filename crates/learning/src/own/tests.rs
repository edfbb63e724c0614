//! An own model gets weight from what it did not see and knows beyond our families, and from nothing else.

use super::*;
use crate::features::WARM_UP;
use crate::model::{Champion, Decision, Pool};
use crate::train::{PoolTraining, train_pool, train_pool_with};
use crate::{Continued, Dataset, Feedback, continue_pool};
use domain::config::Config;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::price_walk::PriceWalk;
use std::collections::HashMap;
use std::sync::Mutex;

const HOUR: i64 = 3_600_000;
const START: i64 = 1_735_689_600_000;

fn market() -> Market {
    Market::parse("BTCUSDT", "1h").unwrap()
}

fn config() -> Config {
    Config { trees: 10, ..Config::default() }
}

/// The rows of a random walk of so many hours, which has no rule.
fn data(hours: i64) -> Arc<Dataset> {
    let Market { symbol, timeframe } = market();
    let end = START + hours * HOUR;
    let candles = PriceWalk::new(3, &symbol, START, 0.0).candles(timeframe, START, end - HOUR + 1, end, usize::MAX);
    Arc::new(Dataset::new(&market(), &candles, &Feedback::default(), &Config::default()).unwrap())
}

type Says = dyn Fn(i64, &[f64], Option<&[u8]>) -> [f64; 2] + Send + Sync;

/// A model that says what a function says, and notes what it was asked.
struct Mock {
    trained_until_ms: Option<i64>,
    can_fit: bool,
    says: Box<Says>,
    /// The last time of each fit, then the first and the last of each prediction.
    fits: Mutex<Vec<(i64, usize)>>,
    asked: Mutex<Vec<(i64, i64, Option<u8>)>>,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mock")
    }
}

impl Mock {
    fn new(says: impl Fn(i64, &[f64], Option<&[u8]>) -> [f64; 2] + Send + Sync + 'static) -> Self {
        let (fits, asked) = Default::default();
        Self { trained_until_ms: None, can_fit: false, says: Box::new(says), fits, asked }
    }
}

impl OwnModel for Mock {
    fn name(&self) -> &str {
        "mock"
    }

    fn trained_until_ms(&self) -> Option<i64> {
        self.trained_until_ms
    }

    fn can_fit(&self) -> bool {
        self.can_fit
    }

    fn fit(&self, batches: Vec<OwnBatch>, _: &Cancel) -> Result<Vec<u8>> {
        let [OwnBatch { times_ms, features, labels, weights, .. }] = &batches[..] else { panic!("one market") };
        assert_eq!([features.len(), labels.len(), weights.len()], [COUNT, 2, 1].map(|each| each * times_ms.len()));
        assert!(weights.iter().all(|weight| *weight > 0.0) && labels.iter().all(|label| *label <= 1));
        let mut fits = self.fits.lock().unwrap();
        fits.push((times_ms[times_ms.len() - 1], times_ms.len()));
        Ok(vec![fits.len() as u8])
    }

    fn predict(&self, batch: OwnBatch, state: Option<&[u8]>, _: &Cancel) -> Result<Vec<f64>> {
        let OwnBatch { times_ms, features, .. } = batch;
        self.asked.lock().unwrap().push((times_ms[0], times_ms[times_ms.len() - 1], state.map(|state| state[0])));
        let rows = times_ms.iter().zip(features.chunks_exact(COUNT));
        Ok(rows.flat_map(|(time, row)| (self.says)(*time, row, state)).collect())
    }
}

fn trained(own: &Arc<dyn OwnModel>, data: &Arc<Dataset>) -> PoolTraining {
    train_pool_with(Some(own), vec![data.clone()], &config(), &Cancel::default(), &|_| {}).unwrap()
}

fn plain(data: &Arc<Dataset>) -> PoolTraining {
    train_pool(vec![data.clone()], &config(), &Cancel::default(), &|_| {}).unwrap()
}

fn weights(training: &PoolTraining) -> [f64; 2] {
    training.pool.own.as_ref().unwrap().sides.each_ref().map(|side| side.blend.weight)
}

/// What happened at each time, blurred: right in `share` of the rows, and otherwise a coin.
fn knows(data: &Dataset, share: f64) -> HashMap<i64, [f64; 2]> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let of = |row: usize| {
        let says = |side: usize, random: &mut ChaCha8Rng| {
            let truth = if random.random_bool(share) { data.happened[side][row] } else { random.random_bool(0.35) };
            if truth { 0.6 } else { 0.3 }
        };
        (data.times_ms[row], [says(0, &mut random), says(1, &mut random)])
    };
    (0..data.len()).map(of).collect()
}

#[test]
fn a_constant_has_no_weight_and_changes_nothing() {
    let data = data(1500);
    let own: Arc<dyn OwnModel> = Arc::new(Mock::new(|_, _, _| [0.5, 0.2]));
    let (with, without) = (trained(&own, &data), plain(&data));
    assert_eq!(weights(&with), [0.0; 2]);
    let part = with.pool.own.clone().unwrap();
    assert!(part.sides.iter().all(|side| side.evidence.slope().is_none()), "it says nothing of its own");
    assert_eq!(Pool { own: None, ..Pool::clone(&with.pool) }.encode().unwrap(), without.pool.encode().unwrap());
    let [a, b] = [&with, &without].map(|training| training.candidate(&market(), &config(), 0).unwrap());
    assert_eq!(a.scored, b.scored, "the held-out predictions are the same to the bit");
    assert!(a.model.needs_own().is_none());
    assert!(needed(&a.model, None).unwrap().is_none(), "it is served without the model");
}

#[test]
fn what_a_model_memorised_gives_it_no_weight() {
    let data = data(2600);
    let memory = knows(&data, 1.0);
    // It knows all outcomes before the middle by heart, and nothing of those after it.
    let until_ms = data.times_ms[3 * data.len() / 4];
    let says = move |time: i64, row: &[f64], _: Option<&[u8]>| {
        if time < until_ms { memory[&time] } else { [0.35 + 0.1 * row[0].sin(), 0.35] }
    };
    let own: Arc<dyn OwnModel> = Arc::new(Mock { trained_until_ms: Some(until_ms), ..Mock::new(says.clone()) });
    let honest = trained(&own, &data);
    assert_eq!(weights(&honest), [0.0; 2]);
    let rows = data.times_ms.iter().filter(|time| **time >= until_ms).count() as u64;
    let part = honest.pool.own.clone().unwrap();
    assert!(part.sides.iter().all(|side| side.evidence.rows == rows), "only rows that it had not seen are evidence");
    assert_eq!(part.levels[0].1.mean().map(|mean| (mean[1] * 1e6).round()), Some(350_000.0));
    // Had it hidden that, it would have been believed: the rule is what keeps it out.
    let own: Arc<dyn OwnModel> = Arc::new(Mock::new(says));
    assert!(weights(&trained(&own, &data)).iter().all(|weight| *weight > 0.2));
}

#[test]
fn a_model_that_knows_something_gets_weight_and_improves_the_predictions() {
    let data = data(4000);
    let known = knows(&data, 0.9);
    let own: Arc<dyn OwnModel> = Arc::new(Mock::new(move |time, _, _| known[&time]));
    let with = trained(&own, &data);
    assert!(weights(&with).iter().all(|weight| *weight > 0.5), "{:?}", weights(&with));
    let model = with.candidate(&market(), &config(), 0).unwrap().model;
    let losses = [model.record.log_loss(), model.record.constant_log_loss()];
    assert!(losses[0] < losses[1] - 0.01, "{losses:?}");
    let told = model.record.own.clone().unwrap();
    assert_eq!((told.name.as_str(), told.is_fitted, told.sides[0].weight), ("mock", false, weights(&with)[0]));
    // It is needed to serve, and only under its name.
    assert!(needed(&model, Some(&own)).unwrap().is_some());
    let error = needed(&model, None).unwrap_err();
    assert!(error.code() == "ERR_OWN_MODEL" && error.to_string().contains("`mock`"), "{error}");
    // Its answers move the probability.
    let row = data.row(WARM_UP);
    let [up, down] = [0.2, -0.2].map(|by| model.stated_with(row, Some([by, by])).unwrap()[0]);
    assert!(up > down + 0.05, "{up} {down}");
    assert_eq!(model.stated_with(row, None), model.stated(row));
    // The gate asks it about the champion too, and cannot use a champion whose model is missing.
    let champion = Champion::Model(Arc::new(model));
    let again = with.candidate(&market(), &config(), 1).unwrap().judge(&champion, &config()).unwrap();
    assert!(again.decision.promotes() && again.comparison.is_some(), "{}", again.reason);
    let without = plain(&data).candidate(&market(), &config(), 1).unwrap().judge(&champion, &config()).unwrap();
    assert_eq!(without.decision, Decision::ChampionUnusable);
    assert!(without.reason.contains("weighs your model `mock`"), "{}", without.reason);
}

#[test]
fn a_model_is_fitted_in_each_fold_before_what_it_predicts() {
    let data = data(1500);
    let mock = Arc::new(Mock { can_fit: true, ..Mock::new(|_, row, _| [0.35 + 0.01 * row[0].sin(), 0.3]) });
    let own: Arc<dyn OwnModel> = mock.clone();
    let training = trained(&own, &data);
    let (fits, asked) = (mock.fits.lock().unwrap().clone(), mock.asked.lock().unwrap().clone());
    assert_eq!((fits.len(), asked.len()), (6, 5), "five folds, and the final model");
    for (number, (first, _, state)) in asked.iter().enumerate() {
        assert_eq!(*state, Some(number as u8 + 1), "by the state of its fold");
        assert!(fits[number].0 < *first, "fitted on earlier rows only");
    }
    assert_eq!(fits[5].1, data.len(), "the final model on all rows");
    assert_eq!(training.pool.own.as_ref().unwrap().state.as_deref(), Some(&[6][..]));
}

#[test]
fn an_update_continues_the_evidence_and_fits_again() {
    let (before, after) = (data(1500), data(1540));
    let mock = Arc::new(Mock { can_fit: true, ..Mock::new(|_, row, _| [0.35 + 0.01 * row[0].sin(), 0.3]) });
    let own: Arc<dyn OwnModel> = mock.clone();
    let old = trained(&own, &before).pool;
    let continued =
        |own| continue_pool(&old, vec![after.clone()], &config(), own, &Cancel::default(), &|_| {}).unwrap();
    let Continued::Trained(new) = continued(Some(&own)) else { panic!("it is continued") };
    let [old_part, new_part] = [&old, &new.pool].map(|pool| pool.own.clone().unwrap());
    let added = after.times_ms.iter().filter(|time| **time >= old.record.horizon_ms).count() as u64;
    assert_eq!(new_part.sides[0].evidence.rows, old_part.sides[0].evidence.rows + added);
    assert_eq!((old_part.state, new_part.state), (Some(vec![6]), Some(vec![7])));
    assert_eq!(mock.asked.lock().unwrap().last().unwrap().2, Some(6), "the new rows were predicted by the old state");
    let Continued::Worse(reason) = continued(None) else { panic!("without the model it is trained in full") };
    assert!(reason.contains("`mock`"), "{reason}");
    let plain = plain(&before).pool;
    let first = continue_pool(&plain, vec![after.clone()], &config(), Some(&own), &Cancel::default(), &|_| {}).unwrap();
    assert!(matches!(first, Continued::Worse(_)), "a model that was not weighed yet needs a full training");
}

#[test]
fn wrong_answers_are_refused_with_the_row_and_the_value() {
    #[derive(Debug)]
    struct Wrong(Vec<f64>);
    impl OwnModel for Wrong {
        fn name(&self) -> &str {
            "wrong"
        }
        fn trained_until_ms(&self) -> Option<i64> {
            None
        }
        fn can_fit(&self) -> bool {
            false
        }
        fn fit(&self, _: Vec<OwnBatch>, _: &Cancel) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }
        fn predict(&self, _: OwnBatch, _: Option<&[u8]>, _: &Cancel) -> Result<Vec<f64>> {
            Ok(self.0.clone())
        }
    }
    let ask = |answer: &[f64]| {
        let mut batch = OwnBatch::of_row(&market(), START, &[0.0; COUNT]);
        batch.add(START + HOUR, &[0.0; COUNT]);
        super::ask(&Wrong(answer.to_vec()), batch, None, &Cancel::default())
    };
    assert_eq!(ask(&[0.0, 1.0, 0.25, 0.5]).unwrap(), [[0.0, 1.0], [0.25, 0.5]]);
    for (answer, words) in [
        (&[0.5, 0.5][..], "two numbers for each of the 2 rows of BTCUSDT 1h, 4 in all; got 2"),
        (&[0.5; 5], "got 5"),
        (&[0.5, 0.5, f64::NAN, 0.5], "got NaN for a BUY in row 1 of BTCUSDT 1h (2025-01-01T01:00:00"),
        (&[0.5, 1.5, 0.5, 0.5], "got 1.5 for a SELL in row 0"),
        (&[-0.1, 0.5, 0.5, 0.5], "got -0.1 for a BUY in row 0"),
    ] {
        let error = ask(answer).unwrap_err();
        let text = error.to_string();
        assert!(
            error.code() == "ERR_OWN_MODEL" && text.contains("your model `wrong`") && text.contains(words),
            "{text}"
        );
    }
}
