//! Order: stable argsort, the largest few, and binary search.

use super::strided::{CHUNK, Reader, Source, Walk, par_chunks};
use crate::isa::{Work, dispatch};
use crate::{Array, Element, bf16, f16, with_real_dtype};

/// The indices (i64) that sort `x` along `axis`, stable in both directions; NaN comes last always. Shapes: `x -> x`.
///
/// `-0.0` and `0.0` are equal. Source: `numpy.argsort(kind="stable")`, `torch.argsort(stable=True)`.
pub fn argsort(x: &Array, axis: usize, descending: bool) -> Array {
    if axis + 1 != x.ndim() {
        return along_last(x, axis, |x, last| argsort(x, last, descending));
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

/// What `f` makes of a permuted view along its last axis, permuted back.
fn along_last(x: &Array, axis: usize, f: impl Fn(&Array, usize) -> Array) -> Array {
    let last = x.ndim() - 1;
    let mut axes: Vec<usize> = (0..last).collect();
    axes.insert(axis, last);
    let there: Vec<usize> = (0..=last).filter(|&a| a != axis).chain([axis]).collect();
    f(&x.permute(&there), last).permute(&axes).contiguous()
}

/// The indices (i64) of the `k` largest elements along `axis`, the largest first: the first `k` of [`argsort`], descending.
/// Shapes: `[.., n, ..] -> [.., k, ..]`.
///
/// # Panics
/// If the axis has fewer than `k` elements. Source: `torch.topk`.
pub fn arg_largest(x: &Array, k: usize, axis: usize) -> Array {
    if axis + 1 != x.ndim() {
        return along_last(x, axis, |x, last| arg_largest(x, k, last));
    }
    let n = x.shape()[axis];
    assert!(k <= n, "the {k} largest of {n} elements");
    let x = &x.contiguous();
    Array::build::<i64>(x.shape().with_axis(axis, k), |out| {
        with_real_dtype!(x.dtype(), T => {
            let values = x.as_slice::<T>().expect("contiguous");
            let rows = (CHUNK / n.max(1)).max(1);
            par_chunks(out, rows * k, x.size().saturating_mul(2), |start, piece| {
                let mut scratch = Scratch::default();
                for (r, out) in piece.chunks_exact_mut(k).enumerate() {
                    largest_of_row(&values[(start / k + r) * n..][..n], &mut scratch, out);
                }
            });
        });
    })
}

/// Below this number of elements for each that is wanted, all are sorted.
const SELECT_FROM: usize = 8;

/// See [`arg_largest`].
fn largest_of_row<T: Key>(values: &[T], scratch: &mut Scratch, out: &mut [i64]) {
    if values.len() < 2 * RUN || values.len() / SELECT_FROM < out.len() {
        let mut order = vec![0; values.len()];
        sort_row(values, true, scratch, &mut order);
        return out.copy_from_slice(&order[..out.len()]);
    }
    if T::KEY_BITS <= 32 && values.len() <= u32::MAX as usize {
        select(values, &mut scratch.narrow, out);
    } else {
        select(values, &mut scratch.wide, out);
    }
}

/// Goes through the values with those that may be among the first `k`, and the key that has to be undercut to join them.
fn select<T: Key, P: Pair>(values: &[T], pairs: &mut Vec<P>, out: &mut [i64]) {
    let k = out.len();
    let room = (4 * k).max(2 * RUN);
    pairs.clear();
    let keep_first = |pairs: &mut Vec<P>| {
        pairs.select_nth_unstable(k - 1);
        pairs.truncate(k);
    };
    dispatch(Select { values, pairs, k, room, keep_first });
    if pairs.len() > k {
        keep_first(pairs);
    }
    pairs.sort_unstable();
    out.iter_mut().zip(pairs.iter()).for_each(|(o, pair)| *o = pair.index() as i64);
}

/// Values looked at together.
const RUN: usize = 32;

/// See [`select`].
struct Select<'a, T, P, F> {
    values: &'a [T],
    pairs: &'a mut Vec<P>,
    k: usize,
    room: usize,
    keep_first: F,
}

impl<T: Key, P: Pair, F: Fn(&mut Vec<P>)> Work for Select<'_, T, P, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        // The first ones all come in.
        let (head, rest) = self.values.split_at(self.room - RUN);
        self.pairs.extend(head.iter().enumerate().map(|(i, v)| P::new(v.directed_key(true), i)));
        (self.keep_first)(self.pairs);
        let mut least = self.values[self.pairs[self.k - 1].index()].rank();
        let (runs, tail) = rest.as_chunks::<RUN>();
        for (r, run) in runs.iter().enumerate() {
            // Of equal ones those that came first stay.
            let mut any = false;
            for v in run {
                any |= v.rank() > least;
            }
            if !any {
                continue;
            }
            self.join(run, head.len() + r * RUN, least);
            if self.pairs.len() > self.room - RUN {
                (self.keep_first)(self.pairs);
                least = self.values[self.pairs[self.k - 1].index()].rank();
            }
        }
        self.join(tail, head.len() + runs.len() * RUN, least);
    }
}

