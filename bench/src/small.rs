//! What one op costs when its arithmetic costs nothing.

use covector::scalar::{Tape, Value};
use covector::{Tensor, compile, eval, value_and_grad};

use crate::fill::{check, fill32, unit};
use crate::protocol::Prepared;

pub fn prepare(row: &str) -> Option<Prepared> {
    match row {
        "add1" => {
            let (a, b) = (Tensor::from([1.5f32]), Tensor::from([2.0f32]));
            let check = vec![(&a + &b).to_f64()];
            Prepared::new(check, move || eval([&(&a + &b)]))
        }
        "chain16" => chain16(),
        "chain" => chain(),
        "chain_compiled" => chain_compiled(),
        "scalar_mlp" => scalar_mlp(),
        _ => None,
    }
}

/// Sixteen ops on a million numbers; `bench/python.py` asks the same of Python.
fn chain16() -> Option<Prepared> {
    let x = Tensor::from(fill32(1 << 20, 1, 1.0));
    let f = move || (0..4).fold(x.clone(), |y, _| (y * 0.99 + &x).tanh().abs());
    let figures = check(f().to_vec::<f32>().into_iter().map(f64::from));
    Prepared::new(figures, move || eval([&f()]))
}

/// 333 times three ops on 16 numbers.
fn links(x: &Tensor) -> Tensor {
    (0..333).fold(x.clone(), |y, _| (y * 0.99 + x).tanh()).sum(..)
}

fn chain() -> Option<Prepared> {
    chained(value_and_grad(links))
}

/// As [`chain`], recorded and planned once.
fn chain_compiled() -> Option<Prepared> {
    chained(compile(value_and_grad(links)))
}

fn chained(f: impl Fn(&Tensor) -> (Tensor, Tensor) + 'static) -> Option<Prepared> {
    let x = Tensor::from(fill32(16, 1, 1.0));
    let (_, g) = f(&x);
    let check = check(g.to_vec::<f32>().into_iter().map(f64::from));
    Prepared::new(check, move || {
        let (y, g) = f(&x);
        eval([&y, &g]);
    })
}

/// The layers of the scalar network: inputs and outputs.
pub const LAYERS: [(usize, usize); 3] = [(2, 16), (16, 16), (16, 1)];

/// The number of examples of the scalar network.
pub const EXAMPLES: usize = 100;

/// Its parameters, layer by layer, each neuron's weights and then its bias.
pub fn scalar_parameters() -> Vec<f64> {
    let count = LAYERS.iter().map(|(inputs, outputs)| (inputs + 1) * outputs).sum();
    (0..count).map(|i| 0.5 * unit(i, 8)).collect()
}

/// The two inputs and the wanted output of an example.
pub fn example(i: usize) -> ([f64; 2], f64) {
    let (a, b) = (unit(2 * i, 9), unit(2 * i + 1, 9));
    ([a, b], if a * b > 0.0 { 1.0 } else { -1.0 })
}

fn scalar_mlp() -> Option<Prepared> {
    let numbers = scalar_parameters();
    let mut tape = Tape::new();
    let mut run = move || {
        tape.clear();
        let parameters: Vec<Value<'_>> = numbers.iter().map(|&x| tape.value(x)).collect();
        let loss = (0..EXAMPLES).map(|i| squared_error(&parameters, i)).sum::<Value<'_>>() / EXAMPLES as f64;
        let gradients = loss.backward();
        [loss.data(), gradients.of(parameters[0]), gradients.of(parameters[parameters.len() - 1])]
    };
    let check = run().to_vec();
    Prepared::new(check, move || {
        std::hint::black_box(run());
    })
}

fn squared_error<'t>(parameters: &[Value<'t>], example_index: usize) -> Value<'t> {
    let (inputs, target) = example(example_index);
    let mut x: Vec<Value<'t>> = inputs.iter().map(|&x| Value::from(x)).collect();
    let mut rest = parameters;
    for (inputs, outputs) in LAYERS {
        let (layer, others) = rest.split_at((inputs + 1) * outputs);
        rest = others;
        let neuron = |w: &[Value<'t>]| {
            let sum = w.iter().zip(&x).map(|(&w, &x)| w * x).sum::<Value<'t>>() + w[inputs];
            if outputs > 1 { sum.tanh() } else { sum }
        };
        x = layer.chunks(inputs + 1).map(neuron).collect();
    }
    let error = x[0] - target;
    error * error
}
