//! Machine code for stretches, written when a chain has run often or long enough to be worth it.
//!
//! Pages of code are written first and made executable then, never both. Where the system refuses that, or the processor has
//! no instructions of three vector operands, the links of a stretch run one by one as others do.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{Mmap, MmapMut};

use super::code::{CONSTANTS, Shape};
use super::programs::{Surroundings, by_rows, flat};
use super::stretch::Stretch;
use crate::DType;
use crate::isa::Isa;

/// Computes elements of all cells. The arguments of code for any elements: the cells; how many bytes behind each the first element
/// lies, the first one that is not done in groups of vectors, and the last. Of code for rows: the cells; how many bytes behind a cell
/// with an element for each row the rows end, and begin; and behind the others.
#[cfg(target_arch = "x86_64")]
type Entry = unsafe extern "sysv64" fn(*const *mut u8, usize, usize, usize);
/// There is no code for other processors.
#[cfg(not(target_arch = "x86_64"))]
type Entry = unsafe extern "C" fn(*const *mut u8, usize, usize, usize);

/// What a program's code does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any elements.
    Elements,
    /// Rows, as many as one likes.
    Row,
    /// All rows of a tile, in several loops, which ask for the memory of the next ones.
    Rows,
}

/// Calls that run as one piece of code.
#[derive(Debug)]
pub(super) struct Program {
    /// The first call, and how many there are.
    pub first: usize,
    pub calls: usize,
    pub kind: Kind,
    pub dtype: DType,
    /// Where its constants begin, and how many bytes are done together.
    entry: usize,
    group: usize,
}

/// The code of a chain's stretches.
#[derive(Debug)]
pub(super) struct Native {
    memory: Mmap,
    pub programs: Vec<Program>,
    /// Bytes of a vector.
    pub vector: usize,
    /// The cells that are written past the caches, and those whose next tiles the code asks for.
    pub past: Vec<u16>,
    pub asked: Vec<u16>,
}

/// Elements a chain must have run over before its code is written, links counted: writing it takes some microseconds.
static WORTH: AtomicUsize = AtomicUsize::new(1 << 17);

/// Lets chains write machine code after so many elements of their links (131,072 unless said otherwise); results do not
/// change. For tests, which run over few: 0 writes it at once.
pub fn write_code_after(elements: usize) {
    WORTH.store(elements, Ordering::Relaxed);
}

/// True if code is worth writing for a chain that has run over so many elements.
pub(super) fn is_worth(elements: usize) -> bool {
    elements >= WORTH.load(Ordering::Relaxed)
}

/// Bytes a call does at most, so that memory for what comes next can be asked for in between.
pub(super) const SPAN: usize = 2048;

/// The stretches that become programs, by their numbers: those that follow one another run as one.
pub(super) fn programs(stretches: &[Stretch], isa: Isa) -> Vec<Range<usize>> {
    if cfg!(not(target_arch = "x86_64")) || isa == Isa::Portable {
        return Vec::new();
    }
    let mut programs: Vec<Range<usize>> = Vec::new();
    for (i, stretch) in stretches.iter().enumerate() {
        if Shape::of(stretch, isa == Isa::Avx512).is_none() {
            continue;
        }
        let joins = |program: &&mut Range<usize>| {
            let last = &stretches[program.end - 1];
            program.end == i && last.first + last.calls == stretch.first && last.dtype == stretch.dtype
        };
        match programs.last_mut().filter(joins) {
            Some(program) => program.end += 1,
            None => programs.push(i..i + 1),
        }
    }
    // Single calls, and what reads and writes single elements, run as well without.
    programs.retain(|program| {
        let stretches = &stretches[program.clone()];
        stretches.iter().map(|stretch| stretch.calls).sum::<usize>() > 1 && !stretches.iter().all(|s| s.narrow)
    });
    programs
}

impl Native {
    /// The code of these stretches, which are [`programs`], if there are any and the system allows it.
    pub fn of(stretches: &[Stretch], ranges: &[Range<usize>], isa: Isa, around: &Surroundings) -> Option<Native> {
        let wide = isa == Isa::Avx512;
        let (mut code, mut programs): (Vec<u8>, _) = (Vec::new(), Vec::new());
        let (mut vector, mut asked) = (0, Vec::new());
        for range in ranges {
            let stretches = &stretches[range.clone()];
            let shapes = stretches.iter().map(|stretch| Shape::of(stretch, wide)).collect::<Option<Vec<_>>>()?;
            let (first, shape) = (&stretches[0], &shapes[0]);
            let kind = match stretches {
                [stretch] if !stretch.by_rows => Kind::Elements,
                _ if stretches.iter().filter(|stretch| !stretch.narrow).count() == 1 => Kind::Row,
                _ => Kind::Rows,
            };
            let (entry, calls) = (code.len(), stretches.iter().map(|stretch| stretch.calls).sum());
            if kind == Kind::Elements {
                code.extend(flat(first, shape, around));
            } else {
                let wanted = |cell: &u16| kind == Kind::Rows && !asked.contains(cell);
                let ahead: Vec<u16> = around.ahead.iter().copied().filter(wanted).collect();
                let around = Surroundings { ahead: &ahead, ..*around };
                let (rows, cells) = by_rows(&stretches.iter().zip(&shapes).collect::<Vec<_>>(), &around);
                code.extend(rows);
                asked.extend(cells);
            }
            code.resize(code.len().next_multiple_of(64), 0xCC);
            vector = shape.vector;
            programs.push(Program { first: first.first, calls, kind, dtype: first.dtype, entry, group: shape.group });
        }
        if programs.is_empty() {
            return None;
        }
        let mut memory = MmapMut::map_anon(code.len()).ok()?;
        memory.copy_from_slice(&code);
        Some(Native { memory: memory.make_exec().ok()?, programs, vector, past: around.past.to_vec(), asked })
    }

