//! Reading what a managed signal asks for: how it is entered, several targets, a stop that moves.

use super::fields::{Field, Fields, Name};
use super::read::Prices;
use super::wrong;
use crate::barrier::{Direction, EntryKind, MAX_TARGETS, StopRules, StopStep, Target, Terms, Trail, TrailBy, Zone};
use crate::config::raw::snake;
use crate::error::Result;
use crate::time::{Tz, format_iso};
use serde_json::Value;
use std::collections::BTreeMap;

const ENTRY_TYPES: &str = "must be market, limit or stop";
const ZONE: &str = "must be an object with `low` and `high`, prices above 0 of which `high` is higher";
/// What targets may be, phrased for an error.
pub(super) const TARGETS: &str =
    "must be a list of 1 to 16 objects with a `price` above 0 and, for all or none, a `share` in percent";
const RULES: &str = "must be an object of `breakEvenAfterTarget`, `breakEvenCostsPercent`, `trail` and `moveTo`";
const BREAK_EVEN: &str = "must have a `breakEvenAfterTarget` that is the number of a target, 1 to 16";
const COSTS: &str = "must have `breakEvenCostsPercent` from 0 to below 100, and only beside `breakEvenAfterTarget`, whose stop it moves";
const TRAIL: &str = "must have a `trail` with one of `percent`, `atr` and `distance`, above 0 (percent: below 100), and at most \
     `activateAtR`, 0 or more";
const MOVE_TO: &str =
    "must have a `moveTo` that is a list of objects with the number of a target, `afterTarget`, and a `price` above 0";

/// The five keys of a managed signal.
const NAMES: [Name; 5] = [Name::EntryType, Name::EntryZone, Name::EntryExpiresAt, Name::TakeProfits, Name::StopRules];

/// What the five keys say, before it is compared with the rest of the signal.
#[derive(Default)]
pub(super) struct Managed {
    pub entry: Option<EntryKind>,
    pub zone: Option<Zone>,
    pub entry_expires_at: Option<i64>,
    pub targets: Option<Vec<Target>>,
    pub rules: Option<StopRules>,
}

pub(super) fn is_price(price: f64) -> bool {
    price.is_finite() && price > 0.0
}

/// The share of a target.
pub(super) fn is_share(share: f64) -> bool {
    share > 0.0 && share <= 100.0
}

/// The distance of a trailing stop, in price or in average true ranges.
pub(super) fn is_distance(distance: f64) -> bool {
    distance > 0.0 && distance.is_finite()
}

/// The distance of a trailing stop, in percent of the best price.
pub(super) fn is_trail_percent(percent: f64) -> bool {
    percent > 0.0 && percent < 100.0
}

/// A profit in units of the risk at entry, from which a stop trails.
pub(super) fn is_activation(r: f64) -> bool {
    r >= 0.0 && r.is_finite()
}

/// The costs by which a stop lies beyond the entry.
pub(super) fn is_break_even_cost(percent: f64) -> bool {
    (0.0..100.0).contains(&percent)
}

/// The number of a target.
pub(super) fn is_target_number(number: f64) -> bool {
    number >= 1.0 && number <= MAX_TARGETS as f64 && number.fract() == 0.0
}

/// Targets by price and share; without shares, all have the same. `None` if only some have one.
pub(super) fn shared_out(given: Vec<(f64, Option<f64>)>) -> Option<Vec<Target>> {
    let shared = given.iter().filter(|(_, share)| share.is_some()).count();
    let equal = (shared == 0).then_some(100.0 / given.len() as f64);
    given.into_iter().map(|(price, share)| Some(Target { price, share: share.or(equal)? })).collect()
}

