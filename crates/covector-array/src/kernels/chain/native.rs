//! Machine code for stretches, written when a chain has run often or long enough to be worth it.
//!
//! Pages of code are written first and made executable then, never both. Where the system refuses that, or the processor has
//! no instructions of three vector operands, the links of a stretch run one by one as others do.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{Mmap, MmapMut};

use super::code::{CONSTANTS, Shape};
use super::programs::{Surroundings, by_rows, flat};
use super::stretch::{SHORTEST_ROW, Stretch};
use crate::DType;
use crate::isa::Isa;

/// Computes elements of all cells. The arguments of code for any elements: the cells; how many bytes behind each the first element
/// lies, the first one that is not done in groups of vectors, and the last. Of code for rows: the cells; the bytes that a cell
/// with an element for each row has; and nothing.
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
    /// All rows of a tile, in a loop for each stretch, which ask for the memory of the next ones.
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
    /// The code of these stretches, which are [`programs`], if there are any and the system allows it. Rows must be whole vectors,
    /// unless those are wide, of which a part can be read and written, and rows not too short for that.
    pub fn of(stretches: &[Stretch], ranges: &[Range<usize>], isa: Isa, around: &Surroundings) -> Option<Native> {
        let wide = isa == Isa::Avx512;
        let (mut code, mut programs): (Vec<u8>, _) = (Vec::new(), Vec::new());
        let (mut vector, mut asked) = (0, Vec::new());
        for range in ranges {
            let stretches = &stretches[range.clone()];
            let shapes = stretches.iter().map(|stretch| Shape::of(stretch, wide)).collect::<Option<Vec<_>>>()?;
            let (first, shape) = (&stretches[0], &shapes[0]);
            let whole = around.row == 1 || (around.row * first.dtype.size()).is_multiple_of(shape.vector);
            let may_be_cut = wide && around.row >= SHORTEST_ROW;
            if !whole && !may_be_cut {
                return None;
            }
            let kind = if matches!(stretches, [one] if !one.by_rows && whole) { Kind::Elements } else { Kind::Rows };
            let (entry, calls) = (code.len(), stretches.iter().map(|stretch| stretch.calls).sum());
            if kind == Kind::Elements {
                code.extend(flat(first, shape, around));
            } else {
                let ahead: Vec<u16> = around.ahead.iter().copied().filter(|cell| !asked.contains(cell)).collect();
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

    /// Runs a program that does, on so many rows. The cells are followed by the bytes each stays behind after a row.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    pub unsafe fn run_rows(&self, program: &Program, cells: &[*mut u8], rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { (self.entry(program))(cells.as_ptr(), rows * program.dtype.size(), 0, 0) };
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
mod tests;
