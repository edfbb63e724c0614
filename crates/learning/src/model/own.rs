//! What a pooled model keeps of a user's own model: its fitted state, and the weight that its held-out answers have earned.
//!
//! The own model is weighed by what it knows beyond our families. The outcomes are regressed on both departures, ours
//! and its own, and its weight is the lower end of the confidence interval of its own slope. So a model without
//! knowledge of its own gets the weight 0 and changes nothing, while stacking it with the families would give it a share
//! before any evidence. It needs no calibration: its answers count as far as they depart from their usual level.

use super::evidence::{MIN_CLUSTERS, PerFamily};
use domain::symbol::Symbol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Departures whose mean square is below this are rounding errors of a constant.
const LEAST_SPREAD: f64 = 1e-12;

/// Sums over the rows of one cluster, of departures and the surprise (what happened, 0 or 1, minus the base rate).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OwnSums {
    /// Σ departure of our families².
    pub ours: f64,
    /// Σ departure of our families · departure of the own model.
    pub both: f64,
    /// Σ departure of the own model².
    pub own: f64,
    /// Σ departure of our families · surprise.
    pub ours_agreement: f64,
    /// Σ departure of the own model · surprise.
    pub own_agreement: f64,
}

impl OwnSums {
    fn plus(self, other: &Self) -> Self {
        Self {
            ours: self.ours + other.ours,
            both: self.both + other.both,
            own: self.own + other.own,
            ours_agreement: self.ours_agreement + other.ours_agreement,
            own_agreement: self.own_agreement + other.own_agreement,
        }
    }
}

/// The held-out answers of an own model in one direction and their outcomes, as sums.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OwnEvidence {
    /// Length of a cluster.
    pub cluster_ms: i64,
    /// The sums, by cluster number counted from the epoch.
    pub clusters: BTreeMap<i64, OwnSums>,
    /// Number of rows.
    pub rows: u64,
}

/// How much the outcomes change with the own model's departure, where that of our families stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OwnSlope {
    /// The least-squares estimate.
    pub value: f64,
    /// Its standard error, clustered by time.
    pub error: f64,
    /// How much our departure repeats itself in the own one: the slope of the own departure on ours.
    pub overlap: f64,
    /// Number of clusters it is based on.
    pub clusters: usize,
}

impl OwnEvidence {
    /// No evidence yet.
    pub fn new(cluster_ms: i64) -> Self {
        Self { cluster_ms: cluster_ms.max(1), ..Self::default() }
    }

    /// Adds a row: both departures, and the surprise.
    pub fn add(&mut self, time_ms: i64, ours: f64, own: f64, surprise: f64) {
        let sums = self.clusters.entry(time_ms.div_euclid(self.cluster_ms.max(1))).or_default();
        let row = OwnSums {
            ours: ours * ours,
            both: ours * own,
            own: own * own,
            ours_agreement: ours * surprise,
            own_agreement: own * surprise,
        };
        *sums = sums.plus(&row);
        self.rows += 1;
    }

    /// The slope; `None` where the own model says nothing of its own, or with fewer than [`MIN_CLUSTERS`].
    ///
    /// By the theorem of Frisch and Waugh (1933) it is the slope on that part of the own departure which ours does not
    /// explain. The standard error is that of [`super::HeldOutEvidence::slope`].
    pub fn slope(&self) -> Option<OwnSlope> {
        let all = self.clusters.values().fold(OwnSums::default(), |sum, one| sum.plus(one));
        let overlap = if all.ours > 0.0 { all.both / all.ours } else { 0.0 };
        let spread = all.own - overlap * all.both;
        let clusters = self.clusters.len();
        if clusters < MIN_CLUSTERS || spread <= LEAST_SPREAD * self.rows as f64 {
            return None;
        }
        let value = (all.own_agreement - overlap * all.ours_agreement) / spread;
        let of_ours = if all.ours > 0.0 { all.ours_agreement / all.ours - value * overlap } else { 0.0 };
        let score = |sums: &OwnSums| {
            (sums.own_agreement - overlap * sums.ours_agreement)
                - of_ours * (sums.both - overlap * sums.ours)
                - value * (sums.own - overlap * sums.both)
        };
        let squares: f64 = self.clusters.values().map(|sums| score(sums).powi(2)).sum();
        let few = clusters as f64 / (clusters as f64 - 1.0);
        Some(OwnSlope { value, error: (few * squares).sqrt() / spread, overlap, clusters })
    }
}

