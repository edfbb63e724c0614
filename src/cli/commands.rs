//! The commands, each a few lines over the engine.

use super::args::{
    Args, Command, Data, FaultRate, Learn, LearnMode, Mode, Patterns, Predict, Rollback, Simulator as SimulatorArgs,
    Stats, Train,
};
use super::data;
use super::output::{Output, failure};
use super::progress::{Progress, quality};
use super::{Ending, FAILURE, PARTIAL, SUCCESS};
use crate::cancel::Cancel;
use crate::engine::{MarketModels, Options, SignalLoop, TrainMode, TrainRequest, TrainingResults};
use crate::error::{Error, Result};
use crate::feedback::{Figures, StatsFilter};
use crate::learning::improvement::{Half, Improvement};
use crate::market::{Fault, Simulator, SimulatorOptions};
use crate::symbol::{Market, Symbol, Timeframe};
use crate::time::{Clock, format_iso, now_ms};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Runs a command that works on a home.
pub async fn run(command: &Command, args: &Args, output: &Output, ending: &Ending) -> Result<i32> {
    // There is no event loop to leave a core to.
    let threads = std::thread::available_parallelism().ok().map(usize::from);
    let core = Arc::new(SignalLoop::open(Options { home: args.home.clone(), threads, ..Options::default() })?);
    core.warnings().iter().for_each(|warning| output.warning(warning));
    let code = match command {
        Command::Train(now) => {
            let mode = match now.mode {
                Mode::Full => TrainMode::All,
                Mode::Incremental => TrainMode::Incremental,
            };
            self::train(&core, request(&now.train, mode, None), args, output).await
        }
        Command::Retrain(retrain) => {
            self::train(&core, request(&retrain.train, TrainMode::Retrain, Some(retrain.max_age)), args, output).await
        }
        Command::Fetch(fetch) => data::fetch(&core, fetch, output).await,
        Command::Data(Data::Check(check)) => data::check(&core, check, output),
        Command::Data(Data::Import(import)) => data::import(&core, import, output),
        Command::Predict(predict) => self::predict(&core, predict, output),
        Command::Stats(stats) => self::stats(&core, stats, output),
        Command::Learn(learn) => self::learn(&core, learn, args, output).await,
        Command::Patterns(patterns) => self::patterns(&core, patterns, output).await,
        Command::Models => models(&core, output),
        Command::Rollback(rollback) => self::rollback(&core, rollback, output),
        Command::Scheduler(command) => super::scheduler::scheduler(&core, command, output, ending).await,
        Command::Import(file) => import(&core, &file.file, output).await,
        Command::Export(file) => export(&core, &file.file, output),
        Command::Compact => compact(&core, output).await,
        // These have no home; `super::run` takes them.
        Command::Demo(_) | Command::Simulator(_) => Ok(FAILURE),
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

async fn train(core: &Arc<SignalLoop>, request: TrainRequest, args: &Args, output: &Output) -> Result<i32> {
    let markets = core.markets(request.symbols.clone(), request.timeframes.clone()).len();
    output.news(format!("Training up to {markets} models in {}", core.home().display()));
    let progress = Progress::new(Output::new(args.json, args.quiet), markets);
    let results = core.train(request, Cancel::default(), move |news| progress.show(&news)).await?;
    report(&results, output);
    Ok(exit_code(results.succeeded(), results.results.len()))
}

/// The end of a training, for people and for scripts.
pub fn report(results: &TrainingResults, output: &Output) {
    if !results.skipped.is_empty() {
        output.line(format!("{} models are young enough and were left alone", results.skipped.len()));
    }
    let warnings: Vec<&str> = results.results.iter().filter_map(|result| result.warning.as_deref()).collect();
    // One exchange down is one piece of news, not twenty.
    if let Some(first) = warnings.first() {
        let more = warnings.len() - 1;
        let others = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        output.warning(format!("{first}{others}"));
    }
    let kept = results.results.iter().filter(|result| result.trained.as_ref().is_ok_and(|trained| !trained.promoted()));
    let kept = match kept.count() {
        0 => String::new(),
        kept => format!("; {kept} of them not put into service"),
    };
    output.line(format!(
        "Success: {}/{} models trained ({:.0}%){kept}",
        results.succeeded(),
        results.results.len(),
        results.success_rate()
    ));
    output.document(&results.to_json());
}

fn predict(core: &SignalLoop, predict: &Predict, output: &Output) -> Result<i32> {
    let market = Market { symbol: predict.symbol.clone(), timeframe: predict.timeframe };
    let prediction = core.predict(&market, None)?;
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
        "breakEven": prediction.break_even.map(|p| 100.0 * p),
        "price": prediction.price,
        "atr": prediction.atr,
        "candlesUntil": format_iso(prediction.candle_close_ms),
        "stale": prediction.stale,
        "modelTrainedAt": format_iso(prediction.model.record.trained_ms),
        "modelVersion": prediction.model.version(),
    }));
    Ok(SUCCESS)
}

