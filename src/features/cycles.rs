//! The time of day and of the week, as a model can use it: at 23:59 it is nearly 0:00.

use std::f64::consts::TAU;

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Sine and cosine of the time of day, then of the time of the week.
pub(super) type Cycles = [f64; 4];

/// The cycles of a time. The epoch was a Thursday: which day is 0 does not matter for a cycle.
pub(super) fn cycles(time_ms: i64) -> Cycles {
    let hour = TAU * (time_ms.rem_euclid(DAY_MS) as f64) / DAY_MS as f64;
    let weekday = TAU * (time_ms.rem_euclid(WEEK_MS) as f64) / WEEK_MS as f64;
    [hour.sin(), hour.cos(), weekday.sin(), weekday.cos()]
}
