//! Growing one regression tree on a weighted bootstrap of binned rows.
//!
//! Sources: Breiman, *Random Forests*, 2001; cuts drawn at random instead of searched, Geurts, Ernst and Wehenkel,
//! *Extremely Randomized Trees*, 2006, here at the value of a row of the node, so that only the order of values
//! matters; the bootstrap by Poisson counts, Oza and Russell, *Online Bagging and Boosting*, 2001, which draws each row
//! independently, so that no search for the drawn row is needed.

use super::bins::{Bins, ROOM};
use super::family::Sample;
use super::forest::{ForestParameters, Node};
use domain::error::{Error, Result};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::select_unpredictable;
use std::ops::Range;

/// The largest mean number of draws of a row, however large its weight.
const MAX_RATE: f64 = 100.0;

/// The number of draws whose counts fit a byte.
const BLOCK: usize = 255;

/// The shared input of all trees of a forest.
pub struct ForestGrower<'a> {
    bins: &'a Bins,
    happened: &'a [bool],
    offsets: &'a [f64],
    /// The draw rate of each row with a weight above 0.
    rates: Vec<(u32, Rate)>,
    /// Features tried at each split.
    tries: usize,
    max_depth: u16,
    /// Fewest draws in a leaf.
    min_leaf: u32,
}

/// A tree, and how much each feature reduced its variance.
pub struct GrownTree {
    pub nodes: Vec<Node>,
    pub gains: Vec<f64>,
}

/// A row drawn for a tree, with the bins of its features. A row that was drawn twice appears twice.
#[derive(Clone, Copy)]
struct Draw {
    codes: [u8; ROOM],
    row: u32,
}

/// Numbers of draws that failed and that succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counts([u32; 2]);

impl Counts {
    fn count(self) -> u32 {
        self.0[0] + self.0[1]
    }

    fn without(self, part: Counts) -> Counts {
        Counts([0, 1].map(|outcome| self.0[outcome] - part.0[outcome]))
    }

    fn mean(self) -> f64 {
        f64::from(self.0[1]) / f64::from(self.count())
    }
}

/// The small counts of a Poisson distribution, which nearly all rows draw.
const LIKELY: usize = 4;

/// The number of values a random 32-bit number can take.
const DRAWS: f64 = 4_294_967_296.0;

/// How often a row is drawn, as a distribution.
struct Rate {
    mean: f64,
    /// The random numbers from which on the row is drawn more than 0, 1, 2 and 3 times.
    limits: [u32; LIKELY],
}

impl Rate {
    fn new(mean: f64) -> Self {
        let mut terms = cumulated(mean);
        Self { mean, limits: std::array::from_fn(|_| (terms.next().unwrap_or(1.0) * DRAWS).ceil() as u32) }
    }

    /// The number of draws that `number` maps to by the inverse of the cumulative distribution.
    fn times(&self, number: u32) -> u16 {
        if number < self.limits[LIKELY - 1] {
            // Branch-free, because the branch would be unpredictable.
            return self.limits.iter().map(|&limit| u16::from(number >= limit)).sum();
        }
        let at = f64::from(number) / DRAWS;
        cumulated(self.mean).take_while(|&cumulated| at >= cumulated).count() as u16
    }
}

/// The cumulative probabilities of at most 0, 1, 2, … events of a Poisson distribution, until they reach 1 in floating
/// point.
fn cumulated(mean: f64) -> impl Iterator<Item = f64> {
    let never = (-mean).exp();
    let terms = std::iter::successors(Some((0, never, never)), move |&(count, probability, cumulated)| {
        let probability = probability * (mean / f64::from(count + 1));
        (probability > 0.0).then_some((count + 1, probability, cumulated + probability))
    });
    terms.map(|(_, _, cumulated)| cumulated)
}

/// A split of a node: draws up to bin `bin` of a feature go to the left; `left` counts them.
#[derive(Debug, Clone, Copy)]
struct NodeSplit {
    feature: usize,
    bin: u8,
    left: Counts,
}

