//! Complex numbers: NumPy's values at special points, the convention of derivatives, dtypes and errors.

use covector::ops::complex::complex;
use covector::ops::create::{full, zeros};
use covector::{
    DType, Operand, Tensor, c64, c128, compile, grad, hessian, jacfwd, jvp, registry, try_value_and_grad,
    value_and_grad, vjp, vmap,
};
use serde_json::Value;

fn c(re: f64, im: f64) -> c128 {
    c128::new(re, im)
}

fn goldens() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../goldens/complex.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the file is committed")).expect("JSON")
}

fn numbers(list: &Value) -> Vec<c128> {
    let part = |v: &Value| match v.as_str() {
        Some(text) => text.parse().expect("a number"),
        None => v.as_f64().expect("a number"),
    };
    list.as_array().expect("a list").iter().map(|z| c(part(&z[0]), part(&z[1]))).collect()
}

/// The same to 1e-13 of the number's size; zeros of either sign are equal, and so are NaN.
fn alike(got: c128, wanted: c128, relative: f64) -> bool {
    let size = wanted.re.hypot(wanted.im);
    let near = |a: f64, b: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= relative * if size.is_finite() { size } else { b.abs() }
    };
    near(got.re, wanted.re) && near(got.im, wanted.im)
}

fn applied(name: &str, operands: &[Tensor]) -> Vec<c128> {
    let op = registry::find(name).expect("an op");
    let y = op.apply(operands.iter().map(|x| x.into()).collect()).expect("it takes complex numbers").remove(0);
    let y = if y.dtype() == DType::Bool { y.cast(DType::C128) } else { y };
    y.value().to_c128_vec()
}

/// Where NumPy does something else than the standard says, or the standard leaves it open.
fn excused(name: &str, z: c128) -> bool {
    let infinite = z.re.is_infinite() || z.im.is_infinite();
    match name {
        _ if z.re.is_nan() && z.im.is_nan() => false,
        "sign" => infinite || z.re.is_nan() || z.im.is_nan(),
        // NumPy loses tiny numbers in 1 + z, and multiplies an infinite exponential by the sine of 0.
        "log1p" => z.norm() < 1e-100,
        "expm1" => infinite || z.re.is_nan() || z.im.is_nan() || z.re > 709.0,
        // NumPy's loop fuses one of the products, so that only the other overflows.
        "square" => z.re.abs() > 1e150,
        _ => false,
    }
}

