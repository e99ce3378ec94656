//! Plans on their own: what is computed again and again, from other arguments, without a graph being built.

use std::sync::Arc;

use covector_array::Array;

use super::run_checked;
use super::schedule::Plan;
use crate::walk::Listing;
use crate::{Result, Tensor};

/// A plan with the constants it needs.
pub(crate) struct Prepared {
    list: Arc<Listing>,
    plan: Plan,
    keep: Vec<bool>,
    /// For each listed node the argument it stands for, or [`NONE`].
    argument: Vec<u32>,
    results: Vec<usize>,
}

const NONE: u32 = u32::MAX;

impl Prepared {
    /// Plans the steps from `arguments`, which have no value, to `results`; the list holds both, and knows the value of
    /// every other leaf.
    pub fn new(list: Arc<Listing>, arguments: &[Tensor], results: &[Tensor]) -> Prepared {
        let mut argument = vec![NONE; list.nodes.len()];
        for (k, placeholder) in arguments.iter().enumerate() {
            if let Some(i) = list.find(placeholder) {
                argument[i] = k as u32;
            }
        }
        let results: Vec<usize> = results.iter().map(|r| list.find(r).expect("results are listed")).collect();
        let mut keep = vec![false; list.nodes.len()];
        results.iter().filter(|&&i| !list.is_leaf(i)).for_each(|&i| keep[i] = true);
        let plan = Plan::new(&list, &keep);
        Prepared { list, plan, keep, argument, results }
    }

    /// The results for these values of the arguments.
    ///
    /// # Errors
    /// If an op refuses its data.
    pub fn run(&self, arguments: &[Array]) -> Result<Vec<Array>> {
        let leaf = |i: usize| match arguments.get(self.argument[i] as usize) {
            Some(value) => Some(value.clone()),
            None => self.list.nodes[i].cached().cloned(),
        };
        let mut values = run_checked(&self.list, &self.plan, &self.keep, &leaf)?;
        values.sort_unstable_by_key(|(position, _)| *position);
        let result = |&i: &usize| match values.binary_search_by_key(&(i as u32), |(position, _)| *position) {
            Ok(at) => values[at].1.clone(),
            Err(_) => leaf(i).expect("a result that is not computed is a leaf"),
        };
        Ok(self.results.iter().map(result).collect())
    }
}
