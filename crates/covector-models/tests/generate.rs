//! Texts continued as Hugging Face's `generate` continues them (`goldens/generate.py`), token by token.

use std::path::PathBuf;

use covector::{Key, Tensor};
use covector_models::{CausalModel, Folder, LanguageModel};
use covector_nn::Decoder;
use covector_nn::sample::{Flow, Sampling, candidates, continued};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("{}/../../goldens/{name}", env!("CARGO_MANIFEST_DIR")))
}

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path("generate.json")).unwrap()).unwrap()
}

fn model(name: &str) -> LanguageModel {
    LanguageModel::load(path("models").join(name), None).unwrap()
}

fn tokens(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect()
}

fn drawn(model: &impl Decoder, prompt: &[i64], count: usize, sampling: Sampling) -> Vec<i64> {
    let mut new = Vec::new();
    continued(model, prompt, count, sampling, &Key::new(0), |token| {
        new.push(token);
        Ok(Flow::On)
    })
    .unwrap();
    new
}

#[test]
fn prompts_and_their_likeliest_continuations_are_those_of_transformers() {
    let golden = golden();
    for name in ["gpt2_text", "llama_text"] {
        let model = model(name);
        for case in golden[name].as_array().unwrap() {
            let prompt = model.coder.encode(case["prompt"].as_str().unwrap()).unwrap();
            assert_eq!(prompt, tokens(&case["ids"]), "{name}: {}", case["prompt"]);
            let wanted = tokens(&case["new"]);
            let sampling = Sampling { repetition_penalty: case["penalty"].as_f64().unwrap(), ..Sampling::greedy() };
            assert_eq!(drawn(&model.model, &prompt, wanted.len(), sampling), wanted, "{name}: {}", case["prompt"]);
        }
    }
}

