//! Signals, closings, statistics, and the state of the store.

use super::word;
use domain::signal::FillKind;
use domain::time::format_iso;
use feedback::{self, Figures};
use napi::bindgen_prelude::{Env, JsObjectValue, Object, ToNapiValue, sys};
use napi_derive::napi;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether a price closes a signal, and the profit at that price. The TypeScript type is a union, which napi cannot generate; it
/// is in `header.d.ts`.
pub struct CloseDecision {
    price: engine::EvaluatedPrice,
    /// `None` for a plain signal.
    managed: Option<engine::EvaluatedTrade>,
}

impl From<engine::EvaluatedPrice> for CloseDecision {
    fn from(price: engine::EvaluatedPrice) -> Self {
        Self { price, managed: None }
    }
}

impl From<engine::EvaluatedTrade> for CloseDecision {
    fn from(trade: engine::EvaluatedTrade) -> Self {
        Self { price: trade.price, managed: Some(trade) }
    }
}

impl ToNapiValue for CloseDecision {
    unsafe fn to_napi_value(env: sys::napi_env, Self { price, managed }: Self) -> napi::Result<sys::napi_value> {
        let mut object = Object::new(&Env::from(env))?;
        object.set_named_property("shouldClose", price.should_close)?;
        object.set_named_property("outcome", price.outcome.as_str())?;
        object.set_named_property("profitLoss", price.profit_percent)?;
        if let Some(trade) = managed {
            object.set_named_property("status", trade.status.as_str())?;
            let events: Vec<Value> = trade.events.iter().map(engine::trade_event_to_json).collect();
            object.set_named_property("events", events)?;
            let unknown: Vec<&str> = trade.unknown.into_iter().map(engine::UnknownOfTrade::as_str).collect();
            object.set_named_property("unknown", unknown)?;
        }
        // SAFETY: the object was just made in this env.
        unsafe { Object::to_napi_value(env, object) }
    }
}

/// A signal that was just closed.
#[napi(object)]
pub struct ClosedSignal {
    /// Its id.
    pub id: String,
    /// Its symbol, normalised.
    pub symbol: String,
    /// Its timeframe.
    #[napi(ts_type = "Timeframe")]
    pub timeframe: String,
    /// Its direction.
    #[napi(ts_type = "'BUY' | 'SELL'")]
    pub signal_type: String,
    /// Its strategy, if the signal named one.
    pub strategy: Option<String>,
    /// `false`: the signal was followed but not traded, so there is no position to close.
    pub taken: bool,
    /// Its outcome.
    #[napi(ts_type = "Exclude<Outcome, 'ACTIVE'>")]
    pub outcome: String,
    /// Its entry price as it was given; the price paid is in `fills`.
    pub entry_price: f64,
    /// The price at which it closed, the mean of its parts by their shares; missing if it was closed manually without one, if the
    /// outcome is unknown, and if it was cancelled.
    pub exit_price: Option<f64>,
    /// Profit in percent of the price paid, before costs: the sum over its parts of share × (exit − entry) / entry, for a SELL
    /// (entry − exit) / entry. 0 if the outcome is unknown, or if it was cancelled.
    pub profit_loss_percent: f64,
    /// Its entry and each part that was closed, oldest first; empty if it was never entered.
    pub fills: Vec<SignalFill>,
    /// `profitLossPercent` after costs: minus (fee + funding per day × days held) in basis points / 100, where each part pays
    /// funding for the time it was held. Costs are the signal's own, else the configured ones. Missing if the outcome is unknown,
    /// if it was cancelled, or if nobody knows when it was entered.
    pub net_profit_percent: Option<f64>,
    /// `netProfitPercent` × leverage: percent of the margin. Missing without a leverage. A liquidation is not simulated.
    pub net_margin_percent: Option<f64>,
    /// The net profit in units of the risk at entry: `netProfitPercent` / (|entry − first stop| / entry × 100), with the price
    /// paid as entry. Missing without a stop loss.
    pub realized_r: Option<f64>,
    /// How far the price went for the signal while it was open, in units of the risk at entry, 0 or more (maximum favourable
    /// excursion). Missing if not every price from entry to end was seen.
    pub mfe_r: Option<f64>,
    /// How far it went against the signal, 0 or more (maximum adverse excursion).
    pub mae_r: Option<f64>,
    /// From the entry to the end, in milliseconds. Missing where `netProfitPercent` is.
    pub holding_ms: Option<f64>,
    /// When it was given, ISO 8601, UTC.
    pub timestamp: String,
    /// When it closed, ISO 8601, UTC.
    pub closed_at: String,
}

