//! The flags of trainings, which are the keys of their configuration files as well.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use covector_train::{Doctor, OptimizerKind, Precision, ScheduleKind};
use serde::{Deserialize, Serialize};

use super::data_args::{self, Image, Tabular};
use crate::args::{at_least_one, below_one, not_negative, part, positive};

/// A training; without a task, a GPT's.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Train {
    #[command(subcommand)]
    pub task: Option<Task>,
    #[command(flatten)]
    pub gpt: Gpt,
}

/// What can be trained.
#[derive(Subcommand, Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Task {
    /// A GPT over the tokens of a text; so does `train` without a task
    Gpt(Box<Gpt>),
    /// A column of a table from the others: a class or a number
    #[command(after_help = data_args::TABULAR_EXAMPLES, mut_arg("out", |a| a.default_value("tabular.safetensors")))]
    #[command(mut_arg("steps", |a| a.default_value("1000")), mut_arg("batch", |a| a.default_value("32")))]
    #[command(mut_arg("lr", |a| a.default_value("0.003")), mut_arg("eval_interval", |a| a.default_value("100")))]
    Tabular(Box<Tabular>),
    /// Classes of images
    #[command(after_help = data_args::IMAGE_EXAMPLES, mut_arg("out", |a| a.default_value("image.safetensors")))]
    #[command(mut_arg("steps", |a| a.default_value("500")), mut_arg("batch", |a| a.default_value("32")))]
    #[command(mut_arg("lr", |a| a.default_value("0.003")), mut_arg("eval_interval", |a| a.default_value("100")))]
    Image(Box<Image>),
}

/// What `config` does.
#[derive(Subcommand)]
pub enum Shown {
    /// Print every value of a training and where it came from, as a configuration file
    Show(Train),
}

impl Train {
    /// The task that was named, or a GPT.
    pub fn task(self) -> Task {
        self.task.unwrap_or(Task::Gpt(Box::new(self.gpt)))
    }
}

impl Task {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Task::Gpt(_) => "gpt",
            Task::Tabular(_) => "tabular",
            Task::Image(_) => "image",
        }
    }

    /// What all tasks are told.
    pub fn common(&self) -> &Common {
        match self {
            Task::Gpt(options) => &options.common,
            Task::Tabular(options) => &options.common,
            Task::Image(options) => &options.common,
        }
    }
}

#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Gpt {
    /// Text to learn, or tokens as numbers (.npy, .u16, .u32); of any size [default: covector's own documentation]; its
    /// last tenth is held out
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// What the text is cut into: `chars`, `bytes`, or the tokens of a tokenizer.json
    #[arg(long, value_name = "HOW", default_value = "chars")]
    pub tokenizer: String,

    /// Train a pretrained GPT-2 or Llama further: a folder in Hugging Face's layout. `--out` gets what was learned alone
    #[arg(long, value_name = "FOLDER", help_heading = "Fine-tuning")]
    #[serde(default)]
    pub from: Option<PathBuf>,
    /// Train adapters of this rank beside the matrices of attention, and no weight of the model
    #[arg(long, value_name = "RANK", requires = "from", value_parser = at_least_one, help_heading = "Fine-tuning")]
    #[serde(default)]
    pub lora: Option<usize>,
    /// What adapters are scaled by, over their rank [default: twice the rank]
    #[arg(long, value_name = "ALPHA", requires = "lora", value_parser = positive, help_heading = "Fine-tuning")]
    #[serde(default)]
    pub lora_alpha: Option<f64>,
    /// Leave weights as they are whose paths fit, such as `wte*` or `h.0.*`; may be repeated
    #[arg(long, value_name = "PATTERN", requires = "from", help_heading = "Fine-tuning")]
    #[serde(default)]
    pub freeze: Vec<String>,

    /// Number of transformer blocks
    #[arg(long, default_value_t = 4, value_parser = at_least_one, help_heading = "Model")]
    pub layers: usize,
    /// Number of attention heads in each
    #[arg(long, default_value_t = 4, value_parser = at_least_one, help_heading = "Model")]
    pub heads: usize,
    /// Width of the residual stream, divisible by the number of heads
    #[arg(long, default_value_t = 128, value_parser = at_least_one, help_heading = "Model")]
    pub width: usize,
    /// Longest sequence the model sees, in tokens
    #[arg(long, default_value_t = 64, value_parser = at_least_one, help_heading = "Model")]
    pub block: usize,
    /// Part of the activations that is dropped in training, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = part, help_heading = "Model")]
    pub dropout: f64,

    /// Length of the sample printed at the end, in tokens
    #[arg(long, default_value_t = 300, help_heading = "Sample")]
    pub tokens: usize,
    /// Below 1 likely characters become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = 0.8, value_parser = not_negative, help_heading = "Sample")]
    pub temperature: f64,

    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
}

