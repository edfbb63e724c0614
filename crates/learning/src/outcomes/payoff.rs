//! The expected profits of a success and of a failure. They can differ from what the levels say, because a stop may be
//! trailed or a signal may end between its levels.

use super::case::{Case, Lesson};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Prior weights in outcomes: of the levels beside the outcomes of all signals, and of all signals beside those of one
/// strategy.
const WORTH: f64 = 20.0;

/// Mean profits before costs: of successes in what they win by their levels, of failures in what they lose by them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Payoffs {
    all: Profits,
    strategies: HashMap<String, Profits>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Profits {
    success: ProfitSum,
    failure: ProfitSum,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct ProfitSum {
    count: f64,
    sum: f64,
}

impl ProfitSum {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
    }

    fn mean(self, expected: f64) -> f64 {
        (self.sum + WORTH * expected) / (self.count + WORTH)
    }
}

impl Profits {
    fn add(&mut self, success: bool, value: f64) {
        if success { self.success.add(value) } else { self.failure.add(value) }
    }
}

impl Payoffs {
    /// From these outcomes.
    pub fn of<'a>(lessons: impl Iterator<Item = &'a Lesson>) -> Self {
        let mut payoffs = Self::default();
        for lesson in lessons {
            let Some(r) = lesson.r else { continue };
            let value = if lesson.success { r / target(&lesson.case) } else { r / loss(&lesson.case) };
            payoffs.all.add(lesson.success, value);
            if let Some(strategy) = &lesson.case.strategy {
                payoffs.strategies.entry(strategy.clone()).or_default().add(lesson.success, value);
            }
        }
        payoffs
    }

    /// The expected profit of a success and of a failure, before costs, in stop distances.
    pub fn expected(&self, case: &Case) -> (f64, f64) {
        let own =
            case.strategy.as_ref().and_then(|strategy| self.strategies.get(strategy)).copied().unwrap_or_default();
        let success = own.success.mean(self.all.success.mean(1.0));
        (success * target(case), own.failure.mean(self.all.failure.mean(-1.0)) * loss(case))
    }
}

/// What a failure loses by its levels, in stop distances.
fn loss(case: &Case) -> f64 {
    case.loss_r.filter(|loss| *loss > 0.0).unwrap_or(1.0)
}

/// The target distance in stop distances; 1 without a target.
fn target(case: &Case) -> f64 {
    case.reward_risk.unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(strategy: &str, success: bool, r: f64) -> Lesson {
        let case = Case { strategy: Some(strategy.to_owned()), reward_risk: Some(2.0), ..Case::bare("BTCUSDT") };
        Lesson { case, success, r: Some(r), net_r: None, said: None, given_ms: 0, closed_ms: 0 }
    }

    #[test]
    fn a_managed_signal_wins_and_loses_by_its_own_measure() {
        let case = Case { loss_r: Some(0.4), reward_risk: Some(1.2), ..Case::bare("BTCUSDT") };
        assert_eq!(Payoffs::default().expected(&case), (1.2, -0.4));
        let lesson = Lesson {
            case: case.clone(),
            success: false,
            r: Some(-0.8),
            net_r: None,
            said: None,
            given_ms: 0,
            closed_ms: 0,
        };
        let (_, loss) = Payoffs::of(std::iter::repeat_n(&lesson, 20)).expected(&case);
        assert!((loss + 0.6).abs() < 1e-12, "between its levels' 0.4 and the 0.8 that it lost: {loss}");
    }

    #[test]
    fn levels_count_until_outcomes_do() {
        let case = lesson("a", true, 0.0).case;
        assert_eq!(Payoffs::default().expected(&case), (2.0, -1.0));
        // A trailed stop: its failures earn half a stop distance.
        let lessons: Vec<Lesson> = (0..60).map(|_| lesson("a", false, 0.5)).collect();
        let payoffs = Payoffs::of(lessons.iter());
        let of_all = (60.0 * 0.5 - 20.0) / 80.0;
        let expected = (60.0 * 0.5 + 20.0 * of_all) / 80.0;
        assert!((payoffs.expected(&case).1 - expected).abs() < 1e-12);
        let other = lesson("b", true, 0.0).case;
        assert!((payoffs.expected(&other).1 - of_all).abs() < 1e-12);
        assert_eq!(payoffs.expected(&case).0, 2.0);
    }
}
