//! How close two tensors are.

use covector::Tensor;

use crate::Verdict;

/// The largest difference allowed: `relative · max(|a|, |b|, scale)`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative part.
    pub relative: f64,
    /// Below this magnitude differences count absolutely.
    pub scale: f64,
}

impl Tolerance {
    /// The same bits (NaN equals NaN).
    pub const EXACT: Tolerance = Tolerance { relative: 0.0, scale: 0.0 };

    /// A relative tolerance, absolute below magnitude 1.
    pub const fn relative(relative: f64) -> Self {
        Tolerance { relative, scale: 1.0 }
    }

    fn accepts(self, a: f64, b: f64) -> bool {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= self.relative * a.abs().max(b.abs()).max(self.scale)
    }
}

/// Checks that `got` has the spec of `wanted` and its figures within the tolerance, complex numbers part by part.
///
/// # Errors
/// Names the first element that is off.
pub fn close(got: &Tensor, wanted: &Tensor, tolerance: Tolerance) -> Verdict {
    if got.spec() != wanted.spec() {
        return Err(format!("{} instead of {}", got.spec(), wanted.spec()));
    }
    let read = |t: &Tensor| t.try_value().map(|v| v.parts().to_f64_vec()).map_err(|e| e.to_string());
    let (a, b) = (read(got)?, read(wanted)?);
    match a.iter().zip(&b).position(|(&a, &b)| !tolerance.accepts(a, b)) {
        None => Ok(()),
        Some(i) => {
            let i_th = if got.dtype().is_complex() { i / 2 } else { i };
            Err(format!("element {i_th} is {:e} instead of {:e} (difference {:.1e})", a[i], b[i], (a[i] - b[i]).abs()))
        }
    }
}
