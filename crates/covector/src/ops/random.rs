//! Random tensors from explicit keys: a counter-based generator, so numbers depend on the key alone.
//!
//! A [`Key`] is data, not state: the same key gives the same numbers, whatever the threads, the order of evaluation and
//! the batching. Make fresh keys with [`Key::split`] and [`Key::fold_in`], and use each for one draw. Every op takes its
//! key as a tensor, `u32[2]`, which a [`Key`] is at heart.

use std::ops::Deref;
use std::sync::Mutex;

use covector_array::kernels::{self, Inputs, philox};
use covector_array::math::Real;
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};

use super::create::addressable;
use super::view::{add_batch, expand};
use crate::plan::cost::size;
use crate::primitive::{Class, Derivative, Primitive};
use crate::tree::Path;
use crate::{Axis, Cost, Error, Flow, Operand, Result, Spec, Tensor, Tree};

/// What random numbers are made from: 64 bits, held in a tensor `u32[2]`.
///
/// ```
/// use covector::{DType, ops::random::{Key, normal}};
/// let [a, b]: [Key; 2] = Key::new(42).split(2).try_into().unwrap();
/// assert_eq!(normal(&a, [3], DType::F32).to_vec::<f32>(), normal(&a, [3], DType::F32).to_vec::<f32>());
/// assert_ne!(normal(&a, [3], DType::F32).to_vec::<f32>(), normal(&b, [3], DType::F32).to_vec::<f32>());
/// ```
#[derive(Clone, Debug)]
pub struct Key(Tensor);

impl Key {
    /// The key of a seed: its two halves.
    pub fn new(seed: u64) -> Key {
        Key(Tensor::from_slice(&[seed as u32, (seed >> 32) as u32], 2))
    }

    /// `n` keys unlike each other, this one, and what [`fold_in`](Self::fold_in) gives.
    #[track_caller]
    pub fn split(&self, n: usize) -> Vec<Key> {
        let keys = split_key(&self.0, n);
        (0..n).map(|i| Key(keys.take(&Tensor::from(i as i64), 0))).collect()
    }

    /// The key of this one and an integer, for example of a step or a layer.
    ///
    /// Panics at the caller's line if the number is no 0-d integer.
    #[track_caller]
    pub fn fold_in(&self, data: impl Into<Tensor>) -> Key {
        Key(fold_in(&self.0, &data.into()))
    }
}

impl Deref for Key {
    type Target = Tensor;
    fn deref(&self) -> &Tensor {
        &self.0
    }
}

impl From<Key> for Tensor {
    fn from(key: Key) -> Tensor {
        key.0
    }
}

impl TryFrom<Tensor> for Key {
    type Error = Error;
    fn try_from(key: Tensor) -> Result<Key> {
        check(&key)?;
        Ok(Key(key))
    }
}

/// A key is one leaf, under its own path.
impl Tree for Key {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        visit(path, &self.0);
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        Key(map(path, &self.0))
    }
    fn fixed(&self, _: &mut dyn std::hash::Hasher) -> bool {
        true
    }
}

/// The seed of the process and the number of keys it has given out.
static DEFAULT: Mutex<(u64, u64)> = Mutex::new((0, 0));

/// Starts the process-wide sequence of [`default_key`] again, from this seed.
pub fn seed(seed: u64) {
    *DEFAULT.lock().unwrap_or_else(|e| e.into_inner()) = (seed, 0);
}

/// The next key of the process: for scripts and first steps.
///
/// This is the one piece of global state here: the n-th call since [`seed`] (0 until it is called) gives the n-th key.
/// The keys are the same from run to run as long as the calls come in the same order, which threads do not promise.
/// Libraries, and programs whose numbers matter, take a [`Key`] as an argument instead.
pub fn default_key() -> Key {
    let (seed, n) = {
        let mut state = DEFAULT.lock().unwrap_or_else(|e| e.into_inner());
        state.1 += 1;
        (state.0, state.1)
    };
    Key::new(seed).fold_in(n)
}

