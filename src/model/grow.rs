//! Growing one regression tree on a weighted bootstrap of binned rows.
//!
//! Sources: Breiman, *Random Forests*, 2001; the bootstrap by Poisson counts, Oza and Russell, *Online Bagging and Boosting*,
//! 2001, which draws each row by itself instead of searching for the place of every draw.

use super::bins::{Bins, MAX_BINS};
use super::forest::Node;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A row is drawn at most this often on average, however much it weighs.
const MAX_RATE: f64 = 100.0;

/// What all trees of a forest are grown from.
pub struct Nursery<'a> {
    bins: &'a Bins,
    happened: &'a [bool],
    /// How often each row is drawn on average, and the probability that it is not.
    rates: Vec<(f64, f64)>,
    /// Features tried at each split.
    tries: usize,
    max_depth: u16,
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

/// Draws, and how many of them succeeded.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u32,
    successes: u32,
}

impl Tally {
    fn add(&mut self, draws: Tally) {
        self.count += draws.count;
        self.successes += draws.successes;
    }

    fn without(self, part: Tally) -> Tally {
        Tally { count: self.count - part.count, successes: self.successes - part.successes }
    }

    fn mean(self) -> f64 {
        f64::from(self.successes) / f64::from(self.count)
    }
}

/// The best way to part a node.
struct Split {
    feature: usize,
    bin: u8,
    gain: f64,
}

impl<'a> Nursery<'a> {
    /// `happened` and `weights` are one for each row.
    pub fn new(bins: &'a Bins, happened: &'a [bool], weights: &[f64], max_depth: u16, min_leaf: usize) -> Self {
        let counting = weights.iter().filter(|weight| **weight > 0.0).count();
        let mean = weights.iter().sum::<f64>() / counting as f64;
        let rate = |weight: &f64| {
            let rate = (weight / mean).min(MAX_RATE);
            (rate, (-rate).exp())
        };
        Self {
            bins,
            happened,
            rates: weights.iter().map(rate).collect(),
            tries: (bins.features() as f64).sqrt() as usize,
            max_depth,
            min_leaf: min_leaf as u32,
        }
    }

    /// One tree. The same seed, the same tree.
    pub fn grow(&self, seed: u64) -> Grown {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = self.draw(&mut rng);
        let mut tree = Tree {
            nursery: self,
            rng,
            features: (0..self.bins.features()).collect(),
            aside: vec![Drawn::default(); drawn.len()],
            grown: Grown { nodes: Vec::new(), gains: vec![0.0; self.bins.features()] },
        };
        tree.branch(&mut drawn, 0);
        tree.grown
    }

    fn draw(&self, rng: &mut impl Rng) -> Vec<Drawn> {
        let mut drawn = Vec::with_capacity(self.rates.len());
        for (row, (&(rate, never), &happened)) in self.rates.iter().zip(self.happened).enumerate() {
            let times = poisson(rate, never, rng.random());
            if times > 0 {
                drawn.push(Drawn { row: row as u32, times, successes: if happened { times } else { 0 } });
            }
        }
        drawn
    }
}

