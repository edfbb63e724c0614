//! Growing one small tree on the gradients of a part of the rows.

use super::{BoostingParameters, Gradients, Sum, Units};
use crate::model::bins::{Bins, MAX_BINS};
use crate::model::forest::Node;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Neighbouring rows that are drawn together: what happens to them overlaps, so drawn apart they would tell no more.
const TOGETHER: usize = 32;

/// Levels of a tree at most.
const MAX_DEPTH: u8 = 8;

/// Leaves of a tree at most: a bit for each is one number.
const MAX_LEAVES: usize = 64;

/// A tree.
pub struct Grown {
    steps: Vec<Step>,
    /// What the leaves among the steps add to the log odds.
    adds: Vec<f64>,
}

/// Rows up to `bin` of the feature go to `left`, others to the step behind it; of a leaf, `left` is itself.
#[derive(Clone, Copy)]
struct Step {
    feature: u16,
    bin: u8,
    left: u16,
}

impl Step {
    fn leaf(at: usize) -> Self {
        Self { feature: 0, bin: 0, left: at as u16 }
    }
}

impl Grown {
    /// What is needed to lead rows to its leaves.
    pub fn ways(&self) -> Ways {
        let mut ways = Ways { asked: Vec::new(), adds: Vec::new() };
        self.lead(0, &mut ways);
        ways
    }

    /// Adds the ways to the leaves below a step, and returns these.
    fn lead(&self, at: usize, ways: &mut Ways) -> u64 {
        let Step { feature, bin, left } = self.steps[at];
        let (feature, left) = (usize::from(feature), usize::from(left));
        if left == at {
            ways.adds.push(self.adds[at]);
            return 1 << (ways.adds.len() - 1);
        }
        let [on_left, on_right] = [left, left + 1].map(|below| self.lead(below, ways));
        let known = ways.asked.iter().position(|(asked, _)| *asked == feature);
        let place = known.unwrap_or_else(|| {
            ways.asked.push((feature, [u64::MAX; MAX_BINS]));
            ways.asked.len() - 1
        });
        let (up_to, above) = ways.asked[place].1.split_at_mut(usize::from(bin) + 1);
        up_to.iter_mut().for_each(|leaves| *leaves &= !on_right);
        above.iter_mut().for_each(|leaves| *leaves &= !on_left);
        on_left | on_right
    }

    /// Its nodes, depth first, by values instead of bins.
    pub fn nodes(&self, bins: &Bins) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.steps.len());
        self.lay(0, bins, &mut nodes);
        nodes
    }

    fn lay(&self, at: usize, bins: &Bins, nodes: &mut Vec<Node>) {
        let Step { feature, bin, left } = self.steps[at];
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

/// A tree as sets of leaves, one for each bin of a feature: those that a row in this bin can come to. What all features leave is the
/// row's leaf. Nothing in that waits for anything before it, as steps from node to node do.
///
/// After Lucchese et al., *QuickScorer*, 2015.
pub struct Ways {
    asked: Vec<(usize, [u64; MAX_BINS])>,
    /// What each leaf adds to the log odds.
    adds: Vec<f64>,
}

impl Ways {
    /// Adds what the tree says of the rows from `first` on to their log odds.
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

/// A row that was drawn.
#[derive(Clone, Copy, Default)]
struct Drawn {
    place: u32,
    sum: Sum,
}

/// A tree as it grows.
struct Growing<'a> {
    bins: &'a Bins,
    units: Units,
    parameters: &'a BoostingParameters,
    /// Those drawn.
    features: Vec<usize>,
    /// Of each row drawn, the bins of these features: those of the whole table would not stay in the cache.
    codes: Vec<u8>,
    /// The rows drawn, by their place among these codes; those of a leaf lie side by side.
    drawn: Vec<Drawn>,
    /// Room for the rows of a right branch.
    aside: Vec<Drawn>,
    /// The curvature of a leaf at least, and what is added to that of each.
    least: f64,
    shrinkage: f64,
    grown: Grown,
}

/// One tree of a part of `rows`. The same seed, the same tree.
pub fn grow(bins: &Bins, rows: &[u32], gradients: &Gradients, parameters: &BoostingParameters, seed: u64) -> Grown {
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
    let mut total = Sum::default();
    drawn.iter().for_each(|drawn| total.add(drawn.sum));
    // The curvature of a row on average.
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
        grown: Grown { steps: Vec::new(), adds: Vec::new() },
    };
    tree.grow(total);
    tree.grown
}

