//! Through every kind of program: transformations, fused ops, large and deep graphs, and graphs instead of functions.

use covector::record::Record;
use covector::{DType, Tensor, checkpoint, compile, grad, keep, vmap};
use covector_trace::{Notes, Source, why, why_record};

use crate::{blamed, is_gradient, is_zero, t};

#[test]
fn inside_vmap() {
    let f = |x: &Tensor| {
        let each = vmap(|x: &Tensor| x.log().sum(..)); // here
        each(x).sum(..)
    };
    let found = blamed(f, &Tensor::from([[1.0f32, 2.0], [0.0, 3.0]]), "log", "log-of-zero");
    assert_eq!(found.index, [1, 0]);
}

#[test]
fn inside_a_gradient() {
    let f = |x: &Tensor| {
        let slope = grad(|x: &Tensor| x.sqrt().sum(..))(x); // here
        slope.square().sum(..)
    };
    blamed(f, &t([4.0, 0.0]), "sqrt", "division-by-zero");
}

#[test]
fn inside_a_checkpoint() {
    let f = |x: &Tensor| {
        let y = checkpoint(|x: &Tensor| x.log())(x); // here
        y.sum(..)
    };
    blamed(f, &t([1.0, 0.0]), "log", "log-of-zero");
}

#[test]
fn inside_a_compiled_function() {
    let f = compile(|x: &Tensor| x.log().sum(..)); // here
    let found = blamed(|x: &Tensor| f(x), &t([1.0, 0.0]), "log", "log-of-zero");
    assert!(found.headline().contains("-inf"), "{found}");
}

#[test]
fn through_fused_attention() {
    let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    let f = |w: &Tensor| {
        let q = (&x * w).log(); // here
        q.scaled_dot_product_attention(&x, &x, None, true).sum(..)
    };
    blamed(f, &t([1.0, -1.0]), "log", "log-of-negative");
}

#[test]
fn through_a_convolution_a_pool_and_a_gather() {
    let image = Tensor::from_slice(&[1.0f32; 16], [1, 1, 4, 4]);
    let f = |w: &Tensor| {
        let weight = w.reshape([1, 1, 2, 2]).reciprocal(); // here
        let y = covector::ops::conv::conv2d(&image, &weight, None, 1, 0, 1, 1);
        let y = y.max_pool2d(3, 1, 0, 1);
        y.reshape([1]).take(&Tensor::from([0]), 0).sum(..)
    };
    let found = blamed(f, &t([1.0, 0.0, 2.0, 3.0]), "reciprocal", "division-by-zero");
    assert_eq!(found.index, [0, 0, 0, 1]);
}

#[test]
fn through_scans_sorts_and_concatenations() {
    let f = |x: &Tensor| {
        let y = x.log(); // here
        let (top, _) = y.cumsum(0).sort(0, true).topk(2, 0);
        covector::ops::concat::concat(&[top, x.clone()], 0).flip(0).sum(..)
    };
    let found = blamed(f, &t([1.0, -2.0, 3.0]), "log", "log-of-negative");
    assert_eq!(found.index, [1]);
}

#[test]
fn sums_that_overflow_in_half_precision() {
    let f = |x: &Tensor| {
        let product = x.cast(DType::F16) * 300.0; // here
        product.cast(DType::F32).sum(..)
    };
    blamed(f, &t([1.0, 300.0]), "multiply", "overflow");
}

#[test]
fn the_gradient_of_a_gradient() {
    let f = |x: &Tensor| {
        let slope = grad(|x: &Tensor| (x.square() + 1e-30).sqrt().sum(..))(x); // here
        slope.square().sum(..)
    };
    // The slope x / |x| of the root is steep at 0, and its own derivative is 1e15.
    assert!(why(f, &t([1.0, 2.0])).unwrap().is_some_and(|found| is_zero(&found)));
}

#[test]
fn nobody_is_told_to_rewrite_the_inside_of_an_op() {
    let x = Tensor::from([[1.0f32, 2.0]]);
    let f = |var: &Tensor| x.batch_norm(&t([0.0, 0.0]), var, None, None, 1e-5).sum(..); // here
    let found = blamed(f, &t([1.0, -0.5]), "batch_norm", "root-of-negative");
    assert_eq!((found.step, found.fix.is_none()), (Some("rsqrt"), true), "{found}");
}

