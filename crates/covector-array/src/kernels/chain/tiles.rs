//! The work on a piece of rows: tile by tile, all links on one before the next.

use std::ops::Range;

use smallvec::SmallVec;

use super::native::{self, Kind, Native, Program};
use super::run::{Ready, Step};
use super::{Chain, Room};
use crate::kernels::layout::Shared;
use crate::kernels::reader::Reader;
use crate::kernels::reduce::Partial;
use crate::kernels::stream::{self, Ahead, Line, with_scratch};

/// Arrays of fewer elements are taken to be in the second-level cache.
pub(super) const LARGE: usize = 1 << 17;

/// Elements a kernel runs over before memory is asked for again: asked for much at once, it makes the processor wait.
const PART: usize = 512;

/// Where the cells of a tile lie: registers, inputs and outputs, as calls count them.
#[derive(Default)]
struct Cells {
    at: SmallVec<[*mut u8; 24]>,
    /// How many bytes further on each lies in the next tile.
    steps: SmallVec<[usize; 24]>,
    /// The inputs whose tiles come about one by one, each with its scratch.
    fetched: SmallVec<[(usize, *mut u8); 2]>,
    /// The cells whose rows are all the same, and the bytes of a row.
    repeated: SmallVec<[(usize, usize); 4]>,
}

impl Cells {
    fn push(&mut self, at: *mut u8, step: usize) {
        self.at.push(at);
        self.steps.push(step);
    }

    /// Puts behind the addresses by how many bytes each stays behind after a row: what is the same in all of them is read where
    /// the first one lies, which is in the first-level cache.
    fn end(&mut self) {
        let cells = self.at.len();
        self.at.resize(2 * cells, std::ptr::null_mut());
        for &(cell, row) in &self.repeated {
            self.at[cells + cell] = std::ptr::without_provenance_mut(row);
        }
    }

    /// Goes on to the next tile.
    fn advance(&mut self) {
        for (at, &step) in self.at.iter_mut().zip(&self.steps) {
            *at = at.wrapping_add(step);
        }
    }
}

pub(super) struct Job<'a> {
    pub chain: &'a Chain,
    pub calls: &'a [Ready],
    /// The code of the stretches, if it is used.
    pub native: Option<&'a Native>,
    pub readers: SmallVec<[Reader; 4]>,
    pub targets: SmallVec<[Shared<u8>; 2]>,
    /// For each output what it is folded from, if it is final.
    pub partials: SmallVec<[Option<Partial>; 2]>,
    /// For each output whether it is copied past the caches from a tile of scratch.
    pub copied: SmallVec<[bool; 2]>,
    /// Bytes per scratch tile, whole lines.
    pub slot: usize,
    /// Rows per tile.
    pub tall: usize,
    pub rows: usize,
}

