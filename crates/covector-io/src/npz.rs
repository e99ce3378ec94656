//! The npz format: npy files in a zip archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use covector_array::Array;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::error::{Fault, Format};
use crate::npy::{self, ReadError};
use crate::{Error, Result, atomic, bytes};

const DAMAGED: &str = "the file is damaged or not an npz file; fetch it again or save it again with numpy.savez";

/// How many bytes the members of an npz file may take once decompressed.
///
/// Deflate shrinks zeros a thousandfold, so a small file can ask for more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpzLimit {
    /// 256 MiB, or 64 times the file's size if that is more: what [`load_npz`] uses.
    Default,
    /// So many bytes.
    Bytes(u64),
    /// No limit: for files whose origin is trusted.
    Trusted,
}

/// Writes arrays as an npz file without compression, atomically, as `numpy.savez` does.
///
/// dtypes: all but bf16, which the format has no name for. The same arrays give the same bytes.
///
/// # Errors
/// [`Error::Array`] for bf16, for one name twice and for a name beyond 60 000 bytes; [`Error::Io`] if the file cannot
/// be written. Then nothing is left behind and an existing file is untouched.
///
/// ```
/// use covector_array::Array;
/// use covector_io::{load_npz, save_npz};
/// # let folder = std::env::temp_dir().join(format!("covector-io-npz-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("data.npz");
/// save_npz(&path, &[("x".to_string(), Array::scalar(3.5f64)), ("n".to_string(), Array::from_slice(&[1u8, 2], 2))])?;
/// assert_eq!(load_npz(&path)?["n"].to_i64_vec(), [1, 2]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// Source: `numpy.savez`.
pub fn save_npz(path: impl AsRef<Path>, arrays: &[(String, Array)]) -> Result<()> {
    save(path.as_ref(), arrays, CompressionMethod::Stored)
}

/// [`save_npz`] with deflate, as `numpy.savez_compressed` does: smaller where values repeat, several times slower.
///
/// # Errors
/// As [`save_npz`].
pub fn save_npz_compressed(path: impl AsRef<Path>, arrays: &[(String, Array)]) -> Result<()> {
    save(path.as_ref(), arrays, CompressionMethod::Deflated)
}

fn save(path: &Path, arrays: &[(String, Array)], method: CompressionMethod) -> Result<()> {
    let mut seen = BTreeSet::new();
    let headers: Vec<Vec<u8>> = arrays
        .iter()
        .map(|(name, array)| {
            if !seen.insert(name) {
                return Err(Fault::new("two arrays have this name", "give every array its own name"));
            }
            if name.len() > 60_000 {
                return Err(Fault::new("its name is too long for a zip archive", "shorten it"));
            }
            npy::header_for(array)
        })
        .zip(arrays)
        .map(|(header, (name, _))| header.map_err(|fault| fault.of_array(path, name)))
        .collect::<Result<_>>()?;
    let failed = |e: ZipError| Error::io(path, "write", e.into());
    atomic::write(path, |file| {
        let mut archive = ZipWriter::new(file);
        for ((name, array), header) in arrays.iter().zip(&headers) {
            let data = array.to_bytes();
            let large = data.len() + header.len() >= u32::MAX as usize;
            let options = SimpleFileOptions::default().compression_method(method).large_file(large);
            archive.start_file(format!("{name}.npy"), options).map_err(failed)?;
            atomic::put(path, &mut archive, header)?;
            atomic::put(path, &mut archive, &data)?;
        }
        archive.finish().map(drop).map_err(failed)
    })
}

/// Reads an npz file: every array by name, within [`NpzLimit::Default`].
///
/// # Errors
/// As [`load_npz_within`].
///
/// ```no_run
/// for (name, array) in covector_io::load_npz("data.npz")? {
///     println!("{name}: {}{}", array.dtype(), array.shape());
/// }
/// # Ok::<(), covector_io::Error>(())
/// ```
/// Source: `numpy.load`.
pub fn load_npz(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>> {
    load_npz_within(path, NpzLimit::Default)
}

/// Reads an npz file whose members take at most `limit` bytes together.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Malformed`] or [`Error::Array`] if it is not a zip archive, holds
/// one name twice, overlapping members, members that are not npy files, other compression than deflate, encryption,
/// damaged data, or more bytes than the limit.
pub fn load_npz_within(path: impl AsRef<Path>, limit: NpzLimit) -> Result<BTreeMap<String, Array>> {
    let path = path.as_ref();
    let (mut file, len) = bytes::open(path)?;
    check_count(&mut file, len).map_err(|e| e.of_file(path))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| ReadError::from(e).of_file(path))?;
    check_archive(&mut archive, len, limit).map_err(|e| e.of_file(path))?;
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let member = archive.name_for_index(index).and_then(std::result::Result::ok);
        let member =
            member.ok_or_else(|| ReadError::from(Fault::new("a member's name is not text", DAMAGED)).of_file(path))?;
        let member = member.into_owned();
        let Some(name) = member.strip_suffix(".npy") else {
            let fault = Fault::new(
                "it is not an npy file (.npy)",
                "remove it from the archive, or load the others with a zip tool",
            );
            return Err(fault.of_array(path, &member));
        };
        let array = read_member(&mut archive, index).map_err(|e| match e {
            ReadError::Io(source) => Error::io(path, "read", source),
            ReadError::Fault(fault) => fault.of_array(path, name),
        })?;
        arrays.insert(name.to_owned(), array);
    }
    Ok(arrays)
}

