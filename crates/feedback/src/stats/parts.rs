//! Profit by part: what each target of signals with several brought, and what became of the rest.

use super::low_and_high_if_any;
use domain::proportions::wilson;
use serde::{Deserialize, Serialize};

/// Fewest signals with a target for the rate at which it is reached: with 11, its 95 % interval may span more than half of the scale.
pub const TARGET_SIGNALS: u32 = 12;

/// How a part of a position was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartOf {
    /// At the target with this number, from 1.
    Target(u8),
    /// At the stop.
    Stop,
    /// By the expiry.
    Expiry,
    /// By the caller.
    Hand,
}

/// A part of a position that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// How.
    pub of: PartOf,
    /// How much, in percent of the whole position.
    pub share: f64,
    /// What it added to the signal's profit, in percentage points of the price paid, before costs.
    pub profit: f64,
}

/// The parts in which a closed signal with several targets was closed, one for each way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exits {
    /// How many targets it had.
    pub targets: u8,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// Sums over the signals that had a part.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    signals: u32,
    share: f64,
    profit: f64,
}

impl Sum {
    fn add(&mut self, part: &Part) {
        self.then(&Self { signals: 1, share: part.share, profit: part.profit });
    }

    fn then(&mut self, other: &Self) {
        self.signals += other.signals;
        self.share += other.share;
        self.profit += other.profit;
    }

    fn told(&self) -> Option<ClosedPart> {
        let signals = f64::from(self.signals);
        (self.signals > 0).then(|| ClosedPart {
            signals: self.signals.into(),
            average_share: self.share / signals,
            average_profit: self.profit / signals,
            total_profit: self.profit,
        })
    }
}

/// What [`ProfitByPart`] is computed from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parts {
    signals: u32,
    /// By number: how many signals had the target, and those that reached it.
    targets: Vec<(u32, Sum)>,
    stop: Sum,
    expiry: Sum,
    hand: Sum,
}

impl Parts {
    /// Adds a signal.
    pub fn add(&mut self, exits: &Exits) {
        self.signals += 1;
        self.stretch(exits.targets.into());
        self.targets.iter_mut().take(exits.targets.into()).for_each(|(had, _)| *had += 1);
        for part in &exits.parts {
            match part.of {
                PartOf::Target(number) => {
                    self.stretch(number.into());
                    if let Some((_, sum)) = self.targets.get_mut(usize::from(number).saturating_sub(1)) {
                        sum.add(part);
                    }
                }
                PartOf::Stop => self.stop.add(part),
                PartOf::Expiry => self.expiry.add(part),
                PartOf::Hand => self.hand.add(part),
            }
        }
    }

    /// Adds other signals.
    pub fn then(&mut self, other: &Self) {
        self.signals += other.signals;
        self.stretch(other.targets.len());
        for ((had, sum), (other_had, other_sum)) in self.targets.iter_mut().zip(&other.targets) {
            *had += other_had;
            sum.then(other_sum);
        }
        self.stop.then(&other.stop);
        self.expiry.then(&other.expiry);
        self.hand.then(&other.hand);
    }

    fn stretch(&mut self, targets: usize) {
        let count = self.targets.len().max(targets);
        self.targets.resize(count, Default::default());
    }

    /// What the parts brought; `None` without signals that had several targets.
    pub fn told(&self) -> Option<ProfitByPart> {
        let target = |(at, (had, sum)): (usize, &(u32, Sum))| {
            let (had, reached) = (*had, sum.signals);
            let is_told = had >= TARGET_SIGNALS;
            TargetPart {
                number: at as u64 + 1,
                signals: had.into(),
                reached: reached.into(),
                reached_rate: is_told.then(|| 100.0 * f64::from(reached) / f64::from(had)),
                reached_interval: is_told.then(|| wilson(reached.into(), had.into())),
                part: sum.told(),
            }
        };
        (self.signals > 0).then(|| ProfitByPart {
            signals: self.signals.into(),
            targets: self.targets.iter().enumerate().map(target).collect(),
            stop: self.stop.told(),
            expiry: self.expiry.told(),
            hand: self.hand.told(),
        })
    }
}

