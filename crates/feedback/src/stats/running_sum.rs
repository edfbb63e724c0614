//! The running sum of profits, and how deep it fell.

/// A running sum: its current value, its highest and lowest point (0 at the start), and its deepest fall.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RunningSum {
    /// Its current value.
    pub total: f64,
    peak: f64,
    trough: f64,
    /// The deepest fall below the highest point so far; not negative.
    pub drawdown: f64,
}

impl RunningSum {
    /// Adds the next profit.
    pub fn add(&mut self, profit: f64) {
        self.total += profit;
        self.peak = self.peak.max(self.total);
        self.trough = self.trough.min(self.total);
        self.drawdown = self.drawdown.max(self.peak - self.total);
    }

    /// Continues with the sum of a later period.
    pub fn then(&mut self, later: &Self) {
        // The deepest fall is in the first part, in the second, or from the first's peak to the second's trough.
        let across = self.peak - (self.total + later.trough);
        self.drawdown = self.drawdown.max(later.drawdown).max(across);
        self.peak = self.peak.max(self.total + later.peak);
        self.trough = self.trough.min(self.total + later.trough);
        self.total += later.total;
    }
}
