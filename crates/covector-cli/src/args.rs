//! The flags. Their documentation is the help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::predict::args as predict;
use crate::train::args::{Shown, Train};

/// Tensors with a memory: shapes, derivatives, costs and pictures of any expression or model, and a GPT to train.
#[derive(Parser)]
#[command(name = "covector", version, propagate_version = true)]
pub struct Covector {
    #[command(subcommand)]
    pub command: Command,

    /// Number of threads [default: one per core]; results do not depend on it
    #[arg(long, global = true, value_parser = at_least_one)]
    pub threads: Option<usize>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Show every tensor of a program: its shape in symbols and numbers, what it takes, what the backward pass keeps
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(Trace),
    /// Compute an expression or a program
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(Eval),
    /// Compute an expression and all its derivatives
    #[command(after_help = GRAD_EXAMPLES)]
    Grad(Grad),
    /// Count FLOPs, bytes and memory, from the very plan that runs
    #[command(after_help = COST_EXAMPLES)]
    Cost(Cost),
    /// Draw the graph: in the terminal, as Mermaid, DOT or SVG, or as a page with the backward pass as a film
    #[command(after_help = GRAPH_EXAMPLES)]
    Graph(Graph),
    /// Find the first op that made a NaN or an infinity, or stopped a gradient, and what to do
    #[command(after_help = WHY_EXAMPLES)]
    Why(Why),
    /// Look for what is likely a mistake: silent broadcasts, unused parameters, softmax over the wrong axis
    #[command(after_help = LINT_EXAMPLES)]
    Lint(Lint),
    /// Explain an op, or list all: what it does, how it is called, its derivative
    #[command(after_help = OPS_EXAMPLES)]
    Ops(Ops),
    /// Train a model: prints its shapes, trains, evaluates, shows what it can do, saves it
    #[command(after_help = TRAIN_EXAMPLES)]
    Train(Box<Train>),
    /// Show what a training would be told, and by whom
    Config {
        /// What to do
        #[command(subcommand)]
        action: Box<Shown>,
    },
    /// Continue a prompt with a model of `covector train gpt`, or a pretrained GPT-2 or Llama
    #[command(visible_alias = "sample", after_help = GENERATE_EXAMPLES)]
    Generate(Generate),
    /// Write a model for other libraries: Hugging Face's layout, safetensors, or NumPy's npz
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Predict a column of a table, or the classes of images, with a saved model
    #[command(after_help = predict::EXAMPLES)]
    Predict(predict::Predict),
    /// Judge a saved model: accuracy and confusions, errors of numbers, or the perplexity of a text
    #[command(after_help = predict::EVAL_EXAMPLES)]
    EvalModel(predict::EvalModel),
    /// Turn sentences into vectors with a pretrained sentence encoder, or compare them
    #[command(after_help = EMBED_EXAMPLES)]
    Embed(Embed),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder
    Man {
        /// Folder for one page per command
        folder: Option<PathBuf>,
    },
}

/// A program and the numbers it is given.
#[derive(Args)]
pub struct Source {
    /// A file, `-` for standard input, the name of a built-in model, or an expression
    #[arg(value_name = "PROGRAM")]
    pub program: String,
    /// Numbers for sizes, settings and tensors: `B=2`, `bias=True`, `x=[1, 2]`, `X=@data.npy`
    #[arg(value_name = "NAME=VALUE")]
    pub values: Vec<String>,
}

#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    pub source: Source,
    /// How deep modules are opened; deeper ones take one line each
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values, one line per tensor
    #[arg(long)]
    pub csv: bool,
}

