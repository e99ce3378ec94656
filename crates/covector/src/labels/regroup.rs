//! Labels through a reshape: axes merge into products, and come apart again.

use std::collections::VecDeque;
use std::ops::Range;

use super::flow::Flow;
use super::{Label, Name, Part};

impl Flow<'_> {
    /// The result holds the elements of the first operand in the same order: sizes tell which axes were merged and split.
    pub fn regrouped(&mut self) {
        let from = self.inputs[0].shape().clone();
        let to = self.out.clone();
        if from.contains(&0) {
            // Any sizes make 0: only axes that stayed where they were are known.
            let same = from.iter().zip(to.iter()).take_while(|(a, b)| a == b).count();
            self.carried(0, (0..same).map(Some));
            return;
        }
        let mut parts: VecDeque<Part> = VecDeque::new();
        for (axis, &size) in from.iter().enumerate() {
            let name = self.at((0, axis));
            match &name.parts[..] {
                [] => parts.push_back((name.label, size)),
                merged => parts.extend(merged.iter().cloned()),
            }
        }
        let mut axis = 0;
        while axis < to.len() && !parts.is_empty() {
            // Sizes 1 may belong to what stands before or behind.
            let ones = parts.iter().take_while(|part| part.1 == 1).count();
            let loose: Vec<Part> = parts.drain(..ones).collect();
            let places = axis..axis + to[axis..].iter().take_while(|&&size| size == 1).count();
            let doubtful = self.seated(loose, places.clone());
            if let (false, Some(before)) = (doubtful.is_empty(), axis.checked_sub(1)) {
                self.names[before].label = None;
            }
            axis = places.end;
            if axis < to.len() && !parts.is_empty() {
                self.names[axis] = held(&mut parts, to[axis], doubtful);
                axis += 1;
            }
        }
        if let (Some(last), true) = (to.len().checked_sub(1), parts.iter().any(|part| part.0.is_some())) {
            self.names[last].label = None;
        }
    }

    /// Gives axes of size 1 to places of size 1, if there are as many; else what may have gone elsewhere is returned.
    fn seated(&mut self, loose: Vec<Part>, places: Range<usize>) -> Vec<Part> {
        let named: Vec<Part> = loose.iter().filter(|p| p.0.is_some()).cloned().collect();
        let fit = [loose, named.clone()].into_iter().find(|parts| parts.len() == places.len());
        match fit {
            Some(parts) => {
                places.zip(parts).for_each(|(to, part)| self.names[to] = Name::of(part.0));
                Vec::new()
            }
            None => named,
        }
    }
}

/// The name of an axis of this size that takes the next parts, behind those of which it is not known whose they are.
fn held(parts: &mut VecDeque<Part>, size: usize, doubtful: Vec<Part>) -> Name {
    let doubt = !doubtful.is_empty();
    let (mut held, mut left) = (doubtful, size);
    while left > 1 {
        let Some((label, size)) = parts.pop_front() else { break };
        if left % size == 0 {
            left /= size;
            held.push((label, size));
        } else if size % left == 0 {
            // The first factor of a split has no name yet; the rest is the quotient.
            let first = label.as_ref().map(|_| Label::unknown());
            let rest = label.as_ref().zip(first.as_ref()).and_then(|(whole, first)| whole.over(first));
            held.push((first, left));
            parts.push_front((rest, size / left));
            left = 1;
        } else {
            // Neither size divides the other: from here on nothing is known.
            parts.clear();
            return Name::default();
        }
    }
    merged(held, doubt)
}

/// The name of an axis made of these parts; without a label if it is in doubt which they are.
fn merged(parts: Vec<Part>, doubt: bool) -> Name {
    if parts.iter().all(|p| p.0.is_none()) {
        return Name::default();
    }
    if let ([(label, _)], false) = (&parts[..], doubt) {
        return Name::of(label.clone());
    }
    let mut product = Some(Label::number(1));
    let mut named: Vec<Part> = Vec::new();
    for (label, size) in parts {
        // A size 1 without a name is no factor.
        if label.is_some() || size > 1 {
            let label = label.unwrap_or_else(Label::unknown);
            product = product.and_then(|p| p.times(&label));
            named.push((Some(label), size));
        }
    }
    match &named[..] {
        [(label, _)] if !doubt => Name::of(label.clone()),
        _ => Name { label: product.filter(|_| !doubt), parts: named },
    }
}
