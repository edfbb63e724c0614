//! Measures whether adjusting training weights by live signals pays off: the log loss of models with the adjustment
//! minus that of models without it, on rows after the training. It runs on simulated markets or, where
//! `SIGNALLOOP_CANDLES` names folders of candle files (`btcusdt_1h.csv`, …; several folders separated by commas), on
//! real candles from before 2023. Start it with `npm run test:adjustment`; `docs/learning.md` has the figures.

use super::clusters::{Weighed, interval};
use super::dataset::Dataset;
use super::feedback::{Feedback, LiveRow};
use super::shrinkage::is_better;
use super::train::{PoolTraining, Rule, train_pool_by};
use crate::model::{Interval, log_loss};
use candles::{Reading, read_candles};
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::features::FEATURES;
use domain::symbol::Market;
use domain::time::{DAY_MS, HOUR_MS, Tz, parse_time};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::price_walk::PriceWalk;
use std::collections::BTreeMap;
use std::sync::Arc;

const START_MS: i64 = 1_577_836_800_000;
/// Each market gives a signal at one bar in this many, on average.
const EVERY: usize = 8;
const LIFE_MS: i64 = 12 * HOUR_MS;
/// Where the first signal and the training lie, as shares of the whole history: backends begin to record signals long
/// after the exchange began to trade.
const SHARES: [f64; 2] = [0.5, 0.85];
/// For real candles: days of history in each experiment, and days between two experiments, so that no row is scored
/// twice.
const REAL_DAYS: [i64; 2] = [730, 110];

/// How signals choose their direction.
#[derive(Debug, Clone, Copy)]
enum Strategy {
    Chance,
    /// With the sign of MACD. Where prices fall after a high RSI, the BUYs given there fail.
    Along,
    /// Against an RSI above 65 or below 35.
    Against,
}

/// Strategies, each with the largest adjustment of a weight.
const CASES: [(Strategy, f64); 4] =
    [(Strategy::Chance, 0.3), (Strategy::Along, 0.3), (Strategy::Against, 0.3), (Strategy::Along, 0.5)];

impl Strategy {
    fn bet(self, features: &[f64], random: &mut ChaCha8Rng) -> Option<Direction> {
        let value = |name: &str| features[FEATURES.iter().position(|feature| feature.name == name).unwrap()];
        let way = match self {
            Self::Chance => random.random_range(-1.0..1.0),
            Self::Along => value("macd_histogram"),
            Self::Against => match value("rsi_14") {
                rsi if rsi > 65.0 => -1.0,
                rsi if rsi < 35.0 => 1.0,
                _ => return None,
            },
        };
        Some(if way > 0.0 { Direction::Buy } else { Direction::Sell })
    }
}

/// The signals of a market from a time on.
fn signals(data: &Dataset, strategy: Strategy, from_ms: i64, seed: u64) -> Vec<LiveRow> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for row in data.times_ms.partition_point(|time| *time < from_ms)..data.len() {
        let is_given = random.random_range(0..EVERY) == 0;
        let bet = strategy.bet(data.row(row), &mut random).filter(|_| is_given);
        let given_ms = data.times_ms[row] + data.candle_ms;
        rows.extend(bet.map(|direction| LiveRow::new(direction, given_ms, given_ms + LIFE_MS)));
    }
    rows
}

/// A world's markets and candles.
type Series = Vec<(Market, Vec<Candle>)>;

/// Two symbols over `hours` hours. Their price falls after overbought hours and rises after oversold ones, as strongly
/// as `rules` says: before the first signal, and after it.
fn world(hours: i64, rules: [f64; 2], seed: u64) -> Series {
    let of = |symbol: &str| {
        let market = Market::parse(symbol, "1h").unwrap();
        let turn = START_MS + (SHARES[0] * hours as f64) as i64 * HOUR_MS;
        let end = START_MS + hours * HOUR_MS;
        let path = |rule: f64, begin: i64, until: i64, seed: u64| {
            let mut path = PriceWalk::new(seed, &market.symbol, begin, rule);
            path.candles(market.timeframe, begin, until - HOUR_MS + 1, until, usize::MAX)
        };
        let mut candles = path(rules[0], START_MS, turn, 2 * seed);
        let after = path(rules[1], turn, end, 2 * seed + 1);
        let scale = candles.last().unwrap().close / after[0].open;
        let scaled = |candle: Candle| Candle {
            open: candle.open * scale,
            high: candle.high * scale,
            low: candle.low * scale,
            close: candle.close * scale,
            ..candle
        };
        candles.extend(after.into_iter().map(scaled));
        (market, candles)
    };
    ["BTCUSDT", "ETHUSDT"].map(of).into()
}

