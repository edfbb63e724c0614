//! The tasks that `npm run bench` measures without Node. Each prints its figures as one JSON object; CPU seconds and
//! peak memory are those of the whole process.
#![allow(clippy::unwrap_used, missing_docs)]

use candles::{Reading, read_candles};
use clap::Parser;
use domain::barrier::Direction;
use domain::cancel::Cancel;
use domain::candle::Candle;
use domain::config::Config;
use domain::features::COUNT;
use domain::symbol::Market;
use domain::time::Clock;
use learning::features::{FeatureState, compute};
use learning::model::{Model, Trial, log_loss};
use learning::{Dataset, Feedback, label, train_market, train_pool};
use registry::Registry;
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorOptions};
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const DAY_MS: i64 = 86_400_000;

#[derive(Parser)]
enum Task {
    /// Train, evaluate and save a model for each candle file of a folder repeatedly, and predict the next rows.
    Walk {
        data: PathBuf,
        #[arg(long)]
        train_days: i64,
        #[arg(long)]
        predict_days: i64,
        #[arg(long)]
        windows: i64,
    },
    /// Train and evaluate a model on this many simulated five-minute candles.
    Growth { candles: i64 },
    /// Compute the features of a candle file, and those of one more candle.
    Features { file: PathBuf },
    /// Predict rows of the first candle file with a model trained on all of them: one by one, and in a batch.
    Predict {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn read(file: &Path) -> Result<(Market, Vec<Candle>), Box<dyn Error>> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let (symbol, timeframe) = stem.split_once('_').ok_or("a candle file is called btcusdt_1h.csv")?;
    let market = Market::parse(symbol, timeframe)?;
    let (candles, _) = read_candles(file, market.timeframe, &Reading::default())?;
    Ok((market, candles))
}

fn train(market: &Market, candles: &[Candle]) -> Result<Model, Box<dyn Error>> {
    let config = Config::default();
    Ok(train_market(market, candles, &Feedback::default(), &config, 0, &Cancel::default(), &|_| {})?.model)
}

fn walk(data: &Path, train_days: i64, predict_days: i64, windows: i64) -> Result<Value, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let registry = Registry::new(home.path().join("models"));
    let config = Config::default();
    let (mut models, mut rows, mut loss, mut constant) = (0, 0, 0.0, 0.0);
    for entry in std::fs::read_dir(data)? {
        let (market, candles) = read(&entry?.path())?;
        let step = market.timeframe.millis();
        let last = candles.last().ok_or("no candles")?.open_ms + step;
        let table = compute(&candles, step);
        for window in 0..windows {
            let begin = last - (windows - window) * predict_days * DAY_MS;
            let first = candles.partition_point(|c| c.open_ms < begin - train_days * DAY_MS);
            let end = candles.partition_point(|c| c.open_ms + step <= begin);
            let known = &candles[first..end];
            let nothing = &Feedback::default();
            let candidate = train_market(&market, known, nothing, &config, begin, &Cancel::default(), &|_| {})?;
            let champion = registry.champion(&market)?;
            let verdict = candidate.judge(&champion, &config)?;
            let trial = Trial::new(&candidate.model.record, candidate.mode, verdict, begin, 0);
            registry.submit(candidate.model.clone(), trial, &champion, None)?;
            models += 1;
            let until = begin + predict_days * DAY_MS;
            for ((row, &bar), &atr) in table.rows.iter().zip(&table.bars).zip(&table.atr) {
                let close = candles[bar].open_ms + step;
                if !(begin..until).contains(&close) {
                    continue;
                }
                let Some(label) = label(&candles, bar, &table.calendar, atr, &config.signal) else { continue };
                let stated = candidate.model.probabilities(row).ok_or("a row that does not fit")?;
                let happened = label.of(Direction::Buy).success;
                loss += log_loss(happened, stated.buy);
                constant += log_loss(happened, candidate.model.buy.base_rate);
                rows += 1;
            }
        }
    }
    let mean = |sum: f64| sum / f64::from(rows);
    Ok(json!({ "models": models, "rows": rows, "logLoss": mean(loss), "constant": mean(constant) }))
}

