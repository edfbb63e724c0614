//! Growing one small tree on the gradients of a part of the rows.

use super::{BoostingParameters, Gradients, Sum};
use crate::model::bins::{Bins, MAX_BINS};
use crate::model::forest::Node;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::select_unpredictable;
use std::ops::Range;

/// The part of the rows, and of the features, that a tree is grown from.
const ROW_SHARE: f64 = 0.5;
const FEATURE_SHARE: f64 = 0.5;

/// Neighbouring rows that are drawn together: what happens to them overlaps, so drawn apart they would tell no more.
const TOGETHER: usize = 32;

/// Levels of a tree at most.
const MAX_DEPTH: u8 = 8;

/// Rows that are led through a tree at a time.
const ABREAST: usize = 8;

/// The bins of rows, row by row.
pub struct Rows {
    features: usize,
    codes: Vec<u8>,
    /// Of each feature.
    bins: Vec<usize>,
}

impl Rows {
    /// These rows of `bins`.
    pub fn new(bins: &Bins, rows: &[u32]) -> Self {
        let features = bins.features();
        let mut codes = vec![0; features * rows.len()];
        for feature in 0..features {
            let column = bins.codes(feature);
            for (cells, &row) in codes.chunks_exact_mut(features).zip(rows) {
                cells[feature] = column[row as usize];
            }
        }
        Self { features, codes, bins: (0..features).map(|feature| bins.cuts(feature).len() + 1).collect() }
    }

    fn len(&self) -> usize {
        self.codes.len() / self.features
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.codes[row * self.features..][..self.features]
    }
}

/// A tree. Of a leaf, both ways lead to itself.
pub struct Grown {
    steps: Vec<Step>,
    depth: u8,
}

#[derive(Clone, Copy)]
struct Step {
    feature: u16,
    /// Rows up to this bin go to the left.
    bin: u8,
    left: u16,
    right: u16,
    /// What a leaf adds to the log odds.
    adds: f64,
}

impl Step {
    fn leaf(at: usize, adds: f64) -> Self {
        Self { feature: 0, bin: 0, left: at as u16, right: at as u16, adds }
    }
}

impl Grown {
    /// Adds what it says of the rows from `first` on to their log odds.
    pub fn add_to(&self, log_odds: &mut [f64], rows: &Rows, first: usize) {
        let (abreast, rest) = log_odds.as_chunks_mut::<ABREAST>();
        let alone = first + abreast.len() * ABREAST;
        for (chunk, log_odds) in abreast.iter_mut().enumerate() {
            let first = first + chunk * ABREAST;
            let leaves = self.walk(std::array::from_fn::<_, ABREAST, _>(|i| rows.row(first + i)));
            log_odds.iter_mut().zip(leaves).for_each(|(log_odds, leaf)| *log_odds += leaf);
        }
        for (i, log_odds) in rest.iter_mut().enumerate() {
            let [leaf] = self.walk([rows.row(alone + i)]);
            *log_odds += leaf;
        }
    }

    fn walk<const N: usize>(&self, rows: [&[u8]; N]) -> [f64; N] {
        let mut at = [0_u16; N];
        for _ in 0..self.depth {
            for (at, codes) in at.iter_mut().zip(rows) {
                let Step { feature, bin, left, right, .. } = self.steps[usize::from(*at)];
                *at = select_unpredictable(codes[usize::from(feature)] <= bin, left, right);
            }
        }
        at.map(|at| self.steps[usize::from(at)].adds)
    }

    /// Its nodes, depth first, by values instead of bins.
    pub fn nodes(&self, bins: &Bins) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.steps.len());
        self.lay(0, bins, &mut nodes);
        nodes
    }

    fn lay(&self, at: usize, bins: &Bins, nodes: &mut Vec<Node>) {
        let Step { feature, bin, left, right, adds } = self.steps[at];
        if usize::from(left) == at {
            return nodes.push(Node::leaf(adds));
        }
        let place = nodes.len();
        nodes.push(Node::split(usize::from(feature), bins.cuts(usize::from(feature))[usize::from(bin)]));
        self.lay(usize::from(left), bins, nodes);
        nodes[place].right = nodes.len() as u32;
        self.lay(usize::from(right), bins, nodes);
    }
}

