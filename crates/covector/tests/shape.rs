//! Shapes, joining and creation, element by element against an oracle, for all small shapes.

use covector::ops::concat::{concat, stack};
use covector::ops::create::{arange, eye, full, linspace, meshgrid, ones, zeros};
use covector::*;
use proptest::prelude::*;

fn iota(shape: &[usize]) -> Tensor {
    arange(0, shape.iter().product::<usize>(), 1, DType::I64).reshape(shape)
}

/// All shapes of up to three axes of up to three elements.
fn shapes() -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for first in 0..3 {
        let longer: Vec<Vec<usize>> = all[if first == 0 { 0 } else { all.len() - 4usize.pow(first) }..]
            .iter()
            .flat_map(|s| (0..=3).map(move |d| [&s[..], &[d]].concat()))
            .collect();
        all.extend(longer);
    }
    all
}

/// Every index of a shape in row-major order.
fn places(shape: &[usize]) -> Vec<Vec<usize>> {
    shape
        .iter()
        .fold(vec![vec![]], |all, &d| all.iter().flat_map(|i| (0..d).map(move |j| [&i[..], &[j]].concat())).collect())
}

/// The row-major position of an index.
fn flat(place: &[usize], shape: &[usize]) -> usize {
    place.iter().zip(shape).fold(0, |at, (&i, &d)| at * d + i)
}

/// Checks every element: `from` says which element of `x` (counting by `iota`) stands at a place, `None` for a 0.
#[track_caller]
fn check(y: &Tensor, shape: &[usize], from: impl Fn(&[usize]) -> Option<usize>) {
    assert_eq!(y.shape()[..], *shape);
    let wanted: Vec<i64> = places(shape).iter().map(|p| from(p).map_or(0, |i| i as i64)).collect();
    assert_eq!(y.to_vec::<i64>(), wanted, "{y:?}");
}

fn sorted(shape: &[usize]) -> usize {
    shape.iter().product()
}

#[test]
fn there_are_85_small_shapes() {
    assert_eq!(shapes().len(), 1 + 4 + 16 + 64);
}

#[test]
fn broadcasting_follows_numpy_for_every_pair() {
    let all: Vec<(Vec<usize>, Tensor)> = shapes().into_iter().map(|s| (s.clone(), iota(&s))).collect();
    for ((sa, a), (sb, b)) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
        let n = sa.len().max(sb.len());
        let dim = |s: &[usize], i: usize| (i + s.len()).checked_sub(n).map_or(1, |j| s[j]);
        let fits = (0..n).all(|i| dim(sa, i) == dim(sb, i) || dim(sa, i) == 1 || dim(sb, i) == 1);
        let product = (a * 100).try_add(b);
        assert_eq!(product.is_ok(), fits, "{sa:?} {sb:?}");
        let Ok(y) = product else { continue };
        let shape: Vec<usize> = (0..n).map(|i| if dim(sa, i) == 1 { dim(sb, i) } else { dim(sa, i) }).collect();
        let at = |place: &[usize], s: &[usize]| {
            let own: Vec<usize> =
                place[n - s.len()..].iter().zip(s).map(|(&i, &d)| if d == 1 { 0 } else { i }).collect();
            flat(&own, s)
        };
        check(&y, &shape, |p| Some(100 * at(p, sa) + at(p, sb)));
    }
}

