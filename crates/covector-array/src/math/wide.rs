//! Functions of f64, good to about ten digits: those of f32 computed in them are rounded once.
//!
//! Branch-free and without calls, so that loops vectorise; coefficients are minimax fits (Remez) made for this file. Arguments are
//! those an f32 function needs: finite, unless said otherwise.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, LN_2, LOG2_E};

use super::poly::poly;

/// Adding it to a small number rounds that to an integer, found in the low bits of the sum.
pub(super) const MAGIC: f64 = 6755399441055744.0; // 1.5 * 2^52

/// What π/2 is more than its nearest number.
pub(super) const FRAC_PI_2_LO: f64 = 6.123233995736766e-17;

/// `e^x` for |x| < 700; relative error 2^-39.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let t = x.mul_add(LOG2_E, MAGIC);
    let r = (t - MAGIC).mul_add(-LN_2, x);
    scale(exp_reduced(r), t)
}

/// `2^x` for |x| < 1000; relative error 2^-39, exact at integers.
#[inline(always)]
pub(super) fn exp2(x: f64) -> f64 {
    let t = x + MAGIC;
    scale(exp_reduced((x - (t - MAGIC)) * LN_2), t)
}

/// `e^r` for |r| <= ln(2) / 2.
#[inline(always)]
fn exp_reduced(r: f64) -> f64 {
    let q = poly!(r;
        0.5000000000462085, 0.16666666791648543, 0.041666664266359836, 0.008333279724436456,
        0.0013889209594016242, 0.00019910295317624913, 2.470643355140342e-05);
    (r * r).mul_add(q, r) + 1.0
}

/// `x * 2^n`, where `t` is n + MAGIC.
#[inline(always)]
fn scale(x: f64, t: f64) -> f64 {
    f64::from_bits(x.to_bits().wrapping_add(t.to_bits() << 52))
}

/// The natural logarithm of a positive normal number; relative error 2^-38.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const BIAS: u64 = 1023 << 52;
    let i = x.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(BIAS);
    // The exponent becomes a float by way of the low bits of 2^52.
    let e = f64::from_bits((i >> 52) | 0x4330_0000_0000_0000) - (4503599627370496.0 + 1023.0);
    let f = f64::from_bits((i & ((1 << 52) - 1)) + SQRT_HALF) - 1.0;
    let p = poly!(f;
        -0.4999999999377192, 0.3333333342523118, -0.25000002005744376, 0.19999987381145784,
        -0.1666649053440566, 0.142862089912267, -0.12506610056644976, 0.11105778521391987,
        -0.09880587227692877, 0.09030027957787148, -0.09317625118523672, 0.09174388534475054,
        -0.048409817823436854);
    e.mul_add(LN_2, (f * f).mul_add(p, f))
}

/// `ln(1 + y)` for y > -1; relative error 2^-37.
#[inline(always)]
pub(super) fn ln_1p(y: f64) -> f64 {
    let u = 1.0 + y;
    // What the sum lost matters only while it is close to 1.
    let lost = if y < 1.0 { y - (u - 1.0) } else { 0.0 };
    ln(u) + lost
}

/// The quarter turns nearest to `x` (modulo 4, in the low bits) and the angle left, for any f32 `x >= 0`; NaN if infinite.
///
/// 2/π is cut into pieces of 29 bits, whose products with 24 bits are exact; of each product the multiples of four
/// quarter turns are dropped before they are added, largest first (Payne and Hanek's reduction in floating point).
#[inline(always)]
pub(super) fn quarter_turns(x: f64) -> (u32, f64) {
    const fn piece(bits: u32, index: i32) -> f64 {
        bits as f64 * f64::from_bits(((1023 - 29 * index) as u64) << 52)
    }
    const PIECES: [f64; 7] = [
        piece(341782637, 1),
        piece(423170132, 2),
        piece(352195499, 3),
        piece(488592205, 4),
        piece(461485765, 5),
        piece(90590992, 6),
        piece(478285810, 7),
    ];
    macro_rules! product {
        ($i:literal) => {{
            let p = x * PIECES[$i];
            (p * 0.25).round_ties_even().mul_add(-4.0, p)
        }};
    }
    let p = (product!(0), product!(1), product!(2), product!(3), product!(4), product!(5), product!(6));
    let tail = p.3 + (p.4 + (p.5 + p.6));
    let t = (p.0 + (p.1 + (p.2 + tail))) + MAGIC;
    let rest = p.0 - (t - MAGIC) + p.1 + p.2 + p.3 + p.4 + p.5 + p.6;
    (t.to_bits() as u32, rest * FRAC_PI_2)
}

