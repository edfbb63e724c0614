//! The rules found in what succeeded and what failed, with control of those that chance alone would show.
//!
//! Signals of one time share their fate, over all symbols, so what counts is a **cluster** of time, not a signal: of each candidate
//! and cluster, by how much its members did better than all signals, and by how much it should have by their number alone. What
//! chance can do is the same with the sign of each cluster drawn by a coin, one coin for all candidates: that breaks what ties
//! outcomes to signals, and leaves whole how outcomes of a cluster depend on each other, and candidates on each other. The strongest
//! departure that any candidate shows there is what chance can do. A rule is reported when at most one in forty of those worlds shows
//! one as strong; in data without patterns any rule at all is then reported in at most 5 % of cases.
//!
//! Sources: Westfall and Young, *Resampling-Based Multiple Testing*, 1993, for the strongest of many; Cameron, Gelbach and Miller,
//! *Bootstrap-based improvements for inference with clustered errors*, 2008, for the signs.

use super::case::Lesson;
use super::layout::{Fact, Layout, Seen};
use super::region::{Condition, DIRECTIONS, Region, Tally, singles, strategies, symbols, thresholds};
use crate::clusters::{Life, clusters, typical_life_ms};
use crate::model::MIN_CLUSTERS;
use domain::symbol::Symbol;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Closed signals below which no search is made: with fewer, too few clusters exist to know what chance can do.
pub const MIN_CLOSED: usize = 40;
/// Signals in a region at least, and outside of it.
const MIN_COUNT: usize = 8;
/// Clusters that a history is cut into, where they are long enough.
const WANTED: i64 = 48;
/// A cluster is at least so many typical lives long: what overlaps mostly lies within one.
const LIVES: i64 = 3;
/// Worlds of chance looked at.
const WORLDS: u64 = 199;
/// A rule is kept where at most this share of the worlds of chance show one as strong. The worlds are symmetric, and outcomes that
/// succeed seldom or mostly are not: simulated (`judgements.rs`), chance alone then brings about any rule at all in up to 5 %.
const LEVEL: f64 = 0.025;
/// Rules reported at most.
const MAX_RULES: usize = 20;
/// Two regions that share more than this part of their union are one finding.
const SAME: f64 = 0.4;
/// Standard errors by which a part of a reported region must depart from the whole to be worth a rule of its own.
const APART: f64 = 2.5;
/// A rule begins later than its history where that explains it better by so many squared standard errors.
const BEGUN: f64 = 4.0;
/// Where thresholds are tried for each side of a pair: quantiles of an indicator.
const PAIR_QUANTILES: [f64; 2] = [0.3, 0.7];

/// A rule found in the outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// In words.
    pub rule: String,
    /// Closed signals that it holds for.
    pub tally: Tally,
    /// The rate of all closed signals that were looked at, percent.
    pub base_rate: f64,
    /// Their mean profit before costs, in distances of the stop; `None` where one has no stop.
    pub mean_r: Option<f64>,
    /// How often chance alone would show anything as strong, 0–1, all candidates together.
    pub p_value: f64,
    /// When the first signal was given of the time since which it most likely holds, UTC epoch ms.
    pub since_ms: i64,
    /// Of `tally`, those of the most recent third of the clusters of time.
    pub recent: Tally,
    /// There, too, its signals depart from the others, the same way and by half as much at least; `None` where they are too few to
    /// tell.
    pub still_holds: Option<bool>,
}

/// What is searched: signals in order of time, with what each came to.
struct History<'a> {
    lessons: Vec<&'a Lesson>,
    /// What each came to, less the mean of all.
    residuals: Vec<f64>,
    /// Mean squared residual.
    variance: f64,
    /// The cluster of time of each.
    cluster: Vec<usize>,
    /// The number of its symbol.
    symbol: Vec<usize>,
    symbols: usize,
    /// Σ of the residuals of each cluster.
    of_cluster: Vec<f64>,
    /// Correlation of two outcomes of a cluster, of one symbol and of two.
    within: f64,
    between: f64,
}

/// Ordered pairs of signals that share a cluster of time.
struct Pairs {
    /// Of one symbol.
    within: f64,
    /// Of two.
    between: f64,
}

struct Candidate {
    region: Region,
    members: Bits,
    count: usize,
    /// By how much its members did better in each cluster than their number alone lets expect, in standard errors of the whole.
    scores: Vec<f32>,
    /// Its departure: Σ of the scores.
    departure: f64,
    /// Variance of its departure, where that of independent signals is 1; at least 1.
    inflation: f64,
}

