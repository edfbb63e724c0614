//! Events as JSON, in the shapes of `LoopEvent` in the declarations for TypeScript: for `onEvent`, and for alerts.

use super::status::present;
use super::{Event, FetchProgress, ModelChange, run_to_json};
use domain::barrier::{Event as TradeEvent, What};
use domain::symbol::Market;
use domain::time::format_iso;
use feedback::{ChangedSignal, ClosedSignal, IgnoredPrices};
use learning::performance::Turn;
use serde_json::{Value, json};

/// An event that happened at `at_ms`, UTC epoch ms, as JavaScript sees it. `dropped` is the number of events that its listener
/// missed before.
pub fn event_to_json(event: &Event, at_ms: i64, dropped: u64) -> Value {
    let mut told = match event {
        Event::SignalClosed(signal) => json!({ "type": "signalClosed", "signal": closed_signal_to_json(signal) }),
        Event::SignalChanged(changed) => json!({
            "type": "signalChanged",
            "signal": changed_signal(changed),
            "events": changed.events.iter().map(trade_event_to_json).collect::<Vec<_>>(),
        }),
        Event::ModelPromoted(change) => model("modelPromoted", change),
        Event::ModelRefused(change) => model("modelRefused", change),
        Event::ModelRolledBack(change) => model("modelRolledBack", change),
        Event::OutcomeDrift(market, drift) => json!({
            "type": "drift", "scope": "outcomes", "symbol": market.symbol, "timeframe": market.timeframe,
            "since": format_iso(drift.since_ms), "successBefore": drift.before, "successSince": drift.since,
        }),
        Event::EntryDrift { market, since_ms, quantities } => json!({
            "type": "drift", "scope": "entries", "symbol": market.symbol, "timeframe": market.timeframe,
            "since": format_iso(*since_ms),
            "quantities": quantities.iter().map(|one| {
                json!({ "name": one.name, "distance": one.distance, "pValue": one.p_value })
            }).collect::<Vec<_>>(),
        }),
        Event::ConservativeMode { scope, turn, evidence, reason } => json!({
            "type": "conservativeMode",
            "active": *turn == Turn::Entered,
            "scope": scope.as_ref().map_or_else(|| "home".to_owned(), Market::to_string),
            "cause": turn,
            "reason": reason,
            "closedSignals": evidence.closed,
            "successRate": evidence.success_rate(),
            "expectancy": evidence.mean_profit,
        }),
        Event::EmergencyTrainingStarted(markets) => {
            json!({ "type": "emergencyTraining", "phase": "started", "markets": names(markets) })
        }
        Event::EmergencyTrainingFinished { markets, trained } => json!({
            "type": "emergencyTraining", "phase": "finished", "markets": names(markets), "trained": names(trained),
        }),
        Event::TaskStarted { task, attempt } => json!({ "type": "taskStarted", "task": task, "attempt": attempt }),
        Event::TaskProgress { task, market, done, total } => json!({
            "type": "taskProgress", "task": task, "symbol": market.symbol, "timeframe": market.timeframe,
            "done": done, "total": total,
        }),
        Event::FetchProgress(progress) => fetch_progress(progress),
        Event::TaskFinished { task, run } => json!({ "type": "taskFinished", "task": task, "run": run_to_json(run) }),
        Event::TaskFailed { task, run, retry_ms } => {
            let mut failed = json!({ "type": "taskFailed", "task": task, "run": run_to_json(run) });
            if let Some(retry_ms) = retry_ms {
                failed["retryAt"] = json!(format_iso(*retry_ms));
            }
            failed
        }
        Event::PricesIgnored(IgnoredPrices { symbol, news }) => json!({
            "type": "pricesIgnored", "symbol": symbol, "count": news.count, "over": news.over,
            "time": format_iso(news.time_ms), "newest": format_iso(news.newest_ms),
        }),
        Event::Warning(message) => json!({ "type": "warning", "message": message }),
    };
    told["at"] = json!(format_iso(at_ms));
    if dropped > 0 {
        told["dropped"] = json!(dropped);
    }
    told
}

/// A closed signal.
pub fn closed_signal_to_json(closed: &ClosedSignal) -> Value {
    let earned = &closed.earned;
    let fills = earned.fills.iter().map(|fill| {
        present(json!({
            "kind": fill.kind.as_str(), "price": fill.price, "share": fill.share, "edge": fill.edge,
            "at": format_iso(fill.at_ms),
        }))
    });
    present(json!({
        "id": closed.id,
        "symbol": closed.symbol,
        "timeframe": closed.timeframe,
        "signalType": closed.direction,
        "strategy": closed.strategy,
        "taken": closed.taken,
        "outcome": closed.outcome,
        "entryPrice": closed.entry_price,
        "exitPrice": closed.exit_price,
        "profitLossPercent": closed.profit_percent,
        "fills": fills.collect::<Vec<_>>(),
        "netProfitPercent": earned.net_profit_percent,
        "netMarginPercent": earned.net_margin_percent,
        "realizedR": earned.realized_r,
        "mfeR": earned.mfe_r,
        "maeR": earned.mae_r,
        "holdingMs": earned.holding_ms,
        "timestamp": format_iso(closed.timestamp_ms),
        "closedAt": format_iso(closed.closed_ms),
    }))
}

/// An event in the life of a signal.
pub fn trade_event_to_json(event: &TradeEvent) -> Value {
    let mut told = match &event.what {
        What::Filled { price, edge } => json!({ "type": "filled", "price": price, "edge": edge }),
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
        What::Cancelled { cause, reason, replaced_by } => {
            json!({ "type": "cancelled", "cause": cause, "reason": reason, "replacedBy": replaced_by })
        }
    };
    told["at"] = json!(format_iso(event.at));
    present(told)
}

fn changed_signal(changed: &ChangedSignal) -> Value {
    let mut told = json!({
        "id": changed.id, "symbol": changed.symbol, "timeframe": changed.timeframe, "signalType": changed.direction,
        "taken": changed.taken, "status": changed.status.as_str(),
    });
    if let Some(strategy) = &changed.strategy {
        told["strategy"] = json!(strategy);
    }
    told
}

fn model(kind: &str, change: &ModelChange) -> Value {
    let ModelChange { market, version, reason } = change;
    json!({
        "type": kind, "symbol": market.symbol, "timeframe": market.timeframe, "version": version, "reason": reason,
    })
}

fn fetch_progress(progress: &FetchProgress) -> Value {
    let FetchProgress { market, fetched, missing, remaining_s } = progress;
    let mut told = json!({
        "type": "fetchProgress", "symbol": market.symbol, "timeframe": market.timeframe, "fetched": fetched,
    });
    if let Some(missing) = missing {
        told["missing"] = json!(missing);
    }
    if let Some(seconds) = remaining_s {
        told["remainingSeconds"] = json!(seconds.ceil());
    }
    told
}

fn names(markets: &[Market]) -> Vec<String> {
    markets.iter().map(Market::to_string).collect()
}
