//! Convolutions, pools, resizing and einsum: identities between ops, borders, and what errors say.

use covector::ops::einsum::{einsum, try_einsum};
use covector::registry::sample::{real, real2};
use covector::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{a} {b}");
}

fn inner(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    (a * b).sum(..).item::<f64>()
}

#[test]
fn conv2d_is_the_sum_it_says_it_is() {
    let (x, w, b) = (real([2, 4, 7, 6]), real2([6, 2, 3, 2]), real([6]));
    let ([sh, sw], [ph, pw], [dh, dw]) = ([2, 1], [1, 2], [2, 3]);
    let y = x.conv2d(&w, Some(&b), [sh, sw], [ph, pw], [dh, dw], 2);
    let (xs, ws, bs, ys) = (x.to_vec::<f64>(), w.to_vec::<f64>(), b.to_vec::<f64>(), y.to_vec::<f64>());
    let [n, o, oh, ow] = y.shape()[..] else { panic!("four axes") };
    for (i, &got) in ys.iter().enumerate() {
        let (n, o, p, q) = (i / (o * oh * ow) % n, i / (oh * ow) % o, i / ow % oh, i % ow);
        let mut sum = bs[o];
        for (c, k, l) in (0..2).flat_map(|c| (0..3).flat_map(move |k| (0..2).map(move |l| (c, k, l)))) {
            let (row, column) = ((p * sh + k * dh).wrapping_sub(ph), (q * sw + l * dw).wrapping_sub(pw));
            if row < 7 && column < 6 {
                sum += xs[((n * 4 + o / 3 * 2 + c) * 7 + row) * 6 + column] * ws[((o * 2 + c) * 3 + k) * 2 + l];
            }
        }
        close(got, sum);
    }
}

#[test]
fn transposed_convolution_is_the_adjoint_of_convolution() {
    let (x, w) = (real([2, 4, 8, 7]), real2([6, 2, 3, 2]));
    let y = x.conv2d(&w, None, [2, 1], [1, 0], [1, 2], 2);
    let v = real2(y.shape());
    // 8 rows leave one that no window of step 2 reaches: the output padding.
    let back = v.conv_transpose2d(&w, None, [2, 1], [1, 0], [1, 0], [1, 2], 2);
    close(inner(&y, &v), inner(&x, &back));
}

/// Options (stride, padding, dilation, groups) that leave elements out, repeat them, or set them apart.
const OPTIONS: [(i64, i64, i64, usize); 6] =
    [(1, 0, 1, 1), (1, 1, 1, 2), (2, 1, 1, 1), (3, 2, 2, 2), (4, 0, 1, 4), (2, 3, 3, 4)];

#[test]
fn both_gradients_are_adjoint_to_the_convolution_whatever_the_options() {
    for (stride, padding, dilation, groups) in OPTIONS {
        for (h, w, k) in [(7, 8, 2), (17, 5, 3), (9, 1, 1)] {
            let (x, weight) = (real([2, 4, h, w]), real2([8, 4 / groups, k, 1]));
            let f = |(x, weight): &(Tensor, Tensor)| {
                x.conv2d(weight, None, [stride, 1], [padding, 0], [dilation, 1], groups)
            };
            let (y, pullback) = vjp(f, &(x.clone(), weight.clone()));
            let v = real2(y.shape());
            let (gx, gw) = pullback.call(&v);
            // The form is linear in each operand, so each gradient gives back the same number.
            close(inner(&y, &v), inner(&gx, &x));
            close(inner(&y, &v), inner(&gw, &weight));
        }
    }
}

#[test]
fn convolutions_and_their_gradients_have_second_derivatives() {
    let (x, w) = (real([2, 4, 6, 5]), real2([6, 2, 3, 2]));
    let f = |(x, w): &(Tensor, Tensor)| x.conv2d(w, None, [2, 1], [1, 1], [1, 2], 2).square().sum(..);
    let t = (real2(x.shape()), real([6, 2, 3, 2]));
    let (h, of) = (1e-4, |s: f64| (&x + &t.0 * s, &w + &t.1 * s));
    let ((up_x, up_w), (down_x, down_w)) = (grad(f)(&of(h)), grad(f)(&of(-h)));
    let (exact_x, exact_w) = hvp(f, &(x.clone(), w.clone()), &t);
    for (exact, numeric) in [(exact_x, (up_x - down_x) / (2.0 * h)), (exact_w, (up_w - down_w) / (2.0 * h))] {
        for (a, b) in exact.to_vec::<f64>().iter().zip(numeric.to_vec::<f64>()) {
            assert!((a - b).abs() < 1e-6 * (1.0 + a.abs()), "{a} {b}");
        }
    }
}

