//! Order: stable argsort and binary search.

use super::strided::{CHUNK, Reader, Source, Walk, par_chunks};
use crate::{Array, Element, bf16, f16, with_real_dtype};

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
        with_real_dtype!(x.dtype(), T => {
            let values = x.as_slice::<T>().expect("contiguous");
            par_chunks(out, (CHUNK / 16 / n.max(1)).max(1) * n, cost, |start, piece| {
                let mut scratch = Scratch::default();
                for (r, row) in piece.chunks_exact_mut(n).enumerate() {
                    sort_row(&values[start + r * n..][..n], descending, &mut scratch, row);
                }
            });
        });
    })
}

/// Sorts packed pairs of a key (high bits) and an index (low bits). All pairs differ, so that any sort is a stable one.
fn sort_row<T: Key>(values: &[T], descending: bool, scratch: &mut Scratch, out: &mut [i64]) {
    let keys = values.iter().map(|v| v.directed_key(descending)).enumerate();
    if T::KEY_BITS <= 32 && values.len() <= u32::MAX as usize {
        scratch.narrow.clear();
        scratch.narrow.extend(keys.map(|(i, key)| key << 32 | i as u64));
        sort_pairs(&mut scratch.narrow, &mut scratch.spare_narrow, T::KEY_BITS);
        out.iter_mut().zip(&scratch.narrow).for_each(|(o, &pair)| *o = i64::from(pair as u32));
    } else {
        scratch.wide.clear();
        scratch.wide.extend(keys.map(|(i, key)| u128::from(key) << 64 | i as u128));
        sort_pairs(&mut scratch.wide, &mut scratch.spare_wide, T::KEY_BITS);
        out.iter_mut().zip(&scratch.wide).for_each(|(o, &pair)| *o = pair as u64 as i64);
    }
}

/// Buffers that the rows of a task share.
#[derive(Default)]
struct Scratch {
    narrow: Vec<u64>,
    spare_narrow: Vec<u64>,
    wide: Vec<u128>,
    spare_wide: Vec<u128>,
}

/// A key of at most half its bits above an index in the lower half.
trait Pair: Copy + Default + Ord {
    const INDEX_BITS: u32;
    /// Byte `digit` of the key, the lowest first.
    fn digit(self, digit: u32) -> usize;
}

impl Pair for u64 {
    const INDEX_BITS: u32 = 32;
    #[inline(always)]
    fn digit(self, digit: u32) -> usize {
        (self >> (Self::INDEX_BITS + 8 * digit)) as usize & 255
    }
}

impl Pair for u128 {
    const INDEX_BITS: u32 = 64;
    #[inline(always)]
    fn digit(self, digit: u32) -> usize {
        (self >> (Self::INDEX_BITS + 8 * digit)) as usize & 255
    }
}

/// Rows shorter than this are sorted by comparison.
const RADIX_FROM: usize = 512;

/// Radix sort by the bytes of the key, lowest first; the indices stand in order already. Bytes that are equal in all
/// keys cost nothing.
fn sort_pairs<P: Pair>(pairs: &mut Vec<P>, spare: &mut Vec<P>, key_bits: u32) {
    if pairs.len() < RADIX_FROM {
        return pairs.sort_unstable();
    }
    let digits = key_bits.div_ceil(8);
    let mut counts = [[0usize; 256]; 8];
    for &pair in pairs.iter() {
        (0..digits).for_each(|d| counts[d as usize][pair.digit(d)] += 1);
    }
    spare.resize(pairs.len(), P::default());
    for digit in 0..digits {
        let places = &mut counts[digit as usize];
        if places.contains(&pairs.len()) {
            continue;
        }
        let mut next = 0;
        places.iter_mut().for_each(|place| (*place, next) = (next, next + *place));
        for &pair in pairs.iter() {
            let place = &mut places[pair.digit(digit)];
            spare[*place] = pair;
            *place += 1;
        }
        std::mem::swap(pairs, spare);
    }
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
    Array::build::<i64>(values.shape().clone(), |out| {
        with_real_dtype!(sorted.dtype(), T => match right {
            false => places::<T>(sorted, values, out, |here, wanted| here < wanted),
            true => places::<T>(sorted, values, out, |here, wanted| here <= wanted),
        });
    })
}

