//! Ratios of profit to risk, each `None` below the count from which it says something.
//!
//! Sharpe, Sortino and Calmar ratios look at profits after costs by calendar day (UTC), from the day of the first closing to that of
//! the last: the sum of the profits of the signals that closed that day, 0 where none did. Profits are in percentage points of the
//! same stake on each signal, so no interest is subtracted. Markets such as those of coins have no weekend, so a year has 365 days;
//! markets that rest at weekends get the same ratios as with about 252 trading days, because their free days count as 0.

use super::moments::Moments;
use super::running_sum::RunningSum;

/// Days of a year.
const YEAR_DAYS: f64 = 365.0;
/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Fewest days from the first closing to the last for a Sharpe or Sortino ratio. Over 90 days, the standard error of a yearly Sharpe
/// ratio is `√(365 / 90) ≈ 2`: only a ratio of 4 could be told from 0. Over fewer, even such a ratio is luck.
pub const SHARPE_DAYS: u32 = 90;
/// Fewest days with a closing for each ratio by day. Other days are 0 and tell nothing of the spread; a standard deviation of 30 values
/// is known to about 13 % (`1 / √(2 · 30)`), and the standard error of the ratio assumes about normal means, which need as many.
pub const CLOSING_DAYS: u32 = 30;
/// Fewest days with a loss for a Sortino ratio: its deviation is that of the losses alone, and that of 10 values is known to about 22 %.
pub const LOSING_DAYS: u32 = 10;
/// Fewest days from the first closing to the last for a Calmar ratio. The profit of a year is extrapolated from them, at most twofold;
/// the deepest fall is not, and it grows with time, so a shorter history flatters.
pub const CALMAR_DAYS: u32 = 180;
/// Fewest signals with a stop for a system quality number. Van Tharp asks for 30; the number is a t statistic, whose distribution is
/// about normal from there on.
pub const SQN_SIGNALS: u32 = 30;
/// The number of signals that a system quality number counts at most (Van Tharp), so that it does not grow with the history.
const SQN_MOST: u32 = 100;

/// The system quality number of Van Tharp ("Definitive Guide to Position Sizing", 2008): `√n · mean(R) / deviation(R)`, with `n` at
/// most 100. `None` for fewer than [`SQN_SIGNALS`], or where all are equal.
pub fn sqn(r: &Moments) -> Option<f64> {
    let ratio = r.mean_over_deviation().filter(|_| r.count >= SQN_SIGNALS)?;
    Some(f64::from(r.count.min(SQN_MOST)).sqrt() * ratio)
}

/// Profits after costs by calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Daily {
    /// First and last day with a closing, in days since the epoch.
    first: i32,
    last: i32,
    /// The days with a closing.
    closing: Moments,
    losing: u32,
    /// Sum of the squared profits of days with a loss.
    loss_squares: f64,
}

impl Daily {
    /// One day, in days since the epoch, and its profit after costs.
    pub fn of(day: i64, profit: f64) -> Self {
        let day = day as i32;
        let loss = profit.min(0.0);
        Self {
            first: day,
            last: day,
            closing: Moments::of(profit),
            losing: (loss < 0.0).into(),
            loss_squares: loss * loss,
        }
    }

    /// Continues with later days.
    pub fn then(&mut self, later: &Self) {
        if later.closing.count == 0 {
            return;
        }
        if self.closing.count == 0 {
            *self = *later;
            return;
        }
        self.last = later.last;
        self.closing.then(&later.closing);
        self.losing += later.losing;
        self.loss_squares += later.loss_squares;
    }

    /// Calendar days from the first with a closing to the last, both included; 0 without any.
    pub fn span(&self) -> u32 {
        if self.closing.count == 0 { 0 } else { (self.last - self.first) as u32 + 1 }
    }

    /// The profits of all days.
    fn all(&self) -> Moments {
        let mut all = self.closing;
        all.then(&Moments::zeros(self.span().saturating_sub(self.closing.count)));
        all
    }

    fn has(&self, days: u32) -> bool {
        self.span() >= days && self.closing.count >= CLOSING_DAYS
    }

    /// The Sharpe ratio of a year, and its 95 % interval: `√365 · mean / deviation` of the days. Sharpe, "The Sharpe Ratio" (Journal of
    /// Portfolio Management 21, 1994); its standard error `√((1 + s² / 2) / days)`, where `s` is the ratio of a day, is from Lo, "The
    /// Statistics of Sharpe Ratios" (Financial Analysts Journal 58, 2002). Both hold where days do not depend on each other.
    ///
    /// `None` below [`SHARPE_DAYS`] and [`CLOSING_DAYS`], or where all days are equal.
    pub fn sharpe(&self) -> Option<(f64, (f64, f64))> {
        let of_day = self.all().mean_over_deviation().filter(|_| self.has(SHARPE_DAYS))?;
        let wide = Z * ((1.0 + of_day * of_day / 2.0) / f64::from(self.span())).sqrt();
        let year = YEAR_DAYS.sqrt();
        Some((year * of_day, (year * (of_day - wide), year * (of_day + wide))))
    }

    /// The Sortino ratio of a year: `√365 · mean / √(Σ min(0, profit)² / days)`, over all days. Sortino and van der Meer, "Downside Risk"
    /// (Journal of Portfolio Management 17, 1991), with the target 0.
    ///
    /// `None` below [`SHARPE_DAYS`], [`CLOSING_DAYS`] and [`LOSING_DAYS`].
    pub fn sortino(&self) -> Option<f64> {
        let downside = (self.loss_squares / f64::from(self.span())).sqrt();
        (self.has(SHARPE_DAYS) && self.losing >= LOSING_DAYS).then(|| YEAR_DAYS.sqrt() * self.all().mean / downside)
    }

    /// The Calmar ratio: the profit of a year, divided by the deepest fall of the running sum. Young, "Calmar Ratio: A Smoother Tool"
    /// (Futures 20, 1991), who takes three years, and returns that are reinvested; here profits are added up, as everywhere.
    ///
    /// `None` below [`CALMAR_DAYS`] and [`CLOSING_DAYS`], or without a fall.
    pub fn calmar(&self, after_costs: &RunningSum) -> Option<f64> {
        let of_year = after_costs.total / f64::from(self.span()) * YEAR_DAYS;
        (self.has(CALMAR_DAYS) && after_costs.drawdown > 0.0).then(|| of_year / after_costs.drawdown)
    }
}