/// The members of an object by their camelCase names; a null counts as missing. `None` if a key is not in `keys`, in either
/// spelling, or if two spellings of one have different values.
fn members<'a>(value: &'a Value, keys: &[&'static str]) -> Option<Members<'a>> {
    let mut found = Members::new();
    for (key, value) in value.as_object()? {
        let name = keys.iter().find(|name| **name == key.as_str() || snake(name) == *key)?;
        if !value.is_null() && found.insert(name, value).is_some_and(|other| other != value) {
            return None;
        }
    }
    Some(found)
}

type Members<'a> = BTreeMap<&'static str, &'a Value>;

fn price_of(members: &Members<'_>, key: &str) -> Option<f64> {
    members.get(key)?.as_f64().filter(|price| is_price(*price))
}

/// A member that must be a number if it is there: the outer `None` is any other value.
fn number_of(members: &Members<'_>, key: &str, fits: impl Fn(f64) -> bool) -> Option<Option<f64>> {
    match members.get(key) {
        None => Some(None),
        Some(value) => value.as_f64().filter(|number| fits(*number)).map(Some),
    }
}

fn read_zone(value: &Value) -> Option<Zone> {
    let zone = members(value, &["low", "high"])?;
    let (low, high) = (price_of(&zone, "low")?, price_of(&zone, "high")?);
    (low < high).then_some(Zone { low, high })
}

/// Targets; without shares, all have the same.
pub(super) fn read_targets(value: &Value) -> Option<Vec<Target>> {
    let items = value.as_array().filter(|items| (1..=MAX_TARGETS).contains(&items.len()))?;
    let read = |item: &Value| {
        let target = members(item, &["price", "share"])?;
        Some((price_of(&target, "price")?, number_of(&target, "share", is_share)?))
    };
    shared_out(items.iter().map(read).collect::<Option<_>>()?)
}

fn read_trail(value: &Value) -> Option<Trail> {
    let trail = members(value, &["percent", "atr", "distance", "activateAtR"])?;
    let percent = number_of(&trail, "percent", is_trail_percent)?;
    let [atr, distance] = ["atr", "distance"].map(|key| number_of(&trail, key, is_distance));
    let by = match (percent, atr?, distance?) {
        (Some(percent), None, None) => TrailBy::Percent(percent),
        (None, Some(atr), None) => TrailBy::Atr(atr),
        (None, None, Some(distance)) => TrailBy::Distance(distance),
        _ => return None,
    };
    Some(Trail { by, activate_at_r: number_of(&trail, "activateAtR", is_activation)? })
}

fn read_count(members: &Members<'_>, key: &str) -> Option<Option<usize>> {
    Some(number_of(members, key, is_target_number)?.map(|number| number as usize))
}

fn read_step(value: &Value) -> Option<StopStep> {
    let step = members(value, &["afterTarget", "price"])?;
    Some(StopStep { after_target: read_count(&step, "afterTarget")??, price: price_of(&step, "price")? })
}

fn read_rules(value: &Value) -> std::result::Result<StopRules, &'static str> {
    let keys = ["breakEvenAfterTarget", "breakEvenCostsPercent", "trail", "moveTo"];
    let rules = members(value, &keys).ok_or(RULES)?;
    let break_even_after_target = read_count(&rules, "breakEvenAfterTarget").ok_or(BREAK_EVEN)?;
    let costs = number_of(&rules, "breakEvenCostsPercent", is_break_even_cost).ok_or(COSTS)?;
    if costs.is_some() && break_even_after_target.is_none() {
        return Err(COSTS);
    }
    let trail = rules.get("trail").map(|trail| read_trail(trail).ok_or(TRAIL)).transpose()?;
    let steps = rules.get("moveTo").map(|steps| {
        let steps = steps.as_array().filter(|steps| steps.len() <= MAX_TARGETS)?;
        steps.iter().map(read_step).collect::<Option<Vec<_>>>()
    });
    Ok(StopRules {
        break_even_after_target,
        break_even_costs_percent: costs.unwrap_or_default(),
        trail,
        move_to: steps.map(|steps| steps.ok_or(MOVE_TO)).transpose()?.unwrap_or_default(),
    })
}

impl Fields<'_> {
    /// Reads the keys of a managed signal.
    pub(super) fn managed(&mut self, zone: Tz) -> Result<Managed> {
        fn read<T>(name: Name, allowed: &'static str, field: Field<'_>, by: impl Fn(&Value) -> Option<T>) -> Result<T> {
            let value = field.into_value();
            by(&value).map_or_else(|| wrong(name.label(), allowed, &value), Ok)
        }
        Ok(Managed {
            entry: self.take(Name::EntryType, |field| {
                read(Name::EntryType, ENTRY_TYPES, field, |value| EntryKind::named(value.as_str()?))
            })?,
            zone: self.take(Name::EntryZone, |field| read(Name::EntryZone, ZONE, field, read_zone))?,
            entry_expires_at: self.time(Name::EntryExpiresAt, zone)?,
            targets: self.take(Name::TakeProfits, |field| read(Name::TakeProfits, TARGETS, field, read_targets))?,
            rules: self.take(Name::StopRules, |field| {
                let value = field.into_value();
                read_rules(&value).or_else(|problem| wrong(Name::StopRules.label(), problem, &value))
            })?,
        })
    }

    /// Leaves these keys among the caller's own: logs have them in `managed_terms`, and what earlier versions stored under these names
    /// meant nothing.
    pub(super) fn leave_managed(&mut self) {
        for name in NAMES {
            self.leave(name);
        }
    }
}

impl Managed {
    /// The first key that was given.
    pub fn given(&self) -> Option<Name> {
        let given = [
            self.entry.is_some(),
            self.zone.is_some(),
            self.entry_expires_at.is_some(),
            self.targets.is_some(),
            self.rules.is_some(),
        ];
        NAMES.into_iter().zip(given).find_map(|(name, given)| given.then_some(name))
    }