fn check(key: &Tensor) -> Result<()> {
    if key.dtype() == DType::U32 && key.shape()[..] == [2] {
        return Ok(());
    }
    Err(Error::new(format!("a key is u32[2], not {}", key.spec())).hint("make one with `Key::new(seed)`"))
}

/// The third word of the counter: what a block of random words is for. Draws use 0.
#[derive(Clone, Copy, Debug, Hash)]
enum Purpose {
    Split = 1,
    FoldIn = 2,
}

/// Keys and integers to new keys: operands `u32[.., 2]` and `u64[..]` of the same leading axes.
#[derive(Clone, Debug, Hash)]
struct DeriveKey(Purpose);

impl Primitive for DeriveKey {
    fn name(&self) -> &'static str {
        match self.0 {
            Purpose::Split => "split_key",
            Purpose::FoldIn => "fold_in",
        }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let wanted = x[1].shape.with_inserted(x[1].shape.len(), 2);
        if x[0].shape != wanted {
            return Err(Error::new(format!("keys must have the shape {wanted}, not {}", x[0].shape)));
        }
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.subscripts("...k,...->...k");
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        let (keys, data) = (x[0].to_vec::<u32>(), x[1].to_vec::<u64>());
        Ok(Array::build::<u32>(out.shape.clone(), |out| {
            for ((new, key), data) in out.chunks_exact_mut(2).zip(keys.chunks_exact(2)).zip(data) {
                let counter = [data as u32, (data >> 32) as u32, self.0 as u32, 0];
                new.copy_from_slice(&philox(counter, [key[0], key[1]])[..2]);
            }
        }))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        // A block of Philox: ten rounds of eight operations.
        Cost { flops: 80 * size(x[1]), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("keys are integers")
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let whole = |i: usize| if has[i] { x[i].clone() } else { add_batch(&x[i], size) };
        Tensor::apply(self.clone(), [whole(0), whole(1)])
    }
}

/// Random words, `shape` of them for every key: operand `u32[.., 2]`, result `u32[.., shape]`.
#[derive(Clone, Debug, Hash)]
struct RandomBits {
    shape: Shape,
}

