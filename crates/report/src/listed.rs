//! Single signals: the newest open ones and where they stand, the newest closed ones and how they ended; and what moved the
//! probability that was stated of each when it was recorded.

use super::results::rounded;
use domain::barrier::{Direction, EntryKind, Event, Outcome, Status, Target, Terms, Trade, TrailBy, What, Zone};
use domain::error::Result;
use domain::signal::{Costs, Record, Said};
use domain::symbol::{Symbol, Timeframe};
use feedback::{FeedbackStore, StatsFilter};
use learning::outcomes::{Contribution, contributions};
use serde::Serialize;

/// Number of open signals listed.
const OPEN: usize = 50;
/// Number of closed signals listed.
const CLOSED: usize = 20;
/// Number of events listed of a signal: the newest.
const EVENTS: usize = 20;

/// Single signals, newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The open signals that were recorded last, also those that wait for their entry.
    pub open: Vec<SignalRow>,
    /// Number of open signals that are not listed.
    pub more_open: usize,
    /// The signals that closed last.
    pub closed: Vec<SignalRow>,
}

/// One signal. Prices are those of its pair; times are UTC epoch ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalRow {
    /// Its id.
    pub id: String,
    /// Its pair.
    pub symbol: Symbol,
    /// Its timeframe.
    pub timeframe: Timeframe,
    /// Its direction.
    pub signal_type: Option<Direction>,
    /// The strategy that gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Whether it was traded.
    pub taken: bool,
    /// `PENDING`, `OPEN`, `CLOSED` or `CANCELLED`.
    pub status: &'static str,
    /// When it was given.
    pub given_ms: i64,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Its entry price, or the fill of its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<f64>,
    /// Its stop, where that is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<f64>,
    /// Its next target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Where it stands, if it is a managed signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPart>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<EndPart>,
    /// What was said of it when it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidPart>,
}

/// Where a managed signal stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPart {
    /// How it is entered.
    pub entry_type: EntryKind,
    /// Where it is entered, instead of at a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Until when it waits for its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_expires_ms: Option<i64>,
    /// The stop at entry, which defines the risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_stop: Option<f64>,
    /// The targets reached: each with the price received and the part closed.
    pub reached: Vec<Target>,
    /// The targets not reached yet, nearest first.
    pub targets: Vec<Target>,
    /// The part that is open or waits, in percent.
    pub left: f64,
    /// The trailing stop, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail: Option<TrailPart>,
    /// The newest events, oldest first, in words.
    pub events: Vec<Told>,
    /// Number of earlier events.
    pub earlier_events: usize,
}

/// A trailing stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrailPart {
    /// How far it follows the best price.
    pub by: TrailBy,
    /// The price from which it follows.
    pub from: f64,
}

/// An event in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// When.
    pub at_ms: i64,
    /// What happened.
    pub what: String,
}

/// How a signal ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndPart {
    /// When.
    pub at_ms: i64,
    /// How.
    pub outcome: Outcome,
    /// Its profit after costs, percent of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profit: Option<f64>,
    /// The same in units of the risk at entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realized_r: Option<f64>,
}

/// What was said of a signal when it was recorded. Probabilities are 0–1.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaidPart {
    /// The stated probability of success.
    pub probability: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// Expected profit after costs in R.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_r: Option<f64>,
    /// Whether the advice was to take it.
    pub take: bool,
    /// Number of closed signals learned from by then.
    pub outcomes: u64,
    /// What moved the probability, step by step from even odds; empty where that was not stored.
    pub steps: Vec<Contribution>,
}

impl Listed {
    /// The signals that match a filter. `costs` count where a signal states none.
    ///
    /// # Errors
    /// [`domain::error::Error::Storage`], [`domain::error::Error::Closed`].
    pub fn of(store: &FeedbackStore, filter: &StatsFilter, costs: &Costs) -> Result<Self> {
        let rows = |records: &[Record]| records.iter().map(|record| SignalRow::of(record, costs)).collect();
        let (open, count) = store.newest_open(filter, OPEN)?;
        let closed = store.newest_closed(filter, CLOSED)?;
        Ok(Self { more_open: count - open.len(), open: rows(&open), closed: rows(&closed) })
    }
}

impl SignalRow {
    fn of(record: &Record, costs: &Costs) -> Self {
        let signal = &record.signal;
        let trade = record.trade();
        let status = match (&trade, &record.closing) {
            (Some(trade), None) => trade.status(),
            (_, Some(closing)) if closing.outcome == Outcome::Cancelled => Status::Cancelled,
            (_, Some(_)) => Status::Closed,
            (None, None) => Status::Open,
        };
        // Before its entry, a trade has the worst price that it may have.
        let now = trade.as_ref().filter(|trade| trade.entered_ms().is_some()).map(|trade| *trade.levels());
        let levels = now.or_else(|| signal.levels());
        Self {
            id: signal.id.clone(),
            symbol: signal.symbol.clone(),
            timeframe: signal.timeframe,
            signal_type: signal.direction,
            strategy: signal.strategy.clone(),
            taken: signal.taken,
            status: status.as_str(),
            given_ms: signal.timestamp_ms,
            expires_ms: trade.as_ref().map_or(signal.expires_ms, |trade| trade.levels().expires_ms),
            entry: levels.map(|levels| levels.entry),
            stop: trade.as_ref().map_or(signal.stop_loss, |trade| trade.levels().stop_loss),
            target: trade.as_ref().map_or(signal.take_profit, |trade| trade.levels().take_profit),
            managed: trade.as_ref().map(|trade| ManagedPart::of(record, trade)),
            end: EndPart::of(record, costs),
            said: record.said.as_ref().map(SaidPart::of),
        }
    }
}

