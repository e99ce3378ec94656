//! Losses: how far predictions are from targets, as one number or one for each example.

use covector_array::kernels::Inputs;
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};

use super::complex::require_real;
use super::reduce::widened;
use super::view::reshaped;
use crate::primitive::{Class, Derivative, Primitive};
use crate::{Error, Flow, Result, Spec, Tensor, keep};

/// How the losses of the examples become the result.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fold {
    Mean,
    Sum,
    Each,
}

impl Fold {
    pub(super) fn parse(reduction: &str) -> Result<Fold> {
        match reduction {
            "mean" => Ok(Fold::Mean),
            "sum" => Ok(Fold::Sum),
            "none" => Ok(Fold::Each),
            other => Err(Error::new(format!("there is no reduction {other:?}"))
                .hint("\"mean\" divides by the number of losses, \"sum\" adds them, \"none\" gives each")),
        }
    }

    /// With the mean over all elements.
    pub(super) fn of(self, loss: Tensor) -> Tensor {
        match self {
            Fold::Mean => loss.mean(..),
            Fold::Sum => loss.sum(..),
            Fold::Each => loss,
        }
    }
}

/// `x` and `target` in one float dtype (halves in f32), and the dtype of the result.
pub(super) fn pair(x: &Tensor, target: &Tensor) -> Result<(Tensor, Tensor, DType)> {
    if x.shape() != target.shape() {
        return Err(Error::new(format!("predictions {} and targets {} differ in shape", x.shape(), target.shape()))
            .hint("a loss does not broadcast: [n] against [n, 1] would silently give n² terms")
            .differing(x.shape(), target.shape()));
    }
    let dtype = x.dtype().promote(target.dtype()).to_float();
    require_real(&Spec::new(dtype, x.shape().clone()))?;
    Ok((widened(&x.cast(dtype)), widened(&target.cast(dtype)), dtype))
}

/// Class numbers checked against the number of classes, with the ignored one replaced by 0.
#[derive(Clone, Debug, Hash)]
struct Checked {
    classes: usize,
    ignored: Option<i64>,
}

impl Primitive for Checked {
    fn name(&self) -> &'static str {
        "checked_classes"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(DType::I64, x[0].shape.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let mut classes = x[0].to_i64_vec();
        for class in &mut classes {
            if Some(*class) == self.ignored {
                *class = 0;
            } else if !(0..self.classes as i64).contains(class) {
                return Err(Error::new(format!(
                    "the target holds class {class}, and there are {} classes",
                    self.classes
                ))
                .hint("classes count from 0; one more number may stand for no class, the `ignore_index`"));
            }
        }
        Ok(Array::from_slice(&classes, x[0].shape().clone()))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("classes are integers")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}

/// Scores for classes along one axis: axis 1, or the only one.
struct Scores {
    x: Tensor,
    axis: usize,
    classes: usize,
    /// The weight of each class.
    weight: Option<Tensor>,
    dtype: DType,
}

impl Scores {
    fn new(x: &Tensor, weight: Option<&Tensor>) -> Result<Scores> {
        let axis = usize::from(x.ndim() > 1);
        let classes = x.shape().get(axis).copied().unwrap_or(0);
        if classes == 0 {
            return Err(Error::new(format!("{} has no classes", x.shape()))
                .hint("scores are [classes], [n, classes] or [n, classes, ..]"));
        }
        require_real(x.spec())?;
        let dtype = x.dtype().to_float();
        let x = widened(&x.cast(dtype));
        if let Some(weight) = weight.filter(|w| w.shape()[..] != [classes]) {
            return Err(Error::new(format!(
                "the weight must be [{classes}], one number per class, not {}",
                weight.shape()
            )));
        }
        let weight = weight.map(|w| w.try_cast(x.dtype())).transpose()?;
        Ok(Scores { x, axis, classes, weight, dtype })
    }

    /// `x` without the class axis, of size 1.
    fn squeezed(&self, x: &Tensor) -> Tensor {
        reshaped(x, x.shape().without(|i| i == self.axis))
    }

    /// The weights of the classes so that they broadcast along the class axis.
    fn column(&self) -> Option<Tensor> {
        let after = self.x.ndim() - self.axis - 1;
        let view: Shape = std::iter::once(self.classes).chain(std::iter::repeat_n(1, after)).collect();
        self.weight.as_ref().map(|w| reshaped(w, view))
    }

    /// The sum over the classes, weighted.
    fn weighted_sum(&self, x: Tensor) -> Tensor {
        self.column().map_or(x.clone(), |w| x * w).sum(self.axis)
    }