/// A purchase or sale of a signal's position.
#[napi(object)]
pub struct SignalFill {
    /// `ENTRY`: the position was entered. `TARGET`, `STOP`, `EXPIRY`: a rule closed a part, or the rest. `HAND`: you did.
    #[napi(ts_type = "'ENTRY' | 'TARGET' | 'STOP' | 'EXPIRY' | 'HAND'")]
    pub kind: String,
    /// The price; missing where you gave only a profit.
    pub price: Option<f64>,
    /// The part, in percent of the whole position.
    pub share: f64,
    /// Where in its `entryZone` the position was entered: at its `LOW` or `HIGH` edge, or `WITHIN`. Missing for other fills.
    #[napi(ts_type = "'LOW' | 'HIGH' | 'WITHIN'")]
    pub edge: Option<String>,
    /// When, ISO 8601, UTC. Inside a candle: its end.
    pub at: String,
}

impl From<feedback::ClosedSignal> for ClosedSignal {
    fn from(c: feedback::ClosedSignal) -> Self {
        let fill = |fill: domain::signal::Fill| SignalFill {
            kind: FillKind::as_str(fill.kind).to_owned(),
            price: fill.price,
            share: fill.share,
            edge: fill.edge.map(|edge| edge.as_str().to_owned()),
            at: format_iso(fill.at_ms),
        };
        let earned = c.earned;
        Self {
            fills: earned.fills.into_iter().map(fill).collect(),
            net_profit_percent: earned.net_profit_percent,
            net_margin_percent: earned.net_margin_percent,
            realized_r: earned.realized_r,
            mfe_r: earned.mfe_r,
            mae_r: earned.mae_r,
            holding_ms: earned.holding_ms.map(|ms| ms as f64),
            id: c.id,
            symbol: c.symbol.to_string(),
            timeframe: c.timeframe.to_string(),
            signal_type: word(c.direction),
            strategy: c.strategy,
            taken: c.taken,
            outcome: word(c.outcome),
            entry_price: c.entry_price,
            exit_price: c.exit_price,
            profit_loss_percent: c.profit_percent,
            timestamp: format_iso(c.timestamp_ms),
            closed_at: format_iso(c.closed_ms),
        }
    }
}

