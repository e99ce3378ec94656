//! The machine code of a stretch: a loop over groups of vectors, and one over what is left; or blocks of sums.

use super::assembler::{Assembler, General, Mask, Opcode, Operand, Predicate};
use super::held::{Held, Value};
use super::programs::Surroundings;
use super::stretch::{Instruction, MOST_BLOCKS, Place, REGISTERS, RowSum, Stretch};
use super::sums;
use crate::DType;
use crate::kernels::kernel::Arithmetic;
use crate::kernels::reduce::LANES;

/// Bytes of the constants that lie before the code of a stretch.
pub(super) const CONSTANTS: usize = 3 * size_of::<u64>();

/// 1, a number of which only the sign bit is set, and 0.
pub(super) fn constants(dtype: DType) -> [u64; 3] {
    match dtype {
        DType::F64 => [1.0f64.to_bits(), (-0.0f64).to_bits(), 0],
        _ => [1.0f32.to_bits().into(), (-0.0f32).to_bits().into(), 0],
    }
}

/// Vectors of each register of a program: they hide one another's latency.
pub(super) const fn unrolled(wide: bool) -> u8 {
    if wide { 4 } else { 2 }
}

/// Groups of vectors to a round of a loop.
pub(super) const STEPS: usize = 4;

/// How a program's registers lie in the array.
pub(super) struct Shape {
    pub wide: bool,
    /// True if values have one element for each row.
    narrow: bool,
    /// Bytes of a vector.
    pub vector: usize,
    /// Bytes done in a round of a loop.
    pub group: usize,
    /// Vectors of the lanes of a sum.
    pub lanes: u8,
}

impl Shape {
    /// None if a sum has more lanes than a register has vectors.
    pub fn of(stretch: &Stretch, wide: bool) -> Option<Shape> {
        let vector = Assembler::new(wide, stretch.dtype).vector();
        let lanes = (LANES * stretch.dtype.size() / vector) as u8;
        let fits = stretch.sums.is_empty() || lanes <= unrolled(wide);
        let group = STEPS * usize::from(unrolled(wide)) * vector;
        fits.then_some(Shape { wide, narrow: stretch.narrow, vector, group, lanes })
    }
}

/// A cell of which every so many steps are asked for, from a certain one on.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub cell: u16,
    pub first: usize,
    pub every: usize,
}

/// Where the address of a cell lies.
pub(super) fn address(cell: u16) -> i32 {
    i32::from(cell) * size_of::<*mut u8>() as i32
}

/// The instruction and the first operand, a constant, of what is one operation with one.
pub(super) fn constant_of(op: Arithmetic) -> Option<(Opcode, usize)> {
    match op {
        Arithmetic::Negative => Some((Opcode::XOR, 1)),
        Arithmetic::Absolute => Some((Opcode::ANDN, 1)),
        Arithmetic::Rectify => Some((Opcode::MAX, 2)),
        Arithmetic::Reciprocal | Arithmetic::ReciprocalSquareRoot => Some((Opcode::DIV, 0)),
        _ => None,
    }
}

/// The vector registers for what is needed within an instruction only: an operand that is repeated, and all else.
pub(super) fn spare(wide: bool) -> [u8; 2] {
    const { assert!(REGISTERS * unrolled(true) as usize <= 30 && REGISTERS * unrolled(false) as usize <= 14) };
    if wide { [30, 31] } else { [14, 15] }
}

/// The inside of a loop.
pub(super) struct Body<'a> {
    assembler: &'a mut Assembler,
    vectors: u8,
    shape: &'a Shape,
    held: &'a Held,
    around: &'a Surroundings<'a>,
    asks: &'a [Ask],
    /// Bytes from where `rsi` points to the elements of this step.
    offset: usize,
    /// Which vector of a sum's lanes the first one goes to.
    lane: u8,
}

