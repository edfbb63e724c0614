//! What a signal may ask for beyond one entry, one stop and one target.

use super::Direction;
use super::event::ZoneEdge;
use crate::time;
use serde::{Deserialize, Serialize};

/// The most targets of a signal.
pub const MAX_TARGETS: usize = 16;

/// How a signal is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// At the entry price, when the signal is given.
    #[default]
    Market,
    /// When the price comes to the entry price or a better one.
    Limit,
    /// When the price comes to the entry price or a worse one.
    Stop,
}

impl EntryKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit => "limit",
            Self::Stop => "stop",
        }
    }

    /// Parses the name in JSON.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Market, Self::Limit, Self::Stop].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A range of prices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its lowest price.
    pub low: f64,
    /// Its highest price, above `low`.
    pub high: f64,
}

/// A target: where a part of the position is closed with a profit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The price.
    pub price: f64,
    /// The part, in percent of the whole position.
    pub share: f64,
}

/// How far a trailing stop follows the best price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrailBy {
    /// Percent of the best price.
    Percent(f64),
    /// A distance in price.
    Distance(f64),
    /// Multiples of the average true range at entry. It becomes a distance when the signal is recorded.
    Atr(f64),
}

impl TrailBy {
    /// The stop that follows this best price; `None` if it would not be above 0. A smaller percent or distance gives a tighter
    /// stop, and so does a better price.
    pub fn stop(self, direction: Direction, best: f64) -> Option<f64> {
        let distance = match self {
            Self::Percent(percent) => best * percent / 100.0,
            Self::Distance(distance) => distance,
            Self::Atr(_) => return None,
        };
        Some(best - direction.sign() * distance).filter(|stop| *stop > 0.0)
    }

    /// The best price that has this stop.
    pub(super) fn best(self, direction: Direction, stop: f64) -> Option<f64> {
        match self {
            Self::Percent(percent) => Some(stop / (1.0 - direction.sign() * percent / 100.0)),
            Self::Distance(distance) => Some(stop + direction.sign() * distance),
            Self::Atr(_) => None,
        }
    }
}

/// A trailing stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// How far behind the best price since the entry.
    pub by: TrailBy,
    /// The profit, in units of the risk at entry, at which it begins to follow; `None` for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_at_r: Option<f64>,
}

/// Moves the stop after a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopStep {
    /// The number of the target, from 1.
    pub after_target: usize,
    /// The stop's new price.
    pub price: f64,
}

/// How the stop moves. It only tightens: a rule that would loosen it does nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRules {
    /// The stop moves to the entry's fill after this target, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even_after_target: Option<usize>,
    /// The costs, in percent of the entry's fill, by which that stop lies on the side of the profit; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub break_even_costs_percent: f64,
    /// A stop that follows the best price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// Prices to which the stop moves after targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub move_to: Vec<StopStep>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What a managed signal asks for. Its direction, stop, times and, without a zone, its entry price are in [`super::Levels`].
///
/// The value is valid: targets are sorted nearest first, on the right side of the entry, and their shares add up to at most 100;
/// rules name targets that exist.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How it is entered.
    pub entry: EntryKind,
    /// Where it is entered, instead of at the entry price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// When a signal that was not entered is cancelled, UTC epoch ms.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "iso")]
    pub entry_expires_at: Option<i64>,
    /// The targets, nearest first; empty where the signal has no more than [`super::Levels::take_profit`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// How its stop moves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rules: StopRules,
}

fn is_default(rules: &StopRules) -> bool {
    *rules == StopRules::default()
}

impl Terms {
    /// Whether these are the terms of a plain signal: entered at once, at most one target, and a stop that stays.
    pub fn are_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all of its numbers are possible.
    pub fn is_sound(&self) -> bool {
        let positive = |number: f64| number > 0.0 && number.is_finite();
        let by = self.rules.trail.map_or(1.0, |trail| match trail.by {
            TrailBy::Percent(percent) => percent.min(100.0),
            TrailBy::Distance(number) | TrailBy::Atr(number) => number,
        });
        self.zone.is_none_or(|Zone { low, high }| positive(low) && low < high && high.is_finite())
            && self.targets.len() <= MAX_TARGETS
            && self.targets.iter().all(|target| positive(target.price) && positive(target.share))
            && self.rules.move_to.iter().all(|step| positive(step.price))
            && positive(by)
    }

    /// Whether the signal waits for its entry when it is given.
    pub fn waits(&self) -> bool {
        self.entry != EntryKind::Market || self.zone.is_some()
    }

    /// The mean of the targets by their shares: one price that stands for all. `None` without targets.
    pub fn mean_target(&self) -> Option<f64> {
        let whole: f64 = self.targets.iter().map(|target| target.share).sum();
        (whole > 0.0).then(|| self.targets.iter().map(|target| target.price * target.share).sum::<f64>() / whole)
    }
}

impl Zone {
    /// The edge at which an entry costs most: the highest price for a BUY, the lowest for a SELL.
    pub fn worse_edge(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Buy => self.high,
            Direction::Sell => self.low,
        }
    }

    /// Whether a price lies in it.
    pub fn holds(&self, price: f64) -> bool {
        (self.low..=self.high).contains(&price)
    }

    /// Where in it a price lies that entered a signal.
    pub fn edge_at(&self, price: f64) -> ZoneEdge {
        if price <= self.low {
            ZoneEdge::Low
        } else if price >= self.high {
            ZoneEdge::High
        } else {
            ZoneEdge::Within
        }
    }

    /// The edge at which an entry costs least.
    pub fn better_edge(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Buy => self.low,
            Direction::Sell => self.high,
        }
    }
}

/// Times as ISO 8601 text, in UTC.
pub(super) mod iso {
    use super::time;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(ms: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match ms {
            Some(ms) => to.serialize_str(&time::format_iso(*ms)),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| time::parse_time(&text, time::Tz::UTC).ok_or_else(|| D::Error::custom(time::EXPECTED)))
            .transpose()
    }
}
