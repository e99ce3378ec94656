//! Doing: a flat list of steps, run in order.
//!
//! A value lives in its slot until its last use, where it is moved into the kernel: a buffer nobody else holds is then
//! overwritten in place. Values are stored back into the graph only where somebody outside the plan can still ask for
//! them.

use covector_array::Array;
use covector_array::kernels::Inputs;
use covector_array::threads;

use crate::walk::Listing;
use crate::{Error, Result, Tensor};

/// Computes the values of `targets` together, so that what they share is computed once.
///
/// Reading one tensor evaluates what it needs; evaluating several at once (a loss and all updated parameters) lets the
/// runner free every intermediate at its last use.
///
/// # Errors
/// If an op refuses its data (an index out of range), or a target depends on an argument that has no value.
pub fn try_eval<'a>(targets: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
    let targets: Vec<Tensor> = targets.into_iter().filter(|t| !t.is_evaluated()).cloned().collect();
    if targets.is_empty() {
        return Ok(());
    }
    let list = Listing::walk(&targets, |t| if t.is_evaluated() { None } else { Some(t.inputs()) });
    let work: usize = list.nodes.iter().map(Tensor::size).fold(0, usize::saturating_add);
    if work < threads::SERIAL_BELOW { run(&list, &targets) } else { threads::enter(|| run(&list, &targets)) }
}

/// As [`try_eval`], with a panic at the caller's line instead of an error.
///
/// ```
/// use covector::{Tensor, eval};
/// let x = Tensor::from(2.0f32);
/// let (y, z) = (&x * &x, &x + &x);
/// eval([&y, &z]);
/// assert_eq!((y.item::<f32>(), z.item::<f32>()), (4.0, 4.0));
/// ```
#[track_caller]
pub fn eval<'a>(targets: impl IntoIterator<Item = &'a Tensor>) {
    if let Err(e) = try_eval(targets) {
        e.raise()
    }
}

fn run(list: &Listing, targets: &[Tensor]) -> Result<()> {
    let mut uses = vec![0u32; list.nodes.len()];
    for operand in list.operands.iter().flatten() {
        uses[*operand as usize] += 1;
    }
    let keep = kept(list, &uses, targets);
    let mut slots: Vec<Option<Array>> = vec![None; list.nodes.len()];
    for (i, node) in list.nodes.iter().enumerate() {
        if let Some(value) = node.cached() {
            slots[i] = Some(value.clone());
            continue;
        }
        let inputs: Inputs = list.operands[i]
            .iter()
            .map(|&operand| {
                let operand = operand as usize;
                uses[operand] -= 1;
                let slot = &mut slots[operand];
                if uses[operand] == 0 { slot.take() } else { slot.clone() }.expect("operands stand before their users")
            })
            .collect();
        let site = node.site();
        let value = node.primitive().run(inputs, node.spec()).map_err(|e| {
            let specs = |all: &mut Vec<_>| all.extend(node.inputs().iter().map(|t| t.spec().clone()));
            e.located(site.op, site.location, specs)
        })?;
        debug_assert_eq!((value.dtype(), value.shape()), (node.dtype(), node.shape()), "{} lied", site.op);
        if keep[i] {
            node.store(value.clone());
        }
        slots[i] = (uses[i] > 0).then_some(value);
    }
    Ok(())
}

/// A value outlives the plan if it was asked for, if a transformation may still need it, or if somebody outside holds
/// the node: a handle beyond the listing's own and those of its users in the plan.
fn kept(list: &Listing, uses: &[u32], targets: &[Tensor]) -> Vec<bool> {
    let mut keep: Vec<bool> = (list.nodes.iter().zip(uses))
        .map(|(node, &uses)| node.marks().is_open() || node.handles() > 1 + uses as usize)
        .collect();
    for target in targets {
        // The list of targets holds a handle too, so a target is always found to be held.
        if let Some(i) = list.find(target) {
            keep[i] = true;
        }
    }
    keep
}

impl Tensor {
    /// The value, computed now if it is not known yet.
    ///
    /// # Errors
    /// As [`try_eval`].
    pub fn try_value(&self) -> Result<Array> {
        if let Some(value) = self.cached() {
            return Ok(value.clone());
        }
        try_eval([self])?;
        self.cached().cloned().ok_or_else(|| Error::new("evaluation left no value: please report this"))
    }

    /// The value, computed now if it is not known yet; panics at the caller's line if it cannot be.
    #[track_caller]
    pub fn value(&self) -> Array {
        match self.try_value() {
            Ok(value) => value,
            Err(e) => e.raise(),
        }
    }
}
