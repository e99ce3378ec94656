//! Programs that run and are wrong, and programs that are right.
//!
//! The line to blame carries the comment `// here`.

mod bugs;
mod more;
#[path = "../programs/mod.rs"]
mod programs;
mod words;

use covector::Tensor;
use covector_trace::lint;
use covector_trace::lint::{Level, RULES, Warning};

/// Asks for one warning (or hint) by this rule, at the marked line, and for no warning by another.
pub fn caught(f: impl FnOnce(&Vec<Tensor>) -> Tensor, args: &[Tensor], rule: &str) -> Warning {
    let found = lint(f, &args.to_vec());
    let text = found.iter().map(Warning::to_string).collect::<String>();
    let others: Vec<_> = found.iter().filter(|w| w.rule != rule && w.level == Level::Warning).collect();
    assert!(others.is_empty(), "wanted {rule} only:\n{text}");
    let [warning] = &found.iter().filter(|w| w.rule == rule).collect::<Vec<_>>()[..] else {
        panic!("wanted {rule} once:\n{text}")
    };
    if warning.op != "argument" {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = std::fs::read_to_string(root.join(&warning.source.file)).expect("the test's own file");
        let line = file.lines().nth(warning.source.line as usize - 1).unwrap_or_default();
        assert!(line.contains("// here"), "another line is to blame than\n{warning}");
    }
    (*warning).clone()
}

#[test]
fn hardly_a_warning_for_programs_that_are_right() {
    let (mut n, mut warnings, mut hints) = (0, Vec::new(), Vec::new());
    programs::all(&mut |name, f, args| {
        n += 1;
        for found in lint(|p: &Vec<Tensor>| f(p), &args) {
            let said = format!("{name}: {found}");
            if found.level == Level::Warning { warnings.push(said) } else { hints.push(said) }
        }
    });
    assert!(n >= 60, "only {n} programs");
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    // T5 has no scale and means it.
    assert!(hints.len() <= 1, "{}", hints.join("\n"));
}

#[test]
fn rules_have_names_of_their_own() {
    let mut ids: Vec<&str> = RULES.iter().map(|r| r.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
    assert!(RULES.iter().all(|r| r.about.ends_with('.')));
}
