//! How often those who judge live results are wrong on markets where nothing changes, and how soon they find a real fall: on
//! simulated homes whose signals overlap, of coins that move together. The promises are those of `docs/live-results.md`.
//!
//! `npm run test:judgements` runs more homes, longer ones, and worlds that would take minutes.

use super::drift::OutcomeMonitor;
use super::improvement::{Closed, Verdict, improvement};
use super::performance::{Performance, Turn};
use super::{LiveOutcome, weigh};
use crate::barrier::{Direction, Outcome};
use crate::config::PoorPerformance;
use crate::feedback::Ended;
use crate::symbol::Market;
use crate::time::{DAY_MS, HOUR_MS};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const WEEK: i64 = 7 * 24;
/// When a home begins.
const START_MS: i64 = 1_700_000_000_000;
/// By how much a walk of hourly steps overshoots a level, in standard deviations of a step (Siegmund, *Sequential Analysis*, 1985).
const OVERSHOOT: f64 = 0.5826;

/// A home on markets where nothing can be known: signals of a constant chance of success.
#[derive(Debug, Clone, Copy)]
struct World {
    coins: usize,
    /// Hours between two signals of a coin.
    every: i64,
    /// Correlation of the coins' prices.
    correlation: f64,
    /// The chance of success: 0.8 is stop 4, target 1.
    success: f64,
    /// Hours that a signal lives on the average.
    life: f64,
    hours: i64,
    /// From this hour on, signals have another chance of success.
    falls: Option<(i64, f64)>,
}

const DENSE: World =
    World { coins: 10, every: 1, correlation: 0.6, success: 0.6, life: 16.0, hours: 4 * WEEK, falls: None };

/// Stop and target of a chance of success, in standard deviations of an hour.
fn levels(success: f64, life: f64) -> (f64, f64) {
    let odds = success / (1.0 - success);
    ((life * odds).sqrt() - OVERSHOOT, (life / odds).sqrt() - OVERSHOOT)
}

struct Open {
    coin: usize,
    given: i64,
    entry: f64,
    stop: f64,
    target: f64,
}

/// The closed signals of a home, in order of closing.
fn home(world: &World, seed: u64) -> Vec<Ended> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || {
        let (radius, angle) = (random.random_range(f64::MIN_POSITIVE..1.0), random.random_range(0.0..1.0));
        (-2.0 * f64::ln(radius)).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    let markets: Vec<Market> = (0..world.coins).map(|coin| Market::parse(&format!("COIN{coin}"), "1h").unwrap()).collect();
    let mut prices = vec![0.0; world.coins];
    let (mut open, mut closed): (Vec<Open>, Vec<Ended>) = (Vec::new(), Vec::new());
    for hour in 0..world.hours {
        let common = world.correlation.sqrt() * normal();
        prices.iter_mut().for_each(|price| *price += common + (1.0 - world.correlation).sqrt() * normal());
        open.retain(|one| {
            let move_ = prices[one.coin] - one.entry;
            let succeeded = move_ >= one.target;
            if succeeded || move_ <= -one.stop {
                closed.push(Ended {
                    market: markets[one.coin].clone(),
                    direction: Direction::Buy,
                    outcome: if succeeded { Outcome::TookProfit } else { Outcome::StoppedOut },
                    succeeded,
                    confidence: None,
                    profit_percent: if succeeded { one.target } else { -one.stop } / 2.0,
                    given_ms: START_MS + one.given * HOUR_MS,
                    closed_ms: START_MS + hour * HOUR_MS,
                });
            }
            !succeeded && move_ > -one.stop
        });
        let success = world.falls.filter(|(from, _)| hour >= *from).map_or(world.success, |(_, after)| after);
        let (stop, target) = levels(success, world.life);
        // Coins take their turns.
        let given = (0..world.coins).filter(|coin| (hour + *coin as i64) % world.every == 0);
        open.extend(given.map(|coin| Open { coin, given: hour, entry: prices[coin], stop, target }));
    }
    closed
}

/// Homes to look at.
fn runs() -> u64 {
    std::env::var("SIGNALLOOP_JUDGEMENTS").ok().map_or(200, |count| count.parse().unwrap())
}

/// Of so many homes, in how many something is so.
fn share(world: World, is_so: impl Fn(&[Ended]) -> bool + Sync) -> f64 {
    let count = (0..runs()).into_par_iter().filter(|&seed| is_so(&home(&world, seed))).count();
    count as f64 / runs() as f64
}

