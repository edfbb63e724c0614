//! Growing one regression tree on a weighted bootstrap of binned rows.
//!
//! Sources: Breiman, *Random Forests*, 2001; cuts drawn at random instead of searched, Geurts, Ernst and Wehenkel, *Extremely
//! Randomized Trees*, 2006, here at the value of a row of the node, so that only the order of values counts; the bootstrap by
//! Poisson counts, Oza and Russell, *Online Bagging and Boosting*, 2001, which draws each row by itself instead of searching
//! for the place of every draw.

use super::bins::Bins;
use super::family::Sample;
use super::forest::{ForestParameters, Node};
use crate::error::Result;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A row is drawn at most this often on average, however much it weighs.
const MAX_RATE: f64 = 100.0;

/// What all trees of a forest are grown from.
pub struct Nursery<'a> {
    bins: &'a Bins,
    happened: &'a [bool],
    offsets: &'a [f64],
    /// Of each row that counts.
    rates: Vec<(u32, Rate)>,
    /// Features tried at each split.
    tries: usize,
    max_depth: u16,
    /// Draws in a leaf.
    min_leaf: u32,
}

/// A tree and by how much each feature lessened its variance.
pub struct Grown {
    pub nodes: Vec<Node>,
    pub gains: Vec<f64>,
}

/// A row in a tree: how often it was drawn.
#[derive(Clone, Copy, Default)]
struct Drawn {
    row: u32,
    times: u16,
    successes: u16,
}

/// Draws, and how many of them succeeded: the lower and the upper half of one number, so that both are added at once.
#[derive(Clone, Copy, Default)]
struct Tally(u64);

impl Tally {
    fn of(drawn: Drawn) -> Self {
        Self(u64::from(drawn.successes) << 32 | u64::from(drawn.times))
    }

    fn count(self) -> u32 {
        self.0 as u32
    }

    fn successes(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn add(&mut self, draws: Tally) {
        self.0 += draws.0;
    }

    fn without(self, part: Tally) -> Tally {
        Tally(self.0 - part.0)
    }

    fn mean(self) -> f64 {
        f64::from(self.successes()) / f64::from(self.count())
    }
}

/// The smaller counts of a Poisson distribution, which nearly all rows draw.
const LIKELY: usize = 4;

/// One more than the largest number that a draw is made of.
const DRAWS: f64 = 4_294_967_296.0;

/// How often a row is drawn.
struct Rate {
    mean: f64,
    /// From which number on it is more than 0, 1, 2 and 3 times.
    limits: [u32; LIKELY],
}

impl Rate {
    fn new(mean: f64) -> Self {
        let mut terms = cumulated(mean);
        Self { mean, limits: std::array::from_fn(|_| (terms.next().unwrap_or(1.0) * DRAWS).ceil() as u32) }
    }

    /// The count whose cumulated probability first exceeds the one that `number` stands for.
    fn times(&self, number: u32) -> u16 {
        if number < self.limits[LIKELY - 1] {
            // Without a jump, which nobody could predict.
            return self.limits.iter().map(|&limit| u16::from(number >= limit)).sum();
        }
        let at = f64::from(number) / DRAWS;
        cumulated(self.mean).take_while(|&cumulated| at >= cumulated).count() as u16
    }
}

/// The probabilities of at most 0, 1, 2, … events of a Poisson distribution, as long as one more is possible in a float.
fn cumulated(mean: f64) -> impl Iterator<Item = f64> {
    let never = (-mean).exp();
    let terms = std::iter::successors(Some((0, never, never)), move |&(count, probability, cumulated)| {
        let probability = probability * (mean / f64::from(count + 1));
        (probability > 0.0).then_some((count + 1, probability, cumulated + probability))
    });
    terms.map(|(_, _, cumulated)| cumulated)
}

/// A way to part a node: rows up to a bin of a feature go to the left, and come to `left`.
#[derive(Clone, Copy, Default)]
struct Split {
    feature: usize,
    bin: u8,
    left: Tally,
}

/// Splits that are counted in one pass over the rows: as many as processors have room for.
const ABREAST: usize = 3;

impl<'a> Nursery<'a> {
    /// A leaf stands for `min_leaf` rows of average weight at least.
    ///
    /// # Errors
    /// See [`super::family::Family::fit`].
    pub fn new(sample: &Sample<'a>, parameters: &ForestParameters) -> Result<Self> {
        let Sample { bins, happened, weights, offsets } = *sample;
        let counting = sample.counting()?;
        let mean = counting.iter().map(|&row| weights[row as usize]).sum::<f64>() / counting.len() as f64;
        let rate = |row: u32| (row, Rate::new((parameters.share * weights[row as usize] / mean).min(MAX_RATE)));
        Ok(Self {
            bins,
            happened,
            offsets,
            rates: counting.into_iter().map(rate).collect(),
            tries: parameters.tries.clamp(1, bins.features()),
            max_depth: parameters.max_depth,
            min_leaf: (parameters.share * parameters.min_leaf as f64).ceil().max(1.0) as u32,
        })
    }

