//! Every tensor of a program as a line of a table.

use std::fmt::{self, Write};

use covector::{DType, Shape};
use serde_json::{Value, json};

use crate::symbolic::Symbolic;

/// A program's tensors in order, and what they take together.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The tensors.
    pub rows: Vec<Row>,
    /// The sizes and their numbers, where they have one.
    pub sizes: Vec<(String, Option<i64>)>,
    /// Where the formulas hold: `d is a multiple of heads`.
    pub conditions: Vec<String>,
    /// What all takes together.
    pub totals: Totals,
}

/// What a row stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A tensor that is given.
    Input,
    /// A tensor that is learnt.
    Parameter,
    /// A result.
    Result,
}

/// A count: as an expression over the sizes, and as a number where all of them have one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Count {
    /// The expression, if one was found.
    pub symbolic: Option<Symbolic>,
    /// The number.
    pub number: Option<u64>,
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is.
    pub kind: Kind,
    /// Its name; empty if it has none.
    pub name: String,
    /// The expression that made it; its type for what is declared.
    pub expression: String,
    /// The modules it is in, from the outermost.
    pub module: Vec<String>,
    /// The line, from 1.
    pub line: usize,
    /// Its dtype.
    pub dtype: DType,
    /// Its sizes as expressions, where they were found.
    pub axes: Vec<Option<Symbolic>>,
    /// Its sizes as numbers, where all have one.
    pub shape: Option<Shape>,
    /// Its number of elements.
    pub size: Count,
    /// Arithmetic on elements.
    pub flops: Count,
    /// Arithmetic in products of matrices and convolutions.
    pub products: Count,
    /// True if the backward pass reads it.
    pub kept: bool,
    /// True if it has a gradient, which has its shape.
    pub gradient: bool,
}

/// What a program takes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Totals {
    /// Numbers that are learnt.
    pub parameters: Count,
    /// Arithmetic of the forward pass.
    pub forward: Count,
    /// Of it, in products of matrices and convolutions.
    pub forward_products: Count,
    /// Arithmetic of the backward pass.
    pub backward: Count,
    /// Of it, in products of matrices and convolutions.
    pub backward_products: Count,
    /// Bytes that the forward pass keeps for the backward pass.
    pub kept: Count,
    /// The most bytes the plan takes at once, forward alone.
    pub peak_forward: Option<u64>,
    /// The most bytes the plan takes at once, forward and backward.
    pub peak: Option<u64>,
}

impl Count {
    /// The number, else the expression.
    pub fn text(&self) -> String {
        match (self.number, &self.symbolic) {
            (Some(n), _) => grouped(n),
            (None, Some(s)) => format!("{s:#}"),
            (None, None) => "?".to_owned(),
        }
    }

    /// The sum of two.
    pub fn plus(&self, other: &Count) -> Count {
        Count {
            symbolic: self.symbolic.as_ref().zip(other.symbolic.as_ref()).map(|(a, b)| a.add(b)),
            number: self.number.zip(other.number).map(|(a, b)| a + b),
        }
    }

    fn nothing() -> Count {
        Count { symbolic: Some(Symbolic::default()), number: Some(0) }
    }

    fn is_nothing(&self) -> bool {
        self.number == Some(0) || self.symbolic.as_ref().is_some_and(|s| s.as_constant() == Some(0))
    }
}

impl Row {
    /// The shape with its symbols: `[B, T, d]`.
    pub fn symbols(&self) -> String {
        let axis = |a: &Option<Symbolic>| a.as_ref().map_or("?".to_owned(), Symbolic::to_string);
        format!("[{}]", self.axes.iter().map(axis).collect::<Vec<_>>().join(", "))
    }

