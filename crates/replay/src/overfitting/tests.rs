use super::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-7
}

/// A standard normal number: Box and Muller, 1958.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (a, b): (f64, f64) = (random.random_range(f64::EPSILON..1.0), random.random());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[test]
fn normal_shares_match_scipy() {
    for (z, share) in [
        (-3.2, 0.000_687_137_937_915_847_1),
        (-1.0, 0.158_655_253_931_457_07),
        (0.0, 0.5),
        (0.3, 0.617_911_422_188_952_6),
        (1.644_853_626_951_472_2, 0.95),
        (5.0, 0.999_999_713_348_428_1),
        (40.0, 1.0),
        (-40.0, 0.0),
    ] {
        assert!((normal_share(z) - share).abs() < 1e-14, "{z}: {}", normal_share(z));
    }
}

#[test]
fn days_match_scipy() {
    let r: Vec<f64> = (0..120).map(|n| f64::from((n * 7919) % 101 - 40) / 50.0).collect();
    let days = Days::of(&r, 120);
    assert_eq!((days.days, days.closing_days), (120, 120));
    assert!(near(days.sharpe.unwrap(), 0.312_134_744_113_549_3));
    assert!(near(days.skew, 0.010_080_009_826_545_949) && near(days.kurtosis, 1.797_384_021_682_271_2));
    for equal in [&[][..], &[1.0], &[0.1; 40], &[0.0; 40]] {
        let days = Days::of(equal, 0);
        assert_eq!((days.sharpe, days.skew, days.kurtosis), (None, 0.0, 3.0));
    }
}

#[test]
fn the_example_of_the_source() {
    // An annual ratio of 2.5 over five years of 250 days, skewness −3, kurtosis 10, the best of 100 trials whose annual ratios have a
    // variance of ½: luck is 0.1132, and 0.9004 is left.
    let of = Days { days: 1250, closing_days: 1250, sharpe: Some(2.5 / 250f64.sqrt()), skew: -3.0, kurtosis: 10.0 };
    let apart = (0.5 / 250.0 * 99.0 / 100.0f64).sqrt();
    let sharpes: Vec<f64> = (0..100).map(|n| if n % 2 == 0 { apart } else { -apart }).collect();
    let deflated = deflated_sharpe(&of, &sharpes).unwrap();
    assert!(near(deflated.luck, 0.113_172_001_865_132_14), "{deflated:?}");
    assert!(near(deflated.probability, 0.900_396_834_449_390_3), "{deflated:?}");
    assert_eq!((deflated.trials, deflated.days), (100, 1250));
    let few = deflated_sharpe(&of, &sharpes[..2]).unwrap();
    assert!(few.luck < deflated.luck && few.probability > deflated.probability);
}

#[test]
fn what_there_is_too_little_of_is_told() {
    let of = Days { days: 90, closing_days: 30, sharpe: Some(0.1), skew: 0.0, kurtosis: 3.0 };
    assert_eq!(deflated_sharpe(&of, &[0.1]), Err(Missing::TooFewTrials { have: 1, need: 2 }));
    let rare = Days { closing_days: 29, ..of };
    assert_eq!(deflated_sharpe(&rare, &[0.1; 2]), Err(Missing::TooFewDays { have: 29, need: 30 }));
    assert_eq!(deflated_sharpe(&Days { sharpe: None, ..of }, &[0.1; 2]), Err(Missing::NoSpread));
    // Trials without any difference leave nothing to choose: no luck.
    assert_eq!(deflated_sharpe(&of, &[0.1; 2]).unwrap().luck, 0.0);
    assert_eq!(overfitting(&[vec![1.0; 12]]), Err(Missing::TooFewTrials { have: 1, need: 2 }));
    assert_eq!(overfitting(&[vec![1.0; 12], vec![1.0; 7]]), Err(Missing::TooFewMonths { have: 7, need: 8 }));
    let told = serde_json::to_value(Missing::TooFewMonths { have: 7, need: 8 }).unwrap();
    assert_eq!(told, serde_json::json!({ "reason": "tooFewMonths", "have": 7, "need": 8 }));
}

