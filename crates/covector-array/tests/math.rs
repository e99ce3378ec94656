//! The f32 functions against f64, those of f64 against the C library and exact values, over sweeps, and at the edges.

use std::f64::consts::{FRAC_PI_2, PI};

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
        ("erfinv", 0.51, Real::erfinv, Real::erfinv, ALL),
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

/// The number of f64 from one to the other; both NaN, or zeros of one sign, are the same.
fn steps(a: f64, b: f64) -> u64 {
    let order = |x: f64| if x.is_sign_negative() { -1 - (x.to_bits() << 1 >> 1) as i64 } else { x.to_bits() as i64 };
    if a.is_nan() && b.is_nan() { 0 } else { order(a).abs_diff(order(b)) }
}

/// Against mpmath with 90 digits: the arguments with the largest errors found, and those at the ends.
#[test]
fn f64_functions_are_next_to_the_nearest_number() {
    macro_rules! check {
        ($($f:ident $bound:literal: $(($x:expr, $exact:expr)),*;)*) => {$($({
            let got = Real::$f($x as f64);
            assert!(steps(got, $exact) <= $bound, "{}({:e}) = {got:e}, not {:e}", stringify!($f), $x, $exact);
        })*)*};
    }
    check! {
        exp 1: (576.3777986628315, 2.078248380817468e+250), (0.39595736868257636, 1.485805974335075),
            (-708.4962833787878, 2.013602212019993e-308), (-0.3490116082889889, 0.705384941910174),
            (-744.4400719213812, 5e-324);
        exp2 1: (312.5056671932448, 1.1846215808854198e+94), (0.5183960676813082, 1.4323619181247), (-1074.0, 5e-324);
        expm1 1: (0.4016721650502797, 0.49432136159716383), (0.40202719923978697, 0.49485199096085114),
            (-4.1056276529369356e-08, -4.105627568656045e-08), (-37.114562915598995, -0.9999999999999999),
            (709.782712893384, 1.7976931348622732e+308);
        sinh 1: (-0.4167950174305908, -0.428967741077061), (0.4147963824339538, 0.4267938341615373),
            (-0.11813398976048983, -0.11840895411857455), (710.4758600739439, 1.7976931348621744e+308);
        cosh 1: (2.4883623823410357, 6.062293189202424), (-4.510536608727989, 45.49080680227903),
            (-710.4758600739439, 1.7976931348621744e+308);
        tanh 1: (18.723302511558806, 0.9999999999999999), (-0.030758769100930117, -0.030749072460794547),
            (-0.20422946547760823, -0.201436603799837);
        ln 1: (1.4072259806052403, 0.3416203768953104), (0.8883992856250134, -0.11833399107631072),
            (3.0062843789423e-311, -715.0032590305188);
        log2 1: (1.3882247662305895, 0.47324117229207574), (1.0264951659216806, 0.03772683337224287),
            (3.0062843789423e-311, -1031.5316560227766);
        log10 1: (1.3315578620374933, 0.12436004318772821), (1.3919241506757776, 0.14361557015926635),
            (1.0000037903732786, 1.6461350795088238e-06);
        log1p 1: (1.648979197859319, 0.9741743574313598), (-0.6639151225297654, -1.0903915394012949),
            (1.9268776029521547e+23, 53.61535800938757), (-0.9999999999999999, -36.7368005696771);
        sin 1: (-0.7909834723093168, -0.7110451411508764), (307002905.789661, 1.5489528061824224e-12),
            (PI, 1.2246467991473532e-16), (-58052465.6843245, 0.7188566723249847),
            (1073741888.0, 0.4818872182698319), (1e+22, -0.8522008497671888);
        cos 1: (585951812.5204535, -0.7127958358056186), (100248047.21765803, -7.35434218602585e-13),
            (FRAC_PI_2, 6.123233995736766e-17), (-3.8617889331853847, -0.7516762909030589),
            (1e+22, 0.523214785395139);
        tan 1: (2.368481977370916, -0.9757221179511345), (830360282.4556556, 6.817327323303443e-13),
            (FRAC_PI_2, 1.633123935319537e+16), (-26189988.455178022, -0.9649487356827815),
            (1e+22, -1.6287782256068988);
        asin 1: (-0.525435031842526, -0.5532263330785973), (0.52609166711948, 0.5539982722645683),
            (-0.9999999999999999, -1.5707963118937354), (0.001319551816223744, 0.001319552199161719);
        acos 1: (0.5493224804359325, 0.9892431131363725), (0.5683926164044754, 0.9662454472356158),
            (-0.9999999999999999, 3.141592638688632), (0.9999999999999999, 1.4901161193847656e-08),
            (-0.001319551816223744, 1.5721158789940584);
        atan 1: (-0.47641639216289056, -0.44460335076363616), (0.5027599005955677, 0.4658530911327928),
            (1.5, 0.982793723247329), (-273069376.0820015, -1.5707963231328237);
        asinh 2: (-1.1239980933735407, -0.96639383514252), (-0.06147882636975233, -0.06144016405785409),
            (2.1768940304973357e+307, 708.3646698339495);
        acosh 2: (1.0296109831835887, 0.24275910356421787), (1.0858438285561003, 0.4114437928145754),
            (2.1768940304973357e+307, 708.3646698339495);
        atanh 1: (0.44743682034296484, 0.4814908909442552), (0.9540221302663514, 1.8747424850905035),
            (-0.9999999999999999, -18.714973875118524);
        cbrt 0: (-2.3266066283214526, -1.3250766070949342), (-40333702.18738097, -342.94359468627243), (-1e-300, -1e-100),
            (27.2, 3.0073891924099496);
        erf 1: (-0.8414291198355413, -0.7659380718753904), (0.8569269885760484, 0.7744408269227071),
            (-1e-300, -1.1283791670955126e-300), (0.4769, 0.49996739409753477), (-5.9, -0.9999999999999999);
        erfc 2: (18.911763752805367, 1.4014523932025184e-157), (1.3689404006448385, 0.05287087554568548),
            (26.5, 2.2109076642637343e-307), (27.2, 1e-323), (0.4769, 0.5000326059024652), (-5.9, 2.0);
    }
    let normal = [
        (-32.472910315911335, 1.2864846934344133e-231),
        (-30.22327512193645, 5.857843360615847e-201),
        (-38.4, 6.4e-323),
        (-37.6, 1.074811249587044e-309),
        (0.6744, 0.7499714786270594),
        (8.3, 1.0),
    ];
    for (x, exact) in normal {
        let (got, density) = Real::normal(x);
        assert!(steps(got, exact) <= 2, "normal({x:e}) = {got:e}, not {exact:e}");
        assert!(steps(density, (-0.5 * x * x).exp()) <= (x * x) as u64 / 2 + 1, "density({x:e}) = {density:e}");
    }
}