    /// One tree. The same seed, the same tree.
    pub fn grow(&self, seed: u64) -> Grown {
        let (mut tree, mut drawn) = self.plant(seed);
        let mut total = Tally::default();
        drawn.iter().for_each(|d| total.add(Tally::of(*d)));
        tree.branch(&mut drawn, total, 0);
        tree.grown
    }

    /// A tree without nodes, and the rows that it will be grown from.
    fn plant(&self, seed: u64) -> (Tree<'_>, Vec<Drawn>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let drawn = self.draw(&mut rng);
        let features = self.bins.features();
        let tree = Tree {
            nursery: self,
            rng,
            features: (0..features).collect(),
            aside: vec![Drawn::default(); drawn.len()],
            grown: Grown { nodes: Vec::new(), gains: vec![0.0; features] },
        };
        (tree, drawn)
    }

    fn draw(&self, rng: &mut impl Rng) -> Vec<Drawn> {
        let mut drawn = vec![Drawn::default(); self.rates.len()];
        let mut count = 0;
        for (row, rate) in &self.rates {
            let times = rate.times(rng.next_u32());
            let successes = times * u16::from(self.happened[*row as usize]);
            // Written in any case and kept where it counts: whether a row is drawn cannot be predicted either.
            drawn[count] = Drawn { row: *row, times, successes };
            count += usize::from(times > 0);
        }
        drawn.truncate(count);
        drawn
    }
}

/// A tree as it grows.
struct Tree<'a> {
    nursery: &'a Nursery<'a>,
    rng: ChaCha8Rng,
    /// All features; those tried last come first.
    features: Vec<usize>,
    /// Room for the rows of a right branch.
    aside: Vec<Drawn>,
    grown: Grown,
}

