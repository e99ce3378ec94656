//! Machine code for stretches, written when a chain has run often or long enough to be worth it.
//!
//! Pages of code are written first and made executable then, never both. Where the system refuses that, or the processor has
//! no instructions of three vector operands, the links of a stretch run one by one as others do.

use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{Mmap, MmapMut};

use super::assembler::{Assembler, General, Opcode, Operand};
use super::stretch::{Instruction, Place, REGISTERS, RowSum, Stretch};
use crate::DType;
use crate::isa::Isa;
use crate::kernels::kernel::Arithmetic;
use crate::kernels::reduce::LANES;

/// Computes elements of all cells. The arguments: the cells; how many bytes behind each the first element lies, the first
/// that is not done in groups of vectors, and the last; where the elements lie in cells with one for each row, and the
/// lanes in theirs.
#[cfg(target_arch = "x86_64")]
pub(super) type Entry = unsafe extern "sysv64" fn(*const *mut u8, usize, usize, usize, usize, usize);
/// There is no code for other processors.
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Entry = unsafe extern "C" fn(*const *mut u8, usize, usize, usize, usize, usize);

/// The code of a chain's stretches.
#[derive(Debug)]
pub(super) struct Native {
    memory: Mmap,
    /// Where each begins, and how many bytes are done together.
    entries: Vec<(usize, usize)>,
    /// Bytes of a vector.
    pub vector: usize,
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

/// Vectors of each register of a program: they hide one another's latency.
const fn unrolled(wide: bool) -> u8 {
    if wide { 4 } else { 2 }
}

impl Native {
    /// The code of these stretches, if the instruction set and the system allow it.
    pub fn of(stretches: &[Stretch], isa: Isa) -> Option<Native> {
        if cfg!(not(target_arch = "x86_64")) || isa == Isa::Portable || stretches.is_empty() {
            return None;
        }
        let wide = isa == Isa::Avx512;
        let (mut code, mut entries) = (Vec::new(), Vec::new());
        for stretch in stretches {
            let shape = Shape::of(stretch, wide)?;
            entries.push((code.len(), shape.group));
            code.extend(emit(stretch, &shape));
            code.resize(code.len().next_multiple_of(64), 0xCC);
        }
        let mut memory = MmapMut::map_anon(code.len()).ok()?;
        memory.copy_from_slice(&code);
        let vector = Assembler::new(wide, DType::F32).vector();
        Some(Native { memory: memory.make_exec().ok()?, entries, vector })
    }

    /// Runs a stretch from one byte behind each cell to another: whole vectors. Cells with an element for each row are
    /// read `row` bytes behind.
    ///
    /// # Safety
    /// The processor must have the instruction set; cells must be readable, and those stored to writable, for those bytes, and what
    /// is stored may lie where another cell is read only if both begin there.
    pub unsafe fn run(&self, stretch: usize, cells: &[*mut u8], range: std::ops::Range<usize>, row: usize) {
        let group = self.entries[stretch].1;
        let groups = range.len() / group * group;
        // SAFETY: the caller's promise.
        unsafe { (self.entry(stretch))(cells.as_ptr(), range.start, range.start + groups, range.end, row, 0) };
    }

    /// Where a stretch's code begins.
    fn entry(&self, stretch: usize) -> Entry {
        let constants = 2 * size_of::<u64>();
        let at = self.memory[self.entries[stretch].0 + constants..].as_ptr();
        // SAFETY: code of that signature was written there, and the pages are executable.
        unsafe { std::mem::transmute::<*const u8, Entry>(at) }
    }
}

/// Constants of a stretch lie before its code: 1, and a number of which only the sign bit is set.
fn constants(dtype: DType) -> [u64; 2] {
    match dtype {
        DType::F64 => [1.0f64.to_bits(), (-0.0f64).to_bits()],
        _ => [1.0f32.to_bits().into(), (-0.0f32).to_bits().into()],
    }
}

/// How a program's registers lie in the array.
struct Shape {
    wide: bool,
    /// Bytes of a vector.
    vector: usize,
    /// Vectors of a register that lie side by side; the next ones are a block further on.
    side_by_side: usize,
    /// Bytes of a block: the vectors of a sum that lie side by side are its lanes.
    block: usize,
    /// Bytes of all vectors of a register, through all steps of a block.
    group: usize,
}

impl Shape {
    /// None if a sum has more lanes than a register has vectors.
    fn of(stretch: &Stretch, wide: bool) -> Option<Shape> {
        let vector = Assembler::new(wide, stretch.dtype).vector();
        let vectors = usize::from(unrolled(wide));
        let width = stretch.dtype.size();
        if stretch.sums.is_empty() {
            let group = vectors * vector;
            return Some(Shape { wide, vector, side_by_side: vectors, block: group, group });
        }
        let (block, side_by_side) = (stretch.block * width, LANES * width / vector);
        let group = vectors / side_by_side * block;
        (group > 0).then_some(Shape { wide, vector, side_by_side, block, group })
    }

