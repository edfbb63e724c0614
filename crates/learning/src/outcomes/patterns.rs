//! Finds rules that separate successes from failures, and reports only those that chance is unlikely to produce.
//!
//! Signals of one time depend on each other, over all symbols. So the unit of evidence is a **cluster** of time, not a
//! signal: for each candidate and cluster, how much better its members did than the average signal, minus what their
//! number alone explains. The null distribution is simulated by flipping the sign of each cluster at random, with the
//! same flips for all candidates. That removes any relation between outcomes and conditions, and keeps the dependence
//! of outcomes within a cluster and of candidates on each other. Each simulation records the strongest departure of any
//! candidate. A rule is reported when at most one simulation in forty has one as strong; in data without patterns, any
//! rule at all is then reported in at most 5 % of cases.
//!
//! Sources: Westfall and Young, *Resampling-Based Multiple Testing*, 1993, for the maximum over many tests; Cameron,
//! Gelbach and Miller, *Bootstrap-based improvements for inference with clustered errors*, 2008, for the random signs.

use super::case::Lesson;
use super::layout::{Fact, Layout, Seen};
use super::region::{Condition, DIRECTIONS, Region, Tally, singles, strategies, symbols, thresholds};
use crate::clusters::{Lifetime, clusters, student, typical_life_ms};
use crate::model::MIN_CLUSTERS;
use domain::proportions::Z_95;
use domain::symbol::Symbol;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// With fewer closed signals no search is made: there would be too few clusters to simulate chance.
pub const MIN_CLOSED: usize = 40;
/// Fewest signals inside a region, and outside it.
const MIN_COUNT: usize = 8;
/// The number of clusters a history is cut into, where they are long enough.
const WANTED: i64 = 48;
/// A cluster is at least this many typical lifetimes long, so that most overlaps lie within one.
const LIVES: i64 = 3;
/// Number of simulations of chance.
const WORLDS: u64 = 199;
/// A rule is reported when at most this share of simulations has one as strong. The simulated departures are symmetric,
/// but real ones are not where success is rare or frequent: with this level, chance alone produces any rule at all in
/// up to 5 % of cases (simulated in `judgements.rs`).
const LEVEL: f64 = 0.025;
/// Largest number of reported rules.
const MAX_RULES: usize = 20;
/// Two regions that share more than this part of their union count as one finding.
const SAME: f64 = 0.4;
/// Standard errors by which a part of a reported region must differ from the whole region to be reported as well.
const APART: f64 = 2.5;
/// A rule is dated later than the beginning of its history if that explains it better by this many squared standard
/// errors.
const BEGUN: f64 = 4.0;
/// The quantiles of an indicator that are tried as thresholds in a pair of conditions.
const PAIR_QUANTILES: [f64; 2] = [0.3, 0.7];

/// A rule found in the outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// The rule in words.
    pub rule: String,
    /// The closed signals it applies to.
    pub tally: Tally,
    /// The success rate of all searched signals, percent.
    pub base_rate: f64,
    /// Their mean profit after costs in units of the risk at entry (R); `None` where one has no stop.
    pub mean_r: Option<f64>,
    /// The 95 % interval of `mean_r`, with the clusters of time as units. It holds for one rule, not for the choice of the strongest.
    pub mean_r_interval: Option<(f64, f64)>,
    /// The mean R of all searched signals; `None` where one has no stop.
    pub base_r: Option<f64>,
    /// The probability that chance alone would produce any rule as strong, 0–1, over all candidates.
    pub p_value: f64,
    /// Its estimated beginning: when the first signal of the period was given in which it most likely holds, UTC epoch
    /// ms.
    pub since_ms: i64,
    /// The part of `tally` in the most recent third of the time clusters.
    pub recent: Tally,
    /// Whether its signals still differ from the others in that third, in the same direction and by at least half as
    /// much; `None` where they are too few to tell.
    pub still_holds: Option<bool>,
}

/// The searched data: signals in order of time, with their results.
struct History<'a> {
    lessons: Vec<&'a Lesson>,
    /// The result of each signal minus the mean of all.
    residuals: Vec<f64>,
    /// Mean squared residual.
    variance: f64,
    /// The time cluster of each signal.
    cluster: Vec<usize>,
    /// The number of each signal's symbol.
    symbol: Vec<usize>,
    symbols: usize,
    /// The sum of the residuals in each cluster.
    of_cluster: Vec<f64>,
    /// Correlation of two outcomes of one cluster: of the same symbol, and of two symbols.
    within: f64,
    between: f64,
}

