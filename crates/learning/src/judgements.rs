//! Error rates of the judges of live results: how often they are wrong on markets where nothing changes, and how soon
//! they find a real fall. Simulated homes have overlapping signals on correlated coins. `docs/live-results.md` states
//! the promised rates.
//!
//! `npm run test:judgements` runs more and longer homes, and worlds that take minutes.

use super::drift::OutcomeMonitor;
use super::improvement::{Closed, Verdict, improvement};
use super::outcomes::{Case, Lesson, Pattern};
use super::performance::{Performance, Turn};
use super::{LiveOutcome, weigh};
use crate::outcomes::patterns::find as find_patterns;
use domain::barrier::{Direction, Outcome};
use domain::config::PoorPerformance;
use domain::signal::Ended;
use domain::symbol::Market;
use domain::time::{DAY_MS, HOUR_MS};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

const WEEK: i64 = 7 * 24;
/// When a simulated home begins.
const START_MS: i64 = 1_700_000_000_000;
/// By how much an hourly random walk overshoots a level, in standard deviations of a step (Siegmund, *Sequential
/// Analysis*, 1985).
const OVERSHOOT: f64 = 0.5826;

/// A simulated home on unpredictable markets: every signal has the same chance of success.
#[derive(Debug, Clone, Copy)]
struct World {
    coins: usize,
    /// Hours between two signals of a coin.
    every: i64,
    /// Correlation of the coins' prices.
    correlation: f64,
    /// The chance of success: 0.8 is stop 4, target 1.
    success: f64,
    /// Mean hours that a signal stays open.
    life: f64,
    hours: i64,
    /// From this hour on, signals have this other chance of success.
    falls: Option<(i64, f64)>,
}

const DENSE: World =
    World { coins: 10, every: 1, correlation: 0.6, success: 0.6, life: 16.0, hours: 4 * WEEK, falls: None };

/// Stop and target for a chance of success, in standard deviations of an hour.
fn levels(success: f64, life: f64) -> (f64, f64) {
    let odds = success / (1.0 - success);
    ((life * odds).sqrt() - OVERSHOOT, (life / odds).sqrt() - OVERSHOOT)
}

struct OpenSignal {
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
    let markets: Vec<Market> =
        (0..world.coins).map(|coin| Market::parse(&format!("COIN{coin}"), "1h").unwrap()).collect();
    let mut prices = vec![0.0; world.coins];
    let (mut open, mut closed): (Vec<OpenSignal>, Vec<Ended>) = (Vec::new(), Vec::new());
    for hour in 0..world.hours {
        let common = world.correlation.sqrt() * normal();
        prices.iter_mut().for_each(|price| *price += common + (1.0 - world.correlation).sqrt() * normal());
        open.retain(|one| {
            let move_ = prices[one.coin] - one.entry;
            let succeeded = move_ >= one.target;
            if succeeded || move_ <= -one.stop {
                let profit = if succeeded { one.target } else { -one.stop } / 2.0;
                closed.push(Ended {
                    market: markets[one.coin].clone(),
                    direction: Direction::Buy,
                    outcome: if succeeded { Outcome::TookProfit } else { Outcome::StoppedOut },
                    succeeded,
                    confidence: None,
                    profit_percent: profit,
                    net_percent: profit - 0.1,
                    given_ms: START_MS + one.given * HOUR_MS,
                    closed_ms: START_MS + hour * HOUR_MS,
                });
            }
            !succeeded && move_ > -one.stop
        });
        let success = world.falls.filter(|(from, _)| hour >= *from).map_or(world.success, |(_, after)| after);
        let (stop, target) = levels(success, world.life);
        // Coins give their signals in turn.
        let given = (0..world.coins).filter(|coin| (hour + *coin as i64) % world.every == 0);
        open.extend(given.map(|coin| OpenSignal { coin, given: hour, entry: prices[coin], stop, target }));
    }
    closed
}

/// Number of homes to simulate.
fn runs() -> u64 {
    std::env::var("SIGNALLOOP_JUDGEMENTS").ok().map_or(200, |count| count.parse().unwrap())
}

