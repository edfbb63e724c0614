//! A Gaussian process over the quantities of a signal: a sum of effects of single quantities and of pairs, in log odds.
//! The relevance of each quantity is learned from the evidence; most turn out irrelevant.
//!
//! Sources: Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006 (chapter 3.4, Laplace's
//! approximation; 5.1, relevance by the marginal likelihood); Duvenaud, Nickisch and Rasmussen, *Additive Gaussian
//! Processes*, 2011.

use super::cholesky::Cholesky;
use crate::odds::logistic;
use ndarray::{Array2, ArrayView1, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The prior of a relevance, in squared log odds: a gamma distribution of this shape and scale, which is near 0 for
/// most quantities.
const RELEVANCE: (f64, f64) = (0.3, 0.12);
/// The prior weight of pairs relative to single quantities.
const EXPECTED_PAIRS: f64 = 0.7;
/// Quantities of less relevance than this are left out of predictions.
const NEGLIGIBLE: f64 = 0.003;
/// Number of gradient steps, and the size of a step.
const STEPS: usize = 20;
const RATE: f64 = 0.15;
/// Newton steps to the mode: at the first gradient step, at the others, which start near the mode, and at the end.
const NEWTON: [usize; 3] = [15, 1, 30];
/// Pairs of rows that are processed at a time, so that their data stay in the cache.
const CHUNK: usize = 4_096;
/// Kernels of a numeric quantity are tabulated at this many scores, and interpolated between them.
const GRID: usize = 33;
/// Scores beyond these are treated as equal; see [`super::scores`].
const REACH: f32 = 2.75;

/// A quantity of the rows, one value per row.
#[derive(Debug, Clone)]
pub enum Quantity {
    /// Normal scores; NaN is missing.
    Score(Vec<f32>),
    /// Numbers of categories; NaN is missing.
    Category(Vec<f32>),
}

impl Quantity {
    /// The similarity of two rows, for each of the [`pairs`].
    fn similarities(&self) -> Vec<f32> {
        match self {
            Self::Score(scores) => pairs(scores, |one, other| near(one - other)),
            Self::Category(numbers) => pairs(numbers, |one, other| f32::from(u8::from(one == other))),
        }
    }
}

/// The rows to learn from.
pub struct ProcessSample<'a> {
    /// Their quantities.
    pub quantities: &'a [Quantity],
    /// The design effect for each quantity: 1 or more.
    pub designs: &'a [f64],
    /// The expected log odds of each row.
    pub expected: &'a [f64],
    /// 1 for success, 0 for failure.
    pub happened: &'a [f64],
}

/// A fitted process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// The relevant quantities: their positions among the fitted ones, and their kernels.
    relevant: Vec<(usize, Kernel)>,
    pairs: f32,
    /// The contribution of each training row to a similar row.
    adds: Vec<f32>,
    /// The mean posterior variance of a prediction.
    variance: f64,
}

/// Relevance × similarity to each training row.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Kernel {
    /// At [`GRID`] scores, one grid row after the other.
    Score(Vec<f32>),
    /// The rows' categories, and the relevance.
    Category(Vec<f32>, f32),
}

/// The squared exponential kernel of length scale 1; 0 where either value is missing.
fn near(distance: f32) -> f32 {
    if distance.is_nan() { 0.0 } else { (-0.5 * distance * distance).exp() }
}