fn places<T: Key>(
    sorted: &Array,
    values: &Array,
    out: &mut [i64],
    before: impl Fn(T::Bits, T::Bits) -> bool + Send + Sync,
) {
    let last = sorted.ndim() - 1;
    let (n, k, step) = (sorted.shape()[last], values.shape()[last], sorted.strides()[last]);
    let (source, wanted) = (Source::<T>::of(sorted), Source::<T>::of(values));
    let rows = Walk::new(&sorted.shape()[..last], &sorted.strides()[..last]);
    let walk = Walk::new(values.shape(), values.strides());
    // Many searches pay for having all keys ready.
    let keys: Vec<T::Bits> =
        if sorted.size() <= values.size() { sorted.to_vec::<T>().into_iter().map(T::key).collect() } else { vec![] };
    let cost = out.len().saturating_mul(16);
    par_chunks(out, CHUNK / 16, cost, |start, piece| {
        let mut buffer = vec![T::default(); piece.len()];
        Reader::new(&wanted, &walk, 0, start).read(&mut buffer);
        // The piece is cut where rows end.
        let (mut at, mut rest) = (start, (piece, &buffer[..]));
        while !rest.1.is_empty() {
            let (row, len) = (at / k, (k - at % k).min(rest.1.len()));
            let (out, later) = rest.0.split_at_mut(len);
            let (values, later_values) = rest.1.split_at(len);
            (at, rest) = (at + len, (later, later_values));
            let base = rows.at(row);
            match keys.get(row * n..(row + 1) * n) {
                Some(keys) => out.iter_mut().zip(values).for_each(|(o, value)| {
                    let key = value.key();
                    *o = search(n, |m| before(keys[m], key));
                }),
                None => out.iter_mut().zip(values).for_each(|(o, value)| {
                    let key = value.key();
                    *o = search(n, |m| before(source.at(base + m as isize * step).key(), key));
                }),
            }
        }
    });
}

/// The number of leading places in `0..n` for which `before` holds. No branch depends on the data.
#[inline(always)]
fn search(n: usize, before: impl Fn(usize) -> bool) -> i64 {
    let (mut found, mut left) = (0, n);
    while left > 0 {
        let half = left.div_ceil(2);
        // If the middle one lies before, so do all up to it.
        found += std::hint::select_unpredictable(before(found + half - 1), half, 0);
        left -= half;
    }
    found as i64
}

/// Values in an order that unsigned integers can express.
trait Key: Element {
    /// An unsigned integer as wide as the value.
    type Bits: Copy + Ord + Into<u64> + Send + Sync;

    /// How many bits a key has.
    const KEY_BITS: u32 = 8 * Self::DTYPE.size() as u32;
    /// All bits set: the key of NaN, and of no other float.
    const ALL_BITS: u64 = u64::MAX >> (64 - Self::KEY_BITS);

    /// Larger for larger values.
    fn key(self) -> Self::Bits;

    #[inline(always)]
    fn directed_key(self, descending: bool) -> u64 {
        let key: u64 = self.key().into();
        let nan = Self::DTYPE.is_float() && key == Self::ALL_BITS;
        if descending && !nan { key ^ Self::ALL_BITS } else { key }
    }
}

macro_rules! int_keys {
    ($($t:ty as $bits:ty: $sign:expr),*) => {$(
        impl Key for $t {
            type Bits = $bits;
            #[inline(always)]
            fn key(self) -> $bits { self as $bits ^ $sign }
        }
    )*};
}
int_keys!(bool as u8: 0, u8 as u8: 0, u16 as u16: 0, u32 as u32: 0, u64 as u64: 0,
    i8 as u8: 1 << 7, i16 as u16: 1 << 15, i32 as u32: 1 << 31, i64 as u64: 1 << 63);

macro_rules! float_keys {
    ($($t:ty as $bits:ty, $signed:ty),*) => {$(
        impl Key for $t {
            type Bits = $bits;
            /// Negative numbers have all bits flipped, the others only the sign; -0 is taken for +0.
            #[inline(always)]
            fn key(self) -> $bits {
                let sign: $bits = 1 << (<$bits>::BITS - 1);
                let bits = if self.to_bits() == sign { 0 } else { self.to_bits() };
                let key = bits ^ ((bits as $signed >> (<$bits>::BITS - 1)) as $bits | sign);
                if self.is_nan() { <$bits>::MAX } else { key }
            }
        }
    )*};
}
float_keys!(f16 as u16, i16, bf16 as u16, i16, f32 as u32, i32, f64 as u64, i64);
