//! Attention against its formula: values to the bit, derivatives of every kind, layouts, masks.

use std::sync::atomic::{AtomicBool, Ordering};

use covector::ops::attention::{scaled_dot_product_attention, self_attention};
use covector::ops::create::ones;
use covector::ops::random::{bernoulli, normal};
use covector::*;

const INF: f64 = f64::INFINITY;

/// The formula, in ops.
fn formula(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Tensor {
    let mut scores = (q * (1.0 / (q.shape()[q.ndim() - 1] as f64).sqrt())).matmul(&k.transpose(-2, -1));
    if let Some(mask) = mask {
        let offsets = if mask.dtype() == DType::Bool { mask.where_(0.0, -INF) } else { mask.clone() };
        scores = &scores + offsets.cast(scores.dtype());
    }
    if causal {
        let (t, s) = (scores.shape()[scores.ndim() - 2], scores.shape()[scores.ndim() - 1]);
        scores = ones([t, s], DType::Bool).tril(0).where_(scores, -INF);
    }
    let largest = scores.max(keep(-1)).stop_gradient();
    let largest = largest.isfinite().where_(largest, 0.0);
    let weights = (scores - largest).exp();
    let sum = weights.sum(keep(-1));
    weights.matmul(v) / sum.equal(0.0).where_(1.0, sum)
}

fn draw(seed: u64, shape: &[usize]) -> Tensor {
    normal(&Key::new(seed), shape, DType::F64)
}

/// A mask of each kind for `[t, s]`, some of whose rows see nothing.
fn masks(t: usize, s: usize) -> Vec<Option<Tensor>> {
    let seen = bernoulli(&Key::new(9), 0.7, [t, s]);
    let rows = bernoulli(&Key::new(8), 0.8, [t, 1]);
    let seen = seen.cast(DType::I64) * rows.cast(DType::I64);
    vec![None, Some(seen.cast(DType::Bool)), Some(draw(7, &[1, s]))]
}

#[track_caller]
fn close(got: &Tensor, wanted: &Tensor, bound: f64, what: &str) {
    assert_eq!(got.spec(), wanted.spec(), "{what}");
    for (a, b) in got.to_vec::<f64>().iter().zip(wanted.to_vec::<f64>()) {
        assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{what}: {a} against {b}");
    }
}

#[test]
fn values_are_the_formulas_to_the_bit_and_gradients_close() {
    let sizes = [
        (1, 1, 1),
        (1, 17, 8),
        (3, 3, 1),
        (17, 5, 8),
        (17, 64, 32),
        (64, 64, 32),
        (70, 33, 65),
        (257, 257, 8),
        (3, 1100, 600),
        (560, 560, 8),
    ];
    for (t, s, d) in sizes {
        let e = if d == 8 { 5 } else { d };
        let args = vec![draw(1, &[2, t, d]), draw(2, &[2, s, d]), draw(3, &[2, s, e])];
        for mask in masks(t, s) {
            for causal in [false, true] {
                let what = format!("t {t}, s {s}, d {d}, {:?}, causal {causal}", mask.as_ref().map(Tensor::spec));
                let with = |f: fn(&Tensor, &Tensor, &Tensor, Option<&Tensor>, bool) -> Tensor| {
                    vjp(|x: &Vec<Tensor>| f(&x[0], &x[1], &x[2], mask.as_ref(), causal), &args)
                };
                let (y, back) = with(scaled_dot_product_attention);
                let (wanted, wanted_back) = with(formula);
                assert!(y.to_vec::<f64>() == wanted.to_vec::<f64>(), "{what}: other values");
                let cotangent = draw(4, y.shape());
                for (i, (g, w)) in back.call(&cotangent).iter().zip(wanted_back.call(&cotangent)).enumerate() {
                    close(g, &w, 1e-12, &format!("{what}: gradient {i}"));
                }
                let narrow: Vec<Tensor> = args.iter().map(|x| x.cast(DType::F32)).collect();
                let all = |f: fn(&Tensor, &Tensor, &Tensor, Option<&Tensor>, bool) -> Tensor| {
                    f(&narrow[0], &narrow[1], &narrow[2], mask.as_ref(), causal).to_vec::<f32>()
                };
                assert!(all(scaled_dot_product_attention) == all(formula), "{what}: other values in f32");
            }
        }
    }
}

#[test]
fn heads_are_read_where_they_lie_and_broadcast() {
    let x = draw(1, &[2, 19, 3 * 4 * 8]);
    let parts = |x: &Tensor| {
        let x = x.reshape([2, 19, 3, 4, 8]);
        [0, 1, 2].map(|i| x.take(&Tensor::from(i), 2).transpose(1, 2))
    };
    for causal in [false, true] {
        let apart = |x: &Tensor| {
            let [q, k, v] = parts(x);
            let y = scaled_dot_product_attention(&q, &k, &v, None, causal);
            y.transpose(1, 2).reshape([2, 19, 32])
        };
        let together = |x: &Tensor| self_attention(x, 4, None, causal);
        let cotangent = draw(2, &[2, 19, 32]);
        let ((y, back), (wanted, wanted_back)) = (vjp(together, &x), vjp(apart, &x));
        assert_eq!(y.to_vec::<f64>(), wanted.to_vec::<f64>());
        assert_eq!(back.call(&cotangent).to_vec::<f64>(), wanted_back.call(&cotangent).to_vec::<f64>());
    }
    let shapes = [([1, 3, 7, 4], [5, 1, 6, 4]), ([5, 3, 7, 4], [1, 1, 6, 4])];
    for (q, k) in shapes {
        let args = vec![draw(1, &q), draw(2, &k), draw(3, &[3, 6, 2])];
        let mask = draw(5, &[3, 1, 6]);
        let with = |f: fn(&Tensor, &Tensor, &Tensor, Option<&Tensor>, bool) -> Tensor| {
            vjp(|x: &Vec<Tensor>| f(&x[0], &x[1], &x[2], Some(&mask), false), &args)
        };
        let ((y, back), (wanted, wanted_back)) = (with(scaled_dot_product_attention), with(formula));
        close(&y, &wanted, 0.0, "values");
        let cotangent = draw(4, y.shape());
        for (g, w) in back.call(&cotangent).iter().zip(wanted_back.call(&cotangent)) {
            close(g, &w, 1e-12, "gradients of broadcast operands");
        }
    }
}

#[test]
fn the_last_axes_may_have_any_strides() {
    let stored = [draw(1, &[8, 6]), draw(2, &[8, 6]), draw(3, &[6, 12])];
    let strided = [stored[0].t(), stored[1].t(), stored[2].i(s![.., ..;2])];
    let dense = strided.clone().map(|x| Tensor::from_array(x.value().contiguous()));
    let run = |x: &[Tensor; 3]| {
        let (y, back) =
            vjp(|x: &Vec<Tensor>| scaled_dot_product_attention(&x[0], &x[1], &x[2], None, true), &x.to_vec());
        let g = back.call(&draw(4, y.shape()));
        g.iter().chain([&y]).flat_map(|x| x.to_vec::<f64>()).collect::<Vec<_>>()
    };
    assert_eq!(run(&strided), run(&dense));
}

#[test]
fn second_derivatives_are_those_of_the_formula_in_every_nesting() {
    let args = vec![draw(1, &[2, 3, 2]), draw(2, &[2, 4, 2]), draw(3, &[2, 4, 3]), draw(5, &[3, 4])];
    let along = vec![draw(11, &[2, 3, 2]), draw(12, &[2, 4, 2]), draw(13, &[2, 4, 3]), draw(15, &[3, 4])];
    type Loss = fn(&Vec<Tensor>) -> Tensor;
    let losses: [[Loss; 2]; 2] = [
        [
            |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], Some(&x[3]), true).sin().sum(..),
            |x| formula(&x[0], &x[1], &x[2], Some(&x[3]), true).sin().sum(..),
        ],
        [
            |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], None, false).sin().sum(..),
            |x| formula(&x[0], &x[1], &x[2], None, false).sin().sum(..),
        ],
    ];
    let dot =
        |a: &Vec<Tensor>, b: &Vec<Tensor>| a.iter().zip(b).map(|(a, b)| (a * b).sum(..)).reduce(|a, b| a + b).unwrap();
    for [ours, theirs] in losses {
        let wanted = grad(|x: &Vec<Tensor>| dot(&grad(theirs)(x), &along))(&args);
        let reverse = grad(|x: &Vec<Tensor>| dot(&grad(ours)(x), &along))(&args);
        let forward = jvp(|x: &Vec<Tensor>| grad(ours)(x), &args, &along).1;
        for i in 0..args.len() {
            close(&reverse[i], &wanted[i], 1e-12, "reverse over reverse");
            close(&forward[i], &wanted[i], 1e-12, "forward over reverse");
        }
    }
}

