//! How a signal is managed, in units of its risk: several targets, and a stop that moves.
//!
//! A managed signal is another bet than one with a single target. What it wins, what it loses, and how often it succeeds
//! without any drift follow from its management.

use domain::barrier::{Levels, StopRules, StopStep, Target, Terms, Trail, TrailBy};
use domain::signal::Signal;
use serde::{Deserialize, Serialize};

/// How a signal is managed, in units of the distance from its entry to its first stop (R).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Management {
    /// The targets, nearest first: distance from the entry, and the part that is closed there, in percent.
    pub targets: Vec<(f64, f64)>,
    /// The number of the target after which the stop moves to the entry.
    pub break_even_after: Option<usize>,
    /// How far behind the best price the stop follows.
    pub trail: Option<f64>,
    /// The profit from which on it follows.
    pub trail_from: f64,
    /// Targets after which the stop moves, and where to.
    pub moves: Vec<(usize, f64)>,
}

/// What managements must have in common to be treated as one kind of bet.
pub type Kind = (usize, Option<usize>, bool, Vec<usize>);

/// A bet on a price without drift, in R.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Driftless {
    /// The probability of a profit, 0–1.
    pub success: f64,
    /// The mean profit of those that end with one.
    pub win: f64,
    /// The mean loss of the others, as a positive number.
    pub loss: f64,
}

/// The step of the best price in [`Management::driftless`], in R.
const STEP: f64 = 0.01;
/// The best price beyond which nothing is followed, in R. Reaching it without drift has a probability of 1 %.
const FARTHEST: f64 = 100.0;

impl Management {
    /// Of a signal; `None` for one with at most one target and a stop that stays, and without a stop.
    pub fn of(signal: &Signal) -> Option<Self> {
        let (terms, entry, stop) = (signal.terms.as_deref()?, signal.entry_price?, signal.stop_loss?);
        if terms.targets.is_empty() && terms.rules == StopRules::default() {
            return None;
        }
        let sign = signal.direction?.sign();
        let risk = (entry - stop).abs();
        let in_r = |price: f64| sign * (price - entry) / risk;
        let targets = match (terms.targets.is_empty(), signal.take_profit) {
            (true, target) => target.map(|price| (in_r(price), 100.0)).into_iter().collect(),
            (false, _) => terms.targets.iter().map(|target| (in_r(target.price), target.share)).collect(),
        };
        let rules = &terms.rules;
        Some(Self {
            targets,
            break_even_after: rules.break_even_after_target,
            trail: rules.trail.and_then(|trail| match trail.by {
                TrailBy::Percent(percent) => Some(percent / 100.0 * entry / risk),
                TrailBy::Distance(distance) => Some(distance / risk),
                TrailBy::Atr(_) => None,
            }),
            trail_from: rules.trail.and_then(|trail| trail.activate_at_r).unwrap_or(0.0),
            moves: rules.move_to.iter().map(|step| (step.after_target, in_r(step.price))).collect(),
        })
    }

    /// What it must have in common with others to be treated as one kind of bet with them.
    pub fn kind(&self) -> Kind {
        let moves = self.moves.iter().map(|(after, _)| *after).collect();
        (self.targets.len(), self.break_even_after, self.trail.is_some(), moves)
    }

