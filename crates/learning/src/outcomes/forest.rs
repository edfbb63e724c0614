//! A forest of extremely randomised trees that fits residuals and shrinks small leaves towards their parents.
//!
//! Sources: Geurts, Ernst and Wehenkel, *Extremely randomized trees*, 2006 (random thresholds, the best of several
//! kept); Agarwal et al., *Hierarchical Shrinkage*, 2022 (a node's departure from its parent is multiplied by 1 / (1 +
//! λ / n)).

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::hint::select_unpredictable;

/// λ of the hierarchical shrinkage, in outcomes.
const SHRINKAGE: f32 = 10.0;
/// Fewest outcomes in a leaf.
const MIN_LEAF: f32 = 4.0;
const MAX_DEPTH: usize = 9;
/// Trees that a prediction walks at a time.
const ABREAST: usize = 8;
/// Rows that a split is evaluated on at a time.
const LANES: usize = 8;
/// The share of the blocks of rows that each tree is grown on; the others are out of bag.
const BAG: f64 = 0.7;

/// How the values of a column are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// By a threshold.
    Number,
    /// One value against all others.
    Category,
}

/// The training rows, column by column; NaN is missing.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// One vector per column, all as long as `targets`.
    pub columns: Vec<Vec<f32>>,
    /// The kind of each column.
    pub kinds: Vec<Kind>,
    /// How often each column is tried, relative to the others.
    pub chances: Vec<f64>,
    /// The values to predict.
    pub targets: Vec<f32>,
    /// The weight of each row.
    pub weights: Vec<f32>,
    /// The block of each row, numbered from 0. A tree is grown on all rows of a block or on none, so that no row is
    /// tested by trees that saw a dependent one.
    pub blocks: Vec<u32>,
}

/// Parameters for growing a forest.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// Number of trees.
    pub trees: usize,
    /// Splits tried at each node.
    pub tries: usize,
    /// The seed of all randomness.
    pub seed: u64,
}

/// A split, or a leaf when `left` is 0 (the root is never a child). The right child follows the left one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct OutcomeNode {
    left: u32,
    column: u16,
    kind: Kind,
    missing_left: bool,
    threshold: f32,
    weight: f32,
    sum: f32,
}

impl OutcomeNode {
    /// Where a value goes; NaN goes where the split says. Branch-free, because the branch would be unpredictable.
    fn goes_left(&self, value: f32) -> bool {
        let number = self.kind == Kind::Number;
        (number & (value <= self.threshold))
            | (!number & (value == self.threshold))
            | (self.missing_left & value.is_nan())
    }

    /// The total weight and the weighted sum of targets of the rows that go left: vectorised and branch-free.
    fn left(&self, values: &Lined, weights: &Lined, targets: &Lined) -> [f32; 2] {
        let least = if self.kind == Kind::Number { f32::NEG_INFINITY } else { self.threshold };
        let missing = if self.missing_left { u32::MAX } else { 0 };
        let mut sums = [[0f32; LANES]; 2];
        for ((values, weights), targets) in values.0.iter().zip(&weights.0).zip(&targets.0) {
            for lane in 0..LANES {
                let value = values[lane];
                let inside = if (value >= least) & (value <= self.threshold) { u32::MAX } else { 0 };
                let left = inside | if value.is_nan() { missing } else { 0 };
                sums[0][lane] += f32::from_bits(weights[lane].to_bits() & left);
                sums[1][lane] += f32::from_bits(targets[lane].to_bits() & left);
            }
        }
        sums.map(|lanes| lanes.iter().sum())
    }

    fn mean(&self) -> f32 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tree {
    nodes: Vec<OutcomeNode>,
}

/// The trees.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OutcomeForest {
    trees: Vec<Tree>,
}

