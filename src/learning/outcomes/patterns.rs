//! The rules found in what succeeded and what failed, with control of those that chance alone would show.
//!
//! Every candidate is counted with bits: which signals lie in the region, and which succeeded. The same is done with the
//! outcomes in another order, shuffled in blocks: neighbours stay together, since signals of one time share their fate, and only
//! what ties outcomes to signals is broken. The strongest departure that any candidate shows there is what chance can do. A
//! rule is reported when at most one in twenty of the shuffled worlds shows one as strong (Westfall and Young, *Resampling-Based
//! Multiple Testing*, 1993; blocks of random lengths after Politis and Romano, *The stationary bootstrap*, 1994), so that in
//! data without patterns any rule at all is reported in at most 5 % of cases.

use super::case::Lesson;
use super::layout::{Fact, Layout, Seen};
use super::region::{Condition, DIRECTIONS, Region, Tally, singles, symbols, thresholds};
use crate::order;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Closed signals below which no search is made: with fewer, too few blocks exist to know what chance can do.
pub const MIN_CLOSED: usize = 40;
/// Signals in a region at least, and outside of it.
const MIN_COUNT: usize = 8;
/// Shuffled worlds looked at.
const WORLDS: u64 = 199;
/// How often chance alone may bring about any rule at all.
const LEVEL: f64 = 0.05;
/// Rules reported at most.
const MAX_RULES: usize = 20;
/// Two regions that share more than this part of their union are one finding.
const SAME: f64 = 0.4;
/// Standard errors by which a part of a reported region must depart from the whole to be worth a rule of its own.
const APART: f64 = 2.5;
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
    /// How often chance alone would show anything as strong, 0–1, all candidates together.
    pub p_value: f64,
}

struct Candidate {
    region: Region,
    members: Bits,
    count: usize,
}

/// The rules in these lessons, the strongest departure first.
pub fn find(lessons: &[&Lesson]) -> Vec<Pattern> {
    let n = lessons.len();
    if n < MIN_CLOSED {
        return Vec::new();
    }
    // Neighbours are those of one time, whatever the order in which they were learned.
    let mut lessons = lessons.to_vec();
    order::sort_by_key(&mut lessons, |lesson| lesson.order());
    let layout = Layout::of(&lessons);
    let seen: Vec<Seen<'_>> = lessons.iter().map(|lesson| layout.see(&lesson.case)).collect();
    let candidates = candidates(&seen, &layout);
    let succeeded: Vec<bool> = lessons.iter().map(|lesson| lesson.success).collect();
    let all = Tally { count: n, successes: succeeded.iter().filter(|success| **success).count() };
    let strongest = |seed: u64| {
        let world = Bits::of(shuffled(&succeeded, seed).into_iter());
        candidates.iter().map(|candidate| candidate.tally(&world).departure(&all).abs()).fold(0.0, f64::max)
    };
    let chance: Vec<f64> = (0..WORLDS).into_par_iter().map(strongest).collect();
    let truth = Bits::of(succeeded.into_iter());
    let p_value = |departure: f64| {
        let as_strong = chance.iter().filter(|other| **other >= departure.abs()).count();
        (1 + as_strong) as f64 / (1 + WORLDS) as f64
    };
    let mut found: Vec<(&Candidate, Tally, f64)> = candidates
        .iter()
        .map(|candidate| (candidate, candidate.tally(&truth)))
        .map(|(candidate, tally)| (candidate, tally, tally.departure(&all)))
        .filter(|(_, _, departure)| p_value(*departure) <= LEVEL)
        .collect();
    order::sort_by(&mut found, |a, b| b.2.abs().total_cmp(&a.2.abs()));
    let mut kept: Vec<(&Candidate, Tally, f64)> = Vec::new();
    for new in found {
        if kept.len() < MAX_RULES && kept.iter().all(|known| says_more(&new, known)) {
            kept.push(new);
        }
    }
    let pattern = |(candidate, tally, departure): (&Candidate, Tally, f64)| Pattern {
        rule: candidate.region.words(&layout),
        tally,
        base_rate: all.success_rate(),
        p_value: p_value(departure),
    };
    kept.into_iter().map(pattern).collect()
}

