//! Layers, the GPT, clipping and AdamW against PyTorch, in f64 (goldens/layers.py).

use covector::{DType, Key, Tensor, Tree, value_and_grad};
use covector_nn::{AdamW, Dropout, Gpt, GptConfig, MultiheadAttention, clip_grad_norm};
use serde_json::Value;

mod golden;
use golden::{close, filled, numbers, tensor};

fn goldens() -> Value {
    serde_json::from_str(include_str!("../../../goldens/layers.json")).unwrap()
}

fn tokens(json: &Value) -> Tensor {
    let rows = json.as_array().unwrap();
    let flat: Vec<i64> = rows.iter().flat_map(|r| r.as_array().unwrap()).map(|x| x.as_i64().unwrap()).collect();
    Tensor::from_slice(&flat, [rows.len(), flat.len() / rows.len()])
}

#[test]
fn a_gpt_gives_pytorchs_logits_loss_and_gradients() {
    let golden = &goldens()["gpt"];
    let size = |name: &str| golden["config"][name].as_u64().unwrap() as usize;
    let config = GptConfig {
        vocabulary: size("vocabulary"),
        block: size("block"),
        layers: size("layers"),
        heads: size("heads"),
        width: size("width"),
        bias: true,
    };
    let model = filled(&Gpt::new(&Key::new(0), &config), &golden["parameters"]);
    let (x, y) = (tokens(&golden["tokens"]), tokens(&golden["targets"]));
    close(&model.forward(&x, &Dropout::off()), &tensor(&golden["logits"]), 1e-12, "logits");
    let (loss, gradients) = value_and_grad(|model: &Gpt| model.loss(&x, &y, &Dropout::off()))(&model);
    close(&loss, &Tensor::from(golden["loss"].as_f64().unwrap()), 1e-13, "loss");
    for (path, gradient) in gradients.named() {
        close(&gradient, &tensor(&golden["gradients"][path.as_str()]), 1e-12, &path);
    }
}

#[test]
fn multihead_attention_takes_pytorchs_weights() {
    let golden = &goldens()["multihead_attention"];
    let layer = filled(&MultiheadAttention::new(&Key::new(0), 4, 2, true), &golden["parameters"]);
    let rows = golden["allowed"].as_array().unwrap();
    let flat: Vec<bool> = rows.iter().flat_map(|r| r.as_array().unwrap()).map(|x| x.as_bool().unwrap()).collect();
    let mask = Tensor::from_slice(&flat, [rows.len(), flat.len() / rows.len()]);
    let [query, key, value] = ["query", "key", "value"].map(|name| tensor(&golden[name]));
    close(&layer.forward(&query, &key, &value, Some(&mask)), &tensor(&golden["result"]), 1e-12, "attention");
}

#[test]
fn clipped_adamw_walks_where_pytorchs_walks() {
    let golden = &goldens()["adamw"];
    let pair = |json: &Value| (tensor(&json[0]), tensor(&json[1]));
    let adam = AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1 };
    let mut parameters = pair(&golden["start"]);
    let mut state = adam.start(&parameters);
    let f = |(a, b): &(Tensor, Tensor)| ((a * 3.0).sin() + a * a).sum(..) + ((b * 3.0).sin() + b * b).sum(..);
    let rates = numbers(&golden["rates"]);
    for (step, rate) in rates.into_iter().enumerate() {
        let (_, gradients) = value_and_grad(f)(&parameters);
        let (gradients, norm) = clip_grad_norm(&gradients, golden["clip"].as_f64().unwrap());
        close(&norm, &Tensor::from(golden["norms"][step].as_f64().unwrap()), 1e-12, "norm");
        (parameters, state) = adam.step(&parameters, &gradients, state, rate, |path, _| path == "0");
        let wanted = pair(&golden["values"][step]);
        close(&parameters.0, &wanted.0, 1e-12, "decaying");
        close(&parameters.1, &wanted.1, 1e-12, "not decaying");
        assert_eq!(parameters.0.dtype(), DType::F64);
    }
}
