//! Order: stable argsort and binary search.

use super::strided::{CHUNK, Reader, Source, Walk, par_chunks};
use crate::{Array, Element, bf16, f16, with_dtype};

/// The indices (i64) that sort `x` along `axis`, stable in both directions; NaN comes last always. Shapes: `x -> x`.
///
/// `-0.0` and `0.0` are equal. Source: `numpy.argsort(kind="stable")`, `torch.argsort(stable=True)`.
pub fn argsort(x: &Array, axis: usize, descending: bool) -> Array {
    if axis + 1 != x.ndim() {
        // Sort along the last axis of a permuted view, and permute the result back.
        let mut axes: Vec<usize> = (0..x.ndim()).filter(|&a| a != axis).collect();
        axes.push(axis);
        let sorted = argsort(&x.permute(&axes), x.ndim() - 1, descending);
        let mut back: Vec<usize> = (0..x.ndim() - 1).collect();
        back.insert(axis, x.ndim() - 1);
        return sorted.permute(&back).contiguous();
    }
    let n = x.shape()[axis];
    let x = &x.contiguous();
    Array::build::<i64>(x.shape().clone(), |out| {
        let cost = out.len().saturating_mul(16);
        with_dtype!(x.dtype(), T => {
            let values = x.as_slice::<T>().expect("contiguous");
            par_chunks(out, (CHUNK / 16 / n.max(1)).max(1) * n, cost, |start, piece| {
                let mut keys = Vec::with_capacity(n);
                for (r, row) in piece.chunks_exact_mut(n).enumerate() {
                    sort_row(&values[start + r * n..][..n], descending, &mut keys, row);
                }
            });
        });
    })
}

/// Key above the value, index below it: all packed pairs differ, so an unstable sort of them is a stable sort of values.
fn sort_row<T: Key>(values: &[T], descending: bool, pairs: &mut Vec<u128>, out: &mut [i64]) {
    pairs.clear();
    pairs.extend(values.iter().enumerate().map(|(i, v)| u128::from(v.directed_key(descending)) << 64 | i as u128));
    pairs.sort_unstable();
    out.iter_mut().zip(pairs).for_each(|(o, &mut pair)| *o = pair as u64 as i64);
}

/// Where each value belongs in a sorted row (i64): `sorted [.., n], values [.., k] -> [.., k]`, leading axes equal.
///
/// The first place that keeps the order, or the last one with `right`. NaN is the largest value.
///
/// # Panics
/// If the dtypes or the leading axes differ. Source: `numpy.searchsorted`, `torch.searchsorted`.
pub fn searchsorted(sorted: &Array, values: &Array, right: bool) -> Array {
    assert_eq!(sorted.dtype(), values.dtype(), "searchsorted of different dtypes");
    let last = sorted.ndim() - 1;
    let same = values.ndim() == sorted.ndim() && values.shape()[..last] == sorted.shape()[..last];
    assert!(same, "searchsorted: leading axes of {} and {} differ", sorted.shape(), values.shape());
    let (n, k) = (sorted.shape()[last], values.shape()[last]);
    let step = sorted.strides()[last];
    Array::build::<i64>(values.shape().clone(), |out| {
        let cost = out.len().saturating_mul(16);
        with_dtype!(sorted.dtype(), T => {
            let (source, wanted) = (Source::<T>::of(sorted), Source::<T>::of(values));
            let rows = Walk::new(&sorted.shape()[..last], &sorted.strides()[..last]);
            let walk = Walk::new(values.shape(), values.strides());
            par_chunks(out, CHUNK / 16, cost, |start, piece| {
                let mut wanted = Reader::new(&wanted, &walk, 0, start);
                let mut value = [T::default()];
                for (i, o) in piece.iter_mut().enumerate() {
                    wanted.read(&mut value);
                    let base = rows.at((start + i) / k);
                    let key = value[0].key();
                    *o = search(n, |m| {
                        let here = source.at(base + m as isize * step).key();
                        here < key || (right && here == key)
                    });
                }
            });
        });
    })
}

/// The number of leading places in `0..n` for which `before` holds.
fn search(n: usize, before: impl Fn(usize) -> bool) -> i64 {
    let (mut lo, mut hi) = (0, n);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if before(mid) { lo = mid + 1 } else { hi = mid }
    }
    lo as i64
}

/// Values in an order that unsigned integers can express.
trait Key: Element {
    /// Larger for larger values; `u64::MAX` for NaN and for no other float.
    fn key(self) -> u64;

    fn directed_key(self, descending: bool) -> u64 {
        let key = self.key();
        let nan = Self::DTYPE.is_float() && key == u64::MAX;
        if descending && !nan { !key } else { key }
    }
}

macro_rules! keys {
    ($($t:ty, $v:ident => $key:expr;)*) => {$(
        impl Key for $t {
            #[inline(always)]
            fn key(self) -> u64 { let $v = self; $key }
        }
    )*};
}
keys! {
    bool, v => u64::from(v);
    u8, v => u64::from(v);
    u16, v => u64::from(v);
    u32, v => u64::from(v);
    u64, v => v;
    i8, v => i64::from(v).key();
    i16, v => i64::from(v).key();
    i32, v => i64::from(v).key();
    i64, v => v as u64 ^ 1 << 63;
    f16, v => f64::from(v.to_f32()).key();
    bf16, v => f64::from(v.to_f32()).key();
    f32, v => f64::from(v).key();
    f64, v => float_key(v);
}

fn float_key(v: f64) -> u64 {
    if v.is_nan() {
        return u64::MAX;
    }
    // Adding zero makes -0 into +0. Negative numbers have all bits flipped, the others only the sign.
    let bits = (v + 0.0).to_bits();
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}
