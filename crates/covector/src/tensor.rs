//! [`Tensor`]: a cheap handle on an immutable node of the graph.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use covector_array::{Array, DType, Deferred, Handle, Shape, Share, Tally};
use smallvec::SmallVec;

use crate::labels::{self, Names};
use crate::marks::Marks;
use crate::ops::leaf::Constant;
use crate::primitive::Prim;
use crate::site::{self, Site};
use crate::{Error, ErrorKind, Result};

/// What is known of a tensor before anything runs: its dtype and shape, printed `f32[2, 3]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Spec {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: Shape,
}

impl Spec {
    /// A spec of this dtype and shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Spec { dtype, shape: shape.into() }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// A value and the record of how it was produced.
///
/// Cloning copies a handle. Building an op infers shape and dtype at once; the numbers are computed when they are read.
#[derive(Clone)]
pub struct Tensor(Handle<Node>);

/// The operands of a node.
pub type Operands = SmallVec<[Tensor; 2]>;

pub(crate) struct Node {
    id: u64,
    prim: Prim,
    spec: Spec,
    site: Site,
    marks: Marks,
    names: Names,
    /// The value, and the operands: those are let go once the value is known and no transformation can ask for the history
    /// any more.
    value: Deferred<Array, Operands>,
}

/// Nodes are numbered in blocks, one to a thread, so that threads do not meet at every node.
const BLOCK: u64 = 1 << 16;
static BLOCKS: AtomicU64 = AtomicU64::new(0);
static LIVE_NODES: Tally = Tally::new();

/// What a thread knows of nodes.
struct Local {
    /// The number of the next one; at the start of a block, none.
    next: Cell<u64>,
    /// Those made here less those dropped here.
    alive: Share,
}

thread_local! {
    static LOCAL: Local = Local { next: Cell::new(0), alive: LIVE_NODES.share() };
}

/// The number of graph nodes alive in this process; with [`live_bytes`](crate::live_bytes), the proof that nothing leaks.
pub fn live_nodes() -> usize {
    LIVE_NODES.sum()
}

/// Counts a node on these operands, and gives it a number that is larger than theirs.
fn number(inputs: &[Tensor]) -> u64 {
    let least = inputs.iter().map(|x| x.id() + 1).max().unwrap_or(0);
    let next = |local: &Local| {
        local.alive.add(1);
        let mut id = local.next.get();
        if id.is_multiple_of(BLOCK) || id < least {
            // Later blocks are higher, so this one is above all operands.
            id = BLOCKS.fetch_add(BLOCK, Ordering::Relaxed);
        }
        local.next.set(id + 1);
        id
    };
    LOCAL.try_with(next).unwrap_or_else(|_| {
        LIVE_NODES.add(1);
        BLOCKS.fetch_add(BLOCK, Ordering::Relaxed)
    })
}

impl Tensor {
    /// Makes a node of a primitive, your own or the library's: checks the operands by its shape rule, computes nothing.
    ///
    /// # Errors
    /// What the primitive's `infer` says of the operands, or that the result is too large to address.
    #[track_caller]
    pub fn apply(prim: impl Into<Prim>, inputs: impl IntoIterator<Item = Tensor>) -> Result<Tensor> {
        Tensor::infer(prim.into(), inputs.into_iter().collect())
    }

    #[track_caller]
    fn infer(prim: Prim, inputs: Operands) -> Result<Tensor> {
        let site = site::here(prim.name());
        let specs: SmallVec<[&Spec; 3]> = inputs.iter().map(Tensor::spec).collect();
        // Inside an op the error is the op's, which names itself and the operands the user gave it.
        let located = |e: Error| match site::current() {
            Some(_) => e,
            None => e.located(prim.name(), site.location, |all| all.extend(inputs.iter().map(Tensor::described))),
        };
        let spec = prim.infer(&specs).map_err(located)?;
        if spec.shape.checked_size(spec.dtype.size()).is_none() {
            return Err(located(
                Error::new(format!("the result {spec} has more elements than memory can address"))
                    .of_kind(ErrorKind::Memory),
            ));
        }
        drop(specs);
        let names = labels::inferred(&prim, &inputs, &spec).map_err(located)?;
        let marks = prim.marks(&inputs);
        Ok(Tensor::node(prim, spec, site, marks, names, inputs, None))
    }

