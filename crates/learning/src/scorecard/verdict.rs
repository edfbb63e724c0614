//! The verdict of a scorecard, as a sentence.

use super::{Ends, Foretold, Score};
use domain::time::DAY_MS;
use serde::Serialize;

const WEEK_MS: i64 = 7 * DAY_MS;

/// What the evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Finding {
    /// The signals it advised to take brought more than all.
    Adds,
    /// The signals it advised to take brought less than all.
    Costs,
    /// Its probabilities predicted outcomes better than the base rate; the signals it advised to take brought no more.
    BetterProbabilities,
    /// Its probabilities predicted outcomes worse than the base rate.
    WorseProbabilities,
    /// No difference can be told from chance.
    NoDifference,
    /// Too few time clusters for a verdict.
    NotEnough,
}

/// The verdict: first about money, then about probabilities.
pub(super) fn verdict(overall: Option<&Score>, rows: &[Foretold]) -> (Finding, String) {
    let Some(score) = overall else {
        let words = "nothing to judge yet: no closed signal was assessed before it ended";
        return (Finding::NotEnough, words.to_owned());
    };
    let gain = score.realised_r.and_then(|r| r.gain).and_then(|gain| Some((gain.mean, gain.interval?)));
    let loss = &score.log_loss.against_base_rate;
    let Some(ends) = loss.interval else {
        let end_ms = rows.iter().map(|row| row.closed_ms).max().unwrap_or_default();
        let begin_ms = rows.first().map_or(end_ms, |row| row.given_ms);
        let weeks = ((end_ms - begin_ms + WEEK_MS - 1) / WEEK_MS).max(1);
        let counted = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let closed = counted(score.signals, "closed signal");
        return (
            Finding::NotEnough,
            format!("not enough to tell: {closed} in {}", counted(weeks.unsigned_abs(), "week")),
        );
    };
    let of_gain = match gain {
        Some((mean, Ends { low, high })) => {
            format!("the signals it would take brought {mean:+.2} R per signal more than all [{low:.2}, {high:.2}]")
        }
        None => "too few signals with a stop to measure what it adds".to_owned(),
    };
    let of_loss = format!("log loss {:+.4} against the base rate [{:.4}, {:.4}]", loss.mean, ends.low, ends.high);
    match gain {
        Some((mean, Ends { low, high })) if low > 0.0 => {
            (Finding::Adds, format!("assess adds {mean:.2} R per signal [{low:.2}, {high:.2}]"))
        }
        Some((mean, Ends { low, high })) if high < 0.0 => {
            (Finding::Costs, format!("assess costs {:.2} R per signal [{:.2}, {:.2}]", -mean, -high, -low))
        }
        _ if ends.high < 0.0 => {
            (Finding::BetterProbabilities, format!("better probabilities than the base rate: {of_loss}; {of_gain}"))
        }
        _ if ends.low > 0.0 => (Finding::WorseProbabilities, format!("worse than the base rate: {of_loss}; {of_gain}")),
        _ => (Finding::NoDifference, format!("no better than the base rate so far: {of_loss}; {of_gain}")),
    }
}