async fn learn(core: &Arc<SignalLoop>, learn: &Learn, args: &Args, output: &Output) -> Result<i32> {
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
            train(core, request, args, output).await
        }
        LearnMode::Evaluate => {
            let market = Market { symbol: symbol.clone(), timeframe: *timeframe };
            improvement(&market, &core.evaluate(&market, &Cancel::default())?, output);
            Ok(SUCCESS)
        }
    }
}

async fn patterns(core: &Arc<SignalLoop>, patterns: &Patterns, output: &Output) -> Result<i32> {
    let found = core.patterns(patterns.symbol.clone(), patterns.timeframe).await?;
    if found.is_empty() {
        output.line("No rule stands out from what chance alone would show.");
    }
    for pattern in &found {
        let (low, high) = pattern.tally.interval();
        output.line(format!(
            "{:.1} % of {} succeeded ({low:.1}–{high:.1} %, all: {:.1} %)  {}",
            pattern.tally.success_rate(),
            pattern.tally.count,
            pattern.base_rate,
            pattern.rule
        ));
    }
    output.document(&Value::from_iter(found.iter().map(|pattern| {
        let (low, high) = pattern.tally.interval();
        json!({
            "rule": pattern.rule, "count": pattern.tally.count, "successes": pattern.tally.successes,
            "successRate": pattern.tally.success_rate(), "successInterval": { "low": low, "high": high },
            "baseRate": pattern.base_rate, "pValue": pattern.p_value,
        })
    })));
    Ok(SUCCESS)
}

/// Whether a market's signals got better.
fn improvement(market: &Market, found: &Improvement, output: &Output) {
    let Improvement { early, recent, .. } = found;
    output.line(format!("{market}: {}", json!(found.verdict).as_str().unwrap_or_default()));
    for (name, half) in [("early half", early), ("recent half", recent)] {
        let even = half.break_even.map_or_else(String::new, |even| format!(", break-even {:.1} %", even.rate));
        output.line(format!(
            "  {name:<12} {:>5} closed, {:.1} % succeeded ({:.1}–{:.1} %){even}, mean profit {:+.3} % after costs",
            half.closed, half.success_rate, half.success_interval.0, half.success_interval.1, half.mean_profit
        ));
    }
    if let Some((low, high)) = found.interval {
        output.line(format!("  difference {:+.1} percentage points ({low:+.1} to {high:+.1})", found.difference));
    }
    let interval = |(low, high): (f64, f64)| json!({ "low": low, "high": high });
    let half = |half: &Half| {
        present(json!({
            "closedSignals": half.closed, "successfulSignals": half.successes, "successRate": half.success_rate,
            "successInterval": interval(half.success_interval),
            "breakEvenRate": half.break_even.map(|even| even.rate),
            "breakEvenSource": half.break_even.map(|even| even.source),
            "expectancy": half.mean_profit,
            "from": half.from_ms.map(format_iso), "until": half.until_ms.map(format_iso),
        }))
    };
    output.document(&present(json!({
        "symbol": market.symbol, "timeframe": market.timeframe, "early": half(early), "recent": half(recent),
        "successDifference": found.difference, "differenceInterval": found.interval.map(interval),
        "expectancyDifference": found.profit_difference, "verdict": found.verdict,
    })));
}

