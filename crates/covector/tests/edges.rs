//! Reductions, scans, orders, norms and losses where formulas break: zeros, infinities, NaN, ties, nothing at all.

use covector::ops::loss::{binary_cross_entropy_with_logits, cross_entropy, huber_loss, kl_div, mse_loss, nll_loss};
use covector::ops::norm::scaled_dot_product_attention;
use covector::*;

const INF: f64 = f64::INFINITY;

fn gradient(f: impl Fn(&Tensor) -> Tensor, x: impl Into<Tensor>) -> Vec<f64> {
    grad(|x: &Tensor| f(x).sum(..))(&x.into()).to_vec()
}

fn second(f: impl Fn(&Tensor) -> Tensor, x: impl Into<Tensor>) -> Vec<f64> {
    hessian(|x: &Tensor| f(x).sum(..))(&x.into()).to_vec()
}

#[track_caller]
fn close(a: impl AsRef<[f64]>, b: impl AsRef<[f64]>) {
    let (a, b) = (a.as_ref(), b.as_ref());
    assert!(same(a, b), "{a:?} is not {b:?}");
}

fn same(a: &[f64], b: &[f64]) -> bool {
    let same = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-12 * b.abs().max(1.0) || (a.is_nan() && b.is_nan());
    a.len() == b.len() && a.iter().zip(b).all(same)
}

