//! Tests of a fresh start on a price without drift: the first signals to close are mostly those with a near level.

use super::survivors::{Open, early};
use super::{Case, Learner, Lesson, OutcomeModel};
use crate::odds::{log_odds, logistic};
use domain::barrier::{Direction, Levels};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HOUR_MS: i64 = 3_600_000;
const TICKS: i64 = 4;
const SEEDS: u64 = 5;
const COINS: u64 = 8;

/// A BUY with these levels in percent, and how it ends.
struct Given {
    lesson: Lesson,
    levels: Levels,
}

impl Given {
    /// The same as an open signal.
    fn open(&self) -> Open {
        let Levels { entry, stop_loss, take_profit, .. } = self.levels;
        // Prices are percent of an entry of 100.
        let level = |price: Option<f64>| price.map(|price| price - entry + 100.0);
        let levels =
            Levels { entry: 100.0, stop_loss: level(stop_loss), take_profit: level(take_profit), ..self.levels };
        Open::of(&levels)
    }
}

fn case(stop: f64, target: f64) -> Case {
    Case {
        implied: stop / (stop + target),
        reward_risk: Some(target / stop),
        loss_r: None,
        stop_percent: Some(stop),
        ..Case::bare("C0USDT")
    }
}

/// One BUY every hour, on a random walk with a standard deviation of half a percent per hour, until all signals of
/// `hours` hours have ended.
fn given(hours: i64, shapes: &[(f64, f64)], seed: u64) -> Vec<Given> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut price, mut tick, mut all, mut open) = (100.0, 0, Vec::new(), Vec::<Given>::new());
    while tick <= TICKS * hours || !open.is_empty() {
        let now_ms = tick * HOUR_MS / TICKS;
        let normal = (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
        price += 0.5 / (TICKS as f64).sqrt() * normal;
        for mut one in open.extract_if(.., |one| one.levels.on_tick(price, now_ms).is_some()).collect::<Vec<_>>() {
            one.lesson.success = price > one.levels.entry;
            one.lesson.closed_ms = now_ms;
            all.push(one);
        }
        if tick % TICKS == 0 && tick <= TICKS * hours {
            let (stop, target) = shapes[random.random_range(0..shapes.len())];
            let levels = Levels {
                direction: Direction::Buy,
                entry: price,
                stop_loss: Some(price - stop),
                take_profit: Some(price + target),
                since_ms: now_ms,
                expires_ms: None,
            };
            let lesson = Lesson {
                case: case(stop, target),
                success: false,
                r: None,
                net_r: None,
                said: None,
                given_ms: now_ms,
                closed_ms: i64::MAX,
            };
            open.push(Given { lesson, levels });
        }
        tick += 1;
    }
    all
}

/// The same for several independent coins.
fn coins(hours: i64, shapes: &[(f64, f64)], seed: u64) -> Vec<Given> {
    let of = |coin: u64| {
        let mut all = given(hours, shapes, 1_000 * seed + coin);
        let market = Case::bare(&format!("C{coin}USDT")).market;
        all.iter_mut().for_each(|one| one.lesson.case.market = market.clone());
        all
    };
    let mut all: Vec<Given> = (0..COINS).flat_map(of).collect();
    all.sort_by_key(|one| one.lesson.closed_ms);
    all
}

/// What is known at a time: closed signals and, if `tells_open`, open ones.
fn known(all: &[Given], now_ms: i64, tells_open: bool) -> (Vec<&Lesson>, Vec<Open>) {
    let (closed, rest): (Vec<&Given>, Vec<&Given>) = all.iter().partition(|one| one.lesson.closed_ms <= now_ms);
    let open = rest.into_iter().filter(|_| tells_open).map(Given::open).collect();
    (closed.into_iter().map(|one| &one.lesson).collect(), open)
}

/// How much the success rate of the closed signals exceeds the one expected from `rate`, with or without knowledge of
/// the open signals.
fn surprise(all: &[Given], now_ms: i64, rate: f64, tells_open: bool) -> f64 {
    let (lessons, open) = known(all, now_ms, tells_open);
    let until_ms = lessons.last().map_or(0, |lesson| lesson.closed_ms);
    let expected = early(&lessons, &open, until_ms).into_iter().map(|early| logistic(log_odds(rate) + early));
    let happened = lessons.iter().map(|lesson| f64::from(u8::from(lesson.success)));
    happened.zip(expected).map(|(happened, expected)| happened - expected).sum::<f64>() / lessons.len().max(1) as f64
}

/// The success rate after all signals have ended.
fn rate(shapes: &[(f64, f64)]) -> f64 {
    let long = given(20_000, shapes, 1);
    long.iter().filter(|one| one.lesson.success).count() as f64 / long.len() as f64
}

#[test]
fn closed_signals_are_compared_with_expected_closings() {
    // Stop and target; a lifetime is stop × target ÷ 0.25 hours.
    for shapes in [&[(4.0, 1.0)][..], &[(1.0, 4.0)], &[(4.0, 1.0), (1.0, 4.0), (2.0, 2.0)]] {
        let of_first = |all: Vec<Given>| -> Vec<Given> {
            all.into_iter().filter(|one| one.lesson.case.stop_percent == Some(shapes[0].0)).collect()
        };
        let rate = rate(&shapes[..1]);
        let sign = (rate - 0.5).signum();
        for (lives, biased) in [(1, 0.12), (2, 0.08), (4, 0.03)] {
            let hours = 16 * lives;
            let worlds: Vec<Vec<Given>> = (0..60).map(|seed| of_first(coins(hours, shapes, seed))).collect();
            let mean = |tells_open| {
                worlds.iter().map(|all| surprise(all, hours * HOUR_MS, rate, tells_open)).sum::<f64>() / 60.0
            };
            let (told, untold) = (mean(true), mean(false));
            println!(
                "{shapes:?}, {lives} lives: {:.3} succeeded of {rate:.3}; told what is open, {told:+.3}",
                rate + untold
            );
            assert!(sign * untold > biased, "{shapes:?}, {lives} lives: {untold:+.3}");
            assert!(told.abs() < untold.abs() / 2.5, "{shapes:?}, {lives} lives: {told:+.3} beside {untold:+.3}");
        }
    }
}

#[test]
fn knowing_open_signals_improves_a_fresh_start() {
    for shape in [(4.0, 1.0), (1.0, 4.0)] {
        let (rate, now_ms) = (rate(&[shape]), 32 * HOUR_MS);
        let stated = |tells_open| {
            let of = |seed| {
                let all = coins(32, &[shape], seed);
                let (lessons, open) = known(&all, now_ms, tells_open);
                let mut learner = Learner::default();
                lessons.into_iter().for_each(|lesson| learner.learn(lesson.clone()));
                let model = OutcomeModel::grow(&learner.evidence().with_open(std::iter::empty(), &open), 7);
                model.chances(&case(shape.0, shape.1)).base_rate
            };
            (0..SEEDS).map(of).sum::<f64>() / SEEDS as f64
        };
        let (told, untold) = (stated(true), stated(false));
        println!("{shape:?}: {told:.3} told what is open, {untold:.3} without, {rate:.3} true");
        assert!(
            (told - rate).abs() + 0.001 < (untold - rate).abs(),
            "{told:.3} told, {untold:.3} without, {rate:.3} true"
        );
    }
}
