//! `covector sample`: continues a prompt.

use std::io::Write;

use covector::{Error, Key};
use covector_nn::sample::{Sampling, continued};
use covector_nn::{Gpt, Vocabulary};

use crate::{Failure, args};

/// Runs the command.
pub fn run(options: &args::Sample) -> Result<(), Failure> {
    let (model, _, vocabulary) = Gpt::load(&options.file)?;
    let sampling = Sampling { temperature: options.temperature, top_k: options.top_k };
    write_sample(&model, &vocabulary, &options.prompt, options.tokens, sampling, &Key::new(options.seed))?;
    Ok(())
}

/// Prints the prompt and its continuation, character by character, and gives what it printed.
pub fn write_sample(
    model: &Gpt,
    vocabulary: &Vocabulary,
    prompt: &str,
    tokens: usize,
    sampling: Sampling,
    key: &Key,
) -> Result<String, Failure> {
    let start = vocabulary.encode(prompt)?;
    let mut out = std::io::stdout().lock();
    write!(out, "{prompt}")?;
    let (mut broken, mut printed) = (None, prompt.to_owned());
    let result = continued(model, &start, tokens, sampling, key, |token| {
        let character = vocabulary.decode(&[token]);
        printed.push_str(&character);
        write!(out, "{character}").and_then(|()| out.flush()).map_err(|e| {
            let text = e.to_string();
            broken = Some(e);
            Error::new(text)
        })
    });
    match broken {
        Some(e) => Err(e.into()),
        None => {
            result?;
            writeln!(out)?;
            Ok(printed)
        }
    }
}
