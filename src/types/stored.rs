//! A recorded signal with its history, in the shapes of `StoredSignal` and `SignalEvent` in `header.d.ts`.

use domain::barrier::{Status, StopRules, Target, Terms, Trade, TrailBy};
use domain::signal::{Costs, Record, Signal};
use domain::time::format_iso;
use engine::{closed_signal_to_json, trade_event_to_json};
use serde_json::{Map, Value, json};

/// Without members that are null.
fn present(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

/// A recorded signal. `costs` count where it states none.
pub fn stored_signal(record: &Record, costs: &Costs) -> Value {
    let trade = record.trade().or_else(|| Some(Trade::new(record.signal.levels()?, &Terms::default())));
    // A plain signal has no events of its own.
    let status = match &record.closing {
        Some(closing) if closing.outcome == domain::barrier::Outcome::Cancelled => Some(Status::Cancelled),
        Some(_) => Some(Status::Closed),
        None => trade.as_ref().map(Trade::status),
    };
    let position = trade.filter(|_| record.closing.is_none()).map(|trade| position(&trade));
    let closed = feedback::ClosedSignal::of(record, costs).as_ref().map(closed_signal_to_json);
    present(json!({
        "signal": given(&record.signal),
        "status": status.map(Status::as_str),
        "history": record.history.iter().map(trade_event_to_json).collect::<Vec<_>>(),
        "position": position,
        "closed": closed,
    }))
}

/// Where a signal stands that has not ended.
fn position(trade: &Trade) -> Value {
    let levels = trade.levels();
    let entered_ms = trade.entered_ms();
    present(json!({
        "enteredAt": entered_ms.map(format_iso),
        "entryPrice": entered_ms.map(|_| levels.entry),
        "stopLoss": levels.stop_loss,
        "takeProfits": trade.targets(),
        "targetsReached": trade.reached(),
        "openShare": trade.left(),
        "expiresAt": levels.expires_ms.map(format_iso),
    }))
}

/// A signal under the names of `SignalInput`.
fn given(signal: &Signal) -> Value {
    let Signal { terms, position, .. } = signal;
    let terms = terms.as_deref();
    let mut told = Map::new();
    // The caller's own keys first, so that none of them hides a known one.
    told.extend(signal.extra.clone());
    let members = json!({
        "id": signal.id,
        "pair": signal.symbol,
        "timeframe": signal.timeframe,
        "signalType": signal.direction.map_or("HOLD", |direction| direction.as_str()),
        "confidence": signal.confidence,
        "entryPrice": signal.entry_price.filter(|_| terms.is_none_or(|terms| terms.zone.is_none())),
        "entryType": terms.map(|terms| terms.entry.as_str()),
        "entryZone": terms.and_then(|terms| terms.zone),
        "entryExpiresAt": terms.and_then(|terms| terms.entry_expires_at).map(format_iso),
        "stopLoss": signal.stop_loss,
        "takeProfit": signal.take_profit,
        "takeProfits": terms.map(|terms| &terms.targets).filter(|targets: &&Vec<Target>| !targets.is_empty()),
        "stopRules": terms.and_then(|terms| stop_rules(&terms.rules)),
        "timestamp": format_iso(signal.timestamp_ms),
        "expiresAt": signal.expires_ms.map(format_iso),
        "strategy": signal.strategy,
        "source": signal.source,
        "tags": Some(&signal.tags).filter(|tags| !tags.is_empty()),
        "leverage": position.leverage,
        "feeBps": position.fee_bps,
        "fundingBpsPerDay": position.funding_bps_per_day,
        "quantity": position.quantity,
        "taken": signal.taken,
        "indicators": Some(&signal.indicators).filter(|indicators| !indicators.is_empty()),
    });
    if let Value::Object(members) = present(members) {
        told.extend(members);
    }
    Value::Object(told)
}

fn stop_rules(rules: &StopRules) -> Option<Value> {
    if *rules == StopRules::default() {
        return None;
    }
    let trail = rules.trail.map(|trail| {
        let (by, amount) = match trail.by {
            TrailBy::Percent(percent) => ("percent", percent),
            TrailBy::Distance(distance) => ("distance", distance),
            TrailBy::Atr(multiple) => ("atr", multiple),
        };
        present(json!({ by: amount, "activateAtR": trail.activate_at_r }))
    });
    let steps = rules.move_to.iter().map(|step| json!({ "afterTarget": step.after_target, "price": step.price }));
    Some(present(json!({
        "breakEvenAfterTarget": rules.break_even_after_target,
        "breakEvenCostsPercent": Some(rules.break_even_costs_percent).filter(|percent| *percent > 0.0),
        "trail": trail,
        "moveTo": (!rules.move_to.is_empty()).then(|| steps.collect::<Vec<_>>()),
    })))
}
