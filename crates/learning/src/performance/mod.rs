//! Poor performance: when live results are so bad that a market enters conservative mode and is trained again, and when
//! it has recovered. Pure functions: they take states and outcomes, and return new states and the changes.
//!
//! A *scope* is a market, or the whole home. Each is judged by the signals that closed within the window and **since
//! its mode last changed**. So a retrained model is judged by its own results and not by its predecessor's, and at
//! least `min_signals` closings lie between two changes. With fewer closings nothing is judged; but conservative mode,
//! which makes signals rare, ends by itself after a whole window with too few of them.
//!
//! Overlapping signals depend on each other and count as fewer independent ones (`evidence.rs`). That effective number
//! must reach `min_signals`, and where it is small, a success rate must lie further below the threshold.
//!
//! A home with poor results puts all its markets into conservative mode, except those whose own results are good.

mod evidence;

pub use evidence::{Judgement, LiveEvidence, judge};

use domain::config::PoorPerformance;
use domain::signal::Ended;
use domain::symbol::Market;
use domain::time::{DAY_MS, believed};
use serde::{Deserialize, Serialize};

const HOUR_MS: f64 = 3_600_000.0;
/// An emergency training that produced no model is retried after this time, or after the cool-down where that is
/// shorter.
const BACK_OFF_HOURS: f64 = 1.0;

/// The largest change of a training weight by live signals in normal mode: weights of 1 ± 0.3.
pub const FEEDBACK_STRENGTH: f64 = 0.3;
/// The same in conservative mode.
pub const CONSERVATIVE_FEEDBACK_STRENGTH: f64 = 0.5;

/// Conservative mode of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conservative {
    /// Since when, UTC epoch ms.
    pub since_ms: i64,
    /// The results that caused it.
    pub evidence: LiveEvidence,
}

/// The performance state of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// `None` in normal mode.
    pub conservative: Option<Conservative>,
    /// When the mode last changed, UTC epoch ms. Earlier closings no longer count.
    pub changed_ms: Option<i64>,
    /// The verdict on the closings since then.
    #[serde(default)]
    pub verdict: Judgement,
}

/// How the mode of a scope changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// It entered conservative mode because of poor results.
    Entered,
    /// It left it because results are good again.
    Recovered,
    /// It left it because a whole window had too few closings to judge.
    Lapsed,
}

impl Standing {
    /// The state after the `outcomes` of the window, in order of closing, and the change of mode, if any.
    pub fn next(
        &self,
        outcomes: &[&Ended],
        rule: &PoorPerformance,
        now_ms: i64,
    ) -> (Self, Option<(Turn, LiveEvidence)>) {
        self.believed(now_ms).next_by_right_clock(outcomes, rule, now_ms)
    }

    /// Corrects times that a wrong clock dated days ahead: they would keep a mode, and exclude closings, for just as
    /// long.
    fn believed(&self, now_ms: i64) -> Self {
        let conservative =
            self.conservative.map(|mode| Conservative { since_ms: believed(mode.since_ms, now_ms), ..mode });
        Self { conservative, changed_ms: self.changed_ms.map(|at| believed(at, now_ms)), ..*self }
    }

    fn next_by_right_clock(
        &self,
        outcomes: &[&Ended],
        rule: &PoorPerformance,
        now_ms: i64,
    ) -> (Self, Option<(Turn, LiveEvidence)>) {
        let window_ms = i64::from(rule.window_days) * DAY_MS;
        let from_ms = self.changed_ms.map_or(now_ms - window_ms, |changed| (changed + 1).max(now_ms - window_ms));
        let fresh: Vec<&Ended> = outcomes.iter().filter(|outcome| outcome.closed_ms >= from_ms).copied().collect();
        let (evidence, verdict) = judge(&fresh, from_ms, rule);
        let too_few = evidence.effective < rule.min_signals as f64;
        // The closings that led to the recovery no longer count, but the good verdict stays until later closings
        // replace it.
        let did_well = self.verdict == Judgement::Fine
            && too_few
            && self.changed_ms.is_some_and(|changed| now_ms - changed < window_ms);
        let verdict = if did_well { Judgement::Fine } else { verdict };
        let turn = match (self.conservative, verdict) {
            (None, Judgement::Poor) => Some(Turn::Entered),
            (Some(_), Judgement::Fine) => Some(Turn::Recovered),
            (Some(mode), Judgement::Open) if too_few && now_ms - mode.since_ms >= window_ms => Some(Turn::Lapsed),
            _ => None,
        };
        let Some(turn) = turn else {
            return (Self { verdict, ..*self }, None);
        };
        // A price may be dated a little ahead of this machine's clock; what was counted must not count again.
        let changed = fresh.iter().map(|outcome| outcome.closed_ms).max().unwrap_or(now_ms).max(now_ms);
        let conservative = (turn == Turn::Entered).then_some(Conservative { since_ms: now_ms, evidence });
        (Self { conservative, changed_ms: Some(changed), verdict }, Some((turn, evidence)))
    }
}

