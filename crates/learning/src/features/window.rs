//! Rolling statistics: one bar in, one value out, O(1) amortised.
//!
//! [`Past`] holds the last bars. A window holds only its statistic and is updated by `next(&past, value)` after each
//! bar, where `value` selects a number of the bar; so all windows share one ring buffer. Smoothing without a window
//! takes its value by `next(x)`. A statistic is meaningful once there are as many bars as its window is long.

/// A ring buffer of the last `LENGTH` bars; `LENGTH` is a power of two, so that indexing takes no branch.
#[derive(Debug, Clone)]
pub struct Past<T, const LENGTH: usize> {
    bars: [T; LENGTH],
    count: usize,
}

/// Before the first bar.
impl<T: Copy + Default, const LENGTH: usize> Default for Past<T, LENGTH> {
    fn default() -> Self {
        const { assert!(LENGTH.is_power_of_two()) };
        Self { bars: [T::default(); LENGTH], count: 0 }
    }
}

impl<T, const LENGTH: usize> Past<T, LENGTH> {
    /// Adds the newest bar in place of the oldest.
    pub fn push(&mut self, bar: T) {
        self.bars[self.count % LENGTH] = bar;
        self.count += 1;
    }

    /// Number of bars added so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bar `steps` before the newest; `steps` is below `LENGTH`.
    pub fn ago(&self, steps: usize) -> &T {
        &self.bars[self.count.wrapping_sub(1 + steps) % LENGTH]
    }

    /// The last `count` bars, oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &T> {
        (0..count).rev().map(|steps| self.ago(steps))
    }

    /// Whether a window of `period` bars is recomputed from scratch: once it is full, and then every `period` bars, so
    /// that rounding errors cannot accumulate. In between, its statistic is updated by the bar that enters and the one
    /// that leaves.
    fn begins_anew(&self, period: usize) -> bool {
        self.count.is_multiple_of(period)
    }
}

/// Sliding mean over `PERIOD` bars.
#[derive(Debug, Clone, Default)]
pub struct RollingMean<const PERIOD: usize> {
    mean: f64,
}

impl<const PERIOD: usize> RollingMean<PERIOD> {
    /// Moves on to the newest bar of `past`, which is longer than the window.
    pub fn next<T, const LENGTH: usize>(&mut self, past: &Past<T, LENGTH>, value: impl Fn(&T) -> f64) {
        if past.begins_anew(PERIOD) {
            self.mean = past.last(PERIOD).map(value).sum::<f64>() / PERIOD as f64;
        } else {
            self.mean += (value(past.ago(0)) - value(past.ago(PERIOD))) / PERIOD as f64;
        }
    }

    /// The mean.
    pub fn value(&self) -> f64 {
        self.mean
    }
}

/// Sliding mean and deviation (population, as Bollinger defines his bands) over `PERIOD` bars, by Welford's update for a window.
#[derive(Debug, Clone, Default)]
pub struct Moments<const PERIOD: usize> {
    mean: f64,
    squares: f64,
}

impl<const PERIOD: usize> Moments<PERIOD> {
    /// Moves on to the newest bar of `past`, which is longer than the window.
    pub fn next<T, const LENGTH: usize>(&mut self, past: &Past<T, LENGTH>, value: impl Fn(&T) -> f64) {
        if past.begins_anew(PERIOD) {
            self.mean = past.last(PERIOD).map(&value).sum::<f64>() / PERIOD as f64;
            self.squares = past.last(PERIOD).map(value).map(|v| (v - self.mean) * (v - self.mean)).sum();
        } else {
            let (x, old, before) = (value(past.ago(0)), value(past.ago(PERIOD)), self.mean);
            self.mean += (x - old) / PERIOD as f64;
            self.squares += (x - old) * (x - self.mean + old - before);
        }
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard deviation.
    pub fn deviation(&self) -> f64 {
        let n = PERIOD as f64;
        // The update leaves rounding noise in a constant window, relative to the squared mean.
        let floor = self.mean * self.mean * n * 1e-24;
        let variance = if self.squares > floor { self.squares / n } else { 0.0 };
        variance.sqrt()
    }
}

/// Mean absolute deviation of the last `PERIOD` values, O(`PERIOD`).
#[derive(Debug, Clone)]
pub struct MeanDeviation<const PERIOD: usize> {
    ring: [f64; PERIOD],
    next: usize,
}

/// Before the first value.
impl<const PERIOD: usize> Default for MeanDeviation<PERIOD> {
    fn default() -> Self {
        Self { ring: [0.0; PERIOD], next: 0 }
    }
}

impl<const PERIOD: usize> MeanDeviation<PERIOD> {
    /// Takes the newest value.
    pub fn next(&mut self, x: f64) {
        self.ring[self.next] = x;
        self.next = if self.next + 1 == PERIOD { 0 } else { self.next + 1 };
    }

