//! Counter-based random numbers: the same key and position give the same bits on any machine and any thread count.

use super::strided::{CHUNK, par_chunks};
use crate::{Array, DType, Element, Shape, with_dtype};

/// Random bits (u32) of any shape: the words of Philox4x32-10 for the counters `[block lo, block hi, 0, 0]`, in order.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
pub fn random_bits(key: [u32; 2], shape: Shape) -> Array {
    Array::build::<u32>(shape, |out| {
        let cost = out.len().saturating_mul(2);
        par_chunks(out, CHUNK, cost, |start, piece| {
            for (i, words) in piece.chunks_mut(4).enumerate() {
                let block = (start / 4 + i) as u64;
                let random = philox([block as u32, (block >> 32) as u32, 0, 0], key);
                words.copy_from_slice(&random[..words.len()]);
            }
        });
    })
}

/// One block of Philox4x32-10: four random words for a counter and a key.
///
/// ```
/// use covector_array::kernels::philox;
/// assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..10 {
        let (p, q) = (0xD251_1F53 * u64::from(a), 0xCD9E_8D57 * u64::from(c));
        (a, b, c, d) = ((q >> 32) as u32 ^ b ^ k, q as u32, (p >> 32) as u32 ^ d ^ l, p as u32);
        (k, l) = (k.wrapping_add(0x9E37_79B9), l.wrapping_add(0xBB67_AE85));
    }
    [a, b, c, d]
}

/// `0, 1, … len - 1` in `dtype`; what does not fit wraps in integers and rounds in floats.
pub fn iota(len: usize, dtype: DType) -> Array {
    with_dtype!(dtype, T => Array::build::<T>(Shape::from(len), |out| {
        par_chunks(out, CHUNK, len, |start, piece| {
            piece.iter_mut().enumerate().for_each(|(i, o)| *o = T::from_i64((start + i) as i64));
        });
    }))
}
