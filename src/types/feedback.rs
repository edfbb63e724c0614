//! Signals, closings, statistics, and the state of the store.

use super::word;
use domain::time::format_iso;
use feedback::{self, Figures};
use napi::bindgen_prelude::{Env, JsObjectValue, Object, ToNapiValue, sys};
use napi_derive::napi;
use std::collections::BTreeMap;

/// Whether a price closes a signal, and the profit at that price. The TypeScript type is a union, which napi cannot generate; it
/// is in `header.d.ts`.
pub struct CloseDecision(engine::EvaluatedPrice);

impl From<engine::EvaluatedPrice> for CloseDecision {
    fn from(price: engine::EvaluatedPrice) -> Self {
        Self(price)
    }
}

impl ToNapiValue for CloseDecision {
    unsafe fn to_napi_value(env: sys::napi_env, Self(price): Self) -> napi::Result<sys::napi_value> {
        let mut object = Object::new(&Env::from(env))?;
        object.set_named_property("shouldClose", price.should_close)?;
        object.set_named_property("outcome", price.outcome.as_str())?;
        object.set_named_property("profitLoss", price.profit_percent)?;
        // SAFETY: the object was just made in this env.
        unsafe { Object::to_napi_value(env, object) }
    }
}

/// An event in the life of a signal, in the shape of `SignalEvent` in `header.d.ts`.
pub fn trade_event(event: &domain::barrier::Event) -> serde_json::Value {
    use domain::barrier::What;
    use serde_json::json;
    let mut told = match &event.what {
        What::Filled { price } => json!({ "type": "filled", "price": price }),
        What::Target { number, price, share } => {
            json!({ "type": "target", "number": number, "price": price, "share": share })
        }
        What::Stop { price, cause } => json!({ "type": "stop", "price": price, "cause": cause }),
        What::Reduced { price, share } => json!({ "type": "reduced", "price": price, "share": share }),
        What::Amended { stop_loss, take_profits, expires_at, reason } => json!({
            "type": "amended", "stopLoss": stop_loss, "takeProfits": take_profits,
            "expiresAt": expires_at.map(format_iso), "reason": reason,
        }),
        What::Exit { price, share, cause } => json!({ "type": "exit", "price": price, "share": share, "cause": cause }),
        What::Cancelled { cause, reason } => json!({ "type": "cancelled", "cause": cause, "reason": reason }),
    };
    told["at"] = json!(format_iso(event.at));
    if let Some(members) = told.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    told
}

/// A signal that was just closed.
#[napi(object)]
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// `false`: the signal was followed but not traded, so there is no position to close.
    pub taken: bool,
    /// Its outcome.
    #[napi(ts_type = "Exclude<Outcome, 'ACTIVE'>")]
    pub outcome: String,
    /// Its entry price.
    pub entry_price: f64,
    /// The price at which it closed; missing if it was closed manually without one, or if the outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_price: Option<f64>,
    /// Profit in percent of the entry price, before costs; 0 if the outcome is unknown.
    pub profit_loss_percent: f64,
    /// When it was given, ISO 8601, UTC.
    pub timestamp: String,
    /// When it closed, ISO 8601, UTC.
    pub closed_at: String,
}

impl From<feedback::ClosedSignal> for ClosedSignal {
    fn from(c: feedback::ClosedSignal) -> Self {
        Self {
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

/// Percent, 0-100.
#[napi(object)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Figures of a set of signals. HOLDs count only in `holdSignals`. Signals with `taken: false` count only in `followed` of {@link
/// PerformanceStats}.
#[napi(object)]
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
    /// Mean profit of the closed signals after costs (`fee_bps`), percent of entry.
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
}

impl From<Figures> for Performance {
    fn from(f: Figures) -> Self {
        Self {
            total_signals: f.total as f64,
            active_signals: f.active as f64,
            closed_signals: f.closed as f64,
            unknown_signals: f.unknown as f64,
            hold_signals: f.hold as f64,
            successful_signals: f.successes as f64,
            failed_signals: f.failures as f64,
            took_profit: f.took_profit as f64,
            stopped_out: f.stopped_out as f64,
            success_rate: f.success_rate,
            success_interval: Interval { low: f.success_interval.0, high: f.success_interval.1 },
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
pub struct PerformanceStats {
    /// All signals.
    pub overall: Performance,
    /// By symbol, normalised.
    pub by_symbol: BTreeMap<String, Performance>,
    /// By timeframe.
    pub by_timeframe: BTreeMap<String, Performance>,
    /// By strategy; signals without a strategy are not included.
    pub by_strategy: BTreeMap<String, Performance>,
    /// Signals that were followed but not traded (`taken: false`); they count in no other figure.
    pub followed: Performance,
    /// Conservative mode of the selected home or market now, regardless of the period.
    pub conservative_mode: ConservativeMode,
    /// Prices and candles that this process has ignored since it opened the home, regardless of period and timeframe, because a
    /// later one of the same pair had been seen. If above 0, check the times you pass, or whether a clock was set back.
    pub ignored_prices: f64,
}

/// Conservative mode: recent signals did poorly, so bets must meet a stricter rule until results recover. See
/// `docs/live-results.md`.
#[napi(object)]
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
    /// The figures, together with the conservative mode.
    pub fn of(s: feedback::Stats, mode: engine::ConservativeMode) -> Self {
        Self {
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
