//! Have results improved? Compares the recent half of the closed signals with the early half.

use super::Costs as BetCosts;
use super::clusters::{Dependence, Lifetime, dependence};
use domain::proportions::{newcombe, wilson_effective};
use domain::signal::{Costs, Record};
use serde::Serialize;

/// Effective number of closed signals each half needs for a verdict: with fewer, hardly any difference could be told
/// from chance. Overlapping signals count less.
pub const MIN_HALF: f64 = 10.0;

/// How a break-even rate was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakEvenSource {
    /// From the signals' stops and targets: the mean of `(1 + fee) / (1 + reward/risk)`.
    Levels,
    /// From the average win and loss, since no signal has both levels.
    Realised,
    /// From levels where a signal has both, else from the average win and loss.
    Mixed,
}

/// The success rate, in percent, at which signals earn nothing after costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BreakEven {
    /// Percent.
    pub rate: f64,
    /// How it was computed.
    pub source: BreakEvenSource,
}

/// One half.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Half {
    /// Closed signals.
    pub closed: u64,
    /// Those that succeeded.
    pub successes: u64,
    /// Percent that succeeded; 0 when there are none.
    pub success_rate: f64,
    /// The effective number of independent signals.
    pub effective: f64,
    /// Wilson's 95 % interval of the success rate, for the effective number of signals.
    pub success_interval: (f64, f64),
    /// `None` when neither levels nor a win and a loss are known.
    pub break_even: Option<BreakEven>,
    /// Mean profit in percent of the entry, after costs; 0 when there are none.
    pub mean_profit: f64,
    /// When the first closed, UTC epoch ms.
    pub from_ms: Option<i64>,
    /// When the last closed, UTC epoch ms.
    pub until_ms: Option<i64>,
}

/// Whether it got better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// The success rate rose significantly, and the mean profit did not fall.
    #[serde(rename = "improved")]
    Improved,
    /// The success rate fell significantly, and the mean profit did not rise.
    #[serde(rename = "worse")]
    Worse,
    /// Neither.
    #[serde(rename = "no significant change")]
    NoSignificantChange,
    /// A half is worth fewer than [`MIN_HALF`] independent signals.
    #[serde(rename = "not enough evidence")]
    NotEnoughEvidence,
}

/// The recent half against the early half.
#[derive(Debug, Clone, PartialEq)]
pub struct Improvement {
    /// The half that closed first; of an odd number, the smaller one.
    pub early: Half,
    /// The half that closed last.
    pub recent: Half,
    /// Success rate of the recent half minus that of the early one, in percentage points.
    pub difference: f64,
    /// Newcombe's 95 % interval of the difference, for the effective numbers of signals; `None` when a half is empty.
    pub interval: Option<(f64, f64)>,
    /// Mean profit of the recent half minus that of the early one.
    pub profit_difference: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// The facts of a closed signal that the comparison needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    succeeded: bool,
    /// Before costs.
    profit_percent: f64,
    /// After costs.
    net_percent: f64,
    given_ms: i64,
    closed_ms: i64,
    /// The success probability at which its levels earn nothing after costs.
    break_even: Option<f64>,
}

impl Closed {
    /// From an ended signal without levels, for tests.
    #[cfg(test)]
    pub(super) fn ended(one: &domain::signal::Ended) -> Self {
        let domain::signal::Ended { succeeded, profit_percent, net_percent, given_ms, closed_ms, .. } = *one;
        Self { succeeded, profit_percent, net_percent, given_ms, closed_ms, break_even: None }
    }

    /// From a record; `None` while it is open. `costs` count for signals that state none.
    pub fn of(record: &Record, costs: &Costs) -> Option<Self> {
        let closing = record.closing?;
        let signal = &record.signal;
        let fee_bps = costs.of(&signal.position).fee_bps;
        let levels = signal.levels().and_then(|levels| Some(((levels.entry, levels.stop_loss?), levels.take_profit?)));
        Some(Self {
            succeeded: closing.outcome.succeeded()?,
            profit_percent: closing.profit_percent,
            net_percent: record.net_percent(costs)?,
            given_ms: signal.timestamp_ms,
            closed_ms: closing.closed_ms,
            break_even: levels
                .map(|((entry, stop), target)| BetCosts::of_levels(entry, stop, target, fee_bps).break_even()),
        })
    }
}

/// Compares the halves of `closed`, which is in order of closing.
pub fn improvement(closed: &[Closed]) -> Improvement {
    let (early, recent) = closed.split_at(closed.len() / 2);
    let dependence = depend(early, recent);
    let (early, recent) = (half(early, &dependence), half(recent, &dependence));
    let counts = |half: &Half| (half.successes as f64 / dependence.design_effect, half.effective);
    let interval = (early.closed > 0 && recent.closed > 0).then(|| newcombe(counts(&early), counts(&recent)));
    let profit_difference = recent.mean_profit - early.mean_profit;
    let verdict = match interval {
        _ if early.effective < MIN_HALF => Verdict::NotEnoughEvidence,
        // A nearer target raises the success rate without earning more, so the profit must not contradict.
        Some((low, _)) if low > 0.0 && profit_difference >= 0.0 => Verdict::Improved,
        Some((_, high)) if high < 0.0 && profit_difference <= 0.0 => Verdict::Worse,
        _ => Verdict::NoSignificantChange,
    };
    Improvement {
        difference: recent.success_rate - early.success_rate,
        interval,
        profit_difference,
        verdict,
        early,
        recent,
    }
}

