//! What a part of the loop brought: a run of the whole loop compared with a run without the part, signal by signal.

use super::Decision;
use super::rows::{End, Row};
use domain::signal::Costs;
use learning::model::log_loss;
use learning::scorecard::{Clusters, Mean};
use serde::Serialize;
use std::collections::HashMap;

/// The difference between two runs over the same signals: the whole loop minus the other. Serialised in camelCase.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Signals that both runs have, by their ids; without HOLDs.
    pub signals: u64,
    /// Signals that only one of them has. They are in no figure.
    pub unpaired: u64,
    /// Signals that only the whole loop would have taken.
    pub only_whole: u64,
    /// Signals that only the other would have taken.
    pub only_other: u64,
    /// What the whole loop earned minus what the other earned, in R after costs.
    pub total_r: f64,
    /// The same for each signal with a result in R, whether it was taken or not; a signal that was left earns 0. Its interval is
    /// clustered by time. `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r: Option<Mean>,
    /// The log loss of the whole loop minus that of the other, for each closed signal that both assessed: below 0, the whole loop's
    /// probabilities were better. Its interval is clustered by time. `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<Mean>,
}

impl Difference {
    /// Of two runs, each in any order. `costs` count for signals that state none. The same runs and seed give the same difference.
    pub fn of(whole: &[Decision], other: &[Decision], costs: &Costs, seed: u64) -> Self {
        let (whole, other) = (Row::all(whole, costs), Row::all(other, costs));
        let by_id: HashMap<&str, &Row<'_>> = other.iter().map(|row| (row.id(), row)).collect();
        let pairs: Vec<(&Row<'_>, &Row<'_>)> =
            whole.iter().filter_map(|row| Some((row, *by_id.get(row.id())?))).collect();
        let takes = |row: &Row<'_>| row.take() == Some(true);
        let only = |first: bool| pairs.iter().filter(|(a, b)| takes(a) == first && takes(b) != first).count() as u64;
        let spans = pairs.iter().filter_map(|(row, _)| Some((row.given_ms(), row.closed_ms()?)));
        let clusters = Clusters::of(spans, seed);
        let earned = |row: &Row<'_>| Some(if takes(row) { row.r? } else { row.r.map(|_| 0.0)? });
        let in_r: Vec<(i64, f64)> =
            pairs.iter().filter_map(|(a, b)| Some((a.given_ms(), earned(a)? - earned(b)?))).collect();
        let in_loss = pairs.iter().filter_map(|(a, b)| Some((a.given_ms(), loss(a)? - loss(b)?)));
        Self {
            signals: pairs.len() as u64,
            unpaired: (whole.len() + other.len() - 2 * pairs.len()) as u64,
            only_whole: only(true),
            only_other: only(false),
            total_r: in_r.iter().map(|(_, r)| r).sum(),
            r: clusters.mean(in_r.iter().copied()),
            log_loss: clusters.mean(in_loss),
        }
    }
}

/// The log loss of the stated probability, in nats; `None` if it was not closed or not assessed.
fn loss(row: &Row<'_>) -> Option<f64> {
    let End::Closed { succeeded, .. } = row.end else { return None };
    Some(log_loss(succeeded, row.decision.advice?.said.probability))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, closed, open, said};
    use learning::scorecard::Ends;
    use serde_json::json;

    /// Twenty signals, a week apart, that lose and win in turn: the whole loop takes those that win, the other all.
    fn runs() -> (Vec<Decision>, Vec<Decision>) {
        let run = |probability: &dyn Fn(bool) -> f64, take: &dyn Fn(bool) -> bool| {
            let one = |n: i64| {
                let wins = n % 2 == 1;
                said(closed(&n.to_string(), n * 168, if wins { 2.0 } else { -1.0 }), probability(wins), take(wins))
            };
            (0..20).map(one).collect()
        };
        (run(&|wins| if wins { 0.8 } else { 0.2 }, &|wins| wins), run(&|_| 0.5, &|_| true))
    }

    #[test]
    fn worked_by_hand() {
        let (mut whole, mut other) = runs();
        // One signal that only one run has, a HOLD, and two that stay open: no result.
        whole.push(said(closed("alone", 5, 7.0), 0.5, true));
        for run in [&mut whole, &mut other] {
            run.push(open("hold", 6, json!({ "signalType": "HOLD" })));
            run.push(said(open("open", 7, json!({})), 0.5, true));
            run.push(said(open("left", 8, json!({})), 0.5, false));
        }
        let difference = Difference::of(&whole, &other, &Costs::default(), 1);
        assert_eq!((difference.signals, difference.unpaired), (22, 1));
        assert_eq!((difference.only_whole, difference.only_other), (0, 10));
        // The other lost 1 R with each of ten signals that the whole loop left.
        assert!(close(difference.total_r, 10.0), "{difference:?}");
        let (r, loss) = (difference.r.unwrap(), difference.log_loss.unwrap());
        assert_eq!((r.signals, loss.signals), (20, 20));
        // −ln 0.8 instead of −ln 0.5.
        assert!(close(r.mean, 0.5) && close(loss.mean, -0.470_003_629_245_735_6), "{r:?} {loss:?}");
        // A binomial of 20 with 0.5 has its 2.5 % ends at 6 and 14; all losses are alike.
        let Ends { low, high } = r.interval.unwrap();
        assert!(close(low, 0.3) && close(high, 0.7), "{low} {high}");
        let Ends { low, high } = loss.interval.unwrap();
        assert!(close(low, loss.mean) && close(high, loss.mean));
        let back = Difference::of(&other, &whole, &Costs::default(), 1);
        assert_eq!((back.only_whole, back.only_other, back.total_r), (10, 0, -10.0));
    }

    #[test]
    fn costs_are_taken_off_and_the_order_changes_nothing() {
        let (whole, mut other) = runs();
        // 20 basis points are a tenth of R: what the whole loop did not take cost the other so much more.
        let costs = Costs { fee_bps: 20.0, ..Costs::default() };
        let difference = Difference::of(&whole, &other, &costs, 1);
        assert!(close(difference.total_r, 11.0));
        other.reverse();
        assert_eq!(Difference::of(&whole, &other, &costs, 1), difference);
    }

    #[test]
    fn equal_runs_and_no_runs_do_not_differ() {
        let (whole, _) = runs();
        let none = Difference::of(&whole, &whole, &Costs::default(), 1);
        assert_eq!((none.only_whole, none.only_other, none.total_r), (0, 0, 0.0));
        let (r, loss) = (none.r.unwrap(), none.log_loss.unwrap());
        let zero = Some(Ends { low: 0.0, high: 0.0 });
        assert_eq!((r.mean, r.interval, loss.mean, loss.interval), (0.0, zero, 0.0, zero));
        let empty = Difference::of(&whole, &[], &Costs::default(), 1);
        assert_eq!((empty.signals, empty.unpaired, empty.r, empty.log_loss), (0, 20, None, None));
    }
}