impl<T: Key, P: Pair, F> Select<'_, T, P, F> {
    /// Takes in what comes before `least`.
    #[inline(always)]
    fn join(&mut self, run: &[T], first: usize, least: T::Bits) {
        for (i, v) in run.iter().enumerate().filter(|(_, v)| v.rank() > least) {
            self.pairs.push(P::new(v.directed_key(true), first + i));
        }
    }
}

/// Sorts packed pairs of a key (high bits) and an index (low bits). All pairs differ, so that any sort is a stable one.
fn sort_row<T: Key>(values: &[T], descending: bool, scratch: &mut Scratch, out: &mut [i64]) {
    if T::KEY_BITS <= 32 && values.len() <= u32::MAX as usize {
        sort_row_as(values, descending, (&mut scratch.narrow, &mut scratch.spare_narrow), out);
    } else {
        sort_row_as(values, descending, (&mut scratch.wide, &mut scratch.spare_wide), out);
    }
}

fn sort_row_as<T: Key, P: Pair>(
    values: &[T],
    descending: bool,
    (pairs, spare): (&mut Vec<P>, &mut Vec<P>),
    out: &mut [i64],
) {
    pairs.clear();
    pairs.extend(values.iter().enumerate().map(|(i, v)| P::new(v.directed_key(descending), i)));
    sort_pairs(pairs, spare, T::KEY_BITS);
    out.iter_mut().zip(pairs.iter()).for_each(|(o, pair)| *o = pair.index() as i64);
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
    fn new(key: u64, index: usize) -> Self;
    fn index(self) -> usize;
    /// Byte `digit` of the key, the lowest first.
    fn digit(self, digit: u32) -> usize;
}

macro_rules! pairs {
    ($($pair:ident of $half:ident),*) => {$(
        impl Pair for $pair {
            #[inline(always)]
            fn new(key: u64, index: usize) -> Self {
                $pair::from(key) << $half::BITS | index as $pair
            }
            #[inline(always)]
            fn index(self) -> usize {
                self as $half as usize
            }
            #[inline(always)]
            fn digit(self, digit: u32) -> usize {
                (self >> ($half::BITS + 8 * digit)) as usize & 255
            }
        }
    )*};
}
pairs!(u64 of u32, u128 of u64);

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
    type Bits: Copy + Default + Ord + Into<u64> + Send + Sync;

    /// How many bits a key has.
    const KEY_BITS: u32 = 8 * Self::DTYPE.size() as u32;
    /// All bits set: the key of NaN, and of no other float.
    const ALL_BITS: u64 = u64::MAX >> (64 - Self::KEY_BITS);

    /// Larger for larger values.
    fn key(self) -> Self::Bits;

    /// Larger for what comes earlier in descending order: the key, but NaN comes last.
    fn rank(self) -> Self::Bits;

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
            #[inline(always)]
            fn rank(self) -> $bits { self.key() }
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
            #[inline(always)]
            fn rank(self) -> $bits {
                if self.is_nan() { 0 } else { self.key() }
            }
        }
    )*};
}
float_keys!(f16 as u16, i16, bf16 as u16, i16, f32 as u32, i32, f64 as u64, i64);
