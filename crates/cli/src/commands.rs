//! The commands, each a few lines over the engine.

use super::args::{
    Alerts, Args, Command, CopySignals, Data, FaultRate, Learn, LearnMode, Mode, Predict, Rollback,
    Simulator as SimulatorArgs, Store, Train,
};
use super::data;
use super::failures::Failures;
use super::import::import;
use super::knowledge;
use super::models::models;
use super::output::Output;
use super::progress::Progress;
use super::shown;
use super::{Ending, FAILURE, Host, PARTIAL, SUCCESS};
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::time::{Clock, DAY_MS, format_iso, now_ms};
use engine::store_location::StoreLocation;
use engine::{Options, SignalLoop, TrainMode, TrainRequest, TrainResult, TrainingResults};
use feedback::{ImportReport, StatsFilter, StoreOptions};
use registry::{CopiedModels, RefusedModels};
use serde_json::{Value, json};
use simulator::{Fault, Simulator, SimulatorOptions};
use std::path::Path;
use std::sync::Arc;

/// Runs a command that works on a home.
pub async fn run(command: &Command, args: &Args, host: Host, output: &Output, ending: &Ending) -> Result<i32> {
    // All cores are used: the command line has no event loop that needs one. A server leaves one to others.
    let serves = matches!(command, Command::Mcp(_));
    let threads = std::thread::available_parallelism().ok().map(usize::from).filter(|_| !serves);
    let (home, store) = (args.home.clone(), args.store.clone());
    let core =
        Arc::new(SignalLoop::open(Options { home, store, threads, own: host.own.clone(), ..Options::default() })?);
    core.settings().warnings().iter().for_each(|warning| output.warning(warning));
    let code = match command {
        Command::Train(now) => {
            let mode = match now.mode.unwrap_or(Mode::Full) {
                Mode::Full | Mode::All => TrainMode::All,
                Mode::Incremental => TrainMode::Incremental,
                Mode::Retrain => TrainMode::Retrain,
                Mode::Symbol => TrainMode::Symbol,
            };
            self::train(&core, request(&now.train, mode, now.max_age), output).await
        }
        Command::Retrain(retrain) => {
            self::train(&core, request(&retrain.train, TrainMode::Retrain, retrain.max_age), output).await
        }
        Command::Fetch(fetch) => data::fetch(&core, fetch, output).await,
        Command::Data(Data::Check(check)) => data::check(&core, check, output),
        Command::Data(Data::Import(import)) => data::import(&core, import, output),
        Command::Data(Data::Features(asked)) => data::features(&core, asked, output),
        Command::Predict(predict) => self::predict(&core, predict, output),
        Command::Stats(stats) => shown::stats(&core, stats, output),
        Command::Scorecard(asked) => super::scorecard::scorecard(&core, asked, output),
        Command::Advise(asked) => super::advise::advise(&core, asked, output),
        Command::Replay(asked) => super::replay::replay(&core, asked, host.strategy, output, ending).await,
        Command::Adopt(asked) => super::replay::adopt(&core, &asked.folder, output),
        Command::Learn(learn) => self::learn(&core, learn, output).await,
        Command::Patterns(patterns) => shown::patterns(&core, patterns, output).await,
        Command::Models => models(&core, output),
        Command::Report(asked) => super::report::report(&core, asked, output).await,
        Command::Dashboard(asked) => super::report::dashboard(&core, asked, output, ending).await,
        Command::Mcp(asked) => super::mcp::mcp(&core, asked, args, host, output, ending).await,
        Command::Rollback(rollback) => self::rollback(&core, rollback, output),
        Command::Scheduler(asked) => match asked.command() {
            Ok(command) => super::scheduler::scheduler(&core, &command, output, ending).await,
            // `Args::consistent` has already refused it.
            Err(problem) => Err(Error::argument("scheduler", problem, "nothing")),
        },
        Command::Alerts(Alerts::Test { to }) => super::scheduler::test_alerts(&core, to.as_deref(), output).await,
        Command::Import(asked) => import(&core, asked, output).await,
        Command::Store(Store::Migrate) => migrate(&core, output),
        Command::Store(Store::Copy(asked)) => copy(&core, asked, output).await,
        Command::Export(file) => export(&core, &file.file, output),
        Command::Compact => compact(&core, output).await,
        Command::Metrics => metrics(&core, output),
        // These open no home, or do so themselves; `super::run` handles them.
        Command::Demo(_) | Command::Simulator(_) | Command::Doctor | Command::Init(_) | Command::Completions(_) => {
            Ok(FAILURE)
        }
    };
    core.close().await;
    code
}

