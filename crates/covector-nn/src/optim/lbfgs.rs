//! A method of second order for full batches.

use covector::ops::concat::concat;
use covector::{DType, Result, Tensor, Tree, try_eval};

use super::line_search::{Place, strong_wolfe};

/// L-BFGS: directions from the last few steps and what they did to the gradient. For losses without noise.
///
/// Source: Liu and Nocedal 1989, "On the limited memory BFGS method"; PyTorch's `LBFGS`.
///
/// ```
/// use covector::{Tensor, try_value_and_grad};
/// use covector_nn::optim::LBFGS;
/// let lbfgs = LBFGS { strong_wolfe: true, ..LBFGS::default() };
/// let loss = |w: &Tensor| ((w - 3.0).square() * Tensor::from([1.0f64, 100.0])).sum(..);
/// let w = Tensor::from([0.0f64, 0.0]);
/// let (w, _, _) = lbfgs.step(&w, lbfgs.start(&w), |w| try_value_and_grad(loss, w)).unwrap();
/// assert!(w.to_vec::<f64>().iter().all(|w| (w - 3.0).abs() < 1e-6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LBFGS {
    /// How far to go along a direction; with the line search, what is tried first.
    pub rate: f64,
    /// How many directions a step follows at most.
    pub max_iter: usize,
    /// How often a step evaluates the loss, about; 5/4 of `max_iter` if not told.
    pub max_eval: Option<usize>,
    /// A step ends where no derivative is larger.
    pub tolerance_grad: f64,
    /// A step ends where neither the loss nor a parameter changes more.
    pub tolerance_change: f64,
    /// How many earlier steps are remembered.
    pub history: usize,
    /// Whether to search along each direction for a place that satisfies the strong Wolfe conditions.
    pub strong_wolfe: bool,
}

impl Default for LBFGS {
    /// PyTorch's defaults.
    fn default() -> Self {
        LBFGS {
            rate: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history: 100,
            strong_wolfe: false,
        }
    }
}

/// What [`LBFGS`] remembers; all parameters side by side in one vector.
#[derive(Clone, Debug, Tree)]
pub struct Memory {
    /// The number of directions followed so far: a 0-d integer.
    pub iterations: Tensor,
    /// The gradient where the last direction began.
    pub gradient: Tensor,
    /// The last move.
    pub moved: Tensor,
    /// Earlier moves, the oldest first.
    pub steps: Vec<Tensor>,
    /// What each did to the gradient.
    pub changes: Vec<Tensor>,
}

impl LBFGS {
    /// The state before the first step.
    pub fn start<P: Tree>(&self, parameters: &P) -> Memory {
        self.start_with(parameters, 0)
    }

    /// A state with room for `pairs` remembered steps: the structure to load a saved one into.
    pub fn start_with<P: Tree>(&self, parameters: &P, pairs: usize) -> Memory {
        let size: usize = parameters.leaves().iter().map(Tensor::size).sum();
        let zeros = || Tensor::scalar(0.0, dtype(parameters)).broadcast_to([size]);
        let many = || (0..pairs).map(|_| zeros()).collect();
        Memory { iterations: Tensor::from(0), gradient: zeros(), moved: zeros(), steps: many(), changes: many() }
    }