/// The performance state of a market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketStanding {
    /// The market.
    #[serde(flatten)]
    pub market: Market,
    /// Its state.
    #[serde(flatten)]
    pub standing: Standing,
    /// When its last emergency training began, UTC epoch ms.
    pub trained_ms: Option<i64>,
    /// Whether that training produced a model, that is, neither failed nor was interrupted.
    #[serde(default)]
    pub trained: bool,
}

/// The performance state of a home.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Performance {
    /// All markets together.
    pub home: Standing,
    /// Each market that closed signals, in alphabetical order.
    pub markets: Vec<MarketStanding>,
}

/// A change of mode. `None` as the scope is the whole home.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The scope.
    pub scope: Option<Market>,
    /// The kind of change.
    pub turn: Turn,
    /// The results that caused it.
    pub evidence: LiveEvidence,
}

impl Performance {
    /// The state after the `outcomes` of the window, in order of closing, and the changes of mode.
    pub fn next(&self, outcomes: &[Ended], rule: &PoorPerformance, now_ms: i64) -> (Self, Vec<Change>) {
        let mut changes = Vec::new();
        let mut step = |scope: Option<&Market>, standing: &Standing, of_scope: &[&Ended]| {
            let (next, turn) = standing.next(of_scope, rule, now_ms);
            changes.extend(turn.map(|(turn, evidence)| Change { scope: scope.cloned(), turn, evidence }));
            next
        };
        let home = step(None, &self.home, &outcomes.iter().collect::<Vec<_>>());
        let mut markets: Vec<&Market> = outcomes.iter().map(|outcome| &outcome.market).collect();
        markets.extend(self.markets.iter().map(|known| &known.market));
        markets.sort();
        markets.dedup();
        let next = markets.into_iter().map(|market| {
            let before = self.market(market);
            let own: Vec<&Ended> = outcomes.iter().filter(|outcome| outcome.market == *market).collect();
            let standing = step(Some(market), &before.map(|known| known.standing).unwrap_or_default(), &own);
            MarketStanding {
                market: market.clone(),
                standing,
                trained_ms: before.and_then(|known| known.trained_ms).map(|at| believed(at, now_ms)),
                trained: before.is_some_and(|known| known.trained),
            }
        });
        let markets = next.collect();
        (Self { home, markets }, changes)
    }

    fn market(&self, market: &Market) -> Option<&MarketStanding> {
        self.markets.iter().find(|known| known.market == *market)
    }

    /// The conservative mode that applies to a market: its own, or the home's unless the market's own results are good.
    pub fn conservative(&self, market: &Market) -> Option<Conservative> {
        let own = self.market(market).map(|known| known.standing).unwrap_or_default();
        own.conservative.or(self.home.conservative.filter(|_| own.verdict != Judgement::Fine))
    }

    /// The markets to train now. A market in conservative mode is due if it was not trained since the mode began, or if
    /// results are still poor after the cool-down. One whose training produced no model is due again after a while.
    pub fn due(&self, rule: &PoorPerformance, now_ms: i64) -> Vec<Market> {
        let due = |known: &&MarketStanding| {
            let Some(mode) = self.conservative(&known.market) else { return false };
            let poor = known.standing.verdict == Judgement::Poor || self.home.verdict == Judgement::Poor;
            let cooldown = rule.cooldown_hours;
            let rest = if known.trained { cooldown } else { cooldown.min(BACK_OFF_HOURS) };
            let rested = |at: i64| (now_ms - at) as f64 >= rest * HOUR_MS;
            known.trained_ms.is_none_or(|at| (at < mode.since_ms || poor || !known.trained) && rested(at))
        };
        self.markets.iter().filter(due).map(|known| known.market.clone()).collect()
    }

    /// Records that an emergency training of `markets` begins now.
    pub fn begin_training(&mut self, markets: &[Market], now_ms: i64) {
        for known in self.markets.iter_mut().filter(|known| markets.contains(&known.market)) {
            (known.trained_ms, known.trained) = (Some(now_ms), false);
        }
    }

    /// Records that the emergency training produced a model for each of `markets`.
    pub fn end_training(&mut self, markets: &[Market]) {
        for known in self.markets.iter_mut().filter(|known| markets.contains(&known.market)) {
            known.trained = true;
        }
    }

    /// The largest change of a training weight by the live signals of `market`.
    pub fn feedback_strength(&self, market: &Market) -> f64 {
        if self.conservative(market).is_some() { CONSERVATIVE_FEEDBACK_STRENGTH } else { FEEDBACK_STRENGTH }
    }
}

#[cfg(test)]
mod tests;