#[test]
fn f64_functions_are_those_of_c() {
    let step = std::env::var("SWEEP").map_or(1 << 49, |_| 1 << 43) + 1_234_567_891;
    let special = [
        0.0,
        5e-324,
        1e-310,
        f64::MIN_POSITIVE,
        1e-300,
        1.0,
        2.0,
        710.0,
        1e9,
        2e9,
        1e18,
        1e300,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ];
    let sweep = (0..f64::INFINITY.to_bits()).step_by(step).map(f64::from_bits);
    let dense = (0..40_000).map(|i| f64::from(i).mul_add(3.7e-4, 1e-5));
    let all: Vec<f64> = special.into_iter().chain(sweep).chain(dense).flat_map(|x| [x, -x]).collect();
    macro_rules! check {
        ($($f:ident $bound:literal $c:expr),* $(,)?) => {$({
            for &x in &all {
                let (got, want) = (Real::$f(x), $c(x));
                assert!(steps(got, want) <= $bound, "{}({x:e}) = {got:e}, not {want:e}", stringify!($f));
            }
        })*};
    }
    // Their errors add up: the C library's own are up to 2 units.
    check!(
        exp 1 f64::exp, exp2 1 f64::exp2, expm1 2 f64::exp_m1, ln 1 f64::ln, log2 1 f64::log2, log10 2 f64::log10,
        log1p 2 f64::ln_1p, sin 1 f64::sin, cos 1 f64::cos, tan 2 f64::tan, asin 1 f64::asin, acos 1 f64::acos,
        atan 1 f64::atan, sinh 3 f64::sinh, cosh 2 f64::cosh, tanh 3 f64::tanh, asinh 3 libm::asinh, atanh 3 libm::atanh,
        cbrt 1 f64::cbrt, erf 2 libm::erf, erfc 3 libm::erfc,
    );
    for &x in all.iter().filter(|x| x.abs() >= 1.0) {
        let (got, want) = (Real::acosh(x), if x > 0.0 { libm::acosh(x) } else { f64::NAN });
        assert!(steps(got, want) <= 3, "acosh({x:e}) = {got:e}, not {want:e}");
    }
}