impl Process {
    /// Fits the rows; `None` where the computation is numerically unstable. The same sample gives the same process.
    pub fn fit(sample: &ProcessSample<'_>) -> Option<Self> {
        let rows = sample.happened.len();
        let quantities = sample.quantities.len();
        let similarities: Vec<Vec<f32>> = sample.quantities.par_iter().map(Quantity::similarities).collect();
        let mut ascent = Ascent::new(quantities);
        let mut departures = vec![0.0; rows];
        for step in 0..STEPS {
            let (relevances, pairs) = ascent.at();
            let sums = KernelSums::of(&similarities, &relevances, pairs, rows);
            let worth = worth(&relevances, sample.designs);
            let mode = mode(&sums.kernel, sample, worth, departures, NEWTON[usize::from(step > 0)])?;
            let gradient = sums.gradient(&similarities, &relevances, pairs, &mode);
            ascent.climb(&gradient, &relevances, sample.designs, worth);
            departures = mode.departures;
        }
        let (relevances, pairs) = ascent.at();
        let sums = KernelSums::of(&similarities, &relevances, pairs, rows);
        let mode = mode(&sums.kernel, sample, worth(&relevances, sample.designs), departures, NEWTON[2])?;
        let relevant = sample.quantities.iter().zip(&relevances).enumerate();
        let relevant = relevant.filter(|(_, (_, relevance))| **relevance >= NEGLIGIBLE);
        Some(Self {
            relevant: relevant
                .map(|(at, (quantity, relevance))| (at, Kernel::of(quantity, *relevance as f32)))
                .collect(),
            pairs: pairs as f32,
            adds: mode.adds.clone(),
            variance: mode.variance(),
        })
    }

    /// How far the log odds of a row depart from its expectation. `value` gives the normal score or category number of
    /// a quantity by its position.
    pub fn departure(&self, value: impl Fn(usize) -> f32) -> f64 {
        let mut sums = vec![0f32; self.adds.len()];
        let mut squares = vec![0f32; self.adds.len()];
        for (place, kernel) in &self.relevant {
            kernel.add_to(value(*place), &mut sums, &mut squares);
        }
        let half = 0.5 * self.pairs;
        let alike = sums.iter().zip(&squares).map(|(sum, square)| sum + half * (sum * sum - square));
        f64::from(alike.zip(&self.adds).map(|(alike, add)| alike * add).sum::<f32>())
    }

    /// The mean posterior variance of a departure.
    pub fn variance(&self) -> f64 {
        self.variance
    }
}

impl Kernel {
    fn of(quantity: &Quantity, relevance: f32) -> Self {
        match quantity {
            Quantity::Category(numbers) => Self::Category(numbers.clone(), relevance),
            Quantity::Score(scores) => {
                let at = |point: usize| REACH * (2.0 * point as f32 / (GRID - 1) as f32 - 1.0);
                let point = |point| scores.iter().map(move |score| relevance * near(at(point) - score));
                Self::Score((0..GRID).flat_map(point).collect())
            }
        }
    }

    fn add_to(&self, value: f32, sums: &mut [f32], squares: &mut [f32]) {
        if value.is_nan() {
            return;
        }
        let rows = sums.len();
        match self {
            Self::Category(numbers, relevance) => {
                for ((sum, square), number) in sums.iter_mut().zip(squares).zip(numbers) {
                    let alike = if *number == value { *relevance } else { 0.0 };
                    *sum += alike;
                    *square += alike * alike;
                }
            }
            Self::Score(grid) => {
                let way = (value.clamp(-REACH, REACH) / REACH + 1.0) / 2.0 * (GRID - 1) as f32;
                let point = (way as usize).min(GRID - 2);
                let part = way - point as f32;
                let (low, high) = grid[point * rows..(point + 2) * rows].split_at(rows);
                for ((sum, square), (low, high)) in sums.iter_mut().zip(squares).zip(low.iter().zip(high)) {
                    let alike = low + part * (high - low);
                    *sum += alike;
                    *square += alike * alike;
                }
            }
        }
    }
}

/// The weight of a row relative to an independent one: from the design effects of the quantities, each in proportion to
/// its relevance.
fn worth(relevances: &[f64], designs: &[f64]) -> f64 {
    let sum: f64 = relevances.iter().sum();
    sum / relevances.iter().zip(designs).map(|(relevance, design)| relevance * design).sum::<f64>()
}

/// Applies `of` to all pairs of rows, each once, including a row with itself: (0, 0), (1, 0), (1, 1), (2, 0), …
fn pairs(values: &[f32], of: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut all = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (row, value) in values.iter().enumerate() {
        all.extend(values[..=row].iter().map(|other| of(*value, *other)));
    }
    all
}

