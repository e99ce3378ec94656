//! What is wrong with a program, drawn over its text.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::about::About;
use crate::shapes::Shapes;
use crate::text::Span;

/// What is wrong, where, why, and what to do.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The rule that was broken.
    pub message: String,
    /// The place that broke it, with what stands there.
    pub at: Vec<Label>,
    /// What else there is to know, line by line.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<Help>,
    /// The op that refused, if one did.
    pub op: Option<Box<str>>,
    /// What there is to know for those who look for a way out.
    pub(crate) about: Box<About>,
}

/// A place in the text and what is to be said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is to be said; may be empty.
    pub text: String,
}

/// What to do about a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Help {
    /// In words.
    pub text: String,
    /// As a change of the text: what to put where. Applied, the program has been seen to pass this place.
    pub fix: Option<(Span, String)>,
}

impl Fault {
    /// A fault at a place.
    pub fn new(message: impl Into<String>, span: Span) -> Fault {
        let at = vec![Label { span, text: String::new() }];
        Fault { message: message.into(), at, notes: Vec::new(), help: Vec::new(), op: None, about: Box::default() }
    }

    /// Says something of another place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Fault {
        self.at.push(Label { span, text: text.into() });
        self
    }

    /// Says something of the place itself.
    pub fn here(mut self, text: impl Into<String>) -> Fault {
        self.at[0].text = text.into();
        self
    }

    /// Adds what else there is to know.
    pub fn note(mut self, text: impl Into<String>) -> Fault {
        self.notes.push(text.into());
        self
    }

    /// Adds what to do.
    pub fn help(mut self, text: impl Into<String>) -> Fault {
        self.help.push(Help { text: text.into(), fix: None });
        self
    }

    /// The shapes that do not go together, with the axes at which they clash.
    pub fn shapes(&self) -> Option<&Shapes> {
        self.about.shapes.as_ref()
    }

    /// The place that broke the rule.
    pub fn span(&self) -> Span {
        self.at[0].span
    }
}

/// A fault together with the text it is in, ready to be read.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is wrong.
    pub fault: Fault,
    /// The file's name.
    pub name: String,
    /// The program.
    pub text: String,
}

impl Report {
    /// The fault drawn over the text, with colours for a terminal if they are wanted.
    pub fn render(&self, colour: bool) -> String {
        let fault = &self.fault;
        let mut snippet = Snippet::source(&self.text).path(&self.name).line_start(1);
        for (i, label) in fault.at.iter().enumerate() {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let mut mark = kind.span(self.visible(label.span));
            if !label.text.is_empty() {
                mark = mark.label(&label.text);
            }
            snippet = snippet.annotation(mark);
        }
        let title = match &fault.op {
            Some(op) => format!("{op}: {}", fault.message),
            None => fault.message.clone(),
        };
        let drawn = fault.shapes().map(Shapes::to_string);
        let mut group = Group::with_title(Level::ERROR.primary_title(title)).element(snippet);
        for note in drawn.iter().chain(&fault.notes) {
            group = group.element(Level::NOTE.message(note));
        }
        let mut groups = Vec::new();
        for help in &fault.help {
            match &help.fix {
                None => group = group.element(Level::HELP.message(&help.text)),
                Some((span, text)) => {
                    let patched = Snippet::source(&self.text).path(&self.name).line_start(1);
                    let patched = patched.patch(Patch::new(span.start..span.end, text));
                    groups.push(Group::with_title(Level::HELP.secondary_title(&help.text)).element(patched));
                }
            }
        }
        groups.insert(0, group);
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }

    /// The span, moved off the text's end, where there is nothing to be seen.
    fn visible(&self, span: Span) -> std::ops::Range<usize> {
        let end = self.text.trim_end().len();
        if span.start >= end && end > 0 {
            let last = self.text[..end].char_indices().next_back().map_or(0, |(i, _)| i);
            return last..end;
        }
        // The end of a line is seen as a place, not as a stretch that reaches into the next.
        if span.of(&self.text).trim().is_empty() {
            return span.start..span.start;
        }
        span.start..span.end.max(span.start)
    }

    /// The fault as JSON: message, op, labels with lines and columns, notes, help with fixes.
    pub fn json(&self) -> serde_json::Value {
        use serde_json::json;
        let place = |span: Span| {
            let (line, column) = span.line_and_column(&self.text);
            let end = Span::new(span.end..span.end).line_and_column(&self.text);
            json!({ "start": span.start, "end": span.end, "line": line, "column": column, "end_line": end.0, "end_column": end.1 })
        };
        let labels: Vec<_> = self.fault.at.iter().map(|l| json!({ "span": place(l.span), "text": l.text })).collect();
        let help = |h: &Help| {
            let fix = h.fix.as_ref().map(|(span, text)| json!({ "span": place(*span), "text": text }));
            json!({ "text": h.text, "fix": fix })
        };
        let help: Vec<_> = self.fault.help.iter().map(help).collect();
        json!({
            "file": self.name, "op": self.fault.op, "message": self.fault.message,
            "labels": labels, "notes": self.fault.notes, "help": help,
            "shapes": self.fault.shapes().map(Shapes::json),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
