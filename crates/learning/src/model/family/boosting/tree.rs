//! Growing one small tree on the gradients of a part of the rows.

use super::{BoostingParameters, GradientSum, Gradients, Units};
use crate::model::bins::{Bins, MAX_BINS};
use crate::model::forest::Node;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Neighbouring rows are drawn in runs of this length: their labels overlap, so drawing them separately would not add
/// information.
const TOGETHER: usize = 32;

/// Largest depth of a tree.
const MAX_DEPTH: u8 = 8;

/// Largest number of leaves: a set of leaves fits the bits of one number.
const MAX_LEAVES: usize = 64;

/// A tree.
pub struct BoostedTree {
    nodes_by_bin: Vec<BoostedNode>,
    /// The contributions of the leaves to the log odds.
    adds: Vec<f64>,
}

/// Rows up to `bin` of the feature go to `left`, others to the node after it; in a leaf, `left` is the node itself.
#[derive(Clone, Copy)]
struct BoostedNode {
    feature: u16,
    bin: u8,
    left: u16,
}

impl BoostedNode {
    fn leaf(at: usize) -> Self {
        Self { feature: 0, bin: 0, left: at as u16 }
    }
}

impl BoostedTree {
    /// The tree as leaf sets, for fast evaluation.
    pub fn leaf_sets(&self) -> LeafSets {
        let mut leaf_sets = LeafSets { asked: Vec::new(), adds: Vec::new() };
        self.lead(0, &mut leaf_sets);
        leaf_sets
    }

    /// Fills in the leaf sets below a node, and returns its leaves.
    fn lead(&self, at: usize, leaf_sets: &mut LeafSets) -> u64 {
        let BoostedNode { feature, bin, left } = self.nodes_by_bin[at];
        let (feature, left) = (usize::from(feature), usize::from(left));
        if left == at {
            leaf_sets.adds.push(self.adds[at]);
            return 1 << (leaf_sets.adds.len() - 1);
        }
        let [on_left, on_right] = [left, left + 1].map(|below| self.lead(below, leaf_sets));
        let known = leaf_sets.asked.iter().position(|(asked, _)| *asked == feature);
        let place = known.unwrap_or_else(|| {
            leaf_sets.asked.push((feature, [u64::MAX; MAX_BINS]));
            leaf_sets.asked.len() - 1
        });
        let (up_to, above) = leaf_sets.asked[place].1.split_at_mut(usize::from(bin) + 1);
        up_to.iter_mut().for_each(|leaves| *leaves &= !on_right);
        above.iter_mut().for_each(|leaves| *leaves &= !on_left);
        on_left | on_right
    }

    /// The nodes, depth first, with values instead of bins.
    pub fn nodes(&self, bins: &Bins) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.nodes_by_bin.len());
        self.lay(0, bins, &mut nodes);
        nodes
    }

    fn lay(&self, at: usize, bins: &Bins, nodes: &mut Vec<Node>) {
        let BoostedNode { feature, bin, left } = self.nodes_by_bin[at];
        let left = usize::from(left);
        if left == at {
            return nodes.push(Node::leaf(self.adds[at]));
        }
        let place = nodes.len();
        nodes.push(Node::split(usize::from(feature), bins.cuts(usize::from(feature))[usize::from(bin)]));
        self.lay(left, bins, nodes);
        nodes[place].right = nodes.len() as u32;
        self.lay(left + 1, bins, nodes);
    }
}

/// A tree as sets of leaves, one for each bin of a feature: the leaves a row in this bin can reach. The intersection
/// over all features is the row's leaf. Unlike a walk from node to node, no step waits for the one before it.
///
/// After Lucchese et al., *QuickScorer*, 2015.
pub struct LeafSets {
    asked: Vec<(usize, [u64; MAX_BINS])>,
    /// The contribution of each leaf to the log odds.
    adds: Vec<f64>,
}

impl LeafSets {
    /// Adds the tree's contribution to the log odds of the rows from `first` on.
    pub fn add_to(&self, log_odds: &mut [f64], bins: &Bins, first: usize) {
        for (row, log_odds) in (first..).zip(log_odds) {
            let codes = bins.row(row);
            let leave = |leaves: u64, (feature, of_bins): &(usize, [u64; MAX_BINS])| {
                leaves & of_bins[usize::from(codes[*feature]) % MAX_BINS]
            };
            *log_odds += self.adds[self.asked.iter().fold(u64::MAX, leave).trailing_zeros() as usize];
        }
    }
}

/// The gradient sums of the rows in each bin of a feature.
type Histogram = [GradientSum; MAX_BINS];

/// A split of a leaf.
#[derive(Clone, Copy)]
struct LeafSplit {
    gain: f64,
    /// The position among the drawn features.
    feature: usize,
    bin: u8,
    left: GradientSum,
}

