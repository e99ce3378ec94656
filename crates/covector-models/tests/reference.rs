//! Models with random weights give what their reference implementations give (`goldens/models.py`).

use std::collections::BTreeMap;
use std::path::Path;

use covector::{Key, Tensor, Tree, try_value_and_grad};
use covector_models::export::merged;
use covector_models::folder::{fill, without_prefix};
use covector_models::{Bert, Causal, Folder, Gpt2, Llama, LlamaConfig, ResNet, Tuned, Vit};
use covector_nn::parts::{put, select};
use covector_nn::{AdamW, Decoder};

fn folder(name: &str) -> Folder {
    let path = format!("{}/../../goldens/models/{name}", env!("CARGO_MANIFEST_DIR"));
    Folder::open(path).unwrap()
}

fn expected(folder: &Folder) -> BTreeMap<String, Tensor> {
    let file = covector_io::load_safetensors(folder.path("expected.safetensors")).unwrap();
    file.tensors.into_iter().map(|(name, array)| (name, Tensor::from(array))).collect()
}

#[track_caller]
fn close(what: &str, found: &Tensor, wanted: &Tensor, tolerance: f64) {
    assert_eq!(found.shape(), wanted.shape(), "{what}");
    let (a, b) = (found.value().to_f64_vec(), wanted.value().to_f64_vec());
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= tolerance, "{what}: the largest difference is {worst:.1e}");
}

#[test]
fn bert() {
    let folder = folder("bert");
    let (model, _) = Bert::load(&folder).unwrap();
    let e = expected(&folder);
    let hidden = model.forward(&e["tokens"], &e["present"]);
    close("hidden", &hidden.i(0), &e["hidden"].i(0), 1e-4);
    // What stands behind a sentence's end is nobody's business.
    close("hidden", &hidden.i((1, ..7)), &e["hidden"].i((1, ..7)), 1e-4);
    close("pooled", &model.pooled(&hidden).unwrap(), &e["pooled"], 1e-4);
}

#[test]
fn llama() {
    let folder = folder("llama");
    let (model, _) = Llama::load(&folder).unwrap();
    let e = expected(&folder);
    close("logits", &model.forward(&e["tokens"]), &e["logits"], 1e-4);
}

#[test]
fn llama_with_scaled_positions() {
    for kind in ["linear", "dynamic", "llama3"] {
        let folder = folder(&format!("llama_{kind}"));
        let (model, config) = Llama::load(&folder).unwrap();
        let e = expected(&folder);
        let logits = model.forward(&e["tokens"]);
        close(kind, &logits, &e["logits"], 1e-4);
        if kind != "dynamic" {
            // Other positions would be seen.
            let plain = LlamaConfig { rope_scaling: None, rope_parameters: None, ..config };
            let unscaled = put(&Llama::new(&Key::new(0), &plain), &select(&model, |_, _| true)).unwrap();
            let far = (unscaled.forward(&e["tokens"]) - &logits).abs().max(..).to_f64();
            assert!(far > 1e-2, "{kind}: {far}");
        }
        // In pieces of several sizes, with a cache.
        let tokens = e["tokens"].i((..1, ..40));
        let mut cache = model.cache(1, 40);
        let mut at = 0;
        for size in [7, 1, 1, 20, 11] {
            let found = model.decode(&tokens.i((.., at..at + size)), &mut cache).unwrap();
            at += size;
            let wanted = model.forward(&tokens.i((.., ..at))).i((.., -1..));
            assert_eq!(found.reshape([-1]).to_vec::<f32>(), wanted.reshape([-1]).to_vec::<f32>(), "{kind} at {at}");
        }
    }
}