    /// Runs a program that does not do rows from one byte behind each cell to another: whole vectors.
    ///
    /// # Safety
    /// The processor must have the instruction set; cells must be readable, and those stored to writable, for those bytes, and what
    /// is stored may lie where another cell is read only if both begin there. Cells written past the caches must begin at lines, and
    /// [`finish`](crate::kernels::stream::finish) must follow before another thread may read them.
    pub unsafe fn run(&self, program: &Program, cells: &[*mut u8], range: Range<usize>) {
        let groups = range.len() / program.group * program.group;
        // SAFETY: the caller's promise.
        unsafe { (self.entry(program))(cells.as_ptr(), range.start, range.start + groups, range.end) };
    }

    /// Runs a program that does, on these rows of whole vectors. The cells are followed by the bytes each stays behind after a row.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    pub unsafe fn run_rows(&self, program: &Program, cells: &[*mut u8], rows: Range<usize>, row: usize) {
        let width = program.dtype.size();
        let [start, end] = [rows.start, rows.end].map(|row| row * width);
        // SAFETY: the caller's promise.
        unsafe { (self.entry(program))(cells.as_ptr(), end, start, start * row) };
    }

    /// Where a program's code begins.
    fn entry(&self, program: &Program) -> Entry {
        let at = self.memory[program.entry + CONSTANTS..].as_ptr();
        // SAFETY: code of that signature was written there, and the pages are executable.
        unsafe { std::mem::transmute::<*const u8, Entry>(at) }
    }

    /// True if a call is part of a program.
    pub fn does(&self, call: usize) -> bool {
        self.programs.iter().any(|program| (program.first..program.first + program.calls).contains(&call))
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::{Chain, Link, LinkOp, Source};
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

    const OPS: [Arithmetic; 13] = {
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
        ]
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
                        Arithmetic::Negative => Kernel::unary(|a: $t| -a),
                        Arithmetic::Absolute => Kernel::unary(|a: $t| a.abs()),
                        Arithmetic::Square => Kernel::unary(|a: $t| a * a),
                        Arithmetic::SquareRoot => Kernel::unary(|a: $t| a.sqrt()),
                        Arithmetic::Reciprocal => Kernel::unary(|a: $t| 1.0 / a),
                        Arithmetic::ReciprocalSquareRoot => Kernel::unary(|a: $t| 1.0 / a.sqrt()),
                    };
                    if known { kernel.known_as(op) } else { kernel }
                }

                fn on_one(op: Arithmetic, x: $t, y: $t) -> $t {
                    match op {
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
                    for i in 1..=count {
                        let op = OPS[dice.below(OPS.len())];
                        let mut source = |may_repeat: bool| match dice.below(4) {
                            0 => Source::Input(dice.below(3)),
                            1 if may_repeat => Source::Link(0),
                            _ if i > 1 => Source::Link(1 + (i - 1).saturating_sub(1 + dice.below(9)).min(i - 2)),
                            _ => Source::Input(0),
                        };
                        // Functions of one operand do not take what is repeated, and one operand at most may be.
                        let first = source(op.operands() == 2);
                        let mut sources: smallvec::SmallVec<[Source; 3]> = [first].into_iter().collect();
                        if op.operands() == 2 {
                            sources.push(source(first != Source::Link(0)));
                        }
                        links.push(Link {
                            op: LinkOp::Map(kernel(op, true)),
                            sources,
                            dtype: DType::$dtype,
                            narrow: false,
                        });
                    }
                    let mut outputs: Vec<usize> = (0..1 + dice.below(3)).map(|_| 1 + dice.below(count)).collect();
                    outputs.push(count);
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
                            let (rows, row) = (2, [128, 144, 256, 1040][round % 4]);
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
                            let mut cells: Vec<*mut u8> =
                                tiles.iter().map(|tile| tile.ptr::<u8>().cast_mut()).collect();
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
                                    _ => (0..rows).for_each(|i| native.run_rows(program, &cells, i..i + 1, row)),
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
                                    let [x, y] = [0, 1].map(|k| link.sources.get(k).map_or(0.0, read));
                                    let op = match link.op {
                                        LinkOp::Map(kernel) => kernel.arithmetic(),
                                        _ => None,
                                    };
                                    values.push(op.map_or(x, |op| on_one(op, x, y)));
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
                        let (isa, native) =
                            chains[0].native.get().expect("the chain has stretches, and ran often enough");
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
                let results =
                    crate::kernels::run_chain(&chain, [x.clone(), y.clone()].into_iter().collect(), n, &shapes);
                let past = chain.native.get().and_then(|(_, native)| native.as_ref()).map(|native| native.past.len());
                assert!(past.is_none_or(|past| known && past == 1), "the square is read by the sum");
                results.iter().map(crate::Array::to_vec::<f32>).collect::<Vec<_>>()
            });
            assert!(code == plain, "with both results: {both}");
        }
    }

    of_dtype!(of_f32, f32, F32);
    of_dtype!(of_f64, f64, F64);
}
