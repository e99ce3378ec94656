//! `z = (x·w + b)²`: the recorded steps, their picture, and the gradients that come back along them.

use std::io::{self, Write, stdout};

use covector::draw::Drawing;
use covector::{Tensor, value_and_grad};

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// The whole life of one small graph.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    let f = |(x, w, b): &(Tensor, Tensor, Tensor)| (x * w + b).square();
    let args = (Tensor::from(3.0), Tensor::from(2.0), Tensor::from(-1.0));

    writeln!(out, "z = (x·w + b)² is recorded as\n")?;
    let drawing = Drawing::with_gradients(f, &args).arguments(["x", "w", "b"]);
    writeln!(out, "{drawing}")?;

    let (z, (dx, dw, db)) = value_and_grad(f)(&args);
    writeln!(out, "  z     = {:>3}", z.item::<f64>())?;
    writeln!(out, "  dz/dx = {:>3}   2(x·w + b)·w", dx.item::<f64>())?;
    writeln!(out, "  dz/dw = {:>3}   2(x·w + b)·x", dw.item::<f64>())?;
    writeln!(out, "  dz/db = {:>3}   2(x·w + b)\n", db.item::<f64>())?;

    writeln!(out, "Values flow along solid arrows, gradients back along dotted ones:\n")?;
    write!(out, "```mermaid\n{}```\n", drawing.mermaid())
}
