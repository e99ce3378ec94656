//! Printing tensors: aligned columns, summarised where they are long, in the layout PyTorch's users know.
//!
//! `{}` shows the numbers and computes them if it must. `{:?}` never computes: it names the primitive and the spec, and
//! shows the numbers only where they are known already.

use std::fmt;

use covector_array::{Array, DType, c128, kernels, with_dtype};

use crate::Tensor;

/// Where lines end.
const WIDTH: usize = 80;
/// Elements shown at either end of an axis that is summarised.
const EDGE: usize = 3;
/// Tensors with more elements are summarised.
const MOST: usize = 1000;
/// As [`MOST`], where everything stands on one line.
const MOST_IN_LINE: usize = 16;
const PREFIX: &str = "tensor(";

/// The numbers, the dtype unless it is a default one (f32, i64, bool), and the shape if there are no numbers.
///
/// Columns are aligned; beyond 1,000 elements each axis shows 3 at either end; numbers that are very large, very small or
/// far apart are written in scientific notation. A precision sets the digits: `{:.2}`.
///
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 10.5], [-2.25, 3.0]]);
/// assert_eq!(x.to_string(), "\
/// tensor([[ 1.0000, 10.5000],
///         [-2.2500,  3.0000]])");
/// assert_eq!(format!("{x:.1}"), "\
/// tensor([[ 1.0, 10.5],
///         [-2.2,  3.0]])");
/// let z = Tensor::from([covector::c128::new(1.5, -2.0), covector::c128::new(0.0, 1.0)]);
/// assert_eq!(z.to_string(), "tensor([1.5000-2.j, 0.0000+1.j], dtype=c128)");
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Inside `vmap` there is no value to show; printing must not end the program.
        let Ok(value) = self.try_value() else { return write!(f, "{PREFIX}{self:?})") };
        let mut text = PREFIX.to_owned();
        Picture::of(&value, MOST, f.precision()).write(&mut text, PREFIX.len(), true);
        let default = matches!(self.dtype(), DType::F32 | DType::I64 | DType::Bool);
        let shape = (self.size() == 0 && self.ndim() != 1).then(|| format!("shape={}", self.shape()));
        // Without numbers nothing else tells an i64 from an f32.
        let shown = if self.size() == 0 { self.dtype() != DType::F32 } else { !default };
        let dtype = shown.then(|| format!("dtype={}", self.dtype()));
        for note in shape.into_iter().chain(dtype) {
            let column = text.len() - text.rfind('\n').map_or(0, |end| end + 1);
            if column + 2 + note.len() + 1 > WIDTH {
                text += &format!(",\n{:indent$}{note}", "", indent = PREFIX.len());
            } else {
                text += &format!(", {note}");
            }
        }
        write!(f, "{text})")
    }
}

/// The primitive, the dtype and shape, and the numbers if they are known; evaluates nothing.
///
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([1.0f32, 2.0]).square();
/// assert_eq!(format!("{y:?}"), "square f32[2]");
/// y.value();
/// assert_eq!(format!("{y:?}"), "square f32[2] [1., 4.]");
/// ```
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.primitive().name(), self.spec())?;
        let Some(value) = self.cached() else { return Ok(()) };
        let mut text = String::new();
        Picture::of(value, MOST_IN_LINE, f.precision()).write(&mut text, 0, false);
        write!(f, " {text}")
    }
}

/// The elements to be shown, written out and of one width.
struct Picture {
    cells: Vec<String>,
    width: usize,
    /// For each axis how many elements are shown, and whether the middle is left out.
    axes: Vec<(usize, bool)>,
}

impl Picture {
    fn of(value: &Array, most: usize, precision: Option<usize>) -> Picture {
        let cut = |&size: &usize| value.size() > most && size > 2 * EDGE;
        let axes: Vec<(usize, bool)> =
            value.shape().iter().map(|size| if cut(size) { (2 * EDGE, true) } else { (*size, false) }).collect();
        let shown = edges(value, &axes);
        let cells = match value.dtype() {
            d if d.is_complex() => written_complex(&shown, precision.unwrap_or(4)),
            d if d.is_float() => written_floats(&shown.to_f64_vec(), precision.unwrap_or(4)),
            d => with_dtype!(d, T => shown.to_vec::<T>().iter().map(|x| format!("{x:?}")).collect()),
        };
        let width = cells.iter().map(String::len).max().unwrap_or(0);
        Picture { cells, width, axes }
    }

