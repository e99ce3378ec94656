//! A program's numbers, element by element: what an element was made from, and what was made from it.

use std::cell::OnceCell;

use covector::{Array, Class, Derivative, Differentiable, Result, Tensor, try_eval};

use crate::reading::Reading;

/// The values of a program's steps, whose tensors may be those of the record or of an edited replay.
pub(crate) struct Run<'a> {
    pub reading: &'a Reading<'a>,
    pub nodes: Vec<Tensor>,
    values: Vec<OnceCell<Vec<f64>>>,
}

impl<'a> Run<'a> {
    /// Computes the results, and with them everything they are made from.
    ///
    /// # Errors
    /// Those of the evaluation.
    pub fn new(reading: &'a Reading<'a>, nodes: Vec<Tensor>) -> Result<Run<'a>> {
        try_eval(&nodes)?;
        let values = nodes.iter().map(|_| OnceCell::new()).collect();
        Ok(Run { reading, nodes, values })
    }

    /// All elements of a step.
    pub fn values(&self, i: usize) -> &[f64] {
        self.values[i].get_or_init(|| numbers(&self.nodes[i]))
    }

    pub fn at(&self, i: usize, element: usize) -> f64 {
        self.values(i).get(element).copied().unwrap_or(f64::NAN)
    }

    /// The element of an operand that stands where `element` of an elementwise step stands.
    pub fn operand(&self, i: usize, k: usize, element: usize) -> f64 {
        self.at(self.reading.operands(i)[k], element)
    }

    /// For each operand of a step, the elements that this element of the result was made from.
    pub fn sources(&self, i: usize, element: usize) -> Vec<Vec<usize>> {
        let operands = self.reading.operands(i);
        if self.nodes[i].primitive().class() == Class::Elementwise {
            return vec![vec![element]; operands.len()];
        }
        if self.reading.prim(i) == "stop_gradient" {
            return vec![vec![element]];
        }
        let mut found = vec![Vec::new(); operands.len()];
        for (rules, x, y) in self.probes(i) {
            let wrt: Vec<bool> = x.iter().map(|x| x.dtype().is_float()).collect();
            let terms = rules.vjp(&x, &y, &one_hot(&y, element), &wrt);
            for (all, term) in found.iter_mut().zip(&terms) {
                merge(all, term.as_ref().and_then(support));
            }
        }
        if found.iter().all(Vec::is_empty) {
            return operands.iter().map(|&j| (0..self.nodes[j].size()).collect()).collect();
        }
        found
    }

    /// The elements of a step that are made from this element of operand `k`.
    pub fn targets(&self, i: usize, k: usize, element: usize) -> Vec<usize> {
        if self.nodes[i].primitive().class() == Class::Elementwise {
            return vec![element];
        }
        let mut found = Vec::new();
        for (rules, x, y) in self.probes(i) {
            let tangents: Vec<Option<Tensor>> =
                (0..x.len()).map(|j| (j == k).then(|| one_hot(&x[k], element))).collect();
            merge(&mut found, support(&rules.jvp(&x, &y, &tangents)));
        }
        if found.is_empty() { (0..self.nodes[i].size()).collect() } else { found }
    }

    /// Which elements of a step depend on these elements of operand `k`; `None` stands for all of them.
    pub fn dependents(&self, i: usize, k: usize, mask: Option<&[bool]>) -> Option<Vec<bool>> {
        let class = self.nodes[i].primitive().class();
        if class == Class::Elementwise || (mask.is_none() && class != Class::Opaque) {
            return mask.map(<[bool]>::to_vec);
        }
        let mut dependents = vec![false; self.nodes[i].size()];
        let probes = self.probes(i);
        if probes.is_empty() {
            return None;
        }
        for (rules, x, y) in probes {
            let tangent = match mask {
                Some(mask) => Tensor::from_array(Array::from_slice(mask, x[k].shape().clone())).cast(x[k].dtype()),
                None => filled(&x[k], 1.0),
            };
            let tangents: Vec<Option<Tensor>> = (0..x.len()).map(|j| (j == k).then(|| tangent.clone())).collect();
            support(&rules.jvp(&x, &y, &tangents))?.into_iter().for_each(|e| dependents[e] = true);
        }
        Some(dependents)
    }

    /// The step's rules on harmless numbers: what depends on what shows, whatever the numbers are.
    fn probes(&self, i: usize) -> Vec<(&dyn Differentiable, Vec<Tensor>, Tensor)> {
        // The rules of a block are the user's, who never promised to bear other numbers.
        let primitive = self.nodes[i].primitive();
        let Derivative::Rules(rules) = primitive.derivative() else { return Vec::new() };
        if ["custom_vjp", "custom_jvp", "checkpoint"].contains(&primitive.name()) {
            return Vec::new();
        }
        // With ones all ties are ties; what is no sum of products may need numbers that differ.
        let fills: &[fn(&Tensor) -> Tensor] =
            if primitive.class() == Class::Opaque { &[|x| filled(x, 1.0), waves] } else { &[|x| filled(x, 1.0)] };
        let probe = |fill: &fn(&Tensor) -> Tensor| {
            let operand = |&j: &usize| {
                if self.nodes[j].dtype().is_float() { fill(&self.nodes[j]) } else { self.nodes[j].clone() }
            };
            let x: Vec<Tensor> = self.reading.operands(i).iter().map(operand).collect();
            let y = Tensor::apply(primitive.clone(), x.iter().cloned()).ok()?;
            Some((rules, x, y))
        };
        fills.iter().filter_map(probe).collect()
    }
}

/// Adds elements that are not there yet; both are sorted.
fn merge(all: &mut Vec<usize>, more: Option<Vec<usize>>) {
    let Some(more) = more.filter(|m| !m.is_empty()) else { return };
    all.extend(more);
    all.sort_unstable();
    all.dedup();
}

/// Numbers around 1 that all differ.
fn waves(like: &Tensor) -> Tensor {
    let values: Vec<f64> = (0..like.size()).map(|i| 1.0 + 0.5 * (i as f64 * 0.7 + 0.3).sin()).collect();
    Tensor::from_array(Array::from_slice(&values, like.shape().clone())).cast(like.dtype())
}

/// All numbers of a tensor that can be computed; of complex ones the sizes, which are NaN or infinite where they are.
pub(crate) fn numbers(x: &Tensor) -> Vec<f64> {
    match x.dtype().is_complex() {
        true => x.value().to_c128_vec().into_iter().map(|z| z.norm()).collect(),
        false => x.value().to_f64_vec(),
    }
}

/// A constant of the dtype and shape of `like`.
pub(crate) fn filled(like: &Tensor, value: f64) -> Tensor {
    Tensor::from_array(Array::full(like.shape().clone(), value, like.dtype()))
}

fn one_hot(like: &Tensor, element: usize) -> Tensor {
    let mut all = vec![0.0f64; like.size()];
    all[element] = 1.0;
    Tensor::from_array(Array::from_slice(&all, like.shape().clone())).cast(like.dtype())
}

/// Where a tensor is not 0; `None` if it cannot be computed.
fn support(x: &Tensor) -> Option<Vec<usize>> {
    try_eval([x]).ok()?;
    Some(numbers(x).iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect())
}

/// The place of an element along each axis.
pub(crate) fn index(x: &Tensor, element: usize) -> Vec<usize> {
    let mut rest = element;
    let mut index: Vec<usize> = x.shape().iter().rev().map(|&d| (rest % d.max(1), rest /= d.max(1)).0).collect();
    index.reverse();
    index
}
