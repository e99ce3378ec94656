//! Machine code for x86-64, as far as arithmetic on vectors needs it: instructions of three operands in the VEX (256 bits) and
//! EVEX (512 bits) encodings, loads of addresses, and jumps.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapters 2.3 and 2.7.

use crate::DType;

/// A general register, by its number.
#[derive(Clone, Copy)]
pub(super) enum General {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    /// In the place of an index none at all.
    None = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
}

/// The last operand of a vector instruction.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    /// A vector register.
    Register(u8),
    /// What lies at `[base + index + displacement]`.
    Memory { base: General, index: General, displacement: i32 },
    /// What lies at this place of the code.
    Here(usize),
}

/// A vector instruction: its number, its opcode map and its prefix for f32 and f64.
#[derive(Clone, Copy)]
pub(super) struct Opcode {
    number: u8,
    map: u8,
    prefixes: [u8; 2],
}

impl Opcode {
    /// An instruction of the first map, without prefix for f32 and with 66 for f64.
    const fn packed(number: u8) -> Opcode {
        Opcode { number, map: 1, prefixes: [0, 1] }
    }

    pub const LOAD: Opcode = Opcode::packed(0x10);
    pub const STORE: Opcode = Opcode::packed(0x11);
    /// Past the caches, to whole vectors only.
    pub const STORE_PAST: Opcode = Opcode::packed(0x2B);
    /// Of the first element.
    const STORE_ONE: Opcode = Opcode { number: 0x11, map: 1, prefixes: [2, 3] };
    pub const SQRT: Opcode = Opcode::packed(0x51);
    pub const AND: Opcode = Opcode::packed(0x54);
    pub const ANDN: Opcode = Opcode::packed(0x55);
    pub const OR: Opcode = Opcode::packed(0x56);
    pub const XOR: Opcode = Opcode::packed(0x57);
    pub const ADD: Opcode = Opcode::packed(0x58);
    pub const MUL: Opcode = Opcode::packed(0x59);
    pub const SUB: Opcode = Opcode::packed(0x5C);
    /// The second operand if one is NaN, or both are zeros.
    pub const MIN: Opcode = Opcode::packed(0x5D);
    pub const DIV: Opcode = Opcode::packed(0x5E);
    /// As the minimum.
    pub const MAX: Opcode = Opcode::packed(0x5F);
}

/// An instruction that moves elements.
#[derive(Clone, Copy)]
pub(super) enum Shuffle {
    /// Whole runs of 128 bits, of two operands.
    Quarters,
    /// Elements within each run of 128 bits, of one operand (`left` is 0).
    Within,
}

/// What is asked of two elements; all but the last two are false if one is NaN.
#[derive(Clone, Copy)]
pub(super) enum Predicate {
    Equal = 0x00,
    Less = 0x11,
    LessEqual = 0x12,
    GreaterEqual = 0x1D,
    Greater = 0x1E,
    NotEqual = 0x04,
    /// True if one is NaN.
    Unordered = 0x03,
}

/// A mask register: which elements of a wide vector an instruction is about.
#[derive(Clone, Copy)]
pub(super) enum Mask {
    /// Those that [`find`](Assembler::find) has found.
    Found = 1,
    /// Those of a row's last vector that are the row's.
    Tail = 2,
}

/// 1 if an instruction puts zeros in the place of elements that its mask leaves out; stores and comparisons do not.
fn zeroes(number: u8) -> u8 {
    u8::from(![Opcode::STORE.number, Opcode::STORE_PAST.number, COMPARE].contains(&number))
}

/// The number of comparisons.
const COMPARE: u8 = 0xC2;

/// Writes instructions for vectors of one width and dtype.
pub(super) struct Assembler {
    pub code: Vec<u8>,
    /// True while instructions read and write no more of memory than [`Mask::Tail`] says. Wide vectors only.
    pub in_tail: bool,
    wide: bool,
    double: bool,
}

