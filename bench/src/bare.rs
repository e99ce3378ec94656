//! The scalar network on a tape written by hand for it: local slopes beside operands, nothing general.

use std::hint::black_box;

use crate::protocol::Prepared;
use crate::small::{EXAMPLES, LAYERS, example, scalar_parameters};

pub fn prepare(row: &str) -> Option<Prepared> {
    if row != "scalar_mlp" {
        return None;
    }
    let numbers = scalar_parameters();
    let mut tape = Tape::default();
    let mut run = move || {
        tape.nodes.clear();
        for &x in &numbers {
            tape.push(x, [(0, 0.0); 2]);
        }
        let mut loss = tape.squared_error(0);
        for i in 1..EXAMPLES {
            let error = tape.squared_error(i);
            loss = tape.add(loss, error);
        }
        let loss = tape.push(tape.value(loss) / EXAMPLES as f64, [(loss, 1.0 / EXAMPLES as f64), (0, 0.0)]);
        let gradients = tape.backward(loss);
        [tape.value(loss), gradients[0], gradients[numbers.len() - 1]]
    };
    let check = run().to_vec();
    Prepared::new(check, move || {
        black_box(run());
    })
}

#[derive(Default)]
struct Tape {
    nodes: Vec<Node>,
}

/// A value, and for each operand its position and the slope along it.
struct Node {
    value: f64,
    operands: [(u32, f64); 2],
}

impl Tape {
    fn push(&mut self, value: f64, operands: [(u32, f64); 2]) -> u32 {
        self.nodes.push(Node { value, operands });
        self.nodes.len() as u32 - 1
    }

    fn value(&self, i: u32) -> f64 {
        self.nodes[i as usize].value
    }

    fn add(&mut self, a: u32, b: u32) -> u32 {
        self.push(self.value(a) + self.value(b), [(a, 1.0), (b, 1.0)])
    }

    fn mul(&mut self, a: u32, b: u32) -> u32 {
        let (x, y) = (self.value(a), self.value(b));
        self.push(x * y, [(a, y), (b, x)])
    }

    fn tanh(&mut self, a: u32) -> u32 {
        let y = self.value(a).tanh();
        self.push(y, [(a, 1.0 - y * y), (0, 0.0)])
    }

    fn squared_error(&mut self, i: usize) -> u32 {
        let (inputs, target) = example(i);
        let mut x = Vec::new();
        let mut first = 0u32;
        for (layer, (count, outputs)) in LAYERS.into_iter().enumerate() {
            let mut next = Vec::with_capacity(outputs);
            for _ in 0..outputs {
                let mut sum = None;
                for j in 0..count {
                    let w = first + j as u32;
                    let term = match layer {
                        0 => self.push(self.value(w) * inputs[j], [(w, inputs[j]), (0, 0.0)]),
                        _ => self.mul(w, x[j]),
                    };
                    sum = Some(sum.map_or(term, |sum| self.add(sum, term)));
                }
                let sum = self.add(sum.expect("a neuron has inputs"), first + count as u32);
                next.push(if outputs > 1 { self.tanh(sum) } else { sum });
                first += count as u32 + 1;
            }
            x = next;
        }
        let error = self.push(self.value(x[0]) - target, [(x[0], 1.0), (0, 0.0)]);
        self.mul(error, error)
    }

    fn backward(&self, from: u32) -> Vec<f64> {
        let mut gradients = vec![0.0; from as usize + 1];
        gradients[from as usize] = 1.0;
        for i in (0..gradients.len()).rev() {
            let gradient = gradients[i];
            for (operand, slope) in self.nodes[i].operands {
                gradients[operand as usize] += slope * gradient;
            }
        }
        gradients
    }
}