#[test]
fn probabilities_after_temperature_penalty_and_cuts_are_those_of_transformers() {
    let golden = &golden()["sampling"];
    let logits: Vec<f32> = golden["logits"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
    let (logits, seen) = (Tensor::from(logits), tokens(&golden["seen"]));
    for case in golden["cases"].as_array().unwrap() {
        let sampling = Sampling {
            repetition_penalty: case["penalty"].as_f64().unwrap(),
            temperature: case["temperature"].as_f64().unwrap(),
            top_k: case["top_k"].as_u64().map(|k| k as usize),
            top_p: case["top_p"].as_f64(),
        };
        let (left, ids) = candidates(&logits, &seen, sampling).unwrap();
        let mut found = vec![0.0; logits.size()];
        for (&token, p) in ids.unwrap().to_vec::<i64>().iter().zip(left.softmax(0).to_vec::<f32>()) {
            found[token as usize] = f64::from(p);
        }
        for (token, wanted) in case["probabilities"].as_array().unwrap().iter().enumerate() {
            let wanted = wanted.as_f64().unwrap();
            assert!((found[token] - wanted).abs() < 2e-6, "{token}: {} against {wanted} in {case}", found[token]);
            assert_eq!(found[token] == 0.0, wanted == 0.0, "{token} in {case}");
        }
    }
}

#[test]
fn with_a_cache_and_without_one_the_logits_have_the_same_bits() {
    for name in ["gpt2_text", "llama_text"] {
        let model = model(name);
        let all: Vec<i64> = (0..30).map(|i| (i * 37 + 11) % 250).collect();
        let whole = |n: usize| match &model.model {
            CausalModel::Gpt2(m) => m.forward(&Tensor::from_slice(&all[..n], [1, n])),
            CausalModel::Llama(m) => m.forward(&Tensor::from_slice(&all[..n], [1, n])),
        };
        for pieces in [vec![1; 30], vec![7, 1, 1, 12, 9]] {
            let mut cache = model.model.cache(1, 40);
            for piece in pieces {
                let from = cache.len();
                let new = Tensor::from_slice(&all[from..from + piece], [1, piece]);
                let found = model.model.decode(&new, &mut cache).unwrap();
                let wanted = whole(from + piece).i((0, -1)).to_vec::<f32>();
                assert_eq!(found.to_vec::<f32>(), wanted, "{name}: {from} + {piece}");
            }
        }
    }
}

#[test]
fn several_sequences_are_decoded_side_by_side() {
    for name in ["gpt2_text", "llama_text"] {
        let model = model(name).model;
        let alone = |row: [i64; 2]| {
            let mut cache = model.cache(1, 8);
            model.decode(&Tensor::from([row]), &mut cache).unwrap().to_vec::<f32>()
        };
        let mut cache = model.cache(2, 8);
        let both = model.decode(&Tensor::from([[5, 6], [200, 3]]), &mut cache).unwrap();
        let found = both.to_vec::<f32>();
        let (first, second) = found.split_at(model.vocabulary());
        for (found, wanted) in [(first, alone([5, 6])), (second, alone([200, 3]))] {
            let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{name}: {worst}");
        }
        assert!(model.decode(&Tensor::from([[999], [1]]), &mut cache).unwrap_err().to_string().contains("999"));
    }
}

#[test]
fn text_comes_in_whole_characters_whatever_the_tokens() {
    let text = "the cat: Grüße, 日本語 🦀🏳️‍🌈 — fin";
    for name in ["gpt2_text", "llama_text"] {
        let model = model(name);
        let all = model.coder.encode(text).unwrap();
        let start = model.coder.encode("the").unwrap().len();
        let mut stream = model.coder.text_after(&all[..start]);
        let (mut pieces, mut empty) = (String::new(), 0);
        for &token in &all[start..] {
            let piece = stream.push(token).unwrap();
            assert!(!piece.contains('\u{fffd}'), "{name}: {piece:?}");
            empty += usize::from(piece.is_empty());
            pieces += &piece;
        }
        assert!(empty >= 15, "{name}: bytes wait for their character");
        let begun = text.strip_suffix(&pieces).unwrap_or_else(|| panic!("{name}: {pieces:?}"));
        assert!(begun.starts_with("the") && begun.len() <= 7, "{name}: {begun:?}");
        assert_eq!(stream.rest().unwrap(), "");
        // A character that is never finished is told at the end.
        let crab = model.coder.encode("x🦀").unwrap();
        let mut stream = model.coder.text_after(&all[..start]);
        let shown: String = crab[crab.len() - 4..crab.len() - 1].iter().map(|&t| stream.push(t).unwrap()).collect();
        assert_eq!(shown, "");
        assert!(stream.rest().unwrap().contains('\u{fffd}'));
    }
}

/// A copy of a golden folder, in which files may be changed; removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str, what: &str) -> Copy {
        let to = std::env::temp_dir().join(format!("covector-models-{}-{what}", std::process::id()));
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(path("models").join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        Copy(to)
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.0.join(file)).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(self.0.join(file), text.replace(from, to)).unwrap();
    }

    #[track_caller]
    fn refused(&self) -> String {
        LanguageModel::load(&self.0, None).err().expect("the folder is refused").to_string()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_that_are_not_as_they_should_be_are_refused_in_words() {
    for (name, from, to, problem) in [
        ("gpt2_text", "\"n_head\": 3", "\"n_head\": 0", "n_embd 12 does not divide into n_head 0"),
        ("gpt2_text", "\"n_head\": 3", "\"n_head\": 5", "n_embd 12 does not divide into n_head 5"),
        ("gpt2_text", "\"n_embd\": 12", "\"n_embd\": 1099511627776", "does not divide"),
        (
            "gpt2_text",
            "\"n_embd\": 12",
            "\"n_embd\": 3298534883328",
            "config.json says [270, 3298534883328] for `wte.weight`",
        ),
        (
            "gpt2_text",
            "\"n_layer\": 2",
            "\"n_layer\": 99999999999",
            "config.json says 99999999999 layers, and there are",
        ),
        ("gpt2_text", "\"n_layer\": 2", "\"n_layer\": 3", "missing:\n    h.2.ln_1.weight f32[12]"),
        ("gpt2_text", "\"n_layer\": 2", "\"n_layer\": 1", "without a place:\n    h.1.attn.c_attn.bias"),
        ("gpt2_text", "\"n_layer\": 2", "\"n_layer\": -2", "config.json: invalid value: integer `-2`"),
        (
            "gpt2_text",
            "\"model_type\": \"gpt2\"",
            "\"model_type\": \"mamba\"",
            "no decoder of the kind `mamba` is known",
        ),
        ("gpt2_text", "gelu_new", "swish", "the activation `swish` is not known"),
        (
            "llama_text",
            "\"num_key_value_heads\": 2",
            "\"num_key_value_heads\": 3",
            "does not divide into num_key_value_heads 3",
        ),
        ("llama_text", "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", "kind `yarn` are not known"),
        (
            "llama_text",
            "\"rope_type\": \"default\"",
            "\"rope_type\": \"linear\"",
            "rotary positions of this kind need a `factor`",
        ),
        (
            "llama_text",
            "\"rope_type\": \"default\"",
            "\"rope_type\": \"linear\", \"factor\": -2",
            "the `factor` of rotary positions is -2",
        ),
        (
            "llama_text",
            "\"rope_type\": \"default\"",
            "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4",
            "the `low_freq_factor` of rotary positions is not below their `high_freq_factor`",
        ),
        ("llama_text", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu\"", "the activation `relu` is not known"),
    ] {
        let folder = Copy::of(name, "config");
        folder.change("config.json", from, to);
        let text = folder.refused();
        assert!(text.contains(problem), "{to}: {text}");
    }
    let folder = Copy::of("llama_text", "shard");
    std::fs::remove_file(folder.0.join("model-00002-of-00003.safetensors")).unwrap();
    assert!(folder.refused().contains("these files are not there: `model-00002-of-00003.safetensors`"));
    let folder = Copy::of("gpt2_text", "none");
    std::fs::remove_file(folder.0.join("model.safetensors")).unwrap();
    assert!(folder.refused().contains("there is no model.safetensors"));
    std::fs::remove_file(folder.0.join("tokenizer.json")).unwrap();
    assert!(folder.refused().contains("tokenizer.json"));
    assert!(Folder::open("nowhere").unwrap_err().to_string().contains("there is no config.json"));
}