/// How strongly the successes of a market depend on each other, measured within each half so that a change of the rate
/// does not matter.
fn depend(early: &[Closed], recent: &[Closed]) -> Dependence {
    let lifetime = |one: &Closed| Lifetime { symbol: 0, given_ms: one.given_ms, closed_ms: one.closed_ms };
    let lifetimes: Vec<Lifetime> = early.iter().chain(recent).map(lifetime).collect();
    let residuals = [early, recent].into_iter().flat_map(|half| {
        let value = |one: &Closed| f64::from(u8::from(one.succeeded));
        let mean = half.iter().map(value).sum::<f64>() / half.len().max(1) as f64;
        half.iter().map(move |one| value(one) - mean)
    });
    dependence(&lifetimes, &residuals.collect::<Vec<f64>>())
}

fn half(closed: &[Closed], dependence: &Dependence) -> Half {
    let count = closed.len() as f64;
    let successes = closed.iter().filter(|one| one.succeeded).count() as u64;
    let effective = dependence.effective(closed.len());
    let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
    Half {
        closed: closed.len() as u64,
        successes,
        success_rate: mean(100.0 * successes as f64, count),
        effective,
        success_interval: wilson_effective(successes as f64 / dependence.design_effect, effective),
        break_even: break_even(closed),
        mean_profit: mean(closed.iter().map(|one| one.net_percent).sum(), count),
        from_ms: closed.first().map(|one| one.closed_ms),
        until_ms: closed.last().map(|one| one.closed_ms),
    }
}