/// A 95 % interval, in the unit of what it is of: percent, 0-100, for a rate.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Figures of a set of signals. HOLDs count only in `holdSignals`. Signals with `taken: false` count only in `followed` of {@link
/// PerformanceStats}.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// Signals given: open, closed, and those whose outcome is unknown.
    pub total_signals: f64,
    /// Open now.
    pub active_signals: f64,
    /// Closed, without those whose outcome is unknown.
    pub closed_signals: f64,
    /// Closed as UNKNOWN; they count in no other figure except the total.
    pub unknown_signals: f64,
    /// HOLDs stored.
    pub hold_signals: f64,
    /// Waiting for their entry; they count in no other figure.
    pub pending_signals: f64,
    /// Ended before they were entered; they count in no other figure except `fillRate`.
    pub cancelled_signals: f64,
    /// Cancelled signals by cause: `ENTRY_EXPIRED`, `TARGET_BEFORE_ENTRY`, `STOP_BEFORE_ENTRY`, `BY_HAND`, `REPLACED`; `UNKNOWN` of
    /// signals that were recorded as cancelled. Only causes that there were.
    pub cancelled_by: BTreeMap<String, f64>,
    /// Percent of the signals that waited for their entry, and do not any more, that were entered; missing without any.
    pub fill_rate: Option<f64>,
    /// Closed as TOOK_PROFIT or SUCCESS.
    pub successful_signals: f64,
    /// Closed as STOPPED_OUT or FAILURE.
    pub failed_signals: f64,
    /// Closed as TOOK_PROFIT.
    pub took_profit: f64,
    /// Closed as STOPPED_OUT.
    pub stopped_out: f64,
    /// Percent of the closed signals that succeeded; 0 if none closed.
    pub success_rate: f64,
    /// Wilson's 95 % interval of the success rate, in percent.
    pub success_interval: Interval,
    /// Break-even success rate in percent: the rate at which wins and losses of the average realised size cover the costs;
    /// missing without at least one of each.
    pub break_even_rate: Option<f64>,
    /// Mean profit of the closed signals, percent of entry, before costs.
    pub average_profit_loss: f64,
    /// Mean profit of the signals with a profit, percent of entry, before costs; 0 if there are none.
    pub average_profit: f64,
    /// Mean profit (negative) of the signals without a profit, percent of entry, before costs; 0 if there are none.
    pub average_loss: f64,
    /// Mean profit of the closed signals after costs, percent of entry. Costs are the signal's own, else the configured ones: fee,
    /// and funding for the time that it was held.
    pub expectancy: f64,
    /// Sum of profits divided by sum of losses; missing if there were no losses.
    pub profit_factor: Option<f64>,
    /// Sum of the profits, percent points, before costs.
    pub total_profit_loss: f64,
    /// Deepest fall of the running sum of profits, percent points.
    pub max_drawdown: f64,
    /// Best profit in percent.
    pub best_profit_loss: Option<f64>,
    /// Worst profit in percent.
    pub worst_profit_loss: Option<f64>,
    /// Mean `confidence` of the closed signals, percent.
    pub average_confidence: f64,
    /// The most successes in a row, in order of closing.
    pub longest_success_streak: f64,
    /// The most failures in a row.
    pub longest_failure_streak: f64,
    /// The newest results in a row: 3 for three successes, -2 for two failures; 0 if none closed.
    pub current_streak: f64,
    /// Closed signals with a stop. Only they have a result in R: profit after costs, as in `expectancy`, in units of the risk at
    /// entry, `(profit - costs) / (100 * |entry - stop| / entry)`.
    pub signals_with_stop: f64,
    /// Sum of the results in R; missing if no closed signal had a stop.
    pub total_r: Option<f64>,
    /// Mean result in R; missing if no closed signal had a stop.
    pub average_r: Option<f64>,
    /// System quality number (Van Tharp): `sqrt(min(n, 100)) * mean / standard deviation` of the `n` results in R. Missing with
    /// fewer than 30, as Van Tharp asks for: it is a t statistic, whose distribution is about normal from there on.
    pub sqn: Option<f64>,
    /// Calendar days (UTC) from the first closing to the last, both included; 0 if none closed. The ratios below need a number of
    /// them, and 30 days with a closing.
    pub span_days: f64,
    /// Sharpe ratio of a year: `sqrt(365) * mean / standard deviation` of the profits after costs by calendar day (UTC). The profit
    /// of a day is the sum over the signals that closed on it, in percentage points of the same stake each, so no interest is
    /// subtracted; days without a closing count as 0. Missing below 90 days: its standard error is about `sqrt(365 / days)`, so
    /// over fewer even a ratio of 4 is luck.
    pub sharpe_ratio: Option<f64>,
    /// The 95 % interval of the Sharpe ratio (Lo, 2002), if days do not depend on each other.
    pub sharpe_interval: Option<Interval>,
    /// Sortino ratio of a year: `sqrt(365) * mean / sqrt(sum(min(0, profit)^2) / days)` of the same days. Missing below 90 days, and
    /// with fewer than 10 days with a loss, from which its denominator comes.
    pub sortino_ratio: Option<f64>,
    /// Calmar ratio: profit of a year after costs, divided by the deepest fall of its running sum. Missing below 180 days: the
    /// profit of a year is extrapolated, the deepest fall is not and grows with time, so a shorter history flatters. Missing
    /// without a fall.
    pub calmar_ratio: Option<f64>,
}

