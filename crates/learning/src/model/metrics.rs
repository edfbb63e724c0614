//! Scores of probability forecasts, each beside the score of a constant forecast.

use serde::{Deserialize, Serialize};

/// Probabilities are clipped this far from 0 and 1 in the log loss, so that no single row has an infinite loss.
const CLIP: f64 = 1e-6;

/// One held-out prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Whether the label came true.
    pub happened: bool,
    /// The model's probability.
    pub probability: f64,
    /// The base rate known when the model was trained: the constant prediction.
    pub constant: f64,
}

/// Scores over held-out rows, all with equal weight.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Held-out rows.
    pub rows: usize,
    /// Share of rows whose label came true, 0–1.
    pub base_rate: f64,
    /// Mean −ln of the probability given to what happened.
    pub log_loss: f64,
    /// The same for the constant.
    pub constant_log_loss: f64,
    /// Mean (p − y)². Brier, *Verification of forecasts expressed in terms of probability*, 1950.
    pub brier: f64,
    /// The same for the constant.
    pub constant_brier: f64,
    /// Area under the ROC curve: the probability that a success ranks above a failure, by the model's departure from
    /// the constant; the constant's is 0.5. (Ranks of plain probabilities would mix in changes of the base rate between
    /// folds.)
    pub auc: f64,
    /// Mean of sensitivity and specificity when p ≥ base rate is read as "yes"; the constant's is 0.5.
    pub balanced_accuracy: f64,
    /// Mean |p − frequency| over ten bins of equal count. Naeini et al., 2015.
    pub calibration_error: f64,
    /// |constant − frequency|.
    pub constant_calibration_error: f64,
}

/// −ln of the probability given to what happened.
pub fn log_loss(happened: bool, probability: f64) -> f64 {
    let p = probability.clamp(CLIP, 1.0 - CLIP);
    if happened { -p.ln() } else { -(1.0 - p).ln() }
}

impl Scores {
    /// Scores `rows`; all zero when there are none.
    pub fn of(rows: &[Held]) -> Self {
        if rows.is_empty() {
            return Self::default();
        }
        let total = rows.len() as f64;
        let mean = |value: &dyn Fn(&Held) -> f64| rows.iter().map(value).sum::<f64>() / total;
        let y = |row: &Held| f64::from(u8::from(row.happened));
        let base_rate = mean(&y);
        Self {
            rows: rows.len(),
            base_rate,
            log_loss: mean(&|row| log_loss(row.happened, row.probability)),
            constant_log_loss: mean(&|row| log_loss(row.happened, row.constant)),
            brier: mean(&|row| (row.probability - y(row)).powi(2)),
            constant_brier: mean(&|row| (row.constant - y(row)).powi(2)),
            auc: auc(rows),
            balanced_accuracy: balanced_accuracy(rows),
            calibration_error: calibration_error(rows, total, |row| row.probability),
            constant_calibration_error: calibration_error(rows, total, |row| row.constant),
        }
    }
}

/// How far the model departs from the constant.
fn departure(row: &Held) -> f64 {
    row.probability - row.constant
}

/// Area under the ROC curve by ranks of departure, ties counting half; 0.5 when there are only successes or only
/// failures.
fn auc(rows: &[Held]) -> f64 {
    let mut sorted: Vec<&Held> = rows.iter().collect();
    sorted.sort_by(|a, b| departure(a).total_cmp(&departure(b)));
    let (mut below, mut won, mut yes, mut no) = (0.0, 0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| departure(a) == departure(b)) {
        let successes = tied.iter().filter(|row| row.happened).count() as f64;
        let failures = tied.len() as f64 - successes;
        won += successes * (below + failures / 2.0);
        below += failures;
        yes += successes;
        no += failures;
    }
    if yes > 0.0 && no > 0.0 { won / (yes * no) } else { 0.5 }
}

/// 0.5 when there are only successes or only failures, or when the model never departs from the constant.
fn balanced_accuracy(rows: &[Held]) -> f64 {
    let rate = |happened: bool| {
        let (mut right, mut all) = (0.0, 0.0);
        for row in rows.iter().filter(|row| row.happened == happened) {
            // A probability equal to the constant is neither yes nor no.
            let yes = match departure(row) {
                up if up > 0.0 => 1.0,
                down if down < 0.0 => 0.0,
                _ => 0.5,
            };
            right += if happened { yes } else { 1.0 - yes };
            all += 1.0;
        }
        if all > 0.0 { right / all } else { 0.5 }
    };
    (rate(true) + rate(false)) / 2.0
}

/// Over ten bins of about equal size. Rows with the same `stated` probability share a bin: a constant forecast has one
/// bin.
fn calibration_error(rows: &[Held], total: f64, stated: impl Fn(&Held) -> f64) -> f64 {
    let mut sorted: Vec<&Held> = rows.iter().collect();
    sorted.sort_by(|a, b| stated(a).total_cmp(&stated(b)));
    let bin = sorted.len().div_ceil(10).max(1);
    let (mut error, mut gap, mut count) = (0.0, 0.0, 0);
    for tied in sorted.chunk_by(|a, b| stated(a) == stated(b)) {
        gap += tied.iter().map(|row| stated(row) - f64::from(u8::from(row.happened))).sum::<f64>();
        count += tied.len();
        if count >= bin {
            error += f64::abs(gap);
            (gap, count) = (0.0, 0);
        }
    }
    (error + f64::abs(gap)) / total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(happened: bool, probability: f64) -> Held {
        Held { happened, probability, constant: 0.5 }
    }

    #[test]
    fn worked_by_hand() {
        let scores = Scores::of(&[held(true, 0.8), held(false, 0.2), held(true, 0.2), held(false, 0.8)]);
        assert!((scores.log_loss - -(0.8f64.ln() + 0.2f64.ln()) / 2.0).abs() < 1e-12);
        assert!((scores.brier - (0.04 + 0.64) / 2.0).abs() < 1e-12);
        assert_eq!((scores.auc, scores.balanced_accuracy, scores.base_rate), (0.5, 0.5, 0.5));
        let sharp = Scores::of(&[held(true, 0.9), held(true, 0.7), held(false, 0.6), held(false, 0.1)]);
        assert_eq!((sharp.auc, sharp.balanced_accuracy), (1.0, 0.75));
    }

    #[test]
    fn the_constant_scores_as_the_constant() {
        let rows: Vec<Held> = (0..40).map(|i| held(i % 4 == 0, 0.5)).collect();
        let scores = Scores::of(&rows);
        assert_eq!(scores.log_loss, scores.constant_log_loss);
        assert_eq!((scores.auc, scores.balanced_accuracy), (0.5, 0.5));
        assert!((scores.constant_calibration_error - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_is_the_constant_is_as_calibrated_as_the_constant() {
        // All successes come first, and the stated probability never changes.
        let rows: Vec<Held> = (0..40).map(|i| Held { happened: i < 10, probability: 0.3, constant: 0.3 }).collect();
        let scores = Scores::of(&rows);
        assert_eq!(scores.calibration_error, scores.constant_calibration_error);
        assert!((scores.calibration_error - 0.05).abs() < 1e-12);
        let moved: Vec<Held> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| if i < 20 { Held { probability: 0.4, constant: 0.4, ..*row } } else { *row })
            .collect();
        let scores = Scores::of(&moved);
        assert_eq!(scores.calibration_error, scores.constant_calibration_error);
        // 20 of 0.3, none of which succeeds, and 20 of 0.4, half of which do.
        assert!((scores.calibration_error - (20.0 * 0.3 + 20.0 * 0.1) / 40.0).abs() < 1e-12);
    }
}