/// An object without the members that are missing, as the JavaScript API shows it.
fn present(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.retain(|_, value| !value.is_null());
    }
    object
}

fn stats(core: &SignalLoop, args: &Stats, output: &Output) -> Result<i32> {
    let since = core.now_ms() - (args.days * 86_400_000.0) as i64;
    let filter =
        StatsFilter { symbol: args.symbol.clone(), timeframe: args.timeframe, since_ms: Some(since), until_ms: None };
    let stats = core.store()?.stats(&filter)?;
    let mode = core.conservative_mode(&filter)?;
    output.line(format!("The last {} days, in {}", args.days, core.home().display()));
    figures_table(&stats.figures, &stats.by_symbol, &stats.by_timeframe, output);
    if let (Some(since_ms), Some(reason)) = (mode.since_ms, &mode.reason) {
        output.line(format!(
            "Conservative mode since {} ({}): {reason}.",
            format_iso(since_ms),
            mode.scopes.join(", ")
        ));
    }
    output.document(&json!({
        "overall": stats.figures,
        "bySymbol": stats.by_symbol.iter().map(|(s, f)| (s.to_string(), json!(f))).collect::<serde_json::Map<_, _>>(),
        "byTimeframe": stats.by_timeframe.iter().map(|(t, f)| (t.to_string(), json!(f))).collect::<serde_json::Map<_, _>>(),
        "conservativeMode": present(json!({
            "active": mode.active, "since": mode.since_ms.map(format_iso), "reason": mode.reason, "scopes": mode.scopes,
        })),
    }));
    Ok(SUCCESS)
}

/// Figures in rows: all, then by symbol, then by timeframe.
pub fn figures_table(
    all: &Figures,
    by_symbol: &[(Symbol, Figures)],
    by_timeframe: &[(Timeframe, Figures)],
    output: &Output,
) {
    if all.total + all.hold == 0 {
        output.line("No signals yet. A backend records them with `feedbackTracker.recordSignal(signal)`.");
        return;
    }
    output.line("                 closed  open   success (95 % interval)   break-even   mean profit   total");
    let row = |name: &str, f: &Figures| {
        if f.closed == 0 {
            output.line(format!("{name:<15} {:>7} {:>5}   nothing closed yet", f.closed, f.active));
            return;
        }
        let break_even = f.break_even_rate.map_or_else(|| "        –".to_owned(), |rate| format!("{rate:>7.1} %"));
        output.line(format!(
            "{name:<15} {:>7} {:>5}   {:>5.1} % ({:.1}–{:.1} %)      {break_even}   {:>+9.3} %  {:>+8.2} %",
            f.closed,
            f.active,
            f.success_rate,
            f.success_interval.0,
            f.success_interval.1,
            f.average_profit,
            f.total_profit
        ));
    };
    row("all", all);
    by_symbol.iter().for_each(|(symbol, figures)| row(symbol.as_str(), figures));
    if by_timeframe.len() > 1 {
        by_timeframe.iter().for_each(|(timeframe, figures)| row(timeframe.as_str(), figures));
    }
    let costs = all.average_profit - all.expectancy;
    output.line(format!(
        "Profit in percent of the entry, before costs; after costs of {costs:.2} % a signal brings {:+.3} %.",
        all.expectancy
    ));
}

