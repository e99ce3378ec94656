//! Well-known programs with a NaN, an infinity or a zero gradient, and the step that is to blame.
//!
//! The line to blame carries the comment `// here`; a fix must have been found where the case says so.

mod gradients;
mod healthy;
mod more;
#[path = "../programs/mod.rs"]
mod programs;
mod reach;
mod values;
mod words;
mod zeros;

use covector::{Tensor, Tree};
use covector_trace::why;
use covector_trace::why::{Finding, Symptom};

/// Asks, and checks the op and the line.
fn blamed<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T, op: &str, id: &str) -> Finding {
    let found = why(f, args).expect("the program runs").expect("something is wrong with it");
    assert_eq!((found.op.as_str(), found.cause.id()), (op, id), "{found}");
    assert!(line(&found).contains("// here"), "another line is to blame than\n{found}");
    found
}

/// As [`blamed`], with a fix that has been found.
fn fixed<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T, op: &str, id: &str, fix: &str) -> Finding {
    let found = blamed(f, args, op, id);
    let to: Vec<&str> = found.fix.iter().flat_map(|fix| &fix.changes).map(|c| c.to.as_str()).collect();
    assert!(to.iter().any(|t| t.contains(fix)), "no fix by {fix:?}:\n{found}");
    found
}

fn line(found: &Finding) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(&found.source.file)).expect("the test's own file");
    text.lines().nth(found.source.line as usize - 1).unwrap_or_default().to_owned()
}

fn is_gradient(found: &Finding) -> bool {
    matches!(found.symptom, Symptom::Gradient { .. })
}

fn is_zero(found: &Finding) -> bool {
    matches!(found.symptom, Symptom::Zero { .. })
}

fn t<const N: usize>(x: [f32; N]) -> Tensor {
    Tensor::from(x)
}
