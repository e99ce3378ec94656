//! Four objects every network is made of, each a tensor, told apart by what their axes mean.

use std::io::{self, Write, stdout};

use covector::ops::index::embedding;
use covector::ops::random::{Key, normal};
use covector::{DType, Shape, Tensor, grad};

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// Makes each object as a network would, and writes down its shape.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    let (batch, time, width, heads, vocabulary) = (2, 5, 8, 4, 27);
    let random = |seed, shape: &[usize]| normal(&Key::new(seed), Shape::from(shape), DType::F32);

    // Token numbers look up rows of a table.
    let tokens = Tensor::from([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]);
    let x = embedding(&random(0, &[vocabulary, width]), &tokens);

    // Each head compares every position with every other one.
    let per_head = |x: &Tensor| x.reshape([batch, time, heads, width / heads]).transpose(1, 2);
    let logits = per_head(&x).matmul(&per_head(&x).transpose(-1, -2));

    let images = random(1, &[batch, 3, 32, 32]);

    // A gradient has the shape of what it changes: one number for each.
    let w = random(2, &[width, vocabulary]);
    let gradient = grad(|w: &Tensor| x.matmul(w).square().mean(..))(&w);

    writeln!(out, "{:<19}{:<15}{:<20}{:>8}", "object", "axes", "dtype and shape", "numbers")?;
    for (object, axes, tensor) in [
        ("embedding batch", "(B, T, d)", &x),
        ("attention logits", "(B, h, T, T)", &logits),
        ("image batch", "(B, C, H, W)", &images),
        ("parameter", "(d, V)", &w),
        ("its gradient", "(d, V)", &gradient),
    ] {
        writeln!(out, "{object:<19}{axes:<15}{:<20}{:>8}", tensor.spec().to_string(), tensor.size())?;
    }
    Ok(())
}
