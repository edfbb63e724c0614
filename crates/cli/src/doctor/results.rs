//! Checks what live results have led to: conservative mode.

use super::{Check, Finding};
use crate::words::{age, some};
use domain::time::format_iso;
use engine::{ConservativeMode, SignalLoop};
use feedback::StatsFilter;

/// Markets to name.
const SHOWN: usize = 4;

/// Warns while the home or a market is in conservative mode.
pub(super) fn results(core: &SignalLoop) -> Finding {
    match core.performance().live().conservative_mode(&StatsFilter::default()) {
        Ok(mode) => told(&mode, core.settings().now_ms()),
        Err(error) => {
            let why = "it is unknown whether poor results ask for caution";
            Finding::fault(Check::Results, &error, why, "fix what the message names, and try again")
        }
    }
}

fn told(mode: &ConservativeMode, now_ms: i64) -> Finding {
    let (Some(since_ms), Some(reason)) = (mode.since_ms, &mode.reason) else {
        return Finding::fine(Check::Results, "no conservative mode: results were not judged poor");
    };
    let scopes: Vec<String> = mode
        .scopes
        .iter()
        .map(|scope| if scope == "home" { "the whole home".to_owned() } else { scope.clone() })
        .collect();
    let what = format!(
        "conservative mode of {} since {}, {} ago: {reason}",
        some(&scopes, SHOWN),
        format_iso(since_ms),
        age(now_ms - since_ms)
    );
    let why =
        "results were poor, so a bet must be better by `conservative_margin` to be taken, and there are fewer signals";
    let advice = "look at `signalloop stats` and `signalloop scorecard`; it ends by itself once results are good enough (docs/live-results.md)";
    Finding::warning(Check::Results, what, why, advice)
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn it_is_told_where_since_when_and_why() {
        let none = ConservativeMode { active: false, since_ms: None, reason: None, scopes: vec![] };
        assert_eq!(told(&none, 0).state, Severity::Fine);
        let mode = ConservativeMode {
            active: true,
            since_ms: Some(0),
            reason: Some("3 of 10 closed signals succeeded (30.0 %)".to_owned()),
            scopes: ["home", "BTCUSDT 1h", "ETHUSDT 1h", "SOLUSDT 1h", "XRPUSDT 1h"].map(str::to_owned).to_vec(),
        };
        let found = told(&mode, 3 * 3_600_000);
        let expected = "conservative mode of the whole home, BTCUSDT 1h, ETHUSDT 1h, SOLUSDT 1h, and 1 more since \
                        1970-01-01T00:00:00.000Z, 3 hours ago: 3 of 10 closed signals succeeded (30.0 %)";
        assert_eq!((found.state, found.what.as_str()), (Severity::Warning, expected));
    }
}
