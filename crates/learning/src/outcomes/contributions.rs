//! What moved a stated probability: one step for each source of evidence, in log odds, which add up.
//!
//! The stated probability is `limited(logistic(l + Σ wᵢ · dᵢ))`: l are the log odds that the levels imply, wᵢ the weight of a source
//! ([`super::stack`]) and dᵢ what it says. So a source contributes `wᵢ · dᵢ` log odds, and the range of stated probabilities the rest.

use super::case::PROBABILITY_RANGE;
use super::stack::SOURCES;
use crate::odds::{log_odds, logistic};
use domain::signal::Contributions;
use serde::Serialize;

/// The names of the sources of evidence, in the order in which they are added.
pub const SOURCE_NAMES: [&str; SOURCES] = ["candles", "baseRates", "process", "boosting", "forest"];
/// The name of the first step: what the levels imply, against even odds.
const LEVELS: &str = "levels";
/// The name of the last step, which is there only if the sum lies outside the range of stated probabilities.
const LIMIT: &str = "limit";

/// One step from even odds to a stated probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// `levels`, a source of [`SOURCE_NAMES`], or `limit`.
    pub source: &'static str,
    /// What it adds to the log odds of success.
    pub log_odds: f64,
    /// The probability after it, 0–1.
    pub probability: f64,
}

/// The steps, of which the last has the stated probability.
pub fn contributions(added: &Contributions) -> Vec<Contribution> {
    let mut sum = 0.0;
    let step = |(source, added): (&'static str, &f64)| {
        sum += added;
        Contribution { source, log_odds: *added, probability: logistic(sum) }
    };
    let names = std::iter::once(LEVELS).chain(SOURCE_NAMES);
    let mut steps: Vec<Contribution> = Vec::with_capacity(added.len() + 1);
    steps.extend(names.zip(added).map(step));
    let (least, most) = PROBABILITY_RANGE;
    let stated = logistic(sum).clamp(least, most);
    if stated != logistic(sum) {
        steps.push(Contribution { source: LIMIT, log_odds: log_odds(stated) - sum, probability: stated });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        // Even odds; candles treble them, base rates halve that: 3 to 1, then 3 to 2.
        let steps = contributions(&[0.0, 3f64.ln(), 0.5f64.ln(), 0.0, 0.0, 0.0]);
        let told: Vec<_> = steps.iter().map(|step| (step.source, (1e6 * step.probability).round() / 1e6)).collect();
        let after = [0.5, 0.75, 0.6, 0.6, 0.6, 0.6];
        let names = ["levels", "candles", "baseRates", "process", "boosting", "forest"];
        assert_eq!(told, names.into_iter().zip(after).collect::<Vec<_>>());
    }

    #[test]
    fn what_lies_beyond_the_range_is_a_step_of_its_own() {
        let steps = contributions(&[3.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        let last = steps.last().unwrap();
        assert_eq!((last.source, last.probability), ("limit", 0.98));
        assert!(last.log_odds < 0.0);
    }

    proptest! {
        #[test]
        fn they_add_up(added in proptest::array::uniform6(-4.0f64..4.0)) {
            let steps = contributions(&added);
            let stated = steps.last().unwrap().probability;
            prop_assert!((PROBABILITY_RANGE.0..=PROBABILITY_RANGE.1).contains(&stated));
            let sum: f64 = steps.iter().map(|step| step.log_odds).sum();
            prop_assert!((sum - log_odds(stated)).abs() < 1e-9, "{sum} {stated}");
        }
    }
}