/// How the departures of our families and of an own model make one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Blend {
    /// The weight of the own departure, 0–1.
    pub weight: f64,
    /// How much of the own departure repeats ours, 0–1: ours gives way by the weight times this, so that nothing counts
    /// twice.
    pub overlap: f64,
}

impl Blend {
    /// The blended departure. Where the own model has no weight or says nothing, it is ours, to the bit.
    pub fn mean(&self, ours: f64, own: Option<f64>) -> f64 {
        match own {
            Some(own) if self.weight > 0.0 => self.of_ours() * ours + self.weight * own,
            _ => ours,
        }
    }

    /// What is left of our families' weights, 0–1.
    pub fn of_ours(&self) -> f64 {
        1.0 - self.weight * self.overlap
    }
}

/// One direction of an own model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OwnSide {
    /// How it joins our families.
    pub blend: Blend,
    /// The evidence for that.
    pub evidence: OwnEvidence,
}

/// The usual level of an own model's answers in a market, from the sums of its held-out answers: BUY, then SELL.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Level {
    sums: [f64; 2],
    rows: u64,
}

impl Level {
    /// Adds an answer.
    pub fn add(&mut self, answer: [f64; 2]) {
        self.sums.iter_mut().zip(answer).for_each(|(sum, probability)| *sum += probability);
        self.rows += 1;
    }

    /// The mean answer; `None` before any.
    pub fn mean(&self) -> Option<[f64; 2]> {
        (self.rows > 0).then(|| self.sums.map(|sum| sum / self.rows as f64))
    }
}

/// An own model in a pooled model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnPart {
    /// Its name.
    pub name: String,
    /// What its `fit` returned; `None` for a model that is not fitted here.
    pub state: Option<Vec<u8>>,
    /// For a fixed model, the time up to which it had seen outcomes, UTC epoch ms.
    pub trained_until_ms: Option<i64>,
    /// BUY, then SELL.
    pub sides: [OwnSide; 2],
    /// The usual level of its answers in each market, by name.
    pub levels: Vec<(Symbol, Level)>,
}

impl OwnPart {
    /// Whether it has weight in any direction.
    pub fn has_weight(&self) -> bool {
        self.sides.iter().any(|side| side.blend.weight > 0.0)
    }

    /// How far an answer departs from its usual level in the market; `None` for a market in which it never answered.
    pub fn departures(&self, symbol: &Symbol, answer: [f64; 2]) -> Option<[f64; 2]> {
        let at = self.levels.binary_search_by(|(known, _)| known.cmp(symbol)).ok()?;
        let level = self.levels[at].1.mean()?;
        Some([answer[0] - level[0], answer[1] - level[1]])
    }

    /// What a record tells of it.
    pub fn told(&self) -> OwnRecord {
        let told = |side: &OwnSide| OwnSideRecord {
            weight: side.blend.weight,
            of_ours: side.blend.of_ours(),
            rows: side.evidence.rows,
            slope: side.evidence.slope().map(|slope| (slope.value, slope.error)),
        };
        OwnRecord {
            name: self.name.clone(),
            is_fitted: self.state.is_some(),
            trained_until_ms: self.trained_until_ms,
            sides: self.sides.each_ref().map(told),
        }
    }

    /// Whether weights and levels are in range.
    pub(super) fn is_sound(&self) -> bool {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let blends = self.sides.iter().all(|side| is_share(side.blend.weight) && is_share(side.blend.overlap));
        let levels =
            self.levels.iter().all(|(_, level)| level.mean().is_none_or(|mean| mean.into_iter().all(is_share)));
        blends && levels && self.levels.is_sorted_by(|one, other| one.0 < other.0) && !self.name.is_empty()
    }
}