    /// The parameters and the state after a step of several directions, and the loss before it. Everything is computed.
    ///
    /// `loss` gives the loss and its gradient, for example by [`covector::try_value_and_grad`].
    ///
    /// # Errors
    /// If the loss gives one.
    pub fn step<P: Tree>(
        &self,
        parameters: &P,
        state: Memory,
        loss: impl Fn(&P) -> Result<(Tensor, P)>,
    ) -> Result<(P, Memory, f64)> {
        let most = self.max_eval.unwrap_or(self.max_iter * 5 / 4);
        let evaluate = |x: &Tensor| -> Result<(f64, Tensor)> {
            let (loss, gradient) = loss(&unflat(parameters, x))?;
            let gradient = flat(&gradient);
            try_eval([&loss, &gradient])?;
            Ok((loss.to_f64(), gradient))
        };
        let mut x = flat(parameters);
        let (before, mut gradient) = evaluate(&x)?;
        let (mut here, mut evaluations) = (before, 1);
        let Memory { iterations, gradient: mut last, mut moved, mut steps, mut changes } = state;
        let mut iterations = iterations.to_f64() as i64;
        for round in 1..=self.max_iter {
            if largest(&gradient) <= self.tolerance_grad {
                break;
            }
            iterations += 1;
            if iterations > 1 {
                let change = &gradient - &last;
                if dot(&change, &moved) > 1e-10 {
                    let surplus = (steps.len() + 1).saturating_sub(self.history.max(1));
                    steps.drain(..surplus);
                    changes.drain(..surplus);
                    steps.push(moved);
                    changes.push(change);
                }
            }
            let direction = direction(&gradient, &steps, &changes);
            last = gradient.clone();
            let first =
                if iterations == 1 { (1.0 / gradient.abs().sum(..).to_f64()).min(1.0) } else { 1.0 } * self.rate;
            let slope = dot(&gradient, &direction);
            moved = &direction * first;
            if slope > -self.tolerance_change {
                break;
            }
            let previous = here;
            let mut tries = 0;
            if self.strong_wolfe {
                let at = |t: f64| {
                    let (loss, gradient) = evaluate(&(&x + &direction * t))?;
                    let slope = dot(&gradient, &direction);
                    Ok(Place { t, loss, gradient, slope })
                };
                let start = Place { t: 0.0, loss: here, gradient, slope };
                let room = most.saturating_sub(evaluations);
                let found = strong_wolfe(at, &start, first, largest(&direction), self.tolerance_change, room)?;
                (here, gradient, tries) = (found.0.loss, found.0.gradient, found.1);
                moved = &direction * found.0.t;
                x = &x + &moved;
            } else {
                x = &x + &moved;
                // Where the step ends the loss is not needed: with noise the next step asks for another.
                if round != self.max_iter {
                    (here, gradient) = evaluate(&x)?;
                    tries = 1;
                }
            }
            evaluations += tries;
            try_eval([&x, &moved])?;
            let still = largest(&moved) <= self.tolerance_change || (here - previous).abs() < self.tolerance_change;
            if evaluations >= most || still {
                break;
            }
        }
        let state = Memory { iterations: Tensor::from(iterations), gradient: last, moved, steps, changes };
        try_eval(&state.leaves())?;
        Ok((unflat(parameters, &x), state, before))
    }
}

/// Down the gradient as bent by the remembered steps: the two loops over them, from the last to the first and back.
fn direction(gradient: &Tensor, steps: &[Tensor], changes: &[Tensor]) -> Tensor {
    let pairs: Vec<_> = steps.iter().zip(changes).map(|(s, y)| (s, y, 1.0 / dot(y, s))).collect();
    let mut q = -gradient;
    let mut weights = Vec::with_capacity(pairs.len());
    for (s, y, inverse) in pairs.iter().rev() {
        let weight = dot(s, &q) * inverse;
        q = q - *y * weight;
        weights.push(weight);
    }
    if let Some((_, y, inverse)) = pairs.last() {
        q = q * (1.0 / inverse / dot(y, y));
    }
    for ((s, y, inverse), weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let back = dot(y, &q) * inverse;
        q = q + *s * (weight - back);
    }
    q
}

fn dtype<P: Tree>(tree: &P) -> DType {
    tree.leaves().iter().map(Tensor::dtype).reduce(DType::promote).unwrap_or(DType::F32)
}

/// All leaves as one vector.
fn flat<P: Tree>(tree: &P) -> Tensor {
    let dtype = dtype(tree);
    let leaves: Vec<Tensor> = tree.leaves().iter().map(|t| t.reshape([t.size()]).cast(dtype)).collect();
    if leaves.is_empty() { Tensor::from(Vec::<f32>::new()) } else { concat(&leaves, 0) }
}

/// The vector as leaves of `like`.
fn unflat<P: Tree>(like: &P, x: &Tensor) -> P {
    let leaves = like.leaves();
    let parts = x.split(leaves.iter().map(Tensor::size).collect::<Vec<_>>(), 0);
    like.with_leaves(leaves.iter().zip(parts).map(|(p, x)| x.reshape(p.shape()).cast(p.dtype())))
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum(..).to_f64()
}

fn largest(x: &Tensor) -> f64 {
    if x.size() == 0 { 0.0 } else { x.abs().max(..).to_f64() }
}