impl Tree<'_> {
    /// Grows the branch of these rows, which come to `total`, depth first: the left child comes right behind its parent.
    fn branch(&mut self, drawn: &mut [Drawn], total: Tally, level: u16) {
        let Some((split, gain)) = self.may_split(total, level).then(|| self.best_split(drawn, total)).flatten() else {
            let departure = self.departure(drawn, total);
            return self.grown.nodes.push(Node::leaf(departure));
        };
        self.grown.gains[split.feature] += gain / f64::from(total.count());
        let at = self.grown.nodes.len();
        let threshold = self.nursery.bins.cuts(split.feature)[usize::from(split.bin)];
        self.grown.nodes.push(Node::split(split.feature, threshold));
        let children = [split.left, total.without(split.left)];
        let middle = self.part(drawn, &split);
        let (left, right) = drawn.split_at_mut(middle);
        self.branch(left, children[0], level + 1);
        self.grown.nodes[at].right = self.grown.nodes.len() as u32;
        self.branch(right, children[1], level + 1);
    }

    /// By how much what happened to these rows departs from their offsets, on average.
    fn departure(&self, drawn: &[Drawn], total: Tally) -> f64 {
        if total.count() == 0 {
            return 0.0;
        }
        let offset = |d: &Drawn| f64::from(d.times) * self.nursery.offsets[d.row as usize];
        total.mean() - drawn.iter().map(offset).sum::<f64>() / f64::from(total.count())
    }

    /// Whether a node may be parted as far as depth and size go.
    fn may_split(&self, total: Tally, level: u16) -> bool {
        level < self.nursery.max_depth && total.count() >= 2 * self.nursery.min_leaf
    }

    /// Of some splits, drawn at random, the one that lessens the variance most, and by how much; `None` when none lessens it
    /// and leaves enough rows on both sides.
    fn best_split(&mut self, drawn: &[Drawn], total: Tally) -> Option<(Split, f64)> {
        let Nursery { tries, min_leaf, .. } = *self.nursery;
        let mut best = None;
        for first in (0..tries).step_by(ABREAST) {
            let mut splits = [Split::default(); ABREAST];
            splits.iter_mut().zip(first..tries).for_each(|(split, tried)| *split = self.draw_split(drawn, tried));
            self.count(drawn, &mut splits);
            for (split, _) in splits.iter().zip(first..tries) {
                let right = total.without(split.left);
                if split.left.count() < min_leaf || right.count() < min_leaf {
                    continue;
                }
                let gain = gain(split.left, right);
                if gain > best.map_or(0.0, |(_, best)| best) {
                    best = Some((*split, gain));
                }
            }
        }
        best
    }

    /// A split of a feature that was not among the first `tried`, at the value of some row.
    fn draw_split(&mut self, drawn: &[Drawn], tried: usize) -> Split {
        let other = self.rng.random_range(tried..self.features.len());
        self.features.swap(tried, other);
        let feature = self.features[tried];
        let row = drawn[self.rng.random_range(0..drawn.len())].row;
        Split { feature, bin: self.nursery.bins.codes(feature)[row as usize], left: Tally::default() }
    }

    /// Counts what goes to the left.
    fn count(&self, drawn: &[Drawn], splits: &mut [Split; ABREAST]) {
        let lanes = splits.map(|split| self.nursery.bins.lane(split.feature, drawn.len()));
        let bins = splits.map(|split| i64::from(split.bin));
        let mut left = [Tally::default(); ABREAST];
        for d in drawn {
            let tally = Tally::of(*d);
            for ((left, lane), bin) in left.iter_mut().zip(&lanes).zip(bins) {
                // All ones where it goes left: a jump here would be guessed wrong every other time.
                let goes_left = (i64::from(lane.at(d.row)) - bin - 1) >> 63;
                left.add(Tally(tally.0 & goes_left as u64));
            }
        }
        splits.iter_mut().zip(left).for_each(|(split, left)| split.left = left);
    }

    /// Moves the rows of the left branch to the front, in order, and returns how many they are.
    fn part(&mut self, drawn: &mut [Drawn], split: &Split) -> usize {
        let lane = self.nursery.bins.lane(split.feature, drawn.len());
        let (mut left, mut right) = (0, 0);
        for at in 0..drawn.len() {
            let d = drawn[at];
            let goes_left = lane.at(d.row) <= split.bin;
            // Written to both sides, and kept on one: a jump that nobody can predict takes longer.
            drawn[left] = d;
            self.aside[right] = d;
            left += usize::from(goes_left);
            right += usize::from(!goes_left);
        }
        drawn[left..].copy_from_slice(&self.aside[..right]);
        left
    }
}

