//! Reads many signals on the event loop without blocking it, and prepares them on other threads.

use super::promises::{Elsewhere, spawned};
use super::shared::User;
use super::signals;
use super::stretches::Copied;
use super::values::array_length;
use domain::error::{Error, Result};
use engine::HistoryCache;
use feedback::Lines;
use napi::bindgen_prelude::{Env, Unknown};
use std::sync::Arc;

/// Limit of signals in one call.
const MAX_SIGNALS: u32 = 1_000_000;
/// Signals that a thread prepares at a time: less than a millisecond of work.
const SLICE: u32 = 250;
/// Signals read before the call returns.
const AT_ONCE: u32 = 1000;
/// An array of signals that is being read.
pub struct Reading {
    core: Arc<User>,
    /// The array, if not all of it was read before the call returned.
    copy: Option<Copied>,
    next: u32,
    length: u32,
    histories: Arc<HistoryCache>,
    parts: Vec<Elsewhere<Lines>>,
}

impl Reading {
    /// Starts reading; a short array is read completely.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if it is not an array, or too long; [`Error::InvalidSignal`].
    pub fn begin(env: &Env, core: &Arc<User>, signals: Unknown<'_>) -> Result<Self> {
        let length = array_length("signals", "must be an array of signals", signals)?;
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

    /// Reads the rest on the event loop, and returns all prepared signals in order.
    ///
    /// # Errors
    /// The error of the first invalid signal.
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

    /// Reads a slice; it is prepared while the next one is read.
    fn read_slice(&mut self, env: &Env, signals: Unknown<'_>) -> Result<()> {
        let (from, to) = (self.next, self.length.min(self.next + SLICE));
        self.next = to;
        let (core, histories) = (self.core.clone(), self.histories.clone());
        let slice = signals::slice(env, &signals, from, to)?;
        self.parts.push(spawned(async move {
            core.signals().write_down(slice.records(core.settings().config().timezone)?, &histories)
        }));
        Ok(())
    }
}
