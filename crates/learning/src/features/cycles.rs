//! The time of day and of the week as sine and cosine, so that 23:59 is close to 0:00.

use std::f64::consts::TAU;

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Sine and cosine of the time of day, then of the time of the week.
pub(super) type Cycles = [f64; 4];

/// The cycles of a time. The epoch was a Thursday; for a cycle it does not matter which day is 0.
pub(super) fn cycles(time_ms: i64) -> Cycles {
    let hour = TAU * (time_ms.rem_euclid(DAY_MS) as f64) / DAY_MS as f64;
    let weekday = TAU * (time_ms.rem_euclid(WEEK_MS) as f64) / WEEK_MS as f64;
    [hour.sin(), hour.cos(), weekday.sin(), weekday.cos()]
}

/// A cache of [`cycles`], which repeat every week.
pub(super) struct KnownCycles {
    step_ms: i64,
    /// For each step of the week, the last requested time within the week and its cycles.
    week: Vec<Option<(i64, Cycles)>>,
}

impl KnownCycles {
    /// For candles of `step_ms` each.
    pub fn new(step_ms: i64) -> Self {
        let step_ms = step_ms.clamp(60_000, WEEK_MS);
        Self { step_ms, week: vec![None; WEEK_MS.div_euclid(step_ms) as usize + 1] }
    }

    /// The cycles of a time.
    pub fn of(&mut self, time_ms: i64) -> Cycles {
        let time = time_ms.rem_euclid(WEEK_MS);
        let known = &mut self.week[(time / self.step_ms) as usize];
        match known {
            Some((at, cycles)) if *at == time => *cycles,
            _ => known.insert((time, cycles(time))).1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cached_cycles_equal_computed_ones(step_ms in 1..2 * WEEK_MS, times in prop::collection::vec(-3 * WEEK_MS..3 * WEEK_MS, 1..100)) {
            let mut known = KnownCycles::new(step_ms);
            for time_ms in times.iter().chain(&times).flat_map(|&time| [time, time + WEEK_MS, time + 1]) {
                prop_assert_eq!(known.of(time_ms), cycles(time_ms));
            }
        }
    }
}
