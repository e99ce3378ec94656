//! What links of a chain have in common: which repetitions need no memory, which links run as one program, and what such a
//! program computes again.

use smallvec::SmallVec;

use super::stretch::{MOST_SUMS, SHORTEST_ROW, arithmetic, is_comparison, is_fold, lanes, sum_block};
use super::{Link, LinkOp, Source};
use crate::kernels::kernel::Arithmetic;
use crate::kernels::reduce::Reduction;

/// Which repetitions need no memory: kernels that read them take one element for each row instead.
pub(super) fn implied_repetitions(links: &[Link], outputs: &[usize], row: usize) -> Vec<bool> {
    let mut implied: Vec<bool> = links.iter().map(|l| matches!(l.op, LinkOp::Repeat) && row >= SHORTEST_ROW).collect();
    outputs.iter().for_each(|&o| implied[o] = false);
    let repeats = |s: &&Source| matches!(**s, Source::Link(j) if matches!(links[j].op, LinkOp::Repeat));
    for link in links {
        let spreads = matches!(link.op, LinkOp::Map(kernel) if kernel.spreads());
        if !spreads || link.sources.iter().filter(repeats).count() > 1 {
            for source in link.sources.iter() {
                if let Source::Link(j) = *source {
                    implied[j] = false;
                }
            }
        }
    }
    implied
}

/// Which links run as one program: arithmetic of one dtype, one link after another, on whole rows, with sums of its results, or on
/// what has one element for each row. Comparisons are among them only with all that reads them: masks stay in registers.
pub(super) fn stretches(links: &[Link], implied: &[bool], outputs: &[usize], row: usize) -> Vec<Vec<usize>> {
    let mut stored: Vec<bool> = links.iter().map(|link| !is_comparison(link.op)).collect();
    outputs.iter().for_each(|&i| stored[i] = true);
    loop {
        let groups = grouped(links, implied, &stored, row);
        let mut group_of: Vec<Option<usize>> = vec![None; links.len()];
        groups.iter().enumerate().for_each(|(g, group)| group.iter().for_each(|&i| group_of[i] = Some(g)));
        let mut changed = false;
        for (i, link) in links.iter().enumerate() {
            for source in &link.sources {
                if let Source::Link(j) = *source {
                    let apart = !stored[j] && (group_of[j].is_none() || group_of[i] != group_of[j]);
                    stored[j] |= apart;
                    changed |= apart;
                }
            }
        }
        if !changed {
            return groups;
        }
    }
}

/// [`stretches`], if it is known which results are `stored` for others.
fn grouped(links: &[Link], implied: &[bool], stored: &[bool], row: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open = false;
    for (i, link) in links.iter().enumerate().filter(|(i, _)| !implied[*i]) {
        // What a repetition that is not stored repeats.
        let made_by = |source: &Source| match *source {
            Source::Link(j) if implied[j] => match links[j].sources[0] {
                Source::Link(j) => Some(j),
                Source::Input(_) => None,
            },
            Source::Link(j) => Some(j),
            Source::Input(_) => None,
        };
        let within = |group: &[usize], j: usize| group.binary_search(&j).is_ok();
        let is_sum = matches!(link.op, LinkOp::Fold(Reduction::Sum)) && sum_block(row).is_some();
        let joins = |group: &&mut Vec<usize>| {
            let mut made = link.sources.iter().filter_map(made_by);
            let sums = group.iter().filter(|&&j| is_fold(links[j].op)).count();
            let first = &links[group[0]];
            let alike =
                lanes(first.op, first.dtype) == lanes(link.op, link.dtype) && is_narrow(first) == is_narrow(link);
            // What is chosen by a mask that is not in a register is read from memory, like what functions give.
            let chooses = arithmetic(link.op) == Some(Arithmetic::Select);
            let has_mask =
                || matches!(link.sources[0], Source::Link(j) if is_comparison(links[j].op) && within(group, j));
            alike
                && (!chooses || has_mask())
                && if is_sum {
                    sums < MOST_SUMS && made.all(|j| within(group, j) && !is_fold(links[j].op))
                } else {
                    !made.any(|j| is_fold(links[j].op) && within(group, j))
                }
        };
        let op = arithmetic(link.op).filter(|op| !(op.is_comparison() && stored[i]));
        if op.is_some() || is_sum {
            match groups.last_mut().filter(|_| open).filter(joins) {
                Some(group) => group.push(i),
                None if op != Some(Arithmetic::Select) => groups.push(vec![i]),
                None => {}
            }
        }
        open = groups.last().is_some_and(|group| group.last() == Some(&i));
    }
    groups
}