impl Primitive for RandomBits {
    fn name(&self) -> &'static str {
        "random_bits"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let keys = &x[0].shape[..x[0].shape.len() - 1];
        Ok(Spec::new(DType::U32, keys.iter().chain(self.shape.iter()).copied().collect::<Shape>()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let keys = flow.shape(0).len() - 1;
        flow.carried(0, (0..keys).map(Some));
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        let keys = x[0].to_vec::<u32>();
        if let [a, b] = keys[..] {
            return Ok(kernels::random_bits([a, b], self.shape.clone()).reshape(&out.shape));
        }
        let size = self.shape.size();
        Ok(Array::build::<u32>(out.shape.clone(), |out| {
            for (words, key) in out.chunks_exact_mut(size.max(1)).zip(keys.chunks_exact(2)) {
                words.copy_from_slice(&kernels::random_bits([key[0], key[1]], size.into()).to_vec::<u32>());
            }
        }))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        // Four words of a block of eighty operations.
        Cost { flops: 20 * size(out), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("random bits are integers")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}

/// `n` keys from one, unlike each other and the first.
///
/// Shapes: `u32[2] -> u32[n, 2]`. There is no derivative.
/// # Errors
/// If the key is not `u32[2]`.
/// # Example
/// ```
/// use covector::{Tensor, vmap, ops::random::{Key, split_key, randint}};
/// let keys = split_key(&Key::new(0), 3);
/// let each = vmap(|key: &Tensor| randint(key, [2], 0, 10))(&keys);
/// assert_eq!(each.shape()[..], [3, 2]);
/// ```
/// Source: JAX's `random.split`; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), for the generator.
#[op(samples = [(Key::new(7).0, 3), (Key::new(8).0, 0)], method = false, notes = "derivative=keys are integers")]
pub fn split_key(key: &Tensor, n: usize) -> Result<Tensor> {
    check(key)?;
    addressable(&Shape::from([n, 2]), DType::U64)?;
    let number = Tensor::from_array(kernels::iota(n, DType::U64));
    Tensor::apply(DeriveKey(Purpose::Split), [expand(key, &Shape::from([n, 2])), number])
}

/// The key of a key and an integer.
///
/// Shapes: `u32[2], [] -> u32[2]`. Integers of any dtype; negative ones count as their two's complement in 64 bits.
/// There is no derivative.
/// # Errors
/// If the key is not `u32[2]`, or the other no 0-d integer.
/// # Example
/// ```
/// use covector::ops::random::Key;
/// let key = Key::new(0);
/// assert_ne!(key.fold_in(1).to_vec::<u32>(), key.fold_in(2).to_vec::<u32>());
/// ```
/// Source: JAX's `random.fold_in`.
#[op(samples = [(Key::new(7).0, exact_ints(&[3], ())), (Key::new(7).0, exact_ints(&[-1], ()))], method = false,
    notes = "derivative=keys are integers")]
pub fn fold_in(key: &Tensor, data: &Tensor) -> Result<Tensor> {
    check(key)?;
    if !data.dtype().is_int() || data.ndim() != 0 {
        return Err(Error::new(format!("a key takes in one integer at a time, not {}", data.spec())));
    }
    Tensor::apply(DeriveKey(Purpose::FoldIn), [key.clone(), data.cast(DType::U64)])
}

/// Random words: each bit is 0 or 1 with equal probability.
///
/// Shapes: `u32[2] -> shape`. The result is u32; a longer draw begins with the shorter one. There is no derivative.
/// # Errors
/// If the key is not `u32[2]`.
/// # Example
/// ```
/// use covector::ops::random::{Key, random_bits};
/// assert_eq!(random_bits(&Key::new(0), [2]).to_vec::<u32>(), [0x6627e8d5, 0xe169c58d]);
/// ```
/// Source: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#[op(samples = [(Key::new(7).0, [2, 3]), (Key::new(8).0, [5]), (Key::new(9).0, [0])], method = false,
    notes = "derivative=the bits are integers")]
pub fn random_bits(key: &Tensor, shape: Shape) -> Result<Tensor> {
    check(key)?;
    Tensor::apply(RandomBits { shape }, [key.clone()])
}

/// 64 random bits per element, from two words.
fn wide_bits(key: &Tensor, shape: &Shape) -> Result<Tensor> {
    let pairs = shape.with_inserted(shape.len(), 2);
    addressable(shape, DType::U64).and_then(|()| addressable(&pairs, DType::U64))?;
    let words = random_bits(key, pairs).cast(DType::U64);
    let word = |i: i64| words.take(&Tensor::from(i), -1);
    Ok(word(0) * (1i64 << 32) + word(1))
}

/// `bits` random bits per element, as whole numbers in `dtype`, which holds them exactly.
fn whole(key: &Tensor, shape: &Shape, dtype: DType, bits: u32) -> Result<Tensor> {
    if bits > 32 {
        return Ok(wide_bits(key, shape)?.bitwise_right_shift(64 - bits as usize).cast(dtype));
    }
    addressable(shape, DType::U32)?;
    Ok(random_bits(key, shape.clone()).bitwise_right_shift(32 - bits as usize).cast(dtype))
}

/// The bits of the significand, the leading one included.
fn precision(dtype: DType) -> Result<u32> {
    match dtype {
        DType::F16 => Ok(11),
        DType::BF16 => Ok(8),
        DType::F32 => Ok(24),
        DType::F64 => Ok(53),
        _ => Err(Error::new(format!("draws floats, not {dtype}")).hint("for integers use `randint`")),
    }
}

