//! A vector-Jacobian product gives ȳJ without J, and one of them gives the gradient of every parameter.

use std::io::{self, Write, stdout};

use covector::{Tensor, Tree, eval, grad, jacrev, vjp};

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// A layer with a bias.
#[derive(Tree)]
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

/// The same product twice, with the whole Jacobian and without; then a small network in one backward pass.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    let w = Tensor::from([[1.0, -2.0], [0.5, 1.0], [2.0, 0.0]]);
    let f = |x: &Tensor| w.matmul(x).square();
    let x = Tensor::from([1.0, 2.0]);
    let cotangent = Tensor::from([1.0, 10.0, 100.0]);

    let (y, pullback) = vjp(f, &x);
    let jacobian = jacrev(f)(&x);
    writeln!(out, "y = (W·x)², from 2 numbers to 3")?;
    writeln!(out, "y     = {y:.2}")?;
    writeln!(out, "ȳ     = {cotangent:.2}")?;
    writeln!(out, "J     = {}", format!("{jacobian:.2}").replace('\n', "\n        "))?;
    writeln!(out, "ȳ·J   = {:.2}   with the whole of J", cotangent.matmul(&jacobian))?;
    writeln!(out, "vjp   = {:.2}   without it\n", pullback.call(&cotangent))?;

    let n = 1000;
    let wide = |x: &Tensor| (x * 2.0).square();
    let (_, pullback) = vjp(wide, &Tensor::from(vec![1.0; n]));
    let back = pullback.call(&Tensor::from(vec![1.0; n]));
    eval([&back]);
    writeln!(out, "From {n} numbers to {n}: J has {} numbers, ȳ·J has {}.\n", n * n, back.size())?;

    let net = vec![
        Layer { weight: Tensor::from([[0.5, -0.25], [0.125, 1.0]]), bias: Tensor::from([0.5, 0.0]) },
        Layer { weight: Tensor::from([[1.0], [-1.0]]), bias: Tensor::from([0.25]) },
    ];
    let loss = |net: &Vec<Layer>| {
        let layer = |x: Tensor, l: &Layer| x.matmul(&l.weight) + &l.bias;
        let hidden = layer(x.expand_dims(0), &net[0]).tanh();
        layer(hidden, &net[1]).square().sum(..)
    };
    writeln!(out, "One backward pass from the loss, and every parameter has its gradient:")?;
    for (name, gradient) in grad(loss)(&net).named() {
        let numbers: Vec<String> = gradient.to_vec::<f64>().iter().map(|g| format!("{g:7.4}")).collect();
        writeln!(out, "  {name:<9} {:<10} {}", gradient.spec().to_string(), numbers.join(" "))?;
    }
    Ok(())
}
