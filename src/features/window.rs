//! Rolling state: one value in, one value out, O(1) amortised.
//!
//! Each type follows one pattern: `next(x)` takes the newest value and returns the statistic of the last `period`
//! values, or `None` until there are that many.

/// A ring of the last `period` values.
#[derive(Debug, Clone)]
pub struct Ring {
    values: Box<[f64]>,
    next: usize,
    filled: bool,
}

impl Ring {
    /// An empty ring of `period` values; `period` is at least 1.
    pub fn new(period: usize) -> Self {
        Self { values: vec![0.0; period.max(1)].into(), next: 0, filled: false }
    }

    /// Puts `x` in and returns the value it pushed out, once the ring is full.
    pub fn push(&mut self, x: f64) -> Option<f64> {
        let old = std::mem::replace(&mut self.values[self.next], x);
        let was_full = self.filled;
        self.next += 1;
        if self.next == self.values.len() {
            self.next = 0;
            self.filled = true;
        }
        was_full.then_some(old)
    }

    /// All values, in no particular order, once the ring is full.
    pub fn full(&self) -> Option<&[f64]> {
        self.filled.then_some(&self.values)
    }

    /// True right after the slot numbered 0 became the oldest: once every `period` pushes.
    fn at_start(&self) -> bool {
        self.next == 0
    }
}

/// Sliding mean and variance (population, as Bollinger defines his bands).
///
/// Welford's update for a window; recomputed from the ring once every `period` values, so that rounding cannot build up.
#[derive(Debug, Clone)]
pub struct Moments {
    ring: Ring,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Moments of the last `period` values.
    pub fn new(period: usize) -> Self {
        Self { ring: Ring::new(period), mean: 0.0, squares: 0.0 }
    }

    /// Mean and standard deviation.
    pub fn next(&mut self, x: f64) -> Option<(f64, f64)> {
        let old = self.ring.push(x);
        let values = self.ring.full()?;
        let n = values.len() as f64;
        match old {
            Some(old) if !self.ring.at_start() => {
                let before = self.mean;
                self.mean += (x - old) / n;
                self.squares += (x - old) * (x - self.mean + old - before);
            }
            _ => {
                self.mean = values.iter().sum::<f64>() / n;
                self.squares = values.iter().map(|v| (v - self.mean) * (v - self.mean)).sum();
            }
        }
        // What is left of a constant window is rounding noise of the update, relative to the mean squared.
        let floor = self.mean * self.mean * n * 1e-24;
        let variance = if self.squares > floor { self.squares / n } else { 0.0 };
        Some((self.mean, variance.sqrt()))
    }

    /// Mean absolute deviation from `mean`, once the window is full; O(period).
    pub fn mean_deviation(&self) -> Option<f64> {
        let values = self.ring.full()?;
        Some(values.iter().map(|v| (v - self.mean).abs()).sum::<f64>() / values.len() as f64)
    }
}

/// Sliding sum of values that are not negative.
#[derive(Debug, Clone)]
pub struct Sum {
    ring: Ring,
    sum: f64,
}

impl Sum {
    /// Sum of the last `period` values.
    pub fn new(period: usize) -> Self {
        Self { ring: Ring::new(period), sum: 0.0 }
    }

    /// The sum. Recomputed once every `period` values, so that rounding cannot build up.
    pub fn next(&mut self, x: f64) -> Option<f64> {
        let old = self.ring.push(x);
        let values = self.ring.full()?;
        match old {
            Some(old) if !self.ring.at_start() => self.sum += x - old,
            _ => self.sum = values.iter().sum(),
        }
        Some(self.sum)
    }
}

/// The value `period` steps ago.
#[derive(Debug, Clone)]
pub struct Lag(Ring);

impl Lag {
    /// Looks back `period` steps.
    pub fn new(period: usize) -> Self {
        Self(Ring::new(period))
    }

