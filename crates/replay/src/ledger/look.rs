//! A look at past signals: what was replayed, with which settings, and what each run brought.

use crate::Decision;
use crate::overfitting::Days;
use crate::rows::Row;
use domain::signal::{Costs, Signal};
use domain::symbol::Market;
use domain::time::{DAY_MS, Month};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where the signals of a replay came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceKind {
    /// Past signals, of a home or a file.
    PastSignals,
    /// A strategy of the user's.
    Strategy,
    /// The product's own signals.
    OwnSignals,
}

/// One replay: a line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// When it was made, UTC epoch ms.
    pub at_ms: i64,
    /// Where the signals came from.
    pub source: SourceKind,
    /// The [`fingerprint`] of the signals.
    pub signals: String,
    /// The markets of the signals, in order.
    pub markets: BTreeSet<Market>,
    /// When the first signal was given, UTC epoch ms.
    pub from_ms: i64,
    /// When the last one closed or, if that is later, was given, UTC epoch ms.
    pub until_ms: i64,
    /// The settings of the replay, as the caller states them.
    pub settings: Value,
    /// Its runs: the whole loop first, then each without a part.
    pub runs: Vec<Run>,
}

/// What a run took, and what that brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name, which differs from that of the other runs, such as `withoutModels`.
    pub name: String,
    /// Signals, without HOLDs.
    pub signals: u64,
    /// Signals that it would have taken.
    pub taken: u64,
    /// Those of them that closed as a success or a failure, with a result in R.
    pub closed: u64,
    /// Their mean R after costs; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_r: Option<f64>,
    /// What the days brought, from the first signal of the replay to its end.
    #[serde(flatten)]
    pub days: Days,
    /// The sum of R by calendar month (UTC) of closing, for each month of the replay, such as `2026-03`.
    pub r_by_month: BTreeMap<String, f64>,
}

impl Look {
    /// From the decisions of each run, with its name: the whole loop first. All runs have the same signals. `costs` count for
    /// signals that state none. `None` without a run, or if the first has no signal but HOLDs.
    pub fn of(
        at_ms: i64,
        source: SourceKind,
        settings: Value,
        runs: &[(&str, &[Decision])],
        costs: &Costs,
    ) -> Option<Self> {
        let (_, whole) = runs.first()?;
        let signals = || whole.iter().map(|decision| &decision.record.signal);
        let rows = Row::all(whole, costs);
        let from_ms = rows.iter().map(Row::given_ms).min()?;
        let until_ms = rows.iter().map(|row| row.closed_ms().unwrap_or(from_ms).max(row.given_ms())).max()?;
        Some(Self {
            at_ms,
            source,
            signals: fingerprint(signals()),
            markets: signals().map(Signal::market).collect(),
            from_ms,
            until_ms,
            settings,
            runs: runs
                .iter()
                .map(|(name, decisions)| Run::of(name, &Row::all(decisions, costs), from_ms, until_ms))
                .collect(),
        })
    }
}

impl Run {
    fn of(name: &str, rows: &[Row<'_>], from_ms: i64, until_ms: i64) -> Self {
        let (first, last) = (from_ms.div_euclid(DAY_MS), until_ms.div_euclid(DAY_MS));
        let mut by_day = vec![0.0; (last - first + 1) as usize];
        let taken = || rows.iter().filter(|row| row.take() == Some(true));
        let (mut closed, mut closing_days, mut total) = (0, BTreeSet::new(), 0.0);
        for (r, closed_ms) in taken().filter_map(|row| Some((row.r?, row.closed_ms()?))) {
            let day = (closed_ms.div_euclid(DAY_MS) - first).clamp(0, last - first) as usize;
            by_day[day] += r;
            closing_days.insert(day);
            closed += 1;
            total += r;
        }
        let mut r_by_month = BTreeMap::new();
        for (day, r) in (first..).zip(&by_day) {
            *r_by_month.entry(Month::of(day * DAY_MS)).or_insert(0.0) += r;
        }
        Self {
            name: name.to_owned(),
            signals: rows.len() as u64,
            taken: taken().count() as u64,
            closed,
            mean_r: (closed > 0).then(|| total / closed as f64),
            days: Days::of(&by_day, closing_days.len() as u64),
            r_by_month: r_by_month.into_iter().map(|(month, r)| (month.to_string(), r)).collect(),
        }
    }
}

/// The SHA-256 of signals, in hexadecimal digits: of id, market, time, direction, entry, stop, target and expiry of each, in any order.
pub fn fingerprint<'a>(signals: impl Iterator<Item = &'a Signal>) -> String {
    let mut lines: Vec<Vec<u8>> = signals.map(line).collect();
    lines.sort_unstable();
    digest(&SHA256, &lines.concat()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each text is preceded by its length, and each number that may be missing by whether it is there, so that no two signals have the
/// same line.
fn line(signal: &Signal) -> Vec<u8> {
    let direction = signal.direction.map_or("HOLD", |direction| direction.as_str());
    let mut line = Vec::new();
    for text in [&signal.id, signal.symbol.as_str(), signal.timeframe.as_str(), direction] {
        line.extend((text.len() as u64).to_le_bytes());
        line.extend(text.as_bytes());
    }
    line.extend(signal.timestamp_ms.to_le_bytes());
    let prices = [signal.entry_price, signal.stop_loss, signal.take_profit].map(|price| price.map(f64::to_le_bytes));
    for number in prices.into_iter().chain([signal.expires_ms.map(i64::to_le_bytes)]) {
        line.push(number.is_some().into());
        line.extend(number.unwrap_or_default());
    }
    line
}
