//! Random numbers: they depend on the key alone, follow published vectors, and have the moments they should.

use covector::ops::random::{self, Key, bernoulli, normal, randint, random_bits, split_key, truncated_normal, uniform};
use covector::registry;
use covector::{DType, Tensor, grad, vmap};

#[test]
fn published_vectors_of_philox_hold() {
    let text = include_str!("../../../goldens/random.json");
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let word = |v: &serde_json::Value| v.as_u64().unwrap() as u32;
    for case in json["vectors"].as_array().unwrap() {
        let of = |name: &str| case[name].as_array().unwrap().iter().map(word).collect::<Vec<u32>>();
        let (counter, key, output) = (of("counter"), of("key"), of("output"));
        let block = covector_array::kernels::philox([0, 1, 2, 3].map(|i| counter[i]), [key[0], key[1]]);
        assert_eq!(block[..], output[..]);
        if counter == [0; 4] {
            let key = Key::try_from(Tensor::from(key)).unwrap();
            assert_eq!(random_bits(&key, [4]).to_vec::<u32>(), output);
        }
    }
}

#[test]
fn a_longer_draw_begins_with_the_shorter_one() {
    let key = Key::new(3);
    let long = random_bits(&key, [70_000]).to_vec::<u32>();
    assert_eq!(random_bits(&key, [3, 7]).to_vec::<u32>(), long[..21]);
}

#[test]
fn keys_are_unlike_each_other_and_what_they_were_made_from() {
    let key = Key::new(1);
    let mut all: Vec<Vec<u32>> = key.split(50).iter().map(|k| k.to_vec()).collect();
    all.extend((0..50).map(|i| key.fold_in(i).to_vec::<u32>()));
    all.push(key.to_vec());
    all.extend(random_bits(&key, [100, 2]).to_vec::<u32>().chunks(2).map(<[u32]>::to_vec));
    let n = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), n);
}

#[test]
fn vmap_over_keys_gives_the_numbers_of_a_loop() {
    let keys = split_key(&Key::new(5), 4);
    let f = |key: &Tensor| -> Vec<Tensor> {
        vec![
            uniform(key, [2, 3], -1.0, 1.0, DType::F64),
            normal(&random::fold_in(key, &Tensor::from(1)), [5], DType::F64),
            truncated_normal(key, [3], -1.0, 2.0, DType::F64),
            randint(key, [6], -4, 4).cast(DType::F64),
            bernoulli(key, 0.4, [7]).cast(DType::F64),
            random::categorical(key, &Tensor::from([[0.0f32, 1.0, 0.5], [0.1, 0.1, 0.1]]), -1).cast(DType::F64),
            random::permutation(key, 6).cast(DType::F64),
            normal(&split_key(key, 2).take(&Tensor::from(1), 0), [3], DType::F64),
        ]
    };
    let together = vmap(f)(&keys);
    for (i, key) in Key::new(5).split(4).iter().enumerate() {
        for (one, all) in f(key).iter().zip(&together) {
            assert_eq!(one.to_vec::<f64>(), all.take(&Tensor::from(i as i64), 0).to_vec::<f64>());
        }
    }
}

fn moments(x: &Tensor) -> [f64; 4] {
    let x = x.cast(DType::F64);
    let (mean, second) = (x.mean(..), x.square().mean(..));
    let variance = (&second - mean.square()).to_f64();
    let centred = &x - &mean;
    let skew = (&centred * centred.square()).mean(..).to_f64() / variance.powf(1.5);
    [mean.to_f64(), variance, skew, centred.square().square().mean(..).to_f64() / variance.powi(2)]
}

#[track_caller]
fn near(x: &Tensor, wanted: [f64; 4]) {
    let got = moments(x);
    assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.02), "{got:?} against {wanted:?}");
}

#[test]
fn moments_are_those_of_the_distributions() {
    let n = [400_000usize];
    for (i, dtype) in [DType::F32, DType::F64].into_iter().enumerate() {
        let key = Key::new(11).fold_in(i as i64);
        near(&uniform(&key, n, 0.0, 1.0, dtype), [0.5, 1.0 / 12.0, 0.0, 1.8]);
        near(&normal(&key, n, dtype), [0.0, 1.0, 0.0, 3.0]);
        near(&truncated_normal(&key, n, -1.0, 1.0, dtype), [0.0, 0.291_125, 0.0, 1.940]);
    }
    for dtype in [DType::F16, DType::BF16] {
        let x = uniform(&Key::new(2), n, 0.0, 1.0, dtype).cast(DType::F64);
        assert!(x.max(..).to_f64() < 1.0 && (x.mean(..).to_f64() - 0.5).abs() < 0.003);
        near(&normal(&Key::new(2), n, dtype), [0.0, 1.0, 0.0, 3.0]);
    }
    let hits = bernoulli(&Key::new(4), 0.3, n).cast(DType::F64).mean(..).to_f64();
    assert!((hits - 0.3).abs() < 0.003);
    let dice = randint(&Key::new(6), n, 1, 7);
    for face in 1..7 {
        let share = dice.equal(face).cast(DType::F64).mean(..).to_f64();
        assert!((share - 1.0 / 6.0).abs() < 0.003, "{face}: {share}");
    }
}