impl Job<'_> {
    /// Runs the rows `start..end`, which are piece `piece`.
    pub fn run(&self, piece: usize, start: usize, end: usize) {
        let states: usize = self.partials.iter().flatten().map(Partial::state_bytes).sum();
        let copied = self.copied.iter().filter(|&&s| s).count();
        let registers: usize = self.chain.registers.iter().map(|room| self.bytes(room)).sum();
        let slots = self.readers.iter().map(Reader::slots).sum::<usize>() + copied;
        let lines = (registers + slots * self.slot + states).div_ceil(size_of::<Line>());
        with_scratch(lines, |scratch| {
            let mut cells = self.cells(scratch, start);
            let outputs = self.chain.registers.len() + self.readers.len();
            for (&cell, partial) in cells.at[outputs..].iter().zip(&self.partials) {
                if let Some(partial) = partial {
                    // SAFETY: scratch of that many bytes, which is nobody else's until the end of this piece.
                    unsafe { partial.begin(cell, piece) };
                }
            }
            let mut ahead = self.ahead(&cells.at[outputs..], start);
            let pace = self.pace(ahead.lines());
            for at in (start..end).step_by(self.tall) {
                let rows = self.tall.min(end - at);
                for &(input, slot) in &cells.fetched {
                    let range = self.span(self.chain.narrow_inputs[input], at, rows);
                    let tile = self.readers[input].fetch(range, slot, slot.wrapping_add(self.slot));
                    cells.at[self.chain.registers.len() + input] = tile.cast_mut();
                }
                if at + 2 * rows > self.rows {
                    ahead.clear();
                }
                self.tile(at, rows, &mut cells, &mut ahead, &pace);
                cells.advance();
                ahead.advance();
            }
            if copied > 0 || self.native.is_some_and(|native| !native.past.is_empty()) {
                stream::finish();
            }
            for (&cell, partial) in cells.at[outputs..].iter().zip(&self.partials) {
                if let Some(partial) = partial {
                    // SAFETY: the state was begun above and has seen all rows of this piece.
                    unsafe { partial.end(cell, piece) };
                }
            }
        });
    }

    /// The bytes of a register.
    fn bytes(&self, room: &Room) -> usize {
        room.bytes(self.tall.min(self.rows), self.chain.row)
    }

    /// The elements that a tile of so many rows has in an array.
    fn span(&self, narrow: bool, start: usize, rows: usize) -> Range<usize> {
        let row = if narrow { 1 } else { self.chain.row };
        start * row..(start + rows) * row
    }

    /// The cells of the tile at row `start`; `scratch` has room for all slots and, after them, all states.
    fn cells(&self, mut scratch: *mut u8, start: usize) -> Cells {
        let chain = self.chain;
        let mut take = |bytes: usize| {
            let taken = scratch;
            scratch = scratch.wrapping_add(bytes);
            taken
        };
        let mut cells = Cells::default();
        chain.registers.iter().for_each(|room| cells.push(take(self.bytes(room)), 0));
        for (input, (reader, &narrow)) in self.readers.iter().zip(&chain.narrow_inputs).enumerate() {
            let (slot, tile) = (take(reader.slots() * self.slot), self.span(narrow, start, self.tall));
            match reader.pitch() {
                Some(pitch) => {
                    let first = reader.fetch(tile.start..tile.start, slot, slot);
                    if pitch == 0 && !narrow {
                        cells.repeated.push((cells.at.len(), chain.row * reader.width()));
                    }
                    cells.push(first.cast_mut(), tile.len() * pitch);
                }
                None => {
                    cells.push(slot, 0);
                    cells.fetched.push((input, slot));
                }
            }
        }
        let outputs = cells.at.len();
        for (i, target) in self.targets.iter().enumerate() {
            let (link, width) = (chain.output(i), chain.output(i).dtype.size());
            let tile = self.span(link.narrow, start, self.tall);
            match &self.partials[i] {
                None if self.copied[i] => cells.push(take(self.slot), 0),
                None => cells.push(target.get().wrapping_add(tile.start * width), tile.len() * width),
                // After the slots, which begin at lines.
                Some(_) => cells.push(std::ptr::null_mut(), 0),
            }
        }
        for (cell, partial) in cells.at[outputs..].iter_mut().zip(&self.partials) {
            if let Some(partial) = partial {
                *cell = take(partial.state_bytes());
            }
        }
        cells.end();
        cells
    }

    /// The parts of inputs and outputs that the tile after the one at row `start` touches, if they are too large to be in the
    /// cache.
    fn ahead(&self, outputs: &[*mut u8], start: usize) -> Ahead {
        let chain = self.chain;
        let mut ahead = Ahead::default();
        if self.rows * chain.row < LARGE {
            return ahead;
        }
        let tile = self.tall * chain.row;
        let asked = |cell: usize| self.native.is_some_and(|native| native.asked.contains(&(cell as u16)));
        for (i, reader) in self.readers.iter().enumerate() {
            if chain.narrow_inputs[i] || asked(chain.registers.len() + i) {
                continue;
            }
            if let Some(next) = reader.place(start * chain.row + tile) {
                ahead.push(next, tile * reader.width());
            }
        }
        for (i, &cell) in outputs[..self.targets.len()].iter().enumerate() {
            let link = chain.output(i);
            let by_code = asked(chain.registers.len() + self.readers.len() + i);
            if !by_code && !link.narrow && !link.op.is_final() && !self.copied[i] && !chain.is_past(self.native, i) {
                let bytes = tile * link.dtype.size();
                ahead.push(cell.wrapping_add(bytes), bytes);
            }
        }
        ahead
    }

    /// How many of so many lines each call asks for in each of its steps: as many as it passes over of all. Code for all rows, which
    /// is a single step, does so only if there is nothing else.
    fn pace(&self, lines: usize) -> SmallVec<[usize; 24]> {
        let mut pace: SmallVec<[usize; 24]> = SmallVec::from_elem(0, self.calls.len());
        let programs = self.native.map_or(&[][..], |native| &native.programs);
        let until = |at: usize| at.checked_sub(1).map_or(0, |last| self.calls[last].passes);
        // Passes of calls up to one, and how many of them are in code for rows.
        let in_rows = |at: usize| -> usize {
            let done = programs.iter().filter(|program| program.kind == Kind::Rows && program.first < at);
            done.map(|program| until(program.first + program.calls) - until(program.first)).sum()
        };
        let all = self.calls.len();
        let only_rows = until(all) == in_rows(all);
        let passes = |at: usize| until(at) - if only_rows { 0 } else { in_rows(at) };
        if lines == 0 || passes(all) == 0 {
            return pace;
        }
        let tile = |narrow: bool| self.span(narrow, 0, self.tall).len();
        let (mut at, mut done) = (0, 0);
        while let Some(call) = self.calls.get(at) {
            let (first, program) = (at, programs.iter().find(|program| program.first == at));
            at += program.map_or(1, |program| program.calls);
            let steps = match (program, call.step) {
                (Some(program), _) => match program.kind {
                    Kind::Elements => (tile(false) * program.dtype.size()).div_ceil(native::SPAN),
                    Kind::Rows => 1,
                },
                (None, Step::Map(..)) => tile(call.reads_narrow).div_ceil(PART),
                (None, Step::Spread(..)) => self.tall,
                (None, Step::Fold(_) | Step::Final(_)) => 1,
                (None, Step::Repeat(_)) => continue,
            };
            let wanted = lines * passes(at) / passes(all);
            pace[first] = wanted.saturating_sub(done).div_ceil(steps);
            done += pace[first] * steps;
        }
        pace
    }

    fn tile(&self, start: usize, rows: usize, cells: &mut Cells, ahead: &mut Ahead, pace: &[usize]) {
        let chain = self.chain;
        let length = |narrow: bool| if narrow { rows } else { rows * chain.row };
        let whole = |native: &&Native| chain.row > 1 || rows.is_multiple_of(native.vector / size_of::<f32>());
        let mut programs = self.native.filter(whole).map_or(&[][..], |native| &native.programs).iter().peekable();
        let mut at = 0;
        while let Some(call) = self.calls.get(at) {
            let lines = pace[at];
            if let Some(program) = programs.next_if(|program| program.first == at) {
                at += program.calls;
                // SAFETY: as below; what is written where another operand lies is read at the same place and before.
                unsafe { self.program(program, cells, rows, ahead, lines) };
                continue;
            }
            at += 1;
            let [x, y, z] = call.operands.map(|i| cells.at[usize::from(i)].cast_const());
            let (out, n) = (cells.at[usize::from(call.result)], length(call.reads_narrow));
            // SAFETY: dtypes were checked; operands are whole tiles, written before (links stand after those they read) and
            // kept (a register is free after its last use, an input that is overwritten too early was copied); the result is
            // no operand's; tiles of the targets are disjoint between pieces.
            unsafe {
                match call.step {
                    Step::Map(run, widths) => {
                        for at in (0..n).step_by(PART) {
                            ahead.fetch_lines(lines);
                            let [x, y, z] = [(x, 0), (y, 1), (z, 2)].map(|(p, k)| p.add(at * usize::from(widths[k])));
                            run(x, y, z, out.add(at * usize::from(widths[3])), PART.min(n - at));
                        }
                    }
                    Step::Spread(run, [from, other, to]) => {
                        for i in 0..rows {
                            ahead.fetch_lines(lines);
                            run(x.add(i * from), y.add(i * other), z, out.add(i * to), chain.row);
                        }
                    }
                    Step::Fold(fold) => {
                        ahead.fetch_lines(lines);
                        fold(x, out, rows, chain.row);
                    }
                    Step::Repeat(repeat) => repeat(x, out, rows, chain.row),
                    Step::Final(output) => {
                        ahead.fetch_lines(lines);
                        self.partials[output]
                            .as_ref()
                            .expect("final results have a partial one")
                            .push(out, x, n, start);
                    }
                }
            }
        }
        let outputs = &cells.at[chain.registers.len() + self.readers.len()..];
        for i in (0..self.targets.len()).filter(|&i| self.copied[i]) {
            let width = chain.output(i).dtype.size();
            // SAFETY: this tile of the target is nobody else's, and the scratch holds as many bytes. Both begin at lines.
            unsafe {
                stream::copy(outputs[i], self.targets[i].get().add(start * chain.row * width), rows * chain.row * width)
            };
        }
    }

    /// Runs a program on a tile, and asks for so many lines of memory before each call of its code.
    ///
    /// # Safety
    /// Operands must be whole tiles that were written before, results no part of what another thread reads.
    unsafe fn program(&self, program: &Program, cells: &mut Cells, rows: usize, ahead: &mut Ahead, lines: usize) {
        let Some(native) = self.native else { return };
        let row = self.chain.row;
        match program.kind {
            Kind::Elements => {
                let all = rows * row * program.dtype.size();
                for at in (0..all).step_by(native::SPAN) {
                    ahead.fetch_lines(lines);
                    // SAFETY: the caller's promise; the code was written for the instruction set in use, and these are whole vectors.
                    unsafe { native.run(program, &cells.at, at..(at + native::SPAN).min(all)) };
                }
            }
            Kind::Rows => {
                ahead.fetch_lines(lines);
                // SAFETY: the same.
                unsafe { native.run_rows(program, &cells.at, rows) };
            }
        }
    }
}
