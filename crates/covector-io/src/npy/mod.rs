//! The npy format: one array behind a header that is a Python dictionary.

use std::io::{BufReader, Read};
use std::path::Path;

use covector_array::{Array, DType, Shape};

use crate::error::{Fault, Format};
use crate::{Error, Result, atomic, bytes};

mod header;

use header::Header;

/// Writes one array as an npy file, atomically, byte for byte as `numpy.save` does.
///
/// dtypes: all but bf16, which the format has no name for. The order is row-major.
///
/// # Errors
/// [`Error::Unwritable`] for bf16 and for more than 64 axes; [`Error::Io`] if the file cannot be written, in which case
/// nothing is left behind and an existing file is untouched.
///
/// ```
/// use covector_array::Array;
/// use covector_io::{load_npy, save_npy};
/// # let folder = std::env::temp_dir().join(format!("covector-io-npy-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("x.npy");
/// save_npy(&path, &Array::from_slice(&[1i64, 2, 3], 3))?;
/// assert_eq!(load_npy(&path)?.to_i64_vec(), [1, 2, 3]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// Source: NEP 1, "A simple file format for NumPy arrays"; `numpy.save`.
pub fn save_npy(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    let path = path.as_ref();
    let header = header_for(array).map_err(|fault| fault.of_output(path, Format::Npy))?;
    atomic::write(path, |file| {
        atomic::put(path, file, &header)?;
        atomic::put(path, file, &array.to_bytes())
    })
}

/// Reads an npy file of format 1, 2 or 3.
///
/// dtypes: bool, integers, f16, f32 and f64 of either byte order. Row- and column-major files give the same array.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Malformed`] if it breaks the format, holds another dtype
/// (objects, strings, dates, records, complex), or has fewer or more bytes than its shape needs.
///
/// ```no_run
/// let x = covector_io::load_npy("x.npy")?;
/// println!("{}{}", x.dtype(), x.shape());
/// # Ok::<(), covector_io::Error>(())
/// ```
/// Source: NEP 1, "A simple file format for NumPy arrays"; `numpy.load`.
pub fn load_npy(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let (file, len) = bytes::open(path)?;
    read(BufReader::new(file), len).map_err(|e| match e {
        ReadError::Io(source) => Error::io(path, "read", source),
        ReadError::Fault(fault) => fault.of_file(path, Format::Npy),
    })
}

/// The bytes before an array's data.
pub(crate) fn header_for(array: &Array) -> std::result::Result<Vec<u8>, Fault> {
    header::encode(array.dtype(), array.shape())
}

/// Why [`read`] failed.
pub(crate) enum ReadError {
    Io(std::io::Error),
    Fault(Fault),
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        ReadError::Fault(fault)
    }
}

/// An array from a reader of `len` bytes, all of which belong to it.
pub(crate) fn read(mut reader: impl Read, len: u64) -> std::result::Result<Array, ReadError> {
    let (header, used) = header::read(&mut reader, len)?;
    let wanted = (header.shape.size() * header.dtype.size()) as u64;
    let there = len - used;
    if there != wanted {
        let problem = format!("{}{} takes {wanted} bytes, but {there} follow the header", header.dtype, header.shape);
        let hint = if there < wanted {
            "the file is cut short; fetch or save it again"
        } else {
            "the file holds more than one array, or is damaged; save each array to a file of its own"
        };
        return Err(Fault::new(problem, hint).into());
    }
    let mut data = bytes::read_exactly(&mut reader, wanted)?;
    if header.big_endian {
        data.chunks_exact_mut(header.dtype.part().size()).for_each(<[u8]>::reverse);
    }
    Ok(arrange(&header, &data))
}

fn arrange(Header { dtype, shape, fortran, .. }: &Header, data: &[u8]) -> Array {
    if !fortran {
        return Array::from_bytes(data, shape, *dtype);
    }
    // A column-major array is a row-major one with its axes reversed.
    let reversed: Shape = shape.iter().rev().copied().collect();
    let back: Vec<usize> = (0..shape.len()).rev().collect();
    Array::from_bytes(data, reversed, *dtype).permute(&back).contiguous()
}

/// The dtypes of the format by kind and size; bf16 has no name there.
const DTYPES: [(&str, DType); 14] = [
    ("b1", DType::Bool),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("c8", DType::C64),
    ("c16", DType::C128),
];
