//! Training weights of rows: `weight = base × time_decay`, where base is the average uniqueness of the label.

/// The time decay of the oldest row; the newest has 1.
pub const OLDEST_DECAY: f64 = 0.8;

/// The average uniqueness of overlapping labels: at each moment a label counts 1 / (number of labels open then),
/// averaged over its lifetime. `lifetimes[i]` holds the begin and end of label i, in bars or any other unit; the end comes
/// after the begin.
///
/// Source: López de Prado, *Advances in Financial Machine Learning*, 2018, chapter 4.4.
pub fn average_uniqueness(lifetimes: &[(i64, i64)]) -> Vec<f64> {
    let begins = lifetimes.iter().map(|&(begin, _)| (begin, 1));
    let ends = lifetimes.iter().map(|&(_, end)| (end, -1));
    let mut changes: Vec<(i64, i64)> = begins.chain(ends).collect();
    changes.sort_by_key(|&(at, _)| at);
    // The moments at which the number of open labels changes, and the integral of 1 / (open labels) up to each.
    let mut moments = Vec::with_capacity(changes.len());
    let mut integral = Vec::with_capacity(changes.len());
    let (mut sum, mut alive) = (0.0, 0);
    for (at, more) in changes {
        if let Some(&before) = moments.last()
            && alive > 0
        {
            sum += (at - before) as f64 / alive as f64;
        }
        moments.push(at);
        integral.push(sum);
        alive += more;
    }
    let until = |at: i64| integral[moments.partition_point(|&moment| moment < at)];
    lifetimes.iter().map(|&(begin, end)| (until(end) - until(begin)) / (end - begin) as f64).collect()
}

/// The time decay of rows: linear from [`OLDEST_DECAY`] at the oldest to 1 at the newest; all 1 when they have the same
/// time. `times_ms` ascends.
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
    use proptest::prelude::*;

    fn close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?} {expected:?}");
    }

    #[test]
    fn worked_by_hand() {
        // Two labels share bars 2 and 3; the third does not overlap any.
        close(&average_uniqueness(&[(0, 4), (2, 4), (5, 7)]), &[(1.0 + 1.0 + 0.5 + 0.5) / 4.0, 0.5, 1.0]);
        assert_eq!(average_uniqueness(&[]), Vec::<f64>::new());
        assert_eq!(time_decay(&[100, 150, 200]), [0.8, 0.9, 1.0]);
        assert_eq!(time_decay(&[100]), [1.0]);
    }

    #[test]
    fn twins_are_worth_one() {
        let sum: f64 = average_uniqueness(&[(3, 10); 10]).iter().sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_share_is_one_alone_and_never_more(
            lifetimes in proptest::collection::vec((-500i64..500, 1i64..300), 1..40),
        ) {
            let lifetimes: Vec<(i64, i64)> = lifetimes.into_iter().map(|(begin, length)| (begin, begin + length)).collect();
            let shares = average_uniqueness(&lifetimes);
            prop_assert!(shares.iter().all(|share| (0.0..=1.0 + 1e-9).contains(share)), "{shares:?}");
        }
    }
}