/// [`quarter_turns`] for an f32 up to 2^28, where the multiples of two parts of π/2 are exact enough.
#[inline(always)]
pub(super) fn quarter_turns_near(x: f64) -> (u32, f64) {
    let t = x.mul_add(FRAC_2_PI, MAGIC);
    let n = t - MAGIC;
    (t.to_bits() as u32, n.mul_add(-FRAC_PI_2_LO, n.mul_add(-FRAC_PI_2, x)))
}

/// `sin(r)` for |r| <= π/4; relative error 2^-37.
#[inline(always)]
pub(super) fn sin_reduced(r: f64) -> f64 {
    let z = r * r;
    let p = poly!(z; -0.16666666641426492, 0.008333329362265727, -0.0001983932713152824, 2.718237231292941e-06);
    (r * z).mul_add(p, r)
}

/// `cos(r)` for |r| <= π/4; relative error 2^-43.
#[inline(always)]
pub(super) fn cos_reduced(r: f64) -> f64 {
    let z = r * r;
    poly!(z;
        1.0, -0.4999999999954057, 0.041666666561245555, -0.001388888103217283, 2.4799030938470746e-05,
        -2.7179354608608875e-07)
}

/// `atan(x)` for 0 <= x <= 1; relative error 2^-34.
#[inline(always)]
pub(super) fn atan_reduced(x: f64) -> f64 {
    let z = x * x;
    let p = poly!(z;
        -0.33333332235325913, 0.199999321978698, -0.14284250873465884, 0.11095202519129392,
        -0.08988792405746314, 0.07269385289029705, -0.054704507709205784, 0.034704684871083795,
        -0.016471478714359094, 0.004999326691223465, -0.0007113067125593687);
    (x * z).mul_add(p, x)
}

/// `asin(x)` for 0 <= x <= 0.5; relative error 2^-39.
#[inline(always)]
pub(super) fn asin_reduced(x: f64) -> f64 {
    let z = x * x;
    let p = poly!(z;
        0.16666666626575938, 0.07500005058915135, 0.044640681357922096, 0.03042695517558014,
        0.021861942723125943, 0.020664520156492464, 0.001933903677647572, 0.032957340652746955);
    (x * z).mul_add(p, x)
}

/// `erfc(x)` for 0 <= x <= 10.2; relative error 2^-32.
#[inline(always)]
pub(super) fn erfc_positive(x: f64) -> f64 {
    let t = (x - 4.0) / (x + 4.0);
    let p = poly!(t;
        0.13699945761568696, -0.2590680492402605, 0.21871968146228707, -0.16425778807231206,
        0.10896309584960803, -0.06310833302690777, 0.03129979947730716, -0.012839747261966102,
        0.004058708124265713, -0.0008151097075629618, -2.8263469652513552e-05, 0.0001015065669856195);
    exp(-x * x) * p
}

/// The inverse of erf for |x| < 1, in f64 too; relative error 2^-31.
///
/// Divided by x it is a smooth function of `w = -ln(1 - x²)` (Giles, 2010), and further out of its root.
#[inline(always)]
pub(super) fn erfinv(x: f64) -> f64 {
    let w = -ln((1.0 - x) * (1.0 + x));
    let (near, far) = (w - 2.5, w.sqrt() - 4.0);
    let center = poly!(near;
        1.5014093516916356, 0.2466402757866228, -0.004177324633730031, -0.0012527048755230012, 0.00021826355575180138,
        -4.998761495309853e-06, -3.4260118269979884e-06, 4.796993879649643e-07, 1.6457236151194017e-08,
        -1.1023274103260253e-08, 4.3702707884824753e-10, 1.3286097737005776e-10);
    let tail = poly!(far;
        3.8397837962415733, 1.0094932590466645, 0.0012598973525339541, -0.000869067119356055, 0.0003206094307824854,
        -0.00011755942779166437, 5.657853916085848e-05, -3.3149065844108734e-05, 1.751352497774427e-05,
        -8.205951074082132e-06, 3.8186812419166205e-06, -8.758520687002557e-07, -5.763941052730957e-07,
        4.3029187917278123e-07, -4.2682783646437095e-08, -3.0262360417726274e-08, 6.6878194612170435e-09);
    x * if w < 5.0 { center } else { tail }
}