/// The rules in these lessons, the strongest departure first.
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
        // The scores are rounded in the worlds.
        let as_strong = chance.iter().filter(|other| **other >= departure.abs() - 1e-4).count();
        (1 + as_strong) as f64 / (1 + WORLDS) as f64
    };
    let mut found: Vec<&Candidate> =
        candidates.iter().filter(|candidate| p_value(candidate.departure) <= LEVEL).collect();
    found.sort_by(|a, b| b.departure.abs().total_cmp(&a.departure.abs()));
    let mut kept: Vec<&Candidate> = Vec::new();
    for new in found {
        if kept.len() < MAX_RULES && kept.iter().all(|known| says_more(new, known, &history)) {
            kept.push(new);
        }
    }
    let all = history.tally(&|_| true);
    let pattern = |candidate: &Candidate| {
        let (recent, still_holds) = history.recently(candidate);
        Pattern {
            rule: candidate.region.words(&layout),
            tally: history.tally(&|at| candidate.members.has(at)),
            base_rate: all.success_rate(),
            mean_r: history.mean_r(candidate),
            p_value: p_value(candidate.departure),
            since_ms: history.begin_ms(candidate),
            recent,
            still_holds,
        }
    };
    kept.into_iter().map(pattern).collect()
}

/// What each signal came to: its profit in distances of its stop where all are known, else 1 for success and 0 for failure.
fn worths(lessons: &[&Lesson]) -> Vec<f64> {
    let profits: Option<Vec<f64>> = lessons.iter().map(|lesson| lesson.r).collect();
    profits.unwrap_or_else(|| lessons.iter().map(|lesson| f64::from(u8::from(lesson.success))).collect())
}

/// The strongest departure of any candidate where a coin decides the sign of each cluster.
fn strongest(candidates: &[Candidate], clusters: usize, seed: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let signs: Vec<f32> = (0..clusters).map(|_| if rng.random_bool(0.5) { 1.0 } else { -1.0 }).collect();
    let departure =
        |candidate: &Candidate| -> f32 { candidate.scores.iter().zip(&signs).map(|(score, sign)| score * sign).sum() };
    candidates.iter().map(|candidate| f64::from(departure(candidate).abs())).fold(0.0, f64::max)
}

/// Whether a finding is one of its own beside a stronger one that is known.
fn says_more(new: &Candidate, known: &Candidate, history: &History<'_>) -> bool {
    let shared = new.members.shared(&known.members);
    let union = new.count + known.count - shared;
    if new.departure.signum() != known.departure.signum() {
        // The other side of the same coin: what is not overbought succeeds because what is overbought fails.
        return 5 * union <= 4 * new.members.len;
    }
    if shared as f64 > SAME * union as f64 {
        return false;
    }
    // Mostly inside a known region: does it depart from that one, too?
    let tally = |candidate: &Candidate| history.tally(&|at| candidate.members.has(at));
    2 * shared <= new.count || tally(new).departure(&tally(known)).abs() > APART * new.inflation.sqrt()
}