/// The ranges of a node's draws: failed ones and successful ones.
type Places = [Range<usize>; 2];

fn tally(node: &Places) -> Counts {
    Counts(node.each_ref().map(|places| places.len() as u32))
}

impl<'a> ForestGrower<'a> {
    /// Prepares the input. A leaf stands for at least `min_leaf` rows of average weight.
    ///
    /// # Errors
    /// See [`super::family::Family::fit`].
    pub fn new(sample: &Sample<'a>, parameters: &ForestParameters) -> Result<Self> {
        let Sample { bins, happened, weights, offsets } = *sample;
        let counting = sample.counting()?;
        if bins.features() > ROOM {
            return Err(Error::Internal(format!("a forest has room for {ROOM} features, not for {}", bins.features())));
        }
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

    /// Grows one tree. The same seed gives the same tree.
    pub fn grow(&self, seed: u64) -> GrownTree {
        let mut tree = self.empty_tree(seed);
        let root = tree.buffers[0].each_ref().map(|draws| 0..draws.len());
        tree.branch(root, 0);
        tree.grown
    }

    /// A tree without nodes, with its bootstrap sample.
    fn empty_tree(&self, seed: u64) -> TreeGrower<'_> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = self.draw(&mut rng);
        let mut draws = [const { Vec::new() }; 2].map(|mut draws: Vec<Draw>| {
            draws.reserve(rows.len());
            draws
        });
        for row in rows {
            let draw = Draw { codes: self.bins.padded_row(row as usize), row };
            draws[usize::from(self.happened[row as usize])].push(draw);
        }
        let features = self.bins.features();
        TreeGrower {
            nursery: self,
            rng,
            features: (0..features).collect(),
            buffers: [draws.clone(), draws],
            grown: GrownTree { nodes: Vec::new(), gains: vec![0.0; features] },
        }
    }

    /// The bootstrap sample: row numbers, each as often as it was drawn.
    fn draw(&self, rng: &mut impl Rng) -> Vec<u32> {
        let (mut drawn, mut again) = (vec![0; self.rates.len()], Vec::new());
        let mut count = 0;
        for (row, rate) in &self.rates {
            let times = rate.times(rng.next_u32());
            // Always written, and kept only if drawn: the branch would be unpredictable.
            drawn[count] = *row;
            count += usize::from(times > 0);
            (1..times).for_each(|_| again.push(*row));
        }
        drawn.truncate(count);
        drawn.append(&mut again);
        drawn
    }
}

/// A tree while it is grown.
struct TreeGrower<'a> {
    nursery: &'a ForestGrower<'a>,
    rng: ChaCha8Rng,
    /// All features; those tried last come first.
    features: Vec<usize>,
    /// The failed and the successful draws, in two buffers. A node is partitioned from one buffer into the other; nodes
    /// of even levels are in the first. So the draws of each node stay contiguous.
    buffers: [[Vec<Draw>; 2]; 2],
    grown: GrownTree,
}

