//! What figures are computed from.

use super::moments::Moments;
use super::ratios::{Daily, sqn};
use super::running_sum::RunningSum;
use super::streaks::Streaks;
use super::{CAUSES, Figures};
use domain::barrier::{CancelCause, MOST_PERCENT, Outcome};
use domain::proportions::wilson;

/// A closed signal, as statistics see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    outcome: Outcome,
    profit: f64,
    /// Percent of the entry price.
    costs: f64,
    after_costs: f64,
    /// In units of the risk at entry, after costs.
    r: Option<f64>,
    confidence: Option<f64>,
    by_order: bool,
    cancelled: Option<CancelCause>,
}

impl Closed {
    /// A signal by its outcome, its profit before costs, its costs, the distance of its stop at entry (`None` without a stop), all in
    /// percent of the entry price, and its stated confidence in percent.
    pub fn new(outcome: Outcome, profit: f64, costs: f64, risk: Option<f64>, confidence: Option<f64>) -> Self {
        // A log may contain any number.
        let profit = profit.clamp(-MOST_PERCENT, MOST_PERCENT);
        let after_costs = profit - costs;
        Self {
            outcome,
            profit,
            costs,
            after_costs,
            r: risk.map(|risk| after_costs / risk),
            confidence,
            by_order: false,
            cancelled: None,
        }
    }

    /// The same, of a signal that waited for its entry; the cause is that of its cancellation.
    pub fn by_order(self, cancelled: Option<CancelCause>) -> Self {
        Self { by_order: true, cancelled, ..self }
    }

    /// Whether it waited for its entry.
    pub fn is_by_order(&self) -> bool {
        self.by_order
    }

    /// Its profit before costs; `None` if the outcome is unknown.
    pub fn profit(&self) -> Option<f64> {
        self.outcome.succeeded().map(|_| self.profit)
    }
}

/// The signals that closed on a day, or in a longer time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Open signals.
    pub active: u32,
    /// HOLDs.
    pub hold: u32,
    took_profit: u32,
    stopped_out: u32,
    success: u32,
    failure: u32,
    unknown: u32,
    /// Signals that wait for their entry.
    pending: u32,
    cancelled: u32,
    /// In the order of [`CancelCause::ALL`]; last, those without a cause.
    cancelled_by: [u32; CAUSES],
    /// Signals that waited for their entry and were entered.
    filled: u32,
    wins: u32,
    losses: u32,
    confident: u32,
    win_sum: f64,
    loss_sum: f64,
    costs_sum: f64,
    confidence_sum: f64,
    best: Option<f64>,
    worst: Option<f64>,
    profits: RunningSum,
    after_costs: RunningSum,
    streaks: Streaks,
    /// Results in units of the risk at entry, after costs.
    r: Moments,
}

impl Summary {
    /// Adds a signal that closed no earlier than those added before.
    pub fn add(&mut self, closed: &Closed) {
        match closed.outcome {
            Outcome::TookProfit => self.took_profit += 1,
            Outcome::StoppedOut => self.stopped_out += 1,
            Outcome::Success => self.success += 1,
            Outcome::Failure => self.failure += 1,
            Outcome::Unknown => {
                self.unknown += 1;
                return;
            }
            Outcome::Cancelled => {
                self.cancelled += 1;
                let cause = CancelCause::ALL.iter().position(|cause| closed.cancelled == Some(*cause));
                self.cancelled_by[cause.unwrap_or(CAUSES - 1)] += 1;
                return;
            }
            Outcome::Active => return,
        }
        self.filled += u32::from(closed.by_order);
        self.costs_sum += closed.costs;
        let profit = closed.profit;
        if profit > 0.0 {
            self.wins += 1;
            self.win_sum += profit;
        } else if profit < 0.0 {
            self.losses += 1;
            self.loss_sum += profit;
        }
        if let Some(confidence) = closed.confidence {
            self.confident += 1;
            self.confidence_sum += confidence;
        }
        self.best = Some(self.best.map_or(profit, |best| best.max(profit)));
        self.worst = Some(self.worst.map_or(profit, |worst| worst.min(profit)));
        self.profits.add(profit);
        self.after_costs.add(closed.after_costs);
        self.streaks.add(matches!(closed.outcome, Outcome::TookProfit | Outcome::Success));
        if let Some(r) = closed.r {
            self.r.add(r);
        }
    }