    fn labels(&self, target: &Tensor, ignored: Option<i64>) -> Result<Labels> {
        let wanted = self.x.shape().without(|i| i == self.axis);
        if !target.dtype().is_int() || *target.shape() != wanted {
            return Err(Error::new(format!("for scores {} the target must be class numbers {wanted}", self.x.shape()))
                .hint(format!("it is {}; classes lie along axis {} of the scores", target.spec(), self.axis)));
        }
        let checked = Checked { classes: self.classes, ignored };
        let index = Tensor::apply(checked, [target.clone()])?;
        let weight = self.weight.as_ref().map(|w| w.take(&index, 0));
        Ok(Labels { index, kept: ignored.map(|i| target.equal(i).equal(false)), weight })
    }

    /// The score of the class that each label names.
    fn at(&self, labels: &Labels) -> Tensor {
        let index = reshaped(&labels.index, self.x.shape().with_axis(self.axis, 1));
        self.squeezed(&self.x.take_along_axis(&index, self.axis))
    }
}

/// The target as one class for each example.
struct Labels {
    index: Tensor,
    /// False where the example is ignored.
    kept: Option<Tensor>,
    /// The weight of the example's class.
    weight: Option<Tensor>,
}

impl Labels {
    fn masked(&self, x: Tensor) -> Tensor {
        self.kept.as_ref().map_or(x.clone(), |kept| kept.where_(x, 0.0))
    }

    fn weighted(&self, loss: Tensor) -> Tensor {
        self.weight.as_ref().map_or(loss.clone(), |w| loss * w)
    }

    /// The mean is weighted: the sum divided by the weights of the examples that count.
    fn fold(&self, fold: Fold, loss: Tensor) -> Tensor {
        let loss = self.masked(loss);
        if fold != Fold::Mean || (self.kept.is_none() && self.weight.is_none()) {
            return fold.of(loss);
        }
        let weights = self.weight.clone().unwrap_or_else(|| Tensor::ones_of(loss.spec()));
        loss.sum(..) / self.masked(weights).sum(..)
    }
}

/// The cross-entropy between scores and targets: `-log softmax(logits)` at the target's class, or averaged over its
/// probabilities.
///
/// Shapes: `logits [c]`, `[n, c]` or `[n, c, ..]` (classes on axis 1). The target is class numbers (integers, of the
/// logits' shape without the class axis) or probabilities (floats, of the logits' shape). `weight [c]` multiplies the
/// loss of each class. Floats; halves are computed in f32. `label_smoothing` mixes the target with the uniform
/// distribution. Examples whose class is `ignore_index` count 0, also in the mean.
///
/// The mean of class numbers is divided by the sum of their weights, that of probabilities by the number of examples; if
/// everything is ignored it is NaN.
/// # Errors
/// If shapes do not fit, `label_smoothing` is outside 0 to 1, an `ignore_index` goes with probabilities, or the reduction
/// is unknown; when computed, if a class number is out of range.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::cross_entropy};
/// let logits = Tensor::from([[0.0f32, 0.0], [0.0, 0.0]]);
/// let loss = cross_entropy(&logits, &Tensor::from([0, 1]), None, None, 0.0, "mean");
/// assert_eq!(loss.item::<f32>(), 2.0f32.ln());
/// ```
/// Source: PyTorch's `cross_entropy`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, 0, 3], [3]), (), (), 0.0, "mean"),
    (real([3, 4]), exact_ints(&[1, -100, 3], [3]), positive([4]), -100, 0.1, "mean"),
    (real([2, 3, 2]), exact_ints(&[2, 0, 1, 1], [2, 2]), positive([3]), (), 0.0, "none"),
    (real([2, 3]), positive([2, 3]), positive([3]), (), 0.2, "mean"), (real([3]), exact_ints(&[2], ()), (), (), 0.0, "sum"),
], notes = "rule=x̄ = ȳ·(softmax(x) - onehot(target))/n")]
pub fn cross_entropy(
    logits: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore_index: Option<i64>,
    label_smoothing: f64,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    if !(0.0..=1.0).contains(&label_smoothing) {
        return Err(Error::new(format!("label_smoothing must lie in 0 to 1, not {label_smoothing}")));
    }
    let scores = Scores::new(logits, weight)?;
    let uniform = label_smoothing / scores.classes as f64;
    // log softmax is `below - log_sum`, but the whole of it is not formed where one class is asked for.
    let largest = scores.x.max(keep(scores.axis)).stop_gradient();
    let below = &scores.x - &largest;
    let log_sum = below.exp().sum(keep(scores.axis)).log();
    if target.dtype().is_float() {
        check_probabilities(logits, target, ignore_index)?;
        let target = target.cast(scores.x.dtype()) * (1.0 - label_smoothing) + uniform;
        let loss = scores.weighted_sum((log_sum - below) * target);
        let examples = (logits.size() / scores.classes) as f64;
        let loss = if fold == Fold::Mean { loss.sum(..) / examples } else { fold.of(loss) };
        return Ok(loss.cast(scores.dtype));
    }
    let labels = scores.labels(target, ignore_index)?;
    let nll = scores.squeezed(&log_sum) - (scores.at(&labels) - scores.squeezed(&largest));
    let mut loss = labels.weighted(nll);
    if label_smoothing > 0.0 {
        loss = loss * (1.0 - label_smoothing) + scores.weighted_sum(log_sum - below) * uniform;
    }
    Ok(labels.fold(fold, loss).cast(scores.dtype))
}