/// The same in blocks of geometric lengths, ∛n on the average, the blocks in random order.
fn shuffled(succeeded: &[bool], seed: u64) -> Vec<bool> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ends = 1.0 / (succeeded.len() as f64).cbrt();
    let mut blocks: Vec<&[bool]> = Vec::new();
    let mut begin = 0;
    for end in 1..=succeeded.len() {
        if end == succeeded.len() || rng.random_bool(ends) {
            blocks.push(&succeeded[begin..end]);
            begin = end;
        }
    }
    blocks.shuffle(&mut rng);
    blocks.concat()
}

/// Whether a finding is one of its own beside a stronger one that is known.
fn says_more(new: &(&Candidate, Tally, f64), known: &(&Candidate, Tally, f64)) -> bool {
    let shared = new.0.members.shared(&known.0.members);
    let union = new.0.count + known.0.count - shared;
    if new.2.signum() != known.2.signum() {
        // The other side of the same coin: what is not overbought succeeds because what is overbought fails.
        return 5 * union <= 4 * new.0.members.len;
    }
    if shared as f64 > SAME * union as f64 {
        return false;
    }
    // Mostly inside a known region: does it depart from that one, too?
    2 * shared <= new.0.count || new.1.departure(&known.1).abs() > APART
}

impl Candidate {
    fn tally(&self, succeeded: &Bits) -> Tally {
        Tally { count: self.count, successes: self.members.shared(succeeded) }
    }
}

/// A condition, and for which signals it holds.
type Known = (Condition, Bits);

/// The regions to look at: those of one condition, and those of two.
fn candidates(seen: &[Seen<'_>], layout: &Layout) -> Vec<Candidate> {
    let of = |conditions: Vec<Condition>| -> Vec<Known> {
        let members = |condition: &Condition| Bits::of(seen.iter().map(|seen| condition.holds(seen)));
        conditions.into_iter().map(|condition| (condition.clone(), members(&condition))).collect()
    };
    let enough = |candidate: &Candidate| (MIN_COUNT..=seen.len() - MIN_COUNT).contains(&candidate.count);
    let candidate = |region: Region, members: Bits| Candidate { count: members.count(), region, members };
    let alone = |region: Region| {
        let members = Bits::of(seen.iter().map(|seen| region.contains(seen)));
        candidate(region, members)
    };
    let mut found: Vec<Candidate> = singles(seen, layout).into_par_iter().map(alone).filter(enough).collect();
    // Each condition is looked at once, however many it is paired with.
    let symbols = of(symbols(seen));
    let facts = layout.mirrored().filter(|(fact, _)| matches!(fact, Fact::Indicator(_)));
    let coarse: Vec<Vec<Known>> =
        facts.map(|(fact, centre)| of(thresholds(fact, Some(centre), seen, &PAIR_QUANTILES))).collect();
    let directions = of(DIRECTIONS.map(Condition::Direction).to_vec());
    let mut pairs: Vec<(&[Known], &[Known])> = vec![(&symbols, &directions)];
    for (i, first) in coarse.iter().enumerate() {
        pairs.push((&symbols, first));
        pairs.extend(coarse[i + 1..].iter().map(|second| (&first[..], &second[..])));
    }
    let both = |(first, second): (&[Known], &[Known])| -> Vec<Candidate> {
        let all = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
        let both = all.map(|(a, b)| candidate(Region(vec![a.0.clone(), b.0.clone()]), a.1.and(&b.1)));
        both.filter(enough).collect()
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

    fn and(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect();
        Self { words, len: self.len }
    }

    fn shared(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }
}
