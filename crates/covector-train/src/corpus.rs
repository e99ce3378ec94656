//! Long texts as tokens, read piece by piece: memory does not grow with the text.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use covector::{DType, Tensor};
use covector_io::NpyPieces;
use covector_nn::Vocabulary;

use crate::codec::{Codec, Cut};
use crate::fingerprint::Fingerprint;
use crate::{Error, Result};

/// Bytes that are read at once when a text is gone through.
const CHUNK: usize = 1 << 20;
/// Characters from one mark to the next.
const STRIDE: usize = 1 << 12;

/// Bytes in memory or in a file.
enum Bytes {
    Memory(Vec<u8>),
    File { path: PathBuf, file: Mutex<File>, len: u64 },
}

impl Bytes {
    fn open(path: &Path) -> Result<Bytes> {
        let fail = |e: std::io::Error| Error::outside(format!("{}: cannot read: {e}", path.display()));
        let metadata = std::fs::metadata(path).map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::outside(format!("{}: cannot read: it is no regular file", path.display())));
        }
        if metadata.len() == 0 {
            return Err(Error::outside(format!("{}: the file is empty", path.display())));
        }
        let file = File::open(path).map_err(fail)?;
        Ok(Bytes::File { path: path.to_owned(), file: Mutex::new(file), len: metadata.len() })
    }

    fn len(&self) -> u64 {
        match self {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::File { len, .. } => *len,
        }
    }

    /// Up to `count` bytes from `at` on; fewer at the end.
    fn read(&self, at: u64, count: usize) -> Result<Vec<u8>> {
        let count = (count as u64).min(self.len().saturating_sub(at)) as usize;
        match self {
            Bytes::Memory(bytes) => Ok(bytes[at as usize..][..count].to_vec()),
            Bytes::File { path, file, .. } => {
                let mut bytes = vec![0; count];
                // A thread that panicked while it read has done no harm to the file.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
                let changed = |e: std::io::Error| {
                    let why = match e.kind() {
                        std::io::ErrorKind::UnexpectedEof => "the file got shorter while it was learned".to_owned(),
                        _ => e.to_string(),
                    };
                    Error::outside(format!("{}: cannot read: {why}", path.display()))
                };
                read.map(|()| bytes).map_err(changed)
            }
        }
    }
}

enum Source {
    /// Characters; where every [`STRIDE`]-th begins.
    Characters {
        bytes: Bytes,
        marks: Vec<u64>,
    },
    Bytes(Bytes),
    /// Little-endian numbers of so many bytes.
    Words {
        bytes: Bytes,
        width: usize,
    },
    Npy(NpyPieces),
    /// Tokens of a tokenizer.
    Held(Vec<u32>),
}

/// A text as tokens.
pub(crate) struct Corpus {
    source: Source,
    /// The number of tokens.
    pub len: usize,
    /// What they stand for.
    pub codec: Codec,
    /// Tells one text from another.
    pub fingerprint: String,
}

impl Corpus {
    /// A text in memory, its characters.
    pub fn of(text: &str) -> Result<Corpus> {
        Corpus::characters("the text", Bytes::Memory(text.as_bytes().to_vec()))
    }

