//! Times the gradient of an LSTM over long sequences: `cargo run --release -p covector-nn --example lstm_step`.

use std::time::Instant;

use covector::ops::random::normal;
use covector::{DType, Key, Tree, try_eval, value_and_grad};
use covector_nn::{Dropout, LSTM};

fn main() -> covector::Result<()> {
    let key = Key::new(0);
    let lstm = LSTM::new(&key.fold_in(0), 64, 128, 1, true, false);
    for time in [50, 100, 200] {
        let x = normal(&key.fold_in(1), [32, time, 64], DType::F32);
        let mut times = Vec::new();
        for _ in 0..6 {
            let start = Instant::now();
            let loss = |lstm: &LSTM| lstm.forward(&x, None, &Dropout::off()).0.square().mean(..);
            let (loss, gradients) = value_and_grad(loss)(&lstm);
            try_eval(&[vec![loss], gradients.leaves()].concat())?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{time} steps: best {:.1} ms, median {:.1} ms", times[0], times[3]);
    }
    Ok(())
}
