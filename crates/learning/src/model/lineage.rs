//! The history a market's model carries, so that it can be judged and continued later.

use super::metrics::Held;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The number of newest held-out rows that a model keeps: about 200 KB of its file.
const KEPT: usize = 4000;

/// A held-out prediction of one bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Open time of the bar's candle, UTC epoch ms.
    pub time_ms: i64,
    /// Of a BUY.
    pub buy: Held,
    /// Of a SELL.
    pub sell: Held,
    /// The profit of the signal it would have given, in percent of the entry after costs; `None` without a signal.
    pub profit: Option<f64>,
}

/// The origin of a model. All fields are empty for a model file of an earlier format.
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
    /// What the chain of promotions that led here has lost.
    pub conceded: Conceded,
}

/// How much the mean log loss has risen over consecutive promotions, as far as they were compared. A single promotion
/// may lose too little to be refused, while all together lose too much. The sum starts again when it falls to 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Conceded {
    /// The sum of the rises.
    pub rise: f64,
    /// The sum of the squares of their standard errors.
    pub variance: f64,
}

impl Lineage {
    /// Appends held-out rows, in order of time; the oldest are dropped.
    pub fn hold(&mut self, rows: impl IntoIterator<Item = HeldOut>) {
        self.held_out.extend(rows);
        let over = self.held_out.len().saturating_sub(KEPT);
        self.held_out.drain(..over);
    }

    /// The held-out rows since the full training, oldest first; empty where its time is unknown.
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
