//! The shape of every tensor of one forward pass, as a table.
//!
//! Building a graph computes nothing, so the pass is built twice: once with the sizes asked for, and once with sizes that
//! are all different primes, from which the names of the axes are read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

use covector::ops::create::zeros;
use covector::{Class, DType, Key, Shape, Tensor, Tree};
use covector_nn::{Dropout, Gpt, GptConfig};

/// Writes the table for batches of `batch` sequences of the model's block.
pub(crate) fn write(out: &mut impl Write, config: &GptConfig, batch: usize) -> io::Result<()> {
    let names = AxisNames::new(config.layers);
    let pass = Pass::build(config, batch, config.block);
    let symbolic = Pass::build(&names.config, names.batch, names.time);
    let rows = pass.rows(&symbolic, &names);
    let width = |f: fn(&Row) -> usize| rows.iter().map(f).max().unwrap_or(0);
    let (first, second, third) =
        (width(|r| r.what.chars().count()), width(|r| r.from.chars().count()), width(|r| r.spec.chars().count()));
    let mut line = |cells: [&str; 5]| {
        let [number, what, from, spec, axes] = cells;
        let text = format!("{number:>4}  {what:first$}  {from:second$}  {spec:third$}  {axes}");
        writeln!(out, "{}", text.trim_end())
    };
    line(["", "tensor", "from", "shape", "axes"])?;
    for Row { number, what, from, spec, axes } in &rows {
        line([number, what, from, spec, axes])?;
    }
    Ok(())
}

/// One line of the table.
#[derive(Default)]
struct Row {
    number: String,
    what: String,
    from: String,
    spec: String,
    axes: String,
}

/// The tensors between tokens and loss, in the order in which they were made.
struct Pass {
    nodes: Vec<Tensor>,
    /// Names of parameters, tokens and targets, by id.
    named: HashMap<u64, String>,
    loss: u64,
}

impl Pass {
    fn build(config: &GptConfig, batch: usize, time: usize) -> Pass {
        let model = Gpt::new(&Key::new(0), config);
        let [tokens, targets] = [0, 1].map(|_| zeros([batch, time], DType::I64));
        let loss = model.loss(&tokens, &targets, &Dropout::off());
        let mut named: HashMap<u64, String> = model.named().into_iter().map(|(path, t)| (t.id(), path)).collect();
        named.insert(tokens.id(), "tokens".into());
        named.insert(targets.id(), "targets".into());
        let mut found: BTreeMap<u64, Tensor> = BTreeMap::new();
        let mut open = vec![loss.clone()];
        while let Some(node) = open.pop() {
            if found.contains_key(&node.id()) {
                continue;
            }
            if !named.contains_key(&node.id()) {
                open.extend(node.inputs());
            }
            found.insert(node.id(), node);
        }
        // Ids grow as nodes are made, so this is their order.
        Pass { nodes: found.into_values().collect(), named, loss: loss.id() }
    }