#[test]
fn reshape_keeps_the_order_for_every_pair_and_layout() {
    let all = shapes();
    for (from, to) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
        let x = iota(from);
        let y = x.try_reshape(&to[..]);
        assert_eq!(y.is_ok(), sorted(from) == sorted(to), "{from:?} {to:?}");
        let Ok(y) = y else { continue };
        check(&y, to, |p| Some(flat(p, to)));
        // The same numbers, but lying backwards or transposed in memory.
        let turned = x.flip(..).reshape(&to[..]);
        check(&turned, to, |p| Some(sorted(to) - 1 - flat(p, to)));
        let axes: Vec<i64> = (0..from.len() as i64).rev().collect();
        let reversed: Vec<usize> = from.iter().rev().copied().collect();
        let transposed = x.permute_dims(axes).reshape(&to[..]);
        check(&transposed, to, |p| {
            let mut place = unflat(flat(p, to), &reversed);
            place.reverse();
            Some(flat(&place, from))
        });
        for axis in (0..to.len()).filter(|_| sorted(to) > 0) {
            let mut open: Vec<i64> = to.iter().map(|&d| d as i64).collect();
            open[axis] = -1;
            assert_eq!(x.reshape(open).shape()[..], to[..]);
        }
    }
}

fn unflat(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut place: Vec<usize> = shape.iter().rev().map(|&d| (at % d, at /= d).0).collect();
    place.reverse();
    place
}

#[test]
fn promotion_is_the_published_table() {
    // JAX's table (jax.numpy.promote_types), but for u64 with signed integers, which give f32, the default float.
    let table = "
        bool bool u8   u16  u32  u64  i8   i16  i32  i64  f16  bf16 f32  f64  c64  c128
        u8   u8   u8   u16  u32  u64  i16  i16  i32  i64  f16  bf16 f32  f64  c64  c128
        u16  u16  u16  u16  u32  u64  i32  i32  i32  i64  f16  bf16 f32  f64  c64  c128
        u32  u32  u32  u32  u32  u64  i64  i64  i64  i64  f16  bf16 f32  f64  c64  c128
        u64  u64  u64  u64  u64  u64  f32  f32  f32  f32  f16  bf16 f32  f64  c64  c128
        i8   i8   i16  i32  i64  f32  i8   i16  i32  i64  f16  bf16 f32  f64  c64  c128
        i16  i16  i16  i32  i64  f32  i16  i16  i32  i64  f16  bf16 f32  f64  c64  c128
        i32  i32  i32  i32  i64  f32  i32  i32  i32  i64  f16  bf16 f32  f64  c64  c128
        i64  i64  i64  i64  i64  f32  i64  i64  i64  i64  f16  bf16 f32  f64  c64  c128
        f16  f16  f16  f16  f16  f16  f16  f16  f16  f16  f16  f32  f32  f64  c64  c128
        bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 f32  bf16 f32  f64  c64  c128
        f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f64  c64  c128
        f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  c128 c128
        c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c64  c128 c64  c128
        c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128";
    for (line, a) in table.trim().lines().zip(DType::ALL) {
        for (name, b) in line.split_whitespace().skip(1).zip(DType::ALL) {
            let wanted = DType::from_name(name).expect("a dtype");
            let (x, y) = (tensor![1, 1].cast(a), tensor![0, 1].cast(b));
            assert_eq!(concat(&[x.clone(), y.clone()], 0).dtype(), wanted, "{a} {b}");
            let sum = &x + &y;
            // Arithmetic on two bools counts in i64.
            assert_eq!(sum.dtype(), if wanted == DType::Bool { DType::I64 } else { wanted }, "{a} {b}");
            assert_eq!(sum.real().cast(DType::F64).to_vec::<f64>(), [1., 2.], "{a} {b}");
        }
    }
}

