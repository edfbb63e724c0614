//! What was said of a signal when it was recorded.

use serde::{Deserialize, Serialize};

/// By how much each source of evidence moves the log odds of success, beyond those before it: base rates, and the three learners of
/// indicators (a Gaussian process, boosted trees, a forest), each taken at its word.
pub type Departures = [f64; 4];

/// What was said of a signal when it was recorded, before anyone knew how it would end. Numbers are finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// That it succeeds, 0–1.
    pub probability: f64,
    /// Low and high end of the 95 % interval of the probability, 0–1.
    pub interval: (f64, f64),
    /// That it succeeds, without a look at its indicators and candles, 0–1.
    pub base_rate: f64,
    /// What candles say alone, else the arithmetic of the levels, 0–1.
    pub prior: f64,
    /// The prior came from a model of candles.
    pub shaped: bool,
    /// Expected profit after costs, in units of the risk at entry; `None` without a stop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_r: Option<f64>,
    /// Low and high end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_r_interval: Option<(f64, f64)>,
    /// What each source of evidence said.
    pub departures: Departures,
    /// Whether it said to take the signal.
    pub take: bool,
    /// Closed signals that had been learned from.
    pub outcomes: u64,
}

/// Decimals of a number that is kept: more say nothing, and make every line longer.
const DECIMALS: i32 = 6;

impl Said {
    /// The same with numbers of six decimals, as it is stored.
    #[must_use]
    pub fn rounded(self) -> Self {
        let scale = 10f64.powi(DECIMALS);
        // Without a negative zero, which a table does not keep.
        let round = |number: f64| (number * scale).round() / scale + 0.0;
        let both = |(low, high): (f64, f64)| (round(low), round(high));
        Self {
            probability: round(self.probability),
            interval: both(self.interval),
            base_rate: round(self.base_rate),
            prior: round(self.prior),
            departures: self.departures.map(round),
            expected_r: self.expected_r.map(round),
            expected_r_interval: self.expected_r_interval.map(both),
            ..self
        }
    }

    /// Are its probabilities probabilities, and its numbers finite?
    pub(super) fn is_sound(&self) -> bool {
        let (low, high) = self.interval;
        let shares = [self.probability, low, high, self.base_rate, self.prior];
        let numbers = self
            .departures
            .into_iter()
            .chain(self.expected_r)
            .chain(self.expected_r_interval.into_iter().flat_map(<[f64; 2]>::from));
        shares.iter().all(|share| (0.0..=1.0).contains(share)) && numbers.into_iter().all(f64::is_finite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said = Said {
        probability: 0.123_456_789,
        interval: (0.1, 0.2),
        base_rate: 0.2,
        prior: 1e-9,
        shaped: false,
        expected_r: Some(-1e-9),
        expected_r_interval: Some((-0.5, 0.25)),
        departures: [0.0; 4],
        take: true,
        outcomes: 3,
    };

    #[test]
    fn six_decimals_are_kept_and_no_negative_zero() {
        let rounded = SAID.rounded();
        assert_eq!((rounded.probability, rounded.prior, rounded.interval), (0.123_457, 0.0, (0.1, 0.2)));
        assert!(rounded.expected_r.unwrap().is_sign_positive());
        assert_eq!(rounded.rounded(), rounded);
    }

    #[test]
    fn a_probability_lies_between_nothing_and_one() {
        assert!(SAID.is_sound());
        assert!(!Said { prior: 1.1, ..SAID }.is_sound() && !Said { interval: (-0.1, 0.5), ..SAID }.is_sound());
        assert!(!Said { expected_r: Some(f64::NAN), ..SAID }.is_sound());
        assert!(!Said { expected_r_interval: Some((0.0, f64::INFINITY)), ..SAID }.is_sound());
    }
}