/// What every task is told.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Common {
    /// Where to save the model (safetensors)
    #[arg(long, value_name = "FILE", default_value = "gpt.safetensors")]
    pub out: PathBuf,
    /// Read options from a TOML file, whose keys are the flags; flags win
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Number of training steps
    #[arg(long, default_value_t = 2000, value_parser = at_least_one, help_heading = "Training")]
    pub steps: usize,
    /// Examples in each step
    #[arg(long, default_value_t = 12, value_parser = at_least_one, help_heading = "Training")]
    pub batch: usize,
    /// Batches whose mean gradient makes a step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one, help_heading = "Training")]
    pub accumulate: usize,
    /// Seed of weights, batches, dropout and sample
    #[arg(long, default_value_t = 0, help_heading = "Training")]
    pub seed: u64,
    /// Steps between looks at the held-out data; 0 for one at the end only
    #[arg(long, default_value_t = 500, help_heading = "Training")]
    pub eval_interval: usize,

    /// What moves the weights
    #[arg(long, default_value = "adamw", value_parser = optimizers(), hide_default_value = false, help_heading = "Optimiser")]
    pub optimizer: OptimizerKind,
    /// Largest learning rate; 1 for lbfgs unless given
    #[arg(long, default_value_t = 1e-3, default_value_if("optimizer", "lbfgs", "1"), value_parser = positive, help_heading = "Optimiser")]
    pub lr: f64,
    /// What part of a weight is taken away in a step, in units of the learning rate [default: 0.1 for adamw, lion, lamb
    /// and muon, none for others]
    #[arg(long, value_parser = not_negative, help_heading = "Optimiser")]
    pub weight_decay: Option<f64>,
    /// How slowly the mean of gradients is forgotten, 0 to 1 [default: the optimiser's]
    #[arg(long, value_parser = below_one, help_heading = "Optimiser")]
    pub beta1: Option<f64>,
    /// How slowly squared gradients are forgotten, 0 to 1 [default: 0.99 for adamw, else the optimiser's]
    #[arg(long, value_parser = below_one, help_heading = "Optimiser")]
    pub beta2: Option<f64>,
    /// What part of the last direction is kept, 0 to 1: for sgd, rmsprop, muon
    #[arg(long, value_parser = below_one, help_heading = "Optimiser")]
    pub momentum: Option<f64>,
    /// Momentum as Nesterov has it, for sgd
    #[arg(long, help_heading = "Optimiser")]
    pub nesterov: bool,
    /// Largest norm of the gradient; 0 for no limit, which lbfgs needs
    #[arg(long, default_value_t = 1.0, default_value_if("optimizer", "lbfgs", "0"), value_parser = not_negative, help_heading = "Optimiser")]
    pub clip: f64,
    /// Largest size of an element of the gradient [default: no limit]
    #[arg(long, value_parser = positive, help_heading = "Optimiser")]
    pub clip_value: Option<f64>,
    /// What losses and gradients are computed in; weights stay in f32, and are judged and saved in it
    #[arg(long, default_value = "f32", value_parser = precisions(), help_heading = "Optimiser")]
    #[serde(default)]
    pub precision: Precision,
    /// Average the weights over steps, forgetting as slowly as this, 0 to 1; the average is judged and saved
    #[arg(long, value_parser = below_one, help_heading = "Optimiser")]
    pub ema: Option<f64>,

    /// How the learning rate changes after its rise; constant for lbfgs unless given
    #[arg(long, default_value = "cosine", default_value_if("optimizer", "lbfgs", "constant"), value_parser = schedules(), help_heading = "Learning rate")]
    pub schedule: ScheduleKind,
    /// Steps over which the learning rate rises [default: 100, or a tenth of all steps; none for lbfgs]
    #[arg(long, default_value_if("optimizer", "lbfgs", "0"), help_heading = "Learning rate")]
    pub warmup: Option<usize>,
    /// Learning rate at the end, and the least of `plateau` [default: a tenth of the largest; 0 for `plateau`]
    #[arg(long, value_parser = not_negative, help_heading = "Learning rate")]
    pub min_lr: Option<f64>,
    /// Steps between two falls of the schedule `step` [default: a third of all steps]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Learning rate")]
    pub step_every: Option<usize>,
    /// What a fall of `step`, `exponential` or `plateau` multiplies with [default: 0.1; of `exponential` so that --min-lr is
    /// met at the end]
    #[arg(long, value_parser = positive, help_heading = "Learning rate")]
    pub gamma: Option<f64>,
    /// Looks at the held-out data in a row that may find no gain before `plateau` falls [default: 10]
    #[arg(long, value_name = "N", help_heading = "Learning rate")]
    #[serde(default)]
    pub plateau_patience: Option<usize>,

    /// Look for what is wrong with data, model and course: `on` says what it finds, `strict` ends the training with it
    #[arg(long, value_name = "HOW", default_value = "on", value_parser = doctors(), help_heading = "Checks")]
    pub doctor: Doctor,
    /// Try learning rates and say with which one to begin, instead of training
    #[arg(long, conflicts_with = "resume", help_heading = "Checks")]
    pub find_rate: bool,

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
    /// Write the best model so far, whenever a look at the held-out data finds a better one
    #[arg(long, value_name = "FILE", help_heading = "Going on")]
    pub best: Option<PathBuf>,

    /// Write metrics: FILE.jsonl, FILE.csv, or a folder for TensorBoard; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub log: Vec<PathBuf>,
    /// Write a report with curves, sample and shapes: one HTML page
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub report: Option<PathBuf>,
}

/// What may be said anew when a training goes on: where things go, and nothing that decides its numbers.
pub const FREE: [&str; 11] = [
    "table",
    "source",
    "doctor",
    "resume",
    "out",
    "checkpoint",
    "checkpoint_interval",
    "best",
    "log",
    "report",
    "tokens",
];

fn optimizers() -> impl TypedValueParser<Value = OptimizerKind> {
    PossibleValuesParser::new(OptimizerKind::ALL.map(OptimizerKind::name)).try_map(|name| name.parse::<OptimizerKind>())
}

fn schedules() -> impl TypedValueParser<Value = ScheduleKind> {
    PossibleValuesParser::new(ScheduleKind::ALL.map(ScheduleKind::name)).try_map(|name| name.parse::<ScheduleKind>())
}

fn precisions() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(|name| name.parse::<Precision>())
}

fn doctors() -> impl TypedValueParser<Value = Doctor> {
    PossibleValuesParser::new(Doctor::ALL.map(Doctor::name)).try_map(|name| name.parse::<Doctor>())
}
