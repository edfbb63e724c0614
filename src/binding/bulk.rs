//! Many signals at once, read on the event loop without holding it up, and written down on other threads.

use super::promises::{Elsewhere, spawned};
use super::shared::User;
use super::values::{read, signal_text, to_json, unreadable};
use crate::engine::Histories;
use crate::error::{Error, Result};
use crate::feedback::Lines;
use crate::signal::Signal;
use napi::bindgen_prelude::{Env, FnArgs, Function, JsObjectValue, JsValue, Object, ObjectRef, Unknown};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Signals of one call.
const MAX_SIGNALS: u32 = 1_000_000;
/// Signals that a thread writes down at a time: less than a millisecond of work.
const SLICE: u32 = 250;
/// Signals that are read before the call returns.
const AT_ONCE: u32 = 1000;
/// How long the event loop is held up by more of them, and how long it then has for all else.
const STRETCH: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_millis(1);

/// Copies an array, so that its owner may go on using it.
const COPY: &str = "(array) => {
  const copy = []
  for (let i = 0, length = array.length; i < length; i++) copy.push(array[i])
  return copy
}";

/// A reading of an array of signals.
pub struct Reading {
    core: Arc<User>,
    /// What of the array is still to be read, while the call has returned. Not checked for leaks: the environment may end.
    copy: Option<ObjectRef<false>>,
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
        if length <= AT_ONCE {
            while !reading.is_done() {
                reading.read_slice(env, signals)?;
            }
            return Ok(reading);
        }
        let copy = env.run_script::<_, Function<'_, FnArgs<(Unknown<'_>,)>, Object<'_>>>(COPY);
        let copy = copy.and_then(|copy| copy.apply((), FnArgs { data: (signals,) })).map_err(failed)?;
        while reading.next < AT_ONCE {
            reading.read_slice(env, copy.to_unknown())?;
        }
        reading.copy = Some(copy.create_ref().map_err(failed)?);
        Ok(reading)
    }

    /// Reads on, stretch by stretch; what was written down of all signals, in order. On the event loop.
    ///
    /// # Errors
    /// Of the first signal that is wrong.
    pub async fn finish(mut self, env: Env) -> Result<Vec<Lines>> {
        while let Some(copy) = self.copy.take() {
            // On another thread, so that the event loop has its turn meanwhile.
            spawned(async {
                tokio::time::sleep(PAUSE).await;
                Ok(())
            })
            .await?;
            let read = copy.get_value(&env).map_err(|error| unreadable(env.raw(), "signals", &error));
            let read = read.and_then(|signals| self.read_on(&env, signals.to_unknown()));
            match read {
                Ok(()) if !self.is_done() => self.copy = Some(copy),
                // Unreferencing fails only while the environment ends.
                done => (drop(copy.unref(&env)), done?).1,
            }
        }
        let mut lines = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            lines.push(part.await?);
        }
        Ok(lines)
    }

    fn is_done(&self) -> bool {
        self.next >= self.length
    }

    fn read_on(&mut self, env: &Env, signals: Unknown<'_>) -> Result<()> {
        let began = Instant::now();
        while !self.is_done() && began.elapsed() < STRETCH {
            self.read_slice(env, signals)?;
        }
        Ok(())
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

fn read_each(core: &User, env: &Env, signals: Unknown<'_>, places: std::ops::Range<u32>) -> Result<Vec<Signal>> {
    let zone = core.config().timezone;
    let array: Object<'_> = read(signals)?;
    let item =
        |place| array.get_element::<Unknown<'_>>(place).map_err(|error| unreadable(env.raw(), "signals", &error));
    places.map(|place| super::tracker::told(to_json(item(place)?)?, crate::signal::Source::Caller, zone)).collect()
}
