//! The table of a Rust function.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use covector::{Result, Tensor, Tree, try_value_and_grad};

use crate::build::{Entry, Gradients, Run, table};
use crate::graph::Walk;
use crate::symbolic::Runs;
use crate::table::{Kind, Trace};

/// How many sets of primes a function is run with.
const RUNS: usize = 4;

/// The sizes of one run, by name: `sizes["B"]`.
#[derive(Clone, Debug)]
pub struct Sizes(BTreeMap<String, usize>);

impl std::ops::Index<&str> for Sizes {
    type Output = usize;

    /// # Panics
    /// If no size has this name.
    fn index(&self, name: &str) -> &usize {
        self.0.get(name).unwrap_or_else(|| panic!("no size is called `{name}`; there are: {:?}", self.0.keys()))
    }
}

/// Every tensor of a Rust function with its shape, in symbols and, where all sizes have a number, in numbers, and what it takes.
///
/// `parameters` makes what is learnt, `f` the result from it; both are called once for each of several sets of sizes, so
/// they take every size from the table they are given. Nothing is computed. A result with axes is summed for its gradient.
///
/// ```
/// use covector::{DType, Tensor, ops::create::zeros};
/// use covector_trace::trace;
/// let sizes = [("B", Some(2)), ("T", Some(5)), ("d", Some(16)), ("k", Some(8))];
/// let table = trace(
///     &sizes,
///     |s| vec![zeros([s["d"], s["k"]], DType::F32), zeros([s["d"], s["k"]], DType::F32)],
///     |w, s| {
///         let x = zeros([s["B"], s["T"], s["d"]], DType::F32);
///         x.matmul(&w[0]).matmul(&x.matmul(&w[1]).t())
///     },
/// )?;
/// let last = table.rows.last().unwrap();
/// assert_eq!((last.symbols(), last.numbers()), ("[B, T, T]".into(), Some("[2, 5, 5]".into())));
/// assert_eq!(table.totals.parameters.symbolic.unwrap().to_string(), "2·d·k");
/// # Ok::<(), covector::Error>(())
/// ```
/// # Errors
/// If the function has no gradient because all paths are cut.
/// # Panics
/// As `parameters` and `f` do, and if they do not do the same for all sizes.
pub fn trace<P: Tree>(
    sizes: &[(&str, Option<usize>)],
    parameters: impl Fn(&Sizes) -> P,
    f: impl Fn(&P, &Sizes) -> Tensor,
) -> Result<Trace> {
    let names: Vec<String> = sizes.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut runs = Runs::new(&names);
    let mut symbolic = Vec::new();
    for run in 0..RUNS {
        let primes: Vec<u64> = (0..names.len()).map(|i| prime(i * RUNS + run)).collect();
        let numbers = names.iter().cloned().zip(primes.iter().map(|&p| p as usize)).collect();
        symbolic.push(one(&Sizes(numbers), &parameters, &f)?);
        runs.add(primes.clone(), primes);
    }
    assert!(
        symbolic.iter().all(|run| run.entries.len() == symbolic[0].entries.len()),
        "the function does not do the same for all sizes"
    );
    let known: Option<BTreeMap<String, usize>> =
        sizes.iter().map(|(name, value)| Some(((*name).to_owned(), (*value)?))).collect();
    let concrete = known.map(|numbers| one(&Sizes(numbers), &parameters, &f)).transpose()?;
    // A broadcast or reshape that has nothing to do makes no step.
    let concrete = concrete.filter(|run| run.entries.len() == symbolic[0].entries.len());
    let sizes = sizes.iter().map(|(name, value)| ((*name).to_owned(), value.map(|n| n as i64))).collect();
    Ok(table(&runs, &symbolic, concrete.as_ref(), sizes))
}

/// The `n`-th prime from 53 on.
fn prime(n: usize) -> u64 {
    let is_prime = |x: &u64| (2..).take_while(|d| d * d <= *x).all(|d| !x.is_multiple_of(d));
    (53..).filter(is_prime).nth(n).expect("there is always another")
}

/// One run: what is learnt, the calls of ops, the result, the gradients.
fn one<P: Tree>(sizes: &Sizes, parameters: &impl Fn(&Sizes) -> P, f: &impl Fn(&P, &Sizes) -> Tensor) -> Result<Run> {
    let given = parameters(sizes);
    let output = f(&given, sizes);
    if !output.dtype().is_float() || given.leaves().iter().any(|t| !t.dtype().is_float()) {
        let entries = entries(&given, &output);
        return Ok(Run { entries, output: Some(output), gradients: None });
    }
    let inside: RefCell<Option<(P, Tensor)>> = RefCell::new(None);
    let scalar = |args: &P| {
        let y = f(args, sizes);
        *inside.borrow_mut() = Some((args.map_leaves(Tensor::clone), y.clone()));
        if y.ndim() == 0 { y } else { y.sum(..) }
    };
    let (loss, gradients) = try_value_and_grad(scalar, &given)?;
    let (args, y) = inside.into_inner().expect("the function was called");
    let gradients = Gradients { output: loss, learnt: args.leaves(), gradients: gradients.leaves() };
    Ok(Run { entries: entries(&args, &y), output: Some(output), gradients: Some(gradients) })
}

/// The parameters, and each call of an op with what others read of it.
fn entries<P: Tree>(parameters: &P, output: &Tensor) -> Vec<Entry> {
    let named = parameters.named();
    let mut labels: HashMap<u64, String> = HashMap::new();
    let mut all: Vec<Entry> = Vec::new();
    let entry = |tensors: Vec<Tensor>, names: Vec<String>, kind, expression: String, line| Entry {
        tensors,
        names,
        kind,
        expression,
        module: Vec::new(),
        line,
    };
    for (path, tensor) in &named {
        labels.insert(tensor.id(), path.clone());
        let line = tensor.site().location.line() as usize;
        all.push(entry(vec![tensor.clone()], vec![path.clone()], Kind::Parameter, "param".into(), line));
    }
    let mut nodes = Walk::new(named.iter().map(|(_, t)| t)).fresh(output);
    nodes.sort_by_key(Tensor::id);
    let call: HashMap<u64, u64> = nodes.iter().map(|t| (t.id(), t.site().call)).collect();
    let mut read: HashSet<u64> = HashSet::from([output.id()]);
    for node in &nodes {
        let outside = node.inputs().into_iter().map(|x| x.id()).filter(|id| call.get(id) != call.get(&node.id()));
        read.extend(outside);
    }
    let mut order: Vec<u64> = Vec::new();
    for node in &nodes {
        let number = node.site().call;
        if !order.contains(&number) {
            order.push(number);
        }
    }
    let mut count = 0;
    for number in order {
        let own: Vec<&Tensor> = nodes.iter().filter(|t| t.site().call == number).collect();
        let results: Vec<Tensor> = own.iter().filter(|t| read.contains(&t.id())).map(|t| (*t).clone()).collect();
        let mut operands: Vec<String> = Vec::new();
        for x in own.iter().flat_map(|t| t.inputs()) {
            if let Some(label) = labels.get(&x.id()).filter(|label| !operands.contains(label)) {
                operands.push(label.clone());
            }
        }
        let site = own[0].site();
        let mut names = Vec::new();
        for tensor in &results {
            count += 1;
            labels.insert(tensor.id(), format!("%{count}"));
            names.push(format!("%{count}"));
        }
        let expression = format!("{}({})", site.op, operands.join(", "));
        if !results.is_empty() {
            all.push(entry(results, names, Kind::Result, expression, site.location.line() as usize));
        }
    }
    all
}