/// Uniform in (-1, 1), symmetric, neither end nor 0 included: odd multiples of the last bit, all exact.
fn symmetric(key: &Tensor, shape: &Shape, dtype: DType) -> Result<Tensor> {
    let bits = precision(dtype)? - 1;
    Ok((whole(key, shape, dtype, bits)? * 2.0 + 1.0) * 0.5f64.powi(bits as i32) - 1.0)
}

/// Uniform random numbers in `[lo, hi)`.
///
/// Shapes: `u32[2] -> shape`. Any float dtype; as many random bits as its significand holds. `hi` itself can occur only
/// by the rounding of `lo + (hi - lo) · u`, never for 0 and 1. There is no derivative.
/// # Errors
/// If the key is not `u32[2]`, the dtype no float, or `lo > hi`.
/// # Example
/// ```
/// use covector::{DType, ops::random::{Key, uniform}};
/// assert!(uniform(&Key::new(0), [9], -1.0, 1.0, DType::F32).to_vec::<f32>().iter().all(|x| (-1.0..1.0).contains(x)));
/// ```
/// Source: JAX's `random.uniform`.
#[op(samples = [(Key::new(7).0, [2, 3], 0.0, 1.0, "f64"), (Key::new(8).0, [4], -1.0, 2.0, "f32")], method = false,
    notes = "derivative=it depends on integers alone")]
pub fn uniform(key: &Tensor, shape: Shape, lo: f64, hi: f64, dtype: DType) -> Result<Tensor> {
    check(key)?;
    let bits = precision(dtype)?;
    if lo.partial_cmp(&hi).is_none_or(|order| order.is_gt()) {
        return Err(Error::new(format!("there is nothing between {lo} and {hi}")).hint("lo must not be above hi"));
    }
    let unit = whole(key, &shape, dtype, bits)? * 0.5f64.powi(bits as i32);
    Ok(if (lo, hi) == (0.0, 1.0) { unit } else { unit * (hi - lo) + lo })
}

/// Random numbers of the standard normal distribution.
///
/// Shapes: `u32[2] -> shape`. Any float dtype. The distribution ends where its random bits do: at about ±5.3 in f32, ±8.2
/// in f64. There is no derivative.
/// # Errors
/// If the key is not `u32[2]` or the dtype no float.
/// # Example
/// ```
/// use covector::{DType, ops::random::{Key, normal}};
/// let x = normal(&Key::new(0), [1000], DType::F32);
/// assert!(x.mean(..).item::<f32>().abs() < 0.1);
/// ```
/// Source: JAX's `random.normal`.
#[op(samples = [(Key::new(7).0, [2, 3], "f64"), (Key::new(8).0, [4], "f32")], method = false,
    notes = "derivative=it depends on integers alone")]
pub fn normal(key: &Tensor, shape: Shape, dtype: DType) -> Result<Tensor> {
    check(key)?;
    // Halves have too few bits to invert: their numbers are rounded from f32.
    let wide = if dtype == DType::F64 { dtype } else { DType::F32 };
    precision(dtype)?;
    Ok((symmetric(key, &shape, wide)?.erfinv() * std::f64::consts::SQRT_2).cast(dtype))
}

/// Random numbers of the standard normal distribution, given that they lie between `lo` and `hi`.
///
/// Shapes: `u32[2] -> shape`. Any float dtype; computed in f64, where bounds beyond ±8 on one side leave nothing between.
/// There is no derivative.
/// # Errors
/// If the key is not `u32[2]`, the dtype no float, or not `lo < hi`.
/// # Example
/// ```
/// use covector::{DType, ops::random::{Key, truncated_normal}};
/// let x = truncated_normal(&Key::new(0), [9], -2.0, 2.0, DType::F32);
/// assert!(x.to_vec::<f32>().iter().all(|x| x.abs() <= 2.0));
/// ```
/// Source: JAX's `random.truncated_normal`, PyTorch's `nn.init.trunc_normal_`.
#[op(samples = [(Key::new(7).0, [2, 3], -2.0, 2.0, "f64"), (Key::new(8).0, [4], 0.0, 1.0, "f32")], method = false,
    notes = "derivative=it depends on integers alone")]
