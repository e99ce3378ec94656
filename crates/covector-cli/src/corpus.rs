//! The text that is learned when none is given: the project's own documentation.

use covector::registry;

/// The documents, in order; to add one, add a line.
const DOCUMENTS: &[&str] = &[
    include_str!("../corpus/ARCHITECTURE.md"),
    include_str!("../corpus/STYLE.md"),
    include_str!("../corpus/decisions/0001-one-node-one-output.md"),
    include_str!("../corpus/decisions/0002-marks-instead-of-a-tape.md"),
    include_str!("../corpus/decisions/0003-elementwise-rules-by-macro.md"),
    include_str!("../corpus/CHANGELOG.md"),
];

/// The documents, and the docstring of every op.
///
/// The ops are dealt out in an order unlike that of the files, so that the held-out end has a bit of every family.
pub fn embedded() -> String {
    let mut text = DOCUMENTS.join("\n");
    let ops: Vec<_> = registry::all().collect();
    // A step that shares no factor with the length visits every op once.
    let step = (ops.len() * 5 / 8..).find(|step| gcd(*step, ops.len()) == 1).unwrap_or(1);
    for i in 0..ops.len() {
        let op = ops[i * step % ops.len()];
        let params: Vec<&str> = op.params.iter().map(|p| p.name).collect();
        text.push_str(&format!("\n## {}({})\n\n{}\n", op.name, params.join(", "), op.doc));
    }
    text
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
