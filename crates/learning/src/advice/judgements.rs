//! How often the advice is wrong, measured on simulated homes, and whether it finds what is there.
//!
//! Prices are martingales: no level earns more than another before costs, so every advice is false. Within an hour,
//! highs and lows are those of a Brownian path (its bridge between known points), so that a level is touched exactly
//! when the path reaches it. `npm run test:judgements` runs more homes, and more worlds.

use super::*;
use domain::barrier::Direction;
use domain::candle::Candle;
use domain::time::HOUR_MS;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const START_MS: i64 = 1_700_000_000_000 / HOUR_MS * HOUR_MS;
/// Parts of an hour whose ends are simulated.
const PARTS: usize = 4;
/// The first price, and the standard deviation of an hour: 1 %.
const PRICE: f64 = 1000.0;
const SIGMA: f64 = 10.0;

/// A simulated home.
#[derive(Debug, Clone, Copy)]
struct World {
    coins: usize,
    /// Hours between two signals of a coin.
    every: i64,
    /// Correlation of the coins' prices.
    correlation: f64,
    /// Distances of stop and target, in standard deviations of an hour.
    stop: f64,
    target: f64,
    /// Hours from a signal to its expiry.
    expiry: Option<i64>,
    weeks: i64,
    /// Signals are given at this minute of an hour.
    minute: i64,
    strategies: usize,
    fee_bps: f64,
    /// The price swings around its path by this much, in standard deviations of an hour, and each signal bets on the
    /// direction in which its path moves afterwards.
    swing: f64,
}

const PLAIN: World = World {
    coins: 5,
    every: 8,
    correlation: 0.6,
    stop: 2.0,
    target: 4.0,
    expiry: Some(48),
    weeks: 26,
    minute: 0,
    strategies: 1,
    fee_bps: 0.0,
    swing: 0.0,
};

struct Normal(ChaCha8Rng);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0.random_range(f64::MIN_POSITIVE..1.0)
    }

    fn next(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How far a Brownian path between two points of distance `step` goes beyond the first, upwards.
    fn beyond(&mut self, step: f64, variance: f64) -> f64 {
        0.5 * (step + (step * step - 2.0 * variance * self.uniform().ln()).sqrt())
    }
}

/// The hourly candles of all coins.
fn candles(world: &World, random: &mut Normal) -> Vec<Vec<Candle>> {
    let mut prices = vec![PRICE; world.coins];
    let mut all = vec![Vec::new(); world.coins];
    let (shared, alone) = (world.correlation.sqrt(), (1.0 - world.correlation).sqrt());
    let scale = SIGMA / (PARTS as f64).sqrt();
    for hour in 0..world.weeks * 7 * 24 {
        let common: Vec<f64> = (0..PARTS).map(|_| random.next()).collect();
        for (price, candles) in prices.iter_mut().zip(&mut all) {
            let (open, mut high, mut low) = (*price, *price, *price);
            for shared_step in &common {
                let step = scale * (shared * shared_step + alone * random.next());
                high = f64::max(high, *price + random.beyond(step, scale * scale));
                low = f64::min(low, *price - random.beyond(-step, scale * scale));
                *price += step;
            }
            candles.push(Candle { open_ms: START_MS + hour * HOUR_MS, open, high, low, close: *price, volume: 1.0 });
        }
    }
    all
}

/// Lets the price swing within each hour: its high and low lie further away than its path.
fn swinging(candles: &mut [Candle], by: f64) {
    for candle in candles {
        candle.high += by * SIGMA;
        candle.low -= by * SIGMA;
    }
}

/// The advice on the signals of a simulated home.
fn advised(world: &World, seed: u64) -> LevelsAdvice {
    let mut random = Normal(ChaCha8Rng::seed_from_u64(seed));
    let mut all = candles(world, &mut random);
    let mut signals = Vec::new();
    for (coin, candles) in all.iter_mut().enumerate() {
        swinging(candles, world.swing);
        let hours = (1..candles.len() as i64 - 1).filter(|hour| (hour + coin as i64) % world.every == 0);
        for (number, hour) in hours.enumerate() {
            // At the opening of an hour, or at its close, when it was given within.
            let entry = candles[hour as usize].open;
            let after = candles.get(hour as usize + 12).map_or(entry, |candle| candle.open);
            let up = if world.swing > 0.0 { after > entry } else { random.uniform() < 0.5 };
            let direction = if up { Direction::Buy } else { Direction::Sell };
            let level = |distance: f64| Some(entry + direction.sign() * distance * SIGMA);
            let since_ms = START_MS + hour * HOUR_MS + world.minute * 60_000;
            signals.push(PastSignal {
                symbol: Symbol::parse(&format!("COIN{coin}")).unwrap(),
                timeframe: Timeframe::H1,
                strategy: (world.strategies > 1).then(|| format!("s{}", number % world.strategies)),
                levels: Levels {
                    direction,
                    entry,
                    stop_loss: level(-world.stop),
                    take_profit: level(world.target),
                    since_ms,
                    expires_ms: world.expiry.map(|hours| since_ms + hours * HOUR_MS),
                },
                closed_ms: since_ms + (world.stop * world.target * HOUR_MS as f64) as i64,
                position: Position::default(),
                management: Management::Plain,
                atr_percent: Some(1.6),
            });
        }
    }
    let mut study = Study::of(signals, Costs { fee_bps: world.fee_bps, ..Costs::default() });
    for (coin, candles) in all.into_iter().enumerate() {
        let series = BTreeMap::from([(Timeframe::H1, Series::new(candles, HOUR_MS))]);
        study.replay(&Symbol::parse(&format!("COIN{coin}")).unwrap(), &series);
    }
    study.advice(seed)
}