/// Whether to run the worlds that take minutes.
fn is_long() -> bool {
    std::env::var_os("SIGNALLOOP_JUDGEMENTS").is_some()
}

/// The share of homes for which `is_so` holds.
fn share(world: World, is_so: impl Fn(&[Ended]) -> bool + Sync) -> f64 {
    let count = (0..runs()).into_par_iter().filter(|&seed| is_so(&home(&world, seed))).count();
    count as f64 / runs() as f64
}

/// The largest observed share that fits a promised rate: exceeded by chance once in a thousand times.
fn at_most(promised: f64) -> f64 {
    promised + 3.1 * (promised * (1.0 - promised) / runs() as f64).sqrt()
}

/// Hours between two checks of conservative mode in this simulation; a real home checks after each closing.
const LOOK: i64 = 12;

/// Ten coins at a true success rate of 60 %, twenty points above the threshold: at most one home in twenty enters
/// conservative mode within four weeks.
#[test]
fn conservative_mode_is_for_homes_that_do_poorly() {
    let ten = [(4, 16.0, 0.0), (4, 16.0, 0.8), (24, 24.0, 0.8)];
    let long = [(1, 16.0, 0.0), (1, 16.0, 0.4), (1, 16.0, 0.8), (8, 24.0, 0.4), (24, 24.0, 0.0)];
    for (every, life, correlation) in ten.into_iter().chain(long.into_iter().filter(|_| is_long())) {
        let world = World { every, life, correlation, ..DENSE };
        let share = share(world, |closed| entered(closed, START_MS).is_some());
        println!("a signal every {every} h of {life} h, correlation {correlation}: {:.1} % enter", 100.0 * share);
        assert!(share <= at_most(0.05), "{share}");
    }
}

/// A fall from 60 % to 30 % puts most homes into conservative mode within two weeks.
#[test]
fn a_fall_turns_a_home_conservative() {
    for correlation in [0.0, 0.8] {
        let world = World { every: 4, correlation, falls: Some((2 * WEEK, 0.3)), hours: 5 * WEEK, ..DENSE };
        let since_ms = START_MS + 2 * WEEK * HOUR_MS;
        let within = since_ms + 3 * WEEK * HOUR_MS;
        let mut after: Vec<i64> = (0..runs())
            .into_par_iter()
            .filter_map(|seed| entered(&home(&world, seed), since_ms).filter(|at| *at <= within))
            .map(|at| (at - since_ms) / DAY_MS)
            .collect();
        after.sort_unstable();
        let found = after.len() as f64 / runs() as f64;
        let median = after[after.len() / 2];
        println!("correlation {correlation}: {:.0} % found within three weeks, after {median} days", 100.0 * found);
        assert!(found >= 0.75 && median <= 14, "{found} {median}");
    }
}

/// When the home or one of its markets enters conservative mode after `since_ms`.
fn entered(closed: &[Ended], since_ms: i64) -> Option<i64> {
    let rule = PoorPerformance::default();
    let window_ms = i64::from(rule.window_days) * DAY_MS;
    let mut standing = Performance::default();
    let last_ms = closed.last().map_or(0, |one| one.closed_ms);
    let (mut from, mut until, mut now_ms) = (0, 0, START_MS);
    while now_ms < last_ms {
        now_ms += LOOK * HOUR_MS;
        from += closed[from..].partition_point(|one| one.closed_ms < now_ms - window_ms);
        until += closed[until..].partition_point(|one| one.closed_ms <= now_ms);
        let (next, changes) = standing.next(&closed[from..until], &rule, now_ms);
        if now_ms > since_ms && changes.iter().any(|change| change.turn == Turn::Entered) {
            return Some(now_ms);
        }
        standing = next;
    }
    None
}

fn evaluated(closed: &[Ended]) -> Verdict {
    improvement(&closed.iter().map(Closed::ended).collect::<Vec<_>>()).verdict
}

