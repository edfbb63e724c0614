//! Many signals at once, read on the event loop without holding it up, and written down on other threads.

use super::promises::{Elsewhere, spawned};
use super::shared::User;
use super::stretches::Copied;
use super::tracker::told;
use super::values::{read, signal_text, to_json, unreadable};
use crate::engine::Histories;
use crate::error::{Error, Result};
use crate::feedback::Lines;
use crate::signal::{Signal, Source};
use napi::bindgen_prelude::{Env, JsObjectValue, JsValue, Object, Unknown};
use std::ops::Range;
use std::sync::Arc;

/// Signals of one call.
const MAX_SIGNALS: u32 = 1_000_000;
/// Signals that a thread writes down at a time: less than a millisecond of work.
const SLICE: u32 = 250;
/// Signals that are read before the call returns.
const AT_ONCE: u32 = 1000;
/// A reading of an array of signals.
pub struct Reading {
    core: Arc<User>,
    /// The array, when not all of it was read before the call returned.
    copy: Option<Copied>,
    next: u32,
    length: u32,
    histories: Arc<Histories>,
    parts: Vec<Elsewhere<Lines>>,
}

impl Reading {
    /// Begins, and reads a short array to its end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is no array, or too long; [`Error::InvalidSignal`].
    pub fn begin(env: &Env, core: &Arc<User>, signals: Unknown<'_>) -> Result<Self> {
        let failed = |error: napi::Error| unreadable(env.raw(), "signals", &error);
        if !signals.is_array().map_err(failed)? {
            return Err(Error::argument("signals", "must be an array of signals", to_json(signals)?));
        }
        let length = read::<Object<'_>>(signals)?.get_array_length().map_err(failed)?;
        if length > MAX_SIGNALS {
            let allowed = format!("must hold at most {MAX_SIGNALS} signals: give more of them in parts");
            return Err(Error::argument("signals", allowed, length));
        }
        let (core, histories) = (core.clone(), Arc::default());
        let mut reading = Self { core, copy: None, next: 0, length, histories, parts: Vec::new() };
        if length > AT_ONCE {
            reading.copy = Some(Copied::of(env, "signals", signals)?);
        }
        while reading.next < length.min(AT_ONCE) {
            reading.read_slice(env, signals)?;
        }
        Ok(reading)
    }

    /// Reads on; what was written down of all signals, in order. On the event loop.
    ///
    /// # Errors
    /// Of the first signal that is wrong.
    pub async fn finish(mut self, env: Env) -> Result<Vec<Lines>> {
        if let Some(copy) = self.copy.take() {
            let read = copy.read(env, |env, signals| self.read_slice(env, signals).map(|()| self.next == self.length));
            read.await?;
        }
        let mut lines = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            lines.push(part.await?);
        }
        Ok(lines)
    }

    /// Reads a slice; it is written down while the next is being read.
    fn read_slice(&mut self, env: &Env, signals: Unknown<'_>) -> Result<()> {
        let (from, to) = (self.next, self.length.min(self.next + SLICE));
        self.next = to;
        let (core, histories) = (self.core.clone(), self.histories.clone());
        self.parts.push(match signal_text(env, &signals, Some((from, to)))? {
            Some(text) => {
                spawned(
                    async move { core.write_down(Signal::array_from_text(&text, core.config().timezone)?, &histories) },
                )
            }
            // Value by value, where only that does them justice.
            None => {
                let read = read_each(&core, env, signals, from..to)?;
                spawned(async move { core.write_down(read, &histories) })
            }
        });
        Ok(())
    }
}

fn read_each(core: &User, env: &Env, signals: Unknown<'_>, places: Range<u32>) -> Result<Vec<Signal>> {
    let zone = core.config().timezone;
    let array: Object<'_> = read(signals)?;
    let item =
        |place| array.get_element::<Unknown<'_>>(place).map_err(|error| unreadable(env.raw(), "signals", &error));
    places.map(|place| told(to_json(item(place)?)?, Source::Caller, zone)).collect()
}
