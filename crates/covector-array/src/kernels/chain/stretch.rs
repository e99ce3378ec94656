//! Stretches: arithmetic links that follow one another, computed in registers. A link by itself reads and writes the first-level
//! cache for each operation; in a stretch most values never leave a register.
//!
//! A stretch is a program of three-address instructions on a few registers, which [`super::native`] makes machine code of. It does
//! what the links' kernels do, in their order, so the bits are the same.

use std::ops::Range;

use super::{Call, LinkOp};
use crate::DType;
use crate::kernels::kernel::Arithmetic;
use crate::kernels::reduce::{BLOCK, LANES};

/// Registers of a program.
pub(super) const REGISTERS: usize = 7;

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a register.
    Register(u8),
    /// In the tile of a cell.
    Memory(u16),
    /// In a cell with an element for each row.
    Repeated(u16),
    /// In a cell whose elements are all the same.
    Same(u16),
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Reads memory into a register.
    Load(u8, Place),
    /// Writes a register to the tile of a cell.
    Store(u8, u16),
    /// Computes a result of one operand.
    Unary(Arithmetic, u8, Place),
    /// Computes a result of two operands, of which one at least is in a register.
    Binary(Arithmetic, u8, Place, Place),
    /// Chooses by the mask in the second register, as a comparison leaves it; one operand at least is in a register.
    Select(u8, u8, Place, Place),
    /// Adds the operand to the register, which keeps the lanes of a sum.
    Sum(u8, Place),
}

/// The sum of every row of a value: its lanes are kept in a register, and written block by block.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowSum {
    /// The register of the lanes.
    pub register: u8,
    /// The cell that the lanes of a row's blocks are written to.
    pub lanes: u16,
    /// The cell of the result, an element for each row.
    pub result: u16,
}

/// Calls that run as one program.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// The first call, and how many there are.
    pub first: usize,
    pub calls: usize,
    pub dtype: DType,
    pub program: Vec<Instruction>,
    pub sums: Vec<RowSum>,
    /// Elements of a block of a sum.
    pub block: usize,
    /// True if rows differ: an operand is repeated along each, or each is summed.
    pub by_rows: bool,
    /// True if values have one element for each row.
    pub narrow: bool,
}

/// A link of a stretch.
pub(super) struct Member {
    pub call: Call,
    /// For each operand the member that computes it.
    pub made_by: [Option<usize>; 3],
    /// True if somebody reads the result after the stretch.
    pub kept: bool,
}

/// Sums in a stretch, at most.
pub(super) const MOST_SUMS: usize = 3;

/// Blocks of a chunk of a row that is summed in a stretch, at most: code combines each by itself. And chunks of a row.
pub(super) const MOST_BLOCKS: usize = 64;
const MOST_CHUNKS: usize = 16;

/// Shorter rows are repeated in memory and summed by kernels for many at a time: to begin one costs more than its elements. Without
/// code that does all rows of a tile a kernel is called for each.
pub(super) const SHORTEST_ROW: usize = if cfg!(target_arch = "x86_64") { 8 } else { 128 };

/// Elements of the blocks that rows are summed by, of which the last may be shorter, if rows may be summed in a stretch.
pub(super) fn sum_block(row: usize) -> Option<usize> {
    (SHORTEST_ROW..=MOST_CHUNKS * MOST_BLOCKS * BLOCK).contains(&row).then_some(row.min(BLOCK))
}

/// Elements of the lanes of the blocks of a chunk of such a row, and of the sums of its chunks.
pub(super) fn sum_elements(row: usize) -> usize {
    let block = sum_block(row).unwrap_or(BLOCK);
    row.div_ceil(block).min(MOST_BLOCKS) * LANES + MOST_CHUNKS
}

/// True if every row is folded: what may stand in a stretch if it is a sum.
pub(super) fn is_fold(op: LinkOp) -> bool {
    matches!(op, LinkOp::Fold(_))
}

