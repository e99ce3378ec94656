//! Indexing takes the elements Python takes, by views alone, and names what is wrong.

use covector::ops::create::arange;
use covector::*;

fn iota(shape: &[usize]) -> Tensor {
    arange(0, shape.iter().product::<usize>(), 1, DType::I64).reshape(shape)
}

/// The places Python's `start:stop:step` walks over in a list of `n`: bounds are clamped, then the walk begins.
fn walk(start: Option<i64>, stop: Option<i64>, step: i64, n: i64) -> Vec<i64> {
    let ends = if step > 0 { (0, n) } else { (-1, n - 1) };
    let clamp = |i: i64| (if i < 0 { i + n } else { i }).max(ends.0).min(ends.1);
    let mut at = start.map_or(if step > 0 { ends.0 } else { ends.1 }, clamp);
    let stop = stop.map_or(if step > 0 { ends.1 } else { ends.0 }, clamp);
    let mut places = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        places.push(at);
        at += step;
    }
    places
}

const STEPS: [i64; 4] = [-2, -1, 1, 2];

fn bounds() -> impl Iterator<Item = Option<i64>> + Clone {
    std::iter::once(None).chain((-4..=4).map(Some))
}

fn span(start: Option<i64>, stop: Option<i64>, step: i64) -> Index {
    let range = match (start, stop) {
        (None, None) => Index::from(..),
        (Some(a), None) => Index::from(a..),
        (None, Some(b)) => Index::from(..b),
        (Some(a), Some(b)) => Index::from(a..b),
    };
    range.step(step)
}

#[test]
fn every_slice_of_a_vector() {
    for n in 0..=4 {
        let x = iota(&[n]);
        for (start, stop) in bounds().flat_map(|a| bounds().map(move |b| (a, b))) {
            for step in STEPS {
                let wanted = walk(start, stop, step, n as i64);
                let y = x.i(span(start, stop, step));
                assert_eq!(y.to_vec::<i64>(), wanted, "{n}: {start:?}..{stop:?};{step}");
                assert_eq!(y.shape()[..], [wanted.len()]);
                if let (Some(start), Some(stop)) = (start, stop) {
                    assert_eq!(
                        x.slice(start, stop, step).to_vec::<i64>(),
                        wanted,
                        "{n}: slice({start}, {stop}, {step})"
                    );
                }
            }
        }
    }
}

#[test]
fn every_slice_of_a_matrix() {
    for (m, n) in (0..=3).flat_map(|m| (0..=3).map(move |n| (m, n))) {
        let x = iota(&[m, n]);
        for (start, stop, step) in (-4..=4).flat_map(|a| (-4..=4).flat_map(move |b| STEPS.map(|s| (a, b, s)))) {
            let rows = walk(Some(start), Some(stop), step, m as i64);
            let columns = walk(Some(stop), Some(start), -step, n as i64);
            let y = x.slice([start, stop], [stop, start], [step, -step]);
            let wanted: Vec<i64> = rows.iter().flat_map(|r| columns.iter().map(move |c| r * n as i64 + c)).collect();
            assert_eq!(y.to_vec::<i64>(), wanted, "[{m}, {n}]: {start}..{stop};{step}");
            assert_eq!(y.shape()[..], [rows.len(), columns.len()]);
        }
    }
}

/// The places an index takes of an axis, and whether the axis stays; `None` if it is out of range.
fn taken(index: Index, n: i64) -> Option<(Vec<i64>, bool)> {
    match index {
        Index::At(i) => (-n..n).contains(&i).then(|| (vec![(i + n) % n], false)),
        index if index == Index::from(..) => Some(((0..n).collect(), true)),
        index if index == Index::from(1..) => Some((walk(Some(1), None, 1, n), true)),
        index if index == Index::from(..).step(-2) => Some((walk(None, None, -2, n), true)),
        _ => unreachable!("not among the indices of the test"),
    }
}

