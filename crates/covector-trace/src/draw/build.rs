//! From a drawing and what is noted of its tensors to nodes.

use std::collections::HashMap;

use covector::draw::{Drawing, Part};
use covector::{Class, Result, registry};

use super::layout::Plan;
use super::modules::{self, Module};
use super::{Change, Kind, Node, Operand, Options, Picture, summary};
use crate::Notes;

impl Picture {
    pub(super) fn build(drawing: Drawing, notes: &Notes, options: &Options) -> Result<Picture> {
        let drawing = drawing.named_by(|t| notes.name_of(t).map(str::to_owned));
        let drawing = if options.ops { drawing.folded() } else { drawing };
        let parts = drawing.parts();
        if options.values {
            let own = parts.iter().flat_map(|p| [Some(p.tensor()), p.gradient()]).flatten();
            covector::try_eval(own.chain(parts.iter().flat_map(|p| p.terms().iter().flatten())))?;
        }
        let mut place = vec![None; parts.len()];
        let mut labels: Vec<String> = Vec::with_capacity(parts.len());
        let mut nodes: Vec<Node> = Vec::new();
        let mut unnamed = 0;
        for (i, part) in parts.iter().enumerate() {
            if let Some(number) = part.number() {
                labels.push(number);
                continue;
            }
            let number = || {
                unnamed += 1;
                format!("%{unnamed}")
            };
            labels.push(part.name().map_or_else(number, str::to_owned));
            place[i] = Some(nodes.len());
            nodes.push(node(parts, part, &labels, &place, notes));
        }
        let paths = modules::paths(parts, &place, &nodes, notes);
        Ok(Picture::arranged(nodes, &paths, options.clone()))
    }

    /// The picture of nodes that stand in the modules of these paths.
    pub(super) fn arranged(mut nodes: Vec<Node>, paths: &[Vec<String>], options: Options) -> Picture {
        let modules = modules::tree(&mut nodes, paths);
        let plans = (0..modules.len()).map(|m| Plan::of(m, &modules, &nodes)).collect();
        let one = |m: usize| if modules[m].repeats() { Plan::of_one(m, &modules, &nodes) } else { Plan::default() };
        let ones = (0..modules.len()).map(one).collect();
        Picture { nodes, modules, plans, ones, options, compares: false }
    }

    pub(super) fn module(&self, m: usize) -> &Module {
        &self.modules[m]
    }
}

fn node(parts: &[Part], part: &Part, labels: &[String], place: &[Option<usize>], notes: &Notes) -> Node {
    let tensor = part.tensor();
    let leaf = part.operands().is_empty();
    let label = labels[labels.len() - 1].clone();
    let kind = match tensor.primitive().class() {
        _ if leaf && part.name().is_some_and(|name| name.contains('.')) => Kind::Parameter,
        _ if leaf && part.name().is_some() => Kind::Input,
        _ if leaf && tensor.primitive().name() == "variable" => Kind::Parameter,
        _ if leaf => Kind::Constant,
        _ => kind(part),
    };
    let op = if leaf { kind.name() } else { part.op() };
    let names: Vec<&str> = part.operands().iter().map(|&j| labels[j].as_str()).collect();
    let rules = rules(part, &names);
    let mut operands = Vec::new();
    for (k, &j) in part.operands().iter().enumerate() {
        let Some(node) = place[j] else { continue };
        let term = part.terms()[k].as_ref().map(|t| match notes.is_symbolic() {
            true => (notes.spec_of(parts[j].tensor()), None),
            false => (t.spec().to_string(), summary::of(t)),
        });
        let rule = term.as_ref().and_then(|_| rules[k].clone()).map(|rule| match widened(parts, part, j) {
            true if !rule.starts_with('Σ') => rule.replacen("= ", "= Σ over repeated axes of ", 1),
            _ => rule,
        });
        operands.push(Operand { node, rule, term, change: Change::Same });
    }
    let source = notes.source_of(tensor);
    Node {
        op: op.to_owned(),
        label,
        named: part.name().is_some(),
        kind,
        settings: if leaf { String::new() } else { part.settings() },
        spec: notes.spec_of(tensor),
        symbolic: notes.shape_of(tensor).filter(|_| !notes.is_symbolic()).map(str::to_owned),
        value: if notes.is_symbolic() { None } else { summary::of(tensor) },
        gradient: part.gradient().filter(|_| !notes.is_symbolic()).and_then(summary::of),
        formula: match leaf {
            true => String::new(),
            // Numbers made of sizes stand for nothing; the text has their names.
            false if notes.is_symbolic() && !source.text.is_empty() => source.text.clone(),
            false => written(op, &names, &part.settings()),
        },
        source: format!("{}:{}", source.file, source.line),
        text: source.text,
        operands,
        result: part.is_result(),
        change: Change::Same,
        module: 0,
    }
}

