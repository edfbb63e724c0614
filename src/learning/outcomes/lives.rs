//! When signals were under way: two of one symbol at one time share their fate, and are not worth two.
//!
//! Whatever the timeframe and the direction: it is one price that decides both. Other symbols count for themselves.

use super::case::Lesson;
use crate::learning::proportional_uniqueness;
use crate::order;
use crate::symbol::Symbol;
use std::collections::{BTreeMap, HashMap};

/// Of the signals under way with a new one, the last that are looked at: more of them tell nothing more.
const BESIDE: usize = 64;
/// What the lessons of a block are worth together, if they overlap: where it ends, its last ones resemble the first of the
/// next, and the longer it is, the fewer those are.
const BLOCK: f64 = 4.0;

/// A life at least, in milliseconds: the shortest candle.
const SHORTEST_MS: i64 = 60_000;

/// From when to when it was under way.
fn life(lesson: &Lesson) -> (i64, i64) {
    let given_ms = lesson.given_ms.min(lesson.closed_ms);
    (given_ms, lesson.closed_ms.max(given_ms + SHORTEST_MS))
}

/// What each lesson is worth beside all others, 0–1: 1 when no other of its symbol was under way meanwhile.
pub fn uniqueness(lessons: &[&Lesson]) -> Vec<f64> {
    let mut unique = vec![0.0; lessons.len()];
    for members in by_symbol(lessons).into_values() {
        let lives: Vec<(i64, i64)> = members.iter().map(|&at| life(lessons[at])).collect();
        members.into_iter().zip(proportional_uniqueness(&lives)).for_each(|(at, share)| unique[at] = share);
    }
    unique
}

/// The block that each lesson belongs to, numbered as they first appear: lessons of a symbol that were under way together.
/// One that is alone is a block of its own.
pub fn blocks(lessons: &[&Lesson], uniqueness: &[f64]) -> Vec<u32> {
    // The lesson that each one's block begins with.
    let mut first = vec![0; lessons.len()];
    for mut members in by_symbol(lessons).into_values() {
        order::sort_by_key(&mut members, |&at| (life(lessons[at]), at));
        let (mut begin, mut until, mut worth) = (0, i64::MIN, 0.0);
        for at in members {
            let (given_ms, closed_ms) = life(lessons[at]);
            if given_ms >= until || worth >= BLOCK {
                (begin, until, worth) = (at, closed_ms, 0.0);
            }
            until = until.max(closed_ms);
            worth += uniqueness[at];
            first[at] = begin;
        }
    }
    let mut numbers = HashMap::new();
    let number = |first| {
        let next = numbers.len() as u32;
        *numbers.entry(first).or_insert(next)
    };
    first.into_iter().map(number).collect()
}

fn by_symbol<'a>(lessons: &[&'a Lesson]) -> BTreeMap<&'a Symbol, Vec<usize>> {
    let mut members: BTreeMap<&Symbol, Vec<usize>> = BTreeMap::new();
    for (at, lesson) in lessons.iter().enumerate() {
        members.entry(lesson.case.symbol()).or_default().push(at);
    }
    members
}

/// The lives of all lessons so far, in the order in which they were learned.
#[derive(Debug, Default)]
pub struct Lives {
    by_symbol: HashMap<Symbol, Vec<(i64, i64)>>,
}

impl Lives {
    /// Of these lessons.
    pub fn of<'a>(lessons: impl Iterator<Item = &'a Lesson>) -> Self {
        let mut lives = Self::default();
        for lesson in lessons {
            lives.by_symbol.entry(lesson.case.symbol().clone()).or_default().push(life(lesson));
        }
        lives
    }

    /// Adds a lesson, and says by how much all of them are worth more with it, 0–1.
    pub fn add(&mut self, lesson: &Lesson) -> f64 {
        let known = self.by_symbol.entry(lesson.case.symbol().clone()).or_default();
        let own = life(lesson);
        let beside = known.iter().rev().filter(|life| life.0 < own.1 && own.0 < life.1);
        let mut lives: Vec<(i64, i64)> = beside.take(BESIDE).copied().collect();
        known.push(own);
        let worth = |lives: &[(i64, i64)]| proportional_uniqueness(lives).into_iter().sum::<f64>();
        let before = worth(&lives);
        lives.push(own);
        (worth(&lives) - before).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning::outcomes::Case;

    const HOUR_MS: i64 = 3_600_000;

    fn lesson((symbol, given, closed): (&str, i64, i64)) -> Lesson {
        let case = Case::bare(symbol);
        Lesson { case, success: true, given_ms: given * HOUR_MS, closed_ms: closed * HOUR_MS }
    }

    fn told(lessons: &[(&str, i64, i64)]) -> (Vec<f64>, Vec<u32>, Vec<f64>) {
        let lessons: Vec<Lesson> = lessons.iter().copied().map(lesson).collect();
        let all: Vec<&Lesson> = lessons.iter().collect();
        let unique = uniqueness(&all);
        let blocks = blocks(&all, &unique);
        let mut lives = Lives::default();
        (unique, blocks, lessons.iter().map(|lesson| lives.add(lesson)).collect())
    }

    #[test]
    fn one_after_the_other_each_is_worth_one() {
        let (unique, blocks, added) =
            told(&[("BTCUSDT", 0, 5), ("BTCUSDT", 5, 9), ("ETHUSDT", 0, 9), ("BTCUSDT", 9, 9)]);
        assert!(unique.iter().chain(&added).all(|worth| (worth - 1.0).abs() < 1e-9), "{unique:?} {added:?}");
        assert_eq!(blocks, [0, 1, 2, 3]);
    }

    #[test]
    fn twins_are_worth_one_and_of_one_block() {
        let (unique, blocks, added) =
            told(&[("BTCUSDT", 0, 8), ("ETHUSDT", 0, 8), ("BTCUSDT", 0, 8), ("BTCUSDT", 4, 12)]);
        assert!(
            (unique[0] - (0.5 + 1.0 / 3.0) / 2.0).abs() < 1e-12 && (unique[3] - (1.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12
        );
        assert_eq!(blocks, [0, 1, 0, 0]);
        assert!(added.iter().zip([1.0, 1.0, 0.0, 0.5]).all(|(got, worth)| (got - worth).abs() < 1e-9), "{added:?}");
    }

    #[test]
    fn a_chain_of_overlaps_is_cut_and_each_of_it_adds_what_is_new() {
        // Given every hour, a day long: 240 signals, eleven days.
        let chain: Vec<_> = (0..240).map(|hour| ("BTCUSDT", hour, hour + 24)).collect();
        let (unique, blocks, added) = told(&chain);
        let sum: f64 = unique.iter().sum();
        assert!((10.0..13.0).contains(&sum), "{sum}");
        assert!(blocks.is_sorted() && (3..=4).contains(&(blocks[239] + 1)), "{blocks:?}");
        assert!((added.iter().sum::<f64>() - (239.0 + 24.0) / 24.0).abs() < 1e-6, "{added:?}");
    }
}
