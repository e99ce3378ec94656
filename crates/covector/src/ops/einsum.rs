//! Sums of products by named axes: `einsum` and its relatives.

use covector_derive::{op, op_list};

use super::contract::{LABELS, Label, Labelled, Labels, contract, pair, set_of};
use super::create::addressable;
use super::linear::common_dtype;
use super::view::{main_diagonal, permuted, reshaped};
use crate::axes::resolve;
use crate::{Error, Ints, Result, Tensor};

/// Labels from here on name the axes under `...`, counted from the right.
const ELLIPSIS: usize = 52;

/// Einstein's summation: axes are named by letters, those not in the output are summed over.
///
/// Shapes: `spec` is `ab,bc->ac`: a letter per axis and operand, upper and lower case differ, spaces do not matter. `...`
/// stands for any further axes, which broadcast. A letter twice in one operand takes the diagonal. Without `->` the output
/// is `...` and the letters that occur once, in the order of ASCII. Dtypes are promoted.
/// Several operands are contracted in pairs, in the cheapest order up to ten operands, in a good one beyond; every pair
/// with a common sum is one matrix product.
/// # Errors
/// If the text is malformed, operands and text differ in number or rank, a letter has two sizes, or an output letter is
/// in no operand.
/// # Example
/// ```
/// use covector::{Tensor, ops::einsum::einsum};
/// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(einsum("ij,ij->i", &[a.clone(), a.clone()]).to_vec::<f32>(), [5.0, 25.0]);
/// assert_eq!(einsum("ii", &[a]).item::<f32>(), 5.0);
/// ```
/// Source: NumPy's `einsum`.
#[op(samples = [
    ("ab,bc->ca", [real([2, 3]), real2([3, 4])]), ("Zqhd,Zkhd->Zhqk", [real([2, 2, 2, 3]), real2([2, 3, 2, 3])]),
    ("...ij,jk", [real([2, 1, 2, 3]), real2([3, 2])]), ("iij->j", [real([3, 3, 2])]),
    ("i,ij,j,j->", [real([2]), real2([2, 3]), real([3]), positive([3])]), ("a,b->ba", [real([2]), real2([3])]),
    ("...a,...->...a", [real([2, 1, 2]), real2([3])]),
    ("ij,jk,k->i", [complex([2, 3]), complex2([3, 2]), real([2])]),
], notes = "vmap=1e-14")]
pub fn einsum(spec: &str, operands: &[Tensor]) -> Result<Tensor> {
    let Subscripts { inputs, output } = Subscripts::read(spec, operands)?;
    let dtype = common_dtype(&operands.iter().collect::<Vec<_>>())?;
    let operands = operands.iter().map(|x| x.cast(dtype));
    let terms = operands.zip(inputs).map(|(x, labels)| without_repeats(x, labels)).collect::<Vec<_>>();
    let largest = |label: Label| terms.iter().filter_map(|t| t.size_of(label)).find(|&d| d != 1);
    let terms: Vec<_> = terms.iter().map(|term| squeezed(term, largest)).collect();
    fits(&terms.iter().collect::<Vec<_>>(), &output)?;
    Ok(contract(terms, &output))
}

/// Refuses an output too large for memory.
fn fits(terms: &[&Labelled], output: &[Label]) -> Result<()> {
    let size = |&label: &Label| terms.iter().find_map(|t| t.size_of(label)).unwrap_or(1);
    addressable(&output.iter().map(size).collect(), terms[0].x.dtype())
}

/// The product of two tensors summed over the last axis of the first and the second-to-last of the second.
///
/// Shapes: `[m..] · [..] -> [m..]` if one is a scalar, `[k] · [k] -> []`, `[m.., k] · [k] -> [m..]`,
/// `[m.., k] · [n.., k, o] -> [m.., n.., o]`. Dtypes are promoted.
/// # Errors
/// If the sizes of the two axes differ.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0]).dot(&Tensor::from([3.0f32, 4.0])).item::<f32>(), 11.0);
/// ```
/// Source: NumPy's `dot`.
#[op(samples = [
    (real([3]), real2([3])), (real([2, 3]), real2([3])), (real([2, 2, 3]), real2([2, 3, 2])), (real(()), real2([2])), (real([0]), real2([0])),
    (complex([2, 3]), complex2([3])),
])]
pub fn dot(x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
    if x1.ndim() == 0 || x2.ndim() == 0 {
        let [a, b] = both_promoted(x1, x2)?;
        return Ok(a * b);
    }
    summed_over(x1, x2, &[x1.ndim() - 1], &[x2.ndim().saturating_sub(2)])
}

