//! Never worse than knowing nothing: probability = base rate + λ · (model − base rate).

use crate::model::Evidence;

/// Standard errors taken off: a model is believed as far as chance (one time in forty) does not explain it.
const CAUTION: f64 = 2.0;
/// Independent labels below which nothing is believed: the error of the slope cannot itself be known from fewer.
pub const MIN_EVIDENCE: f64 = 30.0;

/// How far to believe a model, 0–1, from how its raw held-out predictions came true.
///
/// The slope of what happened on how far the model departed from the constant is the λ that minimises the Brier score
/// (least squares; Cox, *Two further applications of a model for binary regression*, 1958, calls it the calibration
/// slope). We take the lower end of its confidence interval: a model without skill has a slope around 0 and gets exactly
/// 0, a good one with enough evidence is believed nearly in full.
pub fn believe(evidence: &Evidence) -> f64 {
    let Evidence { spread, agreement, variance, total } = *evidence;
    if spread <= 0.0 || total < MIN_EVIDENCE {
        return 0.0;
    }
    let slope = agreement / spread;
    // The weights add up to the number of independent labels, so the spread already counts each label once.
    let standard_error = (variance / total / spread).sqrt();
    (slope - CAUTION * standard_error).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Held;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows whose true probability departs from 0.4 by `skill` times what the model says.
    fn rows(count: usize, skill: f64, seed: u64) -> Evidence {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<Held> = (0..count)
            .map(|_| {
                let departure: f64 = rng.random_range(-0.2..0.2);
                let happened = rng.random_bool(0.4 + skill * departure);
                Held { happened, probability: 0.4 + departure, constant: 0.4, weight: 1.0 }
            })
            .collect();
        Evidence::of(&rows)
    }

    #[test]
    fn a_model_without_skill_is_seldom_believed_and_then_little() {
        let beliefs: Vec<f64> = (0..200).map(|seed| believe(&rows(300, 0.0, seed))).collect();
        assert!(beliefs.iter().filter(|b| **b > 0.0).count() <= 20, "about one in twenty by chance");
        assert!(beliefs.iter().sum::<f64>() / 200.0 < 0.01);
    }

    #[test]
    fn skill_is_believed_as_evidence_grows() {
        assert!(believe(&rows(20_000, 1.0, 1)) > 0.85);
        assert!(believe(&rows(20_000, 0.5, 1)) < 0.55, "an overconfident model is pulled back");
        assert_eq!(believe(&rows(20_000, -1.0, 1)), 0.0, "a model that is wrong is not turned around");
        assert_eq!(believe(&Evidence::default()), 0.0);
    }
}
