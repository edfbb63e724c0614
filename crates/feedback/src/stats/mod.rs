//! Statistics of closed signals.
//!
//! Signals are added to a [`Summary`] in order of closing. Summaries of consecutive periods can be combined, so a period is the
//! combination of its days, and each day is summed only once.
//!
//! Counts, sums and means say what happened and are there from the first signal. A ratio that is meant to say something of the signals to
//! come is left out until there are enough for that; `ratios.rs` has the numbers, and why.

mod exposure;
mod groups;
mod holding;
mod moments;
mod parts;
mod ratios;
mod running_sum;
mod streaks;
mod summary;
#[cfg(test)]
mod tests;

pub use exposure::{Exposure, OpenTime};
pub use groups::{Member, OfDay, OfPeriod};
pub use holding::{Holding, HoldingTime, HoldingTimes};
pub use parts::{ClosedPart, Exits, Part, PartOf, ProfitByPart, TARGET_SIGNALS, TargetPart};
pub use ratios::{CALMAR_DAYS, CLOSING_DAYS, Daily, LOSING_DAYS, SHARPE_DAYS, SQN_SIGNALS};
pub use running_sum::RunningSum;
pub use summary::{Closed, Period};

use domain::barrier::{CancelCause, Direction};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::Month;

/// Which signals to count. The default counts all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StatsFilter {
    /// Only this pair.
    pub symbol: Option<Symbol>,
    /// Only this timeframe.
    pub timeframe: Option<Timeframe>,
    /// Only signals of this strategy.
    pub strategy: Option<String>,
    /// Only signals of this direction.
    pub direction: Option<Direction>,
    /// Start of the period, inclusive, UTC epoch ms.
    pub since_ms: Option<i64>,
    /// End of the period, exclusive, UTC epoch ms.
    pub until_ms: Option<i64>,
}

impl StatsFilter {
    /// All signals of a market.
    pub fn of_market(market: &Market) -> Self {
        Self { symbol: Some(market.symbol.clone()), timeframe: Some(market.timeframe), ..Self::default() }
    }

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
    /// By direction, BUY first.
    pub by_direction: Vec<(Direction, Figures)>,
    /// By the month (UTC) in which they closed, or were given if they are open or a HOLD; oldest first.
    pub by_month: Vec<(Month, Figures)>,
    /// How long signals were open until they closed.
    pub holding: Holding,
    /// What the parts of signals with several targets brought; `None` without any that closed.
    pub by_part: Option<ProfitByPart>,
    /// When signals were open; for [`Stats::exposure`].
    pub open_time: OpenTime,
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

impl Stats {
    /// How much of the time signals were open, until now or the end of the period; `None` without signals, and for less than a day.
    pub fn exposure(&self, now_ms: i64) -> Option<Exposure> {
        self.open_time.exposure(self.until_ms.map_or(now_ms, |until| until.min(now_ms)))
    }
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
    /// Waiting for their entry; not counted elsewhere.
    #[serde(rename = "pendingSignals")]
    pub pending: u64,
    /// Ended before they were entered; not counted elsewhere.
    #[serde(rename = "cancelledSignals")]
    pub cancelled: u64,
    /// Why, in the order of [`CancelCause::ALL`]; last, those that were recorded as cancelled, of which nobody knows why.
    #[serde(serialize_with = "causes")]
    pub cancelled_by: [u64; CAUSES],
    /// Percent of the signals that waited for their entry and do not any more that were entered; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_rate: Option<f64>,
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
    /// Mean profit after costs, each signal's own where it states them; 0 while nothing is closed.
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
    /// The success rate, in percent, at which average wins and losses just pay the mean costs: `100 · (costs − average_loss) /
    /// (average_win − average_loss)`. `None` before the first win and the first loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_even_rate: Option<f64>,
    /// The most successes in a row, in order of closing.
    pub longest_success_streak: u64,
    /// The most failures in a row.
    pub longest_failure_streak: u64,
    /// The newest results in a row: a positive number of successes, or a negative number of failures; 0 while nothing is closed.
    pub current_streak: i64,
    /// Closed signals with a stop. Only they have a result in R: profit after costs in units of the risk at entry,
    /// `(profit − costs) / (100 · |entry − stop| / entry)`.
    pub signals_with_stop: u64,
    /// Sum of the results in R; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_r: Option<f64>,
    /// Their mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_r: Option<f64>,
    /// Van Tharp's system quality number, `√min(n, 100) · mean(R) / deviation(R)`; `None` below [`SQN_SIGNALS`] results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqn: Option<f64>,
    /// Calendar days (UTC) from the first closing to the last, both included; the ratios below need a number of them.
    pub span_days: u64,
    /// Sharpe ratio of a year, of profits after costs by calendar day. `None` below [`SHARPE_DAYS`] days from the first closing to the
    /// last, and below [`CLOSING_DAYS`] days with a closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharpe_ratio: Option<f64>,
    /// Its 95 % interval, if days do not depend on each other.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "low_and_high_if_any")]
    pub sharpe_interval: Option<(f64, f64)>,
    /// Sortino ratio of a year, of the same days with the target 0; `None` also below [`LOSING_DAYS`] days with a loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sortino_ratio: Option<f64>,
    /// Calmar ratio: profit of a year after costs, divided by the deepest fall of its running sum. `None` below [`CALMAR_DAYS`] days from
    /// the first closing to the last, and below [`CLOSING_DAYS`] days with a closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calmar_ratio: Option<f64>,
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

/// The causes of a cancellation, and one for those without.
const CAUSES: usize = CancelCause::ALL.len() + 1;
/// The name of the latter.
const UNKNOWN_CAUSE: &str = "UNKNOWN";

impl Figures {
    /// The number of cancelled signals by the name of the cause, of causes that there were.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        named(self.cancelled_by)
    }
}

fn named(counts: [u64; CAUSES]) -> impl Iterator<Item = (&'static str, u64)> {
    let names = CancelCause::ALL.into_iter().map(CancelCause::as_str).chain([UNKNOWN_CAUSE]);
    names.zip(counts).filter(|(_, count)| *count > 0)
}

fn causes<S: serde::Serializer>(counts: &[u64; CAUSES], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(named(*counts))
}

fn low_and_high<S: serde::Serializer>(interval: &(f64, f64), to: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&serde_json::json!({ "low": interval.0, "high": interval.1 }), to)
}

fn low_and_high_if_any<S: serde::Serializer>(interval: &Option<(f64, f64)>, to: S) -> Result<S::Ok, S::Error> {
    match interval {
        Some(interval) => low_and_high(interval, to),
        None => to.serialize_none(),
    }
}