/// True if a link reads one element for each row.
fn is_narrow(link: &Link) -> bool {
    link.narrow && !is_fold(link.op)
}

/// The same links, where a stretch computes again what another one would have to write for it, if that is a cheap function of
/// inputs and of what is repeated along rows.
pub(super) fn again(links: Vec<Link>, outputs: &mut [usize], row: usize) -> Vec<Link> {
    let implied = implied_repetitions(&links, outputs, row);
    let groups = stretches(&links, &implied, outputs, row);
    let mut group_of: Vec<Option<usize>> = vec![None; links.len()];
    groups.iter().enumerate().for_each(|(g, group)| group.iter().for_each(|&i| group_of[i] = Some(g)));
    let is_base = |source: &Source| match *source {
        Source::Input(_) => true,
        Source::Link(j) => matches!(links[j].op, LinkOp::Repeat),
    };
    let mut may: Vec<bool> = links
        .iter()
        .enumerate()
        .map(|(i, link)| {
            let cheap = !link.narrow && arithmetic(link.op).is_some_and(Arithmetic::is_cheap);
            group_of[i].is_some() && cheap && link.sources.iter().all(is_base)
        })
        .collect();
    outputs.iter().for_each(|&i| may[i] = false);
    // For each link the stretches that read it; all readers must be in one.
    let mut readers: Vec<SmallVec<[usize; 2]>> = vec![SmallVec::new(); links.len()];
    for (i, link) in links.iter().enumerate() {
        for source in &link.sources {
            let Source::Link(j) = *source else { continue };
            match group_of[i] {
                Some(g) if !readers[j].contains(&g) => readers[j].push(g),
                Some(_) => {}
                None => may[j] = false,
            }
        }
    }
    let elsewhere = |j: usize| may[j] && readers[j].iter().any(|&g| group_of[j] != Some(g));
    if !(0..links.len()).any(elsewhere) {
        return links;
    }
    let mut all: Vec<Link> = Vec::with_capacity(links.len() + 4);
    let mut place = vec![usize::MAX; links.len()];
    let mut copies: Vec<(usize, usize, usize)> = Vec::new();
    for (i, link) in links.iter().enumerate() {
        let home = group_of[i];
        let mut moved = |source: &Source, all: &mut Vec<Link>| {
            let Source::Link(j) = *source else { return *source };
            let Some(g) = home.filter(|&g| elsewhere(j) && group_of[j] != Some(g)) else {
                return Source::Link(place[j]);
            };
            let known = copies.iter().find(|copy| (copy.0, copy.1) == (g, j)).map(|copy| copy.2);
            Source::Link(known.unwrap_or_else(|| {
                let bases = links[j].sources.iter().map(|source| match *source {
                    Source::Link(base) => Source::Link(place[base]),
                    input => input,
                });
                all.push(Link { sources: bases.collect(), ..links[j].clone() });
                copies.push((g, j, all.len() - 1));
                all.len() - 1
            }))
        };
        if elsewhere(i) && !readers[i].iter().any(|&g| home == Some(g)) {
            continue;
        }
        let sources = link.sources.iter().map(|source| moved(source, &mut all)).collect();
        all.push(Link { sources, ..link.clone() });
        place[i] = all.len() - 1;
    }
    outputs.iter_mut().for_each(|output| *output = place[*output]);
    all
}
