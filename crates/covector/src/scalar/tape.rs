//! The tape: every op appends one entry, and a derivative is one walk over the entries.
//!
//! Entries stand in the order they were made, which is a topological order, so there is nothing to sort and no recursion.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use super::Number;
use super::number::evaluate;
use crate::rule_book::{Elementwise, Factor};

/// A record of scalar operations; it grows until it is dropped or [cleared](Tape::clear).
#[derive(Default)]
pub struct Tape(RefCell<Record>);

#[derive(Default)]
pub(super) struct Record {
    pub entries: Vec<Entry>,
    /// Plain numbers that met values.
    numbers: Vec<f64>,
    pub names: BTreeMap<u32, String>,
}

/// 32 bytes, so that two share a cache line.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// `None` for a leaf.
    pub op: Option<&'static Elementwise>,
    args: [Arg; 3],
    pub value: f64,
}

/// An operand: an entry or, with the top bit set, one of the numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Arg(u32);

const NUMBER: u32 = 1 << 31;

impl Arg {
    const ABSENT: Arg = Arg(u32::MAX);

    /// The position of an entry or number, of which there are fewer than 2³¹ - 1.
    fn position(len: usize) -> u32 {
        u32::try_from(len).ok().filter(|&i| i < NUMBER - 1).expect("a tape holds at most 2^31 - 2 entries")
    }

    fn entry(self) -> Option<usize> {
        (self.0 & NUMBER == 0).then_some(self.0 as usize)
    }
}

/// A number and the record of how it was produced; a copyable handle on a [`Tape`].
#[derive(Clone, Copy)]
pub struct Value<'t> {
    /// `None` for a plain number, which is on no tape.
    tape: Option<&'t Tape>,
    index: u32,
    data: f64,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Tape::default()
    }

    /// A leaf with this value.
    ///
    /// # Panics
    /// If the tape is full: it holds 2³¹ - 2 entries.
    pub fn value(&self, data: f64) -> Value<'_> {
        self.0.borrow_mut().push(self, None, [Arg::ABSENT; 3], data)
    }

    /// A leaf with this value and a name for drawings.
    ///
    /// ```
    /// use covector::scalar::Tape;
    /// let tape = Tape::new();
    /// assert_eq!(format!("{:?}", tape.named("x", 2.0)), "x = 2");
    /// ```
    pub fn named(&self, name: impl Into<String>, data: f64) -> Value<'_> {
        let leaf = self.value(data);
        self.0.borrow_mut().names.insert(leaf.index, name.into());
        leaf
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.borrow().entries.len()
    }

    /// True if nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every entry and keeps the memory, for the next step of a loop.
    pub fn clear(&mut self) {
        let record = self.0.get_mut();
        record.entries.clear();
        record.numbers.clear();
        record.names.clear();
    }
}

impl Record {
    fn push<'t>(&mut self, tape: &'t Tape, op: Option<&'static Elementwise>, args: [Arg; 3], data: f64) -> Value<'t> {
        let index = Arg::position(self.entries.len());
        self.entries.push(Entry { op, args, value: data });
        Value { tape: Some(tape), index, data }
    }

    fn number(&mut self, data: f64) -> Arg {
        let index = Arg::position(self.numbers.len());
        self.numbers.push(data);
        Arg(index | NUMBER)
    }

    fn data(&self, arg: Arg) -> f64 {
        match arg.entry() {
            Some(i) => self.entries[i].value,
            None if arg == Arg::ABSENT => 0.0,
            None => self.numbers[(arg.0 & !NUMBER) as usize],
        }
    }

    /// The operands of an entry: their numbers, and their positions if they are entries.
    pub fn operands(&self, i: usize) -> impl Iterator<Item = (Option<usize>, f64)> + '_ {
        let args = self.entries[i].args.into_iter();
        args.take_while(|a| *a != Arg::ABSENT).map(|a| (a.entry(), self.data(a)))
    }

    /// The terms `cotangent · ∂y/∂x` of an entry: for each operand that is an entry, its position and the term.
    #[inline(always)]
    pub fn terms(&self, entry: &Entry, cotangent: f64, mut add: impl FnMut(usize, f64)) {
        let Some(Ok(partials)) = entry.op.map(|op| op.partials) else { return };
        let x = entry.args.map(|arg| Number(self.data(arg)));
        let x = &x[..partials.number.len()];
        for (partial, arg) in partials.number.iter().zip(&entry.args) {
            if let Some(j) = arg.entry() {
                add(j, times(partial(x, &Number(entry.value)), cotangent));
            }
        }
    }
}

