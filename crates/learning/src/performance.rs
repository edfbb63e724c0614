//! Poor performance: when live results are so bad that a market enters conservative mode and is trained again, and when
//! it has recovered. Pure functions: they take states and outcomes, and return new states and the changes.
//!
//! A *scope* is a market, or the whole home. Each is judged by the signals that closed within the window and **since
//! its mode last changed**. So a retrained model is judged by its own results and not by its predecessor's, and at
//! least `min_signals` closings lie between two changes. With fewer closings nothing is judged; but conservative mode,
//! which makes signals rare, ends by itself after a whole window with too few of them.
//!
//! Overlapping signals depend on each other and count as fewer independent ones ([`dependence`]). That effective number
//! must reach `min_signals`, and where it is small, a success rate must lie further below the threshold ([`margin`]).
//!
//! A home with poor results puts all its markets into conservative mode, except those whose own results are good.

use super::clusters::{Life, Z_ONE_SIDED, dependence, student};
use domain::config::{PoorPerformance, PoorRule};
use domain::signal::Ended;
use domain::symbol::Market;
use domain::time::{DAY_MS, believed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const HOUR_MS: f64 = 3_600_000.0;
/// An emergency training that produced no model is retried after this time, or after the cool-down where that is
/// shorter.
const BACK_OFF_HOURS: f64 = 1.0;

/// Overlapping signals are called poor only if a true success rate this many percentage points above the threshold can
/// be ruled out.
const CLEAR: f64 = 20.0;
/// Standard errors by which it must be ruled out.
const SURE: f64 = 3.5;

/// The largest change of a training weight by live signals in normal mode: weights of 1 ± 0.3.
pub const FEEDBACK_STRENGTH: f64 = 0.3;
/// The same in conservative mode.
pub const CONSERVATIVE_FEEDBACK_STRENGTH: f64 = 0.5;

/// The results that led to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Closed signals.
    pub closed: u64,
    /// The effective number of independent signals.
    #[serde(default)]
    pub effective: f64,
    /// Those that succeeded.
    pub successes: u64,
    /// Mean profit in percent of the entry, after costs.
    pub mean_profit: f64,
    /// Closings from this time on were counted, UTC epoch ms.
    pub from_ms: i64,
}

impl Evidence {
    /// Percent of the closed signals that succeeded; 0 when there are none.
    pub fn success_rate(&self) -> f64 {
        if self.closed == 0 { 0.0 } else { 100.0 * self.successes as f64 / self.closed as f64 }
    }
}

/// What the evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Too few closings, or too close to call.
    #[default]
    Open,
    /// Poor.
    Poor,
    /// Good enough.
    Fine,
}

/// Judges the outcomes of one scope.
pub fn judge(outcomes: &[&Ended], from_ms: i64, rule: &PoorPerformance, fee_bps: f64) -> (Evidence, Judgement) {
    let succeeded: Vec<f64> = outcomes.iter().map(|outcome| f64::from(u8::from(outcome.succeeded))).collect();
    let profits: Vec<f64> = outcomes.iter().map(|outcome| outcome.profit_percent - fee_bps / 100.0).collect();
    let lives = lives(outcomes);
    let judged = DependentMean::of(&lives, if rule.rule == PoorRule::Success { &succeeded } else { &profits });
    let evidence = Evidence {
        closed: outcomes.len() as u64,
        effective: judged.effective,
        successes: outcomes.iter().filter(|outcome| outcome.succeeded).count() as u64,
        mean_profit: mean(&profits),
        from_ms,
    };
    let rate = evidence.success_rate();
    // A signal closed by a trailed stop counts as a failure, but may have earned money.
    let earns = || {
        let profits = DependentMean::of(&lives, &profits);
        profits.mean > profits.doubt()
    };
    let verdict = match rule.rule {
        _ if evidence.effective < rule.min_signals as f64 => Judgement::Open,
        PoorRule::Success if rate >= rule.success_threshold => Judgement::Fine,
        PoorRule::Success if rate >= rule.success_threshold - margin(&evidence) => Judgement::Open,
        PoorRule::Success if earns() => Judgement::Fine,
        PoorRule::Success => Judgement::Poor,
        PoorRule::Expectancy if judged.mean >= 0.0 => Judgement::Fine,
        PoorRule::Expectancy if judged.mean + judged.doubt() < 0.0 => Judgement::Poor,
        PoorRule::Expectancy => Judgement::Open,
    };
    (evidence, verdict)
}

