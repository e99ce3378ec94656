//! A computation drawn: values flow along solid arrows, gradients come back along dotted ones.

use std::fmt::Write;

use super::Value;

impl Value<'_> {
    /// What this value was made from, as a Mermaid flowchart.
    ///
    /// Nodes carry the op (or a leaf's name), the number and the derivative of this value by it. Values flow along solid
    /// arrows; beside each runs a dotted one back, with the term it adds to the operand's gradient. The text depends on
    /// the computation alone.
    ///
    /// ```
    /// use covector::scalar::Tape;
    /// let tape = Tape::new();
    /// let x = tape.named("x", 3.0);
    /// let drawing = (x * x).mermaid();
    /// assert!(drawing.contains("n0 --> n1") && drawing.contains("n1 -.->|\"3\"| n0"));
    /// ```
    pub fn mermaid(self) -> String {
        let mut text = String::from("flowchart LR\n");
        let Some(root) = self.entry() else {
            return text + &format!("    n0([\"{}\"])\n", short(self.data()));
        };
        let grads = self.backward();
        self.record(|record| {
            let mut behind = vec![false; root + 1];
            behind[root] = true;
            for i in (0..=root).rev().filter(|&i| record.entries[i].op.is_some()) {
                if behind[i] {
                    record.operands(i).filter_map(|(at, _)| at).for_each(|j| behind[j] = true);
                }
            }
            let mut arrows = String::new();
            for i in (0..=root).filter(|&i| behind[i]) {
                let entry = &record.entries[i];
                let name = entry.op.map_or_else(
                    || record.names.get(&(i as u32)).map_or_else(|| "leaf".to_owned(), |name| escaped(name)),
                    |op| op.name.to_owned(),
                );
                let (data, grad) = (short(entry.value), short(grads.at(i)));
                _ = writeln!(text, "    n{i}[\"{name}<br>data {data}<br>grad {grad}\"]");
                for (k, (at, data)) in record.operands(i).enumerate() {
                    if let Some(j) = at {
                        _ = writeln!(arrows, "    n{j} --> n{i}");
                    } else {
                        _ = writeln!(text, "    n{i}_{k}([\"{}\"])", short(data));
                        _ = writeln!(arrows, "    n{i}_{k} --> n{i}");
                    }
                }
                for (j, slope) in record.slopes(i) {
                    _ = writeln!(arrows, "    n{i} -.->|\"{}\"| n{j}", short(slope * grads.at(i)));
                }
            }
            text += &arrows;
        });
        text
    }
}

/// At most six significant digits.
fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    // Rounding may carry into the next decade, so the exponent is read off the rounded number.
    let scientific = format!("{x:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{x:.*}", (5 - exponent) as usize)).to_owned();
    }
    format!("{}e{exponent}", trimmed(digits))
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A name as text inside a Mermaid label.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' => _ = write!(out, "#{};", u32::from(c)),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
