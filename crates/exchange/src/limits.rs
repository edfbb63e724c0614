//! The request budget of a host, shared by everyone who uses the same client.
//!
//! Exchanges count the weight of an address's requests within a window of time, such as a minute. Above a limit they refuse
//! requests, and some then ban the address. Where an exchange states the weight used, the budget follows its count, which
//! includes other programs on this machine. If the host says how long to wait, no request is sent before that.

use super::dialect::Used;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// The budget of one host.
#[derive(Debug)]
pub(super) struct Budget {
    /// The most weight to use within a window.
    limit: u32,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: u32,
    window_ends: Instant,
    closed_until: Option<Instant>,
}

impl Budget {
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, state: Mutex::new(State { used: 0, window_ends: Instant::now(), closed_until: None }) }
    }

    /// How much longer the host asks for no requests.
    pub(super) fn closed(&self, now: Instant) -> Option<Duration> {
        self.state.lock().closed_until?.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Sends no requests for `wait`, as the host asked.
    pub(super) fn close(&self, now: Instant, wait: Duration) {
        let state = &mut *self.state.lock();
        let until = now.checked_add(wait);
        state.closed_until = state.closed_until.max(until);
    }

    /// Takes `weight` from the budget, or returns the time until the next window.
    pub(super) fn take(&self, now: Instant, weight: u32) -> Result<(), Duration> {
        let state = &mut *self.state.lock();
        if now >= state.window_ends {
            (state.used, state.window_ends) = (0, now + self.window);
        }
        if state.used > 0 && state.used.saturating_add(weight) > self.limit {
            return Err(state.window_ends - now);
        }
        state.used = state.used.saturating_add(weight);
        Ok(())
    }

    /// Takes `weight` for a retry, even if the budget is used up.
    pub(super) fn charge(&self, weight: u32) {
        let state = &mut *self.state.lock();
        state.used = state.used.saturating_add(weight);
    }

    /// Corrects the budget by the host's count.
    pub(super) fn learn(&self, now: Instant, used: &Used) {
        let state = &mut *self.state.lock();
        if let Some(ends_in) = used.ends_in {
            state.window_ends = now + ends_in;
        }
        // The host has not counted requests under way yet, so its count can only raise ours.
        state.used = state.used.max(used.weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const MINUTE: Duration = Duration::from_secs(60);

    fn said(weight: u32, ends_in: Option<Duration>) -> Used {
        Used { weight, ends_in }
    }

    #[test]
    fn what_is_used_up_comes_back_with_the_next_window() {
        let (budget, now) = (Budget::new(10, MINUTE), Instant::now());
        for _ in 0..5 {
            budget.take(now, 2).unwrap();
        }
        assert_eq!(budget.take(now + 20 * SECOND, 2), Err(40 * SECOND));
        budget.charge(8);
        budget.take(now + 60 * SECOND, 2).unwrap();
    }

    #[test]
    fn the_hosts_count_and_clock_go_before_ours() {
        let (budget, now) = (Budget::new(10, MINUTE), Instant::now());
        budget.take(now, 2).unwrap();
        budget.learn(now, &said(9, Some(10 * SECOND)));
        assert_eq!(budget.take(now, 2), Err(10 * SECOND), "another program used up the rest of the host's minute");
        budget.take(now, 1).unwrap();
        budget.learn(now, &said(1, Some(10 * SECOND)));
        assert_eq!(budget.take(now, 1), Err(10 * SECOND), "an older answer gives nothing back");
        budget.take(now + 10 * SECOND, 10).unwrap();
        budget.learn(now, &said(3, None));
        assert!(
            budget.take(now + 71 * SECOND, 99).is_ok(),
            "one request that is too heavy alone must not wait for ever"
        );
    }

    #[test]
    fn a_closed_host_is_left_alone() {
        let (budget, now) = (Budget::new(10, MINUTE), Instant::now());
        assert_eq!(budget.closed(now), None);
        budget.close(now, 5 * SECOND);
        budget.close(now, 2 * SECOND);
        assert_eq!(budget.closed(now + SECOND), Some(4 * SECOND), "the longest wait counts");
        assert_eq!(budget.closed(now + 5 * SECOND), None);
        budget.close(now, Duration::MAX);
        assert_eq!(budget.closed(now + 5 * SECOND), None, "no clock goes so far");
    }
}
