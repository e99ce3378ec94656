//! Indexing: values, ties and duplicates, both derivative modes, batching, and indices out of range.

use covector::ops::concat::stack;
use covector::registry::{self, Arg};
use covector::{DType, Tensor, grad, jvp, vjp, vmap_with};

const OPS: [&str; 14] = [
    "take",
    "take_along_axis",
    "index",
    "scatter_set",
    "scatter_add",
    "scatter_max",
    "scatter_min",
    "index_add",
    "index_set",
    "put",
    "masked_fill",
    "masked_select",
    "one_hot",
    "embedding",
];

/// A sample's tensors, and the op as a function of them.
fn split(args: &[Arg]) -> Vec<Tensor> {
    args.iter()
        .flat_map(|a| match a {
            Arg::Tensor(t) => vec![t.clone()],
            Arg::Tensors(ts) => ts.clone(),
            _ => vec![],
        })
        .collect()
}

fn call(op: &'static registry::OpDef, args: &[Arg], tensors: &[Tensor]) -> Tensor {
    let mut rest = tensors.iter().cloned();
    let mut take = |n: usize| rest.by_ref().take(n).collect::<Vec<_>>();
    let args = args.iter().map(|a| match a {
        Arg::Tensor(_) => Arg::Tensor(take(1).remove(0)),
        Arg::Tensors(ts) => Arg::Tensors(take(ts.len())),
        other => other.clone(),
    });
    op.apply(args.collect()).unwrap().remove(0)
}

fn close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    for (x, y) in a.to_vec::<f64>().iter().zip(b.to_vec::<f64>()) {
        assert!((x - y).abs() <= 1e-7 * (1.0 + y.abs()), "{what}: {x} against {y}");
    }
}

