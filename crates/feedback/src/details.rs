//! What memory keeps of signals that are not plain, or state their own costs. Most have neither, and pay nothing for it.

use super::stats::{Exits, Part, PartOf};
use domain::barrier::{CancelCause, ExitCause, Trade, What};
use domain::signal::{Costs, Position, Record};
use serde::{Deserialize, Serialize};

/// The entry, the costs and the exits of such a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// When it was entered, UTC epoch ms; `None` if it was not, or if nobody knows.
    pub entered_ms: Option<i64>,
    /// Whether it waits for its entry, or waited.
    pub by_order: bool,
    /// Why it was cancelled; `None` if it was not, or if nobody knows.
    pub cancelled: Option<CancelCause>,
    /// Costs of a round trip, in basis points, if it states them.
    pub fee_bps: Option<f64>,
    /// What holding it costs a day, in basis points, if it states that.
    pub funding_bps_per_day: Option<f64>,
    /// How many days it was held, each part by its share; `None` while it is open, or if nobody knows.
    pub held_days: Option<f64>,
    /// In which parts it was closed, if it had several targets.
    pub exits: Option<Exits>,
}

impl Details {
    /// Of a record, with where it stands if it is a managed signal; `None` for a plain one without costs of its own.
    pub fn of(record: &Record, trade: Option<&Trade>) -> Option<Box<Self>> {
        let signal = &record.signal;
        let (fee_bps, funding_bps_per_day) = (signal.position.fee_bps, signal.position.funding_bps_per_day);
        if trade.is_none() && fee_bps.is_none() && funding_bps_per_day.is_none() {
            return None;
        }
        let cancelled = record.history.iter().rev().find_map(|event| match event.what {
            What::Cancelled { cause, .. } => Some(cause),
            _ => None,
        });
        Some(Box::new(Self {
            entered_ms: trade.map_or(Some(signal.timestamp_ms), Trade::entered_ms),
            by_order: signal.waits(),
            cancelled,
            fee_bps,
            funding_bps_per_day,
            held_days: record.earned(&Costs::default()).and_then(|earned| earned.held_days),
            exits: trade.and_then(|trade| exits(record, trade)),
        }))
    }

    /// What the signal costs, where `costs` count if it states none.
    pub fn costs(&self, costs: &Costs) -> Costs {
        let (fee_bps, funding_bps_per_day) = (self.fee_bps, self.funding_bps_per_day);
        costs.of(&Position { fee_bps, funding_bps_per_day, ..Position::default() })
    }
}

/// The exits of a signal whose events tell its end, if it had several targets.
fn exits(record: &Record, trade: &Trade) -> Option<Exits> {
    let targets = trade.reached() + trade.targets().len();
    let (outcome, _) = trade.ended()?;
    if targets < 2 || outcome.succeeded().is_none() {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    for event in &record.history {
        let (of, price, share) = match event.what {
            What::Target { number, price, share } => (PartOf::Target(number as u8), price, share),
            What::Reduced { price, share } => (PartOf::Hand, price, share),
            What::Exit { price, share, cause } => match cause {
                ExitCause::Stop => (PartOf::Stop, price, share),
                ExitCause::Expiry => (PartOf::Expiry, price, share),
                ExitCause::Hand => (PartOf::Hand, price, share),
                ExitCause::Unknown => continue,
            },
            What::Filled { .. } | What::Stop { .. } | What::Amended { .. } | What::Cancelled { .. } => continue,
        };
        let profit = share / 100.0 * trade.levels().profit_percent(price);
        match parts.iter_mut().find(|part| part.of == of) {
            Some(part) => (part.share, part.profit) = (part.share + share, part.profit + profit),
            None => parts.push(Part { of, share, profit }),
        }
    }
    Some(Exits { targets: targets as u8, parts })
}
