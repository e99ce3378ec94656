//! What stays in registers throughout the code of a stretch: addresses, and numbers that are the same for all elements.

use super::assembler::{Assembler, General, Operand};
use super::code::{address, constant_of, spare, unrolled};
use super::stretch::{Instruction, Place, REGISTERS, Stretch};

/// A number that is the same throughout a call.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// The element of a cell for the row.
    Repeated(u16),
    /// The element of a cell that is all of them.
    Same(u16),
    /// A constant, by its number.
    Constant(usize),
}

/// What stays in registers throughout a call, as far as there are any left: loads are what loops have most of.
pub(super) struct Held {
    pub addresses: Vec<(u16, General)>,
    values: Vec<(Value, u8)>,
    /// The index of an element of cells that have equal ones.
    any: General,
}

/// Registers for addresses; all but the first are somebody else's and given back.
pub(super) const BASES: [General; 7] =
    [General::R11, General::Rbx, General::Rbp, General::R12, General::R13, General::R14, General::R15];

impl Held {
    /// For code of a stretch that does rows in turn if `by_rows`, else any elements.
    pub fn of(stretch: &Stretch, wide: bool, by_rows: bool) -> Held {
        let (mut cells, mut values, mut used) = (Vec::new(), Vec::new(), 0);
        // What is written is not what was read before.
        let written = |cell: u16| stretch.program.iter().any(|i| matches!(*i, Instruction::Store(_, to) if to == cell));
        let mut place = |place: Place| match place {
            Place::Register(_) => {}
            Place::Memory(cell) => cells.push(cell),
            Place::Repeated(cell) if written(cell) => {}
            Place::Repeated(cell) => values.push(Value::Repeated(cell)),
            Place::Same(cell) => values.push(Value::Same(cell)),
        };
        for &instruction in &stretch.program {
            match instruction {
                Instruction::Load(_, from) => place(from),
                Instruction::Store(_, cell) => place(Place::Memory(cell)),
                Instruction::Unary(_, _, x) => place(x),
                Instruction::Binary(_, _, x, y) => [x, y].into_iter().for_each(&mut place),
                Instruction::Select(_, _, x, y) => [x, y].into_iter().for_each(&mut place),
                Instruction::Sum(_, from) => place(from),
            }
            match instruction {
                Instruction::Load(to, _)
                | Instruction::Unary(_, to, _)
                | Instruction::Binary(_, to, _, _)
                | Instruction::Select(to, ..) => used = used.max(to + 1),
                Instruction::Store(..) | Instruction::Sum(..) => {}
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
            // Cells of rows that are all the same stay behind, and lie where the others are read.
            any: if by_rows { General::Rsi } else { General::None },
        }
    }

    /// Fills the registers of addresses.
    pub fn bring_addresses(&self, assembler: &mut Assembler) {
        self.addresses.iter().for_each(|&(cell, base)| assembler.load_address(base, address(cell)));
    }

    /// Fills the registers of values.
    pub fn bring_values(&self, assembler: &mut Assembler) {
        self.values.iter().for_each(|&(value, register)| self.read(assembler, register, value));
    }

    /// Brings a value into all elements of a register.
    pub fn read(&self, assembler: &mut Assembler, register: u8, value: Value) {
        let (cell, index) = match value {
            Value::Constant(constant) => {
                return assembler.broadcast(register, Operand::Here(constant * size_of::<u64>()));
            }
            Value::Repeated(cell) => (cell, General::R8),
            Value::Same(cell) => (cell, self.any),
        };
        assembler.load_address(General::Rax, address(cell));
        assembler.broadcast(register, Operand::Memory { base: General::Rax, index, displacement: 0 });
    }

    /// The register a value is in.
    pub fn register(&self, value: Value) -> Option<u8> {
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