/// A leaf that may still be split.
struct OpenLeaf {
    /// Its position in the tree.
    at: usize,
    level: u8,
    /// Its rows among those drawn.
    rows: Range<usize>,
    total: GradientSum,
    /// One histogram for each drawn feature.
    histograms: Vec<Histogram>,
    split: LeafSplit,
}

/// A row that was drawn.
#[derive(Clone, Copy, Default)]
struct Drawn {
    place: u32,
    sum: GradientSum,
}

/// A tree while it is grown.
struct Growing<'a> {
    bins: &'a Bins,
    units: Units,
    parameters: &'a BoostingParameters,
    /// The drawn features.
    features: Vec<usize>,
    /// The bins of these features for each drawn row: those of the whole table would not stay in the cache.
    codes: Vec<u8>,
    /// The drawn rows, by their position among these codes; those of a leaf are contiguous.
    drawn: Vec<Drawn>,
    /// A buffer for the rows of a right branch.
    aside: Vec<Drawn>,
    /// The smallest curvature of a leaf, and the regularisation added to each.
    least: f64,
    shrinkage: f64,
    grown: BoostedTree,
}

/// Grows one tree on a part of `rows`. The same seed gives the same tree.
pub fn grow(
    bins: &Bins,
    rows: &[u32],
    gradients: &Gradients,
    parameters: &BoostingParameters,
    seed: u64,
) -> BoostedTree {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = draw_rows(rows, parameters.row_share, &mut rng);
    let features = draw_features(bins.features(), parameters.feature_share, &mut rng);
    let mut codes = Vec::with_capacity(rows.len() * features.len());
    for &row in &rows {
        let of_row = bins.row(row as usize);
        codes.extend(features.iter().map(|&feature| of_row[feature]));
    }
    let draw = |(place, &row): (usize, &u32)| Drawn { place: place as u32, sum: gradients.sums[row as usize] };
    let drawn: Vec<Drawn> = rows.iter().enumerate().map(draw).collect();
    let mut total = GradientSum::default();
    drawn.iter().for_each(|drawn| total.add(drawn.sum));
    // The mean curvature of a row.
    let row = total.parts()[1] / drawn.len().max(1) as f64;
    let mut tree = Growing {
        bins,
        units: gradients.units,
        parameters,
        features,
        codes,
        aside: vec![Drawn::default(); drawn.len()],
        drawn,
        least: parameters.min_leaf as f64 * row,
        shrinkage: parameters.shrinkage * row,
        grown: BoostedTree { nodes_by_bin: Vec::new(), adds: Vec::new() },
    };
    tree.grow(total);
    tree.grown
}

/// Draws runs of neighbouring rows, in order.
fn draw_rows(rows: &[u32], share: f64, rng: &mut impl Rng) -> Vec<u32> {
    let mut drawn = Vec::with_capacity(rows.len());
    for neighbours in rows.chunks(TOGETHER) {
        if rng.random_bool(share) {
            drawn.extend(neighbours);
        }
    }
    drawn
}

fn draw_features(features: usize, share: f64, rng: &mut impl Rng) -> Vec<usize> {
    let count = (share * features as f64).ceil() as usize;
    let mut all: Vec<usize> = (0..features).collect();
    (0..count).for_each(|i| all.swap(i, rng.random_range(i..features)));
    all.truncate(count);
    all.sort_unstable();
    all
}