    /// Where a vector of a register lies.
    fn displacement(&self, vector: u8) -> i32 {
        let vector = usize::from(vector);
        (vector / self.side_by_side * self.block + vector % self.side_by_side * self.vector) as i32
    }
}

fn emit(stretch: &Stretch, shape: &Shape) -> Vec<u8> {
    let mut assembler = Assembler::new(shape.wide, stretch.dtype);
    assembler.code.extend(constants(stretch.dtype).iter().flat_map(|c| c.to_le_bytes()));
    let single = if stretch.sums.is_empty() { 1 } else { shape.side_by_side as u8 };
    for (vectors, end) in [(unrolled(shape.wide), General::Rdx), (single, General::Rcx)] {
        let over = assembler.jump_unless_less(end);
        let again = assembler.code.len();
        let mut body = Body { assembler: &mut assembler, vectors, shape };
        if stretch.sums.is_empty() {
            stretch.program.iter().for_each(|&instruction| body.instruction(instruction));
            assembler.advance(usize::from(vectors) * shape.vector);
        } else {
            body.block(stretch);
            assembler.advance((usize::from(vectors) / shape.side_by_side - 1) * shape.block);
        }
        assembler.jump_if_less(end, again);
        assembler.land(over);
    }
    assembler.give_back();
    assembler.code
}

/// Where the address of a cell lies.
fn address(cell: u16) -> i32 {
    i32::from(cell) * size_of::<*mut u8>() as i32
}

/// The inside of a loop.
struct Body<'a> {
    assembler: &'a mut Assembler,
    vectors: u8,
    shape: &'a Shape,
}

