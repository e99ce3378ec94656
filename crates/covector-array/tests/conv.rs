//! Convolutions and their gradients against the sum as it is written, over a grid of options and layouts.

mod common;

use common::{bits, elements, layouts, noise, same_everywhere, values};
use covector_array::kernels::{Convolution, Part, Slide, cast, matmul};
use covector_array::{Array, DType, Shape};

/// The sizes of a case: examples, groups, channels of a group, and per axis (len, kernel, step, padding, dilation).
#[derive(Clone, Debug)]
struct Case {
    examples: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    axes: Vec<[usize; 5]>,
}

impl Case {
    fn convolution(&self) -> Convolution {
        let slide = |&[_, _, step, padding, dilation]: &[usize; 5]| Slide { step, padding, dilation };
        Convolution { slides: self.axes.iter().map(slide).collect(), groups: self.groups }
    }

    fn sizes(&self, part: Part) -> Vec<usize> {
        let size = |&[len, kernel, step, padding, dilation]: &[usize; 5]| match part {
            Part::Input => len,
            Part::Weight => kernel,
            Part::Output => (len + 2 * padding - dilation * (kernel - 1) - 1) / step + 1,
        };
        self.axes.iter().map(size).collect()
    }

    fn shape(&self, part: Part) -> Shape {
        let [first, second] = match part {
            Part::Input => [self.examples, self.groups * self.inputs],
            Part::Weight => [self.groups * self.outputs, self.inputs],
            Part::Output => [self.examples, self.groups * self.outputs],
        };
        [first, second].into_iter().chain(self.sizes(part)).collect()
    }

    fn run(&self, part: Part, all: &[Array; 3]) -> Array {
        let [a, b] = others(part).map(|i| &all[i]);
        self.convolution().run(part, a, b, &self.sizes(part))
    }

    /// The sum, term by term, in f64.
    fn naive(&self, part: Part, all: &[Array; 3]) -> Vec<f64> {
        let [a, b] = others(part).map(|i| elements(&all[i]));
        let mut sums = vec![0.0; self.shape(part).size()];
        let (kernel, out, len) = (self.sizes(Part::Weight), self.sizes(Part::Output), self.sizes(Part::Input));
        let [k_all, p_all, l_all] = [&kernel, &out, &len].map(|s| s.iter().product::<usize>());
        let channels = self.groups * self.outputs * self.inputs;
        for i in 0..self.examples * channels * k_all * p_all {
            let (n, i) = (i / (channels * k_all * p_all), i % (channels * k_all * p_all));
            let (o, c) = (i / (self.inputs * k_all * p_all), i / (k_all * p_all) % self.inputs);
            let (k, p) = (i / p_all % k_all, i % p_all);
            let mut at = Some(0);
            let (mut k_rest, mut p_rest) = (k_all, p_all);
            for (a, &[len, _, step, padding, dilation]) in self.axes.iter().enumerate() {
                k_rest /= kernel[a];
                p_rest /= out[a];
                let x = (p / p_rest % out[a] * step + k / k_rest % kernel[a] * dilation).checked_sub(padding);
                at = at.zip(x.filter(|&x| x < len)).map(|(at, x)| at * len + x);
            }
            let Some(at) = at else { continue };
            let x = (n * self.groups * self.inputs + o / self.outputs * self.inputs + c) * l_all + at;
            let w = (o * self.inputs + c) * k_all + k;
            let y = (n * self.groups * self.outputs + o) * p_all + p;
            match part {
                Part::Input => sums[x] += a[w] * b[y],
                Part::Weight => sums[w] += a[x] * b[y],
                Part::Output => sums[y] += a[x] * b[w],
            }
        }
        sums
    }
}

const PARTS: [Part; 3] = [Part::Input, Part::Weight, Part::Output];

fn others(part: Part) -> [usize; 2] {
    match part {
        Part::Input => [1, 2],
        Part::Weight => [0, 2],
        Part::Output => [0, 1],
    }
}

fn operands(case: &Case, dtype: DType) -> [Array; 3] {
    PARTS.map(|part| {
        let shape = case.shape(part);
        values(shape.size(), dtype).reshape(&shape)
    })
}

fn case(examples: usize, groups: usize, inputs: usize, outputs: usize, axes: &[[usize; 5]]) -> Case {
    Case { examples, groups, inputs, outputs, axes: axes.to_vec() }
}

