//! Where Python's C interface has to be spoken directly: the caller's line, memory lent and borrowed.
//!
//! The one file outside `covector-array` with `unsafe` code: a pointer that crosses the boundary of two languages is
//! outside what either can check. Nothing here computes.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

use covector::{Array, DType, Line, Shape};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyAny;

use crate::array::PyArray;
use crate::convert::value;

/// A code object that was seen: its file, and the lines of its instructions where finding one means reading a long table.
struct Seen {
    code: Py<PyAny>,
    file: &'static str,
    lines: Option<HashMap<i32, u32>>,
}

/// So many code objects are remembered, each in a place of its own.
const PLACES: usize = 64;

/// Tables of lines of up to this many bytes are read each time.
const SHORT: usize = 256;

thread_local! {
    static SEEN: RefCell<[Option<Seen>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// The line of Python that runs now.
pub fn line(py: Python<'_>) -> Line {
    // SAFETY: we are attached; the frame is borrowed from the running thread, which waits for us.
    let (frame, code) = unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return Line::new("<python>", 0);
        }
        (frame, Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast()))
    };
    // SAFETY: as above.
    let number = || unsafe { ffi::PyFrame_GetLineNumber(frame) }.max(0) as u32;
    // What has to make room goes at the end: its end may run code that asks for a line.
    let mut _gone = None;
    SEEN.with_borrow_mut(|seen| {
        let place = &mut seen[(code.as_ptr() as usize >> 4) % PLACES];
        if !place.as_ref().is_some_and(|seen| seen.code.is(&code)) {
            _gone = place.replace(Seen::of(&code));
        }
        let Some(seen) = place else { return Line::new("<python>", number()) };
        let Some(lines) = &mut seen.lines else { return Line::new(seen.file, number()) };
        // SAFETY: as above.
        let at = unsafe { Bound::from_borrowed_ptr(py, frame.cast()) }.getattr(intern!(py, "f_lasti"));
        match at.and_then(|at| at.extract()) {
            Ok(at) => Line::new(seen.file, *lines.entry(at).or_insert_with(number)),
            Err(_) => Line::new(seen.file, number()),
        }
    })
}

impl Seen {
    fn of(code: &Bound<'_, PyAny>) -> Seen {
        let name: String = code.getattr("co_filename").and_then(|n| n.extract()).unwrap_or_default();
        let long = code.getattr("co_linetable").and_then(|t| t.len()).is_ok_and(|n| n > SHORT);
        Seen { code: code.clone().unbind(), file: crate::intern(&name), lines: long.then(HashMap::new) }
    }
}

/// A buffer borrowed from a Python object, given back when it is dropped.
struct Borrowed(Box<ffi::Py_buffer>);

// SAFETY: the buffer is read by any thread, and released with the interpreter attached.
unsafe impl Send for Borrowed {}
// SAFETY: as above; nothing is written.
unsafe impl Sync for Borrowed {}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // SAFETY: it was filled by PyObject_GetBuffer and is released once. Without an interpreter nothing is to be done.
        Python::try_attach(|_| unsafe { ffi::PyBuffer_Release(&mut *self.0) });
    }
}

/// The array a Python object shows through the buffer protocol, without a copy where that can be; `None` if it has none.
pub fn from_buffer(object: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<Option<Array>> {
    // SAFETY: the object is alive; a filled buffer is owned by `Borrowed` at once.
    let buffer = unsafe {
        if ffi::PyObject_CheckBuffer(object.as_ptr()) == 0 {
            return Ok(None);
        }
        let mut buffer = Box::new(ffi::Py_buffer::new());
        if ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer, ffi::PyBUF_FULL_RO) != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Borrowed(buffer)
    };
    let view = &buffer.0;
    // SAFETY: the exporter keeps format, shape and strides valid until the release, with `ndim` entries each.
    let (format, shape, strides) = unsafe {
        let format = if view.format.is_null() { c"B" } else { CStr::from_ptr(view.format) };
        let n = view.ndim as usize;
        let list = |p: *mut ffi::Py_ssize_t| if p.is_null() { None } else { Some(std::slice::from_raw_parts(p, n)) };
        let shape = if n == 0 { Some(&[][..]) } else { list(view.shape) };
        (format, shape, if n == 0 { Some(&[][..]) } else { list(view.strides) })
    };
    let Some(dtype) = dtype_of(format, view.itemsize as usize) else {
        let text = format!("elements of the format {format:?} have no dtype here");
        return Err(PyTypeError::new_err(text));
    };
    let shape: Shape = shape.unwrap_or(&[view.len / view.itemsize.max(1)]).iter().map(|&d| d as usize).collect();
    let strides: Vec<isize> = match strides {
        Some(strides) => strides.to_vec(),
        None => shape.contiguous_strides().iter().map(|s| s * view.itemsize).collect(),
    };
    let first = view.buf.cast::<u8>().cast_const();
    // SAFETY: the exporter promises that every element of the view can be read until the buffer is released.
    unsafe { lent(first, shape, &strides, dtype, copy, Box::new(buffer)) }.map(Some)
}

