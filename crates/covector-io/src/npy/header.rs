//! The header of an npy file: magic, version, length, and a dictionary such as
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
//!
//! Only that much Python is understood, by a parser without recursion: no text makes it panic, nest or allocate.

use std::io::Read;

use covector_array::{DType, Shape};

use super::{DTYPES, ReadError};
use crate::bytes;
use crate::error::{Fault, shown};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy writes some hundred bytes and reads ten thousand.
const LONGEST: u64 = 1 << 16;
/// NumPy's own limit.
const MOST_AXES: usize = 64;
const DAMAGED: &str = "the file is damaged or not an npy file; save it again with numpy.save";

/// What the header says of the data.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
    pub(super) shape: Shape,
}

/// Reads a header from a reader of `len` bytes; also gives the bytes it took.
pub(super) fn read(reader: &mut impl Read, len: u64) -> Result<(Header, u64), ReadError> {
    let short = || Fault::new(format!("it has {len} bytes, too few for a header"), DAMAGED);
    if len < 10 {
        return Err(short().into());
    }
    let first = bytes::read_exactly(&mut *reader, 8)?;
    if first[..6] != *MAGIC {
        return Err(Fault::new("it does not begin with the magic \\x93NUMPY", DAMAGED).into());
    }
    let width = match first[6] {
        1 => 2,
        2 | 3 => 4,
        version => {
            let problem = format!("its format version is {version}.{}, known are 1.0, 2.0 and 3.0", first[7]);
            return Err(Fault::new(problem, "save it again with numpy.save").into());
        }
    };
    if len < 8 + width {
        return Err(short().into());
    }
    let count = bytes::read_exactly(&mut *reader, width)?;
    let text_len = count.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let used = 8 + width + text_len;
    if used > len || text_len > LONGEST {
        let left = len.saturating_sub(8 + width).min(LONGEST);
        return Err(Fault::new(
            format!("it announces a header of {text_len} bytes, at most {left} can follow"),
            DAMAGED,
        )
        .into());
    }
    let text = bytes::read_exactly(&mut *reader, text_len)?;
    Ok((interpret(&text)?, used))
}

fn interpret(text: &[u8]) -> Result<Header, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::new("its header is not text", DAMAGED))?;
    let mut p = Parser { text, at: 0 };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    p.expect('{')?;
    while !p.accept('}') {
        let key = p.string()?;
        p.expect(':')?;
        let twice = match key {
            "descr" => descr.replace(p.descr()?).is_some(),
            "fortran_order" => fortran.replace(p.boolean()?).is_some(),
            "shape" => shape.replace(p.shape()?).is_some(),
            _ => return Err(Fault::new(format!("its header has an unknown key {}", shown(key)), DAMAGED)),
        };
        if twice {
            return Err(Fault::new(format!("its header has the key {} twice", shown(key)), DAMAGED));
        }
        if !p.accept(',') && p.peek() != Some('}') {
            return Err(p.unexpected("`,` or `}`"));
        }
    }
    if p.peek().is_some() {
        return Err(p.unexpected("the end"));
    }
    let missing = |key| Fault::new(format!("its header has no key `{key}`"), DAMAGED);
    let (big_endian, dtype) = descr.ok_or_else(|| missing("descr"))?;
    let shape = shape.ok_or_else(|| missing("shape"))?;
    if shape.checked_size(dtype.size()).is_none() {
        return Err(Fault::new(format!("its shape {shape} has too many elements for any memory"), DAMAGED));
    }
    Ok(Header { dtype, big_endian, fortran: fortran.ok_or_else(|| missing("fortran_order"))?, shape })
}