/// Whole numbers, so that every order of summation gives the same.
#[test]
fn a_grid_of_options_gives_the_sums_of_a_plain_loop() {
    let mut cases = Vec::new();
    for len in [1, 3, 17] {
        for (kernel, step, padding, dilation) in [
            (1, 1, 0, 1),
            (1, 2, 0, 1),
            (3, 1, 1, 1),
            (3, 2, 1, 1),
            (2, 2, 0, 1),
            (3, 1, 2, 2),
            (2, 3, 4, 3),
            (3, 5, 1, 1),
            (2, 4, 3, 2),
            (5, 3, 2, 1),
        ] {
            let axis = [len, kernel, step, padding, dilation];
            if dilation * (kernel - 1) < len + 2 * padding {
                cases.push(case(2, 1, 3, 5, &[axis]));
                cases.push(case(3, 2, 1, 1, &[axis]));
                cases.push(case(1, 3, 2, 3, &[axis, [5, 2, 2, 1, 1]]));
                cases.push(case(2, 1, 1, 2, &[[4, 3, 1, 1, 1], axis]));
            }
        }
    }
    cases.push(case(2, 2, 2, 3, &[[4, 2, 1, 0, 1], [5, 3, 2, 1, 1], [6, 2, 1, 1, 2]]));
    // Results whose last axis has one position, more than one panel, tile and task, and many small images.
    cases.push(case(2, 1, 20, 30, &[[40, 3, 1, 1, 1], [3, 3, 2, 0, 1]]));
    cases.push(case(1, 1, 40, 17, &[[33, 3, 1, 1, 1], [35, 3, 1, 1, 1]]));
    cases.push(case(70, 1, 3, 14, &[[6, 3, 1, 0, 1], [5, 3, 2, 1, 1]]));
    cases.push(case(9, 4, 1, 1, &[[14, 3, 1, 1, 1], [14, 3, 1, 1, 1]]));
    // Channels enough to be turned, and more weights than stay in a cache.
    cases.push(case(1, 2, 48, 49, &[[5, 4, 2, 1, 1], [6, 3, 1, 1, 2]]));
    cases.push(case(3, 1, 60, 50, &[[16, 11, 3, 2, 1]]));
    cases.push(case(1, 1, 48, 48, &[[2, 2, 1, 1, 1], [3, 2, 1, 0, 1], [5, 3, 2, 1, 1]]));
    cases.push(case(2, 1, 120, 45, &[[7, 3, 1, 1, 1], [7, 3, 1, 1, 1]]));
    for case in cases {
        for dtype in [DType::F32, DType::F64, DType::I64] {
            let all = operands(&case, dtype);
            for part in PARTS {
                let got = case.run(part, &all);
                assert_eq!((got.shape(), got.dtype()), (&case.shape(part), dtype));
                assert!(got.to_f64_vec() == case.naive(part, &all), "{part:?} {dtype} {case:?}");
            }
        }
    }
}

