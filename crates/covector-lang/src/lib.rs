//! A small tensor language, close to NumPy's notation, for files and the command line.
//!
//! A program declares tensors and computes with them. Checking it needs no values: sizes are symbols, and every shape follows
//! in these. It can also be run with numbers, differentiated, and traced. `docs/language.md` is a tour on one page.
//!
//! ```
//! use covector_lang::{Numbers, Program};
//!
//! let program = Program::parse("attention.cv", "
//! X: f32[B, T, d]
//! param W_Q: f32[d, d_k]
//! Q = X @ W_Q
//! S = softmax(Q @ Q.T / sqrt(d_k))
//! ").unwrap();
//! let checked = program.check(&Numbers::new()).unwrap();
//! let tensors: Vec<_> = checked.records.iter().map(|run| run.output().unwrap()).collect();
//! let axis = |a: usize| checked.runs.fit(&tensors.iter().map(|t| t.shape()[a] as u64).collect::<Vec<_>>()).unwrap();
//! assert_eq!([axis(0), axis(1), axis(2)].map(|e| e.to_string()), ["B", "T", "T"]);
//! ```
//!
//! # Grammar
//!
//! | | |
//! |---|---|
//! | *program* | *statement*… |
//! | *statement* | *declaration* · *names* `=` *values* · *name* `+=` *value* (also `-= *= /= //= %= @= **=`) · *values* · `pass` · `return` *values* · *function* · *loop* · *condition* |
//! | *declaration* | (`param`)? *name* `:` *dtype* `[` *size*`,` … `]` |
//! | *function* | `def` *name* `(` *name* (`=` *value*)?`,` … `)` *body* |
//! | *loop* | `for` *names* `in` *values* *body* |
//! | *condition* | `if` *value* *body* (`elif` *value* *body*)… (`else` *body*)? |
//! | *body* | `:` *statement* · `:` and indented lines |
//! | *values* | *value* · *value*`,` … |
//! | *value* | *value* `if` *value* `else` *value* · operators, from loose to tight: `or` · `and` · `not` · `== != < <= > >=` · `\|` · `^` · `&` · `<< >>` · `+ -` · `* / // % @` · signs `- + ~` · `**` |
//! | *operand* | *name* · number · `"text"` · `True` · `False` · `None` · `(`*values*`)` · `[`*values*`]` · *operand*`.`*name* · *operand*`(`*argument*`,` …`)` · *operand*`[`*index*`,` …`]` |
//! | *argument* | *value* · *name*`=`*value* |
//! | *index* | *value* · *value*? `:` *value*? (`:` *value*?)? · `...` · `None` |
//!
//! `#` begins a comment, `;` separates statements, lines go on inside brackets and behind `\`.
//!
//! # Errors
//!
//! A fault names the rule that was broken, the operands with their shapes, the axes that clash, and fixes that have been tried:
//! each was put into the text, and the program was checked again.
//!
//! ```
//! use covector_lang::{Numbers, Program};
//!
//! let program = Program::parse("layer.cv", "
//! x: f32[B, d]
//! param W: f32[k, d]
//! y = x @ W
//! ").unwrap();
//! let report = program.check(&Numbers::new()).unwrap_err();
//! assert_eq!(report.fault.message, "inner sizes differ: f32[B, d] @ f32[k, d] (d against k)");
//! let shapes = report.fault.shapes().unwrap();
//! assert_eq!(shapes.rows[1].axes[shapes.rows[1].marked[0]], "k");
//! let (span, with) = report.fault.help[0].fix.clone().unwrap();
//! let fixed = format!("{}{with}{}", &report.text[..span.start], &report.text[span.end..]);
//! assert!(fixed.contains("y = x @ W.T"));
//! Program::parse("layer.cv", &fixed).unwrap().check(&Numbers::new()).unwrap();
//! ```
//!
//! # What it must never do
//!
//! Panic, hang or run out of stack, whatever the text; show a number in place of a symbol; propose what was not tried.
#![forbid(unsafe_code)]

mod about;
pub mod ast;
mod defaults;
mod error;
pub mod eval;
mod fix;
mod models;
mod multiples;
mod noting;
mod parse;
mod program;
mod session;
mod shapes;

mod symbols;
pub mod text;
mod token;
mod tracing;
pub mod value;

pub use covector::spelling::nearest;
pub use error::{Fault, Help, Label, Report};
pub use eval::signature;
pub use models::{MODELS, Model};
pub use parse::{parse, parse_expression};
pub use program::{Checked, Leaves, Numbers, Program, RUNS, hollow};
pub use session::Inputs;
pub use shapes::{Row, Shapes};
pub use tracing::Differentiated;
