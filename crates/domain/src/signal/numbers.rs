//! The levels and terms of a signal as numbers.
//!
//! The addon asks on every price whether it closes a signal. Reading the signal's object takes far longer than deciding, so
//! JavaScript writes what decides into places of an array. `close-decision.js` has the same places.

use super::managed::{
    Managed, is_activation, is_break_even_cost, is_distance, is_price, is_share, is_target_number, is_trail_percent,
    shared_out,
};
use super::read::{Prices, levels_with};
use crate::barrier::{
    Direction, EntryKind, Levels, MAX_TARGETS, StopRules, StopStep, Target, Terms, Trail, TrailBy, Zone,
};
use crate::time;

/// 1 for a BUY, 0 for a SELL.
const BUY: usize = 0;
const ENTRY: usize = 1;
const STOP_LOSS: usize = 2;
const TAKE_PROFIT: usize = 3;
/// UTC epoch ms.
const EXPIRES: usize = 4;
/// 0 market, 1 limit, 2 stop.
const ENTRY_KIND: usize = 5;
const ZONE_LOW: usize = 6;
const ZONE_HIGH: usize = 7;
/// UTC epoch ms.
const ENTRY_EXPIRES: usize = 8;
/// How many targets there are; missing without `takeProfits`.
const TARGETS: usize = 9;
/// How many stops there are to move to; missing without `stopRules`.
const STEPS: usize = 10;
const BREAK_EVEN: usize = 11;
const BREAK_EVEN_COSTS: usize = 12;
/// 0 percent, 1 average true ranges, 2 distance; missing without a trailing stop.
const TRAIL_KIND: usize = 13;
const TRAIL: usize = 14;
const ACTIVATION: usize = 15;
/// Price and share of each target, then target and price of each stop to move to.
const PAIRS: usize = 16;

/// How many numbers a signal has at most.
pub const SIGNAL_NUMBERS: usize = PAIRS + 4 * MAX_TARGETS;

/// The levels of a signal, and its terms if it is a managed one, from the number in each place; NaN is a missing one. `None` if
/// anything is wrong: reading the object says what.
pub fn levels_in(number: impl Fn(usize) -> f64) -> Option<(Levels, Option<Terms>)> {
    let numbers = Numbers(number);
    let direction = if numbers.given(BUY)? == 1.0 { Direction::Buy } else { Direction::Sell };
    let mut prices = Prices {
        entry: numbers.optional(ENTRY, is_price)?,
        stop_loss: numbers.optional(STOP_LOSS, is_price)?,
        take_profit: numbers.optional(TAKE_PROFIT, is_price)?,
    };
    let expires_ms = numbers.time(EXPIRES)?;
    levels_with(direction, &mut prices, numbers.managed()?, expires_ms).ok()
}

struct Numbers<N>(N);

impl<N: Fn(usize) -> f64> Numbers<N> {
    fn given(&self, place: usize) -> Option<f64> {
        Some((self.0)(place)).filter(|number| !number.is_nan())
    }

    /// The outer `None` is a number that does not fit.
    fn optional(&self, place: usize, fits: impl Fn(f64) -> bool) -> Option<Option<f64>> {
        let given = self.given(place);
        given.is_none_or(fits).then_some(given)
    }

    fn time(&self, place: usize) -> Option<Option<i64>> {
        let is_time = |ms: f64| (time::MIN_MILLIS as f64..=time::MAX_MILLIS as f64).contains(&ms);
        Some(self.optional(place, is_time)?.map(|ms| ms as i64))
    }

    /// How many pairs there are; the outer `None` if there are too many.
    fn count(&self, place: usize) -> Option<Option<usize>> {
        Some(self.optional(place, |count| (0.0..=MAX_TARGETS as f64).contains(&count))?.map(|count| count as usize))
    }

    fn managed(&self) -> Option<Managed> {
        let entry = match self.given(ENTRY_KIND) {
            None => None,
            Some(kind) => {
                let kinds = [EntryKind::Market, EntryKind::Limit, EntryKind::Stop];
                Some(*kinds.get(kind as usize)?)
            }
        };
        let zone = match (self.optional(ZONE_LOW, is_price)?, self.optional(ZONE_HIGH, is_price)?) {
            (None, None) => None,
            (Some(low), Some(high)) if low < high => Some(Zone { low, high }),
            _ => return None,
        };
        let targets = self.count(TARGETS)?;
        let steps = PAIRS + 2 * targets.unwrap_or_default();
        Some(Managed {
            entry,
            zone,
            entry_expires_at: self.time(ENTRY_EXPIRES)?,
            targets: match targets {
                None => None,
                Some(count) => Some(self.targets(count)?),
            },
            rules: match self.count(STEPS)? {
                None => None,
                Some(count) => Some(self.rules(steps, count)?),
            },
        })
    }

    fn targets(&self, count: usize) -> Option<Vec<Target>> {
        let target = |at: usize| {
            let price = self.given(PAIRS + 2 * at).filter(|price| is_price(*price))?;
            Some((price, self.optional(PAIRS + 2 * at + 1, is_share)?))
        };
        shared_out((0..count).map(target).collect::<Option<_>>()?).filter(|targets| !targets.is_empty())
    }

    fn rules(&self, from: usize, count: usize) -> Option<StopRules> {
        let step = |at: usize| {
            let after_target = self.given(from + 2 * at).filter(|number| is_target_number(*number))? as usize;
            Some(StopStep { after_target, price: self.given(from + 2 * at + 1).filter(|price| is_price(*price))? })
        };
        let break_even_after_target = self.optional(BREAK_EVEN, is_target_number)?.map(|number| number as usize);
        let costs = self.optional(BREAK_EVEN_COSTS, is_break_even_cost)?;
        if costs.is_some() && break_even_after_target.is_none() {
            return None;
        }
        let trail = match self.given(TRAIL_KIND) {
            None => None,
            Some(kind) => {
                let amount = self.given(TRAIL)?;
                let by = match kind as usize {
                    0 if is_trail_percent(amount) => TrailBy::Percent(amount),
                    1 if is_distance(amount) => TrailBy::Atr(amount),
                    2 if is_distance(amount) => TrailBy::Distance(amount),
                    _ => return None,
                };
                Some(Trail { by, activate_at_r: self.optional(ACTIVATION, is_activation)? })
            }
        };
        Some(StopRules {
            break_even_after_target,
            break_even_costs_percent: costs.unwrap_or_default(),
            trail,
            move_to: (0..count).map(step).collect::<Option<_>>()?,
        })
    }
}