#[derive(Args)]
pub struct Eval {
    #[command(flatten)]
    pub source: Source,
    /// Print every name of the program, not only the last value
    #[arg(long)]
    pub all: bool,
    /// Decides what tensors that are not given are made of
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Grad {
    #[command(flatten)]
    pub source: Source,
    /// With respect to these names only
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub wrt: Vec<String>,
    /// Print the second derivatives as well
    #[arg(long)]
    pub hessian: bool,
    /// Print the derivative along a direction: `--jvp x=1 --jvp w=0`
    #[arg(long, value_name = "NAME=VALUE")]
    pub jvp: Vec<String>,
    /// Compare with finite differences; exit code 1 if they differ
    #[arg(long)]
    pub check: bool,
    /// Decides what tensors that are not given are made of
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Cost {
    #[command(flatten)]
    pub source: Source,
    /// Print the plan step by step: kernels, FLOPs, bytes, memory
    #[arg(long)]
    pub plan: bool,
    /// How deep modules are opened
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub depth: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Graph {
    #[command(flatten)]
    pub source: Source,
    /// What to draw [default: by the ending of --out, else in the terminal]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where the drawing goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Leave out the gradients
    #[arg(long)]
    pub forward: bool,
    /// Compute and show numbers; for expressions always
    #[arg(long)]
    pub numbers: bool,
    /// How many levels of modules stand open [default: as many as there is room for]
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Draw primitives instead of the ops that were called
    #[arg(long)]
    pub primitives: bool,
    /// Draw what another program has more and less
    #[arg(long, value_name = "PROGRAM")]
    pub diff: Option<String>,
    /// Lines and boxes of ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Decides what tensors that are not given are made of
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A kind of drawing.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Boxes and lines, or a listing where they are too wide
    Terminal,
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz's language
    Dot,
    /// A picture
    Svg,
    /// A page that stands for itself
    Html,
}

#[derive(Args)]
pub struct Why {
    #[command(flatten)]
    pub source: Source,
    /// Decides what tensors that are not given are made of
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Args)]
pub struct Lint {
    #[command(flatten)]
    pub source: Source,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Embed {
    /// The model's folder: config.json, model.safetensors, tokenizer.json
    pub folder: PathBuf,
    /// The sentences; `-` for one on each line of standard input
    #[arg(required = true)]
    pub sentences: Vec<String>,
    /// Print how near every sentence is to every other, from -1 to 1, instead of the vectors
    #[arg(long)]
    pub compare: bool,
}

#[derive(Args)]
pub struct Ops {
    /// The op, or a part of its name
    pub name: Option<String>,
}

const TRACE_EXAMPLES: &str = "\
Examples:
  covector trace attention                    the lesson's attention, with symbols
  covector trace attention B=2 T=5 d=16 d_k=8 d_v=8
  covector trace gpt2 B=1 T=1024 --depth 1    a whole model, blocks folded
  covector trace model.cv --json              for scripts";

const EVAL_EXAMPLES: &str = "\
Examples:
  covector eval 'tanh(x*w + b)' x=2 w=-3 b=0.5
  covector eval 'softmax(x @ x.T)' 'x=[[1, 2], [3, 4]]'
  covector eval model.cv X=@images.npy --all";

const GRAD_EXAMPLES: &str = "\
Examples:
  covector grad 'tanh(x*w + b)' x=2 w=-3 b=0.5
  covector grad 'sum(log(x))' 'x=[1, 2, 4]' --hessian --check
  covector grad 'x**3 * y' x=2 y=5 --wrt x --jvp x=1";

const COST_EXAMPLES: &str = "\
Examples:
  covector cost gpt2 B=8 T=1024
  covector cost attention                     with symbols
  covector cost gpt2 B=1 T=64 --plan          every step of the plan";

const GRAPH_EXAMPLES: &str = "\
Examples:
  covector graph '(x*w + b)**2' x=3 w=2 b=-1
  covector graph attention
  covector graph gpt2 --out gpt2.html         a page: modules open at a click
  covector graph old.cv --diff new.cv --out change.svg";

const WHY_EXAMPLES: &str = "\
Examples:
  covector why 'sum(where(x > 0, log(x), 0*x))' 'x=[1, 0]'
  covector why model.cv B=2 T=8";

const LINT_EXAMPLES: &str = "\
Examples:
  covector lint model.cv
  covector lint 'mean((x - y)**2)' 'x=[[1], [2]]' 'y=[1, 2]'";

const EMBED_EXAMPLES: &str = "\
Examples:
  covector embed all-MiniLM-L6-v2 'A cat sits on the mat.'      one vector, as JSON
  covector embed all-MiniLM-L6-v2 --compare 'A cat.' 'A kitten.' 'A bank.'
  covector embed all-MiniLM-L6-v2 - < sentences.txt             a vector a line";

const TRAIN_EXAMPLES: &str = "\
Examples:
  covector train --text book.txt --report report.html
  covector train gpt --config run.toml --lr 0.002      flags win over the file
  covector train --resume gpt.checkpoint.safetensors   after whatever happened
  covector config show gpt --config run.toml           every value, and where it came from";

const OPS_EXAMPLES: &str = "\
Examples:
  covector ops                                all ops by family
  covector ops softmax
  covector ops pool                           all whose name has `pool` in it";

#[derive(Args)]
pub struct Generate {
    /// A model saved by `covector train gpt`, or a folder in Hugging Face's layout: config.json, model.safetensors, tokenizer.json
    pub model: PathBuf,
    /// Text to continue [default: a line end, or the token that begins a text]
    #[arg(long)]
    pub prompt: Option<String>,
    /// Largest number of tokens to add [default: 500 characters, or 100 tokens of a folder's model]
    #[arg(long)]
    pub tokens: Option<usize>,
    /// What was learned on top of a folder's model by `covector train gpt --from`
    #[arg(long, value_name = "FILE")]
    pub tuned: Option<PathBuf>,

    /// Below 1 likely tokens become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = 0.8, value_parser = not_negative, help_heading = "Drawing")]
    pub temperature: f64,
    /// Draw only from this many of the likeliest tokens
    #[arg(long, value_parser = at_least_one, help_heading = "Drawing")]
    pub top_k: Option<usize>,
    /// Draw only from the likeliest tokens that have this probability together
    #[arg(long, value_parser = positive_part, help_heading = "Drawing")]
    pub top_p: Option<f64>,
    /// Above 1 tokens that are there already become less likely
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive, help_heading = "Drawing")]
    pub repetition_penalty: f64,
    /// Seed of the draws
    #[arg(long, default_value_t = 0, help_heading = "Drawing")]
    pub seed: u64,

    /// End before this text; may be repeated
    #[arg(long, value_name = "TEXT", help_heading = "Ending")]
    pub stop: Vec<String>,
    /// Go on when the model ends its text
    #[arg(long, help_heading = "Ending")]
    pub ignore_end: bool,
    /// Say how fast it went
    #[arg(long)]
    pub speed: bool,
}

/// What a model is written as.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// A folder with config.json, model.safetensors and tokenizer.json, as `transformers` reads it
    Huggingface,
    /// One file of all arrays under their names
    Safetensors,
    /// One file of all arrays for `numpy.load`
    Npz,
    /// The adapters of --merge alone, as a folder that PEFT reads
    Peft,
}

