//! The safetensors format: a JSON header of names, dtypes, shapes and offsets, then the bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use ::safetensors::tensor::{Dtype, TensorInfo};
use covector_array::{Array, DType, Mapping, Shape};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{Fault, Format, shown};
use crate::{Error, Result, atomic, bytes};

/// What a safetensors file holds.
#[derive(Clone, Debug, Default)]
pub struct Safetensors {
    /// The arrays by name.
    pub tensors: BTreeMap<String, Array>,
    /// Free text by key, such as the format version a trainer writes.
    pub metadata: BTreeMap<String, String>,
}

const METADATA: &str = "__metadata__";
/// Headers beyond this size are refused, as the format's own crate does.
const LONGEST_HEADER: u64 = 100_000_000;
const DAMAGED: &str = "the file is damaged or was made by a faulty writer; fetch or save it again";

/// Writes arrays and metadata as a safetensors file, atomically.
///
/// dtypes: all thirteen. The layout is that of the format's own crate (larger elements first, then by name), and the
/// same arrays give the same bytes. An existing file is replaced only when the new one is complete on disk.
///
/// # Errors
/// [`Error::Array`] if two arrays have one name or an array is called `__metadata__`; [`Error::Unwritable`] for a
/// header beyond 100 MB; [`Error::Io`] if the file cannot be written, in which case nothing is left behind and an
/// existing file is untouched.
///
/// ```
/// use std::collections::BTreeMap;
/// use covector_array::Array;
/// use covector_io::{load_safetensors, save_safetensors};
/// # let folder = std::env::temp_dir().join(format!("covector-io-save-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("model.safetensors");
/// let w = Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2]);
/// save_safetensors(&path, &[("w".to_string(), w)], &BTreeMap::new())?;
/// assert_eq!(load_safetensors(&path)?.tensors["w"].to_f64_vec(), [1.0, 2.0, 3.0, 4.0]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// Source: <https://github.com/huggingface/safetensors>, "Format".
pub fn save_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(String, Array)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    if let Some((name, x)) = tensors.iter().find(|(_, x)| to_file(x.dtype()).is_none()) {
        let hint = "cast to c64 (half the digits) or save an npz file";
        let problem = format!("the format has no dtype for array {}, which is {}", shown(name), x.dtype());
        return Err(Fault::new(problem, hint).of_file(path, Format::Safetensors));
    }
    let file_dtype = |x: &Array| to_file(x.dtype()).expect("looked at above");
    let mut order: Vec<(&str, &Array)> = tensors.iter().map(|(name, x)| (name.as_str(), x)).collect();
    order.sort_by_key(|&(name, x)| (Reverse(file_dtype(x)), name));
    check_names(path, &order)?;
    let mut end = 0;
    let tensors = order
        .iter()
        .map(|&(name, x)| {
            let start = end;
            end += x.size() * x.dtype().size();
            (name, TensorInfo { dtype: file_dtype(x), shape: x.shape().to_vec(), data_offsets: (start, end) })
        })
        .collect();
    let mut header = serde_json::to_vec(&Header { metadata, tensors }).expect("strings and numbers make valid JSON");
    // The data begin at a multiple of eight, so that a memory map of them is aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > LONGEST_HEADER {
        let problem = format!("its header would take {} bytes, the format allows {LONGEST_HEADER}", header.len());
        return Err(Fault::new(problem, "save fewer arrays or less metadata").of_output(path, Format::Safetensors));
    }
    atomic::write(path, |file| {
        atomic::put(path, file, &(header.len() as u64).to_le_bytes())?;
        atomic::put(path, file, &header)?;
        order.iter().try_for_each(|(_, x)| atomic::put(path, file, &x.to_bytes()))
    })
}

fn check_names(path: &Path, arrays: &[(&str, &Array)]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (name, _) in arrays {
        let fault = if *name == METADATA {
            Fault::new("the format keeps this name for metadata", "call the array something else")
        } else if !seen.insert(name) {
            Fault::new("two arrays have this name", "give every array its own name")
        } else {
            continue;
        };
        return Err(fault.of_array(path, name));
    }
    Ok(())
}