/// By how much parting lessens the sum of squares, times the number of draws parted.
fn gain(left: Tally, right: Tally) -> f64 {
    let (n, m) = (f64::from(left.count()), f64::from(right.count()));
    let difference = f64::from(left.successes()) * m - f64::from(right.successes()) * n;
    difference * difference / (n * m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARAMETERS: ForestParameters = ForestParameters { trees: 1, max_depth: 1, min_leaf: 6, tries: 4, share: 0.5 };

    #[test]
    fn poisson_counts_by_hand() {
        // Of rate 1: 0 with 0.3679, 1 up to 0.7358, 2 up to 0.9197,
        // 3 up to 0.98101, 4 up to 0.99634, 5 up to 0.99941.
        let rate = Rate::new(1.0);
        let count = |at: f64| rate.times((at * DRAWS) as u32);
        assert_eq!([0.0, 0.36, 0.37, 0.73, 0.74, 0.91, 0.92].map(count), [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!([0.98, 0.982, 0.996, 0.997, 0.9995].map(count), [3, 4, 4, 5, 6]);
        assert_eq!(Rate::new(0.0).times(u32::MAX), 0, "what weighs nothing is never drawn");
        assert!(Rate::new(MAX_RATE).times(u32::MAX) < 1000, "it ends");
    }

    proptest! {
        #[test]
        fn rows_are_drawn_as_often_as_they_weigh(weights in prop::collection::vec(0.1..3.0f64, 1..6), seed in 0u64..1000) {
            let values: Vec<Vec<f64>> = weights.iter().map(|_| vec![0.0; 4]).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened = vec![false; weights.len()];
            let offsets = vec![0.0; weights.len()];
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets };
            let nursery = Nursery::new(&sample, &PARAMETERS).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut counts = vec![0.0; weights.len()];
            for _ in 0..4000 {
                nursery.draw(&mut rng).iter().for_each(|d| counts[d.row as usize] += f64::from(d.times) / 4000.0);
            }
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            for (count, weight) in counts.iter().zip(&weights) {
                let rate = PARAMETERS.share * weight / mean;
                // Five standard errors.
                prop_assert!((count - rate).abs() < 5.0 * (rate / 4000.0).sqrt(), "{count} instead of {rate}");
            }
        }

        /// Against the splits that a twin of the tree draws, counted one by one.
        #[test]
        fn a_node_parts_by_the_best_of_the_splits_it_draws(
            rows in prop::collection::vec((prop::array::uniform4(0u8..12), any::<bool>()), 20..80),
            offsets in prop::collection::vec(0.0..1.0f64, 80),
            seed in 0u64..50, tries in 1usize..=4
        ) {
            let values: Vec<Vec<f64>> = rows.iter().map(|(x, _)| x.iter().map(|v| f64::from(*v)).collect()).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened: Vec<bool> = rows.iter().map(|(_, y)| *y).collect();
            let weights = vec![1.0; rows.len()];
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets[..rows.len()] };
            let nursery = Nursery::new(&sample, &ForestParameters { tries, ..PARAMETERS }).unwrap();
            let (mut twin, drawn) = nursery.plant(seed);
            prop_assume!(drawn.iter().map(|d| u32::from(d.times)).sum::<u32>() >= 6);
            let parted = |feature: usize, threshold: f64| {
                [true, false].map(|left| {
                    let mut sum = Tally::default();
                    let there = drawn.iter().filter(|d| (values[d.row as usize][feature] <= threshold) == left);
                    there.for_each(|d| sum.add(Tally::of(*d)));
                    sum
                })
            };
            let splits: Vec<Split> = (0..tries).map(|tried| twin.draw_split(&drawn, tried)).collect();
            let features: std::collections::HashSet<usize> = splits.iter().map(|split| split.feature).collect();
            prop_assert_eq!(features.len(), tries, "no feature twice");
            let mut best: Option<f64> = None;
            for split in &splits {
                // Above the last cut lies nothing.
                let threshold = bins.cuts(split.feature).get(usize::from(split.bin)).copied().unwrap_or(f64::INFINITY);
                let [left, right] = parted(split.feature, threshold);
                if left.count() >= 3 && right.count() >= 3 && gain(left, right) > best.unwrap_or(0.0) {
                    best = Some(gain(left, right));
                }
            }
            let tree = nursery.grow(seed).nodes;
            prop_assert_eq!(tree.len(), if best.is_some() { 3 } else { 1 });
            if let [root, left, right] = &tree[..] {
                let [yes, no] = parted(usize::from(root.feature), root.value);
                prop_assert_eq!(Some(gain(yes, no)), best);
                prop_assert_eq!(root.right, 2);
                for (leaf, goes_left) in [(left, true), (right, false)] {
                    let there = drawn.iter().filter(|d| {
                        (values[d.row as usize][usize::from(root.feature)] <= root.value) == goes_left
                    });
                    let (mut count, mut beyond) = (0.0, 0.0);
                    for d in there {
                        count += f64::from(d.times);
                        beyond += f64::from(d.successes) - f64::from(d.times) * offsets[d.row as usize];
                    }
                    prop_assert!((leaf.value - beyond / count).abs() < 1e-9);
                }
            }
        }
    }
}
