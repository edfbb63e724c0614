//! The signals of a replay as CSV, one a line, with what was said of each and what became of it.

use super::Decision;
use domain::signal::Costs;
use domain::time::format_iso;
use std::io::{Result, Write};
use storage::csv::write_row;

/// The columns. Prices, percent and R are numbers; times are ISO 8601 in UTC. A cell is empty where nothing can be told:
///
/// - `probability` to `outcomesLearned`: what was said in advance. `intervalLow` and `intervalHigh` are the 95 % interval of
///   `probability`; `threshold` is the probability above which the signal is taken; probabilities and `suggestedRisk` (a share of the
///   capital) are 0–1; `served` is `all`, or `baseRate` where the full estimate did harm.
/// - `outcome` to `r`: how it ended, `ACTIVE` for one that was open at the end. `profitPercent` is before costs, `netProfitPercent` and
///   `r` are after.
pub const COLUMNS: [&str; 25] = [
    "id",
    "time",
    "symbol",
    "timeframe",
    "strategy",
    "direction",
    "entry",
    "stop",
    "target",
    "probability",
    "intervalLow",
    "intervalHigh",
    "baseRate",
    "prior",
    "expectedR",
    "threshold",
    "take",
    "suggestedRisk",
    "served",
    "outcomesLearned",
    "outcome",
    "closedAt",
    "profitPercent",
    "netProfitPercent",
    "r",
];

/// Writes the decisions in their order, after a line with the names of the [`COLUMNS`]. `costs` count for signals that state none.
///
/// # Errors
/// Those of the writer.
pub fn write_csv(to: &mut dyn Write, decisions: &[Decision], costs: &Costs) -> Result<()> {
    write_row(to, COLUMNS)?;
    decisions.iter().try_for_each(|decision| write_row(to, cells(decision, costs)))
}

fn cells(decision: &Decision, costs: &Costs) -> [String; COLUMNS.len()] {
    let Decision { record, advice } = decision;
    let signal = &record.signal;
    let said = advice.map(|advice| advice.said);
    let told = record.closing.filter(|closing| closing.outcome.succeeded().is_some());
    let earned = record.earned(costs).unwrap_or_default();
    let direction = signal.direction.map_or("HOLD", |direction| direction.as_str());
    // A HOLD is never open.
    let outcome = record.closing.map_or(signal.direction.map_or("", |_| "ACTIVE"), |closing| closing.outcome.as_str());
    [
        signal.id.clone(),
        format_iso(signal.timestamp_ms),
        signal.symbol.to_string(),
        signal.timeframe.to_string(),
        signal.strategy.clone().unwrap_or_default(),
        direction.to_owned(),
        cell(signal.entry_price),
        cell(signal.stop_loss),
        cell(signal.take_profit),
        cell(said.map(|said| said.probability)),
        cell(said.map(|said| said.interval.0)),
        cell(said.map(|said| said.interval.1)),
        cell(said.map(|said| said.base_rate)),
        cell(said.map(|said| said.prior)),
        cell(said.and_then(|said| said.expected_r)),
        cell(advice.map(|advice| advice.threshold)),
        cell(said.map(|said| said.take)),
        cell(advice.map(|advice| advice.suggested_risk)),
        cell(advice.map(|advice| advice.served.name())),
        cell(said.map(|said| said.outcomes)),
        outcome.to_owned(),
        cell(record.closing.map(|closing| format_iso(closing.closed_ms))),
        cell(told.map(|closing| closing.profit_percent)),
        cell(earned.net_profit_percent),
        cell(earned.realized_r),
    ]
}

fn cell<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ended, open, said};
    use domain::barrier::Outcome;
    use serde_json::json;

    fn written(decisions: &[Decision]) -> Vec<String> {
        let mut bytes = Vec::new();
        write_csv(&mut bytes, decisions, &Costs { fee_bps: 20.0, ..Costs::default() }).unwrap();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_signal_is_a_line_with_what_was_said_and_what_came() {
        let lines = written(&[
            said(ended(open("a", 0, json!({})), 5, Outcome::TookProfit, 4.0), 0.625, true),
            ended(open("b", 1, json!({ "stopLoss": null, "strategy": null })), 6, Outcome::Unknown, 0.0),
            said(open("c", 2, json!({ "signalType": "SELL", "stopLoss": 102, "takeProfit": 96 })), 0.25, false),
            open("d", 3, json!({ "signalType": "HOLD" })),
        ]);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(
            lines[1],
            "a,2025-01-06T00:00:00.000Z,BTCUSDT,1h,rsi,BUY,100,98,104,0.625,0.25,0.75,0.5,0.4,0.125,0.375,true,0.01,all,7,TOOK_PROFIT,\
             2025-01-06T05:00:00.000Z,4,3.8,1.9"
        );
        assert_eq!(
            lines[2],
            "b,2025-01-06T01:00:00.000Z,BTCUSDT,1h,,BUY,100,,104,,,,,,,,,,,,UNKNOWN,2025-01-06T06:00:00.000Z,,,"
        );
        assert!(lines[3].contains(",SELL,100,102,96,0.25,") && lines[3].ends_with(",false,0.01,all,7,ACTIVE,,,,"));
        assert!(lines[4].contains(",HOLD,100,98,104,,") && lines[4].ends_with(",,,,,"), "{}", lines[4]);
    }

    #[test]
    fn texts_are_quoted_and_never_run() {
        let lines =
            written(&[open("=cmd|' /C calc'!A0", 0, json!({ "strategy": "a, \"b\"" })), open("-1", 0, json!({}))]);
        assert!(
            lines[1].starts_with("'=cmd|' /C calc'!A0,2025-") && lines[1].contains(",\"a, \"\"b\"\"\","),
            "{}",
            lines[1]
        );
        assert!(lines[2].starts_with("-1,"));
    }
}