/// Stretches of neighbours, in order.
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
    fn grow(&mut self, total: Sum) {
        self.add_leaf(total);
        let mut open = Vec::new();
        if self.may_split(total, 0) {
            let histograms = self.count(0..self.drawn.len());
            open.extend(self.open(0, 0, 0..self.drawn.len(), total, histograms));
        }
        let max_leaves = self.parameters.max_leaves.min(MAX_LEAVES);
        for leaves in 1..max_leaves {
            // Of equal gains the first.
            let best = (0..open.len())
                .rev()
                .max_by(|&a: &usize, &b: &usize| f64::total_cmp(&open[a].split.gain, &open[b].split.gain));
            let Some(best) = best else { return };
            let children = self.part(open.remove(best), leaves + 1 == max_leaves);
            open.extend(children);
        }
    }

    fn add_leaf(&mut self, total: Sum) {
        self.grown.steps.push(Step::leaf(self.grown.steps.len()));
        self.grown.adds.push(self.adds(total));
    }

    /// What a leaf adds to the log odds of its rows.
    fn adds(&self, total: Sum) -> f64 {
        let [slope, curvature] = total.parts();
        let units = self.units;
        let curvature = (curvature + self.shrinkage) / units.curvature;
        if curvature > 0.0 { -self.parameters.rate * (slope / units.slope) / curvature } else { 0.0 }
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
        let middle = self.partition(rows.clone(), &split);
        let (level, left) = (level + 1, self.grown.steps.len());
        let children =
            [(left, rows.start..middle, split.left), (left + 1, middle..rows.end, total.without(split.left))];
        children.iter().for_each(|(_, _, total)| self.add_leaf(*total));
        self.grown.steps[at] = Step { feature: feature as u16, bin: split.bin, left: left as u16 };
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
        for drawn in &self.drawn[rows] {
            for (histogram, code) in histograms.iter_mut().zip(self.codes_of(*drawn)) {
                histogram[usize::from(*code) % MAX_BINS].add(drawn.sum);
            }
        }
        histograms
    }

    /// The split that lessens the loss most; `None` when none lessens it and leaves enough rows on both sides.
    fn best_split(&self, histograms: &[Histogram], total: Sum) -> Option<Split> {
        let [slope, curvature] = total.parts();
        let whole = slope * slope / (curvature + self.shrinkage);
        let mut best: Option<Split> = None;
        for (feature, histogram) in histograms.iter().enumerate() {
            let mut left = Sum::default();
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
                // The sum of both sides' squared slope by curvature, with one division.
                let (l, r) = (left_curvature + self.shrinkage, right_curvature + self.shrinkage);
                let gain = (left_slope * left_slope * r + right_slope * right_slope * l) / (l * r) - whole;
                if gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(Split { gain, feature, bin: bin as u8, left });
                }
            }
        }
        best
    }

    /// The bins of the features drawn.
    fn codes_of(&self, drawn: Drawn) -> &[u8] {
        &self.codes[drawn.place as usize * self.features.len()..][..self.features.len()]
    }

    /// Moves the rows of the left branch to the front, in order, and returns where the others begin.
    fn partition(&mut self, range: Range<usize>, split: &Split) -> usize {
        let (codes, stride) = (&self.codes[split.feature..], self.features.len());
        let rows = &mut self.drawn[range.clone()];
        let (mut left, mut right) = (0, 0);
        for at in 0..rows.len() {
            let row = rows[at];
            let goes_left = codes[row.place as usize * stride] <= split.bin;
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
