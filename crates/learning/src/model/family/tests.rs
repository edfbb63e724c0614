//! Properties that every family must have, tested on each.

use super::*;
use crate::model::forest::ForestParameters;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Debug;

const FOREST: ForestParameters = ForestParameters { trees: 40, max_depth: 6, min_leaf: 20, tries: 3, share: 0.5 };
const BOOSTING: BoostingParameters = BoostingParameters {
    rounds: 10,
    max_leaves: 12,
    min_leaf: 30,
    shrinkage: 10.0,
    rate: 0.04,
    row_share: 0.5,
    feature_share: 0.5,
};

/// Synthetic rows of 5 features.
struct Planted {
    rows: Vec<[f64; 5]>,
    happened: Vec<bool>,
    weights: Vec<f64>,
    offsets: Vec<f64>,
}

impl Planted {
    /// Offsets of 0.2 to 0.5 that follow feature 4; in addition, feature 0 moves the probability by up to `strength`.
    fn new(rows: usize, strength: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<[f64; 5]> = (0..rows).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect();
        let offsets: Vec<f64> = rows.iter().map(|row| if row[4] > 0.0 { 0.5 } else { 0.2 }).collect();
        let happened =
            rows.iter().zip(&offsets).map(|(row, offset)| rng.random_bool(offset + strength * row[0])).collect();
        let weights = rows.iter().map(|_| rng.random_range(0.7..1.3)).collect();
        Self { rows, happened, weights, offsets }
    }

    fn rows(&self) -> Vec<&[f64]> {
        self.rows.iter().map(|row| &row[..]).collect()
    }

    fn fit<F: Family>(&self, parameters: F::Parameters) -> F {
        self.try_fit(parameters, &Cancel::default()).unwrap()
    }

    fn try_fit<F: Family>(&self, parameters: F::Parameters, cancel: &Cancel) -> Result<F> {
        let bins = Bins::new(&self.rows());
        let Self { happened, weights, offsets, .. } = self;
        F::fit(&Sample { bins: &bins, happened, weights, offsets }, parameters, 7, cancel)
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// Runs the same test on each family.
macro_rules! of_each_family {
    ($($name:ident: $family:ty, $parameters:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn the_same_whatever_the_number_of_threads() {
                the_same_on_any_threads::<$family>($parameters);
            }

            #[test]
            fn finds_a_planted_effect() {
                finds_a_signal::<$family>($parameters);
            }

            #[test]
            fn does_not_learn_offsets() {
                keeps_to_offsets::<$family>($parameters);
            }

            #[test]
            fn rows_of_weight_zero_are_ignored() {
                ignores_rows_of_weight_zero::<$family>($parameters);
            }

            #[test]
            fn many_rows_are_answered_as_one_by_one() {
                answers_many_as_one_by_one::<$family>($parameters);
            }

            #[test]
            fn stops_when_cancelled() {
                let cancel = Cancel::default();
                cancel.cancel();
                let error = Planted::new(500, 0.1, 1).try_fit::<$family>($parameters, &cancel).map(|_| ()).unwrap_err();
                assert_eq!(error.code(), "ERR_CANCELLED");
            }

            #[test]
            fn a_file_keeps_it() {
                let model: $family = Planted::new(800, 0.1, 1).fit($parameters);
                let bytes = postcard::to_stdvec(&model).unwrap();
                assert_eq!(postcard::from_bytes::<$family>(&bytes).unwrap(), model);
            }

            #[test]
            fn is_continued_by_its_like_only() {
                let old: $family = Planted::new(800, 0.1, 1).fit($parameters);
                let newer: $family = Planted::new(800, 0.1, 2).fit($parameters);
                assert_eq!(old.renewed(&newer).unwrap(), newer, "as many trees, so all of them give way");
                let Planted { rows, happened, weights, offsets } = &Planted::new(300, 0.1, 3);
                let bins = Bins::new(&rows.iter().map(|row| &row[..1]).collect::<Vec<_>>());
                let sample = Sample { bins: &bins, happened, weights, offsets };
                let narrow = <$family>::fit(&sample, $parameters, 1, &Cancel::default()).unwrap();
                assert_eq!(old.renewed(&narrow).map(|_| ()).map_err(|error| error.code()), Err("ERR_INTERNAL"));
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(24))]
                #[test]
                fn predictions_are_finite_for_any_row(
                    rows in prop::collection::vec((prop::array::uniform5(odd()), any::<bool>(), 0u8..3, 0u8..=4), 1..120),
                    asked in prop::array::uniform5(odd()),
                ) {
                    says_something_finite::<$family>($parameters, &rows, asked)?;
                }
            }
        }
    )*};
}

of_each_family! {
    forest: Forest, FOREST;
    boosting: Boosting, BOOSTING;
    linear: Linear, ();
}

