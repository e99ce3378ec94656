//! A record read for people: who uses what, which steps belong to one call, and what things are called.

use std::collections::{HashMap, HashSet};

use covector::draw::short;
use covector::record::Record;
use covector::{Class, Tensor};

use crate::{Notes, Source};

/// A record with all that is asked of it again and again.
pub(crate) struct Reading<'a> {
    pub record: &'a Record,
    pub notes: &'a Notes,
    /// For each step who uses it, and as which operand.
    pub users: Vec<Vec<(usize, usize)>>,
    /// For each step its call.
    pub call: Vec<usize>,
    pub calls: Vec<Call>,
}

/// The steps of one op the user called.
pub(crate) struct Call {
    pub op: &'static str,
    /// In order.
    pub members: Vec<usize>,
    /// What it was given, in the order in which its steps read it; numbers too, if it is a primitive.
    pub inputs: Vec<usize>,
    /// The members that others use, or that are results.
    pub outputs: Vec<usize>,
}

impl<'a> Reading<'a> {
    pub fn new(record: &'a Record, notes: &'a Notes) -> Reading<'a> {
        let steps = record.steps();
        let mut users = vec![Vec::new(); steps.len()];
        for (i, step) in steps.iter().enumerate() {
            step.operands.iter().enumerate().for_each(|(k, &j)| users[j].push((i, k)));
        }
        let (call, calls) = grouped(record, &users);
        Reading { record, notes, users, call, calls }
    }

    pub fn node(&self, i: usize) -> &Tensor {
        &self.record.steps()[i].node
    }

    pub fn operands(&self, i: usize) -> &[usize] {
        &self.record.steps()[i].operands
    }

    /// The primitive's name.
    pub fn prim(&self, i: usize) -> &'static str {
        self.node(i).primitive().name()
    }

    pub fn is_leaf(&self, i: usize) -> bool {
        self.operands(i).is_empty()
    }

    pub fn is_argument(&self, i: usize) -> bool {
        self.record.arguments().contains(&i)
    }

    /// A number the user wrote, or an op's own.
    pub fn is_number(&self, i: usize) -> bool {
        self.is_leaf(i) && self.prim(i) == "number"
    }

    pub fn call_of(&self, i: usize) -> &Call {
        &self.calls[self.call[i]]
    }

    /// The op the user called to make a step.
    pub fn op(&self, i: usize) -> &'static str {
        self.call_of(i).op
    }

    pub fn source(&self, i: usize) -> Source {
        // A note on the call's result speaks for its inner steps.
        let noted = self.call_of(i).outputs.iter().map(|&o| self.node(o)).find(|t| self.notes.is_sourced(t));
        self.notes.source_of(noted.unwrap_or(self.node(i)))
    }

    /// What a step is called: its name, its number, or, if it is short, the expression that made it.
    pub fn name(&self, i: usize) -> String {
        self.expression(i, DEEP).0
    }

    /// As [`name`](Self::name), where several names stand in one line.
    pub fn brief(&self, i: usize) -> String {
        let name = self.name(i);
        if name.chars().count() <= BRIEF || self.is_leaf(i) { name } else { format!("{}(..)", self.op(i)) }
    }

    /// An expression of at most so many ops inside one another, and how tightly it binds.
    fn expression(&self, mut i: usize, depth: usize) -> (String, u8) {
        // Repeating and marking change nothing worth a word.
        while let ([only], true) = (self.operands(i), self.notes.name_of(self.node(i)).is_none() && self.is_silent(i)) {
            i = *only;
        }
        if let Some(name) = self.notes.name_of(self.node(i)) {
            return (name.to_owned(), ATOM);
        }
        if let Some(number) = self.number(i) {
            return (short(number), if number < 0.0 { SUM } else { ATOM });
        }
        if self.is_leaf(i) {
            return ("constant".to_owned(), ATOM);
        }
        let call = self.call_of(i);
        let unknown = (format!("{}(..)", call.op), ATOM);
        let plain = call.outputs[..] == [i] && call.inputs.len() <= 3;
        if depth == 0 || !plain {
            return unknown;
        }
        let parts: Vec<(String, u8)> = call.inputs.iter().map(|&j| self.expression(j, depth - 1)).collect();
        let beside = |(text, binds): &(String, u8), least: u8| {
            if *binds < least { format!("({text})") } else { text.clone() }
        };
        let made = match (infix(call.op), &parts[..]) {
            (_, [x]) if call.op == "matrix_transpose" => (format!("{}.T", beside(x, ATOM)), ATOM),
            (_, [x, ..]) if call.op == "i" => (format!("{}[..]", beside(x, ATOM)), ATOM),
            (Some((sign, binds)), [a, b]) => (format!("{} {sign} {}", beside(a, binds), beside(b, binds + 1)), binds),
            (Some((sign, binds)), [a]) => (format!("{} {sign} {}", beside(a, binds), beside(a, binds + 1)), binds),
            (Some(_), _) => return unknown,
            (None, [a]) if call.op == "negative" => (format!("-{}", beside(a, PRODUCT)), SUM),
            _ => (format!("{}({})", call.op, parts.iter().map(|p| p.0.as_str()).collect::<Vec<_>>().join(", ")), ATOM),
        };
        if made.0.chars().count() > LONG { unknown } else { made }
    }

    /// True for an inner step that repeats, marks or reshapes.
    fn is_silent(&self, i: usize) -> bool {
        let quiet = ["broadcast_to", "stop_gradient", "reshape", "cast"].contains(&self.prim(i));
        quiet && self.op(i) != self.prim(i) && !self.call_of(i).outputs.contains(&i)
    }

    /// The number a constant repeats everywhere, if it does.
    pub fn number(&self, i: usize) -> Option<f64> {
        let node = self.node(i);
        let constant = self.is_leaf(i) && !self.is_argument(i) && node.is_evaluated() && node.size() > 0;
        (constant && (node.ndim() == 0 || self.prim(i) == "number")).then(|| first(node))
    }

    /// The steps that `from` reaches, by users that `pass` lets through.
    pub fn reached(&self, from: usize, mut pass: impl FnMut(usize) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.users.len()];
        reached[from] = true;
        let mut stack = vec![from];
        while let Some(i) = stack.pop() {
            for &(u, _) in &self.users[i] {
                if !reached[u] && pass(u) {
                    reached[u] = true;
                    stack.push(u);
                }
            }
        }
        reached
    }
}

