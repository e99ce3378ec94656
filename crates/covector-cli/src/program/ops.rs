//! `covector ops`

use std::collections::BTreeMap;
use std::io::{Write, stdout};

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
    let paragraph: String = doc.trim().lines().take_while(|l| !l.trim().is_empty()).map(|l| l.trim().to_owned() + " ").collect();
    let paragraph = paragraph.trim();
    paragraph.split_inclusive(". ").next().unwrap_or(paragraph).trim().to_owned()
}

/// All that is known of an op.
fn page(op: &'static OpDef) -> String {
    let mut text = format!("{}\n\n", signature(op));
    for line in op.doc.trim().lines() {
        let line = line.strip_prefix(' ').unwrap_or(line);
        text.push_str(&format!("  {line}").trim_end().to_owned());
        text.push('\n');
    }
    let derivatives = derivatives(op);
    if !derivatives.is_empty() {
        text.push_str("\n  Derivatives:\n");
        for (name, formula) in derivatives {
            text.push_str(&format!("    d/d{name}  {formula}\n"));
        }
    } else if let Some(why) = op.note("derivative") {
        text.push_str(&format!("\n  No derivative: {why}.\n"));
    }
    text.push_str(&format!("\n  {} ({}:{})\n", op.family(), op.file, op.line));
    text
}

/// The partial derivatives of an elementwise op as formulas.
fn derivatives(op: &OpDef) -> Vec<(&'static str, String)> {
    let names = op.params.iter().map(|p| p.name);
    covector::rule_book::partials(op.name).into_iter().zip(names).map(|(f, name)| (name, f)).map(|(n, f)| (n, f)).collect()
}