/// What a model's record tells of an own model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnRecord {
    /// Its name.
    pub name: String,
    /// Whether it is fitted at each training.
    pub is_fitted: bool,
    /// For a fixed model, the time up to which it had seen outcomes, UTC epoch ms.
    pub trained_until_ms: Option<i64>,
    /// BUY, then SELL.
    pub sides: [OwnSideRecord; 2],
}

/// One direction of [`OwnRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OwnSideRecord {
    /// The weight of its departures, 0–1.
    pub weight: f64,
    /// What is left of our families' weights, 0–1.
    pub of_ours: f64,
    /// The held-out rows it is judged by.
    pub rows: u64,
    /// How much outcomes change with its departures beyond ours, and the standard error; `None` where it says nothing
    /// of its own, or the evidence is too short.
    pub slope: Option<(f64, f64)>,
}

impl OwnRecord {
    /// The weights of our families beside it, BUY then SELL.
    pub fn of_ours(&self, weights: [PerFamily; 2]) -> [PerFamily; 2] {
        [0, 1].map(|side| weights[side].map(|weight| weight * self.sides[side].of_ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight clusters of two rows: ours departs by ±1, own by ±1 in another order.
    fn evidence(outcome: impl Fn(f64, f64) -> f64) -> OwnEvidence {
        let mut evidence = OwnEvidence::new(10);
        for time in 0..80 {
            let (ours, own) = (f64::from(time % 2) * 0.2 - 0.1, f64::from(time / 2 % 2) * 0.2 - 0.1);
            evidence.add(i64::from(time), ours, own, outcome(ours, own));
        }
        evidence
    }

    #[test]
    fn the_slope_is_what_the_own_model_knows_beyond_ours() {
        let slope = evidence(|ours, own| ours + 0.5 * own).slope().unwrap();
        assert!((slope.value - 0.5).abs() < 1e-9 && slope.overlap.abs() < 1e-9 && slope.error < 1e-9, "{slope:?}");
        assert!(evidence(|ours, _| ours).slope().unwrap().value.abs() < 1e-9, "ours alone explains it");
        // The same as ours, and a constant, say nothing of their own.
        let mut repeated = OwnEvidence::new(10);
        (0..80).for_each(|time| repeated.add(time, 0.1, 0.1, 0.1));
        let mut constant = OwnEvidence::new(10);
        (0..80).for_each(|time| constant.add(time, 0.1 * (time % 3) as f64, 1e-15, 0.1));
        assert_eq!((repeated.slope(), constant.slope()), (None, None));
        // Half of it is ours: calculated by hand, own = 0.5 ours + rest, outcome = ours + rest.
        let mut mixed = OwnEvidence::new(10);
        for time in 0..80 {
            let (ours, rest) = (f64::from(time % 2) * 0.2 - 0.1, f64::from(time / 2 % 2) * 0.2 - 0.1);
            mixed.add(i64::from(time), ours, 0.5 * ours + rest, ours + rest);
        }
        let slope = mixed.slope().unwrap();
        assert!((slope.value - 1.0).abs() < 1e-9 && (slope.overlap - 0.5).abs() < 1e-9, "{slope:?}");
        let blend = Blend { weight: 1.0, overlap: 0.5 };
        assert!((blend.mean(0.1, Some(0.15)) - 0.2).abs() < 1e-12, "ours + rest");
        let mut short = OwnEvidence::new(1000);
        (0..80).for_each(|time| short.add(time, 0.1, -0.1, 0.1));
        assert_eq!(short.slope(), None, "one cluster");
    }

    #[test]
    fn without_weight_or_answer_the_mean_is_ours_to_the_bit() {
        let ours = 0.1 + 0.2;
        let blend = Blend { weight: 0.3, overlap: 0.7 };
        assert_eq!(blend.mean(ours, None).to_bits(), ours.to_bits());
        assert_eq!(Blend { weight: 0.0, overlap: 0.7 }.mean(ours, Some(0.9)).to_bits(), ours.to_bits());
    }
}