/// The sums of the rows in each bin of a feature.
type Histogram = [Sum; MAX_BINS];

/// A way to part a leaf.
#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    /// Among those drawn.
    feature: usize,
    bin: u8,
    left: Sum,
}

/// A leaf that may still be parted.
struct Open {
    /// Its place in the tree.
    at: usize,
    level: u8,
    /// Its rows among those drawn.
    rows: Range<usize>,
    total: Sum,
    /// Of each feature that was drawn.
    histograms: Vec<Histogram>,
    split: Split,
}

/// A tree as it grows.
struct Growing<'a> {
    rows: &'a Rows,
    gradients: &'a Gradients,
    parameters: &'a BoostingParameters,
    /// Those drawn.
    features: Vec<usize>,
    drawn: Vec<u32>,
    /// Room for the rows of a right branch.
    aside: Vec<u32>,
    /// The curvature of a leaf at least, and what is added to that of each.
    least: f64,
    shrinkage: f64,
    grown: Grown,
}

/// One tree. The same seed, the same tree.
pub fn grow(rows: &Rows, gradients: &Gradients, parameters: &BoostingParameters, seed: u64) -> Grown {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = draw_rows(rows.len(), &mut rng);
    let mut total = Sum::default();
    drawn.iter().for_each(|&row| total.add(gradients.sums[row as usize]));
    // The curvature of a row on average.
    let row = total.parts()[1] / drawn.len().max(1) as f64;
    let mut tree = Growing {
        rows,
        gradients,
        parameters,
        features: draw_features(rows.features, &mut rng),
        aside: vec![0; drawn.len()],
        drawn,
        least: parameters.min_leaf as f64 * row,
        shrinkage: parameters.shrinkage * row,
        grown: Grown { steps: Vec::new(), depth: 0 },
    };
    tree.grow(total);
    tree.grown
}

/// Stretches of neighbours, in order.
fn draw_rows(rows: usize, rng: &mut impl Rng) -> Vec<u32> {
    let mut drawn = Vec::with_capacity(rows);
    for first in (0..rows).step_by(TOGETHER) {
        if rng.random_bool(ROW_SHARE) {
            drawn.extend(first as u32..(first + TOGETHER).min(rows) as u32);
        }
    }
    drawn
}

fn draw_features(features: usize, rng: &mut impl Rng) -> Vec<usize> {
    let count = (FEATURE_SHARE * features as f64).ceil() as usize;
    let mut all: Vec<usize> = (0..features).collect();
    (0..count).for_each(|i| all.swap(i, rng.random_range(i..features)));
    all.truncate(count);
    all.sort_unstable();
    all
}

