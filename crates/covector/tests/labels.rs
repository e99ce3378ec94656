//! Labels of axes: through structural ops, composites and transformations, and what they leave untouched.

use std::panic::{AssertUnwindSafe, catch_unwind};

use covector::ops::concat::{concat, stack};
use covector::ops::create::{meshgrid, ones, zeros};
use covector::ops::einsum::einsum;
use covector::*;

/// Zeros with labels; sizes by name: B 2, T 5, S 7, d 16, h 4, C 3, H 8, W 6, k 9, and `_` for 1.
fn x(labels: &str) -> Tensor {
    let size = |label: &str| match label {
        "_" => 1,
        other => {
            let label: Label = other.parse().unwrap();
            let of = |name: &str| {
                [("B", 2), ("T", 5), ("S", 7), ("d", 16), ("h", 4), ("C", 3), ("H", 8), ("W", 6), ("k", 9)]
                    .into_iter()
                    .find(|n| n.0 == name)
                    .map(|n| n.1)
            };
            label.evaluate(of).expect("a known size") as usize
        }
    };
    zeros(labels.split_whitespace().map(size).collect::<Shape>(), DType::F32).labelled(labels)
}

#[track_caller]
fn has(y: &Tensor, labels: &str) {
    assert_eq!(y.labels().to_string(), labels, "{}", y.described());
}

#[test]
fn labels_are_given_read_and_replaced() {
    let plain = zeros([2, 5, 16], DType::F32);
    has(&plain, "_ _ _");
    let all = [plain.labelled("B T d"), plain.labelled(["B", "T", "d"]), plain.labelled(x("B T d").labels())];
    all.iter().for_each(|y| has(y, "B T d"));
    has(&plain.labelled(["B", "", "_"]), "B _ _");
    has(&plain.labelled("B _ _").labelled("_ T _"), "B T _");
    has(&x("B T").relabelled("B S"), "B S");
    has(&x("B T").relabelled("_ T"), "_ T");
    assert_eq!(x("B T d").described().to_string(), "f32[B=2, T=5, d=16]");
    assert_eq!(plain.labelled("B 5 d").described().to_string(), "f32[B=2, 5, d=16]");
    assert_eq!(plain.described().to_string(), plain.spec().to_string());
    assert_eq!(x("B T").labels()[1].as_ref().map(Label::to_string).as_deref(), Some("T"));
}

