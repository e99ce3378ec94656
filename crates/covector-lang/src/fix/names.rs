//! Names that are not known.

use super::Search;
use crate::ast::{Expr, ExprKind};
use crate::text::Span;
use covector::spelling::nearest;

/// What things are called elsewhere, and here.
const ELSEWHERE: [(&str, &str); 22] = [
    ("view", "reshape"),
    ("mm", "matmul"),
    ("bmm", "matmul"),
    ("addmm", "matmul"),
    ("amax", "max"),
    ("amin", "min"),
    ("clamp", "clip"),
    ("dim", "ndim"),
    ("t", "T"),
    ("H", "T"),
    ("long", "cast"),
    ("type", "cast"),
    ("masked_fill_", "masked_fill"),
    ("square", "pow"),
    ("expand", "broadcast_to"),
    ("newaxis", "None"),
    ("none", "None"),
    ("true", "True"),
    ("false", "False"),
    ("sigma", "sigmoid"),
    ("ln", "log"),
    ("array", "tensor"),
];

/// Modules of other libraries: here names stand by themselves.
const MODULES: [&str; 12] = ["np", "numpy", "jnp", "jax", "torch", "tf", "nn", "F", "keras", "math", "lax", "mx"];

impl Search<'_> {
    pub(super) fn name(&mut self, at: Span, name: &str, known: &[String]) {
        if MODULES.contains(&name) {
            self.module(at, name);
        }
        for (_, here) in ELSEWHERE.iter().filter(|(there, _)| *there == name) {
            self.offer(format!("here it is called `{here}`"), at, *here);
        }
        // `x.t()` and `x.size(0)` are no calls here.
        let behind = &self.program.text[at.end..];
        if matches!(name, "t" | "mT" | "H") && behind.starts_with("()") {
            self.offer("a transpose is no call", Span::new(at.start..at.end + 2), "T");
        }
        let mut candidates: Vec<&str> = known.iter().map(String::as_str).collect();
        self.rank = 1;
        for _ in 0..4 {
            let Some(meant) = nearest(name, candidates.iter().copied()) else { break };
            self.offer(format!("`{meant}` is known"), at, meant);
            candidates.retain(|c| *c != meant);
        }
        self.rank = 2;
        // Another name of the program that begins or ends alike: `weights` for `weight_1`.
        let short = |n: &String| n.len() >= 3 && (n.starts_with(name) || name.starts_with(n.as_str()));
        for meant in known.iter().filter(|n| short(n)).take(3) {
            self.offer(format!("`{meant}` is known"), at, meant.as_str());
        }
    }

    /// `np.sum` is `sum`, `torch.nn.functional.relu` is `relu`.
    fn module(&mut self, at: Span, name: &str) {
        let text = &self.program.text;
        let mut end = at.end;
        while let Some(rest) = text[end..].strip_prefix('.') {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if !text[end + 1 + word..].starts_with('.') {
                let last = &rest[..word];
                let meant = ELSEWHERE.iter().find(|(there, _)| *there == last).map_or(last, |(_, here)| here);
                let whole = Span::new(at.start..end + 1 + word);
                self.offer(format!("names stand by themselves here, without `{name}`"), whole, meant);
                break;
            }
            end += 1 + word;
        }
    }

    /// What is called is no function: a size, a property.
    pub(super) fn not_a_function(&mut self) {
        let callee = self.fault.span();
        let behind = &self.program.text[callee.end..];
        let Some(close) = behind.find(')').filter(|_| behind.starts_with('(')) else { return };
        let inside = behind[1..close].to_owned();
        let call = Span::new(callee.end..callee.end + close + 1);
        if let Some(Expr { kind: ExprKind::Attribute(of, name), .. }) = self.expr(callee)
            && name == "size"
        {
            let whole = Span::new(callee.start..call.end);
            let of = self.text(of.span);
            let with = if inside.is_empty() { format!("{of}.shape") } else { format!("{of}.shape[{inside}]") };
            self.offer("sizes are read off the shape", whole, with);
            self.rank = 1;
        }
        if inside.is_empty() {
            self.offer("this is a property, no method", call, "");
        }
        self.offer("items are taken by square brackets", call, format!("[{inside}]"));
        self.offer("to multiply, write `*`", call, format!(" * ({inside})"));
    }
}
