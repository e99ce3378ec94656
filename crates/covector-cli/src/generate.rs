//! `covector generate`: continues a prompt.

use std::io::Write;
use std::time::Instant;

use covector::Key;
use covector_models::{LanguageModel, Tuned};
use covector_nn::Decoder;
use covector_nn::sample::{Sampling, Stops};
use covector_train::{Codec, Continuing, Stream, written};

use crate::{Failure, args};

/// Characters and tokens that are added unless a number is given.
const CHARACTERS: usize = 500;
const TOKENS: usize = 100;

/// Runs the command.
pub fn run(options: &args::Generate) -> Result<(), Failure> {
    match options.model.is_dir() {
        true => of_folder(options),
        false => of_file(options),
    }
}

/// A model of `covector train gpt`.
fn of_file(options: &args::Generate) -> Result<(), Failure> {
    if options.tuned.is_some() {
        return Err(Failure::Usage("--tuned goes with a folder, on top of whose model it was trained".into()));
    }
    let (model, _, codec) = Codec::load(&options.model)?;
    let prompt = options.prompt.as_deref().unwrap_or("\n");
    let start = codec.encode(prompt)?;
    // Numbers are printed as they go on, with a space behind.
    let shown_prompt = if matches!(codec, Codec::Numbers(_)) { codec.decode(&start) } else { prompt.to_owned() };
    let mut text = Stream::after(&codec, &start);
    let decode = &mut |token| {
        Ok(match token {
            Some(token) => text.push(token),
            None => text.rest(),
        })
    };
    shown(options, &model.for_decoding(), (&shown_prompt, &start), CHARACTERS, decode, &mut |_| false)
}

/// A pretrained model.
fn of_folder(options: &args::Generate) -> Result<(), Failure> {
    let tuned = options.tuned.as_deref().map(Tuned::load).transpose()?;
    let LanguageModel { model, coder } = LanguageModel::load(&options.model, tuned.as_ref())?;
    let prompt = options.prompt.as_deref().unwrap_or("");
    let start = coder.encode(prompt)?;
    let mut text = coder.text_after(&start);
    let decode = &mut |token| match token {
        Some(token) => text.push(token),
        None => text.rest(),
    };
    let end = &mut |token| !options.ignore_end && coder.ends.contains(&token);
    shown(options, &model, (prompt, &start), TOKENS, decode, end)
}

/// Prints the prompt and what follows it, as it comes.
fn shown(
    options: &args::Generate,
    model: &impl Decoder,
    (prompt, start): (&str, &[i64]),
    count: usize,
    decode: &mut dyn FnMut(Option<i64>) -> covector::Result<String>,
    end: &mut dyn FnMut(i64) -> bool,
) -> Result<(), Failure> {
    let (seen, context) = (start.len(), model.context());
    if seen > context {
        eprintln!("warning: the prompt has {seen} tokens, and the model sees the last {context}");
    }
    let sampling = Sampling {
        repetition_penalty: options.repetition_penalty,
        temperature: options.temperature,
        top_k: options.top_k,
        top_p: options.top_p,
    };
    let mut out = std::io::stdout().lock();
    write!(out, "{prompt}")?;
    out.flush()?;
    let (begin, mut first, mut drawn) = (Instant::now(), None, 0usize);
    let mut counted = |token: Option<i64>| {
        if token.is_some() {
            drawn += 1;
            first.get_or_insert_with(Instant::now);
        }
        decode(token)
    };
    let how = Continuing {
        tokens: options.tokens.unwrap_or(count),
        sampling,
        key: &Key::new(options.seed),
        decode: &mut counted,
        end,
        stops: Stops::new(options.stop.iter().cloned()),
    };
    let mut print = |piece: &str| match piece {
        "" => Ok(()),
        _ => Ok(write!(out, "{piece}").and_then(|()| out.flush())?),
    };
    written(model, start, how, &mut print)?;
    if let (true, Some(first)) = (options.speed, first) {
        let wait = first.duration_since(begin).as_secs_f64();
        let rate = drawn.saturating_sub(1) as f64 / first.elapsed().as_secs_f64().max(1e-9);
        eprintln!("{seen} tokens of prompt in {wait:.3} s, then {} at {rate:.1} tokens/s", drawn.saturating_sub(1));
    }
    Ok(())
}
