//! A small tensor language, close to NumPy's notation, for files and the command line.
#![forbid(unsafe_code)]

pub mod ast;
mod defaults;
mod error;
pub mod eval;
mod models;
mod multiples;
mod noting;
mod parse;
mod program;
mod session;
mod spelling;
pub mod text;
mod token;
mod tracing;
pub mod value;

pub use error::{Fault, Help, Label, Report};
pub use eval::signature;
pub use models::{MODELS, Model};
pub use parse::{parse, parse_expression};
pub use program::{Checked, Numbers, Program, RUNS, hollow};
pub use session::Inputs;
pub use spelling::nearest;
pub use tracing::Differentiated;
