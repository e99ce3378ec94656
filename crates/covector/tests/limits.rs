//! Depth, threads and memory: what must not recurse, race or leak.

use covector::*;
use std::sync::Mutex;

/// Tests that count live nodes or bytes must not run beside others.
static ALONE: Mutex<()> = Mutex::new(());

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_chain_of_a_million_nodes_is_built_differentiated_evaluated_and_dropped_on_a_small_stack() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let before = live_nodes();
    on_small_stack(|| {
        let chain = |x: &Tensor| {
            let mut y = x.clone();
            for _ in 0..1_000_000 {
                y = -y;
            }
            y
        };
        let x = Tensor::from(1.5f64);
        assert_eq!(chain(&x).item::<f64>(), 1.5);
        let (y, g) = value_and_grad(chain)(&x);
        assert_eq!((y.item::<f64>(), g.item::<f64>()), (1.5, 1.0));
        let (y, dy) = jvp(chain, &x, &Tensor::from(2.0f64));
        eval([&y, &dy]);
        assert_eq!(dy.item::<f64>(), 2.0);
        drop(chain(&x));
    });
    assert_eq!(live_nodes(), before, "every node is freed");
}

#[test]
fn a_chain_in_which_every_node_is_read_twice_is_dropped_on_a_small_stack() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let before = live_nodes();
    on_small_stack(|| drop((0..100_000).fold(Tensor::from(1.0f64), |y, _| &y * &y)));
    on_small_stack(|| drop((0..100_000).fold(Tensor::from(1.0f64), |y, _| y.maximum(&y).where_(&y, &y))));
    assert_eq!(live_nodes(), before, "every node is freed");
}

#[test]
fn threads_that_read_one_small_node_agree_and_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let threads = 4;
    // Blocks that threads keep for reuse are not alive; what each of them has once is.
    let run = |rounds: u32| {
        let nodes: Vec<Tensor> = (0..rounds)
            .map(|i| {
                let x = Tensor::from([i as f32, 0.5]);
                (&x + &x) * 3.0
            })
            .collect();
        let start = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    start.wait();
                    for (i, y) in nodes.iter().enumerate() {
                        // Readers of values, of the history, and makers of users, all at once.
                        let z = y - 1.0;
                        assert!(y.inputs().len() == 2 || y.is_evaluated());
                        assert_eq!(y.to_vec::<f32>(), [i as f32 * 6.0, 3.0]);
                        assert_eq!(z.to_vec::<f32>(), [i as f32 * 6.0 - 1.0, 2.0]);
                        assert!(z.id() > y.id() && y.inputs().is_empty());
                    }
                });
            }
        });
    };
    run(10);
    let before = (live_nodes(), live_bytes());
    run(2000);
    assert_eq!((live_nodes(), live_bytes()), before);
}

#[test]
fn nodes_have_numbers_of_their_own_above_those_of_their_operands() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let sum = std::sync::Mutex::new(Tensor::from(0.0f64));
    let numbers = std::sync::Mutex::new(std::collections::HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut sum = sum.lock().unwrap();
                    let next = &*sum + 1.0;
                    assert!(next.id() > sum.id() && next.inputs().iter().all(|x| x.id() < next.id()));
                    let mut all = numbers.lock().unwrap();
                    assert!(next.inputs().iter().skip(1).chain([&next]).all(|x| all.insert(x.id())));
                    *sum = next;
                }
            });
        }
    });
    assert_eq!(sum.lock().unwrap().item::<f64>(), 2000.0);
}

fn mlp(w: &[Tensor; 2], x: &Tensor) -> Tensor {
    x.matmul(&w[0]).tanh().matmul(&w[1]).square().mean(..)
}

fn weights() -> [Tensor; 2] {
    let numbers = |n: usize| (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 100.0).collect::<Vec<_>>();
    [Tensor::from_slice(&numbers(32), [4, 8]), Tensor::from_slice(&numbers(8), [8, 1])]
}

