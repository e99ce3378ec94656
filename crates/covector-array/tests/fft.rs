//! Transforms too long for one plan, against their definition.

mod common;

use common::{bits, noise, same_everywhere};
use covector_array::kernels::{fft, irfft, rfft};
use covector_array::{Array, DType, c128};

/// The sum as it is written, for element `k`.
fn defined(x: &[c128], k: usize, sign: f64) -> c128 {
    let n = x.len();
    let power = |j: usize| c128::from_polar(1.0, sign * std::f64::consts::TAU * ((j * k % n) as f64 / n as f64));
    x.iter().enumerate().map(|(j, &x)| x * power(j)).sum()
}

/// Products of two and more factors, odd ones, a prime, and twice a prime.
const LENGTHS: [usize; 7] = [1 << 17, 100_000, 65_540, 255_255, 66_049, 65_537, 131_074];

#[test]
fn long_transforms_are_what_they_are_defined_to_be() {
    for n in LENGTHS {
        for (complex, real, bound) in [(DType::C64, DType::F32, 4e-4), (DType::C128, DType::F64, 1e-9)] {
            let x = noise([n], 7, complex);
            let values = x.to_c128_vec();
            let some = [0, 1, 2, 31, n / 3, n / 2, n - 2, n - 1];
            for inverse in [false, true] {
                let got = fft(&x, 0, inverse).to_c128_vec();
                for k in some {
                    let want = defined(&values, k, if inverse { 1.0 } else { -1.0 });
                    assert!((got[k] - want).norm() < bound, "{k} of {n} {complex} {inverse}: {} {want}", got[k]);
                }
            }
            let x = noise([n], 7, real);
            let values: Vec<c128> = x.to_f64_vec().into_iter().map(|x| c128::new(x, 0.0)).collect();
            let half = rfft(&x, 0);
            let got = half.to_c128_vec();
            assert_eq!(got.len(), n / 2 + 1);
            for k in some.into_iter().filter(|&k| k < got.len()) {
                let want = defined(&values, k, -1.0);
                assert!((got[k] - want).norm() < bound, "{k} of {n} {real}: {} {want}", got[k]);
            }
            let back = irfft(&half, 0, n).to_f64_vec();
            for (back, x) in back.iter().zip(&values) {
                assert!((back / n as f64 - x.re).abs() < bound * 1e-2, "{n} {real}: {back} {x}");
            }
        }
    }
}

#[test]
fn what_stands_for_itself_counts_with_its_real_part() {
    let n = 1 << 17;
    let half = fft(&noise([n / 2 + 1], 7, DType::C128), 0, false);
    let mut values = half.to_c128_vec();
    let last = values.len() - 1;
    (values[0].im, values[last].im) = (0.0, 0.0);
    let clean = Array::from_slice(&values, [last + 1]);
    assert!(bits(&irfft(&half, 0, n)) == bits(&irfft(&clean, 0, n)));
}

#[test]
fn a_row_has_the_bits_it_has_alone_whatever_its_axis_and_the_threads() {
    let n = 81_920;
    for dtype in [DType::C64, DType::F32] {
        let x = noise([3, n], 7, dtype);
        let run = |x: &Array, axis| if dtype == DType::C64 { fft(x, axis, false) } else { rfft(x, axis) };
        let all = same_everywhere(|| run(&x, 1));
        let m = all.shape()[1];
        for row in 0..3 {
            let one = run(&x.slice(&[row, 0], &[1, n], &[1, 1]), 1);
            assert!(bits(&one) == bits(&all.slice(&[row, 0], &[1, m], &[1, 1])), "row {row} {dtype}");
        }
        assert!(bits(&run(&x.t(), 0)) == bits(&all.t()), "{dtype} along the first axis");
    }
}
