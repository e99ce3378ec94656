//! The flags of learning from tables and images, and of using what was learned.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{at_least_one, not_negative, part, positive};

/// Tasks with flags of their own.
#[derive(Subcommand, Clone, Debug)]
pub enum Other {
    /// Learn a column of a table from the others: a class or a number
    #[command(after_help = TABULAR_EXAMPLES)]
    Tabular(Box<Tabular>),
    /// Learn to tell classes of images apart
    #[command(after_help = IMAGE_EXAMPLES)]
    Image(Box<Image>),
}

/// How a table is read.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// What stands between cells: a character, or `tab` [default: tab for .tsv, else what the first line has most of]
    #[arg(long, value_name = "C", value_parser = delimiter, help_heading = "Table")]
    pub delimiter: Option<u8>,
    /// Whether the first line names the columns [default: unless it has a number]
    #[arg(long, value_name = "BOOL", help_heading = "Table")]
    pub header: Option<bool>,
}

/// What is learned from a table.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Tabular {
    /// A table (CSV or TSV; Parquet in builds with that feature), or `iris`, which is built in
    #[arg(required_unless_present = "resume")]
    pub table: Option<String>,
    /// Column to predict [default: the last]
    #[arg(long, value_name = "COLUMN", help_heading = "Table")]
    pub target: Option<String>,
    /// What is predicted [default: classes if the target is text or few whole numbers]
    #[arg(long, value_enum, help_heading = "Table")]
    pub goal: Option<Goal>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Table")]
    pub ignore: Vec<String>,
    /// Columns of numbers that are names of categories
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Table")]
    pub categories: Vec<String>,
    /// What is done with missing cells
    #[arg(long, value_enum, default_value_t = Missing::Error, help_heading = "Table")]
    pub missing: Missing,
    #[command(flatten)]
    #[serde(flatten)]
    pub reading: Reading,
    /// Train K times, each time judged by another K-th of the rows, and save no model
    #[arg(long, value_name = "K", conflicts_with = "resume", help_heading = "Table")]
    #[serde(skip)]
    pub cross_validate: Option<usize>,

    /// Widths of the hidden layers; 0 for none
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', default_value = "64", help_heading = "Model")]
    pub hidden: Vec<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    pub course: Course,
}

/// What is learned from images.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// A folder with one sub-folder of PNG and JPEG files per class, an npz file, or `digits`, which are drawn
    #[arg(required_unless_present = "resume")]
    pub source: Option<String>,
    /// How many digits are drawn
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = at_least_one, help_heading = "Images")]
    pub examples: usize,
    /// Resize images to HEIGHTxWIDTH, or to a square
    #[arg(long, value_parser = size, help_heading = "Images")]
    pub size: Option<[usize; 2]>,
    /// Take all images as grey, or as colours [default: grey if all are]
    #[arg(long, value_enum, help_heading = "Images")]
    pub channels: Option<Channels>,

    /// Kind of network
    #[arg(long, value_enum, default_value_t = Network::Cnn, help_heading = "Model")]
    pub model: Network,

    /// How likely an image is mirrored, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = part, help_heading = "Augmentation")]
    pub flip: f64,
    /// How far it is moved at most, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0, value_parser = not_negative, help_heading = "Augmentation")]
    pub shift: f64,
    /// How far it is turned at most, in degrees
    #[arg(long, value_name = "DEGREES", default_value_t = 0.0, value_parser = not_negative, help_heading = "Augmentation")]
    pub rotate: f64,
    /// By what part it grows or shrinks at most
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part, help_heading = "Augmentation")]
    pub zoom: f64,
    /// Standard deviation of what is added to each pixel, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = not_negative, help_heading = "Augmentation")]
    pub noise: f64,
    /// Window that is kept, HEIGHTxWIDTH: anywhere in training, the middle else
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Augmentation")]
    pub crop: Option<[usize; 2]>,
    #[command(flatten)]
    #[serde(flatten)]
    pub course: Course,
}