impl Growing<'_> {
    fn grow(&mut self, total: GradientSum) {
        self.add_leaf(total);
        let mut open = Vec::new();
        if self.may_split(total, 0) {
            let histograms = self.count(0..self.drawn.len());
            open.extend(self.open(0, 0, 0..self.drawn.len(), total, histograms));
        }
        let max_leaves = self.parameters.max_leaves.min(MAX_LEAVES);
        for leaves in 1..max_leaves {
            // Of equal gains, the first.
            let best = (0..open.len())
                .rev()
                .max_by(|&a: &usize, &b: &usize| f64::total_cmp(&open[a].split.gain, &open[b].split.gain));
            let Some(best) = best else { return };
            let children = self.part(open.remove(best), leaves + 1 == max_leaves);
            open.extend(children);
        }
    }

    fn add_leaf(&mut self, total: GradientSum) {
        self.grown.nodes_by_bin.push(BoostedNode::leaf(self.grown.nodes_by_bin.len()));
        self.grown.adds.push(self.adds(total));
    }

    /// The contribution of a leaf to the log odds of its rows.
    fn adds(&self, total: GradientSum) -> f64 {
        let [slope, curvature] = total.parts();
        let units = self.units;
        let curvature = (curvature + self.shrinkage) / units.curvature;
        if curvature > 0.0 { -self.parameters.rate * (slope / units.slope) / curvature } else { 0.0 }
    }

    fn may_split(&self, total: GradientSum, level: u8) -> bool {
        level < MAX_DEPTH && total.parts()[1] >= 2.0 * self.least
    }

    fn open(
        &self,
        at: usize,
        level: u8,
        rows: Range<usize>,
        total: GradientSum,
        histograms: Vec<Histogram>,
    ) -> Option<OpenLeaf> {
        let split = self.best_split(&histograms, total)?;
        Some(OpenLeaf { at, level, rows, total, histograms, split })
    }

    /// Splits a leaf in two, and returns those that may be split further, unless this is the `last` split.
    fn part(&mut self, leaf: OpenLeaf, last: bool) -> Vec<OpenLeaf> {
        let OpenLeaf { at, level, rows, total, mut histograms, split } = leaf;
        let feature = self.features[split.feature];
        let middle = self.partition(rows.clone(), &split);
        let (level, left) = (level + 1, self.grown.nodes_by_bin.len());
        let children =
            [(left, rows.start..middle, split.left), (left + 1, middle..rows.end, total.without(split.left))];
        children.iter().for_each(|(_, _, total)| self.add_leaf(*total));
        self.grown.nodes_by_bin[at] = BoostedNode { feature: feature as u16, bin: split.bin, left: left as u16 };
        if last || !children.iter().any(|(_, _, total)| self.may_split(*total, level)) {
            return Vec::new();
        }
        // Only the smaller child is counted; the difference is the histogram of the other.
        let [left, right] = children;
        let (fewer, more) = if left.1.len() <= right.1.len() { (left, right) } else { (right, left) };
        let of_fewer = self.count(fewer.1.clone());
        for (all, part) in histograms.as_flattened_mut().iter_mut().zip(of_fewer.as_flattened()) {
            *all = all.without(*part);
        }
        let pairs = [(fewer, of_fewer), (more, histograms)].into_iter();
        pairs
            .filter(|((_, _, total), _)| self.may_split(*total, level))
            .filter_map(|((at, rows, total), histograms)| self.open(at, level, rows, total, histograms))
            .collect()
    }

    fn count(&self, rows: Range<usize>) -> Vec<Histogram> {
        let mut histograms = vec![[GradientSum::default(); MAX_BINS]; self.features.len()];
        for drawn in &self.drawn[rows] {
            for (histogram, code) in histograms.iter_mut().zip(self.codes_of(*drawn)) {
                histogram[usize::from(*code) % MAX_BINS].add(drawn.sum);
            }
        }
        histograms
    }

    /// The split that reduces the loss most; `None` when none reduces it and leaves enough rows on both sides.
    fn best_split(&self, histograms: &[Histogram], total: GradientSum) -> Option<LeafSplit> {
        let [slope, curvature] = total.parts();
        let whole = slope * slope / (curvature + self.shrinkage);
        let mut best: Option<LeafSplit> = None;
        for (feature, histogram) in histograms.iter().enumerate() {
            let mut left = GradientSum::default();
            let cuts = self.bins.cuts(self.features[feature]).len();
            for (bin, sum) in histogram[..cuts].iter().enumerate() {
                left.add(*sum);
                let [left_slope, left_curvature] = left.parts();
                let right_curvature = curvature - left_curvature;
                if right_curvature < self.least {
                    break;
                }
                if left_curvature < self.least {
                    continue;
                }
                let right_slope = slope - left_slope;
                // The sum of squared slope by curvature of both sides, with a single division.
                let (l, r) = (left_curvature + self.shrinkage, right_curvature + self.shrinkage);
                let gain = (left_slope * left_slope * r + right_slope * right_slope * l) / (l * r) - whole;
                if gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(LeafSplit { gain, feature, bin: bin as u8, left });
                }
            }
        }
        best
    }

    /// The bins of the drawn features of a row.
    fn codes_of(&self, drawn: Drawn) -> &[u8] {
        &self.codes[drawn.place as usize * self.features.len()..][..self.features.len()]
    }

    /// Moves the rows of the left branch to the front, in order, and returns where the others begin.
    fn partition(&mut self, range: Range<usize>, split: &LeafSplit) -> usize {
        let (codes, stride) = (&self.codes[split.feature..], self.features.len());
        let rows = &mut self.drawn[range.clone()];
        let (mut left, mut right) = (0, 0);
        for at in 0..rows.len() {
            let row = rows[at];
            let goes_left = codes[row.place as usize * stride] <= split.bin;
            // Written to both sides and kept on one: an unpredictable branch would take longer.
            rows[left] = row;
            self.aside[right] = row;
            left += usize::from(goes_left);
            right += usize::from(!goes_left);
        }
        rows[left..].copy_from_slice(&self.aside[..right]);
        range.start + left
    }
}
