//! The machine code of programs: of one stretch on any elements, or of several on all rows of a tile.

use super::assembler::{Assembler, General};
use super::code::{Ask, Body, STEPS, Shape, address, constants};
use super::held::{BASES, Held};
use super::stretch::Stretch;
use crate::DType;

/// What the code of a chain's stretches has in common.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Elements of a row.
    pub row: usize,
    /// How many cells there are; behind their addresses lie the bytes each is to stay behind after a row.
    pub cells: usize,
    /// The cells that may have to stay behind.
    pub may_stay: &'a [u16],
    /// The cells that are written past the caches.
    pub past: &'a [u16],
    /// The cells whose memory is asked for so many elements before its turn.
    pub ahead: &'a [u16],
    pub distance: usize,
}

/// The constants and the code of a stretch by itself, in which rows do not matter: from byte `rsi` of all cells to `rdx` in groups,
/// and from there to `rcx`.
pub(super) fn flat(stretch: &Stretch, shape: &Shape, around: &Surroundings) -> Vec<u8> {
    let mut assembler = begin(stretch.dtype, shape.wide);
    let held = Held::of(stretch, shape.wide, false);
    let borrowed: Vec<General> = held.addresses.iter().skip(1).map(|&(_, base)| base).collect();
    borrowed.iter().for_each(|&base| assembler.push(base));
    held.bring_addresses(&mut assembler);
    held.bring_values(&mut assembler);
    Body::new(&mut assembler, shape, &held, around, &[]).all(stretch);
    borrowed.iter().rev().for_each(|&base| assembler.pop(base));
    assembler.give_back();
    assembler.code
}

/// The constants and the code of stretches of one dtype, one after another on all rows: to byte `rsi` of narrow cells. And the
/// cells it asks for ahead.
pub(super) fn by_rows(stretches: &[(&Stretch, &Shape)], around: &Surroundings) -> (Vec<u8>, Vec<u16>) {
    let (first, shape) = stretches[0];
    let mut assembler = begin(first.dtype, shape.wide);
    let tail = around.row % (shape.vector / first.dtype.size());
    if tail > 0 {
        assembler.set_tail(tail);
    }
    BASES[1..].iter().for_each(|&base| assembler.push(base));
    // Where the rows end in narrow cells.
    assembler.push(General::Rsi);
    let all_held: Vec<Held> = stretches.iter().map(|(stretch, shape)| Held::of(stretch, shape.wide, true)).collect();
    let touched = |cell: &u16| all_held.iter().any(|held| held.addresses.iter().any(|(held, _)| held == cell));
    let wide = stretches.iter().filter(|(stretch, _)| !stretch.narrow).count();
    let asked: Vec<u16> = around.ahead.iter().copied().filter(touched).collect();
    let mut parts = Parts { done: 0, all: wide };
    for (&(stretch, shape), held) in stretches.iter().zip(&all_held) {
        held.bring_addresses(&mut assembler);
        assembler.set(General::Rsi, 0);
        assembler.set(General::R8, 0);
        let again = assembler.code.len();
        held.bring_values(&mut assembler);
        let asks = if stretch.narrow { Vec::new() } else { parts.next(&asked) };
        let mut body = Body::new(&mut assembler, shape, held, around, &asks);
        if stretch.narrow {
            stretch.program.iter().for_each(|&instruction| body.instruction(instruction));
        } else {
            body.row(stretch);
            for &(cell, base) in held.addresses.iter().filter(|(cell, _)| around.may_stay.contains(cell)) {
                assembler.subtract(base, address(cell) + address(around.cells as u16));
            }
        }
        assembler.advance(General::R8, stretch.dtype.size() as isize);
        assembler.jump_if_r8_less_than_pushed(again);
    }
    assembler.pop(General::Rax);
    BASES[1..].iter().rev().for_each(|&base| assembler.pop(base));
    assembler.give_back();
    (assembler.code, asked)
}

/// Which cells a stretch asks for: all of those of its program, spread over it, so that memory always has something to do.
struct Parts {
    /// Stretches so far, and in all.
    done: usize,
    all: usize,
}

impl Parts {
    /// Those of the next stretch.
    fn next(&mut self, cells: &[u16]) -> Vec<Ask> {
        let at = self.done;
        self.done += 1;
        let ask = |(i, &cell): (usize, &u16)| {
            let [start, end] = [i, i + 1].map(|i| i * self.all / cells.len());
            let every = 1 << (end - start).clamp(1, STEPS).ilog2();
            (start..start + every).contains(&at).then(|| Ask { cell, first: at - start, every })
        };
        cells.iter().enumerate().filter_map(ask).collect()
    }
}

/// An assembler that has written the constants.
fn begin(dtype: DType, wide: bool) -> Assembler {
    let mut assembler = Assembler::new(wide, dtype);
    assembler.code.extend(constants(dtype).iter().flat_map(|c| c.to_le_bytes()));
    assembler
}