/// The arithmetic a link does, if it may stand in a stretch.
pub(super) fn arithmetic(op: LinkOp) -> Option<Arithmetic> {
    let LinkOp::Map(kernel) = op else { return None };
    let float = matches!(lanes(op, kernel.output()), DType::F32 | DType::F64);
    kernel.arithmetic().filter(|_| float)
}

/// The dtype that vector registers hold for an op with results of this dtype: comparisons leave masks as wide as their operands.
pub(super) fn lanes(op: LinkOp, dtype: DType) -> DType {
    match op {
        LinkOp::Map(kernel) => kernel.inputs()[kernel.inputs().len() - 1],
        _ => dtype,
    }
}

/// True if a link compares.
pub(super) fn is_comparison(op: LinkOp) -> bool {
    arithmetic(op).is_some_and(Arithmetic::is_comparison)
}

impl Stretch {
    /// The program of these links on rows of so many elements, of which the first is this call; cells from `scratch` on are
    /// free for the lanes of sums, and those named last have equal elements.
    pub fn new(first: usize, members: &[Member], row: usize, scratch: u16, same: &[u16]) -> Stretch {
        let mut left = vec![0usize; members.len()];
        members.iter().flat_map(|m| m.made_by).flatten().for_each(|j| left[j] += 1);
        let sums = members.iter().filter(|m| m.is_sum()).count();
        let narrow = members[0].call.reads_narrow;
        let mut writer = Writer {
            members,
            narrow,
            left,
            saved: vec![false; members.len()],
            held: vec![None; REGISTERS - sums],
            program: Vec::new(),
            sums: Vec::new(),
            scratch,
            same,
        };
        (0..members.len()).for_each(|i| writer.member(i));
        let by_rows = members.iter().any(|m| m.call.spread.is_some() || m.is_sum());
        let (program, sums) = (writer.program, writer.sums);
        let block = sum_block(row).unwrap_or(BLOCK);
        let dtype = lanes(members[0].call.op, members[0].call.dtype);
        Stretch { first, calls: members.len(), dtype, program, sums, block, by_rows, narrow }
    }

    /// The cells whose elements are read or written where they lie.
    pub fn touched(&self) -> impl Iterator<Item = u16> {
        let places = |instruction: &Instruction| match *instruction {
            Instruction::Load(_, x) | Instruction::Unary(_, _, x) | Instruction::Sum(_, x) => [x, x],
            Instruction::Store(_, cell) => [Place::Memory(cell); 2],
            Instruction::Binary(_, _, x, y) | Instruction::Select(_, _, x, y) => [x, y],
        };
        self.program.iter().flat_map(places).filter_map(|place| match place {
            Place::Memory(cell) => Some(cell),
            _ => None,
        })
    }
}

/// What is where while a program is written.
struct Writer<'a> {
    members: &'a [Member],
    narrow: bool,
    /// For each member how many operands still to come are its result.
    left: Vec<usize>,
    /// For each member whether its result is in its cell.
    saved: Vec<bool>,
    /// The member whose result each register holds.
    held: Vec<Option<usize>>,
    program: Vec<Instruction>,
    sums: Vec<RowSum>,
    scratch: u16,
    same: &'a [u16],
}

impl Member {
    fn is_sum(&self) -> bool {
        is_fold(self.call.op)
    }
}