fn check_probabilities(logits: &Tensor, target: &Tensor, ignore_index: Option<i64>) -> Result<()> {
    if target.shape() != logits.shape() {
        return Err(Error::new(format!(
            "scores {} and target probabilities {} differ in shape",
            logits.shape(),
            target.shape()
        ))
        .hint("a target of class numbers must be integers: `.cast(DType::I64)`"));
    }
    if ignore_index.is_some() {
        return Err(Error::new("ignore_index names a class number, and the target holds probabilities")
            .hint("give examples to be ignored the probability 0 for every class"));
    }
    Ok(())
}

/// The negative log-likelihood: minus the log-probability at the target's class.
///
/// Shapes: `log_probs [c]`, `[n, c]` or `[n, c, ..]` (classes on axis 1), the target of class numbers (integers) without
/// the class axis; `weight [c]`. Floats; halves are computed in f32. Examples whose class is `ignore_index` count 0; the
/// mean is divided by the sum of the weights of the others, and NaN if there are none.
/// # Errors
/// If shapes do not fit or the reduction is unknown; when computed, if a class number is out of range.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::nll_loss};
/// let log_probs = Tensor::from([[-0.5f32, -1.0], [-2.0, -0.25]]);
/// let loss = nll_loss(&log_probs, &Tensor::from([0, 1]), None, None, "sum");
/// assert_eq!(loss.item::<f32>(), 0.75);
/// ```
/// Source: PyTorch's `nll_loss`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, 0, 3], [3]), (), (), "mean"), (real([3, 4]), exact_ints(&[1, 2, 3], [3]), positive([4]), 2, "mean"),
    (real([2, 3, 2]), exact_ints(&[2, 0, 1, 1], [2, 2]), positive([3]), 1, "none"), (real([3]), exact_ints(&[2], ()), (), (), "sum"),
])]
pub fn nll_loss(
    log_probs: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore_index: Option<i64>,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let scores = Scores::new(log_probs, weight)?;
    let labels = scores.labels(target, ignore_index)?;
    let loss = labels.weighted(-scores.at(&labels));
    Ok(labels.fold(fold, loss).cast(scores.dtype))
}

/// The squared error `(x - target)²`.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32.
/// # Errors
/// If the shapes differ or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::mse_loss};
/// let loss = mse_loss(&Tensor::from([1.0f32, 4.0]), &Tensor::from([2.0f32, 2.0]), "mean");
/// assert_eq!(loss.item::<f32>(), 2.5);
/// ```
/// Source: PyTorch's `mse_loss`.
#[op(samples = [(real([2, 3]), real2([2, 3]), "mean"), (real([4]), real2([4]), "sum"), (real([2, 2]), real2([2, 2]), "none")],
    notes = "rule=x̄ = ȳ·2(x - target)/n | t̄ = -x̄")]
pub fn mse_loss(x: &Tensor, target: &Tensor, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    Ok(fold.of((x - target).square()).cast(dtype))
}

/// The absolute error `|x - target|`.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32. The derivative where the two are equal is 0.
/// # Errors
/// If the shapes differ or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::l1_loss};
/// let loss = l1_loss(&Tensor::from([1.0f32, 4.0]), &Tensor::from([2.0f32, 2.0]), "mean");
/// assert_eq!(loss.item::<f32>(), 1.5);
/// ```
/// Source: PyTorch's `l1_loss`.
#[op(samples = [(real([2, 3]), real2([2, 3]), "mean"), (real([4]), real2([4]), "sum"), (real([2, 2]), real2([2, 2]), "none")])]
pub fn l1_loss(x: &Tensor, target: &Tensor, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    Ok(fold.of((x - target).abs()).cast(dtype))
}