/// Reads a safetensors file: every array, and the metadata.
///
/// dtypes: those of covector but c128, which the format lacks; others (8-bit floats) are refused by name.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Malformed`] or [`Error::Array`] if it breaks the format: a header
/// beyond the end of the file, invalid JSON, one name twice, offsets that overlap or leave gaps, a shape that overflows
/// or does not fit its bytes, missing or surplus data.
///
/// ```no_run
/// let file = covector_io::load_safetensors("model.safetensors")?;
/// for (name, array) in &file.tensors {
///     println!("{name}: {}{}", array.dtype(), array.shape());
/// }
/// # Ok::<(), covector_io::Error>(())
/// ```
/// Source: <https://github.com/huggingface/safetensors>, "Format".
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Safetensors> {
    let path = path.as_ref();
    let (file, len) = bytes::open(path)?;
    let mut file = BufReader::new(file);
    let (plan, metadata, _) = read_header(path, &mut file, len)?;
    let mut out = Safetensors { tensors: BTreeMap::new(), metadata };
    for (name, dtype, shape) in plan {
        let data = exactly(path, &mut file, (shape.size() * dtype.size()) as u64)?;
        out.tensors.insert(name, Array::from_bytes(&data, shape, dtype));
    }
    Ok(out)
}

/// As [`load_safetensors`], through a memory map that the arrays share: nothing but the header is read before somebody looks
/// at elements, and what is not looked at takes no memory.
///
/// Arrays whose bytes do not lie as their elements must (files of early writers, whose header is not filled up) are copied, and
/// so are bools. The file should stay as it is while the arrays live, see [`Mapping`]: renaming another over it is
/// harmless, as all writers of this crate do; writing into it changes the arrays, cutting it short ends the process. Read files
/// that may change with [`load_safetensors`].
///
/// # Errors
/// As [`load_safetensors`].
///
/// ```no_run
/// let file = covector_io::map_safetensors("model.safetensors")?;
/// println!("{:?}", file.tensors["wte.weight"].shape());
/// # Ok::<(), covector_io::Error>(())
/// ```
pub fn map_safetensors(path: impl AsRef<Path>) -> Result<Safetensors> {
    let path = path.as_ref();
    let (mut file, _) = bytes::open(path)?;
    let map = Arc::new(Mapping::of(&file).map_err(|source| Error::io(path, "map", source))?);
    // The length is the map's, so that both cannot differ. Only the map is looked at from here on, but for the header.
    let len = map.bytes().len() as u64;
    let (plan, metadata, mut at) = read_header(path, &mut file, len)?;
    let mut out = Safetensors { tensors: BTreeMap::new(), metadata };
    for (name, dtype, shape) in plan {
        let end = at + shape.size() * dtype.size();
        out.tensors.insert(name, Array::mapped(&map, at, shape, dtype));
        at = end;
    }
    Ok(out)
}

/// The arrays in the order of their data.
type Plan = Vec<(String, DType, Shape)>;

/// What the header says, which is read from a file of `len` bytes: arrays, metadata, and where the data begin.
fn read_header(path: &Path, mut file: impl Read, len: u64) -> Result<(Plan, BTreeMap<String, String>, usize)> {
    let of_file = |fault: Fault| fault.of_file(path, Format::Safetensors);
    let header_len = header_length(path, &mut file, len)?;
    let header = exactly(path, &mut file, header_len)?;
    let Parsed { metadata, tensors } = serde_json::from_slice(&header)
        .map_err(|e| of_file(Fault::new(format!("its header is not valid: {e}"), DAMAGED)))?;
    let mut tensors: Vec<(String, TensorInfo)> = tensors.into_iter().collect();
    tensors.sort_by(|a, b| (a.1.data_offsets, &a.0).cmp(&(b.1.data_offsets, &b.0)));
    let plan = check_layout(path, tensors, len - 8 - header_len)?;
    Ok((plan, metadata, (8 + header_len) as usize))
}

fn header_length(path: &Path, file: impl Read, len: u64) -> Result<u64> {
    let of_file = |problem: String| Fault::new(problem, DAMAGED).of_file(path, Format::Safetensors);
    let wrong = "check that this is a safetensors file, and that it was fetched completely";
    if len < 8 {
        let problem = format!("it has {len} bytes, the length of a header alone takes 8");
        return Err(Fault::new(problem, wrong).of_file(path, Format::Safetensors));
    }
    let first = exactly(path, file, 8)?;
    let header = u64::from_le_bytes(first.try_into().expect("eight bytes were read"));
    if header > len - 8 {
        let problem = format!("it announces a header of {header} bytes, but {} follow", len - 8);
        return Err(Fault::new(problem, wrong).of_file(path, Format::Safetensors));
    }
    if header > LONGEST_HEADER {
        return Err(of_file(format!("it announces a header of {header} bytes, the format allows {LONGEST_HEADER}")));
    }
    Ok(header)
}

