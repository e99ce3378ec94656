//! Shapes that do not go together, written under one another with a mark under the axes that clash.

use std::fmt;

/// Shapes under one another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shapes {
    /// The rule they break.
    pub rule: String,
    /// The shapes from above.
    pub rows: Vec<Row>,
}

/// One shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Whose it is.
    pub name: String,
    /// The sizes, as symbols or numbers.
    pub axes: Vec<String>,
    /// The axes that clash, counted from 0.
    pub marked: Vec<usize>,
    /// What is to be said behind it.
    pub tail: String,
}

impl Row {
    /// A shape with one axis marked.
    pub fn new(name: impl Into<String>, axes: impl IntoIterator<Item = usize>, marked: &[usize]) -> Row {
        let axes = axes.into_iter().map(|n| n.to_string()).collect();
        Row { name: name.into(), axes, marked: marked.to_vec(), tail: String::new() }
    }

    /// The columns of its axes, counted from the right, where shapes are aligned.
    fn columns(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.axes.len()).map(|i| (i, self.axes.len() - 1 - i))
    }

    fn marked_columns(&self) -> Vec<usize> {
        self.columns().filter(|(i, _)| self.marked.contains(i)).map(|(_, c)| c).collect()
    }
}

impl Shapes {
    /// The parts as JSON: the rule, and for each shape its name, sizes and marked axes.
    pub fn json(&self) -> serde_json::Value {
        let row = |r: &Row| serde_json::json!({ "name": r.name, "axes": r.axes, "marked": r.marked });
        serde_json::json!({ "rule": self.rule, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }

    /// How wide each column is, from the right.
    fn widths(&self) -> Vec<usize> {
        let most = self.rows.iter().map(|r| r.axes.len()).max().unwrap_or(0);
        let mut widths = vec![0; most];
        for row in &self.rows {
            for (i, column) in row.columns() {
                widths[column] = widths[column].max(row.axes[i].chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        let widths = self.widths();
        let names = self.rows.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
        let tails = self.rows.iter().any(|r| !r.tail.is_empty());
        for (i, row) in self.rows.iter().enumerate() {
            let mut line = format!("  {:names$}  ", row.name);
            let mut marks = " ".repeat(names + 4);
            for (column, &width) in widths.iter().enumerate().rev() {
                let at = row.axes.len().checked_sub(column + 1);
                let cell = at.map_or("", |i| row.axes[i].as_str());
                let blank = " ".repeat(width - cell.chars().count());
                let first = at == Some(0);
                let (before, after) = match at {
                    None => ("  ", ""),
                    Some(0) => ("", " ["),
                    Some(_) => (", ", ""),
                };
                // The blanks of the first axis stand before its bracket.
                line += &if first { format!("{blank}{after}{cell}") } else { format!("{before}{blank}{cell}") };
                let marked = at.is_some_and(|i| row.marked.contains(&i));
                marks += &format!("  {blank}{}", if marked { "^" } else { " " }.repeat(cell.chars().count()));
            }
            if row.axes.is_empty() {
                line += &format!("{}[", if widths.is_empty() { "" } else { " " });
            }
            let tail = if tails { format!("  {}", row.tail) } else { String::new() };
            write!(f, "\n{line}]{tail}")?;
            // Marks in the columns of the next row's wait for that.
            let next = self.rows.get(i + 1).map(Row::marked_columns);
            if !row.marked.is_empty() && next != Some(row.marked_columns()) {
                write!(f, "\n{}", marks.trim_end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Shapes};

    #[test]
    fn axes_that_clash_stand_under_one_another() {
        let mut x = Row::new("x", [20, 3, 100], &[2]);
        x.tail = "is wide".into();
        let shapes = Shapes { rule: "rule".into(), rows: vec![x, Row::new("mask", [7], &[0])] };
        let lines = ["rule", "  x      [20, 3, 100]  is wide", "  mask            [7]", "                   ^"];
        let drawn = shapes.to_string();
        assert_eq!(drawn.lines().map(str::trim_end).collect::<Vec<_>>(), lines);
    }
}