fn check_archive(
    archive: &mut ZipArchive<BufReader<File>>,
    len: u64,
    limit: NpzLimit,
) -> std::result::Result<(), ReadError> {
    if archive.has_duplicate_names() {
        return Err(Fault::new("two of its members have one name", DAMAGED).into());
    }
    if archive.has_overlapping_entries()? {
        return Err(
            Fault::new("its members overlap, as in a zip bomb", "do not trust this file; fetch it again").into()
        );
    }
    let limit = match limit {
        NpzLimit::Default => (256 << 20).max(len.saturating_mul(64)),
        NpzLimit::Bytes(bytes) => bytes,
        NpzLimit::Trusted => u64::MAX,
    };
    let mut total = 0u64;
    for index in 0..archive.len() {
        total = total.saturating_add(archive.by_index_data(index)?.size());
    }
    if total > limit {
        let problem = format!("its {len} bytes decompress to {total}, more than the {limit} allowed");
        return Err(Fault::new(problem, "if you trust the file, call load_npz_within with a higher limit").into());
    }
    Ok(())
}

fn read_member(archive: &mut ZipArchive<BufReader<File>>, index: usize) -> std::result::Result<Array, ReadError> {
    let mut member = archive.by_index(index)?;
    if !matches!(member.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        let hint = "save it again with numpy.savez or numpy.savez_compressed";
        return Err(Fault::new("it is compressed in another way than deflate", hint).into());
    }
    let size = member.size();
    // Deflate cannot shrink anything further than 1032 times.
    if size > member.compressed_size().saturating_mul(1032).saturating_add(1032) {
        let problem = format!("its {} bytes cannot decompress to {size}", member.compressed_size());
        return Err(Fault::new(problem, DAMAGED).into());
    }
    let array = npy::read(&mut member, size).map_err(damaged)?;
    // Reading on to the end makes the archive compare its checksum.
    match member.read(&mut [0]).map_err(|e| damaged(e.into()))? {
        0 => Ok(array),
        _ => Err(Fault::new("it decompresses to more bytes than the archive says", DAMAGED).into()),
    }
}

/// Data that do not decompress, end early or miss their checksum are the file's fault, not the system's.
fn damaged(error: ReadError) -> ReadError {
    match error {
        ReadError::Io(e) if e.raw_os_error().is_none() => {
            Fault::new(format!("its data are damaged: {e}"), DAMAGED).into()
        }
        other => other,
    }
}

impl From<ZipError> for ReadError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(e) if e.raw_os_error().is_some() => ReadError::Io(e),
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
                Fault::new("it is encrypted", "decrypt the archive with a zip tool first").into()
            }
            other => Fault::new(other.to_string(), DAMAGED).into(),
        }
    }
}

impl ReadError {
    fn of_file(self, path: &Path) -> Error {
        match self {
            ReadError::Io(source) => Error::io(path, "read", source),
            ReadError::Fault(fault) => fault.of_file(path, Format::Npz),
        }
    }
}

/// Refuses a zip64 archive that announces more members than its bytes can describe: the reader would make room for all.
fn check_count(file: &mut File, len: u64) -> std::result::Result<(), ReadError> {
    const END: &[u8] = b"PK\x05\x06";
    const LOCATOR: &[u8] = b"PK\x06\x07";
    let tail_len = len.min((1 << 16) + 256);
    file.seek(SeekFrom::Start(len - tail_len))?;
    let tail = bytes::read_exactly(&mut *file, tail_len)?;
    // Every place that a reader might take for the archive's end, if a zip64 locator stands before it.
    let ends = tail.windows(4).enumerate().filter(|(at, window)| *window == END && *at >= 20);
    for (at, _) in ends.filter(|(at, _)| tail[at - 20..].starts_with(LOCATOR)) {
        let start = u64_at(&tail, at - 12);
        let end = len - tail_len + at as u64 - 20;
        if !plausible(file, start, end, len)? {
            let problem = "its zip64 directory is misplaced or announces more members than it can hold";
            return Err(Fault::new(problem, DAMAGED).into());
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

/// True if the zip64 record in `start..end` is complete, of one disk, and its members fit in a file of `len` bytes.
fn plausible(file: &mut File, start: u64, end: u64, len: u64) -> io::Result<bool> {
    const SMALLEST_MEMBER: u64 = 46;
    if start.checked_add(56).is_none_or(|least| least > end) {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(start))?;
    let record = bytes::read_exactly(&mut *file, 56)?;
    let complete = record.starts_with(b"PK\x06\x06") && u64_at(&record, 4) == end - start - 12;
    let one_disk = u64_at(&record, 16) == 0 && u64_at(&record, 24) == u64_at(&record, 32);
    Ok(complete && one_disk && u64_at(&record, 32) <= len / SMALLEST_MEMBER)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
