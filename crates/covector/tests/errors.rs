//! What errors say: what is wrong, where in the user's program, and what to do.

use std::panic::{self, AssertUnwindSafe, Location};

use covector::ops::{concat, create, einsum, index, linear, norm, random};
use covector::*;
use insta::assert_snapshot;

/// What `f` panics with, its paths written as the distance from the line of this call.
#[track_caller]
fn told<T>(f: impl FnOnce() -> T) -> String {
    let here = Location::caller();
    let Err(panic) = panic::catch_unwind(AssertUnwindSafe(f)) else { panic!("nothing was refused at {here}") };
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().expect("panics carry text")).to_owned(),
    };
    let file = format!("{}:", here.file());
    let mut parts = text.split(&file);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let line: i64 = part[..digits].parse().expect("a line follows the file");
        told += &match line - i64::from(here.line()) {
            0 => "this line".to_owned(),
            away => format!("this line {away:+}"),
        };
        told += &part[digits..];
    }
    told
}

fn zeros(shape: impl Into<Shape>) -> Tensor {
    create::zeros(shape, DType::F64)
}

#[test]
fn shapes_that_do_not_broadcast() {
    let (x, y) = (zeros([2, 3]), zeros([4, 2]));
    let all = [
        told(|| &x + &y),
        told(|| x.maximum(&y)),
        told(|| x.greater(0.0).where_(&x, &y)),
        told(|| y.greater(0.0).where_(&x, 0.0)),
        told(|| x.broadcast_to([3, 3])),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn products_that_do_not_fit() {
    let (x, y) = (zeros([8, 64]), zeros([128, 64]));
    let all = [
        told(|| x.matmul(&y)),
        told(|| x.matmul(&zeros([8, 3]))),
        told(|| x.matmul(&zeros([5, 6]))),
        told(|| zeros([2, 3, 4]).matmul(&zeros([5, 4, 3]))),
        told(|| zeros([2, 3, 4]).matmul(&zeros([5, 3, 4]))),
        told(|| x.matmul(&zeros(()))),
        told(|| x.greater(0.0).matmul(&y.greater(0.0))),
        told(|| linear::matmul(&x, &y)),
        told(|| x.dot(&y)),
        told(|| x.tensordot(&y, [1], [0])),
        told(|| einsum::einsum("ij,jk->ik", &[x.clone(), y.clone()])),
        told(|| einsum::einsum("ij,jk->il", &[x.clone(), y.t()])),
        told(|| einsum::einsum("ij", &[x.clone(), y.clone()])),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn views_that_do_not_exist() {
    let x = zeros([2, 3]);
    let all = [
        told(|| x.reshape([4, 2])),
        told(|| x.reshape([4, -1])),
        told(|| x.reshape([-1, -1])),
        told(|| x.reshape([-2, 3])),
        told(|| x.permute_dims([0, 0])),
        told(|| x.permute_dims([0])),
        told(|| x.transpose(0, 2)),
        told(|| x.squeeze(1)),
        told(|| x.i((0, 3))),
        told(|| x.i((0, 0, 0))),
        told(|| x.split([1, 1], 1)),
        told(|| x.flip([0, 0])),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn tensors_that_cannot_be_joined() {
    let x = zeros([2, 3]);
    let all = [
        told(|| concat::concat(&[x.clone(), zeros([2, 2])], 0)),
        told(|| concat::concat(&[x.clone(), zeros(3)], 0)),
        told(|| concat::concat(std::slice::from_ref(&x), 2)),
        told(|| concat::stack(&[x.clone(), zeros([2, 2])], 0)),
        told(|| x.pad(-1, "constant", 0.0)),
        told(|| Tensor::from_slice(&[1.0, 2.0, 3.0], [2, 2])),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn axes_that_do_not_exist() {
    let x = zeros([2, 3]);
    let all = [
        told(|| x.sum(2)),
        told(|| x.mean([0, -2])),
        told(|| x.sum([1, 1])),
        told(|| zeros(()).max(0)),
        told(|| zeros([2, 0]).max(1)),
        told(|| zeros([2, 0]).argmax(1)),
        told(|| x.softmax(-3)),
        told(|| x.cumsum(2)),
        told(|| x.sort(5, false)),
        told(|| x.topk(4, 1)),
        told(|| x.var(.., f64::NAN)),
        told(|| x.layer_norm(3, None, None, 1e-5)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn indices_out_of_range() {
    let x = zeros([2, 3]);
    let at = |i: i64| Tensor::from([0, i]);
    let late = x.take(&at(3), 1);
    let all = [
        told(|| late.to_vec::<f64>()),
        told(|| x.take(&at(-4), 1).value()),
        told(|| x.take_along_axis(&Tensor::from([[0], [7]]), 1).value()),
        told(|| index::embedding(&x, &at(2)).value()),
        told(|| x.index_add(&at(9), &zeros([2, 3]), 0).value()),
        told(|| x.put(&at(6), &zeros(2)).value()),
        told(|| x.cross_entropy(&at(5), None, None, 0.0, "mean").value()),
        told(|| zeros([0, 2]).take(&at(0), 0).value()),
        told(|| x.take(&zeros(2), 0)),
        told(|| x.take(&at(0), 2)),
        told(|| x.take_along_axis(&at(0), 1)),
        told(|| x.index_add(&at(0), &zeros([5, 5]), 0)),
        told(|| index::embedding(&zeros(3), &at(0))),
        told(|| zeros(2).one_hot(3)),
    ];
    // The first index was refused when it was read, and the error names the line that took it.
    assert!(all[0].contains("this line -2"), "{}", all[0]);
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn layers_and_losses_that_do_not_fit() {
    let (x, image) = (zeros([2, 3]), zeros([1, 3, 8, 8]));
    let all = [
        told(|| image.conv2d(&zeros([4, 2, 3, 3]), None, 1, 0, 1, 1)),
        told(|| image.conv2d(&zeros([4, 3, 9, 9]), None, 1, 0, 1, 1)),
        told(|| x.conv2d(&zeros([4, 3, 3, 3]), None, 1, 0, 1, 1)),
        told(|| image.max_pool2d(9, 1, 0, 1)),
        told(|| image.group_norm(2, None, None, 1e-5)),
        told(|| x.layer_norm(1, Some(&zeros(4)), None, 1e-5)),
        told(|| norm::scaled_dot_product_attention(&x, &zeros([2, 4]), &x, None, false)),
        told(|| norm::scaled_dot_product_attention(&x, &zeros([5, 3]), &x, None, false)),
        told(|| norm::scaled_dot_product_attention(&x, &x, &x, Some(&zeros([2, 3])), false)),
        told(|| x.cross_entropy(&Tensor::from([0, 1, 2]), None, None, 0.0, "mean")),
        told(|| x.mse_loss(&zeros([2, 1]), "mean")),
        told(|| x.mse_loss(&x, "average")),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn dtypes_that_do_not_fit() {
    let (x, n) = (zeros(3), Tensor::from([1, 2, 3]));
    let all = [
        told(|| x.bitwise_and(&n)),
        told(|| x.bitwise_invert()),
        told(|| x.to_vec::<f32>()),
        told(|| n.i(0).item::<f64>()),
        told(|| x.item::<f64>()),
        told(|| x.to_f64()),
        told(|| n.requires_grad()),
        told(|| grad(|n: &Tensor| n.cast(DType::F64).sum(..))(&n)),
        told(|| grad(|(x, n): &(Tensor, Tensor)| (x * n).sum(..))(&(x.clone(), n.clone()))),
        told(|| jacrev(|n: &Tensor| n * 2)(&n)),
        told(|| jacfwd(|n: &Tensor| n * 2)(&n)),
        told(|| hessian(|n: &Tensor| n.sum(..))(&n)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn results_without_a_gradient() {
    let x = zeros(3);
    let made_above = |x: &Tensor| x.square();
    let all = [
        told(|| grad(made_above)(&x)),
        told(|| value_and_grad(|x: &Tensor| x.clone())(&x)),
        told(|| try_value_and_grad(made_above, &x).unwrap()),
        told(|| hessian(made_above)(&x)),
        told(|| grad(|x: &Tensor| x.argmax(0))(&x)),
        told(|| grad(|x: &Tensor| x.sum(..).cast(DType::I64))(&x)),
        told(|| jacrev(|x: &Tensor| x.greater(0.0))(&x)),
        told(|| jacfwd(|x: &Tensor| x.greater(0.0))(&x)),
        told(|| x.requires_grad().square().backward()),
        told(|| x.requires_grad().sum(..).greater(0.0).backward()),
        told(|| x.sum(..).backward()),
        told(|| draw::Drawing::with_gradients(made_above, &x)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn paths_that_are_cut() {
    let x = zeros(3);
    let rounded = |x: &Tensor| {
        let whole = x.cast(DType::I64);
        whole.cast(DType::F64).sum(..)
    };
    let stopped = |x: &Tensor| x.stop_gradient().sum(..);
    let all = [
        told(|| grad(rounded)(&x)),
        told(|| grad(stopped)(&x)),
        told(|| value_and_grad(stopped)(&x)),
        told(|| jacrev(stopped)(&x)),
        told(|| jacfwd(stopped)(&x)),
        told(|| rounded(&x.requires_grad()).backward()),
        told(|| stopped(&x.requires_grad()).backward()),
    ];
    assert_snapshot!(all.join("\n\n"));
    // One open path is enough, and a function that uses nothing of its argument has the gradient 0.
    assert_eq!(grad(|x: &Tensor| (x * x.stop_gradient()).sum(..))(&x).to_vec::<f64>(), [0.0; 3]);
    assert_eq!(grad(|_: &Tensor| Tensor::from(1.0))(&x).to_vec::<f64>(), [0.0; 3]);
}

#[test]
fn products_with_a_jacobian_that_do_not_fit() {
    let x = zeros(3);
    let pair = (x.clone(), x.clone());
    let (_, pullback) = vjp(|x: &Tensor| x.sum(..), &x);
    let (_, linear) = linearize(|x: &Tensor| x.sum(..), &x);
    let all = [
        told(|| pullback.call(&x)),
        told(|| linear.call(&zeros(2))),
        told(|| jvp(|x: &Tensor| x.square(), &x, &zeros(2))),
        told(|| jvp(|(a, b): &(Tensor, Tensor)| a * b, &pair, &(x.clone(), zeros(()).cast(DType::F32)))),
        told(|| jvp(|x: &Vec<Tensor>| x[0].clone(), &vec![x.clone()], &vec![])),
        told(|| hvp(|x: &Tensor| x.sum(..), &x, &zeros(2))),
        told(|| hvp(|x: &Tensor| x.square(), &x, &x)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn batches_that_do_not_fit() {
    let x = zeros([4, 3]);
    let pair = (x.clone(), zeros([5, 3]));
    let add = |(a, b): &(Tensor, Tensor)| a + b;
    let all = [
        told(|| vmap(add)(&pair)),
        told(|| vmap_with(add, [Some(0), Some(2)], 0)(&pair)),
        told(|| vmap_with(add, [None, None], 0)(&pair)),
        told(|| vmap_with(add, [Some(0)], 0)(&pair)),
        told(|| vmap_with(|x: &Tensor| x.clone(), 0, 2)(&x)),
        told(|| vmap_with(|x: &Tensor| x.clone(), 0, [None])(&x)),
        told(|| vmap(|x: &Tensor| x.clone())(&zeros(()))),
        told(|| vmap(|x: &Tensor| x.matmul(&zeros([2, 2])))(&x)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn values_read_inside_vmap() {
    let x = zeros([4, 3]);
    let peek = |x: &Tensor| {
        let total = x.sum(..);
        if total.item::<f64>() > 0.0 { total } else { -total }
    };
    let all = [
        told(|| vmap(peek)(&x)),
        told(|| vmap(grad(peek))(&x)),
        told(|| vmap(|x: &Tensor| Tensor::from(x.to_vec::<f64>()))(&x)),
        told(|| vmap(|x: &Tensor| x.masked_select(&x.greater(0.0)))(&x)),
        told(|| vmap(|x: &Tensor| eval([x]))(&x)),
        told(|| vmap(|x: &Tensor| x.sum(..).backward())(&x)),
    ];
    assert_snapshot!(all.join("\n\n"));
    // Printing must not end the program.
    vmap(|x: &Tensor| assert_eq!(x.to_string(), "tensor(placeholder f64[3])"))(&x);
}

#[test]
fn compiled_functions_that_read_or_are_given_what_does_not_fit() {
    let x = zeros([4, 3]);
    let rows = |i: &Tensor| zeros([4, 3]).take(i, 0);
    let taken = compile(rows);
    let all = [
        told(|| compile(|x: &Tensor| Tensor::from(x.sum(..).item::<f64>() + 1.0))(&x)),
        told(|| compile(|x: &Tensor| eval([&grad(|x: &Tensor| x.exp().sum(..))(x)]))(&x)),
        told(|| compile(|x: &Tensor| x.matmul(x))(&x)),
        told(|| compile(grad(|x: &Tensor| x * 2.0))(&x)),
        told(|| taken(&Tensor::from([1i64, 4]))),
        told(|| compile_owned(rows)(Tensor::from([1i64, 4]))),
    ];
    assert_snapshot!(all.join("\n\n"));
    assert_eq!(taken(&Tensor::from([1i64, 3])).shape()[..], [2, 3], "a refusal spoils nothing");
}

#[test]
fn sizes_beyond_memory() {
    let x = zeros([1, 3]);
    let big = 1usize << 40;
    let all = [
        told(|| create::zeros([big, big], DType::F64)),
        told(|| x.broadcast_to([usize::MAX, 3])),
        told(|| x.broadcast_to([big, big, 3])),
        told(|| x.reshape([i64::MAX, 3])),
        told(|| Tensor::from_slice(&[1.0], [usize::MAX, 2])),
        told(|| x.tile([i64::MAX, 2])),
        told(|| x.repeat(usize::MAX, 1)),
        told(|| x.pad(i64::MAX, "constant", 0.0)),
        told(|| Tensor::from([1]).one_hot(usize::MAX)),
        told(|| create::arange(0, i64::MAX, 1, DType::F64)),
        told(|| zeros([big, 1]).matmul(&zeros([1, big]))),
        told(|| zeros(big).outer(&zeros(big))),
        told(|| zeros([big, 1]) + zeros(big)),
        told(|| x.unique(usize::MAX, 0.0)),
        told(|| create::meshgrid(&[zeros(big), zeros(big)], "ij")),
        told(|| einsum::einsum("i,j->ij", &[zeros(big), zeros(big)])),
        told(|| vmap(|x: &Tensor| x.broadcast_to([1usize << 41, 3]))(&zeros([1usize << 20, 3]))),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn creations_draws_and_resizings_that_make_no_sense() {
    let (x, key) = (zeros([2, 3]), Key::new(0));
    let all = [
        told(|| create::full([2, 2], zeros(3), DType::F64)),
        told(|| create::arange(0, 5, 0, DType::F64)),
        told(|| create::linspace(0.0, f64::NAN, 3, DType::F64)),
        told(|| create::meshgrid(std::slice::from_ref(&x), "ij")),
        told(|| create::meshgrid(&[zeros(2)], "ji")),
        told(|| random::uniform(&x, [2], 0.0, 1.0, DType::F64)),
        told(|| random::uniform(&key, [2], 1.0, 0.0, DType::F64)),
        told(|| random::normal(&key, [2], DType::I64)),
        told(|| random::randint(&key, [2], 5, 5)),
        told(|| random::bernoulli(&key, zeros(3), [2])),
        told(|| random::dropout(&x, &key, 1.5)),
        told(|| zeros(3).tril(0)),
        told(|| zeros(3).t()),
        told(|| x.slice([0], [1, 1], [1])),
        told(|| x.chunk(0, 0)),
        told(|| x.moveaxis([0, 1], [0])),
        told(|| x.searchsorted(&zeros([3, 2]), false)),
        told(|| x.resize(4, "nearest")),
        told(|| zeros([1, 1, 4]).resize(4, "cubic")),
        told(|| zeros([1, 1, 4]).resize([4, 4], "nearest")),
        told(|| zeros([1, 1, 4]).avg_pool1d(2, 0, 0)),
        told(|| zeros([1, 1, 4]).adaptive_avg_pool1d(0)),
        told(|| zeros([1, 2, 4]).conv_transpose1d(&zeros([3, 2, 2]), None, 1, 0, 0, 1, 1)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

/// Numbers at the ends of their types, for every op that takes some: an error that names the op, or a result.
#[test]
fn extreme_numbers_are_refused_or_do_no_harm() {
    let (x, image, key) = (zeros([2, 3]), zeros([1, 1, 4]), Key::new(0));
    let (low, high, most) = (i64::MIN, i64::MAX, usize::MAX);
    let mut wrong: Vec<String> = Vec::new();
    let mut look = |call: &str, run: &dyn Fn() -> Result<()>| match panic::catch_unwind(AssertUnwindSafe(run)) {
        Err(_) => wrong.push(format!("{call} panics")),
        Ok(Err(e)) if e.op().is_none() || e.site().is_none_or(|s| s.file() != file!()) => {
            wrong.push(format!("{call} does not say where: {e}"));
        }
        Ok(_) => (),
    };
    macro_rules! of {
        ($($call:expr),* $(,)?) => { $(look(stringify!($call), &|| $call.map(drop));)* };
    }
    of![
        create::try_eye(most, DType::F32),
        create::try_linspace(0.0, 1.0, most, DType::F32),
        create::try_arange(low, high, 1, DType::F32),
        create::try_arange(0.0, 1e300, 1e-300, DType::F32),
        create::try_full([most, most], 0.0, DType::F32),
        random::try_uniform(&key, [most], 0.0, 1.0, DType::F32),
        random::try_permutation(&key, most),
        random::try_randint(&key, [2], low, high),
        random::try_split_key(&key, most),
        x.try_sum(isize::MIN),
        x.try_softmax(isize::MAX),
        x.try_diff(most, 0),
        x.try_topk(most, 0),
        x.try_tril(low),
        x.try_triu(high),
        x.try_roll(low, 1),
        x.try_roll(high, 1),
        x.try_slice([low, 0], [high, 3], [high, 1]),
        x.try_slice([0, high], [2, low], [1, low]),
        x.try_chunk(most, 0),
        x.try_split([high, high], 0),
        x.try_flatten(isize::MIN, isize::MAX),
        x.try_moveaxis([low], [high]),
        x.try_permute_dims([low, high]),
        x.try_reshape([high, high, 0]),
        x.try_pad((high, high), "constant", 0.0),
        x.try_pad((high, high), "reflect", 0.0),
        x.try_repeat(most, 1),
        x.try_tile([high]),
        x.try_one_hot(most),
        x.try_cast(DType::I64).and_then(|n| n.try_one_hot(most)),
        x.try_layer_norm(most, None, None, 1e-5),
        x.try_group_norm(most, None, None, 1e-5),
        image.try_resize(high, "nearest"),
        image.try_resize(high, "linear"),
        image.try_max_pool1d(high, 1, 0, 1),
        image.try_max_pool1d(2, high, 0, 1),
        image.try_max_pool1d(2, 1, high, 1),
        image.try_max_pool1d(2, 1, 0, high),
        image.try_avg_pool1d(2, 1, high),
        image.try_adaptive_avg_pool1d(high),
        image.try_adaptive_max_pool1d(high),
        image.try_conv1d(&zeros([1, 1, 2]), None, high, 0, 1, 1),
        image.try_conv1d(&zeros([1, 1, 2]), None, 1, high, 1, 1),
        image.try_conv1d(&zeros([1, 1, 2]), None, 1, 0, high, 1),
        image.try_conv1d(&zeros([1, 1, 2]), None, 1, 0, 1, most),
        image.try_conv_transpose1d(&zeros([1, 1, 2]), None, high, 0, 0, 1, 1),
        image.try_conv_transpose1d(&zeros([1, 1, 2]), None, 1, high, 0, 1, 1),
        image.try_conv_transpose1d(&zeros([1, 1, 2]), None, 1, 0, high, 1, 1),
        image.try_conv_transpose1d(&zeros([1, 1, 2]), None, 1, 0, 0, high, 1),
    ];
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_too_large_is_an_error_of_the_try_forms() {
    let (column, row) = (zeros([1 << 40, 1]), zeros([1, 1 << 40]));
    let all = [
        column.try_add(&row),
        column.try_matmul(&row),
        column.try_outer(&row),
        column.try_tensordot(&row, [1], [0]),
        column.greater(0.0).try_where_(&row, 0.0),
        einsum::try_einsum("ij,jk->ik", &[column.clone(), row.clone()]),
        row.try_tile([1_i64 << 40, 1]),
        row.try_repeat(1 << 40, 0),
        Tensor::from([1]).try_one_hot(usize::MAX),
        row.try_unique(usize::MAX, 0.0),
        random::try_split_key(&Key::new(0), usize::MAX),
        random::try_bernoulli(&Key::new(0), Tensor::from(0.5), [usize::MAX, 2]),
        random::try_normal(&Key::new(0), [usize::MAX, 2], DType::F64),
    ];
    for result in all {
        let text = result.expect_err("it must be refused").to_string();
        assert!(text.contains("has more elements than memory can address"), "{text}");
    }
}

#[test]
fn labels_that_clash() {
    // Every axis has size 4: nothing but the labels differs.
    let x = |labels: &str| zeros(vec![4; labels.split(' ').count()]).labelled(labels);
    let classes = Tensor::from([[0, 1, 2, 3]; 4]).labelled("B S");
    let (heads, ws) = (x("B T d").reshape([4, 4, 2, 2]), x("d k"));
    let all = [
        told(|| x("B T") + x("T B")),
        told(|| x("B T d") * x("k")),
        told(|| x("B d").matmul(&x("k d"))),
        told(|| x("B h T d").matmul(&x("B g d T"))),
        told(|| x("B T d").flatten(0, 1).matmul(&ws) + x("B S k").flatten(0, 1)),
        told(|| einsum::einsum("btd,dk->btk", &[x("B T d"), x("e k")])),
        told(|| concat::concat(&[x("B T"), x("N S")], 1)),
        told(|| x("B T").greater(0.0).where_(x("B T"), x("B S"))),
        told(|| x("T d").take_along_axis(&Tensor::from([[0; 4]; 4]).labelled("T k"), 0)),
        told(|| x("B C T").cross_entropy(&classes, None, None, 0.0, "mean")),
        told(|| x("B T d").layer_norm(1, Some(&x("k")), None, 1e-5)),
        told(|| x("B T d").scaled_dot_product_attention(&x("B S d"), &x("B S d"), Some(&x("S T")), false)),
        told(|| {
            zeros([4, 4, 5, 5]).labelled("B C H W").conv2d(&zeros([4, 4, 3, 3]).labelled("k D _ _"), None, 1, 0, 1, 1)
        }),
        told(|| x("T+1 d") - x("T d")),
        told(|| heads.labelled("B T h k")),
        told(|| vmap(|(a, b): &(Tensor, Tensor)| a + b)(&(x("B d"), x("N d")))),
        told(|| grad(|w: &Tensor| (x("B d").matmul(w) + x("B j")).sum(..))(&ws)),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn labels_that_make_no_sense() {
    let x = zeros([2, 3]);
    let all = [
        told(|| x.labelled("B")),
        told(|| x.labelled("B T+")),
        told(|| x.labelled("B B")),
        told(|| x.labelled("B 4")),
        told(|| x.labelled("B T").labelled("B S")),
        told(|| x.relabelled("B 2·B")),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn rules_of_ones_own_that_do_not_fit() {
    let (x, w) = (zeros(3), zeros(3));
    let scale = |w: &Tensor| {
        let w = w.clone();
        custom_vjp(move |x: &Tensor| x * &w, |_, c: &Tensor| c.clone())
    };
    let (narrow, open) = (|_: &Tensor, c: &Tensor| c.i(..2), |_: &Tensor, c: &Tensor| c.matmul(&zeros([7, 7])));
    let all = [
        told(|| grad(|w: &Tensor| scale(w)(&x).sum(..))(&w)),
        told(|| grad(|w: &Tensor| custom_jvp(|x: &Tensor| x * w, |_, t: &Tensor| t.clone())(&x).sum(..))(&w)),
        told(|| grad(|x: &Tensor| custom_vjp(Tensor::exp, narrow)(x).sum(..))(&x)),
        told(|| grad(|x: &Tensor| custom_jvp(Tensor::exp, narrow)(x).sum(..))(&x)),
        told(|| grad(|x: &Tensor| custom_vjp(Tensor::exp, open)(x).sum(..))(&x)),
        told(|| vmap(grad(|x: &Tensor| custom_vjp(Tensor::exp, narrow)(x).sum(..)))(&zeros([4, 3]))),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_panic_in_a_function_leaves_nothing_behind() {
    let x = zeros(3);
    let fails = |_: &Tensor| -> Tensor { panic!("the user's own") };
    let rule = |_: &Tensor, _: &Tensor| -> Tensor { panic!("the user's own") };
    let all = [
        told(|| grad(fails)(&x)),
        told(|| vmap(fails)(&x)),
        told(|| checkpoint(fails)(&x)),
        told(|| vmap(grad(fails))(&zeros([2, 3]))),
        told(|| grad(|x: &Tensor| custom_vjp(Tensor::exp, rule)(x).sum(..))(&x)),
        told(|| x.matmul(&zeros(4))),
    ];
    assert!(all[..5].iter().all(|text| text == "the user's own"), "{all:?}");
    // Afterwards ops still know their own line, and derivatives are right.
    let (y, line) = (x.exp(), line!());
    assert_eq!((y.site().op, y.site().location.file(), y.site().location.line()), ("exp", file!(), line));
    assert_eq!(grad(|x: &Tensor| x.exp().sum(..))(&x).to_vec::<f64>(), [1.0; 3]);
    assert_eq!(vmap(|x: &Tensor| x + 1.0)(&x).to_vec::<f64>(), [1.0; 3]);
}

#[test]
fn matrices_that_an_op_cannot_do_with() {
    let singular = create::ones([2, 3, 3], DType::F64);
    let all = [
        told(|| zeros([2, 3]).inv()),
        told(|| zeros([3]).svd(false)),
        told(|| zeros([2, 2]).qr("full")),
        told(|| zeros([2, 2]).solve(&zeros([3]))),
        told(|| zeros([4, 2, 2]).solve(&zeros([3, 2, 1]))),
        told(|| zeros([2, 2]).pinv(Some((-1.0).into()))),
        told(|| zeros([2, 2]).matrix_norm(3.0, false)),
        told(|| zeros([2, 2]).matrix_norm("spectral", false)),
        told(|| zeros([2]).cross(&zeros([2]), -1)),
        told(|| zeros([2, 3]).vecdot(&zeros([4]), -1)),
        told(|| zeros([3]).trace(0)),
        told(|| singular.inv().to_vec::<f64>()),
        told(|| (-create::eye(2, DType::F64)).cholesky(false).to_vec::<f64>()),
        told(|| (zeros([2, 2]) / 0.0).eigvalsh().to_vec::<f64>()),
    ];
    assert_snapshot!(all.join("\n\n"));
}
