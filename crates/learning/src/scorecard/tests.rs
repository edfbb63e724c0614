use super::*;
use domain::barrier::Outcome;
use domain::signal::{Closing, Signal, Source};
use domain::time::{DAY_MS, HOUR_MS, Tz};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// 2025-01-06, a Monday.
const T0: i64 = 1_736_121_600_000;
const WEEK_MS: i64 = 7 * DAY_MS;
const COSTS: Costs = Costs { fee_bps: 20.0, funding_bps_per_day: 0.0, leverage: None };

fn said(probability: f64, take: bool) -> Said {
    Said {
        probability,
        interval: (0.0, 1.0),
        base_rate: 0.5,
        prior: 0.4,
        shaped: true,
        expected_r: None,
        expected_r_interval: None,
        departures: [0.0; 4],
        contributions: None,
        take,
        outcomes: 100,
    }
}

/// A signal given at the beginning of a week, closed within an hour.
fn row(week: i64, probability: f64, take: bool, r: f64) -> Foretold {
    Foretold {
        given_ms: T0 + week * WEEK_MS,
        closed_ms: T0 + week * WEEK_MS + HOUR_MS,
        symbol: Symbol::parse("BTCUSDT").unwrap(),
        strategy: Some("rsi".to_owned()),
        taken: true,
        succeeded: r > 0.0,
        realised_r: Some(r),
        said: said(probability, take),
    }
}

