//! The npy format: one array behind a header that is a Python dictionary.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
/// (objects, strings, dates, records), or has fewer or more bytes than its shape needs.
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
    read(BufReader::new(file), len).map_err(|e| about(e, path))
}

/// An npy file whose elements are read a piece at a time, for arrays larger than memory.
#[derive(Debug)]
pub struct NpyPieces {
    path: PathBuf,
    file: Mutex<File>,
    header: Header,
    start: u64,
}

impl NpyPieces {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// As [`load_npy`]; and for column-major arrays of several axes, whose elements are not in order.
    ///
    /// ```
    /// use covector_array::Array;
    /// # let path = std::env::temp_dir().join(format!("covector-io-pieces-{}.npy", std::process::id()));
    /// covector_io::save_npy(&path, &Array::from_slice(&[1u16, 2, 3, 4], [4]))?;
    /// let pieces = covector_io::NpyPieces::open(&path)?;
    /// assert_eq!(pieces.read(1..3)?.to_f64_vec(), [2.0, 3.0]);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), covector_io::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<NpyPieces> {
        let path = path.as_ref();
        let (mut file, len) = bytes::open(path)?;
        let mut read = || -> std::result::Result<(Header, u64), ReadError> {
            let (header, used) = header::read(&mut file, len)?;
            sizes(&header, len - used)?;
            if header.fortran && header.shape.len() > 1 {
                let problem = "its elements are in column-major order, which cannot be read in pieces";
                return Err(Fault::new(problem, "save numpy.ascontiguousarray of it").into());
            }
            Ok((header, used))
        };
        let (header, start) = read().map_err(|e| about(e, path))?;
        Ok(NpyPieces { path: path.to_owned(), file: Mutex::new(file), header, start })
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.header.dtype
    }

    /// The shape of the whole array.
    pub fn shape(&self) -> &Shape {
        &self.header.shape
    }

    /// Elements in their order, as an array of one axis.
    ///
    /// # Errors
    /// If the file cannot be read, or there are not so many elements.
    pub fn read(&self, elements: Range<usize>) -> Result<Array> {
        let io = |source| Error::io(&self.path, "read", source);
        let (size, all) = (self.header.dtype.size(), self.header.shape.size());
        if elements.start > elements.end || elements.end > all {
            return Err(io(std::io::Error::other(format!("there are {all} elements, not {elements:?}"))));
        }
        let mut data = vec![0; elements.len() * size];
        // A thread that panicked while it read has done no harm to the file.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + (elements.start * size) as u64)).map_err(io)?;
        file.read_exact(&mut data).map_err(io)?;
        if self.header.big_endian {
            data.chunks_exact_mut(self.header.dtype.part().size()).for_each(<[u8]>::reverse);
        }
        Ok(Array::from_bytes(&data, [elements.len()], self.header.dtype))
    }
}

/// The bytes before an array's data.
pub(crate) fn header_for(array: &Array) -> std::result::Result<Vec<u8>, Fault> {
    header::encode(array.dtype(), array.shape())
}

/// A failure as an error of the whole file.
fn about(e: ReadError, path: &Path) -> Error {
    match e {
        ReadError::Io(source) => Error::io(path, "read", source),
        ReadError::Fault(fault) => fault.of_file(path, Format::Npy),
    }
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
    let wanted = sizes(&header, len - used)?;
    let mut data = bytes::read_exactly(&mut reader, wanted)?;
    if header.big_endian {
        data.chunks_exact_mut(header.dtype.part().size()).for_each(<[u8]>::reverse);
    }
    Ok(arrange(&header, &data))
}

/// The bytes of the data, of which `there` are in the file.
fn sizes(header: &Header, there: u64) -> std::result::Result<u64, Fault> {
    let wanted = (header.shape.size() * header.dtype.size()) as u64;
    if there != wanted {
        let problem = format!("{}{} takes {wanted} bytes, but {there} follow the header", header.dtype, header.shape);
        let hint = if there < wanted {
            "the file is cut short; fetch or save it again"
        } else {
            "the file holds more than one array, or is damaged; save each array to a file of its own"
        };
        return Err(Fault::new(problem, hint));
    }
    Ok(wanted)
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