/// The Huber loss: `d²/2` for distances d up to `delta`, `delta · (d - delta/2)` beyond.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32. At `delta` the derivative is continuous, the second is that of the square.
/// # Errors
/// If the shapes differ, `delta` is not a positive number or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::huber_loss};
/// let loss = huber_loss(&Tensor::from([1.0f32, 4.0]), &Tensor::from([2.0f32, 2.0]), 1.0, "none");
/// assert_eq!(loss.to_vec::<f32>(), [0.5, 1.5]);
/// ```
/// Source: Huber 1964, "Robust estimation of a location parameter"; PyTorch's `huber_loss`.
#[op(samples = [(real([2, 3]), real2([2, 3]), 1.0, "mean"), (real([4]), real2([4]), 0.5, "sum"), (real([2, 2]), real2([2, 2]), 1.5, "none")])]
pub fn huber_loss(x: &Tensor, target: &Tensor, delta: f64, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    if !(delta > 0.0 && delta.is_finite()) {
        return Err(Error::new(format!("delta must be a positive number, not {delta}")));
    }
    let (x, target, dtype) = pair(x, target)?;
    let away = x - target;
    let distance = away.abs();
    let beyond = distance.greater(delta);
    // The square of `away`, not of the distance: the latter's second derivative at 0 would be lost.
    let loss = beyond.where_((distance - delta / 2.0) * delta, away.square() * 0.5);
    Ok(fold.of(loss).cast(dtype))
}

/// The cross-entropy between `sigmoid(x)` and a probability, computed without overflow.
///
/// `(1 - t) · x + (1 + (pos_weight - 1) · t) · softplus(-x)`, times `weight`.
///
/// Shapes: `x` and the target the same; `weight` and `pos_weight` broadcast to it. The result is a scalar, or of that
/// shape for "none"; the mean is divided by the number of elements, not by the weights. Dtypes: promoted to a float;
/// halves are computed in f32.
/// # Errors
/// If the shapes differ, a weight does not broadcast or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::binary_cross_entropy_with_logits as bce};
/// let (x, t) = (Tensor::from([0.0f32, 200.0]), Tensor::from([1.0f32, 1.0]));
/// assert_eq!(bce(&x, &t, None, None, "none").to_vec::<f32>(), [2.0f32.ln(), 0.0]);
/// ```
/// Source: PyTorch's `binary_cross_entropy_with_logits`.
#[op(samples = [
    (real([2, 3]), between(0.0, 1.0, [2, 3]), (), (), "mean"), (real([2, 3]), between(0.0, 1.0, [2, 3]), positive([3]), (), "sum"),
    (real([2, 3]), between(0.0, 1.0, [2, 3]), positive([2, 1]), positive([3]), "none"),
])]
pub fn binary_cross_entropy_with_logits(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    pos_weight: Option<&Tensor>,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    let weights = |w: &Tensor| {
        if w.shape().broadcast(x.shape()).as_ref() != Some(x.shape()) {
            return Err(Error::new(format!("the weight {} does not broadcast to {}", w.shape(), x.shape())));
        }
        w.try_cast(x.dtype())
    };
    let mut positive = (-&x).softplus();
    if let Some(w) = pos_weight.map(weights).transpose()? {
        positive = positive * ((w - 1.0) * &target + 1.0);
    }
    let mut loss = (1.0 - &target) * &x + positive;
    if let Some(w) = weight.map(weights).transpose()? {
        loss = loss * w;
    }
    Ok(fold.of(loss).cast(dtype))
}

/// The Kullback-Leibler divergence, element by element: `t · (log t - log_probs)`; `target` is t, or `log t` with
/// `log_target`.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32. Where t is 0 the term and the derivative for t are 0. Besides "mean" (over all elements), "sum" and
/// "none" there is the reduction "batchmean", the sum divided by the size of axis 0: the divergence as defined.
/// # Errors
/// If the shapes differ or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::loss::kl_div};
/// let log_q = Tensor::from([0.5f32, 0.5]).log();
/// assert_eq!(kl_div(&log_q, &Tensor::from([1.0f32, 0.0]), false, "sum").item::<f32>(), 2.0f32.ln());
/// ```
/// Source: PyTorch's `kl_div`.
#[op(samples = [
    (real([2, 3]), positive([2, 3]), false, "mean"), (real([2, 3]), real2([2, 3]), true, "batchmean"),
    (real([4]), positive([4]), false, "none"), (real([2, 2]), real2([2, 2]), true, "sum"),
])]
pub fn kl_div(log_probs: &Tensor, target: &Tensor, log_target: bool, reduction: &str) -> Result<Tensor> {
    let batch = reduction == "batchmean";
    let fold = Fold::parse(if batch { "sum" } else { reduction })?;
    let (x, target, dtype) = pair(log_probs, target)?;
    let nothing = target.equal(if log_target { f64::NEG_INFINITY } else { 0.0 });
    // A harmless number first: the derivative of log at 0 must not meet the 0 it is multiplied by.
    let safe = nothing.where_(1.0, &target);
    let (t, log_t) = if log_target { (safe.exp(), safe) } else { (safe.clone(), safe.log()) };
    let loss = fold.of(nothing.where_(0.0, t * (log_t - &x)));
    let examples = x.shape().first().copied().unwrap_or(1) as f64;
    Ok(if batch { loss / examples } else { loss }.cast(dtype))
}

op_list![cross_entropy, nll_loss, mse_loss, l1_loss, huber_loss, binary_cross_entropy_with_logits, kl_div];