pub fn truncated_normal(key: &Tensor, shape: Shape, lo: f64, hi: f64, dtype: DType) -> Result<Tensor> {
    check(key)?;
    precision(dtype)?;
    if lo.partial_cmp(&hi).is_none_or(|order| order.is_ge()) {
        return Err(Error::new(format!("there is nothing between {lo} and {hi}")).hint("lo must be below hi"));
    }
    let root = std::f64::consts::SQRT_2;
    let (a, b) = (Real::erf(lo / root), Real::erf(hi / root));
    let u = symmetric(key, &shape, DType::F64)? * ((b - a) / 2.0) + (a + b) / 2.0;
    Ok((u.erfinv() * root).clip(Some(lo), Some(hi)).cast(dtype))
}

/// True with probability `p`, element by element.
///
/// Shapes: `p` broadcasts to `shape`. The result is bool. `p` below 0 counts as 0, above 1 as 1; NaN gives false. There is
/// no derivative.
/// # Errors
/// If the key is not `u32[2]`, or `p` does not broadcast.
/// # Example
/// ```
/// use covector::ops::random::{Key, bernoulli};
/// assert_eq!(bernoulli(&Key::new(0), 1.0, [2]).to_vec::<bool>(), [true, true]);
/// ```
/// Source: JAX's `random.bernoulli`.
#[op(samples = [(Key::new(7).0, 0.3, [2, 3]), (Key::new(8).0, between(0.1, 0.9, [3]), [2, 3])], method = false,
    notes = "derivative=the result is bool; dtypes=a draw next to its probability changes sides when that is rounded")]
pub fn bernoulli(key: &Tensor, p: Operand, shape: Shape) -> Result<Tensor> {
    check(key)?;
    let dtype = p.promote(DType::F32);
    let p = p.as_tensor(dtype, &Shape::scalar());
    if p.shape().broadcast(&shape).as_ref() != Some(&shape) {
        return Err(Error::new(format!("probabilities of shape {} do not broadcast to {shape}", p.shape())));
    }
    addressable(&shape, dtype)?;
    Ok(expand(&p, &shape).greater(try_uniform(key, shape, 0.0, 1.0, dtype)?))
}

/// Random integers from `lo` up to, but not with, `hi`, all equally likely.
///
/// Shapes: `u32[2] -> shape`. The result is i64. No probability is off by more than (hi - lo) / 2⁶⁴ of itself. There is
/// no derivative.
/// # Errors
/// If the key is not `u32[2]`, or not `lo < hi`.
/// # Example
/// ```
/// use covector::ops::random::{Key, randint};
/// assert!(randint(&Key::new(0), [9], -3, 3).to_vec::<i64>().iter().all(|x| (-3..3).contains(x)));
/// ```
/// Source: JAX's `random.randint`, PyTorch's `randint`.
#[op(samples = [(Key::new(7).0, [2, 3], 0, 10), (Key::new(8).0, [4], -5, 5)], method = false,
    notes = "derivative=the result is an integer")]
pub fn randint(key: &Tensor, shape: Shape, lo: i64, hi: i64) -> Result<Tensor> {
    check(key)?;
    if lo >= hi {
        return Err(Error::new(format!("there is no integer from {lo} up to {hi}")).hint("lo must be below hi"));
    }
    let count = Tensor::from(hi.wrapping_sub(lo) as u64);
    Ok((wide_bits(key, &shape)? % count).cast(DType::I64) + lo)
}

