//! The verdict of a replay, in words that a trader can act on.

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
        "the {} that it would take brought {:+.2} R each, all brought {:+.2} R: {}",
        counted(take.signals, "signal"),
        take.mean,
        r.all.mean,
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
    let ends = mean.interval.map_or_else(String::new, |Ends { low, high }| format!(" [{low:.2}, {high:.2}]"));
    format!("{:+.2} R a signal{ends}", mean.mean)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decision;
    use crate::testing::{closed, said};
    use domain::signal::Costs;

    fn verdict(decisions: &[Decision]) -> Verdict {
        Verdict::of(&Summary::of(decisions, &Costs::default(), 1), None)
    }

    /// Signals of so many days, whose R and advice are given by their number.
    fn days(count: i64, r: impl Fn(i64) -> f64, take: impl Fn(i64) -> bool) -> Vec<Decision> {
        (0..count).map(|n| said(closed(&n.to_string(), n * 24, r(n)), 0.5, take(n))).collect()
    }

    #[test]
    fn it_says_whether_advice_helps_and_signals_earn() {
        let wins = |n: i64| n % 3 == 0;
        let r = |n: i64| if wins(n) { 2.5 } else { -1.0 };
        let helped = verdict(&days(300, r, wins));
        assert_eq!(
            (helped.advice.finding, helped.signals.finding, helped.looks),
            (Finding::Helped, Finding::Earn, None)
        );
        assert!(
            helped.advice.words.starts_with(
                "its advice clearly helped: the 100 signals that it would take brought +2.50 R each, all brought +0.17 R: +2.33 R a signal ["
            ),
            "{}",
            helped.advice.words
        );
        assert!(helped.advice.words.ends_with("the 200 signals that it would leave lost 200.0 R together"));
        let harmed = verdict(&days(300, |n| r(n) - 0.5, |n| !wins(n)));
        assert_eq!((harmed.advice.finding, harmed.signals.finding), (Finding::Harmed, Finding::Lose));
        let missed = verdict(&days(300, |n| r(n) + 1.2, wins)).advice;
        assert_eq!(missed.finding, Finding::Helped);
        assert!(
            missed.words.ends_with("; but the 200 signals that it would leave earned 40.0 R together"),
            "{}",
            missed.words
        );
        let few = verdict(&days(300, r, |n| n == 150)).advice;
        assert_eq!(few.finding, Finding::NotEnough);
        let words = "not enough to tell whether its advice helps: those to take, or those to leave, lie in fewer than 8 stretches of time; ";
        assert!(few.words.starts_with(words), "{}", few.words);
        assert!(harmed.advice.words.ends_with("the 100 signals that it would leave earned 200.0 R together"));
    }

    #[test]
    fn advice_of_one_kind_or_none_makes_no_difference() {
        let all = verdict(&days(300, |_| 1.0, |_| true)).advice;
        assert_eq!(all.words, "its advice made no difference: it would take all of 300 signals");
        let none = verdict(&days(1, |_| 1.0, |_| false)).advice;
        assert_eq!(none.words, "its advice made no difference: it would leave all of 1 signal");
        let silent: Vec<Decision> = (0..9).map(|n| closed(&n.to_string(), n, 1.0)).collect();
        let silent = verdict(&silent);
        assert_eq!((silent.advice.finding, silent.signals.finding), (Finding::Nothing, Finding::NotEnough));
        assert!(silent.signals.words.contains("9 signals lie in fewer than 8 stretches of time"));
    }

    fn mean(signals: u64, mean: f64, low: f64, high: f64) -> Mean {
        Mean { signals, mean, interval: Some(Ends { low, high }) }
    }

    #[test]
    fn it_says_how_many_signals_are_missing() {
        // 100 · ((0.3 / 0.1)² − 1) = 800; 123 · ((0.2 / 0.05)² − 1) = 1 845.
        let wanted = |of: Mean| Sure::of(&of).wanted("they lie");
        assert_eq!(wanted(mean(100, 0.1, -0.2, 0.4)), "some 800 more signals would");
        assert_eq!(wanted(mean(1230, -0.1, -0.4, 0.2)), "some 9800 more signals would");
        assert_eq!(wanted(mean(100, 0.2, 0.0, 0.3)), "some 10 more signals would");
        let never = "the difference is so small that no number of signals would be soon enough";
        for small in [0.05, 1e-9, 0.0, -0.05] {
            assert_eq!(wanted(mean(100, small, small - 0.3, small + 0.3)), never, "{small}");
        }
        assert_eq!([10.0, 94.6, 99.6, 123.0, 1_250.0, 98_760.0].map(two_digits), [10, 95, 100, 120, 1300, 99_000]);
    }

    #[test]
    fn so_many_more_signals_are_indeed_enough() {
        let r = |n: i64| if (n * 7919) % 10 < 5 { 1.5 } else { -1.0 };
        let of = |count: i64| Summary::of(&days(count, r, |_| true), &Costs::default(), 1).all;
        let few = of(60);
        let mean = Mean { signals: 60, mean: few.figures.mean_r.unwrap(), interval: few.mean_r_interval };
        let Sure::Wait(more) = Sure::of(&mean) else { panic!("{mean:?}") };
        let low = |count: i64| of(count).mean_r_interval.unwrap().low;
        let (part, whole) = (low(60 + more as i64 / 4), low(60 + more as i64));
        assert!(part < -0.03 && whole > -0.03, "about where the interval leaves 0: {more} {part} {whole}");
    }

    fn looks(look: u64, trials: u64, deflated: Result<f64, Missing>, overfit: Result<f64, Missing>) -> Told {
        of_looks(&Looks {
            looks: look,
            trials,
            damaged: 0,
            deflated_sharpe: deflated.map(|probability| DeflatedSharpe {
                probability,
                sharpe: 0.1,
                luck: 0.05,
                trials,
                days: 365,
            }),
            overfitting: overfit.map(|probability| Overfitting { probability, splits: 70, trials, months: 12 }),
        })
    }

    #[test]
    fn it_says_what_many_looks_leave() {
        let few = Missing::TooFewMonths { have: 3, need: 8 };
        let one = Missing::TooFewTrials { have: 1, need: 2 };
        assert_eq!(looks(1, 1, Err(one), Err(one)), told(Finding::FirstLook, "the first look at these signals"));
        let again = looks(2, 1, Err(one), Err(one));
        assert_eq!(
            (again.finding, again.words.as_str()),
            (
                Finding::LuckUnknown,
                "the 2nd look at these signals, and 1 trial on these markets at that time: how much of it is luck cannot be told: 1 trial, \
                 and it takes 2"
            )
        );
        let luck = looks(14, 37, Ok(0.62), Ok(0.45));
        assert_eq!(luck.finding, Finding::PerhapsLuck);
        assert_eq!(
            luck.words,
            "the 14th look at these signals, and 37 trials on these markets at that time: the best of so many could be as good by luck: it \
             is better with probability 0.62, the deflated Sharpe ratio; of 37 trials, the best on one half of the months was below the \
             median on the other in 45 % of all splits (probability of backtest overfitting; luck alone gives 50 %)"
        );
        let sure = looks(3, 5, Ok(0.97), Err(few));
        assert_eq!(sure.finding, Finding::MoreThanLuck);
        assert!(sure.words.ends_with("(probability 0.97, the deflated Sharpe ratio)"), "{}", sure.words);
        let torn =
            of_looks(&Looks { looks: 1, trials: 1, damaged: 2, deflated_sharpe: Err(one), overfitting: Err(one) });
        assert!(torn.words.ends_with("2 lines of the ledger cannot be read, so there may have been more"));
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 111, 122].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 111th 122nd"
        );
    }

    #[test]
    fn a_part_is_judged_alike() {
        let r = |n: i64| if n % 2 == 0 { 1.5 } else { -1.0 };
        let (good, all) = (days(300, r, |n| n % 2 == 0), days(300, r, |_| true));
        let of = |a: &[Decision], b: &[Decision]| Verdict::of_part(&Difference::of(a, b, &Costs::default(), 1));
        let helped = of(&good, &all);
        assert_eq!(helped.finding, Finding::Helped);
        assert!(
            helped.words.starts_with("it clearly helped: +0.50 R a signal [")
                && helped.words.ends_with("(+150.0 R in all)")
        );
        assert_eq!(of(&all, &good).finding, Finding::Harmed);
        assert_eq!(of(&all, &all).finding, Finding::NoDifference);
        assert_eq!(of(&good[..3], &all[..3]).finding, Finding::NotEnough);
        assert_eq!(of(&good, &[]).finding, Finding::Nothing);
    }
}