impl OutcomeForest {
    /// Grows the trees on the threads of the calling pool, and returns the out-of-bag prediction of each row (0 where
    /// every tree saw it). The result does not depend on the number of threads.
    pub fn grow(table: &Table, growth: Growth) -> (Self, Vec<f64>) {
        let rows = table.targets.len();
        let blocks = table.blocks.iter().max().map_or(0, |last| last + 1);
        let cumulated = cumulate(&table.chances);
        let grown: Vec<(Tree, Vec<bool>)> = (0..growth.trees)
            .into_par_iter()
            .map(|number| {
                let mut rng = ChaCha8Rng::seed_from_u64(growth.seed.wrapping_add(number as u64));
                let drawn: Vec<bool> = (0..blocks).map(|_| rng.random_bool(BAG)).collect();
                let bagged: Vec<bool> = table.blocks.iter().map(|&block| drawn[block as usize]).collect();
                let members = (0..rows as u32).filter(|&row| bagged[row as usize]).collect();
                (Grower { table, cumulated: &cumulated, tries: growth.tries, rng }.grow(members), bagged)
            })
            .collect();
        let outside = (0..rows)
            .into_par_iter()
            .map(|row| {
                let at = |column: usize| table.columns[column][row];
                let unseen = grown.iter().filter(|(_, bagged)| !bagged[row]);
                let (mut sum, mut count) = (0.0, 0);
                for (tree, _) in unseen {
                    sum += f64::from(tree.predict(at));
                    count += 1;
                }
                if count > 0 { sum / f64::from(count) } else { 0.0 }
            })
            .collect();
        (Self { trees: grown.into_iter().map(|(tree, _)| tree).collect() }, outside)
    }

    /// The mean of the trees' predictions; 0 for an empty forest.
    pub fn predict(&self, row: &[f32]) -> f64 {
        let at = |column: usize| row[column];
        let (abreast, rest) = self.trees.as_chunks::<ABREAST>();
        let mut sum = 0.0;
        for trees in abreast {
            predict(trees.each_ref(), at).into_iter().for_each(|value| sum += f64::from(value));
        }
        rest.iter().for_each(|tree| sum += f64::from(tree.predict(at)));
        sum / self.trees.len().max(1) as f64
    }
}

fn cumulate(chances: &[f64]) -> Vec<f64> {
    chances
        .iter()
        .scan(0.0, |sum, chance| {
            *sum += chance;
            Some(*sum)
        })
        .collect()
}

/// The predictions of several trees. They are walked together, to hide memory latency.
fn predict<const N: usize>(trees: [&Tree; N], value_of: impl Fn(usize) -> f32) -> [f32; N] {
    let mut at = [0; N];
    let mut values = trees.map(|tree| tree.nodes[0].sum / (tree.nodes[0].weight + SHRINKAGE));
    for _ in 0..MAX_DEPTH {
        for ((tree, at), value) in trees.iter().zip(&mut at).zip(&mut values) {
            let node = &tree.nodes[*at];
            let child = node.left as usize + usize::from(!node.goes_left(value_of(usize::from(node.column))));
            // A leaf leads to itself.
            *at = select_unpredictable(node.left > 0, child, *at);
            *value += (tree.nodes[*at].mean() - node.mean()) / (1.0 + SHRINKAGE / node.weight);
        }
    }
    values
}

impl Tree {
    fn predict(&self, value_of: impl Fn(usize) -> f32) -> f32 {
        let [value] = predict([self], value_of);
        value
    }
}

/// One number per row in lines of [`LANES`]; the last line is padded with 0.
struct Lined(Vec<[f32; LANES]>);

impl Lined {
    fn of(members: &[u32], value: impl Fn(usize) -> f32) -> Self {
        let line = |members: &[u32]| {
            let mut line = [0.0; LANES];
            line.iter_mut().zip(members).for_each(|(place, row)| *place = value(*row as usize));
            line
        };
        Self(members.chunks(LANES).map(line).collect())
    }
}