impl<'a> Body<'a> {
    pub fn new(
        assembler: &'a mut Assembler,
        shape: &'a Shape,
        held: &'a Held,
        around: &'a Surroundings<'a>,
        asks: &'a [Ask],
    ) -> Body<'a> {
        Body { assembler, vectors: 1, shape, held, around, asks, offset: 0, lane: 0 }
    }

    /// All elements from `rsi` to `rdx` and on to `rcx`.
    pub fn all(&mut self, stretch: &Stretch) {
        for (vectors, end, steps) in [(unrolled(self.shape.wide), General::Rdx, STEPS), (1, General::Rcx, 1)] {
            self.vectors = vectors;
            let over = self.assembler.jump_unless_less(end);
            let again = self.assembler.code.len();
            (0..steps).for_each(|_| self.step(stretch));
            self.go_on();
            self.assembler.jump_if_less(end, again);
            self.assembler.land(over);
        }
    }

    /// A row from `rsi` on.
    pub fn row(&mut self, stretch: &Stretch) {
        let (row, size) = (self.around.row, stretch.dtype.size());
        if stretch.sums.is_empty() {
            let group = self.shape.group / size;
            let groups = row / group * group;
            if groups > 0 {
                self.assembler.set_beyond(General::Rdx, groups * size);
                let again = self.assembler.code.len();
                self.elements(stretch, group);
                self.go_on();
                self.assembler.jump_if_less(General::Rdx, again);
            }
            self.elements(stretch, row - groups);
            return self.go_on();
        }
        let chunk = MOST_BLOCKS * stretch.block;
        if row <= chunk {
            return self.sums(stretch, row, &sums::store_row);
        }
        let chunks = row / chunk * chunk;
        self.assembler.set(General::R10, 0);
        self.assembler.set_beyond(General::Rdx, chunks * size);
        let again = self.assembler.code.len();
        // The ends of sums take all registers; behind the row there need not be anything to read.
        self.held.bring_values(self.assembler);
        self.sums(stretch, chunk, &sums::store_chunk);
        self.assembler.advance(General::R10, size as isize);
        self.assembler.jump_if_less(General::Rdx, again);
        if chunks < row {
            self.held.bring_values(self.assembler);
            self.sums(stretch, row - chunks, &sums::store_chunk);
        }
        for sum in &stretch.sums {
            sums::combine_chunks(self.assembler, self.shape, sum, row.div_ceil(chunk));
            sums::store_row(self.assembler, sum);
        }
    }

    /// All instructions on the next so many elements, not more than a chunk, whose sums are stored.
    fn sums(&mut self, stretch: &Stretch, elements: usize, store: &dyn Fn(&mut Assembler, &RowSum)) {
        let blocks = elements / stretch.block * stretch.block;
        self.assembler.set(General::R9, 0);
        if blocks > 0 {
            self.assembler.set_beyond(General::Rcx, blocks * stretch.dtype.size());
            let again = self.assembler.code.len();
            self.block(stretch, stretch.block);
            self.assembler.jump_if_less(General::Rcx, again);
        }
        if blocks < elements {
            self.block(stretch, elements - blocks);
        }
        for sum in &stretch.sums {
            sums::combine_blocks(self.assembler, self.shape, sum, elements.div_ceil(stretch.block));
            store(self.assembler, sum);
        }
    }

    /// All instructions on the next so many elements: as many vectors at a time as there may be, or as a sum has, and then one by one,
    /// of which the last may be a part.
    fn elements(&mut self, stretch: &Stretch, elements: usize) {
        let (size, start) = (stretch.dtype.size(), self.offset);
        let width = self.shape.vector / size;
        let [most, some] = [unrolled(self.shape.wide), self.shape.lanes].map(|vectors| usize::from(vectors) * width);
        let mut left = elements;
        while left >= most || left >= some {
            let step = if left >= most { most } else { some };
            self.vectors = (step / width) as u8;
            self.step(stretch);
            left -= step;
        }
        self.vectors = 1;
        for lane in 0..left.div_ceil(width) {
            self.lane = lane as u8;
            self.assembler.in_tail = left < (lane + 1) * width;
            self.step(stretch);
        }
        (self.lane, self.assembler.in_tail) = (0, false);
        self.offset = start + elements * size;
    }

    /// All instructions on as many elements as the vectors have; the next step is on those after them.
    fn step(&mut self, stretch: &Stretch) {
        self.ask(stretch);
        stretch.program.iter().for_each(|&instruction| self.instruction(instruction));
        self.offset += usize::from(self.vectors) * self.shape.vector;
    }

    /// Lets `rsi` follow the steps.
    fn go_on(&mut self) {
        self.assembler.advance(General::Rsi, std::mem::take(&mut self.offset) as isize);
    }

    /// A block of so many elements, with the sums of its lanes. The processor goes ahead into the next one while these wait for one
    /// another; several blocks in turn would be as many places in memory, which it reads more slowly.
    fn block(&mut self, stretch: &Stretch, elements: usize) {
        let lanes = |body: &Body, sum: &RowSum| -> Vec<u8> {
            (0..body.shape.lanes).map(|v| body.register(sum.register, v)).collect()
        };
        for sum in &stretch.sums {
            // -0, which changes no bit of what is added to it.
            let zero = Operand::Here(size_of::<u64>());
            lanes(self, sum).into_iter().for_each(|register| self.assembler.broadcast(register, zero));
        }
        self.elements(stretch, elements);
        self.go_on();
        for sum in &stretch.sums {
            self.assembler.load_address(General::Rax, address(sum.lanes));
            for (v, register) in lanes(self, sum).into_iter().enumerate() {
                let displacement = (v * self.shape.vector) as i32;
                let to = Operand::Memory { base: General::Rax, index: General::R9, displacement };
                self.assembler.arithmetic(Opcode::STORE, register, 0, to);
            }
        }
        self.assembler.advance(General::R9, (usize::from(self.shape.lanes) * self.shape.vector) as isize);
    }

    /// Asks for what lies a distance beyond the elements of this step.
    fn ask(&mut self, stretch: &Stretch) {
        let distance = self.around.distance * stretch.dtype.size();
        let step = self.offset / (usize::from(unrolled(self.shape.wide)) * self.shape.vector);
        for ask in self.asks.iter().filter(|ask| step % ask.every == ask.first) {
            let held = self.held.addresses.iter().find(|held| held.0 == ask.cell);
            let base = held.map_or(General::Rax, |held| held.1);
            if held.is_none() {
                self.assembler.load_address(base, address(ask.cell));
            }
            for v in 0..self.vectors {
                let displacement = self.displacement(v) + distance as i32;
                self.assembler.ask_for(base, General::Rsi, displacement);
            }
        }
    }

    /// The vector register of a program's register.
    fn register(&self, register: u8, vector: u8) -> u8 {
        register * unrolled(self.shape.wide) + vector
    }

    /// Where a vector lies.
    fn displacement(&self, vector: u8) -> i32 {
        (self.offset + usize::from(vector) * self.shape.vector) as i32
    }

    fn spare(&self) -> [u8; 2] {
        spare(self.shape.wide)
    }

    pub fn instruction(&mut self, instruction: Instruction) {
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
                let opcode = if self.around.past.contains(&cell) { Opcode::STORE_PAST } else { Opcode::STORE };
                let to = self.operand(Place::Memory(cell));
                if self.shape.narrow {
                    let to = to(0, self);
                    return self.assembler.store_one(self.register(from, 0), to);
                }
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
                    match (op, x) {
                        (SquareRoot, _) => self.assembler.arithmetic(Opcode::SQRT, to, 0, x),
                        (ReciprocalSquareRoot, _) => {
                            self.assembler.arithmetic(Opcode::SQRT, to, 0, x);
                            self.with_constant(Opcode::DIV, 0, to, Operand::Register(to));
                        }
                        (Square, Operand::Register(from)) => self.assembler.arithmetic(Opcode::MUL, to, from, x),
                        (Square, _) => {
                            self.assembler.arithmetic(Opcode::LOAD, spare, 0, x);
                            self.assembler.arithmetic(Opcode::MUL, to, spare, Operand::Register(spare));
                        }
                        _ => {
                            let (opcode, constant) = constant_of(op).expect("an op of one operand");
                            self.with_constant(opcode, constant, to, x);
                            // The maximum of 0 and -0 is the second, of which the sum with 0 is 0.
                            if op == Rectify {
                                self.with_constant(Opcode::ADD, constant, to, Operand::Register(to));
                            }
                        }
                    }
                }
            }
            // Vector after vector, to the lanes in turn.
            Instruction::Sum(to, from) => {
                let from = self.operand(from);
                for v in 0..self.vectors {
                    let (to, from) = (self.register(to, (self.lane + v) % self.shape.lanes), from(v, self));
                    match self.assembler.in_tail {
                        false => self.assembler.arithmetic(Opcode::ADD, to, to, from),
                        true => self.assembler.arithmetic_where(Mask::Tail, Opcode::ADD, to, to, from),
                    }
                }
            }
            Instruction::Binary(op @ (Maximum | Minimum), to, x, y) => self.extreme(op == Maximum, to, x, y),
            Instruction::Binary(op, to, x, y) if op.is_comparison() => self.comparison(op, to, x, y),
            Instruction::Select(to, mask, x, y) => self.select(to, mask, x, y),
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

    /// The larger or the smaller of two values, to a register that holds neither.
    fn extreme(&mut self, largest: bool, to: u8, x: Place, y: Place) {
        let (x, y) = (self.operand(x), self.operand(y));
        let [brought, spare] = self.spare();
        for v in 0..self.vectors {
            // One of them at least is in a register.
            let [x, y] = [x(v, self), y(v, self)].map(|operand| self.brought(operand, brought));
            let to = self.register(to, v);
            if self.shape.wide {
                self.assembler.range(largest, to, x, y);
                self.assembler.find(Predicate::Unordered, spare, x, Operand::Register(y));
                self.assembler.arithmetic_where(Mask::Found, Opcode::ADD, to, x, Operand::Register(y));
                continue;
            }
            // Of zeros each instruction gives the second one.
            let (opcode, tie) = if largest { (Opcode::MAX, Opcode::AND) } else { (Opcode::MIN, Opcode::OR) };
            self.assembler.arithmetic(opcode, to, x, Operand::Register(y));
            self.assembler.arithmetic(opcode, spare, y, Operand::Register(x));
            self.assembler.arithmetic(tie, to, to, Operand::Register(spare));
            for operand in [y, x] {
                self.assembler.find(Predicate::Unordered, spare, operand, Operand::Register(operand));
                self.assembler.blend(to, spare, Operand::Register(operand), to);
            }
        }
    }

    /// The register of an operand, which is brought into this one if it has none.
    fn brought(&mut self, operand: Operand, register: u8) -> u8 {
        match operand {
            Operand::Register(its) => its,
            memory => {
                self.assembler.arithmetic(Opcode::LOAD, register, 0, memory);
                register
            }
        }
    }

    /// The mask of where a comparison of two values is true, of which one at least is in a register.
    fn comparison(&mut self, op: Arithmetic, to: u8, x: Place, y: Place) {
        let (left, right, swaps) = match (x, y) {
            (Place::Register(x), y) => (x, y, false),
            (x, Place::Register(y)) => (y, x, true),
            _ => unreachable!("one operand is in a register"),
        };
        let predicate = match op {
            Arithmetic::Equal => Predicate::Equal,
            Arithmetic::NotEqual => Predicate::NotEqual,
            Arithmetic::Less if swaps => Predicate::Greater,
            Arithmetic::LessEqual if swaps => Predicate::GreaterEqual,
            Arithmetic::Greater if swaps => Predicate::Less,
            Arithmetic::GreaterEqual if swaps => Predicate::LessEqual,
            Arithmetic::Less => Predicate::Less,
            Arithmetic::LessEqual => Predicate::LessEqual,
            Arithmetic::Greater => Predicate::Greater,
            Arithmetic::GreaterEqual => Predicate::GreaterEqual,
            _ => unreachable!("a comparison"),
        };
        let right = self.operand(right);
        for v in 0..self.vectors {
            let (to, left, right) = (self.register(to, v), self.register(left, v), right(v, self));
            self.assembler.compare(predicate, to, left, right);
        }
    }

    /// `x` where a mask has ones, `y` elsewhere, to a register that holds neither; one of them at least is in a register.
    fn select(&mut self, to: u8, mask: u8, x: Place, y: Place) {
        let (x, y) = (self.operand(x), self.operand(y));
        let [_, spare] = self.spare();
        for v in 0..self.vectors {
            let [to, mask] = [to, mask].map(|register| self.register(register, v));
            let (x, y) = (x(v, self), y(v, self));
            if self.shape.wide {
                if to != mask {
                    self.assembler.arithmetic(Opcode::LOAD, to, 0, Operand::Register(mask));
                }
                let x = self.brought(x, spare);
                self.assembler.choose(to, x, y);
            } else {
                let y = self.brought(y, spare);
                self.assembler.blend(to, mask, x, y);
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
            self.held.read(self.assembler, spare, constant);
        }
        self.assembler.arithmetic(opcode, to, first, x);
    }

    /// The register of a value that is the same for all vectors: its own, or the spare one, to which it is brought.
    fn value(&mut self, value: Value) -> u8 {
        let [spare, _] = self.spare();
        self.held.register(value).unwrap_or_else(|| {
            self.held.read(self.assembler, spare, value);
            spare
        })
    }

    /// The operand of each vector; what is repeated along a row is brought into the spare register, unless it is in one.
    fn operand(&mut self, place: Place) -> impl Fn(u8, &Body) -> Operand + use<> {
        let (mut base, mut repeated) = (General::Rax, self.spare()[0]);
        let index = if self.shape.narrow { General::R8 } else { General::Rsi };
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
            Place::Memory(_) => Operand::Memory { base, index, displacement: body.displacement(v) },
            Place::Repeated(_) | Place::Same(_) => Operand::Register(repeated),
        }
    }
}