impl From<Figures> for Performance {
    fn from(f: Figures) -> Self {
        Self {
            total_signals: f.total as f64,
            active_signals: f.active as f64,
            closed_signals: f.closed as f64,
            unknown_signals: f.unknown as f64,
            hold_signals: f.hold as f64,
            pending_signals: f.pending as f64,
            cancelled_signals: f.cancelled as f64,
            cancelled_by: f.causes().map(|(cause, count)| (cause.to_owned(), count as f64)).collect(),
            fill_rate: f.fill_rate,
            successful_signals: f.successes as f64,
            failed_signals: f.failures as f64,
            took_profit: f.took_profit as f64,
            stopped_out: f.stopped_out as f64,
            success_rate: f.success_rate,
            success_interval: f.success_interval.into(),
            break_even_rate: f.break_even_rate,
            average_profit_loss: f.average_profit,
            average_profit: f.average_win,
            average_loss: f.average_loss,
            expectancy: f.expectancy,
            profit_factor: f.profit_factor,
            total_profit_loss: f.total_profit,
            max_drawdown: f.max_drawdown,
            best_profit_loss: f.best,
            worst_profit_loss: f.worst,
            average_confidence: f.average_confidence,
            longest_success_streak: f.longest_success_streak as f64,
            longest_failure_streak: f.longest_failure_streak as f64,
            current_streak: f.current_streak as f64,
            signals_with_stop: f.signals_with_stop as f64,
            total_r: f.total_r,
            average_r: f.average_r,
            sqn: f.sqn,
            span_days: f.span_days as f64,
            sharpe_ratio: f.sharpe_ratio,
            sharpe_interval: f.sharpe_interval.map(Interval::from),
            sortino_ratio: f.sortino_ratio,
            calmar_ratio: f.calmar_ratio,
        }
    }
}

/// The seven figures of the old system's `get_performance_stats()`, with its names and its rounding to a tenth.
#[napi(object)]
pub struct PerformanceTotals {
    /// Signals given, open or closed, without HOLDs.
    #[napi(js_name = "total_signals")]
    pub total_signals: f64,
    /// Closed.
    #[napi(js_name = "closed_signals")]
    pub closed_signals: f64,
    /// Closed as TOOK_PROFIT or SUCCESS.
    pub successful: f64,
    /// Closed as STOPPED_OUT or FAILURE.
    pub failed: f64,
    /// Percent of the closed signals that succeeded; 0 if none closed.
    #[napi(js_name = "success_rate")]
    pub success_rate: f64,
    /// Mean profit of the closed signals, percent of entry, before costs.
    #[napi(js_name = "avg_profit_loss")]
    pub avg_profit_loss: f64,
    /// Sum of the profits, percent points, before costs.
    #[napi(js_name = "total_return")]
    pub total_return: f64,
}

impl From<feedback::Totals> for PerformanceTotals {
    fn from(t: feedback::Totals) -> Self {
        Self {
            total_signals: t.total_signals as f64,
            closed_signals: t.closed_signals as f64,
            successful: t.successful as f64,
            failed: t.failed as f64,
            success_rate: t.success_rate,
            avg_profit_loss: t.avg_profit_loss,
            total_return: t.total_return,
        }
    }
}

/// The results of the signals of a period.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceStats {
    /// All signals.
    pub overall: Performance,
    /// By symbol, normalised.
    pub by_symbol: BTreeMap<String, Performance>,
    /// By timeframe.
    pub by_timeframe: BTreeMap<String, Performance>,
    /// By strategy; signals without a strategy are not included.
    pub by_strategy: BTreeMap<String, Performance>,
    /// By direction; without one that no signal had.
    #[napi(ts_type = "Partial<Record<'BUY' | 'SELL', Performance>>")]
    pub by_signal_type: BTreeMap<String, Performance>,
    /// By month (UTC), such as `2026-03`, oldest first. A signal counts in the month in which it closed; an open one, and a HOLD, in
    /// that in which it was given. Months without signals are missing.
    pub by_month: BTreeMap<String, Performance>,
    /// How long signals were open until they closed.
    pub holding_times: HoldingTimes,
    /// How long closed signals waited for their entry; missing if none did.
    pub time_to_fill: Option<HoldingTime>,
    /// What each target, and each way of closing the rest, brought to closed signals with two targets or more; missing without any.
    pub profit_by_part: Option<ProfitByPart>,
    /// How much of the time signals were open, until now. Missing without signals, and for less than a day.
    pub exposure: Option<Exposure>,
    /// Signals that were followed but not traded (`taken: false`); they count in no other figure.
    pub followed: Performance,
    /// Conservative mode of the selected home or market now, regardless of the period.
    pub conservative_mode: ConservativeMode,
    /// Prices and candles that this process has ignored since it opened the home, regardless of period and timeframe, because a
    /// later one of the same pair had been seen. If above 0, check the times you pass, or whether a clock was set back.
    pub ignored_prices: f64,
}

/// How long signals were open until they closed. Signals without profit or loss, and of unknown outcome, are in neither part.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldingTimes {
    /// Signals with a profit; missing without any.
    pub wins: Option<HoldingTime>,
    /// Signals with a loss; missing without any.
    pub losses: Option<HoldingTime>,
}