    /// Appends the brackets and numbers; in lines where `lines`, the first of which begins at column `indent`.
    fn write(&self, text: &mut String, indent: usize, lines: bool) {
        match self.axes.len() {
            _ if self.cells.is_empty() => text.push_str("[]"),
            0 => text.push_str(&self.cells[0]),
            _ => self.axis(text, 0, 0, indent, lines),
        }
    }

    /// Appends the part that begins at cell `first`, of the axes from `axis` on.
    fn axis(&self, text: &mut String, axis: usize, first: usize, indent: usize, lines: bool) {
        let inner = self.axes.len() - axis - 1;
        let (shown, cut) = self.axes[axis];
        let stride: usize = self.axes[axis + 1..].iter().map(|a| a.0).product();
        let dots = if inner == 0 && lines { " ..." } else { "..." };
        let mut items: Vec<String> = Vec::with_capacity(shown + 1);
        for i in 0..shown {
            if cut && i == EDGE {
                items.push(dots.to_owned());
            }
            let mut item = String::new();
            match inner {
                0 if lines => item = format!("{:>w$}", self.cells[first + i], w = self.width),
                0 => item.push_str(&self.cells[first + i]),
                _ => self.axis(&mut item, axis + 1, first + i * stride, indent + 1, lines),
            }
            items.push(item);
        }
        let per_line = match inner {
            0 if lines => (WIDTH.saturating_sub(indent) / (self.width + 2)).max(1),
            0 => usize::MAX,
            _ if lines => 1,
            _ => usize::MAX,
        };
        let rows: Vec<String> = items.chunks(per_line).map(|row| row.join(", ")).collect();
        let between = format!(",{}{:indent$} ", "\n".repeat(inner.max(1)), "");
        text.push('[');
        text.push_str(&rows.join(&between));
        text.push(']');
    }
}

/// The first and last elements of every axis that is cut, the longest axis first, so that little is copied.
fn edges(value: &Array, axes: &[(usize, bool)]) -> Array {
    let mut cut: Vec<usize> = (0..axes.len()).filter(|&a| axes[a].1).collect();
    cut.sort_by_key(|&a| std::cmp::Reverse(value.shape()[a]));
    cut.iter().fold(value.clone(), |x, &axis| {
        let steps = vec![1; x.ndim()];
        let end = |start: usize| {
            let mut starts = vec![0; x.ndim()];
            starts[axis] = start;
            x.slice(&starts, &x.shape().with_axis(axis, EDGE), &steps)
        };
        kernels::concat(&[end(0), end(x.shape()[axis] - EDGE)], axis)
    })
}

/// The numbers in the one notation that suits them all.
///
/// Whole numbers are written `3.`, others with `precision` digits, and all in scientific notation if the largest is more
/// than 1,000 times the smallest, above 1e8, or (unless all are whole) the smallest is below 1e-4.
fn written_floats(values: &[f64], precision: usize) -> Vec<String> {
    let sizes = || values.iter().map(|x| x.abs()).filter(|x| x.is_finite() && *x != 0.0);
    let (least, largest) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    let scientific = largest > 0.0 && (largest / least > 1e3 || largest > 1e8 || least < 1e-4);
    let whole = sizes().all(|x| x.fract() == 0.0);
    let write = |&x: &f64| match x {
        x if x.is_nan() => "nan".to_owned(),
        x if x.is_infinite() => format!("{x}"),
        x if scientific => with_exponent(x, precision),
        x if whole => format!("{x:.0}."),
        x => format!("{x:.precision$}"),
    };
    values.iter().map(write).collect()
}

/// `1.0000+2.0000j`: all real parts in one notation, and all imaginary parts.
fn written_complex(values: &Array, precision: usize) -> Vec<String> {
    let all = values.to_c128_vec();
    let part = |of: fn(&c128) -> f64| written_floats(&all.iter().map(of).collect::<Vec<_>>(), precision);
    let (re, im) = (part(|z| z.re), part(|z| z.im));
    re.iter().zip(&im).map(|(re, im)| format!("{re}{}{im}j", if im.starts_with('-') { "" } else { "+" })).collect()
}

/// `1.5000e+03`: a signed exponent of at least two digits, so that columns align.
fn with_exponent(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{digits}e{exponent:+03}")
        }
        None => text,
    }
}
