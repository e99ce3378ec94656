//! Products of matrices, batched.
//!
//! Every element of a result is a sum of chains, in order: each is [`SPAN`] fused multiply-adds along the shared axis, in
//! order, from zero. So the bits depend neither on the number of threads nor on the instruction set, the layout or the
//! sizes of the other axes, and a product of one row has the bits of that row in a product of many.
//!
//! The right factor is copied into panels as wide as a register tile ([`panels`]) unless it is read too seldom to pay for
//! that; the left factor is read where it lies. Work is cut by rows, then by columns ([`tile`]: the innermost loops;
//! [`thin`] and [`streamed`]: products of a few rows, which stream the right factor once), or, where results are few, by
//! chains ([`deep`]).

mod brain;
mod deep;
mod integers;
mod panels;
pub(super) mod streamed;
mod thin;
pub(super) mod tile;

use std::mem::MaybeUninit;
use std::ops::Range;

use smallvec::SmallVec;

use super::copy::copy_to;
use super::layout::Shared;
use super::{cast, complex, copy};
use crate::{Array, DType, Element, Shape, threads};
use panels::{Panel, Panels};
pub(super) use tile::{Chains, Kernel, Tile, Tiled};

/// `[b, m, k] @ [b, k, n] -> [b, m, n]`, any strides (a batch stride may be 0).
///
/// f16 and bf16 are multiplied and summed in f32 and rounded once; with bf16, denormal factors and sums count as 0, as
/// processors have it. Integers wrap. A sum of no products is 0.
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
        DType::F32 => floats::<f32>(a, b, SPAN),
        DType::F64 => floats::<f64>(a, b, SPAN),
        DType::F16 => cast(&matmul(&cast(a, DType::F32), &cast(b, DType::F32)), DType::F16),
        DType::BF16 => brain::product(a, b),
        DType::C64 | DType::C128 => complex::matmul(a, b),
        DType::Bool => panic!("no matrix product of bool: cast first"),
        // Wrapping products do not depend on the sign.
        DType::U8 | DType::I8 => integers::product::<u8>(a, b),
        DType::U16 | DType::I16 => integers::product::<u16>(a, b),
        DType::U32 | DType::I32 => integers::product::<u32>(a, b),
        DType::U64 | DType::I64 => integers::product::<u64>(a, b),
    }
}

/// A matrix of a batch: pointer to the first element and strides in elements.
#[derive(Clone, Copy)]
struct Factor<T> {
    ptr: Shared<T>,
    batch: isize,
    rows: isize,
    columns: isize,
}

impl<T: Element> Factor<T> {
    fn of(x: &Array) -> Factor<T> {
        let s = x.strides();
        Factor { ptr: Shared(x.ptr::<T>().cast_mut()), batch: s[0], rows: s[1], columns: s[2] }
    }

    /// The address of element `[batch, row, column]`.
    fn at(&self, batch: usize, row: usize, column: usize) -> *mut T {
        let offset = batch as isize * self.batch + row as isize * self.rows + column as isize * self.columns;
        self.ptr.get().wrapping_offset(offset)
    }
}

type Ranges = SmallVec<[Range<usize>; 16]>;

/// Steps of a chain: few enough for the chains of a long dot product to run side by side, and so many that tiles seldom end one.
/// No power of two, or all chains would use the same few places of the first-level cache.
pub(super) const SPAN: usize = 528;
/// Multiply-adds per piece of parallel work, at least.
const WORK: usize = 1 << 19;
/// Multiply-adds that take as long as to begin a tile, about.
const TILE_WORK: usize = 1 << 10;
/// Pieces the whole is cut into at most, unless the caches ask for more.
const PIECES: usize = 32;
/// Rows that share a panel, and steps along the depth before the next rows come, at most: the panel stays in the second-level
/// cache while the rows, which lie in order, come from farther away.
const NEAR_BLOCK: [usize; 2] = [1024, 1024];
/// The same, if a step along the depth leads far in the left factor: of each cache line that a tile meets, it leaves a part to
/// the next tiles, which should find it in the second-level cache.
const FAR_BLOCK: [usize; 2] = [192, 512];
/// Elements from which on a step is far.
const FAR_STEP: usize = 192;
/// Up to this depth results are written row by row rather than panel by panel.
const SHALLOW: usize = 16;
/// Right factors of up to this many bytes stay in the first-level cache when they are read as they lie.
const SMALL: usize = 64 << 10;
/// Left factors of up to this many bytes stay in the second-level cache while all panels pass.
const NEAR: usize = 1 << 20;
/// Left factors of up to this many bytes and rows are read again for every panel, from farther away, in less time than it
/// takes to copy all panels before.
const LOW: [usize; 2] = [16 << 20, 1024];

