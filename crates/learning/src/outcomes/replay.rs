//! Tests that a backlog of outcomes, as after a restart, teaches the same as outcomes that arrive one by one.

use super::{Case, Learner, Lesson, OutcomeModel};
use domain::barrier::Direction;
use domain::symbol::Market;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HOUR_MS: i64 = 3_600_000;
pub const COUNT: i64 = 600;

/// Outcomes in sequence, whose success probability is a function of RSI and their number.
pub fn outcomes(count: i64, seed: u64, rate: impl Fn(f64, i64) -> f64) -> Vec<Lesson> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let lesson = |number| {
        let rsi = rng.random_range(20.0..80.0);
        let case = Case {
            market: Market::parse("BTCUSDT", "1h").unwrap(),
            direction: Direction::Buy,
            strategy: None,
            implied: 0.5,
            reward_risk: Some(1.0),
            loss_r: None,
            stop_percent: Some(2.0),
            confidence: None,
            indicators: vec![("rsi".to_owned(), rsi)],
            texts: Vec::new(),
            features: None,
            prior: None,
        };
        let given_ms = 2 * number * HOUR_MS;
        let success = rng.random_bool(rate(rsi, number));
        Lesson { case, success, r: None, net_r: None, said: None, given_ms, closed_ms: given_ms + HOUR_MS }
    };
    (0..count).map(lesson).collect()
}

fn grow(learner: &mut Learner) {
    let model = OutcomeModel::grow(&learner.evidence(), 7);
    learner.adopt(model);
}

/// Learns as a running backend does that asks after every hundredth outcome.
fn running(lessons: Vec<Lesson>) -> Learner {
    let mut learner = Learner::default();
    for (number, lesson) in lessons.into_iter().enumerate() {
        learner.learn(lesson);
        if number % 100 == 99 && learner.is_overdue() {
            grow(&mut learner);
        }
    }
    learner
}

fn restarted(lessons: Vec<Lesson>) -> Learner {
    let mut learner = Learner::default();
    let mut backlog = lessons.into();
    loop {
        learner.learn_some(&mut backlog);
        if !learner.is_overdue() {
            assert!(backlog.is_empty(), "the rest waits for a new model");
            return learner;
        }
        grow(&mut learner);
    }
}

fn said(learner: &Learner, rsi: f64) -> f64 {
    let asked = Case { indicators: vec![("rsi".to_owned(), rsi)], ..learner.lessons()[0].case.clone() };
    learner.model().chances(&asked).probability
}

#[test]
fn where_nothing_changed_a_restart_forgets_nothing() {
    for rate in [0.6, 0.7] {
        for seed in 0..3 {
            let lessons = outcomes(COUNT, seed, |_, _| rate);
            let (before, after) = (running(lessons.clone()), restarted(lessons));
            let worth = [&before, &after].map(|learner| learner.model().effective());
            println!("{rate}, seed {seed}: worth {worth:.0?}");
            assert!((worth[1] / worth[0] - 1.0).abs() < 0.1, "{rate}, seed {seed}: worth {worth:?} before and after");
            assert!((said(&before, 50.0) - said(&after, 50.0)).abs() < 0.05);
        }
    }
}

#[test]
fn a_change_in_the_backlog_is_found() {
    // The effect of RSI is reversed after 400 outcomes.
    let rate = |rsi: f64, number| if (rsi > 50.0) == (number < 400) { 0.85 } else { 0.25 };
    let mut learned = [0.0; 2];
    let seeds = 4;
    for seed in 0..seeds {
        let lessons = outcomes(COUNT, seed, rate);
        for (how, learner) in [running(lessons.clone()), restarted(lessons)].into_iter().enumerate() {
            let (low, high, worth) = (said(&learner, 30.0), said(&learner, 70.0), learner.model().effective());
            println!("seed {seed}: {low:.2} {high:.2}, worth {worth:.0}");
            assert!(worth < 300.0, "seed {seed}: all before counts on, worth {worth}");
            learned[how] += (low - high) / seeds as f64;
        }
    }
    // The true difference is 0.6, and was −0.6 before.
    assert!(learned.iter().all(|apart| *apart > 0.15), "{learned:.2?} on the average, running and restarted");
}

#[test]
fn closings_that_come_late_weigh_by_when_they_closed() {
    let mut lessons = outcomes(200, 1, |_, _| 0.6);
    let in_order = restarted(lessons.clone());
    // The tenth to the fortieth outcome arrive at the end.
    lessons[10..].rotate_left(30);
    let late = restarted(lessons);
    let worth = late.model().effective();
    assert!((0.8 * 200.0..=200.0).contains(&worth), "{worth}");
    assert!((worth - in_order.model().effective()).abs() < 1e-9, "{worth}");
    for rsi in [25.0, 50.0, 75.0] {
        // The predictions made for them depend on when they arrived, and so do the weights of the sources.
        let [late, in_order] = [&late, &in_order].map(|learner| said(learner, rsi));
        assert!((late - in_order).abs() < 0.05, "{late} and {in_order}: grown from the same");
    }
}
