//! Successes, and failures, in a row.

/// A number of equal results in a row; of length 0 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Run {
    succeeded: bool,
    length: u32,
}

/// The streaks of results in order of closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streaks {
    /// All results.
    count: u32,
    /// The run that the results begin with.
    first: Run,
    /// The run that they end with.
    last: Run,
    /// The longest run of failures, and of successes.
    longest: [u32; 2],
}

impl Streaks {
    /// Adds the next result.
    pub fn add(&mut self, succeeded: bool) {
        if self.last.succeeded != succeeded {
            self.last = Run { succeeded, length: 0 };
        }
        self.last.length += 1;
        self.count += 1;
        if self.last.length == self.count {
            self.first = self.last;
        }
        let longest = &mut self.longest[usize::from(succeeded)];
        *longest = (*longest).max(self.last.length);
    }

    /// Continues with the streaks of a later period.
    pub fn then(&mut self, later: &Self) {
        if later.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *later;
            return;
        }
        let mut last = later.last;
        if self.last.succeeded == later.first.succeeded {
            let joined = Run { length: self.last.length + later.first.length, ..self.last };
            let longest = &mut self.longest[usize::from(joined.succeeded)];
            *longest = (*longest).max(joined.length);
            if self.first.length == self.count {
                self.first = joined;
            }
            if later.last.length == later.count {
                last = joined;
            }
        }
        self.last = last;
        self.count += later.count;
        for (longest, other) in self.longest.iter_mut().zip(later.longest) {
            *longest = (*longest).max(other);
        }
    }

    /// The most successes in a row.
    pub fn longest_success(&self) -> u64 {
        self.longest[1].into()
    }

    /// The most failures in a row.
    pub fn longest_failure(&self) -> u64 {
        self.longest[0].into()
    }

    /// The run at the end: successes as a positive number, failures as a negative one; 0 without results.
    pub fn current(&self) -> i64 {
        let length = i64::from(self.last.length);
        if self.last.succeeded { length } else { -length }
    }
}
