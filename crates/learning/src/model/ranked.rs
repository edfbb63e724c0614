//! A rank-encoded forest: trees stored for fast prediction.
//!
//! Walking a tree means waiting for one memory load after the other, and a branch on each comparison is mispredicted
//! half of the time. So each threshold is replaced by its rank among the thresholds of its feature, and each value of a
//! row by its rank among them. A node is then eight bytes, a row's ranks are a few cache lines, and comparing ranks
//! gives the same result as comparing values. Several trees are walked at once without data-dependent branches: a leaf
//! leads to itself.

use super::forest::Node;
use std::hint::select_unpredictable;

/// Trees that are walked at once, to hide memory latency.
const ABREAST: usize = 8;

/// Rows whose ranks stay in the cache while all trees are walked.
const BLOCK: usize = 256;

/// One node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RankedNode {
    /// A row whose rank is at least this goes to `right`, any other to the next node. 0 for a leaf, which always leads
    /// to itself.
    bound: u16,
    feature: u16,
    right: u32,
}

/// Where a tree begins.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Root {
    at: u32,
    /// Steps to the deepest leaf.
    depth: u32,
}

/// The trees of a forest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RankedForest {
    /// For each feature its distinct thresholds, ascending.
    thresholds: Vec<Vec<f64>>,
    nodes: Vec<RankedNode>,
    /// The predictions of the leaves.
    values: Vec<f64>,
    roots: Vec<Root>,
}

impl RankedForest {
    /// Encodes trees for rows of `features` values; `None` when a node is invalid.
    pub fn of(trees: &[Vec<Node>], features: usize) -> Option<Self> {
        if features == 0 {
            return None;
        }
        let mut thresholds = vec![Vec::new(); features];
        for node in trees.iter().flatten().filter(|node| !node.is_leaf()) {
            thresholds.get_mut(usize::from(node.feature))?.push(node.value);
        }
        for of_feature in &mut thresholds {
            of_feature.sort_unstable_by(f64::total_cmp);
            of_feature.dedup();
            // Capacity for one threshold per node was reserved, and only some hundred remain.
            of_feature.shrink_to_fit();
        }
        let nodes = trees.iter().map(Vec::len).sum();
        let mut ranked = Self {
            thresholds,
            nodes: Vec::with_capacity(nodes),
            values: Vec::with_capacity(nodes),
            roots: Vec::with_capacity(trees.len()),
        };
        trees.iter().try_for_each(|tree| ranked.add(tree))?;
        Some(ranked)
    }

    fn add(&mut self, tree: &[Node]) -> Option<()> {
        let root = u32::try_from(self.nodes.len()).ok()?;
        let mut depths = vec![0; tree.len()];
        for (at, node) in tree.iter().enumerate() {
            if !node.value.is_finite() {
                return None;
            }
            let here = root.checked_add(u32::try_from(at).ok()?)?;
            let step = if node.is_leaf() {
                RankedNode { bound: 0, feature: 0, right: here }
            } else {
                let right = node.right as usize;
                if right <= at + 1 || right >= tree.len() {
                    return None;
                }
                // Both branches come after their parent, so their depth is set before they are visited.
                for below in [at + 1, right] {
                    depths[below] = depths[below].max(depths[at] + 1);
                }
                let rank = self.thresholds[usize::from(node.feature)].partition_point(|t| *t < node.value);
                RankedNode {
                    bound: u16::try_from(rank + 1).ok()?,
                    feature: node.feature,
                    right: root.checked_add(node.right)?,
                }
            };
            self.nodes.push(step);
            self.values.push(node.value);
        }
        self.roots.push(Root { at: root, depth: depths.into_iter().max()? });
        Some(())
    }

    /// Decodes the trees.
    pub fn trees(&self) -> Vec<Vec<Node>> {
        let ends = self.roots.iter().skip(1).map(|root| root.at).chain([self.nodes.len() as u32]);
        let node = |root: u32, at: u32| {
            let RankedNode { bound, feature, right } = self.nodes[at as usize];
            if right == at {
                return Node::leaf(self.values[at as usize]);
            }
            let threshold = self.thresholds[usize::from(feature)][usize::from(bound) - 1];
            Node { right: right - root, ..Node::split(usize::from(feature), threshold) }
        };
        self.roots.iter().zip(ends).map(|(root, end)| (root.at..end).map(|at| node(root.at, at)).collect()).collect()
    }

    /// Number of trees.
    pub fn count(&self) -> usize {
        self.roots.len()
    }

    /// The sum of the trees' predictions for a row with one value per feature.
    pub fn sum(&self, row: &[f64]) -> f64 {
        let mut ranks = Vec::with_capacity(row.len());
        self.rank(row, &mut ranks);
        let mut sum = 0.0;
        let (abreast, rest) = self.roots.as_chunks::<ABREAST>();
        for roots in abreast {
            let depth = roots.iter().map(|root| root.depth).max().unwrap_or(0);
            let leaves = self.walk(roots.map(|root| root.at), depth, [&ranks; ABREAST]);
            leaves.iter().for_each(|&leaf| sum += self.values[leaf as usize]);
        }
        for root in rest {
            let [leaf] = self.walk([root.at], root.depth, [&ranks]);
            sum += self.values[leaf as usize];
        }
        sum
    }

