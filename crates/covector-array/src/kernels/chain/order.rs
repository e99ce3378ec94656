//! The order of a chain's links, as far as they do not read one another: arithmetic that stands together runs as one program.

use super::group::{implied_repetitions, stretches};
use super::stretch::{arithmetic, is_fold};
use super::{Link, LinkOp, Source, height};
use crate::kernels::reduce::Reduction;

/// Bytes of values that wait for their readers, at most, if in the order given fewer do: with inputs and outputs they have to fit
/// the first-level cache.
const WAITING: usize = 16 << 10;
/// Longer chains stay as they are: they are those of scalars and small arrays, whose plans should cost little.
const MOST_LINKS: usize = 64;

/// The same links in an order in which arithmetic comes as late as possible, if fewer calls come of it. So what is read by
/// functions only is computed in one stretch before them, and what is made of their results in one after all of them.
pub(super) fn arranged(links: Vec<Link>, outputs: &mut [usize], row: usize) -> Vec<Link> {
    if links.len() > MOST_LINKS {
        return links;
    }
    let order = late(&links, row);
    if order.is_sorted() {
        return links;
    }
    let mut place = vec![0; links.len()];
    order.iter().enumerate().for_each(|(at, &i)| place[i] = at);
    let moved = |source: &Source| match *source {
        Source::Link(j) => Source::Link(place[j]),
        input => input,
    };
    let rearranged: Vec<Link> = order
        .iter()
        .map(|&i| Link { sources: links[i].sources.iter().map(moved).collect(), ..links[i].clone() })
        .collect();
    let new_outputs: Vec<usize> = outputs.iter().map(|&i| place[i]).collect();
    let [before, after] =
        [(&links, &*outputs), (&rearranged, &new_outputs[..])].map(|(links, outputs)| Costs::of(links, outputs, row));
    if after.calls >= before.calls || after.waiting > before.waiting.max(WAITING) {
        return links;
    }
    outputs.copy_from_slice(&new_outputs);
    rearranged
}

/// Links in turns: all others that can be computed, then the arithmetic that those still to come are made of, and at last the rest.
fn late(links: &[Link], row: usize) -> Vec<usize> {
    let waits = |i: usize| {
        let link = &links[i];
        (!link.narrow && arithmetic(link.op).is_some())
            || matches!(link.op, LinkOp::Fold(Reduction::Sum))
            || link.op.is_final()
    };
    // What something that does not wait is made of, and that itself.
    let mut needed: Vec<bool> = (0..links.len()).map(|i| !waits(i)).collect();
    for i in (0..links.len()).rev() {
        for source in &links[i].sources {
            if let Source::Link(j) = *source {
                needed[j] |= needed[i];
            }
        }
    }
    let mut done = vec![false; links.len()];
    let mut order = Vec::with_capacity(links.len());
    let mut turn = |wanted: &dyn Fn(usize) -> bool| {
        let before = order.len();
        for i in 0..links.len() {
            let ready = |source: &Source| !matches!(*source, Source::Link(j) if !done[j]);
            if !done[i] && wanted(i) && links[i].sources.iter().all(ready) {
                done[i] = true;
                order.push(i);
            }
        }
        order.len() > before
    };
    // Operands stand before their readers, so that one pass finds all there are.
    while turn(&|i| !waits(i)) | turn(&|i| needed[i] && waits(i)) {}
    // Put last, final results end no stretch; but tiles of rows are large, and what waits for them would fill the cache.
    turn(&|i| row > 1 || !links[i].op.is_final());
    turn(&|_| true);
    order
}

/// What an order of links costs.
struct Costs {
    /// Calls for each tile.
    calls: usize,
    /// The most bytes of values that wait to be read by another call.
    waiting: usize,
}

impl Costs {
    fn of(links: &[Link], outputs: &[usize], row: usize) -> Costs {
        let implied = implied_repetitions(links, outputs, row);
        let groups = stretches(links, &implied, outputs, row);
        let mut goes_on = vec![false; links.len()];
        groups.iter().for_each(|group| group[1..].iter().for_each(|&i| goes_on[i] = true));
        // For each link the number of its call.
        let mut call = vec![0; links.len()];
        let mut calls = 0;
        for i in (0..links.len()).filter(|&i| !implied[i]) {
            calls += usize::from(!goes_on[i]);
            call[i] = calls - 1;
        }
        let mut last = call.clone();
        for (i, link) in links.iter().enumerate() {
            for source in &link.sources {
                if let Source::Link(j) = *source {
                    last[j] = last[j].max(call[i]);
                }
            }
        }
        let tile = height(row) * row;
        let mut is_output = vec![false; links.len()];
        outputs.iter().for_each(|&i| is_output[i] = true);
        let waits =
            |&i: &usize| !implied[i] && !links[i].narrow && !is_fold(links[i].op) && !is_output[i] && call[i] < last[i];
        // What each call adds and what was read for the last time before it.
        let (mut more, mut less) = (vec![0; calls], vec![0; calls]);
        for i in (0..links.len()).filter(waits) {
            more[call[i]] += links[i].dtype.size() * tile;
            less[last[i]] += links[i].dtype.size() * tile;
        }
        let waiting = more.iter().zip(&less).scan(0, |sum, (more, less)| {
            *sum += more;
            *sum -= less;
            Some(*sum)
        });
        Costs { calls, waiting: waiting.max().unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::kernels::Kernel;
    use crate::kernels::kernel::Arithmetic;

    fn link(op: LinkOp, sources: &[Source]) -> Link {
        Link { op, sources: sources.iter().copied().collect(), dtype: DType::F32, narrow: false }
    }

    fn function(source: Source) -> Link {
        link(LinkOp::Map(Kernel::unary(|x: f32| x.exp())), &[source])
    }

    fn times(x: Source, y: Source) -> Link {
        link(LinkOp::Map(Kernel::binary(|x: f32, y: f32| x * y).known_as(Arithmetic::Multiply)), &[x, y])
    }

    use Source::{Input, Link as From};

    #[test]
    fn arithmetic_comes_together() {
        let x = Input(0);
        let links = vec![
            function(x),
            times(x, From(0)),
            times(x, x),
            function(From(2)),
            times(From(1), From(3)),
            times(From(2), x),
            function(From(5)),
            times(From(4), From(6)),
        ];
        assert_eq!(late(&links, 1), [0, 2, 5, 3, 6, 1, 4, 7]);
        let mut outputs = [7, 1, 2];
        let arranged = arranged(links, &mut outputs, 1);
        assert_eq!(outputs, [7, 5, 1]);
        assert_eq!(arranged[7].sources[..], [From(6), From(4)]);
        assert_eq!(arranged[2].sources[..], [From(1), x]);
    }

    #[test]
    fn the_order_stays_where_too_much_would_wait_or_nothing_is_saved() {
        // A sum over many functions: all of them would wait for its end.
        let x = Input(0);
        let mut links = vec![function(x), function(From(0))];
        for _ in 0..8 {
            let at = links.len();
            links.extend([times(From(at - 1), From(at - 2)), function(x)]);
        }
        let before: Vec<_> = links.iter().map(|link| link.sources.clone()).collect();
        let mut outputs = [links.len() - 2];
        assert!(!late(&links, 1).is_sorted());
        let after = arranged(links, &mut outputs, 1);
        assert!(after.iter().map(|link| &link.sources).eq(&before) && outputs == [before.len() - 2]);
    }
}