/// The mean of the break-even rates of the signals' levels. A signal without both levels counts with the rate at which
/// average wins and losses pay the costs.
fn break_even(closed: &[Closed]) -> Option<BreakEven> {
    let known: Vec<f64> = closed.iter().filter_map(|one| one.break_even).collect();
    let average = |wanted: &dyn Fn(f64) -> bool| {
        let of: Vec<f64> = closed.iter().filter(|one| wanted(one.profit_percent)).map(|one| one.net_percent).collect();
        (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
    };
    let realised =
        average(&|profit| profit > 0.0).zip(average(&|profit| profit < 0.0)).map(|(win, loss)| -loss / (win - loss));
    let sum: f64 = known.iter().sum();
    let (rate, source) = match (known.len(), closed.len() - known.len(), realised) {
        (0, _, realised) => (realised?, BreakEvenSource::Realised),
        (known, missing, Some(realised)) if missing > 0 => {
            ((sum + realised * missing as f64) / (known + missing) as f64, BreakEvenSource::Mixed)
        }
        (known, _, _) => (sum / known as f64, BreakEvenSource::Levels),
    };
    Some(BreakEven { rate: 100.0 * rate, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn closed(pattern: &str, break_even: Option<f64>) -> Vec<Closed> {
        let one = |(i, c): (usize, char)| Closed {
            succeeded: c == '+',
            profit_percent: if c == '+' { 2.0 } else { -1.0 },
            net_percent: if c == '+' { 1.9 } else { -1.1 },
            given_ms: i as i64 - 1,
            closed_ms: i as i64,
            break_even,
        };
        pattern.chars().enumerate().map(one).collect()
    }

    fn verdict(early: &str, recent: &str) -> Verdict {
        improvement(&closed(&format!("{early}{recent}"), None)).verdict
    }

    #[test]
    fn worked_by_hand() {
        let result = improvement(&closed(&format!("{}{}", "+---------", "+++++++++-"), Some(0.4)));
        assert_eq!((result.early.closed, result.early.successes, result.early.success_rate), (10, 1, 10.0));
        assert_eq!((result.recent.successes, result.difference), (9, 80.0));
        assert!((result.early.mean_profit + 0.8).abs() < 1e-12 && (result.profit_difference - 2.4).abs() < 1e-12);
        // Wilson: 1 of 10 is 1.787 to 40.415, 9 of 10 its mirror image; Newcombe: 80 minus √2 · 30.415, and 80 plus √2
        // · 8.213.
        let (low, high) = result.interval.unwrap();
        assert!((low - 36.99).abs() < 0.02 && (high - 91.61).abs() < 0.02, "{low} {high}");
        assert_eq!(result.verdict, Verdict::Improved);
        assert_eq!((result.early.from_ms, result.early.until_ms, result.recent.from_ms), (Some(0), Some(9), Some(10)));
        assert_eq!(result.early.break_even, Some(BreakEven { rate: 40.0, source: BreakEvenSource::Levels }));
    }

    #[test]
    fn a_signal_counts_with_its_own_costs() {
        let at = |hour: i64| 1_736_121_600_000 + hour * 3_600_000;
        let closed = |hour: i64, fee: Option<f64>| {
            let mut value = serde_json::json!({ "id": "a", "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60,
                "entryPrice": 100, "stopLoss": 98, "takeProfit": 102, "timestamp": at(hour) });
            fee.into_iter().for_each(|fee| value["feeBps"] = fee.into());
            let signal =
                domain::signal::Signal::from_value(value, domain::signal::Source::Caller, domain::time::Tz::UTC);
            let mut record = Record::from(signal.unwrap());
            record.close(domain::signal::Closing {
                outcome: domain::barrier::Outcome::TookProfit,
                exit_price: Some(102.0),
                profit_percent: 2.0,
                closed_ms: at(hour + 1),
                excursion: None,
            });
            Closed::of(&record, &Costs { fee_bps: 10.0, ..Costs::default() }).unwrap()
        };
        // A gain of 2 % at a fee of 3 % is a loss of 1 %; levels of 2 % each then break even at 5/4: never.
        let result = improvement(&[closed(0, None), closed(2, Some(300.0))]);
        assert!((result.early.mean_profit - 1.9).abs() < 1e-9 && (result.recent.mean_profit + 1.0).abs() < 1e-9);
        let rate = |half: &Half| half.break_even.unwrap().rate;
        assert!((rate(&result.early) - 52.5).abs() < 1e-9 && (rate(&result.recent) - 125.0).abs() < 1e-9);
    }

    #[test]
    fn a_verdict_needs_ten_in_each_half() {
        assert_eq!(verdict("---------", "+++++++++"), Verdict::NotEnoughEvidence);
        assert_eq!(verdict("----------", "++++++++++"), Verdict::Improved);
        assert_eq!(verdict("++++++++++", "----------"), Verdict::Worse);
        assert_eq!(verdict("+++++-----", "++++++----"), Verdict::NoSignificantChange);
        assert_eq!(improvement(&[]).verdict, Verdict::NotEnoughEvidence);
        assert_eq!(improvement(&[]).interval, None);
    }

    #[test]
    fn twenty_copies_of_a_signal_are_no_evidence() {
        let mut all = closed("----------++++++++++", None);
        all.iter_mut().enumerate().for_each(|(i, one)| (one.given_ms, one.closed_ms) = (0, 100 + i as i64 / 10));
        let result = improvement(&all);
        assert_eq!((result.early.closed, result.verdict), (10, Verdict::NotEnoughEvidence));
        assert!(result.early.effective <= 1.0 && result.interval.unwrap().0 < 0.0, "{result:?}");
    }

    #[test]
    fn more_successes_that_earn_less_are_no_improvement() {
        let mut all = closed("----------++++++++++", None);
        all[..10].iter_mut().for_each(|one| one.net_percent = 5.0);
        assert_eq!(improvement(&all).verdict, Verdict::NoSignificantChange);
    }

    #[test]
    fn a_break_even_names_its_source() {
        let rate = |closed: &[Closed]| break_even(closed).map(|even| ((even.rate * 100.0).round(), even.source));
        // Wins of 1.9 and losses of 1.1 after costs break even at 1.1 of 3.
        assert_eq!(rate(&closed("+-", None)), Some((3667.0, BreakEvenSource::Realised)));
        assert_eq!(rate(&closed("+-", Some(0.4))), Some((4000.0, BreakEvenSource::Levels)));
        let mut mixed = closed("+-", Some(0.4));
        mixed[1].break_even = None;
        assert_eq!(rate(&mixed), Some((3833.0, BreakEvenSource::Mixed)));
        assert_eq!(rate(&closed("--", None)), None);
        // A loss with unknown levels and no win: only what is known counts.
        let mut known = closed("--", Some(0.5));
        known[1].break_even = None;
        assert_eq!(rate(&known), Some((5000.0, BreakEvenSource::Levels)));
    }

    proptest! {
        /// With the order of time reversed, halves of equal size give the opposite verdict.
        #[test]
        fn time_reversed_is_the_opposite(wins in proptest::collection::vec(any::<bool>(), 1..60)) {
            let pattern: String = wins.iter().chain(&wins[..wins.len() % 2]).map(|won| if *won { '+' } else { '-' }).collect();
            let forward = improvement(&closed(&pattern, None));
            let backward = improvement(&closed(&pattern.chars().rev().collect::<String>(), None));
            prop_assert_eq!(forward.difference, -backward.difference);
            let ((low, high), (back_low, back_high)) = (forward.interval.unwrap(), backward.interval.unwrap());
            prop_assert!((low + back_high).abs() < 1e-9 && (high + back_low).abs() < 1e-9);
            prop_assert!(low <= forward.difference && forward.difference <= high);
            prop_assert_eq!(forward.verdict == Verdict::Improved, backward.verdict == Verdict::Worse);
        }
    }
}
