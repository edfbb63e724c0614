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

/// The sum of the [`average_uniqueness`] of lifetimes that grow in number. It is that of all at once, to the bit.
///
/// The share of a lifetime no longer changes once no new one can begin before it ends. The sums up to there are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct UniquenessSum {
    /// How many lifetimes have a share that stays, and the sum of these shares.
    settled: usize,
    sum: f64,
    /// The moments before the next lifetime begins.
    sweep: Sweep,
    /// The ends of settled lifetimes that come later.
    ends: Vec<i64>,
}

/// The integral of 1 / (open labels) up to a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Sweep {
    at: Option<i64>,
    integral: f64,
    alive: i64,
}

impl Sweep {
    /// Moves on to a moment at which so many more labels are open.
    fn next(&mut self, (at, more): (i64, i64)) {
        if let Some(before) = self.at
            && self.alive > 0
        {
            self.integral += (at - before) as f64 / self.alive as f64;
        }
        (self.at, self.alive) = (Some(at), self.alive + more);
    }
}

impl UniquenessSum {
    /// Settles what can be: of `count` lifetimes by `of`, none of those that will follow begins before `next`. Lifetimes begin in
    /// order, and those settled before are the same.
    pub fn settle(&mut self, count: usize, next: i64, of: impl Fn(usize) -> (i64, i64)) {
        let first_open = (self.settled..count).find(|&at| of(at).1 > next).unwrap_or(count);
        if first_open == self.settled {
            return;
        }
        let shares = self.shares(count, first_open, &of);
        self.sum = shares.fold(self.sum, |sum, share| sum + share);
        let until = if first_open < count { of(first_open).0 } else { next };
        let begins = (self.settled..first_open).map(|at| (of(at).0, 1));
        self.ends.extend((self.settled..first_open).map(|at| of(at).1));
        self.ends.sort_unstable();
        let later = self.ends.split_off(self.ends.partition_point(|&end| end < until));
        let mut changes: Vec<(i64, i64)> = begins.chain(self.ends.iter().map(|&end| (end, -1))).collect();
        changes.sort_by_key(|&(at, _)| at);
        changes.into_iter().for_each(|change| self.sweep.next(change));
        (self.settled, self.ends) = (first_open, later);
    }

    /// The sum over `count` lifetimes, of which those that are settled come first.
    pub fn total(&self, count: usize, of: impl Fn(usize) -> (i64, i64)) -> f64 {
        self.shares(count, count, &of).fold(self.sum, |sum, share| sum + share)
    }

    /// The shares of the lifetimes that are not settled, up to `until` of `count`.
    fn shares(&self, count: usize, until: usize, of: impl Fn(usize) -> (i64, i64)) -> impl Iterator<Item = f64> {
        let open = || (self.settled..count).map(&of);
        let (begins, ends) = (open().map(|(begin, _)| (begin, 1)), open().map(|(_, end)| (end, -1)));
        let mut changes: Vec<(i64, i64)> = begins.chain(ends).chain(self.ends.iter().map(|&end| (end, -1))).collect();
        changes.sort_by_key(|&(at, _)| at);
        let mut sweep = self.sweep;
        let integral = changes.into_iter().map(|change| {
            sweep.next(change);
            (change.0, sweep.integral)
        });
        let integral: Vec<(i64, f64)> = integral.collect();
        let lifetimes: Vec<(i64, i64)> = (self.settled..until).map(of).collect();
        lifetimes.into_iter().map(move |(begin, end)| {
            let until = |at: i64| integral[integral.partition_point(|&(moment, _)| moment < at)].1;
            (until(end) - until(begin)) / (end - begin) as f64
        })
    }
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
        fn lifetimes_that_come_one_by_one_have_the_same_sum(
            lifetimes in proptest::collection::vec((0i64..3, 1i64..30), 1..150), steps in proptest::collection::vec(0usize..9, 150),
        ) {
            let mut begin = 0;
            let all: Vec<(i64, i64)> = lifetimes
                .into_iter()
                .map(|(pause, life)| {
                    begin += pause;
                    (begin, begin + life)
                })
                .collect();
            let (mut sum, mut known) = (UniquenessSum::default(), 0);
            for step in steps {
                known = (known + step).min(all.len());
                let next = all.get(known).map_or(begin, |(begin, _)| *begin);
                sum.settle(known, next, |at| all[at]);
                // Others may be there already that are not settled.
                for count in known..all.len().min(known + 4) {
                    let at_once: f64 = average_uniqueness(&all[..count]).iter().sum();
                    prop_assert_eq!(sum.total(count, |at| all[at]).to_bits(), (0.0 + at_once).to_bits());
                }
            }
        }

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
