//! Arrays of numbers, and of prices.
//!
//! The memory of a typed array is the caller's: a getter may resize it or give it away, another thread may write to it. So it is
//! copied before anything else is looked at, and never looked at again.

use super::values::{is_missing, read, text, to_json, unreadable};
use crate::error::{Error, Result};
use crate::feedback::Tick;
use crate::symbol::{Spellings, Symbol};
use crate::time;
use napi::ValueType;
use napi::bindgen_prelude::{JsObjectValue, JsValue, Object, Unknown, sys};
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of one array: those of 100 000 candles, and more prices than come at once.
const MAX_NUMBERS: usize = 1_000_000;

/// A copy of a `Float64Array`. One whose memory was given away is empty.
pub fn floats(argument: &'static str, value: Unknown<'_>) -> Result<Vec<f64>> {
    let (mut kind, mut length, mut data) = (0, 0, std::ptr::null_mut());
    let (buffer, offset) = (std::ptr::null_mut(), std::ptr::null_mut());
    let env = value.value().env;
    // SAFETY: the value is live, on the JavaScript thread; the three are written on success, the two are not asked for.
    let known =
        unsafe { sys::napi_get_typedarray_info(env, value.raw(), &mut kind, &mut length, &mut data, buffer, offset) };
    if known != sys::Status::napi_ok || kind != sys::TypedarrayType::float64_array {
        return Err(Error::argument(argument, "must be a Float64Array", "another type"));
    }
    if length > MAX_NUMBERS {
        return Err(Error::argument(argument, format!("must hold at most {MAX_NUMBERS} numbers"), length));
    }
    if data.is_null() {
        return Ok(Vec::new());
    }
    let number = |index| {
        // SAFETY: Node has just said that so many numbers begin there, aligned, and no JavaScript runs here until all are
        // copied. Other threads may write to the memory of a SharedArrayBuffer, hence atomic.
        let bits = unsafe { AtomicU64::from_ptr(data.cast::<u64>().add(index)) };
        f64::from_bits(bits.load(Ordering::Relaxed))
    };
    Ok((0..length).map(number).collect())
}

/// Prices of many pairs. A pair's name is normalised once, however often it comes.
pub struct Ticks {
    symbols: Vec<Symbol>,
    /// Position in `symbols`, price, time.
    ticks: Vec<(usize, f64, i64)>,
}

impl Ticks {
    /// Each price, in order.
    pub fn iter(&self) -> impl Iterator<Item = Tick<'_>> {
        self.ticks.iter().map(|&(symbol, price, time_ms)| Tick { symbol: &self.symbols[symbol], price, time_ms })
    }
}

/// `pairs[i]` cost `prices[i]` at `timesMs[i]`, or now.
pub fn ticks(pairs: Unknown<'_>, prices: Unknown<'_>, times_ms: Unknown<'_>) -> Result<Ticks> {
    let prices = floats("prices", prices)?;
    let times = if is_missing(&times_ms) { None } else { Some(floats("timesMs", times_ms)?) };
    let wrong_length = |argument, length: usize| {
        Err(Error::argument(argument, format!("must have one item for each of the {} prices", prices.len()), length))
    };
    if let Some(times) = times.as_ref().filter(|times| times.len() != prices.len()) {
        return wrong_length("timesMs", times.len());
    }
    let env = pairs.value().env;
    let failed = |error: napi::Error| unreadable(env, "pairs", &error);
    let pairs: Object<'_> = match pairs.get_type() {
        Ok(ValueType::Object) => read(pairs)?,
        _ => return Err(Error::argument("pairs", "must be an array of strings", to_json(pairs)?)),
    };
    let length = if pairs.is_array().map_err(failed)? { pairs.get_array_length().map_err(failed)? } else { 0 };
    if length as usize != prices.len() {
        return wrong_length("pairs", length as usize);
    }
    let mut symbols = Spellings::default();
    let mut ticks = Vec::with_capacity(prices.len());
    let now = time::now_ms();
    for (index, &price) in prices.iter().enumerate() {
        if !(price.is_finite() && price > 0.0) {
            return Err(Error::argument("prices", format!("must be finite prices above 0, at [{index}] too"), price));
        }
        let time_ms = match times.as_ref().map(|times| times[index]) {
            None => now,
            Some(ms) if (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(&ms) => ms as i64,
            Some(ms) => {
                return Err(Error::argument("timesMs", format!("must be epoch milliseconds, at [{index}] too"), ms));
            }
        };
        let name = text("pairs", pairs.get_element(index as u32).map_err(failed)?)?;
        ticks.push((symbols.number(name)?, price, time_ms));
    }
    Ok(Ticks { symbols: symbols.into_symbols(), ticks })
}
