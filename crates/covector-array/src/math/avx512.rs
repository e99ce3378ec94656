//! Functions of f32 on sixteen lanes of AVX-512, where its instructions do more at once than those the compiler chooses.
//!
//! Each does what the function of [`super::float32`] of this name does, operation by operation, so the bits are the same: a power
//! of two is multiplied by and rounded in one instruction, the parts of a number are taken out of it in another, special
//! results are put in by a third. Where a function is one of two polynomials, coefficients are
//! chosen before one evaluation instead of a result after two.

use std::arch::x86_64::*;

use super::float32::{
    EXP, LN, LN2_HI, LN2_LO, LOG2_E, MAGIC, SQRT_HALF, SQRT_TWO, TANH_LARGEST, TANH_SMALL, TANH_SMALLER,
};

/// The elements of a register.
pub(crate) const LANES: usize = 16;

macro_rules! functions {
    ($($(#[doc = $doc:literal])* $vis:vis fn $name:ident $(<const $n:ident: usize>)?($($x:ident: $t:ty),*) -> $o:ty $body:block)*) => {$(
        $(#[doc = $doc])*
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        $vis fn $name$(<const $n: usize>)?($($x: $t),*) -> $o $body
    )*};
}

functions! {
    /// `e^x`.
    pub(crate) fn exp(x: __m512) -> __m512 {
        // The second operand is given where one is NaN.
        let held = _mm512_min_ps(all(89.0), _mm512_max_ps(all(-104.0), x));
        let (n, r) = split(held);
        let square = _mm512_mul_ps(r, r);
        let p = _mm512_add_ps(_mm512_fmadd_ps(square, horner(r, EXP), r), all(1.0));
        _mm512_scalef_ps(p, n)
    }

    /// `ln x`.
    pub(crate) fn ln(x: __m512) -> __m512 {
        let m = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(x);
        let e = _mm512_getexp_ps(x);
        let above = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(m, all(f32::from_bits(SQRT_TWO)));
        let m = _mm512_mask_mul_ps(m, above, m, all(0.5));
        let e = _mm512_mask_add_ps(e, above, e, all(1.0));
        logarithm_of(x, ln_reduced(e, _mm512_sub_ps(m, all(1.0))))
    }

    /// `ln(1 + x)`.
    pub(crate) fn log1p(x: __m512) -> __m512 {
        let u = _mm512_add_ps(all(1.0), x);
        let i = _mm512_sub_epi32(_mm512_castps_si512(u), _mm512_set1_epi32(SQRT_HALF));
        let e = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(i));
        let scale = _mm512_scalef_ps(all(1.0), _mm512_sub_ps(all(0.0), e));
        let f = _mm512_fmadd_ps(x, scale, _mm512_sub_ps(scale, all(1.0)));
        // Zeros keep their sign.
        _mm512_fixupimm_ps::<0>(logarithm_of(u, ln_reduced(e, f)), x, _mm512_set1_epi32(fixed(ZERO, ITSELF)))
    }

    /// `tanh x`.
    pub(crate) fn tanh(x: __m512) -> __m512 {
        let a = _mm512_abs_ps(x);
        let small = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, all(TANH_SMALL));
        let (n, r) = split(_mm512_min_ps(all(TANH_LARGEST), _mm512_add_ps(a, a)));
        let choose = |large: __m512, other: __m512| _mm512_mask_blend_ps(small, large, other);
        let (m, w) = (choose(r, a), choose(r, _mm512_mul_ps(x, x)));
        let mut q = choose(all(EXP[4]), all(TANH_SMALLER[4]));
        for i in (0..4).rev() {
            q = _mm512_fmadd_ps(q, w, choose(all(EXP[i]), all(TANH_SMALLER[i])));
        }
        let p = _mm512_fmadd_ps(_mm512_mul_ps(m, w), q, m);
        let e = _mm512_scalef_ps(_mm512_add_ps(p, all(1.0)), n);
        let large = _mm512_sub_ps(all(1.0), _mm512_div_ps(all(2.0), _mm512_add_ps(e, all(1.0))));
        with_sign(choose(large, p), x)
    }

    /// `1 / (1 + e^-x)`.
    pub(crate) fn sigmoid(x: __m512) -> __m512 {
        let e = exp(_mm512_xor_ps(all(-0.0), x));
        _mm512_div_ps(all(1.0), _mm512_add_ps(all(1.0), e))
    }

    fn all(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }

    /// `c0 + x (c1 + x (c2 + …))`.
    fn horner<const N: usize>(x: __m512, c: [f32; N]) -> __m512 {
        let mut sum = all(c[N - 1]);
        for i in (0..N - 1).rev() {
            sum = _mm512_fmadd_ps(sum, x, all(c[i]));
        }
        sum
    }

    /// `x = n ln 2 + r`.
    fn split(x: __m512) -> (__m512, __m512) {
        let n = _mm512_sub_ps(_mm512_fmadd_ps(x, all(LOG2_E), all(MAGIC)), all(MAGIC));
        (n, _mm512_fmadd_ps(n, all(-LN2_LO), _mm512_fmadd_ps(n, all(-LN2_HI), x)))
    }

    /// `ln(2^e (1 + f))`.
    fn ln_reduced(e: __m512, f: __m512) -> __m512 {
        let z = _mm512_mul_ps(f, f);
        let low = _mm512_fmadd_ps(_mm512_mul_ps(f, z), horner(f, LN), _mm512_mul_ps(all(-0.5), z));
        let low = _mm512_fmadd_ps(e, all(LN2_LO), low);
        _mm512_fmadd_ps(e, all(LN2_HI), _mm512_add_ps(f, low))
    }

    /// The logarithm of `x`, which is `value` where `x` is a positive number.
    fn logarithm_of(x: __m512, value: __m512) -> __m512 {
        let value = _mm512_fixupimm_ps::<0>(value, x, _mm512_set1_epi32(LOGARITHM));
        _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(x, all(0.0)), all(f32::NAN))
    }

    /// The magnitude of the first with the sign of the second.
    fn with_sign(x: __m512, sign: __m512) -> __m512 {
        let magnitude = _mm512_set1_epi32(i32::MAX);
        // Where the bit of the first is set, that of the second, else that of the third.
        let bits = _mm512_ternarylogic_epi32::<0xCA>(magnitude, _mm512_castps_si512(x), _mm512_castps_si512(sign));
        _mm512_castsi512_ps(bits)
    }
}

// The table of `vfixupimmps`: four bits for each kind of number say what it becomes (Intel's manual, volume 2).
const ZERO: i32 = 2;
const INFINITY: i32 = 5;
const ITSELF: i32 = 1;
const TO_MINUS_INFINITY: i32 = 4;
const TO_INFINITY: i32 = 5;

const fn fixed(kind: i32, becomes: i32) -> i32 {
    becomes << (4 * kind)
}

/// The logarithms of 0 and of infinity.
const LOGARITHM: i32 = fixed(ZERO, TO_MINUS_INFINITY) | fixed(INFINITY, TO_INFINITY);
