//! Pretrained models from outside: continued, trained further, and written for others.

use std::path::{Path, PathBuf};

use covector::{Key, Tensor, Tree};
use covector_models::export::merged;
use covector_models::{Gpt2, LanguageModel, Llama, Tuned};
use covector_nn::Gpt;
use covector_nn::sample::{Flow, Sampling, continued};

use crate::folder::Folder;

impl Folder {
    /// A copy of a golden folder.
    fn copy(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        for entry in std::fs::read_dir(golden(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), self.path(name).join(entry.file_name())).unwrap();
        }
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../goldens/models").join(name)
}

/// What the library says comes after a prompt, greedily, with the prompt.
fn greedy(folder: &Path, prompt: &str, tokens: usize) -> String {
    let LanguageModel { model, coder } = LanguageModel::load(folder, None).unwrap();
    let start = coder.encode(prompt).unwrap();
    let (mut stream, mut text) = (coder.text_after(&start), prompt.to_owned());
    continued(&model, &start, tokens, Sampling::greedy(), &Key::new(0), |token| {
        text += &stream.push(token)?;
        Ok(Flow::On)
    })
    .unwrap();
    text + &stream.rest().unwrap()
}

#[test]
fn generate_continues_pretrained_models_and_ends_where_it_is_told() {
    let folder = Folder::new("generate");
    for name in ["gpt2_text", "llama_text"] {
        folder.copy(name);
        let base = ["generate", name, "--prompt", "the cat, 日本", "--tokens", "20"];
        let with = |more: &[&str]| folder.says(&[&base[..], more].concat());
        let likeliest = with(&["--temperature", "0"]);
        assert_eq!(likeliest, greedy(&golden(name), "the cat, 日本", 20) + "\n", "{name}");
        assert_eq!(with(&["--top-k", "1", "--seed", "4"]), likeliest);
        assert_eq!(with(&["--top-p", "0.000001"]), likeliest);
        let hot = ["--top-p", "0.99", "--temperature", "4"];
        assert_eq!(with(&hot), with(&hot), "the same seed gives the same text");
        assert_ne!(with(&hot), with(&[&hot[..], &["--seed", "1"]].concat()));
        // The last whole character of the continuation as what ends the text.
        let new = likeliest.trim_end().strip_prefix("the cat, 日本").unwrap();
        let stop = new.chars().rev().find(|c| !c.is_control()).unwrap().to_string();
        let (front, _) = new.split_once(stop.as_str()).unwrap();
        assert_eq!(with(&["--temperature", "0", "--stop", &stop]), format!("the cat, 日本{front}\n"));
    }
    // The first of the likeliest tokens as the end of a text.
    let config = folder.path("gpt2_text/generation_config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"eos_token_id\": 0", "\"eos_token_id\": [7, 116]")).unwrap();
    let base = ["generate", "gpt2_text", "--prompt", "the cat", "--tokens", "5", "--temperature", "0"];
    assert_eq!(folder.says(&base), "the cat\n");
    assert!(folder.says(&[&base[..], &["--ignore-end"]].concat()).len() > 9);
    let speed = folder.run(&[&base[..], &["--ignore-end", "--speed"]].concat());
    assert!(String::from_utf8_lossy(&speed.stderr).starts_with("4 tokens of prompt in "));
}

