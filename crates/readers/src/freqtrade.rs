//! Backtest results and trades of freqtrade.
//!
//! Sources: the exports of freqtrade 2026.9 itself (`tests/fixtures/freqtrade`), and its documentation, "Backtesting" and "REST API".

use super::draft::{Draft, End, Entry};
use super::pair::pair;
use super::row::{Read, Row, parse};
use super::{Options, Reading, Refused, Signal, timeframe};
use domain::barrier::{Direction, Outcome};
use domain::symbol::Timeframe;
use serde_json::Value;
use std::io::{Cursor, Read as _};

const NAME: &str = "freqtrade";
/// The largest unpacked file that is read, in bytes: more than a million trades.
const MOST_BYTES: u64 = 1 << 30;
/// By how much the profit of freqtrade may differ from the one of its prices, fees and funding, as a part of the entry value: its
/// exchange rounds amounts and prices.
const TOLERANCE: f64 = 1e-4;

/// Reads a backtest result (`{ "strategy": { NAME: { "trades": […] } } }`) or trades, as the REST API (`{ "trades": […] }`) and
/// `freqtrade show-trades --print-json` (`[…]`) have them.
///
/// `enter_tag` becomes the strategy, or where there is none, the strategy's class does; beside a tag the class is a tag. The stop is the
/// one at the entry. A trade that was entered or left in parts has the average price of its parts. A trade whose profit contradicts its
/// own prices is refused. Nobody traded a backtest, so its signals are not `taken`.
pub fn from_freqtrade(text: &str, options: &Options) -> Reading {
    let file = match parse(text) {
        Ok(file) => file,
        Err(reading) => return reading,
    };
    let mut reading = Reading::default();
    let shape = "must be a backtest result or trades of freqtrade";
    match &file {
        Value::Array(trades) => each(trades, "trades", &Of::default(), options, &mut reading),
        Value::Object(map) => match (map.get("strategy"), map.get("trades")) {
            (Some(Value::Object(strategies)), _) => {
                for (name, result) in strategies {
                    let place = format!("strategy.{name}");
                    match result.get("trades") {
                        Some(Value::Array(trades)) => match Of::backtest(name, result, &place) {
                            Ok(of) => each(trades, &format!("{place}.trades"), &of, options, &mut reading),
                            Err(refused) => reading.refused.push(refused),
                        },
                        other => {
                            let value = other.map_or_else(|| "nothing".to_owned(), Value::to_string);
                            reading.refused.push(Refused::new(
                                format!("{place}.trades"),
                                "must be a list of trades",
                                value,
                            ));
                        }
                    }
                }
            }
            (_, Some(Value::Array(trades))) => each(trades, "trades", &Of::default(), options, &mut reading),
            _ => reading.refused.push(Refused::new("the file", shape, &file)),
        },
        other => reading.refused.push(Refused::new("the file", shape, other)),
    }
    reading
}

/// Reads the archive that freqtrade writes after a backtest. Its result is the JSON file that is named like the archive, without an ending.
pub fn from_freqtrade_zip(content: &[u8], options: &Options) -> Reading {
    match unpacked(content) {
        Ok(texts) => {
            let mut reading = Reading::default();
            for text in texts {
                let part = from_freqtrade(&text, options);
                reading.signals.extend(part.signals);
                reading.refused.extend(part.refused);
            }
            reading
        }
        Err(refused) => Reading::nothing(refused),
    }
}

