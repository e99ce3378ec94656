//! A bias is added to every row without being copied, and its gradient is the sum over the rows.

use std::io::{self, Write, stdout};

use covector::draw::Drawing;
use covector::{Tensor, vjp};

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// `X (2, 3) + b (3)`, forwards and backwards.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let b = Tensor::from([10.0, 20.0, 30.0]);

    writeln!(out, "Y = X + b is two steps: b is repeated, then added.\n")?;
    let add = |(x, b): &(Tensor, Tensor)| x + b;
    let args = (x.clone(), b.clone());
    writeln!(out, "{}", Drawing::trace(add, &args).arguments(["X", "b"]))?;

    let repeated = b.broadcast_to([2, 3]);
    writeln!(
        out,
        "Repeated, b has the strides {:?}: from row to row it moves by 0 numbers,",
        repeated.value().strides()
    )?;
    writeln!(out, "so both rows are the same {} numbers in memory.\n", b.size())?;
    writeln!(out, "Y = {:.0}\n", &x + &b)?;

    writeln!(out, "Backwards, what was read twice collects twice: a sum over the repeated axis.\n")?;
    let (_, pullback) = vjp(add, &args);
    let cotangent = Tensor::from([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]);
    let back = Drawing::trace(|y: &Tensor| pullback.call(y).1, &cotangent);
    writeln!(out, "{}", back.arguments(["Y's cotangent"]))?;

    let (to_x, to_b) = pullback.call(&cotangent);
    writeln!(out, "Y's cotangent = {cotangent:.0}")?;
    writeln!(out, "X's cotangent = {to_x:.0}")?;
    writeln!(out, "b's cotangent = {to_b:.0}")
}