#[test]
fn generate_refuses_what_is_no_language_model_in_words() {
    let folder = Folder::new("refused");
    let bert = golden("bert");
    let bert = bert.to_str().unwrap();
    assert!(folder.refused(&["generate", bert], 1).contains("no decoder of the kind `bert` is known"));
    let gpt2 = golden("gpt2");
    assert!(folder.refused(&["generate", gpt2.to_str().unwrap()], 1).contains("there is no tokenizer.json"));
    assert!(folder.refused(&["generate", "."], 1).contains("there is no config.json"));
    folder.copy("llama_text");
    assert!(folder.refused(&["generate", "llama_text", "--top-p", "0"], 2).contains("above 0 and at most 1"));
    std::fs::write(folder.path("noise"), "noise").unwrap();
    let complaint = folder.refused(&["generate", "llama_text", "--tuned", "noise"], 1);
    assert!(complaint.contains("noise: not a valid safetensors file"), "{complaint}");
    assert_eq!(folder.refused(&["generate", "noise", "--tuned", "noise"], 2).lines().count(), 1);
    let shard = folder.path("llama_text/model-00002-of-00003.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() - 9]).unwrap();
    let complaint = folder.refused(&["generate", "llama_text"], 1);
    assert!(complaint.contains("model-00002-of-00003.safetensors: not a valid safetensors file: its arrays take"));
}

const TUNE: [&str; 15] = [
    "train", "gpt", "--text", "text.txt", "--block", "16", "--batch", "4", "--steps", "40", "--lr", "0.01", "--tokens",
    "8", "--from",
];

fn tune<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TUNE[..], more].concat()
}

fn bits(t: &Tensor) -> Vec<u8> {
    t.value().to_bytes()
}

#[test]
fn adapters_learn_are_small_and_merge() {
    let folder = Folder::new("lora");
    std::fs::write(folder.path("text.txt"), "the cat sat on the mat, and the dog ran to the hill.\n".repeat(20))
        .unwrap();
    for name in ["gpt2_text", "llama_text"] {
        folder.copy(name);
        let all = folder.says(&tune(&[name, "--lora", "2", "--out", "tuned.safetensors"]));
        let trained: usize =
            Tuned::load(folder.path("tuned.safetensors")).unwrap().part.values().map(Tensor::size).sum();
        assert!(all.contains(&format!("\n{trained} parameters; ")) && all.contains(" stay as they are; "), "{all}");
        let loss = |text: &str| text.split_once("held-out loss ").unwrap().1[..6].parse::<f64>().unwrap();
        // One step of next to no length: the loss before.
        let short = TUNE.map(|a| {
            if a == "40" {
                "1"
            } else if a == "0.01" {
                "1e-9"
            } else {
                a
            }
        });
        let none = folder.says(&[&short[..], &[name, "--lora", "2", "--out", "x"]].concat());
        assert!(loss(&all) < loss(&none) - 0.3, "{name}: {} after, {} before", loss(&all), loss(&none));

        let prompt = ["--prompt", "the cat", "--temperature", "0", "--tokens", "12"];
        let tuned = folder.says(&[&["generate", name, "--tuned", "tuned.safetensors"], &prompt[..]].concat());
        let merged_to = format!("{name}-merged");
        folder.says(&["export", name, "--merge", "tuned.safetensors", "--format", "huggingface", "--out", &merged_to]);
        assert_eq!(folder.says(&[&["generate", &merged_to], &prompt[..]].concat()), tuned);
        assert_ne!(folder.says(&[&["generate", name], &prompt[..]].concat()), tuned, "something was learned");
        // As PEFT's they do the same.
        let peft = format!("{name}-peft");
        folder.says(&["export", name, "--merge", "tuned.safetensors", "--format", "peft", "--out", &peft]);
        assert_eq!(folder.says(&[&["generate", name, "--tuned", &peft], &prompt[..]].concat()), tuned);
        // In bf16 they learn as well, of a model whose tied weights stay tied.
        let low = folder.says(&tune(&[name, "--lora", "2", "--precision", "bf16", "--out", "low.safetensors"]));
        assert!((loss(&low) - loss(&all)).abs() < 0.2, "{name}: {} in bf16, {} in f32", loss(&low), loss(&all));
        let whole = folder.says(&tune(&[name, "--precision", "bf16", "--out", "low.safetensors"]));
        assert!(loss(&whole) < loss(&none) - 0.3, "{name}: {} after, {} before", loss(&whole), loss(&none));
        // The folder itself is as it was.
        for entry in std::fs::read_dir(golden(name)).unwrap() {
            let entry = entry.unwrap();
            let copy = std::fs::read(folder.path(name).join(entry.file_name())).unwrap();
            assert!(std::fs::read(entry.path()).unwrap() == copy, "{:?}", entry.file_name());
        }
    }
    let open = |name: &str| covector_models::Folder::open(folder.path(name)).unwrap();
    folder.says(&tune(&["gpt2_text", "--lora", "2", "--out", "tuned.safetensors"]));
    let tuned = Tuned::load(folder.path("tuned.safetensors")).unwrap();
    folder.says(&["export", "gpt2_text", "--merge", "tuned.safetensors", "--format", "huggingface", "--out", "again"]);
    let base: Gpt2 = merged(&open("gpt2_text"), None).unwrap();
    let (applied, merged_model): (Gpt2, Gpt2) = (tuned.applied(&base).unwrap(), merged(&open("again"), None).unwrap());
    let tokens = Tensor::from([[1i64, 84, 258, 30, 7]]);
    let [a, b] = [&applied, &merged_model].map(|m| m.forward(&tokens).to_vec::<f32>());
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-6, "merged is applied: {worst}");
    for ((path, before), (_, after)) in base.named().iter().zip(merged_model.named()) {
        let adapted = path.contains("attn.") && path.ends_with("weight");
        assert_eq!(bits(before) != bits(&after), adapted, "{path}");
    }
    let complaint = folder.refused(&["export", "gpt2_text", "--format", "peft", "--out", "none"], 2);
    assert!(complaint.contains("name the model's folder, and the adapters with --merge"), "{complaint}");
    // On top of another model they are refused.
    let complaint = folder.refused(&["generate", "llama_text", "--tuned", "tuned.safetensors"], 1);
    assert!(complaint.contains("this was learned on top of another model"), "{complaint}");
    let _: Llama = merged(&open("llama_text-merged"), None).unwrap();
}