/// The index along `axis` of a class drawn with the probabilities `softmax(logits)`: one draw for each row of logits.
///
/// Shapes: `logits [.., n, ..] -> [.., ..]` without `axis`. The result is i64; a class with logit -inf is never drawn, and
/// the class of a NaN always. Several draws from the same logits: broadcast them first. There is no derivative.
/// # Errors
/// If the key is not `u32[2]`, the logits no floats, or the axis out of range or empty.
/// # Example
/// ```
/// use covector::{Tensor, ops::random::{Key, categorical}};
/// let logits = Tensor::from([0.0f32, f32::NEG_INFINITY]).broadcast_to([3, 2]);
/// assert_eq!(categorical(&Key::new(0), &logits, -1).to_vec::<i64>(), [0, 0, 0]);
/// ```
/// Source: JAX's `random.categorical`; by the largest of logits and Gumbel noise (Gumbel 1954).
#[op(samples = [(Key::new(7).0, real([2, 3]), -1), (Key::new(8).0, real([3, 2]), 0), (Key::new(9).0, real([4]), 0)], method = false,
    notes = "derivative=the result is an integer; dtypes=rounded noise has another largest element")]
pub fn categorical(key: &Tensor, logits: &Tensor, axis: Axis) -> Result<Tensor> {
    check(key)?;
    let wide = if logits.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    precision(logits.dtype())?;
    let unit = symmetric(key, logits.shape(), wide)? * 0.5 + 0.5;
    (logits.cast(wide) - (-unit.log()).log()).try_argmax(axis)
}

/// The numbers 0 to n - 1 in random order, every order equally likely.
///
/// Shapes: `u32[2] -> [n]`. The result is i64. There is no derivative. To permute a tensor, `take` what this gives.
/// # Errors
/// If the key is not `u32[2]`.
/// # Example
/// ```
/// use covector::ops::random::{Key, permutation};
/// let mut order = permutation(&Key::new(0), 4).to_vec::<i64>();
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3]);
/// ```
/// Source: JAX's and NumPy's `permutation`.
#[op(samples = [(Key::new(7).0, 5), (Key::new(8).0, 1), (Key::new(9).0, 0)], method = false,
    notes = "derivative=the result is an integer")]
pub fn permutation(key: &Tensor, n: usize) -> Result<Tensor> {
    check(key)?;
    // 64 bits each: two of a million are equal once in 37 million draws.
    Ok(wide_bits(key, &n.into())?.argsort(0, false))
}

/// Elements set to 0 with probability `p`, the others scaled by `1 / (1 - p)`, so that the expectation stays.
///
/// Shapes and dtypes: as `x`; floats. `p = 0` gives `x`, `p = 1` zeros. The derivative passes where the element stayed.
/// This is the training form: for inference leave it out.
/// # Errors
/// If `x` is no float, the key not `u32[2]`, or `p` not between 0 and 1.
/// # Example
/// ```
/// use covector::{Tensor, ops::random::Key};
/// let y = Tensor::from([1.0f32; 8]).dropout(&Key::new(0), 0.5);
/// assert!(y.to_vec::<f32>().iter().all(|&y| y == 0.0 || y == 2.0));
/// ```
/// Source: Srivastava et al., "Dropout" (JMLR 2014); PyTorch's `dropout`.
#[op(samples = [(real([2, 3]), Key::new(7).0, 0.5), (real([4]), Key::new(8).0, 0.0), (real([2, 2]), Key::new(9).0, 1.0)])]
pub fn dropout(x: &Tensor, key: &Tensor, p: f64) -> Result<Tensor> {
    check(key)?;
    if !x.dtype().is_float() {
        return Err(Error::new(format!("takes floats, not {}", x.dtype())));
    }
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::new(format!("a probability lies between 0 and 1, {p} does not")));
    }
    if p == 0.0 {
        return Ok(x.clone());
    }
    let dropped = (p * 2f64.powi(32)) as i64;
    if dropped > i64::from(u32::MAX) {
        return Ok(x.masked_fill(&Tensor::from(true), 0.0));
    }
    let kept = random_bits(key, x.shape().clone()).greater_equal(dropped);
    Ok(kept.where_(x * (1.0 / (1.0 - p)), 0.0))
}

op_list![
    split_key,
    fold_in,
    random_bits,
    uniform,
    normal,
    truncated_normal,
    bernoulli,
    randint,
    categorical,
    permutation,
    dropout
];
