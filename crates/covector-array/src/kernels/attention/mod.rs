//! Attention, forward and backward, without the matrix of all scores.
//!
//! A few rows of scores at a time live in scratch memory: as many as a register tile has rows, times all keys these queries
//! may attend to. Keys and values are copied once per head into the panels that tiles read, so any strides will do.
//!
//! The result is that of the formula, spelled out in `matmul`, `max`, `exp`, `sum` and `/`, to the bit: scores and means are the
//! same chains of fused multiply-adds, the row's sum is taken in the order of `reduce`. Weights that a mask makes 0 add
//! nothing, so they may be left out. Hence the bits depend on no cut of the work, no instruction set and no layout.
//! The gradients are chains in the order of queries (for keys and values) or keys (for queries).

mod head;
mod rows;
mod weights;

use std::ops::Range;

use smallvec::SmallVec;

use super::layout::{Shared, offset_of};
use super::matmul::tile::{Kernel, Tiled};
use crate::math::Real;
use crate::{Array, DType, Element, Shape, threads};
use head::Scratch;

/// Multiply-adds per piece of parallel work, at least.
const WORK: usize = 1 << 20;
/// Pieces the forward pass is cut into, at least, if there are so many queries.
const PIECES: usize = 16;
/// Queries from which on reading keys and values takes less time than what is done with them.
const BUSY: usize = 16;

/// What is attended to: `q [.., t, d], k [.., s, d], v [.., s, e]` with the same leading axes, one head for each place there;
/// any strides.
pub struct Attention {
    /// The queries.
    pub q: Array,
    /// The keys.
    pub k: Array,
    /// The values.
    pub v: Array,
    /// `[.., t, s]`: a bool is true where a query may attend, a float is added to the scores.
    pub mask: Option<Array>,
    /// Whether query i may only attend to the keys 0 to i.
    pub causal: bool,
    /// What the queries are multiplied with.
    pub scale: f64,
}

impl Attention {
    /// The means of the values, `[.., t, e]`, with the axes in memory ordered as those of the queries.
    ///
    /// # Panics
    /// If dtypes are not f32 or f64 alike, or shapes do not fit.
    pub fn forward(&self) -> Array {
        match self.q.dtype() {
            DType::F32 => self.forward_as::<f32>(),
            DType::F64 => self.forward_as::<f64>(),
            other => panic!("no attention of {other}"),
        }
    }

    /// The cotangents of queries, keys and values, flat and one after another, from that of the means.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn backward(&self, cotangent: &Array) -> Array {
        let shapes = [&self.q, &self.k, &self.v].map(|x| x.shape().clone());
        let all = Array::uninit(Shape::from([shapes.iter().map(Shape::size).sum()]), self.q.dtype());
        let mut start = 0;
        let parts = shapes.map(|shape| {
            let part = all.slice(&[start], &[shape.size()], &[1]).reshape(&shape);
            start += shape.size();
            part
        });
        self.gradients(cotangent, &parts);
        all
    }

    /// As [`backward`](Self::backward), of queries, keys and values that are the three parts of `x` along axis 0: the
    /// cotangent of `x`, with the axes in memory ordered alike.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn backward_packed(&self, x: &Array, cotangent: &Array) -> Array {
        let all = like(x, x.shape());
        self.gradients(cotangent, &thirds(&all));
        all
    }

    fn gradients(&self, cotangent: &Array, parts: &[Array; 3]) {
        match self.q.dtype() {
            DType::F32 => self.gradients_as::<f32>(cotangent, parts),
            DType::F64 => self.gradients_as::<f64>(cotangent, parts),
            other => panic!("no attention of {other}"),
        }
    }

    fn forward_as<T: Tiled>(&self) -> Array {
        let job = Job::<T>::of(self);
        let lead = self.q.ndim() - 2;
        let shape: Shape = self.q.shape()[..lead].iter().copied().chain([job.t, job.e]).collect();
        let out = like(&self.q, &shape);
        if out.size() == 0 {
            return out;
        }
        let to = Heads::of(&out);
        // Few heads are cut along their queries, each piece with a copy of the keys and values it sees.
        let strips = job.t.div_ceil(job.kernel.tall);
        let cuts = PIECES.div_ceil(job.heads).min(strips.div_ceil(4)).min((job.work() / WORK).max(1));
        let cut = strips.div_ceil(cuts) * job.kernel.tall;
        let pieces: SmallVec<[Range<usize>; 16]> = threads::chunks(job.t, cut).collect();
        job.spread(job.heads * pieces.len(), false, |scratch, i| {
            let head = i / pieces.len();
            job.forward(head, pieces[i % pieces.len()].clone(), to.at(head), scratch);
        });
        out
    }

    fn gradients_as<T: Tiled>(&self, cotangent: &Array, parts: &[Array; 3]) {
        let job = Job::<T>::of(self);
        let from = Heads::of(cotangent);
        let to = parts.each_ref().map(Heads::of);
        job.spread(job.heads, true, |scratch, head| {
            job.backward(head, from.at(head), to.each_ref().map(|heads| heads.at(head)), scratch);
        });
    }
}

/// The three parts of `x` along axis 0.
pub fn thirds(x: &Array) -> [Array; 3] {
    let rest: Shape = x.shape()[1..].iter().copied().collect();
    let (sizes, steps) = (x.shape().with_axis(0, 1), vec![1; x.ndim()]);
    [0, 1, 2].map(|i| {
        let mut starts = vec![0; x.ndim()];
        starts[0] = i;
        x.slice(&starts, &sizes, &steps).reshape(&rest)
    })
}

