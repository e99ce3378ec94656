//! The flags of using and judging what was learned.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// How a table is read.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// What stands between cells: a character, or `tab` [default: tab for .tsv, else what the first line has most of]
    #[arg(long, value_name = "C", value_parser = delimiter, help_heading = "Table")]
    pub delimiter: Option<u8>,
    /// Whether the first line names the columns [default: unless it has a number]
    #[arg(long, value_name = "BOOL", help_heading = "Table")]
    pub header: Option<bool>,
    /// Names of all columns, in order [default: the header; 0, 1, … for arrays, with the array's name before them in npz files]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Table")]
    #[serde(default)]
    pub columns: Vec<String>,
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// A table to read
    Text,
    /// Comma-separated values
    Csv,
    /// A list of objects
    Json,
}

/// What is predicted, and by which model.
#[derive(Args)]
pub struct Predict {
    /// Model saved by `covector train tabular` or `covector train image`
    pub model: PathBuf,
    /// A table (or `iris`), of text or numbers (CSV, npy, npz); or images: files, folders of them, or an npz file
    #[arg(required = true, value_name = "DATA")]
    pub data: Vec<PathBuf>,
    /// How predictions are written
    #[arg(long, value_enum, default_value_t = Written::Text)]
    pub format: Written,
    /// Where they go [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// What is judged, and by which data.
#[derive(Args)]
pub struct EvalModel {
    /// Model saved by `covector train`
    pub model: PathBuf,
    /// What it predicts, with the answers: a table (or `iris`), a folder of images by class, an npz file, or a text
    pub data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reading: Reading,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b'"' | b'\n' | b'\r'] => Err("a quote or a line's end cannot stand between cells".into()),
        [byte] if byte.is_ascii() => Ok(*byte),
        b"tab" | b"\\t" => Ok(b'\t'),
        _ => Err("it must be one ASCII character, or `tab`".into()),
    }
}

pub const EXAMPLES: &str = "\
Examples:
  covector predict tabular.safetensors new.csv
  covector predict tabular.safetensors new.csv --format csv --out predicted.csv
  covector predict image.safetensors photo.jpg more/";

pub const EVAL_EXAMPLES: &str = "\
Examples:
  covector eval-model tabular.safetensors test.csv
  covector eval-model image.safetensors test/ --json
  covector eval-model gpt.safetensors other.txt";