impl TreeGrower<'_> {
    /// Grows the branch of these draws, depth first: the left child directly follows its parent.
    fn branch(&mut self, node: Places, level: u16) {
        let total = tally(&node);
        let Some((split, gain)) = self.may_split(total, level).then(|| self.best_split(&node, level)).flatten() else {
            let departure = self.departure(&node, level);
            return self.grown.nodes.push(Node::leaf(departure));
        };
        self.grown.gains[split.feature] += gain / f64::from(total.count());
        let at = self.grown.nodes.len();
        let threshold = self.nursery.bins.cuts(split.feature)[usize::from(split.bin)];
        self.grown.nodes.push(Node::split(split.feature, threshold));
        let [left, right] = self.part(&node, &split, level);
        self.branch(left, level + 1);
        self.grown.nodes[at].right = self.grown.nodes.len() as u32;
        self.branch(right, level + 1);
    }

    /// The draws of a node of this level.
    fn draws(&self, node: &Places, level: u16) -> [&[Draw]; 2] {
        let room = &self.buffers[usize::from(level % 2)];
        [0, 1].map(|outcome| &room[outcome][node[outcome].clone()])
    }

    /// How far the mean outcome of these draws departs from their mean offset.
    fn departure(&self, node: &Places, level: u16) -> f64 {
        let total = tally(node);
        if total.count() == 0 {
            return 0.0;
        }
        let offsets = self.draws(node, level).into_iter().flatten().map(|draw| self.nursery.offsets[draw.row as usize]);
        total.mean() - offsets.sum::<f64>() / f64::from(total.count())
    }

    /// Whether depth and size allow a split.
    fn may_split(&self, total: Counts, level: u16) -> bool {
        level < self.nursery.max_depth && total.count() >= 2 * self.nursery.min_leaf
    }

    /// The best of some random splits and its reduction of the variance; `None` when none reduces it and leaves enough
    /// rows on both sides.
    fn best_split(&mut self, node: &Places, level: u16) -> Option<(NodeSplit, f64)> {
        let ForestGrower { tries, min_leaf, .. } = *self.nursery;
        let mut bounds = [0; ROOM];
        for tried in 0..tries {
            let (feature, bin) = self.draw_cut(node, level, tried);
            bounds[feature] = bin;
        }
        let [failed, succeeded] = self.draws(node, level).map(|draws| count(draws, &bounds));
        let total = tally(node);
        let mut best = None;
        for &feature in &self.features[..tries] {
            let left = Counts([failed[feature], succeeded[feature]]);
            let right = total.without(left);
            if left.count() < min_leaf || right.count() < min_leaf {
                continue;
            }
            let gain = gain(left, right);
            if gain > best.map_or(0.0, |(_, best)| best) {
                best = Some((NodeSplit { feature, bin: bounds[feature], left }, gain));
            }
        }
        best
    }

    /// Draws a feature that is not among the first `tried`, moves it there, and takes its bin in a random draw.
    fn draw_cut(&mut self, node: &Places, level: u16, tried: usize) -> (usize, u8) {
        let other = self.rng.random_range(tried..self.features.len());
        self.features.swap(tried, other);
        let feature = self.features[tried];
        let drawn = self.rng.random_range(0..tally(node).count()) as usize;
        let [failed, succeeded] = self.draws(node, level);
        let draw = failed.get(drawn).unwrap_or_else(|| &succeeded[drawn - failed.len()]);
        (feature, draw.codes[feature])
    }

    /// Partitions the draws of a node into the other buffer, left branch first, and returns the ranges of both
    /// branches.
    fn part(&mut self, node: &Places, split: &NodeSplit, level: u16) -> [Places; 2] {
        let [even, odd] = &mut self.buffers;
        let (from, to) = if level.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        let middles = [0, 1].map(|outcome| {
            let places = node[outcome].clone();
            let (mut left, mut right) = (0, split.left.0[outcome] as usize);
            let middle = places.start + right;
            let to = &mut to[outcome][places.clone()];
            for draw in &from[outcome][places] {
                let goes_left = draw.codes[split.feature] <= split.bin;
                // Branch-free: a branch would be mispredicted every other time.
                to[select_unpredictable(goes_left, left, right)] = *draw;
                left += usize::from(goes_left);
                right += usize::from(!goes_left);
            }
            middle
        });
        let left = [0, 1].map(|outcome| node[outcome].start..middles[outcome]);
        [left, [0, 1].map(|outcome| middles[outcome]..node[outcome].end)]
    }
}

/// For each feature, the number of draws up to its bound. Comparing all features at once is as fast as comparing one: a
/// processor compares sixteen bytes per instruction.
fn count(draws: &[Draw], bounds: &[u8; ROOM]) -> [u32; ROOM] {
    let mut counts = [0; ROOM];
    for block in draws.chunks(BLOCK) {
        let mut of_block = [0_u8; ROOM];
        for draw in block {
            for ((count, code), bound) in of_block.iter_mut().zip(draw.codes).zip(bounds) {
                *count += u8::from(code <= *bound);
            }
        }
        counts.iter_mut().zip(of_block).for_each(|(count, of_block)| *count += u32::from(of_block));
    }
    counts
}