/// A right factor.
#[derive(Clone, Copy)]
enum Right<'a> {
    /// As it is multiplied.
    Plain(&'a Array),
    /// Of bf16, with contiguous rows, which are multiplied two by two.
    Halves(&'a Array),
}

impl Right<'_> {
    fn array(&self) -> &Array {
        match *self {
            Right::Plain(b) | Right::Halves(b) => b,
        }
    }

    /// True if rows are contiguous.
    fn dense(&self) -> bool {
        let b = self.array();
        b.shape()[2] == 1 || b.strides()[2] == 1
    }

    /// Elements from a step along the depth to the next.
    fn pitch(&self) -> usize {
        match *self {
            Right::Plain(b) => b.strides()[1].unsigned_abs(),
            Right::Halves(b) => b.shape()[2],
        }
    }

    /// Tiles below each other up to which panels are not worth copies of their own.
    fn in_place(&self) -> usize {
        match self {
            Right::Plain(_) => 32,
            Right::Halves(_) => 4,
        }
    }

    /// The matrices as they are multiplied.
    fn whole(&self) -> Array {
        match *self {
            Right::Plain(b) => b.clone(),
            Right::Halves(b) => brain::pairs_of_rows(b, brain::NEGATIVE_ZERO),
        }
    }

    /// These columns of one matrix as they are multiplied, side by side and step after step along the depth.
    fn panel(&self, batch: usize, columns: Range<usize>) -> Array {
        let sizes = [1, self.array().shape()[1], columns.len()];
        let part = self.array().slice(&[batch, 0, columns.start], &sizes, &[1, 1, 1]);
        match self {
            Right::Plain(_) => copy(&part),
            Right::Halves(_) => brain::pairs_of_rows(&part, brain::NEGATIVE_ZERO),
        }
    }
}

/// Rounds so many rows of so many columns; from one row to the next it is so many elements in each.
type Round<T> = unsafe fn([usize; 2], (*const T, isize), (*mut u16, isize));

/// Where results go.
enum Target<'a, T> {
    Sums(&'a Array),
    /// Rounded to bf16, tile by tile.
    Rounded(&'a Array, Round<T>),
}

/// A batch of products of matrices that are neither empty nor without depth.
struct Job<T> {
    kernel: Kernel<T>,
    a: Factor<T>,
    /// The results, or, if they are rounded, the sums that wait for the rest of the depth; none if none has to.
    sums: Option<Factor<T>>,
    rounded: Option<(Factor<u16>, Round<T>)>,
    size: [usize; 4],
    /// Rows of a piece, and steps along the depth before the next rows come, at most.
    block: [usize; 2],
    /// Steps of a chain.
    span: usize,
}

/// Results of a tile that are rounded at once, at most.
const TILE: usize = 384;

/// `a @ b` by chains of so many steps.
fn floats<T: Tiled>(a: &Array, b: &Array, span: usize) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::uninit(Shape::from([batch, m, n]), T::DTYPE);
    if out.size() == 0 || k == 0 {
        return if out.size() == 0 { out } else { Array::full([batch, m, n], 0.0, T::DTYPE).contiguous() };
    }
    if !deep::product::<T>(a, b, &out, span) && !thin::product::<T>(a, b, &out, span) {
        // A tile of one column has one lane, a tile of one row has as many as there are columns.
        if n == 1 && a.strides()[1] == 1 {
            let turned = out.reshape(&Shape::from([batch, 1, m]));
            tiles(T::kernel(), &b.t(), Right::Plain(&a.t()), Target::Sums(&turned), span);
        } else if is_better_exchanged::<T>(m, b) {
            let turned = Array::uninit(Shape::from([batch, n, m]), T::DTYPE);
            tiles(T::kernel(), &b.t(), Right::Plain(&copy(&a.t())), Target::Sums(&turned), span);
            // SAFETY: the output is fresh, and for as many elements.
            unsafe { copy_to(&turned.t(), out.ptr::<u8>().cast_mut()) };
        } else {
            tiles(T::kernel(), a, Right::Plain(b), Target::Sums(&out), span);
        }
    }
    out
}

