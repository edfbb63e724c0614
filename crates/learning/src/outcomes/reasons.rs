//! The reasons for a signal's chances in words: how similar signals did.

use super::case::Lesson;
use super::layout::{Layout, Seen};
use super::region::{Counting, Region, Tally, singles};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Fewest signals in a region that is mentioned.
const MIN_COUNT: usize = 5;
/// Fewest standard errors by which it must differ from the rest.
const REMARKABLE: f64 = 1.5;
/// The largest numbers of regions kept, and of reasons given.
const KEPT: usize = 400;
const GIVEN: usize = 3;
/// Of about how many signals the quantiles are that stand as thresholds: they need not be exact.
const SAMPLED: usize = 4_000;
/// Signals that are counted at a time, so that their values stay in the cache for all regions.
const BLOCK: usize = 256;
/// Sets of regions alike that a thread counts at a time.
const SETS: usize = 32;

/// The regions worth mentioning, most remarkable first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reasons {
    regions: Vec<(Region, Tally)>,
    all: Tally,
}

impl Reasons {
    /// From these lessons.
    pub fn of(lessons: &[&Lesson], layout: &Layout) -> Self {
        let seen: Vec<Seen<'_>> = lessons.iter().map(|lesson| layout.see(&lesson.case)).collect();
        let signals: Vec<(&Seen<'_>, bool)> = seen.iter().zip(lessons.iter().map(|lesson| lesson.success)).collect();
        let all = Tally::of(signals.iter().map(|(_, success)| *success));
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let share = (SAMPLED as f64 / seen.len().max(1) as f64).min(1.0);
        let sampled: Vec<&Seen<'_>> = seen.iter().filter(|_| random.random_bool(share)).collect();
        let regions = singles(&seen, &sampled, layout);
        // Regions that differ only in their thresholds are counted together.
        let mut countings: Vec<Counting<'_>> = regions.chunk_by(Region::is_alike).map(Counting::new).collect();
        countings.par_chunks_mut(SETS).for_each(|countings| {
            for signals in signals.chunks(BLOCK) {
                countings.iter_mut().for_each(|counting| counting.add(signals));
            }
        });
        let judged = |(region, tally): (&Region, Tally)| {
            let departure = tally.departure(&all).abs();
            (tally.count >= MIN_COUNT && departure >= REMARKABLE).then(|| (departure, region.clone(), tally))
        };
        let tallies = countings.iter().flat_map(Counting::tallies);
        let mut judged: Vec<_> = regions.iter().zip(tallies).filter_map(judged).collect();
        judged.sort_by(|a, b| b.0.total_cmp(&a.0));
        judged.truncate(KEPT);
        Self { regions: judged.into_iter().map(|(_, region, tally)| (region, tally)).collect(), all }
    }

    /// The reasons for one signal: the regions it lies in, each of another indicator.
    pub fn give(&self, seen: &Seen<'_>, layout: &Layout) -> Vec<String> {
        let mut spoken_of = Vec::new();
        let mut reasons = Vec::new();
        for (region, tally) in &self.regions {
            if reasons.len() == GIVEN {
                break;
            }
            if region.contains(seen) && !spoken_of.contains(&region.subject()) {
                spoken_of.push(region.subject());
                reasons.push(format!("{}: {} of {} succeeded", region.words(layout), tally.successes, tally.count));
            }
        }
        if reasons.is_empty() && self.all.count > 0 {
            let Tally { count, successes } = self.all;
            reasons.push(format!("nothing about it stands out; {successes} of all {count} closed signals succeeded"));
        }
        reasons
    }
}