impl Growing<'_> {
    fn grow(&mut self, total: Sum) {
        let adds = self.adds(total);
        self.grown.steps.push(Step::leaf(0, adds));
        let mut open = Vec::new();
        if self.may_split(total, 0) {
            let histograms = self.count(0..self.drawn.len());
            open.extend(self.open(0, 0, 0..self.drawn.len(), total, histograms));
        }
        for leaves in 1..self.parameters.max_leaves {
            // Of equal gains the first.
            let best = (0..open.len()).rev().max_by(|&a: &usize, &b: &usize| {
                f64::total_cmp(&open[a].split.gain, &open[b].split.gain)
            });
            let Some(best) = best else { return };
            let children = self.part(open.remove(best), leaves + 1 == self.parameters.max_leaves);
            open.extend(children);
        }
    }

    /// What a leaf adds to the log odds of its rows.
    fn adds(&self, total: Sum) -> f64 {
        let [slope, curvature] = total.parts();
        let [slopes, curvatures] = self.gradients.units;
        let curvature = (curvature + self.shrinkage) / curvatures;
        if curvature > 0.0 { -self.parameters.rate * (slope / slopes) / curvature } else { 0.0 }
    }

    fn may_split(&self, total: Sum, level: u8) -> bool {
        level < MAX_DEPTH && total.parts()[1] >= 2.0 * self.least
    }

    fn open(&self, at: usize, level: u8, rows: Range<usize>, total: Sum, histograms: Vec<Histogram>) -> Option<Open> {
        let split = self.best_split(&histograms, total)?;
        Some(Open { at, level, rows, total, histograms, split })
    }

    /// Makes two leaves of one; those of them that may be parted further, unless these are the `last`.
    fn part(&mut self, leaf: Open, last: bool) -> Vec<Open> {
        let Open { at, level, rows, total, mut histograms, split } = leaf;
        let feature = self.features[split.feature];
        let middle = self.partition(rows.clone(), feature, split.bin);
        let (level, left) = (level + 1, self.grown.steps.len());
        let children = [(left, rows.start..middle, split.left), (left + 1, middle..rows.end, total.without(split.left))];
        for (at, _, total) in &children {
            let adds = self.adds(*total);
            self.grown.steps.push(Step::leaf(*at, adds));
        }
        let step = Step { feature: feature as u16, bin: split.bin, left: left as u16, right: left as u16 + 1, adds: 0.0 };
        self.grown.steps[at] = step;
        self.grown.depth = self.grown.depth.max(level);
        if last || !children.iter().any(|(_, _, total)| self.may_split(*total, level)) {
            return Vec::new();
        }
        // The fewer rows are counted; what they are not is the others'.
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
        let mut histograms = vec![[Sum::default(); MAX_BINS]; self.features.len()];
        for &row in &self.drawn[rows] {
            let sum = self.gradients.sums[row as usize];
            let codes = self.rows.row(row as usize);
            for (histogram, &feature) in histograms.iter_mut().zip(&self.features) {
                histogram[usize::from(codes[feature]) % MAX_BINS].add(sum);
            }
        }
        histograms
    }

    /// The split that lessens the loss most; `None` when none lessens it and leaves enough rows on both sides.
    fn best_split(&self, histograms: &[Histogram], total: Sum) -> Option<Split> {
        let score = |sum: Sum| {
            let [slope, curvature] = sum.parts();
            slope * slope / (curvature + self.shrinkage)
        };
        let whole = score(total);
        let mut best: Option<Split> = None;
        for (feature, histogram) in histograms.iter().enumerate() {
            let mut left = Sum::default();
            let bins = self.rows.bins[self.features[feature]];
            for (bin, sum) in histogram[..bins - 1].iter().enumerate() {
                left.add(*sum);
                let right = total.without(left);
                if left.parts()[1] < self.least || right.parts()[1] < self.least {
                    continue;
                }
                let gain = score(left) + score(right) - whole;
                if gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(Split { gain, feature, bin: bin as u8, left });
                }
            }
        }
        best
    }

    /// Moves the rows of the left branch to the front, in order, and returns where the others begin.
    fn partition(&mut self, range: Range<usize>, feature: usize, bin: u8) -> usize {
        let rows = &mut self.drawn[range.clone()];
        let (mut left, mut right) = (0, 0);
        for at in 0..rows.len() {
            let row = rows[at];
            let goes_left = self.rows.row(row as usize)[feature] <= bin;
            // Written to both sides, and kept on one: a jump that nobody can predict takes longer.
            rows[left] = row;
            self.aside[right] = row;
            left += usize::from(goes_left);
            right += usize::from(!goes_left);
        }
        rows[left..].copy_from_slice(&self.aside[..right]);
        range.start + left
    }
}
