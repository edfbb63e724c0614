//! How often a host may be asked: one budget for all that ask it through one client.
//!
//! Binance counts the weight of all requests of an address in a minute and says in each answer how much was used; at too
//! much it refuses (HTTP 429), and who goes on is banned (418). So the budget follows the host's own count, which includes
//! other programs on this machine, and when the host says how long to wait, nobody asks before that.

use parking_lot::Mutex;
use reqwest::header::{DATE, HeaderMap};
use std::time::{Duration, Instant};

/// Weight used up in the running minute, by the host's own count.
const USED_HEADER: &str = "x-mbx-used-weight-1m";
const WINDOW: Duration = Duration::from_secs(60);

/// The budget of one host.
#[derive(Debug)]
pub(super) struct Budget {
    /// The most weight to use in a minute.
    limit: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: u32,
    window_ends: Instant,
    closed_until: Option<Instant>,
}

impl Budget {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, state: Mutex::new(State { used: 0, window_ends: Instant::now(), closed_until: None }) }
    }

    /// How long the host still asks to be left alone.
    pub(super) fn closed(&self, now: Instant) -> Option<Duration> {
        self.state.lock().closed_until?.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// The host asks to be left alone for `wait`.
    pub(super) fn close(&self, now: Instant, wait: Duration) {
        let state = &mut *self.state.lock();
        let until = now.checked_add(wait);
        state.closed_until = state.closed_until.max(until);
    }

    /// Takes `weight` from the budget, or says how long to wait for the next minute.
    pub(super) fn take(&self, now: Instant, weight: u32) -> Result<(), Duration> {
        let state = &mut *self.state.lock();
        if now >= state.window_ends {
            (state.used, state.window_ends) = (0, now + WINDOW);
        }
        if state.used > 0 && state.used.saturating_add(weight) > self.limit {
            return Err(state.window_ends - now);
        }
        state.used = state.used.saturating_add(weight);
        Ok(())
    }

    /// Takes `weight` from the budget in any case: a request that is repeated.
    pub(super) fn charge(&self, weight: u32) {
        let state = &mut *self.state.lock();
        state.used = state.used.saturating_add(weight);
    }

    /// Corrects the budget by what the host counted.
    pub(super) fn learn(&self, now: Instant, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let Some(used) = text(USED_HEADER).and_then(|text| text.trim().parse::<u32>().ok()) else { return };
        let state = &mut *self.state.lock();
        // The host's minutes are those of its clock: `Mon, 23 Nov 2026 11:16:56 GMT`.
        let second = text(DATE.as_str())
            .and_then(|date| date.get(23..25)?.parse::<u64>().ok())
            .filter(|second| *second < WINDOW.as_secs());
        if let Some(second) = second {
            state.window_ends = now + WINDOW - Duration::from_secs(second);
        }
        // Requests under way are not in the host's count yet, so it only ever raises ours.
        state.used = state.used.max(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn said(used: &str, second: u32) -> HeaderMap {
        let date = format!("Mon, 23 Nov 2026 11:16:{second:02} GMT");
        HeaderMap::from_iter([(USED_HEADER.parse().unwrap(), used.parse().unwrap()), (DATE, date.parse().unwrap())])
    }

    #[test]
    fn what_is_used_up_comes_back_with_the_next_minute() {
        let (budget, now) = (Budget::new(10), Instant::now());
        for _ in 0..5 {
            budget.take(now, 2).unwrap();
        }
        assert_eq!(budget.take(now + 20 * SECOND, 2), Err(40 * SECOND));
        budget.charge(8);
        budget.take(now + 60 * SECOND, 2).unwrap();
    }

    #[test]
    fn the_hosts_count_and_clock_go_before_ours() {
        let (budget, now) = (Budget::new(10), Instant::now());
        budget.take(now, 2).unwrap();
        budget.learn(now, &said("9", 50));
        assert_eq!(budget.take(now, 2), Err(10 * SECOND), "another program used up the rest of the host's minute");
        budget.take(now, 1).unwrap();
        budget.learn(now, &said("1", 50));
        assert_eq!(budget.take(now, 1), Err(10 * SECOND), "an older answer gives nothing back");
        budget.take(now + 10 * SECOND, 10).unwrap();
        budget.learn(now, &said("many", 99));
        assert!(
            budget.take(now + 71 * SECOND, 99).is_ok(),
            "one request that is too heavy alone must not wait for ever"
        );
    }

    #[test]
    fn a_closed_host_is_left_alone() {
        let (budget, now) = (Budget::new(10), Instant::now());
        assert_eq!(budget.closed(now), None);
        budget.close(now, 5 * SECOND);
        budget.close(now, 2 * SECOND);
        assert_eq!(budget.closed(now + SECOND), Some(4 * SECOND), "the longest wait counts");
        assert_eq!(budget.closed(now + 5 * SECOND), None);
        budget.close(now, Duration::MAX);
        assert_eq!(budget.closed(now + 5 * SECOND), None, "no clock goes so far");
    }
}
