//! The tape: every op appends one entry, and a derivative is one walk over the entries.
//!
//! Entries stand in the order they were made, which is a topological order, so there is nothing to sort and no recursion.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use smallvec::SmallVec;

use super::Number;
use crate::rule_book::{Elementwise, Factor};

/// A record of scalar operations; it grows until it is dropped or [cleared](Tape::clear).
#[derive(Default)]
pub struct Tape(RefCell<Record>);

#[derive(Default)]
pub(super) struct Record {
    pub entries: Vec<Entry>,
    /// What entries with three operands were made from, in the order of the entries.
    triples: Vec<(u32, [Edge; 3])>,
    pub names: BTreeMap<u32, String>,
}

/// 40 bytes.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The operands. Of three, those that derivatives flow to: at most two.
    to: [Arg; 2],
    /// The slope along each operand; a plain number itself, for nothing flows to it.
    slopes: [f64; 2],
    /// `None` for a leaf.
    pub op: Option<&'static Elementwise>,
    pub value: f64,
}

/// An operand and the slope along it.
type Edge = (Arg, f64);

/// An operand: an entry, an entry that no derivative flows to ([`CUT`] is set), or a plain number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Arg(u32);

const CUT: u32 = 1 << 30;

impl Arg {
    const NUMBER: Arg = Arg(1 << 31);
    const ABSENT: Arg = Arg(u32::MAX);

    #[inline(always)]
    fn entry(self) -> Option<usize> {
        (self.0 < Arg::NUMBER.0).then_some((self.0 & !CUT) as usize)
    }

    /// The entry a derivative flows to.
    #[inline(always)]
    fn flows(self) -> Option<usize> {
        (self.0 < CUT).then_some(self.0 as usize)
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
    /// If the tape is full: it holds 2³⁰ entries.
    pub fn value(&self, data: f64) -> Value<'_> {
        self.push([(Arg::ABSENT, 0.0); 2], None, data)
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
        record.triples.clear();
        record.names.clear();
    }
}

impl Tape {
    /// Appends an entry.
    ///
    /// Growing is a last call with everything in registers, so that nothing has to be spilled around it.
    #[inline(always)]
    fn push(&self, edges: [Edge; 2], op: Option<&'static Elementwise>, value: f64) -> Value<'_> {
        let [(a, s), (b, t)] = edges;
        let mut record = self.0.borrow_mut();
        let index = record.entries.len();
        if index == record.entries.capacity() {
            drop(record);
            return self.grow(a, b, s, t, op, value);
        }
        record.entries.push(Entry { to: [a, b], slopes: [s, t], op, value });
        Value { tape: Some(self), index: index as u32, data: value }
    }

    #[cold]
    #[inline(never)]
    fn grow(&self, a: Arg, b: Arg, s: f64, t: f64, op: Option<&'static Elementwise>, value: f64) -> Value<'_> {
        let mut record = self.0.borrow_mut();
        let (index, most) = (record.entries.len(), CUT as usize);
        assert!(index < most, "a tape holds at most 2^30 entries");
        record.entries.reserve_exact((2 * index).clamp(64, most) - index);
        record.entries.push(Entry { to: [a, b], slopes: [s, t], op, value });
        Value { tape: Some(self), index: index as u32, data: value }
    }

    /// Notes the three operands of the next entry; returns the two that derivatives may flow to.
    #[inline(never)]
    fn triple(&self, edges: [Edge; 3]) -> [Edge; 2] {
        let mut record = self.0.borrow_mut();
        let next = record.entries.len() as u32;
        record.triples.push((next, edges));
        let mut flowing = edges.into_iter().filter(|(arg, _)| arg.flows().is_some());
        let two = [0, 1].map(|_| flowing.next().unwrap_or((Arg::ABSENT, 0.0)));
        assert!(flowing.next().is_none(), "derivatives flow to at most two of three operands");
        two
    }
}

impl Record {
    fn edges(&self, i: usize) -> impl Iterator<Item = Edge> {
        let Entry { to: [a, b], slopes: [s, t], .. } = self.entries[i];
        let triple = self.triples.binary_search_by_key(&(i as u32), |(at, _)| *at);
        let edges = triple.map_or([(a, s), (b, t), (Arg::ABSENT, 0.0)], |at| self.triples[at].1);
        edges.into_iter().take_while(|(arg, _)| *arg != Arg::ABSENT)
    }

    /// The operands of an entry: their numbers, and their positions if they are entries.
    pub fn operands(&self, i: usize) -> impl Iterator<Item = (Option<usize>, f64)> + '_ {
        self.edges(i).map(|(arg, slope)| (arg.entry(), arg.entry().map_or(slope, |j| self.entries[j].value)))
    }

    /// For each operand of an entry that is an entry, its position and the slope along it, if the op has a derivative.
    pub fn slopes(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let ruled = self.entries[i].op.is_some_and(|op| op.partials.is_ok());
        self.edges(i).filter(move |_| ruled).filter_map(|(arg, slope)| arg.entry().map(|j| (j, slope)))
    }
}

#[cold]
fn two_tapes(op: &Elementwise) -> ! {
    panic!("{}: the operands are on two tapes", op.name)
}

/// The slope along an operand, unless nothing flows along it.
#[inline(always)]
fn slope(factor: Factor<Number>) -> Option<f64> {
    let (slope, chosen) = match factor {
        Factor::Of(Number(c)) => return Some(c),
        Factor::Number(c) => (c, c),
        Factor::When(c) => (1.0, c.0),
        Factor::Unless(c) => (1.0, 1.0 - c.0),
        Factor::Share(a, b) => {
            let share = a.tie_share(b, 1.0).0;
            (share, share)
        }
    };
    (chosen != 0.0).then_some(slope)
}

impl<'t> Value<'t> {
    /// The number.
    pub fn data(self) -> f64 {
        self.data
    }