/// How much the split reduces the sum of squares, times the number of draws.
fn gain(left: Counts, right: Counts) -> f64 {
    let (n, m) = (f64::from(left.count()), f64::from(right.count()));
    let difference = f64::from(left.0[1]) * m - f64::from(right.0[1]) * n;
    difference * difference / (n * m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARAMETERS: ForestParameters = ForestParameters { trees: 1, max_depth: 1, min_leaf: 6, tries: 4, share: 0.5 };

    #[test]
    fn poisson_counts_by_hand() {
        // Of rate 1: 0 with 0.3679, 1 up to 0.7358, 2 up to 0.9197, 3 up to 0.98101, 4 up to 0.99634, 5 up to 0.99941.
        let rate = Rate::new(1.0);
        let count = |at: f64| rate.times((at * DRAWS) as u32);
        assert_eq!([0.0, 0.36, 0.37, 0.73, 0.74, 0.91, 0.92].map(count), [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!([0.98, 0.982, 0.996, 0.997, 0.9995].map(count), [3, 4, 4, 5, 6]);
        assert_eq!(Rate::new(0.0).times(u32::MAX), 0, "a row of weight zero is never drawn");
        assert!(Rate::new(MAX_RATE).times(u32::MAX) < 1000, "it ends");
    }

    #[test]
    fn more_draws_are_counted_than_fit_a_byte() {
        let codes = |row: usize| std::array::from_fn(|feature| (row * (feature + 1) % 128) as u8);
        let draws: Vec<Draw> = (0..1000).map(|row| Draw { codes: codes(row), row: row as u32 }).collect();
        let bounds = std::array::from_fn(|feature| 3 * feature as u8);
        for (feature, counted) in count(&draws, &bounds).into_iter().enumerate() {
            let there = draws.iter().filter(|draw| draw.codes[feature] <= bounds[feature]).count();
            assert_eq!(counted as usize, there, "feature {feature}");
        }
    }

    #[test]
    fn more_features_than_there_is_room_for_are_refused() {
        let fits = |features: usize| {
            let values = vec![1.0; features];
            let bins = Bins::new(&[&values[..]]);
            let sample = Sample { bins: &bins, happened: &[true], weights: &[1.0], offsets: &[0.5] };
            ForestGrower::new(&sample, &PARAMETERS).map(|_| ()).map_err(|error| error.code())
        };
        assert_eq!([ROOM, ROOM + 1].map(fits), [Ok(()), Err("ERR_INTERNAL")]);
    }

    proptest! {
        /// Each leaf of a deep tree contains exactly the rows that the nodes lead to it.
        #[test]
        fn leaves_of_deep_trees_predict_the_mean_of_their_rows(
            rows in prop::collection::vec((prop::array::uniform4(0u8..40), any::<bool>()), 100..900), seed in 0u64..50
        ) {
            let values: Vec<Vec<f64>> = rows.iter().map(|(x, _)| x.iter().map(|v| f64::from(*v)).collect()).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened: Vec<bool> = rows.iter().map(|(_, y)| *y).collect();
            let (weights, offsets) = (vec![1.0; rows.len()], vec![0.25; rows.len()]);
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets };
            let parameters = ForestParameters { max_depth: 9, min_leaf: 2, ..PARAMETERS };
            let nursery = ForestGrower::new(&sample, &parameters).unwrap();
            let tree = nursery.grow(seed).nodes;
            let mut sums = vec![(0.0, 0.0); tree.len()];
            for draw in nursery.empty_tree(seed).buffers[0].iter().flatten() {
                let mut at = 0;
                while !tree[at].is_leaf() {
                    let goes_left = values[draw.row as usize][usize::from(tree[at].feature)] <= tree[at].value;
                    at = if goes_left { at + 1 } else { tree[at].right as usize };
                }
                sums[at].0 += 1.0;
                sums[at].1 += f64::from(u8::from(happened[draw.row as usize])) - 0.25;
            }
            for (node, (count, beyond)) in tree.iter().zip(sums).filter(|(node, _)| node.is_leaf()) {
                prop_assert!(count >= 1.0 && (node.value - beyond / count).abs() < 1e-9, "{} instead of {beyond} / {count}", node.value);
            }
        }

        #[test]
        fn rows_are_drawn_as_often_as_they_weigh(weights in prop::collection::vec(0.1..3.0f64, 1..6), seed in 0u64..1000) {
            let values: Vec<Vec<f64>> = weights.iter().map(|_| vec![0.0; 4]).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened = vec![false; weights.len()];
            let offsets = vec![0.0; weights.len()];
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets };
            let nursery = ForestGrower::new(&sample, &PARAMETERS).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut counts = vec![0.0; weights.len()];
            for _ in 0..4000 {
                nursery.draw(&mut rng).into_iter().for_each(|row| counts[row as usize] += 1.0 / 4000.0);
            }
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            for (count, weight) in counts.iter().zip(&weights) {
                let rate = PARAMETERS.share * weight / mean;
                // Five standard errors.
                prop_assert!((count - rate).abs() < 5.0 * (rate / 4000.0).sqrt(), "{count} instead of {rate}");
            }
        }

        /// Compares with the splits that an identical tree draws, counted one by one.
        #[test]
        fn a_node_uses_the_best_of_its_random_splits(
            rows in prop::collection::vec((prop::array::uniform4(0u8..12), any::<bool>()), 20..80),
            offsets in prop::collection::vec(0.0..1.0f64, 80),
            seed in 0u64..50, tries in 1usize..=4
        ) {
            let values: Vec<Vec<f64>> = rows.iter().map(|(x, _)| x.iter().map(|v| f64::from(*v)).collect()).collect();
            let bins = Bins::new(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let happened: Vec<bool> = rows.iter().map(|(_, y)| *y).collect();
            let weights = vec![1.0; rows.len()];
            let sample = Sample { bins: &bins, happened: &happened, weights: &weights, offsets: &offsets[..rows.len()] };
            let nursery = ForestGrower::new(&sample, &ForestParameters { tries, ..PARAMETERS }).unwrap();
            let mut twin = nursery.empty_tree(seed);
            let drawn: Vec<u32> = twin.buffers[0].iter().flatten().map(|draw| draw.row).collect();
            prop_assume!(drawn.len() >= 6);
            let goes_left = |row: u32, feature: usize, threshold: f64| values[row as usize][feature] <= threshold;
            let parted = |feature: usize, threshold: f64| {
                [true, false].map(|left| {
                    let there = || drawn.iter().filter(|row| goes_left(**row, feature, threshold) == left);
                    let succeeded = there().filter(|row| happened[**row as usize]).count();
                    Counts([there().count() - succeeded, succeeded].map(|count| count as u32))
                })
            };
            let root = twin.buffers[0].each_ref().map(|draws| 0..draws.len());
            let splits: Vec<(usize, u8)> = (0..tries).map(|tried| twin.draw_cut(&root, 0, tried)).collect();
            let features: std::collections::HashSet<usize> = splits.iter().map(|split| split.0).collect();
            prop_assert_eq!(features.len(), tries, "no feature is tried twice");
            let mut best: Option<f64> = None;
            for &(feature, bin) in &splits {
                // Nothing lies above the last cut.
                let threshold = bins.cuts(feature).get(usize::from(bin)).copied().unwrap_or(f64::INFINITY);
                let [left, right] = parted(feature, threshold);
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
                for (leaf, is_left) in [(left, true), (right, false)] {
                    let feature = usize::from(root.feature);
                    let there = || drawn.iter().filter(|row| goes_left(**row, feature, root.value) == is_left);
                    let count = there().count() as f64;
                    let beyond: f64 =
                        there().map(|&row| f64::from(u8::from(happened[row as usize])) - offsets[row as usize]).sum();
                    prop_assert!((leaf.value - beyond / count).abs() < 1e-9);
                }
            }
        }
    }
}