#[test]
fn a_graph_that_nobody_evaluated() {
    let x = t([1.0, 0.0]);
    let y = x.log();
    let z = (&y * &x).sum(..);
    let mut notes = Notes::default();
    notes.name(&x, "p");
    notes.name(&z, "loss");
    let source = Source { file: "model.cv".to_owned(), line: 7, text: "log(p)".to_owned() };
    notes.source(&y, source.clone());
    let found = why_record(&Record::of(std::slice::from_ref(&z), &[x]), &notes).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.source.clone()), ("log", source));
    assert!(found.headline().starts_with("loss is NaN"), "{found}");
    // The graph that was asked keeps its history.
    assert!(!z.is_evaluated() && !y.is_evaluated());
}

#[test]
fn a_graph_that_was_evaluated_has_forgotten() {
    let x = t([1.0, 0.0]);
    let y = x.log();
    assert!(y.sum(..).item::<f32>().is_infinite());
    y.to_vec::<f32>();
    let found = why_record(&Record::of(&[y.sum(..)], &[x]), &Notes::default()).unwrap().unwrap();
    assert_eq!(found.op, "log");
    assert!(found.explanation.contains("forgotten"), "{found}");
}

#[test]
fn programs_that_cannot_run_are_errors() {
    let f = |x: &Tensor| x.take(&Tensor::from([7]), 0).sum(..);
    let e = why(f, &t([1.0, 0.0])).unwrap_err();
    assert!(e.to_string().contains("7"), "{e}");
}

#[test]
fn a_chain_of_many_steps_on_a_small_stack() {
    let ask = || {
        let f = |x: &Tensor| {
            let mut y = x.sqrt();
            for i in 0..30_000 {
                y = if i % 3 == 0 { y.expand_dims(0).squeeze(0) } else { y * 1.0 };
            }
            y.sum(..)
        };
        let found = why(f, &t([4.0, 0.0])).unwrap().unwrap();
        assert!(is_gradient(&found) && found.op == "sqrt", "{found}");
        let _ = covector_trace::lint(f, &t([4.0, 0.0]));
    };
    std::thread::Builder::new().stack_size(1 << 18).spawn(ask).unwrap().join().unwrap();
}

#[test]
fn large_tensors_take_a_moment() {
    let x = Tensor::from_slice(&vec![0.5f32; 256 * 512], [256, 512]);
    let f = |(w, v): &(Tensor, Tensor)| {
        let h = x.matmul(w).tanh();
        let y = h.matmul(v);
        let z = (&y - y.max(keep(-1))).exp();
        (z.sum(-1) - 128.0).log().mean(..) // here
    };
    let w = Tensor::from_slice(&vec![0.01f32; 512 * 512], [512, 512]);
    let v = Tensor::from_slice(&vec![0.01f32; 512 * 128], [512, 128]);
    let started = std::time::Instant::now();
    blamed(f, &(w, v), "log", "log-of-zero");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_whole_gpt() {
    use covector_nn::{Dropout, Gpt, GptConfig};
    let config = GptConfig { vocabulary: 7, block: 6, layers: 3, heads: 2, width: 8, bias: true };
    let mut model = Gpt::new(&covector::Key::new(1), &config);
    let tokens = Tensor::from([[0, 1, 2, 3, 4, 5], [6, 5, 4, 3, 2, 1]]);
    let loss = |model: &Gpt| model.loss(&tokens, &tokens, &Dropout::off());
    assert!(why(loss, &model).unwrap().is_none());
    let said = covector_trace::lint(loss, &model);
    assert!(said.is_empty(), "{said:?}");

    // A weight so large that the scores overflow in the second block.
    let weight = &model.h[1].attn.c_attn.weight;
    model.h[1].attn.c_attn.weight = weight * 1e25;
    let found = why(loss, &model).unwrap().expect("it is NaN");
    assert_eq!((found.op.as_str(), found.cause.id()), ("self_attention", "overflow"), "{found}");

    let weight = &model.h[2].mlp.c_fc.weight;
    let with_nan = Tensor::from_slice(&[f32::NAN], [1, 1]);
    let zeros = weight * 0.0 + with_nan;
    model.h[1].attn.c_attn.weight = &model.h[1].attn.c_attn.weight * 1e-25;
    model.h[2].mlp.c_fc.weight = zeros;
    let found = why(loss, &model).unwrap().expect("it is NaN");
    assert!(found.explanation.contains("`h.2.mlp.c_fc.weight`"), "{found}");

    model.h[2].mlp.c_fc.weight = Tensor::from_slice(&vec![0.0f32; 32 * 8], [32, 8]);
    model.h[2].mlp.c_fc.bias = Some(Tensor::from_slice(&[-1000.0f32; 32], [32]));
    let found = why(loss, &model).unwrap().expect("a layer is dead");
    assert!(found.op == "gelu" && is_zero(&found), "{found}");
}
