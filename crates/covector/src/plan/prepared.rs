//! Plans on their own: what is computed again and again, from other arguments, without a graph being built.

use std::sync::{Arc, Mutex};

use covector_array::Array;

use super::schedule::Plan;
use super::{is_verified, run_checked};
use crate::walk::Listing;
use crate::{Result, Tensor};

/// A plan with the constants it needs.
pub(crate) struct Prepared {
    list: Arc<Listing>,
    plan: Plan,
    keep: Vec<bool>,
    /// For each listed node the argument it stands for, or [`NONE`].
    argument: Vec<u32>,
    /// For each listed node whether it is an argument whose memory is the plan's.
    given: Vec<bool>,
    results: Vec<usize>,
}

const NONE: u32 = u32::MAX;

impl Prepared {
    /// Plans the steps from `arguments`, which have no value, to `results`; the list holds both, and knows the value of
    /// every other leaf. `given` arguments will not be needed afterwards: their memory may hold something else then.
    pub fn new(list: Arc<Listing>, arguments: &[Tensor], results: &[Tensor], given: bool) -> Prepared {
        let mut argument = vec![NONE; list.nodes.len()];
        for (k, placeholder) in arguments.iter().enumerate() {
            if let Some(i) = list.find(placeholder) {
                argument[i] = k as u32;
            }
        }
        let results: Vec<usize> = results.iter().map(|r| list.find(r).expect("results are listed")).collect();
        let mut keep = vec![false; list.nodes.len()];
        results.iter().for_each(|&i| keep[i] = true);
        let given: Vec<bool> = argument.iter().zip(&keep).map(|(&k, keep)| given && k != NONE && !keep).collect();
        let plan = Plan::given(&list, &keep, &|i| given[i]);
        Prepared { list, plan, keep, argument, given, results }
    }

    /// The results for these values of the arguments. One that was given and that nobody else holds is overwritten.
    ///
    /// # Errors
    /// If an op refuses its data.
    pub fn run(&self, arguments: Vec<Array>) -> Result<Vec<Array>> {
        let again = is_verified();
        let arguments: Vec<Mutex<Option<Array>>> = arguments.into_iter().map(|x| Mutex::new(Some(x))).collect();
        let leaf = |i: usize, last: bool| match arguments.get(self.argument[i] as usize) {
            Some(value) => {
                let mut value = value.lock().unwrap_or_else(|e| e.into_inner());
                if last && self.given[i] && !again { value.take() } else { value.clone() }
            }
            None => self.list.nodes[i].cached().cloned(),
        };
        let mut values = run_checked(&self.list, &self.plan, &self.keep, &leaf)?;
        values.sort_unstable_by_key(|(position, _)| *position);
        let result = |&i: &usize| match values.binary_search_by_key(&(i as u32), |(position, _)| *position) {
            Ok(at) => values[at].1.clone(),
            Err(_) => leaf(i, false).expect("a result that is not computed is a leaf"),
        };
        Ok(self.results.iter().map(result).collect())
    }
}
