//! Systems of equations and determinants.

use faer::linalg::solvers::PartialPivLu;
use faer::linalg::triangular_solve as by;
use faer::prelude::Solve;
use faer::{MatMut, Par};

use super::{MatrixFault, Real, View, write};
use crate::Element;

/// The factors of a square matrix.
///
/// # Errors
/// If a pivot is exactly 0.
fn regular<T: Real>(a: View<T>) -> Result<PartialPivLu<T>, MatrixFault> {
    let lu = PartialPivLu::new(a);
    match (0..a.nrows()).find(|&i| Element::to_f64(lu.U()[(i, i)]) == 0.0) {
        Some(i) => Err(MatrixFault::Singular(i)),
        None => Ok(lu),
    }
}

/// The `x` of `a x = b`.
pub(super) fn solve<T: Real>(a: View<T>, b: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    write(regular(a)?.solve(b).as_ref(), out);
    Ok(())
}

/// The `x` of `t x = b` for a triangle `t` of `a`, or its transpose.
pub(super) fn triangular<T: Real>(
    a: View<T>,
    b: View<T>,
    upper: bool,
    transposed: bool,
    unit: bool,
    out: &mut [T],
) -> Result<(), MatrixFault> {
    if let Some(i) = (0..a.nrows()).find(|&i| !unit && Element::to_f64(a[(i, i)]) == 0.0) {
        return Err(MatrixFault::Singular(i));
    }
    let mut x = super::owned(b);
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
fn pivots<T: Real>(a: View<T>) -> (Vec<f64>, bool) {
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
    ((0..a.nrows()).map(|i| Element::to_f64(lu.U()[(i, i)])).collect(), odd)
}

/// The determinant, multiplied in f64.
pub(super) fn det<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (pivots, odd) = pivots(a);
    out[0] = <T as Element>::from_f64(pivots.iter().fold(if odd { -1.0 } else { 1.0 }, |d, p| d * p));
    Ok(())
}

/// The sign of the determinant, and the logarithm of its size; 0 and -inf of a singular matrix.
pub(super) fn slogdet<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (pivots, odd) = pivots(a);
    let sign = |p: f64| if p == 0.0 || p.is_nan() { p } else { p.signum() };
    let signs = pivots.iter().fold(if odd { -1.0 } else { 1.0 }, |d, &p| d * sign(p));
    out[0] = <T as Element>::from_f64(signs);
    out[1] = <T as Element>::from_f64(pivots.iter().map(|p| p.abs().ln()).sum());
    Ok(())
}