#[test]
fn examples_of_a_batch_are_attended_to_alone() {
    let (q, k, v) = (draw(1, &[3, 2, 5, 4]), draw(2, &[6, 4]), draw(3, &[3, 6, 3]));
    let x = draw(4, &[3, 5, 12]);
    let each = |(q, v, x): &(Tensor, Tensor, Tensor)| {
        let f = |p: &Vec<Tensor>| {
            let apart = scaled_dot_product_attention(&p[0], &k, &p[1], None, true).square().sum(..);
            apart + self_attention(&p[2], 2, None, false).square().sum(..)
        };
        grad(f)(&vec![q.clone(), v.clone(), x.clone()])
    };
    let together = vmap(each)(&(q.clone(), v.clone(), x.clone()));
    for i in 0..3 {
        let at = |x: &Tensor| x.take(&Tensor::from(i), 0);
        for (g, w) in together.iter().zip(each(&(at(&q), at(&v), at(&x)))) {
            assert_eq!(at(g).to_vec::<f64>(), w.to_vec::<f64>());
        }
    }
}

#[test]
fn no_matrix_of_all_scores_is_ever_in_memory() {
    let x = normal(&Key::new(1), [1, 3000, 3 * 32], DType::F32);
    eval([&x]);
    let (done, before) = (AtomicBool::new(false), live_bytes());
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(live_bytes());
                std::thread::yield_now();
            }
            most
        });
        let (y, g) = value_and_grad(|x: &Tensor| self_attention(x, 2, None, true).square().sum(..))(&x);
        eval([&y, &g]);
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    // The scores of two heads alone would be 72 MB.
    assert!(most < before + (24 << 20), "{} bytes at once", most - before);
}
