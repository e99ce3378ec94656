//! Windows of one operand times weights, example after example: outputs, and gradients of inputs.

use std::ops::Range;

use smallvec::SmallVec;

use super::planes::{Axis, Merge, Split};
use super::product::{self, Product, Step};
use super::scattered::Scatter;
use super::{Call, Sizes, Slide, unravel};
use crate::kernels::layout::Shared;
use crate::{Array, Shape, threads};

/// From this many pieces of whole examples on, each is one task; fewer are cut into about so many.
const TASKS: usize = 8;
/// Positions in a task, at least, if there are as many.
const PIECE: usize = 256;
/// Bytes of planes that are filled before what is cut into tasks is computed.
const ROOM: usize = 1 << 24;

/// Windows of one operand times weights, for every example: into the result, or into planes of it that are merged.
pub(super) struct Pass<T> {
    call: Call,
    /// The operand that windows run over, its strides over examples and channels, and its channels in a group.
    from: Shared<T>,
    from_strides: [isize; 2],
    channels: usize,
    split: Split,
    products: Vec<Product<T>>,
    /// How each product's result comes into the output, unless it is the output.
    merge: Option<Merge>,
    out: Shared<T>,
    /// The output's channels in a group, and its elements in a channel.
    rows: usize,
    area: usize,
    /// Examples in a piece.
    together: usize,
    cost: usize,
}

/// Some examples of one group.
struct Piece {
    group: usize,
    examples: Range<usize>,
}

