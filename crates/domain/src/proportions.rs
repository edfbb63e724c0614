//! Confidence intervals: of a proportion, and of the difference of two proportions.

/// The standard normal quantile of a two-sided level of 5 %.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// The 95 % score interval of a proportion, in percent.
///
/// Source: E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, JASA 22 (1927).
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    wilson_effective(successes as f64, trials as f64)
}

/// [`wilson`] for dependent trials, given as the number of independent trials that they are worth.
///
/// Source: E. L. Korn and B. I. Graubard, *Confidence intervals for proportions with small expected number of positive counts
/// estimated from survey data*, Survey Methodology 24 (1998).
pub fn wilson_effective(successes: f64, trials: f64) -> (f64, f64) {
    if trials <= 0.0 {
        return (0.0, 100.0);
    }
    let n = trials;
    let p = successes / n;
    let centre = p + Z_95 * Z_95 / (2.0 * n);
    let half = Z_95 * (p * (1.0 - p) / n + Z_95 * Z_95 / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + Z_95 * Z_95 / n);
    // If all or none succeeded, the formula gives exactly 0 or 100, which rounding misses.
    let low = if successes <= 0.0 { 0.0 } else { ((centre - half) * scale).max(0.0) };
    let high = if successes >= trials { 100.0 } else { ((centre + half) * scale).min(100.0) };
    (low, high)
}

/// The 95 % interval of the difference of two proportions, second minus first, in percentage points. Each is `(successes,
/// trials)` with at least one trial; dependent trials count as the number of independent ones that they are worth.
///
/// Source: R. G. Newcombe, *Interval estimation for the difference between independent proportions*, Statistics in
/// Medicine 17 (1998), method 10: the hybrid of both Wilson intervals.
pub fn newcombe(first: (f64, f64), second: (f64, f64)) -> (f64, f64) {
    let rate = |(successes, trials): (f64, f64)| 100.0 * successes / trials;
    let (p1, p2) = (rate(first), rate(second));
    let ((low1, high1), (low2, high2)) = (wilson_effective(first.0, first.1), wilson_effective(second.0, second.1));
    (p2 - p1 - (p2 - low2).hypot(high1 - p1), p2 - p1 + (high2 - p2).hypot(p1 - low1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_end_where_percentages_end() {
        for trials in 1..2000 {
            assert_eq!((wilson(0, trials).0, wilson(trials, trials).1), (0.0, 100.0), "{trials}");
        }
    }

    #[test]
    fn the_difference_of_proportions_of_newcombes_table() {
        // Table II (a) of the source, method 10: 56/70 less 48/80.
        let (low, high) = newcombe((48.0, 80.0), (56.0, 70.0));
        assert!((low - 5.24).abs() < 0.005 && (high - 33.39).abs() < 0.005, "{low} {high}");
        // (e): 5/56 less 0/29.
        let (low, high) = newcombe((0.0, 29.0), (5.0, 56.0));
        assert!((low + 3.81).abs() < 0.005 && (high - 19.26).abs() < 0.005, "{low} {high}");
    }
}