#[test]
fn views_of_every_shape() {
    for s in shapes() {
        let (x, n) = (iota(&s), s.len());
        check(&x.squeeze(..), &s.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>(), |p| {
            let mut rest = p.iter();
            let full: Vec<usize> = s.iter().map(|&d| if d == 1 { 0 } else { *rest.next().expect("kept") }).collect();
            Some(flat(&full, &s))
        });
        for axis in 0..=n {
            let mut wider = s.clone();
            wider.insert(axis, 1);
            let y = x.expand_dims(axis);
            check(&y, &wider, |p| Some(flat(p, &wider)));
            assert_eq!(y.squeeze(axis).shape(), x.shape());
            assert_eq!(x.unsqueeze(axis as i64 - n as i64 - 1).shape(), y.shape());
        }
        for (from, to) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))) {
            let mut order: Vec<usize> = (0..n).filter(|&a| a != from).collect();
            order.insert(to, from);
            let shape: Vec<usize> = order.iter().map(|&a| s[a]).collect();
            let y = x.moveaxis(from, to as i64 - n as i64);
            check(&y, &shape, |p| {
                let mut own = vec![0; n];
                order.iter().zip(p).for_each(|(&a, &i)| own[a] = i);
                Some(flat(&own, &s))
            });
            if from <= to {
                let merged = [&s[..from], &[sorted(&s[from..=to])], &s[to + 1..]].concat();
                check(&x.flatten(from, to), &merged, |p| Some(flat(p, &merged)));
            }
        }
    }
}

#[test]
fn parts_of_every_shape() {
    for s in shapes() {
        let x = iota(&s);
        for axis in 0..s.len() {
            let at = |p: &[usize], start: usize| {
                let mut p = p.to_vec();
                p[axis] += start;
                Some(flat(&p, &s))
            };
            let with =
                |d: usize| s.iter().enumerate().map(|(a, &own)| if a == axis { d } else { own }).collect::<Vec<_>>();
            for n in 1..=4 {
                let parts = x.chunk(n, axis);
                let most = s[axis].div_ceil(n);
                let mut start = 0;
                for y in &parts {
                    check(y, &with(most.min(s[axis] - start)), |p| at(p, start));
                    start += y.shape()[axis];
                }
                assert_eq!(start, s[axis]);
                assert_eq!(parts.len(), if s[axis] == 0 { n } else { s[axis].div_ceil(most) });
                assert_eq!(concat(&parts, axis).to_vec::<i64>(), x.to_vec::<i64>());
            }
            let first = s[axis].min(1);
            let parts = x.split([first, 0, s[axis] - first], axis);
            check(&parts[2], &with(s[axis] - first), |p| at(p, first));
            let each = x.unbind(axis);
            assert_eq!(each.len(), s[axis]);
            if !each.is_empty() {
                assert_eq!(stack(&each, axis).to_vec::<i64>(), x.to_vec::<i64>());
            }
        }
    }
}

#[test]
fn triangles_and_diagonals_of_every_matrix() {
    for s in shapes().into_iter().filter(|s| s.len() >= 2) {
        // Counted from 1, so that a 0 is one of the triangle's.
        let (x, n) = (iota(&s) + 1, s.len());
        for k in (-4i64..=4).chain([i64::MIN, i64::MAX]) {
            let right = |p: &[usize]| p[n - 1] as i64 - p[n - 2] as i64;
            check(&x.tril(k), &s, |p| (right(p) <= k).then(|| flat(p, &s) + 1));
            check(&x.triu(k), &s, |p| (right(p) >= k).then(|| flat(p, &s) + 1));
        }
        for k in (-4i64..=4).chain([i64::MIN, i64::MAX]) {
            let (down, right) = ((-(k.max(-9))).max(0) as usize, k.clamp(0, 9) as usize);
            let count = s[n - 2].saturating_sub(down).min(s[n - 1].saturating_sub(right));
            let shape = [&s[..n - 2], &[count]].concat();
            let at = |p: &[usize]| [&p[..n - 2], &[p[n - 2] + down, p[n - 2] + right]].concat();
            check(&x.diagonal(k), &shape, |p| Some(flat(&at(p), &s) + 1));
        }
        check(&x.t().t(), &s, |p| Some(flat(p, &s) + 1));
    }
}

