//! Trades of Jesse.
//!
//! Source: `store_logs` and `ClosedTrade.to_json` of Jesse (jesse-ai/jesse), which write `storage/json/…json` after a backtest.

use super::draft::{Draft, End, Entry};
use super::pair::pair;
use super::row::{Read, Row, parse};
use super::{Options, Reading, Refused, Signal, timeframe};
use domain::barrier::{Direction, Outcome};
use domain::symbol::Timeframe;
use serde_json::Value;

const NAME: &str = "jesse";

/// Reads `{ "trades": […], "considering_timeframes": […] }`, the export of a backtest, or the list of trades alone, as
/// `research.backtest` returns it.
///
/// A trade does not say its timeframe. It is the one of `considering_timeframes` where there is only one, or the option's. Jesse's
/// trades have no stop and no target, so neither have the signals. Nobody traded a backtest, so the signals of its export are not `taken`.
pub fn from_jesse(text: &str, options: &Options) -> Reading {
    let file = match parse(text) {
        Ok(file) => file,
        Err(reading) => return reading,
    };
    let trades = match &file {
        Value::Array(trades) => trades,
        Value::Object(map) => match map.get("trades") {
            Some(Value::Array(trades)) => trades,
            _ => {
                return Reading::nothing(Refused::new(
                    "the file",
                    "must be an export of Jesse, with a list of trades",
                    &file,
                ));
            }
        },
        other => {
            return Reading::nothing(Refused::new(
                "the file",
                "must be an export of Jesse, with a list of trades",
                other,
            ));
        }
    };
    let only = match only_timeframe(&file) {
        Ok(only) => only,
        Err(refused) => return Reading::nothing(refused),
    };
    let is_backtest = file.get("considering_timeframes").is_some();
    let mut reading = Reading::default();
    for (at, trade) in trades.iter().enumerate() {
        let place = format!("trades[{at}]");
        let read = Row::of(place.clone(), trade).and_then(|row| signal(&row, (only, is_backtest), options));
        reading.note(&place, read);
    }
    reading
}

fn only_timeframe(file: &Value) -> Read<Option<Timeframe>> {
    let listed = file.get("considering_timeframes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [only] = listed else { return Ok(None) };
    let known = only.as_str().and_then(timeframe);
    known
        .map(Some)
        .ok_or_else(|| Refused::new("considering_timeframes[0]", "must be a timeframe: 1m … 12h, 1d, 3d, 1w", only))
}

fn signal(row: &Row<'_>, (only, is_backtest): (Option<Timeframe>, bool), options: &Options) -> Read<Signal> {
    let name = row.need("symbol", row.text("symbol")?, "must be a pair")?;
    let pair = pair(name).map_err(|_| row.refuse("symbol", "must be a pair"))?;
    let direction = match row.text("type")? {
        Some("long") => Direction::Buy,
        Some("short") => Direction::Sell,
        _ => return Err(row.refuse("type", "must be long or short")),
    };
    let opened_ms = row.need("opened_at", row.time("opened_at", options)?, "must be a time")?;
    let entry = row.need("entry_price", row.price("entry_price")?, "must be a price above 0")?;
    let mut draft = Draft::new(pair, Some(direction), opened_ms);
    draft.entry = Some(Entry::Price(entry));
    draft.timeframe = match row.text("timeframe")? {
        Some(text) => {
            Some(timeframe(text).ok_or_else(|| row.refuse("timeframe", "must be a timeframe: 1m … 12h, 1d, 3d, 1w"))?)
        }
        None => only.filter(|_| options.timeframe.is_none()),
    };
    draft.leverage = row.number("leverage")?.filter(|leverage| *leverage != 1.0);
    draft.quantity = row.price("qty")?;
    draft.taken = is_backtest.then_some(false);
    draft.strategy = row.text("strategy_name")?.map(str::to_owned);
    // Each run gives its trades new ids, so the facts make the id.
    draft.content = format!("{name}\n{}\n{}", direction.as_str(), draft.strategy.as_deref().unwrap_or_default());
    if let Some(closed_ms) = row.time("closed_at", options)? {
        let exit = row.need("exit_price", row.price("exit_price")?, "must be a price above 0")?;
        draft.fee_bps = fee(row, entry, exit)?;
        check_profit(row, direction, entry, exit)?;
        let outcome = Outcome::by_profit(direction.sign() * (exit - entry));
        draft.end = Some(End { outcome, exit_price: Some(exit), profit_percent: None, closed_ms });
    }
    draft.finish(&row.place, NAME, options)
}

/// Jesse's fee is a part of both values: `fee × qty × (entry_price + exit_price)`. As basis points of the round trip.
fn fee(row: &Row<'_>, entry: f64, exit: f64) -> Read<Option<f64>> {
    let (Some(paid), Some(quantity)) = (row.number("fee")?, row.price("qty")?) else { return Ok(None) };
    Ok(Some(paid / (quantity * (entry + exit)) * 2.0 * 10_000.0))
}

/// What Jesse says it earned must follow from the prices and the fee.
fn check_profit(row: &Row<'_>, direction: Direction, entry: f64, exit: f64) -> Read<()> {
    let (Some(said), Some(quantity)) = (row.number("PNL")?, row.price("qty")?) else { return Ok(()) };
    let follows = direction.sign() * (exit - entry) * quantity - row.number("fee")?.unwrap_or_default();
    if (said - follows).abs() > entry * quantity * 1e-4 {
        return Err(row.refuse("PNL", format!("must follow from the prices, which make {follows}")));
    }
    Ok(())
}
