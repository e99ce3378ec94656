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
        ("log1p", 0.51, Real::log1p, f64::ln_1p, ALL),
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