#[test]
fn frozen_weights_keep_their_bits_and_a_tuning_goes_on_to_the_same_bits() {
    let folder = Folder::new("freeze");
    std::fs::write(folder.path("text.txt"), "the cat sat on the mat, and the dog ran to the hill.\n".repeat(20))
        .unwrap();
    folder.copy("gpt2_text");
    let frozen = ["gpt2_text", "--freeze", "w*", "--freeze", "h.0.*"];
    folder.says(&tune(&[&frozen[..], &["--out", "part.safetensors"]].concat()));
    let part = Tuned::load(folder.path("part.safetensors")).unwrap().part;
    assert!(part.keys().all(|path| path.starts_with("h.1.") || path.starts_with("ln_f")), "{:?}", part.keys());
    folder.says(&["export", "gpt2_text", "--merge", "part.safetensors", "--format", "huggingface", "--out", "new"]);
    let open = |name: &str| covector_models::Folder::open(folder.path(name)).unwrap();
    let [before, after]: [Gpt2; 2] = ["gpt2_text", "new"].map(|name| merged(&open(name), None).unwrap());
    for ((path, before), (_, after)) in before.named().iter().zip(after.named()) {
        assert_eq!(bits(before) != bits(&after), part.contains_key(path), "{path}");
    }
    let more = ["--checkpoint", "state", "--checkpoint-interval", "25", "--out", "other.safetensors"];
    folder.says(&tune(&[&frozen[..], &more].concat()));
    std::fs::remove_file(folder.path("other.safetensors")).unwrap();
    folder.says(&["train", "gpt", "--resume", "state"]);
    let [one, other] = ["part.safetensors", "other.safetensors"].map(|name| std::fs::read(folder.path(name)).unwrap());
    assert!(one == other, "the last fifteen steps again give the same file");

    for (more, problem) in [
        (&["--freeze", "x*"][..], "the pattern `x*` fits no weight; some of them are `wte.weight`"),
        (&["--freeze", "*"], "everything is frozen"),
        (&["--layers", "3"], "--layers is the model's own"),
        (&["--dropout", "0.1"], "--dropout is the model's own"),
    ] {
        let complaint = folder.refused(&tune(&[&["gpt2_text"], more].concat()), 2);
        assert!(complaint.contains(problem), "{complaint}");
    }
    assert!(folder.refused(&["train", "gpt", "--lora", "2"], 2).contains("--from <FOLDER>"));
    let long = folder.refused(&["train", "gpt", "--from", "gpt2_text", "--text", "text.txt", "--block", "64"], 2);
    assert!(long.contains("a block of 64 tokens, and the model sees 48 at most"), "{long}");
}

