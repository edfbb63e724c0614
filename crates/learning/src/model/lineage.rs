//! What the model of a market carries so that it can be judged and continued later.

use super::metrics::Held;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Held-out rows that a model keeps, the newest: about 200 KB of its file.
const KEPT: usize = 4000;

/// What a model said of one bar before it could know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Open time of the bar's candle, UTC epoch ms.
    pub time_ms: i64,
    /// Of a BUY.
    pub buy: Held,
    /// Of a SELL.
    pub sell: Held,
    /// What the signal that it would have given came to, in percent of the entry after costs; `None` without a signal.
    pub profit: Option<f64>,
}

/// Where a model comes from. All empty for a model file of an earlier format.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Its number in the registry.
    pub version: u64,
    /// The version that it continues; `None` for a full training.
    pub continues: Option<u64>,
    /// The newest held-out predictions, oldest first, each made by a model of rows decided before.
    pub held_out: VecDeque<HeldOut>,
    /// The horizon of the full training that it continues, UTC epoch ms; `None` for a full training.
    pub full_ms: Option<i64>,
    /// What the promotions that led here have lost.
    pub conceded: Conceded,
}

/// By how much mean log loss has risen over promotions in a row, as far as they were compared: each may lose too little to be refused
/// for it, and all of them together not. Begins anew when the rise falls to 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Conceded {
    /// The sum of the rises.
    pub rise: f64,
    /// The sum of the squares of their standard errors.
    pub variance: f64,
}

impl Lineage {
    /// Appends held-out rows, in order of time; the oldest leave.
    pub fn hold(&mut self, rows: impl IntoIterator<Item = HeldOut>) {
        self.held_out.extend(rows);
        let over = self.held_out.len().saturating_sub(KEPT);
        self.held_out.drain(..over);
    }

    /// The held-out rows of bars since the full training, oldest first; none where that is not known.
    pub fn since_full(&self) -> Vec<HeldOut> {
        let of = |full_ms| self.held_out.iter().filter(move |row| row.time_ms >= full_ms).copied();
        self.full_ms.into_iter().flat_map(of).collect()
    }

    /// The held-out row of a bar.
    pub fn held_at(&self, time_ms: i64) -> Option<&HeldOut> {
        self.held_out.binary_search_by_key(&time_ms, |row| row.time_ms).ok().map(|at| &self.held_out[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time_ms: i64) -> HeldOut {
        let held = Held { happened: time_ms % 3 == 0, probability: 0.4, constant: 0.3 };
        HeldOut { time_ms, buy: held, sell: held, profit: None }
    }

    #[test]
    fn the_newest_rows_stay_and_are_found_by_time() {
        let mut lineage = Lineage::default();
        lineage.hold((0..KEPT as i64).map(row));
        lineage.hold((KEPT as i64..KEPT as i64 + 10).map(row));
        assert_eq!(lineage.held_out.len(), KEPT);
        assert_eq!(lineage.held_at(9), None);
        assert_eq!(lineage.held_at(10).copied(), Some(row(10)));
        assert_eq!(lineage.held_at(KEPT as i64 + 9).copied(), Some(row(KEPT as i64 + 9)));
    }
}