struct Grower<'a> {
    table: &'a Table,
    cumulated: &'a [f64],
    tries: usize,
    rng: ChaCha8Rng,
}

impl Grower<'_> {
    fn grow(mut self, mut members: Vec<u32>) -> Tree {
        let mut nodes = vec![self.leaf(&members)];
        // A node, the range of its members, its depth.
        let mut open = vec![(0, 0..members.len(), 0)];
        while let Some((at, range, depth)) = open.pop() {
            if depth == MAX_DEPTH {
                continue;
            }
            let Some(split) = self.best_split(&nodes[at], &members[range.clone()]) else { continue };
            let column = &self.table.columns[usize::from(split.column)];
            let middle =
                range.start + partition(&mut members[range.clone()], |row| split.goes_left(column[row as usize]));
            let left = nodes.len();
            nodes[at] = OutcomeNode { left: left as u32, ..split };
            nodes.push(self.leaf(&members[range.start..middle]));
            nodes.push(self.leaf(&members[middle..range.end]));
            open.push((left + 1, middle..range.end, depth + 1));
            open.push((left, range.start..middle, depth + 1));
        }
        Tree { nodes }
    }

    fn leaf(&self, members: &[u32]) -> OutcomeNode {
        let (mut weight, mut sum) = (0.0, 0.0);
        for &row in members {
            weight += self.table.weights[row as usize];
            sum += self.table.weights[row as usize] * self.table.targets[row as usize];
        }
        OutcomeNode { left: 0, column: 0, kind: Kind::Number, missing_left: false, threshold: 0.0, weight, sum }
    }

    /// The best of several random splits, by explained variance; `None` when none leaves enough rows on both sides.
    fn best_split(&mut self, node: &OutcomeNode, members: &[u32]) -> Option<OutcomeNode> {
        if node.weight < 2.0 * MIN_LEAF {
            return None;
        }
        let drawn: Vec<OutcomeNode> = (0..self.tries).filter_map(|_| self.draw(node, members)).collect();
        let mut by_column: Vec<usize> = (0..drawn.len()).collect();
        by_column.sort_unstable_by_key(|&at| drawn[at].column);
        let counts = Lined::of(members, |row| self.table.weights[row]);
        let targets = Lined::of(members, |row| self.table.weights[row] * self.table.targets[row]);
        let mut left = vec![[0.0; 2]; drawn.len()];
        for alike in by_column.chunk_by(|a, b| drawn[*a].column == drawn[*b].column) {
            let column = &self.table.columns[usize::from(drawn[alike[0]].column)];
            // Gathered once for all splits of the column.
            let values = Lined::of(members, |row| column[row]);
            alike.iter().for_each(|&at| left[at] = drawn[at].left(&values, &counts, &targets));
        }
        let mut best = None;
        let mut most = f32::EPSILON;
        for (split, [weight, sum]) in drawn.iter().zip(left) {
            let (other_weight, other_sum) = (node.weight - weight, node.sum - sum);
            if weight < MIN_LEAF || other_weight < MIN_LEAF {
                continue;
            }
            let gain = sum * sum / weight + other_sum * other_sum / other_weight - node.sum * node.sum / node.weight;
            if gain > most {
                most = gain;
                best = Some(*split);
            }
        }
        best
    }

    /// Draws a column by its chance, and a threshold between the values of two members.
    fn draw(&mut self, node: &OutcomeNode, members: &[u32]) -> Option<OutcomeNode> {
        let total = *self.cumulated.last()?;
        let at = self.rng.random_range(0.0..total);
        let column = self.cumulated.partition_point(|sum| *sum <= at);
        let values = &self.table.columns[column];
        let mut pick = || values[members[self.rng.random_range(0..members.len())] as usize];
        let (a, b) = (pick(), pick());
        let missing_left = self.rng.next_u32() & 1 == 0;
        let kind = self.table.kinds[column];
        let threshold = match kind {
            Kind::Number if a == b => return None,
            Kind::Number => a + (b - a) * self.rng.random_range(0.0..1.0f32),
            Kind::Category => a,
        };
        // The threshold is NaN where a value is missing on either side.
        (!threshold.is_nan()).then_some(OutcomeNode { column: column as u16, kind, missing_left, threshold, ..*node })
    }
}