/// A view of memory that `owner` keeps, or a copy where a view cannot be or is not wanted. Strides are in bytes.
///
/// # Safety
/// Every element must be readable for as long as `owner` lives.
unsafe fn lent(
    first: *const u8,
    shape: Shape,
    strides: &[isize],
    dtype: DType,
    copy: Option<bool>,
    owner: Box<dyn Any + Send + Sync>,
) -> PyResult<Array> {
    let size = dtype.size() as isize;
    if shape.size() == 0 {
        return Ok(Array::from_bytes(&[], shape, dtype));
    }
    if copy != Some(true) && strides.iter().all(|s| s % size == 0) {
        let steps: Vec<isize> = strides.iter().map(|s| s / size).collect();
        let mut shared = None;
        let aligned = dtype != DType::Bool && (first as usize).is_multiple_of(dtype.part().size());
        if aligned {
            // SAFETY: as promised by the caller.
            shared = unsafe { Array::foreign(first, shape.clone(), &steps, dtype, owner) };
        }
        if let Some(array) = shared {
            return Ok(array);
        }
    }
    if copy == Some(false) {
        return Err(pyo3::exceptions::PyValueError::new_err("this memory cannot be shared without a copy"));
    }
    let mut bytes = Vec::with_capacity(shape.size() * dtype.size());
    let mut at = vec![0usize; shape.len()];
    for _ in 0..shape.size() {
        let offset: isize = at.iter().zip(strides).map(|(&i, &s)| i as isize * s).sum();
        // SAFETY: the index lies inside the shape.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(first.offset(offset), dtype.size()) });
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Ok(Array::from_bytes(&bytes, shape, dtype))
}

fn dtype_of(format: &CStr, size: usize) -> Option<DType> {
    let format = format.to_str().ok()?;
    let format = format.strip_prefix(['@', '=', '<', '|']).unwrap_or(format);
    Some(match (format, size) {
        ("?", 1) => DType::Bool,
        ("b" | "h" | "i" | "l" | "q" | "n", 1) => DType::I8,
        ("b" | "h" | "i" | "l" | "q" | "n", 2) => DType::I16,
        ("b" | "h" | "i" | "l" | "q" | "n", 4) => DType::I32,
        ("b" | "h" | "i" | "l" | "q" | "n", 8) => DType::I64,
        ("B" | "H" | "I" | "L" | "Q" | "N" | "c", 1) => DType::U8,
        ("B" | "H" | "I" | "L" | "Q" | "N", 2) => DType::U16,
        ("B" | "H" | "I" | "L" | "Q" | "N", 4) => DType::U32,
        ("B" | "H" | "I" | "L" | "Q" | "N", 8) => DType::U64,
        ("e", 2) => DType::F16,
        ("f", 4) => DType::F32,
        ("d", 8) => DType::F64,
        ("Zf", 8) => DType::C64,
        ("Zd", 16) => DType::C128,
        _ => return None,
    })
}

fn format_of(dtype: DType) -> Option<&'static CStr> {
    Some(match dtype {
        DType::Bool => c"?",
        DType::U8 => c"B",
        DType::U16 => c"H",
        DType::U32 => c"I",
        DType::U64 => c"Q",
        DType::I8 => c"b",
        DType::I16 => c"h",
        DType::I32 => c"i",
        DType::I64 => c"q",
        DType::F16 => c"e",
        DType::F32 => c"f",
        DType::F64 => c"d",
        DType::C64 => c"Zf",
        DType::C128 => c"Zd",
        DType::BF16 => return None,
    })
}

/// What an exported buffer points to.
struct Exported {
    _array: Array,
    shape: Vec<isize>,
    strides: Vec<isize>,
}