#[test]
fn functions_have_numpys_values_at_special_points() {
    let golden = goldens();
    let x = numbers(&golden["x"]);
    let tensor = Tensor::from(x.clone());
    let mut wrong = Vec::new();
    for (name, wanted) in golden["unary"].as_object().expect("an object") {
        let got = applied(name, std::slice::from_ref(&tensor));
        for ((z, g), w) in x.iter().zip(got).zip(numbers(wanted)) {
            if !alike(g, w, 1e-13) && !excused(name, *z) {
                wrong.push(format!("{name}({z}) is {g}, not {w}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn functions_of_two_have_numpys_values() {
    let golden = goldens();
    let (a, b) = (numbers(&golden["a"]), numbers(&golden["b"]));
    let operands = [Tensor::from(a.clone()), Tensor::from(b.clone())];
    let mut wrong = Vec::new();
    for (name, wanted) in golden["binary"].as_object().expect("an object") {
        for (((a, b), g), w) in a.iter().zip(&b).zip(applied(name, &operands)).zip(numbers(wanted)) {
            if !alike(g, w, 1e-13) {
                wrong.push(format!("{name}({a}, {b}) is {g}, not {w}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_sign_of_zero_says_on_which_side_of_a_cut_a_number_lies() {
    let both = |name: &str, re: f64, im: f64| applied(name, &[Tensor::from(vec![c(re, im)])])[0];
    for (name, re) in
        [("sqrt", -4.0), ("log", -1.0), ("acosh", -2.0), ("acosh", 0.5), ("asin", 2.0), ("acos", -3.0), ("atanh", 2.0)]
    {
        let (above, below) = (both(name, re, 0.0), both(name, re, -0.0));
        assert!(above == below.conj() && above.im != 0.0, "{name}({re}): {above} and {below}");
    }
    for (name, im) in [("asinh", 2.0), ("atan", -3.0)] {
        let (right, left) = (both(name, 0.0, im), both(name, -0.0, im));
        assert!(right.re == -left.re && right.im == left.im && right.re != 0.0, "{name}({im}i): {right} and {left}");
    }
}

#[test]
fn numbers_and_tensors_promote_as_the_table_says() {
    let z = Tensor::from([c64::new(1.0, 2.0)]);
    assert_eq!((&z + 1).dtype(), DType::C64);
    assert_eq!((&z + 0.5).to_vec::<c64>(), [c64::new(1.5, 2.0)]);
    assert_eq!((&z * c128::new(0.0, 1.0)).to_vec::<c64>(), [c64::new(-2.0, 1.0)]);
    assert_eq!((&z + Tensor::from([1.0f64])).dtype(), DType::C128);
    assert_eq!((Tensor::from([1.0f64]) * c(0.0, 1.0)).to_vec::<c128>(), [c(0.0, 1.0)]);
    assert_eq!((Tensor::from([2]) * c(0.0, 1.0)).dtype(), DType::C64);
    assert_eq!((1.0 - Tensor::from([c(1.0, 2.0)])).to_vec::<c128>(), [c(0.0, -2.0)]);
    let chosen = Tensor::from([true, false]).where_(Operand::from(c(1.0, 1.0)), 0.0);
    assert_eq!(chosen.to_vec::<c64>(), [c64::new(1.0, 1.0), c64::new(0.0, 0.0)]);
    assert_eq!(full([2], c(1.0, -1.0), DType::C128).to_vec::<c128>(), [c(1.0, -1.0); 2]);
    assert_eq!(zeros(2, DType::C64).to_vec::<c64>(), [c64::new(0.0, 0.0); 2]);
    let mixed = Tensor::from([true]).logical_and(&z);
    assert_eq!((mixed.dtype(), z.any(..).item::<bool>()), (DType::Bool, true));
}

#[test]
fn the_gradient_of_a_real_loss_points_uphill() {
    // |z - w|² falls along -2(z - w).
    let w = c(3.0, -1.0);
    let loss = |z: &Tensor| (z - w).abs().square().sum(..);
    let mut z = Tensor::from([c(0.0, 0.0), c(5.0, 2.0)]);
    assert_eq!(grad(loss)(&z).to_vec::<c128>(), [c(-6.0, 2.0), c(4.0, 6.0)]);
    for _ in 0..60 {
        let (_, g) = value_and_grad(loss)(&z);
        z = (&z - g * 0.25).stop_gradient();
    }
    assert!(z.to_vec::<c128>().iter().all(|z| (z - w).norm() < 1e-9));
    let leaf = Tensor::from(c(1.0, 2.0)).requires_grad();
    (&leaf * c(0.0, 1.0)).real().backward();
    assert_eq!(leaf.grad().expect("a gradient").item::<c128>(), c(0.0, -1.0));
}

#[test]
fn what_goes_through_a_holomorphic_function_meets_its_derivative_or_the_conjugate() {
    let z = Tensor::from(c(0.3, -0.7));
    let (_, forward) = jvp(|z: &Tensor| z.exp(), &z, &Tensor::from(c(1.0, 0.0)));
    let (y, pullback) = vjp(|z: &Tensor| z.exp(), &z);
    let y = y.item::<c128>();
    assert_eq!(forward.item::<c128>(), y);
    assert_eq!(pullback.call(&Tensor::from(c(1.0, 0.0))).item::<c128>(), y.conj());
}

#[test]
fn real_operands_of_complex_functions_have_real_gradients() {
    let f = |x: &(Tensor, Tensor)| (&x.0 * &x.1 + complex(&x.0, &x.0.square()).exp()).abs().sum(..);
    let x = (Tensor::from([0.5f64, -1.0]), Tensor::from([c(0.2, 0.1), c(-0.4, 1.0)]));
    let g = grad(f)(&x);
    assert_eq!((g.0.dtype(), g.1.dtype()), (DType::F64, DType::C128));
    let h = 1e-6;
    let moved = |by: f64| f(&(&x.0 + Tensor::from([by, 0.0]), x.1.clone())).item::<f64>();
    assert!((g.0.to_vec::<f64>()[0] - (moved(h) - moved(-h)) / (2.0 * h)).abs() < 1e-8);
}

#[test]
fn compiled_and_batched_functions_are_the_plain_ones() {
    let f = |z: &Tensor| (z.matmul(&z.conj().t()).exp() * z.sum(..)).abs().log1p();
    let z = complex(&Tensor::from([[0.1, -0.2], [0.3, 0.4]]), &Tensor::from([[0.5, 0.6], [-0.7, 0.8]]));
    let plain = f(&z).to_vec::<f64>();
    assert_eq!(compile(f)(&z).to_vec::<f64>(), plain);
    let g = |z: &Tensor| grad(|z: &Tensor| f(z).sum(..))(z);
    let wanted = g(&z).to_vec::<c128>();
    assert_eq!(compile(g)(&z).to_vec::<c128>(), wanted);
    let stacked = z.expand_dims(0).broadcast_to([3, 2, 2]);
    let batched = vmap(g)(&stacked).to_vec::<c128>();
    assert_eq!(batched, [&wanted[..], &wanted[..], &wanted[..]].concat());
}

#[test]
fn a_spectrum_is_differentiated_like_anything_else() {
    // By Parseval the energy of the spectrum is that of the signal, so its gradient is 2x.
    let x = Tensor::from([1.0f64, -2.0, 0.5, 3.0, 0.25]);
    let energy = |x: &Tensor| x.fft(None, -1, "ortho").abs().square().sum(..);
    let g = grad(energy)(&x).to_vec::<f64>();
    assert!(g.iter().zip(x.to_vec::<f64>()).all(|(g, x)| (g - 2.0 * x).abs() < 1e-14), "{g:?}");
    let h = hessian(energy)(&x).to_vec::<f64>();
    assert!(h.iter().enumerate().all(|(i, h)| (h - if i % 6 == 0 { 2.0 } else { 0.0 }).abs() < 1e-13), "{h:?}");
    for n in [1, 2, 7, 16, 31, 100, 1009] {
        let x = covector::ops::random::normal(&covector::ops::random::Key::new(n as u64), [3, n], DType::F64);
        let back = x.rfft(None, -1, "forward").irfft(Some(n), -1, "forward");
        let far = (&back - &x).abs().max(..).item::<f64>();
        assert!(far < 1e-13, "{n}: {far}");
        let both = x.fft(None, -1, "backward").ifft(None, -1, "backward");
        assert!((both.real() - &x).abs().max(..).item::<f64>() < 1e-13);
    }
}

fn refusal<T>(result: covector::Result<T>) -> String {
    let Err(e) = result else { return "no error".to_owned() };
    let text = e.to_string();
    // Lines of this file move.
    text.lines().filter(|l| !l.trim_start().starts_with("at ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_not_defined_is_an_error() {
    let z = Tensor::from([c64::new(1.0, 2.0), c64::new(0.0, 1.0)]);
    let x = Tensor::from([1.0f32, 2.0]);
    let all = [
        refusal(z.try_less(&x)),
        refusal(z.try_maximum(0.0)),
        refusal(z.try_max(..)),
        refusal(z.try_sort(0, false)),
        refusal(z.try_argmax(0)),
        refusal(z.try_cummax(0)),
        refusal(z.try_floor()),
        refusal(z.try_remainder(2.0)),
        refusal(z.try_sigmoid()),
        refusal(z.try_softmax(0)),
        refusal(z.try_bitwise_invert()),
        refusal(z.try_cast(DType::F32)),
        refusal(x.try_scatter_add(&Tensor::from([0]), &z.i(covector::s![..1]), 0)),
        refusal(z.try_scatter_max(&Tensor::from([0]), &z.i(covector::s![..1]), 0)),
        refusal(z.try_rfft(None, -1, "backward")),
        refusal(z.try_fft(Some(0), -1, "backward")),
        refusal(z.try_fft(None, -1, "unitary")),
        refusal(covector::ops::complex::try_complex(&z, &x)),
        refusal(covector::ops::create::try_full([2], c(1.0, 2.0), DType::F32)),
        refusal(z.try_to_vec::<f32>()),
    ];
    let complex_loss = refusal(try_value_and_grad(|z: &Tensor| z.sum(..), &z));
    assert!(complex_loss.contains("and only a real number has a gradient"), "{complex_loss}");
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
#[should_panic(expected = "only real numbers have one matrix of derivatives")]
fn a_jacobian_of_complex_numbers_is_refused() {
    jacfwd(|z: &Tensor| z.square())(&Tensor::from([c(1.0, 2.0)]));
}

#[test]
fn complex_numbers_are_written_with_both_parts() {
    let z = Tensor::from([[c(1.5, -2.0), c(0.0, 1.0)], [c(-3.25, 0.5), c(100.0, f64::NAN)]]);
    let lines =
        ["tensor([[ 1.5000-2.0000j,  0.0000+1.0000j],", "        [-3.2500+0.5000j,   100.0000+nanj]], dtype=c128)"];
    assert_eq!(z.to_string(), lines.join("\n"));
    assert_eq!(format!("{:?}", Tensor::from(c64::new(1.0, -0.0))), "constant c64[] 1.-0.j");
}

#[test]
fn distinct_complex_numbers_are_found() {
    let z = Tensor::from([c(1.0, 2.0), c(0.0, 1.0), c(1.0, 2.0), c(1.0, -2.0)]);
    assert_eq!(z.unique(4, 9.0).to_vec::<c128>(), [c(0.0, 1.0), c(1.0, -2.0), c(1.0, 2.0), c(9.0, 0.0)]);
    let distinct = [c(0.0, 1.0), c(1.0, -2.0), c(1.0, 2.0)];
    assert_eq!(z.unique_values().to_vec::<c128>(), distinct);
    let all = z.unique_all();
    assert_eq!(all[0].to_vec::<c128>(), distinct);
    let numbers = |x: &Tensor| x.to_vec::<i64>();
    assert_eq!(
        (numbers(&all[1]), numbers(&all[2]), numbers(&all[3])),
        (vec![1, 3, 0], vec![2, 0, 2, 1], vec![1, 1, 2])
    );
    // Parts that are NaN stand last, first those of the imaginary part; each is a value of its own. Zeros are equal whatever their signs.
    let nan = f64::NAN;
    let odd = [c(nan, 1.0), c(1.0, nan), c(0.0, -0.0), c(-0.0, 0.0), c(2.0, 1.0), c(nan, 1.0)];
    let (values, counts) = Tensor::from(odd).cast(covector::DType::C64).unique_counts();
    assert_eq!(counts.to_vec::<i64>(), [2, 1, 1, 1, 1]);
    let shown: Vec<String> = values.to_vec::<c64>().iter().map(|z| format!("{} {}", z.re + 0.0, z.im + 0.0)).collect();
    assert_eq!(shown, ["0 0", "1 NaN", "2 1", "NaN 1", "NaN 1"]);
}

#[test]
fn members_of_sets_of_complex_numbers_are_found() {
    let set = Tensor::from([c(1.0, 2.0), c(0.0, 0.0), c(f64::NAN, 0.0), c(1.0, 2.0)]);
    let z = Tensor::from([[c(1.0, -2.0), c(1.0, 2.0), c(-0.0, 0.0)], [c(1.0, 0.0), c(f64::NAN, 0.0), c(1.0, 2.0)]]);
    let found = [false, true, true, false, false, true];
    assert_eq!(z.isin(&set, false).to_vec::<bool>(), found);
    assert_eq!(z.isin(&set, true).to_vec::<bool>(), found.map(|x| !x));
    assert_eq!(
        Tensor::from([1, 3]).isin(&Tensor::from([c(3.0, 0.0), c(1.0, 1.0)]), false).to_vec::<bool>(),
        [false, true]
    );
    assert_eq!(set.isin(&Tensor::from(Vec::<f64>::new()), false).to_vec::<bool>(), [false; 4]);
    assert_eq!(Tensor::from(Vec::<c128>::new()).isin(&set, false).size(), 0);
}
