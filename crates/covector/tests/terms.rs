//! What the uses of a tensor add to its cotangent: parts side by side are joined, and small products become one.

use covector::ops::concat::{concat, stack};
use covector::*;

/// Numbers that differ, between -1 and 1.
fn numbers(shape: &[usize], salt: f64) -> Tensor {
    let n = shape.iter().product::<usize>();
    Tensor::from((0..n).map(|i| ((i as f64 + 1.0) * 1.7 + salt).sin()).collect::<Vec<f64>>())
        .reshape(shape.iter().map(|&d| d as i64).collect::<Vec<_>>())
}

/// How often each kernel runs for these.
fn steps(targets: &[Tensor], kernel: &str) -> usize {
    explain(targets).to_string().lines().filter(|l| l.split_whitespace().nth(1) == Some(kernel)).count()
}

/// A function's gradient and its Hessian times a vector, against central differences.
fn is_right(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) {
    let (v, h) = (numbers(x.shape(), 0.7), 1e-5);
    let moved = |by: f64| x + &v * by;
    let slope = ((f(&moved(h)) - f(&moved(-h))) / (2.0 * h)).item::<f64>();
    let along = (grad(&f)(x) * &v).sum(..).item::<f64>();
    assert!((slope - along).abs() < 1e-8 * slope.abs().max(1.0), "{along} for {slope}");
    let forward = jvp(&f, x, &v).1.item::<f64>();
    assert!((forward - along).abs() < 1e-12 * along.abs().max(1.0), "{along} for {forward}");
    let differences = (grad(&f)(&moved(h)) - grad(&f)(&moved(-h))) / (2.0 * h);
    let dot = |x: &Tensor| (grad(&f)(x) * &v).sum(..);
    let size = differences.abs().max(..).item::<f64>().max(1.0);
    let off = (grad(dot)(x) - differences).abs().max(..).item::<f64>() / size;
    assert!(off < 1e-7, "the second derivative is off by {off} of itself");
}

#[test]
fn a_tensor_that_is_cut_up_gets_its_parts_joined() {
    let x = numbers(&[3, 12], 0.1);
    let chunks = |x: &Tensor| {
        let [a, b, c, d] = &x.chunk(4, 1)[..] else { panic!("four") };
        (a.tanh() * b + c.sigmoid() * d * a).sum(..)
    };
    let rows = |x: &Tensor| {
        let rows = x.unbind(0);
        (&rows[0] * &rows[1] * rows[2].tanh()).sum(..)
    };
    for f in [&chunks as &dyn Fn(&Tensor) -> Tensor, &rows] {
        is_right(f, &x);
        let g = grad(f)(&x);
        assert_eq!((steps(std::slice::from_ref(&g), "pad"), steps(&[g], "concat")), (0, 1));
    }
}

#[test]
fn between_parts_there_are_zeros_and_parts_that_overlap_are_added() {
    let x = numbers(&[10, 2], 0.2);
    let part = |x: &Tensor, from: i64, to: i64| x.i((from..to, ..));
    // Out of order, with gaps at both ends and between.
    let gaps = |x: &Tensor| (part(x, 6, 8).square() * part(x, 1, 3)).sum(..) + part(x, 4, 5).exp().sum(..);
    let windows = |x: &Tensor| (part(x, 1, 10) - part(x, 0, 9)).square().sum(..) + part(x, 2, 7).tanh().sum(..);
    let twice = |x: &Tensor| (part(x, 0, 4) * part(x, 0, 4) * part(x, 6, 10)).sum(..);
    let both_axes = |x: &Tensor| (x.i((0..5, 0..1)).exp() * x.i((5..10, 1..2))).sum(..);
    let every_other = |x: &Tensor| (x.i(Index::from(0..10).step(2)).exp() * x.i(Index::from(1..10).step(2))).sum(..);
    let whole = |x: &Tensor| (part(x, 0, 5) * part(x, 5, 10)).sum(..) + x.sin().sum(..);
    let empty = |x: &Tensor| part(x, 3, 3).sum(..) + part(x, 0, 3).square().sum(..) + part(x, 3, 9).exp().sum(..);
    let all: [&dyn Fn(&Tensor) -> Tensor; 7] = [&gaps, &windows, &twice, &both_axes, &every_other, &whole, &empty];
    for f in all {
        is_right(f, &x);
    }
    let g = grad(gaps)(&x);
    let untouched = [0, 3, 5, 8, 9].map(|i| part(&g, i, i + 1).to_vec::<f64>());
    assert_eq!(untouched, [(); 5].map(|_| vec![0.0, 0.0]));
    assert_eq!(steps(&[grad(gaps)(&x)], "pad"), 0);
}