/// The results in an archive.
fn unpacked(content: &[u8]) -> Read<Vec<String>> {
    let unreadable =
        |error: &dyn std::fmt::Display| Refused::new("the archive", "must be a zip archive of freqtrade", error);
    let mut archive = zip::ZipArchive::new(Cursor::new(content)).map_err(|error| unreadable(&error))?;
    let names: Result<Vec<String>, _> = archive.file_names().map(|name| name.map(String::from)).collect();
    let names = names.map_err(|error| unreadable(&error))?;
    // Beside the result there is the configuration, `…_config.json`, and parameters of strategies, `…_NAME.json`.
    let json: Vec<&String> = names.iter().filter(|name| name.ends_with(".json")).collect();
    let is_part = |name: &str| {
        json.iter()
            .any(|other| name != other.as_str() && name.starts_with(&format!("{}_", other.trim_end_matches(".json"))))
    };
    let mut texts = Vec::new();
    for name in json.iter().filter(|name| !is_part(name)) {
        let file = archive.by_name(name).map_err(|error| unreadable(&error))?;
        let mut text = String::new();
        file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
        if text.len() as u64 > MOST_BYTES {
            return Err(Refused::new(name.to_string(), "must be at most 1 GiB", text.len()));
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return Err(Refused::new(
            "the archive",
            "must hold a backtest result, a file that ends with .json",
            names.join(", "),
        ));
    }
    Ok(texts)
}

/// What a result says of all its trades.
#[derive(Debug, Default)]
struct Of {
    is_backtest: bool,
    strategy: Option<String>,
    timeframe: Option<Timeframe>,
}

impl Of {
    fn backtest(name: &str, result: &Value, place: &str) -> Read<Self> {
        let row = Row::of(place, result)?;
        let read =
            |text| timeframe(text).ok_or_else(|| row.refuse("timeframe", "must be a timeframe: 1m … 12h, 1d, 3d, 1w"));
        Ok(Self {
            is_backtest: true,
            strategy: Some(name.to_owned()),
            timeframe: row.text("timeframe")?.map(read).transpose()?,
        })
    }
}

fn each(trades: &[Value], path: &str, of: &Of, options: &Options, reading: &mut Reading) {
    for (at, trade) in trades.iter().enumerate() {
        let place = format!("{path}[{at}]");
        let read = Row::of(place.clone(), trade).and_then(|row| signal(&row, of, options));
        reading.note(&place, read);
    }
}

fn signal(row: &Row<'_>, of: &Of, options: &Options) -> Read<Signal> {
    let name = row.need("pair", row.text("pair")?, "must be a pair")?;
    let pair = pair(name).map_err(|_| row.refuse("pair", "must be a pair"))?;
    let is_short = row.need("is_short", row.flag("is_short")?, "must be true or false")?;
    let direction = if is_short { Direction::Sell } else { Direction::Buy };
    let opened_ms = row.need("open_date", time(row, "open", options)?, "must be a time")?;
    let money = Money::of(row, direction)?;
    let mut draft = Draft::new(pair, Some(direction), opened_ms);
    draft.entry = Some(Entry::Price(money.entry));
    draft.stop_loss = row.price("initial_stop_loss_abs")?;
    draft.timeframe = of.timeframe.or(minutes(row)?);
    draft.leverage = row.number("leverage")?.filter(|leverage| *leverage != 1.0);
    draft.quantity = Some(money.quantity);
    draft.fee_bps = match (row.number("fee_open")?, row.number("fee_close")?) {
        (Some(open), Some(close)) => Some((open + close) * 10_000.0),
        _ => None,
    };
    draft.taken = of.is_backtest.then_some(false);
    let class = of.strategy.as_deref().or(row.text("strategy")?);
    let tag = row.text("enter_tag")?;
    draft.strategy = tag.or(class).map(str::to_owned);
    draft.tags = class.filter(|_| tag.is_some()).map(str::to_owned).into_iter().collect();
    draft.content = format!("{name}\n{is_short}\n{}\n{}", class.unwrap_or_default(), tag.unwrap_or_default());
    draft.end = end(row, &money, direction, options)?;
    draft.finish(&row.place, NAME, options)
}

/// `open_timestamp`, or `open_date`.
fn time(row: &Row<'_>, which: &str, options: &Options) -> Read<Option<i64>> {
    match row.time(&format!("{which}_timestamp"), options)? {
        Some(ms) => Ok(Some(ms)),
        None => row.time(&format!("{which}_date"), options),
    }
}

/// The REST API has the timeframe in minutes.
fn minutes(row: &Row<'_>) -> Read<Option<Timeframe>> {
    let text = match row.get("timeframe") {
        Some(Value::Number(minutes)) => minutes.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => return Ok(None),
    };
    timeframe(&text).map(Some).ok_or_else(|| row.refuse("timeframe", "must be a timeframe: 1m … 12h, 1d, 3d, 1w"))
}

/// The average prices of a trade.
struct Money {
    entry: f64,
    /// The amount that was entered, in the base currency.
    quantity: f64,
    exit: Option<f64>,
}

impl Money {
    /// From its orders, where it was entered or left in several.
    fn of(row: &Row<'_>, direction: Direction) -> Read<Self> {
        let entry = row.need("open_rate", row.price("open_rate")?, "must be a price above 0")?;
        let amount = row.need("amount", row.price("amount")?, "must be an amount above 0")?;
        let exit = row.price("close_rate")?;
        let filled = filled(row)?;
        let side = |is_entry: bool| {
            let orders = filled.iter().filter(|order| order.is_entry == is_entry);
            let amount: f64 = orders.clone().map(|order| order.amount).sum();
            let value: f64 = orders.clone().map(|order| order.amount * order.price).sum();
            (orders.count(), amount, value / amount)
        };
        let ((entries, entered, entry_price), (exits, left, exit_price)) = (side(true), side(false));
        let money = if entries == 0 {
            Self { entry, quantity: amount, exit }
        } else {
            let exit = exit.map(|exit| if exits > 1 { exit_price } else { exit });
            // The average of freqtrade itself, unless parts were left before others were entered.
            Self { entry: if entries > 1 { entry_price } else { entry }, quantity: entered, exit }
        };
        if exits > 0 && money.exit.is_some() && (left - entered).abs() > entered * 1e-6 {
            return Err(row.refuse("orders", format!("must leave what they enter, {entered}")));
        }
        money.check(row, direction)?;
        Ok(money)
    }

    /// What freqtrade says it earned must follow from the prices, fees and funding.
    fn check(&self, row: &Row<'_>, direction: Direction) -> Read<()> {
        let (Some(said), Some(exit)) = (row.number("profit_abs")?, self.exit) else { return Ok(()) };
        let fee = |key| row.number(key).map(Option::unwrap_or_default);
        let (bought, sold) = (self.quantity * self.entry, self.quantity * exit);
        let costs = bought * fee("fee_open")? + sold * fee("fee_close")?;
        let follows = direction.sign() * (sold - bought) - costs + fee("funding_fees")?;
        // Interest of margin trading is not in the file.
        if (said - follows).abs() > bought * TOLERANCE && row.text("trading_mode")? != Some("margin") {
            return Err(row.refuse("profit_abs", format!("must follow from the prices, which make {follows}")));
        }
        Ok(())
    }
}

struct Order {
    is_entry: bool,
    amount: f64,
    price: f64,
}

/// The orders that were filled.
fn filled(row: &Row<'_>) -> Read<Vec<Order>> {
    let Some(Value::Array(orders)) = row.get("orders") else { return Ok(Vec::new()) };
    let mut filled = Vec::new();
    for (at, order) in orders.iter().enumerate() {
        let order = Row::of(format!("{}[{at}]", row.path("orders")), order)?;
        let amount = match order.number("filled")? {
            Some(amount) => amount,
            None if order.get("order_filled_timestamp").is_some() => order.number("amount")?.unwrap_or_default(),
            None => 0.0,
        };
        if amount > 0.0 {
            let is_entry = order.need("ft_is_entry", order.flag("ft_is_entry")?, "must be true or false")?;
            let price = order.need("safe_price", order.price("safe_price")?, "must be a price above 0")?;
            filled.push(Order { is_entry, amount, price });
        }
    }
    Ok(filled)
}

fn end(row: &Row<'_>, money: &Money, direction: Direction, options: &Options) -> Read<Option<End>> {
    let is_open =
        row.flag("is_open")?.unwrap_or(row.get("close_date").is_none() && row.get("close_timestamp").is_none());
    if is_open {
        return Ok(None);
    }
    let exit = row.need("close_rate", money.exit, "must be a price above 0")?;
    let closed_ms = row.need("close_date", time(row, "close", options)?, "must be a time")?;
    let stopped = matches!(
        row.text("exit_reason")?,
        Some("stop_loss" | "stoploss_on_exchange" | "trailing_stop_loss" | "liquidation")
    );
    let profit = direction.sign() * (exit - money.entry);
    let outcome = if stopped { Outcome::StoppedOut } else { Outcome::by_profit(profit) };
    Ok(Some(End { outcome, exit_price: Some(exit), profit_percent: None, closed_ms }))
}
