//! `covector graph`

use std::io::{IsTerminal, Write, stdout};
use std::path::Path;

use covector::Tensor;
use covector_lang::hollow;
use covector_trace::draw::{Look, Options, Picture, diff};

use super::Loaded;
use crate::Failure;
use crate::args::{Format, Graph, Source};

/// The width of a drawing where there is no terminal.
const WIDTH: usize = 100;

pub fn run(options: &Graph) -> Result<(), Failure> {
    let mut picture = picture(&options.source.load(options.seed)?, options)?;
    if let Some(other) = &options.diff {
        let other = Source { program: other.clone(), values: options.source.values.clone() };
        let after = self::picture(&other.load(options.seed)?, options)?;
        picture = diff(&picture, &after);
    }
    let format = options.format.or_else(|| options.out.as_deref().and_then(by_ending)).unwrap_or(Format::Terminal);
    let title = options.source.program.as_str();
    let text = match format {
        Format::Terminal => {
            let here = options.out.is_none() && stdout().is_terminal();
            let width = if here { terminal_width() } else { WIDTH };
            let colour = here && std::env::var_os("NO_COLOR").is_none();
            picture.terminal(Look { width, colour, ascii: options.ascii })
        }
        Format::Mermaid => picture.mermaid(),
        Format::Dot => picture.dot(),
        Format::Svg => picture.svg(),
        Format::Html => picture.html(title),
    };
    match &options.out {
        Some(path) => {
            covector_io::write_atomically(path, text.as_bytes()).map_err(|e| Failure::Outside(e.to_string()))?;
            eprintln!("wrote {}: {} ops", path.display(), picture.ops());
        }
        None => write!(stdout().lock(), "{text}")?,
    }
    Ok(())
}

fn by_ending(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "mmd" | "mermaid" => Some(Format::Mermaid),
        "dot" | "gv" => Some(Format::Dot),
        "svg" => Some(Format::Svg),
        "html" | "htm" => Some(Format::Html),
        _ => None,
    }
}

fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(WIDTH)
}

/// The picture of a program: with numbers if all sizes have one and they are asked for or few, else with symbols.
fn picture(loaded: &Loaded, options: &Graph) -> Result<Picture, Failure> {
    let program = &loaded.program;
    let checked = program.check(&loaded.inputs.numbers)?;
    let values = options.numbers || loaded.expression;
    let leaf = |leaf: &covector_lang::eval::Leaf| -> Result<Tensor, String> {
        let tensor = if values { loaded.inputs.leaf(leaf)? } else { hollow(leaf) };
        Ok(if leaf.spec.dtype.is_float() && !options.forward { tensor.requires_grad() } else { tensor })
    };
    let record = match values {
        true => {
            let shape =
                |name: &str| loaded.inputs.tensors.get(name).filter(|t| t.ndim() > 0).map(|t| t.shape().clone());
            program.run_shaped(&loaded.inputs.numbers, &shape, &mut |l| leaf(l))?
        }
        false => {
            let sizes = &checked.concrete.as_ref().unwrap_or(&checked.records[0]).settings;
            program.run(sizes, &mut |l| leaf(l))?
        }
    };
    let output = record.output().ok_or_else(|| Failure::Outside("the program ends without a tensor".into()))?;
    let mut notes = program.notes(&record);
    if checked.concrete.is_none() || !values {
        checked.note_shapes(&record, &mut notes);
    }
    if checked.concrete.is_none() && !values {
        notes.symbols_only();
    }
    let gradients = !options.forward && output.ndim() == 0 && output.dtype().is_float();
    let drawn = Options { gradients, values, ops: !options.primitives, depth: options.depth, ..Options::default() };
    Ok(Picture::of(&output, &notes, &drawn)?)
}
