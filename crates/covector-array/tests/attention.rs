//! Attention: the same bits on every machine and in every layout, and the definition's numbers.

mod common;

use common::{bits, elements, layouts, same_everywhere};
use covector_array::kernels::{self, Attention, cast, thirds};
use covector_array::{Array, DType, Shape};

fn draw(seed: u64, shape: &[usize], dtype: DType) -> Array {
    let n: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    cast(&Array::from_slice(&(0..n).map(|_| next()).collect::<Vec<f64>>(), Shape::from(shape)), dtype)
}

fn attention(q: &Array, k: &Array, v: &Array, mask: Option<&Array>, causal: bool) -> Attention {
    let scale = 1.0 / (q.shape()[q.ndim() - 1] as f64).sqrt();
    Attention { q: q.clone(), k: k.clone(), v: v.clone(), mask: mask.cloned(), causal, scale }
}

/// The weights of one head, by the definition: `[t, s]`.
fn weights(q: &[f64], k: &[f64], [t, s, d]: [usize; 3], mask: Option<&[f64]>, causal: bool) -> Vec<f64> {
    let mut all = Vec::new();
    for i in 0..t {
        let dot = |j: usize| (0..d).map(|c| q[i * d + c] * k[j * d + c]).sum::<f64>() / (d as f64).sqrt();
        let seen = |j: usize| !causal || j <= i;
        let e: Vec<f64> =
            (0..s).map(|j| if seen(j) { (dot(j) + mask.map_or(0.0, |m| m[i * s + j])).exp() } else { 0.0 }).collect();
        let sum: f64 = e.iter().sum();
        all.extend(e.iter().map(|e| e / sum));
    }
    all
}

#[test]
fn values_and_gradients_are_those_of_the_definition_in_every_layout() {
    for ([t, s, d, e], causal) in
        [([1, 1, 1, 1], true), ([3, 5, 2, 4], false), ([5, 3, 2, 4], true), ([14, 40, 17, 3], false)]
    {
        let [q, k, v] = [(1, t, d), (2, s, d), (3, s, e)].map(|(seed, n, m)| draw(seed, &[2, n, m], DType::F64));
        let (mask, dy) = (draw(4, &[2, t, s], DType::F64), draw(5, &[2, t, e], DType::F64));
        let (mut y, mut dq, mut dk, mut dv) =
            (vec![], vec![0.0; 2 * t * d], vec![0.0; 2 * s * d], vec![0.0; 2 * s * e]);
        for head in 0..2 {
            let part = |x: &Array, n: usize| elements(x)[head * n..(head + 1) * n].to_vec();
            let (q, k, v, m, dy) =
                (part(&q, t * d), part(&k, s * d), part(&v, s * e), part(&mask, t * s), part(&dy, t * e));
            let w = weights(&q, &k, [t, s, d], Some(&m), causal);
            for i in 0..t {
                let row: Vec<f64> = (0..e).map(|c| (0..s).map(|j| w[i * s + j] * v[j * e + c]).sum()).collect();
                let mean: f64 = (0..e).map(|c| row[c] * dy[i * e + c]).sum();
                for j in 0..s {
                    let g: f64 = (0..e).map(|c| dy[i * e + c] * v[j * e + c]).sum();
                    let slope = w[i * s + j] * (g - mean) / (d as f64).sqrt();
                    (0..d).for_each(|c| dq[(head * t + i) * d + c] += slope * k[j * d + c]);
                    (0..d).for_each(|c| dk[(head * s + j) * d + c] += slope * q[i * d + c]);
                    (0..e).for_each(|c| dv[(head * s + j) * e + c] += w[i * s + j] * dy[i * e + c]);
                }
                y.extend(row);
            }
        }
        let wanted = [dq, dk, dv].concat();
        let close = |got: &[f64], wanted: &[f64], what: &str| {
            assert_eq!(got.len(), wanted.len());
            got.iter()
                .zip(wanted)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-13 * (1.0 + b.abs()), "{what}: {a}, {b}"));
        };
        let mut first = None;
        for (((q, k), v), (mask, dy)) in layouts(&q)
            .iter()
            .zip(layouts(&k).iter().rev())
            .zip(layouts(&v).iter().cycle().skip(1))
            .zip(layouts(&mask).iter().cycle().skip(2).zip(layouts(&dy).iter().cycle().skip(3)))
        {
            let a = attention(q, k, v, Some(mask), causal);
            let (got, gradients) = (a.forward(), a.backward(dy));
            close(&elements(&got), &y, "values");
            close(&elements(&gradients), &wanted, "gradients");
            let all = [bits(&got), bits(&gradients)].concat();
            assert!(*first.get_or_insert(all.clone()) == all, "another layout gives other bits");
        }
    }
}

#[test]
fn the_bits_are_the_same_everywhere() {
    for dtype in [DType::F32, DType::F64] {
        for [heads, t, s, d, e] in
            [[1, 1, 300, 33, 20], [3, 70, 70, 32, 32], [1, 300, 310, 17, 40], [2, 13, 600, 64, 64]]
        {
            let [q, k, v] = [(1, t, d), (2, s, d), (3, s, e)].map(|(seed, n, m)| draw(seed, &[heads, n, m], dtype));
            let dy = draw(5, &[heads, t, e], dtype);
            let seen = kernels::map(
                |_| Some(kernels::Kernel::unary(|x: f64| x > -0.5)),
                DType::F64,
                [draw(6, &[heads, t, s], DType::F64)].into_iter().collect(),
            );
            for (mask, causal) in [(None, true), (Some(&seen), false)] {
                let a = attention(&q, &k, &v, mask, causal);
                let y = same_everywhere(|| a.forward());
                same_everywhere(|| a.backward(&dy));
                // A query alone has the bits it has among others.
                let last = q.slice(&[0, t - 1, 0], &[heads, 1, d], &[1, 1, 1]);
                let row = mask.map(|m| m.slice(&[0, t - 1, 0], &[heads, 1, s], &[1, 1, 1]));
                let kept = if causal { s.min(t) } else { s };
                let [k, v] = [&k, &v].map(|x| x.slice(&[0, 0, 0], &[heads, kept, x.shape()[2]], &[1, 1, 1]));
                let alone = attention(&last, &k, &v, row.as_ref(), false).forward();
                assert_eq!(bits(&alone), bits(&y.slice(&[0, t - 1, 0], &[heads, 1, e], &[1, 1, 1])));
            }
        }
    }
}

#[test]
fn stacked_operands_give_stacked_gradients_in_their_own_layout() {
    let x = draw(1, &[2, 37, 3, 4, 16], DType::F32).permute(&[2, 0, 3, 1, 4]);
    let [q, k, v] = thirds(&x);
    let a = attention(&q, &k, &v, None, true);
    let y = a.forward();
    assert!(y.permute(&[0, 2, 1, 3]).is_contiguous(), "results lie in memory as the queries do");
    let (flat, stacked) = (a.backward(&y), a.backward_packed(&x, &y));
    assert_eq!((stacked.shape(), stacked.strides()), (x.shape(), x.strides()));
    assert_eq!(bits(&flat), bits(&stacked));
}