/// `goldens/models/exported` was made by these commands, read by transformers (`goldens/exported.py`), and is made again.
#[test]
fn an_exported_gpt_is_the_folder_that_transformers_read_with_these_logits() {
    let folder = Folder::new("export");
    let model = golden("exported/gpt.safetensors");
    let model = model.to_str().unwrap();
    folder.says(&["export", model, "--format", "huggingface", "--out", "gpt"]);
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let [found, kept] =
            [folder.path("gpt"), golden("exported/folder")].map(|f| std::fs::read(f.join(name)).unwrap());
        assert!(found == kept, "{name} is another");
    }
    let expected = std::fs::read_to_string(golden("exported/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let text = expected["text"].as_str().unwrap();
    let (gpt, _, vocabulary) = Gpt::load(model).unwrap();
    let tokens = vocabulary.encode(text).unwrap();
    let wanted: Vec<i64> = expected["tokens"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
    assert_eq!(tokens, wanted, "its tokenizer gives the numbers of the characters");
    let logits =
        gpt.forward(&Tensor::from_slice(&tokens, [1, tokens.len()]), &covector_nn::Dropout::off()).to_vec::<f32>();
    let wanted = expected["logits"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap());
    let worst = logits.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{worst}");
    let [a, b] = [model, "gpt"]
        .map(|m| folder.says(&["generate", m, "--prompt", "the", "--tokens", "30", "--temperature", "0"]));
    assert_eq!(a, b);
    let unknown = folder.refused(&["generate", "gpt", "--prompt", "Zebra"], 1);
    assert!(unknown.contains("characters that are no tokens of this model"), "{unknown}");
    assert!(
        folder
            .refused(&["export", model, "--format", "huggingface", "--out", "gpt"], 1)
            .contains("it is there already")
    );
}

#[test]
fn exported_files_have_the_arrays_in_the_dtype_that_was_asked_for() {
    let folder = Folder::new("files");
    let model = golden("exported/gpt.safetensors");
    let model = model.to_str().unwrap();
    folder.says(&["export", model, "--format", "npz", "--out", "gpt.npz"]);
    let (arrays, before) =
        (covector_io::load_npz(folder.path("gpt.npz")).unwrap(), covector_io::load_safetensors(model).unwrap());
    assert_eq!(arrays.len(), before.tensors.len());
    assert!(arrays.iter().all(|(name, a)| a.to_bytes() == before.tensors[name].to_bytes()));
    folder.says(&["export", model, "--format", "safetensors", "--dtype", "bf16", "--out", "half.safetensors"]);
    let half = covector_io::load_safetensors(folder.path("half.safetensors")).unwrap();
    assert!(half.tensors.values().all(|a| a.dtype() == covector::DType::BF16));
    assert_eq!(half.metadata, before.metadata);
    // A file of halves is still a model.
    assert!(folder.says(&["generate", "half.safetensors", "--prompt", "the", "--tokens", "5"]).starts_with("the"));
    let complaint = folder.refused(&["export", model, "--format", "npz", "--dtype", "bf16", "--out", "x.npz"], 1);
    assert!(complaint.contains("the npy format has no dtype for bf16"), "{complaint}");
    folder.copy("llama_text");
    folder.says(&["export", "llama_text", "--format", "huggingface", "--dtype", "f16", "--out", "llama"]);
    let weights = covector_io::load_safetensors(folder.path("llama/model.safetensors")).unwrap();
    assert!(weights.tensors.values().all(|a| a.dtype() == covector::DType::F16));
    assert!(std::fs::read_to_string(folder.path("llama/config.json")).unwrap().contains("\"float16\""));
    folder.says(&["generate", "llama", "--prompt", "the cat", "--tokens", "3"]);
    let complaint = folder.refused(&["export", model, "--format", "npz", "--merge", "x", "--out", "y"], 2);
    assert!(complaint.contains("--merge goes with a folder"), "{complaint}");
}