/// Where nothing changes, at most one market in twenty is called better or worse.
#[test]
fn evaluate_keeps_its_error_rate() {
    let worlds = [(1, 0.2, 4), (1, 0.5, 4), (1, 0.8, 4), (4, 0.5, 12), (24, 0.5, 12)];
    let long = [(1, 0.2, 12), (1, 0.5, 26), (4, 0.8, 4), (4, 0.2, 12), (24, 0.8, 26)];
    for (every, success, weeks) in worlds.into_iter().chain(long.into_iter().filter(|_| is_long())) {
        let world = World { coins: 1, every, success, hours: weeks * WEEK, ..DENSE };
        let share = share(world, |closed| matches!(evaluated(closed), Verdict::Improved | Verdict::Worse));
        println!("{weeks} weeks of a signal every {every} h at {success}: {:.1} % called changed", 100.0 * share);
        assert!(share <= at_most(0.05), "{share}");
    }
    let fall = World { coins: 1, hours: 12 * WEEK, falls: Some((6 * WEEK, 0.3)), ..DENSE };
    // At a fair price, other levels change how often signals succeed, but not what they earn. Here, wins are as large
    // as losses.
    let even = |one: &Ended| {
        let profit_percent = if one.succeeded { 1.0 } else { -1.0 };
        Ended { profit_percent, net_percent: profit_percent - 0.1, ..one.clone() }
    };
    let found = share(fall, |closed| evaluated(&closed.iter().map(even).collect::<Vec<_>>()) == Verdict::Worse);
    println!("a fall from 60 % to 30 %: {:.0} % found", 100.0 * found);
    assert!(found >= 0.6, "{found}");
}

fn alarms(closed: &[Ended]) -> Vec<i64> {
    let mut monitor = OutcomeMonitor::default();
    let next = |one: &Ended| monitor.next(one.succeeded, one.given_ms, one.closed_ms).map(|drift| drift.at_ms);
    closed.iter().filter_map(next).collect()
}

/// Where nothing changes, a market raises at most one false alarm in three years, on average.
#[test]
fn drift_has_few_false_alarms_and_is_found_soon() {
    for every in [1, 4, 24] {
        for success in [0.2, 0.5, 0.8] {
            let world = World { coins: 1, every, success, hours: 26 * WEEK, ..DENSE };
            let found: usize = (0..runs()).into_par_iter().map(|seed| alarms(&home(&world, seed)).len()).sum();
            let a_year = 2.0 * found as f64 / runs() as f64;
            println!("a signal every {every} h at {success}: {a_year:.3} false alarms a year");
            assert!(a_year <= 0.33 + 3.1 * (0.66 / runs() as f64).sqrt(), "{a_year}");
        }
    }
    let fall = World { coins: 1, hours: 20 * WEEK, falls: Some((10 * WEEK, 0.3)), ..DENSE };
    let begin_ms = START_MS + 10 * WEEK * HOUR_MS;
    let mut after: Vec<i64> = (0..runs())
        .into_par_iter()
        .filter_map(|seed| alarms(&home(&fall, seed)).into_iter().find(|at| *at > begin_ms))
        .map(|at| (at - begin_ms) / HOUR_MS)
        .collect();
    after.sort_unstable();
    let (found, median) = (after.len() as f64 / runs() as f64, after[after.len() / 2] as f64 / fall.life);
    println!("a fall from 60 % to 30 %: {:.0} % found, after {median:.0} lives", 100.0 * found);
    assert!(found >= 0.8 && median <= 60.0, "{found} {median}");
}

fn broken(closed: &[Ended], promised: f64) -> bool {
    let outcome = |one: &Ended| {
        let (succeeded, given_ms, closed_ms) = (one.succeeded, one.given_ms, one.closed_ms);
        LiveOutcome { version: 1, promised, succeeded, given_ms, closed_ms }
    };
    weigh(&closed.iter().map(outcome).collect::<Vec<_>>()).is_broken
}

