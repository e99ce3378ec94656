//! Recurrent networks, with PyTorch's names and order of gates: weights load unchanged.
//!
//! The steps are unrolled into the graph, so every transformation goes through them; what enters the gates from the input is
//! one matrix product over all steps.

use covector::ops::concat::{concat, stack};
use covector::tree::Path;
use covector::{Key, Tensor, Tree};

use crate::Dropout;
use crate::init::fan_bounded;

/// The plain recurrence: `h' = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh)`.
pub type RNN = Recurrent<Elman>;
/// Long short-term memory, with gates i, f, g and o.
///
/// Source: Hochreiter and Schmidhuber 1997; PyTorch's `LSTM`.
pub type LSTM = Recurrent<LstmCell>;
/// Gated recurrent units, with gates r, z and n.
///
/// Source: Cho et al. 2014; PyTorch's `GRU`.
pub type GRU = Recurrent<GruCell>;

/// One step of a recurrence.
pub trait Cell: Tree + Clone + Default {
    /// How many times as wide as the state what enters is.
    const GATES: usize;
    /// Whether there is a cell's memory besides the state.
    const MEMORY: bool = false;
    /// Whether the step needs only the sum of what came from the input and from the state, so that both biases enter at once.
    const TOGETHER: bool = false;

    /// The state and the memory after a step: of what came from the input and from the state, and what they were.
    fn step(&self, input: &Tensor, hidden: &Tensor, h: &Tensor, c: Option<&Tensor>) -> (Tensor, Option<Tensor>);
}

/// The step of an [`RNN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Tree)]
pub enum Elman {
    /// With the hyperbolic tangent.
    #[default]
    Tanh,
    /// With the rectifier.
    Relu,
}

impl Cell for Elman {
    const GATES: usize = 1;
    const TOGETHER: bool = true;

    fn step(&self, input: &Tensor, hidden: &Tensor, _: &Tensor, _: Option<&Tensor>) -> (Tensor, Option<Tensor>) {
        let sum = input + hidden;
        (if *self == Elman::Relu { sum.relu() } else { sum.tanh() }, None)
    }
}

/// The step of an [`LSTM`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Tree)]
pub struct LstmCell;

impl Cell for LstmCell {
    const GATES: usize = 4;
    const MEMORY: bool = true;
    const TOGETHER: bool = true;

    fn step(&self, input: &Tensor, hidden: &Tensor, h: &Tensor, c: Option<&Tensor>) -> (Tensor, Option<Tensor>) {
        // Cut before they are added: the whole step is one pass.
        let (input, hidden) = (input.chunk(4, -1), hidden.chunk(4, -1));
        let gate = |i: usize| &input[i] + &hidden[i];
        let [i, f, o] = [0, 1, 3].map(|i| gate(i).sigmoid());
        let c = f * c.unwrap_or(h) + i * gate(2).tanh();
        (o * c.tanh(), Some(c))
    }
}

/// The step of a [`GRU`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Tree)]
pub struct GruCell;

impl Cell for GruCell {
    const GATES: usize = 3;

    fn step(&self, input: &Tensor, hidden: &Tensor, h: &Tensor, _: Option<&Tensor>) -> (Tensor, Option<Tensor>) {
        let (input, hidden) = (input.chunk(3, -1), hidden.chunk(3, -1));
        let [r, z] = [0, 1].map(|gate| (&input[gate] + &hidden[gate]).sigmoid());
        let n = (&input[2] + r * &hidden[2]).tanh();
        (&n + z * (h - &n), None)
    }
}

/// The weights of one layer in one direction.
#[derive(Clone, Debug)]
pub struct Direction {
    /// `[gates · hidden, inputs]`.
    pub weight_ih: Tensor,
    /// `[gates · hidden, hidden]`.
    pub weight_hh: Tensor,
    /// `[gates · hidden]`, for the input and for the state.
    pub biases: Option<[Tensor; 2]>,
}

/// What a recurrent network remembers from one piece of a sequence to the next.
#[derive(Clone, Debug, Tree)]
pub struct RecurrentState {
    /// `[layers · directions, batch, hidden]`.
    pub h: Tensor,
    /// As `h`, for an [`LSTM`].
    pub c: Option<Tensor>,
}

