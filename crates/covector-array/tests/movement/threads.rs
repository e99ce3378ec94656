//! The same bits whatever the number of threads.

use covector_array::kernels::{
    Reduction, Scatter, arg_largest, argsort, cast, concat, iota, nonzero, overlap_add, pad, random_bits, scan,
    scatter, scatter_along, searchsorted, take, take_along,
};
use covector_array::{Array, DType, Shape, threads};

fn noise(shape: &[usize], key: u32) -> Array {
    let bits = random_bits([key, 1], Shape::from(shape)).to_vec::<u32>();
    let values: Vec<f32> = bits.iter().map(|&b| (b >> 8) as f32 / 8_388_608.0 - 1.0).collect();
    Array::from_slice(&values, shape)
}

fn picks(shape: &[usize], size: u32) -> Array {
    let bits = random_bits([9, 9], Shape::from(shape)).to_vec::<u32>();
    Array::from_slice(&bits.iter().map(|&b| i64::from(b % size)).collect::<Vec<_>>(), shape)
}

fn results() -> Vec<(&'static str, Vec<u8>)> {
    let (x, long) = (noise(&[40, 90, 50], 1), noise(&[200_000], 2));
    let (rows, cells) = (picks(&[3000], 90), picks(&[40, 70, 50], 90));
    let sorted = take(&long, &argsort(&long, 0, false), 0).expect("in range");
    let along = |updates: &Array, mode| scatter_along(x.clone(), &cells, updates, 1, mode).expect("in range");
    let onto = |base: Array, row: &[usize]| {
        let updates = noise(&[&[3000], row].concat(), 4);
        scatter(base, &rows, &updates, 0, Scatter::Add).expect("in range")
    };
    vec![
        ("concat", concat(&[x.clone(), x.clone()], 1)),
        ("concat transposed", concat(&[x.permute(&[1, 0, 2]), x.permute(&[1, 0, 2])], 2)),
        ("pad", pad(&x, &[1, 2, 3], &[0, 0, 1], &[0, 1, 0])),
        ("overlap_add", overlap_add(&x.windows(1, 5, 2, 2), 1, 90, 2, 2)),
        ("scan long", scan(Reduction::Sum, &long, 0, false)),
        ("scan rows", scan(Reduction::Prod, &x, 2, true)),
        ("scan columns", scan(Reduction::Sum, &x.reshape(&Shape::from([3600, 50])), 0, false)),
        ("argsort", argsort(&long, 0, true)),
        ("argsort columns", argsort(&x, 0, false)),
        ("searchsorted", searchsorted(&sorted, &noise(&[90_000], 3), true)),
        ("take", take(&x, &rows, 1).expect("in range")),
        ("take_along", take_along(&x, &cells, 1).expect("in range")),
        ("scatter wide", onto(noise(&[90, 600], 5), &[600])),
        ("scatter narrow", onto(noise(&[90, 20], 6), &[20])),
        ("scatter single", onto(noise(&[90], 7), &[])),
        ("scatter_along", along(&noise(&[40, 70, 50], 8), Scatter::Add)),
        ("scatter_along set", along(&noise(&[40, 70, 50], 8), Scatter::Set)),
        ("scatter_along rows", {
            let updates = noise(&[3600, 70], 10);
            let base = noise(&[3600, 90], 11);
            scatter_along(base, &picks(&[3600, 70], 90), &updates, 1, Scatter::Add).expect("in range")
        }),
        ("arg_largest", arg_largest(&x, 7, 1)),
        ("nonzero", nonzero(&cast(&cells, DType::Bool))[0].clone()),
        ("random_bits", random_bits([3, 4], Shape::from(300_001))),
        ("iota", iota(200_000, DType::F32)),
    ]
    .into_iter()
    .map(|(name, a)| (name, a.to_bytes()))
    .collect()
}

#[test]
fn one_and_three_threads_give_the_same_bits() {
    let alone = results();
    threads::set_threads(3);
    let together = threads::enter(results);
    for ((name, a), (_, b)) in alone.iter().zip(&together) {
        assert!(a == b, "{name} depends on the number of threads");
    }
}