    /// Adds a signal that has not ended: an open one, or one that waits for its entry.
    pub fn add_active(&mut self, is_open: bool, by_order: bool) {
        if is_open {
            self.active += 1;
            self.filled += u32::from(by_order);
        } else {
            self.pending += 1;
        }
    }

    /// Combines this summary with that of signals that closed later.
    pub fn then(&mut self, later: &Self) {
        self.active += later.active;
        self.hold += later.hold;
        self.took_profit += later.took_profit;
        self.stopped_out += later.stopped_out;
        self.success += later.success;
        self.failure += later.failure;
        self.unknown += later.unknown;
        self.pending += later.pending;
        self.cancelled += later.cancelled;
        self.cancelled_by.iter_mut().zip(later.cancelled_by).for_each(|(ours, theirs)| *ours += theirs);
        self.filled += later.filled;
        self.wins += later.wins;
        self.losses += later.losses;
        self.win_sum += later.win_sum;
        self.loss_sum += later.loss_sum;
        self.costs_sum += later.costs_sum;
        self.confident += later.confident;
        self.confidence_sum += later.confidence_sum;
        let pick = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        self.best = pick(self.best, later.best, f64::max);
        self.worst = pick(self.worst, later.worst, f64::min);
        self.profits.then(&later.profits);
        self.after_costs.then(&later.after_costs);
        self.streaks.then(&later.streaks);
        self.r.then(&later.r);
    }

    fn closed(&self) -> u32 {
        self.took_profit + self.success + self.stopped_out + self.failure
    }
}

/// What [`Figures`] are computed from: the signals of a period, and what each of its days brought.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Period {
    /// Its signals.
    pub signals: Summary,
    daily: Daily,
}

impl Period {
    /// Adds the signals that closed on a later day, in days since the epoch.
    pub fn then(&mut self, day: i64, signals: &Summary) {
        self.signals.then(signals);
        if signals.closed() > 0 {
            self.daily.then(&Daily::of(day, signals.after_costs.total));
        }
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        let of = &self.signals;
        let successes = u64::from(of.took_profit + of.success);
        let failures = u64::from(of.stopped_out + of.failure);
        let closed = successes + failures;
        let mean = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
        let average_profit = mean(of.profits.total, closed);
        let average_win = mean(of.win_sum, of.wins.into());
        let average_loss = mean(of.loss_sum, of.losses.into());
        let average_costs = mean(of.costs_sum, closed);
        let sharpe = self.daily.sharpe();
        let some_r = |r: f64| (of.r.count > 0).then_some(r);
        Figures {
            total: u64::from(of.active) + closed + u64::from(of.unknown),
            active: of.active.into(),
            closed,
            unknown: of.unknown.into(),
            hold: of.hold.into(),
            pending: of.pending.into(),
            cancelled: of.cancelled.into(),
            cancelled_by: of.cancelled_by.map(u64::from),
            fill_rate: (of.filled + of.cancelled > 0)
                .then(|| 100.0 * f64::from(of.filled) / f64::from(of.filled + of.cancelled)),
            successes,
            failures,
            took_profit: of.took_profit.into(),
            stopped_out: of.stopped_out.into(),
            success_rate: mean(100.0 * successes as f64, closed),
            success_interval: wilson(successes, closed),
            average_profit,
            average_win,
            average_loss,
            expectancy: average_profit - average_costs,
            profit_factor: (of.losses > 0).then(|| of.win_sum / -of.loss_sum),
            total_profit: of.profits.total,
            max_drawdown: of.profits.drawdown,
            best: of.best,
            worst: of.worst,
            average_confidence: mean(of.confidence_sum, of.confident.into()),
            break_even_rate: (of.wins > 0 && of.losses > 0)
                .then(|| 100.0 * (average_costs - average_loss) / (average_win - average_loss)),
            longest_success_streak: of.streaks.longest_success(),
            longest_failure_streak: of.streaks.longest_failure(),
            current_streak: of.streaks.current(),
            signals_with_stop: of.r.count.into(),
            total_r: some_r(of.r.sum()),
            average_r: some_r(of.r.mean),
            sqn: sqn(&of.r),
            span_days: self.daily.span().into(),
            sharpe_ratio: sharpe.map(|(ratio, _)| ratio),
            sharpe_interval: sharpe.map(|(_, interval)| interval),
            sortino_ratio: self.daily.sortino(),
            calmar_ratio: self.daily.calmar(&of.after_costs),
        }
    }
}