#[test]
fn the_best_of_many_without_skill_is_rarely_taken_for_skill() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let days = |random: &mut ChaCha8Rng, skill: f64| {
        Days::of(&(0..500).map(|_| normal(random) + skill).collect::<Vec<_>>(), 500)
    };
    let (mut fooled, mut naive, mut found) = (0, 0, 0);
    for _ in 0..200 {
        let mut trials: Vec<Days> = (0..20).map(|_| days(&mut random, 0.0)).collect();
        let sharpes = |trials: &[Days]| trials.iter().filter_map(|trial| trial.sharpe).collect::<Vec<f64>>();
        let best = |trials: &[Days]| *trials.iter().max_by(|a, b| a.sharpe.partial_cmp(&b.sharpe).unwrap()).unwrap();
        let of = |trials: &[Days]| deflated_sharpe(&best(trials), &sharpes(trials)).unwrap();
        let deflated = of(&trials);
        fooled += usize::from(deflated.probability > 0.95);
        naive += usize::from(normal_share(deflated.sharpe * 499f64.sqrt()) > 0.95);
        trials[7] = days(&mut random, 0.25);
        found += usize::from(of(&trials).probability > 0.95);
    }
    assert!(fooled <= 10 && naive > 100, "of 200: {fooled} with the trials counted, {naive} without");
    assert!(found > 150, "a truly better trial, found in {found} of 200");
}

fn matrix(trials: i64, months: i64, bonus: f64) -> Vec<Vec<f64>> {
    let one = |t: i64, m: i64| {
        ((t * 37 + m * m * 101 + t * m * 53) % 97 - 45) as f64 / 10.0 + if t == 2 { bonus } else { 0.0 }
    };
    (0..trials).map(|t| (0..months).map(|m| one(t, m)).collect()).collect()
}

#[test]
fn cross_validation_matches_an_independent_computation() {
    // With numpy, over all combinations and with ranks of scipy.
    let odd = overfitting(&matrix(5, 11, 0.0)).unwrap();
    assert_eq!((odd.splits, odd.trials, odd.months), (252, 5, 11));
    assert!(near(odd.probability, 0.625), "{odd:?}");
    let long = overfitting(&matrix(4, 19, 0.5)).unwrap();
    assert_eq!((long.splits, long.months), (12_870, 19));
    assert!(near(long.probability, 0.086_868_686_868_686_87), "{long:?}");
}

#[test]
fn two_trials_by_hand() {
    // The second brings the reverse of the first, and each brings 0 in all: whatever is earned in one half of the months is lost in the
    // other, so every choice is wrong. In 18 of the 70 splits (1 + 16 + 1 ways to choose as many of each number as of its reverse), both
    // halves bring 0, and there is nothing to choose.
    let first = vec![1.0, 3.0, 1.0, 3.0, -1.0, -3.0, -1.0, -3.0];
    let second: Vec<f64> = first.iter().map(|r| -r).collect();
    let found = overfitting(&[first, second]).unwrap();
    assert_eq!(found.splits, 70);
    assert!(near(found.probability, (52.0 + 18.0 / 2.0) / 70.0), "{found:?}");
}

#[test]
fn noise_is_even_and_skill_lasts() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut noise, mut skill) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let mut trials: Vec<Vec<f64>> = (0..9).map(|_| (0..12).map(|_| normal(&mut random)).collect()).collect();
        noise.push(overfitting(&trials).unwrap().probability);
        trials[4].iter_mut().for_each(|month| *month += 1.5);
        skill.push(overfitting(&trials).unwrap().probability);
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    assert!((0.42..0.58).contains(&mean(&noise)), "{}", mean(&noise));
    assert!(mean(&skill) < 0.1, "{}", mean(&skill));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_probability_lies_between_nothing_and_one(trials in proptest::collection::vec(proptest::collection::vec(-3i8..4, 10), 2..6)) {
        let trials: Vec<Vec<f64>> = trials.into_iter().map(|trial| trial.into_iter().map(f64::from).collect()).collect();
        let found = overfitting(&trials).unwrap();
        prop_assert!((0.0..=1.0).contains(&found.probability));
        // Larger stakes change no ratio.
        let larger: Vec<Vec<f64>> = trials.iter().map(|trial| trial.iter().map(|r| 4.0 * r).collect()).collect();
        prop_assert_eq!(overfitting(&larger).unwrap(), found);
        for trial in &trials {
            let days = Days::of(trial, 30);
            if let Ok(deflated) = deflated_sharpe(&days, &[days.sharpe.unwrap_or(0.0), 0.1]) {
                prop_assert!((0.0..=1.0).contains(&deflated.probability));
            }
        }
    }
}