    /// A file: of numbers if it ends in `.npy`, `.u16`, `.bin` or `.u32`, else of text.
    pub fn open(path: &Path, cut: &Cut) -> Result<Corpus> {
        let name = path.display().to_string();
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Corpus::npy(&name, path, cut),
            Some("u16" | "bin") => Corpus::words(&name, path, 2, cut),
            Some("u32") => Corpus::words(&name, path, 4, cut),
            _ => match cut {
                Cut::Characters => Corpus::characters(&name, Bytes::open(path)?),
                Cut::Bytes => Corpus::bytes(Bytes::open(path)?),
                Cut::Tokenizer(tokenizer) => Corpus::tokenized(&name, &Bytes::open(path)?, Codec::open(tokenizer)?),
            },
        }
    }

    fn characters(name: &str, bytes: Bytes) -> Result<Corpus> {
        let mut seen = vec![false; 0x11_0000];
        let (mut marks, mut count) = (Vec::new(), 0);
        let fingerprint = texts(name, &bytes, |at, text| {
            for (i, c) in text.char_indices() {
                if count % STRIDE == 0 {
                    marks.push(at + i as u64);
                }
                seen[c as usize] = true;
                count += 1;
            }
            Ok(())
        })?;
        let known = seen.iter().enumerate().filter(|(_, seen)| **seen);
        let characters: String = known.filter_map(|(c, _)| char::from_u32(c as u32)).collect();
        let codec = Codec::Characters(Vocabulary::of(&characters));
        Ok(Corpus { source: Source::Characters { bytes, marks }, len: count, codec, fingerprint })
    }

    fn bytes(bytes: Bytes) -> Result<Corpus> {
        let mut hash = Fingerprint::new();
        chunks(&bytes, |chunk| hash.add(chunk))?;
        let (len, fingerprint) = (bytes.len() as usize, hash.said());
        Ok(Corpus { source: Source::Bytes(bytes), len, codec: Codec::Bytes, fingerprint })
    }

    fn words(name: &str, path: &Path, width: usize, cut: &Cut) -> Result<Corpus> {
        let bytes = Bytes::open(path)?;
        if bytes.len() % width as u64 != 0 {
            let problem = format!("{name}: its {} bytes are no whole number of tokens of {width} bytes", bytes.len());
            return Err(Error::Outside(problem));
        }
        let (mut hash, mut most) = (Fingerprint::new(), 0);
        chunks(&bytes, |chunk| {
            hash.add(chunk);
            most = words(chunk, width).fold(most, i64::max);
        })?;
        let len = bytes.len() as usize / width;
        let codec = meaning(name, most, cut)?;
        Ok(Corpus { source: Source::Words { bytes, width }, len, codec, fingerprint: hash.said() })
    }

    fn npy(name: &str, path: &Path, cut: &Cut) -> Result<Corpus> {
        let pieces = NpyPieces::open(path)?;
        if pieces.dtype().is_float() || pieces.dtype() == DType::Bool || pieces.shape().len() != 1 {
            let (dtype, shape) = (pieces.dtype(), pieces.shape());
            return Err(Error::outside(format!("{name}: tokens are integers along one axis, not {dtype}{shape}")));
        }
        let (len, mut hash, mut most) = (pieces.shape().size(), Fingerprint::new(), 0);
        for start in (0..len).step_by(CHUNK) {
            let array = pieces.read(start..(start + CHUNK).min(len))?;
            hash.add(&array.to_bytes());
            for token in Tensor::from_array(array).cast(DType::I64).to_vec::<i64>() {
                if token < 0 {
                    return Err(Error::outside(format!("{name}: {token} is no token")));
                }
                most = most.max(token);
            }
        }
        let codec = meaning(name, most, cut)?;
        Ok(Corpus { source: Source::Npy(pieces), len, codec, fingerprint: hash.said() })
    }

    /// Tokens take memory: two or four bytes of it for every token, which is about one for a character.
    fn tokenized(name: &str, bytes: &Bytes, codec: Codec) -> Result<Corpus> {
        let (mut tokens, mut rest) = (Vec::new(), String::new());
        let fingerprint = texts(name, bytes, |_, text| {
            rest.push_str(text);
            // Tokens do not reach over the ends of lines, with few exceptions; the text is cut there.
            let end = rest.rfind('\n').map_or(0, |i| i + 1);
            let end = if end == 0 && rest.len() > 16 * CHUNK { rest.len() } else { end };
            tokens.extend(codec.encode(&rest[..end])?.into_iter().map(|t| t as u32));
            rest.drain(..end);
            Ok(())
        })?;
        tokens.extend(codec.encode(&rest)?.into_iter().map(|t| t as u32));
        Ok(Corpus { len: tokens.len(), source: Source::Held(tokens), codec, fingerprint })
    }

    /// The tokens at these places.
    pub fn read(&self, places: Range<usize>) -> Result<Vec<i64>> {
        let count = places.len();
        match &self.source {
            Source::Held(tokens) => Ok(tokens[places].iter().map(|&t| i64::from(t)).collect()),
            Source::Bytes(bytes) => Ok(bytes.read(places.start as u64, count)?.into_iter().map(i64::from).collect()),
            Source::Words { bytes, width } => {
                Ok(words(&bytes.read((places.start * width) as u64, count * width)?, *width).collect())
            }
            Source::Npy(pieces) => Ok(Tensor::from_array(pieces.read(places)?).cast(DType::I64).to_vec::<i64>()),
            Source::Characters { bytes, marks } => {
                let before = places.start % STRIDE;
                let mut text = String::new();
                let (mut at, mut held) = (marks[places.start / STRIDE], 0);
                // Most characters are of one byte; where they are not, a second look gets the rest.
                while held < before + count {
                    let chunk = bytes.read(at, (before + count - held).max(4))?;
                    let valid = match std::str::from_utf8(&chunk) {
                        Ok(all) => all,
                        Err(e) => std::str::from_utf8(&chunk[..e.valid_up_to()]).unwrap_or_default(),
                    };
                    if valid.is_empty() {
                        return Err(Error::outside("the text changed while it was learned"));
                    }
                    at += valid.len() as u64;
                    held += valid.chars().count();
                    text.push_str(valid);
                }
                self.codec.encode(&text.chars().skip(before).take(count).collect::<String>())
            }
        }
    }
}

