//! Legitimate programs of many kinds: nothing is wrong with them, and nobody should say so.

mod losses;
mod nets;
mod others;
mod science;
mod traps;

use covector::Tensor;

/// Called with the name of each program, the program, and its parameters.
pub type Ask<'a> = &'a mut dyn FnMut(&str, &dyn Fn(&Vec<Tensor>) -> Tensor, Vec<Tensor>);

pub fn all(ask: Ask) {
    nets::all(ask);
    losses::all(ask);
    science::all(ask);
    traps::all(ask);
    others::all(ask);
}

/// Numbers without a pattern, between -1 and 1.
pub fn w<const N: usize>(shape: [usize; N], seed: u32) -> Tensor {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(12345);
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n)
        .map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_slice(&values, shape)
}