impl Body<'_> {
    /// A block of each vector, with the sums of its lanes.
    fn block(&mut self, stretch: &Stretch) {
        let lanes = |body: &Body, sum: &RowSum| -> Vec<u8> {
            (0..body.vectors).map(|v| body.register(sum.register, v)).collect()
        };
        for sum in &stretch.sums {
            // -0, which changes no bit of what is added to it.
            let zero = Operand::Here(size_of::<u64>());
            lanes(self, sum).into_iter().for_each(|register| self.assembler.broadcast(register, zero));
        }
        self.assembler.set_r10(self.shape.block);
        let again = self.assembler.code.len();
        stretch.program.iter().for_each(|&instruction| self.instruction(instruction));
        self.assembler.advance(self.shape.side_by_side * self.shape.vector);
        self.assembler.jump_if_less(General::R10, again);
        for sum in &stretch.sums {
            self.assembler.load_address(address(sum.lanes));
            for (v, register) in lanes(self, sum).into_iter().enumerate() {
                let displacement = (v * self.shape.vector) as i32;
                let to = Operand::Memory { index: General::R9, displacement };
                self.assembler.arithmetic(Opcode::STORE, register, 0, to);
            }
        }
        self.assembler.advance_r9(usize::from(self.vectors) * self.shape.vector);
    }

    /// The vector register of a program's register.
    fn register(&self, register: u8, vector: u8) -> u8 {
        register * unrolled(self.shape.wide) + vector
    }

    /// The vector registers for what is needed within an instruction only: an operand that is repeated, and all else.
    fn spare(&self) -> [u8; 2] {
        const { assert!(REGISTERS * unrolled(true) as usize <= 30 && REGISTERS * unrolled(false) as usize <= 14) };
        if self.shape.wide { [30, 31] } else { [14, 15] }
    }

    fn instruction(&mut self, instruction: Instruction) {
        use Arithmetic::*;
        match instruction {
            Instruction::Load(to, from) => {
                let from = self.operand(from);
                for v in 0..self.vectors {
                    let to = self.register(to, v);
                    let from = from(v, self);
                    self.assembler.arithmetic(Opcode::LOAD, to, 0, from);
                }
            }
            Instruction::Store(from, cell) => {
                let to = self.operand(Place::Memory(cell));
                for v in 0..self.vectors {
                    let (from, to) = (self.register(from, v), to(v, self));
                    self.assembler.arithmetic(Opcode::STORE, from, 0, to);
                }
            }
            Instruction::Unary(op, to, x) => {
                let x = self.operand(x);
                let [_, spare] = self.spare();
                for v in 0..self.vectors {
                    let (to, x) = (self.register(to, v), x(v, self));
                    match op {
                        SquareRoot => self.assembler.arithmetic(Opcode::SQRT, to, 0, x),
                        Square => {
                            self.assembler.arithmetic(Opcode::LOAD, spare, 0, x);
                            self.assembler.arithmetic(Opcode::MUL, to, spare, Operand::Register(spare));
                        }
                        Negative => self.with_constant(Opcode::XOR, 1, to, x),
                        Absolute => self.with_constant(Opcode::ANDN, 1, to, x),
                        Reciprocal => self.with_constant(Opcode::DIV, 0, to, x),
                        Add | Subtract | Multiply | Divide => unreachable!("an op of two operands"),
                    }
                }
            }
            Instruction::Sum(to, from) => self.binary(Opcode::ADD, to, to, Place::Register(from)),
            Instruction::Binary(op, to, x, y) => {
                let opcode = match op {
                    Add => Opcode::ADD,
                    Subtract => Opcode::SUB,
                    Multiply => Opcode::MUL,
                    Divide => Opcode::DIV,
                    _ => unreachable!("an op of one operand"),
                };
                let swaps = matches!(op, Add | Multiply);
                match (x, y) {
                    (Place::Register(x), y) => self.binary(opcode, to, x, y),
                    (x, Place::Register(y)) if swaps => self.binary(opcode, to, y, x),
                    (x, Place::Register(y)) => {
                        let (x, [_, spare]) = (self.operand(x), self.spare());
                        for v in 0..self.vectors {
                            let (to, y, x) = (self.register(to, v), self.register(y, v), x(v, self));
                            self.assembler.arithmetic(Opcode::LOAD, spare, 0, x);
                            self.assembler.arithmetic(opcode, to, spare, Operand::Register(y));
                        }
                    }
                    _ => unreachable!("one operand is in a register"),
                }
            }
        }
    }

    fn binary(&mut self, opcode: Opcode, to: u8, x: u8, y: Place) {
        let y = self.operand(y);
        for v in 0..self.vectors {
            let (to, x, y) = (self.register(to, v), self.register(x, v), y(v, self));
            self.assembler.arithmetic(opcode, to, x, y);
        }
    }

    /// `to = constant op x`
    fn with_constant(&mut self, opcode: Opcode, constant: usize, to: u8, x: Operand) {
        let [_, spare] = self.spare();
        self.assembler.broadcast(spare, Operand::Here(constant * size_of::<u64>()));
        self.assembler.arithmetic(opcode, to, spare, x);
    }

    /// The operand of each vector; what is repeated along a row is brought into the spare register.
    fn operand(&mut self, place: Place) -> impl Fn(u8, &Body) -> Operand + use<> {
        match place {
            Place::Register(_) => {}
            Place::Memory(at) => self.assembler.load_address(address(at)),
            Place::Repeated(at) => {
                self.assembler.load_address(address(at));
                let [spare, _] = self.spare();
                self.assembler.broadcast(spare, Operand::Memory { index: General::R8, displacement: 0 });
            }
        }
        move |v, body| match place {
            Place::Register(r) => Operand::Register(body.register(r, v)),
            Place::Memory(_) => Operand::Memory { index: General::Rsi, displacement: body.shape.displacement(v) },
            Place::Repeated(_) => Operand::Register(body.spare()[0]),
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::{Chain, Link, LinkOp, Source};
    use super::*;
    use crate::isa::{Isa, set_isa};
    use crate::kernels::{Kernel, Reduction};

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

    const OPS: [Arithmetic; 9] = {
        use Arithmetic::*;
        [Add, Subtract, Multiply, Divide, Negative, Absolute, Square, SquareRoot, Reciprocal]
    };

    macro_rules! of_dtype {
        ($name:ident, $t:ident, $dtype:ident) => {
            mod $name {
                use super::*;

                fn kernel(op: Arithmetic) -> Kernel {
                    let kernel = match op {
                        Arithmetic::Add => Kernel::binary(|a: $t, b: $t| a + b),
                        Arithmetic::Subtract => Kernel::binary(|a: $t, b: $t| a - b),
                        Arithmetic::Multiply => Kernel::binary(|a: $t, b: $t| a * b),
                        Arithmetic::Divide => Kernel::binary(|a: $t, b: $t| a / b),
                        Arithmetic::Negative => Kernel::unary(|a: $t| -a),
                        Arithmetic::Absolute => Kernel::unary(|a: $t| a.abs()),
                        Arithmetic::Square => Kernel::unary(|a: $t| a * a),
                        Arithmetic::SquareRoot => Kernel::unary(|a: $t| a.sqrt()),
                        Arithmetic::Reciprocal => Kernel::unary(|a: $t| 1.0 / a),
                    };
                    kernel.known_as(op)
                }

                fn on_one(op: Arithmetic, x: $t, y: $t) -> $t {
                    match op {
                        Arithmetic::Add => x + y,
                        Arithmetic::Subtract => x - y,
                        Arithmetic::Multiply => x * y,
                        Arithmetic::Divide => x / y,
                        Arithmetic::Negative => -x,
                        Arithmetic::Absolute => x.abs(),
                        Arithmetic::Square => x * x,
                        Arithmetic::SquareRoot => x.sqrt(),
                        Arithmetic::Reciprocal => 1.0 / x,
                    }
                }

                /// A random chain over rows of `row` elements: three whole inputs, one with an element for each row, and its
                /// first link repeats that.
                fn random(dice: &mut Dice, row: usize) -> (Chain, Vec<usize>) {
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
                        links.push(Link { op: LinkOp::Map(kernel(op)), sources, dtype: DType::$dtype, narrow: false });
                    }
                    let mut outputs: Vec<usize> = (0..1 + dice.below(3)).map(|_| 1 + dice.below(count)).collect();
                    outputs.push(count);
                    outputs.sort_unstable();
                    outputs.dedup();
                    let narrow = vec![false, false, false, true];
                    (Chain::new(links, outputs.clone(), row, narrow), outputs)
                }

                #[test]
                fn code_gives_the_bits_of_the_links() {
                    let mut dice = Dice(88172645463325252);
                    for isa in [Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| set_isa(Isa::Avx512) >= isa) {
                        for round in 0..300 {
                            let (rows, row) = (2, [128, 144, 256, 1040][round % 4]);
                            let (chain, outputs) = random(&mut dice, row);
                            let native = Native::of(&chain.stretches, isa).expect("code can be written here");
                            let mut tiles = vec![vec![0.0 as $t; rows * row]; chain.registers + 4 + outputs.len()];
                            for (k, tile) in tiles[chain.registers..].iter_mut().take(4).enumerate() {
                                let number = |i: usize| ((i * 7 + k * 3) as $t).sin() * 3.0;
                                tile.iter_mut().enumerate().for_each(|(i, v)| *v = number(i));
                            }
                            let inputs: Vec<Vec<$t>> = tiles[chain.registers..][..4].to_vec();
                            let cells: Vec<*mut u8> = tiles.iter_mut().map(|t| t.as_mut_ptr().cast()).collect();
                            let [stretch] = &chain.stretches[..] else { panic!("one stretch") };
                            assert_eq!(stretch.calls, chain.links.len() - 1);
                            for i in 0..rows {
                                let width = size_of::<$t>();
                                let range = i * row * width..(i + 1) * row * width;
                                // SAFETY: cells are tiles of that many elements; the processor has the instructions.
                                unsafe { native.run(0, &cells, range, i * width) };
                            }
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
                                    let (got, wanted) = (tiles[chain.registers + 4 + k][at], values[output]);
                                    let same = got.to_bits() == wanted.to_bits() || (got.is_nan() && wanted.is_nan());
                                    assert!(same, "{isa:?}, round {round}, element {at}: {got} instead of {wanted}");
                                }
                            }
                        }
                    }
                }

                #[test]
                fn a_long_chain_is_the_same_with_and_without_code() {
                    // A norm of rows, between folds; it runs often enough that code is written.
                    let map = |op: Arithmetic, known: bool, sources: &[Source], narrow: bool| {
                        let plain = Kernel::binary(|a: $t, b: $t| a * b);
                        let kernel = match op {
                            Arithmetic::Multiply if !known => plain,
                            Arithmetic::Subtract if !known => Kernel::binary(|a: $t, b: $t| a - b),
                            Arithmetic::Square if !known => Kernel::unary(|a: $t| a * a),
                            _ => kernel(op),
                        };
                        Link {
                            op: LinkOp::Map(kernel),
                            sources: sources.iter().copied().collect(),
                            dtype: DType::$dtype,
                            narrow,
                        }
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
                        ];
                        Chain::new(links, vec![8, 7, 9], row, vec![false; 2])
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
                    ] {
                        let chains = [chain(true, row), chain(false, row)];
                        for _ in 0..4 {
                            let results = chains.each_ref().map(|chain| {
                                let shape = crate::Shape::from([rows, row]);
                                let fresh = |k: usize| {
                                    let number = |i: usize| ((i + k) as $t * 0.37).sin();
                                    crate::Array::build::<$t>(shape.clone(), |o| {
                                        o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i))
                                    })
                                };
                                // Nobody else holds the inputs: one is overwritten by the result.
                                let inputs = [fresh(0), fresh(1)].into_iter().collect();
                                let narrow = crate::Shape::from([rows]);
                                let results =
                                    crate::kernels::run_chain(chain, inputs, rows, &[&shape, &narrow, &narrow]);
                                results.iter().map(crate::Array::to_bytes).collect::<Vec<_>>()
                            });
                            assert_eq!(results[0], results[1], "{rows} x {row}");
                        }
                    }
                }
            }
        };
    }
    of_dtype!(of_f32, f32, F32);
    of_dtype!(of_f64, f64, F64);
}