#[test]
fn every_layout_gives_the_same() {
    for case in [
        case(2, 2, 2, 3, &[[5, 3, 2, 1, 1], [6, 2, 1, 0, 1]]),
        case(2, 1, 3, 4, &[[4, 1, 1, 0, 1], [8, 1, 1, 0, 1]]),
        case(3, 2, 1, 1, &[[16, 3, 1, 1, 1]]),
        case(1, 2, 48, 48, &[[4, 4, 1, 2, 1], [3, 3, 2, 1, 1]]),
    ] {
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::I32] {
            let all = operands(&case, dtype);
            for part in PARTS {
                let want = case.run(part, &all);
                let [i, j] = others(part);
                for a in layouts(&all[i]) {
                    for b in layouts(&all[j]) {
                        let mut all = all.clone();
                        (all[i], all[j]) = (a.clone(), b);
                        assert!(bits(&case.run(part, &all)) == bits(&want), "{part:?} {dtype} {case:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_bits_depend_on_neither_threads_nor_the_instruction_set() {
    for case in [
        case(12, 1, 3, 16, &[[20, 3, 1, 1, 1], [32, 3, 1, 1, 1]]),
        case(9, 1, 40, 14, &[[16, 3, 2, 1, 1], [15, 3, 2, 1, 1]]),
        case(2, 1, 8, 33, &[[40, 3, 1, 2, 2], [41, 5, 3, 1, 1]]),
        case(5, 6, 1, 1, &[[30, 3, 1, 1, 1], [29, 3, 1, 1, 1]]),
        case(10, 1, 50, 30, &[[7, 1, 1, 0, 1], [7, 1, 1, 0, 1]]),
        case(1, 1, 2, 3, &[[20000, 7, 1, 3, 1]]),
        case(1, 1, 20, 150, &[[7, 3, 1, 1, 1], [7, 3, 1, 1, 1]]),
        case(2, 1, 130, 90, &[[8, 3, 2, 1, 1], [9, 3, 2, 1, 1]]),
        case(2, 1, 50, 64, &[[20, 4, 1, 2, 2], [7, 3, 2, 1, 1]]),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let all = PARTS.map(|part| noise(case.shape(part), 9, dtype));
            for part in PARTS {
                let got = same_everywhere(|| case.run(part, &all));
                let bound = if dtype == DType::F32 { 1e-4 } else { 1e-12 };
                for (a, b) in got.to_f64_vec().iter().zip(case.naive(part, &all)) {
                    assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{part:?} {dtype} {case:?}: {a} {b}");
                }
            }
        }
    }
}

/// More positions than are added up at a time.
#[test]
fn a_weight_of_many_channels_is_a_product_for_each_element_of_the_kernel() {
    let (channels, kernel, positions) = (48, 11, 4200);
    let case = case(1, 1, channels, channels, &[[positions + kernel - 1, kernel, 1, 0, 1]]);
    for (dtype, bound) in [(DType::F32, 1e-4), (DType::F64, 1e-12)] {
        let all = PARTS.map(|part| noise(case.shape(part), 5, dtype));
        let got = same_everywhere(|| case.run(Part::Weight, &all)).to_f64_vec();
        let (x, y) = (cast(&all[0], DType::F64), cast(&all[2], DType::F64));
        for k in 0..kernel {
            let want =
                matmul(&y, &x.slice(&[0, 0, k], &[1, channels, positions], &[1; 3]).permute(&[0, 2, 1])).to_f64_vec();
            for (i, want) in want.into_iter().enumerate() {
                let got = got[i * kernel + k];
                assert!((got - want).abs() <= bound * (1.0 + want.abs()), "{dtype} {i} {k}: {got} {want}");
            }
        }
    }
}

#[test]
fn an_example_has_the_bits_it_has_in_a_batch_and_a_group_those_it_has_alone() {
    for whole in [
        case(11, 3, 4, 5, &[[9, 3, 2, 1, 1], [7, 3, 1, 1, 1]]),
        case(3, 2, 60, 70, &[[9, 3, 2, 1, 1], [14, 3, 1, 1, 1]]),
    ] {
        parts_have_the_bits_of(&whole);
    }
}

fn parts_have_the_bits_of(whole: &Case) {
    let all = PARTS.map(|part| noise(whole.shape(part), 3, DType::F32));
    let cut = |x: &Array, axis: usize, at: usize, size: usize| {
        let mut starts = vec![0; x.ndim()];
        let mut sizes = x.shape().to_vec();
        (starts[axis], sizes[axis]) = (at, size);
        x.slice(&starts, &sizes, &vec![1; x.ndim()])
    };
    for part in PARTS {
        let results = whole.run(part, &all);
        for group in 0..whole.groups {
            let one = Case { groups: 1, ..whole.clone() };
            let of = |part: Part, x: &Array| match part {
                Part::Weight => cut(x, 0, group * whole.outputs, whole.outputs),
                Part::Input => cut(x, 1, group * whole.inputs, whole.inputs),
                Part::Output => cut(x, 1, group * whole.outputs, whole.outputs),
            };
            let own = [0, 1, 2].map(|i| of(PARTS[i], &all[i]));
            assert!(bits(&one.run(part, &own)) == bits(&of(part, &results)), "{part:?} of group {group}");
        }
        if part == Part::Weight {
            continue;
        }
        for n in 0..whole.examples {
            let one = Case { examples: 1, ..whole.clone() };
            let own = [0, 1, 2].map(|i| if i == 1 { all[i].clone() } else { cut(&all[i], 0, n, 1) });
            assert!(bits(&one.run(part, &own)) == bits(&cut(&results, 0, n, 1)), "{part:?} of example {n}");
        }
    }
}

#[test]
fn sums_of_nothing_are_zero() {
    let x = Array::full([0, 2, 4], 0.0, DType::F32);
    let y = Array::full([0, 3, 4], 0.0, DType::F32);
    let conv = Convolution { slides: [Slide { step: 1, padding: 1, dilation: 1 }].into_iter().collect(), groups: 1 };
    let w = conv.run(Part::Weight, &x, &y, &[3]);
    assert_eq!((w.shape(), w.to_f64_vec()), (&Shape::from([3, 2, 3]), vec![0.0; 18]));
    let w = Array::full([3, 2, 3], 1.0, DType::F32);
    assert_eq!(conv.run(Part::Output, &x, &w, &[4]).shape(), &Shape::from([0, 3, 4]));
    // A step so long that some elements meet no window.
    let conv = Convolution { slides: [Slide { step: 4, padding: 0, dilation: 1 }].into_iter().collect(), groups: 1 };
    let y = Array::from_slice(&[1f32, 2.0], [1, 1, 2]);
    let x = conv.run(Part::Input, &Array::from_slice(&[3f32], [1, 1, 1]), &y, &[6]);
    assert_eq!(x.to_f64_vec(), [3.0, 0.0, 0.0, 0.0, 6.0, 0.0]);
}