/// Layers of a recurrence, in one direction or both: `[batch, time, inputs] -> [batch, time, directions · hidden]`.
///
/// Its leaves have PyTorch's names: `weight_ih_l0`, `bias_hh_l1_reverse`.
///
/// ```
/// use covector::{DType, Key, Tree, ops::create::ones};
/// use covector_nn::{Dropout, LSTM};
/// let lstm = LSTM::new(&Key::new(0), 3, 5, 2, true, true);
/// let (y, state) = lstm.forward(&ones([2, 7, 3], DType::F32), None, &Dropout::off());
/// assert_eq!(y.shape()[..], [2, 7, 10]);
/// assert_eq!(state.h.shape()[..], [4, 2, 5]);
/// assert_eq!(lstm.named()[4].0, "weight_ih_l0_reverse");
/// ```
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    /// The weights: one direction or two for each layer.
    pub layers: Vec<Vec<Direction>>,
    /// The step.
    pub cell: C,
}

impl<C: Cell> Recurrent<C> {
    /// Weights and biases uniform in ±1/√hidden, as in PyTorch, in f32.
    #[track_caller]
    pub fn new(key: &Key, inputs: usize, hidden: usize, layers: usize, bias: bool, bidirectional: bool) -> Self {
        let directions = if bidirectional { 2 } else { 1 };
        let one = |layer: usize, direction: usize| {
            let key = key.fold_in((layer * 2 + direction) as i64);
            let draw = |i: i64, shape: &[usize]| fan_bounded(&key.fold_in(i), shape, hidden);
            let (rows, width) = (C::GATES * hidden, if layer == 0 { inputs } else { directions * hidden });
            Direction {
                weight_ih: draw(0, &[rows, width]),
                weight_hh: draw(1, &[rows, hidden]),
                biases: bias.then(|| [draw(2, &[rows]), draw(3, &[rows])]),
            }
        };
        let layers = (0..layers).map(|layer| (0..directions).map(|d| one(layer, d)).collect()).collect();
        Recurrent { layers, cell: C::default() }
    }

    /// With a cell of other settings: `RNN::new(..).with(Elman::Relu)`.
    pub fn with(self, cell: C) -> Self {
        Recurrent { cell, ..self }
    }

    /// The last layer's state at every time, and the states of all layers after the last; without a state, from zeros.
    /// Between layers elements are dropped.
    ///
    /// # Panics
    /// If there are no layers or no steps, or the state has another shape.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, state: Option<&RecurrentState>, dropout: &Dropout) -> (Tensor, RecurrentState) {
        self.run(x, None, state, dropout)
    }

    /// As [`forward`](Self::forward), of sequences of different lengths: `mask [batch, time]` is true where there is something, as
    /// [`data::padded`](crate::data::padded) gives it. Elsewhere results are 0 and states stay; PyTorch's packed sequences.
    ///
    /// ```
    /// use covector::{DType, Key, Tensor, ops::create::ones};
    /// use covector_nn::{Dropout, GRU};
    /// let (gru, x) = (GRU::new(&Key::new(0), 1, 1, 1, true, false), ones([2, 3, 1], DType::F32));
    /// let mask = Tensor::from([[true, true, true], [true, false, false]]);
    /// let (y, state) = gru.forward_masked(&x, &mask, None, &Dropout::off());
    /// let (y, last) = (y.to_vec::<f32>(), state.h.to_vec::<f32>());
    /// assert_eq!(y[4..], [0.0, 0.0]);
    /// assert_eq!((last[0], last[1]), (y[2], y[0]));
    /// ```
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn forward_masked(
        &self,
        x: &Tensor,
        mask: &Tensor,
        state: Option<&RecurrentState>,
        dropout: &Dropout,
    ) -> (Tensor, RecurrentState) {
        self.run(x, Some(&mask.unsqueeze(-1)), state, dropout)
    }

    #[track_caller]
    fn run(
        &self,
        x: &Tensor,
        mask: Option<&Tensor>,
        state: Option<&RecurrentState>,
        dropout: &Dropout,
    ) -> (Tensor, RecurrentState) {
        assert!(!self.layers.is_empty() && x.ndim() == 3 && x.shape()[1] > 0, "no layers, or no [batch, time, inputs]");
        let hidden = self.layers[0][0].weight_hh.shape()[1];
        let empty = || Tensor::scalar(0.0, x.dtype()).broadcast_to([x.shape()[0], hidden]);
        let given = |t: Option<&Tensor>| t.map(|t| t.unbind(0));
        let (h, c) = (given(state.map(|s| &s.h)), given(state.and_then(|s| s.c.as_ref())));
        let at = |all: &Option<Vec<Tensor>>, i: usize| all.as_ref().map_or_else(empty, |all| all[i].clone());
        let (mut x, mut last_h, mut last_c) = (x.clone(), Vec::new(), Vec::new());
        for (i, directions) in self.layers.iter().enumerate() {
            if i > 0 {
                x = dropout.layer(i).apply(&x);
            }
            let mut sides = Vec::new();
            for (reverse, direction) in directions.iter().enumerate() {
                let start = (at(&h, last_h.len()), C::MEMORY.then(|| at(&c, last_h.len())));
                let (side, h, c) = self.unrolled(direction, &x, mask, start, reverse == 1);
                sides.push(side);
                last_h.push(h);
                last_c.extend(c);
            }
            x = if sides.len() == 1 { sides.remove(0) } else { concat(&sides, 2) };
        }
        let c = C::MEMORY.then(|| stack(&last_c, 0));
        (x, RecurrentState { h: stack(&last_h, 0), c })
    }

    /// One layer in one direction: all states, the last one, and the last memory.
    fn unrolled(
        &self,
        weights: &Direction,
        x: &Tensor,
        mask: Option<&Tensor>,
        (mut h, mut c): (Tensor, Option<Tensor>),
        reverse: bool,
    ) -> (Tensor, Tensor, Option<Tensor>) {
        let (with_input, with_state) = match &weights.biases {
            Some([ih, hh]) if C::TOGETHER => (Some(ih + hh), None),
            Some([ih, hh]) => (Some(ih.clone()), Some(hh)),
            None => (None, None),
        };
        let mut entering = x.matmul(&weights.weight_ih.t());
        if let Some(bias) = with_input {
            entering = entering + bias;
        }
        let (mut steps, mut masks) = (entering.unbind(1), mask.map(|mask| mask.unbind(1)).unwrap_or_default());
        if reverse {
            steps.reverse();
            masks.reverse();
        }
        let back = weights.weight_hh.t();
        let mut states = Vec::with_capacity(steps.len());
        for (i, input) in steps.iter().enumerate() {
            let mut hidden = h.matmul(&back);
            if let Some(bias) = with_state {
                hidden = hidden + bias;
            }
            let (new_h, new_c) = self.cell.step(input, &hidden, &h, c.as_ref());
            (h, c) = match masks.get(i) {
                None => (new_h, new_c),
                Some(there) => {
                    let kept = |new: Tensor, old: &Tensor| there.where_(new, old);
                    (kept(new_h, &h), new_c.zip(c.as_ref()).map(|(new, old)| kept(new, old)))
                }
            };
            states.push(h.clone());
        }
        if reverse {
            states.reverse();
        }
        let all = stack(&states, 1);
        (mask.map_or(all.clone(), |mask| mask.where_(all, 0.0)), h, c)
    }
}

