//! Counter-based random numbers: the same key and position give the same bits on any machine and any thread count.

use super::strided::{CHUNK, par_chunks};
use crate::isa::{Work, dispatch};
use crate::{Array, DType, Element, Shape, with_dtype};

/// Random bits (u32) of any shape: the words of Philox4x32-10 for the counters `[block lo, block hi, 0, 0]`, in order.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
pub fn random_bits(key: [u32; 2], shape: Shape) -> Array {
    Array::build::<u32>(shape, |out| {
        let cost = out.len().saturating_mul(2);
        par_chunks(out, CHUNK, cost, |start, out| dispatch(Fill { out, block: start as u64 / 4, key }));
    })
}

/// One block of Philox4x32-10: four random words for a counter and a key.
///
/// ```
/// use covector_array::kernels::philox;
/// assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Blocks computed side by side: one in each lane of a vector.
const LANES: usize = 16;

/// The ten rounds, on `L` blocks at once.
#[inline(always)]
fn rounds<const L: usize>([mut a, mut b, mut c, mut d]: [[u32; L]; 4], [mut k, mut l]: [u32; 2]) -> [[u32; L]; 4] {
    for _ in 0..10 {
        for i in 0..L {
            let (p, q) = (0xD251_1F53 * u64::from(a[i]), 0xCD9E_8D57 * u64::from(c[i]));
            (a[i], c[i]) = ((q >> 32) as u32 ^ b[i] ^ k, (p >> 32) as u32 ^ d[i] ^ l);
            (b[i], d[i]) = (q as u32, p as u32);
        }
        (k, l) = (k.wrapping_add(0x9E37_79B9), l.wrapping_add(0xBB67_AE85));
    }
    [a, b, c, d]
}

/// Writes the words of the blocks from `block` on.
struct Fill<'a> {
    out: &'a mut [u32],
    block: u64,
    key: [u32; 2],
}

impl Work for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (group, words) in self.out.chunks_mut(4 * LANES).enumerate() {
            let block = |lane: usize| self.block + (group * LANES + lane) as u64;
            let lo = std::array::from_fn(|lane| block(lane) as u32);
            let hi = std::array::from_fn(|lane| (block(lane) >> 32) as u32);
            let random = rounds::<LANES>([lo, hi, [0; LANES], [0; LANES]], self.key);
            let mut interleaved = [0; 4 * LANES];
            for (lane, four) in interleaved.chunks_exact_mut(4).enumerate() {
                four.iter_mut().zip(&random).for_each(|(word, random)| *word = random[lane]);
            }
            words.copy_from_slice(&interleaved[..words.len()]);
        }
    }
}

/// `0, 1, … len - 1` in `dtype`; what does not fit wraps in integers and rounds in floats.
pub fn iota(len: usize, dtype: DType) -> Array {
    with_dtype!(dtype, T => Array::build::<T>(Shape::from(len), |out| {
        par_chunks(out, CHUNK, len, |start, out| dispatch(Count { out, start }));
    }))
}

/// Writes the numbers from `start` on.
struct Count<'a, T> {
    out: &'a mut [T],
    start: usize,
}

impl<T: Element> Work for Count<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (i, o) in self.out.iter_mut().enumerate() {
            *o = T::from_i64((self.start + i) as i64);
        }
    }
}
