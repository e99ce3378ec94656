//! `vmap` against a loop.

use covector::{Array, Axis, BatchAxes, Tensor, kernels, try_vmap};

use crate::compare::{Tolerance, close};
use crate::{Verdict, call::Call};

const EXAMPLES: usize = 3;

/// Example `i` of an argument: other numbers, same spec, same domain.
fn example(x: &Tensor, i: usize) -> Tensor {
    match (i, x.dtype().is_inexact()) {
        (0, _) => x.clone(),
        (i, true) => x * Tensor::scalar(1.0 - 0.03 * i as f64, x.dtype()),
        (i, false) => {
            if i % 2 == 1 && x.ndim() > 0 {
                x.flip(..)
            } else {
                x.clone()
            }
        }
    }
}

/// The examples along a new axis 0, as numbers without a history.
fn stack(examples: &[Tensor]) -> Tensor {
    let rows: Vec<Array> = examples.iter().map(|x| x.value().reshape(&x.shape().with_inserted(0, 1))).collect();
    Tensor::from_array(kernels::concat(&rows, 0))
}

/// Checks `vmap(f)` against calling `f` example by example, with each argument batched alone and all together.
///
/// # Errors
/// Names the combination and the figure that is off.
pub fn check_vmap(f: &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, x: &[Tensor], tolerance: Tolerance) -> Verdict {
    let mut combinations: Vec<Vec<bool>> = (0..x.len()).map(|i| (0..x.len()).map(|j| i == j).collect()).collect();
    combinations.push(vec![true; x.len()]);
    for batched in combinations {
        let each = |i: usize| -> Vec<Tensor> {
            x.iter().zip(&batched).map(|(x, &b)| if b { example(x, i) } else { x.clone() }).collect()
        };
        let loops: Vec<Vec<Tensor>> = (0..EXAMPLES).map(|i| f(&each(i))).collect();
        let stacked: Vec<Tensor> = (0..x.len())
            .map(|j| {
                if !batched[j] {
                    return x[j].clone();
                }
                stack(&(0..EXAMPLES).map(|i| example(&x[j], i)).collect::<Vec<_>>())
            })
            .collect();
        let axes: Vec<Option<Axis>> = batched.iter().map(|&b| b.then_some(Axis(0))).collect();
        let results = try_vmap(f, &stacked, &BatchAxes::from(axes), &BatchAxes::from(0)).map_err(|e| e.to_string())?;
        for (k, result) in results.iter().enumerate() {
            let wanted = stack(&loops.iter().map(|y| y[k].clone()).collect::<Vec<_>>());
            close(result, &wanted, tolerance).map_err(|e| format!("batched {batched:?}, result {k}: {e}"))?;
        }
    }
    Ok(())
}

/// Runs [`check_vmap`] on an op's sample; `None` if it has no tensors.
pub(crate) fn on_sample(call: &Call, tolerance: Tolerance) -> Option<Verdict> {
    let tensors = call.tensors();
    if tensors.is_empty() {
        return None;
    }
    let f = |x: &Vec<Tensor>| call.with_tensors(x).unwrap_or_else(|e| panic!("{e}"));
    Some(check_vmap(&f, &tensors, tolerance))
}