    /// Takes the newest value, returns the one `period` steps before it.
    pub fn next(&mut self, x: f64) -> Option<f64> {
        self.0.push(x)
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

    /// The average so far.
    pub fn next(&mut self, x: f64) -> f64 {
        let value = self.value.map_or(x, |v| v + self.alpha * (x - v));
        self.value = Some(value);
        value
    }
}

/// Wilder's smoothing: the mean of the first `period` values, then α = 1 / period.
/// Source: J. Welles Wilder, *New Concepts in Technical Trading Systems*, 1978.
#[derive(Debug, Clone)]
pub struct Wilder {
    period: f64,
    seen: f64,
    value: f64,
}

impl Wilder {
    /// Wilder's smoothing over `period`.
    pub fn new(period: usize) -> Self {
        Self { period: period as f64, seen: 0.0, value: 0.0 }
    }

    /// The smoothed value, once `period` values were seen.
    pub fn next(&mut self, x: f64) -> Option<f64> {
        self.seen = (self.seen + 1.0).min(self.period);
        self.value += (x - self.value) / self.seen;
        (self.seen >= self.period).then_some(self.value)
    }
}

/// Sliding maximum and how many steps ago it was, by a monotonic queue. Feed it `-x` for the minimum.
#[derive(Debug, Clone)]
pub struct Highest {
    period: usize,
    seen: usize,
    queue: std::collections::VecDeque<(usize, f64)>,
}

impl Highest {
    /// Maximum of the last `period` values.
    pub fn new(period: usize) -> Self {
        Self { period, seen: 0, queue: std::collections::VecDeque::with_capacity(period + 1) }
    }

    /// The maximum and its age in steps (0 = the newest value; of equal values, the newest).
    pub fn next(&mut self, x: f64) -> Option<(f64, usize)> {
        while self.queue.back().is_some_and(|&(_, value)| value <= x) {
            self.queue.pop_back();
        }
        self.queue.push_back((self.seen, x));
        self.seen += 1;
        while self.queue.front().is_some_and(|&(at, _)| at + self.period < self.seen) {
            self.queue.pop_front();
        }
        let &(at, value) = self.queue.front()?;
        (self.seen >= self.period).then_some((value, self.seen - 1 - at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wilder_and_ema_by_hand() {
        let mut wilder = Wilder::new(3);
        let got: Vec<_> = [3.0, 6.0, 9.0, 12.0].map(|x| wilder.next(x)).into();
        assert_eq!(got, [None, None, Some(6.0), Some(8.0)]);
        let mut ema = Ema::new(3);
        assert_eq!([2.0, 4.0, 4.0].map(|x| ema.next(x)), [2.0, 3.0, 3.5]);
    }

    #[test]
    fn a_constant_window_has_no_deviation_whatever_came_before() {
        let mut moments = Moments::new(5);
        let mut last = None;
        for x in [1e6, 3.3, 7.7, 1e5, 2.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1] {
            last = moments.next(x);
        }
        assert_eq!(last.unwrap().1, 0.0);
    }

    proptest! {
        #[test]
        fn windows_equal_their_definition(values in prop::collection::vec(0.01..1000.0f64, 1..120), period in 1usize..20) {
            let (mut moments, mut sum, mut highest, mut lag) =
                (Moments::new(period), Sum::new(period), Highest::new(period), Lag::new(period));
            for (i, &x) in values.iter().enumerate() {
                let got = (moments.next(x), sum.next(x), highest.next(x), lag.next(x));
                prop_assert_eq!(got.3, (i >= period).then(|| values[i - period]));
                if i + 1 < period {
                    prop_assert!(got.0.is_none() && got.1.is_none() && got.2.is_none());
                    continue;
                }
                let window = &values[i + 1 - period..=i];
                let mean = window.iter().sum::<f64>() / period as f64;
                let sd = (window.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / period as f64).sqrt();
                let (got_mean, got_sd) = got.0.unwrap();
                prop_assert!((got_mean - mean).abs() < 1e-9 && (got_sd - sd).abs() < 1e-6);
                prop_assert!((got.1.unwrap() - window.iter().sum::<f64>()).abs() < 1e-8);
                let max = window.iter().copied().fold(f64::MIN, f64::max);
                let age = window.iter().rev().position(|&v| v == max).unwrap();
                prop_assert_eq!(got.2.unwrap(), (max, age));
                let mad = window.iter().map(|v| (v - mean).abs()).sum::<f64>() / period as f64;
                prop_assert!((moments.mean_deviation().unwrap() - mad).abs() < 1e-8);
            }
        }
    }
}
