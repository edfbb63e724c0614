//! Statistics of closed signals.
//!
//! Signals are added to a [`Summary`] in order of closing. Summaries of consecutive periods can be combined, so a period is the
//! combination of its days, and each day is summed only once.

use domain::barrier::{MOST_PERCENT, Outcome};
use domain::proportions::wilson;
use domain::symbol::{Symbol, Timeframe};
use std::collections::BTreeMap;

/// Which signals to count. The default counts all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StatsFilter {
    /// Only this pair.
    pub symbol: Option<Symbol>,
    /// Only this timeframe.
    pub timeframe: Option<Timeframe>,
    /// Start of the period, inclusive, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// End of the period, exclusive, UTC epoch ms.
    pub until_ms: Option<i64>,
}

impl StatsFilter {
    /// Whether the period contains this time.
    pub fn covers(&self, time_ms: i64) -> bool {
        self.since_ms.is_none_or(|since| time_ms >= since) && self.until_ms.is_none_or(|until| time_ms < until)
    }
}

/// The statistics of a period.
///
/// A closed signal belongs to the period in which it closed; an active one, and a HOLD, to that in which it was given. Signals
/// that were not taken count only in [`Stats::followed`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// All matching signals.
    pub figures: Figures,
    /// By symbol, in alphabetical order.
    pub by_symbol: Vec<(Symbol, Figures)>,
    /// By timeframe, shortest first.
    pub by_timeframe: Vec<(Timeframe, Figures)>,
    /// By strategy, in alphabetical order; without signals that name none.
    pub by_strategy: Vec<(String, Figures)>,
    /// Signals that were recorded as not taken.
    pub followed: Figures,
    /// Start of the period, as requested.
    pub from_ms: Option<i64>,
    /// End of the period, as requested.
    pub until_ms: Option<i64>,
    /// Prices and candles that this process ignored since it opened the store, because a later time had been seen of their
    /// symbol; for any period and timeframe.
    pub ignored_prices: u64,
}

/// The figures of a set of signals. Profits are in percent of the entry price, before costs unless stated otherwise; the mean of
/// nothing is 0. Serialised under the names of the JavaScript API.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// `active + closed + unknown`.
    #[serde(rename = "totalSignals")]
    pub total: u64,
    /// Still open.
    #[serde(rename = "activeSignals")]
    pub active: u64,
    /// `successes + failures`.
    #[serde(rename = "closedSignals")]
    pub closed: u64,
    /// Ended as `UNKNOWN`, where no prices are known; counted only in the total.
    #[serde(rename = "unknownSignals")]
    pub unknown: u64,
    /// HOLD signals; not counted elsewhere.
    #[serde(rename = "holdSignals")]
    pub hold: u64,
    /// Closed as `TOOK_PROFIT` or `SUCCESS`.
    #[serde(rename = "successfulSignals")]
    pub successes: u64,
    /// Closed as `STOPPED_OUT` or `FAILURE`.
    #[serde(rename = "failedSignals")]
    pub failures: u64,
    /// Closed as `TOOK_PROFIT`.
    pub took_profit: u64,
    /// Closed as `STOPPED_OUT`.
    pub stopped_out: u64,
    /// Percent of closed signals: `100 · successes / closed`.
    pub success_rate: f64,
    /// The 95 % Wilson score interval of the success rate, in percent; 0 to 100 while nothing is closed.
    #[serde(serialize_with = "low_and_high")]
    pub success_interval: (f64, f64),
    /// Mean profit of closed signals.
    #[serde(rename = "averageProfitLoss")]
    pub average_profit: f64,
    /// Mean profit of signals with a profit above 0.
    #[serde(rename = "averageProfit")]
    pub average_win: f64,
    /// Mean profit of signals with a profit below 0; not positive.
    pub average_loss: f64,
    /// Mean profit after costs: `average_profit − fee_bps / 100`; 0 while nothing is closed.
    pub expectancy: f64,
    /// `Σ wins / |Σ losses|`; `None` without a loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profit_factor: Option<f64>,
    /// Sum of the profits.
    #[serde(rename = "totalProfitLoss")]
    pub total_profit: f64,
    /// The deepest fall of the running sum of profits below its highest point so far (0 at the start), in order of closing, in
    /// percentage points; not negative.
    pub max_drawdown: f64,
    /// Highest profit; `None` while nothing is closed.
    #[serde(rename = "bestProfitLoss", skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
    /// Lowest profit; `None` while nothing is closed.
    #[serde(rename = "worstProfitLoss", skip_serializing_if = "Option::is_none")]
    pub worst: Option<f64>,
    /// Mean confidence of the closed signals that state one.
    pub average_confidence: f64,
    /// The success rate, in percent, at which average wins and losses just pay the costs: `100 · (fee − average_loss) /
    /// (average_win − average_loss)`. `None` before the first win and the first loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_even_rate: Option<f64>,
}

