//! The same numbers in other layouts.

use covector::{Array, ErrorKind, Shape, Tensor, kernels, try_eval};

use crate::compare::{Tolerance, close};
use crate::{Verdict, call::Call};

/// The layouts [`relaid`] knows.
pub const LAYOUTS: [&str; 4] = ["transposed", "every second", "flipped", "offset"];

/// The same numbers, held in memory another way.
///
/// # Panics
/// If the layout is none of [`LAYOUTS`], or the tensor cannot be evaluated.
pub fn relaid(x: &Tensor, layout: &str) -> Tensor {
    let array = x.value();
    let shape = array.shape().clone();
    let n = shape.len();
    let reversed: Vec<usize> = (0..n).rev().collect();
    let zeros = vec![0usize; n];
    let relaid = match layout {
        "transposed" => array.permute(&reversed).contiguous().permute(&reversed),
        "every second" => {
            let apart = kernels::pad(&array, &zeros, &vec![1; n], &vec![1; n]);
            apart.slice(&zeros, &shape, &vec![2; n])
        }
        "flipped" => {
            let ends: Vec<usize> = shape.iter().map(|d| d.saturating_sub(1)).collect();
            let flip = |a: &Array| a.slice(&ends, &shape, &vec![-1; n]);
            flip(&flip(&array).contiguous())
        }
        "offset" => {
            let inside = kernels::pad(&array, &vec![1; n], &vec![2; n], &zeros);
            inside.slice(&vec![1; n], &shape, &vec![1; n])
        }
        other => panic!("unknown layout {other}"),
    };
    debug_assert_eq!(relaid.shape(), &shape);
    Tensor::from_array(relaid)
}

/// Checks that an op gives the same numbers for its tensors in every layout, and leaves them as they were.
pub(crate) fn on_sample(call: &Call) -> Option<Verdict> {
    let tensors = call.tensors();
    if tensors.is_empty() {
        return None;
    }
    Some(LAYOUTS.iter().try_for_each(|layout| {
        let moved: Vec<Tensor> = tensors.iter().map(|t| relaid(t, layout)).collect();
        same(call, &tensors, &moved, false).map_err(|e| format!("{layout}: {e}"))
    }))
}

/// Checks stride-0 operands: each tensor replaced by its first element, repeated with and without a copy.
pub(crate) fn broadcast_on_sample(call: &Call) -> Option<Verdict> {
    let tensors = call.tensors();
    if tensors.iter().all(|t| t.size() == 0) {
        return None;
    }
    let repeated = |t: &Tensor| {
        if t.size() == 0 {
            return t.clone();
        }
        let first = t.reshape([-1]).value().slice(&[0], &[1], &[1]).reshape(&Shape::scalar());
        Tensor::from_array(first.broadcast_to(t.shape()))
    };
    let lazy: Vec<Tensor> = tensors.iter().map(repeated).collect();
    let copies: Vec<Tensor> = lazy.iter().map(|t| Tensor::from_array(kernels::copy(&t.value()))).collect();
    // Repeated elements may be what an op refuses, a singular matrix: then it refuses them in both forms.
    Some(same(call, &copies, &lazy, true))
}

/// With `may_refuse` it is the same, too, if both are refused as data of one kind.
fn same(call: &Call, plain: &[Tensor], other: &[Tensor], may_refuse: bool) -> Verdict {
    let before: Vec<Vec<f64>> = other.iter().map(|t| t.value().parts().to_f64_vec()).collect();
    let computed = |tensors: &[Tensor]| call.with_tensors(tensors).and_then(|y| try_eval(&y).map(|()| y));
    let (wanted, got) = match (computed(plain), computed(other)) {
        (Ok(wanted), Ok(got)) => (wanted, got),
        (Err(wanted), Err(got)) if may_refuse && wanted.kind() != ErrorKind::General && wanted.kind() == got.kind() => {
            return Ok(());
        }
        (wanted, got) => return Err(wanted.and(got).err().map(|e| e.to_string()).unwrap_or_default()),
    };
    for (g, w) in got.iter().zip(&wanted) {
        close(g, w, Tolerance::relative(1e-14))?;
    }
    let untouched = other
        .iter()
        .zip(&before)
        .all(|(t, b)| t.value().parts().to_f64_vec().iter().zip(b).all(|(x, y)| x == y || x.is_nan()));
    if untouched { Ok(()) } else { Err("an operand was overwritten".to_owned()) }
}