/// A cursor over the dictionary's text.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.text[self.at..].chars().next()
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, c: char) -> Result<(), Fault> {
        if self.accept(c) { Ok(()) } else { Err(self.unexpected(&format!("`{c}`"))) }
    }

    fn unexpected(&mut self, wanted: &str) -> Fault {
        let found = self.peek().map_or("nothing".to_owned(), |c| shown(&c.to_string()));
        Fault::new(format!("its header should have {wanted} at byte {}, but has {found}", self.at), DAMAGED)
    }

    /// The longest run of characters that satisfy `keep`.
    fn run(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        self.peek();
        let rest = &self.text[self.at..];
        let run = &rest[..rest.find(|c| !keep(c)).unwrap_or(rest.len())];
        self.at += run.len();
        run
    }

    fn string(&mut self) -> Result<&'a str, Fault> {
        let quote = self.peek().filter(|&c| c == '\'' || c == '"').ok_or_else(|| self.unexpected("a string"))?;
        let start = self.at + 1;
        let Some(len) = self.text[start..].find(quote) else {
            return Err(Fault::new("its header has a string without an end", DAMAGED));
        };
        self.at = start + len + 1;
        Ok(&self.text[start..start + len])
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        match self.run(|c| c.is_ascii_alphabetic()) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => {
                self.at = start;
                Err(self.unexpected("`True` or `False`"))
            }
        }
    }

    fn descr(&mut self) -> Result<(bool, DType), Fault> {
        if self.peek() == Some('[') {
            let hint = "save each field as an array of its own: numpy.savez(path, **{n: x[n] for n in x.dtype.names})";
            return Err(Fault::new("its elements are records", hint));
        }
        let name = self.string()?;
        let (order, kind) = name.split_at(usize::from(name.starts_with(['<', '>', '|', '='])));
        let dtype = DTYPES.iter().find(|d| d.0 == kind).map(|d| d.1).ok_or_else(|| unsupported(name, kind))?;
        Ok((order == ">", dtype))
    }

    /// A tuple of sizes; Python 2 wrote them with an `L`.
    fn shape(&mut self) -> Result<Shape, Fault> {
        self.expect('(')?;
        let mut shape = Shape::scalar();
        while !self.accept(')') {
            let digits = self.run(|c| c.is_ascii_digit());
            if digits.is_empty() {
                return Err(self.unexpected("a size"));
            }
            let size = digits
                .parse()
                .map_err(|_| Fault::new(format!("its size {} is no number of elements", shown(digits)), DAMAGED))?;
            shape.push(size);
            if shape.len() > MOST_AXES {
                return Err(Fault::new(format!("it has more than {MOST_AXES} axes"), DAMAGED));
            }
            self.accept('L');
            if !self.accept(',') && self.peek() != Some(')') {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(shape)
    }
}

fn unsupported(name: &str, kind: &str) -> Fault {
    let hint = match kind.chars().next() {
        Some('O') => "Python objects are pickled, and pickles run code: convert the array with .astype first",
        Some('V') => "if these are bfloat16, save them as float32 or as a safetensors file",
        Some('c') => "convert the array to complex64 or complex128 with .astype first",
        Some('M' | 'm') => "convert dates to int64 with .astype first",
        Some('U' | 'S') => "text has no place in an array of numbers: encode it as integers first",
        _ => "convert the array to bool, integers, float16, float32 or float64 with .astype first",
    };
    Fault::new(format!("its dtype {} is not one of covector's", shown(name)), hint)
}

/// The header `numpy.save` writes for an array in row-major order, its data aligned to 64 bytes.
pub(super) fn encode(dtype: DType, shape: &Shape) -> Result<Vec<u8>, Fault> {
    let Some((kind, _)) = DTYPES.iter().find(|d| d.1 == dtype) else {
        let hint = "cast to f32 (no value changes) or save a safetensors file";
        return Err(Fault::new(format!("the npy format has no dtype for {dtype}"), hint));
    };
    if shape.len() > MOST_AXES {
        let problem = format!("the array has {} axes, NumPy reads at most {MOST_AXES}", shape.len());
        return Err(Fault::new(problem, "reshape it to fewer axes"));
    }
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text =
        format!("{{'descr': '{order}{kind}', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    // NumPy leaves room for the first size to grow to 21 digits, so that a file can be appended to.
    let room = sizes.first().map_or(0, |first| 21 - first.len().min(21));
    text.extend(std::iter::repeat_n(' ', room));
    let total = (10 + text.len() + 1).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', total - 10 - text.len() - 1));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // At most 64 axes of at most 20 digits: the length fits in 16 bits.
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    Ok(bytes)
}