impl ManagedPart {
    fn of(record: &Record, trade: &Trade) -> Self {
        let plain = Terms::default();
        let terms = record.signal.terms.as_deref().unwrap_or(&plain);
        let reached = |event: &Event| match event.what {
            What::Target { price, share, .. } => Some(Target { price, share }),
            _ => None,
        };
        let told = |event: &Event| Told { at_ms: event.at, what: event.what.to_string() };
        let earlier_events = record.history.len().saturating_sub(EVENTS);
        Self {
            entry_type: terms.entry,
            zone: terms.zone,
            entry_expires_ms: terms.entry_expires_at,
            first_stop: trade.first_stop(),
            reached: record.history.iter().filter_map(reached).collect(),
            targets: trade.targets().to_vec(),
            left: trade.left(),
            trail: trade.trailing().map(|trail| TrailPart { by: trail.by, from: trail.from }),
            events: record.history[earlier_events..].iter().map(told).collect(),
            earlier_events,
        }
    }
}

impl EndPart {
    fn of(record: &Record, costs: &Costs) -> Option<Self> {
        let closing = record.closing?;
        let earned = record.earned(costs).unwrap_or_default();
        Some(Self {
            at_ms: closing.closed_ms,
            outcome: closing.outcome,
            profit: earned.net_profit_percent.map(rounded),
            realized_r: earned.realized_r.map(rounded),
        })
    }
}

impl SaidPart {
    fn of(said: &Said) -> Self {
        Self {
            probability: said.probability,
            interval: said.interval,
            expected_r: said.expected_r,
            take: said.take,
            outcomes: said.outcomes,
            steps: said.contributions.as_ref().map(contributions).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::signal::{Closing, Signal, Source};
    use domain::time::{HOUR_MS, Tz};
    use serde_json::{Value, json};

    const COSTS: Costs = Costs { fee_bps: 10.0, funding_bps_per_day: 0.0, leverage: None };
    const T0: i64 = 1_750_000_000_000;

    fn record(changes: Value) -> Record {
        let mut value = json!({ "id": "a", "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100,
            "stopLoss": 98, "takeProfit": 104, "timestamp": T0 });
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Record::from(Signal::from_value(value, Source::Caller, Tz::UTC).unwrap())
    }

    #[test]
    fn a_plain_signal_is_open_until_it_closes() {
        let mut record = record(json!({}));
        let row = SignalRow::of(&record, &COSTS);
        assert_eq!((row.status, row.entry, row.stop, row.target), ("OPEN", Some(100.0), Some(98.0), Some(104.0)));
        assert!(row.managed.is_none() && row.end.is_none() && row.said.is_none());
        record.close(Closing {
            outcome: Outcome::TookProfit,
            exit_price: Some(104.0),
            profit_percent: 4.0,
            closed_ms: T0 + HOUR_MS,
            excursion: None,
        });
        let row = SignalRow::of(&record, &COSTS);
        let end = row.end.unwrap();
        assert_eq!(
            (row.status, end.at_ms, end.profit, end.realized_r),
            ("CLOSED", T0 + HOUR_MS, Some(3.9), Some(1.95))
        );
    }

    #[test]
    fn a_managed_signal_says_where_it_stands() {
        let mut record = record(json!({ "entryType": "limit", "takeProfits": [{ "price": 102 }, { "price": 104 }],
            "takeProfit": null, "stopRules": { "breakEvenAfterTarget": 1, "trail": { "percent": 1 } } }));
        assert_eq!(SignalRow::of(&record, &COSTS).status, "PENDING");
        let happens = |what| Event { at: T0 + HOUR_MS, what };
        record.history = vec![
            happens(What::Filled { price: 99.5, edge: None }),
            happens(What::Target { number: 1, price: 102.0, share: 50.0 }),
            happens(What::Stop { price: 99.5, cause: domain::barrier::StopMove::BreakEven }),
        ];
        let row = SignalRow::of(&record, &COSTS);
        assert_eq!((row.status, row.entry, row.stop, row.target), ("OPEN", Some(99.5), Some(99.5), Some(104.0)));
        let managed = row.managed.unwrap();
        assert_eq!((managed.first_stop, managed.left), (Some(98.0), 50.0));
        assert_eq!(managed.reached, [Target { price: 102.0, share: 50.0 }]);
        assert_eq!(managed.targets, [Target { price: 104.0, share: 50.0 }]);
        assert!(managed.trail.is_some());
        let words: Vec<&str> = managed.events.iter().map(|event| event.what.as_str()).collect();
        assert_eq!(words, ["entered at 99.5", "target 1 reached at 102, 50 % closed", "stop moved to 99.5"]);
    }

    #[test]
    fn what_was_said_comes_with_what_moved_it() {
        let said = Said {
            probability: 0.6,
            interval: (0.5, 0.7),
            base_rate: 0.5,
            prior: 0.5,
            shaped: false,
            expected_r: Some(0.8),
            expected_r_interval: None,
            departures: [0.0; 4],
            contributions: Some([0.0, 3f64.ln(), 0.5f64.ln(), 0.0, 0.0, 0.0]),
            take: true,
            outcomes: 9,
        };
        let part = SaidPart::of(&said);
        assert!((part.steps.last().unwrap().probability - said.probability).abs() < 1e-9);
        assert!(SaidPart::of(&Said { contributions: None, ..said }).steps.is_empty());
    }
}
