//! The machine code of a stretch: a loop over groups of vectors, and one over what is left.

use super::assembler::{Assembler, General, Opcode, Operand};
use super::stretch::{Instruction, Place, REGISTERS, RowSum, Stretch};
use crate::DType;
use crate::kernels::kernel::Arithmetic;
use crate::kernels::reduce::LANES;

/// Bytes of the constants that lie before the code of a stretch.
pub(super) const CONSTANTS: usize = 2 * size_of::<u64>();

/// 1, and a number of which only the sign bit is set.
fn constants(dtype: DType) -> [u64; 2] {
    match dtype {
        DType::F64 => [1.0f64.to_bits(), (-0.0f64).to_bits()],
        _ => [1.0f32.to_bits().into(), (-0.0f32).to_bits().into()],
    }
}

/// Vectors of each register of a program: they hide one another's latency.
const fn unrolled(wide: bool) -> u8 {
    if wide { 4 } else { 2 }
}

/// How a program's registers lie in the array.
pub(super) struct Shape {
    wide: bool,
    /// Bytes of a vector.
    pub vector: usize,
    /// Vectors of a register that lie side by side; the next ones are a block further on.
    side_by_side: usize,
    /// Bytes of a block: the vectors of a sum that lie side by side are its lanes.
    block: usize,
    /// Bytes of all vectors of a register, through all steps of a block.
    pub group: usize,
}

