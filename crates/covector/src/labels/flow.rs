//! How labels of operands become those of a result: axes that meet must agree, unknowns are solved for.

use covector_array::Shape;

use super::label::Solution;
use super::{Described, Label, Labels, Name, Names, Part};
use crate::{Error, Result, Spec, Tensor};

/// Where an axis is: the operand and the axis.
type Place = (usize, usize);

/// Where a primitive says how the axes of its operands and of its result hang together.
///
/// What it says nothing of has no label. Nothing here fails: the first clash is kept and reported by the op. A product of
/// matrices says `flow.subscripts("...mk,...kn->...mn")`, a sum `flow.dropped(&axes)`, a cumulative sum `flow.alike()`.
pub struct Flow<'a> {
    pub(super) inputs: &'a [Tensor],
    pub(super) out: &'a Shape,
    pub(super) names: Vec<Name>,
    /// What unknowns have turned out to be, each in terms of what is still unknown.
    solved: Vec<(u64, Label)>,
    clash: Option<([Label; 2], [Place; 2])>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(inputs: &'a [Tensor], out: &'a Spec) -> Flow<'a> {
        let names = vec![Name::default(); out.shape.len()];
        Flow { inputs, out: &out.shape, names, solved: Vec::new(), clash: None }
    }

    /// Every axis of the result is that axis of all operands.
    pub fn alike(&mut self) {
        for axis in 0..self.out.len() {
            self.names[axis] = self.joined((0..self.inputs.len()).map(|i| (i, axis)));
        }
    }

    /// The result's axes are, in this order, axes of an operand; `None` for one that is new.
    pub fn carried(&mut self, operand: usize, axes: impl IntoIterator<Item = Option<usize>>) {
        for (to, from) in axes.into_iter().enumerate() {
            if let Some(from) = from {
                self.names[to] = self.at((operand, from));
            }
        }
    }

    /// The axes of the first operand without some of them.
    pub fn dropped(&mut self, axes: &[usize]) {
        let kept = (0..self.inputs[0].ndim()).filter(|a| !axes.contains(a));
        self.carried(0, kept.map(Some));
    }

    /// The result is the first operand, whatever the others are.
    pub fn first(&mut self) {
        self.dropped(&[]);
    }

    /// A number for each axis of every operand and of the result: equal numbers stand for the same axis.
    ///
    /// Operands that are not there may be spoken of.
    pub fn linked(&mut self, operands: &[&[usize]], result: &[usize]) {
        let axes =
            |(i, keys): (usize, &&[usize])| keys.iter().enumerate().map(move |(axis, &key)| (key, (i, axis))).collect();
        let axes: Vec<Vec<(usize, Place)>> = operands.iter().take(self.inputs.len()).enumerate().map(axes).collect();
        let mut known: Vec<(usize, Name)> = Vec::new();
        for &(key, _) in axes.iter().flatten() {
            if known.iter().all(|(k, _)| *k != key) {
                let name = self.joined(axes.iter().flatten().filter(|(k, _)| *k == key).map(|&(_, place)| place));
                known.push((key, name));
            }
        }
        for (to, key) in result.iter().enumerate() {
            if let Some((_, name)) = known.iter().find(|(k, _)| k == key) {
                self.names[to] = name.clone();
            }
        }
    }

    /// As [`linked`](Self::linked), written as the subscripts of einsum: `...mk,...kn->...mn`.
    pub fn subscripts(&mut self, text: &str) {
        const DOTS: usize = 1 << 32;
        let spelled = |term: &str, ndim: usize| -> Vec<usize> {
            let letters = |text: &str| text.chars().map(|c| c as usize).collect::<Vec<_>>();
            match term.split_once("...") {
                None => letters(term),
                Some((before, after)) => {
                    let hidden = DOTS..DOTS + ndim.saturating_sub(before.len() + after.len());
                    letters(before).into_iter().chain(hidden).chain(letters(after)).collect()
                }
            }
        };
        let (terms, result) = text.split_once("->").unwrap_or((text, ""));
        let operands: Vec<Vec<usize>> = terms.split(',').zip(self.inputs).map(|(t, x)| spelled(t, x.ndim())).collect();
        let operands: Vec<&[usize]> = operands.iter().map(Vec::as_slice).collect();
        let result = spelled(result, self.out.len());
        self.linked(&operands, &result);
    }

    /// The result's axis is this axis of all these operands.
    pub fn same(&mut self, to: usize, places: impl IntoIterator<Item = (usize, usize)>) {
        self.names[to] = self.joined(places);
    }

    /// The result's axis is an operand's, longer or shorter by a number: the difference of their sizes here.
    pub fn resized(&mut self, to: usize, (operand, axis): (usize, usize)) {
        let by = self.out[to] as i64 - self.shape(operand)[axis] as i64;
        let name = self.at((operand, axis));
        self.names[to] = match by {
            0 => name,
            _ => Name::of(name.label.and_then(|label| label.plus(&Label::number(by)))),
        };
    }

    /// The result's axis grows `times` as fast as an operand's, of which only the size was taken into account; where it has a
    /// label.
    pub fn varied(&mut self, to: usize, (operand, axis): (usize, usize), times: i64) {
        let Some(varies) = self.at((operand, axis)).label else { return };
        let size = Label::number(-(self.shape(operand)[axis] as i64));
        let more = varies.plus(&size).and_then(|more| more.times(&Label::number(times)));
        let label = self.names[to].label.take();
        self.names[to] = Name::of(label.zip(more).and_then(|(label, more)| label.plus(&more)));
    }

    /// The shape of an operand.
    pub fn shape(&self, operand: usize) -> &'a Shape {
        self.inputs[operand].shape()
    }

    /// The operands stand one after another along an axis, and are alike along the others. Where there is no label, sizes 0
    /// and 1 count as numbers.
    pub fn end_to_end(&mut self, along: usize) {
        for axis in (0..self.out.len()).filter(|&axis| axis != along) {
            self.same(axis, (0..self.inputs.len()).map(|i| (i, axis)));
        }
        let one = |i: usize| match self.at((i, along)).label {
            None if self.shape(i)[along] <= 1 => Some(Label::number(self.shape(i)[along] as i64)),
            label => label,
        };
        let sum = (0..self.inputs.len()).map(one).reduce(|a, b| a?.plus(&b?)).flatten();
        // A sum of numbers alone says nothing that has a name.
        self.names[along] = Name::of(sum.filter(|l| l.as_number().is_none()));
    }

    /// The name of an operand's axis, as far as it is known by now.
    pub(super) fn at(&self, (operand, axis): Place) -> Name {
        self.resolved(self.inputs[operand].names().get(axis))
    }

    fn resolved(&self, mut name: Name) -> Name {
        for (unknown, value) in &self.solved {
            let replaced = |label: Option<Label>| label.and_then(|l| l.replaced(*unknown, value));
            name.label = replaced(name.label);
            name.parts.iter_mut().for_each(|part| part.0 = replaced(part.0.take()));
        }
        name
    }

    /// What is known of an axis that is all of these.
    fn joined(&mut self, places: impl IntoIterator<Item = Place>) -> Name {
        let mut known: Option<(Name, Place)> = None;
        for place in places {
            let name = self.at(place);
            known = Some(match known {
                None => (name, place),
                Some((first, origin)) => {
                    let first = self.resolved(first);
                    let origin = if first.label.is_none() { place } else { origin };
                    (self.met(first, name, [origin, place]), origin)
                }
            });
        }
        known.map_or_else(Name::default, |(name, _)| self.resolved(name))
    }

    /// One name for an axis that has two.
    fn met(&mut self, a: Name, b: Name, places: [Place; 2]) -> Name {
        let alike = a.label == b.label || a.parts.len() != b.parts.len();
        if !alike && !a.parts.is_empty() && a.parts.iter().zip(&b.parts).all(|(p, q)| p.1 == q.1) {
            // Both were merged of the same sizes: their factors meet.
            let met = |(p, q): (Part, Part)| (self.met(Name::of(p.0), Name::of(q.0), places).label, p.1);
            let parts: Vec<Part> = a.parts.into_iter().zip(b.parts).map(met).collect();
            let label = parts.iter().map(|p| p.0.clone()).reduce(|a, b| a?.times(&b?)).flatten();
            return self.resolved(Name { label, parts });
        }
        let parts = if a.parts.is_empty() { b.parts } else { a.parts };
        let (x, y) = match (a.label, b.label) {
            (Some(x), Some(y)) => (x, y),
            (x, y) => return Name { label: x.or(y), parts },
        };
        let label = match x.solve(&y) {
            Solution::Equal => x,
            Solution::Bind(unknown, value) => {
                self.bind(unknown, value);
                x
            }
            // A number is the size that it is, under any name.
            Solution::Open | Solution::Differ if x.as_number().is_some() => y,
            Solution::Open | Solution::Differ if y.as_number().is_some() => x,
            Solution::Open => {
                if y.is_known() {
                    y
                } else {
                    x
                }
            }
            Solution::Differ => {
                self.clash.get_or_insert_with(|| ([x.clone(), y], places));
                x
            }
        };
        self.resolved(Name { label: Some(label), parts })
    }

    fn bind(&mut self, unknown: u64, value: Label) {
        for (_, known) in &mut self.solved {
            if let Some(replaced) = known.replaced(unknown, &value) {
                *known = replaced;
            }
        }
        self.solved.push((unknown, value));
    }

    /// The names of the result, and the first clash.
    pub(super) fn finish(mut self, primitive: &'static str) -> (Names, Option<Clash>) {
        let names = std::mem::take(&mut self.names);
        let names = names.into_iter().map(|name| self.resolved(name)).collect();
        let clash = self.clash.map(|(labels, places)| Clash {
            labels: labels.map(|l| l.shown()),
            places: places.map(|(i, axis)| (self.inputs[i].described(), axis)),
            primitive,
        });
        (Names::new(names), clash)
    }
}