    /// The mean absolute deviation from `mean`.
    pub fn around(&self, mean: f64) -> f64 {
        self.ring.iter().map(|v| (v - mean).abs()).sum::<f64>() / PERIOD as f64
    }
}

/// Sliding sum over `PERIOD` bars of values that are not negative.
#[derive(Debug, Clone, Default)]
pub struct RollingSum<const PERIOD: usize> {
    sum: f64,
}

impl<const PERIOD: usize> RollingSum<PERIOD> {
    /// Moves on to the newest bar of `past`, which is longer than the window.
    pub fn next<T, const LENGTH: usize>(&mut self, past: &Past<T, LENGTH>, value: impl Fn(&T) -> f64) {
        if past.begins_anew(PERIOD) {
            self.sum = past.last(PERIOD).map(value).sum();
        } else {
            self.sum += value(past.ago(0)) - value(past.ago(PERIOD));
        }
    }

    /// The sum.
    pub fn value(&self) -> f64 {
        self.sum
    }
}

/// Exponential moving average, α = 2 / (period + 1), starting at the first value.
#[derive(Debug, Clone)]
pub struct Ema {
    alpha: f64,
    value: Option<f64>,
}

impl Ema {
    /// The usual definition by period.
    pub fn new(period: usize) -> Self {
        Self { alpha: 2.0 / (period as f64 + 1.0), value: None }
    }

    /// Takes the newest value and returns the average so far.
    pub fn next(&mut self, x: f64) -> f64 {
        let value = self.value.map_or(x, |v| v + self.alpha * (x - v));
        self.value = Some(value);
        value
    }
}

/// Wilder's smoothing of `N` values side by side: the mean of the first `period` values, then α = 1 / period.
/// Source: J. Welles Wilder, *New Concepts in Technical Trading Systems*, 1978.
#[derive(Debug, Clone)]
pub struct Wilder<const N: usize> {
    period: f64,
    seen: f64,
    values: [f64; N],
}

impl<const N: usize> Wilder<N> {
    /// Wilder's smoothing over `period`.
    pub fn new(period: usize) -> Self {
        Self { period: period as f64, seen: 0.0, values: [0.0; N] }
    }

    /// Takes the newest values and returns the smoothed ones, once `period` were seen.
    pub fn next(&mut self, x: [f64; N]) -> Option<[f64; N]> {
        self.seen = (self.seen + 1.0).min(self.period);
        for (value, x) in self.values.iter_mut().zip(x) {
            *value += (x - *value) / self.seen;
        }
        (self.seen >= self.period).then_some(self.values)
    }

    /// The smoothed values.
    pub fn values(&self) -> [f64; N] {
        self.values
    }
}

/// Capacity of the queue of candidate maxima.
const QUEUE: usize = 128;

/// Sliding maxima over `N` windows and their ages in steps, by one monotonic queue: a later and higher value rules out
/// an earlier one for every window. Feed it `-x` for minima.
#[derive(Debug, Clone)]
pub struct Highest<const N: usize> {
    /// Ascending, each shorter than [`QUEUE`].
    periods: [usize; N],
    /// Descending values, each with the number of its step.
    values: [f64; QUEUE],
    steps: [usize; QUEUE],
    /// The queue position of each window's maximum.
    heads: [usize; N],
    end: usize,
    seen: usize,
}

impl<const N: usize> Highest<N> {
    /// Tracks the maxima of windows of these lengths, which ascend.
    pub fn new(periods: [usize; N]) -> Self {
        debug_assert!(periods.is_sorted() && periods[N - 1] < QUEUE);
        Self { periods, values: [0.0; QUEUE], steps: [0; QUEUE], heads: [0; N], end: 0, seen: 0 }
    }

