//! `covector train`: from a text to a saved model.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use covector::{Key, Tensor};
use covector_nn::data::random_batch;
use covector_nn::sample::Sampling;
use covector_nn::train::{Training, held_out_loss};
use covector_nn::{AdamW, Dropout, Gpt, GptConfig, Vocabulary, WarmupCosine};

use crate::progress::{Progress, clock, grouped};
use crate::sample::write_sample;
use crate::{Failure, args, corpus, trace};

/// Pieces of the held-out text that a look in the middle of training is content with.
const GLANCE: usize = 240;

/// What a key is used for: each purpose has a key of its own.
#[derive(Clone, Copy)]
enum Purpose {
    Weights,
    Batches,
    Dropout,
    Sample,
}

/// Runs the command.
pub fn run(options: &args::Train) -> Result<(), Failure> {
    let stop = interrupt()?;
    if !options.width.is_multiple_of(options.heads) {
        let (width, heads) = (options.width, options.heads);
        return Err(Failure::Usage(format!("--width {width} does not divide into --heads {heads}")));
    }
    let data = Data::read(options)?;
    check_writable(&options.out)?;

    let config = config(options, &data);
    let key = |purpose: Purpose| Key::new(options.seed).fold_in(purpose as i64);
    let model = Gpt::new(&key(Purpose::Weights), &config);
    let mut out = std::io::stdout();
    trace::write(&mut out, &config, options.batch)?;
    writeln!(
        out,
        "\n{} parameters; {} characters to learn, {} held out, {} different",
        grouped(model.parameters() as u64),
        grouped(data.learned.size() as u64),
        grouped(data.held_out.size() as u64),
        data.vocabulary.len()
    )?;
    out.flush()?;

    let start = Instant::now();
    let model = train(options, model, &data, [key(Purpose::Batches), key(Purpose::Dropout)], &stop)?;
    let loss = held_out_loss(&model, &data.held_out, 4 * options.batch, None)?;
    let steps = if options.steps == 1 { "1 step".to_owned() } else { format!("{} steps", options.steps) };
    writeln!(out, "held-out loss {loss:.4} after {steps} in {}", clock(start.elapsed()))?;
    model.save(&options.out, &data.vocabulary)?;

    let prompt = data.vocabulary.decode(&data.held_out.to_vec::<i64>()[..1]);
    let prompt = if data.vocabulary.encode("\n").is_ok() { "\n" } else { &prompt };
    let sampling = Sampling { temperature: options.temperature, top_k: None };
    write_sample(&model, &data.vocabulary, prompt, options.tokens, sampling, &key(Purpose::Sample))?;
    eprintln!("saved {}; continue a text with `covector sample {0}`", options.out.display());
    Ok(())
}

/// The text as tokens.
struct Data {
    vocabulary: Vocabulary,
    learned: Tensor,
    held_out: Tensor,
}

impl Data {
    fn read(options: &args::Train) -> Result<Data, Failure> {
        let (name, text) = match &options.text {
            Some(path) => (path.display().to_string(), read_text(path)?),
            None => ("the embedded text".to_owned(), corpus::embedded()),
        };
        let vocabulary = Vocabulary::of(&text);
        let tokens = vocabulary.encode(&text)?;
        let learned = tokens.len() - tokens.len() / 10;
        if tokens.len() - learned <= options.block {
            return Err(Failure::Outside(format!(
                "{name} is too short: a tenth of its {} characters is held out, which must be more than --block {}",
                tokens.len(),
                options.block
            )));
        }
        let (learned, held_out) = tokens.split_at(learned);
        Ok(Data { vocabulary, learned: Tensor::from(learned.to_vec()), held_out: Tensor::from(held_out.to_vec()) })
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: {problem}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot read: {e}")))?;
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    String::from_utf8(bytes)
        .map_err(|e| fail(format!("not UTF-8 text: byte {} begins no character", e.utf8_error().valid_up_to())))
}

/// Fails now rather than after the training if the model cannot be saved; leaves nothing behind.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: cannot write the model: {problem}", path.display()));
    if path.is_dir() {
        return Err(fail("it is a folder".into()));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".covector-probe-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe).map_err(|e| fail(e.to_string()))?;
    std::fs::remove_file(&probe).map_err(|e| fail(e.to_string()))
}

fn config(options: &args::Train, data: &Data) -> GptConfig {
    let args::Train { block, layers, heads, width, .. } = *options;
    GptConfig { vocabulary: data.vocabulary.len(), block, layers, heads, width, bias: false }
}

/// A flag that Ctrl-C sets.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| Failure::Outside(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}

fn train(
    options: &args::Train,
    model: Gpt,
    data: &Data,
    [batches, dropout]: [Key; 2],
    stop: &AtomicBool,
) -> Result<Gpt, Failure> {
    let schedule = WarmupCosine {
        peak: options.lr,
        floor: options.min_lr.unwrap_or(options.lr / 10.0),
        warmup: options.warmup.unwrap_or((options.steps / 10).min(100)),
        steps: options.steps,
    };
    let adam = AdamW { beta2: options.beta2, weight_decay: options.weight_decay, ..AdamW::default() };
    let clip = (options.clip > 0.0).then_some(options.clip);
    let mut training = Training::new(model, adam, clip);
    let mut progress = Progress::new(options.steps, options.batch * options.block);
    for step in 0..options.steps {
        let (x, y) = random_batch(&data.learned, options.batch, options.block, &batches.fold_in(step as i64));
        let noise = Dropout::new(options.dropout, dropout.fold_in(step as i64));
        let loss = training.step(schedule.at(step), |model: &Gpt| model.loss(&x, &y, &noise))?.to_f64();
        if stop.load(Ordering::Relaxed) {
            progress.finish();
            return Err(Failure::Interrupted(format!("stopped after step {}; nothing was saved", step + 1)));
        }
        if !loss.is_finite() {
            progress.finish();
            let problem = format!("the loss is {loss} at step {}: nothing was saved", step + 1);
            return Err(Failure::Outside(format!("{problem}; try a smaller --lr")));
        }
        progress.step(step + 1, loss);
        let due = options.eval_interval > 0 && (step + 1) % options.eval_interval == 0 && step + 1 < options.steps;
        if due {
            let loss = held_out_loss(&training.model, &data.held_out, 4 * options.batch, Some(GLANCE))?;
            progress.say(&format!("step {}: held-out loss {loss:.4}", step + 1));
        }
    }
    progress.finish();
    Ok(training.model)
}