impl Assembler {
    /// For vectors of 512 bits if `wide`, else of 256.
    pub fn new(wide: bool, dtype: DType) -> Assembler {
        Assembler { code: Vec::new(), in_tail: false, wide, double: dtype == DType::F64 }
    }

    /// Bytes of a vector.
    pub fn vector(&self) -> usize {
        if self.wide { 64 } else { 32 }
    }

    /// `to = left op right`; instructions of two operands have register 0 in the place of `left`.
    pub fn arithmetic(&mut self, op: Opcode, to: u8, left: u8, right: Operand) {
        let prefix = op.prefixes[usize::from(self.double)];
        self.vector_instruction(op.number, op.map, prefix, self.vector(), to, left, right);
    }

    /// [`arithmetic`](Self::arithmetic) for the elements of a mask; the others stay. Wide vectors only.
    pub fn arithmetic_where(&mut self, mask: Mask, op: Opcode, to: u8, left: u8, right: Operand) {
        assert!(self.wide, "masks are those of the EVEX encoding");
        let (start, in_tail) = (self.code.len(), std::mem::take(&mut self.in_tail));
        self.arithmetic(op, to, left, right);
        self.code[start + 3] |= mask as u8;
        self.in_tail = in_tail;
    }

    /// Lets [`Mask::Tail`] be the first so many elements of a vector.
    pub fn set_tail(&mut self, elements: usize) {
        self.code.push(0xB8);
        self.code.extend(((1u32 << elements) - 1).to_le_bytes());
        self.code.extend([0xC5, 0xF8, 0x92, 0b11 << 6 | (Mask::Tail as u8) << 3]);
    }

    /// Finds the elements for which a predicate is true: in wide vectors for [`Mask::Found`], else as ones in all bits of `to`.
    pub fn find(&mut self, predicate: Predicate, to: u8, left: u8, right: Operand) {
        let to = if self.wide { Mask::Found as u8 } else { to };
        self.vector_instruction(COMPARE, 1, u8::from(self.double), self.vector(), to, left, right);
        self.code.push(predicate as u8);
    }

    /// `to` = ones in all bits of the elements for which a predicate is true, zeros elsewhere.
    pub fn compare(&mut self, predicate: Predicate, to: u8, left: u8, right: Operand) {
        self.find(predicate, to, left, right);
        if self.wide {
            self.vector_instruction(0x38, 2, 2, self.vector(), to, 0, Operand::Register(Mask::Found as u8));
        }
    }

    /// `to` = `chosen` where `mask` has ones, else `other`. Narrow vectors only.
    pub fn blend(&mut self, to: u8, mask: u8, chosen: Operand, other: u8) {
        assert!(!self.wide, "wide vectors have an instruction for bits");
        let number = 0x4A + u8::from(self.double);
        self.vector_instruction(number, 3, 1, self.vector(), to, other, chosen);
        self.code.push(mask << 4);
    }

    /// A mask = `chosen` where it has ones, else `other`. Wide vectors only.
    pub fn choose(&mut self, mask: u8, chosen: u8, other: Operand) {
        assert!(self.wide, "an instruction of the EVEX encoding");
        // By the bits of the three as a number: 7, 6, 3 and 1 give a one.
        const FIRST_CHOOSES: u8 = 0b1100_1010;
        self.vector_instruction(0x25, 3, 1, self.vector(), mask, chosen, other);
        self.code.push(FIRST_CHOOSES);
    }

    /// `to` = the larger or the smaller of two numbers, of zeros too, or the one that is not NaN. Wide vectors only.
    pub fn range(&mut self, largest: bool, to: u8, left: u8, right: u8) {
        assert!(self.wide, "an instruction of the EVEX encoding");
        self.vector_instruction(0x50, 3, 1, self.vector(), to, left, Operand::Register(right));
        self.code.push(0b0100 | u8::from(largest));
    }