impl Shape {
    /// None if a sum has more lanes than a register has vectors.
    pub fn of(stretch: &Stretch, wide: bool) -> Option<Shape> {
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

/// The constants and the code of a stretch, which writes these cells past the caches.
pub(super) fn emit(stretch: &Stretch, shape: &Shape, past: &[u16]) -> Vec<u8> {
    let mut assembler = Assembler::new(shape.wide, stretch.dtype);
    assembler.code.extend(constants(stretch.dtype).iter().flat_map(|c| c.to_le_bytes()));
    let held = Held::of(stretch, shape.wide);
    held.bring(&mut assembler);
    let single = if stretch.sums.is_empty() { 1 } else { shape.side_by_side as u8 };
    for (vectors, end) in [(unrolled(shape.wide), General::Rdx), (single, General::Rcx)] {
        let over = assembler.jump_unless_less(end);
        let again = assembler.code.len();
        let mut body = Body { assembler: &mut assembler, vectors, shape, held: &held, past };
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
    held.give_back(&mut assembler);
    assembler.give_back();
    assembler.code
}

/// Where the address of a cell lies.
fn address(cell: u16) -> i32 {
    i32::from(cell) * size_of::<*mut u8>() as i32
}

/// A number that is the same throughout a call.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    /// The element of a cell for the row.
    Repeated(u16),
    /// The element of a cell that is all of them.
    Same(u16),
    /// A constant, by its number.
    Constant(usize),
}

/// What stays in registers throughout a call, as far as there are any left: loads are what loops have most of.
struct Held {
    addresses: Vec<(u16, General)>,
    values: Vec<(Value, u8)>,
}

/// Registers for addresses; all but the first are somebody else's and given back.
const BASES: [General; 7] =
    [General::R11, General::Rbx, General::Rbp, General::R12, General::R13, General::R14, General::R15];

impl Held {
    fn of(stretch: &Stretch, wide: bool) -> Held {
        let (mut cells, mut values, mut used) = (Vec::new(), Vec::new(), 0);
        let mut place = |place: Place| match place {
            Place::Register(_) => {}
            Place::Memory(cell) => cells.push(cell),
            Place::Repeated(cell) => values.push(Value::Repeated(cell)),
            Place::Same(cell) => values.push(Value::Same(cell)),
        };
        for &instruction in &stretch.program {
            match instruction {
                Instruction::Load(_, from) => place(from),
                Instruction::Store(_, cell) => place(Place::Memory(cell)),
                Instruction::Unary(_, _, x) => place(x),
                Instruction::Binary(_, _, x, y) => [x, y].into_iter().for_each(&mut place),
                Instruction::Sum(..) => {}
            }
            if let Instruction::Load(to, _) | Instruction::Unary(_, to, _) | Instruction::Binary(_, to, _, _) =
                instruction
            {
                used = used.max(to + 1);
            }
        }
        let constant = |instruction: &Instruction| match *instruction {
            Instruction::Unary(op, ..) => constant_of(op).map(|(_, constant)| Value::Constant(constant)),
            _ => None,
        };
        values.extend(stretch.program.iter().filter_map(constant));
        // What no register of the program and no sum needs.
        let sums = REGISTERS as u8 - stretch.sums.len() as u8;
        let free =
            (used * unrolled(wide)..sums * unrolled(wide)).chain(REGISTERS as u8 * unrolled(wide)..spare(wide)[0]);
        Held {
            addresses: distinct(cells).into_iter().zip(BASES).collect(),
            values: distinct(values).into_iter().zip(free).collect(),
        }
    }

    /// The registers that are somebody else's.
    fn borrowed(&self) -> impl DoubleEndedIterator<Item = General> {
        self.addresses.iter().skip(1).map(|&(_, base)| base)
    }

    /// Fills the registers.
    fn bring(&self, assembler: &mut Assembler) {
        self.borrowed().for_each(|base| assembler.push(base));
        self.addresses.iter().for_each(|&(cell, base)| assembler.load_address(base, address(cell)));
        self.values.iter().for_each(|&(value, register)| read(assembler, register, value));
    }

    fn give_back(&self, assembler: &mut Assembler) {
        self.borrowed().rev().for_each(|base| assembler.pop(base));
    }

    /// The register a value is in.
    fn register(&self, value: Value) -> Option<u8> {
        self.values.iter().find(|(held, _)| *held == value).map(|&(_, register)| register)
    }
}

/// Each element once, in order of first appearance.
fn distinct<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for x in all {
        if !kept.contains(&x) {
            kept.push(x);
        }
    }
    kept
}

/// Brings a value into all elements of a register.
fn read(assembler: &mut Assembler, register: u8, value: Value) {
    match value {
        Value::Constant(constant) => assembler.broadcast(register, Operand::Here(constant * size_of::<u64>())),
        Value::Repeated(cell) => {
            assembler.load_address(General::Rax, address(cell));
            let from = Operand::Memory { base: General::Rax, index: General::R8, displacement: 0 };
            assembler.broadcast(register, from);
        }
        // As good as any element: the one that the loop comes to next, which lies where it reads others.
        Value::Same(cell) => {
            assembler.load_address(General::Rax, address(cell));
            let from = Operand::Memory { base: General::Rax, index: General::Rsi, displacement: 0 };
            assembler.broadcast(register, from);
        }
    }
}

/// The instruction and the first operand, a constant, of what is one operation with one.
fn constant_of(op: Arithmetic) -> Option<(Opcode, usize)> {
    match op {
        Arithmetic::Negative => Some((Opcode::XOR, 1)),
        Arithmetic::Absolute => Some((Opcode::ANDN, 1)),
        Arithmetic::Reciprocal => Some((Opcode::DIV, 0)),
        _ => None,
    }
}

/// The vector registers for what is needed within an instruction only: an operand that is repeated, and all else.
fn spare(wide: bool) -> [u8; 2] {
    const { assert!(REGISTERS * unrolled(true) as usize <= 30 && REGISTERS * unrolled(false) as usize <= 14) };
    if wide { [30, 31] } else { [14, 15] }
}

/// The inside of a loop.
struct Body<'a> {
    assembler: &'a mut Assembler,
    vectors: u8,
    shape: &'a Shape,
    held: &'a Held,
    past: &'a [u16],
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
            self.assembler.load_address(General::Rax, address(sum.lanes));
            for (v, register) in lanes(self, sum).into_iter().enumerate() {
                let displacement = (v * self.shape.vector) as i32;
                let to = Operand::Memory { base: General::Rax, index: General::R9, displacement };
                self.assembler.arithmetic(Opcode::STORE, register, 0, to);
            }
        }
        self.assembler.advance_r9(usize::from(self.vectors) * self.shape.vector);
    }

    /// The vector register of a program's register.
    fn register(&self, register: u8, vector: u8) -> u8 {
        register * unrolled(self.shape.wide) + vector
    }

    fn spare(&self) -> [u8; 2] {
        spare(self.shape.wide)
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
                let opcode = if self.past.contains(&cell) { Opcode::STORE_PAST } else { Opcode::STORE };
                let to = self.operand(Place::Memory(cell));
                for v in 0..self.vectors {
                    let (from, to) = (self.register(from, v), to(v, self));
                    self.assembler.arithmetic(opcode, from, 0, to);
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
                        _ => {
                            let (opcode, constant) = constant_of(op).expect("an op of one operand");
                            self.with_constant(opcode, constant, to, x);
                        }
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
        let constant = Value::Constant(constant);
        let first = self.held.register(constant).unwrap_or(spare);
        if first == spare {
            read(self.assembler, spare, constant);
        }
        self.assembler.arithmetic(opcode, to, first, x);
    }

    /// The register of a value that is the same for all vectors: its own, or the spare one, to which it is brought.
    fn value(&mut self, value: Value) -> u8 {
        let [spare, _] = self.spare();
        self.held.register(value).unwrap_or_else(|| {
            read(self.assembler, spare, value);
            spare
        })
    }

    /// The operand of each vector; what is repeated along a row is brought into the spare register, unless it is in one.
    fn operand(&mut self, place: Place) -> impl Fn(u8, &Body) -> Operand + use<> {
        let (mut base, mut repeated) = (General::Rax, self.spare()[0]);
        match place {
            Place::Register(_) => {}
            Place::Memory(cell) => match self.held.addresses.iter().find(|held| held.0 == cell) {
                Some(held) => base = held.1,
                None => self.assembler.load_address(base, address(cell)),
            },
            Place::Repeated(cell) => repeated = self.value(Value::Repeated(cell)),
            Place::Same(cell) => repeated = self.value(Value::Same(cell)),
        }
        move |v, body| match place {
            Place::Register(r) => Operand::Register(body.register(r, v)),
            Place::Memory(_) => Operand::Memory { base, index: General::Rsi, displacement: body.shape.displacement(v) },
            Place::Repeated(_) | Place::Same(_) => Operand::Register(repeated),
        }
    }
}
