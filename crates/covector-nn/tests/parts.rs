//! Models as plain trees: frozen, shared, saved and loaded in part.

use std::collections::BTreeMap;
use std::path::PathBuf;

use covector::ops::random::normal;
use covector::{DType, Key, Tensor, Tree, grad, value_and_grad};
use covector_nn::optim::{Adam, LBFGS, Optimizer};
use covector_nn::parts::{Part, listed, put, select};
use covector_nn::sequential::{Activation, Layer};
use covector_nn::{BatchNorm, Embedding, LSTM, Linear, file, lora::Lora};

/// A model whose output map is its embedding.
#[derive(Clone, Debug, Tree)]
struct Tied {
    embedding: Embedding,
    middle: Linear,
    output: Linear,
}

fn tied(seed: u64) -> Tied {
    let key = Key::new(seed);
    let embedding = Embedding::new(&key.fold_in(0), 5, 3);
    let output = Linear { weight: embedding.weight.clone(), bias: None };
    Tied { embedding, middle: Linear::new(&key.fold_in(1), 3, 3, true), output }
}

fn loss(model: &Tied) -> Tensor {
    let x = model.embedding.forward(&Tensor::from([[0, 3, 1]]));
    model.output.forward(&model.middle.forward(&x).tanh()).square().sum(..)
}