/// A recurrence: the weight is used at every step.
fn recurrence(w: &Tensor, x: &Tensor) -> Tensor {
    let mut h = x.i(0);
    let mut all = Vec::new();
    for step in x.unbind(0) {
        h = (h.matmul(w) + step).tanh();
        all.push(h.clone());
    }
    stack(&all, 0).square().sum(..)
}

#[test]
fn the_small_products_of_a_shared_weight_are_one() {
    let (w, x) = (numbers(&[9, 9], 0.3) * 0.3, numbers(&[6, 2, 9], 0.4));
    is_right(|w| recurrence(w, &x), &w);
    is_right(|w| recurrence(&w.t(), &x), &w);
    // Six steps, five of which pull a cotangent on to the state before; and one sum of products for the weight.
    let g = grad(|w: &Tensor| recurrence(w, &x))(&w);
    assert_eq!((steps(std::slice::from_ref(&g), "matmul"), steps(&[g], "matmul_sum")), (6 + 5, 1));
    // Its factors side by side would be larger than the products that are added up.
    let large = numbers(&[6, 30, 9], 0.5);
    is_right(|w| recurrence(w, &large), &w);
    let g = grad(|w: &Tensor| recurrence(w, &large))(&w);
    assert_eq!((steps(std::slice::from_ref(&g), "matmul"), steps(&[g], "matmul_sum")), (6 + 5 + 6, 0));
    // A weight that is used a few times.
    is_right(|w| recurrence(w, &large.i(0..3)), &w);
}

#[test]
fn joined_terms_are_batched_and_complex() {
    let (w, x) = (numbers(&[3, 5, 5], 0.3) * 0.4, numbers(&[4, 2, 5], 0.4));
    let each = |w: &Tensor| grad(|w: &Tensor| recurrence(w, &x))(w);
    let batched = vmap(each)(&w);
    let looped = stack(&w.unbind(0).iter().map(each).collect::<Vec<_>>(), 0);
    assert_eq!(batched.to_vec::<f64>(), looped.to_vec::<f64>());
    let hessians = vmap(|w: &Tensor| hessian(|w: &Tensor| recurrence(w, &x))(w))(&w);
    let one = hessian(|w: &Tensor| recurrence(w, &x))(&w.i(1));
    assert!((hessians.i(1) - one).abs().max(..).item::<f64>() < 1e-12);
    let none = vmap(each)(&w.i(0..0));
    assert_eq!(none.shape()[..], [0, 5, 5]);

    let (a, b) = (numbers(&[4, 4], 0.1), numbers(&[4, 4], 0.9));
    let z = |by: &Tensor| ops::complex::complex(&(&a * by), &b);
    let loss = |by: &Tensor| {
        let (z, v) = (z(by), ops::complex::complex(&numbers(&[1, 4], 0.5), &numbers(&[1, 4], 0.6)));
        let once = v.matmul(&z);
        let twice = once.matmul(&z);
        let parts = concat(&[once, twice], 0).chunk(2, 1);
        (parts[0].clone() * &parts[1]).abs().square().sum(..)
    };
    is_right(loss, &numbers(&[4, 4], 0.2));
}

#[test]
fn a_leaf_that_is_cut_up_gets_a_gradient_with_its_labels() {
    let x = numbers(&[2, 6], 0.1).requires_grad();
    let parts = x.split([2, 4], 1);
    (parts[0].exp().sum(..) + parts[1].square().sum(..)).backward();
    let want = concat(&[parts[0].exp(), &parts[1] * 2.0], 1);
    assert_eq!(x.grad().expect("a gradient").to_vec::<f64>(), want.to_vec::<f64>());
}