#[test]
fn a_batch_of_convolutions_has_the_bits_of_a_loop() {
    for (stride, padding, dilation, groups) in OPTIONS {
        let (xs, ws) = (real([3, 2, 4, 9]), real2([3, 8, 4 / groups, 3]));
        let y = real([2, 8, 1]);
        let f = move |(x, w): &(Tensor, Tensor)| {
            let f = |(x, w): &(Tensor, Tensor)| x.conv1d(w, None, stride, padding, dilation, groups);
            let (y1, pullback) = vjp(f, &(x.clone(), w.clone()));
            let (gx, gw) = pullback.call(&(&y1 + &y));
            (y1, (gx, gw))
        };
        for batched in [[true, true], [true, false], [false, true]] {
            let axes = batched.map(|b| b.then_some(0));
            let pick = |all: &Tensor, b: bool, i: i32| if b { all.i(s![i]) } else { all.i(s![0]) };
            let whole = |all: &Tensor, b: bool| if b { all.clone() } else { all.i(s![0]) };
            let all = vmap_with(&f, axes, 0)(&(whole(&xs, batched[0]), whole(&ws, batched[1])));
            for i in 0..3 {
                let one = f(&(pick(&xs, batched[0], i), pick(&ws, batched[1], i)));
                for (all, one) in all.leaves().iter().zip(one.leaves()) {
                    assert_eq!(all.i(s![i]).to_vec::<f64>(), one.to_vec::<f64>(), "{batched:?} {groups} groups");
                }
            }
        }
    }
    let none = vmap(|x: &Tensor| x.conv1d(&real([2, 3, 2]), None, 1, 0, 1, 1))(&real([0, 1, 3, 4]));
    assert_eq!(none.shape()[..], [0, 1, 2, 3]);
}

#[test]
fn fold_is_the_adjoint_of_unfold() {
    let x = real([2, 3, 5, 6]);
    let u = x.unfold([2, 3], [2, 1], [1, 0], [1, 2]);
    let v = real2(u.shape());
    close(inner(&u, &v), inner(&x, &v.fold([5, 6], [2, 3], [2, 1], [1, 0], [1, 2])));
}

#[test]
fn convolution_is_unfold_and_one_product() {
    let (x, w) = (real([2, 3, 5, 4]), real2([4, 3, 2, 3]));
    let y = x.conv2d(&w, None, 1, 1, 1, 1);
    let z = w.reshape([4, 18]).matmul(&x.unfold([2, 3], 1, 1, 1)).reshape(y.shape());
    assert!(inner(&(&y - &z), &(&y - &z)) < 1e-24);
}

#[test]
fn halves_and_integers_are_convolved_and_pooled() {
    let x = Tensor::from([[[1i64, -2, 3, 4]]]);
    assert_eq!(x.conv1d(&Tensor::from([[[1i64, 1]]]), None, 1, 0, 1, 1).to_vec::<i64>(), [-1, 1, 7]);
    assert_eq!(x.max_pool1d(2, 2, 1, 1).to_vec::<i64>(), [1, 3, 4]);
    let y = x.cast(DType::BF16).avg_pool1d(2, 2, 0);
    assert_eq!((y.dtype(), y.cast(DType::F32).to_vec::<f32>()), (DType::BF16, vec![-0.5, 3.5]));
}

#[test]
fn equal_elements_of_a_window_share_the_derivative() {
    let g = grad(|x: &Tensor| x.max_pool2d([2, 2], 2, 0, 1).sum(..))(&Tensor::from([[[[1.0f64, 1.0], [0.0, 1.0]]]]));
    assert_eq!(g.to_vec::<f64>(), [1.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0]);
}

#[test]
fn means_of_windows_of_halves_do_not_overflow_on_the_way() {
    let hundreds = |sizes: [usize; 4]| Tensor::scalar(100.0, DType::F16).broadcast_to(sizes);
    let (x, two) = (hundreds([1, 1, 64, 64]), hundreds([1, 1, 64, 65]));
    for y in [x.avg_pool2d(64, 64, 0), x.adaptive_avg_pool2d(1), two.adaptive_avg_pool2d([1, 2])] {
        assert_eq!(y.dtype(), DType::F16);
        assert!(y.cast(DType::F64).to_vec::<f64>().iter().all(|&y| y == 100.0), "{y:?}");
    }
}

#[test]
fn infinities_stay_where_they_are() {
    let x = Tensor::from([[[f64::INFINITY, 1.0, 2.0, 3.0, 4.0]]]);
    let y = x.adaptive_avg_pool1d(3).to_vec::<f64>();
    assert_eq!(y, [f64::INFINITY, 2.0, 3.5]);
    assert_eq!(x.resize(10, "linear").to_vec::<f64>()[4..], [1.75, 2.25, 2.75, 3.25, 3.75, 4.0]);
    let lowest = Tensor::from([[[f64::NEG_INFINITY, f64::NEG_INFINITY]]]);
    assert_eq!(lowest.max_pool1d(3, 1, 1, 1).to_vec::<f64>(), [f64::NEG_INFINITY; 2]);
}

#[test]
fn nearest_neighbours_follow_the_rounding_of_each_dtype() {
    let x = Tensor::from((0..70).map(f64::from).collect::<Vec<_>>()).reshape([1, 1, 70]);
    assert_eq!(x.resize(30, "nearest").to_vec::<f64>()[27], 63.0);
    let at = |i: usize| (i as f32 * (70f32 / 30f32)).floor();
    assert_eq!(x.cast(DType::F32).resize(30, "nearest").to_vec::<f32>()[27], at(27));
}