impl Writer<'_> {
    fn member(&mut self, i: usize) {
        let member = &self.members[i];
        if member.is_sum() {
            return self.sum(member);
        }
        let op = arithmetic(member.call.op).expect("members are arithmetic");
        let mut places = [0, 1, 2].map(|k| self.place(member, k));
        // A mask, and one of two operands.
        if op == Arithmetic::Select {
            self.bring(&mut places, 0..1);
            self.bring(&mut places, 1..3);
        } else if op.operands() == 2 {
            self.bring(&mut places, 0..2);
        }
        member.made_by.into_iter().flatten().for_each(|j| self.left[j] -= 1);
        // An extreme reads its operands more than once; a selection overwrites the mask at most.
        let to = match op {
            Arithmetic::Maximum | Arithmetic::Minimum => self.free(&places),
            Arithmetic::Select => self.target(1, &places),
            _ => self.target(op.operands(), &places),
        };
        self.program.push(match op.operands() {
            1 => Instruction::Unary(op, to, places[0]),
            2 => Instruction::Binary(op, to, places[0], places[1]),
            _ => {
                let Place::Register(mask) = places[0] else { unreachable!("it was brought") };
                Instruction::Select(to, mask, places[1], places[2])
            }
        });
        self.held[usize::from(to)] = Some(i);
        if member.kept {
            self.save(usize::from(to));
        }
        self.forget();
    }

    /// Loads the first of these operands, if none of them is in a register.
    fn bring(&mut self, places: &mut [Place; 3], operands: Range<usize>) {
        let first = operands.start;
        if places[operands].iter().all(|place| !matches!(place, Place::Register(_))) {
            let to = self.free(places);
            self.program.push(Instruction::Load(to, places[first]));
            places[first] = Place::Register(to);
            self.held[usize::from(to)] = None;
        }
    }

    fn sum(&mut self, member: &Member) {
        let from = self.place(member, 0);
        let register = (REGISTERS - 1 - self.sums.len()) as u8;
        let lanes = self.scratch + self.sums.len() as u16;
        self.sums.push(RowSum { register, lanes, result: member.call.result });
        self.program.push(Instruction::Sum(register, from));
        member.made_by.into_iter().flatten().for_each(|j| self.left[j] -= 1);
        self.forget();
    }

    /// Where an operand of a member is.
    fn place(&self, member: &Member, k: usize) -> Place {
        let cell = member.call.operands[k];
        match member.made_by[k] {
            Some(j) => match self.held.iter().position(|&held| held == Some(j)) {
                Some(register) => Place::Register(register as u8),
                None => {
                    assert!(self.saved[j], "what left the registers was saved");
                    self.memory(cell)
                }
            },
            None if member.call.spread == Some(k as u8) => Place::Repeated(cell),
            None if self.same.contains(&cell) && !self.narrow => Place::Same(cell),
            None => self.memory(cell),
        }
    }

    /// The place of a cell: what is read of it is the row's element if values are narrow.
    fn memory(&self, cell: u16) -> Place {
        if self.narrow { Place::Repeated(cell) } else { Place::Memory(cell) }
    }

    /// The register for a result: that of one of the first operands which nobody reads again, or a free one.
    fn target(&mut self, operands: usize, places: &[Place]) -> u8 {
        let done = |place: &Place| match *place {
            Place::Register(r) if !self.is_needed(usize::from(r)) => Some(r),
            _ => None,
        };
        places[..operands].iter().find_map(done).unwrap_or_else(|| self.free(places))
    }

    /// A register that none of these operands is in; what it held is saved if somebody reads it again.
    fn free(&mut self, places: &[Place]) -> u8 {
        let others = || (0..self.held.len()).filter(|&r| !places.contains(&Place::Register(r as u8)));
        let empty = others().find(|&r| self.held[r].is_none());
        let r = empty.or_else(|| others().find(|&r| !self.is_needed(r))).or_else(|| others().next());
        let r = r.expect("more registers than operands");
        if self.is_needed(r) {
            self.save(r);
        }
        r as u8
    }

    /// True if what a register holds is read again, and is nowhere else.
    fn is_needed(&self, register: usize) -> bool {
        self.held[register].is_some_and(|j| self.left[j] > 0 && !self.saved[j])
    }

    fn save(&mut self, register: usize) {
        let j = self.held[register].expect("a register that holds something");
        if !std::mem::replace(&mut self.saved[j], true) {
            self.program.push(Instruction::Store(register as u8, self.members[j].call.result));
        }
    }

    /// Empties registers whose value nobody reads again.
    fn forget(&mut self) {
        let left = &self.left;
        for held in &mut self.held {
            *held = held.filter(|&j| left[j] > 0);
        }
    }
}
