//! Matrices brought to a size at which the squares of their elements neither overflow nor vanish.
//!
//! Iterations for singular values and eigenvalues form squares; those of tiny elements are 0, and the values found are wrong
//! without a sign of it. LAPACK's drivers scale for the same reason.

use faer::{Mat, MatRef};
use num_complex::Complex;

use crate::{MatrixFault, Number};

/// A matrix over a power of 2, or as it is if its elements are of a usual size, which costs no copy.
pub(crate) struct Level<'a, T> {
    given: MatRef<'a, T>,
    moved: Option<Mat<T>>,
    exponent: i32,
}

impl<'a, T: Number> Level<'a, T> {
    /// # Errors
    /// If an element is NaN or infinite.
    pub(crate) fn of(given: MatRef<'a, T>) -> Result<Self, MatrixFault> {
        let parts = |i: usize, j: usize| {
            let z = given[(i, j)].complex();
            // The larger of the parts; NaN where one is.
            if z.re.is_nan() || z.im.is_nan() { f64::NAN } else { z.re.abs().max(z.im.abs()) }
        };
        let mut most = 0.0f64;
        for size in (0..given.nrows()).flat_map(|i| (0..given.ncols()).map(move |j| parts(i, j))) {
            if !size.is_finite() {
                return Err(MatrixFault::NotFinite);
            }
            most = most.max(size);
        }
        let exponent = if most == 0.0 { 0 } else { most.log2().floor() as i32 };
        if exponent.abs() <= T::USUAL {
            return Ok(Level { given, moved: None, exponent: 0 });
        }
        let moved = Mat::from_fn(given.nrows(), given.ncols(), |i, j| T::of(times(given[(i, j)].complex(), -exponent)));
        Ok(Level { given, moved: Some(moved), exponent })
    }

    /// The matrix to work on.
    pub(crate) fn matrix(&self) -> MatRef<'_, T> {
        self.moved.as_ref().map_or(self.given, Mat::as_ref)
    }

    /// What a number that is proportional to the matrix is for the given one.
    pub(crate) fn back(&self, z: Complex<f64>) -> Complex<f64> {
        times(z, self.exponent)
    }

    /// The same of a number that is proportional to the inverse.
    pub(crate) fn inverse_back(&self, x: f64) -> f64 {
        times(Complex::new(x, 0.0), -self.exponent).re
    }
}

/// `z` times a power of 2, in two steps, as the power itself may be out of range.
fn times(z: Complex<f64>, exponent: i32) -> Complex<f64> {
    let first = exponent / 2;
    z.scale(f64::from(first).exp2()).scale(f64::from(exponent - first).exp2())
}

#[cfg(test)]
mod tests {
    use crate::{Matrix, MatrixFault, MatrixOp, factor_c128, factor_f32, factor_f64};
    use num_complex::Complex;

    const NONE: Matrix<f64> = Matrix { values: &[], rows: 0, columns: 0 };

    /// `[[3, 0], [4, 5]]`, whose singular values are `3 sqrt 5` and `sqrt 5`, at a size.
    fn values(size: f64) -> [f64; 4] {
        [3.0 * size, 0.0, 4.0 * size, 5.0 * size]
    }

    fn near(x: f64, wanted: f64, size: f64, tolerance: f64) {
        assert!((x / size - wanted).abs() < tolerance, "{x:e} at {size:e}, wanted {wanted}");
    }