/// All products of an element of one tensor and one of the other.
///
/// Shapes: `[m], [n] -> [m, n]`; more axes are flattened. Dtypes are promoted.
/// # Errors
/// If both are bool.
/// # Example
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([1.0f32, 2.0]).outer(&Tensor::from([3.0f32, 4.0]));
/// assert_eq!(y.to_vec::<f32>(), [3.0, 4.0, 6.0, 8.0]);
/// ```
/// Source: NumPy's `outer`.
#[op(samples = [(real([2]), real2([3])), (real([2, 2]), real2([2])), (real(()), real2([3])), (real([0]), real2([2])), (complex([2]), complex2([3]))])]
pub fn outer(x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
    let [a, b] = both_promoted(x1, x2)?;
    reshaped(&a, [a.size(), 1]).try_multiply(reshaped(&b, [1, b.size()]))
}

/// The product of two tensors summed over pairs of axes.
///
/// Shapes: axis `axes1[i]` of `x1` is as long as axis `axes2[i]` of `x2`; the result has the other axes of `x1`, then those
/// of `x2`. Without axes it is the outer product. Dtypes are promoted.
/// # Errors
/// If the lists differ in length, an axis is out of range or named twice, or the sizes differ.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(a.tensordot(&a, [0, 1], [1, 0]).item::<f32>(), 29.0);
/// ```
/// Source: NumPy's `tensordot`.
#[op(samples = [
    (real([2, 3]), real2([3, 4]), [1], [0]), (real([2, 3, 2]), real2([2, 4, 3]), [0, -2], [0, 2]), (real([2]), real2([3]), Vec::<i64>::new(), Vec::<i64>::new()),
    (real([2, 3]), real2([3, 2]), [0, 1], [1, 0]),
    (complex([2, 3]), complex2([3, 2]), [0, 1], [1, 0]),
])]
pub fn tensordot(x1: &Tensor, x2: &Tensor, axes1: Ints, axes2: Ints) -> Result<Tensor> {
    if axes1.0.len() != axes2.0.len() {
        let (n1, n2) = (axes1.0.len(), axes2.0.len());
        return Err(Error::new(format!("{n1} axes of the first operand against {n2} of the second"))
            .hint("the lists pair the axes to sum over, one by one"));
    }
    let all = |axes: &Ints, x: &Tensor| -> Result<Vec<usize>> {
        let axes = axes.0.iter().map(|&a| resolve(a as isize, x.ndim())).collect::<Result<Vec<usize>>>()?;
        match (0..axes.len()).find(|&i| axes[..i].contains(&axes[i])) {
            Some(i) => Err(Error::new(format!("axis {} of {} is named twice", axes[i], x.spec()))),
            None => Ok(axes),
        }
    };
    summed_over(x1, x2, &all(&axes1, x1)?, &all(&axes2, x2)?)
}

/// The product summed over axis `axes1[i]` of `x1` with axis `axes2[i]` of `x2`.
fn summed_over(x1: &Tensor, x2: &Tensor, axes1: &[usize], axes2: &[usize]) -> Result<Tensor> {
    for (&i, &j) in axes1.iter().zip(axes2) {
        let (m, n) = (x1.shape()[i], x2.shape()[j]);
        if m != n {
            return Err(Error::new(format!("axis {i} of {} is not as long as axis {j} of {}", x1.spec(), x2.spec()))
                .hint(format!("axes that are summed over together need one size, not {m} and {n}"))
                .clash([x1.shape(), x2.shape()], [i, j]));
        }
    }
    if x1.ndim() + x2.ndim() > LABELS {
        return Err(Error::new(format!("more than {LABELS} axes")));
    }
    let [a, b] = both_promoted(x1, x2)?;
    let first: Labels = (0..x1.ndim()).map(|i| i as Label).collect();
    let paired = |j: usize| axes2.iter().position(|&k| k == j).map(|i| axes1[i]);
    let second: Labels = (0..x2.ndim()).map(|j| paired(j).unwrap_or(x1.ndim() + j) as Label).collect();
    let output: Labels =
        first.iter().chain(&second).copied().filter(|l| !(first.contains(l) && second.contains(l))).collect();
    let (a, b) = (Labelled { x: a, labels: first }, Labelled { x: b, labels: second });
    fits(&[&a, &b], &output)?;
    Ok(pair(&a, &b, set_of(&output)).ordered(&output))
}