/// Number of homes to simulate, and whether to run the worlds that take minutes.
fn runs() -> (u64, bool) {
    let asked = std::env::var("SIGNALLOOP_JUDGEMENTS").ok();
    asked.map_or((60, false), |count| (count.parse().unwrap(), true))
}

/// The share of homes for which `is_so` holds.
fn share(world: World, is_so: impl Fn(&LevelsAdvice) -> bool + Sync) -> f64 {
    let runs = runs().0;
    let count = (0..runs).into_par_iter().filter(|&seed| is_so(&advised(&world, seed))).count();
    count as f64 / runs as f64
}

/// The largest observed share that fits a promised rate: exceeded by chance once in a thousand times.
fn at_most(promised: f64) -> f64 {
    promised + 3.1 * (promised * (1.0 - promised) / runs().0 as f64).sqrt()
}

fn is_better(advice: &LevelsAdvice) -> bool {
    advice.finding == AdviceFinding::Better
}

/// Where no level is better, at most one answer in twenty names one.
#[test]
fn advice_is_seldom_given_where_no_level_is_better() {
    let short = [("as usual", PLAIN), ("many successes", World { stop: 6.0, target: 1.5, weeks: 13, ..PLAIN })];
    let long = [
        ("one coin", World { coins: 1, ..PLAIN }),
        ("ten weeks", World { weeks: 10, ..PLAIN }),
        ("independent coins", World { correlation: 0.0, coins: 10, ..PLAIN }),
        ("coins alike", World { correlation: 0.95, coins: 10, ..PLAIN }),
        ("no expiry", World { expiry: None, ..PLAIN }),
        ("hourly, no expiry", World { expiry: None, every: 1, coins: 2, ..PLAIN }),
        ("far target", World { stop: 1.5, target: 9.0, ..PLAIN }),
        ("near levels", World { stop: 0.7, target: 1.0, ..PLAIN }),
        ("within the hour", World { minute: 30, stop: 1.0, target: 2.0, ..PLAIN }),
        ("rare", World { coins: 1, every: 72, weeks: 52, ..PLAIN }),
        (
            "rare, many successes",
            World { coins: 1, every: 48, weeks: 26, stop: 8.0, target: 1.0, expiry: None, ..PLAIN },
        ),
        ("few, many successes", World { coins: 2, every: 48, weeks: 12, stop: 10.0, target: 1.0, ..PLAIN }),
        ("four strategies", World { strategies: 4, every: 4, ..PLAIN }),
    ];
    for (name, world) in short.into_iter().chain(long.into_iter().filter(|_| runs().1)) {
        let share = share(world, is_better);
        println!("{name}: {:.1} % get false advice", 100.0 * share);
        assert!(share <= at_most(0.05), "{name}: {share}");
    }
}

/// Costs weigh less in units of a wider stop, so that a wider stop truly loses less. Nothing else helps.
#[test]
fn after_costs_only_what_saves_costs_is_advised() {
    let world = World { fee_bps: 20.0, ..PLAIN };
    let is_false = |advice: &LevelsAdvice| {
        advice.strategies.iter().filter_map(|one| one.best).any(|best| best.tried.multiples.stop <= 1.0)
    };
    let share = share(world, is_false);
    println!("with costs: {:.1} % get false advice", 100.0 * share);
    assert!(share <= at_most(0.05), "{share}");
}

/// Signals that are right, but whose stop lies within the swings of the price: a wider stop helps.
#[test]
fn a_stop_within_the_swings_of_the_price_is_found() {
    let world = World { swing: 1.0, stop: 1.5, target: 6.0, expiry: Some(24), weeks: 13, ..PLAIN };
    let is_found = |advice: &LevelsAdvice| {
        advice.strategies.iter().filter_map(|one| one.best).any(|best| best.tried.multiples.stop > 1.0)
    };
    let share = share(world, is_found);
    println!("a stop that is too near: {:.1} % are told", 100.0 * share);
    assert!(share >= 0.95, "{share}");
}