#[test]
fn powers_and_angles_of_f64_are_those_of_c() {
    let mut state = 7u64;
    let mut next = |range: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * range
    };
    for i in 0..100_000 {
        // Some near 1 with large exponents, some of any size.
        let (x, y) = if i % 2 == 0 { (next(20.0), next(200.0)) } else { (1.0 + next(1e-3), next(1e6)) };
        let (got, want) = (Real::powf(x.abs(), y), x.abs().powf(y));
        assert!(steps(got, want) <= 1, "powf({x:e}, {y:e}) = {got:e}, not {want:e}");
        let (x, y) = (x * next(1010.0).exp2(), y * next(1010.0).exp2());
        let (got, want) = (Real::atan2(x, y), x.atan2(y));
        assert!(steps(got, want) <= 1, "atan2({x:e}, {y:e}) = {got:e}, not {want:e}");
        let exponent = next(1.0);
        let (got, want) = (Real::powf(x.abs(), exponent), x.abs().powf(exponent));
        assert!(steps(got, want) <= 1, "powf({x:e}, {exponent:e}) = {got:e}, not {want:e}");
    }
    let special = [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        2.5,
        5e-324,
        1e-310,
        1e-300,
        1e300,
        f64::MAX,
        9007199254740991.0,
        9007199254740992.0,
        f64::INFINITY,
        f64::NAN,
    ];
    let special = special.map(|x| [x, -x]);
    for &x in special.as_flattened() {
        for &y in special.as_flattened() {
            let same = |a: f64, b: f64| steps(a, b) <= u64::from(b.is_finite() && b != 0.0);
            let (got, want) = (Real::powf(x, y), x.powf(y));
            assert!(same(got, want), "powf({x:e}, {y:e}) = {got:e}, not {want:e}");
            let (got, want) = (Real::atan2(x, y), x.atan2(y));
            assert!(same(got, want), "atan2({x:e}, {y:e}) = {got:e}, not {want:e}");
        }
    }
}

#[test]
fn what_has_an_exact_result_in_f64_gives_it() {
    for n in -1074..=1023 {
        let power = if n < -1022 { f64::from_bits(1 << (n + 1074)) } else { f64::from_bits(((1023 + n) as u64) << 52) };
        assert_eq!((Real::exp2(f64::from(n)), Real::log2(power)), (power, f64::from(n)));
        assert_eq!(Real::powf(2.0, f64::from(n)), power);
    }
    let mut power = 1.0f64;
    for n in 0..=22 {
        assert_eq!((Real::log10(power), Real::powf(10.0, f64::from(n))), (f64::from(n), power));
        power *= 10.0;
    }
    for x in (1..3000).map(f64::from) {
        assert_eq!(
            (Real::powf(0.37 * x, 1.0), Real::powf(x, 2.0), Real::powf(x * x, 0.5)),
            (0.37 * x, x * x, x),
            "{x}"
        );
    }
    assert_eq!((Real::round(2.5f64), Real::round(-3.5f32)), (2.0, -4.0));
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