#[test]
fn rolling_tiling_and_repeating_every_shape() {
    for s in shapes() {
        let (x, n) = (iota(&s), s.len());
        for shift in -5i64..=5 {
            let size = sorted(&s);
            check(&x.roll(shift, ..), &s, |p| Some((flat(p, &s) as i64 - shift).rem_euclid(size as i64) as usize));
            for axis in 0..n {
                check(&x.roll(shift, axis), &s, |p| {
                    let mut own = p.to_vec();
                    own[axis] = (p[axis] as i64 - shift).rem_euclid(s[axis] as i64) as usize;
                    Some(flat(&own, &s))
                });
            }
        }
        for reps in [vec![2], vec![3, 1], vec![2, 1, 0], vec![1, 2, 1, 2], vec![]] {
            let rank = n.max(reps.len());
            let own = [&vec![1; rank - n][..], &s].concat();
            let times = [&vec![1; rank - reps.len()][..], &reps].concat();
            let shape: Vec<usize> = own.iter().zip(&times).map(|(d, r)| d * r).collect();
            let y = x.tile(&reps[..]);
            check(&y, &shape, |p| Some(flat(&p.iter().zip(&own).map(|(i, d)| i % d).collect::<Vec<_>>(), &own)));
        }
        for (axis, times) in (0..n).flat_map(|a| (0..3).map(move |r| (a, r))) {
            let mut shape = s.clone();
            shape[axis] *= times;
            check(&x.repeat(times, axis), &shape, |p| {
                let mut own = p.to_vec();
                own[axis] /= times;
                Some(flat(&own, &s))
            });
        }
    }
}

/// Which of `n` elements continues an axis at place `i`, which may lie outside.
type Place<'a> = &'a dyn Fn(i64, i64) -> i64;

#[test]
fn padding_continues_every_axis_by_its_mode() {
    let reflected = |i: i64, n: i64| if n == 1 { 0 } else { (n - 1) - (i.rem_euclid(2 * n - 2) - (n - 1)).abs() };
    for s in shapes() {
        let (x, widths) = (iota(&s) + 1, [(0usize, 5usize), (3, 1), (2, 0)]);
        let widths = widths[..s.len()].to_vec();
        let shape: Vec<usize> = s.iter().zip(&widths).map(|(d, w)| d + w.0 + w.1).collect();
        let inside = |p: &[usize]| -> Option<Vec<usize>> {
            let own = p.iter().zip(&widths).map(|(i, w)| i.checked_sub(w.0)).collect::<Option<Vec<_>>>()?;
            own.iter().zip(&s).all(|(i, d)| i < d).then_some(own)
        };
        check(&x.pad(widths.clone(), "constant", 0.0), &shape, |p| inside(p).map(|own| flat(&own, &s) + 1));
        check(&x.pad(widths.clone(), "constant", 7.0), &shape, |p| Some(inside(p).map_or(7, |own| flat(&own, &s) + 1)));
        let modes: [(&str, Place); 3] =
            [("edge", &|i, n| i.clamp(0, n - 1)), ("wrap", &|i, n| i.rem_euclid(n)), ("reflect", &reflected)];
        for (mode, place) in modes {
            let y = x.try_pad(widths.clone(), mode, 0.0);
            if s.contains(&0) {
                assert!(y.is_err());
                continue;
            }
            check(&y.expect("fits"), &shape, |p| {
                let own = |a: usize| place(p[a] as i64 - widths[a].0 as i64, s[a] as i64) as usize;
                Some(flat(&(0..s.len()).map(own).collect::<Vec<_>>(), &s) + 1)
            });
        }
    }
}

