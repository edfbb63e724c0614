//! Arrays of numbers, and of prices.
//!
//! The memory of a typed array belongs to the caller: a getter may resize or transfer it, and another thread may write to it. So
//! it is copied before anything else is read, and not read again.

use super::values::{array_length, is_missing, read, text, unreadable};
use domain::error::{Error, Result};
use domain::symbol::{Spellings, Symbol};
use domain::time;
use feedback::Tick;
use napi::bindgen_prelude::{JsObjectValue, JsValue, Object, Unknown, sys};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Limit of numbers in one array: enough for 100 000 candles, and more than the limit of prices.
const MAX_NUMBERS: usize = 1_000_000;

/// Copies a `Float64Array`. One whose memory was transferred is empty.
pub fn floats(argument: &'static str, value: Unknown<'_>) -> Result<Vec<f64>> {
    let memory = InPlace::of(argument, &value)?;
    Ok((0..memory.length).map(|place| memory.get(place)).collect())
}

/// The numbers of a `Float64Array` where they are. It must not be used any more once JavaScript has run.
pub struct InPlace<'a> {
    data: *mut u64,
    length: usize,
    value: PhantomData<&'a ()>,
}

impl<'a> InPlace<'a> {
    /// The numbers of this array; none if its memory was transferred.
    pub fn of(argument: &'static str, value: &'a Unknown<'_>) -> Result<Self> {
        let (mut kind, mut length, mut data) = (0, 0, std::ptr::null_mut());
        let (buffer, offset) = (std::ptr::null_mut(), std::ptr::null_mut());
        let env = value.value().env;
        // SAFETY: the value is live, on the JavaScript thread; the three are written on success, the two are not asked for.
        let known = unsafe {
            sys::napi_get_typedarray_info(env, value.raw(), &mut kind, &mut length, &mut data, buffer, offset)
        };
        if known != sys::Status::napi_ok || kind != sys::TypedarrayType::float64_array {
            return Err(Error::argument(argument, "must be a Float64Array", "another type"));
        }
        if length > MAX_NUMBERS {
            return Err(Error::argument(argument, format!("must hold at most {MAX_NUMBERS} numbers"), length));
        }
        let length = if data.is_null() { 0 } else { length };
        Ok(Self { data: data.cast(), length, value: PhantomData })
    }

    fn number(&self, place: usize) -> Option<&AtomicU64> {
        // SAFETY: Node has said that so many numbers begin there, aligned, and no JavaScript has run since. Other threads may
        // write to the memory of a SharedArrayBuffer, hence atomic.
        (place < self.length).then(|| unsafe { AtomicU64::from_ptr(self.data.add(place)) })
    }

    /// The number in a place; NaN beyond the end.
    pub fn get(&self, place: usize) -> f64 {
        self.number(place).map_or(f64::NAN, |number| f64::from_bits(number.load(Ordering::Relaxed)))
    }

    /// Replaces the number in a place, which must be before the end: beyond it, nothing is written.
    pub fn set(&self, place: usize, to: f64) {
        if let Some(number) = self.number(place) {
            number.store(to.to_bits(), Ordering::Relaxed);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }
}

/// Prices of many pairs. The name of a pair is normalised once, however often it occurs.
pub struct Ticks {
    symbols: Vec<Symbol>,
    /// Position in `symbols`.
    pairs: Vec<usize>,
    prices: Vec<f64>,
    times: Vec<i64>,
    of_now: bool,
}

impl Ticks {
    /// No times were given: the prices are current.
    pub fn of_now(&self) -> bool {
        self.of_now
    }

    /// Each price, in order.
    pub fn iter(&self) -> impl Iterator<Item = Tick<'_>> {
        let priced = self.pairs.iter().zip(&self.prices).zip(&self.times);
        priced.map(|((&pair, &price), &time_ms)| Tick { symbol: &self.symbols[pair], price, time_ms })
    }
}

/// Prices that are being read: checked, except for the names of the pairs.
pub struct Reading {
    prices: Vec<f64>,
    times: Vec<i64>,
    /// No times were given.
    of_now: bool,
    symbols: Spellings,
    pairs: Vec<usize>,
}

impl Reading {
    /// Starts reading: `pairs[i]` has the price `prices[i]` at `timesMs[i]`, or now.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for impossible prices or times, and if the arrays differ in length.
    pub fn begin(pairs: Unknown<'_>, prices: Unknown<'_>, times_ms: Unknown<'_>) -> Result<Self> {
        let prices = floats("prices", prices)?;
        let times = if is_missing(&times_ms) { None } else { Some(floats("timesMs", times_ms)?) };
        let check_length = |argument, length: usize| match length == prices.len() {
            true => Ok(()),
            false => {
                let allowed = format!("must have one item for each of the {} prices", prices.len());
                Err(Error::argument(argument, allowed, length))
            }
        };
        check_length("timesMs", times.as_ref().map_or(prices.len(), Vec::len))?;
        check_length("pairs", array_length("pairs", "must be an array of strings", pairs)? as usize)?;
        if let Some(index) = prices.iter().position(|price| !(price.is_finite() && *price > 0.0)) {
            let allowed = format!("must be finite prices above 0, at [{index}] too");
            return Err(Error::argument("prices", allowed, prices[index]));
        }
        let possible = time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64;
        let of_now = times.is_none();
        let times = times.unwrap_or_else(|| vec![time::now_ms() as f64; prices.len()]);
        if let Some(index) = times.iter().position(|ms| !possible.contains(ms)) {
            let allowed = format!("must be epoch milliseconds, at [{index}] too");
            return Err(Error::argument("timesMs", allowed, times[index]));
        }
        let times = times.into_iter().map(|ms| ms as i64).collect();
        Ok(Self { pairs: Vec::with_capacity(prices.len()), prices, times, of_now, symbols: Spellings::default() })
    }

    /// The number of prices.
    pub fn len(&self) -> usize {
        self.prices.len()
    }

    /// The latest given time; `None` for current prices.
    pub fn latest_said_ms(&self) -> Option<i64> {
        self.times.iter().max().copied().filter(|_| !self.of_now)
    }

    /// Reads the names of some pairs; returns whether these were the last.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid name of a pair.
    pub fn read_some(&mut self, pairs: Unknown<'_>) -> Result<bool> {
        let (from, to) = (self.pairs.len(), self.len().min(self.pairs.len() + SLICE));
        let array: Object<'_> = read(pairs)?;
        for index in from..to {
            let name =
                array.get_element(index as u32).map_err(|error| unreadable(array.value().env, "pairs", &error))?;
            self.pairs.push(self.symbols.number(text("pairs", name)?)?);
        }
        Ok(to == self.len())
    }

    /// The prices, once all pairs are read.
    pub fn finish(self) -> Ticks {
        Ticks {
            symbols: self.symbols.into_symbols(),
            pairs: self.pairs,
            prices: self.prices,
            times: self.times,
            of_now: self.of_now,
        }
    }
}

/// Names read at a time: some hundred microseconds of work.
const SLICE: usize = 500;
