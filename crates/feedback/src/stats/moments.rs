//! Mean and standard deviation.

/// The least standard deviation, as a share of the mean, that a ratio may be divided by. Less is rounding: the values are equal.
const LEAST_SPREAD: f64 = 1e-6;

/// Count, mean, and sum of squared distances from the mean. It can be combined without loss of precision: Chan, Golub and LeVeque,
/// "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// The number of values.
    pub count: u32,
    /// Their mean; 0 without values.
    pub mean: f64,
    squares: f64,
}

impl Moments {
    /// The moments of one value.
    pub fn of(value: f64) -> Self {
        Self { count: 1, mean: value, squares: 0.0 }
    }

    /// The moments of so many zeros.
    pub fn zeros(count: u32) -> Self {
        Self { count, ..Self::default() }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / f64::from(self.count);
        self.squares += distance * (value - self.mean);
    }

    /// Adds other values.
    pub fn then(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (f64::from(self.count), f64::from(other.count));
        let share = theirs / (ours + theirs);
        let distance = other.mean - self.mean;
        self.mean += distance * share;
        self.squares += other.squares + distance * distance * ours * share;
        self.count += other.count;
    }

    /// The sum of the values.
    pub fn sum(&self) -> f64 {
        self.mean * f64::from(self.count)
    }

    /// The mean in units of the sample standard deviation (n − 1); `None` for fewer than two values, and for equal ones.
    pub fn mean_over_deviation(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let deviation = (self.squares / f64::from(self.count - 1)).sqrt();
        (deviation > LEAST_SPREAD * self.mean.abs()).then(|| self.mean / deviation)
    }
}
