//! Products of matrices, batched: the one door to the `gemm` family of crates.

use gemm_common::Parallelism;

use super::cast;
use super::layout::Shared;
use crate::math::Num;
use crate::{Array, DType, Element, Shape, threads};

/// Multiply-adds per piece of parallel work, roughly.
const WORK: usize = 1 << 22;

/// `[b, m, k] @ [b, k, n] -> [b, m, n]`, any strides (a batch stride may be 0).
///
/// f16 and bf16 are multiplied and summed in f32; integers wrap.
///
/// # Panics
/// If the operands are not 3-d arrays of the same numeric dtype with fitting shapes.
pub fn matmul(a: &Array, b: &Array) -> Array {
    let (sa, sb) = (a.shape(), b.shape());
    assert!(
        sa.len() == 3 && sb.len() == 3 && sa[0] == sb[0] && sa[2] == sb[1],
        "no batched matrix product {sa} @ {sb}"
    );
    assert_eq!(a.dtype(), b.dtype(), "a matrix product needs one dtype");
    match a.dtype() {
        DType::F32 => floats(a, b, gemm_f32::gemm::f32::get_gemm_fn(), (0.0, 1.0)),
        DType::F64 => floats(a, b, gemm_f64::gemm::f64::get_gemm_fn(), (0.0, 1.0)),
        half @ (DType::F16 | DType::BF16) => cast(&matmul(&cast(a, DType::F32), &cast(b, DType::F32)), half),
        DType::Bool => panic!("no matrix product of bool: cast first"),
        DType::U8 | DType::I8 => integers::<u8>(a, b),
        DType::U16 | DType::I16 => integers::<u16>(a, b),
        DType::U32 | DType::I32 => integers::<u32>(a, b),
        DType::U64 | DType::I64 => integers::<u64>(a, b),
    }
}

/// A matrix of the batch: pointer to the first element and strides in elements.
struct Factor {
    ptr: Shared<u8>,
    batch: isize,
    rows: isize,
    columns: isize,
}

impl Factor {
    fn of(x: &Array) -> Factor {
        let s = x.strides();
        Factor { ptr: Shared(x.ptr::<u8>().cast_mut()), batch: s[0], rows: s[1], columns: s[2] }
    }

    /// Element `[batch, row, column]`.
    fn at<T>(&self, batch: usize, row: usize, column: usize) -> *mut T {
        let offset = batch as isize * self.batch + row as isize * self.rows + column as isize * self.columns;
        self.ptr.get().cast::<T>().wrapping_offset(offset)
    }
}

/// A kernel of the gemm crates: sizes m, n, k; destination; whether it is read; factors; scales; conjugations; threads.
type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

fn floats<T: Element>(a: &Array, b: &Array, gemm: Gemm<T>, (zero, one): (T, T)) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::uninit(Shape::from([batch, m, n]), T::DTYPE);
    if out.size() == 0 {
        return out;
    }
    let (fa, fb, fo) = (Factor::of(a), Factor::of(b), Factor::of(&out));
    // Pieces depend on shapes alone, so that results do not depend on the number of threads.
    let cost = m * n * k.max(1);
    let split = if batch >= 8 { 1 } else { (cost / WORK).clamp(1, 8) };
    let (by_rows, along) = if m >= n { (true, m) } else { (false, n) };
    let piece = along.div_ceil(split).next_multiple_of(16).min(along);
    let pieces = along.div_ceil(piece);
    threads::for_each(batch * pieces, batch * cost, |i| {
        let (batch, start) = (i / pieces, i % pieces * piece);
        let len = piece.min(along - start);
        let (row, column, m, n) = if by_rows { (start, 0, len, n) } else { (0, start, m, len) };
        let (a, b, o) = (fa.at::<T>(batch, row, 0), fb.at::<T>(batch, 0, column), fo.at::<T>(batch, row, column));
        // The kernels like a destination whose columns are contiguous: outᵀ = bᵀ aᵀ. They expect a depth that runs forwards.
        let forwards = fb.rows >= 0;
        let last = if forwards { 0 } else { k as isize - 1 };
        let (b, b_depth) = (b.wrapping_offset(last * fb.rows), fb.rows.abs());
        let (a, a_depth) = (a.wrapping_offset(last * fa.columns), if forwards { fa.columns } else { -fa.columns });
        // SAFETY: the strides and sizes are those of arrays alive here; pieces of the output are disjoint.
        unsafe {
            gemm(
                n,
                m,
                k,
                o,
                fo.rows,
                fo.columns,
                false,
                b,
                b_depth,
                fb.columns,
                a,
                fa.rows,
                a_depth,
                zero,
                one,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    });
    out
}

/// Wrapping products do not depend on the sign, so signed integers are multiplied as unsigned ones.
fn integers<T: Num>(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (a, b) = (a.contiguous(), b.contiguous());
    let out = Array::uninit(Shape::from([batch, m, n]), a.dtype());
    let (pa, pb, po) =
        (Shared(a.ptr::<T>().cast_mut()), Shared(b.ptr::<T>().cast_mut()), Shared(out.ptr::<T>().cast_mut()));
    threads::for_each(batch * m, batch * m * k * n, |i| {
        // SAFETY: contiguous arrays of `batch * m * k`, `batch * k * n` and `batch * m * n` elements of T's size; each
        // call writes its own row.
        let (row, matrix, out) = unsafe {
            (
                std::slice::from_raw_parts(pa.get().add(i * k), k),
                std::slice::from_raw_parts(pb.get().add(i / m * k * n), k * n),
                std::slice::from_raw_parts_mut(po.get().add(i * n), n),
            )
        };
        out.fill(T::default());
        for (&x, line) in row.iter().zip(matrix.chunks_exact(n.max(1))) {
            out.iter_mut().zip(line).for_each(|(o, &y)| *o = Num::add(*o, Num::mul(x, y)));
        }
    });
    out
}