/// Numbers of all magnitudes, some of them repeated often.
fn odd() -> impl Strategy<Value = f64> {
    prop_oneof![-1.0..1.0f64, -1e300..1e300f64, Just(0.0), Just(f64::MIN_POSITIVE), Just(f64::MAX)]
}

fn the_same_on_any_threads<F: Family + PartialEq + Debug + Send>(parameters: F::Parameters)
where
    F::Parameters: Copy + Send + Sync,
{
    // More rows than a thread takes at a time.
    let planted = Planted::new(10_000, 0.1, 1);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| planted.fit::<F>(parameters))
    };
    let one = fit(1);
    assert_eq!(one, fit(2));
    assert_eq!(one, fit(4));
}

fn finds_a_signal<F: Family>(parameters: F::Parameters) {
    let model: F = Planted::new(8_000, 0.15, 1).fit(parameters);
    let unseen = Planted::new(2_000, 0.15, 2);
    let departures = model.departures(&unseen.rows()).unwrap();
    let error = |said: &dyn Fn(usize) -> f64| mean((0..2_000).map(|i| (0.15 * unseen.rows[i][0] - said(i)).powi(2)));
    let (left, whole) = (error(&|i| departures[i]), error(&|_| 0.0));
    assert!(left < 0.5 * whole, "{left} of {whole} is left");
}

/// The outcomes follow feature 4 exactly as the offsets do, so nothing is left to learn.
fn keeps_to_offsets<F: Family>(parameters: F::Parameters) {
    let planted = Planted::new(8_000, 0.0, 3);
    let model: F = planted.fit(parameters);
    let departures = model.departures(&planted.rows()).unwrap();
    for high in [false, true] {
        let of_half = planted.rows.iter().zip(&departures).filter(|(row, _)| (row[4] > 0.0) == high);
        let of_half: Vec<f64> = of_half.map(|(_, departure)| *departure).collect();
        // The departures are sampling noise of 4000 rows only; the offsets are 0.3 apart.
        let (mean, size) = (mean(of_half.iter().copied()), mean(of_half.iter().map(|departure| departure.abs())));
        assert!(mean.abs() < 0.015 && size < 0.04, "{mean}, {size}");
    }
}

fn ignores_rows_of_weight_zero<F: Family + PartialEq + Debug>(parameters: F::Parameters)
where
    F::Parameters: Copy,
{
    let mut planted = Planted::new(2_000, 0.1, 4);
    // The rows of weight 0 have the opposite outcomes, and repeat the values of the others, so that the bins are the
    // same.
    let rows: Vec<&[f64]> = planted.rows[..1_000].iter().map(|row| &row[..]).collect();
    let bins = Bins::new(&[&rows[..], &rows[..]].concat());
    planted.weights[1_000..].fill(0.0);
    let Planted { happened, weights, offsets, .. } = &planted;
    let fit = |happened: &[bool]| -> F {
        F::fit(&Sample { bins: &bins, happened, weights, offsets }, parameters, 7, &Cancel::default()).unwrap()
    };
    let opposite: Vec<bool> =
        happened.iter().enumerate().map(|(row, happened)| if row < 1_000 { *happened } else { !happened }).collect();
    let model = fit(happened);
    assert_eq!(model, fit(&opposite));
    let mut others = weights.clone();
    others[1_000] = 1.0;
    let with_one = Sample { bins: &bins, happened, weights: &others, offsets };
    assert_ne!(model, F::fit(&with_one, parameters, 7, &Cancel::default()).unwrap(), "a row with weight has an effect");
}

fn answers_many_as_one_by_one<F: Family>(parameters: F::Parameters) {
    let planted = Planted::new(1_000, 0.1, 5);
    let model: F = planted.fit(parameters);
    let rows = planted.rows();
    let one_by_one: Option<Vec<f64>> = rows.iter().map(|row| model.departure(row)).collect();
    assert_eq!(model.departures(&rows), one_by_one);
    assert!(one_by_one.is_some());
    for odd in [&[0.0, 0.0, f64::NAN, 0.0, 0.0][..], &[0.0, f64::INFINITY, 0.0, 0.0, 0.0], &[0.0; 4], &[0.0; 6], &[]] {
        assert_eq!(model.departure(odd), None, "{odd:?}");
        assert_eq!(model.departures(&[rows[0], odd]), None, "{odd:?}");
    }
}

fn says_something_finite<F: Family>(
    parameters: F::Parameters,
    rows: &[([f64; 5], bool, u8, u8)],
    asked: [f64; 5],
) -> std::result::Result<(), TestCaseError> {
    let mut weights: Vec<f64> = rows.iter().map(|(_, _, weight, _)| f64::from(*weight)).collect();
    weights[0] = 1.0;
    let planted = Planted {
        rows: rows.iter().map(|(row, ..)| *row).collect(),
        happened: rows.iter().map(|(_, happened, ..)| *happened).collect(),
        weights,
        // 0 and 1 are among them.
        offsets: rows.iter().map(|(.., offset)| f64::from(*offset) / 4.0).collect(),
    };
    let model: F = planted.fit(parameters);
    for row in planted.rows.iter().chain([&asked]) {
        let departure = model.departure(row);
        prop_assert!(departure.is_some_and(|departure| (-1.0..=1.0).contains(&departure)), "{:?}", departure);
    }
    Ok(())
}

