//! Compiled functions: the bits of the plain ones, in every surrounding.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use covector::*;

/// Tests that count live nodes or bytes must not run beside others.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + seed) * 37 % 101) as f32 - 50.0) / 100.0).collect()
}

#[derive(Tree, Clone, Debug)]
struct Mlp {
    layers: Vec<(Tensor, Tensor)>,
    slope: f64,
}

fn mlp() -> Mlp {
    let layer = |(i, o): (usize, usize)| {
        (Tensor::from_slice(&numbers(i * o, i), [i, o]), Tensor::from_slice(&numbers(o, 3 * o), [o]))
    };
    Mlp { layers: [(4, 16), (16, 16), (16, 1)].map(layer).to_vec(), slope: 0.01 }
}

impl Mlp {
    fn loss(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let last = self.layers.len() - 1;
        let apply = |x: Tensor, (i, (w, b)): (usize, &(Tensor, Tensor))| {
            let x = x.matmul(w) + b;
            if i == last { x } else { x.leaky_relu(self.slope) }
        };
        let out = self.layers.iter().enumerate().fold(x.clone(), apply);
        (out - y).square().mean(..)
    }
}

/// Model, momentum, learning rate, batch.
type Step = (Mlp, Mlp, Tensor, (Tensor, Tensor));

fn step((model, momentum, rate, (x, y)): &Step) -> (Tensor, Mlp, Mlp) {
    let (loss, g) = value_and_grad(|m: &Mlp| m.loss(x, y))(model);
    let leaves = |f: &dyn Fn(&Tensor, &Tensor) -> Tensor, a: &Mlp, b: &Mlp| {
        let made: Vec<Tensor> = a.leaves().iter().zip(&b.leaves()).map(|(a, b)| f(a, b)).collect();
        a.with_leaves(made)
    };
    let momentum = leaves(&|m, g| m * 0.9 + g, momentum, &g);
    let model = leaves(&|p, m| p - m * rate, model, &momentum);
    (loss, model, momentum)
}

fn batch(i: usize) -> (Tensor, Tensor) {
    (Tensor::from_slice(&numbers(32, 7 * i), [8, 4]), Tensor::from_slice(&numbers(8, 11 * i), [8, 1]))
}

/// The bits of the losses and of the last model.
fn train(step: impl Fn(&Step) -> (Tensor, Mlp, Mlp), steps: usize) -> Vec<u32> {
    let (mut model, mut bits) = (mlp(), Vec::new());
    let mut momentum = model.map_leaves(|t| t * 0.0);
    for i in 0..steps {
        let rate = Tensor::from(0.05 / (1.0 + i as f32 / 50.0));
        let (loss, next, kept) = step(&(model, momentum, rate, batch(i)));
        bits.push(loss.item::<f32>().to_bits());
        (model, momentum) = (next, kept);
    }
    bits.extend(model.leaves().iter().flat_map(|t| t.to_vec::<f32>()).map(f32::to_bits));
    bits
}

#[test]
fn a_compiled_training_loop_gives_the_bits_of_the_plain_one() {
    let _alone = alone();
    let recorded = Cell::new(0);
    let compiled = compile(|x: &Step| {
        recorded.set(recorded.get() + 1);
        step(x)
    });
    let plain = train(step, 200);
    assert_eq!(train(&compiled, 200), plain);
    assert_eq!(recorded.get(), 1, "the step is recorded once");
    assert!(f32::from_bits(plain[199]) < f32::from_bits(plain[0]));
}

#[test]
fn a_compiled_training_loop_keeps_nodes_and_bytes_flat_and_frees_them_in_the_end() {
    let _alone = alone();
    let before = (live_nodes(), live_bytes());
    {
        let compiled = compile(step);
        let zeros = mlp().map_leaves(|t| t * 0.0);
        let (rate, data) = (Tensor::from(0.05f32), batch(1));
        let mut state = (mlp(), zeros);
        let mut flat = None;
        for i in 0..100 {
            let (loss, model, momentum) = compiled(&(state.0, state.1, rate.clone(), data.clone()));
            state = (model, momentum);
            drop(loss);
            if i >= 2 {
                assert_eq!(*flat.get_or_insert((live_nodes(), live_bytes())), (live_nodes(), live_bytes()));
            }
        }
    }
    assert_eq!((live_nodes(), live_bytes()), before);
}