    /// The terms of a signal; `None` for a plain one. A zone gives it its entry price: the edge where it costs most.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidSignal`] naming the key that contradicts another.
    pub fn terms(
        self,
        direction: Direction,
        prices: &mut Prices,
        (given_ms, expires_ms): (i64, Option<i64>),
    ) -> Result<Option<Terms>> {
        self.check_entry(direction, prices, (given_ms, expires_ms))?;
        if let Some(zone) = self.zone {
            prices.entry = Some(zone.worse_edge(direction));
        }
        let entry = match (self.entry, self.zone) {
            (Some(entry), _) => entry,
            (None, Some(_)) => EntryKind::Limit,
            (None, None) => EntryKind::Market,
        };
        let terms = Terms {
            entry,
            zone: self.zone,
            entry_expires_at: self.entry_expires_at,
            targets: self.targets.unwrap_or_default(),
            rules: self.rules.unwrap_or_default(),
        };
        if let Some(target) = prices.take_profit.filter(|_| !terms.targets.is_empty()) {
            return wrong("takeProfit", "must be left out where `takeProfits` is given", target);
        }
        let Some(price) = prices.entry else { return Ok(Some(terms)) };
        check_targets(direction, price, &terms.targets)?;
        check_rules(direction, prices, &terms)?;
        Ok((!terms.are_plain()).then_some(terms))
    }

    fn check_entry(
        &self,
        direction: Direction,
        prices: &Prices,
        (given_ms, expires_ms): (i64, Option<i64>),
    ) -> Result<()> {
        let waits = self.zone.is_some() || matches!(self.entry, Some(EntryKind::Limit | EntryKind::Stop));
        match (self.entry, self.zone) {
            (Some(entry @ (EntryKind::Market | EntryKind::Stop)), Some(_)) => {
                return wrong("entryType", "must be left out or limit where `entryZone` is given", entry.as_str());
            }
            (_, Some(zone)) if prices.entry.is_some_and(|price| !zone.holds(price)) => {
                let value = prices.entry.unwrap_or_default();
                return wrong("entryPrice", "must be left out, or lie within `entryZone`", value);
            }
            (_, Some(zone)) => {
                let beyond = |stop: &f64| direction.sign() * (zone.better_edge(direction) - stop) <= 0.0;
                if let Some(stop) = prices.stop_loss.filter(beyond) {
                    let value = format!("{stop} with the zone {} to {}", zone.low, zone.high);
                    return wrong("stopLoss", "must lie beyond `entryZone`, on the side of the loss", value);
                }
            }
            _ => {}
        }
        if let Some(at) = self.entry_expires_at {
            if !waits {
                return wrong(
                    "entryExpiresAt",
                    "must be left out for a signal that is entered at once",
                    format_iso(at),
                );
            }
            if at <= given_ms || expires_ms.is_some_and(|end| at > end) {
                return wrong(
                    "entryExpiresAt",
                    "must be later than the timestamp, and no later than `expiresAt`",
                    format_iso(at),
                );
            }
        }
        Ok(())
    }
}

/// Rejects targets that are not sorted, lie on the wrong side, or close more than there is.
pub(super) fn check_targets(direction: Direction, entry: f64, targets: &[Target]) -> Result<()> {
    let mut before = entry;
    for (at, Target { price, .. }) in targets.iter().enumerate() {
        if direction.sign() * (price - before) <= 0.0 {
            let problem = match direction {
                Direction::Buy => "must lie above the entry of a BUY, nearest first",
                Direction::Sell => "must lie below the entry of a SELL, nearest first",
            };
            return wrong("takeProfits", problem, format!("{price} as number {} after {before}", at + 1));
        }
        before = *price;
    }
    let whole: f64 = targets.iter().map(|target| target.share).sum();
    if whole > 100.0 + 1e-6 {
        return wrong("takeProfits", "must have shares that add up to at most 100 percent", whole);
    }
    Ok(())
}

fn check_rules(direction: Direction, prices: &Prices, terms: &Terms) -> Result<()> {
    let StopRules { break_even_after_target, trail, move_to, .. } = &terms.rules;
    let count = if terms.targets.is_empty() { usize::from(prices.take_profit.is_some()) } else { terms.targets.len() };
    let numbers = break_even_after_target.iter().chain(move_to.iter().map(|step| &step.after_target));
    if let Some(number) = numbers.copied().find(|number| *number > count) {
        let value = format!("{number}, and the signal has {count}");
        return wrong("stopRules", "must name a target that the signal has", value);
    }
    for step in move_to {
        let target = terms.targets.get(step.after_target - 1).map(|target| target.price).or(prices.take_profit);
        let is_behind = |level: f64| direction.sign() * (level - step.price) > 0.0;
        if target.is_some_and(|target| !is_behind(target)) || prices.stop_loss.is_some_and(is_behind) {
            let value = format!("{} after target {}", step.price, step.after_target);
            return wrong("stopRules", "must move the stop to a price between the stop and that target", value);
        }
    }
    if trail.is_some_and(|trail| trail.activate_at_r.is_some()) && prices.stop_loss.is_none() {
        return wrong("stopRules", "must have no `activateAtR` without `stopLoss`, which defines R", "activateAtR");
    }
    Ok(())
}
