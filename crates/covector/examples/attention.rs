//! The shapes of self-attention, from X (B, T, d) to its output: first one head, then several.

use std::io::{self, Write, stdout};

use covector::draw::Drawing;
use covector::ops::random::{Key, normal};
use covector::{DType, Shape, Tensor, Tree};

const B: usize = 2;
const T: usize = 5;
const D: usize = 8;

fn main() -> io::Result<()> {
    lesson(&mut stdout())
}

/// What attention learns: how queries, keys and values are made.
#[derive(Tree)]
#[allow(non_snake_case)]
struct Arguments {
    X: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    W_V: Tensor,
}

/// The tensors worth a name on the way.
#[derive(Tree)]
#[allow(non_snake_case)]
struct Trace {
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    scores: Tensor,
    weights: Tensor,
    output: Tensor,
}

impl Arguments {
    fn new(width: usize) -> Arguments {
        let random = |seed, shape: &[usize]| normal(&Key::new(seed), Shape::from(shape), DType::F32);
        let w = |seed| random(seed, &[D, width]);
        Arguments { X: random(0, &[B, T, D]), W_Q: w(1), W_K: w(2), W_V: w(3) }
    }
}

/// softmax(QKᵀ / √d_k)·V, for any leading axes.
#[allow(non_snake_case)]
fn attend(Q: Tensor, K: Tensor, V: Tensor) -> Trace {
    let d_k = *Q.shape().last().expect("queries have a width") as f64;
    let scores = Q.matmul(&K.transpose(-1, -2)) / d_k.sqrt();
    let weights = scores.softmax(-1);
    let output = weights.matmul(&V);
    Trace { Q, K, V, scores, weights, output }
}

fn one_head(a: &Arguments) -> Trace {
    attend(a.X.matmul(&a.W_Q), a.X.matmul(&a.W_K), a.X.matmul(&a.W_V))
}

fn with_heads(a: &Arguments, heads: usize) -> Trace {
    let split = |x: Tensor| x.reshape([B, T, heads, D / heads]).transpose(1, 2);
    let mut trace = attend(split(a.X.matmul(&a.W_Q)), split(a.X.matmul(&a.W_K)), split(a.X.matmul(&a.W_V)));
    trace.output = trace.output.transpose(1, 2).reshape([B, T, D]);
    trace
}

fn table(out: &mut impl Write, drawing: &Drawing) -> io::Result<()> {
    writeln!(out, "{:<9}{:<25}shape", "tensor", "made by")?;
    for step in drawing.steps() {
        let made =
            if step.operands.is_empty() { String::new() } else { format!("{}({})", step.op, step.operands.join(", ")) };
        writeln!(out, "{:<9}{made:<25}{}", step.name, step.spec.shape)?;
    }
    Ok(())
}

/// The shapes, read off the recorded graph: nothing is computed.
pub fn lesson(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "One head: B = {B} examples, T = {T} positions, width d = {D}, d_k = 4\n")?;
    table(out, &Drawing::trace(one_head, &Arguments::new(4)).folded())?;
    writeln!(out, "\nFour heads of d_k = 2: a head is one more axis to batch over\n")?;
    table(out, &Drawing::trace(|a: &Arguments| with_heads(a, 4), &Arguments::new(D)).folded())
}