/// How long something took.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldingTime {
    /// The number of signals.
    pub signals: f64,
    /// Mean, ms.
    pub mean_ms: f64,
    /// Median, ms; within 3.2 % of the exact one.
    pub median_ms: f64,
}

/// What the parts of closed signals with two targets or more brought. Signals that were recorded with their end are not among them:
/// nobody knows their parts.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfitByPart {
    /// The number of signals.
    pub signals: f64,
    /// Each target, nearest first.
    pub targets: Vec<TargetPart>,
    /// What the stop closed, wherever it had moved; missing without any.
    pub stop: Option<ClosedPart>,
    /// What the expiry closed; missing without any.
    pub expiry: Option<ClosedPart>,
    /// What you closed; missing without any.
    pub hand: Option<ClosedPart>,
}

/// What a target brought.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetPart {
    /// Its number, from 1 for the nearest.
    pub number: f64,
    /// The signals that had it.
    pub signals: f64,
    /// Those that reached it.
    pub reached: f64,
    /// The same in percent. Missing with fewer than 12 signals that had it: over fewer, its interval may span more than half of the
    /// scale.
    pub reached_rate: Option<f64>,
    /// Wilson's 95 % interval of that rate, in percent.
    pub reached_interval: Option<Interval>,
    /// What was closed there; missing if it was never reached.
    pub part: Option<ClosedPart>,
}

/// What was closed in one way. Profits are before costs, in percentage points of the price paid for the whole position, so those of
/// all parts add up to the profits of the signals.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedPart {
    /// The number of signals.
    pub signals: f64,
    /// How much of a position was closed so, in percent: the mean over these signals.
    pub average_share: f64,
    /// What that added to the profit of such a signal: the mean.
    pub average_profit_loss: f64,
    /// The same, summed up.
    pub total_profit_loss: f64,
}

impl From<feedback::ProfitByPart> for ProfitByPart {
    fn from(parts: feedback::ProfitByPart) -> Self {
        Self {
            signals: parts.signals as f64,
            targets: parts.targets.into_iter().map(TargetPart::from).collect(),
            stop: parts.stop.map(ClosedPart::from),
            expiry: parts.expiry.map(ClosedPart::from),
            hand: parts.hand.map(ClosedPart::from),
        }
    }
}

impl From<feedback::TargetPart> for TargetPart {
    fn from(target: feedback::TargetPart) -> Self {
        Self {
            number: target.number as f64,
            signals: target.signals as f64,
            reached: target.reached as f64,
            reached_rate: target.reached_rate,
            reached_interval: target.reached_interval.map(Interval::from),
            part: target.part.map(ClosedPart::from),
        }
    }
}

impl From<feedback::ClosedPart> for ClosedPart {
    fn from(part: feedback::ClosedPart) -> Self {
        Self {
            signals: part.signals as f64,
            average_share: part.average_share,
            average_profit_loss: part.average_profit,
            total_profit_loss: part.total_profit,
        }
    }
}

/// How much of a period signals were open.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// Start of the period: as requested, or when the first signal was given if none was given before; ISO 8601, UTC.
    pub from: String,
    /// Its end, ISO 8601, UTC.
    pub until: String,
    /// Time with at least one open signal, percent of the period.
    pub open_time_percent: f64,
    /// Mean number of signals open at a time.
    pub average_open: f64,
}

impl From<(f64, f64)> for Interval {
    fn from((low, high): (f64, f64)) -> Self {
        Self { low, high }
    }
}

impl From<feedback::HoldingTime> for HoldingTime {
    fn from(time: feedback::HoldingTime) -> Self {
        Self { signals: time.signals as f64, mean_ms: time.mean_ms, median_ms: time.median_ms }
    }
}

impl From<feedback::HoldingTimes> for HoldingTimes {
    fn from(times: feedback::HoldingTimes) -> Self {
        Self { wins: times.wins.map(HoldingTime::from), losses: times.losses.map(HoldingTime::from) }
    }
}

impl From<feedback::Exposure> for Exposure {
    fn from(exposure: feedback::Exposure) -> Self {
        Self {
            from: format_iso(exposure.from_ms),
            until: format_iso(exposure.until_ms),
            open_time_percent: exposure.open_time_percent,
            average_open: exposure.average_open,
        }
    }
}