/// True if so few rows meet a right factor whose columns are contiguous that the exchanged product, of which they are the columns,
/// costs less: they are copied and the result is turned instead of the right factor.
fn is_better_exchanged<T: Element>(m: usize, b: &Array) -> bool {
    let (k, n, lanes) = (b.shape()[1], b.shape()[2], 64 / size_of::<T>());
    let idle = m.next_multiple_of(lanes) - m;
    b.strides()[1] == 1 && b.strides()[2] != 1 && 8 * idle <= m && 2 * m * (k + n) <= k * n
}

/// Computes `a @ b` into what is fresh, by chains of so many steps; there is something to add up.
fn tiles<T: Tiled>(kernel: Kernel<T>, a: &Array, b: Right, to: Target<T>, span: usize) {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.array().shape()[2]);
    // Rows or columns without gaps are read where they lie.
    let a = if a.strides()[1] == 1 || a.strides()[2] == 1 { a.clone() } else { a.contiguous() };
    let far = a.strides()[2].unsigned_abs() >= FAR_STEP;
    let [rows, depth] = if far { FAR_BLOCK } else { NEAR_BLOCK };
    // As many steps in each block, about, but whole chains.
    let unit = if k > span { span } else { 1 };
    let units = k.div_ceil(unit);
    let block = [rows, units.div_ceil(units.div_ceil((depth / unit).max(1))) * unit];
    let (sums, rounded) = match to {
        Target::Sums(out) => (Some(out.clone()), None),
        Target::Rounded(out, round) => {
            assert!(kernel.rows.max(kernel.tall.div_ceil(2)) * kernel.columns <= TILE, "a tile with more results");
            let waiting = || Array::uninit(Shape::from([batch, m, n]), T::DTYPE);
            ((k > block[1]).then(waiting), Some((Factor::of(out), round)))
        }
    };
    let job = Job {
        kernel,
        a: Factor::of(&a),
        sums: sums.as_ref().map(Factor::of),
        rounded,
        size: [batch, m, k, n],
        block,
        span,
    };
    let left = m * k * size_of::<T>();
    if b.dense()
        && (b.pitch() <= 2 * kernel.columns || m <= b.in_place() * kernel.rows || k * n * size_of::<T>() <= SMALL)
    {
        job.with(&Panels::in_place(&b.whole()));
    } else if (left <= NEAR || (left <= LOW[0] && m <= LOW[1])) && (batch == 1 || b.array().strides()[0] != 0) {
        job.packing(b);
    } else {
        job.with(&Panels::packed(&b.whole(), kernel.columns));
    }
}

impl<T: Tiled> Job<T> {
    /// Multiplies by a right factor that is ready.
    fn with(&self, b: &Panels<T>) {
        let [batch, m, k, n] = self.size;
        let (rows, columns) = self.cut();
        let pieces = rows.len() * columns.len();
        let group = (WORK * pieces / self.work(m, n)).clamp(1, batch * pieces);
        threads::for_each((batch * pieces).div_ceil(group), batch * self.work(m, n), |i| {
            for i in i * group..(i * group + group).min(batch * pieces) {
                let (batch, piece) = (i / pieces, i % pieces);
                let (rows, columns) = (rows[piece / columns.len()].clone(), columns[piece % columns.len()].clone());
                let panels = columns.clone().step_by(self.kernel.columns);
                if k <= SHALLOW && columns.len() > self.kernel.columns {
                    // Little is computed per result: write these in the order in which they lie.
                    for rows in rows.clone().step_by(self.kernel.rows).map(|r| r..(r + self.kernel.rows).min(rows.end))
                    {
                        panels.clone().for_each(|c| self.strip(batch, rows.clone(), c, |d| b.panel(batch, c, d)));
                    }
                } else {
                    panels.for_each(|c| self.strip(batch, rows.clone(), c, |d| b.panel(batch, c, d)));
                }
            }
        });
    }

