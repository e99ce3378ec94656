//! `covector sample`: continues a prompt.

use std::io::Write;

use covector::Key;
use covector_nn::Gpt;
use covector_nn::sample::Sampling;

use crate::{Failure, args};

/// Runs the command.
pub fn run(options: &args::Sample) -> Result<(), Failure> {
    let (model, _, vocabulary) = Gpt::load(&options.file)?;
    let sampling = Sampling { temperature: options.temperature, top_k: options.top_k };
    let (key, mut out) = (Key::new(options.seed), std::io::stdout().lock());
    let mut print = |piece: &str| Ok(write!(out, "{piece}").and_then(|()| out.flush())?);
    Ok(covector_train::sample(&model, &vocabulary, &options.prompt, options.tokens, sampling, &key, &mut print)?)
}