/// The course of a training.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Course {
    /// Part of the activations that is dropped in training, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = part, help_heading = "Model")]
    pub dropout: f64,
    /// Where to save the model [default: TASK.safetensors]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Part of the examples that is held out, of each class the same
    #[arg(long, default_value_t = 0.2, value_parser = part, help_heading = "Training")]
    pub held_out: f64,
    /// Number of training steps [default: 30 times through the data, within 300 to 20000]
    #[arg(long, value_parser = at_least_one, help_heading = "Training")]
    pub steps: Option<usize>,
    /// Examples in each step
    #[arg(long, default_value_t = 32, value_parser = at_least_one, help_heading = "Training")]
    pub batch: usize,
    /// Largest learning rate [default: 0.01 for tables, 0.003 for images]
    #[arg(long, value_parser = positive, help_heading = "Training")]
    pub lr: Option<f64>,
    /// What part of a weight is taken away in a step, in units of the learning rate
    #[arg(long, default_value_t = 0.1, value_parser = not_negative, help_heading = "Training")]
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0 for no limit
    #[arg(long, default_value_t = 1.0, value_parser = not_negative, help_heading = "Training")]
    pub clip: f64,
    /// Seed of the split, weights, batches and everything random
    #[arg(long, default_value_t = 0, help_heading = "Training")]
    pub seed: u64,
    /// Steps between looks at the held-out data; 0 for one at the end only [default: a tenth of all]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub eval_interval: Option<usize>,

    /// Steps between two checkpoints, the whole state in one file; 0 for one on Ctrl-C only
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Going on")]
    pub checkpoint_interval: usize,
    /// Where the checkpoint goes; one that is named stays after the training [default: OUT with `.checkpoint`]
    #[arg(long, value_name = "FILE", help_heading = "Going on")]
    pub checkpoint: Option<PathBuf>,
    /// Go on where a checkpoint was written, to the same model as if there had been no interruption
    #[arg(long, value_name = "FILE", help_heading = "Going on")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Stop after so many looks at the held-out data without gain, and keep the best model; 0 to train to the end
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Going on")]
    pub patience: usize,

    /// Write metrics: FILE.jsonl, FILE.csv, or a folder for TensorBoard; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub log: Vec<PathBuf>,
    /// Write a report with curves, what is confused with what, and shapes: one HTML page
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub report: Option<PathBuf>,
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Goal {
    /// One of several classes
    Classes,
    /// A number
    Number,
}

/// What is done with missing cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Missing {
    /// Say where they are, and stop
    Error,
    /// Take the mean of the column; for a category, none of those known
    Mean,
    /// Leave out rows that lack anything
    Drop,
}

/// Kinds of networks for images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Network {
    /// Convolutions
    Cnn,
    /// A vision transformer
    Vit,
}

/// The channels of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Channels {
    /// One
    Grey,
    /// Red, green and blue
    Colours,
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
    /// A table; or images: files, folders of them, or an npz file
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

fn size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match [height, width].map(|n| n.parse().ok().filter(|n| (1..=8192).contains(n))) {
        [Some(height), Some(width)] => Ok([height, width]),
        _ => Err("it must be HEIGHTxWIDTH, or one number for a square, each from 1 to 8192".into()),
    }
}

const TABULAR_EXAMPLES: &str = "\
Examples:
  covector train tabular iris
  covector train tabular iris --cross-validate 10
  covector train tabular houses.csv --target price --missing mean --ignore id --out houses.safetensors
  covector train tabular --resume houses.checkpoint.safetensors";

const IMAGE_EXAMPLES: &str = "\
Examples:
  covector train image digits
  covector train image flowers/ --size 64 --flip 0.5 --shift 4 --rotate 10 --patience 5
  covector train image mnist.npz --model vit --report report.html";

pub const PREDICT_EXAMPLES: &str = "\
Examples:
  covector predict tabular.safetensors new.csv
  covector predict tabular.safetensors new.csv --format csv --out predicted.csv
  covector predict image.safetensors photo.jpg more/";

pub const EVAL_MODEL_EXAMPLES: &str = "\
Examples:
  covector eval-model tabular.safetensors test.csv
  covector eval-model image.safetensors test/ --json
  covector eval-model gpt.safetensors other.txt";
