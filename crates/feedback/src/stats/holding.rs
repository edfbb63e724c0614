//! How long signals were open until they closed.

use super::summary::Closed;

/// Equal parts of each doubling: `2^PART_BITS`.
const PART_BITS: u32 = 4;
const PARTS: u64 = 1 << PART_BITS;

/// How long winning and losing signals were open, and waited for their entry. A signal without profit or loss is in neither.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holding {
    wins: Durations,
    losses: Durations,
    /// How long signals waited for their entry.
    waits: Durations,
}

impl Holding {
    /// Adds a signal, how long it waited for its entry, and how long it was open.
    pub fn add(&mut self, closed: &Closed, waited_ms: i64, held_ms: i64) {
        if closed.is_by_order() {
            self.waits.add(waited_ms);
        }
        match closed.profit() {
            Some(profit) if profit > 0.0 => self.wins.add(held_ms),
            Some(profit) if profit < 0.0 => self.losses.add(held_ms),
            _ => {}
        }
    }

    /// Adds other signals.
    pub fn then(&mut self, other: &Self) {
        self.wins.then(&other.wins);
        self.losses.then(&other.losses);
        self.waits.then(&other.waits);
    }

    /// How long closed signals waited for their entry; `None` if none did.
    pub fn time_to_fill(&self) -> Option<HoldingTime> {
        self.waits.time()
    }

    /// Means and medians.
    pub fn times(&self) -> HoldingTimes {
        HoldingTimes { wins: self.wins.time(), losses: self.losses.time() }
    }
}

/// How long signals were open until they closed. Signals without profit or loss, and of unknown outcome, are in neither part.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldingTimes {
    /// Signals with a profit; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wins: Option<HoldingTime>,
    /// Signals with a loss; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losses: Option<HoldingTime>,
}

/// How long some of them were.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldingTime {
    /// The number of signals.
    pub signals: u64,
    /// Mean, ms.
    pub mean_ms: f64,
    /// Median, ms; within 3.2 % of the exact one.
    pub median_ms: f64,
}

/// A histogram of durations whose buckets grow with them: each doubling has 16 equal parts, so the middle of a bucket is at most 1/32
/// from any duration in it. Durations below 16 ms have a bucket each.
#[derive(Debug, Clone, PartialEq, Default)]
struct Durations {
    count: u64,
    sum_ms: f64,
    least_ms: u64,
    most_ms: u64,
    /// The number of the first bucket in `counts`.
    first: usize,
    counts: Vec<u32>,
}

impl Durations {
    fn add(&mut self, ms: i64) {
        let ms = ms.max(0) as u64;
        let bucket = bucket_of(ms);
        self.stretch(bucket, bucket + 1);
        self.counts[bucket - self.first] += 1;
        self.note(1, ms as f64, ms, ms);
    }

    fn then(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.stretch(other.first, other.first + other.counts.len());
        let from = other.first - self.first;
        self.counts[from..].iter_mut().zip(&other.counts).for_each(|(ours, theirs)| *ours += theirs);
        self.note(other.count, other.sum_ms, other.least_ms, other.most_ms);
    }

    fn note(&mut self, count: u64, sum_ms: f64, least_ms: u64, most_ms: u64) {
        self.least_ms = if self.count == 0 { least_ms } else { self.least_ms.min(least_ms) };
        self.most_ms = self.most_ms.max(most_ms);
        self.count += count;
        self.sum_ms += sum_ms;
    }

    /// Makes room for buckets from `first` up to `end`.
    fn stretch(&mut self, first: usize, end: usize) {
        if self.counts.is_empty() {
            self.first = first;
        }
        if first < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - first));
            self.first = first;
        }
        let len = self.counts.len().max(end - self.first);
        self.counts.resize(len, 0);
    }

    /// The middle of the bucket of the duration with this rank, from 0 for the shortest, but no less than the shortest and no more
    /// than the longest.
    fn at(&self, rank: u64) -> f64 {
        let mut before = 0;
        let bucket = self.counts.iter().position(|count| {
            before += u64::from(*count);
            before > rank
        });
        let middle = middle_of(self.first + bucket.unwrap_or_default());
        middle.clamp(self.least_ms as f64, self.most_ms as f64)
    }

    fn time(&self) -> Option<HoldingTime> {
        let last = self.count.checked_sub(1)?;
        Some(HoldingTime {
            signals: self.count,
            mean_ms: self.sum_ms / self.count as f64,
            median_ms: (self.at(last / 2) + self.at(self.count / 2)) / 2.0,
        })
    }
}

/// The number of the bucket that contains a duration.
fn bucket_of(ms: u64) -> usize {
    if ms < PARTS {
        return ms as usize;
    }
    let doubling = ms.ilog2() - PART_BITS;
    (PARTS * u64::from(doubling) + (ms >> doubling)) as usize
}

/// The middle of a bucket, ms.
fn middle_of(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket as f64;
    }
    let doubling = bucket / PARTS - 1;
    let width = (1_u64 << doubling) as f64;
    (bucket % PARTS + PARTS) as f64 * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::barrier::Outcome;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_and_their_middle_is_near() {
        for ms in (0..5000).chain([3_599_999, 3_600_000, 86_400_000, 253_402_300_799_999]) {
            let (middle, bucket) = (middle_of(bucket_of(ms)), bucket_of(ms));
            assert!((middle - ms as f64).abs() <= ms as f64 / 32.0, "{ms}: {middle}");
            assert!(bucket_of(ms + 1) == bucket || bucket_of(ms + 1) == bucket + 1, "{ms}");
        }
    }

    #[test]
    fn a_case_worked_by_hand() {
        let mut holding = Holding::default();
        assert_eq!(holding.times(), HoldingTimes::default());
        for (profit, held) in [(1.0, 10), (2.0, 30), (0.5, 12), (1.0, 8), (-1.0, 3_600_000), (0.0, 5)] {
            holding.add(&Closed::new(Outcome::by_profit(profit), profit, 0.1, None, None), 0, held);
        }
        holding.add(&Closed::new(Outcome::Unknown, 1.0, 0.1, None, None), 0, 9);
        // 8, 10, 12, 30.
        assert_eq!(holding.times().wins, Some(HoldingTime { signals: 4, mean_ms: 15.0, median_ms: 11.0 }));
        // A single duration is exact: it is the shortest and the longest.
        assert_eq!(
            holding.times().losses,
            Some(HoldingTime { signals: 1, mean_ms: 3_600_000.0, median_ms: 3_600_000.0 })
        );
    }

    proptest! {
        #[test]
        fn the_median_is_near_and_parts_can_be_combined(mut held in proptest::collection::vec(0i64..400_000_000, 1..60), cut in 0usize..60) {
            let sum = |held: &[i64]| held.iter().fold(Durations::default(), |mut sum, ms| { sum.add(*ms); sum });
            let mut parts = sum(&held[..cut.min(held.len())]);
            parts.then(&sum(&held[cut.min(held.len())..]));
            prop_assert_eq!(&parts, &sum(&held));
            held.sort_unstable();
            let exact = (held[(held.len() - 1) / 2] + held[held.len() / 2]) as f64 / 2.0;
            let time = parts.time().unwrap();
            prop_assert!((time.median_ms - exact).abs() <= exact * 0.032, "{} for {}", time.median_ms, exact);
            prop_assert_eq!(time.mean_ms, held.iter().sum::<i64>() as f64 / held.len() as f64);
        }
    }
}