/// Sixteen weeks, alternating between a signal to take that wins 2 R and one to leave that loses 1 R.
fn right() -> Vec<Foretold> {
    (0..16).map(|week| if week % 2 == 0 { row(week, 0.8, true, 2.0) } else { row(week, 0.2, false, -1.0) }).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn realised_r_is_the_profit_after_costs_in_units_of_the_risk() {
    let record = |changes: Value, outcome: Outcome, profit_percent: f64| {
        let mut value = json!({ "id": "a", "pair": "BTCUSDT", "signalType": "SELL", "confidence": 60, "entryPrice": 200,
            "stopLoss": 204, "takeProfit": 190, "timestamp": T0, "strategy": "ema", "taken": false });
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let signal = Signal::from_value(value, Source::Caller, Tz::UTC).unwrap();
        let closing = Closing { outcome, exit_price: None, profit_percent, closed_ms: T0 + 5, excursion: None };
        Record { signal, history: Vec::new(), closing: Some(closing), said: Some(said(0.4, true)) }
    };
    // The stop is 2 % away, and a round trip costs 0.2 %.
    let lost = record(json!({}), Outcome::StoppedOut, -2.0);
    let row = Foretold::of(&lost, &COSTS).unwrap();
    assert!(close(row.realised_r.unwrap(), -1.1) && !row.succeeded && !row.taken);
    assert_eq!((row.given_ms, row.closed_ms, row.strategy.as_deref()), (T0, T0 + 5, Some("ema")));
    // A stop that was trailed into profit earned something, whatever outcome it counts as.
    let trailed = Foretold::of(&record(json!({}), Outcome::StoppedOut, 3.0), &COSTS).unwrap();
    assert!(close(trailed.realised_r.unwrap(), 1.4) && !trailed.succeeded);
    // A signal that gained 0.5 % and states a fee of 1.5 % lost 1 %; a day of funding at 0.5 % takes more.
    let dear = record(json!({ "feeBps": 150 }), Outcome::Success, 0.5);
    assert!(close(Foretold::of(&dear, &COSTS).unwrap().realised_r.unwrap(), -0.5));
    let mut held = dear;
    held.closing.as_mut().unwrap().closed_ms = T0 + DAY_MS;
    let funded = Costs { funding_bps_per_day: 50.0, ..COSTS };
    assert!(close(Foretold::of(&held, &funded).unwrap().realised_r.unwrap(), -0.75));
    let bare = Foretold::of(&record(json!({ "stopLoss": null }), Outcome::Success, 1.0), &COSTS).unwrap();
    assert!(bare.realised_r.is_none() && bare.succeeded);
    for record in [
        Record { closing: None, ..lost.clone() },
        Record { said: None, ..lost },
        record(json!({}), Outcome::Unknown, 0.0),
    ] {
        assert_eq!(Foretold::of(&record, &COSTS), None);
    }
}

#[test]
fn worked_by_hand() {
    let card = Scorecard::of(right(), None, 1);
    let score = card.overall.as_ref().unwrap();
    assert_eq!((score.signals, score.followed, score.clusters), (16, 0, 16));
    assert!(close(score.success_share, 0.5) && close(score.mean_probability, 0.5));
    let LogLoss { probability, base_rate, prior, against_base_rate, against_prior } = score.log_loss;
    // −ln 0.8 each; ln 2 each; −ln 0.4 where it succeeded, −ln 0.6 where not.
    assert!(close(probability, 0.223_143_551_314_209_7) && close(base_rate, std::f64::consts::LN_2));
    assert!(close(prior, (0.916_290_731_874_155 + 0.510_825_623_765_990_7) / 2.0));
    assert!(close(against_base_rate.mean, -0.470_003_629_245_735_6));
    // All signals are alike, so every resample gives the same mean.
    let Ends { low, high } = against_base_rate.interval.unwrap();
    assert!(close(low, against_base_rate.mean) && close(high, against_base_rate.mean));
    assert!(close(against_prior.mean, probability - prior));
    let r = score.realised_r.unwrap();
    let (take, left, gain) = (r.take.unwrap(), r.left.unwrap(), r.gain.unwrap());
    assert_eq!((r.all.mean, take.mean, left.mean, gain.mean), (0.5, 2.0, -1.0, 1.5));
    assert_eq!((r.all.signals, take.signals, left.signals), (16, 8, 8));
    // A resample of k to take and 16 − k to leave moves the difference to 3 · (16 − k) / 16: a binomial, whose ends are
    // 4 and 12.
    let Ends { low, high } = gain.interval.unwrap();
    assert!(close(low, 0.75) && close(high, 2.25), "{low} {high}");
    assert_eq!((card.finding, card.verdict.as_str()), (Finding::Adds, "assess adds 1.50 R per signal [0.75, 2.25]"));
    let months: Vec<_> = card.by_month.iter().map(|part| (part.name.as_str(), part.score.signals)).collect();
    assert_eq!(months, [("2025-01", 4), ("2025-02", 4), ("2025-03", 5), ("2025-04", 3)]);
    assert_eq!((card.by_strategy.len(), card.by_symbol.len()), (1, 1));
    assert_eq!(card.by_strategy[0].score, *score);
}

#[test]
fn below_eight_clusters_there_is_no_verdict() {
    let card = Scorecard::of(right()[..4].to_vec(), None, 1);
    assert_eq!(
        (card.finding, card.verdict.as_str()),
        (Finding::NotEnough, "not enough to tell: 4 closed signals in 4 weeks")
    );
    let score = card.overall.unwrap();
    assert_eq!(
        (score.log_loss.against_base_rate.interval, score.realised_r.unwrap().gain.unwrap().interval),
        (None, None)
    );
    let one = Scorecard::of(right()[..1].to_vec(), None, 1);
    assert_eq!(one.verdict, "not enough to tell: 1 closed signal in 1 week");
    // A thousand signals within one hour are still one cluster.
    let hour = (0..1000).map(|n| Foretold { given_ms: T0 + n, ..row(0, 0.8, n % 2 == 0, 1.0) }).collect();
    assert_eq!(Scorecard::of(hour, None, 1).finding, Finding::NotEnough);
    let none = Scorecard::of(Vec::new(), None, 1);
    assert_eq!(
        (none.finding, none.overall, none.calibration.len(), none.by_month.len()),
        (Finding::NotEnough, None, 0, 0)
    );
}

#[test]
fn the_verdict_reports_gains_and_losses() {
    let changed = |change: &dyn Fn(Foretold) -> Foretold| {
        let card = Scorecard::of(right().into_iter().map(change).collect(), None, 1);
        (card.finding, card.verdict)
    };
    let (finding, words) = changed(&|row| Foretold { said: Said { take: !row.said.take, ..row.said }, ..row });
    assert_eq!((finding, words.as_str()), (Finding::Costs, "assess costs 1.50 R per signal [0.75, 2.25]"));
    // Nothing is to be left, so the advice makes no difference.
    let (finding, words) = changed(&|row| Foretold { said: Said { take: true, ..row.said }, ..row });
    assert_eq!(finding, Finding::BetterProbabilities);
    assert!(words.starts_with("better probabilities than the base rate: log loss -0.4700"), "{words}");
    // Without a stop, only the probabilities are judged.
    let (finding, _) = changed(&|row| Foretold {
        realised_r: None,
        said: Said { probability: 1.0 - row.said.probability, ..row.said },
        ..row
    });
    assert_eq!(finding, Finding::WorseProbabilities);
    let (finding, words) = changed(&|row| Foretold { realised_r: None, said: said(0.5, row.said.take), ..row });
    assert_eq!(finding, Finding::NoDifference);
    assert!(words.starts_with("no better than the base rate so far"), "{words}");
}

#[test]
fn with_few_signals_to_take_there_is_no_verdict() {
    let rows = (0..40).map(|week| row(week, 0.6, week == 3, if week == 3 { 9.0 } else { -0.1 })).collect();
    let gain = Scorecard::of(rows, None, 1).overall.unwrap().realised_r.unwrap().gain.unwrap();
    assert!(gain.mean > 8.0 && gain.interval.is_none());
}

#[test]
fn dependent_signals_count_as_one() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut wrong = 0;
    for seed in 0..60 {
        let mut rows = Vec::new();
        for week in 0..40 {
            // The advice of a week and the common result of its ten signals are independent.
            let (take, r) = (random.random_bool(0.5), if random.random_bool(0.4) { 1.5 } else { -1.0 });
            let hour = |n: i64| T0 + week * WEEK_MS + n * HOUR_MS;
            rows.extend((0..10).map(|n| Foretold { given_ms: hour(n), ..row(week, 0.4, take, r) }));
        }
        wrong += usize::from(matches!(Scorecard::of(rows, None, seed).finding, Finding::Adds | Finding::Costs));
    }
    // Three of sixty are expected; if signals were treated as independent, most of them would be wrong.
    assert!(wrong <= 9, "{wrong} of 60");
}