    /// Computes an op and, if an operand is on a tape, appends it with the slopes along its operands.
    #[inline(always)]
    pub(crate) fn append<const N: usize>(
        op: &'static Elementwise,
        x: [Value<'t>; N],
        kernel: impl FnOnce([f64; N]) -> f64,
        slopes: impl FnOnce([bool; N], [Number; N], Number) -> [Factor<Number>; N],
    ) -> Value<'t> {
        let data = kernel(x.map(|v| v.data));
        let mut shared: Option<&'t Tape> = None;
        for v in &x {
            match (shared, v.tape) {
                (Some(a), Some(b)) if !std::ptr::eq(a, b) => two_tapes(op),
                (a, b) => shared = a.or(b),
            }
        }
        let Some(tape) = shared else { return Value::from(data) };
        let slopes = slopes(x.map(|v| v.tape.is_some()), x.map(|v| Number(v.data)), Number(data)).map(slope);
        let mut edges = [(Arg::ABSENT, 0.0); 3];
        for k in 0..N {
            edges[k] = match (x[k].tape, slopes[k]) {
                (None, _) => (Arg::NUMBER, x[k].data),
                (Some(_), Some(slope)) => (Arg(x[k].index), slope),
                (Some(_), None) => (Arg(x[k].index | CUT), 0.0),
            };
        }
        tape.push(if N < 3 { [edges[0], edges[1]] } else { tape.triple(edges) }, Some(op), data)
    }

    /// [`append`](Self::append) for an op that is known when the program runs.
    pub(crate) fn apply(&self, op: &'static Elementwise, others: &[Value<'t>]) -> Value<'t> {
        fn known<'t, const N: usize>(op: &'static Elementwise, x: [Value<'t>; N]) -> Value<'t> {
            let kernel = op.scalar.unwrap_or_else(|| panic!("{}: works on integers and bool, not on f64", op.name));
            let slope = |k: usize, x: &[Number], y: &Number| match op.partials {
                Ok(partials) => partials.number[k](x, y),
                Err(_) => Factor::Number(0.0),
            };
            Value::append(op, x, |x| kernel(&x), |_, x, y| std::array::from_fn(|k| slope(k, &x, &y)))
        }
        match *others {
            [] => known(op, [*self]),
            [b] => known(op, [*self, b]),
            [b, c] => known(op, [*self, b, c]),
            _ => panic!("{}: ops have at most three operands", op.name),
        }
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
                for (to, slope) in entry.to.iter().zip(entry.slopes) {
                    if let Some(j) = to.flows() {
                        grads[j] += slope * cotangent;
                    }
                }
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
            for (partial, v) in partials.value.iter().zip(&x) {
                let Some(j) = v.entry() else { continue };
                let term = match partial(&x, y) {
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
            for (to, slope) in entry.to.iter().zip(entry.slopes) {
                match to.flows() {
                    Some(j) if found[j] != 0.0 => found[i] += slope * found[j],
                    _ => {}
                }
            }
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
    fn entry(&self, i: usize) -> (Entry, SmallVec<[Value<'_>; 3]>) {
        let record = self.0.borrow();
        let handle = |(at, data): (Option<usize>, f64)| match at {
            Some(j) => Value { tape: Some(self), index: j as u32, data },
            None => Value::from(data),
        };
        (record.entries[i], record.operands(i).map(handle).collect())
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
