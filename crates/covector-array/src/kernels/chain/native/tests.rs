//! Code against the links it is made of.

use super::super::{Chain, Link, LinkOp, Room, Source};
use super::Kind;
use crate::DType;
use crate::isa::{Isa, set_isa};
use crate::kernels::kernel::Arithmetic;
use crate::kernels::{Kernel, Reduction};
use crate::math::Num;

/// Random numbers, by xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % n
    }
}

const OPS: [Arithmetic; 14] = {
    use Arithmetic::*;
    [
        Add,
        Subtract,
        Multiply,
        Divide,
        Maximum,
        Minimum,
        Negative,
        Absolute,
        Square,
        Rectify,
        SquareRoot,
        Reciprocal,
        ReciprocalSquareRoot,
        Select,
    ]
};
const COMPARISONS: [Arithmetic; 6] = {
    use Arithmetic::*;
    [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual]
};

macro_rules! of_dtype {
    ($name:ident, $t:ident, $dtype:ident) => {
        mod $name {
            use super::*;

            /// Known to do what it does, or not.
            fn kernel(op: Arithmetic, known: bool) -> Kernel {
                let kernel = match op {
                    Arithmetic::Add => Kernel::binary(|a: $t, b: $t| a + b),
                    Arithmetic::Subtract => Kernel::binary(|a: $t, b: $t| a - b),
                    Arithmetic::Multiply => Kernel::binary(|a: $t, b: $t| a * b),
                    Arithmetic::Divide => Kernel::binary(|a: $t, b: $t| a / b),
                    Arithmetic::Maximum => Kernel::binary(|a: $t, b: $t| Num::max(a, b)),
                    Arithmetic::Minimum => Kernel::binary(|a: $t, b: $t| Num::min(a, b)),
                    Arithmetic::Rectify => Kernel::unary(|a: $t| Num::max(a, 0.0)),
                    Arithmetic::Equal => Kernel::binary(|a: $t, b: $t| a == b),
                    Arithmetic::NotEqual => Kernel::binary(|a: $t, b: $t| a != b),
                    Arithmetic::Less => Kernel::binary(|a: $t, b: $t| a < b),
                    Arithmetic::LessEqual => Kernel::binary(|a: $t, b: $t| a <= b),
                    Arithmetic::Greater => Kernel::binary(|a: $t, b: $t| a > b),
                    Arithmetic::GreaterEqual => Kernel::binary(|a: $t, b: $t| a >= b),
                    Arithmetic::Select => Kernel::ternary(|c: bool, a: $t, b: $t| if c { a } else { b }),
                    Arithmetic::Negative => Kernel::unary(|a: $t| -a),
                    Arithmetic::Absolute => Kernel::unary(|a: $t| a.abs()),
                    Arithmetic::Square => Kernel::unary(|a: $t| a * a),
                    Arithmetic::SquareRoot => Kernel::unary(|a: $t| a.sqrt()),
                    Arithmetic::Reciprocal => Kernel::unary(|a: $t| 1.0 / a),
                    Arithmetic::ReciprocalSquareRoot => Kernel::unary(|a: $t| 1.0 / a.sqrt()),
                };
                if known { kernel.known_as(op) } else { kernel }
            }

            /// A mask counts as 0 or 1.
            fn on_one(op: Arithmetic, [x, y, z]: [$t; 3]) -> $t {
                let mask = |is_true: bool| <$t>::from(u8::from(is_true));
                match op {
                    Arithmetic::Equal => mask(x == y),
                    Arithmetic::NotEqual => mask(x != y),
                    Arithmetic::Less => mask(x < y),
                    Arithmetic::LessEqual => mask(x <= y),
                    Arithmetic::Greater => mask(x > y),
                    Arithmetic::GreaterEqual => mask(x >= y),
                    Arithmetic::Select => {
                        if x == 1.0 {
                            y
                        } else {
                            z
                        }
                    }
                    Arithmetic::Add => x + y,
                    Arithmetic::Subtract => x - y,
                    Arithmetic::Multiply => x * y,
                    Arithmetic::Divide => x / y,
                    Arithmetic::Maximum => Num::max(x, y),
                    Arithmetic::Minimum => Num::min(x, y),
                    Arithmetic::Rectify => Num::max(x, 0.0),
                    Arithmetic::Negative => -x,
                    Arithmetic::Absolute => x.abs(),
                    Arithmetic::Square => x * x,
                    Arithmetic::SquareRoot => x.sqrt(),
                    Arithmetic::Reciprocal => 1.0 / x,
                    Arithmetic::ReciprocalSquareRoot => 1.0 / x.sqrt(),
                }
            }

            /// A random chain over rows of `row` elements: three whole inputs, of which the last may be a number, one with an
            /// element for each row, and its first link repeats that.
            fn random(dice: &mut Dice, row: usize, number: bool) -> (Chain, Vec<usize>) {
                let count = 2 + dice.below(40);
                let repeat = Link {
                    op: LinkOp::Repeat,
                    sources: [Source::Input(3)].into_iter().collect(),
                    dtype: DType::$dtype,
                    narrow: false,
                };
                let mut links = vec![repeat];
                // The links that are numbers, and those that are masks, of which all are read by selections alone.
                let (mut numbers, mut masks): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
                while numbers.len() < count {
                    let chosen = OPS[dice.below(OPS.len())];
                    let fresh = chosen == Arithmetic::Select && (masks.is_empty() || dice.below(2) == 0);
                    let op = if fresh { COMPARISONS[dice.below(COMPARISONS.len())] } else { chosen };
                    let mut source = |may_repeat: bool| match dice.below(4) {
                        0 => Source::Input(dice.below(3)),
                        1 if may_repeat => Source::Link(0),
                        _ if !numbers.is_empty() => {
                            Source::Link(numbers[numbers.len() - 1 - dice.below(numbers.len().min(9))])
                        }
                        _ => Source::Input(0),
                    };
                    // Of two operands one may be what is repeated.
                    let first = source(op.operands() == 2);
                    let mut sources: smallvec::SmallVec<[Source; 3]> = [first].into_iter().collect();
                    if op.operands() == 2 {
                        sources.push(source(first != Source::Link(0)));
                    }
                    if op == Arithmetic::Select {
                        sources.push(source(false));
                        sources.insert(0, Source::Link(masks[dice.below(masks.len())]));
                    }
                    let dtype = if op.is_comparison() { DType::Bool } else { DType::$dtype };
                    links.push(Link { op: LinkOp::Map(kernel(op, true)), sources, dtype, narrow: false });
                    if op.is_comparison() { &mut masks } else { &mut numbers }.push(links.len() - 1);
                }
                let mut outputs: Vec<usize> = (0..1 + dice.below(3)).map(|_| numbers[dice.below(count)]).collect();
                outputs.push(numbers[count - 1]);
                outputs.sort_unstable();
                outputs.dedup();
                let narrow = vec![false, false, false, true];
                let numbers = if number { &[2][..] } else { &[] };
                (Chain::with_numbers(links, outputs.clone(), row, narrow, numbers), outputs)
            }

            #[test]
            fn code_gives_the_bits_of_the_links() {
                let mut dice = Dice(88172645463325252);
                for isa in [Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| set_isa(Isa::Avx512) >= isa) {
                    for round in 0..300 {
                        let whole = [256, 272, 128, 1040][round % 4];
                        // Wide vectors may be there in part.
                        let cut = if isa == Isa::Avx512 && whole > 128 { [0, 7, 0, 125, 1][round % 5] } else { 0 };
                        let (rows, row) = (2, whole - cut);
                        let has_number = round % 3 == 0;
                        let (chain, outputs) = random(&mut dice, row, has_number);
                        // In every second round, what nobody reads is written past the caches.
                        let number = |k: usize, i: usize| {
                            let i = if has_number && k == chain.registers.len() + 2 { 5 } else { i };
                            // Among others zeros of both signs, infinities and NaN.
                            let rare = [0.0, -0.0, <$t>::NAN, <$t>::INFINITY, -<$t>::INFINITY];
                            let at = (i * 7 + k * 3) % 23;
                            rare.get(at).copied().unwrap_or(((i * 7 + k * 3) as $t).sin() * 3.0)
                        };
                        let tile = |k: usize| {
                            let fill = |o: &mut [$t]| o.iter_mut().enumerate().for_each(|(i, v)| *v = number(k, i));
                            crate::Array::build::<$t>([rows * row].into(), fill)
                        };
                        let tiles: Vec<_> = (0..chain.registers.len() + 4 + outputs.len()).map(tile).collect();
                        let inputs: Vec<Vec<$t>> =
                            tiles[chain.registers.len()..][..4].iter().map(crate::Array::to_vec).collect();
                        let mut cells: Vec<*mut u8> = tiles.iter().map(|tile| tile.ptr::<u8>().cast_mut()).collect();
                        // All rows are different: no cell stays behind.
                        cells.resize(2 * cells.len(), std::ptr::null_mut());
                        let streamed = vec![round % 2 == 0; outputs.len()];
                        let native = chain.written(isa, &tiles[chain.registers.len()..][..4], rows, &streamed);
                        let native = native.expect("code can be written here");
                        let [program] = &native.programs[..] else { panic!("one program") };
                        assert_eq!(program.calls, chain.links.len() - 1);
                        // SAFETY: cells are tiles of that many elements; the processor has the instructions.
                        unsafe {
                            match program.kind {
                                Kind::Elements => native.run(program, &cells, 0..rows * row * size_of::<$t>()),
                                Kind::Rows => native.run_rows(program, &cells, rows),
                            }
                        }
                        crate::kernels::stream::finish();
                        let results: Vec<Vec<$t>> =
                            tiles[chain.registers.len() + 4..].iter().map(crate::Array::to_vec).collect();
                        for at in 0..rows * row {
                            let mut values: Vec<$t> = Vec::new();
                            for link in &chain.links {
                                let read = |source: &Source| match *source {
                                    Source::Input(3) => inputs[3][at / row],
                                    Source::Input(k) => inputs[k][at],
                                    Source::Link(j) => values[j],
                                };
                                let operands = [0, 1, 2].map(|k| link.sources.get(k).map_or(0.0, read));
                                let op = match link.op {
                                    LinkOp::Map(kernel) => kernel.arithmetic(),
                                    _ => None,
                                };
                                values.push(op.map_or(operands[0], |op| on_one(op, operands)));
                            }
                            for (k, &output) in outputs.iter().enumerate() {
                                let (got, wanted) = (results[k][at], values[output]);
                                let same = got.to_bits() == wanted.to_bits() || (got.is_nan() && wanted.is_nan());
                                assert!(same, "{isa:?}, round {round}, element {at}: {got} instead of {wanted}");
                            }
                        }
                    }
                }
            }

            #[test]
            fn any_number_of_elements_is_the_same_with_and_without_code() {
                // y + clip(x) and its square, with numbers for the ends; nobody else holds the inputs, so they are overwritten.
                use Source::{Input, Link as From};
                let chain = |known: bool| {
                    let link = |op: Arithmetic, sources: &[Source]| Link {
                        op: LinkOp::Map(kernel(op, known)),
                        sources: sources.iter().copied().collect(),
                        dtype: DType::$dtype,
                        narrow: false,
                    };
                    let links = vec![
                        link(Arithmetic::Maximum, &[Input(0), Input(1)]),
                        link(Arithmetic::Minimum, &[From(0), Input(2)]),
                        link(Arithmetic::Add, &[Input(3), From(1)]),
                        link(Arithmetic::Square, &[From(2)]),
                    ];
                    Chain::with_numbers(links, vec![2, 3], 1, vec![false; 4], &[1, 2])
                };
                crate::kernels::write_code_after(0);
                let chains = [chain(true), chain(false)];
                for n in [1, 3, 7, 8, 15, 16, 17, 31, 64, 65, 1000, 1003, 1024, 40_001, 300_007] {
                    let shape = crate::Shape::from([n]);
                    let filled = |k: usize| {
                        let number =
                            |i: usize| [0.0, -0.0, 7.5, <$t>::NAN, -3.0][(i * i + k * i) % 13 % 5] + i as $t / 64.0;
                        let fill = |o: &mut [$t]| o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i));
                        crate::Array::build::<$t>(shape.clone(), fill)
                    };
                    let same = |v: $t| crate::Array::build::<$t>([1].into(), |o| o[0] = v).broadcast_to(&shape);
                    let results = chains.each_ref().map(|chain| {
                        let inputs = [filled(0), same(-0.0), same(5.25), filled(1)].into_iter().collect();
                        let results = crate::kernels::run_chain(chain, inputs, n, &[&shape; 2]);
                        results.iter().map(crate::Array::to_bytes).collect::<Vec<_>>()
                    });
                    assert_eq!(results[0], results[1], "{n} elements");
                }
                let native = chains[0].native.get().and_then(|(_, native)| native.as_ref());
                assert!(native.is_none_or(|native| native.programs[0].kind == Kind::Elements));
            }

            #[test]
            fn a_number_that_is_overwritten_stays_the_same_to_the_end() {
                // x c - c: of what the chain reads, only the number, laid out in full, belongs to nobody else.
                use Source::{Input, Link as From};
                crate::kernels::write_code_after(0);
                let n = 300_007;
                let shape = crate::Shape::from([n]);
                let x = crate::Array::build::<$t>(shape.clone(), |o| {
                    o.iter_mut().enumerate().for_each(|(i, v)| *v = i as $t)
                });
                let [code, plain] = [true, false].map(|known| {
                    let link = |op: Arithmetic, sources: [Source; 2]| Link {
                        op: LinkOp::Map(kernel(op, known)),
                        sources: sources.into_iter().collect(),
                        dtype: DType::$dtype,
                        narrow: false,
                    };
                    let links = vec![
                        link(Arithmetic::Multiply, [Input(0), Input(1)]),
                        link(Arithmetic::Subtract, [From(0), Input(1)]),
                    ];
                    let chain = Chain::with_numbers(links, vec![1], 1, vec![false; 2], &[1]);
                    let number = crate::Array::build::<$t>(shape.clone(), |o| o.fill(3.0));
                    let inputs = [x.clone(), number].into_iter().collect();
                    crate::kernels::run_chain(&chain, inputs, n, &[&shape])[0].to_bytes()
                });
                assert!(code == plain);
            }

            #[test]
            fn masks_are_the_same_with_and_without_code() {
                // More masks at a time than there are registers, after one that is wanted and one that something else reads.
                use Source::{Input, Link as From};
                let link = |op: LinkOp, dtype: DType, sources: &[Source], narrow: bool| Link {
                    op,
                    sources: sources.iter().copied().collect(),
                    dtype,
                    narrow,
                };
                let chain = |known: bool, row: usize, narrow: bool| {
                    let map = |op: Arithmetic| LinkOp::Map(kernel(op, known));
                    let mut links = Vec::new();
                    for i in 0..12 {
                        let compared = [Input(i % 2), if i < 2 { Input(1 - i) } else { Input(2) }];
                        links.push(link(map(COMPARISONS[i % 6]), DType::Bool, &compared, narrow));
                    }
                    let mut last = Input(0);
                    for i in 0..10 {
                        let [x, y] = if i % 2 == 0 { [Input(i % 3), last] } else { [last, Input(i % 3)] };
                        links.push(link(map(Arithmetic::Select), DType::$dtype, &[From(2 + i), x, y], narrow));
                        let sum = [From(links.len() - 1), Input(i % 2)];
                        links.push(link(map(Arithmetic::Add), DType::$dtype, &sum, narrow));
                        last = From(links.len() - 1);
                    }
                    let not = LinkOp::Map(Kernel::unary(|c: bool| !c));
                    links.push(link(not, DType::Bool, &[From(1)], narrow));
                    Chain::new(links, vec![31, 0, 32], row, vec![narrow; 3])
                };
                crate::kernels::write_code_after(0);
                for (rows, row, narrow) in [(64 << 10, 1, false), (40, 256, false), (1024, 128, true)] {
                    let shape = crate::Shape::from([rows * if narrow { 1 } else { row }]);
                    let filled = |k: usize| {
                        let number = |i: usize| [0.0, -0.0, 1.0, <$t>::NAN][(i * i + k * i) % 7 % 4] * (k as $t - 1.5);
                        let fill = |o: &mut [$t]| o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i));
                        crate::Array::build::<$t>(shape.clone(), fill)
                    };
                    let [code, plain] = [true, false].map(|known| {
                        let chain = chain(known, row, narrow);
                        let inputs = (0..3).map(filled).collect();
                        // Of masks that stay in the registers there is room for all bits: some are written in between.
                        let stored =
                            chain.registers.iter().filter(|&&room| room == Room::Tile(1) || room == Room::Rows(1));
                        assert_eq!(stored.count(), if known { 1 } else { 11 });
                        let results = crate::kernels::run_chain(&chain, inputs, rows, &[&shape; 3]);
                        results.iter().map(crate::Array::to_bytes).collect::<Vec<_>>()
                    });
                    assert_eq!(code, plain, "{rows} x {row}");
                }
            }

            #[test]
            fn a_long_chain_is_the_same_with_and_without_code() {
                // Norms of rows, between folds; it runs often enough that code is written.
                let map = |op: Arithmetic, known: bool, sources: &[Source], narrow: bool| Link {
                    op: LinkOp::Map(kernel(op, known)),
                    sources: sources.iter().copied().collect(),
                    dtype: DType::$dtype,
                    narrow,
                };
                let other = |op: LinkOp, source: Source, narrow: bool| Link {
                    op,
                    sources: [source].into_iter().collect(),
                    dtype: DType::$dtype,
                    narrow,
                };
                use Arithmetic::*;
                use Source::{Input, Link as From};
                let chain = |known: bool, row: usize| {
                    let links = vec![
                        other(LinkOp::Fold(Reduction::Max), Input(0), true),
                        other(LinkOp::Repeat, From(0), false),
                        map(Subtract, known, &[Input(0), From(1)], false),
                        map(Square, known, &[From(2)], false),
                        other(LinkOp::Fold(Reduction::Sum), From(3), true),
                        other(LinkOp::Repeat, From(4), false),
                        map(Multiply, known, &[From(2), From(5)], false),
                        other(LinkOp::Fold(Reduction::Sum), From(6), true),
                        map(Multiply, known, &[From(6), Input(1)], false),
                        other(LinkOp::Fold(Reduction::Sum), From(8), true),
                        // What has one element for each row, in registers and in memory: more values than there are registers.
                        map(Square, known, &[From(9)], true),
                        map(Add, known, &[From(4), From(7)], true),
                        map(ReciprocalSquareRoot, known, &[From(4)], true),
                        map(Multiply, known, &[From(10), From(12)], true),
                        map(Negative, known, &[From(7)], true),
                        map(Divide, known, &[From(14), From(4)], true),
                        map(Subtract, known, &[From(9), Input(2)], true),
                        map(Reciprocal, known, &[Input(2)], true),
                        map(Absolute, known, &[From(9)], true),
                        map(Multiply, known, &[From(10), From(11)], true),
                        map(Add, known, &[From(19), From(13)], true),
                        map(Add, known, &[From(20), From(15)], true),
                        map(Add, known, &[From(21), From(16)], true),
                        map(Add, known, &[From(22), From(17)], true),
                        map(Add, known, &[From(23), From(18)], true),
                        map(Minimum, known, &[From(24), From(14)], true),
                        map(Maximum, known, &[From(25), From(12)], true),
                        other(LinkOp::Repeat, From(26), false),
                        map(Multiply, known, &[From(8), From(27)], false),
                        other(LinkOp::Fold(Reduction::Sum), Input(1), true),
                        other(LinkOp::Repeat, From(29), false),
                        map(Add, known, &[From(28), From(30)], false),
                    ];
                    Chain::new(links, vec![8, 7, 9, 26, 31], row, vec![false, false, true])
                };
                for (rows, row) in [
                    (300, 256),
                    (50, 1000),
                    (7, 1024),
                    (64, 16),
                    (30, 1280),
                    (9, 2560),
                    (40, 768),
                    (80, 128),
                    (90, 48),
                    (30, 240),
                    (9, 1536),
                    (3, 3328),
                    (70, 2048),
                    (3000, 3),
                    (900, 17),
                    (300, 65),
                    (80, 129),
                    (50, 1001),
                    (30, 1288),
                    (7, 4097),
                    (2, 16383),
                    (2, 16385),
                    (3, 40_000),
                    (2, 3 << 14),
                    (2, 150_001),
                ] {
                    let chains = [chain(true, row), chain(false, row)];
                    for round in 0..4 {
                        let results = chains.each_ref().map(|chain| {
                            let shape = crate::Shape::from([rows, row]);
                            let fresh = |k: usize| {
                                let number = |i: usize| ((i + k) as $t * 0.37).sin();
                                crate::Array::build::<$t>(shape.clone(), |o| {
                                    o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i))
                                })
                            };
                            let once = |x: crate::Array| x.slice(&[0, 0], &[1, row], &[1, 1]).broadcast_to(&shape);
                            // Nobody else holds the inputs: one is overwritten by the result. In two rounds the rows of
                            // the other are all the same.
                            let other = if round % 2 == 0 { fresh(1) } else { once(fresh(1)) };
                            let narrow = crate::Shape::from([rows]);
                            let each = crate::Array::build::<$t>(narrow.clone(), |o| {
                                o.iter_mut().enumerate().for_each(|(i, v)| *v = 1.5 + (i as $t).cos())
                            });
                            let inputs = [fresh(0), other, each].into_iter().collect();
                            let shapes = [&shape, &narrow, &narrow, &narrow, &shape];
                            let results = crate::kernels::run_chain(chain, inputs, rows, &shapes);
                            results.iter().map(crate::Array::to_bytes).collect::<Vec<_>>()
                        });
                        assert_eq!(results[0], results[1], "{rows} x {row}, round {round}");
                    }
                    // It was code that ran, with sums and values for each row in one program.
                    let (isa, native) = chains[0].native.get().expect("the chain has stretches, and ran often enough");
                    if *isa == Isa::Avx512 && row.is_multiple_of(256) {
                        let kinds: Vec<Kind> = native.iter().flat_map(|n| &n.programs).map(|p| p.kind).collect();
                        assert!(kinds.contains(&Kind::Rows), "{rows} x {row}: {kinds:?}");
                    }
                }
            }
        }
    };
}
#[test]
fn results_too_large_for_the_caches_are_the_same() {
    // x · x + y: of 28 megabytes, in code written past the caches, where nobody else reads what is written.
    let n = 7 << 20;
    let array = |k: usize| {
        crate::Array::build::<f32>([n].into(), |o| {
            o.iter_mut().enumerate().for_each(|(i, v)| *v = ((i * 7 + k) % 1009) as f32 * 0.37)
        })
    };
    let (x, y) = (array(0), array(5));
    for both in [false, true] {
        let chain = |known: bool| {
            let [times, plus] = [Kernel::binary(|a: f32, b: f32| a * b), Kernel::binary(|a: f32, b: f32| a + b)];
            let as_known = |kernel: Kernel, op| if known { kernel.known_as(op) } else { kernel };
            let link = |kernel: Kernel, sources: [Source; 2]| Link {
                op: LinkOp::Map(kernel),
                sources: sources.into_iter().collect(),
                dtype: DType::F32,
                narrow: false,
            };
            let square = link(as_known(times, Arithmetic::Multiply), [Source::Input(0); 2]);
            let sum = link(as_known(plus, Arithmetic::Add), [Source::Link(0), Source::Input(1)]);
            Chain::new(vec![square, sum], if both { vec![0, 1] } else { vec![1] }, 1, vec![false; 2])
        };
        let shape = crate::Shape::from([n]);
        let shapes = vec![&shape; 1 + usize::from(both)];
        let [code, plain] = [true, false].map(|known| {
            let chain = chain(known);
            let results = crate::kernels::run_chain(&chain, [x.clone(), y.clone()].into_iter().collect(), n, &shapes);
            let past = chain.native.get().and_then(|(_, native)| native.as_ref()).map(|native| native.past.len());
            assert!(past.is_none_or(|past| known && past == 1), "the square is read by the sum");
            results.iter().map(crate::Array::to_vec::<f32>).collect::<Vec<_>>()
        });
        assert!(code == plain, "with both results: {both}");
    }
}