fn all(_: &str, _: &Tensor) -> bool {
    true
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("covector-nn-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_shared_weight_is_one_parameter_whose_gradient_is_the_sum() {
    let model = tied(0);
    let part = select(&model, all);
    assert_eq!(part.keys().collect::<Vec<_>>(), ["embedding.weight", "middle.bias", "middle.weight"]);
    let shared = grad(|part: &Part| loss(&put(&model, part).unwrap()))(&part);
    let apart = grad(loss)(&model);
    let sum = &apart.embedding.weight + &apart.output.weight;
    let difference = (&shared["embedding.weight"] - sum).abs().max(..).item::<f32>();
    assert!(difference < 1e-5 && apart.output.weight.abs().max(..).item::<f32>() > 0.1, "{difference}");
}

#[test]
fn a_step_keeps_what_is_shared_shared() {
    let (mut model, adam) = (tied(1), Optimizer::new(Adam::default()));
    let mut state = adam.start(&select(&model, all));
    for _ in 0..3 {
        let part = select(&model, all);
        let (_, gradients) = value_and_grad(|part: &Part| loss(&put(&model, part).unwrap()))(&part);
        let (new, next) = adam.step(&part, &gradients, &state, 0.1);
        (model, state) = (put(&model, &new).unwrap(), next);
    }
    assert_eq!(model.embedding.weight.id(), model.output.weight.id());
    assert!(loss(&model).item::<f32>() < loss(&tied(1)).item::<f32>());
}

#[test]
fn frozen_leaves_stay_and_have_no_state() {
    let (model, adam) = (tied(2), Optimizer::new(Adam::default()));
    let trained = select(&model, |path, _| path.starts_with("middle."));
    let (_, gradients) = value_and_grad(|part: &Part| loss(&put(&model, part).unwrap()))(&trained);
    let (new, state) = adam.step(&trained, &gradients, &adam.start(&trained), 0.1);
    let moved = put(&model, &new).unwrap();
    assert_eq!(moved.embedding.weight.id(), model.embedding.weight.id());
    assert_ne!(moved.middle.weight.to_vec::<f32>(), model.middle.weight.to_vec::<f32>());
    assert!(state.named().iter().all(|(path, _)| path == "steps" || path.starts_with("slots.middle.")));
}

#[test]
fn what_does_not_fit_is_named_at_once() {
    let mut part = select(&tied(0), all);
    part.insert("middle.bias".into(), Tensor::from([1.0f32; 4]));
    part.insert("mittle.bias".into(), Tensor::from([1.0f32; 3]));
    let text = put(&tied(0), &part).unwrap_err().to_string();
    assert!(
        text.contains("`middle.bias` is [4], not [3]") && text.contains("`mittle.bias` is no part of it"),
        "{text}"
    );
}

#[test]
fn lists_tell_what_is_shared() {
    let text = listed(&tied(0));
    assert!(text.contains("output.weight     f32[5, 3]  as embedding.weight"), "{text}");
    assert!(text.ends_with("27 elements\n"), "{text}");
}

#[test]
fn files_have_shared_weights_once_and_give_them_back_shared() {
    let folder = Folder::new("tied");
    let path = folder.0.join("tied.safetensors");
    file::save(&path, &select(&tied(0), all), &BTreeMap::new()).unwrap();
    let contents = file::load(&path).unwrap();
    assert_eq!(contents.tensors.len(), 3);
    let known = contents.fill_known(&tied(7), str::to_owned).unwrap();
    assert!(known.missing.is_empty() && known.unexpected.is_empty());
    assert_eq!(known.tree.embedding.weight.id(), known.tree.output.weight.id());
    assert_eq!(loss(&known.tree).item::<f32>(), loss(&tied(0)).item::<f32>());
}

#[test]
fn parts_are_loaded_under_other_names_and_what_is_left_is_listed() {
    let folder = Folder::new("renamed");
    let path = folder.0.join("renamed.safetensors");
    let narrow = |t: &Tensor| t.cast(DType::BF16);
    let stored: Part = [
        ("model.embedding.weight".to_owned(), narrow(&tied(0).embedding.weight)),
        ("model.extra".to_owned(), Tensor::from([1.0f32])),
    ]
    .into();
    file::save(&path, &stored, &BTreeMap::new()).unwrap();
    let contents = file::load(&path).unwrap();
    let known = contents.fill_known(&tied(1), |path| format!("model.{path}")).unwrap();
    assert_eq!(known.missing, ["middle.weight", "middle.bias"]);
    assert_eq!(known.unexpected, ["model.extra"]);
    assert_eq!(known.tree.output.weight.dtype(), DType::F32);
    assert_eq!(
        known.tree.output.weight.to_vec::<f32>(),
        narrow(&tied(0).embedding.weight).cast(DType::F32).to_vec::<f32>()
    );
    let text = contents.fill_known(&tied(1), |_| "model.extra".to_owned()).unwrap_err().to_string();
    assert!(text.contains("`model.extra` is f32[1], not f32[3, 3]") && text.contains("f32[5, 3]"), "{text}");
}

#[test]
fn parameters_and_running_statistics_are_one_state_dict() {
    let folder = Folder::new("dict");
    let path = folder.0.join("dict.safetensors");
    let net = |seed| {
        (
            Linear::new(&Key::new(seed), 3, 4, true),
            BatchNorm::new(4),
            Activation::Gelu,
            vec![Linear::new(&Key::new(9), 4, 4, false)],
        )
    };
    let trained = net(0);
    let (_, state) = trained.train(&normal(&Key::new(1), [6, 3], DType::F32), &trained.start(), &Key::new(2));
    let mut dict = select(&trained, all);
    dict.extend(select(&state, all));
    let names = dict.keys().map(String::as_str).collect::<Vec<_>>();
    let torch = [
        "0.bias",
        "0.weight",
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
        "3.0.weight",
    ];
    assert_eq!(names, torch);
    file::save(&path, &dict, &BTreeMap::new()).unwrap();
    let contents = file::load(&path).unwrap();
    let model = contents.fill_known(&net(5), str::to_owned).unwrap();
    let stats = contents.fill_known(&net(5).start(), str::to_owned).unwrap();
    assert!(model.missing.is_empty() && stats.missing.is_empty());
    assert_eq!(model.unexpected, ["1.num_batches_tracked", "1.running_mean", "1.running_var"]);
    let x = normal(&Key::new(3), [2, 3], DType::F32);
    assert_eq!(model.tree.eval(&x, &stats.tree).to_vec::<f32>(), trained.eval(&x, &state).to_vec::<f32>());
}

#[test]
fn states_of_optimisers_are_saved_and_loaded() {
    let folder = Folder::new("states");
    let (adam, lstm) = (Optimizer::new(Adam::default()), LSTM::new(&Key::new(0), 2, 2, 1, true, true));
    let (_, state) = adam.step(&lstm, &lstm, &adam.start(&lstm), 0.1);
    let path = folder.0.join("adam.safetensors");
    file::save(&path, &state, &BTreeMap::new()).unwrap();
    let loaded = file::load(&path).unwrap().fill(&adam.start(&lstm)).unwrap();
    assert_eq!(loaded.steps.item::<i64>(), 1);
    assert_eq!(
        loaded.slots["bias_hh_l0_reverse"]["exp_avg"].to_vec::<f32>(),
        state.slots["bias_hh_l0_reverse"]["exp_avg"].to_vec::<f32>()
    );

    let lbfgs = LBFGS { max_iter: 3, ..LBFGS::default() };
    let step = |w, state| {
        lbfgs.step(&w, state, |w: &Tensor| covector::try_value_and_grad(|w| (w - 1.0).pow(4.0).sum(..), w)).unwrap()
    };
    let (w, memory, _) = step(Tensor::from([0.0f64, 3.0]), lbfgs.start(&Tensor::from([0.0f64; 2])));
    let path = folder.0.join("lbfgs.safetensors");
    file::save(&path, &memory, &BTreeMap::new()).unwrap();
    let loaded = file::load(&path).unwrap().fill(&lbfgs.start_with(&w, memory.steps.len())).unwrap();
    assert_eq!(step(w.clone(), loaded).0.to_vec::<f64>(), step(w, memory).0.to_vec::<f64>());
}

#[test]
fn adapters_begin_as_nothing_and_train_alone() {
    let lora = Lora { rank: 2, alpha: 4.0 };
    let model = tied(3);
    let mut adapters = lora.start(&model, &Key::new(4), |_, t| t.ndim() == 2);
    let paths = ["embedding.lora_A.weight", "embedding.lora_B.weight", "middle.lora_A.weight", "middle.lora_B.weight"];
    assert_eq!(adapters.keys().collect::<Vec<_>>(), paths);
    let before = loss(&model).item::<f32>();
    assert_eq!(loss(&lora.applied(&model, &adapters).unwrap()).item::<f32>(), before);
    let adam = Optimizer::new(Adam::default());
    let mut state = adam.start(&adapters);
    for _ in 0..20 {
        let (_, gradients) = value_and_grad(|a: &Part| loss(&lora.applied(&model, a).unwrap()))(&adapters);
        (adapters, state) = adam.step(&adapters, &gradients, &state, 0.05);
    }
    let merged = lora.applied(&model, &adapters).unwrap();
    assert!(loss(&merged).item::<f32>() < 0.5 * before);
    assert_eq!(merged.embedding.weight.id(), merged.output.weight.id(), "what was tied stays tied");
    let change = (&merged.middle.weight - &model.middle.weight).to_vec::<f32>();
    // A product of rank two: its determinant is 0.
    let at = |i: usize, j: usize| f64::from(change[3 * i + j]);
    let minor = |j: usize, k: usize| at(1, j) * at(2, k) - at(1, k) * at(2, j);
    let determinant = at(0, 0) * minor(1, 2) - at(0, 1) * minor(0, 2) + at(0, 2) * minor(0, 1);
    assert!(determinant.abs() < 1e-5 && change.iter().any(|x| x.abs() > 0.1), "{determinant}");
    adapters.remove("middle.lora_B.weight");
    let text = lora.applied(&model, &adapters).unwrap_err().to_string();
    assert!(text.contains("`middle.lora_A.weight`") && !text.contains("embedding"), "{text}");
}