#[test]
fn every_mixture_of_indices_for_up_to_three_axes() {
    let few = &[Index::from(0), Index::from(-2), Index::from(..), Index::from(1..), Index::from(..).step(-2)];
    let shapes = (0..=3).flat_map(|a| (0..=3).flat_map(move |b| (0..=3).map(move |c| [a, b, c])));
    for shape in shapes {
        let x = iota(&shape);
        let all = few.iter().flat_map(|a| few.iter().flat_map(move |b| few.iter().map(move |c| [*a, *b, *c])));
        for (at, indices) in all.enumerate() {
            let axes: Option<Vec<_>> = (0..3).map(|i| taken(indices[i], shape[i] as i64)).collect();
            let wanted = axes.map(|axes| {
                let kept: Vec<usize> = axes.iter().filter(|a| a.1).map(|a| a.0.len()).collect();
                let place = |i: i64, axis: usize, j: i64| i * shape[axis] as i64 + j;
                let places = axes.iter().enumerate().fold(vec![0], |all, (axis, (here, _))| {
                    all.iter().flat_map(|&i| here.iter().map(move |&j| place(i, axis, j))).collect()
                });
                (kept, places)
            });
            let got = |indices: Indices| x.try_i(indices).ok().map(|y| (y.shape().to_vec(), y.to_vec::<i64>()));
            assert_eq!(got(indices.into()), wanted, "{shape:?}{indices:?}");
            // The ellipsis may stand anywhere, a new axis adds a 1 where it stands.
            let mut more = indices.to_vec();
            more.insert(at % 4, Index::Ellipsis);
            assert_eq!(got(Indices(more.clone().into())), wanted);
            more.push(Index::New);
            let wider = wanted.map(|(mut shape, places)| {
                shape.push(1);
                (shape, places)
            });
            assert_eq!(got(Indices(more.into())), wider);
        }
    }
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn the_macro_says_what_tuples_say() {
    let x = iota(&[3, 4, 5]);
    let same = |a: Tensor, b: Tensor| assert_eq!((a.shape(), a.to_vec::<i64>()), (b.shape(), b.to_vec::<i64>()));
    let (i, n) = (1usize, 2i64);
    same(x.i(s![1]), x.i(1));
    same(x.i(s![i, ..n, -1]), x.i((1, ..2, -1)));
    same(x.i(s![1, 2.., ..-1]), x.i((1, 2.., ..-1)));
    same(x.i(s![..;-2, .., new, 1..=3]), x.i((Index::from(..).step(-2), .., NewAxis, 1..=3)));
    same(x.i(s![..., 0]), x.i((Ellipsis, 0)));
    same(x.i(s![0, ...]), x.i(0));
    same(x.i(s![..., new]), x.expand_dims(-1));
    same(x.i(s![new, ..., 2..;2,]), x.i((NewAxis, Ellipsis, Index::from(2..).step(2))));
    same(x.i(s![i + 1, 3..0;-1]), x.i((2, Index::from(3..0).step(-1))));
    same(x.i(s![]), x.i(()));
}

#[test]
fn inclusive_ranges_end_with_their_end() {
    let x = iota(&[4]);
    assert_eq!(x.i(1..=2).to_vec::<i64>(), [1, 2]);
    assert_eq!(x.i(..=-1).to_vec::<i64>(), [0, 1, 2, 3]);
    assert_eq!(x.i(..=-2).to_vec::<i64>(), [0, 1, 2]);
    assert_eq!(x.i(s![3..=0;-1]).to_vec::<i64>(), [3, 2, 1, 0]);
    assert_eq!(x.i(s![..=1;-1]).to_vec::<i64>(), [3, 2, 1]);
    assert!(x.i(..=-5).is_empty());
}

#[test]
fn extreme_bounds_are_clamped_without_overflow() {
    let x = iota(&[3]);
    let (min, max) = (i64::MIN, i64::MAX);
    assert_eq!(x.i(min..max).to_vec::<i64>(), [0, 1, 2]);
    assert_eq!(x.i(s![max..min;-1]).to_vec::<i64>(), [2, 1, 0]);
    assert_eq!(x.i(s![..;max]).to_vec::<i64>(), [0]);
    assert_eq!(x.i(s![..;min]).to_vec::<i64>(), [2]);
    assert_eq!(x.i(..usize::MAX).to_vec::<i64>(), [0, 1, 2]);
    assert_eq!(x.i(..=max).to_vec::<i64>(), [0, 1, 2]);
}

#[test]
fn indexing_makes_views() {
    let x = iota(&[4, 6]);
    let strides = |y: Tensor| y.value().strides().to_vec();
    assert_eq!(strides(x.i(s![.., 1..;2])), [6, 2]);
    assert_eq!(strides(x.i(s![..;-1, 3])), [-6]);
    assert_eq!(strides(x.i(s![..;2, ..-1])), [12, 1]);
    for y in [x.i(s![1.., ..;-1]), x.i(s![2, 0..3]), x.i(s![..., 0])] {
        let mut node = y;
        while let Some(operand) = node.inputs().first() {
            assert_eq!(node.primitive().class(), Class::View, "{node:?}");
            node = operand.clone();
            if node.primitive().name() == "iota" {
                break;
            }
        }
    }
}

#[test]
fn what_takes_everything_adds_no_node() {
    let x = iota(&[2, 3]);
    assert_eq!(x.i((.., ..)).id(), x.id());
    assert_eq!(x.i(s![0..2, ...]).id(), x.id());
}

#[test]
fn gradients_return_to_where_the_elements_came_from() {
    let x = arange(0, 12, 1, DType::F64).reshape([3, 4]);
    let g = grad(|x: &Tensor| x.i(s![..;-2, 1..3]).square().sum(..))(&x);
    assert_eq!(g.to_vec::<f64>(), [0., 2., 4., 0., 0., 0., 0., 0., 0., 18., 20., 0.]);
    let rows = vmap(|x: &Tensor| x.i(s![..;-1]).i(0))(&x);
    assert_eq!(rows.to_vec::<f64>(), [3., 7., 11.]);
}

fn told(x: &Tensor, index: impl Into<Indices>) -> String {
    let text = x.try_i(index).expect_err("a bad index").to_string();
    assert!(text.contains("tests/slicing.rs"), "{text}");
    text.lines().filter(|line| !line.trim_start().starts_with("at ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn errors_name_the_axis_and_its_size() {
    let x = iota(&[2, 3]);
    insta::assert_snapshot!(told(&x, (0, 3)), @"
    i: index 3 is out of range for axis 1 of size 3
      operands: i64[2, 3]
      hint: indices run from -3 to 2
    ");
    insta::assert_snapshot!(told(&x, (-3, ..)), @"
    i: index -3 is out of range for axis 0 of size 2
      operands: i64[2, 3]
      hint: indices run from -2 to 1
    ");
    insta::assert_snapshot!(told(&x.i(..0), 0), @"
    i: index 0 is out of range for axis 0 of size 0
      operands: i64[0, 3]
      hint: the axis is empty
    ");
    insta::assert_snapshot!(told(&x, s![.., ..;0]), @"
    i: the step along axis 1 is 0
      operands: i64[2, 3]
      hint: 1 takes every element, -1 every element in reverse order
    ");
    insta::assert_snapshot!(told(&x, (0, 0, 0)), @"
    i: 3 indices for 2 axes
      operands: i64[2, 3]
    ");
    insta::assert_snapshot!(told(&x, s![..., ...]), @"
    i: `...` may stand once
      operands: i64[2, 3]
      hint: `..` takes one whole axis
    ");
}

#[test]
#[should_panic(expected = "index 5 is out of range for axis 0 of size 2")]
fn a_bad_index_panics() {
    iota(&[2, 3]).i(5);
}