/// Candles from folders, up to 2023; each further `question` ends 110 days earlier.
fn real(folders: &str, question: u64) -> Series {
    let until = parse_time("2023-01-01", Tz::UTC).unwrap() - question as i64 * REAL_DAYS[1] * DAY_MS;
    let from = until - REAL_DAYS[0] * DAY_MS;
    let mut found: BTreeMap<Market, BTreeMap<i64, Candle>> = BTreeMap::new();
    for file in folders.split(',').flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(symbol) = name.strip_suffix("_1h.csv") else { continue };
        let market = Market::parse(symbol, "1h").unwrap();
        let (candles, _) = read_candles(&path, market.timeframe, &Reading::stored()).unwrap();
        let wanted = candles.into_iter().filter(|candle| (from..until).contains(&candle.open_ms));
        found.entry(market).or_default().extend(wanted.map(|candle| (candle.open_ms, candle)));
    }
    let enough = |candles: &BTreeMap<i64, Candle>| candles.len() as i64 > (until - from) / HOUR_MS * 9 / 10;
    let of = |(market, candles): (Market, BTreeMap<i64, Candle>)| (market, candles.into_values().collect());
    found.into_iter().filter(|(_, candles)| enough(candles)).map(of).collect()
}

/// When the adjustment is used: always; where it is better on held-out rows; where it is significantly better there.
const RULES: [(&str, &Rule); 3] = [
    ("always", &|_, _| true),
    ("where it was better", &|excess, _| excess.iter().map(|row| row.value).sum::<f64>() < 0.0),
    ("where it was better beyond chance", &is_better),
];

/// One experiment: a training at one time, and the predictions of its models for the rows after it.
struct Question<'a> {
    series: &'a Series,
    config: &'a Config,
    /// All rows, by market.
    truth: Vec<Dataset>,
    /// When signals begin, and when the models are trained.
    times_ms: [i64; 2],
}

impl<'a> Question<'a> {
    fn new(series: &'a Series, config: &'a Config) -> Self {
        let all = |(market, candles): &(Market, Vec<Candle>)| {
            Dataset::new(market, candles, &Feedback::default(), config).unwrap()
        };
        let truth: Vec<Dataset> = series.iter().map(all).collect();
        let begin_ms = truth.iter().map(|data| data.times_ms[0]).min().unwrap();
        let end_ms = truth.iter().map(|data| data.horizon_ms).max().unwrap();
        let times_ms = SHARES.map(|share| begin_ms + (share * (end_ms - begin_ms) as f64) as i64);
        Self { series, config, truth, times_ms }
    }

    /// No signals at all.
    fn without_signals(&self) -> Vec<Feedback> {
        vec![Feedback::default(); self.truth.len()]
    }

    fn with_signals(&self, strategy: Strategy, strength: f64, seed: u64) -> Vec<Feedback> {
        let rows = |data: &Dataset, seed: u64| signals(data, strategy, self.times_ms[0], seed);
        let all = self.truth.iter().zip(10 * seed..);
        all.map(|(data, seed)| Feedback { rows: rows(data, seed), strength }).collect()
    }

    fn trained(&self, rule: &Rule, feedback: &[Feedback]) -> PoolTraining {
        let is_before = |candle: &&Candle| candle.open_ms + HOUR_MS <= self.times_ms[1];
        let data = self.series.iter().zip(feedback).map(|((market, candles), feedback)| {
            let history: Vec<Candle> = candles.iter().filter(is_before).copied().collect();
            Arc::new(Dataset::new(market, &history, feedback, self.config).unwrap())
        });
        train_pool_by(rule, data.collect(), self.config, None, &Cancel::default(), &|_| {}).unwrap()
    }