/// How many percentage points below the threshold a success rate must lie to be poor.
///
/// Zero for independent signals: the threshold is the caller's rule, and ten signals are enough evidence by it.
/// Overlapping signals come in runs, and are judged again at each closing of a run. So a rate [`CLEAR`] points above
/// the threshold has to be ruled out by [`SURE`] standard errors, weighted by the share of the evidence that is not
/// independent.
fn margin(evidence: &Evidence) -> f64 {
    // The largest possible standard deviation of one outcome, in percentage points.
    const DEVIATION: f64 = 50.0;
    let dependent = 1.0 - evidence.effective / evidence.closed.max(1) as f64;
    dependent * (SURE * DEVIATION / evidence.effective.sqrt() - CLEAR).max(0.0)
}

/// The lifetimes of the signals.
fn lives(outcomes: &[&Ended]) -> Vec<Life> {
    let mut symbols = BTreeMap::new();
    let life = |outcome: &&Ended| {
        let next = symbols.len();
        let symbol = *symbols.entry(outcome.market.symbol.as_str().to_owned()).or_insert(next);
        Life { symbol, given_ms: outcome.given_ms, closed_ms: outcome.closed_ms }
    };
    outcomes.iter().map(life).collect()
}

/// The mean; 0 where there are no values.
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The mean of dependent values, with its precision.
struct DependentMean {
    mean: f64,
    variance: f64,
    effective: f64,
}

impl DependentMean {
    fn of(lives: &[Life], values: &[f64]) -> Self {
        let (n, mean) = (values.len() as f64, mean(values));
        let residuals: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let effective = dependence(lives, &residuals).effective(values.len());
        Self { mean, variance: squares / (n - 1.0).max(1.0), effective }
    }

    /// The half-width of a one-sided t-test at 5 %.
    fn doubt(&self) -> f64 {
        // The quantile is inaccurate below four degrees of freedom, but nothing is judged by so few.
        student(Z_ONE_SIDED, (self.effective - 1.0).max(1.0)) * (self.variance / self.effective).sqrt()
    }
}

/// Conservative mode of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conservative {
    /// Since when, UTC epoch ms.
    pub since_ms: i64,
    /// The results that caused it.
    pub evidence: Evidence,
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
        fee_bps: f64,
        now_ms: i64,
    ) -> (Self, Option<(Turn, Evidence)>) {
        self.believed(now_ms).next_by_right_clock(outcomes, rule, fee_bps, now_ms)
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
        fee_bps: f64,
        now_ms: i64,
    ) -> (Self, Option<(Turn, Evidence)>) {
        let window_ms = i64::from(rule.window_days) * DAY_MS;
        let from_ms = self.changed_ms.map_or(now_ms - window_ms, |changed| (changed + 1).max(now_ms - window_ms));
        let fresh: Vec<&Ended> = outcomes.iter().filter(|outcome| outcome.closed_ms >= from_ms).copied().collect();
        let (evidence, verdict) = judge(&fresh, from_ms, rule, fee_bps);
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
    pub evidence: Evidence,
}