#[inline(always)]
fn times(factor: Factor<Number>, t: f64) -> f64 {
    match factor {
        Factor::Number(c) | Factor::Of(Number(c)) => t * c,
        Factor::When(c) => c.where_(t, 0.0).0,
        Factor::Unless(c) => c.where_(0.0, t).0,
        Factor::Share(a, b) => a.tie_share(b, t).0,
    }
}

impl<'t> Value<'t> {
    /// The number.
    pub fn data(self) -> f64 {
        self.data
    }

    #[inline(always)]
    pub(crate) fn apply(&self, op: &'static Elementwise, others: &[Value<'t>]) -> Value<'t> {
        let mut numbers = [self.data; 3];
        let mut tape = self.tape;
        for (number, v) in numbers[1..].iter_mut().zip(others) {
            *number = v.data;
            tape = match (tape, v.tape) {
                (Some(a), Some(b)) => {
                    assert!(std::ptr::eq(a, b), "{}: the operands are on two tapes", op.name);
                    tape
                }
                (a, b) => a.or(b),
            };
        }
        let data = evaluate(op, &numbers[..=others.len()]);
        let Some(tape) = tape else { return Value::from(data) };
        let mut record = tape.0.borrow_mut();
        let mut args = [Arg::ABSENT; 3];
        for (arg, v) in args.iter_mut().zip(std::iter::once(self).chain(others)) {
            *arg = if v.tape.is_some() { Arg(v.index) } else { record.number(v.data) };
        }
        record.push(tape, Some(op), args, data)
    }

    /// The derivatives of this value with respect to every entry of its tape, as numbers.
    ///
    /// Nothing on the tape changes, so it may be called any number of times, on any value.
    ///
    /// ```
    /// use covector::scalar::Tape;
    /// let tape = Tape::new();
    /// let (x, y) = (tape.value(3.0), tape.value(4.0));
    /// let grads = (x * x * y).backward();
    /// assert_eq!((grads.of(x), grads.of(y)), (24.0, 9.0));
    /// ```
    pub fn backward(self) -> Gradients {
        let Some(tape) = self.tape else { return Gradients(Vec::new()) };
        let record = tape.0.borrow();
        let mut grads = vec![0.0; self.index as usize + 1];
        grads[self.index as usize] = 1.0;
        for (i, entry) in record.entries[..grads.len()].iter().enumerate().rev() {
            let cotangent = grads[i];
            if cotangent != 0.0 {
                record.terms(entry, cotangent, |j, term| grads[j] += term);
            }
        }
        Gradients(grads)
    }

    /// The derivatives with respect to `wrt`, recorded on the tape, so that they can be differentiated again.
    ///
    /// ```
    /// use covector::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.value(2.0);
    /// let once = x.pow(4.0).gradients(&[x])[0];
    /// let twice = once.gradients(&[x])[0];
    /// assert_eq!((once.data(), twice.data()), (32.0, 48.0));
    /// ```
    pub fn gradients(self, wrt: &[Value<'t>]) -> Vec<Value<'t>> {
        let zero = Value::from(0.0);
        let Some(tape) = self.tape else { return vec![zero; wrt.len()] };
        let mut grads: Vec<Option<Value<'t>>> = vec![None; self.index as usize + 1];
        grads[self.index as usize] = Some(Value::from(1.0));
        for i in (0..grads.len()).rev() {
            let Some(cotangent) = grads[i] else { continue };
            let (entry, x) = tape.entry(i);
            let Some(Ok(partials)) = entry.op.map(|op| op.partials) else { continue };
            let y = Value { tape: Some(tape), index: i as u32, data: entry.value };
            for (partial, arg) in partials.value.iter().zip(&entry.args) {
                let Some(j) = arg.entry() else { continue };
                let term = match partial(&x[..partials.value.len()], y) {
                    Factor::Number(0.0) => continue,
                    Factor::Number(1.0) => cotangent,
                    Factor::Number(c) => cotangent * c,
                    Factor::Of(v) => cotangent * v,
                    Factor::When(c) => c.where_(cotangent, 0.0),
                    Factor::Unless(c) => c.where_(0.0, cotangent),
                    Factor::Share(a, b) => a.tie_share(b, cotangent),
                };
                grads[j] = Some(grads[j].map_or(term, |sum| sum + term));
            }
        }
        let of = |v: &Value<'t>| v.entry().and_then(|i| grads.get(i).copied().flatten()).unwrap_or(zero);
        wrt.iter().map(of).collect()
    }

    /// The derivative of this value along a direction, given as a tangent for each of some leaves (forward mode).
    ///
    /// ```
    /// use covector::scalar::Tape;
    /// let tape = Tape::new();
    /// let (x, y) = (tape.value(3.0), tape.value(4.0));
    /// assert_eq!((x * y).jvp(&[(x, 1.0), (y, 10.0)]), 34.0);
    /// ```
    pub fn jvp(self, tangents: &[(Value<'t>, f64)]) -> f64 {
        let Some(tape) = self.tape else { return 0.0 };
        let record = tape.0.borrow();
        let mut found = vec![0.0; self.index as usize + 1];
        for (v, t) in tangents {
            if let Some(slot) = v.entry().and_then(|i| found.get_mut(i)) {
                *slot += t;
            }
        }
        for (i, entry) in record.entries[..found.len()].iter().enumerate() {
            let mut sum = found[i];
            record.terms(entry, 1.0, |j, slope| sum += if found[j] == 0.0 { 0.0 } else { slope * found[j] });
            found[i] = sum;
        }
        found[self.index as usize]
    }

    /// The position on the tape; `None` for a plain number.
    pub(super) fn entry(self) -> Option<usize> {
        self.tape.map(|_| self.index as usize)
    }

    /// Reads the tape this value is on.
    pub(super) fn record<R>(self, read: impl FnOnce(&Record) -> R) -> Option<R> {
        self.tape.map(|tape| read(&tape.0.borrow()))
    }
}

impl Tape {
    /// An entry, and handles on its operands.
    fn entry(&self, i: usize) -> (Entry, [Value<'_>; 3]) {
        let record = self.0.borrow();
        let entry = record.entries[i];
        let handle = |arg: Arg| match arg.entry() {
            Some(j) => Value { tape: Some(self), index: arg.0, data: record.entries[j].value },
            None => Value::from(record.data(arg)),
        };
        (entry, entry.args.map(handle))
    }
}

/// The derivatives that [`Value::backward`] found.
pub struct Gradients(Vec<f64>);

impl Gradients {
    /// The derivative with respect to `v`; 0 if it was not used.
    pub fn of(&self, v: Value<'_>) -> f64 {
        v.entry().and_then(|i| self.0.get(i).copied()).unwrap_or(0.0)
    }

    /// By position on the tape.
    pub(super) fn at(&self, entry: usize) -> f64 {
        self.0[entry]
    }
}

impl From<f64> for Value<'_> {
    fn from(data: f64) -> Self {
        Value { tape: None, index: 0, data }
    }
}
impl<'t> From<&Value<'t>> for Value<'t> {
    fn from(v: &Value<'t>) -> Self {
        *v
    }
}

impl<'t> std::iter::Sum for Value<'t> {
    fn sum<I: Iterator<Item = Value<'t>>>(values: I) -> Self {
        values.reduce(|a, b| a + b).unwrap_or(Value::from(0.0))
    }
}

/// The number, with the format's precision.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data.fmt(f)
    }
}

/// What made the number, and the number: `x = 2`, `tanh(#4) = 0.5`; `#4` is the entry made fifth.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.record(|record| {
            let (i, operand) = (self.index as usize, |i: usize| format!("#{i}"));
            let named = |i: usize| record.names.get(&(i as u32)).cloned().unwrap_or_else(|| operand(i));
            let Some(op) = record.entries[i].op else { return named(i) };
            let args = record.operands(i).map(|(at, data)| at.map_or_else(|| data.to_string(), named));
            format!("{}({})", op.name, args.collect::<Vec<_>>().join(", "))
        });
        match origin {
            Some(origin) => write!(f, "{origin} = {}", self.data),
            None => write!(f, "{}", self.data),
        }
    }
}
super::operators!(Value<'t>, 't);
