//! What a primitive takes: arithmetic, traffic, memory.

use crate::{Class, Spec};

/// What running a primitive takes, as its specs tell; [`explain`](crate::explain) adds it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Arithmetic on elements: sums, products, comparisons and functions count one each.
    pub flops: u64,
    /// The size of an axis whose binary logarithm, rounded up, is a factor of `flops`, as in sorting; 1 without one.
    pub log_of: u64,
    /// Bytes of operands read.
    pub read: u64,
    /// Bytes of the result written.
    pub written: u64,
    /// Where the result lies.
    pub memory: Memory,
}

/// Where the result of a primitive lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// In a block of its own.
    New,
    /// In an operand's, as a view or as it is; what cannot be a view is copied. `run` then sees layouts only, and may be
    /// called to find out where the result will lie.
    Shared,
    /// Over any operand of its dtype and size that nobody else holds, else in a block of its own.
    OverAny,
    /// Over the first operand if nobody else holds it, else in a block of its own.
    OverFirst,
}

impl Cost {
    /// What a primitive of this class takes, unless it says otherwise: nothing for a view; one operation for each element
    /// of an elementwise result, for each one that is folded, and for each one of the larger side of anything else.
    pub fn of_class(class: Class, inputs: &[&Spec], out: &Spec) -> Cost {
        let moving = Cost::moving(inputs, out);
        let folded = inputs.iter().map(|x| size(x)).max().unwrap_or(0);
        match class {
            Class::Leaf | Class::View => Cost::nothing(),
            Class::Elementwise => Cost { flops: size(out), memory: Memory::OverAny, ..moving },
            Class::Reduce => Cost { flops: folded, ..moving },
            Class::Contract | Class::Opaque => Cost { flops: folded.max(size(out)), ..moving },
        }
    }

    /// No arithmetic: every operand is read and the result written.
    pub fn moving(inputs: &[&Spec], out: &Spec) -> Cost {
        Cost {
            flops: 0,
            log_of: 1,
            read: inputs.iter().map(|x| bytes(x)).sum(),
            written: bytes(out),
            memory: Memory::New,
        }
    }

    /// Neither arithmetic nor traffic: the result is an operand seen in another way.
    pub fn nothing() -> Cost {
        Cost { flops: 0, log_of: 1, read: 0, written: 0, memory: Memory::Shared }
    }
}

/// The number of elements.
pub(crate) fn size(spec: &Spec) -> u64 {
    spec.shape.size() as u64
}

/// The bytes of the elements.
pub(crate) fn bytes(spec: &Spec) -> u64 {
    size(spec) * spec.dtype.size() as u64
}

/// As many operations for each of `times` elements as a bisection of `n` has steps.
pub(crate) fn halvings(times: u64, n: usize, moving: Cost) -> Cost {
    let steps = u64::from(n.max(1).next_power_of_two().trailing_zeros());
    Cost { flops: times * steps, log_of: n.max(1) as u64, ..moving }
}