#[test]
fn a_sample_that_contradicts_itself_is_refused() {
    let bins = Bins::new(&[&[1.0][..], &[2.0]]);
    let without_features = Bins::new(&[&[][..], &[]]);
    let (happened, ones, halves) = ([true, false], [1.0, 1.0], [0.5, 0.5]);
    let sound = Sample { bins: &bins, happened: &happened, weights: &ones, offsets: &halves };
    assert_eq!(sound.counting().unwrap(), [0, 1]);
    for (what, sample) in [
        ("no features", Sample { bins: &without_features, ..sound }),
        ("an event too few", Sample { happened: &happened[..1], ..sound }),
        ("a weight too few", Sample { weights: &ones[..1], ..sound }),
        ("an offset too few", Sample { offsets: &halves[..1], ..sound }),
        ("no weight", Sample { weights: &[0.0, 0.0], ..sound }),
        ("a negative weight", Sample { weights: &[1.0, -0.1], ..sound }),
        ("an infinite weight", Sample { weights: &[1.0, f64::INFINITY], ..sound }),
        ("an offset above 1", Sample { offsets: &[0.5, 1.1], ..sound }),
        ("no offset", Sample { offsets: &[0.5, f64::NAN], ..sound }),
    ] {
        for refused in [
            Forest::fit(&sample, FOREST, 1, &Cancel::default()).map(|_| ()),
            Boosting::fit(&sample, BOOSTING, 1, &Cancel::default()).map(|_| ()),
            Linear::fit(&sample, (), 1, &Cancel::default()).map(|_| ()),
            Families::fit(&sample, 10, 1, &Cancel::default()).map(|_| ()),
        ] {
            assert_eq!(refused.map_err(|error| error.code()), Err("ERR_INTERNAL"), "{what}");
        }
    }
}

#[test]
fn families_are_summed_by_weight() {
    let planted = Planted::new(1_500, 0.1, 6);
    let bins = Bins::new(&planted.rows());
    let Planted { happened, weights, offsets, .. } = &planted;
    let sample = Sample { bins: &bins, happened, weights, offsets };
    let families = Families::fit(&sample, 20, 1, &Cancel::default()).unwrap();
    assert_eq!(families.forest.trees(), 20);
    assert_eq!(families.importances(), families.forest.importances());
    let row = &planted.rows[3][..];
    let said = families.departures_of(row).unwrap();
    let each = [families.forest.departure(row), families.boosting.departure(row), families.linear.departure(row)];
    assert_eq!(said.map(Some), each);
    let sum = families.departure(row, &[0.5, 0.3, 0.2]).unwrap();
    assert!((sum - (0.5 * said[0] + 0.3 * said[1] + 0.2 * said[2])).abs() < 1e-12);
    assert_eq!(families.departure(row, &[0.0, 1.0, 0.0]), Some(said[1]));
    assert_eq!(families.departure(row, &[0.0; 3]), Some(0.0));
    assert_eq!(families.departure(&row[1..], &[0.0; 3]), None, "an unreadable row has no departure with any weights");
    let all = families.departures_of_all(&planted.rows()).unwrap();
    assert_eq!(all[3], said);
    assert_eq!(all.len(), 1_500);
    let bytes = postcard::to_stdvec(&families).unwrap();
    assert_eq!(postcard::from_bytes::<Families>(&bytes).unwrap(), families);
    assert_eq!(families.renewed(&families).unwrap(), families);
}

/// A damaged file is either refused or gives a model that can be evaluated.
#[test]
fn damage_is_refused_or_harmless() {
    let planted = Planted::new(300, 0.1, 7);
    let bins = Bins::new(&planted.rows());
    let Planted { happened, weights, offsets, .. } = &planted;
    let sample = Sample { bins: &bins, happened, weights, offsets };
    let families = Families::fit(&sample, 3, 1, &Cancel::default()).unwrap();
    let bytes = postcard::to_stdvec(&families).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut refused = 0;
    for _ in 0..3_000 {
        let mut damaged = bytes.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..damaged.len());
            damaged[at] = rng.random();
        }
        if rng.random_bool(0.2) {
            damaged.truncate(rng.random_range(0..damaged.len()));
        }
        match postcard::from_bytes::<Families>(&damaged) {
            Ok(read) => {
                let said = read.departures_of(&planted.rows[0]);
                assert!(said.is_none_or(|said| said.iter().all(|departure| !departure.is_nan())), "{said:?}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 500, "{refused}");
}