impl Performance {
    /// The state after the `outcomes` of the window, in order of closing, and the changes of mode.
    pub fn next(&self, outcomes: &[Ended], rule: &PoorPerformance, fee_bps: f64, now_ms: i64) -> (Self, Vec<Change>) {
        let mut changes = Vec::new();
        let mut step = |scope: Option<&Market>, standing: &Standing, of_scope: &[&Ended]| {
            let (next, turn) = standing.next(of_scope, rule, fee_bps, now_ms);
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
mod tests {
    use super::*;
    use domain::barrier::{Direction, Outcome};
    use proptest::prelude::*;

    const NOW: i64 = 1_750_000_000_000;
    const MINUTE: i64 = 60_000;
    const FEE_BPS: f64 = 10.0;

    fn rule() -> PoorPerformance {
        PoorPerformance::default()
    }

    fn market(symbol: &str) -> Market {
        Market::parse(symbol, "1h").unwrap()
    }

    /// Outcomes of a market, one per minute from `from_ms` on: `+` wins 2 %, `-` loses 1 %.
    fn ended(symbol: &str, from_ms: i64, pattern: &str) -> Vec<Ended> {
        let one = |(i, c): (usize, char)| Ended {
            market: market(symbol),
            direction: Direction::Buy,
            outcome: Outcome::by_profit(if c == '+' { 2.0 } else { -1.0 }),
            succeeded: c == '+',
            confidence: None,
            profit_percent: if c == '+' { 2.0 } else { -1.0 },
            given_ms: from_ms + (i as i64 - 1) * MINUTE,
            closed_ms: from_ms + i as i64 * MINUTE,
        };
        pattern.chars().enumerate().map(one).collect()
    }

    fn judged(outcomes: &[Ended], rule: &PoorPerformance, fee_bps: f64) -> (Evidence, Judgement) {
        judge(&outcomes.iter().collect::<Vec<_>>(), NOW, rule, fee_bps)
    }

    fn turns(changes: &[Change]) -> Vec<(Option<String>, Turn)> {
        changes.iter().map(|c| (c.scope.as_ref().map(|m| m.symbol.to_string()), c.turn)).collect()
    }

    #[test]
    fn ten_signals_below_forty_percent_are_poor_and_nine_are_nothing() {
        let judged = |pattern: &str| judged(&ended("BTCUSDT", NOW, pattern), &rule(), FEE_BPS).1;
        assert_eq!(judged("---------"), Judgement::Open);
        assert_eq!(judged("+++-------"), Judgement::Poor);
        assert_eq!(judged("++++------"), Judgement::Fine);
    }

    #[test]
    fn by_expectancy_a_third_of_wins_at_two_to_one_is_not_poor() {
        let rule = PoorPerformance { rule: PoorRule::Expectancy, ..rule() };
        let judged = |pattern: &str, fee: f64| judged(&ended("BTCUSDT", NOW, pattern), &rule, fee);
        // 35 % of successes: poor by the success rate, yet each signal earns 0.05 % on average.
        let (evidence, verdict) = judged("+++++++-------------", 0.0);
        assert_eq!((evidence.success_rate(), verdict), (35.0, Judgement::Fine));
        assert!((evidence.mean_profit - 0.05).abs() < 1e-12);
        // Costs of 0.1 % make it a loss of 0.05 %, which may be chance.
        assert_eq!(judged("+++++++-------------", 10.0).1, Judgement::Open);
        // Ten equal losses cannot be chance; 2 of 12: mean −0.5, deviation 1.168, t = −1.48 against 1.796.
        assert_eq!(judged("----------", 0.0).1, Judgement::Poor);
        assert_eq!(judged("++----------", 0.0).1, Judgement::Open);
        // 1 of 12: mean −0.75, deviation 0.866, t = −3.
        assert_eq!(judged("+-----------", 0.0).1, Judgement::Poor);
    }

    #[test]
    fn signals_that_share_their_fate_count_as_so_many_as_they_are_worth() {
        // Ten signals given and closed together count as one.
        let mut twins = ended("BTCUSDT", NOW, "----------");
        twins.iter_mut().for_each(|one| (one.given_ms, one.closed_ms) = (NOW, NOW + MINUTE));
        let (evidence, verdict) = judged(&twins, &rule(), FEE_BPS);
        assert!(evidence.effective <= 1.0 && verdict == Judgement::Open, "{evidence:?}");
        // Ten such signals of ten symbols count as one too, apart from what each symbol may have of its own.
        for (i, one) in twins.iter_mut().enumerate() {
            one.market = market(&format!("COIN{i}"));
        }
        let (evidence, verdict) = judged(&twins, &rule(), FEE_BPS);
        assert!((1.0..2.5).contains(&evidence.effective) && verdict == Judgement::Open, "{evidence:?}");
    }

    #[test]
    fn what_earns_money_beyond_chance_is_not_poor_however_it_ended() {
        let mut all = ended("BTCUSDT", NOW, "---+------");
        assert_eq!(judged(&all, &rule(), FEE_BPS).1, Judgement::Poor);
        // Six stops had been trailed to +3 %, the other signals lost 1 %: mean 1.6 minus costs, deviation about 1.9, t
        // = 2.5.
        all.iter_mut().skip(4).for_each(|one| one.profit_percent = 3.0);
        let (evidence, verdict) = judged(&all, &rule(), FEE_BPS);
        assert_eq!((evidence.success_rate(), verdict), (10.0, Judgement::Fine));
        // With one of them fewer it may be chance.
        all.iter_mut().skip(7).for_each(|one| one.profit_percent = -1.0);
        assert_eq!(judged(&all, &rule(), FEE_BPS).1, Judgement::Poor);
    }

    #[test]
    fn what_a_clock_dated_that_was_days_ahead_keeps_no_mode_for_as_long() {
        let wrong = NOW + 400 * DAY_MS;
        let (ahead, _) =
            Performance::default().next(&ended("BTCUSDT", wrong - 3_600_000, "+---------"), &rule(), FEE_BPS, wrong);
        let btc = market("BTCUSDT");
        assert_eq!(ahead.conservative(&btc).unwrap().since_ms, wrong);
        // The clock is right again: ten wins that close from now on end the mode.
        let (right, _) = ahead.next(&[], &rule(), FEE_BPS, NOW);
        assert_eq!(right.conservative(&btc).unwrap().since_ms, NOW);
        let wins = ended("BTCUSDT", NOW + MINUTE, "++++++++++");
        let (recovered, changes) = right.next(&wins, &rule(), FEE_BPS, NOW + 3_600_000);
        assert!(recovered.conservative(&btc).is_none() && changes.iter().all(|change| change.turn == Turn::Recovered));
        // A clock that was set back by minutes catches up: nothing is judged twice.
        let (same, _) = right.next(&[], &rule(), FEE_BPS, NOW - 5 * MINUTE);
        assert_eq!(same.conservative(&btc).unwrap().since_ms, NOW);
    }

    #[test]
    fn enters_recovers_by_fresh_closings_and_may_enter_again() {
        let mut all = ended("BTCUSDT", NOW - 3_600_000, "+---------");
        let (first, changes) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        let btc = market("BTCUSDT");
        assert_eq!(turns(&changes), [(None, Turn::Entered), (Some("BTCUSDT".into()), Turn::Entered)]);
        assert_eq!(first.conservative(&btc).unwrap().since_ms, NOW);
        assert_eq!(first.feedback_strength(&btc), 0.5);
        assert_eq!(first.feedback_strength(&market("ETHUSDT")), 0.5, "the home does poorly");

        // Nine new wins lift the window to 10 of 19, but ten new ones are needed.
        all.extend(ended("BTCUSDT", NOW + MINUTE, "+++++++++"));
        let later = NOW + 3_600_000;
        let (second, changes) = first.next(&all, &rule(), FEE_BPS, later);
        assert_eq!(turns(&changes), []);
        all.extend(ended("BTCUSDT", NOW + 20 * MINUTE, "-"));
        let (third, changes) = second.next(&all, &rule(), FEE_BPS, later);
        assert_eq!(turns(&changes), [(None, Turn::Recovered), (Some("BTCUSDT".into()), Turn::Recovered)]);
        assert_eq!((third.conservative(&btc), third.feedback_strength(&btc)), (None, 0.3));

        // Closings are judged once; ten new losses count.
        let (fourth, changes) = third.next(&all, &rule(), FEE_BPS, later + MINUTE);
        assert_eq!(turns(&changes), []);
        all.extend(ended("BTCUSDT", later + MINUTE, "----------"));
        let (_, changes) = fourth.next(&all, &rule(), FEE_BPS, later + 20 * MINUTE);
        assert_eq!(turns(&changes).len(), 2);
    }

    #[test]
    fn silence_ends_it_after_a_whole_window() {
        let all = ended("BTCUSDT", NOW - 3_600_000, "----------");
        let (first, _) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        let almost = NOW + 7 * DAY_MS - 1;
        let (second, changes) = first.next(&[], &rule(), FEE_BPS, almost);
        assert_eq!(turns(&changes), []);
        let (third, changes) = second.next(&[], &rule(), FEE_BPS, almost + 1);
        assert_eq!(turns(&changes), [(None, Turn::Lapsed), (Some("BTCUSDT".into()), Turn::Lapsed)]);
        assert_eq!(third.conservative(&market("BTCUSDT")), None);
    }

    #[test]
    fn a_market_that_recovered_stays_spared_until_its_later_closings_tell_otherwise() {
        const HOUR: i64 = 3_600_000;
        let mut all = ended("BTCUSDT", NOW - 20 * HOUR, "----------");
        all.extend(ended("ETHUSDT", NOW - 19 * HOUR, "--------------------"));
        let (poor, _) = Performance::default().next(&all, &rule(), FEE_BPS, NOW - 18 * HOUR);
        assert!(poor.conservative(&market("BTCUSDT")).is_some());
        all.extend(ended("BTCUSDT", NOW - 11 * HOUR, "++++++++++--"));
        all.extend(ended("ETHUSDT", NOW - 10 * HOUR, "--------------------"));
        let (recovered, changes) = poor.next(&all, &rule(), FEE_BPS, NOW - 9 * HOUR);
        assert_eq!(turns(&changes), [(Some("BTCUSDT".into()), Turn::Recovered)]);
        // The home is still poor; no signal of BTCUSDT closed since.
        all.extend(ended("ETHUSDT", NOW - 8 * HOUR, "-"));
        let (later, _) = recovered.next(&all, &rule(), FEE_BPS, NOW - 7 * HOUR);
        let modes = ["BTCUSDT", "ETHUSDT"].map(|symbol| later.conservative(&market(symbol)).is_some());
        assert_eq!(modes, [false, true]);
        // Later closings replace the verdict.
        all.extend(ended("BTCUSDT", NOW - 6 * HOUR, "----------"));
        let (worse, changes) = later.next(&all, &rule(), FEE_BPS, NOW - 5 * HOUR);
        assert_eq!(turns(&changes), [(Some("BTCUSDT".into()), Turn::Entered)]);
        assert!(worse.conservative(&market("BTCUSDT")).is_some());
        // After a window without closings the verdict is open again.
        let (silent, _) = recovered.next(&[], &rule(), FEE_BPS, NOW + 8 * 24 * HOUR);
        assert_eq!(silent.markets[0].standing.verdict, Judgement::Open);
    }

    #[test]
    fn a_market_that_does_well_is_spared_when_the_home_does_not() {
        let mut all = ended("BTCUSDT", NOW - 7_200_000, "--------------------");
        all.extend(ended("ETHUSDT", NOW - 3_600_000, "+++++-----"));
        all.extend(ended("SOLUSDT", NOW - 1_800_000, "-"));
        let (home, changes) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        assert_eq!(turns(&changes), [(None, Turn::Entered), (Some("BTCUSDT".into()), Turn::Entered)]);
        let modes = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT"].map(|s| home.conservative(&market(s)).is_some());
        assert_eq!(modes, [true, false, true, true]);
        assert_eq!(home.due(&rule(), NOW), [market("BTCUSDT"), market("SOLUSDT")]);
    }

    #[test]
    fn an_emergency_training_comes_at_once_and_again_only_after_its_cool_down_while_results_stay_poor() {
        let btc = market("BTCUSDT");
        let mut all = ended("BTCUSDT", NOW - 3_600_000, "----------");
        let (mut home, _) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        assert_eq!(home.due(&rule(), NOW), std::slice::from_ref(&btc));
        home.begin_training(std::slice::from_ref(&btc), NOW);
        home.end_training(std::slice::from_ref(&btc));
        assert_eq!(home.due(&rule(), NOW + 23 * 3_600_000), []);
        let next_day = NOW + 24 * 3_600_000;
        let (home, _) = home.next(&all, &rule(), FEE_BPS, next_day);
        assert_eq!(home.due(&rule(), next_day), [], "nothing is known of the new model yet");
        all.extend(ended("BTCUSDT", NOW + MINUTE, "----------"));
        let (home, _) = home.next(&all, &rule(), FEE_BPS, next_day - 1);
        assert_eq!(home.due(&rule(), next_day - 1), []);
        assert_eq!(home.due(&rule(), next_day), [btc]);
    }

    #[test]
    fn an_emergency_training_that_came_to_nothing_is_due_again_after_an_hour_or_a_shorter_cool_down() {
        const HOUR: i64 = 3_600_000;
        let btc = [market("BTCUSDT")];
        let all = ended("BTCUSDT", NOW - HOUR, "----------");
        let (mut home, _) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        home.begin_training(&btc, NOW);
        // Whether results are still poor is not known: the earlier closings were used up as evidence for the mode.
        let (mut home, _) = home.next(&all, &rule(), FEE_BPS, NOW + MINUTE);
        assert_eq!(home.due(&rule(), NOW + HOUR - 1), []);
        assert_eq!(home.due(&rule(), NOW + HOUR), btc);
        let short = PoorPerformance { cooldown_hours: 0.5, ..rule() };
        assert_eq!(home.due(&short, NOW + HOUR / 2), btc);
        home.begin_training(&btc, NOW + HOUR);
        home.end_training(&btc);
        assert_eq!(home.due(&rule(), NOW + 48 * HOUR), [], "nothing is known of the new model yet");
    }

    #[test]
    fn a_standing_survives_its_file() {
        let all = ended("BTCUSDT", NOW - 3_600_000, "----------");
        let (mut home, _) = Performance::default().next(&all, &rule(), FEE_BPS, NOW);
        home.begin_training(&[market("BTCUSDT")], NOW);
        let text = serde_json::to_string(&home).unwrap();
        assert_eq!(serde_json::from_str::<Performance>(&text).unwrap(), home);
    }

    proptest! {
        /// Between two changes of mode lie at least `min_signals` closings or a whole window; asking again at the same
        /// time changes nothing.
        #[test]
        fn a_mode_never_flaps(wins in proptest::collection::vec(any::<bool>(), 0..200), hours in proptest::collection::vec(0i64..60, 200)) {
            let (mut standing, mut all, mut now) = (Standing::default(), Vec::<Ended>::new(), NOW);
            let mut last: Option<(usize, i64)> = None;
            for (i, won) in wins.iter().enumerate() {
                now += 1 + hours[i] * 3_600_000;
                all.extend(ended("BTCUSDT", now, if *won { "+" } else { "-" }));
                let outcomes: Vec<&Ended> = all.iter().collect();
                let (next, turn) = standing.next(&outcomes, &rule(), FEE_BPS, now);
                if turn.is_some() {
                    if let Some((at, when)) = last {
                        prop_assert!(i - at >= 10 || now - when >= 7 * DAY_MS);
                    }
                    last = Some((i, now));
                    prop_assert_eq!(next.conservative.is_some(), standing.conservative.is_none());
                }
                prop_assert_eq!(next.next(&outcomes, &rule(), FEE_BPS, now).1, None);
                standing = next;
            }
        }
    }
}
