//! `covector embed`

use std::io::{BufRead, Write, stdin, stdout};

use covector_models::SentenceEncoder;
use covector_trace::table::aligned;

use crate::Failure;
use crate::args::Embed;

/// Sentences that are encoded together.
const BATCH: usize = 32;

/// Runs the command.
pub fn run(options: &Embed) -> Result<(), Failure> {
    let encoder = SentenceEncoder::load(&options.folder)?;
    let mut sentences = Vec::new();
    for sentence in &options.sentences {
        match sentence.as_str() {
            "-" => {
                let lines = stdin().lock().lines().collect::<Result<Vec<String>, _>>();
                let lines = lines.map_err(|e| Failure::Outside(format!("cannot read standard input: {e}")))?;
                sentences.extend(lines.into_iter().filter(|l| !l.trim().is_empty()));
            }
            _ => sentences.push(sentence.clone()),
        }
    }
    let mut out = stdout().lock();
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    for batch in sentences.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        let found = encoder.embed(&batch)?;
        let width = found.shape()[1];
        for vector in found.to_vec::<f32>().chunks(width) {
            match options.compare {
                true => vectors.push(vector.to_vec()),
                false => writeln!(out, "{}", serde_json::json!(vector))?,
            }
        }
    }
    if options.compare {
        write!(out, "{}", compared(&sentences, &vectors))?;
    }
    Ok(())
}

/// Every sentence with its nearness to every other, which are numbered in their order.
fn compared(sentences: &[String], vectors: &[Vec<f32>]) -> String {
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let numbers: Vec<String> = (1..=sentences.len()).map(|i| i.to_string()).collect();
    let mut columns: Vec<(&str, Vec<String>, bool)> =
        vec![("", numbers.clone(), true), ("sentence", sentences.to_vec(), false)];
    for (number, vector) in numbers.iter().zip(vectors) {
        columns.push((number, vectors.iter().map(|v| format!("{:.2}", near(v, vector))).collect(), true));
    }
    aligned(&columns)
}