/// What the parts of closed signals with two targets or more brought, serialised under the names of the JavaScript API. A signal that was recorded with its end is not among them, because
/// nobody knows its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfitByPart {
    /// The number of signals.
    pub signals: u64,
    /// Each target, by number.
    pub targets: Vec<TargetPart>,
    /// What the stop closed, wherever it had moved; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<ClosedPart>,
    /// What the expiry closed; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ClosedPart>,
    /// What was closed by hand; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand: Option<ClosedPart>,
}

/// What a target brought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetPart {
    /// Its number, from 1 for the nearest.
    pub number: u64,
    /// The signals that had it.
    pub signals: u64,
    /// Those that reached it.
    pub reached: u64,
    /// The same in percent; `None` below [`TARGET_SIGNALS`] signals that had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_rate: Option<f64>,
    /// Wilson's 95 % interval of that rate, in percent.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "low_and_high_if_any")]
    pub reached_interval: Option<(f64, f64)>,
    /// What was closed there; `None` if it was never reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<ClosedPart>,
}

/// What was closed in one way. Profits are before costs, in percentage points of the price paid for the whole position, so those of all
/// parts add up to the profits of the signals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedPart {
    /// The number of signals.
    pub signals: u64,
    /// How much of a position was closed so, in percent: the mean over these signals.
    pub average_share: f64,
    /// What that added to the profit of such a signal: the mean.
    #[serde(rename = "averageProfitLoss")]
    pub average_profit: f64,
    /// The same, summed up.
    #[serde(rename = "totalProfitLoss")]
    pub total_profit: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(of: PartOf, share: f64, profit: f64) -> Part {
        Part { of, share, profit }
    }

    #[test]
    fn a_case_worked_by_hand() {
        let mut parts = Parts::default();
        assert_eq!(parts.told(), None);
        // Reaches the first of two, then break-even; reaches both; is stopped at once.
        parts
            .add(&Exits { targets: 2, parts: vec![part(PartOf::Target(1), 50.0, 1.0), part(PartOf::Stop, 50.0, 0.0)] });
        let both = vec![part(PartOf::Target(1), 50.0, 1.5), part(PartOf::Target(2), 50.0, 3.0)];
        parts.add(&Exits { targets: 2, parts: both });
        let mut later = Parts::default();
        later.add(&Exits { targets: 3, parts: vec![part(PartOf::Stop, 100.0, -2.0)] });
        parts.then(&later);
        let told = parts.told().unwrap();
        assert_eq!(told.signals, 3);
        let counts: Vec<_> =
            told.targets.iter().map(|target| (target.number, target.signals, target.reached)).collect();
        assert_eq!(counts, [(1, 3, 2), (2, 3, 1), (3, 1, 0)]);
        let closed = |signals, average_share, average_profit, total_profit| {
            Some(ClosedPart { signals, average_share, average_profit, total_profit })
        };
        assert_eq!(told.targets[0].part, closed(2, 50.0, 1.25, 2.5));
        assert_eq!((told.targets[1].part, told.targets[2].part), (closed(1, 50.0, 3.0, 3.0), None));
        assert_eq!((told.stop, told.expiry, told.hand), (closed(2, 75.0, -1.0, -2.0), None, None));
        assert_eq!(told.targets[0].reached_rate, None, "of three signals no rate is told");
    }

    #[test]
    fn a_rate_is_told_of_enough_signals() {
        let mut parts = Parts::default();
        for n in 0..TARGET_SIGNALS {
            assert_eq!(parts.told().and_then(|told| told.targets[0].reached_rate), None);
            let reached = [part(PartOf::Target(1), 100.0, 1.0)];
            parts.add(&Exits { targets: 2, parts: reached[..usize::from(n % 4 == 0)].to_vec() });
        }
        let first = parts.told().unwrap().targets[0];
        assert_eq!((first.reached_rate, first.reached_interval), (Some(25.0), Some(wilson(3, 12))));
        // From here on the interval never spans more than half of the scale.
        let width = |n: u64| (0..=n).map(|k| wilson(k, n)).map(|(low, high)| high - low).fold(0.0, f64::max);
        assert!(width(u64::from(TARGET_SIGNALS)) < 50.0 && width(u64::from(TARGET_SIGNALS) - 1) > 50.0);
    }
}