/// The count whose cumulated probability first exceeds `at`; `never` is e^-rate.
fn poisson(rate: f64, never: f64, at: f64) -> u16 {
    let (mut count, mut probability, mut cumulated) = (0, never, never);
    while at >= cumulated && probability > 0.0 {
        count += 1;
        probability *= rate / f64::from(count);
        cumulated += probability;
    }
    count
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
    /// Grows the branch of these rows, depth first: the left child comes right behind its parent.
    fn branch(&mut self, drawn: &mut [Drawn], level: u16) {
        let mut total = Tally::default();
        drawn.iter().for_each(|d| total.add(Tally { count: d.times.into(), successes: d.successes.into() }));
        let may_split = level < self.nursery.max_depth && total.count >= 2 * self.nursery.min_leaf;
        let Some(split) = may_split.then(|| self.best_split(drawn, total)).flatten() else {
            let value = if total.count > 0 { total.mean() } else { 0.0 };
            return self.grown.nodes.push(Node::leaf(value));
        };
        self.grown.gains[split.feature] += split.gain / f64::from(total.count);
        let at = self.grown.nodes.len();
        let threshold = self.nursery.bins.cuts(split.feature)[usize::from(split.bin)];
        self.grown.nodes.push(Node::split(split.feature, threshold));
        let middle = self.part(drawn, &split);
        let (left, right) = drawn.split_at_mut(middle);
        self.branch(left, level + 1);
        self.grown.nodes[at].right = self.grown.nodes.len() as u32;
        self.branch(right, level + 1);
    }

    /// The split of some features, drawn at random, that lessens the variance most; `None` when none lessens it and leaves
    /// enough rows on both sides.
    fn best_split(&mut self, drawn: &[Drawn], total: Tally) -> Option<Split> {
        let bins = self.nursery.bins;
        let mut best: Option<Split> = None;
        for tried in 0..self.nursery.tries {
            let other = self.rng.random_range(tried..self.features.len());
            self.features.swap(tried, other);
            let feature = self.features[tried];
            let codes = bins.codes(feature);
            let mut tallies = [Tally::default(); MAX_BINS];
            for d in drawn {
                let tally = &mut tallies[usize::from(codes[d.row as usize]) % MAX_BINS];
                tally.count += u32::from(d.times);
                tally.successes += u32::from(d.successes);
            }
            let mut left = Tally::default();
            for (bin, tally) in tallies.iter().enumerate().take(bins.cuts(feature).len()) {
                left.add(*tally);
                let right = total.without(left);
                if right.count < self.nursery.min_leaf {
                    break;
                }
                if tally.count == 0 || left.count < self.nursery.min_leaf {
                    continue;
                }
                let gain = gain(left, right);
                if gain > best.as_ref().map_or(0.0, |best| best.gain) {
                    best = Some(Split { feature, bin: bin as u8, gain });
                }
            }
        }
        best
    }

    /// Moves the rows of the left branch to the front, in order, and returns how many they are.
    fn part(&mut self, drawn: &mut [Drawn], split: &Split) -> usize {
        let codes = self.nursery.bins.codes(split.feature);
        let (mut left, mut right) = (0, 0);
        for at in 0..drawn.len() {
            let d = drawn[at];
            let goes_left = codes[d.row as usize] <= split.bin;
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
    let (n, m) = (f64::from(left.count), f64::from(right.count));
    let difference = f64::from(left.successes) * m - f64::from(right.successes) * n;
    difference * difference / (n * m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn poisson_counts_by_hand() {
        // Of rate 1: 0 with 0.3679, 1 up to 0.7358, 2 up to 0.9197.
        let count = |at| poisson(1.0, (-1.0f64).exp(), at);
        assert_eq!([0.0, 0.36, 0.37, 0.73, 0.74, 0.91, 0.92].map(count), [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!(poisson(0.0, 1.0, 0.999), 0, "what weighs nothing is never drawn");
        assert!(poisson(MAX_RATE, (-MAX_RATE).exp(), 1.0 - f64::EPSILON / 2.0) < 1000, "it ends");
    }

    proptest! {
        #[test]
        fn rows_are_drawn_as_often_as_they_weigh(weights in prop::collection::vec(0.1..3.0f64, 1..6), seed in 0u64..1000) {
            let values: Vec<Vec<f64>> = weights.iter().map(|_| vec![0.0; 4]).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened = vec![false; weights.len()];
            let nursery = Nursery::new(&bins, &happened, &weights, 3, 1);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut counts = vec![0.0; weights.len()];
            for _ in 0..4000 {
                nursery.draw(&mut rng).iter().for_each(|d| counts[d.row as usize] += f64::from(d.times) / 4000.0);
            }
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            for (count, weight) in counts.iter().zip(&weights) {
                let rate = weight / mean;
                // Five standard errors.
                prop_assert!((count - rate).abs() < 5.0 * (rate / 4000.0).sqrt(), "{count} instead of {rate}");
            }
        }

        /// Against every possible split of every feature, counted one by one.
        #[test]
        fn the_root_parts_where_it_lessens_the_variance_most(
            rows in prop::collection::vec((prop::array::uniform4(0u8..12), any::<bool>()), 20..80), seed in 0u64..50
        ) {
            let values: Vec<Vec<f64>> = rows.iter().map(|(x, _)| x.iter().map(|v| f64::from(*v)).collect()).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened: Vec<bool> = rows.iter().map(|(_, y)| *y).collect();
            let nursery = Nursery { tries: 4, ..Nursery::new(&bins, &happened, &vec![1.0; rows.len()], 1, 3) };
            let drawn = nursery.draw(&mut ChaCha8Rng::seed_from_u64(seed));
            let tally = |keep: &dyn Fn(u32) -> bool| {
                let mut sum = Tally::default();
                for d in drawn.iter().filter(|d| keep(d.row)) {
                    sum.add(Tally { count: d.times.into(), successes: d.successes.into() });
                }
                sum
            };
            let mut best = None;
            for feature in 0..4 {
                for threshold in 0..12 {
                    let left = tally(&|row| rows[row as usize].0[feature] <= threshold);
                    let right = tally(&|row| rows[row as usize].0[feature] > threshold);
                    if left.count >= 3 && right.count >= 3 && gain(left, right) > 0.0 {
                        best = best.max(Some((gain(left, right) * 1e6) as u64));
                    }
                }
            }
            let tree = nursery.grow(seed).nodes;
            prop_assert_eq!(tree.len(), if best.is_some() { 3 } else { 1 });
            if let (Some(best), [root, left, right]) = (best, &tree[..]) {
                let goes_left = |row: u32| values[row as usize][usize::from(root.feature)] <= root.value;
                let (yes, no) = (tally(&goes_left), tally(&|row| !goes_left(row)));
                prop_assert_eq!((gain(yes, no) * 1e6) as u64, best);
                prop_assert_eq!((left.value, right.value, root.right), (yes.mean(), no.mean(), 2));
            }
        }
    }
}