/// Ordered pairs of signals that share a time cluster.
struct Pairs {
    /// Pairs of the same symbol.
    within: f64,
    /// Pairs of two symbols.
    between: f64,
}

struct CandidateRule {
    region: Region,
    members: Bits,
    count: usize,
    /// How much better its members did in each cluster than their number alone explains, in standard errors of the
    /// whole.
    scores: Vec<f32>,
    /// The sum of the scores.
    departure: f64,
    /// The variance of its departure relative to independent signals; at least 1.
    inflation: f64,
}

/// The rules in these lessons, strongest departure first.
pub fn find(lessons: &[&Lesson]) -> Vec<Pattern> {
    if lessons.len() < MIN_CLOSED {
        return Vec::new();
    }
    let history = History::of(lessons);
    if history.of_cluster.len() < MIN_CLUSTERS || history.variance <= 0.0 {
        return Vec::new();
    }
    let layout = Layout::of(&history.lessons);
    let seen: Vec<Seen<'_>> = history.lessons.iter().map(|lesson| layout.see(&lesson.case)).collect();
    let candidates = candidates(&seen, &layout, &history);
    let chance: Vec<f64> =
        (0..WORLDS).into_par_iter().map(|seed| strongest(&candidates, history.of_cluster.len(), seed)).collect();
    let p_value = |departure: f64| {
        // The scores are rounded in the simulations.
        let as_strong = chance.iter().filter(|other| **other >= departure.abs() - 1e-4).count();
        (1 + as_strong) as f64 / (1 + WORLDS) as f64
    };
    let mut found: Vec<&CandidateRule> =
        candidates.iter().filter(|candidate| p_value(candidate.departure) <= LEVEL).collect();
    found.sort_by(|a, b| b.departure.abs().total_cmp(&a.departure.abs()));
    let mut kept: Vec<&CandidateRule> = Vec::new();
    for new in found {
        if kept.len() < MAX_RULES && kept.iter().all(|known| says_more(new, known, &history)) {
            kept.push(new);
        }
    }
    let (all, base_r) = (history.tally(&|_| true), history.mean_r(0..history.lessons.len()));
    let pattern = |candidate: &CandidateRule| {
        let (recent, still_holds) = history.recently(candidate);
        Pattern {
            rule: candidate.region.words(&layout),
            tally: history.tally(&|at| candidate.members.has(at)),
            base_rate: all.success_rate(),
            mean_r: history.mean_r(candidate.members.ones()),
            mean_r_interval: history.mean_r_interval(candidate),
            base_r,
            p_value: p_value(candidate.departure),
            since_ms: history.begin_ms(candidate),
            recent,
            still_holds,
        }
    };
    kept.into_iter().map(pattern).collect()
}

/// The result of each signal: its profit after costs in R where all are known, else 1 for success and 0 for failure.
fn worths(lessons: &[&Lesson]) -> Vec<f64> {
    let profits: Option<Vec<f64>> = lessons.iter().map(|lesson| lesson.net_r).collect();
    profits.unwrap_or_else(|| lessons.iter().map(|lesson| f64::from(u8::from(lesson.success))).collect())
}

/// The strongest departure of any candidate with random signs of the clusters.
fn strongest(candidates: &[CandidateRule], clusters: usize, seed: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let signs: Vec<f32> = (0..clusters).map(|_| if rng.random_bool(0.5) { 1.0 } else { -1.0 }).collect();
    let departure = |candidate: &CandidateRule| -> f32 {
        candidate.scores.iter().zip(&signs).map(|(score, sign)| score * sign).sum()
    };
    candidates.iter().map(|candidate| f64::from(departure(candidate).abs())).fold(0.0, f64::max)
}