fn f(x: &Tensor) -> Tensor {
    (x.square() + x.sin() * 0.5).exp().sum(..)
}

fn bits<T: Tree>(tree: &T) -> Vec<u64> {
    tree.leaves().iter().flat_map(|t| t.value().to_f64_vec()).map(f64::to_bits).collect()
}

#[test]
fn transformations_inside_a_compiled_function_are_those_outside() {
    let _alone = alone();
    let x = Tensor::from([[0.3f64, -0.7, 1.1], [0.2, 0.9, -0.4]]);
    let v = x.cos();
    macro_rules! same {
        ($($f:expr),*) => {$(
            let compiled = compile($f);
            for x in [&x, &v, &x] {
                assert_eq!(bits(&compiled(x)), bits(&$f(x)), "{}", stringify!($f));
            }
        )*};
    }
    same!(
        f,
        grad(f),
        value_and_grad(f),
        vmap(grad(f)),
        vmap(hessian(f)),
        grad(|x: &Tensor| vmap(f)(x).square().sum(..)),
        |x: &Tensor| hvp(f, x, &v),
        |x: &Tensor| jvp(grad(f), x, &v),
        |x: &Tensor| vjp(|x: &Tensor| x.exp(), x).1.call(&v),
        grad(checkpoint(f)),
        grad(custom_vjp(|x: &Tensor| x.sum(..), |x: &Tensor, c: &Tensor| x * c)),
        jacrev(|x: &Tensor| x.softmax(-1)),
        compile(grad(compile(f)))
    );
}

#[test]
fn transformations_of_a_compiled_function_are_those_of_the_plain_one() {
    let _alone = alone();
    let x = Tensor::from([[0.3f64, -0.7, 1.1], [0.2, 0.9, -0.4]]);
    let compiled = compile(f);
    for _ in 0..2 {
        assert_eq!(bits(&compiled(&x)), bits(&f(&x)));
        assert_eq!(bits(&grad(&compiled)(&x)), bits(&grad(f)(&x)));
        let norm = |f: &dyn Fn(&Tensor) -> Tensor, x: &Tensor| grad(f)(x).square().sum(..);
        assert_eq!(bits(&grad(|x: &Tensor| norm(&compiled, x))(&x)), bits(&grad(|x: &Tensor| norm(&f, x))(&x)));
        assert_eq!(bits(&vmap(&compiled)(&x)), bits(&vmap(f)(&x)));
        assert_eq!(bits(&vmap(grad(&compiled))(&x)), bits(&vmap(grad(f))(&x)));
        assert_eq!(bits(&jvp(&compiled, &x, &x)), bits(&jvp(f, &x, &x)));
        assert_eq!(bits(&linearize(&compiled, &x).1.call(&x)), bits(&linearize(f, &x).1.call(&x)));
        assert_eq!(bits(&grad(checkpoint(&compiled))(&x)), bits(&grad(f)(&x)));
        let leaf = x.requires_grad();
        compiled(&leaf).backward();
        assert_eq!(bits(&leaf.grad().unwrap()), bits(&grad(f)(&x)));
    }
}

#[test]
fn what_is_captured_is_differentiated_and_batched_as_by_the_plain_function() {
    let _alone = alone();
    let (w, x) = (Tensor::from([0.5f64, -1.5]), Tensor::from([2.0f64, 3.0]));
    let through = |w: &Tensor| {
        let inner = compile(|x: &Tensor| (x * w).tanh().sum(..));
        inner(&x) + inner(&x)
    };
    let plain = |w: &Tensor| (&x * w).tanh().sum(..) * 2.0;
    assert_eq!(bits(&grad(through)(&w)), bits(&grad(plain)(&w)));
    let rows = ops::concat::stack(&[w.clone(), x.clone()], 0);
    assert_eq!(bits(&vmap(through)(&rows)), bits(&vmap(plain)(&rows)));
    let leaf = w.requires_grad();
    through(&leaf).backward();
    assert_eq!(bits(&leaf.grad().unwrap()), bits(&grad(plain)(&w)));
}

