//! The table of a Rust function.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use covector::{Result, Tensor, Tree, try_value_and_grad};

use crate::build::{Entry, Gradients, Run, table};
use crate::graph::Walk;
use crate::homes::{between, common, modules_in};
use crate::symbolic::Runs;
use crate::table::{Kind, Trace};

/// How many sets of primes a function is run with.
const RUNS: usize = 4;

/// The sizes of one run, by name: `sizes["B"]`.
#[derive(Clone, Debug)]
pub struct Sizes {
    numbers: BTreeMap<String, usize>,
    /// What tensors are called that are no parameters.
    inputs: RefCell<HashMap<u64, String>>,
}

impl Sizes {
    fn new(numbers: BTreeMap<String, usize>) -> Sizes {
        Sizes { numbers, inputs: RefCell::default() }
    }

    /// The tensor, which the table lists as an input of this name.
    pub fn input(&self, name: &str, x: Tensor) -> Tensor {
        self.inputs.borrow_mut().insert(x.id(), name.to_owned());
        x
    }
}

impl std::ops::Index<&str> for Sizes {
    type Output = usize;

    /// # Panics
    /// If no size has this name.
    fn index(&self, name: &str) -> &usize {
        let unknown = || panic!("no size is called `{name}`; there are: {:?}", self.numbers.keys());
        self.numbers.get(name).unwrap_or_else(unknown)
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
    trace_multiples(sizes, &[], parameters, f)
}

/// As [`trace`], of sizes some of which are multiples of others: `("width", "heads")`.
///
/// # Errors
/// As [`trace`].
/// # Panics
/// As [`trace`]; and if a multiple is of no size that stands before it.
pub fn trace_multiples<P: Tree>(
    sizes: &[(&str, Option<usize>)],
    multiples: &[(&str, &str)],
    parameters: impl Fn(&Sizes) -> P,
    f: impl Fn(&P, &Sizes) -> Tensor,
) -> Result<Trace> {
    let names: Vec<String> = sizes.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut runs = Runs::new(&names);
    let mut symbolic = Vec::new();
    for run in 0..RUNS {
        let primes: Vec<u64> = (0..names.len()).map(|i| prime(i * RUNS + run)).collect();
        let mut numbers: Vec<u64> = Vec::with_capacity(names.len());
        for (name, prime) in names.iter().zip(&primes) {
            let of = multiples.iter().filter(|(multiple, _)| multiple == name);
            let factor = |(_, of): &(&str, &str)| {
                let place = names[..numbers.len()].iter().position(|n| n == of);
                numbers[place.unwrap_or_else(|| panic!("`{name}` is a multiple of `{of}`, which stands not before it"))]
            };
            let number = of.map(factor).product::<u64>() * prime;
            numbers.push(number);
        }
        let named = names.iter().cloned().zip(numbers.iter().map(|&n| n as usize)).collect();
        symbolic.push(one(&Sizes::new(named), &parameters, &f)?);
        runs.add(numbers, primes);
    }
    assert!(
        symbolic.iter().all(|run| run.entries.len() == symbolic[0].entries.len()),
        "the function does not do the same for all sizes"
    );
    let known: Option<BTreeMap<String, usize>> =
        sizes.iter().map(|(name, value)| Some(((*name).to_owned(), (*value)?))).collect();
    let concrete = known.map(|numbers| one(&Sizes::new(numbers), &parameters, &f)).transpose()?;
    // A broadcast or reshape that has nothing to do makes no step.
    let concrete = concrete.filter(|run| run.entries.len() == symbolic[0].entries.len());
    let sizes = sizes.iter().map(|(name, value)| ((*name).to_owned(), value.map(|n| n as i64))).collect();
    let conditions = multiples.iter().map(|(multiple, of)| format!("{multiple} is a multiple of {of}")).collect();
    Ok(Trace { conditions, ..table(&runs, &symbolic, concrete.as_ref(), sizes) })
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
        let entries = entries(&given, &output, &sizes.inputs.borrow());
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
    let entries = entries(&args, &y, &sizes.inputs.borrow());
    Ok(Run { entries, output: Some(output), gradients: Some(gradients) })
}

/// One call of an op.
#[derive(Default)]
struct Call {
    /// What it made.
    nodes: Vec<Tensor>,
    /// The parameters it reads.
    parameters: Vec<u64>,
    /// The places of the calls that made its other operands.
    made: Vec<usize>,
}

/// The calls of ops that lead to a tensor, in the order in which they were made.
fn calls(named: &[(String, Tensor)], output: &Tensor) -> Vec<Call> {
    let mut nodes = Walk::new(named.iter().map(|(_, t)| t)).fresh(output);
    nodes.sort_by_key(Tensor::id);
    let parameters: HashSet<u64> = named.iter().map(|(_, t)| t.id()).collect();
    let (mut calls, mut place_of): (Vec<Call>, HashMap<u64, usize>) = (Vec::new(), HashMap::new());
    let mut place_of_node: HashMap<u64, usize> = HashMap::new();
    for node in nodes {
        let place = *place_of.entry(node.site().call).or_insert(calls.len());
        if place == calls.len() {
            calls.push(Call::default());
        }
        let call = &mut calls[place];
        for x in node.inputs() {
            match place_of_node.get(&x.id()) {
                Some(&made) if made != place && !call.made.contains(&made) => call.made.push(made),
                None if parameters.contains(&x.id()) => call.parameters.push(x.id()),
                _ => {}
            }
        }
        place_of_node.insert(node.id(), place);
        call.nodes.push(node);
    }
    calls
}

/// The modules of calls, as the names of the parameters tell that they or casts and views of them read.
fn modules(calls: &[Call], homes: &HashMap<u64, Vec<String>>) -> Vec<Vec<String>> {
    let mut known: Vec<Option<Vec<String>>> = Vec::with_capacity(calls.len());
    // What is made of parameters alone is as good as one. Whatever is read twice tells of its first reader only.
    let mut alike: Vec<bool> = Vec::with_capacity(calls.len());
    let (mut claimed, mut claimed_calls) = (HashSet::new(), HashSet::new());
    for call in calls {
        alike.push(call.made.iter().all(|&j| alike[j]) && (!call.parameters.is_empty() || !call.made.is_empty()));
        let own = call.parameters.iter().filter(|id| claimed.insert(**id)).map(|id| homes[id].clone());
        let others = call.made.iter().filter(|&&j| alike[j] && claimed_calls.insert(j));
        let read: Vec<Vec<String>> = own.chain(others.filter_map(|&j| known[j].clone())).collect();
        known.push(read.into_iter().reduce(|a, b| common(&a, &b)).filter(|path| !path.is_empty()));
    }
    let made: Vec<Vec<usize>> = calls.iter().map(|call| call.made.clone()).collect();
    between(&known, &made)
}

/// Each call of an op with what others read of it, and the parameters where they are first read.
fn entries<P: Tree>(parameters: &P, output: &Tensor, inputs: &HashMap<u64, String>) -> Vec<Entry> {
    let named = parameters.named();
    let calls = calls(&named, output);
    let homes: HashMap<u64, Vec<String>> = named.iter().map(|(path, t)| (t.id(), modules_in(path))).collect();
    let modules = modules(&calls, &homes);
    let mut read: HashSet<u64> = HashSet::from([output.id()]);
    for call in &calls {
        let own: HashSet<u64> = call.nodes.iter().map(Tensor::id).collect();
        read.extend(call.nodes.iter().flat_map(Tensor::inputs).map(|x| x.id()).filter(|id| !own.contains(id)));
    }
    let mut all: Vec<Entry> = Vec::new();
    let line = |t: &Tensor| t.site().location.line() as usize;
    let parameter = |(path, t): &(String, Tensor)| {
        let module = homes[&t.id()].clone();
        let name = path.strip_prefix(&module.join(".")).map_or(path.as_str(), |name| name.trim_start_matches('.'));
        let (tensors, names) = (vec![t.clone()], vec![name.to_owned()]);
        Entry { tensors, names, kind: Kind::Parameter, expression: "param".into(), module, line: line(t) }
    };
    // Those that nobody reads come first.
    let used: HashSet<u64> = calls.iter().flat_map(|call| call.parameters.iter().copied()).collect();
    all.extend(named.iter().filter(|(_, t)| !used.contains(&t.id())).map(parameter));
    let mut listed: HashSet<u64> = HashSet::new();
    let mut labels: HashMap<u64, String> = HashMap::new();
    let mut count = 0;
    for (call, module) in calls.into_iter().zip(modules) {
        let fresh = |(_, t): &&(String, Tensor)| call.parameters.contains(&t.id()) && listed.insert(t.id());
        all.extend(named.iter().filter(fresh).map(parameter));
        let mut operands: Vec<String> = Vec::new();
        for x in call.nodes.iter().flat_map(Tensor::inputs) {
            let known = named.iter().find(|(_, t)| t.id() == x.id()).map(|(path, _)| local(path, &module));
            if let Some(label) = known.or_else(|| labels.get(&x.id()).cloned()).filter(|l| !operands.contains(l)) {
                operands.push(label);
            }
        }
        let results: Vec<Tensor> = call.nodes.iter().filter(|t| read.contains(&t.id())).cloned().collect();
        let Some(first) = call.nodes.first().filter(|_| !results.is_empty()) else { continue };
        let input = results.iter().find_map(|t| inputs.get(&t.id()));
        let mut names = Vec::new();
        for tensor in &results {
            let name = input.cloned().unwrap_or_else(|| {
                count += 1;
                format!("%{count}")
            });
            labels.insert(tensor.id(), name.clone());
            names.push(name);
        }
        let (kind, expression) = match input {
            Some(_) => (Kind::Input, "input".to_owned()),
            None => (Kind::Result, format!("{}({})", first.site().op, operands.join(", "))),
        };
        all.push(Entry { tensors: results, names, kind, expression, module, line: line(first) });
    }
    all
}

/// The path of a parameter as it is called inside a module.
fn local(path: &str, module: &[String]) -> String {
    let inner = path.strip_prefix(&module.join(".")).and_then(|rest| rest.strip_prefix('.'));
    inner.filter(|_| !module.is_empty()).unwrap_or(path).to_owned()
}
