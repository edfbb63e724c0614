//! Symmetric positive definite matrices: the Cholesky factor, what it solves, and the inverse. In blocks, so that nearly all of
//! the work is multiplication of matrices.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};

/// Columns that are worked on at a time.
const BLOCK: usize = 48;
/// Triangles up to this size are inverted directly.
const SMALL: usize = 24;

/// The lower triangle L of A = L Lᵀ; what is above it is 0.
pub struct Cholesky(Array2<f64>);

impl Cholesky {
    /// Factors a symmetric matrix; `None` where it is not positive definite.
    pub fn of(mut a: Array2<f64>) -> Option<Self> {
        let n = a.nrows();
        for from in (0..n).step_by(BLOCK) {
            let until = (from + BLOCK).min(n);
            for column in from..until {
                let pivot = a[[column, column]] - dot(&a, column, column, from);
                // Not of a NaN either.
                if pivot.is_nan() || pivot <= 0.0 {
                    return None;
                }
                let root = pivot.sqrt();
                a[[column, column]] = root;
                for row in column + 1..n {
                    a[[row, column]] = (a[[row, column]] - dot(&a, row, column, from)) / root;
                }
            }
            for strip in (until..n).step_by(BLOCK) {
                let end = (strip + BLOCK).min(n);
                let (left, right) = a.view_mut().split_at(ndarray::Axis(1), until);
                let factor = left.slice(s![.., from..until]);
                let mut target: ArrayViewMut2<f64> = right.slice_move(s![strip..n, strip - until..end - until]);
                general_mat_mul(
                    -1.0,
                    &factor.slice(s![strip..n, ..]),
                    &factor.slice(s![strip..end, ..]).t(),
                    1.0,
                    &mut target,
                );
            }
        }
        for row in 0..n {
            a.slice_mut(s![row, row + 1..]).fill(0.0);
        }
        Some(Self(a))
    }

    /// x of A x = b.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let l = &self.0;
        let n = b.len();
        let mut x = Array1::from(b.to_vec());
        for row in 0..n {
            let known = l.slice(s![row, ..row]).dot(&x.slice(s![..row]));
            x[row] = (x[row] - known) / l[[row, row]];
        }
        for row in (0..n).rev() {
            let value = x[row] / l[[row, row]];
            x[row] = value;
            x.slice_mut(s![..row]).scaled_add(-value, &l.slice(s![row, ..row]));
        }
        x.to_vec()
    }

    /// A⁻¹.
    pub fn inverse(&self) -> Array2<f64> {
        let n = self.0.nrows();
        let mut inverted = Array2::zeros((n, n));
        invert(self.0.view(), inverted.view_mut());
        inverted.t().dot(&inverted)
    }
}

fn dot(a: &Array2<f64>, row: usize, other: usize, from: usize) -> f64 {
    let (row, other) = (a.slice(s![row, from..other]), a.slice(s![other, from..other]));
    row.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// The inverse of a lower triangle.
fn invert(l: ArrayView2<f64>, mut into: ArrayViewMut2<f64>) {
    let n = l.nrows();
    if n <= SMALL {
        for column in 0..n {
            into[[column, column]] = 1.0 / l[[column, column]];
            for row in column + 1..n {
                let sum: f64 = (column..row).map(|k| l[[row, k]] * into[[k, column]]).sum();
                into[[row, column]] = -sum / l[[row, row]];
            }
        }
        return;
    }
    let half = n / 2;
    invert(l.slice(s![..half, ..half]), into.slice_mut(s![..half, ..half]));
    invert(l.slice(s![half.., half..]), into.slice_mut(s![half.., half..]));
    let below = into.slice(s![half.., half..]).dot(&l.slice(s![half.., ..half])).dot(&into.slice(s![..half, ..half]));
    into.slice_mut(s![half.., ..half]).assign(&-below);
}
