//! What a model carries besides its forests, so that it can be judged and continued later.

use super::metrics::Held;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Add;

/// Held-out rows that a model keeps, the newest: about 260 KB of its file.
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

/// How far held-out predictions of a raw forest came true: sums over rows, from which the belief in it follows. Sums of
/// later rows can be added without the rows themselves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Σ weight · departure², the departure being the forest's probability less the constant's.
    pub spread: f64,
    /// Σ weight · departure · surprise, the surprise being what happened (0 or 1) less the constant's probability.
    pub agreement: f64,
    /// Σ weight · surprise².
    pub variance: f64,
    /// Σ weight: how many independent labels there are.
    pub total: f64,
}

impl Evidence {
    /// Of these rows, whose probabilities are the raw forest's.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Held>) -> Self {
        rows.into_iter().fold(Self::default(), |sum, row| {
            let departure = row.probability - row.constant;
            let surprise = f64::from(u8::from(row.happened)) - row.constant;
            sum + Self {
                spread: row.weight * departure * departure,
                agreement: row.weight * departure * surprise,
                variance: row.weight * surprise * surprise,
                total: row.weight,
            }
        })
    }
}

impl Add for Evidence {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            spread: self.spread + other.spread,
            agreement: self.agreement + other.agreement,
            variance: self.variance + other.variance,
            total: self.total + other.total,
        }
    }
}

/// Where a model comes from. All empty for a model file of format 1, which had none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Its number in the registry.
    pub version: u64,
    /// The version that it continues; `None` for a full training.
    pub continues: Option<u64>,
    /// Why each side is believed as far as it is, BUY then SELL.
    pub evidence: [Evidence; 2],
    /// The newest held-out predictions, oldest first, each made by a forest of rows decided before.
    pub held_out: VecDeque<HeldOut>,
    /// The horizon of the full training that it continues, UTC epoch ms; `None` for a full training, and where the signalloop
    /// that continued it first knew of no such thing. It stands behind the rest in a file, where that one passes over it.
    #[serde(skip)]
    pub full_ms: Option<i64>,
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
        let held = Held { happened: time_ms % 3 == 0, probability: 0.4, constant: 0.3, weight: 0.5 };
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

    #[test]
    fn sums_of_parts_are_the_sum_of_all() {
        let rows: Vec<Held> = (0..40).map(|i| row(i).buy).collect();
        let (whole, parts) = (Evidence::of(&rows), Evidence::of(&rows[..17]) + Evidence::of(&rows[17..]));
        for (a, b) in [(whole.spread, parts.spread), (whole.agreement, parts.agreement), (whole.total, parts.total)] {
            assert!((a - b).abs() < 1e-12);
        }
        // By hand: departure 0.1, 14 of 40 happened.
        assert!((whole.agreement - 0.5 * 0.1 * (14.0 * 0.7 - 26.0 * 0.3)).abs() < 1e-12 && whole.total == 20.0);
    }
}