/// The seven figures that the former system printed, under its names and rounded to a tenth as it did.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Totals {
    /// Open and closed signals, without HOLDs.
    pub total_signals: u64,
    /// Closed signals.
    pub closed_signals: u64,
    /// Closed as `TOOK_PROFIT` or `SUCCESS`.
    pub successful: u64,
    /// Closed as `STOPPED_OUT` or `FAILURE`.
    pub failed: u64,
    /// Percent of closed signals.
    pub success_rate: f64,
    /// Mean profit of closed signals, percent of the entry price, before costs.
    pub avg_profit_loss: f64,
    /// Sum of the profits.
    pub total_return: f64,
}

impl From<&Figures> for Totals {
    fn from(figures: &Figures) -> Self {
        // Adding zero removes a negative zero.
        let tenth = |number: f64| (number * 10.0).round() / 10.0 + 0.0;
        Self {
            total_signals: figures.total,
            closed_signals: figures.closed,
            successful: figures.successes,
            failed: figures.failures,
            success_rate: tenth(figures.success_rate),
            avg_profit_loss: tenth(figures.average_profit),
            total_return: tenth(figures.total_profit),
        }
    }
}

fn low_and_high<S: serde::Serializer>(interval: &(f64, f64), to: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&serde_json::json!({ "low": interval.0, "high": interval.1 }), to)
}

/// What [`Figures`] are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    pub active: u64,
    pub hold: u64,
    took_profit: u64,
    stopped_out: u64,
    success: u64,
    failure: u64,
    unknown: u64,
    wins: u64,
    losses: u64,
    win_sum: f64,
    loss_sum: f64,
    confident: u64,
    confidence_sum: f64,
    best: Option<f64>,
    worst: Option<f64>,
    /// The running sum of profits: its current value, its highest and lowest point (0 at the start), its deepest fall.
    total: f64,
    peak: f64,
    trough: f64,
    drawdown: f64,
}

impl Summary {
    /// Adds a signal that closed no earlier than those added before.
    pub fn add(&mut self, outcome: Outcome, profit: f64, confidence: Option<f64>) {
        match outcome {
            Outcome::TookProfit => self.took_profit += 1,
            Outcome::StoppedOut => self.stopped_out += 1,
            Outcome::Success => self.success += 1,
            Outcome::Failure => self.failure += 1,
            Outcome::Unknown => {
                self.unknown += 1;
                return;
            }
            Outcome::Active | Outcome::Cancelled => return,
        }
        // A log may contain any number.
        let profit = profit.clamp(-MOST_PERCENT, MOST_PERCENT);
        if profit > 0.0 {
            self.wins += 1;
            self.win_sum += profit;
        } else if profit < 0.0 {
            self.losses += 1;
            self.loss_sum += profit;
        }
        if let Some(confidence) = confidence {
            self.confident += 1;
            self.confidence_sum += confidence;
        }
        self.best = Some(self.best.map_or(profit, |best| best.max(profit)));
        self.worst = Some(self.worst.map_or(profit, |worst| worst.min(profit)));
        self.total += profit;
        self.peak = self.peak.max(self.total);
        self.trough = self.trough.min(self.total);
        self.drawdown = self.drawdown.max(self.peak - self.total);
    }