fn models(core: &SignalLoop, output: &Output) -> Result<i32> {
    let models = core.models()?;
    if models.damaged_lines > 0 {
        let lines = models.damaged_lines;
        output.warning(format!("{lines} lines of models/ledger.jsonl cannot be read and are left out"));
    }
    let models = models.markets;
    if models.is_empty() {
        output.line("No models yet. Train them with `signalloop train`.");
    }
    for MarketModels { champion, trials, .. } in &models {
        match &champion.record {
            Ok(record) => {
                let age_hours = (core.now_ms() - record.trained_ms) as f64 / 3_600_000.0;
                output.line(format!("{:<15} {age_hours:>6.1} h old  {}", record.market, quality(record)));
                output.line(format!("    version {} in service: {}", champion.version, champion.reason));
            }
            Err(error) => output.line(format!("{}: {error} [{}]", champion.path.display(), error.code())),
        }
        for refused in trials.iter().filter(|trial| trial.version > champion.version && !trial.promoted) {
            output.line(format!("    version {} refused: {}", refused.version, refused.reason));
        }
    }
    let entry = |MarketModels { champion, trials, rollbacks }: &MarketModels| {
        let mut entry = json!({
            "path": champion.path, "version": champion.version, "reason": champion.reason,
            "predecessors": champion.predecessors, "trials": trials, "rollbacks": rollbacks,
        });
        match &champion.record {
            Ok(record) => entry["record"] = json!(record),
            Err(error) => entry["error"] = failure(error),
        }
        entry
    };
    output.document(&Value::from_iter(models.iter().map(entry)));
    Ok(exit_code(models.iter().filter(|market| market.champion.record.is_ok()).count(), models.len()))
}

fn rollback(core: &SignalLoop, rollback: &Rollback, output: &Output) -> Result<i32> {
    let market = crate::symbol::Market { symbol: rollback.symbol.clone(), timeframe: rollback.timeframe };
    let done = core.rollback(&market, rollback.reason.as_deref())?;
    output.line(format!("{market}: version {} is in service again, in place of {}", done.to, done.from));
    output.document(&json!(done));
    Ok(SUCCESS)
}

async fn import(core: &SignalLoop, file: &Path, output: &Output) -> Result<i32> {
    let report = core.store()?.import(file).await?;
    output.line(format!(
        "{} lines: {} signals taken in, {} closed, {} known already, {} refused",
        report.lines,
        report.imported,
        report.closed,
        report.known,
        report.refused.len()
    ));
    for refused in &report.refused {
        output.line(format!("  line {}: {}", refused.line, refused.reason));
    }
    output.document(&json!({
        "lines": report.lines,
        "imported": report.imported,
        "closed": report.closed,
        "known": report.known,
        "refused": report.refused.iter().map(|r| json!({ "line": r.line, "reason": r.reason })).collect::<Vec<_>>(),
    }));
    let lines = report.lines as usize;
    Ok(exit_code(lines - report.refused.len().min(lines), lines))
}

fn export(core: &SignalLoop, file: &Path, output: &Output) -> Result<i32> {
    let rows = core.store()?.export_csv(file)?;
    output.line(format!("{rows} closed signals written to {}", file.display()));
    output.document(&json!({ "rows": rows, "path": file }));
    Ok(SUCCESS)
}

async fn compact(core: &SignalLoop, output: &Output) -> Result<i32> {
    let done = core.store()?.compact().await?;
    output.line(format!("The log of signals went from {} to {} bytes", done.bytes_before, done.bytes_after));
    output.document(&json!({ "bytesBefore": done.bytes_before, "bytesAfter": done.bytes_after }));
    Ok(SUCCESS)
}

/// Serves until the process ends; the first line says where.
pub async fn simulator(args: &SimulatorArgs, output: &Output) -> Result<i32> {
    let rates = |&(fault, rate): &FaultRate| match fault {
        Some(fault) => vec![(fault, rate)],
        None => Fault::ALL.iter().map(|fault| (*fault, rate / Fault::ALL.len() as f64)).collect(),
    };
    let simulator = Simulator::start(SimulatorOptions {
        faults: args.faults.iter().flat_map(rates).collect(),
        seed: args.seed,
        symbols: args.symbols.clone(),
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
    std::future::pending::<()>().await;
    Err(Error::Closed)
}