/// The kind of an op: that of its family where it is a composite.
fn kind(part: &Part) -> Kind {
    let class = part.tensor().primitive().class();
    let family = registry::find(part.op()).map_or("", |op| op.family());
    match (family, class) {
        ("linear" | "contract" | "einsum" | "conv" | "attention", _) | (_, Class::Contract) => Kind::Contract,
        ("elementwise" | "activation", _) | (_, Class::Elementwise) => Kind::Elementwise,
        ("reduce" | "loss" | "pool", _) | (_, Class::Reduce) => Kind::Reduce,
        ("view" | "shape", _) | (_, Class::View) => Kind::View,
        _ => Kind::Other,
    }
}

/// True if an elementwise step repeats this operand: its term is a sum then.
fn widened(parts: &[Part], part: &Part, operand: usize) -> bool {
    kind(part) == Kind::Elementwise && parts[operand].tensor().size() < part.tensor().size()
}

/// For each operand its cotangent as an equation, where the op says one.
fn rules(part: &Part, names: &[&str]) -> Vec<Option<String>> {
    let letters: Vec<&str> = match names.len() {
        1 => vec!["x"],
        _ => ["a", "b", "c", "d"].into_iter().chain(std::iter::repeat("x")).take(names.len()).collect(),
    };
    let names: Vec<&str> = names.iter().zip(&letters).map(|(n, l)| if plain(n) { *n } else { *l }).collect();
    let noted = registry::find(part.op()).and_then(|op| op.note("rule"));
    let noted: Vec<&str> = noted.map_or(Vec::new(), |all| all.split(" | ").collect());
    let result = part.name().filter(|name| plain(name)).unwrap_or("y");
    let equation = |k: usize| match part.rule(&names, k) {
        Some(rule) => Some(format!("{} = {}", barred(names[k]), called(&rule, result))),
        None => noted.get(k).map(|&rule| called(rule, result)),
    };
    (0..names.len()).map(equation).collect()
}

/// The rule with the result's own name for `y`.
fn called(rule: &str, name: &str) -> String {
    let letters: Vec<char> = rule.chars().collect();
    let beside = |k: Option<usize>| k.and_then(|k| letters.get(k)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let letter = |(k, &c): (usize, &char)| match c {
        'ȳ' => barred(name),
        'y' if !beside(k.checked_sub(1)) && !beside(Some(k + 1)) => name.to_owned(),
        c => c.to_string(),
    };
    letters.iter().enumerate().map(letter).collect()
}

/// True if a name can stand in a formula: a number, or a letter with digits and an index, as `x`, `x1`, `W_Q`.
pub(super) fn plain(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(char::is_alphabetic);
    let rest = letters.as_str().trim_start_matches(|c: char| c.is_ascii_digit() || c == '\'' || c == '\u{2032}');
    let index = rest.strip_prefix('_').is_some_and(|i| i.chars().count() <= 3 && i.chars().all(char::is_alphanumeric));
    first && (rest.is_empty() || index) || name.parse::<f64>().is_ok()
}

/// The name with a bar over its first letter: its cotangent.
pub(super) fn barred(name: &str) -> String {
    let mut rest = name.chars();
    // Letters that have a bar of their own in Unicode look better with it.
    let bar = |first: char| match first {
        'a' => "ā".to_owned(),
        'e' => "ē".to_owned(),
        'g' => "ḡ".to_owned(),
        'o' => "ō".to_owned(),
        'u' => "ū".to_owned(),
        'y' => "ȳ".to_owned(),
        'Y' => "Ȳ".to_owned(),
        first => format!("{first}\u{304}"),
    };
    rest.next().map_or(String::new(), |first| bar(first) + rest.as_str())
}

/// A step as one would write it.
fn written(op: &str, names: &[&str], settings: &str) -> String {
    let infix: HashMap<&str, &str> =
        [("add", "+"), ("subtract", "-"), ("multiply", "·"), ("divide", "/"), ("matmul", "@"), ("pow", "^")].into();
    match (infix.get(op), names) {
        (Some(sign), [a, b]) => format!("{a} {sign} {b}"),
        _ if settings.is_empty() => format!("{op}({})", names.join(", ")),
        _ => format!("{op}({}; {settings})", names.join(", ")),
    }
}
