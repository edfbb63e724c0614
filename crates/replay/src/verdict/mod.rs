//! The verdict of a replay, in words that a trader can act on.

#[cfg(test)]
mod tests;

use super::ledger::Looks;
use super::overfitting::{DeflatedSharpe, Missing, Overfitting};
use super::summary::Set;
use super::{Difference, Summary};
use learning::model::MIN_CLUSTERS;
use learning::scorecard::{Ends, Mean};
use serde::Serialize;

/// More signals than this many times those of the replay are too many to wait for.
const SOON: f64 = 10.0;
/// The fewest further signals that are told.
const FEWEST_MORE: f64 = 10.0;
/// From this deflated Sharpe ratio on, a result is more than the luck of many tries.
const SURE: f64 = 0.95;

/// What the evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Finding {
    /// The advice, or a part of the loop, certainly brought more.
    Helped,
    /// It certainly brought less.
    Harmed,
    /// It made no difference: it would take all signals, or none, or the same as without it.
    NoDifference,
    /// The signals themselves, all of them, certainly earn after costs.
    Earn,
    /// They certainly lose after costs.
    Lose,
    /// There is not enough to tell.
    NotEnough,
    /// Nothing can be compared: no signal closed with a result in R and an assessment.
    Nothing,
    /// The first look, with nothing to choose from.
    FirstLook,
    /// The result is better than the best of so many trials would be by luck.
    MoreThanLuck,
    /// The best of so many trials could be as good by luck.
    PerhapsLuck,
    /// How much of it is luck cannot be told.
    LuckUnknown,
}

/// A finding, and the same as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What the evidence shows.
    pub finding: Finding,
    /// In words.
    pub words: String,
}

/// The verdict of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether following the advice helped: the mean R of the signals to take minus that of all.
    pub advice: Told,
    /// Whether the signals themselves earn, if all are taken.
    pub signals: Told,
    /// What many looks leave of the result; `None` without a ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<Told>,
}

impl Verdict {
    /// From the figures of a replay, and what the ledger says of it.
    pub fn of(summary: &Summary, looks: Option<&Looks>) -> Self {
        Self { advice: of_advice(summary), signals: of_signals(&summary.all), looks: looks.map(of_looks) }
    }

    /// Whether a part of the loop helped, by what the whole loop brought without it.
    pub fn of_part(difference: &Difference) -> Told {
        let Difference { only_whole, only_other, total_r, .. } = difference;
        let Some(mean) = &difference.r else {
            return told(Finding::Nothing, "nothing to compare: no signal closed with a stop");
        };
        if only_whole + only_other == 0 {
            return told(
                Finding::NoDifference,
                "it made no difference: the same signals would have been taken without it",
            );
        }
        let brought = format!("{} ({total_r:+.1} R in all)", a_signal(mean));
        match Sure::of(mean) {
            Sure::More => told(Finding::Helped, format!("it clearly helped: {brought}")),
            Sure::Less => told(Finding::Harmed, format!("it clearly harmed: {brought}")),
            unsure => told(
                Finding::NotEnough,
                format!("not enough to tell whether it helps: {brought}; {}", unsure.wanted(&lie(mean.signals))),
            ),
        }
    }
}

fn told(finding: Finding, words: impl Into<String>) -> Told {
    Told { finding, words: words.into() }
}

/// What the interval of a mean says.
enum Sure {
    /// It lies above 0.
    More,
    /// It lies below 0.
    Less,
    /// It contains 0; as many further signals are likely to end that, if the mean stays.
    Wait(u64),
    /// It contains 0, and the mean is so close to 0 that no number of signals ends that soon.
    Never,
    /// There are too few clusters of time for an interval.
    TooShort,
}

impl Sure {
    /// The width of an interval falls with the square root of the number of signals, so that `n · ((half width / |mean|)² − 1)` more make
    /// half of it as wide as the mean.
    fn of(mean: &Mean) -> Self {
        let Some(Ends { low, high }) = mean.interval else { return Self::TooShort };
        if low > 0.0 {
            return Self::More;
        }
        if high < 0.0 {
            return Self::Less;
        }
        let (half, have) = ((high - low) / 2.0, mean.signals as f64);
        let more = have * ((half / mean.mean.abs()).powi(2) - 1.0);
        if more <= SOON * have { Self::Wait(two_digits(more.max(FEWEST_MORE))) } else { Self::Never }
    }

    /// What it takes; `these` names the signals, and a verb.
    fn wanted(&self, these: &str) -> String {
        match self {
            Self::Wait(more) => format!("some {more} more signals would"),
            Self::Never => "the difference is so small that no number of signals would be soon enough".to_owned(),
            Self::TooShort | Self::More | Self::Less => {
                format!("{these} in fewer than {MIN_CLUSTERS} stretches of time")
            }
        }
    }
}

/// Rounds to two digits: 1 234 is 1 200.
fn two_digits(number: f64) -> u64 {
    let unit = 10f64.powf((number.log10().floor() - 1.0).max(0.0));
    ((number / unit).round() * unit) as u64
}

