//! What is wrong with a training, in plain words: checks of data, of a model before its first step, and of a run.
//!
//! Each check reads values and gives what it finds; nothing found is an empty list. None changes anything.

use std::collections::HashSet;
use std::fmt;

use covector::{DType, Result, Tensor, Tree, try_eval, try_value_and_grad};

use crate::Optimizer;

/// Something that is probably wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// A short name: "dead units", "rate too large".
    pub name: &'static str,
    /// What was seen, and what is likely the reason.
    pub says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.says)
    }
}

fn finding(name: &'static str, says: String) -> Finding {
    Finding { name, says }
}

/// Whether the loss before the first step is that of a guess among `classes`, ln `classes`.
///
/// ```
/// use covector_nn::doctor::initial_loss;
/// assert!(initial_loss(4.2, 65).is_empty());
/// assert_eq!(initial_loss(30.0, 65)[0].to_string(), "loss too high: it is 30.00 before the first step, and a guess among \
///     65 has 4.17: the weights of the last layer are too large, or inputs are not standardised");
/// ```
pub fn initial_loss(loss: f64, classes: usize) -> Vec<Finding> {
    let guess = (classes.max(1) as f64).ln();
    let seen = format!("it is {loss:.2} before the first step, and a guess among {classes} has {guess:.2}");
    if !loss.is_finite() {
        let why = "an input is not finite, or something divides by 0 or takes the logarithm of it";
        return vec![finding("loss not finite", format!("it is {loss} before the first step: {why}"))];
    }
    if loss > 1.3 * guess + 0.1 {
        let why = "the weights of the last layer are too large, or inputs are not standardised";
        return vec![finding("loss too high", format!("{seen}: {why}"))];
    }
    if loss < 0.5 * guess {
        let why = "the inputs give the answers away, or the weights are trained already";
        return vec![finding("loss too low", format!("{seen}: {why}"))];
    }
    Vec::new()
}