    /// The log loss of both directions by time since the training, and how much weight the models get beside the base
    /// rate.
    fn losses(&self, rule: &Rule, feedback: &[Feedback]) -> (Vec<(i64, f64)>, f64) {
        let training = self.trained(rule, feedback);
        let mut losses = Vec::new();
        for data in &self.truth {
            let model = training.candidate(data.market(), self.config, 0).unwrap().model;
            for row in data.times_ms.partition_point(|time| *time < self.times_ms[1])..data.len() {
                let held = data.served(&[row], &model, self.config, None).unwrap()[0];
                let loss = [held.buy, held.sell].map(|held| log_loss(held.happened, held.probability));
                losses.push((held.time_ms, loss[0] + loss[1]));
            }
        }
        (losses, training.beliefs.iter().sum::<f64>() / 2.0)
    }
}

/// Makes the markets and candles of a simulated world from a seed.
type MakeWorld = Box<dyn Fn(u64) -> Series>;

fn simulated(hours: i64) -> Vec<(&'static str, MakeWorld)> {
    let of = |rules: [f64; 2]| -> MakeWorld { Box::new(move |seed| world(hours, rules, seed)) };
    vec![
        ("no rule", of([0.0, 0.0])),
        ("a rule", of([0.25, 0.25])),
        ("a rule that begins with the signals", of([0.0, 0.5])),
        ("a rule that ends with them", of([0.5, 0.0])),
    ]
}

#[test]
#[ignore = "takes minutes; npm run test:adjustment"]
fn what_the_adjustment_is_worth() {
    let count = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let seeds = count("SIGNALLOOP_ADJUSTMENT", 2);
    let config = Config { trees: count("SIGNALLOOP_TREES", 30) as usize, ..Config::default() };
    let worlds = match std::env::var("SIGNALLOOP_CANDLES") {
        Ok(folders) => vec![("real candles", Box::new(move |seed| real(&folders, seed)) as MakeWorld)],
        Err(_) => simulated(5000),
    };
    println!("| world | signals | by up to | taken | log loss × 10⁻³ | 95 % | weeks | believed |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, make) in worlds {
        let mut found = vec![(Vec::new(), 0.0); CASES.len() * RULES.len()];
        for seed in 0..seeds {
            let series = make(seed);
            let question = Question::new(&series, &config);
            let (plain, _) = question.losses(&is_better, &question.without_signals());
            let cases = CASES.iter().flat_map(|case| RULES.iter().map(move |(_, rule)| (case, rule)));
            for ((&(strategy, strength), rule), (weighed, belief)) in cases.zip(&mut found) {
                let (losses, believed) = question.losses(rule, &question.with_signals(strategy, strength, seed));
                // Keeps the rows of different seeds in different clusters.
                let apart_ms = seed as i64 * 100_000 * DAY_MS;
                weighed.extend(losses.iter().zip(&plain).map(|(&(time_ms, with), (_, without))| Weighed {
                    time_ms: time_ms + apart_ms,
                    value: with - without,
                    weight: 2.0,
                }));
                *belief += believed / seeds as f64;
            }
        }
        let cases = CASES.iter().flat_map(|case| RULES.iter().map(move |(rule, _)| (case, rule)));
        for (((strategy, strength), rule), (weighed, belief)) in cases.zip(found) {
            let (found, weeks) = interval(weighed, 7 * DAY_MS, 1);
            let Interval { low, mean, high } = found.unwrap();
            let [low, mean, high] = [low, mean, high].map(|value| 1e3 * value);
            let percent = 100.0 * strength;
            println!(
                "| {name} | {strategy:?} | ±{percent:.0} % | {rule} | {mean:+.2} | {low:+.2} to {high:+.2} | {weeks} | {belief:.2} |"
            );
        }
    }
}

#[test]
fn the_adjustment_is_used_only_where_held_out_rows_improve() {
    let config = Config { trees: 20, ..Config::default() };
    let mut taken = [0, 0];
    for (number, rules) in [[0.0, 0.0], [0.0, 1.0]].into_iter().enumerate() {
        for seed in 0..2 {
            let series = world(5000, rules, seed);
            let question = Question::new(&series, &config);
            let [without, with] = [question.without_signals(), question.with_signals(Strategy::Chance, 0.3, seed)]
                .map(|feedback| question.trained(&is_better, &feedback).pool);
            for side in 0..2 {
                assert_eq!(with.sides[side].families != without.sides[side].families, with.adjusted[side]);
                taken[number] += usize::from(with.adjusted[side]);
            }
        }
    }
    assert!(taken[0] == 0 && taken[1] > 0, "{taken:?}");
}