pub(super) fn given<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn request(train: &Train, mode: TrainMode, max_age_hours: Option<f64>) -> TrainRequest {
    TrainRequest {
        mode,
        symbols: given(&train.markets.symbols),
        timeframes: given(&train.markets.timeframes),
        max_age_hours,
        skip_fetch: train.no_fetch,
    }
}

pub(super) fn exit_code(succeeded: usize, total: usize) -> i32 {
    match succeeded {
        n if n == total => SUCCESS,
        0 => FAILURE,
        _ => PARTIAL,
    }
}

async fn train(core: &Arc<SignalLoop>, request: TrainRequest, output: &Output) -> Result<i32> {
    let markets = core.settings().markets(request.symbols.clone(), request.timeframes.clone());
    output.news(format!("Training up to {} models in {}", markets.len(), core.settings().home().display()));
    if !request.skip_fetch {
        core.fetcher().longer_history(&markets).iter().for_each(|text| output.news(text));
    }
    core.fetcher().cost_of_history().iter().for_each(|text| output.news(text));
    let asked_for = request.symbols.clone();
    let progress = Progress::new(output.clone(), markets.len());
    let results = core.trainer().train(request, Cancel::default(), move |news| progress.show(&news)).await?;
    report(&results, output);
    if asked_for.is_none() {
        let failed = results.results.iter().filter(|result| is_not_traded(result)).map(|one| &one.market.symbol);
        core.settings().advice_on_not_traded(failed, None).iter().for_each(|advice| output.warning(advice));
    }
    Ok(exit_code(results.succeeded(), results.results.len()))
}

fn is_not_traded(result: &TrainResult) -> bool {
    result.trained.as_ref().is_err_and(Error::is_not_traded)
}

/// Prints the result of a training, for people and for scripts.
pub fn report(results: &TrainingResults, output: &Output) {
    if !results.skipped.is_empty() {
        output.line(format!("{} models are recent enough and were skipped", results.skipped.len()));
    }
    if let Some(warning) = &results.warning {
        output.warning(warning);
    }
    // An exchange that is down causes one warning, not one per market.
    let mut warnings = Failures::default();
    for result in &results.results {
        if let Some(warning) = &result.warning {
            warnings.market(&result.market, warning, None);
        }
    }
    warnings.texts("markets").iter().for_each(|text| output.warning(text));
    knowledge::tell(results, output);
    output.line(format!(
        "Success: {}/{} models trained ({:.0}%)",
        results.succeeded(),
        results.results.len(),
        results.success_rate()
    ));
    output.document(&results.to_json());
}

