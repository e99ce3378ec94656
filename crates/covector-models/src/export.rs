//! Models as other libraries read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use covector::{DType, Error, Result, Tensor, Tree};
use covector_io::{save_safetensors, write_atomically};
use covector_nn::{Embedding, Gpt, GptConfig, LayerNorm, Linear, Vocabulary};
use serde_json::{Value, json};

use crate::gpt2::{Attention, Block, FeedForward, Gelu, Gpt2, Map};
use crate::{Causal, Folder, Tuned};

/// Files of a folder besides the weights, which go with a model wherever it goes.
const BESIDES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
    "chat_template.jinja",
];

/// A GPT as GPT-2: the same function, with maps turned around, and biases of zeros where it has none.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_models::export::as_gpt2;
/// use covector_nn::{Dropout, Gpt, GptConfig};
/// let config = GptConfig { vocabulary: 5, block: 8, layers: 2, heads: 2, width: 4, bias: false };
/// let (gpt, tokens) = (Gpt::new(&Key::new(0), &config), Tensor::from([[0, 3, 1]]));
/// let [a, b] = [gpt.forward(&tokens, &Dropout::off()), as_gpt2(&gpt).forward(&tokens)].map(|y| y.to_vec::<f32>());
/// assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6));
/// ```
pub fn as_gpt2(gpt: &Gpt) -> Gpt2 {
    let zeros = |size: usize, like: &Tensor| Tensor::from(vec![0.0f32; size]).cast(like.dtype());
    let norm = |n: &LayerNorm| {
        let bias = n.bias.clone().unwrap_or_else(|| zeros(n.weight.size(), &n.weight));
        LayerNorm { weight: n.weight.clone(), bias: Some(bias), eps: n.eps }
    };
    let map = |l: &Linear| {
        let bias = l.bias.clone().unwrap_or_else(|| zeros(l.weight.shape()[0], &l.weight));
        Map { weight: l.weight.t(), bias }
    };
    let block = |b: &covector_nn::Block| Block {
        ln_1: norm(&b.ln_1),
        attn: Attention { c_attn: map(&b.attn.c_attn), c_proj: map(&b.attn.c_proj) },
        ln_2: norm(&b.ln_2),
        mlp: FeedForward { c_fc: map(&b.mlp.c_fc), c_proj: map(&b.mlp.c_proj) },
    };
    let table = |e: &Embedding| Embedding { weight: e.weight.clone() };
    Gpt2 {
        wte: table(&gpt.wte),
        wpe: table(&gpt.wpe),
        h: gpt.h.iter().map(block).collect(),
        ln_f: norm(&gpt.ln_f),
        heads: gpt.h.first().map_or(1, |b| b.attn.heads),
        activation: Gelu::Exact,
    }
}

/// Writes a GPT over characters as a folder of Hugging Face's GPT-2, with a tokenizer of its characters.
///
/// # Errors
/// If the folder is there and not empty, or cannot be written; nothing is left behind then.
pub fn save_gpt(to: &Path, gpt: &Gpt, config: &GptConfig, vocabulary: &Vocabulary, dtype: Option<DType>) -> Result<()> {
    let model = as_gpt2(gpt);
    let settings = json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocabulary,
        "n_positions": config.block,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "layer_norm_epsilon": gpt.ln_f.eps,
        "activation_function": "gelu",
        "tie_word_embeddings": true,
        "bos_token_id": null,
        "eos_token_id": null,
        "dtype": spelled(dtype.unwrap_or(gpt.wte.weight.dtype())),
    });
    let class = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.block });
    let files = [
        ("config.json", pretty(&settings)),
        ("tokenizer.json", pretty(&characters(vocabulary))),
        ("tokenizer_config.json", pretty(&class)),
    ];
    whole(to, |folder| {
        for (name, text) in &files {
            write_atomically(folder.join(name), text).map_err(plain)?;
        }
        save_weights(folder, &model, dtype)
    })
}