/// Of markets whose models keep their promises, at most one in a hundred is ever rolled back.
#[test]
fn kept_promises_are_rarely_rolled_back() {
    for every in [1, 4, 24] {
        for success in [0.2, 0.5, 0.8] {
            let world = World { coins: 1, every, success, hours: 26 * WEEK, ..DENSE };
            let share = share(world, |closed| broken(closed, success));
            println!("a signal every {every} h, {success} promised and kept: {:.1} % rolled back", 100.0 * share);
            assert!(share <= at_most(0.01), "{share}");
        }
    }
    let half = World { coins: 1, success: 0.3, hours: 26 * WEEK, ..DENSE };
    let found = share(half, |closed| broken(closed, 0.6));
    assert!(found >= 0.95, "{found}");
}

/// The lessons of a home whose indicators predict nothing: some are drawn fresh at each signal, some move as slowly as
/// a price.
fn lessons(closed: &[Ended], seed: u64) -> Vec<Lesson> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut given: Vec<&Ended> = closed.iter().collect();
    given.sort_by_key(|one| one.given_ms);
    let mut slow = BTreeMap::new();
    let lesson = |one: &Ended| {
        let state: &mut [f64; 3] = slow.entry(one.market.symbol.as_str().to_owned()).or_insert([0.0; 3]);
        for (value, keeps) in state.iter_mut().zip([0.9f64, 0.98, 0.995]) {
            *value = keeps * *value + (1.0 - keeps * keeps).sqrt() * random.random_range(-1.7..1.7);
        }
        let fresh = [random.random_range(-1.0..1.0), random.random_range(-1.0..1.0), random.random_range(-1.0..1.0)];
        let names = ["a", "b", "c", "d", "e", "f"];
        let indicators = names.iter().zip(state.iter().chain(&fresh)).map(|(name, value)| ((*name).to_owned(), *value));
        let case = Case {
            market: one.market.clone(),
            direction: if random.random_bool(0.5) { Direction::Buy } else { Direction::Sell },
            strategy: None,
            implied: 0.5,
            reward_risk: None,
            loss_r: None,
            stop_percent: None,
            confidence: None,
            indicators: indicators.collect(),
            texts: Vec::new(),
            features: None,
            prior: None,
        };
        let (given_ms, closed_ms) = (one.given_ms, one.closed_ms);
        Lesson { case, success: one.succeeded, r: None, net_r: None, said: None, given_ms, closed_ms }
    };
    given.into_iter().map(lesson).collect()
}

fn found(lessons: &[Lesson]) -> Vec<Pattern> {
    find_patterns(&lessons.iter().collect::<Vec<_>>())
}

/// The same signals with a stop: a success wins 2 R and a failure loses 1 R, less costs of 0.1 R.
fn in_r(mut lessons: Vec<Lesson>) -> Vec<Lesson> {
    lessons.iter_mut().for_each(|one| one.net_r = Some(if one.success { 1.9 } else { -1.1 }));
    lessons
}

/// Where outcomes are unrelated to what is known of a signal, at most one history in twenty shows any rule.
#[test]
fn patterns_are_seldom_found_where_there_are_none() {
    let worlds = [(10, 24, 0.8, 0.5), (10, 12, 0.0, 0.2), (1, 1, 0.0, 0.5)];
    let long = [(10, 8, 0.6, 0.5), (10, 4, 0.6, 0.2), (4, 24, 0.6, 0.8), (10, 8, 0.0, 0.5)];
    for (coins, every, correlation, success) in worlds.into_iter().chain(long.into_iter().filter(|_| is_long())) {
        let world = World { coins, every, correlation, success, hours: 12 * WEEK, ..DENSE };
        let share = share(world, |closed| !found(&lessons(closed, closed.len() as u64)).is_empty());
        println!(
            "{coins} coins, every {every} h, correlation {correlation}, {success}: {:.1} % show a rule",
            100.0 * share
        );
        assert!(share <= at_most(0.05), "{share}");
    }
    // The same where results are counted in R, with wins twice as large as losses.
    let world = World { coins: 10, every: 24, correlation: 0.8, success: 0.4, hours: 12 * WEEK, ..DENSE };
    let share = share(world, |closed| !found(&in_r(lessons(closed, closed.len() as u64))).is_empty());
    println!("in R: {:.1} % show a rule", 100.0 * share);
    assert!(share <= at_most(0.05), "{share}");
}