#[test]
fn ranges_are_exact() {
    for (start, stop) in (-4i64..=4).flat_map(|a| (-4i64..=4).map(move |b| (a, b))) {
        for step in [-3i64, -2, -1, 1, 2, 3] {
            let wanted: Vec<i64> = std::iter::successors(Some(start), |i| Some(i + step))
                .take_while(|&i| if step > 0 { i < stop } else { i > stop })
                .collect();
            assert_eq!(arange(start, stop, step, DType::I64).to_vec::<i64>(), wanted, "{start}..{stop};{step}");
            let floats = arange(start as f64, stop as f64, step as f64, DType::F64).to_vec::<f64>();
            assert_eq!(floats, wanted.iter().map(|&i| i as f64).collect::<Vec<_>>());
        }
    }
    let top = i64::MAX;
    assert_eq!(arange(top - 2, top, 1, DType::I64).to_vec::<i64>(), [top - 2, top - 1]);
    assert_eq!(arange(i64::MIN, top, top, DType::I64).to_vec::<i64>(), [i64::MIN, -1, top - 1]);
    assert_eq!(arange(0.0, 1.0, 0.1, DType::F64).to_vec::<f64>()[3], 3.0 * 0.1);
    for (start, stop) in [(0.1, 0.7), (0.7, 0.1), (f64::EPSILON, -49.0), (-49.0, f64::EPSILON)] {
        for n in 2..60 {
            let x = linspace(start, stop, n, DType::F64).to_vec::<f64>();
            assert_eq!((x[0], x[n - 1]), (start, stop), "{n} numbers");
        }
    }
    let x = linspace(c128::new(0.0, 1.0), 2, 3, DType::C128).to_vec::<c128>();
    assert_eq!(x, [c128::new(0.0, 1.0), c128::new(1.0, 0.5), c128::new(2.0, 0.0)]);
    assert_eq!(linspace(-1, 1, 3, DType::F32).to_vec::<f32>(), [-1., 0., 1.]);
    assert_eq!(linspace(-f64::MAX, f64::MAX, 3, DType::F64).to_vec::<f64>(), [-f64::MAX, 0., f64::MAX]);
}

#[test]
fn constants_are_one_number_in_memory() {
    let x = full([1000, 1000], 2, DType::F32);
    assert!(x.is_evaluated());
    assert_eq!(x.value().strides(), [0, 0]);
    assert_eq!(x.sum(..).item::<f32>(), 2e6);
    assert_eq!(zeros([2], DType::Bool).to_vec::<bool>(), [false, false]);
    assert_eq!(ones([2], DType::BF16).cast(DType::F32).to_vec::<f32>(), [1., 1.]);
    assert_eq!(full([2], i64::MAX, DType::I64).to_vec::<i64>(), [i64::MAX; 2]);
    let g = grad(|t: &Tensor| full([2, 3], t, DType::F64).sum(..))(&Tensor::from(1f64));
    assert_eq!(g.item::<f64>(), 6.);
}

#[test]
fn huge_shapes_are_refused_not_attempted() {
    let (big, f) = (1usize << 40, DType::F32);
    let refused = [
        ops::create::try_zeros([big, big], f),
        ops::create::try_full([big, big], Tensor::from(1f32), f),
        ops::create::try_eye(big, f),
        ops::create::try_arange(0, i64::MAX, 1, f),
        ops::create::try_arange(0.0, 1e300, 1.0, f),
        ops::create::try_linspace(0, 1, usize::MAX, f),
        zeros([big], f).try_tile(Ints::from([big, 1])),
        zeros([big], f).try_repeat(big, 0),
        zeros([2, 0], f).try_repeat(usize::MAX, 0),
        zeros([3, big], f).try_pad((usize::MAX / 2, 0), "wrap", 0.0),
        ops::concat::try_concat(&vec![zeros([1 << 60, 1], DType::U8); 8], 0),
        ops::create::try_meshgrid(&[zeros(big, f), zeros(big, f)], "ij").map(|mut all| all.remove(0)),
    ];
    for (i, y) in refused.into_iter().enumerate() {
        let e = y.expect_err("too large").to_string();
        assert!(e.contains("memory") || e.contains("overflow"), "{i}: {e}");
    }
}

