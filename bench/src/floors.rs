//! What the machine can do: fused multiply-adds per second, bytes read per second, words handed from core to core.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// Enough chains to hide the latency of a multiply-add behind two units.
const CHAINS: usize = 12;
/// A few milliseconds, short enough to fall between disturbances.
const ROUNDS: usize = 500_000;
/// How often each figure is taken; the best counts.
const TRIES: usize = 60;
/// Numbers read: 256 MiB, beyond every cache.
const NUMBERS: usize = 1 << 25;
/// Words handed over and back in one try, and tries.
const WORDS: [usize; 2] = [20_000, 10];

/// The figures as JSON, with as many threads as covector uses.
pub fn measure() -> String {
    let threads = covector::threads::threads();
    let best = |work: Work<'_>| (0..TRIES).map(|_| together(threads, work)).fold(0.0, f64::max);
    let f32s = best(&|_| Arch::new().dispatch(Fma32));
    let f64s = best(&|_| Arch::new().dispatch(Fma64));
    let memory: Vec<f64> = (0..NUMBERS).map(|i| i as f64).collect();
    let part = NUMBERS / threads;
    let bytes = best(&|thread| {
        let mine = black_box(&memory[thread * part..][..part]);
        black_box(Arch::new().dispatch(Sum(mine)));
        (part * 8) as f64
    });
    let [f32s, f64s, bytes] = [f32s, f64s, bytes].map(|x| x / 1e9);
    let handover = (0..WORDS[1]).map(|_| handover()).fold(f64::INFINITY, f64::min) * 1e9;
    format!(
        r#"{{"threads": {threads}, "gflops_f32": {f32s:.1}, "gflops_f64": {f64s:.1}, "read_gb_s": {bytes:.1}, "handover_ns": {handover:.1}}}"#
    )
}

/// Seconds until one of two threads, which wait awake, sees what the other has written: several times as long where
/// their cores share no cache.
fn handover() -> f64 {
    let turn = AtomicUsize::new(0);
    let play = |first: usize| {
        for word in (first..2 * WORDS[0]).step_by(2) {
            while turn.load(Ordering::Acquire) != word {
                spin_loop();
            }
            turn.store(word + 1, Ordering::Release);
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| play(1));
        play(0);
    });
    start.elapsed().as_secs_f64() / (2 * WORDS[0]) as f64
}

/// Given the number of a thread, how many units of work it did.
type Work<'a> = &'a (dyn Fn(usize) -> f64 + Sync);

/// Units of work per second when all threads work.
fn together(threads: usize, work: Work<'_>) -> f64 {
    let start = Instant::now();
    let done: f64 = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|i| scope.spawn(move || work(i))).collect();
        handles.into_iter().map(|handle| handle.join().expect("the loop does not panic")).sum()
    });
    done / start.elapsed().as_secs_f64()
}

macro_rules! fma {
    ($name:ident, $splat:ident, $mul_add:ident, $number:ty, $lanes:ident) => {
        struct $name;
        impl WithSimd for $name {
            type Output = f64;
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> f64 {
                let (a, b) = (simd.$splat(black_box(0.999)), simd.$splat(black_box(0.001)));
                let mut chains = [simd.$splat(black_box(0.5)); CHAINS];
                for _ in 0..ROUNDS {
                    for chain in &mut chains {
                        *chain = simd.$mul_add(*chain, a, b);
                    }
                }
                black_box(&chains);
                let lanes = size_of::<S::$lanes>() / size_of::<$number>();
                (2 * lanes * CHAINS * ROUNDS) as f64
            }
        }
    };
}
fma!(Fma32, splat_f32s, mul_add_f32s, f32, f32s);
fma!(Fma64, splat_f64s, mul_add_f64s, f64, f64s);

struct Sum<'a>(&'a [f64]);

impl WithSimd for Sum<'_> {
    type Output = f64;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (vectors, _) = S::as_simd_f64s(self.0);
        let mut sums = [simd.splat_f64s(0.0); 8];
        for eight in vectors.chunks_exact(8) {
            for (sum, &x) in sums.iter_mut().zip(eight) {
                *sum = simd.add_f64s(*sum, x);
            }
        }
        sums.iter().map(|&sum| simd.reduce_sum_f64s(sum)).sum()
    }
}
