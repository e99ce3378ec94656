//! The f32 functions against f64, over dense sweeps, and at the edges.

use covector_array::math::Real;

/// The distance between `got` and the exact value in units in the last place of the nearest f32.
fn ulps(got: f32, exact: f64) -> f64 {
    let near = exact as f32;
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if near.is_infinite() || got.is_infinite() {
        return if near == got { 0.0 } else { f64::INFINITY };
    }
    let exponent = (near.abs().max(f32::MIN_POSITIVE).to_bits() >> 23) as i32 - 127;
    (f64::from(got) - exact).abs() / 2f64.powi(exponent - 23)
}

/// The largest error over every `step`-th f32 between `low` and `high`, and where it is.
fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, low: f32, high: f32, step: usize) -> (f64, f32) {
    let order =
        |x: f32| if x.to_bits() >> 31 == 0 { x.to_bits() as i64 } else { -((x.to_bits() & 0x7fff_ffff) as i64) };
    let back = |i: i64| if i >= 0 { f32::from_bits(i as u32) } else { -f32::from_bits((-i) as u32) };
    let mut result = (0.0, low);
    for i in (order(low)..=order(high)).step_by(step) {
        let x = back(i);
        let error = ulps(f(x), exact(f64::from(x)));
        if error > result.0 {
            result = (error, x);
        }
    }
    result
}

const ALL: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

