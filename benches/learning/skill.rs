//! Walk-forward evaluation of signalloop's own training on folders of candle files: `npm run bench:skill` calls it.
//!
//! `export` trains the pooled model again every few months on the data known at that time, predicts the bars until the
//! next training, and writes features and labels, so that another learner can be compared on the same rows. `score`
//! evaluates the predictions of any learner.
#![allow(clippy::unwrap_used, missing_docs)]

use candles::{Reading, read_candles};
use clap::{Parser, Subcommand, ValueEnum};
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::features::FEATURES;
use domain::symbol::Market;
use domain::time::{format_iso, parse_time};
use learning::features::compute;
use learning::model::{Held, Payoff, Scores, log_loss};
use learning::{Costs, Dataset, Feedback, Label, Weighed, choose, interval, label, train_pool};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;
const SIDES: [Direction; 2] = [Direction::Buy, Direction::Sell];

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Arguments {
    /// Folders of candle files, `btcusdt_1h.csv`. Candles of one market in several folders are merged.
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    #[arg(long, default_value = "1h")]
    timeframe: String,
    /// First day that is predicted.
    #[arg(long)]
    from: String,
    /// First day after the predicted period.
    #[arg(long)]
    until: String,
    /// Changes candles or labels so that nothing can be learned.
    #[arg(long, value_enum, default_value = "none")]
    placebo: Placebo,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the exchanged files.
    #[arg(long)]
    exchange: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Placebo {
    /// No change.
    None,
    /// Each row gets the label of a row of the same market 60 to 120 days later.
    Shift,
    /// The direction of each price move is random; its size is unchanged.
    Walk,
}

#[derive(Subcommand)]
enum Task {
    /// Train, predict, and write rows.
    Export {
        /// Days between two trainings.
        #[arg(long, default_value_t = 91)]
        refit_days: i64,
        /// Days of candles for each training; all by default.
        #[arg(long)]
        history_days: Option<i64>,
    },
    /// Score the predictions of `{name}.csv`.
    Score { name: String },
}

/// A market and its candles, oldest first.
type Series = (Market, Vec<Candle>);

/// Markets of the timeframe that have a candle file, by name.
fn markets(arguments: &Arguments) -> Outcome<Vec<Series>> {
    let ending = format!("_{}.csv", arguments.timeframe);
    let mut found: BTreeMap<Market, BTreeMap<i64, Candle>> = BTreeMap::new();
    for folder in &arguments.data {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(symbol) = name.strip_suffix(&ending) {
                let market = Market::parse(symbol, &arguments.timeframe)?;
                let (candles, _) = read_candles(&path, market.timeframe, &Reading::stored())?;
                found.entry(market).or_default().extend(candles.into_iter().map(|candle| (candle.open_ms, candle)));
            }
        }
    }
    if found.is_empty() {
        return Err(format!("no *{ending} in {:?}", arguments.data).into());
    }
    let of = |(number, (market, candles)): (usize, (Market, BTreeMap<i64, Candle>))| {
        let candles: Vec<Candle> = candles.into_values().collect();
        let coins = arguments.seed.wrapping_mul(1000).wrapping_add(number as u64);
        (market, if arguments.placebo == Placebo::Walk { walk(&candles, coins) } else { candles })
    };
    Ok(found.into_iter().enumerate().map(of).collect())
}

/// The same candles with each move from close to close mirrored at random.
fn walk(candles: &[Candle], seed: u64) -> Vec<Candle> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut before, mut walked) = (candles[0].open, candles[0].open);
    let turn = |candle: &Candle| {
        let mirrored = random.random_bool(0.5);
        let place = |price: f64| walked * if mirrored { before / price } else { price / before };
        let (high, low) = if mirrored { (candle.low, candle.high) } else { (candle.high, candle.low) };
        let turned = Candle {
            open: place(candle.open),
            high: place(high),
            low: place(low),
            close: place(candle.close),
            ..*candle
        };
        (before, walked) = (candle.close, turned.close);
        turned
    };
    candles.iter().map(turn).collect()
}

/// By how many rows the labels of a market are shifted.
fn shift(arguments: &Arguments, market: &Market, number: usize) -> usize {
    if arguments.placebo != Placebo::Shift {
        return 0;
    }
    let seed = arguments.seed.wrapping_mul(1000).wrapping_add(number as u64);
    let days = ChaCha8Rng::seed_from_u64(seed).random_range(60..120);
    (days * DAY_MS / market.timeframe.millis()) as usize
}

/// A bar with features and a decided label. Times are closes, UTC epoch ms.
struct Row {
    market: usize,
    time_ms: i64,
    decided_ms: i64,
    label: Label,
    stop_percent: f64,
    features: Vec<f64>,
}

