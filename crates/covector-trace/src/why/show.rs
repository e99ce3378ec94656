//! A finding as people read it.

use std::fmt;

use covector::DType;
use covector::draw::short;

use super::{Finding, Reads, Symptom};
use crate::reading::wrapped;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        write!(f, "  --> {}:{}", self.source.file, self.source.line)?;
        if !self.source.text.is_empty() {
            write!(f, "    {}", self.source.text.trim())?;
        }
        writeln!(f)?;
        for reads in &self.operands {
            writeln!(f, "   |  {reads}")?;
        }
        let made = !["argument", "constant"].contains(&self.op.as_str());
        if matches!(self.symptom, Symptom::Value { .. }) && made {
            let step = self.step.map_or(String::new(), |s| format!(", in its step `{s}`"));
            writeln!(f, "   |  {}{} = {}{step}", self.op, subscript(&self.index), short(self.result))?;
        }
        writeln!(f, "  why: {}", self.explanation)?;
        self.then.iter().try_for_each(|then| writeln!(f, "       {then}"))?;
        if !self.also.is_empty() {
            writeln!(f, "       the same for {}", list(&self.also))?;
        }
        let Some(fix) = &self.fix else { return Ok(()) };
        for (i, change) in fix.changes.iter().enumerate() {
            let label = if i == 0 { "try:" } else { "and:" };
            match change.from.is_empty() {
                true => write!(f, "  {label} {}", change.to)?,
                false => write!(f, "  {label} `{}` instead of `{}`", change.to, change.from)?,
            }
            let elsewhere = (&change.source.file, change.source.line) != (&self.source.file, self.source.line);
            writeln!(
                f,
                "{}",
                if elsewhere { format!(", at {}:{}", change.source.file, change.source.line) } else { String::new() }
            )?;
        }
        writeln!(f, "       tried: {}", fix.outcome)
    }
}

impl Finding {
    /// What is wrong and who began it, in one line.
    pub fn headline(&self) -> String {
        let by = match self.op.as_str() {
            "argument" => "it came in with an argument".to_owned(),
            "constant" => "it came in with a constant".to_owned(),
            op => format!("`{op}` began it"),
        };
        match &self.symptom {
            Symptom::Value { of, is, at } => format!("{of}{} is {}: {by}", subscript(at), short(*is)),
            Symptom::Gradient { of, is, at } => {
                format!("the gradient of {of}{} is {}: {by}", subscript(at), short(*is))
            }
            Symptom::Zero { of, .. } if self.op == "argument" => {
                format!("the gradient of {of} is zero: nothing uses it")
            }
            Symptom::Zero { of, largest } if *largest > 0.0 => {
                format!("the gradient of {of} is at most {}, as good as zero: `{}` stops it", short(*largest), self.op)
            }
            Symptom::Zero { of, .. } => format!("the gradient of {of} is zero: `{}` stops it", self.op),
        }
    }
}

/// `[1, 2]`, or nothing for a scalar.
fn subscript(index: &[usize]) -> String {
    let inside: Vec<String> = index.iter().map(usize::to_string).collect();
    if inside.is_empty() { String::new() } else { format!("[{}]", inside.join(", ")) }
}

fn list(names: &[String]) -> String {
    const MOST: usize = 6;
    let shown = names.iter().take(MOST).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A number the user wrote is its own name.
        if self.name.parse::<f64>().is_ok() {
            return write!(f, "{}", self.name);
        }
        let name = |index: &str| if index.is_empty() { self.name.clone() } else { wrapped(&self.name) };
        let number = |v: f64| match self.spec.dtype {
            DType::Bool => (v != 0.0).to_string(),
            _ => short(v),
        };
        let [(first, value), rest @ ..] = &self.elements[..] else {
            return write!(f, "{} has no elements  ({})", self.name, self.spec);
        };
        let Some((last, _)) = rest.last() else {
            let at = subscript(first);
            return write!(f, "{}{at} = {}  ({})", name(&at), number(*value), self.spec);
        };
        let values: Vec<String> = self.elements.iter().map(|(_, v)| number(*v)).collect();
        let more = if self.of > values.len() { ", .." } else { "" };
        let range: Vec<String> =
            first.iter().zip(last).map(|(a, b)| if a == b { a.to_string() } else { "..".to_owned() }).collect();
        let range = if range.is_empty() { String::new() } else { format!("[{}]", range.join(", ")) };
        write!(f, "{}{range} = {}{more}  ({})", name(&range), values.join(", "), self.spec)
    }
}
