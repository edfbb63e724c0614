//! Walking forward over a folder of candle files with signalloop's own training: `npm run bench:walk-forward` calls it.
//!
//! `export` trains each market anew every week on what was known then, states probabilities for the week's bars, and writes
//! features, labels and folds, so that another learner can answer the same questions. `score` judges anyone's answers, with
//! the rules that signals are made and closed by.
#![allow(clippy::unwrap_used, missing_docs)]

use clap::{Parser, Subcommand};
use serde_json::json;
use signalloop::barrier::Direction;
use signalloop::cancel::Cancel;
use signalloop::config::Config;
use signalloop::features::{FEATURES, compute};
use signalloop::learning::{Costs, Feedback, Label, choose, label, train_market};
use signalloop::market::{Candle, Reading, read_candles};
use signalloop::model::{Payoff, log_loss};
use signalloop::symbol::Market;
use signalloop::time::parse_time;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

#[derive(Parser)]
struct Arguments {
    /// Folder of candle files, `btcusdt_1h.csv`.
    #[arg(long)]
    data: PathBuf,
    #[arg(long, default_value = "1h")]
    timeframe: String,
    /// First day that is predicted.
    #[arg(long)]
    from: String,
    /// First day that is not predicted any more.
    #[arg(long)]
    until: String,
    /// Folder of the exchanged files.
    #[arg(long)]
    exchange: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Train, predict, and write rows and folds.
    Export {
        /// Days of candles that each training sees.
        #[arg(long)]
        history_days: i64,
    },
    /// Judge the answers of `{name}.predictions.csv`.
    Score { name: String },
}

/// A market and its candles, oldest first.
type Series = (Market, Vec<Candle>);

/// A bar with features and a decided label. Times are closes, UTC epoch ms.
struct Row {
    time_ms: i64,
    decided_ms: i64,
    label: Label,
    atr_ratio: f64,
    features: Vec<f64>,
}

/// Probabilities of success and the base rates known at the time, BUY then SELL.
struct Answer {
    stated: [f64; 2],
    base: [f64; 2],
}

const SIDES: [Direction; 2] = [Direction::Buy, Direction::Sell];

fn labelled(market: &Market, candles: &[Candle], config: &Config) -> Vec<Row> {
    let step = market.timeframe.millis();
    let table = compute(candles, step);
    let close = |bar: usize| candles[bar].open_ms + step;
    let rows = table.rows.iter().zip(&table.bars).zip(&table.atr);
    rows.filter_map(|((features, &bar), &atr)| {
        let label = label(candles, bar, &table.calendar, atr, &config.signal)?;
        Some(Row {
            time_ms: close(bar),
            decided_ms: close(label.last_bar()),
            label,
            atr_ratio: atr / candles[bar].close,
            features: features.to_vec(),
        })
    })
    .collect()
}

/// Markets of the timeframe that have a candle file in `data`, by name.
fn markets(data: &Path, timeframe: &str) -> Result<Vec<Series>, Box<dyn Error>> {
    let ending = format!("_{timeframe}.csv");
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(symbol) = name.strip_suffix(&ending) {
            let market = Market::parse(symbol, timeframe)?;
            let (candles, _) = read_candles(&path, market.timeframe, &Reading::stored())?;
            found.push((market, candles));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if found.is_empty() { Err(format!("no *{ending} in {}", data.display()).into()) } else { Ok(found) }
}

struct Export {
    rows: BufWriter<File>,
    folds: BufWriter<File>,
    answers: BufWriter<File>,
}

impl Export {
    fn create(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        let mut files = Self {
            rows: create("rows.csv")?,
            folds: create("folds.csv")?,
            answers: create("signalloop.predictions.csv")?,
        };
        let names: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        writeln!(files.rows, "market,time_ms,decided_ms,buy,sell,{}", names.join(","))?;
        writeln!(files.folds, "market,time_ms,first_ms,base_buy,base_sell")?;
        writeln!(files.answers, "market,time_ms,buy,sell,base_buy,base_sell")?;
        Ok(files)
    }

    fn market(
        &mut self,
        market: &Market,
        candles: &[Candle],
        weeks: &[i64],
        history_ms: i64,
    ) -> Result<(), Box<dyn Error>> {
        let config = Config::default();
        let step = market.timeframe.millis();
        let name = market.file_stem();
        let rows = labelled(market, candles, &config);
        for row in &rows {
            let [buy, sell] = SIDES.map(|side| u8::from(row.label.of(side).success));
            write!(self.rows, "{name},{},{},{buy},{sell}", row.time_ms, row.decided_ms)?;
            row.features.iter().try_for_each(|value| write!(self.rows, ",{value}"))?;
            writeln!(self.rows)?;
        }
        for &week in weeks {
            let known = |candle: &&Candle| candle.open_ms >= week - history_ms && candle.open_ms + step <= week;
            let known: Vec<Candle> = candles.iter().filter(known).copied().collect();
            let nobody = &Cancel::default();
            let model = train_market(market, &known, &Feedback::default(), &config, week, nobody, &|_| {})?.model;
            let base = SIDES.map(|side| model.side(side).base_rate);
            let first_ms = model.record.first_ms + step;
            writeln!(self.folds, "{name},{week},{first_ms},{},{}", base[0], base[1])?;
            for row in rows.iter().filter(|row| (week..week + WEEK_MS).contains(&row.time_ms)) {
                let stated = model.probabilities(&row.features).ok_or("a feature row does not fit the model")?;
                let (buy, sell) = (stated.buy, stated.sell);
                writeln!(self.answers, "{name},{},{buy},{sell},{},{}", row.time_ms, base[0], base[1])?;
            }
        }
        Ok(())
    }
}

/// Answers by market and time.
fn answers(path: &Path) -> Result<BTreeMap<(String, i64), Answer>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    text.lines()
        .skip(1)
        .map(|line| {
            let [market, time, buy, sell, base_buy, base_sell] =
                line.split(',').collect::<Vec<_>>().try_into().map_err(|_| format!("not six fields: {line}"))?;
            let answer =
                Answer { stated: [buy.parse()?, sell.parse()?], base: [base_buy.parse()?, base_sell.parse()?] };
            Ok(((market.to_owned(), time.parse()?), answer))
        })
        .collect()
}

