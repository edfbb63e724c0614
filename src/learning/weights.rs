//! What each training row counts: `weight = base × time_decay`, base = average uniqueness of its label.

/// Decay of the oldest row; the newest has 1.
pub const OLDEST_DECAY: f64 = 0.8;

/// Average uniqueness of labels that overlap in time: at each bar a label counts 1 / (labels alive there), averaged over
/// its life. `spans[i]` is the first and the last bar of label i, both included, ascending by first bar.
///
/// Source: López de Prado, *Advances in Financial Machine Learning*, 2018, chapter 4.4.
pub fn average_uniqueness(spans: &[(usize, usize)]) -> Vec<f64> {
    let bars = spans.iter().map(|&(_, last)| last + 1).max().unwrap_or(0);
    let mut alive = vec![0i64; bars + 1];
    for &(first, last) in spans {
        alive[first] += 1;
        alive[last + 1] -= 1;
    }
    // share[b] = sum over bars before b of 1 / labels alive.
    let mut share = vec![0.0; bars + 1];
    let mut now = 0;
    for bar in 0..bars {
        now += alive[bar];
        share[bar + 1] = share[bar] + if now > 0 { 1.0 / now as f64 } else { 0.0 };
    }
    spans.iter().map(|&(first, last)| (share[last + 1] - share[first]) / (last + 1 - first) as f64).collect()
}

/// Linear in time from [`OLDEST_DECAY`] at the oldest to 1 at the newest; all 1 when they are of one time.
/// `times_ms` ascends.
pub fn time_decay(times_ms: &[i64]) -> Vec<f64> {
    let (Some(&oldest), Some(&newest)) = (times_ms.first(), times_ms.last()) else { return Vec::new() };
    let span = (newest - oldest) as f64;
    let decay = |&at: &i64| {
        if span > 0.0 { OLDEST_DECAY + (1.0 - OLDEST_DECAY) * (at - oldest) as f64 / span } else { 1.0 }
    };
    times_ms.iter().map(decay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Two labels share bars 2 and 3; the third lives alone.
        let got = average_uniqueness(&[(0, 3), (2, 3), (5, 6)]);
        assert_eq!(got, [(1.0 + 1.0 + 0.5 + 0.5) / 4.0, 0.5, 1.0]);
        assert_eq!(average_uniqueness(&[]), Vec::<f64>::new());
        assert_eq!(time_decay(&[100, 150, 200]), [0.8, 0.9, 1.0]);
        assert_eq!(time_decay(&[100]), [1.0]);
    }

    #[test]
    fn twins_are_worth_one() {
        let sum: f64 = average_uniqueness(&[(3, 9); 10]).iter().sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }
}
