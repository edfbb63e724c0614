//! Signals of backtest-kit.
//!
//! Source: the types of backtest-kit 19.5.0 (npm): `ISignalRow`, `IPublicSignalRow`, `IStorageSignalRow`, `IStrategyTickResult`.

use super::draft::{Draft, End, Entry, Target};
use super::pair::pair;
use super::row::{Read, Row, parse};
use super::{Options, Reading, Refused, Signal};
use domain::barrier::{Direction, Outcome};
use serde_json::Value;

const NAME: &str = "backtest-kit";

/// Reads rows of signals (`storage`), results of ticks (`{ "action": "closed", "signal": {…}, … }`), a list of either, or the statistics of
/// a backtest with their `signalList`.
///
/// Stop and target are the original ones. A signal that waits for its price is a limit entry, and CANCELLED if it was never entered.
/// The profit of one that was closed in parts is that of its parts, before costs. One that was both averaged into several entries and
/// closed in parts is refused.
pub fn from_backtest_kit(text: &str, options: &Options) -> Reading {
    let file = match parse(text) {
        Ok(file) => file,
        Err(reading) => return reading,
    };
    let (items, path) = match &file {
        Value::Array(items) => (items.as_slice(), String::new()),
        Value::Object(map) => match map.get("signalList") {
            Some(Value::Array(items)) => (items.as_slice(), "signalList".to_owned()),
            _ => (std::slice::from_ref(&file), String::new()),
        },
        other => return Reading::nothing(Refused::new("the file", "must be signals of backtest-kit", other)),
    };
    let mut reading = Reading::default();
    for (at, item) in items.iter().enumerate() {
        let place = format!("{path}[{at}]");
        let read = Row::of(place.clone(), item).and_then(|row| signal(&row, options));
        reading.note(&place, read);
    }
    reading
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Open,
    Closed,
    Cancelled,
}

impl State {
    /// Whether it has not been entered.
    fn waits(self) -> bool {
        matches!(self, Self::Waiting | Self::Cancelled)
    }
}

fn signal(row: &Row<'_>, options: &Options) -> Read<Signal> {
    // The result of a tick has the signal inside; a stored row is the signal.
    let (inner, key) = match row.get("signal") {
        Some(value) => (Row::of(row.path("signal"), value)?, "action"),
        None => (Row { place: row.place.clone(), map: row.map }, "status"),
    };
    let state = match row.text(key)? {
        Some("scheduled" | "waiting") => State::Waiting,
        Some("opened" | "active") => State::Open,
        Some("closed") => State::Closed,
        Some("cancelled") => State::Cancelled,
        None if key == "status" && inner.flag("_isScheduled")? == Some(true) => State::Waiting,
        None if key == "status" => State::Open,
        _ => return Err(row.refuse(key, "must be scheduled, opened, active, closed or cancelled")),
    };
    let name = inner.need("symbol", inner.text("symbol")?, "must be a pair")?;
    let pair = pair(name).map_err(|_| inner.refuse("symbol", "must be a pair"))?;
    let direction = match inner.text("position")? {
        Some("long") => Direction::Buy,
        Some("short") => Direction::Sell,
        _ => return Err(inner.refuse("position", "must be long or short")),
    };
    let from = if state.waits() { "scheduledAt" } else { "pendingAt" };
    let since_ms = inner.need(from, inner.time(from, options)?, "must be a time")?;
    let mut draft = Draft::new(pair, Some(direction), since_ms);
    let averaged = inner.get("_entry").and_then(Value::as_array).is_some_and(|entries| entries.len() > 1);
    let entry = entry(row, &inner, averaged)?;
    draft.entry = Some(Entry::Price(entry));
    draft.entry_type = state.waits().then_some("limit");
    draft.stop_loss = original(&inner, "originalPriceStopLoss", "priceStopLoss")?;
    let target = original(&inner, "originalPriceTakeProfit", "priceTakeProfit")?;
    draft.targets = target.map(|price| Target { price, share: None }).into_iter().collect();
    // No number is no end: backtest-kit's is `Infinity`, which JSON has as null. While a signal waits, its time has not begun.
    let minutes = inner.number("minuteEstimatedTime")?.filter(|_| !state.waits());
    draft.expires_ms = minutes.map(|minutes| since_ms.saturating_add((minutes * 60_000.0) as i64));
    draft.leverage = inner.number("multiplier")?.filter(|multiplier| *multiplier != 1.0);
    draft.strategy = inner.text("strategyName")?.or(row.text("strategyName")?).map(str::to_owned);
    // The frame of a live signal is empty.
    draft.taken = inner.text("frameName")?.map(|_| false);
    draft.id = inner.text("id")?.map(|id| format!("{}{id}", options.id_prefix));
    draft.content = format!("{name}\n{}\n{}", direction.as_str(), draft.strategy.as_deref().unwrap_or_default());
    draft.end = match state {
        State::Closed => Some(end(row, &inner, direction, entry, averaged, options)?),
        State::Cancelled => Some(cancelled(row, options)?),
        State::Waiting | State::Open => None,
    };
    draft.finish(&row.place, NAME, options)
}

