//! Register tiles of dot products: rows of one factor with rows of another, both contiguous.
//!
//! A dot product is [`lanes`](Dotted::LANES) chains of fused multiply-adds, element `i` in chain `i` modulo their number,
//! which are then added in halves. So the bits depend on no instruction set.

use crate::isa::{Isa, isa};
use crate::kernels::matmul::Tiled;

/// Rows of the left factor with rows of the right one.
pub(super) struct Dot<'a, T> {
    pub a: *const T,
    pub a_row: isize,
    /// The right factor's rows are whole.
    pub b: *const T,
    pub b_row: usize,
    /// Where the pieces of the left factor's rows begin, and their lengths in units of all lanes.
    pub pieces: &'a [(isize, usize)],
    /// Where the product of row `i` and row `j` goes: `out[j · out_row + i]`.
    pub out: *mut T,
    pub out_row: usize,
}

/// # Safety
/// The processor must have the instruction set; rows must be readable and results writable.
type Run<T> = unsafe fn(&Dot<T>);

/// The tiles for numbers of rows of the left and of the right factor: 6, 3 and 1 of the latter, each with falling numbers of
/// the former, down to one.
pub(super) type Tiles<T> = &'static [(usize, usize, Run<T>)];

/// Element types with such tiles.
pub(super) trait Dotted: Tiled {
    /// The chains of a dot product.
    const LANES: usize;
    /// The tiles for the instruction set in use.
    fn dots() -> Tiles<Self>;
}

macro_rules! dotted {
    ($($t:ident $lanes:literal $avx512:ident $avx2:ident),*) => {$(
        impl Dotted for $t {
            const LANES: usize = $lanes;
            fn dots() -> Tiles<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => x86::$avx512::TILES,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => x86::$avx2::TILES,
                    _ => &[
                        (1, 6, portable::<$t, $lanes, 6>),
                        (1, 3, portable::<$t, $lanes, 3>),
                        (1, 1, portable::<$t, $lanes, 1>),
                    ],
                }
            }
        }
    )*};
}
dotted!(f32 16 avx512_f32 avx2_f32, f64 8 avx512_f64 avx2_f64);

/// # Safety
/// As [`Run`].
unsafe fn portable<T: Tiled, const LANES: usize, const B: usize>(dot: &Dot<T>) {
    let mut sums = [[T::ZERO; LANES]; B];
    let mut b = dot.b;
    // SAFETY: the caller's promise.
    unsafe {
        for &(at, len) in dot.pieces {
            let mut a = dot.a.offset(at);
            for _ in 0..len {
                let left = a.cast::<[T; LANES]>().read_unaligned();
                for (j, sums) in sums.iter_mut().enumerate() {
                    let right = b.add(j * dot.b_row).cast::<[T; LANES]>().read_unaligned();
                    for lane in 0..LANES {
                        sums[lane] = left[lane].mul_add(right[lane], sums[lane]);
                    }
                }
                (a, b) = (a.add(LANES), b.add(LANES));
            }
        }
        for (j, sums) in sums.into_iter().enumerate() {
            *dot.out.add(j * dot.out_row) = halves(sums);
        }
    }
}

/// The sum of all lanes: the upper half added to the lower one until one is left.
#[inline(always)]
fn halves<T: Tiled, const LANES: usize>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = lanes[i] + lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// A module with the tiles whose sums fit the registers.
    macro_rules! tiles {
        (
            $name:ident, $features:literal, $t:ident, lanes $all:literal in registers of $width:literal,
            $zero:ident $fma:ident $load:ident $store:ident, $([$a:literal $b:literal])*
        ) => {
            pub(in super::super) mod $name {
                use super::super::{Dot, Tiles, halves};
                use super::*;

                pub const TILES: Tiles<$t> = &[$(($a, $b, run::<$a, $b>)),*];
                /// Registers that hold the lanes of a sum; they are gone through one after another.
                const PARTS: usize = $all / $width;

                /// # Safety
                /// As [`super::super::Run`].
                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn run<const A: usize, const B: usize>(dot: &Dot<$t>) {
                    let mut lanes = [[[0.0; $all]; A]; B];
                    // SAFETY: the caller's promise.
                    unsafe {
                        for part in 0..PARTS {
                            let mut sums = [[$zero(); A]; B];
                            let mut b = dot.b.add(part * $width);
                            for &(at, len) in dot.pieces {
                                let mut a = dot.a.offset(at).add(part * $width);
                                for _ in 0..len {
                                    let mut left = [$zero(); A];
                                    for i in 0..A {
                                        left[i] = $load(a.offset(i as isize * dot.a_row));
                                    }
                                    for j in 0..B {
                                        let right = $load(b.add(j * dot.b_row));
                                        for i in 0..A {
                                            sums[j][i] = $fma(left[i], right, sums[j][i]);
                                        }
                                    }
                                    (a, b) = (a.add($all), b.add($all));
                                }
                            }
                            for j in 0..B {
                                for i in 0..A {
                                    $store(lanes[j][i].as_mut_ptr().add(part * $width), sums[j][i]);
                                }
                            }
                        }
                        for j in 0..B {
                            for i in 0..A {
                                *dot.out.add(j * dot.out_row + i) = halves(lanes[j][i]);
                            }
                        }
                    }
                }
            }
        };
    }

    tiles!(
        avx512_f32, "avx512f,fma", f32, lanes 16 in registers of 16,
        _mm512_setzero_ps _mm512_fmadd_ps _mm512_loadu_ps _mm512_storeu_ps,
        [4 6] [4 3] [4 1] [2 6] [2 3] [2 1] [1 6] [1 3] [1 1]
    );
    tiles!(
        avx512_f64, "avx512f,fma", f64, lanes 8 in registers of 8,
        _mm512_setzero_pd _mm512_fmadd_pd _mm512_loadu_pd _mm512_storeu_pd,
        [4 6] [4 3] [4 1] [2 6] [2 3] [2 1] [1 6] [1 3] [1 1]
    );
    tiles!(
        avx2_f32, "avx2,fma", f32, lanes 16 in registers of 8,
        _mm256_setzero_ps _mm256_fmadd_ps _mm256_loadu_ps _mm256_storeu_ps,
        [2 6] [2 3] [2 1] [1 6] [1 3] [1 1]
    );
    tiles!(
        avx2_f64, "avx2,fma", f64, lanes 8 in registers of 4,
        _mm256_setzero_pd _mm256_fmadd_pd _mm256_loadu_pd _mm256_storeu_pd,
        [2 6] [2 3] [2 1] [1 6] [1 3] [1 1]
    );
}
