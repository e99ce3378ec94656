//! Texts that are no programs.

use super::Candidate;
use crate::error::Fault;
use crate::text::Span;

/// Changes near the fault that may make the text a program.
pub(super) fn candidates(fault: &Fault, text: &str) -> Vec<Candidate> {
    let at = fault.span();
    let mut found = Vec::new();
    let mut offer = |said: &str, span: Span, with: &str| {
        found.push(Candidate { rank: 0, text: said.to_owned(), span, with: with.to_owned() });
    };
    let line_start = text[..at.start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[at.start..].find('\n').map_or(text.len(), |i| at.start + i);
    let line = &text[line_start..line_end];
    let here = at.of(text);
    let end = Span::new(line_start + code_end(line)..line_start + code_end(line));
    let word = line.trim_start();
    if ["if ", "elif ", "else", "for ", "def "].iter().any(|w| word.starts_with(w)) {
        offer("a colon before the body", end, ":");
        for (i, _) in line.match_indices('=') {
            offer("to compare, write `==`", Span::new(line_start + i..line_start + i + 1), "==");
        }
    }
    // A number that runs into a name: `2x`.
    let digits = here.find(|c: char| c.is_alphabetic()).filter(|_| here.starts_with(|c: char| c.is_ascii_digit()));
    if let Some(n) = digits {
        offer("to multiply, write `*`", Span::new(at.start + n..at.start + n), " * ");
    }
    for (there, here_is) in [
        ("·", "*"),
        ("×", "*"),
        ("−", "-"),
        ("–", "-"),
        ("²", "**2"),
        ("ᵀ", ".T"),
        ("!", "not "),
        ("&&", "&"),
        ("||", "|"),
        ("//", "#"),
        ("→", "->"),
        ("“", "\""),
        ("”", "\""),
    ] {
        if here.starts_with(there) {
            offer(
                &format!("here it is written `{}`", here_is.trim()),
                Span::new(at.start..at.start + there.len()),
                here_is,
            );
        }
    }
    if fault.message.contains("behind the dtype") {
        offer("a scalar has no sizes", end, "[]");
    }
    if text[..at.start].ends_with("**") || here == "^" {
        offer("a power is written `**`", at, "**");
    }
    for close in [")", "]"] {
        offer("close the bracket", end, close);
        offer("close the bracket", Span::new(at.start..at.start), close);
    }
    if matches!(here, ")" | "]" | "}") {
        offer("without this bracket", at, "");
        offer("the bracket that was opened", at, if here == ")" { "]" } else { ")" });
    }
    if let Some(open) = fault.at.get(1).map(|l| l.span) {
        offer("the bracket that is closed", open, if here == ")" { "(" } else { "[" });
    }
    offer("a comma between them", Span::new(at.start..at.start), ", ");
    if here == "=" {
        offer("to compare, write `==`", at, "==");
    }
    if here.starts_with('\t') {
        let tabs = line.len() - line.trim_start_matches('\t').len();
        offer("indent by spaces", Span::new(line_start..line_start + tabs), &"    ".repeat(tabs));
    }
    if fault.message.contains("indented") {
        let blank = line.len() - line.trim_start().len();
        offer(
            "indent it as the lines before",
            Span::new(line_start..line_start + blank),
            previous_blank(text, line_start),
        );
        offer("not indented", Span::new(line_start..line_start + blank), "");
    }
    if fault.message.contains("body was expected") {
        let next = line_end + 1;
        if next < text.len() {
            let blank: String = line.chars().take_while(|c| *c == ' ').collect();
            offer("indent the body", Span::new(next..next), &format!("{blank}    "));
        }
    }
    if fault.message.contains("not closed on its line") {
        let quote = here.get(..1).unwrap_or("\"");
        offer("close the text", end, quote);
    }
    if let Some((span, with)) = reordered(text, at.start).filter(|_| fault.message.contains("without a name follows")) {
        offer("arguments by position come first", span, &with);
    }
    found
}

/// The arguments around a place, those by position first; none if there are brackets among them.
fn reordered(text: &str, at: usize) -> Option<(Span, String)> {
    let start = text[..at].rfind('(')? + 1;
    let end = at + text[at..].find(')')?;
    let inside = &text[start..end];
    if inside.contains(['(', '[', '"', '\'']) {
        return None;
    }
    let (named, positional): (Vec<&str>, Vec<&str>) = inside.split(',').map(str::trim).partition(|a| a.contains('='));
    let all: Vec<&str> = positional.into_iter().chain(named).collect();
    Some((Span::new(start..end), all.join(", ")))
}

/// The blanks at the beginning of the line before.
fn previous_blank(text: &str, line_start: usize) -> &str {
    let before = text[..line_start].trim_end();
    let line = &before[before.rfind('\n').map_or(0, |i| i + 1)..];
    &line[..line.len() - line.trim_start().len()]
}

/// Where the code of a line ends: before its comment and blanks.
fn code_end(line: &str) -> usize {
    let code = line.split('#').next().unwrap_or(line);
    code.trim_end().len()
}
