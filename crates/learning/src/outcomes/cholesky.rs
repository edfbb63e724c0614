//! Symmetric positive definite matrices: Cholesky factor, solution of linear equations, and inverse. The algorithms
//! work in blocks, so that nearly all of the work is matrix multiplication.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, NdFloat, s};

/// Number of columns in a block.
const BLOCK: usize = 48;
/// Triangles up to this size are inverted directly.
const SMALL: usize = 24;

/// The lower triangle L of A = L Lᵀ; elements above the diagonal are 0.
pub struct Cholesky<N = f64>(Array2<N>);

impl<N: NdFloat> Cholesky<N> {
    /// Factors a symmetric matrix, reading its lower triangle; `None` where it is not positive definite.
    pub fn of(mut a: Array2<N>) -> Option<Self> {
        let n = a.nrows();
        for from in (0..n).step_by(BLOCK) {
            let until = (from + BLOCK).min(n);
            factor(a.slice_mut(s![from.., from..until]))?;
            for strip in (until..n).step_by(BLOCK) {
                let end = (strip + BLOCK).min(n);
                let (left, right) = a.view_mut().split_at(Axis(1), until);
                let factor = left.slice(s![.., from..until]);
                let mut target: ArrayViewMut2<N> = right.slice_move(s![strip..n, strip - until..end - until]);
                let (rows, columns) = (factor.slice(s![strip..n, ..]), factor.slice(s![strip..end, ..]));
                general_mat_mul(-N::one(), &rows, &columns.t(), N::one(), &mut target);
            }
        }
        for row in 0..n {
            a.slice_mut(s![row, row + 1..]).fill(N::zero());
        }
        Some(Self(a))
    }

    /// The solution x of A x = b.
    pub fn solve(&self, b: &[N]) -> Vec<N> {
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
    pub fn inverse(&self) -> Array2<N> {
        let n = self.0.nrows();
        let mut triangle = Array2::zeros((n, n));
        invert(self.0.view(), triangle.view_mut());
        let mut inverse = Array2::zeros((n, n));
        for from in (0..n).step_by(BLOCK) {
            // Above the diagonal the triangle is 0, so the rows before the strip contribute nothing.
            let until = (from + BLOCK).min(n);
            let (strip, before) = (triangle.slice(s![from.., from..until]), triangle.slice(s![from.., ..until]));
            let product = strip.t().dot(&before);
            inverse.slice_mut(s![..until, from..until]).assign(&product.t());
            inverse.slice_mut(s![from..until, ..until]).assign(&product);
        }
        inverse
    }
}

/// Factors the columns of a block, from which the contributions of earlier columns have been subtracted: the triangle
/// at the top, and the part below it.
fn factor<N: NdFloat>(mut columns: ArrayViewMut2<N>) -> Option<()> {
    let width = columns.ncols();
    // The factor of the top, transposed, so that what is subtracted from a row is contiguous.
    let mut top = [[N::zero(); BLOCK]; BLOCK];
    for (number, mut row) in columns.rows_mut().into_iter().enumerate() {
        let mut values = [N::zero(); BLOCK];
        values.iter_mut().zip(&row).for_each(|(value, cell)| *value = *cell);
        let known = number.min(width);
        for place in 0..known {
            let value = values[place] / top[place][place];
            values[place] = value;
            if number < width {
                top[place][number] = value;
            }
            let taken = &top[place][place + 1..width];
            values[place + 1..width].iter_mut().zip(taken).for_each(|(rest, factor)| *rest -= value * *factor);
        }
        if number < width {
            let pivot = values[number];
            // NaN is refused as well.
            if pivot.is_nan() || pivot <= N::zero() {
                return None;
            }
            values[number] = pivot.sqrt();
            top[number][number] = values[number];
        }
        row.iter_mut().zip(&values).for_each(|(cell, value)| *cell = *value);
    }
    Some(())
}

/// The inverse of a lower triangle.
fn invert<N: NdFloat>(l: ArrayView2<N>, mut into: ArrayViewMut2<N>) {
    let n = l.nrows();
    if n <= SMALL {
        for column in 0..n {
            into[[column, column]] = N::one() / l[[column, column]];
            for row in column + 1..n {
                let sum =
                    (column..row).map(|k| l[[row, k]] * into[[k, column]]).fold(N::zero(), |sum, term| sum + term);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of this size whose eigenvalues are above 1.
    fn matrix(n: usize) -> Array2<f64> {
        let root = Array2::from_shape_fn((n, n), |(row, column)| ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5);
        root.dot(&root.t()) + Array2::<f64>::eye(n)
    }

    #[test]
    fn solutions_and_inverses_are_correct() {
        for n in [1, SMALL, BLOCK, BLOCK + 1, 3 * BLOCK - 5] {
            let a = matrix(n);
            let factor = Cholesky::of(a.clone()).unwrap();
            let wanted: Vec<f64> = (0..n).map(|at| at as f64 - 3.0).collect();
            let solved = Array1::from(factor.solve(&wanted));
            let off = |(is, should): (&f64, &f64)| (is - should).abs();
            assert!(a.dot(&solved).iter().zip(&wanted).all(|pair| off(pair) < 1e-8), "{n}");
            let unit = a.dot(&factor.inverse());
            assert!(unit.iter().zip(&Array2::<f64>::eye(n)).all(|pair| off(pair) < 1e-8), "{n}");
            let single = Cholesky::of(a.mapv(|cell| cell as f32)).unwrap().inverse();
            assert!(
                single.iter().zip(&factor.inverse()).all(|(single, double)| off((&f64::from(*single), double)) < 1e-4)
            );
        }
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        for place in [0, BLOCK + 3] {
            for bad in [-1e6, f64::NAN] {
                let mut a = matrix(BLOCK + 9);
                a[[place, place]] = bad;
                assert!(Cholesky::of(a).is_none(), "{bad} at {place}");
            }
        }
    }
}