fn original(row: &Row<'_>, first: &str, second: &str) -> Read<Option<f64>> {
    match row.price(first)? {
        Some(price) => Ok(Some(price)),
        None => row.price(second),
    }
}

/// The entry, or the average of several, which is in the profit.
fn entry(row: &Row<'_>, inner: &Row<'_>, averaged: bool) -> Read<f64> {
    if averaged {
        let holder = if row.get("pnl").is_some() { row } else { inner };
        let value =
            holder.get("pnl").ok_or_else(|| holder.refuse("pnl", "must hold the average of several entries"))?;
        let pnl = Row::of(holder.path("pnl"), value)?;
        return pnl.need("priceOpen", pnl.price("priceOpen")?, "must be a price above 0");
    }
    inner.need("priceOpen", inner.price("priceOpen")?, "must be a price above 0")
}

fn end(
    row: &Row<'_>,
    inner: &Row<'_>,
    direction: Direction,
    entry: f64,
    averaged: bool,
    options: &Options,
) -> Read<End> {
    let exit = row.need("currentPrice", row.price("currentPrice")?, "must be a price above 0")?;
    let closed_ms = row.need("closeTimestamp", row.time("closeTimestamp", options)?, "must be a time")?;
    let at = |price: f64| direction.sign() * (price - entry) / entry * 100.0;
    let parts = parts(inner)?;
    if !parts.is_empty() && averaged {
        return Err(inner.refuse("_partial", "several entries that were closed in parts have no single profit"));
    }
    let profit = parts.iter().map(|(weight, price)| weight * at(*price)).sum::<f64>()
        + (1.0 - parts.iter().map(|(weight, _)| weight).sum::<f64>()) * at(exit);
    let outcome = match row.text("closeReason")? {
        Some("take_profit") if profit >= 0.0 => Outcome::TookProfit,
        Some("stop_loss" | "liquidation") => Outcome::StoppedOut,
        Some("take_profit" | "time_expired" | "closed") => Outcome::by_profit(profit),
        _ => {
            return Err(
                row.refuse("closeReason", "must be take_profit, stop_loss, liquidation, time_expired or closed")
            );
        }
    };
    let (exit_price, profit_percent) = if parts.is_empty() { (Some(exit), None) } else { (None, Some(profit)) };
    Ok(End { outcome, exit_price, profit_percent, closed_ms })
}

/// A stored row of a cancelled signal has no time of its end but that of its last change.
fn cancelled(row: &Row<'_>, options: &Options) -> Read<End> {
    let closed_ms = match row.time("closeTimestamp", options)? {
        Some(ms) => ms,
        None => row.need("updatedAt", row.time("updatedAt", options)?, "must be a time")?,
    };
    Ok(End { outcome: Outcome::Cancelled, exit_price: None, profit_percent: None, closed_ms })
}

/// The parts that were closed before the end: which part of the first position, and its price. A percentage is of what was left.
fn parts(row: &Row<'_>) -> Read<Vec<(f64, f64)>> {
    let Some(Value::Array(items)) = row.get("_partial") else { return Ok(Vec::new()) };
    let (mut parts, mut left) = (Vec::new(), 1.0);
    for (at, item) in items.iter().enumerate() {
        let part = Row::of(format!("{}[{at}]", row.path("_partial")), item)?;
        let percent = part.number("percent")?.filter(|percent| (0.0..=100.0).contains(percent));
        let weight = left * part.need("percent", percent, "must be a percentage, 0 to 100")? / 100.0;
        parts.push((weight, part.need("currentPrice", part.price("currentPrice")?, "must be a price above 0")?));
        left -= weight;
    }
    Ok(parts)
}