    /// [`Self::sum`] for many rows, bit-identical.
    pub fn sums(&self, rows: &[&[f64]]) -> Vec<f64> {
        let mut sums = vec![0.0; rows.len()];
        let mut ranks = Vec::new();
        for (rows, sums) in rows.chunks(BLOCK).zip(sums.chunks_mut(BLOCK)) {
            ranks.clear();
            rows.iter().for_each(|row| self.rank(row, &mut ranks));
            let ranks: Vec<&[u16]> = ranks.chunks_exact(self.thresholds.len()).collect();
            for root in &self.roots {
                let (abreast, rest) = ranks.as_chunks::<ABREAST>();
                let (of_abreast, of_rest) = sums.split_at_mut(abreast.len() * ABREAST);
                for (ranks, sums) in abreast.iter().zip(of_abreast.chunks_exact_mut(ABREAST)) {
                    let leaves = self.walk([root.at; ABREAST], root.depth, *ranks);
                    sums.iter_mut().zip(leaves).for_each(|(sum, leaf)| *sum += self.values[leaf as usize]);
                }
                for (ranks, sum) in rest.iter().zip(of_rest) {
                    let [leaf] = self.walk([root.at], root.depth, [ranks]);
                    *sum += self.values[leaf as usize];
                }
            }
        }
        sums
    }

    /// Computes the ranks of a row. A value's rank is the number of thresholds below it: the value is at most the
    /// threshold of rank r exactly when its rank is at most r.
    fn rank(&self, row: &[f64], ranks: &mut Vec<u16>) {
        // Bounds fit, see `add`, and a rank is at most the highest of them.
        let rank = |(x, thresholds): (&f64, &Vec<f64>)| thresholds.partition_point(|threshold| threshold < x) as u16;
        ranks.extend(row.iter().zip(&self.thresholds).map(rank));
    }

    fn walk<const N: usize>(&self, mut at: [u32; N], depth: u32, ranks: [&[u16]; N]) -> [u32; N] {
        for _ in 0..depth {
            for (at, ranks) in at.iter_mut().zip(ranks) {
                let RankedNode { bound, feature, right } = self.nodes[*at as usize];
                *at = select_unpredictable(ranks[usize::from(feature)] >= bound, right, *at + 1);
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The prediction of the plain nodes, followed one by one.
    fn leaf_of(tree: &[Node], row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            let node = &tree[at];
            if node.is_leaf() {
                return node.value;
            }
            at = if row[usize::from(node.feature)] <= node.value { at + 1 } else { node.right as usize };
        }
    }

    /// A random tree of three features from a list of choices; it ends when the choices do.
    fn tree(choices: &mut impl Iterator<Item = (usize, i8)>, depth: u32) -> Vec<Node> {
        match choices.next() {
            Some((feature, threshold)) if feature < 3 && depth < 12 => {
                let mut nodes = vec![Node::split(feature, f64::from(threshold) / 4.0)];
                nodes.extend(tree(choices, depth + 1));
                nodes[0].right = nodes.len() as u32;
                let right = tree(choices, depth + 1);
                let base = nodes.len() as u32;
                nodes.extend(
                    right
                        .into_iter()
                        .map(|node| if node.is_leaf() { node } else { Node { right: node.right + base, ..node } }),
                );
                // The nodes of the left branch move by one position.
                let left = 1..base as usize;
                nodes[left].iter_mut().filter(|node| !node.is_leaf()).for_each(|node| node.right += 1);
                nodes
            }
            other => vec![Node::leaf(other.map_or(0.5, |(_, value)| f64::from(value) / 128.0))],
        }
    }

    proptest! {
        #[test]
        fn ranked_trees_predict_what_their_nodes_do(
            choices in prop::collection::vec((0_usize..5, -8_i8..8), 1..400),
            trees in 1_usize..20,
            rows in prop::collection::vec(prop::array::uniform3(prop_oneof![(-10_i8..10).prop_map(|x| f64::from(x) / 4.0), -3.0..3.0]), 1..30),
        ) {
            let mut choices = choices.into_iter();
            let trees: Vec<Vec<Node>> = (0..trees).map(|_| tree(&mut choices, 0)).collect();
            let ranked = RankedForest::of(&trees, 3).unwrap();
            prop_assert_eq!(ranked.trees(), trees.clone());
            let expected: Vec<f64> = rows.iter().map(|row| trees.iter().fold(0.0, |sum, tree| sum + leaf_of(tree, row))).collect();
            let one_by_one: Vec<f64> = rows.iter().map(|row| ranked.sum(row)).collect();
            prop_assert_eq!(&one_by_one, &expected);
            prop_assert_eq!(ranked.sums(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn invalid_trees_are_refused() {
        let split = |feature, right| Node { right, ..Node::split(feature, 0.0) };
        let leaf = Node::leaf(0.5);
        assert!(RankedForest::of(&[vec![split(0, 2), leaf, leaf]], 1).is_some());
        for (what, tree) in [
            ("no node", vec![]),
            ("a missing feature", vec![split(1, 2), leaf, leaf]),
            ("a branch beyond the end", vec![split(0, 3), leaf, leaf]),
            ("a branch backwards", vec![split(0, 1), leaf, leaf]),
            ("a branch to itself", vec![split(0, 0), leaf, leaf]),
            ("a split without leaves", vec![split(0, 2)]),
            ("no number", vec![Node::leaf(f64::NAN)]),
            ("no threshold", vec![Node { right: 2, ..Node::split(0, f64::INFINITY) }, leaf, leaf]),
        ] {
            assert!(RankedForest::of(&[tree], 1).is_none(), "{what}");
        }
    }
}
