//! What happens to a managed signal, from its entry to its end.

use super::terms::{Target, iso};
use crate::time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One event in the life of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, UTC epoch ms. An event inside a candle is dated to the candle's end.
    #[serde(with = "at_iso")]
    pub at: i64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum What {
    /// The whole position was entered.
    Filled {
        /// The price paid.
        price: f64,
        /// Where in its entry zone; `None` without a zone, and in histories that were written before this was stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edge: Option<ZoneEdge>,
    },
    /// A target was reached.
    Target {
        /// Its number, from 1.
        number: usize,
        /// The price received.
        price: f64,
        /// The part that was closed, in percent of the whole position.
        share: f64,
    },
    /// A rule moved the stop.
    Stop {
        /// Its new price.
        price: f64,
        /// The rule.
        cause: StopMove,
    },
    /// The caller closed a part.
    Reduced {
        /// The price received.
        price: f64,
        /// The part, in percent of the whole position.
        share: f64,
    },
    /// The caller changed the signal.
    Amended {
        /// The new stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop_loss: Option<f64>,
        /// The targets from now on, instead of those not reached yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        take_profits: Option<Vec<Target>>,
        /// The new expiry, UTC epoch ms.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "iso")]
        expires_at: Option<i64>,
        /// The caller's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The rest was closed.
    Exit {
        /// The price received; after an unknown end, the first price known again.
        price: f64,
        /// The part, in percent of the whole position.
        share: f64,
        /// Why.
        cause: ExitCause,
    },
    /// It ended before it was entered.
    Cancelled {
        /// Why.
        cause: CancelCause,
        /// The caller's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The id of the signal that replaces it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_by: Option<String>,
    },
}

impl What {
    /// The price at which something was bought or sold.
    pub fn price(&self) -> Option<f64> {
        match self {
            Self::Filled { price, .. }
            | Self::Target { price, .. }
            | Self::Reduced { price, .. }
            | Self::Exit { price, .. } => Some(*price),
            Self::Stop { .. } | Self::Amended { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// The end of a signal that prices or the time cancelled.
    pub fn cancelled(cause: CancelCause) -> Self {
        Self::Cancelled { cause, reason: None, replaced_by: None }
    }
}

/// In words.
impl fmt::Display for What {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filled { price, edge } => {
                let edge = match edge {
                    None => "",
                    Some(ZoneEdge::Low) => ", the low edge of its zone",
                    Some(ZoneEdge::High) => ", the high edge of its zone",
                    Some(ZoneEdge::Within) => ", within its zone",
                };
                write!(to, "entered at {price}{edge}")
            }
            Self::Target { number, price, share } => {
                write!(to, "target {number} reached at {price}, {share:.0} % closed")
            }
            Self::Stop { price, .. } => write!(to, "stop moved to {price}"),
            Self::Reduced { price, share } => write!(to, "{share:.0} % closed by hand at {price}"),
            Self::Amended { .. } => write!(to, "amended"),
            Self::Exit { price, cause, .. } => {
                let cause = match cause {
                    ExitCause::Stop => "by the stop",
                    ExitCause::Expiry => "by its expiry",
                    ExitCause::Hand => "by hand",
                    ExitCause::Unknown => "while no prices are known; the next is",
                };
                write!(to, "closed {cause} at {price}")
            }
            Self::Cancelled { cause, .. } => {
                let cause = match cause {
                    CancelCause::EntryExpired => "its entry expired",
                    CancelCause::TargetBeforeEntry => "the price reached the target before the entry",
                    CancelCause::StopBeforeEntry => "the price reached the stop before the entry",
                    CancelCause::ByHand => "by hand",
                    CancelCause::Replaced => "replaced by another signal",
                };
                write!(to, "cancelled: {cause}")
            }
        }
    }
}

/// Where in its entry zone a signal was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ZoneEdge {
    /// At its lowest price: the price came from below.
    Low,
    /// At its highest price: the price came from above.
    High,
    /// Between both: the first price after the signal, or the open of a candle, lay in the zone.
    Within,
}

impl ZoneEdge {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::High => "HIGH",
            Self::Within => "WITHIN",
        }
    }
}

/// The rule that moved a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StopMove {
    /// To the entry, after a target.
    BreakEven,
    /// To a given price, after a target.
    AfterTarget,
    /// Behind the best price.
    Trail,
}

impl StopMove {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakEven => "BREAK_EVEN",
            Self::AfterTarget => "AFTER_TARGET",
            Self::Trail => "TRAIL",
        }
    }
}

/// Why the rest of a position was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExitCause {
    /// The stop was touched.
    Stop,
    /// It expired.
    Expiry,
    /// The caller closed it.
    Hand,
    /// It ended while no prices are known.
    Unknown,
}

impl ExitCause {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Expiry => "EXPIRY",
            Self::Hand => "HAND",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Why a signal ended before it was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelCause {
    /// `entryExpiresAt`, or `expiresAt`, passed.
    EntryExpired,
    /// The price reached the first target before the entry.
    TargetBeforeEntry,
    /// The price reached the stop before the entry.
    StopBeforeEntry,
    /// The caller cancelled it.
    ByHand,
    /// The caller replaced it by another signal.
    Replaced,
}

impl CancelCause {
    /// All of them, in the order in which statistics list them.
    pub const ALL: [Self; 5] =
        [Self::EntryExpired, Self::TargetBeforeEntry, Self::StopBeforeEntry, Self::ByHand, Self::Replaced];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EntryExpired => "ENTRY_EXPIRED",
            Self::TargetBeforeEntry => "TARGET_BEFORE_ENTRY",
            Self::StopBeforeEntry => "STOP_BEFORE_ENTRY",
            Self::ByHand => "BY_HAND",
            Self::Replaced => "REPLACED",
        }
    }
}

/// A time as ISO 8601 text, in UTC.
mod at_iso {
    use super::time;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    pub fn serialize<S: Serializer>(ms: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time::format_iso(*ms))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text: Cow<'_, str> = Cow::deserialize(from)?;
        time::parse_time(&text, time::Tz::UTC).ok_or_else(|| D::Error::custom(time::EXPECTED))
    }
}