/// Whether gradients reach every leaf, are finite, and are of about one size in all matrices.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::gradients;
/// let g = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([0.0f32]));
/// assert_eq!(gradients(&g)[0].says, "`1` has a gradient of zeros: it is cut off, or what it feeds is dead");
/// ```
pub fn gradients<P: Tree>(gradients: &P) -> Vec<Finding> {
    let named: Vec<(String, usize, f64)> =
        gradients.named().iter().map(|(path, g)| (path.clone(), g.ndim(), rms(g))).collect();
    let of = |wanted: &dyn Fn(f64) -> bool| {
        let all: Vec<_> =
            named.iter().filter(|(.., size)| wanted(*size)).map(|(path, ..)| format!("`{path}`")).collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let mut found = Vec::new();
    if let Some(all) = of(&|size| !size.is_finite()) {
        found.push(finding("gradient not finite", format!("{all} has one: a loss or an activation overflowed")));
    }
    if let Some(all) = of(&|size| size == 0.0) {
        let why = "it is cut off, or what it feeds is dead";
        found.push(finding("no gradient", format!("{all} has a gradient of zeros: {why}")));
    }
    let matrices: Vec<_> =
        named.iter().filter(|(_, ndim, size)| *ndim >= 2 && *size > 0.0 && size.is_finite()).collect();
    let by_size = |a: &&&(String, usize, f64), b: &&&(String, usize, f64)| a.2.total_cmp(&b.2);
    if let (Some(least), Some(most)) = (matrices.iter().min_by(by_size), matrices.iter().max_by(by_size)) {
        let [(small, _, low), (large, _, high)] = [least, most].map(|m| &**m);
        if *high > 1e3 {
            let why = "weights are too large, or a loss is a sum and not a mean";
            found.push(finding("exploding gradients", format!("that of `{large}` is {high:.1e} in the mean: {why}")));
        } else if high / low > 1e4 {
            let why = "norms, residual sums or other initial weights keep their size from layer to layer";
            let sizes = format!("that of `{small}` is {low:.1e} in the mean, that of `{large}` {high:.1e}: {why}");
            found.push(finding("vanishing gradients", sizes));
        }
    }
    found
}

/// Whether a step moved every leaf, and matrices by a sensible part of themselves: about a thousandth.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::updates;
/// let (old, new) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[3.0f32, 1.0]]));
/// assert_eq!(updates(&old, &new)[0].name, "rate too large");
/// ```
pub fn updates<P: Tree>(old: &P, new: &P) -> Vec<Finding> {
    let (mut still, mut large, mut small) = (Vec::new(), Vec::new(), Vec::new());
    for ((path, old), new) in old.named().iter().zip(new.leaves()) {
        let (moved, size) = (rms(&(&new - old)), rms(old));
        let part = moved / size;
        let said = format!("`{path}` by {part:.1e}");
        match () {
            () if moved == 0.0 => still.push(format!("`{path}`")),
            () if old.ndim() < 2 || size == 0.0 => {}
            () if part > 0.3 => large.push(said),
            () if part < 1e-6 => small.push(said),
            () => {}
        }
    }
    let all = |name, list: Vec<String>, what: &str| {
        (!list.is_empty()).then(|| finding(name, what.replace('*', &list.join(", "))))
    };
    [
        all("not moved", still, "* stayed as it was: it has no gradient, or its group has no rate"),
        all("rate too large", large, "a step moved * of itself: lower the rate, or let it rise from 0"),
        all("rate too small", small, "a step moved * of itself: it will take for ever"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether units of a layer work: `values [.., units]` is what the layer called `name` gives for many examples.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::activations;
/// let y = Tensor::from([[0.0f32, 1.0], [0.0, 2.0], [0.0, 0.0], [0.0, 3.0]]);
/// assert!(activations("relu", &y)[0].says.starts_with("1 of 2 units of `relu` are 0 for all 4 examples"));
/// ```
pub fn activations(name: &str, values: &Tensor) -> Vec<Finding> {
    let units = values.shape().last().copied().unwrap_or(1);
    let rows = values.size() / units.max(1);
    if rows < 2 {
        return Vec::new();
    }
    let x = values.reshape([rows, units]).cast(DType::F64);
    let (size, least, most) = (x.abs().max(0).to_vec::<f64>(), x.min(0).to_vec::<f64>(), x.max(0).to_vec::<f64>());
    let dead = size.iter().filter(|&&s| s == 0.0).count();
    let constant = least.iter().zip(&most).zip(&size).filter(|((l, m), s)| l == m && **s > 0.0).count();
    let at_ends = x.abs().greater(0.99).cast(DType::F64).mean(..).to_f64();
    let bounded = size.iter().all(|&s| s <= 1.0);
    let mut found = Vec::new();
    if dead * 10 > units {
        let why = "their inputs are never positive: a rate was too large, or a bias is far below 0";
        found.push(finding(
            "dead units",
            format!("{dead} of {units} units of `{name}` are 0 for all {rows} examples: {why}"),
        ));
    }
    if constant * 10 > units {
        let seen = format!("{constant} of {units} units of `{name}` are the same for all {rows} examples");
        found.push(finding("constant units", format!("{seen}: what comes in does not reach them")));
    }
    if bounded && dead == 0 && constant == 0 && at_ends > 0.5 {
        let seen = format!("{:.0} % of the values of `{name}` are at the ends of their range", at_ends * 100.0);
        found.push(finding(
            "saturated units",
            format!("{seen}, where there is no slope: weights or inputs are too large"),
        ));
    }
    found
}

/// Whether a table of inputs `[examples, features]` is finite, varied and of a sensible size.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::inputs;
/// let found = inputs(&Tensor::from([[1.0f32, 5.0], [2.0, 5.0]]));
/// assert_eq!(found[0].to_string(), "constant features: feature 1 is the same in all 2 examples, and tells nothing");
/// ```
pub fn inputs(x: &Tensor) -> Vec<Finding> {
    let (rows, features) = (x.shape()[0], x.size() / x.shape()[0].max(1));
    if rows < 2 {
        return Vec::new();
    }
    let x = x.reshape([rows, features]).cast(DType::F64);
    let bad = x.isfinite().logical_not().cast(DType::I64).sum(..).item::<i64>();
    if bad > 0 {
        let seen = format!("{bad} of {} numbers are infinite or not a number", x.size());
        return vec![finding("inputs not finite", format!("{seen}: a value is missing, or a file was read wrongly"))];
    }
    let [mean, std, size] = [x.mean(0), x.std(0, 0.0), x.abs().max(0)].map(|t| t.to_vec::<f64>());
    let list = |wanted: &dyn Fn(usize) -> bool| {
        let all: Vec<String> = (0..features).filter(|&i| wanted(i)).map(|i| i.to_string()).collect();
        let (kind, more) = if all.len() == 1 { ("feature", "is") } else { ("features", "are") };
        (!all.is_empty()).then(|| format!("{kind} {} {more}", all[..all.len().min(8)].join(", ")))
    };
    let mut found = Vec::new();
    if let Some(which) = list(&|i| std[i] <= 1e-12 * size[i]) {
        found.push(finding("constant features", format!("{which} the same in all {rows} examples, and tells nothing")));
    }
    if let Some(which) = list(&|i| std[i] > 1e-12 * size[i] && (size[i] > 1e3 || mean[i].abs() > 30.0 * std[i])) {
        let why = "subtract the mean and divide by the standard deviation of the training part";
        found.push(finding("not standardised", format!("{which} far from mean 0 and deviation 1: {why}")));
    }
    found
}

/// Whether labels `[examples]`, integers, are among `classes` and of more than one.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::labels;
/// assert_eq!(labels(&Tensor::from([0, 1, 3]), 3)[0].name, "labels out of range");
/// ```
pub fn labels(y: &Tensor, classes: usize) -> Vec<Finding> {
    let y = y.reshape([y.size()]).cast(DType::I64).to_vec::<i64>();
    let out = y.iter().filter(|&&y| y < 0 || y >= classes as i64).count();
    if out > 0 {
        let (least, most) = (y.iter().min().copied().unwrap_or(0), y.iter().max().copied().unwrap_or(0));
        let seen =
            format!("{out} of {} are not among 0 to {}; they run from {least} to {most}", y.len(), classes as i64 - 1);
        return vec![finding("labels out of range", seen)];
    }
    let mut counts = vec![0usize; classes];
    y.iter().for_each(|&y| counts[y as usize] += 1);
    match counts.iter().enumerate().max_by_key(|(_, count)| **count) {
        Some((class, &count)) if y.len() > 1 && count as f64 > 0.95 * y.len() as f64 => {
            let why =
                "always saying so is right that often; weigh the classes, or measure something else than accuracy";
            vec![finding("one class", format!("{count} of {} labels are {class}: {why}", y.len()))]
        }
        _ => Vec::new(),
    }
}

/// Whether a feature of `x [examples, features]` gives away the labels or targets `[examples]` by itself.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::leaks;
/// let x = Tensor::from([[1.0f32, 10.0], [3.0, 20.0], [2.0, 30.0], [5.0, 40.0]]);
/// assert!(leaks(&x, &Tensor::from([1, 2, 3, 4]))[0].says.starts_with("feature 1 is"));
/// ```
pub fn leaks(x: &Tensor, y: &Tensor) -> Vec<Finding> {
    let (rows, features) = (x.shape()[0], x.size() / x.shape()[0].max(1));
    if rows < 3 {
        return Vec::new();
    }
    let centred = |t: Tensor| &t - t.mean(covector::keep(0));
    let (x, y) =
        (centred(x.reshape([rows, features]).cast(DType::F64)), centred(y.reshape([rows, 1]).cast(DType::F64)));
    let together = (&x * &y).sum(0).square() / (x.square().sum(0) * y.square().sum(0));
    let same = |(i, r): (usize, f64)| {
        let why = "it will not be known when the model is used";
        (r > 0.999).then(|| {
            finding("leaking feature", format!("feature {i} is the answer in other units; if {why}, leave it out"))
        })
    };
    together.to_vec::<f64>().into_iter().enumerate().filter_map(same).collect()
}

/// Whether examples of the training are in the held-out part, too; both are `[examples, ..]` of one dtype.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::doctor::overlap;
/// let found = overlap(&Tensor::from([[1, 2], [3, 4]]), &Tensor::from([[3, 4], [5, 6]]));
/// assert!(found[0].says.starts_with("1 of 2 held-out examples"));
/// ```
pub fn overlap(train: &Tensor, held_out: &Tensor) -> Vec<Finding> {
    let rows = |x: &Tensor| {
        let bytes = x.value().to_bytes();
        let size = (bytes.len() / x.shape()[0].max(1)).max(1);
        bytes.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (known, asked): (HashSet<_>, _) = (rows(train).into_iter().collect(), rows(held_out));
    let both = asked.iter().filter(|&row| known.contains(row)).count();
    if both * 50 <= asked.len() {
        return Vec::new();
    }
    let seen = format!("{both} of {} held-out examples are trained on, too", asked.len());
    vec![finding("overlap", format!("{seen}: the measured loss is too good"))]
}

/// Whether the result of `f` at a position depends on later tokens; `tokens [1, time]`, results `[1, time, ..]`.
///
/// ```
/// use covector::{DType, Tensor};
/// use covector_nn::doctor::sees_ahead;
/// let tokens = Tensor::from([[3, 1, 2]]);
/// assert!(sees_ahead(|t| t.cast(DType::F32).cumsum(1), &tokens).is_empty());
/// assert_eq!(sees_ahead(|t| t.cast(DType::F32) + t.sum(..), &tokens).len(), 1);
/// ```
pub fn sees_ahead(f: impl Fn(&Tensor) -> Tensor, tokens: &Tensor) -> Vec<Finding> {
    let (time, half) = (tokens.shape()[1], tokens.shape()[1].div_ceil(2));
    let known = tokens.reshape([time]).to_vec::<i64>();
    let first = |tokens: &[i64]| f(&Tensor::from_slice(tokens, [1, time])).split([half, time - half], 1)[0].clone();
    let plain = first(&known);
    // All later tokens the least, then the greatest: what depends on a sum or a maximum of them changes once.
    let ends = [known.iter().min(), known.iter().max()];
    let ahead = ends.into_iter().flatten().any(|&end| {
        let changed: Vec<i64> = (0..time).map(|i| if i < half { known[i] } else { end }).collect();
        differs(&plain, &first(&changed))
    });
    let says =
        "a result changes when a later token does: attention lacks its causal mask, or targets are not moved on by one";
    if ahead { vec![finding("sees ahead", says.to_owned())] } else { Vec::new() }
}

/// Whether the result of `f` for one example depends on the others; `x [examples, ..]`, results `[examples, ..]`.
///
/// ```
/// use covector::{Tensor, keep};
/// use covector_nn::doctor::mixes_examples;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 5.0], [4.0, 9.0]]);
/// assert!(mixes_examples(|x| x.softmax(1), &x).is_empty());
/// assert_eq!(mixes_examples(|x| x.softmax(0), &x)[0].name, "mixes examples");
/// ```
pub fn mixes_examples(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Vec<Finding> {
    let n = x.shape()[0] as i64;
    let of_first = |x: &Tensor| f(x).take(&Tensor::from(0), 0);
    let alone = Tensor::from(vec![0i64; n as usize]);
    if n < 2 || !differs(&of_first(x), &of_first(&x.take(&alone, 0))) {
        return Vec::new();
    }
    let says = "the result for an example changes with the others: an axis is wrong in a norm, a softmax or a reshape; \
        or moments of the batch are used outside training";
    vec![finding("mixes examples", says.to_owned())]
}

/// Whether a model learns one batch by heart, as it must; and the losses of the steps. The model given stays as it is.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::{AdamW, Optimizer, doctor::one_batch};
/// let (w, adam) = (Tensor::from([3.0f32]), Optimizer::new(AdamW::default()));
/// assert!(one_batch(&w, &adam, 0.1, 60, |w| (w - 1.0).square().sum(..)).unwrap().0.is_empty());
/// let (found, _) = one_batch(&w, &adam, 0.1, 60, |w| (w * 0.001).sum(..).abs() + 5.0).unwrap();
/// assert_eq!(found[0].name, "does not learn");
/// ```
///
/// # Errors
/// If the loss has no gradient, or an op refuses its data.
pub fn one_batch<P: Tree>(
    model: &P,
    optimizer: &Optimizer,
    rate: f64,
    steps: usize,
    loss: impl Fn(&P) -> Tensor,
) -> Result<(Vec<Finding>, Vec<f64>)> {
    let (mut model, mut state) = (model.map_leaves(Tensor::clone), optimizer.start(model));
    let mut losses = Vec::with_capacity(steps + 1);
    for _ in 0..=steps {
        let (loss, gradients) = try_value_and_grad(&loss, &model)?;
        (model, state) = optimizer.step(&model, &gradients, &state, rate);
        drop(gradients);
        try_eval(&[vec![loss.clone()], model.leaves(), state.leaves()].concat())?;
        losses.push(loss.to_f64());
    }
    let (first, last) = (losses[0], losses[steps]);
    let seen = format!("on one batch the loss went from {first:.3} to {last:.3} in {steps} steps");
    let found = if !last.is_finite() || last > first * 1.5 + 0.1 {
        vec![finding("diverges", format!("{seen}: the rate is too large"))]
    } else if last > 0.3 * first {
        let why = "the loss cannot fall: inputs do not reach it, layers are cut off, a softmax is applied twice, or the rate \
            is too small";
        vec![finding("does not learn", format!("{seen}: {why}"))]
    } else {
        Vec::new()
    };
    Ok((found, losses))
}

/// Learning rates and the losses they were met with, and the one to begin with: a third of the one at which the loss fell
/// fastest. The model given stays as it is.
///
/// The rate rises by a factor from step to step, from `rates.0` to `rates.1`, until the loss is four times the least. `loss` is told the
/// number of the step, for another batch.
///
/// Source: Smith 2017, "Cyclical learning rates for training neural networks".
///
/// ```
/// use covector::Tensor;
/// use covector_nn::{Optimizer, doctor::rate_range, optim::SGD};
/// let (w, sgd) = (Tensor::from([3.0f32, -2.0]), Optimizer::new(SGD::default()));
/// let (rate, tried) = rate_range(&w, &sgd, (1e-5, 10.0), 60, |w, _| w.square().sum(..)).unwrap();
/// assert!(0.01 < rate && rate < 1.0, "from 1 on the steps grow");
/// assert!(tried.len() < 60);
/// ```
///
/// # Errors
/// If the loss has no gradient, or an op refuses its data.
pub fn rate_range<P: Tree>(
    model: &P,
    optimizer: &Optimizer,
    rates: (f64, f64),
    steps: usize,
    loss: impl Fn(&P, usize) -> Tensor,
) -> Result<(f64, Vec<(f64, f64)>)> {
    let (mut model, mut state) = (model.map_leaves(Tensor::clone), optimizer.start(model));
    let (mut tried, mut least) = (Vec::with_capacity(steps), f64::INFINITY);
    let factor = (rates.1 / rates.0).powf(1.0 / steps.saturating_sub(1).max(1) as f64);
    for step in 0..steps {
        let rate = rates.0 * factor.powi(step as i32);
        let (loss, gradients) = try_value_and_grad(|model: &P| loss(model, step), &model)?;
        (model, state) = optimizer.step(&model, &gradients, &state, rate);
        drop(gradients);
        try_eval(&[vec![loss.clone()], model.leaves(), state.leaves()].concat())?;
        let loss = loss.to_f64();
        if !loss.is_finite() || loss > 4.0 * least {
            break;
        }
        least = least.min(loss);
        tried.push((rate, loss));
    }
    let falls = tried.windows(2).map(|pair| (pair[0].1 - pair[1].1, pair[0].0));
    let steepest = falls.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(rates.0, |(_, rate)| rate);
    Ok((steepest / 3.0, tried))
}

/// Whether the losses of a run fall, and those of the held-out part with them; the latter may be few or none.
///
/// ```
/// use covector_nn::doctor::curve;
/// let falling: Vec<f64> = (0..50).map(|t| 3.0 / (1.0 + t as f64)).collect();
/// assert!(curve(&falling, &[]).is_empty());
/// assert_eq!(curve(&falling, &[2.0, 1.0, 1.5, 2.0])[0].name, "overfits");
/// ```
pub fn curve(losses: &[f64], held_out: &[f64]) -> Vec<Finding> {
    if let Some(step) = losses.iter().position(|x| !x.is_finite()) {
        let why = "lower the rate, clip gradients, or scale losses if halves are used";
        return vec![finding("loss not finite", format!("it is {} at step {step}: {why}", losses[step]))];
    }
    let tenth = (losses.len() / 10).max(1);
    if losses.len() < 10 {
        return Vec::new();
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..tenth]), mean(&losses[losses.len() - tenth..]));
    let mut found = Vec::new();
    let seen = format!("the loss went from {first:.3} to {last:.3} in {} steps", losses.len());
    if last > first + 0.05 * first.abs() {
        found.push(finding("rising loss", format!("{seen}: the rate is too large, or the loss has the wrong sign")));
    } else if (first - last).abs() < 1e-3 * first.abs() {
        found.push(finding("flat loss", format!("{seen}: nothing is learned; see the gradients and the rate")));
    }
    let mut sorted = losses[tenth..].to_vec();
    sorted.sort_by(f64::total_cmp);
    let (middle, most) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    if found.is_empty() && middle > 0.0 && most > 5.0 * middle.max(first) {
        let why = "clip gradients, or look at the batch";
        found.push(finding("spikes", format!("the loss is {most:.3} once and {middle:.3} mostly: {why}")));
    }
    let best = held_out.iter().copied().fold(f64::INFINITY, f64::min);
    match held_out.last() {
        Some(now) if held_out.len() >= 3 && *now > 1.1 * best && last < first => {
            let seen = format!("the held-out loss is {now:.3} and was {best:.3}, while the other falls");
            found.push(finding("overfits", format!("{seen}: stop earlier, drop more, or find more data")));
        }
        _ => {}
    }
    found
}

/// The root mean square.
fn rms(x: &Tensor) -> f64 {
    if x.size() == 0 { 1.0 } else { x.cast(DType::F64).square().mean(..).sqrt().to_f64() }
}

/// Whether two tensors differ by more than rounding.
fn differs(a: &Tensor, b: &Tensor) -> bool {
    let [a, b] = [a, b].map(|t| t.cast(DType::F64));
    let size = a.abs().max(..).to_f64();
    a.size() > 0 && (a - b).abs().max(..).to_f64() > 1e-5 * size
}