impl Row {
    fn happened(&self, side: usize) -> bool {
        self.label.of(SIDES[side]).success
    }
}

/// The rows of all markets, one market after the other.
fn rows(arguments: &Arguments, markets: &[Series], config: &Config) -> Vec<Row> {
    let of = |(number, (market, candles)): (usize, &Series)| {
        let step = market.timeframe.millis();
        let table = compute(candles, step);
        let close = |bar: usize| candles[bar].open_ms + step;
        let bars = table.rows.iter().zip(&table.bars).zip(&table.atr);
        let all: Vec<Row> = bars
            .filter_map(|((features, &bar), &atr)| {
                let label = label(candles, bar, &table.calendar, atr, &config.signal)?;
                Some(Row {
                    market: number,
                    time_ms: close(bar),
                    decided_ms: close(label.last_bar()),
                    label,
                    stop_percent: config.signal.stop_percent(atr / candles[bar].close),
                    features: features.to_vec(),
                })
            })
            .collect();
        let later = shift(arguments, market, number);
        let labels: Vec<(Label, i64)> = all.iter().skip(later).map(|row| (row.label, row.decided_ms)).collect();
        let shifted = all.into_iter().zip(labels);
        shifted.map(|(row, (label, decided_ms))| Row { label, decided_ms, ..row }).collect::<Vec<_>>()
    };
    markets.iter().enumerate().flat_map(of).collect()
}

fn export(
    arguments: &Arguments,
    (refit_days, history_days): (i64, Option<i64>),
    markets: &[Series],
    (begin, end): (i64, i64),
) -> Outcome<()> {
    let config = Config::default();
    let all = rows(arguments, markets, &config);
    let create = |name: &str| File::create(arguments.exchange.join(name)).map(BufWriter::new);
    let (mut values, mut about, mut answers) = (create("rows.f32")?, create("rows.csv")?, create("signalloop.csv")?);
    writeln!(about, "market,time_ms,decided_ms,buy,sell")?;
    for row in &all {
        row.features.iter().try_for_each(|value| values.write_all(&(*value as f32).to_le_bytes()))?;
        let [buy, sell] = [0, 1].map(|side| u8::from(row.happened(side)));
        writeln!(about, "{},{},{},{buy},{sell}", row.market, row.time_ms, row.decided_ms)?;
    }
    let cuts: Vec<i64> = (begin..end).step_by((refit_days * DAY_MS) as usize).collect();
    let mut folds = create("folds.csv")?;
    writeln!(folds, "begin_ms,end_ms,history_ms,features")?;
    writeln!(answers, "row,buy,sell,base_buy,base_sell,raw_buy,raw_sell")?;
    for &cut in &cuts {
        let until = (cut + refit_days * DAY_MS).min(end);
        let history_ms = history_days.map_or(cut, |days| days * DAY_MS);
        writeln!(folds, "{cut},{until},{history_ms},{}", FEATURES.len())?;
        let known = |(number, (market, candles)): (usize, &Series)| {
            let step = market.timeframe.millis();
            let known = |candle: &&Candle| candle.open_ms >= cut - history_ms && candle.open_ms + step <= cut;
            let known: Vec<Candle> = candles.iter().filter(known).copied().collect();
            let data = Dataset::new(market, &known, &Feedback::default(), &config).ok()?;
            Some(Arc::new(data.with_later_labels(shift(arguments, market, number))))
        };
        let data: Vec<Arc<Dataset>> = markets.iter().enumerate().filter_map(known).collect();
        let training = train_pool(data, &config, &Cancel::default(), &|_| {})?;
        let of = |(market, _): &Series| training.candidate(market, &config, cut).map(|candidate| candidate.model);
        let models: Vec<_> = markets.iter().map(of).collect();
        for (number, row) in all.iter().enumerate().filter(|(_, row)| (cut..until).contains(&row.time_ms)) {
            let Some(model) = &models[row.market] else { continue };
            let [buy, sell] = model.stated(&row.features).ok_or("a feature row does not fit the model")?;
            let base = model.sides().map(|side| side.base_rate);
            let raw = [0, 1].map(|side| base[side] + model.pool.sides[side].departure(&row.features).unwrap());
            writeln!(answers, "{number},{buy},{sell},{},{},{},{}", base[0], base[1], raw[0], raw[1])?;
        }
        let record = &training.pool.record;
        let beliefs = models.iter().flatten().next().map(|model| model.record.beliefs);
        eprintln!("{} rows of {} markets, believed {beliefs:.2?}", record.rows, record.symbols.len());
    }
    Ok(())
}

/// The predictions of a row, BUY then SELL.
struct Answer {
    row: usize,
    stated: [f64; 2],
    base: [f64; 2],
    raw: [f64; 2],
}

