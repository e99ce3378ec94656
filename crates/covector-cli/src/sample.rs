//! `covector sample`: continues a prompt.

use std::io::Write;

use covector::Key;
use covector_nn::sample::Sampling;
use covector_train::Codec;

use crate::{Failure, args};

/// Runs the command.
pub fn run(options: &args::Sample) -> Result<(), Failure> {
    let (model, _, codec) = Codec::load(&options.file)?;
    let sampling = Sampling { temperature: options.temperature, top_k: options.top_k };
    let (key, mut out) = (Key::new(options.seed), std::io::stdout().lock());
    let mut print =
        |piece: &str| -> covector_train::Result<()> { Ok(write!(out, "{piece}").and_then(|()| out.flush())?) };
    let prompt = codec.encode(&options.prompt)?;
    match codec {
        Codec::Numbers(_) => print(&codec.decode(&prompt))?,
        _ => print(&options.prompt)?,
    }
    Ok(covector_train::sample(&model, &codec, &prompt, options.tokens, sampling, &key, &mut print)?)
}
