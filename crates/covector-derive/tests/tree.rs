//! `#[derive(Tree)]` against a small stand-in for covector.

#![deny(warnings, clippy::all)]

extern crate self as covector;

#[allow(dead_code, unused_imports)]
#[path = "covector/mod.rs"]
mod mock;

use covector_derive::Tree;
use mock::tree::Path;
use mock::*;

#[derive(Tree, Clone, Debug, PartialEq)]
struct Dense {
    weight: Tensor,
    #[tree(rename = "b")]
    bias: Tensor,
    #[tree(skip)]
    name: String,
    r#type: Unit,
}

#[derive(Tree, Clone, Debug, PartialEq)]
struct Unit;

#[derive(Tree, Clone, Debug, PartialEq)]
struct Pair<A, B>(A, #[tree(skip)] (), B)
where
    A: Clone;

/// `F` is in a skipped field only: it needs to be `Clone`, not a tree.
#[derive(Tree, Clone, Debug, PartialEq)]
enum Layer<'a, T, F: Copy, const N: usize> {
    Dense(Dense),
    Both { first: T, second: T },
    Function(#[tree(skip)] F, #[tree(skip)] &'a [usize; N]),
    Identity,
}

fn tensor(value: f64) -> Tensor {
    Tensor::new(&[value])
}

fn dense() -> Dense {
    Dense { weight: tensor(1.0), bias: tensor(2.0), name: "first".to_owned(), r#type: Unit }
}

/// `path=value` of each leaf; that `rebuild` goes the same way is checked on the fly.
fn leaves<T: Tree>(tree: &T) -> String {
    let text = |path: &Path, leaf: &Tensor| format!("{}={}", path.0.join("."), leaf.values[0]);
    let (mut visited, mut mapped) = (Vec::new(), Vec::new());
    tree.visit(&mut Path::default(), &mut |path, leaf| visited.push((text(path, leaf), leaf)));
    tree.rebuild(&mut Path::default(), &mut |path, leaf| {
        mapped.push(text(path, leaf));
        leaf.clone()
    });
    let visited: Vec<_> = visited.into_iter().map(|(text, _)| text).collect();
    assert_eq!(visited, mapped);
    visited.join(" ")
}

fn negated<T: Tree>(tree: &T) -> T {
    tree.rebuild(&mut Path::default(), &mut |_, leaf| tensor(-leaf.values[0]))
}

/// What `fixed` tells of a tree, if it can.
fn fixed<T: Tree>(tree: &T) -> Option<u64> {
    let mut state = std::hash::DefaultHasher::new();
    tree.fixed(&mut state).then(|| std::hash::Hasher::finish(&state))
}

#[test]
fn forms_are_told_apart_and_nothing_is_told_of_skipped_fields() {
    type Plain = Layer<'static, Tensor, fn(), 1>;
    let both = |x: f64| Plain::Both { first: tensor(x), second: tensor(5.0) };
    assert!(fixed(&both(4.0)).is_some());
    assert_eq!(fixed(&both(4.0)), fixed(&both(6.0)));
    assert_ne!(fixed(&both(4.0)), fixed(&Plain::Identity));
    assert_eq!(fixed(&Plain::Dense(dense())), None);
    assert_eq!(fixed(&Pair(tensor(1.0), (), tensor(3.0))), None);
}

#[test]
fn leaves_come_in_the_order_of_fields_with_their_paths() {
    type Plain = Layer<'static, Tensor, fn(), 1>;
    assert_eq!(leaves(&dense()), "weight=1 b=2");
    assert_eq!(leaves(&Unit), "");
    assert_eq!(leaves(&Pair(dense(), (), tensor(3.0))), "0.weight=1 0.b=2 2=3");
    assert_eq!(leaves(&Plain::Dense(dense())), "0.weight=1 0.b=2");
    let both = Plain::Both { first: tensor(4.0), second: tensor(5.0) };
    assert_eq!(leaves(&both), "first=4 second=5");
    assert_eq!(leaves(&Plain::Identity), "");
}

#[test]
fn map_keeps_the_variant_and_what_is_skipped() {
    let expected = Dense { weight: tensor(-1.0), bias: tensor(-2.0), ..dense() };
    assert_eq!(negated(&dense()), expected);
    let pair = Pair(tensor(1.0), (), Layer::<Tensor, u8, 2>::Function(7, &[1, 2]));
    assert_eq!(negated(&pair), Pair(tensor(-1.0), (), Layer::Function(7, &[1, 2])));
    let dense = Layer::<Tensor, u8, 0>::Dense(dense());
    assert_eq!(negated(&dense), Layer::Dense(expected));
}