/// The names of `x` when its axes are also called `labels`.
///
/// # Errors
/// If one contradicts what is known.
pub(super) fn stated(x: &Tensor, labels: &Labels) -> Result<Names> {
    let mut flow = Flow::new(std::slice::from_ref(x), x.spec());
    for (axis, label) in labels.iter().enumerate() {
        let known = flow.at((0, axis));
        let Some(label) = label else { continue };
        flow.met(known.clone(), Name::of(Some(label.clone())), [(0, axis); 2]);
        if flow.clash.is_some() {
            let known = known.label.map_or(String::new(), |l| l.shown().to_string());
            return Err(Error::new(format!("axis {axis} of {} is `{known}`, not `{label}`", x.described()))
                .hint("`relabelled` replaces what an axis was called"));
        }
    }
    let named = |(axis, label): (usize, &Option<Label>)| {
        let known = flow.at((0, axis));
        let firm = known.label.as_ref().is_some_and(|l| l.is_known() && l.as_number().is_none());
        let label = if firm { None } else { label.clone() };
        Name { label: label.or(known.label), parts: known.parts }
    };
    Ok(Names::new(labels.iter().enumerate().map(named).collect()))
}

/// Two labels that met and are not equal.
pub(crate) struct Clash {
    labels: [Label; 2],
    /// The operands of the primitive where they met, each with the axis.
    places: [(Described, usize); 2],
    primitive: &'static str,
}