fn answers(path: &Path) -> Outcome<Vec<Answer>> {
    let text = fs::read_to_string(path)?;
    let parse = |line: &str| {
        let [row, numbers @ ..]: [&str; 7] =
            line.split(',').collect::<Vec<_>>().try_into().map_err(|_| format!("not seven fields: {line}"))?;
        let mut parsed = [0.0; 6];
        for (number, text) in parsed.iter_mut().zip(numbers) {
            *number = text.parse()?;
        }
        let [buy, sell, base_buy, base_sell, raw_buy, raw_sell] = parsed;
        Ok(Answer { row: row.parse()?, stated: [buy, sell], base: [base_buy, base_sell], raw: [raw_buy, raw_sell] })
    };
    text.lines().skip(1).map(parse).collect()
}

/// Log loss minus the constant's, with its interval over weeks, and the area under the ROC curve of the raw
/// predictions.
fn figures<'a>(all: &[Row], answers: impl Iterator<Item = &'a Answer>, sides: &[usize]) -> Value {
    let (mut weighed, mut held) = (Vec::new(), Vec::new());
    for answer in answers {
        let row = &all[answer.row];
        for &side in sides {
            let happened = row.happened(side);
            let value = log_loss(happened, answer.stated[side]) - log_loss(happened, answer.base[side]);
            weighed.push(Weighed { time_ms: row.time_ms, value, weight: 1.0 });
            held.push(Held { happened, probability: answer.raw[side], constant: answer.base[side] });
        }
    }
    let (excess, weeks) = interval(weighed.iter().copied(), WEEK_MS, 1);
    let mean = weighed.iter().map(|one| one.value).sum::<f64>() / weighed.len().max(1) as f64;
    json!({ "rows": held.len(), "weeks": weeks, "mean": mean, "excess": excess, "auc": Scores::of(&held).auc })
}

/// Simulates bets, at most one open bet per market at a time.
fn bets(all: &[Row], answers: &[Answer], config: &Config) -> Vec<Value> {
    let mut free_from: BTreeMap<usize, i64> = BTreeMap::new();
    let mut taken = Vec::new();
    for answer in answers {
        let row = &all[answer.row];
        // Predictions are probabilities only, so a bet is assumed to end at its stop or its target.
        let costs = Costs::new(Payoff::at_levels(config.signal.reward_risk), row.stop_percent, config.fee_bps);
        let bet = choose(answer.stated, answer.base, &[costs; 2], 0.0);
        let free = free_from.entry(row.market).or_insert(i64::MIN);
        if let (Ok(direction), true) = (bet, row.time_ms >= *free) {
            let profit = row.label.of(direction).profit_percent - config.fee_bps / 100.0;
            taken.push(json!({ "market": row.market, "closedMs": row.decided_ms, "profitPercent": profit }));
            *free = row.decided_ms;
        }
    }
    taken
}

fn score(arguments: &Arguments, markets: &[Series], name: &str) -> Outcome<Value> {
    let config = Config::default();
    let all = rows(arguments, markets, &config);
    let mut answers = answers(&arguments.exchange.join(format!("{name}.csv")))?;
    answers.sort_by_key(|answer| (all[answer.row].time_ms, answer.row));
    let year = |answer: &&Answer| format_iso(all[answer.row].time_ms)[..4].to_owned();
    let mut years: Vec<String> = answers.iter().map(|answer| year(&answer)).collect();
    years.dedup();
    let mut parts = vec![("all".to_owned(), figures(&all, answers.iter(), &[0, 1]))];
    for wanted in years {
        let of_year = answers.iter().filter(|answer| year(answer) == wanted);
        parts.push((wanted.clone(), figures(&all, of_year, &[0, 1])));
    }
    for (number, (market, _)) in markets.iter().enumerate() {
        let of_market = answers.iter().filter(|answer| all[answer.row].market == number);
        parts.push((market.symbol.to_string(), figures(&all, of_market, &[0, 1])));
    }
    for (side, direction) in SIDES.iter().enumerate() {
        parts.push((format!("{direction:?}").to_uppercase(), figures(&all, answers.iter(), &[side])));
    }
    let parts: Vec<Value> =
        parts.into_iter().map(|(part, figures)| json!({ "part": part, "figures": figures })).collect();
    Ok(json!({ "parts": parts, "markets": markets.len(), "trades": bets(&all, &answers, &config) }))
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let day = |text: &str| parse_time(text, domain::time::Tz::UTC).ok_or(format!("{text:?} is no date"));
    let span = (day(&arguments.from)?, day(&arguments.until)?);
    let markets = markets(&arguments)?;
    match &arguments.task {
        Task::Export { refit_days, history_days } => export(&arguments, (*refit_days, *history_days), &markets, span)?,
        Task::Score { name } => println!("{}", score(&arguments, &markets, name)?),
    }
    Ok(())
}