    /// A node whose operands were made to fit: its spec is what the primitive's `infer` would say.
    #[track_caller]
    pub(crate) fn fitted(prim: Prim, spec: Spec, inputs: Operands) -> Tensor {
        debug_assert_eq!(prim.infer(&inputs.iter().map(Tensor::spec).collect::<Vec<_>>()).ok().as_ref(), Some(&spec));
        let site = site::here(prim.name());
        let names = crate::ops::made(labels::inferred(&prim, &inputs, &spec));
        let marks = prim.marks(&inputs);
        Tensor::node(prim, spec, site, marks, names, inputs, None)
    }

    /// As [`fitted`](Self::fitted), of operands without labels, at this site.
    pub(crate) fn placed(prim: Prim, spec: Spec, inputs: Operands, site: Site) -> Tensor {
        debug_assert_eq!(prim.infer(&inputs.iter().map(Tensor::spec).collect::<Vec<_>>()).ok().as_ref(), Some(&spec));
        debug_assert!(inputs.iter().all(|x| x.names().is_none()), "labels are inferred");
        let marks = prim.marks(&inputs);
        Tensor::node(prim, spec, site, marks, Names::default(), inputs, None)
    }

    /// A leaf that holds `array`, with these tokens.
    #[track_caller]
    pub(crate) fn leaf(prim: impl Into<Prim>, spec: Spec, value: Option<Array>, marks: Marks) -> Tensor {
        let prim = prim.into();
        let site = site::here(prim.name());
        Tensor::node(prim, spec, site, marks, Names::default(), Operands::new(), value)
    }

    #[inline(always)]
    fn node(
        prim: Prim,
        spec: Spec,
        site: Site,
        marks: Marks,
        names: Names,
        inputs: Operands,
        value: Option<Array>,
    ) -> Tensor {
        let id = number(&inputs);
        let node = || {
            let value = match value {
                Some(value) => Deferred::known(value, inputs),
                None => Deferred::new(inputs),
            };
            Node { id, prim, spec, site, marks, names, value }
        };
        Tensor(Handle::from_fn(node))
    }

    /// This node under these names, if there are any and nobody else holds it; else as it is.
    pub(crate) fn named(mut self, names: &Names) -> Tensor {
        if !names.is_none()
            && let Some(node) = Handle::get_mut(&mut self.0)
        {
            node.names = names.clone();
        }
        self
    }

    /// What is known of the axes besides their sizes.
    #[inline]
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// A constant that holds `array`.
    #[track_caller]
    pub fn from_array(array: Array) -> Tensor {
        Tensor::constant(&Constant::Given, array)
    }

    #[track_caller]
    pub(crate) fn constant(kind: &'static Constant, array: Array) -> Tensor {
        let spec = Spec::new(array.dtype(), array.shape().clone());
        Tensor::leaf(Prim::Static(kind), spec, Some(array), Marks::default())
    }

    /// A number that meets a tensor, as an array of the tensor's shape.
    pub(crate) fn number(array: Array, site: Site) -> Tensor {
        let spec = Spec::new(array.dtype(), array.shape().clone());
        let prim = Prim::Static(&Constant::Number);
        Tensor::node(prim, spec, site, Marks::default(), Names::default(), Operands::new(), Some(array))
    }

    /// A constant that gives `array` away: if nobody else holds the buffer or this tensor, the evaluation that needs it may
    /// overwrite it.
    ///
    /// So what is written into a large array again and again (a cache of keys and values) is written in place.
    /// ```
    /// use covector::Tensor;
    /// let mut x = Tensor::from([1.0f32, 2.0, 3.0]);
    /// let array = x.value();
    /// drop(x);
    /// x = Tensor::donated(array).scatter_set(&Tensor::from([1]), &Tensor::from([7.0f32]), 0);
    /// assert_eq!(x.to_vec::<f32>(), [1.0, 7.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn donated(array: Array) -> Tensor {
        let spec = Spec::new(array.dtype(), array.shape().clone());
        Tensor::leaf(crate::ops::leaf::Donated(Some(array).into()), spec, None, Marks::default())
    }

