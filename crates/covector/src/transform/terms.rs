//! The terms of a cotangent: what every use of a tensor adds to it.
//!
//! A tensor that is cut into parts gets the cotangent of each among zeros, and a weight that is used at every step of a sequence
//! a product from each. Added up as they come, `n` terms are `n` passes over arrays as large as the tensor; parts side by side
//! are joined instead, and many small products are one step.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smallvec::SmallVec;

use crate::ops::concat::joined;
use crate::ops::create::zeros;
use crate::ops::products::{pays, summed};
use crate::ops::view::reshaped;
use crate::primitive::Summand;
use crate::site;
use crate::{Shape, Tensor};

/// Products from which on they are one step; fewer may each be fused with what is added to it.
const MANY: usize = 4;

/// The terms in the order in which they came, and the place of the node that gave the last.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    all: SmallVec<[Tensor; 1]>,
    last: u32,
}

impl Terms {
    pub fn add(&mut self, term: Tensor, from: usize) {
        self.all.push(term);
        self.last = from as u32;
    }

    /// The sum of the terms of node `i`, under the names of its axes; `None` if there are none.
    pub fn sum(mut self, nodes: &[Tensor], i: usize) -> Option<Tensor> {
        let sum = match self.all.len() {
            0 | 1 => self.all.pop(),
            _ => {
                let site = nodes[self.last as usize].site().of_rules();
                site::within(Some(site), || gathered(self.all).reduce(|sum, term| sum + term))
            }
        };
        sum.map(|sum| sum.named(nodes[i].names()))
    }
}

/// Fewer terms of the same sum.
fn gathered(terms: SmallVec<[Tensor; 1]>) -> impl Iterator<Item = Tensor> {
    let shape = terms[0].shape().clone();
    let (mut rest, mut parts, mut products) = (SmallVec::<[Tensor; 2]>::new(), Vec::new(), Vec::new());
    for term in terms {
        if term.primitive().summand() == Summand::Any {
            rest.push(term);
            continue;
        }
        let core = unshaped(&term);
        let whole = core.shape().clone();
        match (core.primitive().summand(), &core.inputs()[..]) {
            (Summand::Placed { axis, start }, [x]) => parts.push(Part { axis, start, x: x.clone(), whole, term }),
            (Summand::Product, [a, b]) => products.push(Product { factors: [a.clone(), b.clone()], whole, term }),
            _ => rest.push(term),
        }
    }
    let joined = alike(parts, |p| (p.axis, p.whole.clone())).into_iter().flat_map(side_by_side);
    let multiplied = alike(products, |p| p.whole.clone()).into_iter().flat_map(as_one);
    rest.into_iter().chain(joined).chain(multiplied).map(move |term| reshaped(&term, shape.clone()))
}

/// What was reshaped to this.
fn unshaped(x: &Tensor) -> Tensor {
    let mut x = x.clone();
    while x.primitive().summand() == Summand::Reshaped
        && let Some(inner) = x.inputs().first().cloned()
    {
        x = inner;
    }
    x
}

/// The items in groups of one key, in the order of their first.
fn alike<T, K: PartialEq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// A tensor in its place along one axis among zeros.
struct Part {
    axis: usize,
    start: usize,
    x: Tensor,
    whole: Shape,
    term: Tensor,
}

impl Part {
    fn end(&self) -> usize {
        self.start + self.x.shape()[self.axis]
    }
}

/// Parts of one axis of one shape: those that do not overlap joined, with zeros where there is none.
fn side_by_side(mut parts: Vec<Part>) -> Vec<Tensor> {
    parts.sort_by_key(|part| part.start);
    let (mut rows, mut ends) = (Vec::<Vec<Part>>::new(), BinaryHeap::<Reverse<(usize, usize)>>::new());
    for part in parts {
        // Into the row that ends first, if it has ended.
        let row = match ends.peek() {
            Some(&Reverse((end, row))) if end <= part.start => {
                ends.pop();
                row
            }
            _ => rows.len(),
        };
        ends.push(Reverse((part.end(), row)));
        match rows.get_mut(row) {
            Some(row) => row.push(part),
            None => rows.push(vec![part]),
        }
    }
    rows.into_iter().map(row_of).collect()
}

/// Parts in order that do not overlap, as one tensor.
fn row_of(parts: Vec<Part>) -> Tensor {
    if let [one] = &parts[..] {
        return one.term.clone();
    }
    let (axis, whole) = (parts[0].axis, parts[0].whole.clone());
    let (mut all, mut at) = (Vec::new(), 0);
    let gap = |size: usize, dtype| zeros(whole.with_axis(axis, size), dtype);
    for part in &parts {
        if at < part.start {
            all.push(gap(part.start - at, part.x.dtype()));
        }
        at = part.end();
        all.push(part.x.clone());
    }
    if at < whole[axis] {
        all.push(gap(whole[axis] - at, parts[0].x.dtype()));
    }
    joined(&all, axis)
}

/// A batch of matrix products.
struct Product {
    factors: [Tensor; 2],
    whole: Shape,
    term: Tensor,
}

/// Products of one shape, as one step if they are many and small.
fn as_one(products: Vec<Product>) -> Vec<Tensor> {
    let factors: Vec<&[Tensor; 2]> = products.iter().map(|p| &p.factors).collect();
    if products.len() < MANY || !pays(&factors) {
        return products.into_iter().map(|p| p.term).collect();
    }
    vec![summed(products.into_iter().map(|p| p.factors))]
}