    /// `to` = places of `left` and `right` by a number, as the instruction says.
    pub fn shuffle(&mut self, shuffle: Shuffle, to: u8, left: u8, right: u8, places: u8) {
        let number = match shuffle {
            Shuffle::Quarters if self.wide => 0x23,
            Shuffle::Quarters => 0x06,
            Shuffle::Within => 0x04 + u8::from(self.double),
        };
        self.vector_instruction(number, 3, 1, self.vector(), to, left, Operand::Register(right));
        self.code.push(places);
    }

    /// Writes the first element of a register.
    pub fn store_one(&mut self, from: u8, to: Operand) {
        let op = Opcode::STORE_ONE;
        let prefix = op.prefixes[usize::from(self.double)];
        self.vector_instruction(op.number, op.map, prefix, self.element(), from, 0, to);
    }

    /// Fills a register with one element.
    pub fn broadcast(&mut self, to: u8, from: Operand) {
        let number = if self.double { 0x19 } else { 0x18 };
        self.vector_instruction(number, 2, 1, self.element(), to, 0, from);
    }

    /// Bytes of an element.
    pub fn element(&self) -> usize {
        if self.double { 8 } else { 4 }
    }

    #[allow(clippy::too_many_arguments)] // the fields of an instruction
    fn vector_instruction(&mut self, number: u8, map: u8, prefix: u8, bytes: usize, to: u8, left: u8, right: Operand) {
        // The high bits of register numbers, which the prefix holds inverted.
        let (low, high) = match right {
            Operand::Register(r) => (r >> 3 & 1, r >> 4 & 1),
            Operand::Memory { base, index, .. } => (base as u8 >> 3, index as u8 >> 3),
            Operand::Here(_) => (0, 0),
        };
        let inverted = |bit: u8, place: u8| (!bit & 1) << place;
        let rxb = inverted(to >> 3, 7) | inverted(high, 6) | inverted(low, 5);
        let lower = u8::from(self.double && self.wide) << 7 | (!left & 15) << 3 | prefix;
        if self.wide {
            let (p0, p1) = (rxb | inverted(to >> 4, 4) | map, lower | 1 << 2);
            let whole = bytes == self.vector();
            let mask = match right {
                Operand::Memory { .. } if self.in_tail && whole => Mask::Tail as u8 | zeroes(number) << 7,
                _ => 0,
            };
            self.code.extend([0x62, p0, p1, 0b10 << 5 | inverted(left >> 4, 3) | mask, number]);
        } else {
            self.code.extend([0xC4, rxb | map, lower | 1 << 2, number]);
        }
        let register = (to & 7) << 3;
        match right {
            Operand::Register(r) => self.code.push(0b11 << 6 | register | r & 7),
            Operand::Memory { base, index, displacement } => {
                // One byte of displacement counts what is read, or single bytes in the older encoding: short code is read faster.
                let unit = if self.wide { bytes as i32 } else { 1 };
                let short = i8::try_from(displacement / unit).ok().filter(|_| displacement % unit == 0);
                let mode = if short.is_some() { 0b01 } else { 0b10 };
                self.code.extend([mode << 6 | register | 0b100, (index as u8 & 7) << 3 | base as u8 & 7]);
                match short {
                    Some(short) => self.code.push(short as u8),
                    None => self.code.extend(displacement.to_le_bytes()),
                }
            }
            Operand::Here(place) => {
                self.code.push(register | 0b101);
                let next = self.code.len() + 4;
                self.code.extend((place as i32 - next as i32).to_le_bytes());
            }
        }
    }

    /// A register = the address at `[rdi + displacement]`.
    pub fn load_address(&mut self, to: General, displacement: i32) {
        let to = to as u8;
        self.code.extend([0x48 | (to >> 3) << 2, 0x8B]);
        let register = (to & 7) << 3 | General::Rdi as u8;
        match i8::try_from(displacement) {
            Ok(short) => self.code.extend([0b01 << 6 | register, short as u8]),
            Err(_) => {
                self.code.push(0b10 << 6 | register);
                self.code.extend(displacement.to_le_bytes());
            }
        }
    }

