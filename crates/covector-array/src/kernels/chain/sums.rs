//! The ends of sums of rows in machine code: the lanes of each block are combined pairwise, and then the blocks, in the order of
//! [`reduce`](crate::kernels::reduce()). Code combines each block of a chunk by itself; longer rows are chunks one after another.

use super::assembler::{Assembler, General, Opcode, Operand, Shuffle};
use super::code::{Shape, address};
use super::stretch::{MOST_BLOCKS, RowSum};
use crate::kernels::reduce::LANES;

/// Combines the lanes of so many blocks to the first element of the first register. All vector registers are free.
pub(super) fn combine_blocks(assembler: &mut Assembler, shape: &Shape, sum: &RowSum, blocks: usize) {
    assembler.load_address(General::Rax, address(sum.lanes));
    assembler.set(General::R9, 0);
    Ends { assembler, shape }.tree(Leaf::Block, 0, blocks, 0);
}

/// Combines the sums of so many chunks in the same way.
pub(super) fn combine_chunks(assembler: &mut Assembler, shape: &Shape, sum: &RowSum, chunks: usize) {
    assembler.load_address(General::Rax, address(sum.lanes));
    Ends { assembler, shape }.tree(Leaf::Chunk, 0, chunks, 0);
}

/// Writes the first element of the first register as the sum of the chunk that `r10` stands at.
pub(super) fn store_chunk(assembler: &mut Assembler, sum: &RowSum) {
    assembler.load_address(General::Rax, address(sum.lanes));
    let displacement = chunk(assembler.element(), 0);
    assembler.store_one(0, Operand::Memory { base: General::Rax, index: General::R10, displacement });
}

/// Writes it as the sum of the row.
pub(super) fn store_row(assembler: &mut Assembler, sum: &RowSum) {
    assembler.load_address(General::Rax, address(sum.result));
    assembler.store_one(0, Operand::Memory { base: General::Rax, index: General::R8, displacement: 0 });
}

/// Where the sum of a chunk lies: behind the lanes of its blocks.
fn chunk(element: usize, i: usize) -> i32 {
    ((MOST_BLOCKS * LANES + i) * element) as i32
}

/// What a tree combines.
#[derive(Clone, Copy)]
enum Leaf {
    Block,
    Chunk,
}

struct Ends<'a> {
    assembler: &'a mut Assembler,
    shape: &'a Shape,
}

impl Ends<'_> {
    /// What so many leaves from the first one on combine to, in a register; those after it are free.
    fn tree(&mut self, leaf: Leaf, first: usize, leaves: usize, to: u8) {
        match (leaf, leaves) {
            (Leaf::Block, 1) => return self.block(first, to),
            (Leaf::Block, 4) if self.shape.wide && self.shape.lanes == 1 => return self.four_blocks(first, to),
            (Leaf::Chunk, 1) => return self.chunk(first, to),
            _ => {}
        }
        // Subtrees of equal size, as long as there are enough leaves.
        let left = if leaves.is_power_of_two() { leaves / 2 } else { 1 << leaves.ilog2() };
        self.tree(leaf, first, left, to);
        self.tree(leaf, first + left, leaves - left, to + 1);
        self.add(to, to, to + 1);
    }

    /// A chunk's sum, in all elements.
    fn chunk(&mut self, i: usize, to: u8) {
        let displacement = chunk(self.assembler.element(), i);
        self.assembler.broadcast(to, Operand::Memory { base: General::Rax, index: General::None, displacement });
    }

    fn add(&mut self, to: u8, left: u8, right: u8) {
        self.assembler.arithmetic(Opcode::ADD, to, left, Operand::Register(right));
    }

    /// Reads a vector of the lanes of a block.
    fn load(&mut self, block: usize, vector: u8, to: u8) {
        let displacement = ((block * usize::from(self.shape.lanes) + usize::from(vector)) * self.shape.vector) as i32;
        let from = Operand::Memory { base: General::Rax, index: General::R9, displacement };
        self.assembler.arithmetic(Opcode::LOAD, to, 0, from);
    }

    /// A block's sum, in all elements.
    fn block(&mut self, block: usize, to: u8) {
        self.load(block, 0, to);
        // Of two vectors, the elements of the second are half the lanes on.
        if self.shape.lanes == 2 {
            self.load(block, 1, to + 1);
            self.add(to, to, to + 1);
        }
        let wide_and_one = self.shape.wide && self.shape.lanes == 1;
        let steps: &[(Shuffle, u8)] = match self.shape.wide {
            true if wide_and_one => &[
                (Shuffle::Quarters, 0b01_00_11_10),
                (Shuffle::Quarters, 0b10_11_00_01),
                (Shuffle::Within, 0b01_00_11_10),
                (Shuffle::Within, 0b10_11_00_01),
            ],
            true => &[
                (Shuffle::Quarters, 0b01_00_11_10),
                (Shuffle::Quarters, 0b10_11_00_01),
                (Shuffle::Within, 0b0101_0101),
            ],
            false => &[(Shuffle::Quarters, 0b01), (Shuffle::Within, 0b01_00_11_10), (Shuffle::Within, 0b10_11_00_01)],
        };
        for &(shuffle, places) in steps {
            let left = if matches!(shuffle, Shuffle::Quarters) { to } else { 0 };
            self.assembler.shuffle(shuffle, to + 1, left, to, places);
            self.add(to, to, to + 1);
        }
    }

    /// The sum of four blocks, each a wide vector of lanes: halves and quarters of two side by side, then of all four.
    fn four_blocks(&mut self, first: usize, to: u8) {
        let [a, b, c, d, upper] = [to, to + 1, to + 2, to + 3, to + 4];
        for (i, register) in [a, b, c, d].into_iter().enumerate() {
            self.load(first + i, 0, register);
        }
        for (left, right, lower, higher) in [
            (a, b, 0b01_00_01_00, 0b11_10_11_10),
            (c, d, 0b01_00_01_00, 0b11_10_11_10),
            (a, c, 0b10_00_10_00, 0b11_01_11_01),
        ] {
            self.assembler.shuffle(Shuffle::Quarters, upper, left, right, higher);
            self.assembler.shuffle(Shuffle::Quarters, left, left, right, lower);
            self.add(left, left, upper);
        }
        // Within each quarter, which has the elements of one block; then those of neighbours, and what they gave.
        for places in [0b11_10_11_10, 0b01_01_01_01] {
            self.assembler.shuffle(Shuffle::Within, upper, 0, a, places);
            self.add(a, a, upper);
        }
        for places in [0b11_11_01_01, 0b10_10_10_10] {
            self.assembler.shuffle(Shuffle::Quarters, upper, a, a, places);
            self.add(a, a, upper);
        }
    }
}
