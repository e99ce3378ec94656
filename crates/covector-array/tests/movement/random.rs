//! random_bits, philox, iota.

use covector_array::kernels::{iota, philox, random_bits};
use covector_array::{DType, Shape};

#[test]
fn philox_gives_the_published_vectors() {
    // Random123's known-answer tests for philox4x32-10.
    assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    let counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
    assert_eq!(philox(counter, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
}

#[test]
fn random_bits_are_the_words_of_successive_blocks() {
    let key = [7, 0xffff_0001];
    for n in [0, 1, 3, 4, 5, 63, 64, 65, 127, 1000, 70_001] {
        let bits = random_bits(key, Shape::from(n)).to_vec::<u32>();
        assert_eq!(bits.len(), n);
        for (i, &word) in bits.iter().enumerate() {
            assert_eq!(word, philox([(i / 4) as u32, 0, 0, 0], key)[i % 4], "word {i} of {n}");
        }
    }
}

#[test]
fn random_bits_depend_on_the_size_only_by_their_number() {
    let long = random_bits([1, 2], Shape::from(100_000)).to_vec::<u32>();
    assert_eq!(random_bits([1, 2], Shape::from([3, 5])).to_vec::<u32>(), long[..15]);
    assert_eq!(random_bits([1, 2], Shape::scalar()).to_vec::<u32>(), long[..1]);
    assert_ne!(random_bits([2, 2], Shape::from(8)).to_vec::<u32>(), long[..8]);
}

#[test]
fn iota_counts_in_every_dtype() {
    for dtype in DType::ALL {
        let n = if dtype.size() == 1 { 100 } else { 300 };
        let counted = iota(n, dtype);
        assert_eq!((counted.dtype(), counted.shape()[..].to_vec()), (dtype, vec![n]));
        let values = counted.to_f64_vec();
        for (i, v) in values.iter().enumerate() {
            let want = match dtype {
                DType::Bool => f64::from(i > 0),
                DType::BF16 if i > 256 => continue,
                _ => i as f64,
            };
            assert_eq!(*v, want, "{dtype}");
        }
    }
    assert_eq!(iota(0, DType::F32).size(), 0);
    assert_eq!(iota(70_000, DType::I64).to_i64_vec(), (0..70_000).collect::<Vec<_>>());
}
