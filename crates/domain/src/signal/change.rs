//! What a caller may change of an open signal: its stop, targets and expiry, a part of its position, or that it exists.

use super::fields::{Field, Fields, Name};
use super::managed::{TARGETS, check_targets, read_targets};
use super::read::read_id;
use super::wrong;
use crate::barrier::{CancelCause, Event, Status, Target, Trade, What};
use crate::error::{Error, Result};
use crate::time::{CLOCK_TOLERANCE_MS, Tz, format_iso};
use serde_json::{Map, Value};

/// The longest reason that a caller may give, in characters.
const MAX_REASON_CHARS: usize = 500;

/// A caller's change of an open signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Other levels from now on.
    Amend(Amendment),
    /// The signal is not to be entered any more.
    Cancel(Cancellation),
    /// A part of the position was closed.
    Reduce(Reduction),
}

/// Other levels of an open signal; `None` leaves one as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Amendment {
    /// The new stop.
    pub stop_loss: Option<f64>,
    /// The targets from now on, instead of those not reached yet.
    pub take_profits: Option<Targets>,
    /// The new expiry, UTC epoch ms.
    pub expires_ms: Option<i64>,
    /// Why, in the caller's words.
    pub reason: Option<String>,
}

/// Targets as a caller gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Nearest first. Without shares of the caller's, each has the same part of the whole position.
    pub targets: Vec<Target>,
    /// Whether the caller gave shares.
    pub are_shared: bool,
}

/// The end of a signal that was not entered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cancellation {
    /// When, UTC epoch ms; `None` for now.
    pub at_ms: Option<i64>,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// The id of the signal that replaces it.
    pub replaced_by: Option<String>,
}

/// A part of a position that the caller closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduction {
    /// The part, in percent of the whole position.
    pub share: f64,
    /// The price received.
    pub price: f64,
    /// When, UTC epoch ms; `None` for now.
    pub at_ms: Option<i64>,
}

fn read_reason(fields: &mut Fields<'_>) -> Result<Option<String>> {
    const ALLOWED: &str = "must be a text of at most 500 characters";
    let Some(value) = fields.others.remove("reason").filter(|value| !value.is_null()) else { return Ok(None) };
    let text = value.as_str().filter(|text| text.chars().count() <= MAX_REASON_CHARS);
    text.map_or_else(|| wrong("reason", ALLOWED, &value), |text| Ok(Some(text.to_owned())))
}

/// The id of the signal that a change or an update is of.
pub(super) fn read_signal_id(fields: &mut Fields<'_>) -> Result<String> {
    const ID: &str = "must be the id of a signal";
    let read = |field: Field<'_>| {
        let shown = field.to_string();
        read_id(field).map_err(|_| Error::argument("signalId", ID, shown))
    };
    fields.take(Name::Id, read)?.ok_or_else(|| Error::argument("signalId", ID, "nothing"))
}

fn done(fields: &Fields<'_>, what: &'static str) -> Result<()> {
    match fields.left_over() {
        Some((key, value)) => Err(Error::argument(what, format!("has no member `{key}`"), value)),
        None => Ok(()),
    }
}

impl Amendment {
    /// Reads an amendment and the id of its signal; keys in either spelling. Times without a zone are read in `zone`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid value, an unknown key, or nothing to change.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<(String, Self)> {
        Self::read(object.into(), zone).map_err(Error::into_argument)
    }

    fn read(mut fields: Fields<'_>, zone: Tz) -> Result<(String, Self)> {
        let id = read_signal_id(&mut fields)?;
        let take_profits = fields.take(Name::TakeProfits, |field| {
            let value = field.into_value();
            let are_shared = value[0].get("share").is_some_and(|share| !share.is_null());
            let targets = read_targets(&value).map(|targets| Targets { targets, are_shared });
            targets.map_or_else(|| wrong("takeProfits", TARGETS, &value), Ok)
        })?;
        let amendment = Self {
            stop_loss: fields.price(Name::StopLoss)?,
            take_profits,
            expires_ms: fields.time(Name::ExpiresAt, zone)?,
            reason: read_reason(&mut fields)?,
        };
        done(&fields, "amendment")?;
        if (&amendment.stop_loss, &amendment.take_profits, amendment.expires_ms) == (&None, &None, None) {
            return Err(Error::argument(
                "amendment",
                "must change `stopLoss`, `takeProfits` or `expiresAt`",
                "none of them",
            ));
        }
        Ok((id, amendment))
    }

    /// The event of this amendment, made at `now_ms`.
    fn event(&self, trade: &Trade, now_ms: i64) -> Result<What> {
        let levels = trade.levels();
        let direction = levels.direction;
        if let Some(at) = self.expires_ms.filter(|at| *at <= now_ms.max(levels.since_ms)) {
            return wrong("expiresAt", "must be later than now", format_iso(at));
        }
        let mut targets = self.take_profits.as_ref().map(|given| given.targets.clone());
        if let (Some(targets), Some(given)) = (&mut targets, &self.take_profits) {
            if !given.are_shared {
                targets.iter_mut().for_each(|target| target.share *= trade.left() / 100.0);
            }
            check_targets(direction, levels.entry, targets)?;
            let whole: f64 = targets.iter().map(|target| target.share).sum();
            if whole > trade.left() + 1e-6 {
                let value = format!("{whole} where {} percent are open", trade.left());
                return wrong("takeProfits", "must have shares that add up to at most the open part", value);
            }
        }
        let nearest = targets.as_deref().unwrap_or(trade.targets()).first().map(|target| target.price);
        let stop = self.stop_loss.or(levels.stop_loss);
        let is_crossed = |stop: f64| nearest.is_some_and(|target| direction.sign() * (target - stop) <= 0.0);
        if let Some(stop) = stop.filter(|stop| is_crossed(*stop)) {
            let field = if self.stop_loss.is_some() { "stopLoss" } else { "takeProfits" };
            let value = format!("stop {stop}, target {}", nearest.unwrap_or_default());
            return wrong(field, "must leave the stop on the losing side of the nearest target", value);
        }
        // Before the entry, the stop must not be where the signal would be stopped at once.
        let entry = trade.best_entry();
        let is_past = |stop: &f64| direction.sign() * (entry - stop) <= 0.0;
        if let Some(stop) = self.stop_loss.filter(|stop| trade.status() == Status::Pending && is_past(stop)) {
            let value = format!("{stop} at entry {entry}");
            return wrong("stopLoss", "must lie on the losing side of an entry that is still awaited", value);
        }
        Ok(What::Amended {
            stop_loss: self.stop_loss,
            take_profits: targets,
            expires_at: self.expires_ms,
            reason: self.reason.clone(),
        })
    }
}

