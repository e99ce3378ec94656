//! Derivatives against central differences, and the two modes against each other.

use covector::ops::complex::complex;
use covector::registry::sample::between;
use covector::{Tensor, c128, eval, jvp, vjp};

use crate::compare::{Tolerance, close};
use crate::{Verdict, call::Call};

/// Tensors like these, filled with numbers of order one that depend on `salt`.
pub(crate) fn directions(like: &[Tensor], salt: f64) -> Vec<Tensor> {
    let along = |(i, t): (usize, &Tensor)| {
        let real = between(-1.0 - salt, 1.3 + i as f64 * 0.07, t.shape());
        match t.dtype().is_complex() {
            true => complex(&real, &between(-1.2 - salt, 1.1 + i as f64 * 0.05, t.shape())),
            false => real,
        }
        .cast(t.dtype())
    };
    like.iter().enumerate().map(along).collect()
}

/// A function of a list of tensors.
pub(crate) type Function<'a> = &'a dyn Fn(&Vec<Tensor>) -> Vec<Tensor>;

/// Step of the central difference: the cube root of the machine epsilon balances truncation and rounding.
const STEP: f64 = 6e-6;

fn moved(x: &[Tensor], t: &[Tensor], by: f64) -> Vec<Tensor> {
    let moved: Vec<Tensor> = x.iter().zip(t).map(|(x, t)| x + t * by).collect();
    // Evaluated here, so that both sides of the difference start from numbers, not from history.
    eval(&moved);
    moved
}

/// The derivative of `f` at `x` along `t` by central differences.
fn difference(f: &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, x: &[Tensor], t: &[Tensor]) -> Vec<Tensor> {
    let (up, down) = (f(&moved(x, t, STEP)), f(&moved(x, t, -STEP)));
    up.iter().zip(&down).map(|(u, d)| (u - d) / (2.0 * STEP)).collect()
}

fn all_close(got: &[Tensor], wanted: &[Tensor], tolerance: Tolerance, what: &str) -> Verdict {
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        close(g, w, tolerance).map_err(|e| format!("{what}, tensor {i}: {e}"))?;
    }
    Ok(())
}

fn inner(a: &[Tensor], b: &[Tensor]) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        // Of complex numbers `Re(conj(a) b)`.
        for (x, y) in a.value().parts().to_f64_vec().iter().zip(b.value().parts().to_f64_vec()) {
            sums.0 += x * y;
            sums.1 += (x * y).abs();
        }
    }
    sums
}

/// Forward mode against central differences, to 1e-6 relative, in f64; for complex arguments in two directions, at right angles.
///
/// # Errors
/// Names the figure that is off.
pub fn check_first_order(f: &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, x: &[Tensor]) -> Verdict {
    let along = |t: &[Tensor], what: &str| {
        let (_, forward) = jvp(f, &x.to_vec(), &t.to_vec());
        all_close(&forward, &difference(f, x, t), Tolerance::relative(1e-6), what)
    };
    let t = directions(x, 0.0);
    if !x.iter().any(|x| x.dtype().is_complex()) {
        return along(&t, "jvp");
    }
    // A derivative that is not complex differentiable may be right along one line and wrong across it.
    let turned = |t: &Tensor| if t.dtype().is_complex() { t * c128::new(0.0, 1.0) } else { t.clone() };
    along(&t, "jvp")?;
    along(&t.iter().map(turned).collect::<Vec<_>>(), "jvp across")
}

/// The adjoint identity ⟨ȳ, J t⟩ = ⟨Jᵀȳ, t⟩ (of complex numbers the real inner product), to 1e-12 of the terms' magnitude.
///
/// # Errors
/// Gives both sides.
pub fn check_adjoint(f: &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, x: &[Tensor]) -> Verdict {
    let t = directions(x, 0.0);
    let (_, forward) = jvp(f, &x.to_vec(), &t);
    let (y, pullback) = vjp(f, &x.to_vec());
    let cotangents = directions(&y, 0.5);
    let (left, size) = inner(&cotangents, &forward);
    let (right, size2) = inner(&pullback.call(&cotangents), &t);
    if (left - right).abs() <= 1e-12 * size.max(size2).max(1e-3) {
        return Ok(());
    }
    Err(format!("<ȳ, J t> = {left:e}, <Jᵀ ȳ, t> = {right:e}"))
}

/// Second order: forward and reverse mode of the pullback, and forward mode of forward mode, each against central
/// differences of the first order, or the adjoint identity.
///
/// # Errors
/// Names the figure that is off.
pub fn check_second_order(f: &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, x: &[Tensor]) -> Verdict {
    let x = x.to_vec();
    let cotangents = directions(&f(&x), 0.5);
    let pulled = |x: &Vec<Tensor>| vjp(f, x).1.call(&cotangents);
    check_first_order(&pulled, &x).map_err(|e| format!("jvp of vjp: {e}"))?;
    check_adjoint(&pulled, &x).map_err(|e| format!("vjp of vjp: {e}"))?;
    let t = directions(&x, 0.3);
    let pushed = |x: &Vec<Tensor>| jvp(f, x, &t).1;
    check_first_order(&pushed, &x).map_err(|e| format!("jvp of jvp: {e}"))?;
    check_adjoint(&pushed, &x).map_err(|e| format!("vjp of jvp: {e}"))
}

/// Runs `check` on an op's sample; `None` if no float goes in or comes out.
pub(crate) fn on_sample(call: &Call, check: impl Fn(Function, &[Tensor]) -> Verdict) -> Option<Verdict> {
    let floats = call.floats();
    if floats.is_empty() || call.on_floats(&floats).is_empty() {
        return None;
    }
    Some(check(&|x: &Vec<Tensor>| call.on_floats(x), &floats))
}