#[test]
fn other_structures_shapes_dtypes_and_numbers_are_recorded_anew() {
    let _alone = alone();
    let recorded = Cell::new(0);
    let compiled = compile(|(x, c, power, name): &(Vec<Tensor>, Option<Tensor>, f64, String)| {
        recorded.set(recorded.get() + 1);
        let sum = x.iter().map(|x| x.sum(..)).reduce(|a, b| a + b).unwrap();
        let sum = c.iter().fold(sum, |a, c| a * c);
        (sum * *power, name.clone())
    });
    let call = |x: &[&Tensor], c: Option<f32>, power: f64, name: &str, before: usize| {
        let (y, told) =
            compiled(&(x.iter().map(|&x| x.clone()).collect(), c.map(Tensor::from), power, name.to_owned()));
        assert_eq!((told.as_str(), recorded.get()), (name, before));
        y.to_f64()
    };
    let (a, b) = (Tensor::from([1.0f32, 2.0]), Tensor::from([3.0f32]));
    assert_eq!(call(&[&a], None, 2.0, "a", 1), 6.0);
    assert_eq!(call(&[&(&a + 1.0)], None, 2.0, "a", 1), 10.0);
    assert_eq!(call(&[&b], None, 2.0, "a", 2), 6.0);
    assert_eq!(call(&[&a, &b], None, 2.0, "a", 3), 12.0);
    assert_eq!(call(&[&a], Some(2.0), 2.0, "a", 4), 12.0);
    assert_eq!(call(&[&a], None, 3.0, "a", 5), 9.0);
    assert_eq!(call(&[&a], None, 2.0, "b", 6), 6.0);
    assert_eq!(call(&[&a.cast(DType::F64)], None, 2.0, "a", 7), 6.0);
    assert_eq!(call(&[&a], None, 2.0, "a", 7), 6.0);
}

#[test]
fn programs_unused_for_longest_make_room() {
    let _alone = alone();
    let recorded = Cell::new(0);
    let compiled = compile(|(x, n): &(Tensor, i64)| {
        recorded.set(recorded.get() + 1);
        x * *n
    });
    let x = Tensor::from(2.0f32);
    let call = |n: i64| assert_eq!(compiled(&(x.clone(), n)).item::<f32>(), 2.0 * n as f32);
    (0..16).for_each(call);
    (0..16).for_each(call);
    assert_eq!(recorded.get(), 16);
    call(16);
    call(15);
    assert_eq!(recorded.get(), 17);
    call(0);
    assert_eq!(recorded.get(), 18);
}

/// What a key cannot tell of.
#[derive(Tree, Clone)]
struct Scaled {
    x: Tensor,
    #[tree(skip)]
    by: fn(&Tensor) -> Tensor,
}

#[test]
fn arguments_with_skipped_fields_are_not_recorded() {
    let _alone = alone();
    let compiled = compile(|s: &Scaled| (s.by)(&s.x));
    let x = Tensor::from(3.0f32);
    assert_eq!(compiled(&Scaled { x: x.clone(), by: |x| x * 2.0 }).item::<f32>(), 6.0);
    assert_eq!(compiled(&Scaled { x, by: |x| x * x }).item::<f32>(), 9.0);
}

#[test]
fn results_may_be_arguments_constants_or_one_value_twice() {
    let _alone = alone();
    let constant = Tensor::from([5.0f32, 6.0]) * 2.0;
    let g = |(x, unused): &(Tensor, Tensor)| {
        let y = x + 1.0;
        let map: HashMap<&'static str, Tensor> = HashMap::new();
        (x.clone(), y.clone(), (y, constant.clone()), unused.clone(), ops::create::arange(0, 3, 1, DType::F32), map)
    };
    let compiled = compile(g);
    for x in [1.0f32, -2.0] {
        let args = (Tensor::from([x, x]), Tensor::from(x) * 3.0);
        assert_eq!(bits(&compiled(&args)), bits(&g(&args)));
    }
}