/// Conservative mode: recent signals did poorly, so bets must meet a stricter rule until results recover. See
/// `docs/live-results.md`.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConservativeMode {
    /// The home or the selected market is in conservative mode.
    pub active: bool,
    /// Since when, ISO 8601, UTC; the earliest if there are several.
    pub since: Option<String>,
    /// The results that led to it; the earliest if there are several.
    pub reason: Option<String>,
    /// What is in conservative mode: `home`, or a market, `BTCUSDT 1h`.
    pub scopes: Vec<String>,
}

impl From<engine::ConservativeMode> for ConservativeMode {
    fn from(mode: engine::ConservativeMode) -> Self {
        Self { active: mode.active, since: mode.since_ms.map(format_iso), reason: mode.reason, scopes: mode.scopes }
    }
}

impl PerformanceStats {
    /// The figures, together with the conservative mode, as of now.
    pub fn of(s: feedback::Stats, mode: engine::ConservativeMode, now_ms: i64) -> Self {
        Self {
            exposure: s.exposure(now_ms).map(Exposure::from),
            holding_times: s.holding.times().into(),
            time_to_fill: s.holding.time_to_fill().map(HoldingTime::from),
            profit_by_part: s.by_part.map(ProfitByPart::from),
            by_signal_type: s.by_direction.into_iter().map(|(d, figures)| (word(d), figures.into())).collect(),
            by_month: s.by_month.into_iter().map(|(month, figures)| (month.to_string(), figures.into())).collect(),
            overall: s.figures.into(),
            by_symbol: s.by_symbol.into_iter().map(|(symbol, figures)| (symbol.to_string(), figures.into())).collect(),
            by_timeframe: s.by_timeframe.into_iter().map(|(t, figures)| (t.to_string(), figures.into())).collect(),
            by_strategy: s.by_strategy.into_iter().map(|(name, figures)| (name, figures.into())).collect(),
            followed: s.followed.into(),
            conservative_mode: mode.into(),
            ignored_prices: s.ignored_prices as f64,
        }
    }
}

/// The result of importing a log.
#[napi(object)]
pub struct ImportReport {
    /// Lines that are not blank.
    pub lines: f64,
    /// New signals, including closed ones.
    pub imported: f64,
    /// Open signals that a line closed.
    pub closed: f64,
    /// Lines whose content is already stored.
    pub known: f64,
    /// Lines that could not be imported, in order.
    pub refused: Vec<RefusedLine>,
}

/// A line that could not be imported.
#[napi(object)]
pub struct RefusedLine {
    /// Its number in the file, from 1.
    pub line: f64,
    /// Why not.
    pub reason: String,
}

impl From<feedback::ImportReport> for ImportReport {
    fn from(r: feedback::ImportReport) -> Self {
        let refused = |r: feedback::RefusedLine| RefusedLine { line: r.line as f64, reason: r.reason };
        Self {
            lines: r.lines as f64,
            imported: r.imported as f64,
            closed: r.closed as f64,
            known: r.known as f64,
            refused: r.refused.into_iter().map(refused).collect(),
        }
    }
}

/// The result of compacting the log.
#[napi(object)]
pub struct Compaction {
    /// Length of the log before, in bytes.
    pub bytes_before: f64,
    /// Length after; the same if there was nothing to remove.
    pub bytes_after: f64,
}

impl From<feedback::Compaction> for Compaction {
    fn from(c: feedback::Compaction) -> Self {
        Self { bytes_before: c.bytes_before as f64, bytes_after: c.bytes_after as f64 }
    }
}

/// Damage found in the log, and what was done about it.
#[napi(object)]
pub struct Recovery {
    /// Bytes of an unfinished last line that were cut off; a copy is in `signals.quarantine.jsonl`.
    pub cut_bytes: f64,
    /// Complete last lines whose newline was missing and was added.
    pub completed: f64,
    /// Damaged lines in the log, including those copied aside earlier.
    pub damaged: f64,
    /// Lines that contradict an earlier line of the same signal; the earlier line stands.
    pub contradictions: f64,
    /// Damaged or contradicting lines newly copied to `signals.quarantine.jsonl`.
    pub set_aside: f64,
}

impl From<feedback::Recovery> for Recovery {
    fn from(r: feedback::Recovery) -> Self {
        Self {
            cut_bytes: r.cut_bytes as f64,
            completed: r.completed as f64,
            damaged: r.damaged as f64,
            contradictions: r.contradictions as f64,
            set_aside: r.set_aside as f64,
        }
    }
}