/// Some rows of some columns of one of the products of a piece.
struct Task {
    piece: usize,
    product: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl<T: Scatter> Pass<T> {
    pub fn forward(call: &Call, x: &Array, w: &Array, out: &Array) -> Pass<T> {
        let (split, taps) = call.windows(x);
        let windows = (0..call.inputs).flat_map(|c| taps.iter().map(move |&at| (c, at)));
        let steps: Vec<Step> =
            (windows.enumerate()).map(|(weight, (c, at))| Step { window: c * split.channel + at, weight }).collect();
        let sizes = [call.groups, call.outputs, call.examples];
        let strides = [call.outputs * steps.len(), steps.len()];
        let product = Product::new(sizes, &steps, (&call.out, &split.pitch), &w.contiguous(), strides);
        Pass::new(call, x, call.inputs, split, vec![product], None, out, call.outputs)
    }

    /// Elements `step · m + e` of an axis meet the same elements of the kernel for all `m`: a product for each `e`.
    pub fn backward(call: &Call, w: &Array, y: &Array, out: &Array) -> Pass<T> {
        let spatial = call.len.len();
        let residues: Sizes = (0..spatial).map(|a| call.slides[a].step.min(call.len[a])).collect();
        let grid: Sizes = (0..spatial).map(|a| call.len[a].div_ceil(call.slides[a].step)).collect();
        // The position that element `e` meets with kernel element `k`, if there is one.
        let position = |a: usize, e: usize, k: usize| {
            let Slide { step, padding, dilation } = call.slides[a];
            let at = e as isize + padding as isize - (k * dilation) as isize;
            (at.rem_euclid(step as isize) == 0).then(|| at.div_euclid(step as isize))
        };
        let range = |a: usize| {
            let all = (0..residues[a]).flat_map(|e| (0..call.kernel[a]).filter_map(move |k| position(a, e, k)));
            let (lo, hi) = all.fold((isize::MAX, isize::MIN), |(lo, hi), at| (lo.min(at), hi.max(at)));
            if lo > hi { (0, 0) } else { (lo, (hi - lo) as usize) }
        };
        let ranges: SmallVec<[(isize, usize); 3]> = (0..spatial).map(range).collect();
        let axis = |a: usize| {
            let (start, more) = ranges[a];
            Axis { len: call.out[a], step: 1, starts: [start].into_iter().collect(), size: grid[a] + more }
        };
        let split = Split::new((0..spatial).map(axis).collect(), &y.strides()[2..]);
        let (w, taps) = (w.contiguous(), call.kernel.iter().product::<usize>());
        let product = |e: usize| {
            let e = unravel(e, &residues);
            let meets = |tap: Sizes| -> Option<usize> {
                let at = |a: usize| position(a, e[a], tap[a]).map(|p| (p - ranges[a].0) as usize * split.pitch[a]);
                (0..spatial).map(at).sum()
            };
            let met: Vec<(usize, usize)> =
                call.taps().enumerate().filter_map(|(k, tap)| Some((k, meets(tap)?))).collect();
            let windows = (0..call.outputs).flat_map(|o| met.iter().map(move |&(k, at)| (o, k, at)));
            let by_output = call.inputs * taps;
            let step = |(o, k, at)| Step { window: o * split.channel + at, weight: o * by_output + k };
            let steps: Vec<Step> = windows.map(step).collect();
            let sizes = [call.groups, call.inputs, call.examples];
            Product::new(sizes, &steps, (&grid, &split.pitch), &w, [call.outputs * by_output, taps])
        };
        let products = (0..residues.iter().product()).map(product).collect();
        let merge = (residues.iter().any(|&r| r > 1)).then(|| Merge::new(&call.len, &residues, &grid));
        Pass::new(call, y, call.outputs, split, products, merge, out, call.inputs)
    }

    #[allow(clippy::too_many_arguments)] // one place that knows how a pass is laid out
    fn new(
        call: &Call,
        from: &Array,
        channels: usize,
        split: Split,
        products: Vec<Product<T>>,
        merge: Option<Merge>,
        out: &Array,
        rows: usize,
    ) -> Pass<T> {
        let together = PIECE.div_ceil(products[0].positions()).min(call.examples);
        Pass {
            from: Shared(from.ptr::<T>().cast_mut()),
            from_strides: [from.strides()[0], from.strides()[1]],
            channels,
            split,
            products,
            merge,
            out: Shared(out.ptr::<T>().cast_mut()),
            rows,
            area: out.shape()[2..].iter().product(),
            together,
            cost: call.cost(),
            call: call.clone(),
        }
    }

    /// Computes the output.
    pub fn run(&self) {
        let pieces = self.call.examples.div_ceil(self.together) * self.call.groups;
        if pieces >= TASKS {
            // Small pieces share a task.
            let share = (threads::SERIAL_BELOW * pieces / self.cost.max(1)).clamp(1, pieces);
            threads::for_each(pieces.div_ceil(share), self.cost, |task| {
                let planes = self.planes(1);
                (task * share..((task + 1) * share).min(pieces)).for_each(|i| self.pieces(i..i + 1, &planes, false));
            });
        } else {
            let size = self.together * self.channels * self.split.channel * size_of::<T>();
            threads::chunks(pieces, (ROOM / size.max(1)).max(1))
                .for_each(|pieces| self.pieces(pieces.clone(), &self.planes(pieces.len()), true));
        }
    }

    /// Room for the planes of so many pieces, which may be filled again and again.
    fn planes(&self, pieces: usize) -> Array {
        self.split.buffer::<T>(pieces * self.together * self.channels)
    }

    /// Some pieces, cut into tasks or not, by way of these planes.
    fn pieces(&self, pieces: Range<usize>, planes: &Array, cut: bool) {
        let each = |n: usize, cost: usize, work: &(dyn Fn(usize) + Sync)| match cut {
            true => threads::for_each(n, cost, work),
            false => (0..n).for_each(work),
        };
        let (groups, together) = (self.call.groups, self.together);
        let piece = |i: usize| {
            let first = i / groups * together;
            Piece { group: i % groups, examples: first..(first + together).min(self.call.examples) }
        };
        let pieces: SmallVec<[Piece; TASKS]> = pieces.map(piece).collect();
        let channels = pieces.len() * together * self.channels;
        each(channels, channels * self.split.channel, &|i| {
            let (example, channel) = (i / self.channels, i % self.channels);
            let (piece, example) = (&pieces[example / together], example % together);
            if example < piece.examples.len() {
                // SAFETY: the buffer has room for all, and each call fills its own part.
                unsafe { self.fill(piece, example, channel, planes.ptr::<T>().cast_mut().add(i * self.split.channel)) };
            }
        });
        // Where a product writes: the output, or planes of it.
        let size = together * self.rows * self.products[0].positions();
        let merged = self
            .merge
            .as_ref()
            .map(|merge| (merge, Array::uninit(Shape::from([pieces.len() * self.products.len() * size]), T::DTYPE)));
        let tasks = self.tasks(&pieces, cut);
        each(tasks.len(), self.cost, &|i| {
            let Task { piece: i, product, rows, columns } = &tasks[i];
            let (piece, row) = (&pieces[*i], self.products[*product].positions());
            let place = match &merged {
                None => product::Place { ptr: self.channel(piece, 0, 0), row, example: self.rows * groups * self.area },
                Some((_, planes)) => {
                    let first = (i * self.products.len() + product) * size;
                    let ptr = planes.ptr::<T>().cast_mut().wrapping_add(first);
                    product::Place { ptr, row, example: self.rows * row }
                }
            };
            let example = self.channels * self.split.channel;
            let planes = planes.ptr::<T>().wrapping_add(i * together * example);
            // SAFETY: the planes are filled, and tasks write disjoint rows or columns.
            unsafe {
                self.products[*product].run(piece.group, planes, example, (rows.clone(), columns.clone()), &place)
            };
        });
        if let Some((merge, from)) = &merged {
            let n = pieces.len() * together * self.rows;
            each(n, n * self.area, &|i| {
                let (which, row) = (i / self.rows, i % self.rows);
                let (which, example) = (which / together, which % together);
                if example < pieces[which].examples.len() {
                    let first =
                        which * self.products.len() * size + (example * self.rows + row) * self.products[0].positions();
                    let from = from.ptr::<T>().wrapping_add(first);
                    // SAFETY: all planes are written; each call fills a channel of its own.
                    unsafe { merge.run(from, size, self.channel(&pieces[which], example, row)) };
                }
            });
        }
    }

    /// Fills the planes of a channel of an example of a piece.
    ///
    /// # Safety
    /// `to` must have room for them.
    unsafe fn fill(&self, piece: &Piece, example: usize, channel: usize, to: *mut T) {
        let [by_example, by_channel] = self.from_strides;
        let (example, channel) = (piece.examples.start + example, piece.group * self.channels + channel);
        let at = example as isize * by_example + channel as isize * by_channel;
        let from = self.from.get().wrapping_offset(at).cast_const();
        // SAFETY: the channel lies in the operand; the room is the caller's promise.
        unsafe { self.split.fill(from, from.wrapping_offset(by_channel), to) };
    }

    /// A channel of the output, of an example of a piece.
    fn channel(&self, piece: &Piece, example: usize, row: usize) -> *mut T {
        let (example, row) = (piece.examples.start + example, piece.group * self.rows + row);
        self.out.get().wrapping_add((example * self.rows * self.call.groups + row) * self.area)
    }

    /// The work, in equal parts of columns; where there are few columns, rows are cut as well.
    fn tasks(&self, pieces: &[Piece], cut: bool) -> SmallVec<[Task; TASKS]> {
        let positions = self.products[0].positions();
        let chunk = |columns: usize| match cut {
            true => columns.div_ceil(columns.div_ceil(PIECE)).next_multiple_of(self.products[0].wide()),
            false => columns,
        };
        let all = |piece: &Piece| piece.examples.len() * positions;
        let chunks = |piece: &Piece| threads::chunks(all(piece), chunk(all(piece)));
        let count: usize = pieces.iter().map(|piece| chunks(piece).len()).sum();
        let wanted = if cut { TASKS.div_ceil(self.products.len() * count) } else { 1 };
        let mut tasks = SmallVec::new();
        for (i, piece) in pieces.iter().enumerate() {
            for (product, rows) in
                self.products.iter().enumerate().flat_map(|(i, p)| p.row_parts(wanted).map(move |r| (i, r)))
            {
                tasks.extend(chunks(piece).map(|columns| Task { piece: i, product, rows: rows.clone(), columns }));
            }
        }
        tasks
    }
}