#[test]
fn the_derivatives_of_a_product_are_exact_with_any_number_of_zeros() {
    let prod = |x: &Tensor| x.prod(..);
    close(gradient(prod, [2.0, 3.0, 5.0]), [15.0, 10.0, 6.0]);
    close(gradient(prod, [2.0, 0.0, 5.0]), [0.0, 10.0, 0.0]);
    close(gradient(prod, [0.0, 0.0, 5.0]), [0.0; 3]);
    close(second(prod, [0.0, 0.0, 5.0]), [0.0, 5.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    close(second(prod, [2.0, 0.0, 5.0]), [0.0, 5.0, 0.0, 5.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
    let third = |x: &Tensor| grad(|x: &Tensor| grad(prod)(x).take(&Tensor::from(0), 0))(x).take(&Tensor::from(1), 0);
    close(gradient(third, [0.0, 0.0, 0.0]), [0.0, 0.0, 1.0]);
}

#[test]
fn the_derivatives_of_running_products_are_exact_with_zeros() {
    let last = |x: &Tensor| x.cumprod(0).take(&Tensor::from(-1), 0);
    close(gradient(last, [0.0, 4.0, 0.0]), [0.0; 3]);
    close(second(last, [0.0, 4.0, 0.0]), second(|x| x.prod(..), [0.0, 4.0, 0.0]));
    let (_, t) = jvp(|x: &Tensor| x.cumprod(0), &Tensor::from([0.0, 4.0, 0.0]), &Tensor::from([1.0, 1.0, 1.0]));
    close(t.to_vec(), [1.0, 4.0, 0.0]);
}

#[test]
fn running_extremes_share_ties_and_stop_at_nan() {
    let x = [1.0, 3.0, 3.0, 2.0, 5.0];
    close(gradient(|x| x.cummax(0), x), [1.0, 1.0 + 0.5 + 0.5, 0.5 + 0.5, 0.0, 1.0]);
    let shared = jvp(|x: &Tensor| x.cummax(0), &Tensor::from(x), &Tensor::from([1.0, 2.0, 4.0, 8.0, 16.0])).1;
    close(shared.to_vec(), [1.0, 2.0, 3.0, 3.0, 16.0]);
    close(Tensor::from([1.0, f64::NAN, 3.0]).cummin(0).to_vec(), [1.0, f64::NAN, f64::NAN]);
    close(gradient(|x| x.cummin(0), [1.0, f64::NAN, 3.0]), [1.0, 0.0, 0.0]);
}

const NAN: f64 = f64::NAN;

/// The function's value at a row, and its derivative against the weights 1, 2, 3: in reverse, which forward
/// repeats wherever that is a number.
fn at(f: fn(&Tensor) -> Tensor, row: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let x = Tensor::from(row.to_vec());
    let weigh = |x: &Tensor| (f(x) * Tensor::from([1.0, 2.0, 3.0]).i(..f(x).size())).sum(..);
    let reverse = grad(weigh)(&x).to_vec::<f64>();
    let forward: Vec<f64> = (0..row.len())
        .map(|i| jvp(weigh, &x, &Tensor::from((0..row.len()).map(|j| f64::from(i == j)).collect::<Vec<_>>())).1.item())
        .collect();
    if reverse.iter().all(|d| !d.is_nan()) {
        close(&forward, &reverse);
    }
    (f(&x).to_vec(), reverse)
}

/// The figures of PyTorch 2 and JAX, which agree; SciPy's values are the same but for the logarithm of softmax at +inf,
/// where it gives -inf to the others.
#[test]
fn rows_with_infinities_and_nan_give_the_softmax_and_derivatives_of_pytorch_and_jax() {
    let (lower, upper) = (0.2689414213699951, 0.7310585786300049);
    let part = [-INF, 1.0, 2.0];
    let holds = |row: &[f64], value: f64, derivative: &[f64]| {
        let (y, d) = at(|x| x.logsumexp(keep(0)), row);
        assert!(same(&y, &[value]) && same(&d, derivative), "{row:?}: {y:?} {d:?}");
    };
    holds(&part, 2.313261687518223, &[0.0, lower, upper]);
    holds(&[1.0, INF], INF, &[0.0, NAN]);
    holds(&[INF, INF], INF, &[NAN, NAN]);
    holds(&[-INF, INF, 0.0], INF, &[0.0, NAN, 0.0]);
    holds(&[1.0, NAN], NAN, &[NAN, NAN]);
    holds(&[-INF, NAN], NAN, &[NAN, NAN]);
    let (y, d) = at(|x| x.softmax(0), &part);
    close(y, [0.0, lower, upper]);
    close(d, [0.0, -lower * upper, lower * upper]);
    let (y, d) = at(|x| x.log_softmax(0), &part);
    close(y, [-INF, 1.0 - 2.313261687518223, 2.0 - 2.313261687518223]);
    close(d, [1.0, 2.0 - 6.0 * lower, 3.0 - 6.0 * upper]);
    for row in [&[-INF, -INF][..], &[1.0, INF], &[INF, INF], &[-INF, INF, 0.0], &[1.0, NAN], &[-INF, NAN]] {
        for f in [|x: &Tensor| x.softmax(0), |x: &Tensor| x.log_softmax(0)] {
            let (y, d) = at(f, row);
            assert!(y.iter().chain(&d).all(|v| v.is_nan()), "{row:?}: {y:?} {d:?}");
        }
    }
}

/// Where every element is -inf, PyTorch and JAX give the derivative NaN; here a masked row passes nothing on.
#[test]
fn logsumexp_of_nothing_is_minus_infinity_without_derivative() {
    let f = |x: &Tensor| x.logsumexp(-1);
    let x = [[-INF, -INF], [-INF, 1.0]];
    close(Tensor::from(x).logsumexp(1).to_vec(), [-INF, 1.0]);
    close(gradient(f, x), [0.0, 0.0, 0.0, 1.0]);
    close(second(f, [-INF, -INF]), [0.0; 4]);
    close(Tensor::from([1.0, INF]).logsumexp(0).to_vec(), [INF]);
    assert_eq!(gradient(f, [1.0, INF])[0], 0.0);
    close(Tensor::from([1.0, f64::NAN]).logsumexp(0).to_vec(), [f64::NAN]);
    close(Tensor::try_from_slice::<f64>(&[], [2, 0]).unwrap().logsumexp(1).to_vec(), [-INF, -INF]);
    close(Tensor::from([-INF, -INF]).softmax(0).to_vec(), [f64::NAN; 2]);
    assert_eq!(
        Tensor::from([1u8, 3]).softmax(0).to_vec::<f32>(),
        Tensor::from([1.0f32, 3.0]).softmax(0).to_vec::<f32>()
    );
}

#[test]
fn lengths_and_deviations_of_nothing_have_derivative_0() {
    for ord in [0.5, 1.0, 1.5, 2.0, 3.0, INF] {
        close(gradient(|x| x.norm(.., ord), [0.0, 0.0]), [0.0, 0.0]);
        assert!(second(|x| x.norm(.., ord), [0.0, 0.0]).iter().all(|d| d.is_finite()), "order {ord}");
    }
    close(gradient(|x| x.norm(.., 1.5), [0.0, -2.0]), [0.0, -1.0]);
    close(gradient(|x| x.norm(.., 2.0), [0.0, -2.0]), [0.0, -1.0]);
    close(Tensor::from([3.0, 0.0]).norm(.., -1.0).to_vec(), [0.0]);
    close(Tensor::from([3.0, 0.0]).norm(.., 0.0).to_vec(), [1.0]);
    close(Tensor::from([f64::NAN, 0.0]).norm(.., 2.0).to_vec(), [f64::NAN]);
    close(gradient(|x| x.std(.., 0.0), [2.0, 2.0, 2.0]), [0.0; 3]);
    close(second(|x| x.var(.., 0.0), [1.0, 3.0]), [0.5, -0.5, -0.5, 0.5]);
    assert!(Tensor::from([1.0f32]).var(.., 1.0).item::<f32>().is_nan());
    let far = Tensor::from([1e6f32, 1e6 + 1.0, 1e6 + 2.0]);
    assert_eq!(far.var(.., 1.0).item::<f32>(), 1.0);
}

#[test]
fn halves_are_folded_in_single_precision() {
    let x = Tensor::from(vec![100.0f64; 1000]).cast(DType::F16);
    assert_eq!(x.mean(..).cast(DType::F64).item::<f64>(), 100.0);
    assert_eq!(x.norm(.., 2.0).dtype(), DType::F16);
    assert!((x.norm(.., 2.0).to_f64() - 100.0 * 1000f64.sqrt()).abs() < 2.0);
}

#[test]
fn truth_over_nothing() {
    let none = Tensor::try_from_slice::<bool>(&[], [0, 2]).unwrap();
    assert_eq!(none.any(0).to_vec::<bool>(), [false, false]);
    assert_eq!(none.all(keep(0)).to_vec::<bool>(), [true, true]);
    assert!(Tensor::from([0.0, f64::NAN]).any(..).item::<bool>());
}

#[test]
fn nan_comes_last_and_counts_once() {
    let x = Tensor::from([f64::NAN, 2.0, f64::NAN, 1.0, 2.0]);
    close(x.sort(0, false).to_vec(), [1.0, 2.0, 2.0, f64::NAN, f64::NAN]);
    close(x.sort(0, true).to_vec(), [2.0, 2.0, 1.0, f64::NAN, f64::NAN]);
    close(x.topk(2, 0).0.to_vec(), [2.0, 2.0]);
    assert_eq!(x.topk(2, 0).1.to_vec::<i64>(), [1, 4]);
    close(x.unique(5, -1.0).to_vec(), [1.0, 2.0, f64::NAN, -1.0, -1.0]);
    close(x.unique(1, -1.0).to_vec(), [1.0]);
    close(gradient(|x| x.unique(2, 0.0), [2.0, 1.0, 2.0]), [1.0, 1.0, 0.0]);
    assert_eq!((x.argmax(0).item::<i64>(), x.argmin(0).item::<i64>()), (0, 0));
    assert_eq!(Tensor::from([true, false, true]).unique(3, 0.0).to_vec::<bool>(), [false, true, false]);
}

/// Attention written out for one query.
fn attended(q: [f64; 2], k: &[[f64; 2]], v: &[f64], bias: &[f64]) -> f64 {
    let e: Vec<f64> = k.iter().zip(bias).map(|(k, b)| ((q[0] * k[0] + q[1] * k[1]) / 2f64.sqrt() + b).exp()).collect();
    e.iter().zip(v).map(|(e, v)| e * v).sum::<f64>() / e.iter().sum::<f64>()
}

#[test]
fn attention_is_the_softmax_mean_of_what_is_seen() {
    let (q, k, v) = ([[0.3, -1.0], [2.0, 0.5]], [[1.0, 0.2], [-0.7, 0.4], [0.1, 3.0]], [1.0, -2.0, 0.5]);
    let [tq, tk] = [Tensor::from(q), Tensor::from(k)];
    let tv = Tensor::from(v).reshape([3, 1]);
    let plain = scaled_dot_product_attention(&tq, &tk, &tv, None, false).to_vec::<f64>();
    close(&plain, [attended(q[0], &k, &v, &[0.0; 3]), attended(q[1], &k, &v, &[0.0; 3])]);
    let causal = scaled_dot_product_attention(&tq, &tk, &tv, None, true).to_vec::<f64>();
    close(&causal, [1.0, attended(q[1], &k[..2], &v[..2], &[0.0; 2])]);
    let bias = Tensor::from([0.5, -INF, 1.0]);
    let added = scaled_dot_product_attention(&tq, &tk, &tv, Some(&bias), false).to_vec::<f64>();
    close(added, [attended(q[0], &k, &v, &[0.5, -INF, 1.0]), attended(q[1], &k, &v, &[0.5, -INF, 1.0])]);
}

#[test]
fn a_query_that_sees_nothing_gives_zeros_and_no_derivative() {
    let (q, k, v) = (Tensor::from([[0.3, -1.0], [2.0, 0.5]]), Tensor::from([[1.0, 0.2]]), Tensor::from([[1.0, -2.0]]));
    let bools = Tensor::from([[false], [true]]);
    for mask in [bools.clone(), bools.where_(0.0, -INF).cast(DType::F64)] {
        let f = |x: &Vec<Tensor>| scaled_dot_product_attention(&x[0], &x[1], &x[2], Some(&mask), false);
        let args = vec![q.clone(), k.clone(), v.clone()];
        close(f(&args).to_vec(), [0.0, 0.0, 1.0, -2.0]);
        let loss = |x: &Vec<Tensor>| f(x).square().sum(..);
        let first = grad(loss)(&args);
        close(first[2].to_vec(), [2.0, -4.0]);
        let again =
            grad(|x: &Vec<Tensor>| grad(loss)(x).iter().map(|g| g.square().sum(..)).reduce(|a, b| a + b).unwrap());
        for g in first.iter().chain(&again(&args)) {
            assert!(g.to_vec::<f64>().iter().all(|g| g.is_finite()), "{:?}", g.to_vec::<f64>());
        }
    }
}

/// The cross-entropy of one example by PyTorch's definition, and its share in the weighted mean.
fn example_loss(x: &[f64], class: i64, w: &[f64], ignored: i64, smoothing: f64) -> (f64, f64) {
    if class == ignored {
        return (0.0, 0.0);
    }
    let log_sum = x.iter().map(|x| x.exp()).sum::<f64>().ln();
    let nll = |c: usize| w[c] * (log_sum - x[c]);
    let smooth: f64 = (0..x.len()).map(nll).sum();
    ((1.0 - smoothing) * nll(class as usize) + smoothing / x.len() as f64 * smooth, w[class as usize])
}

#[test]
fn cross_entropy_follows_pytorch_in_the_weighted_mean() {
    let x = [[0.2, -1.0, 0.7], [1.5, 0.0, -0.3], [0.4, 0.4, 2.0], [0.1, 0.2, 0.3]];
    let (target, w) = ([2, 0, -100, 1], [0.5, 2.0, 3.0]);
    for smoothing in [0.0, 0.1, 1.0] {
        let each: Vec<(f64, f64)> =
            x.iter().zip(target).map(|(x, t)| example_loss(x, t, &w, -100, smoothing)).collect();
        let (sum, total) = each.iter().fold((0.0, 0.0), |(s, t), (a, b)| (s + a, t + b));
        let loss = |reduction| {
            let (x, t, w) = (Tensor::from(x), Tensor::from(target), Tensor::from(w));
            cross_entropy(&x, &t, Some(&w), Some(-100), smoothing, reduction).to_vec::<f64>()
        };
        close(loss("mean"), [sum / total]);
        close(loss("sum"), [sum]);
        close(loss("none"), each.iter().map(|e| e.0).collect::<Vec<_>>());
    }
    let (x, t) = (Tensor::from(x), Tensor::from(target));
    let nll = nll_loss(&x.log_softmax(1), &t, None, Some(-100), "mean");
    close(nll.to_vec(), cross_entropy(&x, &t, None, Some(-100), 0.0, "mean").to_vec::<f64>());
    let nobody = cross_entropy(&x, &Tensor::from([1, 1, 1, 1]), None, Some(1), 0.0, "mean");
    assert!(nobody.item::<f64>().is_nan());
}

#[test]
fn ignored_examples_get_no_derivative_and_confident_ones_no_overflow() {
    let f = |x: &Tensor| cross_entropy(x, &Tensor::from([0, 7]), None, Some(7), 0.0, "sum");
    close(gradient(f, [[1000.0, -1000.0], [3.0, 4.0]]), [0.0; 4]);
    close(&gradient(f, [[-1000.0, 1000.0], [INF, f64::NAN]])[..2], [-1.0, 1.0]);
    let one_hot = Tensor::from([[1.0, 0.0], [0.0, 1.0]]);
    let x = Tensor::from([[0.3, -2.0], [1.0, 5.0]]);
    let soft = cross_entropy(&x, &one_hot, None, None, 0.1, "mean").item::<f64>();
    close([soft], cross_entropy(&x, &Tensor::from([0, 1]), None, None, 0.1, "mean").to_vec::<f64>());
}

#[test]
fn binary_cross_entropy_is_stable_and_smooth() {
    let f = |x: &Tensor| binary_cross_entropy_with_logits(x, &Tensor::from([1.0, 0.0, 1.0]), None, None, "none");
    close(f(&Tensor::from([-800.0, 800.0, 800.0])).to_vec(), [800.0, 800.0, 0.0]);
    close(gradient(f, [-800.0, 800.0, 800.0]), [-1.0, 1.0, 0.0]);
    let at_zero = second(f, [0.0, 0.0, 0.0]);
    close([at_zero[0], at_zero[4], at_zero[8]], [0.25; 3]);
}

#[test]
fn huber_has_the_curvature_of_a_square_at_0() {
    let f = |x: &Tensor| huber_loss(x, &Tensor::from([0.0, 0.0]), 1.0, "none");
    close(second(f, [0.0, 3.0]), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_divergence_from_an_impossible_outcome_is_0() {
    let log_q = Tensor::from([-0.5, -INF]);
    let p = Tensor::from([1.0, 0.0]);
    close(kl_div(&log_q, &p, false, "none").to_vec(), [0.5, 0.0]);
    close(kl_div(&log_q, &Tensor::from([0.0, -INF]), true, "none").to_vec(), [0.5, 0.0]);
    close(gradient(|p| kl_div(&log_q, p, false, "sum"), [1.0, 0.0]), [1.5, 0.0]);
    close(gradient(|q| kl_div(q, &p, false, "sum"), [-0.5, -INF]), [-1.0, 0.0]);
    let rows = Tensor::from([[-0.5, -1.0], [-0.2, -2.0]]);
    let p = Tensor::from([[0.6, 0.4], [0.9, 0.1]]);
    let sum = kl_div(&rows, &p, false, "sum").item::<f64>();
    close(kl_div(&rows, &p, false, "batchmean").to_vec(), [sum / 2.0]);
}

#[test]
fn wrong_arguments_are_refused_with_what_to_do() {
    let x = Tensor::from([[0.3, -2.0], [1.0, 5.0]]);
    let text = |result: Result<Tensor>| result.and_then(|y| y.try_value()).expect_err("it must be refused").to_string();
    let loss = |target: Tensor| x.try_cross_entropy(&target, None, None, 0.0, "mean");
    let refused = [
        (text(x.try_mse_loss(&x, "average")), "there is no reduction \"average\""),
        (text(x.try_mse_loss(&Tensor::from([1.0, 2.0]), "mean")), "differ in shape"),
        (text(loss(Tensor::from([0, 2]))), "the target holds class 2, and there are 2 classes"),
        (text(loss(Tensor::from([0, -1]))), "the target holds class -1, and there are 2 classes"),
        (text(loss(Tensor::from([0, 1, 0]))), "for scores [2, 2] the target must be class numbers [2]"),
        (text(x.try_layer_norm(3, None, None, 0.1)), "normalized_ndim is 3, and x has 2 axes"),
        (text(x.try_group_norm(3, None, None, 0.1)), "3 groups do not divide 2 channels"),
        (text(x.try_var(.., f64::NAN)), "the correction must be a finite number"),
        (text(x.try_norm(.., f64::NAN)), "the order of a norm"),
        (text(x.try_topk(3, 0).map(|y| y.0)), "the 3 largest were asked for, and axis 0 has 2 elements"),
        (text(x.try_argmax(2)), "axis 2 is out of range"),
    ];
    for (got, wanted) in refused {
        assert!(got.contains(wanted), "{got}");
    }
    close(mse_loss(&x, &x, "mean").to_vec(), [0.0]);
}
