//! The question whether a price closes a signal, and its answer, as numbers in one array: `close-decision.js` writes the question
//! and reads the answer. Each object that native code reads or makes would take longer than the decision.

use super::arrays::InPlace;
use domain::barrier::{Event, What};
use domain::signal::{SIGNAL_NUMBERS, levels_in};
use engine::{EvaluatedTrade, should_close, should_close_managed};

/// The place of the current price, after the numbers of the signal ([`levels_in`]).
const PRICE: usize = SIGNAL_NUMBERS;

// The places of the answer. Texts are their positions in `WORDS`.
const SHOULD_CLOSE: usize = 0;
const OUTCOME: usize = 1;
const PROFIT: usize = 2;
/// Missing for a plain signal, and so is what follows.
const STATUS: usize = 3;
/// At most three texts.
const UNKNOWN: usize = 4;
const EVENTS: usize = 7;
const FIRST_EVENT: usize = 8;
/// Type, number, price, share, cause (of an entry: the edge of its zone) and time of an event.
const EVENT_NUMBERS: usize = 6;

/// How many numbers the array has: room for [`MOST_EVENTS`].
pub const DECISION_NUMBERS: usize = FIRST_EVENT + EVENT_NUMBERS * MOST_EVENTS;
/// Enough for the entry, 16 targets, each with two moves of the stop, and the end.
const MOST_EVENTS: usize = 50;

/// The texts of answers, in the order of their numbers.
pub const WORDS: [&str; 31] = [
    "ACTIVE",
    "TOOK_PROFIT",
    "STOPPED_OUT",
    "SUCCESS",
    "FAILURE",
    "UNKNOWN",
    "CANCELLED",
    "PENDING",
    "OPEN",
    "CLOSED",
    "entry",
    "targets",
    "stop",
    "filled",
    "target",
    "exit",
    "cancelled",
    "BREAK_EVEN",
    "AFTER_TARGET",
    "TRAIL",
    "STOP",
    "EXPIRY",
    "HAND",
    "ENTRY_EXPIRED",
    "TARGET_BEFORE_ENTRY",
    "STOP_BEFORE_ENTRY",
    "BY_HAND",
    "REPLACED",
    "LOW",
    "HIGH",
    "WITHIN",
];

/// Answers in place. `None` leaves the array to be ignored: the object must be read, because something of it is wrong, or does not
/// fit into numbers.
pub fn decide(numbers: &InPlace<'_>, now_ms: i64) -> Option<()> {
    let price = numbers.get(PRICE);
    if !(price.is_finite() && price > 0.0) {
        return None;
    }
    let (levels, terms) = levels_in(|place| numbers.get(place))?;
    let (decision, trade) = match &terms {
        None => (should_close(Some(&levels), price, now_ms), None),
        Some(terms) => {
            let trade = should_close_managed(&levels, terms, price, now_ms);
            (trade.price, Some(trade))
        }
    };
    numbers.set(SHOULD_CLOSE, f64::from(u8::from(decision.should_close)));
    numbers.set(OUTCOME, word(decision.outcome.as_str())?);
    numbers.set(PROFIT, decision.profit_percent);
    match trade {
        None => numbers.set(STATUS, f64::NAN),
        Some(trade) => tell(&trade, numbers)?,
    }
    Some(())
}

fn tell(trade: &EvaluatedTrade, to: &InPlace<'_>) -> Option<()> {
    to.set(STATUS, word(trade.status.as_str())?);
    for at in 0..EVENTS - UNKNOWN {
        let unknown = trade.unknown.get(at);
        to.set(UNKNOWN + at, unknown.map_or(Some(f64::NAN), |unknown| word(unknown.as_str()))?);
    }
    if trade.events.len() > MOST_EVENTS {
        return None;
    }
    to.set(EVENTS, trade.events.len() as f64);
    for (event, from) in trade.events.iter().zip((FIRST_EVENT..).step_by(EVENT_NUMBERS)) {
        let told = numbers_of(event)?;
        told.into_iter().enumerate().for_each(|(at, number)| to.set(from + at, number));
    }
    Some(())
}

/// An event that a price brings; `None` for one that only callers bring.
fn numbers_of(event: &Event) -> Option<[f64; EVENT_NUMBERS]> {
    const NONE: f64 = f64::NAN;
    let at = event.at as f64;
    Some(match &event.what {
        What::Filled { price, edge } => {
            let edge = edge.map_or(Some(NONE), |edge| word(edge.as_str()))?;
            [word("filled")?, NONE, *price, NONE, edge, at]
        }
        What::Target { number, price, share } => [word("target")?, *number as f64, *price, *share, NONE, at],
        What::Stop { price, cause } => [word("stop")?, NONE, *price, NONE, word(cause.as_str())?, at],
        What::Exit { price, share, cause } => [word("exit")?, NONE, *price, *share, word(cause.as_str())?, at],
        What::Cancelled { cause, .. } => [word("cancelled")?, NONE, NONE, NONE, word(cause.as_str())?, at],
        What::Reduced { .. } | What::Amended { .. } => return None,
    })
}

fn word(text: &str) -> Option<f64> {
    WORDS.iter().position(|word| *word == text).map(|at| at as f64)
}