    /// Combines this summary with that of a later period.
    pub fn then(&mut self, later: &Self) {
        self.active += later.active;
        self.hold += later.hold;
        self.took_profit += later.took_profit;
        self.stopped_out += later.stopped_out;
        self.success += later.success;
        self.failure += later.failure;
        self.unknown += later.unknown;
        self.wins += later.wins;
        self.losses += later.losses;
        self.win_sum += later.win_sum;
        self.loss_sum += later.loss_sum;
        self.confident += later.confident;
        self.confidence_sum += later.confidence_sum;
        let pick = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        self.best = pick(self.best, later.best, f64::max);
        self.worst = pick(self.worst, later.worst, f64::min);
        // The deepest fall is in the first part, in the second, or from the first's peak to the second's trough.
        let across = self.peak - (self.total + later.trough);
        self.drawdown = self.drawdown.max(later.drawdown).max(across);
        self.peak = self.peak.max(self.total + later.peak);
        self.trough = self.trough.min(self.total + later.trough);
        self.total += later.total;
    }

    /// The figures; `fee_bps` are the costs of a round trip in basis points of the entry price.
    pub fn figures(&self, fee_bps: f64) -> Figures {
        let fee = fee_bps / 100.0;
        let successes = self.took_profit + self.success;
        let failures = self.stopped_out + self.failure;
        let closed = successes + failures;
        let mean = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
        let average_profit = mean(self.total, closed);
        let average_win = mean(self.win_sum, self.wins);
        let average_loss = mean(self.loss_sum, self.losses);
        Figures {
            total: self.active + closed + self.unknown,
            active: self.active,
            closed,
            unknown: self.unknown,
            hold: self.hold,
            successes,
            failures,
            took_profit: self.took_profit,
            stopped_out: self.stopped_out,
            success_rate: mean(100.0 * successes as f64, closed),
            success_interval: wilson(successes, closed),
            average_profit,
            average_win,
            average_loss,
            expectancy: if closed == 0 { 0.0 } else { average_profit - fee },
            profit_factor: (self.losses > 0).then(|| self.win_sum / -self.loss_sum),
            total_profit: self.total,
            max_drawdown: self.drawdown,
            best: self.best,
            worst: self.worst,
            average_confidence: mean(self.confidence_sum, self.confident),
            break_even_rate: (self.wins > 0 && self.losses > 0)
                .then(|| 100.0 * (fee - average_loss) / (average_win - average_loss)),
        }
    }
}

/// The groups of a signal; symbol and strategy by number.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub symbol: u32,
    pub timeframe: Timeframe,
    pub strategy: Option<u32>,
    pub taken: bool,
}

/// Summaries of taken signals: all, by symbol number, by timeframe, by strategy number; and of those not taken.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    pub all: Summary,
    pub by_symbol: BTreeMap<u32, Summary>,
    pub by_timeframe: BTreeMap<Timeframe, Summary>,
    pub by_strategy: BTreeMap<u32, Summary>,
    pub followed: Summary,
}

impl Groups {
    /// Applies `change` to each summary that a signal belongs to.
    pub fn update(&mut self, of: Member, change: impl Fn(&mut Summary)) {
        if !of.taken {
            return change(&mut self.followed);
        }
        change(&mut self.all);
        change(self.by_symbol.entry(of.symbol).or_default());
        change(self.by_timeframe.entry(of.timeframe).or_default());
        if let Some(strategy) = of.strategy {
            change(self.by_strategy.entry(strategy).or_default());
        }
    }