#[test]
fn a_network_of_windows_differentiates_twice() {
    let (x, w) = (real([1, 2, 6]), real2([2, 2, 3]));
    let f = |w: &Tensor| x.conv1d(w, None, 1, 1, 1, 1).tanh().max_pool1d(2, 2, 0, 1).square().sum(..);
    let v = real([2, 2, 3]);
    let h = 1e-5;
    let numeric = (grad(f)(&(&w + &v * h)) - grad(f)(&(&w - &v * h))) / (2.0 * h);
    let exact = hvp(f, &w, &v);
    for (a, b) in exact.to_vec::<f64>().iter().zip(numeric.to_vec::<f64>()) {
        assert!((a - b).abs() < 1e-7 * (1.0 + a.abs()), "{a} {b}");
    }
}

#[test]
fn an_einsum_of_eleven_operands_is_the_chain_of_products() {
    let sizes = [2, 3, 2, 4, 3, 2, 3, 2, 2, 3, 2, 4];
    let factors: Vec<Tensor> = sizes.windows(2).map(|w| real([w[0], w[1]])).collect();
    let text = "ab,bc,cd,de,ef,fg,gh,hi,ij,jk,kl->al";
    let chain = factors[1..].iter().fold(factors[0].clone(), |a, b| a.matmul(b));
    let difference = einsum(text, &factors) - chain;
    assert!(inner(&difference, &difference) < 1e-20);
}

#[test]
fn einsum_says_what_is_wrong() {
    let (a, b) = (real([2, 3]), real([4, 5]));
    let error = |text: &str, x: &[Tensor]| try_einsum(text, x).expect_err("it is wrong").message().to_owned();
    let both = [a.clone(), b];
    let one = std::slice::from_ref(&a);
    assert_eq!(error("ij,jk->ik", &both), "`j` has size 3 in operand 0, f64[2, 3], and 4 in operand 1, f64[4, 5]");
    assert_eq!(error("ij->ji", &both), "the number of operands is 1 in `ij->ji`, and 2 were given");
    assert_eq!(error("ijk->i", one), "operand 0, f64[2, 3], has 2 axes, its subscripts name 3");
    assert_eq!(error("i->i", one), "operand 0, f64[2, 3], has 2 axes, its subscripts name 1");
    assert_eq!(error("i1->i", one), "`1` in `i1` is no letter");
    assert_eq!(error("i..j", one), "`.` in `i..j` is no letter");
    assert_eq!(error("iβ->i", one), "`β` in `iβ` is no letter");
    assert_eq!(error("ij->k", one), "`k` of the output is in no operand");
    assert_eq!(error("ij->ii", one), "`i` stands twice in the output");
    assert_eq!(error("ii->i", one), "`i` has size 2 in operand 0, f64[2, 3], and 3 in operand 0, f64[2, 3]");
    assert_eq!(error("...j->j", one), "the output has no `...`, but the operands have axes there");
    let broadcast = [real([2, 3]), real([3, 3])];
    assert_eq!(
        error("...j,...j->...", &broadcast),
        "axis -1 of `...` has size 2 in operand 0, f64[2, 3], and 3 in operand 1, f64[3, 3]"
    );
}

#[test]
fn convolutions_say_what_is_wrong() {
    let (x, w) = (real([2, 4, 5]), real([3, 4, 2]));
    let conv = |x: &Tensor, w: &Tensor, b: Option<&Tensor>, padding: i64, groups: usize| {
        x.try_conv1d(w, b, 1, padding, 3, groups).expect_err("it is wrong").message().to_owned()
    };
    assert_eq!(conv(&x, &real([3, 3, 2]), None, 0, 1), "x has 4 channels, the weight f64[3, 3, 2] takes 3");
    let grouped = conv(&x, &real([4, 3, 2]), None, 0, 2);
    assert_eq!(grouped, "x has 4 channels, the weight f64[4, 3, 2] in 2 groups takes 6");
    assert_eq!(conv(&x, &w, None, 0, 2), "2 groups do not divide 4 and 3 channels");
    assert_eq!(conv(&x, &w, None, 0, 0), "0 groups do not divide 4 and 3 channels");
    assert_eq!(conv(&x, &w, Some(&real([4])), 0, 1), "bias must be a vector of 3 numbers, not f64[4]");
    assert_eq!(conv(&real([4]), &w, None, 0, 1), "x must have 3 axes, f64[4] has 1");
    assert_eq!(conv(&x, &real([4, 2]), None, 0, 1), "weight must have 3 axes, f64[4, 2] has not");
    assert_eq!(conv(&x, &w, None, -1, 1), "padding must be at least 0, -1 was given");
    assert_eq!(conv(&x, &real([3, 4, 3]), None, 0, 1), "a kernel of 3, 7 with dilation 3 does not fit in 5 elements");
    assert!(conv(&x, &w, None, i64::MAX / 2, 1).contains("memory"));
}