#[test]
fn grids_are_views_of_their_vectors() {
    let (a, b, c) = (iota(&[2]), iota(&[3]), Tensor::from(5));
    let grids = meshgrid(&[a.clone(), b.clone(), c.clone()], "ij");
    check(&grids[0], &[2, 3, 1], |p| Some(p[0]));
    check(&grids[1], &[2, 3, 1], |p| Some(p[1]));
    check(&grids[2], &[2, 3, 1], |_| Some(5));
    let grids = meshgrid(&[a, b, c], "xy");
    check(&grids[0], &[3, 2, 1], |p| Some(p[1]));
    check(&grids[1], &[3, 2, 1], |p| Some(p[0]));
    assert!(meshgrid(&[], "xy").is_empty());
    assert_eq!(eye(3, DType::I64).diagonal(0).to_vec::<i64>(), [1, 1, 1]);
}

#[test]
fn iteration_runs_over_the_first_axis() {
    let x = iota(&[3, 2]);
    assert_eq!(x.iter().len(), 3);
    let rows: Vec<Vec<i64>> = x.iter().rev().map(|row| row.to_vec()).collect();
    assert_eq!(rows, [[4, 5], [2, 3], [0, 1]]);
    let mut sum = 0;
    for row in &x {
        sum += row.i(1).item::<i64>();
    }
    assert_eq!(sum, 9);
    assert!(iota(&[2, 0]).is_empty() && !Tensor::from(1).is_empty());
}

#[test]
#[should_panic(expected = "a scalar has no axis 0")]
fn a_scalar_is_not_iterated() {
    Tensor::from(1).iter();
}