/// Writes a folder's model again, with what was learned on top of it: its files, and all weights in one.
///
/// # Errors
/// If the model cannot be read or does not fit, or as [`save_gpt`].
pub fn save_folder<M: Causal>(to: &Path, from: &Folder, tuned: Option<&Tuned>, dtype: Option<DType>) -> Result<()> {
    let model = merged::<M>(from, tuned)?;
    let mut config: Value = from.json("config.json")?;
    if let Some(dtype) = dtype {
        for key in ["dtype", "torch_dtype"] {
            if let Some(value) = config.get_mut(key) {
                *value = spelled(dtype).into();
            }
        }
    }
    whole(to, |folder| {
        write_atomically(folder.join("config.json"), &pretty(&config)).map_err(plain)?;
        for name in BESIDES.iter().filter(|name| from.path(name).is_file()) {
            let fail = |e: std::io::Error| Error::new(format!("{}: cannot copy: {e}", from.path(name).display()));
            std::fs::copy(from.path(name), folder.join(name)).map_err(fail)?;
        }
        save_weights(folder, &model, dtype)
    })
}

/// A folder's model with what was learned on top of it.
///
/// # Errors
/// If it cannot be read, or does not fit.
pub fn merged<M: Causal>(from: &Folder, tuned: Option<&Tuned>) -> Result<M> {
    let model = M::read(from)?;
    match tuned {
        Some(tuned) => tuned.applied(&model),
        None => Ok(model),
    }
}

/// The leaves of a model with these words before their paths, floats in another dtype if one is given.
///
/// # Errors
/// If values cannot be computed.
pub fn arrays<M: Tree>(model: &M, prefix: &str, dtype: Option<DType>) -> Result<Vec<(String, covector::Array)>> {
    let cast = |t: &Tensor| match dtype {
        Some(dtype) if t.dtype().is_float() => t.cast(dtype),
        _ => t.clone(),
    };
    model.named().iter().map(|(path, t)| Ok((format!("{prefix}{path}"), cast(t).try_value()?))).collect()
}

fn save_weights<M: Causal>(folder: &Path, model: &M, dtype: Option<DType>) -> Result<()> {
    // Hugging Face's library reads no file that does not say so.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    save_safetensors(folder.join("model.safetensors"), &arrays(model, M::PREFIX, dtype)?, &metadata).map_err(plain)
}

/// A tokenizer whose tokens are these characters; it refuses others.
fn characters(vocabulary: &Vocabulary) -> Value {
    let numbers: serde_json::Map<String, Value> =
        vocabulary.characters().chars().enumerate().map(|(i, c)| (c.to_string(), i.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split", "pattern": { "Regex": "[\\s\\S]" }, "behavior": "Isolated", "invert": false
        },
        "post_processor": null,
        "decoder": { "type": "Fuse" },
        "model": { "type": "WordLevel", "vocab": numbers, "unk_token": "" },
    })
}

/// Fills a new folder, which appears under its name when it is complete.
pub(crate) fn whole(to: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    /// A folder that goes unless it was renamed.
    struct Temporary(PathBuf);
    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
    let fail = |e: std::io::Error| Error::new(format!("{}: cannot write the folder: {e}", to.display()));
    let empty = std::fs::read_dir(to).map(|mut entries| entries.next().is_none());
    if to.exists() && !empty.unwrap_or(false) {
        return Err(Error::new(format!("{}: it is there already", to.display())).hint("name a new folder"));
    }
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = Temporary(parent.join(format!(".covector-export-{}", std::process::id())));
    std::fs::create_dir(&temporary.0).map_err(fail)?;
    fill(&temporary.0)?;
    std::fs::rename(&temporary.0, to).map_err(fail)
}

/// A dtype as PyTorch spells it.
fn spelled(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::F64 => "float64",
        _ => "float32",
    }
}

pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

pub(crate) fn plain(e: covector_io::Error) -> Error {
    Error::new(e.to_string())
}
