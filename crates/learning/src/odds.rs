//! Probabilities as log odds.

/// ln(p / (1 − p)).
pub fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// The inverse of [`log_odds`].
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
