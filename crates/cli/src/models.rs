//! `signalloop models`: which model serves each market, and what it knows.

use super::commands::exit_code;
use super::failures::Failures;
use super::knowledge::{Knowledge, of_shape};
use super::output::{Output, failure};
use super::table::Table;
use super::words::age;
use domain::config::SignalShape;
use domain::error::Result;
use domain::symbol::{Market, Timeframe};
use engine::{MarketModels, SignalLoop};
use learning::model::{Record, ShapeRecord};
use serde_json::{Value, json};

/// `signalloop models`.
pub fn models(core: &SignalLoop, output: &Output) -> Result<i32> {
    let models = core.models().list()?;
    if models.damaged_lines > 0 {
        let lines = models.damaged_lines;
        output.warning(format!("{lines} lines of models/ledger.jsonl cannot be read and are left out"));
    }
    let models = models.markets;
    if models.is_empty() {
        output.line("No models yet. Train them with `signalloop train`.");
    }
    table(core, &models, output);
    own_models(&models, output);
    decisions(&models, output);
    unusable(&models, output);
    shapes_told(&models, output);
    let entry = |MarketModels { champion, trials, rollbacks }: &MarketModels| {
        let mut entry = json!({
            "path": champion.path, "version": champion.version, "reason": champion.reason,
            "predecessors": champion.predecessors, "trials": trials, "rollbacks": rollbacks,
        });
        match &champion.record {
            Ok(record) => (entry["record"], entry["shapes"]) = (json!(record), json!(champion.shapes)),
            Err(error) => entry["error"] = failure(error),
        }
        entry
    };
    output.document(&Value::from_iter(models.iter().map(entry)));
    Ok(exit_code(models.iter().filter(|market| market.champion.record.is_ok()).count(), models.len()))
}

/// The usable models in rows.
fn table(core: &SignalLoop, models: &[MarketModels], output: &Output) {
    let heads = ["market", "version", "age", "knows", "better by", "95 % interval", "signals", "each", "rows", "since"];
    let mut table = Table::new(&heads).words(&["age", "knows"]).droppable(&[
        "since",
        "rows",
        "version",
        "signals",
        "each",
        "95 % interval",
    ]);
    for (champion, record) in models.iter().filter_map(|m| Some((&m.champion, m.champion.record.as_ref().ok()?))) {
        let known = Knowledge::of(record);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.row([
            record.market.to_string(),
            champion.version.to_string(),
            age(core.settings().now_ms() - record.trained_ms),
            known.level.words().to_owned(),
            or_dash(known.better_percent.map(|percent| format!("{percent:+.2} %"))),
            or_dash(known.interval.map(|(low, high)| format!("{low:+.2} to {high:+.2}"))),
            record.held_out_signals.to_string(),
            or_dash(record.held_out_profit.map(|profit| format!("{profit:+.2} %"))),
            record.rows.to_string(),
            domain::time::format_iso(record.skill.since_ms)[..10].to_owned(),
        ]);
    }
    if !table.has_rows() {
        return;
    }
    output.table(&table);
    output.news(
        "Better by: so much the log loss of its probabilities lies below that of always saying the base rate, on candles it had not \
         seen; with an interval above 0 it knows something. Signals, each: those it would have given there, and their mean profit \
         after costs.",
    );
}

/// What a user's own model weighs in each that has one.
fn own_models(models: &[MarketModels], output: &Output) {
    let mut told = Failures::default();
    for record in models.iter().filter_map(|one| one.champion.record.as_ref().ok()) {
        if let Some(own) = &record.own {
            let [buy, sell] = own.sides.map(|side| format!("{:.2} on {} held-out rows", side.weight, side.rows));
            let weighs = format!("your model `{}` weighs {buy} for a BUY, {sell} for a SELL", own.name);
            told.market(&record.market, &weighs, None);
        }
    }
    told.tell("markets", output);
}

/// Why each model serves, and which newer ones were refused. The same reason of many markets is told once.
fn decisions(models: &[MarketModels], output: &Output) {
    let (mut serving, mut refused) = (Failures::default(), Failures::default());
    for MarketModels { champion, trials, .. } in models {
        let Ok(record) = &champion.record else { continue };
        let why = format!("version {} in service: {}", champion.version, champion.reason);
        serving.market(&record.market, &why, None);
        for trial in trials.iter().filter(|trial| trial.version > champion.version && !trial.promoted) {
            refused.market(&record.market, &format!("version {} refused: {}", trial.version, trial.reason), None);
        }
    }
    serving.tell("markets", output);
    refused.tell("markets", output);
}

/// The files that cannot be used.
fn unusable(models: &[MarketModels], output: &Output) {
    let mut failures = Failures::default();
    for MarketModels { champion, .. } in models {
        if let Err(error) = &champion.record {
            failures.named(&champion.path.display().to_string(), &error.to_string(), Some(error.code()));
        }
    }
    failures.tell("files", output);
}

/// Prints the other shapes of recorded signals that models exist for, once per timeframe.
fn shapes_told(models: &[MarketModels], output: &Output) {
    let mut told: Vec<(Timeframe, &[ShapeRecord])> = Vec::new();
    for MarketModels { champion, .. } in models {
        let Ok(Record { market: Market { timeframe, .. }, .. }) = &champion.record else { continue };
        let shapes = (*timeframe, &champion.shapes[..]);
        if told.contains(&shapes) {
            continue;
        }
        told.push(shapes);
        for record in &champion.shapes {
            let ShapeRecord { shape: SignalShape { stop_atr, reward_risk, expiry_bars }, signals, .. } = record;
            output.hanging(2, format!(
                "{timeframe} signals with a stop of {stop_atr} ATR, {reward_risk} to 1, {expiry_bars} bars ({signals} recorded): {}",
                of_shape(record)
            ));
        }
    }
}
