//! Judges what was tried, and says it in words.

use super::excursions::excursions;
use super::{Alternative, Group, LeftOut, Multiples, OWN, Replayed, StrategyAdvice, Tried, UsualLevels};
use crate::model::{Interval, MIN_CLUSTERS};
use crate::scorecard::Ends;
use domain::time::{DAY_MS, HOUR_MS};
use serde::Serialize;
use std::collections::BTreeSet;

/// With fewer replayed signals nothing is judged.
const MIN_SIGNALS: usize = 30;

/// What the evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AdviceFinding {
    /// Other levels would certainly have brought more.
    Better,
    /// No other levels would certainly have brought more.
    NoneBetter,
    /// Too few signals, or too few clusters of time, to tell.
    NotEnough,
}

impl Group {
    /// Whether there is enough to judge.
    pub(super) fn is_enough(&self, cluster_ms: i64) -> bool {
        self.replayed.len() >= MIN_SIGNALS && self.clusters(cluster_ms) >= MIN_CLUSTERS
    }

    fn clusters(&self, cluster_ms: i64) -> usize {
        self.replayed.iter().map(|one| one.given_ms.div_euclid(cluster_ms)).collect::<BTreeSet<i64>>().len()
    }

    /// `intervals` are those of the alternatives that are judged. `together` is the number of alternatives whose intervals hold together, over all strategies.
    pub(super) fn advice(
        self,
        strategy: Option<String>,
        intervals: &[Option<Interval>],
        cluster_ms: i64,
        together: usize,
    ) -> StrategyAdvice {
        let is_enough = self.is_enough(cluster_ms);
        let mut alternatives: Vec<Alternative> = Vec::new();
        if !self.replayed.is_empty() {
            alternatives.extend(self.tried.iter().enumerate().map(|(at, multiples)| self.alternative(at, *multiples)));
        }
        for (at, interval) in self.tested(cluster_ms).zip(intervals) {
            alternatives[at].interval = interval.map(|ends| Ends { low: ends.low, high: ends.high });
        }
        let certain = |one: &&Alternative| one.interval.is_some_and(|ends| ends.low > 0.0);
        let low = |one: &Alternative| one.interval.map_or(f64::NEG_INFINITY, |ends| ends.low);
        let best = alternatives.iter().filter(certain).max_by(|a, b| low(a).total_cmp(&low(b))).copied();
        let own = (!self.replayed.is_empty()).then(|| self.tried_at(0, OWN));
        let usual = self.usual();
        let signals = self.replayed.len() as u64;
        let looked_at =
            format!("{} and {} looked at", counted(signals, "signal"), counted(together as u64, "alternative"));
        let (finding, verdict) = match (&best, is_enough) {
            (Some(best), _) => {
                (AdviceFinding::Better, format!("{}; {looked_at}", better(best, own.as_ref(), usual.as_ref())))
            }
            (None, true) => {
                (AdviceFinding::NoneBetter, format!("no other level is certainly better; {looked_at}{}", self.coarse()))
            }
            (None, false) => {
                (AdviceFinding::NotEnough, too_few(&self.replayed, self.left_out, self.clusters(cluster_ms)))
            }
        };
        StrategyAdvice {
            strategy,
            finding,
            verdict,
            signals,
            left_out: self.left_out,
            clusters: self.clusters(cluster_ms),
            usual,
            own,
            unclear: self.unclear() as u64,
            best,
            alternatives,
            excursions: (!self.replayed.is_empty()).then(|| excursions(&self.replayed)),
        }
    }

    /// How many signals touched their own stop and target within one candle.
    fn unclear(&self) -> usize {
        self.replayed.iter().filter(|one| one.hopeful.is_some()).count()
    }

    /// Says so if these are more than a tenth: then candles are too coarse for the levels.
    fn coarse(&self) -> String {
        match self.unclear() {
            unclear if 10 * unclear > self.replayed.len() => format!(
                "; {} touched stop and target within one candle, so that finer candles would tell more",
                counted(unclear as u64, "signal")
            ),
            _ => String::new(),
        }
    }

    /// Not judged yet.
    fn alternative(&self, at: usize, multiples: Multiples) -> Alternative {
        Alternative {
            tried: self.tried_at(at + 1, multiples),
            difference_r: self.differences(at).sum::<f64>() / self.replayed.len() as f64,
            turned: self.turned(at) as u64,
            interval: None,
        }
    }

    fn tried_at(&self, at: usize, multiples: Multiples) -> Tried {
        let mean =
            |of: &dyn Fn(&Replayed) -> f64| self.replayed.iter().map(of).sum::<f64>() / self.replayed.len() as f64;
        Tried {
            multiples,
            mean_r: mean(&|one| one.results[at].r),
            mean_costs_r: mean(&|one| one.results[at].costs_r),
            success_share: mean(&|one| f64::from(u8::from(one.results[at].succeeded))),
            mean_holding_ms: mean(&|one| one.results[at].open_ms as f64),
        }
    }