impl Clash {
    /// The error, told of the operands of the op the user called, where the labels are found there.
    pub fn error(self, operands: &[Described]) -> Error {
        let [a, b] = &self.labels;
        // Of several operands with the label, the one whose axes are called as those that met.
        let find = |k: usize, not: Option<usize>| {
            let (label, (met, _)) = (&self.labels[k], &self.places[k]);
            let named = |x: &Described| x.labels.iter().flatten().cloned().collect::<Vec<Label>>();
            let all = || operands.iter().enumerate().filter(|(i, _)| Some(*i) != not);
            let place = |(i, x): (usize, &Described)| Some((i, axis_of(x, label)?));
            all().filter(|(_, x)| named(x) == named(met)).find_map(place).or_else(|| all().find_map(place))
        };
        let first = find(0, None);
        let second = find(1, first.map(|(i, _)| i)).or_else(|| find(1, None));
        let met = format!("labels clash: `{a}` meets `{b}`");
        let message = match (first, second) {
            (Some((i, m)), Some((j, n))) => format!("{met} (axis {m} of operand {i} and axis {n} of operand {j})"),
            _ => {
                let [(x, m), (y, n)] = &self.places;
                format!("{met} (axis {m} of {x} and axis {n} of {y}, in its `{}`)", self.primitive)
            }
        };
        // The axis that would have fitted is often there, in another place.
        let elsewhere = second.and_then(|(j, _)| Some((j, axis_of(&operands[j], a)?)));
        let hint = match elsewhere.filter(|_| first.map(|f| f.0) != second.map(|s| s.0)) {
            Some((j, axis)) => format!("axis {axis} of operand {j} is `{a}`: are its axes in another order?"),
            None => "where two names mean the same, `relabelled` gives an axis the other".to_owned(),
        };
        Error::new(message).hint(hint).of_labels(self.labels)
    }
}

/// The first axis with this label.
fn axis_of(x: &Described, label: &Label) -> Option<usize> {
    x.labels.iter().position(|l| l.as_ref() == Some(label))
}