#[test]
fn truncation_keeps_to_its_bounds() {
    let x = truncated_normal(&Key::new(1), [20_000], 0.5, 0.75, DType::F32).to_vec::<f32>();
    assert!(x.iter().all(|x| (0.5..=0.75).contains(x)));
}

#[test]
fn randint_reaches_the_whole_range_of_i64() {
    let x = randint(&Key::new(1), [64], i64::MIN, i64::MAX).to_vec::<i64>();
    assert!(x.iter().any(|&x| x < -(1 << 61)) && x.iter().any(|&x| x > 1 << 61));
}

#[test]
fn dropout_scales_what_stays_and_so_does_its_gradient() {
    let x = normal(&Key::new(1), [100_000], DType::F32);
    let y = x.dropout(&Key::new(2), 0.25).to_vec::<f32>();
    let kept = y.iter().filter(|&&y| y != 0.0).count() as f64 / 1e5;
    assert!((kept - 0.75).abs() < 0.01, "{kept}");
    let g = grad(|x: &Tensor| x.dropout(&Key::new(2), 0.25).sum(..))(&x).to_vec::<f32>();
    let scale = (1.0f64 / 0.75) as f32;
    assert!(y.iter().zip(&g).all(|(&y, &g)| g == if y == 0.0 { 0.0 } else { scale }));
}

#[test]
fn the_default_sequence_starts_again_at_its_seed() {
    random::seed(9);
    let first = [random::default_key().to_vec::<u32>(), random::default_key().to_vec::<u32>()];
    random::seed(9);
    assert_eq!(first, [random::default_key().to_vec::<u32>(), random::default_key().to_vec::<u32>()]);
    assert_ne!(first[0], first[1]);
}

#[test]
fn what_is_no_key_is_refused() {
    let text = random::try_uniform(&Tensor::from([1.0f32, 2.0]), [2], 0.0, 1.0, DType::F32).unwrap_err().to_string();
    assert!(
        text.contains("a key is u32[2], not f32[2]") && text.contains("hint: make one with `Key::new(seed)`"),
        "{text}"
    );
    assert!(random::try_uniform(&Key::new(0), [2], 1.0, 0.0, DType::F32).is_err());
    assert!(random::try_uniform(&Key::new(0), [2], 0.0, f64::NAN, DType::F32).is_err());
    assert!(random::try_normal(&Key::new(0), [2], DType::I64).is_err());
    assert!(random::try_randint(&Key::new(0), [2], 3, 3).is_err());
    assert!(Tensor::from([1.0f32]).try_dropout(&Key::new(0), 1.5).is_err());
}

#[test]
fn every_sample_runs_twice_with_the_same_result() {
    for name in [
        "split_key",
        "fold_in",
        "random_bits",
        "uniform",
        "normal",
        "truncated_normal",
        "bernoulli",
        "randint",
        "categorical",
        "permutation",
        "dropout",
    ] {
        let op = registry::find(name).unwrap();
        for sample in (op.samples)() {
            let run = || op.apply(sample.args.clone()).unwrap()[0].cast(DType::F64).to_vec::<f64>();
            assert_eq!(run(), run(), "{name}");
        }
    }
}

#[test]
fn categorical_draws_with_the_probabilities_of_softmax() {
    let p = [0.1f32, 0.0, 0.2, 0.7];
    let logits = Tensor::from(p).log().broadcast_to([200_000, 4]);
    let drawn = random::categorical(&Key::new(3), &logits, -1);
    for (class, p) in p.into_iter().enumerate() {
        let share = drawn.equal(class).cast(DType::F64).mean(..).to_f64();
        assert!((share - f64::from(p)).abs() < 0.004, "{class}: {share}");
    }
    assert!(random::try_categorical(&Key::new(0), &Tensor::from([1, 2]), 0).is_err());
}

#[test]
fn permutations_hold_every_number_once_and_every_place_alike() {
    let mut sums = [0i64; 5];
    for key in Key::new(8).split(2000) {
        let order = random::permutation(&key, 5).to_vec::<i64>();
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
        order.iter().zip(&mut sums).for_each(|(x, sum)| *sum += x);
    }
    assert!(sums.iter().all(|&sum| (sum as f64 / 2000.0 - 2.0).abs() < 0.15), "{sums:?}");
}