/// Both operands in one dtype.
fn both_promoted(x1: &Tensor, x2: &Tensor) -> Result<[Tensor; 2]> {
    let dtype = common_dtype(&[x1, x2])?;
    Ok([x1.cast(dtype), x2.cast(dtype)])
}

/// What the text of an einsum says: the labels of every operand's axes, and of the output's.
struct Subscripts {
    inputs: Vec<Labels>,
    output: Labels,
}

impl Subscripts {
    fn read(text: &str, operands: &[Tensor]) -> Result<Subscripts> {
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let written: Vec<Term> = left.split(',').map(Term::read).collect::<Result<_>>()?;
        if written.len() != operands.len() {
            let (n, given) = (written.len(), operands.len());
            return Err(Error::new(format!("the number of operands is {n} in `{text}`, and {given} were given"))
                .hint("commas separate the operands, as in `ij,jk->ik`"));
        }
        let inputs: Vec<Labels> =
            written.iter().zip(operands).enumerate().map(|(i, (t, x))| t.labels(i, x)).collect::<Result<_>>()?;
        check_sizes(&inputs, operands)?;
        let hidden = inputs.iter().flatten().map(|&l| (l as usize + 1).saturating_sub(ELLIPSIS)).max().unwrap_or(0);
        let output = match right {
            Some(right) => Term::read(right)?.output(&inputs, hidden)?,
            None => implied(&inputs, hidden),
        };
        Ok(Subscripts { inputs, output })
    }
}

/// One operand's subscripts: the letters before and after `...`, if it is there.
struct Term {
    before: Labels,
    after: Option<Labels>,
}

impl Term {
    fn read(text: &str) -> Result<Term> {
        let mut term = Term { before: Labels::new(), after: None };
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut rest = &dense[..];
        while let Some(c) = rest.chars().next() {
            if let (Some(behind), None) = (rest.strip_prefix("..."), &term.after) {
                term.after = Some(Labels::new());
                rest = behind;
                continue;
            }
            let label = label_of(c).ok_or_else(|| {
                Error::new(format!("`{c}` in `{}` is no letter", text.trim()))
                    .hint("subscripts are letters and at most one `...` per operand, as in `...ij,jk->...ik`")
            })?;
            term.after.as_mut().unwrap_or(&mut term.before).push(label);
            rest = &rest[1..];
        }
        Ok(term)
    }

    fn letters(&self) -> usize {
        self.before.len() + self.after.as_ref().map_or(0, |a| a.len())
    }

    /// The labels when `...` stands for `hidden` axes.
    fn spelled(&self, hidden: usize) -> Labels {
        let dots = (0..hidden).rev().map(|i| (ELLIPSIS + i) as Label);
        match &self.after {
            Some(after) => self.before.iter().copied().chain(dots).chain(after.iter().copied()).collect(),
            None => self.before.clone(),
        }
    }

    /// The labels of the axes of operand `i`.
    fn labels(&self, i: usize, x: &Tensor) -> Result<Labels> {
        let (named, ndim) = (self.letters(), x.ndim());
        if named > ndim || (named < ndim && self.after.is_none()) {
            let hint =
                if named < ndim { "`...` stands for axes without a letter" } else { "one letter names one axis" };
            return Err(Error::new(format!("operand {i}, {}, has {ndim} axes, its subscripts name {named}", x.spec()))
                .hint(hint));
        }
        if ndim - named > LABELS - ELLIPSIS {
            return Err(Error::new(format!("`...` cannot stand for {} axes", ndim - named)));
        }
        Ok(self.spelled(ndim - named))
    }

