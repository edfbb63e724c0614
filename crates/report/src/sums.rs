//! The running sums of a replay: what all its signals, those taken and those left brought over time, in a limited number of points.

use super::results::{rounded, step};
use domain::signal::Costs;
use replay::Row;
use replay::summary::Oracle;
use serde::Serialize;

/// Running sums at the end of each step in which something closed, in order of closing and after costs.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// Whether they are in R, of the signals with a stop. Where no signal has one, they are in percent of the entry.
    pub in_r: bool,
    /// Length of a step.
    pub step_ms: i64,
    /// The ends of the steps, UTC epoch ms; the first one is the origin, where all sums are 0. Empty if nothing closed.
    pub times: Vec<i64>,
    /// `all`, `taken`, `left` and, where it is known, `oracle`.
    pub lines: Vec<Line>,
    /// How far the sum of those taken was below its highest point so far, at its deepest in each step; not positive.
    pub drawdown: Vec<f64>,
}

/// A running sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Of which signals.
    pub name: &'static str,
    /// Its value at each of [`Sums::times`].
    pub values: Vec<f64>,
}

/// The place of the signals taken among the lines.
const TAKEN: usize = 1;

/// What a closed signal brought.
struct Brought {
    closed_ms: i64,
    value: f64,
    /// Whether it belongs to each of the lines.
    belongs: [bool; 4],
}

impl Sums {
    /// From rows in order of closing.
    pub fn of(rows: &[Row<'_>], costs: &Costs, with_oracle: bool) -> Self {
        let in_r = rows.iter().any(|row| row.r.is_some());
        let brought: Vec<Brought> = rows.iter().filter_map(|row| Brought::of(row, in_r, costs)).collect();
        let (Some(first), Some(last)) = (brought.first(), brought.last()) else { return Self::default() };
        let step_ms = step(last.closed_ms - first.closed_ms);
        let end = |one: &Brought| (one.closed_ms.div_euclid(step_ms) + 1) * step_ms;
        let names = &["all", "taken", "left", "oracle"][..if with_oracle { 4 } else { 3 }];
        let mut lines: Vec<Line> = names.iter().map(|name| Line { name, values: vec![0.0] }).collect();
        let (mut times, mut drawdown) = (vec![end(first) - step_ms], vec![0.0]);
        let (mut sums, mut peak) = ([0.0; 4], 0.0f64);
        for closed in brought.chunk_by(|a, b| end(a) == end(b)) {
            let mut deepest = 0.0f64;
            for one in closed {
                for (sum, belongs) in sums.iter_mut().zip(one.belongs) {
                    *sum += if belongs { one.value } else { 0.0 };
                }
                peak = peak.max(sums[TAKEN]);
                deepest = deepest.max(peak - sums[TAKEN]);
            }
            times.extend(closed.first().map(end));
            drawdown.push(rounded(-deepest));
            lines.iter_mut().zip(sums).for_each(|(line, sum)| line.values.push(rounded(sum)));
        }
        Self { in_r, step_ms, times, lines, drawdown }
    }
}

impl Brought {
    /// `None` for a signal without a result.
    fn of(row: &Row<'_>, in_r: bool, costs: &Costs) -> Option<Self> {
        let (closed_ms, value) = (row.closed_ms()?, if in_r { row.r } else { row.net_percent }?);
        let oracle = Oracle::takes(&row.decision.record.signal, costs) == Some(true);
        Some(Self { closed_ms, value, belongs: [true, row.take() == Some(true), row.take() == Some(false), oracle] })
    }
}