/// Whether a finding adds something to a stronger one that is already reported.
fn says_more(new: &CandidateRule, known: &CandidateRule, history: &History<'_>) -> bool {
    let shared = new.members.shared(&known.members);
    let union = new.count + known.count - shared;
    if new.departure.signum() != known.departure.signum() {
        // The complement of a known rule says the same: what is not overbought succeeds because what is overbought
        // fails.
        return 5 * union <= 4 * new.members.len;
    }
    if shared as f64 > SAME * union as f64 {
        return false;
    }
    // Mostly inside a known region: does it differ from that region?
    let tally = |candidate: &CandidateRule| history.tally(&|at| candidate.members.has(at));
    2 * shared <= new.count || tally(new).departure(&tally(known)).abs() > APART * new.inflation.sqrt()
}

impl<'a> History<'a> {
    fn of(lessons: &[&'a Lesson]) -> Self {
        // Neighbours are signals of the same time, in whatever order they were learned.
        let mut lessons = lessons.to_vec();
        lessons.sort_by_key(|lesson| lesson.order());
        let mut symbols: BTreeMap<&Symbol, usize> = BTreeMap::new();
        let life = |lesson: &&'a Lesson| {
            let next = symbols.len();
            let symbol = *symbols.entry(lesson.case.symbol()).or_insert(next);
            Lifetime { symbol, given_ms: lesson.given_ms, closed_ms: lesson.closed_ms }
        };
        let lifetimes: Vec<Lifetime> = lessons.iter().map(life).collect();
        let times = || lifetimes.iter().map(|life| life.given_ms);
        let span_ms = times().max().unwrap_or_default() - times().min().unwrap_or_default();
        let cluster = clusters(&lifetimes, (span_ms / WANTED).max(LIVES * typical_life_ms(&lifetimes)).max(1));
        let worths = worths(&lessons);
        let mean = worths.iter().sum::<f64>() / lessons.len() as f64;
        let residuals: Vec<f64> = worths.iter().map(|worth| worth - mean).collect();
        let mut of_cluster = vec![0.0; cluster.iter().max().map_or(0, |last| last + 1)];
        cluster.iter().zip(&residuals).for_each(|(&at, residual)| of_cluster[at] += residual);
        let squares = residuals.iter().map(|residual| residual * residual).sum::<f64>();
        let variance = squares / lessons.len() as f64;
        let (symbol, symbols) = (lifetimes.iter().map(|life| life.symbol).collect(), symbols.len());
        let mut history =
            Self { lessons, residuals, variance, cluster, symbol, symbols, of_cluster, within: 0.0, between: 0.0 };
        // The mean product of two residuals over their variance (the ANOVA estimate of the intraclass correlation).
        let (mut sums, all) = (vec![0.0; history.of_cluster.len() * symbols], history.pairs(0..history.lessons.len()));
        (0..history.lessons.len()).for_each(|at| sums[history.cell(at)] += history.residuals[at]);
        let own: f64 = sums.iter().map(|sum| sum * sum).sum();
        let whole: f64 = history.of_cluster.iter().map(|sum| sum * sum).sum();
        let correlation =
            |products: f64, pairs: f64| (products / (pairs * variance).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        history.within = correlation(own - squares, all.within);
        history.between = correlation(whole - own, all.between);
        history
    }

    /// The index of a cluster and symbol in the sums.
    fn cell(&self, at: usize) -> usize {
        self.cluster[at] * self.symbols + self.symbol[at]
    }

    /// The number of ordered pairs that share a cluster.
    fn pairs(&self, members: impl Iterator<Item = usize>) -> Pairs {
        let mut cells = vec![0.0; self.of_cluster.len() * self.symbols];
        members.for_each(|at| cells[self.cell(at)] += 1.0);
        let square = |count: f64| count * count;
        let own: f64 = cells.iter().copied().map(square).sum();
        let whole: f64 = cells.chunks(self.symbols.max(1)).map(|cluster| square(cluster.iter().sum())).sum();
        Pairs { within: own - cells.iter().sum::<f64>(), between: whole - own }
    }

    /// A candidate with these members; `None` where they, or all others, are too few or in too few clusters.
    fn candidate(&self, region: Region, members: Bits) -> Option<CandidateRule> {
        let (count, all) = (members.count(), self.lessons.len());
        if !(MIN_COUNT..=all - MIN_COUNT).contains(&count) {
            return None;
        }
        let share = count as f64 / all as f64;
        let mut scores: Vec<f64> = self.of_cluster.iter().map(|sum| -share * sum).collect();
        let mut met = vec![false; scores.len()];
        members.ones().for_each(|at| {
            scores[self.cluster[at]] += self.residuals[at];
            met[self.cluster[at]] = true;
        });
        if met.into_iter().filter(|met| *met).count() < MIN_CLUSTERS {
            return None;
        }
        // A few clusters that happen to agree must not give a small standard error: it is at least the one that follows
        // from the overall correlation of signals in the same clusters.
        let independent = self.variance * count as f64 * (1.0 - share);
        let pairs = self.pairs(members.ones());
        let more = (self.within * pairs.within + self.between * pairs.between) / count as f64;
        let clustered: f64 = scores.iter().map(|score| score * score).sum();
        let error = (independent * (1.0 + more)).max(clustered).sqrt();
        let departure = scores.iter().sum::<f64>() / error;
        let scores = scores.into_iter().map(|score| (score / error) as f32).collect();
        Some(CandidateRule { region, members, count, scores, departure, inflation: error * error / independent })
    }

    fn mean_r(&self, members: impl Iterator<Item = usize>) -> Option<f64> {
        let profits: Option<Vec<f64>> = members.map(|at| self.lessons[at].net_r).collect();
        profits.map(|profits| profits.iter().sum::<f64>() / profits.len().max(1) as f64)
    }

    /// The 95 % interval of the mean R of a rule: the standard error is the larger of those with signals and with clusters of time as
    /// units, and the quantile that of Student's t for the clusters that it has signals in (Liang and Zeger 1986).
    fn mean_r_interval(&self, candidate: &CandidateRule) -> Option<(f64, f64)> {
        let mean = self.mean_r(candidate.members.ones())?;
        let (mut of_cluster, mut squares) = (BTreeMap::<usize, f64>::new(), 0.0);
        for at in candidate.members.ones() {
            let residual = self.lessons[at].net_r? - mean;
            *of_cluster.entry(self.cluster[at]).or_default() += residual;
            squares += residual * residual;
        }
        let (count, clusters) = (candidate.count as f64, of_cluster.len() as f64);
        let unbiased = |sum: f64, units: f64| sum * units / (units - 1.0);
        let clustered = unbiased(of_cluster.values().map(|sum| sum * sum).sum(), clusters);
        let error = unbiased(squares, count).max(clustered).sqrt() / count;
        let most = student(Z_95, clusters - 1.0) * error;
        Some((mean - most, mean + most))
    }

    fn tally(&self, holds: &dyn Fn(usize) -> bool) -> Tally {
        let own = self.lessons.iter().enumerate().filter(|(at, _)| holds(*at));
        own.fold(Tally::default(), |tally, (_, lesson)| Tally {
            count: tally.count + 1,
            successes: tally.successes + usize::from(lesson.success),
        })
    }

    /// Its signals in the most recent third of the clusters, and whether the rule still holds there.
    fn recently(&self, candidate: &CandidateRule) -> (Tally, Option<bool>) {
        let from = self.of_cluster.len() - self.of_cluster.len() / 3;
        let recent = |at: usize| self.cluster[at] >= from;
        let mean = |of: &dyn Fn(usize) -> bool| {
            let own: Vec<f64> = (0..self.residuals.len()).filter(|&at| of(at)).map(|at| self.residuals[at]).collect();
            own.iter().sum::<f64>() / own.len().max(1) as f64
        };
        let members = |at: usize| candidate.members.has(at);
        let apart = |within: &dyn Fn(usize) -> bool| {
            mean(&|at| within(at) && members(at)) - mean(&|at| within(at) && !members(at))
        };
        let tally = self.tally(&|at| recent(at) && members(at));
        let others = self.tally(&|at| recent(at) && !members(at)).count;
        let holds = || candidate.departure.signum() * (apart(&recent) - apart(&|_| true) / 2.0) >= 0.0;
        (tally, (tally.count.min(others) >= MIN_COUNT).then(holds))
    }

    /// When the first signal was given of the period in which the rule most likely holds.
    ///
    /// The beginning that maximises the departure of everything after it (the likelihood ratio of a change of the mean
    /// at an unknown time), if it clearly beats the whole history.
    fn begin_ms(&self, candidate: &CandidateRule) -> i64 {
        let mut counts = vec![0usize; self.of_cluster.len()];
        candidate.members.ones().for_each(|at| counts[self.cluster[at]] += 1);
        let (mut sum, mut count, mut courses) = (0.0, 0, Vec::new());
        for at in (0..counts.len()).rev() {
            sum += candidate.departure.signum() * f64::from(candidate.scores[at]);
            count += counts[at];
            // Squared standard errors of the remaining members: the scores are scaled for all members.
            let strength = sum.max(0.0).powi(2) * candidate.count as f64 / count.max(1) as f64;
            courses.push((if count >= MIN_COUNT { strength } else { 0.0 }, at));
        }
        let whole = courses.last().map_or(0.0, |(strength, _)| *strength);
        let (best, begin) = courses.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        let from = if best - whole > BEGUN { begin } else { 0 };
        let own = (0..self.lessons.len()).filter(|&at| candidate.members.has(at) && self.cluster[at] >= from);
        own.map(|at| self.lessons[at].given_ms).min().unwrap_or_default()
    }
}

/// A condition, and the signals that meet it.
type MembersOfCondition = (Condition, Bits);

/// The regions to test: all with one condition, and all with two.
fn candidates(seen: &[Seen<'_>], layout: &Layout, history: &History<'_>) -> Vec<CandidateRule> {
    let of = |conditions: Vec<Condition>| -> Vec<MembersOfCondition> {
        let members = |condition: &Condition| Bits::of(seen.iter().map(|seen| condition.holds(seen)));
        conditions.into_iter().map(|condition| (condition.clone(), members(&condition))).collect()
    };
    let alone = |region: Region| {
        let members = Bits::of(seen.iter().map(|seen| region.contains(seen)));
        history.candidate(region, members)
    };
    let mut found: Vec<CandidateRule> =
        singles(seen, &seen.iter().collect::<Vec<_>>(), layout).into_par_iter().filter_map(alone).collect();
    // Each condition is evaluated once, however often it is paired.
    let (symbols, strategies) = (of(symbols(seen)), of(strategies(seen)));
    let facts = layout.mirrored().filter(|(fact, _)| matches!(fact, Fact::Indicator(_)));
    let coarse: Vec<Vec<MembersOfCondition>> =
        facts.map(|(fact, centre)| of(thresholds(fact, Some(centre), seen, &PAIR_QUANTILES))).collect();
    let directions = of(DIRECTIONS.map(Condition::Direction).to_vec());
    let mut pairs: Vec<(&[MembersOfCondition], &[MembersOfCondition])> =
        vec![(&symbols, &directions), (&strategies, &directions), (&strategies, &symbols)];
    for (i, first) in coarse.iter().enumerate() {
        pairs.extend([(&symbols[..], &first[..]), (&strategies, first)]);
        pairs.extend(coarse[i + 1..].iter().map(|second| (&first[..], &second[..])));
    }
    let both = |(first, second): (&[MembersOfCondition], &[MembersOfCondition])| -> Vec<CandidateRule> {
        let all = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
        let both = all.filter_map(|(a, b)| history.candidate(Region(vec![a.0.clone(), b.0.clone()]), a.1.and(&b.1)));
        both.collect()
    };
    let paired: Vec<Vec<CandidateRule>> = pairs.into_par_iter().map(both).collect();
    found.extend(paired.into_iter().flatten());
    found
}

/// A set of signals, as bits by their position in time.
struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    fn of(items: impl ExactSizeIterator<Item = bool>) -> Self {
        let len = items.len();
        let mut words = vec![0; len.div_ceil(64)];
        items.enumerate().filter(|(_, set)| *set).for_each(|(i, _)| words[i / 64] |= 1 << (i % 64));
        Self { words, len }
    }

    fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn has(&self, at: usize) -> bool {
        self.words[at / 64] >> (at % 64) & 1 == 1
    }

    /// The positions of its members.
    fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let lowest = |left: &u64| Some(left & (left - 1)).filter(|left| *left != 0);
            let places = std::iter::successors(Some(word).filter(|word| *word != 0), lowest);
            places.map(move |left| 64 * at + left.trailing_zeros() as usize)
        })
    }

    fn and(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect();
        Self { words, len: self.len }
    }

    fn shared(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }
}