#[test]
fn arguments_and_earlier_results_keep_their_values() {
    let _alone = alone();
    let compiled = compile(|(a, b): &(Tensor, Tensor)| ((a + b).exp(), a * 2.0 + b));
    let (a, b) = (Tensor::from([1.0f32, 2.0]), Tensor::from([0.5f32, 0.25]) + 0.0);
    let first = compiled(&(a.clone(), b.clone()));
    let before = (bits(&first), bits(&a), bits(&b));
    let second = compiled(&first);
    assert_eq!(before, (bits(&first), bits(&a), bits(&b)));
    assert_eq!(bits(&second), bits(&((&first.0 + &first.1).exp(), &first.0 * 2.0 + &first.1)));
}

/// Where the elements of a tensor lie.
fn place(t: &Tensor) -> *const f32 {
    t.value().as_slice::<f32>().expect("contiguous").as_ptr()
}

#[test]
fn a_training_loop_that_gives_its_state_away_gives_the_bits_of_the_plain_one() {
    let _alone = alone();
    let plain = train(step, 200);
    let owned = compile_owned(step);
    assert_eq!(train(|x: &Step| owned(x.clone()), 200), plain, "held elsewhere");
    let (mut state, mut bits) = ((mlp(), mlp().map_leaves(|t| t * 0.0)), Vec::new());
    for i in 0..200 {
        let rate = Tensor::from(0.05 / (1.0 + i as f32 / 50.0));
        let (loss, model, momentum) = owned((state.0, state.1, rate, batch(i)));
        bits.push(loss.item::<f32>().to_bits());
        state = (model, momentum);
    }
    bits.extend(state.0.leaves().iter().flat_map(|t| t.to_vec::<f32>()).map(f32::to_bits));
    assert_eq!(bits, plain, "given away");
}

#[test]
fn what_is_given_away_is_overwritten_unless_somebody_holds_it() {
    let _alone = alone();
    let moved = compile_owned(|(p, g): &(Tensor, Tensor)| p - g * 0.5);
    let fresh = |v: f32| Tensor::from_slice(&vec![v; 4096], [64, 64]);
    let (p, g) = (fresh(3.0), fresh(2.0));
    let places = [&p, &g].map(place);
    let y = moved((p, g));
    assert!(places.contains(&place(&y)), "neither place was used");
    assert_eq!(y.to_vec::<f32>(), vec![2.0; 4096]);
    // A clone, a view, the same tensor twice, and what a caller keeps.
    let (p, g) = (fresh(3.0), fresh(2.0));
    let (held, view) = (p.clone(), g.reshape([4096]));
    let y = moved((p, g.clone()));
    assert!(![&held, &view].map(place).contains(&place(&y)));
    let twice = moved((held.clone(), held.clone()));
    let other = moved((g.clone(), g.transpose(0, 1)));
    assert_eq!([&y, &twice, &other].map(|t| t.to_vec::<f32>()[77]), [2.0, 1.5, 1.0]);
    assert_eq!([&held, &view].map(|t| t.to_vec::<f32>()[77]), [3.0, 2.0]);
}

#[test]
fn a_step_that_takes_its_state_by_value_holds_it_once() {
    let _alone = alone();
    let update = |(p, m): &(Tensor, Tensor)| {
        let m = m * 0.9 + p.sin();
        (p - &m * 0.1, m)
    };
    let n = 1 << 20;
    let state = || {
        let state = (Tensor::from_slice(&vec![1.0f32; n], [n]), Tensor::from_slice(&vec![0.5f32; n], [n]));
        eval([&state.0, &state.1]);
        state
    };
    let (lent, given) = (compile(update), compile_owned(update));
    let (mut a, mut b) = (state(), state());
    let before = live_bytes();
    let apart = peak_bytes(|| a = lent(&a)) - before;
    let before = live_bytes();
    let in_place = peak_bytes(|| b = given(std::mem::replace(&mut b, (Tensor::from(0.0), Tensor::from(0.0))))) - before;
    assert_eq!(bits(&a), bits(&b));
    assert!(apart >= 8 * n && in_place < n, "{apart} and {in_place} bytes");
}

