//! The flags of learning from tables and images.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::args::Common;
use crate::args::{at_least_one, not_negative, part};
use crate::predict::args::Reading;

/// What is learned from a table.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Tabular {
    /// A table (CSV, TSV, npy or npz; Parquet in builds with that feature), or `iris`, which is built in
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
    /// Part of the activations that is dropped in training, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = part, help_heading = "Model")]
    pub dropout: f64,
    /// Part of the examples that is held out, of each class the same
    #[arg(long, value_name = "PART", default_value_t = 0.2, value_parser = part, help_heading = "Training")]
    pub held_out: f64,

    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
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
    /// Part of the activations that is dropped in training, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = part, help_heading = "Model")]
    pub dropout: f64,
    /// Part of the examples that is held out, of each class the same
    #[arg(long, value_name = "PART", default_value_t = 0.2, value_parser = part, help_heading = "Training")]
    pub held_out: f64,

    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
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

fn size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match [height, width].map(|n| n.parse().ok().filter(|n| (1..=8192).contains(n))) {
        [Some(height), Some(width)] => Ok([height, width]),
        _ => Err("it must be HEIGHTxWIDTH, or one number for a square, each from 1 to 8192".into()),
    }
}

pub const TABULAR_EXAMPLES: &str = "\
Examples:
  covector train tabular iris
  covector train tabular iris --cross-validate 10
  covector train tabular houses.csv --target price --missing mean --ignore id --out houses.safetensors
  covector train tabular --resume houses.checkpoint.safetensors";

pub const IMAGE_EXAMPLES: &str = "\
Examples:
  covector train image digits
  covector train image flowers/ --size 64 --flip 0.5 --shift 4 --rotate 10 --patience 5
  covector train image mnist.npz --model vit --report report.html";
