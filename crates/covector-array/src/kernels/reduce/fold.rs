//! How elements are combined, and in which order.

use std::marker::PhantomData;

use super::lanes::Lanes;
use super::{BLOCK, LANES, Reduction};
use crate::isa::{Work, dispatch};
use crate::math::Num;
use crate::{DType, Element};

/// An associative combination with an identity.
pub(super) trait Fold<T>: Copy + Send + Sync + 'static {
    /// Its name.
    const OP: Reduction;
    /// Combining with it changes no bit of the other operand.
    fn identity() -> T;
    /// Combines two.
    fn combine(a: T, b: T) -> T;
}

macro_rules! folds {
    ($($name:ident $combine:expr, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy)]
        pub(super) struct $name;
        impl<T: Num> Fold<T> for $name {
            const OP: Reduction = Reduction::$name;
            #[inline(always)]
            fn identity() -> T {
                $name::start()
            }
            #[inline(always)]
            fn combine(a: T, b: T) -> T {
                $combine(a, b)
            }
        }
    )*};
}
folds! {
    Sum Num::add, "Addition.";
    Prod Num::mul, "Multiplication.";
    Max larger, "The larger one; NaN wins; of two zeros the second.";
    Min smaller, "The smaller one; NaN wins; of two zeros the second.";
}

/// Shorter than `Num::max`: the order of combination is fixed, so zeros of both signs need no care.
#[inline(always)]
#[allow(clippy::eq_op)]
fn larger<T: Num>(a: T, b: T) -> T {
    let m = if a > b { a } else { b };
    if a == a { m } else { a }
}

/// See [`larger`].
#[inline(always)]
#[allow(clippy::eq_op)]
fn smaller<T: Num>(a: T, b: T) -> T {
    let m = if a < b { a } else { b };
    if a == a { m } else { a }
}

impl Sum {
    /// -0 for floats: 0 would turn a sum of -0 into 0.
    #[inline(always)]
    fn start<T: Num>() -> T {
        Num::neg(T::ZERO)
    }
}

impl Prod {
    #[inline(always)]
    fn start<T: Num>() -> T {
        T::ONE
    }
}

impl Max {
    /// From f64 the lowest number comes out for integers (casts saturate), -inf for floats.
    #[inline(always)]
    fn start<T: Num>() -> T {
        <T as Element>::from_f64(f64::NEG_INFINITY)
    }
}

impl Min {
    #[inline(always)]
    fn start<T: Num>() -> T {
        <T as Element>::from_f64(f64::INFINITY)
    }
}

/// Combines the lanes of a block pairwise.
#[inline(always)]
pub(super) fn combine_lanes<T: Num, F: Fold<T>>(mut acc: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            acc[i] = F::combine(acc[i], acc[i + half]);
        }
        half /= 2;
    }
    acc[0]
}

/// The result of at most [`BLOCK`] elements.
pub(super) fn block<T: Num, F: Fold<T>>(x: &[T], lanes: Option<Lanes>) -> T {
    if T::DTYPE.is_int() {
        return any_order::<T, F>(x);
    }
    let mut acc = [F::identity(); LANES];
    append::<T, F>(&mut acc, x, 0, lanes);
    combine_lanes::<T, F>(acc)
}

/// Combines elements of a block with its lanes, the first with the lane of that number.
pub(super) fn append<T: Num, F: Fold<T>>(acc: &mut [T; LANES], x: &[T], first: usize, lanes: Option<Lanes>) {
    if let Some(lanes) = lanes {
        // SAFETY: elements and lanes of the dtype the loops are for.
        return unsafe { (lanes.part)(x.as_ptr().cast(), first, x.len(), acc.as_mut_ptr().cast()) };
    }
    let (head, rest) = x.split_at(x.len().min((LANES - first) % LANES));
    let (rows, tail) = rest.as_chunks::<LANES>();
    append_few::<T, F>(&mut acc[first..], head);
    for row in rows {
        for i in 0..LANES {
            acc[i] = F::combine(acc[i], row[i]);
        }
    }
    append_few::<T, F>(acc, tail);
}