    /// The shape with its numbers: `[2, 5, 16]`.
    pub fn numbers(&self) -> Option<String> {
        let shape = self.shape.as_ref()?;
        Some(format!("[{}]", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")))
    }

    /// The modules and the name: `block.0.q`.
    pub fn path(&self) -> String {
        self.module.iter().map(String::as_str).chain([&*self.name]).collect::<Vec<_>>().join(".")
    }

    fn parameters(&self) -> Count {
        if self.kind == Kind::Parameter { self.size.clone() } else { Count::nothing() }
    }
}

/// A number with its digits in groups of three: `124,337,664`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// Bytes as people read them: `498.6 MB` (thousands of thousands).
pub fn bytes(n: u64) -> String {
    let (mut x, mut unit) = (n as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if x < 1000.0 {
            break;
        }
        (x, unit) = (x / 1000.0, next);
    }
    if unit == "B" { format!("{n} B") } else { format!("{x:.1} {unit}") }
}

/// A line of the printed table: a tensor, a whole module, or modules that are like another.
#[derive(Clone, Debug)]
struct Line {
    indent: usize,
    name: String,
    expression: String,
    symbols: String,
    numbers: String,
    dtype: String,
    bytes: String,
    parameters: Count,
    flops: Count,
    kept: &'static str,
    gradient: &'static str,
}

impl Trace {
    /// The table with modules below `depth` as one line each, and modules like their neighbour before in one line.
    pub fn table(&self, depth: usize) -> String {
        let mut lines = Vec::new();
        self.lines(0..self.rows.len(), 0, depth, &mut lines);
        let any_kept = self.rows.iter().any(|r| r.kept);
        let mut columns: Vec<(&str, Vec<String>, bool)> = vec![
            ("tensor", lines.iter().map(|l| "  ".repeat(l.indent) + &l.name).collect(), false),
            ("from", lines.iter().map(|l| l.expression.clone()).collect(), false),
            ("shape", lines.iter().map(|l| l.symbols.clone()).collect(), false),
            ("in numbers", lines.iter().map(|l| l.numbers.clone()).collect(), false),
            ("dtype", lines.iter().map(|l| l.dtype.clone()).collect(), false),
            ("bytes", lines.iter().map(|l| l.bytes.clone()).collect(), true),
            ("parameters", lines.iter().map(|l| shown(&l.parameters)).collect(), true),
            ("FLOPs", lines.iter().map(|l| shown(&l.flops)).collect(), true),
        ];
        if any_kept {
            columns.push(("kept", lines.iter().map(|l| l.kept.to_owned()).collect(), false));
            columns.push(("gradient", lines.iter().map(|l| l.gradient.to_owned()).collect(), false));
        }
        columns.retain(|(_, cells, _)| cells.iter().any(|c| !c.is_empty()));
        aligned(&columns)
    }

    /// The lines of these rows, all of which are in the same module of this depth.
    fn lines(&self, rows: std::ops::Range<usize>, level: usize, depth: usize, lines: &mut Vec<Line>) {
        let module = |i: usize| self.rows[i].module.get(level);
        let mut at = rows.start;
        // The group before, if it was a module: its rows.
        let mut before: Option<std::ops::Range<usize>> = None;
        let mut like: Option<(usize, std::ops::Range<usize>)> = None;
        while at < rows.end {
            let Some(name) = module(at) else {
                self.flush(&mut like, level, lines);
                lines.push(self.line(at, level));
                (before, at) = (None, at + 1);
                continue;
            };
            let end = (at..rows.end).find(|&i| module(i) != Some(name)).unwrap_or(rows.end);
            let group = at..end;
            if before.as_ref().is_some_and(|b| self.alike(b.clone(), group.clone(), level)) {
                let (count, _) = like.get_or_insert((0, group.clone()));
                *count += 1;
                if let Some((_, all)) = &mut like {
                    all.end = end;
                }
            } else {
                self.flush(&mut like, level, lines);
                lines.push(self.summary(name.clone(), group.clone(), level));
                if level < depth {
                    self.lines(group.clone(), level + 1, depth, lines);
                }
                before = Some(group);
            }
            at = end;
        }
        self.flush(&mut like, level, lines);
    }

    /// Writes the line for modules that were like the one before them.
    fn flush(&self, like: &mut Option<(usize, std::ops::Range<usize>)>, level: usize, lines: &mut Vec<Line>) {
        let Some((count, rows)) = like.take() else { return };
        let name = |i: usize| self.rows[i].module[level].clone();
        let (first, last) = (name(rows.start), name(rows.end - 1));
        let title = if count == 1 { first } else { format!("{first} … {last}") };
        let mut line = self.summary(title, rows, level);
        line.expression = if count == 1 { "the same again".into() } else { format!("{count} × the same again") };
        lines.push(line);
    }

    fn line(&self, i: usize, indent: usize) -> Line {
        let row = &self.rows[i];
        let number = row.shape.as_ref().map(|s| (s.size() * row.dtype.size()) as u64);
        Line {
            indent,
            name: row.name.clone(),
            expression: shortened(&without_names(&row.expression), 44),
            symbols: row.symbols(),
            numbers: row.numbers().filter(|n| *n != row.symbols()).unwrap_or_default(),
            dtype: row.dtype.to_string(),
            bytes: number.map_or(String::new(), bytes),
            parameters: row.parameters(),
            flops: row.flops.clone(),
            kept: if row.kept { "kept" } else { "" },
            gradient: if row.gradient { "yes" } else { "" },
        }
    }

    /// A module in one line: its last result's shape, and its sums.
    fn summary(&self, name: String, rows: std::ops::Range<usize>, indent: usize) -> Line {
        let sum = |of: fn(&Row) -> Count| self.rows[rows.clone()].iter().fold(Count::nothing(), |a, r| a.plus(&of(r)));
        let last = &self.rows[rows.end - 1];
        Line {
            indent,
            name: name + ":",
            expression: String::new(),
            symbols: if last.kind == Kind::Result { last.symbols() } else { String::new() },
            numbers: last.numbers().filter(|n| last.kind == Kind::Result && *n != last.symbols()).unwrap_or_default(),
            dtype: String::new(),
            bytes: String::new(),
            parameters: sum(Row::parameters),
            flops: sum(|r| r.flops.clone()),
            kept: "",
            gradient: "",
        }
    }

    /// True if two modules hold the same, but for the number in their names.
    fn alike(&self, a: std::ops::Range<usize>, b: std::ops::Range<usize>, level: usize) -> bool {
        let base = |i: usize| {
            let name = &self.rows[i].module[level];
            name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned()
        };
        let same = |(i, j): (usize, usize)| {
            let (x, y) = (&self.rows[i], &self.rows[j]);
            let of = |r: &Row| (r.axes.clone(), r.shape.clone(), r.dtype, r.kind);
            let text = |i: usize, rows: &std::ops::Range<usize>| {
                [&self.rows[i].name, &self.rows[i].expression].map(|text| self.counted_from(text, rows))
            };
            text(i, &a) == text(j, &b)
                && of(x) == of(y)
                && x.flops == y.flops
                && x.module[level + 1..] == y.module[level + 1..]
        };
        a.len() == b.len() && base(a.start) == base(b.start) && a.clone().zip(b.clone()).all(same)
    }

    /// A text in which results without a name, `%7`, are counted from the first of these rows; those of others are all one.
    fn counted_from(&self, text: &str, rows: &std::ops::Range<usize>) -> String {
        let mut pieces = text.split('%');
        let mut counted = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let name = format!("%{}", &piece[..digits]);
            match rows.clone().position(|i| self.rows[i].name == name) {
                Some(place) => counted += &format!("%{place}"),
                None => counted.push('%'),
            }
            counted += &piece[digits..];
        }
        counted
    }

    /// The totals in words: a number and under it its formula.
    pub fn summary_text(&self) -> String {
        let t = &self.totals;
        let mut text = String::new();
        let mut say = |what: &str, count: &Count, said: &dyn Fn(u64) -> String| {
            let mut lines: Vec<String> = count.number.iter().map(|n| said(*n)).collect();
            match &count.symbolic {
                Some(s) if s.as_constant().is_none() || lines.is_empty() => {
                    let sign = if lines.is_empty() { "" } else { "= " };
                    lines.extend(wrapped(&format!("{sign}{s:#}"), 100));
                }
                None if lines.is_empty() => lines.push("?".into()),
                _ => {}
            }
            for (i, line) in lines.iter().enumerate() {
                let _ = writeln!(text, "{:<12}{line}", if i == 0 { what } else { "" });
            }
        };
        let flops = |n: u64, products: &Count| match products.number {
            Some(p) if p > 0 => format!("{} FLOPs, {} of them in products", grouped(n), grouped(p)),
            _ => grouped(n) + " FLOPs",
        };
        if !t.parameters.is_nothing() {
            say("parameters", &t.parameters, &grouped);
        }
        say("forward", &t.forward, &|n| flops(n, &t.forward_products));
        if !t.backward.is_nothing() && t.backward != Count::default() {
            say("backward", &t.backward, &|n| flops(n, &t.backward_products));
            if !t.kept.is_nothing() {
                say("kept", &t.kept, &|n| bytes(n) + " for the backward pass");
            }
        }
        let peak = |n: Option<u64>| Count { symbolic: None, number: n };
        if t.peak_forward.is_some() {
            say("memory", &peak(t.peak_forward), &|n| bytes(n) + " at most, forward");
        }
        if t.peak.is_some() {
            say("", &peak(t.peak), &|n| bytes(n) + " at most, forward and backward");
        }
        for (i, condition) in self.conditions.iter().enumerate() {
            let _ = writeln!(text, "{:<12}{condition}", if i == 0 { "where" } else { "" });
        }
        text
    }

    /// All rows and totals as JSON.
    pub fn json(&self) -> Value {
        let count = |c: &Count| json!({ "symbolic": c.symbolic.as_ref().map(Symbolic::to_string), "number": c.number });
        let row = |r: &Row| {
            json!({
                "kind": match r.kind { Kind::Input => "input", Kind::Parameter => "parameter", Kind::Result => "result" },
                "name": r.name, "module": r.module, "expression": r.expression, "line": r.line,
                "dtype": r.dtype.name(),
                "axes": r.axes.iter().map(|a| a.as_ref().map(Symbolic::to_string)).collect::<Vec<_>>(),
                "shape": r.shape.as_ref().map(|s| s.to_vec()),
                "size": count(&r.size), "flops": count(&r.flops), "product_flops": count(&r.products),
                "kept": r.kept, "gradient": r.gradient,
            })
        };
        let t = &self.totals;
        json!({
            "conditions": self.conditions,
            "sizes": self.sizes.iter().map(|(n, v)| (n.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "tensors": self.rows.iter().map(row).collect::<Vec<_>>(),
            "totals": {
                "parameters": count(&t.parameters), "forward_flops": count(&t.forward),
                "forward_product_flops": count(&t.forward_products), "backward_flops": count(&t.backward),
                "backward_product_flops": count(&t.backward_products), "kept_bytes": count(&t.kept),
                "peak_bytes_forward": t.peak_forward, "peak_bytes": t.peak,
            },
        })
    }

    /// All rows as comma-separated values with a header.
    pub fn csv(&self) -> String {
        let mut text =
            String::from("kind,module,name,expression,line,dtype,axes,shape,flops,product_flops,kept,gradient\n");
        for r in &self.rows {
            let kind = match r.kind {
                Kind::Input => "input",
                Kind::Parameter => "parameter",
                Kind::Result => "result",
            };
            let cells = [
                kind.to_owned(),
                r.module.join("."),
                r.name.clone(),
                r.expression.clone(),
                r.line.to_string(),
                r.dtype.to_string(),
                r.symbols(),
                r.numbers().unwrap_or_default(),
                r.flops.text().replace(',', ""),
                r.products.text().replace(',', ""),
                r.kept.to_string(),
                r.gradient.to_string(),
            ];
            let _ = writeln!(text, "{}", cells.map(|c| quoted(&c)).join(","));
        }
        text
    }
}

impl fmt::Display for Trace {
    /// The whole table, and the totals under it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.table(usize::MAX), self.summary_text())
    }
}

fn shown(count: &Count) -> String {
    if count.is_nothing() { String::new() } else { count.text() }
}

/// A cell of comma-separated values (RFC 4180).
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// A sum on several lines, each with a `+` or `-` at its beginning.
fn wrapped(sum: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut open = 0;
    for word in sum.split(' ') {
        let last = lines.last_mut().expect("never empty");
        let between = open == 0 && matches!(word, "+" | "-");
        open += word.matches('(').count() as i32 - word.matches(')').count() as i32;
        if between && last.chars().count() > most {
            lines.push(format!("  {word}"));
        } else {
            *last = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        }
    }
    lines
}

/// Without the names that calls give their modules, which stand in the column before: `linear(x, 4, 2, name="fc1")`.
fn without_names(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(", name=\"") {
        kept.push_str(&rest[..at]);
        let behind = &rest[at + ", name=\"".len()..];
        rest = behind.find('"').map_or("", |end| &behind[end + 1..]);
    }
    kept + rest
}

/// On one line, cut where it gets longer than `most`: at the end, but a chain of methods at its beginning.
fn shortened(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = line.chars().count();
    if length <= most {
        line
    } else if is_chain(&line) {
        std::iter::once('…').chain(line.chars().skip(length - most + 1)).collect()
    } else {
        line.chars().take(most - 1).chain(['…']).collect()
    }
}

/// True for `x.f(…)` and `x[…]`, which say at their end what was done last; false for `f(…)` and for operators.
fn is_chain(line: &str) -> bool {
    let (mut depth, mut last_open) = (0, 0);
    for (at, c) in line.char_indices() {
        match c {
            '(' | '[' => {
                if depth == 0 {
                    last_open = at;
                }
                depth += 1;
            }
            ')' | ']' => depth -= 1,
            ' ' if depth == 0 => return false,
            _ => {}
        }
    }
    let before = line[..last_open].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    line.ends_with(']') || line.ends_with(')') && before.ends_with('.')
}

/// Columns under their titles, two spaces apart; numbers stand at the right.
pub fn aligned(columns: &[(&str, Vec<String>, bool)]) -> String {
    let count = columns.first().map_or(0, |c| c.1.len());
    let widths: Vec<usize> = columns
        .iter()
        .map(|(title, cells, _)| {
            cells.iter().map(|c| c.chars().count()).chain([title.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in 0..=count {
        let mut line = String::new();
        for ((title, cells, right), &width) in columns.iter().zip(&widths) {
            let cell = if row == 0 { *title } else { &cells[row - 1] };
            let _ = if *right { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_cut_where_they_say_least() {
        let cut = |text: &str| shortened(&without_names(text), 24);
        assert_eq!(cut("linear(x, d, d, name=\"q_proj\")"), "linear(x, d, d)");
        assert_eq!(cut("linear(x, d, d, name=\"q\").reshape(B, T, h, d / h)"), "…reshape(B, T, h, d / h)");
        assert_eq!(cut("softmax(where(causal, scores, -inf))"), "softmax(where(causal, s…");
        assert_eq!(cut("(a + b).reshape(8) @ (c + d).reshape(9)"), "(a + b).reshape(8) @ (c…");
        assert_eq!(cut("rotate(k, cosine, sine)[:, :, None]"), "…sine, sine)[:, :, None]");
    }

    #[test]
    fn long_formulas_break_between_terms() {
        assert_eq!(wrapped("a·b + (c + d)·e + f", 5), ["a·b + (c + d)·e", "  + f"]);
        assert_eq!(wrapped("a", 5), ["a"]);
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let all = [0, 12, 123, 1234, 123_456, 12_345_678].map(grouped);
        assert_eq!(all, ["0", "12", "123", "1,234", "123,456", "12,345,678"]);
    }

    #[test]
    fn bytes_are_read_in_thousands() {
        assert_eq!([999, 1500, 12_345_678].map(bytes), ["999 B", "1.5 kB", "12.3 MB"]);
    }
}