/// The suffix of the names of a layer's weights: `_l0`, `_l0_reverse`.
fn suffix(layer: usize, direction: usize) -> String {
    format!("_l{layer}{}", if direction == 1 { "_reverse" } else { "" })
}

impl<C: Cell> Tree for Recurrent<C> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        for (i, directions) in self.layers.iter().enumerate() {
            for (j, direction) in directions.iter().enumerate() {
                let end = suffix(i, j);
                path.enter(&format!("weight_ih{end}"), |path| visit(path, &direction.weight_ih));
                path.enter(&format!("weight_hh{end}"), |path| visit(path, &direction.weight_hh));
                for (name, bias) in ["bias_ih", "bias_hh"].iter().zip(direction.biases.iter().flatten()) {
                    path.enter(&format!("{name}{end}"), |path| visit(path, bias));
                }
            }
        }
    }

    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        let mut one = |i: usize, j: usize, direction: &Direction| {
            let end = suffix(i, j);
            let mut leaf = |name: &str, t: &Tensor| path.enter(&format!("{name}{end}"), |path| map(path, t));
            Direction {
                weight_ih: leaf("weight_ih", &direction.weight_ih),
                weight_hh: leaf("weight_hh", &direction.weight_hh),
                biases: direction.biases.as_ref().map(|[ih, hh]| [leaf("bias_ih", ih), leaf("bias_hh", hh)]),
            }
        };
        let mut layers = Vec::with_capacity(self.layers.len());
        for (i, directions) in self.layers.iter().enumerate() {
            layers.push(directions.iter().enumerate().map(|(j, direction)| one(i, j, direction)).collect());
        }
        Recurrent { layers, cell: self.cell.clone() }
    }

    fn fixed(&self, state: &mut dyn std::hash::Hasher) -> bool {
        state.write_usize(self.layers.len());
        for direction in self.layers.iter().flatten() {
            state.write_u8(u8::from(direction.biases.is_some()));
        }
        state.write_usize(self.layers.first().map_or(0, Vec::len));
        self.cell.fixed(state)
    }
}