fn of_advice(summary: &Summary) -> Told {
    let r = summary.scorecard.overall.as_ref().and_then(|score| score.realised_r);
    let Some(r) = r else {
        return told(Finding::Nothing, "nothing to compare: no signal with a stop closed that was assessed before");
    };
    let (Some(take), Some(left), Some(gain)) = (r.take, r.left, r.gain) else {
        let all = if r.take.is_some() { "take" } else { "leave" };
        let words =
            format!("its advice made no difference: it would {all} all of {}", counted(r.all.signals, "signal"));
        return told(Finding::NoDifference, words);
    };
    let compared = format!(
        "the {} that it would take brought {} R each{}, all brought {} R: {}",
        counted(take.signals, "signal"),
        signed(take.mean),
        ends(&take),
        signed(r.all.mean),
        a_signal(&gain)
    );
    let rest = format!("the {} that it would leave {}", counted(left.signals, "signal"), together(&left));
    match Sure::of(&gain) {
        // What it left is missed, though what it took is better.
        Sure::More if left.mean > 0.0 => {
            told(Finding::Helped, format!("its advice clearly helped: {compared}; but {rest}"))
        }
        Sure::More => told(Finding::Helped, format!("its advice clearly helped: {compared}; {rest}")),
        Sure::Less => told(Finding::Harmed, format!("its advice clearly harmed: {compared}; {rest}")),
        unsure => {
            let wanted = unsure.wanted("those to take, or those to leave, lie");
            let words = format!("not enough to tell whether its advice helps: {wanted}; {compared}; {rest}");
            told(Finding::NotEnough, words)
        }
    }
}

fn of_signals(all: &Set) -> Told {
    let Some(mean) = all.figures.mean_r else {
        return told(Finding::Nothing, "whether the signals earn cannot be told in R: none with a stop closed");
    };
    let mean = Mean { signals: all.figures.with_stop, mean, interval: all.mean_r_interval };
    let brought = a_signal(&mean);
    match Sure::of(&mean) {
        Sure::More => told(Finding::Earn, format!("the signals themselves earn after costs: {brought}")),
        Sure::Less => told(Finding::Lose, format!("the signals themselves lose after costs: {brought}")),
        unsure => {
            let wanted = unsure.wanted(&lie(mean.signals));
            told(
                Finding::NotEnough,
                format!("not enough to tell whether the signals themselves earn: {wanted}; {brought}"),
            )
        }
    }
}

fn of_looks(looks: &Looks) -> Told {
    let Looks { looks: look, trials, .. } = *looks;
    let damaged = match looks.damaged {
        0 => String::new(),
        count => format!("; {} of the ledger cannot be read, so there may have been more", counted(count, "line")),
    };
    if look == 1 && trials == 1 {
        return told(Finding::FirstLook, format!("the first look at these signals{damaged}"));
    }
    let begin = format!(
        "the {} look at these signals, and {} on these markets at that time{damaged}",
        ordinal(look),
        counted(trials, "trial")
    );
    let (finding, luck) = match &looks.deflated_sharpe {
        Ok(DeflatedSharpe { probability, .. }) => {
            let figure = format!("probability {probability:.2}, the deflated Sharpe ratio");
            if *probability >= SURE {
                let words = format!("the result is more than the best of so many reaches by luck ({figure})");
                (Finding::MoreThanLuck, words)
            } else {
                let words = format!("the best of so many could be as good by luck: it is better with {figure}");
                (Finding::PerhapsLuck, words)
            }
        }
        Err(missing) => (Finding::LuckUnknown, format!("how much of it is luck cannot be told: {}", reason(*missing))),
    };
    let lasting = match &looks.overfitting {
        Ok(Overfitting { probability, trials, .. }) => format!(
            "; of {trials} trials, the best on one half of the months was below the median on the other in {:.0} % of all splits \
             (probability of backtest overfitting; luck alone gives 50 %)",
            100.0 * probability
        ),
        Err(_) => String::new(),
    };
    told(finding, format!("{begin}: {luck}{lasting}"))
}

fn reason(missing: Missing) -> String {
    match missing {
        Missing::TooFewTrials { have, need } => format!("{}, and it takes {need}", counted(have, "trial")),
        Missing::TooFewMonths { have, need } => format!("{}, and it takes {need}", counted(have, "month")),
        Missing::TooFewDays { have, need } => {
            format!("{} on which a signal closed that was taken, and it takes {need}", counted(have, "day"))
        }
        Missing::NoSpread => "each day brought the same".to_owned(),
    }
}

/// `+0.15 R a signal [0.05, 0.25]`
fn a_signal(mean: &Mean) -> String {
    format!("{} R a signal{}", signed(mean.mean), ends(mean))
}

/// ` [0.05, 0.25]`; nothing without an interval.
fn ends(mean: &Mean) -> String {
    mean.interval.map_or_else(String::new, |Ends { low, high }| format!(" [{low:.2}, {high:.2}]"))
}

/// Two decimals with a sign; what rounds to 0 is `+0.00`.
fn signed(r: f64) -> String {
    format!("{:+.2}", (100.0 * r).round() / 100.0 + 0.0)
}

/// `9 signals lie`
fn lie(signals: u64) -> String {
    format!("{} {}", counted(signals, "signal"), if signals == 1 { "lies" } else { "lie" })
}

fn together(left: &Mean) -> String {
    let total = left.mean * left.signals as f64;
    let verb = if total < 0.0 { "lost" } else { "earned" };
    format!("{verb} {:.1} R together", total.abs())
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`
fn ordinal(number: u64) -> String {
    let end = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}