/// The floats of a file.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FloatType {
    F32,
    F16,
    Bf16,
}

#[derive(Args)]
pub struct Export {
    /// A model saved by `covector train gpt`, or a folder in Hugging Face's layout
    pub model: PathBuf,
    /// What it is written as
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Where it goes: a file, or for `huggingface` a new folder
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Cast the weights [default: as they are]
    #[arg(long, value_enum)]
    pub dtype: Option<FloatType>,
    /// Put what was learned by `covector train gpt --from` into the folder's weights
    #[arg(long, value_name = "FILE")]
    pub merge: Option<PathBuf>,
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  covector generate gpt.safetensors --prompt Once
  covector generate gpt2 --prompt 'The capital of France is' --temperature 0 --tokens 8
  covector generate llama --prompt 'Q: Why? A:' --top-p 0.9 --stop 'Q:'
  covector generate gpt2 --tuned tuned.safetensors --prompt 'Once'";

const EXPORT_EXAMPLES: &str = "\
Examples:
  covector export gpt.safetensors --format huggingface --out gpt    then GPT2LMHeadModel.from_pretrained('gpt')
  covector export gpt.safetensors --format npz --out gpt.npz
  covector export gpt2 --format huggingface --merge tuned.safetensors --dtype bf16 --out gpt2-tuned";

pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("it must be a whole number of at least 1".into()),
    }
}

fn number(text: &str, allowed: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&x: &f64| x.is_finite() && allowed(x)).ok_or_else(|| format!("it must be {what}"))
}

pub fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of at least 0")
}

pub fn part(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..=1.0).contains(&x), "a number from 0 to 1")
}

fn positive_part(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 1.0, "a number above 0 and at most 1")
}

pub fn below_one(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..1.0).contains(&x), "a number from 0 up to, but not with, 1")
}
