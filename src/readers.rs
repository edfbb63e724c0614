//! `fromTradingView` and `fromText`: signals from the texts of other tools.

use super::errors::{Code, sync};
use super::values;
use domain::error::Result;
use domain::signal::{STRATEGY, is_strategy};
use domain::symbol::Timeframe;
use domain::time::{Tz, now_ms};
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use readers::{Options, Reading};
use serde_json::Value;

/// Reads alerts of TradingView.
#[napi(skip_typescript, js_name = "fromTradingView")]
pub fn from_trading_view(text: Unknown<'_>, options: Unknown<'_>) -> napi::Result<Vec<Value>, Code> {
    sync(|| read(text, options, readers::from_tradingview))
}

/// Reads messages of channels.
#[napi(skip_typescript)]
pub fn from_text(text: Unknown<'_>, options: Unknown<'_>) -> napi::Result<Vec<Value>, Code> {
    sync(|| read(text, options, readers::from_text))
}

fn read(text: Unknown<'_>, given: Unknown<'_>, reader: impl Fn(&str, &Options) -> Reading) -> Result<Vec<Value>> {
    let text = values::text("text", text)?;
    let signals = reader(&text, &options(given)?).all()?;
    Ok(signals.into_iter().map(Value::Object).collect())
}

/// The options of a reader. A text without a time of its own counts as sent now.
fn options(given: Unknown<'_>) -> Result<Options> {
    let mut map = values::to_map("options", given, &[])?;
    let at = map.shift_remove("at").filter(|value| !value.is_null());
    let name = |value: &Value| value.as_str().filter(|text| is_strategy(text)).map(str::to_owned);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let percent = |value: &Value| value.as_f64().filter(|percent| (0.0..=100.0).contains(percent));
    let zone = |value: &Value| value.as_str().and_then(|name| name.parse::<Tz>().ok());
    let timeframe = values::option(&mut map, "timeframe", "must be a timeframe such as 1h", text)?;
    let options = Options {
        at_ms: Some(at.map_or_else(|| Ok(now_ms()), |at| values::json_time("at", &at))?),
        zone: values::option(&mut map, "timezone", "must be an IANA time zone such as Europe/Berlin", zone)?
            .unwrap_or(Tz::UTC),
        timeframe: timeframe.map(|text| Timeframe::parse(&text)).transpose()?,
        confidence: values::option(&mut map, "confidence", "must be a percentage, 0 to 100", percent)?,
        strategy: values::option(&mut map, "strategy", STRATEGY, name)?,
        source: values::option(&mut map, "source", STRATEGY, name)?,
        id_prefix: values::option(&mut map, "idPrefix", "must be a text", text)?.unwrap_or_default(),
    };
    values::no_more(&map)?;
    Ok(options)
}