fn exactly(path: &Path, file: impl Read, len: u64) -> Result<Vec<u8>> {
    bytes::read_exactly(file, len).map_err(|source| Error::io(path, "read", source))
}

/// The arrays in the order of their data, which must cover the `available` bytes without gap or overlap.
fn check_layout(path: &Path, tensors: Vec<(String, TensorInfo)>, available: u64) -> Result<Plan> {
    let mut plan = Vec::with_capacity(tensors.len());
    let mut previous: Option<String> = None;
    let mut at = 0;
    for (name, info) in tensors {
        let (dtype, shape) = check_tensor(&info, at, previous.as_deref()).map_err(|f| f.of_array(path, &name))?;
        at = info.data_offsets.1;
        previous = Some(name.clone());
        plan.push((name, dtype, shape));
    }
    if at as u64 != available {
        let problem = format!("its arrays take {at} bytes, but {available} follow the header");
        let hint = if (at as u64) < available { DAMAGED } else { "the file is cut short; fetch or save it again" };
        return Err(Fault::new(problem, hint).of_file(path, Format::Safetensors));
    }
    Ok(plan)
}

fn check_tensor(info: &TensorInfo, at: usize, previous: Option<&str>) -> std::result::Result<(DType, Shape), Fault> {
    let (start, end) = info.data_offsets;
    let dtype = from_file(info.dtype).ok_or_else(|| {
        Fault::new(
            format!("its dtype {} is not one of covector's", info.dtype),
            "cast it to a supported dtype (such as BF16 or F32) and save it again",
        )
    })?;
    if start != at || end < start {
        let before = previous.map_or("the data begin".to_owned(), |p| format!("{} ends", shown(p)));
        let what = if end < start {
            "run backwards"
        } else if start < at {
            "overlap"
        } else {
            "leave a gap"
        };
        return Err(Fault::new(format!("its offsets {start}..{end} {what}: {before} at {at}"), DAMAGED));
    }
    let shape = Shape::from(&info.shape);
    let Some(size) = shape.checked_size(dtype.size()) else {
        return Err(Fault::new(format!("its shape {} has too many elements for any memory", cut(&shape)), DAMAGED));
    };
    if end - start != size * dtype.size() {
        let problem =
            format!("{dtype}{} takes {} bytes, its offsets give {}", cut(&shape), size * dtype.size(), end - start);
        return Err(Fault::new(problem, DAMAGED));
    }
    Ok((dtype, shape))
}

/// A shape as text, unless a hostile file gave it very many axes.
fn cut(shape: &Shape) -> String {
    if shape.len() <= 64 { shape.to_string() } else { format!("of {} axes", shape.len()) }
}

const DTYPES: [(DType, Dtype); 14] = [
    (DType::Bool, Dtype::BOOL),
    (DType::U8, Dtype::U8),
    (DType::U16, Dtype::U16),
    (DType::U32, Dtype::U32),
    (DType::U64, Dtype::U64),
    (DType::I8, Dtype::I8),
    (DType::I16, Dtype::I16),
    (DType::I32, Dtype::I32),
    (DType::I64, Dtype::I64),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::C64, Dtype::C64),
];

/// None for c128 alone.
fn to_file(dtype: DType) -> Option<Dtype> {
    DTYPES.iter().find(|d| d.0 == dtype).map(|d| d.1)
}

fn from_file(dtype: Dtype) -> Option<DType> {
    DTYPES.iter().find(|d| d.1 == dtype).map(|d| d.0)
}

/// The header to be written: metadata first, then the arrays in the order of their data.
struct Header<'a> {
    metadata: &'a BTreeMap<String, String>,
    tensors: Vec<(&'a str, TensorInfo)>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, self.metadata)?;
        }
        self.tensors.iter().try_for_each(|(name, info)| map.serialize_entry(name, info))?;
        map.end()
    }
}

/// A header that was read.
struct Parsed {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl<'de> de::Deserialize<'de> for Parsed {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Parsed, M::Error> {
        let (mut metadata, mut tensors) = (None, BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            let inside = |e: M::Error| de::Error::custom(format!("{}: {e}", shown(&name)));
            let twice = if name == METADATA {
                metadata.replace(map.next_value::<BTreeMap<String, String>>().map_err(inside)?).is_some()
            } else {
                let info = map.next_value::<TensorInfo>().map_err(inside)?;
                tensors.insert(name.clone(), info).is_some()
            };
            if twice {
                return Err(de::Error::custom(format!("{} stands in it twice", shown(&name))));
            }
        }
        Ok(Parsed { metadata: metadata.unwrap_or_default(), tensors })
    }
}
