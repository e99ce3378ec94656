//! Fine-tuning by small products beside the weights of a model that stays as it is.
//!
//! Adapters are a part of their own (`parts.rs`), and a model with them is the model with other weights: no layer knows of
//! them, and any model can have them.
//!
//! ```
//! use covector::{Key, Tensor, value_and_grad};
//! use covector_nn::{Linear, Optimizer, lora::Lora, optim::SGD, parts::Part};
//! let model = Linear::new(&Key::new(0), 4, 4, true);
//! let lora = Lora { rank: 2, alpha: 4.0 };
//! let adapters = lora.start(&model, &Key::new(1), |path, _| path == "weight");
//! let x = Tensor::from([[1.0f32, 2.0, 3.0, 4.0]]);
//! let loss = |adapters: &Part| lora.applied(&model, adapters).unwrap().forward(&x).square().sum(..);
//! let (before, gradients) = value_and_grad(loss)(&adapters);
//! let sgd = Optimizer::new(SGD::default());
//! let (adapters, _) = sgd.step(&adapters, &gradients, &sgd.start(&adapters), 0.001);
//! assert!(loss(&adapters).item::<f32>() < before.item::<f32>());
//! ```

use std::collections::HashMap;

use covector::{Error, Key, Result, Tensor, Tree};

use crate::init::{Fan, constant, gain, kaiming_uniform};
use crate::parts::{Part, put, select};

/// Low-rank adapters: a weight `W [outputs, inputs]` becomes `W + alpha / rank · B A`.
///
/// Source: Hu et al. 2022, "LoRA: low-rank adaptation of large language models"; names as in Hugging Face's PEFT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// The rank of the product.
    pub rank: usize,
    /// What scales it; commonly twice the rank.
    pub alpha: f64,
}

impl Lora {
    /// Adapters for the matrices that `wanted` tells by path and value: `A [rank, inputs]` as in PEFT, `B [outputs, rank]` of zeros,
    /// so that the model is as before. A path `q.weight` has `q.lora_A.weight` and `q.lora_B.weight`.
    #[track_caller]
    pub fn start<T: Tree>(&self, model: &T, key: &Key, wanted: impl Fn(&str, &Tensor) -> bool) -> Part {
        let matrices = select(model, |path, t| t.ndim() == 2 && wanted(path, t));
        let mut adapters = Part::new();
        for (i, (path, w)) in matrices.iter().enumerate() {
            let [outputs, inputs] = [0, 1].map(|axis| w.shape()[axis]);
            let slope = gain("leaky_relu", Some(5f64.sqrt()));
            let a = kaiming_uniform(&key.fold_in(i as i64), [self.rank, inputs], slope, Fan::In);
            let b = constant(0.0, [outputs, self.rank]);
            let names = names(path);
            adapters.extend(names.into_iter().zip([a, b].map(|t| t.cast(w.dtype()))));
        }
        adapters
    }

    /// The model with the adapters in its weights: to train them, or for good.
    ///
    /// # Errors
    /// If one half of an adapter is missing, or it fits no weight.
    #[track_caller]
    pub fn applied<T: Tree>(&self, model: &T, adapters: &Part) -> Result<T> {
        let weights: HashMap<String, Tensor> = model.named().into_iter().collect();
        let (mut changed, mut used) = (Part::new(), 0);
        for (path, w) in &weights {
            let [a, b] = names(path).map(|name| adapters.get(&name));
            let (Some(a), Some(b)) = (a, b) else { continue };
            changed.insert(path.clone(), w + b.matmul(a) * (self.alpha / self.rank as f64));
            used += 2;
        }
        if used != adapters.len() {
            let known = |name: &&String| changed.keys().all(|path| !names(path).contains(name));
            let odd: Vec<String> = adapters.keys().filter(known).map(|name| format!("`{name}`")).collect();
            return Err(Error::new(format!("no weight and no other half for these adapters: {}", odd.join(", "))));
        }
        put(model, &changed)
    }
}

/// The names of both halves of the adapter of a weight.
fn names(path: &str) -> [String; 2] {
    let (front, last) = path.rsplit_once('.').map_or(("", path), |(front, last)| (front, last));
    let dot = if front.is_empty() { "" } else { "." };
    ["lora_A", "lora_B"].map(|half| format!("{front}{dot}{half}.{last}"))
}
