//! Joining arrays along an axis.

use super::strided::{CHUNK, Reader, Source, Walk, build_bits, par_chunks, readable_rows, with_bits};
use crate::isa::{Work, dispatch};
use crate::{Array, Element};

/// The arrays one after another along `axis`: `[.., n1, ..], [.., n2, ..] -> [.., n1 + n2, ..]`.
///
/// # Panics
/// If there are no arrays, the dtypes differ, or the sizes differ elsewhere than at `axis`.
/// Source: `numpy.concatenate`.
pub fn concat(arrays: &[Array], axis: usize) -> Array {
    let first = arrays.first().expect("concat of no arrays");
    for x in arrays {
        assert_eq!(x.dtype(), first.dtype(), "concat of different dtypes");
        let same = x.shape().with_axis(axis, 0) == first.shape().with_axis(axis, 0);
        assert!(same, "concat along axis {axis}: shapes {} and {} differ elsewhere", first.shape(), x.shape());
    }
    let total = arrays.iter().map(|x| x.shape()[axis]).sum();
    let shape = first.shape().with_axis(axis, total);
    let inner: usize = shape[axis + 1..].iter().product();
    with_bits!(first.dtype(), U => {
        // SAFETY: only elements of arrays of the same dtype are written.
        unsafe { build_bits::<U>(shape, first.dtype(), |out| join(arrays, axis, total * inner, out)) }
    })
}

/// `row` elements of output for each index of the axes before `axis`.
fn join<U: Element>(arrays: &[Array], axis: usize, row: usize, out: &mut [U]) {
    let arrays: Vec<Array> = arrays.iter().map(readable_rows).collect();
    let mut at = 0;
    let parts: Vec<(usize, usize, Source<U>, Walk)> = arrays
        .iter()
        .map(|x| {
            let len = x.shape()[axis..].iter().product();
            at += len;
            (at - len, len, Source::of(x), Walk::new(x.shape(), x.strides()))
        })
        .collect();
    let cost = out.len();
    let columns: Option<Vec<&[U]>> = parts.iter().map(|(_, len, source, walk)| column(*len, source, walk)).collect();
    match columns.as_deref() {
        Some(&[a, b]) => return interleave([a, b], out),
        Some(&[a, b, c]) => return interleave([a, b, c], out),
        Some(&[a, b, c, d]) => return interleave([a, b, c, d], out),
        _ => {}
    }
    par_chunks(out, CHUNK, cost, |start, piece| {
        let end = start + piece.len();
        for (lo, len, source, walk) in parts.iter().filter(|part| part.1 > 0) {
            // Each part's segments of successive rows follow one another in the part: one reader serves them all.
            let mut reader = None;
            let mut r = start / row;
            while r * row + lo < end {
                let begin = r * row + lo;
                let (s, e) = (begin.max(start), (begin + len).min(end));
                let whole = if s == begin { (end - begin + row - len) / row } else { 0 };
                if s < e {
                    let reader = reader.get_or_insert_with(|| Reader::new(source, walk, 0, r * len + s - begin));
                    match whole {
                        0 => reader.read(&mut piece[s - start..e - start]),
                        _ => reader.read_pieces(&mut piece[s - start..], *len, row, whole),
                    }
                }
                r += whole.max(1);
            }
        }
    });
}

/// The elements of a part that has one for each row, if they lie side by side.
fn column<'a, U: Element>(len: usize, source: &Source<'a, U>, walk: &Walk) -> Option<&'a [U]> {
    (len == 1 && walk.uniform() == Some(1)).then(|| source.run(0, walk.inner().0))
}

/// Few columns, joined to rows.
fn interleave<U: Element, const N: usize>(columns: [&[U]; N], out: &mut [U]) {
    let cost = out.len();
    par_chunks(out, CHUNK / N * N, cost, |start, piece| {
        let rows = start / N..(start + piece.len()) / N;
        dispatch(Interleave { columns: columns.map(|column| &column[rows.clone()]), rows: piece.as_chunks_mut().0 });
    });
}

/// See [`interleave`].
struct Interleave<'a, U, const N: usize> {
    columns: [&'a [U]; N],
    rows: &'a mut [[U; N]],
}

impl<U: Copy, const N: usize> Work for Interleave<'_, U, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let columns = self.columns.map(|column| &column[..self.rows.len()]);
        for (i, row) in self.rows.iter_mut().enumerate() {
            for k in 0..N {
                row[k] = columns[k][i];
            }
        }
    }
}
