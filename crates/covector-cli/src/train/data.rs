//! The text as tokens.

use std::path::Path;

use covector::Tensor;
use covector_nn::Vocabulary;

use crate::{Failure, args, corpus};

pub struct Data {
    pub vocabulary: Vocabulary,
    pub learned: Tensor,
    pub held_out: Tensor,
    /// Tells one text from another.
    pub fingerprint: String,
}

impl Data {
    pub fn read(options: &args::Train) -> Result<Data, Failure> {
        let (name, text) = match &options.text {
            Some(path) => (path.display().to_string(), read_text(path)?),
            None => ("the embedded text".to_owned(), corpus::embedded()),
        };
        let vocabulary = Vocabulary::of(&text);
        let tokens = vocabulary.encode(&text)?;
        let learned = tokens.len() - tokens.len() / 10;
        if tokens.len() - learned <= options.block {
            return Err(Failure::Outside(format!(
                "{name} is too short: a tenth of its {} characters is held out, which must be more than --block {}",
                tokens.len(),
                options.block
            )));
        }
        let (learned, held_out) = tokens.split_at(learned);
        Ok(Data {
            vocabulary,
            learned: Tensor::from(learned.to_vec()),
            held_out: Tensor::from(held_out.to_vec()),
            fingerprint: fingerprint(text.as_bytes()),
        })
    }
}

/// The length and the FNV-1a hash of some bytes.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    format!("{} bytes, {hash:016x}", bytes.len())
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: {problem}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot read: {e}")))?;
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    String::from_utf8(bytes)
        .map_err(|e| fail(format!("not UTF-8 text: byte {} begins no character", e.utf8_error().valid_up_to())))
}
