//! Work that a watch has given up is an error, and the graph can be computed again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use covector::ops::create::{eye, ones};
use covector::{DType, ErrorKind, Tensor, threads};

static STOP: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicUsize = AtomicUsize::new(0);

fn watch() -> bool {
    ASKED.fetch_add(1, Ordering::Relaxed);
    STOP.load(Ordering::Relaxed)
}

fn interrupted(y: &Tensor) -> bool {
    y.try_value().is_err_and(|e| e.kind() == ErrorKind::Interrupted)
}

/// One test, for the watch is that of the process.
#[test]
fn work_is_given_up_in_the_pool_and_on_the_calling_thread() {
    threads::set_watch(watch);
    threads::set_threads(2);
    // In the pool: long steps, of which one would do.
    let x = ones([700, 700], DType::F32) / 700.0f64;
    let y = (0..4_000).fold(x.clone(), |y, _| y.matmul(&x));
    STOP.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    assert!(interrupted(&y));
    assert!(begun.elapsed().as_secs_f64() < 5.0, "{:?}", begun.elapsed());
    // On the calling thread: many small steps.
    let small = eye(3, DType::F64);
    let z = (0..2_000).fold(small.clone(), |z, _| z.matmul(&small));
    assert!(interrupted(&z));
    STOP.store(false, Ordering::Relaxed);
    assert_eq!(z.to_vec::<f64>(), small.to_vec::<f64>());
    let y = (0..3).fold(x.clone(), |y, _| y.matmul(&x));
    assert!((y.sum(..).item::<f32>() - 700.0).abs() < 1.0);
    assert!(ASKED.load(Ordering::Relaxed) > 0);
    // One thread: the steps are still cut.
    threads::set_threads(1);
    let y = (0..4_000).fold(x.clone(), |y, _| y.matmul(&x));
    STOP.store(true, Ordering::Relaxed);
    assert!(interrupted(&y));
    STOP.store(false, Ordering::Relaxed);
    // And so is a long step, between its pieces, and the planning of a graph of many nodes.
    let long = ones([2_000, 2_000], DType::F32).matmul(&ones([2_000, 2_000], DType::F32));
    let many = (0..50_000).fold(small.clone(), |z, _| &z * 0.5 + &small);
    let asked = ASKED.load(Ordering::Relaxed);
    STOP.store(true, Ordering::Relaxed);
    assert!(interrupted(&long) && interrupted(&many));
    assert!(covector::try_eval([&many, &long]).is_err());
    STOP.store(false, Ordering::Relaxed);
    assert!(ASKED.load(Ordering::Relaxed) <= asked + 3, "each was given up at the first question");
    assert_eq!(long.sum(..).item::<f32>(), 8e9);
    assert!((many.i((0, 0)).item::<f64>() - 2.0).abs() < 1e-12);
}