/// Memory of a file that ends where the elements do, with pages behind it that no process can read.
#[cfg(target_os = "linux")]
fn up_to_a_page_that_is_not_there(elements: &[f32]) -> (memmap2::MmapMut, usize) {
    const PAGE: usize = 4096;
    let whole = size_of_val(elements).next_multiple_of(PAGE);
    let path = std::env::temp_dir().join(format!("covector-{}-{:p}", std::process::id(), elements));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.set_len(whole as u64).unwrap();
    // SAFETY: nobody else has the file.
    let mut memory = unsafe { memmap2::MmapOptions::new().len(whole + PAGE).map_mut(&file).unwrap() };
    let first = whole - size_of_val(elements);
    for (to, x) in memory[first..whole].chunks_exact_mut(4).zip(elements) {
        to.copy_from_slice(&x.to_ne_bytes());
    }
    (memory, first)
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_read_behind_the_end_of_a_row() {
    // Σ x c, where c is a number that is laid out in full; rows of whole chunks, of vectors, and of neither.
    use Source::{Input, Link as From};
    for isa in [Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| set_isa(Isa::Avx512) >= isa) {
        for row in [16, 1001, 1024, 2 << 14, (2 << 14) + 5].into_iter().filter(|row| isa == Isa::Avx512 || row % 8 == 0)
        {
            let times = Kernel::binary(|a: f32, b: f32| a * b).known_as(Arithmetic::Multiply);
            let link = |op: LinkOp, sources: &[Source], narrow: bool| Link {
                op,
                sources: sources.iter().copied().collect(),
                dtype: DType::F32,
                narrow,
            };
            let links = vec![
                link(LinkOp::Map(times), &[Input(0), Input(1)], false),
                link(LinkOp::Fold(Reduction::Sum), &[From(0)], true),
            ];
            let chain = Chain::with_numbers(links, vec![0, 1], row, vec![false; 2], &[1]);
            let x: Vec<f32> = (0..row).map(|i| (i as f32).sin()).collect();
            let (mut inputs, zeros) =
                ([&x, &vec![3.0; row]].map(|v| up_to_a_page_that_is_not_there(v)), vec![0.0; row]);
            let (mut product, at) = up_to_a_page_that_is_not_there(&zeros);
            let mut scratch: Vec<Vec<u64>> =
                chain.registers.iter().map(|room| vec![0; room.bytes(1, row) / 8]).collect();
            let mut sum = [0f32];
            let mut cells: Vec<*mut u8> = scratch.iter_mut().map(|room| room.as_mut_ptr().cast()).collect();
            cells.extend(inputs.iter_mut().map(|(memory, first)| memory[*first..].as_mut_ptr()));
            cells.extend([product[at..].as_mut_ptr(), sum.as_mut_ptr().cast()]);
            cells.resize(2 * cells.len(), std::ptr::null_mut());
            let array = crate::Array::from_slice(&x, [row]);
            let native = chain.written(isa, &[array.clone(), array], 1, &[false; 2]).expect("code can be written here");
            // SAFETY: cells are as long as a row, or as their rooms; the processor has the instructions.
            unsafe { native.run_rows(&native.programs[0], &cells, 1) };
            let products: Vec<f32> = x.iter().map(|v| v * 3.0).collect();
            let wanted = crate::kernels::reduce(Reduction::Sum, &crate::Array::from_slice(&products, [row]), &[0]);
            assert_eq!(sum.as_slice(), wanted.to_vec::<f32>(), "{isa:?}, {row}");
        }
    }
}

of_dtype!(of_f32, f32, F32);
of_dtype!(of_f64, f64, F64);