    /// The dtype and shape.
    pub fn spec(&self) -> &Spec {
        &self.0.spec
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.0.spec.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.spec.dtype
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape().size()
    }

    /// The op the user called to make this tensor, and the line that called it.
    pub fn site(&self) -> Site {
        self.0.site
    }

    /// A number of its own: larger than those of the operands, and of what this thread has made before.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The primitive that made this node.
    pub fn primitive(&self) -> &Prim {
        &self.0.prim
    }

    /// True if the numbers are known already.
    pub fn is_evaluated(&self) -> bool {
        self.0.value.get().is_some()
    }

    /// The operands this tensor was made from; none for leaves, and for evaluated tensors whose history nobody needs.
    pub fn inputs(&self) -> Operands {
        self.with_inputs(|inputs| inputs.iter().cloned().collect())
    }

    /// What `look` makes of the operands; it must neither evaluate nor look at the operands of this node again.
    pub(crate) fn with_inputs<R>(&self, look: impl FnOnce(&[Tensor]) -> R) -> R {
        look(self.0.value.turn().past())
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.0.marks
    }

    pub(crate) fn cached(&self) -> Option<&Array> {
        self.0.value.get()
    }

    /// Stores the value (the first to do so wins; all compute the same bits).
    pub(crate) fn store(&self, value: Array) {
        self.settle(|_| Some(value));
    }

    /// Stores what `make` makes of the operands, if it makes anything and nobody did so before; true if the value is known
    /// then. As for [`with_inputs`](Self::with_inputs), `make` has the operands to itself.
    pub(crate) fn settle(&self, make: impl FnOnce(&[Tensor]) -> Option<Array>) -> bool {
        let mut turn = self.0.value.turn();
        if !turn.is_known() {
            let Some(value) = make(turn.past()) else { return false };
            let _ = turn.set(value);
        }
        let past = if self.0.marks.is_open() { Operands::new() } else { mem::take(turn.past()) };
        drop(turn);
        drop(past);
        true
    }

    /// The number of handles on this node.
    pub(crate) fn handles(&self) -> usize {
        Handle::count(&self.0)
    }

    /// An address that identifies the node while it lives.
    pub(crate) fn key(&self) -> usize {
        Handle::address(&self.0)
    }
}

impl AsRef<Tensor> for Tensor {
    fn as_ref(&self) -> &Tensor {
        self
    }
}

thread_local! {
    /// True while a node is being dropped on this thread: the operands of what goes with it wait, so that dropping a long
    /// chain does not recurse.
    static DROPPING: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<Vec<Tensor>> = const { RefCell::new(Vec::new()) };
}

/// Room for waiting operands that a thread keeps.
const MOST_WAITING: usize = 1 << 12;

impl Drop for Node {
    fn drop(&mut self) {
        let less = 1usize.wrapping_neg();
        if LOCAL.try_with(|local| local.alive.add(less)).is_err() {
            LIVE_NODES.add(less);
        }
        let inputs = self.value.past_mut();
        // One operand may stand here several times.
        if inputs.iter().any(|x| x.handles() <= inputs.len()) {
            release(mem::take(inputs));
        }
    }
}

/// Lets go of operands some of which go with this.
fn release(inputs: Operands) {
    if DROPPING.replace(true) {
        let _ = WAITING.try_with(|waiting| waiting.borrow_mut().extend(inputs));
        return;
    }
    drop(inputs);
    while let Ok(Some(tensor)) = WAITING.try_with(|waiting| waiting.borrow_mut().pop()) {
        drop(tensor);
    }
    let _ = WAITING.try_with(|waiting| waiting.borrow_mut().shrink_to(MOST_WAITING));
    DROPPING.set(false);
}