fn each_sample(check: impl Fn(&'static registry::OpDef, &[Arg], &[Tensor], &str)) {
    for name in OPS {
        let op = registry::find(name).unwrap();
        for (i, sample) in (op.samples)().iter().enumerate() {
            check(op, &sample.args, &split(&sample.args), &format!("{name}, sample {i}"));
        }
    }
}

#[test]
fn jvp_agrees_with_central_differences_and_vjp_is_its_adjoint() {
    each_sample(|op, args, tensors, what| {
        for (k, x) in tensors.iter().enumerate().filter(|(_, x)| x.dtype().is_float()) {
            let f = |x: &Tensor| {
                let mut all = tensors.to_vec();
                all[k] = x.clone();
                call(op, args, &all)
            };
            let t = (x * 1.7 + 0.3).cast(DType::F64);
            if !f(x).dtype().is_float() || op.name == "masked_select" && k == 1 {
                continue;
            }
            let (y, dy) = jvp(f, x, &t);
            close(&dy, &((f(&(x + &t * 1e-5)) - f(&(x - &t * 1e-5))) / 2e-5), what);
            let bar = &y * 0.7 + 0.2;
            let (_, pullback) = vjp(f, x);
            close(&(pullback.call(&bar) * &t).sum(..), &(bar * dy).sum(..), what);
        }
    });
}

#[test]
fn vmap_is_a_loop() {
    each_sample(|op, args, tensors, what| {
        let three = |x: &Tensor| -> Vec<Tensor> {
            let n = x.size() as i64;
            let roll = |k: i64| {
                let at: Vec<i64> = (0..n).map(|i| (i + k) % n.max(1)).collect();
                x.reshape([n]).take(&Tensor::from(at), 0).reshape(x.shape())
            };
            (0..3).map(roll).collect()
        };
        for chosen in 1usize..1 << tensors.len() {
            let batched = |k: usize| chosen >> k & 1 == 1;
            if op.name == "masked_select" && batched(1) {
                continue;
            }
            let versions: Vec<Vec<Tensor>> = tensors.iter().map(three).collect();
            let joined = (0..tensors.len())
                .map(|k| if batched(k) { stack(&versions[k], 0) } else { tensors[k].clone() })
                .collect::<Vec<_>>();
            let axes: Vec<Option<covector::Axis>> =
                (0..tensors.len()).map(|k| batched(k).then_some(covector::Axis(0))).collect();
            let y = vmap_with(|t: &Vec<Tensor>| call(op, args, t), axes, 0)(&joined);
            let looped: Vec<Tensor> = (0..3)
                .map(|i| {
                    let own = (0..tensors.len())
                        .map(|k| if batched(k) { versions[k][i].clone() } else { tensors[k].clone() });
                    call(op, args, &own.collect::<Vec<_>>())
                })
                .collect();
            let numbers = |x: &Tensor| x.value().parts().to_f64_vec();
            let alone: Vec<f64> = looped.iter().flat_map(numbers).collect();
            assert_eq!(numbers(&y), alone, "{what}, batched {chosen:b}");
        }
    });
}

#[test]
fn of_duplicates_the_last_update_wins_and_alone_has_a_derivative() {
    let at = Tensor::from([1, 1, -2]);
    let f = |(x, u): &(Tensor, Tensor)| x.scatter_set(&at, u, 0);
    let args = (Tensor::from([1.0f64, 2.0, 3.0]), Tensor::from([4.0f64, 5.0, 6.0]));
    assert_eq!(f(&args).to_vec::<f64>(), [1.0, 6.0, 3.0]);
    let (gx, gu) = grad(|a: &(Tensor, Tensor)| (f(a) * Tensor::from([1.0f64, 10.0, 100.0])).sum(..))(&args);
    assert_eq!((gx.to_vec::<f64>(), gu.to_vec::<f64>()), (vec![1.0, 0.0, 100.0], vec![0.0, 0.0, 10.0]));
}

#[test]
fn ties_of_max_share_equally() {
    let at = Tensor::from([0, 0]);
    let f = |(x, u): &(Tensor, Tensor)| x.scatter_max(&at, u, 0).sum(..);
    let (gx, gu) = grad(f)(&(Tensor::from([2.0f64, 7.0]), Tensor::from([2.0f64, 2.0])));
    let third = 1.0 / 3.0;
    assert_eq!((gx.to_vec::<f64>(), gu.to_vec::<f64>()), (vec![third, 1.0], vec![third, third]));
}

#[test]
fn an_index_out_of_range_names_index_size_axis_and_line() {
    let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let refused = |y: Tensor| y.try_value().unwrap_err().to_string();
    let (line, text) = (line!(), refused(x.take(&Tensor::from([0, 3]), 1)));
    let wanted = format!(
        "take: index 3 is out of range for axis 1 of size 3\n  operands: f32[2, 3], i64[2]\n  \
         at crates/covector/tests/index.rs:{line}\n  hint: indices run from -3 to 2"
    );
    assert_eq!(text, wanted);
    let text = refused(x.index(&[Tensor::from([0]), Tensor::from([-4])]));
    assert!(text.starts_with("index: index -4 is out of range for axis 1 of size 3"), "{text}");
    let text = refused(x.scatter_add(&Tensor::from([[2, 0, 0]]), &Tensor::from(1.0f32), 0));
    assert!(text.starts_with("scatter_add: index 2 is out of range for axis 0 of size 2"), "{text}");
    let each = vmap_with(|i: &Tensor| x.take(i, 0), 0, 0)(&Tensor::from([0, 1, 2]));
    assert!(refused(each).contains("axis 0 of size 2"));
    let both = vmap_with(|(x, i): &(Tensor, Tensor)| x.take(i, 0), 0, 0)(&(x, Tensor::from([[0, 1], [0, 9]])));
    assert!(refused(both).contains("index 9 is out of range for axis 0 of size 3"));
}

#[test]
fn a_mask_inside_vmap_is_the_designed_error() {
    let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    let f = |x: &Tensor| x.try_masked_select(&x.greater(1.5)).map(|_| ()).unwrap_err().to_string();
    let text = std::cell::RefCell::new(String::new());
    vmap_with(|x: &Tensor| (*text.borrow_mut() = f(x), x.clone()).1, 0, 0)(&x);
    assert!(text.borrow().contains("was read inside the function"), "{}", text.borrow());
}

#[test]
fn masks_in_index_pick_their_true_positions() {
    let x = Tensor::from([[1.0f64, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let mask = Tensor::from([[true, false], [false, true], [true, true]]);
    assert_eq!(x.index(&[mask]).to_vec::<f64>(), [1.0, 4.0, 5.0, 6.0]);
    let rows = Tensor::from([true, false, true]);
    assert_eq!(x.index(&[rows, Tensor::from(1)]).to_vec::<f64>(), [2.0, 6.0]);
    assert!(x.try_index(&[Tensor::from([true, false])]).is_err());
}

#[test]
fn floats_do_not_vanish_into_integers() {
    let text = Tensor::from([1, 2]).try_put(&Tensor::from([0]), &Tensor::from([0.5f32])).unwrap_err().to_string();
    assert!(text.contains("f32 values do not fit into i64[2]"), "{text}");
}