    /// The labels of the output's axes.
    fn output(&self, inputs: &[Labels], hidden: usize) -> Result<Labels> {
        if hidden > 0 && self.after.is_none() {
            return Err(Error::new("the output has no `...`, but the operands have axes there")
                .hint("write `...` in the output too; to sum over axes, name them"));
        }
        let labels = self.spelled(hidden);
        for (i, &label) in labels.iter().enumerate() {
            if labels[..i].contains(&label) {
                return Err(Error::new(format!("{} stands twice in the output", name(label))));
            }
            if !inputs.iter().any(|labels| labels.contains(&label)) {
                return Err(Error::new(format!("{} of the output is in no operand", name(label))));
            }
        }
        Ok(labels)
    }
}

/// The output where none is given: `...`, then the letters that occur once, in the order of ASCII.
fn implied(inputs: &[Labels], hidden: usize) -> Labels {
    let occurs = |label: Label| inputs.iter().flatten().filter(|&&l| l == label).count();
    let dots = (0..hidden).rev().map(|i| (ELLIPSIS + i) as Label);
    dots.chain((0..ELLIPSIS as Label).filter(|&l| occurs(l) == 1)).collect()
}

/// A letter has one size everywhere; sizes under `...` broadcast.
fn check_sizes(inputs: &[Labels], operands: &[Tensor]) -> Result<()> {
    let mut seen: [Option<(usize, usize, usize)>; LABELS] = [None; LABELS];
    for (i, (labels, x)) in inputs.iter().zip(operands).enumerate() {
        for (axis, (&label, &size)) in labels.iter().zip(x.shape().iter()).enumerate() {
            let slot = &mut seen[label as usize];
            match *slot {
                _ if label as usize >= ELLIPSIS && size == 1 => {}
                None => *slot = Some((size, i, axis)),
                Some((other, ..)) if other == size => {}
                Some((other, j, first_axis)) => {
                    let (first, second) = (operands[j].spec(), x.spec());
                    return Err(Error::new(format!(
                        "{} has size {other} in operand {j}, {first}, and {size} in operand {i}, {second}",
                        name(label)
                    ))
                    .hint("a letter names axes of one size; only axes under `...` broadcast")
                    .clash([operands[j].shape(), x.shape()], [first_axis, axis]));
                }
            }
        }
    }
    Ok(())
}

fn label_of(c: char) -> Option<Label> {
    match c {
        'A'..='Z' => Some(c as u8 - b'A'),
        'a'..='z' => Some(c as u8 - b'a' + 26),
        _ => None,
    }
}

fn name(label: Label) -> String {
    match label {
        0..26 => format!("`{}`", (b'A' + label) as char),
        26..52 => format!("`{}`", (b'a' + label - 26) as char),
        _ => format!("axis -{} of `...`", label as usize - ELLIPSIS + 1),
    }
}

/// The diagonal over the axes of every label that stands twice.
fn without_repeats(mut x: Tensor, mut labels: Labels) -> Labelled {
    while let Some(j) = (0..labels.len()).find(|&j| labels[..j].contains(&labels[j])) {
        let label = labels[j];
        let i = labels.iter().position(|&l| l == label).expect("it stands before");
        let order: Vec<usize> = (0..labels.len()).filter(|&k| k != i && k != j).chain([i, j]).collect();
        x = main_diagonal(&permuted(&x, &order));
        labels.remove(j);
        labels.remove(i);
        labels.push(label);
    }
    Labelled { x, labels }
}

/// Drops axes under `...` of size 1 that broadcast against another size.
fn squeezed(term: &Labelled, largest: impl Fn(Label) -> Option<usize>) -> Labelled {
    let broadcasts = |i: usize| {
        let label = term.labels[i];
        label as usize >= ELLIPSIS && term.x.shape()[i] == 1 && largest(label).is_some()
    };
    let labels = (0..term.labels.len()).filter(|&i| !broadcasts(i)).map(|i| term.labels[i]).collect();
    Labelled { x: reshaped(&term.x, term.x.shape().without(broadcasts)), labels }
}

op_list![dot, outer, tensordot, einsum];