    #[test]
    fn singular_values_of_any_size() {
        let root = 5f64.sqrt();
        for exponent in [-1040, -1000, -600, -401, -400, 0, 400, 401, 600, 1000, 1020] {
            let size = f64::from(exponent / 2).exp2() * f64::from(exponent - exponent / 2).exp2();
            // The least numbers have fewer digits.
            let tolerance = if exponent < -1020 { 1e-8 } else { 1e-14 };
            let a = Matrix { values: &values(size), rows: 2, columns: 2 };
            let (mut s, mut all) = ([0.0; 2], [0.0; 10]);
            factor_f64(MatrixOp::Svdvals, a, NONE, &mut s).unwrap();
            near(s[0], 3.0 * root, size, tolerance);
            near(s[1], root, size, tolerance);
            factor_f64(MatrixOp::Svd, a, NONE, &mut all).unwrap();
            near(all[4], s[0] / size, size, tolerance);
            near(all[5], s[1] / size, size, tolerance);
            let (u, vh) = (&all[..4], &all[6..]);
            let back =
                |i: usize, j: usize| (0..2).map(|k| u[2 * i + k] * (all[4 + k] / size) * vh[2 * k + j]).sum::<f64>();
            for (i, wanted) in [3.0, 0.0, 4.0, 5.0].into_iter().enumerate() {
                assert!((back(i / 2, i % 2) - wanted).abs() < 10.0 * tolerance, "{exponent}: element {i}");
            }
        }
        for exponent in [-140, -100, -40, -31, -30, 0, 30, 31, 100, 124] {
            let size = f64::from(exponent).exp2();
            let rows = values(size).map(|x| x as f32);
            let (none, mut s) = (Matrix { values: &[], rows: 0, columns: 0 }, [0.0; 2]);
            factor_f32(MatrixOp::Svdvals, Matrix { values: &rows, rows: 2, columns: 2 }, none, &mut s).unwrap();
            let tolerance = if exponent < -120 { 1e-2 } else { 1e-5 };
            near(f64::from(s[0]), 3.0 * root, size, tolerance);
            near(f64::from(s[1]), root, size, tolerance);
        }
    }

    #[test]
    fn eigenvalues_of_any_size() {
        for exponent in [-1000, -500, 500, 1000] {
            let size = f64::from(exponent).exp2();
            // Eigenvalues 1 and 3.
            let a = [2.0 * size, size, size, 2.0 * size];
            let a = Matrix { values: &a, rows: 2, columns: 2 };
            let (mut w, mut both) = ([0.0; 2], [0.0; 6]);
            factor_f64(MatrixOp::Eigvalsh, a, NONE, &mut w).unwrap();
            factor_f64(MatrixOp::Eigh, a, NONE, &mut both).unwrap();
            let z = a.values.iter().map(|&x| Complex::new(x, 0.0)).collect::<Vec<_>>();
            let (none, mut c) = (Matrix { values: &[], rows: 0, columns: 0 }, [Complex::default(); 2]);
            factor_c128(MatrixOp::Eigvals, Matrix { values: &z, rows: 2, columns: 2 }, none, &mut c).unwrap();
            for values in [w, [both[0], both[1]], [c[0].re, c[1].re]] {
                near(values[0], 1.0, size, 1e-14);
                near(values[1], 3.0, size, 1e-14);
            }
        }
    }

    #[test]
    fn inverses_of_any_size() {
        for exponent in [-1000, -500, 500, 1000] {
            let size = f64::from(exponent).exp2();
            let a = [2.0 * size, 0.0, 0.0, 4.0 * size];
            let (cut, mut x) = (Matrix { values: &[1e-10], rows: 1, columns: 1 }, [0.0; 4]);
            factor_f64(MatrixOp::Pinv, Matrix { values: &a, rows: 2, columns: 2 }, cut, &mut x).unwrap();
            assert_eq!(x.map(|x| x * size), [0.5, 0.0, 0.0, 0.25], "{exponent}");
        }
    }

    #[test]
    fn what_is_not_finite_is_told() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let a = Matrix { values: &[1.0, odd, 0.0, 1.0], rows: 2, columns: 2 };
            assert_eq!(factor_f64(MatrixOp::Svdvals, a, NONE, &mut [0.0; 2]), Err(MatrixFault::NotFinite));
            let z = [Complex::new(1.0, odd)];
            let none = Matrix { values: &[], rows: 0, columns: 0 };
            let told = factor_c128(MatrixOp::Svdvals, Matrix { values: &z, rows: 1, columns: 1 }, none, &mut [z[0]]);
            assert_eq!(told, Err(MatrixFault::NotFinite));
        }
    }
}
