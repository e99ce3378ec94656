//! The tape: every op appends one entry, and the backward pass walks the entries in reverse.
//!
//! Entries stand in the order they were made, which is a topological order, so there is nothing to sort and no recursion.

use std::cell::RefCell;

use super::Number;
use super::number::evaluate;
use crate::rule_book::{Elementwise, Factor};

/// A record of scalar operations.
#[derive(Default)]
pub struct Tape {
    entries: RefCell<Vec<Entry>>,
}

struct Entry {
    /// `None` for a leaf.
    op: Option<&'static Elementwise>,
    args: [Operand; 3],
    value: f64,
}

#[derive(Clone, Copy)]
enum Operand {
    Entry(u32),
    Number(f64),
    Absent,
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
    /// If the tape holds more than 2³² entries.
    pub fn value(&self, data: f64) -> Value<'_> {
        self.push(None, [Operand::Absent; 3], data)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// True if nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every entry from `len` on, to reuse the tape; handles on them must not be used any more.
    pub fn truncate(&mut self, len: usize) {
        self.entries.get_mut().truncate(len);
    }

    fn push(&self, op: Option<&'static Elementwise>, args: [Operand; 3], data: f64) -> Value<'_> {
        let mut entries = self.entries.borrow_mut();
        let index = u32::try_from(entries.len()).expect("a tape holds at most 2^32 entries");
        entries.push(Entry { op, args, value: data });
        Value { tape: Some(self), index, data }
    }

    fn handle(&self, operand: Operand) -> Value<'_> {
        match operand {
            Operand::Entry(index) => {
                Value { tape: Some(self), index, data: self.entries.borrow()[index as usize].value }
            }
            Operand::Number(data) => Value::from(data),
            Operand::Absent => unreachable!("an op has as many operands as its record says"),
        }
    }
}

impl<'t> Value<'t> {
    /// The number.
    pub fn data(self) -> f64 {
        self.data
    }

    pub(crate) fn apply(&self, op: &'static Elementwise, others: &[Value<'t>]) -> Value<'t> {
        let mut numbers = [self.data; 3];
        let mut args = [Operand::Absent; 3];
        let mut tape: Option<&'t Tape> = None;
        for (k, v) in std::iter::once(self).chain(others).enumerate() {
            numbers[k] = v.data;
            args[k] = if v.tape.is_some() { Operand::Entry(v.index) } else { Operand::Number(v.data) };
            tape = match (tape, v.tape) {
                (Some(a), Some(b)) => {
                    assert!(std::ptr::eq(a, b), "{}: the operands are on two tapes", op.name);
                    tape
                }
                (a, b) => a.or(b),
            };
        }
        let data = evaluate(op, &numbers[..=others.len()]);
        tape.map_or(Value::from(data), |t| t.push(Some(op), args, data))
    }

    /// The derivatives of this value with respect to every entry of its tape, as numbers.
    ///
    /// Nothing on the tape changes, so it may be called any number of times, on any value.
    pub fn backward(self) -> Gradients {
        let Some(tape) = self.tape else { return Gradients(Vec::new()) };
        let entries = tape.entries.borrow();
        let mut grads = vec![0.0; self.index as usize + 1];
        grads[self.index as usize] = 1.0;
        for (i, entry) in entries[..grads.len()].iter().enumerate().rev() {
            let cotangent = grads[i];
            let (Some(op), true) = (entry.op, cotangent != 0.0) else { continue };
            let Ok(partials) = op.partials else { continue };
            let mut x = [Number(0.0); 3];
            let arity = partials.number.len();
            for (x, arg) in x.iter_mut().zip(&entry.args) {
                x.0 = match *arg {
                    Operand::Entry(j) => entries[j as usize].value,
                    Operand::Number(data) => data,
                    Operand::Absent => 0.0,
                };
            }
            for (partial, arg) in partials.number.iter().zip(&entry.args) {
                let Operand::Entry(j) = *arg else { continue };
                grads[j as usize] += match partial(&x[..arity], &Number(entry.value)) {
                    Factor::Number(c) | Factor::Of(Number(c)) => cotangent * c,
                    Factor::When(c) => c.where_(cotangent, 0.0).0,
                    Factor::Unless(c) => c.where_(0.0, cotangent).0,
                    Factor::Share(a, b) => a.tie_share(b, cotangent).0,
                };
            }
        }
        Gradients(grads)
    }

    /// The derivatives with respect to `wrt`, recorded on the tape, so that they can be differentiated again.
    pub fn gradients(self, wrt: &[Value<'t>]) -> Vec<Value<'t>> {
        let zero = Value::from(0.0);
        let Some(tape) = self.tape else { return vec![zero; wrt.len()] };
        let mut grads: Vec<Option<Value<'t>>> = vec![None; self.index as usize + 1];
        grads[self.index as usize] = Some(Value::from(1.0));
        for i in (0..grads.len()).rev() {
            let Some(cotangent) = grads[i] else { continue };
            let (op, args) = {
                let entry = &tape.entries.borrow()[i];
                (entry.op, entry.args)
            };
            let Some(Ok(partials)) = op.map(|op| op.partials) else { continue };
            let x: Vec<Value<'t>> = args[..partials.value.len()].iter().map(|&a| tape.handle(a)).collect();
            let y = tape.handle(Operand::Entry(i as u32));
            for (partial, arg) in partials.value.iter().zip(&args) {
                let Operand::Entry(j) = *arg else { continue };
                let term = match partial(&x, y) {
                    Factor::Number(0.0) => continue,
                    Factor::Number(c) => cotangent * c,
                    Factor::Of(v) => cotangent * v,
                    Factor::When(c) => c.where_(cotangent, 0.0),
                    Factor::Unless(c) => c.where_(0.0, cotangent),
                    Factor::Share(a, b) => a.tie_share(b, cotangent),
                };
                let sum = &mut grads[j as usize];
                *sum = Some(sum.map_or(term, |s| s + term));
            }
        }
        let of = |v: &Value<'t>| v.tape.and_then(|_| grads.get(v.index as usize).copied().flatten()).unwrap_or(zero);
        wrt.iter().map(of).collect()
    }
}

/// The derivatives that [`Value::backward`] found.
pub struct Gradients(Vec<f64>);

impl Gradients {
    /// The derivative with respect to `v`; 0 if it was not used.
    pub fn of(&self, v: Value<'_>) -> f64 {
        v.tape.and_then(|_| self.0.get(v.index as usize).copied()).unwrap_or(0.0)
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
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({})", self.data)
    }
}
super::operators!(Value<'t>, 't);