fn predict(core: &SignalLoop, predict: &Predict, output: &Output) -> Result<i32> {
    let market = Market { symbol: predict.symbol.clone(), timeframe: predict.timeframe };
    let prediction = core.models().predict(&market, None).wait()?;
    let p = prediction.probabilities;
    let signal = match prediction.decision {
        Ok(direction) => json!(direction),
        Err(_) => json!("HOLD"),
    };
    output.line(format!("{market}: {}", signal.as_str().unwrap_or_default()));
    output.line(format!("  {}", prediction.rationale()));
    output.line(format!(
        "  BUY {:.1} %   SELL {:.1} %   neither {:.1} %",
        100.0 * p.buy,
        100.0 * p.sell,
        100.0 * p.hold
    ));
    output.line(format!(
        "  from candles until {}, model version {} of {}",
        format_iso(prediction.candle_close_ms),
        prediction.model.version(),
        format_iso(prediction.model.record.trained_ms)
    ));
    if prediction.stale {
        output.warning(format!(
            "the candles end at {}; the market has moved on since. Run `signalloop fetch --symbol {} --timeframe {}`",
            format_iso(prediction.candle_close_ms),
            market.symbol,
            market.timeframe
        ));
    }
    output.document(&json!({
        "symbol": market.symbol,
        "timeframe": market.timeframe,
        "signal": signal,
        "confidence": 100.0 * prediction.confidence(),
        "probabilities": { "SELL": 100.0 * p.sell, "HOLD": 100.0 * p.hold, "BUY": 100.0 * p.buy },
        "baseRates": { "BUY": 100.0 * prediction.base_rates[0], "SELL": 100.0 * prediction.base_rates[1] },
        "reason": prediction.decision.err(),
        "rationale": prediction.rationale(),
        "breakEven": prediction.break_even().map(|p| 100.0 * p),
        "price": prediction.price,
        "atr": prediction.atr,
        "candlesUntil": format_iso(prediction.candle_close_ms),
        "stale": prediction.stale,
        "modelTrainedAt": format_iso(prediction.model.record.trained_ms),
        "modelVersion": prediction.model.version(),
    }));
    Ok(SUCCESS)
}

async fn learn(core: &Arc<SignalLoop>, learn: &Learn, output: &Output) -> Result<i32> {
    let Predict { symbol, timeframe } = &learn.market;
    match learn.mode {
        LearnMode::Retrain | LearnMode::Incremental => {
            let incremental = learn.mode == LearnMode::Incremental;
            let request = TrainRequest {
                mode: if incremental { TrainMode::Incremental } else { TrainMode::Symbol },
                symbols: Some(vec![symbol.clone()]),
                timeframes: Some(vec![*timeframe]),
                ..TrainRequest::default()
            };
            train(core, request, output).await
        }
        LearnMode::Evaluate => {
            let market = Market { symbol: symbol.clone(), timeframe: *timeframe };
            shown::improvement(&market, &core.performance().evaluate(&market, &Cancel::default())?, output);
            Ok(SUCCESS)
        }
    }
}

fn rollback(core: &SignalLoop, rollback: &Rollback, output: &Output) -> Result<i32> {
    let market = domain::symbol::Market { symbol: rollback.symbol.clone(), timeframe: rollback.timeframe };
    let done = core.models().rollback(&market, rollback.reason.as_deref())?;
    output.line(format!("{market}: version {} is in service again, in place of {}", done.to, done.from));
    output.document(&json!({
        "symbol": market.symbol, "timeframe": market.timeframe, "at": format_iso(done.at_ms), "from": done.from, "to": done.to,
        "automatic": done.automatic, "reason": done.reason,
    }));
    Ok(SUCCESS)
}

fn migrate(core: &SignalLoop, output: &Output) -> Result<i32> {
    let stats = core.store().open()?.stats(&StatsFilter::default())?;
    let signals = stats.figures.total + stats.followed.total;
    let place = core.store().location().to_string();
    output.line(format!("{place} is ready; it holds {signals} signals"));
    output.document(&json!({ "store": place, "signals": signals }));
    Ok(SUCCESS)
}

async fn copy(core: &SignalLoop, copy: &CopySignals, output: &Output) -> Result<i32> {
    let options = StoreOptions::from(&*core.settings().config());
    let place = |text: &str| StoreLocation::of(Some(text), core.settings().home().join("feedback"));
    let (from, to) = (place(&copy.from)?, place(&copy.to)?);
    let models = core.models().registry_in(&to).copy_from(&core.models().registry_in(&from))?;
    for market in &models.copied {
        output.line(format!("models of {market}: copied"));
    }
    for refused in &models.refused {
        output.line(format!("models of {}: not copied: {}", refused.market, refused.reason));
    }
    let (from, to) = (from.open(options)?, to.open(options)?);
    let copied = to.copy_from(&from, |through| output.news(format!("{through} signals copied"))).await;
    to.close().await;
    taken_in(&copied?, Some(&models), output)
}

