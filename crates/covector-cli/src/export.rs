//! `covector export`: models as other libraries read them.

use std::path::Path;

use covector::{Array, DType, Tensor};
use covector_io::{save_npz, save_safetensors};
use covector_models::export::{arrays, merged, save_folder, save_gpt};
use covector_models::{Causal, Folder, Gpt2, Kind, Llama, Tuned, peft};
use covector_nn::file;
use covector_train::Codec;

use crate::Failure;
use crate::args::{self, Export, ExportFormat};

/// What is missing where there are no adapters.
const PEFT: &str = "--format peft writes adapters: name the model's folder, and the adapters with --merge";

/// Runs the command.
pub fn run(options: &Export) -> Result<(), Failure> {
    match options.model.is_dir() {
        true => {
            let folder = Folder::open(&options.model)?;
            match Kind::of(&folder)? {
                Kind::Gpt2 => of_folder::<Gpt2>(options, &folder)?,
                Kind::Llama => of_folder::<Llama>(options, &folder)?,
            }
        }
        false => of_file(options)?,
    }
    eprintln!("wrote {}", options.out.display());
    Ok(())
}

fn of_folder<M: Causal>(options: &Export, folder: &Folder) -> Result<(), Failure> {
    let tuned = options.merge.as_deref().map(Tuned::load).transpose()?;
    let dtype = options.dtype.map(args::FloatType::dtype);
    match options.format {
        ExportFormat::Huggingface => Ok(save_folder::<M>(&options.out, folder, tuned.as_ref(), dtype)?),
        ExportFormat::Peft => match &tuned {
            Some(tuned) => Ok(peft::save::<M>(&options.out, tuned)?),
            None => Err(Failure::Usage(PEFT.into())),
        },
        format => {
            let model = merged::<M>(folder, tuned.as_ref())?;
            save(&options.out, format, &arrays(&model, M::PREFIX, dtype)?, &Default::default())
        }
    }
}

/// A model of `covector train gpt`, or, but for Hugging Face's layout, any arrays.
fn of_file(options: &Export) -> Result<(), Failure> {
    if options.merge.is_some() {
        return Err(Failure::Usage("--merge goes with a folder, on top of whose model it was trained".into()));
    }
    if options.format == ExportFormat::Peft {
        return Err(Failure::Usage(PEFT.into()));
    }
    let dtype = options.dtype.map(args::FloatType::dtype);
    if options.format == ExportFormat::Huggingface {
        let (gpt, config, codec) = Codec::load(&options.model)?;
        let Codec::Characters(vocabulary) = codec else {
            let (file, unit) = (options.model.display(), codec.unit());
            return Err(Failure::Outside(format!(
                "{file}: a model of {unit}; only one of characters has this layout so far"
            )));
        };
        return Ok(save_gpt(&options.out, &gpt, &config, &vocabulary, dtype)?);
    }
    let contents = file::load(&options.model)?;
    let cast = |t: &Tensor| match dtype {
        Some(dtype) if t.dtype().is_float() => t.cast(dtype),
        _ => t.clone(),
    };
    let named = contents.tensors.iter().map(|(name, t)| Ok((name.clone(), cast(t).try_value()?)));
    let named: Vec<(String, Array)> = named.collect::<covector::Result<_>>()?;
    save(&options.out, options.format, &named, &contents.metadata)
}

fn save(
    to: &Path,
    format: ExportFormat,
    named: &[(String, Array)],
    metadata: &std::collections::BTreeMap<String, String>,
) -> Result<(), Failure> {
    let written = match format {
        ExportFormat::Npz => save_npz(to, named),
        _ => save_safetensors(to, named, metadata),
    };
    written.map_err(|e| Failure::Outside(e.to_string()))
}

impl args::FloatType {
    /// As the library calls it.
    pub fn dtype(self) -> DType {
        match self {
            args::FloatType::F32 => DType::F32,
            args::FloatType::F16 => DType::F16,
            args::FloatType::Bf16 => DType::BF16,
        }
    }
}