impl<'a> History<'a> {
    fn of(lessons: &[&'a Lesson]) -> Self {
        // Neighbours are those of one time, whatever the order in which they were learned.
        let mut lessons = lessons.to_vec();
        lessons.sort_by_key(|lesson| lesson.order());
        let mut symbols: BTreeMap<&Symbol, usize> = BTreeMap::new();
        let life = |lesson: &&'a Lesson| {
            let next = symbols.len();
            let symbol = *symbols.entry(lesson.case.symbol()).or_insert(next);
            Life { symbol, given_ms: lesson.given_ms, closed_ms: lesson.closed_ms }
        };
        let lives: Vec<Life> = lessons.iter().map(life).collect();
        let times = || lives.iter().map(|life| life.given_ms);
        let span_ms = times().max().unwrap_or_default() - times().min().unwrap_or_default();
        let cluster = clusters(&lives, (span_ms / WANTED).max(LIVES * typical_life_ms(&lives)).max(1));
        let worths = worths(&lessons);
        let mean = worths.iter().sum::<f64>() / lessons.len() as f64;
        let residuals: Vec<f64> = worths.iter().map(|worth| worth - mean).collect();
        let mut of_cluster = vec![0.0; cluster.iter().max().map_or(0, |last| last + 1)];
        cluster.iter().zip(&residuals).for_each(|(&at, residual)| of_cluster[at] += residual);
        let squares = residuals.iter().map(|residual| residual * residual).sum::<f64>();
        let variance = squares / lessons.len() as f64;
        let (symbol, symbols) = (lives.iter().map(|life| life.symbol).collect(), symbols.len());
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

    /// Where the sums of a cluster and symbol are kept.
    fn cell(&self, at: usize) -> usize {
        self.cluster[at] * self.symbols + self.symbol[at]
    }

    /// How many ordered pairs of these share a cluster.
    fn pairs(&self, members: impl Iterator<Item = usize>) -> Pairs {
        let mut cells = vec![0.0; self.of_cluster.len() * self.symbols];
        members.for_each(|at| cells[self.cell(at)] += 1.0);
        let square = |count: f64| count * count;
        let own: f64 = cells.iter().copied().map(square).sum();
        let whole: f64 = cells.chunks(self.symbols.max(1)).map(|cluster| square(cluster.iter().sum())).sum();
        Pairs { within: own - cells.iter().sum::<f64>(), between: whole - own }
    }

    /// Of these members as a candidate; `None` where they, or all others, are few or of few clusters.
    fn candidate(&self, region: Region, members: Bits) -> Option<Candidate> {
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
        // Few clusters that happen to agree must not make the error small: it is at least what the correlation of all outcomes lets
        // expect of signals that lie so close together.
        let independent = self.variance * count as f64 * (1.0 - share);
        let pairs = self.pairs(members.ones());
        let more = (self.within * pairs.within + self.between * pairs.between) / count as f64;
        let clustered: f64 = scores.iter().map(|score| score * score).sum();
        let error = (independent * (1.0 + more)).max(clustered).sqrt();
        let departure = scores.iter().sum::<f64>() / error;
        let scores = scores.into_iter().map(|score| (score / error) as f32).collect();
        Some(Candidate { region, members, count, scores, departure, inflation: error * error / independent })
    }

    fn mean_r(&self, candidate: &Candidate) -> Option<f64> {
        let profits: Option<Vec<f64>> = candidate.members.ones().map(|at| self.lessons[at].r).collect();
        profits.map(|profits| profits.iter().sum::<f64>() / profits.len().max(1) as f64)
    }

    fn tally(&self, holds: &dyn Fn(usize) -> bool) -> Tally {
        let own = self.lessons.iter().enumerate().filter(|(at, _)| holds(*at));
        own.fold(Tally::default(), |tally, (_, lesson)| Tally {
            count: tally.count + 1,
            successes: tally.successes + usize::from(lesson.success),
        })
    }

    /// Its signals in the most recent third of the clusters, and whether it still holds there.
    fn recently(&self, candidate: &Candidate) -> (Tally, Option<bool>) {
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

    /// When the first of its signals was given of the time since which it most likely holds.
    ///
    /// The begin at which the departure of all that follows is strongest (the likelihood ratio of a change of the mean at an unknown
    /// time), if that beats the whole history clearly.
    fn begin_ms(&self, candidate: &Candidate) -> i64 {
        let mut counts = vec![0usize; self.of_cluster.len()];
        candidate.members.ones().for_each(|at| counts[self.cluster[at]] += 1);
        let (mut sum, mut count, mut courses) = (0.0, 0, Vec::new());
        for at in (0..counts.len()).rev() {
            sum += candidate.departure.signum() * f64::from(candidate.scores[at]);
            count += counts[at];
            // Squared standard errors of what follows: the scores are in those of all members.
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

/// A condition, and for which signals it holds.
type Known = (Condition, Bits);

/// The regions to look at: those of one condition, and those of two.
fn candidates(seen: &[Seen<'_>], layout: &Layout, history: &History<'_>) -> Vec<Candidate> {
    let of = |conditions: Vec<Condition>| -> Vec<Known> {
        let members = |condition: &Condition| Bits::of(seen.iter().map(|seen| condition.holds(seen)));
        conditions.into_iter().map(|condition| (condition.clone(), members(&condition))).collect()
    };
    let alone = |region: Region| {
        let members = Bits::of(seen.iter().map(|seen| region.contains(seen)));
        history.candidate(region, members)
    };
    let mut found: Vec<Candidate> = singles(seen, layout).into_par_iter().filter_map(alone).collect();
    // Each condition is looked at once, however many it is paired with.
    let (symbols, strategies) = (of(symbols(seen)), of(strategies(seen)));
    let facts = layout.mirrored().filter(|(fact, _)| matches!(fact, Fact::Indicator(_)));
    let coarse: Vec<Vec<Known>> =
        facts.map(|(fact, centre)| of(thresholds(fact, Some(centre), seen, &PAIR_QUANTILES))).collect();
    let directions = of(DIRECTIONS.map(Condition::Direction).to_vec());
    let mut pairs: Vec<(&[Known], &[Known])> =
        vec![(&symbols, &directions), (&strategies, &directions), (&strategies, &symbols)];
    for (i, first) in coarse.iter().enumerate() {
        pairs.extend([(&symbols[..], &first[..]), (&strategies, first)]);
        pairs.extend(coarse[i + 1..].iter().map(|second| (&first[..], &second[..])));
    }
    let both = |(first, second): (&[Known], &[Known])| -> Vec<Candidate> {
        let all = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
        let both = all.filter_map(|(a, b)| history.candidate(Region(vec![a.0.clone(), b.0.clone()]), a.1.and(&b.1)));
        both.collect()
    };
    let paired: Vec<Vec<Candidate>> = pairs.into_par_iter().map(both).collect();
    found.extend(paired.into_iter().flatten());
    found
}

/// A set of signals by their place in time.
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

    /// The places of its members.
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