fn copied_to_json(models: &CopiedModels) -> Value {
    let refused = |one: &RefusedModels| json!({ "market": one.market.file_stem(), "reason": one.reason });
    json!({
        "copied": models.copied.iter().map(Market::file_stem).collect::<Vec<_>>(),
        "known": models.known.iter().map(Market::file_stem).collect::<Vec<_>>(),
        "refused": models.refused.iter().map(refused).collect::<Vec<_>>(),
    })
}

/// Prints the result of an import.
pub(super) fn taken_in(report: &ImportReport, models: Option<&CopiedModels>, output: &Output) -> Result<i32> {
    output.line(format!(
        "{} lines: {} signals imported, {} closed, {} already known, {} refused",
        report.lines,
        report.imported,
        report.closed,
        report.known,
        report.refused.len()
    ));
    for refused in &report.refused {
        output.line(format!("  line {}: {}", refused.line, refused.reason));
    }
    let mut document = json!({
        "lines": report.lines,
        "imported": report.imported,
        "closed": report.closed,
        "known": report.known,
        "refused": report.refused.iter().map(|r| json!({ "line": r.line, "reason": r.reason })).collect::<Vec<_>>(),
    });
    let lines = report.lines as usize;
    let (mut done, mut all) = (lines - report.refused.len().min(lines), lines);
    if let Some(models) = models {
        document["models"] = copied_to_json(models);
        done += models.copied.len() + models.known.len();
        all += models.copied.len() + models.known.len() + models.refused.len();
    }
    output.document(&document);
    Ok(exit_code(done, all))
}

fn export(core: &SignalLoop, file: &Path, output: &Output) -> Result<i32> {
    let rows = core.signals().export_training_data(file)?;
    output.line(format!("{rows} closed signals written to {}", file.display()));
    output.document(&json!({ "rows": rows, "path": file }));
    Ok(SUCCESS)
}

async fn compact(core: &SignalLoop, output: &Output) -> Result<i32> {
    let done = core.store().open()?.compact().await?;
    output.line(format!("The log of signals went from {} to {} bytes", done.bytes_before, done.bytes_after));
    output.document(&json!({ "bytesBefore": done.bytes_before, "bytesAfter": done.bytes_after }));
    Ok(SUCCESS)
}

fn metrics(core: &SignalLoop, output: &Output) -> Result<i32> {
    let text = core.metrics()?;
    output.line(text.trim_end());
    output.document(&json!({ "metrics": text }));
    Ok(SUCCESS)
}

/// Serves the simulated exchange until the process ends; the first line says where.
pub async fn simulator(args: &SimulatorArgs, output: &Output) -> Result<i32> {
    let rates = |&(fault, rate): &FaultRate| match fault {
        Some(fault) => vec![(fault, rate)],
        None => Fault::ALL.iter().map(|fault| (*fault, rate / Fault::ALL.len() as f64)).collect(),
    };
    let simulator = Simulator::start(SimulatorOptions {
        faults: args.faults.iter().flat_map(rates).collect(),
        venue: args.exchange,
        seed: args.seed,
        symbols: args.symbols.clone(),
        delisted: args
            .delisted
            .iter()
            .map(|(symbol, days)| (symbol.clone(), now_ms() - (days * DAY_MS as f64) as i64))
            .collect(),
        start_ms: now_ms() - i64::from(args.days) * 86_400_000,
        clock: Clock::System,
        rule_strength: args.rule,
        port: args.port,
        ..SimulatorOptions::default()
    })?;
    let here = json!({ "url": simulator.url(), "nowMs": simulator.now_ms() });
    if output.json {
        output.document(&here);
    } else {
        output.line(here);
        output.news(format!(
            "A simulated exchange is served at {}; try: SIGNALLOOP_EXCHANGE_URL={} signalloop fetch",
            simulator.url(),
            simulator.url()
        ));
    }
    if output.arrived().is_err() {
        // The caller needs the printed address: without it the server is of no use, so it ends.
        return Ok(FAILURE);
    }
    std::future::pending::<()>().await;
    Err(Error::Closed)
}
