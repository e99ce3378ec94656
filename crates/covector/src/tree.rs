//! Trees of tensors: a gradient has the type of its parameters.
//!
//! Tensors, tuples, vectors, arrays, options, maps and every `#[derive(Tree)]` structure are trees; numbers and text are
//! trees without leaves.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::Tensor;

/// Something made of tensors.
pub trait Tree: Sized {
    /// Calls `visit` for every leaf, with its path, in a fixed order.
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor));

    /// The same structure with every leaf replaced, in the order of [`visit`](Self::visit).
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self;

    /// Feeds all that is no tensor to `state`: numbers, text, lengths, names, which of several forms it has. False if there
    /// is something it cannot tell of; then a [compiled](crate::compile) function is not recorded for it.
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        let _ = state;
        false
    }

    /// The leaves in order.
    fn leaves(&self) -> Vec<Tensor> {
        let mut all = Vec::new();
        self.visit(&mut Path::default(), &mut |_, t| all.push(t.clone()));
        all
    }

    /// The leaves in order, each with its path ("blocks.0.attn.weight").
    fn named(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        self.visit(&mut Path::default(), &mut |path, t| all.push((path.to_string(), t.clone())));
        all
    }

    /// The same structure with every leaf replaced by `f` of it.
    fn map_leaves(&self, mut f: impl FnMut(&Tensor) -> Tensor) -> Self {
        self.rebuild(&mut Path::default(), &mut |_, t| f(t))
    }

    /// The same structure with these leaves, in order.
    ///
    /// # Panics
    /// If there are fewer or more of them than the structure has leaves.
    fn with_leaves(&self, leaves: impl IntoIterator<Item = Tensor>) -> Self {
        let mut leaves = leaves.into_iter();
        let tree = self.map_leaves(|_| leaves.next().expect("as many leaves as the structure has"));
        assert!(leaves.next().is_none(), "as many leaves as the structure has");
        tree
    }
}

/// The way from the root of a tree to a leaf; printed with dots between the names.
#[derive(Clone, Default, Debug)]
pub struct Path(Vec<Cow<'static, str>>);

impl Path {
    /// Calls `inside` with `name` appended.
    pub fn enter<R>(&mut self, name: &str, inside: impl FnOnce(&mut Path) -> R) -> R {
        self.0.push(Cow::Owned(name.to_owned()));
        let result = inside(self);
        self.0.pop();
        result
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Tree for Tensor {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        visit(path, self);
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        map(path, self)
    }
    fn fixed(&self, _: &mut dyn Hasher) -> bool {
        true
    }
}

macro_rules! tuples {
    ($($T:ident $i:tt),+) => {
        impl<$($T: Tree),+> Tree for ($($T,)+) {
            fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
                $( path.enter(stringify!($i), |path| self.$i.visit(path, visit)); )+
            }
            fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
                ($( path.enter(stringify!($i), |path| self.$i.rebuild(path, map)), )+)
            }
            fn fixed(&self, state: &mut dyn Hasher) -> bool {
                $( self.$i.fixed(state) )&&+
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

impl<T: Tree> Tree for Vec<T> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        for (i, item) in self.iter().enumerate() {
            path.enter(&i.to_string(), |path| item.visit(path, visit));
        }
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        self.iter().enumerate().map(|(i, item)| path.enter(&i.to_string(), |path| item.rebuild(path, map))).collect()
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        state.write_usize(self.len());
        self.iter().all(|item| item.fixed(state))
    }
}

impl<T: Tree, const N: usize> Tree for [T; N] {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        for (i, item) in self.iter().enumerate() {
            path.enter(&i.to_string(), |path| item.visit(path, visit));
        }
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        std::array::from_fn(|i| path.enter(&i.to_string(), |path| self[i].rebuild(path, map)))
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        self.iter().all(|item| item.fixed(state))
    }
}

impl<T: Tree> Tree for Option<T> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        self.iter().for_each(|item| item.visit(path, visit));
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        self.as_ref().map(|item| item.rebuild(path, map))
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        state.write_u8(u8::from(self.is_some()));
        self.iter().all(|item| item.fixed(state))
    }
}

impl<T: Tree> Tree for Box<T> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        (**self).visit(path, visit);
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        Box::new((**self).rebuild(path, map))
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        (**self).fixed(state)
    }
}

impl<K: Clone + Ord + ToString, T: Tree> Tree for BTreeMap<K, T> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        for (key, item) in self {
            path.enter(&key.to_string(), |path| item.visit(path, visit));
        }
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        self.iter().map(|(k, item)| (k.clone(), path.enter(&k.to_string(), |path| item.rebuild(path, map)))).collect()
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        fixed_entries(self.iter(), state)
    }
}

/// In the order of the keys, so that the order of the leaves does not change from run to run.
impl<K: Clone + Ord + Hash + ToString, T: Tree, S: BuildHasher + Default> Tree for HashMap<K, T, S> {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        let sorted: BTreeMap<&K, &T> = self.iter().collect();
        for (key, item) in sorted {
            path.enter(&key.to_string(), |path| item.visit(path, visit));
        }
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        let sorted: BTreeMap<&K, &T> = self.iter().collect();
        let mapped = |(k, item): (&K, &T)| (k.clone(), path.enter(&k.to_string(), |path| item.rebuild(path, map)));
        sorted.into_iter().map(mapped).collect()
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        let sorted: BTreeMap<&K, &T> = self.iter().collect();
        fixed_entries(sorted.into_iter(), state)
    }
}

fn fixed_entries<'a, K: ToString + 'a, T: Tree + 'a>(
    mut entries: impl ExactSizeIterator<Item = (&'a K, &'a T)>,
    state: &mut dyn Hasher,
) -> bool {
    state.write_usize(entries.len());
    entries.all(|(key, item)| key.to_string().fixed(state) && item.fixed(state))
}

macro_rules! leafless {
    ($($t:ty),* => $x:ident $bits:expr) => {$(
        impl Tree for $t {
            fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&Path, &'a Tensor)) {}
            fn rebuild(&self, _: &mut Path, _: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self { self.clone() }
            fn fixed(&self, mut state: &mut dyn Hasher) -> bool {
                let $x = self;
                $bits.hash(&mut state);
                true
            }
        }
    )*};
}
leafless!((), bool, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, String, &'static str => x x);
leafless!(f32, f64 => x x.to_bits());
