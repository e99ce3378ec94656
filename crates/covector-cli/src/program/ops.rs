//! `covector ops`

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use covector::Derivative;
use covector::registry::{OpDef, all};
use covector_lang::signature;

use crate::Failure;
use crate::args::Ops;

pub fn run(options: &Ops) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let Some(name) = &options.name else {
        let mut families: BTreeMap<&str, Vec<&OpDef>> = BTreeMap::new();
        for op in all() {
            families.entry(op.family()).or_default().push(op);
        }
        for (family, ops) in families {
            writeln!(out, "{family}")?;
            let width = ops.iter().map(|op| op.name.len()).max().unwrap_or(0);
            for op in ops {
                writeln!(out, "  {:width$}  {}", op.name, first_sentence(op.doc))?;
            }
        }
        return Ok(());
    };
    if let Some(op) = covector::registry::find(name) {
        return Ok(write!(out, "{}", page(op))?);
    }
    let alike: Vec<&OpDef> = all().filter(|op| op.name.contains(name.as_str())).collect();
    if alike.is_empty() {
        let meant = covector_lang::nearest(name, all().map(|op| op.name));
        let hint = meant.map_or(String::new(), |m| format!("; `{m}` is one"));
        return Err(Failure::Outside(format!("no op is called `{name}`{hint}")));
    }
    let width = alike.iter().map(|op| op.name.len()).max().unwrap_or(0);
    for op in alike {
        writeln!(out, "{:width$}  {}", op.name, first_sentence(op.doc))?;
    }
    Ok(())
}

fn first_sentence(doc: &str) -> String {
    let paragraph: String =
        doc.trim().lines().take_while(|l| !l.trim().is_empty()).map(|l| l.trim().to_owned() + " ").collect();
    let paragraph = paragraph.trim();
    paragraph.split_inclusive(". ").next().unwrap_or(paragraph).trim().to_owned()
}

/// All that is known of an op.
fn page(op: &'static OpDef) -> String {
    let mut text = format!("{}\n\n", signature(op));
    for line in op.doc.trim().lines() {
        let line = match line.strip_prefix(' ').unwrap_or(line) {
            "# Errors" => "Errors:",
            "# Example" => "In Rust:",
            "```" => "",
            other => other,
        };
        text.push_str(format!("  {line}").trim_end());
        text.push('\n');
    }
    let rules = rules(op);
    if !rules.is_empty() {
        text.push_str("\n  Cotangents, from that of the result (ȳ):\n");
        let width = rules.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, rule) in rules {
            text.push_str(&format!("    {name:width$}  {rule}\n"));
        }
    } else if let Some(why) = op.note("derivative") {
        text.push_str(&format!("\n  No derivative: {why}.\n"));
    }
    text.push_str(&format!("\n  {} ({}:{})\n", op.family(), op.file, op.line));
    text
}

/// What the op's rule gives each operand, for an op that is one primitive: read off its first sample.
fn rules(op: &'static OpDef) -> Vec<(&'static str, String)> {
    let Some(sample) = (op.samples)().into_iter().next() else { return Vec::new() };
    let Ok(results) = op.apply(sample.args) else { return Vec::new() };
    let Some(node) = results.first().filter(|t| t.primitive().name() == op.name) else { return Vec::new() };
    let Derivative::Rules(rules) = node.primitive().derivative() else { return Vec::new() };
    let is_tensor = |kind: &str| matches!(kind, "Tensor" | "Operand");
    let names: Vec<&str> = op.params.iter().filter(|p| is_tensor(p.kind)).map(|p| p.name).collect();
    let rule = |(k, name): (usize, &&'static str)| rules.rule(&names, k).map(|rule| (*name, rule));
    names.iter().enumerate().filter_map(rule).collect()
}
