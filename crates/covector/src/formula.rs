//! Expressions that print: the rule book read as mathematics.

use std::fmt;
use std::sync::Arc;

use crate::rule_book::{Elementwise, Factor};

/// An expression over named quantities.
#[derive(Clone, Debug)]
pub enum Formula {
    /// A quantity, by name.
    Name(String),
    /// A number.
    Number(f64),
    /// An op of the table.
    Apply(&'static Elementwise, Arc<[Formula]>),
}

impl Formula {
    /// A named quantity.
    pub fn name(name: &str) -> Formula {
        Formula::Name(name.to_owned())
    }

    /// The expression `op(self, others…)`.
    pub(crate) fn apply(&self, op: &'static Elementwise, others: &[Formula]) -> Formula {
        Formula::Apply(op, std::iter::once(self).chain(others).cloned().collect())
    }

    /// True if it stands as a factor without brackets.
    pub(crate) fn is_product(&self) -> bool {
        self.precedence() >= 3
    }

    fn precedence(&self) -> u8 {
        match self {
            Formula::Apply(op, _) => infix(op).map_or(if op.name == "negative" { 2 } else { 9 }, |(_, p)| p),
            Formula::Number(x) if *x < 0.0 => 2,
            _ => 9,
        }
    }
}

fn infix(op: &Elementwise) -> Option<(&'static str, u8)> {
    Some(match op.name {
        "add" => (" + ", 1),
        "subtract" => (" - ", 1),
        "multiply" => ("·", 3),
        "divide" => (" / ", 3),
        "pow" => ("^", 5),
        "greater" => (" > ", 0),
        "greater_equal" => (" ≥ ", 0),
        "less" => (" < ", 0),
        "less_equal" => (" ≤ ", 0),
        "equal" => (" = ", 0),
        "not_equal" => (" ≠ ", 0),
        _ => return None,
    })
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, x: &Formula, at_least: u8| {
            if x.precedence() < at_least { write!(f, "({x})") } else { write!(f, "{x}") }
        };
        match self {
            Formula::Name(name) => f.write_str(name),
            Formula::Number(x) => write!(f, "{x}"),
            Formula::Apply(op, args) => match (infix(op), op.name, &args[..]) {
                (Some((symbol, p)), _, [a, b]) => {
                    operand(f, a, p)?;
                    f.write_str(symbol)?;
                    operand(f, b, p + 1)
                }
                (_, "negative", [a]) => {
                    f.write_str("-")?;
                    operand(f, a, 3)
                }
                (_, "square", [a]) => {
                    operand(f, a, 9)?;
                    f.write_str("²")
                }
                _ => {
                    let args: Vec<String> = args.iter().map(Formula::to_string).collect();
                    write!(f, "{}({})", op.name, args.join(", "))
                }
            },
        }
    }
}

impl Elementwise {
    /// The partial derivatives as formulas in `names`, with the result named `y`; `None` where they are zero.
    ///
    /// ```
    /// use covector::ops::elementwise::table;
    /// assert_eq!(table::tanh.formulas(&["x"]).unwrap()[0].to_string(), "1 - y²");
    /// ```
    pub fn formulas(&self, names: &[&str]) -> Option<Vec<Formula>> {
        let partials = self.partials.ok()?;
        let x: Vec<Formula> = names.iter().map(|n| Formula::name(n)).collect();
        let y = Formula::name("y");
        let partial = |p: &crate::rule_book::Partial<Formula>| match p(&x, &y) {
            Factor::Number(c) => Formula::Number(c),
            Factor::Of(f) => f,
            Factor::When(c) => c.where_(1.0, 0.0),
            Factor::Unless(c) => c.where_(0.0, 1.0),
            Factor::Share(a, b) => a.tie_share(b, 1.0),
        };
        Some(partials.formula.iter().map(partial).collect())
    }
}

impl From<f64> for Formula {
    fn from(x: f64) -> Self {
        Formula::Number(x)
    }
}
impl From<&Formula> for Formula {
    fn from(x: &Formula) -> Self {
        x.clone()
    }
}
crate::scalar::operators!(Formula);
