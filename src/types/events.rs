//! Events, in the shapes of `LoopEvent` in `header.d.ts`.

use super::{ClosedSignal, trade_event, word};
use domain::symbol::Market;
use domain::time::format_iso;
use engine::{Event, FetchProgress, ModelChange, run_to_json};
use feedback::{ChangedSignal, IgnoredPrices};
use learning::performance::Turn;
use serde_json::{Value, json};

/// An event as JavaScript sees it.
pub fn event(event: &Event, at_ms: i64, dropped: u64) -> Value {
    let mut told = match event {
        Event::SignalClosed(signal) => json!({ "type": "signalClosed", "signal": ClosedSignal::from(signal.clone()) }),
        Event::SignalChanged(changed) => json!({
            "type": "signalChanged",
            "signal": changed_signal(changed),
            "events": changed.events.iter().map(trade_event).collect::<Vec<_>>(),
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
            "cause": word(turn),
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
