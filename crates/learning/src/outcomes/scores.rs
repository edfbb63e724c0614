//! Normal scores: values are replaced by the normal quantiles of their ranks, which limits the influence of outliers.

use serde::{Deserialize, Serialize};

/// Ranks, as shares, are clipped this far from 0 and 1.
const MARGIN: f64 = 0.003;

/// The values of a column, ascending, to look up ranks in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ranks(Vec<f32>);

impl Ranks {
    /// From these values; missing ones (NaN) are left out.
    pub fn of(values: impl Iterator<Item = f32>) -> Self {
        let mut values: Vec<f32> = values.filter(|value| !value.is_nan()).collect();
        values.sort_unstable_by(f32::total_cmp);
        Self(values)
    }

    /// The normal quantile of a value's rank; NaN for a missing value, or without values.
    pub fn score(&self, value: f32) -> f32 {
        if value.is_nan() || self.0.is_empty() {
            return f32::NAN;
        }
        let below = self.0.partition_point(|other| *other < value);
        let up_to = self.0.partition_point(|other| *other <= value);
        let rank = ((below + up_to) as f64 / 2.0 + 0.5) / (self.0.len() as f64 + 1.0);
        normal_quantile(rank.clamp(MARGIN, 1.0 - MARGIN)) as f32
    }
}

/// The quantile of the standard normal distribution for `p` in (0, 1), accurate to 1e-8.
///
/// Source: P. J. Acklam, *An algorithm for computing the inverse normal cumulative distribution function*, 2003.
pub fn normal_quantile(p: f64) -> f64 {
    const TAIL: f64 = 0.02425;
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    let horner = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    if p > 1.0 - TAIL {
        return -normal_quantile(1.0 - p);
    }
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        return horner(&C, q) / horner(&D, q);
    }
    let q = p - 0.5;
    let r = q * q;
    horner(&A, r) * q / horner(&B, r)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_match_published_tables() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.01, -2.326_348), (0.841_344_75, 1.0), (0.999, 3.090_232)] {
            assert!((normal_quantile(p) - z).abs() < 1e-5, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn equal_values_share_a_rank_and_missing_ones_have_none() {
        let ranks = Ranks::of([3.0, f32::NAN, 1.0, 1.0, 2.0].into_iter());
        assert_eq!(ranks.score(1.0), ranks.score(1.0));
        assert!(ranks.score(1.0) < ranks.score(2.0) && ranks.score(2.0) < ranks.score(3.0));
        assert!((ranks.score(1.0) - normal_quantile(0.3) as f32).abs() < 1e-6);
        assert!(ranks.score(f32::NAN).is_nan() && Ranks::default().score(1.0).is_nan());
    }
}