/// Fills `view` with the memory of `array`, to be read only.
///
/// # Safety
/// `view` must be a buffer Python asks `owner` to fill.
unsafe fn fill_buffer(owner: Bound<'_, PyAny>, array: Array, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
    if view.is_null() {
        return Err(PyBufferError::new_err("there is no view to fill"));
    }
    if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
        return Err(PyBufferError::new_err("arrays are values: their memory can be read, not written"));
    }
    let Some(format) = format_of(array.dtype()) else {
        return Err(PyBufferError::new_err("buffers have no format for bfloat16: cast to float32, or use DLPack"));
    };
    let strided = flags & ffi::PyBUF_STRIDES == ffi::PyBUF_STRIDES;
    let array = if strided { array } else { array.contiguous() };
    let size = array.dtype().size() as isize;
    let exported = Box::new(Exported {
        shape: array.shape().iter().map(|&d| d as isize).collect(),
        strides: array.strides().iter().map(|&s| s * size).collect(),
        _array: array.clone(),
    });
    let exported = Box::into_raw(exported);
    // SAFETY: `view` is ours to fill; what it points to lives in `exported` until `release_buffer`.
    unsafe {
        (*view).buf = array.first_element().cast_mut().cast();
        (*view).len = array.size() as isize * size;
        (*view).readonly = 1;
        (*view).itemsize = size;
        (*view).format =
            if flags & ffi::PyBUF_FORMAT == ffi::PyBUF_FORMAT { format.as_ptr().cast_mut() } else { ptr::null_mut() };
        (*view).ndim = array.ndim() as c_int;
        (*view).shape =
            if flags & ffi::PyBUF_ND == ffi::PyBUF_ND { (*exported).shape.as_mut_ptr() } else { ptr::null_mut() };
        (*view).strides = if strided { (*exported).strides.as_mut_ptr() } else { ptr::null_mut() };
        (*view).suboffsets = ptr::null_mut();
        (*view).internal = exported.cast::<c_void>();
        (*view).obj = owner.into_ptr();
    }
    Ok(())
}

/// Takes back what `fill_buffer` gave.
///
/// # Safety
/// `view` must have been filled by `fill_buffer`, and be released once.
unsafe fn release_buffer(view: *mut ffi::Py_buffer) {
    // SAFETY: as promised by the caller.
    drop(unsafe { Box::from_raw((*view).internal.cast::<Exported>()) });
}

#[pymethods]
impl PyArray {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let array = value(slf.py(), &slf.get().handle())?;
        // SAFETY: Python asks us to fill `view`.
        unsafe { fill_buffer(slf.into_any(), array, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python gives back what `__getbuffer__` filled.
        unsafe { release_buffer(view) }
    }
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: [c_int; 2],
    ndim: c_int,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

#[repr(C)]
struct Versioned {
    version: [u32; 2],
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: DlTensor,
}

const READ_ONLY: u64 = 1;
const COPIED: u64 = 2;
const CPU: [c_int; 2] = [1, 0];
const PLAIN: &CStr = c"dltensor";
const PLAIN_USED: &CStr = c"used_dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const VERSIONED_USED: &CStr = c"used_dltensor_versioned";

fn code_of(dtype: DType) -> (u8, u8) {
    let code = match dtype {
        DType::Bool => 6,
        DType::BF16 => 4,
        DType::C64 | DType::C128 => 5,
        d if d.is_float() => 2,
        d if d.is_unsigned() => 1,
        _ => 0,
    };
    (code, 8 * dtype.size() as u8)
}

/// What a consumer of DLPack holds until it calls the deleter.
struct Kept {
    _array: Array,
    _shape: Vec<i64>,
    _strides: Vec<i64>,
}

fn tensor_of(array: Array) -> (DlTensor, *mut c_void) {
    let mut shape: Vec<i64> = array.shape().iter().map(|&d| d as i64).collect();
    let mut strides: Vec<i64> = array.strides().iter().map(|&s| s as i64).collect();
    let (code, bits) = code_of(array.dtype());
    let tensor = DlTensor {
        data: array.first_element().cast_mut().cast(),
        device: CPU,
        ndim: array.ndim() as c_int,
        code,
        bits,
        lanes: 1,
        shape: shape.as_mut_ptr(),
        strides: strides.as_mut_ptr(),
        byte_offset: 0,
    };
    // The vectors' memory does not move with them.
    let kept = Box::into_raw(Box::new(Kept { _array: array, _shape: shape, _strides: strides }));
    (tensor, kept.cast())
}

unsafe extern "C" fn delete_plain(managed: *mut Managed) {
    // SAFETY: made by `to_dlpack` with Box::into_raw, and deleted once by whoever took it.
    unsafe {
        drop(Box::from_raw((*managed).context.cast::<Kept>()));
        drop(Box::from_raw(managed));
    }
}

unsafe extern "C" fn delete_versioned(managed: *mut Versioned) {
    // SAFETY: as above.
    unsafe {
        drop(Box::from_raw((*managed).context.cast::<Kept>()));
        drop(Box::from_raw(managed));
    }
}

unsafe extern "C" fn forget_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: a capsule whose name was not changed by a consumer still owns what it points to.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, PLAIN.as_ptr()) != 0 {
            delete_plain(ffi::PyCapsule_GetPointer(capsule, PLAIN.as_ptr()).cast());
        } else if ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) != 0 {
            delete_versioned(ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr()).cast());
        }
    }
}

