//! A small tensor language, close to NumPy's notation, for files and the command line.
#![forbid(unsafe_code)]

mod about;
pub mod ast;
mod defaults;
mod error;
pub mod eval;
mod fix;
mod parse;
mod program;
mod shapes;
mod spelling;
mod symbols;
pub mod text;
mod tracing;
mod token;
pub mod value;

pub use error::{Fault, Help, Label, Report};
pub use shapes::{Row, Shapes};
pub use parse::{parse, parse_expression};
pub use tracing::Differentiated;
pub use program::{Checked, Numbers, Program, RUNS, hollow};
