//! The assessment that is stored with a signal.

use serde::{Deserialize, Serialize};

/// How much each source of evidence moves the log odds of success, on top of the sources before it: base rates, then the three
/// learners of indicators (Gaussian process, boosted trees, forest), each unweighted.
pub type Departures = [f64; 4];

/// What was added to the log odds of success, from even odds to the stated probability: by the levels, candles, base rates, and the
/// three learners of indicators, each with the weight that it had.
pub type Contributions = [f64; 6];

/// The assessment of a signal when it was recorded, before its end was known. Numbers are finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Probability of success, 0–1.
    pub probability: f64,
    /// The 95 % interval of the probability, 0–1.
    pub interval: (f64, f64),
    /// Probability of success from base rates, without its indicators and candles, 0–1.
    pub base_rate: f64,
    /// Probability of success from candles, or from the levels if no model serves, 0–1.
    pub prior: f64,
    /// Whether the prior came from a model of candles.
    pub shaped: bool,
    /// Expected profit after costs, in units of the risk at entry; `None` without a stop.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_r: Option<f64>,
    /// The 95 % interval of the expected profit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_r_interval: Option<(f64, f64)>,
    /// How much each source of evidence contributed.
    pub departures: Departures,
    /// What each step added; `None` in lines of versions that did not store it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contributions: Option<Contributions>,
    /// Whether the advice was to take the signal.
    pub take: bool,
    /// Number of closed signals learned from by then.
    pub outcomes: u64,
}

/// Decimals that are stored; more would only make lines longer.
const DECIMALS: i32 = 6;

impl Said {
    /// The same assessment with numbers rounded to six decimals, as stored.
    #[must_use]
    pub fn rounded(self) -> Self {
        let scale = 10f64.powi(DECIMALS);
        // Adding zero removes a negative zero, which a database does not keep.
        let round = |number: f64| (number * scale).round() / scale + 0.0;
        let both = |(low, high): (f64, f64)| (round(low), round(high));
        Self {
            probability: round(self.probability),
            interval: both(self.interval),
            base_rate: round(self.base_rate),
            prior: round(self.prior),
            departures: self.departures.map(round),
            contributions: self.contributions.map(|added| added.map(round)),
            expected_r: self.expected_r.map(round),
            expected_r_interval: self.expected_r_interval.map(both),
            ..self
        }
    }

    /// Whether probabilities lie in 0–1 and all numbers are finite.
    pub(super) fn is_sound(&self) -> bool {
        let (low, high) = self.interval;
        let shares = [self.probability, low, high, self.base_rate, self.prior];
        let numbers = self
            .departures
            .into_iter()
            .chain(self.contributions.into_iter().flatten())
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
        contributions: Some([-1.0, 0.5, 1e-9, 0.0, -1e-9, 0.25]),
        take: true,
        outcomes: 3,
    };

    #[test]
    fn six_decimals_are_kept_and_no_negative_zero() {
        let rounded = SAID.rounded();
        assert_eq!((rounded.probability, rounded.prior, rounded.interval), (0.123_457, 0.0, (0.1, 0.2)));
        assert!(rounded.expected_r.unwrap().is_sign_positive());
        assert_eq!(rounded.contributions, Some([-1.0, 0.5, 0.0, 0.0, 0.0, 0.25]));
        assert!(rounded.contributions.unwrap()[4].is_sign_positive());
        assert_eq!(rounded.rounded(), rounded);
    }

    #[test]
    fn a_probability_lies_between_nothing_and_one() {
        assert!(SAID.is_sound());
        assert!(!Said { prior: 1.1, ..SAID }.is_sound() && !Said { interval: (-0.1, 0.5), ..SAID }.is_sound());
        assert!(!Said { expected_r: Some(f64::NAN), ..SAID }.is_sound());
        assert!(!Said { contributions: Some([f64::INFINITY; 6]), ..SAID }.is_sound());
        assert!(!Said { expected_r_interval: Some((0.0, f64::INFINITY)), ..SAID }.is_sound());
    }
}