/// A DLPack capsule on the memory of `array`; versioned ones say that it must not be written.
pub fn to_dlpack(py: Python<'_>, array: Array, versioned: bool, copied: bool) -> PyResult<Bound<'_, PyAny>> {
    let (tensor, context) = tensor_of(array);
    let (pointer, name): (*mut c_void, &CStr) = if versioned {
        let flags = if copied { COPIED } else { READ_ONLY };
        let managed = Versioned { version: [1, 0], context, deleter: Some(delete_versioned), flags, tensor };
        (Box::into_raw(Box::new(managed)).cast(), VERSIONED)
    } else {
        let managed = Managed { tensor, context, deleter: Some(delete_plain) };
        (Box::into_raw(Box::new(managed)).cast(), PLAIN)
    };
    // SAFETY: the pointer is not null, the name is static, and the destructor knows both.
    unsafe {
        let capsule = ffi::PyCapsule_New(pointer, name.as_ptr(), Some(forget_capsule));
        Bound::from_owned_ptr_or_err(py, capsule)
    }
}

/// A tensor of another library, given back to it when dropped.
enum Taken {
    Plain(NonNull<Managed>),
    Versioned(NonNull<Versioned>),
}

// SAFETY: DLPack asks that deleters may be called from any thread; deleters that need the interpreter attach themselves.
unsafe impl Send for Taken {}
// SAFETY: the memory is only read.
unsafe impl Sync for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        // Producers written in Python expect the interpreter.
        Python::try_attach(|_| {
            // SAFETY: the consumer calls the deleter once, which frees the struct.
            unsafe {
                match self {
                    Taken::Plain(m) => m.as_ref().deleter.map(|delete| delete(m.as_ptr())),
                    Taken::Versioned(m) => m.as_ref().deleter.map(|delete| delete(m.as_ptr())),
                }
            }
        });
    }
}

/// The array in a DLPack capsule, which is used up; without a copy where that can be.
pub fn from_dlpack(capsule: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<Array> {
    // SAFETY: the names say what the capsule holds; renaming it makes us the owner, as the protocol asks.
    let (tensor, taken) = unsafe {
        let object = capsule.as_ptr();
        if ffi::PyCapsule_IsValid(object, VERSIONED.as_ptr()) != 0 {
            let managed: *mut Versioned = ffi::PyCapsule_GetPointer(object, VERSIONED.as_ptr()).cast();
            if (*managed).version[0] > 1 {
                return Err(PyBufferError::new_err(format!("DLPack {} is newer than 1.x", (*managed).version[0])));
            }
            ffi::PyCapsule_SetName(object, VERSIONED_USED.as_ptr());
            (&(*managed).tensor, Taken::Versioned(NonNull::new_unchecked(managed)))
        } else if ffi::PyCapsule_IsValid(object, PLAIN.as_ptr()) != 0 {
            let managed: *mut Managed = ffi::PyCapsule_GetPointer(object, PLAIN.as_ptr()).cast();
            ffi::PyCapsule_SetName(object, PLAIN_USED.as_ptr());
            (&(*managed).tensor, Taken::Plain(NonNull::new_unchecked(managed)))
        } else {
            return Err(PyBufferError::new_err("this is no unused DLPack capsule"));
        }
    };
    if tensor.device[0] != CPU[0] {
        return Err(PyBufferError::new_err(format!(
            "the memory is on a device of type {}, arrays live on the CPU: move it there first",
            tensor.device[0]
        )));
    }
    let code = (tensor.code, tensor.bits);
    let dtype = DType::ALL.into_iter().find(|&d| code_of(d) == code && tensor.lanes == 1);
    let Some(dtype) = dtype else {
        let text = format!("DLPack's type {} of {} bits has no dtype here", tensor.code, tensor.bits);
        return Err(PyBufferError::new_err(text));
    };
    let n = tensor.ndim as usize;
    // SAFETY: the producer keeps `ndim` sizes and strides (or no strides, for row-major order) until the deleter is called.
    let (shape, strides) = unsafe {
        let list = |p: *mut i64| if n == 0 || p.is_null() { &[][..] } else { std::slice::from_raw_parts(p, n) };
        (list(tensor.shape), list(tensor.strides))
    };
    let shape: Shape = shape.iter().map(|&d| d as usize).collect();
    let size = dtype.size() as isize;
    let strides: Vec<isize> = match strides.len() == n {
        true => strides.iter().map(|&s| s as isize * size).collect(),
        false => shape.contiguous_strides().iter().map(|&s| s * size).collect(),
    };
    let first = tensor.data.cast::<u8>().cast_const().wrapping_add(tensor.byte_offset as usize);
    // SAFETY: the producer promises readable elements until the deleter is called, which `taken` does.
    unsafe { lent(first, shape, &strides, dtype, copy, Box::new(taken)) }
}