#[test]
fn calibration_has_ten_bins_and_splits_no_probability() {
    let rows = (0..1000).map(|n| row(n % 50, (n % 37) as f64 / 37.0, true, if n % 3 == 0 { 1.0 } else { -1.0 }));
    let bins = Scorecard::of(rows.collect(), None, 1).calibration;
    assert!((2..=10).contains(&bins.len()) && bins.is_sorted_by(|a, b| a.said < b.said));
    assert_eq!(bins.iter().map(|bin| bin.came.signals).sum::<u64>(), 1000);
    assert!(bins.iter().all(|bin| bin.came.signals >= 10 && bin.came.interval.is_some()));
    let same = Scorecard::of((0..50).map(|week| row(week, 0.3, true, 1.0)).collect(), None, 1).calibration;
    assert_eq!((same.len(), same[0].came.mean), (1, 1.0));
    assert!(close(same[0].said, 0.3));
}

fn rows() -> impl Strategy<Value = Vec<Foretold>> {
    let one = (0i64..60, 0..=100u32, any::<bool>(), -20..40i32, 0usize..3, any::<bool>());
    proptest::collection::vec(one, 0..60).prop_map(|rows| {
        rows.into_iter()
            .map(|(week, percent, take, r, kind, taken)| Foretold {
                symbol: Symbol::parse(["BTCUSDT", "ETHUSDT", "SOLUSDT"][kind]).unwrap(),
                strategy: [None, Some("rsi".to_owned()), Some("ema".to_owned())][kind].clone(),
                taken,
                realised_r: (kind > 0).then_some(f64::from(r) / 10.0),
                ..row(week, f64::from(percent) / 100.0, take, f64::from(r))
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_order_of_the_signals_changes_nothing(rows in rows(), seed: u64) {
        let mut shuffled = rows.clone();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (1..shuffled.len()).rev().for_each(|at| shuffled.swap(at, random.random_range(0..=at)));
        prop_assert_eq!(Scorecard::of(rows, None, 1), Scorecard::of(shuffled, None, 1));
    }

    #[test]
    fn parts_add_up_and_every_number_is_finite(rows in rows()) {
        let card = Scorecard::of(rows.clone(), None, 1);
        let count = rows.len() as u64;
        let sum = |parts: &[Part]| parts.iter().map(|part| part.score.signals).sum::<u64>();
        prop_assert_eq!(card.overall.as_ref().map_or(0, |score| score.signals), count);
        prop_assert_eq!((sum(&card.by_symbol), sum(&card.by_month)), (count, count));
        prop_assert_eq!(sum(&card.by_strategy), rows.iter().filter(|row| row.strategy.is_some()).count() as u64);
        prop_assert_eq!(card.calibration.iter().map(|bin| bin.came.signals).sum::<u64>(), count);
        // JSON cannot express a number that is not finite and would contain null.
        prop_assert!(!serde_json::to_string(&card).unwrap().contains("null"));
    }

    #[test]
    fn where_all_succeed_the_surest_probability_is_the_best(percents in proptest::collection::vec(1..=100u32, 8..30)) {
        let rows = |percent: &dyn Fn(u32) -> u32| {
            percents.iter().enumerate().map(|(week, one)| row(week as i64, f64::from(percent(*one)) / 100.0, true, 1.0)).collect::<Vec<_>>()
        };
        let (card, sure) = (Scorecard::of(rows(&|one| one), None, 1).overall.unwrap(), Scorecard::of(rows(&|_| 100), None, 1).overall.unwrap());
        prop_assert_eq!((card.success_share, sure.success_share), (1.0, 1.0));
        prop_assert!(sure.log_loss.probability <= card.log_loss.probability);
        prop_assert_eq!(card.realised_r.unwrap().gain, None);
    }
}
