//! Cases in Markdown: a title, what is to hold, a program, and the text that it gives.
//!
//! ```text
//! ## Title                       a case begins
//! With: B=2 d=16                 numbers for sizes
//! Marked: x 1; W 0               the axes that are marked, by the name and the number
//! Fixes: 2                       how many are proposed (left out: at least one)
//! Further: the loss              other mistakes remain with each fix
//! ```
//! (also as comments, `<!-- With: B=2 -->`), then a block ```` ```cv ````, and one ```` ```text ```` with the text. `COVECTOR_UPDATE=1` writes the texts anew.

use std::path::{Path, PathBuf};

use covector_lang::{Numbers, Program, Report};

/// One case.
#[derive(Default, Clone)]
pub struct Case {
    pub title: String,
    pub facts: Vec<(String, String)>,
    pub program: String,
    /// The expected text, with the line behind its opening fence and the line of its closing one.
    pub expected: Option<(String, usize, usize)>,
    /// The line of the program's closing fence.
    pub program_end: usize,
}

impl Case {
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn numbers(&self) -> Numbers {
        let given = self.fact("With").unwrap_or_default();
        let pair = |word: &str| word.split_once('=').map(|(n, v)| (n.to_owned(), v.parse().expect("a number")));
        given.split_whitespace().filter_map(pair).collect()
    }
}

/// The cases of a file: every block of a program begins one.
pub fn cases(text: &str) -> Vec<Case> {
    let (mut found, mut title, mut facts) = (Vec::<Case>::new(), String::new(), Vec::new());
    let lines: Vec<&str> = text.lines().collect();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        if let Some(heading) = line.strip_prefix('#') {
            title = heading.trim_start_matches('#').trim().to_owned();
            facts.clear();
        }
        let line = line.strip_prefix("<!-- ").and_then(|l| l.strip_suffix(" -->")).unwrap_or(line);
        for name in ["With", "Marked", "Fixes", "Further", "Use"] {
            if let Some(value) = line.strip_prefix(&format!("{name}: ")) {
                facts.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        if let Some(kind) = line.strip_prefix("```").filter(|k| !k.is_empty()) {
            let end = (i + 1..lines.len()).find(|&j| lines[j] == "```").expect("a block is closed");
            let body: String = lines[i + 1..end].iter().map(|l| format!("{l}\n")).collect();
            match kind {
                "cv" => found.push(Case {
                    title: title.clone(),
                    facts: std::mem::take(&mut facts),
                    program: body,
                    expected: None,
                    program_end: end,
                }),
                "text" => {
                    let last = found.last_mut().expect("a text follows a program");
                    last.expected = Some((body, i + 1, end));
                }
                _ => {}
            }
            i = end;
        }
        i += 1;
    }
    found
}

/// Compares what the cases of a file give with what the file says; writes it anew if that is wished for.
pub fn compare(path: &Path, gives: impl Fn(&Case) -> String) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let cases = cases(&text);
    assert!(!cases.is_empty(), "{} has no cases", path.display());
    let update = std::env::var_os("COVECTOR_UPDATE").is_some();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    // From the end, so that line numbers before stay right.
    for case in cases.iter().rev() {
        let given = gives(case);
        match &case.expected {
            Some((expected, ..)) if *expected == given => {}
            Some((_, from, to)) if update => drop(lines.splice(from..to, given.lines().map(str::to_owned))),
            None if update && !given.is_empty() => {
                let block = ["", "```text"].into_iter().chain(given.lines()).chain(["```"]).map(str::to_owned);
                lines.splice(case.program_end + 1..case.program_end + 1, block.collect::<Vec<_>>());
            }
            None if given.is_empty() => {}
            other => {
                let expected = other.as_ref().map_or("nothing", |(text, ..)| text.as_str());
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                wrong.push(format!("{file}: {}\n--- expected\n{expected}--- given\n{given}", case.title));
            }
        }
    }
    if update {
        std::fs::write(path, lines.join("\n") + "\n").expect("the file can be written");
    }
    wrong
}

/// What is wrong with a program.
pub fn fault(case: &Case) -> Option<Box<Report>> {
    match Program::parse("program.cv", &case.program) {
        Err(report) => Some(report),
        Ok(program) => program.check(&case.numbers()).err(),
    }
}

/// The Markdown files of a folder beside the tests.
#[allow(dead_code, reason = "the tour is one file")]
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder is there").map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}
