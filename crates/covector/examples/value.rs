//! The lesson's `Value`: y = tanh(x·w + b), by the engine of scalars and by that of tensors, equal to the last bit.

use std::io::{self, Write, stdout};

use covector::scalar::Tape;
use covector::{Tensor, value_and_grad};

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// Both engines, with all digits.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    let (x, w, b) = (2.0, -3.0, 0.5);

    let tape = Tape::new();
    let scalar = {
        let (x, w, b) = (tape.value(x), tape.value(w), tape.value(b));
        let y = (x * w + b).tanh();
        let grads = y.backward();
        [y.data(), grads.of(x), grads.of(w), grads.of(b)]
    };

    let f = |(x, w, b): &(Tensor, Tensor, Tensor)| (x * w + b).tanh();
    let (y, (dx, dw, db)) = value_and_grad(f)(&(Tensor::from(x), Tensor::from(w), Tensor::from(b)));
    let tensor = [y.item::<f64>(), dx.item(), dw.item(), db.item()];

    writeln!(out, "y = tanh(x·w + b) at x = {x}, w = {w}, b = {b}\n")?;
    writeln!(out, "{:<6}{:<25}{:<25}", "", "scalars", "tensors")?;
    for (i, name) in ["y", "dy/dx", "dy/dw", "dy/db"].into_iter().enumerate() {
        let same = if scalar[i].to_bits() == tensor[i].to_bits() { "the same bits" } else { "DIFFERENT" };
        writeln!(out, "{name:<6}{:<25}{:<25}{same}", scalar[i].to_string(), tensor[i].to_string())?;
    }
    Ok(())
}
