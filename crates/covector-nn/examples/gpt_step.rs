//! Times the training steps of a small GPT on random tokens: `cargo run --release --example gpt_step`.

use std::time::Instant;

use covector::{Key, ops::random::randint};
use covector_nn::data::random_batch;
use covector_nn::train::Training;
use covector_nn::{AdamW, Dropout, Gpt, GptConfig};

fn main() -> covector::Result<()> {
    let config = GptConfig { vocabulary: 65, block: 64, layers: 4, heads: 4, width: 128, bias: false };
    let key = Key::new(1337);
    let tokens = randint(&key.fold_in(0), [100_000], 0, config.vocabulary as i64);
    let adam = AdamW { beta2: 0.99, weight_decay: 0.1, ..AdamW::default() };
    let mut training = Training::new(Gpt::new(&key.fold_in(1), &config), adam, Some(1.0));
    println!("{} parameters", training.model.parameters());
    let mut times = Vec::new();
    for step in 0..60 {
        let (x, y) = random_batch(&tokens, 12, config.block, &key.fold_in(step + 2));
        let start = Instant::now();
        let loss = training.step(1e-3, |model: &Gpt| model.loss(&x, &y, &Dropout::off()))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if step % 20 == 0 {
            println!("step {step}: loss {:.4}, {:.1} ms", loss.item::<f32>(), times[times.len() - 1]);
        }
    }
    times.sort_by(f64::total_cmp);
    println!("median {:.1} ms, best {:.1} ms", times[times.len() / 2], times[0]);
    Ok(())
}