/// Moves the rows that go left to the front, in a deterministic order, and returns their number.
fn partition(rows: &mut [u32], left: impl Fn(u32) -> bool) -> usize {
    let mut middle = 0;
    for i in 0..rows.len() {
        if left(rows[i]) {
            rows.swap(i, middle);
            middle += 1;
        }
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f32], targets: &[f32]) -> Table {
        Table {
            columns: vec![values.to_vec()],
            kinds: vec![Kind::Number],
            chances: vec![1.0],
            targets: targets.to_vec(),
            weights: vec![1.0; targets.len()],
            blocks: (0..targets.len() as u32).collect(),
        }
    }

    #[test]
    fn a_leaf_counts_as_far_as_its_evidence_goes() {
        let node = |left, weight, sum| OutcomeNode {
            left,
            column: 0,
            kind: Kind::Number,
            missing_left: true,
            threshold: 0.5,
            weight,
            sum,
        };
        let tree = Tree { nodes: vec![node(1, 20.0, 4.0), node(0, 5.0, -1.0), node(0, 15.0, 5.0)] };
        // Root: 4 / (20 + 10). Left: mean −0.2 against 0.2, at 1 / (1 + 10 / 20). Right: 1/3 against 0.2.
        let left = 4.0 / 30.0 + (-0.2 - 0.2) / 1.5;
        let right = 4.0 / 30.0 + (1.0 / 3.0 - 0.2) / 1.5;
        assert!((tree.predict(|_| 0.5) - left).abs() < 1e-6);
        assert!((tree.predict(|_| f32::NAN) - left).abs() < 1e-6, "a missing value goes where the split says");
        assert!((tree.predict(|_| 0.6) - right).abs() < 1e-6);
    }

    #[test]
    fn finds_a_threshold_and_tests_itself_on_rows_it_did_not_see() {
        let values: Vec<f32> = (0..200).map(|i| (i * 37 % 200) as f32).collect();
        let targets: Vec<f32> = values.iter().map(|value| if *value < 60.0 { -0.4 } else { 0.4 }).collect();
        let (forest, outside) = OutcomeForest::grow(&table(&values, &targets), Growth { trees: 50, tries: 8, seed: 1 });
        assert!(forest.predict(&[10.0]) < -0.25 && forest.predict(&[150.0]) > 0.25);
        let right = outside.iter().zip(&targets).filter(|(p, t)| (**p > 0.0) == (**t > 0.0)).count();
        assert!(right > 190, "{right} of 200");
        // Targets without a rule: the out-of-bag predictions must not reproduce them.
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let noise: Vec<f32> = (0..200).map(|_| if rng.random_bool(0.5) { -0.5 } else { 0.5 }).collect();
        let (_, outside) = OutcomeForest::grow(&table(&values, &noise), Growth { trees: 50, tries: 8, seed: 1 });
        let agreement: f64 = outside.iter().zip(&noise).map(|(p, t)| p * f64::from(*t)).sum::<f64>() / 200.0;
        assert!(agreement < 0.02, "{agreement}");
    }

    #[test]
    fn one_row_or_none_is_no_forest_but_no_panic() {
        let growth = Growth { trees: 3, tries: 4, seed: 0 };
        assert_eq!(OutcomeForest::default().predict(&[1.0]), 0.0);
        let (forest, outside) = OutcomeForest::grow(&table(&[1.0], &[0.5]), growth);
        assert!(forest.predict(&[1.0]).abs() <= 0.5 && outside.len() == 1);
        assert!(OutcomeForest::grow(&table(&[], &[]), growth).1.is_empty());
    }
}