    /// Multiplies by `b`, each panel of which is copied right before its use.
    fn packing(&self, b: Right) {
        let [batch, m, k, n] = self.size;
        let wide = self.kernel.columns;
        let panels = n.div_ceil(wide);
        let group = (WORK / (m * k * wide)).clamp(1, batch * panels);
        let tall = m.div_ceil((m * k * wide / WORK).clamp(1, m)).next_multiple_of(self.kernel.tall);
        threads::for_each((batch * panels).div_ceil(group), batch * m * n * k, |i| {
            for i in i * group..(i * group + group).min(batch * panels) {
                let (batch, column) = (i / panels, i % panels * wide);
                let width = wide.min(n - column);
                let copy = b.panel(batch, column..column + width);
                let ptr = Shared(copy.ptr::<T>().cast_mut());
                threads::for_each(m.div_ceil(tall), m * k * width, |i| {
                    let rows = i * tall..(i * tall + tall).min(m);
                    self.strip(batch, rows, column, |depth| Panel {
                        ptr: ptr.get().wrapping_add(depth * width),
                        depth: width as isize,
                    });
                });
            }
        });
    }

    /// What so many rows and columns of results take, in multiply-adds.
    fn work(&self, rows: usize, columns: usize) -> usize {
        let tiles = rows.div_ceil(self.kernel.rows_for(columns)) * columns.div_ceil(self.kernel.columns);
        rows * columns * self.size[2] + tiles * TILE_WORK
    }

    /// Rows and columns of the pieces of one product: as many rows as the caches bear, and enough for every thread.
    fn cut(&self) -> (Ranges, Ranges) {
        let [batch, m, _, n] = self.size;
        let wide = self.kernel.columns;
        let pieces = (batch * self.work(m, n) / WORK).clamp(1, PIECES).div_ceil(batch);
        let panels = n.div_ceil(wide);
        let tall =
            m.div_ceil(m.div_ceil(self.block[0]).max(pieces.div_ceil(panels))).next_multiple_of(self.kernel.tall);
        let group = (WORK / self.work(tall.min(m), wide)).clamp(1, panels);
        let group = panels.div_ceil(panels.div_ceil(group));
        (threads::chunks(m, tall).collect(), threads::chunks(n, group * wide).collect())
    }

    /// Writes these rows of the panel of columns from `column` on, given the panel from some depth on.
    fn strip(&self, batch: usize, rows: Range<usize>, column: usize, panel: impl Fn(usize) -> Panel<T>) {
        let k = self.size[2];
        let columns = self.kernel.columns.min(self.size[3] - column);
        let tall = self.kernel.rows_for(columns);
        let mut passing = MaybeUninit::<[T; TILE]>::uninit();
        for depth in threads::chunks(k, self.block[1]) {
            threads::pause();
            for row in rows.clone().step_by(tall) {
                let (out, out_row) = match &self.sums {
                    Some(sums) => (sums.at(batch, row, column), sums.rows),
                    None => (passing.as_mut_ptr().cast(), columns as isize),
                };
                let rows = tall.min(rows.end - row);
                for start in depth.clone().step_by(self.span) {
                    let panel = panel(start);
                    let tile = Tile {
                        a: self.a.at(batch, row, start),
                        a_row: self.a.rows,
                        a_depth: self.a.columns,
                        b: panel.ptr,
                        b_depth: panel.depth,
                        out,
                        out_row,
                        rows,
                        columns,
                        depth: self.span.min(depth.end - start),
                        chains: match start {
                            0 => Chains::Fresh,
                            _ if start.is_multiple_of(self.span) => Chains::Added,
                            _ => Chains::Continued,
                        },
                    };
                    // SAFETY: the tile lies within the three arrays, which are alive; pieces of the output are disjoint;
                    // the kernel is the one for this processor.
                    unsafe { (self.kernel.run)(&tile) };
                }
                if let Some((to, round)) = &self.rounded
                    && depth.end == k
                {
                    // SAFETY: sums that are there now, and as many elements of the fresh output, which are this call's.
                    unsafe { round([rows, columns], (out, out_row), (to.at(batch, row, column), to.rows)) };
                }
            }
        }
    }
}