/// What a promised share may come to in so many homes: exceeded once in a thousand times.
fn at_most(promised: f64) -> f64 {
    promised + 3.1 * (promised * (1.0 - promised) / runs() as f64).sqrt()
}

fn conservative(closed: &[Ended], every: i64) -> Option<i64> {
    let rule = PoorPerformance::default();
    let mut standing = Performance::default();
    let (mut from, mut until) = (0, 0);
    let last = closed.last().map_or(0, |one| one.closed_ms);
    let mut now_ms = START_MS;
    while now_ms < last {
        now_ms += every * HOUR_MS;
        from += closed[from..].partition_point(|one| one.closed_ms < now_ms - i64::from(rule.window_days) * DAY_MS);
        until += closed[until..].partition_point(|one| one.closed_ms <= now_ms);
        let (next, changes) = standing.next(&closed[from..until], &rule, 10.0, now_ms);
        if changes.iter().any(|change| change.turn == Turn::Entered) {
            return Some((now_ms - START_MS) / HOUR_MS);
        }
        standing = next;
    }
    None
}

#[test]
fn explore_conservative() {
    for (coins, every, life, weeks) in [(10, 1, 16.0, 4), (10, 4, 16.0, 4), (10, 1, 16.0, 12), (10, 24, 24.0, 12), (1, 1, 16.0, 12), (3, 8, 24.0, 12)] {
        for correlation in [0.0, 0.4, 0.8] {
            for success in [0.6, 0.45, 0.3] {
                let world = World { coins, every, life, correlation, success, hours: weeks * WEEK, ..DENSE };
                let share = share(world, |closed| conservative(closed, 6).is_some());
                println!("coins {coins} every {every} life {life} weeks {weeks} corr {correlation} p {success}: {:.1} %", 100.0 * share);
            }
        }
    }
}

#[test]
fn explore_evaluate() {
    for every in [1, 4, 24] {
        for success in [0.2, 0.5, 0.8] {
            for weeks in [4, 12] {
                let world = World { coins: 1, every, success, life: 16.0, hours: weeks * WEEK, ..DENSE };
                let of = |closed: &[Ended]| {
                    let closed: Vec<Closed> = closed.iter().map(Closed::ended).collect();
                    improvement(&closed, 10.0).verdict
                };
                let wrong = share(world, |closed| matches!(of(closed), Verdict::Improved | Verdict::Worse));
                let none = share(world, |closed| of(closed) == Verdict::NotEnoughEvidence);
                println!("every {every} p {success} weeks {weeks}: wrong {:.1} %, none {:.1} %", 100.0 * wrong, 100.0 * none);
            }
        }
    }
}

fn alarms(closed: &[Ended]) -> Vec<i64> {
    let mut monitor = OutcomeMonitor::default();
    closed.iter().filter_map(|one| monitor.next(one.succeeded, one.given_ms, one.closed_ms)).map(|drift| drift.at_ms).collect()
}

#[test]
fn explore_drift() {
    for every in [1, 4, 24] {
        for success in [0.2, 0.5, 0.6, 0.8] {
            let world = World { coins: 1, every, success, life: 16.0, hours: 52 * WEEK, ..DENSE };
            let counts: Vec<(usize, usize)> = (0..runs()).into_par_iter().map(|seed| { let closed = home(&world, seed); (alarms(&closed).len(), closed.len()) }).collect();
            let total: usize = counts.iter().map(|c| c.0).sum();
            let n: usize = counts.iter().map(|c| c.1).sum();
            println!("every {every} p {success}: alarms a year {:.3}, in {} outcomes", total as f64 / runs() as f64, n / runs() as usize);
        }
    }
}

fn broken(closed: &[Ended], promised: f64) -> bool {
    let outcome = |one: &Ended| LiveOutcome { version: 1, promised, succeeded: one.succeeded, given_ms: one.given_ms, closed_ms: one.closed_ms };
    weigh(&closed.iter().map(outcome).collect::<Vec<_>>()).is_broken
}

#[test]
fn explore_rollback() {
    for every in [1, 4, 24] {
        for success in [0.2, 0.5, 0.8] {
            for promised in [1.0, 2.0] {
                if success * promised > 0.85 { continue }
                let world = World { coins: 1, every, success, life: 16.0, hours: 52 * WEEK, ..DENSE };
                let share = share(world, |closed| broken(closed, promised * success));
                println!("every {every} p {success} promised {promised}: {:.1} %", 100.0 * share);
            }
        }
    }
}
