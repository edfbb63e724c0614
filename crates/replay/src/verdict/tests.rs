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
    assert_eq!((helped.advice.finding, helped.signals.finding, helped.looks), (Finding::Helped, Finding::Earn, None));
    assert!(
        helped.advice.words.starts_with(
            "its advice clearly helped: the 100 signals that it would take brought +2.50 R each [2.50, 2.50], all brought +0.17 R: +2.33 R a signal ["
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
    let torn = of_looks(&Looks { looks: 1, trials: 1, damaged: 2, deflated_sharpe: Err(one), overfitting: Err(one) });
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
