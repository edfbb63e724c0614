//! The reasons for a signal's chances in words: how similar signals did.

use super::case::Lesson;
use super::layout::{Layout, Seen};
use super::region::{Region, Tally, singles, tallies};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Fewest signals in a region that is mentioned.
const MIN_COUNT: usize = 5;
/// Fewest standard errors by which it must differ from the rest.
const REMARKABLE: f64 = 1.5;
/// The largest numbers of regions kept, and of reasons given.
const KEPT: usize = 400;
const GIVEN: usize = 3;

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
        let regions = singles(&seen, layout);
        // Regions that differ only in their thresholds are counted in one pass.
        let alike: Vec<&[Region]> = regions.chunk_by(Region::is_alike).collect();
        let judged = |(region, tally): (&Region, Tally)| {
            let departure = tally.departure(&all).abs();
            (tally.count >= MIN_COUNT && departure >= REMARKABLE).then(|| (departure, region.clone(), tally))
        };
        let judged_alike = |regions: &&[Region]| -> Vec<_> {
            regions.iter().zip(tallies(regions, &signals)).filter_map(judged).collect()
        };
        let mut judged: Vec<_> = alike.par_iter().flat_map_iter(judged_alike).collect();
        judged.sort_by(|a, b| b.0.total_cmp(&a.0));
        judged.truncate(KEPT);
        Self { regions: judged.into_iter().map(|(_, region, tally)| (region, tally)).collect(), all }
    }

    /// The reasons for one signal: the regions it lies in, each of another indicator.
    pub fn give(&self, seen: &Seen<'_>, layout: &Layout) -> Vec<String> {
        let mut spoken_of = Vec::new();
        let mut reasons = Vec::new();
        for (region, tally) in &self.regions {
            let subject = region.subject();
            if reasons.len() < GIVEN && !spoken_of.contains(&subject) && region.contains(seen) {
                spoken_of.push(subject);
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