/// Adapters that PEFT wrote give its logits, and written again they are what it wrote.
fn adapted<M: Causal>(name: &str) {
    let (base, written) =
        (folder(&format!("{name}_text")), format!("{}/../../goldens/models/peft_{name}", env!("CARGO_MANIFEST_DIR")));
    let file = |path: std::path::PathBuf| covector_io::load_safetensors(path).unwrap().tensors;
    let e = file(Path::new(&written).join("expected.safetensors"));
    let [tokens, logits] = ["tokens", "logits"].map(|key| Tensor::from_array(e[key].clone()));
    let tuned = Tuned::load(&written).unwrap();
    let model: M = merged(&base, Some(&tuned)).unwrap();
    close(name, &model.logits(&tokens), &logits, 1e-4);
    let to = std::env::temp_dir().join(format!("covector-peft-{}-{name}", std::process::id()));
    covector_models::peft::save::<M>(&to, &tuned).unwrap();
    let [ours, theirs] = [&to, Path::new(&written)].map(|at| file(at.join("adapter_model.safetensors")));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (key, array) in &ours {
        assert_eq!((array.shape(), array.to_bytes()), (theirs[key].shape(), theirs[key].to_bytes()), "{key}");
    }
    let again = Tuned::load(&to).unwrap();
    assert_eq!(again.lora, tuned.lora);
    assert!(covector_models::peft::save::<M>(&to, &tuned).unwrap_err().to_string().contains("it is there already"));
    // What is not known is refused.
    let config = to.join("adapter_config.json");
    let said = std::fs::read_to_string(&config).unwrap();
    for (from, changed, problem) in [
        ("\"LORA\"", "\"LOHA\"", "adapters of the kind `LOHA` are not known"),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "its biases are trained"),
        ("\"r\": 3", "\"use_dora\": true, \"r\": 3", "it sets `use_dora`"),
        ("\"r\": 3", "\"r\": 4", "and adapters have the rank 4"),
        ("\"r\": 3", "\"r\": -1", "invalid value"),
    ] {
        assert!(said.contains(from), "{said}");
        std::fs::write(&config, said.replace(from, changed)).unwrap();
        let refused = Tuned::load(&to).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    std::fs::remove_dir_all(&to).unwrap();
}

#[test]
fn adapters_of_peft() {
    adapted::<Gpt2>("gpt2");
    adapted::<Llama>("llama");
}

#[test]
fn vit() {
    let folder = folder("vit");
    let (model, _) = Vit::load(&folder).unwrap();
    let e = expected(&folder);
    close("logits", &model.forward(&e["image"]), &e["logits"], 1e-4);
}

/// Gradients of the loss, and the loss after ten steps of PyTorch's AdamW at its defaults but for the decay of 0.1.
fn trained<M: Tree>(model: M, loss: impl Fn(&M) -> Tensor, e: &BTreeMap<String, Tensor>, prefix: &str) {
    close("loss", &loss(&model), &e["loss"], 1e-4);
    let (_, gradients) = try_value_and_grad(&loss, &model).unwrap();
    let mut compared = 0;
    for (path, gradient) in gradients.named() {
        if let Some(wanted) = e.get(&format!("grad.{prefix}{path}")) {
            close(&path, &gradient, wanted, 1e-4);
            compared += 1;
        }
    }
    assert_eq!(compared, e.keys().filter(|k| k.starts_with("grad.")).count(), "every gradient is compared");
    let adam = AdamW { weight_decay: 0.1, ..AdamW::default() };
    let (mut model, mut state) = (model.map_leaves(Tensor::clone), adam.start(&model));
    for _ in 0..10 {
        let (_, gradients) = try_value_and_grad(&loss, &model).unwrap();
        (model, state) = adam.step(&model, &gradients, state, 1e-3, |path, _| !path.contains("running_"));
        covector::try_eval(&model.leaves()).unwrap();
    }
    close("loss after ten steps", &loss(&model), &e["loss_after_ten"], 1e-3);
}

#[test]
fn gpt2() {
    let folder = folder("gpt2");
    let (model, _) = Gpt2::load(&folder).unwrap();
    let e = expected(&folder);
    close("logits", &model.forward(&e["tokens"]), &e["logits"], 1e-4);
    trained(model, |m: &Gpt2| m.loss(&e["tokens"], &e["targets"]), &e, "transformer.");
}

#[test]
fn resnet() {
    let folder = folder("resnet18");
    let (model, _) = ResNet::load(&folder).unwrap();
    let e = expected(&folder);
    close("logits", &model.forward(&e["image"]), &e["logits"], 1e-4);
    trained(model, |m: &ResNet| m.loss(&e["image"], &e["labels"]), &e, "");
}

#[test]
fn what_does_not_fit_is_listed_at_once() {
    let folder = folder("gpt2");
    let (model, _) = Gpt2::load(&folder).unwrap();
    let mut weights = without_prefix(folder.weights().unwrap(), "transformer.");
    let moved = weights.tensors.remove("ln_f.bias").unwrap();
    weights.tensors.insert("ln_f.beta".into(), moved);
    weights.tensors.insert("wpe.weight".into(), Tensor::from([1.0f32]));
    let error = fill(&weights, &model, |_| false).unwrap_err().to_string();
    for part in [
        "missing:\n    ln_f.bias f32[24]",
        "another shape:\n    `wpe.weight` is f32[1], not f32[16, 24]",
        "without a place:\n    ln_f.beta",
    ] {
        assert!(error.contains(part), "{error}");
    }
}
