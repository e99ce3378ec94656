//! Low-rank adapters as Hugging Face's PEFT keeps them: a folder with `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{Error, Result, Tensor};
use covector_io::{load_safetensors, save_safetensors, write_atomically};
use covector_nn::lora::Lora;
use covector_nn::parts::Part;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::export::{plain, pretty, whole};
use crate::{Causal, Tuned};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What stands before all names.
const FRONT: &str = "base_model.model.";
/// What stands before the names of GPT-2, whose matrices lie the other way round.
const TURNED: &str = "transformer.";

/// What is read of the configuration.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    /// What must not be there, because it is not known here.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Reads adapters. They do not say on top of which model they were learned.
///
/// # Errors
/// If files are missing or malformed, or these are adapters of a kind that is not known.
pub(crate) fn load(folder: &Path) -> Result<Tuned> {
    let path = folder.join(CONFIG);
    let wrong = |problem: String| Error::new(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|e| {
        wrong(format!("cannot read: {e}")).hint("a folder of adapters is what `save_pretrained` of PEFT writes")
    })?;
    let config: Config = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if config.peft_type != "LORA" {
        let problem = format!("adapters of the kind `{}` are not known", config.peft_type.escape_debug());
        return Err(wrong(problem).hint("known is `LORA`"));
    }
    for name in
        ["use_dora", "use_qalora", "use_bdlora", "lora_bias", "rank_pattern", "alpha_pattern", "modules_to_save"]
    {
        let set = match config.rest.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Array(all)) => !all.is_empty(),
            Some(_) => true,
        };
        if set {
            return Err(wrong(format!("it sets `{name}`, which is not known here")));
        }
    }
    if config.rest.get("bias").and_then(Value::as_str).is_some_and(|bias| bias != "none") {
        return Err(wrong("its biases are trained, too, which is not known here".into()));
    }
    if config.r == 0 || !config.lora_alpha.is_finite() {
        return Err(wrong("`r` must be at least 1, and `lora_alpha` a number".into()));
    }
    let file = folder.join(WEIGHTS);
    let odd = |problem: String| Error::new(format!("{}: {problem}", file.display()));
    let mut part = Part::new();
    for (name, array) in load_safetensors(&file).map_err(plain)?.tensors {
        let t = Tensor::from_array(array);
        let known = name.strip_prefix(FRONT).filter(|n| halves(n).is_some() && t.ndim() == 2);
        let Some(path) = known else { return Err(odd(format!("`{name}` is no half of an adapter"))) };
        let [rows, columns] = [0, 1].map(|axis| t.shape()[axis]);
        let rank = if halves(path).is_some_and(|(_, second)| second) { columns } else { rows };
        if rank != config.r {
            return Err(odd(format!("`{name}` is {}, and adapters have the rank {}", t.spec(), config.r)));
        }
        match path.strip_prefix(TURNED) {
            Some(path) => part.insert(turned(path), t.t()),
            None => part.insert(path.to_owned(), t),
        };
    }
    // Scaled by alpha / rank, or by alpha / √rank.
    let alpha = if config.use_rslora { config.lora_alpha * (config.r as f64).sqrt() } else { config.lora_alpha };
    Ok(Tuned { part, lora: Some(Lora { rank: config.r, alpha }), base: String::new() })
}

/// Writes adapters of a model of this kind as a new folder.
///
/// # Errors
/// If they are weights and no adapters; if the folder is there and not empty, or cannot be written: nothing is left behind then.
pub fn save<M: Causal>(to: &Path, tuned: &Tuned) -> Result<()> {
    let Some(Lora { rank, alpha }) = tuned.lora else {
        let error = Error::new("what was learned are weights, not adapters: PEFT has no place for them");
        return Err(error.hint("train with `--lora RANK`, or export a whole model with `--format huggingface`"));
    };
    let fan_in_fan_out = M::PREFIX == TURNED;
    let mut arrays = Vec::new();
    let mut modules: Vec<String> = Vec::new();
    for (path, t) in &tuned.part {
        let (path, t) = if fan_in_fan_out { (turned(path), t.t()) } else { (path.clone(), t.clone()) };
        let name = format!("{}{path}", M::PREFIX);
        if let Some((module, _)) = halves(&name) {
            modules.push(module.to_owned());
        }
        arrays.push((format!("{FRONT}{name}"), t.try_value()?));
    }
    modules.sort();
    modules.dedup();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": null,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": fan_in_fan_out,
        "target_modules": modules,
    });
    whole(to, |folder| {
        write_atomically(folder.join(CONFIG), &pretty(&config)).map_err(plain)?;
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        save_safetensors(folder.join(WEIGHTS), &arrays, &metadata).map_err(plain)
    })
}

/// The module of half an adapter, and whether it is the second.
fn halves(path: &str) -> Option<(&str, bool)> {
    let first = path.strip_suffix(".lora_A.weight").map(|module| (module, false));
    first.or_else(|| path.strip_suffix(".lora_B.weight").map(|module| (module, true)))
}

/// The name of the other half: a matrix that lies the other way round is `(B A)ᵀ = Aᵀ Bᵀ`.
fn turned(path: &str) -> String {
    match halves(path) {
        Some((module, false)) => format!("{module}.lora_B.weight"),
        Some((module, true)) => format!("{module}.lora_A.weight"),
        None => path.to_owned(),
    }
}
