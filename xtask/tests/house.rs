//! The house stays in order: arrows run down, `unsafe` lives in one crate, files stay small.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// For each crate, which of ours it may depend on.
const ARROWS: [(&str, &[&str]); 16] = [
    ("covector-factor", &[]),
    ("covector-array", &["covector-factor"]),
    ("covector-derive", &[]),
    ("covector-io", &["covector-array"]),
    ("covector", &["covector-array", "covector-derive"]),
    ("covector-nn", &["covector", "covector-array", "covector-derive", "covector-io"]),
    ("covector-data", &["covector", "covector-nn", "covector-io"]),
    ("covector-check", &["covector"]),
    ("covector-models", &["covector", "covector-nn", "covector-io"]),
    ("covector-trace", &["covector"]),
    ("covector-lang", &["covector", "covector-trace"]),
    ("covector-py", &["covector", "covector-nn", "covector-io", "covector-trace"]),
    (
        "covector-train",
        &["covector", "covector-nn", "covector-io", "covector-trace", "covector-models", "covector-data"],
    ),
    (
        "covector-cli",
        &[
            "covector",
            "covector-nn",
            "covector-io",
            "covector-trace",
            "covector-lang",
            "covector-models",
            "covector-train",
            "covector-data",
        ],
    ),
    ("covector-bench", &["covector", "covector-nn"]),
    ("xtask", &["covector", "covector-check"]),
];

fn folder(name: &str) -> PathBuf {
    match name {
        "xtask" => root().join("xtask"),
        "covector-bench" => root().join("bench"),
        _ => root().join("crates").join(name),
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources(name: &str, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(&folder(name).join(part), &mut found);
    found
}

/// Our crates named in the `[dependencies]` of a manifest (those for tests do not count).
fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(folder(name).join("Cargo.toml")).expect("every crate has a manifest");
    let normal = manifest.split("\n[").filter(|section| section.starts_with("dependencies]")).collect::<String>();
    let names = normal.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|n| n.starts_with("covector")).map(str::to_owned).collect()
}

#[test]
fn every_crate_is_on_the_map() {
    for entry in fs::read_dir(root().join("crates")).expect("the crates folder").flatten() {
        let name = entry.file_name().into_string().expect("plain names");
        assert!(ARROWS.iter().any(|(known, _)| *known == name), "crate {name} is not in the list of allowed arrows");
    }
}

#[test]
fn arrows_between_crates_run_down() {
    for (name, allowed) in ARROWS {
        for dependency in dependencies(name) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
        for file in sources(name, "src") {
            let text = fs::read_to_string(&file).expect("sources are UTF-8");
            for (other, _) in ARROWS.iter().filter(|(other, _)| *other != name && !allowed.contains(other)) {
                let path = format!("{}::", other.replace('-', "_"));
                let used = text
                    .lines()
                    .filter(|l| !l.trim_start().starts_with("//"))
                    .any(|l| l.contains(&format!("use {path}")));
                assert!(!used, "{} uses {other}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_code_lives_in_one_crate() {
    // The border to Python's C interface is one file of its own crate.
    let border = folder("covector-py").join("src/ffi.rs");
    let root = fs::read_to_string(folder("covector-py").join("src/lib.rs")).expect("the crate's root");
    assert!(root.contains("#![deny(unsafe_code)]"), "covector-py does not deny unsafe code");
    let allowed: Vec<PathBuf> = sources("covector-py", "src")
        .into_iter()
        .filter(|f| fs::read_to_string(f).expect("sources are UTF-8").contains("unsafe {"))
        .collect();
    assert!(allowed.iter().all(|f| *f == border), "{allowed:?} hold unsafe code");
    for (name, _) in ARROWS.iter().filter(|(name, _)| !["covector-array", "covector-py"].contains(name)) {
        let crate_roots = ["src/lib.rs", "src/main.rs"].map(|f| folder(name).join(f));
        for file in crate_roots.iter().filter(|f| f.exists()) {
            let text = fs::read_to_string(file).expect("sources are UTF-8");
            assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", file.display());
        }
    }
    for file in sources("covector-array", "src").into_iter().chain([border]) {
        let text = fs::read_to_string(&file).expect("sources are UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate().filter(|(_, l)| l.contains("unsafe {") || l.contains("unsafe impl")) {
            let above = lines[i.saturating_sub(6)..=i].iter().any(|l| l.contains("SAFETY"));
            assert!(above, "{}:{} has no SAFETY reason: {line}", file.display(), i + 1);
        }
    }
}

/// Files that are tables: one record after another.
const TABLES: [&str; 1] = ["ops/elementwise.rs"];

#[test]
fn files_stay_below_600_lines() {
    for (name, _) in ARROWS {
        for part in ["src", "tests", "examples", "benches"] {
            for file in sources(name, part) {
                let lines = fs::read_to_string(&file).expect("sources are UTF-8").lines().count();
                let table = TABLES.iter().any(|t| file.ends_with(t));
                assert!(table || lines <= 600, "{} has {lines} lines", file.display());
            }
        }
    }
}
