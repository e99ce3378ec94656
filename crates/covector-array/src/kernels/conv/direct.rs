//! Products of one or two rows, as in a convolution of each channel by itself: windows are read where they lie.

use smallvec::SmallVec;

use super::planes::copy_run;
use super::product::{Place, Product, Run};
use super::scattered::Scatter;
use crate::isa::{Work, dispatch};

/// Positions in a chunk, and chunks whose chains run side by side.
const LANES: usize = 16;
const CHUNKS: usize = 4;

/// Computes all rows of a product at the positions of `runs`; `weights` are those of its one register tile.
///
/// # Safety
/// As [`Product::run`].
pub(super) unsafe fn run<T: Scatter>(
    product: &Product<T>,
    weights: *const T,
    planes: *const T,
    runs: &[Run],
    place: &Place<T>,
) {
    let cut = |run: &Run| {
        let run = *run;
        (0..run.len).step_by(LANES).map(move |i| Run {
            from: run.from + i as isize,
            to: run.to + i,
            len: LANES.min(run.len - i),
        })
    };
    let chunks: SmallVec<[Run; 64]> = runs.iter().flat_map(cut).collect();
    dispatch(Direct { offsets: &product.offsets, rows: product.rows, weights, planes, chunks: &chunks, place });
}

struct Direct<'a, T> {
    offsets: &'a [usize],
    rows: usize,
    weights: *const T,
    planes: *const T,
    chunks: &'a [Run],
    place: &'a Place<T>,
}

impl<T: Scatter> Work for Direct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for chunks in self.chunks.chunks(CHUNKS) {
            // Chunks that are missing repeat the last one, and are not stored.
            let from: [*const T; CHUNKS] =
                std::array::from_fn(|i| self.planes.wrapping_offset(chunks[i.min(chunks.len() - 1)].from));
            for row in 0..self.rows {
                let mut sums = [[T::ZERO; LANES]; CHUNKS];
                for (d, &offset) in self.offsets.iter().enumerate() {
                    // SAFETY: the caller's promise: a chunk's elements lie in the planes, which have slack behind them.
                    unsafe {
                        let weight = *self.weights.add(d * self.rows + row);
                        for i in 0..CHUNKS {
                            let x = from[i].add(offset).cast::<[T; LANES]>().read_unaligned();
                            for lane in 0..LANES {
                                sums[i][lane] = weight.mul_add(x[lane], sums[i][lane]);
                            }
                        }
                    }
                }
                for (chunk, sums) in chunks.iter().zip(&sums) {
                    // SAFETY: the caller's promise: the results are this call's to write.
                    unsafe {
                        let to = self.place.ptr.add(row * self.place.row + chunk.to);
                        if chunk.len == LANES {
                            to.cast::<[T; LANES]>().write_unaligned(*sums);
                        } else {
                            copy_run(sums.as_ptr(), to, chunk.len);
                        }
                    }
                }
            }
        }
    }
}
