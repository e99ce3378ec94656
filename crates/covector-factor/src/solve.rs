//! Systems of equations and determinants.

use faer::linalg::solvers::PartialPivLu;
use faer::linalg::triangular_solve as by;
use faer::prelude::Solve;
use faer::{MatMut, Par};

use crate::{MatrixFault, Number, View, direction, write};

/// The factors of a square matrix.
///
/// # Errors
/// If a pivot is exactly 0.
fn regular<T: Number>(a: View<T>) -> Result<PartialPivLu<T>, MatrixFault> {
    let lu = PartialPivLu::new(a);
    match (0..a.nrows()).find(|&i| lu.U()[(i, i)].size() == 0.0) {
        Some(i) => Err(MatrixFault::Singular(i)),
        None => Ok(lu),
    }
}

/// The `x` of `a x = b`.
pub(crate) fn solve<T: Number>(a: View<T>, b: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    write(regular(a)?.solve(b).as_ref(), out);
    Ok(())
}

/// The `x` of `t x = b` for a triangle `t` of `a`, or its transpose.
pub(crate) fn triangular<T: Number>(
    a: View<T>,
    b: View<T>,
    upper: bool,
    transposed: bool,
    unit: bool,
    out: &mut [T],
) -> Result<(), MatrixFault> {
    if let Some(i) = (0..a.nrows()).find(|&i| !unit && a[(i, i)].size() == 0.0) {
        return Err(MatrixFault::Singular(i));
    }
    let mut x = crate::owned(b);
    let a = if transposed { a.transpose() } else { a };
    let x_mut: MatMut<T> = x.as_mut();
    match (upper != transposed, unit) {
        (false, false) => by::solve_lower_triangular_in_place(a, x_mut, Par::Seq),
        (false, true) => by::solve_unit_lower_triangular_in_place(a, x_mut, Par::Seq),
        (true, false) => by::solve_upper_triangular_in_place(a, x_mut, Par::Seq),
        (true, true) => by::solve_unit_upper_triangular_in_place(a, x_mut, Par::Seq),
    }
    write(x.as_ref(), out);
    Ok(())
}

/// The pivots, and whether an odd number of rows were exchanged.
fn pivots<T: Number>(a: View<T>) -> (Vec<T::Wide>, bool) {
    let lu = PartialPivLu::new(a);
    let (from, _) = lu.P().arrays();
    let mut seen = vec![false; from.len()];
    let mut odd = false;
    for start in 0..from.len() {
        let mut at = start;
        while !std::mem::replace(&mut seen[at], true) {
            at = from[at];
            odd ^= at != start;
        }
    }
    ((0..a.nrows()).map(|i| T::Wide::of(lu.U()[(i, i)].complex())).collect(), odd)
}

/// 1, or -1 of an odd number of exchanges.
fn parity<T: Number>(odd: bool) -> T {
    T::real(if odd { -1.0 } else { 1.0 })
}

/// The determinant, multiplied in f64 or c128.
pub(crate) fn det<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (pivots, odd) = pivots(a);
    out[0] = T::of(pivots.into_iter().fold(parity::<T::Wide>(odd), |d, p| d * p).complex());
    Ok(())
}

/// The sign of the determinant, and the logarithm of its size; 0 and -inf of a singular matrix.
pub(crate) fn slogdet<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (pivots, odd) = pivots(a);
    let sign = |p: T::Wide| if p.size() == 0.0 || p.size().is_nan() { p } else { T::Wide::of(direction(p.complex())) };
    let signs = pivots.iter().fold(parity::<T::Wide>(odd), |d, &p| d * sign(p));
    out[0] = T::of(signs.complex());
    out[1] = T::real(pivots.iter().map(|p| p.size().ln()).sum());
    Ok(())
}