/// Sums over quantities, for each of the [`pairs`].
struct KernelSums {
    kernel: Array2<f32>,
    first: Vec<f32>,
    squares: Vec<f32>,
}

impl KernelSums {
    fn of(similarities: &[Vec<f32>], relevances: &[f64], pair_weight: f64, rows: usize) -> Self {
        let count = rows * (rows + 1) / 2;
        let (mut first, mut squares) = (vec![0f32; count], vec![0f32; count]);
        first.par_chunks_mut(CHUNK).zip(squares.par_chunks_mut(CHUNK)).enumerate().for_each(
            |(chunk, (first, squares))| {
                for (similarity, relevance) in similarities.iter().zip(relevances) {
                    let relevance = *relevance as f32;
                    for ((sum, square), alike) in first.iter_mut().zip(&mut *squares).zip(&similarity[chunk * CHUNK..])
                    {
                        let alike = relevance * alike;
                        *sum += alike;
                        *square += alike * alike;
                    }
                }
            },
        );
        let half = 0.5 * pair_weight as f32;
        let mut all = first.iter().zip(&squares).map(|(sum, square)| sum + half * (sum * sum - square));
        let mut kernel = Array2::zeros((rows, rows));
        for row in 0..rows {
            kernel.slice_mut(s![row, ..=row]).iter_mut().zip(&mut all).for_each(|(cell, value)| *cell = value);
        }
        for row in 1..rows {
            let (mut above, below) = kernel.view_mut().split_at(Axis(0), row);
            above.slice_mut(s![.., row]).assign(&below.slice(s![0, ..row]));
        }
        Self { kernel, first, squares }
    }

    /// The gradient of the log evidence by the logarithm of each relevance, and by that of the pair weight.
    fn gradient(
        &self,
        similarities: &[Vec<f32>],
        relevances: &[f64],
        pair_weight: f64,
        mode: &PosteriorMode,
    ) -> Vec<f64> {
        // Each pair stands for two cells of the matrix, a row with itself for one.
        let mut outer = pairs(&mode.adds, |adds, other| adds * other);
        let mut cells = outer.iter_mut();
        for (row, inverse) in mode.inverse.rows().into_iter().enumerate() {
            for (inverse, cell) in inverse.iter().take(row).zip(&mut cells) {
                *cell -= inverse;
            }
            if let Some(own) = cells.next() {
                *own = 0.5 * (*own - inverse[row]);
            }
        }
        let through_pairs: Vec<f32> =
            outer.iter().zip(&self.first).map(|(cell, first)| cell * (1.0 + pair_weight as f32 * first)).collect();
        let of = |(similarity, relevance): (&Vec<f32>, &f64)| {
            let mut sums = [0f64; 2];
            for ((alike, weighed), cell) in
                similarity.chunks(CHUNK).zip(through_pairs.chunks(CHUNK)).zip(outer.chunks(CHUNK))
            {
                sums[0] += f64::from(product(alike, weighed, |alike, weighed| alike * weighed));
                sums[1] += f64::from(product(alike, cell, |alike, cell| alike * alike * cell));
            }
            relevance * (sums[0] - pair_weight * relevance * sums[1])
        };
        let mut gradient: Vec<f64> = similarities.par_iter().zip(relevances).map(of).collect();
        let of_pairs = outer.iter().zip(self.first.iter().zip(&self.squares));
        let of_pairs = of_pairs.map(|(cell, (first, square))| f64::from(cell * (first * first - square)));
        gradient.push(0.5 * pair_weight * of_pairs.sum::<f64>());
        gradient
    }
}

/// A sum in eight parts, so that it can be vectorised.
fn product(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (mut parts, (a, a_rest), (b, b_rest)) = ([0f32; 8], a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((part, a), b) in parts.iter_mut().zip(a).zip(b) {
            *part += term(*a, *b);
        }
    }
    parts.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum::<f32>()
}