    /// Keeps a register on the stack.
    pub fn push(&mut self, register: General) {
        self.code.extend([0x40 | register as u8 >> 3, 0x50 | register as u8 & 7]);
    }

    /// Takes a register back from the stack.
    pub fn pop(&mut self, register: General) {
        self.code.extend([0x40 | register as u8 >> 3, 0x58 | register as u8 & 7]);
    }

    /// A register += a number.
    pub fn advance(&mut self, register: General, bytes: isize) {
        let register = register as u8;
        self.code.extend([0x48 | register >> 3, 0x81, 0xC0 | register & 7]);
        self.code.extend((bytes as i32).to_le_bytes());
    }

    /// A register = `rsi` + a number.
    pub fn set_beyond(&mut self, to: General, bytes: usize) {
        let to = to as u8;
        self.code.extend([0x48 | (to >> 3) << 2, 0x8D, 0x80 | (to & 7) << 3 | General::Rsi as u8]);
        self.code.extend((bytes as i32).to_le_bytes());
    }

    /// A register = a number.
    pub fn set(&mut self, to: General, number: u64) {
        let to = to as u8;
        self.code.extend([0x48 | to >> 3, 0xB8 | to & 7]);
        self.code.extend(number.to_le_bytes());
    }

    /// A register -= what lies at `[rdi + displacement]`.
    pub fn subtract(&mut self, from: General, displacement: i32) {
        let from = from as u8;
        self.code.extend([0x48 | (from >> 3) << 2, 0x2B, 0b10 << 6 | (from & 7) << 3 | General::Rdi as u8]);
        self.code.extend(displacement.to_le_bytes());
    }

    /// Asks for the line at an address, valid or not, to be in the second-level cache soon.
    pub fn ask_for(&mut self, base: General, index: General, displacement: i32) {
        let (base, index) = (base as u8, index as u8);
        self.code.extend([0x40 | (index >> 3) << 1 | base >> 3, 0x0F, 0x18, 0b10 << 6 | 2 << 3 | 0b100]);
        self.code.push((index & 7) << 3 | base & 7);
        self.code.extend(displacement.to_le_bytes());
    }

    /// Compares `rsi` with another register.
    fn compare_place(&mut self, with: General) {
        let with = with as u8;
        self.code.extend([0x48 | (with >> 3) << 2, 0x39, 0b11 << 6 | (with & 7) << 3 | General::Rsi as u8]);
    }

    /// Jumps to a place if `rsi` is less than the register.
    pub fn jump_if_less(&mut self, than: General, to: usize) {
        self.compare_place(than);
        self.jump_back(to);
    }

    /// Jumps to a place if `r8` is less than what was pushed last.
    pub fn jump_if_r8_less_than_pushed(&mut self, to: usize) {
        self.code.extend([0x4C, 0x3B, 0x04, 0x24]);
        self.jump_back(to);
    }

    /// Jumps to a place if the comparison before found less.
    fn jump_back(&mut self, to: usize) {
        self.code.extend([0x0F, 0x82]);
        let next = self.code.len() + 4;
        self.code.extend((to as i32 - next as i32).to_le_bytes());
    }

    /// Jumps ahead if `rsi` is not less than the register; [`land`](Self::land) says where to.
    pub fn jump_unless_less(&mut self, than: General) -> usize {
        self.compare_place(than);
        self.code.extend([0x0F, 0x83, 0, 0, 0, 0]);
        self.code.len()
    }

    /// Lets a jump ahead end here.
    pub fn land(&mut self, jump: usize) {
        let distance = (self.code.len() - jump) as i32;
        self.code[jump - 4..jump].copy_from_slice(&distance.to_le_bytes());
    }

    /// Returns; the upper halves of vector registers are cleared, as the calling convention wants.
    pub fn give_back(&mut self) {
        self.code.extend([0xC5, 0xF8, 0x77, 0xC3]);
    }
}
