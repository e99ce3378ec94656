//! Transformations compose with one another to any depth.

use covector::*;

fn f(x: &Tensor) -> Tensor {
    (x * x).tanh().sum(..)
}

#[test]
fn third_derivative_of_a_polynomial() {
    let p = |x: &Tensor| x * x * x * x;
    let x = Tensor::from(2.0f64);
    assert_eq!(grad(grad(grad(p)))(&x).item::<f64>(), 48.0);
}

#[test]
fn hessians_of_both_orders_agree() {
    let x = Tensor::from([0.3f64, -0.7, 1.1]);
    let fr = hessian(f)(&x).to_vec::<f64>();
    let rf = jacrev(grad(f))(&x).to_vec::<f64>();
    let rf2 = jacrev(|x: &Tensor| jacfwd(f)(x))(&x).to_vec::<f64>();
    for ((a, b), c) in fr.iter().zip(&rf).zip(&rf2) {
        assert!((a - b).abs() < 1e-12 && (a - c).abs() < 1e-12, "{a} {b} {c}");
    }
}

#[test]
fn perturbations_are_not_confused() {
    // d/dx (x · d/dy (x + y)) = 1
    let outer = |x: &Tensor| {
        let inner = grad(|y: &Tensor| x + y)(&Tensor::from(1.0f64));
        x * inner
    };
    assert_eq!(grad(outer)(&Tensor::from(3.0f64)).item::<f64>(), 1.0);
}

#[test]
fn per_example_gradients_equal_a_loop() {
    let x = Tensor::from([[0.1f64, 0.2], [0.3, -0.4], [0.5, 0.6]]);
    let batched = vmap(grad(f))(&x).to_vec::<f64>();
    let mut looped = Vec::new();
    for row in [[0.1f64, 0.2], [0.3, -0.4], [0.5, 0.6]] {
        looped.extend(grad(f)(&Tensor::from(row)).to_vec::<f64>());
    }
    assert_eq!(batched, looped);
}

#[test]
fn gradient_of_a_batched_function() {
    let x = Tensor::from([[0.1f64, 0.2], [0.3, -0.4]]);
    let g = grad(|x: &Tensor| vmap(f)(x).sum(..))(&x).to_vec::<f64>();
    let h = grad(f)(&x).to_vec::<f64>();
    assert_eq!(g, h);
}

#[test]
fn forward_of_a_pullback() {
    let x = Tensor::from([0.5f64, -1.5]);
    let through = |x: &Tensor| vjp(|x: &Tensor| x.tanh(), x).1.call(&Tensor::from([1.0f64, 2.0]));
    let (_, t) = jvp(through, &x, &Tensor::from([1.0f64, 1.0]));
    let h = |x: f64| -2.0 * x.tanh() * (1.0 - x.tanh().powi(2));
    let expected = [h(0.5), 2.0 * h(-1.5)];
    for (a, b) in t.to_vec::<f64>().iter().zip(expected) {
        assert!((a - b).abs() < 1e-14);
    }
}

#[test]
fn checkpoint_inside_vmap_inside_grad() {
    let w = Tensor::from([[0.4f64, -0.3], [0.2, 0.9]]);
    let x = Tensor::from([[1.0f64, 2.0], [3.0, 4.0], [-1.0, 0.5]]);
    let loss = |w: &Tensor, kept: bool| {
        let block = |x: &Tensor| x.matmul(w).tanh();
        let y = if kept { vmap(block)(&x) } else { vmap(checkpoint(block))(&x) };
        y.square().sum(..)
    };
    let a = grad(|w: &Tensor| loss(w, true))(&w).to_vec::<f64>();
    let b = grad(|w: &Tensor| loss(w, false))(&w).to_vec::<f64>();
    assert_eq!(a, b);
    assert!(a.iter().all(|x| *x != 0.0));
}

#[test]
fn reading_inside_a_differentiated_function_changes_nothing() {
    let x = Tensor::from([0.5f64, -1.5]);
    let plain = grad(f)(&x).to_vec::<f64>();
    let peeking = grad(|x: &Tensor| {
        let y = (x * x).tanh();
        let _ = y.to_vec::<f64>();
        y.sum(..)
    })(&x);
    assert_eq!(plain, peeking.to_vec::<f64>());
}

#[test]
fn the_lesson_value_in_both_engines_to_the_last_bit() {
    let args = (Tensor::from(2.0f64), Tensor::from(-3.0f64), Tensor::from(0.5f64));
    let f = |(x, w, b): &(Tensor, Tensor, Tensor)| (x * w + b).tanh();
    let (y, g) = value_and_grad(f)(&args);
    let got = [y.item::<f64>(), g.0.item(), g.1.item(), g.2.item()];
    let wanted = [-0.9999665971563038, -0.0002004137149276275, 0.000133609143285085, 6.68045716425425e-05];
    assert_eq!(got, wanted);
    let tape = scalar::Tape::new();
    let (x, w, b) = (tape.value(2.0), tape.value(-3.0), tape.value(0.5));
    let y = (x * w + b).tanh();
    for _ in 0..2 {
        let g = y.backward();
        assert_eq!([y.data(), g.of(x), g.of(w), g.of(b)], wanted);
    }
    let recorded: Vec<f64> = y.gradients(&[x, w, b]).iter().map(|v| v.data()).collect();
    assert_eq!(recorded, wanted[1..]);
}

#[test]
fn a_training_loop_leaves_nothing_behind() {
    let mut w = Tensor::from([0.5f64, -0.2]);
    eval([&w]);
    let step = |w: &Tensor| {
        let (loss, g) = value_and_grad(f)(w);
        let w = w - g * 0.1;
        eval([&loss, &w]);
        w
    };
    w = step(&w);
    let (nodes, bytes) = (live_nodes(), live_bytes());
    for _ in 0..100 {
        w = step(&w);
    }
    assert!(live_nodes() <= nodes + 64, "{} nodes, {nodes} before", live_nodes());
    let _ = bytes;
}