impl Cancellation {
    /// Reads a cancellation and the id of its signal; keys in either spelling. Times without a zone are read in `zone`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid value or an unknown key.
    pub fn from_json(object: Map<String, Value>, zone: Tz) -> Result<(String, Self)> {
        Self::read(object.into(), zone).map_err(Error::into_argument)
    }

    fn read(mut fields: Fields<'_>, zone: Tz) -> Result<(String, Self)> {
        let id = read_signal_id(&mut fields)?;
        let at_ms = match fields.others.remove("at").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => Some(super::read::read_time_of("at", &value.into(), zone)?),
        };
        const REPLACING: &str = "must be the id of a signal, the same in both spellings";
        let given = ["replacedBy", "replaced_by"].map(|key| fields.others.remove(key).filter(|id| !id.is_null()));
        let replaced_by = match given {
            [Some(one), Some(other)] if one != other => {
                return wrong("replacedBy", REPLACING, format!("{one} and {other}"));
            }
            [one, other] => one.or(other),
        };
        let read = |id: Value| {
            let field = Field::from(id);
            let shown = field.to_string();
            read_id(field).or_else(|_| wrong("replacedBy", REPLACING, shown))
        };
        let replaced_by = replaced_by.map(read).transpose()?;
        let reason = read_reason(&mut fields)?;
        done(&fields, "cancellation")?;
        Ok((id, Self { at_ms, reason, replaced_by }))
    }

    fn event(&self, trade: &Trade) -> Result<What> {
        if let Some(entered_ms) = trade.entered_ms() {
            let value = format!("one that is open since {}", format_iso(entered_ms));
            return wrong(
                "signalId",
                "must be of a signal that waits for its entry; close an open one with updateOutcome",
                value,
            );
        }
        let cause = if self.replaced_by.is_some() { CancelCause::Replaced } else { CancelCause::ByHand };
        Ok(What::Cancelled { cause, reason: self.reason.clone(), replaced_by: self.replaced_by.clone() })
    }
}

impl Reduction {
    fn event(&self, trade: &Trade) -> Result<What> {
        if trade.entered_ms().is_none() {
            return wrong("share", "must be left out for a signal that still waits for its entry", self.share);
        }
        if self.share > trade.left() + 1e-9 {
            let value = format!("{} where {} percent are open", self.share, trade.left());
            return wrong("share", "must be at most the open part of the position", value);
        }
        Ok(What::Reduced { price: self.price, share: self.share.min(trade.left()) })
    }
}

impl Change {
    /// The event that this change is for a signal that stands so.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming what contradicts the signal.
    pub fn event(&self, trade: &Trade, now_ms: i64) -> Result<Event> {
        let what = match self {
            Self::Amend(amendment) => amendment.event(trade, now_ms),
            Self::Cancel(cancellation) => cancellation.event(trade),
            Self::Reduce(reduction) => reduction.event(trade),
        };
        let (field, at) = match self {
            Self::Amend(_) => ("expiresAt", None),
            Self::Cancel(cancellation) => ("at", cancellation.at_ms),
            Self::Reduce(reduction) => ("closedAt", reduction.at_ms),
        };
        let since_ms = trade.levels().since_ms;
        let at = match at {
            // The clock of the signal's sender may be ahead of this one's.
            None => Ok(now_ms.max(since_ms)),
            Some(at) if at > now_ms + CLOCK_TOLERANCE_MS => wrong(
                field,
                "must not lie in the future",
                format!("{}; it is {} now", format_iso(at), format_iso(now_ms)),
            ),
            Some(at) if at < since_ms => {
                let value = format!("{}, after {}", format_iso(at), format_iso(since_ms));
                wrong(field, "must not be before what happened to the signal last", value)
            }
            Some(at) => Ok(at),
        };
        what.and_then(|what| Ok(Event { at: at?, what })).map_err(Error::into_argument)
    }
}