    /// Positions of the nodes of each call of an op; parameters and constants are calls of none.
    fn calls(&self) -> Vec<Vec<usize>> {
        let mut calls: Vec<Vec<usize>> = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if self.named.contains_key(&node.id()) || node.inputs().is_empty() {
                continue;
            }
            let site = |t: &Tensor| (t.site().op, t.site().location);
            match calls.last_mut() {
                Some(call) if site(&self.nodes[call[0]]) == site(node) => call.push(i),
                _ => calls.push(vec![i]),
            }
        }
        calls
    }

    /// The lines of the table: each result of a call, under it the call's steps; blocks after the first in one line.
    fn rows(&self, symbolic: &Pass, names: &AxisNames) -> Vec<Row> {
        let alike = symbolic.nodes.len() == self.nodes.len();
        let row = |number: String, what: String, from: String, i: usize| {
            let axes = if alike { names.of(symbolic.nodes[i].shape()) } else { String::new() };
            Row { number, what, from, spec: self.nodes[i].spec().to_string(), axes }
        };
        let mut rows = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if let Some(name) = self.named.get(&node.id()).filter(|name| block_of(name).is_none_or(|b| b == 0)) {
                rows.push(row(String::new(), name.clone(), String::new(), i));
            }
        }
        let calls = self.calls();
        let results = self.results(&calls);
        let mut labels = self.named.clone();
        let (mut block, mut count, mut folded) = (None, 0, None);
        for call in &calls {
            let members: HashSet<u64> = call.iter().map(|&i| self.nodes[i].id()).collect();
            // A call that reads no parameter belongs where the one before did.
            let read = call.iter().flat_map(|&i| self.nodes[i].inputs());
            if let Some(parameter) = read.filter_map(|t| self.named.get(&t.id())).find(|name| name.contains('.')) {
                block = block_of(parameter);
            }
            let shown = block.is_none_or(|b| b == 0);
            if let (false, Some(last)) = (shown, block) {
                folded = Some((folded.map_or(rows.len(), |(at, _)| at), last));
            }
            let (made, inner): (Vec<usize>, Vec<usize>) =
                call.iter().partition(|&&i| results.contains(&self.nodes[i].id()));
            for i in made {
                let node = &self.nodes[i];
                count += 1;
                if shown {
                    let from = operands(node, &members, &labels).join(", ");
                    rows.push(row(count.to_string(), node.site().op.to_owned(), from, i));
                }
                labels.insert(node.id(), count.to_string());
            }
            rows.extend(self.steps(&inner).into_iter().filter(|_| shown).map(|i| {
                let name = format!("  {}", self.nodes[i].primitive().name());
                row(String::new(), name, String::new(), i)
            }));
        }
        if let Some((at, last)) = folded {
            let (what, from) = match last {
                1 => ("h.1".to_owned(), "as h.0"),
                _ => (format!("h.1 to h.{last}"), "each as h.0"),
            };
            rows.insert(at, Row { number: "…".into(), what, from: from.into(), ..Row::default() });
        }
        rows
    }

    /// Of the nodes inside a call those worth a line: no views, and not the one step whose name is the call's own.
    fn steps(&self, inner: &[usize]) -> Vec<usize> {
        let moves = |i: &usize| self.nodes[*i].primitive().class() != Class::View;
        let steps: Vec<usize> = inner.iter().copied().filter(moves).collect();
        match steps[..] {
            [i] if self.nodes[i].primitive().name() == self.nodes[i].site().op => Vec::new(),
            _ => steps,
        }
    }

    /// The nodes that another call reads, and the last.
    fn results(&self, calls: &[Vec<usize>]) -> HashSet<u64> {
        let call_of: HashMap<u64, usize> =
            calls.iter().enumerate().flat_map(|(c, call)| call.iter().map(move |&i| (self.nodes[i].id(), c))).collect();
        let mut results = HashSet::from([self.loss]);
        for (c, call) in calls.iter().enumerate() {
            let operands = call.iter().flat_map(|&i| self.nodes[i].inputs()).map(|t| t.id());
            results.extend(operands.filter(|id| call_of.get(id).is_some_and(|&other| other != c)));
        }
        results
    }
}

/// The transformer block a parameter belongs to.
fn block_of(path: &str) -> Option<usize> {
    path.strip_prefix("h.")?.split('.').next()?.parse().ok()
}

/// What a result of a call is made from outside the call: labels in the order in which they are read.
fn operands(node: &Tensor, members: &HashSet<u64>, labels: &HashMap<u64, String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![node.clone()];
    let mut seen = HashSet::new();
    while let Some(next) = open.pop() {
        if !seen.insert(next.id()) {
            continue;
        }
        if members.contains(&next.id()) {
            open.extend(next.inputs().into_iter().rev());
        } else if let Some(label) = labels.get(&next.id()).filter(|label| !found.contains(label)) {
            found.push(label.clone());
        }
    }
    found
}

/// Sizes that are all different, and what they stand for.
struct AxisNames {
    config: GptConfig,
    batch: usize,
    time: usize,
    names: HashMap<usize, String>,
}

impl AxisNames {
    fn new(layers: usize) -> Self {
        let (batch, time, vocabulary, block, heads, depth) = (101, 103, 107, 109, 7, 11);
        let width = heads * depth;
        let names = [
            (batch, "batch"),
            (time, "time"),
            (vocabulary, "vocabulary"),
            (block, "block"),
            (heads, "heads"),
            (depth, "width/heads"),
            (width, "width"),
            (3 * width, "3·width"),
            (4 * width, "4·width"),
            (batch * time, "batch·time"),
            (batch * heads, "batch·heads"),
            (1, "1"),
        ];
        let config = GptConfig { vocabulary, block, layers, heads, width, bias: false };
        AxisNames { config, batch, time, names: names.map(|(size, name)| (size, name.to_owned())).into() }
    }

    fn of(&self, shape: &Shape) -> String {
        let name = |size: &usize| self.names.get(size).cloned().unwrap_or_else(|| size.to_string());
        shape.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}
