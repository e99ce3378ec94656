//! A whole training on a text, with a compiled step, from weights and batches that PyTorch can repeat.

use std::time::Instant;

use covector::{Tensor, Tree};
use covector_nn::data::pieces;
use covector_nn::train::held_out_loss;
use covector_nn::{AdamW, Dropout, Gpt, GptConfig, Vocabulary, WarmupCosine};

use crate::fill::labels;
use crate::nets::{Adam, filled};

const LAYERS: usize = 4;
const HEADS: usize = 4;
const WIDTH: usize = 128;
const BLOCK: usize = 64;
const BATCH: usize = 12;

/// Trains on the text of a file; seconds of training and of evaluation and the loss on the tenth held out, as JSON.
pub fn run(file: &str, steps: usize) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let vocabulary = Vocabulary::of(&text);
    let tokens = vocabulary.encode(&text).map_err(|e| e.to_string())?;
    let (learned, held_out) = tokens.split_at(tokens.len() - tokens.len() / 10);
    if held_out.len() <= BLOCK {
        return Err(format!("{file} is too short"));
    }
    let [learned, held_out] = [learned, held_out].map(|part| Tensor::from(part.to_vec()));

    let adam = AdamW { beta2: 0.99, weight_decay: 0.1, ..AdamW::default() };
    let loss = |model: &Gpt, (x, y): &(Tensor, Tensor)| model.loss(x, y, &Dropout::off());
    let mut training = Adam::new(model(vocabulary.len()), adam, Some(1.0), loss);
    let schedule = WarmupCosine { peak: 1e-3, floor: 1e-4, warmup: 100, steps };
    let start = Instant::now();
    for step in 0..steps {
        let starts = labels(BATCH, 1000 + step as u32, (learned.size() - BLOCK) as i64);
        let batch = pieces(&learned, &Tensor::from_slice(&starts, [BATCH, 1]), BLOCK);
        let loss = training.step(schedule.at(step), batch);
        if (step + 1) % 500 == 0 {
            eprintln!("step {}: loss {loss:.4}", step + 1);
        }
    }
    let trained = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let loss = held_out_loss(training.model(), &held_out, 4 * BATCH, None).map_err(|e| e.to_string())?;
    let evaluated = start.elapsed().as_secs_f64();
    Ok(format!(r#"{{"trained": {trained}, "evaluated": {evaluated}, "loss": {loss}}}"#))
}

/// The model with weights from formulas, those back into the residual stream smaller, as in GPT-2.
fn model(vocabulary: usize) -> Gpt {
    let config = GptConfig { vocabulary, block: BLOCK, layers: LAYERS, heads: HEADS, width: WIDTH, bias: false };
    let model = filled(&Gpt::new(&covector::Key::new(0), &config));
    let smaller = ((2 * LAYERS) as f64).sqrt().recip();
    let named = model.named();
    let scaled = |(name, t): &(String, Tensor)| if name.ends_with("c_proj.weight") { t * smaller } else { t.clone() };
    let leaves: Vec<Tensor> = named.iter().map(scaled).collect();
    covector::eval(&leaves);
    model.with_leaves(leaves)
}