/// Signals of one kind succeed as often as the others but cost 1.5 R more. Their success shows nothing; their R does.
#[test]
fn a_rule_that_only_results_in_r_show_is_found() {
    let world = World { coins: 2, every: 8, success: 0.5, hours: 26 * WEEK, ..DENSE };
    let plain = in_r(lessons(&home(&world, 3), 3));
    let mut dear = plain.clone();
    let is_dear = |one: &Lesson| one.case.indicators.iter().any(|(name, value)| name == "d" && *value > 0.3);
    dear.iter_mut().filter(|one| is_dear(one)).for_each(|one| one.net_r = one.net_r.map(|r| r - 1.5));
    assert_eq!(found(&plain), []);
    let told = found(&dear);
    let first = told.first().expect("a rule");
    let (mean, (low, high), all) = (first.mean_r.unwrap(), first.mean_r_interval.unwrap(), first.base_r.unwrap());
    // A threshold and its complement are one finding.
    let is_cheap = first.rule.contains("d below");
    assert!(is_cheap || first.rule.contains("d at or above"), "{first:?}");
    let expected = dear.iter().map(|one| one.net_r.unwrap()).sum::<f64>() / dear.len() as f64;
    assert!((all - expected).abs() < 1e-9 && low < mean && mean < high, "{first:?}");
    let apart = if is_cheap { low - all } else { all - high };
    assert!(apart > 0.2, "{first:?}");
    // Without a stop in one of them, success alone counts, and no mean R is told.
    dear[0].net_r = None;
    assert!(found(&dear).iter().all(|pattern| pattern.base_r.is_none()));
}

/// The benchmarks measure how long a search takes; this test only checks that it takes seconds, even without
/// optimisation.
#[test]
fn ten_thousand_outcomes_of_twelve_indicators_are_searched_in_seconds() {
    let world = World { every: 2, hours: 2000, ..DENSE };
    let mut lessons = lessons(&home(&world, 1), 1);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for lesson in &mut lessons {
        let more = ["g", "h", "i", "j", "k", "l"].map(|name| (name.to_owned(), random.random_range(-1.0..1.0)));
        lesson.case.indicators.extend(more);
    }
    let begin = std::time::Instant::now();
    found(&lessons);
    println!("{} outcomes searched in {:?}", lessons.len(), begin.elapsed());
    assert!(lessons.len() > 9_500 && begin.elapsed().as_secs() < 60);
}

/// A rule that begins half-way, among overlapping signals, is found, dated, and reported as still valid; one that ends
/// half-way is reported as no longer valid.
#[test]
fn a_planted_rule_is_found_and_dated() {
    let world = World { every: 8, hours: 26 * WEEK, ..DENSE };
    let half_ms = START_MS + 13 * WEEK * HOUR_MS;
    for (begins, holds) in [(true, true), (false, false)] {
        let told: Vec<Pattern> = (0..8)
            .filter_map(|seed| {
                let mut lessons = lessons(&home(&world, seed), seed);
                // The last of the fresh indicators.
                let hit = |lesson: &&mut Lesson| {
                    let (_, value) = lesson.case.indicators.last().unwrap();
                    *value > 0.4 && (lesson.given_ms >= half_ms) == begins
                };
                lessons.iter_mut().filter(hit).for_each(|lesson| lesson.success = false);
                let of_it = found(&lessons).into_iter().filter(|pattern| pattern.rule.contains("f at or above"));
                of_it.max_by_key(|pattern| pattern.tally.count)
            })
            .collect();
        assert!(told.len() >= 7, "{} of 8 found", told.len());
        for pattern in told {
            assert_eq!(pattern.still_holds, Some(holds), "{pattern:?}");
            if begins {
                assert!((pattern.since_ms - half_ms).abs() < 4 * WEEK * HOUR_MS, "{pattern:?}");
            }
        }
    }
}