/// A fresh array of `shape` whose axes but the last lie in memory in the order in which those of `x` do.
fn like(x: &Array, shape: &Shape) -> Array {
    let last = shape.len() - 1;
    let mut order: SmallVec<[usize; 6]> = (0..last).collect();
    if (0..last).all(|i| x.strides()[i] != 0 || x.shape()[i] == 1) {
        order.sort_by_key(|&i| std::cmp::Reverse((x.strides()[i].unsigned_abs(), x.shape()[i])));
    }
    order.push(last);
    let stored = Array::uninit(order.iter().map(|&i| shape[i]).collect(), x.dtype());
    let mut back: SmallVec<[usize; 6]> = SmallVec::from_elem(0, order.len());
    order.iter().enumerate().for_each(|(place, &axis)| back[axis] = place);
    stored.permute(&back)
}

/// A matrix for each head.
struct Heads<T> {
    ptr: Shared<T>,
    lead: SmallVec<[(usize, isize); 6]>,
    rows: isize,
    columns: isize,
}

/// The first element of a matrix, and its strides.
#[derive(Clone, Copy)]
struct Matrix<T> {
    ptr: *mut T,
    rows: isize,
    columns: isize,
}

impl<T: Element> Heads<T> {
    fn of(x: &Array) -> Heads<T> {
        let lead = x.ndim() - 2;
        let axes = x.shape().iter().copied().zip(x.strides().iter().copied());
        let [rows, columns] = [x.strides()[lead], x.strides()[lead + 1]];
        Heads { ptr: Shared(x.ptr::<T>().cast_mut()), lead: axes.take(lead).collect(), rows, columns }
    }

    fn at(&self, head: usize) -> Matrix<T> {
        let ptr = self.ptr.get().wrapping_offset(offset_of(&self.lead, head));
        Matrix { ptr, rows: self.rows, columns: self.columns }
    }
}

impl<T> Matrix<T> {
    fn at(&self, row: usize, column: usize) -> *mut T {
        self.ptr.wrapping_offset(row as isize * self.rows + column as isize * self.columns)
    }
}

/// Where queries may attend, or what is added to the scores: of all heads, or of one.
#[derive(Clone, Copy)]
enum Mask<B, F> {
    None,
    Seen(B),
    Added(F),
}

/// All heads, ready to be computed one by one.
struct Job<T> {
    kernel: Kernel<T>,
    q: Heads<T>,
    k: Heads<T>,
    v: Heads<T>,
    mask: Mask<Heads<bool>, Heads<T>>,
    causal: bool,
    scale: T,
    heads: usize,
    /// The numbers of queries and keys, and the features of keys and values.
    t: usize,
    s: usize,
    d: usize,
    e: usize,
}

impl<T: Tiled> Job<T> {
    fn of(x: &Attention) -> Job<T> {
        let (q, k, v) = (&x.q, &x.k, &x.v);
        let lead = q.ndim() - 2;
        let [t, d, s, e] = [q.shape()[lead], q.shape()[lead + 1], k.shape()[lead], v.shape()[lead + 1]];
        let fits = |x: &Array, rows: usize, columns: usize| {
            let wanted = q.shape()[..lead].iter().copied().chain([rows, columns]);
            assert!(
                x.shape().iter().copied().eq(wanted),
                "no attention of {}, {} and {}",
                q.shape(),
                k.shape(),
                v.shape()
            );
        };
        fits(k, s, d);
        fits(v, s, e);
        assert!([q, k, v].iter().all(|x| x.dtype() == T::DTYPE), "attention needs one dtype");
        let mask = match &x.mask {
            None => Mask::None,
            Some(mask) => {
                fits(mask, t, s);
                match mask.dtype() {
                    DType::Bool => Mask::Seen(Heads::of(mask)),
                    other => {
                        assert_eq!(other, T::DTYPE, "a mask is bool or of the dtype of the scores");
                        Mask::Added(Heads::of(mask))
                    }
                }
            }
        };
        let heads = q.shape()[..lead].iter().product();
        let [q, k, v] = [q, k, v].map(Heads::of);
        Job {
            kernel: T::kernel(),
            q,
            k,
            v,
            mask,
            causal: x.causal,
            scale: <T as Real>::from_f64(x.scale),
            heads,
            t,
            s,
            d,
            e,
        }
    }

    /// Multiply-adds per head. Those of few queries wait for keys and values, as if there were more.
    fn work(&self) -> usize {
        self.t.max(BUSY) * self.s * (self.d + self.e).max(1)
    }

    /// Runs `body` on `tasks` pieces of the work, in parallel if that pays; small ones share scratch memory.
    fn spread(&self, tasks: usize, backward: bool, body: impl Fn(&Scratch, usize) + Sync) {
        let cost = (self.heads * self.work()).max(1);
        let group = (WORK * tasks / cost).clamp(1, tasks.max(1));
        threads::for_each(tasks.div_ceil(group), cost, |i| {
            let scratch = Scratch::new(self, backward);
            (i * group..(i * group + group).min(tasks)).for_each(|task| body(&scratch, task));
        });
    }

    fn mask_at(&self, head: usize) -> Mask<Matrix<bool>, Matrix<T>> {
        match &self.mask {
            Mask::None => Mask::None,
            Mask::Seen(heads) => Mask::Seen(heads.at(head)),
            Mask::Added(heads) => Mask::Added(heads.at(head)),
        }
    }
}