#[test]
fn structural_ops_carry_labels() {
    let (xs, w) = (x("B T d"), x("d k"));
    has(&xs.matmul(&w), "B T k");
    has(&x("B h T d/h").matmul(&x("B h d/h S")), "B h T S");
    has(&x("d").matmul(&w), "k");
    has(&xs.transpose(0, 2), "d T B");
    has(&xs.t(), "B d T");
    has(&xs.permute_dims([2, 0, 1]), "d B T");
    has(&xs.sum(1), "B d");
    has(&xs.mean(keep(-1)), "B T _");
    has(&xs.argmax(2), "B T");
    has(&xs.flatten(0, 1), "B·T d");
    has(&xs.reshape([-1]), "B·T·d");
    has(&xs.flatten(0, 1).reshape([2, 5, 16]), "B T d");
    has(&xs.i((.., 0)), "B d");
    has(&xs.i((.., 1.., ..)), "B _ d");
    has(&xs.i(s![..;-1, new, ..]), "B _ T d");
    has(&xs.expand_dims([0, -1]), "_ B T d _");
    has(&xs.broadcast_to([4, 2, 5, 16]), "_ B T d");
    has(&xs.flip(1), "B T d");
    has(&concat(&[xs.clone(), zeros([2, 1, 16], DType::F32)], 1), "B T+1 d");
    has(&concat(&[xs.clone(), x("B S d")], 1), "B S+T d");
    has(&stack(&[xs.clone(), xs.clone()], 0), "_ B T d");
    has(&xs.pad([(0, 0), (1, 1), (0, 0)], "constant", 0.0), "B T+2 d");
    has(&xs.pad([(0, 0), (1, 0), (0, 0)], "edge", 0.0), "B T+1 d");
    has(&xs.tile([1, 3, 1]), "B 3·T d");
    has(&xs.repeat(2, 0), "2·B T d");
    has(&xs.chunk(4, 2)[1], "B T d/4");
    has(&xs.unbind(1)[0], "B d");
    has(&xs.cumsum(1), "B T d");
    has(&xs.sort(1, false), "B T d");
    has(&xs.roll(1, 1), "B T d");
    has(&xs.cast(DType::F16), "B T d");
    has(&x("S d").take(&zeros([2, 5], DType::I64).labelled("B T"), 0), "B T d");
    has(&x("S d").embedding(&zeros([2, 5], DType::I64).labelled("B T")), "B T d");
    has(&einsum("bqd,bkd->bqk", &[xs.clone(), x("B S d")]), "B T S");
    has(&einsum("btd,dk->ktb", &[xs.clone(), w.clone()]), "k T B");
    has(&meshgrid(&[x("T"), x("S")], "ij")[0], "T _");
    has(&x("B C H W").conv2d(&zeros([9, 3, 3, 3], DType::F32).labelled("k C _ _"), None, 1, 1, 1, 1), "B k H W");
    has(&x("B C H W").conv2d(&zeros([9, 3, 3, 3], DType::F32).labelled("k C _ _"), None, 1, 0, 1, 1), "B k H-2 W-2");
    has(&x("B C H W").max_pool2d(2, 2, 0, 1), "B C H/2 W/2");
    has(&x("B T 3·d").self_attention(4, None, true), "B T d");
    has(&x("B h T d/h").scaled_dot_product_attention(&x("B h S d/h"), &x("B h S k"), None, false), "B h T k");
}

#[test]
fn composites_carry_labels_by_what_they_are_made_of() {
    let xs = x("B T d");
    has(&xs.softmax(-1), "B T d");
    has(&xs.log_softmax(1), "B T d");
    has(&xs.var(keep(-1), 0.0), "B T _");
    has(&xs.layer_norm(1, Some(&x("d")), Some(&zeros(16, DType::F32)), 1e-5), "B T d");
    has(&x("B C H W").group_norm(3, Some(&x("C")), None, 1e-5), "B C H W");
    has(&x("B C").logsumexp(1), "B");
    has(&x("B C T").cross_entropy(&zeros([2, 5], DType::I64).labelled("B T"), None, None, 0.0, "none"), "B T");
    has(&(xs.greater(0.0).where_(&xs, 1.0) + 2.0 * &xs), "B T d");
    has(&xs.clip(Some(-1.0), Some(1.0)).gelu(), "B T d");
    has(&(&xs + x("d")), "B T d");
    has(&(&xs + zeros(16, DType::F32)), "B T d");
    has(&(zeros([2, 5, 16], DType::F32) * &xs), "B T d");
}

