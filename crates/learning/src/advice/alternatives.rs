//! The levels that are tried: a fixed list, made before anything is looked at.

use domain::barrier::Levels;
use serde::Serialize;

/// How many times as far as its own the stop, the target and the expiry of a signal lie; 1 is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Multiples {
    /// Of the distance from entry to stop.
    pub stop: f64,
    /// Of the distance from entry to target.
    pub target: f64,
    /// Of the time from the entry to the expiry.
    pub expiry: f64,
}

/// The levels as they were given.
pub const OWN: Multiples = Multiples { stop: 1.0, target: 1.0, expiry: 1.0 };

/// Stops and targets, one at a time.
const ALONE: [f64; 6] = [0.5, 0.75, 1.25, 1.5, 2.0, 2.5];
/// Stops and targets together.
const TOGETHER: [f64; 4] = [0.5, 0.75, 1.5, 2.0];
/// Expiries.
const EXPIRIES: [f64; 2] = [0.5, LONGEST_EXPIRY];
/// The longest expiry that is tried.
pub const LONGEST_EXPIRY: f64 = 2.0;

/// What the signals of a strategy have, besides a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Has {
    /// At least one has a target.
    pub target: bool,
    /// At least one expires.
    pub expiry: bool,
}

/// What is tried on signals that have these: up to 30 alternatives.
pub fn alternatives(has: Has) -> Vec<Multiples> {
    let mut list: Vec<Multiples> = ALONE.iter().map(|&stop| Multiples { stop, ..OWN }).collect();
    if has.target {
        list.extend(ALONE.iter().map(|&target| Multiples { target, ..OWN }));
        let pairs = TOGETHER.iter().flat_map(|&stop| TOGETHER.iter().map(move |&target| (stop, target)));
        list.extend(pairs.map(|(stop, target)| Multiples { stop, target, ..OWN }));
    }
    if has.expiry {
        list.extend(EXPIRIES.iter().map(|&expiry| Multiples { expiry, ..OWN }));
    }
    list
}

impl Multiples {
    /// The levels of a signal at these multiples. Whatever has not closed it by `limit_ms` does so then, if it has no
    /// expiry. A level at or below zero is left out: no price reaches it.
    pub fn of(&self, own: &Levels, limit_ms: i64) -> Levels {
        let moved = |level: f64, times: f64| Some(own.entry + times * (level - own.entry)).filter(|price| *price > 0.0);
        // Unchanged levels stay exactly as they were.
        let level = |level: Option<f64>, times: f64| {
            level.and_then(|level| if times == 1.0 { Some(level) } else { moved(level, times) })
        };
        let expires = own.expires_ms.map(|at| own.since_ms + (self.expiry * (at - own.since_ms) as f64) as i64);
        Levels {
            stop_loss: level(own.stop_loss, self.stop),
            take_profit: level(own.take_profit, self.target),
            expires_ms: Some(expires.unwrap_or(limit_ms)),
            ..*own
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::barrier::Direction;

    #[test]
    fn thirty_are_tried_and_none_twice() {
        let all = alternatives(Has { target: true, expiry: true });
        assert_eq!(all.len(), 30);
        for (at, one) in all.iter().enumerate() {
            assert!(*one != OWN && !all[..at].contains(one), "{one:?}");
        }
        assert_eq!(alternatives(Has { target: true, expiry: false }).len(), 28);
        assert_eq!(alternatives(Has::default()).len(), 6);
    }

    #[test]
    fn levels_move_in_proportion_to_their_distance() {
        let buy = Levels {
            direction: Direction::Buy,
            entry: 100.0,
            stop_loss: Some(60.0),
            take_profit: Some(110.0),
            since_ms: 1000,
            expires_ms: Some(3000),
        };
        let moved = Multiples { stop: 0.5, target: 2.0, expiry: 2.0 }.of(&buy, 0);
        assert_eq!((moved.stop_loss, moved.take_profit, moved.expires_ms), (Some(80.0), Some(120.0), Some(5000)));
        let sell = Levels {
            direction: Direction::Sell,
            stop_loss: Some(110.0),
            take_profit: Some(60.0),
            expires_ms: None,
            ..buy
        };
        let moved = Multiples { stop: 2.0, target: 0.75, expiry: 0.5 }.of(&sell, 9000);
        assert_eq!((moved.stop_loss, moved.take_profit, moved.expires_ms), (Some(120.0), Some(70.0), Some(9000)));
        let below_zero = Multiples { stop: 2.5, ..OWN }.of(&buy, 0);
        assert_eq!((below_zero.stop_loss, below_zero.take_profit), (None, Some(110.0)));
        assert_eq!(OWN.of(&buy, 0), buy);
    }
}