#[test]
fn many_training_steps_keep_nodes_and_bytes_flat() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let steps = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let x = Tensor::from_slice(&(0..24).map(|i| i as f32 / 24.0).collect::<Vec<_>>(), [6, 4]);
    let mut w = weights();
    let step = |w: &[Tensor; 2]| {
        let (loss, g) = value_and_grad(|w: &[Tensor; 2]| mlp(w, &x))(w);
        let next = [&w[0] - &g[0] * 0.01, &w[1] - &g[1] * 0.01];
        eval([&loss, &next[0], &next[1]]);
        next
    };
    for _ in 0..10 {
        w = step(&w);
    }
    let (nodes, bytes) = (live_nodes(), live_bytes());
    for _ in 0..steps {
        w = step(&w);
    }
    assert_eq!((live_nodes(), live_bytes()), (nodes, bytes));
}

#[test]
fn the_tape_like_habit_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let x = Tensor::from_slice(&[0.5f32; 24], [6, 4]);
    let mut w = weights().map(|w| w.requires_grad());
    let step = |w: &[Tensor; 2]| {
        mlp(w, &x).backward();
        [0, 1].map(|i| (&w[i] - w[i].grad().unwrap() * 0.01).requires_grad())
    };
    w = step(&w);
    let (nodes, bytes) = (live_nodes(), live_bytes());
    for _ in 0..200 {
        w = step(&w);
    }
    assert_eq!((live_nodes(), live_bytes()), (nodes, bytes));
}

#[test]
fn threads_that_differentiate_one_shared_graph_agree() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let x = Tensor::from_slice(&(0..24).map(|i| i as f32 / 24.0).collect::<Vec<_>>(), [6, 4]);
    let w = weights();
    let shared = x.matmul(&w[0]).exp();
    let leaf = Tensor::from([0.3f32, -0.4, 0.5, 0.1, 0.2, -0.3, 0.7, 0.9]);
    let (loss, pullback) = vjp(|b: &Tensor| (&shared + b).tanh().square().sum(..), &leaf);
    let one = Tensor::from(1.0f32);
    let all: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut bits = pullback.call(&one).to_vec::<f32>();
                    bits.extend(loss.to_vec::<f32>());
                    bits.extend(grad(|b: &Tensor| (&shared * b).sum(..))(&leaf).to_vec::<f32>());
                    bits
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(all.iter().all(|bits| *bits == all[0]));
}

#[test]
fn handles_cross_threads() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Tensor>();
    send_and_sync::<Pullback<Tensor, Tensor>>();
    send_and_sync::<Error>();
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let n = 257 * 129;
    let x = Tensor::from_slice(&(0..n).map(|i| (i % 97) as f32 / 97.0 - 0.4).collect::<Vec<_>>(), [257, 129]);
    let f = |x: &Tensor| {
        let y = x.matmul(&x.transpose(0, 1)).softmax(-1);
        y.exp().sum(0).square().mean(..)
    };
    let run = |threads: usize| {
        covector::threads::set_threads(threads);
        let (y, g) = value_and_grad(f)(&Tensor::from(x.value()));
        eval([&y, &g]);
        let mut bits: Vec<u32> = g.to_vec::<f32>().iter().map(|v| v.to_bits()).collect();
        bits.push(y.item::<f32>().to_bits());
        bits
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
}

#[test]
fn numbers_given_away_are_overwritten_in_place() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let array = Tensor::from(vec![0.0f32; 1000]).value();
    let mut x = Tensor::donated(array.contiguous());
    drop(array);
    eval([&x]);
    let place = x.value().as_slice::<f32>().unwrap().as_ptr();
    for i in 0..10 {
        let array = x.value();
        x = Tensor::donated(array).scatter_set(&Tensor::from([i]), &Tensor::from([i as f32 + 1.0]), 0);
        eval([&x]);
        assert_eq!(x.value().as_slice::<f32>().unwrap().as_ptr(), place);
    }
    assert_eq!(x.value().as_slice::<f32>().unwrap()[..11], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 0.0]);
    // Whoever still holds them keeps what they were.
    let (held, array) = (x.value(), x.value());
    let y = Tensor::donated(array).scatter_set(&Tensor::from([0]), &Tensor::from([50.0f32]), 0);
    assert_eq!((y.to_vec::<f32>()[0], held.as_slice::<f32>().unwrap()[0]), (50.0, 1.0));
    let z = Tensor::donated(held);
    let (a, b) = (&z + 1.0, &z + 2.0);
    drop(z);
    assert_eq!((a.to_vec::<f32>()[0], b.to_vec::<f32>()[0]), (2.0, 3.0));
}