    /// The median of each number of managements of one kind; `None` without any.
    pub fn median(all: &[&Self]) -> Option<Self> {
        let first = *all.first()?;
        let of = |number: &dyn Fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(|one| number(one)).collect();
            let middle = values.len() / 2;
            (100.0 * *values.select_nth_unstable_by(middle, f64::total_cmp).1).round() / 100.0
        };
        let targets = (0..first.targets.len()).map(|at| (of(&|one| one.targets[at].0), of(&|one| one.targets[at].1)));
        Some(Self {
            targets: targets.collect(),
            break_even_after: first.break_even_after,
            trail: first.trail.map(|_| of(&|one| one.trail.unwrap_or_default())),
            trail_from: of(&|one| one.trail_from),
            moves: first
                .moves
                .iter()
                .enumerate()
                .map(|(at, (after, _))| (*after, of(&|one| one.moves[at].1)))
                .collect(),
        })
    }

    /// The mean of the targets by their shares; `None` without targets.
    pub fn mean_target(&self) -> Option<f64> {
        let whole: f64 = self.targets.iter().map(|(_, share)| share).sum();
        (whole > 0.0).then(|| self.targets.iter().map(|(r, share)| r * share).sum::<f64>() / whole)
    }

    /// The same management of a bet with these levels, which must have a stop.
    pub fn terms(&self, levels: &Levels) -> Option<Terms> {
        let risk = (levels.entry - levels.stop_loss?).abs();
        let price = |r: f64| levels.entry + levels.direction.sign() * r * risk;
        // A target of a SELL at or below zero is never reached.
        let targets = self.targets.iter().map(|(r, share)| Target { price: price(*r), share: *share });
        let trail = self.trail.map(|trail| Trail {
            by: TrailBy::Distance(trail * risk),
            activate_at_r: Some(self.trail_from).filter(|from| *from > 0.0),
        });
        let rules = StopRules {
            break_even_after_target: self.break_even_after,
            break_even_costs_percent: 0.0,
            trail,
            move_to: self.moves.iter().map(|(after, r)| StopStep { after_target: *after, price: price(*r) }).collect(),
        };
        Some(Terms { targets: targets.filter(|target| target.price > 0.0).collect(), rules, ..Terms::default() })
    }

    /// What becomes of it on a price without drift or jumps and without an expiry.
    ///
    /// While the best price so far is `x` and the stop is at `s`, a price without drift reaches `x + h` before `s` with
    /// probability `(x − s) / (x + h − s)` (the gambler's ruin). In steps of 0.01 R.
    pub fn driftless(&self) -> Driftless {
        let (mut alive, mut stop, mut taken, mut left) = (1.0_f64, -1.0_f64, 0.0_f64, 1.0_f64);
        let (mut won, mut lost) = ((0.0, 0.0), (0.0, 0.0));
        let mut end = |probability: f64, profit: f64| {
            let of = if profit > 0.0 { &mut won } else { &mut lost };
            *of = (of.0 + probability, of.1 + probability * profit);
        };
        let (mut best, mut next) = (0.0_f64, 0);
        while left > 1e-9 && best < FARTHEST && alive > 1e-9 {
            let target = self.targets.get(next).map(|(r, _)| *r);
            let to = target.map_or(best + STEP, |target| target.min(best + STEP));
            if let Some(trail) = self.trail.filter(|_| best >= self.trail_from) {
                stop = stop.max(best - trail);
            }
            let reaches = if to > best { (best - stop) / (to - stop) } else { 1.0 };
            end(alive * (1.0 - reaches), taken + left * stop);
            (alive, best) = (alive * reaches, to);
            if target == Some(to) {
                let part = (self.targets[next].1 / 100.0).min(left);
                (taken, left, next) = (taken + part * to, left - part, next + 1);
                if self.break_even_after == Some(next) {
                    stop = stop.max(0.0);
                }
                let moved = self.moves.iter().filter(|(after, _)| *after == next);
                moved.for_each(|(_, r)| stop = stop.max(*r));
            }
        }
        end(alive, taken + left * best);
        let mean = |(probability, sum): (f64, f64)| if probability > 0.0 { sum / probability } else { 0.0 };
        Driftless { success: won.0, win: mean(won), loss: -mean(lost) }
    }

    /// Whether its numbers are such that a bet can be made of it.
    pub fn is_sound(&self) -> bool {
        let sorted = self.targets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let shares: f64 = self.targets.iter().map(|(_, share)| share).sum();
        let numbers = self.targets.iter().flat_map(|(r, share)| [*r, *share]).chain(self.trail);
        sorted
            && shares <= 100.5
            && numbers.chain([self.trail_from + 1.0]).all(|number| number.is_finite() && number > 0.0)
            && self.moves.iter().all(|(_, r)| r.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::barrier::{Direction, Event, Outcome, Trade};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn plain(reward: f64) -> Management {
        Management {
            targets: vec![(reward, 100.0)],
            break_even_after: None,
            trail: None,
            trail_from: 0.0,
            moves: Vec::new(),
        }
    }

    fn laddered() -> Management {
        Management { targets: vec![(1.0, 50.0), (2.0, 30.0)], break_even_after: Some(1), ..plain(1.0) }
    }

    #[test]
    fn without_drift_one_target_succeeds_as_its_levels_say() {
        for reward in [0.5, 1.0, 2.0, 3.3] {
            let Driftless { success, win, loss } = plain(reward).driftless();
            assert!((success - 1.0 / (1.0 + reward)).abs() < 1e-9, "{reward}: {success}");
            assert!((win - reward).abs() < 1e-9 && (loss - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn no_management_earns_or_loses_without_drift() {
        let trailed = Management { trail: Some(1.0), ..plain(50.0) };
        let late = Management { trail: Some(0.5), trail_from: 1.0, ..laddered() };
        let moved = Management { moves: vec![(2, 1.0)], ..laddered() };
        for management in [laddered(), trailed, late, moved] {
            let Driftless { success, win, loss } = management.driftless();
            assert!((success * win - (1.0 - success) * loss).abs() < 0.02, "{management:?}: {success} {win} {loss}");
        }
        // Half at 1 R, then the rest is stopped at the entry, or reaches 2 R: a success either way.
        assert!((laddered().driftless().success - 0.5).abs() < 1e-9);
    }

    #[test]
    fn it_agrees_with_the_state_machine_on_simulated_prices() {
        let levels = |direction: Direction| Levels {
            direction,
            entry: 1000.0,
            stop_loss: Some(1000.0 - direction.sign() * 20.0),
            take_profit: None,
            since_ms: 0,
            expires_ms: None,
        };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        // All is closed at the second target: a rest that only its stop closes may stay open for ever.
        let whole = Management { targets: vec![(1.0, 50.0), (2.0, 50.0)], ..laddered() };
        let trailed = Management { trail: Some(1.0), trail_from: 0.5, ..whole.clone() };
        for (management, direction) in [(whole, Direction::Buy), (trailed, Direction::Sell)] {
            let (levels, count) = (levels(direction), 3_000);
            let terms = management.terms(&levels).unwrap();
            let mut won = 0;
            for _ in 0..count {
                let (mut trade, mut price, mut events) = (Trade::new(levels, &terms), 1000.0, Vec::<Event>::new());
                while trade.ended().is_none() {
                    price += if random.random_bool(0.5) { 0.5 } else { -0.5 };
                    trade.on_tick(price, 0, &mut events);
                }
                won += usize::from(trade.profit_percent() > 0.0);
                assert_ne!(trade.ended().unwrap().0, Outcome::Unknown);
            }
            let (rate, said) = (won as f64 / f64::from(count), management.driftless().success);
            assert!((rate - said).abs() < 0.03, "{management:?}: {rate} for {said}");
        }
    }
}