/// So many ops inside one another are written out.
const DEEP: usize = 3;
/// Longer expressions are not written out.
const LONG: usize = 48;

/// Longer ones stand for themselves where there are others.
const BRIEF: usize = 24;

/// How tightly names and calls, products, sums and comparisons bind.
const ATOM: u8 = 3;
const PRODUCT: u8 = 2;
const SUM: u8 = 1;
const COMPARISON: u8 = 0;

/// How an op is written between two operands, and how tightly it binds them.
pub(crate) fn infix(op: &str) -> Option<(&'static str, u8)> {
    Some(match op {
        "add" => ("+", SUM),
        "subtract" => ("-", SUM),
        "multiply" => ("*", PRODUCT),
        "divide" => ("/", PRODUCT),
        "matmul" => ("@", PRODUCT),
        "greater" => (">", COMPARISON),
        "greater_equal" => (">=", COMPARISON),
        "less" => ("<", COMPARISON),
        "less_equal" => ("<=", COMPARISON),
        "equal" => ("==", COMPARISON),
        "not_equal" => ("!=", COMPARISON),
        _ => return None,
    })
}

/// An expression in parentheses, if it needs them beside an operator or an index.
pub(crate) fn wrapped(text: &str) -> String {
    let mut depth = 0;
    let open = text.chars().any(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ' ' && depth == 0
    });
    if open || text.starts_with('-') { format!("({text})") } else { text.to_owned() }
}

/// The first element.
fn first(x: &Tensor) -> f64 {
    let value = x.value();
    let n = value.ndim();
    value.slice(&vec![0; n], &vec![1; n], &vec![1; n]).to_f64_vec()[0]
}

fn grouped(record: &Record, users: &[Vec<(usize, usize)>]) -> (Vec<usize>, Vec<Call>) {
    let steps = record.steps();
    let mut known: HashMap<u64, usize> = HashMap::new();
    let (mut of, mut calls): (Vec<usize>, Vec<Call>) = Default::default();
    for (i, step) in steps.iter().enumerate() {
        let site = step.node.site();
        let new = calls.len();
        // What derivative rules add, and arguments, stand alone.
        let alone = site.call == 0 || record.arguments().contains(&i);
        let at = if alone { new } else { *known.entry(site.call).or_insert(new) };
        if at == new {
            calls.push(Call { op: site.op, members: Vec::new(), inputs: Vec::new(), outputs: Vec::new() });
        }
        calls[at].members.push(i);
        of.push(at);
    }
    for (at, call) in calls.iter_mut().enumerate() {
        let prim = |i: &usize| steps[*i].node.primitive();
        let plain = call.members.iter().any(|i| prim(i).class() == Class::Elementwise && prim(i).name() == call.op);
        let outside = |i: usize| record.results().contains(&i) || users[i].iter().any(|&(u, _)| of[u] != at);
        call.outputs = call.members.iter().copied().filter(|&i| outside(i)).collect();
        // In the order in which the last step reads them: an inner step stands for what it was made from.
        let mut pending: Vec<usize> = call.members.last().copied().into_iter().collect();
        let mut entered = HashSet::new();
        while let Some(i) = pending.pop() {
            let inner = of[i] == at && !(plain && steps[i].operands.is_empty());
            if inner && entered.insert(i) {
                pending.extend(steps[i].operands.iter().rev());
            } else if !inner && !call.inputs.contains(&i) {
                call.inputs.push(i);
            }
        }
    }
    (of, calls)
}