fn growth(count: i64) -> Result<Value, Box<dyn Error>> {
    let market = Market::parse("BTCUSDT", "5m")?;
    let start = SimulatorOptions::default().start_ms;
    let end = start + count * market.timeframe.millis();
    let options = SimulatorOptions { clock: Clock::standing(end), ..Default::default() };
    let candles = Simulator::start(options)?.candles(&market, start, end)?;
    let before = cpu_seconds();
    let model = train(&market, &candles)?;
    Ok(json!({
        "trainingSeconds": cpu_seconds() - before,
        "rows": model.record.rows,
        "matrixBytes": model.record.rows * COUNT * size_of::<f64>(),
    }))
}

/// Nanoseconds that `act` takes: the best of several rounds, because disturbances only make it slower.
fn nanoseconds(rounds: usize, mut act: impl FnMut()) -> f64 {
    let round = |_| {
        let begin = Instant::now();
        act();
        begin.elapsed().as_nanos() as f64
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

fn feed(state: &mut FeatureState, candles: &[Candle]) {
    for candle in candles {
        // During warm-up a bar has no row, but updates the state all the same.
        let _ = black_box(state.next(candle));
    }
}

fn features(file: &Path) -> Result<Value, Box<dyn Error>> {
    let (market, candles) = read(file)?;
    let step = market.timeframe.millis();
    let all = nanoseconds(5, || drop(black_box(compute(&candles, step))));
    let (past, coming) = candles.split_at(candles.len() - 1000);
    let mut state = FeatureState::new(step);
    feed(&mut state, past);
    let more = nanoseconds(20, || {
        let mut state = state.clone();
        feed(&mut state, coming);
    });
    Ok(json!({
        "candles": candles.len(),
        "features": COUNT,
        "allMs": all / 1e6,
        "oneMoreNs": more / coming.len() as f64,
    }))
}

fn predict(files: &[PathBuf]) -> Result<Value, Box<dyn Error>> {
    let config = Config::default();
    let series: Vec<(Market, Vec<Candle>)> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    let rows = |(market, candles): &(Market, Vec<Candle>)| Dataset::new(market, candles, &Feedback::default(), &config);
    let rows = series.iter().map(|series| rows(series).map(Arc::new)).collect::<Result<_, _>>()?;
    let training = train_pool(rows, &config, &Cancel::default(), &|_| {})?;
    let (market, candles) = &series[0];
    let model = training.candidate(market, &config, 0).ok_or("a market was lost")?.model;
    let table = compute(candles, market.timeframe.millis());
    let rows: Vec<&[f64]> = table.rows.iter().map(|row| &row[..]).cycle().take(10_000).collect();
    let one_by_one = nanoseconds(5, || {
        for row in &rows {
            black_box(model.probabilities(row));
        }
    });
    let families = &model.pool.sides[0].families;
    let batch = nanoseconds(5, || drop(black_box(families.departures_of_all(&rows))));
    let mut state = FeatureState::new(market.timeframe.millis());
    feed(&mut state, candles);
    let next = Candle {
        open_ms: candles[candles.len() - 1].open_ms + market.timeframe.millis(),
        ..candles[candles.len() - 1]
    };
    let live = nanoseconds(200, || {
        let row = state.clone().next(&next);
        black_box(row.ok().and_then(|row| model.probabilities(&row)));
    });
    Ok(json!({
        "modelUs": one_by_one / 1e3 / rows.len() as f64,
        "batchRowsPerSecond": rows.len() as f64 / batch * 1e9,
        "liveCandleUs": live / 1e3,
    }))
}

/// CPU seconds of all threads of this process.
#[cfg(unix)]
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Unknown on this system.
#[cfg(not(unix))]
fn cpu_seconds() -> f64 {
    f64::NAN
}

/// The peak memory of this process, where the system reports it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut figures = match Task::parse() {
        Task::Walk { data, train_days, predict_days, windows } => walk(&data, train_days, predict_days, windows)?,
        Task::Growth { candles } => growth(candles)?,
        Task::Features { file } => features(&file)?,
        Task::Predict { files } => predict(&files)?,
    };
    figures["cpuSeconds"] = json!(cpu_seconds());
    figures["peakBytes"] = json!(peak_bytes());
    println!("{figures}");
    Ok(())
}