/// The result of each block, of which the last may be short.
pub(super) fn blocks<T: Num, F: Fold<T>>(x: &[T], lanes: Option<Lanes>, out: &mut [T]) {
    let Some(lanes) = lanes else {
        return x.chunks(BLOCK).zip(out).for_each(|(x, out)| *out = block::<T, F>(x, None));
    };
    for (x, out) in x.chunks(4 * BLOCK).zip(out.chunks_mut(4)) {
        let mut results = [T::ZERO; 4];
        // SAFETY: elements of the dtype the loops are for, and as many results as they write.
        unsafe { (lanes.blocks)(x.as_ptr().cast(), x.len(), results.as_mut_ptr().cast()) };
        out.copy_from_slice(&results[..out.len()]);
    }
}

/// What four blocks combine to in the tree.
pub(super) fn span<T: Num, F: Fold<T>>(x: &[T; 4 * BLOCK], lanes: Option<Lanes>) -> T {
    if T::DTYPE.is_int() {
        return any_order::<T, F>(x);
    }
    let mut results = [T::ZERO; 4];
    match lanes {
        // SAFETY: elements of the dtype the loops are for, and as many results as they write.
        Some(lanes) => unsafe { (lanes.blocks)(x.as_ptr().cast(), x.len(), results.as_mut_ptr().cast()) },
        None => blocks::<T, F>(x, None, &mut results),
    }
    let [a, b, c, d] = results;
    F::combine(F::combine(a, b), F::combine(c, d))
}

/// Combines each element with a lane.
#[inline(always)]
fn append_few<T: Num, F: Fold<T>>(lanes: &mut [T], x: &[T]) {
    lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane = F::combine(*lane, *x));
}

/// What integers combine to: all orders give the same, so the compiler may choose the best for the processor.
pub(super) fn any_order<T: Num, F: Fold<T>>(x: &[T]) -> T {
    /// Fewer are combined at once where they are.
    const FEW: usize = 4 * LANES;
    let work = AnyOrder::<T, F>(x, PhantomData);
    if x.len() < FEW { work.run() } else { dispatch(work) }
}

struct AnyOrder<'a, T, F>(&'a [T], PhantomData<F>);

impl<T: Num, F: Fold<T>> Work for AnyOrder<'_, T, F> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        self.0.iter().fold(F::identity(), |acc, &x| F::combine(acc, x))
    }
}

/// The pairwise tree over blocks, as a binary counter: two subtrees of equal size are combined as soon as both exist.
#[derive(Clone)]
pub(super) struct Tree<T, F> {
    stack: [T; 48],
    depth: usize,
    count: usize,
    fold: PhantomData<F>,
}

impl<T: Num, F: Fold<T>> Tree<T, F> {
    #[inline(always)]
    pub fn new() -> Self {
        Tree { stack: [T::ZERO; 48], depth: 0, count: 0, fold: PhantomData }
    }

    #[inline(always)]
    pub fn push(&mut self, value: T) {
        self.push_subtree(value, 1);
    }

    /// What `leaves` values (a power of two, of which a multiple came before) combine to.
    #[inline(always)]
    pub fn push_subtree(&mut self, mut value: T, leaves: usize) {
        let mut carry = self.count / leaves;
        while carry & 1 == 1 {
            self.depth -= 1;
            value = F::combine(self.stack[self.depth], value);
            carry >>= 1;
        }
        self.stack[self.depth] = value;
        self.depth += 1;
        self.count += leaves;
    }

    /// The result; at least one value must have been pushed. Nothing is left.
    #[inline(always)]
    pub fn finish(&mut self) -> T {
        let mut value = self.stack[self.depth - 1];
        for i in (0..self.depth - 1).rev() {
            value = F::combine(self.stack[i], value);
        }
        (self.depth, self.count) = (0, 0);
        value
    }
}

/// Compiled for each instruction set for the common dtypes, once for the others.
#[inline(always)]
pub(super) fn dispatch_common<T: Element, W: Work>(work: W) -> W::Output {
    use DType::*;
    if matches!(T::DTYPE, F32 | F64 | I32 | U32 | I64 | U64) { dispatch(work) } else { work.run() }
}