#[test]
fn f32_functions_keep_their_bounds() {
    let step = std::env::var("SWEEP").ok().and_then(|s| s.parse().ok()).unwrap_or(4001);
    type Case = (&'static str, f64, fn(f32) -> f32, fn(f64) -> f64, (f32, f32));
    let cases: &[Case] = &[
        ("exp", 1.0, Real::exp, f64::exp, ALL),
        ("exp2", 0.51, Real::exp2, f64::exp2, ALL),
        ("expm1", 1.6, Real::expm1, f64::exp_m1, ALL),
        ("ln", 1.0, Real::ln, f64::ln, ALL),
        ("log2", 0.51, Real::log2, f64::log2, ALL),
        ("log10", 0.51, Real::log10, f64::log10, ALL),
        ("log1p", 1.5, Real::log1p, f64::ln_1p, ALL),
        ("sin", 0.51, Real::sin, f64::sin, ALL),
        ("cos", 0.51, Real::cos, f64::cos, ALL),
        ("tan", 0.51, Real::tan, f64::tan, ALL),
        ("asin", 0.51, Real::asin, f64::asin, ALL),
        ("acos", 0.51, Real::acos, f64::acos, ALL),
        ("atan", 0.51, Real::atan, f64::atan, ALL),
        ("sinh", 0.51, Real::sinh, f64::sinh, ALL),
        ("cosh", 0.51, Real::cosh, f64::cosh, ALL),
        ("tanh", 1.3, Real::tanh, f64::tanh, ALL),
        ("asinh", 0.51, Real::asinh, libm::asinh, ALL),
        ("acosh", 0.51, Real::acosh, libm::acosh, (1.0, f32::INFINITY)),
        ("atanh", 0.51, Real::atanh, libm::atanh, ALL),
        ("cbrt", 0.51, Real::cbrt, f64::cbrt, ALL),
        ("erf", 1.1, Real::erf, libm::erf, ALL),
        ("erfc", 0.51, Real::erfc, libm::erfc, ALL),
        ("normal", 5.0, |x| x.normal().0, |x| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2), ALL),
        ("density", 1.5, |x| x.normal().1, |x| (-0.5 * x * x).exp(), (-14.0, 14.0)),
    ];
    let mut broken = Vec::new();
    for (name, bound, f, exact, (low, high)) in cases {
        let (error, at) = worst(f, exact, *low, *high, step);
        println!("{name}: {error:.4} at {at:e} (got {:e}, exact {:e})", f(at), exact(f64::from(at)));
        if error > *bound {
            broken.push(format!("{name}: {error:.4} ulp at {at:e} > {bound}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn functions_of_two_f32_round_once() {
    let mut state = 7u64;
    let mut next = |range: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * range) as f32
    };
    for _ in 0..300_000 {
        let (x, y) = (next(20.0), next(20.0));
        let (a, b) = (f64::from(x), f64::from(y));
        for (name, got, exact) in [
            ("powf", Real::powf(x.abs(), y), a.abs().powf(b)),
            ("atan2", Real::atan2(x, y), a.atan2(b)),
            ("hypot", Real::hypot(x, y), a.hypot(b)),
        ] {
            assert!(ulps(got, exact) < 0.52, "{name}({x:e}, {y:e}) = {got:e}, exactly {exact:e}");
        }
    }
}

#[test]
fn powers_and_angles_of_special_values_are_those_of_c() {
    let special = [
        0.0f32,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        -2.0,
        3.0,
        -3.0,
        2.5,
        -2.5,
        1e-40,
        -1e-40,
        1e30,
        -1e30,
        3e38,
        16777216.0,
        -16777217.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let same = |a: f32, b: f32| (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits();
    for x in special {
        for y in special {
            let want = f64::from(x).powf(f64::from(y)) as f32;
            assert!(same(Real::powf(x, y), want), "powf({x:e}, {y:e}) = {:e}, not {want:e}", Real::powf(x, y));
            let want = f64::from(x).atan2(f64::from(y)) as f32;
            assert!(same(Real::atan2(x, y), want), "atan2({x:e}, {y:e}) = {:e}, not {want:e}", Real::atan2(x, y));
            let want = f64::from(x).hypot(f64::from(y)) as f32;
            assert!(same(Real::hypot(x, y), want), "hypot({x:e}, {y:e}) = {:e}, not {want:e}", Real::hypot(x, y));
        }
    }
}

#[test]
fn special_values_of_one_f32_keep_signs_and_infinities() {
    let special = [
        0.0f32,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        -1e-45,
        1e-38,
        -1e-38,
        3.4e38,
        -3.4e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    macro_rules! check {
        ($($f:ident $exact:expr),* $(,)?) => {$(
            for x in special {
                let (got, want) = (Real::$f(x), $exact(f64::from(x)) as f32);
                let same = (got.is_nan() && want.is_nan()) || (got.to_bits() as i64 - want.to_bits() as i64).abs() <= 1;
                assert!(same, "{}({x:e}) = {got:e}, not {want:e}", stringify!($f));
            }
        )*};
    }
    check!(
        exp f64::exp, exp2 f64::exp2, expm1 f64::exp_m1, ln f64::ln, log2 f64::log2, log10 f64::log10,
        log1p f64::ln_1p, sin f64::sin, cos f64::cos, tan f64::tan, asin f64::asin, acos f64::acos, atan f64::atan,
        sinh f64::sinh, cosh f64::cosh, tanh f64::tanh, asinh libm::asinh, atanh libm::atanh, cbrt f64::cbrt,
        erf libm::erf, erfc libm::erfc, sqrt f64::sqrt, lgamma libm::lgamma,
    );
    assert!(Real::acosh(0.5f32).is_nan() && Real::acosh(-1e30f32).is_nan() && Real::acosh(-1e30f64).is_nan());
    assert_eq!((Real::acosh(1.0f32), Real::acosh(f32::INFINITY)), (0.0, f32::INFINITY));
}

#[test]
fn f64_follows_c() {
    assert_eq!(Real::tanh(-5.5f64), -0.9999665971563038);
    assert_eq!(Real::round(2.5f64), 2.0);
    assert_eq!(Real::round(-3.5f32), -4.0);
}

/// Against mpmath with 40 digits.
#[test]
fn digamma_and_erfinv_have_fourteen_digits() {
    let digamma: [(f64, f64); 18] = [
        (0.1, -10.423754940411076),
        (0.5, -1.9635100260214235),
        (1.0, -0.5772156649015329),
        (1.5, 0.03648997397857652),
        (2.5, 0.7031566406452432),
        (9.9, 2.2411803166063815),
        (10.0, 2.251752589066721),
        (100.0, 4.600161852738087),
        (1e10, 23.025850929890456),
        (-0.5, 0.03648997397857652),
        (-1.5, 0.7031566406452432),
        (-2.3, 3.3173231575618227),
        (-10.7, 0.13374481244706443),
        (-100.25, 7.754238959208646),
        (1e-5, -100000.57719921567),
        (-1e-5, 99999.42276788563),
        (1.46, -0.0015805619870834522),
        (3e-300, -3.333333333333333e299),
    ];
    for (x, want) in digamma {
        let got = Real::digamma(x);
        assert!((got - want).abs() <= 1e-14 * want.abs(), "digamma({x}) = {got}, not {want}");
    }
    assert_eq!(Real::digamma(1.4616321449683622f64), -9.241265521729427e-17);
    assert!(Real::digamma(-3.0f64).is_nan() && Real::digamma(f64::NAN).is_nan());
    assert_eq!((Real::digamma(0.0f64), Real::digamma(-0.0f64)), (f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!(Real::digamma(f64::INFINITY), f64::INFINITY);
    let erfinv: [(f64, f64); 12] = [
        (1e-300, 8.86226925452758e-301),
        (1e-10, 8.862269254527581e-11),
        (0.1, 0.08885599049425769),
        (0.3, 0.2724627147267543),
        (0.5, 0.4769362762044699),
        (0.6, 0.5951160814499948),
        (0.9, 1.1630871536766743),
        (0.99, 1.8213863677184494),
        (0.999999, 3.458910737275499),
        (1.0 - f64::EPSILON / 2.0, 5.8635847487551676),
        (-0.25, -0.2253120550121781),
        (-0.999, -2.3267537655135246),
    ];
    for (x, want) in erfinv {
        let got = Real::erfinv(x);
        assert!((got - want).abs() <= 1e-14 * want.abs(), "erfinv({x}) = {got}, not {want}");
    }
    assert_eq!((Real::erfinv(1.0f64), Real::erfinv(-1.0f32)), (f64::INFINITY, f32::NEG_INFINITY));
    assert!(Real::erfinv(1.5f64).is_nan());
    assert_eq!(Real::erfinv(0.0f64), 0.0);
}

/// The platform's function is the same where it is glibc's.
#[test]
#[cfg(target_env = "gnu")]
fn the_f64_hypotenuse_has_the_bits_of_glibc() {
    let special =
        [0.0, 1.0, 5e-324, 1e-310, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN, 1e154, 1.4e154, 3e-139];
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    // Exponents near each other, which is where digits are lost.
    let mut near = || {
        let exponent = next() % 2000;
        [0, next() % 64].map(|more| f64::from_bits((exponent + more).min(2046) << 52 | next() >> 12))
    };
    let wild = (0..2_000_000).map(|_| near()).chain(special.into_iter().flat_map(|x| special.map(|y| [x, y])));
    for [x, y] in wild {
        for (x, y) in [(x, y), (y, -x)] {
            let (got, want) = (Real::hypot(x, y), f64::hypot(x, y));
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            assert!(same, "hypot({x:e}, {y:e}) = {got:e}, not {want:e}");
        }
    }
}
