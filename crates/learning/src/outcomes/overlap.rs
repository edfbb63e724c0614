//! Tests with signals that overlap in time, on a price that no indicator predicts: the learner should find nothing.

use super::{Case, Learner, Lesson, OutcomeModel};
use domain::barrier::Direction;
use domain::symbol::Market;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

const HOUR_MS: i64 = 3_600_000;
const SEEDS: u64 = 2;
/// Number of seeds for near-identical signals: the result of one run depends on luck.
const TWINS: u64 = 8;

fn case(indicators: [(&str, f64); 4]) -> Case {
    Case {
        market: Market::parse("BTCUSDT", "1h").unwrap(),
        direction: Direction::Buy,
        strategy: None,
        implied: 0.5,
        reward_risk: Some(1.0),
        loss_r: None,
        stop_percent: Some(2.0),
        confidence: Some(60.0),
        indicators: indicators.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        texts: Vec::new(),
        features: None,
        prior: None,
    }
}

fn up_to_date(learner: &mut Learner) {
    if learner.is_overdue() {
        let model = OutcomeModel::grow(&learner.evidence(), 7);
        learner.adopt(model);
    }
}

/// A random walk with steps of half a percent per hour, and its usual indicators.
struct PriceWalk {
    rng: ChaCha8Rng,
    prices: VecDeque<f64>,
    rises: f64,
    falls: f64,
    fast: f64,
    slow: f64,
}

impl PriceWalk {
    fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, prices: VecDeque::from([100.0; 50]), rises: 0.0, falls: 0.0, fast: 100.0, slow: 100.0 }
    }

    fn step(&mut self) -> f64 {
        // The sum of twelve uniform draws has a variance of one.
        let normal = (0..12).map(|_| self.rng.random_range(-0.5..0.5)).sum::<f64>();
        let last = self.prices[49];
        let price = last * (0.005 * normal).exp();
        self.rises += ((price - last).max(0.0) - self.rises) / 14.0;
        self.falls += ((last - price).max(0.0) - self.falls) / 14.0;
        self.fast += (price - self.fast) * 2.0 / 13.0;
        self.slow += (price - self.slow) * 2.0 / 27.0;
        self.prices.pop_front();
        self.prices.push_back(price);
        price
    }

    fn buy(&mut self) -> Case {
        let price = self.prices[49];
        let mean = self.prices.iter().sum::<f64>() / 50.0;
        case([
            ("rsi", 100.0 * self.rises / (self.rises + self.falls)),
            ("macd", 100.0 * (self.fast - self.slow) / price),
            ("smaDistance", 100.0 * (price / mean - 1.0)),
            ("volumeRatio", self.rng.random_range(0.4..2.0)),
        ])
    }
}

/// The result of a simulated walk.
struct Walked {
    /// The mean log loss of the predictions minus that of always predicting one half.
    excess: f64,
    effective: f64,
    /// The time from the first closing to the last, in mean lifetimes.
    lives: f64,
}

/// A BUY every `every` hours, which ends where the price is 2 % higher or lower: 16 hours later on average.
fn walked(every: i64, signals: i64, seed: u64) -> Walked {
    let mut walk = PriceWalk::new(seed);
    let mut learner = Learner::default();
    let mut open: Vec<(f64, f64, Lesson)> = Vec::new();
    let mut losses = Vec::new();
    let (mut hours_open, mut begin, mut end) = (0, 0, 0);
    for hour in 0..60 + every * signals {
        let price = walk.step();
        let hit = |(entry, ..): &mut (f64, f64, Lesson)| (price / *entry - 1.0).abs() >= 0.02;
        for (entry, probability, lesson) in open.extract_if(.., hit).collect::<Vec<_>>() {
            let success = price > entry;
            losses.push(-(if success { probability } else { 1.0 - probability }).ln());
            begin = if learner.lessons().is_empty() { hour } else { begin };
            (end, hours_open) = (hour, hours_open + hour - lesson.given_ms / HOUR_MS);
            learner.learn(Lesson { success, closed_ms: hour * HOUR_MS, ..lesson });
        }
        if hour >= 60 && hour % every == 0 {
            up_to_date(&mut learner);
            let case = walk.buy();
            let probability = learner.model().chances(&case).probability;
            open.push((
                price,
                probability,
                Lesson {
                    case,
                    success: false,
                    r: None,
                    net_r: None,
                    said: None,
                    given_ms: hour * HOUR_MS,
                    closed_ms: 0,
                },
            ));
        }
    }
    // The first outcomes are left out: there is nothing to learn from yet.
    let scored = &losses[300..];
    let excess = scored.iter().sum::<f64>() / scored.len() as f64 - std::f64::consts::LN_2;
    let lives = ((end - begin) * losses.len() as i64) as f64 / hours_open as f64;
    Walked { excess, effective: learner.model().effective(), lives }
}

#[test]
fn signals_that_overlap_are_not_taken_for_so_many_proofs() {
    for (every, signals) in [(1, 1_000), (4, 500)] {
        let walks: Vec<Walked> = (0..SEEDS).map(|seed| walked(every, signals, seed)).collect();
        let mean = walks.iter().map(|walk| walk.excess).sum::<f64>() / SEEDS as f64;
        println!("a signal every {every} h: log loss {mean:+.4} above a coin's");
        // A hundred independent outcomes lose as much until they show that there is nothing to learn.
        assert!(mean < 0.03, "every {every} h: {mean:+.4}");
        for Walked { effective, lives, .. } in walks {
            println!("  worth {effective:.0}, {lives:.0} lives long");
            assert!(
                (0.7..2.0).contains(&(effective / lives)),
                "every {every} h: worth {effective:.0}, {lives:.0} lives long"
            );
        }
    }
}

#[test]
fn near_twins_decided_by_a_coin_count_once() {
    let (mut excess, mut taken) = (0.0, 0);
    for seed in 0..TWINS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut learner = Learner::default();
        let draw = |rng: &mut ChaCha8Rng| {
            [("rsi", 20.0..80.0), ("macd", -1.0..1.0), ("volumeRatio", 0.5..1.5), ("adx", 10.0..40.0)]
                .map(|(name, range)| (name, rng.random_range(range)))
        };
        for burst in 0..80 {
            let (indicators, success) = (draw(&mut rng), rng.random_bool(0.5));
            for twin in 0..5 {
                let near = indicators.map(|(name, value)| (name, value * rng.random_range(0.99..1.01)));
                let given_ms = 3 * burst * HOUR_MS + twin * 60_000;
                let closed_ms = (3 * burst + 2) * HOUR_MS;
                learner.learn(Lesson {
                    case: case(near),
                    success,
                    r: None,
                    net_r: None,
                    said: None,
                    given_ms,
                    closed_ms,
                });
            }
            up_to_date(&mut learner);
        }
        let worth = learner.model().effective();
        assert!((45.0..160.0).contains(&worth), "80 bursts of five are worth {worth:.0}");
        for _ in 0..100 {
            let p = learner.model().chances(&case(draw(&mut rng))).probability;
            excess += (-0.5 * (p * (1.0 - p)).ln() - std::f64::consts::LN_2) / (100.0 * TWINS as f64);
            taken += u64::from((p - 0.5).abs() > 0.1);
        }
    }
    println!("log loss {excess:+.4} above a coin's; {taken} of {} a tenth off", 100 * TWINS);
    assert!(excess < 0.01, "{excess:+.4}");
    assert!(taken < 10 * TWINS, "{taken} of {} are told to be a tenth off a coin", 100 * TWINS);
}