    fn usual(&self) -> Option<UsualLevels> {
        let of = |figure: &dyn Fn(&Replayed) -> Option<f64>| median(self.replayed.iter().filter_map(figure).collect());
        Some(UsualLevels {
            stop_percent: of(&|one| Some(one.stop_percent))?,
            stop_atr: of(&|one| one.stop_atr),
            target_percent: of(&|one| one.target_percent),
            target_atr: of(&|one| one.target_atr),
            expiry_ms: of(&|one| one.expiry_ms.map(|expiry| expiry as f64)),
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `with the stop at 1.2 ATR instead of 0.8: +0.06 R a signal [0.01, 0.11], of which 0.02 R are lower costs, which makes
/// +0.09 R instead of +0.03 R`
fn better(best: &Alternative, own: Option<&Tried>, usual: Option<&UsualLevels>) -> String {
    let ends = best.interval.unwrap_or(Ends { low: f64::NAN, high: f64::NAN });
    let digits = if ends.low < 0.005 { 3 } else { 2 };
    let saved = own.map_or(0.0, |own| own.mean_costs_r - best.tried.mean_costs_r);
    let saved = if saved >= 0.005 { format!(", of which {saved:.2} R are lower costs") } else { String::new() };
    let makes = own.map_or_else(String::new, |own| {
        let loss = if best.tried.mean_r < 0.0 { ", still a loss" } else { "" };
        format!(", which makes {:+.digits$} R instead of {:+.digits$} R{loss}", best.tried.mean_r, own.mean_r)
    });
    let change = change(&best.tried.multiples, usual);
    let (low, high) = (ends.low, ends.high);
    format!("with {change}: {:+.digits$} R a signal [{low:.digits$}, {high:.digits$}]{saved}{makes}", best.difference_r)
}

/// A change of levels in words, such as `the stop at 1.2 ATR instead of 0.8 and the target twice as far`.
pub(super) fn change(multiples: &Multiples, usual: Option<&UsualLevels>) -> String {
    let level = |name: &str, times: f64, atr: Option<f64>, percent: Option<f64>| {
        let told = match (atr, percent) {
            (Some(atr), _) => format!("at {:.1} ATR instead of {atr:.1}", times * atr),
            (None, Some(percent)) => format!("at {:.2} % instead of {percent:.2} %", times * percent),
            (None, None) => format!("{times} times as far"),
        };
        (times != 1.0).then(|| format!("the {name} {told}"))
    };
    let stop = level("stop", multiples.stop, usual.and_then(|of| of.stop_atr), usual.map(|of| of.stop_percent));
    let target =
        level("target", multiples.target, usual.and_then(|of| of.target_atr), usual.and_then(|of| of.target_percent));
    let expiry = (multiples.expiry != 1.0).then(|| match usual.and_then(|of| of.expiry_ms) {
        Some(own) => format!("the expiry after {} instead of {}", span(multiples.expiry * own), span(own)),
        None => format!("the expiry {} times as late", multiples.expiry),
    });
    let parts: Vec<String> = [stop, target, expiry].into_iter().flatten().collect();
    parts.join(" and ")
}

/// A time for people: minutes, hours, or days.
fn span(ms: f64) -> String {
    let (hour, day) = (HOUR_MS as f64, DAY_MS as f64);
    match ms {
        ms if ms < 2.0 * hour => format!("{:.0} min", ms / 60_000.0),
        ms if ms <= 4.0 * day => format!("{:.0} h", ms / hour),
        ms => format!("{:.0} days", ms / day),
    }
}

fn too_few(replayed: &[Replayed], left_out: LeftOut, clusters: usize) -> String {
    let LeftOut { without_stop, managed, not_covered } = left_out;
    if replayed.is_empty() && not_covered > 0 {
        return format!(
            "not enough to tell: stored candles cover none of {} to the end; fetch more candles, or wait",
            counted(not_covered, "signal")
        );
    }
    if replayed.is_empty() {
        return match without_stop + managed {
            0 => "not enough to tell: no closed signals".to_owned(),
            count => format!(
                "not enough to tell: {} without a stop or changed by hand, which are not replayed",
                counted(count, "signal")
            ),
        };
    }
    let stretches = if clusters == 1 { "stretch" } else { "stretches" };
    format!(
        "not enough to tell: {} replayed, in {clusters} {stretches} of time; it takes {MIN_SIGNALS} in {MIN_CLUSTERS}",
        counted(replayed.len() as u64, "signal")
    )
}

/// The finding of all strategies together.
pub(super) fn overall(strategies: &[StrategyAdvice], alternatives: usize) -> (AdviceFinding, String) {
    let named = |one: &StrategyAdvice| one.strategy.clone().unwrap_or_else(|| "signals without a strategy".to_owned());
    if let [one] = strategies {
        return (one.finding, one.verdict.clone());
    }
    let of = |finding| strategies.iter().filter(move |one| one.finding == finding);
    let better: Vec<String> = of(AdviceFinding::Better).map(named).collect();
    let judged = better.len() + of(AdviceFinding::NoneBetter).count();
    if !better.is_empty() {
        let words = format!(
            "other levels would certainly have brought more in {} of {judged} strategies: {}",
            better.len(),
            better.join(", ")
        );
        return (AdviceFinding::Better, words);
    }
    let signals: u64 = strategies.iter().map(|one| one.signals).sum();
    if judged > 0 {
        let words = format!(
            "no other level is certainly better in any of {judged} strategies; {} and {} looked at",
            counted(signals, "signal"),
            counted(alternatives as u64, "alternative")
        );
        return (AdviceFinding::NoneBetter, words);
    }
    let words = match strategies.len() {
        0 => "not enough to tell: no closed signals".to_owned(),
        count => format!("not enough to tell: {} replayed in {count} strategies", counted(signals, "signal")),
    };
    (AdviceFinding::NotEnough, words)
}