#[test]
fn splits_are_known_by_their_product() {
    let heads = x("B T d").reshape([2, 5, 4, 4]);
    has(&heads, "B T _ _");
    has(&heads.labelled("B T h d/h"), "B T h d/h");
    has(&heads.labelled("_ _ h _"), "B T h d/h");
    has(&heads.labelled("_ _ _ k2"), "B T d/k2 k2");
    has(&heads.transpose(1, 2).labelled("B h T _"), "B h T d/h");
    has(&heads.labelled("B T h d/h").reshape([2, 5, 16]), "B T d");
    has(&heads.transpose(1, 2).transpose(1, 2).flatten(2, 3), "B T d");
    has(&x("3·d").reshape([3, 4, 4]).labelled("3 h _"), "3 h d/h");
    has(&x("B·T d").reshape([2, 5, 16]).labelled("B _ _"), "B T d");
    // Sizes without a common factor say nothing.
    has(&x("W h").reshape([8, 3]), "_ _");
    // The other factor of a size met in passing is found too.
    has(&(&heads + x("h d/h")), "B T h d/h");
    for wrong in ["B T B _ ", "B T h d", "B T h S/d", "B S h d/h"] {
        assert!(heads.try_labelled(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn axes_of_size_1_keep_their_labels_only_where_they_are_certain() {
    let one = zeros([1, 5, 16], DType::F32).labelled("B T d");
    has(&one.matmul(&x("d k")), "B T k");
    has(&one.i(0), "T d");
    has(&one.squeeze(0), "T d");
    has(&one.sum(keep(1)), "B _ d");
    has(&one.expand_dims(0), "_ B T d");
    // Squeezed or merged: the sizes do not tell.
    has(&one.reshape([5, 16]), "_ d");
    has(&one.reshape([5, 16]).reshape([1, 5, 16]), "B T d");
    has(&(&one + zeros([2, 5, 16], DType::F32)), "_ T d");
}

#[test]
fn derivatives_have_the_labels_of_what_they_are_derivatives_of() {
    let (xs, w) = (x("B T d"), x("d k"));
    let loss = |(x, w): &(Tensor, Tensor)| {
        let y = x.matmul(w).i((.., 1..)).labelled("B S k");
        y.softmax(-1).square().flatten(1, 2).sum(..)
    };
    let (gx, gw) = grad(loss)(&(xs.clone(), w.clone()));
    has(&gx, "B T d");
    has(&gw, "d k");
    // What the user makes of a gradient is checked: at second order too.
    let twice = grad(|w: &Tensor| (grad(|w: &Tensor| loss(&(xs.clone(), w.clone())))(w) * w).sum(..))(&w);
    has(&twice, "d k");
    let (y, dy) = jvp(|w: &Tensor| xs.matmul(w), &w, &ones([16, 9], DType::F32));
    has(&y, "B T k");
    has(&dy, "B T k");
    let (y, pullback) = vjp(|w: &Tensor| xs.matmul(w), &w);
    has(&pullback.call(&y), "d k");
    let (_, linear) = linearize(|w: &Tensor| xs.matmul(w), &w);
    has(&linear.call(&w), "B T k");
    let same = grad(|x: &Tensor| x.sum(..))(&x("d").square());
    has(&same, "d");
    has(&grad(|_: &Tensor| zeros((), DType::F32))(&xs), "B T d");
    let leaf = x("d").requires_grad();
    has(&leaf, "d");
    (&leaf * &leaf).sum(..).backward();
    has(&leaf.grad().unwrap(), "d");
    let parts = checkpoint(|w: &Tensor| xs.matmul(w).tanh());
    has(&parts(&w), "B T k");
    has(&grad(|w: &Tensor| parts(w).sum(..))(&w), "d k");
    let doubled = custom_vjp(
        |x: &Tensor| x * 2.0,
        |x: &Tensor, cotangent: &Tensor| {
            has(cotangent, "B T d");
            cotangent * 2.0 + x * 0.0
        },
    );
    has(&doubled(&xs), "B T d");
    has(&grad(|x: &Tensor| doubled(x).sum(..))(&xs), "B T d");
}

#[test]
fn examples_have_the_labels_of_the_batch_without_its_own() {
    let seen = |x: &Tensor| {
        has(x, "T d");
        x.matmul(&self::x("d k")).max(0)
    };
    has(&vmap(seen)(&x("B T d")), "B k");
    has(&vmap_with(seen, 1, 1)(&x("T B d")), "k B");
    let shared = |(x, w): &(Tensor, Tensor)| x.matmul(w);
    has(&vmap_with(shared, [Some(0), None], 0)(&(x("B T d"), x("d k"))), "B T k");
    has(&vmap(|x: &Tensor| x.reshape([4, 4]).labelled("h d/h"))(&x("B d")), "B h d/h");
    has(&vmap(grad(|x: &Tensor| x.square().sum(..)))(&x("B d")), "B d");
    has(&vmap(vmap(|x: &Tensor| x.cumsum(0)))(&x("B T d")), "B T d");
    has(&grad(|x: &Tensor| vmap(|x: &Tensor| x.softmax(0).max(0))(x).sum(..))(&x("B d")), "B d");
    let clash =
        try_vmap(|(a, b): &(Tensor, Tensor)| a * b, &(x("B d"), x("B d").relabelled("N d")), &0.into(), &0.into());
    let text = clash.map(|y| y.described()).unwrap_err().to_string();
    assert!(text.contains("`B` meets `N`"), "{text}");
}

#[test]
fn compiled_functions_give_labels_and_look_at_them() {
    let f = compile(|(x, w): &(Tensor, Tensor)| x.matmul(w));
    has(&f(&(x("B T d"), x("d k"))), "B T k");
    has(&f(&(zeros([2, 5, 16], DType::F32), zeros([16, 9], DType::F32))), "_ _ _");
    has(&f(&(x("B T d").relabelled("N T d"), x("d k"))), "N T k");
    assert!(catch_unwind(AssertUnwindSafe(|| f(&(x("B T d"), x("d k").relabelled("e k"))))).is_err());
}

#[test]
fn labels_change_neither_plans_nor_bits() {
    let run = |labels: [&str; 2]| {
        let ramp = |shape: [usize; 2]| ramp(shape[0] * shape[1]).reshape(shape);
        let (x, w) = (ramp([3, 4]).labelled(labels[0]), ramp([4, 5]).labelled(labels[1]));
        eval(&[x.clone(), w.clone()]);
        let (x, w) =
            (Tensor::from_array(x.value()).labelled(labels[0]), Tensor::from_array(w.value()).labelled(labels[1]));
        let loss = |(x, w): &(Tensor, Tensor)| x.matmul(w).softmax(-1).log().sum(0).mean(..);
        let (y, (gx, gw)) = value_and_grad(loss)(&(x, w));
        let plan = explain([&y, &gx, &gw]).to_string();
        (plan, [y, gx, gw].map(|t| t.value().to_bytes()))
    };
    let (plain, labelled) = (run(["_ _", "_ _"]), run(["N d", "d k"]));
    assert_eq!(plain.0, labelled.0, "the plan");
    assert_eq!(plain.1, labelled.1, "the bits");
}

fn ramp(n: usize) -> Tensor {
    Tensor::from((0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<f32>>())
}

#[test]
fn a_clash_is_an_error_of_the_op_and_of_nothing_after_it() {
    let (a, b) = (x("B T"), x("B T").relabelled("B U"));
    let error = a.try_add(&b).map(|y| y.described()).unwrap_err();
    assert_eq!(error.op(), Some("add"));
    assert_eq!(error.labels().unwrap().clone().map(|l| l.to_string()), ["T", "U"]);
    assert_eq!(error.operands()[1].to_string(), "f32[B=2, U=5]");
    assert_eq!(error.site().unwrap().file(), file!());
    // Inside composites, whose operators cannot fail, the error is the composite's.
    let inside = x("B C T").try_cross_entropy(&zeros([2, 5], DType::I64).labelled("B U"), None, None, 0.0, "mean");
    assert_eq!(inside.map(|y| y.described()).unwrap_err().op(), Some("cross_entropy"));
    // A body that notes a clash and then fails for another reason leaves none behind.
    let both = (x("d").relabelled("e") + 1.0).try_layer_norm(1, Some(&x("d")), Some(&x("T")), 1e-5);
    assert!(both.is_err());
    assert!(a.try_add(&a).is_ok());
    has(&a.relabelled(b.labels()).add(&b), "B U");
}

#[test]
fn a_name_has_one_size() {
    for (shape, labels) in [([2, 3], "T T"), ([4, 5], "h 4"), ([3, 2], "2·h h")] {
        let y = zeros(shape, DType::F32);
        assert!(y.try_labelled(labels).is_err() && y.try_relabelled(labels).is_err(), "{labels}");
    }
    for labels in ["T", "T T T", "T T+", "(T T"] {
        assert!(zeros([5, 5], DType::F32).try_labelled(labels).is_err(), "{labels}");
    }
    has(&zeros([5, 5], DType::F32).labelled("T T"), "T T");
}
