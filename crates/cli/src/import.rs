//! `signalloop import`: signals from a log, or from what another tool wrote.

use super::args::Import;
use super::commands::{exit_code, taken_in};
use super::output::Output;
use domain::error::{Error, Result};
use engine::SignalLoop;
use readers::{Format, Options, Reading};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

/// `signalloop import`.
pub async fn import(core: &SignalLoop, args: &Import, output: &Output) -> Result<i32> {
    match args.from {
        None => taken_in(&core.signals().import(&args.file).await?, None, output),
        Some(format) => foreign(core, args, format, output).await,
    }
}

/// Imports what was read, and lists what was refused by the reader or by the store, each with its place in the file.
async fn foreign(core: &SignalLoop, args: &Import, format: Format, output: &Output) -> Result<i32> {
    let content = std::fs::read(&args.file).map_err(|error| Error::io("read", &args.file, error))?;
    let Reading { signals, refused } = format.read(&content, &options(core, args));
    let mut left_out: Vec<(String, String)> = Vec::new();
    for refused in refused {
        left_out.push((refused.place, format!("{}; got {}", refused.problem, refused.value)));
    }
    let lines = lines(signals.iter().map(|found| &found.signal))
        .map_err(|error| Error::io("write", Path::new("a temporary file"), error))?;
    let report = core.signals().import(lines.path()).await?;
    for refused in &report.refused {
        // Lines are counted from 1, in the order of the signals.
        let place = usize::try_from(refused.line).ok().and_then(|line| signals.get(line.checked_sub(1)?));
        let place = place.map_or_else(|| format!("signal {}", refused.line), |found| found.place.clone());
        left_out.push((place, refused.reason.clone()));
    }
    let all = signals.len() + left_out.len() - report.refused.len();
    output.line(format!(
        "{all} signals in {}: {} imported, {} closed, {} already known, {} refused",
        args.file.display(),
        report.imported,
        report.closed,
        report.known,
        left_out.len()
    ));
    for (place, reason) in &left_out {
        output.line(format!("  {place}: {reason}"));
    }
    let refused = |(place, reason): &(String, String)| json!({ "place": place, "reason": reason });
    output.document(&json!({
        "signals": all, "imported": report.imported, "closed": report.closed, "known": report.known,
        "refused": left_out.iter().map(refused).collect::<Vec<Value>>(),
    }));
    Ok(exit_code(all - left_out.len(), all))
}

fn options(core: &SignalLoop, args: &Import) -> Options {
    let said = &args.said;
    Options {
        at_ms: said.at,
        zone: core.settings().config().timezone,
        timeframe: said.timeframe,
        confidence: said.confidence,
        strategy: said.strategy.clone(),
        source: said.source.clone(),
        id_prefix: said.id_prefix.clone().unwrap_or_default(),
    }
}

/// The signals as a log of their own, which is removed when it is dropped.
fn lines<'a>(signals: impl Iterator<Item = &'a readers::Signal>) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    readers::write_lines(file.as_file_mut(), signals)?;
    Ok(file)
}