/// The codec of tokens that are given as numbers, the largest of which is `most`.
fn meaning(name: &str, most: i64, cut: &Cut) -> Result<Codec> {
    let codec = match cut {
        // At 2^20 a vocabulary is five times the largest there is.
        Cut::Characters if most < 1 << 20 => return Ok(Codec::Numbers(most as usize + 1)),
        Cut::Characters => {
            let problem = "that is no vocabulary; is the width of the numbers right?";
            return Err(Error::outside(format!("{name}: its largest token is {most}: {problem}")));
        }
        Cut::Bytes => Codec::Bytes,
        Cut::Tokenizer(path) => Codec::open(path)?,
    };
    match most < codec.size() as i64 {
        true => Ok(codec),
        false => {
            Err(Error::outside(format!("{name}: {most} is no token of the tokenizer, which has {}", codec.size())))
        }
    }
}

fn words(bytes: &[u8], width: usize) -> impl Iterator<Item = i64> + '_ {
    bytes.chunks_exact(width).map(|word| word.iter().rev().fold(0, |n, &b| n << 8 | i64::from(b)))
}

/// Goes through the bytes.
fn chunks(bytes: &Bytes, mut each: impl FnMut(&[u8])) -> Result<()> {
    for start in (0..bytes.len()).step_by(CHUNK) {
        each(&bytes.read(start, CHUNK)?);
    }
    Ok(())
}

/// Goes through a text, and gives its fingerprint; each piece comes with the byte it begins at.
fn texts(name: &str, bytes: &Bytes, mut each: impl FnMut(u64, &str) -> Result<()>) -> Result<String> {
    let (mut hash, mut at) = (Fingerprint::new(), 0);
    while at < bytes.len() {
        let chunk = bytes.read(at, CHUNK)?;
        let whole = match std::str::from_utf8(&chunk) {
            Ok(_) => chunk.len(),
            // A character that is cut off by the end of the chunk, and not by the end of the file.
            Err(e) if e.error_len().is_none() && at + (chunk.len() as u64) < bytes.len() => e.valid_up_to(),
            Err(e) => {
                let byte = at + e.valid_up_to() as u64;
                let hint = "; --tokenizer bytes learns any file";
                return Err(Error::outside(format!("{name}: not UTF-8 text: byte {byte} begins no character{hint}")));
            }
        };
        let text = std::str::from_utf8(&chunk[..whole]).unwrap_or_default();
        hash.add(&chunk[..whole]);
        each(at, text)?;
        at += whole as u64;
    }
    Ok(hash.said())
}
