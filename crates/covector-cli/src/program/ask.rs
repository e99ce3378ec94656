//! `covector why` and `covector lint`

use std::io::{Write, stdout};

use covector::Tensor;
use covector::record::Record;
use covector_trace::lint::Level;
use covector_trace::{Notes, lint_record, why_record};

use super::Loaded;
use crate::Failure;
use crate::args::{Lint, Why};

/// `covector why`: exit code 1 if something is wrong.
pub fn why(options: &Why) -> Result<(), Failure> {
    let loaded = options.source.load(options.seed)?;
    let (record, notes) = recorded(&loaded)?;
    let found = why_record(&record, &notes)?;
    let mut out = stdout().lock();
    match found {
        None => {
            writeln!(out, "Nothing is wrong: every value and every gradient is finite, and no gradient is all zero.")?
        }
        Some(finding) => {
            writeln!(out, "{finding}")?;
            return Err(Failure::Said);
        }
    }
    Ok(())
}

/// `covector lint`: exit code 1 if there is a warning.
pub fn lint(options: &Lint) -> Result<(), Failure> {
    let loaded = options.source.load(0)?;
    // Shapes are all that is read: sizes without a number may be any.
    let checked = loaded.program.check(&loaded.inputs.numbers)?;
    let record = checked.concrete.as_ref().unwrap_or(&checked.records[0]);
    let graph = graph(record)?;
    let mut notes = loaded.program.notes(record);
    checked.note_shapes(record, &mut notes);
    let warnings = lint_record(&graph, &notes);
    let mut out = stdout().lock();
    if options.json {
        let warning = |w: &covector_trace::lint::Warning| {
            serde_json::json!({
                "rule": w.rule, "level": if w.level == Level::Warning { "warning" } else { "hint" }, "op": w.op,
                "file": w.source.file, "line": w.source.line, "text": w.source.text, "message": w.message, "advice": w.advice,
            })
        };
        writeln!(out, "{:#}", warnings.iter().map(warning).collect::<serde_json::Value>())?;
    } else if warnings.is_empty() {
        writeln!(out, "Nothing looks like a mistake.")?;
    } else {
        for warning in &warnings {
            writeln!(out, "{warning}")?;
        }
    }
    match warnings.iter().any(|w| w.level == Level::Warning) {
        true => Err(Failure::Said),
        false => Ok(()),
    }
}

/// The program's graph with numbers; gradients are asked of what is learnt.
fn recorded(loaded: &Loaded) -> Result<(Record, Notes), Failure> {
    let record = loaded.program.evaluate(&loaded.inputs)?;
    Ok((graph(&record)?, loaded.program.notes(&record)))
}

fn graph(record: &covector_lang::eval::Record) -> Result<Record, Failure> {
    let output = record.output().ok_or_else(|| Failure::Outside("the program ends without a tensor".into()))?;
    let learnt = record.learnt();
    let is_learnt = |made: &&covector_lang::eval::Made| made.leaf.as_ref().is_some_and(|l| learnt.contains(l));
    let arguments: Vec<Tensor> = record.made.iter().filter(is_learnt).flat_map(|m| m.tensors.clone()).collect();
    Ok(Record::of(&[output], &arguments))
}