/// Log loss and trades of one market. One bet at a time: while it is open, no other is taken.
fn score(
    market: &Market,
    candles: &[Candle],
    answers: &BTreeMap<(String, i64), Answer>,
    begin: i64,
    end: i64,
) -> serde_json::Value {
    let config = Config::default();
    let name = market.file_stem();
    let mut weeks = vec![(0.0, 0.0, 0usize); ((end - begin + WEEK_MS - 1) / WEEK_MS) as usize];
    let mut trades = Vec::new();
    let mut free_from = i64::MIN;
    for row in labelled(market, candles, &config) {
        let Some(Answer { stated, base }) = answers.get(&(name.clone(), row.time_ms)) else { continue };
        let week = &mut weeks[((row.time_ms - begin) / WEEK_MS) as usize];
        for (side, direction) in SIDES.into_iter().enumerate() {
            let happened = row.label.of(direction).success;
            week.0 += log_loss(happened, stated[side]) / 2.0;
            week.1 += log_loss(happened, base[side]) / 2.0;
        }
        week.2 += 1;
        // Nobody's answers say what bets come to: as if all ended at their levels.
        let payoff = Payoff::at_levels(config.signal.reward_risk);
        let costs = Costs::new(payoff, config.signal.stop_percent(row.atr_ratio), config.fee_bps);
        let bet = choose(*stated, *base, &[costs; 2], 0.0);
        if let (Ok(direction), true) = (bet, row.time_ms >= free_from) {
            let ending = row.label.of(direction);
            let closed_ms = candles[ending.bar].open_ms + market.timeframe.millis();
            trades.push(
                json!({ "closedMs": closed_ms, "profitPercent": ending.profit_percent - config.fee_bps / 100.0 }),
            );
            free_from = closed_ms;
        }
    }
    let rows: usize = weeks.iter().map(|week| week.2).sum();
    let excess: Vec<f64> = weeks.iter().filter(|w| w.2 > 0).map(|w| (w.0 - w.1) / w.2 as f64).collect();
    json!({
        "market": name,
        "rows": rows,
        "logLoss": weeks.iter().map(|week| week.0).sum::<f64>() / rows as f64,
        "constantLogLoss": weeks.iter().map(|week| week.1).sum::<f64>() / rows as f64,
        "weeklyExcess": excess,
        "trades": trades,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let day = |text: &str| parse_time(text, signalloop::time::Tz::UTC).ok_or(format!("{text:?} is no date"));
    let (begin, end) = (day(&arguments.from)?, day(&arguments.until)?);
    let markets = markets(&arguments.data, &arguments.timeframe)?;
    match arguments.task {
        Task::Export { history_days } => {
            let weeks: Vec<i64> = (begin..end).step_by(WEEK_MS as usize).collect();
            let mut export = Export::create(&arguments.exchange)?;
            for (market, candles) in &markets {
                eprintln!("{market}: {} weeks …", weeks.len());
                let until_end = candles.partition_point(|candle| candle.open_ms < end);
                export.market(market, &candles[..until_end], &weeks, history_days * DAY_MS)?;
            }
        }
        Task::Score { name } => {
            let answers = answers(&arguments.exchange.join(format!("{name}.predictions.csv")))?;
            let scores: Vec<_> = markets
                .iter()
                .map(|(market, candles)| {
                    let until_end = candles.partition_point(|candle| candle.open_ms < end);
                    score(market, &candles[..until_end], &answers, begin, end)
                })
                .collect();
            println!("{}", json!(scores));
        }
    }
    Ok(())
}
