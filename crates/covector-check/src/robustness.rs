//! Specs, dtypes and wrong arguments.

use std::panic::{AssertUnwindSafe, catch_unwind};

use covector::{DType, Tensor};

use crate::compare::{Tolerance, close};
use crate::{Verdict, call::Call};

/// The spec promised when the op was built is that of the numbers.
pub(crate) fn spec(call: &Call) -> Option<Verdict> {
    let results = match call.with_tensors(&call.tensors()) {
        Ok(results) => results,
        Err(e) => return Some(Err(e.to_string())),
    };
    Some(results.iter().try_for_each(|y| {
        let value = y.try_value().map_err(|e| e.to_string())?;
        if value.dtype() == y.dtype() && value.shape() == y.shape() {
            return Ok(());
        }
        Err(format!("promised {}, made {}{}", y.spec(), value.dtype(), value.shape()))
    }))
}

/// `dtype` for floats, c64 for complex numbers, others as they are.
fn narrowed(have: DType, dtype: DType) -> DType {
    match have {
        have if have.is_float() => dtype,
        have if have.is_complex() => DType::C64,
        have => have,
    }
}

/// f32, f16 and bf16 (and c64) give what f64 gives on the same (rounded) numbers, up to their precision.
pub(crate) fn dtypes(call: &Call) -> Option<Verdict> {
    if call.floats().is_empty() {
        return None;
    }
    let tensors = call.tensors();
    let check = |(dtype, relative): (DType, f64)| {
        let narrow: Vec<Tensor> = tensors.iter().map(|t| t.cast(narrowed(t.dtype(), dtype))).collect();
        let rounded: Vec<Tensor> = narrow.iter().zip(&tensors).map(|(n, t)| n.cast(t.dtype())).collect();
        let got = call.with_tensors(&narrow).map_err(|e| e.to_string())?;
        let wanted = call.with_tensors(&rounded).map_err(|e| e.to_string())?;
        got.iter().zip(&wanted).try_for_each(|(g, w)| {
            let tolerance = Tolerance::relative(if g.dtype().is_inexact() { relative } else { 0.0 });
            close(&g.cast(w.dtype()), w, tolerance).map_err(|e| format!("{dtype}: {e}"))
        })
    };
    Some([(DType::F32, 3e-5), (DType::F16, 3e-2), (DType::BF16, 2e-1)].into_iter().try_for_each(check))
}

/// Wrong arguments give errors, never panics: every tensor in turn replaced by one of another rank, size or dtype.
pub(crate) fn wrong_arguments(call: &Call) -> Option<Verdict> {
    let tensors = call.tensors();
    if tensors.is_empty() {
        return None;
    }
    let odd = |t: &Tensor| {
        let mut shapes: Vec<Vec<usize>> = vec![vec![], vec![0], vec![7], vec![3, 0], vec![5, 2, 3, 1, 2]];
        shapes.push(t.shape().iter().map(|d| d + 1).collect());
        let zeros = |d: DType, s: &Vec<usize>| Tensor::from_array(covector::Array::full(s.clone(), 0.0, d));
        let dtypes = [DType::Bool, DType::I64, DType::F32, DType::U8, DType::C64];
        shapes.iter().flat_map(move |s| dtypes.map(|d| zeros(d, s))).collect::<Vec<_>>()
    };
    for (i, t) in tensors.iter().enumerate() {
        for wrong in odd(t) {
            let mut changed = tensors.clone();
            changed[i] = wrong.clone();
            let outcome = catch_unwind(AssertUnwindSafe(|| -> covector::Result<()> {
                call.with_tensors(&changed)?.iter().try_for_each(|y| y.try_value().map(drop))
            }));
            match outcome {
                Err(_) => return Some(Err(format!("panics when tensor {i} is {}", wrong.spec()))),
                Ok(Err(e)) if e.op().is_none() => {
                    return Some(Err(format!("the error for {} names no op: {e}", wrong.spec())));
                }
                Ok(_) => (),
            }
        }
    }
    Some(Ok(()))
}

/// The docstring says what it has to: an example that runs, and a source.
pub(crate) fn documented(call: &Call) -> Option<Verdict> {
    let missing: Vec<&str> = ["Source:", "```", "Shapes"].into_iter().filter(|s| !call.op.doc.contains(s)).collect();
    Some(if missing.is_empty() { Ok(()) } else { Err(format!("the docstring lacks {}", missing.join(", "))) })
}