    /// Takes the newest value.
    pub fn next(&mut self, x: f64) {
        let longest = self.heads[N - 1];
        while self.end > longest && self.values[(self.end - 1) % QUEUE] <= x {
            self.end -= 1;
        }
        self.values[self.end % QUEUE] = x;
        self.steps[self.end % QUEUE] = self.seen;
        for (head, period) in self.heads.iter_mut().zip(self.periods) {
            *head = (*head).min(self.end);
            // With each step, one value leaves the window.
            *head += usize::from(self.steps[*head % QUEUE] + period <= self.seen);
        }
        self.end += 1;
        self.seen += 1;
    }

    /// The maximum of a window.
    pub fn value(&self, window: usize) -> f64 {
        self.values[self.heads[window] % QUEUE]
    }

    /// The age of a window's maximum in steps (0 = the newest value; of equal values, the newest).
    pub fn age(&self, window: usize) -> usize {
        self.seen - 1 - self.steps[self.heads[window] % QUEUE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wilder_and_ema_by_hand() {
        let mut wilder = Wilder::new(3);
        let got: Vec<_> = [3.0, 6.0, 9.0, 12.0].map(|x| wilder.next([x, -x])).into();
        assert_eq!(got, [None, None, Some([6.0, -6.0]), Some([8.0, -8.0])]);
        let mut ema = Ema::new(3);
        assert_eq!([2.0, 4.0, 4.0].map(|x| ema.next(x)), [2.0, 3.0, 3.5]);
    }

    #[test]
    fn a_constant_window_has_no_deviation_whatever_came_before() {
        let (mut past, mut moments) = (Past::<f64, 8>::default(), Moments::<5>::default());
        for x in [1e6, 3.3, 7.7, 1e5, 2.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1] {
            past.push(x);
            moments.next(&past, |x| *x);
        }
        assert_eq!(moments.deviation(), 0.0);
    }

    /// Compares windows of one length with their definitions once they are full, up to 120 values.
    fn windows_of<const PERIOD: usize>(values: &[f64]) -> Result<(), TestCaseError> {
        let mut past = Past::<f64, 32>::default();
        let (mut mean, mut moments, mut sum) =
            (RollingMean::<PERIOD>::default(), Moments::<PERIOD>::default(), RollingSum::<PERIOD>::default());
        let mut absolute = MeanDeviation::<PERIOD>::default();
        for (i, &x) in values.iter().enumerate() {
            past.push(x);
            mean.next(&past, |x| *x);
            moments.next(&past, |x| *x);
            sum.next(&past, |x| *x);
            absolute.next(x);
            if i + 1 < PERIOD {
                continue;
            }
            let window = &values[i + 1 - PERIOD..=i];
            prop_assert_eq!(past.last(PERIOD).copied().collect::<Vec<_>>(), window);
            let n = PERIOD as f64;
            let centre = window.iter().sum::<f64>() / n;
            let sd = (window.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / n).sqrt();
            prop_assert!((mean.value() - centre).abs() < 1e-9 && mean.value() == moments.mean());
            prop_assert!((moments.deviation() - sd).abs() < 1e-6);
            prop_assert!((sum.value() - window.iter().sum::<f64>()).abs() < 1e-8);
            let mad = window.iter().map(|v| (v - centre).abs()).sum::<f64>() / n;
            prop_assert!((absolute.around(mean.value()) - mad).abs() < 1e-8);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn windows_equal_their_definition(values in prop::collection::vec(0.01..1000.0f64, 1..120)) {
            windows_of::<1>(&values)?;
            windows_of::<2>(&values)?;
            windows_of::<3>(&values)?;
            windows_of::<14>(&values)?;
            windows_of::<19>(&values)?;
        }

        #[test]
        fn one_queue_has_the_highest_of_all_windows(
            values in prop::collection::vec(prop_oneof![-1000.0..1000.0f64, (0u8..6).prop_map(f64::from)], 1..400),
            first in 1usize..30, more in 1usize..60, most in 1usize..30,
        ) {
            let periods = [first, first + more, first + more + most];
            let mut highest = Highest::new(periods);
            for (i, &x) in values.iter().enumerate() {
                highest.next(x);
                for (window, period) in periods.into_iter().enumerate() {
                    let seen = &values[(i + 1).saturating_sub(period)..=i];
                    let max = seen.iter().copied().fold(f64::MIN, f64::max);
                    let age = seen.iter().rev().position(|&v| v == max).unwrap();
                    prop_assert_eq!((highest.value(window), highest.age(window)), (max, age));
                }
            }
        }
    }
}