    /// Combines these summaries with those of a later period.
    pub fn then(&mut self, later: &Self) {
        self.all.then(&later.all);
        for (symbol, summary) in &later.by_symbol {
            self.by_symbol.entry(*symbol).or_default().then(summary);
        }
        for (timeframe, summary) in &later.by_timeframe {
            self.by_timeframe.entry(*timeframe).or_default().then(summary);
        }
        for (strategy, summary) in &later.by_strategy {
            self.by_strategy.entry(*strategy).or_default().then(summary);
        }
        self.followed.then(&later.followed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn figures_stay_finite_whatever_a_log_says() {
        let mut summary = Summary::default();
        for profit in [f64::MAX, f64::MAX, -f64::MAX, -f64::MAX, -f64::MAX] {
            summary.add(Outcome::by_profit(profit), profit, None);
        }
        let f = summary.figures(10.0);
        assert!([f.total_profit, f.max_drawdown, f.expectancy, f.average_win].iter().all(|figure| figure.is_finite()));
    }

    #[test]
    fn a_case_worked_by_hand() {
        let mut summary = Summary { active: 3, hold: 2, ..Summary::default() };
        // Running sum: 4, 1, 0, 6, 5; the deepest fall is from 4 to 0.
        summary.add(Outcome::TookProfit, 4.0, Some(80.0));
        summary.add(Outcome::StoppedOut, -3.0, Some(60.0));
        summary.add(Outcome::Failure, -1.0, None);
        summary.add(Outcome::Success, 6.0, Some(70.0));
        summary.add(Outcome::StoppedOut, -1.0, Some(50.0));
        summary.add(Outcome::Unknown, 0.0, Some(90.0));
        let f = summary.figures(10.0);
        assert_eq!((f.total, f.active, f.closed, f.unknown, f.hold), (9, 3, 5, 1, 2));
        assert_eq!((f.successes, f.failures, f.took_profit, f.stopped_out), (2, 3, 1, 2));
        assert!(close(f.success_rate, 40.0) && close(f.average_profit, 1.0) && close(f.expectancy, 0.9));
        assert!(close(f.average_win, 5.0) && close(f.average_loss, -5.0 / 3.0) && close(f.total_profit, 5.0));
        assert!(close(f.profit_factor.unwrap(), 2.0) && close(f.max_drawdown, 4.0));
        assert_eq!((f.best, f.worst), (Some(6.0), Some(-3.0)));
        assert!(close(f.average_confidence, 65.0));
        // 26.5 % of wins of 5 and 73.5 % of losses of 5/3 leave 0.1.
        assert!(close(f.break_even_rate.unwrap(), 26.5));
        // The interval for 2 of 5, from Wilson's formula.
        assert!((f.success_interval.0 - 11.762).abs() < 0.001 && (f.success_interval.1 - 76.928).abs() < 0.001);
    }

    #[test]
    fn the_seven_figures_as_the_old_system_printed_them() {
        let mut summary = Summary { active: 7, hold: 3, ..Summary::default() };
        // 28 of 38 succeed; the profits sum to 68.4.
        for at in 0..38 {
            let profit = if at < 28 { 2.85 } else { -1.14 };
            summary.add(Outcome::by_profit(profit), profit, None);
        }
        let printed = serde_json::to_value(Totals::from(&summary.figures(10.0))).unwrap();
        let expected = serde_json::json!({
            "total_signals": 45, "closed_signals": 38, "successful": 28, "failed": 10,
            "success_rate": 73.7, "avg_profit_loss": 1.8, "total_return": 68.4,
        });
        assert_eq!(printed, expected);
        let mut none = Summary::default();
        none.add(Outcome::Failure, -0.04, None);
        assert!(Totals::from(&none.figures(0.0)).avg_profit_loss.is_sign_positive());
    }

    #[test]
    fn nothing_closed_is_not_a_division_by_zero() {
        let f = Summary::default().figures(10.0);
        assert_eq!((f.success_rate, f.expectancy, f.profit_factor, f.best), (0.0, 0.0, None, None));
        assert_eq!(f.success_interval, (0.0, 100.0));
    }

    proptest! {
        /// Combining the sums of days equals summing at once.
        #[test]
        fn a_period_is_the_combination_of_its_parts(profits in proptest::collection::vec(-20i32..20, 0..40), cut in 0usize..40) {
            let sum = |profits: &[i32]| {
                let mut summary = Summary::default();
                for p in profits {
                    summary.add(Outcome::by_profit(f64::from(*p)), f64::from(*p), Some(50.0));
                }
                summary
            };
            let cut = cut.min(profits.len());
            let mut parts = sum(&profits[..cut]);
            parts.then(&sum(&profits[cut..]));
            prop_assert_eq!(parts, sum(&profits));
        }
    }
}
