//! The commands about candles: `fetch`, `data check`, `data import`.

use super::args::{DataCheck, DataFeatures, DataImport, DataReading, Fetch};
use super::commands::{exit_code, given};
use super::failures::Failures;
use super::output::{Output, failure};
use super::progress::Fetching;
use candles::{Checked, Fetched, Findings, Reading};
use domain::error::{Error, Result};
use domain::symbol::Market;
use domain::time::format_iso;
use engine::{CheckedFile, FetchResult, SignalLoop, home};
use serde_json::{Value, json};
use std::sync::Arc;

/// `signalloop fetch`.
pub async fn fetch(core: &Arc<SignalLoop>, args: &Fetch, output: &Output) -> Result<i32> {
    let markets = core.settings().markets(given(&args.markets.symbols), given(&args.markets.timeframes));
    let (entries, code) = fetched(core, markets, args.since, output).await?;
    output.document(&Value::Array(entries));
    Ok(code)
}

/// Fetches candles, and prints what came. Returns an entry for each market, and the exit code.
pub async fn fetched(
    core: &Arc<SignalLoop>,
    markets: Vec<Market>,
    since_ms: Option<i64>,
    output: &Output,
) -> Result<(Vec<Value>, i32)> {
    if since_ms.is_none() {
        core.fetcher().longer_history(&markets).iter().for_each(|text| output.news(text));
    }
    let shown = Arc::new(Fetching::new(output.clone(), markets.len()));
    let told = shown.clone();
    let results = core.fetcher().fetch(markets, since_ms, move |news| told.show(&news)).await;
    shown.end();
    let results = results?;
    let (mut entries, mut failures) = (Vec::new(), Failures::default());
    for FetchResult { market, fetched } in &results {
        let mut entry = match fetched {
            Ok(fetched) => brought(&market.to_string(), fetched, output),
            Err(error) => {
                failures.market(market, &error.to_string(), Some(error.code()));
                failed(error)
            }
        };
        (entry["symbol"], entry["timeframe"]) = (json!(market.symbol), json!(market.timeframe));
        entries.push(entry);
    }
    failures.tell("markets", output);
    let code = exit_code(results.iter().filter(|result| result.fetched.is_ok()).count(), results.len());
    Ok((entries, code))
}

/// `signalloop data import`: each file on its own.
pub fn import(core: &SignalLoop, args: &DataImport, output: &Output) -> Result<i32> {
    let market = Market { symbol: args.symbol.clone(), timeframe: args.timeframe };
    let reading = Reading::from(&args.reading);
    let (mut entries, mut taken, mut failures) = (Vec::new(), 0, Failures::default());
    for file in &args.files {
        let name = file.display().to_string();
        let mut entry = match core.candles().import(&market, file, &reading) {
            Ok(fetched) => {
                taken += 1;
                brought(&name, &fetched, output)
            }
            Err(error) => {
                failures.named(&name, &error.to_string(), Some(error.code()));
                failed(&error)
            }
        };
        entry["path"] = json!(file);
        entries.push(entry);
    }
    failures.tell("files", output);
    output.document(&Value::Array(entries));
    Ok(exit_code(taken, args.files.len()))
}

/// `signalloop data check`.
pub fn check(core: &SignalLoop, args: &DataCheck, output: &Output) -> Result<i32> {
    let files = match args.timeframe {
        Some(timeframe) => {
            let reading = Reading::from(&args.reading);
            args.files.iter().map(|file| core.candles().check_file(file, timeframe, &reading)).collect()
        }
        None => core.candles().check_stored()?,
    };
    if files.is_empty() {
        output.line(format!(
            "No candles yet in {}. Fetch them with `signalloop fetch`.",
            core.settings().home().display()
        ));
    }
    let (mut entries, mut failures) = (Vec::new(), Failures::default());
    for CheckedFile { path, checked } in &files {
        let name = path.display().to_string();
        let mut entry = match checked {
            Ok(checked) => looked(&name, checked, output),
            Err(error) => {
                failures.named(&name, &error.to_string(), Some(error.code()));
                failed(error)
            }
        };
        entry["path"] = json!(path);
        entries.push(entry);
    }
    failures.tell("files", output);
    output.document(&Value::Array(entries));
    Ok(exit_code(files.iter().filter(|file| file.checked.is_ok()).count(), files.len()))
}

/// `signalloop data features`.
pub fn features(core: &Arc<SignalLoop>, asked: &DataFeatures, output: &Output) -> Result<i32> {
    home::check_output(core.settings().home(), "out", &asked.out)?;
    let markets = core.settings().markets(given(&asked.markets.symbols), given(&asked.markets.timeframes));
    let entries = core.trainer().write_rows(&markets, &asked.out)?;
    let rows: usize = entries.iter().filter_map(|(_, count)| count.as_ref().ok()).sum();
    for (market, count) in &entries {
        match count {
            Ok(count) => output.line(format!("{market:<15} {count:>7} rows")),
            Err(error) => output.line(format!("{market:<15} none     {error} [{}]", error.code())),
        }
    }
    output.line(format!("{rows} rows are in {}", asked.out.display()));
    let told = |(market, count): &(Market, Result<usize>)| {
        let mut entry = json!({ "symbol": market.symbol, "timeframe": market.timeframe, "success": count.is_ok() });
        match count {
            Ok(count) => entry["rows"] = json!(count),
            Err(error) => entry["error"] = failure(error),
        }
        entry
    };
    output
        .document(&json!({ "path": asked.out, "rows": rows, "markets": entries.iter().map(told).collect::<Vec<_>>() }));
    Ok(exit_code(entries.iter().filter(|(_, count)| count.is_ok()).count(), entries.len()))
}

impl From<&DataReading> for Reading {
    fn from(args: &DataReading) -> Self {
        Self {
            columns: args.columns.clone(),
            from: args.from,
            since_ms: args.since,
            timezone: args.timezone,
            dates: args.dates,
            bad_rows: args.bad_rows,
        }
    }
}

fn brought(name: &str, fetched: &Fetched, output: &Output) -> Value {
    output.line(format!(
        "{name:<15} {:>6} new, {:>7} stored, {} to {}",
        fetched.added,
        fetched.total,
        format_iso(fetched.first_ms),
        format_iso(fetched.last_ms)
    ));
    findings(&fetched.findings, output);
    json!({
        "success": true, "added": fetched.added, "total": fetched.total,
        "from": format_iso(fetched.first_ms), "until": format_iso(fetched.last_ms),
        "findings": fetched.findings.list(),
    })
}

fn looked(name: &str, checked: &Checked, output: &Output) -> Value {
    let span = checked
        .span
        .map_or_else(String::new, |(first, last)| format!(", {} to {}", format_iso(first), format_iso(last)));
    output.line(format!("{name:<15} {:>7} candles{span}", checked.candles));
    findings(&checked.findings, output);
    json!({
        "success": true, "candles": checked.candles,
        "from": checked.span.map(|(first, _)| format_iso(first)), "until": checked.span.map(|(_, last)| format_iso(last)),
        "findings": checked.findings.list(),
    })
}

fn findings(findings: &Findings, output: &Output) {
    for finding in findings.list() {
        output.line(format!("    {finding}"));
    }
}

fn failed(error: &Error) -> Value {
    json!({ "success": false, "error": failure(error) })
}