fn told<T>(result: Result<T>) -> String {
    let Err(error) = result else { panic!("no error") };
    let text = error.to_string();
    assert!(text.contains("tests/shape.rs"), "{text}");
    text.lines().filter(|line| !line.trim_start().starts_with("at ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn errors_say_what_does_not_fit() {
    let x = iota(&[2, 3]);
    let all = [
        told(x.try_squeeze(0)),
        told(x.try_expand_dims(..)),
        told(x.i(0).try_matrix_transpose()),
        told(x.try_flatten(1, 0)),
        told(x.try_moveaxis([0, 1], 0)),
        told(x.try_slice([0, 0], 1, 1)),
        told(x.try_slice(0, 1, 0)),
        told(x.try_split([1, 1], 1)),
        told(x.try_chunk(0, 1)),
        told(x.try_roll([1, 2], 0)),
        told(x.try_pad([(1, 1); 3], "edge", 0.0)),
        told(x.try_pad(-1, "edge", 0.0)),
        told(x.try_pad(1, "mirror", 0.0)),
        told(x.i(..0).try_pad(1, "wrap", 0.0)),
        told(ops::concat::try_concat(&[], 0)),
        told(ops::concat::try_concat(&[x.clone(), x.i((.., ..2))], 0)),
        told(ops::concat::try_concat(&[x.clone(), x.i(0)], 0)),
        told(ops::concat::try_stack(&[x.clone(), x.i(0)], 0)),
        told(ops::create::try_arange(0, 1, 0, DType::F32)),
        told(ops::create::try_arange(0, f64::NAN, 1, DType::F32)),
        told(ops::create::try_arange(0, &x, 1, DType::F32)),
        told(ops::create::try_zeros([usize::MAX, 2], DType::F32)),
        told(ops::create::try_meshgrid(std::slice::from_ref(&x), "ij")),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    squeeze: axis 0 of [2, 3] has size 2, not 1
      operands: i64[2, 3]
    expand_dims: `..` does not say where the new axes stand
      operands: i64[2, 3]
      hint: name them: `expand_dims([0, -1])`
    matrix_transpose: a matrix has two axes, i64[3] has 1
      operands: i64[3]
      hint: make a row with `expand_dims(0)`, a column with `expand_dims(-1)`
    flatten: axis 1 stands after axis 0
      operands: i64[2, 3]
      hint: name the first axis first
    moveaxis: 2 axes cannot move to 1 places
      operands: i64[2, 3]
    slice: 2 starts, 1 stops and 1 steps
      operands: i64[2, 3]
      hint: give one of each for every axis to slice
    slice: the step along axis 0 is 0
      operands: i64[2, 3]
      hint: 1 takes every element, -1 every element in reverse order
    split: the sizes [1, 1] make 2, axis 1 has 3
      operands: i64[2, 3]
    chunk: 0 parts cannot make a whole
      operands: i64[2, 3]
    roll: 2 shifts for 1 axes
      operands: i64[2, 3]
    pad: 3 pairs of widths for 2 axes
      operands: i64[2, 3]
      hint: give one pair (before, after) for each axis, from the first, or one for all
    pad: widths must be at least 0, -1 was given
      operands: i64[2, 3]
      hint: slicing takes elements away
    pad: no padding mode "mirror"
      operands: i64[2, 3]
      hint: there are "constant", "edge", "reflect" and "wrap"
    pad: axis 0 is empty: there is nothing to continue it with
      operands: i64[0, 3]
    concat: there are no tensors to join
      hint: of no tensors neither shape nor dtype is known
    concat: axis 1 has size 3 in tensor 0 and 2 in tensor 1
      operands: i64[2, 3], i64[2, 2]
      hint: only axis 0, along which they are joined, may differ
    concat: tensors 0 and 1 have 2 and 1 axes
      operands: i64[2, 3], i64[3]
      hint: `stack` joins along a new axis; `expand_dims` adds one
    stack: tensor 0 is [2, 3], tensor 1 is [3]
      operands: i64[2, 3], i64[3]
      hint: `concat` joins along an axis they have
    arange: a step of 0 never arrives
      hint: for one value many times use `full`
    arange: a bound must be finite, not NaN
    arange: a bound must be a number, not the tensor i64[2, 3]
      operands: i64[2, 3]
      hint: the length of the result depends on it: read it with `item` or `to_f64`
    zeros: the result f32[18446744073709551615, 2] has more elements than memory can address
    meshgrid: coordinates along an axis are a vector, not i64[2, 3]
      operands: i64[2, 3]
    "#);
}

proptest! {
    /// What padding adds, a slice takes away; and the gradient of both together is that of the identity.
    #[test]
    fn slicing_undoes_padding(
        shape in prop::collection::vec(0usize..4, 1..5), lo in 0usize..3, hi in 0usize..3,
        mode in prop::sample::select(vec!["constant", "edge", "reflect", "wrap"]),
    ) {
        prop_assume!(mode == "constant" || !shape.contains(&0));
        let x = iota(&shape).cast(DType::F64);
        let n = shape.len();
        let middle = |x: &Tensor| {
            let y = x.pad((lo, hi), mode, 1.5);
            let stops: Vec<i64> = shape.iter().map(|&d| (lo + d) as i64).collect();
            y.slice(vec![lo; n], stops, vec![1; n])
        };
        let (y, pullback) = vjp(middle, &x);
        prop_assert_eq!(y.to_vec::<f64>(), x.to_vec::<f64>());
        prop_assert_eq!(pullback.call(&x).to_vec::<f64>(), x.to_vec::<f64>());
    }

    /// Concatenating along an axis and cutting at the same places are inverse to each other, whatever the layout.
    #[test]
    fn splitting_undoes_joining(
        sizes in prop::collection::vec(0usize..4, 1..5), rows in 0usize..4, flipped in any::<bool>(), batched in any::<bool>(),
    ) {
        let parts: Vec<Tensor> = sizes.iter().map(|&n| iota(&[n, rows]).t()).collect();
        let parts: Vec<Tensor> = if flipped { parts.iter().map(|p| p.flip(0)).collect() } else { parts };
        let join = |parts: &Vec<Tensor>| concat(parts, -1);
        // Under `vmap` each row is an example.
        let whole = if batched && rows > 0 { vmap(join)(&parts) } else { join(&parts) };
        let back = whole.split(&sizes[..], 1);
        if sizes.len() > 1 {
            for (a, b) in back.iter().zip(&parts) {
                prop_assert_eq!(a.shape(), b.shape());
                prop_assert_eq!(a.to_vec::<i64>(), b.to_vec::<i64>());
            }
        }
    }
}