/// The posterior mode of the departures. Single precision is enough: the noise keeps the matrices far from singular.
struct PosteriorMode {
    departures: Vec<f32>,
    adds: Vec<f32>,
    /// The inverse of kernel plus noise.
    inverse: Array2<f32>,
    noises: Vec<f32>,
}

fn mode(
    kernel: &Array2<f32>,
    sample: &ProcessSample<'_>,
    worth: f64,
    from: Vec<f32>,
    steps: usize,
) -> Option<PosteriorMode> {
    let mut departures = from;
    let mut last = None;
    for _ in 0..steps {
        let mut sum = kernel.clone();
        let mut noises = Vec::with_capacity(departures.len());
        let mut wanted = Vec::with_capacity(departures.len());
        for (at, departure) in departures.iter().enumerate() {
            let departure = f64::from(*departure);
            let p = logistic(sample.expected[at] + departure);
            let information = (worth * p * (1.0 - p)).max(1e-4);
            wanted.push((departure + worth * (sample.happened[at] - p) / information) as f32);
            noises.push((1.0 / information) as f32);
            sum[[at, at]] += noises[at];
        }
        let factor = Cholesky::of(sum)?;
        let adds = factor.solve(&wanted);
        let next = kernel.dot(&ArrayView1::from(&adds)).to_vec();
        let moved = next.iter().zip(&departures).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        departures = next;
        last = Some((adds, factor, noises));
        if moved < 1e-3 {
            break;
        }
    }
    let (adds, factor, noises) = last?;
    departures.iter().all(|departure| departure.is_finite()).then_some(())?;
    Some(PosteriorMode { departures, adds, inverse: factor.inverse(), noises })
}

impl PosteriorMode {
    /// The mean posterior variance of the departures at the rows.
    fn variance(&self) -> f64 {
        let of = |(noise, inverse): (&f32, &f32)| {
            let (noise, inverse) = (f64::from(*noise), f64::from(*inverse));
            (noise - noise * noise * inverse).max(0.0)
        };
        self.noises.iter().zip(self.inverse.diag()).map(of).sum::<f64>() / self.noises.len() as f64
    }
}

/// Maximises the evidence over relevances and the pair weight: gradient steps scaled by their recent size (Kingma and
/// Ba, *Adam*, 2015).
struct Ascent {
    logarithms: Vec<f64>,
    momentum: Vec<f64>,
    scale: Vec<f64>,
}

impl Ascent {
    fn new(quantities: usize) -> Self {
        let mut logarithms = vec![-(quantities as f64).ln(); quantities];
        logarithms.push(0.0);
        Self { momentum: vec![0.0; quantities + 1], scale: vec![0.0; quantities + 1], logarithms }
    }

    /// The relevances and the pair weight.
    fn at(&self) -> (Vec<f64>, f64) {
        let mut values: Vec<f64> = self.logarithms.iter().map(|logarithm| logarithm.exp()).collect();
        let pairs = values.pop().unwrap_or_default();
        (values, pairs)
    }

    fn climb(&mut self, gradient: &[f64], relevances: &[f64], designs: &[f64], worth: f64) {
        let last = self.logarithms.len() - 1;
        for at in 0..=last {
            // The gradient of the prior; the evidence is divided by the design effect of the quantity.
            let slope = if at == last {
                gradient[at] - (self.logarithms[at] - EXPECTED_PAIRS.ln())
            } else {
                gradient[at] / (designs[at] * worth).max(1.0) + RELEVANCE.0 - relevances[at] / RELEVANCE.1
            };
            self.momentum[at] = 0.8 * self.momentum[at] + 0.2 * slope;
            self.scale[at] = 0.9 * self.scale[at] + 0.1 * slope * slope;
            let step = RATE * self.momentum[at] / (self.scale[at].sqrt() + 1e-6);
            let least = if at == last { -6.0 } else { -8.0 };
            self.logarithms[at] = (self.logarithms[at] + step).clamp(least, 2.0);
        }
    }
}