#[test]
fn what_is_given_away_may_come_back_or_be_followed() {
    let _alone = alone();
    let g = |(x, y): &(Tensor, Tensor)| (x.clone(), x + y, x.reshape([2, 1]), y.exp());
    let owned = compile_owned(g);
    for x in [1.0f32, -2.0] {
        let args = || (Tensor::from([x, x]), Tensor::from([3.0, x]));
        assert_eq!(bits(&owned(args())), bits(&g(&args())));
    }
    let x = Tensor::from([0.3f64, -0.7]);
    let owned = compile_owned(f);
    assert_eq!(bits(&grad(|x: &Tensor| owned(x.clone()))(&x)), bits(&grad(f)(&x)));
    assert_eq!(bits(&vmap(|x: &Tensor| owned(x.clone()))(&x)), bits(&vmap(f)(&x)));
    set_verify(true);
    let checked = owned(&x * 1.0);
    set_verify(false);
    assert_eq!(bits(&checked), bits(&f(&x)));
}

#[test]
fn draws_follow_the_key_that_is_given() {
    let _alone = alone();
    let drawn = |key: &Key| random::normal(key, [4], DType::F32) + random::normal(&key.fold_in(1), [4], DType::F32);
    let compiled = compile(drawn);
    let all: Vec<Vec<u64>> = (0..3).map(|seed| bits(&compiled(&Key::new(seed)))).collect();
    assert_ne!(all[0], all[1]);
    (0..3).for_each(|seed| assert_eq!(all[seed], bits(&drawn(&Key::new(seed as u64)))));
}

#[test]
fn threads_share_a_compiled_function() {
    let _alone = alone();
    let compiled = compile(grad(f));
    let want = |i: usize| bits(&grad(f)(&Tensor::from([i as f64 / 7.0, 0.5])));
    std::thread::scope(|scope| {
        for t in 0..8 {
            let compiled = &compiled;
            scope.spawn(move || {
                for i in 0..50 {
                    assert_eq!(bits(&compiled(&Tensor::from([(i + t) as f64 / 7.0, 0.5]))), want(i + t));
                }
            });
        }
    });
}

#[test]
fn large_arguments_give_the_same_bits_on_any_number_of_threads() {
    let _alone = alone();
    let x = Tensor::from_slice(&numbers(257 * 129, 5), [257, 129]);
    let f = |x: &Tensor| x.matmul(&x.transpose(0, 1)).softmax(-1).exp().sum(0).square().mean(..);
    let compiled = compile(value_and_grad(f));
    let wanted = bits(&value_and_grad(f)(&x));
    for n in [1, 2, 5] {
        threads::set_threads(n);
        assert_eq!(bits(&compiled(&x)), wanted, "{n} threads");
    }
    threads::set_threads(std::thread::available_parallelism().map_or(1, |n| n.get()));
}

#[test]
fn numbers_that_are_written_twice_are_one_constant_only_if_their_bits_are_the_same() {
    let _alone = alone();
    let f = compile(|x: &Tensor| (x / 0.0, x / -0.0, x * 0.5 + (x - 0.5) * 0.5));
    for _ in 0..2 {
        let (above, below, z) = f(&Tensor::from([1.0f32, 2.0]));
        assert_eq!(above.to_vec::<f32>(), [f32::INFINITY; 2]);
        assert_eq!(below.to_vec::<f32>(), [f32::NEG_INFINITY; 2]);
        assert_eq!(z.to_vec::<f32>(), [0.75, 1.75]);
    }
}
